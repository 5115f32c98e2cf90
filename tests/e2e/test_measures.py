#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Measures of flows are what tshark's packets and its own analysis of TCP say.

Link, sizes and times are worked out here from tshark's packets. Of TCP,
tshark's rules are not ours (probe/flow/flow_segments.h): it tells segments out
of order from those sent again by time alone, and so calls much that was sent
again out of order. So the two together are compared, to the segment, in each
direction of each connection; each alone on captures where the rules agree.
"""
import collections
import math
import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import l7  # noqa: E402

PACKETS = ("teams.pcap", "http_ipv6.pcap", "mongodb.pcap", "ja3_lots_of_cipher_suites.pcap", "quic_t50.pcap",
           "skype.pcap", "whatsapp_login_chat.pcap", "1kxun.pcap")
BOTH = ("aimini-http.pcap", "alexa-app.pcapng", "bitcoin.pcap", "ethereum.pcap", "ftp-start-tls.pcap", "nintendo.pcap",
        "no_sni.pcap", "ookla.pcap", "pps.pcap", "teams.pcap", "webex.pcap", "whatsapp_login_chat.pcap")
# Of these every number is tshark's.
EACH = ("1kxun.pcap", "android.pcap", "anyconnect-vpn.pcap", "dnp3.pcap", "ftp.pcap", "hpvirtgrp.pcap",
        "googledns_android10.pcap")
CLOSED = ("skype.pcap",)
HANDSHAKES = ("teams.pcap", "skype.pcap", "http_ipv6.pcap", "1kxun.pcap", "no_sni.pcap")
KINDS = {"retransmits": "retransmission", "out_of_order": "out_of_order", "zero_windows": "zero_window"}

FIELDS = ("frame.time_epoch", "eth.src", "eth.dst", "vlan.id", "ip.src", "ipv6.src", "ip.dst", "ipv6.dst", "ip.ttl",
          "ipv6.hlim", "ip.dsfield", "ipv6.tclass", "ip.len", "ipv6.plen", "tcp.srcport", "udp.srcport", "tcp.dstport",
          "udp.dstport")
SPREAD = ("min", "mean", "max", "stddev")


def tshark(path, fields, *more):
    """Rows of text: every packet's fields, several values of one joined by commas."""
    argv = ["tshark", "-n", "-r", path, "-o", "ip.defragment:FALSE", "-o", "ipv6.defragment:FALSE", "-T", "fields"]
    for field in fields:
        argv += ["-e", field]
    done = l7.run(argv + list(more))
    return [line.split("\t") for line in done.out.splitlines()]


def microseconds(epoch):
    seconds, _, rest = epoch.partition(".")
    return int(seconds) * 1000000 + int(rest[:6])


class Packet:
    def __init__(self, row):
        f = dict(zip(FIELDS, (value.split(",") for value in row)))

        def first(*names):
            return next((f[n][0] for n in names if f[n][0]), None)

        self.us = microseconds(f["frame.time_epoch"][0])
        self.macs = f["eth.src"][0], f["eth.dst"][0]
        self.vlans = [int(v) for v in f["vlan.id"] if v]
        self.src = first("ip.src", "ipv6.src"), int(first("tcp.srcport", "udp.srcport"))
        self.dst = first("ip.dst", "ipv6.dst"), int(first("tcp.dstport", "udp.dstport"))
        self.ttl = int(first("ip.ttl", "ipv6.hlim"))
        self.tos = int(first("ip.dsfield", "ipv6.tclass"), 16)
        self.octets = int(f["ip.len"][0]) if f["ip.len"][0] else int(f["ipv6.plen"][0]) + 40
        self.protocol = 6 if f["tcp.srcport"][0] else 17


def key_of(protocol, one, other, vlan):
    return (protocol, vlan) + tuple(sorted((one, other)))


def flow_key(f):
    return key_of(f["protocol"], (f["src_ip"], f["src_port"]), (f["dst_ip"], f["dst_port"]), f.get("vlan_id", 0))


