#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""goflow2 with etc/interop/goflow2/mapping.yaml: every profile over IPFIX and NetFlow v9, and v5."""
import collections
import json
import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import gopeers  # noqa: E402
import l7  # noqa: E402
import netflow  # noqa: E402
import receivers as r  # noqa: E402

MAPPING = r.shipped("goflow2", "mapping.yaml")
GOFLOW2 = gopeers.program("goflow2", "github.com/netsampler/goflow2/v2/cmd/goflow2")


def start():
    """With the command line that the file has, but for addresses and where it writes."""
    port = r.free_port()
    words = r.command(MAPPING, "goflow2")
    listen = words[words.index("-listen") + 1].replace("netflow://:2055", f"netflow://127.0.0.1:{port}")
    assert str(port) in listen and words[words.index("-mapping") + 1] == "mapping.yaml", words
    return r.Receiver([GOFLOW2, "-addr", "", "-listen", listen, "-mapping", MAPPING], port)


def text(row, key):
    """A text, which in v9 is in hexadecimal digits and ends in zeros."""
    if key in row:
        return row[key]
    return bytes.fromhex(row.get(key + "_hex", "")).rstrip(b"\0").decode()


def halves(row, apps):
    name = text(row, "app") if apps else ""
    times = row["time_flow_start_ns"] // 10 ** 6, row["time_flow_end_ns"] // 10 ** 6
    ends = (row["src_addr"], row["src_port"]), (row["dst_addr"], row["dst_port"])
    for direction in ("", "rev_"):
        if row.get(direction + "packets"):
            (src, sport), (dst, dport) = ends[::-1] if direction else ends
            yield netflow.Half(src, dst, sport, dport, row["proto"], row[direction + "packets"], row[direction + "bytes"],
                               row.get(direction + "tcp_flags", 0) & 0xFF, *times, name)


class Goflow2(r.EveryProfile, unittest.TestCase):
    SAMPLING = "sampling"

    def collect(self, name, scheme, profile="", more=()):
        with start() as goflow2:
            done = r.export(name, scheme, goflow2.port, f"&template={profile}" if profile else "", *more)
            return [json.loads(line) for line in goflow2.arrived(done.stats["outputs"][0]["sent"])]

    def halves(self, row, scheme):
        return halves(row, scheme != r.V5)

    def look(self, rows, scheme):
        for row in rows:
            self.assertEqual("IPv6" if ":" in row["src_addr"] else "IPv4", row["etype"])
            if scheme == r.V9:
                self.assertEqual(1, row["sampling_rate"])


    def test_layer_7(self):
        """Categories, server names and risks are those of JSON, in both protocols."""
        flows = r.flows("teams.pcap")
        for scheme in (r.IPFIX, r.V9):
            with self.subTest(scheme):
                rows = self.collect("teams.pcap", scheme, "standard")

                def seen(row):
                    return text(row, "app"), text(row, "category"), text(row, "sni"), row["risks"], row["risk_score"]
                want = collections.Counter()
                for f in flows:
                    times = len(netflow.halves(f)) if scheme == r.V9 else 1
                    want[f["app"], f["category"], f.get("sni", ""), int(f.get("risks", "0")), f.get("risk_score", 0)] += times
                self.assertEqual(want, collections.Counter(map(seen, rows)))
                self.assertGreater(sum(1 for row in rows if text(row, "sni")), 10)

    def test_sampled(self):
        """What it takes for the rate of sampling, and what each record says."""
        for scheme in (r.IPFIX, r.V9):
            with self.subTest(scheme):
                rows = self.collect("teams.pcap", scheme, more=("--sample-flows", "4"))
                self.assertEqual({(4, 4)}, {(row["sampling"], row["sampling_rate"]) for row in rows})


if __name__ == "__main__":
    l7.main()
