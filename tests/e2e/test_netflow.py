#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""NetFlow v9 and v5 (and IPFIX to nfacctd), as receivers that others wrote read it: nfcapd with nfdump, nfacctd, tshark.

What arrives is compared, record by record, with what the probe's own JSON says of the same capture: addresses, ports, counters, flags,
and times to the millisecond.
"""
import collections
import datetime
import json
import os
import re
import shutil
import signal
import socket
import struct
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import l7  # noqa: E402
import netflow  # noqa: E402
import receivers  # noqa: E402
import sink  # noqa: E402

CAPTURES = ("telegram.pcap", "teams.pcap", "1kxun.pcap", "http_ipv6.pcap")
V9, V5, IPFIX = "netflow9+udp", "netflow5+udp", "ipfix+udp"


def expected(name, scheme, apps=True):
    """What is to arrive: of v5 no IPv6, and no names."""
    found = netflow.all_halves(l7.probe_flows(l7.corpus(name)).flows, apps and scheme != V5)
    return found if scheme != V5 else collections.Counter({h: n for h, n in found.items() if netflow.fits_v5(h)})


def send(name, uri, *more):
    done = l7.probe("-r", l7.corpus(name), *l7.NO_TIMEOUTS, "-o", uri, "--stats", *more)
    if done.status != 0:
        raise AssertionError(f"exit {done.status}: {done.err}")
    return done


def collected(name, scheme, options="", *more):
    """The datagrams of a capture's export, and what the probe said."""
    hub = sink.Sink()
    done = send(name, f"{scheme}://127.0.0.1:{hub.port}{options}", *more)
    return hub.finish(), done


class OwnReader(unittest.TestCase):
    """A reader that was made from the specifications alone."""

    def check(self, name, scheme, options=""):
        datagrams, done = collected(name, scheme, options)
        reader = netflow.Reader()
        for datagram in datagrams:
            reader.feed(datagram)
        self.assertLessEqual(max(map(len, datagrams), default=0), 1400 - 48)
        self.assertEqual(expected(name, scheme), collections.Counter(reader.halves))
        output = done.stats["outputs"][0]
        self.assertEqual((len(reader.halves), output["records"]), (output["sent"], output["sent"] + output["dropped"]))
        return reader, done

    def test_version_9(self):
        for name in CAPTURES:
            for options in ("", "?template=iana", "?template=full", "?template=ntop&domain=77", "?times=epoch"):
                with self.subTest(name, options=options):
                    if "ntop" in options:   # it has no applicationName: the element that ntop has instead is compared
                        self.check_ntop(name, options)
                    else:
                        self.check(name, V9, options)

    def check_ntop(self, name, options):
        reader = netflow.Reader()
        for datagram in collected(name, V9, options)[0]:
            reader.feed(datagram)
        names = collections.Counter(r[57591].rstrip(b"\0").decode() for r in reader.fields)
        self.assertEqual(expected(name, V9, apps=False), collections.Counter(reader.halves))
        self.assertEqual(collections.Counter(h.app for h in expected(name, V9).elements()), names)

    def test_version_5(self):
        for name in CAPTURES:
            with self.subTest(name):
                _, done = self.check(name, V5)
                lost = sum(not netflow.fits_v5(h) for h in expected(name, V9).elements())
                output = done.stats["outputs"][0]
                self.assertEqual((lost, lost), (output["dropped"], output["dropped_ipv6"]))
                self.assertEqual(int(lost > 0), done.said.count("has no IPv6"), done.said)

    def test_tables(self):
        """Every application of a record is in the table, by the number that the record has."""
        reader, _ = self.check("telegram.pcap", V9)
        table = {r[netflow.APP_ID]: r[netflow.NAME].rstrip(b"\0") for r in reader.options if netflow.NAME in r}
        self.assertGreater(len(table), 200)
        for record in reader.fields:
            name = record[netflow.NAME].rstrip(b"\0").split(b".")[-1]
            if name != b"Unknown":
                self.assertEqual(name, table[record[netflow.APP_ID]])
        self.assertEqual([b"\0\0\0\x01"], [r[34] for r in reader.options if 34 in r])

    def test_sampled(self):
        """What a record stands for: in each of v9, and among the options."""
        reader = netflow.Reader()
        for datagram in collected("teams.pcap", V9, "", "--sample-flows", "2", "--sample-packets", "3")[0]:
            reader.feed(datagram)
        self.assertEqual({b"\0\0\0\x06"}, {r[34] for r in reader.fields})
        self.assertEqual([(b"\0\0\0\x06", b"\x02")], [(r[34], r[35]) for r in reader.options if 34 in r])

    def test_early_records_keep_sums(self):
        for scheme in (V9, V5):
            reader = netflow.Reader()
            for datagram in collected("telegram.pcap", scheme, "?early=1")[0]:
                reader.feed(datagram)
            want = expected("telegram.pcap", scheme)
            self.assertEqual([sum(getattr(h, key) for h in want.elements()) for key in ("packets", "octets")],
                             [sum(getattr(h, key) for h in reader.halves) for key in ("packets", "octets")])
            self.assertGreater(len(reader.halves), sum(want.values()))

    def test_anonymized(self):
        datagrams, _ = collected("telegram.pcap", V9, "?anonymize=sni:drop")
        self.assertFalse(any(b"www.google.com" in d for d in datagrams))
        self.assertTrue(any(b"www.google.com" in d for d in collected("telegram.pcap", V9)[0]))


