/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor.h"

#include <errno.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/addr.h"
#include "base/clock.h"
#include "base/leaks.h"
#include "base/log.h"
#include "crash_dir.h"
#include "dpi/dpi.h"
#include "exporter.h"
#include "flow/flow.h"
#include "names.h"
#include "sandbox.h"
#include "shared.h"
#include "stats.h"
#include "worker.h"

/*
 * A worker that dies more often than this goes on without classification for a while. If it dies as often without, it is not
 * started again: something is wrong that a new one will meet too.
 */
#define SUPERVISOR_DEATHS 5
#define SUPERVISOR_DEATHS_MS 10000
#define SUPERVISOR_DPI_OFF_MS 60000
/*
 * A call of nDPI that has used more than this of the processor hangs. Processor time, because on a machine that is slow, or
 * in a process that is stopped, any call may take long. One that sleeps, which none does, has longer.
 */
#define SUPERVISOR_HANG_CPU_NS 1000000000
#define SUPERVISOR_HANG_MS 30000
#define SUPERVISOR_LOOK_MS 1000
#define SUPERVISOR_LOOK_AGAIN_MS 250 /* while a worker is in a call */
/* Added to the drain timeout before a child that does not end is killed. */
#define SUPERVISOR_GRACE_MS 2000

struct supervisor_worker {
	pid_t pid; /* 0: ended */
	uint64_t started_ms;
	uint64_t deaths[SUPERVISOR_DEATHS]; /* times of the last ones, oldest first */
	uint64_t dpi_on_ms;                 /* when it may classify again; 0 it may */
	uint64_t call;                      /* that it was in when last looked at (dpi_entered), 0 none; */
	uint64_t call_cpu_ns;               /* its processor time when first seen in it, */
	uint64_t call_ms;                   /* and how long ago that was */
	bool hung;                          /* it was killed for that */
};

struct supervisor {
	const struct config *config;
	struct shared shared;
	struct dpi_module *dpi;
	struct exporter_names names;
	struct supervisor_worker workers[SHARED_WORKERS_MAX];
	pid_t exporter;
	sigset_t signals; /* waited for; blocked in this process */
	sigset_t before;  /* mask of the children */
	uint64_t seed;
	uint64_t stream_id;
	uint64_t restarts;
	struct crash_dir crash;
	uint64_t looked_ms;   /* when workers were last looked at */
	uint64_t deadline_ms; /* when what still runs is killed; 0 none */
	bool stopping;
	bool abandoned; /* the exporter has ended and its workers were killed for that: no news */
	int status;
};

/*
 * Forks; the child has the signal mask of before, once it has said with take_signals() what each means to it, and is told
 * to stop when its parent dies. Returns like fork().
 */
static pid_t supervisor_fork(struct supervisor *s, void (*take_signals)(void))
{
	pid_t parent = getpid();
	pid_t pid = fork();

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		if (getppid() != parent)
			_exit(2);
		take_signals();
		sigprocmask(SIG_SETMASK, &s->before, NULL);
	}
	return pid;
}

/* A child's end: without the exit handlers, which are the parent's, but with the leak check that is among them. */
static _Noreturn void supervisor_leave(int status)
{
	leaks_check();
	_exit(status);
}

static int supervisor_exporter_main(struct supervisor *s, int ready)
{
	const struct config *config = s->config;
	struct ring rings[SHARED_WORKERS_MAX];
	struct exporter_config c = {.outputs = config->uris,
				    .n_outputs = config->outputs.n,
				    .template_name = config->template_name,
				    .names = &s->names,
				    .rings = rings,
				    .n_rings = s->shared.n_workers,
				    .shared = s->shared.exporter,
				    .workers = s->shared.workers,
				    .exporter = config->exporter,
				    .stream_id = s->stream_id,
				    .domain = (uint32_t)config->observation_domain,
				    .pen = (uint32_t)config->pen,
				    .confine = sandbox_exporter,
				    .lossless = config->files.n > 0,
				    .drain_timeout_ms = config->drain_timeout * 1000,
				    .report = {.workers = s->shared.workers,
					       .n_workers = s->shared.n_workers,
					       .files = (const char *const *)config->files.items,
					       .n_files = config->files.n,
					       .color = config->color,
					       .all = config->all}};

	if (config->interfaces.n) {
		c.interface = config->interfaces.items[0];
		c.interface_id = if_nametoindex(c.interface);
	}
	for (unsigned i = 0; i < s->shared.n_workers; i++)
		shared_ring(&s->shared, i, &rings[i]);
	return exporter_run(&c, ready);
}

