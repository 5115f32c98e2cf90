/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <poll.h>
#include <string.h>

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
	WORKER_DRAIN_MS = 1000,  /* for what is left in the kernel at the end */
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

/* Opens what is there. At the start of the probe all must be; later one may be away, and the supervisor looks for it. */
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
		const struct shared_interface_counters *before = &w->counters->interfaces[i];
		int rc;

		options.interface = config->interfaces.items[i];
		options.place = i;
		rc = capture_open_live(&l->captures[i], &options, err, sizeof(err));
		if (rc && (!w->c->successor || (rc != -ENODEV && rc != -ENETDOWN)))
			log_error("%s", err);
		if (rc && !w->c->successor)
			return 2;
		l->before[i].kernel_drops = shared_get(&before->kernel_drops);
		l->before[i].interface_drops = shared_get(&before->interface_drops);
		l->before[i].merged = shared_get(&before->merged_packets);
		w->interfaces[i] = rc ? 0 : capture_ifindex(l->captures[i]);
	}
	return 0;
}

static void worker_live_close(struct worker_live *l)
{
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

/* now_us: past it by more than the hold, frames wait for none that may be older. */
static int worker_live_read(struct worker_live *l, uint64_t now_us)
{
	struct worker *w = l->w;
	int n;

	if (l->n > 1) {
		n = capture_merge_read(&l->merge, now_us, WORKER_BATCH, worker_frame, w);
		if (n < 0)
			worker_live_lose(l, l->merge.failed);
	} else {
		n = l->captures[0] ? capture_read(l->captures[0], WORKER_BATCH, worker_frame, w) : 0;
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
 * What came until now is counted, too: it is in the kernel, the latest in a block that is ours only when the capture's timeout is
 * over. A frame that came later ends this.
 */
static void worker_live_drain(struct worker_live *l)
{
	uint64_t stop_ms = clock_wall_ms() + WORKER_HOLD_MS, mono = clock_mono_ms();
	uint64_t block = mono + l->w->c->config->capture_timeout + WORKER_HOLD_MS;

	for (; mono < block; mono = clock_mono_ms())
		poll(NULL, 0, (int)(block - mono)); /* a signal ends one call */
	while (worker_live_read(l, UINT64_MAX / 2) != 0 && l->w->tracker.clock_ms <= stop_ms &&
	       clock_mono_ms() < block + WORKER_DRAIN_MS)
		ring_wake(&l->w->ring);
	capture_merge_flush(&l->merge, worker_frame, l->w);
}

static void worker_live_run(struct worker_live *l)
{
	while (!worker_stop) {
		int n = worker_live_read(l, clock_wall_us());
		bool more = worker_live_batch(l, n);

		if (n == 0)
			worker_live_wait(l, more);
	}
	worker_live_drain(l);
}

int worker_live(struct worker *w)
{
	const struct conf_list *names = &w->c->config->interfaces;
	/* Flows of a worker before this one expire on a silent wire, too. */
	struct worker_live l = {
		.w = w, .n = (unsigned)names->n, .quiet_clock = w->tracker.clock_ms, .quiet_mono = clock_mono_ms()};
	int status = worker_live_open(&l);

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
