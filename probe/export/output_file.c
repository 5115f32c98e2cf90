/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ipfix+file: messages one after another (RFC 5655), the templates first. A regular file is written at once; a pipe by name,
 * as /dev/stdout may be, as fast as its reader takes it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "export/ipfix_make.h"

#define FILE_MESSAGE 32768 /* octets: a few hundred records per system call */

struct file {
	struct ipfix_make make;
	int fd;
	size_t partial;    /* octets of the message in hand that are written */
	uint32_t sequence; /* data records in whole messages */
	off_t whole;       /* octets of whole messages; only what a regular file is cut back to */
	bool regular;
};

static int file_open_path(struct file *f, const char *path)
{
	struct stat st;

	/* Not waiting for the reader of a pipe: one that is not there yet is an error. */
	f->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NONBLOCK, 0644);
	if (f->fd < 0)
		return -errno;
	if (fstat(f->fd, &st)) {
		int error = errno;

		close(f->fd);
		return -error;
	}
	f->regular = S_ISREG(st.st_mode);
	return 0;
}

static int file_open(struct output *o, char *err, size_t err_size)
{
	struct file *f = calloc(1, sizeof(*f));
	int rc = f ? file_open_path(f, o->uri->path) : -ENOMEM;

	if (rc) {
		snprintf(err, err_size, "%s: %s", o->name, rc == -ENXIO ? "nobody reads from it" : strerror(-rc));
		free(f);
		return rc;
	}
	rc = ipfix_make_init(&f->make, o, FILE_MESSAGE, err, err_size);
	if (rc) {
		close(f->fd);
		free(f);
		return rc;
	}
	ipfix_make_templates(&f->make);
	o->patient = !f->regular;
	o->state = f;
	return 0;
}

/* Said once: nothing more is written, and a reader finds whole messages only. */
static void file_fail(struct output *o, struct file *f, int error)
{
	log_error("%s: %s; nothing more is written to it", o->name, strerror(error));
	if (f->regular && f->partial && ftruncate(f->fd, f->whole))
		log_warn("%s: its last message is cut short", o->name);
	ipfix_make_discard(&f->make);
	output_kill(o, true);
}

/* A message is written to its last octet. */
static void file_written(struct file *f, const struct message *m, uint64_t now_ms)
{
	f->sequence += m->records;
	f->whole += m->len;
	f->partial = 0;
	if (m == f->make.head.head)
		message_queue_drop(&f->make.head);
	else
		ipfix_make_sent(&f->make, now_ms);
}

static struct message *file_current(const struct file *f)
{
	return f->make.head.head ? f->make.head.head : f->make.data.head;
}

static void file_write(struct output *o, struct file *f, uint64_t now_ms)
{
	struct message *m;

	while ((m = file_current(f))) {
		ssize_t n;

		if (!f->partial)
			ipfix_message_stamp(m->data, f->sequence, (uint32_t)(clock_wall_ms() / 1000));
		n = write(f->fd, m->data + f->partial, m->len - f->partial);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n < 0) {
			file_fail(o, f, errno);
			return;
		}
		f->partial += (size_t)n;
		if (f->partial == m->len)
			file_written(f, m, now_ms);
	}
	o->progress_ms = now_ms;
}

static void file_record(struct output *o, const struct l7_record *r)
{
	struct file *f = o->state;

	ipfix_make_record(&f->make, r);
	if (f->regular && f->make.data.head)
		file_write(o, f, o->progress_ms);
}

static void file_flush(struct output *o, uint64_t now_ms)
{
	struct file *f = o->state;

	ipfix_writer_flush(f->make.writer);
	file_write(o, f, now_ms);
}

static void file_step(struct output *o, uint64_t now_ms)
{
	struct file *f = o->state;

	ipfix_make_statistics(&f->make, false, now_ms);
	file_write(o, f, now_ms);
}

static int file_wait(const struct output *o, uint64_t now_ms, struct pollfd *p)
{
	const struct file *f = o->state;

	*p = (struct pollfd){.fd = file_current(f) && !f->regular ? f->fd : -1, .events = POLLOUT};
	return ipfix_make_wait(&f->make, now_ms);
}

static bool file_full(const struct output *o)
{
	const struct file *f = o->state;

	return ipfix_make_full(&f->make);
}

static void file_finish(struct output *o, uint64_t now_ms)
{
	struct file *f = o->state;

	ipfix_make_statistics(&f->make, true, now_ms);
	file_write(o, f, now_ms);
}

static bool file_idle(const struct output *o)
{
	const struct file *f = o->state;

	return !file_current(f) && !ipfix_writer_pending(f->make.writer);
}

static void file_close(struct output *o)
{
	struct file *f = o->state;

	if (close(f->fd) && !o->dead) {
		log_error("%s: %s", o->name, strerror(errno));
		output_kill(o, true);
	}
	ipfix_make_deinit(&f->make);
	free(f);
}

const struct output_ops output_file_ops = {
	.open = file_open,
	.record = file_record,
	.flush = file_flush,
	.step = file_step,
	.wait = file_wait,
	.full = file_full,
	.finish = file_finish,
	.idle = file_idle,
	.close = file_close,
};
