/* SPDX-License-Identifier: Apache-2.0 */
#include "export/geo_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static struct geo_stamp geo_file_stamp(const struct stat *s)
{
	return (struct geo_stamp){.device = s->st_dev,
				  .inode = s->st_ino,
				  .size = s->st_size,
				  .written = s->st_mtim,
				  .changed = s->st_ctim};
}

static bool geo_file_equal(const struct geo_stamp *a, const struct geo_stamp *b)
{
	return a->device == b->device && a->inode == b->inode && a->size == b->size &&
	       a->written.tv_sec == b->written.tv_sec && a->written.tv_nsec == b->written.tv_nsec &&
	       a->changed.tv_sec == b->changed.tv_sec && a->changed.tv_nsec == b->changed.tv_nsec;
}

bool geo_file_same(const char *path, const struct geo_stamp *stamp)
{
	struct geo_stamp now;
	struct stat s;

	if (stat(path, &s))
		return false;
	now = geo_file_stamp(&s);
	return geo_file_equal(&now, stamp);
}

static int geo_file_wrong(const char **wrong, const char *what)
{
	*wrong = what;
	return -EINVAL;
}

/* All octets of one into the other. */
static int geo_file_pour(int to, int from, size_t size, const char **wrong)
{
	while (size) {
		ssize_t n = sendfile(to, from, NULL, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == ENOMEM || errno == ENOSPC))
			return -ENOMEM;
		if (n <= 0)
			return geo_file_wrong(wrong, n ? strerror(errno) : "it has become shorter while it was read");
		size -= (size_t)n;
	}
	return 0;
}

/* The memory of an open file. What is being written to is not taken: half of it may be old. */
static int geo_file_take(struct geo_file *f, int from, struct geo_stamp *stamp, const char **wrong)
{
	struct geo_stamp before, after;
	struct stat s;
	int rc;

	if (fstat(from, &s))
		return geo_file_wrong(wrong, strerror(errno));
	if (!S_ISREG(s.st_mode))
		return geo_file_wrong(wrong, "it is no file");
	if (s.st_size == 0)
		return geo_file_wrong(wrong, "it is empty");
	if ((uint64_t)s.st_size > GEO_SIZE_MAX)
		return geo_file_wrong(wrong, "it is longer than 1 GiB");
	before = geo_file_stamp(&s);
	f->fd = memfd_create("l7probe-geoip", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (f->fd < 0)
		return -ENOMEM;
	rc = geo_file_pour(f->fd, from, (size_t)s.st_size, wrong);
	if (rc)
		return rc;
	if (fstat(from, &s))
		return geo_file_wrong(wrong, strerror(errno));
	after = geo_file_stamp(&s);
	if (!geo_file_equal(&before, &after))
		return geo_file_wrong(wrong, "it was changed while it was read");
	if (stamp)
		*stamp = after;
	return fcntl(f->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) ? -ENOMEM : 0;
}

int geo_file_copy(struct geo_file *f, const char *path, struct geo_stamp *stamp, const char **wrong)
{
	int from =
		open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY); /* it may be a pipe that nobody writes to */
	int rc;

	*f = (struct geo_file){.fd = -1};
	if (from < 0)
		return geo_file_wrong(wrong, strerror(errno));
	rc = geo_file_take(f, from, stamp, wrong);
	close(from);
	return rc;
}

int geo_file_map(struct geo_file *f, const char **wrong)
{
	char path[32];
	int rc;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", f->fd); /* libmaxminddb opens files by name only */
	rc = MMDB_open(path, MMDB_MODE_MMAP, &f->db);
	f->mapped = rc == MMDB_SUCCESS;
	if (rc == MMDB_OUT_OF_MEMORY_ERROR)
		return -ENOMEM;
	if (rc == MMDB_FILE_OPEN_ERROR)
		return geo_file_wrong(wrong, "it cannot be read by /proc, which is not there");
	if (rc == MMDB_INVALID_METADATA_ERROR)
		return geo_file_wrong(wrong, "it is no MaxMind DB file, or not all of one");
	if (rc == MMDB_UNKNOWN_DATABASE_FORMAT_ERROR)
		return geo_file_wrong(wrong, "it is of another version of the format");
	return rc ? geo_file_wrong(wrong, "it is damaged") : 0;
}

void geo_file_close(struct geo_file *f)
{
	if (f->mapped)
		MMDB_close(&f->db);
	if (f->fd >= 0)
		close(f->fd);
	*f = (struct geo_file){.fd = -1};
}

/* Room for the descriptors, aligned as the kernel wants it. */
union geo_file_control {
	struct cmsghdr header;
	char room[CMSG_SPACE(GEO_FILES_MAX * sizeof(int))];
};

int geo_file_send(const int *fds, size_t n, int socket)
{
	union geo_file_control control = {.room = {0}};
	char octet = 0;
	struct iovec data = {&octet, 1};
	struct msghdr m = {.msg_iov = &data,
			   .msg_iovlen = 1,
			   .msg_control = control.room,
			   .msg_controllen = CMSG_SPACE(n * sizeof(int))};
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(n * sizeof(int));
	memcpy(CMSG_DATA(c), fds, n * sizeof(int));
	return sendmsg(socket, &m, MSG_DONTWAIT | MSG_NOSIGNAL) == 1 ? 0 : -errno;
}

int geo_file_receive(int *fds, size_t max, int socket)
{
	union geo_file_control control;
	char octet;
	struct iovec data = {&octet, 1};
	struct msghdr m = {
		.msg_iov = &data, .msg_iovlen = 1, .msg_control = control.room, .msg_controllen = sizeof(control.room)};
	struct cmsghdr *c;
	ssize_t got;
	size_t n;

	do
		got = recvmsg(socket, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return -errno;
	c = CMSG_FIRSTHDR(&m);
	if (got == 0 || !c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
		return -EPIPE;
	n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	memcpy(fds, CMSG_DATA(c), (n < max ? n : max) * sizeof(int));
	return (int)(n < max ? n : max);
}
