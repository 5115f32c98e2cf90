#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""ipfix+tcp with a spool: what becomes of records while the collector is away, the probe killed, the disk full."""
import os
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import l7  # noqa: E402
import spoolfile  # noqa: E402
import tls  # noqa: E402
from collector import Collector  # noqa: E402

class SpoolTcp(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name + "/spool"

    def read(self, name, port, *more, options=""):
        return l7.probe("-r", l7.corpus(name), *l7.NO_TIMEOUTS, "-o",
                        f"ipfix+tcp://127.0.0.1:{port}?spool={self.folder}{options}", "-o", "json:-", "--stats", *more)

    def sums(self, done, status=0):
        """The output's counters; what went in is somewhere."""
        self.assertEqual(status, done.status, done.err)
        o = done.stats["outputs"][0]
        self.assertEqual(o["records"] + o["recovered"], o["sent"] + o["dropped"] + o["spooled"], o)
        return o

    def collector(self):
        c = Collector()
        self.addCleanup(c.close)
        return c

    def expect(self, collector, *runs):
        """Records of these runs in this order, each once."""
        self.assertEqual([], collector.errors)
        self.assertEqual([int(f["flow_id"]) for run in runs for f in run.flows], collector.ids)

    def test_collector_is_there(self):
        c = self.collector()
        done = self.read("telegram.pcap", c.port)
        o = self.sums(done)
        self.assertEqual((len(done.flows), 0, 0), (o["sent"], o["dropped"], o["spooled"]))
        l7.wait_for("the end", lambda: len(c.records) == len(done.flows))
        self.expect(c, done)
        options = [r for r in c.readers[0].options if (0, 42) in r]
        self.assertEqual(len(done.flows), int.from_bytes(options[-1][0, 42], "big"), "the last statistics tell of all")
        self.assertEqual(1, len(c.readers))

    def test_away_and_back(self):
        """Two runs without a collector, one with: all that they saw comes, in order."""
        port = l7.free_port()
        runs = [self.read(name, port, "--drain-timeout", "5") for name in ("telegram.pcap", "teams.pcap")]
        self.assertEqual(len(runs[0].flows), self.sums(runs[0])["spooled"])
        self.assertEqual(len(runs[0].flows) + len(runs[1].flows), self.sums(runs[1])["spooled"])
        c = self.collector()
        runs.append(self.read("1kxun.pcap", c.port))
        o = self.sums(runs[2])
        self.assertEqual((sum(len(run.flows) for run in runs), 0), (o["sent"], o["spooled"]))
        l7.wait_for("the end", lambda: len(c.records) >= o["sent"])
        self.expect(c, *runs)
        self.assertEqual(1, len(c.readers))

    def test_sync(self):
        """However long the disk may take its time: nothing waits for that, nothing is lost at an orderly end."""
        port = l7.free_port()
        runs = [self.read("telegram.pcap", port, options=f"&spool_sync={ms}") for ms in (0, 3600000)]
        self.assertEqual(2 * len(runs[0].flows), self.sums(runs[1])["spooled"])
        c = self.collector()
        uri = f"ipfix+tcp://127.0.0.1:{c.port}?spool={self.folder}-2&spool_sync=3600000"
        with subprocess.Popen((l7.L7PROBE, "-r", "-", "--idle-timeout", "1", "-o", uri), stdin=subprocess.PIPE) as probe:
            try:
                with open(l7.corpus("telegram.pcap"), "rb") as f:
                    probe.stdin.write(f.read())
                probe.stdin.flush()
                l7.wait_for("records, while it reads", lambda: c.records)
                probe.stdin.close()
                self.assertEqual(0, probe.wait(60))
            finally:
                probe.kill()

    def test_other_profiles(self):
        """What waits is read by the templates that it was written with; a connection never hears two of one number."""
        port = l7.free_port()
        runs = [self.read("telegram.pcap", port, "-t", "full"), self.read("teams.pcap", port, "-t", "full")]
        for run in runs:
            self.sums(run)
        c = self.collector()
        runs.append(self.read("1kxun.pcap", c.port, "-t", "standard"))
        self.assertEqual(0, self.sums(runs[2])["spooled"])
        l7.wait_for("the end", lambda: len(c.records) >= sum(len(run.flows) for run in runs))
        self.expect(c, *runs)
        self.assertEqual(2, len(c.readers))
        full, standard = (reader.flow_template() for reader in c.readers)
        self.assertGreater(len(full), len(standard))

    def test_foreign_batches(self):
        """What is no message is dropped and counted; what is behind it comes."""
        os.mkdir(self.folder, 0o700)
        spoolfile.segment(self.folder, 1, 0, [b'{"n":1}', b"x" * 40], 3, b"key")
        c = self.collector()
        done = self.read("telegram.pcap", c.port)
        o = self.sums(done, status=2)
        self.assertEqual((6, 6, len(done.flows)), (o["recovered"], o["dropped"], o["sent"]))
        self.assertIn("batch 1 is no message of IPFIX", done.err)
        l7.wait_for("the end", lambda: len(c.records) == len(done.flows))
        self.expect(c, done)

    @unittest.skipUnless(l7.can_capture(), "needs root")
    def test_thread_has_no_capabilities(self):
        uri = f"ipfix+tcp://127.0.0.1:{l7.free_port()}?spool={self.folder}"
        with l7.Process([l7.L7PROBE, "-i", "lo", "-o", uri, "--stats"]) as process:
            exporter = l7.all_children(process.child.pid)[0]
            tasks = f"/proc/{exporter}/task"
            l7.wait_for("the thread", lambda: len(os.listdir(tasks)) == 2)
            for task in os.listdir(tasks):
                with open(f"{tasks}/{task}/status", encoding="ascii") as f:
                    found = dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)
                self.assertEqual([0, 0, 0], [int(found[name], 16) for name in ("CapInh", "CapPrm", "CapEff")])
            self.assertEqual(0, process.stop().status)

    def test_tls(self):
        """Two runs without a collector, then one: l7watch has each record once."""
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        authority, port = tls.Authority(folder.name, "ca"), l7.free_port()
        server = authority.issue("server", "DNS:localhost,IP:127.0.0.1")
        argv = ("-r", l7.STORY, "-o", f"ipfix+tls://127.0.0.1:{port}?ca={authority.cert}&spool={self.folder}", "--stats")
        away = l7.probe(*argv)
        before = self.sums(away)["spooled"]
        self.assertGreater(before, 0)
        listen = f"ipfix+tls://127.0.0.1:{port}?cert={server.cert}&key={server.key}"
        with l7.Watch("version: 1\nrules: []\n", more=("-l", listen)) as watch:
            o = self.sums(l7.probe(*argv))
            self.assertEqual((2 * before, 0), (o["sent"], o["spooled"]))
            ended = watch.stop()
        self.assertEqual(2 * before, ended.stats["records"], ended.err)

    def test_check(self):
        for options, said in ((("spool=here",), "not the whole path of a directory"),
                              (("spool_size=2000000",), "option spool_size needs the option spool"),
                              (("spool_sync=0",), "option spool_sync needs the option spool"),
                              ((f"spool={self.folder}&spool_size=5",), "spool_size"),
                              ((f"spool={self.folder}", f"spool={self.folder}"), "another output has this spool")):
            with self.subTest(options):
                outputs = [word for i, o in enumerate(options) for word in ("-o", f"ipfix+tcp://127.0.0.{i + 1}?{o}")]
                done = l7.probe("-i", "lo", *outputs, "--check")
                self.assertNotEqual(0, done.status)
                self.assertIn(said, done.err)
        self.assertFalse(os.path.exists(self.folder))


if __name__ == "__main__":
    l7.main()
