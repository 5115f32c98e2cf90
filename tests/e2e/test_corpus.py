#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""On every capture of nDPI's corpus, records and refusals are what tshark counts.

Packets and octets are those of the outer IP packet (--tunnels outer); of the inner ones
there are as many. A refused frame counts with its length on the wire. tshark is told not to reassemble, and says itself
which frames have no IP, a broken IP header, or no ports of TCP or UDP, no type of ICMP.
"""
import collections
import glob
import multiprocessing.pool
import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import damage  # noqa: E402
import l7  # noqa: E402

FIELDS = ("frame.len", "frame.protocols", "ip.len", "ip.proto", "ip.frag_offset", "ipv6.plen", "ipv6.dst",
          "tcp.srcport", "udp.srcport", "icmp.type", "icmpv6.type", "ipv6.fraghdr.offset")
# What tshark may have before IP.
LINKS = ("eth", "sll", "null", "raw", "vlan", "ieee8021ad", "llc", "mpls", "pppoes", "ppp", "chdlc", "ethertype")
# Upper layers that must have ports or a type, and the field that tshark shows only then.
L4_FIELDS = {"6": "tcp.srcport", "17": "udp.srcport", "1": "icmp.type"}
# tshark does not tell these apart.
BROKEN_IP = ("truncated", "ip_header", "ip6_ext")


def tshark(path):
    """Yields {field: text} of each frame."""
    argv = ["tshark", "-n", "-r", path, "-o", "ip.defragment:FALSE", "-o", "ipv6.defragment:FALSE",
            "-T", "fields", "-E", "occurrence=f", "-E", "separator=|"]
    for field in FIELDS:
        argv += ["-e", field]
    done = l7.run(argv)
    for line in done.out.splitlines():
        yield dict(zip(FIELDS, line.split("|")))


def outer(protocols):
    """"ip" or "ipv6" if the frame carries it with nothing but link layers before it, else None."""
    for name in protocols.split(":"):
        if name in ("ip", "ipv6"):
            return name
        if name not in LINKS:
            return None
    return None


def judge(frame):
    """(kind of refusal or None, octets that it counts with) of one frame."""
    wire = int(frame["frame.len"])
    kind = outer(frame["frame.protocols"])
    if kind is None:
        return "not_ip", wire
    if kind == "ipv6":
        if not frame["ipv6.dst"]:
            return "broken_ip", wire
        return None, int(frame["ipv6.plen"]) + 40
    if not frame["ip.len"] or not frame["ip.proto"]:
        return "broken_ip", wire
    field = L4_FIELDS.get(frame["ip.proto"])
    if field and frame["ip.frag_offset"] in ("", "0") and not frame[field]:
        return "l4_truncated", wire
    return None, int(frame["ip.len"])


def expected(path):
    """Counter of (what, "packets" or "octets")."""
    sums = collections.Counter()
    for frame in tshark(path):
        kind, octets = judge(frame)
        sums[kind or "records", "packets"] += 1
        sums[kind or "records", "octets"] += octets
    return +sums


def counted(done):
    """The same from l7probe's records and statistics."""
    sums = collections.Counter()
    for f in done.flows:
        sums["records", "packets"] += f.get("packets", 0) + f.get("rev_packets", 0)
        sums["records", "octets"] += f.get("octets", 0) + f.get("rev_octets", 0)
    for kind, n in done.stats["refused"].items():
        name = "broken_ip" if kind in BROKEN_IP else kind
        sums[name, "packets"] += n["packets"]
        sums[name, "octets"] += n["octets"]
    return +sums


def judge_capture(path):
    """"" or what is wrong."""
    done = l7.probe("-r", path, "-o", "json:-", "--stats", "--tunnels", "outer")
    if done.status != (2 if path.endswith(damage.CUT) else 0):
        return f"exit {done.status}: {done.said}"
    if done.stats["worker_restarts"]:
        return f"{done.stats['worker_restarts']} worker restarts: {done.said}"
    want, got = expected(path), counted(done)
    inner = counted(l7.probe("-r", path, "-o", "json:-", "--stats"))
    if {k: n for k, n in inner.items() if k != ("records", "octets")} != {k: n for k, n in got.items() if k != ("records", "octets")}:
        return f"outside of tunnels {got}, inside {inner}"
    if want == got:
        return ""
    keys = sorted(set(want) | set(got))
    return "; ".join(f"{' '.join(k)}: tshark {want[k]}, l7probe {got[k]}" for k in keys if want[k] != got[k])


def check(path):
    try:
        return os.path.basename(path), judge_capture(path)
    except Exception as error:  # a capture's failure must not hide the others'
        return os.path.basename(path), repr(error)


class Corpus(unittest.TestCase):
    def test_every_capture(self):
        paths = sorted(p for p in glob.glob(l7.CORPUS + "/*") if p.endswith((".pcap", ".pcapng", ".cap")))
        self.assertGreater(len(paths), 250, "the corpus is not there: ./dev corpus")
        with multiprocessing.pool.ThreadPool(2) as pool:
            results = pool.map(check, paths, chunksize=1)
        print(f"{len(paths)} captures")
        bad = [f"{name}: {said}" for name, said in results if said]
        self.assertEqual([], bad, "\n" + "\n".join(bad))


if __name__ == "__main__":
    l7.main()
