/* SPDX-License-Identifier: Apache-2.0 */
/*
 * text:-, json:-, json+file: a line per record, in large writes. A regular file is written as it comes; a pipe, terminal or
 * socket in pieces which the kernel takes without waiting, so that a slow reader holds up nobody else.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/buf.h"
#include "base/log.h"
#include "export/output.h"
#include "export/output_path.h"
#include "export/text_line.h"
#include "record/record_json.h"

#define STREAM_PIECE 4096 /* PIPE_BUF: what fits a pipe that poll() calls writable */
#define STREAM_WRITE (256u << 10)

struct stream {
	int fd;
	bool owned;        /* close it */
	bool regular;      /* never makes us wait for a reader */
	struct buf buf;    /* whole lines, but for the first of what is no regular file */
	size_t done;       /* octets of it that are written */
	uint64_t headers;  /* lines in it that are no records */
	uint64_t retry_ms; /* the disk is full: not before; 0 it is not */
};

static bool stream_regular(int fd, const struct stat *st)
{
	return S_ISREG(st->st_mode) || S_ISBLK(st->st_mode) || (S_ISCHR(st->st_mode) && !isatty(fd));
}

/* True if the file ends within a line, as after a loss of power: what comes next begins one of its own. */
static bool stream_torn(const char *path, const struct stat *st)
{
	int fd;
	char last = '\n';

	if (!S_ISREG(st->st_mode) || st->st_size == 0)
		return false;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return false;
	if (pread(fd, &last, 1, st->st_size - 1) != 1)
		last = '\n';
	close(fd);
	return last != '\n';
}

static int stream_open(struct output *o, char *err, size_t err_size)
{
	struct stream *s = calloc(1, sizeof(*s));
	struct stat st;

	if (!s) {
		snprintf(err, err_size, "%s: no memory", o->name);
		return -ENOMEM;
	}
	s->fd = STDOUT_FILENO;
	s->owned = o->uri->path[0] == '/';
	if (s->owned)
		s->fd = output_path_open(o, &st, err, err_size);
	else if (fstat(s->fd, &st)) {
		s->fd = -errno;
		snprintf(err, err_size, "%s: %s", o->name, strerror(errno));
	}
	if (s->fd < 0) {
		int rc = s->fd;

		free(s);
		return rc;
	}
	s->regular = stream_regular(s->fd, &st);
	o->patient = !s->regular;
	buf_init(&s->buf, o->options.queue + STREAM_WRITE);
	if (s->owned && stream_torn(o->uri->path, &st)) {
		buf_char(&s->buf, '\n');
		s->headers = 1;
	}
	if (o->format == OUTPUT_TEXT) {
		text_header(&s->buf);
		s->headers = 1;
	}
	o->state = s;
	return 0;
}

/* Records that end in these octets: a line each, but for headers. */
static uint64_t stream_lines(struct stream *s, const char *data, size_t len)
{
	const char *end = data + len;
	uint64_t n = 0;

	while (data < end && (data = memchr(data, '\n', (size_t)(end - data)))) {
		data++;
		if (s->headers)
			s->headers--;
		else
			n++;
	}
	return n;
}

/* What is left will never be written. */
static void stream_discard(struct output *o, struct stream *s)
{
	shared_add(&o->counters->dropped, stream_lines(s, s->buf.data + s->done, s->buf.len - s->done));
	buf_reset(&s->buf);
	s->done = 0;
}

static void stream_fail(struct output *o, struct stream *s, int error)
{
	bool left = error == EPIPE && !s->owned; /* as in `| head`: no fault of ours */

	if (!left)
		log_error("%s: %s; nothing more is written to it", o->name, strerror(error));
	stream_discard(o, s);
	output_kill(o, !left);
}

/* A line of which the disk took a part is taken back from it, so that files have whole lines only. */
static void stream_take_back(struct output *o, struct stream *s)
{
	size_t line = s->done;
	struct stat st;

	while (line > 0 && s->buf.data[line - 1] != '\n')
		line--;
	if (line == s->done || fstat(s->fd, &st) || !S_ISREG(st.st_mode))
		return;
	if (ftruncate(s->fd, st.st_size - (off_t)(s->done - line)))
		return;
	shared_add(&o->counters->octets, 0 - (uint64_t)(s->done - line));
	s->done = line;
}

