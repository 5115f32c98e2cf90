#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""An output with a spool over a link that stalls, resets, half-closes, or passes octet by octet: every record, in order."""
import contextlib
import os
import re
import socket
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import l7  # noqa: E402
import tls  # noqa: E402
from collector import Collector, places  # noqa: E402


class Link(tls.Proxy):
    """A proxy whose reset is that of a link: what it has acknowledged goes on, what was on the way to it is gone."""

    gentle = False

    def begin(self):
        super().begin()
        self.server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32768)  # of its connections: else it takes megabytes

    def reset(self, *ends):
        """The client alone, in a test of this file; the other end sees its stream end in the middle."""
        if not self.gentle:
            super().reset(*ends)
            return
        for end in ends:
            if end is self.client:
                super().reset(end)
            else:
                end.close()

    def full(self):
        """It reads nothing, and its client can write no more: what is in its buffer stays the same for a while."""
        sizes = set()
        for _ in range(15):
            sizes.add(len(self.client.recv(1 << 24, socket.MSG_PEEK | socket.MSG_DONTWAIT)))
            time.sleep(0.02)
        return len(sizes) == 1

    def reset_full(self):
        """To be called when full(): nothing is acknowledged any more. Looking does not make room."""
        octets = self.client.recv(1 << 24, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        self.gentle = True
        self.upstream.sendall(octets)
        self.upstream.shutdown(socket.SHUT_WR)
        self.resets += 1
        super().reset(self.client)
        self.go.set()

    def relay(self, client, server):
        self.upstream = server
        super().relay(client, server)


class SpoolLinks:
    """Of one transport: what differs is in make()."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.place, self.folder = folder.name, folder.name + "/spool"
        self.make()
        self.addCleanup(self.collector.close)
        self.link = self.enterContext(Link(self.collector.port))

    def uri(self, port, more=""):
        return f"{self.scheme}://127.0.0.1:{port}?spool={self.folder}{self.options}{more}"

    def argv(self, *more):
        return (l7.L7PROBE, "-o", self.uri(self.link.port), "--idle-timeout", "1", "--stats", "-v", *more)

    def to_send(self):
        """Records that are on disk and not acknowledged."""
        found = re.search(r"to send: ([\d,]+) records", l7.probe("spool", "ls", self.folder).out)
        return int(found.group(1).replace(",", "")) if found else 0

    @contextlib.contextmanager
    def chain(self):
        with tls.Feed(self.place) as feed, l7.Process(self.argv("-r", feed.path)) as probe:
            yield feed, probe

    def finish(self, done, made):
        """Returns how many came twice. All came; those of one stream in order once the doubles are dropped; none is half."""
        self.assertEqual(0, done.status, done.err)
        o = done.stats["outputs"][0]
        self.assertEqual((made, made, 0, 0), (o["records"], o["sent"], o["dropped"], o["spooled"]), done.err)
        l7.wait_for("all is through", lambda: not self.link.busy() and self.collector.finished())
        self.assertEqual([], self.collector.errors)
        came = places(self.collector.records)
        self.assertEqual(1, len({stream for stream, _ in came}))
        self.assertEqual(list(range(made)), list(dict.fromkeys(number for _, number in came)))
        for reader in self.collector.readers:
            numbers = places(reader.records)
            self.assertEqual(numbers, sorted(set(numbers)), "no connection has one twice")
        return len(came) - made, o

    def end(self, feed, probe):
        feed.end()
        return self.finish(probe.finish(), feed.made)

    def stall(self, feed, flows):
        """The link takes nothing; the records are made and on disk all the same."""
        came = len(self.collector.records)
        feed.flows(2048)  # flows end with each 512 packets
        l7.wait_for("some have come", lambda: len(self.collector.records) > came + 512)
        self.link.go.clear()
        before = self.to_send()
        feed.flows(flows)
        l7.wait_for("records are made while the link stalls", lambda: self.to_send() > before + flows // 2)

    def test_octet_by_octet(self):
        with self.chain() as (feed, probe):
            self.link.step = 1
            feed.flows(200)
            doubles, o = self.end(feed, probe)
        self.assertEqual((0, 0), (doubles, o["reconnects"]))

    def test_stalls(self):
        with self.chain() as (feed, probe):
            self.stall(feed, 8192)
            self.assertIsNone(probe.child.poll())
            self.link.go.set()
            doubles, o = self.end(feed, probe)
        self.assertEqual((0, 0), (doubles, o["reconnects"]))

    def test_resets(self):
        """Three times, full, in the middle of a message."""
        with self.chain() as (feed, probe):
            for i, flows in enumerate((50000, 8192, 8192)):  # the first are more than the socket takes
                self.stall(feed, flows)
                l7.wait_for("it is full", self.link.full)
                self.link.reset_full()
                l7.wait_for("another connection", lambda n=i + 2: self.link.connections == n)
                l7.wait_for("the backlog is through", lambda: self.to_send() < 1000)
            _, o = self.end(feed, probe)
        self.assertEqual(3, o["reconnects"])
        halves = [len(reader.rest) for reader in self.collector.readers[:3]]
        self.assertTrue(self.scheme == "ipfix+tls" or any(halves), halves)

    def test_half_closes(self):
        """The client is told that the stream is over while octets of it are on the way."""
        with self.chain() as (feed, probe):
            self.stall(feed, 8192)
            l7.wait_for("it is full", self.link.full)
            self.link.cut()
            l7.wait_for("it has noticed", lambda: "connection lost" in probe.err)
            self.link.go.set()
            l7.wait_for("another connection", lambda: self.link.connections == 2)
            l7.wait_for("the backlog is through", lambda: self.to_send() < 1000)
            doubles, o = self.end(feed, probe)
        self.assertEqual(1, o["reconnects"])
        self.assertGreater(doubles, 0)

    def test_away(self):
        """Nobody answers at all, and then somebody does."""
        with self.chain() as (feed, probe):
            self.stall(feed, 8192)
            l7.wait_for("it is full", self.link.full)
            self.link.stop()
            self.link.reset_full()
            l7.wait_for("it has noticed", lambda: "connection lost" in probe.err)
            before = self.to_send()
            feed.flows(5000)
            l7.wait_for("they wait", lambda: self.to_send() > before + 3000)
            self.link.begin()
            l7.wait_for("the backlog is through", lambda: self.to_send() < 1000)
            self.end(feed, probe)

    @unittest.skipUnless(l7.can_capture(), "needs root")
    def test_live(self):
        """The wire does not wait for a link: no record finds the ring full."""
        flows = 6000
        port = l7.free_port(socket.SOCK_DGRAM)
        with l7.Process(self.argv("-i", "lo", "-f", f"udp and dst port {port}")) as probe:
            l7.wait_for("it captures", lambda: "capturing on" in probe.err)
            l7.wait_for("a connection", lambda: self.link.connections == 1)
            self.link.go.clear()
            for n in range(flows):
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
                    s.bind((f"127.1.{n >> 8}.{n & 255}", 4000))
                    s.sendto(b"x" * 40, ("127.0.0.1", port))
            l7.wait_for("records are made while the link stalls", lambda: self.to_send() > flows // 2)
            self.link.go.set()
            done = probe.stop()
        self.assertEqual({"kernel": 0, "interface": 0, "ring": 0}, done.stats["drops"])
        self.finish(done, flows)

    def test_other_profile(self):
        """Two runs that nobody listens to, with two profiles, and one that comes through: two connections, each of one meaning."""
        port, made = l7.free_port(), []
        for name, template, to in (("telegram.pcap", "full", port), ("teams.pcap", "full", port),
                                   ("1kxun.pcap", "standard", self.link.port)):
            done = l7.probe("-r", l7.corpus(name), *l7.NO_TIMEOUTS, "-t", template, "-o", self.uri(to), "-o", "json:-", "--stats",
                            "--drain-timeout", "5")
            self.assertEqual(0, done.status, done.err)
            made += [int(flow["flow_id"]) for flow in done.flows]
        self.assertEqual(0, done.stats["outputs"][0]["spooled"])
        l7.wait_for("all is through", lambda: not self.link.busy() and self.collector.finished())
        self.assertEqual([], self.collector.errors)
        self.assertEqual(made, self.collector.ids)
        full, standard = (len(reader.flow_template()) for reader in self.collector.readers)
        self.assertGreater(full, standard)


class Tcp(SpoolLinks, unittest.TestCase):
    scheme, options = "ipfix+tcp", ""

    def make(self):
        self.collector = Collector()


class Tls(SpoolLinks, unittest.TestCase):
    scheme = "ipfix+tls"

    def make(self):
        authority = tls.Authority(self.place, "ca")
        self.options = f"&ca={authority.cert}"
        self.collector = Collector(pair=authority.issue("server", "DNS:localhost,IP:127.0.0.1"))


if __name__ == "__main__":
    l7.main()
