#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""l7probe spool ls, verify and drain, on spools made by other code."""
import fcntl
import os
import struct
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import l7  # noqa: E402
import spoolfile  # noqa: E402

HEADER, BATCH = 48, 40


def line(i):
    return b'{"n":%d}' % i


class Spool(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        seq, record = spoolfile.segment(self.folder, 1, 0, [line(i) for i in range(1, 11)], 3, b"key")
        spoolfile.segment(self.folder, seq, record, [line(i) for i in range(11, 21)], 3, b"key")

    def path(self, name):
        return os.path.join(self.folder, name)

    def run_on(self, *words):
        return l7.run((l7.L7PROBE, "spool") + words + (self.folder,), timeout=30)

    def flip(self, name, at):
        with open(self.path(name), "r+b") as f:
            f.seek(at)
            octet = f.read(1)[0]
            f.seek(at)
            f.write(bytes([octet ^ 4]))

    def content(self):
        found = {}
        for name in sorted(os.listdir(self.folder)):
            with open(self.path(name), "rb") as f:
                found[name] = f.read()
        return found

    def locked(self):
        """As a running probe has it."""
        f = open(self.path("LOCK"), "wb")
        self.addCleanup(f.close)
        fcntl.fcntl(f, 37, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0))  # F_OFD_SETLK
        return f

    def test_ls(self):
        spoolfile.pos(self.folder, 4, 12)
        before = self.content()
        done = self.run_on("ls")
        self.assertEqual(0, done.status, done.err)
        rows = [row.split() for row in done.out.splitlines()]
        self.assertEqual(["0000000000000001.seg", "1-10", "30"], rows[1][:3])
        self.assertTrue(done.out.splitlines()[1].endswith("sent in part"), done.out)
        self.assertEqual(["000000000000000b.seg", "11-20", "30"], rows[2][:3])
        self.assertIn("acknowledged up to batch 4; to send: 48 records; ", done.out)
        self.assertIn("; not in use", done.out)
        self.assertEqual(before, self.content())
        lock = self.locked()
        self.assertIn("; in use", self.run_on("ls").out)
        lock.close()
        self.assertIn("; not in use", self.run_on("ls").out)

    def test_verify(self):
        done = self.run_on("verify")
        self.assertEqual((0, ""), (done.status, done.err))
        self.assertRegex(done.out, r"^2 segments, 20 batches, 60 records, .*: nothing is damaged\n$")

    def test_verify_says_where(self):
        size = BATCH + len(b"key" + line(1))
        self.flip("0000000000000001.seg", HEADER + 2 * size + BATCH + 1)  # payload of batch 3
        self.flip("0000000000000001.seg", HEADER + 5 * size + 9)  # header of batch 6
        os.truncate(self.path("000000000000000b.seg"), os.path.getsize(self.path("000000000000000b.seg")) - 1)
        spoolfile.pos(self.folder, 1, 3)
        self.flip("pos", 8)
        done = self.run_on("verify")
        self.assertEqual(2, done.status, done.err)
        place = HEADER + 2 * size
        for said in (f"0000000000000001.seg: octet {place}: batch 3 of 3 records is damaged",
                     f"0000000000000001.seg: octet {place + 3 * size}: {size} octets are no batch",
                     "0000000000000001.seg: before batch 7 there are missing 1, of 3 records",
                     "000000000000000b.seg: octet ", "/pos: damaged"):
            self.assertIn(said, done.err)
        self.assertRegex(done.out, "^2 segments, 17 batches, 51 records, .*: 5 damaged, see above\n$")

    def test_what_is_being_written_is_not_damaged(self):
        os.truncate(self.path("000000000000000b.seg"), os.path.getsize(self.path("000000000000000b.seg")) - 1)
        self.assertEqual(2, self.run_on("verify").status)
        self.locked()
        self.assertEqual(0, self.run_on("verify").status)

    def test_missing_segment(self):
        spoolfile.segment(self.folder, 31, 100, [line(31)])
        done = self.run_on("verify")
        self.assertEqual(2, done.status)
        self.assertIn("before batch 31 there are missing 10, of 40 records", done.err)

    def test_drain(self):
        spoolfile.pos(self.folder, 7, 21)
        before = self.content()
        self.locked()
        before["LOCK"] = b""
        for _ in range(2):
            done = self.run_on("drain")
            self.assertEqual((0, ""), (done.status, done.err))
            self.assertEqual("".join(line(i).decode() + "\n" for i in range(8, 21)), done.out)
        self.assertEqual(before, self.content())

    def test_drain_ipfix(self):
        """Messages stand one behind the other, as in a file of IPFIX."""
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        messages = [struct.pack(">HHIII", 10, 16, 0, i, 1) for i in range(3)]
        spoolfile.segment(self.folder, 1, 0, messages)
        process = l7.subprocess.run([l7.L7PROBE, "spool", "drain", self.folder], stdout=l7.subprocess.PIPE, timeout=30)
        self.assertEqual((0, b"".join(messages)), (process.returncode, process.stdout))

    def test_drain_goes_on_after_damage(self):
        self.flip("0000000000000001.seg", HEADER + BATCH + 4)
        done = self.run_on("drain")
        self.assertEqual(2, done.status)
        self.assertEqual("".join(line(i).decode() + "\n" for i in range(2, 21)), done.out)
        self.assertIn("batch 1 of 3 records is damaged", done.err)

    def test_drain_and_acknowledge(self):
        spoolfile.pos(self.folder, 2, 6)
        done = self.run_on("drain", "--ack")
        self.assertEqual((0, ""), (done.status, done.err))
        self.assertEqual(18, done.out.count("\n"))
        self.assertEqual((20, 60), spoolfile.read_pos(self.folder))
        self.assertFalse(os.path.exists(self.path("0000000000000001.seg")), "what is acknowledged is removed")
        self.assertEqual((0, ""), (self.run_on("drain").status, self.run_on("drain").out))

    def test_not_acknowledged_while_in_use(self):
        self.locked()
        before = self.content()
        done = self.run_on("drain", "--ack")
        self.assertEqual((2, ""), (done.status, done.out))
        self.assertIn("another process has this spool", done.err)
        self.assertEqual(before, self.content())

    def test_not_acknowledged_if_not_written(self):
        with open("/dev/full", "wb") as full:
            process = l7.subprocess.run([l7.L7PROBE, "spool", "drain", "--ack", self.folder], stdout=full,
                                        stderr=l7.subprocess.PIPE, timeout=30)
        self.assertEqual(2, process.returncode)
        self.assertIn(b"No space", process.stderr)
        self.assertEqual(20, self.run_on("drain").out.count("\n"))

    def test_words(self):
        for words, status in ((("--help",), 0), (("drain", "--help", ), 1), (("lss",), 1), (("ls", "--ack"), 1)):
            self.assertEqual(status, l7.run((l7.L7PROBE, "spool") + words, timeout=30).status, words)
        self.assertEqual(1, l7.run((l7.L7PROBE, "spool", "ls"), timeout=30).status)
        done = l7.run((l7.L7PROBE, "spool", "ls", "/nonexistent/spool"), timeout=30)
        self.assertEqual(2, done.status)
        self.assertIn("/nonexistent/spool: No such file", done.err)


if __name__ == "__main__":
    l7.main()
