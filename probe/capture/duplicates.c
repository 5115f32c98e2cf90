/* SPDX-License-Identifier: Apache-2.0 */
#include "capture/duplicates.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define DUPLICATES_LATE 4096 /* packets that are "of late" */
#define DUPLICATES_ONE_IN 10 /* so many of them are copies: the mirror doubles */

struct duplicates *duplicates_new(void)
{
	struct duplicates *d = aligned_alloc(64, sizeof(*d));

	if (d)
		memset(d, 0, sizeof(*d));
	return d;
}

/* Has the packet a number that another one would not have? */
static bool duplicates_id(const struct packet *p)
{
	return p->ip_version == 4 && (p->ip[4] || p->ip[5]);
}

/* An equal one that comes at once cannot be anything but a copy. */
static bool duplicates_certain(const struct packet *p)
{
	if (p->protocol != IPPROTO_TCP || duplicates_id(p))
		return true;
	return !(p->tcp_flags & TH_RST) && (p->payload_len > 0 || p->tcp_flags & (TH_SYN | TH_FIN));
}

/* The same packet in another tunnel, or out of it, is no copy: it was seen on another part of its way. */
static uint64_t duplicates_seed(const struct packet *p)
{
	return p->tunnels ? XXH3_64bits(p->tunnel, p->tunnels * sizeof(p->tunnel[0])) : 0;
}

/* Looks p up and keeps it. */
static bool duplicates_known(struct duplicates *d, const struct packet *p)
{
	size_t n = p->ip_captured < DUPLICATES_LOOKED ? p->ip_captured : DUPLICATES_LOOKED;
	uint64_t hash = XXH3_64bits_withSeed(p->ip, n, duplicates_seed(p));
	uint32_t tag = (uint32_t)(hash >> 32) | 1;
	uint32_t now = (uint32_t)p->time_ms;
	uint32_t window = duplicates_id(p) ? DUPLICATES_MS : DUPLICATES_NO_ID_MS;
	uint32_t *tags = d->sets[hash % DUPLICATES_SETS].tags;
	uint32_t *times = d->sets[hash % DUPLICATES_SETS].times;
	unsigned oldest = 0;

	for (unsigned i = 0; i < DUPLICATES_WAYS; i++) {
		/* Copies are not always in order: the difference may be a little below 0. */
		if (tags[i] == tag && now - times[i] + window <= 2 * window)
			return true;
		if (now - times[i] > now - times[oldest])
			oldest = i;
	}
	tags[oldest] = tag;
	times[oldest] = now;
	return false;
}

bool duplicates_seen(struct duplicates *d, const struct packet *p)
{
	bool copy = duplicates_known(d, p);

	if (!duplicates_certain(p))
		return copy && d->copies && d->copies * DUPLICATES_ONE_IN >= d->certain;
	if (d->certain == DUPLICATES_LATE) {
		d->certain /= 2;
		d->copies /= 2;
	}
	d->certain++;
	d->copies += copy;
	return copy;
}
