/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROBE_FLOW_RECORD_H
#define PROBE_FLOW_RECORD_H

#include <stdbool.h>

#include "flow/flow.h"
#include "flow/flow_measure.h"
#include "flow/flow_text.h"
#include "flow/flow_tunnels.h"
#include "l7/record.h"

struct flow_record_source {
	const struct flow *flow;
	const struct flow_info *info;
	const struct dpi_texts *texts;
	const struct flow_measures *measures;
	const struct flow_tunnel *tunnel; /* NULL: the flow is in none, or nobody wants to know */
	uint32_t index;                   /* of the flow */
	enum l7_end_reason reason;
	bool early;
	bool last;
};

/* Fills a record with what a flow has counted since its last one. Returns the number of strings that did not fit. */
unsigned flow_record_fill(struct l7_record *r, const struct flow_record_source *s);

#endif
