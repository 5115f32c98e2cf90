/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Groups of one rule: at most `max` values by a 128-bit key; for a new one beyond that the least recently used goes, and is
 * counted. Unlike state/lru.h its memory comes and is accounted as groups come, since a thousand rules may each have a hundred thousand,
 * and it knows which groups have changed since they were saved.
 *
 * Keys are the same in every process, so anybody can compute them: places in the table depend on a secret of this process, too.
 */
#ifndef WATCH_DETECT_TABLE_H
#define WATCH_DETECT_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "state/lru.h"

#define DETECT_BLOCK 256u /* groups that get their memory together; a rule can always have so many */

/* Of all rules together. */
struct detect_memory {
	size_t used, max;
	uint64_t denied; /* times that a sketch had to do with what it had */
};

/* Before each value. */
struct detect_group {
	struct lru_key key;
	uint32_t newer, older;             /* in the order of use */
	uint32_t chain;                    /* next of the slot + 1; of a free one: next free one + 1 */
	uint32_t dirty_before, dirty_next; /* if dirty: in the order in which they became so */
	bool dirty;
	bool saved; /* the store has it */
};

struct detect_table {
	uint32_t max;
	uint32_t n;      /* in use */
	uint32_t n_made; /* places that were ever used */
	uint32_t free;   /* first free place + 1 */
	uint32_t mask;   /* slots - 1 */
	uint32_t newest, oldest;
	uint32_t dirty_first, dirty_last;
	uint32_t n_blocks, blocks_cap;
	size_t stride;
	uint32_t *slots;  /* owned: first group of a chain + 1 */
	uint8_t **blocks; /* owned */
	uint64_t secret[2];
	struct detect_memory *memory;
	uint64_t evicted;
	void (*drop)(void *arg, struct detect_group *g); /* called before a group goes; may be NULL */
	void *arg;
};

/* value_size octets per value, zeroed when new. Nothing is allocated yet. */
void detect_table_init(struct detect_table *t, uint32_t max, size_t value_size, struct detect_memory *memory,
		       const uint64_t secret[2]);
void detect_table_deinit(struct detect_table *t);
/* The least recently used go if there are more. */
void detect_table_set_max(struct detect_table *t, uint32_t max);

static inline void *detect_value(struct detect_group *g)
{
	return g + 1;
}

/* The group of a key, made newest; NULL if there is none. */
struct detect_group *detect_table_find(struct detect_table *t, struct lru_key key);
/* The same, and nothing changes. */
const struct detect_group *detect_table_peek(const struct detect_table *t, struct lru_key key);
/* A group that was not there is made, and *fresh set. NULL: there is no memory for a single one. */
struct detect_group *detect_table_get(struct detect_table *t, struct lru_key key, bool *fresh);

void detect_table_dirty(struct detect_table *t, struct detect_group *g);
/* The one that has been dirty for longest, which no longer is; NULL if there is none. */
struct detect_group *detect_table_clean(struct detect_table *t);
/* Removes a group; `drop` is called. */
void detect_table_remove(struct detect_table *t, struct detect_group *g);

#endif
