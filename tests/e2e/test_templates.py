#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Templates over UDP: a receiver that is started late, two probes behind one address, and a probe that comes back with another profile, to
nfcapd, l7watch, tshark and readers of our own.

What probes have sent is kept, and sent again to a receiver from one address and port, from the datagram and in the order that the test
wants.
"""
import collections
import itertools
import os
import shutil
import socket
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import exports  # noqa: E402
import frames  # noqa: E402
import ipfix  # noqa: E402
import ipfix_strict  # noqa: E402
import l7  # noqa: E402
import netflow  # noqa: E402
import pcapio  # noqa: E402
import sink  # noqa: E402
import test_netflow  # noqa: E402

REFRESH, RATE = 1, 60
V9, IPFIX = "netflow9+udp", "ipfix+udp"
RULES = "version: 1\nrules: []\n"


class Timed(sink.Sink):
    """When each datagram came, too."""

    def collect(self):
        self.times = []
        while (octets := self.socket.recv(65536)) != b"end":
            self.datagrams.append(octets)
            self.times.append(time.monotonic())


def export(name, scheme, options):
    """(datagrams, their times) of a capture's export."""
    hub = Timed()
    done = l7.probe("-r", l7.corpus(name), *l7.NO_TIMEOUTS, "-o", f"{scheme}://127.0.0.1:{hub.port}{options}")
    if done.status != 0:
        raise AssertionError(done.err)
    return hub.finish(), hub.times


def has_templates(datagram, scheme):
    return int.from_bytes(datagram[16:18] if scheme == IPFIX else datagram[20:22], "big") < 256


def renumbered(datagram, scheme):
    """As an exporter has it that begins with the same numbers whatever is in its templates: 300, 301, and so on."""
    out, at = bytearray(datagram), 16 if scheme == IPFIX else 20

    def number(place):
        ident = int.from_bytes(out[place:place + 2], "big")
        if ident >= 1024:
            out[place:place + 2] = (300 + ident % 4).to_bytes(2, "big")

    while at < len(out):
        ident, size = (int.from_bytes(out[at + i:at + i + 2], "big") for i in (0, 2))
        number(at)
        place = at + 4
        while ident == (2 if scheme == IPFIX else 0) and place + 4 < at + size:
            number(place)
            fields = int.from_bytes(out[place + 2:place + 4], "big")
            for place in itertools.accumulate(range(fields), lambda p, _: p + (8 if out[p] & 0x80 and scheme == IPFIX else 4),
                                              initial=place + 4):
                pass
        at += size
    return bytes(out)


class Patient(ipfix.Reader):
    """Takes a session from anywhere; sets without a template are left out and counted."""

    def __init__(self):
        super().__init__()
        self.unknown = 0

    def read_set(self, domain, kind, body):
        if kind >= 256 and (domain, kind) not in self.templates:
            self.unknown += 1
        else:
            super().read_set(domain, kind, body)

    def feed(self, message):
        self.sequences.clear()
        super().feed(message)


class Replay:
    """Of a TestCase: receivers get datagrams from one socket."""

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="l7templates-")
        self.addCleanup(shutil.rmtree, self.folder)
        self.port = None

    @staticmethod
    def send(port, datagrams):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            for i, datagram in enumerate(datagrams):
                s.sendto(datagram, ("127.0.0.1", port))
                if i % 50 == 49:
                    l7.wait_for("room", lambda: l7.udp_queue(port)[0] < 100000)

    def nfcapd(self, datagrams):
        """What nfdump has then, as test_netflow.Half."""
        shutil.rmtree(self.folder)
        os.mkdir(self.folder)
        like = test_netflow.Nfcapd
        with like.start(self) as nfcapd:
            self.send(self.port, datagrams)
            self.said = like.stop(self, nfcapd)
        return collections.Counter(like.half(flow) for flow in like.flows(self))

    def watch(self, datagrams):
        """The statistics of an l7watch."""
        port = l7.free_port(socket.SOCK_DGRAM)
        with l7.Watch(RULES, more=("-l", f"ipfix+udp://127.0.0.1:{port}")) as watch:
            self.send(port, datagrams)
            l7.wait_for("l7watch has taken all", lambda: l7.udp_queue(port)[0] == 0 and l7.waits(watch.child.pid))
            self.assertEqual(0, l7.udp_queue(port)[1])
            return watch.stop().stats

    def tshark(self, datagrams, port, **how):
        """Octets of the data records."""
        path = os.path.join(self.folder, "capture.pcap")
        made = [frames.datagram(exports.PROBE, exports.COLLECTOR, 40000, port, d) for d in datagrams]
        pcapio.write(path, [(10**18 + i * 10**6, frame, len(frame)) for i, frame in enumerate(made)])
        return [octets for _, octets in exports.tshark(path, **how)]


