/* SPDX-License-Identifier: Apache-2.0 */
/* A file of allow rules made of what hosts spoke: a beginning that a person reads and shortens. */
#ifndef WATCH_LEARN_H
#define WATCH_LEARN_H

#include <stddef.h>

#include "state/store.h"

#define LEARN_HOSTS_MAX 1000u /* rules of the file: hosts with the same lists share one */
#define LEARN_NAMES_MAX 256u  /* names of a side of a host */

struct learn_counts {
	size_t hosts, rules;
	size_t hosts_left, names_left; /* beyond the maxima, or none that a rule could have */
	size_t unknown;                /* entries whose protocol nobody could name: they are in no list */
};

/* Says beforehand whether learn_write() could write there. Returns 0, or a negative errno with a sentence. */
int learn_check(const char *path, char *err, size_t err_size);

/*
 * Writes what the store knows to a file, beside it first and then under its name: nothing half. Returns 0, or a negative errno with a
 * sentence.
 */
int learn_write(struct store *store, const char *path, struct learn_counts *counts, char *err, size_t err_size);

#endif
