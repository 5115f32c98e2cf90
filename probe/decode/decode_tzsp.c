/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TZSP, TaZmen Sniffer Protocol: copies of frames, from an access point or router to who looks at them. No RFC; the format is
 * what its senders and Wireshark have in common.
 *
 *   | Version 1 |   Type 1  |    Protocol 2     |   type 0 and 1: a frame; protocol 1 Ethernet, 18 802.11
 *   | Tag 1 | Length 1 | so many octets |         any number; tag 0 is padding and has no length, nor has
 *   | Tag=1 |                                    the last one, behind which is the frame
 */
#include "decode/decode_tunnel.h"

enum {
	TZSP_HEADER = 4,
	TZSP_TRANSMIT = 1,
	TZSP_ETHERNET = 1,
	TZSP_80211 = 18,
	TZSP_PADDING = 0,
	TZSP_END = 1,
	TZSP_TAGS_MAX = 64,
};

static bool tzsp_tags(struct tunnel *t)
{
	for (int n = 0; n < TZSP_TAGS_MAX; n++) {
		const uint8_t *tag = tunnel_take(t, 1), *len;

		if (!tag)
			return false;
		if (*tag == TZSP_END)
			return true;
		if (*tag == TZSP_PADDING)
			continue;
		len = tunnel_take(t, 1);
		if (!len || !tunnel_take(t, *len))
			return false;
	}
	return false;
}

bool decode_tzsp(struct tunnel *t)
{
	const uint8_t *h = tunnel_take(t, TZSP_HEADER);

	if (!h || h[0] != 1 || h[1] > TZSP_TRANSMIT || !tzsp_tags(t))
		return false;
	t->kind = L7_TUNNEL_TZSP;
	switch (wire_be16(h + 2)) {
	case TZSP_ETHERNET:
		t->carries = TUNNEL_ETHERNET;
		return true;
	case TZSP_80211:
		t->carries = TUNNEL_WIFI;
		return true;
	default:
		return true;
	}
}
