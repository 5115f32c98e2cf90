#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The watched host's programs: its daily work, then the bot that hides in it.

  visitors.py SCENE FOLDER        a scene of `SCENES`; FOLDER holds keys and certificate
"""
import http.client
import os
import socket
import ssl
import struct
import subprocess
import sys
import time

import places


def resolve(name):
    """Asks the demo's name server with dig."""
    out = subprocess.run(["dig", "+short", "+tries=2", "+time=10", f"@{places.RESOLVER}", name],
                         capture_output=True, text=True, check=True).stdout.split()
    if not out:
        raise RuntimeError(f"no address for {name}")
    return out[0]


def fetch(name, path, folder):
    """GET over TLS with the name checked against the demo's own certificate."""
    context = ssl.create_default_context(cafile=f"{folder}/cert.pem")
    raw = socket.create_connection((resolve(name), 443), timeout=30)
    connection = http.client.HTTPSConnection(name, context=context, timeout=30)
    connection.sock = context.wrap_socket(raw, server_hostname=name)
    connection.request("GET", path)
    body = connection.getresponse().read()
    connection.close()
    return body


def login(folder):
    """A real SSH session: key exchange, public key, one command."""
    return subprocess.run(["dbclient", "-y", "-y", "-i", f"{folder}/id", f"root@{resolve('backup.example')}",
                           "echo logged in"], capture_output=True, text=True, timeout=60,
                          stdin=subprocess.DEVNULL).stdout.strip()


def req_pq_multi():
    body = struct.pack("<I", 0xBE7E8EF1) + os.urandom(16)
    return struct.pack("<QQI", 0, int(time.time()) << 32, len(body)) + body


def mtproto():
    """Asks for a permanent and a temporary key at once, as clients do."""
    with socket.create_connection((places.MTPROTO, 443), timeout=30) as s:
        messages = [req_pq_multi(), req_pq_multi()]
        s.sendall(b"\xef" + b"".join(bytes([len(m) // 4]) + m for m in messages))
        stream = s.makefile("rb")
        return [stream.read(stream.read(1)[0] * 4) for _ in messages]


def daily_work(folder):
    for name in ("www.google.com", "deb.example"):
        resolve(name)
    for name in places.HTTPS_NAMES:
        print(name, len(fetch(name, "/", folder)), "octets")
    print("ssh:", login(folder) or "refused")


def bot(folder, polls=3):
    """Polls the bot API for orders, as a bot does. The order is not obeyed."""
    for offset in range(polls):
        answer = fetch("api.telegram.org", f"/bot0000000000:made-up/getUpdates?offset={offset}", folder)
        print("bot:", answer.decode())
        time.sleep(0.3)
    print("mtproto:", [len(m) for m in mtproto()], "octets")


SCENES = {"work": daily_work, "bot": bot}

if __name__ == "__main__":
    SCENES[sys.argv[1]](sys.argv[2])
