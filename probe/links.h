/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The interfaces that are captured from, as the supervisor sees them: a worker can open no interface, and one that went away and
 * came back has another number. Looked at each second; what changes is said in a sentence.
 */
#ifndef PROBE_LINKS_H
#define PROBE_LINKS_H

#include <stdint.h>

#include "base/conf.h"
#include "shared.h"

enum link_state { LINK_UP, LINK_NO_CARRIER, LINK_DOWN, LINK_AWAY };

struct links {
	struct shared_interface *shared; /* not owned */
	unsigned n;
	int socket; /* to ask the kernel by */
	uint64_t looked_ms;
	enum link_state states[SHARED_INTERFACES_MAX];
	uint64_t downs[SHARED_INTERFACES_MAX]; /* times it went down or away */
};

/* Names are those of the configuration. Returns 0 or a negative errno. After it links_deinit(). */
int links_init(struct links *l, const struct conf_list *names, struct shared_interface *shared);
void links_deinit(struct links *l);

/* A sentence for each interface whose frames may come merged. */
void links_warn_offload(const struct links *l);

/* Looks again, if a second has passed. */
void links_look(struct links *l, uint64_t now_ms);

/* Before a worker starts, which will say itself what it captures from. */
void links_expect(const struct links *l, _Atomic uint32_t captures[SHARED_INTERFACES_MAX]);

/*
 * True if an interface can be captured from now that a worker does not capture from: `captures` are the ifIndexes of those that it
 * does, 0 for none.
 */
bool links_missed(const struct links *l, const _Atomic uint32_t captures[SHARED_INTERFACES_MAX]);

/* "up", "no carrier", "down", "away": in statistics. */
const char *link_state_name(enum link_state s);

#endif
