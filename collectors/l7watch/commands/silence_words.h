/* SPDX-License-Identifier: Apache-2.0 */
/* The words of `silence`, read alike by the command, which finds mistakes before it asks, and by the daemon, which believes nobody. */
#ifndef WATCH_SILENCE_WORDS_H
#define WATCH_SILENCE_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "state/store.h"

#define SILENCE_COMMENT_MAX 256u /* octets */
#define SILENCE_APP_MAX 63u

enum silence_verb { SILENCE_ADD, SILENCE_LIST, SILENCE_DEL };

struct silence_words {
	enum silence_verb verb;
	bool json;                    /* list */
	uint64_t id;                  /* del */
	struct store_silence silence; /* add; its texts are the words', and those below */
	char host[ADDR_TEXT_MAX + 4];
	char comment[SILENCE_COMMENT_MAX + 1];
};

/*
 * Reads "silence" and what follows; *out is not to be copied. now_ms is the time from which --for counts. Returns 0, or -EINVAL with
 * a sentence.
 */
int silence_words_read(struct silence_words *out, char *const *words, size_t n, uint64_t now_ms, char *err,
		       size_t err_size);
/* What may be a slip in the name of a protocol: the nearest that nDPI has. NULL: nothing is. */
const char *silence_words_nearest(const char *app);

#endif
