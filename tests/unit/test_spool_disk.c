/* SPDX-License-Identifier: Apache-2.0 */
/* A disk that is full, can only be read, is gone, or does not do what it is asked. */
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

static void test_full_disk(void **state)
{
	struct spool *s = open_at(rig_disk_new());
	struct spool_batch b;
	uint64_t records, seq;
	int n = 0, rc;

	(void)state;
	records = put(s, 40, 4000);
	rig_fail(1, SIZE_MAX / 2, ENOSPC);
	for (; (rc = rig_put(s, batches, 4, 4000, &seq)) == 0; n++) {
		records += batches[seq].records;
		spool_step(s, now += 20);
	}
	assert_int_equal(rc, -ENOSPC);
	assert_true(n > 900); /* memory is used first */
	assert_true(spool_counters(s)->memory);
	rig_fail(0, 0, 0);
	for (int i = 0; i < 200; i++)
		spool_step(s, now += 300);
	assert_false(spool_counters(s)->memory);
	for (; spool_next(s, &b) == 0; spool_ack_through(s, b.seq)) {
		assert_true(rig_same(&b, batches));
		records -= b.records;
	}
	assert_true(records > 0); /* the oldest went, to make room */
	assert_int_equal(records, spool_counters(s)->dropped_disk);
	spool_close(s);
}

/* Nothing can be written from the start: batches go through memory, as if there were no spool. */
static void test_read_only(void **state)
{
	struct spool *s = open_at(rig_disk_new());
	uint64_t seq;

	(void)state;
	rig_fail(1, SIZE_MAX / 2, EROFS);
	for (uint64_t i = 1; i < 3000; i++) {
		assert_int_equal(rig_put(s, batches, (uint32_t)i, 4000, &seq), 0);
		spool_step(s, now += 10);
		if (spool_counters(s)->memory) {
			assert_int_equal(take(s, -1), i);
			spool_ack_through(s, i);
		}
	}
	assert_int_equal(spool_pending(s), 0);
	assert_true(rig_reached() < 500); /* it is tried once a second, for half a minute */
	rig_fail(0, 0, 0);
	put(s, 3, 10);
	spool_step(s, now += 2000);
	assert_false(spool_counters(s)->memory);
	assert_int_equal(spool_synced(s), 3002);
	spool_close(s);
}

/* The next segment cannot be made: what is durable in the one before is read all the same. */
static void test_no_next_segment(void **state)
{
	static const int errors[] = {EMFILE, ENOSPC, EIO};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct spool *s = open_at(rig_disk_new());
		uint64_t seq;

		for (int n = 0; n < 16; n++) {
			assert_int_equal(rig_put(s, batches, 1, 4000, &seq), 0);
			spool_step(s, ++now);
		}
		assert_int_equal(spool_synced(s), 0);
		rig_not_made(errors[i]);
		assert_int_equal(rig_put(s, batches, 1, 4000, &seq), 0);
		spool_step(s, ++now);
		assert_int_equal(spool_synced(s), 16);
		assert_int_equal(take(s, -1), 16);
		spool_step(s, ++now);
		assert_true(spool_counters(s)->memory);
		assert_int_equal(take(s, -1), 17);
		rig_not_made(0);
		spool_rewind(s);
		assert_int_equal(take(s, 1), 1);
		assert_int_equal(take(s, -1), 17);
		assert_int_equal(spool_counters(s)->lost_missing + spool_counters(s)->lost_damaged, 0);
		spool_step(s, now += 2000);
		assert_int_equal(spool_synced(s), 17);
		spool_close(s);
	}
}

static void test_directory_removed(void **state)
{
	struct spool *s = open_at(rig_disk_new());
	const char *path = s->config.path;
	uint64_t gone = put(s, 30, 4000), records, got = 0, seq;
	struct spool_batch b;

	(void)state;
	assert_int_equal(rig_put(s, batches, 2, 4000, &seq), 0); /* is in memory still, and so not lost */
	rig_empty(path);
	assert_int_equal(rmdir(path), 0);
	records = put(s, 30, 4000) + batches[seq].records;
	for (int i = 0; i < 10; i++)
		spool_step(s, now += 500);
	assert_int_equal(spool_synced(s), 61);
	assert_true(rig_size(path, "000000000000001f.seg") > 4000);
	for (; spool_next(s, &b) == 0; got += b.records)
		assert_true(rig_same(&b, batches));
	assert_int_equal(got, records);
	assert_int_equal(spool_counters(s)->lost_missing, gone);
	/* Once more, and only a sync comes after it. */
	rig_empty(path);
	put(s, 1, 10);
	spool_step(s, now += 500);
	assert_true(rig_size(path, "000000000000003e.seg") > 0);
	spool_close(s);
	s = open_at(path);
	assert_int_equal(take(s, -1), 62);
	spool_close(s);
}

/* What cannot be removed is tried again; by then another file may have its name. */
static void test_not_removed(void **state)
{
	uint8_t header[SPOOL_HEADER];
	const char *path = rig_disk_new();
	struct spool_config c;
	struct spool *s;
	char file[160];
	int fd;

	(void)state;
	snprintf(file, sizeof(file), "%s/0000000000000001.seg", path);
	spool_header_put(header, &(struct spool_header){.first_seq = 1});
	fd = openat(AT_FDCWD, file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0 && pwrite(fd, header, sizeof(header), 0) == (ssize_t)sizeof(header));
	close(fd);
	rig_config(&c, path);
	c.max_octets = 8 * 65536;
	s = open_with(&c);
	rig_not_removed(EPERM);
	put(s, 1, 4000);
	rig_not_removed(0);
	spool_step(s, now += 2000);
	assert_true(rig_size(path, "0000000000000001.seg") > 4000);
	rig_not_removed(EPERM);
	put(s, 200, 4000);
	assert_true(spool_counters(s)->dropped_size > 0);
	assert_true(rig_size(path, "0000000000000001.seg") > 4000);
	rig_not_removed(0);
	for (int i = 0; i < 5; i++)
		spool_step(s, now += 2000);
	assert_int_equal(rig_size(path, "0000000000000001.seg"), 0);
	assert_int_equal(s->n_doomed, 0);
	spool_close(s);
}

static void test_low_disk(void **state)
{
	struct spool_config c;
	struct spool *s;
	uint64_t records;

	(void)state;
	rig_config(&c, rig_disk_new());
	c.reserve = 100; /* nobody has that much free but an empty file system */
	s = open_with(&c);
	s->low_octets = 300000; /* as if it had begun then */
	records = put(s, 300, 4000);
	if (s->low_octets) {
		assert_true(spool_counters(s)->octets <= 300000);
		assert_int_equal(spool_counters(s)->dropped_disk + spool_counters(s)->kept, records);
	}
	s->disk.reserve = 0;
	put(s, 1, 1000);
	assert_int_equal(s->low_octets, 0);
	spool_close(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_full_disk),       cmocka_unit_test(test_read_only),
		cmocka_unit_test(test_no_next_segment), cmocka_unit_test(test_directory_removed),
		cmocka_unit_test(test_not_removed),     cmocka_unit_test(test_low_disk),
	};

	return cmocka_run_group_tests(tests, rig_setup, rig_teardown);
}
