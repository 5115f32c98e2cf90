/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Data messages of L2TP version 2 (RFC 2661, section 3.1), which carry PPP. What may stand there or not is said by bits.
 *
 *   |T|L|0|0|S|0|O|P|0|0|0|0| Ver=2 |          Length, with L       |
 *   |           Tunnel ID           |           Session ID          |
 *   |           Ns, with S          |           Nr, with S          |
 *   |      Offset Size, with O      |    Offset pad, so many octets |
 *
 * T is a control message. In version 3 (RFC 3931) the ends agree on what stands there, and nothing in it says so: not looked into.
 */
#include "decode/decode_tunnel.h"

enum {
	L2TP_CONTROL = 0x8000,
	L2TP_LENGTH = 0x4000,
	L2TP_SEQUENCE = 0x0800,
	L2TP_OFFSET = 0x0200,
	L2TP_FIXED = 0xb4ff, /* control, bits that are 0, version */
	L2TP_VERSION_2 = 2,
};

bool decode_l2tp(struct tunnel *t)
{
	uint32_t whole = t->inside.wire;
	const uint8_t *h = tunnel_take(t, 2);
	uint16_t flags;

	if (!h)
		return false;
	flags = wire_be16(h);
	if ((flags & L2TP_FIXED) != L2TP_VERSION_2)
		return false;
	if (flags & L2TP_LENGTH) {
		h = tunnel_take(t, 2);
		if (!h || wire_be16(h) < whole - t->inside.wire || !tunnel_cut(t, wire_be16(h) - 4u))
			return false;
	}
	h = tunnel_take(t, 4);
	if (!h || !wire_be16(h) || !wire_be16(h + 2))
		return false;
	t->kind = L7_TUNNEL_L2TP;
	t->carries = TUNNEL_PPP;
	t->id = wire_be32(h);
	if (flags & L2TP_SEQUENCE && !tunnel_take(t, 4))
		return false;
	if (!(flags & L2TP_OFFSET))
		return true;
	h = tunnel_take(t, 2);
	return h && tunnel_take(t, wire_be16(h));
}
