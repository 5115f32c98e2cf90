/* SPDX-License-Identifier: Apache-2.0 */
#include "spool_rig.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

#include "spool/spool_internal.h"

#define RIG_FILES 4096
#define RIG_FDS 1024
#define RIG_CALLS 65536
#define RIG_SECTOR 512

enum rig_kind { RIG_CREATE, RIG_WRITE, RIG_CUT, RIG_SYNC, RIG_SYNC_FAILED, RIG_FOLDER, RIG_RENAME, RIG_UNLINK };

struct rig_call {
	enum rig_kind kind;
	int file;
	uint64_t at;
	uint8_t *data;
	size_t len;
	char name[SPOOL_NAME], to[SPOOL_NAME];
};

struct rig_name {
	char name[SPOOL_NAME];
	int file;
};

/* The spool's thread calls, too. */
#define RIG_LOCKED __attribute__((cleanup(rig_unlock), unused)) int rig_locked = pthread_mutex_lock(&rig_mutex)

enum spool_fault spool_fault_now;
static pthread_mutex_t rig_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t rig_disk = PTHREAD_MUTEX_INITIALIZER; /* who has it holds up every sync */

static struct {
	char path[64], other[64];
	struct rig_call calls[RIG_CALLS];
	size_t n;
	struct rig_name names[RIG_FILES];
	size_t n_names;
	int files;
	int file_of[RIG_FDS]; /* plus 1 */
	size_t reached, fail_from, fail_to, die_at;
	int error;
	unsigned fail_syncs;
	int not_in_memory, not_made, not_opened, not_removed;
	bool sealed; /* another directory is in use: nothing is written down */
} rig;

static void rig_unlock(const int *locked)
{
	(void)locked;
	pthread_mutex_unlock(&rig_mutex);
}

uint32_t rig_random(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

static void rig_check(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "spool_rig: %s: %s\n", what, strerror(errno));
	abort();
}

/* ---- names ---- */

static struct rig_name *name_find(struct rig_name *names, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(names[i].name, name) == 0)
			return &names[i];
	return NULL;
}

static void name_drop(struct rig_name *names, size_t *n, const char *name)
{
	struct rig_name *at = name_find(names, *n, name);

	if (at)
		*at = names[--*n];
}

static void name_set(struct rig_name *names, size_t *n, const char *name, int file)
{
	name_drop(names, n, name);
	snprintf(names[*n].name, SPOOL_NAME, "%s", name);
	names[(*n)++].file = file;
}

static void name_apply(struct rig_name *names, size_t *n, const struct rig_call *c)
{
	const struct rig_name *from;

	if (c->kind == RIG_CREATE)
		name_set(names, n, c->name, c->file);
	if (c->kind == RIG_UNLINK)
		name_drop(names, n, c->name);
	if (c->kind == RIG_RENAME && (from = name_find(names, *n, c->name))) {
		int file = from->file;

		name_drop(names, n, c->name);
		name_set(names, n, c->to, file);
	}
}

/* ---- calls ---- */

static struct rig_call *call_note(enum rig_kind kind, int file)
{
	struct rig_call *c = &rig.calls[rig.n];

	rig_check(rig.n < RIG_CALLS, "too many calls");
	*c = (struct rig_call){.kind = kind, .file = file};
	rig.n += !rig.sealed;
	return c;
}

/* True if it is to fail; errno is set, or 0 for a write that is to be half done. */
static bool call_fails(void)
{
	rig.reached++;
	if (rig.reached == rig.die_at)
		(void)kill(getpid(), SIGKILL);
	if (rig.reached < rig.fail_from || rig.reached >= rig.fail_to)
		return false;
	errno = rig.error;
	return true;
}

static int call_file(int fd)
{
	return fd >= 0 && fd < RIG_FDS ? rig.file_of[fd] - 1 : -1;
}

