/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WATCH_CONFIG_H
#define WATCH_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/conf.h"

struct config {
	struct conf_list listen;
	struct conf_list alert;
	char *rules;
	char *config;
	char *completion; /* a shell's name, or NULL */
	uint64_t pen;
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
/* Options, file and defaults. Returns 0, or -EINVAL with a sentence. config_deinit() after success. */
int config_load(struct config *c, int argc, char **argv, char *err, size_t err_size);
void config_deinit(struct config *c);

#endif
