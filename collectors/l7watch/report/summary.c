/* SPDX-License-Identifier: Apache-2.0 */
#include "report/summary.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/quantity.h"
#include "base/utc.h"

#define SUMMARY_SENTENCE_MAX 2048u
#define SUMMARY_SILENT_MAX 20u /* rules without a hit that are named */

int summary_init(struct summary *s, const struct rule_set *set)
{
	*s = (struct summary){.set = set, .rules = calloc(rules_count(set) + 1, sizeof(*s->rules))};
	if (!s->rules)
		return -ENOMEM;
	if (lru_init(&s->hosts, SUMMARY_HOSTS_MAX, 0, NULL) == 0)
		return 0;
	free(s->rules);
	s->rules = NULL;
	return -ENOMEM;
}

void summary_deinit(struct summary *s)
{
	for (size_t i = 0; s->rules && i < rules_count(s->set); i++)
		free(s->rules[i].first);
	free(s->rules);
	lru_deinit(&s->hosts);
}

void summary_record(struct summary *s, uint64_t now_ms)
{
	if (s->records++ == 0 || now_ms < s->first_ms)
		s->first_ms = now_ms;
	if (now_ms > s->last_ms)
		s->last_ms = now_ms;
}

static void summary_host(struct summary *s, struct summary_rule *sum, const struct alert_facts *f)
{
	const struct l7_record *r = f->in->record;
	struct {
		uint8_t ip[16];
		uint32_t rule;
	} key = {.rule = f->v->rule->id};
	bool fresh;

	memcpy(key.ip, f->v->side == RULES_CLIENT ? r->src_ip : r->dst_ip, 16);
	(void)lru_get(&s->hosts, lru_hash(&key, sizeof(key), 0), &fresh);
	sum->hosts += fresh;
}

void summary_hit(struct summary *s, const struct alert_facts *f)
{
	struct summary_rule *sum = &s->rules[f->v->rule - rules_at(s->set, 0)];
	struct buf sentence;

	sum->flows += !f->in->known || sum->flows == 0;
	summary_host(s, sum, f);
	if (sum->first)
		return;
	buf_init(&sentence, SUMMARY_SENTENCE_MAX);
	alert_reason(&sentence, f);
	buf_char(&sentence, '\0');
	sum->first_ms = f->in->now_ms;
	sum->first = sentence.failed ? strdup("(too long)") : sentence.data;
	if (sentence.failed)
		buf_deinit(&sentence);
}

static void summary_rule_print(const struct rule *r, const struct summary_rule *sum, FILE *out)
{
	char flows[QUANTITY_MAX], hosts[QUANTITY_MAX], time[UTC_TEXT_MAX];

	quantity_count(flows, sum->flows);
	quantity_count(hosts, sum->hosts);
	fprintf(out, "rule %u, %s: %s flow%s, %s host%s\n", r->id, r->name, flows, sum->flows == 1 ? "" : "s", hosts,
		sum->hosts == 1 ? "" : "s");
	fprintf(out, "  first %s UTC: %s\n", utc_text(time, UTC_READABLE, sum->first_ms), sum->first ? sum->first : "");
}

void summary_print(const struct summary *s, FILE *out)
{
	char records[QUANTITY_MAX], span[QUANTITY_MAX], from[UTC_TEXT_MAX], to[UTC_TEXT_MAX];
	size_t silent = 0, n = rules_count(s->set), on = 0;

	quantity_count(records, s->records);
	quantity_duration(span, s->last_ms - s->first_ms);
	if (s->records)
		fprintf(out, "%s record%s, %s to %s UTC (%s)\n", records, s->records == 1 ? "" : "s",
			utc_text(from, UTC_READABLE, s->first_ms), utc_text(to, UTC_READABLE, s->last_ms), span);
	else
		fprintf(out, "no records\n");
	for (size_t i = 0; i < n; i++) {
		on += rules_at(s->set, i)->enabled;
		if (s->rules[i].flows)
			summary_rule_print(rules_at(s->set, i), &s->rules[i], out);
		else
			silent += rules_at(s->set, i)->enabled;
	}
	if (silent)
		fprintf(out, "%zu of %zu rules found nothing:", silent, on);
	for (size_t i = 0, said = 0; i < n && silent; i++) {
		const struct rule *r = rules_at(s->set, i);

		if (s->rules[i].flows || !r->enabled)
			continue;
		if (said++ == SUMMARY_SILENT_MAX) {
			fprintf(out, " and %zu more", silent - SUMMARY_SILENT_MAX);
			break;
		}
		fprintf(out, "%s %u", said > 1 ? "," : "", r->id);
	}
	if (silent)
		fputc('\n', out);
}
