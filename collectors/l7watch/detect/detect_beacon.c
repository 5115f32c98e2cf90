/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Type beacon: contacts at regular intervals. A contact is the beginning of a flow; later records of a flow, other exporters' views, and TCP
 * flows that begin without a SYN (a connection that a timeout has cut, or that was there before the probe) are none. Contacts
 * closer than half the rule's least interval, but not more than 2 s, are one. A group keeps the last 64, 336 octets.
 *
 * It is regular if four of five intervals differ from the median by no more than max_jitter of it: that leaves room for one contact in
 * ten that is missing or too many, and for nights when the host is off. Where several flows make one contact (the gaps fall in two
 * classes, four times apart) the bursts' beginnings are judged.
 */
#include "detect/detect_internal.h"

#include <string.h>

#include "l7/fields.h"

#define BEACON_CONTACTS RULES_CONTACTS_MAX
#define BEACON_SPAN_MS UINT64_C(0x7fffffff) /* the window is 24 days at most */
#define BEACON_MERGE_MS 2000u
#define BEACON_BURSTS 4u  /* times longer are intervals than gaps within a burst */
#define BEACON_OF_FIVE 4u /* intervals that are to be regular */
#define BEACON_SYN 0x02u

struct beacon_group {
	uint64_t last_ms;
	uint64_t base_ms; /* first contact */
	/* What was found at the last contact. */
	uint64_t since_ms;
	uint32_t interval_ms, jitter;
	uint8_t n, contacts;
	bool regular;
	uint32_t at[BEACON_CONTACTS]; /* ms since base_ms, in order; the first is 0 */
};

_Static_assert(sizeof(struct detect_group) + sizeof(struct beacon_group) == 336, "as the comment above says");

/* ---- contacts ---- */

static void beacon_remove(struct beacon_group *g, unsigned n)
{
	uint32_t first;

	g->n = (uint8_t)(g->n - n);
	if (g->n == 0)
		return;
	first = g->at[n];
	for (unsigned i = 0; i < g->n; i++)
		g->at[i] = g->at[i + n] - first;
	g->base_ms += first;
}

static void beacon_expire(struct beacon_group *g, uint64_t window_ms)
{
	unsigned old = 0;

	while (old < g->n && g->last_ms - (g->base_ms + g->at[old]) >= window_ms)
		old++;
	if (old)
		beacon_remove(g, old);
}

/* A contact before the first one: it becomes the first. */
static void beacon_prepend(struct beacon_group *g, uint64_t t)
{
	uint32_t before = (uint32_t)(g->base_ms - t);

	for (unsigned i = 0; i < g->n; i++)
		g->at[i] += before;
	memmove(g->at + 1, g->at, g->n * sizeof(*g->at));
	g->at[0] = 0;
	g->base_ms = t;
	g->n++;
}

/* False: it is part of one that is there, or too old for this. All contacts and t are within one window of each other. */
static bool beacon_insert(struct beacon_group *g, uint64_t t, uint64_t merge_ms)
{
	unsigned i = g->n;

	if (g->n == 0) {
		g->base_ms = t;
		g->at[g->n++] = 0;
		return true;
	}
	while (i && g->base_ms + g->at[i - 1] > t)
		i--;
	if (i && t - (g->base_ms + g->at[i - 1]) < merge_ms)
		return false;
	if (i < g->n && g->base_ms + g->at[i] - t < merge_ms)
		return false;
	if (g->n == BEACON_CONTACTS) {
		if (i == 0)
			return false;
		beacon_remove(g, 1);
		i--;
	}
	if (i == 0) {
		beacon_prepend(g, t);
		return true;
	}
	memmove(g->at + i + 1, g->at + i, (g->n - i) * sizeof(*g->at));
	g->at[i] = (uint32_t)(t - g->base_ms);
	g->n++;
	return true;
}

/* ---- regularity ---- */