int __real_open(const char *path, int flags, mode_t mode);
int __wrap_open(const char *path, int flags, ...);
int __real_openat(int dirfd, const char *path, int flags, mode_t mode);
int __wrap_openat(int dirfd, const char *path, int flags, ...);
int __real_mkdir(const char *path, mode_t mode);
int __wrap_mkdir(const char *path, mode_t mode);
ssize_t __real_pwritev(int fd, const struct iovec *v, int n, off_t at);
ssize_t __wrap_pwritev(int fd, const struct iovec *v, int n, off_t at);
ssize_t __real_preadv2(int fd, const struct iovec *v, int n, off_t at, int flags);
ssize_t __wrap_preadv2(int fd, const struct iovec *v, int n, off_t at, int flags);
ssize_t __real_pread(int fd, void *to, size_t n, off_t at);
ssize_t __wrap_pread(int fd, void *to, size_t n, off_t at);
int __real_ftruncate(int fd, off_t len);
int __wrap_ftruncate(int fd, off_t len);
int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);
int __wrap_fsync(int fd);
int __real_renameat(int from_dir, const char *from, int to_dir, const char *to);
int __wrap_renameat(int from_dir, const char *from, int to_dir, const char *to);
int __real_unlinkat(int dirfd, const char *path, int flags);
int __wrap_unlinkat(int dirfd, const char *path, int flags);

int __wrap_open(const char *path, int flags, ...)
{
	RIG_LOCKED;

	return call_fails() && rig.error ? -1 : __real_open(path, flags, 0);
}

int __wrap_mkdir(const char *path, mode_t mode)
{
	RIG_LOCKED;

	return call_fails() && rig.error ? -1 : __real_mkdir(path, mode);
}

int __wrap_openat(int dirfd, const char *path, int flags, ...)
{
	RIG_LOCKED;
	const struct rig_name *known = name_find(rig.names, rig.n_names, path);
	int fd;

	if (rig.not_made && (flags & O_CREAT) && strstr(path, ".tmp")) {
		errno = rig.not_made;
		return -1;
	}
	if (rig.not_opened && strstr(path, ".seg")) {
		errno = rig.not_opened;
		return -1;
	}
	if (call_fails() && rig.error)
		return -1;
	fd = __real_openat(dirfd, path, flags, 0600);
	if (fd < 0 || fd >= RIG_FDS || rig.sealed)
		return fd;
	rig.file_of[fd] = 0;
	if (!known && (flags & O_CREAT) && strcmp(path, "LOCK")) {
		struct rig_call *c = call_note(RIG_CREATE, rig.files++);

		snprintf(c->name, SPOOL_NAME, "%s", path);
		name_apply(rig.names, &rig.n_names, c);
		known = name_find(rig.names, rig.n_names, path);
	} else if (known && (flags & O_TRUNC)) {
		(void)call_note(RIG_CUT, known->file);
	}
	if (known)
		rig.file_of[fd] = known->file + 1;
	return fd;
}

ssize_t __wrap_pwritev(int fd, const struct iovec *v, int n, off_t at)
{
	RIG_LOCKED;
	struct iovec half = {.iov_base = v[0].iov_base, .iov_len = (v[0].iov_len + 1) / 2};
	struct rig_call *c;
	ssize_t done;

	if (call_fails()) {
		if (rig.error)
			return -1;
		v = &half;
		n = 1;
	}
	done = __real_pwritev(fd, v, n, at);
	if (done <= 0 || rig.sealed)
		return done;
	c = call_note(RIG_WRITE, call_file(fd));
	c->at = (uint64_t)at;
	c->data = malloc((size_t)done);
	rig_check(c->data, "no memory");
	for (int i = 0; i < n && c->len < (size_t)done; i++) {
		memcpy(c->data + c->len, v[i].iov_base, v[i].iov_len);
		c->len += v[i].iov_len;
	}
	return done;
}

ssize_t __wrap_preadv2(int fd, const struct iovec *v, int n, off_t at, int flags)
{
	RIG_LOCKED;

	if ((flags & RWF_NOWAIT) && rig.not_in_memory) {
		errno = rig.not_in_memory;
		return -1;
	}
	return call_fails() && rig.error ? -1 : __real_preadv2(fd, v, n, at, flags);
}

ssize_t __wrap_pread(int fd, void *to, size_t n, off_t at)
{
	RIG_LOCKED;

	return call_fails() && rig.error ? -1 : __real_pread(fd, to, n, at);
}

int __wrap_ftruncate(int fd, off_t len)
{
	RIG_LOCKED;
	int rc = call_fails() && rig.error ? -1 : __real_ftruncate(fd, len);

	if (rc == 0 && !rig.sealed)
		call_note(RIG_CUT, call_file(fd))->at = (uint64_t)len;
	return rc;
}

