#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Each tunnel: a capture made from its RFC gives the records of tests/golden/tunnels.json, and tshark agrees on what is inside.

    L7_GOLDEN=write tests/e2e/test_tunnels.py     writes that file: look at the difference before it is committed
"""
import collections
import os
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import damage  # noqa: E402
import frames  # noqa: E402
import golden  # noqa: E402
import l7  # noqa: E402
import pcapio  # noqa: E402
import tunnels  # noqa: E402
from links import CLIENT, SERVER, ether, packets  # noqa: E402

COUNTERS = ("tunnel_packets", "tunnel_opaque", "tunnel_deep")
FIELDS = ("frame.protocols", "ip.src", "ip.dst", "ipv6.src", "ipv6.dst", "ip.len", "ipv6.plen", "tcp.srcport", "tcp.dstport",
          "udp.srcport", "udp.dstport", "sctp.srcport", "sctp.dstport")
PORTS = ("tcp", "udp", "sctp")
# Numbers of tunnels, as tshark calls them.
IDS = {"gre-key": "gre.key", "gre-ip6": "gre.key", "gre-ethernet": "gre.key", "pptp": "gre.key.call_id", "erspan-2": "erspan.spanid",
       "erspan-3": "erspan.spanid", "vxlan": "vxlan.vni", "vxlan-ip6": "vxlan.vni", "vxlan-group": "vxlan.vni", "geneve": "geneve.vni",
       "geneve-ip": "geneve.vni", "gtp": "gtp.teid", "gtp-extensions": "gtp.teid", "l2tp": "l2tp.tunnel"}
# What tshark has to be told: ports that it does not know, and that the order of octets is the standard's.
TSHARK_MORE = {"vxlan-linux": ("-d", "udp.port==8472,vxlan"), "capwap-wifi": ("-o", "capwap.swap_fc:FALSE")}
# What tshark takes for more than we do, or for less, is compared with itself alone: see the captures.
NOT_TSHARK = {"deep", "opaque", "plain"}


def tshark_lines(path, more=(), fields=FIELDS):
    """Per frame {field: [values, from the outermost on]}"""
    argv = ["tshark", "-n", "-r", path, "-o", "ip.defragment:FALSE", "-T", "fields", "-E", "occurrence=a", "-E", "separator=|", *more]
    for field in fields:
        argv += ["-e", field]
    for line in l7.run(argv).out.splitlines():
        yield {name: value.split(",") if value else [] for name, value in zip(fields, line.split("|"))}


def layers(f):
    """Names of protocols up to ICMP, in whose messages there are headers of others."""
    names = f["frame.protocols"][0].split(":")
    end = min(names.index(name) for name in ("icmp", "icmpv6", names[-1]) if name in names)
    return names[:end + 1]


def innermost(f):
    """(source, destination, ports), octets of IP"""
    names = layers(f)
    last = max(i for i, name in enumerate(names) if name in ("ip", "ipv6"))
    name, n = names[last], names.count(names[last]) - 1
    above = [p for p in names[last + 1:] if p in PORTS]
    ports = [int(f[f"{above[0]}.{side}port"][-1]) for side in ("src", "dst")] if above else [0, 0]
    octets = int(f["ip.len"][n]) if name == "ip" else int(f["ipv6.plen"][n]) + 40
    return (f[name + ".src"][n], f[name + ".dst"][n], *ports), octets


def seen(path, more=()):
    """What tshark sees: Counter of (ends, ends of the outermost) in packets and octets."""
    sums = collections.Counter()
    for f in tshark_lines(path, more):
        ends, octets = innermost(f)
        around = [name for name in layers(f) if name in ("ip", "ipv6")]
        around = (f[around[0] + ".src"][0], f[around[0] + ".dst"][0]) if len(around) > 1 else None
        sums[ends, around, "packets"] += 1
        sums[ends, around, "octets"] += octets
    return sums


def counted(flows):
    """The same of records."""
    sums = collections.Counter()
    for f in flows:
        there = (f["src_ip"], f["dst_ip"], f.get("src_port", 0), f.get("dst_port", 0))
        around = (f["outer_src_ip"], f["outer_dst_ip"]) if "tunnel" in f else None
        mirror = f.get("tunnel") in ("erspan", "tzsp")
        back = (there[1], there[0], there[3], there[2])
        for ends, prefix, pair in ((there, "", around), (back, "rev_", around if mirror or not around else around[::-1])):
            if f.get(prefix + "packets"):
                sums[ends, pair, "packets"] += f[prefix + "packets"]
                sums[ends, pair, "octets"] += f[prefix + "octets"]
    return sums


class Tunnels(golden.Golden, unittest.TestCase):
    FILE = "tunnels.json"
    KEPT = ("src_ip", "dst_ip", "src_port", "dst_port", "protocol", "vlan_id", "src_mac", "tunnel", "tunnel_id", "outer_src_ip",
            "outer_dst_ip", "packets", "octets", "rev_packets", "rev_octets", "app", "confidence", "http_host", "dns_query")

    @staticmethod
    def captures():
        return {name: (pcapio.ETHERNET, octets) for name, octets in tunnels.captures().items()}

    def check(self, name):
        done = l7.probe_flows(self.path(name))
        self.assertEqual("", done.said)
        self.check_golden(name, done.flows, counters=[done.stats[key] for key in COUNTERS])
        self.assertEqual(len(tunnels.captures()[name]), sum(f["packets"] + f["rev_packets"] for f in done.flows))
        if name not in NOT_TSHARK:
            self.assertEqual(seen(self.path(name), TSHARK_MORE.get(name, ())), counted(done.flows))
        for workers in ("2", "3"):
            self.assertEqual(counted(done.flows), counted(l7.probe_flows(self.path(name), "-w", workers).flows))

    def check_id(self, name, field):
        """The number is that of the flow's first packet."""
        wanted, flows = {}, l7.probe_flows(self.path(name)).flows
        fields = FIELDS + (field, "l2tp.session")
        for f in tshark_lines(self.path(name), TSHARK_MORE.get(name, ()), fields):
            if f[field]:
                number = int(f[field][0], 0)
                wanted.setdefault(innermost(f)[0], number << 16 | int(f["l2tp.session"][0]) if name == "l2tp" else number)
        for f in flows:
            ends = (f["src_ip"], f["dst_ip"], f["src_port"], f["dst_port"])
            self.assertEqual(wanted[ends] if "tunnel" in f else None, f.get("tunnel_id"), f)

    def test_ids(self):
        for name, field in IDS.items():
            with self.subTest(name):
                self.check_id(name, field)

    def test_both_directions_are_one_flow(self):
        for name in tunnels.captures():
            if name in NOT_TSHARK or name == "teredo":
                continue
            with self.subTest(name):
                for f in l7.probe_flows(self.path(name)).flows:
                    if "tunnel" in f:
                        self.assertGreater(f["rev_packets"], 0, f)

    def test_outer(self):
        """With --tunnels outer: nothing of what is inside, all of what tshark sees outside."""
        for name, octets in tunnels.captures().items():
            with self.subTest(name):
                done = l7.probe_flows(self.path(name), "--tunnels", "outer")
                self.assertEqual([0, 0, 0], [done.stats[key] for key in COUNTERS])
                self.assertEqual([], [f for f in done.flows if "tunnel" in f])
                self.assertEqual(len(octets), sum(f["packets"] + f["rev_packets"] for f in done.flows))
                self.assertEqual(sum(len(frame) - 14 for frame in octets), sum(f["octets"] + f["rev_octets"] for f in done.flows))

    def test_wrong(self):
        done = l7.probe("-r", self.path("gre"), "--tunnels", "both")
        self.assertEqual((1, 'l7probe: error: option --tunnels: it is "both", not inner or outer\n'), (done.status, done.err))


