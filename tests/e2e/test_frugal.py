#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Nothing is allocated for a packet, nothing is locked or logged, and no system call made: only for batches, messages, flows' ends."""
import json
import os
import platform
import re
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "bench"))
import allocs  # noqa: E402
import frames  # noqa: E402
import l7  # noqa: E402
import manyload  # noqa: E402
import pcapio  # noqa: E402

FLOWS = 20_000  # in waves of 2,000, so that flows end while packets come
PER_THOUSAND = 40  # system calls of all processes: reads of 64 KiB, the exporter's naps, writes
# Functions that a packet goes through; at the end of a batch comes ring_wake(), which is not among them.
WAY = re.compile(r"(worker_(frames|reserve|commit|made)|(flow|tracker|table|wheel|measure|segments|spreads|text|record|pool|decode|ip6?|"
                 r"dpi|judge|meta|fragment|adopt|capture_(?:pcap|read)|plain|merge|duplicates?|split)_\w+)\b")
LOCKS = re.compile(r"\tlock |\txchg .*\(")


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

    def calls(self, path):
        """System calls other than waiting of a run."""
        log = self.path("strace")
        done = l7.run(["strace", "-f", "-o", log, l7.L7PROBE, "-c", "/dev/null", "-r", path, "-o", "json+file:///dev/null"])
        self.assertEqual(0, done.status, done.err)
        with open(log, encoding="utf-8", errors="replace") as f:
            calls = [line for line in f if re.match(r"\d+ +(?!poll|restart_syscall|clock_nanosleep)\w+\(", line)]
        return len(calls)

    def test_no_system_call(self):
        few = self.calls(self.load(1)[0])
        path, packets = self.load(FLOWS)
        self.assertLess(1000 * (self.calls(path) - few) / packets, PER_THOUSAND)

    def repeated(self, times):
        """The same few flows, and what is no flow's, so many times: (path, packets)."""
        client, server, six = "192.0.2.1", "198.51.100.2", "2001:db8::1"
        turn = [frames.ethernet(frames.ip(server, client, frames.TCP, frames.tcp(server, client, 443, 4000, 7000, 9, frames.ACK))),
                frames.ethernet(frames.datagram(client, server, 4001, 53, frames.dns_query(7, "example.org"))),
                frames.ethernet(frames.datagram(six, "2001:db8::2", 4002, 4003, b"\x3d\x91\xc7\x55" * 20)),
                frames.ethernet(frames.datagram(client, server, 4004, 4005, b"?" * 700), tags=((0x8100, 7),)),
                frames.ethernet(frames.ip4(client, server, frames.UDP, b"x" * 64, fragment=0x2000 | 9, id=77)),
                frames.ethernet(b"\0" * 28, 0x0806),
                frames.ethernet(b"\x45")]
        first = frames.conversation(client, server, 4000, 443, [(True, b"GET / HTTP/1.0\r\n\r\n"), (False, b"y" * 900)],
                                    close=False)
        packets = [(1_700_000_000_000_000_000 + 100_000 * n, frame, len(frame))
                   for n, frame in enumerate(first + turn * times)]
        path = self.path(f"repeated-{times}.pcap")
        pcapio.write(path, packets)
        return path, len(packets)

    def allocations(self, path, *more):
        """What each process has asked for, by its number."""
        plan = allocs.Plan(self.path("plan"))
        done = l7.probe("-c", "/dev/null", "-r", path, *l7.NO_TIMEOUTS, "--stats", "-o", f"json+file://{self.path('out')}",
                        "-o", "ipfix+file:///dev/null?template=full", *more,
                        binary=allocs.L7PROBE, env=dict(os.environ, L7_ALLOC_PLAN=plan.path))
        self.assertEqual(0, done.status, done.err)
        plan.read()
        return plan.calls, done.stats

    def test_more_packets_of_the_same_flows(self):
        """All that is measured, in every process: ten times the packets ask for no octet more."""
        few, packets = self.repeated(300)
        many, more = self.repeated(3000)
        for options in ((), ("--dedup",), ("-w", "2")):
            with self.subTest(options):
                once, said = self.allocations(few, *options)
                tenfold, said_more = self.allocations(many, *options)
                self.assertEqual((packets, more), (said["packets"], said_more["packets"]))
                self.assertEqual(said["flows"], said_more["flows"])
                self.assertGreater(min(once), 0)
                self.assertEqual(once, tenfold)

    def test_no_call_for_more_packets(self):
        """Nor a call of the system but to read the file, and one for 512 packets: no log either, of those that are refused."""
        few, packets = self.repeated(300)
        many, more = self.repeated(9000)
        blocks = os.path.getsize(many) / 65536
        self.assertLess(self.calls(many) - self.calls(few), blocks + more / 512 + 50)
        self.assertGreater(more - packets, 100 * (blocks + more / 512 + 50))

    @unittest.skipUnless(platform.machine() == "x86_64", "reads instructions of x86-64")
    def test_no_lock(self):
        """No instruction with a lock in what a packet goes through, and no function that locks is called by anything of ours."""
        done = l7.run(["objdump", "-d", "--no-show-raw-insn", l7.L7PROBE])
        self.assertEqual(0, done.status, done.err)
        way, locked, name = set(), set(), ""
        for line in done.out.splitlines():
            if line.endswith(">:"):
                name = line.split("<")[1]
                way.update([name] if WAY.match(name) else [])
            elif LOCKS.search(line):
                locked.add(name)
        self.assertGreater(len(way), 30)
        self.assertIn("worker_frames", {name.split(".")[0].rstrip(">:") for name in way})
        self.assertGreater(len(locked), 5)
        self.assertEqual(set(), way & locked)
        imports = l7.run(["nm", "-D", "--undefined-only", l7.L7PROBE]).out
        self.assertIn("pthread_create", imports)
        self.assertEqual([], re.findall(r"\b(?:pthread_(?:mutex|rwlock|spin|cond)|sem_|f?lockf?|flockfile)\w*", imports))


if __name__ == "__main__":
    l7.main()
