/* SPDX-License-Identifier: Apache-2.0 */
/* Names of protocols in rules. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/nearest.h"
#include "rules/rules_internal.h"

/* Names of nDPI, to tell a slip from a name of one's own. */
static const char *const rules_protocols[] = {
#define PROTOCOL(name) name,
#define CATEGORY(name)
#include "rules/protocols.def"
#undef PROTOCOL
#undef CATEGORY
};
static const char *const rules_categories[] = {
#define PROTOCOL(name)
#define CATEGORY(name) name,
#include "rules/protocols.def"
#undef PROTOCOL
#undef CATEGORY
};
#define RULES_COUNT(array) (sizeof(array) / sizeof(array[0]))

static void rules_warn_name(struct rules_loader *l, const struct rules_item *item, const char *name, bool category)
{
	const char *const *known = category ? rules_categories : rules_protocols;
	size_t n = category ? RULES_COUNT(rules_categories) : RULES_COUNT(rules_protocols);
	const char *near;

	for (size_t i = 0; i < n; i++)
		if (strcasecmp(known[i], name) == 0)
			return;
	near = nearest_string(name, known, n);
	rules_warn_item(l, item, "%s is no %s of nDPI 4.2%s%s%s", name, category ? "category" : "protocol",
			near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
}

/* The number of a name of a rule. */
static int rules_name(struct rules_loader *l, const struct rules_item *item, const char *name, bool category,
		      uint32_t *out)
{
	int64_t n = names_table_add(&l->set->names, name, strlen(name));

	if (!*name || n == -E2BIG)
		return rules_item_error(l, item, "%s is not the name of a protocol", item->text);
	if (n < 0)
		return rules_no_memory(l);
	*out = (uint32_t)n;
	rules_warn_name(l, item, name, category);
	return 0;
}

struct rules_names_into {
	struct names_list *names;
	enum rules_names_key key;
};

static int rules_pattern(struct rules_loader *l, const struct rules_item *item, enum rules_names_key key,
			 struct names_pattern *p)
{
	bool any = key == RULES_NAMES_APP || key == RULES_NAMES_ALLOW, category = key == RULES_NAMES_CATEGORY;
	bool dotted = strchr(item->text, '.') != NULL;
	struct names_written w;
	int rc;

	if (category || (!dotted && !any)) {
		p->kind = PATTERN_APP;
		return rules_name(l, item, item->text, category, &p->app);
	}
	if (!any)
		return rules_item_error(l, item, "master takes one name, not %s; key app takes such", item->text);
	if (names_read(&w, item->text))
		return rules_item_error(l, item, "%s is not a name such as TLS, TLS.* or TLS.Telegram", item->text);
	p->kind = w.kind;
	if (w.kind == PATTERN_APP || w.kind == PATTERN_CATEGORY)
		return rules_name(l, item, w.app, w.kind == PATTERN_CATEGORY, &p->app);
	rc = rules_name(l, item, w.master, false, &p->master);
	return rc || w.kind == PATTERN_MASTER ? rc : rules_name(l, item, w.app, false, &p->app);
}

static int rules_add_name(struct rules_loader *l, const struct rules_item *item, void *arg)
{
	const struct rules_names_into *into = arg;
	struct names_list *names = into->names;
	struct names_pattern p = {.negated = item->negated};
	void *patterns, *texts;
	int rc;

	if (into->key == RULES_NAMES_ALLOW && item->negated)
		return rules_item_error(l, item, "allow lists what may be spoken: !%s has no place in it", item->text);
	rc = rules_pattern(l, item, into->key, &p);
	if (rc)
		return rc;
	patterns = rules_room(names->patterns, names->n, sizeof(p));
	if (patterns)
		names->patterns = patterns;
	texts = rules_room(names->texts, names->n, sizeof(char *));
	if (texts)
		names->texts = texts;
	if (!patterns || !texts)
		return rules_no_memory(l);
	names->texts[names->n] = strdup(item->text);
	if (!names->texts[names->n])
		return rules_no_memory(l);
	names->patterns[names->n++] = p;
	return 0;
}

int rules_load_names(struct rules_loader *l, const struct yaml_node *value, enum rules_names_key key,
		     struct names_list *out)
{
	struct rules_names_into into = {.names = out, .key = key};

	out->given = true;
	return rules_each(l, value, &out->positive, rules_add_name, &into);
}

int rules_load_name(struct rules_loader *l, const struct yaml_node *key, struct names_pattern *out)
{
	struct rules_item item = {.text = key->value, .where = l->yaml, .at = *key};

	if (!*key->value || *key->value == '!' || *key->value == '@')
		return rules_error(l, key, "servers is a map of protocols' names and addresses");
	return rules_pattern(l, &item, RULES_NAMES_ALLOW, out);
}

void rules_names_deinit(struct names_list *n)
{
	for (size_t i = 0; i < n->n; i++)
		free(n->texts[i]);
	free(n->texts);
	free(n->patterns);
}
