/* SPDX-License-Identifier: Apache-2.0 */
/* Where flows are kept: table, wheel, and the pools of states and strings. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "flow/flow_pool.h"
#include "flow/flow_table.h"
#include "flow/flow_text.h"
#include "l7/record.h"

#define TICK ((uint64_t)1 << WHEEL_TICK_SHIFT)
#define TURN (TICK * WHEEL_SLOTS)
#define START UINT64_C(1700000000000)

static struct flow_store table_store;

/* A table on a store of its own. */
static void table_make(struct flow_table *t, uint32_t max, uint64_t seed)
{
	assert_int_equal(flow_store_map(&table_store, -1, max), 0);
	assert_int_equal(flow_table_init(t, &table_store, seed), 0);
}

static void table_end(struct flow_table *t)
{
	flow_table_deinit(t);
	flow_store_unmap(&table_store);
}

static struct flow_key key_of(uint32_t n)
{
	struct flow_key k;

	memset(&k, 0, sizeof(k));
	memcpy(k.ip[0], &n, sizeof(n));
	k.ip[1][0] = 9;
	k.port[0] = 1;
	k.protocol = 6;
	k.ip_version = 4;
	return k;
}

static uint32_t table_put(struct flow_table *t, uint32_t n)
{
	struct flow_key k = key_of(n);
	uint64_t hash = flow_table_hash(t, &k, 0);

	assert_int_equal(flow_table_find(t, &k, 0, hash), 0);
	return flow_table_add(t, &k, hash);
}

static uint32_t table_get(const struct flow_table *t, uint32_t n)
{
	struct flow_key k = key_of(n);

	return flow_table_find(t, &k, 0, flow_table_hash(t, &k, 0));
}

static void test_table_limits(void **state)
{
	struct flow_table t;

	(void)state;
	assert_int_equal(flow_store_map(&table_store, -1, 0), -EINVAL);
	assert_int_equal(flow_store_map(&table_store, -1, FLOW_STORE_MAX + 1), -EINVAL);
	table_make(&t, 1, 1);
	assert_int_not_equal(table_put(&t, 1), 0);
	assert_int_equal(table_put(&t, 2), 0);
	table_end(&t);
}

/* Thousands of flows added and removed in an order of their own: what is there is found, what is not is not. */
static void test_table_add_remove(void **state)
{
	enum { FLOWS = 5000 };
	struct flow_table t;
	static uint32_t at[FLOWS];
	static uint8_t seen[FLOWS + 1];
	uint32_t n = 0;

	(void)state;
	memset(seen, 0, sizeof(seen));
	table_make(&t, FLOWS, 7);
	for (uint32_t i = 0; i < FLOWS; i++) {
		at[i] = table_put(&t, i);
		assert_in_range(at[i], 1, FLOWS);
		assert_int_equal(seen[at[i]]++, 0);
		flow_wheel_insert(&t.wheel, at[i], WHEEL_ROW_EVICT, WHEEL_NO_TIME);
	}
	assert_int_equal(t.active, FLOWS);
	assert_int_equal(table_put(&t, FLOWS), 0);
	for (uint32_t i = 0; i < FLOWS; i += 3)
		flow_table_remove(&t, at[i]);
	for (uint32_t i = 0; i < FLOWS; i++)
		assert_int_equal(table_get(&t, i), i % 3 ? at[i] : 0);
	for (uint32_t i = flow_table_next(&t, 0); i; i = flow_table_next(&t, i))
		n++;
	assert_int_equal(n, t.active);
	t.flows[at[1]].packets[0] = 99;
	flow_table_remove(&t, at[1]);
	at[0] = table_put(&t, FLOWS + 1);
	assert_int_equal(at[0], at[1]); /* the place last freed is used first, and is clean */
	assert_int_equal(t.flows[at[0]].packets[0], 0);
	assert_int_equal(t.flows[at[0]].flags, 0);
	table_end(&t);
}

/* The buckets become more as flows do: those from before are found as those from after, and can go. */
static void test_table_grows(void **state)
{
	enum { MANY = 300000 };
	struct flow_table t;
	uint32_t first;

	(void)state;
	table_make(&t, MANY, 77);
	first = t.bucket_mask;
	for (uint32_t n = 1; n <= MANY; n++) {
		uint32_t index = table_put(&t, n);

		assert_int_equal(index, n);
		flow_wheel_insert(&t.wheel, index, WHEEL_ROW_EVICT, WHEEL_NO_TIME);
		if (n % 3 == 0)
			assert_int_equal(table_get(&t, n / 3), n / 3);
	}
	assert_true(first < t.bucket_mask / 4);
	assert_true(t.bucket_mask >= MANY);
	for (uint32_t n = 1; n <= MANY; n += 2)
		flow_table_remove(&t, table_get(&t, n));
	for (uint32_t n = 1; n <= MANY; n++)
		assert_int_equal(table_get(&t, n), n % 2 ? 0 : n);
	table_end(&t);
}

