/* SPDX-License-Identifier: Apache-2.0 */
/* From the packet around a tunnel to that inside; IP in IP (RFC 2003, RFC 2473, RFC 4213), which has no header of its own. */
#include "decode/decode_tunnel.h"

#include <netinet/in.h>
#include <string.h>

enum {
	ETHERTYPE_BRIDGED = 0x6558, /* an Ethernet frame */
	TUNNEL_UDP_HEADER = 8,
};

enum {
	PORT_L2TP = 1701,
	PORT_GTP = 2152,
	PORT_TEREDO = 3544,
	PORT_VXLAN = 4789,
	PORT_VXLAN_GPE = 4790,
	PORT_CAPWAP = 5247,
	PORT_GENEVE = 6081,
	PORT_VXLAN_LINUX = 8472, /* which had it before there was a number for it */
	PORT_TZSP = 37008,
};

enum tunnel_carries decode_tunnel_type(uint16_t ethertype)
{
	switch (ethertype) {
	case ETHERTYPE_IP4:
		return TUNNEL_IP4;
	case ETHERTYPE_IP6:
		return TUNNEL_IP6;
	case ETHERTYPE_BRIDGED:
		return TUNNEL_ETHERNET;
	case ETHERTYPE_MPLS:
	case ETHERTYPE_MPLS_MULTICAST:
		return TUNNEL_MPLS;
	default:
		return TUNNEL_NOTHING;
	}
}

static enum decode_result tunnel_inside(const struct tunnel *t, struct packet *p)
{
	switch (t->carries) {
	case TUNNEL_IP4:
		return decode_ip4(t->inside, p);
	case TUNNEL_IP6:
		return decode_ip6(t->inside, p);
	case TUNNEL_IP:
		return decode_ip(t->inside, p);
	case TUNNEL_MPLS:
		return decode_mpls(t->inside, p);
	case TUNNEL_PPP:
		return decode_ppp(t->inside, p);
	case TUNNEL_ETHERNET:
		p->vlan_id = p->inner_vlan_id = p->tags = 0;
		return decode_ethernet_inner(t->inside, p);
	case TUNNEL_WIFI:
		p->vlan_id = p->inner_vlan_id = p->tags = 0;
		return decode_wifi(t->inside, false, p);
	case TUNNEL_WIFI_SWAPPED:
		p->vlan_id = p->inner_vlan_id = p->tags = 0;
		return decode_wifi_swapped(t->inside, p);
	default:
		return DECODE_NOT_IP;
	}
}

/* The tunnel as its two ends have it in common. */
static void tunnel_note(const struct tunnel *t, struct packet *p)
{
	struct packet_tunnel *to = &p->tunnel[p->tunnels];
	unsigned src = memcmp(p->src_ip, p->dst_ip, 16) > 0;

	memcpy(to->ip[src], p->src_ip, 16);
	memcpy(to->ip[!src], p->dst_ip, 16);
	to->id = t->same;
	to->vlan_id = p->vlan_id;
	to->kind = (uint16_t)t->kind;
	if (p->fragment && !(p->tunnel_flags & PACKET_TUNNEL_FRAGMENT)) {
		p->tunnel_flags |= PACKET_TUNNEL_FRAGMENT;
		p->around = (struct packet_around){.id = p->fragment_id,
						   .len = p->fragment_len,
						   .src_port = p->src_port,
						   .dst_port = p->dst_port,
						   .ip_version = p->ip_version,
						   .protocol = p->protocol,
						   .tunnel = p->tunnels,
						   .turned = src};
	}
	if (p->tunnels++)
		return;
	p->outer_turned = src;
	p->tunnel_id = t->id;
}

/*
 * p is the packet around. What is inside takes its place, if it is a packet and has room there; of the first fragment of
 * a packet the rest comes after.
 */
static enum decode_result tunnel_enter(const struct tunnel *t, struct packet *p)
{
	struct packet outer = *p;

