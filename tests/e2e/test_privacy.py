#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""anonymize= of an output: what it hides is in no octet of what that output writes, and others are told as before.

A client has one pseudonym under one key, in all records and runs, and another
under another key. The clients are found out here from records that hide nothing.
"""
import ipaddress
import os
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import l7  # noqa: E402

CAPTURES = ("1kxun.pcap", "teams.pcap", "http_ipv6.pcap", "exe_download.pcap", "dns_invert_query.pcapng", "ssh.pcap")
HOME = ("192.168.0.0/16", "10.0.0.0/8", "172.16.0.0/12", "fe80::/10", "2a00:d40::/32")
NAMES = ("sni", "http_host", "dns_query", "tls_subject")
OF_NAMES = NAMES + ("http_url",)
ALL = "clients:hash,sni:drop,url:drop,agent:drop"


def is_home(address):
    address = ipaddress.ip_address(address)
    return any(address in ipaddress.ip_network(n) for n in HOME)


class Privacy(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.keys = [self.key(name, octets) for name, octets in (("a", b"k" * 32), ("b", b"j" * 32))]

    def key(self, name, octets, mode=0o600):
        path = os.path.join(self.folder.name, name)
        with open(path, "wb") as f:
            f.write(octets)
        os.chmod(path, mode)
        return path

    def read(self, capture, rules, key, *more):
        """Records as JSON, and all octets of a JSON, an IPFIX and a text output, with these rules."""
        options = f"anonymize={rules}" + (f"&anonymize_key={key}" if key else "")
        ipfix = os.path.join(self.folder.name, "out.ipfix")
        arguments = ("-r", l7.corpus(capture), *l7.NO_TIMEOUTS, "--exporter", "x", *more)
        done = l7.probe(*arguments, "-o", "json:-?" + options, "-o", f"ipfix+file://{ipfix}?template=full&" + options)
        text = l7.probe(*arguments, "-o", "text:-?" + options, "--all")
        self.assertEqual((done.status, text.status), (0, 0), done.err + text.err)
        with open(ipfix, "rb") as f:
            return done.flows, done.out.encode() + f.read() + text.out.encode()

    def test_hidden(self):
        home = ("--home-nets", ",".join(HOME))
        hosts, names, agents = 0, 0, 0
        for capture in CAPTURES:
            plain = l7.probe_flows(l7.corpus(capture), *home).flows
            flows, octets = self.read(capture, ALL, self.keys[0], *home)
            self.assertEqual(len(plain), len(flows))
            for address in {f[e] for f in plain for e in ("src_ip", "dst_ip") if is_home(f[e])}:
                hosts += 1
                self.assertNotIn(ipaddress.ip_address(address).packed, octets, f"{capture}: {address}")
                self.assertNotIn(b'"' + address.encode() + b'"', octets)
                self.assertNotIn(b" " + address.encode() + b" ", octets.replace(b":", b" "))
            macs = {f[e + "_mac"] for f in plain for e in ("src", "dst") if is_home(f[e + "_ip"]) and e + "_mac" in f}
            beyond = {f[e + "_mac"] for f in plain for e in ("src", "dst") if not is_home(f[e + "_ip"]) and e + "_mac" in f}
            for mac in macs - beyond:  # the rest are routers
                self.assertNotIn(bytes.fromhex(mac.replace(":", "")), octets, f"{capture}: {mac}")
                self.assertNotIn(mac.encode(), octets)
            for key in OF_NAMES + ("http_user_agent",):
                self.assertFalse(any(key in f for f in flows))
                told = {f[e] for f in plain for e in ("src_ip", "dst_ip")}  # a server's address may stand for its name
                for text in {f[key] for f in plain if len(f.get(key, "")) >= 8} - told:
                    names += key != "http_user_agent"
                    agents += key == "http_user_agent"
                    self.assertNotIn(text.encode(), octets, f"{capture}: {key}")
            for before, after in zip(plain, flows):
                self.assertNotEqual(before["flow_id"], after["flow_id"])
                self.assertNotIn("community_id", after)
                for key in ("start_ms", "octets", "app", "src_port", "ja3c"):
                    self.assertEqual(before.get(key), after.get(key))
                for end in ("src_ip", "dst_ip"):
                    if not is_home(before[end]) and (is_home(before["src_ip"]) or is_home(before["dst_ip"])):
                        self.assertEqual(before[end], after[end])
        self.assertGreater(hosts, 30)
        self.assertGreater(names, 80)
        self.assertGreater(agents, 3)

    def pseudonyms(self, key, *more):
        """{address: pseudonym} and {name: hash} of a capture, and the pseudonyms of flows."""
        plain = l7.probe_flows(l7.corpus("1kxun.pcap")).flows
        flows, _ = self.read("1kxun.pcap", "clients:hash,sni:hash", key, *more)
        hosts, names, ids = {}, {}, {}
        for before, after in zip(plain, flows):
            if is_home(before["src_ip"]):
                hosts.setdefault(before["src_ip"], set()).add(after["src_ip"])
            ids.setdefault(before["flow_id"], set()).add(after["flow_id"])
            for name in NAMES:
                if name in after:
                    names.setdefault(before[name].lower(), set()).add(after[name])
                    self.assertRegex(after[name], "^[0-9a-f]{16}$")
        for each in (hosts, names, ids):
            self.assertTrue(all(len(v) == 1 for v in each.values()))
            self.assertEqual(len({v for s in each.values() for v in s}), len(each))
        for (host, (pseudonym,)) in hosts.items():
            self.assertIn(ipaddress.ip_address(pseudonym),
                          ipaddress.ip_network("2001:db8::/32" if ":" in host else "240.0.0.0/4"))
        return hosts, names, ids

    def test_same_key_same_pseudonym(self):
        home = ("--home-nets", ",".join(HOME))
        first = self.pseudonyms(self.keys[0], *home)
        self.assertGreater(len(first[0]), 10)
        self.assertGreater(len(first[1]), 15)
        self.assertEqual(first, self.pseudonyms(self.keys[0], *home))
        other = self.pseudonyms(self.keys[1], *home)
        for mine, theirs in zip(first, other):
            self.assertEqual(set(mine), set(theirs))
            self.assertTrue(all(mine[k] != theirs[k] for k in mine))

    def test_dropped_without_a_key(self):
        flows, _ = self.read("1kxun.pcap", "clients:drop", None, "--home-nets", ",".join(HOME))
        plain = l7.probe_flows(l7.corpus("1kxun.pcap")).flows
        for before, after in zip(plain, flows):
            for end in ("src_ip", "dst_ip"):
                if is_home(before[end]):
                    self.assertNotIn(end, after)
        self.assertEqual(len({f["flow_id"] for f in flows}), len({f["flow_id"] for f in plain}))

    def test_other_outputs_as_before(self):
        path = os.path.join(self.folder.name, "open.json")
        capture = l7.corpus("telegram.pcap")
        done = l7.probe("-r", capture, "-o", "json:-?anonymize=clients:drop,sni:drop", "-o", f"json+file://{path}")
        self.assertEqual(done.status, 0, done.err)
        with open(path, encoding="utf-8") as f:
            told = l7.json_lines(f.read())
        keep = ("flow_id", "src_ip", "dst_ip", "sni", "dns_query")
        self.assertEqual([[f.get(k) for k in keep] for f in told],
                         [[f.get(k) for k in keep] for f in l7.probe("-r", capture, "-o", "json:-").flows])

    def test_wrong(self):
        readable = self.key("readable", b"k" * 32, 0o640)
        short = self.key("short", b"k" * 15)
        good = self.keys[0]
        cases = (("anonymize=client:hash", "did you mean clients?"), ("anonymize=clients:hsh", "did you mean hash?"),
                 ("anonymize=clients", "needs :hash or :drop"), ("anonymize=sni:hash", "anonymize_key=FILE"),
                 ("anonymize=sni:drop,sni:drop", "twice"), ("anonymise=sni:drop", "did you mean anonymize?"),
                 (f"anonymize_key={good}", "without anonymize"), (f"anonymize=sni:hash&anonymize_key={readable}", "chmod 600"),
                 (f"anonymize=sni:hash&anonymize_key={short}", "16 to 4096"),
                 ("anonymize=sni:hash&anonymize_key=/nowhere", "No such file"),
                 (f"anonymize=sni:hash&anonymize_key={self.folder.name}", "is no file"))
        for options, says in cases:
            done = l7.probe("-r", l7.STORY, "-o", "json:-?" + options)
            self.assertEqual(done.status, 1, options)
            self.assertIn(says, done.err)
        done = l7.probe("-r", l7.STORY, "--home-nets", "10.0.0.1/8")
        self.assertEqual(done.status, 1)
        self.assertIn("host bits", done.err)

    def test_key_is_not_shown(self):
        key = self.key("c", b"very-secret-key-octets-0123456789")
        arguments = ("-r", l7.STORY, "-o", f"json:-?anonymize=clients:hash&anonymize_key={key}", "--home-nets", "10.0.0.0/8")
        for more in ("--print-config", "--stats", "-v"):
            done = l7.probe(*arguments, more)
            self.assertEqual(done.status, 0)
            self.assertNotIn("very-secret", done.out + done.err)
        self.assertIn("home_nets", l7.probe(*arguments, "--print-config").out)


if __name__ == "__main__":
    l7.main()
