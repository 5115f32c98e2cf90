/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where alerts are written: json:-, json+file:///path, text:-, text+file:///path, syslog:, kafka://brokers/topic. An alert comes as
 * its line of JSON; what an output makes of that is its kind's. None ever waits for its reader.
 */
#ifndef WATCH_ALERT_OUTPUT_H
#define WATCH_ALERT_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/conf.h"
#include "input/loop.h"

#define ALERT_OUTPUTS_MAX 16
#define ALERT_PENDING_MAX (4u << 20) /* octets that wait for a reader of a pipe */

struct alert_output_kind;

struct alert_output {
	const struct alert_output_kind *kind;
	char *uri;  /* owned */
	char *path; /* owned; "" for standard output */
	int fd;
	struct buf pending; /* a pipe that is full: what is still to be written */
	bool torn;          /* a line was written in part */
	bool said;          /* that it fails; once, until it works again */
	bool recalled;      /* `have` is of the file */
	uint64_t *have;     /* owned; at the start: hashes of the lines at the end of the file, in order */
	size_t n_have;
	void *state;                  /* owned; the kind's */
	struct loop_handler *handler; /* of it; NULL: there is nothing to wait for */
	uint64_t failed;              /* lines that were lost after they were written, and are not counted yet */
	char why[96];                 /* the last one of them */
};

struct alert_outputs {
	size_t n;
	struct alert_output list[ALERT_OUTPUTS_MAX];
	uint64_t n_lost;   /* lines that could not be written */
	struct loop *loop; /* not owned; NULL: none */
	bool kept;         /* set after alert_outputs_init(): what is not taken at the end is told at the next start */
	bool replay; /* set after alert_outputs_init(): lines for people have the time of flows, the present says nothing */
};

/* Checks the URIs and opens nothing. Returns 0, or -EINVAL with a sentence; *which is wrong, uris->n: the list as a whole. */
int alert_outputs_check(const struct conf_list *uris, size_t *which, char *err, size_t err_size);
/* Opens all. Returns 0, or a negative errno with a sentence. */
int alert_outputs_init(struct alert_outputs *o, const struct conf_list *uris, char *err, size_t err_size);
/* Writes what waits, for some seconds at most, and closes all. */
void alert_outputs_deinit(struct alert_outputs *o);

/* Writes an alert, a line of JSON which ends with a newline, to all. A failure is said once per output, and counted. */
void alert_outputs_write(struct alert_outputs *o, const char *line, size_t len);
/* The same for a line that may have been written before the last end: a file that has it among its last 4 MiB does not get it again. */
void alert_outputs_again(struct alert_outputs *o, const char *line, size_t len);
/* The last one of those. */
void alert_outputs_again_end(struct alert_outputs *o);
/* True if an output has not taken all that was written to it. */
bool alert_outputs_waiting(const struct alert_outputs *o);
/* Marks what has been written until now, and whether all of that is taken. */
void alert_outputs_mark(struct alert_outputs *o);
bool alert_outputs_reached(const struct alert_outputs *o);
/* Waits until those who acknowledge have taken all, but not for longer than that. */
void alert_outputs_drain(struct alert_outputs *o, uint64_t ms);
/* Outputs that hear from others do so in this loop, until alert_outputs_deinit(). Returns 0 or a negative errno. */
int alert_outputs_attach(struct alert_outputs *o, struct loop *loop);
/* Tries to write what waits; called now and then. */
void alert_outputs_flush(struct alert_outputs *o);
/* Opens files anew, after they were moved away. */
void alert_outputs_reopen(struct alert_outputs *o);

#endif
