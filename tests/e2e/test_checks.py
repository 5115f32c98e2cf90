#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The checks of etc/rules.d: each is taken alone and with all others, each rule fires where it should, and what they say of
nDPI's corpus is what was reviewed.

tests/checks has a rule test for each check, for `l7watch test`; two that need hundreds of hosts are made here.
checks_corpus.txt beside this file has a line for each alert: capture, rule, subject, name of the protocol. Each was looked at:
what is there is true, or there is a comment why it stays. `test_checks.py --list` prints what is found now.
"""
import glob
import json
import multiprocessing.pool
import os
import re
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import l7  # noqa: E402
import pcapio  # noqa: E402

FOLDER = os.path.join(l7.ROOT, "etc", "rules.d")
REVIEWED = os.path.join(os.path.dirname(os.path.abspath(__file__)), "checks_corpus.txt")
HOME = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "fe80::/10"]
TESTS = os.path.join(l7.ROOT, "tests", "checks")
# A check's number: its rules have ids from 100000 + 100 * number on.
NUMBERS = {"allow-list": 1, "messengers": 2, "file-sharing": 2, "odd-ports": 3, "rogue-servers": 4, "new-protocol": 5,
           "new-server-port": 6, "grave-risks": 7, "risk-score": 8, "host-score": 9, "beacons": 10, "remote-access": 11,
           "mining": 12, "anonymisers": 13, "cleartext-admin": 14, "uploads": 15, "tunnels": 16, "scans": 17, "fan-out": 18,
           "watch-lists": 19, "tls-hygiene": 20}


def rule_ids(name):
    with open(os.path.join(FOLDER, name + ".yaml"), encoding="utf-8") as f:
        return [int(n) for n in re.findall(r"^- (?:\{)?id: (\d+)", f.read(), re.M)]


def configuration(folder, checks, **more):
    """A configuration file with checks; returns its path."""
    path = os.path.join(folder, "l7watch.yaml")
    with open(path, "w", encoding="utf-8") as f:
        json.dump({"home_nets": HOME, "checks": checks, "checks_folder": FOLDER, **more}, f)  # JSON is YAML
    return path


def alerts_of(path):
    """Lines of the list for a capture: what all checks together say of it."""
    name = os.path.basename(path)
    with tempfile.TemporaryDirectory(prefix="l7checks-") as folder:
        records = os.path.join(folder, "records")
        done = l7.probe("-r", path, "-o", f"ipfix+file://{records}?early=1&template=full")
        if done.status != 0:
            raise AssertionError(f"{name}: {done.err}")
        # Of files alerts have packet time: nothing here depends on the clock.
        done = l7.run([l7.L7WATCH, "-c", configuration(folder, sorted(NUMBERS), listen=[f"ipfix+file://{records}"],
                                                       alert=["json:-"])])
        if done.status != 0:
            raise AssertionError(f"{name}: exit {done.status}: {done.err}")
    # A rule that was muted has no subject. It is none of those that were reviewed.
    return {f"{name} {a['rule']['id']} {a.get('subject', {}).get('ip', '-')} {a.get('app', '-')}"
            for a in l7.json_lines(done.out) if a["state"] == "engaged"}


def alerts_of_corpus():
    paths = sorted(p for p in glob.glob(l7.CORPUS + "/*") if p.endswith((".pcap", ".pcapng", ".cap")))
    paths = [p for p in paths if pcapio.read(p)[0] == pcapio.ETHERNET]
    if len(paths) < 200:
        raise AssertionError("the corpus is not there: ./dev corpus")
    with multiprocessing.pool.ThreadPool(4) as pool:
        return set().union(*pool.map(alerts_of, paths, chunksize=4))


def reviewed():
    with open(REVIEWED, encoding="utf-8") as f:
        lines = [line.split("#")[0].rstrip() for line in f]
    return [line for line in lines if line]


class Files(unittest.TestCase):
    def check(self, checks):
        with tempfile.TemporaryDirectory(prefix="l7checks-") as folder:
            done = l7.run([l7.L7WATCH, "-c", configuration(folder, checks), "--check"])
        self.assertEqual((0, ""), (done.status, done.err), checks)
        return done.out

    def test_alone(self):
        for name in NUMBERS:
            self.assertIn(f"rules: {len(rule_ids(name))}\n", self.check([name]))

    def test_together(self):
        self.assertIn(f"rules: {sum(len(rule_ids(name)) for name in NUMBERS)}\n", self.check(sorted(NUMBERS)))

    def test_three_lines(self):
        """What the sample configuration says is enough: home, an output, checks."""
        with open(os.path.join(l7.ROOT, "etc", "l7watch.yaml"), encoding="utf-8") as f:
            lines = re.findall(r"^# ((?:home_nets|alert|checks): .*)$", f.read(), re.M)
        self.assertEqual(3, len(lines))
        with tempfile.TemporaryDirectory(prefix="l7checks-") as folder:
            records, alerts, path = (os.path.join(folder, name) for name in ("records", "alerts.json", "l7watch.yaml"))
            with open(path, "w", encoding="utf-8") as f:
                f.write("\n".join(lines).replace("/var/log/l7watch/alerts.json", alerts) + "\n")
            self.assertEqual(0, l7.probe("-r", l7.corpus("telegram.pcap"), "-o", f"ipfix+file://{records}").status)
            done = l7.run([l7.L7WATCH, "-c", path, "--checks-folder", FOLDER, "-l", f"ipfix+file://{records}"])
            self.assertEqual(0, done.status, done.err)
            with open(alerts, encoding="utf-8") as f:
                told = l7.json_lines(f.read())
        self.assertEqual([(100201, "192.168.1.77", "Telegram")],
                         [(a["rule"]["id"], a["subject"]["ip"], a["app"]) for a in told if a["state"] == "engaged"])

    def test_heads_and_ids(self):
        names = sorted(os.path.basename(p)[:-5] for p in glob.glob(FOLDER + "/*.yaml"))
        self.assertEqual(sorted(NUMBERS), names)
        for name in names:
            with open(os.path.join(FOLDER, name + ".yaml"), encoding="utf-8") as f:
                text = f.read()
            head = text[:text.index("\nversion:")].splitlines()
            self.assertTrue(head[0].startswith(f"# {name}: "), head[0])
            self.assertTrue(5 <= len(head) <= 15 and all(line.startswith("#") for line in head), name)
            for word in ("# Set ", "# False ", "# Blind "):
                self.assertEqual(1, text.count(word), name)
            ids = rule_ids(name)
            self.assertEqual(text.count("id: "), len(ids), name)
            for rule in ids:
                self.assertEqual(1000 + NUMBERS[name], rule // 100)
        every = [rule for name in names for rule in rule_ids(name)]
        self.assertEqual(len(every), len(set(every)))

    def test_documented(self):
        with open(os.path.join(l7.ROOT, "docs", "checks.md"), encoding="utf-8") as f:
            text = f.read()
        for name in NUMBERS:
            self.assertIn(f"| `{name}` |", text)
            for rule in rule_ids(name):
                self.assertIn(str(rule), text)


def flow(src, dst, port, app="Unknown", **more):
    guess = {"confidence": "none", "master_confidence": "none"} if app == "Unknown" else {}
    return {"src_ip": src, "dst_ip": dst, "dst_port": port, "app": app, **guess, **more}


TRY = {"packets": 1, "answered": "false"}  # nobody there
REFUSED = {"packets": 1, "rev_packets": 1}
MADE = {
    "scans": {
        "flows": [flow("10.0.1.1", f"10.0.2.{i}", 445, **TRY) for i in range(1, 120)] +
                 [flow("10.0.1.2", f"10.0.2.{i}", 445, **TRY) for i in range(1, 80)] +  # too few
                 [flow("10.0.1.3", f"203.0.113.{i}", 443, "TLS") for i in range(1, 120)] +  # a browser
                 [flow("10.0.1.4", "10.0.0.10", i, **REFUSED) for i in range(1, 130)] +
                 [flow("10.0.1.5", f"10.0.2.{i}", 0, "ICMP", src_port=0, protocol=1) for i in range(1, 120)],
        "alerts": [{"rule": 101701, "host": "10.0.1.1"}, {"rule": 101702, "host": "10.0.1.4", "peer": "10.0.0.10"},
                   {"rule": 101703, "host": "10.0.1.5"}]},
    "fan-out": {
        "flows": [flow("10.0.1.1", f"203.0.113.{i}", 53, "DNS", protocol=17) for i in range(1, 30)] +
                 [flow("10.0.1.2", f"203.0.113.{i}", 53, "DNS", protocol=17, times=9) for i in range(1, 5)] +
                 [flow("10.0.1.3", f"203.0.113.{i}", 25, "SMTP") for i in range(1, 30)] +
                 [flow("10.0.1.4", f"198.51.{i % 5}.{i // 5}", 6881, "BitTorrent") for i in range(1100)],
        "alerts": [{"rule": 101801, "host": "10.0.1.1"}, {"rule": 101802, "host": "10.0.1.3"},
                   {"rule": 101803, "host": "10.0.1.4"}]}}


class Rules(unittest.TestCase):
    OFF = {100202, 101704}  # enabled: false

    def test_files(self):
        done = l7.run([l7.L7WATCH, "test", TESTS])
        self.assertEqual(0, done.status, done.out + done.err)

    def test_many_hosts(self):
        for name, test in MADE.items():
            with tempfile.TemporaryDirectory(prefix="l7checks-") as folder:
                path = os.path.join(folder, name + ".test.yaml")
                with open(path, "w", encoding="utf-8") as f:
                    json.dump({"checks": [name], "checks_folder": FOLDER, "home_nets": HOME, **test}, f)
                done = l7.run([l7.L7WATCH, "test", path])
            self.assertEqual(0, done.status, done.out + done.err)

    def test_each_rule_has_one(self):
        expected = {alert["rule"] for test in MADE.values() for alert in test["alerts"]}
        for path in glob.glob(TESTS + "/*.test.yaml"):
            with open(path, encoding="utf-8") as f:
                expected.update(int(n) for n in re.findall(r"^- \{rule: (\d+)", f.read(), re.M))
        every = {rule for name in NUMBERS for rule in rule_ids(name)}
        self.assertEqual(every - self.OFF, expected)


class Corpus(unittest.TestCase):
    # What the check is there for, and a capture that has it.
    RAISED = {"telegram.pcap": 100201, "bittorrent.pcap": 100211, "monero.pcap": 101201, "tor.pcap": 101301,
              "ftp.pcap": 100704, "http_auth.pcap": 100704, "pop3.pcap": 100704, "imap.pcap": 100704,
              "exe_download.pcap": 100706, "anydesk.pcap": 101101, "openvpn.pcap": 101302,
              "wireguard.pcap": 101305, "trickbot.pcap": 100309, "synscan.pcap": 101702, "dns-tunnel-iodine.pcap": 101602}
    # People who look at pages, and whose software does what it should.
    ORDINARY = ["443-chrome.pcap", "443-curl.pcap", "443-firefox.pcap", "443-safari.pcap", "chrome.pcap", "firefox.pcap",
                "safari.pcap", "google_ssl.pcap", "reddit.pcap", "pinterest.pcap", "tumblr.pcap", "facebook.pcap",
                "youtube_quic.pcap", "quic.pcap", "netflix.pcap", "dropbox.pcap"]

    @classmethod
    def setUpClass(cls):
        cls.found = alerts_of_corpus()

    def test_as_reviewed(self):
        listed = reviewed()
        self.assertEqual(sorted(set(listed)), listed, "the list is not sorted")
        gone, new = sorted(set(listed) - self.found), sorted(self.found - set(listed))
        self.assertEqual(([], []), (gone, new), "\n".join(["gone:", *gone, "new:", *new]))

    def test_what_must_be_raised(self):
        rules = {tuple(line.split()[:2]) for line in self.found}
        missing = [f"{name}: {rule}" for name, rule in self.RAISED.items() if (name, str(rule)) not in rules]
        self.assertEqual([], missing)

    def test_ssh_on_an_odd_port(self):
        """The corpus has none: a session with its port changed."""
        link, packets = pcapio.read(l7.corpus("ssh.pcap"))
        with tempfile.TemporaryDirectory(prefix="l7checks-") as folder:
            path = os.path.join(folder, "moved.pcap")
            pcapio.write(path, [(time, self.moved(frame), wire) for time, frame, wire in packets], link=link)
            self.assertIn("moved.pcap 100301 172.16.238.1 SSH", alerts_of(path))
        self.assertFalse([line for line in self.found if line.startswith("ssh.pcap 1003")])

    @staticmethod
    def moved(frame, before=(22).to_bytes(2, "big"), after=(2222).to_bytes(2, "big")):
        tcp = 14 + 4 * (frame[14] & 15)
        for at in (tcp, tcp + 2):
            if frame[at:at + 2] == before:
                frame = frame[:at] + after + frame[at + 2:]
        return frame

    def test_ordinary_browsing(self):
        loud = sorted(line for line in self.found if line.split()[0] in self.ORDINARY)
        self.assertEqual([], loud)
        for name in self.ORDINARY:
            self.assertTrue(os.path.exists(l7.corpus(name)))


if __name__ == "__main__":
    if sys.argv[1:] == ["--list"]:
        print("\n".join(sorted(alerts_of_corpus())))
    else:
        l7.main()
