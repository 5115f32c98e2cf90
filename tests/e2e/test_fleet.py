#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Many probes: each is known by its heartbeats, listed with what it says of itself, missed when it is silent, and asked for its records."""
import os
import random
import shutil
import signal
import socket
import struct
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import kafka  # noqa: E402
import l7  # noqa: E402

RULES = "version: 1\nrules:\n- {id: 1, name: no Telegram, type: deny, severity: low, match: {app: Telegram}}\n"
IDLE = "host 127.99.99.99"  # what a probe is to look at that has nothing to see
PEN = 32473
SILENT = 3  # seconds
VERSION, SITE = (PEN, 7), (PEN, 8)
NAME, INIT, EXPORTED, DROPPED = (0, 300), (0, 160), (0, 42), (0, 135)
ADDRESS, STREAM, NUMBER = (0, 8), (PEN, 5), (PEN, 6)


class Station:
    """l7watch with UDP and TCP, a state file and a control socket, that can be started again."""

    def __init__(self, test, more=(), silent=SILENT):
        self.folder = tempfile.mkdtemp(prefix="l7test-")
        test.addCleanup(shutil.rmtree, self.folder, True)
        self.udp, self.tcp, self.control = l7.free_port(socket.SOCK_DGRAM), l7.free_port(), self.folder + "/control"
        self.more = ("-l", f"ipfix+udp://127.0.0.1:{self.udp}", "--state", self.folder + "/state.db", "--control", self.control,
                     "--silent-after", str(silent), "--flush-interval", "1") + tuple(more)
        self.test = test
        self.start()

    def start(self):
        if os.path.exists(self.control):
            os.unlink(self.control)
        self.watch = l7.Watch(RULES, port=self.tcp, alerts=self.folder + "/alerts.json", more=self.more)
        self.test.addCleanup(self.watch.__exit__)
        l7.wait_for("the control socket", lambda: os.path.exists(self.control))

    def ask(self, *words):
        done = l7.run((l7.L7WATCH, "status", "--control", self.control) + words)
        self.test.assertEqual((0, ""), (done.status, done.err))
        return done.out

    def probes(self):
        return {p["exporter"]: p for p in l7.json_lines(self.ask("--json"))[0]["probes"]}

    def rows(self):
        """The lines of the list, without its heads."""
        lines = self.ask().splitlines()
        return lines[next(i for i, line in enumerate(lines) if line.startswith("  NAME")) + 1:]

    def health(self, name, state, kind="exporter_silent"):
        return [a for a in self.watch.health()
                if (a["exporter"], a["state"], a["rule"]["name"]) == (name, state, kind)]

    def probe(self, name, output, *more):
        """An idle l7probe that captures."""
        p = l7.Process((l7.L7PROBE, "-i", "lo", "-f", IDLE, "--exporter", name, "-o", output, "-v") + more)
        self.test.addCleanup(p.__exit__)
        p.wait_until("it captures", lambda: "capturing on" in p.err)
        return p


# ---- messages made by hand ----

def text(octets):
    octets = octets.encode() if isinstance(octets, str) else octets
    return (bytes([len(octets)]) if len(octets) < 255 else b"\xff" + struct.pack("!H", len(octets))) + octets


def field(element, length):
    pen, number = element
    return struct.pack("!HH", number | (0x8000 if pen else 0), length) + (struct.pack("!I", pen) if pen else b"")


def a_set(number, body):
    return struct.pack("!HH", number, 4 + len(body)) + body


def message(body, when=None, sequence=0):
    return struct.pack("!HHIII", 10, 16 + len(body), int(time.time() if when is None else when), sequence, 1) + body


def about(values):
    """An options template and its record: numbers are of 8 octets, texts of any length."""
    fields, record = field((0, 149), 4), struct.pack("!I", 1)
    for element, value in values.items():
        fields += field(element, 8 if isinstance(value, int) else 65535)
        record += struct.pack("!Q", value) if isinstance(value, int) else text(value)
    return a_set(3, struct.pack("!HHH", 300, 1 + len(values), 1) + fields) + a_set(300, record)


