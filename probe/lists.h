/* SPDX-License-Identifier: Apache-2.0 */
/* What --list-fields, --list-templates, --list-protocols and --list-categories print: a line per item, columns for people and awk. */
#ifndef PROBE_LISTS_H
#define PROBE_LISTS_H

#include <stdint.h>
#include <stdio.h>

#include "dpi/dpi.h"

/* Fields by IPFIX name; `pen` is the enterprise number of our own elements. */
void lists_fields(FILE *out, uint32_t pen);
/* Templates, each with its fields as -t takes them. */
void lists_templates(FILE *out);
/* Protocols by name, with id and category. */
void lists_protocols(FILE *out, const struct dpi_module *dpi);
void lists_categories(FILE *out, const struct dpi_module *dpi);

#endif
