#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Several collectors for one probe: groups that balance and fail over, and filters of single outputs."""
import collections
import contextlib
import ctypes
import ipaddress
import json
import os
import socket
import struct
import sys
import tempfile
import threading
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import frames  # noqa: E402
import ipfix  # noqa: E402
import kafka  # noqa: E402
import l7  # noqa: E402
import netflow  # noqa: E402
import pcapio  # noqa: E402
import sink  # noqa: E402

CAPTURES = ("1kxun.pcap", "telegram.pcap", "teams.pcap", "whatsapp_login_call.pcap")
SOURCE, DESTINATION, PORT = (0, 8), (0, 12), (0, 11)
SO_ATTACH_FILTER = 26
RULES = "version: 1\nrules: []\n"


class Collector:
    """Takes IPFIX over TCP; can die and come back at its port."""

    def __init__(self):
        self.port = l7.free_port()
        self.records = []
        self.errors = []
        self.come()

    def come(self):
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(("127.0.0.1", self.port))
        self.socket.listen(4)
        self.dying, self.deaf = threading.Event(), threading.Event()
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        while not self.dying.is_set():
            try:
                peer = self.socket.accept()[0]
            except OSError:
                return
            with peer:
                peer.settimeout(0.05)
                self.read(peer)

    def read(self, peer):
        """
        To its end or ours. Who dies takes nothing more from the network first, and reads what it has: what its kernel has acknowledged
        counts as sent, and would be lost with the process. What was on its way then is not acknowledged.
        """
        reader, done, deaf, octets = ipfix.StreamReader(), 0, False, None
        while octets != b"":
            if self.deaf.is_set() and not deaf:
                deaf = True
                drop = ctypes.create_string_buffer(struct.pack("HBBI", 6, 0, 0, 0))  # BPF: return 0 octets
                program = struct.pack("HP", 1, ctypes.addressof(drop))
                peer.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program)
            try:
                octets = peer.recv(65536)
                reader.push(octets)
            except socket.timeout:
                if deaf and self.dying.is_set():
                    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    return
            except OSError:
                return
            except ValueError as error:
                self.errors.append(error)
            self.records += reader.records[done:]
            done = len(reader.records)

    def die(self):
        self.deaf.set()
        self.dying.set()
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        self.thread.join(30)

    def close(self):
        if not self.dying.is_set():
            self.die()

    def keys(self):
        """Flows by number of times that a record of them came, doubles left out."""
        own = {(r[ipfix.STREAM_ID], r[ipfix.RECORD_SEQUENCE]): flow_key(r) for r in list(self.records)}
        return collections.Counter(own.values())

    def output(self, options):
        return f"ipfix+tcp://127.0.0.1:{self.port}?{options}"


def flow_key(record):
    return (str(ipaddress.ip_address(record[SOURCE])), str(ipaddress.ip_address(record[DESTINATION])),
            ipfix.number(record, PORT))


class IpfixFlows(ipfix.Reader):
    def keys(self):
        return {flow_key(r) for r in self.records}


class NetflowFlows(netflow.Reader):
    def keys(self):
        return {(half.src, half.dst, half.dport) for half in self.halves}


class Traffic:
    """Datagrams of host pairs on the loopback. Each is a flow, of which a record comes once it was idle."""

    def __init__(self):
        self.network = os.getpid() % 200 + 16
        self.clients = [f"127.{self.network}.1.{i}" for i in range(1, 21)]
        self.servers = [f"127.{self.network}.2.{i}" for i in range(1, 11)]
        self.sockets = []
        for address in self.clients:
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            s.bind((address, 0))
            self.sockets.append(s)
        self.round_number = 0
        self.sent = []

    def close(self):
        for s in self.sockets:
            s.close()

    @property
    def filter(self):
        return f"udp and net 127.{self.network}.0.0/16"

    def round(self):
        """One flow of each pair. Returns their keys."""
        port = 20000 + self.round_number
        self.round_number += 1
        keys = []
        for client, s in zip(self.clients, self.sockets):
            for server in self.servers:
                s.sendto(b"x" * 20, (server, port))
                keys.append((client, server, port))
        self.sent += keys
        return keys


