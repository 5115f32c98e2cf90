#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""IPFIX over TLS: what is refused, and that both sides say why; certificates that change; links that fail; openssl at the other end."""
import collections
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import ipfix  # noqa: E402
import l7  # noqa: E402
import tls  # noqa: E402

RULES = """
version: 1
rules:
- {id: 1, name: no Telegram, type: deny, severity: high, match: {app: Telegram}}
"""
BAD = "it refuses our certificate (TLS alert: {})"


class Watch(l7.Watch):
    """l7watch that listens with TLS too."""

    def __init__(self, options):
        self.secure = l7.free_port()
        self.place = tempfile.TemporaryDirectory(prefix="l7tls-")  # pylint: disable=consider-using-with
        self.control = os.path.join(self.place.name, "control")
        super().__init__(RULES, more=("-v", "--control", self.control, "-l", f"ipfix+tls://127.0.0.1:{self.secure}?{options}"))

    def __exit__(self, *unused):
        super().__exit__()
        self.place.cleanup()

    def uri(self, options, host="127.0.0.1", port=None):
        return f"ipfix+tls://{host}:{port or self.secure}?{options}"


class Files(unittest.TestCase):
    """Certificates, made once."""

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="l7tls-")
        cls.ca, cls.other = (tls.Authority(cls.folder, name) for name in ("ca", "other"))
        both = "DNS:localhost,IP:127.0.0.1"
        cls.server, cls.probe = cls.ca.issue("server", both), cls.ca.issue("probe")
        cls.stories = len(l7.probe_flows(l7.STORY).flows)

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.folder)

    @staticmethod
    def options(pair=None, ca=None, **more):
        found = {"ca": ca and ca.cert, "cert": pair and pair.cert, "key": pair and pair.key, **more}
        return "&".join(f"{name}={value}" for name, value in found.items() if value)

    def export(self, uri, patience=1):
        return l7.probe("-r", l7.STORY, "-o", uri, "--stats", "--drain-timeout", str(patience))

    def assert_sent(self, done, count=None):
        self.assertEqual(0, done.status, done.err)
        output = done.stats["outputs"][0]
        self.assertEqual((count or self.stories, 0), (output["sent"], output["dropped"]), done.err)

    def assert_dropped(self, done):
        """Nothing was sent, and nothing is said to have been."""
        self.assertEqual(2, done.status, done.err)
        output = done.stats["outputs"][0]
        self.assertEqual((0, self.stories), (output["sent"], output["dropped"]), done.err)

    def assert_unique(self, watched, count):
        self.assertEqual(count, watched["records"] - watched["doubles"], watched)


