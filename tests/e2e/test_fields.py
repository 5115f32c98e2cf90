#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Each field alone in a template, in IPFIX and NetFlow v9: strict decoders and tshark split the records alike, and the values are those of
the JSON of the same run. Records that are longer than a message, and templates that are.
"""
import collections
import ipaddress
import os
import socket
import struct
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import exports  # noqa: E402
import frames  # noqa: E402
import ipfix_strict  # noqa: E402
import l7  # noqa: E402
import netflow_strict  # noqa: E402
import pcapio  # noqa: E402
import sink  # noqa: E402
import test_full  # noqa: E402

AT_ONCE = 15  # outputs of a run, beside JSON
TEXTS = ("TEXT", "ALIAS_TEXT")


def sets(message, head):
    found, at = [], head
    while at + 4 <= len(message):
        ident, size = struct.unpack_from(">HH", message, at)
        found.append(ident)
        at += size
    return found


class Fields:
    """Of a TestCase. It sets scheme, and the names of its fields, numbers and lengths by rows of fields.def."""

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = folder.name
        cls.path = os.path.join(cls.folder, "traffic.pcap")
        exports.traffic(cls.path)
        cls.rows = [row for row in exports.rows() if cls.takes(row)]
        first = {}
        cls.key_of = {row.name: first.setdefault(row.member, row.key) for row in exports.rows()}
        cls.domains, cls.flows = {}, {}
        for at in range(0, len(cls.rows), AT_ONCE):
            cls.export(cls.rows[at:at + AT_ONCE])
        cls.alone = len(cls.domains)  # and the texts again, because tshark finds no template in which nothing has a fixed length
        cls.texts = [row for row in cls.rows if cls.protocol == "ipfix" and row.type in TEXTS]
        for at in range(0, len(cls.texts), AT_ONCE):
            cls.export(cls.texts[at:at + AT_ONCE], "%2CprotocolIdentifier")

    @classmethod
    def export(cls, some, more=""):
        """One run: a field per output and domain."""
        hub, outputs = sink.Sink(), []
        for row in some:
            domain = len(cls.domains) + 1
            cls.domains[domain] = row, []
            outputs += ["-o", f"{cls.scheme}://127.0.0.1:{hub.port}?domain={domain}&template={row.name}{more}"]
        done = l7.probe("-r", cls.path, *l7.NO_TIMEOUTS, *outputs, "-o", "json:-")
        if done.status != 0:
            raise AssertionError(done.err)
        for message in hub.finish():
            domain = struct.unpack_from(">I", message, cls.head - 4)[0]
            cls.domains[domain][1].append(message)
            cls.flows[domain] = done.flows

    def decoded(self):
        for domain, (row, messages) in list(self.domains.items())[:self.alone]:
            yield row, self.strict(domain, messages), self.flows[domain]

    def test_values(self):
        """Of each field the strict decoder has what JSON has."""
        for row, strict, flows in self.decoded():
            with self.subTest(row.name):
                self.compare(row, [next(iter(r.values())) for r in strict.flows], flows)

    def compare(self, row, octets, flows):
        """One record per flow, or two where only the initiator's counters are told: the other half is a record of its own."""
        key = self.key_of[row.name]
        if row.name in ("octetDeltaCount", "packetDeltaCount"):
            want = [f[key] for f in flows if f["packets"]] + [f["rev_" + key] for f in flows if f["rev_packets"]]
            self.assertEqual(sorted(want), sorted(int.from_bytes(o, "big") for o in octets))
            return
        self.assertEqual(len(flows), len(octets))
        for one, flow in zip(octets, flows):
            if self.compared(row):
                self.same(row, one, flow.get(key))

    def same(self, row, octets, value):
        kind = row.type
        if kind in ("IP4", "IP6"):  # each family has its own element
            self.assertEqual(value, str(ipaddress.ip_address(octets)))
            return
        text = octets.hex() if kind in (*TEXTS, "IP6", "IP", "MAC", "APPID") else int.from_bytes(octets, "big")
        if kind in TEXTS:
            text = octets.rstrip(b"\0").hex()
            value = test_full.NO_TEXT.sub("?", value or "").encode()[:self.room(row)].decode("utf-8", "ignore") or None
        found = test_full.said(row, text)
        if kind.startswith("ALIAS_"):
            row = row._replace(key=self.key_of[row.name])
            value = value if kind == "ALIAS_TEXT" else test_full.alias(Alias(kind, "x"), {"x": value or 0})
        if isinstance(found, int) and isinstance(value, int) and len(octets) < 8:
            value = min(value, 256 ** len(octets) - 1)
        if value is None:
            self.assertIn(found, test_full.NOTHING, row.name)
        else:
            self.assertEqual(value, found, row.name)

    def test_tshark(self):
        """All in one capture, each with a port of its own: tshark has the same octets in the same records."""
        packets, wanted = [], collections.Counter()
        for domain, (row, messages) in self.domains.items():
            if domain <= self.alone and row in self.texts:
                continue
            for message in messages:
                if any(ident < 256 or ident >= 1024 for ident in sets(message, self.head)):  # without the table of applications
                    frame = frames.datagram(exports.PROBE, exports.COLLECTOR, 40000 + domain, exports.PORTS[self.protocol], message)
                    packets.append((10**18 + len(packets) * 10**6, frame, len(frame)))
            strict = self.strict(domain, messages)
            wanted.update((domain, exports.values(r)) for r in strict.flows)
        path = os.path.join(self.folder, "all.pcap")
        pcapio.write(path, packets)
        found = collections.Counter(exports.tshark(path, sequence=False))
        missing = {self.domains[domain][0].name for domain, _ in wanted - found}
        self.assertEqual(self.unseen, missing)
        self.assertGreater(sum(wanted.values()), 12 * len(self.rows) - 1)


