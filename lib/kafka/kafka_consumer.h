/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages of one Kafka topic, as a member of a group: the brokers share the topic's partitions among those of a group. Nothing here
 * waits for long: connections are the library's threads' business, and ours to hear of. The exceptions, each with a bound, are the
 * moments in which partitions come and go.
 *
 * Where a partition is read from is asked of the brokers, which keep an offset per group, and of the owner, who may know of
 * later ones. A partition of which nobody knows is begun as the configuration says, and that place is kept at once. An offset that is
 * not there any more goes on at the earliest there is; what is missing then is counted.
 *
 * The brokers are told an offset when the owner says so: kafka_consumer_note() notes what has been taken until now, and
 * kafka_consumer_commit() tells what was noted. What has not been told is read again, by us or by another of the group.
 *
 * One consumer is used by one thread.
 */
#ifndef L7_KAFKA_CONSUMER_H
#define L7_KAFKA_CONSUMER_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/uri.h"

#define KAFKA_CLUSTER_MAX 64
#define KAFKA_NOWHERE INT64_C(-1) /* an offset that is not known, or of what has none */

struct kafka_consumer;

/* A partition that is ours to read. */
struct kafka_partition {
	int32_t id;
	int64_t next;       /* of the message after the last one taken */
	int64_t noted;      /* what `next` was at the last kafka_consumer_note() */
	int64_t committed;  /* what the brokers have */
	uint64_t newest_ms; /* of the messages taken, the latest time; 0: none had one */
};

/* A message; all of it is valid during the call only. */
struct kafka_taken {
	const void *value; /* NULL: it has none */
	size_t len;
	int64_t offset;
	uint64_t time_ms; /* when it was made, or came to the brokers, as the topic has it; 0: it does not say */
	const struct kafka_partition *partition; /* as it was before this message */
	const void *message;                     /* for kafka_taken_header() */
};

/* The last header of a name, any octets. False if there is none, or it has no value. */
bool kafka_taken_header(const struct kafka_taken *m, const char *name, const void **value, size_t *len);

struct kafka_consumer_config {
	const struct uri *uri; /* has passed kafka_consumer_check(); kept, as the next three */
	const char *name;      /* for messages */
	const char *client;    /* client.id, unless the user sets another */
	const char *group;
	bool latest; /* a group that is new begins with what comes from now on, not with what is there */

	void (*take)(void *arg, const struct kafka_taken *m);
	/*
	 * What the owner knows of a partition that it is given: the offset it would go on at, and what the brokers had been told when
	 * that was kept, or KAFKA_NOWHERE. Returns false if it knows nothing. Its offset counts if it is later than the brokers' and
	 * theirs is not before what they had been told: then somebody has set it back.
	 */
	bool (*known)(void *arg, int32_t partition, int64_t *next, int64_t *committed);
	/*
	 * Partitions are about to go: what has been taken is to be done with, and noted. Returns whether it is; what is noted is told to
	 * the brokers then, if they still listen. `known` is asked should they come back.
	 */
	bool (*settle)(void *arg);
	void *arg;
};

struct kafka_consumer_counters {
	uint64_t messages;   /* taken */
	uint64_t gone;       /* messages that the brokers had dropped before they were read */
	uint64_t rebalances; /* times that partitions came or went */
	uint64_t errors;     /* times that something failed: a connection, a login, a request */
};

/* Checks the URI and opens nothing; options beside rdkafka.* must be among `own`. Returns 0, or -EINVAL with a sentence. */
int kafka_consumer_check(const struct uri *u, const char *const *own, char *err, size_t err_size);

/* Starts; that no broker is there is no error. Returns 0, or a negative errno with a sentence. */
int kafka_consumer_new(struct kafka_consumer **c, const struct kafka_consumer_config *config, char *err,
		       size_t err_size);

/*
 * Takes what has come, a bounded part of it, and does what is due; to be called at least every second, or the brokers take us for
 * dead. Returns whether there is more already.
 */
bool kafka_consumer_step(struct kafka_consumer *c, uint64_t now_ms);

/* Fills *fd; it is the same always, and readable when there is something for the next step. */
void kafka_consumer_wait(const struct kafka_consumer *c, struct pollfd *fd);

/* The partitions that are ours, by id; NULL after the last. */
struct kafka_partition *kafka_consumer_partition(const struct kafka_consumer *c, size_t i);
/* Messages between what was taken and the end, as far as is known; asks nobody. */
uint64_t kafka_consumer_behind(const struct kafka_consumer *c, const struct kafka_partition *p);

/* What the brokers call themselves, all together; "" until a partition is about to be begun. */
const char *kafka_consumer_cluster(const struct kafka_consumer *c);

/* What has been taken until now is what the next commit tells. */
void kafka_consumer_note(struct kafka_consumer *c);
/* Tells the brokers what was noted and they do not have; waits for no answer. */
void kafka_consumer_commit(struct kafka_consumer *c);

const struct kafka_consumer_counters *kafka_consumer_counters(const struct kafka_consumer *c);

/* Gives up what is ours, which calls `settle`, and leaves the group; waits some seconds at most. NULL is fine. */
void kafka_consumer_free(struct kafka_consumer *c);

#endif
