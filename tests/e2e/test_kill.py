#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
l7watch is killed with -9 every second for a minute, under load, and started again: no engaged alert is lost, none is engaged twice, the
database is sound, and what rules have counted goes on.
"""
import json
import os
import random
import signal
import socket
import sqlite3
import struct
import sys
import tempfile
import threading
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "fuzz"))
import l7  # noqa: E402
import seeds  # noqa: E402

KILLS = 60
HOSTS = 400
FIELDS = [(0, 152, 8), (0, 153, 8), (0, 2, 8), (seeds.REVERSE, 2, 8), (0, 8, 4), (0, 12, 4), (0, 7, 2), (0, 11, 2),
          (0, 4, 1), (0, 136, 1), (0, 148, 8), (0, 239, 1), (0, 96, seeds.VAR), (seeds.OWN, 1, 1), (seeds.OWN, 3, 1)]
TEMPLATE = seeds.a_set(2, seeds.template(300, FIELDS))
RULES = """
version: 1
defaults: {dedup: 1d, release_after: 1d, mute: {after: 1000000, within: 1m}}
rules:
- {id: 1, name: no Telegram, type: deny, severity: high, match: {app: Telegram}}
- {id: 2, name: many logins, type: threshold, severity: low, match: {app: SSH}, group_by: [client], count: flows, over: 300,
   window: 1d}
"""


def flow(host, number, app):
    now = int(time.time() * 1000)
    return struct.pack(">QQQQIIHHBBQB", now - 500, now, 5, 4, 0x0a000000 + host, 0xc6336401, 1024 + number % 60000, 443, 6, 3,
                       number, 1) + seeds.text(app) + struct.pack(">BB", 5, 5)


class Load:
    """Sends flows as fast as they are taken, connecting again whenever the other end is gone."""

    def __init__(self, port):
        self.port, self.over, self.sent = port, threading.Event(), 0
        self.thread = threading.Thread(target=self.work, daemon=True)
        self.thread.start()

    def work(self):
        chance = random.Random(7)
        while not self.over.is_set():
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=5) as s:
                    s.sendall(seeds.message(0, TEMPLATE))
                    while not self.over.is_set():
                        s.sendall(self.message(chance))
                        time.sleep(0.002)
            except OSError:
                time.sleep(0.01)

    def message(self, chance):
        """Thirty flows: of Telegram each host has some, most is TLS that nobody minds, and a host logs in again and again."""
        flows = []
        for _ in range(30):
            self.sent += 1
            kind = chance.random()
            app = b"TLS.Telegram" if kind < 0.05 else b"SSH" if kind < 0.1 else b"TLS"
            flows.append(flow(0x020000 if app == b"SSH" else chance.randrange(HOSTS), self.sent, app))
        return seeds.message(0, seeds.a_set(300, b"".join(flows)))

    def stop(self):
        self.over.set()
        self.thread.join(30)


class Kill(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="l7kill-")
        self.state = os.path.join(self.folder.name, "state.db")
        self.alerts = os.path.join(self.folder.name, "alerts.json")
        self.port = l7.free_port()

    def tearDown(self):
        self.folder.cleanup()

    def watch(self):
        return l7.Watch(RULES, port=self.port, alerts=self.alerts, more=("--state", self.state, "--flush-interval", "1"))

    def killed(self, kills, seconds, between=lambda: None):
        """Kills it again and again under load; lets the last one end by itself. Returns its statistics."""
        load = Load(self.port)
        try:
            for _ in range(kills):
                with self.watch() as watch:
                    time.sleep(seconds)
                    watch.child.send_signal(signal.SIGKILL)
                    watch.child.wait()
                between()
            with self.watch() as watch:
                time.sleep(1)
                load.stop()
                return watch.stop()
        finally:
            load.stop()

    def engaged(self):
        with open(self.alerts, encoding="utf-8") as f:
            return [a for a in map(json.loads, f) if a["state"] == "engaged"]

    def test_every_second_for_a_minute(self):
        ended = self.killed(KILLS, 1)
        self.assertEqual(0, ended.status, ended.err)
        engaged = self.engaged()
        told = [a["alert_uid"] for a in engaged]
        self.assertEqual(len(told), len(set(told)), "an alert was engaged twice")
        hosts = [a["subject"]["ip"] for a in engaged if a["rule"]["id"] == 1]
        self.assertEqual(len(hosts), len(set(hosts)), "a host was forgotten and engaged anew")
        self.assertEqual(HOSTS, len(hosts))
        with sqlite3.connect(self.state) as db:
            self.assertEqual("ok", db.execute("pragma integrity_check").fetchone()[0])
            kept = {row[0] for row in db.execute("select uid from alert")}
        self.assertEqual(set(told), kept)
        self.assertEqual(len(told), ended.stats["engaged"])
        # Counted over many lives: each of them saw too few logins.
        self.assertEqual(1, len([a for a in engaged if a["rule"]["id"] == 2]))

    def test_it_would_be_seen(self):
        """Without its state it engages what it had engaged: the check above does not pass by itself."""
        def forget():
            for name in (self.state, self.state + "-wal", self.state + "-shm"):
                if os.path.exists(name):
                    os.unlink(name)
        self.killed(3, 1, forget)
        hosts = [a["subject"]["ip"] for a in self.engaged() if a["rule"]["id"] == 1]
        self.assertGreater(len(hosts), len(set(hosts)))


if __name__ == "__main__":
    l7.main()
