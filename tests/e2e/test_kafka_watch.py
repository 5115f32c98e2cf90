#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""l7watch and a real Kafka: groups, kills, brokers that go away, and alerts to a topic."""
import collections
import contextlib
import json
import os
import sqlite3
import struct
import sys
import tempfile
import threading
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import kafka  # noqa: E402
import kafka_admin  # noqa: E402
import kafka_secure  # noqa: E402
import l7  # noqa: E402

PARTITIONS = 4
DENY = """version: 1
rules:
- {id: 7, name: "No chats", type: deny, severity: high, match: {app: Telegram}, dedup: 1s, mute: {after: 0}}
"""
COUNT = """version: 1
rules:
- {id: 8, name: "Too many", type: threshold, severity: high, match: {app: HTTP}, group_by: client, count: flows, over: 100,
   window: 1h, mute: {after: 0}}
"""
QUICK = "rdkafka.reconnect.backoff.max.ms=500&rdkafka.session.timeout.ms=6000&rdkafka.heartbeat.interval.ms=500"


def record(number, host, app="TLS.Telegram", **more):
    """A flow record, a flow each, as l7probe writes it."""
    now = int(time.time() * 1000)
    found = {"flow_id": str(number + 1), "exporter": "probe", "start_ms": now - 50, "end_ms": now, "src_ip": host,
             "dst_ip": "198.51.100.7", "src_port": 1024 + number % 60000, "dst_port": 443, "protocol": 6, "packets": 5, "octets": 700,
             "rev_packets": 5, "rev_octets": 900, "end_reason": "end", "sampling": 1, "state": "final,last", "app": app,
             "master": app.split(".")[0], "application": app.split(".")[-1], "confidence": "dpi", "master_confidence": "dpi",
             "stream_id": "77", "record_sequence": str(number)}
    found.update(more)
    return json.dumps(found)


def address(n):
    return f"10.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}"


def send(k, topic, records):
    """[(host number, record)], a host's in one partition."""
    parts = collections.defaultdict(list)
    for host, one in records:
        parts[host % PARTITIONS].append(one)
    for partition, values in parts.items():
        k.produce(topic, values, partition=partition, headers={"format": "json", "exporter": "probe"})


class Reader(l7.Process):
    """l7watch that reads a topic; everything of it may be used again after a kill."""

    def __init__(self, k, folder, rules, topic="flows", start="earliest", state=True, more=(), options=QUICK):
        self.at, self.alerts_path, self.socket = folder, folder + "/alerts.json", folder + "/control.sock"
        with open(folder + "/rules.yaml", "w", encoding="utf-8") as f:
            f.write(rules)
        where = k if isinstance(k, str) else k.bootstrap
        keep = ("--state", folder + "/state.db") if state else ()
        super().__init__((l7.L7WATCH, "-l", f"kafka://{where}/{topic}?group=g&start={start}&{options}", "-R", folder + "/rules.yaml",
                          "-a", f"json+file://{self.alerts_path}", "--control", self.socket, "--stats", "--flush-interval", "1",
                          *keep, *more))

    def wait(self, what, test, seconds=90):
        def look():
            if self.child.poll() is not None:
                raise AssertionError(f"l7watch ended with {self.child.returncode}: {self.err}")
            return test()
        try:
            return l7.wait_for(what, look, seconds)
        except AssertionError as e:
            raise AssertionError(f"{e}; l7watch said: {self.err}") from None

    def reads(self, partitions=PARTITIONS):
        self.wait("partitions are read", lambda: f"reads {partitions} of " in self.err)
        return self

    def status(self):
        done = l7.run((l7.L7WATCH, "status", "--json", "--control", self.socket))
        return json.loads(done.out) if done.status == 0 else None

    def records(self):
        status = self.status()
        return status["records"] if status else 0

    def engaged(self):
        if not os.path.exists(self.alerts_path):
            return []
        text = self.text(self.alerts_path)
        return [a for a in l7.json_lines(text[:text.rfind("\n") + 1]) if a["state"] == "engaged" and a["rule"]["id"]]

    def kill(self):
        self.child.kill()
        self.child.wait()


