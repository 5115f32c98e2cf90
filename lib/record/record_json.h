/* SPDX-License-Identifier: Apache-2.0 */
/* A flow record as one JSON object: flat, keys and their order from templates/fields.def. */
#ifndef L7_RECORD_JSON_H
#define L7_RECORD_JSON_H

#include "base/buf.h"
#include "l7/record.h"

/*
 * Appends one object, without a newline. Of the fields marked in `has` those that say something: empty texts and an
 * empty state are left out, and an address only where ip_version is that of its row. 64-bit identifiers and bitmaps are decimal
 * strings, enumerations are words. The record must have passed l7_record_check(). On no room `failed` of the buffer
 * is set and nothing is appended; the most that one object can take is RECORD_JSON_MAX octets.
 */
void record_json(struct buf *out, const struct l7_record *r);

#define RECORD_JSON_MAX 65536

#endif
