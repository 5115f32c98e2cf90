/* SPDX-License-Identifier: Apache-2.0 */
/* What the two files of the consumer share: events and life in kafka_consumer.c, offsets in kafka_offsets.c. */
#ifndef L7_KAFKA_CONSUMER_INTERNAL_H
#define L7_KAFKA_CONSUMER_INTERNAL_H

#include "kafka/kafka_client.h"
#include "kafka/kafka_conf.h"
#include "kafka/kafka_consumer.h"

#define CONSUMER_PATIENCE_MS 250 /* for the first answer on where partitions begin */

/* What an error is about. Each is said once, until all is well again. */
enum trouble {
	TROUBLE_CONNECTION,
	TROUBLE_BROKERS, /* none of them */
	TROUBLE_LOGIN,
	TROUBLE_TOPIC,
	TROUBLE_GROUP,
	TROUBLE_COMMIT,
	TROUBLE_BEGIN,
	TROUBLE_OTHER
};

struct kafka_consumer {
	struct kafka_consumer_config config;
	struct kafka_consumer_counters counters;
	struct kafka_client client;
	struct kafka_partition *partitions; /* owned; by id */
	size_t n, room;
	int32_t n_born;                            /* when the group was new */
	int32_t n_topic;                           /* partitions of the topic, 0: not known */
	rd_kafka_topic_partition_list_t *assigned; /* owned; given to us, and not begun */
	uint64_t begin_ms;                         /* when to try again to begin them */
	int patience_ms;
	uint64_t renew_ms; /* 0: this one goes on */
	unsigned said;     /* bits of enum trouble */
	bool well;         /* something has worked since the last error */
	uint64_t error_ms;
	bool closing;
	char cluster[KAFKA_CLUSTER_MAX];
};

/* ---- kafka_consumer.c ---- */

/* Counts it, and says it unless one of its kind was said and has not gone since. */
void kafka_consumer_fails(struct kafka_consumer *c, enum trouble what, const char *before, const char *why);
/* The same for an error of librdkafka's. */
void kafka_consumer_error(struct kafka_consumer *c, rd_kafka_resp_err_t err, const char *text);
/* Something has gone well. */
void kafka_consumer_works(struct kafka_consumer *c);
/* Tells librdkafka that these partitions are ours from now on, or (more: false) are not. */
bool kafka_consumer_assign(struct kafka_consumer *c, const rd_kafka_topic_partition_list_t *list, bool more);

/* ---- kafka_offsets.c ---- */

struct kafka_partition *kafka_offsets_find(const struct kafka_consumer *c, int32_t id); /* or NULL */
void kafka_offsets_drop(struct kafka_consumer *c, int32_t id);
/* What comes of a commit. */
void kafka_offsets_answer(struct kafka_consumer *c, rd_kafka_event_t *event);
/* Tells what was noted of some partitions (NULL: all), and waits for the answer, some seconds at most. */
void kafka_offsets_commit(struct kafka_consumer *c, const rd_kafka_topic_partition_list_t *only);
/* Begins what was assigned, unless the brokers do not answer: then later. The group waits for us meanwhile. */
void kafka_offsets_begin(struct kafka_consumer *c, uint64_t now_ms);

#endif
