#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Makes loads of many flows at once, to see what a packet costs when its flow is in no cache.

Flows come in waves of as many as are to be open at once: each begins in its
turn, then, where there is more of it, each goes on in the same order, a whole
wave later. Then comes a silence in which default timeouts end them all.

  dns    a query and its answer over UDP, which classify it; then another query
  syn    one SYN, never answered: a scan; nothing to classify

  manyload.py [--kind dns|syn] [--open N] [--flows N] OUTPUT
"""
import argparse
import os
import struct

START = 1_700_000_000
TURN = 4.0      # seconds in which every flow of a wave has one packet
SILENCE = 20.0  # seconds: longer than the default idle timeout
HEAD = struct.Struct("<IIII")

QUESTION = b"\x03www\x07example\x03org\x00\x00\x01\x00\x01"
DNS_QUERY = struct.pack(">HHHHHH", 0x1234, 0x0100, 1, 0, 0, 0) + QUESTION
DNS_ANSWER = (struct.pack(">HHHHHH", 0x1234, 0x8180, 1, 1, 0, 0) + QUESTION
              + b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x0e\x10\x00\x04\xc0\x00\x02\x01")


def ethernet_ip4(protocol, payload):
    return (b"\x02\x00\x00\x00\x00\x02\x02\x00\x00\x00\x00\x01\x08\x00"
            + struct.pack(">BBHHHBBHII", 0x45, 0, 20 + len(payload), 1, 0, 64, protocol, 0, 0, 0)
            + payload)


def udp(src, dst, data):
    return ethernet_ip4(17, struct.pack(">HHHH", src, dst, 8 + len(data), 0) + data)


def syn():
    return ethernet_ip4(6, struct.pack(">HHIIBBHHH", 0, 443, 1, 0, 0x50, 0x02, 64240, 0, 0))


# A frame with the offset of the client's address, the server's, and the client's port.
QUERY = (udp(0, 53, DNS_QUERY), 26, 30, 34)
ANSWER = (udp(53, 0, DNS_ANSWER), 30, 26, 36)
SYN = (syn(), 26, 30, 34)

# Per kind: the turns of a flow, and what comes in each.
KINDS = {"dns": [[QUERY, ANSWER], [QUERY]], "syn": [[SYN]]}


def client(flow):
    """(address, server, port) of a flow; a multiplication spreads neighbours over address space."""
    n = flow * 2654435761 & 0xFFFFFFFF
    return 0x0A000000 | n >> 8, 0xC6336401 + (flow & 63), 1024 + (n & 0x7FFF)


def write_turn(out, frames, ends, now):
    """One turn of all flows of a wave."""
    records = [(HEAD.size + src, HEAD.size + dst, HEAD.size + port, len(frame), bytearray(HEAD.size) + frame)
               for frame, src, dst, port in frames]
    for i, (a, b, c) in enumerate(ends):
        time = now + TURN * i / len(ends)
        for src, dst, port, size, record in records:
            HEAD.pack_into(record, 0, int(time), int(time % 1 * 1e6), size, size)
            struct.pack_into(">I", record, src, a)
            struct.pack_into(">I", record, dst, b)
            struct.pack_into(">H", record, port, c)
            out.write(record)


def make(output, kind, at_once, flows):
    """Writes the load; returns its number of packets."""
    now, packets = float(START), 0
    with open(output + ".new", "wb") as out:
        out.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 1))
        for first in range(0, flows, at_once):
            ends = [client(f) for f in range(first, min(first + at_once, flows))]
            for frames in KINDS[kind]:
                write_turn(out, frames, ends, now)
                now += TURN
                packets += len(frames) * len(ends)
            now += SILENCE
    os.rename(output + ".new", output)
    return packets


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kind", choices=sorted(KINDS), default="dns")
    parser.add_argument("--open", type=int, default=100_000, help="flows open at once")
    parser.add_argument("--flows", type=int, default=2_000_000)
    parser.add_argument("output")
    a = parser.parse_args()
    print(make(a.output, a.kind, a.open, a.flows), "packets")


if __name__ == "__main__":
    main()
