/* SPDX-License-Identifier: Apache-2.0 */
#include "spool/spool.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "spool/spool_internal.h"

_Static_assert(SPOOL_LEN_MAX == SPOOL_PAYLOAD_MAX && SPOOL_RECORDS_MAX == SPOOL_BATCH_MAX, "what callers are told");
_Static_assert(sizeof(struct spool_out) == 24 && sizeof(struct spool_segment) == 32, "what the header says of memory");

#define SPOOL_SEGMENT_MIN 65536u
#define SPOOL_CLOCK (UINT64_C(1) << 40) /* our time 0: ages from before the machine was started are above zero, too */

void spool_config_init(struct spool_config *c, const char *path, const char *name)
{
	*c = (struct spool_config){.path = path,
				   .name = name,
				   .max_octets = UINT64_C(1) << 30,
				   .max_age_ms = 86400000,
				   .segment_octets = UINT64_C(16) << 20,
				   .segment_ms = 60000,
				   .sync_ms = 200,
				   .sync_octets = UINT64_C(1) << 20,
				   .buffer = (size_t)4 << 20,
				   .window = 16384,
				   .reserve = 5};
}

void spool_free(struct spool *s)
{
	spool_thread_free(s->thread);
	spool_disk_close(&s->disk);
	spool_scan_deinit(&s->reader.scan);
	spool_segments_deinit(&s->segments);
	spool_buffer_deinit(&s->buffer);
	free(s->window.list);
	free(s);
}

static int spool_make_window(struct spool *s)
{
	s->window.size = 1;
	while (s->window.size < s->config.window)
		s->window.size *= 2;
	s->window.list = calloc(s->window.size, sizeof(*s->window.list));
	return s->window.list ? 0 : -ENOMEM;
}

/* A limit drops whole segments, so there are to be several. */
static void spool_fit(struct spool_config *c)
{
	if (c->segment_octets > c->max_octets / 8)
		c->segment_octets = c->max_octets / 8;
	if (c->segment_octets < SPOOL_SEGMENT_MIN)
		c->segment_octets = SPOOL_SEGMENT_MIN;
	if (c->segment_octets > UINT32_MAX / 2)
		c->segment_octets = UINT32_MAX / 2;
	if (c->buffer < 2 * (SPOOL_RECORD + SPOOL_PAYLOAD_MAX))
		c->buffer = 2 * (SPOOL_RECORD + SPOOL_PAYLOAD_MAX);
}

int spool_open(struct spool **out, const struct spool_config *c, uint64_t now_ms, char *err, size_t err_size)
{
	struct spool *s = calloc(1, sizeof(*s));
	int rc;

	if (!s) {
		snprintf(err, err_size, "%s: no memory", c->name);
		return -ENOMEM;
	}
	s->config = *c;
	spool_fit(&s->config);
	s->now_ms = SPOOL_CLOCK + now_ms;
	s->disk = (struct spool_disk){.path = c->path,
				      .dirfd = -1,
				      .lock = -1,
				      .fd = -1,
				      .no_sync = c->sync == SPOOL_SYNC_NONE,
				      .reserve = c->reserve};
	spool_scan_init(&s->reader.scan);
	rc = spool_make_window(s);
	if (rc)
		snprintf(err, err_size, "%s: no memory", c->name);
	if (!rc)
		rc = spool_disk_open(&s->disk, err, err_size);
	if (!rc)
		rc = spool_recover(s, err, err_size);
	if (rc) {
		spool_free(s);
		return rc;
	}
	*out = s;
	return 0;
}

static uint64_t spool_undurable(const struct spool *s)
{
	uint64_t from = spool_frontier(s).record;
	struct spool_record r;
	const uint8_t *payload;

	if (s->synced + 1 == s->buffer.head_seq)
		return 0;
	(void)spool_buffer_get(&s->buffer, s->buffer.tail, &r, &payload);
	if (r.first_record > from)
		from = r.first_record;
	return s->next_record > from ? s->next_record - from : 0;
}

uint64_t spool_close(struct spool *s)
{
	unsigned failures;
	uint64_t lost;

	if (!s)
		return 0;
	if (s->out) {
		spool_thread_wait(s->thread);
		(void)spool_thread_take(s->thread);
		spool_write_done(s);
	}
	spool_thread_free(s->thread);
	s->thread = NULL;
	/* A segment each, as long as that leads anywhere. */
	failures = s->failures;
	s->retry_ms = s->now_ms;
	for (int i = 0; i < 64 && !spool_settled(s) && s->failures <= failures; i++) {
		s->flush = true;
		spool_write_plan(s);
	}
	lost = spool_undurable(s);
	spool_free(s);
	return lost;
}

