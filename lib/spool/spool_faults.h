/* SPDX-License-Identifier: Apache-2.0 */
/* For tests only (L7_SPOOL_FAULTS): mistakes that a spool could have, each of which the tests must find. Otherwise nothing at all. */
#ifndef L7_SPOOL_FAULTS_H
#define L7_SPOOL_FAULTS_H

#include <stdbool.h>

enum spool_fault {
	SPOOL_FAULT_NONE,
	SPOOL_FAULT_NO_SYNC,          /* nothing is ever synced */
	SPOOL_FAULT_NO_SYNC_OLD,      /* a segment is not synced before the next one is made */
	SPOOL_FAULT_NO_SYNC_FOLDER,   /* nor the directory after a rename */
	SPOOL_FAULT_EARLY,            /* what is put is reported as synced before it is written */
	SPOOL_FAULT_LAST_ONLY,        /* recovery knows the last segment alone */
	SPOOL_FAULT_TRUST_POS,        /* the file pos is believed as it is */
	SPOOL_FAULT_RETRY_SYNC,       /* a failed sync is tried again on the same descriptor */
	SPOOL_FAULT_NO_RECOVERY_SYNC, /* what recovery finds is taken for durable */
	SPOOL_FAULT_NO_CRC,           /* the payload's checksum is not looked at */
	SPOOL_FAULT_REUSE,            /* the number of what was acknowledged is given again */
	SPOOL_FAULTS
};

#ifdef L7_SPOOL_FAULTS
extern enum spool_fault spool_fault_now; /* the test's */

static inline bool spool_fault(enum spool_fault f)
{
	return spool_fault_now == f;
}
#else
static inline bool spool_fault(enum spool_fault f)
{
	(void)f;
	return false;
}
#endif

#endif
