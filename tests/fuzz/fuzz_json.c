/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines of JSON as flow records: each is refused with a printable sentence, or gives a record that passes the check and that is the
 * same when it is written and read again.
 */
#include <string.h>

#include "fuzz.h"
#include "record/record_json.h"
#include "record/record_json_reader.h"

#define FUZZ_EXACT (UINT64_C(1) << 53) /* larger numbers may be rounded on the way */

static bool fuzz_exact(const struct l7_record *r)
{
	for (unsigned f = 0; f < L7_FIELD_COUNT; f++) {
		const void *member = (const char *)r + l7_fields[f].offset;

		if (l7_fields[f].type != L7_TYPE_U64 && l7_fields[f].type != L7_TYPE_MSEC)
			continue;
		if (*(const uint64_t *)member > FUZZ_EXACT)
			return false;
	}
	return true;
}

static void fuzz_again(const struct l7_record *r)
{
	struct record_json_reader j;
	struct l7_record again;
	struct buf first, second;
	char err[RECORD_JSON_ERROR_MAX];

	record_json_reader_init(&j);
	buf_init(&first, RECORD_JSON_MAX);
	buf_init(&second, RECORD_JSON_MAX);
	record_json(&first, r);
	FUZZ_CHECK(!first.failed && record_json_read(&j, first.data, first.len, &again, err) == 0);
	FUZZ_CHECK(j.unknown == 0 && j.no_room == 0);
	record_json(&second, &again);
	FUZZ_CHECK(first.len == second.len && memcmp(first.data, second.data, first.len) == 0);
	buf_deinit(&first);
	buf_deinit(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct record_json_reader j;
	struct l7_record r;

	record_json_reader_init(&j);
	while (size) {
		const uint8_t *end = memchr(data, '\n', size);
		size_t len = end ? (size_t)(end - data) : size;
		char err[RECORD_JSON_ERROR_MAX] = "", *line = malloc(len ? len : 1);

		FUZZ_CHECK(line);
		memcpy(line, data, len); /* its own, so that a read past its end is seen */
		if (record_json_read(&j, line, len, &r, err) == 0) {
			FUZZ_CHECK(l7_record_check(&r, sizeof(r)) && r.biflow != L7_BIFLOW_REVERSE);
			if (fuzz_exact(&r))
				fuzz_again(&r);
		} else {
			FUZZ_CHECK(err[0] && strlen(err) < sizeof(err));
			for (const char *c = err; *c; c++)
				FUZZ_CHECK((unsigned char)*c >= 0x20 && *c != 0x7f);
		}
		FUZZ_CHECK(j.unknown <= RECORD_JSON_UNKNOWN_MAX);
		free(line);
		data += len + (end ? 1 : 0);
		size -= len + (end ? 1 : 0);
	}
	return 0;
}
