#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the first inputs of the fuzz targets into tests/fuzz/corpus: seeds.py [FOLDER]."""
import base64
import itertools
import os
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import frames  # noqa: E402
import links  # noqa: E402
import mmdb  # noqa: E402
import tunnels  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
VAR = 65535
REVERSE, NTOP, OWN = 29305, 35632, 32473
STANDARD = [(0, 152, 8), (0, 153, 8), (0, 1, 8), (0, 2, 8), (REVERSE, 1, 8), (REVERSE, 2, 8), (0, 8, 4), (0, 12, 4),
            (0, 7, 2), (0, 11, 2), (0, 4, 1), (0, 6, 2), (REVERSE, 6, 2), (0, 136, 1), (0, 148, 8), (0, 239, 1),
            (0, 10, 4), (0, 14, 4), (0, 58, 2), (0, 34, 4), (0, 95, 4), (0, 96, VAR), (0, 372, VAR), (NTOP, 188, VAR),
            (NTOP, 509, 8), (NTOP, 527, 2), (OWN, 1, 1), (OWN, 2, 1), (OWN, 3, 1), (OWN, 5, 8), (OWN, 6, 8)]


# Of a server that nobody is: subject and issuer are O=Test, CN=www.example.org, and it ends in 2126.
CERTIFICATE = base64.b64decode("""
MIIBqjCCAU+gAwIBAgIUERklNr0q6jeTrRoR7vLfOZIl01UwCgYIKoZIzj0EAwIwKTENMAsGA1UECgwEVGVzdDEYMBYGA1UEAwwPd3d3
LmV4YW1wbGUub3JnMCAXDTI2MTEyNDIzMzQzNVoYDzIxMjYxMDMxMjMzNDM1WjApMQ0wCwYDVQQKDARUZXN0MRgwFgYDVQQDDA93d3cu
ZXhhbXBsZS5vcmcwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAARvEW+Yq/8qRY3Fy0Q9zJ7tWlJA+un2aFxmx7yqVQlG3LBhy6PzWMFT
QEuvShOWyfg9Ddl7XSN1Lyq6xw7Q4fwKo1MwUTAdBgNVHQ4EFgQUsDbXdParQrG3O79zM1ZpBWo+M6EwHwYDVR0jBBgwFoAUsDbXdPar
QrG3O79zM1ZpBWo+M6EwDwYDVR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNJADBGAiEAl7if9zzQWPEyyEIDFvVFDQBDiqzuK5MokmPx
8RiJF/ICIQCk+XPf/z6SFOt44eUNs6+AmmrCxh1TGEtmFejELzN11w==""")


def every_field():
    """(enterprise, element, octets) of each row of fields.def that IPFIX has."""
    pens, rows = {"IANA": 0, "REVERSE": REVERSE, "NTOP": NTOP, "OWN": OWN}, []
    with open(os.path.join(HERE, "..", "..", "templates", "fields.def"), encoding="utf-8") as f:
        for line in f:
            words = [w.strip() for w in line.split(",")]
            if line.startswith("L7_FIELD(") and words[3] in pens:
                rows.append((pens[words[3]], int(words[4]), VAR if words[5] == "VARLEN" else int(words[5])))
    return rows


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


def numbered(app, numbers=itertools.count(1)):
    """A record of STANDARD with a number that no other has: else all but the first are doubles."""
    return record(STANDARD, app)[:-8] + next(numbers).to_bytes(8, "big")


def session(*messages, datagrams=False):
    return bytes([datagrams]) + b"".join(struct.pack(">H", len(m)) + m for m in messages)


