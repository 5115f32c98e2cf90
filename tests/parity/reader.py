# SPDX-License-Identifier: Apache-2.0
"""What nDPI's own ndpiReader says of each flow of a capture.

From the text of -v 2: its CSV leaves out what it does not know. Flows are keyed as both programs can say it: protocol number, the two
ends in order, VLAN.
"""
import os
import re
import subprocess

import l7

PROTOCOLS = os.path.join(l7.ROOT, "etc", "protocols.txt")
NUMBERS = {"TCP": 6, "UDP": 17, "ICMP": 1, "ICMPV6": 58, "VRRP": 112, "IGMP": 2}
SURE = "DPI"

# A flow's line: number, protocol, ends, brackets. Names of hosts are in later brackets, and may hold anything.
LINE = re.compile(r"^\t\d+\t(?P<protocol>\S+) (?P<a>\S+) (?:<->|->) (?P<b>\S+) (?:\[VLAN: (?P<vlan>\d+)\])?"
                  r"\[proto: (?:[A-Za-z]+:)?[\d.]+/(?P<name>[^\]]*)\]"
                  r"(?:\[[^\]]*\])*?\[Confidence: (?P<confidence>[^\]]+)\]")
LIKE_A_FLOW = re.compile(r"^\t\d+\t\S+ \S+ (?:<->|->) \S+ ")


class Flow:
    """A flow as one of the programs names it."""

    def __init__(self, name, confidence):
        self.name, self.confidence = name, confidence


def address(text):
    """As ndpiReader writes an address: of IPv6, each group of 0 is left out, however many there are."""
    out, i = "", 0
    while i < len(text):
        if text.startswith(":0:", i):
            out, i = out + "::", i + 3
        else:
            out, i = out + text[i], i + 1
    return out


def key(protocol, a, b, vlan):
    """Of two (address, port)."""
    return (protocol,) + tuple(sorted((a, b))) + (vlan,)


def end(text):
    host, port = text.rsplit(":", 1)
    return host.strip("[]"), int(port)


def flows(path, program="ndpiReader"):
    """{key: Flow}; what ndpiReader prints twice under one key, or this cannot read, is an error."""
    done = subprocess.run([program, "-v", "2", "-p", PROTOCOLS, "-i", path], capture_output=True, check=False,
                          timeout=120, stdin=subprocess.DEVNULL, cwd="/")
    found = {}
    for line in done.stdout.decode("utf-8", "replace").splitlines():
        if not LIKE_A_FLOW.match(line):
            continue
        m = LINE.match(line)
        if not m:
            raise ValueError(f"{path}: ndpiReader says what is not understood: {line[:200]}")
        number = NUMBERS.get(m["protocol"]) or int(m["protocol"])
        k = key(number, end(m["a"]), end(m["b"]), int(m["vlan"] or 0))
        if k in found:
            raise ValueError(f"{path}: ndpiReader says {k} twice")
        found[k] = Flow(m["name"], m["confidence"])
    return found


def version(program="ndpiReader"):
    done = subprocess.run([program, "-h"], capture_output=True, check=False, stdin=subprocess.DEVNULL)
    return re.search(r"nDPI (\S+)", done.stdout.decode("utf-8", "replace")).group(1)
