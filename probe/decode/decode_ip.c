/* SPDX-License-Identifier: Apache-2.0 */
/* IPv4 (RFC 791) and IPv6 with its extension headers (RFC 8200, RFC 4302). */
#include <netinet/in.h>
#include <string.h>

#include "base/addr.h"
#include "decode/decode_internal.h"

enum {
	IP4_HEADER = 20,
	IP6_HEADER = 40,
	IP6_PADDED = 46, /* octets to which Ethernet fills up a packet without payload */
	IP6_HOP_BY_HOP = 0,
	IP6_ROUTING = 43,
	IP6_FRAGMENT = 44,
	IP6_JUMBO = 0xc2, /* an option */
	IP6_AH = 51,
	IP6_DESTINATION = 60,
	IP6_SHIM6 = 140,
};

/* Cuts a span to n octets of the packet: padding after it is not its own. */
static struct decode_span ip_cut(struct decode_span s, uint32_t n)
{
	s.wire = n;
	if (s.captured > n)
		s.captured = n;
	return s;
}

static void ip_fragment(struct packet *p, uint32_t at, uint32_t len, bool more)
{
	p->fragment_at = (uint16_t)at;
	p->fragment_len = len;
	p->more_fragments = more;
}

/*
 *    0                   1                   2                   3
 *   |Version|  IHL  |      TOS      |         Total Length          |
 *   |         Identification        |Flags|    Fragment Offset      |
 *   |      TTL      |   Protocol    |        Header Checksum        |
 *   |                         Source Address                        |
 *   |                      Destination Address                      |
 */
enum decode_result decode_ip4(struct decode_span s, struct packet *p)
{
	const uint8_t *h = s.at;
	uint32_t header, total;
	uint16_t fragment;

	if (s.captured < IP4_HEADER)
		return DECODE_TRUNCATED;
	header = (uint32_t)(h[0] & 0x0f) * 4;
	total = wire_be16(h + 2);
	if (total == 0) /* segmentation offload: the real length did not fit, or was not known yet */
		total = s.wire;
	if (h[0] >> 4 != 4 || header < IP4_HEADER || total < header)
		return DECODE_IP_HEADER;
	s = ip_cut(s, total);
	if (s.captured < header)
		return DECODE_TRUNCATED;
	fragment = wire_be16(h + 6);
	p->ip = h;
	p->ip_captured = s.captured;
	p->octets = total;
	p->ip_version = 4;
	p->tos = h[1];
	p->ttl = h[8];
	p->protocol = h[9];
	p->fragment = (fragment & 0x3fff) != 0;
	p->later_fragment = (fragment & 0x1fff) != 0;
	p->fragment_id = wire_be16(h + 4);
	if (p->fragment)
		ip_fragment(p, (fragment & 0x1fffu) * 8, total - header, fragment & 0x2000);
	addr_from4(p->src_ip, h + 12);
	addr_from4(p->dst_ip, h + 16);
	return decode_l4(decode_skip(s, header), p);
}

/* Mobility (RFC 6275) and HIP (RFC 7401) look like one, but nothing may follow them: they are protocols. */
static bool ip6_is_extension(uint8_t next)
{
	switch (next) {
	case IP6_HOP_BY_HOP:
	case IP6_ROUTING:
	case IP6_FRAGMENT:
	case IP6_AH:
	case IP6_DESTINATION:
	case IP6_SHIM6:
		return true;
	default:
		return false;
	}
}

/*
 * The options of a header fill it: each is a type (1 octet), a length (1 octet) and so many octets, but for type 0, which is all of
 * itself (RFC 8200 section 4.2). One that runs over the end is dropped by whom it is for, so what follows is no packet.
 */
static bool ip6_options_fit(const uint8_t *header, uint32_t len)
{
	uint32_t at = 2;

	while (at < len) {
		if (header[at] == 0)
			at++;
		else if (len - at < 2)
			return false;
		else
			at += 2 + (uint32_t)header[at + 1];
	}
	return at == len;
}

/*
 * Walks the extension headers: each starts with next header (1 octet) and a length (1 octet) in units of 8 octets past the first
 * 8; AH counts units of 4 past the first 8; the fragment header has no length and is 8.
 */
