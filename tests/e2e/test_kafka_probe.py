#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""l7probe to a real Kafka: what is acknowledged is there, once and in order, whatever happens to brokers."""
import collections
import json
import os
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "bench"))
import flood  # noqa: E402
import kafka  # noqa: E402
import ipfix_strict  # noqa: E402
import kafka_readback  # noqa: E402
import l7  # noqa: E402
import loads  # noqa: E402

RATE = int(os.environ.get("L7_KAFKA_RATE", "20000"))
SECONDS = int(os.environ.get("L7_KAFKA_SECONDS", "6"))
STORY = os.path.join(l7.ROOT, "tests", "captures", "story.pcap")
QUICK = "rdkafka.reconnect.backoff.max.ms=500"


def output(k, topic="flows", more=""):
    return f"kafka://{k.bootstrap}/{topic}?{QUICK}{more}"


class Live(l7.Process):
    """l7probe on the loopback, with one output; `stats` after finish()."""

    def __init__(self, where, *more, **options):
        super().__init__((l7.L7PROBE, "-i", "lo", "-f", flood.FILTER, "-o", where, "--idle-timeout", "1", "--home-nets", flood.NET,
                          "--stats", "-v", *more), **options)
        self.wait_until("l7probe captures", lambda: "capturing on" in self.err)


class Content:
    """What a topic has: of each record how often, and whether those of a key are in order."""

    def __init__(self, messages):
        self.times, self.octets, self.disorder, self.partitions = collections.Counter(), 0, [], collections.defaultdict(set)
        last = {}
        for m in messages:
            flow = json.loads(m.value)
            sequence = int(flow["record_sequence"])
            self.times[flow["stream_id"], sequence] += 1
            self.octets += flow["octets"] + flow.get("rev_octets", 0)
            self.partitions[m.key].add(m.partition)
            if sequence < last.get(m.key, -1):
                self.disorder.append((m.key, last[m.key], sequence))
            last[m.key] = sequence

    def doubles(self):
        return sum(n - 1 for n in self.times.values())


@unittest.skipUnless(*kafka.available())
class Simple(unittest.TestCase):
    """One broker that works, for all tests here."""

    @classmethod
    def setUpClass(cls):
        cls.kafka = kafka.Cluster().__enter__()
        cls.addClassCleanup(cls.kafka.__exit__, None, None, None)

    def story(self, topic, more="", *arguments):
        self.kafka.create_topic(topic, partitions=4)
        done = l7.probe("-r", STORY, "-o", output(self.kafka, topic, more), "--stats", *arguments)
        self.assertEqual(0, done.status, done.err)
        sent = done.stats["outputs"][0]
        self.assertEqual((sent["records"], 0), (sent["sent"], sent["dropped"]))
        return sent["sent"], self.kafka.consume(topic)

    def flows(self, *arguments):
        return l7.json_lines(l7.probe("-r", STORY, "-o", "json:-", *arguments).out)

    def test_same_as_json(self):
        """The value of a message is the line that json:- writes, but for the stream's number."""
        sent, messages = self.story("same")
        self.assertEqual(sent, len(messages))
        found = [json.loads(m.value) for m in messages]
        wanted = self.flows()
        for flow in found + wanted:
            del flow["stream_id"]
        key = lambda flow: int(flow["record_sequence"])  # noqa: E731
        self.assertEqual(sorted(wanted, key=key), sorted(found, key=key))

    def test_headers(self):
        _, messages = self.story("headers", "", "--exporter", "branch 7, upstairs")
        for m in messages:
            flow = json.loads(m.value)
            self.assertEqual({"exporter": b"branch 7, upstairs", "stream_id": flow["stream_id"].encode(),
                              "record_sequence": flow["record_sequence"].encode(), "format": b"json", "schema": b"1"}, m.headers)

    def test_keys(self):
        """The host of the home networks; of neither or both the pair, the same both ways; what is asked for."""
        home = "192.0.2.10/32"
        keys = {m.key.decode() for m in self.story("k1", "", "--home-nets", home)[1]}
        flows = self.flows()
        self.assertIn("192.0.2.10", keys)
        self.assertEqual(set(), {key for key in keys if "192.0.2.10-" in key or "-192.0.2.10" in key})
        pairs = {frozenset((f["src_ip"], f["dst_ip"])) for f in flows}
        for name, more, arguments in (("k2", "", ("--home-nets", "0.0.0.0/0")),
                                      ("k3", "&key=pair", ("--home-nets", home)), ("k4", "", ())):
            keys = {m.key.decode() for m in self.story(name, more, *arguments)[1]}
            self.assertEqual(pairs, {frozenset(key.split("-")) for key in keys}, name)
            self.assertEqual(len(pairs), len(keys), name)
        self.assertEqual({b"east"}, {m.key for m in self.story("k5", "&key=exporter", "--exporter", "east")[1]})
        self.assertEqual({None}, {m.key for m in self.story("k6", "&key=none")[1]})

    def test_key_tells_nothing_hidden(self):
        """The key is made of what the output may tell, but the home side is found by what is true."""
        with tempfile.NamedTemporaryFile() as secret:
            secret.write(os.urandom(32))
            secret.flush()
            messages = self.story("hidden", f"&anonymize=clients:hash&anonymize_key={secret.name}", "--home-nets",
                                  "192.0.2.10/32")[1]
        keys = {m.key.decode() for m in messages}
        self.assertNotIn("192.0.2.10", str(keys) + str([m.value for m in messages]))
        hidden = {json.loads(m.value)["src_ip"] for m in messages}
        self.assertTrue(keys & hidden, (keys, hidden))

    def test_ipfix(self):
        """Of each profile: each message alone is decoded by who takes nothing amiss, and has the names of its protocols and no others."""
        for profile in ("standard", "iana", "ntop", "security", "full"):
            with self.subTest(profile):
                self.check_ipfix(profile)

    def check_ipfix(self, profile):
        sent, messages = self.story(f"ipfix-{profile}", f"&format=ipfix&template={profile}")
        flows = 0
        for m in messages:
            self.assertEqual((b"ipfix", str(flows).encode()), (m.headers["format"], m.headers["record_sequence"]))
            strict = ipfix_strict.Strict()
            value = m.value
            strict.sequence = int.from_bytes(value[8:12], "big")
            while value:
                length = int.from_bytes(value[2:4], "big")
                strict.feed(value[:length])
                value = value[length:]
            flows += len(strict.flows)
            ids = {record[0, 95] for record in strict.flows}
            table = {record[0, 95] for record in strict.options if (0, 95) in record}
            self.assertLessEqual(ids, table)
            self.assertLessEqual(len(table), 2 * len(ids))
        self.assertEqual(sent, flows)

    def test_all_of_a_capture(self):
        """Some 50,000 records of every protocol there is: what another output of the same run has, once, and valid."""
        back, made, wrong = kafka_readback.readback(self.kafka, [loads.load_file("mix")])
        self.assertEqual((made, {}), (back, dict(wrong)))
        self.assertGreater(made, 40_000)

    def test_too_large(self):
        """A topic that takes less than a record: each is counted as dropped, and it is said."""
        self.kafka.create_topic("small", partitions=1, configs={"max.message.bytes": "400"})
        done = l7.probe("-r", STORY, "-o", output(self.kafka, "small"), "--stats")
        sent = done.stats["outputs"][0]
        self.assertEqual((0, sent["records"]), (sent["sent"], sent["dropped"]), sent)
        self.assertIn("too large", done.err)
        self.assertEqual(2, done.status)


