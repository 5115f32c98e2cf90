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
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "export/message_make.h"
#include "export/output_path.h"
#include "record/ipfix_reader.h"

#define FILE_MESSAGE 32768 /* octets: a few hundred records per system call */

struct file {
	struct message_make make;
	int fd;
	size_t partial;    /* octets of the message in hand that are written */
	uint32_t sequence; /* data records in whole messages */
	off_t whole;       /* octets of whole messages; only what a regular file is cut back to */
	uint64_t retry_ms; /* the disk is full: not before; 0 it is not */
	bool regular;
};

/*
 * Where the last whole message ends; -1 if it is no IPFIX file, or cannot be read.
 * What comes after that was cut short by a loss of power.
 */
static off_t file_end(const char *path, off_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	off_t at = 0;
	uint8_t header[IPFIX_READER_HEADER];

	if (fd < 0)
		return -1;
	while (pread(fd, header, sizeof(header), at) == sizeof(header)) {
		int len = ipfix_message_length(header);

		if (len < 0 || at + len > size)
			break;
		at += len;
	}
	close(fd);
	return at ? at : -1;
}

/* The messages in a file that is appended to are kept. Returns 0, or a negative errno with a sentence. */
static int file_keep(struct file *f, const struct output *o, off_t size, char *err, size_t err_size)
{
	off_t end = size ? file_end(o->uri->path, size) : 0;

	if (end < 0) {
		snprintf(err, err_size, "%s: there is something else in it than IPFIX; it is left alone", o->name);
		return -EEXIST;
	}
	f->whole = end;
	if (end == size)
		return 0;
	if (ftruncate(f->fd, end)) {
		snprintf(err, err_size, "%s: %s", o->name, strerror(errno));
		return -EIO;
	}
	log_warn("%s: its last message was cut short: %lld octets are removed", o->name, (long long)(size - end));
	return 0;
}

static int file_open_path(struct file *f, const struct output *o, char *err, size_t err_size)
{
	struct stat st;
	int rc;

	f->fd = output_path_open(o, &st, err, err_size);
	if (f->fd < 0)
		return f->fd;
	f->regular = S_ISREG(st.st_mode);
	rc = f->regular ? file_keep(f, o, st.st_size, err, err_size) : 0;
	if (rc)
		close(f->fd);
	return rc;
}

static int file_open(struct output *o, char *err, size_t err_size)
{
	struct file *f = calloc(1, sizeof(*f));
	int rc;

	if (!f) {
		snprintf(err, err_size, "%s: no memory", o->name);
		return -ENOMEM;
	}
	rc = file_open_path(f, o, err, err_size);
	if (rc) {
		free(f);
		return rc;
	}
	rc = message_make_init(&f->make, o, FILE_MESSAGE, err, err_size);
	if (rc) {
		close(f->fd);
		free(f);
		return rc;
	}
	message_make_templates(&f->make);
	o->patient = !f->regular;
	o->state = f;
	return 0;
}

/* What a file has of a message that is not whole is cut off, so that a reader finds whole ones only. */
static void file_cut(const struct output *o, struct file *f)
{
	if (!f->regular || !f->partial)
		return;
	if (ftruncate(f->fd, f->whole))
		log_warn("%s: its last message is cut short", o->name);
	else
		f->partial = 0;
}

/* Said once: nothing more is written. */
static void file_fail(struct output *o, struct file *f, int error)
{
	log_error("%s: %s; nothing more is written to it", o->name, strerror(error));
	file_cut(o, f);
	message_make_discard(&f->make);
	output_kill(o, true);
}

/* A message is written to its last octet. */
static void file_written(struct file *f, const struct message *m, uint64_t now_ms)
{
	f->sequence += m->records;
	f->whole += m->len;
	f->partial = 0;
	output_path_room(f->make.output, &f->retry_ms);
	if (m == f->make.head.head)
		message_queue_drop(&f->make.head);
	else
		message_make_sent(&f->make, now_ms);
}

static struct message *file_current(const struct file *f)
{
	return f->make.head.head ? f->make.head.head : f->make.data.head;
}

static void file_write(struct output *o, struct file *f, uint64_t now_ms)
{
	struct message *m;

	while (now_ms >= f->retry_ms && (m = file_current(f))) {
		ssize_t n;

		if (!f->partial)
			ipfix_message_stamp(m->data, f->sequence, (uint32_t)(clock_wall_ms() / 1000));
		n = write(f->fd, m->data + f->partial, m->len - f->partial);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n < 0) {
			int error = errno;

			if (f->regular && output_path_full(o, error, now_ms, &f->retry_ms))
				file_cut(o, f);
			else
				file_fail(o, f, error);
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

	message_make_record(&f->make, r);
	if (f->regular && f->make.data.head)
		file_write(o, f, o->progress_ms);
}

static void file_flush(struct output *o, uint64_t now_ms)
{
	struct file *f = o->state;

	message_make_flush(&f->make);
	file_write(o, f, now_ms);
}

static void file_step(struct output *o, uint64_t now_ms)
{
	struct file *f = o->state;

	message_make_statistics(&f->make, false, now_ms);
	file_write(o, f, now_ms);
}

static int file_wait(const struct output *o, uint64_t now_ms, struct pollfd *p)
{
	const struct file *f = o->state;

	int due = message_make_wait(&f->make, now_ms);
	int retry = clock_until(f->retry_ms, now_ms);

	*p = (struct pollfd){.fd = file_current(f) && !f->regular ? f->fd : -1, .events = POLLOUT};
	return f->retry_ms && retry < due ? retry : due;
}

/* What is in hand belongs to the file that was there; what that has no room for, to the new one. It begins with templates. */
static void file_reopen(struct output *o, uint64_t now_ms)
{
	struct file *f = o->state;
	char err[512] = "";
	struct stat st;
	int fd;

	if (!f->regular)
		return;
	message_make_statistics(&f->make, true, now_ms);
	file_write(o, f, now_ms);
	fd = o->dead ? -1 : output_path_again(o, f->fd, &st);
	if (fd < 0)
		return;
	file_cut(o, f);
	close(f->fd);
	*f = (struct file){.make = f->make, .fd = fd, .regular = S_ISREG(st.st_mode)};
	if (f->regular && file_keep(f, o, st.st_size, err, sizeof(err))) {
		log_error("%s", err);
		message_make_discard(&f->make);
		output_kill(o, true);
		return;
	}
	message_make_templates(&f->make);
	file_write(o, f, now_ms);
}

static bool file_full(const struct output *o)
{
	const struct file *f = o->state;

	return message_make_full(&f->make);
}

static void file_finish(struct output *o, uint64_t now_ms)
{
	struct file *f = o->state;

	message_make_statistics(&f->make, true, now_ms);
	file_write(o, f, now_ms);
}

static bool file_idle(const struct output *o)
{
	const struct file *f = o->state;

	return !file_current(f) && !message_make_pending(&f->make);
}

static void file_close(struct output *o)
{
	struct file *f = o->state;

	if (!o->dead)
		file_cut(o, f);
	if (close(f->fd) && !o->dead) {
		log_error("%s: %s", o->name, strerror(errno));
		output_kill(o, true);
	}
	message_make_deinit(&f->make);
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
	.reopen = file_reopen,
	.idle = file_idle,
	.close = file_close,
};
