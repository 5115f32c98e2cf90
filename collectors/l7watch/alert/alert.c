/* SPDX-License-Identifier: Apache-2.0 */
#include "alert/alert.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "alert/alert_internal.h"
#include "base/clock.h"
#include "base/utf8.h"
#include "l7/fields.h"

#define ALERT_KEY_MAX 4096
#define ALERT_GATHERED_MAX (8u << 20)
#define ALERT_CONFIRM_MS 900000u /* a built-in alert of the run before is over if its cause is not seen in this time */

int alerts_init(struct alerts *a, struct alert_outputs *outputs, struct store *store)
{
	memset(a, 0, sizeof(*a));
	a->outputs = outputs;
	a->store = store;
	a->silence_next_ms = ALERT_NEVER;
	buf_init(&a->line, ALERT_JSON_MAX);
	buf_init(&a->tail, 2 * ALERT_JSON_MAX);
	buf_init(&a->key, ALERT_KEY_MAX);
	buf_init(&a->gathered, ALERT_GATHERED_MAX);
	a->silences = calloc(ALERT_SILENCES_MAX, sizeof(*a->silences));
	if (a->silences && alert_table_init(&a->table) == 0 && alert_unknown_init(a) == 0 &&
	    lru_init(&a->flows, ALERT_FLOWS_MAX, sizeof(uint64_t), NULL) == 0)
		return 0;
	alerts_deinit(a);
	return -ENOMEM;
}

void alerts_deinit(struct alerts *a)
{
	if (a->table.list)
		alert_save(a, SIZE_MAX);
	alert_table_deinit(&a->table);
	lru_deinit(&a->unknown);
	lru_deinit(&a->flows);
	buf_deinit(&a->line);
	buf_deinit(&a->tail);
	buf_deinit(&a->key);
	buf_deinit(&a->gathered);
	free(a->rules);
	free(a->silences);
	a->rules = NULL;
	a->silences = NULL;
	a->n_rules = a->n_silences = 0;
}

/* ---- one alert ---- */

void alert_uid(char out[STORE_UID_MAX], struct buf *key, uint64_t epoch)
{
	struct lru_key h;

	buf_char(key, '\0');
	buf_u64(key, epoch);
	h = lru_hash(key->data, key->len, 0);
	snprintf(out, STORE_UID_MAX, "%016llx%016llx", (unsigned long long)h.high, (unsigned long long)h.low);
}

/* Not before `for` has passed: so no two alerts of a key engage in the same span, and share a uid. */
static uint64_t alert_due(const struct alerts *a, const struct alert *al)
{
	uint64_t quiet = al->last_ms + al->release_ms, span = al->engaged_ms + (al->for_ms ? al->for_ms : 1);

	if (al->kind == ALERT_BUILTIN && al->unconfirmed)
		return a->loaded_ms + ALERT_CONFIRM_MS;
	if (al->kind != ALERT_OF_RULE)
		return ALERT_NEVER;
	return quiet > span ? quiet : span;
}

struct alert *alert_engage(struct alerts *a, struct lru_key key, uint64_t now_ms)
{
	struct alert *al;

	if (a->table.n == ALERT_KEYS_MAX && (al = alert_table_oldest(&a->table))) {
		a->n_evicted++;
		alert_release(a, al, "too many alerts at one time");
	}
	al = alert_table_add(&a->table, key);
	al->engaged_ms = al->last_ms = al->told_ms = now_ms;
	return al;
}

bool alert_use_rule(struct alerts *a, struct alert *al)
{
	const struct alert_rule *ar = alert_rules_find(a, al->rule);
	const struct rule *rule = ar && ar->rule ? ar->rule : rules_find(a->set, al->rule);

	if (!rule || !rule->enabled)
		return false;
	al->release_ms = rule->release_ms;
	al->for_ms = rule->dedup.for_ms;
	return true;
}

/* ---- a verdict ---- */

/*
 * True if an alert has not counted this flow. A flow is what flows.c took together, whatever exporters call it: its addresses, ports
 * and when it began.
 */
static bool alert_new_flow(struct alerts *a, struct lru_key key, const struct rules_input *in)
{
	const struct l7_record *r = in->record;
	struct {
		struct lru_key alert;
		uint64_t start_ms;
		uint8_t src[16], dst[16];
		uint16_t ports[2];
		uint32_t protocol;
	} flow = {.alert = key, .start_ms = in->start_ms, .ports = {r->src_port, r->dst_port}, .protocol = r->protocol};
	bool fresh;

	if (!in->known && r->state & L7_STATE_LAST) /* the only record */
		return true;
	memcpy(flow.src, r->src_ip, 16);
	memcpy(flow.dst, r->dst_ip, 16);
	(void)lru_get(&a->flows, lru_hash(&flow, sizeof(flow), a->table.seed), &fresh);
	return fresh;
}

/* The alert in words and figures, in a->line. */
static void alert_write(struct alerts *a, const struct alert *al, const struct alert_facts *f, enum alert_state state)
{
	buf_reset(&a->line);
	alert_json_head(&a->line, al, state, NULL);
	alert_json_body(&a->line, al, f);
}

