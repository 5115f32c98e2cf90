#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""l7probe beside ndpiReader of the same nDPI, flow by flow, on every capture of nDPI's corpus: ./dev parity.

Each flow that both do not have, or that they name differently, is a difference. tests/parity/differences.txt has those that are
known, each with its cause; a difference that is not in it, one of it that no longer is, and a cause that the capture itself
contradicts make this fail. `--list` prints what the file would have to be.
"""
import argparse
import collections
import glob
import multiprocessing.pool
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import l7  # noqa: E402
import headers  # noqa: E402
import reader  # noqa: E402

LIST = os.path.join(os.path.dirname(os.path.abspath(__file__)), "differences.txt")
SHARE = 0.995
GUESSES_MAX = 150
TORN = re.compile(r"truncated dump file")  # what stands before the tear is read, by both
REFUSED = re.compile(r"link type .* is not supported")

# Those that a program finds out from the capture come first; the others are found by people and are in the file.
FOUND = {
    "honest guess": "ndpiReader names by port what was not seen or was looked for in vain, l7probe leaves that out",
    "new connection": "on the same ports, another flow of l7probe, one flow of ndpiReader",
    "VLAN": "several tags: l7probe keys flows by the outermost, ndpiReader by the innermost",
    "tunnel": "IP in IP: ndpiReader always has the inner flow, an l7probe that does not look into tunnels the outer",
    "fragment": "ndpiReader drops every fragment but the first",
    "short": "a first fragment or a length without all of the TCP or UDP header: port 0 in ndpiReader",
    "cut": "less was captured than the IP header says: ndpiReader drops it",
    "not IP": "the frame's type is not IP; ndpiReader takes for IPv4 what starts with a 4",
    "IP header": "an IPv4 header length below 20, which l7probe refuses",
}
CLAIMED = {
    "packet budget": "decided later than after so many packets with payload (docs/ndpi.md)",
    "no payload": "nDPI wants segments without payload for this, which l7probe does not give it",
}
CAUSES = {**FOUND, **CLAIMED}
UNEXPLAINED = "?"

Difference = collections.namedtuple("Difference", "capture key theirs ours cause")


def key_text(key):
    protocol, a, b, vlan = key
    ends = " ".join(f"[{h}]:{p}" if ":" in h else f"{h}:{p}" for h, p in (a, b))
    return f"{protocol} {ends}" + (f" vlan {vlan}" if vlan else "")


class Capture:
    """What both say of one capture; `refused` is why l7probe does not read it."""

    def __init__(self, path, programs):
        self.path, self.name, self.refused, self.frames = path, os.path.basename(path), "", None
        self.theirs = reader.flows(path, programs.reader)
        self.run(programs, programs.outer)
        if programs.inner and any(d.cause == "tunnel" for d in self.differences):
            self.run(programs, programs.inner)

    def run(self, programs, options):
        done = l7.probe("-r", self.path, *l7.NO_TIMEOUTS, "-o", "json:-", "--stats", *programs.options, *options,
                        binary=programs.probe)
        if done.status == 2 and REFUSED.search(done.said):
            self.refused = REFUSED.search(done.said).group(0)
        elif done.status and not (done.status == 2 and TORN.search(done.said)):
            raise ValueError(f"{self.path}: l7probe: exit {done.status}: {done.said}")
        elif done.stats["worker_restarts"]:
            raise ValueError(f"{self.path}: l7probe: {done.said}")
        self.ours = collections.defaultdict(list)
        for f in done.flows:
            a, b = ((reader.address(f[s + "_ip"]), f.get(s + "_port", 0)) for s in ("src", "dst"))
            self.ours[reader.key(f["protocol"], a, b, f.get("vlan_id", 0))].append(reader.Flow(f["app"], f["confidence"]))
        self.differences, self.same, self.both = [], collections.Counter(), collections.Counter()
        if not self.refused:
            self.compare()

    def find(self, cause, key):
        if self.frames is None:
            self.frames = headers.frames(self.path)
        return cause(self.frames, key) or UNEXPLAINED

    def compare(self):
        ours, left = dict(self.ours), []
        for key, theirs in self.theirs.items():
            if key in ours:
                self.compare_flow(key, theirs, ours.pop(key))
            else:
                left.append((key, theirs))
        for key, theirs in left:
            other = next((k for k in ours if k[:3] == key[:3]), None)
            if other:
                mine = ours.pop(other)
                self.compare_flow(key, theirs, mine, f" vlan {other[3]}")
            else:
                self.differ(key, theirs.name, "-", self.find(headers.why_theirs, key))
        for key, mine in ours.items():
            self.differ(key, "-", names(mine), self.find(headers.why_ours, key))

    def compare_flow(self, key, theirs, mine, vlan=""):
        same = all(plain(f.name) == plain(theirs.name) for f in mine)
        self.both[theirs.confidence] += 1
        self.same[theirs.confidence] += same
        if not same:
            self.differ(key, theirs.name, names(mine) + vlan, why_named(theirs, mine))
        elif vlan:
            self.differ(key, theirs.name, names(mine) + vlan, "VLAN")

    def differ(self, key, theirs, ours, cause):
        self.differences.append(Difference(self.name, key_text(key), theirs, ours, cause))


def plain(name):
    """nDPI's "Z39.50" is Z39_50 in records."""
    return name.replace(".", "_")