def flows(stream, first, count):
    fields = field(ADDRESS, 4) + field(STREAM, 8) + field(NUMBER, 8)
    records = b"".join(struct.pack("!4sQQ", b"\xc0\x00\x02\x01", stream, n) for n in range(first, first + count))
    return a_set(2, struct.pack("!HH", 256, 3) + fields) + a_set(256, records)


@unittest.skipUnless(l7.can_capture(), "cannot capture from the loopback")
class Fleet(unittest.TestCase):
    def test_list(self):
        """Two with nothing to report are listed, with all that they say of themselves."""
        station = Station(self)
        version = l7.probe("-V").out.split()[1].rstrip(",")
        station.probe("lyon", f"ipfix+tcp://127.0.0.1:{station.tcp}?heartbeat=1", "--site", "Lyon, rue de la Barre")
        station.probe("graz", f"ipfix+udp://127.0.0.1:{station.udp}?heartbeat=1", "--site", "Graz – Süd")
        l7.wait_for("both", lambda: len(station.probes()) == 2)
        heard = {name: p["heard_ms"] for name, p in station.probes().items()}
        l7.wait_for("more of both", lambda: all(p["heard_ms"] > heard[name] for name, p in station.probes().items()))
        self.assertEqual([], station.health("lyon", "engaged") + station.health("graz", "engaged"))
        probes = station.probes()
        self.assertEqual({"lyon": ("Lyon, rue de la Barre", version, "tcp 127.0.0.1"),
                          "graz": ("Graz – Süd", version, "udp 127.0.0.1")},
                         {name: (p["site"], p["version"], p["from"]) for name, p in probes.items()})
        for p in probes.values():
            self.assertEqual((0, 0, 0, 0, 0, []), (p["records"], p["exported"], p["not_sent"], p["packets_dropped"], p["spooled"],
                                                   p["health"]))
            self.assertLess(abs(p["clock_ms"]), 2000)
            self.assertLess(abs(p["started_ms"] / 1000 - time.time()), 120)
        rows = station.rows()
        self.assertEqual(["  graz", "  lyon"], [row[:6] for row in rows])
        self.assertRegex(rows[0], rf"^  graz udp 127\.0\.0\.1 Graz – Süd +{version} +\d+(\.\d)? m?s +0 +0 +ok +\d+ +0 +0 +0$")
        self.assertIn("exporters  2", station.ask())

    def test_silent(self):
        """One is killed: it is missed in time, the other is not; it comes back, and is well again."""
        station = Station(self)
        output = f"ipfix+tcp://127.0.0.1:{station.tcp}?heartbeat=1"
        victim = station.probe("lyon", output)
        station.probe("graz", output)
        l7.wait_for("both", lambda: len(station.probes()) == 2)
        with l7.Lag() as lag:
            os.kill(victim.child.pid, signal.SIGKILL)
            l7.wait_for("it is missed", lambda: station.health("lyon", "engaged"), 30)
            heard = station.probes()["lyon"]["heard_ms"]
        engaged = l7.wait_for("it is missed", lambda: station.health("lyon", "engaged"))[0]
        late = time.time() - heard / 1000
        self.assertGreaterEqual(late, SILENT)
        self.assertLess(late, SILENT + 3 + 3 * lag.longest)
        self.assertRegex(engaged["reason"], r"^exporter lyon has sent nothing for [3-9](\.\d)? s$")
        self.assertEqual(["! lyon", "  graz"], [row[:6] for row in station.rows()])
        self.assertEqual(["exporter_silent"], station.probes()["lyon"]["health"])
        station.probe("lyon", output)
        released = l7.wait_for("it is heard", lambda: station.health("lyon", "released"))[0]
        self.assertEqual(engaged["alert_uid"], released["alert_uid"])
        self.assertEqual(["  graz", "  lyon"], [row[:6] for row in station.rows()])
        self.assertEqual([], station.health("graz", "engaged"))

    def test_silent_meanwhile(self):
        """One dies while l7watch is down: the next l7watch misses it. Those that live are known within a heartbeat, over UDP too."""
        station = Station(self)
        victim = station.probe("lyon", f"ipfix+tcp://127.0.0.1:{station.tcp}?heartbeat=1", "--site", "Lyon")
        station.probe("graz", f"ipfix+udp://127.0.0.1:{station.udp}?heartbeat=1", "--site", "Graz")
        station.probe("oslo", f"ipfix+tcp://127.0.0.1:{station.tcp}?heartbeat=1")
        l7.wait_for("all", lambda: len(station.probes()) == 3)
        self.assertEqual(0, station.watch.stop().status)
        os.kill(victim.child.pid, signal.SIGKILL)
        victim.child.wait()
        station.start()
        self.assertEqual({"lyon": "Lyon", "graz": "Graz", "oslo": ""}, {n: p["site"] for n, p in station.probes().items()})
        began = time.monotonic()
        l7.wait_for("the living", lambda: all("packets" in station.probes()[n] for n in ("graz", "oslo")))
        l7.wait_for("it is missed", lambda: station.health("lyon", "engaged"))
        self.assertGreater(time.monotonic() - began, SILENT - 1.5)
        self.assertEqual([], station.health("graz", "engaged") + station.health("oslo", "engaged"))
        self.assertEqual(0, station.watch.stop().status)
        station.start()  # and still is
        l7.wait_for("the living", lambda: all("packets" in station.probes()[n] for n in ("graz", "oslo")))
        self.assertEqual("! lyon", station.rows()[0][:6])
        self.assertEqual((1, 0), (len(station.health("lyon", "engaged")), len(station.health("lyon", "released"))))
        self.assertEqual("", station.ask("--forget", "lyon"))  # it is gone for good
        l7.wait_for("its end", lambda: station.health("lyon", "released"))
        self.assertEqual({"graz", "oslo"}, set(station.probes()))
        again = l7.run((l7.L7WATCH, "status", "--control", station.control, "--forget", "lyon"))
        self.assertEqual((1, "l7watch: error: no probe lyon is in the list"), (again.status, again.said))

    def test_spool(self):
        """Heartbeats are not for the disk."""
        station = Station(self)
        spool = station.folder + "/spool"
        station.probe("lyon", f"ipfix+tcp://127.0.0.1:{station.tcp}?heartbeat=1&spool={spool}")
        l7.wait_for("it", lambda: "lyon" in station.probes())
        first = station.probes()["lyon"]["heard_ms"]
        l7.wait_for("two more", lambda: station.probes()["lyon"]["heard_ms"] > first + 1500)
        self.assertEqual(0, station.probes()["lyon"]["spooled"])
        done = l7.run((l7.L7PROBE, "spool", "ls", spool))
        self.assertIn("to send: 0 records", done.out)
        self.assertNotIn("1-", done.out)

    def test_clock(self):
        """A probe whose clock is two hours behind: the list says so at once, an alert after some messages."""
        station = Station(self, silent=60)
        with socket.create_connection(("127.0.0.1", station.tcp)) as s:
            for _ in range(2):
                s.sendall(message(about({NAME: "late", INIT: 1700000000000, SITE: "Rome"}), time.time() - 7200))
            l7.wait_for("it", lambda: "late" in station.probes())
            self.assertAlmostEqual(-7200, station.probes()["late"]["clock_ms"] / 1000, delta=30)
            self.assertIn(" -2.0 h ", station.rows()[0])
            self.assertEqual([], station.health("late", "engaged", "exporter_skew"))
            s.sendall(message(about({NAME: "late", INIT: 1700000000000}), time.time() - 7200))
            reason = l7.wait_for("the alert", lambda: station.health("late", "engaged", "exporter_skew"))[0]["reason"]
            self.assertIn("2.0 h behind ours", reason)
            for _ in range(3):
                s.sendall(message(about({NAME: "late", INIT: 1700000000000})))
            l7.wait_for("its end", lambda: station.health("late", "released", "exporter_skew"))
            self.assertIn(" ok ", station.rows()[0])
            self.assertIn(" Rome ", station.rows()[0])

    def test_lost(self):
        """Ten were exported and seven came, over two connections: sequence numbers know nothing of the three."""
        station = Station(self, silent=60)

        def says(n, sequence):
            return message(about({NAME: "leaky", INIT: 1700000000000, EXPORTED: n, STREAM: 7}), sequence=sequence)

        with socket.create_connection(("127.0.0.1", station.tcp)) as s:
            s.sendall(says(0, 0) + message(flows(7, 0, 5), sequence=1))
            l7.wait_for("five", lambda: station.probes().get("leaky", {}).get("records") == 5)
        with socket.create_connection(("127.0.0.1", station.tcp)) as s:
            s.sendall(says(5, 0) + message(flows(7, 3, 2) + flows(7, 8, 2), sequence=1))  # two again, three not at all
            s.sendall(says(10, 5))
            l7.wait_for("seven", lambda: station.probes()["leaky"].get("exported") == 10)
            self.assertEqual((7, 0), (station.probes()["leaky"]["records"], station.probes()["leaky"]["missing"]))
            s.sendall(says(10, 6))  # said twice: it is so
            reason = l7.wait_for("the alert", lambda: station.health("leaky", "engaged", "exporter_lost"))[0]["reason"]
        self.assertEqual("exporter leaky has sent 3 records that did not arrive, by its own count", reason)
        self.assertEqual((3, 2), (station.probes()["leaky"]["missing"], station.watch.stop().stats["doubles"]))

    def test_garbage(self):
        """Whatever comes as what a probe says of itself: l7watch lives, and the list is lines of printable characters."""
        station = Station(self, silent=60)
        r = random.Random(7)
        with socket.create_connection(("127.0.0.1", station.tcp)) as s:
            s.sendall(message(about({NAME: b"\x1b[2J\xff\x07evil\r\n", SITE: b"\x1b]0;x\x07\xc2\x9b\xe2\x80\xaeabc" + bytes(300),
                                     VERSION: b"\xf0\x9f" * 900, EXPORTED: 2**64 - 1, INIT: 2**64 - 1, DROPPED: 2**63})))
            s.sendall(message(about({NAME: "n" * 3000, SITE: "s" * 3000, VERSION: "v" * 3000, EXPORTED: 0})))
            for n in range(300):
                s.sendall(message(about({NAME: r.randbytes(r.randrange(1, 90)), SITE: r.randbytes(r.randrange(600)),
                                         VERSION: r.randbytes(r.randrange(60)), STREAM: r.getrandbits(64),
                                         EXPORTED: r.getrandbits(64), INIT: r.getrandbits(64)}), r.getrandbits(32)))
                broken = bytearray(message(about({SITE: r.randbytes(40), EXPORTED: n})))
                for _ in range(3):
                    broken[r.randrange(20, len(broken))] = r.getrandbits(8)
                s.sendall(bytes(broken))
            s.sendall(message(about({NAME: "last", SITE: "end"})))
            l7.wait_for("all of it is read", lambda: "last" in station.probes())
        rows = station.rows()
        self.assertGreater(len(rows), 300)
        self.assertLess(max(map(len, rows)), 250)
        for row in rows:
            self.assertFalse([c for c in row if ord(c) < 32 or 127 <= ord(c) < 160 or 0x200b <= ord(c) <= 0x200f or
                              0x2028 <= ord(c) <= 0x202e], row)
        self.assertTrue([row for row in rows if row.startswith("  ?[2J??evil?? ")])
        self.assertEqual(64, len(station.probes()["n" * 64]["site"]))
        stats = station.watch.stop().stats
        self.assertLessEqual(len(stats["exporters"]), 1024)

    def test_many(self):
        """No more than 1,024 are followed and listed."""
        station = Station(self, silent=60)
        with socket.create_connection(("127.0.0.1", station.tcp)) as s:
            for n in range(1100):
                s.sendall(message(about({NAME: f"probe-{n}", SITE: "s" * 64, VERSION: "v" * 32})))
            l7.wait_for("the last", lambda: "probe-1099" in station.probes())
        self.assertEqual(1024, len(station.rows()))
        self.assertEqual(0, station.watch.stop().status)
        station.start()
        self.assertEqual(1024, len(station.rows()))