class Refused(Files):
    """Each is refused, both sides say why, and the probe says it once."""

    def check(self, watch, probe, probe_says, watch_says, host="127.0.0.1"):
        with Watch(watch) as watcher:
            done = self.export(watcher.uri(probe, host))
            status = l7.run([l7.L7WATCH, "status", "--control", watcher.control]).out
            ended = watcher.stop()
        self.assertRegex(status, r"(?m)^!!  tls +[1-9]\d* connections refused, 0 cut off$")
        self.assert_dropped(done)
        self.assertIn(f": cannot connect: {probe_says}", done.err)
        self.assertEqual(1, done.err.count("cannot connect"), done.err)
        self.assertRegex(ended.err, r"127\.0\.0\.1: its connection is refused: ")
        self.assertIn(f": its connection is refused: {watch_says}", ended.err)
        self.assertEqual(0, ended.stats["records"])
        self.assertGreater(ended.stats["refused"]["tls"], 1, "it is tried on")

    def setUp(self):
        self.watch = self.options(self.server, self.ca)
        self.good = self.options(self.probe, self.ca)

    def test_none(self):
        """What the others are compared with: by name, by address, by another name."""
        with Watch(self.watch) as watcher:
            self.assert_sent(self.export(watcher.uri(self.good)))
            self.assert_sent(self.export(watcher.uri(self.good, "localhost")))
            self.assert_sent(self.export(watcher.uri(self.good + "&name=localhost")))
            ended = watcher.stop()
        self.assertEqual(0, ended.status, ended.err)
        self.assertEqual(3, ended.err.count("127.0.0.1: TLSv1.3, CN=probe"))
        self.assertEqual(3 * self.stories, ended.stats["records"])
        self.assertEqual((0, 0, 0), tuple(ended.stats["refused"][name] for name in ("tls", "cut", "half_messages")))

    def test_wrong_name(self):
        self.check(self.watch, self.good + "&name=other.example", "its certificate is not for other.example, but for localhost, "
                   "127.0.0.1; trying on", BAD.format("bad certificate"))

    def test_wrong_address(self):
        named = self.ca.issue("named", "DNS:localhost")
        self.check(self.options(named, self.ca), self.good, "its certificate is not for 127.0.0.1, but for localhost",
                   BAD.format("bad certificate"))

    def test_name_in_the_subject_only(self):
        self.check(self.options(self.ca.issue("localhost"), self.ca), self.good, "its certificate is not for localhost: it has no "
                   "names", BAD.format("bad certificate"), "localhost")

    def test_expired(self):
        old = self.ca.issue("old", "IP:127.0.0.1", (-9, -1))
        self.check(self.options(old, self.ca), self.good, "the certificate CN=old has expired, on 20",
                   BAD.format("certificate expired"))

    def test_not_yet_valid(self):
        young = self.ca.issue("young", "IP:127.0.0.1", (1, 9))
        self.check(self.options(young, self.ca), self.good, "the certificate CN=young is not valid yet, but from 20",
                   BAD.format("bad certificate"))

    def test_unknown_ca(self):
        self.check(self.options(self.other.issue("server", "IP:127.0.0.1"), self.ca), self.good, "its certificate is of an unknown "
                   "CA: CN=server is signed by none in our ca=", BAD.format("unknown CA"))

    def test_no_client_certificate(self):
        self.check(self.watch, self.options(None, self.ca), "it refuses us (TLS alert: certificate required); it wants a client "
                   "certificate", "it has shown no certificate, and ca= demands one")

    def test_client_of_another_ca(self):
        self.check(self.watch, self.options(self.other.issue("stranger"), self.ca), BAD.format("unknown CA"),
                   "its certificate is of an unknown CA: CN=stranger is signed by none in our ca=")

    def test_client_expired(self):
        self.check(self.watch, self.options(self.ca.issue("late", days=(-9, -1)), self.ca), BAD.format("certificate expired"),
                   "the certificate CN=late has expired, on 20")

    def test_client_not_yet_valid(self):
        self.check(self.watch, self.options(self.ca.issue("early", days=(1, 9)), self.ca), BAD.format("bad certificate"),
                   "the certificate CN=early is not valid yet")

    def test_client_revoked(self):
        pair = self.ca.issue("thief")
        crl = self.ca.revoke(pair)
        self.check(self.watch + f"&crl={crl}", self.options(pair, self.ca), BAD.format("certificate revoked"),
                   "the certificate CN=thief: certificate revoked")

    def test_plain_to_tls(self):
        with Watch(self.watch) as watcher:
            self.export(f"ipfix+tcp://127.0.0.1:{watcher.secure}")
            ended = watcher.stop()
        self.assertIn("127.0.0.1: its connection is refused: it speaks no TLS", ended.err)
        self.assertEqual(0, ended.stats["records"])

    def test_tls_to_plain(self):
        with Watch(self.watch) as watcher:
            done = self.export(watcher.uri(self.good, port=watcher.port))
            ended = watcher.stop()
        self.assert_dropped(done)
        self.assertRegex(done.err, "cannot connect: .* in the TLS handshake; does it speak TLS")
        self.assertIn("127.0.0.1 sent what is no IPFIX over TCP, but TLS", ended.err)

    def test_never_plain(self):
        """Whatever becomes of the handshake, no octet of a record goes out without TLS."""
        got = []
        with socket.create_server(("127.0.0.1", 0)) as server:
            server.settimeout(30)
            with l7.Process([l7.L7PROBE, "-r", l7.STORY, "-o", f"ipfix+tls://127.0.0.1:{server.getsockname()[1]}?{self.good}",
                             "--drain-timeout", "2"]) as process:
                for answer in (b"", b"220 hello\r\n", b"\x15\x03\x03\x00\x02\x02\x46", b"\x15\x03\x01\x00\x02\x02\x28"):
                    peer, _ = server.accept()
                    with peer:
                        got.append(peer.recv(65536))
                        with contextlib.suppress(ConnectionResetError):
                            peer.sendall(answer)
                            peer.shutdown(socket.SHUT_WR)
                            while more := peer.recv(65536):
                                got.append(more)
                process.finish()
        self.assertGreaterEqual(len(got), 4)
        for octets in got:
            self.assertIn(octets[0], (21, 22), "an alert or a handshake")
            self.assertEqual(3, octets[1])


