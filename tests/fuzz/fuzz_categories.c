/* SPDX-License-Identifier: Apache-2.0 */
/* A file of categories: what is taken is found again, a file that is refused is refused with its name. */
#include <string.h>

#include "dpi/categories.h"
#include "fuzz_file.h"

static const char *fuzz_name(const void *arg, uint32_t id)
{
	static const char *const names[] = {"Unspecified", "Web", NULL, "User custom category 1"};

	(void)arg;
	return names[id];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct category_names names = {fuzz_name, NULL, 4};
	static const uint8_t none[16];
	const char *path = fuzz_file(data, size);
	struct categories c;
	char err[512] = "";

	if (categories_load(&c, path, &names, err, sizeof(err))) {
		FUZZ_CHECK(strncmp(err, path, strlen(path)) == 0 && err[strlen(path)] == ':');
		FUZZ_CHECK(c.n_hosts == 0 && c.n_nets == 0);
		return 0;
	}
	for (size_t i = 0; i < c.n_hosts; i++) {
		char under[CATEGORIES_HOST_MAX + 2];

		/* Under ".x" is "a.x"; a name is found as it stands. */
		snprintf(under, sizeof(under), "%s%s", *c.hosts[i].name == '.' ? "a" : "", c.hosts[i].name);
		if (strlen(under) <= CATEGORIES_HOST_MAX)
			FUZZ_CHECK(categories_find(&c, under, none, none) >= 0);
	}
	for (size_t i = 0; i < c.n_nets; i++)
		FUZZ_CHECK(categories_find(&c, "", c.nets[i].prefix.ip, none) >= 0 &&
			   categories_find(&c, "", c.nets[i].prefix.ip, none) != 2);
	categories_deinit(&c);
	return 0;
}
