#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""kafka with a spool: what becomes of records while brokers are away, the probe killed, a message refused."""
import collections
import json
import os
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import flood  # noqa: E402
import kafka  # noqa: E402
import l7  # noqa: E402
import spoolfile  # noqa: E402

RATE = int(os.environ.get("L7_KAFKA_RATE", "5000"))
SECONDS = int(os.environ.get("L7_KAFKA_SECONDS", "6"))
AWAY = "127.0.0.1:9"
QUICK = "rdkafka.reconnect.backoff.max.ms=500"


class Spooled(unittest.TestCase):
    """One l7probe after the other with the same spool."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name + "/spool"

    def output(self, broker, topic="flows", more=""):
        return f"kafka://{broker}/{topic}?{QUICK}&spool={self.folder}{more}"

    def read(self, broker, name="telegram.pcap", topic="flows", more="", status=0):
        done = l7.probe("-r", l7.corpus(name), *l7.NO_TIMEOUTS, "-o", self.output(broker, topic, more), "-o", "json:-", "--exporter",
                        "east", "--drain-timeout", "20", "--stats")
        self.assertEqual(status, done.status, done.err)
        return done

    def sums(self, done):
        o = done.stats["outputs"][0]
        self.assertEqual(o["records"] + o["recovered"], o["sent"] + o["dropped"] + o["spooled"], o)
        return o


class Away(Spooled):
    def test_nobody_there(self):
        """A probe that is done ends when all is on disk; by hand it is lines of JSON."""
        done = self.read(AWAY)
        self.assertEqual((len(done.flows), 0), (self.sums(done)["spooled"], self.sums(done)["dropped"]))
        drained = l7.run((l7.L7PROBE, "spool", "drain", self.folder))
        wanted, found = done.flows, l7.json_lines(drained.out)
        for flow in wanted + found:
            del flow["stream_id"]  # each output has its own
        self.assertEqual(wanted, found)

    def test_check(self):
        for more, said in (("&spool_size=5", "spool_size"), ("&spool_age=-1", "spool_age")):
            done = l7.probe("-i", "lo", "-o", self.output(AWAY, more=more), "--check")
            self.assertNotEqual(0, done.status)
            self.assertIn(said, done.err)
        self.assertFalse(os.path.exists(self.folder))


@unittest.skipUnless(*kafka.available())
class Brokers(Spooled):
    @classmethod
    def setUpClass(cls):
        cls.kafka = kafka.Cluster().__enter__()
        cls.addClassCleanup(cls.kafka.__exit__, None, None, None)

    def test_away_and_back(self):
        """Two runs without brokers, one with: keys, headers and values of all, in order; nothing is left."""
        self.kafka.create_topic("back", partitions=1)
        runs = [self.read(AWAY, name, "back") for name in ("telegram.pcap", "teams.pcap")]
        self.assertEqual(len(runs[0].flows) + len(runs[1].flows), self.sums(runs[1])["spooled"])
        runs.append(self.read(self.kafka.bootstrap, "1kxun.pcap", "back"))
        o = self.sums(runs[2])
        self.assertEqual((sum(len(run.flows) for run in runs), 0, 0), (o["sent"], o["dropped"], o["spooled"]))
        messages = list(self.kafka.messages("back"))
        self.assertEqual([flow["flow_id"] for run in runs for flow in run.flows], [json.loads(m.value)["flow_id"] for m in messages])
        for m in messages:
            flow = json.loads(m.value)
            self.assertEqual({"exporter": b"east", "stream_id": flow["stream_id"].encode(), "format": b"json", "schema": b"1",
                              "record_sequence": flow["record_sequence"].encode()}, m.headers)
            self.assertEqual({flow["src_ip"], flow["dst_ip"]}, set(m.key.decode().split("-")))
        self.assertEqual(3, len({m.headers["stream_id"] for m in messages}))

    def test_ipfix(self):
        """Messages of IPFIX, among those of JSON that an earlier run has left."""
        self.kafka.create_topic("both", partitions=1)
        first = self.read(AWAY, "telegram.pcap", "both")
        second = self.read(self.kafka.bootstrap, "teams.pcap", "both", "&format=ipfix")
        o = self.sums(second)
        self.assertEqual((len(first.flows) + len(second.flows), 0), (o["sent"], o["spooled"]))
        with l7.Watch("version: 1\nrules: []\n", more=("-l", f"kafka://{self.kafka.bootstrap}/both?group=g&start=earliest")) as watch:
            l7.wait_for("all are read", lambda: self.kafka.lag("g", "both") == 0)
            ended = watch.stop()
        self.assertEqual((o["sent"], 0), (ended.stats["records"], ended.stats["doubles"]), ended.err)

    def test_too_large(self):
        """What no broker takes is dropped and counted, and what is behind it goes on."""
        self.read(AWAY, "1kxun.pcap", "small")
        sizes = sorted(map(len, l7.run((l7.L7PROBE, "spool", "drain", self.folder)).out.splitlines()))
        limit = sizes[len(sizes) // 2] + 300  # of headers
        self.kafka.create_topic("small", partitions=1, configs={"max.message.bytes": str(limit)})
        alone = "&rdkafka.batch.num.messages=1&rdkafka.compression.codec=none"
        o = self.sums(done := self.read(self.kafka.bootstrap, "telegram.pcap", "small", alone, status=2))
        self.assertGreater(o["dropped"], 0)
        self.assertGreater(o["sent"], 0)
        self.assertEqual((o["sent"], 0), (self.kafka.count("small"), o["spooled"]))
        self.assertIn("too large", done.err)

    def test_foreign_batches(self):
        os.mkdir(self.folder, 0o700)
        self.kafka.create_topic("foreign", partitions=1)
        spoolfile.segment(self.folder, 1, 0, [b'{"n":1}', b"x" * 40], 3, b"key")
        done = self.read(self.kafka.bootstrap, "telegram.pcap", "foreign", status=2)
        o = self.sums(done)
        self.assertEqual((6, 6, len(done.flows)), (o["recovered"], o["dropped"], o["sent"]))
        self.assertIn("batch 1 is no message of Kafka", done.err)
        self.assertEqual(len(done.flows), self.kafka.count("foreign"))


@unittest.skipUnless(*kafka.available())
@unittest.skipUnless(l7.can_capture(), "needs CAP_NET_RAW")
class Faults(Spooled):
    def live(self, broker):
        process = l7.Process((l7.L7PROBE, "-i", "lo", "-f", flood.FILTER, "-o", self.output(broker, more="&key=none"),
                              "--idle-timeout", "1", "--home-nets", flood.NET, "--stats", "-v"))
        process.wait_until("l7probe captures", lambda: "capturing on" in process.err)
        return process

    def newest(self):
        """Number of the last record that waits on disk."""
        lines = l7.run((l7.L7PROBE, "spool", "drain", self.folder)).out.splitlines()
        return int(json.loads(lines[-1])["record_sequence"]) if lines else -1

    def content(self, k):
        """By stream, the numbers that came, and how often one came again."""
        streams, doubles = collections.defaultdict(set), 0
        for m in k.messages("flows"):
            stream, number = m.headers["stream_id"], int(m.headers["record_sequence"])
            doubles += number in streams[stream]
            streams[stream].add(number)
        return streams, doubles

    def test_away_for_longer_than_the_queue(self):
        """-9 to the broker in the middle of the stream: what does not fit the memory waits on disk, and nothing is lost."""
        count = RATE * SECONDS
        with kafka.Cluster() as k:
            k.create_topic("flows", partitions=4)
            with self.live(k.bootstrap) as probe:
                with flood.running(count, RATE):
                    l7.wait_for("some are there", lambda: k.count("flows") > count // 10)
                    k.node.kill()
                k.node.start()
                l7.wait_for("all are there", lambda: k.count("flows") >= count, seconds=120)
                done = probe.stop(60)
            o = self.sums(done)
            self.assertEqual((0, count, 0, 0), (done.status, o["sent"], o["dropped"], o["spooled"]), done.err)
            self.assertEqual(0, sum(done.stats["drops"].values()))
            streams, doubles = self.content(k)
            self.assertEqual(([set(range(count))], 0), (list(streams.values()), doubles))

    def test_probe_killed(self):
        """-9 to the whole probe while brokers are away: but for the last moments all is there after the next start."""
        count = RATE * SECONDS // 2
        with kafka.Cluster() as k:
            k.create_topic("flows", partitions=1)
            with self.live(k.bootstrap) as probe:
                with flood.running(count, RATE):
                    l7.wait_for("some are there", lambda: k.count("flows") > 0)
                    k.node.kill()
                l7.wait_for("the last record is on disk", lambda: self.newest() == count - 1)
                pids = l7.all_children(probe.child.pid)
                probe.child.kill()
                l7.wait_for("nobody has the spool", lambda: not any(l7.status_of(pid) for pid in pids))
            k.node.start()
            with self.live(k.bootstrap) as probe:
                l7.wait_for("all are there", lambda: k.count("flows") >= count, seconds=120)
                done = probe.stop(60)
            o = self.sums(done)
            self.assertEqual((0, 0), (o["dropped"], o["spooled"]), done.err)
            self.assertGreater(o["recovered"], count // 4)
            streams, doubles = self.content(k)
            self.assertEqual([set(range(count))], list(streams.values()))
            self.assertLess(doubles, count // 4, "what was acknowledged in the last moment before the kill of the broker")


if __name__ == "__main__":
    l7.main()
