# SPDX-License-Identifier: Apache-2.0
"""A small reader of NetFlow v5 and v9 (RFC 3954), written apart from the daemons' own.

It raises ValueError on what is not as it should be: lengths, counts, sets before their template, templates that change, sequence numbers.
A record is a Half, whatever the version; what a version has not is 0 or empty.
"""
import collections
import socket
import struct

Half = collections.namedtuple("Half", "src dst sport dport protocol packets octets flags first_ms last_ms app")

ICMP, ICMP6 = 1, 58
NAME, APP_ID = 96, 95
TIMES = (22, 21)
EPOCH_TIMES = (152, 153)


def halves(flow, apps=True):
    """What a flow in JSON is in NetFlow: a Half for each direction that has packets."""
    def half(direction):
        turned = direction == "rev_"
        end = (flow["src_ip"], flow.get("src_port", 0)), (flow["dst_ip"], flow.get("dst_port", 0))
        (src, sport), (dst, dport) = end[::-1] if turned else end
        return Half(src, dst, sport, dport, flow["protocol"], flow[direction + "packets"], flow[direction + "octets"],
                    flow.get(direction + "tcp_flags", 0) & 0xFF, flow["start_ms"], flow["end_ms"], flow["app"] if apps else "")
    return [half(direction) for direction in ("", "rev_") if flow.get(direction + "packets")]


def all_halves(flows, apps=True):
    return collections.Counter(half for flow in flows for half in halves(flow, apps))


def fits_v5(half):
    return ":" not in half.src


class Reader:
    """One exporter: feed() it datagrams."""

    def __init__(self, patient=False):
        self.patient = patient   # a record without its template is counted, not an error
        self.templates, self.sequences = {}, {}
        self.halves, self.options, self.refused = [], [], 0
        self.fields = []         # of flow records in v9, as they are

    def feed(self, message):
        version, count, uptime, seconds = struct.unpack_from(">HHII", message)
        self.boot_ms = seconds * 1000 - uptime
        if version == 5:
            self.version5(message, count)
        elif version == 9:
            self.version9(message, count)
        else:
            raise ValueError(f"version {version}")

    def in_order(self, key, sequence, step):
        expected = self.sequences.get(key, sequence)
        if sequence != expected:
            raise ValueError(f"sequence {sequence}, {expected} expected")
        self.sequences[key] = (sequence + step) & 0xFFFFFFFF

    def version5(self, message, count):
        if len(message) != 24 + 48 * count or not 1 <= count <= 30:
            raise ValueError(f"{count} records in {len(message)} octets")
        self.in_order(message[20:22], struct.unpack_from(">I", message, 16)[0], count)
        for at in range(24, len(message), 48):
            src, dst, _, _, _, packets, octets, first, last, sport, dport, _, flags, protocol = struct.unpack_from(
                ">4s4s4sHHIIIIHHBBB", message, at)
            if protocol == ICMP:   # type and code
                dport = 0
            self.halves.append(Half(socket.inet_ntoa(src), socket.inet_ntoa(dst), sport, dport, protocol, packets, octets,
                                    flags, self.boot_ms + first, self.boot_ms + last, ""))

    def version9(self, message, count):
        sequence, source = struct.unpack_from(">II", message, 12)
        self.in_order(source, sequence, 1)
        at, found = 20, 0
        while at < len(message):
            kind, size = struct.unpack_from(">HH", message, at)
            if size <= 4 or size % 4 or at + size > len(message):
                raise ValueError(f"set {kind} of {size} octets")
            found += self.read_set(source, kind, message[at + 4:at + size])
            at += size
        if found != count and not (self.patient and self.refused):
            raise ValueError(f"{found} records, {count} said")

    def read_set(self, source, kind, body):
        if kind in (0, 1):
            return self.read_templates(source, kind == 1, body)
        if (source, kind) not in self.templates:
            if not self.patient:
                raise ValueError(f"set {kind} before its template")
            self.refused += 1
            return 0
        scopes, fields = self.templates[source, kind]
        size, at = sum(length for _, length in fields), 0
        while at + size <= len(body):
            record, place = {}, at
            for i, (number, length) in enumerate(fields):
                record["scope" if i < scopes else number] = body[place:place + length]
                place += length
            self.take(scopes, record)
            at += size
        if len(body) - at > 3 or any(body[at:]):
            raise ValueError(f"padding {body[at:]}")
        return at // size

    def read_templates(self, source, options, body):
        at, n = 0, 0
        while len(body) - at > 3:
            ident, count = struct.unpack_from(">HH", body, at)
            scopes = count // 4 if options else 0
            if options:
                count = (count + struct.unpack_from(">H", body, at + 4)[0]) // 4
            at += 6 if options else 4
            fields = [struct.unpack_from(">HH", body, at + 4 * i) for i in range(count)]
            at += 4 * count
            if self.templates.setdefault((source, ident), (scopes, fields)) != (scopes, fields):
                raise ValueError(f"template {ident} means another thing than before")
            n += 1
        return n

    def take(self, scopes, record):
        if scopes:
            self.options.append(record)
            return

        def number(key):
            return int.from_bytes(record.get(key, b""), "big")
        six = 27 in record
        address = [socket.inet_ntop(socket.AF_INET6 if six else socket.AF_INET, record[k]) for k in ((27, 28) if six else (8, 12))]
        if EPOCH_TIMES[0] in record:
            first, last = (number(k) for k in EPOCH_TIMES)
        else:
            first, last = (self.boot_ms + number(k) for k in TIMES)
        self.fields.append(record)
        self.halves.append(Half(*address, number(7), number(11), number(4), number(2), number(1), number(6), first, last,
                                record.get(NAME, b"").rstrip(b"\0").decode()))
