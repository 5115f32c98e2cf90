/* SPDX-License-Identifier: Apache-2.0 */
/* The list of the probes, and of other exporters that were heard: one line for each, those first that are silent. */
#ifndef WATCH_PROBES_H
#define WATCH_PROBES_H

#include "base/buf.h"
#include "state/exporters.h"

/* A table for people, nothing if there is none; wall_ms is our clock. */
void probes_print(const struct exporters *e, uint64_t wall_ms, struct buf *out);
/* An array of objects. */
void probes_json(const struct exporters *e, struct buf *out);

#endif
