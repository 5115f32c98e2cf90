/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Template profiles: which fields a record carries on the wire, and in which order. The files of templates/ are part of
 * the binary, `full` is every field there is. A text of a profile has IPFIX names, or nProbe's (%IPV4_SRC_ADDR, the % may be
 * left out), between white space, line ends or commas; '#' starts a comment.
 */
#ifndef L7_RECORD_PROFILE_H
#define L7_RECORD_PROFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "l7/fields.h"

struct profile {
	const char *name;
	/* Has counters, but none of the reverse direction: a record is sent as two, one per direction that has packets. */
	bool uniflow;
	size_t n4;
	size_t n6;
	uint8_t v4[L7_FIELD_COUNT]; /* enum l7_field: the list with IPv4 addresses */
	uint8_t v6[L7_FIELD_COUNT]; /* the list with IPv6 addresses; an address listed in one family only is in both */
};

/*
 * Fills *p with the profile that `spec` means: a name, a file (with a '/' in it, or ending in .tmpl), or a list of fields. `spec` is
 * kept. Returns 0, or -EINVAL with a sentence that has file and line, and the nearest name.
 */
int profile_load(struct profile *p, const char *spec, char *err, size_t err_size);
/*
 * The same where some files are given that fields come from, those of l7_field_of_place(): `there` are the ones that they have. Our
 * own profiles have of these fields only what is there, and nothing above; `full`, and what users list, is as it is.
 */
int profile_load_with(struct profile *p, const char *spec, const uint64_t there[2], char *err, size_t err_size);
/* The same from a text; `name` is kept, not copied, and stands for the profile in messages, before a number of the line. */
int profile_parse(struct profile *p, const char *name, const char *text, char *err, size_t err_size);
/* Name of profile i, NULL past the last. */
const char *profile_name(size_t i);
/* nProbe's name for a field, the first there is; NULL for none. */
const char *profile_nprobe_name(unsigned field);

/* The files, as the build put them into profile_data.c. */
struct profile_source {
	const char *name;
	const char *text;
};
extern const struct profile_source profile_sources[];
extern const size_t profile_n_sources;

#endif
