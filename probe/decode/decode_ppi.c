/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Per-Packet Information (CACE, 1.0.10): a header in little-endian order that says itself what link type the frame after it has.
 *
 *   | version 0 | flags 1 | length 2, header with it | link type 4 | fields
 */
#include "decode/decode_internal.h"

enum { PPI_HEADER = 8 };

enum decode_result decode_ppi(struct decode_span s, struct packet *p)
{
	enum decode_link link;
	uint32_t header;

	if (s.captured < PPI_HEADER)
		return DECODE_TRUNCATED;
	header = wire_le16(s.at + 2);
	if (s.at[0] != 0 || header < PPI_HEADER)
		return DECODE_NOT_IP;
	if (s.captured < header)
		return DECODE_TRUNCATED;
	if (!decode_link_of(wire_le32(s.at + 4), &link) || link == DECODE_LINK_PPI)
		return DECODE_NOT_IP;
	return decode_link(link, decode_skip(s, header), p);
}
