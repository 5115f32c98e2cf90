#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Allocations of our own code fail, each once: a sentence and status 1 or 2, or the right result; no crash, hang or leak.

Here one of those that are reached by the same nearest calls; ./dev soak has every single one.
"""
import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import allocs  # noqa: E402
import l7  # noqa: E402

EVERY = False


class Allocations(unittest.TestCase):
    def test_each_fails(self):
        sums = allocs.Sums()
        with allocs.Place() as place:
            for name, scenario in place.scenarios().items():
                allocs.fail_each(sums, name, scenario, EVERY)
        print(f"{sums.points} allocations, {sums.reached} of them reached, each failed once")
        self.assertEqual([], sums.bad, "\n".join(sums.bad))
        self.assertGreater(sums.points, 200)
        self.assertGreaterEqual(sums.reached, sums.points * 0.95, "which one fails depends on chance")


if __name__ == "__main__":
    l7.main()
