/* SPDX-License-Identifier: Apache-2.0 */
/* A flow in the hands of nDPI. */
#include <netinet/in.h>
#include <string.h>

#include "dpi/dpi_judge.h"
#include "dpi/dpi_module.h"
#include "dpi/faults.h"
#include "dpi/generation.h"
#include "dpi/meta.h"
#include "l7/fields.h"

struct dpi_state {
	struct ndpi_flow_struct flow;
	struct generation_answer answer;
	uint8_t packets;
	bool tls_record;
	bool midstream;
	struct meta meta;
};

size_t dpi_state_size(void)
{
	return sizeof(struct dpi_state);
}

void dpi_begin(void *state, bool midstream)
{
	struct dpi_state *s = state;

	memset(s, 0, sizeof(*s));
	s->midstream = midstream;
}

void dpi_end(void *state)
{
	struct dpi_state *s = state;

	ndpi_free_flow_data(&s->flow);
}

/* ContentType 20 to 23, version 3.0 to 3.4, a length that a record may have (RFC 8446 section 5.1). */
static bool state_is_tls_record(const struct packet *p)
{
	const uint8_t *h = p->payload;

	if (p->payload_captured < 5)
		return false;
	return h[0] >= 20 && h[0] <= 23 && h[1] == 3 && h[2] <= 4 && (h[3] << 8 | h[4]) != 0 &&
	       (h[3] << 8 | h[4]) <= 16384 + 2048;
}

/*
 * nDPI walks the headers behind IPv6 itself, not over all that are passed over here (AH, Shim6), and over mobility, behind which
 * nothing is. A packet in which it would take another protocol than the flow's is not for it: what it keeps of TCP and of UDP is in
 * the same place.
 */
static __attribute__((noinline)) bool state_same_protocol(const struct packet *p)
{
	uint8_t next = p->ip[6];
	uint32_t at = 40;

	while (next == IPPROTO_HOPOPTS || next == IPPROTO_ROUTING || next == IPPROTO_FRAGMENT ||
	       next == IPPROTO_DSTOPTS) {
		uint32_t len;

		if (at + 8 > p->ip_captured)
			return false;
		len = next == IPPROTO_FRAGMENT ? 8 : p->ip[at + 1] * 8u + 8;
		next = p->ip[at];
		at += len;
	}
	return next == p->protocol && next != IPPROTO_MH;
}

bool dpi_packet(struct dpi_module *m, void *state, const struct packet *p)
{
	struct dpi_state *s = state;
	bool known;

	fault_packet(p->payload, p->payload_captured);
	if (p->ip_version == 6 && p->ip[6] != IPPROTO_TCP && p->ip[6] != IPPROTO_UDP && !state_same_protocol(p))
		return false;
	s->answer = generation_packet(m->ndpi, &s->flow, p, s->midstream);
	s->packets++;
	if (m->peek)
		meta_packet(&s->meta, &s->flow, p);
	if (p->protocol == IPPROTO_TCP && !s->tls_record)
		s->tls_record = state_is_tls_record(p);
	known = s->answer.app || s->answer.master;
	if (s->answer.app >= NDPI_MAX_SUPPORTED_PROTOCOLS)
		return true; /* a rule of the user's: nDPI forgets it on the next packet */
	if (known && !ndpi_extra_dissection_possible(m->ndpi, &s->flow))
		return true;
	if (s->flow.fail_with_unknown)
		return true;
	return s->packets >= (p->protocol == IPPROTO_TCP ? DPI_BUDGET_TCP : DPI_BUDGET_OTHER);
}

