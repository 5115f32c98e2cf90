#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
The columns of etc/analytics are keys of docs/record.schema.json, of types that hold their values. No engine is needed here; ./dev
interop runs the same statements in engines.
"""
import json
import os
import re
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import columns  # noqa: E402
import engines  # noqa: E402
import l7  # noqa: E402

TABLES = engines.text_of("clickhouse", "tables.sql")
FLINK = engines.text_of("flink", "flows.sql")
SPARK = engines.text_of("spark", "flows.py")
QUERIES = ("top-talkers.sql", "messengers.sql", "new-protocols.sql", "host.sql")
DERIVED = {"start": "start_ms", "end": "end_ms"}  # what the view makes of the queue's columns
VIRTUAL = ("_error", "_raw_message", "_topic", "_partition", "_offset")  # Kafka's engine has them by itself


def schema():
    with open(os.path.join(l7.ROOT, "docs", "record.schema.json"), encoding="utf-8") as f:
        return json.load(f)


class Analytics(unittest.TestCase):
    def setUp(self):
        self.schema = schema()

    def clickhouse(self, text):
        return columns.complaints(columns.table(text, "l7.flows_queue"), self.schema, columns.clickhouse_fits)

    def flink(self, text):
        return columns.complaints(columns.table(text, "flows"), self.schema, columns.signed_fits)

    def spark(self, text):
        return columns.complaints(columns.spark(text), self.schema, columns.signed_fits)

    def test_columns(self):
        """All are right, and none has got away from the parser."""
        for name, check, text in (("clickhouse", self.clickhouse, TABLES), ("flink", self.flink, FLINK), ("spark", self.spark, SPARK)):
            with self.subTest(name):
                self.assertEqual([], check(text))
        self.assertEqual(62, len(columns.table(TABLES, "l7.flows_queue")))
        self.assertEqual(25, len(columns.table(FLINK, "flows")))
        self.assertEqual(25, len(columns.spark(SPARK)))

    def test_refused(self):
        """Each kind of mistake is found, and the one that was made."""
        for check, text, old, new, said in (
                (self.clickhouse, TABLES, "    sni  ", "    sini  ", "sini is no key of records"),
                (self.clickhouse, TABLES, "src_port         UInt16", "src_port         UInt8", "src_port is a number to 65535, not UInt8"),
                (self.clickhouse, TABLES, "octets           UInt64", "octets           Int64", "octets is a number to .*, not Int64"),
                (self.clickhouse, TABLES, "octets           UInt64", "octets           String", "octets is a number to .*, not String"),
                (self.clickhouse, TABLES, "flow_id          UInt64", "flow_id          Int64", "flow_id is text, not Int64"),
                (self.clickhouse, TABLES, "sni              String", "sni              UInt64", "sni is text, not UInt64"),
                (self.clickhouse, TABLES, "Nullable(UInt8)", "UInt8", "biflow_direction may be absent"),
                (self.clickhouse, TABLES, "packets          UInt64", "packets  Nullable(UInt64)", "packets is always there"),
                (self.clickhouse, TABLES, "    dst_ip  ", "    src_ip  ", "src_ip is there twice"),
                (self.flink, FLINK, "    app  ", "    apps  ", "apps is no key of records"),
                (self.flink, FLINK, "stream_id       STRING", "stream_id       BIGINT", "stream_id is text, not BIGINT"),
                (self.flink, FLINK, "protocol        SMALLINT", "protocol        TINYINT", "protocol is a number to 255, not TINYINT"),
                (self.flink, FLINK, "octets          BIGINT", "octets          DOUBLE", "octets is a number to .*, not DOUBLE"),
                (self.spark, SPARK, "    category ", "    kategory ", "kategory is no key of records"),
                (self.spark, SPARK, "src_port        INT", "src_port        SMALLINT", "src_port is a number to 65535, not SMALLINT"),
                (self.spark, SPARK, "sampling        BIGINT", "sampling        INT", "sampling is a number to 4294967295, not INT"),
                (self.spark, SPARK, "risk_score      INT", "risk_score      STRING", "risk_score is a number to 65535, not STRING")):
            with self.subTest(said):
                self.assertIn(old, text)
                found = check(text.replace(old, new, 1))
                self.assertEqual(1, len(found), found)
                self.assertRegex(found[0], said)

    def kept(self, text):
        """What is wrong between the two tables and the views that are between them."""
        queue, flows = dict(columns.table(text, "l7.flows_queue")), dict(columns.table(text, "l7.flows"))
        found = []
        for name in DERIVED:
            if f"AS {name}\n" not in text and f"AS {name},\n" not in text:
                found.append(f"no view makes {name}")
        found += [f"{name} is kept as {kind}" for name, kind in flows.items() if name not in DERIVED and queue.get(name) != kind]
        found += [f"{name} is not kept" for name in queue if name not in flows and name not in DERIVED.values()]
        order = columns.split(columns.inside(text, text.index("\nORDER BY (")))
        found += [f"{name} of the order is no column" for name in order if name not in flows]
        found += [f"{name} must be in the order, or other records are taken for doubles"
                  for name in ("exporter", "stream_id", "record_sequence") if name not in order]
        return found

    def test_kept(self):
        """What is read is kept, as the same type; doubles are known by the order."""
        self.assertEqual([], self.kept(TABLES))
        end = TABLES.rindex("    app              LowCardinality(String),\n")
        for text, said in ((TABLES[:end] + TABLES[end:].replace("    app              LowCardinality(String),\n", "", 1), "app is not kept"),
                           (TABLES[:end] + TABLES[end:].replace("UInt64", "UInt32", 1), "risks is kept as UInt32"),
                           (TABLES.replace("start, exporter, stream_id", "start, stream_id"), "exporter must be in the order")):
            with self.subTest(said):
                self.assertEqual([said], [line[:len(said)] for line in self.kept(text)])

    def test_names(self):
        """Queries name columns that there are."""
        flows = [name for name, _ in columns.table(TABLES, "l7.flows")]
        queue = [name for name, _ in columns.table(TABLES, "l7.flows_queue")]
        source = [name for name, _ in columns.table(FLINK, "flows")]
        inner = ["seen", "window_start", "window_end", "once", "flows", "sums"]
        cases = [(engines.text_of("clickhouse", name), flows) for name in QUERIES]
        cases += [(s, queue + list(VIRTUAL)) for s in engines.statements(TABLES) if s.startswith("CREATE MATERIALIZED VIEW")]
        cases += [(s, source + inner) for s in engines.statements(FLINK) if re.match("CREATE TEMPORARY VIEW|INSERT", s)]
        self.assertEqual(len(QUERIES) + 4, len(cases))
        for text, known in cases:
            with self.subTest(text[:60]):
                self.assertEqual([], columns.unknown(text, known))
                name = next(n for n in known if re.search(rf"[ (]{n}\b(?! \()", engines.uncommented(text)))
                broken = re.sub(rf"([ (]){name}\b", r"\1no_column", engines.uncommented(text))
                self.assertIn("no_column", columns.unknown(broken, known))

    def test_messengers(self):
        """The query has the messengers of the rules."""
        with open(os.path.join(l7.ROOT, "etc", "rules.d", "messengers.yaml"), encoding="utf-8") as f:
            rules = re.search(r"messengers: \[([^]]*)\]", f.read()).group(1)
        query = re.search(r"application IN \(([^)]*)\)", engines.text_of("clickhouse", "messengers.sql")).group(1)
        self.assertEqual(sorted(columns.split(rules)), sorted(name.strip("'") for name in columns.split(query)))


if __name__ == "__main__":
    l7.main()
