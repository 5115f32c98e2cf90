/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Flows out of records. A flow may come in many records (early, active timeout), in halves (uniflow), from several exporters that
 * see it; rules count flows. A flow is found by its addresses, ports and protocol in either direction (what Community ID is made
 * of) and told from an earlier one of the same five by flowId, or where that is missing by time.
 */
#ifndef WATCH_FLOWS_H
#define WATCH_FLOWS_H

#include "rules/rules.h"

#define FLOWS_MAX 262144u    /* default; memory is used as flows come */
#define FLOWS_GAP_MS 300000u /* without flowId: a record that begins so long after the last one is of another flow */
#define FLOWS_SKEW_MS 5000u  /* exporters' clocks differ by less */
#define FLOWS_TWINS_MAX 3u   /* exporters of a flow that are told apart */

struct flows_bucket;

struct flows {
	struct flows_bucket *buckets; /* owned */
	uint32_t mask;                /* buckets - 1 */
	uint64_t n, evicted;          /* flows in the table, and those that had to go */
	uint64_t seed;
	uint64_t n_turned;  /* records whose halves were the other way round */
	uint64_t n_twins;   /* records of flows that another exporter counts */
	uint64_t n_sampled; /* records of sampled flows */
	struct l7_record turned;
};

/*
 * At most `max` flows, to the next power of two; for a new one beyond that one of those goes that were not seen for long. Returns 0 or
 * -ENOMEM.
 */
int flows_init(struct flows *f, uint32_t max);
void flows_deinit(struct flows *f);

/* Has the memory of a record's flow fetched, while the caller does something else with the record before flows_take(). */
void flows_ask(struct flows *f, const struct l7_record *r);

/*
 * Puts a record to its flow and fills *in, whose record is `r` or, if r was the server's half, its reverse, which is valid until
 * the next call. now_ms is the record's time as watch sees it.
 */
void flows_take(struct flows *f, const struct l7_record *r, uint64_t now_ms, struct rules_input *in);

#endif
