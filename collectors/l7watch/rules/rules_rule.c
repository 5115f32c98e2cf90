/* SPDX-License-Identifier: Apache-2.0 */
/* A rule: what every type has. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "rules/rules_internal.h"

#define RULES_WINDOW_MS UINT64_C(3600000)
#define RULES_GROUPS 100000
#define RULES_MUTE_MAX 1000000

static const char *const rules_severities[RULES_SEVERITIES + 1] = {"info", "low", "medium", "high", "critical", NULL};

const char *rules_severity_name(enum rules_severity severity)
{
	return severity < RULES_SEVERITIES ? rules_severities[severity] : "?";
}

/* nDPI's scores are 10, 50, 100 and 250 for a risk that is low, medium, high and severe (later versions say 150); a flow's are added. */
enum rules_severity rules_severity_of(const struct rule *rule, const struct l7_record *r)
{
	if (rule->severity != RULES_FROM_SCORE)
		return rule->severity;
	if (r->risk_score < 50)
		return RULES_LOW;
	if (r->risk_score < 100)
		return RULES_MEDIUM;
	return r->risk_score < 200 ? RULES_HIGH : RULES_CRITICAL;
}

int rules_need(struct rules_loader *l, const struct yaml_node *map, const char *of, const char *key,
	       const struct yaml_node **value)
{
	*value = yaml_get(map, key);
	return *value ? 0 : rules_error(l, map, "%s needs the key %s", of, key);
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
	char **items = rules_room(t->items, t->n, sizeof(char *));

	if (items)
		t->items = items;
	if (items)
		items[t->n] = strdup(item->text);
	if (!items || !items[t->n])
		return rules_no_memory(l);
	t->n++;
	return 0;
}

/* ---- what `defaults` may have too ---- */

static int rules_load_dedup(struct rules_loader *l, const struct yaml_node *node, struct rules_dedup *d, bool *keys)
{
	static const char *const names[] = {"key", "for", NULL};
	const struct yaml_node *value;
	int rc;

	if (node->kind == YAML_SCALAR)
		return rules_duration(l, node, "dedup", &d->for_ms);
	rc = rules_check_keys(l, node, names, "dedup");
	value = yaml_get(node, "for");
	if (!rc && value)
		rc = rules_duration(l, value, "for", &d->for_ms);
	value = yaml_get(node, "key");
	if (!rc && value) {
		d->keys = RULES_KEY_RULE; /* two rules never share an alert */
		*keys = true;
		rc = rules_load_properties(l, value, "dedup key", &d->keys);
	}
	return rc;
}

static int rules_load_mute(struct rules_loader *l, const struct yaml_node *node, uint64_t *after, uint64_t *within)
{
	static const char *const names[] = {"after", "within", NULL};
	const struct yaml_node *value;
	int rc = rules_check_keys(l, node, names, "mute");

	if (!rc && node->n == 0)
		return rules_error(l, node, "mute needs after, within or both");
	value = yaml_get(node, "after");
	if (!rc && value)
		rc = rules_number(l, value, "after", RULES_MUTE_MAX, after);
	value = yaml_get(node, "within");
	if (!rc && value)
		rc = rules_time_span(l, value, "within", within);
	return rc;
}

static int rules_load_actions(struct rules_loader *l, const struct yaml_node *node)
{
	const struct yaml_node *item = node->kind == YAML_LIST && node->n == 1 ? node->items[0] : node;

	if (item->kind == YAML_SCALAR && strcmp(item->value, "log") == 0)
		return 0;
	return rules_error(l, item, "the only action yet is log");
}

int rules_load_defaults(struct rules_loader *l, const struct yaml_node *node)
{
	static const char *const names[] = {"dedup", "release_after", "mute", "actions", NULL};
	struct rules_defaults *d = &l->defaults;
	const struct yaml_node *value;
	int rc = rules_check_keys(l, node, names, "defaults");

	if (!rc && (value = yaml_get(node, "dedup")))
		rc = rules_load_dedup(l, value, &d->dedup, &d->dedup_keys);
	if (!rc && (value = yaml_get(node, "release_after")))
		rc = rules_time_span(l, value, "release_after", &d->release_ms);
	if (!rc && (value = yaml_get(node, "mute")))
		rc = rules_load_mute(l, value, &d->mute_after, &d->mute_ms);
	if (!rc && (value = yaml_get(node, "actions")))
		rc = rules_load_actions(l, value);
	return rc;
}

