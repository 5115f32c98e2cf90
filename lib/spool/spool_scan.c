/* SPDX-License-Identifier: Apache-2.0 */
#include "spool/spool_scan.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "spool/spool_faults.h"

#define SCAN_AHEAD (1u << 20) /* octets the kernel is asked to have ready */

void spool_scan_init(struct spool_scan *s)
{
	memset(s, 0, sizeof(*s));
	s->fd = -1;
	s->patient = true;
}

void spool_scan_stop(struct spool_scan *s)
{
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
}

void spool_scan_deinit(struct spool_scan *s)
{
	spool_scan_stop(s);
	free(s->window);
	s->window = NULL;
}

/* Octets read, 0 at the end of the file, or a negative errno. */
static ssize_t scan_read(struct spool_scan *s, void *to, size_t n, uint64_t at)
{
	struct iovec v = {.iov_base = to, .iov_len = n};
	ssize_t got;

	do
		got = preadv2(s->fd, &v, 1, (off_t)at, s->patient ? 0 : RWF_NOWAIT);
	while (got < 0 && errno == EINTR);
	if (got >= 0)
		return got;
	if (!s->patient && (errno == EOPNOTSUPP || errno == ENOSYS)) { /* a file system that cannot say */
		s->patient = true;
		got = scan_read(s, to, n, at);
		s->patient = false;
		return got;
	}
	if (!s->patient && errno == EAGAIN)
		(void)posix_fadvise(s->fd, (off_t)at, SCAN_AHEAD, POSIX_FADV_WILLNEED);
	return -errno;
}

static int scan_grow(struct spool_scan *s, size_t n)
{
	size_t size = n > SPOOL_SCAN_WINDOW ? n : SPOOL_SCAN_WINDOW;
	uint8_t *window;

	if (size <= s->window_size)
		return 0;
	window = realloc(s->window, size);
	if (!window)
		return -ENOMEM;
	s->window = window;
	s->window_size = size;
	return 0;
}

/* The n octets at an offset, as many as are before the end; in the window until the next call. The file may have become shorter. */
static int scan_need(struct spool_scan *s, uint64_t at, size_t n, const uint8_t **out)
{
	int rc = scan_grow(s, n);

	if (rc)
		return rc;
	if (at < s->window_at || at > s->window_at + s->window_len) {
		s->window_at = at;
		s->window_len = 0;
	}
	if (at + n > s->window_at + s->window_size) {
		size_t passed = (size_t)(at - s->window_at);

		memmove(s->window, s->window + passed, s->window_len - passed);
		s->window_at = at;
		s->window_len -= passed;
	}
	while (at + n > s->window_at + s->window_len) {
		uint64_t from = s->window_at + s->window_len, left = s->end - from;
		size_t room = s->window_size - s->window_len;
		ssize_t got = scan_read(s, s->window + s->window_len, left < room ? (size_t)left : room, from);

		if (got < 0)
			return (int)got;
		if (got == 0) {
			s->end = from;
			return -ENODATA;
		}
		s->window_len += (size_t)got;
	}
	*out = s->window + (at - s->window_at);
	return 0;
}

int spool_scan_start(struct spool_scan *s, int fd, uint64_t first_seq, uint64_t end)
{
	uint8_t header[SPOOL_HEADER];
	ssize_t got;

	spool_scan_stop(s);
	s->fd = fd;
	s->header = (struct spool_header){.first_seq = first_seq};
	s->stop_seq = UINT64_MAX;
	s->end = end;
	s->at = end < SPOOL_HEADER ? end : SPOOL_HEADER;
	s->place = s->searched = 0;
	s->next_seq = first_seq;
	s->window_at = s->window_len = 0;
	s->header_error = -EBADMSG;
	do /* 48 octets: not worth coming back for */
		got = pread(fd, header, sizeof(header), 0);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return -errno;
	if (got == (ssize_t)sizeof(header))
		s->header_error = spool_header_get(&s->header, header);
	if (s->header_error == 0 && s->header.first_seq != first_seq)
		s->header_error = -EBADMSG;
	if (s->header_error == -EBADMSG)
		s->header = (struct spool_header){.first_seq = first_seq};
	return s->header_error == -EPROTONOSUPPORT ? s->header_error : 0;
}

