/* SPDX-License-Identifier: Apache-2.0 */
#include <signal.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "supervisor_internal.h"

/*
 * A call of nDPI that has used more than this of the processor hangs. Processor time, because on a machine that is slow, or
 * in a process that is stopped, any call may take long. One that sleeps, which none does, has longer.
 */
#define SUPERVISOR_HANG_CPU_NS 1000000000
#define SUPERVISOR_HANG_MS 30000
#define SUPERVISOR_LOOK_MS 1000
#define SUPERVISOR_LOOK_AGAIN_MS 250 /* while a worker is in a call */

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

int supervisor_watch(struct supervisor *s)
{
	uint64_t now = clock_mono_ms();
	uint64_t since = now - s->looked_ms;
	bool calling = false;

	/* A machine that was asleep, or we: not the workers' fault. */
	if (since > SUPERVISOR_LOOK_MS)
		since = SUPERVISOR_LOOK_MS;
	s->looked_ms = now;
	links_look(&s->links, now);
	mirror_look(&s->mirror, &s->shared);
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
