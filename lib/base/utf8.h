/* SPDX-License-Identifier: Apache-2.0 */
#ifndef L7_BASE_UTF8_H
#define L7_BASE_UTF8_H

#include <stddef.h>

/* Octets of the valid UTF-8 sequence (RFC 3629) at s, or 0 if there is none within n octets. */
size_t utf8_sequence(const unsigned char *s, size_t n);

/*
 * Copies at most n octets of s to out (room for out_size) so that the result is printable UTF-8: invalid octets and control
 * characters become '?'. Returns the octets written; never splits a sequence.
 */
size_t utf8_clean(char *out, size_t out_size, const char *s, size_t n);

#endif
