/* SPDX-License-Identifier: Apache-2.0 */
#include "base/utc.h"

#include <stdio.h>
#include <time.h>

char *utc_text(char to[UTC_TEXT_MAX], enum utc_form form, uint64_t ms)
{
	time_t s = (time_t)((ms < UTC_LAST_MS ? ms : UTC_LAST_MS) / 1000);
	struct tm tm;

	to[0] = '\0';
	if (!gmtime_r(&s, &tm)) /* none of a year that an int has no room for */
		return to;
	if (form == UTC_DAY)
		strftime(to, UTC_TEXT_MAX, "%Y-%m-%d", &tm);
	else if (form == UTC_RFC3339)
		strftime(to, UTC_TEXT_MAX, "%Y-%m-%dT%H:%M:%SZ", &tm);
	else
		strftime(to, UTC_TEXT_MAX, "%Y-%m-%d %H:%M:%S", &tm);
	return to;
}

char *utc_text_ms(char to[UTC_TEXT_MAX], uint64_t ms)
{
	char second[UTC_TEXT_MAX];

	if (ms > UTC_LAST_MS)
		ms = UTC_LAST_MS;
	utc_text(second, UTC_RFC3339, ms);
	snprintf(to, UTC_TEXT_MAX, "%.19s.%03uZ", second, (unsigned)(ms % 1000));
	return to;
}
