#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Records from files: the alerts that would have fired, a summary per rule, allow lists learned from them, and explanations."""
import json
import os
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import l7  # noqa: E402

RULES = """
version: 1
lists: {servers: [192.0.2.10]}
rules:
- {id: 1001, name: Servers speak only DNS TLS SSH, type: allow, severity: critical,
   match: {host: "@servers"}, allow: {client: [DNS, TLS, TLS.Github, SSH], server: [SSH]}}
- {id: 1002, name: Nobody mines, type: deny, severity: high, match: {category: Mining}}
"""


class Replay(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory(prefix="l7replay-")
        folder = cls.temporary.name
        cls.rules, cls.json, cls.ipfix = (os.path.join(folder, n) for n in ("rules.yaml", "flows.json", "flows.ipfix"))
        with open(cls.rules, "w", encoding="utf-8") as f:
            f.write(RULES)
        done = l7.probe("-r", l7.STORY, "-o", f"json+file://{cls.json}", "-o", f"ipfix+file://{cls.ipfix}")
        assert done.status == 0, done.err

    @classmethod
    def tearDownClass(cls):
        cls.temporary.cleanup()

    def path(self, name):
        return os.path.join(self.temporary.name, name)

    def replay(self, *more, **options):
        return l7.run((l7.L7WATCH, "-R", self.rules, *more), **options)

    def test_same_from_either_format(self):
        found = []
        for uri in (f"json+file://{self.json}", f"ipfix+file://{self.ipfix}"):
            done = self.replay("-l", uri, "--stats")
            self.assertEqual(0, done.status, done.err)
            engaged = [a for a in done.flows if a["state"] == "engaged"]
            found.append([(a["alert_uid"], a["app"], a["subject"], a["reason"]) for a in engaged])
            self.assertEqual(15, done.stats["records"])
        self.assertEqual(found[0], found[1])
        self.assertEqual(["TLS.Telegram"], [a[1] for a in found[0]])

    def test_standard_input(self):
        with open(self.json, "rb") as f:
            done = self.replay("-l", "json:-", "--stats", stdin=f)
        self.assertEqual((0, 15), (done.status, done.stats["records"]), done.err)

    def test_summary(self):
        done = self.replay("-l", f"json+file://{self.json}")
        self.assertRegex(done.err, r"15 records, \d{4}-\d\d-\d\d \d\d:\d\d:\d\d to .* UTC")
        self.assertIn("rule 1001, Servers speak only DNS TLS SSH: 4 flows, 1 host\n", done.err)
        self.assertRegex(done.err, r"  first .* UTC: 192\.0\.2\.10 speaks ")
        self.assertIn("1 of 2 rules found nothing: 1002\n", done.err)

    def test_time_is_the_records(self):
        """A year ago or not, alerts have the time of the flows."""
        done = self.replay("-l", f"json+file://{self.json}")
        with open(self.json, encoding="utf-8") as f:
            ends = [json.loads(line)["end_ms"] for line in f]
        for alert in done.flows:
            self.assertLessEqual(min(ends) - 2000, alert["flow"]["end_ms"])
        self.assertNotIn("skew", done.err)

    def test_learn(self):
        learned = self.path("learned.yaml")
        done = l7.run((l7.L7WATCH, "-l", f"json+file://{self.json}", "--learn", learned, "--home-nets", "192.0.2.0/24"))
        self.assertEqual(0, done.status, done.err)
        with open(learned, encoding="utf-8") as f:
            text = f.read()
        self.assertIn("match: {host: [192.0.2.10]}", text)
        self.assertRegex(text, r"    - TLS\.Telegram +# 3 flows, ")
        self.assertRegex(text, r"    - DNS +# 8 flows, ")
        check = l7.run((l7.L7WATCH, "-R", learned, "--check"))
        self.assertEqual(0, check.status, check.err)
        # What was learned allows what it was learned from, and nothing else.
        again = l7.run((l7.L7WATCH, "-R", learned, "-l", f"json+file://{self.json}"))
        self.assertEqual((0, ""), (again.status, again.out))
        with open(learned, "w", encoding="utf-8") as f:
            f.write("\n".join(line for line in text.splitlines() if "Telegram" not in line) + "\n")
        again = l7.run((l7.L7WATCH, "-R", learned, "-l", f"json+file://{self.json}"))
        self.assertEqual(["TLS.Telegram"], [a["app"] for a in again.flows if a["state"] == "engaged"])

    def test_explain(self):
        done = l7.run((l7.L7WATCH, "explain", "-R", self.rules, self.json))
        self.assertEqual(0, done.status, done.err)
        self.assertIn("149.154.167.220:443", done.out)
        self.assertIn(f"{self.rules}:5", done.out)
        self.assertIn('rule 1002 "Nobody mines": no', done.out)
        self.assertEqual(15, done.out.count(" > "))
        done = l7.run((l7.L7WATCH, "explain", "-R", self.rules, "--rule", "9", self.json))
        self.assertEqual((1, True), (done.status, "there is no rule 9" in done.err))

    def test_text_has_the_time_of_flows(self):
        """Of lines for people the present would say nothing; in JSON both are there."""
        done = self.replay("-l", f"json+file://{self.json}", "-a", "text:-", "-a", f"json+file://{self.path('both.json')}")
        with open(self.path("both.json"), encoding="utf-8") as f:
            alerts = [json.loads(line) for line in f]
        self.assertEqual([a["last_seen"] for a in alerts], [line.split(" ")[0] for line in done.out.splitlines()])
        for a in alerts:
            self.assertLess(a["last_seen"], a["@timestamp"])

    @unittest.skipUnless(l7.can_build(), "needs namespaces")
    def test_service_is_spared(self):
        """The configuration that is read unasked is the service's: a backtest leaves its state file and socket alone."""
        state, config = self.path("service.db"), self.path("l7watch.yaml")
        with open(config, "w", encoding="utf-8") as f:
            f.write(f"state: {state}\ncontrol: {self.path('service')}\n")
        script = 'mount -t tmpfs none /etc && mkdir /etc/l7watch && cp "$1" /etc/l7watch/l7watch.yaml && shift && exec "$@"'
        argv = (l7.L7WATCH, "-R", self.rules, "-l", f"json+file://{self.json}")
        done = l7.run(("unshare", "-m", "sh", "-c", script, "sh", config, *argv))
        self.assertEqual((0, False), (done.status, os.path.exists(state)), done.err)
        self.assertEqual(1, len([a for a in done.flows if a["state"] == "engaged"]))
        done = l7.run(("unshare", "-m", "sh", "-c", script, "sh", config, *argv, "-c", config))
        self.assertEqual((0, True), (done.status, os.path.exists(state)), done.err)

    def test_names_that_would_be_more(self):
        """A name that means something else in a rule is not learned: the file would allow what nobody spoke, or be none."""
        hostile, learned = self.path("hostile.json"), self.path("hostile.yaml")
        names = ("!TLS", "@servers", "TLS.*", "*", "category:Chat", ".", "a.b.c", "x\n- y", "\x1b[31m", "x" * 70, "TLS.Telegram")
        with open(hostile, "w", encoding="utf-8") as f:
            for name in names:
                f.write(json.dumps({"src_ip": "192.0.2.10", "dst_ip": "203.0.113.5", "protocol": 6, "app": name}) + "\n")
        done = l7.run((l7.L7WATCH, "-R", self.rules, "-l", f"json+file://{hostile}", "--learn", learned))
        self.assertEqual(0, done.status, done.err)
        with open(learned, encoding="utf-8") as f:
            items = [line.split("#")[0].strip() for line in f if line.startswith("    - ")]
        self.assertEqual({"- TLS.Telegram"}, set(items))
        self.assertEqual(0, l7.run((l7.L7WATCH, "-R", learned, "--check")).status)

    def test_explain_shows_no_escapes(self):
        flow = self.path("escapes.json")
        with open(flow, "w", encoding="utf-8") as f:
            json.dump({"src_ip": "192.0.2.10", "dst_ip": "203.0.113.5", "protocol": 6, "app": "TLS.\x1b[31m\n\x9b1m"}, f)
        done = l7.run((l7.L7WATCH, "explain", flow, "-R", self.rules))
        self.assertEqual(0, done.status, done.err)
        self.assertIn("TLS.?[31m??1m", done.out)
        self.assertNotRegex(done.out, "[\x1b\x9b]")

    def test_explain_refuses(self):
        """One sentence each, for a line without end too."""
        empty, zeros, capture = self.path("empty"), self.path("zeros"), l7.STORY
        for path, size in ((empty, 0), (zeros, 1 << 28)):
            with open(path, "wb") as f:
                f.truncate(size)
        for words, sentence in (((empty,), "there is no flow in it"), ((zeros,), "zeros:1: the line is too long"),
                                ((capture,), f"{capture}:1:1: "), ((self.temporary.name,), "Is a directory"),
                                ((self.path("none"),), "No such file"), ((self.json, "--rule", "x"), '--rule is "x"'),
                                ((self.json, "--rule=0"), '--rule is "0"')):
            done = l7.run((l7.L7WATCH, "explain", words[0], "-R", self.rules, *words[1:]))
            self.assertEqual((1, 1), (done.status, len(done.err.splitlines())), done.err)
            self.assertIn(sentence, done.err)

    def test_files_that_are_not_there_or_wrong(self):
        done = self.replay("-l", "json+file:///nonexistent")
        self.assertEqual(2, done.status)
        self.assertIn("/nonexistent: No such file", done.err)
        for name, octets in (("a", b"{\n"), ("b", b"\0" * 100), ("c", os.urandom(5000))):
            path = self.path(name)
            with open(path, "wb") as f:
                f.write(octets)
            for scheme in ("json+file", "ipfix+file"):
                done = self.replay("-l", f"{scheme}://{path}", "--stats")
                self.assertIn(done.status, (0, 2))
                self.assertEqual(0, done.stats["records"])
                self.assertNotEqual("", done.said)


if __name__ == "__main__":
    l7.main()
