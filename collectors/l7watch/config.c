/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "alert/alert_output.h"
#include "input/input.h"
#include "l7/fields.h"

#define CONFIG_FILE "/etc/l7watch/l7watch.yaml"
#define AT(member) .offset = offsetof(struct config, member)

/* clang-format off */
static const struct conf_row config_rows[] = {
	{.name = "listen", .letter = 'l', .type = CONF_LIST, AT(listen), .argument = "INPUT",
	 .otherwise = "ipfix+udp://[::]:4739\nipfix+tcp://[::]:4739",
	 .help = "where records come from: ipfix+udp://ADDRESS:PORT, ipfix+tcp://ADDRESS:PORT, ipfix+file:///PATH, "
		 "json+file:///PATH, json:- (standard input); repeatable; ends with the last file"},
	{.name = "rules", .letter = 'R', .type = CONF_STRING, AT(rules), .argument = "FILE",
	 .otherwise = "/etc/l7watch/rules.yaml", .help = "what hosts may speak"},
	{.name = "alert", .letter = 'a', .type = CONF_LIST, AT(alert), .argument = "OUTPUT", .otherwise = "json:-",
	 .help = "where alerts go: json:-, json+file:///PATH; repeatable"},
	{.name = "config", .letter = 'c', .type = CONF_STRING, AT(config), .argument = "FILE", .only_option = true,
	 .help = "configuration, " CONFIG_FILE " if it is there"},
	{.name = "pen", .type = CONF_NUMBER, AT(pen), .argument = "NUMBER", .otherwise = "32473", .min = 1,
	 .max = UINT32_MAX - 1, .help = "enterprise number of the probe's own elements, as its key pen"},
	{.name = "stats", .type = CONF_FLAG, AT(stats), .help = "at the end, one JSON object with counters to standard error"},
	{.name = "verbose", .letter = 'v', .type = CONF_FLAG, AT(verbose), .help = "say more"},
	{.name = "check", .type = CONF_FLAG, AT(check), .only_option = true,
	 .help = "check configuration and rules, listen to nothing"},
	{.name = "print-config", .type = CONF_FLAG, AT(print_config), .only_option = true,
	 .help = "print the configuration in force, as a file"},
	{.name = "completion", .type = CONF_STRING, AT(completion), .argument = "SHELL", .only_option = true,
	 .help = "print a script that completes options in bash, zsh or fish"},
	{.name = "version", .letter = 'V', .type = CONF_FLAG, AT(version), .only_option = true, .help = "print the version"},
	{.name = "help", .letter = 'h', .type = CONF_FLAG, AT(help), .only_option = true, .help = "print this"},
};
/* clang-format on */

struct conf config_table(struct config *c)
{
	return (struct conf){.program = "l7watch",
			     .usage = "l7watch [-l INPUT ...] [-R RULES] [-a OUTPUT ...] [-c FILE]\n"
				      "Takes flow records of l7probe and alerts on hosts that speak what they may not.",
			     .rows = config_rows,
			     .n_rows = sizeof(config_rows) / sizeof(config_rows[0]),
			     .target = c,
			     .places = c->places};
}

static int config_check(struct config *c, char *err, size_t err_size)
{
	struct conf table = config_table(c);
	size_t which = 0;

	if (input_check(&c->listen, &which, err, err_size))
		return conf_error(&table, "listen", which, err, err_size);
	if (alert_outputs_check(&c->alert, &which, err, err_size))
		return conf_error(&table, "alert", which, err, err_size);
	if (!c->rules) {
		snprintf(err, err_size, "no rules are given");
		return conf_error(&table, "rules", 0, err, err_size);
	}
	if (c->pen == L7_PEN_REVERSE || c->pen == L7_PEN_NTOP) {
		snprintf(err, err_size, "pen %llu is taken: own elements need another", (unsigned long long)c->pen);
		return conf_error(&table, "pen", 0, err, err_size);
	}
	return 0;
}

int config_load(struct config *c, int argc, char **argv, char *err, size_t err_size)
{
	struct conf table = config_table(c);
	int rc;

	memset(c, 0, sizeof(*c));
	rc = conf_load(&table, argc, argv, CONFIG_FILE, err, err_size);
	if (rc)
		return rc;
	rc = c->help || c->version || c->completion ? 0 : config_check(c, err, err_size);
	if (rc)
		config_deinit(c);
	return rc;
}

void config_deinit(struct config *c)
{
	struct conf table = config_table(c);

	conf_deinit(&table);
}
