/* SPDX-License-Identifier: Apache-2.0 */
/* Export smoothing: not more than so many records in a second, a message at a time. */
#ifndef PROBE_PACE_H
#define PROBE_PACE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"

#define PACE_CREDIT_US 5000 /* after a pause it catches up at most this much: bursts stay short */
#define PACE_BURSTS 10      /* messages in a second at least, as far as there are records for them */

struct pace {
	uint64_t rate;   /* records per second, 0 unlimited */
	uint64_t due_us; /* when it allows the next message */
};

static inline bool pace_due(const struct pace *p, uint64_t now_ms)
{
	return !p->rate || p->due_us <= now_ms * 1000;
}

/* A message with so many records is on its way. */
static inline void pace_spend(struct pace *p, uint64_t records, uint64_t now_ms)
{
	uint64_t now_us = now_ms * 1000;

	if (!p->rate)
		return;
	if (p->due_us + PACE_CREDIT_US < now_us)
		p->due_us = now_us - PACE_CREDIT_US;
	p->due_us += records * 1000000 / p->rate;
}

/* Milliseconds until the next is due. */
static inline int pace_wait(const struct pace *p, uint64_t now_ms)
{
	uint64_t next = (p->due_us + 999) / 1000;

	return p->rate ? clock_until(next, now_ms) : 0;
}

/* A message of more records would come too seldom. */
static inline bool pace_enough(const struct pace *p, uint64_t records)
{
	return p->rate && records * PACE_BURSTS >= p->rate;
}

#endif
