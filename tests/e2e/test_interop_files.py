#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The files of etc/interop say of elements what templates/fields.def does, and what receivers need at once is in every template."""
import collections
import os
import re
import shutil
import struct
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import elements  # noqa: E402
import frames  # noqa: E402
import ipfix  # noqa: E402
import l7  # noqa: E402
import netflow  # noqa: E402
import receivers  # noqa: E402
from space import Space  # noqa: E402

ROW = re.compile(r"^L7_FIELD\((\w+), [^,]+, (\w+), (\w+), (\d+), (\w+), (\d+), (\d+), ", re.M)
Row = collections.namedtuple("Row", "name type pen number octets netflow netflow_octets")
PENS = {"IANA": 0, "REVERSE": 29305, "NTOP": 35632, "OWN": 32473}
INGRESS, EGRESS, SAMPLING = 10, 14, 34


def rows():
    found = [Row(name, kind, PENS.get(pen), int(number), octets, int(n9), int(o9)) for name, kind, pen, number, octets, n9, o9
             in ROW.findall(elements.text_of("templates", "fields.def"))]
    return {row.name: row for row in found}


def is_text(row):
    return row.octets == "VARLEN" or "TEXT" in row.type


def files():
    return [os.path.join(folder, name) for folder, _, names in os.walk(receivers.INTEROP) for name in names]


class Elements(unittest.TestCase):
    def test_lists(self):
        for name in elements.FILES:
            with self.subTest(name):
                self.assertEqual(elements.as_it_should_be(name), elements.text_of("etc", "interop", *name.split("/")),
                                 "run tests/lib/elements.py")

    def test_types(self):
        """What the lists are made from, and what the probe itself tells of types (RFC 5610), is the same."""
        with tempfile.TemporaryDirectory() as folder:
            done = l7.probe("-r", l7.corpus("telegram.pcap"), "-t", "full", "-o", f"ipfix+file://{folder}/out")
            self.assertEqual(0, done.status, done.err)
            reader = ipfix.StreamReader()
            with open(folder + "/out", "rb") as f:
                reader.push(f.read())
        types = {1: "uint8", 2: "uint16", 3: "uint32", 4: "uint64", 13: "string", 19: "ip6"}

        def number(record, key):
            return int.from_bytes(record[0, key], "big")
        told = {(number(r, 346), number(r, 303)): types[number(r, 339)] for r in reader.options if (0, 303) in r}
        made = {(e.pen, e.number): e.type for e in elements.elements() if e.pen != elements.REVERSE}
        self.assertGreater(len(told), 60)
        self.assertEqual(told, made)

    def test_goflow2(self):
        """Each line of the mapping has the number of the element that its comment names, and a type that holds it."""
        with open(receivers.shipped("goflow2", "mapping.yaml"), encoding="utf-8") as f:
            head, part, rest = f.read().partition("\nipfix:\n")
        self.assertTrue(part)
        kinds = dict(re.findall(r"\{name: (\w+), index: \d+, type: (\w+)\}", head))
        fields = rows()
        seen = 0
        for version, text in zip((10, 9), rest.split("\nnetflowv9:\n")):
            for number, pen, destination, name in re.findall(
                    r"\{field: (\d+)(?:, penprovided: true, pen: (\d+))?, destination: (\w+)\} +# (\w+)", text):
                row = fields[name]
                self.assertEqual((row.number, row.pen) if version == 10 else (row.netflow, 0), (int(number), int(pen or 0)), name)
                self.assertEqual("string" if is_text(row) else "varint", kinds[destination], name)
                seen += 1
        self.assertEqual(rest.count("field:"), seen)
        self.assertGreater(seen, 25)

    def test_nfacctd(self):
        with open(receivers.shipped("nfacctd", "primitives.lst"), encoding="utf-8") as f:
            found = [dict(word.split("=") for word in line.split()) for line in f if line.startswith("name=")]
        known = {(row.netflow, row.netflow_octets, "str" if is_text(row) else "u_int") for row in rows().values() if row.netflow}
        for primitive in found:
            self.assertIn((int(primitive["field_type"]), int(primitive["len"]), primitive["semantics"]), known)
        self.assertGreater(len(found), 5)

    def test_commands(self):
        """Each command line for l7probe is taken, but that it looks at a capture here; the index has every folder."""
        commands = [re.findall(r"^[#!]   l7probe -i eth0 (.*)$", elements.text_of(path), re.M) for path in files()]
        self.assertGreater(sum(map(bool, commands)), 8)
        for line in sum(commands, []):
            with self.subTest(line):
                words = line.replace("collector", "127.0.0.1").replace("'", "").split()
                done = l7.probe("-r", l7.corpus("telegram.pcap"), *words, "--check")
                self.assertEqual((0, ""), (done.status, done.said))
        index = elements.text_of("etc", "interop", "README.md")
        for path in files():
            folder = os.path.relpath(os.path.dirname(path), receivers.INTEROP)
            self.assertTrue(folder == "." or f"]({folder})" in index, folder)


