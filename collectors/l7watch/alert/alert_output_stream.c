/* SPDX-License-Identifier: Apache-2.0 */
/* Standard output and files: lines one after the other, JSON or for a person. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "alert/alert_output_kind.h"
#include "base/log.h"
#include "base/utf8.h"

#define STREAM_TAIL_MAX (4u << 20) /* octets at the end of a file that are looked at */

/* ---- opening ---- */

static bool stream_is_stdout(const char *path)
{
	return strcmp(path, "-") == 0;
}

static bool stream_is_file(const char *path)
{
	return path[0] == '/';
}

/* The file that fd writes to, opened to be read; -1 if it is none that can be, or not a plain one. */
static int stream_read_again(int writer, const char *path, off_t *size)
{
	struct stat st;

	if (!*path || fstat(writer, &st) || !S_ISREG(st.st_mode))
		return -1;
	*size = st.st_size;
	return open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
}

/* True if the file ends within a line: what follows a kill or a full disk. */
static bool stream_torn(int writer, const char *path)
{
	off_t size = 0;
	int fd = stream_read_again(writer, path, &size);
	char last = '\n';

	if (fd < 0)
		return false;
	if (size > 0 && pread(fd, &last, 1, size - 1) != 1)
		last = '\n';
	close(fd);
	return last != '\n';
}

static int stream_open_file(const char *path)
{
	int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0640);

	return fd < 0 ? -errno : fd;
}

/* A reader that does not read must not stop us: a pipe is written without waiting. */
static void stream_never_wait(int fd)
{
	struct stat st;
	int flags = fcntl(fd, F_GETFL);

	if (flags >= 0 && fstat(fd, &st) == 0 && (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode)))
		(void)fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

static int stream_open(struct alert_output *o)
{
	int fd = *o->path ? stream_open_file(o->path) : STDOUT_FILENO;

	if (fd < 0)
		return fd;
	o->fd = fd;
	o->torn = stream_torn(fd, o->path);
	stream_never_wait(fd);
	return 0;
}

static void stream_reopen(struct alert_output *o)
{
	int fd = stream_open_file(o->path);

	if (fd < 0) {
		log_error("cannot open %s again, the old file stays: %s", o->path, strerror(-fd));
		return;
	}
	stream_never_wait(fd);
	if (o->fd >= 0)
		close(o->fd);
	o->fd = fd;
	o->torn = stream_torn(fd, o->path);
}

/* ---- writing ---- */

uint64_t alert_stream_waiting(const struct alert_output *o)
{
	uint64_t n = 0;

	for (size_t i = 0; i < o->pending.len; i++)
		n += o->pending.data[i] == '\n';
	return n;
}

/* Writes as much as can be; returns the octets taken, or -1 if it fails for another reason than a full pipe. */
static ssize_t stream_octets(struct alert_output *o, const char *data, size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = write(o->fd, data + done, len - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			break;
		if (n < 0) {
			o->torn |= done > 0;
			return -1;
		}
		done += (size_t)n;
	}
	return (ssize_t)done;
}

const char *alert_stream_flush(struct alert_output *o, uint64_t *lines)
{
	ssize_t n = stream_octets(o, o->pending.data, o->pending.len);

	if (n < 0) {
		const char *why = strerror(errno);

		*lines = alert_stream_waiting(o);
		buf_reset(&o->pending);
		return why;
	}
	buf_drop(&o->pending, (size_t)n);
	return NULL;
}

static const char *stream_write(struct alert_output *o, const char *text, size_t len)
{
	ssize_t n = 0;

	if (o->fd < 0)
		return "it is not open";
	if (o->pending.len == 0) {
		if (o->torn && stream_octets(o, "\n", 1) == 1) /* what follows a broken line is a line again */
			o->torn = false;
		n = stream_octets(o, text, len);
		if (n < 0)
			return strerror(errno);
	}
	buf_put(&o->pending, text + n, len - (size_t)n);
	if (!o->pending.failed)
		return NULL;
	o->pending.failed = false;
	return "nobody reads it, and too much waits";
}

/* ---- what a file has ---- */

static uint64_t stream_hash(const char *text, size_t len)
{
	return XXH3_64bits(text, len);
}

