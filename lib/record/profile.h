/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Template profiles: which fields a record carries on the wire, and in which order. The files of templates/ are
 * part of the binary: one IPFIX name per line, '#' starts a comment.
 */
#ifndef L7_RECORD_PROFILE_H
#define L7_RECORD_PROFILE_H

#include <stddef.h>
#include <stdint.h>

#include "l7/fields.h"

struct profile {
	const char *name;
	size_t n4;
	size_t n6;
	uint8_t v4[L7_FIELD_COUNT]; /* enum l7_field: the list without IPv6 addresses */
	uint8_t v6[L7_FIELD_COUNT]; /* the list without IPv4 addresses */
};

/* Fills *p with the profile of that name. Returns 0, or -EINVAL with a sentence that names the nearest. */
int profile_load(struct profile *p, const char *name, char *err, size_t err_size);
/* The same from a text; `name` is kept, not copied, and stands for the profile in messages. */
int profile_parse(struct profile *p, const char *name, const char *text, char *err, size_t err_size);
/* Name of profile i, NULL past the last. */
const char *profile_name(size_t i);

/* The files, as the build put them into profile_data.c. */
struct profile_source {
	const char *name;
	const char *text;
};
extern const struct profile_source profile_sources[];
extern const size_t profile_n_sources;

#endif
