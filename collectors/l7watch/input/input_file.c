/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records from files and pipes: IPFIX messages one after another, or JSON lines. A regular file is always ready, so it is read in
 * steps, a turn of the loop each; a pipe is read when it has something, once per wake-up, which does not block.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/wire.h"
#include "input/input_internal.h"
#include "l7/fields.h"
#include "record/record_json_reader.h"

#define FILE_BUFFER (2 * INPUT_BUFFER) /* a line as long as can be, and another read behind it */
#define FILE_SAID_MAX 5                /* bad lines, and unknown keys, that are said of one file */

_Static_assert(RECORD_JSON_LINE_MAX < FILE_BUFFER && IPFIX_READER_MESSAGE_MAX < FILE_BUFFER, "room for one");

struct input_file {
	struct loop_handler handler; /* first: a handler is its file */
	struct input *input;
	char *path;           /* owned, "" is standard input */
	const char *name;     /* in sentences */
	const char *exporter; /* in records that name none: the last part of the path */
	bool json;
	bool regular;  /* cannot be waited for */
	bool more;     /* the buffer has what can be read at once */
	bool skipping; /* the rest of a line that is too long */
	bool done;
	uint64_t at; /* lines, or octets of messages, that have been read */
	uint64_t n_bad;
	uint64_t n_records;
	size_t begin, end; /* what the buffer holds */
	size_t searched;   /* up to here there is no end of a line */
	struct ipfix_session session;
	struct record_json_reader reader;
	uint8_t buffer[FILE_BUFFER];
};

/* ---- the end ---- */

static void file_close(struct input_file *f)
{
	if (f->done)
		return;
	f->done = true;
	f->more = false;
	if (!f->regular)
		loop_remove(f->input->loop, &f->handler);
	if (*f->path)
		close(f->handler.fd);
	ipfix_session_deinit(&f->session);
}

/* It cannot be read any further, or was not worth it. */
static void file_failed(struct input_file *f, const char *why)
{
	log_error("%s: %s", f->name, why);
	f->input->counters.bad_files++;
	file_close(f);
}

/* ---- JSON ---- */

static void file_bad_line(struct input_file *f, const char *why, size_t column)
{
	f->input->counters.bad_lines++;
	if (++f->n_bad > FILE_SAID_MAX)
		return;
	if (column)
		log_warn("%s:%llu:%zu: %s", f->name, (unsigned long long)f->at, column, why);
	else
		log_warn("%s:%llu: %s", f->name, (unsigned long long)f->at, why);
}

static void file_unknown_key(void *arg, const char *key, const char *near)
{
	struct input_file *f = arg;

	f->input->counters.unknown_keys++;
	if (f->reader.unknown > FILE_SAID_MAX)
		return;
	if (near)
		log_warn("%s:%llu: key %s is not known and ignored; there is %s", f->name, (unsigned long long)f->at,
			 key, near);
	else
		log_info("%s:%llu: key %s is not known and ignored", f->name, (unsigned long long)f->at, key);
}

static void file_line(struct input_file *f, const char *line, size_t len)
{
	char err[RECORD_JSON_ERROR_MAX];
	struct l7_record r;

	f->at++;
	if (strspn(line, " \t\r") == len) /* what ends the line ends that too */
		return;
	f->input->counters.lines++;
	if (record_json_read(&f->reader, line, len, &r, err)) {
		file_bad_line(f, err, f->reader.column);
		return;
	}
	if (!l7_has(&r, L7_F_exporterName) &&
	    l7_record_text(&r, &r.exporter, f->exporter, strlen(f->exporter), L7_TEXT_MAX))
		l7_mark(&r, L7_F_exporterName);
	f->n_records++;
	f->input->sink.record(f->input->sink.arg, &r);
}

/* Takes one line of the buffer. Returns false if there is no whole one. */
static bool file_take_line(struct input_file *f)
{
	const uint8_t *found = memchr(f->buffer + f->searched, '\n', f->end - f->searched);
	size_t begin = f->begin;

	if (!found) {
		f->searched = f->end;
		if (f->end - f->begin <= RECORD_JSON_LINE_MAX)
			return false;
		f->skipping = true; /* what comes of it is dropped, and said once its end is there */
		f->begin = f->end;
		return false;
	}
	f->begin = f->searched = (size_t)(found - f->buffer) + 1;
	if (!f->skipping) {
		file_line(f, (const char *)f->buffer + begin, f->begin - 1 - begin);
		return true;
	}
	f->at++;
	f->input->counters.lines++;
	f->skipping = false;
	file_bad_line(f, "the line is too long", 0);
	return true;
}

static void file_end_of_json(struct input_file *f)
{
	if (f->skipping || f->begin < f->end) { /* the last line has no end */
		f->buffer[f->end++] = '\n';
		(void)file_take_line(f);
	}
	if (f->n_bad && f->n_records == 0) {
		file_failed(f, "no line is a flow record");
		return;
	}
	if (f->n_bad)
		log_warn("%s: %llu of %llu lines are refused", f->name, (unsigned long long)f->n_bad,
			 (unsigned long long)f->at);
	file_close(f);
}

/* ---- IPFIX ---- */

/* pcap of both byte orders, in micro- and nanoseconds, and pcapng. */
static bool file_is_capture(const uint8_t *p)
{
	uint32_t magic = wire_be32(p);

	return magic == 0xa1b2c3d4 || magic == 0xd4c3b2a1 || magic == 0xa1b23c4d || magic == 0x4d3cb2a1 ||
	       magic == 0x0a0d0d0a;
}

