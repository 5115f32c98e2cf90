#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What l7probe writes as IPFIX, line by line of RFC 7011: each profile over UDP and TCP and in a file.

tests/lib/ipfix_strict.py judges; libfixbuf's ipfixDump and tshark read the
files too. That the judge is strict is shown on messages broken on purpose.
"""
import os
import socket
import struct
import sys
import tempfile
import threading
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import ipfix  # noqa: E402
import ipfix_strict  # noqa: E402
import l7  # noqa: E402

CAPTURES = ("telegram.pcap", "teams.pcap", "1kxun.pcap", "dns_long_domainname.pcap")
PROFILES = ("standard", "iana", "ntop", "security", "full")
FIELDS = os.path.join(l7.ROOT, "templates", "fields.def")
FLOW_ID, DIRECTION = (0, 148), (0, 239)
APPLICATION, EXPORTED, PACKETS_SEEN, MTU_ROOM = (0, 95), (0, 42), (0, 86), 48


def number(record, key):
    return int.from_bytes(record[key], "big")


class Receiver:
    """Keeps every message of one session: a socket, or a file."""

    def __init__(self, scheme, folder):
        self.scheme, self.messages, self.error = scheme, [], None
        if scheme == "ipfix+file":
            self.path = folder + "/flows.ipfix"
            self.uri = "ipfix+file://" + self.path
            return
        kind = socket.SOCK_STREAM if scheme == "ipfix+tcp" else socket.SOCK_DGRAM
        self.socket = socket.socket(socket.AF_INET, kind)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.settimeout(60)
        if kind == socket.SOCK_STREAM:
            self.socket.listen(1)
        self.uri = f"{scheme}://127.0.0.1:{self.socket.getsockname()[1]}"
        self.thread = threading.Thread(target=self.collect, daemon=True)
        self.thread.start()

    def collect(self):
        try:
            if self.scheme == "ipfix+udp":
                while (datagram := self.socket.recv(65536)) != b"end":
                    self.messages.append(datagram)
                return
            stream = b""
            with self.socket.accept()[0] as peer:
                while octets := peer.recv(65536):
                    stream += octets
            self.messages = ipfix_strict.messages(stream)
        except (OSError, ValueError) as error:
            self.error = error

    def finish(self):
        if self.scheme == "ipfix+file":
            with open(self.path, "rb") as f:
                self.messages = ipfix_strict.messages(f.read())
            return self.messages
        if self.scheme == "ipfix+udp":
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
                s.sendto(b"end", ("127.0.0.1", self.socket.getsockname()[1]))
        self.thread.join(60)
        self.socket.close()
        if self.error:
            raise self.error
        return self.messages


def judge(messages, **options):
    strict = ipfix_strict.Strict(**options)
    for message in messages:
        strict.feed(message)
    return strict


class Export(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def export(self, path, scheme, profile, more="", arguments=l7.NO_TIMEOUTS):
        """(JSON flows, the judge after all messages) of one capture."""
        receiver = Receiver(scheme, self.folder)
        done = l7.probe("-r", path, *arguments, "-t", profile, "-o", receiver.uri + more, "-o", "json:-", "--stats")
        self.assertEqual(0, done.status, done.err)
        longest = 1400 - MTU_ROOM if scheme == "ipfix+udp" else 65535
        self.done = done
        return done.flows, judge(receiver.finish(), longest=longest)


class EveryProfile(Export):
    def check(self, scheme):
        for profile in PROFILES:
            for name in CAPTURES:
                with self.subTest(profile=profile, capture=name):
                    flows, strict = self.export(l7.corpus(name), scheme, profile)
                    self.compare(profile, flows, strict)

    def compare(self, profile, flows, strict):
        packets = sum(f["packets"] + f["rev_packets"] for f in flows)
        octets = sum(f["octets"] + f["rev_octets"] for f in flows)
        self.assertEqual((packets, octets), ipfix.sums(strict.flows))
        self.assertEqual({int(f["flow_id"]) for f in flows}, {number(r, FLOW_ID) for r in strict.flows})
        if profile != "iana":
            self.assertEqual(len(flows), len(strict.flows))
        self.statistics(strict)

    def statistics(self, strict):
        """At the start nothing was exported, at the end everything, and the packets are those of the file."""
        found = [r for r in strict.options if EXPORTED in r]
        self.assertGreaterEqual(len(found), 2)
        self.assertEqual(0, number(found[0], EXPORTED))
        self.assertEqual(len(strict.flows), number(found[-1], EXPORTED))
        self.assertEqual(self.done.stats["packets"], number(found[-1], PACKETS_SEEN))
        output = self.done.stats["outputs"][0]
        self.assertEqual((len(strict.flows), 0), (output["sent"], output["dropped"]))

    def test_udp(self):
        self.check("ipfix+udp")

    def test_tcp(self):
        self.check("ipfix+tcp")

    def test_file(self):
        self.check("ipfix+file")


class Profiles(Export):
    def test_iana_halves(self):
        """No enterprise anywhere; each half has packets, and the two of a flow mirror each other."""
        for name in CAPTURES:
            with self.subTest(name):
                flows, strict = self.export(l7.corpus(name), "ipfix+file", "iana")
                for template in strict.templates.values():
                    self.assertEqual({0}, {enterprise for (enterprise, _), _ in template.fields})
                halves = [(number(r, FLOW_ID), r[0, 7], r[0, 11], number(r, ipfix.PACKETS)) for r in strict.flows]
                expected = []
                for f in flows:
                    ports = struct.pack(">H", f["src_port"]), struct.pack(">H", f["dst_port"])
                    if f["packets"]:
                        expected.append((int(f["flow_id"]), *ports, f["packets"]))
                    if f["rev_packets"]:
                        expected.append((int(f["flow_id"]), *ports[::-1], f["rev_packets"]))
                self.assertEqual(sorted(expected), sorted(halves))
                known = {int(f["flow_id"]): f["biflow_direction"] for f in flows}
                seen = {}
                for r in strict.flows:
                    seen.setdefault(number(r, FLOW_ID), []).append(number(r, DIRECTION))
                for flow, directions in seen.items():
                    if known[flow] == 1 and len(directions) == 2:
                        self.assertEqual([1, 2], sorted(directions))

    def test_iana_early(self):
        """An early record, and a last one with no packets: no half without packets, sums as ever."""
        path = l7.corpus("teams.pcap")
        flows, strict = self.export(path, "ipfix+file", "iana", "?early=1")
        self.assertTrue(all(number(r, ipfix.PACKETS) for r in strict.flows))
        packets = sum(f["packets"] + f["rev_packets"] for f in flows)
        self.assertEqual(packets, ipfix.sums(strict.flows)[0])
        output = self.done.stats["outputs"][0]
        self.assertEqual((len(strict.flows), len(strict.flows)), (output["records"], output["sent"]))

    def test_full_is_all(self):
        """Every field of fields.def that IPFIX has; what is of tunnels in the templates of flows in one, and only there."""
        _, strict = self.export(l7.corpus("telegram.pcap"), "ipfix+file", "full")
        pens = {"IANA": 0, "REVERSE": 29305, "NTOP": 35632, "OWN": 32473}
        expected = set()
        with open(FIELDS, encoding="utf-8") as f:
            for line in f:
                if line.startswith("L7_FIELD("):
                    words = [w.strip() for w in line.split(",")]
                    if words[3] in pens:
                        expected.add((pens[words[3]], int(words[4])))
        found = [{key for key, _ in strict.flow_template(kind).fields} for kind in range(4)]
        self.assertEqual(expected, found[2] | found[3])
        tunnels = {(32473, number) for number in (39, 40, 41, 42)}
        for plain, tunnelled in ((0, 2), (1, 3)):
            self.assertEqual(tunnels, found[tunnelled] - found[plain])

    def test_ntop_names(self):
        flows, strict = self.export(l7.corpus("telegram.pcap"), "ipfix+file", "ntop")
        self.assertEqual(sorted(f["app"] for f in flows), sorted(r[35632, 119].decode() for r in strict.flows))
        self.assertEqual(sorted(f.get("category", "") for f in flows),
                         sorted(r[35632, 501].decode() for r in strict.flows))
        for record in strict.flows:
            self.assertEqual(record[APPLICATION][2:], record[35632, 118])

    def test_lists(self):
        """nProbe's names, IPFIX names, and a file: the same fields in the same order."""
        path = self.folder + "/mine.tmpl"
        with open(path, "w", encoding="utf-8") as f:
            f.write("# mine\nflowId\nsourceIPv4Address # and IPv6\n%L7_PROTO_NAME, IN_BYTES\n\tOUT_BYTES\n")
        keys = [(0, 148), (0, 8), (35632, 119), (0, 1), (29305, 1)]
        for spec in (path, "%FLOW_ID %IPV4_SRC_ADDR %L7_PROTO_NAME %IN_BYTES %OUT_BYTES",
                     "flowId,sourceIPv4Address,l7ProtocolName,octetDeltaCount,reverseOctetDeltaCount"):
            with self.subTest(spec):
                _, strict = self.export(l7.corpus("telegram.pcap"), "ipfix+file", spec)
                self.assertEqual(keys, [key for key, _ in strict.flow_template(0).fields])
                self.assertEqual((0, 27), strict.flow_template(1).fields[1][0])

    def test_wrong_lists(self):
        path = self.folder + "/bad.tmpl"
        with open(path, "w", encoding="utf-8") as f:
            f.write("flowId\noctetDeltaCnt\n")
        for spec, said in ((path, path + ":2: octetDeltaCnt is not a field; did you mean octetDeltaCount?"),
                           ("standrad", "did you mean standard?"),
                           ("flowId,octetDeltaCnt", "did you mean octetDeltaCount?"),
                           ("%IPV4_SRC_ADR", "did you mean IPV4_SRC_ADDR?"),
                           ("flowId,flowId", "flowId is listed twice"),
                           ("%IN_BYTES octetDeltaCount", "is listed twice"),
                           ("masterName,flowId", "masterName is not in IPFIX"),
                           (",", "without fields"), ("", "without fields"),
                           (self.folder + "/none.tmpl", "No such file"), (self.folder + "/", "")):
            with self.subTest(spec):
                done = l7.probe("-r", l7.STORY, "-t", spec, "-o", "json:-")
                self.assertEqual(1, done.status)
                self.assertIn(said, done.err)
                self.assertEqual("", done.out)
                if spec and "%" not in spec:
                    done = l7.probe("-r", l7.STORY, "-o", f"ipfix+udp://127.0.0.1?template={spec}")
                    self.assertEqual(1, done.status)
                    self.assertIn(said, done.err)


