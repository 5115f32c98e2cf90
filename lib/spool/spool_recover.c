/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a spool finds when it is opened. Only the end of the last segment can be half written: there it is cut. All others are looked
 * at when they are read. Batches of the last segment may be in the kernel's memory alone if their writer was killed: they are synced
 * before they count as durable. What follows goes into a segment of its own.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "spool/spool_internal.h"

#define RECOVER_BACK 4 /* segments looked at if there is nothing in the last ones */

/* What a segment has said. */
struct recover {
	uint64_t next_seq; /* no batch of it has this number or a higher one */
	uint64_t next_record;
	bool known;   /* next_record is */
	bool batches; /* there is one */
	uint64_t end; /* of the last */
	uint64_t size;
};

static int recover_scan(struct spool *s, const struct spool_segment *segment, struct recover *r)
{
	struct spool_scan scan;
	enum spool_found found;
	int fd = spool_dir_segment(s->disk.dirfd, segment->first_seq), rc;

	if (fd < 0)
		return fd;
	spool_scan_init(&scan);
	rc = spool_scan_start(&scan, fd, segment->first_seq, segment->octets);
	*r = (struct recover){.next_seq = segment->first_seq, .end = SPOOL_HEADER, .size = segment->octets};
	r->known = scan.header_error == 0;
	r->next_record = scan.header.first_record;
	if (rc == 0 && scan.header_error) /* nobody knows what was in it: no number may be given twice */
		r->next_seq += segment->octets / SPOOL_RECORD + 1;
	while (!rc && (found = spool_scan_next(&scan)) != SPOOL_FOUND_END) {
		if (found == SPOOL_FOUND_ERROR)
			rc = scan.error;
		if (found != SPOOL_FOUND_BATCH && found != SPOOL_FOUND_DAMAGED)
			continue;
		r->batches = r->known = true;
		r->end = scan.at;
		r->next_seq = scan.record.seq + 1;
		r->next_record = scan.record.first_record + scan.record.records;
	}
	if (!rc) {
		rc = spool_disk_sync_found(&s->disk, scan.fd);
		s->counters.sync_errors += rc != 0;
		rc = 0;
	}
	spool_scan_deinit(&scan);
	return rc;
}

