#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Receivers that others wrote read what l7probe sends: tshark and nfcapd with nfdump.

The sums of three captures are compared with the probe's own JSON, and the
reader in tests/lib/ipfix.py checks what RFC 7011 demands of the messages.
"""
import collections
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import ipfix  # noqa: E402
import l7  # noqa: E402
import receivers  # noqa: E402
import town  # noqa: E402

CAPTURES = ("telegram.pcap", "teams.pcap", "1kxun.pcap")
HERE = os.path.dirname(os.path.abspath(__file__))
RECORD = os.path.join(l7.ROOT, "tests", "demo", "record.py")


def json_sums(path):
    flows = l7.probe_flows(path).flows
    return (len(flows), sum(f.get("packets", 0) + f.get("rev_packets", 0) for f in flows),
            sum(f.get("octets", 0) + f.get("rev_octets", 0) for f in flows))


def names(flows):
    return collections.Counter(f["app"] for f in flows)


class Sink:
    """Collects datagrams, or one connection's stream, until stopped."""

    def __init__(self, kind):
        self.socket = socket.socket(socket.AF_INET, kind)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.reader = ipfix.StreamReader()
        self.longest = 0
        self.error = None
        self.stream = kind == socket.SOCK_STREAM
        if self.stream:
            self.socket.listen(1)
        self.socket.settimeout(60)
        self.thread = threading.Thread(target=self.collect, daemon=True)
        self.thread.start()

    def collect(self):
        try:
            peer = self.socket.accept()[0] if self.stream else self.socket
            with peer:
                while True:
                    octets = peer.recv(65536)
                    if not octets or octets == b"end":
                        return
                    self.longest = max(self.longest, len(octets))
                    (self.reader.push if self.stream else self.reader.feed)(octets)
        except (OSError, ValueError) as error:
            self.error = error

    def finish(self):
        if not self.stream:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
                s.sendto(b"end", ("127.0.0.1", self.port))
        self.thread.join(60)
        self.socket.close()


class OwnReader(unittest.TestCase):
    """Over TCP and UDP the messages are what RFC 7011 says, and say what JSON says."""

    def check(self, kind, scheme):
        for name in CAPTURES:
            with self.subTest(name):
                path = l7.corpus(name)
                sink = Sink(kind)
                done = l7.probe("-r", path, *l7.NO_TIMEOUTS, "-o", f"{scheme}://127.0.0.1:{sink.port}", "-o", "json:-")
                self.assertEqual(0, done.status, done.err)
                sink.finish()
                self.assertIsNone(sink.error)
                records = sink.reader.records
                self.assertEqual(json_sums(path), (len(records),) + ipfix.sums(records))
                exported = collections.Counter(r[ipfix.APPLICATION_NAME].decode() for r in records)
                self.assertEqual(names(done.flows), exported)
                if kind == socket.SOCK_DGRAM:
                    self.assertLessEqual(sink.longest, 1400)

    def test_tcp(self):
        self.check(socket.SOCK_STREAM, "ipfix+tcp")

    def test_udp(self):
        self.check(socket.SOCK_DGRAM, "ipfix+udp")

    def test_early_records_keep_sums(self):
        for name in CAPTURES:
            with self.subTest(name):
                path = l7.corpus(name)
                sink = Sink(socket.SOCK_STREAM)
                done = l7.probe("-r", path, *l7.NO_TIMEOUTS, "-o", f"ipfix+tcp://127.0.0.1:{sink.port}?early=1")
                self.assertEqual(0, done.status, done.err)
                sink.finish()
                self.assertIsNone(sink.error)
                flows, packets, octets = json_sums(path)
                self.assertEqual((packets, octets), ipfix.sums(sink.reader.records))
                self.assertGreater(len(sink.reader.records), flows)

    def test_application_table(self):
        sink = Sink(socket.SOCK_STREAM)
        done = l7.probe("-r", l7.corpus("telegram.pcap"), "-o", f"ipfix+tcp://127.0.0.1:{sink.port}")
        self.assertEqual(0, done.status, done.err)
        sink.finish()
        table = {r[0, 95]: r[0, 96].rstrip(b"\0") for r in sink.reader.options if (0, 95) in r}
        self.assertIn(b"Telegram", table.values())
        for record in sink.reader.records:
            name = record[ipfix.APPLICATION_NAME].split(b".")[-1]
            if name != b"Unknown":
                self.assertEqual(name, table[record[0, 95]])


