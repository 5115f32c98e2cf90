/* SPDX-License-Identifier: Apache-2.0 */
/* A pool of classification states: fixed size, by index, last freed first used. Index 0 is none. */
#ifndef PROBE_FLOW_COLD_H
#define PROBE_FLOW_COLD_H

#include <stddef.h>
#include <stdint.h>

struct flow_cold_pool {
	uint8_t *memory; /* one reservation; pages come as they are touched */
	size_t size;     /* of one state, rounded up to a cache line */
	uint32_t max;
	uint32_t fresh;
	uint32_t free;
	uint32_t used;
};

/* Returns 0 or -ENOMEM. */
int flow_cold_init(struct flow_cold_pool *p, uint32_t max, size_t state_size);
void flow_cold_deinit(struct flow_cold_pool *p);
/* An index, its memory not cleared; 0 if none is free. */
uint32_t flow_cold_take(struct flow_cold_pool *p);
void flow_cold_give(struct flow_cold_pool *p, uint32_t index);

static inline void *flow_cold_at(const struct flow_cold_pool *p, uint32_t index)
{
	return p->memory + (size_t)index * p->size;
}

#endif
