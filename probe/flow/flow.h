/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A flow, in three parts by how often they are touched:
 *   hot   struct flow, two cache lines: every packet
 *   warm  struct flow_info: when it begins, is classified, is reported
 *   cold  classification state (dpi/dpi.h): only while classification runs, then given back
 * Flows refer to each other by index, never by pointer: index 0 is "none".
 */
#ifndef PROBE_FLOW_H
#define PROBE_FLOW_H

#include <stdint.h>

#include "dpi/dpi.h"

/* What a key may be without: `--flow-key`. */
enum {
	FLOW_KEY_VLAN = 1,
	FLOW_KEY_TUNNEL = 2,
};

/*
 * Both directions of a flow have one key: the lower (address, port) is end 0. `vlan` is part of it, so that one host pair on two
 * VLANs is two flows; 0 without FLOW_KEY_VLAN, for networks in which each direction has a VLAN of its own.
 */
struct flow_key {
	uint8_t ip[2][16];
	uint16_t port[2];
	uint16_t vlan;
	uint8_t protocol;
	uint8_t ip_version;
};
_Static_assert(sizeof(struct flow_key) == 40, "a key has no padding: it is hashed and compared as octets");

/* Index of a direction: what the initiator sends, what it gets. */
enum { FLOW_FORWARD, FLOW_REVERSE };

enum {
	FLOW_INITIATOR_IS_1 = 1 << 0, /* the initiator is end 1 of the key, else end 0 */
	FLOW_MIDSTREAM = 1 << 1,      /* TCP, and its first packet seen was no SYN */
	FLOW_FINAL = 1 << 2,          /* classification is final */
	FLOW_ENDED = 1 << 3,          /* both FINs or a RST seen: lingers for late segments */
	FLOW_FIN_FORWARD = 1 << 4,
	FLOW_FIN_REVERSE = 1 << 5,
	FLOW_KEEP = 1 << 6,          /* answered or classified: evicted only when no other flow is left */
	FLOW_EARLY = 1 << 7,         /* an early record went out in this interval */
	FLOW_DELTA_EMPTY = 1 << 8,   /* no packet since that record */
	FLOW_SEEN = 1 << 9,          /* packets of direction FLOW_FORWARD were seen, */
	FLOW_SEEN_REVERSE = 1 << 10, /* of FLOW_REVERSE */
	FLOW_DPI_LOST = 1 << 11,     /* its classification was lost with a worker: there will be only a guess */
	FLOW_READY = 1 << 12,        /* its first packet is counted */
	FLOW_OUTER_TURNED = 1 << 13, /* the initiator's packets come from end 1 of its tunnel, else from end 0 */
	FLOW_ALL = (1 << 14) - 1
};

struct flow {
	/* line 0: found and updated by every packet */
	struct flow_key key;
	uint32_t next; /* in its bucket */
	uint32_t
		tunnel; /* of flow_tunnels.h: that it is in, or that its first packet was in without FLOW_KEY_TUNNEL; 0 none */
	uint64_t last_ms; /* last packet */
	uint32_t hash;
	uint16_t flags; /* FLOW_* */
	uint8_t tcp_flags[2];
	/* line 1 */
	uint64_t packets[2]; /* since the last record, early ones with them */
	uint64_t octets[2];
	uint64_t start_ms; /* first packet of this interval: since the last record that was not early */
	uint64_t flow_id;
	uint32_t wheel_prev;
	uint32_t wheel_next;
	uint16_t wheel_slot; /* which list of the wheel it is in */
	uint8_t tos;
	uint8_t rev_tos; /* with FLOW_SEEN_REVERSE: of the first packet of that direction */
	uint32_t cold;   /* index of its classification state, 0 none */
} __attribute__((aligned(64)));
_Static_assert(sizeof(struct flow) == 128, "the hot part is two cache lines");

struct flow_info {
	struct dpi_verdict verdict;
	uint64_t delta_start_ms; /* first packet after the early record */
	struct {
		uint64_t octets[2];
		uint64_t packets[2];
		uint8_t tcp_flags[2];
	} early;            /* what the early record of this interval has reported */
	uint32_t text;      /* handle of its strings, 0 none */
	uint32_t interface; /* ifIndex it was first seen on */
	uint32_t tunnel_id; /* of the first packet */
	uint16_t icmp_type_code;
	uint16_t vlan_id; /* of the first packet */
};
_Static_assert(sizeof(struct flow_info) <= 128, "the warm part is two cache lines");

#endif
