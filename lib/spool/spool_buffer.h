/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Batches as they are written, in memory until they are durable: a circle in which each batch is in one piece. One that would go
 * over the end begins at the start again, and `end` says where the ones before it stop.
 */
#ifndef L7_SPOOL_BUFFER_H
#define L7_SPOOL_BUFFER_H

#include <sys/uio.h>

#include "spool/spool_format.h"

struct spool_buffer {
	uint8_t *data; /* owned */
	size_t size;
	size_t tail;       /* of the oldest batch */
	size_t head;       /* after the newest */
	size_t end;        /* where the upper part stops; size unless it goes round */
	uint64_t tail_seq; /* of the oldest batch; head_seq if there is none */
	uint64_t head_seq; /* of the next batch */
	size_t octets;     /* of all batches */
};

/* A run of whole batches, in one or two pieces. */
struct spool_run {
	struct iovec pieces[2];
	int n;
	size_t octets;
	uint64_t seq; /* after the last */
	size_t at;    /* likewise */
};

int spool_buffer_init(struct spool_buffer *b, size_t size, uint64_t seq);
void spool_buffer_deinit(struct spool_buffer *b);
/* Room for a batch of len octets of payload. */
bool spool_buffer_room(const struct spool_buffer *b, size_t len);
/*
 * Takes a batch and sets r->seq. Returns its place, SIZE_MAX if there is no room. Who had a place for the batch to come, which is nowhere
 * until now, has to take this one.
 */
size_t spool_buffer_put(struct spool_buffer *b, struct spool_record *r, const uint8_t *own, const uint8_t *data);
/* The batch at a place, its payload, and the place after it. */
size_t spool_buffer_get(const struct spool_buffer *b, size_t at, struct spool_record *r, const uint8_t **payload);
/* Where a batch is; looks at all before it. */
size_t spool_buffer_find(const struct spool_buffer *b, uint64_t seq);
/* What there is from a place and number on, at most so many octets, but one batch at least. */
void spool_buffer_run(const struct spool_buffer *b, size_t at, uint64_t seq, size_t max, struct spool_run *run);
/* Lets go what is before seq. */
void spool_buffer_release(struct spool_buffer *b, uint64_t seq);

#endif
