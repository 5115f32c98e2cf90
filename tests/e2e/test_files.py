#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Capture files of every kind give the same records: formats, units of time, standard input, several in a row."""
import os
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import frames  # noqa: E402
import l7  # noqa: E402
import pcapio  # noqa: E402

START = 1_600_000_000 * 10**9
STEP = 125_000_000  # nanoseconds: a whole number of milliseconds, and of 1/1024 s


def packets():
    said = frames.conversation("10.1.0.1", "10.1.0.2", 40000, 443, [(True, frames.client_hello("files.example"))])
    for i in range(6):
        said.append(frames.datagram(f"10.1.1.{i}", "10.2.0.1", 5000, 53, frames.dns_query(i, "files.example")))
    return [(START + i * STEP, frame, len(frame)) for i, frame in enumerate(said)]


class Files(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder, cls.packets = folder.name, packets()
        pcapio.write(cls.path("plain"), cls.packets)
        cls.expected = cls.records("-r", cls.path("plain"))

    @classmethod
    def path(cls, name):
        return f"{cls.folder}/{name}"

    def write(self, name, octets):
        with open(self.path(name), "wb") as f:
            f.write(octets)
        return self.path(name)

    @classmethod
    def records(cls, *arguments, **options):
        done = l7.probe(*arguments, "-o", "json:-", timeout=30, **options)
        if done.status != 0 or done.err:
            raise AssertionError(f"exit {done.status}: {done.err}")
        found = done.flows
        for flow in found:
            del flow["stream_id"], flow["record_sequence"]
        return sorted(found, key=str)

    def check(self, *arguments, **options):
        self.assertEqual(self.expected, self.records(*arguments, **options))

    def check_file_and_pipe(self, path):
        self.check("-r", path)
        with open(path, "rb") as f:
            self.check("-r", "-", stdin=f)
        with subprocess.Popen(("cat", path), stdout=subprocess.PIPE) as cat:
            self.check("-r", "-", stdin=cat.stdout)

    def test_expected(self):
        self.assertEqual(7, len(self.expected))
        by_start = sorted(self.expected, key=lambda flow: flow["start_ms"])
        self.assertEqual(START // 10**6, by_start[0]["start_ms"])
        self.assertEqual((START + (len(self.packets) - 1) * STEP) // 10**6, by_start[-1]["end_ms"])
        self.assertEqual("files.example", by_start[0]["sni"])

    def test_pcap(self):
        for nano in (False, True):
            for order in "<>":
                with self.subTest(nano=nano, order=order):
                    pcapio.write(self.path("pcap"), self.packets, nano=nano, order=order)
                    self.check_file_and_pipe(self.path("pcap"))

    def test_pcapng(self):
        for resolutions in ((None,), (6,), (9,), (3,), (0x8A,), (None, 9), (9, 6, 0x8A, 10)):
            for order in "<>":
                with self.subTest(resolutions=resolutions, order=order):
                    self.check_file_and_pipe(self.write("pcapng", pcapio.pcapng(self.packets, resolutions, order)))

    def test_pcapng_of_two_sections(self):
        half = len(self.packets) // 2
        sections = pcapio.pcapng(self.packets[:half], (9, 6)) + pcapio.pcapng(self.packets[half:], (6,))
        self.check_file_and_pipe(self.write("sections", sections))

    def test_several_in_a_row(self):
        """Flows go on from one file to the next, whatever their formats."""
        third = len(self.packets) // 3
        pcapio.write(self.path("one"), self.packets[:third])
        self.write("two", pcapio.pcapng(self.packets[third:2 * third], (9,)))
        pcapio.write(self.path("three"), self.packets[2 * third:], nano=True, order=">")
        named = ("-r", self.path("one"), "-r", self.path("two"), "-r", self.path("three"))
        self.check(*named)
        self.check(*named, "-w", "3")
        with open(self.path("two"), "rb") as f:
            self.check("-r", self.path("one"), "-r", "-", "-r", self.path("three"), stdin=f)

    def test_workers_and_a_file_on_standard_input(self):
        with open(self.path("plain"), "rb") as f:
            self.check("-r", "-", "-w", "3", stdin=f)

    def refuse(self, said, status, *arguments, **options):
        done = l7.probe(*arguments, "-o", "json:-", timeout=30, **options)
        self.assertEqual((status, f"l7probe: error: {said}\n", ""), (done.status, done.err, done.out))

    def test_workers_and_a_pipe(self):
        with subprocess.Popen(("cat", self.path("plain")), stdout=subprocess.PIPE) as cat:
            self.refuse("option --read: standard input is no file, which each worker could read: only one can (-w 1)", 1,
                        "-r", "-", "-w", "2", stdin=cat.stdout)
        os.mkfifo(self.path("fifo"))
        self.refuse(f"option --read: {self.path('fifo')} is no file, which each worker could read: only one can (-w 1)", 1,
                    "-r", self.path("fifo"), "-w", "2")

    def test_standard_input_twice(self):
        self.refuse("option --read: standard input cannot be read twice", 1, "-r", "-", "-r", "-")

    def test_check_looks_at_files(self):
        for path, said in ((self.path("none"), "No such file or directory"),
                           (self.write("text", b"no capture" * 10), "unknown file format")):
            self.refuse(f"{path}: {said}", 1, "--check", "-r", self.path("plain"), "-r", path)
        self.assertEqual(0, l7.probe("--check", "-r", self.path("plain")).status)


if __name__ == "__main__":
    l7.main()