def hosts(alerts):
    return {a["subject"]["ip"] for a in alerts}


def uids(alerts):
    """Host > set of uids."""
    found = collections.defaultdict(set)
    for a in alerts:
        found[a["subject"]["ip"]].add(a["alert_uid"])
    return found


@unittest.skipUnless(*kafka.available())
class Broker(unittest.TestCase):
    def setUp(self):
        self.stack = contextlib.ExitStack()
        self.addCleanup(self.stack.close)
        self.k = self.stack.enter_context(kafka.Cluster())
        self.k.create_topic("flows", partitions=PARTITIONS)

    def folder(self):
        return self.stack.enter_context(tempfile.TemporaryDirectory(prefix="l7kw-"))

    def reader(self, rules, folder=None, **options):
        return self.stack.enter_context(Reader(self.k, folder or self.folder(), rules, **options))


class Group(Broker):
    def test_one_of_two_is_killed(self):
        """Every violating host has its alert from one of the two; what both tell has the same uid."""
        everybody = [(n, record(n, address(n), "TLS.Telegram" if n % 5 == 0 else "TLS")) for n in range(4000)]
        bad = {address(n) for n in range(0, 4000, 5)}
        first, second = self.reader(DENY), self.reader(DENY, state=False)
        l7.wait_for("both read", lambda: sum("reads 2 of" in r.err for r in (first, second)) == 2)
        send(self.k, "flows", everybody[:1500])
        first.wait("the first has alerts", lambda: len(first.engaged()) > 100)
        late = threading.Thread(target=send, args=(self.k, "flows", everybody[1500:]))
        late.start()
        first.wait("and more", lambda: len(first.engaged()) > 250)
        first.kill()
        late.join()
        second.reads(4)
        second.wait("all hosts have an alert", lambda: hosts(first.engaged() + second.engaged()) == bad)
        second.wait("all is read", lambda: self.k.lag("g", "flows") == 0)
        told = uids(first.engaged() + second.engaged())
        self.assertEqual([h for h, found in told.items() if len(found) != 1], [])
        both = hosts(first.engaged()) & hosts(second.engaged())
        self.assertTrue(both, "nothing was read twice: the kill came too late to say anything")
        done = second.stop()
        self.assertEqual(done.status, 0)
        self.assertEqual(len(second.engaged()), len(hosts(second.engaged())))
        print(f"{len(bad)} hosts, {len(first.engaged())} + {len(second.engaged())} alerts, {len(both)} twice with the same uid")

    def test_one_ends(self):
        """Who ends by itself leaves nothing to be read twice."""
        first, second = self.reader(DENY), self.reader(DENY)
        l7.wait_for("both read", lambda: sum("reads 2 of" in r.err for r in (first, second)) == 2)
        send(self.k, "flows", [(n, record(n, address(n))) for n in range(400)])
        first.wait("alerts", lambda: len(first.engaged()) + len(second.engaged()) == 400)
        done = first.stop()
        self.assertEqual(done.status, 0)
        send(self.k, "flows", [(n, record(n, address(n))) for n in range(400, 800)])
        second.wait("more alerts", lambda: len(first.engaged()) + len(second.engaged()) == 800)
        second.stop()
        self.assertEqual(hosts(first.engaged()) & hosts(second.engaged()), set())
        self.assertEqual(len(hosts(first.engaged() + second.engaged())), 800)


