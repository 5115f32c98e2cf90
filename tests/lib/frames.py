# SPDX-License-Identifier: Apache-2.0
"""Builds frames octet by octet, for captures whose content a test must know."""
import ipaddress
import ssl
import struct

TCP, UDP, ICMP, ICMP6 = 6, 17, 1, 58
FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
MAC_A = bytes.fromhex("02005e000001")
MAC_B = bytes.fromhex("02005e000002")


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def address(text):
    return ipaddress.ip_address(text).packed


def ethernet(payload, kind=None, tags=()):
    """An Ethernet frame; tags are (tag protocol, VLAN id) from the outside in."""
    if kind is None:
        kind = 0x86DD if payload[:1] and payload[0] >> 4 == 6 else 0x0800
    head = MAC_B + MAC_A
    for protocol, vlan in tags:
        head += struct.pack(">HH", protocol, vlan)
    return head + struct.pack(">H", kind) + payload


def ip4(src, dst, proto, payload, **odd):
    """odd: id, fragment (the flags and offset field), length, ihl, options."""
    options = odd.get("options", b"")
    ihl = odd.get("ihl", 5 + len(options) // 4)
    length = odd.get("length", 20 + len(options) + len(payload))
    head = struct.pack(">BBHHHBBH", 0x40 | ihl, 0, length, odd.get("id", 1),
                       odd.get("fragment", 0), 64, proto, 0) + address(src) + address(dst) + options
    return head[:10] + struct.pack(">H", checksum(head)) + head[12:] + payload


def ip6(src, dst, proto, payload, extensions=(), length=None):
    """extensions are (header type, its octets from the second on), outermost first."""
    chain = [kind for kind, _ in extensions] + [proto]
    body = b"".join(bytes([chain[i + 1]]) + octets for i, (_, octets) in enumerate(extensions))
    body += payload
    return struct.pack(">IHBB", 6 << 28, len(body) if length is None else length, chain[0],
                       64) + address(src) + address(dst) + body


# Extension headers of IPv6 without their first octet.
HOP_BY_HOP = (0, bytes([0, 1, 4, 0, 0, 0, 0]))
DESTINATION = (60, bytes([0, 1, 4, 0, 0, 0, 0]))
ROUTING = (43, bytes(7))  # type 0, no segments left


def fragment6(offset, more, ident=7):
    return 44, struct.pack(">BHI", 0, offset << 3 | more, ident)


def pseudo(src, dst, proto, size):
    ends = address(src) + address(dst)
    if len(ends) == 8:
        return ends + struct.pack(">BBH", 0, proto, size)
    return ends + struct.pack(">IHBB", size, 0, 0, proto)


def udp(src, dst, sport, dport, payload):
    head = struct.pack(">HHHH", sport, dport, 8 + len(payload), 0)
    value = checksum(pseudo(src, dst, UDP, len(head) + len(payload)) + head + payload) or 0xFFFF
    return head[:6] + struct.pack(">H", value) + payload


def tcp(src, dst, sport, dport, seq, ack, flags, payload=b""):
    head = struct.pack(">HHIIBBHHH", sport, dport, seq & 0xFFFFFFFF, ack & 0xFFFFFFFF, 5 << 4,
                       flags, 64240, 0, 0)
    value = checksum(pseudo(src, dst, TCP, len(head) + len(payload)) + head + payload)
    return head[:16] + struct.pack(">H", value) + head[18:] + payload


def ip(src, dst, proto, payload):
    build = ip6 if ":" in src else ip4
    return build(src, dst, proto, payload)


def datagram(src, dst, sport, dport, payload):
    return ethernet(ip(src, dst, UDP, udp(src, dst, sport, dport, payload)))


def conversation(client, server, sport, dport, says, close=True):
    """Frames of a TCP connection: handshake, then says = [(from the client?, octets)]."""
    ends = {True: (client, server, sport, dport), False: (server, client, dport, sport)}
    seq = {True: 1000, False: 5000}
    frames = []

    def segment(who, flags, payload=b""):
        src, dst, a, b = ends[who]
        ack = seq[not who] if flags & ACK else 0
        frames.append(ethernet(ip(src, dst, TCP, tcp(src, dst, a, b, seq[who], ack, flags, payload))))
        seq[who] += len(payload) + bool(flags & (SYN | FIN))

    segment(True, SYN)
    segment(False, SYN | ACK)
    segment(True, ACK)
    for who, octets in says:
        for at in range(0, len(octets), 1400):
            segment(who, PSH | ACK, octets[at:at + 1400])
            segment(not who, ACK)
    if close:
        segment(True, FIN | ACK)
        segment(False, FIN | ACK)
        segment(True, ACK)
    return frames


def client_hello(name):
    """A true ClientHello, as this machine's OpenSSL makes it."""
    context = ssl.create_default_context()
    out = ssl.MemoryBIO()
    session = context.wrap_bio(ssl.MemoryBIO(), out, server_hostname=name)
    try:
        session.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return out.read()


def dns_name(name):
    return b"".join(bytes([len(p)]) + p.encode() for p in name.split(".")) + b"\0"


def dns_query(ident, name, kind=1):
    return struct.pack(">HHHHHH", ident, 0x0100, 1, 0, 0, 0) + dns_name(name) + struct.pack(">HH", kind, 1)


def dns_answer(ident, name, to):
    question = dns_name(name) + struct.pack(">HH", 1, 1)
    answer = struct.pack(">HHHIH", 0xC00C, 1, 1, 60, 4) + address(to)
    return struct.pack(">HHHHHH", ident, 0x8180, 1, 1, 0, 0) + question + answer


def abridged(octets):
    """MTProto's abridged transport: 0xEF once, then the length in words."""
    return b"\xef" + bytes([len(octets) // 4]) + octets
