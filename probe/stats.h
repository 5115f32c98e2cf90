/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROBE_STATS_H
#define PROBE_STATS_H

#include <stdint.h>

#include "config.h"
#include "crash_dir.h"
#include "links.h"
#include "shared.h"

/* Writes the counters of the whole probe as one JSON object and a newline to standard error. */
void stats_print(const struct config *config, const struct shared *shared, uint64_t worker_restarts,
		 const struct crash_dir *crash, const struct links *links);

#endif
