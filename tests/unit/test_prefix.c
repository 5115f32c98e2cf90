/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/prefix.h"

static struct prefix_item item(const char *text, uint32_t set)
{
	struct prefix_item i = {.set = set};

	assert_int_equal(addr_prefix_parse(text, &i.prefix), 0);
	return i;
}

static bool in(const struct prefix_map *m, const char *text, uint32_t set)
{
	uint8_t ip[16];
	uint32_t class;

	assert_int_equal(addr_parse(text, ip), 0);
	class = prefix_map_class(m, ip);
	assert_true(class < m->n_classes);
	return prefix_map_has(m, class, set);
}

static void test_nested(void **state)
{
	struct prefix_item items[] = {
		item("10.0.0.0/8", 0),      item("10.1.0.0/16", 1),
		item("10.1.2.3", 2),        item("10.1.2.3", 0), /* twice in one set */
		item("2001:db8::/32", 0),   item("2001:db8:1::/48", 1),
		item("255.255.255.255", 3), item("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 3),
		item("0.0.0.0", 3),         item("::", 3),
	};
	struct prefix_map m;

	(void)state;
	assert_int_equal(prefix_map_init(&m, items, sizeof(items) / sizeof(items[0]), 70), 0);
	assert_true(in(&m, "10.0.0.0", 0));
	assert_true(in(&m, "10.255.255.255", 0));
	assert_false(in(&m, "9.255.255.255", 0));
	assert_false(in(&m, "11.0.0.0", 0));
	assert_true(in(&m, "10.1.2.3", 0));
	assert_true(in(&m, "10.1.2.3", 1));
	assert_true(in(&m, "10.1.2.3", 2));
	assert_true(in(&m, "10.1.2.4", 0));
	assert_false(in(&m, "10.1.2.4", 2));
	assert_true(in(&m, "2001:db8:1:ffff::", 1));
	assert_true(in(&m, "2001:db8:2::", 0));
	assert_false(in(&m, "2001:db8:2::", 1));
	assert_false(in(&m, "2001:db9::", 0));
	assert_true(in(&m, "255.255.255.255", 3));
	assert_false(in(&m, "255.255.255.254", 3));
	assert_true(in(&m, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 3));
	assert_true(in(&m, "0.0.0.0", 3));
	assert_true(in(&m, "::", 3));
	assert_false(in(&m, "::1", 3));
	prefix_map_deinit(&m);
}

static void test_all_and_nothing(void **state)
{
	struct prefix_item items[] = {item("::/0", 0), item("0.0.0.0/0", 1)};
	struct prefix_map m;

	(void)state;
	assert_int_equal(prefix_map_init(&m, NULL, 0, 0), 0);
	assert_int_equal(m.n_classes, 1);
	assert_false(in(&m, "192.0.2.1", 0));
	assert_false(in(&m, "::1", 0));
	prefix_map_deinit(&m);
	assert_int_equal(prefix_map_init(&m, items, 2, 2), 0);
	assert_true(in(&m, "192.0.2.1", 0)); /* ::ffff:192.0.2.1 is in ::/0 */
	assert_true(in(&m, "192.0.2.1", 1));
	assert_true(in(&m, "2001:db8::", 0));
	assert_false(in(&m, "2001:db8::", 1));
	assert_false(in(&m, "::fffe:192.0.2.1", 1));
	assert_false(in(&m, "::1:0:0:1", 1)); /* just behind IPv4 */
	prefix_map_deinit(&m);
}

/* Against asking every prefix. */
static void test_random(void **state)
{
	enum { N = 2000, SETS = 130 };
	struct prefix_item *items = calloc(N, sizeof(*items));
	struct prefix_map m;

	(void)state;
	assert_non_null(items);
	srand(7);
	for (int i = 0; i < N; i++) {
		uint8_t *ip = items[i].prefix.ip;
		unsigned bits = i % 2 ? 96 + (unsigned)rand() % 33 : (unsigned)rand() % 129;

		if (i % 2)
			ip[10] = ip[11] = 0xff;
		else
			ip[0] = 0x20;
		for (int j = i % 2 ? 12 : 1; j < 16; j++)
			ip[j] = (uint8_t)(rand() % 4 * 64);
		for (unsigned j = bits; j < 128; j++)
			ip[j / 8] &= (uint8_t) ~(0x80 >> j % 8);
		items[i].prefix.bits = (uint8_t)bits;
		items[i].set = (uint32_t)rand() % SETS;
	}
	assert_int_equal(prefix_map_init(&m, items, N, SETS), 0);
	for (int k = 0; k < 20000; k++) {
		uint64_t expected[3] = {0}, found[3] = {0};
		uint8_t ip[16];
		uint32_t class;

		memcpy(ip, items[rand() % N].prefix.ip, 16);
		ip[rand() % 16] ^= (uint8_t)(1 << rand() % 8);
		for (int i = 0; i < N; i++)
			if (addr_prefix_has(&items[i].prefix, ip))
				expected[items[i].set / 64] |= UINT64_C(1) << items[i].set % 64;
		class = prefix_map_class(&m, ip);
		for (uint32_t set = 0; set < SETS; set++)
			if (prefix_map_has(&m, class, set))
				found[set / 64] |= UINT64_C(1) << set % 64;
		assert_memory_equal(expected, found, sizeof(expected));
	}
	prefix_map_deinit(&m);
	free(items);
}

/* As many IPv4 ranges as have an index, against the same map without it. */
static void test_many(void **state)
{
	enum { N = 4000 };
	struct prefix_item *items = calloc(N, sizeof(*items));
	struct prefix_map m;

	(void)state;
	assert_non_null(items);
	srand(9);
	for (int i = 0; i < N; i++) {
		unsigned bits = 8 + (unsigned)rand() % 25;
		uint32_t a = ((uint32_t)rand() << 9 ^ (uint32_t)rand()) & ~(uint32_t)((UINT64_C(1) << (32 - bits)) - 1);
		const uint8_t four[4] = {(uint8_t)(a >> 24), (uint8_t)(a >> 16), (uint8_t)(a >> 8), (uint8_t)a};

		addr_from4(items[i].prefix.ip, four);
		items[i].prefix.bits = (uint8_t)(96 + bits);
		items[i].set = (uint32_t)i % 3;
	}
	assert_int_equal(prefix_map_init(&m, items, N, 3), 0);
	assert_non_null(m.first4);
	for (int k = 0; k < 200000; k++) {
		uint32_t *index = m.first4, found;
		uint8_t ip[16];

		memcpy(ip, items[rand() % N].prefix.ip, 16);
		if (k % 2)
			ip[12 + rand() % 4] ^= (uint8_t)(1 << rand() % 8);
		if (k % 5 == 0)
			memset(ip + 14, k % 10 ? 0xff : 0, 2); /* the ends of a /16 */
		found = prefix_map_class(&m, ip);
		m.first4 = NULL;
		assert_int_equal(found, prefix_map_class(&m, ip));
		m.first4 = index;
	}
	prefix_map_deinit(&m);
	free(items);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nested),
		cmocka_unit_test(test_all_and_nothing),
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
