/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor.h"

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/leaks.h"
#include "base/log.h"
#include "export/group.h"
#include "flow/flow.h"
#include "flow/flow_store.h"
#include "names.h"
#include "sandbox.h"
#include "stats.h"
#include "supervisor_internal.h"
#include "worker.h"

/* Added to the drain timeout before a child that does not end is killed. */
#define SUPERVISOR_GRACE_MS 2000

pid_t supervisor_fork(struct supervisor *s, void (*take_signals)(void))
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

_Noreturn void supervisor_leave(int status)
{
	leaks_check();
	_exit(status);
}

static void supervisor_close_stores(const struct supervisor *s)
{
	for (unsigned i = 0; i < SHARED_WORKERS_MAX; i++)
		if (s->workers[i].store >= 0)
			close(s->workers[i].store);
}

static int supervisor_exporter_main(struct supervisor *s, int ready)
{
	const struct config *config = s->config;
	struct ring rings[SHARED_WORKERS_MAX];
	struct exporter_config c = {.outputs = config->uris,
				    .n_outputs = config->outputs.n,
				    .template_name = config->template_name,
				    .home = config->home_nets.n ? &config->home : NULL,
				    .wanted = {config->wanted[0], config->wanted[1]},
				    .names = &s->names,
				    .rings = rings,
				    .n_rings = s->shared.n_workers,
				    .shared = s->shared.exporter,
				    .workers = s->shared.workers,
				    .exporter = config->exporter,
				    .site = config->site,
				    .interfaces = s->shared.exporter->interfaces,
				    .n_interfaces = config->interfaces.n,
				    .stream_id = s->stream_id,
				    .domain = (uint32_t)config->observation_domain,
				    .pen = (uint32_t)config->pen,
				    .sample_packets = (uint32_t)config->sample_packets,
				    .sample_flows = (uint32_t)config->sample_flows,
				    .confine = sandbox_exporter,
				    .lossless = config->files.n > 0,
				    .drain_timeout_ms = config->drain_timeout * 1000,
				    .report = {.workers = s->shared.workers,
					       .n_workers = s->shared.n_workers,
					       .files = (const char *const *)config->files.items,
					       .n_files = config->files.n,
					       .color = config->color,
					       .all = config->all}};
	int rc;

	for (unsigned i = 0; i < s->shared.n_workers; i++)
		shared_ring(&s->shared, i, &rings[i]);
	supervisor_close_stores(s);
	supervisor_geo_give(s, &c);
	rc = shared_keep_exporter(&s->shared);
	if (rc) {
		log_error("exporter: shared memory: %s", strerror(-rc));
		return 2;
	}
	return exporter_run(&c, ready);
}

/* Returns once the exporter has opened its outputs: 0, or -EIO if it ended instead. The reason is said. */
static int supervisor_start_exporter(struct supervisor *s)
{
	int ready[2] = {-1, -1};
	ssize_t n;
	char octet;

	s->exporter = pipe(ready) ? -1 : supervisor_fork(s, exporter_signals);
	if (s->exporter < 0) {
		log_error("the exporter cannot be started: %s", strerror(errno));
		close(ready[0]);
		close(ready[1]);
		return -EIO;
	}
	if (s->exporter == 0) {
		close(ready[0]);
		supervisor_leave(supervisor_exporter_main(s, ready[1]));
	}
	close(ready[1]);
	supervisor_geo_close(&s->geo);
	do
		n = read(ready[0], &octet, 1);
	while (n < 0 && errno == EINTR);
	close(ready[0]);
	return n == 1 ? 0 : -EIO;
}

static void supervisor_stop(struct supervisor *s)
{
	if (s->stopping)
		return;
	s->stopping = true;
	shared_set(&s->shared.exporter->stopping, 1);
	s->deadline_ms = clock_mono_ms() + s->config->drain_timeout * 1000 + SUPERVISOR_GRACE_MS;
	for (unsigned i = 0; i < s->shared.n_workers; i++)
		if (s->workers[i].pid && !supervisor_follow_stop(s, i))
			kill(s->workers[i].pid, SIGTERM);
}

static bool supervisor_workers_left(const struct supervisor *s)
{
	for (unsigned i = 0; i < s->shared.n_workers; i++)
		if (s->workers[i].pid)
			return true;
	return s->next.pid != 0;
}

