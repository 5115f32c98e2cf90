/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the worker share: worker.c (start, signals, sink, flush), worker_live.c, worker_files.c. */
#ifndef PROBE_WORKER_INTERNAL_H
#define PROBE_WORKER_INTERNAL_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "capture/capture.h"
#include "capture/duplicates.h"
#include "flow/flow_tracker.h"
#include "worker.h"

enum { WORKER_BATCH = 512 }; /* frames between looks at the clock */

struct worker {
	const struct worker_config *c;
	struct shared_worker_counters *counters;
	struct shared_progress *progress;
	struct flow_tracker tracker;
	struct ring ring;
	uint32_t interfaces[SHARED_INTERFACES_MAX]; /* ifIndex by place; of files 0 */
	uint8_t tunnels_max;                        /* so many are looked into, one in the other */
	struct flow_sample packets;                 /* that are looked at */
	bool live;
	bool begun; /* the flows are its own, and what is shared: before that they may be another's */
	struct duplicates *duplicates;
	bool patient; /* a full ring is waited for */
	bool prompt;  /* each record is told to the exporter at once */
};

enum { WORKER_END = 1, WORKER_MAKE_WAY = 2 };
/* Set by SIGTERM, and by SIGUSR1. */
extern volatile sig_atomic_t worker_stop;

/* Decodes, tracks and counts frames: a capture_fn, arg is the worker. */
void worker_frames(void *arg, const struct capture_frame *frames, unsigned n);

/* Takes over the flows of the worker before. Returns 0, or 2 after one line on standard error. */
int worker_begin(struct worker *w);
/* From here on the process can do nothing but its work. Returns 0, or 2 after one line on standard error. */
int worker_confine(const struct worker *w);

/* Both run until there is no more, or worker_stop, and return the exit status as worker_run() does. */
int worker_live(struct worker *w);
int worker_files(struct worker *w);

#endif
