#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""How an interface is captured from: CPUs, merged frames, drops on the loopback, silence on the wire."""
import os
import signal
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import frames  # noqa: E402
import l7  # noqa: E402
from space import Space, set_tso, words  # noqa: E402

# PACKET_VNET_HDR of linux/if_packet.h: a frame of which the interface is to make several
MERGED = """
import socket, struct, sys
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.setsockopt(263, 15, 1)
s.bind((sys.argv[1], 0))
for _ in range(5):
    s.send(struct.pack("<BBHHHH", 1, 1, 54, 1460, 34, 16) + bytes.fromhex(sys.argv[2]))
"""
BLAST = """
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for i in range(%d):
    s.sendto(b"x" * 1000, ("127.0.0.1", 9))
"""
BLASTED = 5000


STOPPED = 3000


def workers_of(pid):
    return l7.children(pid)[1:]


@unittest.skipUnless(l7.can_build(), "needs root and network namespaces")
class Live(unittest.TestCase):
    def run_in(self, space, *argv):
        subprocess.run(space.inside(*argv), check=True, timeout=30)

    def test_cpus(self):
        allowed = sorted(os.sched_getaffinity(0))
        order = [allowed[-1], allowed[0]]
        with Space("eth7") as space, \
                space.probe("-i", "eth7", "-w", "3", "--cpus", ",".join(map(str, order)), "-o", "json:-") as probe:
            found = [os.sched_getaffinity(pid) for pid in workers_of(probe.child.pid)]
            self.assertEqual(set(allowed), os.sched_getaffinity(probe.child.pid))
            self.assertEqual(0, probe.stop().status)
        self.assertEqual([{order[0]}, {order[1]}, {order[0]}], found)

    def test_cpus_that_are_not_there(self):
        here = min(os.sched_getaffinity(0))
        for given, said in ((f"{here},900", "option --cpus: CPU 900 is not there, or not for this process"),
                            ("0-", 'option --cpus: "0-" is no CPU and no range of them, as 0 or 2-3'),
                            ("3-1", 'option --cpus: "3-1" is no CPU and no range of them, as 0 or 2-3')):
            done = l7.probe("-i", "lo", "--cpus", given)
            self.assertEqual((1, f"l7probe: error: {said}\n"), (done.status, done.err))
        done = l7.probe("-i", "lo", "--promiscuous", "maybe")
        self.assertEqual((1, 'l7probe: error: option --promiscuous: it is "maybe", not yes or no\n'), (done.status, done.err))

    def test_promiscuous(self):
        """The kernel counts who wants all frames of an interface."""
        for given, promiscuity in (("yes", "1"), ("no", "0")):
            with Space("eth7") as space, space.probe("-i", "eth7", "--promiscuous", given, "-o", "json:-") as probe:
                said = space.ip("-d", "link", "show", "dev", "eth7")
                probe.stop()
            self.assertIn(f"promiscuity {promiscuity}", said)

    def merged(self, tso):
        """A segment for which the interface is to make three of, and what is said of it at the start."""
        whole = frames.ethernet(frames.ip4("10.0.0.1", "10.0.0.2", frames.TCP, frames.tcp(
            "10.0.0.1", "10.0.0.2", 4000, 80, 1, 1, frames.ACK, b"x" * 4380)))
        with Space("eth7") as space:
            for end in ("eth7", "eth7x"):
                set_tso(space.name, end, tso)
            with space.probe("-i", "eth7", "-o", "json:-") as probe:
                self.run_in(space, "/usr/bin/python3", "-c", MERGED, "eth7x", whole.hex())
                l7.settled(probe.child.pid)
                done = probe.stop()
        self.assertEqual(5 * 4380, sum(f["octets"] for f in done.flows) - 40 * done.stats["packets"])
        return words(done.err), done.stats["packets"], done.stats["interfaces"][0]["merged_packets"]

    def test_merged(self):
        said = "l7probe: warning: eth7: packets may be merged before they are captured, and count as one; ethtool -K eth7 tso off"
        self.assertEqual(([said], 5, 5), self.merged(True))

    def test_not_merged(self):
        self.assertEqual(([], 15, 0), self.merged(False))

    def test_drops_on_the_loopback(self):
        """Each packet is there once: seen, or dropped while nobody could look."""
        with Space() as space, space.probe("-i", "lo", "-f", "udp port 9", "--buffer-size", "1", "-o", "json:-") as probe:
            for pid in workers_of(probe.child.pid):
                os.kill(pid, signal.SIGSTOP)
            self.run_in(space, "/usr/bin/python3", "-c", BLAST % BLASTED)
            for pid in workers_of(probe.child.pid):
                os.kill(pid, signal.SIGCONT)
            l7.settled(probe.child.pid)
            done = probe.stop()
        self.assertGreater(done.stats["drops"]["kernel"], 0)
        self.assertEqual(BLASTED, done.stats["packets"] + done.stats["drops"]["kernel"])
        self.assertEqual(done.stats["drops"]["kernel"], done.stats["interfaces"][0]["kernel_drops"])

    def check_stopped(self, interfaces, *more):
        """The workers have not come to read what is there when they are told to end."""
        frame = frames.datagram("10.0.0.1", "10.0.0.2", 4000, 9, b"x" * 100)
        with Space(*interfaces) as space, space.probe("-i", ",".join(interfaces), "-o", "json:-", *more) as probe:
            workers = workers_of(probe.child.pid)
            for pid in workers:
                os.kill(pid, signal.SIGSTOP)
            space.send(*[(interface, frame, STOPPED) for interface in interfaces])
            probe.child.terminate()
            l7.wait_for("the signal", lambda: all(int(l7.status_of(pid)["SigPnd"], 16) | int(l7.status_of(pid)["ShdPnd"], 16)
                                                  for pid in workers))
            for pid in workers:
                os.kill(pid, signal.SIGCONT)
            done = probe.finish()
        self.assertEqual(0, done.status, done.err)
        self.assertEqual([STOPPED] * len(interfaces), [i["packets"] for i in done.stats["interfaces"]])
        self.assertEqual(STOPPED * len(interfaces), sum(f["packets"] for f in done.flows))

    def test_what_came_is_read_before_the_end(self):
        self.check_stopped(("eth7",))

    def test_what_came_is_read_before_the_end_of_several(self):
        self.check_stopped(("eth7", "eth8"), "-w", "2")

    def test_silence(self):
        """Flows end although no packet comes any more to say what time it is."""
        with Space("eth7") as space, \
                space.probe("-i", "eth7", "--idle-timeout", "1", "-o", "json:-") as probe:
            space.send(("eth7", frames.datagram("10.0.0.1", "10.0.0.2", 4000, 53, frames.dns_query(1, "a.example"))))
            l7.wait_for("the record", lambda: os.path.getsize(probe.out_path) > 0)
            flow = l7.json_lines(probe.text(probe.out_path))[0]
            self.assertEqual(("idle", 1), (flow["end_reason"], flow["packets"]))
            self.assertEqual(0, probe.stop().status)


if __name__ == "__main__":
    l7.main()
