/* SPDX-License-Identifier: Apache-2.0 */
/* What a spool promises its owner while nothing fails: order, acknowledgements, limits, and that nobody waits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "spool/spool_internal.h"
#include "spool_rig.h"
#include "spool_play.h"

/* ---- order and acknowledgements ---- */

static void test_order(void **state)
{
	struct spool *s = open_at(rig_disk_new());
	struct spool_batch b;
	uint64_t records;

	(void)state;
	assert_int_equal(spool_next(s, &b), -EAGAIN);
	records = put(s, 100, 3000);
	assert_int_equal(spool_pending(s), records);
	for (uint64_t i = 1; i <= 100; i++) {
		assert_int_equal(spool_next(s, &b), 0);
		assert_int_equal(b.seq, i);
		assert_true(rig_same(&b, batches));
	}
	assert_int_equal(spool_next(s, &b), -EAGAIN);
	spool_ack_through(s, 100);
	assert_int_equal(spool_pending(s), 0);
	assert_int_equal(spool_counters(s)->acknowledged, records);
	settle(s);
	assert_int_equal(spool_counters(s)->segments,
			 1); /* what is acknowledged is removed, but for what is being written */
	spool_close(s);
}

static void test_durable_first(void **state)
{
	struct spool *s = open_at(rig_disk_new());
	struct spool_batch b;
	uint64_t seq;

	(void)state;
	assert_int_equal(rig_put(s, batches, 1, 10, &seq), 0);
	spool_step(s, now += 10);
	assert_int_equal(spool_synced(s), 0);
	assert_int_equal(spool_next(s, &b), -EAGAIN);
	spool_step(s, now += 189);
	assert_int_equal(spool_synced(s), 0);
	assert_int_equal(spool_wait(s, now, &(struct pollfd){0}), 1);
	spool_step(s, now += 1);
	assert_int_equal(spool_synced(s), 1);
	assert_int_equal(spool_next(s, &b), 0);
	spool_close(s);
}

/* A MiB is synced whatever the time. */
static void test_durable_by_size(void **state)
{
	struct spool_config c;
	struct spool *s;
	uint64_t seq;

	(void)state;
	rig_config(&c, rig_disk_new());
	c.segment_octets = (uint64_t)16 << 20;
	s = open_with(&c);
	for (int i = 0; i < 250; i++)
		assert_int_equal(rig_put(s, batches, 1, 4000, &seq), 0);
	spool_step(s, now);
	assert_int_equal(spool_synced(s), 0);
	for (int i = 0; i < 20; i++)
		assert_int_equal(rig_put(s, batches, 1, 4000, &seq), 0);
	spool_step(s, now);
	assert_int_equal(spool_synced(s), seq);
	spool_close(s);
}

static void test_early(void **state)
{
	struct spool_config c;
	struct spool *s;
	uint64_t seq;

	(void)state;
	rig_config(&c, rig_disk_new());
	c.early = true;
	s = open_with(&c);
	for (uint32_t i = 1; i < 300; i++) {
		assert_int_equal(rig_put(s, batches, i, 2000, &seq), 0);
		assert_int_equal(take(s, 1), i);
		if (i % 3 == 0)
			spool_ack_through(s, i);
		if (i % 2)
			spool_step(s, ++now);
	}
	spool_close(s);
	s = open_at(c.path);
	assert_int_equal(take(s, 10), 299);
	spool_close(s);
}

static void test_acknowledged_out_of_order(void **state)
{
	struct spool *s = open_at(rig_disk_new());
	const char *path = s->config.path;

	(void)state;
	put(s, 10, 100);
	assert_int_equal(take(s, 8), 8);
	assert_int_equal(spool_ack(s, 9), -EINVAL);
	for (uint64_t seq = 2; seq <= 5; seq++)
		assert_int_equal(spool_ack(s, seq), 0);
	assert_int_equal(spool_frontier(s).seq, 0);
	assert_int_equal(spool_ack(s, 1), 0);
	assert_int_equal(spool_frontier(s).seq, 5);
	assert_int_equal(spool_ack(s, 3), -EINVAL);
	assert_int_equal(spool_ack(s, 8), 0);
	spool_rewind(s);
	assert_int_equal(take(s, 1), 6);
	assert_int_equal(take(s, -1), 10);
	settle(s);
	spool_close(s);
	s = open_at(path);
	assert_int_equal(take(s, 1), 6);
	spool_close(s);
}

