/* SPDX-License-Identifier: Apache-2.0 */
/* Messages in order, kept until they are sent or acknowledged. Bounded: what does not fit is refused. */
#ifndef PROBE_MESSAGE_QUEUE_H
#define PROBE_MESSAGE_QUEUE_H

#include <stddef.h>
#include <stdint.h>

struct message {
	struct message *next;
	uint64_t end; /* place in the stream after its last octet, once written */
	uint32_t len;
	uint32_t records; /* data records in it, what the sequence number counts */
	uint32_t flows;   /* those that are flow records */
	uint8_t data[];
};

struct message_queue {
	struct message *head;
	struct message *tail;
	size_t octets; /* memory in use */
	size_t max;
	uint64_t flows; /* records of them in it */
};

void message_queue_init(struct message_queue *q, size_t max);
/* A copy at the end; NULL if that would pass the maximum, or there is no memory. */
struct message *message_queue_put(struct message_queue *q, const void *data, size_t len, uint32_t records,
				  uint32_t flows);
/* Frees the first. */
void message_queue_drop(struct message_queue *q);
void message_queue_clear(struct message_queue *q);
/* Memory that a message of len octets takes. */
size_t message_queue_cost(size_t len);

#endif
