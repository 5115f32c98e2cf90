/* SPDX-License-Identifier: Apache-2.0 */
#include "commands/commands.h"

#include <string.h>

#include "base/log.h"
#include "base/nearest.h"
#include "commands/command_ask.h"

static const struct command commands[] = {
	{"explain", command_explain, "which rules a flow or an alert breaks and why, condition by condition"},
	{"silence", command_silence, "add, list or delete silences: alerts that nobody wants to hear of"},
	{"status", command_status, "how the running l7watch is"},
	{"test", command_test, "run tests of rules: flows in, alerts expected"},
};
#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

const struct command *command_at(size_t i)
{
	return i < COMMANDS ? &commands[i] : NULL;
}

const struct command *command_find(const char *word)
{
	for (size_t i = 0; i < COMMANDS; i++)
		if (strcmp(commands[i].name, word) == 0)
			return &commands[i];
	return NULL;
}

static const char *command_name(const void *arg, size_t i)
{
	(void)arg;
	return commands[i].name;
}

int command_run(int argc, char **argv)
{
	const char *word = argc > 1 ? argv[1] : "";
	const struct command *c = command_find(word);
	const char *near;

	if (c)
		return c->run(argc, argv);
	near = nearest_name(word, command_name, NULL, COMMANDS);
	if (near)
		log_error("\"%s\" is no command; did you mean %s?", word, near);
	else
		log_error("\"%s\" is no command: see --help", word);
	return 1;
}
