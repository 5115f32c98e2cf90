#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What goes wrong says so in one sentence, with the right exit status."""
import os
import random
import shutil
import signal
import socket
import struct
import sys
import tempfile
import threading
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import l7  # noqa: E402

RULES = """
version: 1
rules:
- {id: 1, name: no Telegram, type: deny, severity: high, match: {app: Telegram}}
"""


TIMES = 1000  # that a file is read, in seconds, of which the first is enough
TEMPLATES = 30000  # octets of IPFIX: templates and tables have less


class Sentences(unittest.TestCase):
    def assert_says(self, done, status, nouns):
        """Ends with the status and one line, which has the nouns."""
        self.assertEqual(status, done.status, done.err)
        lines = [line for line in done.said.splitlines() if line.strip()]
        self.assertEqual(1, len(lines), done.err)
        for noun in nouns:
            self.assertRegex(lines[0], "(?i)" + noun)


class ProbeFaults(Sentences):
    def test_full_disk(self):
        done = l7.probe("-r", l7.corpus("telegram.pcap"), "-o", "json+file:///dev/full")
        self.assert_says(done, 2, ["/dev/full", "no space"])

    def test_full_standard_output(self):
        with open("/dev/full", "wb") as full:
            process = l7.subprocess.run([l7.L7PROBE, "-r", l7.corpus("telegram.pcap"), "-o", "json:-"],
                                        stdout=full, stderr=l7.subprocess.PIPE, timeout=60)
        self.assertEqual(2, process.returncode)
        self.assertRegex(process.stderr.decode(), "(?i)no space")

    def test_missing_file(self):
        self.assert_says(l7.probe("-r", "/nonexistent/x.pcap"), 2, ["/nonexistent/x.pcap", "no such file"])

    def test_no_capture_file(self):
        self.assert_says(l7.probe("-r", os.path.abspath(__file__)), 2, [os.path.basename(__file__)])

    def test_missing_folder_of_output(self):
        done = l7.probe("-r", l7.STORY, "-o", "json+file:///nonexistent/out.json")
        self.assert_says(done, 2, ["/nonexistent/out.json", "no such file"])

    def test_output_over_input(self):
        """A capture is not lost because it was named twice; nor is one output written over the other."""
        with tempfile.TemporaryDirectory() as folder:
            copy, link, out = shutil.copy(l7.STORY, folder), folder + "/link", folder + "/out"
            os.symlink(copy, link)
            self.assert_says(l7.probe("-r", copy, "-o", f"json+file://{link}"), 1, ["link"])
            self.assertEqual(os.path.getsize(l7.STORY), os.path.getsize(copy))
            for _ in range(2):
                self.assert_says(l7.probe("-r", copy, "-o", f"json+file://{out}", "-o",
                                          f"json+file://{out}?early=1"), 1, ["out", "another output"])
                with open(out, "wb"):
                    pass
            null = "json+file:///dev/null"
            self.assertEqual(0, l7.probe("-r", copy, "-o", null, "-o", null).status)

    def test_unknown_flag(self):
        self.assert_says(l7.probe("--frobnicate"), 1, ["frobnicate"])

    def test_no_source(self):
        self.assertEqual(1, l7.probe("-o", "json:-").status)

    def test_unknown_output_option(self):
        self.assert_says(l7.probe("-r", l7.STORY, "-o", "ipfix+tcp://127.0.0.1:4739?erly=1"), 1, ["erly"])

    def test_unknown_output(self):
        self.assert_says(l7.probe("-r", l7.STORY, "-o", "ipfx+tcp://127.0.0.1:4739"), 1, ["ipfx"])

    def test_bad_filter(self):
        done = l7.probe("-r", l7.STORY, "-f", "tcp prt 80")
        self.assertIn(done.status, (1, 2))
        self.assertRegex(done.said, "(?i)syntax|filter")

    def test_bad_timeout(self):
        self.assert_says(l7.probe("-r", l7.STORY, "--active-timeout", "soon"), 1, ["active.timeout"])

    def test_collector_refuses(self):
        """Nobody listens: the records are dropped, and the statistics say how many."""
        started = time.monotonic()
        done = l7.probe("-r", l7.STORY, "-o", f"ipfix+tcp://127.0.0.1:{l7.free_port()}", "--stats", timeout=60)
        self.assertLess(time.monotonic() - started, 30)
        output = done.stats["outputs"][0]
        self.assertEqual(done.stats["records"], output["sent"] + output["dropped"], done.err)
        self.assertEqual((2, 0), (done.status, output["sent"]), "a script must not take the file for done")

    def test_collector_never_reads(self):
        with socket.socket() as server:
            server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            server.bind(("127.0.0.1", 0))
            server.listen(1)
            started = time.monotonic()
            output = f"ipfix+tcp://127.0.0.1:{server.getsockname()[1]}"
            done = l7.probe("-r", l7.corpus("pinterest.pcap"), "-o", output, "--stats", timeout=60)
        self.assertLess(time.monotonic() - started, 30, "the end is bounded by drain_timeout")
        sums = done.stats["outputs"][0]
        self.assertEqual(done.stats["records"], sums["sent"] + sums["dropped"], done.err)
        self.assertEqual(2 if sums["dropped"] else 0, done.status, done.err)


