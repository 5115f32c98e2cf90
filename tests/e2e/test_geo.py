#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Where an address belongs to, and who made an interface: --geoip and --mac-vendors, in all formats, over reloads and with bad files."""
import json
import os
import random
import shutil
import signal
import socket
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import frames  # noqa: E402
import ipfix_strict  # noqa: E402
import l7  # noqa: E402
import mmdb  # noqa: E402
import netflow  # noqa: E402
import pcapio  # noqa: E402
from space import Space, words  # noqa: E402
from sink import Sink  # noqa: E402
from test_netflow import as_capture  # noqa: E402
from test_schema import validator  # noqa: E402

NTOP = 35632
SRC_AS, DST_AS = (0, 16), (0, 17)
SRC_COUNTRY, DST_COUNTRY, SRC_CITY, DST_CITY = (NTOP, 101), (NTOP, 103), (NTOP, 102), (NTOP, 104)
SRC_AS_NAME, DST_AS_NAME = (NTOP, 443), (NTOP, 444)
PLACES = {SRC_AS, DST_AS, SRC_COUNTRY, DST_COUNTRY, SRC_CITY, DST_CITY, SRC_AS_NAME, DST_AS_NAME}
KEYS = ("as", "as_name", "country", "city")
LONG = "Société anonyme des réseaux d'exemple et de documentation, S.A. à Paris"

COUNTRIES = {"192.0.2.0/24": ("DE", "Köln"), "198.51.100.0/25": ("US", "Boston"), "2001:db8::/33": ("FR", "Saint-Étienne"),
             "0.0.0.1/32": ("ZZ", "Nowhere")}
SYSTEMS = {"192.0.2.0/24": (64500, "Example AG"), "198.51.100.0/24": (4200000000, "Big, Inc."), "2001:db8::/32": (65551, LONG),
           "203.0.113.0/24": (64501, "Third")}
# Each of them as a source with an address beside it that nobody knows.
ENDS = ("192.0.2.1", "198.51.100.7", "198.51.100.200", "203.0.113.9", "10.1.2.3", "127.0.0.2", "2001:db8::1", "2001:db8:8000::1",
        "fd00::1", "fe80::1", "2002:c000:201::1", "2001:0:c000:201::1", "::ffff:192.0.2.1", "::192.0.2.1", "::1")
KNOWN = {"192.0.2.1": (64500, "Example AG", "DE", "Köln"), "198.51.100.7": (4200000000, "Big, Inc.", "US", "Boston"),
         "198.51.100.200": (4200000000, "Big, Inc.", None, None), "203.0.113.9": (64501, "Third", None, None),
         "2001:db8::1": (65551, LONG.encode()[:64].decode(errors="ignore"), "FR", "Saint-Étienne"),
         "2001:db8:8000::1": (65551, LONG.encode()[:64].decode(errors="ignore"), None, None)}
NOBODY = (None,) * 4


def country(code, city):
    """As MaxMind and DB-IP have it, with what is of no interest here."""
    value = {"continent": {"code": "XX", "names": {"en": "Land"}}, "country": {"geoname_id": 7, "iso_code": code, "names": {"en": code}},
             "location": {"latitude": 50.9, "time_zone": "Europe/Berlin"}, "subdivisions": [{"iso_code": "NW", "names": {"en": "x"}}]}
    if city:
        value["city"] = {"geoname_id": 8, "names": {"de": "anders", "en": city}}
    return value


def countries(path, found=None, **options):
    options.setdefault("aliases", ("2002::/16", "2001::/32", "::ffff:0:0/96"))
    return mmdb.write(path, {net: country(*value) for net, value in (found or COUNTRIES).items()}, **options)


def systems(path, found=None, **options):
    return mmdb.write(path, {net: {"autonomous_system_number": number, "autonomous_system_organization": name}
                             for net, (number, name) in (found or SYSTEMS).items()}, **options)


