/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Strings of classified flows: blocks of 32 to 2,048 octets cut from slabs, one block a flow, recycled by size. A handle is an
 * index, 0 is none. Bounded by the memory given. Which blocks are free is known to the pool alone: on memory that was used
 * before, who has handles claims them, and the rest is free.
 */
#ifndef PROBE_FLOW_TEXT_H
#define PROBE_FLOW_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dpi/dpi.h"

#define FLOW_TEXT_MOST 1600 /* octets of all strings of a flow together, at most */
#define FLOW_TEXT_CLASSES 7 /* 32 << class octets */

struct flow_text_pool {
	uint8_t *memory; /* not owned */
	size_t used;     /* octets cut so far */
	size_t max;
	uint32_t free[FLOW_TEXT_CLASSES];
};

/* A pool in `max` octets, all free. */
void flow_text_init(struct flow_text_pool *p, uint8_t *memory, size_t max);

/* Which units are taken, while handles are claimed. */
struct flow_text_claims {
	uint64_t *bits; /* NULL for none */
	size_t units;
	size_t size; /* octets of bits */
};

/* Between these two every handle that is in use is claimed. Returns 0 or -ENOMEM. */
int flow_text_claim_begin(const struct flow_text_pool *p, struct flow_text_claims *c);
void flow_text_claim_end(struct flow_text_pool *p, struct flow_text_claims *c);
/* False if the handle is of no block that is whole, or of one that overlaps with one claimed before: not to be used. */
bool flow_text_claim(struct flow_text_pool *p, struct flow_text_claims *c, uint32_t handle);

/* Whether all strings are empty. */
bool flow_text_none(const struct dpi_texts *t);
/* Keeps copies of the strings that are not empty. Returns a handle; 0 if all are empty or there is no room. */
uint32_t flow_text_put(struct flow_text_pool *p, const struct dpi_texts *t);
/* What a handle holds; for handle 0 nothing. Points into the pool, until flow_text_drop(). */
void flow_text_get(const struct flow_text_pool *p, uint32_t handle, struct dpi_texts *t);
/* Asks for the memory of a handle, also 0. */
void flow_text_prefetch(const struct flow_text_pool *p, uint32_t handle);
void flow_text_drop(struct flow_text_pool *p, uint32_t handle);

#endif
