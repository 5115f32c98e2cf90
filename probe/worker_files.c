/* SPDX-License-Identifier: Apache-2.0 */
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/log.h"
#include "worker_internal.h"

enum { WORKER_WAKE_FILL = 12 }; /* percent of the ring before the exporter is woken */

static void worker_skip(void *arg, const struct capture_frame *frames, unsigned n)
{
	(void)arg;
	(void)frames;
	(void)n;
}

static uint64_t worker_file_packets(const struct worker *w)
{
	return shared_get(&w->progress->place) & (((uint64_t)1 << SHARED_PLACE_FILE) - 1);
}

static void worker_mark(struct worker *w, const struct capture *file)
{
	struct shared_progress *p = w->progress;
	uint32_t next = !atomic_load(&p->mark);

	p->marks[next] = (struct shared_mark){shared_get(&p->place), capture_position(file)};
	flow_journal_set(&p->mark, next);
}

/* Goes to the last mark in the file that is being read. Returns how many packets are before it. */
static uint64_t worker_to_mark(const struct worker *w, struct capture *file)
{
	const struct shared_progress *p = w->progress;
	const struct shared_mark *m = &p->marks[atomic_load(&p->mark) & 1];
	uint64_t place = shared_get(&p->place), behind = place - m->place;

	if (m->place >> SHARED_PLACE_FILE != place >> SHARED_PLACE_FILE || m->place > place || !m->octets ||
	    !capture_move(file, m->octets))
		return 0;
	return worker_file_packets(w) - behind;
}

/* A file that a worker before this one was reading when it died: its whole packets are counted already. */
static int worker_resume(struct worker *w, struct capture *file)
{
	uint64_t left = worker_file_packets(w) - worker_to_mark(w, file);

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
		/* As one that was never interrupted: flows expire between the same packets. */
		unsigned done = (unsigned)(worker_file_packets(w) % WORKER_BATCH);

		if (done == 0)
			flow_tracker_expire(&w->tracker, 0, UINT_MAX);
		n = capture_read(file, WORKER_BATCH - done, worker_frames, w);
		shared_set(&w->progress->file_octets, capture_position(file));
		worker_mark(w, file);
		if (ring_fill(&w->ring) >= WORKER_WAKE_FILL)
			ring_wake(&w->ring);
	}
	if (n == CAPTURE_FAILED && !worker_stop) { /* else a signal ended the wait for a pipe */
		log_error("%s (after %llu packets)", capture_error(file), (unsigned long long)worker_file_packets(w));
		return 2;
	}
	return 0;
}

/* All files are opened before the first is read: what is missing or cannot be decoded is said at once. */
int worker_files(struct worker *w)
{
	const struct config *config = w->c->config;
	size_t n = config->files.n;
	struct capture **files = calloc(n, sizeof(struct capture *));
	uint64_t first = shared_get(&w->progress->place) >> SHARED_PLACE_FILE;
	int status = files ? 0 : 2;
	char err[512];

	if (!files)
		log_error("no memory");
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
			shared_set(&w->progress->place, (uint64_t)(i + 1) << SHARED_PLACE_FILE);
		}
	}
	for (size_t i = 0; files && i < n; i++)
		capture_close(files[i]);
	free(files);
	return status;
}