class Peers(Files):
    """openssl at the other end."""

    @contextlib.contextmanager
    def s_server(self, *more):
        """openssl s_server; yields its port and a function that ends it and returns (what it got, what it said)."""
        port = l7.free_port()
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            # It ends when its own input does.
            process = subprocess.Popen(("openssl", "s_server", "-accept", str(port), "-cert", self.server.cert, "-key",
                                        self.server.key, "-CAfile", self.ca.cert, "-quiet") + more, stdin=subprocess.PIPE,
                                       stdout=out, stderr=err)

            def end():
                process.kill()
                process.wait()
                for file in out, err:
                    file.seek(0)
                return out.read(), err.read().decode()
            try:
                l7.wait_for("s_server listens", lambda: l7.listening(port))
                yield port, end
            finally:
                process.kill()
                process.wait()
                process.stdin.close()

    def test_s_server(self):
        demand = ("-Verify", "1", "-verify_return_error")
        for more in (("-tls1_3",) + demand, ("-tls1_2",) + demand, ("-tls1_3", "-num_tickets", "0") + demand, ("-tls1_3",)):
            with self.s_server(*more) as (port, end):
                done = self.export(f"ipfix+tls://127.0.0.1:{port}?{self.options(self.probe, self.ca)}", 20)
                got, said = end()
            with self.subTest(more):
                self.assert_sent(done)
                reader = ipfix.StreamReader()
                reader.push(got)
                self.assertEqual((self.stories, b""), (len(reader.records), reader.rest), said)

    def test_s_server_refuses(self):
        """With TLS 1.2 and 1.3: nothing that it did not want counts as sent."""
        for version, alert in (("-tls1_3", "it refuses us (TLS alert: certificate required)"),
                               ("-tls1_2", "it refuses us (TLS alert: handshake failure)")):
            with self.s_server(version, "-Verify", "1", "-verify_return_error") as (port, end):
                done = self.export(f"ipfix+tls://127.0.0.1:{port}?{self.options(None, self.ca)}")
                got, said = end()
            with self.subTest(version):
                self.assert_dropped(done)
                self.assertIn(alert + "; it wants a client certificate", done.err)
                self.assertEqual(b"", got)
                self.assertIn("peer did not return a certificate", said)

    def test_s_server_of_old(self):
        with self.s_server("-tls1_1", "-cipher", "DEFAULT:@SECLEVEL=0") as (port, end):
            done = self.export(f"ipfix+tls://127.0.0.1:{port}?{self.options(self.probe, self.ca)}")
            got, said = end()
        self.assert_dropped(done)
        self.assertIn("it refuses us (TLS alert: protocol version); it speaks no TLS 1.2 or newer", done.err)
        self.assertEqual(b"", got)
        self.assertIn("unsupported protocol", said)

    def s_client(self, watcher, *more, messages=b""):
        done = subprocess.run(("openssl", "s_client", "-connect", f"127.0.0.1:{watcher.secure}", "-CAfile", self.ca.cert,
                               "-verify_return_error") + more, input=messages, capture_output=True, timeout=60)
        return done.returncode, done.stderr.decode() + done.stdout.decode("utf-8", "replace")

    def mine(self, pair):
        return "-cert", pair.cert, "-key", pair.key

    def test_s_client(self):
        path = os.path.join(self.folder, "story.ipfix")
        self.assertEqual(0, l7.probe("-r", l7.STORY, "-o", f"ipfix+file://{path}").status)
        with open(path, "rb") as f:
            messages = f.read()
        with Watch(self.options(self.server, self.ca)) as watcher:
            for version in "-tls1_2", "-tls1_3":
                status, said = self.s_client(watcher, version, "-verify_ip", "127.0.0.1", "-nocommands", *self.mine(self.probe),
                                             messages=messages)
                self.assertEqual(0, status, said)
                self.assertIn("Verify return code: 0 (ok)", said)
            l7.wait_for("both came", lambda: watcher.err.count("CN=probe") == 2)
            ended = watcher.stop()
        self.assert_unique(ended.stats, self.stories)
        self.assertEqual(self.stories, ended.stats["doubles"])
        self.assertEqual(0, ended.stats["refused"]["half_messages"], ended.err)
        self.assertRegex(ended.err, r"TLSv1\.2, CN=probe(.|\n)*TLSv1\.3, CN=probe")

    def test_records_across_the_buffer(self):
        """The last record of TLS has more than there is room for: what is left of it is read without another that follows."""
        def message(sequence, template, count):
            body = template + struct.pack(">HH", 256, 4 + 4 * count) + b"\xc0\x00\x02\x01" * count
            return struct.pack(">HHIII", 10, 16 + len(body), int(time.time()), sequence, 1) + body

        octets = message(0, struct.pack(">HHHHHH", 2, 12, 256, 1, 8, 4), 16375) + message(16375, b"", 246)
        self.assertEqual(1000 + 4 * 16384, len(octets))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(self.ca.cert)
        context.load_cert_chain(*self.probe)
        with Watch(self.options(self.server, self.ca)) as watcher, socket.create_connection(("127.0.0.1", watcher.secure)) as plain, \
                context.wrap_socket(plain, server_hostname="localhost") as s:
            s.sendall(octets[:1000])
            s.sendall(octets[1000:])
            l7.wait_for("all records", lambda: json.loads(l7.run(
                [l7.L7WATCH, "status", "--json", "--control", watcher.control]).out)["records"] == 16375 + 246, 20)
            watcher.stop()

    def test_s_client_refused(self):
        """s_client of TLS 1.3 hears of it only if it reads, which its input's end forbids: -ign_eof."""
        stranger = self.other.issue("stranger")
        for more, says, log in ((("-tls1_1", "-cipher", "DEFAULT:@SECLEVEL=0"), "alert protocol version",
                                 "it offers no TLS 1.2 or newer"),
                                (("-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA"), "alert handshake failure",
                                 "it offers no cipher that is taken here"),
                                (("-tls1_3", "-ign_eof"), "alert certificate required", "it has shown no certificate"),
                                (("-tls1_2",), "alert handshake failure", "it has shown no certificate"),
                                (("-tls1_3", "-ign_eof") + self.mine(stranger), "alert unknown ca", "CN=stranger is signed by none"),
                                (("-verify_hostname", "other.example"), "hostname mismatch", BAD.format("bad certificate"))):
            with self.subTest(more), Watch(self.options(self.server, self.ca)) as watcher:
                status, said = self.s_client(watcher, *more)
                self.assertEqual(1, status, said)
                self.assertIn(says, said)
                l7.wait_for("it is said", lambda: "refused" in watcher.err)
                ended = watcher.stop()
                self.assertIn(log, ended.err)
                self.assertEqual(1, ended.stats["refused"]["tls"])

    def test_no_second_handshake(self):
        with Watch(self.options(self.server, self.ca)) as watcher:
            _, said = self.s_client(watcher, "-tls1_2", *self.mine(self.probe), messages=b"R\n")
            watcher.stop()
        self.assertIn("RENEGOTIATING", said)
        self.assertIn("no renegotiation", said)

    def test_no_session(self):
        """Of a session nothing is taken up again: TLS 1.2 has nothing to keep, the ticket of TLS 1.3 opens nothing."""
        session = os.path.join(self.folder, "session")
        with Watch(self.options(self.server, self.ca)) as watcher:
            _, said = self.s_client(watcher, "-tls1_2", "-sess_out", session, *self.mine(self.probe))
            self.assertRegex(said, r"Session-ID: *\n")
            self.assertNotIn("TLS session ticket", said)
            with subprocess.Popen(("openssl", "s_client", "-connect", f"127.0.0.1:{watcher.secure}", "-tls1_3", "-sess_out",
                                   session) + self.mine(self.probe), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL) as process:
                try:
                    l7.wait_for("a ticket", lambda: os.path.exists(session) and os.path.getsize(session))
                finally:
                    process.kill()
            _, said = self.s_client(watcher, "-tls1_3", "-sess_in", session, *self.mine(self.probe))
            self.assertIn("New, TLSv1.3", said)
            watcher.stop()


