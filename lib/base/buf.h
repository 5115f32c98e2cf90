/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An append buffer with a stated maximum. A failed append (maximum passed, no memory) is latched in `failed` and
 * leaves the content as it was, so that a writer checks once, at the end.
 */
#ifndef L7_BASE_BUF_H
#define L7_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf {
	char *data; /* owned; len octets used; not terminated */
	size_t len;
	size_t cap;
	size_t max;
	bool failed;
};

void buf_init(struct buf *b, size_t max);
void buf_deinit(struct buf *b);
/* Empties it and clears `failed`; keeps the memory. */
void buf_reset(struct buf *b);
/* Room for n more octets, or NULL with `failed` set. The caller advances len. */
char *buf_reserve(struct buf *b, size_t n);
void buf_put(struct buf *b, const void *data, size_t n);
void buf_str(struct buf *b, const char *s);
void buf_char(struct buf *b, char c);
void buf_u64(struct buf *b, uint64_t v); /* decimal */
__attribute__((format(printf, 2, 3))) void buf_printf(struct buf *b, const char *fmt, ...);
/* Appends s as a quoted JSON string: control octets, '<', '>', '&' and U+2028/9 escaped, invalid UTF-8 as U+FFFD. */
void buf_json(struct buf *b, const char *s, size_t n);
/* Removes the first n octets. */
void buf_drop(struct buf *b, size_t n);

#endif
