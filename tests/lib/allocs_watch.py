# SPDX-License-Identifier: Apache-2.0
"""All of l7watch, for allocations that fail: rules of each type, flows that let each of them fire, and runs of each command."""
import contextlib
import glob
import json
import os
import shutil
import signal
import socket
import sqlite3
import ssl
import struct
import threading

import l7

L7WATCH = os.path.join(l7.SANITIZE, "l7watch")
HUNG = 100  # s
BEGIN = 1772445600  # 2026-03-02, 10:00 UTC, a Monday
CHECKS = ",".join(sorted(os.path.basename(p)[:-len(".yaml")] for p in
                         glob.glob(os.path.join(l7.ROOT, "etc", "rules.d", "*.yaml"))))

ALL_TYPES = """
version: 1
home_nets: [10.0.0.0/8, "!10.255.0.0/16", "2001:db8::/32"]
lists:
  servers: [10.0.1.0/24, "2001:db8:1::/48"]
  resolvers: {file: resolvers.txt}
  names: ["*.example.net", example.org]
  ports: [22, 8000-8100]
defaults: {dedup: {key: [subject, app], for: 1h}, release_after: 3h, mute: {after: 50, within: 10m}, actions: [log]}
rules:
- {id: 1, name: a server speaks little, type: allow, severity: critical, match: {host: "@servers"}, window: 1h,
   allow: {client: [DNS, TLS.Github, "category:Web"], server: []}, on_unknown: {alert_after: 1}, tags: [a, b], mitre: [T1071],
   except: [{peer: 10.1.0.0/16, until: 2037-01-31}, {app: Telnet}]}
- {id: 2, name: no Telegram, type: deny, severity: high, match: {client: 10.0.2.0/24, app: [Telegram, "!TLS.Viber"]}}
- {id: 3, name: many keys, type: deny, severity: low, description: all of them,
   match: {side: client, mac: ["02:00:5e", "02:00:5e:10:00:01"], port: ["@ports", "!23"], l4: [tcp, 17], confidence: ip,
   master: ["!SSH"], category: [Web, "!Mining"], sni: "@names", alpn: [h2], tls_version: {min: 1.0}, vlan: [0, 10-20],
   exporter: "edge-*", bytes: {min: 1}, packets: 1, duration: {max: 1h}, answered: true, direction: [out, internal],
   time: {not_between: "22:00-06:00", days: mon-fri, tz: Europe/Rome}}}
- {id: 4, name: risky, type: risk, severity: from_score, match: {risk: [malicious_ja3, 15]}, score_min: 100}
- {id: 5, name: new, type: first_seen, severity: medium, match: {client: 10.0.5.0/24}, key: [host, side, app],
   learn: {for: 1m, min_flows: 2, forget_after: 60d}}
- {id: 6, name: much, type: threshold, severity: high, match: {client: 10.0.6.0/24}, group_by: [client], sum: bytes,
   over: 20kB, window: 1h}
- {id: 7, name: many, type: threshold, severity: high, match: {client: 10.0.7.0/24, app: ["!SSH"]}, group_by: [client, server],
   count: flows, over: 3, window: 10m}
- {id: 8, name: scan, type: threshold, severity: high, match: {answered: false}, group_by: [client], distinct: server, over: 150,
   window: 1m}
- {id: 9, name: even, type: beacon, severity: high, match: {client: 10.0.9.0/24, direction: out}, group_by: [client, server, app],
   min_count: 5, interval: {min: 10s, max: 6h}, max_jitter: 0.2, window: 24h}
- {id: 10, name: strange servers, type: server_list, severity: high, match: {app: [DNS, DHCP]},
   servers: {DNS: "@resolvers", DHCP: [10.0.0.1]}}
- {id: 11, name: loud, type: deny, severity: low, match: {client: 10.0.11.0/24}, mute: {after: 2, within: 10m}, release_after: 1m,
   dedup: {key: [subject, peer, port], for: 1m}}
- {id: 12, name: story, type: deny, severity: low, match: {host: 192.0.2.0/24, app: Telegram}}
"""
TEST = """
name: Telegram is seen
rules: all.yaml
start: 2026-01-05T08:00:00Z
until: 2h
flows:
- {src_ip: 10.0.2.1, dst_ip: 149.154.167.220, app: TLS.Telegram}
- {at: 10m, every: 1m, times: 3, src_ip: 10.0.2.1, dst_ip: 149.154.167.220, app: TLS.Telegram, duration: 10}
- {src_ip: 10.0.3.9, dst_ip: 10.0.1.1, dst_port: 23, app: Telnet, answered: false}
alerts:
- {rule: 2, host: 10.0.2.1, app: TLS.Telegram, severity: high, reason: Telegram, times: 1}
"""
TEST_FILE = """
checks: [messengers]
checks_folder: {checks}
home_nets: [10.0.0.0/8]
flows: {{file: few.json}}
alerts:
- {{rule: 100201, app: TLS.Telegram}}
"""


