#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
A probe with a spool and a collector that is away, killed, slow; a probe that is killed; disks that are full or damaged. Of what was
captured nothing is missing but what is said to be, and all comes in order.

`./dev test` is away for 15 s at 5,000 flows a second; L7_OUTAGE_SECONDS, L7_OUTAGE_RATE set others (soak_outage.py).
"""
import contextlib
import glob
import os
import re
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import flood  # noqa: E402
import keeper  # noqa: E402
import l7  # noqa: E402

AWAY_S = int(os.environ.get("L7_OUTAGE_SECONDS", "15"))
RATE = int(os.environ.get("L7_OUTAGE_RATE", "5000"))


def memory(pid):
    """Octets of a process, what it shares by its share."""
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
        return 1024 * int(re.search(r"^Pss: +(\d+)", f.read(), re.M).group(1))


@unittest.skipUnless(l7.can_capture() and l7.is_root(), "needs root")
class Outage(unittest.TestCase):
    def setUp(self):
        stack = contextlib.ExitStack()
        self.addCleanup(stack.close)
        self.base = stack.enter_context(tempfile.TemporaryDirectory(prefix="l7test-"))
        self.folder = os.path.join(self.base, "spool")
        self.keeper = stack.enter_context(keeper.Keeper(self.base))

    def live(self, *more, options="", before=()):
        uri = f"ipfix+tcp://127.0.0.1:{self.keeper.port}?template={keeper.TEMPLATE}&spool={self.folder}{options}"
        process = l7.Process((*before, l7.L7PROBE, "-i", "lo", "-f", flood.FILTER, "-o", uri, "--idle-timeout", "1", "--stats", "-v",
                              *more))
        process.wait_until("l7probe captures", lambda: "capturing on" in process.err)
        return process

    def on_disk(self):
        found = 0
        for path in glob.glob(self.folder + "/*.seg"):
            with contextlib.suppress(FileNotFoundError):  # sent by now
                found += os.path.getsize(path)
        return found

    def waiting(self):
        """Records on disk, by the tool that a person has."""
        done = l7.run((l7.L7PROBE, "spool", "ls", self.folder))
        found = re.search(r"to send: ([\d,]+) records", done.out)
        return int(found.group(1).replace(",", "")) if found else 0

    def sums(self, done, captured):
        """Of the output; and capture has not waited."""
        o = done.stats["outputs"][0]
        self.assertEqual(o["records"] + o["recovered"], o["sent"] + o["dropped"] + o["spooled"], o)
        self.assertEqual((captured, 0), (done.stats["packets"], sum(done.stats["drops"].values())), done.stats["drops"])
        return o

    def once(self):
        """{stream: numbers in the order in which they came first}, and how many came again."""
        streams, doubles = {}, 0
        for stream, number in self.keeper.records():
            numbers = streams.setdefault(stream, {})
            doubles += number in numbers
            numbers.setdefault(number)
        return {stream: list(numbers) for stream, numbers in streams.items()}, doubles

    def test_away(self):
        """Every record in order, once, with a backlog of many times the memory."""
        count = RATE * (AWAY_S + 4)
        self.keeper.start()
        with self.live() as probe:
            exporter = l7.all_children(probe.child.pid)[0]
            with flood.running(count, RATE):
                l7.wait_for("some are there", lambda: self.keeper.count() > RATE // 2)
                before = memory(exporter)
                self.keeper.kill()
                most, end = 0, time.monotonic() + AWAY_S
                while time.monotonic() < end:
                    most = max(most, memory(exporter))
                    time.sleep(0.2)
                backlog = self.on_disk()
                self.keeper.start()
            l7.wait_for("all are there", lambda: self.keeper.count() >= count, seconds=60 + AWAY_S)
            done = probe.stop()
        self.assertEqual(0, done.status, done.err)
        o = self.sums(done, count)
        self.assertEqual((count, 0, 0), (o["sent"], o["dropped"], o["spooled"]))
        streams, doubles = self.once()
        self.assertEqual([list(range(count))], list(streams.values()))
        self.assertLess(doubles, 4 * RATE, "more than a connection and a second have in them")
        print(f"{count} records; backlog {backlog / 1e6:.1f} MB; memory of the exporter {before / 1e6:.1f} MB, then {most / 1e6:.1f} MB at most; "
              f"{doubles} came again")
        self.assertGreater(backlog, 5 * (most if AWAY_S >= 60 else most - before))
        self.assertGreater(backlog, RATE * AWAY_S * 100)

    def test_collector_killed(self):
        """-9 again and again to one that is slow, so that its socket is never empty: what was in it comes again."""
        count = RATE * 6
        self.keeper.start(lazy=0.05)
        with self.live() as probe:
            with flood.running(count, RATE):
                for kills in range(5):
                    l7.wait_for("it reads", lambda: self.keeper.count() > (kills + 1) * RATE // 4)
                    self.keeper.kill()
                    self.keeper.start(lazy=0.05)
            l7.wait_for("all are sent", lambda: not self.waiting())
            done = probe.stop()
        o = self.sums(done, count)
        self.assertEqual((count, 0, 0), (o["sent"], o["dropped"], o["spooled"]))
        streams, doubles = self.once()
        self.assertEqual([list(range(count))], [sorted(numbers) for numbers in streams.values()])
        self.assertGreater(doubles, 0)

    def test_probe_killed(self):
        """-9 while the collector is away: all that was on disk comes, before what is new."""
        count = RATE * 2
        with self.live() as probe:
            with flood.running(count, RATE):
                pass
            l7.wait_for("the last is on disk", lambda: self.waiting() == count)
            pids = [probe.child.pid, *l7.all_children(probe.child.pid)]
            probe.child.kill()
            probe.child.wait()
            l7.wait_for("nobody has the spool", lambda: not any(l7.status_of(pid) for pid in pids))
        self.keeper.start()
        with self.live() as probe:
            with flood.running(RATE, RATE):
                pass
            l7.wait_for("all are there", lambda: self.keeper.count() >= count + RATE)
            done = probe.stop()
        o = self.sums(done, RATE)
        self.assertEqual((count, count + RATE, 0), (o["recovered"], o["sent"], o["dropped"]))
        self.assertEqual([list(range(count)), list(range(RATE))], list(self.once()[0].values()))

    def test_spool_full(self):
        """The oldest goes, so much is counted, and the rest comes in order."""
        count = RATE * 4
        with self.live(options="&spool_size=1048576") as probe:
            with flood.running(count, RATE):
                pass
            l7.wait_for("it is full", lambda: "records dropped so far" in probe.err)
            self.assertLess(self.on_disk(), 1_200_000)
            self.keeper.start()
            l7.wait_for("all are sent", lambda: self.keeper.count() and not self.waiting())
            done = probe.stop()
        self.the_rest(done, count)

    def test_disk_full(self):
        """A file system of 3 MB, in a namespace of its own: capture goes on, and so does sending, when somebody is there again."""
        count = RATE * 6
        os.mkdir(self.folder, 0o700)
        script = f'mount -t tmpfs -o size=3m none {self.folder} && exec "$@"'
        with self.live(options="&spool_size=8388608", before=("unshare", "-m", "sh", "-c", script, "sh")) as probe:
            with flood.running(count, RATE):
                pass
            l7.wait_for("it is full", lambda: "records dropped so far" in probe.err)
            self.keeper.start()
            l7.wait_for("what there is has come", lambda: self.newest() == count - 1)
            done = probe.stop()
        self.the_rest(done, count)

    def newest(self):
        found = self.keeper.records()
        return found[-1][1] if found else -1

    def the_rest(self, done, count):
        """What is missing was counted as dropped, and is the oldest."""
        o = self.sums(done, count)
        numbers, = self.once()[0].values()
        self.assertEqual((len(numbers), count - len(numbers), 0), (o["sent"], o["dropped"], o["spooled"]), done.err)
        self.assertGreater(o["dropped"], 0)
        self.assertEqual(sorted(numbers), numbers)
        self.assertEqual(count - 1, numbers[-1])

    def test_damaged_and_from_the_future(self):
        """A segment with an octet changed, files of next year: one batch is lost, counted, and said; all others come."""
        count = RATE * 2
        with self.live() as probe:
            with flood.running(count, RATE):
                pass
            l7.wait_for("the last is on disk", lambda: self.waiting() == count)
            self.assertEqual(0, probe.stop().status)
        segment = sorted(glob.glob(self.folder + "/*.seg"))[0]
        with open(segment, "r+b") as f:
            f.seek(os.path.getsize(segment) // 2)
            octet = f.read(1)[0]
            f.seek(-1, os.SEEK_CUR)
            f.write(bytes([octet ^ 16]))
        year = time.time() + 365 * 86400
        for path in glob.glob(self.folder + "/*"):
            os.utime(path, (year, year))
        self.keeper.start()
        with self.live() as probe:
            l7.wait_for("all are sent", lambda: self.keeper.count() and not self.waiting())
            done = probe.stop()
        o = self.sums(done, 0)
        numbers, = self.once()[0].values()
        self.assertEqual((count, len(numbers), count - len(numbers)), (o["recovered"], o["sent"], o["dropped"]))
        self.assertEqual(sorted(numbers), numbers)
        missing = sorted(set(range(count)) - set(numbers))
        self.assertTrue(0 < len(missing) < 200, len(missing))
        self.assertEqual(list(range(missing[0], missing[-1] + 1)), missing, "one batch")
        self.assertIn("damaged", done.err)


if __name__ == "__main__":
    l7.main()