static bool alert_rule_muted(const struct alerts *a, uint32_t rule)
{
	const struct alert_rule *ar = alert_rules_find(a, rule);

	return ar && ar->muted;
}

/* The span in which an alert begins: by the present, or if the record was kept for us by when that was, which stays the same. */
static uint64_t alert_epoch(const struct rules_input *in, uint64_t for_ms, uint64_t now_ms)
{
	if (in->arrived_ms)
		now_ms = in->now_ms > in->arrived_ms ? in->now_ms : in->arrived_ms;
	return for_ms ? now_ms / for_ms : now_ms;
}

static void alert_begin(struct alerts *a, struct lru_key key, struct alert_facts *f, uint64_t now_ms)
{
	const struct l7_record *r = f->in->record;
	const struct rule *rule = f->v->rule;
	struct l7_text app = alert_app(f->v, r);
	struct alert *al = alert_engage(a, key, now_ms);

	al->rule = rule->id;
	al->severity = (uint8_t)rules_severity_of(rule, r);
	al->release_ms = rule->release_ms;
	al->for_ms = rule->dedup.for_ms;
	al->first_ms = l7_has(r, L7_F_flowStartMilliseconds) ? r->start_ms : f->in->now_ms;
	al->seen_ms = l7_has(r, L7_F_flowEndMilliseconds) ? r->end_ms : f->in->now_ms;
	al->count = f->flows ? f->flows : 1;
	al->flow_id = r->flow_id;
	al->has_subject = true;
	memcpy(al->subject, alert_subject(f->v, r), 16);
	al->app[utf8_clean(al->app, sizeof(al->app) - 1, app.len ? r->text + app.off : "Unknown",
			   app.len ? app.len : strlen("Unknown"))] = '\0';
	/* All watchers that see it within the same span give it one uid, and so does one that reads the record again later. */
	alert_uid(al->uid, &a->key, alert_epoch(f->in, al->for_ms, now_ms));
	alert_table_due(&a->table, al, alert_due(a, al));
	al->silence = alert_silence_of(a, al);
	if (!al->silence)
		al->kept_back = alert_rules_mute(a, al, now_ms);
	else
		a->n_silenced++;
	alert_write(a, al, f, ALERT_ENGAGED); /* after the mute, which uses the line */
	if (al->silence || al->kept_back)
		alert_keep(a, al);
	else
		alert_tell(a, al, ALERT_ENGAGED);
}

/* True if it is time to tell of an alert again. */
static bool alert_again(const struct alerts *a, const struct alert *al, bool counted, bool rose, uint64_t now_ms)
{
	if (al->silence || alert_rule_muted(a, al->rule))
		return false;
	return (rose && al->told) || (now_ms >= al->told_ms + al->for_ms && (counted || al->for_ms));
}

static void alert_hit(struct alerts *a, struct alert *al, struct alert_facts *f, uint64_t now_ms)
{
	const struct l7_record *r = f->in->record;
	uint8_t severity = (uint8_t)rules_severity_of(f->v->rule, r);
	uint64_t seen_ms = l7_has(r, L7_F_flowEndMilliseconds) ? r->end_ms : f->in->now_ms;
	bool counted = alert_new_flow(a, al->key, f->in), rose = severity > al->severity;

	if (counted && l7_has(r, L7_F_flowId) && r->flow_id == al->flow_id && !f->in->known)
		counted = false; /* known before a restart */
	alert_table_touch(&a->table, al);
	al->last_ms = now_ms;
	al->seen_ms = seen_ms > al->seen_ms ? seen_ms : al->seen_ms;
	al->severity = rose ? severity : al->severity;
	al->count += counted;
	if (counted)
		al->flow_id = r->flow_id;
	if (alert_again(a, al, counted, rose, now_ms)) {
		enum alert_state state = al->told ? ALERT_UPDATED : ALERT_ENGAGED;

		f->flows = f->flows ? al->count : 0;
		alert_write(a, al, f, state);
		al->told_ms = now_ms;
		alert_tell(a, al, state);
		return;
	}
	al->suppressed += counted;
	a->n_suppressed += counted;
	alert_table_soil(&a->table, al);
}

void alerts_take(struct alerts *a, const struct rules_verdict *v, const struct rules_input *in,
		 const struct detect_finding *finding)
{
	struct alert_facts f = {.v = v, .in = in, .finding = finding};
	uint64_t now_ms = in->now_ms > a->now_ms ? in->now_ms : a->now_ms;
	struct lru_key key;
	struct alert *al;

	if (v->kind == RULES_UNKNOWN_FLOW) {
		f.flows = alert_unknown_count(a, &f);
		if (f.flows < v->rule->unknown_after)
			return;
	}
	buf_reset(&a->key);
	buf_printf(&a->key, "%u %u", v->rule->id, v->rule->dedup.keys);
	buf_char(&a->key, '\0');
	rules_key_octets(&a->key, v->rule->dedup.keys, v, in->record);
	if (a->key.failed) {
		a->n_lost++;
		return;
	}
	key = lru_hash(a->key.data, a->key.len, 0);
	al = alert_table_find(&a->table, key);
	if (al) {
		alert_hit(a, al, &f, now_ms);
	} else {
		(void)alert_new_flow(a, key, in);
		alert_begin(a, key, &f, now_ms);
	}
}

