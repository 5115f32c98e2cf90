/* SPDX-License-Identifier: Apache-2.0 */
#include "worker.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "capture/interface.h"
#include "cpus.h"
#include "decode/decode.h"
#include "sandbox.h"
#include "worker_internal.h"

/* After the drain timeout, before a worker whose supervisor has died and that does not end is ended. */
#define WORKER_GRACE_S 5

volatile sig_atomic_t worker_stop;

/* For handlers of signals, which have no argument of ours. Set once, before they come. */
static struct ring worker_last_ring;
static unsigned worker_last_s;

static void worker_on_signal(int number)
{
	if (number == SIGTERM) {
		worker_stop = WORKER_END;
		alarm(worker_last_s);
	} else if (!worker_stop) {
		worker_stop = WORKER_MAKE_WAY;
	}
}

/* It hangs, and there is no supervisor to end it: the exporter must not wait for more. */
static void worker_on_alarm(int number)
{
	(void)number;
	ring_close(&worker_last_ring);
	_exit(2);
}

/* Live, a full ring drops the record: the wire does not wait. A file does, and so does the end. */
static struct l7_record *worker_reserve(void *arg)
{
	static const struct timespec pause = {0, 100000};
	struct worker *w = arg;
	void *slot = ring_reserve(&w->ring);

	while (!slot && w->patient) {
		ring_wake(&w->ring);
		nanosleep(&pause, NULL);
		slot = ring_reserve(&w->ring);
	}
	if (!slot)
		shared_add(&w->counters->ring_dropped, 1);
	return slot;
}

static void worker_commit(void *arg)
{
	struct worker *w = arg;

	ring_commit(&w->ring);
	if (w->prompt)
		ring_wake(&w->ring);
}

static uint64_t worker_made(void *arg)
{
	const struct worker *w = arg;

	return ring_made(&w->ring) + shared_get(&w->counters->ring_dropped);
}

/*
 * Whether a frame is of this worker's share. Live the kernel has seen to it; a file is read whole by every worker, so that all
 * have the same clock.
 */
static bool worker_shares(const struct worker *w, enum decode_result r, const struct packet *p)
{
	const struct split *s = &w->c->split;

	if (w->live || s->count == 1)
		return true;
	return (r == DECODE_OK ? split_worker(p, s->count) : 0) == s->index;
}

/* The same of the packet around one in a tunnel. */
static bool worker_shares_around(const struct worker *w, const struct packet *p)
{
	const struct packet_tunnel *in = &p->tunnel[p->around.tunnel];
	const struct split *s = &w->c->split;

	if (w->live || s->count == 1)
		return true;
	return split_pair(in->ip[0], in->ip[1], p->around.ip_version, s->count) == s->index;
}

/* True if p is to be left out: a copy of a packet that was counted. Nobody having asked for that, a sample is looked at. */
static bool worker_duplicate(struct worker *w, const struct packet *p)
{
	if (w->c->config->dedup) {
		if (!duplicates_seen(w->duplicates, p))
			return false;
		shared_add(&w->counters->duplicate_packets, 1);
		return true;
	}
	if (duplicates_sampled(p)) {
		shared_add(&w->counters->duplicate_sample, 1);
		if (duplicates_seen(w->duplicates, p))
			shared_add(&w->counters->duplicate_found, 1);
	}
	return false;
}

/* A frame until its turn comes. */
struct worker_packet {
	enum decode_result decoded;
	bool mine;   /* of this worker's share */
	bool known;  /* it is, and a packet */
	bool chosen; /* it is, and looked at: the lookup holds */
	struct flow_lookup lookup;
	struct packet packet;
};

static void worker_decode(const struct worker *w, const struct capture_frame *f, struct worker_packet *d)
{
	d->packet.tunnels_max = w->tunnels_max;
	d->decoded = decode_frame(f->link, f->data, f->captured, f->wire, &d->packet);
	d->packet.time_ms = f->time_ms;
	d->packet.us = f->us;
	d->packet.interface = w->interfaces[f->place];
	if (d->packet.interface == INTERFACE_ANY_INDEX)
		d->packet.interface = decode_interface(f->link, f->data, f->captured);
	d->mine = worker_shares(w, d->decoded, &d->packet);
	d->known = d->mine && d->decoded == DECODE_OK;
	d->chosen = d->known && flow_sample_packet(&w->packets, &d->packet);
	if (d->chosen)
		flow_tracker_expect(&w->tracker, &d->lookup, &d->packet);
}

static void worker_count_tunnels(struct shared_worker_counters *c, const struct packet *p)
{
	shared_add(&c->tunnel_packets, p->tunnels > 0);
	shared_add(&c->tunnel_opaque, (p->tunnel_flags & PACKET_TUNNEL_OPAQUE) != 0);
	shared_add(&c->tunnel_deep, (p->tunnel_flags & PACKET_TUNNEL_DEEP) != 0);
}

static void worker_count(struct worker *w, const struct capture_frame *f, struct worker_packet *d)
{
	struct flow_journal *j = &w->tracker.store.head->journal;
	struct shared_worker *shared = w->c->shared;

	if (!d->mine) {
		if (d->decoded == DECODE_OK)
			flow_tracker_clock(&w->tracker, f->time_ms);
		shared_add(&w->progress->place, 1);
		return;
	}
	if (d->known && d->packet.tunnels | d->packet.tunnel_flags)
		worker_count_tunnels(w->counters, &d->packet);
	flow_frame_note(&j->frame, d->decoded, f->wire, w->live ? f->place : SHARED_INTERFACES_MAX, shared);
	if (d->known && worker_duplicate(w, &d->packet)) {
		flow_tracker_clock(&w->tracker, f->time_ms);
		flow_journal_set(&j->stage, FLOW_STAGE_FRAME);
	} else if (d->known && !d->chosen) {
		flow_tracker_leave_out(&w->tracker, &d->packet);
	} else if (d->known) {
		flow_tracker_expected(&w->tracker, &d->packet, &d->lookup);
	} else {
		flow_journal_set(&j->stage, FLOW_STAGE_FRAME);
	}
	flow_frame_do(&j->frame, shared);
	flow_journal_set(&j->stage, FLOW_STAGE_NONE);
}

