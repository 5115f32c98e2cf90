#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Packets that crash or hang the classification do so once, and cost one restart.

A build with L7_FAULTS does on some payloads what nDPI must be feared to do.
"""
import os
import resource
import signal
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import frames  # noqa: E402
import l7  # noqa: E402
import pcapio  # noqa: E402

L7PROBE = os.path.join(l7.ROOT, "build", "faults", "bin", "l7probe")
CRASH, HANG, OPEN = b"l7fault crash", b"l7fault hang", b"l7fault open"
TIMES = 10000
START = 1_700_000_000 * 10**9
SECOND = 10**9
GUESS_PORT = 6666


def poison(payload, number=0):
    return frames.datagram("192.0.2.66", "198.51.100.66", 6600 + number, 5000, payload)


def good(n):
    return frames.datagram(f"10.0.{n >> 8 & 255}.{n & 255}", "198.51.100.1", 1024 + n // 65536, 9, b"x")


def mixed(payload, times):
    """The bad packet as often, a good flow before each, and one a second after all: [packet]."""
    packets = []
    for n in range(times):
        time_ns = START + n * 10**6
        packets += [(time_ns, good(n), len(good(n))), (time_ns, poison(payload), len(poison(payload)))]
    packets.append((START + 100 * SECOND, good(times), len(good(times))))
    return packets


class Poison(unittest.TestCase):
    def setUp(self):
        self.assertTrue(os.path.exists(L7PROBE), "no build with faults: ./dev test makes it")
        folder = tempfile.TemporaryDirectory(prefix="l7test-")
        self.addCleanup(folder.cleanup)
        self.path, self.crashes = folder.name + "/poison.pcap", folder.name + "/crashes"
        os.mkdir(self.crashes)

    def read(self, packets, *more, timeout=120):
        pcapio.write(self.path, packets)
        return l7.probe("-r", self.path, "-o", "json:-", "--stats", "--crash-dir", self.crashes, *more, binary=L7PROBE,
                        timeout=timeout)

    def check_all_counted(self, done, packets):
        bad = [f for f in done.flows if f["src_ip"] == "192.0.2.66"]
        self.assertEqual(0, done.status, done.err)
        self.assertEqual(packets, done.stats["packets"])
        self.assertEqual(0, done.stats["flows_active"])
        self.assertEqual(TIMES, sum(f["packets"] for f in bad))
        self.assertEqual(0, done.stats["flows_lost"])
        self.assertEqual(done.stats["flows"], len({f["flow_id"] for f in done.flows}))
        self.assertEqual(TIMES + 1, sum(f["packets"] for f in done.flows if f not in bad))
        self.assertTrue(all(f["confidence"] in ("none", "port", "ip") for f in bad), bad)

    def check_kept(self, payload):
        self.assertEqual(["packet-00.pcap"], os.listdir(self.crashes))
        path = self.crashes + "/packet-00.pcap"
        self.assertEqual(0o600, os.stat(path).st_mode & 0o777)
        link, packets = pcapio.read(path)
        self.assertEqual(pcapio.ETHERNET, link)
        self.assertEqual(1, len(packets))
        self.assertEqual(poison(payload)[14:], packets[0][1][14:])
        self.assertEqual(START, packets[0][0])

    def test_crash(self):
        packets = mixed(CRASH, TIMES)
        done = self.read(packets)
        self.assertEqual(1, done.stats["worker_restarts"], done.said)
        self.assertIn("died of signal 11 (Segmentation fault) after", done.said)
        self.assertIn("protocol 17 between 192.0.2.66 port 6600 and 198.51.100.66 port 5000", done.said)
        self.check_all_counted(done, len(packets))
        self.check_kept(CRASH)
        self.assertEqual((1, 0), (done.stats["crash_packets_kept"], done.stats["crash_packets_dropped"]))
        # What was kept does it again.
        again = l7.probe("-r", self.crashes + "/packet-00.pcap", "-o", "json:-", "--stats", binary=L7PROBE)
        self.assertEqual(1, again.stats["worker_restarts"], again.said)

    def test_hang(self):
        packets = mixed(HANG, TIMES)
        used = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
        done = self.read(packets)
        used = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - used
        self.assertEqual(1, done.stats["worker_restarts"], done.said)
        self.assertIn("hung for more than a second and was killed", done.said)
        self.assertIn("192.0.2.66 port 6600", done.said)
        self.check_all_counted(done, len(packets))
        self.check_kept(HANG)
        # Of the processor, which others may use too: what it may have, and the look that comes after it.
        self.assertGreater(used, 1)
        self.assertLess(used, 3)

    def test_blocked_call(self):
        packets = mixed(OPEN, TIMES)
        done = self.read(packets)
        self.assertEqual(1, done.stats["worker_restarts"], done.said)
        self.assertRegex(done.said, r"died of signal 31 \(Bad system call: system call \d+, open(at)?\) after")
        self.check_all_counted(done, len(packets))
        self.check_kept(OPEN)

    def test_guess(self):
        """A flow that has no payload, and whose end is fatal: once, and once more before it is left alone."""
        packets = []
        for n in range(50):
            syn = frames.ethernet(frames.ip4("192.0.2.66", "198.51.100.66", frames.TCP, frames.tcp(
                "192.0.2.66", "198.51.100.66", 6600, GUESS_PORT, 1, 0, frames.SYN)))
            packets.append((START + n * 100 * SECOND, syn, len(syn)))
        done = self.read(packets)
        self.assertEqual(0, done.status, done.err)
        self.assertEqual(2, done.stats["worker_restarts"], done.said)
        self.assertEqual(50, done.stats["packets"])
        self.assertEqual(0, done.stats["crash_packets_kept"])

    def test_folder_has_an_end(self):
        """Twenty flows, each fatal: sixteen packets are kept, the oldest; classification is off by then, but not at once."""
        packets, expected = [], []
        for n in range(20):
            frame = poison(CRASH, n)
            packets.append((START + n * SECOND, frame, len(frame)))
        for run in range(4):
            done = self.read(packets[run * 5:run * 5 + 5])
            self.assertEqual(5, done.stats["worker_restarts"], done.said)
            kept = min(16, run * 5 + 5) - min(16, run * 5)
            self.assertEqual((kept, 5 - kept), (done.stats["crash_packets_kept"], done.stats["crash_packets_dropped"]))
            expected += [p[1][14:] for p in packets[run * 5:run * 5 + 5]][:kept]
        names = sorted(os.listdir(self.crashes))
        self.assertEqual([f"packet-{n:02}.pcap" for n in range(16)], names)
        self.assertEqual(expected, [pcapio.read(f"{self.crashes}/{name}")[1][0][1][14:] for name in names])

    def test_many_poisons(self):
        """Each of a hundred flows is fatal: classification is switched off, and all is counted."""
        packets = []
        for n in range(100):
            frame = poison(CRASH, n)
            packets += [(START + n * SECOND, frame, len(frame))] * 2
        done = self.read(packets)
        self.assertEqual(0, done.status, done.err)
        self.assertEqual(6, done.stats["worker_restarts"], done.said)
        self.assertEqual(200, done.stats["packets"])
        self.assertEqual(94, done.stats["dpi_switched_off"])

    def test_folder_is_missing(self):
        done = l7.probe("-r", l7.STORY, "--crash-dir", self.crashes + "/not", binary=L7PROBE)
        self.assertEqual(1, done.status)
        self.assertRegex(done.said, "crash-dir .*/not: No such file")

    @staticmethod
    def hanging_worker(pid):
        """The worker, once it is in the call that does not return: it has used what reading two packets does not."""
        worker = l7.all_children(pid)[1]
        l7.wait_for("a worker that hangs", lambda: l7.cpu_seconds(worker) > 0.2)
        return worker

    def test_stopped_is_not_hung(self):
        """A worker that gets no processor time is on a slow machine, whatever call it is in."""
        pcapio.write(self.path, mixed(HANG, 1))
        with l7.Process((L7PROBE, "-r", self.path, "-o", "json:-", "--stats")) as probe:
            worker = self.hanging_worker(probe.child.pid)
            os.kill(worker, signal.SIGSTOP)
            time.sleep(4)
            self.assertEqual(worker, l7.children(probe.child.pid)[-1])
            self.assertEqual("", probe.err)
            os.kill(worker, signal.SIGCONT)
            done = probe.finish()
        self.assertEqual(1, done.stats["worker_restarts"], done.err)

    def test_nobody_to_end_it(self):
        """A worker hangs, and its supervisor is gone: it ends itself, and so does the exporter."""
        pcapio.write(self.path, mixed(HANG, 1))
        with l7.Process((L7PROBE, "-r", self.path, "-o", "json:-", "--drain-timeout", "0")) as probe:
            worker = self.hanging_worker(probe.child.pid)
            both = l7.children(probe.child.pid)
            probe.child.kill()
            probe.child.wait()
            self.assertTrue(os.path.exists(f"/proc/{worker}"), "the worker does not hang")
            l7.wait_for("nobody left", lambda: not any(os.path.exists(f"/proc/{child}") for child in both))


if __name__ == "__main__":
    l7.main()
