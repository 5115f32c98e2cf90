/* SPDX-License-Identifier: Apache-2.0 */
/* Batches handed out, in order: from memory if they are there still, else from the segments; and what has come of them. */
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "spool/spool_internal.h"

/* ---- out and acknowledged ---- */

static struct spool_out *window_at(const struct spool *s, size_t i)
{
	return &s->window.list[(s->window.head + i) & (s->window.size - 1)];
}

struct spool_pos spool_frontier(const struct spool *s)
{
	if (s->window.n)
		return (struct spool_pos){window_at(s, 0)->seq - 1, window_at(s, 0)->first_record};
	return (struct spool_pos){s->reader.next_seq - 1, s->reader.next_record};
}

/* Numbers rise, nearly always by one. */
static struct spool_out *window_find(const struct spool *s, uint64_t seq)
{
	size_t from = 0, to = s->window.n;

	if (!to || seq < window_at(s, 0)->seq)
		return NULL;
	if (seq - window_at(s, 0)->seq < to && window_at(s, (size_t)(seq - window_at(s, 0)->seq))->seq == seq)
		return window_at(s, (size_t)(seq - window_at(s, 0)->seq));
	while (from < to) {
		size_t middle = (from + to) / 2;

		if (window_at(s, middle)->seq < seq)
			from = middle + 1;
		else
			to = middle;
	}
	return from < s->window.n && window_at(s, from)->seq == seq ? window_at(s, from) : NULL;
}

static void window_advance(struct spool *s)
{
	while (s->window.n && window_at(s, 0)->acked) {
		s->counters.acknowledged += window_at(s, 0)->records;
		s->window.head = (s->window.head + 1) & (s->window.size - 1);
		s->window.n--;
	}
}

int spool_ack(struct spool *s, uint64_t seq)
{
	struct spool_out *o = window_find(s, seq);

	if (!o)
		return -EINVAL;
	o->acked = 1;
	window_advance(s);
	return 0;
}

void spool_ack_through(struct spool *s, uint64_t seq)
{
	for (size_t i = 0; i < s->window.n && window_at(s, i)->seq <= seq; i++)
		window_at(s, i)->acked = 1;
	window_advance(s);
}

uint32_t spool_out_records(const struct spool *s, uint64_t seq)
{
	const struct spool_out *o = window_find(s, seq);

	return o ? o->records : 0;
}

/* ---- places ---- */

void spool_reader_close(struct spool *s)
{
	spool_scan_stop(&s->reader.scan);
	s->reader.segment = 0;
}

/* Records up to this one are not to be had, and counted unless they have been. */
static void reader_lost(struct spool *s, uint64_t record, uint64_t *counter)
{
	struct spool_reader *r = &s->reader;

	if (r->known && record > r->counted)
		*counter += record - r->counted;
	if (record > r->counted || !r->known)
		r->counted = record;
	r->next_record = record;
	r->known = true;
}

void spool_reader_skip(struct spool *s, uint64_t seq, uint64_t record, uint64_t *counter)
{
	struct spool_reader *r = &s->reader;

	if (r->next_seq >= seq)
		return;
	r->next_seq = seq;
	if (record != UINT64_MAX)
		reader_lost(s, record, counter);
	else if (!r->reason)
		r->reason = counter;
}

/* To the first batch that there can be at or after seq. */
static void reader_jump(struct spool *s, uint64_t seq, uint64_t *counter)
{
	if (s->reader.next_seq < seq && !s->reader.reason)
		s->reader.reason = counter;
	if (s->reader.next_seq < seq)
		s->reader.next_seq = seq;
}

