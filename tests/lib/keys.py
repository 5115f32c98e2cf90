# SPDX-License-Identifier: Apache-2.0
"""The keys of flows that tshark reads in a capture, packet by packet, beside those that l7probe reports."""
import collections
import functools
import itertools
import os
import subprocess
import tempfile

import l7

# Each packet for itself: nothing is put together.
OPTIONS = ("ip.defragment:FALSE", "ipv6.defragment:FALSE", "ipv6.tso_support:TRUE", "tcp.desegment_tcp_streams:FALSE",
           "wlan.defragment:FALSE", "capwap.reassemble:FALSE")
# In what it cannot place it looks for these, and once it has found one it takes all between the two ends for it.
SOUGHT = "tshark", "-G", "heuristic-decodes"
SKIPPED = os.path.join(os.path.dirname(os.path.abspath(__file__)), "keys.lua")
# tshark's layers: those of IP, with source, destination and protocol; those between IP and what it carries, with the protocol that
# follows; those that have ports, with their number.
ENDS = {"ip": ("ip.src", "ip.dst", "ip.proto"), "ipv6": ("ipv6.src", "ipv6.dst", "ipv6.nxt")}
BETWEEN = {"ipv6.hopopts": "ipv6.hopopts.nxt", "ipv6.dstopts": "ipv6.dstopts.nxt", "ipv6.routing": "ipv6.routing.nxt",
           "ipv6.fraghdr": "ipv6.fraghdr.nxt", "ah": "ah.next_header", "shim6": "shim6.nxt"}
PORTS = {"tcp": ("tcp.srcport", "tcp.dstport"), "udp": ("udp.srcport", "udp.dstport"), "sctp": ("sctp.srcport", "sctp.dstport")}
NUMBERS = {"tcp": 6, "udp": 17, "sctp": 132}
EXTENSIONS = {"ipv6.hopopts": 0, "ipv6.dstopts": 60, "ipv6.routing": 43, "ipv6.fraghdr": 44, "ah": 51, "shim6": 140}
OPTIONS6 = ("ipv6.hopopts", "ipv6.dstopts")
GREEDY = (0x07, 0x31)  # options (CALIPSO, IOAM) in which tshark stops if they are shorter than it wants them
QUOTES = ("icmp", "icmpv6")  # whose packets are not on their way
FRAGMENT = {"ip": ("ip.frag_offset", "ip.flags.mf"), "ipv6.fraghdr": ("ipv6.fraghdr.offset", "ipv6.fraghdr.more")}
FIELDS = ("frame.protocols", *ENDS["ip"], *ENDS["ipv6"], *BETWEEN.values(),
          "ipv6.opt.type", *itertools.chain(*PORTS.values()), *itertools.chain(*FRAGMENT.values()))


@functools.cache
def not_sought():
    """Arguments of tshark: in UDP it is to look for no protocol but Teredo, which has its port, too, and to pass over one header of GTP."""
    table = subprocess.run(SOUGHT, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True, timeout=60).stdout
    names = {name for under, name, *_ in map(str.split, table.splitlines()) if under == "udp"} - {"teredo"} | {"nrup"}
    return [word for name in sorted(names) for word in ("--disable-protocol", name)]


def packets(path, *more):
    """Yields {field: [texts]} of each frame. more: arguments of tshark."""
    argv = ["tshark", "-n", "-r", path, "-X", "lua_script:" + SKIPPED, "-d", "udp.port==8472,vxlan", *not_sought(), *more]
    for option in OPTIONS:
        argv += ["-o", option]
    argv += ["-T", "fields", "-E", "occurrence=a"]
    for field in FIELDS:
        argv += ["-e", field]
    with tempfile.TemporaryFile() as err, subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=err, text=True) as child:
        for line in child.stdout:
            texts = line.rstrip("\n").split("\t")
            yield {field: text.split(",") if text else [] for field, text in zip(FIELDS, texts)}
    if child.returncode not in (0, 2):  # 2: the capture ends in the middle of a packet
        raise AssertionError(f"tshark: exit {child.returncode}")


def key(one, other, protocol):
    return (protocol,) + tuple(sorted((one, other)))