def ipfix():
    names = [(0, 95, 4), (0, 96, 24), (0, 94, 55)]
    name = b"\x16\0\0\xb9" + b"Telegram".ljust(24, b"\0") + b"Telegram".ljust(55, b"\0")
    probe = [(0, 149, 4), (0, 300, VAR), (OWN, 5, 8), (OWN, 7, VAR), (OWN, 8, VAR), (OWN, 9, 8), (0, 42, 8), (0, 160, 8), (0, 135, 3)]
    beat = b"\0\0\0\1" + text(b"branch-7") + bytes(8) + text(b"0.1.0") + text(b"Lyon") + bytes(8 + 8 + 8 + 3)
    small, six = [(0, 8, 4), (0, 95, 4)], [(0, 27, 16), (0, 28, 16), (0, 96, VAR), (0, 239, 1)]
    standard, full = message(0, a_set(2, template(256, STANDARD))), every_field()
    return {
        "standard": session(standard, message(0, a_set(256, record(STANDARD) + record(STANDARD, b"DNS", True)))),
        "names": session(message(0, a_set(3, template(257, names, 1)), a_set(257, name), a_set(2, template(258, small)),
                                 a_set(258, record(small) + b"\0\0"))),
        "exporter": session(message(0, a_set(3, template(259, [(0, 149, 4), (0, 300, VAR)], 1)),
                                    a_set(259, b"\0\0\0\1" + text(b"branch-7")))),
        "heartbeat": session(message(0, a_set(3, template(265, probe, 1)), a_set(265, beat + beat)), standard,
                             message(0, a_set(256, record(STANDARD)))),
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
        "full": session(message(0, a_set(2, template(260, full)), a_set(260, record(full) + record(full, b"HTTP", True)))),
        "full-cut": session(message(0, a_set(2, template(260, full)), a_set(260, record(full)[:-200]))),
        "shorter": session(message(0, a_set(2, template(261, [(p, i, n if n in (1, VAR) else n // 2) for p, i, n in full])),
                                   a_set(261, bytes(400)))),
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


def spool():
    def piece(kind, octets):
        return struct.pack(">BH", kind, len(octets)) + octets

    def segment(seq, record=0, more=b"\x01\x00"):
        return piece(0, struct.pack(">HH", seq, record) + more)

    def batch(seq, record, payload=b"payload", right=1):
        return piece(1, struct.pack(">HHBBB", seq, record, 2, 1, right) + payload)

    def some(seq, n, right=1):
        return segment(seq, 2 * seq) + b"".join(batch(i, 2 * i, b"x" * i, right) for i in range(seq, seq + n))

    def pos(seq):
        return piece(3, struct.pack(">HH", seq, 2 * seq))

    return {
        "two": some(1, 3) + some(4, 3) + pos(2), "gap": some(1, 3) + some(9, 3), "doubled": some(1, 6) + some(4, 3),
        "damaged": some(1, 3, 0) + some(4, 3, 4), "torn": some(1, 3) + piece(2, b"L7RC\x05\0\0\0"), "zeros": some(1, 2) + piece(2, bytes(200)),
        "cut": some(1, 3) + piece(5, b"\x60"), "no-header": some(1, 2) + piece(5, b"\0") + batch(1, 0), "pos-ahead": some(1, 3) + pos(900),
        "pos-damaged": some(1, 3) + piece(4, b"L7SPPOS1" + bytes(24)), "pos-alone": pos(7), "empty": b"", "header-alone": segment(5),
        "other-name": segment(5, 0, b"\x01\x0f") + batch(5, 0), "bad": segment(1, 0, b"\0\0") + some(2, 2),
        "backwards": segment(1) + batch(3, 9) + batch(2, 5) + batch(1, 0), "far": segment(1) + batch(60000, 1),
        "magics": segment(1) + piece(2, b"L7RC" * 400) + batch(3, 9) + some(30, 2),
    }


def record_slot():
    def patch(at, octets):
        return struct.pack(">HB", at, len(octets)) + octets

    # Where struct l7_record has them; that they are elsewhere some day makes these inputs duller, not wrong.
    ids, enums, texts, measures, text = 176, 218, 228, 324, 518
    return {"whole": b"", "whole-ipv6": b"x", "ids": patch(ids, b"\xff" * 12), "zeros": patch(0, bytes(255)),
            "ones": patch(0, b"\xff" * 255), "text": patch(text, b"\xff\n<\x1b\0" * 20),
            "places": b"".join(patch(at, b"\xff\xff") for at in range(texts, measures, 4)),
            "same-place": b"".join(patch(at, b"\0\0\x10\0") for at in range(texts, measures, 4)),
            "measures": patch(measures, b"\xff" * 120), "reported": patch(measures + 120, b"\0\0\0\0\xff\xff\0\0" * 8),
            "enums": b"".join(patch(at, b"\1") for at in range(enums, texts)), "midstream": patch(texts - 2, b"\x0f"),
            "responder": patch(texts - 5, b"\2"), "address": patch(text + 16, b"http://192.0.2.10/")}


def hello(name):
    """A ClientHello without chance: the same octets each time."""
    name = name.encode()
    sni = struct.pack(">HHHBH", 0, len(name) + 5, len(name) + 3, 0, len(name)) + name
    rest = sni + bytes.fromhex("000a00040002001d" "000d00040002 0403" "002b0003020304")
    body = b"\3\3" + bytes(range(32)) + b"\0" + bytes.fromhex("0004 1301 c02f 0100") + struct.pack(">H", len(rest)) + rest
    return b"\x16\3\1" + struct.pack(">HHH", len(body) + 4, 0x0100, len(body)) + body


def handshake(*messages):
    """TLS messages (type, body) in one record."""
    body = b"".join(bytes([kind]) + struct.pack(">I", len(octets))[1:] + octets for kind, octets in messages)
    return b"\x16\3\3" + struct.pack(">H", len(body)) + body


def server_hello():
    """ServerHello of TLS 1.2 with ALPN, and the certificate."""
    alpn = b"\0\x10\0\5\0\3\2h2"
    hello_body = b"\3\3" + bytes(range(32)) + b"\0\xc0\x2f\0" + struct.pack(">H", len(alpn)) + alpn
    chain = struct.pack(">I", len(CERTIFICATE))[1:] + CERTIFICATE
    return handshake((2, hello_body), (11, struct.pack(">I", len(chain))[1:] + chain), (14, b""))


def kexinit():
    """SSH's key exchange: a cookie and ten lists of names (RFC 4253 section 7.1)."""
    names = (b"curve25519-sha256", b"ssh-ed25519", b"aes256-ctr", b"aes256-ctr", b"hmac-sha2-256", b"hmac-sha2-256", b"none",
             b"none", b"", b"")
    body = b"\x14" + bytes(16) + b"".join(struct.pack(">I", len(n)) + n for n in names) + bytes(5)
    return struct.pack(">IB", len(body) + 7, 6) + body + bytes(6)


# enum decode_link of probe/decode/decode.h
LINKS = {links.ETHERNET: 0, links.RAW: 1, links.IPV4: 2, links.IPV6: 3, links.NULL: 4, links.LOOP: 4, links.SLL: 5, links.SLL2: 6,
         links.PPP_ETHER: 7, links.PPP: 8, links.PPP_HDLC: 8, links.C_HDLC: 8, links.WIFI: 9, links.RADIOTAP: 10, links.PPI: 11}


def decode():
    a, b, c, d = "192.0.2.1", "198.51.100.2", "2001:db8::1", "2001:db8::2"
    tcp = frames.tcp(a, b, 40000, 443, 1, 1, frames.PSH | frames.ACK, b"hello")
    udp = frames.udp(a, b, 40000, 53, b"question")
    six = frames.udp(c, d, 40000, 53, b"question")
    chain = (frames.HOP_BY_HOP, frames.DESTINATION, frames.ROUTING, frames.fragment6(0, True))
    packets = {
        "tcp4": frames.ethernet(frames.ip4(a, b, frames.TCP, tcp)),
        "udp4-tagged": frames.ethernet(frames.ip4(a, b, frames.UDP, udp), tags=((0x88A8, 100), (0x8100, 7))),
        "udp4-options": frames.ethernet(frames.ip4(a, b, frames.UDP, udp, options=bytes(8))),
        "later-fragment4": frames.ethernet(frames.ip4(a, b, frames.UDP, udp, fragment=0x2010)),
        "offload": frames.ethernet(frames.ip4(a, b, frames.TCP, tcp, length=0)),
        "icmp4": frames.ethernet(frames.ip4(a, b, frames.ICMP, b"\3\1" + bytes(30))),
        "udp6": frames.ethernet(frames.ip6(c, d, frames.UDP, six)),
        "udp6-extensions": frames.ethernet(frames.ip6(c, d, frames.UDP, six, chain)),
        "jumbo": frames.ethernet(frames.ip6(c, d, frames.UDP, six, (frames.HOP_BY_HOP,), length=0)),
        "snap": frames.ethernet(b"\xaa\xaa\3\0\0\0\x08\0" + frames.ip4(a, b, frames.UDP, udp), 60),
        "arp": frames.ethernet(bytes(46), 0x0806), "mpls": frames.ethernet(bytes(46), 0x8847),
    }
    seeds = {name: b"\0\0" + octets for name, octets in packets.items()}
    for name, (link, octets) in links.captures().items():
        seeds["link-" + name] = bytes([LINKS[link], 0]) + octets[3 if name == "wifi-odd" else 0]
    for name, octets in tunnels.captures().items():
        seeds["tunnel-" + name] = b"\0\0" + octets[0]
    return seeds


BACK, TCP, SCALE, EXPIRE, SIX, RAW = 4, 8, 16, 64, 128, 3
LIMITED, IDLE, ACTIVE, EARLY, AT_ZERO, MEASURED = 1, 2, 4, 8, 16, 32


def packet(kind, step=10, flags=0, payload=b""):
    payload = payload + bytes(-len(payload) % 4)
    return struct.pack(">BhBB", kind, step, flags, len(payload) // 4) + payload


def flow():
    syn, fin, rst, ack, push = 2, 17, 4, 16, 24
    opening = packet(TCP, 0, syn) + packet(TCP | BACK, 1, 18) + packet(TCP, 1, ack)
    tls = opening + packet(TCP, 5, push, hello("api.telegram.org")) + packet(TCP | BACK, 5, push, b"\x16\3\3\0\2hi")
    close = packet(TCP, 5, fin) + packet(TCP | BACK, 5, fin) + packet(TCP, 5, ack)
    dns = packet(1, 1, 0, frames.dns_query(7, "www.example.org"))
    fragments = [frames.ethernet(frames.ip4("192.0.2.9", "192.0.2.8", frames.UDP, b"\0\1\0\2" + bytes(12), fragment=f))
                 for f in (0x2000, 0x2002, 0x0004)]
    usual, told = IDLE | ACTIVE, IDLE | ACTIVE | EARLY | MEASURED
    request = b"GET /path?q=1 HTTP/1.1\r\nHost: www.example.org\r\nUser-Agent: test/1.0\r\nAccept: */*\r\n\r\n"
    answer = b"HTTP/1.1 404 Not Found\r\nServer: s\r\nContent-Type: text/html; charset=x\r\nContent-Length: 2\r\n\r\nno"
    a, b = "192.0.2.9", "192.0.2.8"
    asked = frames.datagram(a, b, 5353, 53, frames.dns_query(7, "www.example.org", 28))
    told_back = frames.datagram(b, a, 53, 5353, frames.dns_answer(7, "www.example.org", "192.0.2.1"))
    segments = frames.conversation(a, b, 4000, 80, [(True, b"x" * 90), (False, b"y" * 400), (True, b"z" * 30)])
    tagged = frames.ethernet(frames.ip4(a, b, frames.UDP, frames.udp(a, b, 1, 2, b"tagged")), tags=((0x88A8, 100), (0x8100, 7)))

    def session(settings, *packets):
        return bytes([settings, 0]) + b"".join(packets)

    def raw(frame):
        return packet(RAW, 1, 0, frame)

    def talk(port, *says):
        return [raw(f) for f in frames.conversation(a, b, 40000, port, says)]

    return {
        "tls-early": session(usual | EARLY, tls, close, packet(TCP | EXPIRE | SCALE, 5, syn)),
        "tls-midstream": session(usual, packet(TCP, 5, push, hello("t.me")), packet(TCP | BACK, 9, rst)),
        "long-early": session(usual | EARLY, dns, *[packet(1, 20000 // 2, 0, b"abcdefgh")] * 14),
        "idle": session(usual, dns, packet(2 | EXPIRE, 16000), packet(1, 16000, 0, b"more"), packet(1 | EXPIRE, 1000)),
        "evicted": session(usual | LIMITED | EARLY, dns, opening, packet(2, 1, 0, b"x"), packet(2 | SIX, 1), dns, close),
        "clock": session(usual | EARLY, dns, packet(2 | EXPIRE | 3 * SCALE, 32767), packet(1, -30000), packet(2, -9000),
                         packet(1 | EXPIRE | 2 * SCALE, -32768), packet(1, 5), close),
        "from-zero": session(usual | AT_ZERO | EARLY, tls, packet(TCP, -2000, ack), packet(TCP | 2 * SCALE, 9, ack), close),
        "timeouts-off": session(EARLY, dns, packet(1 | EXPIRE | 2 * SCALE, 900), close, packet(1, -5)),
        "fragments": session(usual, *[packet(RAW, 1, 0, f) for f in fragments]),
        "metadata-http": session(told, *talk(80, (True, request), (False, answer))),
        "metadata-http-cut": session(told, *talk(8080, (True, request[:40]), (True, request[40:]), (False, answer[:30]))),
        "metadata-tls": session(told, *talk(443, (True, hello("www.example.org")), (False, server_hello()))),
        "metadata-ssh": session(told, *talk(22, (False, b"SSH-2.0-one_1\r\n"), (True, b"SSH-2.0-two_2\r\n"), (True, kexinit()),
                                            (False, kexinit()))),
        "metadata-dns": session(told, raw(asked), raw(told_back), raw(told_back)),
        "metadata-quic": session(told, packet(0, 1, 0, b"\xc3\0\0\0\1\x08" + bytes(8) + b"\0\0" + bytes(200)),
                                 packet(0, 1, 0, b"\x0dabcdefghQ046" + bytes(40))),
        "measures-again": session(told, *[raw(f) for f in segments], *[raw(f) for f in segments[3:6]], raw(segments[4])),
        "measures-times": session(usual | MEASURED, *[packet(1 | n % 2 * BACK, step, 0, b"x" * n) for n, step in
                                                      enumerate((0, 5, -3, 100, 0, 32767, -32768, 1))]),
        "measures-tags": session(told, raw(tagged), raw(tagged)),
        "six": session(usual | EARLY, packet(SIX | TCP, 0, syn), packet(SIX | TCP, 1, push, hello("www.example.org"))),
    }


def rules():
    head = b"version: 1\nlists: {a: [192.0.2.0/24, '2001:db8::/32'], n: [DNS, TLS.*]}\nrules:\n"
    return {
        "deny": head + b"- {id: 1, name: n, type: deny, severity: high, match: {host: '@a', app: [Telegram, '!SSH'],\n"
                       b"   port: [443, '!80-90'], l4: tcp, confidence: ip}, except: [{peer: 10.0.0.0/8,\n"
                       b"   until: 2027-01-31}]}\n# TLS.Telegram",
        "allow": head + b"- {id: 2, name: n, type: allow, severity: low, match: {client: 192.0.2.10},\n"
                        b"   allow: {client: ['@n', 'category:Web'], server: []}, on_unknown: {alert_after: 3},\n"
                        b"   window: 10m, dedup: {key: [subject, peer], for: 1h}, tags: [a], mitre: T1071}\n#SSH",
        "keys": head + b"- {id: 3, name: n, type: deny, severity: info, enabled: true, description: d, actions: [log],\n"
                       b"   match: {server: '!@a', side: server, master: [TLS], category: [Chat, '!Web']}}\n#TLS.Viber",
        "category": head + b"- {id: 4, name: n, type: allow, severity: high, match: {category: [Web, Chat]},\n"
                           b"   allow: {server: ['category:Web', '!category:Chat']}, window: 1h}\n# HTTP",
        "category-wrong": head + b"- {id: 5, name: n, type: deny, severity: low, match: {category: [Wob, 'category:Web']}}\n#TLS",
        "types": b"""version: 1
home_nets: [192.0.2.0/24]
lists: {r: [192.0.2.53]}
defaults: {release_after: 5m, mute: {after: 5, within: 1m}}
rules:
- {id: 1, name: n, type: risk, severity: from_score, match: {risk: [malicious_ja3, "!5"]}, score_min: 1}
- {id: 2, name: n, type: first_seen, severity: low, match: {}, key: [host, side, app], learn: {for: 7d, min_flows: 2}}
- {id: 3, name: n, type: threshold, severity: low, match: {direction: out}, group_by: [client], sum: bytes, over: 2GiB,
   window: 1h}
- {id: 4, name: n, type: threshold, severity: low, match: {app: "!SSH"}, group_by: vlan, distinct: server, over: 1,
   window: 1m, max_keys: 9}
- {id: 5, name: n, type: beacon, severity: low, match: {}, group_by: [client, sni], min_count: 3, window: 1h,
   interval: {min: 1s, max: 1h}, max_jitter: 0.15}
- {id: 6, name: n, type: server_list, severity: low, match: {}, servers: {DNS: "@r", TLS.*: []}}
# TLS""",
        "values": b"""version: 1
rules:
- {id: 1, name: n, type: deny, severity: low, match: {score: {max: 99}, sni: ["*.org", "!a.org"], alpn: h2, vlan: 1-99}}
- {id: 2, name: n, type: deny, severity: low, match: {tls_version: {min: 1.0}, exporter: "e*", bytes: 1k, packets: {min: 1}}}
- {id: 3, name: n, type: deny, severity: low, match: {duration: 1s, answered: true, mac: 02:00:5e}}
- {id: 4, name: n, type: deny, severity: low, match: {time: {not_between: "22:00-06:00", days: [mon-fri], tz: UTC}}}
# www.example.org""",
        "defaults": b"version: 1\ndefaults: {dedup: {key: port, for: 5s}}\nrules: []\n",
    }


def framer():
    """Whole messages of ipfix(), with an octet for the pieces before them; and what is no message."""
    sessions = ipfix()
    streams = {name: b"".join(cut_up(sessions[name])) for name in ("standard", "names", "ipv6-turned", "reserved-set")}
    streams["many"] = streams["standard"] * 3
    streams["half"] = streams["standard"][:-9]
    streams["no-version"] = streams["standard"] + b"GET / HTTP/1.0"
    streams["too-short"] = struct.pack(">HHIII", 10, 15, 0, 0, 1)
    streams["longest"] = struct.pack(">HHIII", 10, 65535, 0, 0, 1) + bytes(99)
    return {name: bytes([n * 5]) + octets for n, (name, octets) in enumerate(streams.items())}


def cut_up(octets):
    at = 1
    while at < len(octets):
        size = struct.unpack_from(">H", octets, at)[0]
        yield octets[at + 2:at + 2 + size]
        at += 2 + size


def profile():
    return {
        "names": b"# comment\nflowStartMilliseconds, flowEndMilliseconds\n\nsourceIPv4Address applicationName # more\n",
        "six": b"sourceIPv6Address\ndestinationIPv6Address\nsourceIPv4Address\n", "crlf": b"octetDeltaCount\r\n",
        "twice": b"octetDeltaCount\noctetDeltaCount\n", "wrong": b"octetDeltaCont\n", "empty": b"# nothing\n",
        "zero": b"octetDeltaCount\0packetDeltaCount\n", "list": b"\1octetDeltaCount,packetDeltaCount",
        "nprobe": b"\1%IPV4_SRC_ADDR %L7_PROTO_NAME %IN_BYTES", "unknown-nprobe": b"\1%IPV4_SRC_ADR", "one": b"\1full",
        "wrong-name": b"\1standart", "comment": b"\1octetDeltaCount # x",
        "long": b"\1" + b"octetDeltaCount," * 200,
    }


def protocols():
    return {
        "all": b'# rules\n\nhost:"example.org",tcp:80-90,udp:53,ip:192.0.2.0/24@Own\nhost:t.me@Telegram\n',
        "dashes": b'host:"example.org"@Own\nhost:"not-example.org"@Own\nhost:".example.org"@Own\nhost:"example."@Own\n',
        "no-protocol": b"tcp:80\n", "no-items": b"@Own\n", "no-newline": b"tcp:80@Own", "port": b"tcp:90-80@Own\n",
        "port-0": b"udp:0@Own\n", "address": b"ip:192.0.2.0/33@Own\n", "ipv6": b"ip:2001:db8::1@Own\n", "item": b"icmp:1@Own\n",
        "host": b'host:"a@Own\n', "name": b"tcp:80@Own/x\n", "long-name": b"tcp:80@" + b"x" * 32 + b"\n", "zero": b"tcp:80@O\0wn\n",
        "long": b"tcp:80," * 400 + b"tcp:80@Own\n",
    }


def categories():
    return {
        "all": b"# list\n\nexample.org Web\n.example.net\t1\r\n192.0.2.0/24  User custom category 1\n2001:db8::/32 web\n",
        "twice": b"a.example Web\nA.example Unspecified\n", "same": b"a.example Web\na.example 1\n", "net": b"192.0.2.1/24 Web\n",
        "no-category": b"a.example\n", "bad-category": b"a.example Wob\n", "number": b"a.example 2\n", "zero": b"a\0b Web\n",
        "blank": b" a.example Web\n", "star": b"*.a.example Web\n", "all-4": b"0.0.0.0/0 Web", "all-6": b"::/0 Web", "dots": b".. 1\n",
        "long": b"a" * 80 + b".example Web\n",
    }


def uri():
    lines = ("text:-", "json+file:///tmp/a%20b", "ipfix+tcp://host:4739?early=1&template=a%26b", "ipfix+udp://[2001:db8::1]:4739?mtu=5",
             "kafka://b1:9092/topic?mtu=77", "ipfix+tcp://user:word@host", "ipfix+tcp://[::1", "ipfix+tcp://[::1]x", "a://h:0",
             "a://::1:1", "json:-?early", "json:-?a=1&a=2", "json:-?a=%zz", "json:-?a=%00", "a:///%", "json", ":x", "",
             "a:-?erly=1", "a:-?token=x&b=1", "a:-?a=1&&b=2",
             "json:-?anonymize=clients:drop,sni:drop,url:drop,agent:drop", "a:-?anonymize=clients:hash", "a:-?anonymize=sni",
             "a:-?anonymize=sni:drop,sni:drop", "a:-?anonymize=:drop", "a:-?anonymize=,", "a:-?anonymize=url:drp&anonymize_key=k",
             "a:-?" + "&".join(f"o{n}=1" for n in range(40)))
    return {f"{n:02}": line.encode() for n, line in enumerate(lines)}


def json_lines():
    flow = (b'{"flow_id":"18364758544493064720","exporter":"probe1","start_ms":1700000000000,"src_ip":"192.0.2.10",'
            b'"dst_ip":"149.154.167.220","src_mac":"00:11:22:33:44:55","src_port":40000,"protocol":6,"octets":1500,"end_reason":"end",'
            b'"biflow_direction":1,"state":"final,last","app":"TLS.Telegram","app_id":185,"category":"Chat","confidence":"dpi",'
            b'"risks":"1099511627776","sni":"api.telegram.org"}')
    return {
        "flow": flow, "ipv6": b'{"src_ip":"2001:db8::1","dst_ip":"::ffff:192.0.2.1","tcp_flags":27}', "lines": flow + b"\n" + flow,
        "parts": b'{"src_ip":"192.0.2.1","master":"TLS","application":"Viber"}', "turned": b'{"src_ip":"192.0.2.1","biflow_direction":2}',
        "large": b'{"src_ip":"192.0.2.1","octets":18446744073709551615,"packets":1e3,"x":1e999}',
        "escapes": b'{"src_ip":"192.0.2.1","sni":"\\u0000\\ud83d\\udc1f\\"\\\\\\/\\n","app":"\xc3\xa9"}', "half": flow[:-9],
        "nested": b'{"src_ip":"192.0.2.1","x":' + b"[" * 31 + b"]" * 31 + b"}", "deep": b"[" * 40, "twice": b'{"app":"a","app":"b"}',
        "unknown": b'{"src_ip":"192.0.2.1","src_prt":null,"":[true,false]}', "words": b'{"src_ip":"192.0.2.1","state":"final,late"}',
        "wrong": b'{"src_port":65536}\n{"src_port":-1}\n{"src_port":"1"}\n{"flow_id":"1x"}\n{"src_mac":"0:1"}\n{"confidence":"sure"}',
        "long": b'{"src_ip":"192.0.2.1","sni":"' + "\u00e9".encode() * 200 + b'","app":"' + "\u20ac".encode() * 99 + b'"}',
    }


def geo():
    """Files of MaxMind's form, IPinfo's form, of IPv4 alone, and such as no writer makes."""
    def city(code, name):
        return {"city": {"names": {"de": "x", "en": name}}, "country": {"iso_code": code}, "location": {"latitude": 1.5}}
    nets = {"192.0.2.0/24": city("DE", "K\u00f6ln"), "203.0.113.0/24": city("US", "x" * 300), "2001:db8::/32": city("FR", "Paris")}
    systems = {"192.0.2.0/24": {"autonomous_system_number": 64500, "autonomous_system_organization": "Example"},
               "0.0.0.0/1": {"autonomous_system_number": 4200000000}}
    flat = {"203.0.113.7/32": {"country_code": "DE", "country": "Germany", "asn": "AS64500", "as_name": "a, b", "x": [1, True, [0.5]]}}
    deep = mmdb.head(mmdb.ARRAY, 1) * 3000 + mmdb.head(14, 0)
    return {"city": mmdb.build(nets, aliases=("2002::/16",)), "as28": mmdb.build(systems, record=28),
            "flat32": mmdb.build(flat, record=32), "four": mmdb.build(systems, six=False), "empty": mmdb.build({}),
            "deep": mmdb.build({"192.0.2.0/24": {"a": deep, "country": {"iso_code": "DE"}}}),
            "huge": mmdb.build({"192.0.2.0/24": {"a": b"\x1f\x04\xff\xff\xff", "country_code": "DE"}}),
            "ring": b"\0" * 6 + mmdb.build(nets)[6:], "cut": mmdb.build(nets)[:-40]}


def vendors():
    head = b"Registry,Assignment,Organization Name,Organization Address\n"
    return {"csv": head + b'MA-L,002272,"A ""B"", C","1,\n2"\r\nMA-M,741AE09,D,\nMA-S,8C1F64FFF,Private,\n', "open": head + b'MA-L,0,"',
            "short": head + b"MA-L,00227,A,\n", "bom": b"\xef\xbb\xbf" + head + b"MA-L,FFFFFF,\xff\xfe,",
            "txt": b"00-22-72   (hex)\t\tA\r\n002272     (base 16)\t\tA\r\n\t\tUS\r\n74-1A-E0   (hex)\t\tB\n900000-9FFFFF     (base 16)\t\tB\n",
            "range": b"74-1A-E0   (hex)\t\tB\n900000-1FFFFF     (base 16)\t\tB\n", "hex": b"-(hex)(base 16)\n00-00-00(hex)"}


def main():
    folder = sys.argv[1] if len(sys.argv) > 1 else os.path.join(HERE, "corpus")
    for target, inputs in (("fuzz_ipfix", ipfix()), ("fuzz_yaml", yaml()), ("fuzz_rules", rules()),
                           ("fuzz_record", record_slot()), ("fuzz_decode", decode()), ("fuzz_flow", flow()),
                           ("fuzz_framer", framer()), ("fuzz_profile", profile()), ("fuzz_protocols", protocols()),
                           ("fuzz_categories", categories()), ("fuzz_uri", uri()), ("fuzz_json", json_lines()),
                           ("fuzz_spool", spool()), ("fuzz_geo", geo()), ("fuzz_vendors", vendors())):
        os.makedirs(os.path.join(folder, target), exist_ok=True)
        for name, octets in inputs.items():
            with open(os.path.join(folder, target, name), "wb") as f:
                f.write(octets)


if __name__ == "__main__":
    main()
