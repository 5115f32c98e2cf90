/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a report is made of: the flows, merged from their records, and sums of all.
 *
 * At most `max` flows are kept. When that is reached the smaller half is added to the sums and forgotten, those that have ended
 * first; should one of them go on, it is counted as a flow once more.
 */
#ifndef PROBE_REPORT_FLOWS_H
#define PROBE_REPORT_FLOWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "l7/record.h"

#define REPORT_FLOWS_MAX (1u << 16)
#define REPORT_FLOWS_ALL_MAX (1u << 18) /* with --all */
#define REPORT_PROTOCOLS_MAX 1024       /* names; flows of later ones are counted under REPORT_OTHERS */
#define REPORT_OTHERS 0
#define REPORT_WHAT_MAX 96 /* octets */
#define REPORT_RISKS 64

struct report_flow {
	uint64_t flow_id;
	uint64_t start_ms;
	uint64_t end_ms;
	uint64_t octets; /* initiator to responder */
	uint64_t rev_octets;
	uint64_t packets; /* both ways */
	uint64_t risks;
	uint8_t src_ip[16];
	uint8_t dst_ip[16];
	uint16_t src_port;
	uint16_t dst_port;
	uint16_t name; /* index in protocols */
	uint8_t protocol;
	uint8_t confidence;
	bool v6;
	bool final; /* its classification is */
	bool ended;
	char what[REPORT_WHAT_MAX]; /* host name asked for, clean */
};

struct report_protocol {
	char name[128]; /* "TLS", "TLS? (port)"; clean */
	char category[40];
	bool guess;
	uint64_t flows;
	uint64_t packets;
	uint64_t octets;
};

struct report_sums {
	struct report_protocol protocols[REPORT_PROTOCOLS_MAX];
	size_t n_protocols;
	uint64_t flows;
	uint64_t packets;
	uint64_t octets;
	uint64_t by_confidence[L7_CONF_COUNT];    /* flows */
	uint64_t by_risk[REPORT_RISKS];           /* flows */
	struct report_flow example[REPORT_RISKS]; /* of each risk, the largest; where by_risk is not 0 */
};

struct report_flows {
	bool utf8; /* set by the caller after init: texts may have more than ASCII in them */
	struct report_flow *flows;
	size_t n, cap, max;
	uint32_t *slots; /* index + 1 by flow_id, open addressing, 0 free */
	size_t n_slots;
	uint16_t names[REPORT_PROTOCOLS_MAX * 4]; /* index + 1 by name */
	uint64_t first_ms, last_ms;               /* 0: no record yet */
	uint64_t forgotten;                       /* flows of which only the sums have something */
	struct report_sums past;                  /* of what is forgotten; its names are everybody's */
};

/* Returns 0 or -ENOMEM. */
int report_flows_init(struct report_flows *f, size_t max);
void report_flows_deinit(struct report_flows *f);

/* Takes a record; without memory for it, some flows are forgotten early. */
void report_flows_add(struct report_flows *f, const struct l7_record *r);

/* Sums of all flows, kept or not. */
void report_flows_sum(const struct report_flows *f, struct report_sums *s);

/*
 * Indexes of the kept flows, largest first, in memory that the caller frees; NULL if there is none for it. The same flows in any
 * order give the same list.
 */
uint32_t *report_flows_sorted(const struct report_flows *f);

#endif
