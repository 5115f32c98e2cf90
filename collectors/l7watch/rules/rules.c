/* SPDX-License-Identifier: Apache-2.0 */
/* Sets of rules, and the files they are made from. */
#include "rules/rules.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/nearest.h"
#include "rules/rules_internal.h"

#define RULES_DEDUP_MS UINT64_C(3600000)
#define RULES_RELEASE_MS UINT64_C(900000)
#define RULES_MUTE_AFTER 100
#define RULES_MUTE_MS UINT64_C(600000)
#define RULES_CHECKS_MAX 256 /* files of a folder that are looked at for a name that is near */

/* ---- one file ---- */

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
	struct rule_set *set = l->set;
	size_t room = RULES_MAX - set->n;
	struct rule *rules;
	int rc = 0;

	if (!list)
		return rules_error(l, root, "the key rules is missing");
	if (list->kind == YAML_SCALAR && !*list->value)
		return 0;
	if (list->kind != YAML_LIST)
		return rules_error(l, list, "rules is a list");
	if (list->n > room)
		return rules_error(l, list->items[room], "there are at most %d rules%s", RULES_MAX,
				   set->n ? ", those of other files among them" : "");
	rules = realloc(set->rules, (set->n + list->n + 1) * sizeof(*rules));
	if (!rules)
		return rules_no_memory(l);
	set->rules = rules;
	memset(rules + set->n, 0, (list->n + 1) * sizeof(*rules));
	for (size_t i = 0; i < list->n && !rc; i++) {
		rc = rules_load_rule(l, list->items[i], &rules[set->n]);
		set->n++;
	}
	return rc;
}

/* The file that the loader is at: the main one, or a check. */
static int rules_load_file(struct rules_loader *l, bool main)
{
	static const char *const all[] = {"version", "home_nets", "lists", "defaults", "rules", NULL};
	static const char *const of_check[] = {"version", "lists", "defaults", "rules", NULL};
	const struct yaml_node *root = l->yaml->root, *node;
	const struct yaml_node nothing = {.kind = YAML_SCALAR, .line = 1, .column = 1};
	int rc = rules_check_keys(l, root ? root : &nothing, main ? all : of_check, main ? "a rule file" : "a check");

	if (!rc)
		rc = rules_load_version(l, root);
	if (rc)
		return rc;
	node = yaml_get(root, "lists");
	if (node && node->kind != YAML_MAP)
		return rules_error(l, node, "lists is a map of names and lists");
	*(main ? &l->main_lists : &l->own_lists) = (struct rules_list){.yaml = l->yaml, .node = node};
	if ((node = main ? yaml_get(root, "home_nets") : NULL)) {
		free(l->set->home.sets); /* of the configuration */
		l->set->home = (struct rules_hosts){0};
		rc = rules_load_hosts(l, node, &l->set->home);
	}
	if (!rc && (node = yaml_get(root, "defaults")))
		rc = rules_load_defaults(l, node);
	return rc ? rc : rules_load_rules(l, root);
}

static int rules_load_yaml(struct rules_loader *l, const struct yaml *yaml, bool main)
{
	struct rules_defaults defaults = l->defaults;
	size_t n_list_sets = l->n_list_sets;
	int rc;

	l->yaml = yaml;
	l->file = rules_file_add(l->set, yaml->file, false);
	rc = l->file ? rules_load_file(l, main) : rules_no_memory(l);
	if (!main) { /* a check's own defaults and lists end with it */
		l->defaults = defaults;
		l->n_list_sets = n_list_sets;
	}
	l->own_lists = (struct rules_list){0};
	return rc;
}

/* ---- checks ---- */

/* Names of the checks in a folder. */
struct rules_checks {
	char *names[RULES_CHECKS_MAX]; /* owned */
	size_t n;
};

static void rules_checks_read(struct rules_checks *c, const char *folder)
{
	DIR *dir = opendir(folder);
	const struct dirent *entry;

	while (dir && c->n < RULES_CHECKS_MAX && (entry = readdir(dir))) {
		size_t len = strlen(entry->d_name);

		if (len <= 5 || *entry->d_name == '.' || strcmp(entry->d_name + len - 5, ".yaml") != 0)
			continue;
		c->names[c->n] = strndup(entry->d_name, len - 5);
		c->n += c->names[c->n] != NULL;
	}
	if (dir)
		closedir(dir);
}