def capture(path, ends=ENDS, peer4="192.0.2.250", peer6="fd00::99"):
    """A datagram from each of the addresses and an answer."""
    with pcapio.Writer(path) as out:
        for i, source in enumerate(ends):
            target = peer6 if ":" in source else peer4
            name = f"host{i}.example.org"
            out.add(10**18 + i * 10**7, frames.datagram(source, target, 5000 + i, 53, frames.dns_query(i, name)))
            out.add(10**18 + i * 10**7 + 10**6, frames.datagram(target, source, 53, 5000 + i, frames.dns_query(i, name)))
    return path


def told(flow, end):
    return tuple(flow.get(f"{end}_{key}") for key in KEYS)


class Case(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="l7test-")
        self.addCleanup(shutil.rmtree, self.folder)
        self.files = ",".join((countries(self.path("city.mmdb")), systems(self.path("asn.mmdb"), record=28)))
        self.capture = capture(self.path("flows.pcap"))

    def path(self, name):
        return os.path.join(self.folder, name)

    def probe(self, *more, status=0):
        done = l7.probe("-r", self.capture, *l7.NO_TIMEOUTS, *more)
        self.assertEqual(status, done.status, done.err)
        return done

    def flows(self, *more):
        return self.probe("-o", "json:-", *more).flows

    def strict(self, *more):
        path = self.path("out.ipfix")
        self.probe("-o", f"ipfix+file://{path}", *more)
        with open(path, "rb") as f:
            return ipfix_strict.decode(f.read())


def text(octets):
    return octets.rstrip(b"\0").decode() or None


def record_place(record, fields):
    """What an IPFIX record says, as told() would have it; None for a field that is not in it."""
    number, *texts = fields
    return (int.from_bytes(record[number], "big") or None,) + tuple(text(record[f]) if f in record else None for f in texts)


