# SPDX-License-Identifier: Apache-2.0
"""Every allocation of our own code fails once: what runs, how, and what must hold (tests/lib/alloc_faults.c)."""
import concurrent.futures
import contextlib
import difflib
import json
import os
import re
import shutil
import socket
import ssl
import struct
import subprocess
import tempfile
import threading

import allocs_watch
import l7
import mmdb
import tls

PROCESSES, CALLS = 8, 16384
L7PROBE = os.path.join(l7.SANITIZE, "l7probe")
L7WATCH = os.path.join(l7.SANITIZE, "l7watch")
HEAD = 4 * (4 + PROCESSES)
SIZE = HEAD + 2 * 8 * PROCESSES * CALLS
HUNG = 100  # s
CHANCE = re.compile(re.escape(tempfile.gettempdir()) + r"/l7alloc-\w+|127\.0\.0\.1:\d+|\d+ min behind")  # what each run has of its own

RULES = """
version: 1
lists:
  hosts: [192.0.2.0/24, 10.0.0.0/8, "2001:db8::/32"]
  named: {file: names.txt}
defaults: {dedup: {key: [subject, app], for: 1h}}
rules:
- {id: 1, name: no Telegram, type: deny, severity: high, match: {app: [Telegram, "@named"]}, tags: [a, b], mitre: T1071}
- id: 2
  name: little
  type: allow
  severity: low
  match: {host: "@hosts", port: [443, "!80-90"]}
  allow: {client: [DNS, TLS, "category:Web"], server: []}
  on_unknown: {alert_after: 1}
  except: [{peer: 10.1.0.0/16, until: 2037-01-31}]
- {id: 3, name: names, type: deny, severity: info, match: {server: 0.0.0.0/0, app: DNS, category: [Network]}}
"""
TEMPLATE = "# a few\n" + "\n".join("flowStartMilliseconds flowEndMilliseconds octetDeltaCount packetDeltaCount "
                                   "sourceIPv4Address destinationIPv4Address applicationName".split()) + "\n"
OUI = "Registry,Assignment,Organization Name,Organization Address\nMA-L,002272,Micro-Fuel,x\n"
CONFIG = """
read: [{capture}]
output: ["json+file://{out}", "ipfix+file://{out}.ipfix?early=1"]
template: {template}
protocols: {protocols}
categories: {folder}/categories.txt
geoip: [{given}/places.mmdb]
mac_vendors: [{given}/oui.csv]
filter: ip or ip6
crash_dir: {folder}
exporter: branch-7
stats: true
"""


def sink(server):
    """Takes what comes from one peer after another."""
    while True:
        try:
            peer, _ = server.accept()
        except ssl.SSLError:
            continue
        except OSError:
            return
        with peer, contextlib.suppress(ssl.SSLError):
            while peer.recv(65536):
                pass