class NoEnterprise(unittest.TestCase):
    def test_iana(self):
        """Neither in templates nor in options, whatever there is to tell: sampling, names, statistics."""
        with tempfile.TemporaryDirectory() as folder:
            uri = f"ipfix+file://{folder}/out?template=iana&app_name=fixed32&heartbeat=1"
            done = l7.probe("-r", l7.corpus("teams.pcap"), "--sample-packets", "2", "--sample-flows", "2", "--site", "here", "-o", uri)
            self.assertEqual(0, done.status, done.err)
            reader = ipfix.StreamReader()
            with open(folder + "/out", "rb") as f:
                reader.push(f.read())
        self.assertGreater(len(reader.records), 10)
        self.assertGreater(len([ident for ident, options in reader.scopes.items() if options]), 4)
        self.assertEqual({0}, {enterprise for fields in reader.templates.values() for (enterprise, _), _ in fields})
        # With names of one length nothing in flow records varies: pmacct reads nothing else right.
        flows = [fields for ident, fields in reader.templates.items() if not reader.scopes[ident]]
        self.assertEqual({(0, 96): 32, (0, 372): 32}, {key: size for fields in flows for key, size in fields if size > 16})


@unittest.skipUnless(l7.can_build(), "needs root and network namespaces")
class AtOnce(unittest.TestCase):
    """What many receivers drop a record without: interfaces that are there, and the rate of sampling. On an interface, IPv4 and IPv6."""

    def packets(self):
        for i in range(1, 9):
            for src, dst in ((f"10.0.0.{i}", "10.0.1.1"), (f"fd00::{i}", "fd00::1:1")):
                yield "l7a", frames.ethernet(frames.ip(src, dst, frames.UDP, frames.udp(src, dst, 5000 + i, 53, b"x")))

    def watch(self, space, *outputs):
        """The number of the interface that flows were on, once they are exported."""
        arguments = [word for output in outputs for word in ("-o", output)]
        with space.probe("-i", "l7a", "-f", "udp port 53", *l7.NO_TIMEOUTS, *arguments) as probe:
            space.send(*self.packets())
            l7.settled(probe.child.pid)
            done = probe.stop()
        self.assertEqual(0, done.status, done.err)
        return space.index("l7a")

    def test_ipfix(self):
        with tempfile.TemporaryDirectory() as folder, Space("l7a") as space:
            index = self.watch(space, *(f"ipfix+file://{folder}/{profile}?template={profile}" for profile in receivers.PROFILES))
            for profile in receivers.PROFILES:
                reader = ipfix.StreamReader()
                with open(f"{folder}/{profile}", "rb") as f:
                    reader.push(f.read())
                said = {tuple(int.from_bytes(r[0, key], "big") for key in (INGRESS, EGRESS, SAMPLING)) for r in reader.records}
                self.assertEqual((profile, 16, {(index, index, 1)}), (profile, len(reader.records), said))

    def test_netflow(self):
        """Of v9 in each template; in v5 only of IPv4, its rate of sampling is in the header: 0 is none."""
        count = len(receivers.PROFILES) + 1
        with Space("l7a") as space, l7.Process(space.inside("/usr/bin/python3", "-c", SINK, str(count))) as sink:
            l7.wait_for("it listens", lambda: "ready" in sink.text(sink.out_path))
            index = self.watch(space, *(f"netflow9+udp://127.0.0.1:{FIRST_PORT + i}?template={profile}"
                                        for i, profile in enumerate(receivers.PROFILES)), f"netflow5+udp://127.0.0.1:{FIRST_PORT + count - 1}")
            l7.wait_for("it has read all", lambda: l7.waits(sink.child.pid))
            heard = [line.split() for line in sink.stop().out.splitlines()[1:]]
        datagrams = [[bytes.fromhex(text) for port, text in heard if int(port) == FIRST_PORT + i] for i in range(count)]
        for profile, messages in zip(receivers.PROFILES, datagrams):
            reader = netflow.Reader()
            for message in messages:
                reader.feed(message)
            said = {tuple(int.from_bytes(fields[key], "big") for key in (INGRESS, EGRESS, SAMPLING)) for fields in reader.fields}
            self.assertEqual((profile, 16, {(index, index, 1)}), (profile, len(reader.fields), said))
        records = [(message, at) for message in datagrams[-1] for at in range(24, len(message), 48)]
        self.assertEqual(8, len(records))
        self.assertEqual({(index, index)}, {struct.unpack_from(">HH", message, at + 12) for message, at in records})
        self.assertEqual({0}, {struct.unpack_from(">H", message, 22)[0] for message in datagrams[-1]})

    @unittest.skipUnless(shutil.which("nfcapd"), "needs nfdump")
    def test_nfcapd(self):
        """nfdump shows them, of the three protocols."""
        for scheme, count in ((receivers.V9, 16), (receivers.V5, 8), (receivers.IPFIX, 16)):
            with self.subTest(scheme), tempfile.TemporaryDirectory() as folder, Space("l7a") as space:
                with l7.Process(space.inside(*receivers.nfcapd(folder, FIRST_PORT))) as nfcapd:
                    l7.wait_for("it listens", lambda: "Bound to" in nfcapd.err)
                    index = self.watch(space, f"{scheme}://127.0.0.1:{FIRST_PORT}")
                    l7.wait_for("it has read all", lambda: l7.waits(nfcapd.child.pid))
                    nfcapd.stop()
                done = l7.run(["nfdump", "-R", folder, "-q", "-N", "-o", "fmt:%in %out %ipkt"])
                self.assertEqual([[str(index), str(index), "1"]] * count, [line.split() for line in done.out.splitlines() if line.strip()])


# Reads datagrams of so many ports and prints each with its port.
FIRST_PORT = 2055
SINK = f"""
import select, socket, sys
sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(int(sys.argv[1]))]
for i, s in enumerate(sockets): s.bind(("127.0.0.1", {FIRST_PORT} + i))
print("ready", flush=True)
while True:
    for s in select.select(sockets, [], [])[0]: print(s.getsockname()[1], s.recv(65536).hex(), flush=True)
"""


if __name__ == "__main__":
    l7.main()
