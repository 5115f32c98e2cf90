/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What files in MaxMind DB format say of the addresses of records: country, city, autonomous system. Which of them a file has is seen
 * from what is in it, not from its name; of several files the first that says something counts.
 *
 * A file is copied into sealed memory when it is opened. So it may be written over, cut or removed as its owner likes, and the
 * exporter, which may not be able to open it, is handed a descriptor.
 */
#ifndef PROBE_GEO_H
#define PROBE_GEO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "l7/record.h"

#define GEO_FILES_MAX 8
#define GEO_SIZE_MAX (UINT64_C(1) << 30) /* octets of a file */
#define GEO_TEXT_MAX 64                  /* octets of a city or an organisation in a record; what is longer is cut */

struct geo;

/* Which file it was that was read, and how it was then. */
struct geo_stamp {
	dev_t device;
	ino_t inode;
	off_t size;
	struct timespec written, changed;
};

/*
 * Reads n files, and looks at some of what is in them. `stamps` (NULL: nobody wants them) gets one of each. Returns 0; -EINVAL with a
 * sentence that names the file, if it is not there, damaged, or has nothing of use; or -ENOMEM. The caller frees *g with geo_free().
 */
int geo_open(struct geo **g, const char *const *files, size_t n, struct geo_stamp *stamps, char *err, size_t err_size);
void geo_free(struct geo *g);

/* Whether the files are still those that were read. */
bool geo_same(const char *const *files, size_t n, const struct geo_stamp *stamps);

/* Adds the fields that there are: a bit per enum l7_field. */
void geo_fields(const struct geo *g, uint64_t fields[2]);

/* Fills in what is known of both ends, of the fields that are wanted, and marks it. The record has none of them yet. */
void geo_fill(struct geo *g, struct l7_record *r, const uint64_t wanted[2]);

/* Hands the files over to the process at the other end of a socket of packets, without waiting. Returns 0 or a negative errno. */
int geo_send(const struct geo *g, int socket);
/* Takes what was sent. Returns 0, -EAGAIN if nothing was, or another negative errno. */
int geo_receive(struct geo **g, int socket);

#endif
