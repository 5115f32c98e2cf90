/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Type threshold, all measures but distinct: sums over a sliding window. A group has up to 25 slices; a slice begins with the first
 * record that none of them has, takes what comes within a 24th of the window, and goes as a whole when its beginning is a window
 * old. So nothing older than the window ever counts, what is younger than 23/24 of it does, and records that are a 24th or more apart
 * are counted to the millisecond. Records out of order may make more slices than there are; two are then joined, and what counts is at
 * least younger than 10/12. 456 octets a group.
 */
#include "detect/detect_internal.h"

#include <string.h>

#include "l7/fields.h"

#define SUM_SLICES 24u
#define SUM_MAX (UINT64_C(1) << 56) /* of a slice: what exporters claim does not wrap */

struct sum_slice {
	uint64_t start_ms;
	uint64_t sum;
};

struct sum_group {
	uint64_t last_ms;
	uint64_t n;
	struct sum_slice slices[SUM_SLICES + 1]; /* oldest first */
};

/* A flow whose score has been added. */
struct sum_flow {
	uint32_t score;
};

_Static_assert(sizeof(struct detect_group) + sizeof(struct sum_group) == 456, "as the comment above says");

/* ---- the window ---- */

static void sum_remove(struct sum_group *g, uint64_t n)
{
	g->n -= n;
	memmove(g->slices, g->slices + n, g->n * sizeof(*g->slices));
}

static void sum_expire(struct sum_group *g, uint64_t window_ms)
{
	uint64_t old = 0;

	while (old < g->n && g->last_ms - g->slices[old].start_ms >= window_ms)
		old++;
	if (old)
		sum_remove(g, old);
}

/* Makes one of the two slices that together are the shortest. */
static void sum_join(struct sum_group *g)
{
	struct sum_slice *s = g->slices, *best = s;

	for (uint64_t i = 1; i + 2 < g->n; i++)
		if (s[i + 2].start_ms - s[i].start_ms < best[2].start_ms - best[0].start_ms)
			best = &s[i];
	best[0].sum = best[1].sum > SUM_MAX - best[0].sum ? SUM_MAX : best[0].sum + best[1].sum;
	memmove(best + 1, best + 2, (size_t)(s + g->n - (best + 2)) * sizeof(*s));
	g->n--;
}

/* Slices that begin not later. */
static uint64_t sum_find(const struct sum_group *g, uint64_t now_ms)
{
	uint64_t n = g->n;

	while (n && g->slices[n - 1].start_ms > now_ms)
		n--;
	return n;
}

static void sum_add(struct sum_group *g, uint64_t window_ms, uint64_t now_ms, uint64_t amount)
{
	uint64_t after = sum_find(g, now_ms);
	struct sum_slice *s;

	if (after == 0 || now_ms - g->slices[after - 1].start_ms >= window_ms / SUM_SLICES) {
		if (g->n > SUM_SLICES) {
			sum_join(g);
			after = sum_find(g, now_ms);
		}
		s = &g->slices[after];
		memmove(s + 1, s, (g->n - after) * sizeof(*s));
		*s = (struct sum_slice){.start_ms = now_ms};
		g->n++;
	} else {
		s = &g->slices[after - 1];
	}
	s->sum = amount > SUM_MAX - s->sum ? SUM_MAX : s->sum + amount;
}

static uint64_t sum_total(const struct sum_group *g)
{
	uint64_t total = 0;

	for (uint64_t i = 0; i < g->n; i++)
		total += g->slices[i].sum;
	return total;
}

/* ---- a record ---- */

/*
 * What is new in the score of a flow: it may come late and grow with the flow's records. Which flows have been added is kept for
 * the last 65,536 with a score; of an older one the score would be added again.
 */
static uint64_t sum_score(struct detect_rule *r, struct lru_key group, const struct rules_input *in)
{
	const struct l7_record *record = in->record;
	struct {
		uint64_t group[2], flow, ports;
		uint8_t ip[2][16];
	} of = {.group = {group.low, group.high},
		.flow = l7_has(record, L7_F_flowId) ? record->flow_id : in->start_ms,
		.ports = (uint64_t)record->src_port << 32 | (uint64_t)record->dst_port << 8 | record->protocol};
	struct detect_group *g;
	struct sum_flow *flow;
	uint64_t more;
	bool fresh;

	if (record->risk_score == 0)
		return 0;
	memcpy(of.ip[0], record->src_ip, 16);
	memcpy(of.ip[1], record->dst_ip, 16);
	g = detect_table_get(&r->hosts, lru_hash(&of, sizeof(of), 0), &fresh);
	if (!g)
		return in->known ? 0 : record->risk_score;
	flow = detect_value(g);
	more = record->risk_score > flow->score ? record->risk_score - flow->score : 0;
	flow->score += (uint32_t)more;
	return more;
}

