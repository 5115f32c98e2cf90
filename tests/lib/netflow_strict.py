# SPDX-License-Identifier: Apache-2.0
"""A decoder of NetFlow v9 and v5 that takes nothing amiss, as ipfix_strict.py does for IPFIX: Broken says which rule is broken.

Sections in brackets are of RFC 3954; of v5 there is none. One Strict is one
exporter: feed() it datagrams, in order. Lengths of elements are those of
templates/fields.def, and of Cisco's devices in options records.
"""
import os
import struct

import l7
from ipfix_strict import Broken, need

V5_RECORD = ">4s4s4sHHIIIIHHBBBBHHBBH"
MONTHS = 49 * 86400          # seconds: what 32 bits of milliseconds can say
SYSTEM, FLOW_TEMPLATES = 1, 1024
TEXTS = {82, 83, 94, 96, 372}
OPTIONS = {94: 55, 95: 4, 96: 24, 10: 4, 82: 32, 83: 64, 34: 4, 35: 1}
FIRST, LAST, EPOCH = 22, 21, (152, 153)


def elements():
    """{number in v9: (octets, whether it is a text)} of fields.def."""
    found = {152: (8, False), 153: (8, False)}
    with open(os.path.join(l7.ROOT, "templates", "fields.def"), encoding="utf-8") as f:
        for line in f:
            if line.startswith("L7_FIELD("):
                words = [w.strip() for w in line.split(",")]
                if words[6] != "0":
                    found[int(words[6])] = int(words[7]), words[2] in ("TEXT", "ALIAS_TEXT")
    return found


