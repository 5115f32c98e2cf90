#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What `./dev kafka` does once Kafka is there: up [NODES], down, status; archive is for `./dev kafka fetch`."""
import contextlib
import json
import os
import shutil
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import kafka  # noqa: E402
import kafka_admin  # noqa: E402
import l7  # noqa: E402

FOLDER = os.path.join(kafka.KAFKA, "up")
STATE = os.path.join(FOLDER, "state.json")


def is_kafka(pid):
    """Whether a pid of the state is still the process that was started: pids come again."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as f:
            return FOLDER.encode() in f.read()
    except OSError:
        return False


def state():
    """[{"node", "pid", "port"}] of what up() started and still runs."""
    with contextlib.suppress(OSError, ValueError), open(STATE, encoding="utf-8") as f:
        return [node for node in json.load(f) if is_kafka(node["pid"])]
    return []


def bootstrap(nodes):
    return ",".join(f"127.0.0.1:{node['port']}" for node in nodes)


def answers(node):
    with contextlib.suppress(OSError):
        kafka_admin.Metadata(node["port"])
        return True
    return False


def up(count):
    nodes = state()
    if len(nodes) == count and all(map(answers, nodes)):
        print(bootstrap(nodes))
        return 0
    down()
    cluster = kafka.Cluster(count, folder=FOLDER, detached=True)
    os.makedirs(FOLDER)
    try:
        cluster.launch()
        with open(STATE, "w", encoding="utf-8") as f:
            json.dump([{"node": n.number, "pid": n.pid, "port": n.port} for n in cluster.nodes.values()], f)
        cluster.wait()
    except BaseException:
        for node in cluster.nodes.values():
            if node.runs:
                node.kill()
        raise
    print(cluster.bootstrap)
    return 0


def down():
    """Ends the nodes by their pids and removes their data, so that they need no time to put it in order."""
    for node in state():
        os.kill(node["pid"], signal.SIGKILL)
    l7.wait_for("Kafka has ended", lambda: not state())
    shutil.rmtree(FOLDER, ignore_errors=True)
    return 0


def status():
    """A line for each node; the exit status is 0 if all are up, 1 if none or not all."""
    nodes = state()
    if not nodes:
        print("Kafka is down: ./dev kafka up")
        return 1
    for node in nodes:
        said = "answers" if answers(node) else "does not answer"
        memory = l7.status_of(node["pid"]).get("VmRSS", "?").strip()
        print(f"node {node['node']}  127.0.0.1:{node['port']}  pid {node['pid']}  {memory}  {said}")
    return 0 if all(map(answers, nodes)) else 1


def main(arguments):
    if arguments == ["archive"]:
        return kafka.save_archive()
    if arguments[:1] == ["up"] and arguments[1:] in ([], ["1"], ["3"]):
        return up(int((arguments[1:] or ["1"])[0]))
    if arguments == ["down"]:
        return down()
    if arguments == ["status"]:
        return status()
    print("usage: ./dev kafka up [1|3] | down | status | fetch", file=sys.stderr)
    return 1


try:
    sys.exit(main(sys.argv[1:]))
except AssertionError as error:  # of wait_for(): one sentence
    sys.exit(f"kafka: {error}")