static enum decode_result ip6_extensions(struct decode_span *s, uint8_t next, struct packet *p)
{
	for (int n = 0; ip6_is_extension(next); n++) {
		uint32_t len;

		if (n == DECODE_IP6_EXT_MAX || s->wire < 8)
			return DECODE_IP6_EXT;
		if (s->captured < 8)
			return DECODE_TRUNCATED;
		len = ((uint32_t)s->at[1] + 1) * 8;
		if (next == IP6_AH)
			len = ((uint32_t)s->at[1] + 2) * 4;
		if (next == IP6_FRAGMENT) {
			uint16_t offset = wire_be16(s->at + 2);

			if (p->fragment) /* a fragment of a fragment: nobody makes those in good faith */
				return DECODE_IP6_EXT;
			len = 8;
			p->fragment = (offset & 0xfff9) != 0; /* an "atomic" fragment (RFC 6946) is a whole packet */
			p->later_fragment = (offset & 0xfff8) != 0;
			p->fragment_id = wire_be32(s->at + 4);
			if (p->fragment)
				ip_fragment(p, offset & 0xfff8u, s->wire - 8, offset & 1);
		}
		if (len > s->wire)
			return DECODE_IP6_EXT;
		if (len > s->captured)
			return DECODE_TRUNCATED;
		if ((next == IP6_HOP_BY_HOP || next == IP6_DESTINATION) && !ip6_options_fit(s->at, len))
			return DECODE_IP6_EXT;
		next = s->at[0];
		*s = decode_skip(*s, len);
		if (p->later_fragment)
			break; /* what follows is data, whatever it looks like */
	}
	p->protocol = next;
	return DECODE_OK;
}

/*
 * Whether a payload length of 0 means that the field is too short for it: a jumbogram, whose length is in an option of its first
 * header (RFC 2675 section 2), or segmentation offload, which leaves that out or has not set the length yet. s starts behind the
 * IPv6 header.
 */
static __attribute__((noinline)) bool ip6_is_long(struct decode_span s, uint8_t next)
{
	uint32_t at = 2, len;

	if (next == IPPROTO_TCP || next == IPPROTO_UDP)
		return s.wire > IP6_PADDED - IP6_HEADER;
	if (next != IP6_HOP_BY_HOP)
		return false;
	if (s.captured < 8)
		return true; /* who walks the headers says that it is cut */
	len = ((uint32_t)s.at[1] + 1) * 8;
	if (len > s.captured)
		return true;
	while (at + 6 <= len && (s.at[at] != IP6_JUMBO || s.at[at + 1] != 4))
		at += s.at[at] == 0 ? 1 : 2 + (uint32_t)s.at[at + 1];
	/* Hosts drop one that had fitted into the field. */
	return at + 6 <= len && wire_be16(s.at + at + 2) != 0;
}

/*
 *    0                   1                   2                   3
 *   |Version| Traffic Class |           Flow Label                  |
 *   |         Payload Length        |  Next Header  |   Hop Limit   |
 *   |                  Source Address, 16 octets                    |
 *   |                Destination Address, 16 octets                 |
 */
enum decode_result decode_ip6(struct decode_span s, struct packet *p)
{
	const uint8_t *h = s.at;
	enum decode_result r;
	uint32_t total;

	if (s.captured < IP6_HEADER)
		return DECODE_TRUNCATED;
	if (h[0] >> 4 != 6)
		return DECODE_IP_HEADER;
	total = IP6_HEADER + (uint32_t)wire_be16(h + 4);
	if (total == IP6_HEADER && ip6_is_long(decode_skip(s, IP6_HEADER), h[6]))
		total = s.wire;
	s = ip_cut(s, total);
	p->ip = h;
	p->ip_captured = s.captured;
	p->octets = total;
	p->ip_version = 6;
	p->tos = (uint8_t)(h[0] << 4 | h[1] >> 4);
	p->ttl = h[7];
	p->fragment = p->later_fragment = false;
	p->fragment_id = 0;
	memcpy(p->src_ip, h + 8, 16);
	memcpy(p->dst_ip, h + 24, 16);
	s = decode_skip(s, IP6_HEADER);
	r = ip6_extensions(&s, h[6], p);
	return r == DECODE_OK ? decode_l4(s, p) : r;
}
