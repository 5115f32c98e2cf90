/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/flow_pool.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

static size_t pool_bytes(const struct flow_pool *p)
{
	return ((size_t)p->max + 1) * p->size;
}

void flow_pool_init(struct flow_pool *p, uint8_t *memory, uint32_t max, size_t size)
{
	memset(p, 0, sizeof(*p));
	p->memory = memory;
	p->size = size;
	p->max = max;
	p->fresh = 1;
}

int flow_pool_map(struct flow_pool *p, uint32_t max, size_t size)
{
	flow_pool_init(p, NULL, max, (size + 63) & ~(size_t)63);
	p->memory =
		mmap(NULL, pool_bytes(p), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p->memory == MAP_FAILED) {
		p->memory = NULL;
		return -ENOMEM;
	}
	return 0;
}

void flow_pool_unmap(struct flow_pool *p)
{
	if (p->memory)
		munmap(p->memory, pool_bytes(p));
	memset(p, 0, sizeof(*p));
}

uint32_t flow_pool_take(struct flow_pool *p)
{
	uint32_t index = p->free;

	if (index)
		memcpy(&p->free, flow_pool_at(p, index), sizeof(p->free));
	else if (p->fresh <= p->max)
		index = p->fresh++;
	if (index)
		p->used++;
	return index;
}

void flow_pool_give(struct flow_pool *p, uint32_t index)
{
	memcpy(flow_pool_at(p, index), &p->free, sizeof(p->free));
	p->free = index;
	p->used--;
}
