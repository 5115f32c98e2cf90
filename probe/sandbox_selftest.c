/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox_selftest.h"

#include <errno.h>
#include <fcntl.h>
#include <net/ethernet.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "sandbox.h"

enum { SELFTEST_DONE, SELFTEST_REFUSED, SELFTEST_FAILED, SELFTEST_UNCONFINED };

/* Opened before the process is confined, as a worker's capture is. */
struct selftest_open {
	int event;
	int client; /* a socket that could connect */
	int null;   /* /dev/null, writable */
	pid_t parent;
	struct sockaddr_un listener;
	socklen_t listener_size;
};

/* Each does what would go well for anybody, or for root. Returns below 0 if it did not. */

static int act_open(const struct selftest_open *o)
{
	(void)o;
	return open("/", O_RDONLY | O_DIRECTORY);
}

static int act_stat(const struct selftest_open *o)
{
	struct stat s;

	(void)o;
	return stat("/", &s);
}

static int act_socket(const struct selftest_open *o)
{
	(void)o;
	return socket(AF_INET, SOCK_STREAM, 0);
}

static int act_connect(const struct selftest_open *o)
{
	return connect(o->client, (const struct sockaddr *)&o->listener, o->listener_size);
}

static int act_exec(const struct selftest_open *o)
{
	char name[] = "l7probe", version[] = "--version";
	char *argv[] = {name, version, NULL}, *envp[] = {NULL};

	(void)o;
	return execve("/proc/self/exe", argv, envp);
}

static int act_fork(const struct selftest_open *o)
{
	pid_t pid = fork();

	(void)o;
	if (pid == 0)
		_exit(0);
	return (int)pid;
}

static int act_mmap(const struct selftest_open *o)
{
	(void)o;
	return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? -1 : 0;
}

static int act_mprotect(const struct selftest_open *o)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)o;
	return mprotect(p, 4096, PROT_READ | PROT_EXEC);
}

static int act_ptrace(const struct selftest_open *o)
{
	(void)o;
	return (int)ptrace(PTRACE_TRACEME, 0, NULL, NULL);
}

static int act_kill(const struct selftest_open *o)
{
	return kill(o->parent, 0);
}

static int act_write(const struct selftest_open *o)
{
	return (int)write(o->null, "", 1);
}

static int act_packet_socket(const struct selftest_open *o)
{
	(void)o;
	return socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));
}

static int act_raw_socket(const struct selftest_open *o)
{
	(void)o;
	return socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
}

/* What a worker does all day, to know that the others are not denied for some other reason. */
static int act_work(const struct selftest_open *o)
{
	static const struct timespec pause = {0, 1000};
	struct pollfd p = {.fd = o->client, .events = POLLIN};
	size_t size = 1 << 20;
	uint8_t *memory = malloc(size);

	if (!memory)
		return -1;
	memset(memory, 1, size);
	free(memory);
	return poll(&p, 1, 1) < 0 || nanosleep(&pause, NULL) ? -1 : 0;
}

struct selftest_act {
	const char *name;
	int (*act)(const struct selftest_open *o);
	bool exporter; /* confined as the exporter is, else as a worker */
	bool allowed;  /* must go well */
};

static const struct selftest_act selftest_acts[] = {
	{.name = "worker: wait, read and allocate", .act = act_work, .allowed = true},
	{.name = "worker: open a file", .act = act_open},
	{.name = "worker: look at a path", .act = act_stat},
	{.name = "worker: make a socket", .act = act_socket},
	{.name = "worker: connect a socket", .act = act_connect},
	{.name = "worker: make a raw socket", .act = act_raw_socket},
	{.name = "worker: make a packet socket", .act = act_packet_socket},
	{.name = "worker: write elsewhere", .act = act_write},
	{.name = "worker: run a program", .act = act_exec},
	{.name = "worker: make a process", .act = act_fork},
	{.name = "worker: signal another process", .act = act_kill},
	{.name = "worker: trace", .act = act_ptrace},
	{.name = "worker: map memory that is executable", .act = act_mmap},
	{.name = "worker: make memory executable", .act = act_mprotect},
	{.name = "exporter: make a socket", .act = act_socket, .exporter = true, .allowed = true},
	{.name = "exporter: make a raw socket", .act = act_raw_socket, .exporter = true},
	{.name = "exporter: make a packet socket", .act = act_packet_socket, .exporter = true},
};

