/* SPDX-License-Identifier: Apache-2.0 */
/*
 * text:- where a person reads it: files, when they are read; live on a terminal, every two seconds and at the end. A report is
 * drawn over the one before: the cursor goes up as many lines as that had, so that nothing else on the terminal is touched.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "export/output.h"
#include "export/progress.h"
#include "export/report.h"

#define REPORT_REDRAW_MS 2000
#define REPORT_PIECE 4096 /* PIPE_BUF: what fits a pipe that poll() calls writable */

struct output_report {
	struct report report;
	struct report_flows flows;
	struct progress progress;
	bool live;
	bool regular;   /* standard output never makes us wait */
	bool finished;  /* the last report is in buf */
	struct buf buf; /* being written, `done` octets are */
	size_t done;
	uint64_t taken;  /* records of which no report has gone out yet */
	uint64_t due_ms; /* live: the next report */
	size_t lines;    /* live: on the screen, above the cursor */
	unsigned width;  /* they were made for */
};

bool output_report_wanted(const struct exporter_config *c)
{
	struct terminal t;

	if (!c->n_interfaces)
		return true;
	terminal_get(&t, STDOUT_FILENO, "never");
	return t.tty && t.rows;
}

static int report_open(struct output *o, char *err, size_t err_size)
{
	const struct exporter_report *config = &o->config->report;
	struct output_report *s = calloc(1, sizeof(*s));
	struct stat st;

	if (!s || report_flows_init(&s->flows, config->all ? REPORT_FLOWS_ALL_MAX : REPORT_FLOWS_MAX)) {
		snprintf(err, err_size, "%s: no memory", o->name);
		free(s);
		return -ENOMEM;
	}
	if (fstat(STDOUT_FILENO, &st)) {
		int error = errno;

		snprintf(err, err_size, "%s: %s", o->name, strerror(error));
		report_flows_deinit(&s->flows);
		free(s);
		return -error;
	}
	s->regular = S_ISREG(st.st_mode) || S_ISBLK(st.st_mode) || (S_ISCHR(st.st_mode) && !isatty(STDOUT_FILENO));
	o->patient = !s->regular;
	s->live = o->config->n_interfaces > 0;
	s->report.config = o->config;
	s->report.flows = &s->flows;
	terminal_get(&s->report.terminal, STDOUT_FILENO, config->color);
	s->flows.utf8 = s->report.terminal.utf8;
	buf_init(&s->buf, REPORT_OCTETS_MAX);
	tzset(); /* later no file may be in reach */
	if (s->live)
		o->early = true; /* what a host speaks is to be seen before the flow ends */
	else
		progress_init(&s->progress, config);
	o->state = s;
	return 0;
}

static void report_discard(struct output *o, struct output_report *s)
{
	shared_add(&o->counters->dropped, s->taken);
	s->taken = 0;
	buf_reset(&s->buf);
	s->done = 0;
}

static void report_fail(struct output *o, struct output_report *s, int error)
{
	if (error != EPIPE) /* as in `| head`: no fault of ours */
		log_error("%s: %s; nothing more is written to it", o->name, strerror(error));
	report_discard(o, s);
	output_kill(o, error != EPIPE);
}

static bool report_writable(const struct output_report *s)
{
	struct pollfd p = {.fd = STDOUT_FILENO, .events = POLLOUT};

	return s->regular || poll(&p, 1, 0) > 0;
}

static void report_write(struct output *o, struct output_report *s, uint64_t now_ms)
{
	if (s->done == s->buf.len)
		return;
	while (s->done < s->buf.len && report_writable(s)) {
		size_t left = s->buf.len - s->done;
		ssize_t n = write(STDOUT_FILENO, s->buf.data + s->done,
				  s->regular || left < REPORT_PIECE ? left : REPORT_PIECE);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n < 0) {
			report_fail(o, s, errno);
			return;
		}
		shared_add(&o->counters->octets, (uint64_t)n);
		shared_add(&o->counters->messages, 1);
		s->done += (size_t)n;
		o->progress_ms = now_ms;
	}
	if (s->done < s->buf.len)
		return;
	shared_add(&o->counters->sent, s->taken);
	s->taken = 0;
	buf_reset(&s->buf);
	s->done = 0;
}

