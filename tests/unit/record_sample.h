/* SPDX-License-Identifier: Apache-2.0 */
/* Records for tests, all that a record can carry filled in. */
#ifndef TESTS_RECORD_SAMPLE_H
#define TESTS_RECORD_SAMPLE_H

#include <string.h>

#include "base/addr.h"
#include "l7/fields.h"

static inline void record_sample_text(struct l7_record *r, struct l7_text *t, enum l7_field f, const char *s)
{
	if (l7_record_text(r, t, s, strlen(s), L7_TEXT_MAX))
		l7_mark(r, f);
}

/* Record number n, IPv4 if n is even: every number differs from the others. */
static inline void record_sample(struct l7_record *r, unsigned n)
{
	memset(r, 0, sizeof(*r));
	for (unsigned f = 0; f < L7_FIELD_COUNT; f++)
		if (l7_fields[f].type < L7_TYPE_TEXT)
			l7_mark(r, (enum l7_field)f);
	r->flow_id = UINT64_C(0xfedcba9876543210) + n;
	r->stream_id = UINT64_C(9007199254740993);
	r->record_sequence = n;
	r->start_ms = UINT64_C(1700000000000) + n;
	r->end_ms = r->start_ms + 1500;
	r->octets = 1000 + n;
	r->packets = 10 + n;
	r->rev_octets = 100000 + n;
	r->rev_packets = 90 + n;
	r->risks = UINT64_C(1) << 40 | n;
	r->ip_version = n % 2 ? 6 : 4;
	addr_parse(n % 2 ? "2001:db8::77" : "192.0.2.10", r->src_ip);
	addr_parse(n % 2 ? "2001:db8:0:1:0:2:3:4" : "149.154.167.220", r->dst_ip);
	r->tunnel = L7_TUNNEL_GTP;
	r->tunnel_id = UINT32_C(0x80000001) + n;
	addr_parse(n % 2 ? "203.0.113.1" : "2001:db8:a::1", r->outer_src_ip); /* of the other version */
	addr_parse("203.0.113.2", r->outer_dst_ip);
	r->ingress_if = 3;
	r->egress_if = 4;
	r->sampling = 1;
	r->app_id = 185;
	r->master_id = 91;
	r->category_id = 9;
	r->src_port = (uint16_t)(40000 + n % 20000);
	r->dst_port = 443;
	r->vlan_id = 100;
	r->tcp_flags = 0x1b;
	r->rev_tcp_flags = 0x1a;
	r->risk_score = 50;
	r->icmp_type_code = 0x0301;
	r->protocol = 6;
	r->tos = 0x10;
	r->end_reason = L7_END_DETECTED;
	r->biflow = L7_BIFLOW_INITIATOR;
	r->confidence = L7_CONF_DPI;
	r->master_confidence = L7_CONF_PARTIAL;
	r->state = L7_STATE_FINAL | L7_STATE_LAST;
	r->place.src_as = 64500 + n;
	r->place.dst_as = UINT32_C(4200000000) + n;
	record_sample_text(r, &r->place.src_country, L7_F_sourceCountry, "DE");
	record_sample_text(r, &r->place.dst_country, L7_F_destinationCountry, "US");
	record_sample_text(r, &r->sni, L7_F_tlsServerName, "api.telegram.org");
	record_sample_text(r, &r->http_host, L7_F_httpHost, "www.example.com");
	record_sample_text(r, &r->dns_query, L7_F_dnsQuery, "name.example.org");
	l7_record_set_app(r, "TLS.Telegram", strlen("TLS.Telegram"));
	record_sample_text(r, &r->category, L7_F_applicationCategoryName, "Chat");
	record_sample_text(r, &r->interface, L7_F_interfaceName, "eth0");
	record_sample_text(r, &r->exporter, L7_F_exporterName, "probe1");
	for (unsigned f = 0; f < L7_FIELD_COUNT; f++) {
		struct l7_text *t = (struct l7_text *)(void *)((char *)r + l7_fields[f].offset);

		if (l7_fields[f].type == L7_TYPE_TEXT && !t->len)
			record_sample_text(r, t, (enum l7_field)f, l7_fields[f].name);
	}
}

#endif
