/* SPDX-License-Identifier: Apache-2.0 */
/* How far topics of Kafka are read. */
#include "state/store_internal.h"

/* The key, which is the first four parameters of each statement. */
static void store_offset_key(sqlite3_stmt *st, const struct store_offset *o)
{
	store_bind_text(st, 1, o->cluster);
	store_bind_text(st, 2, o->group);
	store_bind_text(st, 3, o->topic);
	(void)sqlite3_bind_int64(st, 4, o->partition);
}

static bool store_offset_run(struct store *s, sqlite3_stmt *st, const struct store_offset *o)
{
	store_offset_key(st, o);
	(void)sqlite3_bind_int64(st, 5, o->next);
	(void)sqlite3_bind_int64(st, 6, o->committed);
	return store_run(s, st);
}

void store_offset_put(struct store *s, const struct store_offset *o)
{
	sqlite3_stmt *st = store_write(s, STORE_OFFSET_UPDATE);

	if (!st || !store_offset_run(s, st, o) || sqlite3_changes(s->db) > 0)
		return;
	if (store_number(s, STORE_OFFSET_ROWS) >= STORE_OFFSETS_MAX)
		s->failures++;
	else
		(void)store_offset_run(s, s->statements[STORE_OFFSET_INSERT], o);
}

bool store_offset_get(struct store *s, struct store_offset *o)
{
	sqlite3_stmt *st = s->statements[STORE_OFFSET_GET];
	bool found;

	store_offset_key(st, o);
	found = store_row(s, st);
	if (found) {
		o->next = sqlite3_column_int64(st, 0);
		o->committed = sqlite3_column_int64(st, 1);
	}
	store_rewind(st);
	return found && o->next >= 0;
}