@unittest.skipUnless(l7.can_capture(), "needs root")
class Live(unittest.TestCase):
    """Members come and go while a probe captures."""

    def setUp(self):
        self.traffic = Traffic()
        self.addCleanup(self.traffic.close)
        self.members = []

    def start(self, kind, count):
        for _ in range(count):
            c = Collector()
            self.addCleanup(c.close)
            self.members.append(c)
        process = self.launch(c.output(f"{kind}=centre&away=1") for c in self.members)
        l7.wait_for("connections", lambda: all(connected(c.port) for c in self.members))
        return process

    def launch(self, outputs):
        words = [word for o in outputs for word in ("-o", o)]
        process = l7.Process([l7.L7PROBE, "-i", "lo", "-f", self.traffic.filter, "--idle-timeout", "1", *words,
                              "--stats", "-v"])
        self.addCleanup(process.__exit__)
        l7.all_children(process.child.pid)
        l7.settled(process.child.pid)
        return process

    def rounds_until(self, what, test):
        """Rounds of flows, ten each second at most, until something is so. Returns the last one."""
        last = [0, None]

        def one():
            if time.monotonic() >= last[0] + 0.1:
                last[:] = time.monotonic(), self.traffic.round()
            return test()
        l7.wait_for(what, one)
        return last[1]

    def arrived(self, keys):
        """Once records of these flows have come: at which member each is."""
        def found():
            where = {}
            for i, c in enumerate(self.members):
                for key in c.keys():
                    where[key] = i
            return where if all(key in where for key in keys) else None
        return l7.wait_for("records of all flows", found)

    def end(self, process):
        done = process.stop()
        self.assertEqual(0, done.status, done.err)
        self.assertEqual(0, sum(done.stats["drops"].values()), "the capture lost packets")
        self.assertEqual([], [c.errors for c in self.members if c.errors])
        l7.wait_for("the end of what was sent",
                    lambda: sum(sum(c.keys().values()) for c in self.members) >= len(self.traffic.sent))
        total = collections.Counter()
        for c, o in zip(self.members, done.stats["outputs"]):
            self.assertEqual((o["sent"], 0, 0), (o["records"], o["dropped"], o["filtered"]), o)
            self.assertEqual(o["records"], sum(c.keys().values()))
            total += c.keys()
        self.assertEqual({1}, set(total.values()), "each record is at one member")
        self.assertEqual(set(self.traffic.sent), set(total))
        return done

    def test_balance(self):
        """One of three is killed with records on their way, and comes back."""
        process = self.start("balance", 3)
        before = self.arrived(self.traffic.round())
        share = collections.Counter(before.values())
        self.assertEqual(3, len(share), share)
        self.assertGreater(min(share.values()), 30, share)
        owner = {key[:2]: member for key, member in before.items()}

        again = self.arrived(self.traffic.round())
        self.assertEqual(owner, {key[:2]: again[key] for key in again}, "a pair stays where it is")

        victim = self.members[1]
        killer = threading.Thread(target=victim.die)
        killer.start()
        self.rounds_until("one is away", lambda: "is away: the others take its share" in process.err)
        killer.join()
        away = self.traffic.round()
        where = self.arrived(away)
        for key in away:
            self.assertNotEqual(1, where[key])
            if owner[key[:2]] != 1:
                self.assertEqual(owner[key[:2]], where[key], "what is another's stays there")
        self.assertEqual({0, 2}, {where[key] for key in away if owner[key[:2]] == 1}, "its share is shared")

        victim.come()
        self.rounds_until("it is back", lambda: "is back and has its share" in process.err)
        back = self.traffic.round()
        where = self.arrived(back)
        self.assertEqual(owner, {key[:2]: where[key] for key in back}, "all is as it was")
        done = self.end(process)
        self.assertGreaterEqual(done.stats["outputs"][1]["reconnects"], 1)

    def test_failover(self):
        process = self.start("failover", 2)
        first = self.traffic.round()
        self.assertEqual({0}, {self.arrived(first)[key] for key in first})
        self.assertEqual(0, len(self.members[1].records))
        killer = threading.Thread(target=self.members[0].die)
        killer.start()
        self.rounds_until("the other has the records", lambda: process.err.count("records go to") == 1)
        killer.join()
        second = self.traffic.round()
        where = self.arrived(second)
        self.assertEqual({1}, {where[key] for key in second})
        self.members[0].come()
        self.rounds_until("the first has them again", lambda: process.err.count("records go to") == 2)
        third = self.traffic.round()
        where = self.arrived(third)
        self.assertEqual({0}, {where[key] for key in third})
        self.end(process)

    def test_stall(self):
        """A connection over which nothing is acknowledged any more is as good as none."""
        process = self.start("failover", 2)
        first = self.traffic.round()
        self.arrived(first)
        self.members[0].deaf.set()
        self.rounds_until("the other has the records", lambda: process.err.count("records go to") == 1)
        self.assertTrue(connected(self.members[0].port))
        second = self.traffic.round()
        where = self.arrived(second)
        self.assertEqual({1}, {where[key] for key in second})
        self.members[0].die()
        self.members[0].come()
        self.rounds_until("the first has them again", lambda: process.err.count("records go to") == 2)
        self.end(process)

    def test_udp(self):
        self.check_udp("ipfix+udp", IpfixFlows)

    def test_netflow9(self):
        self.check_udp("netflow9+udp", NetflowFlows)

    def check_udp(self, scheme, flows):
        """A host that refuses datagrams is away at once, and is there again when it refuses none any more."""
        ports = [l7.free_port(socket.SOCK_DGRAM) for _ in range(2)]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as second:
            second.bind(("127.0.0.1", ports[1]))
            sink.deep(second, 4 << 20)
            process = self.launch(f"{scheme}://127.0.0.1:{port}?failover=centre" for port in ports)
            self.rounds_until("the other has the records", lambda: f":{ports[1]} now" in process.err)
            given = self.traffic.round()
            reader = flows()
            second.settimeout(0.2)
            self.rounds_until("they come", lambda: self.take(second, reader, given))
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as first:
                first.bind(("127.0.0.1", ports[0]))
                sink.deep(first, 4 << 20)
                l7.wait_for("the first has them again", lambda: f":{ports[0]} now" in process.err)
                given = self.traffic.round()
                reader = flows()
                first.settimeout(0.2)
                self.rounds_until("they come", lambda: self.take(first, reader, given))
            self.assertEqual(0, process.stop().status)

    @unittest.skipUnless(*kafka.available())
    def test_kafka(self):
        """Of two kinds: a broker that is killed and started again, and a collector for the time between."""
        with kafka.Cluster(auto_create_topics_enable="false") as k:
            k.create_topic("flows")
            self.members.append(Collector())
            self.addCleanup(self.members[0].close)
            process = self.launch([f"kafka://{k.bootstrap}/flows?failover=centre&away=1"
                                   "&rdkafka.reconnect.backoff.max.ms=500",
                                   self.members[0].output("failover=centre&away=1")])
            self.traffic.round()
            l7.wait_for("the first round", lambda: k.count("flows") == len(self.traffic.sent))
            k.node.kill()
            self.rounds_until("the collector has the records", lambda: "records go to ipfix+tcp" in process.err)
            self.arrived(self.traffic.round())
            k.node.start()
            self.rounds_until("the broker has them again", lambda: "records go to kafka" in process.err)
            last = self.traffic.round()
            done = process.stop()
            self.assertEqual(0, done.status, done.err)
            flows = {(m["stream_id"], m["record_sequence"]): (m["src_ip"], m["dst_ip"], m["dst_port"])
                     for m in (json.loads(m.value) for m in k.consume("flows"))}
        given = [o["records"] for o in done.stats["outputs"]]
        self.assertEqual(given, [len(flows), sum(self.members[0].keys().values())])
        self.assertEqual(collections.Counter(self.traffic.sent),
                         collections.Counter(flows.values()) + self.members[0].keys())
        self.assertLessEqual(set(last), set(flows.values()))

    def take(self, source, reader, keys):
        """Reads what there is; whether all these flows are among it."""
        try:
            while True:
                reader.feed(source.recv(65536))
        except socket.timeout:
            return set(keys) <= reader.keys()


