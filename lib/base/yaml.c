/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libyaml's events made into a tree. libyaml 0.2.5 itself accepts duplicate keys and nesting without limit, so both
 * are checked here, before a node is made.
 */
#include "base/yaml.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <yaml.h>

/* A list or map that has not ended. */
struct yaml_level {
	struct yaml_node *node; /* owned by the tree */
	struct yaml_node *key;  /* map: read, its value not yet; owned */
	size_t cap;             /* room in items and keys */
};

struct yaml_loader {
	struct yaml *y;
	yaml_parser_t parser;
	const char *text; /* whole input, for the place of an octet that is no UTF-8 */
	struct yaml_level open[YAML_DEPTH_MAX];
	size_t depth;
	size_t n_nodes;
	bool done; /* the document has ended */
	char *err;
	size_t err_size;
};

int yaml_error(const struct yaml *y, const struct yaml_node *at, char *err, size_t err_size, const char *fmt, ...)
{
	va_list ap;
	int n;

	if (at)
		n = snprintf(err, err_size, "%s:%d:%d: ", y->file, at->line, at->column);
	else
		n = snprintf(err, err_size, "%s: ", y->file);
	if (n < 0 || (size_t)n >= err_size)
		return -EINVAL;
	va_start(ap, fmt);
	vsnprintf(err + n, err_size - (size_t)n, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

static int yaml_error_mark(struct yaml_loader *l, const yaml_mark_t *mark, const char *what)
{
	struct yaml_node at = {.line = (int)mark->line + 1, .column = (int)mark->column + 1};

	return yaml_error(l->y, &at, l->err, l->err_size, "%s", what);
}

static int yaml_no_memory(struct yaml_loader *l)
{
	snprintf(l->err, l->err_size, "%s: no memory", l->y->file);
	return -ENOMEM;
}

/* libyaml says where an octet that is not YAML text stands by its offset only. */
static int yaml_reader_error(struct yaml_loader *l)
{
	struct yaml_node at = {.line = 1, .column = 1};

	for (size_t i = 0; i < l->parser.problem_offset; i++) {
		if (l->text[i] == '\n') {
			at.line++;
			at.column = 1;
		} else if ((l->text[i] & 0xc0) != 0x80) {
			at.column++;
		}
	}
	return yaml_error(l->y, &at, l->err, l->err_size, "%s", l->parser.problem);
}

static int yaml_parser_error(struct yaml_loader *l)
{
	const yaml_parser_t *p = &l->parser;

	if (p->error == YAML_MEMORY_ERROR || !p->problem)
		return yaml_no_memory(l);
	if (p->error == YAML_READER_ERROR)
		return yaml_reader_error(l);
	if (strstr(p->problem, "cannot start any token"))
		return yaml_error_mark(l, &p->problem_mark,
				       "a text that begins with @, % or ` needs quotes; a tab does not indent");
	if (p->problem_mark.index == 0 && p->problem_mark.line == 0 && p->context)
		return yaml_error_mark(l, &p->context_mark, p->problem);
	return yaml_error_mark(l, &p->problem_mark, p->problem);
}

static void yaml_free(struct yaml_node *node)
{
	if (!node)
		return;
	for (size_t i = 0; i < node->n; i++) {
		yaml_free(node->items[i]); /* not deeper than YAML_DEPTH_MAX */
		if (node->keys)
			yaml_free(node->keys[i]);
	}
	free(node->value);
	free(node->items);
	free(node->keys);
	free(node);
}

static struct yaml_node *yaml_new(struct yaml_loader *l, enum yaml_kind kind, const yaml_mark_t *mark)
{
	struct yaml_node *node = calloc(1, sizeof(*node));

	if (!node) {
		yaml_no_memory(l);
		return NULL;
	}
	node->kind = kind;
	node->line = (int)mark->line + 1;
	node->column = (int)mark->column + 1;
	return node;
}

static bool yaml_grow(struct yaml_level *level)
{
	struct yaml_node *node = level->node;
	size_t cap = level->cap ? level->cap * 2 : 4;
	struct yaml_node **items, **keys;

	if (node->n < level->cap)
		return true;
	items = realloc(node->items, cap * sizeof(struct yaml_node *));
	if (!items)
		return false;
	node->items = items;
	if (node->kind == YAML_MAP) {
		keys = realloc(node->keys, cap * sizeof(struct yaml_node *));
		if (!keys)
			return false;
		node->keys = keys;
	}
	level->cap = cap;
	return true;
}

/* Puts a node where it belongs: the root, an item, a key or its value. Owns it, also after an error. */
static int yaml_place(struct yaml_loader *l, struct yaml_node *node)
{
	struct yaml_level *level;

	if (l->depth == 0) {
		l->y->root = node;
		return 0;
	}
	level = &l->open[l->depth - 1];
	if (level->node->kind == YAML_MAP && !level->key) {
		if (node->kind != YAML_SCALAR) {
			yaml_error(l->y, node, l->err, l->err_size, "a key is a word, not a list or a map");
			yaml_free(node);
			return -EINVAL;
		}
		level->key = node;
		return 0;
	}
	if (!yaml_grow(level)) {
		yaml_free(node);
		return yaml_no_memory(l);
	}
	if (level->key)
		level->node->keys[level->node->n] = level->key;
	level->key = NULL;
	level->node->items[level->node->n++] = node;
	return 0;
}

static int yaml_scalar(struct yaml_loader *l, const yaml_event_t *e)
{
	const char *text = (const char *)e->data.scalar.value;
	struct yaml_node *node;

	if (memchr(text, '\0', e->data.scalar.length))
		return yaml_error_mark(l, &e->start_mark, "a text may not contain the character 0");
	node = yaml_new(l, YAML_SCALAR, &e->start_mark);
	if (!node)
		return -ENOMEM;
	node->quoted = e->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
	node->value = strdup(text);
	if (!node->value) {
		yaml_free(node);
		return yaml_no_memory(l);
	}
	return yaml_place(l, node);
}

static int yaml_open(struct yaml_loader *l, enum yaml_kind kind, const yaml_mark_t *mark)
{
	struct yaml_node *node;
	int rc;

	if (l->depth == YAML_DEPTH_MAX)
		return yaml_error_mark(l, mark, "lists and maps are nested deeper than 32 levels");
	node = yaml_new(l, kind, mark);
	if (!node)
		return -ENOMEM;
	rc = yaml_place(l, node);
	if (rc)
		return rc;
	l->open[l->depth++] = (struct yaml_level){.node = node};
	return 0;
}

static int yaml_compare_keys(const void *a, const void *b)
{
	const struct yaml_node *const *x = a, *const *y = b;
	int order = strcmp((*x)->value, (*y)->value);

	if (order)
		return order;
	if ((*x)->line != (*y)->line)
		return (*x)->line < (*y)->line ? -1 : 1;
	return (*x)->column < (*y)->column ? -1 : (*x)->column > (*y)->column;
}

/* Sorted rather than compared each with each: a map may have a million keys. */
static int yaml_check_keys(struct yaml_loader *l, const struct yaml_node *map)
{
	const struct yaml_node **sorted;
	const struct yaml_node *first = NULL, *again = NULL;

	if (map->n < 2)
		return 0;
	sorted = malloc(map->n * sizeof(struct yaml_node *));
	if (!sorted)
		return yaml_no_memory(l);
	memcpy(sorted, map->keys, map->n * sizeof(struct yaml_node *));
	qsort(sorted, map->n, sizeof(struct yaml_node *), yaml_compare_keys);
	for (size_t i = 1; i < map->n && !again; i++) {
		if (strcmp(sorted[i - 1]->value, sorted[i]->value) == 0) {
			first = sorted[i - 1];
			again = sorted[i];
		}
	}
	free(sorted);
	if (!again)
		return 0;
	return yaml_error(l->y, again, l->err, l->err_size, "key %s is here a second time, first on line %d",
			  again->value, first->line);
}

static int yaml_close(struct yaml_loader *l)
{
	struct yaml_level *level = &l->open[--l->depth];

	return level->node->kind == YAML_MAP ? yaml_check_keys(l, level->node) : 0;
}

static bool yaml_has_tag(const yaml_event_t *e)
{
	switch (e->type) {
	case YAML_SCALAR_EVENT:
		return e->data.scalar.tag != NULL;
	case YAML_SEQUENCE_START_EVENT:
		return e->data.sequence_start.tag != NULL;
	case YAML_MAPPING_START_EVENT:
		return e->data.mapping_start.tag != NULL;
	default:
		return false;
	}
}

static bool yaml_has_anchor(const yaml_event_t *e)
{
	switch (e->type) {
	case YAML_SCALAR_EVENT:
		return e->data.scalar.anchor != NULL;
	case YAML_SEQUENCE_START_EVENT:
		return e->data.sequence_start.anchor != NULL;
	case YAML_MAPPING_START_EVENT:
		return e->data.mapping_start.anchor != NULL;
	default:
		return false;
	}
}

static int yaml_event(struct yaml_loader *l, const yaml_event_t *e)
{
	if (e->type == YAML_ALIAS_EVENT || yaml_has_anchor(e))
		return yaml_error_mark(
			l, &e->start_mark,
			"anchors and aliases (& and *) are not allowed here; quote a text that begins so");
	if (yaml_has_tag(e))
		return yaml_error_mark(l, &e->start_mark, "tags (!) are not allowed here; quote a text that begins so");
	if (e->type == YAML_SCALAR_EVENT || e->type == YAML_SEQUENCE_START_EVENT || e->type == YAML_MAPPING_START_EVENT)
		if (++l->n_nodes > YAML_NODES_MAX)
			return yaml_error_mark(l, &e->start_mark, "the file has more than a million items");
	switch (e->type) {
	case YAML_DOCUMENT_START_EVENT:
		if (l->done)
			return yaml_error_mark(l, &e->start_mark, "a second document begins here; a file has one");
		return 0;
	case YAML_DOCUMENT_END_EVENT:
		l->done = true;
		return 0;
	case YAML_SCALAR_EVENT:
		return yaml_scalar(l, e);
	case YAML_SEQUENCE_START_EVENT:
		return yaml_open(l, YAML_LIST, &e->start_mark);
	case YAML_MAPPING_START_EVENT:
		return yaml_open(l, YAML_MAP, &e->start_mark);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		return yaml_close(l);
	default:
		return 0;
	}
}

static int yaml_run(struct yaml_loader *l)
{
	bool end = false;

	while (!end) {
		yaml_event_t e;
		int rc;

		if (!yaml_parser_parse(&l->parser, &e))
			return yaml_parser_error(l);
		rc = yaml_event(l, &e);
		end = e.type == YAML_STREAM_END_EVENT;
		yaml_event_delete(&e);
		if (rc)
			return rc;
	}
	return 0;
}

int yaml_parse(struct yaml *y, const char *name, const char *text, size_t len, char *err, size_t err_size)
{
	struct yaml_loader l = {.y = y, .text = text, .err = err, .err_size = err_size};
	int rc;

	if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) { /* byte order mark, of some editors */
		l.text = text += 3;
		len -= 3;
	}
	*y = (struct yaml){.file = strdup(name)};
	if (!y->file || !yaml_parser_initialize(&l.parser)) {
		snprintf(err, err_size, "%s: no memory", name);
		yaml_deinit(y);
		return -ENOMEM;
	}
	if (len > YAML_SIZE_MAX) {
		rc = yaml_error(y, NULL, err, err_size, "the file is larger than %u MiB", YAML_SIZE_MAX >> 20);
	} else {
		yaml_parser_set_encoding(&l.parser, YAML_UTF8_ENCODING);
		yaml_parser_set_input_string(&l.parser, (const unsigned char *)text, len);
		rc = yaml_run(&l);
	}
	yaml_parser_delete(&l.parser);
	if (rc) {
		for (size_t i = 0; i < l.depth; i++)
			yaml_free(l.open[i].key);
		yaml_deinit(y);
	}
	return rc;
}

/* All of a file, one octet more than YAML_SIZE_MAX at most. Returns 0 or a negative errno; *text is the caller's. */
static int yaml_read(const char *path, char **text, size_t *len)
{
	size_t cap = 64 * 1024, n = 0;
	char *data = malloc(cap);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int rc = fd < 0 ? -errno : 0;

	if (!data && !rc)
		rc = -ENOMEM;
	while (!rc && n <= YAML_SIZE_MAX) {
		ssize_t got;

		if (n == cap) {
			char *more = realloc(data, cap *= 2);

			if (!more) {
				rc = -ENOMEM;
				break;
			}
			data = more;
		}
		got = read(fd, data + n, cap - n);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			rc = -errno;
		if (got <= 0)
			break;
		n += (size_t)got;
	}
	if (fd >= 0)
		close(fd);
	if (rc) {
		free(data);
		return rc;
	}
	*text = data;
	*len = n;
	return 0;
}

int yaml_load(struct yaml *y, const char *path, char *err, size_t err_size)
{
	char *text = NULL;
	size_t len = 0;
	int rc = yaml_read(path, &text, &len);

	if (rc) {
		snprintf(err, err_size, "%s: %s", path, strerror(-rc));
		*y = (struct yaml){0};
		return rc;
	}
	rc = yaml_parse(y, path, text, len, err, err_size);
	free(text);
	return rc;
}

void yaml_deinit(struct yaml *y)
{
	yaml_free(y->root);
	free(y->file);
	*y = (struct yaml){0};
}

const struct yaml_node *yaml_get(const struct yaml_node *map, const char *key)
{
	if (!map || map->kind != YAML_MAP)
		return NULL;
	for (size_t i = 0; i < map->n; i++)
		if (strcmp(map->keys[i]->value, key) == 0)
			return map->items[i];
	return NULL;
}
