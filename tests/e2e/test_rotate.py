#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Files of records that live on: appended to, moved away by log rotation, on a disk that is full for a while."""
import os
import signal
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import frames  # noqa: E402
import ipfix_strict  # noqa: E402
import l7  # noqa: E402
from space import Space, words  # noqa: E402

SOON = ("--idle-timeout", "1")


def packet(i):
    return frames.datagram(f"10.1.{i >> 8}.{i & 255}", "10.2.0.1", 4000, 53, frames.dns_query(i, "rotate.example"))


def read(path):
    with open(path, "rb") as f:
        return f.read()


def ipfix_flows(path):
    """Of a file that several runs have written: each begins with sequence number 0, and templates."""
    found, strict = [], None
    for message in ipfix_strict.messages(read(path)):
        if strict is None or (strict.sequence and not int.from_bytes(message[8:12], "big")):
            strict = ipfix_strict.Strict()
            found.append(strict)
        strict.feed(message)
    return [flow for strict in found for flow in strict.flows]


def hosts(path):
    """Of the sources of a file's flows the i of packet(i)."""
    if path.endswith(".ipfix"):
        found = [tuple(flow[(0, 8)][2:]) for flow in ipfix_flows(path)]
    else:
        lines = "\n".join(line for line in read(path).decode().splitlines() if line.endswith("}"))
        found = [tuple(int(n) for n in flow["src_ip"].split(".")[2:]) for flow in l7.json_lines(lines)]
    return [high << 8 | low for high, low in found]


def hosts_so_far(path):
    """The same while somebody writes the file: a look may come in the middle of a write."""
    try:
        return hosts(path)
    except (OSError, ValueError):
        return []


