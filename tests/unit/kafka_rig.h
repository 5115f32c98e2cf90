/* SPDX-License-Identifier: Apache-2.0 */
/* Brokers within the test's process, librdkafka's own, and what they hold of a topic. */
#ifndef TESTS_KAFKA_RIG_H
#define TESTS_KAFKA_RIG_H

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"

#define KAFKA_RIG_MS 30000  /* nothing here takes longer */
#define KAFKA_RIG_PRODUCE 0 /* Kafka's number of the request */
#define KAFKA_RIG_INIT_PRODUCER 22

struct kafka_rig {
	rd_kafka_t *rk; /* whose threads the brokers are */
	rd_kafka_mock_cluster_t *cluster;
};

static inline void kafka_rig_init(struct kafka_rig *rig, int brokers)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	char why[256];

	rd_kafka_conf_set_log_cb(conf, NULL);
	rig->rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof(why));
	assert_non_null(rig->rk);
	rig->cluster = rd_kafka_mock_cluster_new(rig->rk, brokers);
	assert_non_null(rig->cluster);
}

static inline void kafka_rig_deinit(struct kafka_rig *rig)
{
	rd_kafka_mock_cluster_destroy(rig->cluster);
	rd_kafka_destroy(rig->rk);
}

static inline const char *kafka_rig_brokers(const struct kafka_rig *rig)
{
	return rd_kafka_mock_cluster_bootstraps(rig->cluster);
}

typedef void kafka_rig_message(void *arg, const rd_kafka_message_t *m);

/* Calls `each` with what a topic of so many partitions holds, one partition after the other. Returns how many messages. */
static inline size_t kafka_rig_read(const struct kafka_rig *rig, const char *topic, int partitions,
				    kafka_rig_message *each, void *arg)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(partitions);
	uint64_t until = clock_mono_ms() + KAFKA_RIG_MS;
	char why[256];
	rd_kafka_t *rk;
	size_t n = 0;
	int ended = 0;

	rd_kafka_conf_set_log_cb(conf, NULL);
	rd_kafka_conf_set(conf, "bootstrap.servers", kafka_rig_brokers(rig), why, sizeof(why));
	rd_kafka_conf_set(conf, "group.id", "rig", why, sizeof(why));
	rd_kafka_conf_set(conf, "enable.partition.eof", "true", why, sizeof(why));
	rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof(why));
	assert_non_null(rk);
	for (int i = 0; i < partitions; i++)
		rd_kafka_topic_partition_list_add(list, topic, i)->offset = RD_KAFKA_OFFSET_BEGINNING;
	rd_kafka_poll_set_consumer(rk);
	assert_int_equal(rd_kafka_assign(rk, list), 0);
	rd_kafka_topic_partition_list_destroy(list);
	while (ended < partitions && clock_mono_ms() < until) {
		rd_kafka_message_t *m = rd_kafka_consumer_poll(rk, 100);

		if (m && m->err == RD_KAFKA_RESP_ERR__PARTITION_EOF)
			ended++;
		else if (m && !m->err) {
			n++;
			if (each)
				each(arg, m);
		}
		if (m)
			rd_kafka_message_destroy(m);
	}
	assert_int_equal(ended, partitions);
	rd_kafka_destroy(rk);
	return n;
}

#endif
