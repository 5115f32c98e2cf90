/* SPDX-License-Identifier: Apache-2.0 */
#include "detect/detect_table.h"

#include <stdlib.h>
#include <string.h>

#define TABLE_NONE UINT32_MAX
#define TABLE_SLOTS_MIN 64u

void detect_table_init(struct detect_table *t, uint32_t max, size_t value_size, struct detect_memory *memory,
		       const uint64_t secret[2])
{
	*t = (struct detect_table){.max = max ? max : 1,
				   .newest = TABLE_NONE,
				   .oldest = TABLE_NONE,
				   .dirty_first = TABLE_NONE,
				   .dirty_last = TABLE_NONE,
				   .stride = sizeof(struct detect_group) + (value_size + 7) / 8 * 8,
				   .secret = {secret[0], secret[1]},
				   .memory = memory};
}

static struct detect_group *table_at(const struct detect_table *t, uint32_t i)
{
	return (struct detect_group *)(void *)(t->blocks[i / DETECT_BLOCK] + i % DETECT_BLOCK * t->stride);
}

/* Both halves of the key go through the secret before they meet: keys that share a place cannot be looked for. */
static uint32_t table_slot(const struct detect_table *t, struct lru_key key)
{
	unsigned __int128 p = (unsigned __int128)(key.low ^ t->secret[0]) * (key.high ^ t->secret[1]);

	return (uint32_t)((uint64_t)p ^ (uint64_t)(p >> 64)) & t->mask;
}

/* Index + 1 of a key's group, or 0. */
static uint32_t table_look(const struct detect_table *t, struct lru_key key)
{
	uint32_t at = t->slots ? t->slots[table_slot(t, key)] : 0;

	while (at) {
		const struct detect_group *g = table_at(t, at - 1);

		if (g->key.low == key.low && g->key.high == key.high)
			break;
		at = g->chain;
	}
	return at;
}

/* ---- the order of use ---- */

static void table_unlink(struct detect_table *t, struct detect_group *g)
{
	if (g->newer == TABLE_NONE)
		t->newest = g->older;
	else
		table_at(t, g->newer)->older = g->older;
	if (g->older == TABLE_NONE)
		t->oldest = g->newer;
	else
		table_at(t, g->older)->newer = g->newer;
}

static void table_link(struct detect_table *t, uint32_t i)
{
	struct detect_group *g = table_at(t, i);

	g->newer = TABLE_NONE;
	g->older = t->newest;
	if (t->newest == TABLE_NONE)
		t->oldest = i;
	else
		table_at(t, t->newest)->newer = i;
	t->newest = i;
}

struct detect_group *detect_table_find(struct detect_table *t, struct lru_key key)
{
	uint32_t at = table_look(t, key);

	if (at == 0)
		return NULL;
	if (t->newest != at - 1) {
		table_unlink(t, table_at(t, at - 1));
		table_link(t, at - 1);
	}
	return table_at(t, at - 1);
}

const struct detect_group *detect_table_peek(const struct detect_table *t, struct lru_key key)
{
	uint32_t at = table_look(t, key);

	return at ? table_at(t, at - 1) : NULL;
}

/* ---- what has changed ---- */

static void table_undirty(struct detect_table *t, struct detect_group *g)
{
	if (!g->dirty)
		return;
	if (g->dirty_before == TABLE_NONE)
		t->dirty_first = g->dirty_next;
	else
		table_at(t, g->dirty_before)->dirty_next = g->dirty_next;
	if (g->dirty_next == TABLE_NONE)
		t->dirty_last = g->dirty_before;
	else
		table_at(t, g->dirty_next)->dirty_before = g->dirty_before;
	g->dirty = false;
}

void detect_table_dirty(struct detect_table *t, struct detect_group *g)
{
	uint32_t i;

	if (g->dirty)
		return;
	i = table_look(t, g->key) - 1;
	g->dirty = true;
	g->dirty_next = TABLE_NONE;
	g->dirty_before = t->dirty_last;
	if (t->dirty_last == TABLE_NONE)
		t->dirty_first = i;
	else
		table_at(t, t->dirty_last)->dirty_next = i;
	t->dirty_last = i;
}

struct detect_group *detect_table_clean(struct detect_table *t)
{
	struct detect_group *g = t->dirty_first == TABLE_NONE ? NULL : table_at(t, t->dirty_first);

