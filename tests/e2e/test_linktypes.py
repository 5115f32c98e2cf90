#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Each link type and shim: a capture made from its standard gives the records of tests/golden/links.json, and tshark agrees.

    L7_GOLDEN=write tests/e2e/test_linktypes.py     writes that file: look at the difference before it is committed
"""
import collections
import os
import signal
import subprocess
import sys
import tempfile
import threading
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import frames  # noqa: E402
import golden  # noqa: E402
import l7  # noqa: E402
import links  # noqa: E402
from space import Space, words  # noqa: E402

FIELDS = ("ip.src", "ip.dst", "ipv6.src", "ipv6.dst", "ip.len", "ipv6.plen", "tcp.srcport", "tcp.dstport", "udp.srcport",
          "udp.dstport", "vlan.id", "eth.src", "eth.dst", "wlan.sa", "wlan.da")


def refused(stats):
    return {k: v["packets"] for k, v in stats["refused"].items() if v["packets"]}


# What tshark has to be told: that a pseudowire has no control word; which frame we refuse, and it shows one packet of.
TSHARK_MORE = {"mpls-ethernet-plain": ("-d", "mpls.label==17,pwethnocw"), "wifi-odd": ("-Y", "frame.number != 3")}


def tshark(path, more=()):
    """Counter of (source, destination, ports, VLAN) in packets and in octets of IP."""
    argv = ["tshark", "-n", "-r", path, "-o", "ip.defragment:FALSE", "-T", "fields", "-E", "occurrence=l", "-E", "separator=|", *more]
    for field in FIELDS:
        argv += ["-e", field]
    sums = collections.Counter()
    for line in l7.run(argv).out.splitlines():
        f = dict(zip(FIELDS, line.split("|")))
        if not (f["ip.src"] or f["ipv6.src"]):
            continue
        key = (f["ip.src"] or f["ipv6.src"], f["ip.dst"] or f["ipv6.dst"], int(f["tcp.srcport"] or f["udp.srcport"] or 0),
               int(f["tcp.dstport"] or f["udp.dstport"] or 0))
        sums[key, "packets"] += 1
        sums[key, "octets"] += int(f["ip.len"] or int(f["ipv6.plen"]) + 40)
        macs = (f["wlan.sa"] or f["eth.src"], f["wlan.da"] or f["eth.dst"])
        if all(macs):
            sums[key, "macs", macs] = 1
        if f["vlan.id"]:
            sums[key, "vlan", int(f["vlan.id"])] = 1
    return sums


def counted(flows):
    """The same of records."""
    sums = collections.Counter()
    for f in flows:
        there = (f["src_ip"], f["dst_ip"], f.get("src_port", 0), f.get("dst_port", 0))
        back = (there[1], there[0], there[3], there[2])
        macs = (f.get("src_mac"), f.get("dst_mac"))
        for key, prefix, pair in ((there, "", macs), (back, "rev_", macs[::-1])):
            if not f.get(prefix + "packets"):
                continue
            sums[key, "packets"] += f[prefix + "packets"]
            sums[key, "octets"] += f[prefix + "octets"]
            if all(macs):
                sums[key, "macs", pair] = 1
            vlan = f.get("inner_vlan_id") or f.get("vlan_id")
            if vlan:
                sums[key, "vlan", vlan] = 1
    return sums


class LinkTypes(golden.Golden, unittest.TestCase):
    FILE = "links.json"
    KEPT = ("src_ip", "dst_ip", "src_port", "dst_port", "protocol", "vlan_id", "inner_vlan_id", "src_mac", "dst_mac", "packets", "octets",
            "rev_packets", "rev_octets", "start_ms", "end_ms", "tcp_flags", "rev_tcp_flags", "icmp_type_code", "app", "confidence",
            "http_host", "dns_query")
    captures = staticmethod(links.captures)

    def check(self, name):
        done = l7.probe_flows(self.path(name))
        self.assertEqual("", done.said)
        self.assertEqual(tshark(self.path(name), TSHARK_MORE.get(name, ())), counted(done.flows))
        self.check_golden(name, done.flows, refused=refused(done.stats))
        for workers in ("2", "3"):
            more = l7.probe_flows(self.path(name), "-w", workers)
            self.assertEqual(counted(done.flows), counted(more.flows))
            self.assertEqual(refused(done.stats), refused(more.stats))

    def test_behind_a_filter(self):
        """libpcap reads then, not plain_file.c."""
        done = l7.probe_flows(self.path("sll"), "-f", "tcp port 80")
        self.assertEqual({40080, 40081}, {f["src_port"] for f in done.flows})

    def test_different_ones_in_one_run(self):
        paths = [a for name in ("raw", "radiotap", "ethernet") for a in ("-r", self.path(name))]
        done = l7.probe(*paths, *l7.NO_TIMEOUTS, "-o", "json:-", "--stats")
        self.assertEqual(0, done.status, done.err)
        one = counted(l7.probe_flows(self.path("raw")).flows)
        self.assertEqual({k: 3 * n for k, n in one.items() if k[1] == "packets"},
                         {k: n for k, n in counted(done.flows).items() if k[1] == "packets"})

    def test_unknown(self):
        golden.write(self.path("unknown"), [bytes(64)], links.USB)
        for more in ((), ("-f", "ip")):
            done = l7.probe("-r", self.path("unknown"), "-o", "json:-", *more)
            self.assertEqual((2, ""), (done.status, done.out))
            self.assertRegex(done.said, r"unknown\.pcap: link type USB_LINUX \(189, .*\) is not supported$")


def add_tests():
    """One test per capture, so that each is counted and named."""
    for name in links.captures():
        def test(self, name=name):
            self.check(name)
        setattr(LinkTypes, "test_" + name.replace("-", "_"), test)


# Sends what comes on standard input as lines of hexadecimal out of the program's end of a tun: the kernel receives it there.
TUN = """
import fcntl, os, struct, sys
tun = os.open("/dev/net/tun", os.O_RDWR)
fcntl.ioctl(tun, 0x400454CA, struct.pack("16sH22x", b"tun0", 0x1001))  # TUNSETIFF: IFF_TUN | IFF_NO_PI
print("up", flush=True)
for line in sys.stdin:
    os.write(tun, bytes.fromhex(line))
