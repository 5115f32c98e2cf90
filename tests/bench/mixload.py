#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Makes a load of any size from captures: copies of them, interleaved in time.

In each copy every private address (RFC 1918, IPv6 unique local and link local)
becomes an address of its own, so that the copies' flows stay apart; public
addresses stay, because they tell protocols. Each copy begins at a random time
within the span, its packets keep their distances. Checksums are not renewed:
neither nDPI nor the programs measured look at them.

  mixload.py [--copies N] [--seed N] [--span SECONDS] OUTPUT CAPTURE...
"""
import argparse
import os
import random
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import pcapio  # noqa: E402


def private4(a):
    return a[0] == 10 or (a[0] == 172 and a[1] & 0xF0 == 16) or (a[0] == 192 and a[1] == 168)


def private6(a):
    return a[0] & 0xFE == 0xFC or (a[0] == 0xFE and a[1] & 0xC0 == 0x80)


def ip_offset(frame):
    """(version, offset of the IP header) of an Ethernet frame, or None."""
    at = 12
    while frame[at:at + 2] in (b"\x81\x00", b"\x88\xa8"):
        at += 4
    kind = frame[at:at + 2]
    if kind == b"\x08\x00" and len(frame) >= at + 22:
        return 4, at + 2
    if kind == b"\x86\xdd" and len(frame) >= at + 42:
        return 6, at + 2
    return None


class Mover:
    """Gives each (copy, private address) an address nobody else has."""

    def __init__(self):
        self.known = {}

    def move4(self, copy, a):
        if not private4(a):
            return a
        n = self.known.setdefault((copy, a), len(self.known) + 1)
        return struct.pack(">I", 0x0A000000 | (n & 0xFFFFFF))

    def move6(self, copy, a):
        if not private6(a):
            return a
        n = self.known.setdefault((copy, a), len(self.known) + 1)
        return a[:10] + struct.pack(">HI", n >> 32, n & 0xFFFFFFFF)

    def frame(self, copy, frame):
        found = ip_offset(frame)
        if not found:
            return frame
        version, at = found
        if version == 4:
            at += 12
            ends = self.move4(copy, frame[at:at + 4]) + self.move4(copy, frame[at + 4:at + 8])
        else:
            at += 8
            ends = self.move6(copy, frame[at:at + 16]) + self.move6(copy, frame[at + 16:at + 32])
        return frame[:at] + ends + frame[at + len(ends):]


def plan(captures, copies, span, rng):
    """Every packet's place: (time, copy number, capture, index), sorted."""
    places, number = [], 0
    for _ in range(copies):
        for c, packets in enumerate(captures):
            start = rng.uniform(0, span) * 10**9 - packets[0][0]
            places.extend((p[0] + start, number, c, i) for i, p in enumerate(packets))
            number += 1
    places.sort()
    return places


def make(output, paths, copies, seed=1, span=60.0):
    """Writes the load; returns its number of packets."""
    captures = []
    for path in paths:
        link, packets = pcapio.read(path)
        if link == pcapio.ETHERNET and packets:
            captures.append(packets)
    mover = Mover()
    places = plan(captures, copies, span, random.Random(seed))
    base = 1_700_000_000 * 10**9 - (places[0][0] if places else 0)
    with pcapio.Writer(output + ".new") as out:
        for time, copy, c, i in places:
            _, frame, wire = captures[c][i]
            out.add(base + time, mover.frame(copy, frame), wire)
    os.rename(output + ".new", output)
    return len(places)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--copies", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--span", type=float, default=60.0, help="seconds over which copies begin")
    parser.add_argument("output")
    parser.add_argument("capture", nargs="+")
    a = parser.parse_args()
    print(make(a.output, a.capture, a.copies, a.seed, a.span), "packets")


if __name__ == "__main__":
    main()
