# SPDX-License-Identifier: Apache-2.0
"""The programs that ./dev bench measures, how each is run, and what each says that it has seen."""
import json
import os
import re
import shutil
import subprocess

from loads import ROOT

BIN = os.path.join(ROOT, "build", "release", "bin")
PROTOCOLS = os.path.join(ROOT, "etc", "protocols.txt")
ROOM = "3000000"  # flows at one time, of who has a limit: none ends a flow for want of room

# What each one does, printed under the table.
NOTES = {
    "floor": "libpcap, a hash of flows, the same nDPI calls; no record, no expiry, one process (tests/bench/floor.c)",
    "l7probe": "IPFIX of the standard template to a file, default timeouts (60 s active, 15 s idle), tunnels not looked into, as by "
               "the floor; the figures are of this",
    "l7probe 0": "the same, timeouts off: as many flows as the floor has",
    "l7probe tcp": "as l7probe, over TCP to a collector that reads and forgets",
    "l7probe json": "as l7probe, JSON to a file",
    "ndpiReader": "-q: classification and its report, its own timeouts and budget of packets",
    "softflowd": "no classification; IPFIX over UDP; its timeouts (TCP 1 h, UDP 5 min)",
    "nfpcapd": "no classification; nfdump files; its timeouts (5 min active, 1 min idle)",
    "pmacctd": "no classification; nfprobe plugin, a process of its own, IPFIX over UDP; its timeouts",
}


def pmacctd_config(load, folder, port):
    path = os.path.join(folder, "pmacctd.conf")
    with open(path, "w", encoding="ascii") as f:
        f.write(f"daemonize: false\npcap_savefile: {load}\nplugins: nfprobe\nnfprobe_version: 10\n"
                f"nfprobe_receiver: 127.0.0.1:{port}\n"
                "aggregate: src_host, dst_host, src_port, dst_port, proto, tos, tcpflags\n")
    return path


def probe(load, *more):
    return [os.path.join(BIN, "l7probe"), "-c", "/dev/null", "-r", load, "--max-flows", ROOM, "--tunnels", "outer", "--stats", *more]


def programs(load, folder, port):
    """Name > command line, None if it is not installed. `port`: of the sink, TCP and UDP."""
    out = "ipfix+file://" + os.path.join(folder, "ipfix")
    flows = os.path.join(folder, "nfpcapd")
    os.makedirs(flows, exist_ok=True)
    found = {
        "floor": [os.path.join(BIN, "floor"), load, PROTOCOLS],
        "l7probe": probe(load, "-o", out),
        "l7probe 0": probe(load, "-o", out, "--active-timeout", "0", "--idle-timeout", "0"),
        "l7probe tcp": probe(load, "-o", f"ipfix+tcp://127.0.0.1:{port}"),
        "l7probe json": probe(load, "-o", "json+file://" + os.path.join(folder, "json")),
        "ndpiReader": ["ndpiReader", "-q", "-p", PROTOCOLS, "-i", load],
        # Without "-c none" it waits for a command before it reads.
        "softflowd": ["softflowd", "-d", "-c", "none", "-p", os.path.join(folder, "pid"), "-m", ROOM,
                      "-v", "10", "-n", f"127.0.0.1:{port}", "-r", load],
        "nfpcapd": ["nfpcapd", "-r", load, "-w", flows],
        "pmacctd": ["pmacctd", "-f", pmacctd_config(load, folder, port)],
    }
    path = "/usr/sbin:/usr/bin:/sbin:/bin"
    return {name: argv if shutil.which(argv[0], path=path) else None for name, argv in found.items()}


def number(text, pattern):
    found = re.search(pattern, text)
    return int(found.group(1)) if found else "-"


def nfpcapd_totals(folder):
    """nfdump reads what nfpcapd wrote: (packets, flows, octets)."""
    said = subprocess.run(["nfdump", "-R", os.path.join(folder, "nfpcapd"), "-I"], capture_output=True,
                          text=True, timeout=120, check=False).stdout
    return number(said, r"\nPackets: (\d+)"), number(said, r"\nFlows: (\d+)"), number(said, r"\nBytes: (\d+)")


def totals(name, text, folder):
    """What a program says of itself: (packets, flows, IP octets, calls of nDPI), or dashes."""
    if name == "nfpcapd":
        return (*nfpcapd_totals(folder), "-")
    if name == "softflowd":
        table = re.findall(r"\n +\S.*\(\d+\): +(\d+) +(\d+) ", text)
        return (sum(int(p) for _, p in table), number(text, r"Flows expired: (\d+)"),
                sum(int(o) for o, _ in table), "-")
    if name == "ndpiReader":
        return (number(text, r"IP packets: +(\d+)"), number(text, r"Unique flows: +(\d+)"),
                number(text, r"IP bytes: +(\d+)"), "-")
    for line in text.splitlines():
        if line.startswith("{") and "dpi_calls" in line:
            said = json.loads(line)
            refused = said["refused"]
            if isinstance(refused, dict):
                refused = sum(k["packets"] for k in refused.values())
            octets = said["octets"] if name == "floor" else "-"
            return said["packets"] - refused, said["flows"], octets, said["dpi_calls"]
    return "-", "-", "-", "-"
