/* SPDX-License-Identifier: Apache-2.0 */
/* Commands: what l7watch does, at once, when its first argument is a word of the table and no option. */
#ifndef WATCH_COMMANDS_H
#define WATCH_COMMANDS_H

#include <stddef.h>

#define COMMAND_CONTROL "/run/l7watch/control.sock" /* default of --control and of the configuration's key */

struct command {
	const char *name;
	int (*run)(int argc, char **argv); /* argv[0] is the program, argv[1] the name; returns an exit status */
	const char *help;                  /* one line */
};

/* The table's i-th command, or NULL. */
const struct command *command_at(size_t i);
/* The command of a word, or NULL. */
const struct command *command_find(const char *word);
/* Runs the command that argv[1] names; a word that is none is an error. Returns an exit status. Messages go to the log. */
int command_run(int argc, char **argv);

#endif
