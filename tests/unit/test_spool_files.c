/* SPDX-License-Identifier: Apache-2.0 */
/* What is in the files, and what becomes of it when it is damaged, cut, missing, or never was a spool's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "base/log.h"
#include "spool/spool_internal.h"
#include "spool_rig.h"

#define FILES_EACH 10 /* batches in a segment */
#define FILES 3       /* segments */
#define FILES_ALL (FILES * FILES_EACH)

static struct rig_batch batches[RIG_BATCHES];

static struct spool *open_at(const char *path)
{
	struct spool_config c;
	struct spool *s = NULL;
	char err[256] = "";

	rig_config(&c, path);
	if (spool_open(&s, &c, 0, err, sizeof(err)))
		fail_msg("%s", err);
	return s;
}

/* Small segments, one for each start: what rig_after_kill() copies. */
static void make(void)
{
	const char *path = rig_disk_new();

	for (uint32_t f = 0; f < FILES; f++) {
		struct spool *s = open_at(path);
		uint64_t seq;

		for (uint32_t i = 0; i < FILES_EACH; i++)
			assert_int_equal(rig_put(s, batches, f * 100 + i + 1, 30 + i, &seq), 0);
		spool_close(s);
	}
}

static const char *copy(void)
{
	return rig_after_kill(rig_calls());
}

struct seen {
	unsigned n;
	uint64_t missing; /* records of those that did not come */
	uint64_t first_missing;
	uint64_t last;
	uint64_t lost; /* records, as counted */
	struct spool_counters counters;
};

/* Reads all, in order and as it was put; acknowledges it if asked to. */
static struct seen look(const char *path, bool ack)
{
	struct spool *s = open_at(path);
	struct seen seen = {0};
	struct spool_batch b;

	while (spool_next(s, &b) == 0) {
		assert_true(b.seq > seen.last);
		assert_true(rig_same(&b, batches));
		for (uint64_t i = seen.last + 1; i < b.seq; i++) {
			seen.missing += batches[i].records;
			seen.first_missing = seen.first_missing ? seen.first_missing : i;
		}
		seen.last = b.seq;
		seen.n++;
		if (ack)
			spool_ack_through(s, b.seq);
	}
	seen.counters = *spool_counters(s);
	seen.lost = seen.counters.lost_damaged + seen.counters.lost_missing;
	if (ack)
		for (uint64_t now = 0; now < 3000; now += 300)
			spool_step(s, now);
	seen.counters = *spool_counters(s);
	spool_close(s);
	return seen;
}

/* ---- pieces ---- */

static void test_crc(void **state)
{
	uint8_t data[300];

	(void)state;
	memset(data, 0, 32); /* RFC 3720 B.4 */
	assert_int_equal(crc32c(0, data, 32), 0x8a9136aa);
	memset(data, 0xff, 32);
	assert_int_equal(crc32c(0, data, 32), 0x62a8ab43);
	for (int i = 0; i < 32; i++)
		data[i] = (uint8_t)i;
	assert_int_equal(crc32c(0, data, 32), 0x46dd794e);
	assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283);
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 37);
	for (size_t from = 0; from < 9; from++)
		for (size_t n = 0; n + from <= sizeof(data); n++) {
			assert_int_equal(crc32c(5, data + from, n), crc32c_table(5, data + from, n));
			assert_int_equal(crc32c(crc32c(0, data, from), data + from, n), crc32c(0, data, from + n));
		}
}

