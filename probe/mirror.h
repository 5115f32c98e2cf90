/* SPDX-License-Identifier: Apache-2.0 */
/* What the traffic says about the mirror port that it comes from: one direction is missing, or packets come twice. */
#ifndef PROBE_MIRROR_H
#define PROBE_MIRROR_H

#include <stdbool.h>

#include "shared.h"

struct mirror {
	bool one_way; /* said, or not to be said */
	bool twice;
};

/* Looks at the workers' counters; each thing is said once. */
void mirror_look(struct mirror *m, const struct shared *s);

#endif
