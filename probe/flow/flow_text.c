/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/flow_text.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#define TEXT_UNIT 32u /* handles count in these; unit 0 is never given out */

/*
 * A block: class 1 octet, number of strings 1, then per string kind 1, length 1, octets. A free block holds the
 * handle of the next free one.
 */

void flow_text_init(struct flow_text_pool *p, uint8_t *memory, size_t max)
{
	memset(p, 0, sizeof(*p));
	p->memory = memory;
	p->max = max;
	p->used = TEXT_UNIT;
}

static uint8_t *text_block(const struct flow_text_pool *p, uint32_t handle)
{
	return p->memory + (size_t)handle * TEXT_UNIT;
}

static uint32_t text_take(struct flow_text_pool *p, unsigned class)
{
	uint32_t handle = p->free[class];
	size_t size = (size_t)TEXT_UNIT << class;

	if (handle) {
		memcpy(&p->free[class], text_block(p, handle), sizeof(handle));
		return handle;
	}
	if (p->max - p->used < size)
		return 0;
	handle = (uint32_t)(p->used / TEXT_UNIT);
	p->used += size;
	return handle;
}

bool flow_text_none(const struct dpi_texts *t)
{
	for (int i = 0; i < DPI_TEXTS; i++)
		if (t->kind[i].len)
			return false;
	return true;
}

uint32_t flow_text_put(struct flow_text_pool *p, const struct dpi_texts *t)
{
	size_t lens[DPI_TEXTS];
	size_t need = 2;
	unsigned class = 0;
	uint32_t handle;
	uint8_t *b;

	for (int i = 0; i < DPI_TEXTS; i++) {
		lens[i] = t->kind[i].len < dpi_text_max[i] ? t->kind[i].len : dpi_text_max[i];
		need += lens[i] ? lens[i] + 2 : 0;
	}
	if (need == 2)
		return 0;
	while (((size_t)TEXT_UNIT << class) < need)
		class ++;
	handle = text_take(p, class);
	if (!handle)
		return 0;
	b = text_block(p, handle);
	b[0] = (uint8_t) class;
	b[1] = 0;
	need = 2;
	for (int i = 0; i < DPI_TEXTS; i++) {
		if (!lens[i])
			continue;
		b[1]++;
		b[need] = (uint8_t)i;
		b[need + 1] = (uint8_t)lens[i];
		memcpy(b + need + 2, t->kind[i].s, lens[i]);
		need += lens[i] + 2;
	}
	return handle;
}

void flow_text_get(const struct flow_text_pool *p, uint32_t handle, struct dpi_texts *t)
{
	const uint8_t *b = handle ? text_block(p, handle) : NULL;
	size_t at = 2;

	memset(t, 0, sizeof(*t));
	for (int n = b ? b[1] : 0; n > 0; n--) {
		t->kind[b[at]].s = (const char *)b + at + 2;
		t->kind[b[at]].len = b[at + 1];
		at += 2 + (size_t)b[at + 1];
	}
}

void flow_text_prefetch(const struct flow_text_pool *p, uint32_t handle)
{
	__builtin_prefetch(text_block(p, handle));
}

void flow_text_drop(struct flow_text_pool *p, uint32_t handle)
{
	unsigned class;

	if (!handle)
		return;
	class = text_block(p, handle)[0];
	memcpy(text_block(p, handle), &p->free[class], sizeof(handle));
	p->free[class] = handle;
}

int flow_text_claim_begin(const struct flow_text_pool *p, struct flow_text_claims *c)
{
	c->units = p->max / TEXT_UNIT;
	c->size = (c->units / 64 + 1) * sizeof(*c->bits);
	c->bits = mmap(NULL, c->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	return c->bits == MAP_FAILED ? -ENOMEM : 0;
}

static bool text_claimed(const struct flow_text_claims *c, size_t unit)
{
	return c->bits[unit / 64] >> unit % 64 & 1;
}

/* Whether the strings of a block end within it. */
static bool text_is_whole(const uint8_t *b, size_t size)
{
	size_t at = 2;

	for (unsigned n = b[1]; n > 0; n--) {
		if (at + 2 > size || b[at] >= DPI_TEXTS || b[at + 1] > dpi_text_max[b[at]])
			return false;
		at += 2 + (size_t)b[at + 1];
		if (at > size)
			return false;
	}
	return true;
}

bool flow_text_claim(struct flow_text_pool *p, struct flow_text_claims *c, uint32_t handle)
{
	const uint8_t *b;
	size_t n;

	if (handle == 0 || handle >= c->units)
		return false;
	b = text_block(p, handle);
	if (b[0] >= FLOW_TEXT_CLASSES)
		return false;
	n = (size_t)1 << b[0];
	if (c->units - handle < n || !text_is_whole(b, n * TEXT_UNIT))
		return false;
	for (size_t i = handle; i < handle + n; i++)
		if (text_claimed(c, i))
			return false;
	for (size_t i = handle; i < handle + n; i++)
		c->bits[i / 64] |= (uint64_t)1 << i % 64;
	if (p->used < (handle + n) * TEXT_UNIT)
		p->used = (handle + n) * TEXT_UNIT;
	return true;
}

/* Units that nobody has claimed, as blocks that are as large as can be. */
static void text_free_units(struct flow_text_pool *p, size_t first, size_t n)
{
	while (n > 0) {
		unsigned class = FLOW_TEXT_CLASSES - 1;

		while ((size_t)1 << class > n)
			class --;
		text_block(p, (uint32_t)first)[0] = (uint8_t) class;
		flow_text_drop(p, (uint32_t)first);
		first += (size_t)1 << class;
		n -= (size_t)1 << class;
	}
}

void flow_text_claim_end(struct flow_text_pool *p, struct flow_text_claims *c)
{
	size_t end = p->used / TEXT_UNIT, from = 1;

	for (size_t i = 1; i <= end; i++) {
		if (i < end && !text_claimed(c, i))
			continue;
		text_free_units(p, from, i - from);
		from = i + 1;
	}
	munmap(c->bits, c->size);
	c->bits = NULL;
}

/* The sum of dpi_text_max, which a test compares. */
_Static_assert(((size_t)TEXT_UNIT << (FLOW_TEXT_CLASSES - 1)) >= 2 + DPI_TEXTS * 2 + FLOW_TEXT_MOST,
	       "the largest block holds every string of a flow");
