/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records that came before: a probe numbers the records of each of its streams, and what it sends again after a broken connection,
 * or a broker keeps twice, has the number that it had. Known by exporter, stream and number, among the last DOUBLES_WINDOW numbers
 * of the stream; what is older than that is never taken for a double, and neither is a record without a number.
 *
 * An exporter that has no use for a reverse direction sends the halves of a flow as two records with one number: they are no doubles.
 */
#ifndef WATCH_DOUBLES_H
#define WATCH_DOUBLES_H

#include <stdbool.h>
#include <stdint.h>

#include "l7/record.h"
#include "state/lru.h"

#define DOUBLES_WINDOW 131072u /* numbers of a stream */
#define DOUBLES_STREAMS 1024u  /* the one heard longest ago goes for a new one, and all of it is new again */

struct doubles {
	struct lru streams; /* struct doubles_stream */
	uint64_t seed;
	uint64_t n; /* found */
};

/* Returns 0 or -ENOMEM. */
int doubles_init(struct doubles *d);
void doubles_deinit(struct doubles *d);
/* True, and counted, if the record came before. */
bool doubles_seen(struct doubles *d, const struct l7_record *r);

#endif
