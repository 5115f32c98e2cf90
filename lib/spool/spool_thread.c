/* SPDX-License-Identifier: Apache-2.0 */
#include "spool/spool_thread.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { THREAD_IDLE, THREAD_WORKS, THREAD_DONE, THREAD_ENDS };

/* `state` hands `job` and the disk to and fro: stored with release by who gives them away. */
struct spool_thread {
	_Atomic int state;
	struct spool_job *job;
	struct spool_disk *disk;
	int give; /* wakes the thread */
	int done; /* wakes the owner */
	pthread_t id;
};

static void thread_signal(int fd)
{
	static const uint64_t one = 1;

	while (write(fd, &one, sizeof(one)) < 0 && errno == EINTR)
		; /* no other error can be: the counter is 0 or 1 */
}

static void *thread_run(void *arg)
{
	struct spool_thread *t = arg;
	uint64_t n;
	int state;

	while ((state = atomic_load_explicit(&t->state, memory_order_acquire)) != THREAD_ENDS) {
		if (state != THREAD_WORKS) {
			if (read(t->give, &n, sizeof(n)) < 0 && errno != EINTR)
				break;
			continue;
		}
		spool_disk_run(t->disk, t->job);
		atomic_store_explicit(&t->state, THREAD_DONE, memory_order_release);
		thread_signal(t->done);
	}
	return NULL;
}

/* Signals are for the thread that waits for them. */
static int thread_start(struct spool_thread *t)
{
	sigset_t all, before;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&t->id, NULL, thread_run, t);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return rc;
}

struct spool_thread *spool_thread_new(struct spool_disk *d)
{
	struct spool_thread *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->disk = d;
	t->give = eventfd(0, EFD_CLOEXEC);
	t->done = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (t->give >= 0 && t->done >= 0 && thread_start(t) == 0)
		return t;
	if (t->give >= 0)
		close(t->give);
	if (t->done >= 0)
		close(t->done);
	free(t);
	return NULL;
}

void spool_thread_free(struct spool_thread *t)
{
	if (!t)
		return;
	atomic_store_explicit(&t->state, THREAD_ENDS, memory_order_release);
	thread_signal(t->give);
	pthread_join(t->id, NULL);
	close(t->give);
	close(t->done);
	free(t);
}

void spool_thread_give(struct spool_thread *t, struct spool_job *j)
{
	t->job = j;
	atomic_store_explicit(&t->state, THREAD_WORKS, memory_order_release);
	thread_signal(t->give);
}

/* The signal may come after the state: what is left of one must not keep the owner awake while the next job is out. */
bool spool_thread_take(struct spool_thread *t)
{
	uint64_t n;

	if (read(t->done, &n, sizeof(n)) < 0 && errno != EAGAIN && errno != EINTR)
		return false;
	if (atomic_load_explicit(&t->state, memory_order_acquire) != THREAD_DONE)
		return false;
	atomic_store_explicit(&t->state, THREAD_IDLE, memory_order_relaxed);
	return true;
}

void spool_thread_wait(const struct spool_thread *t)
{
	struct pollfd p = {.fd = t->done, .events = POLLIN};

	while (poll(&p, 1, -1) < 0 && errno == EINTR)
		;
}

int spool_thread_fd(const struct spool_thread *t)
{
	return t->done;
}
