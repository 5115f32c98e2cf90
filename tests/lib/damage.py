# SPDX-License-Identifier: Apache-2.0
"""Captures that were damaged: frames cut short, octets changed. Seeded, so that a failure comes again."""
import glob
import os
import random

import l7
import pcapio
import tunnels


CUT = "fuzz-2021-10-13.pcap"  # ends in the middle of a record, which is said with status 2


def whole_captures():
    """Paths of the corpus's captures that can be read to their end, sorted."""
    return sorted(p for p in glob.glob(l7.CORPUS + "/*") if p.endswith((".pcap", ".pcapng", ".cap")) and not p.endswith(CUT))


def ethernet_captures():
    """Paths of the corpus's Ethernet captures, sorted."""
    return [p for p in whole_captures() if pcapio.read(p)[0] == pcapio.ETHERNET]


def changed(rng, frame):
    """The frame with one to four octets changed, more often near its start."""
    octets = bytearray(frame)
    for _ in range(rng.randint(1, 4)):
        at = min(int(rng.expovariate(1 / 60)), len(octets) - 1)
        octets[at] = rng.choice((0, 0xFF, rng.randrange(256), octets[at] ^ 1 << rng.randrange(8)))
    return bytes(octets)


def sample(output, seed, count):
    """Writes `count` damaged frames taken at random from the whole corpus, in order of time."""
    rng = random.Random(seed)
    captures = [pcapio.read(p)[1] for p in ethernet_captures()]
    captures = [c for c in captures if c]
    with pcapio.Writer(output) as out:
        time = 1_700_000_000 * 10**9
        while count > 0:
            packets = rng.choice(captures)
            start = rng.randrange(len(packets))
            # A run of packets of one capture: flows get past their first packet.
            for _, frame, wire in packets[start:start + 20]:
                damaged = frame[:rng.randint(0, len(frame))] if rng.random() < 0.5 else changed(rng, frame or b"\0")
                out.add(time, damaged, wire)
                time += 1_000_000
                count -= 1


def every_length(path, output, first):
    """Writes the first packets of a capture at every length from nothing to whole; returns how many frames."""
    count = 0
    with pcapio.Writer(output) as out:
        for time, frame, wire in pcapio.read(path)[1][:first]:
            for length in range(len(frame) + 1):
                out.add(time, frame[:length], wire)
            count += len(frame) + 1
    return count


def tunnelled(output, seed, count):
    """
    Writes frames of every tunnel: one at every length from nothing to whole, and `count` of each with octets changed. Returns how
    many. What is cut was as long on the wire as it is here, or as it was.
    """
    rng, n = random.Random(seed), 0
    with pcapio.Writer(output) as out:
        for octets in tunnels.captures().values():
            frames = [octets[0][:length] for length in range(len(octets[0]) + 1)] + [changed(rng, rng.choice(octets)) for _ in range(count)]
            for frame in frames:
                n += 1
                out.add(1_700_000_000 * 10**9 + n * 10**6, frame, len(octets[0]) if n % 2 and len(frame) < len(octets[0]) else len(frame))
    return n


def temporary(name):
    folder = os.path.join(l7.ROOT, "build", "damaged")
    os.makedirs(folder, exist_ok=True)
    return os.path.join(folder, name)
