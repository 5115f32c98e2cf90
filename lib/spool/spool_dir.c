/* SPDX-License-Identifier: Apache-2.0 */
#include "spool/spool_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- the list ---- */

void spool_segments_deinit(struct spool_segments *s)
{
	free(s->list);
	*s = (struct spool_segments){0};
}

int spool_segments_reserve(struct spool_segments *s)
{
	struct spool_segment *list;
	size_t cap;

	if (s->n == SPOOL_SEGMENTS_MAX)
		return -E2BIG;
	if (s->n < s->cap)
		return 0;
	cap = s->cap ? 2 * s->cap : 16;
	list = reallocarray(s->list, cap, sizeof(*list));
	if (!list)
		return -ENOMEM;
	s->list = list;
	s->cap = cap;
	return 0;
}

int spool_segments_add(struct spool_segments *s, const struct spool_segment *segment)
{
	int rc = spool_segments_reserve(s);

	if (rc)
		return rc;
	s->list[s->n++] = *segment;
	s->octets += segment->octets;
	return 0;
}

void spool_segments_remove(struct spool_segments *s, size_t i)
{
	s->octets -= s->list[i].octets;
	s->n--;
	memmove(s->list + i, s->list + i + 1, (s->n - i) * sizeof(*s->list));
}

struct spool_segment *spool_segments_find(const struct spool_segments *s, uint64_t seq)
{
	size_t from = 0, to = s->n; /* those before `from` begin with seq or before it, those from `to` on after it */

	while (from < to) {
		size_t middle = (from + to) / 2;

		if (s->list[middle].first_seq <= seq)
			from = middle + 1;
		else
			to = middle;
	}
	return from ? &s->list[from - 1] : NULL;
}

/* ---- files ---- */

void spool_dir_name(char name[SPOOL_NAME], uint64_t first_seq, const char *suffix)
{
	snprintf(name, SPOOL_NAME, "%016" PRIx64 "%s", first_seq, suffix);
}

/* The number in a name that is 16 digits and the suffix; 0 for any other. */
static uint64_t dir_number(const char *name, const char *suffix)
{
	uint64_t n = 0;

	for (int i = 0; i < 16; i++, name++) {
		if (*name >= '0' && *name <= '9')
			n = n << 4 | (uint64_t)(*name - '0');
		else if (*name >= 'a' && *name <= 'f')
			n = n << 4 | (uint64_t)(*name - 'a' + 10);
		else
			return 0;
	}
	return strcmp(name, suffix) == 0 && n <= SPOOL_FOUND_MAX ? n : 0;
}

int spool_dir_open(const char *path, bool make)
{
	int fd;

	if (make && mkdir(path, 0700) && errno != EEXIST)
		return -errno;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int spool_dir_lock(int dirfd)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	int fd = openat(dirfd, "LOCK", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600), rc;

	if (fd < 0)
		return -errno;
	while (fcntl(fd, F_OFD_SETLK, &lock)) {
		if (errno == EINTR)
			continue;
		rc = errno == EAGAIN || errno == EACCES ? -EWOULDBLOCK : -errno;
		close(fd);
		return rc;
	}
	return fd;
}

bool spool_dir_locked(int dirfd)
{
	struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET};
	int fd = openat(dirfd, "LOCK", O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	bool locked = fd >= 0 && fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;

	if (fd >= 0)
		close(fd);
	return locked;
}

/*
 * O_NONBLOCK: a pipe that somebody has put there must not hold us; nothing but files is read. O_NOATIME: to note when a file was read
 * would wait for the file system's journal; only the owner may leave it out.
 */
static int dir_file(int dirfd, const char *name)
{
	const int flags = O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK;
	int fd = openat(dirfd, name, flags | O_NOATIME);
	struct stat st;

	if (fd < 0 && errno == EPERM)
		fd = openat(dirfd, name, flags);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		return fd;
	close(fd);
	return -EBADF;
}

int spool_dir_segment(int dirfd, uint64_t first_seq)
{
	char name[SPOOL_NAME];

	spool_dir_name(name, first_seq, ".seg");
	return dir_file(dirfd, name);
}

static int dir_compare(const void *a, const void *b)
{
	uint64_t x = ((const struct spool_segment *)a)->first_seq, y = ((const struct spool_segment *)b)->first_seq;

	return x < y ? -1 : x > y;
}

static int dir_add(int dirfd, const char *name, uint64_t first_seq, struct spool_segments *s)
{
	struct stat st;

	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) || !S_ISREG(st.st_mode))
		return 0;
	return spool_segments_add(s, &(struct spool_segment){.first_seq = first_seq,
							     .octets = (uint64_t)st.st_size,
							     .last_ms = (int64_t)st.st_mtim.tv_sec * 1000});
}

/* Keeps the newest; what is over goes. */
static void dir_add_bad(int dirfd, uint64_t first_seq, struct spool_bad *bad)
{
	char name[SPOOL_NAME];
	uint64_t out = 0;
	size_t i = bad->n;

	if (bad->n == SPOOL_BAD_MAX) {
		out = bad->first_seq[0] < first_seq ? bad->first_seq[0] : first_seq;
		spool_dir_name(name, out, ".bad");
		(void)unlinkat(dirfd, name, 0);
		if (out == first_seq)
			return;
		memmove(bad->first_seq, bad->first_seq + 1, (SPOOL_BAD_MAX - 1) * sizeof(bad->first_seq[0]));
		i = --bad->n;
	}
	for (; i && bad->first_seq[i - 1] > first_seq; i--)
		bad->first_seq[i] = bad->first_seq[i - 1];
	bad->first_seq[i] = first_seq;
	bad->n++;
}

static int dir_entry(int dirfd, const char *name, struct spool_segments *s, struct spool_bad *bad, bool tidy)
{
	uint64_t first_seq = dir_number(name, ".seg");

	if (first_seq)
		return dir_add(dirfd, name, first_seq, s);
	first_seq = dir_number(name, ".bad");
	if (first_seq && bad)
		dir_add_bad(dirfd, first_seq, bad);
	else if (tidy && (dir_number(name, ".tmp") || strcmp(name, ".pos.tmp") == 0))
		(void)unlinkat(dirfd, name, 0);
	return 0;
}

int spool_dir_list(int dirfd, struct spool_segments *s, struct spool_bad *bad, bool tidy)
{
	int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = 0;
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *e;

	if (!dir) {
		rc = -errno;
		if (fd >= 0)
			close(fd);
		return rc;
	}
	*s = (struct spool_segments){0};
	while (!rc && (errno = 0, e = readdir(dir)))
		rc = dir_entry(dirfd, e->d_name, s, bad, tidy);
	if (!rc)
		rc = -errno;
	closedir(dir);
	if (rc)
		spool_segments_deinit(s);
	else if (s->n)
		qsort(s->list, s->n, sizeof(*s->list), dir_compare);
	return rc;
}

int spool_dir_pos(int dirfd, struct spool_pos *pos)
{
	uint8_t octets[SPOOL_POS];
	int fd = dir_file(dirfd, "pos");
	ssize_t n;

	if (fd < 0)
		return fd;
	do
		n = pread(fd, octets, sizeof(octets), 0);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		n = -errno;
	close(fd);
	if (n < 0)
		return (int)n;
	return n == (ssize_t)sizeof(octets) && spool_pos_get(pos, octets) ? 0 : -EBADMSG;
}