class Options(unittest.TestCase):
    def check(self, *arguments):
        return l7.probe("-r", l7.STORY, "--check", *arguments)

    def test_heartbeat(self):
        for good in ("ipfix+tcp://h?heartbeat=0", "ipfix+udp://h?heartbeat=3600", "ipfix+file:///tmp/x?heartbeat=5",
                     "kafka://b/t?format=ipfix&heartbeat=7"):
            done = self.check("-o", good)
            self.assertEqual((0, ""), (done.status, done.said), good)
        for bad in ("ipfix+tcp://h?heartbeat=3601", "ipfix+udp://h?heartbeat=-1", "ipfix+tcp://h?heartbeat=", "json:-?heartbeat=1",
                    "kafka://b/t?heartbeat=7"):
            done = self.check("-o", bad)
            self.assertEqual((1, 1), (done.status, len(done.said.splitlines())), bad)
            self.assertIn("heartbeat", done.said)

    def test_site(self):
        done = l7.probe("--site", "Lyon, rue de la Barre", "--print-config")
        self.assertIn("site: ", done.out)
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as f:
            f.write(done.out)
            f.flush()
            self.assertEqual(done.out, l7.probe("-c", f.name, "--print-config").out)
        self.assertEqual(0, self.check("--site", "é" * 32).status)
        for bad in ("x" * 65, "a\nb", b"\xff"):
            done = self.check("--site", bad)
            self.assertEqual((1, 1), (done.status, len(done.said.splitlines())))
            self.assertIn("site", done.said)


