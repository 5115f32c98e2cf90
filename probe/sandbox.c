/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox.h"

#include <cap-ng.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/log.h"

/* Landlock's interface, for headers that have none or an older one. */
#define LANDLOCK_CREATE_RULESET 444
#define LANDLOCK_RESTRICT_SELF 446
#define LANDLOCK_VERSION 1u /* flag: return the version only */

struct sandbox_ruleset {
	uint64_t handled_access_fs;
	uint64_t handled_access_net; /* from version 4 */
	uint64_t scoped;             /* from version 6 */
};

/* Where the handler of SIGSYS leaves the number: a handler has no argument of ours. Set once, before the filter. */
static _Atomic uint32_t *sandbox_blocked;

void sandbox_no_dumps(void)
{
	static const struct rlimit none = {0, 0};

	setrlimit(RLIMIT_CORE, &none);
	/* The leak check of a sanitizer build attaches to its own process. */
	if (L7_SECCOMP)
		prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

/* Keeps those of the n capabilities that it has. */
static int sandbox_capabilities(const int *keep, size_t n)
{
	bool has[2] = {false, false};

	for (size_t i = 0; i < n && i < 2; i++)
		has[i] = capng_have_capability(CAPNG_PERMITTED, (unsigned)keep[i]);
	capng_clear(CAPNG_SELECT_ALL);
	for (size_t i = 0; i < n && i < 2; i++)
		if (has[i])
			capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED | CAPNG_BOUNDING_SET,
				     (unsigned)keep[i]);
	/* What may not drop the bounding set cannot gain from it either: no program is ever run. */
	capng_apply(CAPNG_SELECT_BOUNDS);
	return capng_apply(CAPNG_SELECT_CAPS) ? -EPERM : 0;
}

int sandbox_supervisor(bool files)
{
	static const int capture = CAP_NET_RAW, read_any = CAP_DAC_READ_SEARCH;

	return sandbox_capabilities(files ? &read_any : &capture, 1);
}

int sandbox_exporter(void)
{
	return sandbox_capabilities(NULL, 0);
}

/* No path and, from version 4 on, no TCP. Returns Landlock's version, 0 if the kernel has none, or a negative errno. */
static int sandbox_landlock(void)
{
	struct sandbox_ruleset r = {.handled_access_fs = (1u << 13) - 1};
	size_t size = sizeof(r.handled_access_fs);
	long version = syscall(LANDLOCK_CREATE_RULESET, NULL, 0, LANDLOCK_VERSION);
	long fd;
	int rc = 0;

	if (version < 1)
		return 0;
	if (version >= 2)
		r.handled_access_fs |= 1u << 13; /* refer */
	if (version >= 3)
		r.handled_access_fs |= 1u << 14; /* truncate */
	if (version >= 5)
		r.handled_access_fs |= 1u << 15; /* ioctl of devices */
	if (version >= 4) {
		r.handled_access_net = 3; /* bind and connect TCP */
		size += sizeof(r.handled_access_net);
	}
	if (version >= 6) {
		r.scoped = 3; /* abstract unix sockets and signals */
		size += sizeof(r.scoped);
	}
	fd = syscall(LANDLOCK_CREATE_RULESET, &r, size, 0);
	if (fd < 0)
		return -errno;
	if (syscall(LANDLOCK_RESTRICT_SELF, fd, 0))
		rc = -errno;
	close((int)fd);
	return rc ? rc : (int)version;
}

#if L7_SECCOMP
/*
 * The call was not made. Its number is kept, and a second one ends the process: the handler is reset by now, and the signal
 * cannot be held back. SCMP_ACT_KILL_PROCESS would do the same, but nobody would learn of which call.
 */
static void sandbox_on_blocked(int number, siginfo_t *info, void *context)
{
	(void)number;
	(void)context;
	atomic_store(sandbox_blocked, (uint32_t)info->si_syscall + 1);
	syscall(SYS_ptrace, 0, 0, 0, 0);
	_exit(2);
}

