/* SPDX-License-Identifier: Apache-2.0 */
/* What the rules found in a replay, rule by rule: flows, hosts, the first example. */
#ifndef WATCH_SUMMARY_H
#define WATCH_SUMMARY_H

#include <stdint.h>
#include <stdio.h>

#include "alert/alert.h"
#include "rules/rules.h"
#include "state/lru.h"

#define SUMMARY_HOSTS_MAX 100000u /* hosts of all rules that are told apart */

struct summary_rule {
	uint64_t flows, hosts;
	uint64_t first_ms;
	char *first; /* owned; the first example's sentence */
};

struct summary {
	const struct rule_set *set; /* not owned */
	struct summary_rule *rules; /* owned; as in the set */
	struct lru hosts;           /* by rule and subject */
	uint64_t records, first_ms, last_ms;
};

/* Returns 0 or -ENOMEM. The set stays until summary_deinit(). */
int summary_init(struct summary *s, const struct rule_set *set);
void summary_deinit(struct summary *s);

/* A record of this time has come. */
void summary_record(struct summary *s, uint64_t now_ms);
/* A rule has something against one. */
void summary_hit(struct summary *s, const struct alert_facts *f);
void summary_print(const struct summary *s, FILE *out);

#endif
