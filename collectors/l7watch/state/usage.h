/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What hosts spoke: by host, side and name of the protocol, when it was first and last seen, flows and octets. A bounded table in memory
 * gathers what is new since it was written to the store; a kill loses no more than that. What has to go from the table for a newer
 * host is written first, as far as the database keeps up.
 *
 * Names are those that may be believed, as rules do (names.h): what is known less well than by cache is Unknown, of "TLS.Telegram"
 * with Telegram guessed only TLS is known, and a name service is itself, whatever name was asked for.
 */
#ifndef WATCH_USAGE_H
#define WATCH_USAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rules/rules.h"
#include "state/lru.h"
#include "state/store.h"

#define USAGE_MAX 262144u /* default; hosts, sides and names that are gathered at a time */
#define USAGE_EARLY_MAX                                                                                                \
	20000u /* rows that are written between two usage_save() because their place is needed; more are lost */
#define USAGE_APP_MAX 64u      /* octets of a name; longer ones are cut */
#define USAGE_ROWS_MAX 500000u /* default; rows in the store */

struct usage_entry;

struct usage {
	struct lru table;                       /* struct usage_entry */
	struct store *store;                    /* not owned */
	struct usage_entry *dirty, *dirty_last; /* what is to be written, longest waiting first */
	uint32_t n_dirty;
	uint64_t seed;
	uint64_t trimmed_ms; /* when rows were last looked at for their age */
	uint32_t early;      /* written since usage_save() because their place was needed */
	uint64_t n_early;    /* the same, in all */
	uint64_t n_lost;     /* whose place was needed, and not written */
	/* Whether the host of a side is of interest; NULL: all are. */
	bool (*home)(void *arg, const struct rules_input *in, enum rules_side side);
	void *home_arg;
};

/* At most `max` entries. The store is kept, and outlives the usage. Returns 0 or -ENOMEM. */
int usage_init(struct usage *u, struct store *store, uint32_t max);
/* What is not written is lost: usage_save() first. */
void usage_deinit(struct usage *u);
/* Whose hosts are of interest from now on. */
void usage_home(struct usage *u, bool (*home)(void *arg, const struct rules_input *in, enum rules_side side),
		void *arg);

/*
 * Takes a record to both its sides; to the server only if that answered. A flow counts once, under the name it has when it is
 * first seen; octets count under the name that their record has, and not again for another exporter that sees the flow.
 */
void usage_take(struct usage *u, const struct rules_input *in);

/* Writes what has changed, at most `room` rows, the longest waiting first; store_commit() is the caller's. Returns how many. */
size_t usage_save(struct usage *u, size_t room);

/*
 * Keeps the store bounded: drops rows that were last seen more than keep_ms (0: no matter) before now_ms, which it looks at once in an
 * hour, and if there are more than `max` rows those seen least recently, a few more than needed. To be called after usage_save();
 * costs nothing if there is nothing to do. Returns how many were dropped.
 */
uint64_t usage_trim(struct usage *u, uint64_t now_ms, uint64_t keep_ms, uint64_t max);

#endif
