# SPDX-License-Identifier: Apache-2.0
"""A small IPFIX reader (RFC 7011), written apart from the daemons' own as a second opinion.

Values stay octets. It raises ValueError on anything that breaks the rules it
knows: lengths, sets before their template, sequence numbers.
"""
import struct

OCTETS, PACKETS, APPLICATION_NAME = (0, 1), (0, 2), (0, 96)
REVERSE_OCTETS, REVERSE_PACKETS = (29305, 1), (29305, 2)
OWN = 32473
RECORD_STATE, STREAM_ID, RECORD_SEQUENCE = (OWN, 3), (OWN, 5), (OWN, 6)


class Reader:
    """One transport session: feed() it messages, whole."""

    def __init__(self):
        self.templates = {}
        self.scopes = {}      # template ids which are options templates
        self.sequences = {}   # observation domain: next sequence number
        self.records, self.options = [], []

    def feed(self, message):
        version, length, _, sequence, domain = struct.unpack_from(">HHIII", message)
        if version != 10 or length != len(message):
            raise ValueError(f"message of version {version}, length {length} of {len(message)}")
        expected = self.sequences.get(domain, sequence)
        if sequence != expected:
            raise ValueError(f"sequence {sequence}, {expected} expected")
        before = len(self.records) + len(self.options)
        at = 16
        while at < length:
            kind, size = struct.unpack_from(">HH", message, at)
            if size <= 4 or at + size > length:
                raise ValueError(f"set {kind} of length {size}")
            self.read_set(domain, kind, message[at + 4:at + size])
            at += size
        count = len(self.records) + len(self.options) - before
        self.sequences[domain] = (sequence + count) & 0xFFFFFFFF

    def read_set(self, domain, kind, body):
        if kind in (2, 3):
            self.read_templates(domain, kind, body)
        elif kind >= 256:
            if (domain, kind) not in self.templates:
                raise ValueError(f"set {kind} before its template")
            self.read_data(domain, kind, body)

    def read_templates(self, domain, kind, body):
        at = 0
        while at + 4 <= len(body):
            ident, count = struct.unpack_from(">HH", body, at)
            at += 4 if kind == 2 else 6
            fields = []
            for _ in range(count):
                number, size = struct.unpack_from(">HH", body, at)
                at += 4
                enterprise = 0
                if number & 0x8000:
                    enterprise = struct.unpack_from(">I", body, at)[0]
                    at += 4
                fields.append(((enterprise, number & 0x7FFF), size))
            self.templates[domain, ident] = fields
            self.scopes[domain, ident] = kind == 3

    def flow_template(self, kind=0):
        """Fields of the template of flow records of IPv4, as l7probe numbers it (lib/record/template_id.h)."""
        return next(fields for (_, ident), fields in self.templates.items() if ident >= 1024 and ident % 4 == kind)

    def read_data(self, domain, kind, body):
        fields = self.templates[domain, kind]
        shortest = sum(1 if size == 65535 else size for _, size in fields)
        at = 0
        while at + shortest <= len(body):
            record = {}
            for key, size in fields:
                if size == 65535:
                    size, at = body[at], at + 1
                    if size == 255:
                        size, at = struct.unpack_from(">H", body, at)[0], at + 2
                if at + size > len(body):
                    raise ValueError(f"record past its set {kind}")
                record[key] = body[at:at + size]
                at += size
            (self.options if self.scopes[domain, kind] else self.records).append(record)


class StreamReader(Reader):
    """The same for a stream in pieces of any size."""

    def __init__(self):
        super().__init__()
        self.rest = b""

    def push(self, octets):
        self.rest += octets
        while len(self.rest) >= 16:
            length = struct.unpack_from(">H", self.rest, 2)[0]
            if length < 16:
                raise ValueError(f"message of length {length}")
            if len(self.rest) < length:
                break
            message, self.rest = self.rest[:length], self.rest[length:]
            self.feed(message)


def number(record, key):
    return int.from_bytes(record.get(key, b""), "big")


def sums(records):
    """(packets, octets) of both directions together."""
    packets = sum(number(r, PACKETS) + number(r, REVERSE_PACKETS) for r in records)
    return packets, sum(number(r, OCTETS) + number(r, REVERSE_OCTETS) for r in records)
