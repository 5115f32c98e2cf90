#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What docs/rules.md shows does what it says: examples are taken, the rule test passes, commands run."""
import json
import os
import re
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import l7  # noqa: E402


def blocks(kind, document="rules.md"):
    with open(os.path.join(l7.ROOT, "docs", document), encoding="utf-8") as f:
        found = re.findall(r"^```(\w*)\n(.*?)^```$", f.read(), re.M | re.S)
    return [text for word, text in found if word == kind]


class Documents(unittest.TestCase):
    def setUp(self):
        self.temporary = tempfile.TemporaryDirectory(prefix="l7docs-")
        self.addCleanup(self.temporary.cleanup)

    def path(self, name, text=None):
        path = os.path.join(self.temporary.name, name)
        if text is not None:
            with open(path, "w", encoding="utf-8") as f:
                f.write(text)
        return path

    def watch(self, *arguments, status=0):
        done = l7.run((l7.L7WATCH,) + arguments, cwd=self.temporary.name)
        self.assertEqual(status, done.status, f"{arguments}: {done.out}{done.err}")
        return done

    def test_examples(self):
        texts = blocks("yaml") + blocks("yaml", "checks.md")
        self.assertGreater(len(texts), 5)
        for i, text in enumerate(texts):
            done = self.watch("-R", self.path(f"{i}.yaml", text), "--check")
            self.assertEqual("", done.err)

    def test_rule_test(self):
        """With the rules that the document begins with; it fails where an alert is missing."""
        self.path("dmz.yaml", blocks("yaml")[0])
        text, = blocks("test")
        self.watch("test", self.path("good.test.yaml", text))
        broken = re.sub(r"alerts:\n.*", "alerts: []\n", text, flags=re.S)
        done = self.watch("test", self.path("bad.test.yaml", broken), status=1)
        self.assertIn("not expected, rule 1001", done.out)

    def test_commands(self):
        """Backtest, learn and explain as they are written, with the story's capture."""
        text = "".join(blocks(""))
        rules = self.path("rules.yaml", blocks("yaml")[0].replace("dmz_servers: [", "dmz_servers: [0.0.0.0/0, "))
        lines = [line[2:].split(" #")[0].split() for line in text.splitlines() if line.startswith("$ ")]
        probe, = (line for line in lines if line[0] == "l7probe")
        records = self.path("yesterday.ipfix")
        done = l7.probe("-r", l7.STORY, "-o", probe[-1].replace("/tmp/yesterday.ipfix", records))
        self.assertEqual(0, done.status, done.err)
        run = [[word.replace("/tmp/yesterday.ipfix", records).replace("/tmp/alerts.json", self.path("alerts.json"))
                for word in line[1:]] for line in lines if "-R" in line]
        self.assertEqual(4, len(run), run)
        done = l7.probe("-r", l7.STORY, "-o", "json:-")
        self.path("flow.json", done.out)
        for arguments in run:
            done = self.watch(*arguments)
            if arguments[0] == "explain":
                self.assertIn(f"{os.path.basename(rules)}:", done.out)
        with open(self.path("alerts.json"), encoding="utf-8") as f:
            self.assertTrue(json.loads(f.readline())["rule"]["id"] in (1001, 1002))
        with open(self.path("learned.yaml"), encoding="utf-8") as f:
            self.assertIn("type: allow", f.read())


if __name__ == "__main__":
    l7.main()
