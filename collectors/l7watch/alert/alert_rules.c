/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rules that raise too much are muted: one alert says so and another how many alerts were kept back. Engagements are counted in
 * windows, the first of which begins with an engagement; a mute ends with a window in which there were few enough.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "alert/alert_internal.h"

#define RULES_SENTENCE_MAX 1024
#define RULES_NAME_SHOWN 200

static int rules_by_id(const void *x, const void *y)
{
	const struct alert_rule *a = x, *b = y;

	return a->id < b->id ? -1 : a->id > b->id;
}

struct alert_rule *alert_rules_find(const struct alerts *a, uint32_t id)
{
	struct alert_rule key = {.id = id};

	return a->n_rules ? bsearch(&key, a->rules, a->n_rules, sizeof(*a->rules), rules_by_id) : NULL;
}

int alert_rules_use(struct alerts *a, const struct rule_set *set)
{
	size_t n = rules_count(set), made = 0;
	struct alert_rule *rules = calloc(n + 1, sizeof(*rules));

	a->set = set;
	for (size_t i = 0; i < a->n_rules; i++)
		a->rules[i].rule = rules_find(set, a->rules[i].id);
	if (!rules)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		const struct rule *rule = rules_at(set, i);
		const struct alert_rule *before = alert_rules_find(a, rule->id);

		if (!rule->enabled)
			continue;
		if (before)
			rules[made] = *before;
		rules[made].id = rule->id;
		rules[made++].rule = rule;
	}
	qsort(rules, made, sizeof(*rules), rules_by_id);
	free(a->rules);
	a->rules = rules;
	a->n_rules = made;
	return 0;
}

struct lru_key alert_rules_mute_key(uint32_t rule)
{
	char text[32];
	int n = snprintf(text, sizeof(text), "muted %u", rule);

	return lru_hash(text, (size_t)n, 0);
}

/* ---- the hosts of a rule's alerts ---- */

static int rules_by_number(const void *x, const void *y)
{
	uint64_t a = *(const uint64_t *)x, b = *(const uint64_t *)y;

	return a < b ? -1 : a > b;
}

/* Hosts that alerts of a rule are about; 0 if there is no memory to tell. */
static uint64_t rules_hosts_of(struct alerts *a, uint32_t rule)
{
	uint64_t *hosts = malloc((a->table.n + 1) * sizeof(*hosts)), distinct = 0;
	size_t n = 0;

	for (uint32_t i = 0; hosts && i < a->table.top; i++) {
		const struct alert *al = &a->table.list[i];

		if (al->used && al->rule == rule && al->kind == ALERT_OF_RULE && al->has_subject)
			hosts[n++] = XXH3_64bits_withSeed(al->subject, sizeof(al->subject), a->table.seed);
	}
	a->n_short += !hosts;
	if (hosts)
		qsort(hosts, n, sizeof(*hosts), rules_by_number);
	for (size_t i = 0; i < n; i++)
		distinct += i == 0 || hosts[i] != hosts[i - 1];
	free(hosts);
	return distinct;
}

/* ---- mutes ---- */

static void rules_sentence(struct buf *out, const struct alert_rule *ar, uint64_t hosts, const struct alert *last)
{
	buf_printf(out, "rule %u ", ar->id);
	words_text(out, ar->rule->name, strlen(ar->rule->name));
	if (last) {
		buf_str(out, " raised ");
		words_number(out, ar->rule->mute_after);
		buf_str(out, " alerts within ");
		words_span(out, ar->rule->mute_ms);
		buf_str(out, " and is muted");
		if (hosts) {
			buf_str(out, "; ");
			words_number(out, hosts);
			buf_str(out, hosts == 1 ? " host" : " hosts");
		}
		if (last->has_subject) {
			buf_str(out, ", the last ");
			words_address(out, last->subject, 0);
		}
	} else {
		buf_str(out, " is no longer muted; it kept back ");
		words_number(out, ar->kept_back);
		buf_str(out, ar->kept_back == 1 ? " alert" : " alerts");
	}
	buf_char(out, '\0');
}

