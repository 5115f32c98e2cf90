/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files that the probe reads by itself give what libpcap gives: the same frames, the same end, the same words about an error. Who
 * gives a filter reads by libpcap, so that each file is read both ways.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "capture/capture.h"
#include "capture/plain_file.h"

#define ALL "" /* a filter that all frames pass */

enum { MICRO, NANO, SWAPPED, SWAPPED_NANO, KINDS };
enum { FILE_MAX = 4 << 20, HEADER = 24 };

struct capture_test {
	char path[64];
	uint8_t *octets;
	size_t len;
	bool swapped;
};

/* What was read, in few words: an order-dependent sum of all frames. */
struct said {
	uint64_t sum;
	unsigned frames;
	int end;
	char error[256];
};

static int setup(void **state)
{
	struct capture_test *t = calloc(1, sizeof(*t));
	int fd;

	*state = t;
	snprintf(t->path, sizeof(t->path), "/tmp/test_capture.XXXXXX");
	fd = mkstemp(t->path);
	t->octets = malloc(FILE_MAX);
	return fd < 0 || close(fd) || !t->octets ? -1 : 0;
}

static int teardown(void **state)
{
	struct capture_test *t = *state;

	unlink(t->path);
	free(t->octets);
	free(t);
	return 0;
}

static void put(struct capture_test *t, const void *data, size_t n)
{
	assert_true(t->len + n <= FILE_MAX);
	memcpy(t->octets + t->len, data, n);
	t->len += n;
}

static void put32(struct capture_test *t, uint32_t v)
{
	if (t->swapped)
		v = __builtin_bswap32(v);
	put(t, &v, sizeof(v));
}

static void put16(struct capture_test *t, uint16_t v)
{
	if (t->swapped)
		v = __builtin_bswap16(v);
	put(t, &v, sizeof(v));
}

static void begin(struct capture_test *t, int kind, uint32_t snaplen)
{
	t->len = 0;
	t->swapped = kind == SWAPPED || kind == SWAPPED_NANO;
	put32(t, kind == NANO || kind == SWAPPED_NANO ? 0xa1b23c4d : 0xa1b2c3d4);
	put16(t, 2);
	put16(t, 4);
	put32(t, 0);
	put32(t, 0);
	put32(t, snaplen);
	put32(t, 1);
}

static void record(struct capture_test *t, uint32_t seconds, uint32_t fraction, uint32_t captured, uint32_t wire)
{
	put32(t, seconds);
	put32(t, fraction);
	put32(t, captured);
	put32(t, wire);
	assert_true(t->len + captured <= FILE_MAX);
	for (uint32_t i = 0; i < captured; i++)
		t->octets[t->len++] = (uint8_t)(i * 7 + captured + seconds);
}

static void save(const struct capture_test *t, size_t len)
{
	FILE *f = fopen(t->path, "wb");

	assert_non_null(f);
	assert_int_equal(len, fwrite(t->octets, 1, len, f));
	assert_int_equal(0, fclose(f));
}

static void mix(struct said *s, uint64_t v)
{
	s->sum = (s->sum ^ v) * 0x9e3779b97f4a7c15u;
	s->sum ^= s->sum >> 29;
}

static void on_frames(void *arg, const struct capture_frame *frames, unsigned n)
{
	struct said *s = arg;

	assert_in_range(n, 1, CAPTURE_TOGETHER);
	for (unsigned i = 0; i < n; i++) {
		const struct capture_frame *f = &frames[i];

		mix(s, f->time_ms);
		mix(s, f->us);
		mix(s, f->captured);
		mix(s, f->wire);
		for (uint32_t k = 0; k < f->captured; k++)
			mix(s, f->data[k]);
		s->frames++;
	}
}

static struct said read_all(const char *path, const char *filter, unsigned most)
{
	struct said s = {.sum = 0};
	struct capture *c;
	uint64_t before = 0;
	int n = 0;

	s.end = capture_open_file(&c, path, filter, s.error, sizeof(s.error));
	if (s.end)
		return s;
	while (n >= 0) {
		n = capture_read(c, most, on_frames, &s);
		assert_true(n <= (int)most);
		assert_true(n < 0 || capture_position(c) > before);
		before = capture_position(c);
	}
	s.end = n;
	snprintf(s.error, sizeof(s.error), "%s", n == CAPTURE_FAILED ? capture_error(c) : "");
	capture_close(c);
	return s;
}

/* Returns how many frames both had. */
static unsigned both(const struct capture_test *t, size_t len, unsigned most)
{
	struct said ours, theirs;

	save(t, len);
	ours = read_all(t->path, NULL, most);
	theirs = read_all(t->path, ALL, 512);
	assert_string_equal(ours.error, theirs.error);
	assert_int_equal(ours.end, theirs.end);
	assert_int_equal(ours.frames, theirs.frames);
	assert_int_equal(ours.sum, theirs.sum);
	return ours.frames;
}

/* How many records are read without libpcap; -1: it is not of the usual kind. */
static int plain(const struct capture_test *t, uint32_t snaplen)
{
	int fd = open(t->path, O_RDONLY);
	struct plain_file *f = plain_file_new(fd, snaplen);
	struct pcap_pkthdr h;
	const uint8_t *data;
	int n = 0;

	while (f && plain_file_next(f, false, &h, &data))
		n++;
	if (!f)
		n = -1;
	plain_file_free(f);
	close(fd);
	return n;
}

