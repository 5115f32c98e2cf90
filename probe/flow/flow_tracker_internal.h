/* SPDX-License-Identifier: Apache-2.0 */
/* What flow_tracker.c, flow_tracker_fragments.c and flow_adopt.c share. */
#ifndef PROBE_FLOW_TRACKER_INTERNAL_H
#define PROBE_FLOW_TRACKER_INTERNAL_H

#include "flow/flow_tracker.h"

/* Puts a flow into the wheel, to come up when it expires if nothing more of it comes. */
void flow_tracker_schedule(struct flow_tracker *t, uint32_t index);
/* An early record of a flow whose classification is final. */
void flow_tracker_early(struct flow_tracker *t, uint32_t index);

/* Takes in a packet with all that it has, of a fragment too. */
void flow_tracker_known(struct flow_tracker *t, struct packet *p);
/* Takes in a fragment that has waited in a place, and is counted but for its flow. It waits no longer with that. */
void flow_tracker_late(struct flow_tracker *t, struct packet *p, uint32_t place);
/* Fills in the key of a packet; returns which end sent it. */
unsigned flow_tracker_key(const struct flow_tracker *t, struct flow_key *k, const struct packet *p);

/* A packet that is a fragment: its ports are looked up, or it waits for them. */
void flow_tracker_fragment(struct flow_tracker *t, struct packet *p);
/* Gives up those that have waited for too long: they are counted without ports. `all`: every one. */
void flow_tracker_fragments_expire(struct flow_tracker *t, bool all);
/* Takes in those of a store whose first is there: a worker has died in the middle of that. */
void flow_tracker_fragments_known(struct flow_tracker *t);

#endif
