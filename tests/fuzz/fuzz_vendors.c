/* SPDX-License-Identifier: Apache-2.0 */
/* A file of --mac-vendors: it is refused with its name, or what is found in it is short. */
#include <string.h>

#include "export/vendors.h"
#include "fuzz_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *path = fuzz_file(data, size);
	char err[512] = "";
	struct vendors *v;
	uint8_t mac[6] = {0};

	if (vendors_open(&v, &path, 1, err, sizeof(err))) {
		FUZZ_CHECK(!v && strncmp(err, path, strlen(path)) == 0 && err[strlen(path)] == ':');
		return 0;
	}
	FUZZ_CHECK(vendors_count(v) > 0);
	for (size_t i = 0; i + 3 <= size; i += 3) {
		size_t len = 0;

		memcpy(mac, data + i, 3);
		if (vendors_find(v, mac, &len))
			FUZZ_CHECK(len <= VENDORS_TEXT_MAX);
	}
	vendors_free(v);
	return 0;
}
