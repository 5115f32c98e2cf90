/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A segment read from its start to its end, whatever is in it: what a running spool, recovery and the commands have in common.
 * Memory is one window, 64 KiB unless a batch is longer; time is in proportion to the file's length.
 */
#ifndef L7_SPOOL_SCAN_H
#define L7_SPOOL_SCAN_H

#include "spool/spool_format.h"

#define SPOOL_SCAN_WINDOW 65536u

enum spool_found {
	SPOOL_FOUND_END,
	SPOOL_FOUND_BATCH,
	SPOOL_FOUND_DAMAGED, /* a batch whose payload is not what was written; its numbers are right */
	SPOOL_FOUND_GARBAGE, /* octets that are no batch, from `place` to the next header or the end */
	SPOOL_FOUND_ERROR,   /* `error`: of a read; -EAGAIN: not in memory yet, to be called again */
};

struct spool_scan {
	int fd;       /* owned; -1 none */
	bool patient; /* may wait for the disk */
	int error;
	struct spool_header header; /* as in the file, or as the name has it */
	int header_error;           /* 0 if it is as in the file */
	uint64_t stop_seq; /* a batch from here on is not this segment's: it has been written again elsewhere */
	uint64_t end;      /* octets that may be read */
	uint64_t at;       /* where the next batch is expected */
	uint64_t searched; /* beyond `at`: no header was found before here; 0 none searched */
	uint64_t place;    /* of what was found last */
	uint64_t next_seq; /* no batch before it is expected any more */
	struct spool_record record; /* found last */
	const uint8_t *payload;     /* likewise; good until the next call */
	uint8_t *window;            /* owned */
	uint64_t window_at;         /* its offset in the file */
	size_t window_len;          /* octets in it */
	size_t window_size;
};

/* Nothing is open; `window` is kept from one segment to the next. */
void spool_scan_init(struct spool_scan *s);
void spool_scan_deinit(struct spool_scan *s);
/*
 * Takes over fd, a segment that is named after first_seq, to be read up to `end`. A header that is damaged costs nothing; one of a
 * later version is -EPROTONOSUPPORT. Others are errors of reading.
 */
int spool_scan_start(struct spool_scan *s, int fd, uint64_t first_seq, uint64_t end);
void spool_scan_stop(struct spool_scan *s);
/* Goes to a place where a batch is known to begin; its number is next_seq. */
void spool_scan_seek(struct spool_scan *s, uint64_t at, uint64_t next_seq);
enum spool_found spool_scan_next(struct spool_scan *s);

#endif
