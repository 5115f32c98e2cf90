/* SPDX-License-Identifier: Apache-2.0 */
#include "watch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/utc.h"
#include "l7/fields.h"

#define WATCH_WAITED_MS UINT64_C(7776000000) /* 90 days: no spool keeps anything for longer that anybody waits for */
#define WATCH_SKEW_MS UINT64_C(300000)       /* a record's time is believed if it is not further from ours */
#define WATCH_FLUSH_HOSTS 10000u             /* rows a flush saves; the rest comes with the next second */
#define WATCH_FLUSH_GROUPS 5000u
#define WATCH_GIVE_UP_MS 3000u /* for outputs to take alerts, when partitions of a topic go */

static void watch_health(void *arg, enum exporters_health what, const char *exporter, bool on, const char *sentence)
{
	struct watch *w = arg;

	alerts_health(&w->alerts, what, exporter, on, sentence, w->now_ms);
}

static bool watch_home(void *arg, const struct rules_input *in, enum rules_side side)
{
	const struct watch *w = arg;

	return rules_home_side(w->rules, in, side);
}

/* All tables; the store is open, and nothing of it read yet. */
static int watch_tables(struct watch *w)
{
	int rc = flows_init(&w->flows, w->options.max_flows);

	if (!rc)
		rc = doubles_init(&w->doubles);
	if (!rc)
		rc = usage_init(&w->usage, w->store, USAGE_MAX);
	if (!rc)
		rc = exporters_init(&w->exporters, w->options.replay ? 0 : w->options.silent_ms);
	if (!rc)
		rc = alerts_init(&w->alerts, &w->outputs, w->store);
	if (!rc)
		rc = detect_new(&w->detect, w->rules);
	if (!rc && w->options.replay)
		rc = summary_init(&w->summary, w->rules);
	w->exporters.tell = watch_health;
	w->exporters.arg = w;
	usage_home(&w->usage, rules_has_home(w->rules) ? watch_home : NULL, w);
	return rc;
}

int watch_init(struct watch *w, struct rule_set *rules, const struct watch_options *o, char *err, size_t err_size)
{
	int rc;

	w->rules = rules;
	w->options = *o;
	w->wall_ms = clock_wall_ms();
	w->now_ms = o->replay ? 0 : w->wall_ms;
	w->flush_at = w->wall_ms + o->flush_ms;
	rc = store_open(&w->store, o->state, err, err_size);
	if (rc) {
		rules_free(rules);
		w->rules = NULL;
		return rc;
	}
	rc = watch_tables(w);
	if (!rc)
		detect_load(w->detect, w->store);
	if (!rc)
		rc = alerts_load(&w->alerts, w->rules);
	if (!rc && !o->replay) {
		alerts_tick(&w->alerts, w->wall_ms);
		exporters_load(&w->exporters, w->store, w->wall_ms);
	}
	if (!rc)
		return 0;
	snprintf(err, err_size, "no memory");
	watch_deinit(w);
	return rc;
}

void watch_deinit(struct watch *w)
{
	if (!w->store)
		return;
	if (w->detect)
		watch_flush(w);
	if (w->options.replay)
		summary_deinit(&w->summary);
	detect_free(w->detect);
	alerts_deinit(&w->alerts);
	exporters_deinit(&w->exporters);
	usage_deinit(&w->usage);
	doubles_deinit(&w->doubles);
	flows_deinit(&w->flows);
	store_close(w->store);
	w->store = NULL;
	rules_free(w->rules);
	w->rules = NULL;
}

int watch_use_rules(struct watch *w, struct rule_set *rules)
{
	int rc = detect_use_rules(w->detect, rules);

	if (rc) {
		rules_free(rules);
		return rc;
	}
	alerts_use_rules(&w->alerts, rules);
	rules_free(w->rules);
	w->rules = rules;
	usage_home(&w->usage, rules_has_home(rules) ? watch_home : NULL, w);
	return 0;
}

/* ---- records ---- */

/* When a record came: now, or to the brokers that have kept it, unless they say what has not been yet. */
static uint64_t watch_arrival(const struct watch *w)
{
	uint64_t arrived = w->input.arrived_ms;

	return arrived && arrived <= w->wall_ms + WATCH_SKEW_MS ? arrived : w->wall_ms;
}

