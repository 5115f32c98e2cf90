# SPDX-License-Identifier: Apache-2.0
"""The same conversations behind each link type, and below it behind each shim: captures constructed from the standards.

captures()   {name: (link type, frames)}; what a name stands for is in its function's comment
"""
import struct

import frames

NULL, ETHERNET, PPP, PPP_HDLC, PPP_ETHER, RAW, C_HDLC, WIFI, LOOP = 0, 1, 9, 50, 51, 101, 104, 105, 108
SLL, RADIOTAP, PPI, IPV4, IPV6, SLL2 = 113, 127, 192, 228, 229, 276
USB = 189  # Linux USB without padding: nothing that is decoded

CLIENT, SERVER, CLIENT6, SERVER6 = "192.0.2.10", "198.51.100.80", "2001:db8::10", "2001:db8:1::80"
STATION, ACCESS, GATEWAY, BRIDGE = (bytes.fromhex(f"02005e0000{n:02x}") for n in (0x21, 0x22, 0x23, 0x24))


class Packet:
    """An IP packet, and what the layers below have to know of it."""

    def __init__(self, octets, forth, number):
        self.octets, self.forth, self.number = octets, forth, number
        self.four = octets[0] >> 4 == 4

    @property
    def ethertype(self):
        return 0x0800 if self.four else 0x86DD

    @property
    def ppp(self):
        return 0x0021 if self.four else 0x0057


def packets(four=True, six=True):
    """DNS and HTTP by IPv4, HTTP by IPv6, an echo request and its answer."""
    every = []
    if four:
        every += [frames.datagram(CLIENT, SERVER, 40053, 53, frames.dns_query(77, "www.example.org")),
                  frames.datagram(SERVER, CLIENT, 53, 40053, frames.dns_answer(77, "www.example.org", SERVER))]
        every += [frames.ethernet(frames.ip4(a, b, frames.ICMP, bytes([kind, 0, 0, 0, 0, 1, 0, 1]) + b"ping" * 4))
                  for a, b, kind in ((CLIENT, SERVER, 8), (SERVER, CLIENT, 0))]
        every += talk(CLIENT, SERVER, 40080)
    if six:
        every += talk(CLIENT6, SERVER6, 40081)
    clients = frames.address(CLIENT), frames.address(CLIENT6)
    return [Packet(f[14:], f[26:30] == clients[0] or f[22:38] == clients[1], n) for n, f in enumerate(every)]


