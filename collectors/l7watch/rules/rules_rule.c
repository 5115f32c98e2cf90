/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "rules/rules_internal.h"

#define RULES_WINDOW_MS UINT64_C(3600000)

static const char *const rules_severities[RULES_SEVERITIES + 1] = {"info", "low", "medium", "high", "critical", NULL};

const char *rules_severity_name(enum rules_severity severity)
{
	return severity < RULES_SEVERITIES ? rules_severities[severity] : "?";
}

static int rules_need(struct rules_loader *l, const struct yaml_node *map, const char *key,
		      const struct yaml_node **value)
{
	*value = yaml_get(map, key);
	return *value ? 0 : rules_error(l, map, "a rule needs the key %s", key);
}

static int rules_copy(struct rules_loader *l, const struct yaml_node *node, const char *what, char **out)
{
	const char *text = rules_text(l, node, what);

	if (!text)
		return -EINVAL;
	*out = strdup(text);
	return *out ? 0 : rules_no_memory(l);
}

static int rules_add_text(struct rules_loader *l, const struct rules_item *item, void *arg)
{
	struct rules_texts *t = arg;
	char **items = realloc(t->items, (t->n + 1) * sizeof(char *));

	if (items)
		t->items = items;
	if (items)
		items[t->n] = strdup(item->text);
	if (!items || !items[t->n])
		return rules_no_memory(l);
	t->n++;
	return 0;
}

/* ---- dedup ---- */

static int rules_add_key(struct rules_loader *l, const struct rules_item *item, void *arg)
{
	static const char *const words[] = {"rule",        "subject", "peer",     "side", "app",
					    "application", "master",  "category", "port"};
	uint32_t *keys = arg;
	struct yaml_node at = item->at;
	int i;

	at.kind = YAML_SCALAR;
	at.value = (char *)item->text;
	i = rules_word(l, &at, "dedup key", words, sizeof(words) / sizeof(words[0]));
	if (i < 0)
		return i;
	*keys |= 1u << i;
	return 0;
}

int rules_load_dedup(struct rules_loader *l, const struct yaml_node *node, uint32_t *keys, uint64_t *for_ms)
{
	static const char *const names[] = {"key", "for", NULL}, *const later[] = {NULL};
	const struct yaml_node *value;
	int rc;

	if (node->kind == YAML_SCALAR)
		return rules_duration(l, node, "dedup", for_ms);
	rc = rules_check_keys(l, node, names, later, "dedup");
	value = yaml_get(node, "for");
	if (!rc && value)
		rc = rules_duration(l, value, "for", for_ms);
	value = yaml_get(node, "key");
	if (!rc && value) {
		*keys = RULES_KEY_RULE; /* two rules never share an alert */
		rc = rules_each_plain(l, value, rules_add_key, keys);
	}
	return rc;
}

/* ---- the parts of a rule ---- */

static int rules_load_type(struct rules_loader *l, const struct yaml_node *map, struct rule *r)
{
	static const char *const words[] = {"allow",     "deny",   "risk",       "first_seen",
					    "threshold", "beacon", "server_list"};
	const struct yaml_node *node;
	int i = rules_need(l, map, "type", &node);

	if (i)
		return i;
	i = rules_word(l, node, "type", words, sizeof(words) / sizeof(words[0]));
	if (i < 0)
		return i;
	if (i > RULES_DENY)
		return rules_error(l, node, "type %s is not supported yet", words[i]);
	r->type = (enum rules_type)i;
	return 0;
}

static int rules_load_severity(struct rules_loader *l, const struct yaml_node *map, struct rule *r)
{
	const struct yaml_node *node;
	int i = rules_need(l, map, "severity", &node);

	if (i)
		return i;
	if (node->kind == YAML_SCALAR && strcmp(node->value, "from_score") == 0)
		return rules_error(l, node, "severity from_score is for rules of type risk");
	i = rules_word(l, node, "severity", rules_severities, RULES_SEVERITIES);
	if (i < 0)
		return i;
	r->severity = (enum rules_severity)i;
	return 0;
}

static int rules_load_enabled(struct rules_loader *l, const struct yaml_node *node, struct rule *r)
{
	static const char *const words[] = {"false", "true"};
	int i = rules_word(l, node, "enabled", words, 2);

	r->enabled = i == 1;
	return i < 0 ? i : 0;
}

