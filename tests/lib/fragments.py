# SPDX-License-Identifier: Apache-2.0
"""Cuts the packets of captures into fragments (RFC 791 section 3.2, RFC 8200 section 4.5)."""
import struct

import pcapio

MORE = 0x2000  # of IPv4's flags and offset


def ip_offset(frame):
    """(version, offset of the IP header) of an Ethernet frame that may be tagged, or None."""
    at = 12
    while frame[at:at + 2] in (b"\x81\x00", b"\x88\xa8"):
        at += 4
    version = {b"\x08\x00": 4, b"\x86\xdd": 6}.get(frame[at:at + 2])
    return (version, at + 2) if version and len(frame) >= at + 42 else None


def piece4(frame, at, start, size, ident):
    """Octets [start, start + size) of an IPv4 packet's data as a fragment."""
    header = (frame[at] & 15) * 4
    data = frame[at + header:at + struct.unpack_from(">H", frame, at + 2)[0]]
    part = data[start:start + size]
    flags = start // 8 | (MORE if start + size < len(data) else 0)
    fixed = frame[:at + 2] + struct.pack(">HHH", header + len(part), ident & 0xFFFF, flags)
    return fixed + frame[at + 8:at + header] + part


def piece6(frame, at, start, size, ident):
    data = frame[at + 40:at + 40 + struct.unpack_from(">H", frame, at + 4)[0]]
    part = data[start:start + size]
    more = start + size < len(data)
    head = frame[:at + 4] + struct.pack(">HB", 8 + len(part), 44) + frame[at + 7:at + 40]
    return head + struct.pack(">BBHI", frame[at + 6], 0, start | more, ident) + part


def piece(frame, start, size, ident):
    version, at = ip_offset(frame)
    return (piece4 if version == 4 else piece6)(frame, at, start, size, ident)


def data_size(frame):
    """Octets of data that an unfragmented packet has, 0 if it is none, or not whole."""
    found = ip_offset(frame)
    if not found:
        return 0
    version, at = found
    if version == 6:
        size = struct.unpack_from(">H", frame, at + 4)[0]
        whole = frame[at + 6] in (6, 17, 58) and len(frame) >= at + 40 + size
        return size if whole else 0
    header, total = (frame[at] & 15) * 4, struct.unpack_from(">H", frame, at + 2)[0]
    whole = header >= 20 and len(frame) >= at + total and not struct.unpack_from(">H", frame, at + 6)[0] & 0x3FFF
    return max(0, total - header) if whole else 0


def cut(frame, size, ident):
    """The fragments of a packet, each of `size` octets (a multiple of 8) but for the last."""
    return [piece(frame, start, size, ident) for start in range(0, data_size(frame), size)]


def shuffled(rng, frame, ident):
    """A packet in two to five fragments in any order; some are not there, or twice, or have others' octets, too."""
    total = data_size(frame)
    if total <= 64:
        return [frame]
    parts = rng.randint(2, 5)
    size = max(32, (total + parts - 1) // parts + 7 & ~7)
    found = cut(frame, size, ident)
    if rng.random() < 0.05:
        found.append(piece(frame, 8 * rng.randrange(total // 8), size, ident))
    if rng.random() < 0.1:
        found.append(rng.choice(found))
    rng.shuffle(found)
    if rng.random() < 0.1:
        found.remove(rng.choice(found))
    return found


def load(path, packets, rng, step=1_000_000):
    """
    Writes packets with every second one in fragments: some fragments come up to 40 frames after the others. Times are anew, `step`
    nanoseconds apart, so that they are in order. Returns how many frames.
    """
    frames = []
    for n, (_, frame, wire) in enumerate(packets):
        for part in shuffled(rng, frame, n) if len(frame) == wire and rng.random() < 0.5 else [frame]:
            frames.append((n * 4 + rng.choice((0, 0, 0, rng.randrange(160))), part, len(part) if part is not frame else wire))
    frames.sort(key=lambda f: f[0])
    with pcapio.Writer(path) as out:
        for n, (_, frame, wire) in enumerate(frames):
            out.add(1_700_000_000 * 10**9 + n * step, frame, wire)
    return len(frames)
