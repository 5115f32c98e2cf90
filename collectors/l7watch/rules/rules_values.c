/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/nearest.h"
#include "rules/rules_internal.h"

#define RULES_LINE_MAX 256 /* octets of a line in a list's file */
#define RULES_LINES_MAX 1000000
#define RULES_TIME_MAX 1000000 /* of any unit */

void *rules_room(void *array, size_t n, size_t size)
{
	if (n & (n - 1))
		return array;
	return realloc(array, (n ? n * 2 : 1) * size);
}

struct rules_place rules_place_of(const struct rules_loader *l, const struct yaml_node *at)
{
	return (struct rules_place){.file = l->file, .line = at->line};
}

int rules_error(struct rules_loader *l, const struct yaml_node *at, const char *fmt, ...)
{
	char sentence[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(sentence, sizeof(sentence), fmt, ap);
	va_end(ap);
	return yaml_error(l->yaml, at, l->err, l->err_size, "%s", sentence);
}

int rules_item_error(struct rules_loader *l, const struct rules_item *i, const char *fmt, ...)
{
	char sentence[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(sentence, sizeof(sentence), fmt, ap);
	va_end(ap);
	return yaml_error(i->where, i->at.line ? &i->at : NULL, l->err, l->err_size, "%s", sentence);
}

void rules_warn_item(struct rules_loader *l, const struct rules_item *i, const char *fmt, ...)
{
	char sentence[512], whole[700];
	va_list ap;

	if (!l->warnings.warn)
		return;
	va_start(ap, fmt);
	vsnprintf(sentence, sizeof(sentence), fmt, ap);
	va_end(ap);
	yaml_error(i->where, &i->at, whole, sizeof(whole), "%s", sentence);
	l->warnings.warn(l->warnings.arg, whole);
}

int rules_no_memory(struct rules_loader *l)
{
	snprintf(l->err, l->err_size, "%s: no memory", l->yaml ? l->yaml->file : "rules");
	return -ENOMEM;
}

/* ---- items ---- */

/* Name of a file that rules name: beside the rules unless it is absolute. */
static char *rules_beside(const struct rules_loader *l, const char *path)
{
	const char *slash = strrchr(l->yaml->file, '/');
	size_t folder = slash && *path != '/' ? (size_t)(slash - l->yaml->file) + 1 : 0;
	size_t size = strlen(path) + 1;
	char *whole = malloc(folder + size);

	if (whole) {
		memcpy(whole, l->yaml->file, folder);
		memcpy(whole + folder, path, size);
	}
	return whole;
}

/* One line: an item, empty, or a comment after #. */
static int rules_line(struct rules_loader *l, struct rules_item *item, char *line, rules_each_fn *fn, void *arg)
{
	char *end = line + strcspn(line, "#\r\n");

	if (strlen(line) + 1 >= RULES_LINE_MAX)
		return rules_item_error(l, item, "the line is longer than %d octets", RULES_LINE_MAX - 2);
	while (end > line && (end[-1] == ' ' || end[-1] == '\t'))
		end--;
	*end = '\0';
	line += strspn(line, " \t");
	if (!*line)
		return 0;
	item->text = line;
	return fn(l, item, arg);
}

static int rules_file(struct rules_loader *l, const struct yaml_node *node, rules_each_fn *fn, void *arg)
{
	static const char *const keys[] = {"file", NULL};
	const struct yaml_node *name = yaml_get(node, "file");
	struct yaml where = {0};
	struct rules_item item = {.where = &where, .at = {.line = 0, .column = 1}};
	char line[RULES_LINE_MAX];
	struct stat st = {0};
	FILE *in;
	int rc = rules_check_keys(l, node, keys, "a list");

	if (rc || !rules_text(l, name ? name : node, "file") || !name)
		return -EINVAL;
	where.file = rules_beside(l, name->value);
	if (!where.file || !rules_file_add(l->set, where.file, true)) {
		free(where.file);
		return rules_no_memory(l);
	}
	/* A pipe would be waited for, for ever. */
	in = stat(where.file, &st) == 0 && S_ISFIFO(st.st_mode) ? NULL : fopen(where.file, "re");
	if (!in)
		rc = rules_error(l, name, "%s: %s", where.file, S_ISFIFO(st.st_mode) ? "is a pipe" : strerror(errno));
	while (!rc && fgets(line, sizeof(line), in)) {
		if (item.at.line++ == RULES_LINES_MAX)
			rc = rules_error(l, name, "%s has more than %d lines", where.file, RULES_LINES_MAX);
		else
			rc = rules_line(l, &item, line, fn, arg);
	}
	if (!rc && ferror(in))
		rc = rules_error(l, name, "%s: %s", where.file, strerror(errno));
	if (in)
		fclose(in);
	free(where.file);
	return rc;
}

static int rules_scalar(struct rules_loader *l, const struct yaml_node *node, rules_each_fn *fn, void *arg)
{
	struct rules_item item = {.text = node->value, .where = l->yaml, .at = *node};

	if (node->kind != YAML_SCALAR)
		return rules_error(l, node, "a list holds single words");
	if (!*item.text)
		return rules_error(l, node, "a value is missing here; an empty list is []");
	if (*item.text == '!') {
		item.negated = true;
		item.text++;
	}
	return fn(l, &item, arg);
}

int rules_each_plain(struct rules_loader *l, const struct yaml_node *value, rules_each_fn *fn, void *arg)
{
	int rc = 0;

	if (value->kind == YAML_MAP)
		return rules_file(l, value, fn, arg);
	if (value->kind == YAML_SCALAR)
		return rules_scalar(l, value, fn, arg);
	for (size_t i = 0; i < value->n && !rc; i++)
		rc = rules_scalar(l, value->items[i], fn, arg);
	return rc;
}

int rules_each_listed(struct rules_loader *l, const struct rules_list *list, rules_each_fn *fn, void *arg)
{
	const struct yaml *was = l->yaml;
	int rc;

	l->yaml = list->yaml;
	rc = rules_each_plain(l, list->node, fn, arg);
	l->yaml = was;
	return rc;
}

/* Names of the lists of both maps. */
static const char *rules_list_name(const void *arg, size_t i)
{
	const struct rules_loader *l = arg;
	size_t n = l->main_lists.node ? l->main_lists.node->n : 0;

	return i < n ? l->main_lists.node->keys[i]->value : l->own_lists.node->keys[i - n]->value;
}

int rules_named_list(struct rules_loader *l, const struct rules_item *i, struct rules_list *out)
{
	const struct rules_list *maps[] = {&l->main_lists, &l->own_lists};
	const char *near;
	size_t n = 0;

	*out = (struct rules_list){0};
	for (size_t k = 0; k < 2; k++) {
		if (!maps[k]->node)
			continue;
		n += maps[k]->node->n;
		*out = (struct rules_list){.yaml = maps[k]->yaml, .node = yaml_get(maps[k]->node, i->text + 1)};
		if (out->node)
			return 0;
	}
	near = nearest_name(i->text + 1, rules_list_name, l, n);
	return rules_item_error(l, i, "there is no list %s%s%s%s", i->text + 1, near ? "; did you mean @" : "",
				near ? near : "", near ? "?" : "");
}

/* Passes an item on, or the items of the list that it names. */
struct rules_expansion {
	rules_each_fn *fn;
	void *arg;
	bool *positive;
	bool negated;
};

int rules_plain_item(struct rules_loader *l, const struct rules_item *item)
{
	if (*item->text == '@' || item->negated)
		return rules_item_error(l, item, "a list holds neither other lists nor negations");
	return 0;
}

static int rules_expand_one(struct rules_loader *l, const struct rules_item *item, void *arg)
{
	struct rules_expansion *e = arg;
	struct rules_item i = *item;
	int rc = rules_plain_item(l, item);

	i.negated = e->negated;
	return rc ? rc : e->fn(l, &i, e->arg);
}

static int rules_expand(struct rules_loader *l, const struct rules_item *item, void *arg)
{
	struct rules_expansion e = *(struct rules_expansion *)arg;
	struct rules_list list;

	if (e.positive && !item->negated)
		*e.positive = true;
	if (*item->text != '@')
		return e.fn(l, item, e.arg);
	if (rules_named_list(l, item, &list))
		return -EINVAL;
	e.negated = item->negated;
	return rules_each_listed(l, &list, rules_expand_one, &e);
}

int rules_each(struct rules_loader *l, const struct yaml_node *value, bool *positive, rules_each_fn *fn, void *arg)
{
	struct rules_expansion e = {.fn = fn, .arg = arg, .positive = positive};

	if (positive && value->kind == YAML_MAP)
		*positive = true;
	return rules_each_plain(l, value, rules_expand, &e);
}

/* ---- single values ---- */

static size_t rules_count_names(const char *const *names)
{
	size_t n = 0;

	while (names[n])
		n++;
	return n;
}

static bool rules_has_name(const char *const *names, const char *name)
{
	for (; *names; names++)
		if (strcmp(*names, name) == 0)
			return true;
	return false;
}

int rules_check_keys(struct rules_loader *l, const struct yaml_node *map, const char *const *names, const char *what)
{
	if (map->kind != YAML_MAP)
		return rules_error(l, map, "%s is a map of keys and values", what);
	for (size_t i = 0; i < map->n; i++) {
		const char *key = map->keys[i]->value;
		const char *near;

		if (rules_has_name(names, key))
			continue;
		near = nearest_string(key, names, rules_count_names(names));
		return rules_error(l, map->keys[i], "unknown key %s in %s%s%s%s", key, what,
				   near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
	}
	return 0;
}

const char *rules_text(struct rules_loader *l, const struct yaml_node *node, const char *what)
{
	if (node->kind == YAML_SCALAR && *node->value)
		return node->value;
	rules_error(l, node, "%s needs a text", what);
	return NULL;
}

bool rules_digits(const char *text, uint64_t max, uint64_t *out)
{
	unsigned long long n;
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	n = strtoull(text, &end, 10);
	if (*end || errno || n > max)
		return false;
	*out = n;
	return true;
}

int rules_number(struct rules_loader *l, const struct yaml_node *node, const char *what, uint64_t max, uint64_t *out)
{
	const char *text = rules_text(l, node, what);

	if (!text)
		return -EINVAL;
	if (!rules_digits(text, max, out))
		return rules_error(l, node, "%s is \"%s\", not a number up to %llu", what, text,
				   (unsigned long long)max);
	return 0;
}

int rules_duration(struct rules_loader *l, const struct yaml_node *node, const char *what, uint64_t *ms)
{
	static const struct {
		char unit;
		uint64_t ms;
	} units[] = {{'s', 1000}, {'m', 60000}, {'h', 3600000}, {'d', RULES_DAY_MS}};
	const char *text = rules_text(l, node, what);
	unsigned long n;
	char *end;

	if (!text)
		return -EINVAL;
	n = strtoul(text, &end, 10);
	if (*text >= '0' && *text <= '9' && n <= RULES_TIME_MAX && *end && !end[1])
		for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
			if (units[i].unit == *end) {
				*ms = n * units[i].ms;
				return 0;
			}
	return rules_error(l, node, "%s is \"%s\", not a time such as 30s, 15m, 1h or 7d", what, text);
}

int rules_time_span(struct rules_loader *l, const struct yaml_node *node, const char *what, uint64_t *ms)
{
	int rc = rules_duration(l, node, what, ms);

	return !rc && *ms == 0 ? rules_error(l, node, "%s is no time at all", what) : rc;
}

/* What stands behind the digits of a size; 0 if that is nothing known. */
static uint64_t rules_unit(const char *text)
{
	static const char letters[] = "kMGT";
	const char *letter = *text ? strchr(letters, *text == 'K' ? 'k' : *text) : NULL;
	uint64_t step = 1000, unit = 1;

	if (!*text || strcmp(text, "B") == 0)
		return 1;
	if (!letter)
		return 0;
	text++;
	if (*text == 'i') {
		step = 1024;
		text++;
	}
	if (*text && strcmp(text, "B") != 0)
		return 0;
	for (const char *l = letters; l <= letter; l++)
		unit *= step;
	return unit;
}

int rules_size(struct rules_loader *l, const struct yaml_node *node, const char *what, uint64_t *out)
{
	const char *text = rules_text(l, node, what);
	unsigned long long n;
	uint64_t unit;
	char *end;

	if (!text)
		return -EINVAL;
	errno = 0;
	n = strtoull(text, &end, 10);
	unit = *text >= '0' && *text <= '9' && !errno ? rules_unit(end) : 0;
	if (unit && !__builtin_mul_overflow(n, unit, out))
		return 0;
	return rules_error(l, node, "%s is \"%s\", not a number such as 500, 10k, 500MB or 2GiB", what, text);
}

int rules_date(struct rules_loader *l, const struct yaml_node *node, uint64_t *end_ms)
{
	const char *text = rules_text(l, node, "until");
	struct tm day = {0};
	time_t start = -1;
	int year, month, mday, used = 0;

	if (!text)
		return -EINVAL;
	if (sscanf(text, "%4d-%2d-%2d%n", &year, &month, &mday, &used) == 3 && used == 10 && !text[used]) {
		day.tm_year = year - 1900;
		day.tm_mon = month - 1;
		day.tm_mday = mday;
		start = timegm(&day);
	}
	/* timegm() makes 2 March of 30 February. */
	if (start < 0 || day.tm_mon != month - 1 || day.tm_mday != mday)
		return rules_error(l, node, "until is \"%s\", not a day such as 2027-01-31", text);
	*end_ms = (uint64_t)start * 1000 + RULES_DAY_MS;
	return 0;
}

int rules_word(struct rules_loader *l, const struct yaml_node *node, const char *what, const char *const *words,
	       size_t n)
{
	const char *text = rules_text(l, node, what);
	const char *near;
	char list[256] = "";

	if (!text)
		return -EINVAL;
	for (size_t i = 0; i < n; i++) {
		size_t used = strlen(list);

		if (strcmp(words[i], text) == 0)
			return (int)i;
		snprintf(list + used, sizeof(list) - used, "%s%s", i ? ", " : "", words[i]);
	}
	near = nearest_string(text, words, n);
	if (near)
		return rules_error(l, node, "%s is \"%s\"; did you mean %s?", what, text, near);
	return rules_error(l, node, "%s is \"%s\", not one of %s", what, text, list);
}

int rules_bool(struct rules_loader *l, const struct yaml_node *node, const char *what, bool *out)
{
	static const char *const words[] = {"false", "true"};
	int i = rules_word(l, node, what, words, 2);

	*out = i == 1;
	return i < 0 ? i : 0;
}

int rules_item_word(struct rules_loader *l, const struct rules_item *item, const char *what, const char *const *words,
		    size_t n)
{
	struct yaml_node at = item->at;
	const struct yaml *was = l->yaml;
	int i;

	at.kind = YAML_SCALAR;
	at.value = (char *)item->text; /* only read */
	l->yaml = item->where;
	i = rules_word(l, &at, what, words, n);
	l->yaml = was;
	return i;
}
