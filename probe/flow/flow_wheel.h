/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When flows expire, without touching anything per packet: a flow sits in the list of the time at which it would
 * expire if nothing more came. When that time comes its owner looks whether something did, and if so puts it in again.
 *
 * There are two rows of lists, for flows to evict first and for flows to keep, so that the nearest to expiry of
 * either kind is found at once. A flow that never expires sits in the last list of its row.
 */
#ifndef PROBE_FLOW_WHEEL_H
#define PROBE_FLOW_WHEEL_H

#include <stdint.h>

#include "flow/flow.h"

#define WHEEL_SLOTS 256
#define WHEEL_NEVER WHEEL_SLOTS  /* list of flows without an expiry */
#define WHEEL_NOWHERE UINT16_MAX /* flow.wheel_slot of a flow that was taken out */
#define WHEEL_TICK_SHIFT 9       /* 512 ms a slot; longer waits go round again */
#define WHEEL_NO_TIME UINT64_MAX

enum { WHEEL_ROW_EVICT, WHEEL_ROW_KEEP, WHEEL_ROWS };

struct flow_wheel {
	struct flow *flows; /* the table's array, not owned; index 0 is not a flow */
	uint64_t tick;      /* every list before this tick has been emptied */
	uint32_t head[WHEEL_ROWS][WHEEL_SLOTS + 1];
};

void flow_wheel_init(struct flow_wheel *w, struct flow *flows);
/*
 * Starts the clock; must come before the first insert. May be set back later: flows that are in then come up early, never
 * late. Not to be set forward, flow_wheel_due() does that.
 */
void flow_wheel_start(struct flow_wheel *w, uint64_t now_ms);
/* Puts a flow in row `row`, to come up at expire_ms (WHEEL_NO_TIME: never). */
void flow_wheel_insert(struct flow_wheel *w, uint32_t index, unsigned row, uint64_t expire_ms);
/* Takes a flow out that was put in once; nothing happens if it is out already. */
void flow_wheel_remove(struct flow_wheel *w, uint32_t index);
/* Moves a flow to the same time's list of another row. */
void flow_wheel_move(struct flow_wheel *w, uint32_t index, unsigned row);
/*
 * The next flow whose time has come by now_ms, taken out of the wheel; 0 if there is none. The caller ends it or
 * inserts it again with a later time.
 */
uint32_t flow_wheel_due(struct flow_wheel *w, uint64_t now_ms);
/* Which flow will be next after that one, as far as is known now; 0 if another list must be looked at. */
uint32_t flow_wheel_ahead(const struct flow_wheel *w);
/* The flow of a row that expires next, still in the wheel; 0 if the row is empty. */
uint32_t flow_wheel_nearest(const struct flow_wheel *w, unsigned row);

#endif
