/* SPDX-License-Identifier: Apache-2.0 */
/*
 * LLC (IEEE 802.2) with a SNAP header that names an ethertype: of OUI 0 (RFC 1042), or of the one by which bridges pass on what
 * came as Ethernet II (IEEE 802.1H). Any other LLC carries no IP.
 *
 *   | DSAP 0xaa | SSAP 0xaa | control 3 | OUI 3: 0 or 0x0000f8 | ethertype 2 |
 */
#include <string.h>

#include "decode/decode_internal.h"

enum { LLC_SNAP = 0xaa, LLC_SNAP_HEADER = 8 };

enum decode_result decode_llc(struct decode_span s, struct packet *p)
{
	static const uint8_t snap[5] = {LLC_SNAP, LLC_SNAP, 0x03, 0, 0};
	uint16_t type;

	if (s.captured > 0 && s.at[0] != LLC_SNAP)
		return DECODE_NOT_IP;
	if (s.captured < LLC_SNAP_HEADER) /* by a length before it that leaves no room, or cut */
		return s.wire < LLC_SNAP_HEADER ? DECODE_NOT_IP : DECODE_TRUNCATED;
	type = wire_be16(s.at + 6);
	if (memcmp(s.at, snap, sizeof(snap)) != 0 || (s.at[5] != 0 && s.at[5] != 0xf8) || type < ETHERTYPE_LEAST)
		return DECODE_NOT_IP;
	return decode_ethertype(type, decode_skip(s, LLC_SNAP_HEADER), p);
}