void spool_rewind(struct spool *s)
{
	struct spool_reader *r = &s->reader;
	uint64_t first = s->segments.n ? s->segments.list[0].first_seq : s->buffer.tail_seq;

	if (!s->window.n)
		return;
	s->counters.rewound++;
	/* Dropped while they were out: they have been counted as handed out. */
	for (size_t i = 0; i < s->window.n && window_at(s, i)->seq < first; i++)
		if (!window_at(s, i)->acked)
			*(s->dropped_reason ? s->dropped_reason : &s->counters.lost_missing) +=
				window_at(s, i)->records;
	r->next_seq = window_at(s, 0)->seq;
	r->next_record = window_at(s, 0)->first_record;
	r->reason = NULL;
	r->asked_ms = r->failed_ms = 0;
	spool_reader_close(s);
	if (window_at(s, 0)->offset && !s->reopen && s->disk.dirfd >= 0) {
		const struct spool_segment *g = spool_segments_find(&s->segments, r->next_seq);
		int fd = g ? spool_dir_segment(s->disk.dirfd, g->first_seq) : -1;

		if (fd >= 0 && spool_scan_start(&r->scan, fd, g->first_seq, g->octets) == 0) {
			spool_scan_seek(&r->scan, window_at(s, 0)->offset, r->next_seq);
			r->segment = g->first_seq;
		} else {
			spool_reader_close(s);
		}
	}
	s->window.n = 0;
}

/* ---- batches ---- */

static void reader_hand_out(struct spool *s, const struct spool_record *rec, const uint8_t *payload, uint32_t offset,
			    struct spool_batch *b)
{
	struct spool_reader *r = &s->reader;
	struct spool_out *o = window_at(s, s->window.n++);

	if (rec->first_record > r->next_record || !r->known)
		reader_lost(s, rec->first_record, r->reason ? r->reason : &s->counters.lost_damaged);
	r->reason = NULL;
	*o = (struct spool_out){.seq = rec->seq,
				.first_record = rec->first_record,
				.offset = offset,
				.records = rec->records & 0x7fffffff};
	r->next_seq = rec->seq + 1;
	r->next_record = rec->first_record + rec->records;
	if (r->next_record > r->counted)
		r->counted = r->next_record;
	*b = (struct spool_batch){.seq = rec->seq,
				  .own = payload,
				  .own_len = rec->own,
				  .data = payload + rec->own,
				  .len = rec->len - rec->own,
				  .records = rec->records};
}

static void reader_from_memory(struct spool *s, struct spool_batch *b)
{
	struct spool_place *m = &s->reader.memory;
	struct spool_record rec;
	const uint8_t *payload;

	if (m->seq != s->reader.next_seq)
		*m = (struct spool_place){s->reader.next_seq, spool_buffer_find(&s->buffer, s->reader.next_seq)};
	m->at = spool_buffer_get(&s->buffer, m->at, &rec, &payload);
	m->seq++;
	reader_hand_out(s, &rec, payload, 0, b);
}

/* Said once of a segment; `l7probe spool verify` has all places. */
static void reader_damaged(struct spool *s, struct spool_segment *g)
{
	if (!g->damaged)
		log_warn("%s: %s/%016llx.seg: damaged at octet %llu", s->config.name, s->config.path,
			 (unsigned long long)g->first_seq, (unsigned long long)s->reader.scan.place);
	g->damaged = true;
	s->counters.damaged++;
}

/* After the last batch of a segment that can be read. */
static void reader_leave(struct spool *s, const struct spool_segment *g, uint64_t *counter)
{
	size_t i = (size_t)(g - s->segments.list) + 1;

	reader_jump(s, i < s->segments.n ? s->segments.list[i].first_seq : s->synced + 1, counter);
	spool_reader_close(s);
}

/* True if what has failed is to be tried again: for ever if we are short of something, else as long as we are patient. */
static bool reader_again(struct spool *s, int error)
{
	struct spool_reader *r = &s->reader;

	if (!r->failed_ms) {
		r->failed_ms = s->now_ms;
		s->counters.errors++;
	}
	if (error != -EMFILE && error != -ENFILE && error != -ENOMEM && s->now_ms - r->failed_ms >= SPOOL_PATIENCE_MS) {
		r->failed_ms = 0;
		return false;
	}
	r->retry_ms = s->now_ms + SPOOL_RETRY_MS;
	return true;
}

