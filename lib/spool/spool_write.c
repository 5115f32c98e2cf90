/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the next job is to do, and what the last one has done. What was written is kept in memory until it is durable, because of a failed
 * sync nobody knows what is left: then all of it goes into another segment, and that segment's number says that what the
 * old one has from there on does not count.
 */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "spool/spool_internal.h"

static bool write_full(int error)
{
	return error == -ENOSPC || error == -EDQUOT || error == -EFBIG;
}

/* Errors that say nothing of the segment that is open. */
static bool write_harmless(int error)
{
	return write_full(error) || error == -EMFILE || error == -ENFILE || error == -ENOMEM;
}

/* ---- a job ---- */

static struct spool_segment *write_last(const struct spool *s)
{
	return &s->segments.list[s->segments.n - 1];
}

static bool write_unsynced(const struct spool *s)
{
	return s->active && s->written.seq > s->synced + 1;
}

static bool write_rotates(const struct spool *s)
{
	struct spool_record r;
	const uint8_t *payload;

	if (!s->active || s->begin || s->abandon || s->reopen)
		return true;
	(void)spool_buffer_get(&s->buffer, s->written.at, &r, &payload);
	if (write_last(s)->octets <= SPOOL_HEADER)
		return false;
	return write_last(s)->octets + SPOOL_RECORD + r.len > s->config.segment_octets ||
	       s->now_ms - s->active_ms >= s->config.segment_ms;
}

static void write_plan_batches(struct spool *s, struct spool_job *j)
{
	uint64_t used = SPOOL_HEADER;
	struct spool_run run;
	struct spool_record r;
	const uint8_t *payload;

	if (write_rotates(s)) {
		if (spool_segments_reserve(&s->segments))
			return;
		(void)spool_buffer_get(&s->buffer, s->written.at, &r, &payload);
		j->rotate = true;
		j->abandon = s->abandon;
		j->header = (struct spool_header){r.seq, r.first_record, clock_wall_ms()};
	} else {
		used = write_last(s)->octets;
	}
	spool_buffer_run(&s->buffer, s->written.at, s->written.seq,
			 used < s->config.segment_octets ? s->config.segment_octets - used : 0, &run);
	memcpy(j->pieces, run.pieces, sizeof(run.pieces));
	j->n_pieces = run.n;
	j->octets = run.octets;
	s->job_end = (struct spool_place){.seq = run.seq, .at = run.at};
}

static bool write_sync_due(const struct spool *s, const struct spool_job *j)
{
	if (s->config.sync == SPOOL_SYNC_NONE || (!j->n_pieces && !write_unsynced(s)))
		return false;
	return s->config.sync == SPOOL_SYNC_ALWAYS || s->flush || s->trouble ||
	       s->unsynced_octets + j->octets >= s->config.sync_octets ||
	       s->now_ms - s->unsynced_ms >= s->config.sync_ms;
}

static bool write_pos_differs(const struct spool *s)
{
	return spool_frontier(s).seq > s->durable_pos.seq;
}

static bool write_pos_due(const struct spool *s)
{
	uint64_t n = spool_frontier(s).seq - s->durable_pos.seq;

	return write_pos_differs(s) && (s->now_ms - s->pos_ms >= SPOOL_POS_MS || (n >= SPOOL_POS_EACH && !s->trouble) ||
					(s->flush && !s->trouble));
}

/* All of it is acknowledged, durably so, and nothing is written to it. */
static bool write_removable(const struct spool *s, size_t i)
{
	if (i + 1 < s->segments.n)
		return s->segments.list[i + 1].first_seq <= s->durable_pos.seq + 1;
	return i < s->segments.n && !s->active && s->synced <= s->durable_pos.seq;
}

/* Dropped segments, then those that are acknowledged to their end and durably so. */
static void write_plan_removals(struct spool *s, struct spool_job *j)
{
	if (s->now_ms < s->remove_ms)
		return;
	for (; j->n_remove < SPOOL_REMOVE && j->n_remove < s->n_doomed; j->n_remove++)
		j->remove[j->n_remove] = s->doomed[j->n_remove];
	s->job_doomed = j->n_remove;
	for (size_t i = 0; j->n_remove < SPOOL_REMOVE && write_removable(s, i); i++) {
		const struct spool_segment *g = &s->segments.list[i];

		j->remove[j->n_remove++] = (struct spool_remove){g->first_seq, g->damaged};
	}
	for (size_t i = 0, kept = s->bad.n; i < j->n_remove; i++) {
		if (j->remove[i].keep && kept++ == SPOOL_BAD_MAX) { /* the oldest makes way, for one at a time */
			j->forget = i == 0 ? s->bad.first_seq[0] : 0;
			j->n_remove = i == 0 ? 1 : i;
		}
	}
	if (s->job_doomed > j->n_remove)
		s->job_doomed = j->n_remove;
}

