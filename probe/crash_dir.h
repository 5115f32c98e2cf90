/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the packets are kept in which workers died: a folder of at most CRASH_DIR_MAX captures of one packet each. The oldest
 * stay, also those of earlier runs; what finds no room is counted.
 */
#ifndef PROBE_CRASH_DIR_H
#define PROBE_CRASH_DIR_H

#include <stddef.h>
#include <stdint.h>

#include "shared.h"

#define CRASH_DIR_MAX 16

struct crash_dir {
	const char *path; /* NULL: nothing is kept */
	int fd;
	uint64_t kept;
	uint64_t dropped; /* for want of room, or because it could not be written */
};

/* path may be NULL and is not copied. Returns 0, or a negative errno with a sentence in err: it must be there. */
int crash_dir_init(struct crash_dir *d, const char *path, char *err, size_t err_size);
void crash_dir_deinit(struct crash_dir *d);
/* Warns once if the process, with the rights that are left to it, cannot write there. */
void crash_dir_check(const struct crash_dir *d);
/* Writes a packet that was being classified, readable by its owner only; says where. p is a dead worker's, not to be trusted. */
void crash_dir_keep(struct crash_dir *d, const struct shared_packet *p);

#endif
