/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GRE (RFC 2784, key and sequence number RFC 2890), NVGRE in it (RFC 7637), the enhanced GRE of PPTP (RFC 2637), and ERSPAN
 * (draft-foschiano-erspan-03), which is a type of its own in GRE.
 *
 *    0                   1                   2                   3
 *   |C| |K|S| |         Reserved0     | Ver |     Protocol Type     |
 *   |      Checksum (optional)      |       Reserved1 (optional)    |
 *   |                         Key (optional)                        |
 *   |                 Sequence Number (optional)                    |
 *
 * Version 1 has K always; the key is the payload's length and the call id, and with A (bit 8) an acknowledgment follows.
 */
#include "decode/decode_tunnel.h"

enum {
	GRE_CHECKSUM = 0x8000,
	GRE_ROUTING = 0x4000, /* of RFC 1701, and nobody's any more */
	GRE_KEY = 0x2000,
	GRE_SEQUENCE = 0x1000,
	GRE_STRICT = 0x0c00, /* strict source route and recursion: bits that have to be 0 (RFC 2784 section 2.3) */
	GRE_ACKNOWLEDGMENT = 0x0080,
	GRE_VERSION = 0x0007,
	GRE_PPTP_ZERO = 0x0f78, /* in version 1 the rest of the flags */
	GRE_BRIDGED = 0x6558,
	GRE_PPP = 0x880b,
	GRE_ERSPAN_2 = 0x88be, /* type I, too */
	GRE_ERSPAN_3 = 0x22eb,
	NVGRE_LEAST = 0x1000, /* less are no virtual subnets */
	ERSPAN_2_HEADER = 8,
	ERSPAN_3_HEADER = 12,
	ERSPAN_3_PLATFORM = 8,
	ERSPAN_3_IP = 2, /* frame types: 0 is Ethernet */
};

/*
 * A key is the same in both directions. NVGRE puts a hash of the flow behind the 24 bits of its subnet; it may be told from others
 * by its form, which has a key and nothing else, and by the subnets that there may be.
 */
static uint32_t gre_same(uint16_t flags, uint16_t type, uint32_t key)
{
	bool alone = !(flags & (GRE_CHECKSUM | GRE_SEQUENCE));

	return type == GRE_BRIDGED && alone && key >> 8 >= NVGRE_LEAST ? key & 0xffffff00 : key;
}

static bool gre_pptp(struct tunnel *t, uint16_t flags)
{
	const uint8_t *h = tunnel_take(t, 4);
	uint32_t more = (flags & GRE_SEQUENCE ? 4 : 0) + (flags & GRE_ACKNOWLEDGMENT ? 4 : 0), len;

	if (!h || !(flags & GRE_KEY) || flags & (GRE_CHECKSUM | GRE_ROUTING | GRE_PPTP_ZERO) || !tunnel_take(t, more))
		return false;
	t->kind = L7_TUNNEL_PPTP;
	t->id = wire_be16(h + 2);
	len = wire_be16(h);
	if (!tunnel_cut(t, len))
		return false;
	t->carries = len ? TUNNEL_PPP : TUNNEL_NOTHING; /* acknowledgments alone */
	return true;
}

/*
 * Type II, and what type III has more: a timestamp, a security group, and with O a subheader of the platform. Type I has no header,
 * and no sequence number in GRE. Ver is 1 and 2 for types II and III.
 *
 *   |  Ver  |          VLAN         | COS |BSO/En|T|   Session ID    |
 *   |        Reserved       |             Index                     |     type II
 *   |                           Timestamp                           |     type III
 *   |              SGT              |P|    FT   |   Hw ID   |D|Gra|O|
 */
static bool gre_erspan(struct tunnel *t, uint16_t flags, uint16_t type)
{
	bool third = type == GRE_ERSPAN_3;
	const uint8_t *h;

	t->kind = L7_TUNNEL_ERSPAN;
	t->carries = TUNNEL_ETHERNET;
	if (!third && !(flags & GRE_SEQUENCE))
		return true;
	h = tunnel_take(t, third ? ERSPAN_3_HEADER : ERSPAN_2_HEADER);
	if (!h || h[0] >> 4 != (third ? 2 : 1))
		return false;
	t->id = t->same = wire_be16(h + 2) & 0x03ff;
	if (!third)
		return true;
	if (h[11] & 1 && !tunnel_take(t, ERSPAN_3_PLATFORM))
		return false;
	switch (h[10] >> 2 & 0x1f) {
	case 0:
		return true;
	case ERSPAN_3_IP:
		t->carries = TUNNEL_IP;
		return true;
	default:
		t->carries = TUNNEL_NOTHING;
		return true;
	}
}

bool decode_gre(struct tunnel *t)
{
	const uint8_t *h = tunnel_take(t, 4), *key;
	uint16_t flags, type;

	if (!h)
		return false;
	flags = wire_be16(h);
	type = wire_be16(h + 2);
	if ((flags & GRE_VERSION) == 1 && type == GRE_PPP)
		return gre_pptp(t, flags);
	if (flags & (GRE_ROUTING | GRE_STRICT | GRE_VERSION))
		return false;
	if (flags & GRE_CHECKSUM && !tunnel_take(t, 4))
		return false;
	t->kind = L7_TUNNEL_GRE;
	if (flags & GRE_KEY) {
		key = tunnel_take(t, 4);
		if (!key)
			return false;
		t->id = wire_be32(key);
		t->same = gre_same(flags, type, t->id);
	}
	if (flags & GRE_SEQUENCE && !tunnel_take(t, 4))
		return false;
	if (type == GRE_ERSPAN_2 || type == GRE_ERSPAN_3)
		return gre_erspan(t, flags, type);
	t->carries = decode_tunnel_type(type);
	return true;
}
