/* SPDX-License-Identifier: Apache-2.0 */
/* CPUs for the workers, as a list such as 0,2-3: worker k has the k-th, and after the last the first again. */
#ifndef PROBE_CPUS_H
#define PROBE_CPUS_H

#include <stddef.h>

#include "base/conf.h"

/*
 * Returns list->n, or the place of an item that is wrong and a sentence: no number, no range, or a CPU that this process may not
 * run on.
 */
size_t cpus_check(const struct conf_list *list, char *err, size_t err_size);

/* Binds this process to the CPU of a worker; an empty list leaves it free. Returns 0 or a negative errno. */
int cpus_bind(const struct conf_list *list, unsigned worker);

#endif
