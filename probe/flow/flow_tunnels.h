/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tunnels that flows are in, each once, by index; 0 is none. A flow in a tunnel has its index beside its key, and the hash that
 * it is found by takes in the tunnel's: so a flow in no tunnel pays nothing, and one whose tunnel has the same hash as another's is
 * still not taken for it. A tunnel stays as long as there is a flow in it.
 *
 * The tunnels are in the store of the flows; how many flows are in each is found out again by who takes the flows over.
 */
#ifndef PROBE_FLOW_TUNNELS_H
#define PROBE_FLOW_TUNNELS_H

#include <stdbool.h>
#include <stdint.h>

#include "decode/decode.h"
#include "flow/flow_pool.h"

/* What a flow is in: of several tunnels all, from the outermost on. */
struct flow_tunnel {
	uint64_t hash; /* of `in`, by the seed */
	uint32_t n;
	uint32_t zero;
	struct packet_tunnel in[DECODE_TUNNELS_MAX]; /* 0 from n on */
};

struct flow_tunnels {
	struct flow_pool pool; /* of the store */
	uint32_t *flows;       /* in each, by index */
	uint32_t *next;        /* in its bucket */
	uint32_t *buckets;     /* the first of each */
	uint32_t mask;
	uint64_t seed;
	uint16_t vlan_mask; /* of VLAN ids; 0: they tell nothing apart */
	void *memory;
	size_t size;
};

/* There are never more tunnels than flows, and one for a packet that is on its way to its flow. */
static inline uint32_t flow_tunnels_most(uint32_t max_flows)
{
	return max_flows + 1;
}

/* In memory of the store for flow_tunnels_most(max_flows) tunnels, none known yet. Returns 0 or -ENOMEM. */
int flow_tunnels_init(struct flow_tunnels *ts, uint8_t *memory, uint32_t max_flows, uint64_t seed, uint16_t vlan_mask);
void flow_tunnels_deinit(struct flow_tunnels *ts);

/* What p is in, which is a tunnel. Its hash, if that was found before, else 0. */
void flow_tunnels_of(const struct flow_tunnels *ts, struct flow_tunnel *t, const struct packet *p, uint64_t hash);
/* Its index, 0 only if there is no room; it is there until given. */
uint32_t flow_tunnels_take(struct flow_tunnels *ts, const struct flow_tunnel *t);
/* Once more, by who has an index. */
void flow_tunnels_hold(struct flow_tunnels *ts, uint32_t index);
void flow_tunnels_give(struct flow_tunnels *ts, uint32_t index);

static inline const struct flow_tunnel *flow_tunnels_at(const struct flow_tunnels *ts, uint32_t index)
{
	return flow_pool_at(&ts->pool, index);
}

/* 0 for index 0. */
static inline uint64_t flow_tunnels_hash(const struct flow_tunnels *ts, uint32_t index)
{
	return index ? flow_tunnels_at(ts, index)->hash : 0;
}

/* The same on every machine and in every run; 0 for index 0. */
uint64_t flow_tunnels_name(const struct flow_tunnels *ts, uint32_t index);

/* Whether n tunnels, one in the other, are as many as there can be, each of a kind that there is. */
bool flow_tunnels_known(const struct packet_tunnel *in, uint32_t n);

/*
 * Taking over, from a process that is not trusted: whether there is a tunnel of this index, or it is 0; each flow holds its own; after
 * the last what is left is free.
 */
bool flow_tunnels_whole(const struct flow_tunnels *ts, uint32_t index);
void flow_tunnels_claim(struct flow_tunnels *ts, uint32_t index);
void flow_tunnels_claimed(struct flow_tunnels *ts);

#endif
