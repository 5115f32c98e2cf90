/* SPDX-License-Identifier: Apache-2.0 */
#include "export/complete.h"

#include <string.h>

#include "l7/fields.h"

#define COMPLETE_EXPORTER_MAX                                                                                          \
	64 /* octets of the probe's name in a record: what is left is for the names of protocols */
_Static_assert(L7_TEXT_MAX - L7_TEXT_WORKER >= COMPLETE_EXPORTER_MAX + 16 + 112, "names have room");

bool complete_copy(struct l7_record *r, const void *slot)
{
	const volatile struct l7_record *shared = slot;
	size_t len = shared->text_len; /* once: it can change under us */

	if (len > L7_TEXT_WORKER)
		return false;
	memmove(r, slot,
		offsetof(struct l7_record, text) + len); /* gcc makes a slow copy in place of a memcpy() here */
	r->text_len = (uint16_t)len;
	return l7_record_check(r, l7_record_used(r));
}

static const char *complete_name(const char *const *names, uint32_t n, uint32_t id)
{
	return id < n ? names[id] : NULL;
}

/* "Master.App" where they differ, else the one there is, "Unknown" without any. */
static void complete_app(struct l7_record *r, const struct exporter_names *names)
{
	const char *const *apps = (const char *const *)names->apps;
	const char *app = r->app_id ? complete_name(apps, names->n_apps, r->app_id) : NULL;
	const char *master = r->master_id ? complete_name(apps, names->n_apps, r->master_id) : NULL;
	char full[2 * L7_STRING_MAX];
	size_t len = 0;

	if (master && (!app || r->master_id == r->app_id)) {
		app = master;
		master = NULL;
	}
	if (!app)
		app = "Unknown";
	if (master) {
		len = strnlen(master, L7_STRING_MAX - 1);
		memcpy(full, master, len);
		full[len++] = '.';
	}
	memcpy(full + len, app, strnlen(app, L7_STRING_MAX));
	len += strnlen(app, L7_STRING_MAX);
	l7_record_set_app(r, full, len);
}

static void complete_text(struct l7_record *r, struct l7_text *t, enum l7_field f, const char *s, size_t max)
{
	if (s && *s && l7_record_text(r, t, s, strnlen(s, max), L7_TEXT_MAX))
		l7_mark(r, f);
}

void complete_fill(struct l7_record *r, const struct exporter_config *c)
{
	const struct exporter_names *names = c->names;
	const char *category =
		complete_name((const char *const *)names->categories, names->n_categories, r->category_id);

	/* A worker has no say in these, whatever it wrote. */
	r->category = r->interface = r->exporter = (struct l7_text){0, 0};
	complete_app(r, names);
	complete_text(r, &r->category, L7_F_applicationCategoryName, category, L7_STRING_MAX);
	complete_text(r, &r->exporter, L7_F_exporterName, c->exporter, COMPLETE_EXPORTER_MAX);
	if (c->interface && r->ingress_if == c->interface_id)
		complete_text(r, &r->interface, L7_F_interfaceName, c->interface, 16);
	if (r->sampling == 0)
		r->sampling = 1;
	l7_mark(r, L7_F_samplingInterval);
	l7_mark(r, L7_F_streamId);
	l7_mark(r, L7_F_recordSequence);
}
