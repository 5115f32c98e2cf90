#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""CPU of l7probe beside the floor and ndpiReader, in one run.

User and system time of each program with all its processes, rounds
interleaved, the median of each and the least: on a busy machine the least is
nearer the truth. The numbers of calls into nDPI are printed too: if l7probe's
differ from the floor's, the two did not do the same work. (A few do: fragments
find their flow in the probe, and not in the floor.)
"""
import argparse
import glob
import json
import os
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
BIN = os.path.join(ROOT, "build", "release", "bin")
PCAPS = os.path.join(ROOT, "build", "corpus", "pcap")
LOADS = os.path.join(ROOT, "build", "bench")
PROTOCOLS = os.path.join(ROOT, "etc", "protocols.txt")

sys.path.insert(0, HERE)
import mixload  # noqa: E402


def small_captures():
    """Every capture under 1 MB: many short flows of every protocol."""
    return sorted(p for p in glob.glob(PCAPS + "/*") if os.path.getsize(p) < 1_000_000
                  and p.endswith((".pcap", ".pcapng", ".cap")))


def long_captures():
    return [os.path.join(PCAPS, n + ".pcap") for n in
            ("pinterest", "tumblr", "reddit", "netflix", "zoom2", "ookla", "tor", "instagram")]


LOAD_KINDS = {"mix": (small_captures, 10), "long": (long_captures, 6)}


def load_file(kind, copies):
    """The load's path; made once for each number of copies."""
    os.makedirs(LOADS, exist_ok=True)
    captures, usual = LOAD_KINDS[kind]
    copies = copies or usual
    path = os.path.join(LOADS, f"{kind}-{copies}.pcap")
    if not os.path.exists(path):
        mixload.make(path, captures(), copies)
    return path


class Sink:
    """A collector that reads and forgets; its CPU is not the probe's."""

    def __init__(self):
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            peer, _ = self.server.accept()
            threading.Thread(target=self.drain, args=(peer,), daemon=True).start()

    @staticmethod
    def drain(peer):
        buffer = bytearray(1 << 20)
        while peer.recv_into(buffer):
            pass
        peer.close()


def measure(argv):
    """(CPU seconds, (standard output, standard error)) of one run."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        child = subprocess.Popen(argv, stdout=out, stderr=err, stdin=subprocess.DEVNULL)
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        text = out.read().decode(errors="replace"), err.read().decode(errors="replace")
    if child.returncode != 0:
        sys.exit(f"{' '.join(argv)}: exit {child.returncode}\n{text[1]}")
    return used.ru_utime + used.ru_stime, text


def programs(load, port):
    probe = [os.path.join(BIN, "l7probe"), "-r", load, "--active-timeout", "0",
             "--idle-timeout", "0", "--stats"]
    found = {"floor": [os.path.join(BIN, "floor"), load, PROTOCOLS],
             "l7probe ipfix+tcp": probe + ["-o", f"ipfix+tcp://127.0.0.1:{port}"],
             "l7probe json+file": probe + ["-o", "json+file:///dev/null"]}
    if os.path.exists("/usr/bin/ndpiReader"):
        found["ndpiReader -q"] = ["/usr/bin/ndpiReader", "-q", "-p", PROTOCOLS, "-i", load]
    return found


def calls_of(text):
    """What a program says of itself: (packets, flows, calls), or dashes."""
    for line in (text[0] + "\n" + text[1]).splitlines():
        if line.startswith("{"):
            try:
                said = json.loads(line)
            except ValueError:
                continue
            if "dpi_calls" in said:
                return said["packets"], said["flows"], said["dpi_calls"]
    return "-", "-", "-"


def bench(kind, load, rounds, port):
    times, said = {}, {}
    todo = programs(load, port)
    for _ in range(rounds):
        for name, argv in todo.items():
            seconds, text = measure(argv)
            times.setdefault(name, []).append(seconds)
            said[name] = calls_of(text)
    floor, least = statistics.median(times["floor"]), min(times["floor"])
    for name in todo:
        middle, best = statistics.median(times[name]), min(times[name])
        packets, flows, calls = said[name]
        print(f"{kind:<5} {name:<18} {middle:8.3f} {middle / floor:7.2f} {best:8.3f} {best / least:7.2f}"
              f" {packets:>10} {flows:>8} {calls:>9}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--copies", type=int, default=0, help="size of the loads")
    parser.add_argument("--load", choices=sorted(LOAD_KINDS), action="append")
    a = parser.parse_args()
    port = Sink().port
    print(f"{platform.machine()}, {os.cpu_count()} CPUs, "
          f"medians of {a.rounds} rounds, user + system seconds")
    print(f"{'load':<5} {'program':<18} {'median':>8} {'/floor':>7} {'least':>8} {'/floor':>7}"
          f" {'packets':>10} {'flows':>8} {'calls':>9}")
    for kind in a.load or LOAD_KINDS:
        bench(kind, load_file(kind, a.copies), a.rounds, port)


if __name__ == "__main__":
    main()