@unittest.skipUnless(l7.can_build(), "needs root and network namespaces")
class Tshark(unittest.TestCase):
    """tshark on a true capture of the export, on the loopback of a namespace of its own."""

    def setUp(self):
        self.space = f"l7recv{os.getpid()}"
        town.run("ip", "netns", "add", self.space)
        self.addCleanup(subprocess.run, ["ip", "netns", "del", self.space], capture_output=True)
        town.run("ip", "-n", self.space, "link", "set", "lo", "up")

    def inside(self, *argv, **options):
        return subprocess.Popen(("ip", "netns", "exec", self.space) + argv, **options)

    def export(self, path, scheme, trace, options=""):
        """Runs the export to a sink in the namespace while it is recorded."""
        sink = self.inside("/usr/bin/python3", "-c", SINK, scheme, stdout=subprocess.PIPE)
        ear = self.inside("/usr/bin/python3", RECORD, "--listen", "lo", trace, stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE)
        try:
            sink.stdout.readline()
            ear.stdout.readline()
            done = l7.run(["ip", "netns", "exec", self.space, l7.L7PROBE, "-r", path, *l7.NO_TIMEOUTS,
                           "-o", f"{scheme}://127.0.0.1:4739{options}"])
            self.assertEqual(0, done.status, done.err)
            time.sleep(0.3)
            ear.stdin.close()
            ear.wait(60)
        finally:
            for child in (sink, ear):
                child.kill()
                child.wait()
                child.stdout.close()

    def check(self, scheme, transport):
        for name in CAPTURES:
            with self.subTest(name), tempfile.TemporaryDirectory() as folder:
                trace = folder + "/export.pcap"
                self.export(l7.corpus(name), scheme, trace)
                self.compare(l7.corpus(name), trace, transport)

    def compare(self, path, trace, transport, name="cflow.appl_name"):
        done = l7.run(["tshark", "-n", "-r", trace, "-d", f"{transport}.port==4739,cflow", "-Y", "cflow", "-o", "cflow.max_template_fields:0",
                       "-T", "fields", "-E", "aggregator=\x1f", "-e", name, "-e", "cflow.octets",
                       "-e", "_ws.malformed", "-e", "cflow.srcaddr", "-e", "cflow.srcaddrv6"])
        exported, octets, flows = collections.Counter(), 0, 0
        for line in done.out.splitlines():
            # octets and names stand in records' order; the options tables have names but no octets
            columns = [c.split("\x1f") if c else [] for c in line.split("\t")]
            self.assertEqual([], columns[2], "tshark calls it malformed")
            count = len(columns[3]) + len(columns[4])
            if count:
                exported.update(columns[0][-count:])
            flows += count
            octets += sum(int(o) for o in columns[1])
        found = l7.probe_flows(path).flows
        self.assertEqual(len(found), flows)
        self.assertEqual(names(found), exported)
        self.assertEqual(sum(f.get("octets", 0) + f.get("rev_octets", 0) for f in found), octets)

    def test_tcp(self):
        self.check("ipfix+tcp", "tcp")

    def test_udp(self):
        self.check("ipfix+udp", "udp")

    def test_profiles(self):
        """The other templates with a record per flow, of IPv4 and IPv6; ntop's has its own element for the name."""
        for template, capture in (("ntop", "telegram.pcap"), ("security", "http_ipv6.pcap"), ("full", "telegram.pcap")):
            with self.subTest(template), tempfile.TemporaryDirectory() as folder:
                trace = folder + "/export.pcap"
                self.export(l7.corpus(capture), "ipfix+udp", trace, "?template=" + template)
                self.compare(l7.corpus(capture), trace, "udp",
                             "cflow.pie.ntop.l7_proto_name" if template == "ntop" else "cflow.appl_name")


# A collector that reads and forgets, as a program of its own: it runs in a namespace.
SINK = """
import socket, sys
stream = sys.argv[1] == "ipfix+tcp"
s = socket.socket(socket.AF_INET, socket.SOCK_STREAM if stream else socket.SOCK_DGRAM)
s.bind(("127.0.0.1", 4739))
if stream: s.listen(1)
print("ready", flush=True)
if stream: s = s.accept()[0]
while s.recv(65536): pass
"""


class Nfcapd(unittest.TestCase):
    """nfdump's sums of what nfcapd took over UDP."""

    def collect(self, path, folder, profile):
        port = l7.free_port(socket.SOCK_DGRAM)
        with l7.Process(receivers.nfcapd(folder, port)) as nfcapd:
            l7.wait_for("nfcapd listens", lambda: l7.udp_queue(port))
            done = l7.probe("-r", path, *l7.NO_TIMEOUTS, "-t", profile, "-o", f"ipfix+udp://127.0.0.1:{port}")
            self.assertEqual(0, done.status, done.err)
            l7.wait_for("nfcapd has taken all", lambda: l7.udp_queue(port)[0] == 0 and l7.waits(nfcapd.child.pid))
            self.assertEqual(0, l7.udp_queue(port)[1], "the kernel dropped datagrams")
            nfcapd.stop()

    def sums(self, path, profile):
        with tempfile.TemporaryDirectory() as folder:
            self.collect(path, folder, profile)
            done = l7.run(["nfdump", "-R", folder, "-q", "-N", "-o", "fmt:%ipkt %ibyt %opkt %obyt"])
        rows = [[int(w) for w in line.split()] for line in done.out.splitlines() if line.strip()]
        return len(rows), sum(r[0] + r[2] for r in rows), sum(r[1] + r[3] for r in rows)

    def test_sums(self):
        for profile in ("standard", "ntop", "security", "full"):
            for name in (*CAPTURES, "http_ipv6.pcap"):
                with self.subTest(name, profile=profile):
                    self.assertEqual(json_sums(l7.corpus(name)), self.sums(l7.corpus(name), profile))

    def test_sums_of_halves(self):
        for name in (*CAPTURES, "http_ipv6.pcap"):
            with self.subTest(name):
                path = l7.corpus(name)
                self.assertEqual(json_sums(path)[1:], self.sums(path, "iana")[1:])


if __name__ == "__main__":
    l7.main()
