#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Names are honest: what was seen is named, what was guessed is not dressed as seen."""
import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import l7  # noqa: E402

NO_TELEGRAM = """
version: 1
rules:
- {id: 1, name: no Telegram, type: deny, severity: high, match: {app: Telegram}}
- {id: 2, name: no chat, type: deny, severity: high, match: {category: Chat}}
"""


class Telegram(unittest.TestCase):
    def test_corpus_capture(self):
        flows = l7.probe_flows(l7.corpus("telegram.pcap")).flows
        found = [f for f in flows if "Telegram" in f["app"]]
        self.assertEqual(48, len(flows))
        self.assertEqual(12, len(found), [f["app"] for f in found])
        for flow in found:
            self.assertEqual(("Telegram", "Chat", "dpi"),
                             (flow["app"], flow["category"], flow["confidence"]), flow)


class Honest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = l7.made()

    def one(self, name):
        """The only flow of a made capture."""
        flows = l7.probe_flows(f"{self.folder}/{name}.pcap").flows
        self.assertEqual(1, len(flows), name)
        return flows[0]

    def test_random_octets_are_not_tls(self):
        flow = self.one("random-to-telegram-443")
        self.assertFalse(flow["app"].startswith("TLS"), flow["app"])
        self.assertNotIn(flow["confidence"], ("dpi", "cache"), flow["app"])
        self.assertNotEqual("TLS", flow.get("master"))

    def test_ef_elsewhere_is_not_telegram(self):
        flow = self.one("ef-elsewhere-443")
        if "Telegram" in flow["app"]:
            self.assertNotIn(flow["confidence"], ("dpi", "cache"), flow["app"])

    def test_ef_to_telegram_is_telegram(self):
        flow = self.one("ef-telegram-443")
        self.assertEqual(("Telegram", "dpi"), (flow["app"], flow["confidence"]))

    def test_client_hello_anywhere(self):
        for name in ("hello-telegram-elsewhere", "hello-telegram-elsewhere6"):
            with self.subTest(name):
                flow = self.one(name)
                self.assertEqual("TLS.Telegram", flow["app"])
                self.assertEqual(("dpi", "dpi"), (flow["confidence"], flow["master_confidence"]))
                self.assertEqual("api.telegram.org", flow["sni"])

    def test_dns_is_dns(self):
        self.assertEqual("DNS", self.one("dns-telegram")["master"])
        self.assertEqual("DNS.Google", self.one("dns-google")["app"])


class Alerts(unittest.TestCase):
    """A DNS query for Telegram's name is no chat; a session is."""

    @classmethod
    def setUpClass(cls):
        cls.folder = l7.made()

    def engaged_by(self, name):
        with l7.Watch(NO_TELEGRAM) as watch:
            done = l7.probe("-r", f"{self.folder}/{name}.pcap", "-o", watch.output, *l7.NO_TIMEOUTS)
            self.assertEqual(0, done.status, done.err)
            ended = watch.stop()
            self.assertEqual(0, ended.status, ended.err)
            return sorted(a["rule"]["id"] for a in watch.engaged())

    def test_query_raises_nothing(self):
        self.assertEqual([], self.engaged_by("dns-telegram"))

    def test_session_does(self):
        self.assertEqual([1, 2], self.engaged_by("hello-telegram-elsewhere"))

    def test_guess_does_not(self):
        self.assertEqual([], self.engaged_by("ef-elsewhere-443"))
        self.assertEqual([], self.engaged_by("random-to-telegram-443"))


if __name__ == "__main__":
    l7.main()
