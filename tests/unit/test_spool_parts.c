/* SPDX-License-Identifier: Apache-2.0 */
/* The spool's parts by themselves: checksum, headers, buffer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/crc32c.h"
#include "spool/spool_buffer.h"
#include "spool_rig.h"

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
	static uint8_t payload[SPOOL_PAYLOAD_MAX + 1];

	(void)state;
	spool_header_put(header, &hs);
	assert_int_equal(spool_header_get(&h, header), 0);
	assert_memory_equal(&h, &hs, sizeof(h));
	spool_record_put(record, &rs, (const uint8_t *)"abcd");
	assert_true(spool_record_get(&r, record));
	assert_memory_equal(&r, &rs, sizeof(r));
	for (uint32_t more = 0; more < 2; more++) { /* no more memory than that is taken for what a file says */
		spool_record_put(record, &(struct spool_record){.seq = 1, .len = SPOOL_PAYLOAD_MAX + more}, payload);
		assert_int_equal(spool_record_get(&r, record), !more);
	}
	spool_record_put(record, &rs, (const uint8_t *)"abcd");
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_crc),
		cmocka_unit_test(test_headers),
		cmocka_unit_test(test_buffer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
