#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the first inputs of the fuzz targets into tests/fuzz/corpus: seeds.py [FOLDER]."""
import os
import struct
import sys

VAR = 65535
REVERSE, NTOP, OWN = 29305, 35632, 32473
STANDARD = [(0, 152, 8), (0, 153, 8), (0, 1, 8), (0, 2, 8), (REVERSE, 1, 8), (REVERSE, 2, 8), (0, 8, 4), (0, 12, 4),
            (0, 7, 2), (0, 11, 2), (0, 4, 1), (0, 6, 2), (REVERSE, 6, 2), (0, 136, 1), (0, 148, 8), (0, 239, 1),
            (0, 10, 4), (0, 14, 4), (0, 58, 2), (0, 34, 4), (0, 95, 4), (0, 96, VAR), (0, 372, VAR), (NTOP, 188, VAR),
            (NTOP, 509, 8), (NTOP, 527, 2), (OWN, 1, 1), (OWN, 2, 1), (OWN, 3, 1), (OWN, 5, 8), (OWN, 6, 8)]


def field(pen, ie, length):
    return struct.pack(">HHI", ie | 0x8000, length, pen) if pen else struct.pack(">HH", ie, length)


def template(number, fields, scope=0):
    head = struct.pack(">HHH", number, len(fields), scope) if scope else struct.pack(">HH", number, len(fields))
    return head + b"".join(field(*f) for f in fields)


def a_set(number, content):
    return struct.pack(">HH", number, 4 + len(content)) + content


def message(sequence, *sets, domain=1):
    body = b"".join(sets)
    return struct.pack(">HHIII", 10, 16 + len(body), 1700000000, sequence, domain) + body


def text(octets, wide=False):
    return (struct.pack(">BH", 255, len(octets)) if wide else struct.pack(">B", len(octets))) + octets


def record(fields, app=b"TLS.Telegram", wide=False):
    out = b""
    for pen, ie, length in fields:
        if (pen, ie) == (0, 96):
            out += text(app, wide)
        elif length == VAR:
            out += text(b"Chat" if ie == 372 else b"api.telegram.org")
        elif (pen, ie) == (0, 95):
            out += b"\x16\0\0\xb9"
        elif length == 1:
            out += b"\1"
        else:
            out += bytes(range(1, length + 1))
    return out


def session(*messages, datagrams=False):
    return bytes([datagrams]) + b"".join(struct.pack(">H", len(m)) + m for m in messages)


def ipfix():
    names = [(0, 95, 4), (0, 96, 24), (0, 94, 55)]
    name = b"\x16\0\0\xb9" + b"Telegram".ljust(24, b"\0") + b"Telegram".ljust(55, b"\0")
    small, six = [(0, 8, 4), (0, 95, 4)], [(0, 27, 16), (0, 28, 16), (0, 96, VAR), (0, 239, 1)]
    standard = message(0, a_set(2, template(256, STANDARD)))
    return {
        "standard": session(standard, message(0, a_set(256, record(STANDARD) + record(STANDARD, b"DNS", True)))),
        "names": session(message(0, a_set(3, template(257, names, 1)), a_set(257, name), a_set(2, template(258, small)),
                                 a_set(258, record(small) + b"\0\0"))),
        "exporter": session(message(0, a_set(3, template(259, [(0, 149, 4), (0, 300, VAR)], 1)),
                                    a_set(259, b"\0\0\0\1" + text(b"branch-7")))),
        "ipv6-turned": session(message(0, a_set(2, template(256, six)),
                                       a_set(256, bytes(32) + text(b"SSH") + b"\2"))),
        "withdrawn": session(standard, message(0, a_set(2, struct.pack(">HH", 256, 0)), a_set(256, record(STANDARD)))),
        "withdrawn-all": session(standard, message(0, a_set(2, struct.pack(">HH", 2, 0)))),
        "replaced": session(standard, message(0, a_set(2, template(256, small)), a_set(256, record(small)))),
        "datagrams": session(standard, message(7, a_set(256, record(STANDARD))), message(3, a_set(999, b"??")),
                             datagrams=True),
        "cut": session(standard, message(0, a_set(256, record(STANDARD)[:-5]))),
        "empty-fields": session(message(0, a_set(2, template(256, [(0, 8, 0), (0, 4, 1)])), a_set(256, b"\6\6"))),
        "reserved-set": session(message(0, a_set(5, b"abc"), a_set(1, b""))),
    }


def yaml():
    return {
        "rules": b'version: 1\nlists:\n  a: [192.0.2.1, "2001:db8::/32"]\nrules:\n'
                 b'- {id: 1, name: "x: y", match: {host: "@a", app: ["!TLS", DNS]}}\n',
        "blocks": b"a:\n  - b: |\n      text\n      more\n    c: >-\n      folded\n  - 'single '' quote'\n? d\n: e\n",
        "refused-alias": b"a: &x 1\nb: *x\n", "refused-tag": b"a: !!str 1\n", "refused-twice": b"a: 1\na: 2\n",
        "refused-documents": b"--- a\n--- b\n", "refused-key": b"[a]: b\n", "deep": b"[" * 31 + b"]" * 31,
        "too-deep": b"[" * 40, "escapes": b'"\\u00e9\\x41\\n\\t\\U0001F600"', "directive": b"%YAML 1.1\n---\na: b\n...\n",
        "bom": b"\xef\xbb\xbfa: b\r\nc: d\r\n",
    }


def record_slot():
    def patch(at, octets):
        return struct.pack(">HB", at, len(octets)) + octets

    return {"whole": b"", "whole-ipv6": b"x", "ids": patch(136, b"\xff" * 12), "zeros": patch(0, bytes(255)),
            "ones": patch(0, b"\xff" * 255), "text": patch(300, b"\xff\n<\x1b\0" * 50),
            "places": b"".join(patch(at, b"\xff\xff") for at in range(176, 300, 6))}


def main():
    folder = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(os.path.abspath(__file__)), "corpus")
    for target, inputs in (("fuzz_ipfix", ipfix()), ("fuzz_yaml", yaml()),
                           ("fuzz_record", record_slot())):
        os.makedirs(os.path.join(folder, target), exist_ok=True)
        for name, octets in inputs.items():
            with open(os.path.join(folder, target, name), "wb") as f:
                f.write(octets)


if __name__ == "__main__":
    main()