/* Everything that was there is gone; what was synced and not sent yet, too. */
static void write_forget(struct spool *s)
{
	spool_reader_close(s);
	spool_segments_deinit(&s->segments);
	s->n_doomed = 0;
	s->active = false;
	s->bad.n = 0;
	s->low_octets = 0;
}

void spool_write_plan(struct spool *s)
{
	struct spool_job *j = &s->job;
	bool may_write = !s->trouble || s->now_ms >= s->retry_ms;

	memset(j, 0, sizeof(*j));
	s->job_end = s->written;
	if (may_write) {
		if (s->reopen)
			write_forget(s);
		j->reopen = s->reopen;
		if (s->written.seq < s->buffer.head_seq)
			write_plan_batches(s, j);
		j->sync = write_sync_due(s, j);
	}
	if (!s->reopen && write_pos_due(s)) {
		j->write_pos = true;
		j->pos = spool_frontier(s);
		s->pos_ms = s->now_ms;
	}
	if (!s->reopen)
		write_plan_removals(s, j);
	if (!j->reopen && !j->rotate && !j->n_pieces && !j->sync && !j->write_pos && !j->n_remove)
		return;
	s->out = true;
	if (s->thread) {
		spool_thread_give(s->thread, j);
		return;
	}
	spool_disk_run(&s->disk, j);
	spool_write_done(s);
}

/* ---- its answer ---- */

void spool_write_release(struct spool *s, uint64_t seq)
{
	if (seq <= s->synced)
		return;
	s->synced = seq;
	spool_buffer_release(&s->buffer, seq + 1);
	if (s->written.seq < s->buffer.tail_seq) { /* acknowledged before it was written: it need not be any more */
		s->written = (struct spool_place){.seq = s->buffer.tail_seq, .at = s->buffer.tail};
		s->begin = true;
	}
}

/* All that was written, and nothing else, is to be written again. */
static void write_again(struct spool *s)
{
	s->written = (struct spool_place){.seq = s->buffer.tail_seq, .at = s->buffer.tail};
	s->unsynced_octets = 0;
	s->begin = true;
}

static void write_say(struct spool *s, int error)
{
	if (s->said)
		return;
	log_warn("%s: %s: %s; batches stay in memory until it can be written again", s->config.name, s->config.path,
		 strerror(-error));
	s->said = true;
}

/* The open segment is read no further than it is durable. */
static void write_abandon(struct spool *s)
{
	struct spool_segment *last = write_last(s);

	if (s->abandon || !s->active)
		return;
	s->abandon = true;
	spool_reader_close(s);
	s->segments.octets -= last->octets - s->active_durable;
	last->octets = s->active_durable;
}

static void write_failed(struct spool *s, const struct spool_job *j)
{
	int error = j->sync_rc ? j->sync_rc : j->rc;
	bool first = s->failures++ == 0;

	if (j->sync_rc)
		s->counters.sync_errors++;
	else
		s->counters.errors++;
	if (error == -ENOENT || error == -ESTALE || s->reopen) {
		s->reopen = true;
		write_again(s);
	} else if (j->sync_rc || !write_harmless(error)) {
		write_abandon(s);
		write_again(s);
	}
	if (write_full(error) && !s->config.drop_new)
		(void)spool_limits_drop(s, &s->counters.dropped_disk);
	s->trouble = error;
	s->retry_ms = s->now_ms + (first ? 0 : SPOOL_RETRY_MS);
	if (!first)
		write_say(s, error);
}

static void write_recovered(struct spool *s)
{
	if (s->said)
		log_info("%s: %s is written again", s->config.name, s->config.path);
	s->said = false;
	s->trouble = 0;
	s->failures = 0;
}

static void write_done_segment(struct spool *s, const struct spool_job *j)
{
	if (s->active &&
	    write_last(s)->first_seq == j->header.first_seq) /* nothing of it was durable: it was replaced */
		spool_segments_remove(&s->segments, s->segments.n - 1);
	(void)spool_segments_add(&s->segments, &(struct spool_segment){.first_seq = j->header.first_seq,
								       .octets = SPOOL_HEADER,
								       .last_ms = (int64_t)s->now_ms});
	for (size_t i = 0; i < s->n_doomed; i++) /* one of that name was to be removed: it was replaced, too */
		if (s->doomed[i].first_seq == j->header.first_seq)
			s->doomed[i--] = s->doomed[--s->n_doomed];
	s->active = true;
	s->active_ms = s->now_ms;
	s->active_durable = SPOOL_HEADER;
	s->begin = s->abandon = false;
}