Alias = collections.namedtuple("Alias", "type key_of_member")


class Ipfix(Fields, unittest.TestCase):
    scheme, protocol, head = "ipfix+udp", "ipfix", 16
    unseen = {"flowStartMilliseconds", "flowEndMilliseconds"}  # by tshark, which shows the two together

    @staticmethod
    def takes(row):
        return True

    @staticmethod
    def room(row):
        return 255

    @staticmethod
    def strict(domain, messages):
        strict = ipfix_strict.Strict(domain=domain, longest=exports.MTU_ROOM)
        for message in messages:
            strict.feed(message)
        return strict

    @staticmethod
    def compared(row):
        return row.name not in ("streamId", "recordSequence")  # each output has its own

    def test_templates_have_one_field(self):
        number = {r.name: (r.enterprise, r.number) for r in exports.rows()}
        for row, strict, _ in self.decoded():
            for kind, family in enumerate(("IPv4", "IPv6")):
                twin = row.name.replace("IPv4", family).replace("IPv6", family)
                self.assertEqual([number.get(twin, number[row.name])], [k for k, _ in strict.flow_template(kind).fields])


class Netflow9(Fields, unittest.TestCase):
    scheme, protocol, head = "netflow9+udp", "netflow9", 20
    unseen = set()

    @staticmethod
    def takes(row):
        return row.v9 != 0

    @staticmethod
    def room(row):
        return netflow_strict.elements()[row.v9][0]

    @staticmethod
    def strict(domain, messages):
        return netflow_strict.decode(messages, source=domain)

    @staticmethod
    def compared(row):
        return row.type != "MSEC"  # of sysUptime, which test_netflow.py compares


