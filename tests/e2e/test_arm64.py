#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What is built for 64-bit ARM says what the native build says. `./dev cross` builds it; an emulator runs it."""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import l7  # noqa: E402

BIN = os.path.join(l7.ROOT, "build", "arm64", "bin")
SYSROOT = os.path.join(l7.ROOT, "build", "cross", "sysroot")
COMPILER = "aarch64-linux-gnu-gcc"
OPTIONS = ("-c", "/dev/null", *l7.NO_TIMEOUTS, "--exporter", "here", "-o", "json:-")
BY_CHANCE = {"flow_id", "stream_id", "record_sequence"}  # another in each run, or the order in which flows that end at once do
FEW = 30  # captures beside the story: the emulator takes half a second for each


def there():
    return all(map(shutil.which, ("qemu-aarch64", COMPILER))) and os.path.exists(os.path.join(BIN, "l7probe"))


def emulated(program, *options):
    return ["qemu-aarch64", "-L", SYSROOT, *options, os.path.join(BIN, program)]


@unittest.skipUnless(there(), "not built for arm64: ./dev cross")
class Arm64(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="l7test-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.preload = self.path("unconfined.so")
        subprocess.run([COMPILER, f"--sysroot={SYSROOT}", "-shared", "-fPIC", "-Wall", "-Werror", "-o", self.preload,
                        os.path.join(l7.ROOT, "tests", "lib", "unconfined.c"), "-lseccomp"], check=True, timeout=60)

    def path(self, name):
        return os.path.join(self.folder, name)

    @staticmethod
    def text(path):
        with open(path, encoding="utf-8", errors="replace") as f:
            return f.read()

    def probe(self, *options):
        """The command of an l7probe that goes on though its workers are not confined: no emulator can do that."""
        return emulated("l7probe", "-E", f"LD_PRELOAD={self.preload}", *options)

    def records(self, command, capture):
        done = l7.run([*command, "-r", capture, *OPTIONS])
        self.assertEqual(0, done.status, f"{capture}: {done.err}")
        records = [{k: v for k, v in record.items() if k not in BY_CHANCE} for record in done.flows]
        return sorted(records, key=lambda r: json.dumps(r, sort_keys=True))

    def test_is_arm64(self):
        for name in ("l7probe", "l7watch"):
            with open(os.path.join(BIN, name), "rb") as f:
                head = f.read(20)
            self.assertEqual((b"\x7fELF", 183), (head[:4], int.from_bytes(head[18:], "little")))
            self.assertEqual(l7.run([os.path.join(l7.RELEASE, name), "--version"]).out, l7.run(emulated(name) + ["--version"]).out)

    def test_not_confined_is_refused(self):
        """What is built for arm64 is no weaker: as it is, it does not start where it cannot be confined."""
        done = l7.run([*emulated("l7probe"), "-r", l7.STORY, *OPTIONS])
        self.assertNotEqual(0, done.status)
        self.assertEqual("", done.out)
        self.assertIn("the worker cannot be confined: seccomp", done.err)

    def test_same_records(self):
        folder = l7.made()
        captures = [l7.STORY] + [os.path.join(folder, name) for name in sorted(os.listdir(folder)) if name.endswith(".pcap")]
        self.assertGreater(len(captures), FEW)
        captures = captures[:1] + captures[1::len(captures) // FEW]
        for capture in captures:
            with self.subTest(os.path.basename(capture)):
                native = self.records([l7.L7PROBE], capture)
                self.assertEqual(native, self.records(self.probe(), capture))
        self.assertTrue(self.records([l7.L7PROBE], l7.STORY))

    def test_same_alerts(self):
        """l7watch, on records that each has written as IPFIX."""
        rules = self.path("rules.yaml")
        with open(rules, "w", encoding="ascii") as f:
            f.write("version: 1\nrules:\n- {id: 1, name: any, type: deny, severity: low, match: {client: 0.0.0.0/0}}\n")
        found = []
        for probe, watch in (([l7.L7PROBE], [l7.L7WATCH]), (self.probe(), emulated("l7watch"))):
            records = self.path("records.ipfix")
            done = l7.run([*probe, "-r", l7.STORY, *OPTIONS[:-2], "-o", "ipfix+file://" + records])
            self.assertEqual(0, done.status, done.err)
            done = l7.run([*watch, "-c", "/dev/null", "-R", rules, "-l", "ipfix+file://" + records, "-a", "json:-"])
            self.assertEqual(0, done.status, done.err)
            found.append([(a["state"], a["rule"]["name"], a.get("message")) for a in l7.json_lines(done.out)])
        self.assertTrue(found[0])
        self.assertEqual(*found)

    def calls(self, log, worker):
        """
        {call} of the worker, from where its filter would be in force. Processes share the log: what one calls may stand in the middle of
        another's line.
        """
        text = self.text(log)
        return {call for pid, call in re.findall(r"(?<!\d)(\d+) ([a-z]\w*(?: syscall \d+)?)(?=[ (])", text[text.index('"/confined"'):])
                if int(pid) == worker}

    def test_calls_are_allowed(self):
        """arm64 has other system calls than amd64: all that a worker makes there, told to end while it reads, are in its filter."""
        kept, log = self.path("filter"), self.path("trace")
        command = self.probe("-E", f"L7_FILTER={kept}", "-D", log, "-strace")
        with subprocess.Popen([*command, "-r", "-", *OPTIONS], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                              stderr=subprocess.PIPE) as probe:
            with open(l7.STORY, "rb") as f:
                probe.stdin.write(f.read())
            probe.stdin.flush()
            try:
                l7.wait_for("a worker", lambda: os.path.exists(log) and '"/confined"' in self.text(log))
                worker = l7.all_children(probe.pid)[1]
                l7.wait_for("a worker that waits for packets", lambda: l7.waits(worker))
                probe.terminate()
                l7.wait_for("a worker that was told to end", lambda: "setitimer" in self.calls(log, worker))
                err = probe.communicate(timeout=60)[1]
            finally:
                probe.kill()
        self.assertEqual(0, probe.returncode, err)
        with open(kept, encoding="ascii") as f:
            allowed = set(re.findall(r'filter for syscall "(\w+)"', f.read()))
        made = self.calls(log, worker)
        self.assertLessEqual({"read", "setitimer"}, made)  # the end was told to the worker
        self.assertNotIn("openat", allowed)
        self.assertEqual(set(), made - allowed)


if __name__ == "__main__":
    l7.main()
