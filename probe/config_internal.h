/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROBE_CONFIG_INTERNAL_H
#define PROBE_CONFIG_INTERNAL_H

#include "config.h"

/* Puts the place of an option's value, number `item` of a list, before the sentence that is in err. Returns -EINVAL. */
int config_wrong(struct config *c, const char *name, size_t item, char *err, size_t err_size);
/* Flow key, home networks and outputs. Returns 0, or a negative errno with a sentence. */
int config_parse(struct config *c, char *err, size_t err_size);

#endif
