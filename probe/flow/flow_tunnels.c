/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/flow_tunnels.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "l7/record.h"

#define TUNNELS_BUCKETS 1024 /* at least; else one for so many tunnels: */
#define TUNNELS_FULL 4

int flow_tunnels_init(struct flow_tunnels *ts, uint8_t *memory, uint32_t max_flows, uint64_t seed, uint16_t vlan_mask)
{
	size_t places = (size_t)flow_tunnels_most(max_flows) + 1;
	uint32_t buckets = TUNNELS_BUCKETS;

	memset(ts, 0, sizeof(*ts));
	while (buckets < max_flows / TUNNELS_FULL)
		buckets *= 2;
	ts->size = (2 * places + buckets) * sizeof(uint32_t);
	ts->memory = mmap(NULL, ts->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (ts->memory == MAP_FAILED) {
		ts->memory = NULL;
		return -ENOMEM;
	}
	ts->flows = ts->memory;
	ts->next = ts->flows + places;
	ts->buckets = ts->next + places;
	ts->mask = buckets - 1;
	ts->seed = seed;
	ts->vlan_mask = vlan_mask;
	flow_pool_init(&ts->pool, memory, flow_tunnels_most(max_flows), sizeof(struct flow_tunnel));
	return 0;
}

void flow_tunnels_deinit(struct flow_tunnels *ts)
{
	if (ts->memory)
		munmap(ts->memory, ts->size);
	memset(ts, 0, sizeof(*ts));
}

static uint64_t tunnels_hash(const struct flow_tunnel *t, uint64_t seed)
{
	return XXH3_64bits_withSeed(t->in, t->n * sizeof(t->in[0]), seed);
}

void flow_tunnels_of(const struct flow_tunnels *ts, struct flow_tunnel *t, const struct packet *p, uint64_t hash)
{
	memset(t, 0, sizeof(*t));
	t->n = p->tunnels;
	for (uint32_t i = 0; i < t->n; i++) {
		t->in[i] = p->tunnel[i];
		t->in[i].vlan_id &= ts->vlan_mask;
	}
	t->hash = hash ? hash : tunnels_hash(t, ts->seed);
}

static bool tunnels_same(const struct flow_tunnel *a, const struct flow_tunnel *b)
{
	return a->hash == b->hash && a->n == b->n && memcmp(a->in, b->in, a->n * sizeof(a->in[0])) == 0;
}

static uint32_t *tunnels_bucket(const struct flow_tunnels *ts, uint64_t hash)
{
	return &ts->buckets[hash & ts->mask];
}

static void tunnels_link(struct flow_tunnels *ts, uint32_t index)
{
	uint32_t *bucket = tunnels_bucket(ts, flow_tunnels_at(ts, index)->hash);

	ts->next[index] = *bucket;
	*bucket = index;
}

uint32_t flow_tunnels_take(struct flow_tunnels *ts, const struct flow_tunnel *t)
{
	uint32_t index = *tunnels_bucket(ts, t->hash);

	while (index && !tunnels_same(flow_tunnels_at(ts, index), t))
		index = ts->next[index];
	if (!index) {
		index = flow_pool_take(&ts->pool);
		if (!index)
			return 0;
		memcpy(flow_pool_at(&ts->pool, index), t, sizeof(*t));
		tunnels_link(ts, index);
	}
	ts->flows[index]++;
	return index;
}

void flow_tunnels_hold(struct flow_tunnels *ts, uint32_t index)
{
	if (index)
		ts->flows[index]++;
}

void flow_tunnels_give(struct flow_tunnels *ts, uint32_t index)
{
	uint32_t *link;

	if (!index || --ts->flows[index])
		return;
	link = tunnels_bucket(ts, flow_tunnels_at(ts, index)->hash);
	while (*link != index)
		link = &ts->next[*link];
	*link = ts->next[index];
	flow_pool_give(&ts->pool, index);
}

uint64_t flow_tunnels_name(const struct flow_tunnels *ts, uint32_t index)
{
	return index ? tunnels_hash(flow_tunnels_at(ts, index), 0) : 0;
}

bool flow_tunnels_known(const struct packet_tunnel *in, uint32_t n)
{
	if (n > DECODE_TUNNELS_MAX)
		return false;
	for (uint32_t i = 0; i < n; i++)
		if (in[i].kind == L7_TUNNEL_NONE || in[i].kind >= L7_TUNNEL_COUNT)
			return false;
	return true;
}

bool flow_tunnels_whole(const struct flow_tunnels *ts, uint32_t index)
{
	const struct flow_tunnel *t;

	if (index == 0)
		return true;
	if (index > ts->pool.max)
		return false;
	t = flow_tunnels_at(ts, index);
	return t->n > 0 && flow_tunnels_known(t->in, t->n) && t->hash == tunnels_hash(t, ts->seed);
}

void flow_tunnels_claim(struct flow_tunnels *ts, uint32_t index)
{
	if (index == 0)
		return;
	if (!ts->flows[index]++)
		tunnels_link(ts, index);
	if (ts->pool.fresh <= index)
		ts->pool.fresh = index + 1;
}

void flow_tunnels_claimed(struct flow_tunnels *ts)
{
	ts->pool.used = ts->pool.fresh - 1;
	for (uint32_t index = ts->pool.fresh - 1; index > 0; index--)
		if (!ts->flows[index])
			flow_pool_give(&ts->pool, index);
}
