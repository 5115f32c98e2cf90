/* SPDX-License-Identifier: Apache-2.0 */
#include "export/message_spool.h"

#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/wire.h"
#include "spool/spool.h"

#define SPOOLED_OUT 16384       /* batches that may be out */
#define SPOOLED_MAX (128 << 10) /* octets of a batch: a message of 64 KiB, and as much of templates */
#define SPOOLED_SET_TEMPLATES 2

struct message_own {
	uint64_t hash;
	uint32_t templates;
} __attribute__((packed));

/* ---- the templates of now ---- */

struct spooled_templates {
	struct message_spool *spool;
	bool failed;
};

/* Of a message those sets that have data templates, as a message of its own. */
static void spooled_add_templates(void *arg, uint8_t *data, size_t len, uint32_t records)
{
	struct spooled_templates *t = arg;
	struct message_spool *s = t->spool;
	size_t at = IPFIX_HEADER, size = IPFIX_HEADER;
	uint8_t *to = s->next + s->templates_len;

	(void)records;
	if (len + s->message_max > SPOOLED_MAX - s->templates_len) {
		t->failed = true;
		return;
	}
	memcpy(to, data, IPFIX_HEADER);
	while (at + 4 <= len) {
		size_t set = wire_be16(data + at + 2);

		if (set < 4 || set > len - at)
			break;
		if (wire_be16(data + at) == SPOOLED_SET_TEMPLATES) {
			memcpy(to + size, data + at, set);
			size += set;
		}
		at += set;
	}
	if (size == IPFIX_HEADER)
		return;
	to[2] = (uint8_t)(size >> 8);
	to[3] = (uint8_t)size;
	ipfix_message_stamp(to, 0, 0);
	s->templates_len += size;
}

/* FNV-1a. */
static uint64_t spooled_hash(const uint8_t *data, size_t len)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ data[i]) * UINT64_C(0x100000001b3);
	return hash ? hash : 1;
}

static int spooled_templates(struct message_spool *s, struct message_make *m)
{
	struct spooled_templates t = {.spool = s};
	struct ipfix_tables none = {0};
	int rc = m->encoder->templates(m, &none, (struct ipfix_sink){spooled_add_templates, &t});

	if (rc || t.failed)
		return rc ? rc : -EMSGSIZE;
	s->hash = spooled_hash(s->next, s->templates_len);
	return 0;
}

/* ---- in ---- */

/* A data message that is finished. Its number and time are those of a file, for who reads it there. */
static void spooled_put(void *arg, uint8_t *data, size_t len, uint32_t records)
{
	struct message_spool *s = arg;
	uint32_t now = (uint32_t)(clock_wall_ms() / 1000);
	struct message_own own = {htole64(s->hash), htole32((uint32_t)s->templates_len)};
	struct spool_batch b = {.data = s->next, .own = &own, .own_len = sizeof(own), .records = records};

	memcpy(s->next + s->templates_len, data, len);
	b.len = s->templates_len + len;
	for (size_t at = 0; at < b.len; at += wire_be16(s->next + at + 2))
		ipfix_message_stamp(s->next + at, (uint32_t)s->store.put, now);
	output_spool_put(&s->store, &b);
}

bool message_spool_room(const struct message_spool *s)
{
	/* As in message_make_full(): three messages. */
	return spool_room(s->store.spool, 3 * (s->templates_len + s->message_max + 256));
}

/* ---- opening and closing ---- */

int message_spool_new(struct message_spool **out, struct message_make *m, char *err, size_t err_size)
{
	struct message_spool *s = calloc(1, sizeof(*s));
	struct output *o = m->output;
	int rc = -ENOMEM;

	if (s) {
		s->message_max = m->message_max;
		s->out = calloc(SPOOLED_OUT, sizeof(*s->out));
		s->batch.data = malloc(SPOOLED_MAX);
		s->next = malloc(SPOOLED_MAX);
		rc = s->out && s->batch.data && s->next ? spooled_templates(s, m) : -ENOMEM;
	}
	if (rc)
		snprintf(err, err_size, "%s: spool: %s", o->name, strerror(-rc));
	else
		rc = output_spool_open(&s->store, o, SPOOLED_OUT, 0, err, err_size);
	if (rc) {
		message_spool_free(s);
		return rc;
	}
	m->store = (struct ipfix_sink){spooled_put, s};
	*out = s;
	return 0;
}

void message_spool_free(struct message_spool *s)
{
	if (!s)
		return;
	output_spool_close(&s->store);
	free(s->next);
	free(s->batch.data);
	free(s->out);
	free(s);
}

/* ---- out ---- */

