/* SPDX-License-Identifier: Apache-2.0 */
/* Commands that the running daemon answers. */
#ifndef WATCH_COMMAND_ASK_H
#define WATCH_COMMAND_ASK_H

#include <stddef.h>

struct command_ask {
	const char *help; /* all of --help */
	/* Says what is wrong with the request before anybody is asked; 0 or a negative errno with a sentence. */
	int (*check)(char *const *words, size_t n, char *err, size_t err_size);
};

/*
 * Sends argv[1] and what follows to the daemon, but for --control PATH, --config FILE and --help, which are for us. An option
 * "--name=value" becomes two words. The socket is that of --control, else of the configuration's key `control`, else COMMAND_CONTROL.
 * Returns an exit status: 0 done, 1 bad usage or refused by the daemon, 2 there is none.
 */
int command_ask(int argc, char **argv, const struct command_ask *ask);

/* ---- the commands; argv[0] is the program, argv[1] the name ---- */

int command_explain(int argc, char **argv);
int command_test(int argc, char **argv);
int command_silence(int argc, char **argv);
int command_status(int argc, char **argv);

#endif
