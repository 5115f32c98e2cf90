#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Interfaces that go down and up, away and back: capture goes on, no flow is lost, and it is said."""
import os
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import frames  # noqa: E402
import ipfix_strict  # noqa: E402
import l7  # noqa: E402
from space import Space, words  # noqa: E402

INTERFACE_ID, INTERFACE_NAME = (0, 10), (0, 82)
NO_END = ("--idle-timeout", "0", "--active-timeout", "0")


def packet(i, peer=1):
    return frames.datagram(f"10.1.0.{i}", f"10.2.0.{peer}", 4000, 53, frames.dns_query(i, "links.example"))


@unittest.skipUnless(l7.can_build(), "needs root and network namespaces")
class Links(unittest.TestCase):
    def said(self, probe, text):
        l7.wait_for(f'"{text}" is said', lambda: text in probe.err)

    def captures_on(self, probe, n):
        l7.wait_for(f"{n} captures", lambda: probe.err.count("capturing on") >= n)

    def packets(self, done):
        """{source address: packets of all its records}"""
        found = {}
        for flow in done.flows:
            found[flow["src_ip"]] = found.get(flow["src_ip"], 0) + flow["packets"]
        return found

    def test_down_and_up(self):
        with Space("eth7") as space, space.probe("-i", "eth7", "-w", "2", *NO_END, "-o", "json:-") as probe:
            space.send(("eth7", packet(1)), ("eth7", packet(2)))
            l7.settled(probe.child.pid)
            space.ip("link", "set", "dev", "eth7", "down")
            self.said(probe, "eth7 is down: nothing is captured from it until it is up")
            space.ip("link", "set", "dev", "eth7", "up")
            self.said(probe, "eth7 is up again")
            space.send(("eth7", packet(1)), ("eth7", packet(3)))
            l7.settled(probe.child.pid)
            done = probe.stop()
        self.assertEqual(0, done.status, done.err)
        self.assertEqual({"10.1.0.1": 2, "10.1.0.2": 1, "10.1.0.3": 1}, self.packets(done))
        self.assertEqual(3, len(done.flows), "a flow was cut")
        self.assertEqual((0, "up", 1), (done.stats["worker_restarts"], done.stats["interfaces"][0]["state"],
                                        done.stats["interfaces"][0]["downs"]))

    def test_no_carrier(self):
        with Space("eth7") as space, space.probe("-i", "eth7", "-o", "json:-") as probe:
            space.ip("link", "set", "dev", "eth7x", "down")
            self.said(probe, "eth7 has no carrier")
            space.ip("link", "set", "dev", "eth7x", "up")
            self.said(probe, "eth7 is up again")
            self.assertEqual(0, probe.stop().status)

    def check_away(self, *more):
        """Removed and made anew, under another number; a flow open before goes on after it."""
        with Space("eth7", "eth8") as space, tempfile.TemporaryDirectory() as folder:
            path = folder + "/flows.ipfix"
            with space.probe("-i", "eth7,eth8", *NO_END, "-o", "json:-", "-o", f"ipfix+file://{path}", "-t", "full",
                             *more) as probe:
                started = probe.err.count("capturing on")
                space.send(*[("eth7", packet(i)) for i in range(1, 20)], ("eth8", packet(20)))
                l7.settled(probe.child.pid)
                before = space.index("eth7")
                space.forget()
                space.ip("link", "del", "dev", "eth7")
                self.said(probe, "eth7 is away: it is looked for each second")
                space.send(("eth8", packet(20)), ("eth8", packet(21)))
                l7.settled(probe.child.pid)
                space.add("eth7")
                self.captures_on(probe, 2 * started)
                self.assertNotEqual(before, space.index("eth7"))
                after = space.index("eth7")
                space.send(("eth7", packet(1)), ("eth7", packet(22)), ("eth8", packet(20)))
                l7.settled(probe.child.pid)
                done = probe.stop()
            with open(path, "rb") as f:
                strict = ipfix_strict.decode(f.read())
        self.assertEqual(0, done.status, done.err)
        expected = {f"10.1.0.{i}": 1 for i in range(1, 23)}
        expected["10.1.0.1"], expected["10.1.0.20"] = 2, 3
        self.assertEqual(expected, self.packets(done))
        for flow in done.flows:
            self.assertEqual("eth8" if flow["src_ip"] in ("10.1.0.20", "10.1.0.21") else "eth7", flow["interface"])
        told = {int.from_bytes(r[INTERFACE_ID], "big"): r[INTERFACE_NAME].decode()
                for r in strict.options if INTERFACE_NAME in r}
        self.assertEqual(("eth7", "eth7"), (told[before], told[after]))
        self.assertEqual((0, 1, after), (done.stats["worker_restarts"], done.stats["interfaces"][0]["downs"],
                                         done.stats["interfaces"][0]["index"]))
        self.assertNotIn("error", "".join(words(done.err)))
        return done

    def test_away_and_back(self):
        self.assertEqual(22, len(self.check_away().flows), "a flow was cut")

    def test_away_and_back_two_workers(self):
        self.check_away("-w", "2")

    def test_away_at_the_end(self):
        """Nothing to capture from any more: what is open is still reported."""
        with Space("eth7") as space, space.probe("-i", "eth7", *NO_END, "-o", "json:-") as probe:
            space.send(("eth7", packet(1)))
            l7.settled(probe.child.pid)
            space.forget()
            space.ip("link", "del", "dev", "eth7")
            self.said(probe, "eth7 is away")
            time.sleep(2.5)
            done = probe.stop()
        self.assertEqual((0, {"10.1.0.1": 1}), (done.status, self.packets(done)), done.err)
        self.assertEqual("away", done.stats["interfaces"][0]["state"])

    def test_expires_while_away(self):
        with Space("eth7") as space, space.probe("-i", "eth7", "--idle-timeout", "1", "-o", "json:-") as probe:
            space.send(("eth7", packet(1)))
            l7.settled(probe.child.pid)
            space.forget()
            space.ip("link", "del", "dev", "eth7")
            l7.wait_for("the record", lambda: os.path.getsize(probe.out_path) > 0)
            self.assertEqual(0, probe.stop().status)


if __name__ == "__main__":
    l7.main()
