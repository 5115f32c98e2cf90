/* SPDX-License-Identifier: Apache-2.0 */
#include "watch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "l7/fields.h"

#define WATCH_SKEW_MS UINT64_C(300000) /* a record's time is believed if it is not further from ours */

int watch_init(struct watch *w, struct rule_set *rules)
{
	char err[256];

	w->rules = rules;
	w->store = NULL;
	w->wall_ms = clock_wall_ms();
	w->flows = calloc(WATCH_FLOWS, sizeof(*w->flows));
	if (w->flows && store_open(&w->store, NULL, err, sizeof(err)) == 0 &&
	    alerts_init(&w->alerts, &w->outputs, w->store) == 0 && alerts_load(&w->alerts, rules) == 0)
		return 0;
	alerts_deinit(&w->alerts);
	store_close(w->store);
	free(w->flows);
	rules_free(rules);
	return -ENOMEM;
}

void watch_deinit(struct watch *w)
{
	alerts_deinit(&w->alerts);
	store_close(w->store);
	rules_free(w->rules);
	free(w->flows);
}

void watch_use_rules(struct watch *w, struct rule_set *rules)
{
	alerts_use_rules(&w->alerts, rules);
	rules_free(w->rules);
	w->rules = rules;
}

/* Whether the responder has sent something. Later records of a flow tell only of their own time: earlier answers are kept. */
static bool watch_answered(struct watch *w, const struct l7_record *r)
{
	struct watch_flow *f = &w->flows[(r->flow_id ^ r->flow_id >> 32) & (WATCH_FLOWS - 1)];

	if (r->rev_packets) {
		if (r->flow_id && !(r->state & L7_STATE_LAST))
			f->flow_id = r->flow_id;
		return true;
	}
	return r->flow_id && f->flow_id == r->flow_id;
}

/* The record's end, within bounds of our own clock: a probe's clock may be wrong. */
static uint64_t watch_time(struct watch *w, const struct l7_record *r)
{
	uint64_t end = l7_has(r, L7_F_flowEndMilliseconds) ? r->end_ms : w->wall_ms;

	if (end + WATCH_SKEW_MS < w->wall_ms) {
		w->n_skewed++;
		return w->wall_ms - WATCH_SKEW_MS;
	}
	if (end > w->wall_ms + WATCH_SKEW_MS) {
		w->n_skewed++;
		return w->wall_ms + WATCH_SKEW_MS;
	}
	return end;
}

void watch_record(void *arg, const struct l7_record *r)
{
	struct watch *w = arg;
	struct rules_verdict verdicts[RULES_VERDICTS_MAX];
	struct rules_input in = {.record = r, .now_ms = watch_time(w, r), .answered = watch_answered(w, r)};
	size_t n = rules_match(w->rules, &in, verdicts, RULES_VERDICTS_MAX);

	w->n_records++;
	for (size_t i = 0; i < n; i++)
		alerts_take(&w->alerts, &verdicts[i], &in, NULL);
}

/* ---- statistics ---- */

static void watch_number(FILE *out, const char *name, uint64_t n)
{
	fprintf(out, ",\"%s\":%llu", name, (unsigned long long)n);
}

static void watch_stats_refused(const struct watch *w, FILE *out)
{
	const struct ipfix_counters *c = &w->input.ipfix;
	const struct input_counters *i = &w->input.counters;

	fprintf(out, ",\"refused\":{\"bad_header\":%llu", (unsigned long long)c->bad_header);
	watch_number(out, "bad_set", c->bad_set);
	watch_number(out, "bad_template", c->bad_template);
	watch_number(out, "large_template", c->large_template);
	watch_number(out, "no_template", c->no_template);
	watch_number(out, "bad_record", c->bad_record);
	watch_number(out, "no_address", c->no_address);
	watch_number(out, "names", c->names_refused);
	watch_number(out, "truncated", i->truncated);
	watch_number(out, "garbage", i->garbage);
	watch_number(out, "half_messages", i->half_messages);
	watch_number(out, "netflow", i->netflow_refused);
	watch_number(out, "lines", i->bad_lines);
	watch_number(out, "files", i->bad_files);
	watch_number(out, "connections", i->connections_refused);
	watch_number(out, "no_descriptors", i->no_descriptors);
	fputc('}', out);
}

void watch_stats(const struct watch *w, FILE *out)
{
	const struct ipfix_counters *c = &w->input.ipfix;

	fprintf(out, "{\"messages\":%llu", (unsigned long long)c->messages);
	watch_number(out, "records", w->n_records);
	watch_number(out, "lines", w->input.counters.lines);
	watch_number(out, "unknown_keys", w->input.counters.unknown_keys);
	watch_number(out, "options", c->options);
	watch_number(out, "templates", c->templates);
	watch_number(out, "withdrawals", c->withdrawals);
	watch_number(out, "lost", c->lost);
	watch_number(out, "late", c->late);
	watch_number(out, "restarts", c->restarts);
	watch_number(out, "kernel_drops", w->input.counters.kernel_drops);
	watch_number(out, "skewed", w->n_skewed);
	watch_stats_refused(w, out);
	fprintf(out, ",\"evicted\":{\"templates\":%llu", (unsigned long long)c->evicted_templates);
	watch_number(out, "domains", c->evicted_domains);
	watch_number(out, "udp_sessions", w->input.sessions.evicted);
	watch_number(out, "dedup_keys", w->alerts.n_evicted);
	watch_number(out, "unknown_counts", w->alerts.unknown.evicted);
	fputc('}', out);
	watch_number(out, "connections", w->input.counters.connections);
	watch_number(out, "connections_open", w->input.n_connections);
	watch_number(out, "udp_sessions", w->input.sessions.n);
	watch_number(out, "rules", rules_count(w->rules));
	watch_number(out, "alerts", w->alerts.n_raised);
	watch_number(out, "suppressed", w->alerts.n_suppressed);
	watch_number(out, "alerts_lost", w->outputs.n_lost);
	fputs("}\n", out);
}
