/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages of IPFIX on disk until the peer has them. A batch is a message of flow records behind the data
 * templates that it needs, so that it can be read whatever templates the probe has when it is sent. `own` of the spool is the hash
 * of those templates (64 bits) and their length (32), little endian.
 *
 * What a peer's TCP has acknowledged its program may not have read, and if that dies nobody ever will. So what was acknowledged is held for
 * MESSAGE_SPOOL_HOLD_MS more, MESSAGE_SPOOL_HOLD records of it at most, and comes again over another connection if this one breaks:
 * receivers know doubles, l7watch among the last 131,072 records of a stream.
 *
 * A connection may be told one set of templates only (RFC 7011 section 8.1 forbids another meaning of the same number): its owner
 * compares hashes.
 */
#ifndef PROBE_MESSAGE_SPOOL_H
#define PROBE_MESSAGE_SPOOL_H

#include <poll.h>

#include "export/message_make.h"
#include "export/output_spool.h"

#define MESSAGE_SPOOL_HOLD_MS 1000
#define MESSAGE_SPOOL_HOLD 65536

struct message_spool_out {
	uint64_t end; /* place in the stream after its last octet */
	uint64_t seq;
	uint32_t len;
	uint32_t records;
	uint32_t arrived_ms; /* when that was acknowledged; the clock's lower half */
};

/* Taken out, and not written to its end. */
struct message_batch {
	uint8_t *data; /* owned */
	uint64_t seq;
	uint64_t hash;    /* of its templates */
	size_t templates; /* octets of them */
	size_t len;       /* of all */
	uint32_t records;
	bool held; /* there is one */
};

struct message_spool {
	struct output_spool store;
	uint8_t *next; /* batch in the making: data templates as they are now, then the message; owned */
	size_t templates_len;
	uint64_t hash; /* of them; never 0 */
	struct message_batch batch;
	struct message_spool_out *out; /* a ring of those written and not acknowledged; owned */
	size_t first;
	size_t n;
	size_t arrived;        /* the first of them: acknowledged by the peer's TCP, and held */
	uint64_t out_records;  /* in all of them, */
	uint64_t held_records; /* and in those that are held */
	size_t message_max;
};

/* Of an output with option spool; all flow records of `m` go here from now on. Returns 0, or a negative errno with a sentence. */
int message_spool_new(struct message_spool **s, struct message_make *m, char *err, size_t err_size);
/* What cannot be made durable is counted as dropped. NULL is fine. */
void message_spool_free(struct message_spool *s);

/* Has a batch ready in s->batch if one may be sent. */
bool message_spool_take(struct message_spool *s);
/* Gives the messages of the batch from octet `from` on their sequence number and time. */
void message_spool_stamp(struct message_spool *s, size_t from, uint32_t sequence);
/* The batch is written; `end` is the stream's place behind it. */
void message_spool_written(struct message_spool *s, uint64_t end);
/*
 * The peer's TCP has acknowledged so many octets of the stream; `read`: its program has, too, and nothing need be held. True if that
 * was the end of one batch at least.
 */
bool message_spool_acknowledged(struct message_spool *s, uint64_t octets, bool read, uint64_t now_ms);
/* All that there is has arrived, and is held or gone. */
bool message_spool_arrived(const struct message_spool *s);
/* Milliseconds until what is held the longest has been for long enough, -1 if nothing is held. */
int message_spool_wait(const struct message_spool *s, uint64_t now_ms);
/* A new connection: all that was not acknowledged comes again. */
void message_spool_rewind(struct message_spool *s);

/* Whatever is due; counters are brought up to date. */
void message_spool_step(struct message_spool *s, uint64_t now_ms);
/* Room for what the next record may finish. */
bool message_spool_room(const struct message_spool *s);

#endif
