# SPDX-License-Identifier: Apache-2.0
"""
What l7probe sends of one capture, in each profile and over each transport: made now, or as tests/golden/exports has it.

A case is a name as "ipfix-udp-standard". messages(case, folder) runs the
probe; packets() and read() put messages into a capture and get them out;
comparable() leaves out of them what differs from run to run (MASKED).
"""
import collections
import contextlib
import gzip
import ipaddress
import itertools
import json
import os
import re
import socket
import ssl
import struct
import threading
from xml.etree import ElementTree

import frames
import ipfix_strict
import l7
import netflow_strict
import pcapio
import sink
import tls
import tunnels

FOLDER = os.path.join(l7.ROOT, "tests", "golden", "exports")
PROFILES = ("standard", "iana", "ntop", "security", "full")
CASES = [f"{transport}-{profile}" for transport in ("ipfix-udp", "netflow9-udp") for profile in PROFILES] + [
    "ipfix-tcp-standard", "ipfix-tls-standard", "ipfix-file-standard", "netflow5-udp"]
PROBE, COLLECTOR = "192.0.2.1", "192.0.2.2"  # in the captures
PORTS = {"ipfix": 4739, "netflow9": 2055, "netflow5": 2055, "tls": 4740}
OWN, MTU_ROOM = 32473, 1352

# What differs from run to run and is not compared, beside the times in headers and where messages end (a file is read as fast as
# may be, so that the same records are in more or fewer of them).
MASKED = {
    (OWN, 5): "streamId: drawn at each start",
    (OWN, 7): "probeVersion",
    (0, 160): "systemInitTimeMilliseconds: when the probe was started",
    (0, 86): "packetTotalCount, of an options record: how far the file was read then",
    (0, 164): "ignoredPacketTotalCount, likewise",
}
OPTION_NAMES = {
    (0, 42): "exportedFlowRecordTotalCount", (0, 86): "packetTotalCount", (0, 94): "applicationDescription",
    (0, 135): "droppedPacketTotalCount", (0, 149): "observationDomainId", (0, 160): "systemInitTimeMilliseconds",
    (0, 164): "ignoredPacketTotalCount", (0, 166): "notSentFlowTotalCount", (0, 300): "observationDomainName",
    (0, 303): "informationElementId", (0, 339): "informationElementDataType", (0, 340): "informationElementDescription",
    (0, 341): "informationElementName", (0, 344): "informationElementSemantics", (0, 346): "privateEnterpriseNumber",
    (OWN, 7): "probeVersion", (OWN, 8): "probeSite", (OWN, 9): "spooledFlowRecordCount",
    (OWN, 10): "recoveredFlowRecordCount"}
TYPE = (0, 339)
TEXTS = {94, 300, 340, 341}

Row = collections.namedtuple("Row", "name type enterprise number v9 key member")


def rows():
    """Of fields.def, those that are sent."""
    pens, found = {"IANA": 0, "REVERSE": 29305, "NTOP": 35632, "OWN": OWN}, []
    with open(os.path.join(l7.ROOT, "templates", "fields.def"), encoding="utf-8") as f:
        for line in f:
            if line.startswith("L7_FIELD("):
                w = [word.strip() for word in line[len("L7_FIELD("):].split(",")]
                if w[3] in pens:
                    found.append(Row(w[0], w[2], pens[w[3]], int(w[4]), int(w[6]), w[8].strip('"'), w[1]))
    return found


# ---- what is sent ----------------------------------------------------------------------

def traffic(path):
    """The capture that is exported: of the demo's story what is of one host each, a name asked for over IPv6, talk through GRE."""
    link, packets = pcapio.read(l7.STORY)
    packets = packets[:25] + packets[44:89]  # names, GitHub; SSH, Telegram
    more = [frames.datagram("2001:db8::10", "2001:db8::53", 40053, 53, frames.dns_query(7, "www.example.org", 28)),
            frames.datagram("2001:db8::53", "2001:db8::10", 53, 40053, frames.dns_query(7, "www.example.org", 28))]
    more += tunnels.captures()["gre-key"]
    last = packets[-1][0]
    packets += [(last + i * 10**7, frame, len(frame)) for i, frame in enumerate(more, 1)]
    pcapio.write(path, packets, link=link)