@unittest.skipUnless(shutil.which("nfcapd"), "needs nfdump")
class Nfcapd(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="l7nfcapd-")
        self.addCleanup(shutil.rmtree, self.folder)

    def start(self, port=None):
        self.port = port or l7.free_port(socket.SOCK_DGRAM)
        nfcapd = l7.Process(receivers.nfcapd(self.folder, self.port))
        nfcapd.wait_until("nfcapd listens", lambda: l7.udp_queue(self.port))
        return nfcapd

    def stop(self, nfcapd):
        l7.wait_for("nfcapd has taken all", lambda: l7.udp_queue(self.port)[0] == 0 and l7.waits(nfcapd.child.pid))
        self.assertEqual(0, l7.udp_queue(self.port)[1], "the kernel dropped datagrams")
        done = nfcapd.stop()
        return done.out + done.err

    def flows(self):
        done = l7.run(["nfdump", "-R", self.folder, "-N", "-o", "json"], env=dict(os.environ, TZ="UTC"))
        self.assertEqual(0, done.status, done.err)
        return json.loads(done.out)

    @staticmethod
    def half(flow):
        def address(key):
            return flow.get(key + "4_addr") or socket.inet_ntop(
                socket.AF_INET6, socket.inet_pton(socket.AF_INET6, flow[key + "6_addr"]))

        def ms(text):
            return round(datetime.datetime.fromisoformat(text + "+00:00").timestamp() * 1000)
        flags = sum(1 << bit for bit, letter in enumerate(reversed(flow.get("tcp_flags", ""))) if letter != ".")
        return netflow.Half(address("src"), address("dst"), flow.get("src_port", 0), flow.get("dst_port", 0), flow["proto"],
                            flow["in_packets"], flow["in_bytes"], flags, ms(flow["first"]), ms(flow["last"]), "")

    def check(self, name, scheme, options=""):
        with self.start() as nfcapd:
            send(name, f"{scheme}://127.0.0.1:{self.port}{options}")
            said = self.stop(nfcapd)
        flows = self.flows()
        self.assertEqual(expected(name, scheme, apps=False), collections.Counter(self.half(f) for f in flows))
        self.assertEqual({"FLOW"}, {f["type"] for f in flows})   # none is taken for an event of a firewall
        self.assertFalse(any(f.get("out_bytes") for f in flows))
        self.assertIn("Sequence Errors: 0, Bad Packets: 0", said)

    def test_version_9(self):
        for name in CAPTURES:
            with self.subTest(name):
                self.setUp()
                self.check(name, V9)

    def test_names(self):
        """nfdump finds them in the application table, by the number of each record."""
        for name in ("telegram.pcap", "teams.pcap"):
            with self.subTest(name):
                self.setUp()
                with self.start() as nfcapd:
                    send(name, f"{V9}://127.0.0.1:{self.port}")
                    self.stop(nfcapd)
                words = receivers.command(receivers.shipped("nfcapd", "l7probe.conf"), "nfdump")
                words[words.index("-R") + 1] = self.folder
                done = l7.run(words + ["-q", "-N"])
                self.assertIn("%nbnam", words[-1])
                found = collections.Counter(line.split()[-1].split("/")[0] for line in done.out.splitlines() if line.strip())
                self.assertEqual(collections.Counter(h.app.split(".")[-1] for h in expected(name, V9).elements()), found)

    def test_version_9_profiles(self):
        for options in ("?template=iana", "?template=ntop", "?template=security", "?template=full", "?times=epoch", "?mtu=600"):
            for name in ("telegram.pcap", "http_ipv6.pcap"):
                with self.subTest(name, options=options):
                    self.setUp()
                    self.check(name, V9, options)

    def test_version_5(self):
        for name in CAPTURES:
            if expected(name, V5):
                with self.subTest(name):
                    self.setUp()
                    self.check(name, V5)

    def test_sampled(self):
        """Told in v5's header, nfdump multiplies by it; of v9 it does not."""
        for scheme, factor in ((V9, 1), (V5, 4)):
            with self.subTest(scheme):
                self.setUp()
                with self.start() as nfcapd:
                    done = send("teams.pcap", f"{scheme}://127.0.0.1:{self.port}", "--sample-flows", "4", "-o", "json:-")
                    self.stop(nfcapd)
                want = [h._replace(packets=factor * h.packets, octets=factor * h.octets)
                        for f in done.flows for h in netflow.halves(f, False)]
                self.assertGreater(len(want), 10)
                self.assertEqual(collections.Counter(want), collections.Counter(self.half(f) for f in self.flows()))

    def test_late(self):
        """Started in the middle it has the templates within a refresh, and all that follows."""
        rate, total = 60, sum(expected("1kxun.pcap", V9).values())
        first = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        first.bind(("127.0.0.1", 0))
        first.settimeout(60)
        port, early = first.getsockname()[1], netflow.Reader()
        with l7.Process([l7.L7PROBE, "-r", l7.corpus("1kxun.pcap"), *l7.NO_TIMEOUTS,
                         "-o", f"{V9}://127.0.0.1:{port}?refresh=1&rate={rate}"]) as probe:
            while len(early.halves) < 10:
                early.feed(first.recv(65536))
            first.close()
            with self.start(port) as nfcapd:
                self.assertEqual(0, probe.finish().status)
                self.stop(nfcapd)
        heard = len(self.flows())
        # A second of records is not understood at most, and some more while nobody listens.
        self.assertGreater(heard, total - len(early.halves) - 2 * rate)
        self.assertLess(heard, total)

    def test_two_domains(self):
        """Two probes behind one address, each with templates of its own under the same numbers."""
        with self.start() as nfcapd:
            probes = [l7.Process([l7.L7PROBE, "-r", l7.corpus(name), *l7.NO_TIMEOUTS, "-o",
                                  f"{V9}://127.0.0.1:{self.port}?refresh=1&rate=200&domain={domain}&template={template}"])
                      for domain, (name, template) in enumerate((("telegram.pcap", "full"), ("1kxun.pcap", "iana")), 5)]
            for probe in probes:
                with probe:
                    self.assertEqual(0, probe.finish().status)
            said = self.stop(nfcapd)
        want = expected("telegram.pcap", V9, apps=False) + expected("1kxun.pcap", V9, apps=False)
        self.assertEqual(want, collections.Counter(self.half(f) for f in self.flows()))
        self.assertEqual({"5", "6"}, set(re.findall(r"Domain: (\d+)", said)))


