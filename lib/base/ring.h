/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A ring of fixed slots in shared memory, one producer and one consumer in different processes, no lock.
 *
 * Nothing in it is a pointer. The consumer may be trusted and the producer hostile: the consumer takes slot count and
 * size from its own copy, and a head that cannot be (more slots filled than there are) is reported, not followed. A
 * slot's content can change under the consumer, so it copies before it checks.
 *
 * Memory order: the producer fills a slot, then releases `head`; the consumer acquires `head`, copies, then releases
 * `tail`. A producer that dies inside a slot leaves `head` as it was: the slot was never there.
 */
#ifndef L7_BASE_RING_H
#define L7_BASE_RING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Lives in shared memory; slots follow. */
struct ring_shared {
	_Alignas(64) _Atomic uint64_t head;   /* slots ever filled; written by the producer */
	_Alignas(64) _Atomic uint64_t tail;   /* slots ever emptied; written by the consumer */
	_Alignas(64) _Atomic uint32_t asleep; /* consumer waits for the event descriptor */
	_Atomic uint32_t closed;              /* producer has put its last slot */
	_Alignas(64) uint8_t slots[];
};

/* One side's private view. */
struct ring {
	struct ring_shared *shared; /* not owned */
	uint64_t count;             /* slots, a power of two */
	size_t slot_size;
	uint64_t seen; /* the other side's position when last read */
	int event;     /* eventfd that wakes the consumer, not owned */
};

/* Octets of shared memory for a ring; count must be a power of two. */
size_t ring_size(uint64_t count, size_t slot_size);

/* Both sides: a view of memory that was zeroed when made. */
void ring_init(struct ring *r, void *memory, uint64_t count, size_t slot_size, int event);

/* Producer: the next free slot, or NULL if the ring is full. Nothing is visible until ring_commit(). */
void *ring_reserve(struct ring *r);
void ring_commit(struct ring *r);
/* Producer: wakes a sleeping consumer; called once per batch, not per slot. */
void ring_wake(struct ring *r);
/* Producer: no more slots will come. Wakes the consumer. */
void ring_close(struct ring *r);
/* Producer: slots ever filled, also by those before it. */
uint64_t ring_made(const struct ring *r);
/* Producer: share of the ring in use, 0 to 100. */
unsigned ring_fill(struct ring *r);

/* Consumer: the oldest filled slot, NULL if there is none. *broken is set if the producer's position is impossible. */
const void *ring_peek(struct ring *r, bool *broken);
void ring_release(struct ring *r);
/*
 * Consumer: says it will sleep on the event descriptor. Returns false if a slot came meanwhile (do not sleep then).
 * ring_awake() takes it back.
 */
bool ring_sleep(struct ring *r);
void ring_awake(struct ring *r);
/* Consumer: closed and empty. */
bool ring_finished(struct ring *r);
/* Consumer: no more slots will come, though some may be left. */
bool ring_closed(const struct ring *r);

#endif
