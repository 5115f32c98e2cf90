/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How the exporters are that send us records, and what they say of themselves: one that falls silent, loses records, has a wrong clock,
 * sends data without templates, or samples. Each of these is a built-in alert that is engaged and released, and counters. Those that
 * have been heard outlive the process, so that one which fell silent meanwhile is missed.
 */
#ifndef WATCH_EXPORTERS_H
#define WATCH_EXPORTERS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/addr.h"
#include "base/buf.h"
#include "l7/record.h"
#include "record/ipfix_reader.h"
#include "state/exporter_loss.h"
#include "state/lru.h"
#include "state/store.h"

#define EXPORTERS_MAX 1024u /* by name; the least recently heard goes */
#define EXPORTERS_NAME_MAX 64u
#define EXPORTERS_SITE_MAX 64u /* octets */
#define EXPORTERS_VERSION_MAX 32u
#define EXPORTERS_FROM_MAX (ADDR_TEXT_MAX + 8u)

/* Name, and whether it is over by itself once the cause is gone. */
enum exporters_health {
	EXPORTERS_SILENT,      /* no message for `silent_after` */
	EXPORTERS_LOST,        /* records are missing by the sequence numbers, or by its own count */
	EXPORTERS_SKEW,        /* its clock is more than five minutes from ours */
	EXPORTERS_NO_TEMPLATE, /* data that nobody has described, for a minute */
	EXPORTERS_SAMPLED,     /* it sees one packet or flow of many: counts are estimates */
	EXPORTERS_NO_L7,       /* its records name no protocol: rules that need one cannot judge them */
	EXPORTERS_HEALTHS
};

struct exporters;

/* Texts are printable UTF-8. */
struct exporters_entry {
	struct exporters *all; /* not owned */
	char name[EXPORTERS_NAME_MAX + 1];
	char from[EXPORTERS_FROM_MAX]; /* "tcp 192.0.2.1"; "" for what comes as JSON */
	char site[EXPORTERS_SITE_MAX + 1];
	char version[EXPORTERS_VERSION_MAX + 1];
	bool strange; /* its name is not what it has sent: it could not be known again */
	uint64_t records;
	uint64_t heard_ms; /* of the last record or options record, 0: nothing yet */
	uint64_t since_ms; /* of our start, if it was heard before that */
	uint64_t lost;     /* by the sequence numbers */
	uint64_t missing;  /* by its own count */
	uint64_t lost_ms;  /* of the last loss */
	uint64_t no_template;
	uint64_t undescribed_ms; /* of the first data without a template after the last record, 0: none */
	uint64_t skewed;
	int64_t skew_ms;  /* of the last record whose time was not believed */
	uint32_t wrong;   /* records in a row whose time was not believed */
	uint32_t right;   /* and was */
	bool clocked;     /* its messages say what time it has, and so its records need not */
	int64_t clock_ms; /* what that is before ours, by the last one; 0 within its second */
	uint32_t sampling;
	uint32_t unsampled; /* records in a row */
	uint32_t unnamed;   /* goes up with each record that has no name, down with those that have */
	/* Since its start, as it says; has_* tell of what it has said. */
	bool has_packets;
	uint32_t has; /* IPFIX_HAS_* */
	uint64_t init_ms;
	uint64_t packets;
	uint64_t counts[IPFIX_COUNTS];
	struct exporter_loss loss;
	uint64_t saved_ms; /* heard_ms as it is in the store, 0: it is not there */
	bool changed;      /* what the store has of it is not right any more */
	bool on[EXPORTERS_HEALTHS];
};

struct exporters {
	struct lru table; /* by name */
	uint64_t silent_ms;
	uint64_t seed;
	struct store *store; /* not owned; NULL: they go with the process */
	/* Called when something begins (on) or ends; `sentence` says what, for a person. */
	void (*tell)(void *arg, enum exporters_health what, const char *exporter, bool on, const char *sentence);
	void *arg;
};

const char *exporters_health_name(enum exporters_health h); /* "exporter_silent" ... */

/* silent_ms 0: never. Returns 0 or -ENOMEM. */
int exporters_init(struct exporters *e, uint64_t silent_ms);
void exporters_deinit(struct exporters *e);
/* Whether its messages say what time it has, and that is right: a record of it that is old has waited in its spool. */
bool exporters_is_right(struct exporters *e, const struct l7_record *r);
/* A record came; wall_ms is our clock. skew_ms: its end against our clock, when it was not believed; else 0. */
void exporters_record(struct exporters *e, const struct l7_record *r, uint64_t wall_ms, int64_t skew_ms);
/* A message that says something of its exporter; clock_ms is what the exporter's clock is before ours, with `wrong` too much so. */
void exporters_about(struct exporters *e, const struct ipfix_about *a, uint64_t wall_ms, int64_t clock_ms, bool wrong);
/* What a session of this name has seen since the last call. */
void exporters_lost(struct exporters *e, const char *name, uint64_t records, uint64_t wall_ms);
void exporters_no_template(struct exporters *e, const char *name, uint64_t sets, uint64_t wall_ms);
/* Looks at all; about once in a second. */
void exporters_tick(struct exporters *e, uint64_t wall_ms);
/* For the statistics: a JSON array of objects, without a comma after it. */
void exporters_stats(const struct exporters *e, FILE *out);
/* One of them: an object. */
void exporters_json(struct buf *b, const struct exporters_entry *x);

/*
 * Takes those that are in the store, which is kept: heard before wall_ms, our start. An alert of one that was silent then goes on. To be
 * called once `tell` may be.
 */
void exporters_load(struct exporters *e, struct store *s, uint64_t wall_ms);
/* Strikes one off until it comes again, by its name here. False: there is none. */
bool exporters_forget(struct exporters *e, const char *name);
/* Puts into the store what has changed. Who was not heard for keep_ms is forgotten. */
void exporters_save(struct exporters *e, uint64_t wall_ms, uint64_t keep_ms);

#endif
