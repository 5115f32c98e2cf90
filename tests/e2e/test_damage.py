#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Damaged frames make no flow that is not in them: a flow has no more packets than tshark reads its key in (addresses, ports, protocol),
looked into tunnels and not. Captures that end early are read as far as they go. What a sanitizer says of such captures is in
test_sanitize.py; ./dev soak does more of both.
"""
import os
import struct
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import damage  # noqa: E402
import keys  # noqa: E402
import l7  # noqa: E402

SEEDS = (1, 2, 3, 4)
FRAMES = 20_000
LENGTHS = ("dns_dot.pcap", "http_ipv6.pcap", "ip_fragmented_garbage.pcap", "teams.pcap", "malformed_icmp.pcap")
CUT = ("dns_dot.pcap", "dnscrypt_skype_false_positive.pcapng")


def ends(data):
    """[(where a record ends, does it hold a packet?)] of a capture, the first is what has to be there before packets."""
    if data[:4] == b"\x0a\x0d\x0d\x0a":
        at, found = 0, []
        while at < len(data):
            kind, size = struct.unpack_from("<II", data, at)
            at += size
            if kind != 0x0A0D0D0A:
                found.append((at, kind == 6))
        return found
    at, found = 24, [(24, False)]
    while at < len(data):
        at += 16 + struct.unpack_from("<I", data, at + 8)[0]
        found.append((at, True))
    return found


class Damage(unittest.TestCase):
    def check(self, path, least, *more):
        flows, strange = keys.check(path, *more)
        self.assertGreaterEqual(flows, least)
        self.assertEqual([], strange[:5], path)
        os.unlink(path)

    def test_changed_and_cut(self):
        for seed in SEEDS:
            path = damage.temporary(f"keys-{seed}.pcap")
            damage.sample(path, seed, FRAMES)
            self.check(path, FRAMES // 10)

    def test_every_length(self):
        """The first packet of every capture of the corpus, and more of some."""
        for first, paths in ((1, damage.ethernet_captures()), (8, list(map(l7.corpus, LENGTHS)))):
            path = damage.temporary(f"keys-lengths-{first}.pcap")
            self.assertGreater(damage.every_length(paths, path, first), 5000)
            self.check(path, 5)

    def test_tunnels(self):
        path = damage.temporary("keys-tunnels.pcap")
        damage.tunnelled(path, 5, 400, but=damage.NOT_SWAPPED)
        self.check(path, 1000)
        damage.tunnelled(path, 6, 400, only=damage.NOT_SWAPPED)
        self.check(path, 50, "-o", "capwap.swap_fc:FALSE")

    def test_links(self):
        for path, more in damage.linked(5, 400):
            if more is not None:
                self.check(path, 1, *more)

    def test_fragments(self):
        path = damage.temporary("keys-fragments.pcap")
        damage.fragmented(path, 5, FRAMES)
        self.check(path, 100)


class Captures(unittest.TestCase):
    def check(self, path, data, packets, status):
        with open(path, "wb") as f:
            f.write(data)
        done = l7.probe("-r", path, *l7.NO_TIMEOUTS, "-o", "json:-", "--stats")
        self.assertEqual((status, packets, 0), (done.status, done.stats["packets"], done.stats["worker_restarts"]), (len(data), done.said))
        self.assertEqual(status != 0, bool(done.said), done.said)
        refused = sum(kind["packets"] for kind in done.stats["refused"].values())
        self.assertEqual(packets - refused, sum(f["packets"] + f["rev_packets"] for f in done.flows))

    def test_ends(self):
        """At the end of each record, one octet before, and after its header: what is whole is read, and what is not is said."""
        for name in CUT:
            with open(l7.corpus(name), "rb") as f:
                data = f.read()
            path, before, packets = damage.temporary("cut-" + name), None, 0
            for end, is_packet in ends(data)[:40]:
                if before is not None:
                    self.check(path, data[:before + 1], packets, 2)
                    self.check(path, data[:before + 16], packets, 2)
                    self.check(path, data[:end - 1], packets, 2)
                packets += is_packet
                self.check(path, data[:end], packets, 0)
                before = end
            self.assertGreater(packets, 5)
            os.unlink(path)


if __name__ == "__main__":
    l7.main()