/* It need not be done: what would be on a disk is decided by what is written down. */
static int rig_sync(int fd)
{
	RIG_LOCKED;
	bool fails = call_fails() && rig.error;

	if (rig.fail_syncs) {
		rig.fail_syncs--;
		fails = true;
		errno = EIO;
	}
	if (!rig.sealed && !(fails && errno == EINTR))
		(void)call_note(fails ? RIG_SYNC_FAILED : RIG_SYNC, call_file(fd));
	return fails ? -1 : 0;
}

int __wrap_fdatasync(int fd)
{
	pthread_mutex_lock(&rig_disk);
	pthread_mutex_unlock(&rig_disk);
	return rig_sync(fd);
}

int __wrap_fsync(int fd)
{
	RIG_LOCKED;

	(void)fd;
	if (call_fails() && rig.error)
		return -1;
	if (!rig.sealed)
		(void)call_note(RIG_FOLDER, -1);
	return 0;
}

int __wrap_renameat(int from_dir, const char *from, int to_dir, const char *to)
{
	RIG_LOCKED;
	int rc = call_fails() && rig.error ? -1 : __real_renameat(from_dir, from, to_dir, to);
	struct rig_call *c;

	if (rc || rig.sealed)
		return rc;
	c = call_note(RIG_RENAME, -1);
	snprintf(c->name, SPOOL_NAME, "%s", from);
	snprintf(c->to, SPOOL_NAME, "%s", to);
	name_apply(rig.names, &rig.n_names, c);
	return 0;
}

int __wrap_unlinkat(int dirfd, const char *path, int flags)
{
	RIG_LOCKED;
	int rc = call_fails() && rig.error ? -1 : rig.not_removed ? -1 : __real_unlinkat(dirfd, path, flags);
	struct rig_call *c;

	if (rig.not_removed)
		errno = rig.not_removed;
	if (rc || rig.sealed)
		return rc;
	c = call_note(RIG_UNLINK, -1);
	snprintf(c->name, SPOOL_NAME, "%s", path);
	name_apply(rig.names, &rig.n_names, c);
	return 0;
}

void rig_hold_disk(bool hold)
{
	if (hold)
		pthread_mutex_lock(&rig_disk);
	else
		pthread_mutex_unlock(&rig_disk);
}

void rig_not_in_memory(int error)
{
	rig.not_in_memory = error;
}

void rig_not_opened(int error)
{
	rig.not_opened = error;
}

void rig_not_removed(int error)
{
	rig.not_removed = error;
}

void rig_not_made(int error)
{
	rig.not_made = error;
}

size_t rig_calls(void)
{
	return rig.n;
}

size_t rig_reached(void)
{
	return rig.reached;
}

void rig_fail(size_t n, size_t times, int error)
{
	rig.fail_from = n ? rig.reached + n : 0;
	rig.fail_to = rig.fail_from + times;
	rig.error = error;
}

void rig_die(size_t n)
{
	rig.die_at = n ? rig.reached + n : 0;
}

void rig_fail_syncs(unsigned n)
{
	rig.fail_syncs = n;
}

/* ---- directories ---- */

void rig_empty(const char *folder)
{
	DIR *dir = opendir(folder);
	const struct dirent *e;

	while (dir && (e = readdir(dir)))
		if (e->d_name[0] != '.' || e->d_name[1] == 'p')
			(void)__real_unlinkat(dirfd(dir), e->d_name, 0);
	if (dir)
		closedir(dir);
}

static void disk_make(char *path, size_t size)
{
	bool shm = access("/dev/shm", W_OK) == 0;

	if (*path) {
		rig_empty(path);
		return;
	}
	snprintf(path, size, "%s/l7spool-XXXXXX", shm ? "/dev/shm" : "/tmp");
	rig_check(mkdtemp(path), "no directory");
}

const char *rig_disk_new(void)
{
	disk_make(rig.path, sizeof(rig.path));
	for (size_t i = 0; i < rig.n; i++)
		free(rig.calls[i].data);
	rig.n = rig.n_names = rig.reached = rig.fail_from = rig.fail_to = rig.die_at = 0;
	rig.files = 0;
	rig.fail_syncs = 0;
	rig.sealed = false;
	memset(rig.file_of, 0, sizeof(rig.file_of));
	return rig.path;
}

