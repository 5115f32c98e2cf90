/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Allocations that fail on demand: linked with --wrap into the sanitizer build, so that what our own objects ask for passes
 * here and what libraries ask for does not. Without L7_ALLOC_PLAN in the environment nothing fails.
 *
 * The plan is a file that all processes of a run map (tests/lib/allocs.py makes and reads it). Processes are counted in the
 * order of their forks, allocations in each from 1; one of one process fails.
 */
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <netdb.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define ALLOC_PROCESSES 8
#define ALLOC_CALLS 16384
#define ALLOC_FRAMES 24
#define ALLOC_NEAR 7 /* of our own that tell one path from another; what is further out has much the same way back */

struct alloc_plan {
	uint32_t process;        /* of the one that fails */
	uint32_t call;           /* from 1; 0: none */
	_Atomic uint32_t failed; /* whether it was reached */
	_Atomic uint32_t processes;
	_Atomic uint32_t calls[ALLOC_PROCESSES];
	uint64_t paths[ALLOC_PROCESSES][ALLOC_CALLS];  /* hash of the nearest calls that led there */
	uint64_t places[ALLOC_PROCESSES][ALLOC_CALLS]; /* offset of the call in the program */
};

extern const char __executable_start, etext; /* of the linker */

static struct alloc_plan *alloc_plan;
static uint32_t alloc_process;

void *__real_mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset);
int __real_fork(void);

__attribute__((constructor)) static void alloc_start(void)
{
	const char *path = getenv("L7_ALLOC_PLAN");
	int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
	void *p = MAP_FAILED;

	if (fd >= 0) {
		p = __real_mmap(NULL, sizeof(*alloc_plan), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		close(fd);
	}
	if (path && p == MAP_FAILED) {
		fprintf(stderr, "%s: the plan of allocations cannot be mapped\n", path);
		_exit(99);
	}
	if (path) {
		alloc_plan = p;
		alloc_process = alloc_plan->processes++;
	}
}

/* Notes who asks: of our own frames those after this one, alloc_fails() and the wrapper. */
__attribute__((noinline)) static void alloc_note(struct alloc_plan *p, uint32_t call)
{
	void *frames[ALLOC_FRAMES];
	int n = backtrace(frames, ALLOC_FRAMES), own = 0;
	uint64_t hash = 14695981039346656037u;

	for (int i = 0; i < n; i++) {
		uintptr_t at = (uintptr_t)frames[i];

		if (at < (uintptr_t)&__executable_start || at >= (uintptr_t)&etext || ++own <= 3)
			continue;
		if (own > 3 + ALLOC_NEAR)
			break;
		at -= (uintptr_t)&__executable_start;
		if (own == 4)
			p->places[alloc_process][call - 1] = at;
		hash = (hash ^ at) * 1099511628211u;
	}
	p->paths[alloc_process][call - 1] = hash;
}

/* True if this one is to fail; errno is set. */
__attribute__((noinline)) static int alloc_fails(void)
{
	struct alloc_plan *p = alloc_plan;
	uint32_t call;

	if (!p || alloc_process >= ALLOC_PROCESSES)
		return 0;
	call = ++p->calls[alloc_process];
	if (!p->call && call <= ALLOC_CALLS)
		alloc_note(p, call);
	if (p->process != alloc_process || p->call != call)
		return 0;
	p->failed = 1;
	errno = ENOMEM;
	return 1;
}

/* WRAP(type, name, result of failure, parameters, arguments) */
#define WRAP(type, name, failure, parameters, arguments)                                                               \
	type __real_##name parameters;                                                                                 \
	type __wrap_##name parameters;                                                                                 \
	type __wrap_##name parameters                                                                                  \
	{                                                                                                              \
		return alloc_fails() ? (failure) : __real_##name arguments;                                            \
	}

WRAP(void *, malloc, NULL, (size_t size), (size))
WRAP(void *, calloc, NULL, (size_t n, size_t size), (n, size))
WRAP(void *, realloc, NULL, (void *p, size_t size), (p, size))
WRAP(void *, reallocarray, NULL, (void *p, size_t n, size_t size), (p, n, size))
WRAP(char *, strdup, NULL, (const char *s), (s))
WRAP(char *, strndup, NULL, (const char *s, size_t n), (s, n))
WRAP(FILE *, fopen, NULL, (const char *path, const char *mode), (path, mode))
WRAP(void *, mmap, MAP_FAILED, (void *at, size_t size, int protection, int flags, int fd, off_t offset),
     (at, size, protection, flags, fd, offset))
WRAP(int, memfd_create, -1, (const char *name, unsigned flags), (name, flags))
WRAP(int, pipe, -1, (int fds[2]), (fds))
WRAP(int, eventfd, -1, (unsigned n, int flags), (n, flags))
WRAP(int, signalfd, -1, (int fd, const sigset_t *mask, int flags), (fd, mask, flags))
WRAP(int, epoll_create1, -1, (int flags), (flags))
WRAP(int, epoll_ctl, -1, (int fd, int what, int other, struct epoll_event *event), (fd, what, other, event))
WRAP(int, socket, -1, (int domain, int type, int protocol), (domain, type, protocol))
WRAP(int, getaddrinfo, EAI_MEMORY,
     (const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **list),
     (node, service, hints, list))
WRAP(int, pthread_create, EAGAIN, (pthread_t * thread, const pthread_attr_t *with, void *(*run)(void *), void *arg),
     (thread, with, run, arg))

int __wrap_fork(void);
int __wrap_fork(void)
{
	int pid = alloc_fails() ? -1 : __real_fork();

	if (pid == 0 && alloc_plan)
		alloc_process = alloc_plan->processes++;
	return pid;
}
