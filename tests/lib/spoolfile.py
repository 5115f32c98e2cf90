# SPDX-License-Identifier: Apache-2.0
"""Spools as docs/operations.md describes them, written and read by other code than the probe's."""
import os
import struct

SEGMENT = struct.Struct("<8sIIQQQI")
BATCH = struct.Struct("<4sIQQIII")
POS = struct.Struct("<8sQQI")


def table():
    rows = []
    for i in range(256):
        for _ in range(8):
            i = i >> 1 ^ 0x82F63B78 if i & 1 else i >> 1
        rows.append(i)
    return rows


TABLE = table()


def crc32c(octets):
    crc = 0xFFFFFFFF
    for octet in octets:
        crc = crc >> 8 ^ TABLE[(crc ^ octet) & 0xFF]
    return crc ^ 0xFFFFFFFF


def checked(octets):
    return octets + struct.pack("<I", crc32c(octets))


def batch(seq, record, payload, records=1, own=b""):
    whole = own + payload
    return checked(BATCH.pack(b"L7RC", len(whole), seq, record, records, len(own), crc32c(whole))) + whole


def segment(folder, seq, record, payloads, records=1, own=b""):
    """Writes a segment with a batch for each payload; returns what the next one begins with."""
    name = os.path.join(folder, f"{seq:016x}.seg")
    with open(name, "wb") as f:
        f.write(checked(SEGMENT.pack(b"L7SPOOL1", 1, 48, seq, record, 0, 0)))
        for payload in payloads:
            f.write(batch(seq, record, payload, records, own))
            seq, record = seq + 1, record + records
    return seq, record


def pos(folder, seq, record):
    with open(os.path.join(folder, "pos"), "wb") as f:
        f.write(checked(POS.pack(b"L7SPPOS1", seq, record, 0)))


def read_pos(folder):
    with open(os.path.join(folder, "pos"), "rb") as f:
        octets = f.read()
    magic, seq, record, _ = POS.unpack(octets[:28])
    assert magic == b"L7SPPOS1" and octets == checked(octets[:28])
    return seq, record