static void state_evidence(struct dpi_module *m, const struct dpi_state *s, struct dpi_evidence *e)
{
	struct generation_ends ends = generation_ends(&s->flow);
	bool lookalike;
	uint16_t port = s->answer.master ? s->answer.master : s->answer.app;

	*e = (struct dpi_evidence){
		.master = s->answer.master,
		.app = s->answer.app,
		.raw = generation_confidence(&s->flow),
		.inside = generation_inside(&s->flow),
		.tls = NDPI_PROTOCOL_TLS,
		.telegram = NDPI_PROTOCOL_TELEGRAM,
		.custom = s->answer.app >= NDPI_MAX_SUPPORTED_PROTOCOLS,
		.tcp = s->flow.l4_proto == IPPROTO_TCP,
		.payload = s->packets > 0,
		.tls_record = s->tls_record,
		.port_refuted = !s->midstream && NDPI_ISSET(&s->flow.excluded_protocol_bitmask, port),
	};
	/* One dissected protocol needs no other witness, but for Telegram's (dpi_judge.h). */
	if (e->raw >= L7_CONF_CACHE && (!e->master || e->master == e->app) && e->app != e->telegram)
		return;
	e->by_name = dpi_module_by_name(m, s->flow.host_server_name, &lookalike);
	if (lookalike) {
		e->lookalike = e->by_name;
		e->by_name = NDPI_PROTOCOL_UNKNOWN;
	}
	e->by_source = dpi_module_by_address(m, ends.source, ends.source_port);
	e->by_destination = dpi_module_by_address(m, ends.destination, ends.destination_port);
}

void dpi_verdict(struct dpi_module *m, void *state, const struct dpi_ends *ends, struct dpi_verdict *v,
		 struct dpi_texts *texts)
{
	struct dpi_state *s = state;
	struct dpi_evidence e;
	uint16_t client, server;

	if (!s->answer.app && !s->answer.master)
		s->answer = generation_giveup(m->ndpi, &s->flow);
	state_evidence(m, s, &e);
	memset(v, 0, sizeof(*v));
	dpi_judge(&e, v);
	/* A rule of a file brings no category with it, not even one for a protocol that has one. */
	dpi_module_categorize(m, s->flow.host_server_name, ends, v->app == s->answer.app ? s->answer.category : 0, v);
	dpi_module_call(m, v);
	v->risks = s->flow.risk;
	v->risk_score = s->flow.risk ? ndpi_risk2score(s->flow.risk, &client, &server) : 0;
	if (!texts)
		return;
	meta_read(&s->meta, &s->flow, texts);
	for (int k = m->peek ? DPI_NUMBERS + 1 : DPI_NUMBERS; k < DPI_TEXTS; k++)
		if (k == DPI_NUMBERS || !l7_wants(m->wanted, dpi_text_field[k]))
			texts->kind[k].len = 0;
}

void dpi_guess(struct dpi_module *m, const struct dpi_ends *ends, struct dpi_verdict *v)
{
	bool ports = ends->protocol == IPPROTO_TCP || ends->protocol == IPPROTO_UDP;
	struct dpi_evidence e = {.tls = NDPI_PROTOCOL_TLS, .telegram = NDPI_PROTOCOL_TELEGRAM};
	uint32_t src = 0, dst = 0;
	struct generation_answer answer;

	if (ends->ip_version == 4) {
		memcpy(&src, ends->src_ip + 12, 4);
		memcpy(&dst, ends->dst_ip + 12, 4);
	}
	fault_guess(ends->dst_port);
	answer = generation_guess(m->ndpi, ends);
	e.master = answer.master;
	e.app = answer.app;
	e.custom = answer.app >= NDPI_MAX_SUPPORTED_PROTOCOLS;
	e.tcp = ends->protocol == IPPROTO_TCP;
	e.by_source = dpi_module_by_address(m, src, htons(ends->src_port));
	e.by_destination = dpi_module_by_address(m, dst, htons(ends->dst_port));
	/* What is no TCP or UDP was named by the IP header's own protocol number: that was seen. */
	e.raw = ports ? L7_CONF_PORT : L7_CONF_DPI;
	memset(v, 0, sizeof(*v));
	dpi_judge(&e, v);
	dpi_module_categorize(m, "", ends, 0, v);
	dpi_module_call(m, v);
}