static void beacon_sort(uint32_t *v, unsigned n)
{
	for (unsigned i = 1; i < n; i++) {
		uint32_t x = v[i];
		unsigned k = i;

		for (; k && v[k - 1] > x; k--)
			v[k] = v[k - 1];
		v[k] = x;
	}
}

static unsigned beacon_need(const struct rule *rule)
{
	if (rule->beacon.min_count < 3)
		return 3;
	return rule->beacon.min_count > BEACON_CONTACTS ? BEACON_CONTACTS : (unsigned)rule->beacon.min_count;
}

/* Whether n contacts are regular; if they are, *g says how. */
static bool beacon_judge(struct beacon_group *g, const struct rule *rule, const uint32_t *at, unsigned n)
{
	uint32_t v[BEACON_CONTACTS], median, spread;
	unsigned m = n - 1;

	if (n < beacon_need(rule))
		return false;
	for (unsigned i = 0; i < m; i++)
		v[i] = at[i + 1] - at[i];
	beacon_sort(v, m);
	median = m % 2 ? v[m / 2] : v[m / 2 - 1] + (v[m / 2] - v[m / 2 - 1]) / 2;
	if (median < rule->beacon.min_ms || median > rule->beacon.max_ms)
		return false;
	for (unsigned i = 0; i < m; i++)
		v[i] = v[i] > median ? v[i] - median : median - v[i];
	beacon_sort(v, m);
	spread = v[(m * BEACON_OF_FIVE + 4) / 5 - 1];
	if ((uint64_t)spread * 1000 > (uint64_t)rule->beacon.max_jitter * median)
		return false;
	g->since_ms = g->base_ms + at[0];
	g->interval_ms = median;
	g->jitter = median ? (uint32_t)((uint64_t)spread * 1000 / median) : 0;
	g->contacts = (uint8_t)n;
	return true;
}

/* The longest gap within bursts, if the gaps are of two kinds and there are enough bursts; else 0. */
static uint32_t beacon_burst_gap(const struct beacon_group *g, const struct rule *rule)
{
	uint32_t v[BEACON_CONTACTS], gap = 0;
	unsigned m = g->n - 1u, need = beacon_need(rule);
	uint64_t best = BEACON_BURSTS * 1000;

	for (unsigned i = 0; i < m; i++)
		v[i] = g->at[i + 1] - g->at[i];
	beacon_sort(v, m);
	for (unsigned i = 0; i + need <= m; i++) { /* so many bursts remain */
		uint64_t times = (uint64_t)v[i + 1] * 1000 / (v[i] ? v[i] : 1);

		if (times >= best) {
			best = times;
			gap = v[i];
		}
	}
	return gap;
}

static bool beacon_is_regular(struct beacon_group *g, const struct rule *rule)
{
	uint32_t starts[BEACON_CONTACTS], gap;
	unsigned need = beacon_need(rule), n = 1;

	/* Half of the intervals are as long as the median or longer. */
	if (g->n < need || (uint64_t)g->at[g->n - 1] * 2 / (need - 1) < rule->beacon.min_ms)
		return false;
	if (beacon_judge(g, rule, g->at, g->n))
		return true;
	gap = beacon_burst_gap(g, rule);
	if (gap == 0)
		return false;
	starts[0] = g->at[0];
	for (unsigned i = 1; i < g->n; i++)
		if (g->at[i] - g->at[i - 1] > gap)
			starts[n++] = g->at[i];
	return beacon_judge(g, rule, starts, n);
}

/* ---- a record ---- */

static bool beacon_is_contact(const struct rules_input *in)
{
	const struct l7_record *r = in->record;

	if (in->known || in->twin || r->state & L7_STATE_MIDSTREAM)
		return false;
	return r->protocol != 6 || !l7_has(r, L7_F_tcpControlBits) || r->tcp_flags & BEACON_SYN;
}

