/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/nearest.h"
#include "ruletest/ruletest.h"

#define RULETEST_START_MS UINT64_C(1767225600000) /* 2026-01-01T00:00:00Z */
#define RULETEST_LINES_MAX (64u << 20)

struct ruletest_loader {
	struct ruletest *t;
	size_t cap;
	char *err;
	size_t err_size;
};

static int load_error(struct ruletest_loader *l, const struct yaml_node *at, const char *sentence)
{
	return yaml_error(&l->t->yaml, at, l->err, l->err_size, "%s", sentence);
}

static int load_no_memory(struct ruletest_loader *l)
{
	snprintf(l->err, l->err_size, "%s: no memory", l->t->yaml.file);
	return -ENOMEM;
}

/* A file that the test names is beside it. */
static char *load_beside(const struct ruletest *t, const char *path)
{
	const char *slash = strrchr(t->yaml.file, '/');
	char *whole = NULL;

	if (!slash || *path == '/')
		return strdup(path);
	if (asprintf(&whole, "%.*s/%s", (int)(slash - t->yaml.file), t->yaml.file, path) < 0)
		return NULL;
	return whole;
}

static int load_text(struct ruletest_loader *l, const char *key, char **out)
{
	const struct yaml_node *node = yaml_get(l->t->yaml.root, key);

	if (!node)
		return 0;
	if (node->kind != YAML_SCALAR || !*node->value)
		return load_error(l, node, "a file's name belongs here");
	free(*out);
	*out = load_beside(l->t, node->value);
	return *out ? 0 : load_no_memory(l);
}

static int load_list(struct ruletest_loader *l, const char *key, struct conf_list *list)
{
	const struct yaml_node *node = yaml_get(l->t->yaml.root, key);

	if (!node)
		return 0;
	if (node->kind != YAML_LIST)
		return load_error(l, node, "a list belongs here");
	list->items = calloc(node->n + 1, sizeof(char *));
	if (!list->items)
		return load_no_memory(l);
	for (; list->n < node->n; list->n++) {
		const struct yaml_node *item = node->items[list->n];

		if (item->kind != YAML_SCALAR)
			return load_error(l, item, "a list holds single words");
		list->items[list->n] = strdup(item->value);
		if (!list->items[list->n])
			return load_no_memory(l);
	}
	return 0;
}

/* ---- time ---- */

/* "90s", "15m", "2h", "1d" */
static bool load_duration(const char *text, uint64_t *ms)
{
	static const char units[] = "smhd";
	static const uint64_t factors[] = {1000, 60000, 3600000, 86400000};
	char *end;
	unsigned long n = strtoul(text, &end, 10);
	const char *unit = *end ? strchr(units, *end) : NULL;

	if (*text < '0' || *text > '9' || !unit || end[1] || n > 1000000)
		return false;
	*ms = n * factors[unit - units];
	return true;
}

static int load_span(struct ruletest_loader *l, const struct yaml_node *map, const char *key, uint64_t *ms)
{
	const struct yaml_node *node = yaml_get(map, key);

	if (!node || (node->kind == YAML_SCALAR && load_duration(node->value, ms)))
		return 0;
	return load_error(l, node, "not a time such as 30s, 15m, 1h or 7d");
}

static int load_start(struct ruletest_loader *l)
{
	const struct yaml_node *node = yaml_get(l->t->yaml.root, "start");
	struct tm tm = {0};
	const char *end;
	time_t s;

	l->t->start_ms = RULETEST_START_MS;
	if (!node)
		return 0;
	end = node->kind == YAML_SCALAR ? strptime(node->value, "%Y-%m-%dT%H:%M:%SZ", &tm) : NULL;
	s = end && !*end ? timegm(&tm) : -1;
	if (s < 0)
		return load_error(l, node, "not a time such as 2026-01-05T08:00:00Z");
	l->t->start_ms = (uint64_t)s * 1000;
	return 0;
}

