/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Geneve (RFC 8926). Options are passed by: what they say is the network's own business.
 *
 *   |Ver|  Opt Len  |O|C|    Rsvd.  |          Protocol Type        |
 *   |        Virtual Network Identifier (VNI)       |    Reserved   |
 *   ~                    Variable-Length Options, 4 * Opt Len       ~
 */
#include "decode/decode_tunnel.h"

enum { GENEVE_HEADER = 8, GENEVE_CONTROL = 0x80, GENEVE_RESERVED = 0x3f };

bool decode_geneve(struct tunnel *t)
{
	const uint8_t *h = tunnel_take(t, GENEVE_HEADER);

	if (!h || h[0] >> 6 != 0 || h[1] & GENEVE_RESERVED || h[7] != 0 || !tunnel_take(t, (uint32_t)(h[0] & 0x3f) * 4))
		return false;
	t->kind = L7_TUNNEL_GENEVE;
	t->id = t->same = wire_be32(h + 4) >> 8;
	if (!(h[1] & GENEVE_CONTROL))
		t->carries = decode_tunnel_type(wire_be16(h + 2));
	return true;
}
