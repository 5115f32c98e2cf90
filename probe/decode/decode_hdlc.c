/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cisco's HDLC (RFC 1547, section 4.3.1), and PPP (RFC 1662), which may be on the same kind of link: captures of one are found
 * under the other's link type, and their addresses tell them apart.
 *
 *   | address 0x0f, to all 0x8f | control 0 | ethertype 2 | payload
 */
#include "decode/decode_internal.h"

enum { HDLC_HEADER = 4, HDLC_UNICAST = 0x0f, HDLC_MULTICAST = 0x8f };

enum decode_result decode_hdlc(struct decode_span s, struct packet *p)
{
	uint16_t type;

	if (s.captured < HDLC_HEADER)
		return DECODE_TRUNCATED;
	if (s.at[0] != HDLC_UNICAST && s.at[0] != HDLC_MULTICAST)
		return decode_ppp(s, p);
	type = wire_be16(s.at + 2);
	return type < ETHERTYPE_LEAST ? DECODE_NOT_IP : decode_ethertype(type, decode_skip(s, HDLC_HEADER), p);
}
