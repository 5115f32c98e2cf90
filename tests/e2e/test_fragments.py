#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Fragments belong to the flow of their first, in whatever order they come, with any number of workers, and if workers die. tshark
says how many octets each packet has.
"""
import collections
import itertools
import os
import random
import struct
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "bench"))
import crashes  # noqa: E402
import fragments  # noqa: E402
import frames as f  # noqa: E402
import l7  # noqa: E402
import mixload  # noqa: E402
import pcapio  # noqa: E402

START = 1_700_000_000 * 10**9
CLIENTS = {4: ("192.0.2.10", "198.51.100.80"), 6: ("2001:db8::10", "2001:db8:1::80")}
CAPTURES = ("teams.pcap", "1kxun.pcap", "skype.pcap", "wechat.pcap", "dns_dot.pcap", "KakaoTalk_talk.pcap")
COUNTS = ("fragments", "fragments_waited", "fragments_unknown", "fragments_crowded", "fragments_duplicate", "fragments_overlap",
          "fragments_tiny")
COPIES = 12
DEATHS = 20


def query(name):
    """With padding (RFC 7830), so that it fills several fragments."""
    option = struct.pack(">HH", 12, 1000) + bytes(1000)
    asked = f.dns_query(1, name)
    return asked[:10] + b"\0\1" + asked[12:] + struct.pack(">BHHIH", 0, 41, 4096, 0, len(option)) + option


def hello(name):
    """A ClientHello, and early data behind it."""
    return f.client_hello(name) + b"\x17\x03\x03\x08\x00" + bytes(2048)


class Orders(unittest.TestCase):
    """Each order of 4 fragments of a query and of 3 of a first segment."""

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.path = self.folder.name + "/orders.pcap"
        self.orders = []  # (version, protocol, port)
        packets = []
        for (version, (client, server)), kind in itertools.product(CLIENTS.items(), (f.UDP, f.TCP)):
            count = 4 if kind == f.UDP else 3
            for order in itertools.permutations(range(count)):
                port = 20000 + len(self.orders)
                self.orders.append((version, kind, port))
                if kind == f.UDP:
                    data = f.udp(client, server, port, 53, query("orders.example"))
                else:
                    data = f.tcp(client, server, port, 443, 1, 1, f.PSH | f.ACK, hello("orders.example"))
                size = ((len(data) + count - 1) // count + 7) & ~7
                cut = fragments.cut(f.ethernet(f.ip(client, server, kind, data)), size, port)
                self.assertEqual(count, len(cut))
                packets += [cut[i] for i in order]
        pcapio.write(self.path, [(START + i * 10**7, frame, len(frame)) for i, frame in enumerate(packets)])

    def said_by_tshark(self):
        """{id of the packet: octets of its fragments}"""
        done = l7.run(["tshark", "-n", "-r", self.path, "-o", "ip.defragment:FALSE", "-o", "ipv6.defragment:FALSE", "-T", "fields",
                       "-e", "ip.id", "-e", "ipv6.fraghdr.ident", "-e", "ip.len", "-e", "ipv6.plen"])
        octets = collections.Counter()
        for line in done.out.splitlines():
            id4, id6, len4, len6 = line.split("\t")
            octets[int(id4 or id6, 16)] += int(len4) if len4 else int(len6) + 40
        return octets

    def check(self, flows, stats):
        self.assertEqual(60, len(self.orders))
        octets = self.said_by_tshark()
        by_port = {flow["src_port"]: flow for flow in flows}
        self.assertEqual((60, 60), (len(flows), len(by_port)))
        for version, kind, port in self.orders:
            flow = by_port[port]
            count, name, app = (4, "dns_query", "DNS") if kind == f.UDP else (3, "sni", "TLS")
            client, server = CLIENTS[version]
            self.assertEqual((client, server, kind, 53 if kind == f.UDP else 443),
                             tuple(flow[key] for key in ("src_ip", "dst_ip", "protocol", "dst_port")))
            self.assertEqual((count, octets[port], 0), tuple(flow[key] for key in ("packets", "octets", "rev_packets")))
            self.assertEqual(10 * (count - 1), flow["end_ms"] - flow["start_ms"])
            self.assertEqual((app, "dpi", "orders.example"), (flow["master"], flow["confidence"], flow[name]))
        self.assertEqual(sum(octets[p] for _, _, p in self.orders), sum(flow["octets"] for flow in flows))
        self.assertEqual((228, 0, 0, 0, 0, 0), tuple(stats[key] for key in COUNTS if key != "fragments_waited"))

    def test_orders(self):
        for workers in ("1", "3"):
            done = l7.probe_flows(self.path, "-w", workers)
            self.check(done.flows, done.stats)


class Load(unittest.TestCase):
    """Captures in fragments, of which some are missing, doubled, overlap, or come late."""

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder, cls.path = folder.name, folder.name + "/load.pcap"
        mixload.make(cls.path + ".whole", [l7.corpus(name) for name in CAPTURES], COPIES, seed=7, span=20)
        fragments.load(cls.path, pcapio.read(cls.path + ".whole")[1], random.Random(7))

    def test_workers(self):
        clean = None
        for workers in ("1", "1", "2", "4"):
            done = l7.probe("-r", self.path, "-w", workers, "-o", "json:-", "--stats")
            self.assertEqual((0, 0), (done.status, done.stats["worker_restarts"]), done.err)
            found = (collections.Counter(crashes.shape(flow) for flow in done.flows), {key: done.stats[key] for key in COUNTS})
            clean = clean or found
            self.assertEqual(clean, found, workers)
            kept = done.stats["packets"] - sum(kind["packets"] for kind in done.stats["refused"].values())
            self.assertEqual(kept, sum(flow["packets"] + flow["rev_packets"] for flow in done.flows))
        self.assertEqual(0, clean[1]["fragments_crowded"])
        for key in set(COUNTS) - {"fragments_crowded"}:
            self.assertGreater(clean[1][key], 0, key)

    @staticmethod
    def stateless(records):
        """Without their state, which says whether a classification ended that a death may have ended."""
        found = collections.Counter()
        for record, n in records.items():
            found[record[:crashes.COUNTED.index("state")]] += n
        return found

    def test_deaths(self):
        clean = crashes.Run(self.path, 2, 0, 0, self.folder)
        records, counters, _ = clean.result()
        records = self.stateless(records)
        deaths = seed = 0
        while deaths < DEATHS and seed < DEATHS:
            seed += 1
            run = crashes.Run(self.path, 2, 10, seed, self.folder, clean.seconds / 20)
            again, counted, done = run.result()
            self.assertEqual((0, counters), (run.status, counted), done.err)
            again = self.stateless(again)
            self.assertEqual(([], []), (list((records - again).items())[:2], list((again - records).items())[:2]), f"seed {seed}")
            deaths += done.stats["worker_restarts"]
        self.assertGreaterEqual(deaths, DEATHS)


if __name__ == "__main__":
    l7.main()
