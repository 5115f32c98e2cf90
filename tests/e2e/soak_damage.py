#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""For ./dev soak: the first packets of every capture at every length, and damaged frames by many seeds.

  soak_damage.py [SEEDS] [PACKETS]     40 seeds, the first 300 packets of each capture
"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import damage  # noqa: E402
import test_sanitize  # noqa: E402


def attempt(name, path):
    said = test_sanitize.read_batch([path])
    print(f"{'FAILED' if said else 'ok':<7} {name}", flush=True)
    if said:
        print(said)
    else:
        os.unlink(path)
    return not said


def main(seeds=40, packets=300):
    good = bad = 0
    for capture in damage.ethernet_captures():
        name = os.path.basename(capture)
        path = damage.temporary(name + ".lengths.pcap")
        damage.every_length(capture, path, packets)
        ok = attempt(f"{name} at every length", path)
        good, bad = good + ok, bad + (not ok)
    for seed in range(1000, 1000 + seeds):
        path = damage.temporary(f"seed-{seed}.pcap")
        damage.sample(path, seed, 100_000)
        ok = attempt(f"damaged, seed {seed}", path)
        good, bad = good + ok, bad + (not ok)
    print(f"{good} passed, {bad} failed, 0 skipped")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
