/* SPDX-License-Identifier: Apache-2.0 */
/* Rules, alerts, a store and a file of alerts, for tests; records go through the rules, or verdicts are made by hand. */
#ifndef TESTS_ALERT_RIG_H
#define TESTS_ALERT_RIG_H

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "alert/alert.h"
#include "watch_flow.h"

#define NOW UINT64_C(1700000000000)
#define MINUTE UINT64_C(60000)
#define HOUR UINT64_C(3600000)
#define RIG_LINES_MAX 2048
#define RIG_FLOWS_MAX 4096

struct rig {
	struct alerts a;
	struct alert_outputs outputs;
	struct store *store;
	struct rule_set *set;
	char folder[32], path[64], db[64];
	json_t *lines[RIG_LINES_MAX];
	size_t n, read; /* octets of the file that were read */
	uint64_t flows[RIG_FLOWS_MAX];
	size_t n_flows;
};

static inline struct rule_set *rig_rules(const char *rules)
{
	struct rule_set *set = NULL;
	char err[512];

	if (rules_parse(&set, "r.yaml", rules, strlen(rules), (struct rules_warnings){0}, err, sizeof(err)))
		fail_msg("%s", err);
	return set;
}

/* Opens store, output and alerts in the folder, as a start does. */
static inline void rig_start(struct rig *g, const char *rules)
{
	char uri[96], err[512], *items[] = {uri};
	struct conf_list list = {.items = items, .n = 1};

	snprintf(uri, sizeof(uri), "json+file://%s", g->path);
	g->set = rig_rules(rules);
	if (store_open(&g->store, *g->db ? g->db : NULL, err, sizeof(err)) ||
	    alert_outputs_init(&g->outputs, &list, err, sizeof(err)))
		fail_msg("%s", err);
	assert_int_equal(alerts_init(&g->a, &g->outputs, g->store), 0);
	assert_int_equal(alerts_load(&g->a, g->set), 0);
	alerts_settle(&g->a);
}

static inline void rig_open_in(struct rig *g, const char *rules, bool memory)
{
	memset(g, 0, sizeof(*g));
	strcpy(g->folder, "/tmp/l7-alerts-XXXXXX");
	assert_non_null(mkdtemp(g->folder));
	snprintf(g->path, sizeof(g->path), "%s/alerts", g->folder);
	if (!memory)
		snprintf(g->db, sizeof(g->db), "%s/db", g->folder);
	rig_start(g, rules);
}

/* With a store in memory. */
static inline void rig_open(struct rig *g, const char *rules)
{
	rig_open_in(g, rules, true);
}

/* With one that a restart finds again. */
static inline void rig_open_disk(struct rig *g, const char *rules)
{
	rig_open_in(g, rules, false);
}

static inline void rig_stop(struct rig *g)
{
	alerts_settle(&g->a);
	alerts_deinit(&g->a);
	store_close(g->store);
	alert_outputs_deinit(&g->outputs);
	rules_free(g->set);
}

static inline void rig_remove(struct rig *g)
{
	char command[64];

	for (size_t i = 0; i < g->n; i++)
		json_decref(g->lines[i]);
	snprintf(command, sizeof(command), "rm -r %s", g->folder);
	assert_int_equal(system(command), 0);
}

static inline void rig_close(struct rig *g)
{
	rig_stop(g);
	rig_remove(g);
}

/* Reads what was written since the last time; returns how many lines. */
static inline size_t rig_read(struct rig *g)
{
	static char line[ALERT_JSON_MAX];
	size_t before = g->n;
	json_error_t error;
	FILE *in;

	alerts_settle(&g->a);
	in = fopen(g->path, "r");
	assert_non_null(in);
	assert_int_equal(fseek(in, (long)g->read, SEEK_SET), 0);
	while (fgets(line, sizeof(line), in)) {
		assert_int_equal(line[strlen(line) - 1], '\n');
		assert_true(g->n < RIG_LINES_MAX);
		g->lines[g->n] = json_loads(line, JSON_REJECT_DUPLICATES, &error);
		if (!g->lines[g->n++])
			fail_msg("%s: %s", error.text, line);
	}
	g->read = (size_t)ftell(in);
	fclose(in);
	return g->n - before;
}

/* A record as flows.c gives it to the rules. */
static inline struct rules_input rig_input(struct rig *g, const struct l7_record *r)
{
	struct rules_input in = {.record = r,
				 .now_ms = r->end_ms,
				 .answered = r->rev_packets > 0,
				 .start_ms = NOW + r->flow_id,
				 .sampling = 1};

	for (size_t i = 0; i < g->n_flows; i++)
		in.known |= g->flows[i] == r->flow_id;
	if (!in.known && g->n_flows < RIG_FLOWS_MAX)
		g->flows[g->n_flows++] = r->flow_id;
	return in;
}

static inline void rig_feed(struct rig *g, struct flow flow)
{
	struct rules_verdict verdicts[RULES_VERDICTS_MAX];
	struct l7_record r = flow_record(flow);
	struct rules_input in = rig_input(g, &r);
	size_t n = rules_match(g->set, &in, verdicts, RULES_VERDICTS_MAX);

	assert_true(l7_record_check(&r, l7_record_used(&r)));
	for (size_t i = 0; i < n; i++)
		alerts_take(&g->a, &verdicts[i], &in, NULL);
}

#define FEED(g, ...) rig_feed(g, (struct flow){__VA_ARGS__})

/* A text of an alert, by a path such as "rule.name". */
static inline const char *text_at(const json_t *alert, const char *path)
{
	char copy[64], *key, *rest = copy;

	strcpy(copy, path);
	while ((key = strsep(&rest, ".")) && alert)
		alert = json_object_get(alert, key);
	return alert && json_is_string(alert) ? json_string_value(alert) : "(none)";
}

static inline long long number_at(const json_t *alert, const char *path)
{
	char copy[64], *key, *rest = copy;

	strcpy(copy, path);
	while ((key = strsep(&rest, ".")) && alert)
		alert = json_object_get(alert, key);
	return alert && json_is_integer(alert) ? json_integer_value(alert) : -1;
}

/* Members of a rule that tests set by hand. */
static inline struct rule *the_rule(struct rig *g)
{
	return (struct rule *)(uintptr_t)rules_at(g->set, 0);
}

static inline void use(struct rig *g, uint64_t release_ms, uint64_t mute_after, uint64_t mute_ms)
{
	the_rule(g)->release_ms = release_ms;
	the_rule(g)->mute_after = mute_after;
	the_rule(g)->mute_ms = mute_ms;
}

static inline const json_t *last(const struct rig *g)
{
	assert_true(g->n > 0);
	return g->lines[g->n - 1];
}

#endif