/* Returns once the exporter has opened its outputs: 0, or -EIO if it ended instead (it has said why). */
static int supervisor_start_exporter(struct supervisor *s)
{
	int ready[2];
	ssize_t n;
	char octet;

	if (pipe(ready))
		return -errno;
	s->exporter = supervisor_fork(s, exporter_signals);
	if (s->exporter == 0) {
		close(ready[0]);
		supervisor_leave(supervisor_exporter_main(s, ready[1]));
	}
	close(ready[1]);
	do
		n = s->exporter < 0 ? -1 : read(ready[0], &octet, 1);
	while (n < 0 && errno == EINTR && s->exporter > 0);
	close(ready[0]);
	return n == 1 ? 0 : -EIO;
}

static int supervisor_start_worker(struct supervisor *s, unsigned i)
{
	struct worker_config c = {.config = s->config,
				  .dpi = s->dpi,
				  .shared = &s->shared.workers[i],
				  .split = {i, s->shared.n_workers},
				  .seed = s->seed};
	pid_t pid;

	shared_ring(&s->shared, i, &c.ring);
	pid = supervisor_fork(s, worker_signals);
	if (pid == 0)
		supervisor_leave(worker_run(&c));
	if (pid < 0)
		return -errno;
	s->workers[i].pid = pid;
	s->workers[i].started_ms = clock_mono_ms();
	s->workers[i].call = 0;
	s->workers[i].hung = false;
	return 0;
}

/* The flow whose packet was being classified when a worker died, as text; "" if it was not in that. */
static void supervisor_last_flow(const struct shared_progress *p, char *out, size_t size)
{
	struct flow_key k;
	char a[ADDR_TEXT_MAX], b[ADDR_TEXT_MAX];

	out[0] = '\0';
	if (!atomic_load(&p->dpi_flow))
		return;
	memcpy(&k, p->dpi_key, sizeof(k));
	snprintf(out, size, " while classifying protocol %u between %s port %u and %s port %u", k.protocol,
		 addr_format(k.ip[0], a), k.port[0], addr_format(k.ip[1], b), k.port[1]);
}

/* The system call for which a worker was ended, as text; "" if it was not. */
static void supervisor_blocked_call(struct shared_progress *p, char *out, size_t size)
{
	uint32_t call = atomic_exchange(&p->blocked_call, 0);
	char name[64];

	out[0] = '\0';
	if (call)
		snprintf(out, size, ": system call %u, %s", call - 1, sandbox_call_name(call - 1, name, sizeof(name)));
}

/* The flow is counted from now on, but not classified: what killed a worker once does so once. */
static void supervisor_quarantine(struct supervisor *s, struct shared_worker *w)
{
	uint64_t flow = atomic_exchange(&w->progress.dpi_flow, 0);
	uint32_t n = atomic_load(&w->n_quarantine);

	if (!flow)
		return;
	if (w->packet.flow == flow)
		crash_dir_keep(&s->crash, &w->packet);
	w->packet.flow = 0;
	atomic_store(&w->quarantine[n % SHARED_QUARANTINE_MAX], flow);
	if (n < SHARED_QUARANTINE_MAX)
		atomic_store(&w->n_quarantine, n + 1);
}

/* True if a worker has died too often of late. */
static bool supervisor_count_death(struct supervisor_worker *w, uint64_t now)
{
	uint64_t oldest = w->deaths[0];

	memmove(w->deaths, w->deaths + 1, sizeof(w->deaths) - sizeof(w->deaths[0]));
	w->deaths[SUPERVISOR_DEATHS - 1] = now;
	return oldest && now - oldest < SUPERVISOR_DEATHS_MS;
}

