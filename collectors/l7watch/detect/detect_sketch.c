/* SPDX-License-Identifier: Apache-2.0 */
#include "detect/detect_sketch.h"

#include <stdlib.h>
#include <string.h>

#define SKETCH_SLICES 60u  /* of a window at most */
#define SKETCH_STAMPS 128u /* more than two windows of slices: nothing that old is left when its number comes again */
#define SKETCH_LEVEL_MAX 20u

static bool sketch_few(const struct sketch *s)
{
	return s->hashes == s->few_hashes;
}

static size_t sketch_size(uint32_t cells)
{
	return cells * (sizeof(uint32_t) + 1);
}

void sketch_init(struct sketch *s, struct detect_memory *memory, uint32_t max_cells, uint64_t window_ms)
{
	memset(s, 0, sizeof(*s));
	s->memory = memory;
	s->cells = SKETCH_FEW;
	s->hashes = s->few_hashes;
	s->stamps = s->few_stamps;
	sketch_use(s, max_cells, window_ms);
}

void sketch_deinit(struct sketch *s)
{
	if (sketch_few(s) || !s->hashes)
		return;
	s->memory->used -= sketch_size(s->cells);
	free(s->hashes);
	s->hashes = NULL;
}

static void sketch_empty(struct sketch *s)
{
	sketch_deinit(s);
	s->cells = SKETCH_FEW;
	s->hashes = s->few_hashes;
	s->stamps = s->few_stamps;
	memset(s->few_stamps, 0, sizeof(s->few_stamps));
	s->n = s->n_counted = 0;
	s->level = s->admit = 0;
	s->oldest = s->slice;
}

void sketch_clear(struct sketch *s)
{
	s->slice = 0;
	sketch_empty(s);
}

static bool sketch_has_level(uint32_t hash, uint8_t level)
{
	return level == 0 || hash >> (32 - level) == 0;
}

static uint32_t sketch_age(const struct sketch *s, uint8_t stamp)
{
	return (uint32_t)((s->slice - (uint64_t)(stamp - 1)) % SKETCH_STAMPS);
}

/* Where a hash is or would be; there is always a free cell. */
static uint32_t sketch_cell(const struct sketch *s, uint32_t hash)
{
	uint32_t i = hash & (s->cells - 1);

	while (s->stamps[i] && s->hashes[i] != hash)
		i = (i + 1) & (s->cells - 1);
	return i;
}

static void sketch_put(struct sketch *s, uint32_t hash, uint8_t stamp)
{
	uint32_t i = sketch_cell(s, hash);

	s->hashes[i] = hash;
	s->stamps[i] = stamp;
	s->n++;
	s->n_counted += sketch_has_level(hash, s->level);
	if (s->slice - sketch_age(s, stamp) < s->oldest)
		s->oldest = s->slice - sketch_age(s, stamp);
}

/* Other memory for `cells`; what there was is not copied. False: there is none, all is as it was. */
static bool sketch_resize(struct sketch *s, uint32_t cells)
{
	uint32_t *hashes = s->few_hashes;

	if (cells > SKETCH_FEW) {
		bool room = cells <= s->cells || s->memory->used + sketch_size(cells) <= s->memory->max;

		hashes = room ? malloc(sketch_size(cells)) : NULL;
		if (!hashes) {
			s->memory->denied++;
			return false;
		}
		s->memory->used += sketch_size(cells);
	}
	sketch_deinit(s);
	s->cells = cells;
	s->hashes = hashes;
	s->stamps = cells > SKETCH_FEW ? (uint8_t *)(hashes + cells) : s->few_stamps;
	return true;
}

/* Puts those anew that are young enough and of the level that is let in, in `cells` if there is memory for so many. */
static bool sketch_rebuild(struct sketch *s, uint32_t cells)
{
	uint32_t hashes[SKETCH_CELLS_MAX], n = 0;
	uint8_t stamps[SKETCH_CELLS_MAX];
	bool resized;

	for (uint32_t i = 0; i < s->cells; i++) {
		if (!s->stamps[i] || sketch_age(s, s->stamps[i]) >= s->slices ||
		    !sketch_has_level(s->hashes[i], s->admit))
			continue;
		hashes[n] = s->hashes[i];
		stamps[n++] = s->stamps[i];
	}
	resized = cells == s->cells || sketch_resize(s, cells);
	memset(s->stamps, 0, s->cells);
	s->n = s->n_counted = 0;
	s->oldest = s->slice;
	for (uint32_t i = 0; i < n; i++)
		sketch_put(s, hashes[i], stamps[i]);
	return resized;
}

static uint32_t sketch_room(uint32_t cells)
{
	return cells / 4 * 3;
}

/* Lower levels if there is room for what they would let in, and less memory if much less is needed. */
static void sketch_relax(struct sketch *s)
{
	uint32_t cells = s->cells;

	if (s->admit < s->level && s->slice - s->admit_slice >= s->slices) {
		s->level = s->admit;
		s->n_counted = s->n;
	}
	if (s->level && s->admit == s->level) {
		while (s->admit && s->n << (s->level - s->admit + 1) <= sketch_room(s->max_cells) / 2)
			s->admit--;
		s->admit_slice = s->slice;
	}
	while (cells > SKETCH_FEW && s->n < cells / 8 && s->level == 0)
		cells /= 2;
	if (cells != s->cells)
		sketch_rebuild(s, cells);
}