@unittest.skipUnless(l7.can_build(), "needs root and namespaces")
class Files(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="l7test-")
        self.addCleanup(l7.shutil.rmtree, self.folder, True)
        self.json, self.ipfix = self.folder + "/flows.json", self.folder + "/flows.ipfix"
        self.outputs = ("-o", f"json+file://{self.json}", "-o", f"ipfix+file://{self.ipfix}")

    def written(self, n):
        """Both files have so many flows."""
        for path in (self.json, self.ipfix):
            l7.wait_for(f"{n} flows in {path}", lambda p=path: len(hosts_so_far(p)) >= n)

    def test_rotated(self):
        """What is made after SIGHUP is in files of the old names; without rotation the file stays what it was."""
        with Space("eth7") as space, space.probe("-i", "eth7", *SOON, *self.outputs) as probe:
            space.send(("eth7", packet(1)))
            self.written(1)
            probe.child.send_signal(signal.SIGHUP)
            space.send(("eth7", packet(2)))
            self.written(2)
            os.rename(self.json, self.json + ".1")
            os.rename(self.ipfix, self.folder + "/flows.1.ipfix")
            probe.child.send_signal(signal.SIGHUP)
            l7.wait_for("both are made", lambda: os.path.exists(self.json) and os.path.exists(self.ipfix))
            space.send(("eth7", packet(3)))
            self.written(1)
            done = probe.stop()
        self.assertEqual(0, done.status, done.err)
        self.assertEqual([], words(done.err))
        self.assertEqual([1, 2], hosts(self.json + ".1"))
        self.assertEqual([1, 2], hosts(self.folder + "/flows.1.ipfix"))
        self.assertEqual([[3], [3]], [hosts(self.json), hosts(self.ipfix)])
        self.assertEqual([3, 3], [o["sent"] for o in done.stats["outputs"]])

    def test_cannot_be_made_again(self):
        """The folder is gone: the old file is written on, and it is said."""
        below = self.folder + "/below"
        os.mkdir(below)
        with Space("eth7") as space, space.probe("-i", "eth7", *SOON, "-o", f"json+file://{below}/flows.json") as probe:
            os.rename(below, self.folder + "/moved")
            probe.child.send_signal(signal.SIGHUP)
            l7.wait_for("it is said", lambda: "cannot be opened again, the old file stays" in probe.err)
            space.send(("eth7", packet(1)))
            l7.wait_for("it is written", lambda: hosts_so_far(self.folder + "/moved/flows.json") == [1])
            self.assertEqual(0, probe.stop().status)

    def one_flow(self, i):
        """Appended as the i-th."""
        with Space("eth7") as space, space.probe("-i", "eth7", *SOON, *self.outputs) as probe:
            space.send(("eth7", packet(i)))
            self.written(i)
            done = probe.stop()
        self.assertEqual(0, done.status, done.err)
        return done

    def test_appended(self):
        """Live, what is in a file stays; what a loss of power cut short is cut off, or ended."""
        self.one_flow(1)
        whole = read(self.ipfix)
        with open(self.json, "ab") as f:
            f.write(b'{"flow_id":"1')
        with open(self.ipfix, "ab") as f:
            f.write(whole[:20])
        done = self.one_flow(2)
        self.assertEqual(1, len(words(done.err)), done.err)
        self.assertIn("its last message was cut short", words(done.err)[0])
        lines = read(self.json).splitlines()
        self.assertEqual((3, b'{"flow_id":"1'), (len(lines), lines[1]))
        self.assertEqual([1, 2], hosts(self.ipfix))
        first = l7.probe("-r", l7.STORY, *self.outputs)  # of captures, a file is made anew
        self.assertEqual((0, 15, 15), (first.status, len(hosts(self.json)), len(hosts(self.ipfix))), first.err)

    def test_something_else(self):
        """A file that is no IPFIX is not destroyed."""
        with open(self.ipfix, "wb") as f:
            f.write(b"precious")
        with Space("eth7") as space:
            done = l7.run(space.inside(l7.L7PROBE, "-i", "eth7", *self.outputs), timeout=30)
        self.assertEqual((2, b"precious"), (done.status, read(self.ipfix)), done.err)
        self.assertIn("something else", done.err)

    def full(self, space, *more):
        """l7probe with its files on a disk of one free page, and how they are seen from here."""
        script = ("mount -t tmpfs -o size=64k,nr_inodes=10 none $0 && head -c 60k /dev/zero >$0/other && exec \"$@\"")
        probe = l7.Process(space.inside("unshare", "-m", "sh", "-c", script, self.folder, l7.L7PROBE, "-i", "eth7", *SOON,
                                        *more, "--stats", "-v"))
        self.addCleanup(probe.__exit__)
        l7.wait_for("it captures", lambda: "capturing on" in probe.err or probe.child.poll() is not None)
        self.assertIsNone(probe.child.poll(), probe.err)
        return probe, f"/proc/{probe.child.pid}/root{self.folder}"

    def test_full_disk(self):
        """Records wait for room; meanwhile the file has whole lines and messages."""
        with Space("eth7") as space:
            for name, output in (("flows.json", self.outputs[1]), ("flows.ipfix", self.outputs[3] + "?template=full")):
                probe, seen = self.full(space, "-o", output)
                space.send(*[("eth7", packet(i)) for i in range(40)])
                l7.wait_for("no space is said", lambda p=probe: "No space left on device; trying on" in p.err)
                before = read(f"{seen}/{name}")
                if name.endswith(".json"):
                    self.assertEqual(b"}\n", before[-2:])
                else:
                    ipfix_strict.messages(before)  # says if one is cut
                os.truncate(f"{seen}/other", 0)
                l7.wait_for("it is written", lambda p=probe: "written again" in p.err)
                l7.wait_for("all is written", lambda s=seen, n=name: sorted(hosts_so_far(f"{s}/{n}")) == list(range(40)))
                done = probe.stop()
                self.assertEqual(0, done.status, done.err)
                self.assertEqual((40, 0), (done.stats["outputs"][0]["sent"], done.stats["outputs"][0]["dropped"]))

    def test_full_disk_for_too_long(self):
        """What the queue does not hold is dropped and counted, and l7probe ends when told."""
        with Space("eth7") as space:
            probe, seen = self.full(space, "-o", self.outputs[1] + "?queue=262144", "--drain-timeout", "1")
            space.send(*[("eth7", packet(i)) for i in range(3000)])
            l7.wait_for("drops are said", lambda: "records dropped so far" in probe.err)
            probe.child.terminate()
            l7.wait_for("it has ended", lambda: probe.child.poll() is not None)
            done = probe.finish()
        output = done.stats["outputs"][0]
        self.assertEqual((3000, 3000), (output["records"], output["sent"] + output["dropped"]), done.err)
        self.assertGreater(output["dropped"], 1000)
        self.assertGreater(output["sent"], 0)
        self.assertEqual(0, done.status, done.err)


if __name__ == "__main__":
    l7.main()
