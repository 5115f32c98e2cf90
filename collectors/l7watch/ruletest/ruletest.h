/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tests of rules, a YAML file each (docs/rules.md): flows in, alerts expected. They run through all of l7watch but its sockets, in the
 * time of the flows.
 */
#ifndef WATCH_RULETEST_H
#define WATCH_RULETEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/yaml.h"
#include "rules/rules.h"

#define RULETEST_FLOWS_MAX 1000000u /* of a file, repetitions counted */
#define RULETEST_ALERTS_MAX 10000u
#define RULETEST_LINE_MAX 65536u

/* A flow of the file and when it comes. */
struct ruletest_flow {
	uint64_t at_ms;
	uint32_t node;  /* of `flows`, or line of its file */
	uint32_t times; /* which repetition, from 0 */
};

struct ruletest {
	struct yaml yaml;
	char *rules;                        /* owned; path of the rule file, NULL for none */
	char *folder;                       /* owned; of checks */
	struct conf_list checks, home_nets; /* owned */
	uint64_t start_ms, end_ms;          /* end 0: with the last flow */
	struct buf lines;                   /* flows of a file: JSON lines, each ends with a NUL */
	size_t *line_at;                    /* owned; of each of them */
	struct ruletest_flow *flows;        /* owned; in order of time */
	size_t n_flows;
	const struct yaml_node *alerts; /* list, or NULL: none expected */
};

/* Returns 0, or a negative errno with "file:line:column: ...". ruletest_deinit() after success. */
int ruletest_load(struct ruletest *t, const char *path, char *err, size_t err_size);
void ruletest_deinit(struct ruletest *t);

/* The JSON line of a flow, not terminated. Returns 0, or -EINVAL with a sentence. */
int ruletest_line(const struct ruletest *t, const struct ruletest_flow *f, struct buf *line, char *err,
		  size_t err_size);

/*
 * Runs a loaded test; prints what is not as expected, a line each, with its place. Returns the number of such lines, or a negative
 * errno with a sentence.
 */
int ruletest_run(const struct ruletest *t, FILE *out, char *err, size_t err_size);

#endif
