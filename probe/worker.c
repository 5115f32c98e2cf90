/* SPDX-License-Identifier: Apache-2.0 */
#include "worker.h"

#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "capture/capture.h"
#include "decode/decode.h"
#include "flow/flow_tracker.h"
#include "sandbox.h"

enum {
	WORKER_BATCH = 512,      /* frames between looks at the clock */
	WORKER_EXPIRE_FILL = 50, /* percent of the ring, live, which flows that expired may fill */
	WORKER_POLL_MS = 100,
	WORKER_POLL_MORE_MS = 1, /* when more flows are due than the ring had room for */
	WORKER_DROPS_MS = 1000,  /* how often the kernel is asked for drops */
	WORKER_WAKE_FILL = 12,   /* percent of the ring, reading files, before the exporter is woken */
};

struct worker {
	const struct worker_config *c;
	struct shared_worker_counters *counters;
	struct shared_progress *progress;
	struct flow_tracker tracker;
	struct ring ring;
	uint32_t interface;
	bool live;
	bool patient;           /* a full ring is waited for */
	bool prompt;            /* each record is told to the exporter at once */
	uint64_t quiet_clock;   /* live: tracker's clock when the last frame came, */
	uint64_t quiet_mono;    /* and the monotonic clock then */
	uint64_t drops_mono;    /* when drops were last read */
	uint64_t kernel_before; /* drops of a worker before this one: the kernel counts for each anew */
	uint64_t interface_before;
};

static volatile sig_atomic_t worker_stop;

