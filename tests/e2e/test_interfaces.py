#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Capture from several interfaces: the two halves of a tap are one flow, and each record names where it was seen."""
import os
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import frames  # noqa: E402
import ipfix_strict  # noqa: E402
import l7  # noqa: E402
from space import Space, words  # noqa: E402

QUERIES = 150
FLOOD = 20000
INTERFACE_ID, INTERFACE_NAME = (0, 10), (0, 82)


def queries(first, count, answered_on):
    """DNS of so many hosts, the questions on `a`."""
    for i in range(first, first + count):
        host, name = f"10.1.{i // 250}.{i % 250 + 1}", f"host{i}.example.org"
        yield "a", frames.datagram(host, "10.2.0.1", 4000, 53, frames.dns_query(i, name))
        if answered_on:
            yield answered_on, frames.datagram("10.2.0.1", host, 53, 4000, frames.dns_answer(i, name, "192.0.2.1"))


@unittest.skipUnless(l7.can_build(), "needs root and network namespaces")
class Several(unittest.TestCase):
    def run_probe(self, space, todo, *more):
        with space.probe("-i", "a,b", "-o", "json:-", "--idle-timeout", "0", *more) as probe:
            todo()
            l7.settled(probe.child.pid)
            done = probe.stop()
        self.assertEqual(0, done.status, done.err)
        self.assertEqual(0, sum(done.stats["drops"].values()), done.stats)
        return done

    def check_tap(self, *more):
        """One packet after the other, far less apart than the kernel takes to hand them over."""
        def play():
            for pair in zip(*[queries(0, QUERIES, "b")] * 2):
                space.send(*pair)

        with Space("a", "b") as space:
            done = self.run_probe(space, play, *more)
        self.assertEqual(QUERIES, len(done.flows))
        for flow in done.flows:
            self.assertEqual((1, 1), (flow["packets"], flow["rev_packets"]), flow)
            self.assertEqual((53, "DNS", "a"), (flow["dst_port"], flow["app"].split(".")[0], flow["interface"]), flow)

    def test_halves_of_a_tap(self):
        self.check_tap()

    def test_halves_of_a_tap_two_workers(self):
        self.check_tap("-w", "2")

    def test_named(self):
        """Each record and the options records of IPFIX know the interface; so do the statistics."""
        with Space("a", "b") as space, tempfile.TemporaryDirectory() as folder:
            path = folder + "/flows.ipfix"
            there = list(queries(0, 5, None))
            here = [("b", frames.datagram("10.3.0.1", f"10.4.0.{i + 1}", 5000, 53, frames.dns_query(i, "b.example.org")))
                    for i in range(7)]
            done = self.run_probe(space, lambda: space.send(*there, *here), "-o", f"ipfix+file://{path}", "-t", "full")
            index = {"a": space.index("a"), "b": space.index("b")}
            with open(path, "rb") as f:
                strict = ipfix_strict.decode(f.read())
        self.assertEqual(5, sum(flow["interface"] == "a" for flow in done.flows))
        self.assertEqual(7, sum(flow["interface"] == "b" for flow in done.flows))
        names = {number: name for name, number in index.items()}
        told = [(int.from_bytes(r[INTERFACE_ID], "big"), r[INTERFACE_NAME].decode())
                for r in strict.options if INTERFACE_NAME in r]
        self.assertEqual(sorted(names.items()), sorted(told))
        for record in strict.flows:
            self.assertEqual(names[int.from_bytes(record[INTERFACE_ID], "big")], record[INTERFACE_NAME].decode())
        self.assertEqual([("a", 5, index["a"], "up"), ("b", 7, index["b"], "up")],
                         [(i["name"], i["packets"], i["index"], i["state"]) for i in done.stats["interfaces"]])
        self.assertEqual(sum(len(f) for _, f in here), done.stats["interfaces"][1]["octets"])

    def test_busy_and_quiet(self):
        """A flood on one: what comes on the other in its midst is seen in time, and all of it."""
        flood = frames.datagram("10.5.0.1", "10.6.0.1", 7000, 7001, b"x" * 20)
        quiet = [frames.datagram("10.7.0.1", f"10.8.0.{i + 1}", 5000, 53, frames.dns_query(i, "q.example.org"))
                 for i in range(10)]

        def play():
            for frame in quiet:
                space.send(("a", flood, FLOOD // len(quiet)), ("b", frame))

        with Space("a", "b") as space:
            done = self.run_probe(space, play)
        self.assertEqual([FLOOD, len(quiet)], [i["packets"] for i in done.stats["interfaces"]])
        self.assertEqual(1 + len(quiet), len(done.flows))

    def test_refused(self):
        for given, said in (("a,a", "an interface is given twice"),
                            (",".join(f"v{i}" for i in range(17)), "at most 16 interfaces can be captured from")):
            done = l7.probe("-i", given)
            self.assertEqual(1, done.status)
            self.assertIn(said, done.err)

    def test_one_is_not_there(self):
        with Space("a") as space:
            done = l7.run(space.inside(l7.L7PROBE, "-i", "a,nosuch0", "-o", "json:-"), timeout=20)
        self.assertEqual((2, ["l7probe: error: nosuch0: there is no such interface"]), (done.status, words(done.err)))


if __name__ == "__main__":
    l7.main()
