/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The daemon's ear for its own commands: a Unix stream socket that takes one request per connection and answers it.
 *
 *   silence add --rule 1001 --comment too%20loud\n          a line of words; what is no printable ASCII, blanks and % are %XX
 *   ok\n... or error SENTENCE\n                             the answer; the connection is closed after it
 *
 * Who may connect is what the file system says of the socket (mode 0660) and its folder. It is part of the event loop and never waits:
 * CONTROL_CLIENTS_MAX at a time, each with CONTROL_DEADLINE_MS for all of it.
 */
#ifndef WATCH_CONTROL_H
#define WATCH_CONTROL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>
#include <sys/un.h>

#include "base/buf.h"
#include "input/loop.h"

#define CONTROL_CLIENTS_MAX 16u
#define CONTROL_DEADLINE_MS 5000u
#define CONTROL_REQUEST_MAX 4096u   /* octets, the newline included */
#define CONTROL_WORDS_MAX 64u       /* of a request */
#define CONTROL_ANSWER_MAX 8388608u /* octets */

struct control_handler {
	const char *word; /* the first one of a request */
	/*
	 * words[0] is `word`. Returns 0 with the answer, which may be empty, or a negative errno with a sentence in it, without a
	 * newline.
	 */
	int (*run)(void *arg, char *const *words, size_t n, struct buf *answer);
	void *arg;
};

struct control_config {
	const char *path;
	const struct control_handler *handlers; /* kept, not copied */
	size_t n_handlers;
};

struct control_client;

struct control_counters {
	uint64_t requests; /* answered, with ok or error */
	uint64_t bad;      /* requests that are none */
	uint64_t late;     /* clients that were too slow */
	uint64_t refused;  /* clients that were too many */
};

/* Zeroed: not open, and the functions but control_init() do nothing. */
struct control {
	struct loop_handler listener;
	struct loop *loop;                      /* not owned */
	const struct control_handler *handlers; /* not owned */
	size_t n_handlers;
	struct control_client *clients; /* owned; CONTROL_CLIENTS_MAX; NULL: not open */
	size_t n_clients;
	bool paused; /* out of descriptors: until the next tick */
	dev_t device;
	ino_t inode; /* of our socket */
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	struct control_counters counters;
};

/*
 * Listens at a path. A socket that nobody answers at is replaced; -EBUSY with a sentence if somebody does,
 * another negative errno with one for whatever else is wrong; then it is as one that was never opened.
 */
int control_init(struct control *c, struct loop *loop, const struct control_config *config, char *err, size_t err_size);
/* Closes, and removes the socket if it is still ours. */
void control_deinit(struct control *c);
/* Ends clients that are too slow; about once in a second, not from within the loop. */
void control_tick(struct control *c, uint64_t mono_ms);

/* ---- control_ask.c: the other end ---- */

/*
 * Asks the daemon and prints its answer, without the first line, to out. Returns an exit status: 0 ok; 1 it said error, and the
 * sentence was logged; 2 there is nobody, or no answer, which was logged.
 */
int control_ask(const char *path, const char *const *words, size_t n, FILE *out);

/* ---- control_words.c: a request as text ---- */

/* Appends the line of words. False: one is empty, or it would be longer than CONTROL_REQUEST_MAX. */
bool control_write_words(struct buf *line, const char *const *words, size_t n);
/* Takes a line without its newline apart, in place. Returns how many words there are, or -EINVAL with a sentence. */
int control_read_words(char *line, char *words[CONTROL_WORDS_MAX], const char **why);

#endif