/* The directory is there again, perhaps with something in it. */
static void write_done_reopen(struct spool *s)
{
	struct spool_segments *g = &s->segments;

	if (s->disk.lock < 0)
		return;
	s->reopen = s->abandon = false;
	s->durable_pos = (struct spool_pos){0};
	spool_segments_deinit(g);
	if (spool_dir_list(s->disk.dirfd, g, &s->bad, false))
		return;
	while (g->n && g->list[g->n - 1].first_seq >= s->written.seq)
		spool_segments_remove(g, g->n - 1);
	for (size_t i = 0; i < g->n; i++)
		g->list[i].last_ms = (int64_t)s->now_ms;
}

static void write_done_removals(struct spool *s, const struct spool_job *j)
{
	if (j->forget)
		memmove(s->bad.first_seq, s->bad.first_seq + 1, --s->bad.n * sizeof(s->bad.first_seq[0]));
	for (size_t i = 0; i < j->removed; i++) {
		struct spool_segment *g = spool_segments_find(&s->segments, j->remove[i].first_seq);

		if (j->remove[i].keep && s->bad.n < SPOOL_BAD_MAX) {
			s->counters.quarantined++;
			s->bad.first_seq[s->bad.n++] = j->remove[i].first_seq;
		}
		if (i >= s->job_doomed && g && g->first_seq == j->remove[i].first_seq) {
			if (s->reader.segment == g->first_seq)
				spool_reader_close(s);
			spool_segments_remove(&s->segments, (size_t)(g - s->segments.list));
		}
	}
	if (s->job_doomed) {
		size_t n = j->removed < s->job_doomed ? j->removed : s->job_doomed;

		s->n_doomed -= n;
		memmove(s->doomed, s->doomed + n, s->n_doomed * sizeof(s->doomed[0]));
	}
	if (j->removed < j->n_remove) {
		s->counters.errors++;
		s->remove_ms = s->now_ms + SPOOL_RETRY_MS;
	}
}

static void write_done_sync(struct spool *s, const struct spool_job *j, uint64_t before)
{
	bool none = s->config.sync == SPOOL_SYNC_NONE;

	if (j->rotate && !j->abandon && j->old_synced) {
		if (!j->rotated && s->active) /* there is no other yet */
			s->active_durable = write_last(s)->octets;
		spool_write_release(s, before - 1);
	}
	if (j->synced || (none && j->written)) {
		s->active_durable = write_last(s)->octets;
		spool_write_release(s, s->written.seq - 1);
	}
	if (!write_unsynced(s))
		s->unsynced_octets = 0;
	if (s->synced + 1 == s->buffer.head_seq)
		s->unsynced_ms = 0;
	else if (j->synced)
		s->unsynced_ms = s->now_ms;
	if (j->synced)
		s->low_octets = !j->low ? 0 : s->low_octets ? s->low_octets : s->segments.octets;
}

void spool_write_done(struct spool *s)
{
	const struct spool_job *j = &s->job;
	uint64_t before = s->written.seq;
	bool wrote = j->reopen || j->rotate || j->n_pieces || j->sync;

	s->out = false;
	if (j->reopen)
		write_done_reopen(s);
	write_done_removals(s, j);
	if (j->rotated)
		write_done_segment(s, j);
	if (j->written) {
		struct spool_segment *last = write_last(s);

		last->octets += j->octets;
		last->last_ms = (int64_t)s->now_ms;
		s->segments.octets += j->octets;
		s->unsynced_octets += j->octets;
		s->written = s->job_end;
	}
	write_done_sync(s, j, before);
	if (j->rc || j->sync_rc)
		write_failed(s, j);
	else if (wrote)
		write_recovered(s);
	if (j->write_pos && !j->pos_rc) {
		s->durable_pos = j->pos;
		if (!wrote &&
		    s->written.seq == s->buffer.head_seq) /* all was acknowledged before it could be tried again */
			write_recovered(s);
	} else if (j->write_pos) {
		s->counters.errors++;
	}
	if (spool_settled(s))
		s->flush = false;
}

/* ---- time ---- */

/* Until something can be written or synced, -1 if there is nothing. */
static int write_wait_batches(const struct spool *s)
{
	bool unwritten = s->written.seq < s->buffer.head_seq, unsynced = write_unsynced(s);

	if (!unwritten && !unsynced && !s->reopen)
		return -1;
	if (s->trouble)
		return clock_until(s->retry_ms, s->now_ms);
	if (unwritten || s->flush || s->reopen || s->config.sync == SPOOL_SYNC_ALWAYS)
		return 0;
	return s->config.sync == SPOOL_SYNC_INTERVAL ? clock_until(s->unsynced_ms + s->config.sync_ms, s->now_ms) : -1;
}

int spool_write_wait(const struct spool *s)
{
	int due;

	if (s->out)
		return -1;
	due = write_wait_batches(s);
	if (write_pos_differs(s))
		due = clock_sooner(due, clock_until(s->pos_ms + SPOOL_POS_MS, s->now_ms));
	if (s->n_doomed || write_removable(s, 0))
		due = clock_sooner(due, clock_until(s->remove_ms, s->now_ms));
	return due;
}
