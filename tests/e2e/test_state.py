#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What l7watch keeps and what it answers: state file, restarts, silences, status, explanations of alerts, lists that change."""
import json
import os
import socket
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "fuzz"))
import l7  # noqa: E402
import seeds  # noqa: E402

RULES = """
version: 1
rules:
- {id: 1, name: no Telegram, type: deny, severity: high, match: {app: [Telegram, WhatsApp], confidence: port}}
"""
TEMPLATE = seeds.message(0, seeds.a_set(2, seeds.template(256, seeds.STANDARD)))


class Fixture(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory(prefix="l7state-")
        self.addCleanup(temporary.cleanup)
        self.folder = temporary.name
        self.state, self.control = self.path("state.db"), self.path("control")

    def path(self, name):
        return os.path.join(self.folder, name)

    def put(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as f:
            f.write(text)
        return self.path(name)

    def watch(self, rules=RULES, **options):
        """Alerts of all runs go into one file."""
        options.setdefault("more", ("--state", self.state, "--control", self.control))
        return l7.Watch(rules, alerts=self.path("alerts.json"), **options)

    def send(self, watch, *apps):
        records = b"".join(seeds.message(0, seeds.a_set(256, seeds.numbered(app))) for app in apps)
        with socket.create_connection(("127.0.0.1", watch.port)) as s:
            s.sendall(TEMPLATE + records)

    def ask(self, *words):
        return l7.run((l7.L7WATCH, *words, "--control", self.control))

    def told(self, watch):
        return [(a["state"], a["app"]) for a in watch.alerts() if a["rule"]["id"]]

    def status(self):
        done = self.ask("status", "--json")
        self.assertEqual(0, done.status, done.err)
        return json.loads(done.out)

    def refused(self, status, word, *argv):
        """It ends with that status and one sentence."""
        done = l7.run((l7.L7WATCH, *argv))
        self.assertEqual(status, done.status, done.err)
        self.assertEqual(1, len(done.err.splitlines()), done.err)
        self.assertIn(word, done.err)


class Kept(Fixture):
    def test_kill(self):
        """What is engaged is so after a kill, and is told once."""
        with self.watch() as watch:
            self.send(watch, b"Telegram")
            l7.wait_for("the alert", watch.engaged)
            watch.child.kill()
            watch.child.wait()
        with self.watch() as watch:
            self.assertEqual([("Telegram", True)], [(a["app"], a["told"]) for a in self.status()["alerts"] if a["rule"]])
            self.send(watch, b"Telegram", b"TLS.WhatsApp")
            l7.wait_for("the second", lambda: len(watch.engaged()) > 1)
            ended = watch.stop()
            self.assertEqual([("engaged", "Telegram"), ("engaged", "TLS.WhatsApp")], self.told(watch))
        self.assertEqual(0, ended.status, ended.err)
        self.assertFalse(os.path.exists(self.control))

    def test_two_daemons(self):
        with self.watch() as watch:
            more = ("-R", watch.rules, "-l", f"ipfix+tcp://127.0.0.1:{l7.free_port()}")
            self.refused(2, "another l7watch has it open", *more, "--state", self.state)
            self.refused(2, "another l7watch answers there", *more, "--control", self.control)

    def test_places_that_are_none(self):
        rules = self.put("rules.yaml", RULES)
        more = ("-R", rules, "-l", f"ipfix+tcp://127.0.0.1:{l7.free_port()}")
        self.refused(2, "/nonexistent/a: No such file", *more, "--state", "/nonexistent/a")
        self.refused(2, "Is a directory", *more, "--state", self.folder)
        self.refused(2, "/nonexistent/a: No such file", *more, "--control", "/nonexistent/a")
        self.refused(2, "there is something else of that name", *more, "--control", rules)
        self.refused(2, "/nonexistent/a.new: No such file", *more, "--learn", "/nonexistent/a")

    @unittest.skipUnless(l7.is_root(), "needs another user")
    def test_not_ours_to_write(self):
        """The reason is the system's, of the file, of its folder, and of one that is not there yet."""
        folder, rules = self.path("closed"), self.put("rules.yaml", RULES)
        os.chmod(self.folder, 0o755)
        os.mkdir(folder)
        for name, mode in (("readable", 0o444), ("open", 0o666)):
            os.chmod(self.put(f"closed/{name}", ""), mode)
        with l7.for_all(l7.L7WATCH) as program:
            for name, sentence in (("readable", "Permission denied"), ("new", "Permission denied"),
                                   ("open", "its folder cannot be written: Permission denied")):
                path = os.path.join(folder, name)
                done = l7.run((program, "-R", rules, "-l", f"ipfix+tcp://127.0.0.1:{l7.free_port()}", "--state", path), **l7.NOBODY)
                self.assertEqual((2, f"l7watch: error: state file {path}: {sentence}\n"), (done.status, done.err))

    def test_garbage(self):
        """It is kept aside, said, and all goes on."""
        garbage = "no database at all\n" * 1000
        self.put("state.db", garbage)
        with self.watch() as watch:
            self.assertIn(f"{self.state}.bad", watch.err)
            self.send(watch, b"Telegram")
            l7.wait_for("the alert", watch.engaged)
            self.assertEqual(0, watch.stop().status)
        with open(self.state + ".bad", encoding="utf-8") as f:
            self.assertEqual(garbage, f.read())


class Silences(Fixture):
    def test_until_it_ends(self):
        with self.watch() as watch:
            self.assertEqual(0, self.ask("silence", "add", "--rule", "1", "--comment", "a\n\x1b[31m\"b").status)
            self.send(watch, b"Telegram")
            l7.wait_for("it is engaged", lambda: [a for a in self.status()["alerts"] if a["rule"] == 1])
            self.assertIn("(silenced)", self.ask("status").out)
            self.assertEqual([], self.told(watch))
            listed = self.ask("silence", "list")
            self.assertEqual(2, len(listed.out.splitlines()))
            self.assertNotIn("\x1b", listed.out)
            self.assertEqual('a??[31m"b', json.loads(self.ask("silence", "list", "--json").out)[0]["comment"])
            self.assertEqual(0, self.ask("silence", "del", "1").status)
            l7.wait_for("it is told", lambda: self.told(watch) == [("engaged", "Telegram")])
            self.assertEqual("no silences\n", self.ask("silence", "list").out)

    def test_time_runs_out(self):
        with self.watch() as watch:
            self.assertEqual(0, self.ask("silence", "add", "--app", "Telegram", "--for", "2s").status)
            began = time.monotonic()
            self.send(watch, b"Telegram")
            l7.wait_for("it is told", lambda: self.told(watch) == [("engaged", "Telegram")])
            self.assertGreater(time.monotonic() - began, 0.5)

    def test_refusals(self):
        with self.watch():
            for words, sentence in ((("add",), "every alert"), (("add", "--rule", "x"), '"x"'), (("add", "--rul", "1"), "--rule?"),
                                    (("add", "--host", "192.0.2.10/24"), "beyond"), (("add", "--host", "0.0.0.0/0"), "every host"),
                                    (("add", "--rule", "1", "--for", "0s"), "30m"), (("add", "--rule"), "needs a value"),
                                    (("add", "--rule", "1", "--until", "2026-02-30"), "not a day"),
                                    (("add", "--rule", "1", "--until", "2020-01-31"), "is over"),
                                    (("del", "9"), "no silence 9"), (("del", "x"), '"x"'), (("ad",), "add?"), ((), "--help")):
                with self.subTest(words=words):
                    done = self.ask("silence", *words)
                    self.assertEqual((1, 1), (done.status, len(done.err.splitlines())), done.err)
                    self.assertIn(sentence, done.err)
            self.assertEqual("no silences\n", self.ask("silence", "list").out)

    def test_nobody_answers(self):
        for words in (("silence", "list"), ("status",)):
            done = self.ask(*words)
            self.assertEqual(2, done.status)
            self.assertIn(f"no l7watch answers at {self.control}", done.err)


class Answers(Fixture):
    def test_health_has_a_name(self):
        """An alert of l7watch itself says what it is and of which exporter, in status and when it is explained."""
        with self.watch() as watch:
            self.send(watch, b"Telegram")
            health = l7.wait_for("the alert", watch.health)[0]
            name, exporter, uid = health["rule"]["name"], health["exporter"], health["alert_uid"]
            self.assertIn(f"{name}  {exporter}\n", self.ask("status").out)
            self.assertIn((name, exporter), [(a.get("name"), a.get("exporter")) for a in self.status()["alerts"]])
            done = self.ask("explain", uid[:8], "-R", watch.rules)
            self.assertEqual((0, health["reason"] + "\n"), (done.status, done.out), done.err)

    def test_explain_alert(self):
        with self.watch() as watch:
            self.send(watch, b"TLS.Telegram")
            alert = l7.wait_for("the alert", watch.engaged)[0]
            done = self.ask("explain", alert["alert_uid"][:8], "-R", watch.rules)
            self.assertEqual(0, done.status, done.err)
            self.assertTrue(done.out.startswith(alert["reason"] + "\n"), done.out)
            self.assertIn(f"{watch.rules}:4", done.out)
            done = self.ask("explain", "0123456789", "-R", watch.rules)
            self.assertEqual((1, True), (done.status, "no engaged alert has the uid 0123456789" in done.err), done.err)

    def test_muted_rule(self):
        """Who looks sees which rule it is, and that the rest is not told."""
        rules = RULES.replace("app: [Telegram, WhatsApp]", "category: Chat")
        rules = rules.replace("severity:", "mute: {after: 3, within: 10m}, severity:")
        with self.watch(rules) as watch:
            self.send(watch, *(b"TLS.%s" % name for name in (b"A", b"B", b"C", b"D", b"E", b"F")))
            l7.wait_for("they are kept back", lambda: self.status()["kept_back"] == 3)
            self.assertEqual([1], self.status()["muted"])
            text = self.ask("status").out
            self.assertIn("!!  muted      rule 1, no Telegram: it raises too many alerts\n", text)
            self.assertIn("rule 1  is muted\n", text)
            self.assertEqual(3, text.count("(muted)"))
            self.assertEqual(4, len(watch.engaged()))


class Lists(Fixture):
    def rules(self):
        return f"""
version: 1
lists: {{bad: {{file: {self.path("bad.txt")}}}}}
rules:
- {{id: 1, name: listed, type: deny, severity: high, match: {{app: "@bad", confidence: port}}}}
"""

    def test_change(self):
        """A list's file is read again by itself; a rule file, which may be half-finished, is not."""
        self.put("bad.txt", "SSH\n")
        with self.watch(self.rules()) as watch:
            with open(watch.rules, "a", encoding="utf-8") as f:
                f.write("- {id: 2, na")
            self.two_looks(watch)
            self.assertNotIn("rules.yaml:", watch.err)
            with open(watch.rules, "w", encoding="utf-8") as f:
                f.write(self.rules())
            self.put("bad.txt", "SSH\nTelegram\n")
            l7.wait_for("it is taken", lambda: "a file of a list has changed" in watch.err)
            self.send(watch, b"Telegram")
            l7.wait_for("the alert", watch.engaged)

    def test_what_is_no_file(self):
        rules, bad = self.put("rules.yaml", self.rules()), self.path("bad.txt")
        for make, sentence in ((os.mkfifo, "is a pipe"), (os.mkdir, "Is a directory")):
            make(bad)
            self.refused(1, f"{rules}:3:21: {bad}: {sentence}", "-R", rules, "--check")
            os.rmdir(bad) if make is os.mkdir else os.unlink(bad)

    def two_looks(self, watch):
        """Time for two looks."""
        began = time.monotonic()
        l7.wait_for("10 s are over", lambda: watch.child.poll() is not None or time.monotonic() > began + 10.5)

    def test_vanished(self):
        """That it is gone is said once, however often it is looked for."""
        self.put("bad.txt", "SSH\n")
        with self.watch(self.rules()) as watch:
            os.unlink(self.path("bad.txt"))
            l7.wait_for("it is missed", lambda: "the rules in force stay" in watch.err)
            self.two_looks(watch)
            self.assertEqual(1, watch.err.count("the rules in force stay"))
            self.put("bad.txt", "Telegram\n")
            l7.wait_for("it is taken", lambda: "a file of a list has changed" in watch.err)


if __name__ == "__main__":
    l7.main()