print("ok", flush=True)
sys.stdin.close()
"""


@unittest.skipUnless(l7.can_build() and os.path.exists("/dev/net/tun"), "needs root, network namespaces and tun")
class Live(unittest.TestCase):
    """Without Ethernet in front: a tun has IP alone, "any" Linux's own header."""

    def tun(self, space):
        space.ip("tuntap", "add", "dev", "tun0", "mode", "tun")
        process = subprocess.Popen(space.inside("/usr/bin/python3", "-c", TUN), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   text=True)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.addCleanup(process.stdout.close)
        self.assertEqual("up\n", process.stdout.readline())
        space.ip("link", "set", "dev", "tun0", "up")
        return process

    def packets(self, net, hosts=24):
        """Of many pairs of hosts, both directions of each, twice."""
        every = []
        for i in range(1, hosts + 1):
            a, b, c, d = f"10.{net}.0.{i}", f"10.{net}.1.{i}", f"fd00:{net}::{i}", f"fd00:{net}::1:{i}"
            for src, dst, ports in ((a, b, (5000, 53)), (b, a, (53, 5000)), (c, d, (5000, 53)), (d, c, (53, 5000))):
                every += [frames.ip(src, dst, frames.UDP, frames.udp(src, dst, *ports, b"x"))] * 2
        return every

    def told(self, tun, packets):
        """communicate() returns when all of them are with the kernel, which hands them on at once."""
        out, _ = tun.communicate("".join(p.hex() + "\n" for p in packets), timeout=60)
        self.assertEqual("ok\n", out)

    def check(self, done, wanted):
        """wanted: {(interface, how often each packet was seen there): flows}"""
        self.assertEqual(0, done.status, done.err)
        self.assertEqual([], [line for line in words(done.err) if "tun0: packets may be merged" not in line])
        for flow in done.flows:
            self.assertEqual(flow["packets"], flow["rev_packets"], flow)
            self.assertNotIn("src_mac", flow)
        self.assertEqual(wanted, collections.Counter((f["ingress_if"], f["packets"] // 2) for f in done.flows))

    def test_tun(self):
        for workers in ("1", "3"):
            with Space() as space:
                tun = self.tun(space)
                index = space.index("tun0")
                with space.probe("-i", "tun0", "-f", "udp port 53", "-w", workers, *l7.NO_TIMEOUTS, "-o", "json:-") as probe:
                    self.told(tun, self.packets(1))
                    l7.settled(probe.child.pid)
                    done = probe.stop()
                self.check(done, {(index, 1): 48})

    def test_any(self):
        """Each flow says on which interface it was seen first. A frame goes out of one end of the veth and comes in at the other."""
        for workers in ("1", "3"):
            with Space("eth") as space:
                tun = self.tun(space)
                index = {name: space.index(name) for name in ("tun0", "ethx")}
                with space.probe("-i", "any", "-f", "udp port 53", "-w", workers, *l7.NO_TIMEOUTS, "-o", "json:-") as probe:
                    space.send(*[("eth", frames.ethernet(p)) for p in self.packets(2)])
                    self.told(tun, self.packets(1))
                    l7.settled(probe.child.pid)
                    done = probe.stop()
                self.check(done, {(index["tun0"], 1): 48, (index["ethx"], 2): 48})
                self.assertEqual({"name": "any", "index": 0, "state": "up"},
                                 {k: done.stats["interfaces"][0][k] for k in ("name", "index", "state")})

    def test_any_followed(self):
        """A reload gives "any" to other workers: nothing is lost, nor seen twice."""
        with tempfile.TemporaryDirectory(prefix="l7test-") as folder, Space("eth") as space:
            protocols = os.path.join(folder, "protocols.txt")
            with open(protocols, "w", encoding="utf-8") as f:
                f.write("udp:45001@First\n")
            frame = ("eth", frames.datagram("10.1.0.1", "10.2.0.1", 4000, 45001, b"numbered"), 100)
            over, sent = threading.Event(), []

            def send():
                while not over.is_set():
                    space.send(frame)
                    sent.append(100)

            with space.probe("-i", "any", "-f", "udp port 45001", "-w", "2", *l7.NO_TIMEOUTS, "--protocols", protocols, "-o",
                             "json:-") as probe:
                sender = threading.Thread(target=send)
                sender.start()
                try:
                    for n in range(1, 4):
                        with open(protocols, "a", encoding="utf-8") as f:
                            f.write(f"# {n}\n")
                        probe.child.send_signal(signal.SIGHUP)
                        l7.wait_for("all workers have it", lambda n=n: probe.err.count("all workers have") >= n)
                finally:
                    over.set()
                    sender.join()
                l7.settled(probe.child.pid)
                done = probe.stop()
            self.assertEqual(0, done.status, done.err)
            self.assertEqual(2 * sum(sent), done.stats["packets"] + sum(done.stats["drops"].values()))
            self.assertEqual((1, 0), (len(done.flows), done.stats["worker_restarts"]), done.err)


if __name__ == "__main__":
    add_tests()
    l7.main()