class Place:
    """A folder with all that the runs read, and a collector."""

    def __enter__(self):
        self.folder = tempfile.mkdtemp(prefix="l7alloc-")
        self.pair = tls.Authority(self.folder, "ca").issue("both", "DNS:localhost,IP:127.0.0.1")
        self.files = f"ca={self.folder}/ca/ca.pem&cert={self.pair.cert}&key={self.pair.key}"
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.pair)
        self.server = socket.create_server(("127.0.0.1", 0))
        self.secure = context.wrap_socket(socket.create_server(("127.0.0.1", 0)), server_side=True)
        for server in self.server, self.secure:
            threading.Thread(target=sink, args=(server,), daemon=True).start()
        for name, text in (("rules.yaml", RULES), ("names.txt", "WhatsApp\nTLS.Viber # no\n"), ("few.tmpl", TEMPLATE), ("oui.csv", OUI),
                           ("watch.yaml", f"rules: {self.folder}/rules.yaml\nstats: true\n")):
            with open(f"{self.folder}/{name}", "w", encoding="utf-8") as f:
                f.write(text)
        mmdb.write(self.folder + "/places.mmdb", {"0.0.0.0/1": {"country_code": "DE", "asn": "AS64500", "as_name": "x"}})
        done = l7.run([L7PROBE, "-r", l7.STORY, "-o", f"ipfix+file://{self.folder}/story.ipfix?early=1",
                       "-o", f"json+file://{self.folder}/story.json"])
        if done.status:
            raise AssertionError(done.err)
        with open(f"{self.folder}/story.ipfix", "rb") as f:
            self.messages = f.read()
        self.watched = allocs_watch.Watched(self.folder, self.messages)
        return self

    def __exit__(self, *unused):
        self.watched.close()
        self.server.close()
        self.secure.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def scenarios(self):
        """Name: how to run it in a folder of its own."""
        read, few = ("-r", l7.STORY, *l7.NO_TIMEOUTS, "--stats"), self.folder + "/few.tmpl"
        port, secure = (server.getsockname()[1] for server in (self.server, self.secure))
        return {
            "json": lambda out, env: self.probe(env, out, *read, "-o", f"json+file://{out}/out"),
            "file": lambda out, env: self.probe(env, out, *read, "-o", f"ipfix+file://{out}/out?early=1", "-t", "full"),
            "tcp": lambda out, env: self.probe(env, out, *read, "-o", f"ipfix+tcp://localhost:{port}", "-t", few),
            "tls": lambda out, env: self.probe(env, out, *read, "-o", f"ipfix+tls://localhost:{secure}?{self.files}", "-t", few),
            "udp": lambda out, env: self.probe(env, out, *read, "-o", f"ipfix+udp://127.0.0.1:{port}?rate=100000"),
            "netflow": lambda out, env: self.probe(env, out, *read, "-o", f"netflow9+udp://127.0.0.1:{port}?rate=100000",
                                                   "-o", f"netflow5+udp://127.0.0.1:{port}"),
            "filter": lambda out, env: self.probe(env, out, *read, "-o", f"json+file://{out}/out?app=TLS.*,!TLS.Viber&category=!Web&"
                                                  "hosts=192.0.2.0/24,!198.51.100.0/24"),
            "group": lambda out, env: self.probe(env, out, *read, "-o", f"ipfix+tcp://127.0.0.1:{port}?balance=x",
                                                 "-o", f"ipfix+udp://127.0.0.1:{port}?balance=x", "-t", few),
            "text": lambda out, env: self.probe(env, out, *read, "-o", "text:-", "-w", "2"),
            "config": lambda out, env: self.config(env, out),
            "check": lambda out, env: self.probe(env, out, *read, "--check", "-t", "%IPV4_SRC_ADDR %L7_PROTO_NAME"),
            "print": lambda out, env: self.probe(env, out, *read, "--print-config", "-o", "json:-"),
            "list": lambda out, env: self.probe(env, out, "--list-protocols"),
            **({"live": lambda out, env: self.live(env, out)} if l7.is_root() else {}),
            "watch": lambda out, env: self.watch(env, out, "tcp", "-R", self.folder + "/rules.yaml"),
            "watch-tls": lambda out, env: self.watch(env, out, "tls", "-R", self.folder + "/rules.yaml"),
            "watch-udp": lambda out, env: self.watch(env, out, "udp", "-c", self.folder + "/watch.yaml", "-a",
                                                          f"syslog://{self.folder}/log"),
            "watch-check": lambda out, env: ended(env, out, L7WATCH, "--check", "-c", self.folder + "/watch.yaml"),
            **self.watched.scenarios(),
        }

    def probe(self, env, out, *arguments):
        return ended(env, out, L7PROBE, *arguments)

    def live(self, env, out):
        """Two workers on the loopback interface, told to stop once both capture, or one of them cannot."""
        with l7.Process([L7PROBE, "-i", "lo", "-f", "udp port 9", "-w", "2", "-o", f"json+file://{out}/out", "--stats", "-v"],
                        env=env) as process:
            l7.wait_for("it captures", lambda: process.child.poll() is not None or " error: " in process.err or
                        process.err.count("capturing on") == 2, HUNG)
            if "capturing" not in process.err:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.child.wait(2)  # of itself, if it is to end
            return with_file(out, process.stop(HUNG))

    def config(self, env, out):
        with open(out + "/categories.txt", "w", encoding="utf-8") as f:
            f.write("192.0.2.0/24 Cloud\n2001:db8::/32 Cloud\nexample.org Mining\n")
        with open(out + "/probe.yaml", "w", encoding="utf-8") as f:
            f.write(CONFIG.format(capture=l7.STORY, out=out + "/out", template=self.folder + "/few.tmpl", folder=out, given=self.folder,
                                  protocols=os.path.join(l7.ROOT, "etc", "protocols.txt")))
        return ended(env, out, L7PROBE, "-c", out + "/probe.yaml")

    def watch(self, env, out, kind, *arguments):
        """Starts, is given the story's records if it comes so far, and is told to stop."""
        options = "?" + self.files if kind == "tls" else ""
        port = l7.free_port(socket.SOCK_DGRAM if kind == "udp" else socket.SOCK_STREAM)
        with l7.Process([L7WATCH, "-l", f"ipfix+{kind}://127.0.0.1:{port}{options}", "-a", f"json+file://{out}/out", "--stats",
                         "-v", *arguments], env=env) as process:
            with contextlib.suppress(OSError):
                l7.wait_for("it listens", lambda: process.child.poll() is not None or "listening" in process.err, HUNG)
                allocs_watch.send(kind, port, self.messages, self.pair)
            return with_file(out, process.stop(HUNG))