class Lists(Export):
    """What can be asked for is listed, and what is listed can be asked for."""

    def lines(self, option, *more):
        done = l7.probe(option, *more)
        self.assertEqual((0, ""), (done.status, done.err))
        return [line.split() for line in done.out.splitlines()]

    def test_fields(self):
        rows = self.lines("--list-fields", "--pen", "4711")[1:]
        names = [row[0] for row in rows if row[0] != "-"]
        done = l7.probe("-r", l7.STORY, "-t", ",".join(names), "-o", "json:-")
        self.assertEqual(0, done.status, done.err)
        nprobe = [row[5] for row in rows if row[5] != "-"]
        done = l7.probe("-r", l7.STORY, "-t", " ".join("%" + name for name in nprobe), "-o", "json:-")
        self.assertEqual(0, done.status, done.err)
        self.assertIn(["streamId", "4711", "5", "8", "stream_id"], [row[:5] for row in rows])
        keys = {row[4] for row in rows}
        for flow in done.flows:
            self.assertLessEqual(set(flow), keys)

    def test_templates(self):
        rows = self.lines("--list-templates")
        self.assertEqual(sorted(PROFILES), sorted(row[0] for row in rows))
        for name, fields in rows:
            _, by_name = self.export(l7.STORY, "ipfix+file", name)
            _, by_list = self.export(l7.STORY, "ipfix+file", fields)
            self.assertEqual(by_name.flow_template(0).fields, by_list.flow_template(0).fields)

    def test_protocols(self):
        rows = self.lines("--list-protocols")[1:]
        named = {row[1]: (int(row[0]), row[2]) for row in rows}
        self.assertEqual(len(rows), len(named))
        _, strict = self.export(l7.STORY, "ipfix+file", "standard")
        sent = {r[APPLICATION]: r[0, 96].rstrip(b"\0").decode() for r in strict.options if APPLICATION in r}
        self.assertEqual({int.from_bytes(i[1:], "big"): n for i, n in sent.items()},
                         {ident: name[:24] for name, (ident, _) in named.items()})
        self.assertEqual("Chat", named["Telegram"][1])


