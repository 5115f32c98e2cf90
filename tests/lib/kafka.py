# SPDX-License-Identifier: Apache-2.0
"""
A real Apache Kafka for tests: one node or several on free ports of the loopback, in a folder of its own.

    @unittest.skipUnless(*kafka.available())
    class Something(unittest.TestCase):
        def test(self):
            with kafka.Cluster() as k:
                k.create_topic("flows", partitions=3)
                ... k.bootstrap ...
                for message in k.messages("flows"): ...

Nodes are numbered from 1. Each is a broker and a controller (KRaft). What a Cluster can say and do beyond processes and messages
(topics, leaders, offsets, groups, users, ACLs) is in kafka_admin.Admin, from which it inherits.
"""
import collections
import contextlib
import glob
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

import kafka_admin
import l7
from kafka_admin import KafkaError  # noqa: F401 (for tests)

KAFKA = os.path.join(l7.ROOT, "build", "kafka")
ARCHIVE = os.path.join(KAFKA, "classes.jsa")
FAILED = os.path.join(KAFKA, "failed")
FAILED_FOR = 900  # seconds in which nobody tries again to fetch what could not be fetched
LISTENERS = ("PLAINTEXT", "SASL_SSL", "SASL_PLAINTEXT", "SSL")

SETTINGS = {
    "process.roles": "broker,controller",
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "PLAINTEXT",
    "offsets.topic.num.partitions": 2,
    "transaction.state.log.num.partitions": 1,
    "group.initial.rebalance.delay.ms": 0,
    "group.min.session.timeout.ms": 1000,
    "num.network.threads": 2,
    "num.io.threads": 4,
    "log.cleaner.enable": "false",
    "num.partitions": 1,
    # A node that was killed loses its leaderships after this, and may come back after it, not after nine seconds.
    "broker.session.timeout.ms": 2000,
    "broker.heartbeat.interval.ms": 300,
    "replica.lag.time.max.ms": 5000,
    "controlled.shutdown.retry.backoff.ms": 200,
    "controller.quorum.fetch.timeout.ms": 1500,
    "controller.quorum.election.timeout.ms": 500,
    "controller.quorum.election.backoff.max.ms": 200,
    "controller.quorum.request.timeout.ms": 1500,
}

Message = collections.namedtuple("Message", "partition offset timestamp key value headers")


def available():
    """
    (True, "") if a Kafka can be started here, else (False, why). Fetches it the first time; quick from then on. A failure is
    remembered, so that of ten tests only the first waits for it.
    """
    with contextlib.suppress(OSError):
        if time.time() - os.stat(FAILED).st_mtime < FAILED_FOR:
            with open(FAILED, encoding="utf-8") as f:
                return False, f.read().strip()
    done = l7.run((os.path.join(l7.ROOT, "dev"), "kafka", "fetch"), timeout=550)
    if done.status == 0:
        return True, ""
    return False, (done.err.strip().splitlines() or ["Kafka cannot be fetched"])[-1].removeprefix("dev: ")


def java():
    """A JVM that Debian 12 has; another of PATH may be too old or too new for this Kafka."""
    found = glob.glob("/usr/lib/jvm/java-17-openjdk-*/bin/java")
    return found[0] if found else "java"


def distinct_ports(count):
    ports = set()
    while len(ports) < count:
        ports.add(l7.free_port())
    return sorted(ports)


