/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Both sides of a ring at once, as two threads: built with ThreadSanitizer (the preset tsan), it says if a slot is touched by
 * both without an order between them. What a slot has is in its place, each once, and who sleeps is woken.
 */
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/ring.h"

#define SLOTS_PUT 40000u
#define SLOT_WORDS 12 /* more than a cache line, and no whole number of them */
#define WAIT_MS 60000 /* who sleeps longer was not woken */

struct two {
	void *memory;
	int event;
	uint64_t count;  /* slots of the ring */
	unsigned batch;  /* slots between two wakes */
	unsigned pause;  /* batches between two pauses of the producer, so that the consumer sleeps; 0: none */
	uint64_t sleeps; /* of the consumer */
	const char *wrong;
};

static void *produce(void *arg)
{
	struct two *t = arg;
	struct ring r;

	ring_init(&r, t->memory, t->count, SLOT_WORDS * sizeof(uint64_t), t->event);
	for (uint64_t n = 0; n < SLOTS_PUT; n++) {
		uint64_t *slot;

		while (!(slot = ring_reserve(&r))) {
			ring_wake(&r);
			sched_yield();
		}
		for (unsigned i = 0; i < SLOT_WORDS; i++)
			slot[i] = n * (i + 1);
		ring_commit(&r);
		if (n % t->batch == t->batch - 1)
			ring_wake(&r);
		if (t->pause && n % (t->pause * t->batch) == 0)
			usleep(50);
	}
	ring_close(&r);
	return NULL;
}

/* False if nobody woke us. */
static bool consumer_sleeps(struct two *t, struct ring *r)
{
	struct pollfd p = {.fd = t->event, .events = POLLIN};
	uint64_t counter;
	bool woken = true;

	if (!ring_sleep(r))
		return true;
	t->sleeps++;
	woken = poll(&p, 1, WAIT_MS) == 1 && read(t->event, &counter, sizeof(counter)) == sizeof(counter);
	ring_awake(r);
	return woken;
}

static void *consume(void *arg)
{
	struct two *t = arg;
	uint64_t copy[SLOT_WORDS];
	struct ring r;
	uint64_t n = 0;

	ring_init(&r, t->memory, t->count, sizeof(copy), t->event);
	while (!t->wrong) {
		bool broken, finished = ring_finished(&r);
		const void *slot = ring_peek(&r, &broken);

		if (broken)
			t->wrong = "a position that cannot be";
		if (!slot && finished)
			break;
		if (!slot && !consumer_sleeps(t, &r))
			t->wrong = "the consumer was not woken";
		if (!slot)
			continue;
		memcpy(copy, slot, sizeof(copy));
		ring_release(&r);
		for (unsigned i = 0; i < SLOT_WORDS; i++)
			if (copy[i] != n * (i + 1))
				t->wrong = "a slot that is not the next";
		n++;
	}
	if (!t->wrong && n != SLOTS_PUT)
		t->wrong = "slots are missing";
	return NULL;
}

static void both(uint64_t count, unsigned batch, unsigned pause)
{
	size_t size = (ring_size(count, SLOT_WORDS * sizeof(uint64_t)) + 63) & ~(size_t)63;
	struct two t = {.count = count, .batch = batch, .pause = pause, .event = eventfd(0, EFD_CLOEXEC)};
	pthread_t producer, consumer;

	t.memory = aligned_alloc(64, size);
	assert_non_null(t.memory);
	memset(t.memory, 0, size);
	assert_int_equal(pthread_create(&consumer, NULL, consume, &t), 0);
	assert_int_equal(pthread_create(&producer, NULL, produce, &t), 0);
	pthread_join(consumer, NULL);
	if (t.wrong)
		fail_msg("%llu slots, %u at a time: %s", (unsigned long long)count, batch, t.wrong);
	pthread_join(producer, NULL);
	if (pause)
		assert_true(t.sleeps > 0);
	free(t.memory);
	close(t.event);
}

static void test_full(void **state)
{
	(void)state;
	both(1, 1, 0);
	both(2, 1, 0);
	both(8, 3, 0);
}

static void test_sleeping(void **state)
{
	(void)state;
	both(64, 16, 20);
	both(1024, 1, 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_sleeping),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
