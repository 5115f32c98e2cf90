/* SPDX-License-Identifier: Apache-2.0 */
/* What hosts spoke. */
#include <string.h>

#include "base/addr.h"
#include "rules/rules.h"
#include "state/store_internal.h"

#define STORE_TRIM_ROWS 65536u /* of one statement: it keeps their keys in memory */

static const char *store_side_name(uint8_t side)
{
	return side == RULES_SERVER ? "server" : "client";
}

static bool store_usage_run(struct store *s, sqlite3_stmt *st, const struct store_usage *u, const char *host)
{
	store_bind_text(st, 1, host);
	store_bind_text(st, 2, store_side_name(u->side));
	store_bind_text(st, 3, u->app);
	store_bind(st, 4, u->first_ms);
	store_bind(st, 5, u->last_ms);
	store_bind(st, 6, u->flows);
	store_bind(st, 7, u->octets);
	return store_run(s, st);
}

/* Most rows are there already. Two statements, not one that does both, say which it was: rows are counted. */
void store_usage_add(struct store *s, const struct store_usage *u)
{
	sqlite3_stmt *st = store_write(s, STORE_USAGE_UPDATE);
	char host[ADDR_TEXT_MAX];

	if (!st)
		return;
	s->bulk = true;
	addr_format(u->ip, host);
	if (!store_usage_run(s, st, u, host) || sqlite3_changes(s->db) > 0)
		return;
	if (store_usage_run(s, s->statements[STORE_USAGE_INSERT], u, host))
		s->rows.usage++;
}

void store_usages(struct store *s, void (*each)(void *arg, const struct store_usage *u), void *arg)
{
	sqlite3_stmt *st = s->statements[STORE_USAGES];

	while (store_row(s, st)) {
		struct store_usage u = {
			.side = strcmp(store_column_text(st, 1), "server") == 0 ? RULES_SERVER : RULES_CLIENT,
			.app = store_column_text(st, 2),
			.first_ms = store_column(st, 3),
			.last_ms = store_column(st, 4),
			.flows = store_column(st, 5),
			.octets = store_column(st, 6),
		};

		if (addr_parse(store_column_text(st, 0), u.ip) == 0)
			each(arg, &u);
	}
	store_rewind(st);
}

uint64_t store_usage_rows(const struct store *s)
{
	return s->rows.usage;
}

static uint64_t store_usage_delete(struct store *s, enum store_statement which, uint64_t v)
{
	sqlite3_stmt *st = store_write(s, which);
	uint64_t n;

	if (!st)
		return 0;
	s->bulk = true;
	store_bind(st, 1, v);
	if (!store_run(s, st))
		return 0;
	n = (uint64_t)sqlite3_changes64(s->db);
	s->rows.usage -= n < s->rows.usage ? n : s->rows.usage;
	return n;
}

uint64_t store_usage_trim(struct store *s, uint64_t before_ms, uint64_t max)
{
	uint64_t dropped = before_ms ? store_usage_delete(s, STORE_USAGE_TRIM_AGE, before_ms) : 0;

	while (s->rows.usage > max) {
		uint64_t over = s->rows.usage - max;
		uint64_t n =
			store_usage_delete(s, STORE_USAGE_TRIM_ROWS, over < STORE_TRIM_ROWS ? over : STORE_TRIM_ROWS);

		if (n == 0)
			break;
		dropped += n;
	}
	return dropped;
}