class Flows:
    """Flow records as lines of JSON, in the order of their times."""

    def __init__(self):
        self.records = []

    def add(self, at, src, dst, app="TLS.Github", **more):
        n, begin = len(self.records), (BEGIN + at) * 1000
        master, _, application = app.partition(".")
        record = {"flow_id": str(1000 + n), "exporter": "edge-1", "start_ms": begin, "end_ms": begin + 500, "src_ip": src,
                  "dst_ip": dst, "src_port": 20000 + n, "dst_port": 443, "protocol": 6, "packets": 10, "octets": 5000,
                  "rev_packets": 8, "rev_octets": 9000, "end_reason": "end", "state": "final,last", "app": app, "master": master,
                  "application": application or master, "category": "Web", "confidence": "dpi", "master_confidence": "dpi"}
        self.records.append({k: v for k, v in {**record, **more}.items() if v is not None})

    def text(self):
        return "".join(json.dumps(r) + "\n" for r in sorted(self.records, key=lambda r: r["end_ms"]))


def all_flows():
    f = Flows()
    for at in (0, 60, 4000, 7000):  # engaged, counted, updated
        f.add(at, "10.0.2.1", "149.154.167.220", "TLS.Telegram", sni="api.telegram.org", category="Chat")
    f.add(5, "10.0.1.1", "198.51.100.1", "SSH", dst_port=22, category="RemoteAccess")
    f.add(6, "2001:db8:1::5", "2001:db8:1::1", "HTTP", dst_port=80)
    for at in (7, 8, 9):
        f.add(at, "10.0.1.2", "198.51.100.2", "Unknown", application=None, confidence=None, master_confidence=None)
    f.add(10, "10.0.3.1", "198.51.100.3", "TLS.Google", dst_port=8080, src_mac="02:00:5e:10:00:01", sni="www.example.net",
          alpn="h2,http/1.1", tls_version=772, vlan_id=12)
    f.add(11, "10.0.4.1", "198.51.100.4", risk_score=250, risks="268468224", risk_names="Known Protocol on Non Standard Port,x")
    f.add(12, "10.0.4.1", "10.0.4.2", "DNS.Github", dst_port=53, protocol=17)
    for at in (20, 50, 100):
        f.add(at, "10.0.5.1", "198.51.100.5")
    f.add(130, "10.0.5.1", "198.51.100.5", "SSH", dst_port=22)
    for at in range(200, 210):
        f.add(at, "10.0.6.1", "198.51.100.6")
        f.add(at, "10.0.7.1", "198.51.100.7")
    for i in range(300):
        f.add(300 + i // 10, "10.0.8.1", f"10.9.{i // 250}.{i % 250}", "Unknown", rev_packets=0, rev_octets=0, confidence=None,
              master_confidence=None, application=None)
    for i in range(8):
        f.add(400 + 60 * i, "10.0.9.1", "198.51.100.9")
    for i in range(6):
        f.add(500 + i, f"10.0.11.{i}", "198.51.100.11")
    f.add(20000, "10.0.12.1", "198.51.100.12")  # by now all is over
    f.add(20001, "10.0.2.1", "149.154.167.220", "TLS.Telegram")
    return f


