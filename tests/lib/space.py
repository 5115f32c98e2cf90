# SPDX-License-Identifier: Apache-2.0
"""A network namespace with interfaces that only a test speaks on: frames go in at the other end of a veth."""
import os
import subprocess

import l7
import town

# Reads lines "interface hex-octets [how often]" and sends them into the interface's other end. Answers "ok" to "end" once the
# kernel has handed them all to who listens there: a socket that is never read counts them (PACKET_STATISTICS).
SENDER = """
import socket, struct, sys, time
mouths, ears, sent, heard = {}, {}, {}, {}
def all_heard():
    for name in ears:
        heard[name] += struct.unpack("II", ears[name].getsockopt(263, 6, 8))[0]
    return all(heard[name] >= sent[name] for name in ears)
for line in sys.stdin:
    words = line.split()
    name = words[0]
    if name == "end":
        until = time.monotonic() + 60
        while not all_heard() and time.monotonic() < until:
            time.sleep(0.001)
        print("ok" if all_heard() else f"of {sent} frames came {heard}", flush=True)
        continue
    if name == "forget":
        for each in mouths, ears, sent, heard:
            each.clear()
        continue
    if name not in mouths:
        ears[name] = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        ears[name].setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        ears[name].bind((name, 3))
        mouths[name] = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        mouths[name].bind((name + "x", 0))
        sent[name] = heard[name] = 0
    frame, times = bytes.fromhex(words[1]), int(words[2]) if len(words) > 2 else 1
    sent[name] += times
    for _ in range(times):
        mouths[name].send(frame)
"""


# ioctl() of linux/sockios.h with a command of linux/ethtool.h: `ethtool -K NAME tso on|off`
TSO = """
import ctypes, fcntl, socket, struct, sys
value = ctypes.create_string_buffer(struct.pack("II", 0x1F, int(sys.argv[2])))
fcntl.ioctl(socket.socket(), 0x8946, struct.pack("16sP", sys.argv[1].encode(), ctypes.addressof(value)))
"""


def set_tso(space, interface, on):
    """Whether an interface lets merged segments pass; l7probe warns of it."""
    subprocess.run(("ip", "netns", "exec", space, "/usr/bin/python3", "-c", TSO, interface, str(int(on))), check=True)


class Space:
    """`with` removes it. Interface NAME is watched, what is sent into NAME + "x" comes out of it."""

    count = 0

    def __init__(self, *interfaces):
        Space.count += 1
        self.name = f"l7s{os.getpid()}n{Space.count}"
        self.interfaces = interfaces
        self.sender = None

    def __enter__(self):
        subprocess.run(["ip", "netns", "add", self.name], check=True)
        try:
            town.Town.quiet(self.name)
            self.ip("link", "set", "lo", "up")
            for interface in self.interfaces:
                self.add(interface)
            self.sender = subprocess.Popen(self.inside("/usr/bin/python3", "-c", SENDER), stdin=subprocess.PIPE,
                                           stdout=subprocess.PIPE, text=True)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *unused):
        if self.sender:
            self.sender.kill()
            self.sender.wait()
            self.sender.stdin.close()
            self.sender.stdout.close()
        subprocess.run(["ip", "netns", "del", self.name], capture_output=True)

    def inside(self, *argv):
        return ("ip", "netns", "exec", self.name) + argv

    def ip(self, *argv):
        return subprocess.run(("ip", "-n", self.name) + argv, check=True, capture_output=True, text=True).stdout

    def add(self, interface):
        self.ip("link", "add", "name", interface, "type", "veth", "peer", "name", interface + "x")
        town.no_chatter(self.name, interface, interface + "x")
        self.ip("link", "set", "dev", interface, "arp", "off", "up")
        self.ip("link", "set", "dev", interface + "x", "arp", "off", "up")
        set_tso(self.name, interface, False)

    def index(self, interface):
        return int(self.ip("-o", "link", "show", "dev", interface).split(":")[0])

    def send(self, *frames):
        """frames are (interface, octets[, how often]); returns when they are where the probe takes them from."""
        for interface, octets, *times in frames:
            self.sender.stdin.write(f"{interface} {octets.hex()} {times[0] if times else 1}\n")
        self.sender.stdin.write("end\n")
        self.sender.stdin.flush()
        said = self.sender.stdout.readline()
        if said != "ok\n":
            raise AssertionError(said or "the sender has ended")

    def forget(self):
        """Before an interface is removed: its socket is of no use afterwards."""
        self.sender.stdin.write("forget\n")
        self.send()

    def probe(self, *arguments):
        """l7probe inside, once each of its workers captures."""
        process = l7.Process(self.inside(l7.L7PROBE, *arguments, "--stats", "-v"))
        workers = int(arguments[arguments.index("-w") + 1]) if "-w" in arguments else 1
        wanted = workers * len(arguments[arguments.index("-i") + 1].split(","))
        try:
            l7.wait_for("it captures", lambda: process.err.count("capturing on") >= wanted or
                        process.child.poll() is not None)
        except BaseException:
            process.__exit__()
            raise
        return process


def words(err):
    """What was said as warning or error."""
    return [line for line in err.splitlines() if ": warning: " in line or ": error: " in line]