static void sketch_advance(struct sketch *s, uint64_t slice)
{
	if (slice <= s->slice)
		return;
	if (s->n && slice - s->oldest >= s->slices) {
		if (slice - s->slice >= s->slices) {
			sketch_empty(s);
		} else {
			s->slice = slice;
			sketch_rebuild(s, s->cells);
			sketch_relax(s);
		}
	}
	s->slice = slice;
	if (s->n == 0)
		s->oldest = slice;
}

/* Room for one more value, by more cells or a higher level. */
static void sketch_grow(struct sketch *s)
{
	while (s->n + 1 > sketch_room(s->cells)) {
		if (s->cells < s->max_cells && sketch_rebuild(s, s->cells * 2))
			continue;
		if (s->n + 1 <= sketch_room(s->cells))
			return;
		if (s->admit == SKETCH_LEVEL_MAX) {
			sketch_empty(s);
			return;
		}
		s->admit++;
		s->admit_slice = s->slice;
		if (s->level < s->admit)
			s->level = s->admit;
		sketch_rebuild(s, s->cells);
	}
}

bool sketch_add(struct sketch *s, uint32_t hash, uint64_t now_ms)
{
	uint64_t slice = now_ms / s->width_ms;
	uint8_t stamp = (uint8_t)(slice % SKETCH_STAMPS + 1);
	uint32_t i;

	sketch_advance(s, slice);
	if (s->slice - slice >= s->slices || !sketch_has_level(hash, s->admit))
		return false;
	i = sketch_cell(s, hash);
	if (s->stamps[i]) {
		if (sketch_age(s, s->stamps[i]) <= s->slice - slice)
			return false;
		s->stamps[i] = stamp;
		return true;
	}
	sketch_grow(s);
	if (sketch_has_level(hash, s->admit))
		sketch_put(s, hash, stamp);
	return true;
}

uint64_t sketch_count(const struct sketch *s)
{
	return (uint64_t)s->n_counted << s->level;
}

uint64_t sketch_since_ms(const struct sketch *s)
{
	return s->oldest * s->width_ms;
}

/* Another window: when values came is kept as well as slices tell it. */
static void sketch_rescale(struct sketch *s, uint64_t width_ms, uint32_t slices)
{
	uint64_t slice = s->slice * s->width_ms / width_ms;

	for (uint32_t i = 0; i < s->cells; i++) {
		uint64_t then;

		if (!s->stamps[i])
			continue;
		then = (s->slice - sketch_age(s, s->stamps[i])) * s->width_ms / width_ms;
		/* What is too old for a stamp gets one that is too old for the window. */
		if (slice - then > SKETCH_SLICES)
			then = slice - SKETCH_SLICES;
		s->stamps[i] = (uint8_t)(then % SKETCH_STAMPS + 1);
	}
	s->slice = slice;
	s->admit_slice = slice;
	s->width_ms = width_ms;
	s->slices = slices;
	sketch_rebuild(s, s->cells);
}

void sketch_use(struct sketch *s, uint32_t max_cells, uint64_t window_ms)
{
	uint64_t width = window_ms ? (window_ms - 1) / SKETCH_SLICES + 1 : 1;
	uint64_t slices = window_ms / width ? window_ms / width : 1;

	s->max_cells = max_cells;
	if (s->width_ms && (s->width_ms != width || s->slices != slices))
		sketch_rescale(s, width, (uint32_t)slices);
	s->width_ms = width;
	s->slices = (uint32_t)slices;
}

/* ---- the store ---- */

/* width, slice (8 each), level (1), number of values (2), then of each the hash (4) and its age in slices (1). */
void sketch_save(const struct sketch *s, struct buf *out)
{
	uint8_t head[19];

	for (unsigned i = 0; i < 8; i++) {
		head[i] = (uint8_t)(s->width_ms >> (56 - 8 * i));
		head[8 + i] = (uint8_t)(s->slice >> (56 - 8 * i));
	}
	head[16] = s->level;
	head[17] = (uint8_t)(s->n_counted >> 8);
	head[18] = (uint8_t)s->n_counted;
	buf_put(out, head, sizeof(head));
	for (uint32_t i = 0; i < s->cells; i++) {
		uint32_t h = s->hashes[i];
		uint8_t value[5] = {(uint8_t)(h >> 24), (uint8_t)(h >> 16), (uint8_t)(h >> 8), (uint8_t)h};

		if (!s->stamps[i] || !sketch_has_level(h, s->level))
			continue;
		value[4] = (uint8_t)sketch_age(s, s->stamps[i]);
		buf_put(out, value, sizeof(value));
	}
}

bool sketch_load(struct sketch *s, struct wire *w)
{
	uint64_t width = wire_uint(w, 8), slice = wire_uint(w, 8);
	uint8_t level = wire_u8(w);
	uint16_t n = wire_u16(w);
	uint32_t slices = s->slices;
	uint64_t width_now = s->width_ms;

	if (!wire_ok(w) || !width || width > UINT64_C(1) << 40 || slice > (UINT64_C(1) << 48) / width ||
	    slice < SKETCH_SLICES || level > SKETCH_LEVEL_MAX || n > sketch_room(SKETCH_CELLS_MAX))
		return false;
	s->width_ms = width;
	s->slices = SKETCH_SLICES;
	s->slice = s->oldest = s->admit_slice = slice;
	s->level = s->admit = level;
	for (uint16_t i = 0; i < n; i++) {
		uint32_t hash = wire_u32(w);
		uint8_t age = wire_u8(w);

		if (!wire_ok(w) || age >= SKETCH_SLICES || !sketch_has_level(hash, level))
			return false;
		sketch_add(s, hash, (slice - age) * width);
	}
	if (width_now != width || slices != SKETCH_SLICES)
		sketch_rescale(s, width_now, slices);
	return true;
}
