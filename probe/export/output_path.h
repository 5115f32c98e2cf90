/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files that outputs write. Reading captures, a file is made anew; live, it is appended to, opened again by the same name
 * once log rotation has moved it away, and written again when a full disk has room.
 */
#ifndef PROBE_OUTPUT_PATH_H
#define PROBE_OUTPUT_PATH_H

#include <stdbool.h>
#include <sys/stat.h>

#define OUTPUT_PATH_RETRY_MS 1000

/*
 * Opens it for writing, a pipe without waiting for its reader, and looks at it. Returns a descriptor or a negative errno: -ENXIO is a
 * pipe that nobody reads.
 */
int output_path_open(const char *path, bool append, struct stat *st);

/* The file that has this name now. Returns a descriptor, -EALREADY if that is what `fd` is, or another negative errno. */
int output_path_again(const char *path, int fd, struct stat *st);

/* True if to write the same later may go well. */
bool output_path_full(int error);

#endif
