/* SPDX-License-Identifier: Apache-2.0 */
#include "alert/alert_output.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "alert/alert_output_kind.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/uri.h"

#define OUTPUT_DRAIN_MS 2000  /* for who reads a pipe, at the end */
#define OUTPUT_ANSWER_MS 3000 /* for who acknowledges */
#define OUTPUT_TEXT_MAX 131072
#define OUTPUT_WAYS "json:-, json+file:///path, text:-, text+file:///path, syslog: or kafka://brokers/topic"

static const struct alert_output_kind *const output_kinds[] = {&alert_output_json,   &alert_output_json_file,
							       &alert_output_text,   &alert_output_text_file,
							       &alert_output_syslog, &alert_output_kafka};

#define OUTPUT_KINDS (sizeof(output_kinds) / sizeof(output_kinds[0]))

static const struct alert_output_kind *output_kind(const char *scheme)
{
	for (size_t i = 0; i < OUTPUT_KINDS; i++)
		if (strcmp(output_kinds[i]->scheme, scheme) == 0)
			return output_kinds[i];
	return NULL;
}

/* Whether a URI is one of its kind. Returns 0, or -EINVAL with a sentence. */
static int output_check(const struct alert_output_kind *kind, const struct uri *u, char *err, size_t err_size)
{
	static const char *const options[] = {NULL};
	int rc;

	if (!kind) {
		snprintf(err, err_size, "%s: alerts go to " OUTPUT_WAYS ", not to %s", u->text, u->scheme);
		return -EINVAL;
	}
	if (kind->check)
		return kind->check(u, err, err_size);
	rc = uri_check_options(u, options, err, err_size);
	if (!rc && (*u->host || !kind->takes(u->path))) {
		snprintf(err, err_size, "%s: write %s", u->text, kind->example);
		rc = -EINVAL;
	}
	return rc;
}

/* Kind and path of an output's URI. Returns 0 or a negative errno. */
static int output_parse(struct alert_output *o, const char *text, char *err, size_t err_size)
{
	struct uri u;
	int rc;

	if (!strchr(text, ':')) {
		snprintf(err, err_size, "%s: alerts go to " OUTPUT_WAYS, text);
		return -EINVAL;
	}
	rc = uri_parse(&u, text, err, err_size);
	if (rc)
		return rc;
	o->kind = output_kind(u.scheme);
	rc = output_check(o->kind, &u, err, err_size);
	if (!rc) {
		o->path = strdup(u.path[0] == '/' ? u.path : "");
		o->uri = strdup(text);
		if (!o->path || !o->uri) {
			snprintf(err, err_size, "%s: no memory", text);
			rc = -ENOMEM;
		}
	}
	uri_deinit(&u);
	return rc;
}

static void output_free(struct alert_output *o)
{
	if (o->state)
		o->kind->stop(o);
	buf_deinit(&o->pending);
	free(o->have);
	free(o->path);
	free(o->uri);
	*o = (struct alert_output){.fd = -1};
}

int alert_outputs_check(const struct conf_list *uris, size_t *which, char *err, size_t err_size)
{
	if (uris->n > ALERT_OUTPUTS_MAX) {
		*which = uris->n;
		snprintf(err, err_size, "more than %d alert outputs", ALERT_OUTPUTS_MAX);
		return -EINVAL;
	}
	for (size_t i = 0; i < uris->n; i++) {
		struct alert_output o = {.fd = -1};
		int rc = output_parse(&o, uris->items[i], err, err_size);

		output_free(&o);
		*which = i;
		if (rc)
			return rc;
	}
	return 0;
}

static int output_init(struct alert_output *o, const char *uri, char *err, size_t err_size)
{
	int rc;

	*o = (struct alert_output){.fd = -1};
	buf_init(&o->pending, ALERT_PENDING_MAX);
	rc = output_parse(o, uri, err, err_size);
	if (rc)
		return rc;
	if (o->kind->start)
		return o->kind->start(o, err, err_size);
	rc = o->kind->open(o);
	if (rc)
		snprintf(err, err_size, "cannot open %s for alerts: %s", *o->path ? o->path : o->uri, strerror(-rc));
	return rc;
}

int alert_outputs_init(struct alert_outputs *o, const struct conf_list *uris, char *err, size_t err_size)
{
	size_t which;
	int rc = alert_outputs_check(uris, &which, err, err_size);

	*o = (struct alert_outputs){0};
	for (size_t i = 0; i < uris->n && !rc; i++) {
		rc = output_init(&o->list[o->n], uris->items[i], err, err_size);
		if (rc)
			output_free(&o->list[o->n]); /* it is none, and has perhaps no kind */
		else
			o->n++;
	}
	if (rc)
		alert_outputs_deinit(o);
	return rc;
}

/* ---- lines ---- */

static void output_fails(struct alert_outputs *all, struct alert_output *o, uint64_t lines, const char *why)
{
	all->n_lost += lines;
	if (!o->said)
		log_error("cannot write alerts to %s: %s", o->uri, why);
	o->said = true;
}

static void output_flush(struct alert_outputs *all, struct alert_output *o)
{
	uint64_t lines = 0;
	const char *why = o->pending.len ? alert_stream_flush(o, &lines) : NULL;

	if (why)
		output_fails(all, o, lines, why);
	if (o->kind->step)
		o->kind->step(o);
	if (o->failed)
		output_fails(all, o, o->failed, o->why);
	o->failed = 0;
}

