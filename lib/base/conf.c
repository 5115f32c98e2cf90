/* SPDX-License-Identifier: Apache-2.0 */
#include "base/conf.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/nearest.h"
#include "base/utf8.h"
#include "base/yaml.h"

#define CONF_KEY_MAX 64
#define CONF_LONG 1000 /* getopt's value of row 0 */

/* An option as given on the command line. */
struct conf_given {
	const struct conf_row *row;
	const char *value; /* of argv, NULL for a flag */
};

/* A value on its way into the target, and what to call it in a message. */
struct conf_value {
	const struct conf_row *row;
	const char *text;
	const char *what; /* "option --idle-timeout", "idle_timeout" */
	struct conf_place place;
};

struct conf_failure {
	char *err;
	size_t size;
};

static void *conf_member(const struct conf *c, const struct conf_row *row)
{
	return (char *)c->target + row->offset;
}

static const char *conf_key(const struct conf_row *row, char key[CONF_KEY_MAX])
{
	size_t i = 0;

	for (; i < CONF_KEY_MAX - 1 && row->name[i]; i++)
		key[i] = (char)(row->name[i] == '-' ? '_' : row->name[i]);
	key[i] = '\0';
	return key;
}

static const struct conf_row *conf_find(const struct conf *c, const char *name)
{
	for (size_t i = 0; i < c->n_rows; i++)
		if (strcmp(c->rows[i].name, name) == 0)
			return &c->rows[i];
	return NULL;
}

static size_t conf_size(const struct conf_row *row)
{
	switch (row->type) {
	case CONF_FLAG:
		return sizeof(bool);
	case CONF_NUMBER:
		return sizeof(uint64_t);
	case CONF_STRING:
		return sizeof(char *);
	default:
		return sizeof(struct conf_list);
	}
}

