/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What producer and consumer have in common: librdkafka's instance for one topic, whose events come to one queue, and a descriptor
 * that is readable while there are some. After an error that is fatal to the instance it is stopped, and another one started.
 *
 * Only lib/kafka includes this.
 */
#ifndef L7_KAFKA_CLIENT_H
#define L7_KAFKA_CLIENT_H

#include <librdkafka/rdkafka.h>
#include <poll.h>
#include <stddef.h>

/* Who has one sets the first four, and event to -1. */
struct kafka_client {
	rd_kafka_type_t type;
	const char *name;       /* in messages; not owned */
	const char *topic_name; /* likewise */
	rd_kafka_conf_t *conf;  /* owned; with the events that are wanted */
	rd_kafka_t *rk;         /* these three are NULL while it is stopped */
	rd_kafka_topic_t *topic;
	rd_kafka_queue_t *queue;
	int event;
};

/* Returns 0, or a negative errno and why; kafka_client_stop() is needed after either. */
int kafka_client_start(struct kafka_client *k, char *why, size_t why_size);
/* No more events: the queue is gone. */
void kafka_client_mute(struct kafka_client *k);
/* A consumer has left its group before. */
void kafka_client_stop(struct kafka_client *k);
/* Stopped before, or left as it is for threads of librdkafka's that do not end. */
void kafka_client_deinit(struct kafka_client *k);

/* Makes the descriptor wait for more. Before events are taken, or some might be missed. */
void kafka_client_wake(const struct kafka_client *k);
void kafka_client_wait(const struct kafka_client *k, struct pollfd *fd);

/* Says what an RD_KAFKA_EVENT_LOG has to say. */
void kafka_client_log(const struct kafka_client *k, rd_kafka_event_t *event);

#endif
