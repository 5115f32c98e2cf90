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

#define OUTPUT_DRAIN_MS 2000
#define OUTPUT_TEXT_MAX 131072

static const struct alert_output_kind *const output_kinds[] = {
	&alert_output_json, &alert_output_json_file, &alert_output_text, &alert_output_text_file, &alert_output_syslog};

#define OUTPUT_KINDS (sizeof(output_kinds) / sizeof(output_kinds[0]))

static const struct alert_output_kind *output_kind(const char *scheme)
{
	for (size_t i = 0; i < OUTPUT_KINDS; i++)
		if (strcmp(output_kinds[i]->scheme, scheme) == 0)
			return output_kinds[i];
	return NULL;
}

/* Kind and path of an output's URI. Returns 0 or a negative errno. */
static int output_parse(struct alert_output *o, const char *text, char *err, size_t err_size)
{
	static const char *const options[] = {NULL};
	struct uri u;
	int rc;

	if (!strchr(text, ':')) {
		snprintf(err, err_size,
			 "%s: alerts go to json:-, json+file:///path, text:-, text+file:///path or syslog:", text);
		return -EINVAL;
	}
	rc = uri_parse(&u, text, err, err_size);
	if (rc)
		return rc;
	o->kind = output_kind(u.scheme);
	rc = uri_check_options(&u, options, err, err_size);
	if (!rc && !o->kind) {
		snprintf(err, err_size,
			 "%s: alerts go to json:-, json+file:///path, text:-, text+file:///path or syslog:, not to %s",
			 text, u.scheme);
		rc = -EINVAL;
	} else if (!rc && (*u.host || !o->kind->takes(u.path))) {
		snprintf(err, err_size, "%s: write %s", text, o->kind->example);
		rc = -EINVAL;
	}
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
	for (size_t i = 0; i < uris->n && !rc; i++)
		rc = output_init(&o->list[o->n++], uris->items[i], err, err_size);
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
		if (again && !out->recalled)
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

bool alert_outputs_waiting(const struct alert_outputs *o)
{
	for (size_t i = 0; i < o->n; i++)
		if (o->list[i].pending.len)
			return true;
	return false;
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
		output_fails(all, o, alert_stream_waiting(o), "nobody reads it");
}

void alert_outputs_deinit(struct alert_outputs *o)
{
	uint64_t until = clock_mono_ms() + OUTPUT_DRAIN_MS;

	for (size_t i = 0; i < o->n; i++) {
		struct alert_output *out = &o->list[i];

		output_drain(o, out, until);
		if (out->fd >= 0 && out->fd != STDOUT_FILENO && close(out->fd) < 0)
			output_fails(o, out, 1, strerror(errno));
		output_free(out);
	}
	o->n = 0;
}
