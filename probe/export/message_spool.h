/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages of IPFIX on disk until the peer's TCP has acknowledged them. A batch is a message of flow records behind the data
 * templates that it needs, so that it can be read whatever templates the probe has when it is sent. `own` of the spool is the hash
 * of those templates (64 bits) and their length (32), little endian.
 *
 * A connection may be told one set of templates only (RFC 7011 section 8.1 forbids another meaning of the same number): its owner
 * compares hashes.
 */
#ifndef PROBE_MESSAGE_SPOOL_H
#define PROBE_MESSAGE_SPOOL_H

#include <poll.h>

#include "export/ipfix_make.h"
#include "export/output_spool.h"

struct message_spool_out {
	uint64_t end; /* place in the stream after its last octet */
	uint64_t seq;
	uint32_t len;
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
	size_t message_max;
};

/* Of an output with option spool; all flow records of `m` go here from now on. Returns 0, or a negative errno with a sentence. */
int message_spool_new(struct message_spool **s, struct ipfix_make *m, char *err, size_t err_size);
/* What cannot be made durable is counted as dropped. NULL is fine. */
void message_spool_free(struct message_spool *s);

/* Has a batch ready in s->batch if one may be sent. */
bool message_spool_take(struct message_spool *s);
/* Gives the messages of the batch from octet `from` on their sequence number and time. */
void message_spool_stamp(struct message_spool *s, size_t from, uint32_t sequence);
/* The batch is written; `end` is the stream's place behind it. */
void message_spool_written(struct message_spool *s, uint64_t end);
/* The peer has acknowledged so many octets of the stream. True if that ended a batch. */
bool message_spool_acknowledged(struct message_spool *s, uint64_t octets);
/* A new connection: all that was not acknowledged comes again. */
void message_spool_rewind(struct message_spool *s);

/* Whatever is due; counters are brought up to date. */
void message_spool_step(struct message_spool *s, uint64_t now_ms);
/* Room for what the next record may finish. */
bool message_spool_room(const struct message_spool *s);

#endif
