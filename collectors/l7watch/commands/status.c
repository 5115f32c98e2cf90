/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "commands/command_ask.h"
#include "commands/requests.h"

static const char status_help[] = "Usage: l7watch status [--json | --forget NAME]\n"
				  "Says how the running l7watch is, and lists the probes that it hears; ! is silent.\n"
				  "\n"
				  "  --json             print it as a JSON object\n"
				  "  --forget NAME      strike a probe off the list that is gone for good\n"
				  "  --control PATH     socket of the running l7watch\n"
				  "  -c, --config FILE  configuration that has its path as `control`\n"
				  "\n"
				  "Exit status: 0 done, 1 bad usage, 2 no l7watch answers.\n";

static int status_check(char *const *words, size_t n, char *err, size_t err_size)
{
	if (n > 1 && strcmp(words[1], "--forget") == 0) {
		if (n != 3 || !*words[2]) {
			snprintf(err, err_size, "--forget needs the name of one probe, and nothing else");
			return -EINVAL;
		}
		return 0;
	}
	for (size_t i = 1; i < n; i++)
		if (strcmp(words[i], "--json") != 0) {
			snprintf(err, err_size, "status knows --json and --forget, not \"%s\"", words[i]);
			return -EINVAL;
		}
	return 0;
}

static int status_forget(const struct status_source *s, const char *name, struct buf *answer)
{
	if (s->forget && s->forget(s->arg, name))
		return 0;
	buf_printf(answer, "no probe %s is in the list", name);
	return -ENOENT;
}

int status_request(void *source, char *const *words, size_t n, struct buf *answer)
{
	const struct status_source *s = source;
	char err[512];
	int rc = status_check(words, n, err, sizeof(err));

	if (rc)
		buf_str(answer, err);
	else if (n > 1 && strcmp(words[1], "--forget") == 0)
		rc = status_forget(s, words[2], answer);
	else
		s->print(s->arg, n > 1, answer);
	return rc;
}

int command_status(int argc, char **argv)
{
	return command_ask(argc, argv, &(struct command_ask){.help = status_help, .check = status_check});
}
