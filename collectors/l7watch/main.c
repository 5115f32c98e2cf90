/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/stdfd.h"
#include "commands/commands.h"
#include "config.h"
#include "daemon.h"

static int main_check(const struct config *c)
{
	struct rule_set *rules;
	char err[1024];

	if (daemon_load_rules(c, &rules, err, sizeof(err))) {
		log_error("%s", err);
		return DAEMON_USAGE;
	}
	printf("%s: no errors, rules: %zu\n", c->rules ? c->rules : "checks", rules_count(rules));
	rules_free(rules);
	return DAEMON_DONE;
}

static void main_commands(void)
{
	const struct command *c;

	puts("\nCommands:");
	for (size_t i = 0; (c = command_at(i)); i++)
		printf("  %-10s %s\n", c->name, c->help);
}

static int main_run(struct config *c)
{
	struct conf table = config_table(c);

	if (c->help) {
		conf_help(&table, stdout);
		main_commands();
		return DAEMON_DONE;
	}
	if (c->version) {
		puts("l7watch " L7_VERSION);
		return DAEMON_DONE;
	}
	if (c->completion) {
		if (conf_completion(&table, c->completion, stdout) == 0)
			return DAEMON_DONE;
		log_error("option --completion is \"%s\": not bash, zsh or fish", c->completion);
		return DAEMON_USAGE;
	}
	if (c->print_config) {
		conf_print(&table, stdout);
		return DAEMON_DONE;
	}
	return c->check ? main_check(c) : daemon_run(c);
}

int main(int argc, char **argv)
{
	struct config config = {0};
	char err[1024];
	int status, rc;

	stdfd_reserve();
	log_init("l7watch", LOG_LEVEL_INFO);
	if (argc > 1 && argv[1][0] != '-') {
		status = command_run(argc, argv);
	} else if (config_load(&config, argc, argv, err, sizeof(err))) {
		log_error("%s", err);
		return DAEMON_USAGE;
	} else {
		if (config.verbose)
			log_init("l7watch", LOG_LEVEL_DEBUG);
		status = main_run(&config);
		config_deinit(&config);
	}
	rc = stdfd_flush();
	if (rc) {
		log_error("standard output: %s", strerror(-rc));
		status = DAEMON_FAILED;
	}
	return status;
}