static void stream_wrote(struct output *o, struct stream *s, size_t n, uint64_t now_ms)
{
	output_path_room(o, &s->retry_ms);
	shared_add(&o->counters->octets, (uint64_t)n);
	shared_add(&o->counters->messages, 1);
	shared_add(&o->counters->sent, stream_lines(s, s->buf.data + s->done, n));
	s->done += n;
	o->progress_ms = now_ms;
}

static bool stream_writable(const struct stream *s)
{
	struct pollfd p = {.fd = s->fd, .events = POLLOUT};

	return s->regular || poll(&p, 1, 0) > 0;
}

static void stream_write(struct output *o, struct stream *s, uint64_t now_ms)
{
	while (s->done < s->buf.len && now_ms >= s->retry_ms && stream_writable(s)) {
		size_t left = s->buf.len - s->done;
		size_t piece = s->regular || left < STREAM_PIECE ? left : STREAM_PIECE;
		ssize_t n = write(s->fd, s->buf.data + s->done, piece);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			break;
		if (n < 0) {
			int error = errno;

			if (s->regular)
				stream_take_back(o, s);
			if (s->regular && output_path_full(o, error, now_ms, &s->retry_ms))
				break;
			stream_fail(o, s, error);
			return;
		}
		stream_wrote(o, s, (size_t)n, now_ms);
	}
	if (s->done == s->buf.len) {
		buf_reset(&s->buf);
		s->done = 0;
		o->progress_ms = now_ms;
	} else if (s->done > s->buf.len / 2 || s->retry_ms) {
		buf_drop(&s->buf, s->done);
		s->done = 0;
	}
}

static bool stream_full(const struct output *o)
{
	const struct stream *s = o->state;

	return s->buf.len > o->options.queue;
}

static void stream_record(struct output *o, const struct l7_record *r)
{
	struct stream *s = o->state;
	size_t before = s->buf.len;

	if (stream_full(o)) {
		shared_add(&o->counters->dropped, 1);
		return;
	}
	if (o->format == OUTPUT_TEXT)
		text_line(&s->buf, r);
	else
		record_json(&s->buf, r);
	buf_char(&s->buf, '\n');
	if (s->buf.failed) {
		s->buf.failed = false;
		s->buf.len = before;
		shared_add(&o->counters->dropped, 1);
	}
	if (s->buf.len - s->done >= STREAM_WRITE && s->regular)
		stream_write(o, s, o->progress_ms);
}

static void stream_flush(struct output *o, uint64_t now_ms)
{
	struct stream *s = o->state;

	stream_write(o, s, now_ms);
}

static void stream_step(struct output *o, uint64_t now_ms)
{
	struct stream *s = o->state;

	if (!s->regular || s->done == s->buf.len)
		stream_write(o, s, now_ms);
}

static int stream_wait(const struct output *o, uint64_t now_ms, struct pollfd *p)
{
	const struct stream *s = o->state;

	*p = (struct pollfd){.fd = s->done < s->buf.len && !s->regular ? s->fd : -1, .events = POLLOUT};
	if (!s->retry_ms)
		return -1;
	return clock_until(s->retry_ms, now_ms);
}

/* What is in hand belongs to the file that was there; what that has no room for, to the new one. */
static void stream_reopen(struct output *o, uint64_t now_ms)
{
	struct stream *s = o->state;
	struct stat st;
	int fd;

	if (!s->owned || !s->regular)
		return;
	stream_write(o, s, now_ms);
	fd = o->dead ? -1 : output_path_again(o, s->fd, &st);
	if (fd < 0)
		return;
	close(s->fd);
	s->fd = fd;
	s->regular = stream_regular(fd, &st);
	s->retry_ms = s->retry_ms ? now_ms : 0;
}

static bool stream_idle(const struct output *o)
{
	const struct stream *s = o->state;

	return s->done == s->buf.len;
}

static void stream_close(struct output *o)
{
	struct stream *s = o->state;

	stream_discard(o, s);
	if (s->owned && close(s->fd) && !o->dead) {
		log_error("%s: %s", o->name, strerror(errno));
		output_kill(o, true);
	}
	buf_deinit(&s->buf);
	free(s);
}

const struct output_ops output_stream_ops = {
	.open = stream_open,
	.record = stream_record,
	.flush = stream_flush,
	.step = stream_step,
	.wait = stream_wait,
	.full = stream_full,
	.finish = stream_flush,
	.reopen = stream_reopen,
	.idle = stream_idle,
	.close = stream_close,
};
