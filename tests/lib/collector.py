# SPDX-License-Identifier: Apache-2.0
"""A collector of IPFIX over TCP or TLS that keeps what comes, connection by connection."""
import socket
import ssl
import threading

import ipfix

FLOW_ID = (0, 148)


def places(records):
    """(stream, number in it) of each."""
    return [(ipfix.number(r, ipfix.STREAM_ID), ipfix.number(r, ipfix.RECORD_SEQUENCE)) for r in records]


class Collector:
    """Reads every connection to its end. With `pair` (certificate and key) over TLS."""

    def __init__(self, port=0, pair=None):
        self.context = None
        if pair:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(pair.cert, pair.key)
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(("127.0.0.1", port))
        self.socket.listen(16)
        self.port = self.socket.getsockname()[1]
        self.readers, self.threads = [], []
        self.errors = []  # what came and is no IPFIX
        self.cut = []     # why connections ended otherwise than in order
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        while True:
            try:
                peer = self.socket.accept()[0]
            except OSError:
                return
            self.readers.append(ipfix.StreamReader())
            self.threads.append(threading.Thread(target=self.read, args=(peer, self.readers[-1]), daemon=True))
            self.threads[-1].start()

    def read(self, peer, reader):
        try:
            if self.context:
                peer = self.context.wrap_socket(peer, server_side=True)
            while octets := peer.recv(65536):
                reader.push(octets)
        except OSError as error:  # of ssl, too
            self.cut.append(error)
        except ValueError as error:
            self.errors.append(error)
        finally:
            peer.close()

    def close(self):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.thread.join(30)
        self.socket.close()

    def finished(self):
        """Whether all connections have ended."""
        return not any(thread.is_alive() for thread in self.threads)

    @property
    def records(self):
        return [r for reader in list(self.readers) for r in list(reader.records)]

    @property
    def ids(self):
        return [ipfix.number(r, FLOW_ID) for r in self.records]