class Places(Sentences):
    """What is wrong in a configuration file is said with its place, in options with the option's name."""

    def said(self, binary, text, *more):
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as f:
            f.write(text)
            f.flush()
            done = l7.run((binary, "-c", f.name) + more, timeout=30)
        self.assertEqual(1, done.status, done.err)
        self.assertEqual(1, len(done.said.splitlines()), done.err)
        return done.said.replace(f.name, "F")

    def test_probe_file(self):
        for text, expected in (("output:\n- json:-\n- jsn:-\n", ":3:3: jsn:-: there is no output"),
                               ("output: ipfix+udp://h?mtu=9\n", ":1:9: .* option mtu"),
                               ("output: [json:-, text:-]\n", ":1:18: text:-: another output"),
                               ("filter: tcp prt 80\n", ":1:9: filter"), ("template: standart\n", ":1:11: .*standard"),
                               ("protocols: /nonexistent/p\n", ":1:12: /nonexistent/p: No such"),
                               ("workers: 2\nsnaplen: 3\n", ":2:10: snaplen"), ("color: red\n", ":1:8: color")):
            self.assertRegex(self.said(l7.L7PROBE, text, "-r", l7.STORY, "--check"), "error: F" + expected)

    def test_probe_options(self):
        for option, value in (("output", "jsn:-"), ("filter", "tcp prt 80"), ("template", "standart"), ("color", "red"),
                              ("protocols", "/nonexistent/p")):
            said = self.said(l7.L7PROBE, f"{option}: json:-\n", "-r", l7.STORY, f"--{option}", value)
            self.assertIn(f"error: option --{option}: ", said)

    def test_source_of_the_command_line_wins(self):
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as f:
            f.write("interface: nosuch0\n")
            f.flush()
            done = l7.probe("-c", f.name, "-r", l7.STORY, "-o", "json:-", "--stats")
        self.assertEqual(0, done.status, done.err)
        self.assertGreater(len(done.flows), 0)
        self.assertIn("do not go together", self.said(l7.L7PROBE, f"interface: x\nread: {l7.STORY}\n"))

    def test_watch(self):
        for text, expected in (("listen: [ipfix+udp://h, ipfx:-]\n", ":1:25: ipfx"), ("alert: mail:-\n", ":1:8: mail"),
                               ("pen: 29305\n", ":1:6: pen 29305 is taken")):
            self.assertRegex(self.said(l7.L7WATCH, text, "--check"), "error: F" + expected)
        self.assertIn("error: option --listen: ipfx:-", self.said(l7.L7WATCH, "stats: true\n", "-l", "ipfx:-"))

    def test_secrets(self):
        """Not taken where they could be read, and not repeated in the sentence that says so."""
        secret = "kafka://u:geheim@b/t?rdkafka.sasl.password=geheim"
        for binary, key, always in ((l7.L7PROBE, "output", ("-r", l7.STORY)), (l7.L7WATCH, "alert", ()),
                                    (l7.L7WATCH, "listen", ())):
            for more in (always, always + ("--print-config",), always + ("-v", "--check")):
                said = self.said(binary, f"{key}: {secret}\n", *more)
                self.assertIn(r"***@b/t?rdkafka.sasl.password=***: ", said)
                said += self.said(binary, "stats: true\n", f"--{key}", secret, *more)
                self.assertNotIn("geheim", said)


