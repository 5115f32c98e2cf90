/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Data of CAPWAP (RFC 5415, section 4.3; RFC 5416): frames of stations between an access point and its controller, of Ethernet or of
 * 802.11. With DTLS, which the first octet says, they cannot be looked into.
 *
 *   | Ver=0 | Type=0|  HLEN   |   RID   |  WBID   |T|F|L|W|M|K| 0   |    HLEN in 4 octets, all of the header
 *   |          Fragment ID          |     Fragment Offset     |  0  |
 *   |          Radio MAC Address and its length, with M             |
 *   |          Wireless Specific Information, with W                |
 *
 * T: the frame is of the kind that WBID says, 1 for 802.11; else of Ethernet. F: a fragment. K: a keep-alive.
 */
#include "decode/decode_tunnel.h"

enum {
	CAPWAP_HEADER = 8,
	CAPWAP_NATIVE = 0x0100,
	CAPWAP_FRAGMENT = 0x0080,
	CAPWAP_LAST = 0x0040,
	CAPWAP_WIRELESS = 0x0020,
	CAPWAP_RADIO = 0x0010,
	CAPWAP_KEEPALIVE = 0x0008,
	CAPWAP_ZERO = 0x0007,
	CAPWAP_80211 = 1,
	CAPWAP_80211_DATA = 0x08,
};

/* Its control as the standard has it, or with the octets swapped: stations' frames go to or from an access point, which tells. */
static enum tunnel_carries capwap_wifi(struct decode_span s)
{
	if (s.captured >= 2 && (s.at[0] & 0x0f) != CAPWAP_80211_DATA && (s.at[1] & 0x0f) == CAPWAP_80211_DATA)
		return TUNNEL_WIFI_SWAPPED;
	return TUNNEL_WIFI;
}

/* The optional fields, each as long as its first octet says, end where the header does. */
static bool capwap_options(const uint8_t *at, uint32_t left, uint32_t word)
{
	for (uint32_t bit = CAPWAP_RADIO; bit <= CAPWAP_WIRELESS; bit <<= 1) {
		uint32_t len;

		if (!(word & bit))
			continue;
		if (!left)
			return false;
		len = (at[0] + 1u + 3) & ~3u;
		if (len > left)
			return false;
		at += len;
		left -= len;
	}
	return true;
}

bool decode_capwap(struct tunnel *t)
{
	const uint8_t *h = tunnel_take(t, CAPWAP_HEADER), *options;
	uint32_t word, header;
	uint16_t offset;

	if (!h)
		return false;
	word = wire_be32(h); /* its first octet has to be 0 */
	header = (word >> 19) * 4;
	offset = wire_be16(h + 6);
	if (word >> 24 || header < CAPWAP_HEADER || word & CAPWAP_ZERO || offset & 7)
		return false;
	options = tunnel_take(t, header - CAPWAP_HEADER);
	if (!options || !capwap_options(options, header - CAPWAP_HEADER, word))
		return false;
	t->kind = L7_TUNNEL_CAPWAP;
	if (word & CAPWAP_KEEPALIVE || (word & CAPWAP_FRAGMENT && offset >> 3))
		return true;
	t->piece |= (word & (CAPWAP_FRAGMENT | CAPWAP_LAST)) == CAPWAP_FRAGMENT;
	if (!(word & CAPWAP_NATIVE))
		t->carries = TUNNEL_ETHERNET;
	else if ((word >> 9 & 0x1f) == CAPWAP_80211)
		t->carries = capwap_wifi(t->inside);
	return true;
}