class Packet:
    """
    What tshark reads in a packet: a key for each IP header, as l7probe may report any of a packet in tunnels. Each with the ports
    that come after that header and before the next; of a later fragment, and of what has none, they are 0.

      keys      {key: pairs of addresses between which the packet is a fragment, so far}
      stopped   the pair between which it is, if tshark stops in an option of GREEDY or in Shim6, of which it wants to show more
                than the header's length, else None
    """

    def __init__(self, fields):
        self.values = {field: iter(texts) for field, texts in fields.items()}
        self.keys, self.pairs, self.stopped = {}, set(), None
        self.ends, self.protocol, self.later, self.six = None, None, False, False
        layer = None
        for layer in ":".join(fields["frame.protocols"]).split(":"):
            if layer in QUOTES:
                break
            self.pass_layer(layer)
        greedy = layer in OPTIONS6 and int((["0"] + fields["ipv6.opt.type"])[-1], 0) in GREEDY
        if (greedy or layer == "shim6") and self.ends:
            self.stopped = tuple(sorted(self.ends))
        self.note()

    def number(self, field):
        text = next(self.values[field], None)
        return text and int({"True": "1", "False": "0"}.get(text, text), 0)

    def note(self, ports=None):
        if self.ends and self.protocol is not None and (ports or self.later or self.protocol not in NUMBERS.values()):
            self.keys[key(*zip(self.ends, ports or (0, 0)), self.protocol)] = set(self.pairs)

    def fragment(self, layer):
        at, more = map(self.number, FRAGMENT[layer])
        if (at or more) and self.ends:
            self.pairs.add(tuple(sorted(self.ends)))
        self.later = self.later or bool(at)

    def pass_layer(self, layer):
        if layer in ENDS:
            self.note()
            src, dst, kind = ENDS[layer]
            ends = next(self.values[src], None), next(self.values[dst], None)
            self.ends, self.protocol, self.later, self.six = None if None in ends else ends, self.number(kind), False, layer == "ipv6"
        elif layer in BETWEEN and self.six:  # behind IPv4 they are protocols of their own
            following = self.number(BETWEEN[layer])
            if self.protocol == EXTENSIONS[layer]:  # and behind another protocol, where tshark looks for more, of that
                self.protocol = following
        elif layer in PORTS and NUMBERS[layer] == self.protocol:
            ports = tuple(map(self.number, PORTS[layer]))
            if None not in ports:
                self.note(ports)
            self.ends = None
        if layer in FRAGMENT:
            self.fragment(layer)


class Known:
    """What tshark reads in all packets of a capture. more: arguments of tshark."""

    def __init__(self, path, *more):
        self.whole, self.around = collections.Counter(), collections.defaultdict(set)  # by key
        self.pieces, self.stopped = collections.Counter(), collections.Counter()       # by pair of addresses
        for packet in map(Packet, packets(path, *more)):
            self.whole.update(packet.keys.keys())
            self.pieces.update(packet.pairs)
            if packet.stopped:
                self.stopped[packet.stopped] += 1
            for one, pairs in packet.keys.items():
                self.around[one] |= pairs

    def packets(self, one):
        """
        How many may be of the flow that has this key: those in which it is read. A fragment is of the flow that the first of its
        datagram is of, whatever it has in the place of ports; that first one has to be there.
        """
        most = self.stopped[tuple(sorted((one[1][0], one[2][0])))]
        return most + self.whole[one] + sum(self.pieces[pair] for pair in self.around[one]) if self.whole[one] else most


def strange(path, known, *more):
    """(number of flows, [(key, packets, most that it may have)] of those that have more). more: arguments of l7probe."""
    done = l7.probe("-r", path, *l7.NO_TIMEOUTS, "-o", "json:-", "--stats", *more)
    if done.status != 0 or done.stats["worker_restarts"]:
        raise AssertionError(f"{os.path.basename(path)}: exit {done.status}: {done.said}")
    ours = collections.Counter()
    for f in done.flows:
        one = key((f["src_ip"], f.get("src_port", 0)), (f["dst_ip"], f.get("dst_port", 0)), f["protocol"])
        ours[one] += f.get("packets", 0) + f.get("rev_packets", 0)
    return len(done.flows), [(one, count, known.packets(one)) for one, count in ours.items() if count > known.packets(one)]


def check(path, *more):
    """(number of flows, what is strange of them, looked into tunnels and not). more: arguments of tshark."""
    known = Known(path, *more)
    flows, bad = strange(path, known)
    return flows, bad + strange(path, known, "--tunnels", "outer")[1]
