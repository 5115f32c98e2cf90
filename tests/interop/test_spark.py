#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
The functions of etc/analytics/spark/flows.py in Spark itself, streaming. In place of the topic there is a folder whose files come
one after the other; their lines are the messages (column `value`, as Kafka's source has it).
"""
import importlib.util
import os
import shutil
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import engines  # noqa: E402
import l7  # noqa: E402

if not shutil.which("java"):
    engines.skip("Spark needs java")
engines.enter("pyspark")
from pyspark.sql import SparkSession  # noqa: E402


def job():
    path = os.path.join(engines.ANALYTICS, "spark", "flows.py")
    spec = importlib.util.spec_from_file_location("flows", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Spark(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="l7spark-")
        cls.spark = (SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false")
                     .config("spark.ui.showConsoleProgress", "false")
                     .config("spark.driver.host", "127.0.0.1").config("spark.driver.bindAddress", "127.0.0.1")
                     .config("spark.sql.shuffle.partitions", "2").config("spark.sql.session.timeZone", "UTC")
                     .config("spark.sql.warehouse.dir", cls.folder + "/warehouse").getOrCreate())
        cls.spark.sparkContext.setLogLevel("ERROR")
        cls.job = job()

    @classmethod
    def tearDownClass(cls):
        cls.spark.stop()
        shutil.rmtree(cls.folder, ignore_errors=True)

    def streamed(self, name, batches):
        """Rows of the sums over messages that come in batches, and what the query has counted."""
        folder = f"{self.folder}/{name}"
        os.makedirs(folder)
        for i, messages in enumerate(batches):
            with open(f"{folder}/{i}", "w", encoding="utf-8") as f:
                f.write(engines.lines(messages))
            os.utime(f"{folder}/{i}", (1000000000 + i, 1000000000 + i))  # read in this order
        raw = self.spark.readStream.format("text").option("maxFilesPerTrigger", 1).load(folder)
        query = (self.job.sums(self.job.records(raw)).writeStream.outputMode("append").format("memory").queryName(name)
                 .option("checkpointLocation", folder + ".checkpoint").trigger(availableNow=True).start())
        try:
            self.assertTrue(query.awaitTermination(240), "the query has not ended")
        finally:
            query.stop()
        counted = {"messages": 0, "broken": 0, "ahead": 0}
        for progress in query.recentProgress:
            for key, value in progress["observedMetrics"]["input"].asDict().items():
                counted[key] += value
        return self.spark.sql(f"SELECT * FROM {name}").collect(), counted

    @staticmethod
    def found(rows):
        return {(r.host, r.application): (r.records, r.sent, r.received) for r in rows}

    def test_sums(self):
        """Doubles, early records, late ones: the sums are those of the records once; several probes are told apart."""
        first = engines.story()
        second = engines.shifted(first, 0, exporter="probe-2", src_ip="2001:db8::10")
        third = engines.shifted(first[:4], 0, exporter="probe-3")
        later = engines.shifted(first[:1], 10 * 60000, stream_id="7")
        late = engines.shifted(first, 0, stream_id="8")
        # Spark takes what is late by the watermark of the batch before the last.
        rows, counted = self.streamed("sums", [first + second, first + third, later, later, late])
        self.assertEqual(engines.sums(first + second + third, "src_ip", "application"), self.found(rows))
        self.assertEqual({"messages": 3 * len(first) + len(third) + 2 + len(late), "broken": 0, "ahead": 0}, counted)
        for row in rows:
            self.assertLessEqual(row.minute.start.timestamp() * 1000, first[0]["end_ms"])
            self.assertGreater(row.minute.end.timestamp() * 1000, first[-1]["end_ms"])

    def test_hostile(self):
        """Messages that are no records and wild clocks are counted, and neither end the query nor make others late."""
        first = engines.story()
        one = first[0]
        wild = [dict(one, end_ms=2 ** 63 - 1), dict(one, end_ms=one["end_ms"] + 2 * 3600 * 1000)]
        broken = ["no record", "{}", "", "[1]", '{"stream_id":1}', engines.lines([dict(one, end_ms=2 ** 64)]).strip(),
                  engines.lines([dict(one, end_ms="soon")]).strip()]
        huge = [dict(one, src_ip="192.0.2.99", octets=2 ** 63 - 1, record_sequence=str(n)) for n in (1, 2)]
        later = engines.shifted(first[:1], 10 * 60000, stream_id="7")
        rows, counted = self.streamed("hostile", [wild + broken, huge, first, later])
        found = self.found(rows)
        self.assertEqual((2, None, 2 * one["rev_octets"]), found.pop(("192.0.2.99", one["application"])))
        self.assertEqual(engines.sums(first, "src_ip", "application"), found)
        self.assertEqual({"messages": len(wild + broken + huge + first + later), "broken": len(broken), "ahead": len(wild)}, counted)

    def test_values(self):
        """All columns of the schema have the records' values."""
        first = engines.shifted(engines.story(), 0, stream_id=str(2 ** 64 - 1), packets=2 ** 62)
        raw = self.spark.createDataFrame([(line,) for line in engines.lines(first).splitlines()], "value STRING")
        rows = {r.record_sequence: r.asDict() for r in self.job.records(raw).collect()}
        self.assertEqual(len(first), len(rows))
        for record in first:
            row = rows[record["record_sequence"]]
            row.pop("seen")
            self.assertEqual({key: record.get(key) for key in row}, row)


if __name__ == "__main__":
    l7.main()