void rig_disk_free(void)
{
	(void)rig_disk_new();
	(void)rmdir(rig.path);
	if (*rig.other) {
		rig_empty(rig.other);
		(void)rmdir(rig.other);
	}
	*rig.path = *rig.other = '\0';
}

void rig_flip(const char *folder, const char *file, uint64_t at)
{
	char path[160];
	uint8_t octet;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", folder, file);
	fd = __real_open(path, O_RDWR | O_CLOEXEC, 0);
	rig_check(fd >= 0 && __real_pread(fd, &octet, 1, (off_t)at) == 1, path);
	octet ^= (uint8_t)(1 << (at % 8));
	rig_check(pwrite(fd, &octet, 1, (off_t)at) == 1, path);
	close(fd);
}

uint64_t rig_size(const char *folder, const char *file)
{
	char path[160];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s", folder, file);
	return stat(path, &st) ? 0 : (uint64_t)st.st_size;
}

/* ---- after a death ---- */

struct rig_content {
	uint8_t *data;
	size_t len, cap;
};

static void content_write(struct rig_content *c, uint64_t at, const uint8_t *data, size_t len)
{
	if (len && at + len > c->cap) {
		c->cap = (size_t)(at + len) * 2;
		c->data = realloc(c->data, c->cap);
		rig_check(c->data, "no memory");
	}
	if (!len)
		return;
	if (at > c->len)
		memset(c->data + c->len, 0, (size_t)at - c->len);
	if (data)
		memcpy(c->data + at, data, len);
	else
		memset(c->data + at, 0, len);
	if (at + len > c->len)
		c->len = (size_t)(at + len);
}

static void content_cut(struct rig_content *c, uint64_t at)
{
	if (at < c->len)
		c->len = (size_t)at;
	else if (at > c->len)
		content_write(c, c->len, NULL, (size_t)at - c->len);
}

static void content_apply(struct rig_content *c, const struct rig_call *call)
{
	if (call->kind == RIG_WRITE)
		content_write(c, call->at, call->data, call->len);
	if (call->kind == RIG_CUT)
		content_cut(c, call->at);
}

/* A write that nobody has waited for. */
static void content_apply_some(struct rig_content *c, const struct rig_call *call, uint32_t *seed)
{
	size_t part;

	if (call->kind == RIG_CUT && rig_random(seed) % 2)
		content_cut(c, call->at);
	if (call->kind != RIG_WRITE)
		return;
	switch (rig_random(seed) % 5) {
	case 0: /* none of it */
		break;
	case 1:
		content_write(c, call->at, NULL, call->len);
		break;
	case 2: /* to the end of a sector */
		part = ((size_t)call->at + rig_random(seed) % (call->len + 1)) / RIG_SECTOR * RIG_SECTOR;
		part = part > call->at ? part - (size_t)call->at : 0;
		content_write(c, call->at, call->data, part < call->len ? part : call->len);
		break;
	case 3: /* the length is known, and its start is not there */
		part = rig_random(seed) % (call->len + 1);
		content_write(c, call->at, NULL, part);
		content_write(c, call->at + part, call->data + part, call->len - part);
		break;
	default:
		content_apply(c, call);
	}
}

/* Last sync of a file before call k, as an index behind it. */
static size_t content_synced(int file, size_t k)
{
	for (size_t i = k; i > 0; i--)
		if (rig.calls[i - 1].kind == RIG_SYNC && rig.calls[i - 1].file == file)
			return i;
	return 0;
}

/* A failed sync came after this write and before the next good one: nobody will write it again. */
static bool content_given_up(int file, size_t i, size_t k)
{
	for (; i < k && !(rig.calls[i].file == file && rig.calls[i].kind == RIG_SYNC); i++)
		if (rig.calls[i].file == file && rig.calls[i].kind == RIG_SYNC_FAILED)
			return true;
	return false;
}