static int rules_load_actions(struct rules_loader *l, const struct yaml_node *node)
{
	const struct yaml_node *item = node->kind == YAML_LIST && node->n == 1 ? node->items[0] : node;

	if (item->kind == YAML_SCALAR && strcmp(item->value, "log") == 0)
		return 0;
	return rules_error(l, item, "the only action yet is log");
}

/* `until` apart, an exception is a match. */
static int rules_load_exception(struct rules_loader *l, const struct yaml_node *node, struct rules_exception *e)
{
	const struct yaml_node *until = yaml_get(node, "until");
	struct yaml_node rest = *node;
	size_t n = 0;
	int rc = -ENOMEM;

	if (node->kind != YAML_MAP || node->n == (until ? 1 : 0))
		return rules_error(l, node, "an exception is a map with keys of match");
	if (until) {
		rc = rules_date(l, until, &e->until_ms);
		if (rc)
			return rc;
	}
	rest.keys = malloc(node->n * sizeof(struct yaml_node *));
	rest.items = malloc(node->n * sizeof(struct yaml_node *));
	for (size_t i = 0; rest.keys && rest.items && i < node->n; i++) {
		if (node->items[i] == until)
			continue;
		rest.keys[n] = node->keys[i];
		rest.items[n++] = node->items[i];
	}
	rest.n = n;
	rc = n ? rules_load_match(l, &rest, &e->match) : rules_no_memory(l);
	free(rest.keys);
	free(rest.items);
	return rc;
}

static int rules_load_except(struct rules_loader *l, const struct yaml_node *node, struct rule *r)
{
	int rc = 0;

	if (node->kind != YAML_LIST)
		return rules_error(l, node, "except is a list of maps");
	r->except = calloc(node->n + 1, sizeof(*r->except));
	if (!r->except)
		return rules_no_memory(l);
	for (size_t i = 0; i < node->n && !rc; i++)
		rc = rules_load_exception(l, node->items[i], &r->except[r->n_except++]);
	return rc;
}

static int rules_load_unknown(struct rules_loader *l, const struct yaml_node *node, struct rule *r)
{
	static const char *const names[] = {"alert_after", NULL}, *const later[] = {NULL};
	const struct yaml_node *value = yaml_get(node, "alert_after");
	int rc = rules_check_keys(l, node, names, later, "on_unknown");

	if (rc)
		return rc;
	if (!value)
		return rules_error(l, node, "on_unknown needs the key alert_after");
	rc = rules_number(l, value, "alert_after", 1000000, &r->unknown_after);
	if (!rc && r->unknown_after == 0)
		return rules_error(l, value, "alert_after is 0; leave on_unknown out to never alert");
	return rc;
}

static int rules_load_allow(struct rules_loader *l, const struct yaml_node *node, struct rule *r)
{
	static const char *const names[] = {"client", "server", NULL}, *const later[] = {NULL};
	const struct yaml_node *value;
	int rc = rules_check_keys(l, node, names, later, "allow");

	if (rc)
		return rc;
	if (node->n == 0)
		return rules_error(l, node, "allow needs client, server or both");
	value = yaml_get(node, "client");
	if (value)
		rc = rules_load_names(l, value, true, &r->allow_client);
	value = yaml_get(node, "server");
	if (value && !rc)
		rc = rules_load_names(l, value, true, &r->allow_server);
	return rc;
}

/* The keys that only one type has, and what a rule may not be without. */
static int rules_load_by_type(struct rules_loader *l, const struct yaml_node *map, struct rule *r)
{
	const struct yaml_node *match = yaml_get(map, "match"), *allow = yaml_get(map, "allow");
	const struct yaml_node *unknown = yaml_get(map, "on_unknown");
	int rc = rules_need(l, map, "match", &match);

	if (!rc)
		rc = rules_load_match(l, match, &r->match);
	if (rc)
		return rc;
	if (r->type == RULES_DENY) {
		if (allow || unknown)
			return rules_error(l, allow ? allow : unknown, "%s is for rules of type allow",
					   allow ? "allow" : "on_unknown");
		if (match->n == 0)
			return rules_error(l, match, "a deny rule with an empty match would alert on every flow");
		return 0;
	}
	rc = rules_need(l, map, "allow", &allow);
	if (!rc)
		rc = rules_load_allow(l, allow, r);
	if (!rc && unknown)
		rc = rules_load_unknown(l, unknown, r);
	return rc;
}

