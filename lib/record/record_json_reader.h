/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads what record_json() writes, and what others write with the same keys: one object a line into one record. The line may come
 * from anybody: it is refused with a sentence, or gives a record that l7_record_check() accepts.
 */
#ifndef L7_RECORD_JSON_READER_H
#define L7_RECORD_JSON_READER_H

#include <stddef.h>
#include <stdint.h>

#include "l7/fields.h"
#include "l7/record.h"

#define RECORD_JSON_LINE_MAX 65536u /* octets of a line, without its end */
#define RECORD_JSON_DEPTH_MAX 32u   /* of arrays and objects in each other, as the values of unknown keys */
#define RECORD_JSON_UNKNOWN_MAX 64u /* keys that are remembered as unknown; further ones are not counted */
#define RECORD_JSON_ERROR_MAX 320u  /* octets of a sentence, its end with it */

struct record_json_reader {
	size_t n_rows;
	uint8_t rows[L7_FIELD_COUNT]; /* enum l7_field, in the order of their keys */
	uint64_t unknown;             /* keys that no field has, each counted once */
	uint64_t no_room;             /* texts beyond L7_TEXT_MAX: left out, the rest of the record is read */
	uint64_t seen[RECORD_JSON_UNKNOWN_MAX];
	size_t column; /* where the last refused line is no JSON, from 1; 0 if it is that and says something wrong */
	/* Told of each unknown key once; `near` is the right one, or NULL. May be NULL. */
	void (*on_unknown)(void *arg, const char *key, const char *near);
	void *arg;
};

void record_json_reader_init(struct record_json_reader *j);

/*
 * Reads one line, without its end, into r. Numbers are numbers, identifiers and bitmaps of 64 bits strings of digits or numbers,
 * enumerations words, addresses text; null is as if the key were not there, and so is an empty text. `app` sets master and
 * application, which count only where it is missing. A record from responder to initiator is turned round, as the IPFIX reader does.
 *
 * Returns 0; -EINVAL with a sentence in err, printable, without file and line; -ENOMEM, with one too.
 */
int record_json_read(struct record_json_reader *j, const char *line, size_t len, struct l7_record *r,
		     char err[RECORD_JSON_ERROR_MAX]);

#endif
