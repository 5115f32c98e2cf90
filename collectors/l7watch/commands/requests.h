/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon's side of commands: handlers for its control socket (struct control_handler). */
#ifndef WATCH_REQUESTS_H
#define WATCH_REQUESTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "state/store.h"

/* For the word "silence". */
struct silence_request {
	struct store *store; /* not owned */
	/* Called when silences have changed; the store has them already. */
	void (*changed)(void *arg);
	/* Whether a rule of that id is in force; NULL: nobody knows. */
	bool (*has_rule)(void *arg, uint32_t id);
	void *arg;
};

int silence_request(void *request, char *const *words, size_t n, struct buf *answer);

/* For the word "status": who knows how the daemon is. */
struct status_source {
	/* Appends lines for people, or one JSON object and a newline. */
	void (*print)(void *arg, bool json, struct buf *out);
	/* Strikes an exporter off the list, by its name there. False: there is none. NULL: there is no list. */
	bool (*forget)(void *arg, const char *name);
	void *arg;
};

int status_request(void *source, char *const *words, size_t n, struct buf *answer);

#endif
