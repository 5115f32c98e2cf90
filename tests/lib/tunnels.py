# SPDX-License-Identifier: Apache-2.0
"""The conversations of links.py through each tunnel, both directions: captures constructed from the RFCs.

captures()   {name: frames}; what a name stands for is beside it
"""
import struct

import frames
import links
from links import CLIENT6, SERVER6, Packet, ether, llc, packets, talk, wifi

NEAR, FAR, NEAR6, FAR6 = "203.0.113.1", "203.0.113.2", "2001:db8:a::1", "2001:db8:a::2"
GRE, IPIP, IPV6, SCTP, VXLAN = 47, 4, 41, 132, 4789
TEREDO = "2001:0:cb00:7102:8000:63bf:3fff:fdd2"
LCP = b"\xff\3\xc0\x21\x09\1\0\x08\0\0\0\0"
ARP = ether(packets()[0], 0x0806, bytes.fromhex("0001080006040001") + bytes(20))


def outer(forth, protocol, octets, six=False, **odd):
    """What the ends of the tunnel send each other, as an Ethernet frame. odd: pair, fragment and id of IPv4."""
    src, dst = odd.pop("pair", (NEAR6, FAR6) if six else (NEAR, FAR))[::1 if forth else -1]
    return frames.ethernet(frames.ip6(src, dst, protocol, octets) if six else frames.ip4(src, dst, protocol, octets, **odd))


def udp(forth, ports, octets, six=False, **odd):
    src, dst = odd.get("pair", (NEAR6, FAR6) if six else (NEAR, FAR))[::1 if forth else -1]
    return outer(forth, 17, frames.udp(src, dst, *ports, octets), six, **odd)


def vlan(packet, number=7):
    return ether(packet, *links.tagged(packet, (0x8100, number)))


# ---- GRE -----------------------------------------------------------------------------

def gre(kind, octets, key=None, sequence=None, checksum=False):
    """RFC 2784, RFC 2890."""
    flags = checksum << 15 | (key is not None) << 13 | (sequence is not None) << 12
    head = struct.pack(">HH", flags, kind) + (bytes(4) if checksum else b"")
    head += b"".join(struct.pack(">I", word) for word in (key, sequence) if word is not None)
    if checksum:
        head = head[:4] + struct.pack(">H", frames.checksum(head + octets)) + head[6:]
    return head + octets


def pptp(packet):
    """RFC 2637: each end has the call id that it is sent, and acknowledges with what it sends, or alone."""
    octets = b"\xff\3" + struct.pack(">H", packet.ppp) + packet.octets
    flags = 0x3001 | (packet.number % 2) << 7
    head = struct.pack(">HHHHI", flags, 0x880B, len(octets), 0x11 if packet.forth else 0x22, packet.number)
    return head + (struct.pack(">I", packet.number) if flags & 0x80 else b"") + octets


def erspan2(session, number):
    return struct.pack(">HHI", 1 << 12 | 100, 3 << 11 | session, number)


def erspan3(session, number, kind=0, platform=False):
    return (struct.pack(">HHIHH", 2 << 12 | 100, session, 1000 + number, 0, kind << 10 | platform) +
            (bytes(8) if platform else b""))


def gre_captures(every):
    def forms(p):
        return {"sequence": p.number if p.number % 3 else None, "checksum": p.number % 2 == 1}

    return {
        "gre": [outer(p.forth, GRE, gre(p.ethertype, p.octets)) for p in every],
        "gre-key": [outer(p.forth, GRE, gre(p.ethertype, p.octets, 0x0A0B0C0D, **forms(p))) for p in every],
        "gre-ip6": [outer(p.forth, GRE, gre(p.ethertype, p.octets, 7), six=True) for p in every],
        "gre-mpls": [outer(p.forth, GRE, gre(0x8847, links.labels(16, 17) + p.octets)) for p in every],
        "gre-ethernet": [outer(p.forth, GRE, gre(0x6558, vlan(p), 7)) for p in every],
        # The key's last octet is of the flow, and another in each direction.
        "nvgre": [outer(p.forth, GRE, gre(0x6558, ether(p), 0x123400 | 0x50 + p.forth)) for p in every],
        "pptp": [outer(p.forth, GRE, pptp(p)) for p in every] + [
            outer(True, GRE, struct.pack(">HHHHI", 0x2081, 0x880B, 0, 0x11, 5)),  # an acknowledgment alone
            outer(True, GRE, struct.pack(">HHHHI", 0x3001, 0x880B, len(LCP), 0x11, 99) + LCP)],
        # All of it comes from the switch.
        "erspan-1": [outer(True, GRE, gre(0x88BE, ether(p))) for p in every],
        "erspan-2": [outer(True, GRE, gre(0x88BE, erspan2(99, p.number) + vlan(p), sequence=p.number)) for p in every],
        "erspan-3": [outer(True, GRE, gre(0x22EB, erspan3(99, p.number, platform=p.number % 2) + ether(p),
                                          sequence=p.number)) for p in every],
    }


