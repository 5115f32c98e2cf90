/* SPDX-License-Identifier: Apache-2.0 */
/* A pool of blocks of one size, by index, last freed first used. Index 0 is none. A free block begins with the index of the next. */
#ifndef PROBE_FLOW_POOL_H
#define PROBE_FLOW_POOL_H

#include <stddef.h>
#include <stdint.h>

struct flow_pool {
	uint8_t *memory; /* (max + 1) * size octets, pages come as they are touched */
	size_t size;     /* of a block */
	uint32_t max;
	uint32_t fresh; /* blocks from here on were never used */
	uint32_t free;
	uint32_t used;
};

/* In memory of its own, blocks rounded up to a cache line. Returns 0 or -ENOMEM. */
int flow_pool_map(struct flow_pool *p, uint32_t max, size_t size);
void flow_pool_unmap(struct flow_pool *p);
/* In memory of the caller's; all blocks are free. */
void flow_pool_init(struct flow_pool *p, uint8_t *memory, uint32_t max, size_t size);

/* An index, its memory not cleared; 0 if none is free. */
uint32_t flow_pool_take(struct flow_pool *p);
void flow_pool_give(struct flow_pool *p, uint32_t index);

static inline void *flow_pool_at(const struct flow_pool *p, uint32_t index)
{
	return p->memory + (size_t)index * p->size;
}

#endif