static void worker_packet(struct worker *w, const struct capture_frame *f, struct worker_packet *d)
{
	worker_count(w, f, d);
	if (d->decoded == DECODE_OK && d->packet.tunnel_flags & PACKET_TUNNEL_FRAGMENT &&
	    worker_shares_around(w, &d->packet))
		flow_tracker_around(&w->tracker, &d->packet);
}

/*
 * Of several frames the flows are asked for before the first is taken in: buckets, then what is in them. They come from memory side
 * by side, while others have their turn.
 */
void worker_frames(void *arg, const struct capture_frame *frames, unsigned n)
{
	struct worker_packet packets[CAPTURE_TOGETHER];
	struct worker *w = arg;

	for (unsigned i = 0; i < n; i++)
		worker_decode(w, &frames[i], &packets[i]);
	for (unsigned i = 0; n > 1 && i < n; i++)
		if (packets[i].chosen)
			flow_table_prefetch_flow(&w->tracker.table, packets[i].lookup.hash);
	for (unsigned i = 0; i < n; i++)
		worker_packet(w, &frames[i], &packets[i]);
}

int worker_confine(const struct worker *w)
{
	struct sandbox_worker s = {.event = w->ring.event, .blocked = &w->progress->blocked_call};
	char err[256];

	if (sandbox_worker(&s, err, sizeof(err))) {
		log_error("%s", err);
		return 2;
	}
	return 0;
}

int worker_begin(struct worker *w)
{
	const struct config *config = w->c->config;
	struct flow_tracker_config tracker = {.max_flows = (uint32_t)config->max_flows,
					      .idle_ms = config->idle_timeout * 1000,
					      .active_ms = config->active_timeout * 1000,
					      .early = config->early,
					      .keep_packets = config->crash_dir != NULL,
					      .key_without = config->key_without,
					      .domain = (uint32_t)config->observation_domain,
					      .seed = w->c->seed,
					      .flows = flow_sample_one_in(config->sample_flows),
					      .wanted = {config->wanted[0], config->wanted[1]},
					      .store = w->c->store};
	struct flow_sink sink = {.reserve = worker_reserve, .commit = worker_commit, .made = worker_made, .arg = w};
	struct dpi_module *dpi = w->c->last ? NULL : w->c->dpi;
	const struct flow_adopted *found = &w->tracker.adopted;
	int rc;

	dpi_module_want(w->c->dpi, config->wanted);
	rc = flow_tracker_init(&w->tracker, &tracker, dpi, w->c->shared, sink);
	close(w->c->store);
	if (rc) {
		log_error("flow table for %llu flows: %s", (unsigned long long)config->max_flows, strerror(-rc));
		return 2;
	}
	w->begun = true;
	if (found->damaged)
		log_error("worker %u: %u flows are damaged, and lost", w->c->split.index, found->damaged);
	if (found->flows)
		log_info("worker %u: %u flows taken over, %u of them not classified further", w->c->split.index,
			 found->flows, found->dpi_lost);
	return 0;
}

void worker_signals(void)
{
	struct sigaction stop = {.sa_handler = worker_on_signal};
	struct sigaction hangs = {.sa_handler = worker_on_alarm};

	sigaction(SIGTERM, &stop, NULL);
	sigaction(SIGUSR1, &stop, NULL);
	sigaction(SIGALRM, &hangs, NULL);
	signal(SIGINT, SIG_IGN); /* of the terminal; the supervisor tells us */
	signal(SIGHUP, SIG_IGN);
}

int worker_run(const struct worker_config *c)
{
	struct worker *w = calloc(1, sizeof(*w));
	int status;

	if (!w) {
		log_error("no memory");
		return 2;
	}
	w->c = c;
	w->counters = &c->shared->counters;
	w->progress = &c->shared->progress;
	w->ring = c->ring;
	worker_last_ring = c->ring;
	worker_last_s = (unsigned)c->config->drain_timeout + WORKER_GRACE_S;
	w->live = c->config->interfaces.n > 0;
	w->patient = !w->live;
	w->tunnels_max = strcmp(c->config->tunnels, "inner") == 0 ? DECODE_TUNNELS_MAX : 0;
	w->packets = flow_sample_one_in(c->config->sample_packets);
	w->duplicates = duplicates_new();
	status = cpus_bind(&c->config->cpus, c->split.index);
	if (status)
		log_warn("worker %u is not bound to its CPU: %s", c->split.index, strerror(-status));
	if (!w->duplicates) {
		log_error("no memory");
		free(w);
		return 2;
	}
	if (w->live && !c->last)
		status = worker_live(w);
	else
		status = worker_begin(w);
	if (w->begun && c->last)
		status = worker_confine(w);
	else if (w->begun && !w->live)
		status = worker_files(w);
	if (!status && worker_stop == WORKER_MAKE_WAY) {
		status = WORKER_MADE_WAY;
	} else if (w->begun) {
		w->patient = true;
		flow_tracker_flush(&w->tracker);
		ring_close(&w->ring);
	}
	if (w->begun)
		flow_tracker_deinit(&w->tracker);
	free(w->duplicates);
	free(w);
	return status;
}