def connected(port):
    with open("/proc/net/tcp", encoding="ascii") as f:
        return any(line.split()[3] == "01" and int(line.split()[2].rsplit(":", 1)[1], 16) == port
                   for line in f.readlines()[1:])


class Files(unittest.TestCase):
    """Captures are read once it is known which members are there."""

    def read(self, outputs, *more, path=l7.STORY):
        words = [word for o in outputs for word in ("-o", o)]
        done = l7.probe("-r", path, *l7.NO_TIMEOUTS, *words, "-o", "json:-", "--stats", *more)
        self.assertEqual(0, done.status, done.err)
        return done

    def test_first_is_away(self):
        """All goes to the second l7watch, and nothing waits for the first."""
        with l7.Watch(RULES) as watch:
            done = self.read([f"ipfix+tcp://127.0.0.1:{l7.free_port()}?failover=x&away=1",
                              f"ipfix+tcp://127.0.0.1:{watch.port}?failover=x&away=1"])
            ended = watch.stop()
        self.assertIn("records go to", done.said)
        given = [o["records"] for o in done.stats["outputs"]]
        self.assertEqual([0, len(done.flows), len(done.flows)], given)
        self.assertEqual(len(done.flows), ended.stats["records"])

    def test_both_are_there(self):
        with l7.Watch(RULES) as first, l7.Watch(RULES) as second:
            done = self.read([f"ipfix+tcp://127.0.0.1:{w.port}?failover=x" for w in (first, second)])
            counts = [w.stop().stats["records"] for w in (first, second)]
        self.assertEqual([len(done.flows), 0], counts)

    def test_balance(self):
        """Three l7watch, and a file that replicates; a second run shares as the first did."""
        with contextlib.ExitStack() as stack:
            watches = [stack.enter_context(l7.Watch(RULES)) for _ in range(3)]
            runs = [self.read([f"ipfix+tcp://127.0.0.1:{w.port}?balance=x&early=1" for w in watches],
                              path=l7.corpus("1kxun.pcap")) for _ in range(2)]
            counts = [w.stop().stats["records"] for w in watches]
        given = [[o["records"] for o in run.stats["outputs"][:3]] for run in runs]
        self.assertEqual(given[0], given[1])
        self.assertEqual([2 * n for n in given[0]], counts)
        self.assertGreaterEqual(sum(given[0]), len(runs[0].flows))
        self.assertEqual(3, sum(n > 0 for n in given[0]), given)

    def test_one_stalls(self):
        """A file is not held up by a member that others stand in for; it has what was its own once it is back."""
        first, second = Collector(), Collector()
        self.addCleanup(first.close)
        self.addCleanup(second.close)
        first.deaf.set()
        with tempfile.TemporaryDirectory() as folder:
            path, count = f"{folder}/many.pcap", 30000
            with pcapio.Writer(path) as w:
                for i in range(count):
                    w.add(i * 1000000, frames.datagram("10.0.0.1", "10.0.0.2", 9, 1024 + i, b"x"))
            with l7.Process([l7.L7PROBE, "-r", path, *l7.NO_TIMEOUTS, "--drain-timeout", "200", "--stats",
                             "-o", first.output("failover=x&away=1&queue=262144"), "-o", second.output("failover=x")]) as process:
                l7.wait_for("the second has the rest", lambda: len(second.records) > count / 2)
                first.die()
                first.come()
                done = process.finish()
        self.assertEqual(0, done.status, done.err)
        given = [o["records"] for o in done.stats["outputs"]]
        self.assertEqual((count, given), (sum(given), [o["sent"] for o in done.stats["outputs"]]))
        l7.wait_for("all of it", lambda: len(first.keys() + second.keys()) == count)
        self.assertEqual({1}, set((first.keys() + second.keys()).values()))
        self.assertGreater(given[0], 0)

    def test_spool_keeps_its_own(self):
        """What was given to a member before it was known to be away waits in its spool, for it alone."""
        c = Collector()
        self.addCleanup(c.close)
        with tempfile.TemporaryDirectory() as folder:
            away = l7.free_port()
            outputs = [f"ipfix+tcp://127.0.0.1:{away}?failover=x&away=3600&spool={folder}/spool",
                       c.output("failover=x")]
            done = self.read(outputs, "--drain-timeout", "3")
            first, second = done.stats["outputs"][:2]
            self.assertEqual((len(done.flows), len(done.flows), 0),
                             (first["records"], first["spooled"], second["records"]))
            back = Collector()
            self.addCleanup(back.close)
            done = self.read([f"ipfix+tcp://127.0.0.1:{back.port}?failover=x&spool={folder}/spool",
                              c.output("failover=x")])
            self.assertEqual((2 * len(done.flows), 0), (done.stats["outputs"][0]["sent"], len(c.records)))
            l7.wait_for("both runs", lambda: len(back.records) == 2 * len(done.flows))


