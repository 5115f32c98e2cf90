/* SPDX-License-Identifier: Apache-2.0 */
/* A record as a line of a table that a person reads. Not for programs: they take JSON. */
#ifndef PROBE_TEXT_LINE_H
#define PROBE_TEXT_LINE_H

#include "base/buf.h"
#include "l7/record.h"

/* The names of the columns, with the newline. */
void text_header(struct buf *out);

/* Without the newline. A protocol that was not seen but guessed (confidence below cache) has a '?' after it. */
void text_line(struct buf *out, const struct l7_record *r);

#endif
