/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How the exporters are that send us records: one that falls silent, loses records, has a wrong clock, sends data without
 * templates, or samples. Each of these is a built-in alert that is engaged and released, and counters.
 */
#ifndef WATCH_EXPORTERS_H
#define WATCH_EXPORTERS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "l7/record.h"
#include "state/lru.h"

#define EXPORTERS_MAX 1024u /* by name; the least recently heard goes */
#define EXPORTERS_NAME_MAX 64u

/* Name, and whether it is over by itself once the cause is gone. */
enum exporters_health {
	EXPORTERS_SILENT,      /* no message for `silent_after` */
	EXPORTERS_LOST,        /* records are missing by the sequence numbers */
	EXPORTERS_SKEW,        /* its clock is more than five minutes from ours */
	EXPORTERS_NO_TEMPLATE, /* data that nobody has described, for a minute */
	EXPORTERS_SAMPLED,     /* it sees one packet or flow of many: counts are estimates */
	EXPORTERS_NO_L7,       /* its records name no protocol: rules that need one cannot judge them */
	EXPORTERS_HEALTHS
};

struct exporters {
	struct lru table; /* by name */
	uint64_t silent_ms;
	uint64_t seed;
	/* Called when something begins (on) or ends; `sentence` says what, for a person. */
	void (*tell)(void *arg, enum exporters_health what, const char *exporter, bool on, const char *sentence);
	void *arg;
};

const char *exporters_health_name(enum exporters_health h); /* "exporter_silent" ... */

/* silent_ms 0: never. Returns 0 or -ENOMEM. */
int exporters_init(struct exporters *e, uint64_t silent_ms);
void exporters_deinit(struct exporters *e);
/* A record came; wall_ms is our clock. skew_ms: its end against our clock, when it was not believed; else 0. */
void exporters_record(struct exporters *e, const struct l7_record *r, uint64_t wall_ms, int64_t skew_ms);
/* What a session of this name has seen since the last call. */
void exporters_lost(struct exporters *e, const char *name, uint64_t records, uint64_t wall_ms);
void exporters_no_template(struct exporters *e, const char *name, uint64_t sets, uint64_t wall_ms);
/* Looks at all; about once in a second. */
void exporters_tick(struct exporters *e, uint64_t wall_ms);
/* For the statistics: a JSON array of objects, without a comma after it. */
void exporters_stats(const struct exporters *e, FILE *out);

#endif
