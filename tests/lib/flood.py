# SPDX-License-Identifier: Apache-2.0
"""
Many flows of one datagram each on the loopback, at a steady rate: each is a record. The servers' addresses are 127.64.0.0/16, of which
so many are used; what l7probe is to look at is "udp and dst net 127.64.0.0/16".
"""
import socket
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
