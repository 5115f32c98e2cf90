# SPDX-License-Identifier: Apache-2.0
"""What the end-to-end tests share: running the daemons, and counting results.

Each test file ends with l7.main(), whose last line is "N passed, N failed, N skipped".
"""
import contextlib
import functools
import json
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
RELEASE = os.path.join(ROOT, "build", "release", "bin")
SANITIZE = os.path.join(ROOT, "build", "sanitize", "bin")
L7PROBE = os.path.join(RELEASE, "l7probe")
L7WATCH = os.path.join(RELEASE, "l7watch")
CORPUS = os.path.join(ROOT, "build", "corpus", "pcap")
MADE = os.path.join(ROOT, "build", "captures")
STORY = os.path.join(ROOT, "tests", "captures", "story.pcap")
NO_TIMEOUTS = ("--active-timeout", "0", "--idle-timeout", "0")

sys.path.insert(0, os.path.join(ROOT, "tests", "captures"))
sys.path.insert(0, os.path.join(ROOT, "tests", "demo"))
import town  # noqa: E402

SANITIZER_WORDS = ("AddressSanitizer", "LeakSanitizer", "runtime error:", "UndefinedBehaviorSanitizer")


def json_lines(text):
    """The JSON objects among the lines of a text."""
    found = []
    for line in text.splitlines():
        if line.startswith("{"):
            found.append(json.loads(line))
    return found


class Done:
    """What a program that has ended leaves: status, both outputs, statistics."""

    def __init__(self, status, out, err):
        self.status, self.out, self.err = status, out, err

    @property
    def flows(self):
        return json_lines(self.out)

    @property
    def stats(self):
        return json_lines(self.err)[-1]

    @property
    def said(self):
        """Standard error without statistics."""
        return "\n".join(line for line in self.err.splitlines() if not line.startswith("{"))


def run(argv, timeout=120, **options):
    """Runs a program to its end. A program that hangs is killed and fails the test."""
    options.setdefault("stdin", subprocess.DEVNULL)
    done = subprocess.run(argv, capture_output=True, timeout=timeout, **options)
    return Done(done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace"))


def probe(*arguments, binary=L7PROBE, **options):
    return run((binary,) + arguments, **options)


def probe_flows(path, *more):
    """Flows of a capture with timeouts off, which must go well."""
    done = probe("-r", path, *NO_TIMEOUTS, "-o", "json:-", "--stats", *more)
    if done.status != 0:
        raise AssertionError(f"{path}: exit {done.status}: {done.err}")
    return done


def corpus(name):
    path = os.path.join(CORPUS, name)
    if not os.path.exists(path):
        raise AssertionError(f"{path} is missing: ./dev corpus")
    return path


def made():
    """The folder of the captures made by tests/captures/make.py, made anew."""
    import make
    make.write_all(MADE)
    return MADE


def free_port(kind=socket.SOCK_STREAM):
    """A port that nobody has, and that the kernel gives to nobody who asks for any."""
    while True:
        port = random.randrange(20000, 32000)
        with contextlib.suppress(OSError), socket.socket(socket.AF_INET, kind) as s:
            s.bind(("127.0.0.1", port))
            return port


def wait_for(what, test, seconds=60):
    """Polls until test() is true; fails the test with `what` otherwise. As long as a machine may need that is slow and busy."""
    end = time.monotonic() + seconds
    while True:
        found = test()
        if found:
            return found
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.02)


class Lag:
    """How late this machine is with what is due: the longest delay of a short sleep while `with` lasts, in seconds."""

    def __enter__(self):
        self.longest, self.over = 0.0, threading.Event()
        self.thread = threading.Thread(target=self.measure, daemon=True)
        self.thread.start()
        return self

    def measure(self):
        before = time.monotonic()
        while not self.over.wait(0.005):
            now = time.monotonic()
            self.longest = max(self.longest, now - before - 0.005)
            before = now

    def __exit__(self, *unused):
        self.over.set()
        self.thread.join()


def children(pid):
    """Pids of a process's children as they were born: of l7probe the exporter, then its workers. None if it has ended."""
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as f:
            return [int(word) for word in f.read().split()]
    except OSError:
        return []


def all_children(pid, count=2):
    """The same once there are so many."""
    return wait_for(f"{count} children", lambda: len(children(pid)) == count and children(pid))


def status_of(pid):
    """/proc/PID/status as {name: text}; empty if it has ended."""
    try:
        with open(f"/proc/{pid}/status", encoding="ascii") as f:
            return dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)
    except OSError:
        return {}


