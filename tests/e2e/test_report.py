#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The report of text:-, of files and live on a terminal.

The terminal is a pty. What is on it is worked out from the octets by a small
screen of our own that knows only the sequences the report may use.
"""
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import frames  # noqa: E402
import l7  # noqa: E402
import pcapio  # noqa: E402
import space  # noqa: E402
import town  # noqa: E402

UTC = {"TZ": "UTC", "LC_ALL": "C.UTF-8", "PATH": os.environ["PATH"], "TERM": "xterm"}
SGR = re.compile(r"\x1b\[\d*m")
REPLAY = """
import socket, struct, sys
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind((sys.argv[1], 0))
data = open(sys.argv[2], "rb").read()
at = 24
while at < len(data):
    n = struct.unpack_from("<I", data, at + 8)[0]
    s.send(data[at + 16:at + 16 + n])
    at += 16 + n
"""


def report(path, *more, **environment):
    done = l7.probe("-r", path, *more, env={**UTC, **environment})
    if done.status != 0 or done.err:
        raise AssertionError(f"{path}: exit {done.status}: {done.err}")
    return done.out


def row(text, name):
    """The words of the row of the protocol table that begins with a name."""
    for line in SGR.sub("", text).split("\n"):
        if line.startswith(name + " "):
            return line[len(name):].split()
    raise AssertionError(f"no row {name} in:\n{text}")


def without_what(text):
    """The lines of a report, those of flows up to their octets."""
    return [re.sub(r"^(\d\d:\d\d:\d\d .* k?B +\d[\d.]* k?B).*", r"\1", line) for line in text.split("\n")]


class File(unittest.TestCase):
    maxDiff = None

    def test_telegram(self):
        text = report(l7.corpus("telegram.pcap"), *l7.NO_TIMEOUTS)
        self.assertEqual("telegram.pcap   2020-05-06 15:39:56 – 15:40:55 (58.8 s)   1,566 packets   314.9 kB   "
                         "48 flows   0 refused", text.split("\n")[0])
        self.assertEqual("Chat 12 908 172.6 kB 54.8 %".split(), row(text, "Telegram"))
        self.assertEqual("- 2 304 68.2 kB 21.7 %".split(), row(text, "Unknown"))
        self.assertEqual("Network 9 282 57.0 kB 18.1 %".split(), row(text, "MDNS"))
        self.assertEqual("Web 2 6 5.6 kB 1.8 %".split(), row(text, "QUIC.Google"))
        self.assertIn("\nsure of 46 flows by payload (dpi), 2 unknown\n", text)
        self.assertRegex(text, r"192\.168\.1\.77:50822 +> 216\.58\.205\.68:443 +QUIC\.Google +dpi +1\.4 kB +"
                               r"1\.4 kB +www\.google\.com\n")
        self.assertRegex(text, r"\n… 28 more: --all, or -o json:- for programs\n")
        look = text[text.index("Worth a look: "):]
        self.assertIn("OpenVPN, 192.168.1.77 > 87.11.205.195:60723", look)
        self.assertIn("SMBv1, 192.168.1.43 > ", look)
        self.assertIn("\nNext: l7probe -i eth0 (live)", look)
        self.assertNotIn("\x1b", text)
        self.assertNotIn("█", text)

    def test_story(self):
        text = report(l7.STORY)
        self.assertIn("135 packets   21.4 kB   15 flows   4 refused\n", text)
        self.assertEqual("Chat 3 45 9.0 kB 42.0 %".split(), row(text, "TLS.Telegram"))
        self.assertEqual("RemoteAccess 1 28 4.3 kB 20.1 %".split(), row(text, "SSH"))
        self.assertIn("sure of 15 flows by payload (dpi)\n", text)
        self.assertEqual(15, len(re.findall(r"> \d+\.\d+\.\d+\.\d+:\d+ .* dpi ", text)))
        self.assertIn("Worth a look: Known Protocol on Non Standard Port: Telegram, 192.0.2.10 > 149.154.167.51:443",
                      text)

    def test_records_are_merged(self):
        """Cut every second into records, it is still the same flows."""
        path = l7.corpus("telegram.pcap")
        whole = report(path, "--all", *l7.NO_TIMEOUTS)
        cut = report(path, "--all", "--active-timeout", "1", "--idle-timeout", "0")
        records = l7.probe("-r", path, "--active-timeout", "1", "--idle-timeout", "0", "-o", "json:-").flows
        self.assertGreater(len(records), 60)
        # What was asked for is as far as it was read when the first record was made.
        self.assertEqual(without_what(whole), without_what(cut))

    def test_agrees_with_json(self):
        for name in ("telegram.pcap", "teams.pcap", "6in4tunnel.pcap"):
            path = l7.corpus(name)
            flows = l7.probe_flows(path).flows
            text = report(path, "--all", *l7.NO_TIMEOUTS)
            table = text.split("\n\n")[1].split("\nsure of")[0].split("\n")[1:]
            self.assertEqual(len(flows), sum(int(re.search(r" (\d+) +\d[\d,]* +[\d.]+ k?M?B +[\d.]+ %", line)[1])
                                             for line in table), text)
            for line in table:
                if "? (" in line:
                    continue
                app = line.split()[0]
                mine = [f for f in flows if f.get("app") == app and f["confidence"] in ("dpi", "cache", "none")]
                self.assertEqual(len(mine), int(re.search(r" (\d+) +\d[\d,]* +[\d.]+ k?M?B", line)[1]), line)
            self.assertEqual(len(flows), len(re.findall(r"\n\d\d:\d\d:\d\d .* > ", text)), name)

    def test_guess(self):
        """Handshakes without payload on 443: nobody has seen TLS there."""
        path = os.path.join(l7.made(), "guess.pcap")
        story = pcapio.read(l7.STORY)[1]
        syns = [f for _, f, _ in story if f[12:14] == b"\x08\x00" and f[23] == 6 and f[47] == 2 and
                f[36:38] == b"\x01\xbb" and f[30:33] == b"\xc6\x33\x64"]
        self.assertTrue(syns)
        pcapio.write(path, [(1700000000 * 10**9, syns[0], len(syns[0]))])
        text = report(path)
        self.assertEqual(["(port)"], row(text, "TLS?")[:1])
        self.assertRegex(text, r":443 +TLS\? \(port\) +guess ")
        self.assertIn("1 is a guess (?)", text)

    def test_widths(self):
        for width in (60, 80, 120, 200):
            for more in ((), ("--all",), ("--color", "always")):
                text = SGR.sub("", report(l7.corpus("telegram.pcap"), *more, COLUMNS=str(width)))
                self.assertLessEqual(max(map(len, text.split("\n"))), width)
        self.assertEqual(report(l7.STORY), report(l7.STORY, COLUMNS="120"))

    def test_all(self):
        text = report(l7.corpus("telegram.pcap"), "--all", *l7.NO_TIMEOUTS)
        self.assertEqual(48, len(re.findall(r"\n\d\d:\d\d:\d\d ", text)))
        self.assertNotIn("more:", text)

    def test_color(self):
        self.assertIn("\x1b[", report(l7.STORY, "--color", "always", NO_COLOR="1"))
        self.assertEqual(report(l7.STORY), report(l7.STORY, "--color", "never"))
        self.assertEqual(SGR.sub("", report(l7.STORY, "--color", "always")).replace("█", "").replace(" ", ""),
                         report(l7.STORY).replace(" ", ""))
        done = l7.probe("-r", l7.STORY, "--color", "blue")
        self.assertEqual(1, done.status)
        self.assertIn("blue", done.err)

    def test_ascii_locale(self):
        report(l7.STORY, LC_ALL="C").encode("ascii")

    def test_keys_of_the_file(self):
        printed = l7.probe("-r", l7.STORY, "--all", "--color", "never", "--print-config").out
        self.assertIn("all: true", printed)
        self.assertIn('color: "never"', printed)
        path = os.path.join(l7.made(), "report.yaml")
        with open(path, "w", encoding="utf-8") as f:
            f.write(f"read: [{l7.corpus('telegram.pcap')}]\nall: true\ncolor: always\n")
        done = l7.probe("-c", path, env=UTC)
        self.assertEqual((0, 57), (done.status, len(re.findall(r"\n\d\d:\d\d:\d\d ", done.out))), done.err)
        self.assertIn("\x1b[1m", done.out)

    def test_counts(self):
        """Records that are in a report are sent; a reader that leaves is no error."""
        done = l7.probe("-r", l7.STORY, "--stats")
        out = done.stats["outputs"][0]
        self.assertEqual((15, 15, 0), (out["records"], out["sent"], out["dropped"]))
        read, write = os.pipe()
        os.close(read)
        done = subprocess.run([l7.L7PROBE, "-r", l7.STORY, "--stats"], stdout=write, stderr=subprocess.PIPE,
                              timeout=60, check=False)
        os.close(write)
        out = l7.json_lines(done.stderr.decode())[-1]["outputs"][0]
        self.assertEqual((0, 15, 0, 15), (done.returncode, out["records"], out["sent"], out["dropped"]))

    def test_all_through_a_slow_pipe(self):
        """A report larger than a pipe, IPv6 in it, read late: whole, and each flow on a line."""
        path = os.path.join(l7.made(), "many.pcap")
        ends = [("192.0.2.1", "198.51.100.1"), ("2001:db8:1111:2222:3333:4444:5555:6666", "2001:db8::1")]
        pcapio.write(path, [(1700000000 * 10**9 + i, frame, len(frame)) for i in range(2000)
                            for frame in [frames.datagram(*ends[i % 2], 10000 + i, 9, b"x" * (i % 700))]])
        with subprocess.Popen([l7.L7PROBE, "-r", path, "--all", "--drain-timeout", "1"], stdout=subprocess.PIPE,
                              env={**UTC, "COLUMNS": "80"}) as child:
            time.sleep(2.5)
            text = child.stdout.read().decode()
        self.assertEqual(0, child.returncode)
        self.assertGreater(len(text), 65536 * 2)
        self.assertEqual(set(range(10000, 12000)), {int(p) for p in re.findall(r":(\d+) +> ", text)})
        self.assertLessEqual(max(map(len, text.split("\n"))), 80)

    def test_full_disk(self):
        with open("/dev/full", "wb") as full:
            done = subprocess.run([l7.L7PROBE, "-r", l7.STORY], stdout=full, stderr=subprocess.PIPE, timeout=60,
                                  check=False)
        self.assertEqual(2, done.returncode)
        self.assertIn(b"No space left", done.stderr)


class Screen:
    """What a terminal shows after some output: lines, and those that scrolled away."""

    def __init__(self, rows, columns):
        self.rows, self.columns = rows, columns
        self.lines, self.y, self.x, self.wrapped = [""], 0, 0, 0

    def feed(self, text):
        for token in re.findall(r"\x1b\[\d*(?:;\d+)*[A-Za-z]|\r|\n|[^\x1b\r\n]+|\x1b", text):
            if token == "\n":
                self.down()
            elif token == "\r":
                self.x = 0
            elif token.startswith("\x1b"):
                self.escape(token)
            else:
                self.write(token)

    def down(self):
        self.y, self.x = self.y + 1, 0
        if self.y == len(self.lines):
            self.lines.append("")

    def write(self, token):
        if self.x + len(token) > self.columns:
            self.wrapped += 1
        line = self.lines[self.y].ljust(self.x)
        self.lines[self.y] = line[:self.x] + token + line[self.x + len(token):]
        self.x += len(token)

    def escape(self, token):
        number = int(token[2:-1] or 0)
        if token[-1] == "A":
            assert number < self.rows, f"the cursor goes {number} lines up on a screen of {self.rows}"
            self.y = max(self.y - number, 0)
        elif token == "\x1b[2K":
            self.lines[self.y] = ""
        elif token == "\x1b[J":
            self.lines[self.y:] = [self.lines[self.y][:self.x]]
        elif token == "\x1b[K":
            self.lines[self.y] = self.lines[self.y][:self.x]
        else:
            assert token[-1] == "m", f"{token!r} is no sequence of ours"

    @property
    def text(self):
        return "\n".join(self.lines)


class Terminal:
    """A program on a pty of a size."""

    def __init__(self, argv, rows, columns, **environment):
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.octets = b""
        self.child = subprocess.Popen(argv, stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
                                      env={**UTC, **environment},
                                      preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        os.close(slave)
        self.rows, self.columns = rows, columns

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        if self.child.poll() is None:
            os.killpg(self.child.pid, signal.SIGKILL)
        self.child.wait()
        os.close(self.master)

    def read(self, seconds):
        """Reads for so long; returns True at the end of the program."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if not select.select([self.master], [], [], 0.05)[0]:
                continue
            try:
                data = os.read(self.master, 65536)
            except OSError:
                return True
            if not data:
                return True
            self.octets += data
        return False

    def wait_for(self, what, seconds=60):
        def shown():
            self.read(0.1)
            return what in self.screen().text
        l7.wait_for(what, shown, seconds)

    def key(self, octet):
        os.write(self.master, octet)

    def screen(self):
        s = Screen(self.rows, self.columns)
        # A line that is half read is no matter: the next look has it.
        s.feed(self.octets.decode("utf-8", "replace").replace("\r\n", "\n"))
        return s

    @property
    def text(self):
        return self.octets.decode("utf-8", "replace")


