#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
etc/analytics/flink/flows.sql in Flink itself, streaming. In place of topics there are folders: of the tables' options only those of
the format stay. All else is run as it is shipped.
"""
import datetime
import json
import os
import re
import shutil
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import engines  # noqa: E402
import l7  # noqa: E402

if not shutil.which("java"):
    engines.skip("Flink needs java")
engines.enter("flink")
from pyflink.table import EnvironmentSettings, TableEnvironment  # noqa: E402


def substituted(statement, folder):
    """A table in a topic as a table in a folder."""
    (options,) = re.findall(r"WITH \((.*)\)$", statement, re.S)
    (topic,) = re.findall(r"'topic' = '([^']*)'", options)
    kept = re.findall(r"'(?:format|json\.[a-z.-]+)' = '[^']*'", options)
    assert "'connector' = 'kafka'" in options and kept, statement
    return statement.replace(options, ", ".join(["'connector' = 'filesystem'", f"'path' = 'file://{folder}/{topic}'"] + kept))


def run(folder, messages):
    """Rows that the shipped statements write to their sink."""
    os.makedirs(folder + "/flows")
    with open(folder + "/flows/messages", "w", encoding="utf-8") as f:
        f.write(engines.lines(messages))
    env = TableEnvironment.create(EnvironmentSettings.in_streaming_mode())
    env.get_config().set("parallelism.default", "1")
    for statement in engines.statements(engines.text_of("flink", "flows.sql")):
        option = re.fullmatch(r"SET '([^']*)' = '([^']*)'", statement)
        if option:
            env.get_config().set(*option.groups())
            continue
        done = env.execute_sql(substituted(statement, folder) if "'connector'" in statement else statement)
        if statement.startswith("INSERT"):
            done.wait(240000)
    rows = []
    for name in sorted(os.listdir(folder + "/flow-sums")):
        with open(f"{folder}/flow-sums/{name}", encoding="utf-8") as f:
            rows += [json.loads(line) for line in f]
    return env, rows


class Flink(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="l7flink-")
        self.addCleanup(shutil.rmtree, self.folder, True)

    def found(self, rows):
        return {(r["host"], r["application"]): (r["records"], r["sent"], r["received"]) for r in rows}

    def test_sums(self):
        """Doubles and early records: the sums are those of the records once. Each value of the source is the record's."""
        first = engines.story()
        second = engines.shifted(first, 0, exporter="probe-2", src_ip="2001:db8::10", stream_id=str(2 ** 64 - 1))
        env, rows = run(self.folder, first + second + first)
        self.assertEqual(engines.sums(first + second, "src_ip", "application"), self.found(rows))
        self.assertEqual({60000}, {self.length(r) for r in rows})
        names = [name for name in env.from_path("flows").get_schema().get_field_names() if name != "seen"]
        with env.execute_sql(f"SELECT {', '.join(names)} FROM flows").collect() as results:
            read = [dict(zip(names, row)) for row in results]
        self.assertEqual(3 * len(first), len(read))
        for record, row in zip(first + second, read):
            self.assertEqual({key: record.get(key) for key in names}, row)

    def test_hostile(self):
        """Messages that are no records and wild clocks end nothing and make nobody late; they are in no window but 1970's."""
        first = engines.story()
        one = first[0]
        bad = ["no record", "{}", "", "[1]", '{"stream_id":1}', dict(one, src_ip="192.0.2.99", end_ms=2 ** 63 - 1),
               dict(one, src_ip="192.0.2.98", end_ms="soon")]
        _, rows = run(self.folder, bad + first)
        rows = [r for r in rows if not r["window_start"].startswith("1970-01-01 00:00")]
        self.assertEqual(engines.sums(first, "src_ip", "application"), self.found(rows))

    @staticmethod
    def length(row):
        start, end = (datetime.datetime.fromisoformat(row[key]) for key in ("window_start", "window_end"))
        return round((end - start).total_seconds() * 1000)


if __name__ == "__main__":
    l7.main()
