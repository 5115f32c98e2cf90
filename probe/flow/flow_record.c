/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/flow_record.h"

#include <netinet/in.h>
#include <string.h>

#include "l7/fields.h"

static void record_counts(struct l7_record *r, const struct flow_record_source *s)
{
	const struct flow *f = s->flow;
	const struct flow_info *i = s->info;
	bool reported = (f->flags & FLOW_EARLY) != 0;

	r->start_ms = f->start_ms;
	r->end_ms = f->last_ms;
	r->packets = f->packets[FLOW_FORWARD];
	r->octets = f->octets[FLOW_FORWARD];
	r->rev_packets = f->packets[FLOW_REVERSE];
	r->rev_octets = f->octets[FLOW_REVERSE];
	r->tcp_flags = f->tcp_flags[FLOW_FORWARD];
	r->rev_tcp_flags = f->tcp_flags[FLOW_REVERSE];
	if (!reported)
		return;
	r->packets -= i->early.packets[FLOW_FORWARD];
	r->octets -= i->early.octets[FLOW_FORWARD];
	r->rev_packets -= i->early.packets[FLOW_REVERSE];
	r->rev_octets -= i->early.octets[FLOW_REVERSE];
	r->start_ms = f->flags & FLOW_DELTA_EMPTY ? f->last_ms : i->delta_start_ms;
	r->reported.start_ms = f->start_ms;
	r->reported.packets = i->early.packets[FLOW_FORWARD];
	r->reported.octets = i->early.octets[FLOW_FORWARD];
	r->reported.rev_packets = i->early.packets[FLOW_REVERSE];
	r->reported.rev_octets = i->early.octets[FLOW_REVERSE];
	r->reported.tcp_flags = i->early.tcp_flags[FLOW_FORWARD];
	r->reported.rev_tcp_flags = i->early.tcp_flags[FLOW_REVERSE];
}

static void record_ends(struct l7_record *r, const struct flow *f, const struct flow_info *i)
{
	unsigned initiator = f->flags & FLOW_INITIATOR_IS_1 ? 1 : 0;

	memcpy(r->src_ip, f->key.ip[initiator], 16);
	memcpy(r->dst_ip, f->key.ip[!initiator], 16);
	r->src_port = f->key.port[initiator];
	r->dst_port = f->key.port[!initiator];
	r->vlan_id = i->vlan_id;
	r->protocol = f->key.protocol;
	r->ip_version = f->key.ip_version;
	r->tos = f->tos;
	r->ingress_if = r->egress_if = i->interface;
	r->biflow = f->flags & FLOW_MIDSTREAM ? L7_BIFLOW_ARBITRARY : L7_BIFLOW_INITIATOR;
}

/* Of several tunnels the outermost: its ends can be seen on the wire. */
static void record_tunnel(struct l7_record *r, const struct flow_record_source *s)
{
	const struct packet_tunnel *t = &s->tunnel->in[0];
	unsigned source = s->flow->flags & FLOW_OUTER_TURNED ? 1 : 0;

	r->tunnel = (uint8_t)t->kind;
	r->tunnel_id = s->info->tunnel_id;
	memcpy(r->outer_src_ip, t->ip[source], 16);
	memcpy(r->outer_dst_ip, t->ip[!source], 16);
	l7_mark(r, L7_F_tunnelKind);
	l7_mark(r, L7_F_outerSourceAddress);
	l7_mark(r, L7_F_outerDestinationAddress);
	if (r->tunnel_id)
		l7_mark(r, L7_F_tunnelId);
}

static void record_verdict(struct l7_record *r, const struct dpi_verdict *v)
{
	r->master_id = v->master;
	r->app_id = v->app;
	r->category_id = v->category;
	r->confidence = v->confidence;
	r->master_confidence = v->master_confidence;
	r->risks = v->risks;
	r->risk_score = v->risk_score;
}

static void record_number(struct l7_record *r, enum l7_field f, bool seen)
{
	if (seen)
		l7_mark(r, f);
}

