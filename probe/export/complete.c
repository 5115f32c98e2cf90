/* SPDX-License-Identifier: Apache-2.0 */
#include "export/complete.h"

#include <string.h>

#include "l7/fields.h"
#include "record/community_id.h"

#define COMPLETE_EXPORTER_MAX                                                                                          \
	64 /* octets of the probe's name in a record: what is left is for the names of protocols */
#define COMPLETE_PLACES_MAX (2 * (2 + 2 * GEO_TEXT_MAX + VENDORS_TEXT_MAX)) /* of both ends */
_Static_assert(L7_TEXT_MAX - L7_TEXT_WORKER >=
		       COMPLETE_EXPORTER_MAX + 16 + 112 + L7_STRING_MAX + COMMUNITY_ID_LEN + COMPLETE_PLACES_MAX,
	       "names have room");

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
	return id < n && names[id] && *names[id] ? names[id] : NULL;
}

/* "Master.App" where they differ, else the one there is, "Unknown" without any. */
static void complete_app(struct l7_record *r, const struct exporter_names *names)
{
	const char *const *apps = (const char *const *)names->apps;
	uint32_t n = atomic_load_explicit(names->n_apps, memory_order_acquire);
	const char *app = r->app_id ? complete_name(apps, n, r->app_id) : NULL;
	const char *master = r->master_id ? complete_name(apps, n, r->master_id) : NULL;
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

/* By bit, whole names only. */
static void complete_risks(struct l7_record *r, const struct exporter_names *names)
{
	char joined[L7_STRING_MAX];
	size_t len = 0;

	for (uint64_t left = r->risks; left; left &= left - 1) {
		unsigned bit = (unsigned)__builtin_ctzll(left);
		const char *name = bit < names->n_risks ? names->risks[bit].name : NULL;
		size_t n = name ? strlen(name) : 0;

		if (n == 0)
			continue;
		if (len + 1 + n > sizeof(joined))
			break;
		if (len)
			joined[len++] = ',';
		memcpy(joined + len, name, n);
		len += n;
	}
	if (len && l7_record_text(r, &r->risk_names, joined, len, L7_TEXT_MAX))
		l7_mark(r, L7_F_flowRiskNames);
}

/* NULL: none of ours. */
static const char *complete_interface(const struct exporter_config *c, uint32_t index)
{
	for (size_t i = 0; index && i < c->n_interfaces; i++) {
		const struct shared_interface *s = &c->interfaces[i];

		if (atomic_load_explicit(&s->index, memory_order_relaxed) == index ||
		    atomic_load_explicit(&s->before, memory_order_relaxed) == index)
			return s->name;
	}
	return NULL;
}

/* Nothing of these is in a record that a worker makes: what is there is of the one before. */
static void complete_places(struct l7_record *r, const struct exporter_config *c, const struct complete *with)
{
	enum { FIRST = L7_F_sourceMacVendor, LAST = L7_F_destinationCity };
	_Static_assert(LAST - FIRST == 9 && LAST < 64, "they stand together in fields.def, in one word");

	r->has[0] &= ~(((UINT64_C(1) << (LAST - FIRST + 1)) - 1) << FIRST);
	memset(&r->place, 0, sizeof(r->place));
	if (with->geo)
		geo_fill(with->geo, r, c->wanted);
	if (with->vendors)
		vendors_fill(with->vendors, r, c->wanted);
}

void complete_fill(struct l7_record *r, const struct exporter_config *c, const struct complete *with)
{
	const struct exporter_names *names = c->names;
	const char *category =
		complete_name((const char *const *)names->categories, names->n_categories, r->category_id);
	char community[COMMUNITY_ID_LEN];

	/* A worker has no say in these, whatever it wrote. */
	r->category = r->interface = r->exporter = r->risk_names = r->community_id = (struct l7_text){0, 0};
	complete_app(r, names);
	complete_text(r, &r->category, L7_F_applicationCategoryName, category, L7_STRING_MAX);
	complete_text(r, &r->exporter, L7_F_exporterName, c->exporter, COMPLETE_EXPORTER_MAX);
	complete_text(r, &r->interface, L7_F_interfaceName, complete_interface(c, r->ingress_if),
		      sizeof(c->interfaces->name));
	if (r->risks && l7_wants(c->wanted, L7_F_flowRiskNames))
		complete_risks(r, names);
	if (l7_wants(c->wanted, L7_F_communityId) && community_id(with->ids, community, r))
		complete_text(r, &r->community_id, L7_F_communityId, community, sizeof(community));
	r->sampling = (c->sample_packets ? c->sample_packets : 1) * (c->sample_flows ? c->sample_flows : 1);
	complete_places(r, c, with);
	l7_mark(r, L7_F_samplingInterval);
	l7_mark(r, L7_F_streamId);
	l7_mark(r, L7_F_recordSequence);
}
