/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Data frames of 802.11 (IEEE 802.11, sections 9.2 and 9.3.2), as a card in monitor mode shows them. Of what is in them only that
 * which is not encrypted can be looked at.
 *
 *   | control 2 | duration 2 | address 1, 6 | address 2, 6 | address 3, 6 | sequence 2 |[ address 4, 6 |][ QoS 2 |][ HT 4 |] LLC
 *
 * Control, first octet: version 2 bits, type 2, subtype 4, the lowest first; second octet: to DS, from DS, more fragments, retry,
 * power, more data, protected, order. Which address is whose depends on the first two.
 *
 * A frame may hold several packets (A-MSDU), each with a header, and filled up to a multiple of 4:
 *
 *   | destination 6 | source 6 | length 2 | LLC
 */
#include "decode/decode_internal.h"

enum {
	WIFI_HEADER = 24,
	WIFI_ADDRESS4 = 6,
	WIFI_QOS = 2,
	WIFI_HT = 4,
	WIFI_SUBFRAME = 14,
};

enum { /* first octet */
       WIFI_VERSION_TYPE = 0x0f,
       WIFI_IS_DATA = 0x08,
       WIFI_IS_NULL = 0x40,
       WIFI_IS_QOS = 0x80
};

enum { /* second octet */
       WIFI_TO_DS = 0x01,
       WIFI_FROM_DS = 0x02,
       WIFI_PROTECTED = 0x40,
       WIFI_ORDER = 0x80
};

enum { WIFI_SEQUENCE_AT = 22, WIFI_FRAGMENT = 0x0f, WIFI_QOS_AMSDU = 0x80 };

static void wifi_addresses(const uint8_t *h, uint8_t flags, struct packet *p)
{
	bool to = flags & WIFI_TO_DS, from = flags & WIFI_FROM_DS;

	p->dst_mac = h + (to ? 16 : 4);
	p->src_mac = h + (to && from ? WIFI_HEADER : from ? 16 : 10);
}

/* How long the header is, and whether a packet follows or several. */
static uint32_t wifi_header(struct decode_span s, const uint8_t control[2], bool *amsdu)
{
	uint32_t header = WIFI_HEADER;

	*amsdu = false;
	if (control[1] & WIFI_TO_DS && control[1] & WIFI_FROM_DS)
		header += WIFI_ADDRESS4;
	if (!(control[0] & WIFI_IS_QOS))
		return header;
	*amsdu = s.captured > header && s.at[header] & WIFI_QOS_AMSDU;
	return header + WIFI_QOS + (control[1] & WIFI_ORDER ? WIFI_HT : 0);
}

/* One packet is as good as any other frame. What is too short for another header is a check sequence, or nothing. */
static enum decode_result wifi_amsdu(struct decode_span s, struct packet *p)
{
	uint32_t size;

	if (s.captured < WIFI_SUBFRAME)
		return DECODE_TRUNCATED;
	size = (WIFI_SUBFRAME + (uint32_t)wire_be16(s.at + 12) + 3) & ~3u;
	if (size + WIFI_SUBFRAME <= s.wire)
		return DECODE_WIFI;
	p->dst_mac = s.at;
	p->src_mac = s.at + 6;
	return decode_llc(decode_skip(s, WIFI_SUBFRAME), p);
}

static enum decode_result wifi_frame(struct decode_span s, const uint8_t control[2], bool padded, struct packet *p)
{
	const uint8_t *h = s.at;
	uint32_t header;
	bool amsdu;

	if ((control[0] & WIFI_VERSION_TYPE) != WIFI_IS_DATA || control[0] & WIFI_IS_NULL)
		return DECODE_NOT_IP;
	if (control[1] & WIFI_PROTECTED)
		return DECODE_ENCRYPTED;
	header = wifi_header(s, control, &amsdu);
	if (padded)
		header = (header + 3) & ~3u;
	if (s.captured < header)
		return DECODE_TRUNCATED;
	if (h[WIFI_SEQUENCE_AT] & WIFI_FRAGMENT)
		return DECODE_WIFI;
	wifi_addresses(h, control[1], p);
	s = decode_skip(s, header);
	return amsdu ? wifi_amsdu(s, p) : decode_llc(s, p);
}

enum decode_result decode_wifi(struct decode_span s, bool padded, struct packet *p)
{
	return s.captured < 2 ? DECODE_TRUNCATED : wifi_frame(s, s.at, padded, p);
}

enum decode_result decode_wifi_swapped(struct decode_span s, struct packet *p)
{
	uint8_t control[2];

	if (s.captured < 2)
		return DECODE_TRUNCATED;
	control[0] = s.at[1];
	control[1] = s.at[0];
	return wifi_frame(s, control, false, p);
}
