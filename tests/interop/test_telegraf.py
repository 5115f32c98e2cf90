#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Telegraf with etc/interop/telegraf/l7probe.conf: every profile over IPFIX and NetFlow v9, and v5."""
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

CONF = r.shipped("telegraf", "l7probe.conf")
ELEMENTS = r.shipped("telegraf", "elements.csv")
# Only what it takes here: all of Telegraf is ten times as large.
TELEGRAF = gopeers.program("telegraf", "github.com/influxdata/telegraf/cmd/telegraf",
                           "custom,inputs.netflow,outputs.file,serializers.json")
OUTPUT = """
[agent]
  flush_interval = "200ms"
  flush_jitter = "0s"
  metric_buffer_limit = 100000
  omit_hostname = true
  skip_processors_after_aggregators = true
[[outputs.file]]
  files = ["stdout"]
  data_format = "json"
"""


def is_flow(line):
    return '"name":"netflow"' in line


def app_of(row):
    """template=ntop has ntop's element for the name, which Telegraf leaves as it is in v9."""
    for key in ("app_name", "l7_protocol_name"):
        if key in row:
            return row[key]
    return bytes.fromhex(row["type_57591"][2:]).rstrip(b"\0").decode()


def halves(row, timed, apps):
    """Telegraf leaves times of v9 and v5 as they are: milliseconds of a device that it does not know more of."""
    times = (row["flow_start_ms"], row["flow_end_ms"]) if timed else (0, 0)
    rest = times + (app_of(row) if apps else "",)
    src, dst, sport, dport = row["src"], row["dst"], row["src_port"], row["dst_port"]
    protocol = r.number_of_protocol(row["protocol"])
    if row["in_packets"]:
        yield netflow.Half(src, dst, sport, dport, protocol, row["in_packets"], row["in_bytes"], r.flags_of(row["tcp_flags"]), *rest)
    if row.get("rev_packets"):
        yield netflow.Half(dst, src, dport, sport, protocol, row["rev_packets"], row["rev_octets"], row["rev_tcp_flags"] & 0xFF, *rest)


class Telegraf(r.EveryProfile, unittest.TestCase):
    def collect(self, name, scheme, profile=""):
        port = r.free_port()
        other = next(p for p in iter(r.free_port, None) if p != port)
        ports = (other, port) if scheme == r.V5 else (port, other)
        with r.folder() as folder:
            path = folder + "/l7probe.conf"
            with open(path, "w", encoding="utf-8") as f:
                f.write(r.changed(CONF, {'"udp://:4739"': f'"udp://127.0.0.1:{ports[0]}"', '"udp://:2055"': f'"udp://127.0.0.1:{ports[1]}"',
                                         "/etc/telegraf/elements.csv": ELEMENTS}) + OUTPUT)
            with r.Receiver([TELEGRAF, "--config", path], port) as telegraf:
                r.export(name, scheme, port, f"&template={profile}" if profile else "")
                lines = telegraf.arrived(r.records(name, scheme, profile), is_flow)
                self.assertNotIn(" E! ", telegraf.process.err)
        return [json.loads(line)["fields"] for line in lines]

    def timed(self, scheme):
        return scheme == r.IPFIX

    def halves(self, row, scheme):
        return halves(row, self.timed(scheme), scheme != r.V5)

    def look(self, rows, scheme):
        """Nothing is left without a name: the list of elements is whole."""
        if scheme == r.IPFIX:
            self.assertEqual(set(), {key for row in rows for key in row if key.startswith("type_")})

    def test_layer_7(self):
        """Categories, server names, risks and how sure the name is are those of JSON."""
        words = ["none", "port", "ip", "partial", "cache", "dpi"]
        want = collections.Counter((f["app"], f["category"], f.get("sni", ""), int(f.get("risks", "0")), words.index(f["confidence"]))
                                   for f in r.flows("teams.pcap"))
        rows = self.collect("teams.pcap", r.IPFIX, "standard")
        self.assertEqual(want, collections.Counter((row["app_name"], row["app_category"], row["sni"], row["risks"], row["confidence"])
                                                   for row in rows))
        self.assertGreater(sum(1 for row in rows if row["sni"]), 10)


if __name__ == "__main__":
    l7.main()
