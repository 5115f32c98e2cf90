/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GTP-U version 1 (3GPP TS 29.281, section 5): user packets in T-PDUs, IPv4 or IPv6. Everything else that comes by its port is
 * between the gateways.
 *
 *   |Ver=1|PT=1|0|E|S|PN| Message Type |           Length           |    of what comes after the TEID
 *   |                 Tunnel Endpoint Identifier                    |
 *   |        Sequence Number        |  N-PDU Number |  Next Header  |    all three with any of E, S, PN
 *   | Length in 4 octets |   content ...            |  Next Header  |    each extension header, with E
 */
#include "decode/decode_tunnel.h"

enum {
	GTP_HEADER = 8,
	GTP_FIXED = 0xf8, /* version, protocol type, and the bit that is 0 */
	GTP_VERSION_1 = 0x30,
	GTP_EXTENDED = 0x04,
	GTP_OPTIONAL = 0x07,
	GTP_T_PDU = 255,
	GTP_EXTENSIONS_MAX = 8,
};

static bool gtp_extensions(struct tunnel *t, uint8_t next)
{
	for (int n = 0; next; n++) {
		uint32_t len = t->inside.captured ? t->inside.at[0] * 4u : 0;

		if (n == GTP_EXTENSIONS_MAX || len == 0 || !tunnel_take(t, len))
			return false;
		next = t->inside.at[-1];
	}
	return true;
}

bool decode_gtp(struct tunnel *t)
{
	const uint8_t *h = tunnel_take(t, GTP_HEADER), *optional;

	if (!h || (h[0] & GTP_FIXED) != GTP_VERSION_1 || h[1] != GTP_T_PDU || !tunnel_cut(t, wire_be16(h + 2)))
		return false;
	t->kind = L7_TUNNEL_GTP;
	t->carries = TUNNEL_IP;
	t->id = wire_be32(h + 4);
	if (!(h[0] & GTP_OPTIONAL))
		return true;
	optional = tunnel_take(t, 4);
	return optional && (!(h[0] & GTP_EXTENDED) || gtp_extensions(t, optional[3]));
}
