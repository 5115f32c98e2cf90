# SPDX-License-Identifier: Apache-2.0
"""Engines that read our records, from PyPI into build/interop, and what their tests feed to them."""
import copy
import json
import os
import re
import subprocess
import sys
import time

import l7

ANALYTICS = os.path.join(l7.ROOT, "etc", "analytics")
INSTALL_SECONDS = 900
DAY_MS = 86400 * 1000


def skip(why):
    print(f"SKIP: {why}")
    print("0 passed, 0 failed, 1 skipped", flush=True)
    sys.exit(0)


def install(folder, requirements):
    """A venv with what a file of requirements lists. Returns None, or why there is none."""
    with open(folder + ".log", "wb") as log:
        for argv in (("/usr/bin/python3", "-m", "venv", "--clear", folder),
                     (folder + "/bin/python", "-m", "pip", "install", "--disable-pip-version-check", "-r", requirements)):
            try:
                done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, timeout=INSTALL_SECONDS, check=False)
            except subprocess.TimeoutExpired:
                return f"not installed within {INSTALL_SECONDS} s"
            if done.returncode != 0:
                with open(folder + ".log", encoding="utf-8", errors="replace") as f:
                    errors = [line.strip() for line in f if line.startswith("ERROR")]
                return errors[-1] if errors else f"exit {done.returncode}"
    return None


def enter(engine):
    """
    Returns when this is the Python that has the engine: the test's file is started again in the engine's own venv, since no two of
    them take the same libraries. Where it cannot be installed the test says so and ends.
    """
    folder = os.path.join(l7.ROOT, "build", "interop", engine)
    if os.path.realpath(sys.prefix) == os.path.realpath(folder):
        return
    requirements = os.path.join(l7.ROOT, "tests", "interop", f"requirements-{engine}.txt")
    stamp = folder + ".installed"
    with open(requirements, encoding="utf-8") as f:
        wanted = f.read()
    have = None
    if os.path.exists(stamp):
        with open(stamp, encoding="utf-8") as f:
            have = f.read()
    if have != wanted:
        os.makedirs(os.path.dirname(folder), exist_ok=True)
        print(f"installing {engine} into build/interop", flush=True)
        why = install(folder, requirements)
        if why:
            skip(f"{engine} cannot be installed: {why}")
        with open(stamp, "w", encoding="utf-8") as f:
            f.write(wanted)
    os.environ.pop("JAVA_HOME", None)  # Debian's, which ./dev installs
    python = folder + "/bin/python"
    os.execv(python, [python] + sys.argv)


def text_of(*path):
    with open(os.path.join(ANALYTICS, *path), encoding="utf-8") as f:
        return f.read()


def uncommented(sql):
    """SQL without comments; the columns and lines stay where they were."""
    return re.sub(r"'(?:[^']|'')*'|--[^\n]*", lambda m: "" if m.group().startswith("--") else m.group(), sql)


def statements(sql):
    """The statements of a file, without comments."""
    parts = re.findall(r"(?:'(?:[^']|'')*'|[^;'])+", uncommented(sql))
    return [part.strip() for part in parts if part.strip()]


def shifted(records, ms, **more):
    """Copies of records at another time, with other values; {} is nothing else."""
    made = copy.deepcopy(records)
    for record in made:
        record["start_ms"] += ms
        record["end_ms"] += ms
        record.update(more)
    return made


def story():
    """
    Records of tests/captures/story.pcap, early ones too, as l7probe writes them to Kafka and to json:-; but that they ended an
    hour ago, to the minute, as engines look at the clock.
    """
    done = l7.probe("-r", l7.STORY, "--exporter", "probe-1", "-o", "json:-?early=1")
    if done.status != 0:
        raise AssertionError(done.err)
    records = done.flows
    last = max(record["end_ms"] for record in records)
    minutes = (int(time.time() * 1000) - 3600 * 1000 - last) // 60000
    return shifted(records, minutes * 60000)


def lines(records):
    """As messages, one a line; what is text already goes as it is."""
    return "".join((r if isinstance(r, str) else json.dumps(r, separators=(",", ":"))) + "\n" for r in records)


def once(records):
    """Without doubles."""
    return list({(r["exporter"], r["stream_id"], r["record_sequence"]): r for r in records}.values())


def sums(records, *keys):
    """{values of the keys: (records, octets, rev_octets)}, each record once."""
    found = {}
    for record in once(records):
        key = tuple(record[name] for name in keys)
        count, sent, received = found.get(key, (0, 0, 0))
        found[key] = (count + 1, sent + record["octets"], received + record["rev_octets"])
    return found