@unittest.skipUnless(l7.can_capture(), "may not capture")
class Live(Sentences):
    def test_absent_interface(self):
        self.assert_says(l7.probe("-i", "nosuch0", "-o", "json:-"), 2, ["nosuch0"])

    @unittest.skipUnless(l7.is_root(), "needs root to become somebody else")
    def test_no_permission(self):
        with l7.for_all(l7.L7PROBE) as copy:
            done = l7.probe("-i", "lo", "-o", "json:-", binary=copy, **l7.NOBODY)
        self.assert_says(done, 2, ["lo", "permi"])

    def capture(self, port, *more):
        """l7probe on the loopback, once it captures what goes to a UDP port."""
        process = l7.Process([l7.L7PROBE, "-i", "lo", "-f", f"udp dst port {port}", "-o", "json:-", "--stats", "-v", *more])
        try:
            l7.wait_for("it captures", lambda: "capturing on" in process.err)
        except BaseException:
            process.__exit__()
            raise
        return process

    def test_sigterm_flushes(self):
        """Open flows of a live capture come out on SIGTERM."""
        port = l7.free_port(socket.SOCK_DGRAM)
        with self.capture(port) as process:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
                s.sendto(b"x" * 100, ("127.0.0.1", port))
            l7.settled(process.child.pid)
            done = process.stop()
        self.assertEqual(0, done.status, done.err)
        flows = [f for f in done.flows if f["dst_port"] == port]
        self.assertEqual([128], [f["octets"] for f in flows])

    def test_many_flows_at_once(self):
        """More flows than the ring has places, over at the same time: by SIGTERM, and by being idle."""
        many = 20000
        for timeout in ("600", "1"):
            port = l7.free_port(socket.SOCK_DGRAM)
            with self.capture(port, "--idle-timeout", timeout) as process:
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
                    for i in range(many):
                        s.sendto(b"x" * 10, (f"127.1.{i >> 8}.{i & 255}", port))
                l7.settled(process.child.pid)
                if timeout == "1":
                    l7.wait_for("idle flows are over", lambda: process.text(process.out_path).count("\n") == many)
                done = process.stop()
            self.assertEqual(0, done.status, done.err)
            self.assertEqual({"kernel": 0, "interface": 0, "ring": 0}, done.stats["drops"])
            self.assertEqual(many, len(done.flows))

    def test_drops_outlive_a_worker(self):
        """What the kernel dropped while a worker was held up is still counted after another took its place."""
        many, port = 20000, l7.free_port(socket.SOCK_DGRAM)
        with self.capture(port, "--buffer-size", "1") as process:
            worker = l7.all_children(process.child.pid)[1]
            os.kill(worker, signal.SIGSTOP)
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
                for _ in range(many):
                    s.sendto(b"x" * 500, ("127.0.0.1", port))
            os.kill(worker, signal.SIGCONT)
            time.sleep(1.1)  # they are looked at every second
            l7.settled(process.child.pid)
            os.kill(worker, signal.SIGKILL)
            l7.wait_for("another worker", lambda: process.err.count("capturing on") == 2)
            done = process.stop()
        self.assertEqual(0, done.status, done.err)
        self.assertEqual(1, done.stats["worker_restarts"])
        self.assertGreater(done.stats["drops"]["kernel"], 0)
        # The kernel counts a packet of the loopback as it goes and as it comes.
        self.assertGreaterEqual(done.stats["packets"] + done.stats["drops"]["kernel"], many)