/* ---- built-in alerts ---- */

static enum rules_severity alert_health_severity(enum exporters_health what)
{
	return what == EXPORTERS_SAMPLED || what == EXPORTERS_NO_L7 ? RULES_LOW : RULES_MEDIUM;
}

void alerts_health(struct alerts *a, enum exporters_health what, const char *exporter, bool on, const char *sentence,
		   uint64_t now_ms)
{
	const char *name = exporters_health_name(what);
	struct lru_key key;
	struct alert *al;

	buf_reset(&a->key);
	buf_printf(&a->key, "builtin %s ", name);
	buf_str(&a->key, exporter);
	if (a->key.failed) {
		a->n_lost++;
		return;
	}
	key = lru_hash(a->key.data, a->key.len, 0);
	al = alert_table_find(&a->table, key);
	now_ms = now_ms > a->now_ms ? now_ms : a->now_ms;
	if (al) {
		al->unconfirmed = false;
		al->last_ms = al->seen_ms = now_ms;
		if (!on)
			alert_release(a, al, sentence);
		return;
	}
	if (!on)
		return;
	al = alert_engage(a, key, now_ms);
	al->kind = ALERT_BUILTIN;
	al->severity = (uint8_t)alert_health_severity(what);
	al->first_ms = al->seen_ms = now_ms;
	al->count = 1;
	alert_uid(al->uid, &a->key, now_ms);
	al->silence = alert_silence_of(a, al);
	buf_reset(&a->line);
	alert_json_head(&a->line, al, ALERT_ENGAGED, NULL);
	alert_json_builtin(&a->line, al, name, exporter, sentence);
	a->n_silenced += al->silence != 0;
	if (al->silence)
		alert_keep(a, al);
	else
		alert_tell(a, al, ALERT_ENGAGED);
}

/* ---- time, rules, silences ---- */

static void alert_release_quiet(struct alerts *a, struct alert *al)
{
	struct buf reason;

	buf_init(&reason, 64);
	if (al->kind == ALERT_BUILTIN) {
		buf_str(&reason, "not seen since the start");
	} else {
		buf_str(&reason, "no flow for ");
		words_span(&reason, al->release_ms);
	}
	buf_char(&reason, '\0');
	alert_release(a, al, reason.failed ? "over" : reason.data);
	a->n_short += reason.failed;
	buf_deinit(&reason);
}

void alerts_tick(struct alerts *a, uint64_t now_ms)
{
	struct alert *al;

	if (now_ms > a->now_ms)
		a->now_ms = now_ms;
	if (!a->loaded_ms)
		a->loaded_ms = a->now_ms;
	while ((al = alert_table_next(&a->table)) && al->due_ms <= a->now_ms) {
		uint64_t due = alert_due(a, al);

		if (due > a->now_ms)
			alert_table_due(&a->table, al, due);
		else
			alert_release_quiet(a, al);
	}
	alert_rules_tick(a);
	if (a->now_ms >= a->silence_next_ms)
		alert_silences_review(a);
	alert_save(a, ALERT_SAVE_MAX);
}

void alerts_use_rules(struct alerts *a, const struct rule_set *set)
{
	(void)alert_rules_use(a, set); /* without memory a new rule is not muted, that is all */
	for (uint32_t i = 0; i < a->table.top; i++) {
		struct alert *al = &a->table.list[i];

		if (!al->used)
			continue;
		if (al->kind != ALERT_BUILTIN && !alert_use_rule(a, al))
			alert_release(a, al, "rule removed");
		else
			alert_table_due(&a->table, al,
					al->kind == ALERT_BUILTIN && al->unconfirmed ? 0 : alert_due(a, al));
	}
}

void alerts_silences_changed(struct alerts *a)
{
	alert_silences_load(a);
	alert_silences_review(a);
}

/* ---- for others to look at ---- */

void alerts_each(const struct alerts *a, void (*each)(void *arg, const struct alert *al), void *arg)
{
	for (uint32_t i = 0; i < a->table.top; i++)
		if (a->table.list[i].used)
			each(arg, &a->table.list[i]);
}

const struct alert *alerts_find(const struct alerts *a, const char *uid, size_t *n)
{
	const struct alert *found = NULL;
	size_t len = strlen(uid);

	*n = 0;
	for (uint32_t i = 0; i < a->table.top; i++) {
		const struct alert *al = &a->table.list[i];

		if (!al->used || strncasecmp(al->uid, uid, len) != 0)
			continue;
		found = al;
		++*n;
	}
	return *n == 1 ? found : NULL;
}

uint32_t alerts_engaged(const struct alerts *a)
{
	return a->table.n;
}

bool alerts_muted(const struct alerts *a, uint32_t rule)
{
	return alert_rule_muted(a, rule);
}
