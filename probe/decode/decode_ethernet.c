/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ethernet II, 802.1Q and 802.1ad tags (IEEE 802.3, 802.1Q).
 *
 *   destination 6 | source 6 | [0x8100 etc. 2 | priority 3 bits, DEI 1, VLAN id 12]* | type or length 2 | payload
 */
#include "decode/decode_internal.h"

static enum decode_result ethernet_tag(uint16_t *type, struct decode_span *s, struct packet *p)
{
	if (p->tags == DECODE_VLANS_MAX)
		return DECODE_VLAN_DEPTH;
	if (s->captured < 4)
		return DECODE_TRUNCATED;
	if (p->tags == 0)
		p->vlan_id = wire_be16(s->at) & 0x0fff;
	else if (p->tags == 1)
		p->inner_vlan_id = wire_be16(s->at) & 0x0fff;
	p->tags++;
	*type = wire_be16(s->at + 2);
	*s = decode_skip(*s, 4);
	return DECODE_OK;
}

enum decode_result decode_ethertype(uint16_t type, struct decode_span s, struct packet *p)
{
	while (true) {
		enum decode_result r;

		switch (type) {
		case ETHERTYPE_IP4:
			return decode_ip4(s, p);
		case ETHERTYPE_IP6:
			return decode_ip6(s, p);
		case ETHERTYPE_VLAN:
		case ETHERTYPE_QINQ:
		case ETHERTYPE_QINQ_OLD:
			r = ethernet_tag(&type, &s, p);
			if (r != DECODE_OK)
				return r;
			continue;
		case ETHERTYPE_MPLS:
		case ETHERTYPE_MPLS_MULTICAST:
			return decode_mpls(s, p);
		case ETHERTYPE_PPPOE:
			return decode_pppoe(s, p);
		default:
			return type < ETHERTYPE_LEAST ? decode_llc(decode_shorten(s, type), p) : DECODE_NOT_IP;
		}
	}
}

enum decode_result decode_ethernet_inner(struct decode_span s, struct packet *p)
{
	if (s.captured < 14)
		return DECODE_TRUNCATED;
	p->dst_mac = s.at;
	p->src_mac = s.at + 6;
	return decode_ethertype(wire_be16(s.at + 12), decode_skip(s, 14), p);
}

enum decode_result decode_ethernet(const uint8_t *frame, uint32_t captured, uint32_t wire, struct packet *p)
{
	decode_begin(p);
	return decode_ethernet_inner((struct decode_span){frame, captured, wire < captured ? captured : wire}, p);
}
