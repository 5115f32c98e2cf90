#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""--flow-key: what tells flows apart beside addresses, ports and protocol."""
import os
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import frames as f  # noqa: E402
import l7  # noqa: E402
import pcapio  # noqa: E402
from space import Space  # noqa: E402

CLIENT, SERVER = "192.0.2.10", "198.51.100.80"
START = 1_700_000_000 * 10**9


def question(vlan):
    packet = f.udp(CLIENT, SERVER, 40000, 53, f.dns_query(1, "key.example"))
    return f.ethernet(f.ip4(CLIENT, SERVER, f.UDP, packet), tags=[(0x8100, vlan)])


def answer(vlan):
    packet = f.udp(SERVER, CLIENT, 53, 40000, f.dns_answer(1, "key.example", SERVER))
    return f.ethernet(f.ip4(SERVER, CLIENT, f.UDP, packet), tags=[(0x8100, vlan)])


class FlowKey(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.path = folder.name + "/vlans.pcap"
        frames = [question(7), answer(8)]
        pcapio.write(cls.path, [(START + i * 10**6, frame, len(frame)) for i, frame in enumerate(frames)])

    def flows(self, *more):
        found = l7.probe_flows(self.path, *more).flows
        return sorted((f["vlan_id"], f["src_ip"], f["packets"], f["rev_packets"]) for f in found)

    def test_vlans(self):
        apart = [(7, CLIENT, 1, 0), (8, SERVER, 1, 0)]
        for more in ((), ("--flow-key", "vlan"), ("--flow-key", "tunnel,vlan"), ("-w", "3")):
            self.assertEqual(apart, self.flows(*more), more)
        for key in ("tunnel", "none"):
            self.assertEqual([(7, CLIENT, 1, 1)], self.flows("--flow-key", key), key)

    def test_file(self):
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            file.write("flow_key: [tunnel]\n")
            file.flush()
            self.assertEqual([(7, CLIENT, 1, 1)], self.flows("-c", file.name))

    def test_wrong(self):
        for given, item in (("vlans", "vlans"), ("vlan,none", "none"), ("none,tunnel", "none")):
            done = l7.probe("-r", self.path, "--flow-key", given)
            self.assertEqual((1, f"l7probe: error: option --flow-key: {item} is not vlan or tunnel, nor none alone\n"),
                             (done.status, done.err))

    @unittest.skipUnless(l7.can_build(), "needs root and network namespaces")
    def test_torn(self):
        """Several workers share packets in tunnels by their outer addresses: it is said where that tears flows."""
        torn = "flow-key is without tunnel"
        with Space("eth") as space:
            for more, said in ((("--flow-key", "vlan", "-w", "2"), True), (("--flow-key", "none", "-w", "2"), True), (("-w", "2"), False),
                               (("--flow-key", "vlan"), False), (("--flow-key", "vlan", "-w", "2", "--tunnels", "outer"), False)):
                with space.probe("-i", "eth", *more, "-o", "json:-") as probe:
                    done = probe.stop()
                self.assertEqual(said, torn in done.err, (more, done.err))


if __name__ == "__main__":
    l7.main()