static void test_headers(void **state)
{
	struct spool_header h, hs = {5, 7, 11};
	struct spool_record r, rs = {.seq = 9, .first_record = 3, .len = 4, .records = 2, .own = 1};
	struct spool_pos p, ps = {12, 13};
	uint8_t header[SPOOL_HEADER], record[SPOOL_RECORD], pos[SPOOL_POS];

	(void)state;
	spool_header_put(header, &hs);
	assert_int_equal(spool_header_get(&h, header), 0);
	assert_memory_equal(&h, &hs, sizeof(h));
	spool_record_put(record, &rs, (const uint8_t *)"abcd");
	assert_true(spool_record_get(&r, record));
	assert_memory_equal(&r, &rs, sizeof(r));
	spool_pos_put(pos, &ps);
	assert_true(spool_pos_get(&p, pos));
	assert_memory_equal(&p, &ps, sizeof(p));
	for (size_t bit = 0; bit < 8 * sizeof(header); bit++) {
		header[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_not_equal(spool_header_get(&h, header), 0);
		header[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	for (size_t bit = 0; bit < 8 * sizeof(record); bit++) {
		record[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_false(spool_record_get(&r, record));
		record[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	for (size_t bit = 0; bit < 8 * sizeof(pos); bit++) {
		pos[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_false(spool_pos_get(&p, pos));
		pos[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
}

/* The circle beside a list. */
static void test_buffer(void **state)
{
	struct spool_buffer b;
	uint32_t seed = 3;
	uint64_t written = 1;
	size_t written_at = 0;

	(void)state;
	assert_int_equal(spool_buffer_init(&b, 5000, 1), 0);
	for (int i = 0; i < 20000; i++) {
		uint8_t data[1500];
		struct spool_record r = {.len = 1 + rig_random(&seed) % 1500, .records = 1};
		struct spool_run run;
		const uint8_t *payload;
		size_t at;

		memset(data, (int)(b.head_seq & 0xff), sizeof(data));
		at = rig_random(&seed) % 3 ? spool_buffer_put(&b, &r, NULL, data) : SIZE_MAX;
		if (at != SIZE_MAX && r.seq == written)
			written_at = at;
		if (rig_random(&seed) % 3 == 0 && written < b.head_seq) {
			size_t sum = 0;

			spool_buffer_run(&b, written_at, written, rig_random(&seed) % 4000, &run);
			for (int p = 0; p < run.n; p++) {
				assert_true(spool_record_get(&r, run.pieces[p].iov_base));
				assert_true(r.seq >= written);
				sum += run.pieces[p].iov_len;
			}
			assert_int_equal(sum, run.octets);
			written = run.seq;
			written_at = run.at;
		}
		if (rig_random(&seed) % 3 == 0)
			spool_buffer_release(&b, b.tail_seq + rig_random(&seed) % (written - b.tail_seq + 1));
		for (uint64_t seq = b.tail_seq; seq < b.head_seq; seq++) {
			spool_buffer_get(&b, spool_buffer_find(&b, seq), &r, &payload);
			assert_int_equal(r.seq, seq);
			assert_int_equal(payload[r.len - 1], seq & 0xff);
		}
	}
	assert_true(written > 5000);
	spool_buffer_deinit(&b);
}

/* ---- damage ---- */

/* A bit anywhere in a segment costs the batch that it is in, and nothing if it is in the segment's header. */
static unsigned flips(uint64_t first_seq, bool last)
{
	char name[SPOOL_NAME];
	unsigned wrong = 0;
	uint64_t size;

	make();
	spool_dir_name(name, first_seq, ".seg");
	size = rig_size(copy(), name);
	assert_true(size > 500);
	for (uint64_t at = 0; at < size; at++) {
		const char *path = copy();
		struct seen seen;

		rig_flip(path, name, at);
		if (spool_fault_now == SPOOL_FAULT_NO_CRC) { /* only whether it is noticed */
			struct spool *s = open_at(path);

			for (struct spool_batch b; spool_next(s, &b) == 0;)
				wrong += !rig_same(&b, batches);
			spool_close(s);
			continue;
		}
		seen = look(path, false);
		if (at < SPOOL_HEADER && seen.n != FILES_ALL)
			wrong++;
		if (at >= SPOOL_HEADER && seen.n != FILES_ALL - 1)
			wrong++;
		if (last &&
		    seen.last < FILES_ALL) /* cut, or known by its own header: nothing comes after it to say how many */
			continue;
		if (seen.lost != seen.missing)
			wrong++;
	}
	return wrong;
}

static void test_flips(void **state)
{
	(void)state;
	assert_int_equal(flips(1, false), 0);
	assert_int_equal(flips(1 + FILES_EACH, false), 0);
	assert_int_equal(flips(1 + 2 * FILES_EACH, true), 0);
	spool_fault_now = SPOOL_FAULT_NO_CRC;
	assert_true(flips(1, false) > 0);
	spool_fault_now = SPOOL_FAULT_NONE;
}

/* Where a segment ends too early, what was behind is missing and counted. */
static void test_cuts(void **state)
{
	char file[160];
	uint64_t size;

	(void)state;
	make();
	size = rig_size(copy(), "000000000000000b.seg");
	for (uint64_t at = 0; at < size; at++) {
		const char *path = copy();
		struct seen seen;

		snprintf(file, sizeof(file), "%s/000000000000000b.seg", path);
		assert_int_equal(truncate(file, (off_t)at), 0);
		seen = look(path, false);
		assert_int_equal(seen.last, FILES_ALL);
		assert_int_equal(seen.lost, seen.missing);
		assert_true(seen.first_missing > 0);
		assert_int_equal(seen.n, seen.first_missing - 1 + FILES_EACH);
	}
	/* The last one: what a crash leaves. */
	size = rig_size(copy(), "0000000000000015.seg");
	for (uint64_t at = 0; at < size; at++) {
		const char *path = copy();
		struct seen seen;

		snprintf(file, sizeof(file), "%s/0000000000000015.seg", path);
		assert_int_equal(truncate(file, (off_t)at), 0);
		seen = look(path, true);
		assert_int_equal(seen.last, seen.n);
		assert_true(seen.n >= 2 * FILES_EACH && seen.n < FILES_ALL);
		assert_int_equal(seen.lost, 0);
		assert_int_equal(look(path, true).n, 0);
	}
}

static void test_zeros(void **state)
{
	static const uint8_t zeros[300];
	char file[160];
	uint32_t seed = 5;

	(void)state;
	make();
	for (int i = 0; i < 300; i++) {
		const char *path = copy();
		off_t at = (off_t)(rig_random(&seed) % 700);
		size_t n = 1 + rig_random(&seed) % sizeof(zeros);
		struct seen seen;
		int fd;

		snprintf(file, sizeof(file), "%s/%016x.seg", path, 1 + (i & 1) * FILES_EACH);
		fd = open(file, O_WRONLY | O_CLOEXEC, 0);
		assert_true(fd >= 0 && pwrite(fd, zeros, n, at) == (ssize_t)n);
		close(fd);
		seen = look(path, false);
		assert_int_equal(seen.last, FILES_ALL);
		assert_int_equal(seen.lost, seen.missing);
		assert_in_range(FILES_ALL - seen.n, 0, 1 + (n + 30) / 70 + 1);
	}
}

static void test_segment_missing(void **state)
{
	char file[160];
	struct seen seen;

	(void)state;
	for (int f = 0; f < FILES - 1; f++) {
		const char *path;

		make();
		path = copy();
		snprintf(file, sizeof(file), "%s/%016x.seg", path, 1 + f * FILES_EACH);
		assert_int_equal(unlink(file), 0);
		seen = look(path, false);
		assert_int_equal(seen.n, FILES_ALL - FILES_EACH);
		if (f) /* of the first nobody knows: there is no position */
			assert_int_equal(seen.counters.lost_missing, seen.missing);
	}
}

/* Numbers are not given again though all that had them is gone: what is new would be taken for acknowledged. */
static void test_numbers_go_on(void **state)
{
	char file[160];

	(void)state;
	for (int fault = 0; fault < 2; fault++) {
		const char *path;
		struct spool *s;
		struct spool_batch b;
		uint64_t seq;

		make();
		path = copy();
		assert_int_equal(look(path, true).n, FILES_ALL);
		for (int f = 0; f < FILES; f++) {
			snprintf(file, sizeof(file), "%s/%016x.seg", path, 1 + f * FILES_EACH);
			(void)unlink(file);
		}
		spool_fault_now = fault ? SPOOL_FAULT_REUSE : SPOOL_FAULT_NONE;
		s = open_at(path);
		assert_int_equal(rig_put(s, batches, 1, 10, &seq), 0);
		spool_flush(s);
		spool_step(s, 1000);
		assert_int_equal(seq, fault ? 1 : FILES_ALL + 1);
		assert_int_equal(spool_next(s, &b), fault ? -EAGAIN : 0);
		spool_close(s);
		spool_fault_now = SPOOL_FAULT_NONE;
	}
}

/* ---- the position ---- */

static unsigned positions(void)
{
	unsigned wrong = 0;

	for (uint64_t at = 0; at < SPOOL_POS; at++) {
		const char *path;
		struct spool *s;
		struct spool_batch b;

		make();
		path = copy();
		s = open_at(path);
		for (int i = 0; i < 5; i++)
			assert_int_equal(spool_next(s, &b), 0);
		spool_ack_through(s, 5);
		spool_close(s);
		s = open_at(path);
		assert_int_equal(spool_next(s, &b), 0);
		assert_int_equal(b.seq, 6);
		spool_close(s);
		rig_flip(path, "pos", at);
		s = open_at(path);
		wrong += spool_next(s, &b) != 0 || b.seq != 1; /* the first segment is there still */
		spool_close(s);
	}
	return wrong;
}

static void test_position(void **state)
{
	(void)state;
	assert_int_equal(positions(), 0);
	spool_fault_now = SPOOL_FAULT_TRUST_POS;
	assert_true(positions() > 0);
	spool_fault_now = SPOOL_FAULT_NONE;
}

/* ---- the directory ---- */

static bool there(const char *path, const char *name)
{
	char file[160];

	snprintf(file, sizeof(file), "%s/%s", path, name);
	return access(file, F_OK) == 0;
}

/* What was damaged is kept for whoever wants to look, two files at most. */
static void test_quarantine(void **state)
{
	const char *path;
	struct seen seen;

	(void)state;
	make();
	path = copy();
	rig_flip(path, "0000000000000001.seg", 100);
	seen = look(path, true);
	assert_int_equal(seen.counters.damaged, 1);
	assert_true(there(path, "0000000000000001.bad"));
	assert_false(there(path, "0000000000000001.seg"));
	path = copy();
	for (int f = 0; f < FILES; f++) {
		char name[SPOOL_NAME];

		spool_dir_name(name, (uint64_t)(1 + f * FILES_EACH), ".seg");
		rig_flip(path, name, 100);
	}
	seen = look(path, true);
	assert_int_equal(seen.counters.quarantined, FILES);
	assert_false(there(path, "0000000000000001.bad") || there(path, "0000000000000001.seg"));
	assert_true(there(path, "000000000000000b.bad") && there(path, "0000000000000015.bad"));
	for (uint64_t first = 1; first < 40; first++) { /* others' as well */
		char file[160];
		int fd;

		snprintf(file, sizeof(file), "%s/%016llx.bad", path, (unsigned long long)first);
		fd = openat(AT_FDCWD, file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
		assert_true(fd >= 0);
		close(fd);
	}
	spool_close(open_at(path));
	assert_true(there(path, "0000000000000027.bad") && there(path, "0000000000000026.bad"));
	assert_false(there(path, "0000000000000025.bad") || there(path, "0000000000000001.bad"));
}

/* A segment of a later version is put aside, and its records are counted. */
static void test_later_version(void **state)
{
	uint8_t header[SPOOL_HEADER];
	uint32_t crc;
	char file[160];
	const char *path;
	struct seen seen;
	int fd;

	(void)state;
	make();
	path = copy();
	spool_header_put(header, &(struct spool_header){.first_seq = 11});
	header[8] = 2;
	crc = crc32c(0, header, 44);
	memcpy(header + 44, &crc, 4);
	snprintf(file, sizeof(file), "%s/000000000000000b.seg", path);
	fd = open(file, O_WRONLY | O_CLOEXEC, 0);
	assert_true(fd >= 0 && pwrite(fd, header, sizeof(header), 0) == (ssize_t)sizeof(header));
	close(fd);
	seen = look(path, true);
	assert_int_equal(seen.n, FILES_ALL - FILES_EACH);
	assert_int_equal(seen.counters.lost_damaged, seen.missing);
	assert_true(there(path, "000000000000000b.bad"));
}

static void test_foreign_files(void **state)
{
	static const char *const names[] = {"notes.txt", "000000000000000c.segx", "xyz.seg", "00000000000000FF.seg"};
	char file[160];
	const char *path;
	struct seen seen;

	(void)state;
	make();
	path = copy();
	for (size_t i = 0; i < 4; i++) {
		snprintf(file, sizeof(file), "%s/%s", path, names[i]);
		assert_int_equal(symlink("/dev/zero", file), 0);
	}
	snprintf(file, sizeof(file), "%s/0000000000000003.seg", path);
	assert_int_equal(symlink("0000000000000001.seg", file), 0);
	snprintf(file, sizeof(file), "%s/4000000000000000.seg", path); /* no number is left after that one */
	close(openat(AT_FDCWD, file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	snprintf(file, sizeof(file), "%s/0000000000000100.seg", path);
	assert_int_equal(mkfifo(file, 0600), 0);
	seen = look(path, true);
	assert_int_equal(seen.n, FILES_ALL);
	assert_int_equal(seen.lost, 0);
	assert_true(there(path, "notes.txt"));
	/* Ours, in the making when somebody died. */
	snprintf(file, sizeof(file), "%s/.pos.tmp", path);
	assert_int_equal(symlink("/etc/passwd", file), 0);
	assert_int_equal(look(path, true).n, 0);
	assert_false(there(path, ".pos.tmp"));
}

/* A last segment that cannot be read for now is not lost: it is read when it can be, and what is put meanwhile comes after it. */
static void test_unreadable_at_start(void **state)
{
	struct spool_batch b;
	const char *path;
	struct spool *s;
	uint64_t seq;
	unsigned n = 0;

	(void)state;
	make();
	path = copy();
	rig_not_opened(EIO);
	s = open_at(path);
	rig_not_opened(0);
	assert_int_equal(rig_put(s, batches, 5, 100, &seq), 0);
	assert_true(seq > FILES_ALL);
	spool_flush(s);
	spool_step(s, 1000);
	while (spool_next(s, &b) == 0) {
		assert_true(rig_same(&b, batches));
		n++;
	}
	assert_int_equal(n, FILES_ALL + 1);
	spool_close(s);
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

static int setup(void **state)
{
	(void)state;
	log_init("test", LOG_LEVEL_ERROR);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rig_disk_free();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_crc),
		cmocka_unit_test(test_headers),
		cmocka_unit_test(test_buffer),
		cmocka_unit_test(test_flips),
		cmocka_unit_test(test_cuts),
		cmocka_unit_test(test_zeros),
		cmocka_unit_test(test_segment_missing),
		cmocka_unit_test(test_numbers_go_on),
		cmocka_unit_test(test_position),
		cmocka_unit_test(test_quarantine),
		cmocka_unit_test(test_later_version),
		cmocka_unit_test(test_foreign_files),
		cmocka_unit_test(test_unreadable_at_start),
		cmocka_unit_test(test_start_is_short),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