static int spool_check(const struct spool_batch *b)
{
	bool fits = b->len && b->len <= SPOOL_LEN_MAX && b->own_len <= SPOOL_LEN_MAX - b->len;

	return fits && b->records <= SPOOL_RECORDS_MAX ? 0 : -EMSGSIZE;
}

/* Octets in memory that no segment has yet. Those that are written, and not durable, are in both. */
static size_t spool_unwritten(const struct spool *s)
{
	const struct spool_buffer *b = &s->buffer;
	size_t at = s->written.at, done = 0;

	if (s->written.seq > b->tail_seq)
		done = at >= b->tail ? at - b->tail : b->end - b->tail + at;
	return done < b->octets ? b->octets - done : 0;
}

static bool spool_limited(const struct spool *s, size_t octets)
{
	return s->config.drop_new && s->segments.octets + spool_unwritten(s) + octets > spool_limits_octets(s);
}

int spool_put(struct spool *s, const struct spool_batch *b, uint64_t *seq)
{
	struct spool_record r = {.first_record = s->next_record,
				 .len = (uint32_t)(b->own_len + b->len),
				 .records = b->records,
				 .own = (uint32_t)b->own_len};
	size_t at;

	if (spool_check(b))
		return -EMSGSIZE;
	if (spool_limited(s, SPOOL_RECORD + r.len))
		return -ENOSPC;
	at = spool_buffer_put(&s->buffer, &r, b->own, b->data);
	if (at == SIZE_MAX)
		return s->trouble == -ENOSPC || s->trouble == -EDQUOT ? -ENOSPC : -EAGAIN;
	if (s->written.seq == r.seq)
		s->written.at = at;
	if (s->job_end.seq == r.seq)
		s->job_end.at = at;
	if (s->reader.memory.seq == r.seq)
		s->reader.memory.at = at;
	if (!s->unsynced_ms)
		s->unsynced_ms = s->now_ms;
	s->next_record += b->records;
	s->counters.put += b->records;
	*seq = r.seq;
	return 0;
}

bool spool_room(const struct spool *s, size_t octets)
{
	return octets <= SPOOL_PAYLOAD_MAX && !spool_limited(s, SPOOL_RECORD + octets) &&
	       spool_buffer_room(&s->buffer, octets);
}

uint64_t spool_synced(const struct spool *s)
{
	return spool_fault(SPOOL_FAULT_EARLY) ? s->buffer.head_seq - 1 : s->synced;
}

void spool_flush(struct spool *s)
{
	s->flush = true;
}

bool spool_settled(const struct spool *s)
{
	return s->synced + 1 == s->buffer.head_seq && spool_frontier(s).seq <= s->durable_pos.seq;
}

uint64_t spool_pending(const struct spool *s)
{
	struct spool_pos p = spool_frontier(s);

	return s->next_record > p.record ? s->next_record - p.record : 0;
}

/* With the first step, not before: an owner that gives up capabilities after spool_open() does so for all its threads then. */
static void spool_start(struct spool *s)
{
	s->started = true;
	if (s->config.no_thread)
		return;
	s->thread = spool_thread_new(&s->disk);
	if (!s->thread)
		log_warn("%s: %s: no thread; the disk is waited for", s->config.name, s->config.path);
}

void spool_step(struct spool *s, uint64_t now_ms)
{
	if (!s->started)
		spool_start(s);
	s->now_ms = SPOOL_CLOCK + now_ms;
	if (s->out && spool_thread_take(s->thread))
		spool_write_done(s);
	if (s->out)
		return;
	if (s->trouble) /* what is acknowledged need not become durable any more */
		spool_write_release(s, spool_frontier(s).seq);
	if (!s->reopen)
		spool_limits_enforce(s);
	spool_write_plan(s);
}

int spool_wait(const struct spool *s, uint64_t now_ms, struct pollfd *p)
{
	uint64_t now = SPOOL_CLOCK + now_ms;
	int due = spool_write_wait(s);
	int64_t old = spool_limits_wait(s);

	*p = (struct pollfd){.fd = s->thread && s->out ? spool_thread_fd(s->thread) : -1, .events = POLLIN};
	if (old >= 0 && !s->out)
		due = clock_sooner(due, clock_until((uint64_t)old, now));
	if (s->reader.asked_ms)
		due = clock_sooner(due, SPOOL_LOOK_MS);
	if (s->reader.retry_ms > now)
		due = clock_sooner(due, clock_until(s->reader.retry_ms, now));
	return due;
}

const struct spool_counters *spool_counters(struct spool *s)
{
	s->counters.kept = spool_pending(s);
	s->counters.octets = s->segments.octets;
	s->counters.segments = s->segments.n;
	s->counters.memory = s->failures > 1;
	return &s->counters;
}