static void supervisor_kill_workers(const struct supervisor *s)
{
	for (unsigned i = 0; i < s->shared.n_workers; i++)
		if (s->workers[i].pid)
			kill(s->workers[i].pid, SIGKILL);
	if (s->next.pid)
		kill(s->next.pid, SIGKILL);
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
	supervisor_kill_workers(s);
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
		if (pid == s->next.pid) {
			supervisor_follow_ended(s, wait_status);
			continue;
		}
		for (unsigned i = 0; i < s->shared.n_workers; i++) {
			if (s->workers[i].pid == pid)
				supervisor_worker_ended(s, i, wait_status);
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
		log_error("workers do not end within the drain timeout: killed");
		supervisor_kill_workers(s);
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
		if (number == SIGHUP && s->exporter)
			kill(s->exporter, SIGHUP); /* files that were moved away, whatever else is wrong */
		if (number == SIGHUP)
			supervisor_reload(s);
		supervisor_reap(s); /* always: signals of several children may be one */
		supervisor_follow(s);
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
	for (unsigned i = 0; !rc && i < s->shared.n_workers; i++) {
		s->workers[i].store = flow_store_new((uint32_t)s->config->max_flows);
		rc = s->workers[i].store < 0 ? s->workers[i].store : 0;
	}
	if (rc) {
		snprintf(err, err_size, "shared memory: %s", strerror(-rc));
		return rc;
	}
	rc = links_init(&s->links, &s->config->interfaces, s->shared.exporter->interfaces);
	if (rc) {
		snprintf(err, err_size, "interfaces: %s", strerror(-rc));
		return rc;
	}
	/* Else the first large block that a child asks for joins all the small ones that nDPI gave back, in pages of its own. */
	mallopt(M_MXFAST, 0);
	s->reloads.files = supervisor_files(s->config); /* before: a file may change in between */
	rc = dpi_module_new(&s->dpi, &(struct dpi_files){s->config->protocols, s->config->categories}, err, err_size);
	if (rc)
		return rc;
	rc = names_number(s->shared.names, s->dpi, err, err_size);
	if (rc)
		return rc;
	rc = names_init(&s->names, s->shared.names, s->dpi);
	if (rc) {
		snprintf(err, err_size, "no memory");
		return rc;
	}
	rc = config_check_filters(s->config, &s->names, err, err_size);
	return rc ? rc : supervisor_geo_open(s->config, &s->geo, err, err_size);
}

static void supervisor_deinit(struct supervisor *s)
{
	names_deinit(&s->names);
	supervisor_geo_close(&s->geo);
	supervisor_geo_forget(&s->geo);
	links_deinit(&s->links);
	crash_dir_deinit(&s->crash);
	if (leaks_checked()) /* a hundred thousand pieces: a fifth of the time of a short run */
		dpi_module_free(s->dpi);
	supervisor_close_stores(s);
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
	sigaddset(&s->signals, SIGUSR2); /* of a worker: its captures are open */
	sigprocmask(SIG_BLOCK, &s->signals, &s->before);
	sigdelset(&s->before, SIGHUP); /* held back since the very start */
	signal(SIGCHLD, SIG_DFL);      /* who started us may have ignored it: nobody could be waited for */
	signal(SIGPIPE, SIG_IGN);      /* a message that nobody reads ends no process */
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

static void supervisor_stats(const struct supervisor *s)
{
	struct stats more = {.worker_restarts = s->restarts,
			     .reloads = s->reloads.done,
			     .reload_failed = s->reloads.failed,
			     .reload_last_ok = s->reloads.last_ok,
			     .crash = &s->crash,
			     .links = &s->links};

	stats_print(s->config, &s->shared, &more);
}

/* Live, workers share what they see by the outer addresses of tunnels (split.h). */
static void supervisor_warn_tunnels(const struct config *c)
{
	if (c->interfaces.n > 0 && c->workers > 1 && c->key_without & FLOW_KEY_TUNNEL &&
	    strcmp(c->tunnels, "inner") == 0)
		log_warn("flow-key is without tunnel: a flow seen in several tunnels, or in one and out of it, may be "
			 "several workers', each of whom reports its part; -w 1 puts them together");
}

int supervisor_run(struct config *config, int argc, char **argv)
{
	struct supervisor *s = calloc(1, sizeof(*s));
	char err[512] = "no memory";
	int rc = s ? 0 : -ENOMEM;
	int status;

	sandbox_no_dumps();
	if (s) {
		s->config = config;
		s->mirror.one_way = config->sample_packets > 1; /* of a sampled flow the other one may be left out */
		s->argc = argc;
		s->argv = argv;
		s->reloads.last_ok = true;
		for (unsigned i = 0; i < SHARED_WORKERS_MAX; i++)
			s->workers[i].store = -1;
		s->geo.sockets[0] = s->geo.sockets[1] = -1;
		rc = supervisor_init(s, err, sizeof(err));
	}
	if (rc) {
		log_error("%s", err);
		if (s)
			supervisor_deinit(s);
		free(s);
		return rc == -EINVAL || rc == -ENOENT ? 1 : 2; /* a protocols file that is wrong is bad configuration */
	}
	links_warn_offload(&s->links);
	supervisor_warn_tunnels(config);
	group_warn(config->uris, config->outputs.n);
	supervisor_start(s);
	supervisor_loop(s);
	mirror_look(&s->mirror, &s->shared);
	if (config->stats)
		supervisor_stats(s);
	status = s->status;
	supervisor_deinit(s);
	free(s);
	return status;
}