class Late(Replay, unittest.TestCase):
    """From whatever datagram on: within one refresh the templates are there, and all that follows is understood."""

    def every_start(self, scheme, reader, count):
        datagrams, times = export("1kxun.pcap", scheme, f"?refresh={REFRESH}&rate={RATE}&template=iana")
        whole = reader()
        after = []  # records understood after each datagram
        for datagram in datagrams:
            whole.feed(datagram)
            after.append(count(whole))
        self.assertEqual(sum(test_netflow.expected("1kxun.pcap", V9).values()), after[-1])
        rounds = [i for i, d in enumerate(datagrams) if has_templates(d, scheme) and not (i and has_templates(datagrams[i - 1], scheme))]
        self.assertGreater(len(rounds), 2)
        for start in range(1, len(datagrams)):
            late = reader()
            for datagram in datagrams[start:]:
                late.feed(datagram)
            heard = count(late)
            told = next((i for i in rounds if i >= start), len(datagrams))
            before = after[min(told, len(datagrams)) - 1]
            self.assertGreaterEqual(heard, after[-1] - before, start)  # all from the templates on
        waits = [b - a for a, b in zip(rounds, rounds[1:])]
        self.assertTrue(waits)
        longest = max(times[b] - times[a] for a, b in zip(rounds, rounds[1:]))
        self.assertLess(longest, 10 * REFRESH)  # nobody says how late a busy machine is; the timer's own test is test_exporter_net.c
        return datagrams, rounds, after

    def test_version_9(self):
        self.every_start(V9, lambda: netflow.Reader(patient=True), lambda reader: len(reader.halves))

    def test_ipfix(self):
        datagrams, rounds, after = self.every_start(IPFIX, Patient, lambda reader: len(reader.records))
        start, told = rounds[0] + 8, rounds[1]  # in the middle of the first second
        rest = after[-1] - after[told - 1]
        late = Patient()
        for datagram in datagrams[start:]:
            late.feed(datagram)
        self.assertEqual(rest, len(late.records))
        stats = self.watch(datagrams[start:])
        self.assertEqual(rest, stats["records"])
        self.assertGreater(stats["refused"].get("no_template", stats.get("no_template", 0)), 0)
        if shutil.which("nfcapd"):
            self.assertEqual(rest, sum(self.nfcapd(datagrams[start:]).values()))
        found = collections.Counter(self.tshark(datagrams[told:], 4739, sequence=False))
        self.assertEqual({}, dict(collections.Counter(exports.values(r) for r in late.records) - found))


