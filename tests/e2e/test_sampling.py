#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""--sample-packets and --sample-flows: estimates that hold, whoever of the workers chooses, and receivers that are told of it."""
import json
import os
import random
import socket
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import frames  # noqa: E402
import l7  # noqa: E402
import pcapio  # noqa: E402

START = 1_600_000_000 * 10**9
SIGMAS = 6  # of the estimates' standard deviation; what is chosen is the same in each run
FLOWS = 4000
SAMPLING, SAMPLED_PACKETS, SAMPLED_FLOWS = 271, 272, 273  # options templates
# Of a record what differs from run to run, or, of names, by what other hosts of a worker said (test_workers.py).
OF_RUN = ("stream_id", "record_sequence", "app", "app_id", "master", "application", "category", "confidence", "master_confidence",
          "risk_score", "risks", "risk_names", "sni", "http_host", "dns_query")
IDENTITY = ("src_ip", "src_port", "dst_ip", "dst_port", "protocol")


def write_capture(path):
    """Flows of 1 to 40 packets of 20 to 1400 octets, mixed. Returns {client's address and port: [octets of its packets]}."""
    chance = random.Random(7)
    said, sizes = [], {}
    for n in range(FLOWS):
        client, port = f"10.{n >> 8}.{n & 255}.1", 1024 + chance.randrange(60000)
        lengths = [chance.randrange(20, 1400) for _ in range(int(chance.paretovariate(0.8)) % 40 + 1)]
        sizes[client, port] = [28 + length for length in lengths]
        said += [(chance.random(), frames.datagram(client, "192.0.2.1", port, 9999, chance.randbytes(length)))
                 for length in lengths]
    said.sort()
    pcapio.write(path, [(START + int(at * 10 * 10**9), frame, len(frame)) for at, frame in said])
    return sizes


def octets(flow):
    return flow.get("octets", 0) + flow.get("rev_octets", 0)


def packets(flow):
    return flow.get("packets", 0) + flow.get("rev_packets", 0)