/* Takes one message of the buffer. Returns false if there is no whole one. */
static bool file_take_message(struct input_file *f)
{
	const uint8_t *message = f->buffer + f->begin;
	char why[128];
	int len;

	if (f->end - f->begin < IPFIX_READER_HEADER)
		return false;
	len = ipfix_message_length(message);
	if (len < 0) {
		f->input->counters.garbage++;
		f->input->ipfix.bad_header++;
		snprintf(why, sizeof(why), "at octet %llu there is no IPFIX message%s", (unsigned long long)f->at,
			 f->at == 0 && file_is_capture(message) ? ": it is a capture, which l7probe -r reads" : "");
		file_failed(f, why);
		return false;
	}
	if ((size_t)len > f->end - f->begin)
		return false;
	f->begin += (size_t)len;
	f->at += (uint64_t)len;
	(void)ipfix_read(&f->session, message, (size_t)len, &f->input->sink);
	return true;
}

static void file_end_of_ipfix(struct input_file *f)
{
	char why[80];

	if (f->begin == f->end) {
		file_close(f);
		return;
	}
	f->input->counters.half_messages++;
	snprintf(why, sizeof(why), "it ends within the message that begins at octet %llu", (unsigned long long)f->at);
	file_failed(f, why);
}

/* ---- steps ---- */

/* Reads once. Returns false if nothing came. */
static bool file_read(struct input_file *f)
{
	ssize_t n;

	memmove(f->buffer, f->buffer + f->begin, f->end - f->begin);
	f->end -= f->begin;
	f->searched -= f->searched < f->begin ? f->searched : f->begin;
	f->begin = 0;
	/* The last octet is for the end of a line that has none. */
	n = read(f->handler.fd, f->buffer + f->end, sizeof(f->buffer) - 1 - f->end);
	if (n > 0) {
		f->end += (size_t)n;
		return true;
	}
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n < 0)
		file_failed(f, strerror(errno));
	else if (f->json)
		file_end_of_json(f);
	else
		file_end_of_ipfix(f);
	return false;
}

/* One step: so many lines or messages at most. */
static void file_step(struct input_file *f)
{
	unsigned left = f->json ? INPUT_FILE_LINES : INPUT_FILE_MESSAGES;

	while (left && !f->done) {
		if (f->json ? file_take_line(f) : file_take_message(f))
			left--;
		else if (f->done || !f->regular || !file_read(f))
			break;
	}
	f->more = !f->done && (f->regular || left == 0);
}

static void file_ready(struct loop_handler *h, uint32_t events)
{
	struct input_file *f = (struct input_file *)h;

	(void)events;
	if (!f->more && file_read(f))
		file_step(f);
}

bool input_files_step(struct input *in)
{
	bool more = false;

	for (size_t i = 0; i < in->n_files; i++) {
		if (in->files[i]->more)
			file_step(in->files[i]);
		more |= in->files[i]->more;
	}
	return more;
}

bool input_done(const struct input *in)
{
	if (in->n_listeners || in->n_kafka || in->n_files == 0)
		return false;
	for (size_t i = 0; i < in->n_files; i++)
		if (!in->files[i]->done)
			return false;
	return true;
}

/* ---- opening ---- */

static int file_open(const char *path)
{
	struct stat st;
	int fd = *path ? open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY) : STDIN_FILENO;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0 || !S_ISDIR(st.st_mode))
		return fd; /* what is not open is found out by the one who waits for it */
	if (*path)
		close(fd);
	return -EISDIR;
}

/* Opens it and makes it wait, if that can be waited for. Returns 0, or a negative errno and leaves nothing. */
static int file_init(struct input_file *f, struct input *in, const char *path)
{
	int rc;

	memset(f, 0, offsetof(struct input_file, buffer)); /* not all zeroed: most of it is buffer */
	f->handler = (struct loop_handler){.fd = file_open(path), .ready = file_ready};
	if (f->handler.fd < 0)
		return f->handler.fd;
	f->path = strdup(path);
	rc = f->path ? loop_add(in->loop, &f->handler, EPOLLIN) : -ENOMEM;
	f->regular = f->more = rc == -EPERM;
	if (!rc || f->regular)
		return 0;
	if (*path)
		close(f->handler.fd);
	free(f->path);
	return rc;
}

int input_file_open(struct input *in, const char *path, bool json, char *err, size_t err_size)
{
	struct input_file *f = malloc(sizeof(*f));
	int rc = f ? file_init(f, in, path) : -ENOMEM;

	if (rc) {
		snprintf(err, err_size, "cannot read %s: %s", *path ? path : "standard input", strerror(-rc));
		free(f);
		return rc;
	}
	f->input = in;
	f->json = json;
	f->name = *path ? f->path : "standard input";
	f->exporter = *path ? strrchr(f->path, '/') + 1 : "stdin";
	ipfix_session_init(&f->session, &in->ipfix, f->exporter, in->pen, false);
	f->session.via = "file";
	record_json_reader_init(&f->reader);
	f->reader.on_unknown = file_unknown_key;
	f->reader.arg = f;
	in->files[in->n_files++] = f;
	return 0;
}

void input_files_deinit(struct input *in)
{
	for (size_t i = 0; i < in->n_files; i++) {
		file_close(in->files[i]);
		free(in->files[i]->path);
		free(in->files[i]);
	}
	in->n_files = 0;
}
