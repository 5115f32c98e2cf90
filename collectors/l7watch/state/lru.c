/* SPDX-License-Identifier: Apache-2.0 */
#include "state/lru.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#define LRU_NONE UINT32_MAX
#define LRU_SLACK                                                                                                      \
	16u /* who was among the newest sixteenth stays where he is: to move him would touch his neighbours' memory */

struct lru_entry {
	struct lru_key key;
	uint32_t newer, older; /* LRU_NONE at the ends */
	uint32_t chain;        /* next of the slot + 1 */
	uint32_t used;         /* the clock when it was made the newest */
};

static struct lru_entry *lru_entry(const struct lru *l, uint32_t i)
{
	return (struct lru_entry *)(void *)(l->entries + i * l->stride);
}

/* Keys whose octets are known to everybody meet in a slot only by chance. */
static uint32_t lru_slot(const struct lru *l, struct lru_key key)
{
	uint64_t mixed = (key.low ^ l->seed) * UINT64_C(0x9e3779b97f4a7c15);

	return (uint32_t)((mixed ^ key.high) >> 32) & l->mask;
}

struct lru_key lru_hash(const void *octets, size_t len, uint64_t seed)
{
	XXH128_hash_t h = XXH3_128bits_withSeed(octets, len, seed);

	return (struct lru_key){.high = h.high64, .low = h.low64};
}

int lru_init(struct lru *l, uint32_t max, size_t value_size, void (*drop)(void *value))
{
	uint32_t slots = 16;

	while (slots < max)
		slots *= 2;
	*l = (struct lru){.max = max, .mask = slots - 1, .newest = LRU_NONE, .oldest = LRU_NONE, .drop = drop};
	if (getrandom(&l->seed, sizeof(l->seed), 0) != sizeof(l->seed))
		l->seed = (uintptr_t)l; /* better than nothing */
	l->stride = sizeof(struct lru_entry) + (value_size + 7) / 8 * 8;
	l->slots = calloc(slots, sizeof(*l->slots));
	l->entries = calloc(max, l->stride);
	if (l->slots && l->entries)
		return 0;
	lru_deinit(l);
	return -ENOMEM;
}

void lru_deinit(struct lru *l)
{
	for (uint32_t i = 0; i < l->n && l->drop; i++)
		l->drop(lru_entry(l, i) + 1);
	free(l->slots);
	free(l->entries);
	*l = (struct lru){0};
}

static void lru_unlink(struct lru *l, uint32_t i)
{
	struct lru_entry *e = lru_entry(l, i);

	if (e->newer == LRU_NONE)
		l->newest = e->older;
	else
		lru_entry(l, e->newer)->older = e->older;
	if (e->older == LRU_NONE)
		l->oldest = e->newer;
	else
		lru_entry(l, e->older)->newer = e->newer;
}

static void lru_link_newest(struct lru *l, uint32_t i)
{
	struct lru_entry *e = lru_entry(l, i);

	e->used = ++l->clock;
	e->newer = LRU_NONE;
	e->older = l->newest;
	if (l->newest == LRU_NONE)
		l->oldest = i;
	else
		lru_entry(l, l->newest)->newer = i;
	l->newest = i;
}

static void lru_unchain(struct lru *l, uint32_t i)
{
	uint32_t *at = &l->slots[lru_slot(l, lru_entry(l, i)->key)];

	while (*at != i + 1)
		at = &lru_entry(l, *at - 1)->chain;
	*at = lru_entry(l, i)->chain;
}

void *lru_find(struct lru *l, struct lru_key key)
{
	for (uint32_t at = l->slots[lru_slot(l, key)]; at; at = lru_entry(l, at - 1)->chain) {
		struct lru_entry *e = lru_entry(l, at - 1);

		if (e->key.low != key.low || e->key.high != key.high)
			continue;
		if (l->newest != at - 1 && l->clock - e->used >= l->max / LRU_SLACK) {
			lru_unlink(l, at - 1);
			lru_link_newest(l, at - 1);
		}
		return e + 1;
	}
	return NULL;
}

void *lru_get(struct lru *l, struct lru_key key, bool *fresh)
{
	void *found = lru_find(l, key);
	struct lru_entry *e;
	uint32_t i;

	*fresh = !found;
	if (found)
		return found;
	if (l->n < l->max) {
		i = l->n++;
	} else {
		i = l->oldest;
		if (l->drop)
			l->drop(lru_entry(l, i) + 1);
		lru_unlink(l, i);
		lru_unchain(l, i);
		l->evicted++;
	}
	e = lru_entry(l, i);
	memset(e, 0, l->stride);
	e->key = key;
	e->chain = l->slots[lru_slot(l, key)];
	l->slots[lru_slot(l, key)] = i + 1;
	lru_link_newest(l, i);
	return e + 1;
}

void *lru_at(const struct lru *l, uint32_t i)
{
	return lru_entry(l, i) + 1;
}
