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
	struct rules_names *names;
	enum rules_names_key key;
};

static int rules_pattern(struct rules_loader *l, const struct rules_item *item, enum rules_names_key key,
			 struct rules_pattern *p)
{
	char master[NAMES_TEXT_MAX];
	const char *dot = strchr(item->text, '.');
	size_t len = dot ? (size_t)(dot - item->text) : 0;
	bool category = key == RULES_NAMES_CATEGORY;
	int rc;

	if ((key == RULES_NAMES_APP || key == RULES_NAMES_ALLOW) && strncmp(item->text, "category:", 9) == 0) {
		p->kind = PATTERN_CATEGORY;
		return rules_name(l, item, item->text + 9, true, &p->app);
	}
	if (!dot || category) {
		p->kind = PATTERN_APP;
		return rules_name(l, item, item->text, category, &p->app);
	}
	if (key == RULES_NAMES_MASTER)
		return rules_item_error(l, item, "master takes one name, not %s; key app takes such", item->text);
	if (len == 0 || len >= sizeof(master) || strchr(dot + 1, '.'))
		return rules_item_error(l, item, "%s is not a name such as TLS, TLS.* or TLS.Telegram", item->text);
	memcpy(master, item->text, len);
	master[len] = '\0';
	rc = rules_name(l, item, master, false, &p->master);
	p->kind = strcmp(dot + 1, "*") == 0 ? PATTERN_MASTER : PATTERN_BOTH;
	return rc || p->kind == PATTERN_MASTER ? rc : rules_name(l, item, dot + 1, false, &p->app);
}

static int rules_add_name(struct rules_loader *l, const struct rules_item *item, void *arg)
{
	const struct rules_names_into *into = arg;
	struct rules_names *names = into->names;
	struct rules_pattern p = {.negated = item->negated};
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
		     struct rules_names *out)
{
	struct rules_names_into into = {.names = out, .key = key};

	out->given = true;
	return rules_each(l, value, &out->positive, rules_add_name, &into);
}

int rules_load_name(struct rules_loader *l, const struct yaml_node *key, struct rules_pattern *out)
{
	struct rules_item item = {.text = key->value, .where = l->yaml, .at = *key};

	if (!*key->value || *key->value == '!' || *key->value == '@')
		return rules_error(l, key, "servers is a map of protocols' names and addresses");
	return rules_pattern(l, &item, RULES_NAMES_ALLOW, out);
}

void rules_names_deinit(struct rules_names *n)
{
	for (size_t i = 0; i < n->n; i++)
		free(n->texts[i]);
	free(n->texts);
	free(n->patterns);
}
