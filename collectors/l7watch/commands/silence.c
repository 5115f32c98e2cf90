/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "commands/command_ask.h"
#include "commands/silence_words.h"

static const char silence_help[] =
	"Usage: l7watch silence add [--rule ID] [--host ADDRESS|NETWORK] [--app NAME] [--for TIME | --until DAY]\n"
	"                           [--comment TEXT]\n"
	"       l7watch silence list [--json]\n"
	"       l7watch silence del ID\n"
	"Alerts that match all of a silence are kept, but not told until it is over.\n"
	"\n"
	"  --rule ID          of this rule only\n"
	"  --host ADDRESS     of this host, or of the hosts of a network: 192.0.2.0/24\n"
	"  --app NAME         of this application: Telegram, TLS.Telegram, TLS.*\n"
	"  --for TIME         for 30m, 2h, 7d from now; for ever if neither this nor --until is given\n"
	"  --until DAY        until the end of that day, UTC: 2027-01-31\n"
	"  --comment TEXT     why, for who reads the list\n"
	"  --json             print the list as JSON\n"
	"  --control PATH     socket of the running l7watch\n"
	"  -c, --config FILE  configuration that has its path as `control`\n"
	"\n"
	"Exit status: 0 done, 1 bad usage or refused, 2 no l7watch answers.\n";

static int silence_check(char *const *words, size_t n, char *err, size_t err_size)
{
	struct silence_words w;

	return silence_words_read(&w, words, n, clock_wall_ms(), err, err_size);
}

int command_silence(int argc, char **argv)
{
	return command_ask(argc, argv, &(struct command_ask){.help = silence_help, .check = silence_check});
}
