/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tunnels over IP: what the headers of a tunnel are, and the way into what it carries.
 *
 * A packet is in a tunnel if its protocol number says so, or its UDP port does and the header there fits; else it stays what it is.
 * If what is inside cannot be decoded (broken, not IP, cut), it stays what it is as well and is counted: no packet
 * is lost for being in a tunnel. Later fragments of the packet around have no header of the tunnel: they are of the outer flow.
 *
 * What tells one tunnel from another, and is the same in both directions (struct packet_tunnel):
 *
 *   all kinds               kind, and the two outer addresses in whatever order. Not UDP ports: those of VXLAN, Geneve and GTP-U vary
 *   GRE                     the key, if there is one; of NVGRE the virtual subnet, as the rest of the key varies by flow
 *   ERSPAN                  the session: both directions of what is mirrored come in one. Type I has none
 *   VXLAN, Geneve           the VNI
 *   GTP-U, L2TP, PPTP       nothing more: TEIDs, tunnel and session ids and call ids are given by each end for what it is
 *                           sent. So subscribers of one pair of gateways who have the same inner addresses are not told apart
 *   Teredo, CAPWAP, TZSP    nothing more: there is no number. Teredo's inner addresses are unique in the world
 *   IP in IP                nothing more
 *
 * In a tunnel that carries Ethernet the flow has the VLAN of the inner frame, and the tunnel that of the outer.
 */
#ifndef PROBE_DECODE_TUNNEL_H
#define PROBE_DECODE_TUNNEL_H

#include "decode/decode_internal.h"
#include "l7/record.h"

/* What a tunnel carries. */
enum tunnel_carries {
	TUNNEL_NOTHING, /* that can be looked into: control messages, what is encrypted or unknown */
	TUNNEL_IP,      /* IPv4 or IPv6, as its first octet says */
	TUNNEL_IP4,
	TUNNEL_IP6,
	TUNNEL_ETHERNET,
	TUNNEL_MPLS,
	TUNNEL_PPP,
	TUNNEL_WIFI, /* 802.11 */
	TUNNEL_WIFI_SWAPPED,
};

/* What a tunnel's decoder has found. */
struct tunnel {
	struct decode_span inside;
	enum l7_tunnel kind;
	enum tunnel_carries carries;
	uint32_t id;   /* as this packet has it, 0 none */
	uint32_t same; /* what of it is the same in both directions */
	bool piece;    /* more of what is inside comes in other packets: lengths may go beyond what is here */
};

/* Takes n octets off. NULL if fewer are captured. */
static inline const uint8_t *tunnel_take(struct tunnel *t, uint32_t n)
{
	const uint8_t *at = t->inside.at;

	if (t->inside.captured < n)
		return NULL;
	t->inside = decode_skip(t->inside, n);
	return at;
}

/* Cuts what is left to a length that a header says. False if there is not as much. */
static inline bool tunnel_cut(struct tunnel *t, uint32_t n)
{
	if (n > t->inside.wire)
		return t->piece;
	t->inside.wire = n;
	if (t->inside.captured > n)
		t->inside.captured = n;
	return true;
}

/*
 * Each reads the headers of a tunnel at the beginning of t->inside, and takes them off. `t->kind` may be set before. False: it is none,
 * whatever port or protocol say.
 */
bool decode_gre(struct tunnel *t);
bool decode_vxlan(struct tunnel *t);
bool decode_vxlan_gpe(struct tunnel *t);
bool decode_geneve(struct tunnel *t);
bool decode_gtp(struct tunnel *t);
bool decode_l2tp(struct tunnel *t);
bool decode_teredo(struct tunnel *t);
bool decode_capwap(struct tunnel *t);
bool decode_tzsp(struct tunnel *t);

/* True for the UDP ports of tunnels. A table of 256 octets that ports are looked up in at once. */
static inline bool decode_tunnel_port(uint16_t port)
{
	extern const uint16_t decode_tunnel_ports[128];

	return decode_tunnel_ports[port & 127] == port;
}

/* p is a UDP packet, decoded, with the port of a tunnel; s starts at its UDP header. */
enum decode_result decode_tunnel_udp(struct decode_span s, struct packet *p);
/* p is a packet of a protocol that may be a tunnel's; s starts after its IP headers. */
enum decode_result decode_tunnel_ip(struct decode_span s, struct packet *p);

/* The type of what is inside, where the tunnel says it as an ethertype. */
enum tunnel_carries decode_tunnel_type(uint16_t ethertype);

#endif
