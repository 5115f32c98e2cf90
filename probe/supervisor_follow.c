/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "supervisor_internal.h"

#define FOLLOW_OPEN_MS 5000 /* to open captures */
#define FOLLOW_FAILURES 3   /* after which a worker keeps the rules that it has, until the next reload */
#define FOLLOW_AGAIN_MS 1000

static struct shared_opened *follow_opened(struct supervisor *s, unsigned i)
{
	return &s->shared.workers[i].opened;
}

/* Takes down in which groups a worker captures, once: later it may be somebody else's. */
static void follow_look(struct supervisor *s, unsigned i)
{
	struct supervisor_worker *w = &s->workers[i];
	struct shared_opened *o = follow_opened(s, i);

	if (!w->pid || w->opened || atomic_load(&o->settled) != w->serial)
		return;
	w->opened = true;
	for (unsigned k = 0; k < SHARED_INTERFACES_MAX; k++)
		w->groups[k] = atomic_load(&o->groups[k]);
}

/* The groups of what a worker captures from now. False: from something it does without one, and cannot be followed. */
static bool follow_groups(const struct supervisor *s, unsigned i, uint32_t groups[SHARED_INTERFACES_MAX])
{
	const _Atomic uint32_t *captures = s->shared.workers[i].progress.captures;

	memset(groups, 0, SHARED_INTERFACES_MAX * sizeof(*groups));
	for (unsigned k = 0; k < s->links.n; k++) {
		uint32_t index = atomic_load(&captures[k]);

		if (index && index == atomic_load(&s->links.shared[k].index))
			groups[k] = s->workers[i].groups[k];
		if (index && !s->workers[i].groups[k])
			return false;
	}
	return true;
}

static void follow_failed(struct supervisor *s, unsigned i)
{
	struct supervisor_worker *w = &s->workers[i];

	w->failed_ms = clock_mono_ms();
	if (w->rules == s->reloads.rules || ++w->failed < FOLLOW_FAILURES)
		return;
	log_error("worker %u keeps the rules that it has: none could follow it; SIGHUP tries it again", i);
	s->reloads.failed++;
	s->reloads.last_ok = false;
}

static void follow_begin(struct supervisor *s, unsigned i)
{
	uint32_t groups[SHARED_INTERFACES_MAX];

	if (!follow_groups(s, i, groups)) {
		log_warn(
			"worker %u: this kernel has no groups of sockets; packets between it and the next are not seen",
			i);
		s->workers[i].opened = false; /* it is told once */
		kill(s->workers[i].pid, SIGUSR1);
		return;
	}
	s->next.pid = supervisor_fork_worker(s, i, &s->next, groups);
	if (s->next.pid > 0) {
		s->next.worker = i;
		return;
	}
	log_error("worker %u: the next cannot be started: %s", i, strerror(errno));
	s->next.pid = 0;
	follow_failed(s, i);
}

/* The one that waits is ready: the other is to end. */
static void follow_step(struct supervisor *s)
{
	struct supervisor_next *n = &s->next;

	if (!n->told && atomic_load(&follow_opened(s, n->worker)->serial) == n->serial) {
		n->told = true;
		kill(s->workers[n->worker].pid, SIGUSR1);
	} else if (!n->told && clock_mono_ms() - n->started_ms > FOLLOW_OPEN_MS) {
		kill(n->pid, SIGKILL);
	}
}

static bool follow_wanted(const struct supervisor *s, unsigned i, uint64_t now)
{
	const struct supervisor_worker *w = &s->workers[i];

	if (!w->pid || w->last || !w->opened || (w->failed_ms && now - w->failed_ms < FOLLOW_AGAIN_MS))
		return false;
	if (w->rules != s->reloads.rules && w->failed < FOLLOW_FAILURES)
		return true;
	return links_missed(&s->links, s->shared.workers[i].progress.captures);
}

static void follow_say(struct supervisor *s)
{
	for (unsigned i = 0; i < s->shared.n_workers; i++) {
		const struct supervisor_worker *w = &s->workers[i];

		if (!w->pid || !w->opened || w->rules != s->reloads.rules)
			return;
	}
	if (s->reloads.said != s->reloads.rules)
		log_info("rules %llu: all workers have them", (unsigned long long)s->reloads.rules);
	s->reloads.said = s->reloads.rules;
}

void supervisor_follow(struct supervisor *s)
{
	uint64_t now = clock_mono_ms();

	for (unsigned i = 0; i < s->shared.n_workers; i++)
		follow_look(s, i);
	if (s->next.pid) {
		follow_step(s);
		return;
	}
	follow_say(s);
	for (unsigned i = 0; i < s->shared.n_workers && !s->stopping && !s->next.pid; i++)
		if (follow_wanted(s, i, now))
			follow_begin(s, i);
}

bool supervisor_follow_now(struct supervisor *s, unsigned i)
{
	struct supervisor_next *n = &s->next;

	if (!n->pid || n->worker != i)
		return false;
	links_expect(&s->links, s->shared.workers[i].progress.captures);
	supervisor_put_worker(s, i, n->pid, n);
	if (write(n->go, "", 1) != 1)
		log_error("worker %u cannot be told to go on: %s", i, strerror(errno));
	close(n->go);
	n->pid = 0;
	return true;
}

void supervisor_follow_not(struct supervisor *s, unsigned i)
{
	int status;

	if (!s->next.pid || s->next.worker != i)
		return;
	kill(s->next.pid, SIGKILL);
	while (waitpid(s->next.pid, &status, 0) < 0 && errno == EINTR)
		;
	close(s->next.go);
	s->next.pid = 0;
}

void supervisor_follow_ended(struct supervisor *s, int wait_status)
{
	unsigned i = s->next.worker;

	close(s->next.go);
	s->next.pid = 0;
	if (WIFSIGNALED(wait_status))
		log_error("worker %u: the one that was to follow it died of signal %d", i, WTERMSIG(wait_status));
	else
		log_error("worker %u: the one that was to follow it ended", i);
	follow_failed(s, i);
	if (s->stopping && s->workers[i].pid && !s->next.told)
		kill(s->workers[i].pid, SIGTERM); /* it was to be told later */
}

bool supervisor_follow_stop(struct supervisor *s, unsigned i)
{
	if (!s->next.pid || s->next.worker != i)
		return false;
	/* The kernel may give it packets by now, though it has not said so: it goes on to its place, and ends there. */
	kill(s->next.pid, SIGTERM);
	return true;
}
