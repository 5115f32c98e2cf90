/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages to one Kafka topic. Nothing here waits: a message is taken or there is no room; whether brokers are there is the
 * library's threads' business, and ours to hear of.
 *
 * Acknowledged by all replicas in sync, idempotent, tried for as long as it takes: within a process's life each message is in its
 * topic once, and those of a key are in order. What brokers refuse for a reason that may go away (no such topic, no right to write,
 * a producer that they have given up) is kept and tried again, after longer and longer times; it then may come after what was sent
 * since. What can never be taken (too large) is told as lost. So is what is left at the end: then nobody knows of what
 * was on its way.
 *
 * One producer is used by one thread.
 */
#ifndef L7_KAFKA_PRODUCER_H
#define L7_KAFKA_PRODUCER_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/uri.h"

#define KAFKA_HEADERS_MAX 8
#define KAFKA_MESSAGE_MAX                                                                                              \
	1000000u /* octets that brokers take unless told otherwise: what one message should not pass */

struct kafka_producer;

struct kafka_header {
	const char *name;
	const void *value;
	size_t len;
};

/* A message, copied by kafka_producer_put(). */
struct kafka_message {
	const void *value;
	size_t len;
	const void *key; /* messages of one key are in order; NULL: it has none, and goes anywhere */
	size_t key_len;
	struct kafka_header headers[KAFKA_HEADERS_MAX];
	size_t n_headers;
	uint64_t tag; /* comes back with the answer: how many records, a number, ... */
};

/* What has become of a message; called by kafka_producer_step() and _free(). `why` is NULL if it is acknowledged, else a few words. */
typedef void kafka_answer(void *arg, uint64_t tag, size_t len, const char *why);

struct kafka_producer_config {
	const struct uri *uri; /* has passed kafka_producer_check(); kept */
	const char *name;      /* for messages; kept */
	const char *client;    /* client.id, unless the user sets another */
	unsigned
		linger_ms; /* that messages wait for others to share a batch, unless the user sets another; 0: librdkafka's own */
	bool watched; /* kafka_producer_up() is asked */
	size_t queue; /* octets that may wait for an answer, about; all that is kept for a message counts */
	kafka_answer *answer;
	void *arg;
};

/* Numbers of one producer since its start. */
struct kafka_producer_counters {
	uint64_t acknowledged; /* messages */
	uint64_t lost;         /* messages that brokers never took, or that were left at the end */
	uint64_t again;        /* messages that were refused, and kept to be tried again */
	uint64_t errors;       /* times that something failed: a connection, a login, a request */
};

/* Checks the URI and opens nothing; options beside rdkafka.* must be among `own`. Returns 0, or -EINVAL with a sentence. */
int kafka_producer_check(const struct uri *u, const char *const *own, char *err, size_t err_size);

/* Starts; that no broker is there is no error. Returns 0, or a negative errno with a sentence. */
int kafka_producer_new(struct kafka_producer **p, const struct kafka_producer_config *c, char *err, size_t err_size);

/* Whether a message of so many octets (value, key and headers) would be taken now. */
bool kafka_producer_room(const struct kafka_producer *p, size_t octets);

/* Takes a copy. Returns 0, or -ENOBUFS if there is no room, -EMSGSIZE if it is longer than messages may be. */
int kafka_producer_put(struct kafka_producer *p, const struct kafka_message *m);

/* Answers, errors, and what is to be tried again. */
void kafka_producer_step(struct kafka_producer *p, uint64_t now_ms);

/* Fills *fd, and returns milliseconds until the next step is due, -1 for no limit. */
int kafka_producer_wait(const struct kafka_producer *p, uint64_t now_ms, struct pollfd *fd);

/* Something has failed that may go away, has been said, and no message was acknowledged since. */
bool kafka_producer_away(const struct kafka_producer *p);

/*
 * Of one that is watched: librdkafka has a connection to a broker, as of the last second, and brokers take what they are sent. Without
 * anything to send it is tried to connect, too.
 */
bool kafka_producer_up(const struct kafka_producer *p, uint64_t now_ms);

/* What was put in and has no answer yet. */
uint64_t kafka_producer_pending(const struct kafka_producer *p);

const struct kafka_producer_counters *kafka_producer_counters(const struct kafka_producer *p);

/* Stops. What has no answer gets one now: lost. NULL is fine. */
void kafka_producer_free(struct kafka_producer *p);

#endif