/* A worker is gone for good: the exporter must not wait for more of it. */
static void supervisor_close_ring(struct supervisor *s, unsigned i)
{
	struct ring r;

	shared_ring(&s->shared, i, &r);
	ring_close(&r);
}

static void supervisor_stop(struct supervisor *s)
{
	if (s->stopping)
		return;
	s->stopping = true;
	shared_set(&s->shared.exporter->stopping, 1);
	s->deadline_ms = clock_mono_ms() + s->config->drain_timeout * 1000 + SUPERVISOR_GRACE_MS;
	for (unsigned i = 0; i < s->shared.n_workers; i++)
		if (s->workers[i].pid)
			kill(s->workers[i].pid, SIGTERM);
}

/* What becomes of a worker that died; says true if it is started again. */
static bool supervisor_sentence(struct supervisor *s, unsigned i, uint64_t now, const char **text)
{
	struct supervisor_worker *w = &s->workers[i];
	bool often = supervisor_count_death(w, now);

	*text = "started again";
	if (s->stopping) {
		*text = "not started again";
		return false;
	}
	if (!often)
		return true;
	if (w->dpi_on_ms) {
		*text = "not started again: it dies too often";
		return false;
	}
	*text = "started again; it dies too often: flows are not classified for 60 s";
	memset(w->deaths, 0, sizeof(w->deaths));
	w->dpi_on_ms = now + SUPERVISOR_DPI_OFF_MS;
	atomic_store(&s->shared.workers[i].dpi_off, 1);
	return true;
}

static void supervisor_worker_died(struct supervisor *s, unsigned i, int signal_number)
{
	struct shared_worker *shared = &s->shared.workers[i];
	uint64_t now = clock_mono_ms();
	uint64_t lived = now - s->workers[i].started_ms;
	bool killed = signal_number == SIGKILL && !s->workers[i].hung;
	char flow[256], call[80], how[128];
	const char *sentence;
	bool again;

	if (s->abandoned)
		return;
	supervisor_blocked_call(&shared->progress, call, sizeof(call));
	supervisor_last_flow(&shared->progress, flow, sizeof(flow));
	if (s->workers[i].hung)
		snprintf(how, sizeof(how), "hung for more than a second and was killed");
	else
		snprintf(how, sizeof(how), "died of signal %d (%s%s)", signal_number, strsignal(signal_number), call);
	again = supervisor_sentence(s, i, now, &sentence);
	log_error("worker %u %s after %llu.%03llu s%s; %llu flows lost; %s", i, how, (unsigned long long)(lived / 1000),
		  (unsigned long long)(lived % 1000), flow,
		  (unsigned long long)shared_get(&shared->counters.flows_active), sentence);
	shared_set(&shared->counters.flows_active, 0); /* else one that dies before its first flow loses them again */
	supervisor_quarantine(s, shared);
	if (again && supervisor_start_worker(s, i) == 0) {
		s->restarts++;
		return;
	}
	if (!s->stopping || !killed)
		s->status = 2;
	supervisor_close_ring(s, i);
}

/* Processor time that a child has used in all; 0 if it has ended. */
static uint64_t supervisor_cpu_ns(pid_t pid)
{
	struct timespec used;
	clockid_t clock;

	if (clock_getcpuclockid(pid, &clock) || clock_gettime(clock, &used))
		return 0;
	return (uint64_t)used.tv_sec * 1000000000 + (uint64_t)used.tv_nsec;
}

/* Ends a worker that does not come back from a call. Returns true if it is in one. */
static bool supervisor_look_at(struct supervisor *s, unsigned i, uint64_t since_ms)
{
	const struct shared_progress *p = &s->shared.workers[i].progress;
	struct supervisor_worker *w = &s->workers[i];
	uint64_t call = atomic_load(&p->dpi_flow) ? atomic_load(&p->dpi_entered) : 0;
	uint64_t cpu_ns;

	if (!w->pid || w->hung)
		return false;
	if (!call) {
		w->call = 0;
		return false;
	}
	cpu_ns = supervisor_cpu_ns(w->pid);
	if (!cpu_ns)
		return true; /* it has just ended, of itself */
	if (call != w->call) {
		w->call = call;
		w->call_cpu_ns = cpu_ns;
		w->call_ms = 0;
		return true;
	}
	w->call_ms += since_ms;
	if (cpu_ns - w->call_cpu_ns > SUPERVISOR_HANG_CPU_NS || w->call_ms > SUPERVISOR_HANG_MS) {
		w->hung = true;
		kill(w->pid, SIGKILL);
	}
	return true;
}

