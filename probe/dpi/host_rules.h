/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host names of the user's protocol rules, to check what nDPI 4.2 makes of them: it also takes "not-example.org" for a rule
 * for "example.org".
 */
#ifndef PROBE_DPI_HOST_RULES_H
#define PROBE_DPI_HOST_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct host_rules {
	struct host_rule {
		char *host;
		uint16_t protocol;
	} * rules;
	size_t n;
	size_t room;
};

/* Adds a copy of a name. Returns 0 or -ENOMEM. */
int host_rules_add(struct host_rules *h, const char *host, uint16_t protocol);
/* Call once after the last name was added. */
void host_rules_sort(struct host_rules *h);
void host_rules_deinit(struct host_rules *h);

/* True if `name` ends in a rule's host of that protocol after a '-', and neither is nor is under one. */
bool host_rules_only_looks_like(const struct host_rules *h, const char *name, uint16_t protocol);

#endif
