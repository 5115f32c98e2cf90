/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TCP (RFC 9293), UDP (RFC 768), SCTP (RFC 9260), ICMP (RFC 792), ICMPv6 (RFC 4443); every other protocol is a flow with ports 0.
 * What is a tunnel by protocol or UDP port is looked into.
 */
#include <netinet/in.h>
#include <stddef.h>

#include "decode/decode_tunnel.h"

static enum decode_result l4_payload(struct decode_span s, uint32_t header, struct packet *p)
{
	if (s.wire < header || s.captured < header)
		return DECODE_L4_TRUNCATED;
	p->payload = s.at + header;
	p->payload_captured = s.captured - header;
	p->payload_len = s.wire - header;
	return DECODE_OK;
}

/*
 *   |          Source Port          |       Destination Port        |
 *   |                        Sequence Number                        |
 *   |                    Acknowledgment Number                      |
 *   | Offset| Rsrvd |C|E|U|A|P|R|S|F|            Window             |
 *   |           Checksum            |         Urgent Pointer        |
 */
static void l4_tcp(struct decode_span s, struct packet *p)
{
	uint32_t header;

	if (s.captured < 14)
		return;
	p->tcp_flags = s.at[13];
	header = (uint32_t)(s.at[12] >> 4) * 4;
	if (header < 20 || header > s.wire)
		return; /* cut in the header, or a wrong length: ports and flags are there, payload is not */
	if (s.captured >= 16)
		p->tcp = s.at;
	p->payload_len = s.wire - header;
	if (header < s.captured) {
		p->payload = s.at + header;
		p->payload_captured = s.captured - header;
	}
}

/*
 * SCTP: the chunks after the common header are the payload.
 *
 *   |          Source Port          |       Destination Port        |
 *   |                       Verification Tag                        |
 *   |                           Checksum                            |
 */
enum { L4_SCTP_HEADER = 12, L4_UDP_HEADER = 8 };

/* These have their ports in the same place; a packet that has them belongs to a flow, however it is cut after: of SCTP the header. */
static enum decode_result l4_ports(struct decode_span s, struct packet *p)
{
	uint32_t header = p->protocol == IPPROTO_SCTP ? L4_SCTP_HEADER : L4_UDP_HEADER;

	if (s.captured < (p->protocol == IPPROTO_SCTP ? header : 4))
		return DECODE_L4_TRUNCATED;
	p->src_port = wire_be16(s.at);
	p->dst_port = wire_be16(s.at + 2);
	p->payload = s.at + s.captured;
	p->payload_captured = p->payload_len = 0;
	if (p->protocol == IPPROTO_TCP)
		l4_tcp(s, p);
	else if (s.captured >= header)
		return l4_payload(s, header, p);
	return DECODE_OK;
}

static enum decode_result l4_udp(struct decode_span s, struct packet *p)
{
	enum decode_result r = l4_ports(s, p);

	if (__builtin_expect(decode_tunnel_port(p->src_port) | decode_tunnel_port(p->dst_port), 0) && r == DECODE_OK)
		return decode_tunnel_udp(s, p);
	return r;
}

static enum decode_result l4_other(struct decode_span s, struct packet *p)
{
	enum decode_result r = l4_payload(s, 0, p);

	return r == DECODE_OK ? decode_tunnel_ip(s, p) : r;
}

enum decode_result decode_l4(struct decode_span s, struct packet *p)
{
	p->src_port = p->dst_port = 0;
	p->tcp_flags = 0;
	p->tcp = NULL;
	p->icmp_type_code = 0;
	if (p->later_fragment)
		return l4_payload(s, 0, p);
	switch (p->protocol) {
	case IPPROTO_TCP:
	case IPPROTO_SCTP:
		return l4_ports(s, p);
	case IPPROTO_UDP:
		return l4_udp(s, p);
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		if (s.captured < 2)
			return DECODE_L4_TRUNCATED;
		p->icmp_type_code = wire_be16(s.at);
		return l4_payload(s, s.captured < 4 ? s.captured : 4, p);
	default:
		return l4_other(s, p);
	}
}
