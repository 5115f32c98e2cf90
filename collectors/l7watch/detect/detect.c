/* SPDX-License-Identifier: Apache-2.0 */
#include "detect/detect_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/clock.h"

#define DETECT_VALUE_MAX 65536u

/* ---- a rule ---- */

static const struct detect_type *detect_type_of(const struct rule *rule)
{
	switch (rule->type) {
	case RULES_THRESHOLD:
		return rule->measure == RULES_DISTINCT ? &detect_distinct : &detect_sum;
	case RULES_BEACON:
		return &detect_beacon;
	case RULES_FIRST_SEEN:
		return &detect_first_seen;
	default:
		return NULL;
	}
}

static uint32_t detect_fingerprint(const struct rule *rule)
{
	bool threshold = rule->type == RULES_THRESHOLD;
	uint32_t of[] = {(uint32_t)rule->type, rule->keys, threshold ? (uint32_t)rule->measure : 0,
			 threshold && rule->measure == RULES_DISTINCT ? rule->distinct : 0};
	uint8_t octets[sizeof(of)];

	for (size_t i = 0; i < sizeof(octets); i++)
		octets[i] = (uint8_t)(of[i / 4] >> 8 * (i % 4));
	return (uint32_t)XXH3_64bits(octets, sizeof(octets));
}

static void detect_drop_group(void *arg, struct detect_group *g)
{
	struct detect_rule *r = arg;

	detect_forget(r, g);
	if (r->type->drop)
		r->type->drop(r->of, detect_value(g));
}

static void detect_drop_host(void *arg, struct detect_group *g)
{
	detect_forget(arg, g);
}

static uint32_t detect_hosts_max(const struct detect_rule *r)
{
	return r->type->hosts_max ? r->type->hosts_max : r->rule->max_keys;
}

static struct detect_rule *detect_rule_new(struct detect *d, const struct rule *rule)
{
	struct detect_rule *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->of = d;
	r->type = detect_type_of(rule);
	r->rule = rule;
	r->id = rule->id;
	r->fingerprint = detect_fingerprint(rule);
	detect_table_init(&r->groups, rule->max_keys, r->type->group_size, &d->memory, d->secret);
	detect_table_init(&r->hosts, detect_hosts_max(r), r->type->host_size, &d->memory, d->secret);
	r->groups.drop = detect_drop_group;
	r->groups.arg = r;
	if (r->type->hosts_saved) {
		r->hosts.drop = detect_drop_host;
		r->hosts.arg = r;
	}
	return r;
}

/* What the store has of it is not forgotten by that: see rules_changed and recheck. */
static void detect_rule_free(struct detect_rule *r)
{
	if (!r)
		return;
	r->gone = true;
	detect_table_deinit(&r->groups);
	detect_table_deinit(&r->hosts);
	free(r);
}

/* The rule of that id which counts the same. */
static struct detect_rule *detect_same(const struct detect *d, const struct rule *rule)
{
	uint32_t fingerprint = detect_fingerprint(rule);

	for (size_t i = 0; i < d->n; i++)
		if (d->rules[i] && d->rules[i]->id == rule->id)
			return d->rules[i]->fingerprint == fingerprint ? d->rules[i] : NULL;
	return NULL;
}

/* ---- all rules ---- */

/* Of what is at `rules` those that are not among the old ones. */
static void detect_undo(struct detect *d, struct detect_rule **rules, size_t n, const struct rule_set *set)
{
	for (size_t i = 0; i < n; i++)
		if (rules[i] && rules[i] != detect_same(d, rules_at(set, i)))
			detect_rule_free(rules[i]);
	free(rules);
}

int detect_use_rules(struct detect *d, const struct rule_set *set)
{
	size_t n = rules_count(set);
	struct detect_rule **rules = calloc(n ? n : 1, sizeof(struct detect_rule *));

	if (!rules)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		const struct rule *rule = rules_at(set, i);

		if (!detect_type_of(rule))
			continue;
		rules[i] = detect_same(d, rule);
		if (!rules[i])
			rules[i] = detect_rule_new(d, rule);
		if (!rules[i]) {
			detect_undo(d, rules, n, set);
			return -ENOMEM;
		}
		if (rules[i]->rule == rule)
			rules[i]->recheck = true;
	}
	/* From here on nothing can fail. */
	for (size_t i = 0; i < n; i++) {
		if (!rules[i])
			continue;
		rules[i]->rule = rules_at(set, i);
		detect_table_set_max(&rules[i]->groups, rules[i]->rule->max_keys);
		detect_table_set_max(&rules[i]->hosts, detect_hosts_max(rules[i]));
		for (size_t k = 0; k < d->n; k++)
			if (d->rules[k] == rules[i])
				d->rules[k] = NULL;
	}
	for (size_t i = 0; i < d->n; i++)
		detect_rule_free(d->rules[i]);
	free(d->rules);
	d->rules = rules;
	d->n = n;
	d->first = n ? rules_at(set, 0) : NULL;
	d->save_next = 0;
	d->rules_changed = true;
	return 0;
}

