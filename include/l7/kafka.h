/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Flow records in Kafka: what is beside a message's value. l7probe writes it, l7watch and anybody's consumers read it (docs/kafka.md).
 *
 * A value of format "json" is one flow (docs/record.schema.json). One of format "ipfix" is one or more whole IPFIX messages, the
 * templates and options records of all that follow first: a consumer may begin with any.
 *
 * All values of headers are text. Doubles are known by exporter, stream_id and record_sequence.
 */
#ifndef L7_KAFKA_H
#define L7_KAFKA_H

#define L7_KAFKA_EXPORTER "exporter" /* name of the probe */
#define L7_KAFKA_STREAM "stream_id"  /* decimal; another with each start of the probe, and for each of its outputs */
#define L7_KAFKA_SEQUENCE "record_sequence" /* decimal, of the first record in the value */
#define L7_KAFKA_FORMAT "format"            /* L7_KAFKA_JSON, L7_KAFKA_IPFIX */
#define L7_KAFKA_SCHEMA "schema"            /* L7_KAFKA_SCHEMA_VERSION: raised when what is there changes its meaning */

#define L7_KAFKA_JSON "json"
#define L7_KAFKA_IPFIX "ipfix"
#define L7_KAFKA_SCHEMA_VERSION "1"

#endif