@unittest.skipUnless(shutil.which("nfacctd"), "needs pmacct")
class Nfacctd(unittest.TestCase):
    """With etc/interop/nfacctd: names of applications by aggregate_primitives; of v5 what there is."""

    PLACES = {"nfacctd_port: 2055": "nfacctd_ip: 127.0.0.1\nnfacctd_port: {port}", "/etc/pmacct/primitives.lst": "{primitives}",
              "/var/log/flows.json": "{folder}/out", "print_refresh_time[l7]: 60": "print_refresh_time[l7]: 1"}

    def collect(self, name, scheme, options):
        with tempfile.TemporaryDirectory() as folder:
            port = l7.free_port(socket.SOCK_DGRAM)
            places = {"port": port, "folder": folder, "primitives": receivers.shipped("nfacctd", "primitives.lst")}
            with open(folder + "/conf", "w", encoding="ascii") as f:
                f.write(receivers.changed(receivers.shipped("nfacctd", "nfacctd.conf"),
                                          {old: new.format(**places) for old, new in self.PLACES.items()} | self.ntop(options)))
            with l7.Process(["nfacctd", "-f", folder + "/conf"]) as nfacctd:
                nfacctd.wait_until("nfacctd and its plugin are there", lambda: l7.udp_queue(port) and "cache entries" in nfacctd.err)
                send(name, f"{scheme}://127.0.0.1:{port}{options}")
                l7.wait_for("nfacctd has taken all", lambda: l7.udp_queue(port)[0] == 0 and l7.waits(nfacctd.child.pid))
                nfacctd.child.send_signal(signal.SIGINT)   # its plugin has a last buffer then, and writes it in a process of its own
                nfacctd.finish()
                want = sum(expected(name, scheme).values())
                l7.wait_for("all are written", lambda: len(self.read(folder + "/out")) >= want)
            return self.read(folder + "/out")

    @staticmethod
    def ntop(options):
        """That template has ntop's element for the name, as the file says."""
        return {"sampling_rate, appname": "sampling_rate, l7name"} if "ntop" in options else {}

    @staticmethod
    def read(path):
        if not os.path.exists(path):
            return []
        with open(path, encoding="utf-8") as f:
            return l7.json_lines(f.read())

    @staticmethod
    def half(flow, exact):
        def ms(key):
            return round(float(flow[key]) * 1000) if exact else 0
        protocol = socket.getprotobyname(flow["ip_proto"])
        return netflow.Half(flow["ip_src"], flow["ip_dst"], flow["port_src"], flow["port_dst"], protocol, flow["packets"],
                            flow["bytes"], int(flow["tcp_flags"]), ms("timestamp_start"), ms("timestamp_end"),
                            flow["appname" if "appname" in flow else "l7name"])

    def check(self, name, scheme, options=""):
        exact = "epoch" in options or scheme == IPFIX   # of sysUptime it has whole seconds only
        want = collections.Counter()
        for half, n in expected(name, scheme).items():
            if scheme == IPFIX and ":" in half.src:
                half = half._replace(flags=0)   # it takes the first of two octets for them there
            want[half if exact else half._replace(first_ms=0, last_ms=0)] += n
        flows = self.collect(name, scheme, options)
        self.assertEqual(want, collections.Counter(self.half(f, exact) for f in flows))
        return flows

    def test_version_9(self):
        flows = self.check("telegram.pcap", V9)
        self.assertEqual({1}, {f["sampling_rate"] for f in flows})
        self.assertTrue(any(f["sni"] == "www.google.com" and f["appcat"] == "Web" for f in flows))
        seconds = {round(float(f["timestamp_start"])) for f in flows}
        times = [h.first_ms / 1000 for h in expected("telegram.pcap", V9)]
        self.assertTrue(all(min(abs(s - t) for t in times) <= 1 for s in seconds))

    def test_version_9_epoch(self):
        self.check("telegram.pcap", V9, "?times=epoch")

    def test_version_9_profiles(self):
        for template, name in (("iana", "telegram.pcap"), ("ntop", "http_ipv6.pcap"), ("security", "telegram.pcap"),
                               ("full", "http_ipv6.pcap")):
            with self.subTest(name, template=template):
                self.check(name, V9, f"?template={template}")

    def test_version_5(self):
        self.check("telegram.pcap", V5)

    def test_ipfix(self):
        """With a record per direction it has the same there, names as soon as their length is fixed."""
        for name in ("telegram.pcap", "http_ipv6.pcap"):
            with self.subTest(name):
                flows = self.check(name, IPFIX, "?template=iana&app_name=fixed32")
                categories = {f["app"]: f["category"] for f in receivers.flows(name)}
                self.assertEqual({(app, category) for app, category in categories.items()}, {(f["appname"], f["appcat"]) for f in flows})


