#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""For ./dev soak: the first packets of every capture at every length, and damaged frames by many seeds: of the corpus, in fragments,
of tunnels, of every link type. The sanitizer build reads them all, and no flow has a key that tshark does not read.

  soak_damage.py [SEEDS] [PACKETS]     40 seeds, the first 300 packets of each capture (tshark reads of 10)
"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import damage  # noqa: E402
import keys  # noqa: E402
import test_sanitize  # noqa: E402

FRAMES, EACH = 50_000, 500
KEYS = 10  # packets of each capture


def odd_keys(path, more):
    """"" or the flows that tshark does not read."""
    try:
        _, strange = keys.check(path, *more)
    except AssertionError as error:
        return str(error)
    return "\n".join(map(str, strange[:20]))


class Count:
    def __init__(self):
        self.good = self.bad = 0

    def attempt(self, name, path, more=()):
        """more: arguments of tshark, or None if it is not asked. What fails is kept."""
        said = test_sanitize.read_batch([path]) or (odd_keys(path, more) if more is not None else "")
        self.good, self.bad = self.good + (not said), self.bad + bool(said)
        print(f"{'FAILED' if said else 'ok':<7} {name}", flush=True)
        if said:
            print(f"{path}\n{said}", flush=True)
        else:
            os.unlink(path)


def lengths(count, packets):
    for capture in damage.ethernet_captures():
        name = os.path.basename(capture)
        for first, more in ((packets, None), (min(packets, KEYS), ())):
            path = damage.temporary(f"{name}.{first}.pcap")
            damage.every_length([capture], path, first)
            count.attempt(f"{name}, {first} packets at every length", path, more)


def by_seed(count, seed):
    path = damage.temporary(f"seed-{seed}.pcap")
    damage.sample(path, seed, FRAMES)
    count.attempt(f"damaged, seed {seed}", path)
    path = damage.temporary(f"fragments-{seed}.pcap")
    damage.fragmented(path, seed, FRAMES)
    count.attempt(f"damaged fragments, seed {seed}", path)
    for name, how, more in (("tunnels", {"but": damage.NOT_SWAPPED}, ()),
                            ("capwap", {"only": damage.NOT_SWAPPED}, ("-o", "capwap.swap_fc:FALSE"))):
        path = damage.temporary(f"{name}-{seed}.pcap")
        damage.tunnelled(path, seed, EACH, **how)
        count.attempt(f"damaged {name}, seed {seed}", path, more)
    for path, more in damage.linked(seed, EACH):
        count.attempt(f"damaged frames, {os.path.basename(path)}", path, more)


def main(seeds=40, packets=300):
    count = Count()
    for seed in range(1000, 1000 + seeds):
        by_seed(count, seed)
    lengths(count, packets)
    print(f"{count.good} passed, {count.bad} failed, 0 skipped")
    return 1 if count.bad else 0


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
