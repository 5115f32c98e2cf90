/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From kafka://b1:9092,b2:9092/topic?options to a configuration of librdkafka. Any of its properties may be given:
 *
 *   rdkafka.NAME=VALUE            as it is
 *   rdkafka.NAME_file=/path       the value is the file's content, without the line's end: for secrets
 *   rdkafka.NAME_env=VARIABLE     the value is that of an environment variable, likewise
 *
 * Those that decide whether records are lost, and those that have an option of ours, are not for the user to set.
 *
 * Only lib/kafka includes this: who uses Kafka sees kafka_producer.h or kafka_consumer.h.
 */
#ifndef L7_KAFKA_CONF_H
#define L7_KAFKA_CONF_H

#include <librdkafka/rdkafka.h>
#include <stddef.h>

#include "base/uri.h"

#define KAFKA_TOPIC_MAX 249     /* what a broker takes */
#define KAFKA_SECRET_MAX 65536u /* octets of a file */

struct kafka_property {
	const char *name;
	const char *value;
};

/*
 * Checks brokers, topic, names and values of the properties, and that all other options are among `own` (NULL-terminated). Opens
 * nothing. Returns 0, or -EINVAL with a sentence that names the URI.
 */
int kafka_conf_check(const struct uri *u, const char *const *own, char *err, size_t err_size);

/*
 * Makes a configuration for the caller to give away or destroy: `defaults` first, then what the user has set, then `fixed` (both end
 * with a name of NULL). Reads the files of secrets. Returns 0, or a negative errno with a sentence, which has no secret.
 */
int kafka_conf_new(rd_kafka_conf_t **conf, const struct uri *u, const struct kafka_property *defaults,
		   const struct kafka_property *fixed, char *err, size_t err_size);

/* The topic of a URI that has passed the check. */
const char *kafka_conf_topic(const struct uri *u);

#endif
