/* SPDX-License-Identifier: Apache-2.0 */
#include "record/netflow9_writer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "record/netflow9_internal.h"
#include "record/netflow_header.h"
#include "record/template_id.h"

#define NETFLOW9_SET_HEADER 4
#define NETFLOW9_COUNT_MAX 0xffff

/* ---- templates ---- */

bool netflow9_has(unsigned field)
{
	return l7_fields[field].v9 != 0;
}

static struct netflow9_step netflow9_step(uint8_t field, bool epoch_times)
{
	const struct l7_field_info *f = &l7_fields[field];
	struct netflow9_step s = {.id = f->v9, .len = f->v9len, .from = f->offset, .type = f->type};

	s.bits = field == L7_F_tcpControlBits;
	if (f->type == L7_TYPE_MSEC && epoch_times) {
		s.id = f->ie; /* v9 has IPFIX's numbers from 128 on */
		s.len = f->len;
		s.type = L7_TYPE_U64;
	}
	return s;
}

static void netflow9_layout(struct netflow9_layout *l, const struct profile *p, bool v6, bool epoch_times)
{
	const uint8_t *fields = v6 ? p->v6 : p->v4;
	size_t n = v6 ? p->n6 : p->n4;
	uint64_t hash = TEMPLATE_ID_SEED;

	l->n = l->size = 0;
	for (size_t i = 0; i < n; i++) {
		struct netflow9_step s = netflow9_step(fields[i], epoch_times);

		if (!netflow9_has(fields[i]))
			continue;
		hash = template_id_field(hash, 0, s.id, s.len);
		l->steps[l->n++] = s;
		l->size += s.len;
	}
	l->id = template_id(hash, v6);
}

static size_t netflow9_padded(size_t len)
{
	return (len + 3) & ~(size_t)3;
}

/* Octets of a message with the template alone, or a record. */
static size_t netflow9_layout_least(const struct netflow9_layout *l)
{
	size_t template = 4 + 4 * l->n;

	return NETFLOW9_HEADER + NETFLOW9_SET_HEADER + netflow9_padded(l->size > template ? l->size : template);
}

size_t netflow9_writer_least(const struct profile *p, bool epoch_times)
{
	struct netflow9_layout l;
	size_t least[2];

	for (unsigned v6 = 0; v6 < 2; v6++) {
		netflow9_layout(&l, p, v6, epoch_times);
		least[v6] = netflow9_layout_least(&l);
	}
	return least[least[1] > least[0]];
}

int netflow9_writer_new(struct netflow9_writer **out, const struct netflow9_config *c, char *err, size_t err_size)
{
	struct netflow9_writer *w;
	size_t least;

	*out = NULL;
	if (c->message_max < NETFLOW9_MESSAGE_MIN || c->message_max > IPFIX_MESSAGE_MAX) {
		snprintf(err, err_size, "a message of %zu octets is not from %d to %d", c->message_max,
			 NETFLOW9_MESSAGE_MIN, IPFIX_MESSAGE_MAX);
		return -EINVAL;
	}
	w = calloc(1, sizeof(*w));
	if (!w) {
		snprintf(err, err_size, "no memory");
		return -ENOMEM;
	}
	w->config = *c;
	netflow9_layout(&w->layouts[0], c->profile, false, c->epoch_times);
	netflow9_layout(&w->layouts[1], c->profile, true, c->epoch_times);
	least = netflow9_writer_least(c->profile, c->epoch_times);
	if (w->layouts[0].n == 0)
		snprintf(err, err_size, "template %s: NetFlow v9 has none of its fields", c->profile->name);
	else if (least > c->message_max)
		snprintf(err, err_size, "template %s needs messages of %zu octets, not %zu", c->profile->name, least,
			 c->message_max);
	else
		*out = w;
	if (*out)
		return 0;
	free(w);
	return -EINVAL;
}

void netflow9_writer_free(struct netflow9_writer *w)
{
	free(w);
}

/* ---- messages ---- */

/*
 * Where a FlowSet of records of `size` octets ends: at a multiple of 4, padding with it (RFC 3954 section 5.3 asks for it and does not
 * insist). Records as short as padding go without: it would be read as more of them.
 */
static size_t netflow9_end(size_t len, size_t size)
{
	return size < 4 ? len : netflow9_padded(len);
}

static void netflow9_close_set(struct netflow9_message *m)
{
	size_t len = netflow9_end(m->len, m->size);

	if (!m->set)
		return;
	memset(m->out + m->len, 0, len - m->len);
	m->len = len;
	netflow_put16(m->out + m->set + 2, (uint16_t)(m->len - m->set));
	m->set = 0;
}

void netflow9_emit(struct netflow9_writer *w, struct netflow9_message *m, const struct ipfix_sink *sink)
{
	size_t len;

	if (!m->len)
		return;
	netflow9_close_set(m);
	netflow_header(m->out, 9, m->count, m->base, m->newest_ms);
	netflow_put32(m->out + 12, 0);
	netflow_put32(m->out + 16, w->config.source_id);
	len = m->len;
	m->len = 0;
	sink->message(sink->arg, m->out, len, m->count);
	m->count = 0;
}

