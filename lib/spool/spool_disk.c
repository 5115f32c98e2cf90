/* SPDX-License-Identifier: Apache-2.0 */
#include "spool/spool_disk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "spool/spool_faults.h"

#define DISK_FLAGS (O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC)
#define DISK_RESERVE_MAX                                                                                               \
	(UINT64_C(1) << 30) /* five per cent of a large disk are more than anybody would leave free for us */

static int disk_fdatasync(int fd)
{
	int rc;

	if (spool_fault(SPOOL_FAULT_NO_SYNC))
		return 0;
	do
		rc = fdatasync(fd);
	while (rc && (errno == EINTR || spool_fault(SPOOL_FAULT_RETRY_SYNC)));
	return rc ? -errno : 0;
}

/* Names are durable only when their directory is. */
static int disk_sync_folder(const struct spool_disk *d)
{
	int rc;

	if (d->no_sync || spool_fault(SPOOL_FAULT_NO_SYNC_FOLDER) || spool_fault(SPOOL_FAULT_NO_SYNC))
		return 0;
	do
		rc = fsync(d->dirfd);
	while (rc && errno == EINTR);
	return rc ? -errno : 0;
}

static int disk_cut(int fd, uint64_t at)
{
	int rc;

	do
		rc = ftruncate(fd, (off_t)at);
	while (rc && errno == EINTR);
	return rc ? -errno : 0;
}

int spool_disk_sync_found(const struct spool_disk *d, int fd)
{
	int rc = d->no_sync || spool_fault(SPOOL_FAULT_NO_RECOVERY_SYNC) ? 0 : disk_fdatasync(fd);

	return rc ? rc : disk_sync_folder(d);
}

/* ---- the directory ---- */

