/* SPDX-License-Identifier: Apache-2.0 */
/* Alerts, and the lines that have still to be told. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "state/store_internal.h"

void store_alert_put(struct store *s, const struct store_alert *a)
{
	sqlite3_stmt *st = store_write(s, STORE_ALERT_PUT);
	uint8_t key[16];
	char flow[24];

	if (!st)
		return;
	snprintf(flow, sizeof(flow), "%llu", (unsigned long long)a->flow_id);
	store_bind_key(st, 1, a->key, key);
	store_bind_text(st, 2, a->uid);
	store_bind(st, 3, a->rule);
	store_bind(st, 4, a->severity);
	store_bind(st, 5, a->engaged_ms);
	store_bind(st, 6, a->last_ms);
	store_bind(st, 7, a->told_ms);
	store_bind(st, 8, a->count);
	store_bind(st, 9, a->suppressed);
	store_bind_text(st, 10, flow);
	store_bind_text(st, 11, a->subject);
	store_bind_text(st, 12, a->app);
	(void)sqlite3_bind_text64(st, 13, a->line ? a->line : "", a->line ? a->line_len : 0, SQLITE_STATIC,
				  SQLITE_UTF8);
	(void)store_run(s, st);
}

void store_alert_drop(struct store *s, struct lru_key key)
{
	sqlite3_stmt *st = store_write(s, STORE_ALERT_DROP);
	uint8_t octets[16];

	if (!st)
		return;
	store_bind_key(st, 1, key, octets);
	(void)store_run(s, st);
}

/* The row a statement stands on. False: it is not one that we have written. */
static bool store_alert_read(sqlite3_stmt *st, struct store_alert *a)
{
	*a = (struct store_alert){
		.rule = (uint32_t)store_column(st, 2),
		.severity = (uint8_t)store_column(st, 3),
		.engaged_ms = store_column(st, 4),
		.last_ms = store_column(st, 5),
		.told_ms = store_column(st, 6),
		.count = store_column(st, 7),
		.suppressed = store_column(st, 8),
		.flow_id = strtoull(store_column_text(st, 9), NULL, 10),
		.subject = store_column_text(st, 10),
		.app = store_column_text(st, 11),
		.line = store_column_text(st, 12),
		.line_len = (size_t)sqlite3_column_bytes(st, 12),
	};
	snprintf(a->uid, sizeof(a->uid), "%s", store_column_text(st, 1));
	return store_column_key(st, 0, &a->key);
}

void store_alerts(struct store *s, void (*each)(void *arg, const struct store_alert *a), void *arg)
{
	sqlite3_stmt *st = s->statements[STORE_ALERTS];
	struct store_alert a;

	while (store_row(s, st))
		if (store_alert_read(st, &a))
			each(arg, &a);
	store_rewind(st);
}

bool store_alert_find(struct store *s, const char *uid, void (*each)(void *arg, const struct store_alert *a), void *arg)
{
	sqlite3_stmt *st = s->statements[STORE_ALERT_FIND];
	struct store_alert a;
	bool found;

	store_bind_text(st, 1, uid);
	found = store_row(s, st) && store_alert_read(st, &a);
	if (found)
		each(arg, &a);
	store_rewind(st);
	return found;
}

/* ---- outbox ---- */

uint64_t store_outbox_put(struct store *s, const char *line, size_t len)
{
	sqlite3_stmt *st;

	if (s->rows.outbox >= STORE_OUTBOX_MAX) {
		s->failures++;
		return 0;
	}
	st = store_write(s, STORE_OUTBOX_PUT);
	if (!st)
		return 0;
	store_bind(st, 1, s->outbox_number + 1);
	(void)sqlite3_bind_text64(st, 2, line, len, SQLITE_STATIC, SQLITE_UTF8);
	if (!store_run(s, st))
		return 0;
	s->rows.outbox++;
	return ++s->outbox_number;
}

void store_outbox_drop(struct store *s, uint64_t up_to)
{
	sqlite3_stmt *st;

	if (s->rows.outbox == 0)
		return;
	st = store_write(s, STORE_OUTBOX_DROP);
	if (!st)
		return;
	store_bind(st, 1, up_to);
	if (store_run(s, st))
		s->rows.outbox -= (uint64_t)sqlite3_changes64(s->db);
}

void store_outbox(struct store *s, void (*each)(void *arg, uint64_t number, const char *line, size_t len), void *arg)
{
	sqlite3_stmt *st = s->statements[STORE_OUTBOX];

	while (store_row(s, st)) {
		const char *line = store_column_text(st, 1);

		each(arg, store_column(st, 0), line, (size_t)sqlite3_column_bytes(st, 1));
	}
	store_rewind(st);
}