@unittest.skipUnless(l7.can_capture(), "cannot capture from the loopback")
class NoBrokers(unittest.TestCase):
    def test_end(self):
        """A heartbeat that no broker takes is not worth waiting for."""
        output = f"kafka://127.0.0.1:{l7.free_port()}/flows?format=ipfix&heartbeat=1"
        with l7.Process((l7.L7PROBE, "-i", "lo", "-f", IDLE, "-o", output, "-v", "--drain-timeout", "50", "--stats")) as p:
            p.wait_until("it captures", lambda: "capturing on" in p.err)
            p.wait_until("there is nobody", lambda: "Connection refused" in p.err)
            began = time.monotonic()
            done = p.stop(seconds=100)
        self.assertLess(time.monotonic() - began, 25)
        self.assertEqual((0, 0), (done.status, done.stats["outputs"][0]["dropped"]))


@unittest.skipUnless(l7.can_capture(), "cannot capture from the loopback")
@unittest.skipUnless(*kafka.available())
class Brokers(unittest.TestCase):
    def test_kafka(self):
        """With format=ipfix a message comes though there is no record, with all that is needed to read it; none is in a spool."""
        with kafka.Cluster() as brokers:
            station = Station(self, more=("-l", f"kafka://{brokers.bootstrap}/flows?start=earliest"))
            spool, output = station.folder + "/spool", f"kafka://{brokers.bootstrap}/flows?format=ipfix&heartbeat=1"
            victim = station.probe("lyon", f"{output}&spool={spool}", "--site", "Lyon")
            l7.wait_for("it", lambda: station.probes().get("lyon", {}).get("site") == "Lyon")
            first = station.probes()["lyon"]["heard_ms"]
            l7.wait_for("two more", lambda: station.probes()["lyon"]["heard_ms"] > first + 1500)
            self.assertEqual("kafka", station.probes()["lyon"]["from"])
            self.assertNotIn("1-", l7.run((l7.L7PROBE, "spool", "ls", spool)).out)
            os.kill(victim.child.pid, signal.SIGKILL)
            l7.wait_for("it is missed", lambda: station.health("lyon", "engaged"))


if __name__ == "__main__":
    l7.main()
