/* SPDX-License-Identifier: Apache-2.0 */
/* A strict decoder of NetFlow v9 (RFC 3954), made from the RFC alone: it fails the test at whatever is not as it says. */
#ifndef TESTS_NETFLOW_DECODE_H
#define TESTS_NETFLOW_DECODE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define DECODE_FIELDS_MAX 130
#define DECODE_TEMPLATES_MAX 8

struct decode_template {
	uint16_t id;
	uint16_t scopes; /* the first so many fields; 0: a data template */
	size_t n;
	uint16_t type[DECODE_FIELDS_MAX];
	uint16_t len[DECODE_FIELDS_MAX];
	size_t size;
};

struct decoder {
	struct decode_template templates[DECODE_TEMPLATES_MAX];
	size_t n_templates;
	uint64_t boot_ms; /* of the message in hand: unix_secs - sysUptime */
	uint32_t uptime, seconds, sequence, source;
	unsigned records; /* of flows, in all */
	unsigned options; /* records of them, in all */
	const struct decode_template *now;
	const uint8_t *record;
	void (*flow)(struct decoder *d, void *arg); /* what decode_number() and decode_octets() then read */
	void (*option)(struct decoder *d, void *arg);
	void *arg;
};

static inline uint64_t decode_be(const uint8_t *p, size_t n)
{
	uint64_t v = 0;

	for (size_t i = 0; i < n; i++)
		v = v << 8 | p[i];
	return v;
}

/* Where a field of the record in hand is; NULL if it is not in it. */
static inline const uint8_t *decode_octets(const struct decoder *d, uint16_t type, size_t *len)
{
	const uint8_t *at = d->record;

	for (size_t i = 0; i < d->now->n; i++) {
		*len = d->now->len[i];
		if (d->now->type[i] == type && i >= d->now->scopes)
			return at;
		at += d->now->len[i];
	}
	return NULL;
}

static inline uint64_t decode_number(const struct decoder *d, uint16_t type)
{
	size_t len;
	const uint8_t *at = decode_octets(d, type, &len);

	assert_non_null(at);
	assert_true(len <= 8);
	return decode_be(at, len);
}

static inline struct decode_template *decode_find(struct decoder *d, uint16_t id)
{
	for (size_t i = 0; i < d->n_templates; i++)
		if (d->templates[i].id == id)
			return &d->templates[i];
	return NULL;
}

/* A template that is known may come again, with the same meaning only. */
static inline void decode_keep(struct decoder *d, const struct decode_template *t)
{
	struct decode_template *known = decode_find(d, t->id);

	assert_true(t->id > 255);
	assert_true(t->n > 0 && t->size > 0);
	if (known) {
		assert_memory_equal(known, t, sizeof(*t));
		return;
	}
	assert_true(d->n_templates < DECODE_TEMPLATES_MAX);
	d->templates[d->n_templates++] = *t;
}

static inline const uint8_t *decode_fields(struct decode_template *t, const uint8_t *at, size_t n)
{
	for (; n > 0; n--, at += 4, t->n++) {
		assert_true(t->n < DECODE_FIELDS_MAX);
		t->type[t->n] = (uint16_t)decode_be(at, 2);
		t->len[t->n] = (uint16_t)decode_be(at + 2, 2);
		assert_true(t->len[t->n] > 0);
		t->size += t->len[t->n];
	}
	return at;
}

static inline const uint8_t *decode_set_template(struct decoder *d, const uint8_t *at, bool options)
{
	struct decode_template t;
	size_t scopes, fields;

	memset(&t, 0, sizeof(t));
	t.id = (uint16_t)decode_be(at, 2);
	if (!options) {
		at = decode_fields(&t, at + 4, decode_be(at + 2, 2));
	} else {
		scopes = decode_be(at + 2, 2);
		fields = decode_be(at + 4, 2);
		assert_true(scopes && scopes % 4 == 0 && fields % 4 == 0);
		t.scopes = (uint16_t)(scopes / 4);
		at = decode_fields(&t, at + 6, (scopes + fields) / 4);
		assert_true(t.type[0] >= 1 && t.type[0] <= 5); /* System to Template */
	}
	decode_keep(d, &t);
	return at;
}

static inline const uint8_t *decode_data(struct decoder *d, const uint8_t *at, const struct decode_template *t)
{
	d->now = t;
	d->record = at;
	if (t->scopes) {
		d->options++;
		if (d->option)
			d->option(d, d->arg);
	} else {
		d->records++;
		if (d->flow)
			d->flow(d, d->arg);
	}
	return at + t->size;
}

/* Records of one FlowSet, and padding of less than a record and less than 4 octets. Returns how many records. */
static inline unsigned decode_set(struct decoder *d, uint16_t id, const uint8_t *at, const uint8_t *end)
{
	const size_t octets = (size_t)(end - at);
	const struct decode_template *t = decode_find(d, id);
	size_t least = id == 0 ? 8 : id == 1 ? 14 : 0;
	unsigned n = 0;

	if (id > 1) {
		assert_non_null(t); /* its template was there before */
		least = t->size;
	}
	while ((size_t)(end - at) >= least) {
		at = id > 1 ? decode_data(d, at, t) : decode_set_template(d, at, id == 1);
		n++;
	}
	assert_true(n > 0);
	assert_true(end - at < 4);
	assert_true(octets % 4 == 0 || least < 4); /* what is shorter than padding goes without */
	for (; at < end; at++)
		assert_int_equal(*at, 0);
	return n;
}

static inline void decode_message(struct decoder *d, const uint8_t *data, size_t len)
{
	size_t at = 20;
	unsigned n = 0;

	assert_true(len >= 20);
	assert_int_equal(decode_be(data, 2), 9);
	d->uptime = (uint32_t)decode_be(data + 4, 4);
	d->seconds = (uint32_t)decode_be(data + 8, 4);
	d->sequence = (uint32_t)decode_be(data + 12, 4);
	d->source = (uint32_t)decode_be(data + 16, 4);
	d->boot_ms = d->seconds * UINT64_C(1000) - d->uptime;
	while (at < len) {
		size_t set = decode_be(data + at + 2, 2);

		assert_true(set > 4 && at + set <= len);
		n += decode_set(d, (uint16_t)decode_be(data + at, 2), data + at + 4, data + at + set);
		at += set;
	}
	assert_int_equal(decode_be(data + 2, 2), n);
}

#endif
