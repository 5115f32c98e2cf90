/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the supervisor share: supervisor.c (start, signals, end, the exporter), supervisor_worker.c (start and death of
 * workers), supervisor_watch.c (workers that hang).
 */
#ifndef PROBE_SUPERVISOR_INTERNAL_H
#define PROBE_SUPERVISOR_INTERNAL_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "config.h"
#include "crash_dir.h"
#include "dpi/dpi.h"
#include "exporter.h"
#include "links.h"
#include "mirror.h"
#include "shared.h"

#define SUPERVISOR_DEATHS 5 /* what is too many: see supervisor_worker.c */

struct supervisor_worker {
	pid_t pid; /* 0: ended */
	uint64_t started_ms;
	uint64_t deaths[SUPERVISOR_DEATHS]; /* times of the last ones, oldest first */
	uint64_t dpi_on_ms;                 /* when it may classify again; 0 it may */
	uint64_t call;                      /* that it was in when last looked at (dpi_entered), 0 none; */
	uint64_t call_cpu_ns;               /* its processor time when first seen in it, */
	uint64_t call_ms;                   /* and how long ago that was */
	bool hung;                          /* it was killed for that */
	bool last;                          /* not started again: it only reports the flows that are left */
	int store;                          /* flow_store_new(): the flows of all workers of this place */
};

struct supervisor {
	const struct config *config;
	struct shared shared;
	struct dpi_module *dpi;
	struct exporter_names names;
	struct supervisor_worker workers[SHARED_WORKERS_MAX];
	pid_t exporter;
	sigset_t signals; /* waited for; blocked in this process */
	sigset_t before;  /* mask of the children */
	uint64_t seed;
	uint64_t stream_id;
	uint64_t restarts;
	struct crash_dir crash;
	struct links links;
	struct mirror mirror;
	uint64_t looked_ms;   /* when workers were last looked at */
	uint64_t deadline_ms; /* when what still runs is killed; 0 none */
	bool stopping;
	bool abandoned; /* the exporter has ended and its workers were killed for that: no news */
	int status;
};

/*
 * Forks; the child has the signal mask of before, once it has said with take_signals() what each means to it, and is told
 * to stop when its parent dies. Returns like fork().
 */
pid_t supervisor_fork(struct supervisor *s, void (*take_signals)(void));
/* A child's end: without the exit handlers, which are the parent's, but with the leak check that is among them. */
_Noreturn void supervisor_leave(int status);

/* Returns 0 or a negative errno. A worker goes on with the flows of the one before it. */
int supervisor_start_worker(struct supervisor *s, unsigned i);
/* A worker has ended: says so, and starts another, or a last one that reports its flows. */
void supervisor_worker_ended(struct supervisor *s, unsigned i, int wait_status);
/* A worker is gone for good: the exporter must not wait for more of it. */
void supervisor_close_ring(struct supervisor *s, unsigned i);

/* Looks at all workers, ends those that hang. Returns after how many milliseconds to do so again. */
int supervisor_watch(struct supervisor *s);

#endif