def names(flows):
    return " ".join(sorted({f.name for f in flows}))


def why_named(theirs, mine):
    """A guess by ndpiReader's own account, for which l7probe has less or another one; or a name of one of several connections."""
    parts = theirs.name.split(".")
    same = [plain(f.name) == plain(theirs.name) for f in mine]
    by_port = theirs.confidence == "Match by port"
    less = all(known or f.name == "Unknown" or by_port and f.confidence in ("ip", "port") or
               f.name == parts[-1] and f.confidence == "ip" for f, known in zip(mine, same))
    if theirs.confidence.startswith("Match by") and less:
        return "honest guess"
    return "new connection" if any(same) else UNEXPLAINED


# ---- the list ----

def read_list(path=LIST):
    """{(capture, key, theirs, ours): cause}"""
    known = {}
    with open(path, encoding="utf-8") as f:
        for number, line in enumerate(f, 1):
            if line.startswith("#") or not line.strip():
                continue
            fields = line.rstrip("\n").split("\t")
            if len(fields) != 5 or fields[4] not in CAUSES:
                raise ValueError(f"{path}:{number}: not five fields with a known cause last")
            if tuple(fields[:4]) in known:
                raise ValueError(f"{path}:{number}: this is there twice")
            known[tuple(fields[:4])] = fields[4]
    return known


def judge(captures, known):
    """(differences with the cause that holds, what is wrong with the list): of these captures alone, and not of refused ones."""
    seen, wrong, held = set(), [], []
    for d in (d for c in captures for d in c.differences):
        cause = known.get(tuple(d[:4]))
        seen.add(tuple(d[:4]))
        if cause is None:
            wrong.append("not in the list: " + "  ".join(d))
        elif cause != d.cause and (d.cause != UNEXPLAINED or cause in FOUND):
            wrong.append(f"the list says {cause}, the capture {d.cause}: " + "  ".join(d[:4]))
        held.append(d._replace(cause=cause or d.cause))
    looked_at = {c.name for c in captures if not c.refused}
    for entry in known:
        if entry[0] in looked_at and entry not in seen:
            wrong.append("in the list, and no longer so: " + "  ".join(entry))
    guesses = sum(cause == "honest guess" for cause in known.values())
    if guesses > GUESSES_MAX:
        wrong.append(f"{guesses} honest guesses in the list, {GUESSES_MAX} at most")
    return held, wrong


def print_list(differences):
    width = max(len(c) for c in CAUSES)
    print("# SPDX-License-Identifier: Apache-2.0\n#\n# Where l7probe and ndpiReader of nDPI 4.2 differ on nDPI's corpus, compared by ./dev parity: capture, flow (protocol,\n"
          "# both ends, VLAN), what ndpiReader says, what l7probe says, cause; '-': it has no such flow.\n#")
    for cause, text in CAUSES.items():
        print(f"# {cause:{width}}  {text}")
    print()
    for d in sorted(differences):
        print("\t".join(d))


# ---- the report ----

