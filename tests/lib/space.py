# SPDX-License-Identifier: Apache-2.0
"""A network namespace with interfaces that only a test speaks on: frames go in at the other end of a veth."""
import os
import subprocess

import l7

# Reads lines "interface hex-octets [how often]" and sends them; answers "ok" to "end".
SENDER = """
import socket, sys
sockets = {}
for line in sys.stdin:
    words = line.split()
    if words[0] == "end":
        print("ok", flush=True)
        continue
    if words[0] == "forget":
        sockets.clear()
        continue
    if words[0] not in sockets:
        sockets[words[0]] = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        sockets[words[0]].bind((words[0], 0))
    frame, times = bytes.fromhex(words[1]), int(words[2]) if len(words) > 2 else 1
    for _ in range(times):
        sockets[words[0]].send(frame)
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
            self.sysctl("net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1")
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

    def sysctl(self, *settings):
        """Nothing but the test's own frames; where /proc/sys is read-only, so be it."""
        subprocess.run(self.inside("sysctl", "-qw", *settings), capture_output=True)

    def add(self, interface):
        self.ip("link", "add", "name", interface, "type", "veth", "peer", "name", interface + "x")
        self.ip("link", "set", "dev", interface, "arp", "off", "up")
        self.ip("link", "set", "dev", interface + "x", "arp", "off", "up")
        set_tso(self.name, interface, False)

    def index(self, interface):
        return int(self.ip("-o", "link", "show", "dev", interface).split(":")[0])

    def send(self, *frames):
        """frames are (interface, octets[, how often]); returns when the kernel has them."""
        for interface, octets, *times in frames:
            self.sender.stdin.write(f"{interface}x {octets.hex()} {times[0] if times else 1}\n")
        self.sender.stdin.write("end\n")
        self.sender.stdin.flush()
        if self.sender.stdout.readline() != "ok\n":
            raise AssertionError("the sender has ended")

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