class File(Export):
    def write(self, name, profile="standard"):
        flows, strict = self.export(l7.corpus(name), "ipfix+file", profile)
        return flows, strict, self.folder + "/flows.ipfix"

    def test_ipfixdump(self):
        for profile in PROFILES:
            with self.subTest(profile):
                _, strict, path = self.write("1kxun.pcap", profile)
                done = l7.run(["ipfixDump", "--stats", "-i", path])
                self.assertEqual(0, done.status, done.err)
                total = f"{strict.messages} Messages, {strict.sequence} Data Records, {len(strict.templates)} Template"
                self.assertIn(total, done.out)
                done = l7.run(["ipfixDump", "-i", path])
                self.assertEqual((0, ""), (done.status, done.err))

    def test_tshark(self):
        for profile in PROFILES:
            with self.subTest(profile):
                _, strict, path = self.write("1kxun.pcap", profile)
                done = l7.run(["tshark", "-n", "-r", path, "-o", "cflow.max_template_fields:0", "-T", "fields",
                               "-e", "_ws.malformed", "-e", "_ws.expert", "-e", "cflow.sequence"])
                rows = [line.split("\t") for line in done.out.splitlines()]
                self.assertEqual(strict.messages, len(rows))
                self.assertEqual([["", ""]] * len(rows), [row[:2] for row in rows])

    def test_write_error(self):
        """Said once, counted, exit 2; another output is not touched by it."""
        done = l7.probe("-r", l7.corpus("1kxun.pcap"), *l7.NO_TIMEOUTS, "-o", "ipfix+file:///dev/full", "-o", "json:-",
                        "--stats")
        self.assertEqual(2, done.status)
        self.assertEqual(1, done.said.count("No space left on device"))
        self.assertEqual(1, len(done.said.splitlines()))
        output = done.stats["outputs"][0]
        self.assertEqual((0, output["records"], 1), (output["sent"], output["dropped"], output["failed"]))
        self.assertEqual(len(done.flows), output["records"])

    @unittest.skipUnless(l7.can_build(), "needs root and namespaces")
    def test_disk_full(self):
        """The file system fills up inside a message: what is left is whole messages, the rest is counted."""
        script = ("mount -t tmpfs -o size=36k none $1 || exit 99; shift; status=0; \"$@\" || status=$?; "
                  "cat $0/flows.ipfix; exit $status")
        done = l7.subprocess.run(
            ["unshare", "-m", "sh", "-c", script, self.folder, self.folder, l7.L7PROBE, "-r",
             l7.corpus("1kxun.pcap"), *l7.NO_TIMEOUTS, "-t", "full", "-o", f"ipfix+file://{self.folder}/flows.ipfix",
             "--stats"], capture_output=True, timeout=60, stdin=l7.subprocess.DEVNULL)
        said = done.stderr.decode().splitlines()
        self.assertEqual(2, done.returncode, said)
        self.assertEqual(2, len(said), said)  # one line, and the statistics
        output = l7.json_lines(said[-1])[0]["outputs"][0]
        strict = ipfix_strict.decode(done.stdout)
        self.assertTrue(strict.options)
        self.assertEqual(len(strict.flows), output["sent"])
        self.assertEqual(output["records"], output["sent"] + output["dropped"])
        self.assertGreater(output["dropped"], 0)
        self.assertNotEqual(0, 36864 - len(done.stdout), "the disk was not filled inside a message")

    def test_cannot_open(self):
        done = l7.probe("-r", l7.STORY, "-o", "ipfix+file:///nonexistent/flows")
        self.assertEqual(2, done.status)
        self.assertIn("No such file", done.err)

    def test_standard_output(self):
        """A pipe by name: the reader gets the same messages."""
        path = l7.corpus("1kxun.pcap")
        argv = [l7.L7PROBE, "-r", path, *l7.NO_TIMEOUTS, "-o", "ipfix+file:///dev/stdout"]
        with l7.subprocess.Popen(argv, stdout=l7.subprocess.PIPE) as child:
            strict = ipfix_strict.decode(child.stdout.read())
        self.assertEqual(0, child.returncode)
        self.assertEqual(len(l7.probe_flows(path).flows), len(strict.flows))

    def test_domain(self):
        receiver = Receiver("ipfix+file", self.folder)
        done = l7.probe("-r", l7.STORY, "-o", receiver.uri + "?domain=77")
        self.assertEqual(0, done.status, done.err)
        self.assertTrue(judge(receiver.finish(), domain=77).flows)