class Node:
    """One broker: its files, its ports, and its process while it has one."""

    def __init__(self, cluster, number, ports):
        self.cluster, self.number, self.ports = cluster, number, ports
        self.folder = os.path.join(cluster.folder, f"node{number}")
        self.log = os.path.join(self.folder, "log")
        self.child = None
        self.paused = False

    @property
    def port(self):
        return self.ports["PLAINTEXT"]

    @property
    def pid(self):
        return self.child.pid

    @property
    def runs(self):
        return self.child is not None and self.child.poll() is None

    def prepare(self, settings):
        """What kafka-storage would do, without a JVM: a folder without metadata starts with this Kafka's newest."""
        os.makedirs(self.folder + "/data")
        with open(self.folder + "/data/meta.properties", "w", encoding="ascii") as f:
            f.write(f"version=1\ncluster.id={self.cluster.identity}\nnode.id={self.number}\n"
                    f"directory.id={'N' * 20}{self.number}A\n")
        with open(self.folder + "/server.properties", "w", encoding="utf-8") as f:
            f.writelines(f"{name}={value}\n" for name, value in settings.items())

    def launch(self, more=()):
        """Starts the process and does not wait for it. It ends with the thread that started it: no test leaves a JVM behind."""
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError("a node is started by the main thread")
        tie = () if self.cluster.detached else ("setpriv", "--pdeathsig", "KILL", "--")
        archive = (f"-XX:SharedArchiveFile={ARCHIVE}",) if os.path.exists(ARCHIVE) and not more else ()
        jars = sorted(glob.glob(os.path.join(KAFKA, "libs", "*.jar")))
        argv = tie + (java(), *self.cluster.jvm, *archive, *more, "-Dorg.slf4j.simpleLogger.showDateTime=true",
                      "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS", "-cp", ":".join(jars), "kafka.Kafka",
                      self.folder + "/server.properties")
        with open(self.log, "ab") as log:
            self.child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                          start_new_session=self.cluster.detached)
        self.paused = False

    def answers(self):
        """Whether it serves and knows all nodes that run."""
        if not self.runs:
            raise AssertionError(f"node {self.number} of Kafka ended with {self.child.returncode}: {self.tail()}")
        try:
            m = kafka_admin.Metadata(self.port)
        except OSError:
            return False
        return self.cluster.running() <= m.nodes.keys() and m.controller >= 0

    def start(self, wait=True):
        """Again after kill() or stop(), with the same data and ports."""
        self.launch()
        if wait:
            l7.wait_for(f"node {self.number} of Kafka answers", self.answers)

    def kill(self):
        """SIGKILL, as if the machine's memory had run out."""
        self.child.kill()
        self.child.wait()

    def stop(self):
        """SIGTERM: it hands its leaderships over first."""
        self.child.terminate()
        try:
            self.child.wait(20)
        except subprocess.TimeoutExpired:  # two of three have gone: it has nobody to hand over to
            self.kill()

    def pause(self):
        """SIGSTOP: connections stay, nobody answers."""
        self.child.send_signal(signal.SIGSTOP)
        self.paused = True

    def resume(self):
        self.child.send_signal(signal.SIGCONT)
        self.paused = False

    def tail(self, lines=15):
        """The end of its log."""
        with contextlib.suppress(OSError), open(self.log, encoding="utf-8", errors="replace") as f:
            return "".join(f.readlines()[-lines:])
        return ""


