# SPDX-License-Identifier: Apache-2.0
"""
Many flows of one datagram each on the loopback, at a steady rate: each is a record. The servers' addresses are 127.64.0.0/16, of which
so many are used; what l7probe is to look at is "udp and dst net 127.64.0.0/16".
"""
import contextlib
import os
import socket
import subprocess
import sys
import time

NET = "127.64.0.0/16"
FILTER = f"udp and dst net {NET}"
FIRST_PORT = 2000
PIECE_S = 0.005


def host(number):
    return f"127.64.{number // 250}.{number % 250 + 1}"


def send(count, rate, hosts=500, first=0):
    """Sends `count` datagrams, each of a flow of its own if none was sent before from `first` on. Returns octets of IP."""
    names = [host(n) for n in range(hosts)]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        began, sent = time.monotonic(), 0
        while sent < count:
            due = min(count, int((time.monotonic() - began) * rate) + 1)
            for n in range(first + sent, first + due):
                s.sendto(b"flood", (names[n % hosts], FIRST_PORT + n // hosts % 60000))
            sent = due
            time.sleep(PIECE_S)
    return count * (20 + 8 + 5)


@contextlib.contextmanager
def running(count, rate, first=0):
    """The same by a process of its own, while `with` lasts and until all are sent."""
    sender = subprocess.Popen((sys.executable, "-c", f"import flood; flood.send({count}, {rate}, first={first})"),
                              env={**os.environ, "PYTHONPATH": os.path.dirname(os.path.abspath(__file__))})
    try:
        yield sender
        if sender.wait(120 + 2 * count / rate):
            raise AssertionError(f"the sender ended with {sender.returncode}")
    finally:
        sender.kill()
        sender.wait()