class WatchFaults(Sentences):
    def watch(self, *arguments):
        return l7.run((l7.L7WATCH,) + arguments, timeout=30)

    def with_rules(self, text, *arguments):
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as f:
            f.write(text)
            f.flush()
            return self.watch("-R", f.name, *arguments), f.name

    def test_malformed_rules(self):
        done, name = self.with_rules(RULES + "- {id: 1, nme: x}\n", "--check")
        self.assertEqual(1, done.status, done.err)
        self.assertRegex(done.err + done.out, rf"{name}:\d+:\d+: .")

    def test_malformed_rules_do_not_start(self):
        done, name = self.with_rules("version: 1\nrules: [}\n", "-l", f"ipfix+tcp://127.0.0.1:{l7.free_port()}")
        self.assertEqual(1, done.status, done.err)
        self.assertRegex(done.said, rf"{name}:\d+:\d+: .")

    def test_missing_rules(self):
        self.assert_says(self.watch("-R", "/nonexistent/rules.yaml", "--check"), 1,
                         ["/nonexistent/rules.yaml", "no such file"])

    def test_unknown_flag(self):
        self.assert_says(self.watch("--frobnicate"), 1, ["frobnicate"])

    def test_port_in_use(self):
        with socket.create_server(("127.0.0.1", 0)) as s:
            port = s.getsockname()[1]
            done, _ = self.with_rules(RULES, "-l", f"ipfix+tcp://127.0.0.1:{port}")
        self.assert_says(done, 2, [str(port), "in use"])

    def test_garbage_harms_nobody(self):
        """Random octets, a stalled peer and a cut message beside a good probe."""
        rng = random.Random(11)
        with l7.Watch(RULES) as watch:
            garbage = [rng.randbytes(5000), struct.pack(">HHIII", 10, 65535, 0, 0, 1), b"GET / HTTP/1.0\r\n\r\n",
                       struct.pack(">HHIIIHH", 10, 20, 0, 0, 1, 2, 4), struct.pack(">HHIII", 10, 0, 0, 0, 1)]
            peers = []
            for octets in garbage:
                peer = socket.create_connection(("127.0.0.1", watch.port))
                peer.sendall(octets)
                peers.append(peer)
            done = l7.probe("-r", l7.STORY, "-o", watch.output)
            self.assertEqual(0, done.status, done.err)
            l7.wait_for("the alert", watch.engaged)
            for peer in peers:
                peer.close()
            ended = watch.stop()
        self.assertEqual(0, ended.status, ended.err)


class Stopped(unittest.TestCase):
    def test_sigterm_in_the_middle_of_a_file(self):
        """What was read until then is flushed; sent and dropped are all that was made."""
        with socket.create_server(("127.0.0.1", 0)) as server:
            got = bytearray()
            threading.Thread(target=reader, args=(server, got), daemon=True).start()
            argv = [l7.L7PROBE, "-o", f"ipfix+tcp://127.0.0.1:{server.getsockname()[1]}", "--stats"]
            for _ in range(TIMES):
                argv += ["-r", l7.corpus("tumblr.pcap")]
            with l7.Process(argv) as process:
                l7.wait_for("records", lambda: len(got) > TEMPLATES)
                self.assertIsNone(process.child.poll(), "it ended before it could be stopped")
                process.child.send_signal(signal.SIGTERM)
                done = process.finish()
        self.assertEqual(0, done.status, done.err)
        sums = done.stats["outputs"][0]
        self.assertGreater(done.stats["records"], 0)
        self.assertLess(done.stats["packets"], TIMES * l7.probe_flows(l7.corpus("tumblr.pcap")).stats["packets"])
        self.assertEqual(done.stats["records"], sums["sent"] + sums["dropped"])


def reader(server, got):
    peer, _ = server.accept()
    with peer:
        while octets := peer.recv(65536):
            got += octets


if __name__ == "__main__":
    l7.main()