class Counts(Broker):
    """Hosts with an even number have 100 flows, which is not too many; those with an odd one have 101."""

    def flows(self, rounds, people):
        for i in rounds:
            for n in people:
                if i < 100 or n % 2:
                    yield n, record(i * 1000 + n, address(n), "HTTP")

    def verdict(self, alerts, people):
        self.assertEqual(hosts(alerts), {address(n) for n in people if n % 2})
        self.assertEqual(len(alerts), len(people) // 2, "engaged twice")
        self.assertEqual({a["value"] for a in alerts}, {101})

    def test_killed_again_and_again(self):
        people, folder = range(40), self.folder()
        watch = self.reader(COUNT, folder)
        sent = 0
        for part in range(4):
            some = list(self.flows(range(part * 25, part * 25 + 25 + (part == 3)), people))
            sent += len(some)
            writer = threading.Thread(target=send, args=(self.k, "flows", some))
            writer.start()
            watch.wait("some are read", lambda: watch.records() > 100)
            watch.kill()
            writer.join()
            watch = self.reader(COUNT, folder)
        watch.wait("all is read", lambda: self.k.lag("g", "flows") == 0 and len(watch.engaged()) == 20)
        watch.stop()
        self.verdict(watch.engaged(), people)

    def test_saved_and_not_told(self):
        """Killed when the counts are saved and the broker does not know: the file does."""
        people, folder = range(40), self.folder()
        watch = self.reader(COUNT, folder)
        send(self.k, "flows", self.flows(range(60), people))
        watch.wait("they are read and told", lambda: self.k.lag("g", "flows") == 0)
        send(self.k, "flows", self.flows(range(60, 80), people))
        watch.wait("they are read", lambda: watch.records() == 80 * 40)
        self.k.node.pause()
        watch.wait("what was read is saved", lambda: sum(p["kept"] for p in watch.status()["kafka"]["partitions"]) == 80 * 40)
        watch.kill()
        self.k.node.resume()
        with contextlib.closing(sqlite3.connect(f"file:{folder}/state.db?mode=ro", uri=True)) as db:
            kept = dict(db.execute("SELECT partition, next FROM kafka"))
        self.assertEqual(sum(kept.values()), 80 * 40)
        watch = self.reader(COUNT, folder).reads()
        send(self.k, "flows", self.flows(range(80, 101), people))
        watch.wait("all is read", lambda: self.k.lag("g", "flows") == 0 and len(watch.engaged()) == 20)
        self.assertEqual(watch.stop().stats["records"], 20 * 40 + 20)
        self.verdict(watch.engaged(), people)

    def test_doubles(self):
        people = range(40)
        watch = self.reader(COUNT)
        some = list(self.flows(range(50), people))
        send(self.k, "flows", some)
        send(self.k, "flows", some)
        send(self.k, "flows", self.flows(range(40, 101), people))
        watch.wait("all is read", lambda: watch.records() == 50 * 40 * 2 + 60 * 40 + 20 and len(watch.engaged()) == 20)
        self.assertEqual(watch.stop().stats["doubles"], 50 * 40 + 10 * 40)
        self.verdict(watch.engaged(), people)

    def test_broker_killed(self):
        people = range(40)
        watch = self.reader(COUNT)
        send(self.k, "flows", self.flows(range(50), people))
        watch.wait("some are read", lambda: watch.records() > 500)
        self.k.node.kill()
        watch.wait("it says so", lambda: "no broker can be reached" in watch.err or "Connection refused" in watch.err)
        self.k.node.start()
        send(self.k, "flows", self.flows(range(50, 101), people))
        watch.wait("all is read", lambda: watch.records() >= 100 * 40 + 20 and len(watch.engaged()) == 20)
        stats = watch.stop().stats
        self.assertEqual(stats["records"] - stats["doubles"], 100 * 40 + 20)
        self.assertEqual(stats["kafka"]["gone"], 0)
        self.verdict(watch.engaged(), people)


class Begin(Broker):
    def add_partitions(self, topic, count):
        body = kafka_admin.array([kafka_admin.text(topic) + struct.pack(">ii", count, -1)]) + struct.pack(">ib", 20000, 0)
        self.k.anyone(lambda port: kafka_admin.ask(port, 37, 1, body))

    def test_latest_and_partitions_that_are_added(self):
        send(self.k, "flows", [(n, record(n, address(n))) for n in range(8)])
        watch = self.reader(DENY, start="latest", state=False, options=QUICK + "&rdkafka.topic.metadata.refresh.interval.ms=1000").reads()
        send(self.k, "flows", [(n, record(n, address(n))) for n in range(8, 16)])
        watch.wait("what came since is read", lambda: len(watch.engaged()) == 8)
        self.add_partitions("flows", 5)
        self.k.known("flows", 5)
        self.k.produce("flows", [record(100, address(100))], partition=4)
        watch.wait("the new one is read from its beginning", lambda: len(watch.engaged()) == 9)
        watch.stop()
        self.assertEqual(hosts(watch.engaged()), {address(n) for n in (*range(8, 16), 100)})

    def test_dropped_by_the_broker(self):
        folder = self.folder()
        watch = self.reader(DENY, folder).reads()
        send(self.k, "flows", [(0, record(n, address(n))) for n in range(10)])
        watch.wait("they are read", lambda: len(watch.engaged()) == 10)
        watch.stop()
        send(self.k, "flows", [(0, record(n, address(n))) for n in range(10, 30)])
        self.k.delete_records("flows", {0: 25})
        watch = self.reader(DENY, folder).reads()
        watch.wait("the rest is read", lambda: len(watch.engaged()) == 15)
        self.assertIn("15 messages of partition 0 were dropped there", watch.err)
        self.assertEqual(watch.stop().stats["kafka"]["gone"], 15)

    def test_no_such_topic(self):
        with kafka.Cluster(auto_create_topics_enable="false") as k, Reader(k, self.folder(), DENY, topic="others") as watch:
            watch.wait("it says so", lambda: "the brokers have no topic others (yet)" in watch.err)
            k.create_topic("others", partitions=PARTITIONS)
            watch.reads()
            send(k, "others", [(n, record(n, address(n))) for n in range(8)])
            watch.wait("they are read", lambda: len(watch.engaged()) == 8)
            self.assertEqual(watch.stop().status, 0)


class Rights(unittest.TestCase):
    def test_password_and_rights(self):
        available, why = kafka.available()
        if not available:
            self.skipTest(why)
        with tempfile.TemporaryDirectory() as folder, \
                kafka_secure.SecureCluster(users={"watch": "geheim-1"}, rights=True) as k:
            secret = folder + "/secret"
            login = "&".join((QUICK, "rdkafka.security.protocol=SASL_SSL", "rdkafka.sasl.mechanism=SCRAM-SHA-256",
                              f"rdkafka.ssl.ca.location={k.certificates.path('ca.pem')}", "rdkafka.sasl.username=watch",
                              f"rdkafka.sasl.password_file={secret}"))
            k.create_topic("flows", partitions=PARTITIONS)
            with open(secret, "w", encoding="ascii") as f:
                f.write("falsch-2\n")
            with Reader(k.at("SASL_SSL"), folder, DENY, state=False, options=login) as watch:
                watch.wait("it says so", lambda: "uthentication" in watch.err)
                watch.kill()
                self.assertNotIn("falsch-2", watch.err)
            with open(secret, "w", encoding="ascii") as f:
                f.write("geheim-1\n")
            with Reader(k.at("SASL_SSL"), folder, DENY, state=False, options=login) as watch:
                watch.wait("it says so", lambda: "ACL that allows Read" in watch.err)
                k.allow("watch", "read", name="flows")
                k.allow("watch", "read", kind="group", name="g")
                watch.reads()
                send(k, "flows", [(n, record(n, address(n))) for n in range(8)])
                watch.wait("they are read", lambda: len(watch.engaged()) == 8)
                with open(f"/proc/{watch.child.pid}/cmdline", "rb") as f:
                    self.assertNotIn(b"geheim-1", f.read())
                done = watch.stop()
                self.assertEqual(done.status, 0)
                self.assertNotIn("geheim-1", done.err + done.out)


class Alerts(Broker):
    def told(self, k):
        """uid > times; the key of each is its host."""
        found = collections.Counter()
        for m in k.messages("alerts"):
            alert = json.loads(m.value)
            self.assertEqual(m.key.decode(), alert["subject"]["ip"])
            self.assertEqual(m.headers["alert_uid"].decode(), alert["alert_uid"])
            self.assertEqual(m.headers["format"], b"json")
            if alert["state"] == "engaged":
                found[alert["alert_uid"]] += 1
        return found

    def test_broker_of_alerts_away(self):
        """The brokers that take alerts are others than those that records come from; a kill in between loses none."""
        folder = self.folder()
        with kafka.Cluster() as other:
            other.create_topic("alerts", partitions=3)
            other.node.kill()
            more = ("-a", f"kafka://{other.bootstrap}/alerts?rdkafka.reconnect.backoff.max.ms=500")
            watch = self.reader(DENY, folder, more=more).reads()
            send(self.k, "flows", [(n, record(n, address(n))) for n in range(200)])
            watch.wait("alerts", lambda: len(watch.engaged()) == 200)
            watch.wait("all is told as read", lambda: self.k.lag("g", "flows") == 0)
            watch.kill()
            watch = self.reader(DENY, folder, more=more).reads()
            send(self.k, "flows", [(n, record(n, address(n))) for n in range(200, 400)])
            watch.wait("more alerts", lambda: len(watch.engaged()) == 400)
            other.node.start()
            watch.wait("all have come", lambda: other.count("alerts") >= 400)
            done = watch.stop()
            self.assertEqual(done.status, 0)
            self.assertEqual(done.stats["alerts_lost"], 0)
            found = self.told(other)
            self.assertEqual(set(found), {a["alert_uid"] for a in watch.engaged()})
            self.assertEqual(len(found), 400)

    def test_away_until_the_end(self):
        """Nobody acknowledges: without a file alerts are lost, counted, and the records are read again."""
        with kafka.Cluster() as other:
            other.create_topic("alerts")
            other.node.kill()
            watch = self.reader(DENY, state=False, more=("-a", f"kafka://{other.bootstrap}/alerts")).reads()
            send(self.k, "flows", [(n, record(n, address(n))) for n in range(20)])
            watch.wait("alerts", lambda: len(watch.engaged()) == 20)
            done = watch.stop()
            self.assertEqual(done.status, 2)
            self.assertEqual(done.stats["alerts_lost"], 20)
            self.assertEqual(sum(max(n, 0) for n in self.k.group_offsets("g", "flows").values()), 0)


class FromProbe(Broker):
    def test_both_formats(self):
        """What l7probe puts into a topic gives the alerts that the same capture gives by a file."""
        rules = "version: 1\nrules:\n- {id: 7, name: N, type: deny, severity: high, match: {app: TLS.*}, mute: {after: 0}}\n"
        for form in ("json", "ipfix"):
            topic = "from-" + form
            self.k.create_topic(topic, partitions=PARTITIONS)
            watch = self.reader(rules, topic=topic, state=False).reads()
            done = l7.probe("-r", l7.STORY, "-o", f"kafka://{self.k.bootstrap}/{topic}?format={form}", "-o", "json:-", "--stats")
            self.assertEqual(done.status, 0)
            watch.wait("all is read", lambda: watch.records() == len(done.flows))
            wanted = {(f["src_ip"], f["dst_ip"], f["app"]) for f in done.flows if f["app"].split(".")[0] == "TLS"}
            watch.wait("alerts", lambda: watch.engaged())
            stats = watch.stop().stats
            self.assertEqual(stats["kafka"]["bad"], 0)
            self.assertEqual(stats["doubles"] + stats["lost"] + stats["refused"]["no_template"], 0)
            self.assertEqual({e["exporter"] for e in stats["exporters"]}, {done.flows[0]["exporter"]})
            found = {(a["flow"]["src_ip"], a["flow"]["dst_ip"], a["flow"]["app"]) for a in watch.engaged()}
            self.assertTrue(found and found <= wanted, (found, wanted))


if __name__ == "__main__":
    l7.main()