/* ---- flows ---- */

static int load_add(struct ruletest_loader *l, const struct yaml_node *at, struct ruletest_flow f)
{
	struct ruletest *t = l->t;

	if (t->n_flows == RULETEST_FLOWS_MAX)
		return load_error(l, at, "more than 1,000,000 flows");
	if (t->n_flows == l->cap) {
		size_t cap = l->cap ? l->cap * 2 : 64;
		void *flows = realloc(t->flows, cap * sizeof(f));

		if (!flows)
			return load_no_memory(l);
		t->flows = flows;
		l->cap = cap;
	}
	t->flows[t->n_flows++] = f;
	return 0;
}

/* A flow is a map with keys of a record; `at`, `every` and `times` say when it comes, and how often. */
static int load_flow(struct ruletest_loader *l, const struct yaml_node *node, uint32_t number)
{
	const struct yaml_node *times = node->kind == YAML_MAP ? yaml_get(node, "times") : NULL;
	uint64_t at = 0, every = 0;
	unsigned long n = 1;
	char *end;
	int rc;

	if (node->kind != YAML_MAP)
		return load_error(l, node, "a flow is a map with keys of a record");
	rc = load_span(l, node, "at", &at);
	if (!rc)
		rc = load_span(l, node, "every", &every);
	if (!rc && times) {
		n = times->kind == YAML_SCALAR ? strtoul(times->value, &end, 10) : 0;
		if (n == 0 || n > RULETEST_FLOWS_MAX || *end)
			return load_error(l, times, "not a number of times");
	}
	for (unsigned long i = 0; i < n && !rc; i++)
		rc = load_add(l, node, (struct ruletest_flow){l->t->start_ms + at + i * every, number, (uint32_t)i});
	return rc;
}

/* Flows as a probe wrote them, in their own time. */
static int load_lines(struct ruletest_loader *l, const struct yaml_node *file)
{
	struct ruletest *t = l->t;
	char *path = load_beside(t, file->value), *line = NULL;
	FILE *in = path ? fopen(path, "re") : NULL;
	size_t size = 0;
	uint32_t n = 0;
	int rc = 0;

	if (!path)
		rc = load_no_memory(l);
	else if (!in)
		rc = yaml_error(&t->yaml, file, l->err, l->err_size, "%s: %s", path, strerror(errno));
	while (!rc && getline(&line, &size, in) > 0) {
		void *at = n & (n - 1) ? t->line_at : realloc(t->line_at, (n ? n * 2 : 1) * sizeof(size_t));

		if (!at) {
			rc = load_no_memory(l);
			break;
		}
		t->line_at = at;
		t->line_at[n] = t->lines.len;
		buf_put(&t->lines, line, strcspn(line, "\r\n"));
		buf_char(&t->lines, '\0');
		rc = t->lines.failed ? load_error(l, file, "the file is too large")
				     : load_add(l, file, (struct ruletest_flow){.node = n++});
	}
	if (in)
		fclose(in);
	free(line);
	free(path);
	return rc;
}

static int load_earlier(const void *a, const void *b)
{
	const struct ruletest_flow *x = a, *y = b;

	if (x->at_ms != y->at_ms)
		return x->at_ms < y->at_ms ? -1 : 1;
	if (x->node != y->node)
		return x->node < y->node ? -1 : 1;
	return x->times < y->times ? -1 : x->times > y->times;
}

static int load_flows(struct ruletest_loader *l)
{
	const struct yaml_node *flows = yaml_get(l->t->yaml.root, "flows"), *file;
	int rc = 0;

	if (!flows)
		return load_error(l, l->t->yaml.root, "the key flows is missing");
	file = flows->kind == YAML_MAP ? yaml_get(flows, "file") : NULL;
	if (file && file->kind == YAML_SCALAR && flows->n == 1)
		return load_lines(l, file);
	if (flows->kind != YAML_LIST)
		return load_error(l, flows,
				  "flows is a list, or {file: NAME} with a flow per line as l7probe writes them");
	for (size_t i = 0; i < flows->n && !rc; i++)
		rc = load_flow(l, flows->items[i], (uint32_t)i);
	if (!rc && l->t->n_flows)
		qsort(l->t->flows, l->t->n_flows, sizeof(*l->t->flows), load_earlier);
	return rc;
}

