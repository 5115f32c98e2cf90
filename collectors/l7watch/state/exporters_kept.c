/* SPDX-License-Identifier: Apache-2.0 */
/* Exporters in the store. */
#include <stdio.h>
#include <string.h>

#include "state/exporters_internal.h"

#define KEPT_HEARD_MS 60000u /* it is heard all the time: that is written so often */

struct kept_load {
	struct exporters *all;
	uint64_t wall_ms;
};

static void kept_load(void *arg, const struct store_exporter *k)
{
	const struct kept_load *l = arg;
	struct exporters_entry *x = exporters_get(l->all, k->name, strlen(k->name));

	if (x->heard_ms || x->strange || !*x->name)
		return;
	exporters_text(x->from, sizeof(x->from), k->from, strlen(k->from));
	exporters_text(x->site, sizeof(x->site), k->site, strlen(k->site));
	exporters_text(x->version, sizeof(x->version), k->version, strlen(k->version));
	x->heard_ms = x->saved_ms = k->heard_ms ? k->heard_ms : 1;
	x->since_ms = l->wall_ms;
	if (k->silent && l->all->silent_ms)
		exporters_tell(x, EXPORTERS_SILENT, true, "was silent before l7watch was started, and is");
}

void exporters_load(struct exporters *e, struct store *s, uint64_t wall_ms)
{
	struct kept_load l = {.all = e, .wall_ms = wall_ms};

	store_exporters(s, kept_load, &l);
	e->store = s;
}

static void kept_put(struct exporters *e, struct exporters_entry *x)
{
	struct store_exporter k = {.name = x->name,
				   .from = x->from,
				   .site = x->site,
				   .version = x->version,
				   .heard_ms = x->heard_ms,
				   .silent = x->on[EXPORTERS_SILENT]};

	store_exporter_put(e->store, &k);
	x->saved_ms = x->heard_ms;
	x->changed = false;
}

/* It may come again. */
static void kept_forget(struct exporters *e, struct exporters_entry *x, const char *why)
{
	exporters_over(x, why);
	if (e->store)
		store_exporter_drop(e->store, x->name);
	x->heard_ms = x->saved_ms = x->since_ms = 0;
	x->changed = false;
}

bool exporters_forget(struct exporters *e, const char *name)
{
	bool found = false;

	for (uint32_t i = 0; i < e->table.n; i++) {
		struct exporters_entry *x = lru_at(&e->table, i);

		if (!x->heard_ms || strcmp(x->name, name) != 0)
			continue;
		kept_forget(e, x, "is forgotten, as somebody has asked for");
		found = true;
	}
	return found;
}

void exporters_save(struct exporters *e, uint64_t wall_ms, uint64_t keep_ms)
{
	for (uint32_t i = 0; e->store && i < e->table.n; i++) {
		struct exporters_entry *x = lru_at(&e->table, i);

		if (!x->heard_ms || x->strange)
			continue;
		if (wall_ms > x->heard_ms && wall_ms - x->heard_ms > keep_ms)
			kept_forget(e, x, "is forgotten: it was not heard for too long");
		else if (!x->saved_ms || x->changed || x->heard_ms - x->saved_ms >= KEPT_HEARD_MS)
			kept_put(e, x);
	}
}