static int selftest_open(struct selftest_open *o)
{
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	o->parent = getpid();
	o->event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	o->null = open("/dev/null", O_RDWR | O_CLOEXEC);
	o->client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	o->listener.sun_family = AF_UNIX;
	o->listener_size = sizeof(o->listener);
	/* A name of the kernel's choice, which is no path. */
	if (listener < 0 || o->event < 0 || o->null < 0 || o->client < 0 ||
	    bind(listener, (const struct sockaddr *)&o->listener, sizeof(sa_family_t)) || listen(listener, 16) ||
	    getsockname(listener, (struct sockaddr *)&o->listener, &o->listener_size))
		return -errno;
	return listener;
}

static _Noreturn void selftest_child(const struct selftest_act *a, const struct selftest_open *o,
				     _Atomic uint32_t *blocked)
{
	static const uint64_t one = 1;
	const struct sandbox_worker w = {.event = o->event, .blocked = blocked};
	char err[256] = "capabilities";

	sandbox_no_dumps();
	if (a->exporter ? sandbox_exporter() : sandbox_worker(&w, err, sizeof(err))) {
		log_error("%s", err);
		_exit(SELFTEST_UNCONFINED);
	}
	/* So that a process which ended before the act is not taken for one that was denied it. */
	if (write(o->event, &one, sizeof(one)) != sizeof(one))
		_exit(SELFTEST_UNCONFINED);
	if (a->act(o) >= 0)
		_exit(SELFTEST_DONE);
	_exit(errno == EPERM || errno == EACCES ? SELFTEST_REFUSED : SELFTEST_FAILED);
}

/* True if it went as it must. */
static bool selftest_judge(const struct selftest_act *a, int wait_status, bool tried, uint32_t blocked)
{
	int code = WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : SELFTEST_FAILED;
	char name[64], why[128];
	bool good = false;

	if (!tried || code == SELFTEST_UNCONFINED) {
		snprintf(why, sizeof(why), "FAILED before it was tried");
	} else if (WIFSIGNALED(wait_status) && WTERMSIG(wait_status) == SIGSYS) {
		good = !a->allowed && blocked;
		snprintf(why, sizeof(why), "%s (killed in %s)", a->allowed ? "DENIED" : "denied",
			 blocked ? sandbox_call_name(blocked - 1, name, sizeof(name)) : "?");
	} else if (code == SELFTEST_REFUSED) {
		good = !a->allowed;
		snprintf(why, sizeof(why), "%s (no permission)", a->allowed ? "DENIED" : "denied");
	} else if (WIFEXITED(wait_status) && code == SELFTEST_DONE) {
		good = a->allowed;
		snprintf(why, sizeof(why), "%s", a->allowed ? "allowed" : "ALLOWED");
	} else {
		snprintf(why, sizeof(why), "FAILED for another reason");
	}
	printf("%-38s %s\n", a->name, why);
	return good;
}

static bool selftest_try(const struct selftest_act *a, const struct selftest_open *o, _Atomic uint32_t *blocked)
{
	uint64_t tried = 0;
	int wait_status;
	pid_t pid;

	atomic_store(blocked, 0);
	fflush(stdout);
	pid = fork();
	if (pid == 0)
		selftest_child(a, o, blocked);
	if (pid < 0 || waitpid(pid, &wait_status, 0) != pid) {
		printf("%-38s FAILED: %s\n", a->name, strerror(errno));
		return false;
	}
	if (read(o->event, &tried, sizeof(tried)) < 0)
		tried = 0;
	return selftest_judge(a, wait_status, tried == 1, atomic_load(blocked));
}

int sandbox_selftest(void)
{
	struct selftest_open o = {.event = -1};
	_Atomic uint32_t *blocked =
		mmap(NULL, sizeof(*blocked), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int listener = selftest_open(&o);
	int bad = 0;

	if (listener < 0 || blocked == MAP_FAILED) {
		log_error("self-test: %s", strerror(errno));
		return 2;
	}
	for (size_t i = 0; i < sizeof(selftest_acts) / sizeof(selftest_acts[0]); i++)
		bad += !selftest_try(&selftest_acts[i], &o, blocked);
	close(listener);
	close(o.event);
	close(o.null);
	close(o.client);
	munmap(blocked, sizeof(*blocked));
	return bad ? 2 : 0;
}
