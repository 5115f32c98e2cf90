/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PPP (RFC 1661), the framing of HDLC before it (RFC 1662) or left out, and the protocol in one octet where both ends have agreed
 * on that: protocols have an even first octet and an odd last one.
 *
 *   [| address 0xff | control 0x03 |] protocol 2, or 1 | payload
 */
#include "decode/decode_internal.h"

enum {
	PPP_IP4 = 0x0021,
	PPP_ENCRYPTED = 0x0053,      /* RFC 1968 */
	PPP_ENCRYPTED_LINK = 0x0055, /* of each link of a bundle */
	PPP_IP6 = 0x0057,
	PPP_MPLS = 0x0281,
	PPP_MPLS_MULTICAST = 0x0283,
};

enum decode_result decode_ppp(struct decode_span s, struct packet *p)
{
	uint16_t protocol;

	if (s.captured >= 2 && s.at[0] == 0xff && s.at[1] == 0x03)
		s = decode_skip(s, 2);
	if (s.captured < 2)
		return DECODE_TRUNCATED;
	protocol = s.at[0] & 1 ? s.at[0] : wire_be16(s.at);
	s = decode_skip(s, s.at[0] & 1 ? 1 : 2);
	switch (protocol) {
	case PPP_IP4:
		return decode_ip4(s, p);
	case PPP_IP6:
		return decode_ip6(s, p);
	case PPP_MPLS:
	case PPP_MPLS_MULTICAST:
		return decode_mpls(s, p);
	case PPP_ENCRYPTED:
	case PPP_ENCRYPTED_LINK:
		return DECODE_ENCRYPTED;
	default: /* of the link itself, or compressed */
		return DECODE_NOT_IP;
	}
}