class TooLong(unittest.TestCase):
    """Server names of 250 octets, in datagrams that have no room for them."""

    NAME = ("sub" * 20 + ".") * 4 + "example"

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.path = os.path.join(self.folder, "long.pcap")
        hello = frames.client_hello(self.NAME)
        get = (f"GET /{'p' * 200} HTTP/1.1\r\nHost: {self.NAME[:200]}\r\nUser-Agent: {'agent ' * 40}\r\n\r\n").encode()
        told = frames.conversation("192.0.2.10", "198.51.100.80", 40001, 443, [(True, hello)])
        told += frames.conversation("2001:db8::10", "2001:db8:1::80", 40002, 80, [(True, get), (False, b"HTTP/1.1 200 OK\r\n\r\n")])
        told += frames.conversation("192.0.2.10", "198.51.100.80", 40003, 80, [(True, b"GET / HTTP/1.1\r\nHost: s.example\r\n\r\n")])
        pcapio.write(self.path, [(1_700_000_000 * 10**9 + i * 10**7, frame, len(frame)) for i, frame in enumerate(told)])

    def export(self, uri, *more):
        hub = sink.Sink()
        done = l7.probe("-r", self.path, *l7.NO_TIMEOUTS, "-o", uri.format(hub.port), "-o", "json:-", "--stats", *more)
        return hub.finish(), done

    def test_cut(self):
        """Each record arrives, in datagrams that fit: long texts are cut to one length, names and hashes are whole, `cut` counts."""
        messages, done = self.export("ipfix+udp://127.0.0.1:{}?template=security&mtu=640")
        self.assertEqual(0, done.status, done.err)
        strict = ipfix_strict.Strict(longest=640 - 48)
        for message in messages:
            strict.feed(message)
        self.assertEqual(len(done.flows), len(strict.flows))
        output, cut = done.stats["outputs"][0], 0
        self.assertEqual((3, 3, 0), (output["records"], output["sent"], output["dropped"]))
        rows = {(r.enterprise, r.number): r for r in exports.rows()}
        for record, flow in zip(strict.flows, done.flows):
            lengths = set()
            for key, octets in record.items():
                row = rows[key]
                if row.type != "TEXT" or row.key not in flow:
                    continue
                said, whole = octets.decode(), flow[row.key]
                if said != whole:
                    self.assertNotIn(row.key, ("app", "category"))
                    self.assertTrue(whole.startswith(said))
                    lengths.add(len(octets))
            self.assertLessEqual(len(lengths - {0}), 1)
            cut += bool(lengths)
        self.assertGreaterEqual(cut, 1)
        self.assertEqual(cut, output["cut"])
        self.assertEqual(1, done.said.count("its texts are cut"))

    def test_not_cut(self):
        """Where there is room, nothing is: not of a stream, nor of the usual datagram."""
        for uri in ("ipfix+udp://127.0.0.1:{}", f"ipfix+file://{self.folder}/flows?template=full"):
            done = self.export(uri)[1]
            self.assertEqual((3, 0), tuple(done.stats["outputs"][0][key] for key in ("sent", "cut")))
            self.assertNotIn("cut", done.said)

    def test_no_template_of_that_length(self):
        """Refused by --check, with the mtu that it takes, which then works and not an octet less."""
        for scheme, template in (("ipfix+udp", "full"), ("netflow9+udp", "full"), ("netflow9+udp", "security")):
            with self.subTest(scheme, template=template):
                uri = f"{scheme}://127.0.0.1:{{}}?template={template}&mtu="
                done = l7.probe("-r", self.path, "-o", uri.format(9) + "512", "--check")
                self.assertEqual(1, done.status)
                self.assertIn(f"template {template} does not fit an mtu of 512: it takes ", done.err)
                least = int(done.err.split("it takes ")[1])
                self.assertEqual(1, l7.probe("-r", self.path, "-o", f"{uri.format(9)}{least - 1}").status)
                messages, done = self.export(uri + str(least))
                self.assertEqual(0, done.status, done.err)
                self.assertEqual(0, done.stats["outputs"][0]["dropped"])
                self.assertLessEqual(max(map(len, messages)), least - 48)
                strict = ipfix_strict.Strict() if scheme == "ipfix+udp" else netflow_strict.Strict()
                for message in messages:
                    strict.feed(message)
                self.assertGreaterEqual(len(strict.flows), 3)

    def test_shortest(self):
        """An mtu of 512, for paths that nobody knows (RFC 7011 section 10.3.3)."""
        for scheme, profile in (("ipfix", "standard"), ("ipfix", "iana"), ("netflow9", "standard"), ("netflow9", "iana")):
            messages, done = self.export(f"{scheme}+udp://127.0.0.1:{{}}?template={profile}&mtu=512")
            self.assertEqual((0, 0), (done.status, done.stats["outputs"][0]["dropped"]))
            strict = (ipfix_strict if scheme == "ipfix" else netflow_strict).Strict(longest=512 - 48)
            for message in messages:
                strict.feed(message)
            self.assertGreaterEqual(len(strict.flows), 3)
        self.assertIn("512", l7.probe("-r", self.path, "-o", "ipfix+udp://127.0.0.1?mtu=511").err)


class LongValues(unittest.TestCase):
    """Values that the probe never has, as others may send them: l7watch, tshark and the strict decoder split the records alike."""

    def test_65000(self):
        spec = ((8, 4), (12, 4), (1, 8), (2, 8), (96, 65535), (82, 65535))
        template = struct.pack(">HHHH", 2, 8 + 4 * len(spec), 300, len(spec)) + b"".join(struct.pack(">HH", *f) for f in spec)

        def text(size):
            return (bytes([size]) if size < 255 else b"\xff" + struct.pack(">H", size)) + b"t" * size

        def record(n, size):
            return struct.pack(">4s4sQQ", b"\xc0\0\2\1", bytes([198, 51, 100, n]), 100 + n, n) + text(3) + text(size)
        now = int(ipfix_strict.time.time())
        messages, sent = [], 0
        for sizes in ((), (0, 254, 255), (65000,), (1,)):
            body = b"".join(record(i + 1, size) for i, size in enumerate(sizes))
            body = struct.pack(">HH", 300, 4 + len(body)) + body if sizes else template
            messages.append(struct.pack(">HHIII", 10, 16 + len(body), now, sent, 1) + body)
            sent += len(sizes)
        strict = ipfix_strict.decode(b"".join(messages))
        self.assertEqual([0, 254, 255, 65000, 1], [len(r[0, 82]) for r in strict.flows])
        with tempfile.TemporaryDirectory() as folder:
            path = folder + "/long.pcap"
            says = [(True, b"".join(messages))]
            made = frames.conversation(exports.PROBE, exports.COLLECTOR, 40000, 4739, says)
            pcapio.write(path, [(now * 10**9 + i * 10**6, frame, len(frame)) for i, frame in enumerate(made)])
            self.assertEqual([exports.values(r) for r in strict.flows], [octets for _, octets in exports.tshark(path)])
        with l7.Watch("version: 1\nrules: []\n") as watch, socket.create_connection(("127.0.0.1", watch.port)) as s:
            s.sendall(b"".join(messages))
            s.shutdown(socket.SHUT_WR)
            l7.wait_for("the end", lambda: s.recv(1) == b"")
            stats = watch.stop().stats
        self.assertEqual((5, 0), (stats["records"], sum(stats["refused"].values())), stats)


if __name__ == "__main__":
    l7.main()
