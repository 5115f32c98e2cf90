/* SPDX-License-Identifier: Apache-2.0 */
/* Rules, records and a store for the tests of rules that count. */
#ifndef TESTS_DETECT_RIG_H
#define TESTS_DETECT_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "detect/detect.h"
#include "rules/rules_internal.h"
#include "watch_flow.h"

#define NOW UINT64_C(1700000000000)
#define SECOND UINT64_C(1000)
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)
#define RIG_RULES 4u

/* ---- a store that keeps what it is given, in the order of the last put; tests damage it ---- */

struct rig_row {
	uint32_t rule;
	struct lru_key key;
	uint8_t *value; /* owned */
	size_t len;
};

struct store {
	struct rig_row *rows; /* owned */
	size_t n, cap;
};

static inline void rig_drop_row(struct store *s, size_t i)
{
	free(s->rows[i].value);
	memmove(s->rows + i, s->rows + i + 1, (s->n - i - 1) * sizeof(*s->rows));
	s->n--;
}

void store_count_put(struct store *s, uint32_t rule, struct lru_key key, const void *value, size_t len)
{
	struct rig_row row = {.rule = rule, .key = key, .len = len};

	for (size_t i = 0; i < s->n; i++)
		if (s->rows[i].rule == rule && memcmp(&s->rows[i].key, &key, sizeof(key)) == 0) {
			rig_drop_row(s, i);
			break;
		}
	if (len == 0)
		return;
	if (s->n == s->cap) {
		s->cap = s->cap ? s->cap * 2 : 64;
		s->rows = reallocarray(s->rows, s->cap, sizeof(*s->rows));
		assert_non_null(s->rows);
	}
	row.value = malloc(len);
	assert_non_null(row.value);
	memcpy(row.value, value, len);
	s->rows[s->n++] = row;
}

void store_counts(struct store *s, uint32_t rule,
		  void (*each)(void *arg, struct lru_key key, const void *value, size_t len), void *arg)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->rows[i].rule == rule)
			each(arg, s->rows[i].key, s->rows[i].value, s->rows[i].len);
}

void store_counts_keep(struct store *s, const uint32_t *ids, size_t n)
{
	for (size_t i = s->n; i-- > 0;) {
		bool keep = false;

		for (size_t k = 0; k < n; k++)
			keep = keep || s->rows[i].rule == ids[k];
		if (!keep)
			rig_drop_row(s, i);
	}
}

/* ---- what rules/ gives ---- */

__attribute__((weak)) const struct rule *rules_at(const struct rule_set *set, size_t i)
{
	return &set->rules[i];
}

__attribute__((weak)) void rules_key_octets(struct buf *out, uint32_t keys, const struct rules_verdict *v,
					    const struct l7_record *r)
{
	bool client = v->side == RULES_CLIENT;

	if (keys & RULES_KEY_SUBJECT)
		buf_put(out, client ? r->src_ip : r->dst_ip, 16);
	if (keys & RULES_KEY_PEER)
		buf_put(out, client ? r->dst_ip : r->src_ip, 16);
	if (keys & RULES_KEY_CLIENT)
		buf_put(out, r->src_ip, 16);
	if (keys & RULES_KEY_SERVER)
		buf_put(out, r->dst_ip, 16);
	if (keys & RULES_KEY_SIDE)
		buf_char(out, (char)v->side);
	if (keys & RULES_KEY_PORT)
		buf_printf(out, "%u", r->dst_port);
	if (keys & RULES_KEY_APP) {
		buf_put(out, r->text + r->app.off, r->app.len);
		buf_char(out, '\0');
	}
}

/* ---- rules by hand ---- */

struct rig {
	struct rule rules[RIG_RULES];
	struct rule_set set;
	struct detect *d;
	struct store store;
	struct detect_finding found; /* what the last record has led to */
};

static inline struct rule *rig_rule(struct rig *rig, struct rule rule)
{
	assert_true(rig->set.n < RIG_RULES);
	if (!rule.max_keys)
		rule.max_keys = 100000;
	if (!rule.id)
		rule.id = 1001 + (uint32_t)rig->set.n;
	rig->rules[rig->set.n] = rule;
	return &rig->rules[rig->set.n++];
}