static int rules_no_check(struct rules_loader *l, const char *name, const char *folder)
{
	struct rules_checks c = {.n = 0};
	const char *near;

	rules_checks_read(&c, folder);
	near = nearest_string(name, (const char *const *)c.names, c.n);
	snprintf(l->err, l->err_size, "checks: there is no check %s in %s%s%s%s", name, folder,
		 near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
	for (size_t i = 0; i < c.n; i++)
		free(c.names[i]);
	return -EINVAL;
}

static int rules_load_check(struct rules_loader *l, const struct rules_sources *sources, size_t i)
{
	const char *name = sources->checks->items[i];
	char path[4096];
	struct yaml yaml;
	int n, rc;

	for (size_t k = 0; k < i; k++)
		if (strcmp(sources->checks->items[k], name) == 0) {
			snprintf(l->err, l->err_size, "checks: %s is there twice", name);
			return -EINVAL;
		}
	n = snprintf(path, sizeof(path), "%s/%s.yaml", sources->folder, name);
	if (!*name || *name == '.' || strchr(name, '/') || n < 0 || (size_t)n >= sizeof(path)) {
		snprintf(l->err, l->err_size, "checks: \"%s\" is not the name of a check", name);
		return -EINVAL;
	}
	if (!rules_file_add(l->set, path, false)) {
		snprintf(l->err, l->err_size, "%s: no memory", path);
		return -ENOMEM;
	}
	rc = yaml_load(&yaml, path, l->err, l->err_size);
	if (rc == -ENOENT)
		return rules_no_check(l, name, sources->folder);
	if (rc)
		return rc;
	rc = rules_load_yaml(l, &yaml, false);
	yaml_deinit(&yaml);
	return rc;
}

/* ---- sets ---- */

static int rules_begin(struct rules_loader *l, struct rules_warnings warnings, char *err, size_t err_size)
{
	*l = (struct rules_loader){
		.warnings = warnings,
		.defaults = {.dedup = {.for_ms = RULES_DEDUP_MS},
			     .release_ms = RULES_RELEASE_MS,
			     .mute_after = RULES_MUTE_AFTER,
			     .mute_ms = RULES_MUTE_MS},
		.err = err,
		.err_size = err_size,
	};
	l->set = calloc(1, sizeof(*l->set));
	if (l->set && names_table_init(&l->set->names) == 0)
		return 0;
	snprintf(err, err_size, "no memory for rules");
	return -ENOMEM;
}

/* Makes the set of what was loaded, or after an error nothing. */
static int rules_end(struct rules_loader *l, int rc, struct rule_set **out)
{
	if (!rc && (prefix_map_init(&l->set->prefixes, l->items, l->n_items, l->n_sets) || rules_index_init(l->set))) {
		snprintf(l->err, l->err_size, "no memory for rules");
		rc = -ENOMEM;
	}
	free(l->items);
	free(l->list_sets);
	if (rc)
		rules_free(l->set);
	else
		*out = l->set;
	return rc;
}

int rules_parse(struct rule_set **out, const char *name, const char *text, size_t len, struct rules_warnings warnings,
		char *err, size_t err_size)
{
	struct rules_loader l;
	struct yaml yaml;
	int rc = yaml_parse(&yaml, name, text, len, err, err_size);

	if (rc)
		return rc;
	rc = rules_begin(&l, warnings, err, err_size);
	if (!rc)
		rc = rules_load_yaml(&l, &yaml, true);
	rc = rules_end(&l, rc, out);
	yaml_deinit(&yaml);
	return rc;
}

int rules_load(struct rule_set **out, const struct rules_sources *sources, struct rules_warnings warnings, char *err,
	       size_t err_size)
{
	struct rules_loader l;
	struct yaml yaml = {0};
	bool read = false;
	int rc = rules_begin(&l, warnings, err, err_size);

	if (!rc && sources->home_nets)
		rc = rules_load_home(&l, sources->home_nets);
	if (!rc && sources->file) {
		/* Looked at before it is read: what changes meanwhile is a change. */
		rc = rules_file_add(l.set, sources->file, false) ? yaml_load(&yaml, sources->file, err, err_size)
								 : rules_no_memory(&l);
		read = rc == 0;
		if (!rc)
			rc = rules_load_yaml(&l, &yaml, true);
	}
	for (size_t i = 0; !rc && sources->checks && i < sources->checks->n; i++)
		rc = rules_load_check(&l, sources, i);
	rc = rules_end(&l, rc, out);
	if (read)
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
	free(set->home.sets);
	rules_index_deinit(set);
	names_table_deinit(&set->names);
	prefix_map_deinit(&set->prefixes);
	rules_files_deinit(set);
	free(set);
}

size_t rules_count(const struct rule_set *set)
{
	return set->n;
}

const struct rule *rules_at(const struct rule_set *set, size_t i)
{
	return &set->rules[i];
}

const struct rule *rules_find(const struct rule_set *set, uint32_t id)
{
	for (size_t i = 0; i < set->n; i++)
		if (set->rules[i].id == id)
			return &set->rules[i];
	return NULL;
}

bool rules_is_home(const struct rule_set *set, const uint8_t ip[16])
{
	return set->home.given && rules_hosts_have(set, &set->home, prefix_map_class(&set->prefixes, ip));
}

bool rules_has_home(const struct rule_set *set)
{
	return set->home.given;
}

void rules_look(const struct rule_set *set, struct rules_input *in)
{
	in->classes[0] = prefix_map_class(&set->prefixes, in->record->src_ip);
	in->classes[1] = prefix_map_class(&set->prefixes, in->record->dst_ip);
	in->looked = true;
}

bool rules_home_side(const struct rule_set *set, const struct rules_input *in, enum rules_side side)
{
	return set->home.given && rules_hosts_have(set, &set->home, in->classes[side == RULES_SERVER]);
}