class Peer:
    """
    One connection, over TLS with `pair`: says = [(from the probe?, octets on the wire)], stream = what was sent, keys = a file that has
    the secrets of the session.
    """

    def __init__(self, pair=None, keys=None):
        self.says, self.stream, self.session = [], b"", None
        if pair:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.keylog_filename = keys
            context.load_cert_chain(*pair)
            self.into, self.out = ssl.MemoryBIO(), ssl.MemoryBIO()
            self.session = context.wrap_bio(self.into, self.out, server_side=True)
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.socket.settimeout(60)
        self.port, self.shaken = self.socket.getsockname()[1], False
        self.thread = threading.Thread(target=self.collect, daemon=True)
        self.thread.start()

    def collect(self):
        with self.socket, self.socket.accept()[0] as peer:
            while octets := peer.recv(65536):
                self.says.append((True, octets))
                if self.session:
                    self.into.write(octets)
                    self.step(peer)
                else:
                    self.stream += octets

    def step(self, peer):
        with contextlib.suppress(ssl.SSLWantReadError, ssl.SSLZeroReturnError):
            if not self.shaken:
                self.session.do_handshake()
                self.shaken = True
            while octets := self.session.read(65536):
                self.stream += octets
        if answer := self.out.read():
            self.says.append((False, answer))
            peer.sendall(answer)

    def finish(self):
        self.thread.join(60)
        return self.stream


class Sent:
    """What one case has sent. messages; says, of a connection; secrets, of TLS."""

    def __init__(self, messages, says=(), secrets=b""):
        self.messages, self.says, self.secrets = messages, list(says), secrets


def probe(path, uri, profile):
    argv = ["-r", path, *l7.NO_TIMEOUTS, "--exporter", "probe1", "--site", "north", "-o", uri]
    done = l7.probe(*argv, *(("-t", profile) if profile else ()))
    if done.status != 0:
        raise AssertionError(f"{uri}: exit {done.status}: {done.err}")


def send_stream(path, folder, profile, secure):
    pair, more, keys = None, "", os.path.join(folder, "keys")
    if secure:
        authority = tls.Authority(folder, "authority")
        pair, more = authority.issue("collector.example", "IP:127.0.0.1"), f"?ca={authority.cert}"
    peer = Peer(pair, keys)
    probe(path, f"ipfix+{'tls' if secure else 'tcp'}://127.0.0.1:{peer.port}{more}", profile)
    messages = ipfix_strict.messages(peer.finish())
    secrets = b""
    if secure:
        with open(keys, "rb") as f:
            secrets = f.read()
    return Sent(messages, peer.says, secrets)


def send(case, folder):
    """Runs the probe: a Sent."""
    protocol, transport, profile = (case + "-").split("-")[:3]
    path = os.path.join(folder, "traffic.pcap")
    if not os.path.exists(path):
        traffic(path)
    if transport in ("tcp", "tls"):
        return send_stream(path, folder, profile, transport == "tls")
    if transport == "file":
        out = os.path.join(folder, case)
        probe(path, f"ipfix+file://{out}", profile)
        with open(out, "rb") as f:
            return Sent(ipfix_strict.messages(f.read()))
    hub = sink.Sink()
    probe(path, f"{protocol}+udp://127.0.0.1:{hub.port}", profile)
    return Sent(hub.finish())


# ---- as captures -----------------------------------------------------------------------

def path_of(case):
    return os.path.join(FOLDER, case + (".ipfix.gz" if "-file" in case else ".pcapng.gz"))


def port_of(case):
    protocol, transport = case.split("-")[:2]
    return PORTS.get(transport, PORTS[protocol])


def keep(case, octets):
    """With no time in it: the same octets are the same file."""
    with open(path_of(case), "wb") as f, gzip.GzipFile("", "wb", fileobj=f, mtime=0) as out:
        out.write(octets)


