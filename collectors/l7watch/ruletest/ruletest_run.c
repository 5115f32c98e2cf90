/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/log.h"
#include "record/record_json_reader.h"
#include "ruletest/ruletest.h"
#include "watch.h"

#define RUN_FLOWS 65536u

/* A test on its way. */
struct run {
	const struct ruletest *t;
	struct watch *watch; /* owned, as all below */
	int alerts;          /* a file in memory */
	json_t **list;       /* what was told; NULL once it was expected */
	size_t n;
	int wrong; /* lines printed */
	FILE *out; /* not owned */
};

/* ---- flows ---- */

static void run_warn(void *arg, const char *sentence)
{
	(void)arg;
	log_warn("%s", sentence);
}

static int run_open(struct run *r, char *err, size_t err_size)
{
	const struct ruletest *t = r->t;
	const struct rules_sources sources = {
		.file = t->rules, .folder = t->folder, .checks = &t->checks, .home_nets = &t->home_nets};
	const struct watch_options options = {
		.replay = true, .flush_ms = UINT32_MAX, .max_flows = RUN_FLOWS, .max_hosts = RUN_FLOWS};
	struct rule_set *rules;
	char uri[64], *items[] = {uri};
	struct conf_list list = {.items = items, .n = 1};
	int rc = rules_load(&rules, &sources, (struct rules_warnings){.warn = run_warn}, err, err_size);

	if (rc)
		return rc;
	r->watch = calloc(1, sizeof(*r->watch));
	r->alerts = memfd_create("alerts", MFD_CLOEXEC);
	snprintf(uri, sizeof(uri), "json+file:///proc/self/fd/%d", r->alerts);
	if (!r->watch || r->alerts < 0) {
		rules_free(rules);
		snprintf(err, err_size, "%s: %s", t->yaml.file, strerror(errno));
		return -ENOMEM;
	}
	rc = alert_outputs_init(&r->watch->outputs, &list, err, err_size);
	if (rc)
		rules_free(rules);
	else if ((rc = watch_init(r->watch, rules, &options, err, err_size)))
		alert_outputs_deinit(&r->watch->outputs);
	if (rc) {
		free(r->watch);
		r->watch = NULL;
	}
	return rc;
}

static int run_flow(struct run *r, struct record_json_reader *reader, const struct ruletest_flow *f, struct buf *line,
		    char *err, size_t err_size)
{
	const struct yaml_node *flows = yaml_get(r->t->yaml.root, "flows");
	char why[RECORD_JSON_ERROR_MAX];
	struct l7_record record;
	int rc = ruletest_line(r->t, f, line, err, err_size);

	if (rc)
		return rc;
	rc = record_json_read(reader, line->data, line->len, &record, why);
	if (rc && flows->kind == YAML_MAP)
		return yaml_error(&r->t->yaml, flows, err, err_size, "line %u: %s", f->node + 1, why);
	if (rc)
		return yaml_error(&r->t->yaml, flows->items[f->node], err, err_size, "%s", why);
	watch_record(r->watch, &record);
	return 0;
}

/* A key that no record has is a slip of the one who wrote the test. */
struct run_unknown {
	char key[64], near[64];
};

static void run_unknown_key(void *arg, const char *key, const char *near)
{
	struct run_unknown *u = arg;

	if (*u->key)
		return;
	snprintf(u->key, sizeof(u->key), "%s", key);
	snprintf(u->near, sizeof(u->near), "%s", near ? near : "");
}

static int run_flows(struct run *r, char *err, size_t err_size)
{
	const struct yaml_node *flows = yaml_get(r->t->yaml.root, "flows");
	struct run_unknown unknown = {0};
	struct record_json_reader reader;
	struct buf line;
	int rc = 0;

	record_json_reader_init(&reader);
	reader.on_unknown = run_unknown_key;
	reader.arg = &unknown;
	buf_init(&line, RULETEST_LINE_MAX);
	for (size_t i = 0; i < r->t->n_flows && !rc; i++) {
		rc = run_flow(r, &reader, &r->t->flows[i], &line, err, err_size);
		if (!rc && *unknown.key && flows->kind == YAML_LIST)
			rc = yaml_error(&r->t->yaml, flows->items[r->t->flows[i].node], err, err_size,
					"unknown key %s in a flow%s%s%s", unknown.key,
					*unknown.near ? "; did you mean " : "", unknown.near, *unknown.near ? "?" : "");
	}
	if (!rc && r->t->end_ms)
		watch_until(r->watch, r->t->end_ms);
	watch_settle(r->watch);
	buf_deinit(&line);
	return rc;
}

/* ---- alerts ---- */