class TheJudge(Export):
    """Every rule it knows, broken in a message that was right."""

    def setUp(self):
        super().setUp()
        self.export(l7.STORY, "ipfix+file", "standard")
        with open(self.folder + "/flows.ipfix", "rb") as f:
            self.good = f.read()
        first = struct.unpack_from(">H", self.good, 2)[0]
        self.first = self.good[:first]

    def refuse(self, stream, word):
        with self.assertRaises(ipfix_strict.Broken) as caught:
            ipfix_strict.decode(stream)
        self.assertIn(word, str(caught.exception))

    def with_u16(self, at, value):
        return self.good[:at] + struct.pack(">H", value) + self.good[at + 2:]

    def test_good(self):
        self.assertTrue(ipfix_strict.decode(self.good).flows)

    def test_header(self):
        self.refuse(self.with_u16(0, 9), "version")
        self.refuse(self.good[:-1], "cut")
        self.refuse(self.with_u16(4, 0), "export time")
        self.refuse(self.with_u16(10, 1), "sequence number")
        self.refuse(self.with_u16(14, 9), "observation domain")
        found = ipfix_strict.messages(self.good)
        self.refuse(b"".join(found[:1] + found[2:]), "sequence number")

    def test_sets(self):
        self.refuse(self.with_u16(16, 4), "reserved")
        self.refuse(self.with_u16(18, 3), "of length 3")
        self.refuse(self.with_u16(18, 0xFFF0), "of length")
        header = struct.pack(">HHIII", 10, 20, int(ipfix_strict.time.time()), 0, 1)
        self.refuse(header + struct.pack(">HH", 2, 4), "without a record")

    def test_templates(self):
        self.refuse(self.with_u16(20, 255), "template id")
        self.refuse(self.with_u16(22, 0), "withdrawal")
        self.refuse(self.with_u16(24, 0x7FFF), "registry")
        self.refuse(self.with_u16(26, 4), "length 4")
        self.refuse(self.with_u16(28, 152), "twice")
        # the first again, with the fields of another
        again = bytearray(self.first)
        again[24:26], again[28:30] = again[28:30], again[24:26]
        self.refuse(self.first + bytes(again), "changes")

    def test_data(self):
        strict = ipfix_strict.decode(self.first)
        header = struct.pack(">HHIII", 10, 16, int(ipfix_strict.time.time()), strict.sequence, 1)

        first = struct.unpack_from(">H", self.first, 20)[0]  # the id of its first template

        def message(ident, body):
            octets = header + struct.pack(">HH", ident or first, 4 + len(body)) + body
            return self.first + octets[:2] + struct.pack(">H", len(octets)) + octets[4:]

        self.refuse(message(300, b"1234"), "before its template")
        self.refuse(message(0, b"\0" * 8), "without a record")
        self.refuse(message(259, b"\0\0\0\1\xff\0\4name"), "long form")
        self.refuse(message(259, b"\0\0\0\1\3n\xffm"), "UTF-8")
        self.refuse(message(259, b"\0\0\0\1\3n\0m"), "octet 0")
        self.refuse(message(259, b"\0\0\0\1\7name"), "past its set")
        self.refuse(message(259, b"\0\0\0\1\4name\1"), "padding")


if __name__ == "__main__":
    l7.main()