def write(case, sent):
    """The capture, with addresses of our own making and a millisecond between packets."""
    protocol, transport = case.split("-")[:2]
    if transport == "file":
        keep(case, b"".join(sent.messages))
        return
    if sent.says:
        says = [(forth, b"".join(octets for _, octets in part)) for forth, part in itertools.groupby(sent.says, lambda s: s[0])]
        made = frames.conversation(PROBE, COLLECTOR, 40000, port_of(case), says)
    else:
        made = [frames.datagram(PROBE, COLLECTOR, 40000, port_of(case), m) for m in sent.messages]
    start = struct.unpack_from(">I", sent.messages[0], 4 if protocol == "ipfix" else 8)[0] * 10**9
    packets = [(start + i * 10**6, frame, len(frame)) for i, frame in enumerate(made)]
    keep(case, pcapio.pcapng(packets, secrets=sent.secrets))


def decrypted(path, port):
    """What went over a TLS connection to this port, as tshark reads it with the keys in the capture."""
    done = l7.run(["tshark", "-n", "-r", path, "-q", "-d", f"tcp.port=={port},tls", "-z", "follow,tls,raw,0"])
    lines = [line.strip() for line in done.out.split("=" * 67)[1].splitlines()]
    return b"".join(bytes.fromhex(line) for line in lines if ":" not in line)


def read(case):
    """(messages of the golden capture, when it was made in seconds)."""
    path, (protocol, transport) = path_of(case), case.split("-")[:2]
    if transport == "file":
        with gzip.open(path) as f:
            messages = ipfix_strict.messages(f.read())
    elif transport == "udp":
        messages = [frame[42:] for _, frame, _ in pcapio.read(path)[1]]
    elif transport == "tls":
        messages = ipfix_strict.messages(decrypted(path, port_of(case)))
    else:
        forth = [frame[54:] for _, frame, _ in pcapio.read(path)[1] if frame[26:30] == frames.address(PROBE)]
        messages = ipfix_strict.messages(b"".join(forth))
    return messages, struct.unpack_from(">I", messages[0], 4 if protocol == "ipfix" else 8)[0]


# ---- as values -------------------------------------------------------------------------

def judge(case, messages, now=None):
    """The strict decoder after all of them."""
    longest = MTU_ROOM if "-udp" in case else 65535
    if case.startswith("ipfix"):
        strict = ipfix_strict.Strict(longest=longest, now=now)
    else:
        strict = netflow_strict.Strict(longest=longest)
    for message in messages:
        strict.feed(message)
    return strict


def value(row, octets):
    """A field as JSON has it, near enough for a reader: numbers, texts, addresses, hexadecimal octets."""
    if row.type in ("TEXT", "ALIAS_TEXT"):
        return octets.rstrip(b"\0").decode()
    if row.type in ("IP4", "IP6", "IP"):
        return str(ipaddress.ip_address(octets))
    return octets.hex(":") if row.type == "MAC" else octets.hex() if row.type == "APPID" else int.from_bytes(octets, "big")


class Names:
    """Of the elements of a protocol, in templates/fields.def or OPTION_NAMES."""

    def __init__(self, case):
        self.ipfix = case.startswith("ipfix")
        self.known = {(r.enterprise, r.number) if self.ipfix else r.v9: r for r in rows() if self.ipfix or r.v9}

    def name(self, key):
        row = self.known.get(key)
        return row.name if row else OPTION_NAMES.get(key if self.ipfix else (0, key), str(key))

    def named(self, key, octets):
        row = self.known.get(key)
        if row:
            return row.name, value(row, octets)
        text = (key[1] if self.ipfix else key) in TEXTS or key in ((OWN, 7), (OWN, 8))
        return self.name(key), octets.rstrip(b"\0").decode() if text else int.from_bytes(octets, "big")

    def record(self, record):
        return dict(self.named(key, octets) for key, octets in record.items())


def contents(case, strict):
    """What the capture says, to be compared and read: of the tables of applications and of types of elements the number of rows."""
    if case.startswith("netflow5"):
        flows = [{k: str(ipaddress.ip_address(v)) if isinstance(v, bytes) else v for k, v in flow.items()} for flow in strict.flows]
        return {"records": flows}
    ipfix = case.startswith("ipfix")
    names, application = Names(case), (0, 95) if ipfix else 95
    templates = {}
    for ident, template in sorted(strict.templates.items()):
        fields = template.fields if ipfix else template[1][template[0]:]
        templates[str(ident)] = [names.name(key) for key, _ in fields]
    return {"templates": templates, "records": [names.record(r) for r in strict.flows],
            "options": [names.record(r) for r in strict.options if application not in r and TYPE not in r],
            "applications": sum(application in r for r in strict.options),
            "types": sum(TYPE in r for r in strict.options)}


