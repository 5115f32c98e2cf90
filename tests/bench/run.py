#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What l7probe costs, beside the floor and beside programs that do part of the same.

User and system time of each program with all its processes, rounds
interleaved, the median of each and the least: on a busy machine the least is
nearer the truth. Ratios are to the floor of the same run. The numbers of
calls of nDPI are printed too: if l7probe's differ from the floor's with
timeouts off, the two did not do the same work. (A few do: fragments find their
flow in the probe, and not in the floor.)

  ./dev bench [--load NAME]... [--program NAME]... [--rounds N] [--figures]
"""
import argparse
import os
import platform
import random
import resource
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading

import figures
from loads import TIMED, load_file
from programs import NOTES, programs, totals


LONGEST = 100  # seconds of one run
# Of these loads; the others take minutes, and are there with "--program".
OF_MANY = ["floor", "l7probe", "softflowd", "nfpcapd"]


class Sink:
    """A collector on one port, UDP and TCP, that reads and forgets; its CPU is nobody's."""

    def __init__(self):
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        self.datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.datagrams.bind(("127.0.0.1", self.port))
        for work in (self.serve, self.forget):
            threading.Thread(target=work, daemon=True).start()

    def forget(self):
        buffer = bytearray(1 << 16)
        while True:
            self.datagrams.recv_into(buffer)

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
    """(CPU seconds, what it said) of one run; None if it takes too long."""
    with tempfile.TemporaryFile() as out:
        # With its children: nfprobe and the exporter are processes of their own, and waited for by their parents.
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        child = subprocess.Popen(argv, stdout=out, stderr=out, stdin=subprocess.DEVNULL, start_new_session=True)
        try:
            child.wait(timeout=LONGEST)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
            return None
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        out.seek(0)
        text = out.read().decode(errors="replace")
    if child.returncode != 0:
        sys.exit(f"{' '.join(argv)}: exit {child.returncode}\n{text[-2000:]}")
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, text


def run_round(todo, times, said, folder):
    # In another order each time: what one leaves behind in caches and memory costs the next, up to a sixth.
    for name, argv in random.sample(list(todo.items()), len(todo)):
        if said.get(name, True) is None:
            continue
        if name == "nfpcapd":
            shutil.rmtree(os.path.join(folder, "nfpcapd"))
            os.mkdir(os.path.join(folder, "nfpcapd"))
        result = measure(argv)
        if not result:
            said[name] = None
            continue
        times.setdefault(name, []).append(result[0])
        if name not in said:
            said[name] = totals(name, result[1], folder)


def bench(load, a, port):
    """Prints the rows of a load. Returns l7probe's nanoseconds per packet, if it was measured."""
    times, said = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        found = programs(load_file(load), folder, port)
        names = a.program or (list(found) if load in ("mix", "long") else OF_MANY)
        wanted = {name: found[name] for name in found if name in names}
        todo = {name: argv for name, argv in wanted.items() if argv}
        for _ in range(a.rounds):
            run_round(todo, times, said, folder)
    floor = times.get("floor", [float("nan")])
    for name, argv in wanted.items():
        if not argv:
            print(f"{load:<9} {name:<13} not installed")
            continue
        if said[name] is None:
            print(f"{load:<9} {name:<13} takes longer than {LONGEST} s")
            continue
        middle, least = statistics.median(times[name]), min(times[name])
        row = "".join(f" {n:>11}" for n in said[name])
        print(f"{load:<9} {name:<13} {middle:8.3f} {middle / statistics.median(floor):7.2f}"
              f" {least:8.3f} {least / min(floor):7.2f}{row}", flush=True)
    return statistics.median(times["l7probe"]) / said["l7probe"][0] * 1e9 if times.get("l7probe") else None


def other_figures(a):
    with tempfile.TemporaryDirectory() as folder:
        figures.workers(a.rounds, folder)
        figures.memory(folder)
        figures.start(a.rounds, folder)
        for load in ("mix", "long", "dns-2m"):
            figures.stages(a.rounds, load)
        figures.calls(folder)
        figures.kafka_records(a.rounds, folder)
        figures.watch()
        figures.watch_udp(folder)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--load", choices=TIMED, action="append", help="may be given again; default all")
    parser.add_argument("--program", choices=list(NOTES), action="append", help="may be given again; default all")
    parser.add_argument("--figures", action="store_true", help="only the figures after the table")
    a = parser.parse_args()
    print(f"{platform.machine()}, {os.cpu_count()} CPUs, load average {os.getloadavg()[0]:.1f}; medians of"
          f" {a.rounds} rounds, user + system seconds, all processes")
    if not a.figures:
        print(f"{'load':<9} {'program':<13} {'median':>8} {'/floor':>7} {'least':>8} {'/floor':>7}"
              f" {'packets':>11} {'flows':>11} {'IP octets':>11} {'DPI calls':>11}")
        port = Sink().port
        packet = {load: bench(load, a, port) for load in a.load or TIMED}
        if packet.get("dns-10k") and packet.get("dns-2m"):
            print(f"l7probe, ns per packet, 10 thousand and 2 million flows open: {packet['dns-10k']:.0f}"
                  f" and {packet['dns-2m']:.0f}: {packet['dns-2m'] / packet['dns-10k']:.2f} times")
        for name, note in NOTES.items():
            print(f"  {name}: {note}")
    if a.figures or not (a.load or a.program):
        other_figures(a)


if __name__ == "__main__":
    main()
