/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MPLS (RFC 3032): labels, the last of which is marked. What follows none of them says: IP by its version (RFC 4928), or an Ethernet
 * frame of a pseudowire (RFC 4448), with a control word before it or without. A MAC address may begin like an IP
 * header, or like a control word; so IP must fit into the frame, and Ethernet carry something that is known here.
 *
 *    0                   1                   2                   3
 *   |                 Label                 | Class|S|      TTL      |      S: the last one
 *
 *   |0 0 0 0|      Reserved         |        Sequence Number        |      the control word (RFC 4385)
 *   |0 0 0 1|                                                              of a channel beside, for maintenance
 */
#include "decode/decode_internal.h"

enum { MPLS_LABEL = 4, MPLS_CONTROL = 4, MPLS_CHANNEL = 1, MPLS_ETHERNET = 17 };

static bool mpls_is_ethernet(struct decode_span s)
{
	uint16_t type;

	if (s.captured < MPLS_ETHERNET)
		return false;
	type = wire_be16(s.at + 12);
	switch (type) {
	case ETHERTYPE_IP4:
		return s.at[14] >> 4 == 4;
	case ETHERTYPE_IP6:
		return s.at[14] >> 4 == 6;
	case ETHERTYPE_ARP:
	case ETHERTYPE_VLAN:
	case ETHERTYPE_QINQ:
	case ETHERTYPE_QINQ_OLD:
	case ETHERTYPE_MPLS:
	case ETHERTYPE_MPLS_MULTICAST:
	case ETHERTYPE_PPPOE:
		return true;
	default: /* LLC of the kind that is common, whose length is right */
		return type < ETHERTYPE_LEAST && type + 14u <= s.wire && s.at[14] == s.at[15] && s.at[16] == 0x03;
	}
}

/* Would the packet fit into the frame? */
static bool mpls_is_ip(struct decode_span s)
{
	if (s.captured < MPLS_ETHERNET)
		return true; /* too short to be Ethernet */
	if (s.at[0] >> 4 == 6)
		return wire_be16(s.at + 4) + 40u <= s.wire;
	return (s.at[0] & 0x0f) >= 5 && wire_be16(s.at + 2) <= s.wire;
}

static enum decode_result mpls_payload(struct decode_span s, struct packet *p)
{
	unsigned first;

	if (s.captured < MPLS_CONTROL + MPLS_ETHERNET && s.captured < s.wire)
		return DECODE_TRUNCATED;
	if (s.captured < 1)
		return DECODE_MPLS;
	first = s.at[0] >> 4;
	if ((first == 4 || first == 6) && mpls_is_ip(s))
		return decode_ip(s, p);
	if (first == 0 && s.captured >= MPLS_CONTROL && mpls_is_ethernet(decode_skip(s, MPLS_CONTROL)))
		return decode_ethernet_inner(decode_skip(s, MPLS_CONTROL), p);
	if (mpls_is_ethernet(s))
		return decode_ethernet_inner(s, p);
	if (first == 4 || first == 6)
		return decode_ip(s, p);
	return first == MPLS_CHANNEL ? DECODE_NOT_IP : DECODE_MPLS;
}

enum decode_result decode_mpls(struct decode_span s, struct packet *p)
{
	if (!decode_shim(p))
		return DECODE_SHIM_DEPTH;
	for (unsigned labels = 0; labels < DECODE_LABELS_MAX; labels++) {
		bool last;

		if (s.captured < MPLS_LABEL)
			return s.captured < s.wire ? DECODE_TRUNCATED : DECODE_MPLS;
		last = s.at[2] & 1;
		s = decode_skip(s, MPLS_LABEL);
		if (last)
			return mpls_payload(s, p);
	}
	return DECODE_MPLS;
}