/*
 * The record's end. Live, within bounds of our own clock, or what that was when the record came: a probe's clock may be wrong; *skew_ms
 * is then how much. If that is right, an old record has waited in its spool. In a replay time is the records'.
 */
static uint64_t watch_time(struct watch *w, const struct l7_record *r, int64_t *skew_ms)
{
	uint64_t came = watch_arrival(w);
	uint64_t end = l7_has(r, L7_F_flowEndMilliseconds) ? r->end_ms : came;

	*skew_ms = 0;
	if (w->options.replay) {
		end = l7_has(r, L7_F_flowEndMilliseconds) ? r->end_ms : w->now_ms;
		return end < UTC_LAST_MS ? end : UTC_LAST_MS;
	}
	if (end <= came + WATCH_SKEW_MS && end + WATCH_SKEW_MS >= came)
		return end;
	if (end < came && end + WATCH_WAITED_MS >= came && exporters_is_right(&w->exporters, r))
		return end;
	w->n_skewed++;
	*skew_ms = end > UTC_LAST_MS ? (int64_t)UTC_LAST_MS : (int64_t)end - (int64_t)came;
	if (*skew_ms > 0)
		return came + WATCH_SKEW_MS;
	return came > WATCH_SKEW_MS ? came - WATCH_SKEW_MS : 0;
}

static void watch_verdict(struct watch *w, const struct rules_verdict *v, const struct rules_input *in)
{
	struct detect_finding finding;
	struct alert_facts facts = {.v = v, .in = in};

	if (v->kind == RULES_CANDIDATE) {
		if (!detect_take(w->detect, v, in, &finding))
			return;
		facts.finding = &finding;
	}
	if (w->options.replay && v->kind != RULES_UNKNOWN_FLOW)
		summary_hit(&w->summary, &facts);
	alerts_take(&w->alerts, v, in, facts.finding);
}

/* What the rules say of it, at this time. */
static void watch_judge(struct watch *w, const struct l7_record *r, uint64_t now)
{
	struct rules_verdict verdicts[RULES_VERDICTS_MAX];
	struct rules_input in;
	size_t n;

	flows_take(&w->flows, r, now, &in);
	in.arrived_ms = w->input.arrived_ms ? watch_arrival(w) : 0;
	rules_look(w->rules, &in);
	usage_take(&w->usage, &in);
	n = rules_match(w->rules, &in, verdicts, RULES_VERDICTS_MAX);
	for (size_t i = 0; i < n; i++)
		watch_verdict(w, &verdicts[i], &in);
}

void watch_record(void *arg, const struct l7_record *r)
{
	struct watch *w = arg;
	int64_t skew_ms;
	uint64_t now;

	w->n_records++;
	if (doubles_seen(&w->doubles, r))
		return;
	now = watch_time(w, r, &skew_ms);
	flows_ask(&w->flows, r);
	if (w->options.replay)
		watch_until(w, now);
	exporters_record(&w->exporters, r, w->options.replay ? w->now_ms : w->wall_ms, skew_ms);
	watch_judge(w, r, now);
	if (tunnel_record(r, &w->tunnel))
		watch_judge(w, &w->tunnel, now);
	if (w->options.replay)
		summary_record(&w->summary, now);
}

void watch_missed(void *arg, const struct ipfix_missed *m)
{
	struct watch *w = arg;
	uint64_t now = w->options.replay ? w->now_ms : w->wall_ms;

	if (m->lost)
		exporters_lost(&w->exporters, m->exporter, m->lost, now);
	if (m->no_template)
		exporters_no_template(&w->exporters, m->exporter, m->no_template, now);
}

/* What its clock is before ours. It says whole seconds: within one of them it is right. */
static int64_t watch_clock(uint64_t export_ms, uint64_t came_ms)
{
	if (export_ms > came_ms)
		return (int64_t)(export_ms - came_ms);
	return export_ms + 999 < came_ms ? -(int64_t)(came_ms - export_ms - 999) : 0;
}