/* ---- the file ---- */

static int load_keys(struct ruletest_loader *l)
{
	static const char *const keys[] = {"name",  "rules", "checks", "checks_folder", "home_nets",
					   "start", "until", "flows",  "alerts"};
	const struct yaml_node *root = l->t->yaml.root;
	const size_t n = sizeof(keys) / sizeof(keys[0]);

	if (!root || root->kind != YAML_MAP) {
		snprintf(l->err, l->err_size, "%s: a test is a map with flows and alerts", l->t->yaml.file);
		return -EINVAL;
	}
	for (size_t i = 0; i < root->n; i++) {
		const char *key = root->keys[i]->value, *near;
		size_t j = 0;

		while (j < n && strcmp(keys[j], key) != 0)
			j++;
		if (j < n)
			continue;
		near = nearest_string(key, keys, n);
		return yaml_error(&l->t->yaml, root->keys[i], l->err, l->err_size, "unknown key %s in a test%s%s%s",
				  key, near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
	}
	return 0;
}

static int load_alerts(struct ruletest_loader *l)
{
	const struct yaml_node *alerts = yaml_get(l->t->yaml.root, "alerts");

	if (!alerts)
		return load_error(l, l->t->yaml.root, "the key alerts is missing: write [] if none is expected");
	if (alerts->kind != YAML_LIST)
		return load_error(l, alerts, "alerts is a list");
	for (size_t i = 0; i < alerts->n; i++)
		if (alerts->items[i]->kind != YAML_MAP)
			return load_error(l, alerts->items[i],
					  "an alert is a map such as {rule: 1002, host: 192.0.2.10}");
	l->t->alerts = alerts;
	return 0;
}

static int load_all(struct ruletest_loader *l)
{
	struct ruletest *t = l->t;
	int rc = load_keys(l);

	if (!rc && !yaml_get(t->yaml.root, "checks") && !(t->rules = load_beside(t, "rules.yaml")))
		rc = load_no_memory(l);
	if (!rc)
		rc = load_text(l, "rules", &t->rules);
	if (!rc)
		rc = load_text(l, "checks_folder", &t->folder);
	if (!rc)
		rc = load_list(l, "checks", &t->checks);
	if (!rc)
		rc = load_list(l, "home_nets", &t->home_nets);
	if (!rc)
		rc = load_start(l);
	if (!rc)
		rc = load_span(l, t->yaml.root, "until", &t->end_ms);
	if (!rc && t->end_ms)
		t->end_ms += t->start_ms;
	if (!rc)
		rc = load_flows(l);
	return rc ? rc : load_alerts(l);
}

int ruletest_load(struct ruletest *t, const char *path, char *err, size_t err_size)
{
	struct ruletest_loader l = {.t = t, .err = err, .err_size = err_size};
	int rc;

	memset(t, 0, sizeof(*t));
	rc = yaml_load(&t->yaml, path, err, err_size);
	if (rc)
		return rc;
	buf_init(&t->lines, RULETEST_LINES_MAX);
	rc = load_all(&l);
	if (rc)
		ruletest_deinit(t);
	return rc;
}

static void load_free_list(struct conf_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		free(list->items[i]);
	free(list->items);
}

void ruletest_deinit(struct ruletest *t)
{
	load_free_list(&t->checks);
	load_free_list(&t->home_nets);
	free(t->rules);
	free(t->folder);
	free(t->flows);
	free(t->line_at);
	buf_deinit(&t->lines);
	yaml_deinit(&t->yaml);
}
