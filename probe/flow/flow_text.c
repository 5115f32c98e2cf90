/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/flow_text.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "l7/record.h"

#define TEXT_UNIT 32u /* handles count in these; unit 0 is never given out */

/*
 * A block: class 1 octet, number of strings 1, then per string kind 1, length 1, octets. A free block holds the
 * handle of the next free one.
 */

int flow_text_init(struct flow_text_pool *p, size_t max)
{
	memset(p, 0, sizeof(*p));
	p->max = max;
	p->memory = mmap(NULL, max, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p->memory == MAP_FAILED) {
		p->memory = NULL;
		return -ENOMEM;
	}
	p->used = TEXT_UNIT;
	return 0;
}

void flow_text_deinit(struct flow_text_pool *p)
{
	if (p->memory)
		munmap(p->memory, p->max);
	memset(p, 0, sizeof(*p));
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

uint32_t flow_text_put(struct flow_text_pool *p, const struct flow_texts *t)
{
	size_t lens[FLOW_TEXT_KINDS];
	size_t need = 2;
	unsigned class = 0;
	uint32_t handle;
	uint8_t *b;

	for (int i = 0; i < FLOW_TEXT_KINDS; i++) {
		lens[i] = t->kind[i].len < L7_STRING_MAX ? t->kind[i].len : L7_STRING_MAX;
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
	for (int i = 0; i < FLOW_TEXT_KINDS; i++) {
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

void flow_text_get(const struct flow_text_pool *p, uint32_t handle, struct flow_texts *t)
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

void flow_text_drop(struct flow_text_pool *p, uint32_t handle)
{
	unsigned class;

	if (!handle)
		return;
	class = text_block(p, handle)[0];
	memcpy(text_block(p, handle), &p->free[class], sizeof(handle));
	p->free[class] = handle;
}
_Static_assert(((size_t)TEXT_UNIT << (FLOW_TEXT_CLASSES - 1)) >= 2 + FLOW_TEXT_KINDS * (2 + L7_STRING_MAX),
	       "the largest block holds every string of a flow");