static void rules_line(struct alerts *a, struct alert *mute, struct alert_rule *ar, const struct alert *last)
{
	struct buf sentence;
	uint64_t hosts = last ? rules_hosts_of(a, ar->id) : 0;

	buf_init(&sentence, RULES_SENTENCE_MAX);
	rules_sentence(&sentence, ar, hosts, last);
	mute->count = last ? ar->rule->mute_after : ar->kept_back;
	buf_reset(&a->line);
	alert_json_head(&a->line, mute, last ? ALERT_ENGAGED : ALERT_RELEASED, last ? NULL : "mute ended");
	alert_json_muted(&a->line, mute, ar->rule, sentence.data ? sentence.data : "", hosts, ar->kept_back);
	a->line.failed |= sentence.failed;
	buf_deinit(&sentence);
}

static void rules_begin_mute(struct alerts *a, struct alert_rule *ar, const struct alert *last, uint64_t now_ms)
{
	struct lru_key key = alert_rules_mute_key(ar->id);
	struct alert *mute = alert_table_find(&a->table, key);

	ar->muted = true;
	ar->since_ms = now_ms;
	ar->engaged = ar->kept_back = 0;
	a->n_mutes++;
	if (mute)
		return;
	mute = alert_engage(a, key, now_ms);
	mute->kind = ALERT_MUTED;
	mute->rule = ar->id;
	mute->severity = last->severity;
	mute->first_ms = mute->seen_ms = now_ms;
	buf_reset(&a->key);
	buf_printf(&a->key, "muted %u", ar->id);
	alert_uid(mute->uid, &a->key, now_ms);
	rules_line(a, mute, ar, last);
	alert_tell(a, mute, ALERT_ENGAGED);
}

static void rules_end_mute(struct alerts *a, struct alert_rule *ar)
{
	struct alert *mute = alert_table_find(&a->table, alert_rules_mute_key(ar->id));

	ar->muted = false;
	ar->engaged = 0;
	if (!mute)
		return;
	mute->seen_ms = a->now_ms;
	rules_line(a, mute, ar, NULL);
	alert_tell(a, mute, ALERT_RELEASED);
}

static void rules_keep_back(struct alerts *a, struct alert_rule *ar)
{
	struct alert *mute = alert_table_find(&a->table, alert_rules_mute_key(ar->id));

	ar->kept_back++;
	a->n_kept_back++;
	if (!mute)
		return;
	mute->suppressed = ar->kept_back; /* and so it is kept over a restart */
	alert_table_soil(&a->table, mute);
}

bool alert_rules_mute(struct alerts *a, const struct alert *al, uint64_t now_ms)
{
	struct alert_rule *ar = alert_rules_find(a, al->rule);

	if (!ar || !ar->rule || !ar->rule->mute_after)
		return false;
	if (!ar->muted && now_ms >= ar->since_ms + ar->rule->mute_ms) {
		ar->since_ms = now_ms;
		ar->engaged = 0;
	}
	ar->engaged++;
	if (!ar->muted && ar->engaged > ar->rule->mute_after)
		rules_begin_mute(a, ar, al, now_ms);
	if (ar->muted)
		rules_keep_back(a, ar);
	return ar->muted;
}

void alert_rules_tick(struct alerts *a)
{
	for (size_t i = 0; i < a->n_rules; i++) {
		struct alert_rule *ar = &a->rules[i];

		if (!ar->muted || !ar->rule || a->now_ms < ar->since_ms + ar->rule->mute_ms)
			continue;
		if (ar->engaged <= ar->rule->mute_after)
			rules_end_mute(a, ar);
		ar->since_ms = a->now_ms;
		ar->engaged = 0;
	}
}

void alert_rules_resume(struct alerts *a, const struct alert *al)
{
	struct alert_rule *ar = alert_rules_find(a, al->rule);

	if (!ar)
		return;
	ar->muted = true;
	ar->since_ms = al->engaged_ms;
	ar->kept_back = al->suppressed;
}