static int rules_load_id(struct rules_loader *l, const struct yaml_node *map, struct rule *r)
{
	const struct yaml_node *node;
	uint64_t id = 0;
	int rc = rules_need(l, map, "id", &node);

	if (!rc)
		rc = rules_number(l, node, "id", UINT32_MAX, &id);
	r->id = (uint32_t)id;
	for (size_t i = 0; !rc && i < l->set->n; i++)
		if (l->set->rules[i].id == r->id)
			return rules_error(l, node, "id %u is that of \"%s\" already", r->id, l->set->rules[i].name);
	return rc;
}

static int rules_load_optional(struct rules_loader *l, const struct yaml_node *map, struct rule *r)
{
	const struct yaml_node *node;
	int rc = 0;

	if ((node = yaml_get(map, "enabled")))
		rc = rules_load_enabled(l, node, r);
	if (!rc && (node = yaml_get(map, "description")))
		rc = rules_copy(l, node, "description", &r->description);
	if (!rc && (node = yaml_get(map, "tags")))
		rc = rules_each_plain(l, node, rules_add_text, &r->tags);
	if (!rc && (node = yaml_get(map, "mitre")))
		rc = rules_each_plain(l, node, rules_add_text, &r->mitre);
	if (!rc && (node = yaml_get(map, "actions")))
		rc = rules_load_actions(l, node);
	if (!rc && (node = yaml_get(map, "except")))
		rc = rules_load_except(l, node, r);
	if (!rc && (node = yaml_get(map, "window")))
		rc = rules_duration(l, node, "window", &r->window_ms);
	if (!rc && (node = yaml_get(map, "dedup")))
		rc = rules_load_dedup(l, node, &r->dedup.keys, &r->dedup.for_ms);
	return rc;
}

int rules_load_rule(struct rules_loader *l, const struct yaml_node *map, struct rule *r)
{
	static const char *const names[] = {"id",          "name",   "type",       "severity", "enabled", "match",
					    "except",      "window", "dedup",      "actions",  "tags",    "mitre",
					    "description", "allow",  "on_unknown", NULL};
	static const char *const later[] = {"group_by", "score_min", "key",      "learn",      "sum",     "over",
					    "distinct", "min_count", "interval", "max_jitter", "servers", NULL};
	const struct yaml_node *name;
	int rc;

	r->enabled = true;
	r->window_ms = RULES_WINDOW_MS;
	r->dedup = (struct rules_dedup){.keys = l->dedup_keys, .for_ms = l->dedup_ms};
	if (map->kind != YAML_MAP)
		return rules_error(l, map, "a rule is a map of keys and values");
	rc = yaml_get(map, "type") ? rules_load_type(l, map, r) : 0;
	if (!rc)
		rc = rules_check_keys(l, map, names, later, "a rule");
	if (!rc)
		rc = rules_load_id(l, map, r);
	if (!rc)
		rc = rules_need(l, map, "name", &name);
	if (!rc)
		rc = rules_copy(l, name, "name", &r->name);
	if (!rc)
		rc = rules_load_type(l, map, r);
	if (!rc)
		rc = rules_load_severity(l, map, r);
	if (!rc)
		rc = rules_load_optional(l, map, r);
	return rc ? rc : rules_load_by_type(l, map, r);
}

static void rules_texts_deinit(struct rules_texts *t)
{
	for (size_t i = 0; i < t->n; i++)
		free(t->items[i]);
	free(t->items);
}

void rules_rule_deinit(struct rule *r)
{
	free(r->name);
	free(r->description);
	rules_texts_deinit(&r->tags);
	rules_texts_deinit(&r->mitre);
	rules_match_deinit(&r->match);
	for (size_t i = 0; i < r->n_except; i++)
		rules_match_deinit(&r->except[i].match);
	free(r->except);
	rules_names_deinit(&r->allow_client);
	rules_names_deinit(&r->allow_server);
}