@unittest.skipUnless(*kafka.available())
@unittest.skipUnless(l7.can_capture(), "needs CAP_NET_RAW")
class Faults(unittest.TestCase):
    def check(self, k, done, count, topic="flows"):
        """All that was sent, no more, each once and in order."""
        stats = done.stats
        sent = stats["outputs"][0]
        self.assertEqual(0, done.status, done.err)
        self.assertEqual(0, sum(stats["drops"].values()), stats["drops"])
        self.assertEqual(sent["records"], sent["sent"] + sent["dropped"])
        content = Content(k.messages(topic))
        self.assertEqual(sent["sent"], len(content.times))
        self.assertEqual(0, content.doubles())
        self.assertEqual([], content.disorder[:3])
        self.assertTrue(all(len(p) == 1 for p in content.partitions.values()), "a key in two partitions")
        self.assertEqual(count, stats["packets"])
        return content, sent

    def test_broker_killed(self):
        """-9 in the middle of the stream, and up again."""
        with kafka.Cluster() as k:
            k.create_topic("flows", partitions=4)
            with Live(output(k, more="&queue=1000000000")) as probe:
                count = self.flood_and(lambda: (k.node.kill(), time.sleep(1), k.node.start()))
                l7.wait_for("records are on their way again", lambda: k.count("flows") > count // 2)
                done = probe.stop(120)
            _, sent = self.check(k, done, count)
            self.assertEqual((count, 0), (sent["sent"], sent["dropped"]))
            self.assertIn("messages are taken again", done.err)

    def test_one_of_three_killed(self):
        """Replicas 3, at least 2 in sync: the others go on."""
        with kafka.Cluster(nodes=3) as k:
            k.create_topic("flows", partitions=6, replication=3, configs={"min.insync.replicas": "2"})
            with Live(output(k, more="&queue=1000000000")) as probe:
                count = self.flood_and(k.nodes[k.leader("flows", 0)].kill)
                done = probe.stop(120)
            _, sent = self.check(k, done, count)
            self.assertEqual((count, 0), (sent["sent"], sent["dropped"]))

    def test_away_for_longer_than_the_queue(self):
        """What does not fit is counted, and only that is missing; no packet is lost for it."""
        with kafka.Cluster() as k:
            k.create_topic("flows", partitions=4)
            with Live(output(k, more="&queue=4000000")) as probe:
                count = self.flood_and(k.node.kill)
                k.node.start()
                l7.wait_for("records are on their way again", lambda: "messages are taken again" in probe.err)
                done = probe.stop(120)
            content, sent = self.check(k, done, count)
            self.assertGreater(sent["dropped"], count // 10)
            missing = count - len(content.times)
            self.assertEqual(missing, sent["dropped"])
            self.assertIn("records dropped so far", done.err)

    def flood_and(self, fault):
        """Sends for SECONDS, with the fault after a third. Returns how many datagrams."""
        third = RATE * SECONDS // 3
        flood.send(third, RATE)
        with flood.running(2 * third, RATE, first=third):
            fault()
        return 3 * third


if __name__ == "__main__":
    l7.main()
