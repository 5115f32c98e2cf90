/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What rules have counted, in the store. A saved group begins with 8 octets: version, what it is of (enum detect_what), two of
 * 0, the fingerprint of its rule; what follows is the type's. Numbers are in network order.
 *
 * Groups that go are forgotten by the store too, with the next detect_save(). A ring keeps which; if it is full, the rule
 * is marked, and later the store is gone through for groups that are not here.
 */
#include "detect/detect_internal.h"

#include <stdlib.h>

#define DETECT_VERSION 1u

/* ---- forgetting ---- */

static bool detect_drop_later(struct detect_rule *r, struct lru_key key)
{
	struct detect *d = r->of;

	if (d->n_drops == DETECT_DROPS_MAX) {
		r->recheck = true;
		return false;
	}
	d->drops[(d->drops_at + d->n_drops++) % DETECT_DROPS_MAX] = (struct detect_drop){.key = key, .rule = r->id};
	return true;
}

void detect_forget(struct detect_rule *r, const struct detect_group *g)
{
	if (g->saved && !r->gone)
		detect_drop_later(r, g->key);
}

static void detect_check_row(void *arg, struct lru_key key, const void *value, size_t len)
{
	struct detect_rule *r = arg;

	(void)value;
	(void)len;
	if (!detect_table_peek(&r->groups, key) && !detect_table_peek(&r->hosts, key))
		detect_drop_later(r, key);
}

/* One rule at a time, and when there is room for what is found. */
static void detect_recheck(struct detect *d, struct store *store)
{
	for (size_t i = 0; i < d->n && d->n_drops == 0; i++) {
		struct detect_rule *r = d->rules[i];

		if (!r || !r->recheck)
			continue;
		r->recheck = false;
		store_counts(store, r->id, detect_check_row, r);
	}
}

static void detect_keep_rules(struct detect *d, struct store *store)
{
	uint32_t *ids = calloc(d->n ? d->n : 1, sizeof(*ids));
	size_t n = 0;

	if (!ids)
		return; /* the next time */
	/* An allow rule's counts are of alert/. */
	for (size_t i = 0; i < d->n; i++)
		if (d->rules[i] || d->first[i].unknown_after)
			ids[n++] = d->first[i].id;
	store_counts_keep(store, ids, n);
	free(ids);
	d->rules_changed = false;
}

/* ---- saving ---- */

static bool detect_save_one(struct detect_rule *r, struct store *store, enum detect_what what)
{
	struct detect *d = r->of;
	struct detect_group *g = detect_table_clean(what == DETECT_GROUP ? &r->groups : &r->hosts);

	if (!g)
		return false;
	buf_reset(&d->value);
	detect_put(&d->value, DETECT_VERSION, 1);
	detect_put(&d->value, what, 1);
	detect_put(&d->value, 0, 2);
	detect_put(&d->value, r->fingerprint, 4);
	r->type->save(d, r, what, detect_value(g));
	if (d->value.failed) {
		d->counters.no_memory++;
		return true;
	}
	store_count_put(store, r->id, g->key, d->value.data, d->value.len);
	g->saved = true;
	return true;
}

size_t detect_save(struct detect *d, struct store *store, size_t room)
{
	size_t done = 0, idle = 0;

	if (d->rules_changed)
		detect_keep_rules(d, store);
	detect_recheck(d, store);
	for (; d->n_drops && done < room; done++) {
		const struct detect_drop *drop = &d->drops[d->drops_at];

		store_count_put(store, drop->rule, drop->key, NULL, 0);
		d->drops_at = (d->drops_at + 1) % DETECT_DROPS_MAX;
		d->n_drops--;
	}
	/* A group of each rule in turn: one with many does not keep the others out. */
	while (done < room && idle < d->n) {
		struct detect_rule *r = d->rules[d->save_next];
		size_t before = done;

		d->save_next = (d->save_next + 1) % d->n;
		if (r && detect_save_one(r, store, DETECT_GROUP))
			done++;
		if (r && r->type->hosts_saved && done < room && detect_save_one(r, store, DETECT_HOST))
			done++;
		idle = done == before ? idle + 1 : 0;
	}
	return done;
}

/* ---- loading ---- */

/* Why a saved group cannot be taken: a counter, or NULL with the group's value to be read at *w. */
static uint64_t *detect_load_head(struct detect_rule *r, struct wire *w, enum detect_what *what)
{
	struct detect *d = r->of;
	uint8_t version = wire_u8(w);
	uint32_t fingerprint;

	*what = (enum detect_what)wire_u8(w);
	if (wire_u16(w) || !wire_ok(w))
		return &d->counters.damaged;
	fingerprint = wire_u32(w);
	if (!wire_ok(w))
		return &d->counters.damaged;
	if (version != DETECT_VERSION || fingerprint != r->fingerprint)
		return &d->counters.stale;
	if (*what != DETECT_GROUP && !(*what == DETECT_HOST && r->type->hosts_saved))
		return &d->counters.damaged;
	return NULL;
}

static void detect_load_row(void *arg, struct lru_key key, const void *value, size_t len)
{
	struct detect_rule *r = arg;
	struct wire w = wire_of(value, len);
	enum detect_what what;
	uint64_t *refused = detect_load_head(r, &w, &what);
	struct detect_table *t;
	struct detect_group *g;
	bool fresh;

	if (refused) {
		(*refused)++;
		detect_drop_later(r, key);
		return;
	}
	t = what == DETECT_GROUP ? &r->groups : &r->hosts;
	g = detect_table_get(t, key, &fresh);
	r->of->counters.no_memory += !g;
	if (!g || !fresh)
		return;
	g->saved = true;
	if (r->type->load(r->of, r, what, detect_value(g), &w) && wire_ok(&w) && wire_left(&w) == 0)
		return;
	r->of->counters.damaged++;
	detect_table_remove(t, g);
}

void detect_load(struct detect *d, struct store *store)
{
	detect_keep_rules(d, store);
	for (size_t i = 0; i < d->n; i++)
		if (d->rules[i])
			store_counts(store, d->rules[i]->id, detect_load_row, d->rules[i]);
}
