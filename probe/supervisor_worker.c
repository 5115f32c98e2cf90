/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/addr.h"
#include "base/clock.h"
#include "base/log.h"
#include "flow/flow.h"
#include "flow/flow_store.h"
#include "sandbox.h"
#include "supervisor_internal.h"
#include "worker.h"

/*
 * A worker that dies more often than this goes on without classification for a while. If it dies as often without, it is not
 * started again: something is wrong that a new one will meet too.
 */
#define SUPERVISOR_DEATHS_MS 10000
#define SUPERVISOR_DPI_OFF_MS 60000

/* In the child: what is other workers' is out of its reach from here on. */
static int supervisor_worker_main(struct supervisor *s, unsigned i, const uint32_t *groups, int go)
{
	static const uint32_t none[SHARED_INTERFACES_MAX];

	struct worker_config c = {.config = s->config,
				  .dpi = s->dpi,
				  .shared = &s->shared.workers[i],
				  .split = {i, s->shared.n_workers},
				  .successor = s->workers[i].started_ms != 0,
				  .serial = s->serial,
				  .supervisor = getppid(),
				  .groups = groups ? groups : none,
				  .go = go,
				  .seed = s->seed,
				  .store = s->workers[i].store,
				  .last = s->workers[i].last};
	int rc = shared_keep_worker(&s->shared, i);

	if (rc) {
		log_error("worker %u: shared memory: %s", i, strerror(-rc));
		return 2;
	}
	for (unsigned k = 0; k < s->shared.n_workers; k++)
		if (k != i)
			close(s->workers[k].store);
	supervisor_geo_forget(&s->geo);
	shared_ring(&s->shared, i, &c.ring);
	return worker_run(&c);
}

pid_t supervisor_fork_worker(struct supervisor *s, unsigned i, struct supervisor_next *next, const uint32_t *groups)
{
	int go[2] = {-1, -1};
	pid_t pid;

	if (groups && pipe(go))
		return -1;
	s->serial++;
	pid = supervisor_fork(s, worker_signals);
	if (pid == 0) {
		if (groups)
			close(go[1]);
		else if (s->next.pid)
			close(s->next.go); /* only the supervisor tells it to go on */
		supervisor_leave(supervisor_worker_main(s, i, groups, go[0]));
	}
	if (groups)
		close(go[0]);
	if (groups && pid < 0)
		close(go[1]);
	*next = (struct supervisor_next){
		.go = go[1], .serial = s->serial, .rules = s->reloads.rules, .started_ms = clock_mono_ms()};
	return pid;
}

void supervisor_put_worker(struct supervisor *s, unsigned i, pid_t pid, const struct supervisor_next *next)
{
	struct supervisor_worker *w = &s->workers[i];

	w->pid = pid;
	w->serial = next->serial;
	w->rules = next->rules;
	w->started_ms = clock_mono_ms();
	w->opened = false;
	w->call = 0;
	w->hung = false;
}

int supervisor_start_worker(struct supervisor *s, unsigned i)
{
	struct supervisor_next next;
	pid_t pid;

	if (s->workers[i].last)
		supervisor_follow_not(s, i);
	else if (supervisor_follow_now(s, i))
		return 0;
	links_expect(&s->links, s->shared.workers[i].progress.captures);
	pid = supervisor_fork_worker(s, i, &next, NULL);
	if (pid < 0)
		return -errno;
	supervisor_put_worker(s, i, pid, &next);
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

void supervisor_close_ring(struct supervisor *s, unsigned i)
{
	struct shared_worker_counters *c = &s->shared.workers[i].counters;
	struct ring r;

	shared_add(&c->flows_lost, shared_get(&c->flows_active));
	shared_set(&c->flows_active, 0);
	shared_ring(&s->shared, i, &r);
	ring_close(&r);
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
	const char *sentence = "not started again";
	bool again;

	if (s->abandoned)
		return;
	supervisor_blocked_call(&shared->progress, call, sizeof(call));
	supervisor_last_flow(&shared->progress, flow, sizeof(flow));
	if (s->workers[i].hung)
		snprintf(how, sizeof(how), "hung for more than a second and was killed");
	else
		snprintf(how, sizeof(how), "died of signal %d (%s%s)", signal_number, strsignal(signal_number), call);
	again = !s->workers[i].last && supervisor_sentence(s, i, now, &sentence);
	log_error("worker %u %s after %llu.%03llu s%s; %llu flows %s; %s", i, how, (unsigned long long)(lived / 1000),
		  (unsigned long long)(lived % 1000), flow,
		  (unsigned long long)shared_get(&shared->counters.flows_active), s->workers[i].last ? "lost" : "kept",
		  sentence);
	supervisor_quarantine(s, shared);
	if (again && supervisor_start_worker(s, i) == 0) {
		s->restarts++;
		return;
	}
	if (!s->stopping || !killed)
		s->status = 2;
	if (!s->workers[i].last) {
		s->workers[i].last = true;
		if (supervisor_start_worker(s, i) == 0)
			return;
	}
	supervisor_close_ring(s, i);
}

/* It made way: the next one goes on with its flows. */
static void supervisor_worker_made_way(struct supervisor *s, unsigned i)
{
	s->workers[i].last |= s->stopping && (!s->next.pid || s->next.worker != i);
	if (supervisor_start_worker(s, i) == 0)
		return;
	log_error("worker %u cannot be started: %s", i, strerror(errno));
	s->status = 2;
	supervisor_close_ring(s, i);
}

void supervisor_worker_ended(struct supervisor *s, unsigned i, int wait_status)
{
	s->workers[i].pid = 0;
	if (!WIFSIGNALED(wait_status) && WEXITSTATUS(wait_status) != WORKER_MADE_WAY)
		supervisor_follow_not(s, i);
	if (WIFSIGNALED(wait_status)) {
		supervisor_worker_died(s, i, WTERMSIG(wait_status));
	} else if (WEXITSTATUS(wait_status) == WORKER_MADE_WAY && !s->abandoned) {
		supervisor_worker_made_way(s, i);
	} else if (WEXITSTATUS(wait_status)) {
		s->status = 2;
		supervisor_close_ring(s, i);
	}
}