def dump(found):
    """As JSON, a record per line."""
    def lines(items):
        return "[\n  " + ",\n  ".join(json.dumps(i) for i in items) + "]" if items else "[]"
    parts = []
    for key, what in found.items():
        if isinstance(what, list):
            text = lines(what)
        elif isinstance(what, dict):
            text = "{\n  " + ",\n  ".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in what.items()) + "}"
        else:
            text = json.dumps(what)
        parts.append(f"{json.dumps(key)}: {text}")
    return "{" + ",\n".join(parts) + "}\n"


# ---- octet for octet -------------------------------------------------------------------

def variable(body, at):
    size = body[at]
    return (size, at + 1) if size < 255 else (struct.unpack_from(">H", body, at + 1)[0], at + 3)


def ipfix_records(strict, ident, body):
    """Octets of each record of a data set, MASKED elements as nothing."""
    template, at = strict.templates[ident], 0
    while len(body) - at >= template.shortest:
        out = b""
        for key, size in template.fields:
            begin = at
            if size == ipfix_strict.VARIABLE:
                size, at = variable(body, at)
            at += size
            option_only = key in ((0, 86), (0, 164)) and not template.scopes
            out += b"" if key in MASKED and not option_only else body[begin:at]
        yield ident, out
    yield from [("padding", body[at:])] * bool(body[at:])


def netflow9_records(strict, ident, body):
    size = sum(octets for _, octets in strict.templates[ident][1])
    for at in range(0, len(body) - size + 1, size):
        yield ident, body[at:at + size]


def comparable(case, strict, messages):
    """[(set id, octets)]: templates set by set, and record by record what is in data sets."""
    if case.startswith("netflow5"):
        return [(message[20:24], message[at:at + 48]) for message in messages for at in range(24, len(message), 48)]
    head, records = (16, ipfix_records) if case.startswith("ipfix") else (20, netflow9_records)
    found = []
    for message in messages:
        at = head
        while at < len(message):
            ident, size = struct.unpack_from(">HH", message, at)
            body = message[at + 4:at + size]
            found += [(ident, body)] if ident < 256 else records(strict, ident, body)
            at += size
    return found


def values(record):
    return b"".join(record.values())


# ---- as tshark has it ------------------------------------------------------------------

def leaves(flow):
    """Octets of the fields of a record, without the lengths of those that vary: each place once."""
    found = {}
    for field in flow:
        if field.get("name") in ("", "cflow.timedelta"):  # what tshark puts together
            found.update(leaves(field))
        elif "string_len" not in field.get("name") and field.get("size") != "0":
            found.setdefault(int(field.get("pos")), field.get("unmaskedvalue") or field.get("value") or "")
    return found


def tshark(path, *more, sequence=True):
    """
    [(observation domain, octets of a data record)] of all messages of a capture, in order; whatever is amiss is an error, but for
    missing numbers where there is no `sequence`.
    """
    argv = ["tshark", "-n", "-r", path, "-d", "udp.port==2055,cflow", "-o", "cflow.max_template_fields:0",
            "-o", "cflow.desegment:TRUE", "-Y", "cflow", *more]
    found, done = [], l7.run([*argv, "-T", "pdml"])
    for packet in ElementTree.fromstring(done.out):
        wrong = [f.get("showname") or f.get("show") for f in packet.iter() if f.get("name") in ("_ws.malformed", "_ws.expert")]
        if wrong and (sequence or any("equence" not in text for text in wrong)):
            raise AssertionError(f"{path}: tshark: {wrong}")
        for proto in packet:
            if proto.get("name") != "cflow":
                continue
            domain = [int(f.get("show")) for f in proto if f.get("name") in ("cflow.od_id", "cflow.source_id")]
            for flow in proto.iter("field"):
                if re.fullmatch(r"(pdu|Flow) \d+(/\d+)?", flow.get("show") or "", re.IGNORECASE) and flow.get("name") == "":
                    octets = "".join(text for _, text in sorted(leaves(flow).items()))
                    found.append((domain[0] if domain else 0, bytes.fromhex(octets)))
    return found
