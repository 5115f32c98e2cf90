/* SPDX-License-Identifier: Apache-2.0 */
/* Times of records in words, in UTC. They are whatever an exporter has sent: what is beyond the year 9999 is shown as its end. */
#ifndef L7_BASE_UTC_H
#define L7_BASE_UTC_H

#include <stdint.h>

#define UTC_TEXT_MAX 32
#define UTC_LAST_MS UINT64_C(253402300799999) /* end of the year 9999: RFC 3339 knows no later one */

enum utc_form {
	UTC_DAY,      /* "2027-01-31" */
	UTC_RFC3339,  /* "2027-01-31T10:00:00Z" */
	UTC_READABLE, /* "2027-01-31 10:00:00" */
};

/* A time since the epoch; returns to. */
char *utc_text(char to[UTC_TEXT_MAX], enum utc_form form, uint64_t ms);
/* The same as "2027-01-31T10:00:00.000Z". */
char *utc_text_ms(char to[UTC_TEXT_MAX], uint64_t ms);

#endif
