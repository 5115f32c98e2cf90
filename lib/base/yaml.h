/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A YAML file as a tree of nodes that know their place, for configuration and rules. Stricter than YAML: one
 * document, no duplicate keys, no anchors, aliases or tags, scalar keys only, at most YAML_DEPTH_MAX levels,
 * YAML_NODES_MAX nodes and YAML_SIZE_MAX octets.
 */
#ifndef L7_BASE_YAML_H
#define L7_BASE_YAML_H

#include <stdbool.h>
#include <stddef.h>

#define YAML_DEPTH_MAX 32
#define YAML_NODES_MAX (1u << 20)
#define YAML_SIZE_MAX (16u << 20)

enum yaml_kind { YAML_SCALAR, YAML_LIST, YAML_MAP };

struct yaml_node {
	enum yaml_kind kind;
	int line;                 /* from 1 */
	int column;               /* from 1 */
	bool quoted;              /* scalar written in quotes */
	char *value;              /* scalar: text; an empty plain scalar (null) is "" */
	size_t n;                 /* list, map: items */
	struct yaml_node **items; /* list: items; map: values */
	struct yaml_node **keys;  /* map: keys, scalars */
};

struct yaml {
	char *file;             /* name for messages */
	struct yaml_node *root; /* NULL for an empty file */
};

/* Returns 0, or a negative errno with "file:line:column: what is wrong" in err. yaml_deinit() after success. */
int yaml_load(struct yaml *y, const char *path, char *err, size_t err_size);
/* The same from memory; name stands for the file in messages. */
int yaml_parse(struct yaml *y, const char *name, const char *text, size_t len, char *err, size_t err_size);
void yaml_deinit(struct yaml *y);

/* Value of a key of a map, or NULL. */
const struct yaml_node *yaml_get(const struct yaml_node *map, const char *key);

/* Writes "file:line:column: " and the formatted sentence to err. Always returns -EINVAL. */
__attribute__((format(printf, 5, 6))) int yaml_error(const struct yaml *y, const struct yaml_node *at, char *err,
						     size_t err_size, const char *fmt, ...);

#endif
