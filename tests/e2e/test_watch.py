#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""l7watch as a program: options, rules that change under it, outputs that fail, peers over UDP and TCP."""
import os
import signal
import socket
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "fuzz"))
import l7  # noqa: E402
import seeds  # noqa: E402

RULES = """
version: 1
rules:
- {id: 1, name: no Telegram, type: deny, severity: high, match: {app: Telegram, confidence: port}}
"""
TEMPLATE = seeds.message(0, seeds.a_set(2, seeds.template(256, seeds.STANDARD)))


def record(app, sequence=0):
    """A message with one record, whose confidences are `port`."""
    return seeds.message(sequence, seeds.a_set(256, seeds.numbered(app)))


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as s:
            s.bind(("::1", 0))
        return True
    except OSError:
        return False


class Options(unittest.TestCase):
    def test_check_says_so(self):
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as f:
            f.write(RULES)
            f.flush()
            done = l7.run([l7.L7WATCH, "-R", f.name, "--check"])
        self.assertEqual((0, f"{f.name}: no errors, rules: 1\n", ""), (done.status, done.out, done.err))

    def test_printed_configuration_reads_back(self):
        first = l7.run([l7.L7WATCH, "-l", "ipfix+udp://127.0.0.1:9", "-a", "json:-", "-a", "json+file:///tmp/a b",
                        "--pen", "4711", "--stats", "--print-config"])
        self.assertEqual(0, first.status, first.err)
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as f:
            f.write(first.out)
            f.flush()
            again = l7.run([l7.L7WATCH, "-c", f.name, "--print-config"])
        self.assertEqual(first.out, again.out, again.err)
        self.assertIn("pen: 4711", again.out)

    def test_sentences(self):
        for argv, word in ((("-l", "ipfix+tls://h:1"), "ipfix+tls"), (("-a", "syslog:x"), "syslog"),
                           (("--pen", "0"), "--pen"), (("surplus",), "surplus")):
            done = l7.run((l7.L7WATCH, *argv))
            self.assertEqual(1, done.status, done.err)
            self.assertEqual(1, len(done.err.splitlines()), done.err)
            self.assertIn(word, done.err)

    def test_help_and_version(self):
        done = l7.run([l7.L7WATCH, "--help"])
        self.assertEqual(0, done.status)
        self.assertIn("--listen", done.out)
        self.assertEqual(0, l7.run([l7.L7WATCH, "-V"]).status)


