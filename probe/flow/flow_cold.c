/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/flow_cold.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

static size_t cold_bytes(const struct flow_cold_pool *p)
{
	return ((size_t)p->max + 1) * p->size;
}

int flow_cold_init(struct flow_cold_pool *p, uint32_t max, size_t state_size)
{
	memset(p, 0, sizeof(*p));
	p->size = (state_size + 63) & ~(size_t)63;
	p->max = max;
	p->fresh = 1;
	p->memory =
		mmap(NULL, cold_bytes(p), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p->memory == MAP_FAILED) {
		p->memory = NULL;
		return -ENOMEM;
	}
	return 0;
}

void flow_cold_deinit(struct flow_cold_pool *p)
{
	if (p->memory)
		munmap(p->memory, cold_bytes(p));
	memset(p, 0, sizeof(*p));
}

uint32_t flow_cold_take(struct flow_cold_pool *p)
{
	uint32_t index = p->free;

	if (index)
		memcpy(&p->free, flow_cold_at(p, index), sizeof(p->free));
	else if (p->fresh <= p->max)
		index = p->fresh++;
	if (index)
		p->used++;
	return index;
}

void flow_cold_give(struct flow_cold_pool *p, uint32_t index)
{
	memcpy(flow_cold_at(p, index), &p->free, sizeof(p->free));
	p->free = index;
	p->used--;
}