/* Looks at all workers. Returns after how many milliseconds to do so again. */
static int supervisor_watch(struct supervisor *s)
{
	uint64_t now = clock_mono_ms();
	uint64_t since = now - s->looked_ms;
	bool calling = false;

	/* A machine that was asleep, or we: not the workers' fault. */
	if (since > SUPERVISOR_LOOK_MS)
		since = SUPERVISOR_LOOK_MS;
	s->looked_ms = now;
	for (unsigned i = 0; i < s->shared.n_workers; i++) {
		struct supervisor_worker *w = &s->workers[i];

		if (supervisor_look_at(s, i, since))
			calling = true;
		if (w->dpi_on_ms && now >= w->dpi_on_ms) {
			w->dpi_on_ms = 0;
			atomic_store(&s->shared.workers[i].dpi_off, 0);
			log_warn("worker %u classifies again", i);
		}
	}
	return calling ? SUPERVISOR_LOOK_AGAIN_MS : SUPERVISOR_LOOK_MS;
}

static bool supervisor_workers_left(const struct supervisor *s)
{
	for (unsigned i = 0; i < s->shared.n_workers; i++)
		if (s->workers[i].pid)
			return true;
	return false;
}

static bool supervisor_rings_closed(const struct supervisor *s)
{
	for (unsigned i = 0; i < s->shared.n_workers; i++) {
		struct ring r;

		shared_ring(&s->shared, i, &r);
		if (!ring_closed(&r))
			return false;
	}
	return true;
}

static void supervisor_exporter_ended(struct supervisor *s, int wait_status)
{
	s->exporter = 0;
	if (WIFEXITED(wait_status) && WEXITSTATUS(wait_status))
		s->status = WEXITSTATUS(wait_status);
	if (WIFSIGNALED(wait_status)) {
		log_error("the exporter died of signal %d (%s): nothing can be sent any more", WTERMSIG(wait_status),
			  strsignal(WTERMSIG(wait_status)));
		s->status = 2;
	}
	s->stopping = true;
	if (supervisor_rings_closed(s))
		return; /* the end: workers, if any are left, have only to exit */
	/* Nobody empties the rings now: a worker may wait for ever to put its next record. */
	s->abandoned = true;
	for (unsigned i = 0; i < s->shared.n_workers; i++)
		if (s->workers[i].pid)
			kill(s->workers[i].pid, SIGKILL);
}

static void supervisor_reap(struct supervisor *s)
{
	int wait_status;
	pid_t pid;

	while ((pid = waitpid(-1, &wait_status, WNOHANG)) > 0) {
		if (pid == s->exporter) {
			supervisor_exporter_ended(s, wait_status);
			continue;
		}
		for (unsigned i = 0; i < s->shared.n_workers; i++) {
			if (s->workers[i].pid != pid)
				continue;
			s->workers[i].pid = 0;
			if (WIFSIGNALED(wait_status)) {
				supervisor_worker_died(s, i, WTERMSIG(wait_status));
			} else if (WEXITSTATUS(wait_status)) {
				s->status = 2;
				supervisor_close_ring(s, i);
			}
		}
	}
}

/* Past the deadline: first the workers are killed, so that the exporter can end; then the exporter. */
static void supervisor_enforce(struct supervisor *s)
{
	uint64_t now = clock_mono_ms();

	if (!s->deadline_ms || now < s->deadline_ms)
		return;
	if (supervisor_workers_left(s)) {
		log_error("workers do not end within the drain timeout: killed, their open flows are lost");
		for (unsigned i = 0; i < s->shared.n_workers; i++)
			if (s->workers[i].pid)
				kill(s->workers[i].pid, SIGKILL);
		s->deadline_ms = now + s->config->drain_timeout * 1000 + SUPERVISOR_GRACE_MS;
	} else if (s->exporter) {
		log_error("the exporter does not end within the drain timeout: killed");
		kill(s->exporter, SIGKILL);
		s->deadline_ms = 0;
	}
	s->status = 2;
}

