#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Records of real captures are what docs/record.schema.json says; a record that is not is refused by it."""
import copy
import json
import os
import sys
import unittest

import jsonschema

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import l7  # noqa: E402

SCHEMA = os.path.join(l7.ROOT, "docs", "record.schema.json")
CAPTURES = ("1kxun.pcap", "teams.pcap", "telegram.pcap", "http_ipv6.pcap", "ssh.pcap", "mongodb.pcap",
            "malformed_icmp.pcap", "exe_download.pcap", "fuzz-2006-06-26-2594.pcap", "dns_long_domainname.pcap")


def validator():
    with open(SCHEMA, encoding="utf-8") as f:
        schema = json.load(f)
    jsonschema.Draft7Validator.check_schema(schema)
    return jsonschema.Draft7Validator(schema, format_checker=jsonschema.FormatChecker(("ipv4", "ipv6")))


class Schema(unittest.TestCase):
    def setUp(self):
        self.judge = validator()

    def test_records(self):
        seen = 0
        for name in CAPTURES:
            for more in ((), ("-o", "json:-?early=1")):
                with self.subTest(name, more=more):
                    done = l7.probe("-r", l7.corpus(name), *(more or ("-o", "json:-")))
                    self.assertEqual(0, done.status, done.err)
                    for record in done.flows:
                        self.assertEqual([], [e.message for e in self.judge.iter_errors(record)])
                        seen += 1
        self.assertGreater(seen, 700)

    def test_refused(self):
        """Every kind of value has a wrong one."""
        good = next(f for f in l7.probe_flows(l7.corpus("http_ipv6.pcap")).flows if f["protocol"] == 6)
        self.assertTrue(self.judge.is_valid(good))
        wrong = {"flow_id": int(good["flow_id"]), "src_ip": "1.2.3", "src_mac": good["src_mac"].upper() + "F",
                 "src_port": 65536, "protocol": "6", "packets": -1, "state": "finally", "end_reason": "over",
                 "confidence": "sure", "app": "", "surprise": 1, "ttl_min": 256, "rtt_client_us": 0.5}
        for key, value in wrong.items():
            with self.subTest(key):
                bad = copy.deepcopy(good)
                bad[key] = value
                self.assertFalse(self.judge.is_valid(bad))
        del good["app"]
        self.assertFalse(self.judge.is_valid(good))


if __name__ == "__main__":
    l7.main()