class Running(unittest.TestCase):
    def send(self, watch, *messages):
        with socket.create_connection(("127.0.0.1", watch.port)) as s:
            s.sendall(b"".join((TEMPLATE,) + messages))

    def test_reload(self):
        """A bad file leaves the rules in force, a good one replaces them; the alert file is opened anew."""
        with l7.Watch(RULES) as watch:
            with open(watch.rules, "w", encoding="utf-8") as f:
                f.write("version: 1\nrules: [{id: 1, nme: x}]\n")
            watch.child.send_signal(signal.SIGHUP)
            l7.wait_for("the refusal", lambda: "the rules in force stay" in watch.err)
            self.assertIn(f"{watch.rules}:2:17: unknown key nme", watch.err)
            self.send(watch, record(b"Telegram"), record(b"TLS.WhatsApp"))
            l7.wait_for("an alert", watch.engaged)
            os.rename(watch.alerts_path, watch.alerts_path + ".1")
            with open(watch.rules, "w", encoding="utf-8") as f:
                f.write(RULES.replace("Telegram,", "WhatsApp,"))
            watch.child.send_signal(signal.SIGHUP)
            l7.wait_for("the new rules", lambda: "rules in force now: 1" in watch.err)
            self.send(watch, record(b"Telegram"), record(b"TLS.WhatsApp"))
            l7.wait_for("another alert", watch.engaged)
            ended = watch.stop()
            self.assertEqual(["TLS.WhatsApp"], [a["app"] for a in watch.engaged()])
            with open(watch.alerts_path + ".1", encoding="utf-8") as f:
                self.assertIn("no Telegram", f.read())
        self.assertEqual(0, ended.status, ended.err)

    def test_full_disk(self):
        with l7.Watch(RULES, alerts="/dev/full") as watch:
            self.send(watch, record(b"Telegram"), record(b"TLS.Telegram"), record(b"QUIC.Telegram"))
            l7.wait_for("the complaint", lambda: "/dev/full" in watch.err)
            ended = watch.stop()
        self.assertEqual(2, ended.status, ended.err)
        self.assertEqual(1, ended.err.count("No space left on device"))
        self.assertEqual(ended.stats["alerts"], ended.stats["alerts_lost"])

    def test_counts(self):
        with l7.Watch(RULES) as watch:
            self.send(watch, record(b"Telegram"), record(b"Telegram", 5), seeds.message(6, seeds.a_set(999, b"unknown")))
            l7.wait_for("an alert", watch.engaged)
            stats = watch.stop().stats
            health = sorted(a["rule"]["name"] for a in watch.health())
        self.assertEqual(["exporter_lost", "exporter_sampled"], health)
        self.assertEqual((4, 2, 4, 1), (stats["messages"], stats["records"], stats["lost"], stats["templates"]))
        self.assertEqual((1, 3, 0), (stats["connections"], stats["alerts"], stats["alerts_lost"]))
        self.assertEqual(1, stats["refused"]["no_template"])

    def test_all_that_came_is_read_before_the_end(self):
        """SIGTERM right behind much data: to its sender it counts as received."""
        many = seeds.message(0, seeds.a_set(256, b"".join(seeds.numbered(b"SSH") for _ in range(100))))
        with l7.Watch(RULES) as watch:
            with socket.create_connection(("127.0.0.1", watch.port)) as s:
                s.sendall(TEMPLATE + many * 60)
                watch.child.send_signal(signal.SIGTERM)
                ended = watch.finish()
        self.assertEqual((0, 6000), (ended.status, ended.stats["records"]), ended.err)

    @unittest.skipUnless(has_ipv6(), "no IPv6 on this machine")
    def test_udp_of_both_families(self):
        """One listener on [::] hears IPv4 and IPv6; each peer has a session of its own."""
        port = l7.free_port(socket.SOCK_DGRAM)
        with l7.Watch(RULES, more=("-l", f"ipfix+udp://[::]:{port}")) as watch:
            for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
                with socket.socket(family, socket.SOCK_DGRAM) as s:
                    for message in (TEMPLATE, record(b"TLS." + address.encode().replace(b".", b"_")), record(b"Telegram")):
                        s.sendto(message, (address, port))
            l7.wait_for("an alert", watch.engaged)
            stats = watch.stop().stats
            exporter = watch.engaged()[0]["flow"]["exporter"]
        self.assertEqual((2, 4), (stats["udp_sessions"], stats["records"]))
        self.assertEqual("127.0.0.1#1", exporter)

    def test_what_the_kernel_drops(self):
        """Datagrams that find no room while it is held up are counted: with those it got they are all that was sent."""
        port = l7.free_port(socket.SOCK_DGRAM)
        message = seeds.message(0, seeds.a_set(256, b"".join(seeds.numbered(b"SSH") for _ in range(5))))
        with l7.Watch(RULES, more=("-l", f"ipfix+udp://127.0.0.1:{port}")) as watch, \
                socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            watch.child.send_signal(signal.SIGSTOP)
            sent = 0
            while l7.udp_queue(port)[1] == 0:
                for _ in range(1000):
                    s.sendto(message, ("127.0.0.1", port))
                sent += 1000
                self.assertLess(sent, 1000000, "it has room for everything")
            watch.child.send_signal(signal.SIGCONT)
            l7.wait_for("it has taken what there was", lambda: l7.udp_queue(port)[0] == 0)
            s.sendto(TEMPLATE, ("127.0.0.1", port))  # with the next one the kernel says how many
            stats = watch.stop().stats
        self.assertGreater(stats["kernel_drops"], 0)
        self.assertEqual(sent + 1, stats["messages"] + stats["kernel_drops"])

    def test_many_slow_peers(self):
        """60 peers with half a message each; a good one's alert comes at once."""
        with l7.Lag() as lag, l7.Watch(RULES) as watch:
            slow = [socket.create_connection(("127.0.0.1", watch.port)) for _ in range(60)]
            for s in slow:
                s.sendall(record(b"Telegram")[:30])
            began = time.monotonic()
            self.send(watch, record(b"Telegram"))
            l7.wait_for("the alert", watch.engaged)
            delay = time.monotonic() - began
            for s in slow:
                s.close()
            ended = watch.stop()
        self.assertLess(delay, 1.0 + 10 * lag.longest)
        self.assertEqual(60, ended.stats["refused"]["half_messages"])


if __name__ == "__main__":
    l7.main()
