/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The memory of a worker's flows: it outlives the worker, and the next one takes it over (flow_adopt.h). The supervisor makes it and
 * keeps the descriptor; only the worker maps it. Without pointers: they are computed on mapping. What can be found
 * again by looking at every flow (buckets, wheel, free places) is not here, and nDPI's state is not.
 */
#ifndef PROBE_FLOW_STORE_H
#define PROBE_FLOW_STORE_H

#include <stddef.h>
#include <stdint.h>

#include "flow/flow.h"
#include "flow/flow_fragments.h"
#include "flow/flow_journal.h"
#include "flow/flow_measure.h"
#include "flow/flow_tunnels.h"

#define FLOW_STORE_MAX (1u << 28)

/* Zero when made. */
struct flow_store_head {
	uint32_t fresh;    /* flows from this index on were never used; 0 or 1: none was */
	uint64_t clock_ms; /* the tracker's */
	struct flow_journal journal;
};

struct flow_store {
	void *memory;
	size_t size;
	uint32_t max; /* flows */
	size_t texts_size;
	struct flow_store_head *head;
	struct flow_fragments *fragments;
	struct flow *flows;            /* [max + 1], index 0 unused */
	struct flow_info *infos;       /* the same indices */
	struct flow_measure *measures; /* the same indices; not touched if nothing is measured, as the next two */
	uint8_t *segments;             /* max + 1 flow_segments, for those that need one */
	uint8_t *spreads;              /* flow_spreads likewise */
	uint8_t *tunnels;              /* flow_tunnels_most(max) + 1 flow_tunnel */
	uint8_t *texts;                /* of texts_size octets, for flow_text.h */
};

/* A descriptor of memory for so many flows, or a negative errno. Pages come as they are touched. */
int flow_store_new(uint32_t max_flows);
/*
 * Maps what flow_store_new() made, for as many flows; fd -1: memory of this process alone. The descriptor stays the caller's.
 * Returns 0, -EINVAL (0 flows or over FLOW_STORE_MAX) or -ENOMEM.
 */
int flow_store_map(struct flow_store *s, int fd, uint32_t max_flows);
void flow_store_unmap(struct flow_store *s);

#endif
