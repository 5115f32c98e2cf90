/* SPDX-License-Identifier: Apache-2.0 */
/* Between the layers of the decoder. */
#ifndef PROBE_DECODE_INTERNAL_H
#define PROBE_DECODE_INTERNAL_H

#include <stddef.h>

#include "base/wire.h"
#include "decode/decode.h"

enum {
	ETHERTYPE_IP4 = 0x0800,
	ETHERTYPE_ARP = 0x0806,
	ETHERTYPE_VLAN = 0x8100,
	ETHERTYPE_IP6 = 0x86dd,
	ETHERTYPE_MPLS = 0x8847,
	ETHERTYPE_MPLS_MULTICAST = 0x8848,
	ETHERTYPE_PPPOE = 0x8864,
	ETHERTYPE_QINQ = 0x88a8,
	ETHERTYPE_QINQ_OLD = 0x9100,
	ETHERTYPE_LEAST = 0x0600, /* less is a length (802.3) */
};

/*
 * All take what is left of the frame after what named them, and go on to the IP header and behind. p->tags and p->shims count
 * from the frame's first octet on, so that however these nest, there is an end.
 */

/* A whole Ethernet frame within something. Its MAC addresses take the place of those before. */
enum decode_result decode_ethernet_inner(struct decode_span s, struct packet *p);
/* VLAN tags, IP, and what else an ethertype names; less than ETHERTYPE_LEAST is a length, with LLC behind it. */
enum decode_result decode_ethertype(uint16_t type, struct decode_span s, struct packet *p);
enum decode_result decode_llc(struct decode_span s, struct packet *p);
enum decode_result decode_mpls(struct decode_span s, struct packet *p);
enum decode_result decode_pppoe(struct decode_span s, struct packet *p);
/* From the protocol on, or from HDLC's address and control before it. */
enum decode_result decode_ppp(struct decode_span s, struct packet *p);
enum decode_result decode_hdlc(struct decode_span s, struct packet *p);
enum decode_result decode_sll(struct decode_span s, struct packet *p);
enum decode_result decode_sll2(struct decode_span s, struct packet *p);
/* `padded`: the header is filled up to a multiple of 4, as some cards do. */
enum decode_result decode_wifi(struct decode_span s, bool padded, struct packet *p);
/* With the two octets of its control in the other order, as some access points send it to their controllers. */
enum decode_result decode_wifi_swapped(struct decode_span s, struct packet *p);
enum decode_result decode_radiotap(struct decode_span s, struct packet *p);
enum decode_result decode_ppi(struct decode_span s, struct packet *p);
/* IP of the version that its first octet says. */
enum decode_result decode_ip(struct decode_span s, struct packet *p);

enum decode_result decode_ip4(struct decode_span s, struct packet *p);
enum decode_result decode_ip6(struct decode_span s, struct packet *p);
/* s starts after the IP headers and is cut to the IP total length. */
enum decode_result decode_l4(struct decode_span s, struct packet *p);

static inline struct decode_span decode_skip(struct decode_span s, uint32_t n)
{
	return (struct decode_span){s.at + n, s.captured - n, s.wire - n};
}

/* To n octets, if there are more: what comes after is padding. */
static inline struct decode_span decode_shorten(struct decode_span s, uint32_t n)
{
	return (struct decode_span){s.at, s.captured < n ? s.captured : n, s.wire < n ? s.wire : n};
}

/* Says whether there may be one more MPLS stack or PPPoE header, and counts it. */
static inline bool decode_shim(struct packet *p)
{
	return p->shims++ < DECODE_SHIMS_MAX;
}

/* Before the first header of a frame. */
static inline void decode_begin(struct packet *p)
{
	p->vlan_id = p->inner_vlan_id = 0;
	p->tags = p->shims = 0;
	p->tunnels = p->tunnel_flags = 0;
	p->dst_mac = p->src_mac = NULL;
}

#endif
