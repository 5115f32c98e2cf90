/* SPDX-License-Identifier: Apache-2.0 */
/* The report that a person reads: what was captured, its protocols, the largest flows, what is worth a look. */
#ifndef PROBE_REPORT_H
#define PROBE_REPORT_H

#include <stddef.h>

#include "base/buf.h"
#include "export/report_flows.h"
#include "export/terminal.h"
#include "exporter.h"

#define REPORT_OCTETS_MAX (128u << 20) /* of a whole report; flows for which there is no room are not listed */

struct report {
	const struct exporter_config *config;
	const struct report_flows *flows;
	struct terminal terminal;
	bool screen; /* shall fit terminal.rows */
};

/* Appends the report to b, no line of it wider than the terminal. Returns 0 or -ENOMEM. */
int report_print(struct buf *b, const struct report *r);

#endif
