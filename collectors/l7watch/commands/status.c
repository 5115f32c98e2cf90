/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "commands/command_ask.h"
#include "commands/requests.h"

static const char status_help[] = "Usage: l7watch status [--json]\n"
				  "Says how the running l7watch is.\n"
				  "\n"
				  "  --json             print it as a JSON object\n"
				  "  --control PATH     socket of the running l7watch\n"
				  "  -c, --config FILE  configuration that has its path as `control`\n"
				  "\n"
				  "Exit status: 0 done, 1 bad usage, 2 no l7watch answers.\n";

static int status_check(char *const *words, size_t n, char *err, size_t err_size)
{
	for (size_t i = 1; i < n; i++)
		if (strcmp(words[i], "--json") != 0) {
			snprintf(err, err_size, "status knows --json, not \"%s\"", words[i]);
			return -EINVAL;
		}
	return 0;
}

int status_request(void *source, char *const *words, size_t n, struct buf *answer)
{
	const struct status_source *s = source;
	char err[512];
	int rc = status_check(words, n, err, sizeof(err));

	if (rc)
		buf_str(answer, err);
	else
		s->print(s->arg, n > 1, answer);
	return rc;
}

int command_status(int argc, char **argv)
{
	return command_ask(argc, argv, &(struct command_ask){.help = status_help, .check = status_check});
}
