/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The spool of an output: opened by its options, and its counters, of which
 *
 *     records + recovered = sent + dropped + spooled
 *
 * holds whatever became of what was put in.
 */
#ifndef PROBE_OUTPUT_SPOOL_H
#define PROBE_OUTPUT_SPOOL_H

#include "export/output.h"
#include "spool/spool.h"

struct output_spool {
	struct spool *spool;
	struct output *output;
	uint64_t recovered; /* records found when it was opened */
	uint64_t put;       /* records */
	uint64_t refused;   /* records acknowledged unsent: no output can send them */
	uint64_t gone;      /* records of those that the spool had and lost, counted as dropped */
};

/*
 * Of an output with option spool. Up to `window` batches may be out; `buffer` octets at least wait in memory for the disk, 0: as many as
 * the spool takes by itself. Returns 0, or a negative errno with a sentence.
 */
int output_spool_open(struct output_spool *s, struct output *o, size_t window, size_t buffer, char *err,
		      size_t err_size);
/* What cannot be made durable is counted as dropped. */
void output_spool_close(struct output_spool *s);

/* Takes a copy of a batch, or counts its records as dropped. */
void output_spool_put(struct output_spool *s, const struct spool_batch *b);
/* A batch that is out can never be sent: its records are dropped. */
void output_spool_refuse(struct output_spool *s, uint64_t seq);
/* Brings the output's counters up to date. */
void output_spool_count(struct output_spool *s);

#endif