SERVICES = ("DNS", "MDNS", "LLMNR", "NetBIOS")
SURE = ("cache", "dpi")


class Names:
    """What a record is called, as docs/rules.md says, at a level of belief. Written apart from the daemons."""

    def __init__(self, flow, believe):
        dotted = "." in flow["app"]
        self.master, self.app = flow["app"].split(".") if dotted else (flow["app"], flow["app"])
        self.category, self.dotted = flow.get("category", "Unknown"), dotted
        self.service = self.master in SERVICES
        master_sure = flow["master_confidence" if dotted else "confidence"] in SURE or not believe
        app_sure = flow["confidence"] in SURE or not believe
        if self.service:
            if not master_sure:
                self.master = self.app = self.category = "Unknown"
            elif not app_sure:
                self.app, self.category = "?", "Unknown"
            return
        if not master_sure:
            self.master = "Unknown"
        if not app_sure:
            self.app = self.category = "Unknown"

    def has(self, item):
        if item.startswith("category:"):
            return not (self.service and self.dotted) and self.category == item[9:]
        if item.endswith(".*"):
            return self.master == item[:-2]
        if "." in item:
            return self.dotted and f"{self.master}.{self.app}" == item
        return (self.master if self.service and self.app != "Unknown" else self.app) == item


def wants_app(flow, items):
    trusted, guess = Names(flow, True), Names(flow, False)
    if any(n.has(i[1:]) for i in items if i[0] == "!" for n in (trusted, guess)):
        return False
    positive = [i for i in items if i[0] != "!"]
    return any(trusted.has(i) for i in positive) if positive else True


