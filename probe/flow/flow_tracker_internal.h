/* SPDX-License-Identifier: Apache-2.0 */
/* What flow_tracker.c, flow_tracker_fragments.c and flow_adopt.c share. */
#ifndef PROBE_FLOW_TRACKER_INTERNAL_H
#define PROBE_FLOW_TRACKER_INTERNAL_H

#include "flow/flow_tracker.h"

/* Puts a flow into the wheel, to come up when it expires if nothing more of it comes. */
void flow_tracker_schedule(struct flow_tracker *t, uint32_t index);
/* What a flow is found by. */
uint64_t flow_tracker_hash(const struct flow_tracker *t, const struct flow *f);
/* An early record of a flow whose classification is final. */
void flow_tracker_early(struct flow_tracker *t, uint32_t index);

/* Takes in a packet with all that it has, of a fragment too. */
void flow_tracker_known(struct flow_tracker *t, struct packet *p);
/* Takes in a fragment that has waited in a place, and is counted but for its flow. It waits no longer with that. */
void flow_tracker_late(struct flow_tracker *t, struct packet *p, uint32_t place);

/* What the options and outputs say about tunnels. Returns 0 or -ENOMEM. */
int flow_tracker_tunnels_init(struct flow_tracker *t);
/* The hash of the tunnel that a packet is in, 0 if it is in none or that tells nothing apart. */
uint64_t flow_tracker_in(const struct flow_tracker *t, const struct packet *p);
/* The tunnel of a packet, held until it is given; 0 if it is in none, or if that is nobody's business. `in` is of flow_tracker_in(). */
uint32_t flow_tracker_tunnel(struct flow_tracker *t, const struct packet *p, uint64_t in);
/* A new flow in a tunnel. `answer`: the packet is the responder's. */
void flow_tracker_tunnel_begin(struct flow_tracker *t, uint32_t index, uint32_t tunnel, const struct packet *p,
			       bool answer);

/* A packet that is a fragment, looked up with the ports that it has: they are looked up, or it waits for them. */
void flow_tracker_fragment(struct flow_tracker *t, struct packet *p, const struct flow_lookup *l);
/* Gives up those that have waited for too long: they are counted without ports. `all`: every one. */
void flow_tracker_fragments_expire(struct flow_tracker *t, bool all);
/* Takes in those of a store whose first is there: a worker has died in the middle of that. */
void flow_tracker_fragments_known(struct flow_tracker *t);

#endif
