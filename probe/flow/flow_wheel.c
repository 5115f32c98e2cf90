/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/flow_wheel.h"

#include <string.h>

#define WHEEL_MASK (WHEEL_SLOTS - 1)

void flow_wheel_init(struct flow_wheel *w, struct flow *flows)
{
	memset(w, 0, sizeof(*w));
	w->flows = flows;
}

void flow_wheel_start(struct flow_wheel *w, uint64_t now_ms)
{
	w->tick = now_ms >> WHEEL_TICK_SHIFT;
}

/* Lists are numbered row by row, so that a flow need only keep one number. */
static uint32_t *wheel_list(struct flow_wheel *w, unsigned number)
{
	return &w->head[number / (WHEEL_SLOTS + 1)][number % (WHEEL_SLOTS + 1)];
}

static void wheel_put(struct flow_wheel *w, uint32_t index, unsigned number)
{
	struct flow *f = &w->flows[index];
	uint32_t *head = wheel_list(w, number);

	f->wheel_slot = (uint16_t)number;
	f->wheel_prev = 0;
	f->wheel_next = *head;
	if (*head)
		w->flows[*head].wheel_prev = index;
	*head = index;
}

void flow_wheel_insert(struct flow_wheel *w, uint32_t index, unsigned row, uint64_t expire_ms)
{
	unsigned slot = WHEEL_NEVER;

	if (expire_ms != WHEEL_NO_TIME) {
		/* One later than the tick of the time: when its list comes up the time has passed. */
		uint64_t tick = (expire_ms >> WHEEL_TICK_SHIFT) + 1;

		if (tick < w->tick)
			tick = w->tick;
		if (tick > w->tick + WHEEL_SLOTS - 1)
			tick = w->tick + WHEEL_SLOTS - 1;
		slot = (unsigned)(tick & WHEEL_MASK);
	}
	wheel_put(w, index, row * (WHEEL_SLOTS + 1) + slot);
}

void flow_wheel_move(struct flow_wheel *w, uint32_t index, unsigned row)
{
	unsigned slot = w->flows[index].wheel_slot % (WHEEL_SLOTS + 1);

	flow_wheel_remove(w, index);
	wheel_put(w, index, row * (WHEEL_SLOTS + 1) + slot);
}

void flow_wheel_remove(struct flow_wheel *w, uint32_t index)
{
	struct flow *f = &w->flows[index];

	if (f->wheel_slot == WHEEL_NOWHERE)
		return;
	if (f->wheel_prev)
		w->flows[f->wheel_prev].wheel_next = f->wheel_next;
	else
		*wheel_list(w, f->wheel_slot) = f->wheel_next;
	if (f->wheel_next)
		w->flows[f->wheel_next].wheel_prev = f->wheel_prev;
	f->wheel_prev = f->wheel_next = 0;
	f->wheel_slot = WHEEL_NOWHERE;
}

uint32_t flow_wheel_due(struct flow_wheel *w, uint64_t now_ms)
{
	uint64_t now = now_ms >> WHEEL_TICK_SHIFT;

	/* After a long silence one turn empties every list. */
	if (now > w->tick + WHEEL_SLOTS)
		w->tick = now - WHEEL_SLOTS;
	for (;; w->tick++) {
		for (unsigned row = 0; row < WHEEL_ROWS; row++) {
			uint32_t index = w->head[row][w->tick & WHEEL_MASK];

			if (index && w->tick <= now) {
				flow_wheel_remove(w, index);
				return index;
			}
		}
		if (w->tick >= now)
			return 0;
	}
}

uint32_t flow_wheel_ahead(const struct flow_wheel *w)
{
	uint32_t index = w->head[WHEEL_ROW_EVICT][w->tick & WHEEL_MASK];

	return index ? index : w->head[WHEEL_ROW_KEEP][w->tick & WHEEL_MASK];
}

uint32_t flow_wheel_nearest(const struct flow_wheel *w, unsigned row)
{
	for (unsigned i = 0; i < WHEEL_SLOTS; i++) {
		uint32_t index = w->head[row][(w->tick + i) & WHEEL_MASK];

		if (index)
			return index;
	}
	return w->head[row][WHEEL_NEVER];
}