/* Allowed whatever their arguments are. Those of a signal are what abort() needs; all others see only what is open. */
static const int sandbox_calls[] = {
	SCMP_SYS(read),          SCMP_SYS(pread64),
	SCMP_SYS(lseek),         SCMP_SYS(fstat),
	SCMP_SYS(close),         SCMP_SYS(poll),
	SCMP_SYS(ppoll),         SCMP_SYS(munmap),
	SCMP_SYS(mremap),        SCMP_SYS(brk),
	SCMP_SYS(madvise),       SCMP_SYS(futex),
	SCMP_SYS(clock_gettime), SCMP_SYS(clock_nanosleep),
	SCMP_SYS(gettimeofday),  SCMP_SYS(restart_syscall),
	SCMP_SYS(rt_sigreturn),  SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(getpid),        SCMP_SYS(gettid),
	SCMP_SYS(getsockname),   SCMP_SYS(exit),
	SCMP_SYS(exit_group),    SCMP_SYS(alarm),
};

#define IS(argument, value) SCMP_CMP64(argument, SCMP_CMP_MASKED_EQ, UINT32_MAX, (uint32_t)(value))

/* Allowed with some arguments only. */
static int sandbox_narrow_calls(scmp_filter_ctx f, int event)
{
	const struct scmp_arg_cmp no_exec = SCMP_CMP64(2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0);
	int rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1, no_exec);

	rc |= seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(write), 1, IS(0, STDERR_FILENO));
	rc |= seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(writev), 1, IS(0, STDERR_FILENO)); /* glibc's last words */
	rc |= seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(write), 1, IS(0, event));
	rc |= seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1, IS(0, getpid()));
	/* What alarm() is where the kernel has no call of that name: arm64. */
	rc |= seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(setitimer), 1, IS(0, ITIMER_REAL));
	/* libpcap: drops, whether an interface is still there and up, and the end of its ring. */
	rc |= seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(getsockopt), 2, IS(1, SOL_PACKET), IS(2, PACKET_STATISTICS));
	rc |= seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(getsockopt), 2, IS(1, SOL_SOCKET), IS(2, SO_ERROR));
	rc |= seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(setsockopt), 2, IS(1, SOL_PACKET), IS(2, PACKET_RX_RING));
	rc |= seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1, IS(1, SIOCGIFFLAGS));
	rc |= seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1, IS(1, SIOCGIFMTU)); /* ours: it may change */
	return rc;
}

static int sandbox_filter(int event)
{
	struct sigaction blocked = {.sa_sigaction = sandbox_on_blocked, .sa_flags = SA_SIGINFO | SA_RESETHAND};
	scmp_filter_ctx f = seccomp_init(SCMP_ACT_TRAP);
	int rc;

	if (!f)
		return -ENOMEM;
	rc = seccomp_attr_set(f, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	for (size_t i = 0; !rc && i < sizeof(sandbox_calls) / sizeof(sandbox_calls[0]); i++)
		rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, sandbox_calls[i], 0);
	if (!rc)
		rc = sandbox_narrow_calls(f, event) ? -EINVAL : 0;
	if (!rc && sigaction(SIGSYS, &blocked, NULL))
		rc = -errno;
	if (!rc)
		rc = seccomp_load(f);
	seccomp_release(f);
	return rc;
}
#else
/* A sanitizer's runtime opens files, forks and attaches to its own process when it reports: no filter in such a build. */
static int sandbox_filter(int event)
{
	(void)event;
	return 0;
}
#endif

int sandbox_worker(const struct sandbox_worker *w, char *err, size_t err_size)
{
	const char *what = "capabilities";
	int rc = sandbox_capabilities(NULL, 0);
	int landlock = 0;

	sandbox_blocked = w->blocked;
	if (!rc && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) {
		what = "no_new_privs";
		rc = -errno;
	}
	if (!rc && L7_SECCOMP) {
		what = "Landlock";
		landlock = sandbox_landlock();
		rc = landlock < 0 ? landlock : 0;
	}
	if (!rc) {
		what = "seccomp";
		rc = sandbox_filter(w->event);
	}
	if (rc) {
		snprintf(err, err_size, "the worker cannot be confined: %s: %s", what, strerror(-rc));
		return rc;
	}
	log_info("worker confined: no capabilities; seccomp %s; Landlock %s",
		 L7_SECCOMP ? "on" : "off (sanitizer build)",
		 landlock > 0 ? "on"
		 : L7_SECCOMP ? "not in this kernel"
			      : "off (sanitizer build)");
	return 0;
}

const char *sandbox_call_name(uint32_t number, char *out, size_t size)
{
	char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, (int)number);

	snprintf(out, size, "%s", name ? name : "?");
	free(name);
	return out;
}