def as_capture(datagrams, path):
    """Datagrams to port 2055 as a capture of raw IP."""
    with open(path, "wb") as f:
        f.write(struct.pack("<IHHIIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 101))
        for number, octets in enumerate(datagrams):
            udp = struct.pack(">HHHH", 4000, 2055, 8 + len(octets), 0) + octets
            ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), number, 0, 64, 17, 0, b"\x7f\0\0\1", b"\x7f\0\0\1")
            f.write(struct.pack("<IIII", 1700000000 + number, 0, 20 + len(udp), 20 + len(udp)) + ip + udp)


class Tshark(unittest.TestCase):
    FIELDS = ("cflow.octets", "cflow.packets", "cflow.srcaddr", "cflow.srcaddrv6", "cflow.appl_name", "cflow.scope_system")

    def read(self, datagrams):
        with tempfile.TemporaryDirectory() as folder:
            as_capture(datagrams, folder + "/export.pcap")
            options = [word for field in self.FIELDS for word in ("-e", field)]
            done = l7.run(["tshark", "-n", "-r", folder + "/export.pcap", "-d", "udp.port==2055,cflow", "-T", "fields",
                           "-o", "cflow.max_template_fields:0", "-E", "aggregator=\x1f", "-e", "frame.number", *options])
            bad = l7.run(["tshark", "-n", "-r", folder + "/export.pcap", "-d", "udp.port==2055,cflow",
                          "-o", "cflow.max_template_fields:0", "-Y", "_ws.malformed || _ws.expert || !cflow"])
        self.assertEqual("", bad.out)
        rows = [line.split("\t")[1:] for line in done.out.splitlines()]
        self.assertEqual(len(datagrams), len(rows))
        return [{field: cell.split("\x1f") if cell else [] for field, cell in zip(self.FIELDS, row)} for row in rows]

    def check(self, name, scheme, options=""):
        rows = self.read(collected(name, scheme, options)[0])
        want = expected(name, scheme)
        flows = [row for row in rows if not row["cflow.scope_system"]]   # templates and options are in messages of their own
        numbers = {key: [int(cell, 0) for row in flows for cell in row["cflow." + key]] for key in ("octets", "packets")}
        self.assertEqual(collections.Counter(h.octets for h in want.elements()), collections.Counter(numbers["octets"]))
        self.assertEqual(collections.Counter(h.packets for h in want.elements()), collections.Counter(numbers["packets"]))
        self.assertEqual(collections.Counter(h.src for h in want.elements()), collections.Counter(
            cell for row in flows for cell in row["cflow.srcaddr"] + row["cflow.srcaddrv6"]))
        if scheme == V9:
            self.assertEqual(collections.Counter(h.app for h in want.elements()),
                             collections.Counter(cell for row in flows for cell in row["cflow.appl_name"]))

    def test_version_9(self):
        for name in CAPTURES:
            for options in ("", "?template=iana", "?template=full"):
                with self.subTest(name, options=options):
                    self.check(name, V9, options)

    def test_version_5(self):
        for name in CAPTURES:
            if expected(name, V5):
                with self.subTest(name):
                    self.check(name, V5)


