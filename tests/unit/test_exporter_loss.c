/* SPDX-License-Identifier: Apache-2.0 */
/* What an exporter says it has exported against what has come. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "state/exporter_loss.h"

#define STATES (IPFIX_HAS_COUNT << IPFIX_EXPORTED)
#define RECOVERED (IPFIX_HAS_COUNT << IPFIX_RECOVERED)

/* A message with so many records, before it says that `exported` are. */
static uint64_t say(struct exporter_loss *l, uint64_t stream, uint32_t records, uint64_t exported)
{
	struct ipfix_about a = {.domain = 1,
				.ordered = true,
				.has = STATES,
				.records = records,
				.init_ms = 1700000000000,
				.stream_id = stream,
				.counts = {[IPFIX_EXPORTED] = exported}};

	return exporter_loss_take(l, &a);
}

static uint64_t come(struct exporter_loss *l, uint64_t stream, uint32_t records, bool unsure)
{
	struct ipfix_about a = {.domain = 1,
				.ordered = true,
				.records = records,
				.unsure = unsure,
				.init_ms = 1700000000000,
				.stream_id = stream};

	return exporter_loss_take(l, &a);
}

static void test_all_came(void **state)
{
	struct exporter_loss l = {0};

	(void)state;
	assert_int_equal(come(&l, 1, 5, false), 0); /* of whom nothing is known */
	assert_int_equal(l.n, 0);
	assert_int_equal(say(&l, 1, 0, 0), 0);
	for (uint64_t i = 1; i < 100; i++) {
		assert_int_equal(come(&l, 1, 6, false), 0);
		assert_int_equal(say(&l, 1, 4, 10 * i), 0);
	}
	assert_int_equal(l.n, 1);
}

/* What went before we listened is not asked for. */
static void test_from_the_middle(void **state)
{
	struct exporter_loss l = {0};

	(void)state;
	assert_int_equal(say(&l, 1, 0, 5000), 0);
	come(&l, 1, 10, false);
	assert_int_equal(say(&l, 1, 0, 5010), 0);
	assert_int_equal(say(&l, 1, 0, 5010), 0);
	come(&l, 1, 7, false);
	assert_int_equal(say(&l, 1, 0, 5020), 0);
	assert_int_equal(say(&l, 1, 0, 5020), 3);
	assert_int_equal(say(&l, 1, 0, 5020), 0); /* told once */
}

static void test_two_statements(void **state)
{
	struct exporter_loss l = {0};

	(void)state;
	say(&l, 1, 0, 0);
	assert_int_equal(say(&l, 1, 80, 100), 0);
	come(&l, 1, 15, false);                   /* late, or left of another connection */
	assert_int_equal(say(&l, 1, 10, 110), 5); /* 20 were missing, 5 still are */
	assert_int_equal(say(&l, 1, 10, 120), 0);
	assert_int_equal(say(&l, 1, 0, 130), 0);
	assert_int_equal(say(&l, 1, 10, 140), 10); /* and 10 more */
}

/* A new connection says what has been acknowledged: less than what was said last. */
static void test_said_before(void **state)
{
	struct exporter_loss l = {0};

	(void)state;
	say(&l, 1, 0, 0);
	assert_int_equal(say(&l, 1, 100, 100), 0);
	assert_int_equal(say(&l, 1, 0, 80), 0);
	assert_int_equal(say(&l, 1, 20, 120), 0);
	assert_int_equal(say(&l, 1, 20, 140), 0);
	assert_int_equal(say(&l, 1, 20, 160), 0);
}

static void test_started_again(void **state)
{
	struct exporter_loss l = {0};

	(void)state;
	say(&l, 1, 0, 0);
	say(&l, 1, 50, 100);
	assert_int_equal(say(&l, 2, 0, 0), 0);
	assert_int_equal(say(&l, 2, 10, 10), 0);
	assert_int_equal(say(&l, 2, 10, 20), 0);
	assert_int_equal(say(&l, 1, 50, 150), 50); /* two outputs of one probe: each by itself */
	assert_int_equal(l.n, 2);
	for (uint64_t i = 3; i < 100; i++)
		assert_int_equal(say(&l, i, 0, 77), 0);
	assert_int_equal(l.n, EXPORTER_STREAMS_MAX);
	assert_int_equal(say(&l, 99, 0, 80), 0);
	assert_int_equal(say(&l, 99, 0, 80), 3); /* the newest is there */
}

/* Data sets that nobody can read: nobody knows how many records they were. */
static void test_unsure(void **state)
{
	struct exporter_loss l = {0};

	(void)state;
	say(&l, 1, 0, 0);
	come(&l, 1, 50, true);
	assert_int_equal(say(&l, 1, 0, 100), 0);
	assert_int_equal(say(&l, 1, 0, 100), 0);
	assert_int_equal(say(&l, 1, 6, 110), 0);
	assert_int_equal(say(&l, 1, 0, 110), 4);
}

static void test_recovered(void **state)
{
	struct exporter_loss l = {0};
	struct ipfix_about a = {.ordered = true, .has = STATES | RECOVERED, .stream_id = 9};

	(void)state;
	a.counts[IPFIX_RECOVERED] = 1000; /* which are of other streams, and are not counted in `records` */
	for (uint64_t i = 0; i < 30; i++) {
		a.counts[IPFIX_EXPORTED] = i * 100;
		a.records = i > 10 ? 100 : 0;
		assert_int_equal(exporter_loss_take(&l, &a), 0);
	}
	a.records = 0;
	a.counts[IPFIX_EXPORTED] += 7;
	assert_int_equal(exporter_loss_take(&l, &a), 0);
	assert_int_equal(exporter_loss_take(&l, &a), 7);
}

static void test_lies(void **state)
{
	const uint64_t lies[] = {UINT64_MAX, UINT64_C(1) << 63, 0, 1, UINT64_MAX - 1};
	struct exporter_loss l = {0};
	struct ipfix_about a = {.has = STATES, .counts = {[IPFIX_EXPORTED] = 1000}};

	(void)state;
	for (unsigned i = 0; i < 1000; i++) {
		say(&l, i % 3, i, lies[i % 5] - i);
		if (i % 7 == 0)
			come(&l, i % 3, UINT32_MAX, true);
	}
	assert_true(l.n <= EXPORTER_STREAMS_MAX);
	memset(&l, 0, sizeof(l));
	assert_int_equal(exporter_loss_take(&l, &a), 0); /* by brokers: in no order */
	assert_int_equal(l.n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_came),       cmocka_unit_test(test_from_the_middle),
		cmocka_unit_test(test_two_statements), cmocka_unit_test(test_said_before),
		cmocka_unit_test(test_started_again),  cmocka_unit_test(test_unsure),
		cmocka_unit_test(test_recovered),      cmocka_unit_test(test_lies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