static void some(struct capture_test *t)
{
	static const uint32_t sizes[] = {60, 0, 1, 1514, 65535, 9000, 262144, 40, 65520, 16, 200000};

	for (uint32_t i = 0; i < 300; i++)
		record(t, 1600000000 + i, i * 999 % 1000000, 42 + i * 37 % 1400, 1500);
	for (uint32_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		record(t, 1600001000 + i, i, sizes[i], sizes[i]);
}

static void test_kinds(void **state)
{
	struct capture_test *t = *state;

	for (int kind = 0; kind < KINDS; kind++) {
		begin(t, kind, 262144);
		some(t);
		for (unsigned most = 1; most <= 512; most = most * 2 + 5)
			assert_int_equal(311, both(t, t->len, most));
		assert_int_equal(311, plain(t, 262144));
	}
}

/* What libpcap has a rule of its own for. */
static void test_unusual(void **state)
{
	static const struct {
		uint32_t seconds, fraction, captured, wire;
		unsigned expected;
	} cases[] = {
		{0, 0, 60, 60, 3},          {0x7fffffff, 999999, 60, 60, 3},
		{0x80000000, 0, 60, 60, 3}, {0xffffffff, 0, 60, 60, 3},
		{1, 1000000, 60, 60, 3},    {1, 999999999, 60, 60, 3},
		{1, 0x80000000, 60, 60, 3}, {1, 0, 60, 0, 3},
		{1, 0, 60, 0xffffffff, 3},  {1, 0, 2000, 2000, 3},
		{1, 0, 262145, 262145, 1},
	};

	struct capture_test *t = *state;

	for (int kind = 0; kind < KINDS; kind++)
		for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
			begin(t, kind, 1500);
			record(t, 1, 1, 100, 100);
			record(t, cases[i].seconds, cases[i].fraction, cases[i].captured, cases[i].wire);
			record(t, 2, 2, 100, 100);
			assert_int_equal(cases[i].expected, both(t, t->len, 512));
		}
}

static void test_cut_anywhere(void **state)
{
	struct capture_test *t = *state;

	for (int kind = 0; kind < KINDS; kind++) {
		begin(t, kind, 65535);
		for (uint32_t i = 0; i < 3; i++)
			record(t, 1600000000, i, 20 + i, 60);
		for (size_t len = 0; len <= t->len; len++)
			both(t, len, 512);
	}
}

/* Any octet may be anything. */
static void test_damaged(void **state)
{
	struct capture_test *t = *state;
	uint32_t random = 1;

	for (int round = 0; round < 3000; round++) {
		begin(t, round % KINDS, round % 3 ? 65535 : 64);
		for (uint32_t i = 0; i < 6; i++)
			record(t, 1600000000 + i, i, 30 + i * 10, 60);
		for (int i = 0; i <= round % 3; i++) {
			random = random * 1664525 + 1013904223;
			t->octets[(random >> 8) % t->len] ^= (uint8_t)(1u << (random >> 29));
		}
		both(t, t->len, 512);
	}
}

/* Other versions, other links, no file at all: nothing of these is read without libpcap. */
static void test_left_alone(void **state)
{
	struct capture_test *t = *state;
	static const struct {
		size_t at;
		uint8_t to;
	} cases[] = {{0, 0xd5}, {0, 0x0a}, {4, 1}, {6, 3}};
	int ends[2];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		begin(t, MICRO, 65535);
		record(t, 1, 1, 60, 60);
		t->octets[cases[i].at] = cases[i].to;
		both(t, t->len, 512);
		assert_int_equal(-1, plain(t, 65535));
	}
	save(t, HEADER - 1);
	assert_int_equal(-1, plain(t, 65535));
	assert_int_equal(0, pipe(ends));
	assert_int_equal(HEADER, write(ends[1], t->octets, HEADER));
	assert_null(plain_file_new(ends[0], 65535));
	close(ends[0]);
	close(ends[1]);
}

/* Records are the same of all link types, and however long the check sequence in them is said to be. */
static void test_other_links(void **state)
{
	struct capture_test *t = *state;
	static const struct {
		size_t at;
		uint8_t to;
	} cases[] = {{20, 113}, {20, 101}, {23, 0x24}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		begin(t, MICRO, 65535);
		record(t, 1, 1, 60, 60);
		t->octets[cases[i].at] = cases[i].to;
		assert_int_equal(1, both(t, t->len, 512));
		assert_int_equal(1, plain(t, 65535));
	}
}

/* Records that are longer than the file says, and the rest of it, are libpcap's. */
static void test_turn(void **state)
{
	struct capture_test *t = *state;

	begin(t, MICRO, 100);
	record(t, 1, 1, 100, 100);
	record(t, 2, 1, 101, 101);
	record(t, 3, 1, 100, 100);
	save(t, t->len);
	assert_int_equal(1, plain(t, 100));
	assert_int_equal(3, both(t, t->len, 512));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_kinds, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unusual, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cut_anywhere, setup, teardown),
		cmocka_unit_test_setup_teardown(test_damaged, setup, teardown),
		cmocka_unit_test_setup_teardown(test_left_alone, setup, teardown),
		cmocka_unit_test_setup_teardown(test_other_links, setup, teardown),
		cmocka_unit_test_setup_teardown(test_turn, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