static void other_file(const char *name, const struct rig_content *c)
{
	char path[160];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", rig.other, name);
	fd = __real_open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		fd = __real_openat(AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	rig_check(fd >= 0 && (c->len == 0 || pwrite(fd, c->data, c->len, 0) == (ssize_t)c->len), path);
	close(fd);
	(void)chmod(path, 0600);
}

const char *rig_after_kill(size_t k)
{
	static struct rig_name names[RIG_FILES];
	size_t n = 0;

	disk_make(rig.other, sizeof(rig.other));
	rig.sealed = true;
	for (size_t i = 0; i < k; i++)
		name_apply(names, &n, &rig.calls[i]);
	for (size_t f = 0; f < n; f++) {
		struct rig_content c = {0};

		for (size_t i = 0; i < k; i++)
			if (rig.calls[i].file == names[f].file)
				content_apply(&c, &rig.calls[i]);
		if (k < rig.n && rig.calls[k].kind == RIG_WRITE && rig.calls[k].file == names[f].file)
			content_write(&c, rig.calls[k].at, rig.calls[k].data, rig.calls[k].len / 2);
		other_file(names[f].name, &c);
		free(c.data);
	}
	return rig.other;
}

static size_t names_after_power_loss(struct rig_name *names, size_t k, uint32_t *seed)
{
	bool in_order = rig_random(seed) % 2;
	size_t n = 0, from = 0, to;

	for (size_t i = k; i > 0 && !from; i--)
		if (rig.calls[i - 1].kind == RIG_FOLDER)
			from = i;
	for (size_t i = 0; i < from; i++)
		name_apply(names, &n, &rig.calls[i]);
	to = in_order ? from + rig_random(seed) % (k - from + 1) : k;
	for (size_t i = from; i < to; i++)
		if (in_order || rig_random(seed) % 2)
			name_apply(names, &n, &rig.calls[i]);
	return n;
}

const char *rig_after_power_loss(size_t k, uint32_t seed)
{
	static struct rig_name names[RIG_FILES];
	size_t n;

	seed = (seed + 1) * 2654435761u | 1;
	n = names_after_power_loss(names, k, &seed);
	disk_make(rig.other, sizeof(rig.other));
	rig.sealed = true;
	for (size_t f = 0; f < n; f++) {
		size_t durable = content_synced(names[f].file, k);
		struct rig_content c = {0};

		for (size_t i = 0; i < durable; i++)
			if (rig.calls[i].file == names[f].file && !content_given_up(names[f].file, i, durable))
				content_apply(&c, &rig.calls[i]);
		for (size_t i = durable; i < k; i++)
			if (rig.calls[i].file == names[f].file)
				content_apply_some(&c, &rig.calls[i], &seed);
		other_file(names[f].name, &c);
		free(c.data);
	}
	return rig.other;
}

/* ---- batches ---- */

static uint8_t batch_octet(uint32_t seed, uint32_t i)
{
	return (uint8_t)((seed * 31 + i) * 2654435761u >> 24);
}

int rig_put(struct spool *s, struct rig_batch *batches, uint32_t seed, size_t len, uint64_t *seq)
{
	static uint8_t octets[SPOOL_LEN_MAX + 8];
	struct rig_batch r = {.seed = seed, .len = (uint32_t)len, .own = seed % 7, .records = seed % 5};
	struct spool_batch b = {
		.own = octets, .own_len = r.own, .data = octets + r.own, .len = len, .records = r.records};
	int rc;

	for (uint32_t i = 0; i < r.own + r.len; i++)
		octets[i] = batch_octet(seed, i);
	rc = spool_put(s, &b, seq);
	if (!rc && batches) {
		rig_check(*seq < RIG_BATCHES, "too many batches");
		batches[*seq] = r;
	}
	return rc;
}

bool rig_same(const struct spool_batch *b, const struct rig_batch *batches)
{
	const struct rig_batch *r = &batches[b->seq];
	const uint8_t *own = b->own, *data = b->data;
	uint32_t i = 0;

	if (b->seq >= RIG_BATCHES || b->len != r->len || b->own_len != r->own || b->records != r->records)
		return false;
	while (i < r->own && own[i] == batch_octet(r->seed, i))
		i++;
	while (i >= r->own && i < r->own + r->len && data[i - r->own] == batch_octet(r->seed, i))
		i++;
	return i == r->own + r->len;
}

void rig_config(struct spool_config *c, const char *path)
{
	spool_config_init(c, path, "spool");
	c->no_thread = true;
	c->reserve = 0;
	c->segment_octets = 65536;
}

void rig_kill(struct spool *s)
{
	spool_free(s);
}
