#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The story: a bot hides in a server's TLS, and is found.

As root it happens live between two network namespaces; otherwise the same
story is read from tests/captures/story.pcap.
"""
import json
import os
import signal
import socket
import subprocess
import sys
import time
from datetime import datetime

import places
import town

ROOT = os.path.dirname(os.path.dirname(town.HERE))
L7PROBE = os.path.join(ROOT, "build", "release", "bin", "l7probe")
L7WATCH = os.path.join(ROOT, "build", "release", "bin", "l7watch")
STORY = os.path.join(ROOT, "tests", "captures", "story.pcap")
RULES = os.path.join(town.HERE, "rules.yaml")
OUT = os.path.join(ROOT, "build", "demo")
FLOWS, ALERTS = os.path.join(OUT, "flows.json"), os.path.join(OUT, "alerts.json")
STATS, WATCH_LOG = os.path.join(OUT, "l7probe.log"), os.path.join(OUT, "l7watch.log")
ALERTS_EXPECTED = 2


def read_lines(path):
    """JSON lines; a last line that is still being written is left out."""
    try:
        with open(path, encoding="utf-8") as f:
            return [json.loads(line) for line in f if line.endswith("\n")]
    except FileNotFoundError:
        return []


def wait_until(what, test, seconds=60):
    end = time.monotonic() + seconds
    while not test():
        if time.monotonic() > end:
            raise RuntimeError(f"{what} within {seconds} s")
        time.sleep(0.05)


def engaged():
    return [a for a in read_lines(ALERTS) if a.get("state") == "engaged"]


def wait_for_alerts():
    """Waits for the alerts of the story; fewer are shown as they are."""
    end = time.monotonic() + 20
    while len(engaged()) < ALERTS_EXPECTED and time.monotonic() < end:
        time.sleep(0.05)


def alive(child, name, log):
    if child.poll() is not None:
        with open(log, encoding="utf-8", errors="replace") as f:
            raise RuntimeError(f"{name} ended with {child.returncode}: {f.read().strip()}")
    return True


def watch_command(port):
    return [L7WATCH, "-l", f"ipfix+tcp://127.0.0.1:{port}", "-R", RULES, "-a", f"json+file://{ALERTS}"]


def probe_command(source, port):
    return [L7PROBE] + source + ["-o", f"ipfix+tcp://127.0.0.1:{port}?early=1",
                                 "-o", f"json+file://{FLOWS}", "--stats", "-v"]


# ---- live ---------------------------------------------------------------------

def listens(t, port):
    """Whether somebody in the host's namespace listens on the port, without asking him."""
    table = town.run("ip", "netns", "exec", t.inside, "cat", "/proc/net/tcp")
    return any(f":{port:04X} " in line and line.split()[3] == "0A" for line in table.splitlines())


def captures():
    with open(STATS, encoding="utf-8") as f:
        return "capturing on" in f.read()


def live():
    port = 4739
    with town.Town() as t, open(STATS, "wb") as stats, open(WATCH_LOG, "wb") as log:
        watch = t.start(t.inside, *watch_command(port), stdout=log)
        wait_until("l7watch does not listen", lambda: alive(watch, "l7watch", WATCH_LOG) and listens(t, port))
        probe = t.start(t.inside, *probe_command(["-i", t.interface], port), stdout=stats)
        wait_until("l7probe does not capture", lambda: alive(probe, "l7probe", STATS) and captures())
        print("  its daily work: names, GitHub, a mirror, a login to the backup host")
        t.scene("work")
        print("  the bot: asks api.telegram.org for orders over TLS, then MTProto on 443\n")
        t.scene("bot")
        wait_for_alerts()
        t.stop(probe)
        t.stop(watch)


# ---- from the capture -------------------------------------------------------------

def free_port():
    with socket.create_server(("127.0.0.1", 0)) as s:
        return s.getsockname()[1]


def connects(port):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


