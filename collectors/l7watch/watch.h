/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon's middle: a record comes in, rules judge it, alerts go out. */
#ifndef WATCH_WATCH_H
#define WATCH_WATCH_H

#include <stdio.h>

#include "alert/alert.h"
#include "input/input.h"
#include "rules/rules.h"

#define WATCH_FLOWS 65536u /* flows whose answer is remembered; a power of two */

/* A flow that was answered in an earlier record; a newer flow of the same place takes it. */
struct watch_flow {
	uint64_t flow_id;
};

struct watch {
	struct rule_set *rules; /* owned */
	struct alerts alerts;
	struct alert_outputs outputs;
	struct store *store; /* owned */
	struct input input;
	struct watch_flow *flows; /* owned */
	uint64_t n_records;
	uint64_t n_skewed; /* records whose time is not near ours */
	uint64_t wall_ms;  /* of the last wake-up */
};

/* Takes the rules over, also on failure; outputs are open. Returns 0 or -ENOMEM. */
int watch_init(struct watch *w, struct rule_set *rules);
void watch_deinit(struct watch *w);

/* A record of a probe; a sink of the IPFIX reader, arg is the watch. */
void watch_record(void *arg, const struct l7_record *r);

/* Other rules from now on. */
void watch_use_rules(struct watch *w, struct rule_set *rules);

/* One JSON object. */
void watch_stats(const struct watch *w, FILE *out);

#endif
