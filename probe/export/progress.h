/* SPDX-License-Identifier: Apache-2.0 */
/* A line on standard error, if that is a terminal, that says how far the reading of files is. */
#ifndef PROBE_PROGRESS_H
#define PROBE_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "exporter.h"

struct progress {
	const struct exporter_report *source;
	bool on;
	bool drawn;
	uint64_t *ends; /* octets, by file: it and those before it */
	uint64_t total; /* of all files, 0 unknown */
	uint64_t started_ms;
	uint64_t due_ms;
};

/* Looks at the files' sizes. After it progress_end(). */
void progress_init(struct progress *p, const struct exporter_report *source);
/* Draws the line when it is due. */
void progress_step(struct progress *p, uint64_t now_ms);
/* Milliseconds until it is due, or -1. */
int progress_wait(const struct progress *p, uint64_t now_ms);
/* Takes the line away; may be called again. */
void progress_end(struct progress *p);

#endif