@unittest.skipUnless(shutil.which("nfcapd"), "needs nfdump")
class TwoProbes(Replay, unittest.TestCase):
    """Behind one address and even one port, message by message in turn, with domains and templates of their own."""

    def both(self, scheme, as_sent=lambda datagram, scheme: datagram):
        sent = [export(name, scheme, f"?template=iana&domain={domain}{more}")[0] for domain, name, more in (
            (5, "telegram.pcap", "&times=epoch" if scheme == V9 else "&app_name=fixed32"), (6, "1kxun.pcap", ""))]
        sent = [[as_sent(d, scheme) for d in datagrams] for datagrams in sent]
        turns = [d for pair in zip(*sent) for d in pair]
        shorter = min(map(len, sent))
        return sent, turns + sent[0][shorter:] + sent[1][shorter:]

    def check(self, scheme, **how):
        sent, turns = self.both(scheme, **how)
        want = test_netflow.expected("telegram.pcap", V9, apps=False) + test_netflow.expected("1kxun.pcap", V9, apps=False)
        self.assertEqual(want, self.nfcapd(turns))
        self.assertIn("Sequence Errors: 0, Bad Packets: 0", self.said)
        return sent, turns, sum(want.values())

    def test_version_9(self):
        self.check(V9)
        _, turns, count = self.check(V9, as_sent=renumbered)
        self.assertLess(count, len(self.tshark(turns, 2055)))

    def test_ipfix(self):
        self.received()

    def test_ipfix_of_the_same_numbers(self):
        self.received(as_sent=renumbered)

    def received(self, **how):
        sent, turns, count = self.check(IPFIX, **how)
        stats = self.watch(turns)
        self.assertEqual((count, 0), (stats["records"], stats["lost"]), stats)
        wanted = collections.Counter()
        for domain, datagrams in zip((5, 6), sent):
            strict = ipfix_strict.Strict(domain=domain)
            for datagram in datagrams:
                strict.feed(datagram)
            wanted.update(exports.values(r) for r in strict.flows)
        self.assertEqual({}, dict(wanted - collections.Counter(self.tshark(turns, 4739))))


class AnotherProfile(Replay, unittest.TestCase):
    """
    A probe is started again with another profile, from the same address and domain, and its templates come after its data: over UDP that
    may be. Nothing is read by the templates of the first run.
    """

    def runs(self, scheme, first, second):
        one = export("telegram.pcap", scheme, f"?template={first}")[0]
        two = export("teams.pcap", scheme, f"?template={second}")[0]
        templates = [d for d in two if has_templates(d, scheme)]
        return one, [d for d in two if not has_templates(d, scheme)], templates

    def test_ipfix(self):
        for first, second in (("standard", "full"), ("iana", "security")):
            with self.subTest(first, second=second):
                one, data, templates = self.runs(IPFIX, first, second)
                reader = Patient()
                for datagram in one:
                    reader.feed(datagram)
                known = len(reader.records)
                for datagram in data:
                    reader.feed(datagram)
                self.assertEqual(known, len(reader.records))
                self.assertGreater(reader.unknown, 0)
                for datagram in templates + data:
                    reader.feed(datagram)
                self.assertGreater(len(reader.records), known)
                stats = self.watch(one + data)
                self.assertEqual(known, stats["records"])

    @unittest.skipUnless(shutil.which("nfcapd"), "needs nfdump")
    def test_nfcapd(self):
        for scheme in (IPFIX, V9):
            with self.subTest(scheme):
                one, data, templates = self.runs(scheme, "iana", "ntop" if scheme == V9 else "flowId,sourceIPv4Address,packetDeltaCount")
                known = self.nfcapd(one)
                self.assertEqual(known, self.nfcapd(one + data))
                self.assertLess(sum(known.values()), sum(self.nfcapd(one + templates + data).values()))

    def test_each_number_means_one_thing(self):
        """Over all profiles and options, of runs that have nothing in common but this."""
        meaning = {}
        for profile in exports.PROFILES + ("flowId", "flowId,octetDeltaCount", "octetDeltaCount,flowId"):
            for more in ("", "&app_name=fixed32", "&domain=9&early=1"):
                strict = ipfix_strict.Strict(domain=9 if "domain" in more else 1)
                for datagram in export("telegram.pcap", IPFIX, f"?template={profile}{more}")[0]:
                    strict.feed(datagram)
                for ident, template in strict.templates.items():
                    self.assertEqual(meaning.setdefault(ident, template.fields), template.fields, ident)
        self.assertGreater(len(meaning), 30)


if __name__ == "__main__":
    l7.main()
