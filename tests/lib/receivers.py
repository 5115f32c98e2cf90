# SPDX-License-Identifier: Apache-2.0
"""What tests of receivers have in common: the files of etc/interop, which captures, what is to arrive of them, and how a receiver is run.

A receiver's record is read into halves (netflow.Half), one for each direction, and these are compared with those of the probe's own JSON.
"""
import collections
import functools
import os
import re
import shlex
import socket
import tempfile
import time

import l7
import netflow

INTEROP = os.path.join(l7.ROOT, "etc", "interop")
CAPTURES = ("telegram.pcap", "teams.pcap", "1kxun.pcap", "http_ipv6.pcap")
V9, V5, IPFIX = "netflow9+udp", "netflow5+udp", "ipfix+udp"
PROFILES = ("standard", "ntop", "security", "full", "iana")
RATE = 2000   # records a second: receivers have only the buffer that the kernel gives to everybody


def shipped(*path):
    """Path of a file in etc/interop."""
    found = os.path.join(INTEROP, *path)
    if not os.path.exists(found):
        raise AssertionError(f"etc/interop has no {'/'.join(path)}")
    return found


def changed(path, changes):
    """The text of such a file, where it listens and keeps things replaced: each of the places must be there."""
    with open(path, encoding="utf-8") as f:
        text = f.read()
    for old, new in changes.items():
        if old not in text:
            raise AssertionError(f"{path} has no {old}")
        text = text.replace(old, new)
    return text


def command(path, program):
    """The first command line for a program in the comments of such a file, as words: commands are indented there."""
    with open(path, encoding="utf-8") as f:
        found = re.findall(rf"^[#!]   ({re.escape(program)} .*)$", f.read(), re.M)
    if not found:
        raise AssertionError(f"{path} says no command line for {program}")
    return shlex.split(found[0])


def nfcapd(flows_folder, port):
    """nfcapd with the options of its file, in one file of flows for as long as a test lasts."""
    path = shipped("nfcapd", "l7probe.conf")
    text = changed(path, {"-w /var/cache/nfdump/l7probe": f"-w {flows_folder}", "-p 2055": f"-p {port}"})
    return ["nfcapd", "-b", "127.0.0.1", "-t", "3600", *re.search("^options='(.*)'$", text, re.M).group(1).split()]


@functools.lru_cache(None)
def flows(name):
    return l7.probe_flows(l7.corpus(name)).flows


def expected(name, scheme, apps=True):
    """Halves that are to arrive: of v5 no IPv6, and no names."""
    found = netflow.all_halves(flows(name), apps and scheme != V5)
    return found if scheme != V5 else collections.Counter({h: n for h, n in found.items() if netflow.fits_v5(h)})


def records(name, scheme, profile):
    """How many records arrive of a capture."""
    return len(flows(name)) if scheme == IPFIX and profile != "iana" else sum(expected(name, scheme).values())


def uri(scheme, port, options=""):
    return f"{scheme}://127.0.0.1:{port}?rate={RATE}{options}"


def export(name, scheme, port, options="", *more):
    done = l7.probe("-r", l7.corpus(name), *l7.NO_TIMEOUTS, "-o", uri(scheme, port, options), "--stats", *more)
    if done.status != 0:
        raise AssertionError(f"exit {done.status}: {done.err}")
    return done


class Receiver:
    """
    A receiver that runs, writes a line of JSON for each record to its standard output, and is ended by `with`. What it has written is in
    `lines` once arrived() has come back.
    """

    def __init__(self, argv, port, **options):
        self.port = port
        self.process = l7.Process(argv, **options)
        self.process.wait_until(f"{argv[0]} listens", lambda: l7.udp_queue(port))

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.process.__exit__()

    def written(self):
        text = self.process.text(self.process.out_path)
        return text[:text.rfind("\n") + 1].splitlines()

    def arrived(self, count, wanted=lambda line: True, seconds=20):
        """Waits until so many wanted lines are written and the queue is empty, then a moment for those that are too many, and ends it."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and sum(map(wanted, self.written())) < count:
            time.sleep(0.02)
        l7.wait_for("all is read", lambda: l7.udp_queue(self.port)[0] == 0)
        if l7.udp_queue(self.port)[1]:
            raise AssertionError("the kernel dropped datagrams")
        done = self.process.stop()
        return [line for line in done.out.splitlines() if wanted(line)]


class EveryProfile:
    """
    For a test of a receiver: each profile over IPFIX and v9, and v5, of each capture. The test has collect(name, scheme, profile), which
    returns what the receiver wrote, a dict for each record, and halves(row, scheme).
    """
    SAMPLING = "sampling_interval"

    def timed(self, scheme):
        """Whether the receiver has the times of flows."""
        return True

    def look(self, rows, scheme):
        """What else is to be so."""

    def check(self, name, scheme, profile=""):
        rows = self.collect(name, scheme, profile)
        self.assertEqual(records(name, scheme, profile), len(rows))
        found = collections.Counter(half for row in rows for half in self.halves(row, scheme))
        want = collections.Counter()
        for half, n in expected(name, scheme).items():
            want[half if self.timed(scheme) else half._replace(first_ms=0, last_ms=0)] += n
        if scheme == V5:   # they have no type and code of ICMP there, but the port that these are in
            found = collections.Counter({h._replace(dport=0) if h.protocol == netflow.ICMP else h: n for h, n in found.items()})
        self.assertEqual(want, found)
        self.look(rows, scheme)
        return rows

    def check_all(self, scheme, profiles):
        for profile in profiles:
            for name in CAPTURES:
                if expected(name, scheme):
                    with self.subTest(name, profile=profile):
                        rows = self.check(name, scheme, profile)
                        if profile:
                            self.assertEqual({1}, {row[self.SAMPLING] for row in rows})

    def test_ipfix(self):
        self.check_all(IPFIX, PROFILES)

    def test_version_9(self):
        self.check_all(V9, PROFILES)

    def test_version_5(self):
        self.check_all(V5, ("",))


def folder():
    return tempfile.TemporaryDirectory(prefix="l7interop-")


def free_port():
    return l7.free_port(socket.SOCK_DGRAM)


def number_of_protocol(name):
    return int(name) if name.isdigit() else socket.getprotobyname(name)


def flags_of(text):
    """TCP flags as letters, the highest first, of 8 bits or 16."""
    if not re.fullmatch("[A-Z.]{8}|[A-Z.]{16}", text):
        raise AssertionError(f"no flags: {text}")
    return sum(1 << bit for bit, letter in enumerate(reversed(text[-8:])) if letter != ".")
