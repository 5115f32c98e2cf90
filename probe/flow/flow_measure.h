/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is measured of a flow beyond its counters, in groups, each only if somebody takes a field of it. Beside the flow table, by
 * the same index, so that who takes none of it pays nothing for it.
 *
 * Values are of one record, as counters are: of the packets since the flow's last record. The packets of an early record are
 * also in the sizes, times and TTLs of the record after it; retransmissions and the like are not. Addresses, the
 * responder's ToS and round trips are the flow's, in each of its records.
 */
#ifndef PROBE_FLOW_MEASURE_H
#define PROBE_FLOW_MEASURE_H

#include <stdbool.h>
#include <stdint.h>

#include "decode/decode.h"
#include "flow/flow.h"
#include "flow/flow_segments.h"
#include "l7/record.h"

enum {
	MEASURE_LINK = 1,  /* MAC addresses, second VLAN, ToS of the responder, TTL */
	MEASURE_TCP = 2,   /* flow_segments.h */
	MEASURE_SIZES = 4, /* of packets, IP total length */
	MEASURE_TIMES = 8, /* between a packet and the one before it in the same direction */
};

struct flow_measure {
	struct l7_link link;
	bool has_macs;
	bool answered; /* link.rev_tos is set */
	struct {
		uint32_t min;
		uint32_t max;
		uint64_t squares; /* sum of them; that of the sizes themselves is the flow's octets */
	} size[2];
	struct {
		unsigned __int128 squares;
		uint64_t sum;
		uint64_t last_us; /* latest packet */
		uint32_t min;
		uint32_t max;
	} time[2];
	struct flow_segments tcp;
} __attribute__((aligned(64)));

/* The groups that these fields (a bit per enum l7_field) are of. */
unsigned flow_measure_groups(const uint64_t wanted[2]);

/* Makes what a process that is not trusted has left safe to go on with. */
void flow_measure_adopt(struct flow_measure *m);

/* A new flow: forgets the old. `answer`: the packet is the responder's. */
void flow_measure_begin(struct flow_measure *m, const struct packet *p, bool answer);
/* Takes in a packet that f has counted already. */
void flow_measure_packet(struct flow_measure *m, unsigned groups, const struct packet *p, const struct flow *f,
			 unsigned direction);
/* Fills and marks what these groups have of the record of f. */
void flow_measure_record(struct l7_record *r, const struct flow_measure *m, unsigned groups, const struct flow *f);
/* A record has been made; the next packet is of another one. */
void flow_measure_cut(struct flow_measure *m);

#endif
