/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files that outputs write. Reading captures, a file is made anew; live, it is appended to, opened again by the same name
 * once log rotation has moved it away, and written again when a full disk has room.
 */
#ifndef PROBE_OUTPUT_PATH_H
#define PROBE_OUTPUT_PATH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

struct output;

/*
 * Opens the output's file for writing, a pipe without waiting for its reader, and looks at it. Returns a descriptor, or a negative
 * errno with a sentence.
 */
int output_path_open(const struct output *o, struct stat *st, char *err, size_t err_size);

/* The file that has the name now. Returns a descriptor, or -1 to stay with `fd`: it is that, or no other can be had, which is said. */
int output_path_again(const struct output *o, int fd, struct stat *st);

/* Why a write failed. True: the disk is full and that is waited for, as is said; nothing is to be written before *retry_ms. */
bool output_path_full(const struct output *o, int error, uint64_t now_ms, uint64_t *retry_ms);

/* A write went well: *retry_ms is 0 again. */
void output_path_room(const struct output *o, uint64_t *retry_ms);

#endif