# ---- UDP -----------------------------------------------------------------------------

def vxlan(vni, octets, group=None):
    """RFC 7348; a group policy."""
    return struct.pack(">BBHI", 0x08 | (0x80 if group else 0), 0, group or 0, vni << 8) + octets


def gpe(vni, kind, octets):
    return struct.pack(">BBBBI", 0x0C, 0, 0, kind, vni << 8) + octets


def geneve(vni, kind, octets, options=b""):
    """RFC 8926."""
    return struct.pack(">BBHI", len(options) // 4, 0, kind, vni << 8) + options + octets


def gtp(teid, octets, sequence=None, extensions=(), kind=255):
    """TS 29.281; extensions are (type, octets without length and next type)."""
    more = b""
    if extensions or sequence is not None:
        kinds = [number for number, _ in extensions] + [0]
        more = struct.pack(">HBB", sequence or 0, 0, kinds[0])
        for (_, content), following in zip(extensions, kinds[1:]):
            more += bytes([(len(content) + 2) // 4]) + content + bytes([following])
    flags = 0x30 | (4 if extensions else 0) | (2 if sequence is not None else 0)
    return struct.pack(">BBHI", flags, kind, len(more) + len(octets), teid) + more + octets


def l2tp(ids, octets, length=True, sequence=None, offset=None):
    """RFC 2661: a data message."""
    more = struct.pack(">HH", *ids)
    more += struct.pack(">HH", sequence, 0) if sequence is not None else b""
    more += struct.pack(">H", offset) + b"\xaa" * offset if offset is not None else b""
    flags = 2 | length << 14 | (sequence is not None) << 11 | (offset is not None) << 9
    size = struct.pack(">H", 4 + len(more) + len(octets)) if length else b""
    return struct.pack(">H", flags) + size + more + octets


def l2tp_frame(p):
    ids = (5, 6) if p.forth else (8, 9)
    form = ({}, {"length": False}, {"sequence": p.number}, {"sequence": p.number, "offset": 3})[p.number % 4]
    ppp = struct.pack(">H", p.ppp) if p.number % 3 else bytes([p.ppp])  # in one octet if both ends agree on it
    return udp(p.forth, (1701, 1701), l2tp(ids, (b"\xff\3" if p.number % 2 else b"") + ppp + p.octets, **form))


def teredo_frame(p):
    """RFC 4380: the server's packets have an indication of where the client's came from, some an authentication."""
    origin = bytes(2) + struct.pack(">H", 0x9C40) + frames.address("192.0.2.66")
    before = b"\0\1\0\0" + bytes(8) + b"\0" if p.number % 3 == 0 else b""
    ports = (40000, 3544) if p.forth else (3544, 40000)
    return udp(p.forth, ports, before + (b"" if p.forth else origin) + p.octets)


def capwap(octets, native=True, mac=None, flags=0, fragment=(0, 0)):
    """RFC 5415, section 4.3."""
    more = bytes([6]) + mac + b"\0" if mac else b""
    word = (8 + len(more)) // 4 << 19 | 1 << 14 | 1 << 9 | native << 8 | flags | (0x10 if mac else 0)
    return struct.pack(">IHH", word, fragment[0], fragment[1] << 3) + more + octets


def capwap_frames(every, inside, **more):
    return [udp(p.forth, (20000, 5247) if p.forth else (5247, 20000), capwap(inside(p), **more)) for p in every]


def swapped(octets):
    return octets[1::-1] + octets[2:]


def tzsp(kind, octets, tags=b""):
    return struct.pack(">BBH", 1, 0, kind) + tags + b"\1" + octets


def udp_captures(every):
    three = {"ip4": 1, "ip6": 2}
    session = (0x85, b"\x10\x09")  # PDU session container
    teredo = [Packet(f[14:], f[22:38] == frames.address(TEREDO), n) for n, f in enumerate(talk(TEREDO, SERVER6, 40081))]
    bubble = Packet(frames.ip6(TEREDO, SERVER6, 59, b""), True, 0)

    def teid(p):
        return 0x01000001 if p.forth else 0x02000002

    return {
        # Source ports are hashes of what is inside.
        "vxlan": [udp(p.forth, (50000 + 7 * p.number % 99, VXLAN), vxlan(0x1234, ether(p))) for p in every],
        "vxlan-ip6": [udp(p.forth, (50000, VXLAN), vxlan(0x1234, vlan(p)), six=True) for p in every],
        "vxlan-group": [udp(p.forth, (50000, VXLAN), vxlan(7, ether(p), group=0x8001)) for p in every],
        "vxlan-linux": [udp(p.forth, (50000, 8472), vxlan(1, ether(p))) for p in every],
        "vxlan-gpe": [udp(p.forth, (50000, 4790), gpe(7, *((3, ether(p)) if p.number % 2 else (three["ip4" if p.four else "ip6"], p.octets))))
                      for p in every],
        "geneve": [udp(p.forth, (50000 + p.number, 6081), geneve(0xABCDEF, 0x6558, ether(p), bytes(4 * (p.number % 4)))) for p in every],
        "geneve-ip": [udp(p.forth, (50000, 6081), geneve(1, p.ethertype, p.octets, struct.pack(">HBB8x", 0x0102, 3, 2)), six=True)
                      for p in every],
        "gtp": [udp(p.forth, (2152, 2152), gtp(teid(p), p.octets, p.number if p.number % 2 else None)) for p in every] + [
            udp(True, (2152, 2152), gtp(0, b"", 1, kind=1)), udp(False, (2152, 2152), gtp(0, b"\x0e\0", 1, kind=2))],
        "gtp-extensions": [udp(p.forth, (2152, 2152), gtp(teid(p), p.octets, None, [session, (0xC0, b"\0\1")][:1 + p.number % 2]),
                               six=True) for p in every],
        "l2tp": [l2tp_frame(p) for p in every] + [
            udp(True, (1701, 1701), l2tp((5, 6), LCP)),
            udp(True, (1701, 1701), struct.pack(">HHHHHH", 0xC802, 12, 5, 0, 1, 1))],  # control: nothing but an acknowledgment
        "teredo": [teredo_frame(p) for p in [bubble] + teredo],
        "capwap": capwap_frames(every, ether, native=False) + [
            udp(True, (20000, 5247), capwap(bytes(18), flags=0x08)),  # a keep-alive
            udp(True, (20000, 5247), b"\1\0\0\0\x17\xfe\xff" + bytes(40))],  # DTLS
        "capwap-wifi": capwap_frames(every, wifi, mac=links.ACCESS),
        "capwap-swapped": capwap_frames(every, lambda p: swapped(wifi(p))),
        # The mirror sends it all.
        "tzsp": [udp(True, (50000, 37008), tzsp(1, vlan(p), b"\x0a\1\xd0\0\0\x0b\2\0\1")) for p in every],
        "tzsp-wifi": [udp(True, (50000, 37008), tzsp(18, wifi(p))) for p in every],
    }


# ---- the others ----------------------------------------------------------------------

def sctp(src, dst, sport, dport, chunks):
    """RFC 9260, with a checksum that nobody looks at."""
    return frames.ethernet(frames.ip(src, dst, SCTP, struct.pack(">HHII", sport, dport, 0x11223344, 0) + chunks))


def sctp_talk(client, server):
    init = struct.pack(">BBHIIHHI", 1, 0, 20, 7, 65535, 10, 10, 1)
    data = struct.pack(">BBHIHHI", 0, 3, 20, 1, 0, 0, 0) + b"data"
    return [sctp(client, server, 40132, 3868, init), sctp(server, client, 3868, 40132, b"\2" + init[1:]),
            sctp(client, server, 40132, 3868, data), sctp(server, client, 3868, 40132, struct.pack(">BBHIIHH", 3, 0, 16, 1, 65535, 0, 0))]


def nested(p, tunnels):
    """IP in IP, so many times, each of other ends."""
    octets = p.octets
    for n in range(tunnels, 0, -1):
        ends = [f"10.{n}.0.1", f"10.{n}.0.2"][::1 if p.forth else -1]
        octets = frames.ip4(*ends, IPIP if octets[0] >> 4 == 4 else IPV6, octets)
    return frames.ethernet(octets)


def mixed(p):
    """A GRE key in VXLAN in GTP."""
    inner = frames.ip4(*("10.0.0.1", "10.0.0.2")[::1 if p.forth else -1], GRE, gre(p.ethertype, p.octets, 5))
    pair = ("10.1.0.1", "10.1.0.2")[::1 if p.forth else -1]
    middle = frames.ip4(*pair, 17, frames.udp(*pair, 50000, VXLAN, vxlan(77, frames.ethernet(inner))))
    return udp(p.forth, (2152, 2152), gtp(0x11 if p.forth else 0x22, middle))


def opaque(every):
    """What is in a tunnel and cannot be decoded: all of it is the outer flow's."""
    p = every[0]
    longer = p.octets[:2] + struct.pack(">H", len(p.octets) + 1) + p.octets[4:]
    return [
        udp(True, (50000, VXLAN), vxlan(7, ARP)),
        udp(True, (50000, VXLAN), vxlan(7, ether(p)[:20])),
        udp(True, (50000, VXLAN), vxlan(7, ether(p, octets=b"\x65" + p.octets[1:]))),  # version 6 in IPv4
        udp(True, (50000, VXLAN), vxlan(7, ether(p, octets=longer))),  # than what is there
        outer(True, GRE, gre(0x0800, p.octets[:19])),
        outer(True, IPIP, b"\x45"),
        udp(True, (2152, 2152), gtp(1, b"\x05" + p.octets)),
    ]


def plain(every):
    """UDP on a tunnel's port that is none: only another header, or a length that does not fit."""
    p = every[0]
    bad = vxlan(7, ether(p))
    return [udp(True, ports, octets) for ports, octets in (
        ((50000, VXLAN), b"\x09" + bad[1:]), ((50000, VXLAN), bad[:1] + b"\1" + bad[2:]), ((50000, VXLAN), bad[:7] + b"\1" + bad[8:]),
        ((VXLAN, 50000), bad), ((50000, VXLAN), b"\x08"),
        ((50000, 6081), b"\x40" + geneve(7, 0x6558, ether(p))[1:]), ((50000, 6081), b"\x3f" + geneve(7, 0x6558, ether(p))[1:]),
        ((2152, 2152), b"\x50" + gtp(1, p.octets)[1:]), ((2152, 2152), gtp(1, p.octets)[:-1]),
        ((2152, 2152), gtp(1, p.octets, None, [(0x85, b"")])),
        ((1701, 1701), b"\0\3" + l2tp((5, 6), b"\0\x21" + p.octets)[2:]), ((1701, 1701), l2tp((0, 6), b"\0\x21" + p.octets)),
        ((40000, 3544), packets(four=False)[0].octets),  # of nobody's who has Teredo
        ((20000, 5247), b"\x10" + capwap(ether(p), native=False)[1:]),
        ((50000, 37008), b"\2" + tzsp(1, ether(p))[1:]), ((50000, 37008), tzsp(1, ether(p))[:4] + b"\x0a\xff\1"))]


def captures():
    every, four, six = packets(), packets(six=False), packets(four=False)
    return {
        "ipip": [outer(p.forth, IPIP, p.octets) for p in four],
        "6in4": [outer(p.forth, IPV6, p.octets) for p in six],
        "4in6": [outer(p.forth, IPIP, p.octets, six=True) for p in four],
        "6in6": [outer(p.forth, IPV6, p.octets, six=True) for p in six],
        **gre_captures(every),
        **udp_captures(every),
        "sctp": sctp_talk(links.CLIENT, links.SERVER) + sctp_talk(CLIENT6, SERVER6),
        "nested": [nested(p, 4) for p in every],
        "deep": [nested(p, 5) for p in every],
        "mixed": [mixed(p) for p in every],
        "opaque": opaque(every),
        "plain": plain(every),
    }
