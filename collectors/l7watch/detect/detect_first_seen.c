/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Type first_seen: what a host has not done before. A group is a key that was seen, 56 octets; a host is a learner, 72 octets: from its
 * first flow until learn.for has passed and learn.min_flows were seen its new keys go in silently, later ones are findings and go
 * in too. A key that was not seen for learn.forget_after is new again, and a host that was not is learned again. What has to go
 * because there are too many is forgotten in the same way: of keys that leads to findings, of hosts to silence.
 */
#include "detect/detect_internal.h"

#define SEEN_SAVE_MS UINT64_C(3600000) /* a time that has moved by less is not worth a write */

struct seen_key {
	uint64_t last_ms;
	uint64_t saved_ms; /* what the store has */
};

struct seen_host {
	uint64_t first_ms, last_ms;
	uint64_t saved_ms;
	uint32_t flows;
	bool learned;
};

_Static_assert(sizeof(struct detect_group) + sizeof(struct seen_key) == 56, "as the comment above says");
_Static_assert(sizeof(struct detect_group) + sizeof(struct seen_host) == 72, "as the comment above says");

/* Writes of times alone are far apart: what is lost by that is small against what is forgotten. */
static uint64_t seen_save_ms(const struct rule *rule)
{
	uint64_t part = rule->learn.forget_ms / 64;

	return rule->learn.forget_ms && part < SEEN_SAVE_MS ? part : SEEN_SAVE_MS;
}

static bool seen_forgotten(const struct rule *rule, uint64_t last_ms, uint64_t now_ms)
{
	return rule->learn.forget_ms && now_ms > last_ms && now_ms - last_ms >= rule->learn.forget_ms;
}

/* The host's learner, as it was before this record. */
static struct seen_host *seen_host(struct detect *d, struct detect_rule *r, const struct rules_verdict *v,
				   const struct rules_input *in, struct detect_group **group)
{
	struct seen_host *h;
	struct lru_key key;
	bool fresh;

	if (!detect_key(d, r, DETECT_HOST, RULES_KEY_SUBJECT, v, in->record, &key))
		return NULL;
	*group = detect_table_get(&r->hosts, key, &fresh);
	if (!*group) {
		d->counters.no_memory++;
		return NULL;
	}
	h = detect_value(*group);
	if (fresh || seen_forgotten(r->rule, h->last_ms, in->now_ms))
		*h = (struct seen_host){.first_ms = in->now_ms, .last_ms = in->now_ms};
	if (in->now_ms < h->first_ms)
		h->first_ms = in->now_ms;
	if (!h->learned)
		h->learned = h->flows >= r->rule->learn.min_flows && in->now_ms - h->first_ms >= r->rule->learn.for_ms;
	return h;
}

static void seen_count(struct detect_rule *r, struct detect_group *group, const struct rules_input *in)
{
	struct seen_host *h = detect_value(group);
	bool counted = !in->known && !in->twin && h->flows < UINT32_MAX;

	h->flows += counted;
	if (in->now_ms > h->last_ms)
		h->last_ms = in->now_ms;
	if ((counted && !h->learned) || h->last_ms - h->saved_ms >= seen_save_ms(r->rule))
		detect_table_dirty(&r->hosts, group);
}

/* Marks a key as seen. Returns whether it is new, or -1 if there is no memory for it. */
static int seen_key(struct detect *d, struct detect_rule *r, const struct rules_verdict *v,
		    const struct rules_input *in)
{
	struct detect_group *group;
	struct lru_key key;
	struct seen_key *k;
	bool fresh;

	if (!detect_key(d, r, DETECT_GROUP, r->rule->keys, v, in->record, &key))
		return -1;
	group = detect_table_get(&r->groups, key, &fresh);
	if (!group) {
		d->counters.no_memory++;
		return -1;
	}
	k = detect_value(group);
	if (!fresh)
		fresh = seen_forgotten(r->rule, k->last_ms, in->now_ms);
	if (in->now_ms > k->last_ms)
		k->last_ms = in->now_ms;
	if (fresh || k->last_ms - k->saved_ms >= seen_save_ms(r->rule))
		detect_table_dirty(&r->groups, group);
	return fresh;
}

static bool seen_take(struct detect *d, struct detect_rule *r, const struct rules_verdict *v,
		      const struct rules_input *in, struct detect_finding *out)
{
	struct detect_group *group;
	struct seen_host *h = seen_host(d, r, v, in, &group);
	bool found;

	if (!h)
		return false;
	out->value = h->flows;
	out->since_ms = h->first_ms;
	found = seen_key(d, r, v, in) == 1 && h->learned;
	seen_count(r, group, in);
	return found;
}

/* ---- the store ---- */

/* Key: last_ms (8). Host: first_ms, last_ms (8 each), flows (4), learned (1). Heads included 16 and 29 octets. */
static void seen_save(struct detect *d, const struct detect_rule *r, enum detect_what what, void *value)
{
	(void)r;
	if (what == DETECT_GROUP) {
		struct seen_key *k = value;

		k->saved_ms = k->last_ms;
		detect_put(&d->value, k->last_ms, 8);
	} else {
		struct seen_host *h = value;

		h->saved_ms = h->last_ms;
		detect_put(&d->value, h->first_ms, 8);
		detect_put(&d->value, h->last_ms, 8);
		detect_put(&d->value, h->flows, 4);
		detect_put(&d->value, h->learned, 1);
	}
}

static bool seen_load(struct detect *d, struct detect_rule *r, enum detect_what what, void *value, struct wire *w)
{
	(void)d;
	(void)r;
	if (what == DETECT_GROUP) {
		struct seen_key *k = value;

		k->last_ms = k->saved_ms = wire_uint(w, 8);
		return k->last_ms <= DETECT_TIME_MAX;
	} else {
		struct seen_host *h = value;
		uint8_t learned;

		h->first_ms = wire_uint(w, 8);
		h->last_ms = h->saved_ms = wire_uint(w, 8);
		h->flows = wire_u32(w);
		learned = wire_u8(w);
		h->learned = learned == 1;
		return learned <= 1 && h->first_ms <= h->last_ms && h->last_ms <= DETECT_TIME_MAX;
	}
}

const struct detect_type detect_first_seen = {
	.group_size = sizeof(struct seen_key),
	.host_size = sizeof(struct seen_host),
	.hosts_saved = true,
	.take = seen_take,
	.save = seen_save,
	.load = seen_load,
};
