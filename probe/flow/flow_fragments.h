/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ports for later fragments: the first fragment of a packet leaves its ports here. A fixed number of places, a newer packet takes
 * an older one's; a later fragment whose first was not seen is counted under ports 0. The place is not keyed: a file must
 * give the same flows on every run, and who crowds out others' fragments only puts their octets under ports 0.
 */
#ifndef PROBE_FLOW_FRAGMENTS_H
#define PROBE_FLOW_FRAGMENTS_H

#include <stdbool.h>
#include <stdint.h>

#include "decode/decode.h"

#define FRAGMENT_PLACES 16384
#define FRAGMENT_LIFE_MS                                                                                               \
	30000 /* an identification may be used again after this (RFC 791 suggests 15 s, RFC 8200 60 s to reassemble) */

/* All zero to begin with; harmless whatever is in it. */
struct flow_fragments {
	struct flow_fragment {
		uint64_t time_ms; /* 0 unused */
		uint8_t src_ip[16];
		uint8_t dst_ip[16];
		uint32_t id;
		uint16_t src_port;
		uint16_t dst_port;
		uint8_t protocol;
	} places[FRAGMENT_PLACES];
};

/* First fragment: remembers its ports. */
void flow_fragments_learn(struct flow_fragments *f, const struct packet *p);
/* Later fragment: sets its ports; false if the first is not known. */
bool flow_fragments_find(const struct flow_fragments *f, struct packet *p);

#endif
