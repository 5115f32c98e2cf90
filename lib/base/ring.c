/* SPDX-License-Identifier: Apache-2.0 */
#include "base/ring.h"

#include <string.h>
#include <unistd.h>

#define RING_AHEAD 320 /* octets of a slot that most of them use */

size_t ring_size(uint64_t count, size_t slot_size)
{
	return sizeof(struct ring_shared) + (size_t)count * slot_size;
}

void ring_init(struct ring *r, void *memory, uint64_t count, size_t slot_size, int event)
{
	memset(r, 0, sizeof(*r));
	r->shared = memory;
	r->count = count;
	r->slot_size = slot_size;
	r->event = event;
}

static void *ring_slot(const struct ring *r, uint64_t position)
{
	return r->shared->slots + (size_t)(position & (r->count - 1)) * r->slot_size;
}

void *ring_reserve(struct ring *r)
{
	uint64_t head = atomic_load_explicit(&r->shared->head, memory_order_relaxed);

	if (head - r->seen >= r->count) {
		r->seen = atomic_load_explicit(&r->shared->tail, memory_order_acquire);
		if (head - r->seen >= r->count)
			return NULL;
	}
	return ring_slot(r, head);
}

void ring_commit(struct ring *r)
{
	uint64_t head = atomic_load_explicit(&r->shared->head, memory_order_relaxed);

	atomic_store_explicit(&r->shared->head, head + 1, memory_order_release);
}

void ring_wake(struct ring *r)
{
	static const uint64_t one = 1;

	/* Pairs with the fence in ring_sleep(): either we see `asleep`, or the consumer sees our slots. */
	atomic_thread_fence(memory_order_seq_cst);
	if (atomic_load_explicit(&r->shared->asleep, memory_order_relaxed) &&
	    atomic_exchange_explicit(&r->shared->asleep, 0, memory_order_relaxed))
		if (write(r->event, &one, sizeof(one)) < 0)
			return; /* the counter is full: the consumer is awake already */
}

void ring_close(struct ring *r)
{
	atomic_store_explicit(&r->shared->closed, 1, memory_order_release);
	ring_wake(r);
}

uint64_t ring_made(const struct ring *r)
{
	return atomic_load_explicit(&r->shared->head, memory_order_relaxed);
}

unsigned ring_fill(struct ring *r)
{
	uint64_t head = atomic_load_explicit(&r->shared->head, memory_order_relaxed);
	uint64_t tail = atomic_load_explicit(&r->shared->tail, memory_order_relaxed);

	return (unsigned)((head - tail) * 100 / r->count);
}

const void *ring_peek(struct ring *r, bool *broken)
{
	uint64_t tail = atomic_load_explicit(&r->shared->tail, memory_order_relaxed);

	*broken = false;
	if (r->seen == tail) {
		r->seen = atomic_load_explicit(&r->shared->head, memory_order_acquire);
		if (r->seen - tail > r->count) {
			r->seen = tail;
			*broken = true;
			return NULL;
		}
		if (r->seen == tail)
			return NULL;
	}
	/* It was filled on another processor: asked for now, it is here when its turn comes. */
	if (r->seen - tail > 1)
		for (size_t at = 0; at < RING_AHEAD && at < r->slot_size; at += 64)
			__builtin_prefetch((const uint8_t *)ring_slot(r, tail + 1) + at);
	return ring_slot(r, tail);
}

void ring_release(struct ring *r)
{
	uint64_t tail = atomic_load_explicit(&r->shared->tail, memory_order_relaxed);

	atomic_store_explicit(&r->shared->tail, tail + 1, memory_order_release);
}

bool ring_sleep(struct ring *r)
{
	atomic_store_explicit(&r->shared->asleep, 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_seq_cst);
	if (atomic_load_explicit(&r->shared->head, memory_order_relaxed) !=
		    atomic_load_explicit(&r->shared->tail, memory_order_relaxed) ||
	    atomic_load_explicit(&r->shared->closed, memory_order_relaxed)) {
		ring_awake(r);
		return false;
	}
	return true;
}

void ring_awake(struct ring *r)
{
	atomic_store_explicit(&r->shared->asleep, 0, memory_order_relaxed);
}

bool ring_finished(struct ring *r)
{
	if (!atomic_load_explicit(&r->shared->closed, memory_order_acquire))
		return false;
	return atomic_load_explicit(&r->shared->head, memory_order_acquire) ==
	       atomic_load_explicit(&r->shared->tail, memory_order_relaxed);
}

bool ring_closed(const struct ring *r)
{
	return atomic_load_explicit(&r->shared->closed, memory_order_acquire) != 0;
}