class Stalled(Files):
    """Who does not end a handshake costs a place for some seconds, and others nothing."""

    def test_slow_and_silent(self):
        with Watch(self.options(self.server, self.ca)) as watcher, contextlib.ExitStack() as stack:
            began = time.monotonic()
            peers = [stack.enter_context(socket.create_connection(("127.0.0.1", watcher.secure))) for _ in range(30)]
            for peer in peers[10:]:
                peer.sendall(b"\x16\x03\x01\x01\x00\x01\x00\x00\xfc\x03\x03")
            self.assert_sent(self.export(watcher.uri(self.options(self.probe, self.ca))))
            more = [stack.enter_context(socket.create_connection(("127.0.0.1", watcher.secure))) for _ in range(10)]
            l7.wait_for("too many", lambda: "127.0.0.1 is refused: too many" in watcher.err)
            while time.monotonic() < began + 8:
                for peer in peers[10:15]:
                    peer.sendall(b"a")
                time.sleep(0.1)
            for peer in peers + more:
                peer.settimeout(30)
                with contextlib.suppress(ConnectionResetError):
                    self.assertEqual(b"", peer.recv(1))
            self.assertGreater(time.monotonic(), began + 9)
            self.assertLess(time.monotonic(), began + 25)
            ended = watcher.stop()
        self.assertIn("it does not end the TLS handshake within 10 s", ended.err)
        self.assertEqual(32, ended.stats["refused"]["tls"])
        self.assertEqual(8, ended.stats["refused"]["connections"])
        self.assertEqual(self.stories, ended.stats["records"])