def wants_category(flow, items):
    trusted, guess = Names(flow, True), Names(flow, False)
    own = "Unknown" if trusted.service and trusted.dotted else trusted.category
    if any(i[1:] in (own, guess.category) for i in items if i[0] == "!"):
        return False
    positive = [i for i in items if i[0] != "!"]
    return own in positive if positive else True


def wants_hosts(flow, items):
    ends = [ipaddress.ip_address(flow[key]) for key in ("src_ip", "dst_ip")]

    def inside(item):
        return any(end in ipaddress.ip_network(item) for end in ends)
    if any(inside(i[1:]) for i in items if i[0] == "!"):
        return False
    positive = [i for i in items if i[0] != "!"]
    return any(inside(i) for i in positive) if positive else True


WANTS = {"app": wants_app, "category": wants_category, "hosts": wants_hosts}


class Filters(unittest.TestCase):
    """What filters let through, against all of the same run."""

    def check(self, names, filters, *more, early=False):
        counts = collections.Counter()
        with tempfile.TemporaryDirectory() as folder:
            for name in names:
                outputs = ["-o", f"json:-?early={int(early)}"]
                for i, options in enumerate(filters):
                    outputs += ["-o", f"json+file://{folder}/{i}?early={int(early)}&{options}"]
                done = l7.probe("-r", l7.corpus(name), *outputs, "--stats", *more)
                self.assertEqual(0, done.status, done.err)
                for i, options in enumerate(filters):
                    with self.subTest(name, filter=options):
                        with open(f"{folder}/{i}", encoding="utf-8") as f:
                            got = l7.json_lines(f.read())
                        expected = [f for f in done.flows if all(
                            WANTS[key](f, value.split(","))
                            for key, value in (word.split("=") for word in options.split("&")))]
                        self.assertEqual([f["record_sequence"] for f in got], [str(n) for n in range(len(got))])
                        self.assertEqual(plain(expected), plain(got))
                        o = done.stats["outputs"][i + 1]
                        self.assertEqual((len(got), len(got), len(done.flows) - len(got), 0),
                                         (o["records"], o["sent"], o["filtered"], o["dropped"]))
                        counts[options] += len(got)
        return counts

    def test_app(self):
        filters = ("app=Telegram", "app=TLS", "app=TLS.*", "app=DNS", "app=DNS.Microsoft", "app=Unknown", "app=!DNS",
                   "app=TLS.*,HTTP.*,!TLS.Teams", "app=category:Chat", "app=!category:Web", "app=MDNS.*,SSDP",
                   "app=!Unknown,!TLS.*", "app=!TLS.Teams,Unknown")
        self.all_pass_some(self.check(CAPTURES, filters), filters)

    def test_category(self):
        filters = ("category=Chat", "category=Web,Network", "category=!Web", "category=Network,!Web",
                   "category=Unknown", "category=!Web,!Unknown")
        self.all_pass_some(self.check(CAPTURES, filters), filters)

    def test_hosts(self):
        filters = ("hosts=192.168.0.0/16", "hosts=!192.168.0.0/16", "hosts=192.168.0.0/16,!224.0.0.0/4,!ff00::/8",
                   "hosts=fe80::/10", "hosts=192.168.1.77", "hosts=0.0.0.0/0&app=DNS", "hosts=::/0,0.0.0.0/0&category=Web")
        self.all_pass_some(self.check(CAPTURES, filters), filters)

    def test_early_and_cut(self):
        """Each record as it stands: those before the verdict, too."""
        filters = ("app=Telegram", "app=TLS.*", "app=Unknown", "category=Web")
        self.all_pass_some(self.check(CAPTURES, filters, "--active-timeout", "1", early=True), filters)

    def test_custom_protocol(self):
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as f:
            f.write("tcp:443,udp:443@My.Web\n")
            f.flush()
            done = l7.probe("-r", l7.corpus("telegram.pcap"), "--protocols", f.name, "-o", "json:-?app=!My_Web", "--stats")
            self.assertEqual(0, done.status, done.err)
            done = l7.probe("-r", l7.corpus("telegram.pcap"), "--protocols", f.name, "-o", "json:-?app=My_Wet", "--check")
            self.assertEqual(1, done.status)
            self.assertIn("there is no protocol My_Wet; did you mean My_Web?", done.err)

    def all_pass_some(self, counts, filters):
        self.assertEqual([], [f for f in filters if not counts[f]], "a filter that nothing passes shows nothing")


