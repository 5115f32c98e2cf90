#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What records say of TLS, QUIC, HTTP, DNS and SSH is what tshark reads in the same packets.

Each value that a record has must be one that tshark has for that flow (both
may see several: of requests, of questions), and enough of them must be there.
"""
import collections
import datetime
import os
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import l7  # noqa: E402

ENDS = ("ip.src", "ipv6.src", "ip.dst", "ipv6.dst", "tcp.srcport", "udp.srcport", "tcp.dstport", "udp.dstport")


def tshark(name, fields):
    """{(source, target): {field: [values]}} of single packets that are in no tunnel: the probe looks at the outer ones."""
    argv = ["tshark", "-n", "-r", l7.corpus(name), "-T", "fields", "-E", "separator=|", "-E", "occurrence=a",
            "-E", "aggregator=\x01"]
    for field in ENDS + fields:
        argv += ["-e", field]
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=120, check=False)
    found = collections.defaultdict(lambda: collections.defaultdict(list))
    for line in done.stdout.decode("utf-8", "replace").splitlines():
        words = line.split("|")
        if len(words) != len(ENDS) + len(fields) or "\x01" in "".join(words[:len(ENDS)]):
            continue
        source, target = (words[0] or words[1], words[4] or words[5]), (words[2] or words[3], words[6] or words[7])
        for field, value in zip(fields, words[len(ENDS):]):
            found[source, target][field] += [v for v in value.split("\x01") if v]
    return found


def same(value):
    return [value]


def number(value):
    return [int(value, 0)]


def url(value):
    """With and without its scheme, and as long as a record has it."""
    return [v[:255] for v in (value, value.replace("http://", "", 1))]


class Metadata(unittest.TestCase):
    def compare(self, captures, wanted, least, missed=0):
        """
        wanted: {key: (tshark's field, who sends it, what makes tshark's value ours)}; least: {key: flows that must have it};
        missed: values of flows that tshark has and we do not, at most.
        """
        fields = tuple(dict.fromkeys(f for field, _, _ in wanted.values() for f in field.split("+")))
        counts, absent, unread = collections.Counter(), collections.Counter(), 0
        for name in captures:
            theirs = tshark(name, fields)
            for flow in l7.probe_flows(l7.corpus(name)).flows:
                ends = (flow["src_ip"], str(flow["src_port"])), (flow["dst_ip"], str(flow["dst_port"]))
                halves = {"client": theirs[ends], "server": theirs[ends[::-1]]}
                for key, (field, who, make) in wanted.items():
                    values = [ours for f in field.split("+") for value in halves[who][f] for ours in make(value)]
                    if key in flow and not values:
                        unread += 1  # tshark takes it for something else, or misses a segment before it
                    elif key in flow:
                        self.assertIn(flow[key], values, f"{name}: {key} of {flow}")
                        counts[key] += 1
                    elif values and flow["state"].find("midstream") < 0:
                        absent[key] += 1
        print("found", dict(counts), "missed", dict(absent), "unread", unread, file=sys.stderr)
        for key, most in least.items():
            self.assertGreaterEqual(counts[key], most, key)
        self.assertLessEqual(sum(absent.values()), missed, absent)
        self.assertLessEqual(unread, 1 + sum(counts.values()) // 10)

    def test_tls(self):
        self.compare(("google_ssl.pcap", "tls_long_cert.pcap", "dns_doh.pcap", "anydesk.pcap", "teams.pcap",
                      "dtls2.pcap", "no_sni.pcap", "reddit.pcap"),
                     {"ja3c": ("tls.handshake.ja3", "client", same), "ja3s": ("tls.handshake.ja3s", "server", same),
                      "tls_version": ("tls.handshake.version+tls.handshake.extensions.supported_version", "server",
                                      number)},
                     {"ja3c": 70, "ja3s": 70, "tls_version": 70}, missed=10)

    def test_certificates(self):
        """As the results that nDPI's own program has had."""
        found = 0
        for name in ("anydesk.pcap", "teams.pcap", "tls_long_cert.pcap", "google_ssl.pcap"):
            with open(os.path.join(os.path.dirname(l7.CORPUS), "result", name + ".out"), encoding="utf-8") as f:
                lines = f.read().splitlines()
            for flow in l7.probe_flows(l7.corpus(name)).flows:
                if "tls_not_after" not in flow:
                    continue
                ends = [f"{flow[e + '_ip']}:{flow[e + '_port']}" for e in ("src", "dst")]
                line = next(w for w in lines if ends[0] in w.split() and any(x.startswith(ends[1]) for x in w.split()))
                after = datetime.datetime.fromtimestamp(flow["tls_not_after"], datetime.timezone.utc)
                for text in (f"[Issuer: {flow['tls_issuer']}]", f"[Subject: {flow['tls_subject']}]",
                             f" - {after:%Y-%m-%d %H:%M:%S}]"):
                    self.assertIn(text, line)
                found += 1
        self.assertGreaterEqual(found, 20)

    def test_quic(self):
        self.compare(("quic-29.pcap", "quic-mvfst-27.pcapng", "quic-v2-00.pcapng", "quic_t51.pcap", "doq.pcapng"),
                     {"quic_version": ("quic.version", "client", number)}, {"quic_version": 4})
        self.compare(("quic.pcap", "quic_q39.pcap", "quic_q43.pcap", "quic_q46.pcap"),
                     {"quic_version": ("gquic.version", "client", lambda v: [int.from_bytes(v.encode(), "big")])},
                     {"quic_version": 4})

    def test_http(self):
        self.compare(("http_auth.pcap", "exe_download.pcap", "instagram.pcap", "1kxun.pcap", "WebattackXSS.pcap", "pps.pcap",
                      "http-lines-split.pcap", "aimini-http.pcap"),
                     {"http_method": ("http.request.method", "client", same),
                      "http_url": ("http.request.full_uri", "client", url),
                      "http_user_agent": ("http.user_agent", "client", lambda v: [v[:255]]),
                      "http_status": ("http.response.code", "server", number),
                      "http_content_type": ("http.content_type", "server", lambda v: [v[:64]])},
                     {"http_method": 100, "http_url": 100, "http_user_agent": 80, "http_status": 50,
                      "http_content_type": 30}, missed=100)

    def test_dns(self):
        self.compare(("dns_exfiltration.pcap", "dns_long_domainname.pcap", "1kxun.pcap", "teams.pcap", "netbios.pcap",
                      "android.pcap", "dns-tunnel-iodine.pcap"),
                     {"dns_query_type": ("dns.qry.type", "client", number),
                      "dns_answer_code": ("dns.flags.rcode", "server", number),
                      "dns_answers": ("dns.count.answers", "server", number)},
                     {"dns_query_type": 80, "dns_answer_code": 50, "dns_answers": 50}, missed=40)

    def test_ssh(self):
        self.compare(("ssh.pcap",),
                     {"ssh_client": ("ssh.protocol", "client", same), "ssh_server": ("ssh.protocol", "server", same),
                      "ssh_hassh_client": ("ssh.kex.hassh", "client", same),
                      "ssh_hassh_server": ("ssh.kex.hasshserver", "server", same)},
                     {"ssh_client": 1, "ssh_server": 1, "ssh_hassh_client": 1, "ssh_hassh_server": 1})


if __name__ == "__main__":
    l7.main()
