#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What a mirror port may do to traffic: send each packet twice, or one direction only. It is said, and --dedup undoes the first."""
import os
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import frames  # noqa: E402
import l7  # noqa: E402
import pcapio  # noqa: E402

COPY_NS = 150_000  # how much later a copy comes
START = 1_600_000_000 * 10**9
# With them the packets that hosts sent twice at once and that have no identification, equal acknowledgements and resets:
# where everything is doubled they are taken for copies, too.
DOUBLED = {"telegram.pcap": 0, "netflix.pcap": 0, "tor.pcap": 0, "teams.pcap": 1, "reddit.pcap": 31, "zoom2.pcap": 8}
# Of nDPI's captures those in which packets were recorded twice: octet for octet, identification and checksum with them. The
# 14 of wechat.pcap and the one of starcraft_battle.pcap are UDP without identification, perhaps sent twice.
WITH_COPIES = {"1kxun.pcap": 251, "alexa-app.pcapng": 7, "capwap.pcap": 2, "dcerpc.pcap": 8, "dnp3.pcap": 362,
               "dropbox.pcap": 20, "dtls.pcap": 1, "instagram.pcap": 2, "pps.pcap": 350,
               "quic-mvfst-22_decryption_error.pcap": 117, "reasm_crash_anon.pcapng": 12, "rtsp.pcap": 284,
               "starcraft_battle.pcap": 1, "viber.pcap": 3, "wechat.pcap": 14}


def sums(done):
    return {(f["src_ip"], f["src_port"], f["dst_ip"], f["dst_port"], f["protocol"], f["start_ms"]):
            (f["packets"], f["octets"], f.get("rev_packets", 0), f.get("rev_octets", 0)) for f in done.flows}


class Mirror(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.made = folder.name + "/made.pcap"

    def double(self, packets):
        twice = [packet for time, frame, wire in packets
                 for packet in ((time, frame, wire), (time + COPY_NS, frame, wire))]
        pcapio.write(self.made, sorted(twice, key=lambda p: p[0]))

    def flows(self, path, *more):
        done = l7.probe("-r", path, *l7.NO_TIMEOUTS, "-o", "json:-", "--stats", *more)
        self.assertEqual(0, done.status, done.err)
        return done

    def test_doubled(self):
        for name, equal in DOUBLED.items():
            with self.subTest(name=name):
                self.double(pcapio.read(l7.corpus(name))[1])
                self.check_doubled(l7.corpus(name), equal)

    def test_doubled_ipv6(self):
        """No identification: handshakes, data and acknowledgements all the same."""
        said = [(True, frames.client_hello("six.example")), (False, b"x" * 5000), (True, b"y" * 3000)] * 10
        packets = [(START + i * 10**7, frame, len(frame)) for i, frame in
                   enumerate(frames.conversation("2001:db8::1", "2001:db8::2", 40000, 443, said))]
        pcapio.write(self.made + ".once", packets)
        self.double(packets)
        self.check_doubled(self.made + ".once", 0)

    def check_doubled(self, path, equal):
        once, twice = self.flows(path), self.flows(self.made)
        self.assertEqual(2 * once.stats["packets"], twice.stats["packets"])
        self.assertEqual("", once.said)
        if once.stats["duplicate_sample"] >= 64:
            self.assertRegex(twice.said, "of every 100 packets (4[0-9]|50) are copies of others.*--dedup")
        for workers in ("1", "3"):
            undone = self.flows(self.made, "--dedup", "-w", workers)
            self.assertEqual("", undone.said)
            refused = sum(kind["packets"] for kind in once.stats["refused"].values())
            self.assertEqual(once.stats["packets"] - refused + equal, undone.stats["duplicate_packets"])
            if equal == 0:
                self.assertEqual(sums(once), sums(undone))

    def test_no_false_copies(self):
        """All captures but those that hold true copies lose nothing to --dedup."""
        found = {}
        for name in sorted(os.listdir(l7.CORPUS)):
            if not name.endswith((".pcap", ".pcapng", ".cap")):
                continue
            done = l7.probe("-r", l7.corpus(name), "-o", "json+file:///dev/null", "--dedup", "--stats")
            if done.status == 0 and done.stats["duplicate_packets"]:
                found[name] = done.stats["duplicate_packets"]
        self.assertEqual(WITH_COPIES, found)

    def one_way(self, keep, count=120):
        """So many connections, of which only the packets that keep(frame) wants are seen."""
        packets = []
        for i in range(count):
            host = f"10.1.{i // 250}.{i % 250 + 1}"
            for frame in frames.conversation(host, "10.2.0.1", 40000 + i, 80, [(True, b"GET / HTTP/1.0\r\n\r\n"),
                                                                              (False, b"HTTP/1.0 200 OK\r\n\r\n")]):
                if keep(frame):
                    packets.append((START + len(packets) * 10**6, frame, len(frame)))
        pcapio.write(self.made, packets)
        return self.flows(self.made)

    def test_one_direction(self):
        server = frames.address("10.2.0.1")
        for seen in (26, 30):
            done = self.one_way(lambda frame, seen=seen: frame[seen:seen + 4] == server)
            self.assertEqual("l7probe: warning: only one direction is seen of 120 of 120 TCP flows: does the mirror port carry "
                             "both, does the answer take another way?", done.said)
            self.assertEqual((120, 0), (done.stats["tcp_one_way"], done.stats["tcp_two_way"]))

    def test_both_directions(self):
        done = self.one_way(lambda frame: True)
        self.assertEqual(("", 0, 120), (done.said, done.stats["tcp_one_way"], done.stats["tcp_two_way"]))

    def test_scan(self):
        """Nobody answers a scan; that is no fault of the mirror."""
        done = self.one_way(lambda frame: frame[47] == frames.SYN)
        self.assertEqual(("", 0, 120), (done.said, done.stats["tcp_one_way"], len(done.flows)))


if __name__ == "__main__":
    l7.main()
