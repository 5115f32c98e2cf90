#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Nothing is allocated for a packet, and no system call made: only for batches, messages and flows' ends."""
import json
import os
import re
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "bench"))
import l7  # noqa: E402
import manyload  # noqa: E402

FLOWS = 20_000  # in waves of 2,000, so that flows end while packets come
PER_THOUSAND = 40  # system calls of all processes: reads of 64 KiB, the exporter's naps, writes


class Frugal(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def load(self, flows):
        path = self.path(f"{flows}.pcap")
        return path, manyload.make(path, "dns", min(flows, 2000), flows)

    def test_no_allocation(self):
        path, packets = self.load(FLOWS)
        done = l7.run([os.path.join(l7.RELEASE, "stages"), path, os.path.join(l7.ROOT, "etc", "protocols.txt"), "1"])
        self.assertEqual(0, done.status, done.err)
        said = json.loads(done.out)
        self.assertEqual((packets, FLOWS), (said["packets"], said["records"]))
        self.assertEqual(0, said["allocations"])

    def calls(self, flows):
        """(system calls other than waiting, packets) of a run."""
        path, packets = self.load(flows)
        log = self.path("strace")
        done = l7.run(["strace", "-f", "-o", log, l7.L7PROBE, "-c", "/dev/null", "-r", path, "-o", "json+file:///dev/null"])
        self.assertEqual(0, done.status, done.err)
        with open(log, encoding="utf-8", errors="replace") as f:
            calls = [line for line in f if re.match(r"\d+ +(?!poll|restart_syscall|clock_nanosleep)\w+\(", line)]
        return len(calls), packets

    def test_no_system_call(self):
        few, _ = self.calls(1)
        many, packets = self.calls(FLOWS)
        self.assertLess(1000 * (many - few) / packets, PER_THOUSAND)


if __name__ == "__main__":
    l7.main()
