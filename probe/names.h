/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROBE_NAMES_H
#define PROBE_NAMES_H

#include "dpi/dpi.h"
#include "exporter.h"

/* Protocol, category and risk names of a module by id, for the exporter. They point into the module. Returns 0 or -ENOMEM. */
int names_init(struct exporter_names *n, const struct dpi_module *dpi);
void names_deinit(struct exporter_names *n);

#endif
