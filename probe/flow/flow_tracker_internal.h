/* SPDX-License-Identifier: Apache-2.0 */
/* What flow_tracker.c and flow_adopt.c share. */
#ifndef PROBE_FLOW_TRACKER_INTERNAL_H
#define PROBE_FLOW_TRACKER_INTERNAL_H

#include "flow/flow_tracker.h"

/* Puts a flow into the wheel, to come up when it expires if nothing more of it comes. */
void flow_tracker_schedule(struct flow_tracker *t, uint32_t index);
/* An early record of a flow whose classification is final. */
void flow_tracker_early(struct flow_tracker *t, uint32_t index);

#endif
