# SPDX-License-Identifier: Apache-2.0
"""A UDP port that keeps what comes."""
import socket
import threading

SO_RCVBUFFORCE = 33  # asm-generic/socket.h


def deep(a_socket, octets):
    """The kernel keeps so much for it: for root whatever net.core.rmem_max says."""
    try:
        a_socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, octets)
    except PermissionError:
        a_socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, octets)


class Sink:
    """Datagrams of a port of its own, until it is finished."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        deep(self.socket, 16 << 20)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.settimeout(60)
        self.port, self.datagrams = self.socket.getsockname()[1], []
        self.thread = threading.Thread(target=self.collect, daemon=True)
        self.thread.start()

    def collect(self):
        while (octets := self.socket.recv(65536)) != b"end":
            self.datagrams.append(octets)

    def finish(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.sendto(b"end", ("127.0.0.1", self.port))
        self.thread.join(60)
        self.socket.close()
        return self.datagrams
