/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Of a flow in a tunnel the record says who speaks inside, and what. What the ends of the tunnel do is a flow too, and has its rules: a
 * server that may speak only DNS must not do the rest by way of 6in4.
 */
#ifndef WATCH_TUNNEL_H
#define WATCH_TUNNEL_H

#include <stdbool.h>

#include "l7/record.h"

/*
 * Makes the record of the tunnel: its ends, from the one on the initiator's side on, protocol and port of its kind, counters of what is
 * inside, no flowId: as long as something is inside it is one flow. Its application is nDPI's name for the kind, and where that
 * has none: 6in4, VXLAN, Geneve, L2TP. False if r came through none, or is a mirror's copy of somebody else's packets: their ends say
 * nothing by it.
 */
bool tunnel_record(const struct l7_record *r, struct l7_record *out);

#endif