class Strict:
    """
    source     id of a v9 header, engine of v5
    flows      of v9 {element: octets}, of v5 a dictionary of numbers
    options    of v9, scope left out
    boots      when each message says that the device was started, ms
    """

    def __init__(self, source=1, longest=1352):
        self.source, self.longest = source, longest
        self.templates, self.sequence, self.version = {}, 0, None
        self.flows, self.options, self.boots = [], [], []
        self.elements = elements()
        self.messages = 0

    def feed(self, message):
        need(len(message) > 24, "[5.1] a message has a header and a FlowSet")
        need(len(message) <= self.longest, "longer than the path takes:", len(message))
        version, count, uptime, self.seconds = struct.unpack_from(">HHII", message)
        need(version in (5, 9), "[5.1] version", version)
        need(self.version in (None, version), "version", version, "behind", self.version)
        need(count > 0, "[5.1] a count of none")
        need(self.seconds > 0, "[5.1] unix_secs of none")
        need(uptime <= MONTHS * 1000, "sysUptime", uptime, "is about to wrap")
        self.version, self.boot = version, self.seconds * 1000 - uptime
        self.boots.append(self.boot)
        self.messages += 1
        (self.version9 if version == 9 else self.version5)(message, count)

    def in_order(self, sequence, step):
        need(sequence == self.sequence, "[5.1] sequence number", sequence, "is not", self.sequence)
        self.sequence = (sequence + step) & 0xFFFFFFFF

    def check_times(self, first, last):
        need(first <= last, "a flow that ends before it begins:", first, last)
        need(last <= self.seconds * 1000, "a flow that ends after its message:", last)

    # ---- version 5 ----

    def version5(self, message, count):
        need(count <= 30, "v5 has 30 records at most, not", count)
        need(len(message) == 24 + 48 * count, "v5:", count, "records in", len(message), "octets")
        ns, sequence, engine, sampling = struct.unpack_from(">IIHH", message, 12)
        need(ns < 10**9, "unix_nsecs", ns)
        need(engine == self.source, "engine", engine)
        need(sampling == 0 or (sampling >> 14 == 2 and sampling & 0x3FFF > 1), "sampling", sampling)
        self.in_order(sequence, count)
        for at in range(24, len(message), 48):
            src, dst, hop, into, out, packets, octets, first, last, sport, dport, pad, flags, protocol, tos, *rest = \
                struct.unpack_from(V5_RECORD, message, at)
            need(hop == b"\0\0\0\0" and not any(rest), "what only a router knows is 0")
            need(pad == 0, "pad", pad)
            need(packets > 0 and octets >= packets, "counters of a flow:", packets, octets)
            need(protocol in (6, 17, 132) or sport == 0, "a port of protocol", protocol)
            self.check_times(self.boot + first, self.boot + last)
            self.flows.append({"src": src, "dst": dst, "in": into, "out": out, "packets": packets, "octets": octets,
                               "first": self.boot + first, "last": self.boot + last, "sport": sport, "dport": dport,
                               "flags": flags, "protocol": protocol, "tos": tos})

    # ---- version 9 ----

    def version9(self, message, count):
        sequence, source = struct.unpack_from(">II", message, 12)
        need(source == self.source, "[5.1] source id", source)
        self.in_order(sequence, 1)
        at, found = 20, 0
        while at < len(message):
            need(at + 4 <= len(message), "[5] a FlowSet's header is cut")
            ident, size = struct.unpack_from(">HH", message, at)
            need(size >= 4 and at + size <= len(message), "[5] FlowSet", ident, "of length", size)
            need(ident in (0, 1) or ident >= 256, "[5.2] reserved FlowSet id", ident)
            need(size > 4, "[5] a FlowSet without a record:", ident)
            found += self.read_set(ident, message[at + 4:at + size])
            at += size
        need(found == count, "[5.1] a count of", count, "and", found, "records")

    def read_set(self, ident, body):
        if ident < 2:
            return self.read_templates(ident == 1, body)
        need(ident in self.templates, "[9] data before its template:", ident)
        scopes, fields = self.templates[ident]
        size = sum(octets for _, octets in fields)
        need(len(body) >= size, "[5.3] a FlowSet without a record:", ident)
        records, rest = divmod(len(body), size)
        need(rest < 4, "[5.3] padding of", rest, "octets")
        need(not any(body[len(body) - rest:]), "[5.3] padding is not zero")
        need((4 + len(body)) % 4 == 0 or size < 4, "[5.3] a FlowSet that ends at no multiple of 4")
        for at in range(0, records * size, size):
            self.read_record(scopes, fields, body[at:at + size])
        return records

    def read_templates(self, options, body):
        n = 0
        while len(body) > 3:
            need(len(body) >= 10 if options else True, "[6.1] an options template is cut")
            ident, count = struct.unpack_from(">HH", body)
            need(ident >= 256, "[5.2] template id", ident)
            at, scopes = 4, 0
            if options:
                own = struct.unpack_from(">H", body, 4)[0]
                need(count % 4 == 0 and own % 4 == 0 and count > 0, "[6.1] lengths of an options template:", count, own)
                at, scopes, count = 6, count // 4, (count + own) // 4
            need(count > scopes, "[5.2] a template without fields")
            need(at + 4 * count <= len(body), "[5.2] a template is cut")
            fields = [struct.unpack_from(">HH", body, at + 4 * i) for i in range(count)]
            self.check_template(ident, scopes, fields)
            body, n = body[at + 4 * count:], n + 1
        need(not any(body), "[5.2] padding is not zero")
        need(n > 0, "[5.2] a FlowSet without a template")
        return n

    def check_template(self, ident, scopes, fields):
        own = fields[scopes:]
        need(len({number for number, _ in own}) == len(own), "a field twice in template", ident)
        need(all(number == SYSTEM and octets == 4 for number, octets in fields[:scopes]), "[6.1] another scope than System")
        for number, octets in own:
            known = OPTIONS.get(number) if scopes else self.elements.get(number, (None,))[0]
            need(known == octets, "element", number, "of length", octets, "and not", known)
        need(self.templates.get(ident, (scopes, fields)) == (scopes, fields), "[9] template", ident, "changes its meaning")
        self.templates[ident] = scopes, fields

    def read_record(self, scopes, fields, octets):
        record, at = {}, 0
        for i, (number, size) in enumerate(fields):
            value = octets[at:at + size]
            at += size
            if i < scopes:
                need(value == struct.pack(">I", self.source), "[6.1] the scope is not the system:", value.hex())
                continue
            record[number] = value
            if number in TEXTS or self.elements.get(number, (0, False))[1]:
                self.check_text(number, value)
        if scopes:
            self.options.append(record)
        else:
            self.check_flow(record)
            self.flows.append(record)

    @staticmethod
    def check_text(number, value):
        text = value.rstrip(b"\0")
        need(b"\0" not in text, "an octet 0 inside a string:", number)
        try:
            text.decode("utf-8")
        except UnicodeDecodeError:
            raise Broken(f"no UTF-8: {number} {value}") from None

    def check_flow(self, record):
        def number(element, offset=0):
            return offset + int.from_bytes(record[element], "big") if element in record else None

        for first, last, offset in ((FIRST, LAST, self.boot), (*EPOCH, 0)):
            if first in record and last in record:
                self.check_times(number(first, offset), number(last, offset))
        need(number(136) in (None, 1, 2, 3, 4, 5), "flowEndReason", number(136))
        need(number(239) in (None, 0, 1, 2), "biflowDirection", number(239))
        need(number(2) != 0, "a record without packets")
        need(95 not in record or record[95][0] == 22, "RFC 6759: engine of an application")


def decode(datagrams, **options):
    strict = Strict(**options)
    for datagram in datagrams:
        strict.feed(datagram)
    return strict
