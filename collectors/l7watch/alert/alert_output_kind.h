/* SPDX-License-Identifier: Apache-2.0 */
/* What an output of alerts is made of. */
#ifndef WATCH_ALERT_OUTPUT_KIND_H
#define WATCH_ALERT_OUTPUT_KIND_H

#include <poll.h>
#include <sys/types.h>

#include "alert/alert_output.h"
#include "base/uri.h"

#define ALERT_VIEW_TEXT_MAX 1024

/* What a person's line says of an alert. Texts are valid UTF-8, and may have control characters: who shows them cleans them. */
struct alert_view {
	char uid[40];
	char time[40], seen[40]; /* when it was written, when the last flow ended */
	char state[16], severity[16];
	char sentence[ALERT_VIEW_TEXT_MAX];
	char host[64]; /* "" if it is of none */
	char rule[16]; /* id */
	char name[256];
	char place[300]; /* "file:line", or "" */
};

struct alert_output_kind {
	const char *scheme;
	const char *example; /* how its URI is written */
	/* Of the path of a URI; `host` of it is empty, and there are no options. */
	bool (*takes)(const char *path);
	/* Returns 0 or a negative errno; the output's path is set. */
	int (*open)(struct alert_output *o);
	/* In place of these two, where a URI has hosts and options; with a sentence. */
	int (*check)(const struct uri *u, char *err, size_t err_size);
	int (*start)(struct alert_output *o, char *err, size_t err_size);
	/* Makes what is written of a line of JSON; of a replay time is that of flows. Returns false if there is no memory. */
	bool (*render)(struct buf *out, const char *line, size_t len, bool replay);
	/* Writes it. Returns NULL, or why it is lost. */
	const char *(*write)(struct alert_output *o, const char *text, size_t len);
	void (*reopen)(struct alert_output *o); /* NULL: there is nothing to */

	/* Where what was written is taken later; all or none of these. What is lost on the way counts in `failed`. */
	void (*step)(struct alert_output *o);
	int (*poll)(const struct alert_output *o,
		    struct pollfd *p);                     /* what to wait for, and how long at most; -1: no limit */
	uint64_t (*waiting)(const struct alert_output *o); /* alerts that are not taken */
	void (*mark)(struct alert_output *o);
	bool (*reached)(const struct alert_output *o); /* what was written before the mark is taken */
	void (*stop)(struct alert_output *o);
};

extern const struct alert_output_kind alert_output_json, alert_output_json_file, alert_output_text,
	alert_output_text_file, alert_output_syslog, alert_output_kafka;

/* Reads what is to be shown of an alert's line. Returns false if it is none, or there is no memory. */
bool alert_view_parse(struct alert_view *v, const char *line, size_t len);

/* Reads the hashes of the lines at the end of a file that is written to; torn too. */
void alert_stream_recall(struct alert_output *o);
bool alert_stream_has(const struct alert_output *o, const char *text, size_t len);
/* Writes what waits. Returns NULL, or why it is lost; then *lines are. */
const char *alert_stream_flush(struct alert_output *o, uint64_t *lines);
/* Lines that wait, a begun one too. */
uint64_t alert_stream_waiting(const struct alert_output *o);

#endif
