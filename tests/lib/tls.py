# SPDX-License-Identifier: Apache-2.0
"""
Certificates for tests, made by openssl's command line:

    ca = tls.Authority(folder, "ca")
    pair = ca.issue("server", names="DNS:localhost,IP:127.0.0.1")       pair.cert, pair.key: paths
    old = ca.issue("old", names="DNS:localhost", days=(-10, -1))        valid from and to, in days from now
"""
import collections
import contextlib
import os
import socket
import struct
import threading
import time

import frames
import l7

Pair = collections.namedtuple("Pair", "cert key")

CONFIG = """
[ca]
default_ca = this
[this]
database = {folder}/index.txt
new_certs_dir = {folder}
serial = {folder}/serial
default_md = sha256
policy = any
unique_subject = no
default_crl_days = 30
[any]
commonName = supplied
[req]
distinguished_name = nothing
[nothing]
[authority]
basicConstraints = critical,CA:true
subjectKeyIdentifier = hash
"""


def openssl(*arguments):
    done = l7.run(("openssl",) + arguments)
    if done.status != 0:
        raise AssertionError(f"openssl {arguments[0]}: {done.err}")
    return done.out


def when(days):
    return time.strftime("%Y%m%d%H%M%SZ", time.gmtime(time.time() + days * 86400))


class Authority:
    """Who signs, in a folder of its own."""

    def __init__(self, folder, name):
        self.folder = os.path.join(folder, name)
        os.makedirs(self.folder)
        for file, text in (("index.txt", ""), ("serial", "01\n"), ("openssl.cnf", CONFIG.format(folder=self.folder))):
            self.write(file, text)
        self.cert, self.key = self.path("ca.pem"), self.path("ca.key")
        openssl("req", "-x509", *self.new(self.key), "-out", self.cert, "-days", "30", "-subj", f"/CN={name}", "-config",
                self.path("openssl.cnf"), "-extensions", "authority")

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, text):
        with open(self.path(name), "w", encoding="ascii") as f:
            f.write(text)

    @staticmethod
    def new(key):
        return ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key)

    def issue(self, name, names=None, days=(-1, 30)):
        """A certificate for servers and clients with these subject alternative names, and its key."""
        config, request = self.path("openssl.cnf"), self.path(name + ".csr")
        pair = Pair(self.path(name + ".pem"), self.path(name + ".key"))
        self.write(name + ".ext", "basicConstraints = CA:false\n" + (f"subjectAltName = {names}\n" if names else ""))
        openssl("req", *self.new(pair.key), "-out", request, "-subj", f"/CN={name}", "-config", config)
        openssl("ca", "-batch", "-notext", "-config", config, "-cert", self.cert, "-keyfile", self.key, "-in", request, "-out",
                pair.cert, "-startdate", when(days[0]), "-enddate", when(days[1]), "-extfile", self.path(name + ".ext"))
        return pair

    def revoke(self, pair):
        """Returns the path of the list of all that are revoked."""
        args = ("-config", self.path("openssl.cnf"), "-cert", self.cert, "-keyfile", self.key)
        openssl("ca", *args, "-revoke", pair.cert)
        openssl("ca", *args, "-gencrl", "-out", self.path("crl.pem"))
        return self.path("crl.pem")


class Feed:
    """A capture that is written while l7probe reads it: `-r feed.path`, then feed.flows(100), and `with` ends it."""

    def __init__(self, folder):
        self.path = os.path.join(folder, "feed")
        os.mkfifo(self.path)
        self.made, self.out = 0, None

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        if self.out:
            self.out.close()
        os.unlink(self.path)

    def flows(self, count):
        """So many flows of one packet, a hundredth of a second after one another."""
        if not self.out:
            self.out = open(self.path, "wb")  # pylint: disable=consider-using-with
            self.out.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
        for _ in range(count):
            n = self.made
            frame = frames.datagram(f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}", "192.0.2.1", 4000, 45001, b"x" * 40)
            self.out.write(struct.pack("<IIII", 1_700_000_000 + n // 100, n % 100 * 10000, len(frame), len(frame)) + frame)
            self.made += 1
        self.out.flush()

    def end(self):
        self.out.close()
        self.out = None


class Proxy:
    """
    Passes connections on to a port, in a way that the test says while they are up:

        step    octets that are passed on at one time
        go      an Event: cleared, nothing is read from the client any more
        until   octets of a connection after which both ends are reset; None: never
        cut()   the client is told that the stream is over, without TLS knowing; what it has sent until it is gone is passed on
    """

    def __init__(self, to):
        self.to, self.step, self.until = to, 65536, None
        self.go = threading.Event()
        self.go.set()
        self.connections = self.resets = self.octets = 0
        self.relays = []
        self.client = None
        self.port = 0
        self.begin()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.go.set()
        self.stop()

    def begin(self):
        """Takes connections, on the port that it has had."""
        self.server = socket.create_server(("127.0.0.1", self.port))
        self.port = self.server.getsockname()[1]
        threading.Thread(target=self.serve, args=(self.server,), daemon=True).start()

    def stop(self):
        """Takes no more; those that are up stay."""
        with contextlib.suppress(OSError):
            self.server.shutdown(socket.SHUT_RDWR)
        self.server.close()

    def serve(self, listener):
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self.to))
            except OSError:
                client.close()
                continue
            for end in client, server:
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.client = client
            self.connections += 1
            self.relays.append(threading.Thread(target=self.forth, args=(client, server), daemon=True))
            self.relays[-1].start()

    def busy(self):
        """Whether something may still be on the way."""
        return any(relay.is_alive() for relay in self.relays)

    def forth(self, client, server):
        other = threading.Thread(target=self.back, args=(server, client), daemon=True)
        other.start()
        with client, server:
            try:
                self.relay(client, server)
            except OSError:
                self.reset(client, server)
            other.join()

    def relay(self, client, server):
        passed = 0
        while True:
            self.go.wait()
            octets = client.recv(self.step if self.until is None else min(self.step, self.until - passed))
            if not octets:
                server.shutdown(socket.SHUT_WR)
                return
            server.sendall(octets)
            passed += len(octets)
            self.octets += len(octets)
            if self.until is not None and passed >= self.until:
                self.reset(client, server)
                return

    def back(self, server, client):
        with contextlib.suppress(OSError):
            while octets := server.recv(self.step):
                with contextlib.suppress(OSError):  # what is left unread would make the end of the other direction a reset
                    client.sendall(octets)
            client.shutdown(socket.SHUT_WR)

    def reset(self, *ends):
        self.resets += 1
        for end in ends:
            with contextlib.suppress(OSError):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                end.shutdown(socket.SHUT_RD)  # wakes who reads
            end.close()

    def cut(self):
        self.client.shutdown(socket.SHUT_WR)

    def reset_now(self):
        """To be called when nothing is under way."""
        self.reset(self.client)
