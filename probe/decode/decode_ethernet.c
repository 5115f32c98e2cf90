/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ethernet II, 802.1Q and 802.1ad tags, LLC/SNAP (IEEE 802.3, 802.1Q, RFC 1042).
 *
 *   destination 6 | source 6 | [0x8100 etc. 2 | priority 3 bits, DEI 1, VLAN id 12]* | type or length 2 | payload
 */
#include "decode/decode_internal.h"

enum {
	ETHERTYPE_IP4 = 0x0800,
	ETHERTYPE_IP6 = 0x86dd,
	ETHERTYPE_VLAN = 0x8100,
	ETHERTYPE_QINQ = 0x88a8,
	ETHERTYPE_QINQ_OLD = 0x9100,
	ETHERTYPE_MPLS = 0x8847,
	ETHERTYPE_MPLS_MULTICAST = 0x8848,
	ETHERTYPE_PPPOE = 0x8864,
	ETHERTYPE_LEAST = 0x0600, /* less is a length (802.3) */
};

static bool ethernet_is_tag(uint16_t type)
{
	return type == ETHERTYPE_VLAN || type == ETHERTYPE_QINQ || type == ETHERTYPE_QINQ_OLD;
}

/* LLC with a SNAP header of OUI 0 names an ethertype (RFC 1042); anything else carries no IP. */
static uint16_t ethernet_snap(struct decode_span *s)
{
	static const uint8_t snap[6] = {0xaa, 0xaa, 0x03, 0, 0, 0};
	uint16_t type;

	if (s->captured < 8)
		return 0;
	for (int i = 0; i < 6; i++)
		if (s->at[i] != snap[i])
			return 0;
	type = wire_be16(s->at + 6);
	*s = decode_skip(*s, 8);
	return type;
}

enum decode_result decode_ethernet(const uint8_t *frame, uint32_t captured, uint32_t wire, struct packet *p)
{
	struct decode_span s = {frame, captured, wire < captured ? captured : wire};
	uint16_t type;

	p->vlan_id = p->inner_vlan_id = 0;
	p->macs = frame;
	if (s.captured < 14)
		return DECODE_TRUNCATED;
	type = wire_be16(s.at + 12);
	s = decode_skip(s, 14);
	for (int tags = 0; ethernet_is_tag(type); tags++) {
		if (tags == DECODE_VLANS_MAX)
			return DECODE_VLAN_DEPTH;
		if (s.captured < 4)
			return DECODE_TRUNCATED;
		if (tags == 0)
			p->vlan_id = wire_be16(s.at) & 0x0fff;
		else if (tags == 1)
			p->inner_vlan_id = wire_be16(s.at) & 0x0fff;
		type = wire_be16(s.at + 2);
		s = decode_skip(s, 4);
	}
	if (type < ETHERTYPE_LEAST)
		type = ethernet_snap(&s);
	switch (type) {
	case ETHERTYPE_IP4:
		return decode_ip4(s, p);
	case ETHERTYPE_IP6:
		return decode_ip6(s, p);
	case ETHERTYPE_MPLS:
	case ETHERTYPE_MPLS_MULTICAST:
		return DECODE_MPLS;
	case ETHERTYPE_PPPOE:
		return DECODE_PPPOE;
	default:
		return DECODE_NOT_IP;
	}
}

const char *decode_result_name(enum decode_result r)
{
	static const char *const names[DECODE_KINDS] = {
		[DECODE_OK] = "ok",
		[DECODE_TRUNCATED] = "truncated",
		[DECODE_NOT_IP] = "not_ip",
		[DECODE_VLAN_DEPTH] = "vlan_depth",
		[DECODE_MPLS] = "mpls",
		[DECODE_PPPOE] = "pppoe",
		[DECODE_IP_HEADER] = "ip_header",
		[DECODE_IP6_EXT] = "ip6_ext",
		[DECODE_L4_TRUNCATED] = "l4_truncated",
	};

	return r < DECODE_KINDS ? names[r] : "?";
}