/* When the flow began, as watch sees time: its record's time is what now_ms is made of. */
static uint64_t beacon_time(const struct rules_input *in, uint64_t window_ms)
{
	uint64_t end = in->record->end_ms;
	uint64_t ago = end > in->start_ms ? end - in->start_ms : 0;

	return ago < window_ms && ago <= in->now_ms ? in->now_ms - ago : in->now_ms;
}

static uint64_t beacon_merge_ms(const struct rule *rule)
{
	if (rule->beacon.min_ms < 2)
		return 1;
	return rule->beacon.min_ms / 2 < BEACON_MERGE_MS ? rule->beacon.min_ms / 2 : BEACON_MERGE_MS;
}

static bool beacon_say(const struct beacon_group *g, struct detect_finding *out)
{
	out->value = g->contacts;
	out->since_ms = g->since_ms;
	out->interval_ms = g->interval_ms;
	out->jitter = g->jitter;
	return g->regular;
}

static bool beacon_take(struct detect *d, struct detect_rule *r, const struct rules_verdict *v,
			const struct rules_input *in, struct detect_finding *out)
{
	uint64_t window = r->rule->window_ms < BEACON_SPAN_MS ? r->rule->window_ms : BEACON_SPAN_MS;
	struct detect_group *group;
	struct beacon_group *g;
	enum detect_when when;
	struct lru_key key;
	uint64_t t;
	bool fresh;

	if (!beacon_is_contact(in) || !detect_key(d, r, DETECT_GROUP, r->rule->keys, v, in->record, &key))
		return false;
	group = detect_table_get(&r->groups, key, &fresh);
	if (!group) {
		d->counters.no_memory++;
		return false;
	}
	g = detect_value(group);
	t = beacon_time(in, window);
	when = detect_clock(d, &g->last_ms, t, window);
	if (when == DETECT_TOO_OLD)
		return false;
	if (when == DETECT_SET_BACK)
		g->n = 0;
	else
		beacon_expire(g, window);
	if (beacon_insert(g, t, beacon_merge_ms(r->rule))) {
		g->regular = beacon_is_regular(g, r->rule);
		detect_table_dirty(&r->groups, group);
	}
	return beacon_say(g, out);
}

/* ---- the store ---- */

/* last_ms, base_ms (8 each), n (1), then of each contact the ms since the one before (4): 281 octets at most, the head included. */
static void beacon_save(struct detect *d, const struct detect_rule *r, enum detect_what what, void *value)
{
	const struct beacon_group *g = value;

	(void)r;
	(void)what;
	detect_put(&d->value, g->last_ms, 8);
	detect_put(&d->value, g->base_ms, 8);
	detect_put(&d->value, g->n, 1);
	for (unsigned i = 0; i < g->n; i++)
		detect_put(&d->value, i ? g->at[i] - g->at[i - 1] : 0, 4);
}

static bool beacon_load(struct detect *d, struct detect_rule *r, enum detect_what what, void *value, struct wire *w)
{
	struct beacon_group *g = value;
	uint64_t at = 0;
	unsigned n;

	(void)d;
	(void)what;
	g->last_ms = wire_uint(w, 8);
	g->base_ms = wire_uint(w, 8);
	n = wire_u8(w);
	if (n > BEACON_CONTACTS || g->last_ms > DETECT_TIME_MAX || g->base_ms > g->last_ms)
		return false;
	for (g->n = 0; g->n < n; g->n++) {
		uint32_t since = wire_u32(w);

		at += since;
		if ((g->n == 0) != (since == 0) || at > BEACON_SPAN_MS || g->base_ms + at > g->last_ms)
			return false;
		g->at[g->n] = (uint32_t)at;
	}
	g->regular = g->n && beacon_is_regular(g, r->rule);
	return true;
}

const struct detect_type detect_beacon = {
	.group_size = sizeof(struct beacon_group),
	.take = beacon_take,
	.save = beacon_save,
	.load = beacon_load,
};
