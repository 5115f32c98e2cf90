/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who made an interface, by the first 24, 28 or 36 bits of its MAC address: lists of IEEE's Registration Authority, as .csv
 * (oui.csv, mam.csv, oui36.csv) or .txt (oui.txt and so on), which Debian has in its package ieee-data.
 */
#ifndef PROBE_VENDORS_H
#define PROBE_VENDORS_H

#include <stddef.h>
#include <stdint.h>

#include "l7/record.h"

#define VENDORS_FILES_MAX 8
#define VENDORS_SIZE_MAX (64u << 20) /* octets of a file */
#define VENDORS_TEXT_MAX 64          /* octets of a name; what is longer is cut */

struct vendors;

/*
 * Reads n files. Returns 0; -EINVAL with a sentence that names the file, and the line if it is one; or -ENOMEM. The caller frees
 * *v with vendors_free().
 */
int vendors_open(struct vendors **v, const char *const *files, size_t n, char *err, size_t err_size);
void vendors_free(struct vendors *v);

/* How many there are. */
size_t vendors_count(const struct vendors *v);

/*
 * The name of who made it, not terminated, and its octets; NULL if it is nobody's: an address that a machine has given itself, one of a
 * group, one that is in no list, or whose maker does not say.
 */
const char *vendors_find(struct vendors *v, const uint8_t mac[6], size_t *len);

/* Fills in those of both ends, of the fields that are wanted, and marks them. */
void vendors_fill(struct vendors *v, struct l7_record *r, const uint64_t wanted[2]);

#endif
