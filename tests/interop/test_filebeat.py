#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Filebeat's input with etc/interop/filebeat: every profile over IPFIX and NetFlow v9, and v5. The program around it is filebeat/main.go."""
import collections
import datetime
import json
import os
import re
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import gopeers  # noqa: E402
import l7  # noqa: E402
import netflow  # noqa: E402
import receivers as r  # noqa: E402

CONF = r.shipped("filebeat", "filebeat.yml")
FILEBEAT = gopeers.program("filebeat", ".")


def is_flow(line):
    return '"netflow_flow"' in line


def ms(text):
    """Times of Go, of nine digits at most."""
    text = re.sub(r"(\.\d{1,6})\d*", r"\1", text.replace("Z", "+00:00"))
    text = re.sub(r"\.(\d+)", lambda m: "." + m.group(1).ljust(6, "0"), text)
    return round(datetime.datetime.fromisoformat(text).timestamp() * 1000)


def times_of(row, scheme):
    if scheme == r.IPFIX:
        return ms(row["flow_start_milliseconds"]), ms(row["flow_end_milliseconds"])
    boot = ms(row["exporter"]["timestamp"]) - row["exporter"]["uptime_millis"]
    return boot + row["flow_start_sys_up_time"], boot + row["flow_end_sys_up_time"]


def halves(row, scheme):
    name = row.get("application_name", row.get("app", row.get("l7_protocol_name", ""))) if scheme != r.V5 else ""
    version = "ipv6" if "source_ipv6_address" in row else "ipv4"
    ends = [(row[f"{end}_{version}_address"], row.get(f"{end}_transport_port", 0)) for end in ("source", "destination")]
    for packets, octets, flags in (("packet_delta_count", "octet_delta_count", "tcp_control_bits"),
                                   ("rev_packets", "rev_octets", "rev_tcp_flags")):
        if row.get(packets):
            yield netflow.Half(ends[0][0], ends[1][0], ends[0][1], ends[1][1], row["protocol_identifier"], row[packets], row[octets],
                               row[flags] & 0xFF, *times_of(row, scheme), name)
        ends.reverse()


class Filebeat(r.EveryProfile, unittest.TestCase):
    def collect(self, name, scheme, profile=""):
        port = r.free_port()
        argv = [FILEBEAT, "-c", CONF, "-definitions", os.path.dirname(CONF), "-host", f"127.0.0.1:{port}"]
        with r.Receiver(argv, port) as filebeat:
            r.export(name, scheme, port, f"&template={profile}" if profile else "")
            lines = filebeat.arrived(r.records(name, scheme, profile), is_flow)
            self.assertNotRegex(filebeat.process.err, "WARN|ERROR")
        return [json.loads(line)["netflow"] for line in lines]

    def halves(self, row, scheme):
        return halves(row, scheme)

    def test_layer_7(self):
        """Categories, server names and risks are those of JSON, in both protocols."""
        for scheme in (r.IPFIX, r.V9):
            with self.subTest(scheme):
                want = collections.Counter()
                for f in r.flows("teams.pcap"):
                    times = len(netflow.halves(f)) if scheme == r.V9 else 1
                    want[f["app"], f["category"], f.get("sni", ""), int(f.get("risks", "0")), f.get("risk_score", 0)] += times
                rows = self.collect("teams.pcap", scheme, "standard")
                self.assertEqual(want, collections.Counter((row["application_name"], row["application_category_name"], row["sni"],
                                                            row["risks"], row["risk_score"]) for row in rows))
                self.assertGreater(sum(1 for row in rows if row["sni"]), 10)


if __name__ == "__main__":
    l7.main()
