#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
l7probe and a Kafka that refuses it: passwords, certificates, rights, topics. It is said why, nothing is lost, no secret is told, and it
goes on by itself once the cause is gone.
"""
import glob
import os
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import flood  # noqa: E402
import kafka  # noqa: E402
import kafka_secure  # noqa: E402
import l7  # noqa: E402

SECRET, WRONG = "tr0ub4dor-and-3", "no-such-horse"
COUNT = 300
USER, TOPIC = "branch", "flows"


def properties(found):
    """librdkafka's properties as options of a URI, the password from a file or the environment."""
    return "&".join(f"rdkafka.{name}={value}" for name, value in found.items() if name != "bootstrap.servers")


class Probe(l7.Process):
    def __init__(self, k, listener, more, topic=TOPIC, **options):
        client = k.client(listener)
        where = f"kafka://{client['bootstrap.servers']}/{topic}?{properties(client)}{more}&rdkafka.reconnect.backoff.max.ms=1000"
        super().__init__((l7.L7PROBE, "-i", "lo", "-f", flood.FILTER, "-o", where, "--idle-timeout", "1", "--stats", "-v"), **options)
        self.wait_until("l7probe captures", lambda: "capturing on" in self.err)


def told(secrets):
    """Of these, what stands in a command line of this machine."""
    found = set()
    for path in glob.glob("/proc/[0-9]*/cmdline"):
        try:
            with open(path, "rb") as f:
                line = f.read()
        except OSError:
            continue
        if b"l7probe" in line:
            found |= {s for s in secrets if s.encode() in line}
    return found


