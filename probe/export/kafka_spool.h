/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages of Kafka on disk until brokers have acknowledged them. A batch is a message's value; `own` of the spool is its key and its
 * headers:
 *
 *     u8 version 1 | u8 headers | u16 octets of the key, 65535: it has none | key
 *     for each header: u8 octets of the name with its NUL | name | u16 octets of the value | value
 *
 * Numbers are in network order.
 */
#ifndef PROBE_KAFKA_SPOOL_H
#define PROBE_KAFKA_SPOOL_H

#include "export/output_spool.h"
#include "kafka/kafka_producer.h"

/* Puts a message of m->tag records in, or counts them as dropped. */
void kafka_spool_put(struct output_spool *s, const struct kafka_message *m);
/*
 * What a batch says, with its number as the tag; it points into the batch. False: it is no message of Kafka. What is on a disk may
 * be anybody's.
 */
bool kafka_spool_read(const struct spool_batch *b, struct kafka_message *m);

#endif
