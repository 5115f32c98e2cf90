/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "alert/alert_output.h"
#include "commands/commands.h"
#include "input/input.h"
#include "l7/fields.h"

#define CONFIG_FILE "/etc/l7watch/l7watch.yaml"
#define CONFIG_RULES "/etc/l7watch/rules.yaml"
#define CONFIG_CHECKS "/etc/l7watch/rules.d"
#define AT(member) .offset = offsetof(struct config, member)

/* clang-format off */
static const struct conf_row config_rows[] = {
	{.name = "listen", .letter = 'l', .type = CONF_LIST, AT(listen), .argument = "INPUT",
	 .otherwise = "ipfix+udp://[::]:4739\nipfix+tcp://[::]:4739",
	 .help = "where records come from: ipfix+udp://ADDRESS:PORT, ipfix+tcp://ADDRESS:PORT,"
		 " ipfix+tls://ADDRESS:PORT?cert=/FILE&key=/FILE&ca=/FILE, ipfix+file:///PATH, json:-,"
		 " json+file:///PATH, kafka://BROKERS/TOPIC?group=NAME; repeatable"},
	{.name = "rules", .letter = 'R', .type = CONF_STRING, AT(rules), .argument = "FILE",
	 .otherwise = CONFIG_RULES, .help = "what hosts may speak"},
	{.name = "checks", .type = CONF_LIST, AT(checks), .argument = "NAMES", .split = ',',
	 .help = "ready-made rules to switch on, by name: docs/checks.md"},
	{.name = "checks-folder", .type = CONF_STRING, AT(checks_folder), .argument = "FOLDER",
	 .help = "where they are, " CONFIG_CHECKS " if it is there"},
	{.name = "home-nets", .type = CONF_LIST, AT(home_nets), .argument = "NETS", .split = ',',
	 .help = "networks that are ours, unless the rules say it"},
	{.name = "alert", .letter = 'a', .type = CONF_LIST, AT(alert), .argument = "OUTPUT", .otherwise = "json:-",
	 .help = "where alerts go: json:-, json+file:///PATH, text:-, text+file:///PATH, syslog:,"
		 " kafka://BROKERS/TOPIC; repeatable"},
	{.name = "state", .type = CONF_STRING, AT(state), .argument = "FILE",
	 .help = "database that keeps alerts and what rules have counted; without it they go with the process"},
	{.name = "control", .type = CONF_STRING, AT(control), .argument = "SOCKET",
	 .help = "where l7watch status, silence and explain ask, such as " COMMAND_CONTROL},
	{.name = "config", .letter = 'c', .type = CONF_STRING, AT(config), .argument = "FILE", .only_option = true,
	 .help = "configuration, " CONFIG_FILE " if it is there"},
	{.name = "pen", .type = CONF_NUMBER, AT(pen), .argument = "NUMBER", .otherwise = "32473", .min = 1,
	 .max = UINT32_MAX - 1, .help = "enterprise number of the probe's own elements, as its key pen"},
	{.name = "flush-interval", .type = CONF_NUMBER, AT(flush_interval), .argument = "SECONDS", .otherwise = "5", .min = 1,
	 .max = 3600, .help = "counts go to the database so often; a kill loses at most those since"},
	{.name = "silent-after", .type = CONF_NUMBER, AT(silent_after), .argument = "SECONDS", .otherwise = "90", .max = 31536000,
	 .help = "an exporter that sends nothing for so long is an alert, 0 for never"},
	{.name = "keep-hosts", .type = CONF_NUMBER, AT(keep_hosts), .argument = "SECONDS", .otherwise = "7776000", .min = 60,
	 .max = 3153600000, .help = "what a host spoke is forgotten when it was not seen for so long"},
	{.name = "max-flows", .type = CONF_NUMBER, AT(max_flows), .argument = "NUMBER", .otherwise = "262144", .min = 1024,
	 .max = 16777216, .help = "flows remembered at one time, to know their later records"},
	{.name = "max-hosts", .type = CONF_NUMBER, AT(max_hosts), .argument = "NUMBER", .otherwise = "1000000", .min = 1024,
	 .max = 100000000, .help = "rows of what hosts spoke, a row for host, side and protocol"},
	{.name = "learn", .type = CONF_STRING, AT(learn), .argument = "FILE", .only_option = true,
	 .help = "at the end, write rules that allow what hosts spoke"},
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
			     .usage = "l7watch [-l INPUT ...] [-R RULES] [--checks NAMES] [-a OUTPUT ...] [-c FILE]\n"
				      "       l7watch status|silence|explain|test ...\n"
				      "Takes flow records of l7probe and alerts on hosts that speak what they may not.",
			     .rows = config_rows,
			     .n_rows = sizeof(config_rows) / sizeof(config_rows[0]),
			     .target = c,
			     .places = c->places};
}

/* Replaces a text of the configuration; NULL takes it away. */
static int config_set(char **text, const char *value)
{
	free(*text);
	*text = value ? strdup(value) : NULL;
	return value && !*text ? -ENOMEM : 0;
}

static const struct conf_place *config_place(const struct config *c, const char *name)
{
	static const struct conf_place nowhere;

	for (size_t i = 0; i < sizeof(config_rows) / sizeof(config_rows[0]); i++)
		if (strcmp(config_rows[i].name, name) == 0)
			return &c->places[i];
	return &nowhere;
}

/* On the command line or in the file. */
static bool config_given(const struct config *c, const char *name)
{
	const struct conf_place *at = config_place(c, name);

	return at->option || at->line;
}

/* A backtest is not the service: state and control of the file that is read unasked are the service's. */
static void config_spare_service(struct config *c)
{
	if (!input_is_replay(&c->listen) || config_place(c, "config")->option)
		return;
	if (!config_place(c, "state")->option)
		(void)config_set(&c->state, NULL);
	if (!config_place(c, "control")->option)
		(void)config_set(&c->control, NULL);
}

/* Checks alone are rules enough: the default file need not be there. */
static int config_find_rules(struct config *c)
{
	int rc = 0;

	if (!c->checks_folder)
		rc = config_set(&c->checks_folder,
				access(CONFIG_CHECKS, R_OK) == 0 ? CONFIG_CHECKS : L7_SOURCE_DIR "/etc/rules.d");
	if (!rc && c->rules && (c->checks.n || c->learn) && !config_given(c, "rules") && access(c->rules, F_OK))
		rc = config_set(&c->rules, NULL);
	return rc;
}

struct rules_sources config_rules(const struct config *c)
{
	return (struct rules_sources){
		.file = c->rules, .folder = c->checks_folder, .checks = &c->checks, .home_nets = &c->home_nets};
}

static int config_check(struct config *c, char *err, size_t err_size)
{
	struct conf table = config_table(c);
	size_t which = 0;

	if (input_check(&c->listen, &which, err, err_size))
		return conf_error(&table, "listen", which, err, err_size);
	if (alert_outputs_check(&c->alert, &which, err, err_size))
		return conf_error(&table, "alert", which, err, err_size);
	config_spare_service(c);
	if (config_find_rules(c)) {
		snprintf(err, err_size, "no memory");
		return -ENOMEM;
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
