/* SPDX-License-Identifier: Apache-2.0 */
#include "shared.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

static size_t shared_round(size_t n)
{
	return (n + SHARED_PAGE - 1) & ~(size_t)(SHARED_PAGE - 1);
}

static size_t shared_ring_bytes(void)
{
	return shared_round(ring_size(SHARED_RING_SLOTS, L7_RECORD_SLOT));
}

int shared_init(struct shared *s, unsigned n_workers)
{
	size_t exporter = shared_round(sizeof(struct shared_names));
	size_t workers = exporter + shared_round(sizeof(struct shared_exporter));
	size_t rings = workers + shared_round(n_workers * sizeof(struct shared_worker));
	int fd, rc = 0;

	memset(s, 0, sizeof(*s));
	memset(s->events, -1, sizeof(s->events));
	s->n_workers = n_workers;
	s->size = rings + n_workers * shared_ring_bytes();
	fd = memfd_create("l7probe", MFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (ftruncate(fd, (off_t)s->size))
		rc = -errno;
	else
		s->memory = mmap(NULL, s->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (!rc && s->memory == MAP_FAILED)
		rc = -errno;
	close(fd);
	for (unsigned i = 0; !rc && i < n_workers; i++) {
		s->events[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (s->events[i] < 0)
			rc = -errno;
	}
	if (rc) {
		if (s->memory == MAP_FAILED)
			s->memory = NULL;
		shared_deinit(s);
		return rc;
	}
	s->names = s->memory;
	s->exporter = (struct shared_exporter *)((uint8_t *)s->memory + exporter);
	s->workers = (struct shared_worker *)((uint8_t *)s->memory + workers);
	s->rings = (uint8_t *)s->memory + rings;
	return 0;
}

void shared_deinit(struct shared *s)
{
	for (unsigned i = 0; i < s->n_workers; i++)
		if (s->events[i] >= 0)
			close(s->events[i]);
	if (s->memory)
		munmap(s->memory, s->size);
	memset(s, 0, sizeof(*s));
}

static int shared_drop(void *from, const void *to)
{
	size_t n = (size_t)((const uint8_t *)to - (uint8_t *)from);

	return n && munmap(from, n) ? -errno : 0;
}

int shared_keep_worker(struct shared *s, unsigned worker)
{
	uint8_t *ring = s->rings + worker * shared_ring_bytes();
	int rc = shared_drop(s->memory, &s->workers[worker]);

	if (!rc)
		rc = shared_drop(&s->workers[worker + 1], ring);
	if (!rc)
		rc = shared_drop(ring + shared_ring_bytes(), (uint8_t *)s->memory + s->size);
	for (unsigned i = 0; i < s->n_workers; i++)
		if (i != worker)
			close(s->events[i]);
	return rc;
}

int shared_keep_exporter(const struct shared *s)
{
	size_t names = (size_t)((uint8_t *)s->exporter - (uint8_t *)s->memory);
	size_t workers = (size_t)(s->rings - (uint8_t *)s->workers);

	return mprotect(s->memory, names, PROT_READ) || mprotect(s->workers, workers, PROT_READ) ? -errno : 0;
}

void shared_ring(const struct shared *s, unsigned worker, struct ring *r)
{
	ring_init(r, s->rings + worker * shared_ring_bytes(), SHARED_RING_SLOTS, L7_RECORD_SLOT, s->events[worker]);
}
