/* SPDX-License-Identifier: Apache-2.0 */
#include "rules/rules.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "rules/rules_internal.h"

#define RULES_DEDUP_MS UINT64_C(3600000)

static int rules_load_defaults(struct rules_loader *l, const struct yaml_node *node)
{
	static const char *const names[] = {"dedup", NULL}, *const later[] = {"release_after", "actions", NULL};
	const struct yaml_node *dedup = yaml_get(node, "dedup");
	int rc = rules_check_keys(l, node, names, later, "defaults");

	return rc || !dedup ? rc : rules_load_dedup(l, dedup, &l->dedup_keys, &l->dedup_ms);
}

static int rules_load_version(struct rules_loader *l, const struct yaml_node *root)
{
	const struct yaml_node *node = yaml_get(root, "version");

	if (!node)
		return rules_error(l, root, "the key version is missing: write version: 1");
	if (node->kind != YAML_SCALAR || strcmp(node->value, "1") != 0)
		return rules_error(l, node, "version is not 1, the only one there is");
	return 0;
}

static int rules_load_rules(struct rules_loader *l, const struct yaml_node *root)
{
	const struct yaml_node *list = yaml_get(root, "rules");
	int rc = 0;

	if (!list)
		return rules_error(l, root, "the key rules is missing");
	if (list->kind == YAML_SCALAR && !*list->value)
		return 0;
	if (list->kind != YAML_LIST)
		return rules_error(l, list, "rules is a list");
	if (list->n > RULES_MAX)
		return rules_error(l, list->items[RULES_MAX], "a file has at most %d rules", RULES_MAX);
	l->set->rules = calloc(list->n + 1, sizeof(*l->set->rules));
	if (!l->set->rules)
		return rules_no_memory(l);
	for (size_t i = 0; i < list->n && !rc; i++) {
		rc = rules_load_rule(l, list->items[i], &l->set->rules[i]);
		l->set->n++;
	}
	return rc;
}

static int rules_load_file(struct rules_loader *l)
{
	static const char *const names[] = {"version", "lists", "defaults", "rules", NULL};
	static const char *const later[] = {"home_nets", NULL};
	const struct yaml_node *root = l->yaml->root;
	const struct yaml_node nothing = {.kind = YAML_SCALAR, .line = 1, .column = 1};
	int rc = rules_check_keys(l, root ? root : &nothing, names, later, "a rule file");

	if (!rc)
		rc = rules_load_version(l, root);
	if (rc)
		return rc;
	l->lists = yaml_get(root, "lists");
	if (l->lists && l->lists->kind != YAML_MAP)
		return rules_error(l, l->lists, "lists is a map of names and lists");
	if (yaml_get(root, "defaults"))
		rc = rules_load_defaults(l, yaml_get(root, "defaults"));
	if (!rc)
		rc = rules_load_rules(l, root);
	return rc;
}

static int rules_make(struct rule_set **out, const struct yaml *yaml, struct rules_warnings warnings, char *err,
		      size_t err_size)
{
	struct rules_loader l = {.yaml = yaml,
				 .warnings = warnings,
				 .dedup_ms = RULES_DEDUP_MS,
				 .dedup_keys = RULES_KEY_RULE | RULES_KEY_SUBJECT | RULES_KEY_APPLICATION,
				 .err = err,
				 .err_size = err_size};
	int rc;

	l.set = calloc(1, sizeof(*l.set));
	if (!l.set)
		return rules_no_memory(&l);
	rc = names_table_init(&l.set->names) ? rules_no_memory(&l) : rules_load_file(&l);
	if (!rc && (prefix_map_init(&l.set->prefixes, l.items, l.n_items, l.n_sets) || rules_index_init(l.set)))
		rc = rules_no_memory(&l);
	free(l.items);
	free(l.list_sets);
	if (rc)
		rules_free(l.set);
	else
		*out = l.set;
	return rc;
}

int rules_parse(struct rule_set **out, const char *name, const char *text, size_t len, struct rules_warnings warnings,
		char *err, size_t err_size)
{
	struct yaml yaml;
	int rc = yaml_parse(&yaml, name, text, len, err, err_size);

	if (rc)
		return rc;
	rc = rules_make(out, &yaml, warnings, err, err_size);
	yaml_deinit(&yaml);
	return rc;
}

int rules_load(struct rule_set **out, const struct rules_sources *sources, struct rules_warnings warnings, char *err,
	       size_t err_size)
{
	struct yaml yaml;
	int rc = yaml_load(&yaml, sources->file, err, err_size);

	if (rc)
		return rc;
	rc = rules_make(out, &yaml, warnings, err, err_size);
	yaml_deinit(&yaml);
	return rc;
}

void rules_free(struct rule_set *set)
{
	if (!set)
		return;
	for (size_t i = 0; i < set->n; i++)
		rules_rule_deinit(&set->rules[i]);
	free(set->rules);
	rules_index_deinit(set);
	names_table_deinit(&set->names);
	prefix_map_deinit(&set->prefixes);
	free(set);
}

size_t rules_count(const struct rule_set *set)
{
	return set->n;
}
