#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""`l7watch test`: the scenarios in tests/rules, one per type of rule, and what it says of tests that are wrong."""
import os
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import l7  # noqa: E402

FOLDER = os.path.join(l7.ROOT, "tests", "rules")
RULES = "version: 1\nrules:\n- {id: 1, name: no Telegram, type: deny, severity: high, match: {app: Telegram}}\n"
FLOW = "- {src_ip: 192.0.2.1, dst_ip: 192.0.2.2, app: TLS.Telegram}\n"


class Scenarios(unittest.TestCase):
    def test_all_pass(self):
        done = l7.run([l7.L7WATCH, "test", FOLDER])
        self.assertEqual((0, ""), (done.status, done.err), done.out)
        tests = [n for n in os.listdir(FOLDER) if n.endswith(".test.yaml")]
        self.assertEqual(f"{len(tests)} passed, 0 failed", done.out.splitlines()[-1])

    def test_each_can_fail(self):
        """Without what it expects, and with something else expected, each test fails."""
        for name in sorted(os.listdir(FOLDER)):
            if not name.endswith(".test.yaml"):
                continue
            with open(os.path.join(FOLDER, name), encoding="utf-8") as f:
                head = f.read().partition("\nalerts:")[0]
            for alerts in ("[]", "[{rule: 4711}]"):
                with tempfile.NamedTemporaryFile("w", suffix=".test.yaml") as f:
                    f.write(f"{head}\nrules: {FOLDER}/rules.yaml\nalerts: {alerts}\n")
                    f.flush()
                    done = l7.run([l7.L7WATCH, "test", f.name])
                self.assertEqual(1, done.status, name + done.out)
                self.assertEqual("0 passed, 1 failed", done.out.splitlines()[-1])


class Sentences(unittest.TestCase):
    def said(self, text):
        with tempfile.TemporaryDirectory() as folder:
            with open(folder + "/rules.yaml", "w", encoding="utf-8") as f:
                f.write(RULES)
            with open(folder + "/a.test.yaml", "w", encoding="utf-8") as f:
                f.write(text)
            done = l7.run([l7.L7WATCH, "test", folder])
            self.assertIn(done.status, (0, 1))
            return done.out.replace(folder + "/", "")

    def test_good(self):
        said = self.said(f"name: one\nflows:\n{FLOW}alerts:\n- {{rule: 1, host: 192.0.2.1}}\n")
        self.assertEqual("ok      a.test.yaml: one\n1 passed, 0 failed\n", said)

    def test_missing_and_surplus(self):
        said = self.said(f"flows:\n{FLOW}alerts:\n- {{rule: 1, host: 192.0.2.9}}\n")
        self.assertIn("a.test.yaml:4: this alert did not come\n", said)
        self.assertIn("a.test.yaml: not expected, rule 1: 192.0.2.1 speaks TLS.Telegram", said)

    def test_wrong_files(self):
        for text, words in (
                ("flows: []\n", "a.test.yaml:1:1: the key alerts is missing"),
                ("alerts: []\n", "a.test.yaml:1:1: the key flows is missing"),
                ("flws: []\nalerts: []\n", "a.test.yaml:1:1: unknown key flws in a test; did you mean flows?"),
                ("flows:\n- {src_ip: 1, dst_ip: 192.0.2.2}\nalerts: []\n", "a.test.yaml:2:3: "),
                ("flows:\n- {scr_ip: 192.0.2.1, src_ip: 192.0.2.1, dst_ip: 192.0.2.2}\nalerts: []\n",
                 "unknown key scr_ip in a flow; did you mean src_ip?"),
                ("flows:\n- {at: soon}\nalerts: []\n", "a.test.yaml:2:8: not a time such as 30s"),
                ("flows: {file: nothing.json}\nalerts: []\n", "a.test.yaml:1:15: nothing.json: No such file"),
                ("flows: [\n", "a.test.yaml:"),
                ("rules: other.yaml\nflows: []\nalerts: []\n", "other.yaml: No such file")):
            said = self.said(text)
            self.assertIn(words, said)
            self.assertIn("0 passed, 1 failed", said)

    def test_usage(self):
        self.assertEqual(1, l7.run([l7.L7WATCH, "test"]).status)
        self.assertEqual(0, l7.run([l7.L7WATCH, "test", "--help"]).status)
        done = l7.run([l7.L7WATCH, "test", "/nonexistent"])
        self.assertEqual(1, done.status)
        self.assertIn("/nonexistent: No such file", done.err)


if __name__ == "__main__":
    l7.main()
