/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What takes time: writing, syncing, making and removing files. One job at a time does some of it, in a thread of its own, so that
 * a disk that takes seconds holds nobody up; the spool hands a job over and looks for the answer later.
 *
 * While a job is out, it and the disk are the thread's, and the octets of its run must stay as they are. Else all is the spool's.
 */
#ifndef L7_SPOOL_DISK_H
#define L7_SPOOL_DISK_H

#include <sys/uio.h>

#include "spool/spool_dir.h"

#define SPOOL_REMOVE 16 /* files removed by one job */

struct spool_remove {
	uint64_t first_seq;
	bool keep; /* as .bad */
};

struct spool_job {
	/* Asked for, and done in this order; what is written is not if something of it has failed. */
	bool reopen; /* the directory is gone or another */
	struct spool_remove remove[SPOOL_REMOVE];
	size_t n_remove;
	uint64_t forget; /* a .bad to be removed, 0 none */
	bool rotate;     /* sync what is open, then begin a segment with this header */
	bool abandon;    /* rotate: what is open is cut to its last durable octet and not synced again */
	struct spool_header header;
	struct iovec pieces[2]; /* to be appended */
	int n_pieces;
	size_t octets;
	bool sync;
	bool write_pos;
	struct spool_pos pos;
	/* Answered. */
	int rc;      /* of reopening, rotating, writing */
	int sync_rc; /* of a sync of segments: what it should have made durable may be gone from memory too */
	int pos_rc;
	bool rotated;
	bool old_synced; /* what was open is durable to its end */
	bool written;
	bool synced;
	bool low;       /* the file system has less free than should be left */
	size_t removed; /* of remove[], from the start */
};

struct spool_disk {
	const char *path;
	int dirfd;
	int lock;
	int fd;           /* of the segment that is written, -1 none */
	uint64_t end;     /* its octets */
	uint64_t durable; /* of them */
	bool no_sync;
	unsigned reserve; /* per cent of the file system to be left free */
};

/* Makes and locks the directory. A sentence in err. */
int spool_disk_open(struct spool_disk *d, char *err, size_t err_size);
void spool_disk_close(struct spool_disk *d);
void spool_disk_run(struct spool_disk *d, struct spool_job *j);
/* Both for recovery, where nobody waits yet: makes what was found durable. */
int spool_disk_sync_found(const struct spool_disk *d, int fd);

#endif
