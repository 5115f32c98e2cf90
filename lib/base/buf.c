/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"

void buf_init(struct buf *b, size_t max)
{
	memset(b, 0, sizeof(*b));
	b->max = max;
}

void buf_deinit(struct buf *b)
{
	free(b->data);
	memset(b, 0, sizeof(*b));
}

void buf_reset(struct buf *b)
{
	b->len = 0;
	b->failed = false;
}

char *buf_reserve(struct buf *b, size_t n)
{
	if (b->cap - b->len < n) {
		size_t cap = b->cap ? b->cap : 256;
		char *data;

		if (n > b->max || b->len > b->max - n) {
			b->failed = true;
			return NULL;
		}
		while (cap < b->len + n)
			cap *= 2;
		if (cap > b->max)
			cap = b->max;
		data = realloc(b->data, cap);
		if (!data) {
			b->failed = true;
			return NULL;
		}
		b->data = data;
		b->cap = cap;
	}
	return b->data + b->len;
}

void buf_put(struct buf *b, const void *data, size_t n)
{
	char *to = n ? buf_reserve(b, n) : NULL;

	if (to) {
		memcpy(to, data, n);
		b->len += n;
	}
}

void buf_str(struct buf *b, const char *s)
{
	buf_put(b, s, strlen(s));
}

void buf_char(struct buf *b, char c)
{
	buf_put(b, &c, 1);
}

void buf_u64(struct buf *b, uint64_t v)
{
	char digits[20];
	size_t i = sizeof(digits);

	do {
		digits[--i] = (char)('0' + v % 10);
		v /= 10;
	} while (v);
	buf_put(b, digits + i, sizeof(digits) - i);
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
	char line[1024];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof(line)) {
		b->failed = true;
		return;
	}
	buf_put(b, line, (size_t)n);
}

/* Writes one character of len octets that needs an escape in JSON; returns false if it needs none. */
static bool buf_json_escape(struct buf *b, const unsigned char *s, size_t len)
{
	if (len == 0) {
		buf_str(b, "\\ufffd");
	} else if (s[0] == '"' || s[0] == '\\') {
		char pair[2] = {'\\', (char)s[0]};
		buf_put(b, pair, 2);
	} else if (s[0] < 0x20 || s[0] == 0x7f || s[0] == '<' || s[0] == '>' || s[0] == '&') {
		buf_printf(b, "\\u%04x", s[0]);
	} else if (len == 3 && s[0] == 0xe2 && s[1] == 0x80 && (s[2] == 0xa8 || s[2] == 0xa9)) {
		buf_str(b, s[2] == 0xa8 ? "\\u2028" : "\\u2029");
	} else {
		return false;
	}
	return true;
}

void buf_json(struct buf *b, const char *s, size_t n)
{
	const unsigned char *in = (const unsigned char *)s;
	size_t plain = 0; /* start of what is not yet written */

	buf_char(b, '"');
	for (size_t i = 0; i < n;) {
		size_t len = utf8_sequence(in + i, n - i);
		size_t step = len ? len : 1;
		size_t before = i - plain;
		bool special = len != 1 || in[i] < 0x20 || in[i] == '"' || in[i] == '\\' || in[i] == 0x7f ||
			       in[i] == '<' || in[i] == '>' || in[i] == '&';

		if (special) {
			buf_put(b, s + plain, before);
			plain = i;
			if (buf_json_escape(b, in + i, len))
				plain = i + step;
		}
		i += step;
	}
	buf_put(b, s + plain, n - plain);
	buf_char(b, '"');
}

void buf_drop(struct buf *b, size_t n)
{
	if (n >= b->len) {
		b->len = 0;
		return;
	}
	memmove(b->data, b->data + n, b->len - n);
	b->len -= n;
}
