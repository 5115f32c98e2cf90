/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is measured of a flow beyond its counters, in groups, each only if somebody takes a field of it. Beside the flow table, by
 * the same index, so that who takes none of it pays nothing for it: one cache line a flow, and what only some flows need
 * in blocks of the store that they are given when they need them. A block says whose it is, so one that is not linked, or a link
 * to another's, is found out.
 *
 * Values are of one record, as counters are: of the packets since the flow's last record. The packets of an early record are
 * also in the sizes, times and TTLs of the record after it; retransmissions and the like are not. Addresses and round trips
 * are the flow's, in each of its records.
 */
#ifndef PROBE_FLOW_MEASURE_H
#define PROBE_FLOW_MEASURE_H

#include <stdbool.h>
#include <stdint.h>

#include "decode/decode.h"
#include "flow/flow.h"
#include "flow/flow_pool.h"
#include "flow/flow_segments.h"
#include "flow/flow_spreads.h"
#include "l7/record.h"

enum {
	MEASURE_LINK = 1,  /* MAC addresses, second VLAN, ToS of the responder, TTL */
	MEASURE_TCP = 2,   /* flow_segments.h */
	MEASURE_SIZES = 4, /* of packets, IP total length */
	MEASURE_TIMES = 8, /* between a packet and the one before it in the same direction */
};

enum {
	FLOW_MEASURE_MACS = 1, /* the link has addresses */
	/*
	 * TCP, and of its segments only one has told anything, a SYN: as the flow of a scan is to its end. Its number is in
	 * `more`, its time last_us of its direction.
	 */
	FLOW_MEASURE_SYN = 2,
	FLOW_MEASURE_SYN_ACK = 4,     /* it had an ACK */
	FLOW_MEASURE_SYN_REVERSE = 8, /* it was the responder's */
};

struct flow_measure {
	struct {
		uint64_t last_us : 56; /* latest packet; 2^56 - 1, in the year 4253, is that or later */
		uint64_t ttl_min : 8;
		uint32_t gap_min;
		uint32_t gap_max;
	} way[2];
	struct {
		uint32_t min : 24; /* 2^24 - 1 is that or more */
		uint32_t max : 24;
	} __attribute__((packed)) size[2];
	uint8_t src_mac[6]; /* of the flow's first packet, as the initiator sends it */
	uint8_t dst_mac[6];
	uint8_t ttl_max[2];
	uint16_t inner_vlan_id : 12;
	uint16_t flags : 4; /* FLOW_MEASURE_* */
	uint32_t more;      /* index of a block of it, 0 none: of TCP its flow_segments, else its flow_spreads */
};
_Static_assert(sizeof(struct flow_measure) == 64, "the measures that every flow has are a cache line");

struct flow_store;

/* The measures of all flows of a store. */
struct flow_measures {
	unsigned groups;            /* MEASURE_*; 0: nothing here may be called */
	struct flow_measure *flows; /* of the store, by the flow's index */
	struct flow_pool segments;  /* of the store, as many as there are flows */
	struct flow_pool spreads;
};

/* Of a store in which no block is known to be taken; it must live longer. */
void flow_measure_init(struct flow_measures *ms, const struct flow_store *store, unsigned groups);
/* The groups that these fields (a bit per enum l7_field) are of. */
unsigned flow_measure_groups(const uint64_t wanted[2]);

/*
 * What a process that is not trusted has left is made safe to go on with, and blocks that no flow has any more are free again: one
 * after another all flows that are taken over, then the rest. `flows` is the store's, [max + 1]; those that are none have
 * no IP version.
 */
void flow_measure_adopt(struct flow_measures *ms, uint32_t index, const struct flow *f);
void flow_measures_adopted(struct flow_measures *ms, const struct flow *flows);

/* A new flow: forgets the old. `answer`: the packet is the responder's. */
void flow_measure_begin(struct flow_measures *ms, uint32_t index, const struct packet *p, bool answer);
/* Takes in a packet that f has counted already. */
void flow_measure_packet(struct flow_measures *ms, uint32_t index, const struct packet *p, const struct flow *f,
			 unsigned direction);
/* Fills and marks what the groups have of the record of f. */
void flow_measure_record(struct l7_record *r, const struct flow_measures *ms, uint32_t index, const struct flow *f);
/* An early record has been made. Blocks stay where they are: can be done before the pools are known. */
void flow_measure_early(struct flow_measures *ms, uint32_t index, const struct flow *f);
/* A record has been made; the next packet is of another one. Blocks stay where they are. */
void flow_measure_cut(struct flow_measures *ms, uint32_t index, const struct flow *f);
/* The flow is gone: its blocks are free. */
void flow_measure_end(struct flow_measures *ms, uint32_t index, const struct flow *f);

#endif
