#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A small probe stays small: with one worker, 50 thousand flows at one time and a collector, all its processes have less than 48 MB."""
import contextlib
import glob
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "bench"))
import l7  # noqa: E402
import manyload  # noqa: E402

FLOWS = 50_000
MOST = 48_000_000  # octets


# Noise of which nothing is known after many packets: each flow has to be held with all that nDPI has found out by then.
NOISE = bytes(range(200, 240))
DARK = (manyload.udp(0, 20001, NOISE), 26, 30, 34)
manyload.KINDS["dark"] = [[DARK], [DARK]]


class Sink:
    """A collector that takes what comes; `with` ends it."""

    def __enter__(self):
        self.octets = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self.work, daemon=True)
        self.thread.start()
        return self

    def work(self):
        with contextlib.suppress(OSError), self.listener.accept()[0] as s:
            while part := s.recv(1 << 16):
                self.octets += len(part)

    def __exit__(self, *unused):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(60)


def pss(pid):
    """Octets of a process, what it shares by its share."""
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
        return 1024 * int(re.search(r"^Pss: +(\d+)", f.read(), re.M).group(1))


def on_disk(folder):
    """Octets of the segments of a spool, if there is one."""
    return sum(os.path.getsize(path) for path in glob.glob(os.path.join(folder, "*.seg")))


@unittest.skipUnless(l7.is_root(), "needs root to see the memory of processes that are not dumpable")
class Small(unittest.TestCase):
    def hold(self, kind, *options, away=False):
        """(octets of all processes while all flows are open, statistics of the end). `away`: the collector is, and there is a spool."""
        with tempfile.TemporaryDirectory(prefix="l7test-") as folder, Sink() as sink:
            load = os.path.join(folder, "load.pcap")
            packets = manyload.make(load, kind, FLOWS, FLOWS)
            # A flow that goes on is reported, so that what sends has sent.
            spool = os.path.join(folder, "spool")
            output = f"ipfix+tcp://127.0.0.1:{l7.free_port()}?spool={spool}" if away else f"ipfix+tcp://127.0.0.1:{sink.port}"
            command = (l7.L7PROBE, "-c", "/dev/null", "-r", "-", "-w", "1", "--active-timeout", "2", "--stats", "-o", output, *options)
            with open(os.path.join(folder, "err"), "w+b") as err, \
                    subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=err) as probe:
                try:
                    with open(load, "rb") as f:
                        probe.stdin.write(f.read())
                    probe.stdin.flush()
                    l7.wait_for("records on their way", lambda: (on_disk(spool) if away else sink.octets) > FLOWS)
                    children = l7.all_children(probe.pid)
                    l7.wait_for("all done and waiting", lambda: all(map(l7.waits, children)))
                    octets = sum(map(pss, [probe.pid, *children]))
                    probe.stdin.close()
                    status = probe.wait(60)
                finally:
                    probe.kill()
                err.seek(0)
                done = l7.Done(status, "", err.read().decode())
        self.assertEqual(0, done.status, done.err)
        self.assertEqual((packets, FLOWS, 0), (done.stats["packets"], done.stats["flows"], done.stats["evicted"]))
        return octets, done.stats

    def test_classified(self):
        octets, stats = self.hold("dns")
        print(f"{FLOWS} classified flows: {octets / 1e6:.1f} MB")
        self.assertLess(octets, MOST)
        self.assertGreater(stats["records"], FLOWS)

    def test_away(self):
        octets, stats = self.hold("dns", away=True)
        print(f"{FLOWS} classified flows, the collector away: {octets / 1e6:.1f} MB")
        self.assertLess(octets, MOST)
        self.assertEqual(stats["records"], stats["outputs"][0]["spooled"])

    def test_undecided(self):
        """The worst that can come: no flow is classified yet. What is held of them is a part of --max-flows, and no more."""
        octets, stats = self.hold("dark", "--max-flows", str(FLOWS))
        print(f"{FLOWS} flows that nDPI is still at work on, or had no room for: {octets / 1e6:.1f} MB")
        self.assertGreater(stats["dpi_no_state"], 0)
        self.assertLess(octets, MOST)


if __name__ == "__main__":
    l7.main()
