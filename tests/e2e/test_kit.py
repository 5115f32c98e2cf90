#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The tools that judge the rest are judged here: ./dev, the length check, mixed loads."""
import collections
import os
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "bench"))
import l7  # noqa: E402
import mixload  # noqa: E402
import pcapio  # noqa: E402

DEV = os.path.join(l7.ROOT, "dev")


class Dev(unittest.TestCase):
    def test_help(self):
        done = l7.run([DEV])
        self.assertEqual(0, done.status)
        for word in "setup build demo test bench lint coverage fuzz soak".split():
            self.assertIn(f"  {word} ", done.out)

    def test_unknown_command(self):
        self.assertEqual(1, l7.run([DEV, "frobnicate"]).status)


class Lengths(unittest.TestCase):
    def lengths(self, text):
        with tempfile.NamedTemporaryFile("w", suffix=".c") as f:
            f.write(text)
            f.flush()
            return l7.run(["/usr/bin/python3", os.path.join(l7.ROOT, "tests", "lib", "lengths.py"), f.name])

    @staticmethod
    def function(lines):
        """A function of so many lines, with what could lead a counter astray."""
        odd = ['\tputs("}{");', "\t/* } */", "#if 0 /* { */", "#endif", "\tint c = '{';", "\tif (c) {", "\t}"]
        body = odd + ["\tx();"] * (lines - 3 - len(odd))
        return "struct s {\n\tint a;\n};\nstatic int f(int a)\n{\n" + "\n".join(body) + "\n}\n"

    def test_at_most_80(self):
        self.assertEqual(0, self.lengths(self.function(80)).status)
        done = self.lengths(self.function(81))
        self.assertEqual(1, done.status)
        self.assertIn(":4: f() has 81 lines", done.out)

    def test_file_at_most_700(self):
        self.assertEqual(0, self.lengths("int a;\n" * 700).status)
        self.assertEqual(1, self.lengths("int a;\n" * 701).status)


class MixedLoad(unittest.TestCase):
    def test_copies_are_apart_and_in_order(self):
        with tempfile.TemporaryDirectory() as folder:
            path = folder + "/load.pcap"
            self.assertEqual(3 * 1566, mixload.make(path, [l7.corpus("telegram.pcap")], 3))
            packets = pcapio.read(path)[1]
        times = [p[0] for p in packets]
        self.assertEqual(sorted(times), times)
        ends = collections.Counter()
        for _, frame, _ in packets:
            if frame[12:14] == b"\x08\x00":
                ends[frame[26:34]] += 1
        original = collections.Counter(f[26:34] for _, f, _ in pcapio.read(l7.corpus("telegram.pcap"))[1]
                                       if f[12:14] == b"\x08\x00")
        private = [pair for pair in original if mixload.private4(pair[:4]) or mixload.private4(pair[4:])]
        moved = [pair for pair in ends if mixload.private4(pair[:4]) or mixload.private4(pair[4:])]
        self.assertEqual(3 * len(private), len(moved))


if __name__ == "__main__":
    l7.main()
