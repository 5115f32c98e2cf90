#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The sanitizer build reads the whole corpus and every made capture without a report.

A worker that a sanitizer stops is replaced and the probe goes on, so that its
status alone says nothing: its words and worker_restarts are looked at too.
"""
import glob
import multiprocessing.pool
import os
import signal
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import damage  # noqa: E402
import l7  # noqa: E402

L7PROBE = os.path.join(l7.SANITIZE, "l7probe")
L7WATCH = os.path.join(l7.SANITIZE, "l7watch")
BATCH = 8
CAPTURES = 20
CHECKS = os.path.join(l7.ROOT, "etc", "rules.d")
RULES = """
version: 1
rules:
- {id: 1, name: no Telegram, type: deny, severity: high, match: {app: Telegram}}
"""


def reports(text):
    return [line for line in text.splitlines() if any(w in line for w in l7.SANITIZER_WORDS)]


def read_batch(paths):
    """"" or what went wrong while reading the captures in one run."""
    argv = [L7PROBE, "-o", "json+file:///dev/null", "--stats", *l7.NO_TIMEOUTS]
    for path in paths:
        argv += ["-r", path]
    try:
        done = l7.run(argv, timeout=250)
    except Exception as error:
        return f"{paths}: {error!r}"
    if done.status != 0 or reports(done.err) or done.stats["worker_restarts"]:
        return f"{paths}: exit {done.status}\n{done.err[-4000:]}"
    return ""


def read_all(paths):
    batches = [paths[i:i + BATCH] for i in range(0, len(paths), BATCH)]
    with multiprocessing.pool.ThreadPool(2) as pool:
        return [said for said in pool.map(read_batch, batches, chunksize=1) if said]


class Probe(unittest.TestCase):
    def test_corpus(self):
        paths = damage.whole_captures()
        self.assertGreater(len(paths), 200, "the corpus is not there: ./dev corpus")
        bad = read_all(paths)
        self.assertEqual([], bad, "\n".join(bad))

    def test_made_captures(self):
        paths = sorted(p for p in glob.glob(l7.made() + "/*.pcap")) + [l7.STORY]
        bad = read_all(paths)
        self.assertEqual([], bad, "\n".join(bad))

    def test_damaged_frames(self):
        """Frames of the corpus cut at random or with octets changed; ./dev soak does more."""
        path = damage.temporary("sample.pcap")
        damage.sample(path, 20, 40_000)
        self.assertEqual("", read_batch([path]))

    def test_damaged_tunnels(self):
        path = damage.temporary("tunnels.pcap")
        damage.tunnelled(path, 7, 300)
        self.assertEqual("", read_batch([path]))

    def test_damaged_links(self):
        paths = [path for path, _ in damage.linked(7, 300)]
        bad = read_all(paths)
        self.assertEqual([], bad, "\n".join(bad))

    def test_damaged_fragments(self):
        path = damage.temporary("fragments.pcap")
        damage.fragmented(path, 7, 40_000)
        self.assertEqual("", read_batch([path]))

    def test_sigterm_in_the_middle(self):
        """Stopped while it reads a great capture again and again: flushed, no leak."""
        argv = [L7PROBE, "-o", "json:-", "--stats"]
        for _ in range(200):
            argv += ["-r", l7.corpus("tumblr.pcap")]
        with l7.Process(argv) as process:
            l7.wait_for("a record", lambda: os.path.getsize(process.out_path) > 0)
            self.assertIsNone(process.child.poll(), "it ended before it could be stopped: " + process.err)
            process.child.send_signal(signal.SIGTERM)
            done = process.finish()
        self.assertEqual(0, done.status, done.err)
        self.assertEqual([], reports(done.err))
        self.assertGreater(done.stats["packets"], 0)
        self.assertGreater(done.stats["records"], 0)

    def test_full_disk(self):
        done = l7.run([L7PROBE, "-r", l7.corpus("telegram.pcap"), "-o", "json+file:///dev/full"])
        self.assertEqual(2, done.status, done.err)
        self.assertEqual([], reports(done.err))


class Watch(unittest.TestCase):
    def test_story_through_both(self):
        with l7.Watch(RULES, binary=L7WATCH) as watch:
            done = l7.run([L7PROBE, "-r", l7.STORY, "-o", watch.output])
            self.assertEqual(0, done.status, done.err)
            ended = watch.stop()
            self.assertEqual(0, ended.status, ended.err)
            self.assertEqual([], reports(done.err + ended.err))
            self.assertEqual(1, len(watch.engaged()))

    def test_corpus_with_all_checks(self):
        """Flows of captures of many kinds, all templates' fields, all checks, one state for all: as a replay and once more."""
        paths = damage.ethernet_captures()
        paths = paths[::len(paths) // CAPTURES][:CAPTURES]
        self.assertEqual(CAPTURES, len(paths), "the corpus is not there: ./dev corpus")
        checks = ",".join(sorted(os.path.basename(p)[:-len(".yaml")] for p in glob.glob(CHECKS + "/*.yaml")))
        with tempfile.TemporaryDirectory(prefix="l7sanitize-") as folder:
            argv = [l7.L7PROBE, "-o", f"ipfix+file://{folder}/flows?early=1&template=full", "-o", f"json+file://{folder}/flows.json"]
            for path in paths:
                argv += ["-r", path]
            done = l7.run(argv)
            self.assertEqual(0, done.status, done.err)
            argv = [L7WATCH, "--checks", checks, "--checks-folder", CHECKS, "--home-nets", "10.0.0.0/8,172.16.0.0/12,192.168.0.0/16",
                    "-a", "json:-", "-a", f"text+file://{folder}/text", "--state", folder + "/state", "--stats"]
            for more in (["-l", f"ipfix+file://{folder}/flows"],
                         ["-l", f"json+file://{folder}/flows.json", "--learn", folder + "/learned.yaml"]):
                done = l7.run(argv + more)
                self.assertEqual((0, []), (done.status, reports(done.err)), done.err)
                self.assertGreater(done.stats["records"], 500)
                self.assertGreater(len(l7.json_lines(done.out)), 10)
            done = l7.run([L7WATCH, "--check", "-R", folder + "/learned.yaml"])
            self.assertEqual((0, []), (done.status, reports(done.err)), done.err)


if __name__ == "__main__":
    l7.main()
