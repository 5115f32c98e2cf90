#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
100 probes at once, 40 of them broken or hostile. The other 60 lose nothing, memory stays bounded, and each offence is counted.
"""
import os
import random
import socket
import struct
import sys
import threading
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "fuzz"))
import l7  # noqa: E402
import seeds  # noqa: E402

RULES = """
version: 1
rules:
- {id: 1, name: no Telegram, type: deny, severity: high, match: {app: Telegram, confidence: port}, dedup: {key: [subject], for: 1h}}
"""
GOOD, GARBAGE, HALF, SILENT, FLOOD = 60, 10, 10, 10, 10
MESSAGES, RECORDS = 200, 20  # of each good probe
TEMPLATES = 30000            # of each flood; a message has 20
FIELDS = [(0, 8, 4), (0, 12, 4), (0, 7, 2), (0, 11, 2), (0, 4, 1), (0, 96, 16), (32473, 1, 1)]
# Of 100 connections with their buffers, which are 64 KiB each, and the sessions' templates; measured: 6 MiB.
GROWTH_KIB = 16 << 10


def from_address(n):
    """Each probe has an address of its own in 127/8."""
    return f"127.0.{1 + n // 200}.{1 + n % 200}"


def rss(pid):
    return int(l7.status_of(pid)["VmRSS"].split()[0])


def waiting(port):
    """Octets that have come to a TCP port and are not read yet."""
    found = 0
    with open("/proc/net/tcp", encoding="ascii") as f:
        for words in (line.split() for line in f.readlines()[1:]):
            if int(words[1].rsplit(":", 1)[1], 16) == port and words[3] in ("01", "08"):
                found += int(words[4].split(":")[1], 16)
    return found


def record(n, app):
    """Of client 10.0.n.1; the confidence is 5, dpi."""
    return struct.pack(">IIHHB", 0x0A000001 + (n << 8), 0xC6336401, 40000, 443, 6) + app.ljust(16, b"\0") + b"\5"


class Probe:
    """A connection to l7watch from an address of its own."""

    def __init__(self, watch, n):
        self.n = n
        self.socket = socket.create_connection(("127.0.0.1", watch.port), source_address=(from_address(n), 0))

    def send(self, octets):
        self.socket.sendall(octets)

    def closed(self):
        """Whether l7watch has closed it."""
        self.socket.settimeout(0.01)
        try:
            return self.socket.recv(1) == b""
        except (TimeoutError, socket.timeout):
            return False
        except ConnectionError:
            return True

    def alive(self):
        """Whether it is still open and takes something."""
        return not self.closed()


def close(probes):
    for probe in probes:
        probe.socket.close()


def good(probe, go):
    """Many records that nothing is wrong with; the last one is of Telegram. Pieces of any size."""
    chance = random.Random(probe.n)
    go.wait()
    octets = seeds.message(0, seeds.a_set(2, seeds.template(256, FIELDS)), domain=probe.n)
    for m in range(MESSAGES):
        last = m == MESSAGES - 1
        body = record(probe.n, b"TLS") * (RECORDS - last) + (record(probe.n, b"TLS.Telegram") if last else b"")
        octets += seeds.message(m * RECORDS, seeds.a_set(256, body), domain=probe.n)
        if chance.random() < 0.5 and not last:
            continue
        cut = chance.randrange(len(octets))
        probe.send(octets[:cut])
        probe.send(octets[cut:])
        octets = b""


def garbage(probe, go):
    """No IPFIX, of several kinds; it is closed, so that sending may fail."""
    chance = random.Random(probe.n)
    kinds = (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", bytes(64), b"\xff" * 64, struct.pack(">HH", 10, 15) + bytes(60),
             b"\x16\3\1" + bytes(range(97)))
    go.wait()
    probe.send(kinds[probe.n % len(kinds)])
    for _ in range(50):
        try:
            probe.send(b"\xff" + chance.randbytes(4000))
        except OSError:
            return


def half(probe, go):
    """A good message, and most of another, whose rest never comes."""
    message = seeds.message(0, seeds.a_set(2, seeds.template(256, FIELDS)), seeds.a_set(256, record(probe.n, b"DNS")), domain=probe.n)
    go.wait()
    probe.send(message + message[:-7])


def silent(_, go):
    go.wait()


def flood(probe, go):
    """Templates of each id there is, as long as may be, in ever more observation domains."""
    fields = [(0, 1000 + i, 4) for i in range(40)]
    go.wait()
    for first in range(0, TEMPLATES, 20):
        content = b"".join(seeds.template(256 + (first + i) % 60000, fields) for i in range(20))
        probe.send(seeds.message(0, seeds.a_set(2, content), domain=first // 1000))


class Hundred(unittest.TestCase):
    def test_sixty_lose_nothing(self):
        with l7.Watch(RULES) as watch:
            kinds = [good] * GOOD + [garbage] * GARBAGE + [half] * HALF + [silent] * SILENT + [flood] * FLOOD
            before, go = rss(watch.child.pid), threading.Event()
            probes = [Probe(watch, n) for n in range(len(kinds))]
            l7.wait_for("all are connected", lambda: len(os.listdir(f"/proc/{watch.child.pid}/fd")) >= len(kinds))
            threads = [threading.Thread(target=kind, args=(probe, go)) for kind, probe in zip(kinds, probes)]
            for thread in threads:
                thread.start()
            go.set()
            most = 0
            while any(thread.is_alive() for thread in threads):
                for thread in threads:
                    thread.join(0.001)
                most = max(most, rss(watch.child.pid))
            l7.wait_for("an alert for each good one", lambda: len(watch.engaged()) == GOOD)
            by_kind = {kind: [p for k, p in zip(kinds, probes) if k is kind] for kind in set(kinds)}
            for probe in by_kind[garbage]:
                l7.wait_for("garbage is closed", probe.closed)
            l7.wait_for("all that came is read", lambda: waiting(watch.port) == 0)
            self.assertTrue(all(p.alive() for kind in (good, silent, flood, half) for p in by_kind[kind]))
            most = max(most, rss(watch.child.pid))
            ended = watch.stop()
            close(probes)
            subjects = {a["subject"]["ip"] for a in watch.engaged()}
        self.assertEqual(0, ended.status, ended.err)
        self.check(ended.stats)
        self.assertEqual({f"10.0.{n}.1" for n in range(GOOD)}, subjects)
        self.assertLess(most - before, GROWTH_KIB, f"grew from {before} to {most} KiB")

    def check(self, stats):
        refused = stats["refused"]
        floods = TEMPLATES // 20
        self.assertEqual(GOOD * MESSAGES * RECORDS + HALF, stats["records"])
        self.assertEqual(GOOD * (MESSAGES + 1) + HALF + FLOOD * floods, stats["messages"])
        self.assertEqual((0, 0, 0), (stats["lost"], stats["late"], stats["restarts"]))
        self.assertEqual(GOOD + HALF + FLOOD * TEMPLATES, stats["templates"])
        self.assertEqual(FLOOD * (TEMPLATES - 256), stats["evicted"]["templates"])  # 256 are what one session has
        self.assertEqual((GARBAGE, GARBAGE), (refused["garbage"], refused["bad_header"]))
        self.assertEqual((0, 0, 0), (refused["bad_set"], refused["bad_template"], refused["no_template"]))
        self.assertEqual(GOOD + GARBAGE + HALF + SILENT + FLOOD, stats["connections"])
        self.assertEqual((GOOD, 0), (stats["alerts"], stats["alerts_lost"]))

    def test_limits_hold(self):
        """One address has 64 connections; that it is refused more is nothing to the others."""
        with l7.Watch(RULES) as watch:
            many = [Probe(watch, 0) for _ in range(80)]
            l7.wait_for("those beyond the limit are closed", lambda: sum(p.closed() for p in many) == 16)
            other = Probe(watch, 1)
            other.send(seeds.message(0, seeds.a_set(2, seeds.template(256, FIELDS)),
                                     seeds.a_set(256, record(1, b"TLS.Telegram")), domain=1))
            l7.wait_for("the other's alert", watch.engaged)
            self.assertEqual(64, sum(p.alive() for p in many))
            stats = watch.stop().stats
            close(many + [other])
        self.assertEqual((65, 16), (stats["connections"], stats["refused"]["connections"]))


if __name__ == "__main__":
    l7.main()
