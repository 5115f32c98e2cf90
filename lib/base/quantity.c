/* SPDX-License-Identifier: Apache-2.0 */
#include "base/quantity.h"

#include <stdio.h>

/* One digit after the point and the prefix of the unit. */
static void quantity_si(char to[QUANTITY_MAX], uint64_t n, const char *unit)
{
	static const char prefixes[] = "kMGTPE";
	double v = (double)n / 1000;
	int i = 0;

	while (v >= 999.95 && prefixes[i + 1]) {
		v /= 1000;
		i++;
	}
	snprintf(to, QUANTITY_MAX, "%.1f %c%s", v, prefixes[i], unit);
}

void quantity_octets(char to[QUANTITY_MAX], uint64_t n)
{
	if (n < 1000)
		snprintf(to, QUANTITY_MAX, "%u B", (unsigned)n);
	else
		quantity_si(to, n, "B");
}

void quantity_count(char to[QUANTITY_MAX], uint64_t n)
{
	unsigned v = (unsigned)n;

	if (n >= 10000000)
		quantity_si(to, n, "");
	else if (v >= 1000000)
		snprintf(to, QUANTITY_MAX, "%u,%03u,%03u", v / 1000000, v / 1000 % 1000, v % 1000);
	else if (v >= 1000)
		snprintf(to, QUANTITY_MAX, "%u,%03u", v / 1000, v % 1000);
	else
		snprintf(to, QUANTITY_MAX, "%u", v);
}

void quantity_duration(char to[QUANTITY_MAX], uint64_t ms)
{
	double s = (double)ms / 1000;

	if (ms < 1000)
		snprintf(to, QUANTITY_MAX, "%u ms", (unsigned)ms);
	else if (s < 99.95)
		snprintf(to, QUANTITY_MAX, "%.1f s", s);
	else if (s < 100 * 60)
		snprintf(to, QUANTITY_MAX, "%.0f min", s / 60);
	else if (s < 100 * 3600)
		snprintf(to, QUANTITY_MAX, "%.1f h", s / 3600);
	else if (s < 86400.0 * 999999)
		snprintf(to, QUANTITY_MAX, "%.0f d", s / 86400);
	else
		snprintf(to, QUANTITY_MAX, "?");
}

void quantity_share(char to[QUANTITY_MAX], uint64_t part, uint64_t whole)
{
	to[0] = '\0';
	if (whole)
		snprintf(to, QUANTITY_MAX, "%.1f %%", 100.0 * (double)(part < whole ? part : whole) / (double)whole);
}
