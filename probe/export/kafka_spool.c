/* SPDX-License-Identifier: Apache-2.0 */
#include "export/kafka_spool.h"

#include <string.h>

#include "base/wire.h"

#define KAFKA_OWN_VERSION 1
#define KAFKA_OWN_MAX 4096
#define KAFKA_NO_KEY 0xffffu

/* ---- in ---- */

struct own {
	uint8_t octets[KAFKA_OWN_MAX];
	size_t len;
	bool full;
};

static void own_put(struct own *o, const void *data, size_t len)
{
	o->full = o->full || len > sizeof(o->octets) - o->len;
	if (o->full || !len)
		return;
	memcpy(o->octets + o->len, data, len);
	o->len += len;
}

static void own_put_16(struct own *o, size_t n)
{
	uint8_t be[2] = {(uint8_t)(n >> 8), (uint8_t)n};

	o->full = o->full || n > UINT16_MAX;
	own_put(o, be, sizeof(be));
}

static void own_put_header(struct own *o, const struct kafka_header *h)
{
	size_t name = strlen(h->name) + 1;
	uint8_t len = (uint8_t)name;

	o->full = o->full || name > UINT8_MAX;
	own_put(o, &len, 1);
	own_put(o, h->name, name);
	own_put_16(o, h->len);
	own_put(o, h->value, h->len);
}

void kafka_spool_put(struct output_spool *s, const struct kafka_message *m)
{
	uint8_t head[2] = {KAFKA_OWN_VERSION, (uint8_t)m->n_headers};
	struct spool_batch b = {.data = m->value, .len = m->len, .records = (uint32_t)m->tag};
	struct own own;

	own.len = 0;
	own.full = m->key && m->key_len >= KAFKA_NO_KEY;
	own_put(&own, head, sizeof(head));
	own_put_16(&own, m->key ? m->key_len : KAFKA_NO_KEY);
	if (m->key)
		own_put(&own, m->key, m->key_len);
	for (size_t i = 0; i < m->n_headers; i++)
		own_put_header(&own, &m->headers[i]);
	if (own.full) {
		shared_add(&s->output->counters->dropped, m->tag);
		return;
	}
	b.own = own.octets;
	b.own_len = own.len;
	output_spool_put(s, &b);
}

/* ---- out ---- */

static void own_take_header(struct wire *w, struct kafka_header *h)
{
	size_t len = wire_u8(w);
	const char *name = (const char *)wire_take(w, len);

	if (!name || !len || strnlen(name, len) != len - 1) {
		w->failed = true;
		return;
	}
	h->name = name;
	h->len = wire_u16(w);
	h->value = wire_take(w, h->len);
}

bool kafka_spool_read(const struct spool_batch *b, struct kafka_message *m)
{
	struct wire w = wire_of(b->own, b->own_len);
	uint8_t version = wire_u8(&w);
	size_t key_len;

	*m = (struct kafka_message){.value = b->data, .len = b->len, .tag = b->seq, .n_headers = wire_u8(&w)};
	key_len = wire_u16(&w);
	if (!wire_ok(&w) || version != KAFKA_OWN_VERSION || m->n_headers > KAFKA_HEADERS_MAX)
		return false;
	if (key_len != KAFKA_NO_KEY) {
		m->key = wire_take(&w, key_len);
		m->key_len = key_len;
	}
	for (size_t i = 0; i < m->n_headers && wire_ok(&w); i++)
		own_take_header(&w, &m->headers[i]);
	return wire_ok(&w) && !wire_left(&w);
}
