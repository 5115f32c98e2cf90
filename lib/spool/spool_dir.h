/* SPDX-License-Identifier: Apache-2.0 */
/* The directory of a spool: names, lock, list of segments. Nothing in it is followed if it is a link. */
#ifndef L7_SPOOL_DIR_H
#define L7_SPOOL_DIR_H

#include "spool/spool_format.h"

#define SPOOL_NAME 32
#define SPOOL_SEGMENTS_MAX 16384u
#define SPOOL_BAD_MAX 2 /* files that are kept because something in them was damaged */

struct spool_segment {
	uint64_t first_seq;
	uint64_t octets; /* of the file that may be read */
	int64_t last_ms; /* last write: of spool_dir_list() since the epoch, of a running spool by its clock */
	bool damaged;    /* something was found in it */
};

struct spool_segments {
	struct spool_segment *list; /* owned; by first_seq */
	size_t n;
	size_t cap;
	uint64_t octets; /* of all */
};

struct spool_bad {
	uint64_t first_seq[SPOOL_BAD_MAX]; /* oldest first */
	size_t n;
};

void spool_segments_deinit(struct spool_segments *s);
/* Room for one more: 0, -ENOMEM, -E2BIG. */
int spool_segments_reserve(struct spool_segments *s);
/* At the end of the list; -ENOMEM, or -E2BIG if there are too many. */
int spool_segments_add(struct spool_segments *s, const struct spool_segment *segment);
void spool_segments_remove(struct spool_segments *s, size_t i);
/* The one that seq would be in: the last that begins with it or before, NULL if there is none. */
struct spool_segment *spool_segments_find(const struct spool_segments *s, uint64_t seq);

void spool_dir_name(char name[SPOOL_NAME], uint64_t first_seq, const char *suffix);
/*
 * Opens the directory; `make`: makes it with mode 0700 if it is not there. Returns a descriptor or a negative errno.
 */
int spool_dir_open(const char *path, bool make);
/*
 * Takes the lock for as long as the descriptor is open; one of the open file, so that others can ask for it without taking it.
 * Returns the descriptor, -EWOULDBLOCK if another has the lock, or a negative errno.
 */
int spool_dir_lock(int dirfd);
/* Whether somebody has it. */
bool spool_dir_locked(int dirfd);
/* A segment to read; a negative errno. */
int spool_dir_segment(int dirfd, uint64_t first_seq);
/*
 * Lists segments by number, what is quarantined (NULL: not wanted), and with `tidy` removes what was being made when a process ended.
 */
int spool_dir_list(int dirfd, struct spool_segments *s, struct spool_bad *bad, bool tidy);
/* Reads the file pos: 0, -ENOENT, -EBADMSG, or another error of reading. */
int spool_dir_pos(int dirfd, struct spool_pos *pos);

#endif