static void test_table_colliding_hashes(void **state)
{
	struct flow_table t;
	struct flow_key a = key_of(1), b = key_of(2), c = key_of(3);
	uint32_t ia, ib;

	(void)state;
	table_make(&t, 8, 1);
	ia = flow_table_add(&t, &a, 5);
	ib = flow_table_add(&t, &b, 5);
	flow_wheel_insert(&t.wheel, ia, 0, WHEEL_NO_TIME);
	flow_wheel_insert(&t.wheel, ib, 0, WHEEL_NO_TIME);
	assert_int_equal(flow_table_find(&t, &a, 0, 5), ia);
	assert_int_equal(flow_table_find(&t, &b, 0, 5), ib);
	assert_int_equal(flow_table_find(&t, &c, 0, 5), 0);
	flow_table_remove(&t, ia);
	assert_int_equal(flow_table_find(&t, &a, 0, 5), 0);
	assert_int_equal(flow_table_find(&t, &b, 0, 5), ib);
	table_end(&t);
}

static void test_table_id(void **state)
{
	struct flow_key a = key_of(1), b = key_of(2);

	(void)state;
	assert_true(flow_table_id(&a, START, 1) == flow_table_id(&a, START, 1));
	assert_true(flow_table_id(&a, START, 1) != flow_table_id(&b, START, 1));
	assert_true(flow_table_id(&a, START, 1) != flow_table_id(&a, START + 1, 1));
	assert_true(flow_table_id(&a, START, 1) != flow_table_id(&a, START, 2));
	/* Written down: an id names the flow on every machine and with every build. */
	assert_true(flow_table_id(&a, START, 1) == UINT64_C(0x91ddcda9ccd82454));
}

static void test_table_victim(void **state)
{
	struct flow_table t;
	uint32_t early, late, kept;

	(void)state;
	table_make(&t, 8, 1);
	assert_int_equal(flow_table_victim(&t), 0);
	flow_wheel_start(&t.wheel, START);
	kept = table_put(&t, 1);
	late = table_put(&t, 2);
	early = table_put(&t, 3);
	flow_wheel_insert(&t.wheel, kept, WHEEL_ROW_EVICT, START + 2 * TICK);
	flow_wheel_insert(&t.wheel, late, WHEEL_ROW_EVICT, START + 50 * TICK);
	flow_wheel_insert(&t.wheel, early, WHEEL_ROW_EVICT, START + 20 * TICK);
	t.flows[kept].flags |= FLOW_KEEP; /* since it was put in the row */
	assert_int_equal(flow_table_victim(&t), early);
	flow_table_remove(&t, early);
	assert_int_equal(flow_table_victim(&t), late);
	flow_table_remove(&t, late);
	assert_int_equal(flow_table_victim(&t), kept);
	flow_table_remove(&t, kept);
	assert_int_equal(flow_table_victim(&t), 0);
	table_end(&t);
}

/* A flow comes up at the first look after its time, not before; one look a tick. */
static void test_wheel_times(void **state)
{
	static const uint64_t waits[] = {0, 1, TICK - 1, TICK, 3 * TICK + 17, 100 * TICK, TURN - 2 * TICK};
	static struct flow flows[2];
	struct flow_wheel w;

	(void)state;
	for (size_t i = 0; i < sizeof(waits) / sizeof(waits[0]); i++) {
		uint64_t now = START, due = START + waits[i];

		flow_wheel_init(&w, flows);
		flow_wheel_start(&w, START);
		flow_wheel_insert(&w, 1, WHEEL_ROW_KEEP, due);
		while (now <= due) {
			assert_int_equal(flow_wheel_due(&w, now), 0);
			now += TICK;
		}
		assert_int_equal(flow_wheel_due(&w, now + TICK), 1);
		assert_int_equal(flow_wheel_due(&w, now + 2 * TURN), 0);
	}
}