class Sampling(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        cls.path = cls.folder.name + "/made.pcap"
        cls.sizes = write_capture(cls.path)

    def flows(self, path, *more):
        done = l7.probe_flows(path, *more)
        refused = sum(kind["packets"] for kind in done.stats["refused"].values())
        self.assertEqual(done.stats["packets"], sum(map(packets, done.flows)) + refused + done.stats["packets_not_sampled"] +
                         done.stats["duplicate_packets"], "each packet is counted once")
        return done

    def near(self, truth, estimate, deviation):
        self.assertGreater(deviation, 0)
        self.assertLess(abs(truth - estimate), SIGMAS * deviation, f"{estimate} for {truth}, +-{deviation:.0f}")

    def test_packets(self):
        """N times what was seen, of packets and octets."""
        sizes = [size for flow in self.sizes.values() for size in flow]
        for n in (2, 10, 100):
            with self.subTest(n):
                done = self.flows(self.path, "--sample-packets", str(n))
                self.assertEqual({n}, {flow["sampling"] for flow in done.flows})
                self.near(len(sizes), n * sum(map(packets, done.flows)), ((n - 1) * len(sizes)) ** 0.5)
                self.near(sum(sizes), n * sum(map(octets, done.flows)), ((n - 1) * sum(s * s for s in sizes)) ** 0.5)

    def test_flows(self):
        """Likewise of flows; each that is seen is seen whole."""
        sums = {key: sum(sizes) for key, sizes in self.sizes.items()}
        for n in (2, 10, 100):
            with self.subTest(n):
                done = self.flows(self.path, "--sample-flows", str(n))
                self.assertEqual({n}, {flow["sampling"] for flow in done.flows})
                self.assertEqual(len(done.flows), done.stats["flows"])
                self.near(len(sums), n * len(done.flows), ((n - 1) * len(sums)) ** 0.5)
                self.near(sum(sums.values()), n * sum(map(octets, done.flows)),
                          ((n - 1) * sum(s * s for s in sums.values())) ** 0.5)
                for flow in done.flows:
                    key = flow["src_ip"], flow["src_port"]
                    self.assertEqual((len(self.sizes[key]), sums[key]), (packets(flow), octets(flow)))

    def test_both(self):
        """Independent of each other: the product."""
        done = self.flows(self.path, "--sample-packets", "2", "--sample-flows", "5")
        self.assertEqual({10}, {flow["sampling"] for flow in done.flows})
        squares = sum(5 * sum(s) ** 2 + 5 * sum(x * x for x in s) for s in self.sizes.values())
        self.near(sum(map(sum, self.sizes.values())), 10 * sum(map(octets, done.flows)), squares ** 0.5)

    def test_same_with_workers(self):
        """On captures with fragments, tunnels, VLANs, both families too: one worker and three make the same records."""
        def records(path, workers, more):
            found = []
            for flow in self.flows(path, "-w", workers, *more).flows:
                found.append(json.dumps({k: v for k, v in flow.items() if k not in OF_RUN}, sort_keys=True))
            return sorted(found)
        paths = [self.path] + [l7.corpus(name) for name in ("telegram.pcap", "1kxun.pcap", "gtp_c.pcap", "teams.pcap")
                               if os.path.exists(os.path.join(l7.CORPUS, name))]
        for path in paths:
            for more in (("--sample-packets", "3"), ("--sample-flows", "3"), ("--sample-packets", "2", "--sample-flows", "2")):
                with self.subTest(os.path.basename(path), more=more):
                    one = records(path, "1", more)
                    self.assertEqual(one, records(path, "3", more))
                    self.assertEqual(one, records(path, "1", more))

    def test_a_flow_is_as_without(self):
        """What is said of a flow that is looked at does not depend on the others being left out."""
        def by_flow(done):
            return {tuple(flow[k] for k in IDENTITY) + (flow["start_ms"],): (flow["app"], packets(flow), octets(flow))
                    for flow in done.flows}
        whole = by_flow(self.flows(l7.corpus("telegram.pcap")))
        some = by_flow(self.flows(l7.corpus("telegram.pcap"), "--sample-flows", "2"))
        self.assertGreater(len(whole), len(some))
        self.assertGreater(len(some), 0)
        self.assertEqual({key: whole[key] for key in some}, some)

    def export(self, *more):
        """(name: values) of the fields that tshark decodes of the options records, and the templates that there are."""
        path = self.folder.name + "/sampled.ipfix"
        done = l7.probe("-r", l7.corpus("telegram.pcap"), *l7.NO_TIMEOUTS, "-o", f"ipfix+file://{path}", *more)
        self.assertEqual(0, done.status, done.err)
        done = l7.run(["tshark", "-r", path, "-V"])
        self.assertEqual(0, done.status, done.err)
        self.assertNotIn("Malformed", done.out)
        return done.out

    @staticmethod
    def set_of(text, number):
        """Of tshark's text the data set with this number: its lines."""
        lines, found = text.splitlines(), []
        for i, line in enumerate(lines):
            if f"FlowSet Id: (Data) ({number})" in line:
                found = [word.strip() for word in lines[i:i + 12]]
        return found

    def test_tshark(self):
        text = self.export("--sample-packets", "4", "--sample-flows", "8")
        for number, wanted in (
                (SAMPLING, ("Sampling interval: 32",)),
                (SAMPLED_PACKETS, ("Selector Id: 1", "Selector Algorithm: Uniform probabilistic Sampling (4)",
                                   "Sampling Probability: 0.25")),
                (SAMPLED_FLOWS, ("Selector Id: 2", "Flow_Selector_Algorithm: 4", "Sampling Probability: 0.125"))):
            found = self.set_of(text, number)
            for want in wanted:
                self.assertIn(want, found)

    def test_nothing_is_said(self):
        for more in ((), ("--sample-packets", "1", "--sample-flows", "1")):
            text = self.export(*more)
            self.assertNotIn("selectorId", text)
            self.assertNotIn("Sampling interval: 0", text)
            self.assertIn("Sampling interval: 1", text)

    def test_nfdump_scales(self):
        """It knows by the options record: its sums are the estimates."""
        n, path = 8, l7.corpus("1kxun.pcap")
        seen = self.flows(path, "--sample-packets", str(n)).flows
        with tempfile.TemporaryDirectory() as folder:
            port = l7.free_port(socket.SOCK_DGRAM)
            with l7.Process(["nfcapd", "-b", "127.0.0.1", "-p", str(port), "-w", folder, "-t", "3600", "-B", "4000000"]) as nfcapd:
                l7.wait_for("nfcapd listens", lambda: l7.udp_queue(port))
                done = l7.probe("-r", path, *l7.NO_TIMEOUTS, "--sample-packets", str(n), "-o", f"ipfix+udp://127.0.0.1:{port}")
                self.assertEqual(0, done.status, done.err)
                l7.wait_for("nfcapd has taken all", lambda: l7.udp_queue(port)[0] == 0 and l7.waits(nfcapd.child.pid))
                nfcapd.stop()
            done = l7.run(["nfdump", "-R", folder, "-q", "-N", "-o", "fmt:%ipkt %ibyt %opkt %obyt"])
        rows = [[int(w) for w in line.split()] for line in done.out.splitlines() if line.strip()]
        self.assertEqual((n * sum(map(packets, seen)), n * sum(map(octets, seen))),
                         (sum(r[0] + r[2] for r in rows), sum(r[1] + r[3] for r in rows)))

    def test_l7watch(self):
        """Rules that count know that one stands for many, and say so."""
        rules = """
version: 1
rules:
- {id: 1, name: many octets, type: threshold, severity: low, match: {}, group_by: [server], sum: bytes, over: 1MB,
   window: 1h}
"""
        with l7.Watch(rules) as watch:
            done = l7.probe("-r", self.path, *l7.NO_TIMEOUTS, "--sample-packets", "10", "-o", watch.output)
            self.assertEqual(0, done.status, done.err)
            alerts = l7.wait_for("an alert", watch.engaged)
            health = l7.wait_for("what it says of the exporter", watch.health)
            ended = watch.stop()
        self.assertIn("(sampled 1:10, estimate)", alerts[0]["reason"])
        self.assertTrue(any("sees one packet or flow of 10" in alert["reason"] for alert in health), health)
        self.assertGreater(ended.stats["sampled"], 0)

    def test_report(self):
        done = l7.probe("-r", self.path, "--sample-packets", "4", "--sample-flows", "8")
        self.assertIn("figures of 1 packet in 4, 1 flow in 8", " ".join(done.out.split()))
        self.assertNotIn("figures of", l7.probe("-r", self.path).out)

    def test_mirror_port_is_not_blamed(self):
        """Of a conversation that is sampled mostly one side is seen: that says nothing about the mirror port."""
        path, at, said, talk = self.folder.name + "/both.pcap", START, [], [(True, b"x" * 50), (False, b"y" * 50)]
        for n in range(6000):
            for frame in frames.conversation(f"10.1.{n >> 8}.{n & 255}", "192.0.2.1", 40000, 443, talk):
                at += 10**5
                said.append((at, frame, len(frame)))
        pcapio.write(path, said)
        done = self.flows(path, "--sample-packets", "150")
        one_way, two_way = (done.stats[name] for name in ("tcp_one_way", "tcp_two_way"))
        self.assertGreater(one_way, 100)
        self.assertGreater(one_way, 20 * two_way, "else nothing would be said anyhow")
        self.assertEqual("", done.said)

    def test_configuration(self):
        path = self.folder.name + "/probe.yaml"
        with open(path, "w", encoding="ascii") as f:
            f.write("sample_packets: 10\nsample_flows: 20\n")
        printed = l7.probe("-c", path, "--print-config").out
        self.assertIn("sample_packets: 10\n", printed)
        self.assertIn("sample_flows: 20\n", printed)
        for wrong in ("0", "65536", "x"):
            done = l7.probe("-i", "lo", "--sample-packets", wrong, "--check")
            self.assertEqual(1, done.status)
            self.assertIn("sample-packets", done.err)


if __name__ == "__main__":
    l7.main()
