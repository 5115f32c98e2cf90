#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What l7watch takes: files and pipes of l7probe, and IPFIX of softflowd and pmacctd, which tell the same of the same packets."""
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import l7  # noqa: E402

RULES = """
version: 1
rules:
- {id: 1, name: no Telegram, type: deny, severity: high, match: {app: Telegram, confidence: port}}
- {id: 2, name: no DNS, type: deny, severity: low, match: {app: DNS, confidence: port}}
"""
BY_PORT = """
version: 1
rules:
- {id: 1, name: no HTTPS, type: deny, severity: high, match: {port: 443, host: 192.0.2.10}}
"""
PMACCT = """
plugins: nfprobe
aggregate: src_host,dst_host,src_port,dst_port,proto,tcpflags,in_iface,tos
nfprobe_receiver: 127.0.0.1:%d
nfprobe_version: 10
nfprobe_timeouts: tcp=1:maxlife=2
"""


def what_alerts_say(text):
    """Alerts without what differs from run to run."""
    alerts = []
    for a in l7.json_lines(text):
        flow = {k: v for k, v in a["flow"].items() if k not in ("stream_id", "record_sequence")}
        alerts.append((a["rule"]["id"], a["app"], a["subject"], a["peer"], a["reason"], a["first_seen"], a["last_seen"], flow))
    return alerts


class Files(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="l7test-")
        self.addCleanup(shutil.rmtree, self.folder)
        self.rules = self.path("rules.yaml")
        with open(self.rules, "w", encoding="utf-8") as f:
            f.write(RULES)

    def path(self, name):
        return os.path.join(self.folder, name)

    def probe(self, *outputs):
        done = l7.probe("-r", l7.STORY, *(word for output in outputs for word in ("-o", output)))
        self.assertEqual(0, done.status, done.err)

    def watch(self, *inputs, **options):
        return l7.run((l7.L7WATCH, *(word for i in inputs for word in ("-l", i)), "-R", self.rules, "-a", "json:-", "--stats"),
                      **options)

    def test_json_and_ipfix_say_the_same(self):
        self.probe(f"json+file://{self.path('flows.json')}", f"ipfix+file://{self.path('flows.ipfix')}?template=full")
        by_json = self.watch(f"json+file://{self.path('flows.json')}")
        by_ipfix = self.watch(f"ipfix+file://{self.path('flows.ipfix')}")
        for done in (by_json, by_ipfix):
            self.assertEqual(0, done.status, done.err)
            self.assertEqual((15, 0, 0), (done.stats["records"], done.stats["lost"], done.stats["unknown_keys"]))
            self.assertEqual({0}, set(done.stats["refused"].values()))
        said = what_alerts_say(by_json.out)
        self.assertGreater(len(said), 1)
        self.assertEqual([s[:-1] for s in said], [s[:-1] for s in what_alerts_say(by_ipfix.out)])
        for one, other in zip(said, what_alerts_say(by_ipfix.out)):
            # A template has a place for every field: what a flow does not have is 0 there.
            self.assertEqual(one[-1], {k: v for k, v in other[-1].items() if k in one[-1]})

    def test_pipe(self):
        """l7probe | l7watch: it ends with the last record."""
        with subprocess.Popen((l7.L7PROBE, "-r", l7.STORY, "-o", "json:-"), stdout=subprocess.PIPE) as probe:
            done = self.watch("json:-", stdin=probe.stdout)
        self.assertEqual((0, 15), (done.status, done.stats["records"]), done.err)
        self.assertIn("Telegram", done.out)

    def test_a_live_pipe_waits(self):
        """Alerts come while the pipe is open; SIGTERM ends it."""
        self.probe(f"json+file://{self.path('flows.json')}")
        with open(self.path("flows.json"), "rb") as f:
            flows = f.read()
        with l7.Watch(RULES, more=("-l", f"json+file://{self.pipe()}")) as watch:
            with open(self.path("pipe"), "wb", buffering=0) as pipe:
                pipe.write(flows[:-30])
                l7.wait_for("an alert", watch.engaged)
                pipe.write(flows[-30:])
            watch.child.send_signal(signal.SIGTERM)
            done = watch.finish()
        self.assertEqual((0, 15), (done.status, done.stats["records"]), done.err)

    def pipe(self):
        os.mkfifo(self.path("pipe"))
        return self.path("pipe")

    def test_several_files(self):
        self.probe(f"json+file://{self.path('flows.json')}", f"ipfix+file://{self.path('flows.ipfix')}")
        done = self.watch(*[f"json+file://{self.path('flows.json')}"] * 2, f"ipfix+file://{self.path('flows.ipfix')}")
        self.assertEqual((0, 45), (done.status, done.stats["records"]), done.err)

    def test_files_that_are_wrong(self):
        with open(self.path("bad"), "w", encoding="utf-8") as f:
            f.write('{"src_ip":"192.0.2.300"}\n')
        for uri, words in ((f"json+file://{self.path('bad')}", ':1: src_ip is "192.0.2.300", which is no address'),
                           (f"json+file://{self.path('bad')}", "no line is a flow record"),
                           (f"ipfix+file://{l7.STORY}", "it is a capture, which l7probe -r reads"),
                           ("ipfix+file:///no/such/file", "cannot read /no/such/file: No such file or directory")):
            done = self.watch(uri)
            self.assertEqual(2, done.status, done.err)
            self.assertIn(words, done.err)