/* A wait of several turns: it may come up early, and then is put in again; it is never late by more than two ticks. */
static void test_wheel_longer_than_a_turn(void **state)
{
	static struct flow flows[2];
	struct flow_wheel w;
	uint64_t due = START + 5 * TURN / 2, now = START;
	unsigned rounds = 0;

	(void)state;
	flow_wheel_init(&w, flows);
	flow_wheel_start(&w, START);
	flow_wheel_insert(&w, 1, WHEEL_ROW_EVICT, due);
	for (;; now += TICK) {
		if (flow_wheel_due(&w, now) == 0)
			continue;
		if (now > due)
			break;
		assert_int_equal(flow_wheel_nearest(&w, WHEEL_ROW_EVICT), 0);
		flow_wheel_insert(&w, 1, WHEEL_ROW_EVICT, due);
		rounds++;
	}
	assert_true(now <= due + 2 * TICK);
	assert_in_range(rounds, 2, 3);
}

static void test_wheel_long_silence(void **state)
{
	enum { FLOWS = 600 };
	static struct flow flows[FLOWS + 1];
	static const uint64_t leaps[] = {TURN + 3 * TICK, 1000 * TURN, UINT64_C(1) << 60};
	struct flow_wheel w;

	(void)state;
	for (size_t leap = 0; leap < sizeof(leaps) / sizeof(leaps[0]); leap++) {
		memset(flows, 0, sizeof(flows));
		flow_wheel_init(&w, flows);
		flow_wheel_start(&w, START);
		for (uint32_t i = 1; i <= FLOWS; i++)
			flow_wheel_insert(&w, i, i % 2, START + i * TURN / (FLOWS + 10));
		for (uint32_t n = 0; n < FLOWS; n++) {
			uint32_t index = flow_wheel_due(&w, START + leaps[leap]);

			assert_int_not_equal(index, 0);
			flow_wheel_remove(&w, index); /* it is out: no other goes with it */
		}
		assert_int_equal(flow_wheel_due(&w, START + leaps[leap]), 0);
		assert_int_equal(flow_wheel_nearest(&w, 0) + flow_wheel_nearest(&w, 1), 0);
	}
}

static void test_wheel_never(void **state)
{
	static struct flow flows[4];
	struct flow_wheel w;

	(void)state;
	flow_wheel_init(&w, flows);
	flow_wheel_start(&w, START);
	flow_wheel_insert(&w, 1, WHEEL_ROW_EVICT, WHEEL_NO_TIME);
	assert_int_equal(flow_wheel_due(&w, START + 100 * TURN), 0);
	assert_int_equal(flow_wheel_nearest(&w, WHEEL_ROW_EVICT), 1);
	flow_wheel_insert(&w, 2, WHEEL_ROW_EVICT, START + 101 * TURN);
	assert_int_equal(flow_wheel_nearest(&w, WHEEL_ROW_EVICT), 2);
	flow_wheel_move(&w, 1, WHEEL_ROW_KEEP);
	flow_wheel_remove(&w, 2);
	assert_int_equal(flow_wheel_nearest(&w, WHEEL_ROW_EVICT), 0);
	assert_int_equal(flow_wheel_nearest(&w, WHEEL_ROW_KEEP), 1);
}

static void test_cold_pool(void **state)
{
	struct flow_pool p;
	uint32_t a, b, c;

	(void)state;
	assert_int_equal(flow_pool_map(&p, 3, 100), 0);
	assert_int_equal(p.size, 128);
	a = flow_pool_take(&p);
	b = flow_pool_take(&p);
	c = flow_pool_take(&p);
	assert_true(a && b && c && a != b && b != c && a != c);
	memset(flow_pool_at(&p, a), 0xff, 100);
	memset(flow_pool_at(&p, b), 0xff, 100);
	memset(flow_pool_at(&p, c), 0xff, 100);
	assert_int_equal(flow_pool_take(&p), 0);
	assert_int_equal(p.used, 3);
	flow_pool_give(&p, a);
	flow_pool_give(&p, c);
	assert_int_equal(flow_pool_take(&p), c);
	assert_int_equal(flow_pool_take(&p), a);
	assert_int_equal(flow_pool_take(&p), 0);
	assert_int_equal(p.used, 3);
	flow_pool_unmap(&p);
}