/* The report, each line of it erasing what was there, over the one before. */
static void report_redraw(struct output_report *s, const struct buf *page)
{
	const char *from = page->data, *end = page->data + page->len;

	if (s->lines && s->width <= s->report.terminal.width)
		buf_printf(&s->buf, "\033[%zuA\r", s->lines);
	else if (s->lines) /* made narrower meanwhile: the terminal has wrapped what was there */
		buf_str(&s->buf, "\033[H");
	s->lines = 0;
	while (from < end) {
		const char *next = memchr(from, '\n', (size_t)(end - from));

		next = next ? next + 1 : end;
		buf_str(&s->buf, "\033[2K");
		buf_put(&s->buf, from, (size_t)(next - from));
		from = next;
		s->lines++;
	}
	buf_str(&s->buf, "\033[J");
	s->width = s->report.terminal.width;
}

/* Makes a report ready to be written. One that is not written yet is never cut off. */
static void report_draw(struct output *o, struct output_report *s, bool last)
{
	struct buf page;

	if (s->live)
		terminal_get(&s->report.terminal, STDOUT_FILENO, o->config->report.color);
	s->report.screen = s->live && !last;
	if (!s->live) {
		if (report_print(&s->buf, &s->report))
			report_fail(o, s, ENOMEM);
		return;
	}
	buf_init(&page, REPORT_OCTETS_MAX);
	if (report_print(&page, &s->report) == 0)
		report_redraw(s, &page);
	buf_deinit(&page);
	if (s->buf.failed || (last && !s->buf.len))
		report_fail(o, s, ENOMEM);
}

static void report_record(struct output *o, const struct l7_record *r)
{
	struct output_report *s = o->state;

	report_flows_add(&s->flows, r);
	s->taken++;
}

static void report_step(struct output *o, uint64_t now_ms)
{
	struct output_report *s = o->state;

	if (s->live && !s->finished && now_ms >= s->due_ms && s->done == s->buf.len) {
		s->due_ms = now_ms + REPORT_REDRAW_MS;
		report_draw(o, s, false);
	}
	if (!s->live && !s->finished)
		progress_step(&s->progress, now_ms);
	if (!o->dead)
		report_write(o, s, now_ms);
}

static void report_flush(struct output *o, uint64_t now_ms)
{
	struct output_report *s = o->state;

	if (s->done == s->buf.len)
		o->progress_ms = now_ms;
}

static void report_finish(struct output *o, uint64_t now_ms)
{
	struct output_report *s = o->state;

	progress_end(&s->progress);
	s->finished = true;
	report_draw(o, s, true);
	if (!o->dead)
		report_write(o, s, now_ms);
}

static int report_wait(const struct output *o, uint64_t now_ms, struct pollfd *p)
{
	const struct output_report *s = o->state;
	bool writing = s->done < s->buf.len;

	*p = (struct pollfd){.fd = writing && !s->regular ? STDOUT_FILENO : -1, .events = POLLOUT};
	if (writing || s->finished)
		return -1;
	if (!s->live)
		return progress_wait(&s->progress, now_ms);
	return clock_until(s->due_ms, now_ms);
}

/* Records are merged: there is room for each. */
static bool report_full(const struct output *o)
{
	(void)o;
	return false;
}

static bool report_idle(const struct output *o)
{
	const struct output_report *s = o->state;

	return s->done == s->buf.len;
}

static void report_close(struct output *o)
{
	struct output_report *s = o->state;

	report_discard(o, s);
	progress_end(&s->progress);
	report_flows_deinit(&s->flows);
	buf_deinit(&s->buf);
	free(s);
}

const struct output_ops output_report_ops = {
	.open = report_open,
	.record = report_record,
	.flush = report_flush,
	.step = report_step,
	.wait = report_wait,
	.full = report_full,
	.finish = report_finish,
	.idle = report_idle,
	.close = report_close,
};
