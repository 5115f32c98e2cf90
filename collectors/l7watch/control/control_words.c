/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "control/control.h"

static bool words_plain(unsigned char c)
{
	return c > ' ' && c < 0x7f && c != '%';
}

bool control_write_words(struct buf *line, const char *const *words, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (words[i][0] == '\0')
			return false;
		if (i)
			buf_char(line, ' ');
		for (const char *p = words[i]; *p; p++) {
			if (words_plain((unsigned char)*p))
				buf_char(line, *p);
			else
				buf_printf(line, "%%%02X", (unsigned char)*p);
		}
	}
	buf_char(line, '\n');
	return n <= CONTROL_WORDS_MAX && !line->failed && line->len <= CONTROL_REQUEST_MAX;
}

static int words_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* In place: what %XX stands for is shorter than itself. */
static bool words_decode(char *word)
{
	char *to = word;

	for (const char *p = word; *p; p++) {
		if (*p != '%') {
			*to++ = *p;
			continue;
		}
		if (words_digit(p[1]) < 0 || words_digit(p[2]) < 0)
			return false;
		*to = (char)(words_digit(p[1]) * 16 + words_digit(p[2]));
		if (*to++ == '\0')
			return false;
		p += 2;
	}
	*to = '\0';
	return true;
}

int control_read_words(char *line, char *words[CONTROL_WORDS_MAX], const char **why)
{
	char *rest = line, *word;
	size_t n = 0;

	for (const char *p = line; *p; p++)
		if (!words_plain((unsigned char)*p) && *p != ' ' && *p != '%' && *p != '\r') {
			*why = "a request is printable ASCII, with %XX for anything else";
			return -EINVAL;
		}
	while ((word = strsep(&rest, " \r"))) {
		if (*word == '\0')
			continue;
		if (n == CONTROL_WORDS_MAX) {
			*why = "the request has too many words";
			return -EINVAL;
		}
		if (!words_decode(word)) {
			*why = "a % in the request is not followed by two hexadecimal digits, or stands for NUL";
			return -EINVAL;
		}
		words[n++] = word;
	}
	if (n)
		return (int)n;
	*why = "the request is empty";
	return -EINVAL;
}
