/* SPDX-License-Identifier: Apache-2.0 */
/* Exporters that were heard. */
#include "state/store_internal.h"

void store_exporter_put(struct store *s, const struct store_exporter *e)
{
	sqlite3_stmt *st = store_write(s, STORE_EXPORTER_PUT);

	if (!st)
		return;
	store_bind_text(st, 1, e->name);
	store_bind_text(st, 2, e->from);
	store_bind_text(st, 3, e->site);
	store_bind_text(st, 4, e->version);
	store_bind(st, 5, e->heard_ms);
	store_bind(st, 6, e->silent);
	(void)store_run(s, st);
}

void store_exporter_drop(struct store *s, const char *name)
{
	sqlite3_stmt *st = store_write(s, STORE_EXPORTER_DROP);

	if (!st)
		return;
	store_bind_text(st, 1, name);
	(void)store_run(s, st);
}

void store_exporters(struct store *s, void (*each)(void *arg, const struct store_exporter *e), void *arg)
{
	sqlite3_stmt *st = s->statements[STORE_EXPORTERS];

	store_bind(st, 1, STORE_EXPORTERS_MAX);
	while (store_row(s, st)) {
		const struct store_exporter e = {.name = store_column_text(st, 0),
						 .from = store_column_text(st, 1),
						 .site = store_column_text(st, 2),
						 .version = store_column_text(st, 3),
						 .heard_ms = store_column(st, 4),
						 .silent = store_column(st, 5) != 0};

		each(arg, &e);
	}
	store_rewind(st);
}
