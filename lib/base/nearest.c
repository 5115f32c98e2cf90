/* SPDX-License-Identifier: Apache-2.0 */
#include "base/nearest.h"

#include <ctype.h>
#include <string.h>

#define NEAREST_MAX 64

static size_t nearest_min3(size_t a, size_t b, size_t c)
{
	size_t m = a < b ? a : b;

	return m < c ? m : c;
}

/* Levenshtein distance without regard to case; words over NEAREST_MAX are far from everything. */
static size_t nearest_distance(const char *a, const char *b)
{
	size_t row[NEAREST_MAX + 1];
	size_t n = strlen(a), m = strlen(b);

	if (n > NEAREST_MAX || m > NEAREST_MAX)
		return NEAREST_MAX;
	for (size_t j = 0; j <= m; j++)
		row[j] = j;
	for (size_t i = 1; i <= n; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= m; j++) {
			int same = tolower((unsigned char)a[i - 1]) == tolower((unsigned char)b[j - 1]);
			size_t cost = nearest_min3(row[j] + 1, row[j - 1] + 1, diagonal + (same ? 0 : 1));

			diagonal = row[j];
			row[j] = cost;
		}
	}
	return row[m];
}

const char *nearest_name(const char *word, const char *(*name)(const void *arg, size_t i), const void *arg, size_t n)
{
	size_t len = strlen(word);
	size_t best = len < 3 ? 2 : len / 3 + 2; /* one more than what is still near */
	const char *found = NULL;

	for (size_t i = 0; i < n; i++) {
		const char *candidate = name(arg, i);
		size_t d = candidate ? nearest_distance(word, candidate) : NEAREST_MAX;

		if (d < best) {
			best = d;
			found = candidate;
		}
	}
	return found;
}

static const char *nearest_from_array(const void *arg, size_t i)
{
	const char *const *names = arg;

	return names[i];
}

const char *nearest_string(const char *word, const char *const *names, size_t n)
{
	return nearest_name(word, nearest_from_array, names, n);
}
