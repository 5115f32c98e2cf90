# SPDX-License-Identifier: Apache-2.0
"""Captures that were damaged: frames cut short, octets changed. Seeded, so that a failure comes again."""
import glob
import os
import random

import fragments
import frames as f
import l7
import links
import pcapio
import tunnels


CUT = "fuzz-2021-10-13.pcap"  # ends in the middle of a record, which is said with status 2


def whole_captures():
    """Paths of the corpus's captures that can be read to their end, sorted."""
    return sorted(p for p in glob.glob(l7.CORPUS + "/*") if p.endswith((".pcap", ".pcapng", ".cap")) and not p.endswith(CUT))


def ethernet_captures():
    """Paths of the corpus's Ethernet captures, sorted."""
    return [p for p in whole_captures() if pcapio.read(p)[0] == pcapio.ETHERNET]


def changed(rng, frame, kept=0):
    """The frame with one to four octets changed, more often near its start, but for the first `kept`."""
    octets = bytearray(frame)
    for _ in range(rng.randint(1, 4)):
        at = min(kept + int(rng.expovariate(1 / 60)), len(octets) - 1)
        octets[at] = rng.choice((0, 0xFF, rng.randrange(256), octets[at] ^ 1 << rng.randrange(8)))
    return bytes(octets)


def parts(rng, frame, wire):
    """A frame, or one in ten in fragments."""
    whole = len(frame) == wire and rng.random() < 0.1
    return fragments.shuffled(rng, frame, rng.randrange(1 << 32)) if whole else [frame]


def chains(rng, count):
    """Frames of IPv6 with extension headers of every kind, which the corpus has few of, and mobility and HIP in their place."""
    src, dst = "2001:db8::1", "2001:db8::2"
    kinds = [f.HOP_BY_HOP, f.DESTINATION, f.ROUTING, (51, bytes([2]) + bytes(14)), f.fragment6(0, 0),
             (135, bytes(7)), (139, bytes(7))]
    found = []
    for n in range(count):
        extensions = [rng.choice(kinds) for _ in range(rng.randint(1, 4))]
        if n % 2:
            protocol, data = f.UDP, f.udp(src, dst, 1000 + n, 53, f.dns_query(n, "damage.example"))
        else:
            protocol, data = f.TCP, f.tcp(src, dst, 1000 + n, 443, 1, 1, f.ACK, b"x" * 80)
        frame = f.ethernet(f.ip6(src, dst, protocol, data, extensions))
        found.append((n * 10**6, frame, len(frame)))
    return found


def sample(output, seed, count):
    """Writes `count` damaged frames taken at random from the whole corpus and of chains(), in order of time."""
    rng = random.Random(seed)
    captures = [pcapio.read(p)[1] for p in ethernet_captures()]
    captures = [c for c in captures if c] + [chains(rng, 400)] * 20
    with pcapio.Writer(output) as out:
        time = 1_700_000_000 * 10**9
        while count > 0:
            packets = rng.choice(captures)
            start = rng.randrange(len(packets))
            # A run of packets of one capture: flows get past their first packet.
            for _, frame, wire in packets[start:start + 20]:
                for part in parts(rng, frame, wire):
                    damaged = part[:rng.randint(0, len(part))] if rng.random() < 0.5 else changed(rng, part or b"\0")
                    out.add(time, damaged, len(part) if part is not frame else wire)
                    time += 1_000_000
                    count -= 1


def every_length(paths, output, first):
    """Writes the first packets of each capture at every length from nothing to whole; returns how many frames."""
    count = 0
    with pcapio.Writer(output) as out:
        for path in paths:
            for time, frame, wire in pcapio.read(path)[1][:first]:
                for length in range(len(frame) + 1):
                    out.add(time, frame[:length], wire)
                count += len(frame) + 1
    return count


def fragmented(output, seed, count):
    """Writes `count` damaged frames of captures in which every second packet is in fragments, in any order."""
    rng = random.Random(seed)
    captures = [c for c in (pcapio.read(p)[1] for p in ethernet_captures()) if c]
    found = []
    while len(found) < count:
        fragments.load(output, rng.choice(captures)[:50], rng)
        for _, frame, wire in pcapio.read(output)[1]:
            found.append((changed(rng, frame or b"\0") if rng.random() < 0.2 else frame, wire))
    return write(output, [(frame, max(wire, len(frame))) for frame, wire in found])


def hurt(rng, octets, count, kept=0):
    """
    Of a list of frames: [(frame, length on the wire)] of the first at every length from nothing to whole, and of `count` with octets
    changed. What is cut was as long on the wire as it is here, or as it was.
    """
    whole = octets[0]
    found = [(whole[:n], len(whole) if n % 2 else n) for n in range(len(whole) + 1)]
    for _ in range(count):
        frame = changed(rng, rng.choice(octets), kept)
        found.append((frame, len(frame)))
    return found


def write(output, frames, link=pcapio.ETHERNET):
    pcapio.write(output, [(1_700_000_000 * 10**9 + n * 10**6, *frame) for n, frame in enumerate(frames)], link=link)
    return len(frames)


# Of these tshark has to be told that the order of octets is the standard's.
NOT_SWAPPED = ("capwap-wifi",)


def is_odd_gtp(frame):
    """Whether a packet in GTP has the longest header of IPv4: tshark shows such a one not as a packet."""
    at = frame.find(b"\x08\x68\x08\x68") + 8
    if at < 8 or at + 12 > len(frame):
        return False
    flags, at = frame[at], at + (12 if frame[at] & 7 else 8)
    while flags & 4 and at < len(frame) and frame[at - 1] and frame[at]:
        at += 4 * frame[at]
    return at < len(frame) and frame[at] == 0x4F


def tunnelled(output, seed, count, only=(), but=()):
    """Writes frames of every tunnel, or of some: one at every length, and `count` of each with octets changed. Returns how many."""
    rng, found = random.Random(seed), []
    for name, octets in tunnels.captures().items():
        if name not in but and (not only or name in only):
            found += hurt(rng, octets, count)
    return write(output, [one for one in found if not is_odd_gtp(one[0])])


# A header whose fields say what is of no use here, and in which tshark stops at one that it does not like: it is kept.
KEPT = {links.PPI: 32}
# Nothing in a packet says what is behind a label: what tshark makes of a pseudowire is told to it, and holds for what was cut only.
PSEUDOWIRES = {"mpls-ethernet": "pwethcw", "mpls-ethernet-vlan": "pwethcw", "mpls-ethernet-plain": "pwethnocw", "mpls-pppoe": ""}


def linked(seed, count):
    """
    Writes frames of each link type and shim: of each form one at every length, and `count` with octets changed. Yields (path,
    arguments of tshark, or None where it cannot tell).
    """
    rng, groups = random.Random(seed), {}
    for name, (link, octets) in links.captures().items():
        if name in PSEUDOWIRES:
            told = PSEUDOWIRES[name]
            groups[link, name, told] = hurt(rng, octets, 0)
            groups.setdefault((link, "pseudowires", None), []).extend(hurt(rng, octets, count))
        else:
            groups.setdefault((link, "", ""), []).extend(hurt(rng, octets, count, KEPT.get(link, 0)))
    for (link, name, told), frames in groups.items():
        path = temporary(f"link-{link}{name}-{seed}.pcap")
        write(path, frames, link)
        yield path, told if told is None else ("-d", "mpls.label==17," + told) if told else ()


def temporary(name):
    folder = os.path.join(l7.ROOT, "build", "damaged")
    os.makedirs(folder, exist_ok=True)
    return os.path.join(folder, name)