def talk(client, server, port):
    return frames.conversation(client, server, port, 80, [
        (True, b"GET /index.html HTTP/1.1\r\nHost: www.example.org\r\nUser-Agent: test/1.0\r\n\r\n"),
        (False, b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 300\r\n\r\n" + b"x" * 300)])


def ends(packet):
    return (GATEWAY + STATION) if packet.forth else (STATION + GATEWAY)


# ---- shims: of a packet (kind of naming, octets from the shim on) --------------------

def tagged(packet, *tags):
    """VLAN tags, the outermost first, up to the IP header."""
    kinds = [protocol for protocol, _ in tags] + [packet.ethertype]
    octets = b"".join(struct.pack(">HH", vlan, kind) for (_, vlan), kind in zip(tags, kinds[1:]))
    return kinds[0], octets + packet.octets


def labels(*values):
    """An MPLS stack (RFC 3032)."""
    return b"".join(struct.pack(">I", value << 12 | (i == len(values) - 1) << 8 | 64) for i, value in enumerate(values))


def pppoe(protocol, octets, session=0x1234):
    """RFC 2516."""
    return struct.pack(">BBHHH", 0x11, 0, session, len(octets) + 2, protocol) + octets


def llc(ethertype, octets, oui=b"\0\0\0"):
    """RFC 1042."""
    return b"\xaa\xaa\3" + oui + struct.pack(">H", ethertype) + octets


def control(packet):
    """The control word of a pseudowire (RFC 4385)."""
    return struct.pack(">HH", 0, packet.number + 1)


def ether(packet, kind=None, octets=None):
    return ends(packet) + struct.pack(">H", packet.ethertype if kind is None else kind) + (
        packet.octets if octets is None else octets)


# ---- 802.11 --------------------------------------------------------------------------

def wifi(packet, qos=True, bridge=False, ht=False, **odd):
    """A data frame (IEEE 802.11): to the access point or from it, or between two of them. odd: control, fragment, body, qos_control."""
    first, second = (0x88 if qos else 0x08), (0x01 if packet.forth else 0x02) | (0x03 if bridge else 0) | (0x80 if ht else 0)
    if bridge:
        dst, src = (GATEWAY, STATION) if packet.forth else (STATION, GATEWAY)
        addresses = (BRIDGE, ACCESS, dst)
    elif packet.forth:
        addresses = (ACCESS, STATION, GATEWAY)
    else:
        addresses = (STATION, ACCESS, GATEWAY)
    first, second = odd.get("control", (first, second))
    head = bytes([first, second, 0, 0]) + b"".join(addresses)
    head += struct.pack("<H", packet.number << 4 | odd.get("fragment", 0)) + (src if bridge else b"")
    head += struct.pack("<H", odd.get("qos_control", 0)) if qos else b""
    head += bytes(4) if ht else b""
    return head + odd.get("body", llc(packet.ethertype, packet.octets))


def subframe(packet, last=True):
    """Of an A-MSDU."""
    body = llc(packet.ethertype, packet.octets)
    octets = ends(packet) + struct.pack(">H", len(body)) + body
    return octets if last else octets + bytes(-len(octets) % 4)


def crc(octets):
    value = 0xFFFFFFFF
    for octet in octets:
        value ^= octet
        for _ in range(8):
            value = value >> 1 ^ (0xEDB88320 if value & 1 else 0)
    return struct.pack("<I", value ^ 0xFFFFFFFF)


def radiotap(frame, flags=None, time=None, words=1):
    """radiotap.org: `present` words, then time and flags, each at a multiple of its size."""
    present = (1 if time is not None else 0) | (2 if flags is not None else 0)
    head = struct.pack("<I", present | (0x80000000 if words > 1 else 0))
    head += b"".join(struct.pack("<I", 0x20000000 | (0x80000000 if i < words - 1 else 0)) for i in range(1, words))
    if time is not None:
        head += bytes(-(len(head) + 4) % 8) + struct.pack("<Q", time)
    if flags is not None:
        head += bytes([flags])
    return struct.pack("<BBH", 0, 0, len(head) + 4) + head + frame


# ---- captures ------------------------------------------------------------------------

def link_captures():
    """One of each link type, and of their forms."""
    both, four, six = packets(), packets(six=False), packets(four=False)

    def sll(p):  # packet type, ARPHRD_ETHER, address length, the sender's address, protocol
        return struct.pack(">HHH8sH", 4 * p.forth, 1, 6, (STATION if p.forth else GATEWAY) + b"\0\0", p.ethertype) + p.octets

    def sll2(p):  # protocol, reserved, ifIndex, ARPHRD_ETHER, packet type, address length, address
        return struct.pack(">HHIHBB8s", p.ethertype, 0, 3, 1, 4 * p.forth, 6,
                           (STATION if p.forth else GATEWAY) + b"\0\0") + p.octets

    def family(p):
        return 2 if p.four else 30

    def ppi(p, kind, frame):  # a header without fields, or with one of 802.11 (which says nothing of a check sequence)
        fields = struct.pack("<HH20s", 2, 20, b"") if kind == WIFI else b""
        return struct.pack("<BBHI", 0, 0, 8 + len(fields), kind) + fields + frame

    return {
        "ethernet": (ETHERNET, [ether(p) for p in both]),
        "null": (NULL, [struct.pack("<I", family(p)) + p.octets for p in both]),
        "null-big-endian": (NULL, [struct.pack(">I", family(p)) + p.octets for p in both]),
        "loop": (LOOP, [struct.pack(">I", family(p)) + p.octets for p in both]),
        "raw": (RAW, [p.octets for p in both]),
        "ipv4": (IPV4, [p.octets for p in four]),
        "ipv6": (IPV6, [p.octets for p in six]),
        "sll": (SLL, [sll(p) for p in both]),
        "sll2": (SLL2, [sll2(p) for p in both]),
        "ppp": (PPP, [struct.pack(">H", p.ppp) + p.octets for p in both]),
        "ppp-hdlc": (PPP_HDLC, [b"\xff\3" + struct.pack(">H", p.ppp) + p.octets for p in both]),
        "ppp-cisco": (PPP_HDLC, [b"\x0f\0" + struct.pack(">H", p.ethertype) + p.octets for p in both]),
        "ppp-ether": (PPP_ETHER, [pppoe(p.ppp, p.octets) for p in both]),
        "c-hdlc": (C_HDLC, [b"\x0f\0" + struct.pack(">H", p.ethertype) + p.octets for p in both] + [
            b"\x8f\0\x80\x35" + bytes(18)]),
        "wifi": (WIFI, [wifi(p, qos=p.number % 2) for p in both]),
        "wifi-bridge": (WIFI, [wifi(p, bridge=True, ht=p.number % 2) for p in both]),
        "wifi-odd": (WIFI, wifi_odd(both)),
        "radiotap": (RADIOTAP, [radiotap(wifi(p) + crc(wifi(p)), 0x10, 1000 + p.number, 1 + p.number % 3) for p in both]),
        "radiotap-padded": (RADIOTAP, [radiotap(wifi(p)[:26] + b"\0\0" + wifi(p)[26:], 0x20) for p in both]),
        "ppi-wifi": (PPI, [ppi(p, WIFI, wifi(p)) for p in both]),
        "ppi-ethernet": (PPI, [ppi(p, ETHERNET, ether(p)) for p in both]),
    }


def wifi_odd(every):
    """What is no packet of its own: a beacon, one that is encrypted, several packets in a frame, a later fragment; and an A-MSDU of one."""
    p, q = every[:2]
    return [wifi(p, qos=False, control=(0x80, 0), body=bytes(40)), wifi(p, control=(0x88, 0x41), body=bytes(60)),
            wifi(p, qos_control=0x80, body=subframe(p, last=False) + subframe(q)), wifi(p, fragment=1, body=bytes(60)),
            wifi(p, qos_control=0x80, body=subframe(p)), wifi(q, qos_control=0x80, body=subframe(q))]


def shim_captures():
    """Each shim on Ethernet, and some that are found in one another."""
    every = packets()
    mpls, multicast, session = 0x8847, 0x8848, 0x8864
    qinq = ((0x88A8, 100), (0x8100, 7))

    def wire(p, frame):
        return labels(16, 17) + frame(p)

    return {
        "vlan": (ETHERNET, [ether(p, *tagged(p, (0x8100, 7))) for p in every]),
        "qinq": (ETHERNET, [ether(p, *tagged(p, *qinq)) for p in every]),
        "snap": (ETHERNET, [ether(p, len(p.octets) + 8, llc(p.ethertype, p.octets)) for p in every]),
        "snap-bridge": (ETHERNET, [ether(p, len(p.octets) + 8, llc(p.ethertype, p.octets, b"\0\0\xf8")) for p in every]),
        "mpls": (ETHERNET, [ether(p, mpls, labels(16) + p.octets) for p in every]),
        "mpls-stack": (ETHERNET, [ether(p, multicast, labels(*range(16, 24)) + p.octets) for p in every]),
        "mpls-ethernet": (ETHERNET, [ether(p, mpls, wire(p, lambda p: control(p) + ether(p))) for p in every]),
        "mpls-ethernet-plain": (ETHERNET, [ether(p, mpls, wire(p, ether)) for p in every]),
        "mpls-ethernet-vlan": (ETHERNET, [ether(p, mpls, wire(p, lambda p: control(p) + ether(p, *tagged(p, (0x8100, 7)))))
                                          for p in every]),
        "pppoe": (ETHERNET, [ether(p, session, pppoe(p.ppp, p.octets)) for p in every] + [
            ether(every[0], session, pppoe(0xC021, b"\x09\1\0\x08\0\0\0\0")),
            ether(every[0], 0x8863, b"\x11\x09\0\0\0\x04\1\1\0\0")]),
        "vlan-pppoe": (ETHERNET, [ether(p, 0x8100, struct.pack(">HH", 7, session) + pppoe(p.ppp, p.octets)) for p in every]),
        "pppoe-mpls": (ETHERNET, [ether(p, session, pppoe(0x0281, labels(16, 17) + p.octets)) for p in every]),
        "vlan-mpls": (ETHERNET, [ether(p, 0x8100, struct.pack(">HH", 7, mpls) + labels(16) + p.octets) for p in every]),
        "mpls-pppoe": (ETHERNET, [ether(p, mpls, labels(16) + control(p) + ether(p, session, pppoe(p.ppp, p.octets)))
                                  for p in every]),
    }


def captures():
    return {**link_captures(), **shim_captures()}
