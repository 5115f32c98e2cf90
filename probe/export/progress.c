/* SPDX-License-Identifier: Apache-2.0 */
#include "export/progress.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/quantity.h"
#include "export/terminal.h"

#define PROGRESS_MS 500
#define PROGRESS_BAR 20
#define PROGRESS_LINE 66 /* columns of a whole line */

/* Where each file ends, all of them put together; left at 0 if one has no size, as a pipe. */
static void progress_ends(struct progress *p)
{
	uint64_t sum = 0;
	struct stat st;

	p->ends = calloc(p->source->n_files, sizeof(*p->ends));
	for (size_t i = 0; p->ends && i < p->source->n_files; i++) {
		if (stat(p->source->files[i], &st) || !S_ISREG(st.st_mode))
			return;
		sum += (uint64_t)st.st_size;
		p->ends[i] = sum;
	}
	p->total = p->ends ? sum : 0;
}

void progress_init(struct progress *p, const struct exporter_report *source)
{
	struct terminal t;

	memset(p, 0, sizeof(*p));
	terminal_get(&t, STDERR_FILENO, "never");
	p->source = source;
	p->on = t.tty && t.width > PROGRESS_LINE && source->n_workers && source->n_files;
	if (p->on)
		progress_ends(p);
}

/* Octets that all workers are past. */
static uint64_t progress_done(const struct progress *p)
{
	uint64_t least = p->total;

	for (size_t i = 0; p->total && i < p->source->n_workers; i++) {
		const struct shared_progress *at = &p->source->workers[i].progress;
		uint64_t file = shared_get(&at->place) >> SHARED_PLACE_FILE;
		uint64_t done = p->total;

		if (file < p->source->n_files)
			done = (file ? p->ends[file - 1] : 0) + shared_get(&at->file_octets);
		least = done < least ? done : least;
	}
	return least;
}

static void progress_draw(struct progress *p, uint64_t now_ms)
{
	char bar[PROGRESS_BAR + 1], octets[QUANTITY_MAX], rate[QUANTITY_MAX], left[QUANTITY_MAX], line[160];
	uint64_t done = progress_done(p), packets = 0, ms = now_ms - p->started_ms;
	int filled = p->total ? (int)(done * PROGRESS_BAR / p->total) : 0, n;

	for (size_t i = 0; i < p->source->n_workers; i++)
		packets += shared_get(&p->source->workers[i].counters.packets);
	memset(bar, ' ', PROGRESS_BAR);
	memset(bar, '=', (size_t)filled);
	if (filled < PROGRESS_BAR)
		bar[filled] = '>';
	bar[PROGRESS_BAR] = '\0';
	quantity_octets(octets, done);
	quantity_count(rate, packets * 1000 / (ms ? ms : 1));
	if (done && p->total) {
		quantity_duration(left, (uint64_t)((double)ms * (double)(p->total - done) / (double)done));
		n = snprintf(line, sizeof(line), "\r\033[K[%s] %u %%  %s  %s packets/s  eta %s", bar,
			     (unsigned)(done * 100 / p->total), octets, rate, left);
	} else {
		quantity_count(octets, packets);
		n = snprintf(line, sizeof(line), "\r\033[K%s packets  %s packets/s", octets, rate);
	}
	p->drawn = write(STDERR_FILENO, line, (size_t)n) == n || p->drawn;
}

void progress_step(struct progress *p, uint64_t now_ms)
{
	if (!p->on || now_ms < p->due_ms)
		return;
	if (!p->started_ms)
		p->started_ms = now_ms;
	else
		progress_draw(p, now_ms);
	p->due_ms = now_ms + PROGRESS_MS;
}

int progress_wait(const struct progress *p, uint64_t now_ms)
{
	if (!p->on)
		return -1;
	return clock_until(p->due_ms, now_ms);
}

void progress_end(struct progress *p)
{
	static const char clear[] = "\r\033[K";

	if (p->drawn && write(STDERR_FILENO, clear, sizeof(clear) - 1) < 0)
		p->on = false;
	p->drawn = false;
	p->on = false;
	free(p->ends);
	p->ends = NULL;
}