def add_tests():
    """One test per capture, so that each is counted and named."""
    for name in tunnels.captures():
        def test(self, name=name):
            self.check(name)
        setattr(Tunnels, "test_" + name.replace("-", "_"), test)


class Customers(unittest.TestCase):
    """Hosts with the same addresses in two tunnels are different hosts."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.file = folder.name + "/two.pcap"

    def flows(self, octets, *more):
        golden.write(self.file, octets)
        return [(f.get("tunnel_id"), f.get("outer_src_ip"), f["packets"], f["rev_packets"])
                for f in l7.probe_flows(self.file, *more).flows]

    def test_apart(self):
        two, one = packets(six=False)[:2], ["--flow-key", "vlan"]
        pairs = (tunnels.NEAR, tunnels.FAR), (tunnels.NEAR, "203.0.113.3")
        cases = {
            "vni": lambda p, n: tunnels.udp(p.forth, (50000, 4789), tunnels.vxlan(n + 1, ether(p))),
            "key": lambda p, n: tunnels.outer(p.forth, 47, tunnels.gre(0x0800, p.octets, n + 1)),
            "subnet": lambda p, n: tunnels.outer(p.forth, 47, tunnels.gre(0x6558, ether(p), 0x100000 + (n << 8) + 7 * p.forth)),
            "pair": lambda p, n: tunnels.outer(p.forth, 4, p.octets, pair=pairs[n]),
            "kind": lambda p, n: tunnels.outer(p.forth, *((4, p.octets), (47, tunnels.gre(0x0800, p.octets)))[n]),
            "vlan": lambda p, n: tunnels.outer(p.forth, 47, tunnels.gre(0x6558, tunnels.vlan(p, n + 1))),
            "depth": lambda p, n: tunnels.nested(p, n + 1),
            "inner key": lambda p, n: tunnels.outer(p.forth, 4, frames.ip4(CLIENT, SERVER, 47, tunnels.gre(0x0800, p.octets, n + 1))),
        }
        for name, case in cases.items():
            with self.subTest(name):
                octets = [case(p, n) for p in two for n in (0, 1)]
                self.assertEqual([(1, 1), (1, 1)], [f[2:] for f in self.flows(octets)])
                self.assertEqual([(1, 1), (1, 1)], [f[2:] for f in self.flows(octets, "-w", "3")])
                wanted = [(1, 1), (1, 1)] if name == "vlan" else [(2, 2)]
                self.assertEqual(wanted, [f[2:] for f in self.flows(octets, *one)])

    def test_outer_vlan(self):
        """Two tunnels of the same ends and number, on two VLANs."""
        octets = []
        for p in packets(six=False)[:2]:
            for vlan in (1, 2):
                frame = tunnels.udp(p.forth, (50000, 4789), tunnels.vxlan(7, ether(p)))
                octets.append(frames.ethernet(frame[14:], tags=[(0x8100, vlan)]))
        self.assertEqual([(1, 1), (1, 1)], [f[2:] for f in self.flows(octets)])
        self.assertEqual([(2, 2)], [f[2:] for f in self.flows(octets, "--flow-key", "tunnel")])

    def test_in_and_out(self):
        """The same conversation in a tunnel and, on the other side of its end, out of it."""
        octets = []
        for p in packets(six=False)[:2]:
            octets += [tunnels.outer(p.forth, 4, p.octets), ether(p)]
        self.assertEqual([(None, tunnels.NEAR, 1, 1), (None, None, 1, 1)], self.flows(octets))
        self.assertEqual([(1, 1), (1, 1)], [f[2:] for f in self.flows(octets, "--dedup")])
        self.assertEqual([(1, 1), (1, 1)], [f[2:] for f in self.flows([o for o in octets for _ in (0, 1)], "--dedup")])

    def test_ids_of_flows(self):
        """One flow_id in all runs; another in another tunnel."""
        ids = []
        for vni in (1, 2, 2):
            golden.write(self.file, [tunnels.udp(True, (50000, 4789), tunnels.vxlan(vni, ether(packets()[0])))])
            ids.append(l7.probe_flows(self.file).flows[0]["flow_id"])
        self.assertEqual(ids[1], ids[2])
        self.assertNotEqual(ids[0], ids[1])


class Fragments(unittest.TestCase):
    """Of a packet in fragments the first one has the tunnel; those after it are the outer flow's, whenever they come."""

    def test_fragments(self):
        with tempfile.TemporaryDirectory() as folder:
            path = folder + "/fragments.pcap"
            body = b"x" * 2000
            inner = frames.datagram(CLIENT, SERVER, 4000, 5000, body)
            pair = (tunnels.NEAR, tunnels.FAR)
            whole = frames.udp(*pair, 50000, 4789, tunnels.vxlan(7, inner))
            cuts = [(0, 1, whole[:1000]), (1000, 1, whole[1000:1800]), (1800, 0, whole[1800:])]
            octets = [frames.ethernet(frames.ip4(*pair, 17, part, id=9, fragment=more << 13 | at // 8)) for at, more, part in cuts]
            for order in ((0, 1, 2), (2, 1, 0), (1, 0, 2)):
                for workers in ("1", "2", "3", "4"):
                    golden.write(path, [octets[i] for i in order])
                    done = l7.probe_flows(path, "-w", workers)
                    found = sorted((f.get("tunnel", ""), f["src_ip"], f["src_port"], f["dst_port"], f["packets"], f["octets"])
                                   for f in done.flows)
                    self.assertEqual([("", tunnels.NEAR, 50000, 4789, 2, len(whole) - 1000 + 40),
                                      ("vxlan", CLIENT, 4000, 5000, 1, 2028)], found, (order, workers))
                    self.assertEqual(0, done.stats["fragments_unknown"])


class Damage(unittest.TestCase):
    """Cut anywhere, and with octets changed: each packet is counted once, and to a flow that tshark reads from it, too."""
    maxDiff = None

    def keys(self, path):
        """
        (addresses of some header of IP, ports of some other or 0) of all that tshark reads, in either order of octets. Frames in which
        it sees offload (a length of 0), and looks no further, are taken out of the capture.
        """
        found, more = set(), [a for options in TSHARK_MORE.values() for a in options]
        runs = [list(tshark_lines(path, options)) for options in (TSHARK_MORE["vxlan-linux"], more)]
        packets = pcapio.read(path)[1]
        kept = [i for i in range(len(packets)) if not any("0" in run[i]["ipv6.plen"] for run in runs)]
        pcapio.write(path, [packets[i] for i in kept])
        for f in (run[i] for run in runs for i in kept):
            pairs = list(zip(f["ip.src"], f["ip.dst"])) + list(zip(f["ipv6.src"], f["ipv6.dst"]))
            ports = [(0, 0)]
            for name in PORTS:
                ports += [(int(a), int(b)) for a, b in zip(f[name + ".srcport"], f[name + ".dstport"])]
            found.update(pair + two for pair in pairs for two in ports)
        return found, len(kept)

    def test_damage(self):
        path = damage.temporary("tunnels-keys.pcap")
        damage.tunnelled(path, 11, 100)
        seen, count = self.keys(path)
        done = l7.probe_flows(path)
        refused = sum(kind["packets"] for kind in done.stats["refused"].values())
        self.assertEqual(count, done.stats["packets"])
        self.assertEqual(count - refused, sum(f["packets"] + f["rev_packets"] for f in done.flows))
        self.assertGreater(done.stats["tunnel_packets"], count / 4)
        self.assertGreater(done.stats["tunnel_opaque"], count / 20)
        ours = {(f["src_ip"], f["dst_ip"], f["src_port"], f["dst_port"]) for f in done.flows}
        self.assertEqual(set(), {k for k in ours if not {k, (k[1], k[0], k[3], k[2])} & seen})


class Watched(unittest.TestCase):
    """The ends of a tunnel are hosts that have rules: these are not got round by what is inside."""
    RULES = f"""
version: 1
rules:
- {{id: 1, name: NEAR, type: allow, severity: high, match: {{host: {tunnels.NEAR}}}, allow: {{client: [DNS, TLS], server: [SSH]}}}}
- {{id: 2, name: NEAR6, type: allow, severity: high, match: {{host: "{tunnels.NEAR6}"}}, allow: {{client: [DNS, TLS], server: [SSH]}}}}
"""
    # A mirror's copies are no traffic of its ends.
    SAYS = {"6in4": "6in4", "ipip": "IP_in_IP", "4in6": "IP_in_IP", "gre": "GRE", "vxlan": "VXLAN", "geneve": "Geneve", "gtp": "GTP.GTP_U",
            "l2tp": "L2TP", "capwap": "CAPWAP", "erspan-2": None, "tzsp": None}

    def test_rules_of_ends(self):
        with tempfile.TemporaryDirectory(prefix="l7test-") as folder:
            rules, capture, records = (os.path.join(folder, name) for name in ("rules.yaml", "a.pcap", "a.ipfix"))
            with open(rules, "w", encoding="utf-8") as f:
                f.write(self.RULES)
            for name, app in self.SAYS.items():
                with self.subTest(name):
                    golden.write(capture, tunnels.captures()[name])
                    done = l7.probe("-r", capture, "-o", f"ipfix+file://{records}")
                    self.assertEqual(0, done.status, done.err)
                    done = l7.run((l7.L7WATCH, "-l", f"ipfix+file://{records}", "-R", rules, "-a", "json:-"))
                    self.assertEqual(0, done.status, done.err)
                    found = {(a["app"], a["subject"]["ip"]) for a in l7.json_lines(done.out)}
                    end = tunnels.NEAR6 if name == "4in6" else tunnels.NEAR
                    self.assertEqual({(app, end)} if app else set(), found)


class Corpus(unittest.TestCase):
    """nDPI's captures with tunnels: tshark reads the same from them."""
    maxDiff = None

    def test_corpus(self):
        for name in ("4in4tunnel.pcap", "4in6tunnel.pcap", "6in4tunnel.pcap", "6in6tunnel.pcap", "ipv6_in_gtp.pcap", "teredo.pcap"):
            with self.subTest(name):
                done = l7.probe_flows(l7.corpus(name))
                self.assertGreater(done.stats["tunnel_packets"], 0)
                wanted, found = collections.Counter(), collections.Counter()
                for f in tshark_lines(l7.corpus(name)):
                    ends, octets = innermost(f)
                    wanted[ends[:2]] += octets
                for f in done.flows:
                    found[f["src_ip"], f["dst_ip"]] += f["octets"]
                    found[f["dst_ip"], f["src_ip"]] += f["rev_octets"]
                self.assertEqual(wanted, +found)
        done = l7.probe_flows(l7.corpus("capwap.pcap"))
        self.assertEqual({("DHCP", "192.168.10.10"), ("ICMPV6", "192.168.10.10")} <=
                         {(f["app"], f["outer_src_ip"]) for f in done.flows if f.get("tunnel") == "capwap"}, True)


if __name__ == "__main__":
    add_tests()
    l7.main()
