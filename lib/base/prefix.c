/* SPDX-License-Identifier: Apache-2.0 */
#include "base/prefix.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PREFIX_MANY 1024u /* ranges from which an index is worth its 256 KiB */
#define PREFIX_HALVES 65536u

/* Where a set begins or ends. */
struct prefix_edge {
	struct prefix_address at;
	uint32_t set;
	int32_t step; /* 1 or -1 */
};

/* The sweep over all edges in order. */
struct prefix_sweep {
	struct prefix_map *m;
	uint32_t *depth;  /* per set: prefixes of it that hold the present address */
	uint64_t *bits;   /* sets with a depth */
	size_t cap;       /* classes there is room for */
	uint32_t *lookup; /* open hash table of classes, index + 1 */
	size_t lookup_mask;
};

static struct prefix_address prefix_of(const uint8_t ip[16])
{
	struct prefix_address a = {0, 0};

	for (int i = 0; i < 8; i++) {
		a.high = a.high << 8 | ip[i];
		a.low = a.low << 8 | ip[i + 8];
	}
	return a;
}

static bool prefix_less(struct prefix_address a, struct prefix_address b)
{
	return a.high < b.high || (a.high == b.high && a.low < b.low);
}

/* First address behind a prefix. Returns false if it reaches to the last address of all. */
static bool prefix_behind(const struct addr_prefix *p, struct prefix_address *a)
{
	*a = prefix_of(p->ip);
	if (p->bits > 64) {
		uint64_t size = p->bits == 128 ? 1 : UINT64_C(1) << (128 - p->bits);

		a->low += size;
		if (a->low != 0)
			return true;
		return ++a->high != 0;
	}
	if (p->bits == 0)
		return false;
	a->low = 0;
	a->high += p->bits == 64 ? 1 : UINT64_C(1) << (64 - p->bits);
	return a->high != 0;
}

static int prefix_compare_edges(const void *a, const void *b)
{
	const struct prefix_edge *x = a, *y = b;

	if (prefix_less(x->at, y->at))
		return -1;
	return prefix_less(y->at, x->at);
}

static uint64_t prefix_hash(const uint64_t *bits, size_t words)
{
	uint64_t h = 0;

	for (size_t i = 0; i < words; i++)
		h = (h ^ bits[i]) * UINT64_C(0x9e3779b97f4a7c15) ^ h >> 29;
	return h ^ h >> 32;
}

static bool prefix_grow(struct prefix_sweep *s)
{
	struct prefix_map *m = s->m;
	size_t cap = s->cap ? s->cap * 2 : 16;
	uint64_t *classes = realloc(m->classes, cap * m->words * sizeof(*classes));
	uint32_t *lookup = calloc(cap * 2, sizeof(*lookup));

	if (classes)
		m->classes = classes;
	if (!classes || !lookup) {
		free(lookup);
		return false;
	}
	free(s->lookup);
	s->lookup = lookup;
	s->lookup_mask = cap * 2 - 1;
	s->cap = cap;
	for (uint32_t c = 0; c < m->n_classes; c++) {
		size_t at = prefix_hash(m->classes + c * m->words, m->words) & s->lookup_mask;

		while (lookup[at])
			at = (at + 1) & s->lookup_mask;
		lookup[at] = c + 1;
	}
	return true;
}

/* The class of the sweep's present sets, made if it is new. */
static bool prefix_class(struct prefix_sweep *s, uint32_t *class)
{
	struct prefix_map *m = s->m;
	size_t size = m->words * sizeof(uint64_t), at;

	if ((!s->lookup || m->n_classes == s->cap) && !prefix_grow(s))
		return false;
	at = prefix_hash(s->bits, m->words) & s->lookup_mask;
	for (; s->lookup[at]; at = (at + 1) & s->lookup_mask) {
		*class = s->lookup[at] - 1;
		if (memcmp(m->classes + *class * m->words, s->bits, size) == 0)
			return true;
	}
	*class = m->n_classes++;
	memcpy(m->classes + *class * m->words, s->bits, size);
	s->lookup[at] = *class + 1;
	return true;
}

static void prefix_step(struct prefix_sweep *s, const struct prefix_edge *e)
{
	s->depth[e->set] += (uint32_t)e->step;
	if (s->depth[e->set])
		s->bits[e->set / 64] |= UINT64_C(1) << (e->set % 64);
	else
		s->bits[e->set / 64] &= ~(UINT64_C(1) << (e->set % 64));
}

static const struct prefix_address prefix_first4 = {0, UINT64_C(0xffff00000000)};
static const struct prefix_address prefix_last4 = {0, UINT64_C(0xffffffffffff)};

/* Appends a range that begins at `at`; one that is as the range before it is none. */
static void prefix_range(struct prefix_map *m, struct prefix_address at, uint32_t class)
{
	if (!prefix_less(at, prefix_first4) && !prefix_less(prefix_last4, at)) {
		if (m->n4 && m->class4[m->n4 - 1] == class)
			return;
		m->start4[m->n4] = (uint32_t)at.low;
		m->class4[m->n4++] = class;
		return;
	}
	if (m->n6 && m->class6[m->n6 - 1] == class)
		return;
	m->start6[m->n6] = at;
	m->class6[m->n6++] = class;
}

