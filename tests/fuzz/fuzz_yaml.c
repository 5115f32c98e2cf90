/* SPDX-License-Identifier: Apache-2.0 */
/* A YAML file: what is taken is a tree within its limits, what is refused has a sentence that names the file. */
#include <string.h>

#include "base/yaml.h"
#include "fuzz.h"

static size_t fuzz_walk(const struct yaml_node *node, unsigned depth)
{
	size_t n = 1;

	FUZZ_CHECK(depth <= YAML_DEPTH_MAX);
	FUZZ_CHECK(node->line >= 1 && node->column >= 1);
	if (node->kind == YAML_SCALAR) {
		FUZZ_CHECK(node->value);
		return n;
	}
	for (size_t i = 0; i < node->n; i++) {
		if (node->kind == YAML_MAP && node->n < 100)
			FUZZ_CHECK(yaml_get(node, node->keys[i]->value) ==
				   node->items[i]); /* so no key is there twice */
		n += fuzz_walk(node->items[i], depth + 1);
	}
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char err[256] = "";
	struct yaml y;

	if (size > 1 << 16)
		return 0;
	if (yaml_parse(&y, "f.yaml", (const char *)data, size, err, sizeof(err))) {
		FUZZ_CHECK(strncmp(err, "f.yaml:", 7) == 0 && strlen(err) > 8);
		return 0;
	}
	if (y.root)
		FUZZ_CHECK(fuzz_walk(y.root, 0) <= YAML_NODES_MAX);
	yaml_deinit(&y);
	return 0;
}
