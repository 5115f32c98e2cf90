/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Engaged alerts: found by key, in the order of use, and by when each is due. An entry's place in the heap is by the due time it was
 * given last; a hit only makes it later, so the heap is not touched by hits, but when the entry comes up.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "alert/alert_internal.h"
#include "base/clock.h"

#define TABLE_NONE UINT32_MAX

static uint32_t table_index(const struct alert_table *t, const struct alert *al)
{
	return (uint32_t)(al - t->list);
}

static uint32_t *table_slot(const struct alert_table *t, struct lru_key key)
{
	return &t->slots[XXH3_64bits_withSeed(&key, sizeof(key), t->seed) & t->mask];
}

int alert_table_init(struct alert_table *t)
{
	uint32_t slots = 16;

	while (slots < ALERT_KEYS_MAX)
		slots *= 2;
	*t = (struct alert_table){.mask = slots - 1, .free = TABLE_NONE, .newest = TABLE_NONE, .oldest = TABLE_NONE};
	if (getrandom(&t->seed, sizeof(t->seed), 0) != sizeof(t->seed))
		t->seed = clock_wall_ms();
	t->slots = calloc(slots, sizeof(*t->slots));
	t->heap = calloc(ALERT_KEYS_MAX, sizeof(*t->heap));
	t->list = calloc(ALERT_KEYS_MAX, sizeof(*t->list)); /* memory is used as alerts come */
	if (t->slots && t->heap && t->list)
		return 0;
	alert_table_deinit(t);
	return -ENOMEM;
}

void alert_table_deinit(struct alert_table *t)
{
	free(t->slots);
	free(t->heap);
	free(t->list);
	*t = (struct alert_table){0};
}

struct alert *alert_table_find(struct alert_table *t, struct lru_key key)
{
	for (uint32_t at = *table_slot(t, key); at; at = t->list[at - 1].chain) {
		struct alert *al = &t->list[at - 1];

		if (al->key.low == key.low && al->key.high == key.high)
			return al;
	}
	return NULL;
}

/* ---- by use ---- */

static void table_unlink(struct alert_table *t, struct alert *al)
{
	if (al->newer == TABLE_NONE)
		t->newest = al->older;
	else
		t->list[al->newer].older = al->older;
	if (al->older == TABLE_NONE)
		t->oldest = al->newer;
	else
		t->list[al->older].newer = al->newer;
}

static void table_link(struct alert_table *t, struct alert *al)
{
	al->newer = TABLE_NONE;
	al->older = t->newest;
	if (t->newest == TABLE_NONE)
		t->oldest = table_index(t, al);
	else
		t->list[t->newest].newer = table_index(t, al);
	t->newest = table_index(t, al);
}

void alert_table_touch(struct alert_table *t, struct alert *al)
{
	table_unlink(t, al);
	table_link(t, al);
}

struct alert *alert_table_oldest(struct alert_table *t)
{
	for (uint32_t i = 0; i < t->n; i++) {
		struct alert *al = &t->list[t->oldest];

		if (al->kind == ALERT_OF_RULE)
			return al;
		alert_table_touch(t, al); /* out of the way for the next time */
	}
	return NULL;
}

/* ---- by time ---- */

static void heap_put(struct alert_table *t, uint32_t at, uint32_t index)
{
	t->heap[at] = index;
	t->list[index].heap = at;
}

static void heap_up(struct alert_table *t, uint32_t at)
{
	uint32_t index = t->heap[at];

	while (at && t->list[t->heap[(at - 1) / 2]].due_ms > t->list[index].due_ms) {
		heap_put(t, at, t->heap[(at - 1) / 2]);
		at = (at - 1) / 2;
	}
	heap_put(t, at, index);
}

static void heap_down(struct alert_table *t, uint32_t at)
{
	uint32_t index = t->heap[at];

	for (uint32_t child = 2 * at + 1; child < t->n; child = 2 * at + 1) {
		if (child + 1 < t->n && t->list[t->heap[child + 1]].due_ms < t->list[t->heap[child]].due_ms)
			child++;
		if (t->list[t->heap[child]].due_ms >= t->list[index].due_ms)
			break;
		heap_put(t, at, t->heap[child]);
		at = child;
	}
	heap_put(t, at, index);
}

void alert_table_due(struct alert_table *t, struct alert *al, uint64_t due_ms)
{
	al->due_ms = due_ms;
	heap_up(t, al->heap);
	heap_down(t, al->heap);
}

struct alert *alert_table_next(struct alert_table *t)
{
	return t->n ? &t->list[t->heap[0]] : NULL;
}

/* ---- in and out ---- */

struct alert *alert_table_add(struct alert_table *t, struct lru_key key)
{
	uint32_t *slot = table_slot(t, key), index = t->free;
	struct alert *al;

	if (index == TABLE_NONE)
		index = t->top++;
	else
		t->free = t->list[index].chain;
	al = &t->list[index];
	memset(al, 0, sizeof(*al));
	al->key = key;
	al->used = true;
	al->due_ms = ALERT_NEVER;
	al->chain = *slot;
	*slot = index + 1;
	table_link(t, al);
	heap_put(t, t->n++, index);
	return al;
}

/* Takes an entry out of those that wait for the store. */
static void table_wash(struct alert_table *t, struct alert *al)
{
	if (al->prev_dirty)
		t->list[al->prev_dirty - 1].next_dirty = al->next_dirty;
	else
		t->first_dirty = al->next_dirty;
	if (al->next_dirty)
		t->list[al->next_dirty - 1].prev_dirty = al->prev_dirty;
	else
		t->last_dirty = al->prev_dirty;
	al->dirty = false;
}

void alert_table_drop(struct alert_table *t, struct alert *al)
{
	uint32_t index = table_index(t, al), *at = table_slot(t, al->key), hole = al->heap;

	while (*at != index + 1)
		at = &t->list[*at - 1].chain;
	*at = al->chain;
	table_unlink(t, al);
	if (al->dirty)
		table_wash(t, al);
	t->n--;
	if (hole != t->n) {
		heap_put(t, hole, t->heap[t->n]);
		heap_up(t, hole);
		heap_down(t, hole);
	}
	al->used = false;
	al->chain = t->free;
	t->free = index;
}

void alert_table_soil(struct alert_table *t, struct alert *al)
{
	uint32_t index = table_index(t, al);

	if (al->dirty)
		return;
	al->dirty = true;
	al->next_dirty = 0;
	al->prev_dirty = t->last_dirty;
	if (t->last_dirty)
		t->list[t->last_dirty - 1].next_dirty = index + 1;
	else
		t->first_dirty = index + 1;
	t->last_dirty = index + 1;
}

struct alert *alert_table_dirty(struct alert_table *t)
{
	struct alert *al = t->first_dirty ? &t->list[t->first_dirty - 1] : NULL;

	if (al)
		table_wash(t, al);
	return al;
}
