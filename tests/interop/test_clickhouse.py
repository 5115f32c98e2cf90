#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
etc/analytics/clickhouse in chdb, which is ClickHouse in a library. The statements are run as they are shipped, but for one: chdb has
no threads that poll topics, so that the Kafka table is first tried as it is (its columns and settings are checked before the
threads are missed), then made with the engine Null and the columns that Kafka's engine adds by itself. What is inserted
there goes through the shipped views.
"""
import datetime
import os
import re
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import engines  # noqa: E402
import l7  # noqa: E402

engines.enter("chdb")
import json  # noqa: E402

from chdb import session  # noqa: E402

NO_POOL = "Shutdown was called"
# As with Kafka's, `*` does not have them.
VIRTUAL = """, _topic String MATERIALIZED 'flows', _partition UInt64 MATERIALIZED 0, _offset UInt64 MATERIALIZED 0,
    _error String MATERIALIZED '', _raw_message String MATERIALIZED ''"""


def substituted(sql):
    """The Kafka table as one that takes INSERT."""
    done, count = re.subn(r"\)\s*ENGINE = Kafka\b[^;]*", VIRTUAL + ") ENGINE = Null", sql)
    assert count == 1, sql
    return done


class ClickHouse(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.session = session.Session(":memory:")
        cls.session.query("SET insert_allow_materialized_columns = 1")
        for statement in engines.statements(engines.text_of("clickhouse", "tables.sql")):
            if "ENGINE = Kafka" in statement:
                cls.kafka, cls.kafka_said = statement, cls.try_kafka(statement)
                statement = substituted(statement)
            cls.session.query(statement)
        cls.feed()

    @classmethod
    def tearDownClass(cls):
        cls.session.close()

    @classmethod
    def try_kafka(cls, statement):
        said = ""
        try:
            cls.session.query(statement)
        except RuntimeError as e:
            said = str(e)
        cls.session.query("DROP TABLE IF EXISTS l7.flows_queue")
        return said

    @classmethod
    def feed(cls):
        """Two probes' records of today, of one of them twice; and what the first host spoke three days before."""
        first = engines.story()
        second = engines.shifted(first, 0, exporter="probe-2", src_ip="2001:db8::10", stream_id=str(2 ** 64 - 1))
        before = engines.shifted([r for r in first if r["master"] in ("DNS", "SSH")], -3 * engines.DAY_MS, stream_id="7")
        cls.records = first + second + before
        cls.insert(cls.records)
        cls.insert(first)
        cls.doubles = len(first)
        start = first[0]["start_ms"]
        cls.today = [r for r in first + second if r["start_ms"] // engines.DAY_MS == start // engines.DAY_MS]
        cls.day = datetime.datetime.fromtimestamp(start / 1000, datetime.timezone.utc).strftime("%Y-%m-%d")

    @classmethod
    def insert(cls, records):
        columns = str(cls.session.query("SELECT arrayStringConcat(groupArray(name), ', ') FROM system.columns "
                                        "WHERE database = 'l7' AND table = 'flows_queue'", "TSV"))
        form = re.search(r"kafka_format = '(\w+)'", cls.kafka).group(1)
        cls.session.query(f"INSERT INTO l7.flows_queue ({columns}) FORMAT {form}\n" + engines.lines(records))

    def rows(self, sql, **params):
        """Rows as objects, through a statement as it is shipped."""
        for name, value in params.items():
            self.session.query(f"SET param_{name} = '{value}'")
        said = str(self.session.query(sql, "JSONEachRow"))
        return [json.loads(line) for line in said.splitlines() if line.strip()]

    def shipped(self, name, **params):
        (statement,) = engines.statements(engines.text_of("clickhouse", name))
        return self.rows(statement, **params)

    def test_kafka_table(self):
        """The engine has nothing to say against the statement; a wrong name or type it does refuse."""
        self.assertTrue(self.kafka_said == "" or NO_POOL in self.kafka_said, self.kafka_said)
        good = self.kafka.replace("l7.flows_queue", "l7.other_queue")
        for old, new in (("kafka_handle_error_mode", "kafka_handle_errors"), ("UInt64", "Uint64"), ("kafka_format", "kafka_topic")):
            with self.subTest(new):
                with self.assertRaises(RuntimeError) as raised:
                    self.session.query(good.replace(old, new, 1))
                self.assertNotIn(NO_POOL, str(raised.exception))

    def test_file(self):
        """The file as a client takes it, comments and all, a second time: nothing is made twice, or lost."""
        text = substituted(engines.text_of("clickhouse", "tables.sql"))
        (before,) = self.rows("SELECT toUInt32(count()) AS n FROM l7.flows FINAL")
        self.session.query(text)
        self.session.query(text.replace("-- TTL", "TTL").replace("l7.", "l8.").replace("l7;", "l8;"))
        self.assertEqual([before], self.rows("SELECT toUInt32(count()) AS n FROM l7.flows FINAL"))
        (made,) = self.rows("SELECT create_table_query AS q FROM system.tables WHERE database = 'l8' AND name = 'flows'")
        self.assertIn("TTL toDateTime(start) + toIntervalDay(90)", made["q"])

    def test_kept(self):
        """Every value of every record is there, the largest numbers too."""
        kept = self.rows("SELECT * FROM l7.flows FINAL")
        self.assertEqual(len(engines.once(self.records)), len(kept))
        found = {(r["exporter"], str(r["stream_id"]), str(r["record_sequence"])): r for r in kept}
        for record in self.records:
            row = found[record["exporter"], record["stream_id"], record["record_sequence"]]
            for key, value in record.items():
                if key in row:
                    self.assertEqual(str(value), str(row[key]), key)
            for key, value in row.items():
                if key not in record and key not in ("start", "end", "risks"):
                    self.assertIn(value, (None, ""), key)
            when = datetime.datetime.fromisoformat(row["end"]).replace(tzinfo=datetime.timezone.utc)
            self.assertEqual(record["end_ms"], round(when.timestamp() * 1000))

    def test_doubles(self):
        """There are doubles in the table, or the other tests show nothing."""
        (row,) = self.rows("SELECT toUInt32(count()) AS n FROM l7.flows")
        if row["n"] == len(engines.once(self.records)):
            self.skipTest("merged already")
        self.assertEqual(len(engines.once(self.records)) + self.doubles, row["n"])

    def test_top_talkers(self):
        rows = self.shipped("top-talkers.sql", day=self.day)
        found = {(r["host"], r["application"]): (int(r["sent"]), int(r["received"])) for r in rows}
        wanted = {key: value[1:] for key, value in engines.sums(self.today, "src_ip", "application").items()}
        self.assertEqual(wanted, found)
        both = [int(r["both"]) for r in rows]
        self.assertEqual(sorted(both, reverse=True), both)
        for row in rows:
            flows = {r["flow_id"] for r in self.today if (r["src_ip"], r["application"]) == (row["host"], row["application"])}
            self.assertEqual(len(flows), int(row["flows"]))

    def test_messengers(self):
        rows = self.shipped("messengers.sql", day=self.day)
        over_tls = [r for r in self.today if r["app"] == "TLS.Telegram" and r["confidence"] == "dpi"]
        wanted = {key: value[1:] for key, value in engines.sums(over_tls, "src_ip", "app").items()}
        self.assertEqual(2, len(wanted))
        self.assertEqual(wanted, {(r["host"], r["app"]): (int(r["sent"]), int(r["received"])) for r in rows})
        self.assertEqual({("api.telegram.org",)}, {tuple(r["names"]) for r in rows})

    def test_new_protocols(self):
        rows = self.shipped("new-protocols.sql", day=self.day)
        sure = [r for r in self.records if r["confidence"] not in ("none", "port", "ip")]
        before = {(r["src_ip"], r["app"]) for r in sure if r not in self.today}
        wanted = {(r["src_ip"], r["app"]) for r in sure if r in self.today} - before
        self.assertIn(("192.0.2.10", "TLS.Telegram"), wanted)
        self.assertNotIn(("192.0.2.10", "SSH"), wanted)
        self.assertIn(("2001:db8::10", "SSH"), wanted)
        self.assertEqual(wanted, {(r["host"], r["app"]) for r in rows})
        self.assertEqual({("192.0.2.10", 1), ("2001:db8::10", 0)}, {(r["host"], int(r["known"])) for r in rows})

    def test_host(self):
        """As client and as server, each record once without FINAL."""
        for host, side in (("192.0.2.10", "client"), ("192.0.2.53", "server")):
            with self.subTest(host):
                rows = self.shipped("host.sql", day=self.day, host=host)
                mine = [r for r in self.today if r["src_ip" if side == "client" else "dst_ip"] == host]
                wanted = engines.sums(mine, "app")
                if side == "server":
                    wanted = {key: (n, received, sent) for key, (n, sent, received) in wanted.items()}
                self.assertEqual({side}, {r["side"] for r in rows})
                self.assertEqual(wanted, {(r["app"],): (int(r["records"]), int(r["sent"]), int(r["received"])) for r in rows})

    def test_refused(self):
        """A wild clock and a message that is no record are put aside, with their place; the reading goes on."""
        (good,) = self.rows("SELECT toUInt32(count()) AS n FROM l7.flows")
        record = engines.story()[0]
        far = 2 ** 64 - 1
        bad = [dict(record, start_ms=far, end_ms=far, _offset=1), dict(record, start_ms=1, end_ms=2, _offset=2),
               dict(record, start_ms=record["end_ms"] + 1, _offset=3),
               {"_error": "Cannot parse", "_raw_message": "no record", "_topic": "flows", "_partition": 3, "_offset": 4}]
        self.insert(bad)
        rows = self.rows("SELECT * FROM l7.refused ORDER BY offset")
        self.assertEqual([1, 2, 3, 4], [int(r["offset"]) for r in rows])
        for row in rows[:3]:
            self.assertRegex(row["why"], "^time: start_ms [0-9]+, end_ms [0-9]+ of probe-1$")
        self.assertEqual(("Cannot parse", "no record", "flows", 3),
                         (rows[3]["why"], rows[3]["message"], rows[3]["topic"], int(rows[3]["partition"])))
        self.assertEqual([good], self.rows("SELECT toUInt32(count()) AS n FROM l7.flows"))


if __name__ == "__main__":
    l7.main()