class Cluster(kafka_admin.Admin):
    """
    Kafka in a folder; `with` starts it, waits until it answers, and removes everything whatever happens.

    nodes     1 or 3. Of three, topics of Kafka's own are on all.
    settings  more of server.properties, with "_" for ".": message_max_bytes=2000.
    jvm       options of the JVM. Those here start quickly; a long load is served better by ("-Xmx1g",).
    """

    def __init__(self, nodes=1, folder=None, detached=False, jvm=("-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"),
                 **settings):
        super().__init__(self.plain_ports)
        self.folder = folder or tempfile.mkdtemp(prefix="l7kafka-")
        self.detached, self.jvm, self.identity = detached, jvm, "l7" * 11
        ports = distinct_ports((1 + len(self.listeners())) * nodes)
        names = ("CONTROLLER",) + self.listeners()
        self.nodes = {n: Node(self, n, dict(zip(names, ports[(n - 1) * len(names):]))) for n in range(1, nodes + 1)}
        self.more = {name.replace("_", "."): value for name, value in settings.items()}
        self.began = 0

    def listeners(self):
        return ("PLAINTEXT",)

    def settings(self, node):
        """server.properties of a node."""
        nodes, names = self.nodes.values(), ("CONTROLLER",) + self.listeners()
        copies = min(3, len(nodes))
        found = dict(SETTINGS)
        found.update({
            "node.id": node.number,
            "controller.quorum.voters": ",".join(f"{n.number}@127.0.0.1:{n.ports['CONTROLLER']}" for n in nodes),
            "listeners": ",".join(f"{name}://127.0.0.1:{node.ports[name]}" for name in names),
            "listener.security.protocol.map": ",".join(f"{n}:{'PLAINTEXT' if n == 'CONTROLLER' else n}" for n in names),
            "log.dirs": node.folder + "/data",
            "offsets.topic.replication.factor": copies,
            "transaction.state.log.replication.factor": copies,
            "transaction.state.log.min.isr": max(1, copies - 1),
        })
        found.update(self.more)
        return found

    def plain_ports(self):
        return {n.number: n.port for n in self.nodes.values() if n.runs and not n.paused}

    def running(self):
        return {n.number for n in self.nodes.values() if n.runs}

    @property
    def node(self):
        """The only one, or the first."""
        return self.nodes[1]

    @property
    def bootstrap(self):
        return self.at("PLAINTEXT")

    def at(self, listener):
        """host:port,... of all nodes for a listener."""
        return ",".join(f"127.0.0.1:{n.ports[listener]}" for n in self.nodes.values())

    def launch(self, more=()):
        for node in self.nodes.values():
            node.prepare(self.settings(node))
            node.launch(more)

    def wait(self):
        for node in self.nodes.values():
            l7.wait_for(f"node {node.number} of Kafka answers", node.answers)

    def __enter__(self):
        try:
            self.launch()
            self.wait()
        except BaseException:
            self.__exit__(*sys.exc_info())
            raise
        return self

    def __exit__(self, kind, *unused):
        for node in self.nodes.values():
            if kind is not None:
                print(f"---- node {node.number} of Kafka\n{node.tail()}", file=sys.stderr)
            if node.runs:
                node.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    # ---- messages -----------------------------------------------------------

    def kcat(self, *arguments, **options):
        """Runs kcat to its end."""
        return l7.run(("kcat", "-b", self.bootstrap) + arguments, **options)

    def produce(self, topic, values, key=None, headers=None, partition=None, more=()):
        """Sends values (octets or strings, of any content) with kcat; fails the test if one is not acknowledged by all."""
        mark = os.urandom(8).hex().encode()
        octets = [v.encode() if isinstance(v, str) else v for v in values]
        arguments = ["-P", "-t", topic, "-D", mark.decode(), "-X", "acks=all", "-X", "message.timeout.ms=30000"]
        arguments += ["-k", key] if key is not None else []
        arguments += ["-p", str(partition)] if partition is not None else []
        for name, value in (headers or {}).items():
            arguments += ["-H", f"{name}={value}"]
        done = subprocess.run(["kcat", "-b", self.bootstrap, *arguments, *more], input=mark.join(octets), capture_output=True,
                              timeout=120)
        if done.returncode != 0 or b"Delivery failed" in done.stderr:
            raise AssertionError(f"kcat cannot produce to {topic}: {done.stderr.decode()}")

    def messages(self, topic, partition=None, more=()):
        """
        Yields all messages that a topic has now, in the order of each partition, with keys and values as octets (None if there is
        none) and headers as {name: octets}. A header twice in a message fails the test.
        """
        mark = os.urandom(8).hex()
        where = ("-p", str(partition)) if partition is not None else ()
        argv = ("kcat", "-b", self.bootstrap, "-C", "-t", topic, *where, "-o", "beginning", "-e", "-q", "-X",
                "fetch.wait.max.ms=50", *more, "-f", r"%p %o %T %K %S\n%k%s%h" + mark + r"\n")
        with tempfile.TemporaryFile() as err:
            with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=err, bufsize=1 << 20) as child:
                try:
                    yield from parse(child.stdout, mark.encode() + b"\n")
                    status = child.wait(60)
                finally:
                    child.kill()
            err.seek(0)
            if status != 0:
                raise AssertionError(f"kcat cannot consume {topic}: {err.read().decode()}")

    def consume(self, topic, **options):
        return list(self.messages(topic, **options))

    def count(self, topic):
        """How many messages a topic has, of all partitions."""
        first = self.first_offsets(topic)
        return sum(end - first[n] for n, end in self.end_offsets(topic).items())


def parse(stream, mark):
    """Messages as kcat writes them in messages() above."""
    while True:
        line = stream.readline()
        if not line:
            return
        partition, offset, timestamp, key_length, value_length = map(int, line.split())
        key, value = (None if n < 0 else stream.read(n) for n in (key_length, value_length))
        headers = stream.readline()
        while not headers.endswith(mark):
            more = stream.readline()
            if not more:
                raise AssertionError("kcat ended in the middle of a message")
            headers += more
        yield Message(partition, offset, timestamp, key, value, header_table(headers[:-len(mark)]))


def header_table(octets):
    """{name: value} of "name=value,name=value". A value may have commas, but nothing in it that looks like the next header."""
    if not octets:
        return {}
    pairs = [part.split(b"=", 1) for part in re.split(rb",(?=[A-Za-z][\w.-]*=)", octets)]
    found = {name.decode(): value for name, value in pairs}
    if len(found) != len(pairs):
        raise AssertionError(f"a header comes twice: {octets!r}")
    return found


def save_archive():
    """Starts a broker once to save its classes as the JVM has them in memory: the next ones start in half the time."""
    part = f"{ARCHIVE}.{os.getpid()}"
    with Cluster() as k:
        k.node.stop()
        k.node.launch((f"-XX:ArchiveClassesAtExit={part}",))
        k.wait()
        k.create_topic("t")
        k.node.stop()
    os.replace(part, ARCHIVE)
