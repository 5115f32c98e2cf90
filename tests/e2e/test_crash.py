#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A worker that dies is reaped, reported and forked again, and every packet is counted once.

The output is a pipe that nobody reads at first, so that the worker is surely in
the middle of its file when it is killed. Each packet of the capture is a flow.
"""
import os
import signal
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import frames  # noqa: E402
import l7  # noqa: E402
import pcapio  # noqa: E402

FLOWS = 120000  # more than ring, exporter and pipe hold together, many times


def worker(pid):
    """The worker's pid: the exporter is forked first, and so is the older child."""
    return l7.all_children(pid)[1]


def capture(path):
    packets = []
    for n in range(FLOWS):
        frame = frames.datagram(f"10.{n >> 14 & 255}.{n >> 7 & 127}.{n & 127}", "198.51.100.1", 1024 + n % 50000, 9, b"x")
        packets.append((10**18 + n * 10**6, frame, len(frame)))
    pcapio.write(path, packets)


def has_no_room(pid):
    """Whether a worker that reads a file goes to sleep again and again: it does so only while the ring is full."""
    before = int(l7.status_of(pid).get("voluntary_ctxt_switches", 0))
    time.sleep(0.1)
    return int(l7.status_of(pid).get("voluntary_ctxt_switches", 0)) > before + 10


class Crash(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="l7test-")
        self.path = self.folder.name + "/flows.pcap"
        capture(self.path)

    def tearDown(self):
        if self.probe.poll() is None:
            self.probe.kill()
            self.probe.communicate()
        self.err.close()
        self.folder.cleanup()

    def start(self, times=1):
        """Reads the capture so many times over."""
        self.err = open(self.folder.name + "/err", "w+b")
        self.probe = subprocess.Popen((l7.L7PROBE,) + ("-r", self.path) * times +
                                      ("--idle-timeout", "1", "-o", "json:-", "--stats"),
                                      stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self.err)
        return self.probe

    def finish(self, probe):
        out, _ = probe.communicate(timeout=120)
        self.err.seek(0)
        return l7.Done(probe.returncode, out.decode(), self.err.read().decode())

    def check_whole(self, done, packets):
        """Each packet is in one record, each flow has an id of its own."""
        self.assertEqual(packets, done.stats["packets"])
        self.assertEqual(packets, sum(flow["packets"] for flow in done.flows))
        self.assertEqual(done.stats["flows"], len({flow["flow_id"] for flow in done.flows}))
        self.assertEqual(done.stats["records"], len(done.flows))
        self.assertEqual((0, 0), (done.stats["flows_active"], done.stats["flows_lost"]))

    def test_dies_in_a_file(self):
        probe = self.start()
        first = worker(probe.pid)
        l7.wait_for("a worker that waits for room", lambda: has_no_room(first))
        os.kill(first, signal.SIGSEGV)
        l7.wait_for("another worker", lambda: len(l7.children(probe.pid)) == 2 and worker(probe.pid) != first, 10)
        done = self.finish(probe)
        self.assertEqual(0, done.status, done.err)
        self.assertEqual(1, done.stats["worker_restarts"])
        self.assertEqual(FLOWS, done.stats["packets"])
        self.assertRegex(done.said, r"signal 11 .*; [1-9]\d* flows kept; started again")
        self.check_whole(done, FLOWS)

    @unittest.skipUnless(l7.is_root(), "needs root to see how much was read")
    def test_goes_on_in_a_file(self):
        """The next one goes to the place in the file, and does not read what is before it: that may be hours of packets."""
        probe, size, out = self.start(), os.path.getsize(self.path), b""
        while out.count(b"\n") < FLOWS // 2:
            out += os.read(probe.stdout.fileno(), 1 << 20)
        first = worker(probe.pid)
        l7.wait_for("a worker that waits for room", lambda: has_no_room(first))
        os.kill(first, signal.SIGSEGV)
        l7.wait_for("its end", lambda: first not in l7.children(probe.pid), 10)
        l7.wait_for("the next one, without room", lambda: len(l7.children(probe.pid)) == 2 and has_no_room(worker(probe.pid)))
        with open(f"/proc/{worker(probe.pid)}/io", encoding="ascii") as f:
            said = int(f.readline().split()[1])
        self.assertLess(said, size // 8)
        done = self.finish(probe)
        done.out = out.decode() + done.out
        self.assertEqual((0, 1), (done.status, done.stats["worker_restarts"]), done.err)
        self.check_whole(done, FLOWS)

    def kill_worker(self, times):
        """The later ones as soon as they are there, so that much of the file is left."""
        for n in range(times):
            last = worker(self.probe.pid)
            if n == 0:
                l7.wait_for("a worker that waits for room", lambda last=last: has_no_room(last))
            os.kill(last, signal.SIGSEGV)
            l7.wait_for("its end", lambda last=last: last not in l7.children(self.probe.pid), 10)

    def test_dies_often(self):
        """Without classification it may go on: all is counted, nothing new is classified."""
        probe = self.start()
        self.kill_worker(6)
        done = self.finish(probe)
        self.assertEqual(0, done.status, done.err)
        self.assertEqual(1, done.said.count("dies too often: flows are not classified for 60 s"))
        self.assertEqual(6, done.stats["worker_restarts"])
        self.assertEqual(FLOWS, done.stats["packets"])
        self.assertGreater(done.stats["dpi_switched_off"], FLOWS // 10)
        self.assertLess(done.stats["dpi_calls"], FLOWS)
        self.check_whole(done, FLOWS)

    def test_dies_too_often(self):
        probe = self.start(3)
        self.kill_worker(12)
        done = self.finish(probe)
        self.assertEqual(2, done.status, done.err)
        self.assertIn("not started again: it dies too often", done.said)
        self.assertEqual(11, done.stats["worker_restarts"])
        # What was read is reported, by a last worker that reads no more.
        self.check_whole(done, done.stats["packets"])
        self.assertLess(done.stats["packets"], 3 * FLOWS)

    def test_waiting_is_no_hang(self):
        """A worker that waits for room in the ring is in no call of the classification."""
        probe = self.start()
        last = worker(probe.pid)
        l7.wait_for("a worker that waits for room", lambda: has_no_room(last))
        time.sleep(3)
        self.assertEqual(last, worker(probe.pid))
        done = self.finish(probe)
        self.assertEqual(0, done.stats["worker_restarts"], done.err)
        self.assertEqual(FLOWS, done.stats["packets"])

    def test_exporter_dies(self):
        probe = self.start()
        last = worker(probe.pid)
        l7.wait_for("a worker that waits for room", lambda: has_no_room(last))
        os.kill(l7.children(probe.pid)[0], signal.SIGSEGV)
        done = self.finish(probe)
        self.assertEqual(2, done.status, done.err)
        self.assertRegex(done.said, "exporter died of signal 11")

    def test_supervisor_dies(self):
        probe = self.start()
        both = l7.all_children(probe.pid)
        probe.kill()
        probe.stdout.close()
        probe.wait()
        l7.wait_for("nobody left", lambda: not any(os.path.exists(f"/proc/{pid}") for pid in both))


if __name__ == "__main__":
    l7.main()
