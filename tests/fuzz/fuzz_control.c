/* SPDX-License-Identifier: Apache-2.0 */
/* A line to the control socket: its words are the same when they are sent again, and a silence is one or is refused in words. */
#include <string.h>

#include "commands/silence_words.h"
#include "control/control.h"
#include "fuzz.h"

#define FUZZ_NOW UINT64_C(1700000000000)

static void fuzz_again(char *const *words, size_t n)
{
	char copy[CONTROL_REQUEST_MAX + 1], *again[CONTROL_WORDS_MAX];
	const char *why = NULL;
	struct buf line;

	buf_init(&line, CONTROL_REQUEST_MAX * 4);
	/* What was sent as it is may need more room when it is escaped. */
	if (control_write_words(&line, (const char *const *)words, n)) {
		memcpy(copy, line.data, line.len - 1);
		copy[line.len - 1] = '\0';
		FUZZ_CHECK(control_read_words(copy, again, &why) == (int)n);
		for (size_t i = 0; i < n; i++)
			FUZZ_CHECK(strcmp(words[i], again[i]) == 0);
	}
	buf_deinit(&line);
}

static void fuzz_silence(char *const *words, size_t n)
{
	struct silence_words w;
	struct addr_prefix p;
	char err[512] = "";

	if (silence_words_read(&w, words, n, FUZZ_NOW, err, sizeof(err))) {
		FUZZ_CHECK(*err);
		return;
	}
	if (w.verb == SILENCE_DEL)
		FUZZ_CHECK(w.id > 0);
	if (w.verb != SILENCE_ADD)
		return;
	FUZZ_CHECK(w.silence.rule || w.silence.host || w.silence.app);
	FUZZ_CHECK(!w.silence.until_ms || w.silence.until_ms > FUZZ_NOW);
	FUZZ_CHECK(!w.silence.host || (addr_prefix_parse(w.silence.host, &p) == 0 && p.bits > 0));
	FUZZ_CHECK(!w.silence.comment || (*w.silence.comment && strlen(w.silence.comment) <= SILENCE_COMMENT_MAX));
	if (w.silence.app)
		(void)silence_words_nearest(w.silence.app);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char line[CONTROL_REQUEST_MAX + 1], *words[CONTROL_WORDS_MAX];
	const char *why = NULL;
	int n;

	if (size > CONTROL_REQUEST_MAX - 1 || memchr(data, 0, size) || memchr(data, '\n', size))
		return 0;
	memcpy(line, data, size);
	line[size] = '\0';
	n = control_read_words(line, words, &why);
	if (n < 0) {
		FUZZ_CHECK(why && *why);
		return 0;
	}
	FUZZ_CHECK(n >= 1 && n <= (int)CONTROL_WORDS_MAX);
	fuzz_again(words, (size_t)n);
	fuzz_silence(words, (size_t)n);
	return 0;
}
