/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sums from which the mean and the standard deviation of the sizes and gaps of many packets follow. Of few packets all of that
 * can be told from the smallest, the largest and their octets, so a flow has these only from its fourth in a direction on.
 */
#ifndef PROBE_FLOW_SPREADS_H
#define PROBE_FLOW_SPREADS_H

#include <stdint.h>

#include "l7/record.h"

#define SPREADS_FEW 3 /* packets of a direction */

struct flow_spreads {
	uint32_t owner;                /* its flow; of a free one, the next free */
	uint32_t square_gaps[2];       /* what does not fit in the other */
	struct flow_spreads_way {      /* of one direction */
		uint64_t square_sizes; /* sum of the squares; of the sizes themselves it is the flow's octets */
		uint64_t square_gaps;
		uint64_t gaps; /* sum */
	} way[2];
};
_Static_assert(sizeof(struct flow_spreads) == 64, "the sums are a cache line");

/* The sums of a direction as numbers. */
struct flow_sums {
	unsigned __int128 square_gaps;
	uint64_t square_sizes;
	uint64_t gaps;
};

void flow_spreads_set(struct flow_spreads *s, unsigned way, const struct flow_sums *sums);
struct flow_sums flow_spreads_get(const struct flow_spreads *s, unsigned way);
void flow_spreads_size(struct flow_spreads *s, unsigned way, uint32_t size);
void flow_spreads_gap(struct flow_spreads *s, unsigned way, uint32_t gap);
/* Mean and standard deviation of n numbers, by their sum and the sum of their squares. */
void flow_spreads_tell(struct l7_spread *to, uint64_t n, uint64_t sum, unsigned __int128 squares);

#endif
