/* SPDX-License-Identifier: Apache-2.0 */
/* l7watch at work: inputs, rules and outputs in one event loop, until it is told to stop or, in a replay, all is read. */
#ifndef WATCH_DAEMON_H
#define WATCH_DAEMON_H

#include "config.h"

enum { DAEMON_DONE = 0, DAEMON_USAGE = 1, DAEMON_FAILED = 2 }; /* exit statuses */

/* Loads the rules that a configuration names; warnings are logged. Returns 0, or a negative errno with a sentence. */
int daemon_load_rules(const struct config *c, struct rule_set **rules, char *err, size_t err_size);

/* Returns the exit status. */
int daemon_run(struct config *c);

#endif
