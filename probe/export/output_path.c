/* SPDX-License-Identifier: Apache-2.0 */
#include "export/output_path.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

int output_path_open(const char *path, bool append, struct stat *st)
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

int output_path_again(const char *path, int fd, struct stat *st)
{
	struct stat now;

	if (fstat(fd, st))
		return -errno;
	if (stat(path, &now) == 0 && now.st_dev == st->st_dev && now.st_ino == st->st_ino)
		return -EALREADY;
	return output_path_open(path, true, st);
}

bool output_path_full(int error)
{
	return error == ENOSPC || error == EDQUOT;
}
