/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fragments of packets (RFC 791 section 3.2, RFC 8200 section 4.5). Only the first has ports. It leaves them here, for those that
 * come after it; those that come before it wait here, each as a packet without its payload, until it is there or too much time
 * has passed. Nothing is put together.
 *
 * Both are rings: of first fragments the oldest is forgotten, of waiting ones the oldest is given up for a newer one. So a flood of
 * one kind does not crowd out the other, and an honest fragment, whose first is a moment away, waits that long in any flood that leaves
 * it one turn of the ring. All of it is in the flow store: what waits was counted as a packet, and outlives the worker. What is
 * not ours may have been written by a worker that was not itself any more: whatever is there is harmless.
 *
 * A first fragment decides on ports once (RFC 5722, RFC 1858, RFC 3128): another of the same packet that says something else
 * is counted as an overlap, and to the flow of the one before. The same identification means another packet once the one before is
 * whole, or FRAGMENT_SAME_MS after its last fragment: 16 bits of it are soon used up (RFC 4963).
 */
#ifndef PROBE_FLOW_FRAGMENTS_H
#define PROBE_FLOW_FRAGMENTS_H

#include <stdbool.h>
#include <stdint.h>

#include "decode/decode.h"
#include "flow/flow.h"

/* Powers of 2. */
#define FRAGMENT_FIRSTS 16384
#define FRAGMENT_WAITS 8192
#define FRAGMENT_WAITS_EACH 128 /* of one packet: the most that its hosts can have meant, at 576 octets each */
#define FRAGMENT_PIECES 11      /* of a packet, known one by one; of one in more fragments some as one */
#define FRAGMENT_WAIT_MS                                                                                               \
	1000 /* for the first; not above FLOW_SLACK_MS: the flow of those given up must not be over by then */
#define FRAGMENT_LIFE_MS 30000 /* that others come after it (RFC 791 suggests 15 s to reassemble, RFC 8200 60 s) */
#define FRAGMENT_SAME_MS 1000

/*
 * What the fragments of a packet have in common: a flow's key without ports, and of IPv6 without protocol, which only the first has;
 * and the tunnel that they are in.
 */
struct flow_fragment_name {
	struct flow_key key;
	uint64_t in; /* the tunnel's hash, 0 without */
	uint32_t id;
	uint32_t end; /* of the key, which sent it */
};
_Static_assert(sizeof(struct flow_fragment_name) == sizeof(struct flow_key) + 16, "without padding: it is hashed");

/* A packet of which the first fragment was seen. */
struct flow_fragment_first {
	struct flow_fragment_name name;
	uint64_t first_ms; /* when; 0: there is none here */
	uint64_t last_ms;  /* its latest fragment, up to now */
	uint32_t next;     /* in its bucket, and 1; 0 none */
	uint16_t src_port;
	uint16_t dst_port;
	uint32_t end;     /* octets of its data, once the last fragment was seen; else 0 */
	uint32_t covered; /* octets of it seen */
	uint8_t protocol;
	uint8_t n_pieces;
	uint16_t joined; /* by bit: a piece that was several */
	struct {
		uint16_t at;
		uint16_t len;
	} pieces[FRAGMENT_PIECES];
};

/* A fragment that waits for its first. */
struct flow_fragment_wait {
	struct flow_fragment_name name;
	uint32_t next; /* in its bucket, and 1; 0 none */
	uint8_t used;
	uint8_t has_macs;
	uint8_t macs[12];
	struct packet packet; /* its pointers mean nothing */
};

/* All zero to begin with. */
struct flow_fragments {
	uint64_t learned; /* first fragments, ever: the next is in place `learned` modulo FRAGMENT_FIRSTS */
	uint64_t waits;   /* likewise */
	struct flow_fragment_first first[FRAGMENT_FIRSTS];
	struct flow_fragment_wait wait[FRAGMENT_WAITS];
	/* From here on all is found again by flow_fragments_adopt(). */
	uint64_t seed;
	uint64_t oldest; /* as `waits`: none before it waits */
	uint32_t firsts[FRAGMENT_FIRSTS];
	uint32_t waiting[FRAGMENT_WAITS];
};

enum flow_fragment_kind {
	FRAGMENT_UNKNOWN, /* its first is not known */
	FRAGMENT_NEW,
	FRAGMENT_DUPLICATE, /* the same octets were there before, in one fragment */
	FRAGMENT_OVERLAP,   /* some of its octets were there before */
};

/*
 * Makes safe what another worker has left, and finds again what is not kept. The seed is the hash's. Returns how many of the
 * fragments that waited are lost, because they are damaged.
 */
unsigned flow_fragments_adopt(struct flow_fragments *f, uint64_t seed);

/*
 * A first fragment: its ports are known from now on, unless those of its packet were before; then p gets those if they differ (an
 * overlap).
 */
enum flow_fragment_kind flow_fragments_first(struct flow_fragments *f, const struct flow_fragment_name *name,
					     struct packet *p);
/* A later fragment: sets its ports and protocol if its first is known. */
enum flow_fragment_kind flow_fragments_later(struct flow_fragments *f, const struct flow_fragment_name *name,
					     struct packet *p);

/* False: FRAGMENT_WAITS_EACH of its packet wait. */
bool flow_fragments_may_wait(const struct flow_fragments *f, const struct flow_fragment_name *name);
/* The place of the next that is to wait; if flow_fragments_waits() there, the oldest is in it. */
uint32_t flow_fragments_place(const struct flow_fragments *f);
bool flow_fragments_waits(const struct flow_fragments *f, uint32_t place);
/* Puts a packet there, which waits from flow_fragments_keep() on. `waits` is what it is with it. */
void flow_fragments_put(struct flow_fragments *f, const struct flow_fragment_name *name, const struct packet *p);
void flow_fragments_keep(struct flow_fragments *f, uint64_t waits);
/* The same and its contrary before flow_fragments_adopt(): of what was under way. A place that is none is left alone. */
void flow_fragments_redo_keep(struct flow_fragments *f, uint64_t waits);
void flow_fragments_redo_free(struct flow_fragments *f, uint32_t place);

/* A copy of the packet in a place, whose MAC addresses are those in the place. */
void flow_fragments_packet(struct flow_fragments *f, uint32_t place, struct packet *p);
/* It waits no longer. */
void flow_fragments_free(struct flow_fragments *f, uint32_t place);
/* The next of a name that waits, in the order in which they came, after `place`; FRAGMENT_WAITS for none and to begin. */
uint32_t flow_fragments_next(const struct flow_fragments *f, const struct flow_fragment_name *name, uint32_t place);
/* The one that waits for longest, FRAGMENT_WAITS for none. */
uint32_t flow_fragments_oldest(struct flow_fragments *f);
/* True if one has waited for so long by now_ms, or if the clock was set. */
bool flow_fragments_due(const struct flow_fragments *f, uint32_t place, uint64_t wait_ms, uint64_t now_ms);

#endif
