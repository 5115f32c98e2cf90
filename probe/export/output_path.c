/* SPDX-License-Identifier: Apache-2.0 */
#include "export/output_path.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "export/output.h"

#define PATH_RETRY_MS 1000

static int path_open(const char *path, bool append, struct stat *st)
{
	/* O_APPEND in any case: who truncates a file under us finds no hole in it. */
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | (append ? 0 : O_TRUNC) | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
		      0640);
	int error;

	if (fd < 0)
		return -errno;
	if (fstat(fd, st) == 0)
		return fd;
	error = errno;
	close(fd);
	return -error;
}

int output_path_open(const struct output *o, struct stat *st, char *err, size_t err_size)
{
	int fd = path_open(o->uri->path, !o->config->lossless, st);

	if (fd < 0)
		snprintf(err, err_size, "%s: %s", o->name, fd == -ENXIO ? "nobody reads from it" : strerror(-fd));
	return fd;
}

int output_path_again(const struct output *o, int fd, struct stat *st)
{
	struct stat now;
	int again;

	if (fstat(fd, st) == 0 && stat(o->uri->path, &now) == 0 && now.st_dev == st->st_dev && now.st_ino == st->st_ino)
		return -1;
	again = path_open(o->uri->path, true, st);
	if (again >= 0)
		return again;
	log_error("%s: cannot be opened again, the old file stays: %s", o->name, strerror(-again));
	return -1;
}

bool output_path_full(const struct output *o, int error, uint64_t now_ms, uint64_t *retry_ms)
{
	if (o->config->lossless || (error != ENOSPC && error != EDQUOT))
		return false;
	if (!*retry_ms)
		log_error("%s: %s; trying on", o->name, strerror(error));
	*retry_ms = now_ms + PATH_RETRY_MS;
	return true;
}

void output_path_room(const struct output *o, uint64_t *retry_ms)
{
	if (*retry_ms)
		log_info("%s: written again", o->name);
	*retry_ms = 0;
}
