/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Type threshold, measure distinct. Any record brings its value, not only the first of a flow: that a value is still there is as good
 * as that it came. 216 octets a group with 12 values, then 5 octets for each of up to 1024 cells if `over` is at most
 * 700 (exact up to 768), else of up to 4096 (exact up to 3072).
 */
#include "detect/detect_internal.h"
#include "detect/detect_sketch.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#define DISTINCT_SMALL_OVER 700u
#define DISTINCT_CELLS 1024u

struct distinct_group {
	uint64_t last_ms;
	uint64_t seed; /* of its hashes: nobody can choose values which are not counted */
	struct sketch sketch;
};

_Static_assert(sizeof(struct detect_group) + sizeof(struct distinct_group) == 216, "as the comment above says");

static uint32_t distinct_cells(const struct rule *rule)
{
	return rule->over <= DISTINCT_SMALL_OVER ? DISTINCT_CELLS : SKETCH_CELLS_MAX;
}

static struct distinct_group *distinct_get(struct detect *d, struct detect_rule *r, struct lru_key key,
					   struct detect_group **group)
{
	struct distinct_group *g;
	bool fresh;

	*group = detect_table_get(&r->groups, key, &fresh);
	if (!*group) {
		d->counters.no_memory++;
		return NULL;
	}
	g = detect_value(*group);
	if (fresh) {
		g->seed = detect_random(d);
		sketch_init(&g->sketch, &d->memory, distinct_cells(r->rule), r->rule->window_ms);
	} else {
		sketch_use(&g->sketch, distinct_cells(r->rule), r->rule->window_ms);
	}
	return g;
}

static bool distinct_take(struct detect *d, struct detect_rule *r, const struct rules_verdict *v,
			  const struct rules_input *in, struct detect_finding *out)
{
	struct detect_group *group;
	struct distinct_group *g;
	enum detect_when when;
	struct lru_key key;
	uint64_t hash;

	if (!detect_key(d, r, DETECT_GROUP, r->rule->keys, v, in->record, &key))
		return false;
	g = distinct_get(d, r, key, &group);
	if (!g)
		return false;
	when = detect_clock(d, &g->last_ms, in->now_ms, r->rule->window_ms);
	if (when == DETECT_TOO_OLD)
		return false;
	if (when == DETECT_SET_BACK)
		sketch_clear(&g->sketch);
	buf_reset(&d->octets);
	rules_key_octets(&d->octets, r->rule->distinct, v, in->record);
	if (d->octets.failed) {
		d->counters.no_memory++;
		return false;
	}
	hash = XXH3_64bits_withSeed(d->octets.data, d->octets.len, g->seed);
	if (sketch_add(&g->sketch, (uint32_t)(hash >> 32), in->now_ms))
		detect_table_dirty(&r->groups, group);
	out->value = sketch_count(&g->sketch);
	out->since_ms = sketch_since_ms(&g->sketch);
	return out->value > r->rule->over;
}

static void distinct_drop(struct detect *d, void *group)
{
	struct distinct_group *g = group;

	(void)d;
	sketch_deinit(&g->sketch);
}

/* last_ms, seed (8 each), sketch: 15,403 octets at most, the head included. */
static void distinct_save(struct detect *d, const struct detect_rule *r, enum detect_what what, void *value)
{
	const struct distinct_group *g = value;

	(void)r;
	(void)what;
	detect_put(&d->value, g->last_ms, 8);
	detect_put(&d->value, g->seed, 8);
	sketch_save(&g->sketch, &d->value);
}

static bool distinct_load(struct detect *d, struct detect_rule *r, enum detect_what what, void *value, struct wire *w)
{
	struct distinct_group *g = value;

	(void)what;
	sketch_init(&g->sketch, &d->memory, distinct_cells(r->rule), r->rule->window_ms);
	g->last_ms = wire_uint(w, 8);
	g->seed = wire_uint(w, 8);
	return g->last_ms <= DETECT_TIME_MAX && sketch_load(&g->sketch, w);
}

const struct detect_type detect_distinct = {
	.group_size = sizeof(struct distinct_group),
	.take = distinct_take,
	.save = distinct_save,
	.load = distinct_load,
	.drop = distinct_drop,
};