	if (g)
		table_undirty(t, g);
	return g;
}

/* ---- coming and going ---- */

void detect_table_remove(struct detect_table *t, struct detect_group *g)
{
	uint32_t *at = &t->slots[table_slot(t, g->key)];
	uint32_t i;

	while (table_at(t, *at - 1) != g)
		at = &table_at(t, *at - 1)->chain;
	i = *at - 1;
	if (t->drop)
		t->drop(t->arg, g);
	*at = g->chain;
	table_undirty(t, g);
	table_unlink(t, g);
	g->chain = t->free;
	t->free = i + 1;
	t->n--;
}

void detect_table_set_max(struct detect_table *t, uint32_t max)
{
	t->max = max ? max : 1;
	while (t->n > t->max) {
		t->evicted++;
		detect_table_remove(t, table_at(t, t->oldest));
	}
}

void detect_table_deinit(struct detect_table *t)
{
	for (uint32_t i = t->newest; t->drop && i != TABLE_NONE; i = table_at(t, i)->older)
		t->drop(t->arg, table_at(t, i));
	for (uint32_t i = 0; i < t->n_blocks; i++)
		free(t->blocks[i]);
	if (t->memory)
		t->memory->used -=
			t->n_blocks * DETECT_BLOCK * t->stride + (t->slots ? (t->mask + 1) * sizeof(*t->slots) : 0);
	free(t->blocks);
	free(t->slots);
	*t = (struct detect_table){.newest = TABLE_NONE, .oldest = TABLE_NONE};
}

/* A chain per group on average. If there is no memory for more slots chains become longer, that is all. */
static bool table_widen(struct detect_table *t)
{
	uint32_t slots = t->slots ? (t->mask + 1) * 2 : TABLE_SLOTS_MIN;
	uint32_t *wide;

	if (t->slots && t->n <= t->mask)
		return true;
	wide = calloc(slots, sizeof(*wide));
	if (!wide)
		return t->slots;
	t->memory->used += (slots - (t->slots ? t->mask + 1 : 0)) * sizeof(*wide);
	free(t->slots);
	t->slots = wide;
	t->mask = slots - 1;
	for (uint32_t i = t->newest; i != TABLE_NONE; i = table_at(t, i)->older) {
		uint32_t *slot = &wide[table_slot(t, table_at(t, i)->key)];

		table_at(t, i)->chain = *slot;
		*slot = i + 1;
	}
	return true;
}

static bool table_add_block(struct detect_table *t)
{
	size_t size = DETECT_BLOCK * t->stride;

	if (t->n_blocks && t->memory->used + size > t->memory->max)
		return false;
	if (t->n_blocks == t->blocks_cap) {
		uint32_t cap = t->blocks_cap ? t->blocks_cap * 2 : 4;
		uint8_t **blocks = reallocarray(t->blocks, cap, sizeof(*blocks));

		if (!blocks)
			return false;
		t->blocks = blocks;
		t->blocks_cap = cap;
	}
	t->blocks[t->n_blocks] = malloc(size); /* touched as its groups come */
	if (!t->blocks[t->n_blocks])
		return false;
	t->n_blocks++;
	t->memory->used += size;
	return true;
}

/* A free place as index + 1; 0: none. */
static uint32_t table_place(struct detect_table *t)
{
	uint32_t at = t->free;

	if (t->n >= t->max)
		return 0;
	if (at) {
		t->free = table_at(t, at - 1)->chain;
		return at;
	}
	if (t->n_made == t->n_blocks * DETECT_BLOCK && !table_add_block(t))
		return 0;
	return ++t->n_made;
}

struct detect_group *detect_table_get(struct detect_table *t, struct lru_key key, bool *fresh)
{
	struct detect_group *g = detect_table_find(t, key);
	uint32_t at, *slot;

	*fresh = !g;
	if (g)
		return g;
	if (!table_widen(t))
		return NULL;
	at = table_place(t);
	if (!at && t->n) {
		t->evicted++;
		detect_table_remove(t, table_at(t, t->oldest));
		at = t->free;
		t->free = table_at(t, at - 1)->chain;
	}
	if (!at)
		return NULL;
	g = table_at(t, at - 1);
	memset(g, 0, t->stride);
	g->key = key;
	slot = &t->slots[table_slot(t, key)];
	g->chain = *slot;
	*slot = at;
	t->n++;
	table_link(t, at - 1);
	return g;
}
