/* SPDX-License-Identifier: Apache-2.0 */
/* Properties of records, by which alerts and counts are kept apart. */
#include <string.h>

#include "rules/rules_internal.h"

/* In the order of their bits. */
static const char *const rules_properties[] = {"rule",   "subject",  "peer", "side",   "app",    "application",
					       "master", "category", "port", "client", "server", "sni",
					       "vlan",   "exporter", "host"}; /* another word for subject */
#define RULES_PROPERTIES (sizeof(rules_properties) / sizeof(rules_properties[0]))

_Static_assert(RULES_KEY_ALL == (1u << (RULES_PROPERTIES - 1)) - 1, "a word for each property");

struct rules_properties_into {
	const char *what;
	uint32_t *keys;
};

static int rules_add_property(struct rules_loader *l, const struct rules_item *item, void *arg)
{
	struct rules_properties_into *into = arg;
	int i = rules_item_word(l, item, into->what, rules_properties, RULES_PROPERTIES);

	if (i < 0)
		return i;
	if (item->negated)
		return rules_item_error(l, item, "%s takes no negation", into->what);
	*into->keys |= i == RULES_PROPERTIES - 1 ? RULES_KEY_SUBJECT : 1u << i;
	return 0;
}

int rules_load_properties(struct rules_loader *l, const struct yaml_node *value, const char *what, uint32_t *keys)
{
	struct rules_properties_into into = {.what = what, .keys = keys};

	return rules_each_plain(l, value, rules_add_property, &into);
}

void rules_properties_say(struct buf *out, uint32_t keys)
{
	bool first = true;

	for (unsigned i = 0; i < RULES_PROPERTIES - 1; i++) {
		if (!(keys >> i & 1))
			continue;
		buf_printf(out, "%s%s", first ? "" : ", ", rules_properties[i]);
		first = false;
	}
}

/* ---- a record's values ---- */

/* With its length before it: a text from the network may hold anything. */
static void property_text(struct buf *out, const struct l7_record *r, struct l7_text t)
{
	static const char unknown[] = "Unknown";
	size_t len = t.len ? t.len : sizeof(unknown) - 1;

	buf_u64(out, len);
	buf_char(out, ':');
	buf_put(out, t.len ? r->text + t.off : unknown, len);
	buf_char(out, '\0');
}

static void property_address(struct buf *out, const uint8_t ip[16])
{
	char text[ADDR_TEXT_MAX];

	buf_str(out, addr_format(ip, text));
	buf_char(out, '\0');
}

static void property_number(struct buf *out, uint64_t n)
{
	buf_u64(out, n);
	buf_char(out, '\0');
}

/* The name that a verdict is about; len 0: nobody knows it. */
static struct l7_text property_app(const struct rules_verdict *v, const struct l7_record *r)
{
	if (v->kind == RULES_UNKNOWN_FLOW)
		return (struct l7_text){0, 0};
	return v->master_only ? r->master : r->app;
}

static void property_names(struct buf *out, uint32_t keys, const struct rules_verdict *v, const struct l7_record *r)
{
	struct l7_text app = property_app(v, r);

	if (keys & RULES_KEY_APP)
		property_text(out, r, app);
	if (keys & RULES_KEY_APPLICATION)
		property_text(out, r, app.len == r->app.len ? r->application : app);
	if (keys & RULES_KEY_MASTER)
		property_text(out, r, app.len ? r->master : app);
	if (keys & RULES_KEY_CATEGORY)
		property_text(out, r, r->category);
}

/* Text, so that every watcher makes the same of it. */
void rules_key_octets(struct buf *out, uint32_t keys, const struct rules_verdict *v, const struct l7_record *r)
{
	bool client = v->side == RULES_CLIENT;

	if (keys & RULES_KEY_RULE)
		property_number(out, v->rule->id);
	if (keys & RULES_KEY_SUBJECT)
		property_address(out, client ? r->src_ip : r->dst_ip);
	if (keys & RULES_KEY_PEER)
		property_address(out, client ? r->dst_ip : r->src_ip);
	if (keys & RULES_KEY_SIDE)
		property_number(out, v->side);
	property_names(out, keys, v, r);
	if (keys & RULES_KEY_PORT)
		property_number(out, r->dst_port);
	if (keys & RULES_KEY_CLIENT)
		property_address(out, r->src_ip);
	if (keys & RULES_KEY_SERVER)
		property_address(out, r->dst_ip);
	if (keys & RULES_KEY_SNI)
		property_text(out, r, rules_server_name(r));
	if (keys & RULES_KEY_VLAN)
		property_number(out, r->vlan_id);
	if (keys & RULES_KEY_EXPORTER)
		property_text(out, r, r->exporter);
}