class Others(unittest.TestCase):
    """A flow of the story as l7probe sees it, and as others do."""

    def setUp(self):
        if not shutil.which("softflowd") or not shutil.which("pmacctd"):
            self.skipTest("softflowd or pmacctd is missing")
        self.flows = {self.ends(f): f for f in l7.probe_flows(l7.STORY).flows}
        self.port = l7.free_port(socket.SOCK_DGRAM)

    @staticmethod
    def ends(flow):
        return tuple(flow[k] for k in ("src_ip", "dst_ip", "src_port", "dst_port", "protocol"))

    def watch(self):
        return l7.Watch(BY_PORT, more=("-l", f"ipfix+udp://127.0.0.1:{self.port}"))

    def check(self, flow, keys, near=1):
        """The flow's numbers are ours. Of two halves the server's may come first: it is turned round, and has its own."""
        ours = self.flows[self.ends(flow)]
        if "packets" not in flow:
            keys = [f"rev_{key}" for key in keys]
        self.assertEqual({key: ours[key] for key in keys}, {key: flow.get(key) for key in keys})
        self.assertLessEqual(abs(ours["start_ms"] - flow["start_ms"]), near)
        self.assertLessEqual(abs(ours["end_ms"] - flow["end_ms"]), near)

    def softflowd(self, *options):
        done = l7.run(("softflowd", "-r", l7.STORY, "-n", f"127.0.0.1:{self.port}", "-d", *options))
        self.assertEqual(0, done.status, done.err)

    def test_softflowd(self):
        one = ("packets", "octets", "tcp_flags")
        both = one + ("rev_packets", "rev_octets", "rev_tcp_flags")
        for options, keys, near in ((("-b",), both, 1), (("-b", "-A", "milli"), both, 1), (("-b", "-A", "nano"), both, 1),
                                    (("-b", "-A", "sec"), both, 1000), ((), one, 1)):
            with self.subTest(options), self.watch() as watch:
                self.softflowd("-v", "10", *options)
                l7.wait_for("an alert", watch.engaged)
                stats = watch.stop().stats
                flow = watch.engaged()[0]["flow"]
                self.check(flow, keys, near)
                self.assertEqual(("127.0.0.1#0", 1), (flow["exporter"], flow["sampling"]))
                self.assertEqual(15 if "-b" in options else 30, stats["records"])
                self.assertEqual((0, 0, 0), (stats["lost"], stats["late"], stats["restarts"]))
                self.assertEqual({0}, set(stats["refused"].values()))

    def test_pmacctd(self):
        with tempfile.NamedTemporaryFile("w", suffix=".conf") as config:
            config.write(PMACCT % self.port)
            config.flush()
            with self.watch() as watch, l7.Process(("pmacctd", "-I", l7.STORY, "-f", config.name), start_new_session=True) as pmacctd:
                l7.wait_for("an alert", watch.engaged)
                self.check(watch.engaged()[0]["flow"], ("packets", "octets"))
                os.killpg(pmacctd.child.pid, signal.SIGKILL)
                stats = watch.stop().stats
        self.assertEqual((0, 0, 0), (stats["lost"], stats["late"], stats["restarts"]))

    def test_netflow_is_refused(self):
        with self.watch() as watch:
            for version in "595":
                self.softflowd("-v", version)
            l7.wait_for("a sentence", lambda: "127.0.0.1 sends NetFlow v5: l7watch takes IPFIX; set the exporter to version 10"
                        in watch.err)
            l7.wait_for("all is read", lambda: l7.udp_queue(self.port)[0] == 0)
            done = watch.stop()
        self.assertEqual(1, done.err.count("sends NetFlow"))
        self.assertGreaterEqual(done.stats["refused"]["netflow"], 3)
        self.assertEqual((0, 0), (done.stats["records"], done.stats["refused"]["bad_header"]))


if __name__ == "__main__":
    l7.main()
