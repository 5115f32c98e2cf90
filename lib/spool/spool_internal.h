/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of a spool share. */
#ifndef L7_SPOOL_INTERNAL_H
#define L7_SPOOL_INTERNAL_H

#include "spool/spool.h"
#include "spool/spool_buffer.h"
#include "spool/spool_disk.h"
#include "spool/spool_faults.h"
#include "spool/spool_scan.h"
#include "spool/spool_thread.h"

#define SPOOL_DOOMED 64     /* dropped segments whose files are still there */
#define SPOOL_RETRY_MS 1000 /* after something failed */
#define SPOOL_POS_MS 200    /* the position is written this often, */
#define SPOOL_POS_EACH 1000 /* or after so many batches */
#define SPOOL_LOOK_MS 5     /* until a read is tried again */

/* A batch in the buffer. If it is the one to come, `at` is nowhere yet. */
struct spool_place {
	uint64_t seq;
	size_t at;
};

/* A batch that was handed out and is not acknowledged with all before it. */
struct spool_out {
	uint64_t seq;
	uint64_t first_record;
	uint32_t offset; /* in its segment; 0: from memory, or too far to be noted */
	uint32_t records : 31;
	uint32_t acked : 1;
};

struct spool_window {
	struct spool_out *list; /* a circle; owned */
	size_t size;
	size_t head;
	size_t n;
};

struct spool_reader {
	struct spool_scan scan;
	uint64_t segment;     /* that is open, 0 none */
	uint64_t next_seq;    /* to be handed out */
	uint64_t next_record; /* first in it */
	bool known;           /* what next_record is */
	uint64_t counted;     /* records before this one are handed out or counted as lost */
	uint64_t *reason;     /* counter of what is missing before the next batch; NULL: none, or damage */
	struct spool_place memory;
	uint64_t retry_ms;  /* nothing is opened before */
	uint64_t failed_ms; /* since when it cannot be opened or read, 0 it can */
	uint64_t asked_ms;  /* since when the disk is asked for the same octets; 0 it is not */
};

struct spool {
	struct spool_config config;
	struct spool_counters counters;
	uint64_t now_ms;

	/* The thread's while `out`. */
	struct spool_disk disk;
	struct spool_job job;
	struct spool_thread *thread; /* NULL: jobs are done in spool_step() */
	bool started;                /* spool_step() was called */
	bool out;
	struct spool_place job_end; /* written, once the job is done */
	size_t job_doomed;          /* of its removals, how many are of `doomed` */

	/* On disk. */
	struct spool_segments segments;
	struct spool_bad bad;
	bool active;             /* the last segment is being written */
	uint64_t active_ms;      /* since when */
	uint64_t active_durable; /* octets of it */
	struct spool_remove doomed[SPOOL_DOOMED];
	size_t n_doomed;
	uint64_t *dropped_reason; /* counter, of the last drop; NULL none */
	uint64_t low_octets;      /* the file system is nearly full: not more than this; 0 it is not */

	/* In memory. */
	struct spool_buffer buffer;
	struct spool_place written; /* the next to be written */
	uint64_t synced;            /* the last that is durable, or acknowledged */
	uint64_t next_record;       /* first of the next batch */
	uint64_t unsynced_octets;   /* written */
	uint64_t unsynced_ms;       /* since when something is not durable, 0 nothing */
	bool flush;

	/* What fails. */
	int trouble; /* a negative errno */
	unsigned failures;
	uint64_t retry_ms;
	bool said;
	bool begin;   /* the next batch begins a segment */
	bool abandon; /* the open segment has failed */
	bool reopen;  /* the directory is not there */
	bool listed;  /* reopened: what is in it is to be listed */

	/* Going out. */
	struct spool_reader reader;
	struct spool_window window;
	struct spool_pos durable_pos;
	uint64_t pos_ms;    /* when it was last written, or tried */
	uint64_t remove_ms; /* nothing is removed before */
};

/* Writes nothing more; no job may be out. */
void spool_free(struct spool *s);

/* spool_recover.c: what is on disk, at the start. */
int spool_recover(struct spool *s, char *err, size_t err_size);

/* spool_write.c: jobs. */
void spool_write_plan(struct spool *s);
void spool_write_done(struct spool *s);
int spool_write_wait(const struct spool *s);
/* Everything up to seq is durable or acknowledged: memory may forget it. */
void spool_write_release(struct spool *s, uint64_t seq);

/* spool_limits.c: age and size. */
void spool_limits_enforce(struct spool *s);
/* Drops the oldest segment; false if there is none that is not being written, or too many files are still to be removed. */
bool spool_limits_drop(struct spool *s, uint64_t *counter);
uint64_t spool_limits_octets(const struct spool *s);
int64_t spool_limits_wait(const struct spool *s);

/* spool_reader.c */
void spool_reader_close(struct spool *s);
/* What is between the reader and this batch is not to be had. `record`: its first one, UINT64_MAX if that is not known. */
void spool_reader_skip(struct spool *s, uint64_t seq, uint64_t record, uint64_t *counter);
struct spool_pos spool_frontier(const struct spool *s);

#endif
