#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Several workers: the same records of a file as one makes, and live both halves of a flow in one record."""
import json
import multiprocessing.pool
import os
import signal
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import damage  # noqa: E402
import l7  # noqa: E402

VERDICT = ("app", "app_id", "master", "application", "category", "confidence", "master_confidence", "risk_score", "risks",
           "risk_names", "sni", "http_host", "dns_query")
# Verdicts that may depend on the number of workers: nDPI's STUN dissector keeps addresses of peers in a cache of
# its module, across hosts, so a flow can be named by what another pair of hosts said before.
BY_STUN_CACHE = {"stun_signal.pcapng": 1, "teams.pcap": 2, "wa_video.pcap": 1, "wa_voice.pcap": 1}

PEERS = 40
ROUNDS = 25


def records(path, workers):
    """Sorted [(record but for the verdict, verdict)]."""
    done = l7.probe("-r", path, "-w", str(workers), "-o", "json:-", "--stats")
    if done.status != 0 or done.stats["worker_restarts"]:
        raise AssertionError(f"{path}: exit {done.status}: {done.err}")
    found = []
    for flow in l7.json_lines(done.out):
        del flow["stream_id"], flow["record_sequence"]
        verdict = {key: flow.pop(key, None) for key in VERDICT}
        found.append((json.dumps(flow, sort_keys=True), json.dumps(verdict, sort_keys=True)))
    return sorted(found), done.stats


def compare(path):
    """What is wrong, or None."""
    name = os.path.basename(path)
    one, stats = records(path, 1)
    for workers in (2, 4):
        more, counted = records(path, workers)
        if [r for r, _ in one] != [r for r, _ in more]:
            return f"{name}: other records with {workers} workers"
        for key in ("packets", "octets", "refused", "flows", "records"):
            if stats[key] != counted[key]:
                return f"{name}: {key} is {stats[key]} with one worker, {counted[key]} with {workers}"
        other = sum(a != b for (_, a), (_, b) in zip(one, more))
        if other > BY_STUN_CACHE.get(name, 0):
            return f"{name}: {other} other verdicts with {workers} workers"
    return None


class Files(unittest.TestCase):
    def test_same_records(self):
        paths = damage.whole_captures()
        self.assertGreater(len(paths), 250, "the corpus is not there: ./dev corpus")
        with multiprocessing.pool.ThreadPool(2) as pool:
            wrong = [said for said in pool.map(compare, paths) if said]
        self.assertEqual([], wrong)


ECHO = """
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("127.200.0.1", 7777))
print("up", flush=True)
while True:
    data, peer = s.recvfrom(100)
    s.sendto(data, peer)
"""
ASK = """
import socket, sys, time
peers = []
for i in range(int(sys.argv[1])):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind((f"127.100.0.{i + 1}", 5000))
    s.settimeout(60)
    peers.append(s)
for _ in range(int(sys.argv[2])):
    for s in peers:
        s.sendto(b"x" * 50, ("127.200.0.1", 7777))
        s.recv(100)
"""


@unittest.skipUnless(l7.can_build(), "needs root and network namespaces")
class Live(unittest.TestCase):
    def setUp(self):
        self.space = f"l7w{os.getpid()}"
        self.procs = []
        subprocess.run(["ip", "netns", "add", self.space], check=True)
        self.addCleanup(subprocess.run, ["ip", "netns", "del", self.space])
        subprocess.run(["ip", "-n", self.space, "link", "set", "lo", "up"], check=True)

    def tearDown(self):
        for process in self.procs:
            process.kill()
            process.wait()
            process.stdout.close()

    def inside(self, *argv):
        return ("ip", "netns", "exec", self.space) + argv

    def start_echo(self):
        self.procs.append(subprocess.Popen(self.inside("/usr/bin/python3", "-c", ECHO), stdout=subprocess.PIPE))
        self.assertEqual(b"up\n", self.procs[-1].stdout.readline())

    def ask(self):
        subprocess.run(self.inside("/usr/bin/python3", "-c", ASK, str(PEERS), str(ROUNDS)), check=True, timeout=120)

    def probe(self):
        return l7.Process(self.inside(l7.L7PROBE, "-i", "lo", "-f", "udp port 7777", "-w", "3", "-o", "json:-", "--stats", "-v"))

    def wait_workers(self, probe, n):
        l7.wait_for(f"{n} workers that capture", lambda: probe.err.count("capturing on lo") >= n)

    def test_both_halves_meet(self):
        self.start_echo()
        with self.probe() as probe:
            self.wait_workers(probe, 3)
            self.ask()
            l7.settled(probe.child.pid)
            done = probe.stop()
        self.assertEqual(0, done.status, done.err)
        # The loopback shows each packet once to a capture.
        self.assertEqual(2 * PEERS * ROUNDS, done.stats["packets"])
        self.assertEqual(PEERS, len(done.flows))
        for flow in done.flows:
            self.assertEqual((ROUNDS, ROUNDS), (flow["packets"], flow["rev_packets"]), flow)

    def test_shares_stay(self):
        """A worker dies: its successor takes the same hosts, and goes on with their flows."""
        self.start_echo()
        with self.probe() as probe:
            self.wait_workers(probe, 3)
            self.ask()
            l7.settled(probe.child.pid)
            os.kill(l7.children(probe.child.pid)[2], signal.SIGSEGV)
            self.wait_workers(probe, 4)
            self.ask()
            l7.settled(probe.child.pid)
            done = probe.stop()
        self.assertEqual(0, done.status, done.err)
        self.assertEqual(1, done.stats["worker_restarts"])
        self.assertEqual(4 * PEERS * ROUNDS, done.stats["packets"])
        self.assertEqual(PEERS, len(done.flows))
        for flow in done.flows:
            self.assertEqual((2 * ROUNDS, 2 * ROUNDS), (flow["packets"], flow["rev_packets"]), flow)


if __name__ == "__main__":
    l7.main()
