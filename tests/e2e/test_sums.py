#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What the records of a flow add up to does not depend on who takes them: with early records, without, beside the other."""
import collections
import os
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import l7  # noqa: E402

CAPTURES = ("skype.pcap", "netflix.pcap", "1kxun.pcap", "whatsapp_login_call.pcap", "instagram.pcap", "webex.pcap",
            "fuzz-2006-06-26-2594.pcap")
TIMEOUTS = (("60", "15"), ("1", "1"), ("1", "5"), ("2", "0"))
COUNTS = ("packets", "octets", "rev_packets", "rev_octets")


def records(path):
    with open(path, encoding="utf-8") as f:
        return l7.json_lines(f.read())


def sums(flows):
    found = collections.defaultdict(lambda: [0] * len(COUNTS))
    for flow in flows:
        for i, count in enumerate(COUNTS):
            found[flow["flow_id"]][i] += flow.get(count, 0)
    return dict(found)


def without_stream(flows):
    return [{key: value for key, value in flow.items() if key != "stream_id"} for flow in flows]


class Sums(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.plain, self.early, self.alone = (os.path.join(folder.name, x) for x in ("plain", "early", "alone"))

    def check(self, capture, active, idle):
        argv = ("-r", l7.corpus(capture), "--active-timeout", active, "--idle-timeout", idle, "--stats", "-o")
        done = l7.probe(*argv, f"json+file://{self.plain}", "-o", f"json+file://{self.early}?early=1")
        self.assertEqual(0, done.status, done.err)
        self.assertEqual(0, l7.probe(*argv, f"json+file://{self.alone}").status)
        plain, early, alone = records(self.plain), records(self.early), records(self.alone)
        self.assertEqual(sums(plain), sums(early))
        self.assertEqual(without_stream(alone), without_stream(plain))
        refused = sum(kind["packets"] for kind in done.stats["refused"].values())
        counted = sum(flow.get("packets", 0) + flow.get("rev_packets", 0) for flow in plain)
        self.assertEqual(done.stats["packets"], counted + refused)
        self.check_records(plain)
        self.check_records(early)

    def check_records(self, flows):
        self.assertEqual([str(i) for i in range(len(flows))], [flow["record_sequence"] for flow in flows])
        for flow in flows:
            self.assertLessEqual(flow["start_ms"], flow["end_ms"])
            if not flow["packets"] and not flow["rev_packets"]:
                self.assertIn("last", flow.get("state", ""), "a record of nothing")
        last = collections.Counter(flow["flow_id"] for flow in flows if "last" in flow.get("state", ""))
        self.assertEqual({flow["flow_id"]: 1 for flow in flows}, dict(last))

    def test_sums(self):
        for capture in CAPTURES:
            for active, idle in TIMEOUTS:
                with self.subTest(capture=capture, active=active, idle=idle):
                    self.check(capture, active, idle)


if __name__ == "__main__":
    l7.main()
