/* SPDX-License-Identifier: Apache-2.0 */
/* The worker process: capture, decode, track, classify; records into its ring. */
#ifndef PROBE_WORKER_H
#define PROBE_WORKER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/ring.h"
#include "capture/split.h"
#include "config.h"
#include "dpi/dpi.h"
#include "shared.h"

struct worker_config {
	const struct config *config;
	struct dpi_module *dpi; /* made before the fork; this process's own copy after it */
	struct shared_worker *shared;
	struct ring ring;   /* producer's view */
	struct split split; /* this worker's share of the hosts */
	bool successor;     /* one before it has captured: an interface may be away now */
	uint32_t serial;    /* of this worker: none before or after it has the same */
	pid_t supervisor;
	/*
	 * One that follows another while that still captures opens its captures beside it, in these groups by place (0: none),
	 * and then waits to read from `go` an octet: the other has ended, and its flows are here. -1: there is no other.
	 */
	const uint32_t *groups;
	int go;
	uint64_t seed; /* of hashes: the same for a worker that takes over from one that died */
	int store;     /* of flow_store_new(): the flows of the worker before this one are in it */
	bool last;     /* captures and classifies nothing, only reports the flows */
};

#define WORKER_MADE_WAY 3 /* exit status */

/*
 * What signals mean to a worker: SIGTERM ends it, SIGUSR1 has it make way for the next one; either way what it was given
 * until then is read first. It sends the supervisor SIGUSR2 when
 * what stands in struct shared_opened changes. Called before they can come.
 */
void worker_signals(void);

/*
 * Runs until the files are read, or SIGTERM. All open flows are reported and the ring is closed. Returns the exit
 * status: 0, WORKER_MADE_WAY, or 2 after one line on standard error that says why.
 */
int worker_run(const struct worker_config *c);

#endif