uint64_t detect_random(struct detect *d)
{
	uint64_t z = d->random += UINT64_C(0x9e3779b97f4a7c15); /* splitmix64 */

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

int detect_new(struct detect **out, const struct rule_set *set)
{
	struct detect *d = calloc(1, sizeof(*d));
	int err;

	if (!d)
		return -ENOMEM;
	d->memory.max = DETECT_MEMORY_MAX;
	buf_init(&d->octets, DETECT_KEY_MAX);
	buf_init(&d->value, DETECT_VALUE_MAX);
	if (getrandom(&d->random, sizeof(d->random), 0) != sizeof(d->random))
		d->random = clock_wall_ms();
	d->secret[0] = detect_random(d);
	d->secret[1] = detect_random(d);
	d->drops = malloc(DETECT_DROPS_MAX * sizeof(*d->drops)); /* touched as it fills */
	err = d->drops ? detect_use_rules(d, set) : -ENOMEM;
	if (err) {
		detect_free(d);
		return err;
	}
	d->rules_changed = false; /* detect_load() looks at that */
	for (size_t i = 0; i < d->n; i++)
		if (d->rules[i])
			d->rules[i]->recheck = false;
	*out = d;
	return 0;
}

void detect_free(struct detect *d)
{
	if (!d)
		return;
	for (size_t i = 0; i < d->n; i++)
		detect_rule_free(d->rules[i]);
	free(d->rules);
	free(d->drops);
	buf_deinit(&d->octets);
	buf_deinit(&d->value);
	free(d);
}

/* ---- a record ---- */

bool detect_key(struct detect *d, const struct detect_rule *r, enum detect_what what, uint32_t keys,
		const struct rules_verdict *v, const struct l7_record *record, struct lru_key *out)
{

	buf_reset(&d->octets);
	detect_put(&d->octets, r->id, 4);
	detect_put(&d->octets, what, 1);
	rules_key_octets(&d->octets, keys, v, record);
	if (d->octets.failed) {
		d->counters.no_memory++;
		return false;
	}
	*out = lru_hash(d->octets.data, d->octets.len, 0);
	return true;
}

bool detect_take(struct detect *d, const struct rules_verdict *v, const struct rules_input *in,
		 struct detect_finding *out)
{
	size_t i = (size_t)(v->rule - d->first);

	if (i >= d->n || !d->rules[i])
		return false;
	*out = (struct detect_finding){.sampled = in->sampling > 1};
	return d->rules[i]->type->take(d, d->rules[i], v, in, out);
}

/* ---- counters ---- */

uint64_t detect_rule_evicted(const struct detect *d, uint32_t rule)
{
	for (size_t i = 0; i < d->n; i++)
		if (d->rules[i] && d->rules[i]->id == rule)
			return d->rules[i]->groups.evicted + d->rules[i]->hosts.evicted;
	return 0;
}

uint64_t detect_evicted(const struct detect *d)
{
	uint64_t n = 0;

	for (size_t i = 0; i < d->n; i++)
		if (d->rules[i])
			n += d->rules[i]->groups.evicted + d->rules[i]->hosts.evicted;
	return n;
}

size_t detect_groups(const struct detect *d)
{
	size_t n = 0;

	for (size_t i = 0; i < d->n; i++)
		if (d->rules[i])
			n += d->rules[i]->groups.n + d->rules[i]->hosts.n;
	return n;
}

uint64_t detect_coarse(const struct detect *d)
{
	return d->memory.denied;
}

const struct detect_counters *detect_counters(const struct detect *d)
{
	return &d->counters;
}

size_t detect_memory(const struct detect *d)
{
	return d->memory.used;
}
