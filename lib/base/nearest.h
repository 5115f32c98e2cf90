/* SPDX-License-Identifier: Apache-2.0 */
#ifndef L7_BASE_NEAREST_H
#define L7_BASE_NEAREST_H

#include <stddef.h>

/*
 * The name nearest to a wrong one, for "did you mean". `name(arg, i)` gives candidate i of n. Returns the candidate
 * if it is within a third of the word's length (edits, letter case free), else NULL.
 */
const char *nearest_name(const char *word, const char *(*name)(const void *arg, size_t i), const void *arg, size_t n);

/* The same over an array of strings. */
const char *nearest_string(const char *word, const char *const *names, size_t n);

#endif