static int stream_by_number(const void *x, const void *y)
{
	uint64_t a = *(const uint64_t *)x, b = *(const uint64_t *)y;

	return a < b ? -1 : a > b;
}

/* The end of a file; NULL if there is none, or no memory. */
static char *stream_tail(const struct alert_output *o, size_t *len)
{
	off_t size = 0, from;
	int fd = stream_read_again(o->fd, o->path, &size);
	char *tail = NULL;
	ssize_t n;

	*len = 0;
	if (fd < 0)
		return NULL;
	from = size > (off_t)STREAM_TAIL_MAX ? size - (off_t)STREAM_TAIL_MAX : 0;
	size -= from;
	if (size > 0)
		tail = malloc((size_t)size);
	while (tail && *len < (size_t)size && (n = pread(fd, tail + *len, (size_t)size - *len, from + (off_t)*len)) > 0)
		*len += (size_t)n;
	close(fd);
	return tail;
}

void alert_stream_recall(struct alert_output *o)
{
	size_t len, n = 0;
	char *tail = stream_tail(o, &len);

	o->recalled = true;
	if (!tail)
		return;
	for (size_t i = 0; i < len; i++)
		n += tail[i] == '\n';
	o->have = malloc((n + 1) * sizeof(*o->have));
	for (char *at = tail, *end = tail + len, *stop; o->have && (stop = memchr(at, '\n', (size_t)(end - at)));
	     at = stop + 1)
		o->have[o->n_have++] = stream_hash(at, (size_t)(stop + 1 - at));
	free(tail);
	if (o->have)
		qsort(o->have, o->n_have, sizeof(*o->have), stream_by_number);
}

bool alert_stream_has(const struct alert_output *o, const char *text, size_t len)
{
	uint64_t hash = stream_hash(text, len);

	return o->n_have && bsearch(&hash, o->have, o->n_have, sizeof(hash), stream_by_number);
}

/* ---- the kinds ---- */

static bool stream_render_json(struct buf *out, const char *line, size_t len, bool replay)
{
	(void)replay;
	buf_put(out, line, len);
	return true;
}

static void stream_clean(struct buf *out, const char *text)
{
	size_t len = strlen(text);
	char *to = len ? buf_reserve(out, len) : NULL;

	if (to)
		out->len += utf8_clean(to, len, text, len);
}

/* "2027-01-31T10:00:00.000Z critical 192.0.2.10 speaks ... [rule 1001, rules.yaml:14]" */
static bool stream_render_text(struct buf *out, const char *line, size_t len, bool replay)
{
	struct alert_view v;

	if (!alert_view_parse(&v, line, len))
		return false;
	stream_clean(out, replay ? v.seen : v.time);
	buf_printf(out, " %-8s ", v.severity);
	if (strcmp(v.state, "engaged") != 0)
		buf_printf(out, "%s: ", v.state);
	stream_clean(out, v.sentence);
	buf_printf(out, " [rule %s", v.rule);
	if (*v.place) {
		buf_str(out, ", ");
		stream_clean(out, v.place);
	}
	buf_str(out, "]\n");
	return true;
}

const struct alert_output_kind alert_output_json = {.scheme = "json",
						    .example = "json:-",
						    .takes = stream_is_stdout,
						    .open = stream_open,
						    .render = stream_render_json,
						    .write = stream_write};
const struct alert_output_kind alert_output_json_file = {.scheme = "json+file",
							 .example = "json+file:///path, with three slashes",
							 .takes = stream_is_file,
							 .open = stream_open,
							 .render = stream_render_json,
							 .write = stream_write,
							 .reopen = stream_reopen};
const struct alert_output_kind alert_output_text = {.scheme = "text",
						    .example = "text:-",
						    .takes = stream_is_stdout,
						    .open = stream_open,
						    .render = stream_render_text,
						    .write = stream_write};
const struct alert_output_kind alert_output_text_file = {.scheme = "text+file",
							 .example = "text+file:///path, with three slashes",
							 .takes = stream_is_file,
							 .open = stream_open,
							 .render = stream_render_text,
							 .write = stream_write,
							 .reopen = stream_reopen};