static void output_line(struct alert_outputs *all, struct alert_output *o, const struct buf *text)
{
	const char *why;

	if (text->failed) {
		output_fails(all, o, 1, "it cannot be put into words");
		return;
	}
	output_flush(all, o);
	why = o->kind->write(o, text->data, text->len);
	if (why)
		output_fails(all, o, 1, why);
	else if (o->pending.len == 0)
		o->said = false;
}

/* Outputs that show the same share the work: `text` is what was made last, for that function. */
static void outputs_write(struct alert_outputs *o, const char *line, size_t len, bool again)
{
	bool (*made)(struct buf * out, const char *line, size_t len, bool replay) = NULL;
	struct buf text;

	buf_init(&text, OUTPUT_TEXT_MAX);
	for (size_t i = 0; i < o->n; i++) {
		struct alert_output *out = &o->list[i];

		if (out->kind->render != made) {
			buf_reset(&text);
			text.failed = !out->kind->render(&text, line, len, o->replay) || text.failed;
			made = out->kind->render;
		}
		if (again && !out->recalled && !out->kind->waiting)
			alert_stream_recall(out);
		if (!again || text.failed || !alert_stream_has(out, text.data, text.len))
			output_line(o, out, &text);
	}
	buf_deinit(&text);
}

void alert_outputs_write(struct alert_outputs *o, const char *line, size_t len)
{
	outputs_write(o, line, len, false);
}

void alert_outputs_again(struct alert_outputs *o, const char *line, size_t len)
{
	outputs_write(o, line, len, true);
}

void alert_outputs_again_end(struct alert_outputs *o)
{
	for (size_t i = 0; i < o->n; i++) {
		free(o->list[i].have);
		o->list[i].have = NULL;
		o->list[i].n_have = 0;
		o->list[i].recalled = false;
	}
}

/* Lines that are not taken, or for a stream whether there are any. */
static uint64_t output_waiting(const struct alert_output *o)
{
	return o->kind->waiting ? o->kind->waiting(o) : o->pending.len > 0;
}

bool alert_outputs_waiting(const struct alert_outputs *o)
{
	for (size_t i = 0; i < o->n; i++)
		if (output_waiting(&o->list[i]))
			return true;
	return false;
}

void alert_outputs_mark(struct alert_outputs *o)
{
	for (size_t i = 0; i < o->n; i++)
		if (o->list[i].kind->mark)
			o->list[i].kind->mark(&o->list[i]);
}

bool alert_outputs_reached(const struct alert_outputs *o)
{
	for (size_t i = 0; i < o->n; i++) {
		const struct alert_output *out = &o->list[i];

		if (out->kind->reached ? !out->kind->reached(out) : output_waiting(out))
			return false;
	}
	return true;
}

int alert_outputs_attach(struct alert_outputs *o, struct loop *loop)
{
	o->loop = loop;
	for (size_t i = 0; i < o->n; i++) {
		int rc = o->list[i].handler ? loop_add(loop, o->list[i].handler, EPOLLIN) : 0;

		if (rc)
			return rc;
	}
	return 0;
}

void alert_outputs_flush(struct alert_outputs *o)
{
	for (size_t i = 0; i < o->n; i++)
		output_flush(o, &o->list[i]);
}

void alert_outputs_reopen(struct alert_outputs *o)
{
	for (size_t i = 0; i < o->n; i++)
		if (o->list[i].kind->reopen)
			o->list[i].kind->reopen(&o->list[i]);
}

/* Waits until a pipe or a broker has taken what waits, for its share of the time. */
static void output_drain(struct alert_outputs *all, struct alert_output *o, uint64_t until_ms)
{
	while (output_waiting(o)) {
		struct pollfd p = {.fd = o->fd, .events = POLLOUT};
		uint64_t now = clock_mono_ms();
		int left = until_ms > now ? (int)(until_ms - now) : 0;
		int wait = o->kind->poll ? o->kind->poll(o, &p) : left;

		if (left == 0 || p.fd < 0 ||
		    (poll(&p, 1, wait < 0 || wait > left ? left : wait) <= 0 && !o->kind->poll))
			break;
		output_flush(all, o);
	}
}

void alert_outputs_drain(struct alert_outputs *o, uint64_t ms)
{
	uint64_t until = clock_mono_ms() + ms;

	for (size_t i = 0; i < o->n; i++)
		if (o->list[i].kind->waiting)
			output_drain(o, &o->list[i], until);
}

/* What is left now is lost, or told at the next start. */
static void output_leave(struct alert_outputs *all, struct alert_output *o)
{
	uint64_t left;

	output_drain(all, o, clock_mono_ms() + (o->kind->waiting ? OUTPUT_ANSWER_MS : OUTPUT_DRAIN_MS));
	output_flush(all, o);
	left = output_waiting(o);
	if (left && !o->kind->waiting)
		output_fails(all, o, alert_stream_waiting(o), "nobody reads it");
	else if (left && !all->kept)
		output_fails(all, o, left, "the brokers have not taken them in time");
	else if (left)
		log_warn("%s: %llu alerts are not acknowledged, and told again at the next start", o->uri,
			 (unsigned long long)left);
	if (o->handler && all->loop)
		loop_remove(all->loop, o->handler);
}

void alert_outputs_deinit(struct alert_outputs *o)
{
	for (size_t i = 0; i < o->n; i++) {
		struct alert_output *out = &o->list[i];

		output_leave(o, out);
		if (out->fd >= 0 && out->fd != STDOUT_FILENO && close(out->fd) < 0)
			output_fails(o, out, 1, strerror(errno));
		output_free(out);
	}
	o->n = 0;
}
