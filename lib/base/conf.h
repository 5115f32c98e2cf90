/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Configuration by one table: a row per key gives its option, its YAML key, type, range, default and help, so that command line,
 * file, --print-config and --help cannot disagree. The command line wins over the file, the file over defaults.
 */
#ifndef L7_BASE_CONF_H
#define L7_BASE_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum conf_type {
	CONF_FLAG,   /* bool member; option without argument; YAML true/false */
	CONF_NUMBER, /* uint64_t member within min..max */
	CONF_STRING, /* char * member, owned, NULL if absent */
	CONF_LIST, /* struct conf_list member; option repeatable; YAML list or single scalar; replaced, not added to, by the command line */
};

#define CONF_ROWS_MAX 128

/* Where a value was given; all 0: nowhere, it is the default. */
struct conf_place {
	bool option; /* on the command line; else in the file, at */
	int line;    /* from 1 */
	int column;
};

struct conf_list {
	char **items;              /* owned */
	struct conf_place *places; /* of the items; owned, NULL in a list that conf_load() has not made */
	size_t n;
};

struct conf_row {
	const char *name; /* "idle-timeout" on the command line, "idle_timeout" in the file */
	char letter;      /* short option, 0 for none */
	enum conf_type type;
	size_t offset;         /* of the member in the daemon's configuration struct */
	uint64_t min, max;     /* CONF_NUMBER */
	const char *otherwise; /* default as text, NULL for absent; CONF_LIST: items, one per line */
	const char *argument;  /* placeholder in --help: "SECONDS" */
	const char *help;      /* one line */
	bool only_option;      /* -h, -V, --check ...: no YAML key, not printed */
	bool live;             /* may change while the program runs: conf_take() */
	char split;            /* CONF_LIST: an item on the command line is split at this character, 0 never */
};

struct conf {
	const char *program;
	const char *usage; /* lines after "Usage: ", without the last newline */
	const struct conf_row *rows;
	size_t n_rows; /* CONF_ROWS_MAX at most */
	void *target;  /* the daemon's configuration struct, zeroed by the caller; not owned */
	struct conf_place
		*places; /* of the rows' values, [CONF_ROWS_MAX], zeroed; not owned, NULL if nobody asks conf_error() */
};

/*
 * Defaults, then the file named by the row "config" (if given, or if `fallback` is not NULL and exists), then the
 * command line. Positional arguments are an error. The name of the file read is left in the member of "config". If "help",
 * "version" or "completion" is given, no file is read. Returns 0, or -EINVAL with a sentence in err ("file:line:column: ..." for the
 * file; nearest name for unknown options and keys); then no member needs conf_deinit(), and doing it does no harm.
 */
int conf_load(const struct conf *c, int argc, char **argv, const char *fallback, char *err, size_t err_size);
/*
 * Puts before the sentence in err where the value of a row stands that is wrong: "file:line:column: " or "option --NAME: ". Of
 * a list that is `item`, from 0; one past its end means the list as a whole. Returns -EINVAL.
 */
int conf_error(const struct conf *c, const char *name, size_t item, char *err, size_t err_size);
/*
 * Of a configuration that was read again, `next`: takes over the values of the rows that may change while the program runs, in
 * exchange for those in force. For each of the others that differs `fixed` is called with its name. Both are of one table. Returns
 * true if a value taken over differs.
 */
bool conf_take(const struct conf *c, const struct conf *next, void (*fixed)(const char *name));
/* Forgets a list. */
void conf_list_clear(struct conf_list *list);
/* The effective configuration as a YAML file that conf_load reads back to the same (texts that are UTF-8, that is). */
void conf_print(const struct conf *c, FILE *out);
/* Usage and a line per option, in the order of the table. */
void conf_help(const struct conf *c, FILE *out);
/* A script that completes the options in a shell: bash, zsh or fish. Returns 0, or -EINVAL for another. */
int conf_completion(const struct conf *c, const char *shell, FILE *out);
/* Frees the members of target. */
void conf_deinit(const struct conf *c);

#endif
