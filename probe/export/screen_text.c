/* SPDX-License-Identifier: Apache-2.0 */
#include "export/screen_text.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"

struct screen_range {
	uint32_t first, last;
	unsigned columns;
};

/* All that is shown as it is: letters whose width every terminal agrees on. What is not here is not shown. */
static const struct screen_range screen_ranges[] = {
	{0x20, 0x7e, 1},     {0xa1, 0xac, 1},     {0xae, 0x2ff, 1},    {0x370, 0x377, 1},   {0x37a, 0x37f, 1},
	{0x384, 0x482, 1},   {0x48a, 0x52f, 1},   {0x2013, 0x2014, 1}, {0x2026, 0x2026, 1}, {0x2588, 0x2588, 1},
	{0x3041, 0x3096, 2}, {0x30a1, 0x30fa, 2}, {0x4e00, 0x9fa5, 2}, {0xac00, 0xd7a3, 2},
};

static uint32_t screen_point(const unsigned char *s, size_t len)
{
	uint32_t cp = len == 1 ? s[0] : s[0] & (0xffu >> (len + 1));

	for (size_t i = 1; i < len; i++)
		cp = cp << 6 | (s[i] & 0x3fu);
	return cp;
}

/* Columns of the character at s, *len octets; 0 if it is not to be shown, *len then is what is to be skipped. */
static unsigned screen_character(const char *s, size_t n, size_t *len)
{
	uint32_t cp;

	*len = utf8_sequence((const unsigned char *)s, n);
	if (*len == 0) {
		*len = 1;
		return 0;
	}
	cp = screen_point((const unsigned char *)s, *len);
	for (size_t i = 0; i < sizeof(screen_ranges) / sizeof(screen_ranges[0]); i++)
		if (cp >= screen_ranges[i].first && cp <= screen_ranges[i].last)
			return screen_ranges[i].columns;
	return 0;
}

size_t screen_clean(char *out, size_t out_size, const char *s, size_t n, bool utf8)
{
	size_t o = 0;

	for (size_t i = 0, len; i < n; i += len) {
		bool shown = screen_character(s + i, n - i, &len) && (utf8 || len == 1);

		if (o + (shown ? len : 1) >= out_size)
			break;
		if (shown) {
			memcpy(out + o, s + i, len);
			o += len;
		} else {
			out[o++] = '?';
		}
	}
	out[o] = '\0';
	return o;
}

unsigned screen_columns(const char *s)
{
	size_t n = strlen(s);
	unsigned columns = 0;

	for (size_t i = 0, len; i < n; i += len) {
		unsigned c = screen_character(s + i, n - i, &len);

		columns += c ? c : 1;
	}
	return columns;
}

/* Octets of the longest beginning of s that takes at most `columns`. */
static size_t screen_head(const char *s, unsigned columns)
{
	size_t n = strlen(s), i = 0, len;

	while (i < n) {
		unsigned c = screen_character(s + i, n - i, &len);

		c = c ? c : 1;
		if (c > columns)
			break;
		columns -= c;
		i += len;
	}
	return i;
}

/* Where the longest end of s that takes at most `columns` begins. */
static size_t screen_tail(const char *s, unsigned columns)
{
	unsigned all = screen_columns(s);
	size_t n = strlen(s), i = 0, len;

	while (i < n && all > columns) {
		unsigned c = screen_character(s + i, n - i, &len);

		all -= c ? c : 1;
		i += len;
	}
	return i;
}

void screen_cut(char *out, size_t out_size, const char *s, unsigned columns, enum screen_cut cut, bool utf8)
{
	const char *dots = utf8 ? "\xe2\x80\xa6" : "..";
	unsigned wide = utf8 ? 1 : 2;
	unsigned tail;

	if (screen_columns(s) <= columns) {
		snprintf(out, out_size, "%s", s);
		return;
	}
	if (columns <= wide) {
		snprintf(out, out_size, "%.*s", (int)screen_head(s, columns), s);
		return;
	}
	columns -= wide;
	tail = cut == SCREEN_CUT_MIDDLE ? (columns + 1) / 2 : 0;
	snprintf(out, out_size, "%.*s%s%s", (int)screen_head(s, columns - tail), s, dots, s + screen_tail(s, tail));
}
