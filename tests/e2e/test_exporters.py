#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Other exporters count the same packets: softflowd, pmacctd, and YAF if it is on the path.

Each reads one capture and sends IPFIX; packets and octets of each flow are ours. What is known to differ is
computed from the capture, not tolerated: softflowd counts what an Ethernet frame carries, its padding too.
"""
import collections
import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import ipfix  # noqa: E402
import l7  # noqa: E402
import pcapio  # noqa: E402
import sink  # noqa: E402

# IPv4 and IPv6, TCP, UDP, ICMP and others; frames with padding and without.
CAPTURES = ("telegram.pcap", "teams.pcap", "1kxun.pcap", "alexa-app.pcapng", "netbios.pcap", "dns_doh.pcap", "skype_no_unknown.pcap", "tor.pcap")
ROOM = "100000"    # flows that softflowd may have
TOTALS = ((0, 86), (0, 85), (29305, 86), (29305, 85))   # what YAF counts in, without --delta
DELTAS = (ipfix.PACKETS, ipfix.OCTETS, ipfix.REVERSE_PACKETS, ipfix.REVERSE_OCTETS)
PMACCTD = """
daemonize: false
pcap_savefile: %s
plugins: nfprobe
nfprobe_version: 10
nfprobe_receiver: 127.0.0.1:%d
aggregate: src_host, dst_host, src_port, dst_port, proto, tos, tcpflags
plugin_buffer_size: 1024000
plugin_pipe_size: 102400000
"""
WITH_PORTS = (6, 17)


def flow_key(a, b, protocol):
    """Of two ends (address, port), in any order."""
    return (*sorted((a, b)), protocol)


class Loose(ipfix.Reader):
    """Of others the records are read, and how their messages are numbered is their affair."""

    def feed(self, message):
        self.sequences.clear()
        super().feed(message)


def sums(records):
    """Flow key > [packets, octets] of records of whichever exporter."""
    found = collections.defaultdict(lambda: [0, 0])
    for r in records:
        family, source, destination = (socket.AF_INET, 8, 12) if (0, 8) in r else (socket.AF_INET6, 27, 28)
        protocol = r[0, 4][0]
        ends = ((socket.inet_ntop(family, r[0, k]), ipfix.number(r, (0, port)) if protocol in WITH_PORTS else 0)
                for k, port in ((source, 7), (destination, 11)))
        key = flow_key(*ends, protocol)
        counts = DELTAS if ipfix.OCTETS in r else TOTALS
        packets, octets, rev_packets, rev_octets = (ipfix.number(r, k) for k in counts)
        for i, n in enumerate((packets + rev_packets, octets + rev_octets)):
            found[key][i] += n
    return found


def padding(path):
    """Flow key > octets behind the ends of its packets, in their Ethernet frames."""
    found = collections.Counter()
    for _, frame, wire in pcapio.read(path)[1]:
        kind, at = struct.unpack_from(">H", frame, 12)[0], 14
        if kind == 0x8100:
            kind, at = struct.unpack_from(">H", frame, 16)[0], 18
        if len(frame) != wire:
            raise AssertionError("a packet that is cut: take another capture")
        if kind == 0x0800:
            total, protocol, above = struct.unpack_from(">H", frame, at + 2)[0], frame[at + 9], at + 4 * (frame[at] & 15)
            ends = [socket.inet_ntop(socket.AF_INET, frame[at + i:at + i + 4]) for i in (12, 16)]
        elif kind == 0x86DD:
            total, protocol, above = 40 + struct.unpack_from(">H", frame, at + 4)[0], frame[at + 6], at + 40
            ends = [socket.inet_ntop(socket.AF_INET6, frame[at + i:at + i + 16]) for i in (8, 24)]
        else:
            continue
        ports = struct.unpack_from(">HH", frame, above) if protocol in WITH_PORTS else (0, 0)
        found[flow_key(*zip(ends, ports), protocol)] += wire - at - total
    return found


class Totals(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="l7test-")
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        cls.capture = os.path.join(cls.folder, "all.pcap")
        subprocess.run(["mergecap", "-a", "-F", "pcap", "-w", cls.capture, *map(l7.corpus, CAPTURES)], check=True, timeout=60)
        done = l7.probe("-r", cls.capture, *l7.NO_TIMEOUTS, "--tunnels", "outer", "-o", f"ipfix+file://{cls.folder}/ours", "--stats")
        if done.status != 0:
            raise AssertionError(done.err)
        reader = ipfix.StreamReader()
        with open(os.path.join(cls.folder, "ours"), "rb") as f:
            reader.push(f.read())
        cls.ours = sums(reader.records)
        cls.packets = done.stats["packets"]

    def need(self, program):
        if not shutil.which(program, path="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"):
            self.skipTest(f"{program} is not on the path")

    @staticmethod
    def received(hub):
        """What has come; who sent it has ended."""
        reader = Loose()
        for datagram in hub.finish():
            reader.feed(datagram)
        return sums(reader.records)

    def check(self, theirs, more=()):
        """Packets and octets of each flow, with `more` octets of some."""
        self.assertEqual({k: [packets, octets + (more[k] if more else 0)] for k, (packets, octets) in self.ours.items()}, theirs)

    def test_the_captures(self):
        """All is in there, and there is something to differ in."""
        self.assertEqual(self.packets, sum(packets for packets, _ in self.ours.values()) + self.unread())
        self.assertTrue({1, 2, 6, 17, 58} <= {protocol for _, _, protocol in self.ours})
        self.assertTrue(any(":" in a for (a, _), _, _ in self.ours))
        self.assertGreater(sum(padding(self.capture).values()), 1000)

    def unread(self):
        """Frames that have no IP packet."""
        kinds = [struct.unpack_from(">H", frame, 12)[0] for _, frame, _ in pcapio.read(self.capture)[1]]
        return sum(kind not in (0x0800, 0x86DD, 0x8100) for kind in kinds)

    def test_softflowd(self):
        self.need("softflowd")
        hub = sink.Sink()
        done = l7.run(("softflowd", "-r", self.capture, "-d", "-c", "none", "-p", os.path.join(self.folder, "pid"), "-m", ROOM,
                       "-v", "10", "-b", "-n", f"127.0.0.1:{hub.port}"))
        self.assertEqual(0, done.status, done.err)
        self.check(self.received(hub), padding(self.capture))

    def test_pmacctd(self):
        self.need("pmacctd")
        hub = sink.Sink()
        config = os.path.join(self.folder, "pmacctd.conf")
        with open(config, "w", encoding="ascii") as f:
            f.write(PMACCTD % (self.capture, hub.port))
        done = l7.run(("pmacctd", "-f", config))
        self.assertEqual(0, done.status, done.err)
        self.check(self.received(hub))

    def test_yaf(self):
        self.need("yaf")
        path = os.path.join(self.folder, "yaf")
        done = l7.run(("yaf", "--in", self.capture, "--out", path, "--no-stats"))
        self.assertEqual(0, done.status, done.err)
        reader = ipfix.StreamReader()
        with open(path, "rb") as f:
            reader.push(f.read())
        self.check(sums(reader.records))


if __name__ == "__main__":
    l7.main()