void spool_scan_seek(struct spool_scan *s, uint64_t at, uint64_t next_seq)
{
	s->at = at < s->end ? at : s->end;
	s->next_seq = next_seq;
	s->searched = 0;
}

/* Whether the octets at an offset are the header of a batch that can be there. */
static bool scan_header_at(struct spool_scan *s, const uint8_t *p, uint64_t at)
{
	struct spool_record r;

	if (!spool_record_get(&r, p) || !spool_record_fits(&r, s->header.first_seq, at) || r.seq < s->next_seq ||
	    r.len > s->end - at - SPOOL_RECORD)
		return false;
	s->record = r;
	return true;
}

/* Looks for the next header from `searched` on. 0 with `at` there or at the end, or an error of reading. */
static int scan_search(struct spool_scan *s)
{
	while (s->searched + SPOOL_RECORD <= s->end) {
		uint64_t left = s->end - s->searched;
		size_t n = left < SPOOL_SCAN_WINDOW ? (size_t)left : SPOOL_SCAN_WINDOW;
		const uint8_t *p, *hit;
		int rc = scan_need(s, s->searched, n, &p);

		if (rc == -ENODATA)
			continue; /* it is shorter than was thought */
		if (rc)
			return rc;
		hit = memmem(p, n, spool_magic, sizeof(spool_magic));
		if (!hit) {
			s->searched += n - (sizeof(spool_magic) - 1);
			continue;
		}
		s->searched += (uint64_t)(hit - p);
		if ((size_t)(p + n - hit) < SPOOL_RECORD) {
			if (left <= n)
				break;
			continue; /* it begins the next piece */
		}
		if (scan_header_at(s, hit, s->searched)) {
			s->at = s->searched;
			return 0;
		}
		s->searched++;
	}
	s->at = s->end;
	return 0;
}

static enum spool_found scan_garbage(struct spool_scan *s)
{
	uint64_t from = s->at;

	if (s->searched <= s->at)
		s->searched = s->at + 1;
	s->error = scan_search(s);
	if (s->error)
		return SPOOL_FOUND_ERROR;
	s->searched = 0;
	s->place = from;
	return SPOOL_FOUND_GARBAGE;
}

enum spool_found spool_scan_next(struct spool_scan *s)
{
	const uint8_t *p;
	int rc;

	if (s->at >= s->end)
		return SPOOL_FOUND_END;
	if (s->searched || s->end - s->at < SPOOL_RECORD)
		return scan_garbage(s);
	rc = scan_need(s, s->at, SPOOL_RECORD, &p);
	if (rc == -ENODATA)
		return s->at < s->end ? scan_garbage(s) : SPOOL_FOUND_END;
	s->error = rc;
	if (rc)
		return SPOOL_FOUND_ERROR;
	if (!scan_header_at(s, p, s->at))
		return scan_garbage(s);
	if (s->record.seq >= s->stop_seq)
		return SPOOL_FOUND_END;
	rc = scan_need(s, s->at, SPOOL_RECORD + s->record.len, &p);
	if (rc == -ENODATA)
		return scan_garbage(s);
	s->error = rc;
	if (rc)
		return SPOOL_FOUND_ERROR;
	s->place = s->at;
	s->payload = p + SPOOL_RECORD;
	s->at += SPOOL_RECORD + s->record.len;
	s->next_seq = s->record.seq + 1;
	if (crc32c(0, s->payload, s->record.len) != s->record.crc && !spool_fault(SPOOL_FAULT_NO_CRC))
		return SPOOL_FOUND_DAMAGED;
	return SPOOL_FOUND_BATCH;
}
