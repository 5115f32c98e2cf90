#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What each process may do while it runs is what it was left with, and no more."""
import os
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import frames  # noqa: E402
import l7  # noqa: E402
import pcapio  # noqa: E402
import town  # noqa: E402

CAP_DAC_READ_SEARCH, CAP_NET_RAW = 2, 13
MORE_THAN_FITS = 60000  # records: ring, exporter and pipe are full while the worker is in the middle of its file


def capabilities(pid):
    """The set of all that it holds or could take up again."""
    now = l7.status_of(pid)
    bits = int(now["CapInh"], 16) | int(now["CapPrm"], 16) | int(now["CapEff"], 16) | int(now["CapAmb"], 16)
    return {n for n in range(64) if bits >> n & 1}


class SelfTest(unittest.TestCase):
    def test_all_denied(self):
        done = l7.probe("--selftest-sandbox")
        print(done.out)
        self.assertEqual(0, done.status, done.out + done.err)
        lines = done.out.splitlines()
        for act in ("open a file", "connect a socket", "make a socket", "make a raw socket", "run a program", "trace",
                    "map memory that is executable", "make memory executable", "signal another process"):
            self.assertTrue(any(line.startswith(f"worker: {act} ") and " denied (killed in " in line for line in lines), act)
        self.assertTrue(any(line.startswith("exporter: make a packet socket") and "denied" in line for line in lines))
        self.assertNotIn("ALLOWED", done.out)
        self.assertNotIn("FAILED", done.out)


def shared_memory(pid, name):
    """What a process maps of the probe's memory of this name: {inode: {(first octet, end, whether it may write)}}."""
    found = {}
    with open(f"/proc/{pid}/maps", encoding="ascii") as f:
        for line in f:
            words = line.split()
            if len(words) > 5 and words[5] == "/memfd:" + name:
                first, last = (int(word, 16) for word in words[0].split("-"))
                at = int(words[2], 16)
                found.setdefault(words[4], set()).add((at, at + last - first, words[1][1] == "w"))
    return found


