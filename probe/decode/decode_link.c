/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Link types by their number, and those that have next to no header: IP without one, and BSD's loopback: the address family
 * in the order of the machine that captured (LINKTYPE_NULL), or the network's (LINKTYPE_LOOP).
 *
 *   | family 4 | IP
 */
#include "decode/decode_internal.h"

/* Each system has its own for IPv6. */
enum { FAMILY_IP4 = 2, FAMILY_IP6_BSD = 24, FAMILY_IP6_FREEBSD = 28, FAMILY_IP6_DARWIN = 30 };

bool decode_link_of(uint32_t number, enum decode_link *link)
{
	static const struct {
		uint16_t number;
		uint8_t link;
	} links[] = {
		{0, DECODE_LINK_NULL},       /* NULL */
		{1, DECODE_LINK_ETHERNET},   /* EN10MB */
		{9, DECODE_LINK_HDLC},       /* PPP */
		{12, DECODE_LINK_IP},        /* RAW, of libpcap on Linux */
		{14, DECODE_LINK_IP},        /* and of OpenBSD */
		{50, DECODE_LINK_HDLC},      /* PPP_SERIAL */
		{51, DECODE_LINK_PPPOE},     /* PPP_ETHER */
		{101, DECODE_LINK_IP},       /* RAW, in files */
		{104, DECODE_LINK_HDLC},     /* C_HDLC */
		{105, DECODE_LINK_WIFI},     /* IEEE802_11 */
		{108, DECODE_LINK_NULL},     /* LOOP */
		{113, DECODE_LINK_SLL},      /* LINUX_SLL */
		{127, DECODE_LINK_RADIOTAP}, /* IEEE802_11_RADIO */
		{192, DECODE_LINK_PPI},      /* PPI */
		{228, DECODE_LINK_IP4},      /* IPV4 */
		{229, DECODE_LINK_IP6},      /* IPV6 */
		{276, DECODE_LINK_SLL2},     /* LINUX_SLL2 */
	};

	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++)
		if (links[i].number == number) {
			*link = (enum decode_link)links[i].link;
			return true;
		}
	return false;
}

enum decode_result decode_ip(struct decode_span s, struct packet *p)
{
	if (s.captured < 1)
		return DECODE_TRUNCATED;
	return s.at[0] >> 4 == 6 ? decode_ip6(s, p) : decode_ip4(s, p);
}

static enum decode_result link_null(struct decode_span s, struct packet *p)
{
	uint32_t family;

	if (s.captured < 4)
		return DECODE_TRUNCATED;
	family = wire_be32(s.at);
	if (family > UINT16_MAX) /* they are small: it is the other order */
		family = wire_le32(s.at);
	s = decode_skip(s, 4);
	switch (family) {
	case FAMILY_IP4:
		return decode_ip4(s, p);
	case FAMILY_IP6_BSD:
	case FAMILY_IP6_FREEBSD:
	case FAMILY_IP6_DARWIN:
		return decode_ip6(s, p);
	default:
		return DECODE_NOT_IP;
	}
}

enum decode_result decode_link(enum decode_link link, struct decode_span s, struct packet *p)
{
	decode_begin(p);
	switch (link) {
	case DECODE_LINK_IP:
		return decode_ip(s, p);
	case DECODE_LINK_IP4:
		return decode_ip4(s, p);
	case DECODE_LINK_IP6:
		return decode_ip6(s, p);
	case DECODE_LINK_NULL:
		return link_null(s, p);
	case DECODE_LINK_SLL:
		return decode_sll(s, p);
	case DECODE_LINK_SLL2:
		return decode_sll2(s, p);
	case DECODE_LINK_PPPOE:
		return decode_pppoe(s, p);
	case DECODE_LINK_HDLC:
		return decode_hdlc(s, p);
	case DECODE_LINK_WIFI:
		return decode_wifi(s, false, p);
	case DECODE_LINK_RADIOTAP:
		return decode_radiotap(s, p);
	case DECODE_LINK_PPI:
		return decode_ppi(s, p);
	default:
		return decode_ethernet_inner(s, p);
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
		[DECODE_SHIM_DEPTH] = "shim_depth",
		[DECODE_WIFI] = "wifi",
		[DECODE_ENCRYPTED] = "encrypted",
		[DECODE_IP_HEADER] = "ip_header",
		[DECODE_IP6_EXT] = "ip6_ext",
		[DECODE_L4_TRUNCATED] = "l4_truncated",
	};

	return r < DECODE_KINDS ? names[r] : "?";
}