def cpu_seconds(pid):
    """Processor time that a process has used, to a hundredth of a second; 0 if it has ended."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as f:
            words = f.read().rsplit(")", 1)[1].split()
    except OSError:
        return 0
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def waits(pid):
    """Whether a process sleeps and does nothing for a tenth of a second: it waits for somebody."""
    seen = set()
    for _ in range(5):
        now = status_of(pid)
        seen.add((now.get("State", "?")[0] == "S", now.get("voluntary_ctxt_switches"), cpu_seconds(pid)))
        time.sleep(0.02)
    return len({cpu for _, _, cpu in seen}) == 1 and all(sleeps for sleeps, _, _ in seen)


def settled(pid):
    """
    Returns once the workers of a live l7probe have slept several times: they go to sleep only when they have read all that there
    was, and wake each tenth of a second. The kernel holds frames back for 10 ms.
    """
    def sleeps():
        return {child: int(status_of(child).get("voluntary_ctxt_switches", 0)) for child in children(pid)[1:]}

    before, began = sleeps(), time.monotonic()

    def done():
        now = sleeps()
        return now.keys() != before.keys() or (time.monotonic() > began + 0.2 and
                                               all(now[child] > before[child] + 3 for child in now))
    wait_for("the workers have read what came", done)
    if sleeps().keys() != before.keys():
        settled(pid)


def listening(port):
    """Whether a TCP port of this namespace is listened on, without connecting to it."""
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        if not os.path.exists(table):
            continue
        with open(table, encoding="ascii") as f:
            for line in f.readlines()[1:]:
                words = line.split()
                if words[3] == "0A" and int(words[1].rsplit(":", 1)[1], 16) == port:
                    return True
    return False


class Process:
    """A program that runs beside the test; `with` ends it whatever happens."""

    def __init__(self, argv, **options):
        self.folder = tempfile.mkdtemp(prefix="l7test-")
        self.out_path, self.err_path = self.folder + "/out", self.folder + "/err"
        with open(self.out_path, "wb") as out, open(self.err_path, "wb") as err:
            self.child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=err, **options)

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        if self.child.poll() is None:
            self.child.kill()
        self.child.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def wait_until(self, what, test):
        """For the end of __init__: if it is not to be, nothing is left."""
        try:
            wait_for(what, lambda: self.child.poll() is not None or test())
            if self.child.poll() is not None:
                raise AssertionError(f"it ended with {self.child.returncode}: {self.err}")
        except BaseException:
            self.__exit__()
            raise

    def text(self, path):
        with open(path, encoding="utf-8", errors="replace") as f:
            return f.read()

    @property
    def err(self):
        return self.text(self.err_path)

    def finish(self, seconds=60):
        """Waits for its own end."""
        status = self.child.wait(seconds)
        return Done(status, self.text(self.out_path), self.err)

    def stop(self, seconds=60):
        """SIGTERM, then waits."""
        if self.child.poll() is None:
            self.child.terminate()
        return self.finish(seconds)


def udp_queue(port):
    """(octets that wait, datagrams dropped) at the UDP sockets of a port; None if nobody has it."""
    found = None
    for table in ("/proc/net/udp", "/proc/net/udp6"):
        if not os.path.exists(table):
            continue
        with open(table, encoding="ascii") as f:
            for line in f.readlines()[1:]:
                words = line.split()
                if int(words[1].rsplit(":", 1)[1], 16) == port:
                    waiting, dropped = found or (0, 0)
                    found = waiting + int(words[4].split(":")[1], 16), dropped + int(words[12])
    return found


class Watch(Process):
    """l7watch on a TCP port, with rules from a string and alerts into a file."""

    def __init__(self, rules, port=None, alerts=None, binary=L7WATCH, more=()):
        self.port = port or free_port()
        self.rules_folder = tempfile.mkdtemp(prefix="l7rules-")
        self.rules = self.rules_folder + "/rules.yaml"
        with open(self.rules, "w", encoding="utf-8") as f:
            f.write(rules)
        self.alerts_path = alerts or self.rules_folder + "/alerts.json"
        super().__init__((binary, "-l", f"ipfix+tcp://127.0.0.1:{self.port}", "-R", self.rules,
                          "-a", f"json+file://{self.alerts_path}", "--stats") + tuple(more))
        self.more = more
        self.wait_until("l7watch listens", self.ready)

    def ready(self):
        return self.err.count("listening on") + self.err.count(": reading ") == 1 + self.more.count("-l")

    def __exit__(self, *unused):
        super().__exit__()
        shutil.rmtree(self.rules_folder, ignore_errors=True)

    @property
    def output(self):
        """The l7probe output that reaches this l7watch, early records with it."""
        return f"ipfix+tcp://127.0.0.1:{self.port}?early=1"

    def alerts(self):
        if not os.path.exists(self.alerts_path):
            return []
        text = self.text(self.alerts_path)
        return json_lines(text[:text.rfind("\n") + 1])

    def engaged(self):
        """Of rules; what l7watch says of exporters by itself is health()."""
        return [a for a in self.alerts() if a["state"] == "engaged" and a["rule"]["type"] != "builtin"]

    def health(self):
        return [a for a in self.alerts() if a["rule"]["type"] == "builtin"]


def is_root():
    return os.geteuid() == 0


NOBODY = {"user": 65534, "group": 65534, "extra_groups": []}


@contextlib.contextmanager
def for_all(program):
    """A copy of a program that everybody may run: where build/ is may be closed to others."""
    with tempfile.TemporaryDirectory(prefix="l7test-") as folder:
        os.chmod(folder, 0o755)
        yield shutil.copy(program, folder)


@functools.lru_cache(None)
def can_build():
    """Whether this process may make namespaces (root in a container may not)."""
    return town.can_build()


@functools.lru_cache(None)
def can_capture():
    """Whether it may capture from the loopback."""
    try:
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW).close()
        return True
    except OSError:
        return False


def main():
    """Runs the file's tests and ends with one line of counts."""
    result = unittest.main(module="__main__", exit=False, verbosity=2).result
    failed = len({str(t).split(" (")[0] if hasattr(t, "test_case") else str(t)
                  for t, _ in result.failures + result.errors})
    skipped = len(result.skipped)
    sys.stdout.flush()
    sys.stderr.flush()
    print(f"{max(result.testsRun - failed - skipped, 0)} passed, {failed} failed, {skipped} skipped", flush=True)
    sys.exit(0 if failed == 0 and result.testsRun > 0 else 1)
