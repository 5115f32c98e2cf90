#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""How the probe is started, stopped and connected by others: signals, descriptors, pipes."""
import fcntl
import os
import random
import select
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import l7  # noqa: E402

STORY_FLOWS = 15


class Signals(unittest.TestCase):
    def test_stopped_at_any_moment(self):
        """Of its processes none takes a signal amiss that comes while it starts, nor one to the whole group."""
        rng = random.Random(3)
        for i in range(90):
            number, group = ((signal.SIGTERM, False), (signal.SIGTERM, True), (signal.SIGINT, True))[i % 3]
            argv = [l7.L7PROBE, "-r", l7.STORY, "-o", "json:-"]
            with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                  start_new_session=True) as child:
                time.sleep(rng.random() * 0.04)
                (os.killpg if group else os.kill)(child.pid, number)
                err = child.communicate(timeout=30)[1]
                # Before it is ready for signals one ends it as any program.
                self.assertIn(child.returncode, (0, -number), err)
                self.assertEqual(b"", err)

    def test_started_by_who_ignores_children(self):
        done = l7.run(["/usr/bin/python3", "-c",
                       "import os, signal, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN);"
                       "os.execv(sys.argv[1], sys.argv[1:])",
                       l7.L7PROBE, "-r", l7.STORY, "-o", "json:-"], timeout=20)
        self.assertEqual((0, STORY_FLOWS), (done.status, len(done.flows)), done.err)


class Descriptors(unittest.TestCase):
    def shell(self, line, *arguments):
        return l7.run(["/bin/sh", "-c", line, "sh", *arguments], timeout=30)

    def test_no_standard_output(self):
        done = self.shell('exec "$@" >&-', l7.L7PROBE, "-r", l7.STORY, "-o", "json:-")
        self.assertEqual(2, done.status)
        self.assertEqual("l7probe: error: json:-: Bad file descriptor; nothing more is written to it\n", done.err)

    def test_none_at_all(self):
        """What is said and written goes nowhere, and not into the file or socket that has the number by chance."""
        with tempfile.TemporaryDirectory() as folder:
            path = folder + "/out.json"
            done = self.shell('exec "$@" <&- >&- 2>&-', l7.L7PROBE, "-r", l7.STORY, "-o", f"json+file://{path}",
                              "-o", "ipfix+udp://127.0.0.1:9", "--stats")
            with open(path, encoding="utf-8") as f:
                lines = f.readlines()
        self.assertEqual(0, done.status)
        self.assertEqual(STORY_FLOWS, len(lines))
        self.assertEqual(STORY_FLOWS, len(l7.json_lines("".join(lines))))

    def test_help_to_a_full_disk(self):
        with open("/dev/full", "wb") as full:
            for program in (l7.L7PROBE, l7.L7WATCH):
                self.assertEqual(2, subprocess.run([program, "--help"], stdout=full, stderr=subprocess.DEVNULL,
                                                   timeout=30).returncode)

    def test_messages_that_nobody_reads(self):
        """A pipe closed at the other end: the exit status is still right."""
        read, write = os.pipe()
        os.close(read)
        status = subprocess.run([l7.L7PROBE, "-r", l7.STORY, "-o", "json+file:///dev/null", "--stats"],
                                stderr=write, timeout=30).returncode
        os.close(write)
        self.assertEqual(0, status)


def pending(pipe):
    """Octets in a pipe that nobody has read yet."""
    return struct.unpack("i", fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)))[0]


class Pipes(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.fifo = folder.name + "/fifo"
        os.mkfifo(self.fifo)

    def test_output_that_nobody_reads(self):
        done = l7.probe("-r", l7.STORY, "-o", f"json+file://{self.fifo}", timeout=20)
        self.assertEqual(2, done.status)
        self.assertIn("nobody reads", done.said)

    def test_input_that_nobody_writes(self):
        with l7.Process([l7.L7PROBE, "-r", self.fifo, "-o", "json:-"]) as process:
            worker = l7.all_children(process.child.pid)[1]
            l7.wait_for("a worker that waits", lambda: l7.waits(worker))
            done = process.stop()
        self.assertEqual((0, ""), (done.status, done.err))

    def test_input_that_goes_on(self):
        """Somebody's live capture: records come out at once, and SIGTERM flushes while it waits for more."""
        argv = [l7.L7PROBE, "-r", "-", "-o", "json:-?early=1"]
        with open(l7.STORY, "rb") as f, subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                                         stderr=subprocess.PIPE) as child:
            child.stdin.write(f.read())
            child.stdin.flush()
            self.assertTrue(select.select([child.stdout], [], [], 60)[0], "no early record")
            early = os.read(child.stdout.fileno(), 1 << 20)
            self.assertIn(b'"state":"final,early', early)
            worker = l7.all_children(child.pid)[1]
            l7.wait_for("a worker that has read all", lambda: not pending(child.stdin) and l7.waits(worker))
            child.send_signal(signal.SIGTERM)
            self.assertEqual(0, child.wait(60))
            rest = child.stdout.read()
            self.assertEqual(b"", child.stderr.read())
            child.stdin.close()
        last = [r for r in l7.json_lines((early + rest).decode()) if "last" in r["state"]]
        self.assertEqual(STORY_FLOWS, len(last))


if __name__ == "__main__":
    l7.main()
