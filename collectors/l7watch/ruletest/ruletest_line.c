/* SPDX-License-Identifier: Apache-2.0 */
/* A flow of a test as the JSON line of a record; what it does not say is made up, so that a test says what matters. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ruletest/ruletest.h"

#define LINE_FIRST_PORT 20000u
#define LINE_PORTS 40000u
#define LINE_DURATION_MS 1000u

static const struct {
	const char *key, *json;
} line_defaults[] = {
	{"dst_port", "443"},         {"protocol", "6"},         {"packets", "5"},
	{"octets", "1000"},          {"biflow_direction", "1"}, {"end_reason", "\"end\""},
	{"state", "\"final,last\""}, {"confidence", "\"dpi\""}, {"master_confidence", "\"dpi\""},
};

/* Keys that are a test's, not a record's. */
static bool line_own(const char *key)
{
	static const char *const own[] = {"at", "every", "times", "duration", "answered"};

	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		if (strcmp(own[i], key) == 0)
			return true;
	return false;
}

static void line_key(struct buf *line, const char *key)
{
	buf_char(line, line->len > 1 ? ',' : '{');
	buf_json(line, key, strlen(key));
	buf_char(line, ':');
}

static void line_number(struct buf *line, const char *key, uint64_t n)
{
	line_key(line, key);
	buf_u64(line, n);
}

/* What stands without quotes and looks like a number is one. */
static void line_value(struct buf *line, const struct yaml_node *v)
{
	bool number = !v->quoted && *v->value;

	for (const char *c = v->value; *c; c++)
		number &= *c >= '0' && *c <= '9';
	if (number)
		buf_str(line, v->value);
	else
		buf_json(line, v->value, strlen(v->value));
}

/* True unless the flow says answered: false. */
static bool line_answered(const struct yaml_node *flow)
{
	const struct yaml_node *a = yaml_get(flow, "answered");

	return !a || a->kind != YAML_SCALAR || strcmp(a->value, "false") != 0;
}

static uint64_t line_duration(const struct yaml_node *flow)
{
	const struct yaml_node *d = yaml_get(flow, "duration");

	return d && d->kind == YAML_SCALAR ? strtoul(d->value, NULL, 10) * 1000 : LINE_DURATION_MS;
}

static void line_made_up(struct buf *line, const struct yaml_node *flow, const struct ruletest_flow *f)
{
	uint64_t id = (uint64_t)f->node << 32 | (f->times + 1);

	for (size_t i = 0; i < sizeof(line_defaults) / sizeof(line_defaults[0]); i++) {
		if (yaml_get(flow, line_defaults[i].key))
			continue;
		line_key(line, line_defaults[i].key);
		buf_str(line, line_defaults[i].json);
	}
	if (!yaml_get(flow, "rev_packets"))
		line_number(line, "rev_packets", line_answered(flow) ? 4 : 0);
	if (!yaml_get(flow, "rev_octets"))
		line_number(line, "rev_octets", line_answered(flow) ? 2000 : 0);
	if (!yaml_get(flow, "src_port"))
		line_number(line, "src_port", LINE_FIRST_PORT + (f->node * 7919u + f->times) % LINE_PORTS);
	if (!yaml_get(flow, "flow_id")) {
		line_key(line, "flow_id");
		buf_printf(line, "\"%llu\"", (unsigned long long)id);
	}
	if (!yaml_get(flow, "start_ms"))
		line_number(line, "start_ms", f->at_ms);
	if (!yaml_get(flow, "end_ms"))
		line_number(line, "end_ms", f->at_ms + line_duration(flow));
}

int ruletest_line(const struct ruletest *t, const struct ruletest_flow *f, struct buf *line, char *err, size_t err_size)
{
	const struct yaml_node *flows = yaml_get(t->yaml.root, "flows"), *flow;

	buf_reset(line);
	if (flows->kind == YAML_MAP) {
		buf_str(line, t->lines.data + t->line_at[f->node]);
		return line->failed ? -EINVAL : 0;
	}
	flow = flows->items[f->node];
	for (size_t i = 0; i < flow->n; i++) {
		const struct yaml_node *v = flow->items[i];

		if (v->kind != YAML_SCALAR)
			return yaml_error(&t->yaml, v, err, err_size, "a flow's values are single words and numbers");
		if (line_own(flow->keys[i]->value) || !*v->value) /* "" is that the record does not have it */
			continue;
		line_key(line, flow->keys[i]->value);
		line_value(line, v);
	}
	line_made_up(line, flow, f);
	buf_char(line, '}');
	if (line->failed)
		return yaml_error(&t->yaml, flow, err, err_size, "the flow is too long");
	return 0;
}
