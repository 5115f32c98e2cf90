/* SPDX-License-Identifier: Apache-2.0 */
#include "l7/record.h"

#include <string.h>

#include "l7/fields.h"

static const char *const record_confidences[L7_CONF_COUNT] = {"none", "port", "ip", "partial", "cache", "dpi"};
static const char *const record_reasons[L7_END_COUNT] = {"none", "idle", "active", "end", "forced", "resources"};

bool l7_record_text(struct l7_record *r, struct l7_text *t, const char *s, size_t len, size_t limit)
{
	t->off = t->len = 0;
	if (len > L7_STRING_MAX)
		len = L7_STRING_MAX;
	if (len > limit || r->text_len > limit - len)
		return false;
	memcpy(r->text + r->text_len, s, len);
	t->off = r->text_len;
	t->len = (uint16_t)len;
	r->text_len = (uint16_t)(r->text_len + len);
	return true;
}

bool l7_record_set_app(struct l7_record *r, const char *name, size_t len)
{
	const char *dot = memchr(name, '.', len);
	size_t master = dot ? (size_t)(dot - name) : len;
	size_t skip = dot ? master + 1 : 0;

	r->master = r->application = (struct l7_text){0, 0};
	if (!l7_record_text(r, &r->app, name, len, L7_TEXT_MAX))
		return false;
	if (skip > r->app.len) /* the name was cut before its dot */
		skip = master = r->app.len;
	r->master = (struct l7_text){r->app.off, (uint16_t)(master < r->app.len ? master : r->app.len)};
	r->application = (struct l7_text){(uint16_t)(r->app.off + skip), (uint16_t)(r->app.len - skip)};
	l7_mark(r, L7_F_applicationName);
	l7_mark(r, L7_F_masterName);
	l7_mark(r, L7_F_applicationPart);
	return true;
}

void l7_record_fold(struct l7_record *r)
{
	const struct l7_reported *e = &r->reported;

	if (e->packets || e->rev_packets) {
		r->start_ms = e->start_ms;
		r->octets += e->octets;
		r->packets += e->packets;
		r->rev_octets += e->rev_octets;
		r->rev_packets += e->rev_packets;
		r->tcp_flags |= e->tcp_flags;
		r->rev_tcp_flags |= e->rev_tcp_flags;
	}
	memset(&r->reported, 0, sizeof(r->reported));
}

static bool record_text_ok(const struct l7_record *r, struct l7_text t)
{
	return t.len <= L7_STRING_MAX && (size_t)t.off + t.len <= r->text_len;
}

#define RECORD_SWAP(type, a, b)                                                                                        \
	do {                                                                                                           \
		type swap_ = (a);                                                                                      \
		(a) = (b);                                                                                             \
		(b) = swap_;                                                                                           \
	} while (0)

void l7_record_reverse(struct l7_record *r)
{
	uint8_t ip[16];

	memcpy(ip, r->src_ip, 16);
	memcpy(r->src_ip, r->dst_ip, 16);
	memcpy(r->dst_ip, ip, 16);
	RECORD_SWAP(uint16_t, r->src_port, r->dst_port);
	RECORD_SWAP(uint64_t, r->octets, r->rev_octets);
	RECORD_SWAP(uint64_t, r->packets, r->rev_packets);
	RECORD_SWAP(uint16_t, r->tcp_flags, r->rev_tcp_flags);
	RECORD_SWAP(uint32_t, r->ingress_if, r->egress_if);
	if (r->biflow == L7_BIFLOW_INITIATOR || r->biflow == L7_BIFLOW_REVERSE)
		r->biflow = r->biflow == L7_BIFLOW_INITIATOR ? L7_BIFLOW_REVERSE : L7_BIFLOW_INITIATOR;
}

bool l7_record_check(const struct l7_record *r, size_t used)
{
	const struct l7_text *texts[] = {&r->app,       &r->master,    &r->application, &r->category, &r->sni,
					 &r->http_host, &r->dns_query, &r->interface,   &r->exporter};

	if (used < offsetof(struct l7_record, text) || used > sizeof(*r))
		return false;
	if (r->text_len > used - offsetof(struct l7_record, text))
		return false;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (!record_text_ok(r, *texts[i]))
			return false;
	return (r->ip_version == 4 || r->ip_version == 6) && r->confidence < L7_CONF_COUNT &&
	       r->master_confidence < L7_CONF_COUNT && r->end_reason < L7_END_COUNT && r->state <= L7_STATE_ALL &&
	       r->biflow <= L7_BIFLOW_PERIMETER;
}

const char *l7_confidence_name(unsigned confidence)
{
	return confidence < L7_CONF_COUNT ? record_confidences[confidence] : "?";
}

int l7_confidence_parse(const char *name)
{
	for (int i = 0; i < L7_CONF_COUNT; i++)
		if (strcmp(record_confidences[i], name) == 0)
			return i;
	return -1;
}

const char *l7_end_reason_name(unsigned reason)
{
	return reason < L7_END_COUNT ? record_reasons[reason] : "?";
}