static void test_window(void **state)
{
	struct spool_config c;
	struct spool *s;
	struct spool_batch b;

	(void)state;
	rig_config(&c, rig_disk_new());
	c.window = 16;
	s = open_with(&c);
	put(s, 40, 100);
	assert_int_equal(take(s, -1), 16);
	assert_int_equal(spool_ack(s, 2), 0);
	assert_int_equal(spool_next(s, &b), -EAGAIN);
	assert_int_equal(spool_ack(s, 1), 0);
	assert_int_equal(take(s, -1), 18);
	spool_close(s);
}

static void test_rewind_in_segments(void **state)
{
	struct spool *s = open_at(rig_disk_new());

	(void)state;
	put(s, 100, 4000);
	for (uint64_t acked = 0; acked < 99; acked += 7) {
		assert_int_equal(take(s, 20), acked + 20 > 100 ? 100 : acked + 20);
		spool_ack_through(s, acked + 7 > 99 ? 99 : acked + 7);
		spool_rewind(s);
	}
	assert_int_equal(take(s, -1), 100);
	assert_int_equal(spool_counters(s)->lost_damaged + spool_counters(s)->lost_missing, 0);
	spool_close(s);
}

static void test_refused(void **state)
{
	struct spool *s = open_at(rig_disk_new());
	uint64_t seq;
	int n = 0, rc;

	(void)state;
	assert_int_equal(rig_put(s, NULL, 0, SPOOL_LEN_MAX, &seq), 0);
	assert_int_equal(rig_put(s, NULL, 1, SPOOL_LEN_MAX, &seq), -EMSGSIZE);
	assert_int_equal(rig_put(s, NULL, 7, 0, &seq), -EMSGSIZE);
	assert_int_equal(
		spool_put(s, &(struct spool_batch){.data = "x", .len = 1, .records = SPOOL_RECORDS_MAX + 1}, &seq),
		-EMSGSIZE);
	while ((rc = rig_put(s, NULL, 0, 100000, &seq)) == 0)
		n++;
	assert_int_equal(rc, -EAGAIN);
	assert_false(spool_room(s, 100000));
	assert_in_range(n, 25, 32);  /* 4 MiB */
	for (int i = 0; i < 50; i++) /* a job fills one segment */
		spool_step(s, now += 300);
	assert_true(spool_room(s, 100000));
	assert_int_equal(spool_synced(s), seq);
	spool_close(s);
}

