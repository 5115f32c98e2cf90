/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WATCH_CONFIG_H
#define WATCH_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/conf.h"
#include "rules/rules.h"

struct config {
	struct conf_list listen;
	struct conf_list alert;
	struct conf_list home_nets;
	struct conf_list checks;
	char *rules; /* NULL: none, there are checks */
	char *checks_folder;
	char *state;   /* NULL: in memory */
	char *control; /* NULL: none */
	char *learn;   /* NULL: no */
	char *config;
	char *completion; /* a shell's name, or NULL */
	uint64_t pen;
	uint64_t flush_interval; /* seconds, as are the next two */
	uint64_t silent_after;   /* 0: never */
	uint64_t keep_hosts;
	uint64_t max_flows;
	uint64_t max_hosts;
	bool stats;
	bool verbose;
	bool check;
	bool print_config;
	bool version;
	bool help;
	struct conf_place places[CONF_ROWS_MAX];
};

/* The table of options; target is c. */
struct conf config_table(struct config *c);
/* Where rules come from; valid as long as c. */
struct rules_sources config_rules(const struct config *c);
/* Options, file and defaults. Returns 0, or -EINVAL with a sentence. config_deinit() after success. */
int config_load(struct config *c, int argc, char **argv, char *err, size_t err_size);
void config_deinit(struct config *c);

#endif