/*
 * IPv4 has a table of its own. Both begin with the range that holds their first address, so edges are added there:
 * a class at the first IPv4 address and at the first one behind IPv4.
 */
static bool prefix_run(struct prefix_sweep *s, const struct prefix_edge *edges, size_t n)
{
	const struct prefix_address behind4 = {0, prefix_last4.low + 1};
	struct prefix_address at = {0, 0};
	uint32_t class = 0;
	bool done4 = false, done = false;
	size_t i = 0;

	if (!prefix_class(s, &class))
		return false;
	for (;;) {
		for (; i < n && !prefix_less(at, edges[i].at); i++)
			prefix_step(s, &edges[i]);
		if (!prefix_class(s, &class))
			return false;
		prefix_range(s->m, at, class);
		if (i == n && done)
			return true;
		done4 |= !prefix_less(at, prefix_first4);
		done |= !prefix_less(at, behind4);
		if (i < n)
			at = edges[i].at;
		if (!done4 && (i == n || prefix_less(prefix_first4, at)))
			at = prefix_first4;
		else if (done4 && !done && (i == n || prefix_less(behind4, at)))
			at = behind4;
		else if (i == n)
			return true;
	}
}

static size_t prefix_edges(struct prefix_edge *edges, const struct prefix_item *items, size_t n)
{
	size_t k = 0;

	for (size_t i = 0; i < n; i++) {
		struct prefix_address end;

		edges[k++] = (struct prefix_edge){prefix_of(items[i].prefix.ip), items[i].set, 1};
		if (prefix_behind(&items[i].prefix, &end))
			edges[k++] = (struct prefix_edge){end, items[i].set, -1};
	}
	if (k)
		qsort(edges, k, sizeof(*edges), prefix_compare_edges);
	return k;
}

/* Where to begin, by the first half of an address: a lookup among many ranges waits for memory at every step. */
static bool prefix_index4(struct prefix_map *m)
{
	size_t at = 0;

	if (m->n4 < PREFIX_MANY)
		return true;
	m->first4 = malloc((PREFIX_HALVES + 1) * sizeof(*m->first4));
	if (!m->first4)
		return false;
	for (uint32_t half = 0; half < PREFIX_HALVES; half++) {
		while (at + 1 < m->n4 && m->start4[at + 1] <= half << 16)
			at++;
		m->first4[half] = (uint32_t)at;
	}
	m->first4[PREFIX_HALVES] = (uint32_t)m->n4 - 1;
	return true;
}

int prefix_map_init(struct prefix_map *m, const struct prefix_item *items, size_t n, uint32_t n_sets)
{
	size_t room = 2 * n + 4;
	struct prefix_edge *edges = malloc(room * sizeof(*edges));
	struct prefix_sweep s = {.m = m};
	bool ok;

	*m = (struct prefix_map){.n_sets = n_sets, .words = (n_sets + 63) / 64 ? (n_sets + 63) / 64 : 1};
	s.depth = calloc(n_sets + 1, sizeof(*s.depth));
	s.bits = calloc(m->words, sizeof(*s.bits));
	m->start4 = malloc(room * sizeof(*m->start4));
	m->class4 = malloc(room * sizeof(*m->class4));
	m->start6 = malloc(room * sizeof(*m->start6));
	m->class6 = malloc(room * sizeof(*m->class6));
	ok = edges && s.depth && s.bits && m->start4 && m->class4 && m->start6 && m->class6;
	ok = ok && prefix_run(&s, edges, prefix_edges(edges, items, n)) && prefix_index4(m);
	free(edges);
	free(s.depth);
	free(s.bits);
	free(s.lookup);
	if (ok)
		return 0;
	prefix_map_deinit(m);
	return -ENOMEM;
}

void prefix_map_deinit(struct prefix_map *m)
{
	free(m->classes);
	free(m->start4);
	free(m->class4);
	free(m->first4);
	free(m->start6);
	free(m->class6);
	*m = (struct prefix_map){0};
}

static uint32_t prefix_class4(const struct prefix_map *m, uint32_t at)
{
	size_t low = 0, n = m->n4; /* range `low` begins at or before `at` */

	if (m->first4) {
		low = m->first4[at >> 16];
		n = m->first4[(at >> 16) + 1] - low + 1;
	}
	while (n > 1) {
		size_t half = n / 2;

		low += m->start4[low + half] <= at ? half : 0;
		n -= half;
	}
	return m->class4[low];
}

uint32_t prefix_map_class(const struct prefix_map *m, const uint8_t ip[16])
{
	struct prefix_address at = prefix_of(ip);
	size_t low = 0, n = m->n6;

	if (at.high == 0 && at.low >> 32 == 0xffff)
		return prefix_class4(m, (uint32_t)at.low);
	while (n > 1) {
		size_t half = n / 2;

		low += prefix_less(at, m->start6[low + half]) ? 0 : half;
		n -= half;
	}
	return m->class6[low];
}