def replay():
    """Returns when reading began (UNIX time)."""
    port = free_port()
    children = []
    try:
        with open(WATCH_LOG, "wb") as log, open(STATS, "wb") as stats:
            watch = subprocess.Popen(watch_command(port), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            children.append(watch)
            wait_until("l7watch does not listen", lambda: alive(watch, "l7watch", WATCH_LOG) and connects(port))
            start = time.time()
            probe = subprocess.Popen(probe_command(["-r", STORY], port), stdin=subprocess.DEVNULL,
                                     stdout=stats, stderr=stats)
            children.append(probe)
            if probe.wait(60) != 0:
                alive(probe, "l7probe", STATS)
            wait_for_alerts()
            watch.send_signal(signal.SIGTERM)
            watch.wait(60)
            return start
    finally:
        for child in children:
            if child.poll() is None:
                child.kill()
                child.wait()


# ---- what is shown ------------------------------------------------------------------

def size(octets):
    for unit in ("B", "kB", "MB"):
        if octets < 1000 or unit == "MB":
            return f"{octets:.1f} {unit}" if unit != "B" else f"{octets} B"
        octets /= 1000
    return ""


def table(flows):
    """{(host, protocol): [flow ids, octets]} of the hosts that began the flows."""
    rows = {}
    for f in flows:
        row = rows.setdefault((f["src_ip"], f["app"]), [set(), 0])
        row[0].add(f["flow_id"])
        row[1] += f.get("octets", 0) + f.get("rev_octets", 0)
    return rows


def show_table(flows, alerts):
    bad = {a["app"] for a in alerts}
    print(f"{'HOST':<15} {'PROTOCOL':<16} {'FLOWS':>5} {'OCTETS':>9}")
    rows = sorted(table(flows).items(), key=lambda r: (r[0][0] != places.HOST, r[0][0], -r[1][1]))
    for (host, app), (ids, octets) in rows:
        mark = " !" if app in bad and host == places.HOST else ""
        print(f"{host:<15} {app:<16} {len(ids):>5} {size(octets):>9}{mark}")
    print()


def seconds_of(text):
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def show_alerts(alerts, began):
    """began: when reading the file began, None if live."""
    for a in alerts:
        since, of = (a["flow"]["end_ms"] / 1000, "the packet") if began is None else (began, "reading began")
        delay = seconds_of(a["@timestamp"]) - since
        print(f"ALERT {a['severity']}: {a['reason']}\n      (rule {a['rule']['id']}, {delay:.3f} s after {of})")
    print()


def show_files(is_live):
    shown = lambda path: os.path.relpath(path, os.getcwd())  # noqa: E731
    print(f"flows {shown(FLOWS)}   alerts {shown(ALERTS)}   statistics {shown(STATS)}")
    if is_live:
        print(f"next, on your own interface:  {shown(L7PROBE)} -i {first_interface()}")
    else:
        print(f"next, on your own interface:  sudo {shown(L7PROBE)} -i {first_interface()}")


def first_interface():
    """The interface of the default route, or the first that is not loopback."""
    try:
        with open("/proc/net/route", encoding="ascii") as f:
            for line in f.readlines()[1:]:
                if line.split()[1] == "00000000":
                    return line.split()[0]
    except OSError:
        pass
    names = [name for _, name in socket.if_nameindex() if name != "lo"]
    return names[0] if names else "lo"


def main():
    town.stop_on_signals()
    os.makedirs(OUT, exist_ok=True)
    for path in (FLOWS, ALERTS):
        if os.path.exists(path):
            os.unlink(path)
    is_live = town.can_build()
    began = None
    if is_live:
        print(f"Live, in two network namespaces: {places.HOST} may speak DNS, TLS, TLS.Github and SSH.")
        live()
    else:
        why = "No namespaces may be made here" if os.geteuid() == 0 else "Not root"
        print(f"{why}, so the story comes from {os.path.relpath(STORY, os.getcwd())}: "
              f"{places.HOST} may speak DNS, TLS, TLS.Github and SSH.\n")
        began = replay()
    alerts = engaged()
    show_table(read_lines(FLOWS), alerts)
    show_alerts(alerts, began)
    show_files(is_live)
    if len(alerts) < ALERTS_EXPECTED:
        sys.exit(f"demo: {len(alerts)} alerts of {ALERTS_EXPECTED}; see {WATCH_LOG} and {STATS}")


if __name__ == "__main__":
    try:
        main()
    except (RuntimeError, OSError, subprocess.SubprocessError) as error:
        sys.exit(f"demo: {error}")
