/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Radiotap (radiotap.org): what the card has to say about a frame of 802.11, in little-endian order.
 *
 *   | version 0 | pad 1 | length 2 | present 4 |[ present 4 |]* fields
 *
 * Bit 31 of `present` says that another word of it follows. The fields come in the order of their bits, each at a multiple of its
 * size; the first two are the only ones of use here: bit 0 is a time of 8 octets, bit 1 are flags of one. Bit 26 of the first word
 * says that a preamble was heard and no frame ("0-length PSDU").
 */
#include "decode/decode_internal.h"

enum { RADIOTAP_HEADER = 8, RADIOTAP_TIME = 0x01, RADIOTAP_FLAGS = 0x02 };
enum { RADIOTAP_NO_FRAME = 0x04 }; /* in the last octet of the word */
enum { RADIOTAP_CHECK = 0x10, RADIOTAP_PADDED = 0x20, RADIOTAP_CHECK_SIZE = 4 };

/* 0 if it has none. `h` has all `header` octets. */
static uint8_t radiotap_flags(const uint8_t *h, uint32_t header)
{
	uint32_t at = RADIOTAP_HEADER;

	if (!(h[4] & RADIOTAP_FLAGS))
		return 0;
	while (at <= header && h[at - 1] & 0x80)
		at += 4;
	if (h[4] & RADIOTAP_TIME)
		at = ((at + 7) & ~7u) + 8;
	return at < header ? h[at] : 0;
}

enum decode_result decode_radiotap(struct decode_span s, struct packet *p)
{
	uint32_t header;
	uint8_t flags;

	if (s.captured < RADIOTAP_HEADER)
		return DECODE_TRUNCATED;
	header = wire_le16(s.at + 2);
	if (s.at[0] != 0 || header < RADIOTAP_HEADER)
		return DECODE_NOT_IP;
	if (s.captured < header)
		return DECODE_TRUNCATED;
	if (s.at[7] & RADIOTAP_NO_FRAME)
		return DECODE_NOT_IP;
	flags = radiotap_flags(s.at, header);
	s = decode_skip(s, header);
	if (flags & RADIOTAP_CHECK && s.wire >= RADIOTAP_CHECK_SIZE) {
		s.wire -= RADIOTAP_CHECK_SIZE;
		if (s.captured > s.wire)
			s.captured = s.wire;
	}
	return decode_wifi(s, flags & RADIOTAP_PADDED, p);
}
