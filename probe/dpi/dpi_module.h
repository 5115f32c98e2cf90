/* SPDX-License-Identifier: Apache-2.0 */
/* A module of nDPI's with the user's rules and categories, and all names: for dpi_state.c. */
#ifndef PROBE_DPI_MODULE_H
#define PROBE_DPI_MODULE_H

#include <ndpi_main.h>

#include "dpi/categories.h"
#include "dpi/dpi.h"
#include "dpi/host_rules.h"

#define DPI_MODULE_NAME_MAX 40
#define DPI_MODULE_CATEGORIES NDPI_PROTOCOL_NUM_CATEGORIES

struct dpi_module {
	struct ndpi_detection_module_struct *ndpi;
	uint32_t n_apps;
	char (*apps)[DPI_MODULE_NAME_MAX];
	char categories[DPI_MODULE_CATEGORIES][DPI_MODULE_NAME_MAX];
	struct host_rules hosts;
	struct categories users;
	uint16_t *numbers;  /* by id, what it is called in verdicts; NULL: that */
	uint64_t wanted[2]; /* fields to tell */
	bool peek;          /* packets have to be looked at for some of them */
	char wrong[160];    /* what is wrong with a rule */
};

/* The protocol whose rule or range an IPv4 address (network byte order) is in, 0 none. */
uint16_t dpi_module_by_address(struct dpi_module *m, uint32_t address, uint16_t port);
/* The protocol that nDPI gives for a host's name, 0 none; *lookalike: the name is not that protocol's. */
uint16_t dpi_module_by_name(struct dpi_module *m, const char *name, bool *lookalike);
/* The category of a verdict by its app or, before that, by the user's file. */
void dpi_module_categorize(const struct dpi_module *m, const char *host, const struct dpi_ends *ends, uint16_t category,
			   struct dpi_verdict *v);
/* The last thing that is done to a verdict: numbers instead of ids. */
void dpi_module_call(const struct dpi_module *m, struct dpi_verdict *v);

#endif
