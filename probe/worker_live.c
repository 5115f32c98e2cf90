/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "capture/capture_merge.h"
#include "worker_internal.h"

enum {
	WORKER_EXPIRE_FILL = 50, /* percent of the ring which flows that expired may fill */
	WORKER_POLL_MS = 100,
	WORKER_POLL_MORE_MS = 1, /* when more flows are due than the ring had room for */
	WORKER_COUNT_MS = 1000,  /* how often the kernel is asked for drops */
	WORKER_HOLD_MS = 5,      /* by which the kernel may be late with a block */
	WORKER_DRAIN_MS = 1000,  /* the longest that is waited at the end for a frame that the kernel has */
};

struct worker_live {
	struct worker *w;
	struct capture *captures[SHARED_INTERFACES_MAX]; /* by place; NULL while it is away */
	struct capture_merge merge;                      /* of them, if there are several */
	unsigned n;
	/* Counted by a worker before this one, or before an interface was away: the kernel counts for each socket anew. */
	struct capture_counts before[SHARED_INTERFACES_MAX];
	uint64_t counted_mono;
	uint64_t quiet_clock; /* tracker's clock when the last frame came, */
	uint64_t quiet_mono;  /* and the monotonic clock then */
};

/* An interface's own drops are the same for all workers: the first counts them. */
static void worker_count_drops(struct worker_live *l)
{
	struct worker *w = l->w;
	uint64_t kernel = 0, interface = 0;

	for (unsigned i = 0; i < l->n; i++) {
		struct shared_interface_counters *to = &w->counters->interfaces[i];
		struct capture_counts now;

		if (l->captures[i]) {
			capture_counts(l->captures[i], &now);
			shared_set(&to->kernel_drops, l->before[i].kernel_drops + now.kernel_drops);
			shared_set(&to->merged_packets, l->before[i].merged + now.merged);
			if (w->c->split.index == 0)
				shared_set(&to->interface_drops, l->before[i].interface_drops + now.interface_drops);
		}
		kernel += shared_get(&to->kernel_drops);
		interface += shared_get(&to->interface_drops);
	}
	shared_set(&w->counters->kernel_drops, kernel);
	shared_set(&w->counters->interface_drops, interface);
}

/*
 * How many flows may end now without crowding out what packets bring: they can wait for the exporter, and it is
 * common that many are due at once.
 */
static unsigned worker_room(struct worker *w)
{
	unsigned fill = ring_fill(&w->ring);

	return fill >= WORKER_EXPIRE_FILL ? 0 : (WORKER_EXPIRE_FILL - fill) * SHARED_RING_SLOTS / 100;
}

/* After each batch: the clock, expiry, and the exporter. Returns true if more flows have expired. */
static bool worker_live_batch(struct worker_live *l, int n)
{
	struct worker *w = l->w;
	uint64_t mono = clock_mono_ms();
	uint64_t now = 0;
	bool more;

	if (n > 0) {
		l->quiet_clock = w->tracker.clock_ms;
		l->quiet_mono = mono;
	} else if (l->quiet_clock) {
		now = l->quiet_clock + (mono - l->quiet_mono);
	}
	more = flow_tracker_expire(&w->tracker, now, worker_room(w));
	ring_wake(&w->ring);
	if (mono - l->counted_mono >= WORKER_COUNT_MS) {
		l->counted_mono = mono;
		worker_count_drops(l);
	}
	return more;
}

/*
 * Opens what is there. At the start of the probe all must be; later one may be away, and the supervisor looks for it. Who
 * follows one that still captures leaves it to that if it cannot do as well.
 */
static int worker_live_open(struct worker_live *l)
{
	struct worker *w = l->w;
	const struct config *config = w->c->config;
	struct capture_live options = {.filter = config->filter,
				       .snaplen = (uint32_t)config->snaplen,
				       .buffer_size = (uint32_t)(config->buffer_size << 20),
				       .timeout_ms = (unsigned)config->capture_timeout,
				       .promiscuous = strcmp(config->promiscuous, "yes") == 0,
				       .split = w->c->split};
	char err[512];

	for (unsigned i = 0; i < l->n; i++) {
		bool away;
		int rc;

		options.interface = config->interfaces.items[i];
		options.place = i;
		options.group = w->c->groups[i];
		rc = capture_open_live(&l->captures[i], &options, err, sizeof(err));
		away = rc == -ENODEV || rc == -ENETDOWN;
		if (rc && (!w->c->successor || !away))
			log_error("%s", err);
		if (rc && (!w->c->successor || (w->c->go >= 0 && !away)))
			return 2;
		w->interfaces[i] = rc ? 0 : capture_ifindex(l->captures[i]);
	}
	return 0;
}

static void worker_live_say(const struct worker_config *c, _Atomic uint32_t *what)
{
	atomic_store(what, c->serial);
	if (getppid() == c->supervisor)
		kill(c->supervisor, SIGUSR2);
}

/*
 * From one worker to the next: all captures are open beside those of the other. With capture_follow() the kernel gives it nothing
 * more; what it has been given it reads, then it ends. Meanwhile ours collect. Who follows none is given all frames already; to ask
 * for them again would take the kernel two of its grace periods. Returns 0, or 2 after one line on standard error.
 */