def spread(numbers):
    """(min, mean, max, stddev) in whole numbers, the mean to the nearest, stddev rounded down."""
    n, total = len(numbers), sum(numbers)
    variance = n * sum(x * x for x in numbers) - total * total
    return min(numbers), (total + n // 2) // n, max(numbers), math.isqrt(variance) // n


def gaps(packets):
    """From each packet to the next; one that is late comes at once, and the next counts from the latest."""
    found, last = [], packets[0].us
    for p in packets[1:]:
        found.append(max(0, p.us - last))
        last = max(last, p.us)
    return found


class Packets(unittest.TestCase):
    def expected(self, f, packets):
        """What the measures of a flow must be, None for what must be left out."""
        first = packets[0]
        turned = first.src != (f["src_ip"], f["src_port"])
        macs = first.macs[::-1] if turned else first.macs
        want = {"src_mac": macs[0], "dst_mac": macs[1], "inner_vlan_id": (first.vlans + [0, 0])[1] or None}
        for prefix, end in (("", "src"), ("rev_", "dst")):
            own = [p for p in packets if p.src == (f[end + "_ip"], f[end + "_port"])]
            ttls = [p.ttl for p in own] or [None]
            sizes = spread([p.octets for p in own]) if own else [None] * 4
            times = spread(gaps(own)) if len(own) > 1 else [None] * 4
            want[prefix + "ttl_min"], want[prefix + "ttl_max"] = min(ttls), max(ttls)
            for i, name in enumerate(SPREAD):
                want[f"{prefix}size_{name}"] = sizes[i]
                want[f"{prefix}iat_{name}_us"] = times[i]
            if prefix:
                want["rev_tos"] = own[0].tos if own else None
        return want

    def check(self, name):
        path = l7.corpus(name)
        packets = collections.defaultdict(list)
        for row in tshark(path, FIELDS, "-Y", "(tcp or udp) and not icmp and not icmpv6 and not ip.frag_offset > 0"):
            p = Packet(row)
            packets[key_of(p.protocol, p.src, p.dst, p.vlans[0] if p.vlans else 0)].append(p)
        flows = collections.defaultdict(list)
        for f in l7.probe_flows(path).flows:
            flows[flow_key(f)].append(f)
        compared = 0
        for key, found in flows.items():
            if len(found) > 1 or len(packets[key]) != found[0]["packets"] + found[0]["rev_packets"]:
                continue  # a connection of the same ports after another, or a fragment
            want = self.expected(found[0], packets[key])
            self.assertEqual(want, {k: found[0].get(k) for k in want}, key)
            compared += 1
        return compared

    def test_packets(self):
        compared = 0
        for name in PACKETS:
            with self.subTest(name):
                found = self.check(name)
                self.assertGreater(found, 0)
                compared += found
        self.assertGreater(compared, 500)


class CommunityId(unittest.TestCase):
    def test_tshark(self):
        """tshark has it of each packet; of ICMP, of the first."""
        compared = set()
        for name in ("teams.pcap", "http_ipv6.pcap", "malformed_icmp.pcap", "android.pcap", "1kxun.pcap"):
            known = set()
            for row in tshark(l7.corpus(name), ("communityid",), "--enable-protocol", "communityid"):
                known.update(row[0].split(","))
            with self.subTest(name):
                for f in l7.probe_flows(l7.corpus(name)).flows:
                    self.assertIn(f["community_id"], known, f)
                    compared.add((f["protocol"], f["community_id"]))
        self.assertLessEqual({1, 6, 17, 58}, {protocol for protocol, _ in compared})
        self.assertGreater(len(compared), 200)


class Tcp(unittest.TestCase):
    def flows(self, name):
        return [f for f in l7.probe_flows(l7.corpus(name)).flows if f["protocol"] == 6]

    def analysis(self, name, *keys):
        """Segments of these kinds by (source port, destination port)."""
        kinds = ["tcp.analysis." + KINDS[key] for key in keys]
        found = collections.Counter()
        for row in tshark(l7.corpus(name), ["tcp.srcport", "tcp.dstport"] + kinds, "-Y", " or ".join(kinds)):
            found[int(row[0].split(",")[0]), int(row[1].split(",")[0])] += sum(1 for value in row[2:] if value)
        return found

    def counted(self, name, *keys):
        found = collections.Counter()
        for f in self.flows(name):
            for key in keys:
                found[f["src_port"], f["dst_port"]] += f[key]
                found[f["dst_port"], f["src_port"]] += f["rev_" + key]
        return +found

    def compare(self, names, *keys):
        """How many there were, as many for tshark as for us."""
        total = 0
        for name in names:
            with self.subTest(name, keys=keys):
                expected = self.analysis(name, *keys)
                self.assertEqual(expected, self.counted(name, *keys))
                total += sum(expected.values())
        return total

    def test_both(self):
        self.assertGreater(self.compare(BOTH, "retransmits", "out_of_order"), 400)

    def test_each(self):
        self.assertGreater(self.compare(EACH, "retransmits"), 300)
        self.assertGreater(self.compare(EACH, "out_of_order"), 2)
        self.assertGreater(self.compare(EACH + CLOSED, "zero_windows"), 0)

    def test_handshake(self):
        """Both ways together are tshark's initial round trip, to the microsecond."""
        total = 0
        for name in HANDSHAKES:
            with self.subTest(name):
                expected = {}
                for a, b, rtt in tshark(l7.corpus(name), ("tcp.srcport", "tcp.dstport", "tcp.analysis.initial_rtt"),
                                        "-Y", "tcp.analysis.initial_rtt"):
                    expected[frozenset((int(a), int(b)))] = round(float(rtt) * 1000000)
                found = collections.defaultdict(list)
                for f in self.flows(name):
                    found[frozenset((f["src_port"], f["dst_port"]))].append(f)
                for ports, rtt in expected.items():
                    if len(found[ports]) != 1:
                        continue
                    f = found[ports][0]
                    self.assertAlmostEqual(rtt, f["rtt_client_us"] + f["rtt_server_us"], delta=1, msg=ports)
                    total += 1
        self.assertGreater(total, 100)


if __name__ == "__main__":
    l7.main()
