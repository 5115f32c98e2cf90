/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/flow_table.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define TABLE_BUCKETS (1u << 16) /* to begin with */
#define TABLE_SPARSE 4           /* buckets for each flow, as long as there may be more */

static size_t table_buckets_size(const struct flow_table *t)
{
	return ((size_t)t->bucket_most + 1) * sizeof(*t->buckets);
}

int flow_table_init(struct flow_table *t, const struct flow_store *store, uint64_t seed)
{
	uint32_t buckets = TABLE_BUCKETS;
	void *memory;

	memset(t, 0, sizeof(*t));
	while (buckets < store->max)
		buckets *= 2;
	t->max = store->max;
	t->tunnel_mask = UINT32_MAX;
	t->seed = seed;
	t->bucket_mask = TABLE_BUCKETS - 1;
	t->bucket_most = buckets - 1;
	t->flows = store->flows;
	t->infos = store->infos;
	t->fresh = &store->head->fresh;
	if (*t->fresh == 0)
		*t->fresh = 1;
	memory = mmap(NULL, table_buckets_size(t), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
		      -1, 0);
	if (memory == MAP_FAILED)
		return -ENOMEM;
	(void)madvise(memory, table_buckets_size(t), MADV_HUGEPAGE);
	t->buckets = memory;
	flow_wheel_init(&t->wheel, t->flows);
	return 0;
}

void flow_table_deinit(struct flow_table *t)
{
	if (t->buckets)
		munmap(t->buckets, table_buckets_size(t));
	memset(t, 0, sizeof(*t));
}

uint64_t flow_table_hash(const struct flow_table *t, const struct flow_key *k, uint64_t in)
{
	return XXH3_64bits_withSeed(k, sizeof(*k), t->seed ^ in);
}

static uint32_t *table_bucket(const struct flow_table *t, uint32_t hash)
{
	return &t->buckets[hash & t->bucket_mask];
}

void flow_table_prefetch(const struct flow_table *t, uint64_t hash)
{
	__builtin_prefetch(table_bucket(t, (uint32_t)hash), 1);
}

void flow_table_prefetch_flow(const struct flow_table *t, uint64_t hash)
{
	const struct flow *f = &t->flows[*table_bucket(t, (uint32_t)hash)];

	__builtin_prefetch(f, 1);
	__builtin_prefetch(&f->packets, 1);
}

static bool table_same_key(const struct flow_key *a, const struct flow_key *b)
{
	uint64_t x[5], y[5];

	memcpy(x, a, sizeof(x));
	memcpy(y, b, sizeof(y));
	return ((x[0] ^ y[0]) | (x[1] ^ y[1]) | (x[2] ^ y[2]) | (x[3] ^ y[3]) | (x[4] ^ y[4])) == 0;
}

uint32_t flow_table_first(const struct flow_table *t, uint64_t hash)
{
	return *table_bucket(t, (uint32_t)hash);
}

uint32_t flow_table_find(const struct flow_table *t, const struct flow_key *k, uint32_t tunnel, uint64_t hash)
{
	uint32_t index = *table_bucket(t, (uint32_t)hash);

	while (index) {
		const struct flow *f = &t->flows[index];

		__builtin_prefetch(&f->packets, 1); /* the other line is wanted next */
		if (f->hash == (uint32_t)hash && !((f->tunnel ^ tunnel) & t->tunnel_mask) && table_same_key(&f->key, k))
			break;
		index = f->next;
	}
	return index;
}

void flow_table_expect(struct flow_table *t, uint32_t flows)
{
	while (t->bucket_mask < t->bucket_most && flows > t->bucket_mask / TABLE_SPARSE)
		t->bucket_mask = t->bucket_mask * 2 + 1;
}

/* More flows than the buckets are for: four times as many. Flows lie in a row, so this takes little each. */
static void table_grow(struct flow_table *t)
{
	memset(t->buckets, 0, ((size_t)t->bucket_mask + 1) * sizeof(*t->buckets));
	flow_table_expect(t, t->active * 2);
	for (uint32_t i = flow_table_next(t, 0); i; i = flow_table_next(t, i)) {
		uint32_t *bucket = table_bucket(t, t->flows[i].hash);

		t->flows[i].next = *bucket;
		*bucket = i;
	}
}

uint32_t flow_table_add(struct flow_table *t, const struct flow_key *k, uint64_t hash)
{
	uint32_t index = t->free;
	struct flow *f;

	if (t->active > t->bucket_mask / TABLE_SPARSE && t->bucket_mask < t->bucket_most)
		table_grow(t);
	if (index)
		t->free = t->flows[index].next;
	else if (*t->fresh <= t->max)
		index = (*t->fresh)++;
	else
		return 0;
	f = &t->flows[index];
	memset(f, 0, sizeof(*f));
	memset(&t->infos[index], 0, sizeof(t->infos[index]));
	atomic_signal_fence(memory_order_seq_cst); /* not FLOW_READY from before with a new key */
	f->key = *k;
	f->hash = (uint32_t)hash;
	flow_table_take(t, index);
	return index;
}

void flow_table_take(struct flow_table *t, uint32_t index)
{
	uint32_t *bucket = table_bucket(t, t->flows[index].hash);

	t->flows[index].next = *bucket;
	*bucket = index;
	t->active++;
}

void flow_table_give(struct flow_table *t, uint32_t index)
{
	struct flow *f = &t->flows[index];

	f->key.ip_version = 0; /* marks the place as free */
	f->next = t->free;
	t->free = index;
}

void flow_table_remove(struct flow_table *t, uint32_t index)
{
	struct flow *f = &t->flows[index];
	uint32_t *link = table_bucket(t, f->hash);

	flow_wheel_remove(&t->wheel, index);
	while (*link != index)
		link = &t->flows[*link].next;
	*link = f->next;
	flow_table_give(t, index);
	t->active--;
}

uint32_t flow_table_victim(struct flow_table *t)
{
	uint32_t index;

	/* A flow that was answered since it was put in the row moves over now: once in its life. */
	while ((index = flow_wheel_nearest(&t->wheel, WHEEL_ROW_EVICT))) {
		if (!(t->flows[index].flags & FLOW_KEEP))
			return index;
		flow_wheel_move(&t->wheel, index, WHEEL_ROW_KEEP);
	}
	return flow_wheel_nearest(&t->wheel, WHEEL_ROW_KEEP);
}

uint32_t flow_table_next(const struct flow_table *t, uint32_t index)
{
	for (index++; index < *t->fresh; index++)
		if (t->flows[index].key.ip_version)
			return index;
	return 0;
}

uint64_t flow_table_id(const struct flow_key *k, uint64_t first_ms, uint64_t domain)
{
	struct {
		struct flow_key key;
		uint64_t first_ms;
	} named = {*k, first_ms};

	return XXH3_64bits_withSeed(&named, sizeof(named), domain);
}
