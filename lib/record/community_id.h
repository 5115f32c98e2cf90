/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Community ID of a flow, version 1 (github.com/corelight/community-id-spec): one name for a flow in the records of several
 * programs. Of ICMP it is the first packet's type that counts, with its answer's type or its code as the other port.
 */
#ifndef L7_RECORD_COMMUNITY_ID_H
#define L7_RECORD_COMMUNITY_ID_H

#include <stdbool.h>

#include "l7/record.h"

#define COMMUNITY_ID_LEN 30 /* "1:" and 20 octets in base64 */

/* What is made once: looking SHA-1 up costs more than using it. NULL without memory, or if the library has none. */
struct community_ids;
struct community_ids *community_ids_new(void);
void community_ids_free(struct community_ids *c);

/*
 * Writes the name, without a terminator, seed 0. Returns false where there is none: SCTP, whose ports a record does not have, and
 * TCP and UDP without ports, of which only later fragments were seen.
 */
bool community_id(struct community_ids *c, char out[COMMUNITY_ID_LEN], const struct l7_record *r);

#endif