	if (p->tunnels == p->tunnels_max || p->tunnels == DECODE_TUNNELS_MAX) {
		p->tunnel_flags |= PACKET_TUNNEL_DEEP;
		return DECODE_OK;
	}
	tunnel_note(t, p);
	if (tunnel_inside(t, p) == DECODE_OK) {
		uint32_t before = (uint32_t)(p->ip - t->inside.at);

		if (t->piece)
			p->tunnel_flags |= PACKET_TUNNEL_PIECE;
		if (p->tunnel_flags & PACKET_TUNNEL_PIECE || p->octets <= t->inside.wire - before)
			return DECODE_OK;
	}
	*p = outer;
	p->tunnel_flags |= PACKET_TUNNEL_OPAQUE;
	return DECODE_OK;
}

static enum l7_tunnel tunnel_ip_kind(const struct packet *p)
{
	if (p->ip_version == 4)
		return p->protocol == IPPROTO_IPIP ? L7_TUNNEL_IPIP : L7_TUNNEL_6IN4;
	return p->protocol == IPPROTO_IPIP ? L7_TUNNEL_4IN6 : L7_TUNNEL_6IN6;
}

enum decode_result decode_tunnel_ip(struct decode_span s, struct packet *p)
{
	struct tunnel t = {.inside = s, .piece = p->fragment};

	if (!p->tunnels_max)
		return DECODE_OK;
	switch (p->protocol) {
	case IPPROTO_IPIP:
	case IPPROTO_IPV6:
		t.kind = tunnel_ip_kind(p);
		t.carries = p->protocol == IPPROTO_IPIP ? TUNNEL_IP4 : TUNNEL_IP6;
		break;
	case IPPROTO_GRE:
		if (!decode_gre(&t))
			return DECODE_OK;
		break;
	default:
		return DECODE_OK;
	}
	return t.carries == TUNNEL_NOTHING ? DECODE_OK : tunnel_enter(&t, p);
}

/* By the low 7 bits of the port; in the first place stands one that has others. */
const uint16_t decode_tunnel_ports[128] = {
	[0] = 1,
	[PORT_TZSP & 127] = PORT_TZSP,
	[PORT_VXLAN_LINUX & 127] = PORT_VXLAN_LINUX,
	[PORT_L2TP & 127] = PORT_L2TP,
	[PORT_VXLAN & 127] = PORT_VXLAN,
	[PORT_VXLAN_GPE & 127] = PORT_VXLAN_GPE,
	[PORT_GENEVE & 127] = PORT_GENEVE,
	[PORT_TEREDO & 127] = PORT_TEREDO,
	[PORT_GTP & 127] = PORT_GTP,
	[PORT_CAPWAP & 127] = PORT_CAPWAP,
};

/* Of most tunnels each end has the port that it is sent to, and sends from any; of the others one end has it. */
static bool tunnel_by_source(struct tunnel *t, uint16_t port)
{
	switch (port) {
	case PORT_L2TP:
		return decode_l2tp(t);
	case PORT_TEREDO:
		return decode_teredo(t);
	case PORT_CAPWAP:
		return decode_capwap(t);
	default:
		return false;
	}
}

static bool tunnel_by_target(struct tunnel *t, uint16_t port)
{
	switch (port) {
	case PORT_VXLAN:
	case PORT_VXLAN_LINUX:
		return decode_vxlan(t);
	case PORT_VXLAN_GPE:
		return decode_vxlan_gpe(t);
	case PORT_GENEVE:
		return decode_geneve(t);
	case PORT_GTP:
		return decode_gtp(t);
	case PORT_TZSP:
		return decode_tzsp(t);
	default:
		return tunnel_by_source(t, port);
	}
}

enum decode_result decode_tunnel_udp(struct decode_span s, struct packet *p)
{
	struct tunnel t = {.inside = s, .piece = p->fragment}, other;

	if (!p->tunnels_max || s.captured < TUNNEL_UDP_HEADER || wire_be16(s.at + 4) < TUNNEL_UDP_HEADER ||
	    !tunnel_cut(&t, wire_be16(s.at + 4)))
		return DECODE_OK;
	t.inside = decode_skip(t.inside, TUNNEL_UDP_HEADER);
	other = t;
	if (!tunnel_by_target(&t, p->dst_port)) {
		t = other;
		if (!tunnel_by_source(&t, p->src_port))
			return DECODE_OK;
	}
	return t.carries == TUNNEL_NOTHING ? DECODE_OK : tunnel_enter(&t, p);
}