def plain(flows):
    """Without what each output has of its own."""
    return [{k: v for k, v in f.items() if k not in ("stream_id", "record_sequence")} for f in flows]


class Errors(unittest.TestCase):
    def check(self, outputs, said, status=1):
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as f:
            f.write("interface: lo\noutput:\n" + "".join(f'  - "{o}"\n' for o in outputs))
            f.flush()
            done = l7.probe("-c", f.name, "--check")
            self.assertEqual(status, done.status, done.err)
            self.assertIn(said, done.err)
            if status:
                self.assertIn(f"{f.name}:{2 + len(outputs)}:", done.err, "the place")
                started = l7.probe("-c", f.name)
                self.assertEqual(1, started.status, started.err)
                self.assertIn(said, started.err)

    def test_refused(self):
        a, b = "ipfix+tcp://127.0.0.1:1", "ipfix+udp://127.0.0.1:2"
        for outputs, said in (
                ([f"{a}?app=Telegramm"], "there is no protocol Telegramm; did you mean Telegram?"),
                ([a, f"{b}?app=TLS,Dnss"], "there is no protocol Dnss; did you mean DNS?"),
                ([f"{a}?category=chap"], "there is no category chap; did you mean Chat?"),
                ([f"{a}?category=TLS"], "there is no category TLS"),
                ([f"{a}?app=TLS.*.x"], "TLS.*.x is not a name"),
                ([f"{a}?hosts=10.0.0.1/8"], "host bits are set"),
                ([f"{a}?hosts=host"], "host is no address"),
                ([f"{a}?app="], "an item of its list is empty"),
                ([f"{a}?balance=x", f"{b}?failover=x"], "x is a group of balance= and one of failover="),
                ([f"{a}?balance=x&failover=y"], "options balance and failover do not go together"),
                ([f"{a}?balance=x&app=DNS", f"{b}?balance=x"], "option app is not that of the first output of group x"),
                ([f"{a}?balance=x", f"{b}?balance=x&early=1"], "option early is not that of the first output"),
                ([f"{a}?away=5"], "option away is of a group"),
                ([f"{a}?balance=x&away=0"], "not a number from 1 to 3600"),
                (["json:-?balance=x"], "a group is of collectors"),
                (["ipfix+file:///tmp/x?failover=x"], "a group is of collectors"),
                ([f"{a}?balanse=x"], "unknown option balanse; did you mean balance?")):
            with self.subTest(outputs):
                self.check(outputs, said)

    def test_group_of_one(self):
        self.check(["ipfix+tcp://127.0.0.1:1?balance=x"], "group x has no other output", status=0)
        self.check(["ipfix+tcp://127.0.0.1:1?balance=x", "kafka://127.0.0.1:2/flows?balance=x",
                    "ipfix+udp://127.0.0.1:1?balance=x"], "", status=0)


if __name__ == "__main__":
    l7.main()