static int worker_live_follow(struct worker_live *l)
{
	const struct worker_config *c = l->w->c;
	bool follows = c->go >= 0;
	int rc = 0;
	char go;

	for (unsigned i = 0; follows && i < l->n && !rc; i++)
		if (l->captures[i])
			rc = capture_follow(l->captures[i]);
	for (unsigned i = 0; i < l->n; i++)
		atomic_store(&c->shared->opened.groups[i], l->captures[i] ? capture_group(l->captures[i]) : 0);
	if (!rc)
		worker_live_say(c, &c->shared->opened.serial);
	while (!rc && follows) {
		ssize_t n = read(c->go, &go, 1);

		if (n == 1)
			break;
		if (n == 0 || errno != EINTR)
			_exit(2); /* the supervisor is gone, and has said why */
	}
	for (unsigned i = 0; follows && i < l->n && !rc; i++)
		if (l->captures[i])
			rc = capture_settle(l->captures[i]);
	if (!rc) {
		worker_live_say(c, &c->shared->opened.settled);
		return 0;
	}
	log_error("worker %u cannot take over its captures: %s", c->split.index, strerror(-rc));
	return 2;
}

/* What those before have counted: theirs, and ours from here on. */
static void worker_live_inherit(struct worker_live *l)
{
	for (unsigned i = 0; i < l->n; i++) {
		const struct shared_interface_counters *before = &l->w->counters->interfaces[i];

		l->before[i].kernel_drops = shared_get(&before->kernel_drops);
		l->before[i].interface_drops = shared_get(&before->interface_drops);
		l->before[i].merged = shared_get(&before->merged_packets);
	}
	l->quiet_clock = l->w->tracker.clock_ms;
	l->quiet_mono = clock_mono_ms();
}

static void worker_live_close(struct worker_live *l)
{
	if (l->w->begun)
		worker_count_drops(l);
	for (unsigned i = 0; i < l->n; i++)
		capture_close(l->captures[i]);
}

/* An interface that has gone, most likely; the supervisor says so, and when it is back. The others go on. */
static void worker_live_lose(struct worker_live *l, unsigned i)
{
	struct capture *gone = l->captures[i];

	worker_count_drops(l);
	log_info("%s", capture_error(gone));
	l->captures[i] = NULL;
	capture_close(gone);
	atomic_store(&l->w->progress->captures[i], 0);
}

static int worker_live_read(struct worker_live *l)
{
	struct worker *w = l->w;
	int n;

	if (l->n > 1) {
		n = capture_merge_read(&l->merge, clock_wall_us(), WORKER_BATCH, worker_frames, w);
		if (n < 0)
			worker_live_lose(l, l->merge.failed);
	} else {
		n = l->captures[0] ? capture_read(l->captures[0], WORKER_BATCH, worker_frames, w) : 0;
		if (n < 0)
			worker_live_lose(l, 0);
	}
	return n;
}

/* Until there is something to do. Who has a frame that waits for its turn is not asked for more. */
static void worker_live_wait(const struct worker_live *l, bool more)
{
	struct pollfd readable[SHARED_INTERFACES_MAX];
	int wait_ms = more ? WORKER_POLL_MORE_MS : WORKER_POLL_MS;

	for (unsigned i = 0; i < l->n; i++)
		readable[i] = (struct pollfd){
			.fd = l->captures[i] && !l->merge.heads[i].frame ? capture_descriptor(l->captures[i]) : -1,
			.events = POLLIN};
	poll(readable, l->n, capture_merge_wait(&l->merge, clock_wall_us(), wait_ms));
}

/*
 * The end of this worker, not of its packets: what the kernel has taken for it by now is read, though the last block comes only with
 * the capture timeout.
 */
static void worker_live_drain(struct worker_live *l)
{
	uint64_t until[SHARED_INTERFACES_MAX] = {0}, read_ms = clock_mono_ms();
	bool left = true;

	for (unsigned i = 0; i < l->n; i++)
		until[i] = l->captures[i] ? capture_taken(l->captures[i]) : 0;
	while (left && clock_mono_ms() - read_ms < WORKER_DRAIN_MS) {
		int n = worker_live_read(l);

		worker_live_batch(l, n);
		if (n > 0)
			read_ms = clock_mono_ms();
		left = false;
		for (unsigned i = 0; i < l->n; i++)
			left |= l->captures[i] && capture_done(l->captures[i]) < until[i];
		if (n == 0 && left)
			worker_live_wait(l, false);
	}
	capture_merge_flush(&l->merge, worker_frames, l->w);
}

static void worker_live_run(struct worker_live *l)
{
	while (!worker_stop) {
		int n = worker_live_read(l);
		bool more = worker_live_batch(l, n);

		if (n == 0)
			worker_live_wait(l, more);
	}
	worker_live_drain(l);
}

int worker_live(struct worker *w)
{
	const struct conf_list *names = &w->c->config->interfaces;
	struct worker_live l = {.w = w, .n = (unsigned)names->n};
	int status = worker_live_open(&l);

	if (!status)
		status = worker_live_follow(&l);
	if (!status)
		status = worker_begin(w);
	if (!status)
		worker_live_inherit(&l); /* flows of a worker before this one expire on a silent wire, too */
	l.merge.captures = l.captures;
	l.merge.n = l.n;
	l.merge.hold_us = (2 * w->c->config->capture_timeout + WORKER_HOLD_MS) * 1000;
	if (!status)
		status = worker_confine(w);
	for (unsigned i = 0; !status && i < l.n; i++) {
		atomic_store(&w->progress->captures[i], w->interfaces[i]);
		if (l.captures[i])
			log_info("capturing on %s", names->items[i]);
	}
	if (!status)
		worker_live_run(&l);
	worker_live_close(&l);
	return status;
}