/* Whole messages, the templates' and then one. What is on a disk may be anybody's. */
static bool spooled_well_formed(const struct spool_batch *b, const struct message_own *own)
{
	const uint8_t *data = b->data;
	size_t at = 0, len, messages = 0;
	bool parted = own->templates == 0;

	if (b->own_len != sizeof(*own) || b->len > SPOOLED_MAX)
		return false;
	for (; b->len - at >= IPFIX_HEADER; at += len) {
		len = wire_be16(data + at + 2);
		if (wire_be16(data + at) != 10 || len < IPFIX_HEADER || len > b->len - at)
			return false;
		parted = parted || at == own->templates;
		messages += at >= own->templates;
	}
	return at == b->len && parted && messages == 1;
}

static void spooled_foreign(struct message_spool *s, const struct spool_batch *b)
{
	const struct output *o = s->store.output;

	if (!s->store.refused)
		log_error("%s: %s: batch %llu is no message of IPFIX; dropped, as others like it", o->name,
			  o->options.spool, (unsigned long long)b->seq);
	output_spool_refuse(&s->store, b->seq);
}

bool message_spool_take(struct message_spool *s)
{
	struct message_batch *to = &s->batch;
	struct spool_batch b;

	while (!to->held && s->n < SPOOLED_OUT && spool_next(s->store.spool, &b) == 0) {
		struct message_own own = {0};

		if (b.own_len == sizeof(own))
			memcpy(&own, b.own, sizeof(own));
		own.hash = le64toh(own.hash);
		own.templates = le32toh(own.templates);
		if (!spooled_well_formed(&b, &own)) {
			spooled_foreign(s, &b);
			continue;
		}
		memcpy(to->data, b.data, b.len);
		to->seq = b.seq;
		to->hash = own.hash;
		to->templates = own.templates;
		to->len = b.len;
		to->records = b.records;
		to->held = true;
	}
	return to->held;
}

void message_spool_stamp(struct message_spool *s, size_t from, uint32_t sequence)
{
	uint32_t now = (uint32_t)(clock_wall_ms() / 1000);

	for (size_t at = from; at < s->batch.len; at += wire_be16(s->batch.data + at + 2))
		ipfix_message_stamp(s->batch.data + at, sequence, now);
}

void message_spool_written(struct message_spool *s, uint64_t end)
{
	struct message_spool_out *o = &s->out[(s->first + s->n++) % SPOOLED_OUT];

	*o = (struct message_spool_out){
		.end = end,
		.seq = s->batch.seq,
		.len = (uint32_t)(s->batch.len - s->batch.templates),
		.records = s->batch.records,
	};
	s->out_records += s->batch.records;
	s->batch.held = false;
}

static struct message_spool_out *spooled_out(const struct message_spool *s, size_t i)
{
	return &s->out[(s->first + i) % SPOOLED_OUT];
}

int message_spool_wait(const struct message_spool *s, uint64_t now_ms)
{
	uint32_t held;

	if (!s->arrived)
		return -1;
	held = (uint32_t)now_ms - spooled_out(s, 0)->arrived_ms;
	return held < MESSAGE_SPOOL_HOLD_MS ? (int)(MESSAGE_SPOOL_HOLD_MS - held) : 0;
}

bool message_spool_arrived(const struct message_spool *s)
{
	return !s->batch.held && spool_pending(s->store.spool) == s->held_records;
}

bool message_spool_acknowledged(struct message_spool *s, uint64_t octets, bool read, uint64_t now_ms)
{
	struct shared_output *c = s->store.output->counters;
	uint64_t seq = 0;

	for (; s->arrived < s->n && spooled_out(s, s->arrived)->end <= octets; s->arrived++) {
		spooled_out(s, s->arrived)->arrived_ms = (uint32_t)now_ms;
		s->held_records += spooled_out(s, s->arrived)->records;
	}
	while (s->arrived && (read || message_spool_wait(s, now_ms) == 0 || s->held_records > MESSAGE_SPOOL_HOLD)) {
		const struct message_spool_out *o = spooled_out(s, 0);

		seq = o->seq;
		s->held_records -= o->records;
		s->out_records -= o->records;
		shared_add(&c->messages, 1);
		shared_add(&c->octets, o->len);
		s->first = (s->first + 1) % SPOOLED_OUT;
		s->n--;
		s->arrived--;
	}
	if (!seq)
		return false;
	spool_ack_through(s->store.spool, seq);
	output_spool_count(&s->store);
	return true;
}

void message_spool_rewind(struct message_spool *s)
{
	if (s->n || s->batch.held)
		spool_rewind(s->store.spool);
	s->n = s->arrived = 0;
	s->out_records = s->held_records = 0;
	s->batch.held = false;
}

void message_spool_step(struct message_spool *s, uint64_t now_ms)
{
	spool_step(s->store.spool, now_ms);
	output_spool_count(&s->store);
}
