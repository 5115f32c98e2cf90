/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Teredo (RFC 4380, section 5.1.1): an IPv6 packet in UDP, with indications before it or not. One without a payload is a bubble, which
 * keeps the way open.
 *
 *   |  0x00  |  0x01  | ID-len | AU-len | client identifier, authentication value | nonce 8 | confirmation 1 |
 *   |  0x00  |  0x00  | origin port # 2 | origin IPv4 address 4 |
 *
 * Two ends that have found each other use the ports that they have, mostly not this one: those are not known to be Teredo.
 */
#include "decode/decode_tunnel.h"

enum { TEREDO_AUTHENTICATION = 0x0001, TEREDO_ORIGIN = 0x0000, TEREDO_IP6_HEADER = 40 };

/* 2001::/32, or an address of the link: clients that ask for theirs. */
static bool teredo_address(const uint8_t *ip)
{
	return wire_be32(ip) == 0x20010000 || (wire_be16(ip) & 0xffc0) == 0xfe80;
}

bool decode_teredo(struct tunnel *t)
{
	const uint8_t *h;

	if (t->inside.captured >= 4 && wire_be16(t->inside.at) == TEREDO_AUTHENTICATION) {
		h = t->inside.at;
		if (!tunnel_take(t, 4u + h[2] + h[3] + 9))
			return false;
	}
	if (t->inside.captured >= 2 && wire_be16(t->inside.at) == TEREDO_ORIGIN && !tunnel_take(t, 8))
		return false;
	h = t->inside.at;
	if (t->inside.captured < TEREDO_IP6_HEADER || h[0] >> 4 != 6 ||
	    !(teredo_address(h + 8) || teredo_address(h + 24)))
		return false;
	t->kind = L7_TUNNEL_TEREDO;
	t->carries = TUNNEL_IP6;
	return true;
}