@unittest.skipUnless(*kafka.available())
@unittest.skipUnless(l7.can_capture(), "needs CAP_NET_RAW")
class Refused(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.kafka = kafka_secure.SecureCluster(users={USER: SECRET}, rights=True, auto_create_topics_enable="false").__enter__()
        cls.addClassCleanup(cls.kafka.__exit__, None, None, None)
        cls.folder = tempfile.TemporaryDirectory(prefix="l7test-")
        cls.addClassCleanup(cls.folder.cleanup)
        cls.kafka.create_topic(TOPIC)
        cls.kafka.allow(USER, "write", name=TOPIC)

    def file(self, name, text):
        path = os.path.join(self.folder.name, name)
        with open(path, "w", encoding="utf-8", opener=lambda p, flags: os.open(p, flags, 0o600)) as f:
            f.write(text)
        return path

    def login(self, password=SECRET):
        path = self.file("password", password + "\n")
        return f"&rdkafka.sasl.mechanism=SCRAM-SHA-256&rdkafka.sasl.username={USER}&rdkafka.sasl.password_file={path}"

    def run_until_said(self, probe, words):
        """COUNT records are made, and the probe says words."""
        flood.send(COUNT, 3000)
        l7.wait_for(f"l7probe says {words!r}", lambda: words in probe.err)

    def arrives(self, probe, topic=TOPIC, before=0):
        """All that was made is in the topic, once, and nothing was dropped."""
        l7.wait_for("all is in the topic", lambda: self.kafka.count(topic) >= before + COUNT)
        done = probe.stop()
        sent = done.stats["outputs"][0]
        self.assertEqual((0, COUNT, 0), (done.status, sent["sent"], sent["dropped"]), done.err)
        self.assertEqual(before + COUNT, self.kafka.count(topic))
        return done

    def test_right_password(self):
        before = self.kafka.count(TOPIC)
        with Probe(self.kafka, "SASL_SSL", self.login()) as probe:
            flood.send(COUNT, 3000)
            self.assertEqual(set(), told((SECRET,)))
            done = self.arrives(probe, before=before)
        self.assertNotIn(SECRET, done.err)
        self.assertNotIn("trying on", done.err)

    def test_password_of_the_environment(self):
        before = self.kafka.count(TOPIC)
        more = f"&rdkafka.sasl.mechanism=SCRAM-SHA-256&rdkafka.sasl.username={USER}&rdkafka.sasl.password_env=KAFKA_PASSWORD"
        with Probe(self.kafka, "SASL_PLAINTEXT", more, env={**os.environ, "KAFKA_PASSWORD": SECRET}) as probe:
            flood.send(COUNT, 3000)
            self.arrives(probe, before=before)

    def test_wrong_password(self):
        """It is said once, tried again with longer and longer pauses, and works when the broker has the password."""
        before = self.kafka.count(TOPIC)
        with Probe(self.kafka, "SASL_SSL", self.login(WRONG)) as probe:
            self.run_until_said(probe, "Authentication failed")
            began = time.monotonic()
            l7.wait_for("some time passes", lambda: time.monotonic() - began > 3)
            self.assertEqual(1, probe.err.count("Authentication failed"), probe.err)
            self.assertEqual(set(), told((WRONG, SECRET)))
            self.kafka.set_password(USER, WRONG)
            try:
                done = self.arrives(probe, before=before)
            finally:
                self.kafka.set_password(USER, SECRET)
        self.assertIn("messages are taken again", done.err)
        self.assertNotIn(WRONG, done.err)

    def test_secret_on_the_command_line(self):
        done = l7.probe("-r", "/dev/null", "-o", f"kafka://127.0.0.1/t?rdkafka.sasl.password={SECRET}")
        self.assertEqual(1, done.status)
        self.assertIn("no secret is taken here", done.err)
        self.assertNotIn(SECRET, done.err)

    def test_print_config_tells_no_secret(self):
        path = self.file("password", SECRET)
        done = l7.probe("-r", "/dev/null", "-o", f"kafka://127.0.0.1/t?rdkafka.sasl.password_file={path}", "--print-config")
        self.assertEqual(0, done.status)
        self.assertIn(path, done.out)
        self.assertNotIn(SECRET, done.out + done.err)

    def test_unknown_authority(self):
        before = self.kafka.count(TOPIC)
        other = self.kafka.certificates.path("other.pem")
        client = {**self.kafka.client("SASL_SSL"), "ssl.ca.location": other}
        where = f"kafka://{client['bootstrap.servers']}/{TOPIC}?{properties(client)}{self.login()}"
        done = l7.probe("-r", os.path.join(l7.ROOT, "tests/captures/story.pcap"), "-o", where, "--stats", "-c",
                        self.file("short.yaml", "drain_timeout: 2\n"))
        self.assertEqual(2, done.status)
        self.assertIn("certificate", done.err)
        self.assertIn("records could not be sent", done.err)
        sent = done.stats["outputs"][0]
        self.assertEqual((0, sent["records"]), (sent["sent"], sent["dropped"]))
        self.assertEqual(before, self.kafka.count(TOPIC))

    def test_client_certificate(self):
        before = self.kafka.count(TOPIC)
        self.kafka.allow("CN=client", "write", name=TOPIC)
        with Probe(self.kafka, "SSL", "") as probe:
            flood.send(COUNT, 3000)
            self.arrives(probe, before=before)

    def test_no_right_to_write(self):
        self.kafka.create_topic("guarded")
        with Probe(self.kafka, "SASL_SSL", self.login(), "guarded") as probe:
            self.run_until_said(probe, "this user may not write to topic guarded")
            self.kafka.allow(USER, "write", name="guarded")
            self.arrives(probe, "guarded")

    def test_right_taken_away(self):
        """While it writes, and given back: nothing is lost, nothing comes twice."""
        self.kafka.create_topic("taken")
        self.kafka.allow(USER, "write", name="taken")
        with Probe(self.kafka, "SASL_SSL", self.login(), "taken") as probe:
            flood.send(COUNT, 3000)
            l7.wait_for("the first have come", lambda: self.kafka.count("taken") == COUNT)
            self.kafka.disallow(USER, "write", name="taken")
            flood.send(COUNT, 3000, first=COUNT)
            l7.wait_for("it is said", lambda: "this user may not write to topic taken" in probe.err)
            self.kafka.allow(USER, "write", name="taken")
            l7.wait_for("all is in the topic", lambda: self.kafka.count("taken") >= 2 * COUNT)
            done = probe.stop()
        sent = done.stats["outputs"][0]
        self.assertEqual((0, 2 * COUNT, 0), (done.status, sent["sent"], sent["dropped"]), done.err)
        values = [m.value for m in self.kafka.messages("taken")]
        self.assertEqual((2 * COUNT, 2 * COUNT), (len(values), len(set(values))))

    def test_no_topic(self):
        self.kafka.allow(USER, "write", name="later")
        with Probe(self.kafka, "SASL_SSL", self.login(), "later") as probe:
            self.run_until_said(probe, "the brokers have no topic later")
            self.kafka.create_topic("later")
            self.arrives(probe, "later")


if __name__ == "__main__":
    l7.main()
