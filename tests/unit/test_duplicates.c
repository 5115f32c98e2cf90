/* SPDX-License-Identifier: Apache-2.0 */
/* Copies that a mirror port sends are known, what hosts send again is none, and a flood does not hide them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "capture/duplicates.h"
#include "frames.h"

#define START UINT64_C(1700000000000)

struct duplicates_test {
	struct duplicates *d;
	struct frame f;
};

static const struct frame_ends four = {"10.0.0.1", "10.0.0.2", 4000, 443, 0};
static const struct frame_ends six = {"2001:db8::1", "2001:db8::2", 4000, 443, 0};

static int setup(void **state)
{
	struct duplicates_test *t = calloc(1, sizeof(*t));

	*state = t;
	t->d = duplicates_new();
	return t->d ? 0 : -1;
}

static int teardown(void **state)
{
	struct duplicates_test *t = *state;

	free(t->d);
	free(t);
	return 0;
}

/* Gives t->f to the table, so many milliseconds after the start. */
static bool give(struct duplicates_test *t, uint64_t ms)
{
	struct packet p;

	assert_int_equal(decode_ethernet(t->f.octets, t->f.len, t->f.len, &p), DECODE_OK);
	p.time_ms = START + ms;
	return duplicates_seen(t->d, &p);
}

/* IPv4's identification of t->f. */
static void set_id(struct duplicates_test *t, unsigned id)
{
	frame_set16(&t->f, 18, id);
}

static void test_copies(void **state)
{
	struct duplicates_test *t = *state;

	frame_tcp(&t->f, &four, FRAME_PSH | FRAME_ACK, "hello", 5);
	assert_false(give(t, 0));
	assert_true(give(t, 0));
	assert_true(give(t, 3)); /* a third */
	assert_false(give(t, 100));
	assert_true(give(t, 95)); /* a little out of order */
	frame_tcp(&t->f, &six, FRAME_PSH | FRAME_ACK, "hello", 5);
	assert_false(give(t, 200));
	assert_true(give(t, 201));
}

static void test_other_interface(void **state)
{
	struct duplicates_test *t = *state;
	struct frame_ends tagged = four;

	tagged.vlan = 7;
	frame_udp(&t->f, &four, "query", 5);
	assert_false(give(t, 0));
	frame_udp(&t->f, &tagged, "query", 5); /* the link layer's header may differ */
	assert_true(give(t, 1));
}

static void test_sent_again(void **state)
{
	struct duplicates_test *t = *state;

	frame_tcp(&t->f, &four, FRAME_PSH | FRAME_ACK, "hello", 5);
	assert_false(give(t, 0));
	set_id(t, 2);
	assert_false(give(t, 1));
	t->f.octets[22]--; /* TTL: seen again behind a router, which is another place */
	assert_false(give(t, 1));
	set_id(t, 0);
	assert_false(give(t, 2));
	assert_false(give(t, 10)); /* no identification, and not at once */
	frame_tcp(&t->f, &six, FRAME_SYN, "", 0);
	assert_false(give(t, 20));
	assert_false(give(t, 30));
}

static void test_equal_acknowledgements(void **state)
{
	struct duplicates_test *t = *state;

	for (unsigned flags = FRAME_RST; flags <= FRAME_ACK; flags += FRAME_ACK - FRAME_RST) {
		frame_tcp(&t->f, &six, flags, "", 0);
		assert_false(give(t, flags));
		assert_false(give(t, flags));
	}
	/* Now the mirror is seen to double. */
	frame_tcp(&t->f, &six, FRAME_PSH | FRAME_ACK, "data", 4);
	assert_false(give(t, 50));
	assert_true(give(t, 50));
	frame_tcp(&t->f, &six, FRAME_ACK, "", 0);
	assert_false(give(t, 51));
	assert_true(give(t, 51));
}

/* 200 packets between one and its copy: at a million packets a second that is 0.2 ms. None equals another. */
static void test_many_between(void **state)
{
	struct duplicates_test *t = *state;
	unsigned missed = 0;

	frame_udp(&t->f, &four, "0123", 4);
	for (unsigned i = 0; i < 40000; i++) {
		set_id(t, 1 + i);
		assert_false(give(t, i / 1000));
		if (i >= 200) {
			set_id(t, 1 + i - 200);
			missed += !give(t, i / 1000);
		}
	}
	assert_int_equal(missed, 0);
}

static void test_sample(void **state)
{
	struct duplicates_test *t = *state;
	unsigned sampled = 0;
	struct packet p;

	for (unsigned i = 0; i < 4096; i++) {
		frame_udp(&t->f, i % 2 ? &four : &six, "0123", 4);
		frame_set16(&t->f, i % 2 ? 24 : 60, i / 2 * 40503 & 0xffff); /* the checksum */
		assert_int_equal(decode_ethernet(t->f.octets, t->f.len, t->f.len, &p), DECODE_OK);
		sampled += duplicates_sampled(&p);
	}
	assert_in_range(sampled, 4096 / DUPLICATES_SAMPLE / 2, 4096 / DUPLICATES_SAMPLE * 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_copies, setup, teardown),
		cmocka_unit_test_setup_teardown(test_other_interface, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sent_again, setup, teardown),
		cmocka_unit_test_setup_teardown(test_equal_acknowledgements, setup, teardown),
		cmocka_unit_test_setup_teardown(test_many_between, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sample, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