uint8_t *netflow9_place(struct netflow9_writer *w, struct netflow9_message *m, uint16_t id, size_t size,
			const struct ipfix_sink *sink)
{
	bool same = m->set && wire_be16(m->out + m->set) == id;
	size_t at = same ? m->len : netflow9_end(m->len, m->size) + NETFLOW9_SET_HEADER;

	if (m->len && (netflow9_end(at + size, size) > w->config.message_max || m->count == NETFLOW9_COUNT_MAX)) {
		netflow9_emit(w, m, sink);
		same = false;
	}
	if (!m->len)
		m->len = NETFLOW9_HEADER;
	if (!same) {
		netflow9_close_set(m);
		m->set = m->len;
		netflow_put16(m->out + m->set, id);
		m->len += NETFLOW9_SET_HEADER;
	}
	m->count++;
	m->size = size;
	m->len += size;
	return m->out + m->len - size;
}

/* ---- records ---- */

void netflow9_text(uint8_t *to, size_t size, const char *s, size_t len)
{
	size_t used = utf8_clean((char *)to, size, s, len);

	memset(to + used, 0, size - used);
}

/* Microseconds in units of `unit` of them, to the nearest. */
static uint64_t netflow9_ms(uint64_t us, uint32_t unit)
{
	return (us + unit / 2) / unit;
}

/* What a field that is a number says. */
static uint64_t netflow9_number(const struct netflow9_step *s, const void *from, uint64_t base)
{
	switch ((enum l7_type)s->type) {
	case L7_TYPE_U16:
		return *(const uint16_t *)from;
	case L7_TYPE_U32:
		return *(const uint32_t *)from;
	case L7_TYPE_U64:
	case L7_TYPE_ID64:
		return *(const uint64_t *)from;
	case L7_TYPE_MSEC:
		return netflow_uptime(base, *(const uint64_t *)from);
	case L7_TYPE_APPID: /* octet 22, the engine nDPI, and 24 bits of id (RFC 6759) */
		return UINT32_C(22) << 24 | (*(const uint32_t *)from & 0xffffff);
	case L7_TYPE_ALIAS_U16:
		return *(const uint32_t *)from & 0xffff;
	case L7_TYPE_ALIAS_MS:
		return netflow9_ms(*(const uint32_t *)from, 1000);
	case L7_TYPE_ALIAS_HALF_MS:
		return netflow9_ms(*(const uint32_t *)from, 2000);
	default:
		return *(const uint8_t *)from;
	}
}

/* A number in fewer octets than it has is the greatest that they can say. */
static void netflow9_put(uint8_t *to, const struct netflow9_step *s, uint64_t v)
{
	if (!s->bits && s->len < 8 && v >> (8 * s->len))
		v = UINT64_MAX;
	for (size_t i = s->len; i-- > 0; v >>= 8)
		to[i] = (uint8_t)v;
}

static void netflow9_field(uint8_t *to, const struct netflow9_step *s, const struct l7_record *r, uint64_t base)
{
	const void *from = (const uint8_t *)r + s->from;
	const struct l7_text *text = from;

	switch ((enum l7_type)s->type) {
	case L7_TYPE_IP4:
		memcpy(to, (const uint8_t *)from + 12, 4);
		break;
	case L7_TYPE_IP6:
	case L7_TYPE_IP:
		memcpy(to, from, 16);
		break;
	case L7_TYPE_MAC:
		memcpy(to, from, 6);
		break;
	case L7_TYPE_TEXT:
	case L7_TYPE_ALIAS_TEXT:
		netflow9_text(to, s->len, r->text + text->off, text->len);
		break;
	default:
		netflow9_put(to, s, netflow9_number(s, from, base));
	}
}

void netflow9_writer_add(struct netflow9_writer *w, const struct l7_record *r)
{
	const struct netflow9_layout *l = &w->layouts[r->ip_version == 6];
	struct netflow9_message *m = &w->flows;
	uint64_t end = r->end_ms > r->start_ms ? r->end_ms : r->start_ms;
	uint8_t *to;

	if (m->len && !netflow_base_fits(m->base, r->start_ms, end))
		netflow9_emit(w, m, &w->config.data);
	to = netflow9_place(w, m, l->id, l->size, &w->config.data);
	if (m->count == 1) {
		m->base = netflow_base(w->config.boot_ms, r->start_ms, end);
		m->newest_ms = 0;
	}
	if (end > m->newest_ms)
		m->newest_ms = end;
	for (size_t i = 0; i < l->n; i++) {
		netflow9_field(to, &l->steps[i], r, m->base);
		to += l->steps[i].len;
	}
}

void netflow9_writer_flush(struct netflow9_writer *w)
{
	netflow9_emit(w, &w->flows, &w->config.data);
}

uint32_t netflow9_writer_pending(const struct netflow9_writer *w)
{
	return w->flows.count;
}

void netflow9_message_stamp(uint8_t *message, uint32_t sequence, uint64_t now_ms)
{
	netflow_header_move(message, now_ms);
	netflow_put32(message + 12, sequence);
}