class Links(Files):
    """Between both a link that fails. Every record arrives, once."""

    @contextlib.contextmanager
    def chain(self, more=()):
        """l7probe, proxy, l7watch; the probe reads what the test writes."""
        with Watch(self.options(self.server, self.ca)) as watcher, tls.Proxy(watcher.secure) as proxy, \
                tempfile.TemporaryDirectory() as folder, tls.Feed(folder) as feed:
            uri = watcher.uri(self.options(self.probe, self.ca) + "&template=full", port=proxy.port)
            argv = (l7.L7PROBE, "-r", feed.path, "-o", uri, "--idle-timeout", "1", "--stats", "-v") + tuple(more)
            with l7.Process(argv) as probe:
                yield watcher, proxy, feed, probe

    def finish(self, watcher, proxy, feed, probe):
        feed.end()
        done = probe.finish()
        l7.wait_for("all is through", lambda: not proxy.busy())
        ended = watcher.stop()
        self.assert_sent(done, feed.made)
        self.assert_unique(ended.stats, feed.made)
        self.assertEqual(0, ended.stats["lost"])
        return done.stats["outputs"][0], ended

    def arrived(self, proxy):
        """All that was sent is through: nothing moves for a quarter of a second."""
        seen = collections.deque(maxlen=5)

        def quiet():
            seen.append(proxy.octets)
            time.sleep(0.05)
            return len(seen) == 5 and seen[0] == seen[4] > 0
        l7.wait_for("the link is quiet", quiet)

    def test_octet_by_octet(self):
        with self.chain() as (watcher, proxy, feed, probe):
            proxy.step = 1
            feed.flows(200)
            output, ended = self.finish(watcher, proxy, feed, probe)
        self.assertEqual((0, 1), (output["reconnects"], ended.stats["connections"]))
        self.assertEqual(0, ended.stats["refused"]["cut"])

    def test_stalled(self):
        """Two seconds of nothing, with more than sockets hold: it goes on where it was."""
        with self.chain() as (watcher, proxy, feed, probe):
            feed.flows(300)
            self.arrived(proxy)
            proxy.go.clear()
            feed.flows(40000)
            time.sleep(2)
            self.assertIsNone(probe.child.poll())
            proxy.go.set()
            output, _ = self.finish(watcher, proxy, feed, probe)
        self.assertEqual(0, output["reconnects"])

    def test_reset_between(self):
        with self.chain() as (watcher, proxy, feed, probe):
            for i in range(3):
                feed.flows(300)
                self.arrived(proxy)
                before = watcher.err.count("CN=probe")
                proxy.reset_now()
                l7.wait_for("another connection", lambda b=before: watcher.err.count("CN=probe") > b)
                self.assertEqual(i + 2, proxy.connections)
            output, ended = self.finish(watcher, proxy, feed, probe)
        self.assertEqual(3, output["reconnects"])
        self.assertEqual(3, ended.stats["refused"]["cut"], ended.err)

    def test_reset_in_the_handshake(self):
        with self.chain() as (watcher, proxy, feed, probe):
            for until in (1, 100, 517, 700):
                before = proxy.resets
                proxy.until = until
                if not feed.made:
                    feed.flows(300)
                else:
                    proxy.reset_now()
                l7.wait_for("a reset", lambda b=before: proxy.resets > b + 1)
                proxy.until = None
                l7.wait_for("a connection", lambda: "CN=probe" in watcher.err)
                self.arrived(proxy)
            self.finish(watcher, proxy, feed, probe)

    def test_cut_off(self):
        """
        The client reads the stream's end before TLS has told it, with octets on the way that nobody has acknowledged. It sends them
        again; those that had come after all are the doubles.
        """
        with self.chain() as (watcher, proxy, feed, probe):
            feed.flows(300)
            self.arrived(proxy)
            proxy.go.clear()
            feed.flows(40000)
            l7.wait_for("the probe waits", lambda: l7.waits(l7.children(probe.child.pid)[0]))
            proxy.cut()
            l7.wait_for("it has noticed", lambda: "connection lost: cut off" in probe.err)
            proxy.go.set()
            output, ended = self.finish(watcher, proxy, feed, probe)
        self.assertEqual(1, output["reconnects"])
        self.assertGreater(ended.stats["doubles"], 0)


