/* SPDX-License-Identifier: Apache-2.0 */
/*
 * VXLAN (RFC 7348), with a group policy (draft-smith-vxlan-group-policy-05), and VXLAN-GPE (draft-ietf-nvo3-vxlan-gpe-13), which has
 * a port of its own.
 *
 *   |G|R|R|R|I|R|R|R|R|D|R|R|A|R|R|R|       Group Policy ID         |    group 0 without G
 *   |                VXLAN Network Identifier       |   Reserved    |
 *
 *   |R|R|Ver|I|P|B|O|        Reserved               | Next Protocol |    GPE
 *   |                VXLAN Network Identifier       |   Reserved    |
 */
#include "decode/decode_tunnel.h"

enum {
	VXLAN_HEADER = 8,
	VXLAN_ID = 0x08,
	VXLAN_GROUP = 0x80,
	VXLAN_GROUP_FLAGS = 0x48, /* D and A */
	GPE_NEXT = 0x04,
	GPE_BROADCAST = 0x02,
	GPE_OAM = 0x01,
	GPE_IP4 = 1,
	GPE_IP6 = 2,
	GPE_ETHERNET = 3,
	GPE_MPLS = 5,
};

static const uint8_t *vxlan_header(struct tunnel *t)
{
	const uint8_t *h = tunnel_take(t, VXLAN_HEADER);

	if (!h || h[7] != 0)
		return NULL;
	t->kind = L7_TUNNEL_VXLAN;
	t->id = t->same = wire_be32(h + 4) >> 8;
	return h;
}

bool decode_vxlan(struct tunnel *t)
{
	const uint8_t *h = vxlan_header(t);

	if (!h || (h[0] & ~VXLAN_GROUP) != VXLAN_ID)
		return false;
	if (h[0] & VXLAN_GROUP ? (h[1] & ~VXLAN_GROUP_FLAGS) != 0 : h[1] || h[2] || h[3])
		return false;
	t->carries = TUNNEL_ETHERNET;
	return true;
}

bool decode_vxlan_gpe(struct tunnel *t)
{
	const uint8_t *h = vxlan_header(t);

	if (!h || (h[0] & ~(GPE_BROADCAST | GPE_OAM)) != (VXLAN_ID | GPE_NEXT) || h[1] || h[2])
		return false;
	if (h[0] & GPE_OAM)
		return true;
	switch (h[3]) {
	case GPE_IP4:
		t->carries = TUNNEL_IP4;
		return true;
	case GPE_IP6:
		t->carries = TUNNEL_IP6;
		return true;
	case GPE_ETHERNET:
		t->carries = TUNNEL_ETHERNET;
		return true;
	case GPE_MPLS:
		t->carries = TUNNEL_MPLS;
		return true;
	default:
		return true;
	}
}
