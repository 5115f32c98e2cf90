#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the captures that tests know to the octet: make.py FOLDER

names()   sessions whose classification must be honest
shapes()  odd and broken frames, each with the records and refusals it must give
"""
import os
import random
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import frames as f  # noqa: E402
import links  # noqa: E402
import pcapio  # noqa: E402

START = 1_700_000_000 * 10**9
HOST, ELSEWHERE, DOCUMENTED = "192.0.2.10", "203.0.113.20", "198.51.100.80"
TELEGRAM, TELEGRAM_DC = "149.154.167.220", "149.154.167.51"


def timed(frames, gap_ns=10_000_000, start=START):
    return [(start + i * gap_ns, frame, len(frame)) for i, frame in enumerate(frames)]


def noise(seed, size, first):
    """Random octets beginning as told."""
    return first + random.Random(seed).randbytes(size - len(first))


# ---- names -------------------------------------------------------------------

def random_session(server, first, seed=5):
    says = [(True, noise(seed, 300, first))]
    for i in range(8):
        says.append((i % 2 == 1, noise(seed + 1 + i, 400, b"\x93\x01")))
    return f.conversation(HOST, server, 40001, 443, says)


def req_pq():
    """MTProto's first message without a key: req_pq_multi and a nonce."""
    body = struct.pack("<QQII", 0, 0x5F0C_3A2B_1C00_0000, 20, 0xBE7E8EF1)
    return body + random.Random(3).randbytes(16)


def dns_session(name, answer):
    return [f.datagram(HOST, "203.0.113.53", 40053, 53, f.dns_query(77, name)),
            f.datagram("203.0.113.53", HOST, 53, 40053, f.dns_answer(77, name, answer))]


def names():
    """{name: frames}."""
    hello = f.client_hello("api.telegram.org")
    return {
        "random-to-telegram-443": random_session(TELEGRAM, b"\x93\x01\x55"),
        "ef-elsewhere-443": random_session(ELSEWHERE, b"\xef\x0e\x51"),
        "ef-telegram-443": random_session(TELEGRAM_DC, b"\xef\x0e\x51"),
        "hello-telegram-elsewhere": f.conversation(HOST, DOCUMENTED, 40002, 443, [(True, hello)]),
        "hello-telegram-elsewhere6": f.conversation("2001:db8::10", "2001:db8:1::80", 40003, 443,
                                                    [(True, hello)]),
        "dns-telegram": dns_session("api.telegram.org", TELEGRAM),
        "dns-google": dns_session("www.google.com", "142.250.180.4"),
    }


# ---- shapes --------------------------------------------------------------------

A, B, A6, B6 = "192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::2"


def flow(proto, packets, octets, **more):
    """A record: both halves' sums, ports where there are some, VLAN where tagged."""
    return dict(protocol=proto, packets=packets, octets=octets, **more)


def dgram(size=10, ident=1):
    return f.udp(A, B, 1111, 2222, bytes([ident]) * size)


def dgram6(size=10):
    return f.udp(A6, B6, 1111, 2222, b"x" * size)


PORTS = {"src_port": 1111, "dst_port": 2222}


def shapes_tagged():
    ip = f.ip4(A, B, f.UDP, dgram())
    two = f.ip6(A6, B6, f.UDP, dgram6())
    deep = [(0x88A8, 1)] + [(0x8100, n) for n in range(2, 10)]
    return {
        "plain": ([f.ethernet(ip)], [flow(17, 1, 38, **PORTS)], {}),
        "vlan": ([f.ethernet(ip, tags=[(0x8100, 7)])], [flow(17, 1, 38, vlan_id=7, **PORTS)], {}),
        "qinq": ([f.ethernet(ip, tags=[(0x88A8, 9), (0x8100, 7)])], [flow(17, 1, 38, vlan_id=9, **PORTS)], {}),
        "vlan6": ([f.ethernet(two, kind=0x86DD, tags=[(0x8100, 7)])],
                  [flow(17, 1, 58, vlan_id=7, **PORTS)], {}),
        "vlan-depth": ([f.ethernet(ip, tags=deep)], [], {"vlan_depth": 1}),
        "vlan-cut": ([f.ethernet(ip, tags=[(0x8100, 7)])[:16]], [], {"truncated": 1}),
        "arp": ([f.ethernet(bytes(28), kind=0x0806)], [], {"not_ip": 1}),
        "padded": ([f.ethernet(ip) + bytes(8)], [flow(17, 1, 38, **PORTS)], {}),
    }


