/* SPDX-License-Identifier: Apache-2.0 */
/* What l7probe is told: command line and file, through one table of rows (base/conf.h). */
#ifndef PROBE_CONFIG_H
#define PROBE_CONFIG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/conf.h"
#include "base/uri.h"

struct config {
	struct conf_list interfaces;
	struct conf_list files;
	struct conf_list outputs;
	char *filter;
	char *template_name;
	char *config;
	char *protocols;
	char *exporter;
	char *crash_dir; /* NULL: no packet is kept */
	uint64_t workers;
	uint64_t active_timeout; /* s */
	uint64_t idle_timeout;   /* s */
	uint64_t max_flows;      /* per worker */
	uint64_t observation_domain;
	uint64_t pen;
	uint64_t drain_timeout; /* s */
	uint64_t snaplen;
	uint64_t buffer_size; /* MiB */
	char *color;
	bool all;
	bool stats;
	bool check;
	bool print_config;
	bool list_fields;
	bool list_templates;
	bool list_protocols;
	bool selftest_sandbox;
	bool verbose;
	bool version;
	bool help;
	struct uri *uris; /* outputs, parsed; [outputs.n] */
	bool early;       /* some output takes early records */
};

/*
 * Fills c, which the caller has zeroed, and checks all that can be checked without opening anything. Returns 0, or -EINVAL
 * with a sentence in err. After success config_deinit().
 */
int config_load(struct config *c, int argc, char **argv, char *err, size_t err_size);
void config_deinit(struct config *c);
void config_print(struct config *c, FILE *out);
void config_help(struct config *c, FILE *out);

#endif
