/* SPDX-License-Identifier: Apache-2.0 */
/* A template: a file, or, after an octet of 1, the list of a command line. What is taken names fields, each once. */
#include <string.h>

#include "fuzz_file.h"
#include "l7/fields.h"
#include "record/profile.h"

static void fuzz_fields(const uint8_t *fields, size_t n)
{
	bool seen[L7_FIELD_COUNT] = {false};

	FUZZ_CHECK(n <= L7_FIELD_COUNT);
	for (size_t i = 0; i < n; i++) {
		FUZZ_CHECK(fields[i] < L7_FIELD_COUNT && !seen[fields[i]]);
		FUZZ_CHECK(l7_fields[fields[i]].pen != L7_PEN_NONE);
		seen[fields[i]] = true;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char spec[4096] = "", err[256] = "";
	struct profile p;
	bool list = size > 0 && *data == 1 && size < sizeof(spec);

	if (list) {
		memcpy(spec, data + 1, size - 1);
		spec[size - 1] = '\0';
		if (strchr(spec, '/') || strstr(spec, ".tmpl")) /* no files of others are read */
			return 0;
	}
	if (profile_load(&p, list ? spec : fuzz_file(data, size), err, sizeof(err))) {
		FUZZ_CHECK(strlen(err) > 10);
		return 0;
	}
	FUZZ_CHECK(p.n4 + p.n6 > 0);
	fuzz_fields(p.v4, p.n4);
	fuzz_fields(p.v6, p.n6);
	return 0;
}
