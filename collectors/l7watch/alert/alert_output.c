/* SPDX-License-Identifier: Apache-2.0 */
#include "alert/alert_output.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/uri.h"

#define ALERT_DRAIN_MS 2000

/* The path of an output's URI, "" for standard output. Returns 0 or -EINVAL. */
static int output_path(const char *text, char **path, char *err, size_t err_size)
{
	static const char *const options[] = {NULL};
	struct uri u;
	bool file;
	int rc = uri_parse(&u, text, err, err_size);

	if (rc)
		return rc;
	*path = NULL;
	file = strcmp(u.scheme, "json+file") == 0;
	rc = uri_check_options(&u, options, err, err_size);
	if (!rc && !file && strcmp(u.scheme, "json") != 0) {
		snprintf(err, err_size, "%s: alerts go to json:- or json+file:///path; %s is not supported yet", text,
			 u.scheme);
		rc = -EINVAL;
	} else if (!rc && (*u.host || (file ? u.path[0] != '/' : strcmp(u.path, "-") != 0))) {
		snprintf(err, err_size, "%s: write %s", text,
			 file ? "json+file:///path, with three slashes" : "json:-");
		rc = -EINVAL;
	}
	if (!rc)
		*path = strdup(file ? u.path : "");
	if (!rc && !*path)
		rc = -ENOMEM;
	uri_deinit(&u);
	return rc;
}

int alert_outputs_check(const struct conf_list *uris, size_t *which, char *err, size_t err_size)
{
	if (uris->n > ALERT_OUTPUTS_MAX) {
		*which = uris->n;
		snprintf(err, err_size, "more than %d alert outputs", ALERT_OUTPUTS_MAX);
		return -EINVAL;
	}
	for (size_t i = 0; i < uris->n; i++) {
		char *path;
		int rc = output_path(uris->items[i], &path, err, err_size);

		*which = i;
		if (rc)
			return rc;
		free(path);
	}
	return 0;
}

static int output_open(const char *path)
{
	int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0640);

	return fd < 0 ? -errno : fd;
}

/* A reader that does not read must not stop us: a pipe is written without waiting. */
static void output_never_wait(int fd)
{
	struct stat st;
	int flags = fcntl(fd, F_GETFL);

	if (flags >= 0 && fstat(fd, &st) == 0 && (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode)))
		(void)fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

static int output_init(struct alert_output *o, const char *uri, char *err, size_t err_size)
{
	int rc;

	*o = (struct alert_output){.fd = -1};
	buf_init(&o->pending, ALERT_PENDING_MAX);
	rc = output_path(uri, &o->path, err, err_size);
	if (rc)
		return rc;
	o->uri = strdup(uri);
	if (!o->uri)
		return -ENOMEM;
	if (!*o->path) {
		o->fd = STDOUT_FILENO;
	} else {
		o->fd = output_open(o->path);
		if (o->fd < 0) {
			snprintf(err, err_size, "cannot open %s for alerts: %s", o->path, strerror(-o->fd));
			return o->fd;
		}
	}
	output_never_wait(o->fd);
	return 0;
}

int alert_outputs_init(struct alert_outputs *o, const struct conf_list *uris, char *err, size_t err_size)
{
	size_t which;
	int rc = alert_outputs_check(uris, &which, err, err_size);

	*o = (struct alert_outputs){0};
	for (size_t i = 0; i < uris->n && !rc; i++)
		rc = output_init(&o->list[o->n++], uris->items[i], err, err_size);
	if (rc)
		alert_outputs_deinit(o);
	return rc;
}

static void output_fails(struct alert_outputs *all, struct alert_output *o, uint64_t lines, const char *why)
{
	all->n_lost += lines;
	if (!o->said)
		log_error("cannot write alerts to %s: %s", o->uri, why);
	o->said = true;
}

/* Lines that wait, a begun one too. */
static uint64_t output_waiting(const struct alert_output *o)
{
	uint64_t n = 0;

	for (size_t i = 0; i < o->pending.len; i++)
		n += o->pending.data[i] == '\n';
	return n;
}

/* Writes as much as can be; returns the octets taken, or -1 if it fails for another reason than a full pipe. */
static ssize_t output_write(struct alert_output *o, const char *data, size_t len)
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

static void output_flush(struct alert_outputs *all, struct alert_output *o)
{
	ssize_t n;

	if (o->pending.len == 0)
		return;
	n = output_write(o, o->pending.data, o->pending.len);
	if (n < 0) {
		output_fails(all, o, output_waiting(o), strerror(errno));
		buf_reset(&o->pending);
		return;
	}
	if (n > 0)
		buf_drop(&o->pending, (size_t)n);
}

static void output_line(struct alert_outputs *all, struct alert_output *o, const char *line, size_t len)
{
	ssize_t n = 0;

	if (o->fd < 0) {
		output_fails(all, o, 1, "it is not open");
		return;
	}
	output_flush(all, o);
	if (o->pending.len == 0) {
		if (o->torn && output_write(o, "\n", 1) == 1) /* what follows a broken line is a line again */
			o->torn = false;
		n = output_write(o, line, len);
		if (n < 0) {
			output_fails(all, o, 1, strerror(errno));
			return;
		}
	}
	buf_put(&o->pending, line + n, len - (size_t)n);
	if (o->pending.failed) {
		o->pending.failed = false;
		output_fails(all, o, 1, "nobody reads it, and too much waits");
		return;
	}
	if (o->pending.len == 0)
		o->said = false;
}

void alert_outputs_write(struct alert_outputs *o, const char *line, size_t len)
{
	for (size_t i = 0; i < o->n; i++)
		output_line(o, &o->list[i], line, len);
}

void alert_outputs_flush(struct alert_outputs *o)
{
	for (size_t i = 0; i < o->n; i++)
		output_flush(o, &o->list[i]);
}

void alert_outputs_reopen(struct alert_outputs *o)
{
	for (size_t i = 0; i < o->n; i++) {
		struct alert_output *out = &o->list[i];
		int fd;

		if (!*out->path)
			continue;
		fd = output_open(out->path);
		if (fd < 0) {
			log_error("cannot open %s again, the old file stays: %s", out->path, strerror(-fd));
			continue;
		}
		output_never_wait(fd);
		if (out->fd >= 0)
			close(out->fd);
		out->fd = fd;
		out->torn = false;
	}
}

/* Waits until a pipe has taken what waits, for its share of the time. */
static void output_drain(struct alert_outputs *all, struct alert_output *o, uint64_t until_ms)
{
	while (o->pending.len && o->fd >= 0) {
		struct pollfd p = {.fd = o->fd, .events = POLLOUT};
		uint64_t now = clock_mono_ms();

		if (now >= until_ms || poll(&p, 1, (int)(until_ms - now)) <= 0)
			break;
		output_flush(all, o);
	}
	if (o->pending.len)
		output_fails(all, o, output_waiting(o), "nobody reads it");
}

void alert_outputs_deinit(struct alert_outputs *o)
{
	uint64_t until = clock_mono_ms() + ALERT_DRAIN_MS;

	for (size_t i = 0; i < o->n; i++) {
		struct alert_output *out = &o->list[i];

		output_drain(o, out, until);
		if (out->fd >= 0 && out->path && *out->path && close(out->fd) < 0)
			output_fails(o, out, 1, strerror(errno));
		buf_deinit(&out->pending);
		free(out->path);
		free(out->uri);
	}
	o->n = 0;
}
