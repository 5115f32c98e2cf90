/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PPP over Ethernet (RFC 2516, section 4). A packet ends with its length, as peers take it.
 *
 *    0                   1                   2                   3
 *   |Version| Type  |     Code      |          Session id           |
 *   |            Length             |         PPP protocol          |
 */
#include "decode/decode_internal.h"

enum { PPPOE_HEADER = 6, PPPOE_VERSION_TYPE = 0x11, PPPOE_SESSION = 0 };

enum decode_result decode_pppoe(struct decode_span s, struct packet *p)
{
	if (!decode_shim(p))
		return DECODE_SHIM_DEPTH;
	if (s.captured < PPPOE_HEADER)
		return DECODE_TRUNCATED;
	if (s.at[0] != PPPOE_VERSION_TYPE)
		return DECODE_PPPOE;
	if (s.at[1] != PPPOE_SESSION) /* the search for a peer, which a link of its own type shows too */
		return DECODE_NOT_IP;
	return decode_ppp(decode_shorten(decode_skip(s, PPPOE_HEADER), wire_be16(s.at + 4)), p);
}
