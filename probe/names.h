/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROBE_NAMES_H
#define PROBE_NAMES_H

#include "dpi/dpi.h"
#include "exporter.h"
#include "shared.h"

/*
 * For the exporter: names of protocols by number, those of `shared` now and later; of categories and risks by id, which no file
 * changes. Categories point into the module. Returns 0 or -ENOMEM.
 */
int names_init(struct exporter_names *n, const struct shared_names *shared, const struct dpi_module *dpi);
void names_deinit(struct exporter_names *n);

/*
 * Gives the protocols of a module their numbers: a name keeps the one it once had, those that are new are added. Returns 0, or a
 * negative errno with a sentence: no memory, or no room for more names.
 */
int names_number(struct shared_names *shared, struct dpi_module *dpi, char *err, size_t err_size);

#endif
