/* SPDX-License-Identifier: Apache-2.0 */
/* Flows that nobody can name, counted by rule, host and side for `on_unknown`. They outlive the process, but for those of some seconds. */
#include <string.h>

#include "alert/alert_internal.h"

#define UNKNOWN_SAVE_MS 5000u /* a count goes to the store so often at most */
#define UNKNOWN_SAVED 24u     /* octets of it there */

/* Of a rule, host and side. */
struct alert_unknown {
	uint64_t since_ms; /* of the window */
	uint64_t flows;
	uint64_t saved_ms; /* when it was put into the store */
};

int alert_unknown_init(struct alerts *a)
{
	return lru_init(&a->unknown, ALERT_KEYS_MAX, sizeof(struct alert_unknown), NULL);
}

/* The same in every process: it is in the store. */
static struct lru_key unknown_key(const struct alert_facts *f)
{
	struct {
		uint32_t rule, side;
		uint8_t ip[16];
	} key = {.rule = f->v->rule->id, .side = f->v->side};

	memcpy(key.ip, alert_subject(f->v, f->in->record), 16);
	return lru_hash(&key, sizeof(key), 0);
}

uint64_t alert_unknown_count(struct alerts *a, const struct alert_facts *f)
{
	struct lru_key key = unknown_key(f);
	uint64_t now = f->in->now_ms;
	struct alert_unknown *u;
	bool fresh;

	u = lru_get(&a->unknown, key, &fresh);
	if (fresh || now >= u->since_ms + f->v->rule->window_ms)
		*u = (struct alert_unknown){.since_ms = now};
	u->flows++;
	if (now >= u->saved_ms + UNKNOWN_SAVE_MS) {
		u->saved_ms = now;
		store_count_put(a->store, f->v->rule->id, key, u, UNKNOWN_SAVED);
	}
	return u->flows;
}

static void unknown_load(void *arg, struct lru_key key, const void *value, size_t len)
{
	struct alerts *a = arg;
	bool fresh;

	if (len == UNKNOWN_SAVED) /* else nobody here wrote it */
		memcpy(lru_get(&a->unknown, key, &fresh), value, len);
}

void alert_unknown_load(struct alerts *a, const struct rule_set *set)
{
	for (size_t i = 0; i < rules_count(set); i++)
		if (rules_at(set, i)->unknown_after)
			store_counts(a->store, rules_at(set, i)->id, unknown_load, a);
}
