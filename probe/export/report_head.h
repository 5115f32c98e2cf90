/* SPDX-License-Identifier: Apache-2.0 */
/* The lines of a report around its tables, and how it writes ends and times. */
#ifndef PROBE_REPORT_HEAD_H
#define PROBE_REPORT_HEAD_H

#include <stddef.h>

#include "export/report.h"

#define REPORT_END_MAX 64 /* octets */

/* "192.0.2.1:443", "[2001:db8::1]:443", without a port for a protocol that has none. Of the server, or of the client. */
void report_end(char to[REPORT_END_MAX], const struct report_flow *w, bool server);
/* "15:39:56", local time. */
void report_clock(char *to, size_t size, uint64_t ms);

/* What was captured, when, how much. */
void report_summary(struct buf *b, const struct report *r, const struct report_sums *s);
/* How sure the names are. */
void report_sure(struct buf *b, const struct report *r, const struct report_sums *s);
/* That some flows are not listed, if so. */
void report_more(struct buf *b, const struct report *r, uint64_t more);
/* What to try next. */
void report_next(struct buf *b, const struct report *r);

/*
 * Appends clean texts with `separator` between them, on as many lines as the width makes needed, later lines indented; one that is
 * wider than a line is shortened. Empty ones are left out.
 */
void report_items(struct buf *b, const struct terminal *t, const char *const *items, size_t n, const char *separator);

#endif
