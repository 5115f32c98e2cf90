/* SPDX-License-Identifier: Apache-2.0 */
/* A file of --geoip: it is refused with its name, or records that are filled by it are good ones. */
#include <string.h>

#include "base/addr.h"
#include "export/geo.h"
#include "fuzz_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const ends[][2] = {
		{"192.0.2.1", "203.0.113.7"}, {"2001:db8::1", "2002:c000:201::1"}, {"255.255.255.255", "0.0.0.0"}};
	static const uint64_t all[2] = {UINT64_MAX, UINT64_MAX};
	const char *path = fuzz_file(data, size);
	char err[512] = "";
	struct geo *g;

	if (geo_open(&g, &path, 1, NULL, err, sizeof(err))) {
		FUZZ_CHECK(!g && strncmp(err, path, strlen(path)) == 0 && err[strlen(path)] == ':');
		return 0;
	}
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		struct l7_record r = {.ip_version = i == 1 ? 6 : 4};

		addr_parse(ends[i][0], r.src_ip);
		addr_parse(ends[i][1], r.dst_ip);
		geo_fill(g, &r, all);
		FUZZ_CHECK(l7_record_check(&r, sizeof(r)));
	}
	geo_free(g);
	return 0;
}