def share(captures):
    """(same, both have, all) of the flows that ndpiReader is sure of."""
    compared = [c for c in captures if not c.refused]
    return (sum(c.same[reader.SURE] for c in compared), sum(c.both[reader.SURE] for c in compared),
            sum(f.confidence == reader.SURE for c in compared for f in c.theirs.values()))


def report(captures, held):
    compared = [c for c in captures if not c.refused]
    print(f"{len(captures)} captures, {len(compared)} compared; flows: ndpiReader {sum(len(c.theirs) for c in compared)}, "
          f"l7probe {sum(len(c.ours) for c in compared)} by key")
    for why, n in collections.Counter(c.refused for c in captures if c.refused).items():
        print(f"  {n} not compared: {why}")
    several = sum(len(f) > 1 for c in compared for f in c.ours.values())
    print(f"  {several} keys of l7probe are several connections on the same ports, one flow of ndpiReader\n")
    print("ndpiReader's confidence    flows  both have     same")
    theirs = collections.Counter(f.confidence for c in compared for f in c.theirs.values())
    for confidence, n in theirs.most_common():
        both, same = sum(c.both[confidence] for c in compared), sum(c.same[confidence] for c in compared)
        print(f"  {confidence:22} {n:7} {both:10} {same:8}")
    print("\ncause             named otherwise   only ndpiReader   only l7probe")
    table = collections.Counter((d.cause, "theirs" if d.ours == "-" else "ours" if d.theirs == "-" else "name") for d in held)
    for cause in [*CAUSES, UNEXPLAINED]:
        row = [table[cause, kind] for kind in ("name", "theirs", "ours")]
        if any(row):
            print(f"  {cause:16} {row[0]:14} {row[1]:17} {row[2]:14}")


def compare_all(paths, programs, jobs=2):
    with multiprocessing.pool.ThreadPool(jobs) as pool:
        return pool.map(lambda path: Capture(path, programs), paths, chunksize=1)


def corpus():
    return sorted(p for p in glob.glob(l7.CORPUS + "/*") if p.endswith((".pcap", ".pcapng", ".cap")))


class Programs:
    """The two of the same nDPI, and options of l7probe's that make them comparable."""

    def __init__(self, probe=l7.L7PROBE, ndpi_reader="ndpiReader"):
        self.probe, self.reader = probe, ndpi_reader
        self.options = ["--protocols", reader.PROTOCOLS]
        tunnels = "--tunnels" in l7.probe("-h", binary=probe).out
        # ndpiReader looks into IP in IP whatever it is told, and into no other tunnel unless it is.
        self.outer = ["--tunnels", "outer"] if tunnels else []
        self.inner = ["--tunnels", "inner"] if tunnels else []


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--list", action="store_true", help="print the list of differences as it would be now")
    options.add_argument("--no-list", action="store_true", help="say what differs, whatever the list says: for another nDPI")
    options.add_argument("--probe", default=l7.L7PROBE, help="the l7probe to compare")
    options.add_argument("--reader", default="ndpiReader", help="the ndpiReader to compare it with")
    options.add_argument("capture", nargs="*", help="captures; default the whole corpus")
    chosen = options.parse_args()
    paths = chosen.capture or corpus()
    if not paths:
        sys.exit("the corpus is not there: ./dev corpus")
    captures = compare_all(paths, Programs(chosen.probe, chosen.reader))
    known = {} if chosen.no_list else read_list()
    held, wrong = judge(captures, known)
    if chosen.list:
        print_list(held)
        return 0
    print(f"ndpiReader {reader.version(chosen.reader)}")
    report(captures, held)
    same, both, sure = share(captures)
    print(f"\nsame protocol on {same} of the {sure} flows that ndpiReader is sure of: {100 * same / sure:.2f} %; "
          f"of the {both} that both have: {100 * same / both:.2f} %")
    if chosen.no_list:
        for d in sorted(d for d in held if d.cause == UNEXPLAINED):
            print("  " + "  ".join(d[:4]))
        return 0
    for line in wrong:
        print(line)
    return 1 if wrong or (not chosen.capture and same < SHARE * both) else 0


if __name__ == "__main__":
    sys.exit(main())
