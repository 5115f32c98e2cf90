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
#include "spool_play.h"

#define FILES_EACH 10 /* batches in a segment */
#define FILES 3       /* segments */
#define FILES_ALL (FILES * FILES_EACH)

/* Small segments, one for each start: what rig_after_kill() copies. */
static void make(void)
{
	const char *path = rig_disk_new();

	for (uint32_t f = 0; f < FILES; f++) {
		struct spool *s = open_at(path);
		uint64_t seq;

		for (uint32_t i = 0; i < FILES_EACH; i++)
			assert_int_equal(rig_put(s, batches, 5 * (f * 100 + i) + 1 + i % 4, 30 + i, &seq), 0);
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
		for (uint64_t ms = 0; ms < 3000; ms += 300)
			spool_step(s, ms);
	seen.counters = *spool_counters(s);
	spool_close(s);
	return seen;
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
		wrong += seen.counters.lost_missing != 0; /* it is damaged */
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

/* What a crash has left at the end is no damage later, when other segments have come after it. */
static void test_torn_is_cut(void **state)
{
	char file[160];
	const char *path;
	struct spool *s;
	struct seen seen;
	uint64_t seq;

	(void)state;
	make();
	path = copy();
	snprintf(file, sizeof(file), "%s/0000000000000015.seg", path);
	assert_int_equal(truncate(file, (off_t)rig_size(path, "0000000000000015.seg") - 1), 0);
	s = open_at(path);
	assert_int_equal(spool_counters(s)->torn, 1);
	assert_int_equal(rig_put(s, batches, 1, 10, &seq), 0);
	assert_int_equal(seq, FILES_ALL);
	spool_close(s);
	seen = look(path, false);
	assert_int_equal(seen.n, FILES_ALL);
	assert_int_equal(seen.counters.torn + seen.counters.damaged, 0);
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

/* What is lost is lost once, however often it is met. */
static void test_damage_after_rewind(void **state)
{
	const char *path;
	struct spool_batch b;
	struct spool *s;
	uint64_t lost = 0;

	(void)state;
	make();
	path = copy();
	rig_flip(path, "0000000000000001.seg", 48 + 3 * 75 + 20); /* of the fourth */
	s = open_at(path);
	for (uint64_t last = 0, i = 0; i < 15; i++, last = b.seq) {
		assert_int_equal(spool_next(s, &b), 0);
		lost += b.seq > last + 1 ? batches[last + 1].records : 0;
	}
	assert_true(lost > 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(spool_counters(s)->lost_damaged, lost);
		spool_ack_through(s, 2);
		spool_rewind(s);
		for (int n = 0; n < 12; n++)
			assert_int_equal(spool_next(s, &b), 0);
		assert_int_equal(b.seq, 15);
	}
	assert_int_equal(spool_counters(s)->lost_damaged, lost);
	spool_close(s);
}

/* A segment in the making: batches of one octet and one record. */
struct made {
	uint8_t octets[200000];
	size_t len;
};

static void made_begin(struct made *m, uint64_t first)
{
	spool_header_put(m->octets, &(struct spool_header){.first_seq = first, .first_record = first - 1});
	m->len = SPOOL_HEADER;
}

static void made_batch(struct made *m, uint64_t seq, uint8_t octet)
{
	struct spool_record r = {.seq = seq, .first_record = seq - 1, .len = 1, .records = 1};

	m->octets[m->len + SPOOL_RECORD] = octet;
	spool_record_put(m->octets + m->len, &r, m->octets + m->len + SPOOL_RECORD);
	m->len += SPOOL_RECORD + 1;
}

static void made_end(const struct made *m, const char *path, uint64_t first)
{
	char file[160];
	int fd;

	snprintf(file, sizeof(file), "%s/%016llx.seg", path, (unsigned long long)first);
	fd = openat(AT_FDCWD, file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0 && pwrite(fd, m->octets, m->len, 0) == (ssize_t)m->len);
	close(fd);
}

static void expect(struct spool *s, uint64_t seq, uint8_t octet)
{
	struct spool_batch b;

	assert_int_equal(spool_next(s, &b), 0);
	assert_int_equal(b.seq, seq);
	assert_int_equal(*(const uint8_t *)b.data, octet);
}

/* After a failed sync batches may be in two segments: the later counts. */
static void test_doubled(void **state)
{
	static struct made m;
	const char *path = rig_disk_new();
	struct spool_batch b;
	struct spool *s;

	(void)state;
	for (uint64_t first = 1; first <= 6; first += 5) {
		made_begin(&m, first);
		for (uint64_t seq = first; seq < first + 10; seq++)
			made_batch(&m, seq, (uint8_t)first);
		made_end(&m, path, first);
	}
	rig_flip(path, "0000000000000001.seg", SPOOL_HEADER + 4 * (SPOOL_RECORD + 1) + SPOOL_RECORD); /* the fifth */
	s = open_at(path);
	for (uint64_t seq = 1; seq <= 15; seq++)
		if (seq != 5)
			expect(s, seq, seq < 5 ? 1 : 6);
	assert_int_equal(spool_next(s, &b), -EAGAIN);
	spool_close(s);
}

/* Checksums are right, numbers are not: none that was there before, none that cannot be there yet. */
static void test_numbers_that_cannot_be(void **state)
{
	static struct made m;
	const char *path = rig_disk_new();
	struct spool_batch b;
	struct spool *s;

	(void)state;
	made_begin(&m, 1);
	made_batch(&m, 1, 1);
	made_batch(&m, 2, 2);
	made_batch(&m, 1, 9);
	made_batch(&m, 3, 3);
	made_batch(&m, 60000, 9);
	made_batch(&m, 4, 4);
	made_end(&m, path, 1);
	s = open_at(path);
	for (uint8_t i = 1; i <= 4; i++)
		expect(s, i, i);
	assert_int_equal(spool_next(s, &b), -EAGAIN);
	assert_int_equal(spool_counters(s)->damaged, 2);
	assert_int_equal(spool_counters(s)->lost_damaged, 0);
	spool_close(s);
}

/* The next header is found wherever it is among what is read at once. */
static void test_search(void **state)
{
	static struct made m;

	(void)state;
	for (size_t n = SPOOL_SCAN_WINDOW - 120; n < SPOOL_SCAN_WINDOW + 20; n++) {
		const char *path = rig_disk_new();
		struct spool_batch b;
		struct spool *s;

		made_begin(&m, 1);
		made_batch(&m, 1, 1);
		memset(m.octets + m.len, 'L', n); /* as a magic number begins */
		m.len += n;
		made_batch(&m, 3, 3);
		made_end(&m, path, 1);
		s = open_at(path);
		expect(s, 1, 1);
		expect(s, 3, 3);
		assert_int_equal(spool_next(s, &b), -EAGAIN);
		assert_int_equal(spool_counters(s)->lost_damaged, 1);
		spool_close(s);
	}
}

/* A segment that becomes shorter while it is read ends there. */
static void test_cut_while_open(void **state)
{
	char file[160];
	struct spool_batch b;
	const char *path;
	struct spool *s;

	(void)state;
	make();
	path = copy();
	s = open_at(path);
	snprintf(file, sizeof(file), "%s/0000000000000001.seg", path);
	assert_int_equal(truncate(file, 300), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(spool_next(s, &b), 0);
	assert_int_equal(b.seq, 3);
	assert_int_equal(spool_next(s, &b), 0);
	assert_int_equal(b.seq, FILES_EACH + 1);
	assert_true(spool_counters(s)->lost_missing + spool_counters(s)->lost_damaged > 0);
	spool_close(s);
}

/* Of a last segment without a single octet that is right nobody knows how many batches were in it. */
static void test_numbers_above_what_could_be(void **state)
{
	static uint8_t zeros[2000];
	char file[160];
	const char *path;
	struct spool *s;
	uint64_t seq;
	int fd;

	(void)state;
	make();
	path = copy();
	snprintf(file, sizeof(file), "%s/0000000000000015.seg", path);
	fd = open(file, O_WRONLY | O_CLOEXEC, 0);
	assert_true(fd >= 0 && pwrite(fd, zeros, rig_size(path, "0000000000000015.seg"), 0) > 0);
	close(fd);
	s = open_at(path);
	assert_int_equal(rig_put(s, batches, 1, 10, &seq), 0);
	assert_true(seq > FILES_ALL);
	spool_step(s, 1000);
	assert_true(rig_size(path, "0000000000000015.bad") > 0);
	spool_close(s);
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
		if (!fault)
			assert_int_equal(spool_pending(s), batches[seq].records);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_flips),
		cmocka_unit_test(test_cuts),
		cmocka_unit_test(test_torn_is_cut),
		cmocka_unit_test(test_zeros),
		cmocka_unit_test(test_segment_missing),
		cmocka_unit_test(test_damage_after_rewind),
		cmocka_unit_test(test_doubled),
		cmocka_unit_test(test_numbers_that_cannot_be),
		cmocka_unit_test(test_search),
		cmocka_unit_test(test_cut_while_open),
		cmocka_unit_test(test_numbers_above_what_could_be),
		cmocka_unit_test(test_numbers_go_on),
		cmocka_unit_test(test_position),
		cmocka_unit_test(test_quarantine),
		cmocka_unit_test(test_later_version),
		cmocka_unit_test(test_foreign_files),
		cmocka_unit_test(test_unreadable_at_start),
	};

	return cmocka_run_group_tests(tests, rig_setup, rig_teardown);
}