/* ---- the parts of a rule ---- */

static int rules_load_severity(struct rules_loader *l, const struct yaml_node *map, struct rule *r)
{
	const struct yaml_node *node;
	int i = rules_need(l, map, "a rule", "severity", &node);

	if (i)
		return i;
	if (node->kind == YAML_SCALAR && strcmp(node->value, "from_score") == 0) {
		r->severity = RULES_FROM_SCORE;
		if (r->type != RULES_RISK)
			return rules_error(l, node, "severity from_score is for rules of type risk");
		return 0;
	}
	i = rules_word(l, node, "severity", rules_severities, RULES_SEVERITIES);
	if (i < 0)
		return i;
	r->severity = (enum rules_severity)i;
	return 0;
}

/* `until` apart, an exception is a match. */
static int rules_load_exception(struct rules_loader *l, const struct yaml_node *node, struct rules_exception *e)
{
	const struct yaml_node *until = yaml_get(node, "until");
	struct yaml_node rest = *node;
	size_t n = 0;
	int rc = -ENOMEM;

	e->place = rules_place_of(l, node);
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

static int rules_load_id(struct rules_loader *l, const struct yaml_node *map, struct rule *r)
{
	const struct yaml_node *node;
	uint64_t id = 0;
	int rc = rules_need(l, map, "a rule", "id", &node);

	if (!rc)
		rc = rules_number(l, node, "id", UINT32_MAX, &id);
	r->id = (uint32_t)id;
	for (size_t i = 0; !rc && i < l->set->n; i++) {
		const struct rule *other = &l->set->rules[i];

		if (other->id != r->id)
			continue;
		if (other->place.file == l->file)
			return rules_error(l, node, "id %u is that of \"%s\" already", r->id, other->name);
		return rules_error(l, node, "id %u is that of \"%s\" already, %s:%d", r->id, other->name,
				   other->place.file, other->place.line);
	}
	return rc;
}

static int rules_load_optional(struct rules_loader *l, const struct yaml_node *map, struct rule *r)
{
	const struct yaml_node *node;
	bool keys = l->defaults.dedup_keys;
	int rc = 0;

	if ((node = yaml_get(map, "enabled")))
		rc = rules_bool(l, node, "enabled", &r->enabled);
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
	if (!rc && (node = yaml_get(map, "dedup")))
		rc = rules_load_dedup(l, node, &r->dedup, &keys);
	if (!rc && (node = yaml_get(map, "release_after")))
		rc = rules_time_span(l, node, "release_after", &r->release_ms);
	if (!rc && (node = yaml_get(map, "mute")))
		rc = rules_load_mute(l, node, &r->mute_after, &r->mute_ms);
	if (!keys)
		r->dedup.keys = 0; /* the type has its own */
	return rc;
}

static void rules_rule_init(const struct rules_loader *l, const struct yaml_node *map, struct rule *r)
{
	const struct rules_defaults *d = &l->defaults;

	r->enabled = true;
	r->place = rules_place_of(l, map);
	r->window_ms = RULES_WINDOW_MS;
	r->max_keys = RULES_GROUPS;
	r->dedup = d->dedup;
	r->release_ms = d->release_ms;
	r->mute_after = d->mute_after;
	r->mute_ms = d->mute_ms;
}

int rules_load_rule(struct rules_loader *l, const struct yaml_node *map, struct rule *r)
{
	const struct yaml_node *name;
	int rc;

	rules_rule_init(l, map, r);
	if (map->kind != YAML_MAP)
		return rules_error(l, map, "a rule is a map of keys and values");
	rc = rules_check_rule_keys(l, map, r);
	if (!rc)
		rc = rules_load_id(l, map, r);
	if (!rc)
		rc = rules_need(l, map, "a rule", "name", &name);
	if (!rc)
		rc = rules_copy(l, name, "name", &r->name);
	if (!rc)
		rc = rules_need(l, map, "a rule", "type", &name);
	if (!rc)
		rc = rules_load_severity(l, map, r);
	if (!rc)
		rc = rules_load_optional(l, map, r);
	return rc ? rc : rules_load_type(l, map, r);
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
	for (size_t i = 0; i < r->n_servers; i++) {
		free(r->servers[i].text);
		free(r->servers[i].hosts.sets);
	}
	free(r->servers);
}
