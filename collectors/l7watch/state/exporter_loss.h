/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an exporter has exported, by its own count, and what has come of it. Sequence numbers tell of what is missing within a connection
 * or between the datagrams of one; this tells also of what went with a connection.
 *
 * An exporter counts from its start, for each of its outputs: a stream. What it had exported before we first heard of the stream is not
 * asked for. What is missing by two statements, one behind the other, is lost: datagrams overtake each other, and what is left of a
 * broken connection may be read after the next one has begun.
 */
#ifndef WATCH_EXPORTER_LOSS_H
#define WATCH_EXPORTER_LOSS_H

#include <stdbool.h>
#include <stdint.h>

#include "record/ipfix_reader.h"

#define EXPORTER_STREAMS_MAX 4u /* of one exporter; the one heard longest ago goes */

struct exporter_stream {
	uint32_t domain;
	uint64_t init_ms, stream_id;
	uint64_t used;     /* when it was last heard, in messages of the exporter */
	uint64_t exported; /* by its last statement */
	uint64_t base;     /* of that what is not asked for */
	uint64_t came;     /* records, no doubles */
	int64_t missing;   /* by its last statement */
	int64_t lost;
	bool unsure; /* some records could not be counted since */
};

struct exporter_loss {
	uint64_t clock;
	uint32_t n;
	struct exporter_stream streams[EXPORTER_STREAMS_MAX];
};

/* One message. Returns how many more records are lost than were known to be. */
uint64_t exporter_loss_take(struct exporter_loss *l, const struct ipfix_about *a);

#endif