static inline void rig_start(struct rig *rig)
{
	rig->set.rules = rig->rules;
	assert_int_equal(detect_new(&rig->d, &rig->set), 0);
}

/* Stops as a kill does: what was not saved is lost. */
static inline void rig_restart(struct rig *rig)
{
	detect_free(rig->d);
	rig_start(rig);
	detect_load(rig->d, &rig->store);
}

static inline void rig_stop(struct rig *rig)
{
	detect_free(rig->d);
	while (rig->store.n)
		rig_drop_row(&rig->store, rig->store.n - 1);
	free(rig->store.rows);
}

static inline size_t rig_save(struct rig *rig)
{
	return detect_save(rig->d, &rig->store, SIZE_MAX);
}

/* ---- records ---- */

struct seen {
	unsigned rule; /* its place */
	enum rules_side side;
	struct flow flow;
	uint64_t at;       /* end of the record */
	uint64_t start_ms; /* of the flow; default: at */
	bool known, twin, mid;
	uint64_t octets[2], packets[2];
	uint16_t score;
	uint32_t sampling;
	uint8_t tcp_flags; /* default SYN; 0xff: not stated */
};

static inline bool rig_take_record(struct rig *rig, const struct seen *s, struct l7_record *r)
{
	struct rules_verdict v = {
		.rule = &rig->rules[s->rule], .kind = RULES_CANDIDATE, .side = s->side ? s->side : RULES_CLIENT};
	struct rules_input in = {.record = r,
				 .now_ms = s->at,
				 .known = s->known,
				 .twin = s->twin,
				 .start_ms = s->start_ms ? s->start_ms : s->at,
				 .new_octets = {s->octets[0], s->octets[1]},
				 .new_packets = {s->packets[0], s->packets[1]},
				 .sampling = s->sampling ? s->sampling : 1};

	r->end_ms = s->at;
	r->start_ms = in.start_ms;
	r->risk_score = s->score;
	if (s->mid)
		r->state |= L7_STATE_MIDSTREAM;
	if (s->tcp_flags != 0xff) {
		r->tcp_flags = s->tcp_flags ? s->tcp_flags : 2;
		l7_mark(r, L7_F_tcpControlBits);
	}
	return detect_take(rig->d, &v, &in, &rig->found);
}

static inline bool rig_take(struct rig *rig, struct seen s)
{
	struct l7_record r = flow_record(s.flow);

	return rig_take_record(rig, &s, &r);
}

#define TAKE(rig, ...) rig_take(rig, (struct seen){__VA_ARGS__})
#define FIRES(rig, ...) assert_true(TAKE(rig, __VA_ARGS__))
#define SILENT(rig, ...) assert_false(TAKE(rig, __VA_ARGS__))

/* The n-th address of a network. */
static inline const char *rig_address(char *out, unsigned network, unsigned n)
{
	sprintf(out, "10.%u.%u.%u", network & 255, n >> 8 & 255, n & 255);
	return out;
}

/* Numbers that are the same in every run. */
static inline uint32_t rig_random(uint64_t *state)
{
	*state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(*state >> 33);
}

/*
 * Each saved group cut at every length, then with each octet changed in turn: what is loaded of it is counted, left out and dropped
 * from the store, or taken; nothing else happens.
 */
static inline void rig_damage(struct rig *rig, const struct seen *then)
{
	struct rig_row row = rig->store.rows[0];
	uint8_t *whole = row.value;

	for (size_t i = 0; i < 2 * row.len; i++) {
		size_t len = i < row.len ? i : row.len;
		uint8_t *value = malloc(row.len);
		uint64_t refused;

		memcpy(value, whole, row.len);
		if (i >= row.len)
			value[i - row.len] ^= (uint8_t)(1 + i % 255);
		rig->store.rows[0].value = value;
		rig->store.rows[0].len = len;
		rig_restart(rig);
		refused = detect_counters(rig->d)->damaged + detect_counters(rig->d)->stale;
		assert_int_equal(detect_groups(rig->d) + refused, rig->store.n);
		if (i < row.len)
			assert_int_equal(refused, 1);
		rig_take(rig, *then);
		free(value);
	}
	rig->store.rows[0] = row;
}

#endif
