#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Live, in namespaces: the alert within a second of the packet, and only once.

The clock that counts is the kernel's timestamp, of a recording beside the
probe: of the ClientHello that names Telegram, which is no later than the
packet after which the protocol is settled.
"""
import os
import subprocess
import sys
import time
import unittest
from datetime import datetime

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import l7  # noqa: E402
import pcapio  # noqa: E402
import places  # noqa: E402
import town  # noqa: E402
from frames import address  # noqa: E402

RULES = os.path.join(l7.ROOT, "tests", "demo", "rules.yaml")
PORT = 4739
FLOWS_MORE = 3  # scenes of the bot after the first, of 4 flows each


def when(text):
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def hello_time(trace):
    """Kernel's time of the first ClientHello to the address of the bot API."""
    for time_ns, frame, _ in pcapio.read(trace)[1]:
        if frame[12:14] != b"\x08\x00" or frame[30:34] != address(places.TELEGRAM) or frame[23] != 6:
            continue
        payload = frame[34 + (frame[46] >> 4) * 4:]
        if payload[:2] == b"\x16\x03":
            return time_ns / 1e9
    raise AssertionError("no ClientHello to Telegram in the recording")


@unittest.skipUnless(l7.can_build(), "needs root and network namespaces")
class Live(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.town = town.Town("l7live")
        cls.town.__enter__()
        cls.addClassCleanup(cls.town.close)
        cls.alerts_path = cls.town.folder + "/alerts.json"
        cls.err_path = cls.town.folder + "/probe.err"
        cls.trace = cls.town.folder + "/trace.pcap"
        cls.play()

    @classmethod
    def inside(cls, *argv):
        return town.run("ip", "netns", "exec", cls.town.inside, *argv)

    @classmethod
    def play(cls):
        """The whole story once; the tests look at what it left."""
        t = cls.town
        with open(cls.err_path, "wb") as err, open(t.folder + "/watch.err", "wb") as watch_err:
            watch = t.start(t.inside, l7.L7WATCH, "-l", f"ipfix+tcp://127.0.0.1:{PORT}", "-R", RULES,
                            "-a", f"json+file://{cls.alerts_path}", stderr=watch_err)
            l7.wait_for("l7watch listens", lambda: f":{PORT:04X} " in cls.inside("cat", "/proc/net/tcp"))
            ear = t.start(t.inside, "/usr/bin/python3", town.HERE + "/record.py", "--listen", t.interface,
                          cls.trace, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=None)
            ear.stdout.readline()
            probe = t.start(t.inside, l7.L7PROBE, "-i", t.interface, "-o",
                            f"ipfix+tcp://127.0.0.1:{PORT}?early=1", "--stats", "-v", stderr=err)
            l7.wait_for("l7probe captures", lambda: "capturing on" in cls.said())
            t.scene("work")
            cls.after_work = cls.alerts()
            with l7.Lag() as lag:
                t.scene("bot")
                l7.wait_for("an alert", cls.engaged)
            cls.lag = lag.longest
            for _ in range(FLOWS_MORE):
                t.scene("bot")
            time.sleep(1.5)
            cls.after_flows = cls.engaged()
            ear.stdin.close()
            ear.wait(60)
            cls.probe_status, cls.watch_status = t.stop(probe, 60), t.stop(watch, 60)
        cls.probe_err = cls.said()
        cls.all_alerts = cls.alerts()

    @classmethod
    def said(cls):
        with open(cls.err_path, encoding="utf-8") as f:
            return f.read()

    @classmethod
    def alerts(cls):
        if not os.path.exists(cls.alerts_path):
            return []
        with open(cls.alerts_path, encoding="utf-8") as f:
            text = f.read()
        return l7.json_lines(text[:text.rfind("\n") + 1])

    @classmethod
    def engaged(cls):
        return [a for a in cls.alerts() if a["state"] == "engaged"]

    def test_allowed_work_is_silent(self):
        self.assertEqual([], self.after_work)

    def test_within_a_second(self):
        alert = next(a for a in self.after_flows if a["rule"]["id"] == 1001)
        settled, hello, written = alert["flow"]["end_ms"] / 1000, hello_time(self.trace), when(alert["@timestamp"])
        print(f"alert {written - hello:.3f} s after the ClientHello, {written - settled:.3f} s after the last packet; "
              f"the machine was late by up to {self.lag:.3f} s")
        self.assertLess(hello - 0.002, settled, "the record ends before the ClientHello")
        # Five processes have a hand in it, each of which may have to wait for the machine.
        self.assertLess(written - hello, 1.0 + 10 * self.lag)
        self.assertGreaterEqual(written - hello, -0.002)

    def test_once(self):
        """However many flows follow: one per rule, and nothing more at the end."""
        self.assertEqual([1001, 1002], sorted(a["rule"]["id"] for a in self.after_flows))
        self.assertEqual([1001, 1002], sorted(a["rule"]["id"] for a in self.engaged()))

    def test_says_what_and_who(self):
        alert = next(a for a in self.after_flows if a["rule"]["id"] == 1001)
        self.assertEqual("TLS.Telegram", alert["app"])
        self.assertEqual("dpi", alert["confidence"])
        self.assertEqual((places.HOST, "client"), (alert["subject"]["ip"], alert["subject"]["side"]))
        self.assertIn(places.TELEGRAM, str(alert["peer"]))
        for word in (places.HOST, "Telegram"):
            self.assertIn(word, alert["reason"])

    def test_ends_well(self):
        self.assertEqual((0, 0), (self.probe_status, self.watch_status), self.probe_err)
        stats = l7.json_lines(self.probe_err)[-1]
        self.assertGreater(stats["packets"], 100)
        self.assertEqual(0, stats["worker_restarts"])
        self.assertEqual(0, sum(stats["drops"].values()), stats["drops"])


if __name__ == "__main__":
    l7.main()
