#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""With profile `full`, a file read by libfixbuf says what JSON says: record by record, every field.

The two are made by two runs, so that neither can lean on the other. A key that
JSON leaves out must be 0 or empty in IPFIX. Not compared: what only JSON has
(ONLY_JSON, of which two must follow from `app`), and stream_id, which each run
draws. IPFIX writes octets that are no text as `?`, JSON as escapes.
"""
import ipaddress
import json
import os
import re
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import l7  # noqa: E402
import mmdb  # noqa: E402

PRINT = os.path.join(l7.RELEASE, "fixbuf_print")
FIELDS = os.path.join(l7.ROOT, "templates", "fields.def")
CAPTURES = ("1kxun.pcap", "teams.pcap", "telegram.pcap", "dns_long_domainname.pcap", "http_ipv6.pcap", "ssh.pcap",
            "quic_t50.pcap", "malformed_icmp.pcap", "4in6tunnel.pcap", "sip.pcap", "imap.pcap", "mongodb.pcap",
            "ja3_lots_of_cipher_suites.pcap", "exe_download.pcap", "4in4tunnel.pcap", "6in6tunnel.pcap", "ipv6_in_gtp.pcap")
ONLY_JSON = {"exporter", "master", "application"}
DRAWN = {"stream_id"}
CONFIDENCE = ("none", "port", "ip", "partial", "cache", "dpi")
PLACES = (("0.0.0.0/1", "DE", "Köln", 64500, "Lower half"), ("128.0.0.0/1", "US", "New York", 4200000000, "Upper half"),
          ("2000::/3", "FR", "Paris", 65551, "All of IPv6"))
REASONS = ("none", "idle", "active", "end", "forced", "resources")
NOTHING = (None, 0, "0", "none", "00:00:00:00:00:00", "::")
TUNNELS = ("none", "ipip", "6in4", "4in6", "6in6", "gre", "pptp", "erspan", "vxlan", "geneve", "gtp", "l2tp", "teredo", "capwap",
           "tzsp")
STATES = ("final", "early", "last", "midstream")
NO_TEXT = re.compile("[\x00-\x1f\x7f\x80-\x9f\ufffd]")


class Row:
    """A line of fields.def."""

    def __init__(self, line):
        words = [w.strip() for w in line[len("L7_FIELD("):].split(",")]
        self.name, self.member, self.type, self.enterprise = words[:4]
        self.key = None if words[8] == "NULL" else words[8].strip('"')


def rows():
    with open(FIELDS, encoding="utf-8") as f:
        return [Row(line) for line in f if line.startswith("L7_FIELD(")]


def said(row, value):
    """What libfixbuf read, as JSON would have it; None for nothing."""
    kind = row.type
    if kind in ("TEXT", "ALIAS_TEXT"):
        return bytes.fromhex(value).decode("utf-8") or None
    if kind == "IP4":
        return str(ipaddress.IPv4Address(value))
    if kind == "IP6":
        return str(ipaddress.IPv6Address(bytes.fromhex(value)))
    if kind == "IP":
        ip = ipaddress.IPv6Address(bytes.fromhex(value))
        return str(ip.ipv4_mapped or ip)
    if kind == "TUNNEL":
        return TUNNELS[value]
    if kind == "APPID":
        return int(value[2:], 16)
    if kind == "MAC":
        return ":".join(re.findall("..", value))
    if kind == "ID64":
        return str(value)
    if kind == "CONF":
        return CONFIDENCE[value]
    if kind == "REASON":
        return REASONS[value]
    if kind == "STATE":
        return ",".join(w for bit, w in enumerate(STATES) if value >> bit & 1) or None
    return value


def alias(row, record):
    """What a row that says another's value once more must say."""
    value = record.get(row.key_of_member)
    if row.type == "ALIAS_U16":
        return value & 0xFFFF
    if row.type == "ALIAS_MS":
        return (value + 500) // 1000 if value is not None else 0
    if row.type == "ALIAS_HALF_MS":
        return (value + 1000) // 2000 if value is not None else 0
    return value


class Full(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.files = mmdb.write(self.folder + "/places.mmdb", {net: {
            "country_code": code, "city": city, "asn": f"AS{number}", "as_name": name} for net, code, city, number, name in PLACES})
        self.rows = rows()
        keys = {}
        for row in self.rows:
            row.key_of_member = keys.setdefault(row.member, row.key)
        self.assertGreater(len(self.rows), 40)

    def run_probe(self, path, *more):
        done = l7.probe("-r", path, "--geoip", self.files, *more)
        self.assertEqual(0, done.status, done.err)

    def both(self, path):
        """(records by way of libfixbuf, records as JSON)."""
        file = self.folder + "/flows"
        self.run_probe(path, "-t", "full", "-o", f"ipfix+file://{file}.ipfix")
        self.run_probe(path, "-o", f"json+file://{file}.json")
        done = l7.run([PRINT, file + ".ipfix"])
        self.assertEqual(0, done.status, done.err)
        with open(file + ".json", encoding="utf-8") as f:
            return done.flows, [json.loads(line) for line in f]

    def compare(self, read, record):
        seen = set()
        for row in self.rows:
            if row.enterprise == "NONE":
                continue
            value = said(row, read[row.name])
            if row.type.startswith("ALIAS_"):
                self.same(row, value, alias(row, record))
                continue
            key = row.key_of_member
            if row.type in ("IP4", "IP6") and (":" in record[key]) != (row.type == "IP6"):
                self.assertIn(value, ("0.0.0.0", "::"))  # the other row has it
                continue
            seen.add(key)
            if key in record and key not in DRAWN:
                self.same(row, value, record[key])
            else:
                self.assertTrue(key in DRAWN or value in NOTHING, f"{row.name}: {value} is not in JSON")
        self.assertEqual(set(), set(record) - seen - ONLY_JSON)
        first, _, rest = record["app"].partition(".")
        self.assertEqual((first, rest or first), (record["master"], record["application"]))

    def same(self, row, value, expected):
        if isinstance(expected, str):
            expected = NO_TEXT.sub("?", expected)
        self.assertEqual(expected, value, row.name)

    def test_records(self):
        records, keys = 0, set()
        for name in CAPTURES:
            with self.subTest(name):
                read, written = self.both(l7.corpus(name))
                self.assertEqual(len(written), len(read))
                self.assertGreater(len(read), 0)
                for one, other in zip(read, written):
                    self.compare(one, other)
                    keys.update(other)
                records += len(read)
        self.assertGreater(records, 300)
        # What no capture has, or no file, or not with nDPI 4.2, would go untested.
        untested = {r.key for r in self.rows if r.key} - keys
        self.assertLessEqual(untested, {"interface", "ingress_if", "egress_if", "ja4c", "src_mac_vendor", "dst_mac_vendor"})


if __name__ == "__main__":
    l7.main()
