# SPDX-License-Identifier: Apache-2.0
"""A decoder of IPFIX that takes nothing amiss: what RFC 7011 does not allow, or only just, raises Broken.

Sections in brackets are of RFC 7011. One Strict is one transport session (or
one file, RFC 5655): feed() it messages, whole and in order.
"""
import struct
import time

VARIABLE = 65535
UNSIGNED, ADDRESS, TIME, STRING, OCTETS = "unsigned", "address", "time", "string", "octets"

# Of IANA's registry, what l7probe sends: type and octets.
ELEMENTS = {
    1: (UNSIGNED, 8), 2: (UNSIGNED, 8), 4: (UNSIGNED, 1), 5: (UNSIGNED, 1), 6: (UNSIGNED, 2), 7: (UNSIGNED, 2),
    8: (ADDRESS, 4), 10: (UNSIGNED, 4), 11: (UNSIGNED, 2), 12: (ADDRESS, 4), 14: (UNSIGNED, 4), 16: (UNSIGNED, 4),
    17: (UNSIGNED, 4), 25: (UNSIGNED, 8),
    26: (UNSIGNED, 8), 27: (ADDRESS, 16), 28: (ADDRESS, 16), 32: (UNSIGNED, 2), 34: (UNSIGNED, 4), 42: (UNSIGNED, 8),
    52: (UNSIGNED, 1), 53: (UNSIGNED, 1), 56: (ADDRESS, 6), 58: (UNSIGNED, 2), 80: (ADDRESS, 6), 82: (STRING, None),
    86: (UNSIGNED, 8), 94: (STRING, None), 95: (OCTETS, 4), 96: (STRING, None), 135: (UNSIGNED, 8), 136: (UNSIGNED, 1),
    148: (UNSIGNED, 8), 149: (UNSIGNED, 4), 152: (TIME, 8), 153: (TIME, 8), 160: (TIME, 8), 164: (UNSIGNED, 8),
    166: (UNSIGNED, 8), 239: (UNSIGNED, 1), 245: (UNSIGNED, 2), 300: (STRING, None), 303: (UNSIGNED, 2),
    339: (UNSIGNED, 1), 340: (STRING, None), 341: (STRING, None), 344: (UNSIGNED, 1), 346: (UNSIGNED, 4),
    372: (STRING, None),
}
REVERSE = 29305       # RFC 5103
FLOW_TEMPLATES = 1024  # l7probe: below are its options templates (lib/record/template_id.h)
# informationElementDataType (RFC 5610): octets of a value
TYPE_OCTETS = {1: 1, 2: 2, 3: 4, 4: 8, 13: VARIABLE, 19: 16}
FIXED = {(35632, 101): 2, (35632, 103): 2}  # texts of always so many octets: countries


class Broken(ValueError):
    """The rule that is broken, in words."""


def need(true, rule, *what):
    if not true:
        raise Broken(" ".join([rule] + [str(w) for w in what]))


class Template:
    def __init__(self, fields, scopes):
        self.fields, self.scopes = fields, scopes
        self.shortest = sum(1 if size == VARIABLE else size for _, size in fields)

    def __eq__(self, other):
        return (self.fields, self.scopes) == (other.fields, other.scopes)