static uint32_t text_put(struct flow_text_pool *p, size_t sni, size_t host, size_t query)
{
	static char many[1024];
	struct dpi_texts t;

	memset(&t, 0, sizeof(t));
	memset(many, 'x', sizeof(many));
	many[0] = 'S';
	many[1] = 'N';
	t.kind[DPI_SNI].s = many;
	t.kind[DPI_SNI].len = sni;
	t.kind[DPI_HTTP_HOST].s = many + 1;
	t.kind[DPI_HTTP_HOST].len = host;
	t.kind[DPI_DNS_QUERY].s = many + 2;
	t.kind[DPI_DNS_QUERY].len = query;
	return flow_text_put(p, &t);
}

/* Every kind, too long. */
static uint32_t text_put_all(struct flow_text_pool *p)
{
	static char many[DPI_TEXTS][300];
	struct dpi_texts t;

	for (int k = 0; k < DPI_TEXTS; k++) {
		memset(many[k], 'a' + k, sizeof(many[k]));
		t.kind[k].s = many[k];
		t.kind[k].len = sizeof(many[k]);
	}
	return flow_text_put(p, &t);
}

static void test_text_pool(void **state)
{
	struct flow_text_pool p;
	struct dpi_texts t;
	uint32_t a, b;
	size_t used, most = 0;

	(void)state;
	flow_text_init(&p, calloc(1, 8192), 8192);
	assert_int_equal(text_put(&p, 0, 0, 0), 0);
	flow_text_get(&p, 0, &t);
	for (int k = 0; k < DPI_TEXTS; k++)
		assert_int_equal(t.kind[k].len, 0);
	flow_text_drop(&p, 0);
	a = text_put(&p, 10, 0, 16); /* 2 + 12 + 18: the smallest block, to the last octet */
	b = text_put_all(&p);        /* each cut to what its kind may have: the largest block */
	assert_true(a && b && a != b);
	flow_text_get(&p, a, &t);
	assert_int_equal(t.kind[DPI_SNI].len, 10);
	assert_memory_equal(t.kind[DPI_SNI].s, "SNxxxxxxxx", 10);
	assert_int_equal(t.kind[DPI_HTTP_HOST].len, 0);
	assert_int_equal(t.kind[DPI_DNS_QUERY].len, 16);
	assert_memory_equal(t.kind[DPI_DNS_QUERY].s, "xxxx", 4);
	flow_text_get(&p, b, &t);
	for (int k = 0; k < DPI_TEXTS; k++) {
		assert_int_equal(t.kind[k].len, dpi_text_max[k]);
		assert_int_equal(t.kind[k].s[0], 'a' + k);
		assert_int_equal(t.kind[k].s[dpi_text_max[k] - 1], 'a' + k);
		most += dpi_text_max[k];
	}
	assert_true(most <= FLOW_TEXT_MOST);
	used = p.used;
	flow_text_drop(&p, a);
	assert_int_not_equal(text_put(&p, 40, 0, 0), a); /* wants a larger block */
	assert_int_equal(text_put(&p, 1, 0, 0), a);
	assert_int_equal(p.used, used + 64);
	flow_text_drop(&p, b);
	assert_int_equal(text_put_all(&p), b);
	assert_int_equal(p.used, used + 64);
	free(p.memory);
}

static void test_text_pool_exhausted(void **state)
{
	struct flow_text_pool p;
	static uint32_t at[256];
	unsigned n = 0;

	(void)state;
	flow_text_init(&p, calloc(1, 4096), 4096);
	while (n < 256 && (at[n] = text_put(&p, 60, 0, 0)))
		n++;
	assert_int_equal(n, (4096 - 32) / 64);
	assert_true(p.used <= p.max);
	assert_int_equal(text_put(&p, 60, 0, 0), 0);
	for (unsigned i = 0; i < n; i++)
		flow_text_drop(&p, at[i]);
	for (unsigned i = 0; i < n; i++)
		assert_int_not_equal(text_put(&p, 60, 0, 0), 0);
	assert_int_equal(text_put(&p, 60, 0, 0), 0);
	free(p.memory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table_limits),
		cmocka_unit_test(test_table_add_remove),
		cmocka_unit_test(test_table_grows),
		cmocka_unit_test(test_table_colliding_hashes),
		cmocka_unit_test(test_table_id),
		cmocka_unit_test(test_table_victim),
		cmocka_unit_test(test_wheel_times),
		cmocka_unit_test(test_wheel_longer_than_a_turn),
		cmocka_unit_test(test_wheel_long_silence),
		cmocka_unit_test(test_wheel_never),
		cmocka_unit_test(test_cold_pool),
		cmocka_unit_test(test_text_pool),
		cmocka_unit_test(test_text_pool_exhausted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
