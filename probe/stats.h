/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROBE_STATS_H
#define PROBE_STATS_H

#include <stdint.h>

#include "config.h"
#include "crash_dir.h"
#include "links.h"
#include "shared.h"

/* What the supervisor itself knows. */
struct stats {
	uint64_t worker_restarts;
	uint64_t reloads;
	uint64_t reload_failed;
	bool reload_last_ok;
	const struct crash_dir *crash;
	const struct links *links;
};

/* Writes the counters of the whole probe as one JSON object and a newline to standard error. */
void stats_print(const struct config *config, const struct shared *shared, const struct stats *more);

#endif