/* In files time is the records', and what is missing in them is known by the numbers. */
void watch_about(void *arg, const struct ipfix_about *a)
{
	struct watch *w = arg;
	struct ipfix_about replayed;
	int64_t clock_ms = 0;
	bool wrong;

	if (!w->options.replay) {
		if (a->has & IPFIX_HAS_INIT) /* to the millisecond: the wake-up may be a while ago */
			clock_ms = watch_clock(a->export_ms, w->input.arrived_ms ? watch_arrival(w) : clock_wall_ms());
		wrong = clock_ms > (int64_t)WATCH_SKEW_MS || clock_ms < -(int64_t)WATCH_SKEW_MS;
		exporters_about(&w->exporters, a, w->wall_ms, clock_ms, wrong);
		return;
	}
	replayed = *a;
	replayed.ordered = false;
	exporters_about(&w->exporters, &replayed, w->now_ms, 0, false);
}

/* ---- time ---- */

void watch_settle(struct watch *w)
{
	alerts_settle(&w->alerts);
	if (!w->commit || (!w->options.state && !alerts_taken(&w->alerts, w->commit_after)))
		return;
	w->commit = false;
	input_kafka_commit(&w->input);
}

void watch_until(struct watch *w, uint64_t now_ms)
{
	if (now_ms <= w->now_ms)
		return;
	/* A replay ticks once for each second that has records. */
	if (now_ms / 1000 != w->now_ms / 1000)
		alerts_tick(&w->alerts, now_ms);
	w->now_ms = now_ms;
}

static void watch_put_offset(void *arg, const struct input_offset *o)
{
	struct watch *w = arg;
	struct store_offset put = {.cluster = o->cluster,
				   .group = o->group,
				   .topic = o->topic,
				   .partition = o->partition,
				   .next = o->next,
				   .committed = o->committed};
	struct store_offset have = put;

	if (o->next < 0)
		return;
	if (!store_offset_get(w->store, &have) || have.next != put.next || have.committed != put.committed)
		store_offset_put(w->store, &put);
}

/*
 * Saves all at once, with how far topics are read: whatever becomes of us, the counts are those of the messages before. Others than
 * Kafka wait for it. Returns whether it is in the store.
 */
static bool watch_save_all(struct watch *w)
{
	input_kafka_note(&w->input);
	(void)usage_save(&w->usage, SIZE_MAX);
	(void)detect_save(w->detect, w->store, SIZE_MAX);
	exporters_save(&w->exporters, w->wall_ms, w->options.keep_ms);
	usage_trim(&w->usage, w->now_ms, w->options.keep_ms, w->options.max_hosts);
	input_kafka_offsets(&w->input, watch_put_offset, w);
	w->commit = store_commit(w->store) == 0;
	w->commit_after = alerts_number(&w->alerts);
	return w->commit;
}

/* Returns true if there is more to save. */
static bool watch_save(struct watch *w, size_t hosts, size_t groups)
{
	bool more;

	if (w->input.n_kafka) {
		(void)watch_save_all(w);
		return false;
	}
	more = usage_save(&w->usage, hosts) == hosts;
	more |= detect_save(w->detect, w->store, groups) == groups;
	exporters_save(&w->exporters, w->wall_ms, w->options.keep_ms);
	usage_trim(&w->usage, w->now_ms, w->options.keep_ms, w->options.max_hosts);
	store_commit(w->store);
	return more;
}

void watch_flush(struct watch *w)
{
	(void)watch_save(w, SIZE_MAX, SIZE_MAX);
}

void watch_tick(struct watch *w, uint64_t wall_ms)
{
	w->wall_ms = wall_ms;
	if (!w->options.replay) {
		w->now_ms = wall_ms;
		exporters_tick(&w->exporters, wall_ms);
		alerts_tick(&w->alerts, wall_ms);
	}
	if (wall_ms < w->flush_at && wall_ms + w->options.flush_ms >= w->flush_at)
		return;
	w->flush_at = watch_save(w, WATCH_FLUSH_HOSTS, WATCH_FLUSH_GROUPS) ? wall_ms : wall_ms + w->options.flush_ms;
}

/* ---- topics of Kafka ---- */

static bool watch_known(void *arg, struct input_offset *o)
{
	struct watch *w = arg;
	struct store_offset have = {
		.cluster = o->cluster, .group = o->group, .topic = o->topic, .partition = o->partition};

	if (!store_offset_get(w->store, &have))
		return false;
	o->next = have.next;
	o->committed = have.committed;
	return true;
}

/* Partitions go to somebody else, who reads on where we say: what was read is judged and told. */
static bool watch_give_up(void *arg)
{
	struct watch *w = arg;

	watch_settle(w);
	if (!w->options.state) /* else the next start tells what is not taken */
		alert_outputs_drain(&w->outputs, WATCH_GIVE_UP_MS);
	watch_settle(w);
	if (!watch_save_all(w))
		return false;
	return w->options.state || alerts_taken(&w->alerts, w->commit_after);
}