static void test_lock(void **state)
{
	struct spool *s = open_at(rig_disk_new()), *other = NULL;
	struct spool_config c;
	struct stat st;
	char err[256];

	(void)state;
	rig_config(&c, s->config.path);
	assert_int_equal(spool_open(&other, &c, now, err, sizeof(err)), -EWOULDBLOCK);
	assert_non_null(strstr(err, "another process"));
	put(s, 1, 10);
	assert_int_equal(fstatat(s->disk.dirfd, "0000000000000001.seg", &st, 0), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	spool_close(s);
	s = open_at(c.path);
	spool_close(s);
}

/* ---- limits ---- */

static void test_oldest_dropped(void **state)
{
	struct spool_config c;
	struct spool *s;
	uint64_t records;

	(void)state;
	rig_config(&c, rig_disk_new());
	c.max_octets = 8 * 65536;
	s = open_with(&c);
	records = put(s, 400, 4000);
	assert_true(spool_counters(s)->octets <= c.max_octets);
	assert_true(spool_counters(s)->octets > c.max_octets / 2);
	assert_int_equal(spool_counters(s)->kept + spool_counters(s)->dropped_size, records);
	assert_true(spool_counters(s)->dropped_size > records / 2);
	for (struct spool_batch b; spool_next(s, &b) == 0; spool_ack_through(s, b.seq)) {
		assert_true(rig_same(&b, batches));
		records -= b.records;
	}
	assert_int_equal(records, spool_counters(s)->dropped_size);
	assert_int_equal(spool_counters(s)->lost_missing, 0);
	spool_close(s);
}

/* What is out when its segment is dropped counts when it cannot come again, and once. */
static void test_dropped_while_out(void **state)
{
	struct spool_config c;
	struct spool *s;
	uint64_t records, again = 0;

	(void)state;
	rig_config(&c, rig_disk_new());
	c.max_octets = 8 * 65536;
	s = open_with(&c);
	records = put(s, 20, 4000);
	assert_int_equal(take(s, 5), 5);
	spool_ack_through(s, 2);
	records += put(s, 300, 4000);
	spool_rewind(s);
	for (struct spool_batch b; spool_next(s, &b) == 0; spool_ack_through(s, b.seq))
		again += b.records;
	assert_int_equal(again + spool_counters(s)->dropped_size + batches[1].records + batches[2].records, records);
	assert_int_equal(spool_counters(s)->lost_missing, 0);
	spool_close(s);
}

static void test_newest_refused(void **state)
{
	struct spool_config c;
	struct spool *s;
	uint64_t seq;
	int n = 0, rc;

	(void)state;
	rig_config(&c, rig_disk_new());
	c.max_octets = 8 * 65536;
	c.drop_new = true;
	s = open_with(&c);
	for (; (rc = rig_put(s, batches, 1, 4000, &seq)) == 0; n++)
		spool_step(s, now += 10);
	assert_int_equal(rc, -ENOSPC);
	assert_false(spool_room(s, 4000));
	assert_in_range(n, 110, 130);
	spool_flush(s);
	spool_step(s, ++now);
	assert_int_equal(take(s, -1), n);
	spool_ack_through(s, (uint64_t)n);
	settle(s);
	assert_true(spool_room(s, 4000));
	assert_int_equal(spool_counters(s)->dropped_size, 0);
	spool_close(s);
}

static void test_age(void **state)
{
	struct spool *s = open_at(rig_disk_new());
	const char *path = s->config.path;
	uint64_t records = put(s, 40, 4000), later;

	(void)state;
	spool_step(s, now += 86400000 - 1000);
	assert_int_equal(spool_counters(s)->dropped_age, 0);
	later = put(s, 1, 10);
	spool_step(s, now += 2000);
	assert_int_equal(spool_counters(s)->dropped_age, records);
	spool_step(s, now += 86400000); /* the last segment, too */
	assert_int_equal(spool_counters(s)->dropped_age, records + later);
	assert_int_equal(spool_pending(s), 0);
	put(s, 1, 10);
	assert_int_equal(take(s, -1), 42);
	assert_int_equal(spool_counters(s)->errors, 0);
	spool_close(s);
	assert_int_equal(rig_size(path, "0000000000000001.seg"), 0);
}

/* Times of files are of a clock that may be set: one to come is not old, an old one is. */
static void test_clock(void **state)
{
	static const struct {
		time_t off;
		bool dropped;
	} cases[] = {{-3600, false}, {-90000, true}, {3600, false}, {10000000, false}};

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		struct spool *s = open_at(rig_disk_new());
		const char *path = s->config.path;
		struct timespec t[2] = {{.tv_sec = time(NULL) + cases[i].off}, {.tv_sec = time(NULL) + cases[i].off}};
		char name[160];
		uint64_t records;

		records = put(s, 3, 1000);
		spool_close(s);
		snprintf(name, sizeof(name), "%s/0000000000000001.seg", path);
		assert_int_equal(utimensat(AT_FDCWD, name, t, 0), 0);
		s = open_at(path);
		spool_step(s, now += 1000);
		assert_int_equal(spool_counters(s)->dropped_age, cases[i].dropped ? records : 0);
		spool_step(s, now += 90000000);
		assert_int_equal(spool_counters(s)->dropped_age,
				 records); /* in a day at last, whatever that clock says */
		spool_close(s);
	}
}

/* A start reads the last segment, however many there are. */
static void test_start_is_short(void **state)
{
	const char *path = rig_disk_new();
	size_t reached[2];

	(void)state;
	for (uint32_t i = 0; i < 42; i++) {
		struct spool *s;
		uint64_t seq;
		size_t before = rig_reached();

		s = open_at(path);
		if (i == 2 || i == 41)
			reached[i == 41] = rig_reached() - before;
		assert_int_equal(rig_put(s, batches, i, 2000, &seq), 0);
		spool_close(s);
	}
	assert_int_equal(reached[0], reached[1]);
}

/* ---- a thread ---- */

static void test_thread(void **state)
{
	struct spool_config c;
	struct spool *s;
	struct spool_batch b;
	uint64_t seq = 0, last = 0;
	unsigned want = 500, put_so_far = 0;

	(void)state;
	rig_config(&c, rig_disk_new());
	c.no_thread = false;
	c.sync_ms = 5;
	s = open_with(&c);
	while (last < want) {
		struct pollfd p;
		uint64_t ms = clock_mono_ms();
		int due;

		for (int i = 0; i < 7 && put_so_far < want; i++)
			if (rig_put(s, batches, put_so_far, 3000, &seq) == 0)
				put_so_far++;
		spool_step(s, ms);
		for (; spool_next(s, &b) == 0; last = b.seq) {
			assert_int_equal(b.seq, last + 1);
			assert_true(rig_same(&b, batches));
			assert_int_equal(spool_ack(s, b.seq), 0);
		}
		due = spool_wait(s, ms, &p);
		assert_true(poll(&p, 1, due < 0 || due > 1000 ? 1000 : due) >= 0);
	}
	spool_close(s);
	s = open_at(c.path);
	assert_int_equal(spool_pending(s), 0);
	assert_int_equal(spool_next(s, &b), -EAGAIN);
	spool_close(s);
}

