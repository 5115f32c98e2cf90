#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""l7watch is killed in the middle of a TCP export and started again.

Between probe and watcher stands a proxy that reads slowly, counts records with
a reader of its own and notices the death. Then: all of the new connection
decodes, and what was received on both plus what was dropped is what was made,
but for one socket buffer.
"""
import os
import socket
import sys
import threading
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "bench"))
import ipfix  # noqa: E402
import l7  # noqa: E402
import mixload  # noqa: E402

BUFFER = 65536         # the proxy's receive buffer, of which the kernel makes twice that
RECORD_LEAST = 100     # octets; a record of the standard template is longer
RULES = """
version: 1
rules:
- {id: 1, name: no Telegram, type: deny, severity: high, match: {app: Telegram}}
"""


class Proxy:
    """Passes one connection after another on to a port; keeps what each carried."""

    def __init__(self, to):
        self.to = to
        self.readers = []
        self.octets = 0
        self.pace = threading.Event()  # set: as fast as it goes
        self.busy = False              # a connection is open
        self.server = socket.socket()
        self.server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        self.server.bind(("127.0.0.1", 0))
        self.server.listen(1)
        self.port = self.server.getsockname()[1]
        self.error = None
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            self.busy = False
            peer, _ = self.server.accept()
            self.busy = True
            try:
                upstream = socket.create_connection(("127.0.0.1", self.to), timeout=60)
            except OSError:
                peer.close()
                continue
            reader = ipfix.StreamReader()
            self.readers.append(reader)
            self.relay(peer, upstream, reader)

    def relay(self, peer, upstream, reader):
        with peer, upstream:
            while True:
                octets = peer.recv(16384)
                if not octets:
                    return
                try:
                    upstream.sendall(octets)
                except OSError:
                    self.readers[-1].gone = True
                    return
                try:
                    reader.push(octets)
                except ValueError as error:
                    self.error = error
                    return
                self.octets += len(octets)
                if not self.pace.is_set():
                    time.sleep(0.005)


class Restart(unittest.TestCase):
    def test_killed_and_restarted(self):
        load = self.load()
        port = l7.free_port()
        with l7.Watch(RULES, port=port) as first:
            proxy = Proxy(port)
            argv = [l7.L7PROBE, "-r", load, "-o", f"ipfix+tcp://127.0.0.1:{proxy.port}", "--stats"]
            with l7.Process(argv) as probe:
                l7.wait_for("half a megabyte of export", lambda: proxy.octets > 500_000)
                first.child.kill()
                first.child.wait()
                time.sleep(0.5)
                with l7.Watch(RULES, port=port) as second:
                    proxy.pace.set()
                    done = probe.finish(120)
                    l7.wait_for("the second connection ends", lambda: len(proxy.readers) > 1 and not proxy.busy)
                    ended = second.stop()
        self.assertIsNone(proxy.error)
        self.assertEqual(0, done.status, done.err)
        self.assertEqual(0, ended.status, ended.err)
        self.check(done.stats, ended.stats, proxy.readers)

    @staticmethod
    def load():
        path = os.path.join(l7.ROOT, "build", "restart.pcap")
        captures = [l7.corpus(n + ".pcap") for n in ("teams", "1kxun", "skype", "wechat", "telegram", "webex")]
        mixload.make(path, captures, 40, seed=2, span=600)
        return path

    def check(self, stats, watched, readers):
        output = stats["outputs"][0]
        self.assertGreaterEqual(output["reconnects"], 1, stats)
        first = {ipfix.number(r, ipfix.RECORD_SEQUENCE) for r in readers[0].records}
        later = {ipfix.number(r, ipfix.RECORD_SEQUENCE) for r in sum((r.records for r in readers[1:]), [])}
        print(f"made {stats['records']}, first {len(first)}, later {len(later)}, twice {len(first & later)}, "
              f"dropped {output['dropped']}, sent {output['sent']}")
        self.assertEqual(stats["records"], output["sent"] + output["dropped"], stats)
        self.assertGreater(len(later), 0)
        self.assertEqual(len(readers[-1].records), watched["records"], watched)
        lost = stats["records"] - output["dropped"] - len(first | later)
        self.assertGreaterEqual(lost, 0)
        self.assertLessEqual(lost * RECORD_LEAST, 2 * BUFFER + 16384)
        self.assertLessEqual(len(first & later) * RECORD_LEAST, 2 * BUFFER + 16384)


if __name__ == "__main__":
    l7.main()
