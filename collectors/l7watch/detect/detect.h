/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rules that count over time: first_seen, threshold, beacon. rules_match() picks their records (RULES_CANDIDATE), this
 * keeps what each has counted, by rule and group, and says when one has found something. Time is the records'. All tables have a maximum;
 * what has to go for it is counted per rule. Flows are counted once, however many records and exporters tell of them (`known` and
 * `twin` of the input).
 */
#ifndef WATCH_DETECT_H
#define WATCH_DETECT_H

#include <stdbool.h>
#include <stdint.h>

#include "rules/rules.h"
#include "state/store.h"

/* What a rule has found, for the alert and its sentence. */
struct detect_finding {
	uint64_t value; /* threshold: what was counted; beacon: contacts; first_seen: flows of the host until then */
	uint64_t
		since_ms; /* when counting began: threshold, beacon: the oldest that counts; first_seen: the host's first flow */
	uint64_t interval_ms; /* beacon: between contacts, the median */
	uint32_t jitter;      /* beacon: thousandths of the interval */
	bool sampled;         /* an exporter sees only a part: the value is an estimate */
};

struct detect;

/* Returns 0 or -ENOMEM. The set is kept until detect_use_rules(). */
int detect_new(struct detect **out, const struct rule_set *set);
void detect_free(struct detect *d);

/* Other rules: what a rule of the same id, type and keys has counted stays. Returns 0, or -ENOMEM and all is as it was. */
int detect_use_rules(struct detect *d, const struct rule_set *set);

/* Counts a record that a rule has picked. True: it has found something. */
bool detect_take(struct detect *d, const struct rules_verdict *v, const struct rules_input *in,
		 struct detect_finding *out);

/* Takes back what the store has; to be called before the first record. What is damaged is left out and counted. */
void detect_load(struct detect *d, struct store *store);
/* Puts what has changed since the last time into the store (store_commit() is the caller's); at most `room` groups, returns how many. */
size_t detect_save(struct detect *d, struct store *store, size_t room);

/* Groups that had to go for newer ones, of all rules and of one. */
uint64_t detect_evicted(const struct detect *d);
uint64_t detect_rule_evicted(const struct detect *d, uint32_t rule);

struct detect_counters {
	uint64_t no_memory; /* records that could not be counted, saved groups that could not be taken back */
	uint64_t too_old;   /* records from before the window, which count no more */
	uint64_t set_back;  /* groups begun anew, since the time of the records was set back */
	uint64_t damaged;   /* saved groups that were left out: no l7watch can have written them */
	uint64_t stale;     /* saved groups that were left out: the rule counts something else now */
};

const struct detect_counters *detect_counters(const struct detect *d);
/* Times that a count of different values had no memory to be exact: it is an estimate earlier, and may come later for it. */
uint64_t detect_coarse(const struct detect *d);
size_t detect_groups(const struct detect *d);
/* Octets of all groups; there is a maximum, beyond which groups have to go before their rule has max_keys of them. */
size_t detect_memory(const struct detect *d);

#endif
