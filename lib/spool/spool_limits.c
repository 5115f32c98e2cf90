/* SPDX-License-Identifier: Apache-2.0 */
/* What is dropped, always whole segments from the oldest on, and how it is counted. */
#include <errno.h>
#include <unistd.h>

#include "spool/spool_internal.h"

/* The record that a segment begins with, UINT64_MAX if it cannot be read. */
static uint64_t limits_first_record(const struct spool *s, size_t i)
{
	uint64_t record = UINT64_MAX;
	struct spool_scan scan;
	int fd = spool_dir_segment(s->disk.dirfd, s->segments.list[i].first_seq);

	if (fd < 0)
		return record;
	spool_scan_init(&scan);
	if (spool_scan_start(&scan, fd, s->segments.list[i].first_seq, SPOOL_HEADER) == 0 && scan.header_error == 0)
		record = scan.header.first_record;
	spool_scan_deinit(&scan);
	return record;
}

/* The last one may go if nothing of it is under way. */
static bool limits_may_drop(const struct spool *s)
{
	if (s->segments.n > 1)
		return true;
	return s->segments.n == 1 && (!s->active || (s->synced + 1 == s->buffer.head_seq && !s->out));
}

bool spool_limits_drop(struct spool *s, uint64_t *counter)
{
	struct spool_segment *oldest = s->segments.list;
	uint64_t end, record;

	if (s->n_doomed == SPOOL_DOOMED || s->segments.n < 2)
		return false;
	end = s->segments.list[1].first_seq;
	record = limits_first_record(s, 1);
	s->dropped_reason = counter;
	spool_reader_skip(s, end, record, counter);
	if (s->reader.segment == oldest->first_seq)
		spool_reader_close(s);
	s->doomed[s->n_doomed++] = (struct spool_remove){.first_seq = oldest->first_seq};
	spool_segments_remove(&s->segments, 0);
	return true;
}

/* All there is on disk is too old. */
static void limits_drop_last(struct spool *s)
{
	uint64_t end = s->synced + 1;

	if (s->n_doomed == SPOOL_DOOMED || !limits_may_drop(s) || spool_frontier(s).seq >= s->synced)
		return;
	s->dropped_reason = &s->counters.dropped_age;
	spool_reader_skip(s, end, s->buffer.head_seq == end ? s->next_record : UINT64_MAX, &s->counters.dropped_age);
	spool_reader_close(s);
	s->doomed[s->n_doomed++] = (struct spool_remove){.first_seq = s->segments.list[0].first_seq};
	spool_segments_remove(&s->segments, 0);
	s->abandon = s->active; /* what is open has no name any more */
	s->active = false;
	s->begin = true;
}

uint64_t spool_limits_octets(const struct spool *s)
{
	return s->low_octets && s->low_octets < s->config.max_octets ? s->low_octets : s->config.max_octets;
}

static bool limits_old(const struct spool *s)
{
	return s->config.max_age_ms && s->segments.n &&
	       (int64_t)s->now_ms - s->segments.list[0].last_ms > (int64_t)s->config.max_age_ms;
}

void spool_limits_enforce(struct spool *s)
{
	uint64_t max = spool_limits_octets(s);
	uint64_t *counter = max < s->config.max_octets ? &s->counters.dropped_disk : &s->counters.dropped_size;

	while (!s->config.drop_new && s->segments.octets + s->buffer.octets > max && spool_limits_drop(s, counter))
		;
	while (s->segments.n > SPOOL_SEGMENTS_MAX - 2 && spool_limits_drop(s, &s->counters.dropped_size))
		;
	while (limits_old(s) && spool_limits_drop(s, &s->counters.dropped_age))
		;
	if (limits_old(s) && s->segments.n == 1)
		limits_drop_last(s);
}

int64_t spool_limits_wait(const struct spool *s)
{
	if (!s->config.max_age_ms || s->segments.n < 1 || s->trouble || s->n_doomed == SPOOL_DOOMED ||
	    spool_frontier(s).seq >= s->synced)
		return -1;
	return s->segments.list[0].last_ms + (int64_t)s->config.max_age_ms + 1;
}
