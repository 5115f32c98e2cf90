# SPDX-License-Identifier: Apache-2.0
"""Reads pcap and pcapng files, gzip or not, writes pcap files. Standard library only.

A packet is a tuple (time in ns, captured octets, length on the wire).
"""
import gzip
import struct

ETHERNET = 1


def read(path):
    """Returns (link type of the first interface, list of packets)."""
    with (gzip.open if path.endswith(".gz") else open)(path, "rb") as f:
        data = f.read()
    if data[:4] == b"\x0a\x0d\x0d\x0a":
        return _read_pcapng(data)
    return _read_pcap(data)


def _read_pcap(data):
    for order in "<>":
        magic = struct.unpack_from(order + "I", data)[0]
        if magic in (0xA1B2C3D4, 0xA1B23C4D):
            break
    else:
        raise ValueError("no capture file")
    scale = 1000 if magic == 0xA1B2C3D4 else 1
    link = struct.unpack_from(order + "I", data, 20)[0] & 0xFFFF
    head = struct.Struct(order + "IIII")
    old = struct.unpack_from(order + "HH", data, 4) < (2, 3)
    packets, at = [], 24
    while at + 16 <= len(data):
        sec, sub, have, wire = head.unpack_from(data, at)
        if old:  # the lengths stood the other way round before version 2.3
            have, wire = wire, have
        at += 16
        if at + have > len(data):
            break
        packets.append((sec * 10**9 + sub * scale, data[at:at + have], wire))
        at += have
    return link, packets


def _read_pcapng(data):
    order, at = "<", 0
    links, units, packets = [], [], []
    while at + 12 <= len(data):
        kind = struct.unpack_from(order + "I", data, at)[0]
        if kind == 0x0A0D0D0A:
            order = "<" if data[at + 8:at + 12] == b"\x4d\x3c\x2b\x1a" else ">"
            links, units = links[:1], []
        size = struct.unpack_from(order + "I", data, at + 4)[0]
        if size < 12 or at + size > len(data):
            break
        body = data[at + 8:at + size - 4]
        if kind == 1:
            if not units and not packets:
                links = []
            links.append(struct.unpack_from(order + "H", body)[0])
            units.append(_unit(order, body[8:]))
        elif kind == 6:
            number, high, low, have, wire = struct.unpack_from(order + "IIIII", body)
            time = ((high << 32) | low) * units[number]
            packets.append((time, body[20:20 + have], wire))
        elif kind == 3:
            wire = struct.unpack_from(order + "I", body)[0]
            packets.append((packets[-1][0] if packets else 0, body[4:4 + wire], wire))
        at += size
    return (links[0] if links else 0), packets


def _unit(order, options):
    """Nanoseconds per tick of an interface (option if_tsresol)."""
    at = 0
    while at + 4 <= len(options):
        code, size = struct.unpack_from(order + "HH", options, at)
        if code == 9:
            resolution = options[at + 4]
            if resolution & 0x80:
                return 10**9 / 2**(resolution & 0x7F)
            return 10**9 // 10**resolution if resolution <= 9 else 10**(9 - resolution)
        if code == 0:
            break
        at += 4 + (size + 3) // 4 * 4
    return 1000


class Writer:
    """Writes a pcap file, with microseconds unless told otherwise."""

    def __init__(self, path, link=ETHERNET, nano=False, order="<"):
        self.file = open(path, "wb")
        self.order, self.unit = order, 1 if nano else 1000
        self.file.write(struct.pack(order + "IHHiIII", 0xA1B23C4D if nano else 0xA1B2C3D4, 2, 4, 0, 0, 262144, link))

    def add(self, time_ns, frame, wire=None):
        self.file.write(struct.pack(self.order + "IIII", int(time_ns) // 10**9, int(time_ns) % 10**9 // self.unit,
                                    len(frame), len(frame) if wire is None else wire))
        self.file.write(frame)

    def close(self):
        self.file.close()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()


def _block(order, kind, body):
    body += bytes(-len(body) % 4)
    size = struct.pack(order + "I", len(body) + 12)
    return struct.pack(order + "I", kind) + size + body + size


def pcapng(packets, resolutions=(None,), order="<", link=ETHERNET, secrets=b""):
    """
    A section of a pcapng file as octets: an interface per if_tsresol (None: without), which take turns. secrets: of TLS sessions, a key
    log's lines, which go before the packets (a decryption secrets block).
    """
    out = _block(order, 0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1))
    for resolution in resolutions:
        option = struct.pack(order + "HHBxxxI", 9, 1, resolution, 0) if resolution is not None else b""
        out += _block(order, 1, struct.pack(order + "HHI", link, 0, 262144) + option)
    if secrets:
        out += _block(order, 10, struct.pack(order + "II", 0x544C534B, len(secrets)) + secrets)
    for i, (time, frame, wire) in enumerate(packets):
        resolution = resolutions[i % len(resolutions)]
        resolution = 6 if resolution is None else resolution
        unit = 2**(resolution & 0x7F) if resolution & 0x80 else 10**resolution
        ticks = int(time) * unit // 10**9
        out += _block(order, 6, struct.pack(order + "IIIII", i % len(resolutions), ticks >> 32, ticks & 0xFFFFFFFF,
                                            len(frame), wire) + frame)
    return out


def write(path, packets, **how):
    with Writer(path, **how) as out:
        for time, frame, wire in packets:
            out.add(time, frame, wire)
