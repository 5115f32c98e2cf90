#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
The captures of tests/golden/exports: strict decoders and tshark read in them what stands beside them, and what the probe sends now is
the same, octet for octet, but for what exports.MASKED names.

A change of what is sent is meant to fail here; tests/golden/make_exports.py
then makes the captures anew, and the .json files show in review what is new.
"""
import collections
import json
import os
import struct
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import exports  # noqa: E402
import l7  # noqa: E402
import netflow_strict  # noqa: E402
from ipfix_strict import Broken  # noqa: E402

ANEW = "; tests/golden/make_exports.py makes it anew if that is meant"


class Golden(unittest.TestCase):
    maxDiff = 4000

    def test_strict(self):
        for case in exports.CASES:
            with self.subTest(case):
                messages, then = exports.read(case)
                strict = exports.judge(case, messages, then)
                with open(os.path.join(exports.FOLDER, case + ".json"), encoding="utf-8") as f:
                    said = json.load(f)
                found = exports.contents(case, strict)
                self.assertEqual(said.keys(), found.keys())
                for key, what in said.items():
                    self.assertEqual(what, json.loads(json.dumps(found[key])), key)
                self.assertGreaterEqual(len(strict.flows), 12)

    def test_tshark(self):
        for case in exports.CASES:
            if "-tls-" not in case:  # which test_strict() has by way of tshark
                with self.subTest(case):
                    self.compare(case)

    def compare(self, case):
        messages, then = exports.read(case)
        strict = exports.judge(case, messages, then)
        found = [octets for _, octets in exports.tshark(exports.path_of(case))]
        if case.startswith("netflow5"):
            self.assertEqual([octets for _, octets in exports.comparable(case, strict, messages)], found)
            return
        scope = b"" if case.startswith("ipfix") else struct.pack(">I", strict.source)
        flows = [exports.values(r) for r in strict.flows]
        options = [scope + exports.values(r) for r in strict.options if exports.TYPE not in r]  # tshark keeps those to itself
        self.assertEqual(collections.Counter(flows + options), collections.Counter(found))
        self.assertEqual(flows, [octets for octets in found if octets in flows])

    def test_now(self):
        for case in exports.CASES:
            with self.subTest(case), tempfile.TemporaryDirectory() as folder:
                messages, then = exports.read(case)
                before = exports.comparable(case, exports.judge(case, messages, then), messages)
                sent = exports.send(case, folder)
                now = exports.comparable(case, exports.judge(case, sent.messages), sent.messages)
                for i, (one, other) in enumerate(zip(before, now)):
                    self.assertEqual(one, other, f"{case}: set {one[0]}, number {i} of what is sent{ANEW}")
                self.assertEqual(len(before), len(now), case + ANEW)

    def test_files(self):
        """Each case has its two files, there are no others, and the description names each."""
        paths = [os.path.basename(exports.path_of(case)) for case in exports.CASES]
        wanted = {"README.md", *paths, *(case + ".json" for case in exports.CASES)}
        self.assertEqual(wanted, set(os.listdir(exports.FOLDER)))
        with open(os.path.join(exports.FOLDER, "README.md"), encoding="utf-8") as f:
            text = f.read()
        for path in paths:
            self.assertIn(f"`{path}`", text)

    def test_what_is_in_them(self):
        """IPv4, IPv6, a tunnel, names; and nothing of the machine that made them."""
        messages, then = exports.read("ipfix-udp-full")
        records = exports.contents("ipfix-udp-full", exports.judge("ipfix-udp-full", messages, then))["records"]
        self.assertTrue(any("sourceIPv4Address" in r for r in records) and any("sourceIPv6Address" in r for r in records))
        self.assertEqual({5}, {r["tunnelKind"] for r in records if "tunnelKind" in r})  # GRE
        self.assertLessEqual({"TLS.Telegram", "TLS.Github", "SSH", "DNS"}, {r["applicationName"] for r in records})
        self.assertLessEqual({"api.telegram.org", "github.com"}, {r["tlsServerName"] for r in records})
        self.assertEqual({""}, {r["interfaceName"] for r in records})


class EveryTransport(unittest.TestCase):
    """The other profiles over streams, on the same capture."""

    def test_streams(self):
        with tempfile.TemporaryDirectory() as folder:
            for transport in ("tcp", "tls", "file"):
                for profile in exports.PROFILES:
                    with self.subTest(transport, profile=profile), tempfile.TemporaryDirectory(dir=folder) as place:
                        sent = exports.send(f"ipfix-{transport}-{profile}", place)
                        strict = exports.judge(f"ipfix-{transport}-{profile}", sent.messages)
                        messages, then = exports.read(f"ipfix-udp-{profile}")
                        datagrams = exports.judge(f"ipfix-udp-{profile}", messages, then)
                        self.assertEqual(self.flows(datagrams), self.flows(strict))

    @staticmethod
    def flows(strict):
        return [[value for key, value in r.items() if key not in exports.MASKED] for r in strict.flows]


class TheJudge(unittest.TestCase):
    """Every rule of netflow_strict.py, broken in a message that was right."""

    @classmethod
    def setUpClass(cls):
        cls.nine = exports.read("netflow9-udp-standard")[0]
        cls.five = exports.read("netflow5-udp")[0]
        cls.strict = netflow_strict.decode(cls.nine)
        cls.data = next(i for i, m in enumerate(cls.nine) if struct.unpack_from(">H", m, 20)[0] >= 1024)

    def refuse(self, datagrams, word):
        with self.assertRaises(Broken) as caught:
            netflow_strict.decode(datagrams)
        self.assertIn(word, str(caught.exception))

    def changed(self, number, at, octets, five=False):
        """All up to datagram `number`, in which there is something else."""
        datagrams = (self.five if five else self.nine)[:number + 1]
        return datagrams[:-1] + [datagrams[-1][:at] + octets + datagrams[-1][at + len(octets):]]

    def test_good(self):
        self.assertTrue(self.strict.flows and self.strict.options and netflow_strict.decode(self.five).flows)

    def test_header(self):
        self.refuse(self.changed(0, 0, b"\0\x0a"), "version")
        self.refuse(self.changed(0, 2, b"\0\0"), "count of none")
        self.refuse(self.changed(0, 2, b"\0\1"), "count of 1")
        self.refuse(self.changed(0, 4, b"\xff\xff\xff\xff"), "sysUptime")
        self.refuse(self.changed(0, 8, b"\0\0\0\0"), "unix_secs")
        self.refuse(self.changed(1, 12, b"\0\0\0\0"), "sequence")
        self.refuse(self.changed(0, 16, b"\0\0\0\2"), "source id")
        self.refuse(self.nine[:1] + self.nine[2:], "sequence")
        self.refuse([self.nine[0] + bytes(2000)], "longer than the path")

    def test_sets(self):
        self.refuse(self.changed(0, 20, b"\0\2"), "reserved")
        self.refuse(self.changed(0, 22, b"\xff\xff"), "of length")
        self.refuse(self.changed(0, 22, b"\0\4"), "without a record")
        self.refuse([self.nine[0][:22]], "has a header")
        self.refuse(self.changed(self.data, 20, b"\x7f\xff"), "before its template")
        self.refuse(self.changed(self.data, 4 + 16, struct.pack(">HH", struct.unpack_from(">H", self.nine[self.data], 20)[0], 12)),
                    "without a record")

    def test_templates(self):
        self.refuse(self.changed(0, 24, b"\0\x10"), "template id")
        self.refuse(self.changed(0, 26, b"\0\0"), "without fields")
        self.refuse(self.changed(0, 26, b"\7\0"), "is cut")
        self.refuse(self.changed(0, 30, b"\0\3"), "of length 3")
        self.refuse(self.changed(0, 32, self.nine[0][28:32]), "twice")
        again = self.nine[0][:28] + self.nine[0][32:36] + self.nine[0][28:32] + self.nine[0][36:]
        again = again[:12] + struct.pack(">I", 1) + again[16:]
        self.refuse([self.nine[0], again], "changes")
        options = self.nine[0].index(b"\0\1\0\4", 24)  # a scope of four octets, in the first options template
        self.refuse(self.changed(0, options, b"\0\2"), "scope")

    def test_records(self):
        ident, size = struct.unpack_from(">HH", self.nine[self.data], 20)
        fields = self.strict.templates[ident][1]
        places, at = {}, 24
        for number, octets in fields:
            places[number], at = at, at + octets

        def refuse(number, octets, word):
            self.refuse(self.changed(self.data, places[number], octets), word)

        message = self.nine[self.data]
        longer = message[:22] + struct.pack(">H", size + 4) + message[24:20 + size] + bytes(4) + message[20 + size:]
        self.refuse(self.nine[:self.data] + [longer], "padding of")
        refuse(22, b"\xff\xff\xff\xff", "ends before it begins")
        refuse(21, b"\xf7\xff\xff\xff", "after its message")
        refuse(2, bytes(8), "without packets")
        refuse(95, b"\x0d", "engine")
        refuse(96, b"\xff", "UTF-8")
        refuse(96, b"D\0S", "octet 0")
        refuse(136, b"\x09", "flowEndReason")

    def test_options(self):
        at = self.nine[0].find(struct.pack(">HH", 260, 16))
        self.assertGreater(at, 0)
        self.refuse(self.changed(0, at + 4, b"\0\0\0\7"), "scope is not")
        self.refuse(self.changed(0, at + 15, b"\7"), "padding is not zero")

    def test_version_5(self):
        def refuse(at, octets, word):
            self.refuse(self.changed(0, at, octets, five=True), word)

        refuse(2, b"\0\x1f", "30 records")
        refuse(2, b"\0\2", "2 records in")
        refuse(12, b"\x7f\xff\xff\xff", "unix_nsecs")
        refuse(16, b"\0\0\0\1", "sequence")
        refuse(20, b"\0\7", "engine")
        refuse(22, b"\x40\5", "sampling")
        refuse(24 + 8, b"\1", "only a router")
        refuse(24 + 36, b"\1", "pad")
        refuse(24 + 16, bytes(4), "counters")
        refuse(24 + 28, bytes(4), "ends before")
        refuse(24 + 40, b"\0\1", "only a router")


if __name__ == "__main__":
    l7.main()
