/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where flows are kept: an array of flows, a hash of their keys, a wheel of their expiries. Knows nothing of records or
 * classification. One thread only. The flows are in a store, which may outlive the table; a place in it is used
 * again before one that is new.
 */
#ifndef PROBE_FLOW_TABLE_H
#define PROBE_FLOW_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flow/flow.h"
#include "flow/flow_store.h"
#include "flow/flow_wheel.h"

struct flow_table {
	struct flow *flows;      /* of the store */
	struct flow_info *infos; /* of the store */
	uint32_t *fresh;         /* of the store */
	uint32_t *buckets;       /* first flow of each */
	uint32_t bucket_mask;    /* of those in use: few flows have few: they are in the cache then */
	uint32_t bucket_most;    /* mask of all that there may be */
	uint32_t max;
	uint32_t free; /* list of used places, linked by `next` */
	uint32_t active;
	uint32_t tunnel_mask; /* of flows' tunnels; 0: they tell nothing apart */
	uint64_t seed;        /* of the hash: not to be guessed by who sends packets */
	struct flow_wheel wheel;
};

/* An empty table; the store must live longer. Returns 0 or -ENOMEM. */
int flow_table_init(struct flow_table *t, const struct flow_store *store, uint64_t seed);
void flow_table_deinit(struct flow_table *t);

/* `in` is the hash of its tunnel, 0 without. */
uint64_t flow_table_hash(const struct flow_table *t, const struct flow_key *k, uint64_t in);
/* Asks for the memory that a look-up of this hash begins with. */
void flow_table_prefetch_flow(const struct flow_table *t, uint64_t hash);
void flow_table_prefetch(const struct flow_table *t, uint64_t hash);
/* The flow that a look-up of this hash comes to first, or 0. */
uint32_t flow_table_first(const struct flow_table *t, uint64_t hash);
/* Index of the flow with this key in this tunnel, or 0. */
uint32_t flow_table_find(const struct flow_table *t, const struct flow_key *k, uint32_t tunnel, uint64_t hash);
/* A new flow with this key, all else zero, not yet in the wheel; 0 if the table is full. The key must not be there yet. */
uint32_t flow_table_add(struct flow_table *t, const struct flow_key *k, uint64_t hash);
/* So many flows are to be taken into a table that is empty. */
void flow_table_expect(struct flow_table *t, uint32_t flows);
/* Puts a flow that is in the store into the table, not yet into the wheel; a place without one becomes free. */
void flow_table_take(struct flow_table *t, uint32_t index);
void flow_table_give(struct flow_table *t, uint32_t index);
/* Takes a flow out of table and wheel; its place is free. */
void flow_table_remove(struct flow_table *t, uint32_t index);
/*
 * The flow to end when the table is full: of those without FLOW_KEEP (never answered, not classified) the one
 * nearest to expiry; only when there is none, of the others. 0 if the table is empty.
 */
uint32_t flow_table_victim(struct flow_table *t);
/* The next flow in use after index (0 to start), or 0. */
uint32_t flow_table_next(const struct flow_table *t, uint32_t index);

/*
 * Same for both directions, on every machine and run: names a flow, together with its first packet's time. `domain` has what else it
 * is named by.
 */
uint64_t flow_table_id(const struct flow_key *k, uint64_t first_ms, uint64_t domain);

#endif
