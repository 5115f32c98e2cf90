/* SPDX-License-Identifier: Apache-2.0 */
/* From a slot of a worker's ring to a whole record: copied, checked as if hostile, and given what the worker does not know. */
#ifndef PROBE_COMPLETE_H
#define PROBE_COMPLETE_H

#include <stdbool.h>

#include "export/geo.h"
#include "export/vendors.h"
#include "exporter.h"
#include "l7/record.h"
#include "record/community_id.h"

/*
 * Copies a slot, whose content may change meanwhile, and checks the copy. Returns false if it is no record: the worker that
 * wrote it is broken or has been taken over.
 */
bool complete_copy(struct l7_record *r, const void *slot);

/* What is found out with more than the configuration; NULL: nobody wants it, or there is none. */
struct complete {
	struct community_ids *ids;
	struct geo *geo;
	struct vendors *vendors;
};

/* Adds names, interface, exporter, sampling, and what files say of the addresses, and marks them. */
void complete_fill(struct l7_record *r, const struct exporter_config *c, const struct complete *with);

#endif
