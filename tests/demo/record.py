#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Plays the demo's story and records it: record.py OUTPUT.pcap (root).

tests/captures/story.pcap was made with it.
"""
import os
import select
import socket
import struct
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import pcapio  # noqa: E402
import town  # noqa: E402


SO_RCVBUFFORCE, SO_TIMESTAMPNS = 33, 35  # asm-generic/socket.h


def listen(interface, output):
    """Writes every frame of the interface, with the kernel's time, until standard input closes."""
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    s.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
    s.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    s.bind((interface, 0))
    print("ready", flush=True)
    with pcapio.Writer(output) as out:
        while True:
            readable, _, _ = select.select([s, sys.stdin], [], [])
            if s in readable:
                frame, control, _, origin = s.recvmsg(1 << 18, socket.CMSG_SPACE(16))
                seconds, ns = next(struct.unpack("qq", data) for level, kind, data in control
                                   if (level, kind) == (socket.SOL_SOCKET, SO_TIMESTAMPNS))
                # On the loopback each packet is seen twice: going out and coming in.
                if interface != "lo" or origin[2] != socket.PACKET_OUTGOING:
                    out.add(seconds * 10**9 + ns, frame)
            elif sys.stdin in readable:
                return


def main(output):
    town.stop_on_signals()
    with town.Town("l7rec") as t:
        ear = t.start(t.inside, "/usr/bin/python3", os.path.abspath(__file__), "--listen", t.interface,
                      os.path.abspath(output), stdin=town.subprocess.PIPE, stdout=town.subprocess.PIPE,
                      stderr=None)
        ear.stdout.readline()
        for scene in ("work", "bot"):
            print(t.scene(scene), end="")
        time.sleep(0.5)
        ear.stdin.close()
        ear.wait(5)


if __name__ == "__main__":
    if sys.argv[1] == "--listen":
        listen(*sys.argv[2:])
    else:
        main(sys.argv[1])
