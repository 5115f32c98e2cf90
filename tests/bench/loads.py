# SPDX-License-Identifier: Apache-2.0
"""The loads of ./dev bench, made once and kept in build/bench."""
import glob
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
PCAPS = os.path.join(ROOT, "build", "corpus", "pcap")
FOLDER = os.path.join(ROOT, "build", "bench")

sys.path.insert(0, HERE)
import manyload  # noqa: E402
import mixload   # noqa: E402


def small_captures():
    """Every capture under 1 MB: many short flows of every protocol."""
    return sorted(p for p in glob.glob(PCAPS + "/*") if os.path.getsize(p) < 1_000_000
                  and p.endswith((".pcap", ".pcapng", ".cap")))


def long_captures():
    """Hundreds of packets in a flow."""
    return [os.path.join(PCAPS, n + ".pcap") for n in
            ("pinterest", "tumblr", "reddit", "netflix", "zoom2", "ookla", "tor", "instagram")]


def mixed(captures, copies):
    return lambda path: mixload.make(path, captures(), copies)


def many(kind, at_once, flows):
    return lambda path: manyload.make(path, kind, at_once, flows)


# Name > how it is made.
LOADS = {
    "mix": mixed(small_captures, 10),
    "long": mixed(long_captures, 6),
    "dns-10k": many("dns", 10_000, 500_000),
    "dns-50k": many("dns", 50_000, 50_000),
    "dns-100k": many("dns", 100_000, 500_000),
    "dns-2m": many("dns", 2_000_000, 2_000_000),
    "syn-2m": many("syn", 2_000_000, 2_000_000),
    "dns-1m": many("dns", 1_000_000, 1_000_000),
    "one": many("syn", 1, 1),
}
TIMED = ["mix", "long", "dns-10k", "dns-100k", "dns-2m", "syn-2m"]


def load_file(name):
    """The load's path."""
    os.makedirs(FOLDER, exist_ok=True)
    path = os.path.join(FOLDER, name + ".pcap")
    if not os.path.exists(path):
        print(f"making {path}", file=sys.stderr)
        LOADS[name](path)
    return path
