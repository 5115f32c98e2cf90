/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the supervisor share: supervisor.c (start, signals, end, the exporter), supervisor_worker.c (start and death of
 * workers), supervisor_watch.c (workers that hang), supervisor_follow.c (workers that follow others), supervisor_reload.c (SIGHUP),
 * supervisor_geo.c (files that say something of addresses).
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
#include "export/geo.h"
#include "export/vendors.h"
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
	uint32_t serial;                    /* of all workers ever started */
	uint64_t rules;                     /* number of those that it has */
	bool opened;                        /* it has said that it captures, and in which groups, by place: */
	uint32_t groups[SHARED_INTERFACES_MAX];
	unsigned failed;    /* times that one could not follow it, since there are new rules, */
	uint64_t failed_ms; /* and when the last did */
};

/* The one worker that opens its captures beside those of another, to follow it. */
struct supervisor_next {
	pid_t pid;       /* 0: there is none */
	unsigned worker; /* whose place it will take */
	int go;          /* where it is told that the other has ended */
	bool told;       /* the other is told to make way */
	uint32_t serial; /* as those of struct supervisor_worker */
	uint64_t rules;
	uint64_t started_ms;
};

struct supervisor_reloads {
	uint64_t done;
	uint64_t failed;
	bool last_ok;
	uint64_t rules; /* of those done, how many brought something new: number of the rules in force */
	uint64_t said;  /* number of the last that all workers were said to have */
	uint64_t files; /* what was in the files of protocols and categories, as a hash */
};

/* Files that the exporter gets. */
struct supervisor_geo {
	struct geo *geo; /* until the exporter has it */
	struct vendors *vendors;
	struct geo_stamp stamps[GEO_FILES_MAX]; /* of the files that it has */
	int sockets[2];                         /* to give it others: ours and its; -1: that is never done */
};

struct supervisor {
	struct config *config;
	int argc; /* as it was read, to read it again */
	char **argv;
	struct shared shared;
	struct dpi_module *dpi;
	struct exporter_names names;
	struct supervisor_worker workers[SHARED_WORKERS_MAX];
	struct supervisor_next next;
	struct supervisor_reloads reloads;
	struct supervisor_geo geo;
	uint32_t serial; /* of the last worker started */
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

/*
 * How a worker is forked; it is not in anybody's place yet. With `groups`, by place, it is to follow another, which still captures:
 * it is told to go on by an octet written to next->go. Returns like fork(), in the parent only.
 */
pid_t supervisor_fork_worker(struct supervisor *s, unsigned i, struct supervisor_next *next, const uint32_t *groups);
/* The worker so forked, a process of this number, has place i now. */
void supervisor_put_worker(struct supervisor *s, unsigned i, pid_t pid, const struct supervisor_next *next);
/* Returns 0 or a negative errno. A worker goes on with the flows of the one before it, which has ended. */
int supervisor_start_worker(struct supervisor *s, unsigned i);
/* A worker has ended: says so, and starts another, or a last one that reports its flows. */
void supervisor_worker_ended(struct supervisor *s, unsigned i, int wait_status);
/* A worker is gone for good: the exporter must not wait for more of it. */
void supervisor_close_ring(struct supervisor *s, unsigned i);

/*
 * Workers make way for others, one at a time, that have the rules now in force, or interfaces that are back. To be called whenever
 * something may have changed.
 */
void supervisor_follow(struct supervisor *s);
/* A worker has ended: the one that waits to follow it, if there is one, goes on. False: there is none. */
bool supervisor_follow_now(struct supervisor *s, unsigned i);
/* Nobody follows worker i: the one that waits to do so is ended. */
void supervisor_follow_not(struct supervisor *s, unsigned i);
/* The one that waits has ended. */
void supervisor_follow_ended(struct supervisor *s, int wait_status);
/* The end has come. True: worker i is about to be followed, and its follower ends in its place. */
bool supervisor_follow_stop(struct supervisor *s, unsigned i);

/* Reads what the configuration names. Returns 0, or a negative errno with a sentence; supervisor_geo_close() is right after both. */
int supervisor_geo_open(const struct config *c, struct supervisor_geo *g, char *err, size_t err_size);
/* In the exporter, as it begins: all that there is goes to it. */
void supervisor_geo_give(struct supervisor *s, struct exporter_config *c);
/* What the exporter has now is of no use to others. */
void supervisor_geo_close(struct supervisor_geo *g);
/* In a worker, and at the end: the socket too. */
void supervisor_geo_forget(struct supervisor_geo *g);
/* Of a reload: what is new into `next`, if there is something, and then to the exporter. */
int supervisor_geo_read(const struct supervisor *s, struct supervisor_geo *next, char *err, size_t err_size);
void supervisor_geo_put(struct supervisor *s, struct supervisor_geo *next);

/* A hash of what is in the files of rules. */
uint64_t supervisor_files(const struct config *config);
/* SIGHUP: reads all again. What is wrong is said, and changes nothing. */
void supervisor_reload(struct supervisor *s);

/* Looks at all workers, ends those that hang. Returns after how many milliseconds to do so again. */
int supervisor_watch(struct supervisor *s);

#endif