/* A disk that takes for ever holds up nothing but what is to become durable. */
static void test_slow_disk(void **state)
{
	struct spool_config c;
	struct spool *s;
	uint64_t seq, last = 0, began = clock_mono_ms();
	int n = 0;

	(void)state;
	rig_config(&c, rig_disk_new());
	c.no_thread = false;
	c.sync = SPOOL_SYNC_ALWAYS;
	s = open_with(&c);
	rig_hold_disk(true);
	for (; rig_put(s, batches, (uint32_t)n, 20000, &seq) == 0; n++)
		spool_step(s, clock_mono_ms());
	assert_in_range(n, 150, 250); /* 4 MiB */
	assert_int_equal(rig_put(s, batches, 1, 20000, &seq), -EAGAIN);
	assert_int_equal(spool_synced(s), 0);
	assert_true(clock_mono_ms() - began < 5000);
	rig_hold_disk(false);
	while (last < (uint64_t)n && clock_mono_ms() - began < 60000) {
		struct pollfd p;
		uint64_t took;
		int due;

		spool_step(s, clock_mono_ms());
		took = take(s, -1);
		last = took ? took : last;
		due = spool_wait(s, clock_mono_ms(), &p);
		assert_true(poll(&p, 1, due < 0 || due > 100 ? 100 : due) >= 0);
	}
	assert_int_equal(last, n);
	spool_close(s);
}

/* What the kernel does not have in memory is asked for, and read in the end whatever comes. */
static void test_not_in_memory(void **state)
{
	struct spool *s = open_at(rig_disk_new());
	struct spool_batch b;
	struct pollfd p;

	(void)state;
	put(s, 3, 1000);
	s->config.no_thread = false; /* as if somebody waited for us */
	rig_not_in_memory(EAGAIN);
	for (int i = 0; i < 10; i++) {
		assert_int_equal(spool_next(s, &b), -EAGAIN);
		assert_in_range(spool_wait(s, now, &p), 1, SPOOL_LOOK_MS);
		spool_step(s, now += 900);
	}
	spool_step(s, now += 1100);
	assert_int_equal(spool_next(s, &b), 0);
	assert_int_equal(b.seq, 1);
	rig_not_in_memory(0);
	assert_int_equal(spool_next(s, &b), 0);
	spool_rewind(s);
	rig_not_in_memory(EOPNOTSUPP); /* a file system that cannot say */
	assert_int_equal(take(s, -1), 3);
	rig_not_in_memory(0);
	spool_close(s);
}

/* Waiting leads to the end of all there is to do, and then there is nothing to wait for. */
static void test_waits_end(void **state)
{
	struct spool *s = open_at(rig_disk_new());
	struct pollfd p;
	uint64_t seq;
	int due, n = 0;

	(void)state;
	s->config.max_age_ms = 0;
	for (uint32_t i = 0; i < 50; i++)
		assert_int_equal(rig_put(s, batches, i, 4000, &seq), 0);
	rig_fail(20, 3, EIO);
	while ((due = spool_wait(s, now, &p)) >= 0 && n++ < 100) {
		spool_step(s, now += (uint64_t)due);
		spool_ack_through(s, take(s, -1));
	}
	assert_in_range(n, 3, 60);
	assert_true(spool_settled(s));
	rig_fail(0, 0, 0);
	spool_close(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_durable_first),
		cmocka_unit_test(test_durable_by_size),
		cmocka_unit_test(test_early),
		cmocka_unit_test(test_acknowledged_out_of_order),
		cmocka_unit_test(test_window),
		cmocka_unit_test(test_rewind_in_segments),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_lock),
		cmocka_unit_test(test_oldest_dropped),
		cmocka_unit_test(test_dropped_while_out),
		cmocka_unit_test(test_newest_refused),
		cmocka_unit_test(test_age),
		cmocka_unit_test(test_clock),
		cmocka_unit_test(test_start_is_short),
		cmocka_unit_test(test_thread),
		cmocka_unit_test(test_slow_disk),
		cmocka_unit_test(test_not_in_memory),
		cmocka_unit_test(test_waits_end),
	};

	return cmocka_run_group_tests(tests, rig_setup, rig_teardown);
}