static void disk_drop(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

int spool_disk_open(struct spool_disk *d, char *err, size_t err_size)
{
	d->lock = d->fd = -1;
	d->dirfd = spool_dir_open(d->path, true);
	if (d->dirfd < 0) {
		snprintf(err, err_size, "%s: %s", d->path, strerror(-d->dirfd));
		return d->dirfd;
	}
	d->lock = spool_dir_lock(d->dirfd);
	if (d->lock >= 0)
		return 0;
	if (d->lock == -EWOULDBLOCK)
		snprintf(err, err_size, "%s: another process has this spool", d->path);
	else
		snprintf(err, err_size, "%s/LOCK: %s", d->path, strerror(-d->lock));
	disk_drop(&d->dirfd);
	return d->lock;
}

void spool_disk_close(struct spool_disk *d)
{
	disk_drop(&d->fd);
	disk_drop(&d->lock);
	disk_drop(&d->dirfd);
}

static int disk_reopen(struct spool_disk *d)
{
	char err[8];

	spool_disk_close(d);
	d->end = d->durable = 0;
	return spool_disk_open(d, err, sizeof(err));
}

/* Somebody has removed what we write to: the segment, or the lock with all that is there. */
static bool disk_removed(const struct spool_disk *d)
{
	struct stat st;

	return (fstat(d->fd, &st) == 0 && st.st_nlink == 0) || (fstat(d->lock, &st) == 0 && st.st_nlink == 0);
}

static bool disk_low(const struct spool_disk *d)
{
	struct statvfs st;
	uint64_t want;

	if (!d->reserve || fstatvfs(d->dirfd, &st))
		return false;
	want = (uint64_t)st.f_blocks * st.f_frsize / 100 * d->reserve;
	if (want > DISK_RESERVE_MAX)
		want = DISK_RESERVE_MAX;
	return (uint64_t)st.f_bavail * st.f_frsize < want;
}

/* ---- files ---- */

/* All of the pieces, or a negative errno. */
static int disk_write(int fd, const struct iovec *pieces, int n, uint64_t at)
{
	struct iovec v[2];
	struct iovec *left = v;

	memcpy(v, pieces, (size_t)n * sizeof(*v));
	while (n) {
		ssize_t done = pwritev(fd, left, n, (off_t)at);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return -errno;
		if (done == 0)
			return -EIO;
		at += (uint64_t)done;
		while (n && (size_t)done >= left->iov_len) {
			done -= (ssize_t)left->iov_len;
			left++;
			n--;
		}
		if (n) {
			left->iov_base = (uint8_t *)left->iov_base + done;
			left->iov_len -= (size_t)done;
		}
	}
	return 0;
}

/* A file of a few octets under its name, whole or not at all. Returns its descriptor, open for writing, or a negative errno. */
static int disk_place(const struct spool_disk *d, const char *making, const char *name, const void *data, size_t len)
{
	struct iovec v = {.iov_base = (void *)(uintptr_t)data, .iov_len = len};
	int fd = openat(d->dirfd, making, DISK_FLAGS, 0600), rc;

	if (fd < 0)
		return -errno;
	rc = disk_write(fd, &v, 1, 0);
	if (!rc && !d->no_sync)
		rc = disk_fdatasync(fd);
	if (!rc && renameat(d->dirfd, making, d->dirfd, name))
		rc = -errno;
	if (!rc)
		rc = disk_sync_folder(d);
	if (!rc)
		return fd;
	close(fd);
	(void)unlinkat(d->dirfd, making, 0);
	return rc;
}

static void disk_rotate(struct spool_disk *d, struct spool_job *j)
{
	char making[SPOOL_NAME], name[SPOOL_NAME];
	uint8_t header[SPOOL_HEADER];
	int fd;

	if (d->fd >= 0 && j->abandon)
		(void)disk_cut(d->fd, d->durable); /* what is left there is known as doubled by its numbers, too */
	if (d->fd >= 0 && !j->abandon && d->durable < d->end && !d->no_sync && !spool_fault(SPOOL_FAULT_NO_SYNC_OLD)) {
		j->sync_rc = disk_fdatasync(d->fd);
		if (j->sync_rc)
			return;
	}
	if (d->fd >= 0 && !j->abandon && disk_removed(d)) {
		j->rc = -ESTALE;
		return;
	}
	if (!j->abandon)
		d->durable = d->end;
	j->old_synced = true;
	spool_header_put(header, &j->header);
	spool_dir_name(making, j->header.first_seq, ".tmp");
	spool_dir_name(name, j->header.first_seq, ".seg");
	fd = disk_place(d, making, name, header, sizeof(header));
	if (fd < 0) {
		j->rc = fd;
		return;
	}
	disk_drop(&d->fd);
	d->fd = fd;
	d->end = d->durable = SPOOL_HEADER;
	j->rotated = true;
}

static void disk_append(struct spool_disk *d, struct spool_job *j)
{
	j->rc = disk_write(d->fd, j->pieces, j->n_pieces, d->end);
	if (j->rc) {
		(void)disk_cut(d->fd, d->end);
		return;
	}
	d->end += j->octets;
	j->written = true;
}

static void disk_sync(struct spool_disk *d, struct spool_job *j)
{
	j->sync_rc = disk_fdatasync(d->fd);
	if (j->sync_rc)
		return;
	if (disk_removed(d)) {
		j->rc = -ESTALE;
		return;
	}
	d->durable = d->end;
	j->synced = true;
	j->low = disk_low(d);
}

static void disk_write_pos(const struct spool_disk *d, struct spool_job *j)
{
	uint8_t octets[SPOOL_POS];
	int fd;

	spool_pos_put(octets, &j->pos);
	fd = disk_place(d, ".pos.tmp", "pos", octets, sizeof(octets));
	j->pos_rc = fd < 0 ? fd : 0;
	if (fd >= 0)
		close(fd);
}

/* What is not there is removed, too. */
static int disk_remove(const struct spool_disk *d, const struct spool_remove *r)
{
	char name[SPOOL_NAME], bad[SPOOL_NAME];

	spool_dir_name(name, r->first_seq, ".seg");
	spool_dir_name(bad, r->first_seq, ".bad");
	if (r->keep && renameat(d->dirfd, name, d->dirfd, bad) == 0)
		return 0;
	return unlinkat(d->dirfd, name, 0) && errno != ENOENT ? -errno : 0;
}

void spool_disk_run(struct spool_disk *d, struct spool_job *j)
{
	char name[SPOOL_NAME];

	if (j->reopen)
		j->rc = disk_reopen(d);
	if (d->dirfd < 0)
		return;
	if (j->forget) {
		spool_dir_name(name, j->forget, ".bad");
		(void)unlinkat(d->dirfd, name, 0);
	}
	while (j->removed < j->n_remove && disk_remove(d, &j->remove[j->removed]) == 0)
		j->removed++;
	if (!j->rc && j->rotate)
		disk_rotate(d, j);
	if (!j->rc && !j->sync_rc && j->n_pieces)
		disk_append(d, j);
	if (!j->rc && !j->sync_rc && j->sync && d->fd >= 0)
		disk_sync(d, j);
	if (j->write_pos)
		disk_write_pos(d, j);
}
