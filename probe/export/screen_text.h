/* SPDX-License-Identifier: Apache-2.0 */
/* Text for a terminal: nothing in it moves the cursor, turns the direction or takes a width that is not known. */
#ifndef PROBE_SCREEN_TEXT_H
#define PROBE_SCREEN_TEXT_H

#include <stdbool.h>
#include <stddef.h>

enum screen_cut { SCREEN_CUT_END, SCREEN_CUT_MIDDLE };

/*
 * Copies at most n octets of s to out, terminated, so that a terminal shows it as it is: what is invalid UTF-8, a control
 * character, a mark that turns the direction, joins or has no width of its own becomes '?'; so does everything but ASCII if utf8
 * is false. Never splits a character. Returns the octets written without the end.
 */
size_t screen_clean(char *out, size_t out_size, const char *s, size_t n, bool utf8);

/* Columns that a clean text takes. */
unsigned screen_columns(const char *s);

/*
 * Shortens a clean text to at most `columns`; what was taken out is shown as an ellipsis. out has room for out_size octets, which
 * the text fits uncut.
 */
void screen_cut(char *out, size_t out_size, const char *s, unsigned columns, enum screen_cut cut, bool utf8);

#endif