class Running(unittest.TestCase):
    """The processes as they are in the middle of a file."""

    def setUp(self):
        self.start()

    def start(self, *more):
        self.folder = tempfile.TemporaryDirectory(prefix="l7test-")
        path = self.folder.name + "/flows.pcap"
        packets = []
        for n in range(MORE_THAN_FITS):
            frame = frames.datagram(f"10.{n >> 14 & 255}.{n >> 7 & 127}.{n & 127}", "198.51.100.1", 1024 + n % 50000, 9, b"x")
            packets.append((10**18 + n * 10**6, frame, len(frame)))
        pcapio.write(path, packets)
        self.probe = subprocess.Popen((l7.L7PROBE, "-v", "-r", path, "--idle-timeout", "1", "-o", "json:-") + more,
                                      stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def tearDown(self):
        if self.probe.poll() is None:
            self.probe.kill()
        self.probe.communicate()
        self.folder.cleanup()

    def test_what_is_left(self):
        exporter, worker = l7.all_children(self.probe.pid)
        l7.wait_for("a worker that is confined", lambda: l7.status_of(worker)["Seccomp"] == "2")
        self.assertEqual(set(), capabilities(worker))
        self.assertEqual(set(), capabilities(exporter))
        self.assertLessEqual(capabilities(self.probe.pid), {CAP_DAC_READ_SEARCH})
        for pid in (worker, exporter):
            self.assertEqual("1", l7.status_of(pid)["NoNewPrivs"])
        for pid in (self.probe.pid, worker, exporter):
            with open(f"/proc/{pid}/limits", encoding="ascii") as f:
                self.assertRegex(f.read(), r"Max core file size +0 +0")
        out, err = self.probe.communicate(timeout=120)
        self.assertEqual(0, self.probe.returncode, err)
        self.assertEqual(MORE_THAN_FITS, len(l7.json_lines(out.decode())))
        self.assertRegex(err.decode(), r"info: worker confined: no capabilities; seccomp on; Landlock (on|not in this kernel)")


@unittest.skipUnless(l7.is_root(), "needs root to see what is mapped")
class Memory(Running):
    """A worker maps nothing of another's; the exporter no flows, and the names and the workers' counters to read only."""

    def setUp(self):
        self.start("-w", "3")

    def test_what_is_left(self):
        found = l7.all_children(self.probe.pid, 4)
        workers = found[1:]
        for pid in workers:
            l7.wait_for("a worker that is confined", lambda pid=pid: l7.status_of(pid)["Seccomp"] == "2")
        own, flows = [], []
        for pid in workers:
            (parts,) = shared_memory(pid, "l7probe").values()
            self.assertTrue(all(part[2] for part in parts))
            own += parts
            flows += list(shared_memory(pid, "l7probe-flows"))
            self.assertEqual([], [name for name in self.descriptors(pid) if "memfd" in name])
        own.sort()
        self.assertEqual(3 * 2, len(own))  # counters and ring
        self.assertTrue(all(a[1] <= b[0] for a, b in zip(own, own[1:])), own)
        self.assertEqual(3, len(set(flows)))
        (parts,) = shared_memory(found[0], "l7probe").values()
        self.assertEqual({}, shared_memory(found[0], "l7probe-flows"))
        self.assertEqual([], [name for name in self.descriptors(found[0]) if "memfd" in name])
        names, counters = sorted(part for part in parts if not part[2])
        self.assertFalse([part for part in own if part[0] < names[1] and names[0] < part[1]])
        self.assertEqual(3, sum(counters[0] <= part[0] and part[1] <= counters[1] for part in own))

    @staticmethod
    def descriptors(pid):
        folder = f"/proc/{pid}/fd"
        return [os.readlink(f"{folder}/{n}") for n in os.listdir(folder)]


@unittest.skipUnless(l7.is_root(), "needs root to become somebody else")
class Somebody(unittest.TestCase):
    def test_memory_is_closed(self):
        """Not dumpable: what is /proc/PID/mem is root's, so that another process of this user cannot read it."""
        with tempfile.TemporaryFile() as err, l7.for_all(l7.L7PROBE) as copy:
            plain = subprocess.Popen(("sleep", "600"), **l7.NOBODY)
            reader, writer = os.pipe()
            probe = subprocess.Popen((copy, "-r", "-", "-o", "json:-"), stdin=reader, stdout=err, stderr=err, **l7.NOBODY)
            try:
                both = l7.all_children(probe.pid)
                self.assertEqual(l7.NOBODY["user"], os.stat(f"/proc/{plain.pid}/mem").st_uid)
                for pid in [probe.pid] + both:
                    self.assertEqual(0, os.stat(f"/proc/{pid}/mem").st_uid)
            finally:
                os.close(writer)
                os.close(reader)
                for process in (plain, probe):
                    process.kill()
                    process.wait()


@unittest.skipUnless(l7.can_build(), "needs root and network namespaces")
class Live(unittest.TestCase):
    """libpcap's calls while it captures, at the end, and when its interface goes, are among those allowed."""
    SPACE = f"l7sand{os.getpid()}"

    def setUp(self):
        self.ip("netns", "add", self.SPACE)
        self.addCleanup(self.ip, "netns", "del", self.SPACE)
        self.ip("-n", self.SPACE, "link", "add", "l7sand0", "type", "veth", "peer", "name", "l7sand1")
        town.no_chatter(self.SPACE, "l7sand0", "l7sand1")
        for name in ("lo", "l7sand0", "l7sand1"):
            self.ip("-n", self.SPACE, "link", "set", name, "up")

    def ip(self, *words):
        subprocess.run(("ip",) + words, check=True, capture_output=True, timeout=20)

    def probe(self):
        return l7.Process(("ip", "netns", "exec", self.SPACE, l7.L7PROBE, "-v", "-i", "l7sand0", "-o", "json:-", "--stats"))

    def check_no_death(self, done):
        self.assertNotIn("died", done.said)
        self.assertEqual(0, done.stats["worker_restarts"])

    def test_capture_and_end(self):
        with self.probe() as probe:
            l7.wait_for("a capture", lambda: "capturing on" in probe.err)
            supervisor = probe.child.pid
            both = l7.all_children(supervisor)
            self.assertEqual([set(), set(), {CAP_NET_RAW}], [capabilities(pid) for pid in both + [supervisor]])
            self.assertEqual("2", l7.status_of(both[1])["Seccomp"])
            send = ("import socket; s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW); s.bind(('l7sand1', 0)); "
                    f"[s.send({frames.datagram('10.0.0.1', '10.0.0.2', 4000, 9, b'x')!r}) for _ in range(50)]")
            subprocess.run(("ip", "netns", "exec", self.SPACE, "/usr/bin/python3", "-c", send), check=True)
            time.sleep(1.5)  # the kernel's drops are read once a second
            l7.settled(supervisor)
            done = probe.stop()
        self.assertEqual(0, done.status, done.err)
        self.check_no_death(done)
        self.assertEqual(50, sum(f["packets"] for f in done.flows if f["src_port"] == 4000))

    def test_interface_goes_down(self):
        with self.probe() as probe:
            l7.wait_for("a capture", lambda: "capturing on" in probe.err)
            self.ip("-n", self.SPACE, "link", "set", "l7sand0", "down")
            l7.wait_for("the interface is down", lambda: "is down" in probe.err)
            l7.settled(probe.child.pid)
            self.check_no_death(probe.stop())

    def test_interface_is_removed(self):
        with self.probe() as probe:
            l7.wait_for("a capture", lambda: "capturing on" in probe.err)
            self.ip("-n", self.SPACE, "link", "del", "l7sand0")
            l7.wait_for("the end of the capture", lambda: "disappeared" in probe.err)
            self.check_no_death(probe.stop())


if __name__ == "__main__":
    l7.main()