static void worker_on_signal(int number)
{
	(void)number;
	worker_stop = 1;
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

static void worker_count(struct worker *w, enum decode_result r, const struct capture_frame *f)
{
	if (r != DECODE_OK) {
		shared_add(&w->counters->refused_packets[r], 1);
		shared_add(&w->counters->refused_octets[r], f->wire);
	}
	shared_add(&w->counters->packets, 1);
	shared_add(&w->counters->octets, f->wire);
}

static void worker_frame(void *arg, const struct capture_frame *f)
{
	struct worker *w = arg;
	enum decode_result r;
	struct packet p;

	r = decode_ethernet(f->data, f->captured, f->wire, &p);
	p.time_ms = f->time_ms;
	p.interface = w->interface;
	if (worker_shares(w, r, &p)) {
		if (r == DECODE_OK)
			flow_tracker_packet(&w->tracker, &p);
		/* After it: a packet in which a worker dies is read again, and counted once. */
		worker_count(w, r, f);
	} else if (r == DECODE_OK) {
		flow_tracker_clock(&w->tracker, p.time_ms);
	}
	if (!w->live)
		shared_add(&w->progress->file_packets, 1);
}

static void worker_skip(void *arg, const struct capture_frame *f)
{
	(void)arg;
	(void)f;
}

/* A file that a worker before this one was reading when it died: its whole packets are counted already. */
static int worker_resume(struct worker *w, struct capture *file)
{
	uint64_t left = shared_get(&w->progress->file_packets);

	while (left > 0) {
		int n = capture_read(file, left < WORKER_BATCH ? (unsigned)left : WORKER_BATCH, worker_skip, NULL);

		if (n <= 0)
			return n;
		left -= (uint64_t)n;
	}
	return 0;
}

/* A pipe may be somebody's live capture: its reading waits for packets in the middle of a batch. */
static bool worker_is_pipe(const struct capture *file)
{
	struct stat st;

	return fstat(capture_descriptor(file), &st) == 0 && !S_ISREG(st.st_mode);
}

static int worker_read_file(struct worker *w, struct capture *file)
{
	int n = worker_resume(w, file);

	while (n >= 0 && !worker_stop) {
		n = capture_read(file, WORKER_BATCH, worker_frame, w);
		shared_set(&w->progress->file_octets, capture_position(file));
		flow_tracker_expire(&w->tracker, 0, UINT_MAX);
		if (ring_fill(&w->ring) >= WORKER_WAKE_FILL)
			ring_wake(&w->ring);
	}
	if (n == CAPTURE_FAILED && !worker_stop) { /* else a signal ended the wait for a pipe */
		log_error("%s (after %llu packets)", capture_error(file),
			  (unsigned long long)shared_get(&w->progress->file_packets));
		return 2;
	}
	return 0;
}

/* From here on the process can do nothing but its work. */
static int worker_confine(const struct worker *w)
{
	struct sandbox_worker s = {.event = w->ring.event, .blocked = &w->progress->blocked_call};
	char err[256];

	if (sandbox_worker(&s, err, sizeof(err))) {
		log_error("%s", err);
		return 2;
	}
	return 0;
}

/* All files are opened before the first is read: what is missing or cannot be decoded is said at once. */
static int worker_files(struct worker *w)
{
	const struct config *config = w->c->config;
	size_t n = config->files.n;
	struct capture **files = calloc(n, sizeof(*files));
	uint32_t first = atomic_load(&w->progress->file);
	int status = files ? 0 : 2;
	char err[512];

	for (size_t i = first; !status && i < n && !worker_stop; i++) {
		int rc = capture_open_file(&files[i], config->files.items[i], config->filter, err, sizeof(err));

		if (!rc) {
			w->prompt |= worker_is_pipe(files[i]);
		} else if (!worker_stop) {
			log_error("%s", err);
			status = 2;
		}
	}
	if (!status)
		status = worker_confine(w);
	for (size_t i = first; !status && i < n && !worker_stop; i++) {
		status = worker_read_file(w, files[i]);
		if (!status && !worker_stop) {
			shared_set(&w->progress->file_octets, 0);
			atomic_store(&w->progress->file, (uint32_t)i + 1);
			shared_set(&w->progress->file_packets, 0);
		}
	}
	for (size_t i = 0; files && i < n; i++)
		capture_close(files[i]);
	free(files);
	return status;
}

static void worker_read_drops(struct worker *w, struct capture *live)
{
	uint64_t kernel, interface;

	capture_drops(live, &kernel, &interface);
	shared_set(&w->counters->kernel_drops, w->kernel_before + kernel);
	shared_set(&w->counters->interface_drops, w->interface_before + interface);
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
static bool worker_live_batch(struct worker *w, struct capture *live, int n)
{
	uint64_t mono = clock_mono_ms();
	uint64_t now = 0;
	bool more;

	if (n > 0) {
		w->quiet_clock = w->tracker.clock_ms;
		w->quiet_mono = mono;
	} else if (w->quiet_clock) {
		now = w->quiet_clock + (mono - w->quiet_mono);
	}
	more = flow_tracker_expire(&w->tracker, now, worker_room(w));
	ring_wake(&w->ring);
	if (mono - w->drops_mono >= WORKER_DROPS_MS) {
		w->drops_mono = mono;
		worker_read_drops(w, live);
	}
	return more;
}

static int worker_live(struct worker *w)
{
	const struct config *config = w->c->config;
	struct capture_live options = {.interface = config->interfaces.items[0],
				       .filter = config->filter,
				       .snaplen = (uint32_t)config->snaplen,
				       .buffer_size = (uint32_t)(config->buffer_size << 20),
				       .split = w->c->split};
	struct capture *live;
	struct pollfd readable;
	bool more;
	int n = 0;
	char err[512];

	if (capture_open_live(&live, &options, err, sizeof(err))) {
		log_error("%s", err);
		return 2;
	}
	w->interface = capture_ifindex(live);
	if (worker_confine(w)) {
		capture_close(live);
		return 2;
	}
	log_info("capturing on %s", options.interface);
	readable = (struct pollfd){.fd = capture_descriptor(live), .events = POLLIN};
	while (!worker_stop && n >= 0) {
		n = capture_read(live, WORKER_BATCH, worker_frame, w);
		more = worker_live_batch(w, live, n);
		if (n == 0)
			poll(&readable, 1, more ? WORKER_POLL_MORE_MS : WORKER_POLL_MS);
	}
	worker_read_drops(w, live);
	if (n < 0)
		log_error("%s", capture_error(live));
	capture_close(live);
	return n < 0 ? 2 : 0;
}

static int worker_start(struct worker *w)
{
	const struct config *config = w->c->config;
	struct flow_tracker_config tracker = {.max_flows = (uint32_t)config->max_flows,
					      .idle_ms = config->idle_timeout * 1000,
					      .active_ms = config->active_timeout * 1000,
					      .early = config->early,
					      .keep_packets = config->crash_dir != NULL,
					      .domain = (uint32_t)config->observation_domain,
					      .seed = w->c->seed};
	struct flow_sink sink = {worker_reserve, worker_commit, w};

	return flow_tracker_init(&w->tracker, &tracker, w->c->dpi, w->c->shared, sink);
}

void worker_signals(void)
{
	struct sigaction stop = {.sa_handler = worker_on_signal};

	sigaction(SIGTERM, &stop, NULL);
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
	w->kernel_before = shared_get(&w->counters->kernel_drops);
	w->interface_before = shared_get(&w->counters->interface_drops);
	w->ring = c->ring;
	w->live = c->config->interfaces.n > 0;
	w->patient = !w->live;
	status = worker_start(w);
	if (status) {
		log_error("flow table for %llu flows: %s", (unsigned long long)c->config->max_flows, strerror(-status));
		free(w);
		return 2;
	}
	status = w->live ? worker_live(w) : worker_files(w);
	w->patient = true;
	flow_tracker_flush(&w->tracker);
	flow_tracker_deinit(&w->tracker);
	ring_close(&w->ring);
	free(w);
	return status;
}