class Renewed(Files):
    """SIGHUP: the next connection has the new certificates, that which is up stays, and what is wrong changes nothing."""

    def test_both_sides(self):
        with tempfile.TemporaryDirectory() as place:
            def put(ca):
                for name in "server", "probe":
                    pair = ca.issue(f"{name}-of-{os.path.basename(ca.folder)}", "IP:127.0.0.1")
                    shutil.copy(pair.cert, f"{place}/{name}.pem")
                    shutil.copy(pair.key, f"{place}/{name}.key")
                shutil.copy(ca.cert, f"{place}/ca.pem")

            def of(name):
                return f"ca={place}/ca.pem&cert={place}/{name}.pem&key={place}/{name}.key"

            def reload(process, says, times=1):
                before = process.err.count(says)
                process.child.send_signal(signal.SIGHUP)
                l7.wait_for(says, lambda: process.err.count(says) == before + times)

            put(self.ca)
            with Watch(of("server")) as watcher, tls.Proxy(watcher.secure) as proxy, tls.Feed(place) as feed:
                argv = (l7.L7PROBE, "-r", feed.path, "-o", watcher.uri(of("probe"), port=proxy.port), "--idle-timeout", "1",
                        "--stats", "-v")
                with l7.Process(argv) as probe:
                    feed.flows(300)
                    l7.wait_for("records", lambda: proxy.octets > 5000)
                    put(self.other)
                    for process in watcher, probe:
                        reload(process, "certificates read again")
                    feed.flows(300)
                    Links.arrived(self, proxy)
                    self.assertEqual(1, proxy.connections, "what is up stays")
                    proxy.reset_now()
                    l7.wait_for("another connection", lambda: "CN=probe-of-other" in watcher.err)
                    with open(f"{place}/probe.pem", "w", encoding="ascii") as f:
                        f.write("nothing\n")
                    reload(probe, "probe.pem: has no certificate (PEM); the certificates in force stay")
                    shutil.copy(f"{place}/probe.key", f"{place}/server.key")
                    reload(watcher, "server.key: is not the key of the certificate")
                    feed.flows(300)
                    Links.arrived(self, proxy)
                    proxy.reset_now()
                    l7.wait_for("another connection", lambda: watcher.err.count("CN=probe-of-other") == 2)
                    feed.end()
                    done = probe.finish()
                l7.wait_for("all is through", lambda: not proxy.busy())
                ended = watcher.stop()
            self.assert_sent(done, feed.made)
            self.assert_unique(ended.stats, feed.made)
            self.assertEqual(2, done.stats["outputs"][0]["reconnects"])
            self.assertEqual(0, ended.stats["refused"]["tls"], ended.err)