static void supervisor_loop(struct supervisor *s)
{
	while (s->exporter || supervisor_workers_left(s)) {
		int wait_ms = supervisor_watch(s);
		struct timespec wait = {wait_ms / 1000, wait_ms % 1000 * 1000000};
		int number = sigtimedwait(&s->signals, NULL, &wait);

		if (number == SIGTERM || number == SIGINT)
			supervisor_stop(s);
		supervisor_reap(s); /* always: signals of several children may be one */
		supervisor_enforce(s);
	}
}

static int supervisor_init(struct supervisor *s, char *err, size_t err_size)
{
	int rc;

	if (getrandom(&s->seed, sizeof(s->seed), 0) != sizeof(s->seed) ||
	    getrandom(&s->stream_id, sizeof(s->stream_id), 0) != sizeof(s->stream_id)) {
		snprintf(err, err_size, "no random numbers: %s", strerror(errno));
		return -EIO;
	}
	rc = crash_dir_init(&s->crash, s->config->crash_dir, err, err_size);
	if (rc)
		return rc;
	rc = shared_init(&s->shared, (unsigned)s->config->workers);
	if (rc) {
		snprintf(err, err_size, "shared memory: %s", strerror(-rc));
		return rc;
	}
	rc = dpi_module_new(&s->dpi, s->config->protocols, err, err_size);
	if (rc)
		return rc;
	rc = names_init(&s->names, s->dpi);
	if (rc)
		snprintf(err, err_size, "no memory");
	return rc;
}

static void supervisor_deinit(struct supervisor *s)
{
	names_deinit(&s->names);
	crash_dir_deinit(&s->crash);
	dpi_module_free(s->dpi);
	shared_deinit(&s->shared);
}

static void supervisor_start(struct supervisor *s)
{
	int rc, wait_status;

	sigemptyset(&s->signals);
	sigaddset(&s->signals, SIGTERM);
	sigaddset(&s->signals, SIGINT);
	sigaddset(&s->signals, SIGHUP);
	sigaddset(&s->signals, SIGCHLD);
	sigprocmask(SIG_BLOCK, &s->signals, &s->before);
	signal(SIGCHLD, SIG_DFL); /* who started us may have ignored it: nobody could be waited for */
	signal(SIGPIPE, SIG_IGN); /* a message that nobody reads ends no process */
	if (supervisor_start_exporter(s)) {
		s->status = 2;
		if (s->exporter > 0 && waitpid(s->exporter, &wait_status, 0) > 0 && WIFSIGNALED(wait_status))
			log_error("the exporter died of signal %d as it started", WTERMSIG(wait_status));
		s->exporter = 0;
		return;
	}
	rc = sandbox_supervisor(s->config->files.n > 0);
	if (rc)
		log_warn("the supervisor keeps its capabilities: %s", strerror(-rc));
	crash_dir_check(&s->crash);
	for (unsigned i = 0; i < s->shared.n_workers; i++) {
		if (supervisor_start_worker(s, i)) {
			log_error("worker %u cannot be started: %s", i, strerror(errno));
			s->status = 2;
			supervisor_close_ring(s, i);
		}
	}
}

int supervisor_run(const struct config *config)
{
	struct supervisor *s = calloc(1, sizeof(*s));
	char err[512] = "no memory";
	int rc = s ? 0 : -ENOMEM;
	int status;

	sandbox_no_dumps();
	if (s) {
		s->config = config;
		rc = supervisor_init(s, err, sizeof(err));
	}
	if (rc) {
		log_error("%s", err);
		if (s)
			supervisor_deinit(s);
		free(s);
		return rc == -EINVAL || rc == -ENOENT ? 1 : 2; /* a protocols file that is wrong is bad configuration */
	}
	supervisor_start(s);
	supervisor_loop(s);
	if (config->stats)
		stats_print(config, &s->shared, s->restarts, &s->crash);
	status = s->status;
	supervisor_deinit(s);
	free(s);
	return status;
}
