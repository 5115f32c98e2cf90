/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Batches of records kept on disk until they are acknowledged: for a link that goes away, and for a process or a machine that does.
 * One poll loop owns a spool: it puts batches in, takes them out in order, and says which have arrived.
 *
 *     spool_put() -> memory -> written -> durable -> spool_next() -> sent -> spool_ack() -> removed
 *
 * What is promised:
 *   - A batch that is durable (its number is not above spool_synced()) comes out of spool_next(), in this process or the next, until it
 *     has been acknowledged, or it is dropped by a limit, or the disk has damaged it: both are counted, in records.
 *   - Batches come in the order in which they were put. Within a process each comes once, but for spool_rewind().
 *   - After a crash what was acknowledged shortly before may come again: receivers know doubles. What was not yet durable may be
 *     lost: with the default that is what was put in the last 200 ms or the last MiB, if the disk keeps up with it.
 *   - A damaged batch costs that batch. A damaged file never stops anything, nor does a full, slow, failing or absent disk: then batches
 *     are handed out from memory, `memory` of the counters says so, and what does not fit is refused.
 *
 * What waits for the disk is done by a thread of the spool's. The loop itself opens segments and reads them where the kernel has them
 * in memory already; if it has not, it is asked to, and spool_next() says -EAGAIN until then. After SPOOL_PATIENCE_MS it reads anyway, to learn
 * what is wrong.
 *
 * Memory does not depend on what is on the disk: `buffer`, 24 octets for each of `window`, a batch at most to be read (64 KiB, up to 1 MiB for
 * long ones), and 32 octets for each segment, of which there are SPOOL_SEGMENTS_MAX at most (512 KiB). A start lists the segments and
 * reads the last one.
 */
#ifndef L7_SPOOL_H
#define L7_SPOOL_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SPOOL_LEN_MAX (1u << 20)     /* octets of a batch, `own` among them */
#define SPOOL_RECORDS_MAX (1u << 20) /* in a batch */
#define SPOOL_PATIENCE_MS 10000

enum spool_sync {
	SPOOL_SYNC_INTERVAL, /* each sync_ms, or when sync_octets have been written */
	SPOOL_SYNC_ALWAYS,   /* as soon as the disk can: batches put while it is busy share the next sync */
	SPOOL_SYNC_NONE,     /* what is written counts as durable: survives a process, not a machine */
};

struct spool_config {
	const char *path;        /* of the directory, made if its parent is there; kept */
	const char *name;        /* for messages; kept */
	uint64_t max_octets;     /* on disk */
	uint64_t max_age_ms;     /* since the last batch of a segment was written; 0 no limit */
	uint64_t segment_octets; /* begin another one then: a limit drops whole segments */
	uint64_t segment_ms;     /* or then */
	enum spool_sync sync;
	uint64_t sync_ms;
	uint64_t sync_octets;
	size_t buffer;    /* octets of what is not durable yet; two of the longest batches at least */
	size_t window;    /* batches that may be out without being acknowledged */
	unsigned reserve; /* per cent of the file system that are left to others (1 GiB at most); 0 none */
	bool drop_new;    /* at a limit new batches are refused; else the oldest segment goes */
	bool early; /* handed out before they are durable: no delay, and the other side may have what a power cut takes from here */
	bool no_thread; /* everything in spool_step(), for tests and commands */
};

struct spool_batch {
	uint64_t seq; /* set by spool_next() */
	const void *data;
	size_t len;      /* octets of data */
	const void *own; /* what its owner wants back with it, and nobody else sees: a key, headers */
	size_t own_len;
	uint32_t records;
};

/* Of records unless said otherwise; those of losses since spool_open(). */
struct spool_counters {
	uint64_t kept;     /* not acknowledged */
	uint64_t octets;   /* on disk */
	uint64_t segments; /* likewise */
	uint64_t put;      /* taken by spool_put() */
	uint64_t acknowledged;
	uint64_t dropped_size; /* over max_octets */
	uint64_t dropped_age;  /* over max_age_ms */
	uint64_t dropped_disk; /* the file system was full */
	uint64_t lost_damaged; /* in a segment, and not as they were written */
	uint64_t lost_missing; /* in segments that are not there, or end too early */
	uint64_t damaged;      /* places in files, each time that they are met */
	uint64_t torn;         /* segments cut at their end when the spool was opened: what a crash leaves */
	uint64_t quarantined;  /* files kept as .bad */
	uint64_t sync_errors;
	uint64_t errors;  /* of writing, making or removing files */
	uint64_t rewound; /* times */
	bool memory;      /* batches are not written now */
};

struct spool;

/* The defaults: 1 GiB, 24 h, segments of 16 MiB or 60 s, sync each 200 ms or MiB, 4 MiB of buffer. */
void spool_config_init(struct spool_config *c, const char *path, const char *name);
/* Makes or opens the directory and takes its lock. Returns 0, or a negative errno with a sentence. */
int spool_open(struct spool **s, const struct spool_config *c, uint64_t now_ms, char *err, size_t err_size);
/*
 * Writes and syncs what there is; waits for the disk. NULL is fine. Returns the records that are neither acknowledged nor durable: they
 * are lost with this process.
 */
uint64_t spool_close(struct spool *s);

/*
 * Takes a copy. Returns 0 with the batch's number, or
 *   -EAGAIN    memory is full until the disk has taken something: try again
 *   -ENOSPC    the disk is full, or a limit is reached and new batches are to be refused
 *   -EMSGSIZE  it is longer than SPOOL_LEN_MAX, has too many records, or no data
 * What is refused is its owner's to count.
 */
int spool_put(struct spool *s, const struct spool_batch *b, uint64_t *seq);
/* Whether a batch of so many octets would be taken now. */
bool spool_room(const struct spool *s, size_t octets);
/* All batches up to this number are durable. */
uint64_t spool_synced(const struct spool *s);
/* What was put is synced at once, not when it is due. */
void spool_flush(struct spool *s);
/* All that was put is durable, and so is what was acknowledged. */
bool spool_settled(const struct spool *s);

/*
 * The next batch, in order. What b points to is good until the next call of a function of this spool. Returns 0, or -EAGAIN if there is none now:
 * nothing that may be handed out, as many out as `window`, or the disk is being asked.
 */
int spool_next(struct spool *s, struct spool_batch *b);
/* After a lost connection: all that is not acknowledged comes again, from the oldest on. */
void spool_rewind(struct spool *s);
/*
 * A batch has arrived. They may come in any order; what counts is up to where none is missing. -EINVAL: it is not out (after a rewind
 * that is no mistake of the owner's).
 */
int spool_ack(struct spool *s, uint64_t seq);
/* The same of all up to this number: of a stream. */
void spool_ack_through(struct spool *s, uint64_t seq);
/* Records of a batch that is out; 0 if it is not. */
uint32_t spool_out_records(const struct spool *s, uint64_t seq);
/* Records that are not acknowledged. */
uint64_t spool_pending(const struct spool *s);

/* Whatever is due. Called after poll(), after puts, and when the time of spool_wait() is over. */
void spool_step(struct spool *s, uint64_t now_ms);
/* Fills *p, and returns milliseconds until spool_step() is due, -1 for no limit. */
int spool_wait(const struct spool *s, uint64_t now_ms, struct pollfd *p);
const struct spool_counters *spool_counters(struct spool *s);

#endif
