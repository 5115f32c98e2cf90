/* SPDX-License-Identifier: Apache-2.0 */
#include "commands/command_ask.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/yaml.h"
#include "commands/commands.h"
#include "control/control.h"

#define ASK_CONFIG "/etc/l7watch/l7watch.yaml"

enum { ASK_DONE = 0, ASK_USAGE = 1 };

struct ask {
	const char *control, *config; /* as given, or NULL */
	bool help;
	char *words[CONTROL_WORDS_MAX];
	size_t n;
	char *copies[CONTROL_WORDS_MAX]; /* owned: arguments that are cut in two */
	size_t n_copies;
};

static int ask_word(struct ask *a, char *word)
{
	if (a->n == CONTROL_WORDS_MAX)
		return -E2BIG;
	a->words[a->n++] = word;
	return 0;
}

/* "--name=value" is cut; the value stays whole, whatever it has in it. */
static int ask_cut(struct ask *a, char **word, char **value)
{
	char *equals = strncmp(*word, "--", 2) == 0 ? strchr(*word, '=') : NULL, *copy;

	*value = NULL;
	if (!equals)
		return 0;
	if (a->n_copies == CONTROL_WORDS_MAX)
		return -E2BIG;
	copy = strdup(*word);
	if (!copy)
		return -ENOMEM;
	a->copies[a->n_copies++] = copy;
	copy[equals - *word] = '\0';
	*value = copy + (equals - *word) + 1;
	*word = copy;
	return 0;
}

/* Which of our own options it is. */
static const char **ask_own(struct ask *a, const char *word)
{
	if (strcmp(word, "--control") == 0)
		return &a->control;
	if (strcmp(word, "--config") == 0 || strcmp(word, "-c") == 0)
		return &a->config;
	return NULL;
}

static int ask_take(struct ask *a, int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		char *word = argv[i], *value;
		const char **own;
		int rc = ask_cut(a, &word, &value);

		if (rc)
			return rc;
		own = ask_own(a, word);
		if (own && !value && i + 1 == argc) {
			log_error("option %s needs a value", word);
			return -EINVAL;
		}
		if (own)
			*own = value ? value : argv[++i];
		else if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
			a->help = true;
		else
			rc = ask_word(a, word);
		if (!own && value && rc == 0)
			rc = ask_word(a, value);
		if (rc)
			return rc;
	}
	return 0;
}

/* The configuration's key `control`, owned by the caller; NULL if it has none. False: it cannot be had, which is logged. */
static bool ask_configured(const struct ask *a, char **path)
{
	const char *file = a->config ? a->config : ASK_CONFIG;
	const struct yaml_node *node;
	struct yaml y;
	char err[512];
	bool got = true;

	*path = NULL;
	/* Who may ask need not be allowed to read the configuration. */
	if (!a->config && access(file, R_OK) < 0)
		return true;
	if (yaml_load(&y, file, err, sizeof(err))) {
		log_error("%s", err);
		return false;
	}
	node = y.root && y.root->kind == YAML_MAP ? yaml_get(y.root, "control") : NULL;
	if (node && node->kind == YAML_SCALAR) {
		*path = strdup(node->value);
		got = *path != NULL;
	}
	if (!got)
		log_error("no memory");
	yaml_deinit(&y);
	return got;
}

static int ask_daemon(const struct ask *a)
{
	char *configured = NULL;
	int status;

	if (!a->control && !ask_configured(a, &configured))
		return ASK_USAGE;
	status = control_ask(a->control   ? a->control
			     : configured ? configured
					  : COMMAND_CONTROL,
			     (const char *const *)a->words, a->n, stdout);
	free(configured);
	return status;
}

int command_ask(int argc, char **argv, const struct command_ask *ask)
{
	struct ask a = {0};
	char err[512];
	int rc = ask_take(&a, argc, argv), status = ASK_USAGE;

	if (rc == -E2BIG)
		log_error("too many arguments");
	else if (rc == -ENOMEM)
		log_error("no memory");
	else if (rc == 0 && a.help)
		status = fputs(ask->help, stdout) < 0 ? ASK_USAGE : ASK_DONE;
	else if (rc == 0 && ask->check(a.words, a.n, err, sizeof(err)))
		log_error("%s", err);
	else if (rc == 0)
		status = ask_daemon(&a);
	for (size_t i = 0; i < a.n_copies; i++)
		free(a.copies[i]);
	return status;
}
