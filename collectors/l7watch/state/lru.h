/* SPDX-License-Identifier: Apache-2.0 */
/* A table of at most `max` values by a 128-bit key; for a new one beyond that the least recently used goes, and is counted. */
#ifndef WATCH_LRU_H
#define WATCH_LRU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lru_key {
	uint64_t high;
	uint64_t low; /* a hash */
};

struct lru {
	uint32_t max, n;
	uint32_t mask; /* slots - 1 */
	uint32_t newest, oldest;
	uint64_t seed;    /* of slots: who chooses keys shall not know them */
	uint32_t clock;   /* counts uses */
	size_t stride;    /* octets of an entry */
	uint32_t *slots;  /* first entry of a chain + 1 */
	uint8_t *entries; /* owned */
	uint64_t evicted;
	void (*drop)(void *value); /* called before a value goes; may be NULL */
};

/* The key of what is told apart by these octets; a seed that others cannot know keeps them from making two alike. */
struct lru_key lru_hash(const void *octets, size_t len, uint64_t seed);

/* value_size octets per value, zeroed when new. Returns 0 or -ENOMEM. */
int lru_init(struct lru *l, uint32_t max, size_t value_size, void (*drop)(void *value));
void lru_deinit(struct lru *l);

/* The value of a key, made newest; NULL if there is none. */
void *lru_find(struct lru *l, struct lru_key key);
/* The same; a value that was not there is made, and *fresh set. */
void *lru_get(struct lru *l, struct lru_key key, bool *fresh);
/* Value number i of the n there are, in no order; its age stays. */
void *lru_at(const struct lru *l, uint32_t i);

#endif