class Documented(Files):
    """The commands of docs/tls.md, as they are pasted."""

    def test_document(self):
        with open(os.path.join(l7.ROOT, "docs", "tls.md"), encoding="utf-8") as f:
            make, run = re.findall(r"^```sh\n(.*?)^```$", f.read(), re.M | re.S)
        place = os.path.join(self.folder, "document")
        os.mkdir(place)
        done = l7.run(["/bin/sh", "-e", "-c", make], cwd=place)
        self.assertEqual((0, 5), (done.status, make.count("\n")), done.err)
        port = l7.free_port()
        listen, output = (line.split('"')[1].replace("$PWD", place).replace(":4740", f":{port}") for line in run.splitlines())
        with l7.Watch(RULES, more=("-l", listen)) as watcher:
            self.assert_sent(self.export(output))
            ended = watcher.stop()
        self.assertEqual(self.stories, ended.stats["records"])


class Checked(Files):
    """--check says what is wrong with the files, with the URI."""

    def check(self, options, says, of_watch=True, of_probe=True):
        uri = f"ipfix+tls://localhost?{options}"
        rules = os.path.join(self.folder, "rules.yaml")
        with open(rules, "w", encoding="utf-8") as f:
            f.write(RULES)
        runs = [(l7.L7PROBE, "-r", l7.STORY, "-o", uri, "--check")] if of_probe else []
        if of_watch:
            runs.append((l7.L7WATCH, "-R", rules, "-l", uri, "--check"))
        for argv in runs:
            done = l7.run(argv)
            if not says:
                self.assertEqual(0, done.status, done.err)
                continue
            self.assertEqual(1, done.status, done.err)
            self.assertEqual(1, len(done.said.splitlines()), done.err)
            self.assertIn(f": {uri}: {says}", done.err)

    def test_check(self):
        good = self.options(self.server, self.ca)
        self.check(good, None)
        self.check(good.replace("server.key", "probe.key"), f"{self.probe.key}: is not the key of the certificate {self.server.cert}")
        self.check(good.replace("server.pem", "absent.pem"), f"{self.ca.path('absent.pem')}: No such file")
        self.check(self.options(None, self.ca), "TLS needs a certificate and its key", of_probe=False)
        self.check(self.options(self.server), "ca=FILE must say", of_watch=False)
        self.check(good + "&cart=/x", "unknown option cart; did you mean cert?")
        self.check(good + "&name=x", "unknown option name", of_probe=False)
        self.check(good.replace("cert=/", "cert="), "cert needs the whole path of a file")
        public = shutil.copy(self.server.key, self.ca.path("public.key"))
        os.chmod(public, 0o644)
        self.check(good.replace("server.key", "public.key"), f"{public}: others than its owner and group may use it: chmod 640")


if __name__ == "__main__":
    l7.main()
