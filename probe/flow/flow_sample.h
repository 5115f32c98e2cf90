/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which packets and which flows are looked at, if not all are. Both are uniform probabilistic sampling (RFC 5475 section 5.2.2.1,
 * RFC 7014 section 5.2.2): each is chosen by itself, with probability 1/N. The random number is a hash, so that the choice depends on
 * nothing but the packet or the flow: not on the worker, on what was chosen before, on the place in a file. To count each Nth packet
 * would follow any period in the traffic, and several workers would count otherwise than one.
 *
 * A packet is hashed with its time: sent again it has another chance. Of one that comes in fragments all are chosen, or none, because
 * only the first has ports. A flow is hashed by addresses, ports and protocol, in whatever VLAN or tunnel: both its directions are
 * chosen, and whoever else samples with the same N chooses the same.
 */
#ifndef PROBE_FLOW_SAMPLE_H
#define PROBE_FLOW_SAMPLE_H

#include <stdbool.h>
#include <stdint.h>

#include "decode/decode.h"
#include "flow/flow.h"

#define FLOW_SAMPLE_MAX 65535 /* N of either: their product is a samplingInterval of 32 bits */

struct flow_sample {
	uint64_t below; /* hashes below this are chosen; 0: all are */
};

/* One in n; 0 and 1 are all. */
struct flow_sample flow_sample_one_in(uint64_t n);

bool flow_sample_hashed_packet(const struct flow_sample *s, const struct packet *p);
bool flow_sample_hashed_key(const struct flow_sample *s, const struct flow_key *k);

static inline bool flow_sample_packet(const struct flow_sample *s, const struct packet *p)
{
	return __builtin_expect(s->below == 0, 1) || flow_sample_hashed_packet(s, p);
}

static inline bool flow_sample_key(const struct flow_sample *s, const struct flow_key *k)
{
	return __builtin_expect(s->below == 0, 1) || flow_sample_hashed_key(s, k);
}

#endif