class Options(unittest.TestCase):
    def test_configuration(self):
        """In a file as on the command line; the usual port; what is wrong is said."""
        with tempfile.TemporaryDirectory() as folder:
            path = folder + "/l7probe.yaml"
            with open(path, "w", encoding="ascii") as f:
                f.write(f"output:\n  - {V9}://127.0.0.1?template=iana&refresh=30\n  - {V5}://127.0.0.1\n")
            done = l7.probe("-c", path, "-r", l7.corpus("telegram.pcap"), "--check")
            self.assertEqual((0, ""), (done.status, done.err))
            with open(path, "w", encoding="ascii") as f:
                f.write(f"output:\n  - {V5}://127.0.0.1?template=iana\n")
            done = l7.probe("-c", path, "-r", l7.corpus("telegram.pcap"), "--check")
            self.assertEqual(1, done.status)
            self.assertRegex(done.err, r"l7probe\.yaml:2:\d+: .*template")
        for scheme in (V9, V5):
            self.assertIn(f"{scheme}://HOST:2055", l7.probe("--help").out)
        done = l7.probe("-r", l7.corpus("telegram.pcap"), "-o", f"{V9}://127.0.0.1?template=recordState")
        self.assertEqual(2, done.status)
        self.assertIn("NetFlow v9 has none of its fields", done.err)
        self.assertIn("127.0.0.1:2055", done.err)


if __name__ == "__main__":
    l7.main()
