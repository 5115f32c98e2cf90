/* SPDX-License-Identifier: Apache-2.0 */
/* What rules have counted. */
#include "base/clock.h"
#include "state/store_internal.h"

static void store_count_drop(struct store *s, uint32_t rule, struct lru_key key)
{
	sqlite3_stmt *st = store_write(s, STORE_COUNT_DROP);
	uint8_t octets[16];

	if (!st)
		return;
	store_bind(st, 1, rule);
	store_bind_key(st, 2, key, octets);
	(void)store_run(s, st);
}

void store_count_put(struct store *s, uint32_t rule, struct lru_key key, const void *value, size_t len)
{
	sqlite3_stmt *st;
	uint64_t now;
	uint8_t octets[16];

	if (len == 0) {
		store_count_drop(s, rule, key);
		return;
	}
	st = store_write(s, STORE_COUNT_PUT);
	if (!st)
		return;
	/* The order of puts, also over a restart, and if the clock stands still. */
	now = clock_wall_us();
	s->put_us = now > s->put_us ? now : s->put_us + 1;
	s->bulk = true;
	store_bind(st, 1, rule);
	store_bind_key(st, 2, key, octets);
	store_bind(st, 3, s->put_us);
	(void)sqlite3_bind_blob64(st, 4, value, len, SQLITE_STATIC);
	(void)store_run(s, st);
}

/* Sorting keys alone takes little memory, whatever the values are. */
void store_counts(struct store *s, uint32_t rule,
		  void (*each)(void *arg, struct lru_key key, const void *value, size_t len), void *arg)
{
	sqlite3_stmt *keys = s->statements[STORE_COUNT_KEYS], *st = s->statements[STORE_COUNT_VALUE];
	struct lru_key key;
	uint8_t octets[16];

	store_bind(keys, 1, rule);
	while (store_row(s, keys)) {
		if (!store_column_key(keys, 0, &key))
			continue;
		store_bind(st, 1, rule);
		store_bind_key(st, 2, key, octets);
		if (store_row(s, st)) {
			const void *value = sqlite3_column_blob(st, 0);

			each(arg, key, value, (size_t)sqlite3_column_bytes(st, 0));
		}
		store_rewind(st);
	}
	store_rewind(keys);
}

static bool store_count_kept(uint32_t rule, const uint32_t *ids, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (ids[i] == rule)
			return true;
	return false;
}

/* From rule to rule, not from group to group. */
void store_counts_keep(struct store *s, const uint32_t *ids, size_t n)
{
	sqlite3_stmt *next = s->statements[STORE_COUNT_NEXT_RULE], *st;
	int64_t rule = -1;
	bool more;

	for (;;) {
		(void)sqlite3_bind_int64(next, 1, rule);
		more = store_row(s, next) && sqlite3_column_type(next, 0) == SQLITE_INTEGER;
		if (more)
			rule = sqlite3_column_int64(next, 0);
		store_rewind(next);
		if (!more)
			return;
		if (store_count_kept((uint32_t)rule, ids, n))
			continue;
		st = store_write(s, STORE_COUNT_DROP_RULE);
		if (!st)
			return;
		s->bulk = true;
		(void)sqlite3_bind_int64(st, 1, rule);
		if (!store_run(s, st))
			return;
	}
}