def ended(env, out, *argv):
    return with_file(out, l7.run(argv, env=env, timeout=HUNG))


def with_file(out, done):
    """A file of JSON counts as said on standard output."""
    if os.path.exists(out + "/out"):
        with open(out + "/out", "rb") as f:
            octets = f.read()
        if octets.startswith(b"{"):
            done.out += octets.decode()
    return done


class Plan:
    """The file that the processes of a run share."""

    def __init__(self, path, process=0, call=0):
        self.path = path
        with open(path, "wb") as f:
            f.write(struct.pack("=II", process, call))
            f.truncate(SIZE)

    def read(self):
        with open(self.path, "rb") as f:
            octets = f.read()
        _, _, self.failed, processes, *calls = struct.unpack_from(f"={4 + PROCESSES}I", octets)
        self.calls = calls[:processes]
        return octets

    def points(self):
        """(process, call, path that led there, place) of all that was asked for."""
        octets = self.read()
        for process, n in enumerate(self.calls):
            if n > CALLS:
                raise AssertionError(f"process {process} allocates {n} times: more than are noted")
            for call in range(n):
                at = HEAD + 8 * (process * CALLS + call)
                path, place = (struct.unpack_from("=Q", octets, at + more)[0] for more in (0, 8 * PROCESSES * CALLS))
                yield process, call + 1, path, place


def run(scenario, process=0, call=0):
    """One run in a folder of its own: what it left, and the plan."""
    with tempfile.TemporaryDirectory(prefix="l7alloc-") as out:
        plan = Plan(out + "/plan", process, call)
        done = scenario(out, dict(os.environ, L7_ALLOC_PLAN=plan.path))
        return (done, list(plan.points())) if not call else (done, plan.read() and plan.failed)


def without_chance(text):
    """JSON lines without what differs from run to run."""
    chance = {"alert_uid", "stream_id", "@timestamp"}
    lines = []
    for line in l7.json_lines(CHANCE.sub("...", text)):
        builtin = "first_seen last_seen".split() if line.get("rule", {}).get("type") == "builtin" else ()  # of our own clock
        lines.append(json.dumps({k: v for k, v in line.items() if k not in chance.union(builtin)}))
    return sorted(lines)