class FileOnTerminal(unittest.TestCase):
    def test_colour_and_width(self):
        for columns in (60, 100):
            with Terminal([l7.L7PROBE, "-r", l7.STORY], 24, columns) as t:
                self.assertTrue(t.read(60))
                self.assertEqual(0, t.child.wait(60))
            self.assertIn("\x1b[1mPROTOCOL\x1b[0m", t.text)
            self.assertIn("█", t.text)
            self.assertEqual(0, t.screen().wrapped)

    def test_no_color(self):
        for environment, more in (({"NO_COLOR": "1"}, []), ({"TERM": "dumb"}, []), ({}, ["--color", "never"])):
            with Terminal([l7.L7PROBE, "-r", l7.STORY] + more, 24, 100, **environment) as t:
                self.assertTrue(t.read(60))
            self.assertNotIn("\x1b", t.text)
            self.assertIn("TLS.Telegram", t.text)

    def test_progress(self):
        """A pipe that is fed slowly: a line that says so comes, and goes before the report."""
        with open(l7.STORY, "rb") as f:
            data = f.read()
        folder = l7.made()
        path = os.path.join(folder, "slow.fifo")
        if os.path.exists(path):
            os.unlink(path)
        os.mkfifo(path)
        with Terminal([l7.L7PROBE, "-r", path], 24, 100) as t:
            with open(path, "wb", buffering=0) as fifo:
                fifo.write(data[:len(data) // 2])
                t.wait_for("packets/s")
                fifo.write(data[len(data) // 2:])
            self.assertTrue(t.read(60))
            self.assertNotIn("packets/s", t.screen().text)
            self.assertIn("135 packets", t.screen().text)
        os.unlink(path)


@unittest.skipUnless(l7.can_build(), "needs root and network namespaces")
class Live(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.space = f"l7rep{os.getpid()}"
        town.run("ip", "netns", "add", cls.space)
        cls.addClassCleanup(town.run, "ip", "netns", "del", cls.space)
        town.Town.quiet(cls.space)
        town.run("ip", "-n", cls.space, "link", "add", "a0", "type", "veth", "peer", "name", "b0")
        town.no_chatter(cls.space, "a0", "b0")
        for name in ("a0", "b0"):
            town.run("ip", "-n", cls.space, "link", "set", name, "up")
        space.set_tso(cls.space, "b0", False)

    def replay(self):
        town.run("ip", "netns", "exec", self.space, "/usr/bin/python3", "-c", REPLAY, "a0", l7.STORY)

    @staticmethod
    def wait_for_capture(pid):
        """A worker confines itself once its captures are open."""
        worker = l7.all_children(pid)[1]
        l7.wait_for("l7probe captures", lambda: l7.status_of(worker).get("Seccomp") == "2")

    def probe(self, *more):
        return ["ip", "netns", "exec", self.space, l7.L7PROBE, "-i", "b0"] + list(more)

    def test_redraw(self):
        for rows, columns in ((24, 80), (50, 140)):
            with Terminal(self.probe(), rows, columns) as t:
                t.wait_for("Ctrl-C ends it.")
                self.wait_for_capture(t.child.pid)
                self.replay()
                t.wait_for("TLS.Telegram")  # by its early record: no flow has ended yet
                self.assertIn(" open", t.screen().text)
                l7.wait_for("three more pictures", lambda: t.read(1) or t.text.count("\x1b[J") >= 3)
                screen = t.screen()
                self.assertEqual(1, len(re.findall("PROTOCOL.* CATEGORY", screen.text)))
                self.assertLess(len(screen.lines), rows + 1)
                self.assertIn("> ", screen.text)
                t.key(b"\x03")
                self.assertTrue(t.read(60))
                self.assertEqual(0, t.child.wait(60))
                screen = t.screen()
            self.assertEqual(0, screen.wrapped)
            last = re.sub(r"\x1b\[\d*[A-Za-z]", "", t.text[t.text.rindex("A\r") + 2:]).replace("\r\n", "\n")
            self.assertEqual(last.rstrip(), SGR.sub("", screen.text).rstrip(), "something of an older report is left")
            text = SGR.sub("", screen.text)
            self.assertNotIn("Ctrl-C", text)
            self.assertEqual(1, text.count("b0   "), text)
            self.assertIn("15 flows   4 refused", text.replace("\n  ", "   "))
            self.assertEqual("Chat 3 45 9.0 kB 42.0 %".split(), row(text.replace("█", ""), "TLS.Telegram"))
            self.assertIn("\nNext: ", text)

    def test_not_on_a_terminal(self):
        """A line per record, as they come."""
        with l7.Process(self.probe()) as p:
            self.wait_for_capture(p.child.pid)
            self.replay()
            l7.settled(p.child.pid)
            done = p.stop()
        self.assertEqual(0, done.status, done.err)
        lines = done.out.splitlines()
        self.assertTrue(lines[0].startswith("TIME "), done.out)
        self.assertEqual(16, len(lines), done.out)
        self.assertNotIn("\x1b", done.out)


if __name__ == "__main__":
    l7.main()
