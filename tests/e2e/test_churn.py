#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
100 probes at one time to one l7watch, over TCP, TLS and UDP, that come and go: over a connection no record is missing, and of those that
were lost on the way of UDP each is counted.
"""
import collections
import contextlib
import os
import selectors
import socket
import subprocess
import sys
import tempfile
import threading
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import l7  # noqa: E402
import tls  # noqa: E402

TCP, TLS, UDP = 40, 20, 40  # at one time; one address may have 64 connections
ROUNDS = int(os.environ.get("L7_CHURN_ROUNDS", "3"))
FLOW_SETS = 1024  # and above
LOSE = 4  # one of so many messages with flows


def sets(message):
    """Numbers of the sets in a message."""
    found, at = [], 16
    while at + 4 <= len(message):
        found.append(int.from_bytes(message[at:at + 2], "big"))
        at += int.from_bytes(message[at + 2:at + 4], "big")
    return found


def established(ports):
    """Connections of this machine's that have been made to these ports."""
    with open("/proc/net/tcp", encoding="ascii") as f:
        rows = [line.split() for line in f.readlines()[1:]]
    return sum(int(row[1].rsplit(":", 1)[1], 16) in ports and row[3] == "01" for row in rows)


class Lossy:
    """Hands datagrams on, those of each sender from a port of its own, but for some with flows; knows how many records were in these."""

    def __init__(self, port):
        self.to, self.lost, self.passed = ("127.0.0.1", port), 0, 0
        self.selector = selectors.DefaultSelector()
        self.socket = self.bound()
        self.port = self.socket.getsockname()[1]
        self.senders, self.flows = {}, collections.Counter()
        self.open = {}  # sender: sequence number of the first of the last messages, all lost
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.work, daemon=True)

    @staticmethod
    def bound():
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        s.bind(("127.0.0.1", 0))
        return s

    def __enter__(self):
        self.selector.register(self.socket, selectors.EVENT_READ)
        self.thread.start()
        return self

    def work(self):
        while not self.over.is_set():
            if self.selector.select(0.05):
                self.hand_on(*self.socket.recvfrom(65536))

    def hand_on(self, message, sender):
        sequence, flows = int.from_bytes(message[8:12], "big"), [s for s in sets(message) if s >= FLOW_SETS]
        self.flows[sender] += bool(flows)
        if flows and self.flows[sender] % LOSE == 2:
            self.open.setdefault(sender, sequence)
            return
        self.lost += sequence - self.open.pop(sender, sequence)
        out = self.senders.get(sender) or self.senders.setdefault(sender, self.bound())
        out.sendto(message, self.to)
        self.passed += 1

    def __exit__(self, *unused):
        self.over.set()
        self.thread.join(30)
        for s in (self.socket, *self.senders.values()):
            s.close()


class Probe:
    """l7probe that reads a pipe: it ends when that does."""

    def __init__(self, output, name):
        self.err = tempfile.TemporaryFile()
        self.child = subprocess.Popen((l7.L7PROBE, "-c", "/dev/null", "-r", "-", *l7.NO_TIMEOUTS, "--exporter", name, "-o", output, "--stats"),
                                      stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=self.err)

    def feed(self, octets):
        self.child.stdin.write(octets)
        self.child.stdin.flush()

    def end(self):
        """Its output's statistics."""
        self.child.stdin.close()
        status = self.child.wait(120)
        self.err.seek(0)
        done = l7.Done(status, "", self.err.read().decode())
        self.err.close()
        assert status == 0, done.err
        return done.stats["outputs"][0]

    def kill(self):
        self.child.kill()
        self.child.wait()


class Churn(unittest.TestCase):
    def setUp(self):
        stack = contextlib.ExitStack()
        self.addCleanup(stack.close)
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="l7test-"))
        authority = tls.Authority(folder, "ca")
        server = authority.issue("server", "DNS:localhost,IP:127.0.0.1")
        ports = l7.free_port(), l7.free_port(socket.SOCK_DGRAM)
        self.watch = stack.enter_context(l7.Watch("version: 1\nrules: []\n", more=(
            "-l", f"ipfix+tls://127.0.0.1:{ports[0]}?cert={server.cert}&key={server.key}", "-l", f"ipfix+udp://127.0.0.1:{ports[1]}")))
        self.streams = self.watch.port, ports[0]
        self.lossy = stack.enter_context(Lossy(ports[1]))
        self.outputs = {"tcp": f"ipfix+tcp://127.0.0.1:{self.watch.port}", "udp": f"ipfix+udp://127.0.0.1:{self.lossy.port}?rate=20000",
                        "tls": f"ipfix+tls://127.0.0.1:{ports[0]}?ca={authority.cert}"}
        with open(l7.corpus("1kxun.pcap"), "rb") as f:
            self.octets = f.read()
        self.probes, self.sent, self.born = [], collections.Counter(), 0
        self.addCleanup(lambda: [probe.kill() for _, probe in self.probes])

    def start(self, kind):
        self.born += 1
        probe = Probe(self.outputs[kind], f"{kind}-{self.born}")
        self.probes.append((kind, probe))
        probe.feed(self.octets[:40000])

    def end(self, count):
        """The oldest of them get the rest of their packets, and end."""
        ending, self.probes = self.probes[:count], self.probes[count:]
        for _, probe in ending:
            probe.feed(self.octets[40000:])
        for kind, probe in ending:
            o = probe.end()
            self.assertEqual((o["records"], 0), (o["sent"], o["dropped"]))
            self.sent[kind] += o["sent"]
        return [kind for kind, _ in ending]

    def test_hundred(self):
        kinds = ["tcp"] * TCP + ["tls"] * TLS + ["udp"] * UDP
        for i in range(len(kinds)):
            self.start(kinds[i * 37 % 100])  # mixed
        for _ in range(ROUNDS):
            l7.wait_for("100 are there", lambda: sum(p.child.poll() is None for _, p in self.probes) == 100)
            l7.wait_for("those of connections have one", lambda: established(self.streams) == TCP + TLS)
            for kind in self.end(50):
                self.start(kind)
        self.end(100)
        self.assertEqual(100 + 50 * ROUNDS, self.born)
        self.assertGreater(self.lossy.lost, self.sent["udp"] // (3 * LOSE))
        l7.wait_for("all datagrams have come", lambda: not any(l7.udp_queue(port)[0] for port in (self.lossy.port, self.lossy.to[1])))
        ended = self.watch.stop()
        stats = ended.stats
        self.assertEqual(0, ended.status, ended.err)
        self.assertEqual((sum(self.sent.values()) - self.lossy.lost, self.lossy.lost), (stats["records"], stats["lost"]), ended.err)
        self.assertEqual((0, 0, 0), (stats["doubles"], stats["late"], stats["kernel_drops"]))
        print(f"{self.born} probes, {sum(self.sent.values())} records, {self.lossy.lost} lost by UDP and counted")


if __name__ == "__main__":
    l7.main()