class Watched:
    """A folder with what the runs of l7watch read; `messages` are IPFIX, `sink` takes syslog's datagrams."""

    def __init__(self, folder, messages):
        self.folder, self.messages = folder, messages
        self.log = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.log.bind(folder + "/log")
        threading.Thread(target=self.take, daemon=True).start()
        flows = all_flows()
        few = "".join(line + "\n" for line in flows.text().splitlines() if "Telegram" in line or "Unknown" in line)
        for name, text in (("all.yaml", ALL_TYPES), ("resolvers.txt", "10.0.0.53 # one\n10.0.0.54\n"), ("all.json", flows.text()),
                           ("few.json", "\n".join(few.splitlines()[:12]) + "\n"), ("a.test.yaml", TEST),
                           ("b.test.yaml", TEST_FILE.format(checks=os.path.join(l7.ROOT, "etc", "rules.d")))):
            with open(f"{folder}/{name}", "w", encoding="utf-8") as f:
                f.write(text)
        self.rules = folder + "/all.yaml"
        self.old = self.make_state()
        os.mkdir(folder + "/server")
        self.server = self.live(dict(os.environ), folder + "/server", "--control", folder + "/control")
        send("tcp", self.server.port, self.messages)
        if not self.alerts_of(self.server, folder + "/server"):
            raise AssertionError(self.server.err)

    def take(self):
        with contextlib.suppress(OSError):
            while self.log.recv(65536):
                pass

    def close(self):
        self.server.__exit__()
        self.log.close()

    def make_state(self):
        """A state as a kill leaves it: alerts engaged, groups counted, and a line that was not written yet."""
        path = self.folder + "/old.db"
        done = l7.run([L7WATCH, "-R", self.rules, "-l", f"json+file://{self.folder}/all.json", "-a", "json+file:///dev/null",
                       "--state", path])
        if done.status:
            raise AssertionError(done.err)
        with contextlib.closing(sqlite3.connect(path)) as db:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            (line,) = db.execute("SELECT line FROM alert LIMIT 1").fetchone()
            db.execute("INSERT INTO outbox (line) VALUES (?)", (line,))
            db.commit()
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return path

    def scenarios(self):
        folder, rules = self.folder, ("-R", self.rules)
        files = (*rules, "-l", f"json+file://{folder}/all.json", "-l", f"ipfix+file://{folder}/story.ipfix", "--stats")
        run = self.run
        return {
            "watch-types": lambda out, env: run(env, out, "--check", *rules),
            "watch-checks": lambda out, env: run(env, out, "--check", "--home-nets", "10.0.0.0/8", "--checks", CHECKS, *rules),
            "watch-memory": lambda out, env: run(env, out, *files, "-a", f"json+file://{out}/out"),
            "watch-state": lambda out, env: run(env, out, *files, "--state", out + "/db", "-a", f"json+file://{out}/out",
                                                "-a", f"text+file://{out}/text"),
            "watch-again": self.again,
            "watch-learn": lambda out, env: run(env, out, *files, "-a", f"json+file://{out}/out", "--learn", out + "/learned"),
            "watch-live": self.live_once,
            "watch-print": lambda out, env: run(env, out, "--print-config", "--checks", "scans,mining", *rules),
            "watch-completion": lambda out, env: run(env, out, "--completion", "bash"),
            "watch-test": lambda out, env: run(env, out, "test", folder),
            "watch-explain": lambda out, env: run(env, out, "explain", *rules, "--all", folder + "/few.json"),
            "watch-explain-short": lambda out, env: run(env, out, "explain", *rules, folder + "/few.json"),
            "watch-explain-alert": lambda out, env: run(env, out, "explain", *rules, "--control", folder + "/control", self.uid()),
            "watch-status": lambda out, env: run(env, out, "status", f"--control={folder}/control", "--json"),
            "watch-status-config": self.status_config,
            "watch-silence": lambda out, env: run(env, out, "silence", "add", "--host=192.0.2.0/24", "--app", "Telegram",
                                                  "--for", "1s", "--comment=a word", "--control", folder + "/control"),
        }

    def run(self, env, out, *arguments):
        return self.with_files(l7.run([L7WATCH, *arguments], env=env, timeout=HUNG), out)

    def with_files(self, done, out):
        """What is in its files counts as said on standard output."""
        for name in ("out", "text", "learned"):
            if os.path.exists(f"{out}/{name}"):
                with open(f"{out}/{name}", encoding="utf-8") as f:
                    text = f.read()
                done.out += json.dumps({name: text}) + "\n" if name == "learned" else text
        return done

    def uid(self):
        answer = self.ask(self.folder + "/control", "status", "--json")
        return json.loads(answer.partition("\n")[2])["alerts"][0]["alert_uid"]

    def again(self, out, env):
        """With the state of a run before, and a file that has some of its lines."""
        shutil.copy(self.old, out + "/db")
        with open(out + "/out", "w", encoding="utf-8") as f:
            f.write("{}\n")
        return self.run(env, out, "-R", self.rules, "-l", f"json+file://{self.folder}/all.json", "--stats", "--state", out + "/db",
                        "-a", f"json+file://{out}/out")

    def status_config(self, out, env):
        with open(out + "/watch.yaml", "w", encoding="utf-8") as f:
            f.write(f"control: {self.folder}/control\n")
        return self.run(env, out, "status", "-c", out + "/watch.yaml")

    def live(self, env, out, *more):
        """One that listens, with rules of its own, which may be changed."""
        shutil.copy(self.rules, out + "/rules.yaml")
        shutil.copy(self.folder + "/resolvers.txt", out)
        port = l7.free_port()
        process = l7.Process([L7WATCH, "-R", out + "/rules.yaml", "-l", f"ipfix+tcp://127.0.0.1:{port}", "-l",
                              f"ipfix+udp://127.0.0.1:{port}", "-a", f"json+file://{out}/out", "--stats", "-v", *more], env=env)
        process.port = port
        with contextlib.suppress(AssertionError):
            l7.wait_for("it listens", lambda: process.child.poll() is not None or process.err.count("listening on") == 2, HUNG)
        return process

    def live_once(self, out, env):
        """Records, each request, other rules."""
        with self.live(env, out, "--state", out + "/db", "--control", out + "/control") as process:
            with contextlib.suppress(OSError):
                send("tcp", process.port, self.messages)
                send("udp", process.port, self.messages)
            alerts = self.alerts_of(process, out)
            answers = []
            try:
                for words in (("status",), ("status", "--json"), ("silence", "add", "--rule", "12", "--host", "192.0.2.0/24", "--app",
                              "Telegram", "--comment", "x%20y"), ("silence", "list"), ("silence", "list", "--json"),
                              ("alert", alerts[0]["alert_uid"] if alerts else "0000"), ("silence", "del", "1"), ("nothing",)):
                    answers.append(self.ask(out + "/control", *words))
            except OSError as error:
                answers.append(f"{error}\n")
            if process.child.poll() is None:
                with open(out + "/resolvers.txt", "a", encoding="utf-8") as f:
                    f.write("192.0.2.53\n")
                process.child.send_signal(signal.SIGHUP)
                l7.wait_for("other rules", lambda: process.child.poll() is not None or "rules in force now" in process.err or
                            "those in force stay" in process.err or "the rules in force stay" in process.err, HUNG)
            done = process.stop(HUNG)
        for words in answers:
            if words.startswith("ok\n"):
                done.out += "ok\n"
            else:
                done.err = "l7watch: error: answer: " + (words or "nothing\n") + done.err
        return self.with_files(done, out)

    def alerts_of(self, process, out):
        """What is in the file once something is, or it is clear that nothing will be."""
        def lines():
            if not os.path.exists(out + "/out"):
                return []
            with open(out + "/out", encoding="utf-8") as f:
                return l7.json_lines("".join(line for line in f if line.endswith("\n")))

        with contextlib.suppress(AssertionError):
            l7.wait_for("alerts", lambda: process.child.poll() is not None or len(lines()) >= 2, 2)
        return lines()

    def ask(self, path, *words):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
            s.settimeout(HUNG)
            s.connect(path)
            s.sendall((" ".join(words) + "\n").encode())
            return s.makefile(encoding="utf-8").read()


def send(kind, port, messages, pair=None):
    """IPFIX messages to a port of this machine; pair: the client's certificate and key, of TLS."""
    if kind in ("tcp", "tls"):
        with contextlib.ExitStack() as stack:
            s = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            if kind == "tls":
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
                context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
                context.load_cert_chain(*pair)
                s = stack.enter_context(context.wrap_socket(s))
            s.sendall(messages)
            if kind == "tls":
                s.unwrap()
        return
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        at = 0
        while at < len(messages):
            length = struct.unpack_from(">H", messages, at + 2)[0]
            s.sendto(messages[at:at + length], ("127.0.0.1", port))
            at += length