static uint64_t sum_both(const uint64_t numbers[2])
{
	return numbers[0] > SUM_MAX || numbers[1] > SUM_MAX ? SUM_MAX : numbers[0] + numbers[1];
}

static uint64_t sum_amount(struct detect_rule *r, struct lru_key key, const struct rules_input *in)
{
	if (in->twin)
		return 0;
	switch (r->rule->measure) {
	case RULES_COUNT_FLOWS:
		return in->known ? 0 : in->sampling; /* one that is seen stands for many */
	case RULES_SUM_BYTES:
		return sum_both(in->new_octets);
	case RULES_SUM_CLIENT_BYTES:
		return in->new_octets[0];
	case RULES_SUM_SERVER_BYTES:
		return in->new_octets[1];
	case RULES_SUM_PACKETS:
		return sum_both(in->new_packets);
	case RULES_SUM_CLIENT_PACKETS:
		return in->new_packets[0];
	case RULES_SUM_SERVER_PACKETS:
		return in->new_packets[1];
	case RULES_SUM_SCORE:
		return sum_score(r, key, in);
	default:
		return 0;
	}
}

static bool sum_take(struct detect *d, struct detect_rule *r, const struct rules_verdict *v,
		     const struct rules_input *in, struct detect_finding *out)
{
	uint64_t window = r->rule->window_ms, amount;
	struct detect_group *group;
	struct sum_group *g;
	enum detect_when when;
	struct lru_key key;
	bool fresh;

	if (!detect_key(d, r, DETECT_GROUP, r->rule->keys, v, in->record, &key))
		return false;
	amount = sum_amount(r, key, in);
	group = amount ? detect_table_get(&r->groups, key, &fresh) : detect_table_find(&r->groups, key);
	if (!group) {
		d->counters.no_memory += amount != 0;
		return false;
	}
	g = detect_value(group);
	when = detect_clock(d, &g->last_ms, in->now_ms, window);
	if (when == DETECT_TOO_OLD)
		return false;
	if (when == DETECT_SET_BACK)
		g->n = 0;
	else
		sum_expire(g, window);
	if (amount) {
		sum_add(g, window, in->now_ms, amount);
		detect_table_dirty(&r->groups, group);
	}
	out->value = sum_total(g);
	out->since_ms = g->n ? g->slices[0].start_ms : in->now_ms;
	return out->value > r->rule->over;
}

/* ---- the store ---- */

/* last_ms (8), n (1), and of each slice its beginning and its sum (8 each): 417 octets at most, the head included. */
static void sum_save(struct detect *d, const struct detect_rule *r, enum detect_what what, void *value)
{
	const struct sum_group *g = value;

	(void)r;
	(void)what;
	detect_put(&d->value, g->last_ms, 8);
	detect_put(&d->value, g->n, 1);
	for (uint64_t i = 0; i < g->n; i++) {
		detect_put(&d->value, g->slices[i].start_ms, 8);
		detect_put(&d->value, g->slices[i].sum, 8);
	}
}

static bool sum_load(struct detect *d, struct detect_rule *r, enum detect_what what, void *value, struct wire *w)
{
	struct sum_group *g = value;
	uint64_t n, before = 0;

	(void)d;
	(void)r;
	(void)what;
	g->last_ms = wire_uint(w, 8);
	n = wire_u8(w);
	if (n > SUM_SLICES + 1 || g->last_ms > DETECT_TIME_MAX)
		return false;
	for (g->n = 0; g->n < n; g->n++) {
		struct sum_slice *s = &g->slices[g->n];

		s->start_ms = wire_uint(w, 8);
		s->sum = wire_uint(w, 8);
		if (s->start_ms < before || s->start_ms > g->last_ms || s->sum > SUM_MAX)
			return false;
		before = s->start_ms;
	}
	return true;
}

const struct detect_type detect_sum = {
	.group_size = sizeof(struct sum_group),
	.host_size = sizeof(struct sum_flow),
	.hosts_max = DETECT_FLOWS_MAX,
	.take = sum_take,
	.save = sum_save,
	.load = sum_load,
};
