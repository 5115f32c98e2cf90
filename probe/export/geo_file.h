/* SPDX-License-Identifier: Apache-2.0 */
/* A file of geo.h: copied into sealed memory, mapped, and handed from process to process. */
#ifndef PROBE_GEO_FILE_H
#define PROBE_GEO_FILE_H

#include <maxminddb.h>

#include "export/geo.h"

enum geo_kind { GEO_COUNTRY, GEO_CITY, GEO_AS, GEO_AS_NAME, GEO_KINDS };

struct geo_file {
	int fd; /* the memory */
	bool mapped;
	MMDB_s db;
	uint8_t paths[GEO_KINDS]; /* 1 + in geo.c's table, where it has that; 0: it has none */
};

/* Fills f->fd, and the stamp if there is one. Returns 0, or -EINVAL and what is wrong, or -ENOMEM; geo_file_close() is right after all. */
int geo_file_copy(struct geo_file *f, const char *path, struct geo_stamp *stamp, const char **wrong);
/* Opens f->fd as a database. Returns 0, or -EINVAL and what is wrong, or -ENOMEM. */
int geo_file_map(struct geo_file *f, const char **wrong);
void geo_file_close(struct geo_file *f);
/* Whether the file at a path is the one with that stamp, untouched since. */
bool geo_file_same(const char *path, const struct geo_stamp *stamp);

/* n descriptors, without waiting. Returns 0 or a negative errno. */
int geo_file_send(const int *fds, size_t n, int socket);
/* Descriptors that were sent together, at most max. Returns how many, or a negative errno. */
int geo_file_receive(int *fds, size_t max, int socket);

#endif
