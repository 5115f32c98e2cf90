# SPDX-License-Identifier: Apache-2.0
"""
Writes MaxMind DB files, version 2.0, for tests: write(path, {network: value}). Values are dicts, lists, texts, whole numbers,
truth values and floats; one that is there twice is written once, with pointers to it, as real writers do.
"""
import ipaddress
import struct

MARKER = b"\xab\xcd\xefMaxMind.com"
MAP, ARRAY, TEXT = 7, 11, 2
U16, U32, U64 = 5, 6, 9


def head(kind, size):
    """The octets before a value."""
    extra = b""
    if size >= 65821:
        size, extra = 31, (size - 65821).to_bytes(3, "big")
    elif size >= 285:
        size, extra = 30, (size - 285).to_bytes(2, "big")
    elif size >= 29:
        size, extra = 29, bytes([size - 29])
    if kind > 7:
        return bytes([size, kind - 7]) + extra
    return bytes([kind << 5 | size]) + extra


def pointer(to):
    if to < 2048:
        return bytes([0x20 | to >> 8, to & 255])
    if to < 526336:
        to -= 2048
        return bytes([0x28 | to >> 16]) + (to & 0xFFFF).to_bytes(2, "big")
    if to < 526336 + (1 << 27):
        to -= 526336
        return bytes([0x30 | to >> 24]) + (to & 0xFFFFFF).to_bytes(3, "big")
    return bytes([0x38]) + to.to_bytes(4, "big")


def number(value, kind=None):
    octets = value.to_bytes((value.bit_length() + 7) // 8, "big")
    if kind is None:
        kind = U16 if value < 1 << 16 else U32 if value < 1 << 32 else U64
    return head(kind, len(octets)) + octets


class Data:
    """The section of values."""

    def __init__(self):
        self.octets, self.places = bytearray(), {}

    def add(self, value):
        """The place of a value."""
        key = repr(value)
        if key not in self.places:
            octets = self.encoded(value)
            self.places[key] = len(self.octets)
            self.octets += octets
        return self.places[key]

    def short(self, value):
        """A text or map inside another value: a pointer to it, if that is shorter."""
        if isinstance(value, dict) or (isinstance(value, str) and len(value.encode()) > 3):
            return pointer(self.add(value))
        return self.encoded(value)

    def encoded(self, value):
        if isinstance(value, bool):
            return head(14, int(value))
        if isinstance(value, bytes):
            return value  # as it is: what no writer would write
        if isinstance(value, int):
            return number(value)
        if isinstance(value, float):
            return head(3, 8) + struct.pack(">d", value)
        if isinstance(value, str):
            return head(TEXT, len(value.encode())) + value.encode()
        if isinstance(value, list):
            return head(ARRAY, len(value)) + b"".join(self.short(item) for item in value)
        return head(MAP, len(value)) + b"".join(self.short(k) + self.short(v) for k, v in value.items())


class Tree:
    """Nodes are pairs; a half is None, the number of a node, or ("data", place)."""

    def __init__(self, six):
        self.six, self.nodes = six, [[None, None]]

    def add(self, network, place):
        network = ipaddress.ip_network(network)
        bits, length = int(network.network_address), network.prefixlen
        if self.six and network.version == 4:
            length += 96
        width = 128 if self.six else 32
        node = 0
        for i in range(length - 1):
            bit = bits >> (width - 1 - i) & 1
            half = self.nodes[node][bit]
            if not isinstance(half, int):
                self.nodes.append([half, half])
                self.nodes[node][bit] = half = len(self.nodes) - 1
            node = half
        self.nodes[node][bits >> (width - length) & 1] = ("data", place)

    def alias(self, network):
        """The IPv4 part of the tree once more, at an IPv6 network."""
        node = 0
        for _ in range(96):
            node = self.nodes[node][0]
        self.add(network, 0)
        target, network = node, ipaddress.ip_network(network)
        node, bits = 0, int(network.network_address)
        for i in range(network.prefixlen - 1):
            node = self.nodes[node][bits >> (127 - i) & 1]
        self.nodes[node][bits >> (128 - network.prefixlen) & 1] = target

    def octets(self, record):
        out, n = bytearray(), len(self.nodes)
        for halves in self.nodes:
            left, right = (n if half is None else half if isinstance(half, int) else n + 16 + half[1] for half in halves)
            if record == 28:
                out += (left & 0xFFFFFF).to_bytes(3, "big") + bytes([left >> 24 << 4 | right >> 24])
                out += (right & 0xFFFFFF).to_bytes(3, "big")
            else:
                out += left.to_bytes(record // 8, "big") + right.to_bytes(record // 8, "big")
        return bytes(out)


def build(networks, record=24, six=True, aliases=(), **meta):
    """The file as octets; networks that are in others come after them."""
    data, tree = Data(), Tree(six)
    for network, value in networks.items():
        tree.add(network, data.add(value))
    for network in aliases:
        tree.alias(network)
    about = {"node_count": number(len(tree.nodes), U32), "record_size": number(record, U16),
             "ip_version": number(6 if six else 4, U16), "database_type": "l7probe-test", "languages": ["en"],
             "binary_format_major_version": number(2, U16), "binary_format_minor_version": number(0, U16),
             "build_epoch": number(1700000000, U64), "description": {"en": "made by a test"}}
    about.update(meta)
    last = head(MAP, len(about)) + b"".join(Data().encoded(k) + flat(v) for k, v in about.items())
    return tree.octets(record) + bytes(16) + bytes(data.octets) + MARKER + last


def flat(value):
    """A value of the last section: without pointers."""
    if isinstance(value, dict):
        return head(MAP, len(value)) + b"".join(flat(k) + flat(v) for k, v in value.items())
    if isinstance(value, list):
        return head(ARRAY, len(value)) + b"".join(flat(v) for v in value)
    return Data().encoded(value)


def write(path, networks, **options):
    with open(path, "wb") as f:
        f.write(build(networks, **options))
    return path
