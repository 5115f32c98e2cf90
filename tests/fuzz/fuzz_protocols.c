/* SPDX-License-Identifier: Apache-2.0 */
/* A file of protocol rules: an item that is handed on is whole, a file that is refused is refused with its line. */
#include <string.h>

#include "dpi/host_rules.h"
#include "dpi/protocols_file.h"
#include "fuzz_file.h"

static const char *fuzz_item(void *arg, const char *item, const char *protocol)
{
	FUZZ_CHECK(strlen(protocol) >= 1 && strlen(protocol) <= 31);
	FUZZ_CHECK(strchr(item, ':') && !strchr(item, ','));
	if (strncmp(item, "host:", 5) == 0)
		FUZZ_CHECK(host_rules_add(arg, item + 5, (uint16_t)strlen(protocol)) == 0);
	return NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct host_rules hosts = {0};
	struct protocols_file_more more = {fuzz_item, &hosts};
	const char *path = fuzz_file(data, size);
	char err[256] = "";

	if (protocols_file_check(path, &more, err, sizeof(err)))
		FUZZ_CHECK(strncmp(err, path, strlen(path)) == 0 && err[strlen(path)] == ':');
	host_rules_sort(&hosts);
	for (size_t i = 0; i < hosts.n && i < 64; i++)
		(void)host_rules_only_looks_like(&hosts, hosts.rules[hosts.n - 1 - i].host, hosts.rules[i].protocol);
	host_rules_deinit(&hosts);
	return 0;
}