static void recover_cut(const struct spool *s, struct spool_segment *segment, uint64_t end)
{
	char name[SPOOL_NAME];
	int fd;

	spool_dir_name(name, segment->first_seq, ".seg");
	fd = openat(s->disk.dirfd, name, O_WRONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	if (fd >= 0) {
		if (ftruncate(fd, (off_t)end) == 0)
			(void)spool_disk_sync_found(&s->disk, fd);
		close(fd);
	}
	segment->octets = end; /* it is read no further in any case */
}

/* Takes a segment in which there is no batch out of the list: `keep`: as .bad. */
static void recover_remove(struct spool *s, size_t i, bool keep)
{
	s->doomed[s->n_doomed++] = (struct spool_remove){.first_seq = s->segments.list[i].first_seq, .keep = keep};
	spool_segments_remove(&s->segments, i);
}

/* One of the last segments; true if it has batches. */
static bool recover_one(struct spool *s, size_t i, struct recover *out)
{
	struct spool_segment *g = &s->segments.list[i];
	struct recover r;
	int rc = recover_scan(s, g, &r);

	if (rc) { /* unreadable for now, or of a later version: the reader will see. Numbers go on beyond all that it can hold */
		log_warn("%s: %s: segment %016llx: %s", s->config.name, s->config.path,
			 (unsigned long long)g->first_seq, strerror(-rc));
		r = (struct recover){.next_seq = g->first_seq + g->octets / SPOOL_RECORD + 1};
	}
	if (r.next_seq > out->next_seq)
		out->next_seq = r.next_seq;
	if (r.known && !out->known && r.next_record <= SPOOL_FOUND_MAX) {
		out->next_record = r.next_record;
		out->known = true;
	}
	if (r.batches && r.end < r.size) {
		s->segments.octets -= r.size - r.end;
		s->counters.torn++;
		recover_cut(s, g, r.end);
	}
	if (!r.batches && !rc) {
		s->counters.torn += r.known && r.size > SPOOL_HEADER;
		recover_remove(s, i, !r.known);
	}
	return r.batches;
}

/* The last segment with something in it says where numbers go on. */
static void recover_end(struct spool *s, struct recover *out)
{
	*out = (struct recover){.next_seq = 1};
	for (size_t i = s->segments.n, tries = 0; i-- > 0 && tries < RECOVER_BACK; tries++)
		if (recover_one(s, i, out))
			return;
}

static void recover_ages(struct spool *s)
{
	int64_t wall = (int64_t)clock_wall_ms(), now = (int64_t)s->now_ms;

	/* A time to come is one of a clock that was wrong: the segment begins to age now. */
	for (size_t i = 0; i < s->segments.n; i++) {
		struct spool_segment *segment = &s->segments.list[i];

		segment->last_ms = segment->last_ms < wall ? now - (wall - segment->last_ms) : now;
	}
}

/* Where reading begins: after what was acknowledged; if that is not known, with the oldest there is. */
static void recover_reader(struct spool *s, int pos_rc)
{
	struct spool_reader *r = &s->reader;
	struct spool_segments *g = &s->segments;
	struct spool_scan scan;
	int fd;

	r->next_seq = pos_rc ? s->buffer.head_seq : s->durable_pos.seq + 1;
	r->next_record = pos_rc ? s->next_record : s->durable_pos.record;
	r->known = true;
	if (pos_rc && g->n) {
		r->next_seq = g->list[0].first_seq;
		fd = spool_dir_segment(s->disk.dirfd, r->next_seq);
		spool_scan_init(&scan);
		r->known = fd >= 0 && spool_scan_start(&scan, fd, r->next_seq, g->list[0].octets) == 0 &&
			   !scan.header_error;
		r->next_record = r->known ? scan.header.first_record : 0;
		r->known |= r->next_seq == 1;
		spool_scan_deinit(&scan);
	}
	r->counted = r->next_record;
}

int spool_recover(struct spool *s, char *err, size_t err_size)
{
	struct recover end;
	int rc = spool_dir_list(s->disk.dirfd, &s->segments, &s->bad, true), pos_rc;

	if (rc) {
		if (rc == -E2BIG)
			snprintf(err, err_size, "%s: more than %u segments", s->config.path, SPOOL_SEGMENTS_MAX);
		else
			snprintf(err, err_size, "%s: %s", s->config.path, strerror(-rc));
		return rc;
	}
	while (spool_fault(SPOOL_FAULT_LAST_ONLY) && s->segments.n > 1)
		spool_segments_remove(&s->segments, 0);
	pos_rc = spool_dir_pos(s->disk.dirfd, &s->durable_pos);
	if (pos_rc)
		s->durable_pos = (struct spool_pos){0};
	if (pos_rc && pos_rc != -ENOENT)
		log_warn("%s: %s/pos: %s: all that is there is sent again", s->config.name, s->config.path,
			 pos_rc == -EBADMSG ? "damaged" : strerror(-pos_rc));
	recover_end(s, &end);
	recover_ages(s);
	if (end.next_seq <= s->durable_pos.seq && !spool_fault(SPOOL_FAULT_REUSE))
		end.next_seq = s->durable_pos.seq + 1;
	if (!end.known || end.next_record < s->durable_pos.record)
		end.next_record = s->durable_pos.record;
	s->next_record = end.next_record;
	s->synced = end.next_seq - 1;
	s->written = (struct spool_place){.seq = end.next_seq};
	rc = spool_buffer_init(&s->buffer, s->config.buffer, end.next_seq);
	if (rc) {
		snprintf(err, err_size, "%s: no memory", s->config.name);
		return rc;
	}
	recover_reader(s, pos_rc);
	return 0;
}
