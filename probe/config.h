/* SPDX-License-Identifier: Apache-2.0 */
/* What l7probe is told: command line and file, through one table of rows (base/conf.h). */
#ifndef PROBE_CONFIG_H
#define PROBE_CONFIG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/conf.h"
#include "base/prefix.h"
#include "base/uri.h"
#include "exporter.h"

struct config {
	struct conf_list interfaces;
	struct conf_list files;
	struct conf_list outputs;
	struct conf_list home_nets;
	char *filter;
	char *template_name;
	char *config;
	char *protocols;
	char *categories;
	struct conf_list geoip; /* files, GEO_FILES_MAX at most */
	struct conf_list mac_vendors;
	char *exporter;
	char *site;      /* NULL: none */
	char *crash_dir; /* NULL: no packet is kept */
	uint64_t workers;
	uint64_t active_timeout; /* s */
	uint64_t idle_timeout;   /* s */
	uint64_t max_flows;      /* per worker */
	uint64_t observation_domain;
	uint64_t pen;
	uint64_t drain_timeout; /* s */
	uint64_t snaplen;
	uint64_t buffer_size;     /* MiB */
	uint64_t capture_timeout; /* ms */
	bool dedup;
	uint64_t sample_packets; /* one in so many is looked at */
	uint64_t sample_flows;
	struct conf_list flow_key; /* "vlan", "tunnel", or "none" alone */
	char *tunnels;             /* "inner" or "outer" */
	char *promiscuous;         /* "yes" or "no" */
	struct conf_list cpus;     /* of the workers; none: any */
	char *color;
	char *completion; /* a shell's name, or NULL */
	bool all;
	bool stats;
	bool check;
	bool print_config;
	bool list_fields;
	bool list_templates;
	bool list_protocols;
	bool list_categories;
	bool selftest_sandbox;
	bool verbose;
	bool version;
	bool help;
	struct uri *uris;     /* outputs, parsed; [outputs.n] */
	bool early;           /* some output takes early records */
	unsigned key_without; /* of flow_key: what is not in it, FLOW_KEY_* */
	struct conf_place places[CONF_ROWS_MAX];
	struct prefix_map home; /* of home_nets, set 0; nothing in it if there are none */
	uint64_t wanted[2];     /* fields that some output writes: a bit per enum l7_field */
};

/*
 * Fills c, which the caller has zeroed, and checks all that can be checked without opening anything. Returns 0, or -EINVAL
 * with a sentence in err. After success config_deinit().
 */
int config_load(struct config *c, int argc, char **argv, char *err, size_t err_size);
void config_deinit(struct config *c);
/*
 * After a second config_load() into `next`: c gets what of it may change while the probe runs. `fixed` is called with the name of
 * each other option that differs. What is in `next` then is for config_deinit(). Returns true if something in c is another.
 */
bool config_take(struct config *c, struct config *next, void (*fixed)(const char *name));
/* The names in the outputs' filters, with all that there are. Returns 0, or a negative errno with a sentence. */
int config_check_filters(struct config *c, const struct exporter_names *names, char *err, size_t err_size);
void config_print(struct config *c, FILE *out);
void config_help(struct config *c, FILE *out);
/* For the shell c->completion; -EINVAL if it is none that is known. */
int config_completion(struct config *c, FILE *out);

#endif