def shapes_ip6():
    def packet(*extensions, payload=dgram6(), proto=17):
        return f.ethernet(f.ip6(A6, B6, proto, payload, extensions))

    big = dgram6(40)
    parts = [packet(f.fragment6(0, 1), payload=big[:24]), packet(f.fragment6(3, 0), payload=big[24:])]
    return {
        "hop-by-hop": ([packet(f.HOP_BY_HOP)], [flow(17, 1, 66, **PORTS)], {}),
        "all-headers": ([packet(f.HOP_BY_HOP, f.DESTINATION, f.ROUTING, f.DESTINATION)],
                        [flow(17, 1, 90, **PORTS)], {}),
        "whole-fragment": ([packet(f.HOP_BY_HOP, f.fragment6(0, 0))], [flow(17, 1, 74, **PORTS)], {}),
        "fragments6": (parts, None, {}, (2, 144)),
        "no-next": ([packet(f.HOP_BY_HOP, payload=b"", proto=59)], [flow(59, 1, 48)], {}),
        "ext-cut": ([packet(f.HOP_BY_HOP)[:58]], [], {"truncated": 1}),
        "ext-chain": ([packet(*([f.DESTINATION] * 40))], [], {"ip6_ext": 1}),
        "icmp6": ([packet(payload=bytes([128, 0, 0, 0, 0, 1, 0, 1]), proto=58),
                   f.ethernet(f.ip6(B6, A6, 58, bytes([129, 0, 0, 0, 0, 1, 0, 1])))],
                  None, {}, (2, 96)),
    }


def shapes_ip4():
    big = dgram(40)
    first = f.ip4(A, B, 17, big[:24], id=9, fragment=0x2000)
    later = f.ip4(A, B, 17, big[24:], id=9, fragment=3)
    echo = [f.ip4(A, B, 1, bytes([8, 0, 0, 0, 0, 1, 0, 1]) + b"ping" * 4),
            f.ip4(B, A, 1, bytes([0, 0, 0, 0, 0, 1, 0, 1]) + b"ping" * 4)]
    return {
        "fragments": ([f.ethernet(first), f.ethernet(later)], None, {}, (2, 44 + 44)),
        "options": ([f.ethernet(f.ip4(A, B, 17, dgram(), options=b"\x01" * 8))],
                    [flow(17, 1, 46, **PORTS)], {}),
        "icmp": ([f.ethernet(p) for p in echo], None, {}, (2, 88)),
        "ospf": ([f.ethernet(f.ip4(A, B, 89, b"o" * 24))], [flow(89, 1, 44, src_port=0, dst_port=0)], {}),
        "gre": ([f.ethernet(f.ip4(A, B, 47, b"\0\0\x08\0" + f.ip4(B, A, 17, dgram())))],
                [flow(17, 1, 38, **PORTS)], {}),
        "tso": ([f.ethernet(f.ip4(A, B, 17, dgram(100), length=0))], [flow(17, 1, 128, **PORTS)], {}),
    }


def shapes_broken():
    ip = f.ip4(A, B, f.UDP, dgram())
    segment = f.ip4(A, B, f.TCP, f.tcp(A, B, 1111, 2222, 1, 0, f.SYN))
    six = f.ip6(A6, B6, f.UDP, dgram6())
    return {
        "empty-frame": ([b""], [], {"truncated": 1}),
        "ethernet-cut": ([f.ethernet(ip)[:13]], [], {"truncated": 1}),
        "no-ip": ([f.ethernet(ip)[:14]], [], {"truncated": 1}),
        "ip-cut": ([f.ethernet(ip)[:33]], [], {"truncated": 1}),
        "ip6-cut": ([f.ethernet(six)[:53]], [], {"truncated": 1}),
        "udp-cut": ([f.ethernet(ip)[:37]], [], {"l4_truncated": 1}),
        "tcp-cut": ([f.ethernet(segment)[:37]], [], {"l4_truncated": 1}),
        # With its ports a packet belongs to a flow, whatever is cut after them.
        "udp-ports": ([f.ethernet(ip)[:38]], [flow(17, 1, 38, **PORTS)], {}),
        "tcp-ports": ([f.ethernet(segment)[:53]], [flow(6, 1, 40, **PORTS)], {}),
        "payload-cut": ([f.ethernet(ip)[:44]], [flow(17, 1, 38, **PORTS)], {}),
        "ihl": ([f.ethernet(f.ip4(A, B, 17, dgram(), ihl=4))], [], {"ip_header": 1}),
        "ihl-options-cut": ([f.ethernet(f.ip4(A, B, 17, bytes(60), ihl=15, length=59))], [], {"ip_header": 1}),
        "short-total": ([f.ethernet(f.ip4(A, B, 17, dgram(), length=19))], [], {"ip_header": 1}),
        "version": ([f.ethernet(b"\x55" + ip[1:], kind=0x0800)], [], {"ip_header": 1}),
        "long-total": ([f.ethernet(f.ip4(A, B, 17, dgram(), length=1500))],
                       [flow(17, 1, 1500, **PORTS)], {}),
    }


def shapes():
    """{name: (frames, records or None, {refused kind: packets}, sums if records is None)}."""
    every = {}
    for part in (shapes_tagged(), shapes_ip6(), shapes_ip4(), shapes_broken()):
        every.update(part)
    return every


# ---- writing ---------------------------------------------------------------------

def write_all(folder):
    os.makedirs(folder, exist_ok=True)
    for name, frames in names().items():
        pcapio.write(f"{folder}/{name}.pcap", timed(frames))
    for name, case in shapes().items():
        # Frames cut short are said to have been longer on the wire.
        pcapio.write(f"{folder}/shape-{name}.pcap", timed(case[0]))
    for name, (link, frames) in links.captures().items():
        pcapio.write(f"{folder}/link-{name}.pcap", timed(frames), link=link)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__.splitlines()[0])
    write_all(sys.argv[1])
