/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "state/lru.h"

static unsigned dropped;

static void count_drop(void *value)
{
	(void)value;
	dropped++;
}

static void test_lru(void **state)
{
	struct lru l;
	uint64_t *v;
	bool fresh;

	(void)state;
	dropped = 0;
	assert_int_equal(lru_init(&l, 100, sizeof(*v), count_drop), 0);
	for (uint64_t i = 0; i < 1000; i++) {
		v = lru_get(&l, (struct lru_key){i, i % 7}, &fresh); /* long chains */
		assert_true(fresh);
		assert_int_equal(*v, 0);
		*v = i;
		v = lru_find(&l, (struct lru_key){0, 0}); /* in use: it stays */
		assert_non_null(v);
		assert_int_equal(*v, 0);
	}
	assert_int_equal(l.n, 100);
	assert_int_equal(l.evicted, 900);
	assert_int_equal(dropped, 900);
	for (uint64_t i = 901; i < 1000; i++) {
		v = lru_find(&l, (struct lru_key){i, i % 7});
		assert_non_null(v);
		assert_int_equal(*v, i);
	}
	assert_null(lru_find(&l, (struct lru_key){900, 900 % 7}));
	lru_deinit(&l);
	assert_int_equal(dropped, 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_lru)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
