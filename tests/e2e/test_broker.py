#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The Kafka of tests/lib/kafka.py by itself, with kcat: what fails in other tests with Kafka is then not this."""
import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import kafka  # noqa: E402
import kafka_secure  # noqa: E402
import l7  # noqa: E402

READY, WHY = kafka.available()


def values(messages):
    return sorted(m.value for m in messages)


@unittest.skipUnless(READY, WHY)
class OneNode(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.kafka = kafka.Cluster(auto_create_topics_enable="false")
        cls.kafka.__enter__()
        cls.addClassCleanup(cls.kafka.__exit__, None)

    def test_messages_come_back_as_they_were(self):
        octets = [bytes(range(256)), b"\n", b"two\nlines", "grün".encode()]
        headers = {"exporter": "a, b", "first": "7", "empty": ""}
        self.kafka.create_topic("whole", partitions=3)
        self.kafka.produce("whole", octets, key="a key", headers=headers, partition=2)
        found = self.kafka.consume("whole")
        self.assertEqual(octets, [m.value for m in found])
        self.assertEqual([(2, n, b"a key") for n in range(4)], [(m.partition, m.offset, m.key) for m in found])
        for m in found:
            self.assertEqual({name: value.encode() for name, value in headers.items()}, m.headers)
        self.kafka.produce("whole", ["x"], partition=0)
        plain = self.kafka.consume("whole", partition=0)
        self.assertEqual([(0, 0, None, b"x", {})], [m[:2] + m[3:] for m in plain])

    def test_a_killed_node_keeps_what_it_acknowledged(self):
        k = self.kafka
        k.create_topic("kept", partitions=2)
        k.produce("kept", [str(n) for n in range(1000)])
        self.assertEqual(1000, k.count("kept"))
        k.node.kill()
        self.assertRaises(OSError, k.metadata)
        k.node.start()
        k.produce("kept", ["after"])
        self.assertEqual(sorted([b"%d" % n for n in range(1000)] + [b"after"]), values(k.consume("kept")))

    def test_group(self):
        k = self.kafka
        k.create_topic("grouped", partitions=2)
        k.produce("grouped", ["a", "b", "c"], partition=1)
        self.assertEqual(("Dead", []), k.group("readers"))
        self.assertEqual(({}, 3), (k.group_offsets("readers", "grouped"), k.lag("readers", "grouped")))
        with l7.Process(("kcat", "-b", k.bootstrap, "-G", "readers", "-X", "auto.offset.reset=earliest", "-X",
                         "auto.commit.interval.ms=100", "-u", "grouped")) as reader:
            l7.wait_for("all is committed", lambda: k.lag("readers", "grouped") == 0)
            group = k.group("readers")
            self.assertEqual("Stable", group.state)
            self.assertEqual([[("grouped", 0), ("grouped", 1)]], [m.partitions for m in group.members])
            self.assertEqual("a\nb\nc\n", reader.stop().out)
        self.assertEqual({1: 3}, k.group_offsets("readers", "grouped"))
        l7.wait_for("the group is empty", lambda: k.group("readers") == ("Empty", []))

    def test_settings_of_a_topic(self):
        k = self.kafka
        k.create_topic("small", configs={"max.message.bytes": 500})
        with self.assertRaisesRegex(AssertionError, "Message size too large"):
            k.produce("small", ["x" * 1000])
        k.configure("small", max_message_bytes=None)
        k.produce("small", ["x" * 1000])
        k.produce("small", ["y", "z"])
        k.delete_records("small", {0: 2})
        self.assertEqual(({0: 2}, {0: 3}), (k.first_offsets("small"), k.end_offsets("small")))
        self.assertEqual([b"z"], values(k.consume("small")))

    def test_topic_that_is_not_there(self):
        k = self.kafka
        k.create_topic("gone")
        with self.assertRaisesRegex(kafka.KafkaError, "ALREADY_EXISTS"):
            k.create_topic("gone")
        k.delete_topic("gone")
        self.assertEqual({"gone": 3}, k.metadata(["gone"]).errors)
        with self.assertRaisesRegex(AssertionError, "kcat cannot consume gone"):
            k.consume("gone")

    def test_paused(self):
        k = self.kafka
        k.create_topic("late")
        k.node.pause()
        try:
            with self.assertRaisesRegex(AssertionError, "timed out"):
                k.produce("late", ["never"], more=("-X", "message.timeout.ms=500"))
        finally:
            k.node.resume()
        k.produce("late", ["now"])
        self.assertEqual(b"now", k.consume("late")[-1].value)


@unittest.skipUnless(READY, WHY)
class ThreeNodes(unittest.TestCase):
    def test_another_leads_when_the_leader_is_killed(self):
        with kafka.Cluster(3) as k:
            k.create_topic("t", 1, 3, {"min.insync.replicas": 2})
            k.produce("t", ["before"])
            first = k.leader("t")
            k.nodes[first].kill()
            k.produce("t", ["between"])
            self.assertNotIn(k.leader("t"), (first, -1))
            k.nodes[first].start()
            l7.wait_for("all are in step", lambda: len(k.partitions("t")[0].isr) == 3)
            # Handed over, not lost: the second is asked to go.
            second = k.leader("t")
            k.nodes[second].stop()
            k.produce("t", ["after"])
            self.assertNotIn(k.leader("t"), (second, -1))
            self.assertEqual([b"before", b"between", b"after"], [m.value for m in k.consume("t")])
            # One of three is not enough for min.insync.replicas.
            third = k.leader("t")
            k.nodes[third].kill()
            with self.assertRaises(AssertionError):
                k.produce("t", ["lost"], more=("-X", "message.timeout.ms=1000"))


@unittest.skipUnless(READY, WHY)
class Security(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.kafka = kafka_secure.SecureCluster(users={"probe": "pass word", "other": "x"}, rights=True)
        cls.kafka.__enter__()
        cls.addClassCleanup(cls.kafka.__exit__, None)
        cls.kafka.create_topic("flows")
        cls.input = os.path.join(cls.kafka.folder, "input")
        with open(cls.input, "w", encoding="ascii") as f:
            f.write("hello")

    def write(self, properties):
        """Whether one message was acknowledged, and what kcat said."""
        before = self.kafka.count("flows")
        done = self.kafka.kcat_with({**properties, "message.timeout.ms": "1500"}, "-P", "-t", "flows", self.input)
        return self.kafka.count("flows") == before + 1, done.err

    def client(self, *arguments):
        return self.kafka.client(*arguments)

    def test_passwords(self):
        self.kafka.allow("probe", "write", name="flows")
        for way in (("SASL_SSL", "SCRAM-SHA-256"), ("SASL_PLAINTEXT", "SCRAM-SHA-256"), ("SASL_SSL", "PLAIN")):
            with self.subTest(way):
                self.assertEqual((True, ""), self.write(self.client(way[0], "probe", "pass word", way[1])))
                done, said = self.write(self.client(way[0], "probe", "password", way[1]))
                self.assertFalse(done)
                self.assertIn("Authentication failed", said)
        self.kafka.set_password("probe", "new")
        self.kafka.set_password("fresh", "new")
        for user in ("probe", "fresh"):
            self.kafka.allow(user, "write", name="flows")
            self.assertEqual((True, ""), self.write(self.client("SASL_SSL", user, "new")))
        self.assertFalse(self.write(self.client("SASL_SSL", "probe", "pass word"))[0])
        self.kafka.remove_user("fresh")
        self.assertFalse(self.write(self.client("SASL_SSL", "fresh", "new"))[0])
        self.kafka.set_password("probe", "pass word")
        self.kafka.disallow("probe", "write", name="flows")

    def test_rights(self):
        k, other = self.kafka, self.client("SASL_PLAINTEXT", "other", "x")
        done, said = self.write(other)
        self.assertFalse(done)
        self.assertRegex(said, "(?i)authorization failed")
        k.allow("other", "write", name="flows")
        self.assertEqual((True, ""), self.write(other))
        k.create_topic("closed")
        self.assertRegex(k.kcat_with(other, "-P", "-t", "closed", self.input).err, "(?i)authorization failed")
        self.assertRegex(k.kcat_with(other, "-C", "-t", "flows", "-e").err, "(?i)authorization failed")
        k.allow("other", "read", name="flows")
        k.allow("other", "read", "group", "g")
        self.assertIn("hello", k.kcat_with({**other, "auto.offset.reset": "earliest"}, "-G", "g", "-e", "flows").out)
        k.disallow("other", "write", name="flows")
        self.assertFalse(self.write(other)[0])

    def test_certificates(self):
        k, mine = self.kafka, self.client("SSL")
        k.allow("CN=client", "write", name="flows")
        self.assertEqual((True, ""), self.write(mine))
        without = {name: value for name, value in mine.items() if name not in ("ssl.certificate.location", "ssl.key.location")}
        self.assertFalse(self.write(without)[0])
        done, said = self.write({**mine, "ssl.ca.location": k.certificates.path("other.pem")})
        self.assertFalse(done)
        self.assertIn("certificate verify failed", said)


if __name__ == "__main__":
    l7.main()
