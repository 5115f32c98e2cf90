/* SPDX-License-Identifier: Apache-2.0 */
/* Which records came before: borders of the window, of the streams, and what is no double. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/addr.h"
#include "l7/fields.h"
#include "state/doubles.h"

#define STREAM UINT64_C(0x1234)

static int set_up(void **state)
{
	struct doubles *d = malloc(sizeof(*d));

	*state = d;
	return !d || doubles_init(d);
}

static int tear_down(void **state)
{
	doubles_deinit(*state);
	free(*state);
	return 0;
}

static struct l7_record record(const char *exporter, uint64_t stream, uint64_t sequence)
{
	struct l7_record r = {0};

	assert_true(l7_record_text(&r, &r.exporter, exporter, strlen(exporter), L7_TEXT_MAX));
	assert_int_equal(addr_parse("192.0.2.1", r.src_ip), 0);
	assert_int_equal(addr_parse("198.51.100.7", r.dst_ip), 0);
	r.stream_id = stream;
	r.record_sequence = sequence;
	l7_mark(&r, L7_F_streamId);
	l7_mark(&r, L7_F_recordSequence);
	l7_mark(&r, L7_F_packetDeltaCount);
	return r;
}

static bool seen(struct doubles *d, uint64_t sequence)
{
	struct l7_record r = record("p", STREAM, sequence);

	return doubles_seen(d, &r);
}

static void test_again(void **state)
{
	struct doubles *d = *state;

	for (uint64_t n = 0; n < 3 * DOUBLES_WINDOW; n++)
		assert_false(seen(d, n));
	for (uint64_t n = 3 * DOUBLES_WINDOW - 1000; n < 3 * DOUBLES_WINDOW; n++)
		assert_true(seen(d, n));
	assert_int_equal(d->n, 1000);
}

/* In any order: each is new once. */
static void test_order(void **state)
{
	struct doubles *d = *state;

	for (uint64_t n = 1000; n-- > 0;)
		assert_false(seen(d, n * 7 % 1000));
	for (uint64_t n = 0; n < 1000; n++)
		assert_true(seen(d, n));
	assert_false(seen(d, 5000));
	for (uint64_t n = 1000; n < 5000; n++)
		assert_false(seen(d, n));
	assert_true(seen(d, 5000));
}

/* What is older than the window is never taken for a double; what is in it is. */
static void test_window(void **state)
{
	struct doubles *d = *state;
	uint64_t far = 10 * DOUBLES_WINDOW + 17, word = 32;

	assert_false(seen(d, 5));
	assert_false(seen(d, far));
	assert_false(seen(d, 5));
	assert_false(seen(d, 5)); /* again: not remembered either */
	assert_false(seen(d, far - DOUBLES_WINDOW));
	assert_false(seen(d, far - DOUBLES_WINDOW));
	assert_false(seen(d, far - DOUBLES_WINDOW + word)); /* the oldest that is surely in it */
	assert_true(seen(d, far - DOUBLES_WINDOW + word));
	/* One step on, and what takes an old one's place is new. */
	for (uint64_t n = far + 1; n < far + 2 * DOUBLES_WINDOW; n++)
		assert_false(seen(d, n));
	/* A jump of exactly the window, and of one less and more. */
	for (uint64_t jump = DOUBLES_WINDOW - 1; jump <= DOUBLES_WINDOW + 1; jump++) {
		far += 4 * DOUBLES_WINDOW;
		assert_false(seen(d, far));
		for (uint64_t n = far - DOUBLES_WINDOW / 2; n < far; n++) /* nothing is left of what was there before */
			assert_false(seen(d, n));
		assert_false(seen(d, far + jump));
		assert_true(seen(d, far + jump));
		assert_false(seen(d, far + jump - 1));
	}
}

/* The ends of the numbers. */
static void test_ends(void **state)
{
	struct doubles *d = *state;

	assert_false(seen(d, UINT64_MAX));
	assert_true(seen(d, UINT64_MAX));
	assert_false(seen(d, UINT64_MAX - 1));
	assert_false(seen(d, 0));
	assert_false(seen(d, 0));
	assert_true(seen(d, UINT64_MAX));
}

/* Exporter and stream tell streams apart; a record without them is left alone. */
static void test_streams(void **state)
{
	struct doubles *d = *state;
	struct l7_record r = record("a", 1, 9), other = record("b", 1, 9), stream = record("a", 2, 9);

	assert_false(doubles_seen(d, &r));
	assert_false(doubles_seen(d, &other));
	assert_false(doubles_seen(d, &stream));
	assert_true(doubles_seen(d, &r));
	assert_true(doubles_seen(d, &other));
	assert_true(doubles_seen(d, &stream));
	r = record("a", 1, 9);
	r.has[L7_F_streamId / 64] &= ~(UINT64_C(1) << L7_F_streamId % 64);
	assert_false(doubles_seen(d, &r));
	assert_false(doubles_seen(d, &r));
	r = record("a", 1, 9);
	r.has[L7_F_recordSequence / 64] &= ~(UINT64_C(1) << L7_F_recordSequence % 64);
	assert_false(doubles_seen(d, &r));
	assert_false(doubles_seen(d, &r));
	assert_int_equal(d->n, 3);
}

/* A name of any length, and none. */
static void test_names(void **state)
{
	struct doubles *d = *state;
	char longest[L7_STRING_MAX + 1];
	struct l7_record r, none = record("", 1, 9);

	memset(longest, 'x', L7_STRING_MAX);
	longest[L7_STRING_MAX] = '\0';
	r = record(longest, 1, 9);
	assert_false(doubles_seen(d, &r));
	assert_true(doubles_seen(d, &r));
	assert_false(doubles_seen(d, &none));
	assert_true(doubles_seen(d, &none));
}

/* Two halves of a flow have one number, whether the reader has turned the second round or not. */
static void test_halves(void **state)
{
	struct doubles *d = *state;
	struct l7_record first = record("p", 1, 1), second = record("p", 1, 1);

	memcpy(second.src_ip, first.dst_ip, sizeof(second.src_ip));
	memcpy(second.dst_ip, first.src_ip, sizeof(second.dst_ip));
	assert_false(doubles_seen(d, &first));
	assert_false(doubles_seen(d, &second));
	assert_true(doubles_seen(d, &first));
	assert_true(doubles_seen(d, &second));
	first = record("p", 1, 2);
	second = record("p", 1, 2);
	second.has[L7_F_packetDeltaCount / 64] &= ~(UINT64_C(1) << L7_F_packetDeltaCount % 64);
	l7_mark(&second, L7_F_reversePacketDeltaCount);
	assert_false(doubles_seen(d, &first));
	assert_false(doubles_seen(d, &second));
	assert_true(doubles_seen(d, &first));
	assert_true(doubles_seen(d, &second));
}

/* One stream too many: the one that was heard longest ago begins anew. */
static void test_many(void **state)
{
	struct doubles *d = *state;
	struct l7_record r;

	for (uint64_t i = 0; i <= DOUBLES_STREAMS; i++) {
		r = record("p", i, 1);
		assert_false(doubles_seen(d, &r));
	}
	assert_int_equal(d->streams.evicted, 1);
	r = record("p", DOUBLES_STREAMS, 1);
	assert_true(doubles_seen(d, &r));
	r = record("p", 0, 1);
	assert_false(doubles_seen(d, &r));
	assert_true(doubles_seen(d, &r));
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {T(test_again),   T(test_order), T(test_window), T(test_ends),
					   T(test_streams), T(test_names), T(test_halves), T(test_many)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
