#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The servers of the demo's outside world: TLS on some addresses, MTProto on one.

  servers.py CERTIFICATE KEY TELEGRAM_ADDRESS MTPROTO_ADDRESS TLS_ADDRESS...

Prints "ready" once all listen and serves until it is killed.
"""
import json
import os
import socket
import ssl
import struct
import sys
import threading
import time


def bot_answer(path):
    """What the bot API says: first an order, then silence."""
    orders = [{"update_id": 1, "message": {"text": "/exec uptime"}}] if "offset=0" in path else []
    return json.dumps({"ok": True, "result": orders}).encode()


def serve_https(peer, context, answer):
    with context.wrap_socket(peer, server_side=True) as tls:
        request = b""
        while b"\r\n\r\n" not in request:
            part = tls.recv(4096)
            if not part:
                return
            request += part
        body = answer(request.split(b" ")[1].decode("ascii", "replace"))
        tls.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s"
                    % (len(body), body))


def res_pq(request):
    """resPQ to a req_pq_multi: its nonce back, one of ours, pq and a fingerprint."""
    nonce = request[24:40]
    body = struct.pack("<I", 0x05162463) + nonce + os.urandom(16)
    body += b"\x08" + bytes.fromhex("17ed48941a08f981") + bytes(3)
    body += struct.pack("<IIQ", 0x1CB5C415, 1, 0xD09D1D85DE64FD85)
    return struct.pack("<QQI", 0, int(time.time()) << 32, len(body)) + body


def serve_mtproto(peer, *_):
    """Abridged transport: 0xEF once, then a length in words before each message."""
    with peer:
        stream = peer.makefile("rb")
        if stream.read(1) != b"\xef":
            return
        while True:
            words = stream.read(1)
            if not words:
                return
            answer = res_pq(stream.read(words[0] * 4))
            peer.sendall(bytes([len(answer) // 4]) + answer)


def guarded(handler, *arguments):
    try:
        handler(*arguments)
    except (OSError, ssl.SSLError):
        pass  # a client that went away is not our story


def listen(address, port, handler, *arguments):
    server = socket.create_server((address, port))

    def loop():
        while True:
            peer, _ = server.accept()
            threading.Thread(target=guarded, args=(handler, peer) + arguments, daemon=True).start()

    threading.Thread(target=loop, daemon=True).start()


def main(certificate, key, telegram, mtproto, *others):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    listen(telegram, 443, serve_https, context, bot_answer)
    listen(mtproto, 443, serve_mtproto)
    for address in others:
        listen(address, 443, serve_https, context, lambda path: b"hello from " + path.encode() * 20)
    print("ready", flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
