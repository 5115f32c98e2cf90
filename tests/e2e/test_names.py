#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Names are honest: what was seen is named, what was guessed is not dressed as seen."""
import os
import sys
import tempfile
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


class Categories(unittest.TestCase):
    """What --categories says of a host is in its records, and the protocol stays."""

    def probe(self, text, path, *more):
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as f:
            f.write(text)
            f.flush()
            return l7.probe("-r", path, *l7.NO_TIMEOUTS, "-o", "json:-", "--categories", f.name, *more)

    def flows(self, text, path):
        done = self.probe(text, path)
        self.assertEqual((0, ""), (done.status, done.said))
        return done.flows

    def test_of_names(self):
        path = f"{l7.made()}/hello-telegram-elsewhere.pcap"
        for text, category in (("telegram.org\t102\n", "Banned_Site"), (".telegram.org malware\n", "Malware"),
                               ("elegram.org Malware\n.api.telegram.org Malware\n", "Chat")):
            flow, = self.flows(text, path)
            self.assertEqual(("TLS.Telegram", category), (flow["app"], flow["category"]))

    def test_of_addresses(self):
        for name, text in (("hello-telegram-elsewhere", "192.0.2.0/24 Malware\n"),
                           ("hello-telegram-elsewhere6", "2001:db8::/32 Malware\n")):
            flow, = self.flows(text, f"{l7.made()}/{name}.pcap")
            self.assertEqual(("TLS.Telegram", "Malware"), (flow["app"], flow["category"]), flow)

    def test_of_a_real_capture(self):
        """Nothing but the category of these hosts changes; in DNS the names that are asked for count, too."""
        path = l7.corpus("teams.pcap")
        before = l7.probe_flows(path).flows
        after = self.flows("teams.microsoft.com Productivity\n52.114.0.0/16 Cloud\n", path)
        self.assertEqual([{**f, "category": None, "stream_id": None} for f in before],
                         [{**f, "category": None, "stream_id": None} for f in after])
        named = counted = 0
        for old, new in zip(before, after):
            host = next((new[k] for k in ("sni", "http_host", "dns_query") if k in new), "")
            want = old.get("category")
            if ("." + host).endswith(".teams.microsoft.com"):
                want, named = "Productivity", named + 1
            elif "52.114" in (".".join(new["dst_ip"].split(".")[:2]), ".".join(new["src_ip"].split(".")[:2])):
                want, counted = "Cloud", counted + 1
            self.assertEqual(want, new.get("category"), new)
        self.assertGreater(named, 2)
        self.assertGreater(counted, 2)

    def test_wrong_lines(self):
        done = self.probe("# one\na.example Malwar\n", f"{l7.made()}/dns-google.pcap")
        self.assertEqual(1, done.status)
        self.assertRegex(done.err, r':2: there is no category "Malwar"; did you mean Malware\?\n$')
        self.assertEqual(1, self.probe("a.example 60\n", f"{l7.made()}/dns-google.pcap", "--check").status)

    def test_list(self):
        done = l7.probe("--list-categories")
        self.assertEqual(0, done.status, done.err)
        rows = [line.split(None, 1) for line in done.out.splitlines()]
        self.assertEqual(["ID", "CATEGORY"], rows[0])
        self.assertIn(["100", "Malware"], rows)
        text = "".join(f"host{number}.example {name}\nnumber{number}.example {number}\n" for number, name in rows[1:])
        self.assertEqual(0, self.probe(text, f"{l7.made()}/dns-google.pcap", "--check").status)


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