def counted(done, good):
    """Whether a counter that is 0 when all goes well is not."""
    now, then = (numbers(d.stats) if d.err.rstrip().endswith("}") else {} for d in (done, good))
    return any(now[name] and not then.get(name) for name in now)


def numbers(value, name=""):
    found = {}
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        if isinstance(inner, bool) or not isinstance(inner, (int, dict, list)):
            continue
        if isinstance(inner, int):
            found[f"{name}.{key}"] = inner
        else:
            found.update(numbers(inner, f"{name}.{key}"))
    return found


def complaints(done):
    """Lines of standard error that say that something is not well, without what differs from run to run."""
    return {CHANCE.sub("...", line) for line in done.said.splitlines() if re.search(r"\b(error|warning): ", line)}


def report(text):
    """The beginning of a sanitizer's report, "" if there is none."""
    lines = text.splitlines()
    found = next((i for i, line in enumerate(lines) if any(w in line for w in l7.SANITIZER_WORDS)), None)
    return "" if found is None else "\n".join(lines[found:found + 14])


def wrong(done, good):
    """"" or what must not be after an allocation failed."""
    if report(done.err):
        return "sanitizer: " + report(done.err)
    if done.status not in (0, 1, 2):
        return f"exit {done.status}"
    said = complaints(done) - complaints(good)
    if done.status:  # l7watch test says on standard output what is wrong with a test
        return "" if said or "FAILED" in done.out else f"exit {done.status} without a word: {done.said}"
    now, then = without_chance(done.out), without_chance(good.out)
    if now == then and len(done.out.splitlines()) == len(good.out.splitlines()):
        return ""
    if said or counted(done, good):
        return ""
    lines = list(difflib.unified_diff(then, now, "before", "now", n=0, lineterm=""))[3:11]
    same = len(os.path.commonprefix([line[1:] for line in lines[:2]])) if len(lines) == 2 else 0
    return "another result, and nothing says so:\n" + "\n".join(line[0] + line[1:][max(0, same - 200):][:800] for line in lines)


def place_name(binary, place):
    """Function and line of an offset in a program."""
    base = subprocess.run(["nm", binary], capture_output=True, text=True, check=True).stdout
    start = next(int(line.split()[0], 16) for line in base.splitlines() if line.endswith(" __executable_start"))
    done = subprocess.run(["addr2line", "-fpse", binary, hex(start + place - 1)], capture_output=True, text=True, check=True)
    return done.stdout.strip()


class Sums:
    def __init__(self):
        self.points = self.reached = 0
        self.paths = set()
        self.bad = []


def fail_each(sums, name, scenario, every):
    """Fails each allocation of a scenario; unless `every`, of those with the same nearest callers only one over all scenarios."""
    good, points = run(scenario)
    binary = L7WATCH if name.startswith("watch") else L7PROBE
    if good.status:
        raise AssertionError(f"{name}: exit {good.status}: {good.err}")
    if not points:
        raise AssertionError(f"{name}: nothing is allocated: is it the build with L7_ALLOC_FAULTS?")
    todo = []
    for process, call, path, place in points:
        if every or (binary, path) not in sums.paths:
            todo.append((process, call, place))
        sums.paths.add((binary, path))

    def one(point):
        process, call, place = point
        try:
            done, failed = run(scenario, process, call)
            said = wrong(done, good)
        except (subprocess.TimeoutExpired, AssertionError) as error:
            done, failed, said = None, True, f"it hangs: {error}"
        if said:
            said = f"{name}: allocation {call} of process {process}, {place_name(binary, place)}: {said}\n"
        return failed, said

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for failed, said in pool.map(one, todo):
            sums.points += 1
            sums.reached += failed
            if said:
                sums.bad.append(said)