static int run_read(struct run *r)
{
	FILE *in = fdopen(r->alerts, "r");
	char *line = NULL;
	size_t size = 0;
	int rc = 0;

	if (!in)
		return -errno;
	r->alerts = -1;
	rewind(in);
	while (r->n < RULETEST_ALERTS_MAX && getline(&line, &size, in) > 0) {
		void *list = r->n & (r->n - 1) ? r->list : realloc(r->list, (r->n ? r->n * 2 : 1) * sizeof(json_t *));

		if (!list) {
			rc = -ENOMEM;
			break;
		}
		r->list = list;
		r->list[r->n++] = json_loads(line, 0, NULL);
	}
	free(line);
	fclose(in);
	return rc;
}

/* What an alert has under the name that a test uses. */
static const json_t *run_member(const json_t *alert, const char *key)
{
	static const struct {
		const char *key, *outer, *inner;
	} paths[] = {{"rule", "rule", "id"},  {"host", "subject", "ip"}, {"side", "subject", "side"},
		     {"peer", "peer", "ip"},  {"port", "peer", "port"},  {"type", "rule", "type"},
		     {"name", "rule", "name"}};

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		if (strcmp(paths[i].key, key) == 0)
			return json_object_get(json_object_get(alert, paths[i].outer), paths[i].inner);
	return json_object_get(alert, key);
}

/* Numbers and words must be the same, of the reason a part. */
static bool run_has(const json_t *alert, const char *key, const char *wanted)
{
	const json_t *v = run_member(alert, key);
	char number[32];

	if (json_is_string(v) && strcmp(key, "reason") == 0)
		return strstr(json_string_value(v), wanted) != NULL;
	if (json_is_string(v))
		return strcmp(json_string_value(v), wanted) == 0;
	if (json_is_boolean(v))
		return strcmp(wanted, json_is_true(v) ? "true" : "false") == 0;
	snprintf(number, sizeof(number), "%" JSON_INTEGER_FORMAT, json_integer_value(v));
	return json_is_integer(v) && strcmp(number, wanted) == 0;
}

static bool run_is(const json_t *alert, const struct yaml_node *wanted)
{
	bool state = false;

	for (size_t i = 0; i < wanted->n; i++) {
		const char *key = wanted->keys[i]->value;

		if (strcmp(key, "times") == 0)
			continue;
		state |= strcmp(key, "state") == 0;
		if (wanted->items[i]->kind != YAML_SCALAR || !run_has(alert, key, wanted->items[i]->value))
			return false;
	}
	return state || run_has(alert, "state", "engaged");
}

static void run_expect(struct run *r, const struct yaml_node *wanted)
{
	const struct yaml_node *times = yaml_get(wanted, "times");
	unsigned long n = times && times->kind == YAML_SCALAR ? strtoul(times->value, NULL, 10) : 1, found = 0;

	for (size_t i = 0; i < r->n && found < n; i++) {
		if (!r->list[i] || !run_is(r->list[i], wanted))
			continue;
		json_decref(r->list[i]);
		r->list[i] = NULL;
		found++;
	}
	if (found == n)
		return;
	r->wrong++;
	fprintf(r->out, "%s:%d: this alert did not come", r->t->yaml.file, wanted->line);
	if (n > 1)
		fprintf(r->out, " %lu times, but %lu", n, found);
	fputc('\n', r->out);
}

/* Alerts that nobody expected; of updates and releases only those whose state some test line names. */
static void run_surplus(struct run *r)
{
	for (size_t i = 0; i < r->n; i++) {
		const json_t *reason = r->list[i] ? json_object_get(r->list[i], "reason") : NULL;
		const json_t *rule = r->list[i] ? run_member(r->list[i], "rule") : NULL;

		if (!r->list[i] || !run_has(r->list[i], "state", "engaged"))
			continue;
		r->wrong++;
		fprintf(r->out, "%s: not expected, rule %" JSON_INTEGER_FORMAT ": %s\n", r->t->yaml.file,
			json_integer_value(rule), json_is_string(reason) ? json_string_value(reason) : "");
	}
}

int ruletest_run(const struct ruletest *t, FILE *out, char *err, size_t err_size)
{
	struct run r = {.t = t, .alerts = -1, .out = out};
	int rc = run_open(&r, err, err_size);

	if (!rc) {
		rc = run_flows(&r, err, err_size);
		alert_outputs_deinit(&r.watch->outputs);
		watch_deinit(r.watch);
	}
	if (!rc && (rc = run_read(&r)))
		snprintf(err, err_size, "%s: %s", t->yaml.file, strerror(-rc));
	for (size_t i = 0; !rc && i < t->alerts->n; i++)
		run_expect(&r, t->alerts->items[i]);
	if (!rc)
		run_surplus(&r);
	for (size_t i = 0; i < r.n; i++)
		json_decref(r.list[i]);
	free(r.list);
	free(r.watch);
	if (r.alerts >= 0)
		close(r.alerts);
	return rc ? rc : r.wrong;
}
