/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which sets of prefixes an address is in. Nested and overlapping prefixes of all sets are flattened once into disjoint ranges; each
 * range has a class, the list of sets its addresses are in. A lookup is a binary search, whatever the number of sets.
 * Never changed after it is made.
 */
#ifndef L7_BASE_PREFIX_H
#define L7_BASE_PREFIX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"

struct prefix_item {
	struct addr_prefix prefix;
	uint32_t set; /* 0 to n_sets - 1 */
};

struct prefix_address {
	uint64_t high;
	uint64_t low;
};

struct prefix_map {
	uint32_t n_sets;
	uint32_t n_classes; /* class 0: in no set */
	size_t words;       /* 64-bit words of a class */
	uint64_t *classes;  /* n_classes * words; bit per set */
	size_t n4, n6;      /* ranges; each goes to the next one's start */
	uint32_t *start4;
	uint32_t *class4;
	uint32_t *
		first4; /* of many ranges: the one that holds the first address of each /16, 65537 of them; else NULL */
	struct prefix_address *start6; /* all but IPv4 */
	uint32_t *class6;
};

/* Returns 0 or -ENOMEM. prefix_map_deinit() after success. */
int prefix_map_init(struct prefix_map *m, const struct prefix_item *items, size_t n, uint32_t n_sets);
void prefix_map_deinit(struct prefix_map *m);

/* Class of an address, below n_classes. */
uint32_t prefix_map_class(const struct prefix_map *m, const uint8_t ip[16]);

static inline bool prefix_map_has(const struct prefix_map *m, uint32_t class, uint32_t set)
{
	return m->classes[class * m->words + set / 64] >> (set % 64) & 1;
}

#endif