static bool conf_same_text(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static bool conf_same(const struct conf_row *row, const void *a, const void *b)
{
	const struct conf_list *x = a, *y = b;

	if (row->type == CONF_STRING)
		return conf_same_text(*(char *const *)a, *(char *const *)b);
	if (row->type != CONF_LIST)
		return memcmp(a, b, conf_size(row)) == 0;
	if (x->n != y->n)
		return false;
	for (size_t i = 0; i < x->n; i++)
		if (strcmp(x->items[i], y->items[i]) != 0)
			return false;
	return true;
}

bool conf_take(const struct conf *c, const struct conf *next, void (*fixed)(const char *name))
{
	bool changed = false;

	for (size_t i = 0; i < c->n_rows; i++) {
		const struct conf_row *row = &c->rows[i];
		bool same;
		char *a = conf_member(c, row), *b = conf_member(next, row);

		same = conf_same(row, a, b);
		if (row->live) {
			changed |= !same;
			for (size_t k = 0; k < conf_size(row); k++) {
				char octet = a[k];

				a[k] = b[k];
				b[k] = octet;
			}
		} else if (!same) {
			fixed(row->name);
		}
	}
	return changed;
}

static int conf_no_memory(struct conf_failure *f)
{
	snprintf(f->err, f->size, "no memory");
	return -ENOMEM;
}

void conf_list_clear(struct conf_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		free(list->items[i]);
	free(list->items);
	free(list->places);
	*list = (struct conf_list){0};
}

static int conf_list_add(struct conf_list *list, const char *text, size_t len, struct conf_place place)
{
	char **items = realloc(list->items, (list->n + 1) * sizeof(char *));
	struct conf_place *places;

	if (!items)
		return -ENOMEM;
	list->items = items;
	places = realloc(list->places, (list->n + 1) * sizeof(*places));
	if (!places)
		return -ENOMEM;
	list->places = places;
	items[list->n] = strndup(text, len);
	if (!items[list->n])
		return -ENOMEM;
	places[list->n++] = place;
	return 0;
}

static void conf_set_place(const struct conf *c, const struct conf_value *v)
{
	if (c->places)
		c->places[v->row - c->rows] = v->place;
}

static int conf_set_number(const struct conf *c, const struct conf_value *v, struct conf_failure *f)
{
	unsigned long long n;
	char *end;

	errno = 0;
	n = strtoull(v->text, &end, 10);
	if (*v->text < '0' || *v->text > '9' || *end || errno || n < v->row->min || n > v->row->max) {
		snprintf(f->err, f->size, "%s is \"%s\", not a number from %llu to %llu", v->what, v->text,
			 (unsigned long long)v->row->min, (unsigned long long)v->row->max);
		return -EINVAL;
	}
	*(uint64_t *)conf_member(c, v->row) = n;
	return 0;
}

static int conf_set_flag(const struct conf *c, const struct conf_value *v, struct conf_failure *f)
{
	bool yes = strcmp(v->text, "true") == 0;

	if (!yes && strcmp(v->text, "false") != 0) {
		snprintf(f->err, f->size, "%s is \"%s\", not true or false", v->what, v->text);
		return -EINVAL;
	}
	*(bool *)conf_member(c, v->row) = yes;
	return 0;
}

/* Adds to a list the parts of a text between `split`; 0 for the text as a whole. */
static int conf_add_items(const struct conf *c, const struct conf_value *v, char split, struct conf_failure *f)
{
	const char *at = v->text;

	for (;;) {
		const char *end = split ? strchr(at, split) : NULL;
		size_t len = end ? (size_t)(end - at) : strlen(at);

		if (len == 0) {
			snprintf(f->err, f->size, "%s has an empty item", v->what);
			return -EINVAL;
		}
		if (conf_list_add(conf_member(c, v->row), at, len, v->place))
			return conf_no_memory(f);
		if (!end)
			return 0;
		at = end + 1;
	}
}

/* Sets a member that is not a list. */
static int conf_set(const struct conf *c, const struct conf_value *v, struct conf_failure *f)
{
	char **string = conf_member(c, v->row);
	char *copy;

	if (v->row->type == CONF_NUMBER)
		return conf_set_number(c, v, f);
	if (v->row->type == CONF_FLAG)
		return conf_set_flag(c, v, f);
	copy = strdup(v->text);
	if (!copy)
		return conf_no_memory(f);
	free(*string);
	*string = copy;
	return 0;
}

static int conf_defaults(const struct conf *c, struct conf_failure *f)
{
	for (size_t i = 0; i < c->n_rows; i++) {
		const struct conf_row *row = &c->rows[i];
		struct conf_value v = {.row = row, .text = row->otherwise, .what = row->name};
		int rc;

		if (!row->otherwise)
			continue;
		rc = row->type == CONF_LIST ? conf_add_items(c, &v, '\n', f) : conf_set(c, &v, f);
		if (rc)
			return rc;
	}
	return 0;
}

/* ---- the command line ---- */

static const char *conf_row_name(const void *arg, size_t i)
{
	const struct conf *c = arg;

	return c->rows[i].name;
}

static int conf_bad_option(const struct conf *c, int optopt_value, const char *word, struct conf_failure *f)
{
	char name[CONF_KEY_MAX];
	const char *near;

	if (optopt_value >= CONF_LONG) {
		snprintf(f->err, f->size, "option --%s takes no argument", c->rows[optopt_value - CONF_LONG].name);
		return -EINVAL;
	}
	if (optopt_value) {
		snprintf(f->err, f->size, "unknown option -%c", optopt_value);
		return -EINVAL;
	}
	snprintf(name, sizeof(name), "%.*s", (int)strcspn(word, "="), word);
	near = nearest_name(strncmp(name, "--", 2) == 0 ? name + 2 : name, conf_row_name, c, c->n_rows);
	snprintf(f->err, f->size, "unknown or ambiguous option %s%s%s%s", name, near ? "; did you mean --" : "",
		 near ? near : "", near ? "?" : "");
	return -EINVAL;
}

/* Tables of getopt_long() from ours. letters has room for 2 + 2 per row and the end. */
static void conf_getopt_tables(const struct conf *c, struct option *longs, char *letters)
{
	*letters++ = ':';
	for (size_t i = 0; i < c->n_rows; i++) {
		const struct conf_row *row = &c->rows[i];

		longs[i] = (struct option){.name = row->name,
					   .has_arg = row->type == CONF_FLAG ? no_argument : required_argument,
					   .val = CONF_LONG + (int)i};
		if (!row->letter)
			continue;
		*letters++ = row->letter;
		if (row->type != CONF_FLAG)
			*letters++ = ':';
	}
	longs[c->n_rows] = (struct option){0};
	*letters = '\0';
}

static const struct conf_row *conf_row_of(const struct conf *c, int value)
{
	if (value >= CONF_LONG)
		return &c->rows[value - CONF_LONG];
	for (size_t i = 0; i < c->n_rows; i++)
		if (value && c->rows[i].letter == value)
			return &c->rows[i];
	return NULL;
}

/* The options of argv in order; given has room for argc * 2 letters at least. */
static int conf_parse(const struct conf *c, int argc, char **argv, struct conf_given *given, struct conf_failure *f)
{
	struct option longs[CONF_ROWS_MAX + 1];
	char letters[2 * CONF_ROWS_MAX + 2];
	int n = 0, value;

	conf_getopt_tables(c, longs, letters);
	opterr = 0;
	optind = 0; /* glibc: start again, the table is read more than once */
	while ((value = getopt_long(argc, argv, letters, longs, NULL)) != -1) {
		const struct conf_row *row = conf_row_of(c, value == ':' ? optopt : value);

		if (value == '?')
			return conf_bad_option(c, optopt, argv[optind - 1], f);
		if (value == ':') {
			snprintf(f->err, f->size, "option --%s needs an argument: %s", row ? row->name : "?",
				 row && row->argument ? row->argument : "VALUE");
			return -EINVAL;
		}
		given[n++] = (struct conf_given){.row = row, .value = row->type == CONF_FLAG ? NULL : optarg};
	}
	if (optind < argc) {
		snprintf(f->err, f->size, "unexpected argument %s", argv[optind]);
		return -EINVAL;
	}
	return n;
}

static int conf_apply(const struct conf *c, const struct conf_given *given, size_t n, struct conf_failure *f)
{
	bool seen[CONF_ROWS_MAX] = {false};
	char what[CONF_KEY_MAX + 16];

	for (size_t i = 0; i < n; i++) {
		const struct conf_row *row = given[i].row;
		struct conf_value v = {.row = row,
				       .text = given[i].value ? given[i].value : "true",
				       .what = what,
				       .place = {.option = true}};
		int rc;

		snprintf(what, sizeof(what), "option --%s", row->name);
		if (row->type == CONF_LIST && !seen[row - c->rows])
			conf_list_clear(conf_member(c, row));
		seen[row - c->rows] = true;
		conf_set_place(c, &v);
		rc = row->type == CONF_LIST ? conf_add_items(c, &v, row->split, f) : conf_set(c, &v, f);
		if (rc)
			return rc;
	}
	return 0;
}

/* ---- the file ---- */

struct conf_file {
	const struct conf *c;
	struct yaml yaml;
	struct conf_failure *f;
};

/* "file:line:column: sentence" where the sentence stands in f already. */
static int conf_file_error(const struct conf_file *file, const struct yaml_node *at)
{
	char sentence[512];

	snprintf(sentence, sizeof(sentence), "%s", file->f->err);
	return yaml_error(&file->yaml, at, file->f->err, file->f->size, "%s", sentence);
}

static int conf_unknown_key(const struct conf_file *file, const struct yaml_node *key)
{
	const struct conf *c = file->c;
	char keys[CONF_ROWS_MAX][CONF_KEY_MAX];
	const char *names[CONF_ROWS_MAX];
	const char *near;
	size_t n = 0;

	for (size_t i = 0; i < c->n_rows; i++)
		if (!c->rows[i].only_option) {
			names[n] = conf_key(&c->rows[i], keys[n]);
			n++;
		}
	near = nearest_string(key->value, names, n);
	return yaml_error(&file->yaml, key, file->f->err, file->f->size, "unknown key %s%s%s%s", key->value,
			  near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
}

static const struct conf_row *conf_row_of_key(const struct conf *c, const char *text)
{
	char key[CONF_KEY_MAX];

	for (size_t i = 0; i < c->n_rows; i++)
		if (!c->rows[i].only_option && strcmp(conf_key(&c->rows[i], key), text) == 0)
			return &c->rows[i];
	return NULL;
}

static int conf_file_list(const struct conf_file *file, struct conf_value *v, const struct yaml_node *node)
{
	struct yaml_node *single = (struct yaml_node *)node;
	struct yaml_node **items = node->kind == YAML_LIST ? node->items : &single;
	size_t n = node->kind == YAML_LIST ? node->n : 1;

	conf_list_clear(conf_member(file->c, v->row));
	for (size_t i = 0; i < n; i++) {
		int rc;

		if (items[i]->kind != YAML_SCALAR)
			return yaml_error(&file->yaml, items[i], file->f->err, file->f->size, "%s is a list of texts",
					  v->what);
		v->text = items[i]->value;
		v->place = (struct conf_place){.line = items[i]->line, .column = items[i]->column};
		rc = conf_add_items(file->c, v, '\0', file->f);
		if (rc)
			return conf_file_error(file, items[i]);
	}
	return 0;
}

static int conf_file_value(const struct conf_file *file, const struct yaml_node *key, const struct yaml_node *node)
{
	const struct conf_row *row = conf_row_of_key(file->c, key->value);
	struct conf_value v = {.row = row, .what = key->value, .place = {.line = node->line, .column = node->column}};

	if (!row)
		return conf_unknown_key(file, key);
	conf_set_place(file->c, &v);
	if (row->type == CONF_LIST)
		return conf_file_list(file, &v, node);
	if (node->kind != YAML_SCALAR)
		return yaml_error(&file->yaml, node, file->f->err, file->f->size, "%s takes one value", key->value);
	if (row->type == CONF_STRING && !*node->value && !node->quoted) {
		char **string = conf_member(file->c, row);

		free(*string);
		*string = NULL;
		return 0;
	}
	v.text = node->value;
	return conf_set(file->c, &v, file->f) ? conf_file_error(file, node) : 0;
}

static int conf_read_file(const struct conf *c, const char *path, struct conf_failure *f)
{
	struct conf_file file = {.c = c, .f = f};
	const struct yaml_node *root;
	int rc = yaml_load(&file.yaml, path, f->err, f->size);

	if (rc)
		return rc;
	root = file.yaml.root;
	if (root && root->kind != YAML_MAP && !(root->kind == YAML_SCALAR && !*root->value))
		rc = yaml_error(&file.yaml, root, f->err, f->size, "a configuration file is a map of keys and values");
	for (size_t i = 0; !rc && root && i < root->n; i++)
		rc = conf_file_value(&file, root->keys[i], root->items[i]);
	yaml_deinit(&file.yaml);
	return rc;
}

/* ---- all of it ---- */

static bool conf_only_asks(const struct conf_given *given, size_t n)
{
	static const char *const asks[] = {"help", "version", "completion"};

	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < sizeof(asks) / sizeof(asks[0]); k++)
			if (strcmp(given[i].row->name, asks[k]) == 0)
				return true;
	return false;
}

/* The file to read: of the command line, or the fallback where there is one. Keeps its name in the target. */
static int conf_choose_file(const struct conf *c, const struct conf_given *given, size_t n, const char *fallback,
			    struct conf_failure *f, const char **path)
{
	const struct conf_row *row = conf_find(c, "config");
	struct conf_value v = {.row = row, .what = "config"};

	*path = NULL;
	for (size_t i = 0; i < n; i++)
		if (given[i].row == row)
			*path = given[i].value;
	if (!*path && fallback && (access(fallback, F_OK) == 0 || errno != ENOENT))
		*path = fallback;
	if (!row || !*path)
		return 0;
	v.text = *path;
	return conf_set(c, &v, f);
}

static int conf_load_all(const struct conf *c, int argc, char **argv, const char *fallback, struct conf_failure *f)
{
	size_t room = (size_t)argc;
	struct conf_given *given;
	const char *path;
	int n, rc;

	for (int i = 0; i < argc; i++) /* "-vvv" is three options */
		room += strlen(argv[i]);
	given = calloc(room, sizeof(*given));
	if (!given)
		return conf_no_memory(f);
	n = rc = conf_parse(c, argc, argv, given, f);
	if (rc >= 0)
		rc = conf_defaults(c, f);
	if (!rc && !conf_only_asks(given, (size_t)n)) {
		rc = conf_choose_file(c, given, (size_t)n, fallback, f, &path);
		if (!rc && path)
			rc = conf_read_file(c, path, f);
	}
	if (!rc)
		rc = conf_apply(c, given, (size_t)n, f);
	free(given);
	return rc;
}

int conf_load(const struct conf *c, int argc, char **argv, const char *fallback, char *err, size_t err_size)
{
	struct conf_failure f = {.err = err, .size = err_size};
	int rc;

	if (c->n_rows > CONF_ROWS_MAX) {
		snprintf(err, err_size, "the table of options has more than %d rows", CONF_ROWS_MAX);
		return -EINVAL;
	}
	rc = conf_load_all(c, argc, argv, fallback, &f);
	if (rc)
		conf_deinit(c);
	return rc ? -EINVAL : 0;
}

int conf_error(const struct conf *c, const char *name, size_t item, char *err, size_t err_size)
{
	const struct conf_row *row = conf_find(c, name), *file = conf_find(c, "config");
	const struct conf_list *list = row->type == CONF_LIST ? conf_member(c, row) : NULL;
	struct conf_place at = c->places[row - c->rows];
	char sentence[1024];

	if (list && item < list->n)
		at = list->places[item];
	snprintf(sentence, sizeof(sentence), "%s", err);
	if (at.option)
		snprintf(err, err_size, "option --%s: %s", name, sentence);
	else if (at.line)
		snprintf(err, err_size, "%s:%d:%d: %s", *(char **)conf_member(c, file), at.line, at.column, sentence);
	return -EINVAL;
}

/* A character that libyaml would refuse or fold inside quotes, as an escape; false if it needs none. */
static bool conf_print_escape(const unsigned char *s, size_t len, FILE *out)
{
	if (len <= 1 && (len == 0 || s[0] < 0x20 || s[0] == 0x7f))
		fprintf(out, "\\x%02x", s[0]);
	else if (s[0] == '"' || s[0] == '\\')
		fprintf(out, "\\%c", s[0]);
	else if (len == 2 && s[0] == 0xc2 && s[1] < 0xa0)
		fprintf(out, "\\x%02x", s[1]);
	else if (len == 3 && (memcmp(s, "\xe2\x80\xa8", 3) == 0 || memcmp(s, "\xe2\x80\xa9", 3) == 0))
		fprintf(out, "\\u20%02x", s[2] - 0x80);
	else if (len == 3 && (memcmp(s, "\xef\xbb\xbf", 3) == 0 || memcmp(s, "\xef\xbf\xbe", 3) == 0 ||
			      memcmp(s, "\xef\xbf\xbf", 3) == 0))
		fprintf(out, "\\u%x", (s[0] & 0xfu) << 12 | (s[1] & 0x3fu) << 6 | (s[2] & 0x3fu));
	else
		return false;
	return true;
}

static void conf_print_text(const char *text, FILE *out)
{
	const unsigned char *s = (const unsigned char *)text;
	size_t left = strlen(text);

	fputc('"', out);
	while (left) {
		size_t len = utf8_sequence(s, left);

		if (!conf_print_escape(s, len, out))
			fwrite(s, 1, len, out);
		s += len ? len : 1;
		left -= len ? len : 1;
	}
	fputc('"', out);
}

static void conf_print_list(const char *key, const struct conf_list *list, FILE *out)
{
	if (list->n == 0) {
		fprintf(out, "%s: []\n", key);
		return;
	}
	fprintf(out, "%s:\n", key);
	for (size_t i = 0; i < list->n; i++) {
		fputs("  - ", out);
		conf_print_text(list->items[i], out);
		fputc('\n', out);
	}
}

static void conf_print_string(const struct conf_row *row, const char *key, const char *text, FILE *out)
{
	if (text) {
		fprintf(out, "%s: ", key);
		conf_print_text(text, out);
		fputc('\n', out);
	} else if (row->otherwise) {
		fprintf(out, "%s:\n", key);
	} else {
		fprintf(out, "# %s: %s\n", key, row->argument ? row->argument : "");
	}
}

void conf_print(const struct conf *c, FILE *out)
{
	for (size_t i = 0; i < c->n_rows; i++) {
		const struct conf_row *row = &c->rows[i];
		const void *member = conf_member(c, row);
		char key[CONF_KEY_MAX];

		if (row->only_option)
			continue;
		conf_key(row, key);
		fprintf(out, "# %s\n", row->help);
		if (row->type == CONF_FLAG)
			fprintf(out, "%s: %s\n", key, *(const bool *)member ? "true" : "false");
		else if (row->type == CONF_NUMBER)
			fprintf(out, "%s: %llu\n", key, (unsigned long long)*(const uint64_t *)member);
		else if (row->type == CONF_STRING)
			conf_print_string(row, key, *(char *const *)member, out);
		else
			conf_print_list(key, member, out);
	}
}

static void conf_help_default(const struct conf_row *row, FILE *out)
{
	const char *text = row->otherwise;

	if (!text || !*text || row->type == CONF_FLAG)
		return;
	fputs(" (default: ", out);
	for (; *text; text++)
		fputc(*text == '\n' ? ' ' : *text, out);
	fputc(')', out);
}

void conf_help(const struct conf *c, FILE *out)
{
	fprintf(out, "Usage: %s\n\n", c->usage);
	for (size_t i = 0; i < c->n_rows; i++) {
		const struct conf_row *row = &c->rows[i];
		char option[CONF_KEY_MAX + 32];
		char letter[8] = "    ";

		if (row->letter)
			snprintf(letter, sizeof(letter), "-%c, ", row->letter);
		snprintf(option, sizeof(option), "%s--%s%s%s", letter, row->name, row->argument ? " " : "",
			 row->argument ? row->argument : "");
		fprintf(out, strlen(option) > 30 ? "  %s\n  %-30s %s" : "  %-30s%s %s", option, "", row->help);
		conf_help_default(row, out);
		fputc('\n', out);
	}
}

void conf_deinit(const struct conf *c)
{
	for (size_t i = 0; i < c->n_rows; i++) {
		void *member = conf_member(c, &c->rows[i]);

		if (c->rows[i].type == CONF_STRING) {
			free(*(char **)member);
			*(char **)member = NULL;
		} else if (c->rows[i].type == CONF_LIST) {
			conf_list_clear(member);
		}
	}
}