class Strict:
    def __init__(self, domain=1, longest=65535, now=None):
        self.domain, self.longest, self.now = domain, longest, now  # now: when it was sent, unless just before
        self.templates, self.sequence, self.export_time = {}, 0, 0
        self.flows, self.options, self.types = [], [], {}
        self.messages = 0

    def flow_template(self, kind):
        """That of flow records of IPv4 (0) or IPv6 (1), in a tunnel (2 more); a session has one of each at most."""
        found = [t for ident, t in self.templates.items() if ident >= FLOW_TEMPLATES and ident % 4 == kind]
        need(len(found) == 1, "one template of kind", kind)
        return found[0]

    def feed(self, message):
        need(len(message) > 16, "[3.1] a message has a header and a set")
        version, length, exported, sequence, domain = struct.unpack_from(">HHIII", message)
        need(version == 10, "[3.1] version", version)
        need(length == len(message), "[3.1] length", length, "of", len(message))
        need(length <= self.longest, "[10.3.3] longer than the path takes:", length)
        need(domain == self.domain, "[3.1] observation domain", domain)
        need(sequence == self.sequence, "[3.1] sequence number", sequence, "is not", self.sequence)
        need(abs(exported - (self.now or time.time())) < 3600, "[3.1] export time", exported)
        need(exported >= self.export_time, "[3.1] export time goes back")
        self.export_time = exported
        self.messages += 1
        at = 16
        while at < length:
            need(at + 4 <= length, "[3.3.2] a set header is cut")
            ident, size = struct.unpack_from(">HH", message, at)
            need(size >= 4 and at + size <= length, "[3.3.2] set", ident, "of length", size)
            need(ident in (2, 3) or ident >= 256, "[3.3.2] reserved set id", ident)
            need(size > 4, "[3.3.1] a set without a record:", ident)
            self.read_set(ident, message[at + 4:at + size])
            at += size

    def read_set(self, ident, body):
        if ident < 256:
            while body:
                body = self.read_template(ident == 3, body)
            return
        need(ident in self.templates, "[8] data before its template:", ident)
        template, records = self.templates[ident], 0
        while len(body) >= template.shortest:
            body = self.read_record(template, body)
            records += 1
        need(records > 0, "[3.3.1] a set without a record:", ident)
        need(not any(body), "[3.3.1] padding is not zero")
        self.sequence = (self.sequence + records) & 0xFFFFFFFF

    # ---- templates ----

    def read_template(self, options, body):
        if len(body) < 4:
            need(not any(body), "[3.3.1] padding is not zero")
            return b""
        ident, count = struct.unpack_from(">HH", body)
        need(ident >= 256, "[3.4.1] template id", ident)
        need(count > 0, "[8.1] a withdrawal is not for the start of a session")
        scopes, at = 0, 4
        if options:
            need(len(body) >= 6, "[3.4.2] an options template is cut")
            scopes, at = struct.unpack_from(">H", body, 4)[0], 6
            need(1 <= scopes <= count, "[3.4.2.1] scope count", scopes, "of", count)
        fields = []
        for _ in range(count):
            key, size, at = self.read_field(body, at)
            fields.append((key, size))
        need(len({key for key, _ in fields}) == len(fields), "a field twice in template", ident)
        template = Template(fields, scopes)
        need(self.templates.get(ident, template) == template, "[8] template", ident, "changes its meaning")
        self.templates[ident] = template
        return body[at:]

    @staticmethod
    def read_field(body, at):
        need(at + 4 <= len(body), "[3.2] a field specifier is cut")
        number, size = struct.unpack_from(">HH", body, at)
        at, enterprise = at + 4, 0
        if number & 0x8000:
            need(at + 4 <= len(body), "[3.2] an enterprise number is cut")
            enterprise, at, number = struct.unpack_from(">I", body, at)[0], at + 4, number & 0x7FFF
            need(enterprise != 0, "[3.2] enterprise number 0")
        need(number != 0, "[3.2] element 0")
        need(size != 0, "[3.2] a field of no octets")
        if enterprise in (0, REVERSE):
            need(number in ELEMENTS, "not in the registry:", number)
            kind, octets = ELEMENTS[number]
            need(kind == STRING or (size <= octets if kind == UNSIGNED else size == octets),
                 "[6.2] element", number, "of length", size)
        return (enterprise, number), size, at

    # ---- data ----

    def read_record(self, template, body):
        record, at = {}, 0
        for key, size in template.fields:
            variable = size == VARIABLE
            if variable:
                size, at = self.read_length(body, at)
            need(at + size <= len(body), "[3.3] a record past its set")
            record[key] = body[at:at + size]
            self.check_value(key, record[key], variable)
            at += size
        if template.scopes:
            self.options.append(record)
            self.read_type(record)
        else:
            self.check_flow(template, record)
            self.flows.append(record)
        return body[at:]

    @staticmethod
    def read_length(body, at):
        need(at < len(body), "[7] no room for a length")
        size = body[at]
        if size < 255:
            return size, at + 1
        need(at + 3 <= len(body), "[7] no room for a long length")
        size = struct.unpack_from(">H", body, at + 1)[0]
        need(size >= 255, "[7] the long form for a length of", size)
        return size, at + 3

    def check_value(self, key, value, variable):
        enterprise, number = key
        if enterprise in (0, REVERSE):
            text = ELEMENTS[number][0] == STRING
        else:
            text = variable or key in FIXED
        if not text:
            return
        if not variable:
            value = value.rstrip(b"\0")
        need(b"\0" not in value, "[6.1.6] an octet 0 inside a string:", key)
        try:
            value.decode("utf-8")
        except UnicodeDecodeError:
            raise Broken(f"[6.1.6] no UTF-8: {key} {value}") from None

    def check_flow(self, template, record):
        for key, size in template.fields:
            if key[0] not in (0, REVERSE):
                need(key in self.types, "RFC 5610: no type of", key)
                need(size in (TYPE_OCTETS[self.types[key]], FIXED.get(key)), "RFC 5610: type of", key, "and its length", size)

        def number(ident):
            return int.from_bytes(record[0, ident], "big") if (0, ident) in record else None

        if number(152) is not None and number(153) is not None:
            need(0 < number(152) <= number(153) < 1000 * (time.time() + 86400), "[6.1.8] times of a flow")
        need(number(136) in (None, 1, 2, 3, 4, 5), "flowEndReason", number(136))
        need(number(239) in (None, 0, 1, 2), "biflowDirection", number(239))
        need((0, 95) not in record or record[0, 95][0] == 22, "RFC 6759: engine of an application")

    def read_type(self, record):
        if (0, 339) not in record:
            return
        key = (int.from_bytes(record[0, 346], "big"), int.from_bytes(record[0, 303], "big"))
        kind = record[0, 339][0]
        need(key[0] != 0 and 0 < key[1] < 0x8000, "RFC 5610: a type of", key)
        need(kind in TYPE_OCTETS, "RFC 5610: type", kind)
        need(record[0, 344][0] <= 6, "RFC 5610: semantics", record[0, 344][0])
        need(record[0, 341], "RFC 5610: an element without a name")
        self.types[key] = kind


def messages(stream):
    """The messages of a file or a connection."""
    found, at = [], 0
    while at < len(stream):
        need(at + 16 <= len(stream), "[3.1] a header is cut")
        length = struct.unpack_from(">H", stream, at + 2)[0]
        need(length >= 16 and at + length <= len(stream), "[3.1] a message is cut")
        found.append(stream[at:at + length])
        at += length
    return found


def decode(stream, **options):
    """A Strict that has read all of a file or a connection."""
    strict = Strict(**options)
    for message in messages(stream):
        strict.feed(message)
    return strict
