/* SPDX-License-Identifier: Apache-2.0 */
/* Silences. They are somebody's word, so each is on disk before it is confirmed. */
#include "state/store_internal.h"

/* The text, or nothing at all. */
static void store_bind_word(sqlite3_stmt *st, int at, const char *text)
{
	if (text)
		store_bind_text(st, at, text);
}

/*
 * Runs a statement and commits. If others have a share in the transaction, its loss is for store_commit() to tell; else it is of
 * no concern to those who write next.
 */
static bool store_silence_run(struct store *s, sqlite3_stmt *st, bool shared)
{
	bool done = store_run(s, st) && store_end(s);

	if (!done && !shared)
		s->lost = 0;
	return done;
}

uint64_t store_silence_add(struct store *s, const struct store_silence *l)
{
	bool shared = s->begun || s->lost;
	sqlite3_stmt *st;

	if (store_number(s, STORE_SILENCE_ROWS) >= STORE_SILENCES_MAX)
		return 0;
	st = store_write(s, STORE_SILENCE_ADD);
	if (!st)
		return 0;
	if (l->id)
		store_bind(st, 1, l->id);
	store_bind(st, 2, l->created_ms);
	store_bind(st, 3, l->until_ms);
	store_bind(st, 4, l->rule);
	store_bind_word(st, 5, l->host);
	store_bind_word(st, 6, l->app);
	store_bind_word(st, 7, l->comment);
	return store_silence_run(s, st, shared) ? (uint64_t)sqlite3_last_insert_rowid(s->db) : 0;
}

bool store_silence_drop(struct store *s, uint64_t id)
{
	bool shared = s->begun || s->lost;
	sqlite3_stmt *st = store_write(s, STORE_SILENCE_DROP);

	if (!st)
		return false;
	store_bind(st, 1, id);
	return store_silence_run(s, st, shared) && sqlite3_changes(s->db) > 0;
}

static const char *store_column_word(sqlite3_stmt *st, int at)
{
	return sqlite3_column_type(st, at) == SQLITE_NULL ? NULL : store_column_text(st, at);
}

void store_silences(struct store *s, void (*each)(void *arg, const struct store_silence *l), void *arg)
{
	sqlite3_stmt *st = s->statements[STORE_SILENCES];

	while (store_row(s, st)) {
		struct store_silence l = {
			.id = store_column(st, 0),
			.created_ms = store_column(st, 1),
			.until_ms = store_column(st, 2),
			.rule = (uint32_t)store_column(st, 3),
			.host = store_column_word(st, 4),
			.app = store_column_word(st, 5),
			.comment = store_column_word(st, 6),
		};

		each(arg, &l);
	}
	store_rewind(st);
}