static void record_numbers(struct l7_record *r, const struct dpi_texts *t)
{
	struct dpi_numbers n;

	if (t->kind[DPI_NUMBERS].len != sizeof(n))
		return;
	memcpy(&n, t->kind[DPI_NUMBERS].s, sizeof(n));
	r->tls_version = n.tls_version;
	r->tls_not_after = n.tls_not_after;
	r->quic_version = n.quic_version;
	r->http_status = n.http_status;
	r->dns_query_type = n.dns_type;
	r->dns_answer_code = n.dns_code;
	r->dns_answers = n.dns_answers;
	record_number(r, L7_F_tlsVersion, n.tls_version != 0);
	record_number(r, L7_F_tlsNotAfter, n.tls_not_after != 0);
	record_number(r, L7_F_quicVersion, n.quic_version != 0);
	record_number(r, L7_F_httpStatus, n.http_status != 0);
	record_number(r, L7_F_dnsQueryType, n.dns_type != 0);
	record_number(r, L7_F_dnsResponseCode, n.dns_answered);
	record_number(r, L7_F_dnsAnswers, n.dns_answered);
}

static unsigned record_texts(struct l7_record *r, const struct dpi_texts *t)
{
	unsigned cut = 0;

	record_numbers(r, t);
	for (int i = DPI_NUMBERS + 1; i < DPI_TEXTS; i++) {
		enum l7_field f = dpi_text_field[i];

		if (!t->kind[i].len)
			continue;
		if (l7_record_text(r, l7_text_of(r, f), t->kind[i].s, t->kind[i].len, L7_TEXT_WORKER))
			l7_mark(r, f);
		else
			cut++;
	}
	return cut;
}

/* Fields of every record; the exporter adds those it knows. */
static void record_marks(struct l7_record *r)
{
	static const uint8_t always[] = {L7_F_flowId,
					 L7_F_flowStartMilliseconds,
					 L7_F_flowEndMilliseconds,
					 L7_F_sourceTransportPort,
					 L7_F_destinationTransportPort,
					 L7_F_protocolIdentifier,
					 L7_F_packetDeltaCount,
					 L7_F_octetDeltaCount,
					 L7_F_reversePacketDeltaCount,
					 L7_F_reverseOctetDeltaCount,
					 L7_F_ipClassOfService,
					 L7_F_flowEndReason,
					 L7_F_biflowDirection,
					 L7_F_recordState,
					 L7_F_applicationId,
					 L7_F_appConfidence,
					 L7_F_masterConfidence};
	uint64_t has[2] = {0, 0};

#pragma GCC unroll 64 /* two constants, then */
	for (size_t i = 0; i < sizeof(always); i++)
		has[always[i] >> 6] |= UINT64_C(1) << (always[i] & 63);
	r->has[0] |= has[0];
	r->has[1] |= has[1];
	l7_mark(r, r->ip_version == 4 ? L7_F_sourceIPv4Address : L7_F_sourceIPv6Address);
	l7_mark(r, r->ip_version == 4 ? L7_F_destinationIPv4Address : L7_F_destinationIPv6Address);
	if (r->protocol == IPPROTO_TCP) {
		l7_mark(r, L7_F_tcpControlBits);
		l7_mark(r, L7_F_reverseTcpControlBits);
	} else if (r->protocol == IPPROTO_ICMP || r->protocol == IPPROTO_ICMPV6) {
		l7_mark(r, L7_F_icmpTypeCodeIPv4);
	}
	if (r->vlan_id)
		l7_mark(r, L7_F_vlanId);
	if (r->ingress_if) {
		l7_mark(r, L7_F_ingressInterface);
		l7_mark(r, L7_F_egressInterface);
	}
	if (r->risks) {
		l7_mark(r, L7_F_flowRisk);
		l7_mark(r, L7_F_flowRiskScore);
	}
}

unsigned flow_record_fill(struct l7_record *r, const struct flow_record_source *s)
{
	const struct flow *f = s->flow;

	memset(r, 0, offsetof(struct l7_record, text));
	r->flow_id = f->flow_id;
	record_counts(r, s);
	record_ends(r, f, s->info);
	record_verdict(r, &s->info->verdict);
	r->icmp_type_code = s->info->icmp_type_code;
	r->end_reason = (uint8_t)s->reason;
	r->state = (uint8_t)((f->flags & FLOW_FINAL ? L7_STATE_FINAL : 0) | (s->early ? L7_STATE_EARLY : 0) |
			     (s->last ? L7_STATE_LAST : 0) | (f->flags & FLOW_MIDSTREAM ? L7_STATE_MIDSTREAM : 0));
	record_marks(r);
	if (s->tunnel)
		record_tunnel(r, s);
	if (s->measures->groups)
		flow_measure_record(r, s->measures, s->index, f);
	return record_texts(r, s->texts);
}