void watch_keep(struct watch *w)
{
	w->input.keeper = (struct input_keeper){.known = watch_known, .settle = watch_give_up, .arg = w};
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
	watch_number(out, "tls", i->tls_failed);
	watch_number(out, "cut", i->tls_cut);
	watch_number(out, "no_descriptors", i->no_descriptors);
	watch_number(out, "kafka", i->kafka_bad);
	fputc('}', out);
}

static void watch_stats_kafka(const struct watch *w, FILE *out)
{
	struct input_kafka_counters c = input_kafka_counters(&w->input);

	fprintf(out, ",\"kafka\":{\"messages\":%llu", (unsigned long long)c.messages);
	watch_number(out, "bad", w->input.counters.kafka_bad);
	watch_number(out, "gone", c.gone);
	watch_number(out, "behind", c.behind);
	watch_number(out, "rebalances", c.rebalances);
	watch_number(out, "errors", c.errors);
	fputc('}', out);
}

static void watch_stats_evicted(const struct watch *w, FILE *out)
{
	fprintf(out, ",\"evicted\":{\"templates\":%llu", (unsigned long long)w->input.ipfix.evicted_templates);
	watch_number(out, "domains", w->input.ipfix.evicted_domains);
	watch_number(out, "udp_sessions", w->input.sessions.evicted);
	watch_number(out, "streams", w->doubles.streams.evicted);
	watch_number(out, "flows", w->flows.evicted);
	watch_number(out, "host_rows", w->usage.n_lost);
	watch_number(out, "groups", detect_evicted(w->detect));
	watch_number(out, "alerts", w->alerts.n_evicted);
	watch_number(out, "unknown_counts", w->alerts.unknown.evicted);
	watch_number(out, "exporters", w->exporters.table.evicted);
	fputc('}', out);
}

/* What rules that count have left out. */
static void watch_stats_uncounted(const struct watch *w, FILE *out)
{
	const struct detect_counters *c = detect_counters(w->detect);

	fprintf(out, ",\"uncounted\":{\"no_memory\":%llu", (unsigned long long)c->no_memory);
	watch_number(out, "coarse", detect_coarse(w->detect));
	watch_number(out, "too_old", c->too_old);
	watch_number(out, "set_back", c->set_back);
	watch_number(out, "damaged", c->damaged);
	watch_number(out, "stale", c->stale);
	fputc('}', out);
}

static void watch_stats_alerts(const struct watch *w, FILE *out)
{
	const struct alerts *a = &w->alerts;

	watch_number(out, "alerts", a->n_raised);
	watch_number(out, "updated", a->n_updated);
	watch_number(out, "released", a->n_released);
	watch_number(out, "engaged", alerts_engaged(a));
	watch_number(out, "suppressed", a->n_suppressed);
	watch_number(out, "silenced", a->n_silenced);
	watch_number(out, "muted", a->n_kept_back);
	watch_number(out, "alerts_lost", w->outputs.n_lost + a->n_lost);
	watch_number(out, "alerts_short", a->n_short);
	watch_number(out, "store_failures", store_failures(w->store));
}

void watch_stats(const struct watch *w, FILE *out)
{
	const struct ipfix_counters *c = &w->input.ipfix;

	fprintf(out, "{\"messages\":%llu", (unsigned long long)c->messages);
	watch_number(out, "records", w->n_records);
	watch_number(out, "doubles", w->doubles.n);
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
	watch_number(out, "twins", w->flows.n_twins);
	watch_number(out, "sampled", w->flows.n_sampled);
	watch_stats_refused(w, out);
	watch_stats_evicted(w, out);
	watch_stats_uncounted(w, out);
	watch_stats_kafka(w, out);
	watch_number(out, "connections", w->input.counters.connections);
	watch_number(out, "connections_open", w->input.n_connections);
	watch_number(out, "udp_sessions", w->input.sessions.n);
	watch_number(out, "flows", w->flows.n);
	watch_number(out, "rules", rules_count(w->rules));
	watch_stats_alerts(w, out);
	fputs(",\"exporters\":", out);
	exporters_stats(&w->exporters, out);
	fputs("}\n", out);
}
