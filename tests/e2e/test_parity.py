#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The same flows and names as ndpiReader of the same nDPI, but for what tests/parity/differences.txt has. ./dev parity prints the figures."""
import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "parity"))
import l7  # noqa: E402
import parity  # noqa: E402
import reader  # noqa: E402


class Parity(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.captures = parity.compare_all(parity.corpus(), parity.Programs())
        cls.known = parity.read_list()

    def test_every_capture(self):
        """Each difference is listed with the cause that the capture shows, and the list has no other."""
        self.assertGreater(len(self.captures), 250, "the corpus is not there: ./dev corpus")
        held, wrong = parity.judge(self.captures, self.known)
        parity.report(self.captures, held)
        self.assertEqual([], wrong, "\n" + "\n".join(wrong))

    def test_share(self):
        same, both, sure = parity.share(self.captures)
        self.assertGreater(both, 3500)
        self.assertGreaterEqual(both, 0.99 * sure, f"{both} of {sure}: more is missing than the list has")
        self.assertGreaterEqual(same, parity.SHARE * both, f"{same} of {both}")

    def test_list_is_held_to(self):
        """A difference that is not listed, one listed that is none, and a cause that is not so, are each found."""
        some = next(k for k, cause in self.known.items() if cause == "cut")
        without = {k: cause for k, cause in self.known.items() if k != some}
        for known, said in ((without, "not in the list: "), ({**self.known, some: "fragment"}, "the list says fragment, "),
                            ({**self.known, (some[0], "17 a:1 b:2", "DNS", "-"): "cut"}, "in the list, and no longer so: ")):
            with self.subTest(said):
                _, wrong = parity.judge(self.captures, known)
                self.assertEqual(1, len(wrong), wrong)
                self.assertTrue(wrong[0].startswith(said), wrong)

    def test_flow_that_is_missing(self):
        """One that ndpiReader has and l7probe lost is a difference without a cause."""
        capture = parity.Capture(l7.corpus("telegram.pcap"), parity.Programs())
        self.assertEqual([], capture.differences)
        key = next(k for k, flow in capture.theirs.items() if flow.confidence == reader.SURE)
        del capture.ours[key]
        capture.compare()
        self.assertEqual([(parity.key_text(key), "-", parity.UNEXPLAINED)], [(d.key, d.ours, d.cause) for d in capture.differences])


if __name__ == "__main__":
    l7.main()
