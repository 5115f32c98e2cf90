/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon's middle: a record comes in, rules judge it, alerts go out. */
#ifndef WATCH_WATCH_H
#define WATCH_WATCH_H

#include <stdio.h>

#include "alert/alert.h"
#include "detect/detect.h"
#include "input/input.h"
#include "report/summary.h"
#include "rules/rules.h"
#include "state/doubles.h"
#include "state/exporters.h"
#include "state/flows.h"
#include "state/store.h"
#include "state/tunnel.h"
#include "state/usage.h"

struct watch_options {
	bool replay;       /* records are from files: their time is the time */
	const char *state; /* file of the store; NULL: in memory */
	uint64_t flush_ms; /* what has changed goes to the store so often */
	uint64_t keep_ms;  /* hosts' protocols that were not seen for so long are forgotten */
	uint64_t silent_ms;
	uint32_t max_flows;
	uint64_t max_hosts; /* rows of what they spoke */
};

struct watch {
	struct watch_options options;
	struct rule_set *rules; /* owned, as all below */
	struct store *store;
	struct detect *detect;
	struct doubles doubles;
	struct flows flows;
	struct usage usage;
	struct exporters exporters;
	struct alerts alerts;
	struct alert_outputs outputs; /* opened and closed by the caller */
	struct input input;           /* the same */
	struct summary summary;       /* of a replay */
	struct l7_record tunnel;      /* that the record under way came through */
	uint64_t n_records;
	uint64_t n_skewed;     /* records whose time is not near ours */
	uint64_t wall_ms;      /* our clock, at the last wake-up */
	uint64_t now_ms;       /* the newest record's time; live, our clock */
	uint64_t flush_at;     /* by our clock */
	bool commit;           /* brokers are to be told what was noted */
	uint64_t commit_after; /* once outputs have taken the alerts up to this one */
};

/* Takes the rules over, also on failure; outputs are open. Returns 0, or a negative errno with a sentence. */
int watch_init(struct watch *w, struct rule_set *rules, const struct watch_options *o, char *err, size_t err_size);
/* Saves all, and closes the store. */
void watch_deinit(struct watch *w);

/* A record of a probe; a sink of the inputs, arg is the watch. */
void watch_record(void *arg, const struct l7_record *r);

/* Something of an exporter is missing; the same. */
void watch_missed(void *arg, const struct ipfix_missed *m);

/* What an exporter says of itself; the same. */
void watch_about(void *arg, const struct ipfix_about *a);

/* The end of a turn of the event loop: what was found is committed and told. */
void watch_settle(struct watch *w);
/*
 * For topics of Kafka: where the store's contents end is kept with them, in one transaction, and the brokers are told when alerts are out
 * of danger: in a file, or taken by all outputs. To be called once inputs are open.
 */
void watch_keep(struct watch *w);
/* About once in a second, by our clock. */
void watch_tick(struct watch *w, uint64_t wall_ms);
/* Time goes on to this moment without a record: what is over is released. */
void watch_until(struct watch *w, uint64_t now_ms);
/* What has changed goes to the store. */
void watch_flush(struct watch *w);

/* Other rules from now on; what those of the same id have counted stays. Returns 0, or -ENOMEM and the old ones stay. */
int watch_use_rules(struct watch *w, struct rule_set *rules);

/* One JSON object. */
void watch_stats(const struct watch *w, FILE *out);

#endif
