#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Every odd or broken frame gives the records and refusals that it must."""
import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import l7  # noqa: E402
import make  # noqa: E402


def refused(stats):
    """{kind: (packets, octets)} without the zeros."""
    return {k: (v["packets"], v["octets"]) for k, v in stats["refused"].items() if v["packets"]}


class Shapes(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.folder = l7.made()

    def check(self, name, case):
        frames, records, kinds = case[:3]
        done = l7.probe_flows(f"{self.folder}/shape-{name}.pcap")
        octets = sum(len(f) for f in frames)
        self.assertEqual({k: (n, octets) for k, n in kinds.items()}, refused(done.stats))
        self.assertEqual(len(frames), done.stats["packets"])
        if records is None:
            sums = (sum(f["packets"] + f.get("rev_packets", 0) for f in done.flows),
                    sum(f["octets"] + f.get("rev_octets", 0) for f in done.flows))
            self.assertEqual(case[3], sums)
            return
        self.assertEqual(len(records), len(done.flows), done.out)
        for expected, flow in zip(records, done.flows):
            # Fields that are absent count as zero.
            self.assertEqual(expected, {k: flow.get(k, 0) for k in expected})


def add_tests():
    """One test per shape, so that each is counted and named."""
    for name, case in make.shapes().items():
        def test(self, name=name, case=case):
            self.check(name, case)
        setattr(Shapes, "test_" + name.replace("-", "_"), test)


if __name__ == "__main__":
    add_tests()
    l7.main()
