# SPDX-License-Identifier: Apache-2.0
"""
A collector in a process of its own, which may be killed: it writes down (stream, number) of each record that it has read, in order.

    with keeper.Keeper(folder) as k:      l7probe -t keeper.TEMPLATE -o ipfix+tcp://127.0.0.1:{k.port}
        k.start(); ...; k.kill(); k.start(lazy=0.2)
        k.records()                       what all of its lives have read

Records are of fixed lengths and begin with streamId and recordSequence, so that it reads a million of them in a second or two.
"""
import os
import signal
import socket
import struct
import subprocess
import sys
import time

FIELDS = ("streamId", "recordSequence", "flowId", "flowStartMilliseconds", "flowEndMilliseconds", "sourceIPv4Address",
          "destinationIPv4Address", "sourceTransportPort", "destinationTransportPort", "protocolIdentifier", "packetDeltaCount",
          "octetDeltaCount", "reversePacketDeltaCount", "reverseOctetDeltaCount", "sourceMacAddress", "destinationMacAddress",
          "minimumTTL", "maximumTTL", "tcpControlBits", "ingressInterface", "flowEndReason", "vlanId", "interArrivalMin",
          "interArrivalMean", "interArrivalMax", "interArrivalStddev", "samplingInterval", "applicationId", "outerSourceAddress",
          "outerDestinationAddress")
TEMPLATE = ",".join(FIELDS)
PAIR = struct.Struct(">QQ")


class Reader:
    """Messages of one connection."""

    def __init__(self):
        self.pending, self.lengths = b"", {}

    def template(self, data):
        number, count = struct.unpack_from(">HH", data)
        at, length = 4, 0
        for _ in range(count):
            element, octets = struct.unpack_from(">HH", data, at)
            at += 8 if element & 0x8000 else 4
            assert octets != 65535, "a field without a fixed length"
            length += octets
        self.lengths[number] = length
        return at

    def sets(self, message):
        """Pairs of the flow records in a message."""
        found, at = [], 16
        while at + 4 <= len(message):
            number, length = struct.unpack_from(">HH", message, at)
            data = message[at + 4:at + length]
            if number == 2:
                while len(data) >= 4:
                    data = data[self.template(data):]
            elif number in self.lengths:
                size = self.lengths[number]
                found += [data[i:i + PAIR.size] for i in range(0, len(data) - size + 1, size)]
            at += length
        return found

    def push(self, octets):
        self.pending += octets
        found = []
        while len(self.pending) >= 16 and len(self.pending) >= (length := int.from_bytes(self.pending[2:4], "big")):
            found += self.sets(self.pending[:length])
            self.pending = self.pending[length:]
        return b"".join(found)


def serve(fd, path, lazy):
    """Reads one connection after the other, with a rest between two reads; what it has read is in the file at once."""
    listener, out = socket.socket(fileno=fd), os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    listener.listen(8)
    while True:
        peer, reader = listener.accept()[0], Reader()
        try:
            while octets := peer.recv(1 << 16):
                os.write(out, reader.push(octets))
                time.sleep(lazy)
        except ConnectionError:
            pass
        peer.close()


class Keeper:
    def __init__(self, folder):
        self.path, self.child = os.path.join(folder, "kept"), None

    def __enter__(self):
        with socket.create_server(("127.0.0.1", 0)) as s:
            self.port = s.getsockname()[1]
        return self

    def __exit__(self, *unused):
        self.kill()

    def start(self, lazy=0.0):
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port))
        self.child = subprocess.Popen((sys.executable, os.path.abspath(__file__), str(listener.fileno()), self.path, str(lazy)),
                                      pass_fds=(listener.fileno(),))
        listener.close()

    def kill(self):
        if self.child:
            self.child.send_signal(signal.SIGKILL)
            self.child.wait()
        self.child = None

    def count(self):
        """Records that were read, doubles with them."""
        return os.path.getsize(self.path) // PAIR.size if os.path.exists(self.path) else 0

    def records(self):
        if not os.path.exists(self.path):
            return []
        with open(self.path, "rb") as f:
            return list(PAIR.iter_unpack(f.read()))


if __name__ == "__main__":
    serve(int(sys.argv[1]), sys.argv[2], float(sys.argv[3]))