/* 0 if it is open, 1 if it is passed over, -EAGAIN: not now. */
static int reader_open(struct spool *s, struct spool_segment *g)
{
	struct spool_reader *r = &s->reader;
	int fd, rc;

	if (r->segment == g->first_seq)
		return 0;
	spool_reader_close(s);
	fd = spool_dir_segment(s->disk.dirfd, g->first_seq);
	rc = fd < 0 ? fd : spool_scan_start(&r->scan, fd, g->first_seq, g->octets);
	r->scan.patient = s->config.no_thread;
	r->scan.place = 0;
	r->asked_ms = 0;
	if (rc == 0) {
		r->segment = g->first_seq;
		r->failed_ms = 0;
		if (r->scan.header_error)
			reader_damaged(s, g);
		return 0;
	}
	spool_reader_close(s);
	if (rc == -ENOENT) {
		reader_leave(s, g, &s->counters.lost_missing);
		return 1;
	}
	if (rc != -EBADF && rc != -EPROTONOSUPPORT && reader_again(s, rc))
		return -EAGAIN;
	reader_damaged(s, g);
	reader_leave(s, g, &s->counters.lost_damaged);
	return 1;
}

/* 0: go on; -EAGAIN: not now. */
static int reader_error(struct spool *s, struct spool_segment *g)
{
	struct spool_reader *r = &s->reader;

	if (r->scan.error == -EAGAIN) {
		if (!r->asked_ms)
			r->asked_ms = s->now_ms;
		r->scan.patient = s->now_ms - r->asked_ms >= SPOOL_PATIENCE_MS;
		return r->scan.patient ? 0 : -EAGAIN;
	}
	if (reader_again(s, r->scan.error))
		return -EAGAIN;
	r->scan.place = r->scan.at;
	reader_damaged(s, g);
	reader_leave(s, g, &s->counters.lost_damaged);
	return 0;
}

/* One step in a segment: 1 a batch, 0 go on, -EAGAIN not now. */
static int reader_step(struct spool *s, struct spool_segment *g, struct spool_batch *b)
{
	struct spool_reader *r = &s->reader;
	struct spool_scan *scan = &r->scan;
	size_t next = (size_t)(g - s->segments.list) + 1;
	bool active = s->active && next == s->segments.n;
	enum spool_found found;

	scan->end = active ? s->active_durable : g->octets;
	scan->stop_seq = next < s->segments.n ? s->segments.list[next].first_seq : UINT64_MAX;
	found = spool_scan_next(scan);
	if (found == SPOOL_FOUND_ERROR)
		return reader_error(s, g);
	r->asked_ms = r->failed_ms = 0;
	scan->patient = s->config.no_thread;
	switch (found) {
	case SPOOL_FOUND_BATCH:
		if (scan->record.seq < r->next_seq)
			return 0; /* on the way to it */
		reader_hand_out(s, &scan->record, scan->payload, scan->place <= UINT32_MAX ? (uint32_t)scan->place : 0,
				b);
		return 1;
	case SPOOL_FOUND_DAMAGED:
		reader_damaged(s, g);
		if (scan->record.seq >= r->next_seq)
			spool_reader_skip(s, scan->record.seq + 1, scan->record.first_record + scan->record.records,
					  &s->counters.lost_damaged);
		return 0;
	case SPOOL_FOUND_GARBAGE:
		reader_damaged(s, g);
		if (!r->reason)
			r->reason = &s->counters.lost_damaged;
		return 0;
	default:
		reader_leave(s, g, &s->counters.lost_missing);
		return 0;
	}
}

/* While the directory is opened anew it is the thread's. */
static bool reader_may_open(const struct spool *s)
{
	return !s->reopen && s->disk.dirfd >= 0 && s->now_ms >= s->reader.retry_ms;
}

int spool_next(struct spool *s, struct spool_batch *b)
{
	bool early = s->config.early || s->failures > 1;

	while (s->window.n < s->window.size) {
		uint64_t next = s->reader.next_seq;
		struct spool_segment *g;
		int rc, found = 0;

		if (next > (early ? s->buffer.head_seq - 1 : s->synced))
			return -EAGAIN;
		if (next >= s->buffer.tail_seq) {
			reader_from_memory(s, b);
			return 0;
		}
		g = spool_segments_find(&s->segments, next);
		if (!g) {
			reader_jump(s, s->segments.n ? s->segments.list[0].first_seq : s->synced + 1,
				    &s->counters.lost_missing);
			continue;
		}
		if (!reader_may_open(s))
			return -EAGAIN;
		rc = reader_open(s, g);
		if (rc == 0)
			found = reader_step(s, g, b);
		if (rc < 0 || found < 0)
			return -EAGAIN;
		if (found)
			return 0;
	}
	return -EAGAIN;
}
