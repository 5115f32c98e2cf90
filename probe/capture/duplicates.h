/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packets that a mirror port sends twice, as they come in and as they go out. A copy is the same from its IP header on, TTL and
 * checksums with it, and comes within milliseconds. What a host sends again differs: an IPv4 packet has another
 * identification then. Where there is none (IPv6, or 0), only a copy that comes at once counts: no retransmission is that
 * quick. A host may well send equal acknowledgements or resets at once, though; those count as copies only while others, of
 * which it is certain, are seen.
 *
 * A small fixed table of the packets of the last moment. In a set of it eight packets find room, the oldest makes place: at a
 * million packets a second the moment is some eight milliseconds long.
 */
#ifndef PROBE_DUPLICATES_H
#define PROBE_DUPLICATES_H

#include <stdbool.h>
#include <stdint.h>

#include "decode/decode.h"

#define DUPLICATES_SETS 1024
#define DUPLICATES_WAYS 8
#define DUPLICATES_LOOKED                                                                                              \
	104 /* octets from the IP header on: IPv6 and TCP with all options, or the beginning of the payload */
#define DUPLICATES_MS 10      /* how late a copy may be */
#define DUPLICATES_NO_ID_MS 2 /* the same, of a packet without an identification */
#define DUPLICATES_SAMPLE 64  /* one packet in so many is looked at, to learn whether there are copies */

struct duplicates {
	uint32_t certain; /* packets of late of which a copy is certain to be one, */
	uint32_t copies;  /* and copies among them */
	struct {
		uint32_t tags[DUPLICATES_WAYS]; /* rest of the hash; 0: empty */
		uint32_t times[DUPLICATES_WAYS];
	} __attribute__((aligned(64))) sets[DUPLICATES_SETS];
};

/* Returns NULL without memory. free() it. */
struct duplicates *duplicates_new(void);

/* True if p is a copy of a packet given before; else p is kept in mind. */
bool duplicates_seen(struct duplicates *d, const struct packet *p);

/* True of a sample of the packets; of all copies of one or none. Cheap: by a checksum, which says nothing about anything else. */
static inline bool duplicates_sampled(const struct packet *p)
{
	unsigned at = p->ip_version == 4 ? 11 : p->protocol == 6 ? 40 + 17 : 40 + 7; /* of IP, TCP, UDP; low octet */

	return p->ip_captured > at && p->ip[at] % DUPLICATES_SAMPLE == 0;
}

#endif