class Fields(Case):
    def test_json(self):
        judge = validator()
        flows = self.flows("--geoip", self.files)
        self.assertEqual(len(ENDS), len(flows))
        for flow in flows:
            with self.subTest(flow["src_ip"]):
                self.assertEqual([], [e.message for e in judge.iter_errors(flow)])
                self.assertEqual(KNOWN.get(flow["src_ip"], NOBODY), told(flow, "src"))
                self.assertEqual(NOBODY if ":" in flow["dst_ip"] else KNOWN["192.0.2.1"], told(flow, "dst"))

    def test_order_and_parts(self):
        """Of several files the first that says something counts; one alone says what it has; none says nothing."""
        other = countries(self.path("other.mmdb"), {"192.0.2.0/23": ("AT", "Wien"), "203.0.113.0/24": ("CH", None)}, record=32)
        for files, wanted in ((f"{other},{self.files}", {"192.0.2.1": (64500, "Example AG", "AT", "Wien")}),
                              (f"{self.files},{other}", {"203.0.113.9": (64501, "Third", "CH", None)}),
                              (other, {"192.0.2.1": (None, None, "AT", "Wien"), "198.51.100.7": NOBODY})):
            found = {flow["src_ip"]: told(flow, "src") for flow in self.flows("--geoip", files)}
            for address, place in wanted.items():
                self.assertEqual(place, found[address])
        for flow in self.flows():
            self.assertFalse([key for key in flow if key.endswith(("_as", "_as_name", "_country", "_city", "_vendor"))])

    def test_full(self):
        """libfixbuf's own reading is compared in test_full.py."""
        records = self.strict("-t", "full", "--geoip", self.files).flows
        self.assertEqual(len(ENDS), len(records))
        for record, flow in zip(records, self.flows("--geoip", self.files)):
            self.assertEqual(told(flow, "src"), record_place(record, (SRC_AS, SRC_AS_NAME, SRC_COUNTRY, SRC_CITY)))
            self.assertEqual(told(flow, "dst"), record_place(record, (DST_AS, DST_AS_NAME, DST_COUNTRY, DST_CITY)))
            self.assertEqual(2, len(record[SRC_COUNTRY]))
        for record in self.strict("-t", "full").flows:   # without a file: empty places
            self.assertEqual(NOBODY, record_place(record, (SRC_AS, SRC_AS_NAME, SRC_COUNTRY, SRC_CITY)))

    def test_profiles(self):
        """Ours have of these fields what is in the files, and nothing of it without one."""
        both, asn = self.files, self.path("asn.mmdb")
        places = {SRC_AS, DST_AS, SRC_COUNTRY, DST_COUNTRY}
        for name, wanted in (("standard", places), ("iana", {SRC_AS, DST_AS}), ("ntop", places), ("security", places)):
            for more, expected in (((), set()), (("--geoip", both), wanted), (("--geoip", asn), wanted & {SRC_AS, DST_AS})):
                with self.subTest(name, more=more):
                    for record in self.strict("-t", name, *more).flows:
                        self.assertEqual(expected, set(record) & PLACES)

    def test_uniflow(self):
        """Each half has its own ends."""
        flows = {flow["flow_id"]: flow for flow in self.flows("--geoip", self.files)}
        records = self.strict("-t", "iana", "--geoip", self.files).flows
        self.assertEqual(2 * len(ENDS), len(records))
        seen = set()
        for record in records:
            flow = flows[str(int.from_bytes(record[(0, 148)], "big"))]
            turned = record[(0, 239)] == b"\2"
            seen.add(turned)
            wanted = [flow.get(key, 0) for key in (("dst_as", "src_as") if turned else ("src_as", "dst_as"))]
            self.assertEqual(wanted, [int.from_bytes(record[key], "big") for key in (SRC_AS, DST_AS)])
        self.assertEqual({False, True}, seen)

    def netflow(self, uri):
        sink = Sink()
        self.probe("-o", uri.format(port=sink.port), "--geoip", self.files)
        datagrams = sink.finish()
        reader = netflow.Reader()
        for datagram in datagrams:
            reader.feed(datagram)
        return reader, datagrams

    def test_netflow9(self):
        ids = (57573, 57575, 57574, 57576, 57915, 57916)
        reader, _ = self.netflow("netflow9+udp://127.0.0.1:{port}?template=full")
        self.assertEqual(2 * len(ENDS), len(reader.fields))
        for record, half in zip(reader.fields, reader.halves):
            number, name, code, city = KNOWN.get(half.src, KNOWN["192.0.2.1"] if half.src == "192.0.2.250" else NOBODY)
            self.assertEqual(number or 0, int.from_bytes(record[16], "big"))
            self.assertEqual([2, 2, 16, 16, 16, 16], [len(record[key]) for key in ids])
            self.assertEqual((code, city), (text(record[57573]), text(record[57574])))
            cut = (name or "").encode()[:16].decode(errors="ignore")
            self.assertEqual(cut or None, text(record[57915]))

    def test_netflow5(self):
        """Two octets: what has no room in them is AS_TRANS."""
        _, datagrams = self.netflow("netflow5+udp://127.0.0.1:{port}")
        found = {}
        for datagram in datagrams:
            for at in range(24, len(datagram), 48):
                found[socket.inet_ntoa(datagram[at:at + 4])] = int.from_bytes(datagram[at + 40:at + 42], "big")
                target = int.from_bytes(datagram[at + 42:at + 44], "big")
                if datagram[at + 4:at + 8] == socket.inet_aton("198.51.100.7"):
                    self.assertEqual(23456, target)
                self.assertEqual(bytes(4), datagram[at + 44:at + 48])
        self.assertEqual({"192.0.2.1": 64500, "198.51.100.7": 23456, "198.51.100.200": 23456, "203.0.113.9": 64501, "10.1.2.3": 0,
                          "127.0.0.2": 0, "192.0.2.250": 64500}, found)

    def test_tshark(self):
        """It knows the numbers, in IPFIX as in NetFlow v9."""
        fields = ("cflow.srcas", "cflow.dstas", "cflow.pie.ntop.src_ip_country", "cflow.pie.ntop.src_ip_city",
                  "cflow.pie.ntop.src_as_map")
        for scheme in ("netflow9+udp", "ipfix+udp"):
            sink = Sink()
            self.probe("-o", f"{scheme}://127.0.0.1:{sink.port}?template=full", "--geoip", self.files)
            as_capture(sink.finish(), self.path("export.pcap"))
            done = l7.run(["tshark", "-n", "-r", self.path("export.pcap"), "-d", "udp.port==2055,cflow", "-T", "fields",
                           "-o", "cflow.max_template_fields:0", "-E", "aggregator=;",
                           *(word for field in fields for word in ("-e", field))])
            rows = [[cell.split(";") for cell in line.split("\t")] for line in done.out.splitlines()]
            found = [set(cell for row in rows for cell in row[i] if cell) for i in range(len(fields))]
            self.assertLessEqual({"64500", "4200000000", "65551"}, found[0])
            self.assertLessEqual({"64500"}, found[1])
            self.assertLessEqual({"DE", "US", "FR"}, found[2])
            self.assertLessEqual({"Boston"}, found[3])   # of others it shows no letter that ASCII has not
            self.assertIn("Example AG", found[4])

    def test_watch(self):
        """l7watch reads the same from both; an autonomous system 0, as routers send it too, is none."""
        rules = self.path("rules.yaml")
        with open(rules, "w", encoding="utf-8") as f:
            f.write("version: 1\nrules:\n- {id: 1, name: DNS, type: deny, severity: low, match: {app: DNS, confidence: port}}\n")
        self.probe("-o", f"json+file://{self.path('flows.json')}", "-o", f"ipfix+file://{self.path('flows.ipfix')}?template=full",
                   "--geoip", self.files)
        said = []
        for kind in ("json", "ipfix"):
            done = l7.run([l7.L7WATCH, "-l", f"{kind}+file://{self.path('flows.' + kind)}", "-R", rules, "-a", "json:-"])
            self.assertEqual(0, done.status, done.err)
            said.append({a["flow"]["src_ip"]: told(a["flow"], "src") for a in l7.json_lines(done.out) if a["state"] == "engaged"})
            self.assertEqual({address: KNOWN.get(address, NOBODY) for address in said[-1]}, said[-1])
        self.assertGreater(len(said[0]), 8)
        self.assertEqual(*said)

    def test_anonymized(self):
        """By the true address: country and autonomous system of a client stay beside its pseudonym, and with drop nothing."""
        key = self.path("key")
        with open(os.open(key, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as f:
            f.write(b"0123456789abcdef")
        plain = {flow["record_sequence"]: flow for flow in self.flows("--geoip", self.files)}
        for how, kept in (("hash", ("as", "as_name", "country")), ("drop", ())):
            done = self.probe("-o", f"json:-?anonymize=clients:{how}&anonymize_key={key}", "--geoip", self.files)
            for flow in done.flows:
                before = plain[flow["record_sequence"]]
                self.assertEqual([before.get("src_" + k) if k in kept else None for k in KEYS], list(told(flow, "src")))
                self.assertEqual(told(before, "dst"), told(flow, "dst"))

    def test_many(self):
        """More addresses than are remembered, each several times, in an order that throws them out in between."""
        rng = random.Random(5)
        nets = {f"20.{i >> 8}.{i & 255}.0/24": (1000 + i, f"net {i}") for i in range(600)}
        hosts = [f"20.{i % 600 >> 8}.{i % 600 & 255}.{i // 600}" for i in range(12000)]
        order = hosts + rng.sample(hosts, len(hosts))
        self.files = systems(self.path("many.mmdb"), nets)
        with pcapio.Writer(self.capture) as out:
            for i, host in enumerate(order):
                out.add(10**18 + i * 10**5, frames.datagram(host, order[-1 - i], 1000 + i, 40000, b"x"))
        flows = self.flows("--geoip", self.files, "-w", "1")
        self.assertEqual(len(order), len(flows))
        for flow in flows:
            for end in ("src", "dst"):
                octets = [int(part) for part in flow[end + "_ip"].split(".")]
                self.assertEqual(1000 + octets[1] * 256 + octets[2], flow[end + "_as"])


class Files(Case):
    def refuse(self, path, why, option="--geoip"):
        for more in ((), ("--check",)):
            done = self.probe("-o", "json:-", option, path, *more, status=1)
            self.assertIn(f"{path}: ", done.err)
            self.assertIn(why, done.err)
            self.assertEqual((1, []), (len(done.err.splitlines()), done.flows))

    def test_refused(self):
        with open(self.path("city.mmdb"), "rb") as f:
            good = f.read()
        cases = {"empty": (b"", "it is empty"), "text": (b"no database\n" * 100, "no MaxMind DB file"),
                 "half": (good[:len(good) // 2], "no MaxMind DB file, or not all of one"), "cut": (good[:-1], "damaged"),
                 "front": (good[len(good) // 3:], "no MaxMind DB file, or not all of one"), "garbage": (os.urandom(50000), "no MaxMind DB file"),
                 "other": (mmdb.build({"192.0.2.0/24": {"connection_type": "Cable"}}), "neither countries, nor cities"),
                 "nothing": (mmdb.build({}), "neither countries"),
                 "version": (mmdb.build({"192.0.2.0/24": country("DE", None)}, binary_format_major_version=3), "another version"),
                 "zeros": (bytes(1000) + good[1000:], "damaged")}
        for name, (octets, why) in cases.items():
            with self.subTest(name):
                with open(self.path(name), "wb") as f:
                    f.write(octets)
                self.refuse(self.path(name), why)
        self.refuse(self.path("missing"), "No such file")
        self.refuse(self.folder, "no file")
        os.mkfifo(self.path("pipe"))
        self.refuse(self.path("pipe"), "no file")
        self.refuse(f"{self.path('empty')}", "it is empty")

    def test_damaged(self):
        """Files with a few octets changed, anywhere: refused or used, and what is written is good JSON all the same."""
        rng, taken = random.Random(8), 0
        for name in ("city.mmdb", "asn.mmdb"):
            with open(self.path(name), "rb") as f:
                good = f.read()
            for _ in range(60):
                bad = bytearray(good)
                for _ in range(rng.randrange(1, 6)):
                    bad[rng.randrange(len(bad))] = rng.randrange(256)
                with open(self.path("bad"), "wb") as f:
                    f.write(bad)
                done = l7.probe("-r", self.capture, "-o", "json:-", "--geoip", self.path("bad"))
                self.assertIn(done.status, (0, 1), done.err)
                self.assertEqual(len(ENDS) if done.status == 0 else 0, len(done.flows))
                taken += done.status == 0
        self.assertGreater(taken, 10)

    def test_not_needed(self):
        """A report takes none of it, and a bad file is still an error."""
        self.assertIn("Köln", json.dumps(self.flows("--geoip", self.files), ensure_ascii=False))
        self.probe("-o", "text:-", "--geoip", self.files)
        self.refuse(self.path("missing"), "No such file")

    def test_configuration(self):
        config = self.path("probe.yaml")
        with open(config, "w", encoding="utf-8") as f:
            f.write(f"read: {self.capture}\noutput: json:-\ngeoip: [{self.files.replace(',', ', ')}]\n")
        done = l7.probe("-c", config)
        self.assertEqual(KNOWN["192.0.2.1"], told(done.flows[0], "src"))
        printed = l7.probe("-c", config, "--print-config")
        self.assertIn("geoip:\n- ", printed.out.replace("  -", "-"))


OUI = """Registry,Assignment,Organization Name,Organization Address
MA-L,002272,American Micro-Fuel Device Corp.,2181 Buchanan Loop
MA-L,080030,"NETWORK RESEARCH, ""CORP"", INC.","1, Street
Town"
MA-L,741AE0,IEEE Registration Authority,445 Hoes Lane
"""
MAM = "Registry,Assignment,Organization Name,Organization Address\nMA-M,741AE09,Medium,x\n"
OUI_TXT = "company_id\tOrganization\r\n\r\n00-22-72   (hex)\t\tMicro-Fuel\r\n002272     (base 16)\t\tMicro-Fuel\r\n\t\t\t\tUS\r\n"


class Vendors(Case):
    def setUp(self):
        super().setUp()
        for name, content in (("oui.csv", OUI), ("mam.csv", MAM), ("oui.txt", OUI_TXT)):
            with open(self.path(name), "w", encoding="utf-8", newline="") as f:
                f.write(content)
        self.lists = self.path("oui.csv") + "," + self.path("mam.csv")
        pairs = (("002272000001", "080030000001"), ("741ae0900001", "741ae0800001"), ("022272000001", "012272000001"),
                 ("000000000000", "ffffffffffff"))
        with pcapio.Writer(self.capture) as out:
            for i, (source, target) in enumerate(pairs):
                frame = bytes.fromhex(target + source) + frames.datagram("10.0.0.1", "10.0.0.2", 1000 + i, 53, b"x")[12:]
                out.add(10**18 + i * 10**6, frame)

    def vendors(self, *more):
        return [(flow.get("src_mac_vendor"), flow.get("dst_mac_vendor")) for flow in self.flows(*more)]

    def test_lists(self):
        network, fuel = 'NETWORK RESEARCH, "CORP", INC.', "American Micro-Fuel Device Corp."
        self.assertEqual([(fuel, network), ("Medium", None), (None, None), (None, None)], self.vendors("--mac-vendors", self.lists))
        self.assertEqual([(fuel, network), (None, None), (None, None), (None, None)],
                         self.vendors("--mac-vendors", self.path("oui.csv")))
        self.assertEqual(("Micro-Fuel", None), self.vendors("--mac-vendors", self.path("oui.txt"))[0])
        self.assertEqual([(None, None)] * 4, self.vendors())

    def test_only_json(self):
        """It has no element; an IPFIX output beside JSON is none the wiser."""
        path = self.path("flows.ipfix")
        done = self.probe("-o", f"ipfix+file://{path}?template=full", "-o", "json:-", "--mac-vendors", self.lists)
        self.assertIn("src_mac_vendor", done.flows[0])
        with open(path, "rb") as f:
            octets = f.read()
        ipfix_strict.decode(octets)
        self.assertNotIn(b"Micro-Fuel", octets)
        done = self.probe("-o", f"ipfix+file://{path}?template=%sourceMacVendor", status=1)
        self.assertIn("sourceMacVendor", done.err)

    def test_refused(self):
        for name, content, why in (("empty", "", "no file of 1 octet"), ("text", "no list\n", "no list of IEEE's"),
                                   ("row", OUI + "MA-L,00227,Short,x\n", ":6: an assignment")):
            with open(self.path(name), "w", encoding="utf-8") as f:
                f.write(content)
            done = self.probe("-o", "json:-", "--mac-vendors", self.path(name), status=1)
            self.assertIn(self.path(name), done.err)
            self.assertIn(why, done.err)
            self.assertEqual(1, l7.probe("--check", "-r", self.capture, "--mac-vendors", self.path(name)).status)

    def test_debian(self):
        """The package's own lists, if it is there: more makers than anybody would write into a test."""
        path = "/usr/share/ieee-data/oui.csv"
        if not os.path.exists(path):
            self.skipTest("ieee-data is not installed")
        with open(self.capture, "rb") as f:
            start = f.read()
        for kind in ("oui.csv", "oui.txt", "oui.csv,/usr/share/ieee-data/mam.csv,/usr/share/ieee-data/oui36.csv"):
            with open(self.capture, "wb") as f:
                f.write(start)
            self.assertIn("American Micro-Fuel", self.vendors("--mac-vendors", "/usr/share/ieee-data/" + kind)[0][0])


@unittest.skipUnless(l7.can_build(), "needs root and network namespaces")
class Live(Case):
    """In a namespace, confined as it always is."""

    def setUp(self):
        super().setUp()
        self.asn = self.path("asn.mmdb")
        systems(self.asn)
        self.ports = 0

    def put(self, found, name="asn.mmdb"):
        """As geoipupdate does it: another file takes the name."""
        systems(self.path("new"), found)
        os.rename(self.path("new"), self.path(name))

    def run_live(self, space):
        return space.probe("-i", "eth7", "-o", f"json+file://{self.path('live.json')}", "--geoip", self.asn, "--active-timeout", "0",
                           "--idle-timeout", "1")

    def see(self, space):
        """The autonomous system that a new flow's record has; None for none."""
        self.ports += 1
        space.send(("eth7", frames.datagram("192.0.2.1", "10.0.0.1", 2000 + self.ports, 40000, b"one")))
        tick = ("eth7", frames.datagram("10.0.0.3", "10.0.0.4", 9, 9, b"clock"))

        def found():
            space.send(tick)
            with open(self.path("live.json"), encoding="utf-8") as f:
                return [flow for flow in l7.json_lines(f.read()) if flow["src_port"] == 2000 + self.ports]
        return l7.wait_for("its record", found)[0].get("src_as")

    def hang_up(self, probe, what):
        before = probe.err.count(what)
        probe.child.send_signal(signal.SIGHUP)
        l7.wait_for(f'"{what}" is said', lambda: probe.err.count(what) > before)

    def test_reload(self):
        with Space("eth7") as space, self.run_live(space) as probe:
            workers = l7.children(probe.child.pid)
            self.assertEqual(64500, self.see(space))
            self.put({"192.0.2.0/24": (77, "Other")})
            self.assertEqual(64500, self.see(space))        # nobody has said that it is there
            self.hang_up(probe, "the files of geoip are new")
            self.assertEqual(77, self.see(space))
            with open(self.asn, "r+b") as f:                # whatever becomes of the file: it was copied
                f.truncate(100)
            self.assertEqual(77, self.see(space))
            for bad in (b"", b"garbage" * 1000):
                with open(self.path("new"), "wb") as f:
                    f.write(bad)
                os.rename(self.path("new"), self.asn)
                self.hang_up(probe, "what was in force stays")
                self.assertIn(f"{self.asn}: it is ", probe.err)
                self.assertEqual(77, self.see(space))
            os.unlink(self.asn)
            self.hang_up(probe, "what was in force stays")
            self.assertEqual(77, self.see(space))
            self.put({"198.51.100.0/24": (78, "Not this one")})
            self.hang_up(probe, "the files of geoip are new")
            self.assertIsNone(self.see(space))
            self.hang_up(probe, "nothing is new to the workers")   # the same file: it is not read again
            self.assertEqual(2, probe.err.count("the files of geoip are new"))
            self.assertEqual(workers, l7.children(probe.child.pid))
            done = probe.stop()
        self.assertEqual(0, done.status, done.err)
        self.assertIn("worker confined", done.err)
        self.assertEqual(3, len([line for line in words(done.err) if "what was in force stays" in line]))
        self.assertEqual(0, done.stats["worker_restarts"])

    def test_asleep(self):
        """An exporter that has nothing to do takes new files too: those before it are not kept for it."""
        with Space("eth7") as space, self.run_live(space) as probe:
            exporter = l7.children(probe.child.pid)[0]

            def maps():
                with open(f"/proc/{exporter}/maps", encoding="ascii") as f:
                    return [line.split()[4] for line in f if "l7probe-geoip" in line]
            first = l7.wait_for("a file", maps)
            for i in range(3):
                self.put({"192.0.2.0/24": (100 + i, "x" * i)})
                self.hang_up(probe, "the files of geoip are new")
                first = l7.wait_for("another file, and no more than one", lambda: len(maps()) == 1 and maps() != first and maps(), 20)
            self.assertEqual(102, self.see(space))
            self.assertEqual([], [fd for worker in l7.children(probe.child.pid)[1:] for fd in os.listdir(f"/proc/{worker}/fd")
                                  if "geoip" in os.readlink(f"/proc/{worker}/fd/{fd}")])
            self.assertEqual([], [fd for fd in os.listdir(f"/proc/{probe.child.pid}/fd")
                                  if "geoip" in os.readlink(f"/proc/{probe.child.pid}/fd/{fd}")])
            self.assertEqual(0, probe.stop().status)

    def test_other_files(self):
        """Which files is for the start."""
        config = self.path("probe.yaml")
        with open(config, "w", encoding="utf-8") as f:
            f.write(f"geoip: {self.asn}\n")
        with Space("eth7") as space, space.probe("-i", "eth7", "-o", "json:-", "-c", config) as probe:
            with open(config, "w", encoding="utf-8") as f:
                f.write(f"geoip: {self.path('city.mmdb')}\nmac_vendors: /nonexistent\n")
            self.hang_up(probe, "nothing is new")
            self.assertIn("geoip has changed: restart to have it so", probe.err)
            self.assertIn("mac-vendors has changed", probe.err)
            self.assertEqual(0, probe.stop().status)


if __name__ == "__main__":
    l7.main()
