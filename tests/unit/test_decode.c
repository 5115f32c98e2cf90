/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "decode/decode.h"
#include "frames.h"

static const struct frame_ends four = {"192.0.2.1", "198.51.100.2", 40000, 443, 0};
static const struct frame_ends six = {"2001:db8::1", "2001:db8::2", 40000, 443, 0};

/* Decodes a copy that ends where the captured octets end, so that a sanitizer sees a read past them. */
static enum decode_result decode_cut(const struct frame *f, uint32_t captured, struct packet *p)
{
	uint8_t *copy = malloc(captured ? captured : 1);
	enum decode_result r;

	assert_non_null(copy);
	memcpy(copy, f->octets, captured);
	memset(p, 0xa5, sizeof(*p));
	r = decode_ethernet(copy, captured, f->len, p);
	if (r == DECODE_OK) {
		assert_true(p->ip >= copy && p->ip + p->ip_captured <= copy + captured);
		assert_true(p->payload >= p->ip && p->payload + p->payload_captured <= copy + captured);
		assert_true(p->payload_captured <= p->payload_len);
	}
	p->payload = p->ip = NULL;
	free(copy);
	return r;
}

static enum decode_result decode_whole(const struct frame *f, struct packet *p)
{
	return decode_cut(f, f->len, p);
}

static void assert_address(const uint8_t ip[16], const char *want)
{
	char text[ADDR_TEXT_MAX];

	assert_string_equal(addr_format(ip, text), want);
}

static void test_tcp4(void **state)
{
	struct frame f;
	struct packet p;

	(void)state;
	frame_tcp(&f, &four, FRAME_SYN | FRAME_ACK, "hello", 5);
	f.octets[15] = 0xb8; /* ToS */
	frame_zero(&f, 7);   /* Ethernet padding: not the packet's */
	memset(&p, 0xa5, sizeof(p));
	assert_int_equal(decode_ethernet(f.octets, f.len, f.len, &p), DECODE_OK);
	assert_address(p.src_ip, "192.0.2.1");
	assert_address(p.dst_ip, "198.51.100.2");
	assert_int_equal(p.src_port, 40000);
	assert_int_equal(p.dst_port, 443);
	assert_int_equal(p.vlan_id, 0);
	assert_int_equal(p.ip_version, 4);
	assert_int_equal(p.protocol, IPPROTO_TCP);
	assert_int_equal(p.tos, 0xb8);
	assert_int_equal(p.ttl, 64);
	assert_int_equal(p.tcp_flags, FRAME_SYN | FRAME_ACK);
	assert_false(p.fragment);
	assert_false(p.later_fragment);
	assert_int_equal(p.octets, 45);
	assert_ptr_equal(p.ip, f.octets + 14);
	assert_int_equal(p.ip_captured, 45);
	assert_int_equal(p.payload_captured, 5);
	assert_int_equal(p.payload_len, 5);
	assert_memory_equal(p.payload, "hello", 5);
}

static void test_udp6_behind_two_tags(void **state)
{
	static const uint8_t outer[4] = {0x88, 0xa8, 0xe0, 0x64}; /* priority 7, VLAN 100 */
	struct frame_ends e = six;
	struct frame f, tagged;
	struct packet p;

	(void)state;
	e.vlan = 7;
	frame_udp(&f, &e, "12345678", 8);
	tagged.len = 0;
	frame_put(&tagged, f.octets, 12);
	frame_put(&tagged, outer, 4);
	frame_put(&tagged, f.octets + 12, f.len - 12);
	tagged.octets[22] = 0x6b; /* version 6, traffic class 0xb8 */
	tagged.octets[23] = 0x80;
	assert_int_equal(decode_whole(&tagged, &p), DECODE_OK);
	assert_int_equal(p.vlan_id, 100);
	assert_int_equal(p.ip_version, 6);
	assert_int_equal(p.tos, 0xb8);
	assert_address(p.src_ip, "2001:db8::1");
	assert_address(p.dst_ip, "2001:db8::2");
	assert_int_equal(p.protocol, IPPROTO_UDP);
	assert_int_equal(p.src_port, 40000);
	assert_int_equal(p.octets, 40 + 8 + 8);
	assert_int_equal(p.payload_len, 8);
	assert_int_equal(p.tcp_flags, 0);
	assert_int_equal(p.icmp_type_code, 0);
	assert_false(p.fragment);
}

static void test_icmp_and_others(void **state)
{
	struct frame f;
	struct packet p;

	(void)state;
	frame_ip(&f, &four, IPPROTO_ICMP, 8, 1, 0);
	frame_u16(&f, 0x0301);
	frame_zero(&f, 6);
	assert_int_equal(decode_whole(&f, &p), DECODE_OK);
	assert_int_equal(p.icmp_type_code, 0x0301);
	assert_int_equal(p.src_port, 0);
	assert_int_equal(p.payload_len, 4);
	frame_ip(&f, &six, IPPROTO_ICMPV6, 8, 1, 0);
	frame_u16(&f, 0x8000);
	frame_zero(&f, 6);
	assert_int_equal(decode_whole(&f, &p), DECODE_OK);
	assert_int_equal(p.icmp_type_code, 0x8000);
	frame_ip(&f, &four, 47, 4, 1, 0); /* GRE: a flow without ports */
	frame_zero(&f, 4);
	assert_int_equal(decode_whole(&f, &p), DECODE_OK);
	assert_int_equal(p.protocol, 47);
	assert_int_equal(p.src_port | p.dst_port, 0);
	assert_int_equal(p.payload_len, 4);
}

static void test_not_ip(void **state)
{
	static const struct {
		unsigned type;
		enum decode_result want;
	} cases[] = {
		{0x0806, DECODE_NOT_IP}, {0x88cc, DECODE_NOT_IP}, {0x0026, DECODE_NOT_IP},
		{0x8847, DECODE_MPLS},   {0x8848, DECODE_MPLS},   {0x8864, DECODE_PPPOE},
	};
	struct frame f;
	struct packet p;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		frame_ethernet(&f, cases[i].type, 0);
		frame_zero(&f, 46);
		assert_int_equal(decode_whole(&f, &p), cases[i].want);
	}
}

static void test_snap(void **state)
{
	static const uint8_t snap[8] = {0xaa, 0xaa, 0x03, 0, 0, 0, 0x08, 0x00};
	struct frame inner, f;
	struct packet p;

	(void)state;
	frame_udp(&inner, &four, "x", 1);
	frame_ethernet(&f, inner.len - 14 + 8, 0);
	frame_put(&f, snap, sizeof(snap));
	frame_put(&f, inner.octets + 14, inner.len - 14);
	assert_int_equal(decode_whole(&f, &p), DECODE_OK);
	assert_int_equal(p.dst_port, 443);
	f.octets[14] = 0x42; /* spanning tree's LLC */
	assert_int_equal(decode_whole(&f, &p), DECODE_NOT_IP);
}

static void test_tags_are_bounded(void **state)
{
	struct frame f;
	struct packet p;

	(void)state;
	for (unsigned tags = 1; tags <= DECODE_VLANS_MAX + 1; tags++) {
		struct frame inner;

		frame_udp(&inner, &four, "x", 1);
		f.len = 0;
		frame_put(&f, inner.octets, 12);
		for (unsigned i = 0; i < tags; i++) {
			frame_u16(&f, 0x9100);
			frame_u16(&f, 10 + i);
		}
		frame_put(&f, inner.octets + 12, inner.len - 12);
		assert_int_equal(decode_whole(&f, &p), tags <= DECODE_VLANS_MAX ? DECODE_OK : DECODE_VLAN_DEPTH);
		if (tags <= DECODE_VLANS_MAX)
			assert_int_equal(p.vlan_id, 10);
	}
}

/* Cut at every length: refused up to the ports, then a packet of its flow, with what flags and payload there are. */
static void test_every_cut(void **state)
{
	struct frame f;
	struct packet p;

	(void)state;
	frame_tcp(&f, &four, FRAME_ACK, "hello", 5);
	for (uint32_t n = 0; n <= f.len; n++) {
		enum decode_result r = decode_cut(&f, n, &p);

		assert_int_equal(r, n < 34 ? DECODE_TRUNCATED : n < 38 ? DECODE_L4_TRUNCATED : DECODE_OK);
		if (r != DECODE_OK)
			continue;
		assert_int_equal(p.dst_port, 443);
		assert_int_equal(p.octets, 45);
		assert_int_equal(p.tcp_flags, n < 48 ? 0 : FRAME_ACK);
		assert_int_equal(p.payload_len, n < 48 ? 0 : 5);
		assert_int_equal(p.payload_captured, n < 54 ? 0 : n - 54);
	}
	frame_udp(&f, &six, "hello", 5);
	for (uint32_t n = 0; n <= f.len; n++) {
		enum decode_result r = decode_cut(&f, n, &p);

		assert_int_equal(r, n < 54 ? DECODE_TRUNCATED : n < 58 ? DECODE_L4_TRUNCATED : DECODE_OK);
		if (r != DECODE_OK)
			continue;
		assert_int_equal(p.dst_port, 443);
		assert_int_equal(p.payload_len, n < 62 ? 0 : 5);
		assert_int_equal(p.payload_captured, n < 62 ? 0 : n - 62);
	}
	frame_ip(&f, &four, IPPROTO_ICMP, 8, 1, 0);
	frame_zero(&f, 8);
	for (uint32_t n = 34; n <= f.len; n++)
		assert_int_equal(decode_cut(&f, n, &p), n < 36 ? DECODE_L4_TRUNCATED : DECODE_OK);
}

static void test_ip4_header(void **state)
{
	static const struct {
		uint32_t at;
		uint8_t octet;
		enum decode_result want;
	} cases[] = {
		{14, 0x44, DECODE_IP_HEADER},                       /* header of 16 octets */
		{14, 0x65, DECODE_IP_HEADER},                       /* version 6 in an IPv4 frame */
		{14, 0x4f, DECODE_IP_HEADER},                       /* header of 60, total length 45 */
		{17, 19, DECODE_IP_HEADER},                         /* total length below the header's */
		{17, 20, DECODE_L4_TRUNCATED},                      /* no room for TCP */
		{17, 23, DECODE_L4_TRUNCATED}, {17, 24, DECODE_OK}, /* ports and no more */
		{46, 0x60, DECODE_OK},                              /* of 24: the rest is payload of 1 */
	};
	struct frame f;
	struct packet p;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		frame_tcp(&f, &four, FRAME_ACK, "hello", 5);
		f.octets[cases[i].at] = cases[i].octet;
		assert_int_equal(decode_whole(&f, &p), cases[i].want);
	}
	assert_int_equal(p.payload_len, 1);
	for (unsigned header = 0; header < 16;
	     header++) { /* a TCP header too short, or past the packet's end: no payload */
		if (header == 5 || header == 6)
			continue;
		f.octets[46] = (uint8_t)(header << 4);
		assert_int_equal(decode_whole(&f, &p), DECODE_OK);
		assert_int_equal(p.payload_len, 0);
		assert_int_equal(p.payload_captured, 0);
		assert_int_equal(p.tcp_flags, FRAME_ACK);
	}
	frame_tcp(&f, &four, FRAME_ACK, "hello", 5);
	frame_set16(&f, 16, 0); /* offload leaves the length at 0 */
	assert_int_equal(decode_whole(&f, &p), DECODE_OK);
	assert_int_equal(p.octets, 45);
	frame_set16(&f, 16, 1500); /* claims more than the wire had: believed, not read */
	assert_int_equal(decode_whole(&f, &p), DECODE_OK);
	assert_int_equal(p.octets, 1500);
	assert_int_equal(p.payload_len, 1460);
	assert_int_equal(p.payload_captured, 5);
}

/* What counts is the length in the IP header, however much was captured, and what the wire had where the header cannot say it. */
static void test_lengths(void **state)
{
	static const struct {
		const struct frame_ends *e;
		unsigned said; /* in the header */
		uint32_t wire; /* octets of the packet on the wire, those of padding with it */
		uint32_t octets;
	} cases[] = {
		{&four, 45, 46, 45},       {&four, 9000, 9000, 9000},  {&four, 65535, 65535, 65535},
		{&four, 0, 65550, 65550},  {&four, 0, 180000, 180000}, {&four, 9000, 9018, 9000},
		{&six, 25, 65, 65},        {&six, 8960, 9000, 9000},   {&six, 65535, 65575, 65575},
		{&six, 0, 180000, 180000}, {&six, 0, 65, 65},          {&six, 25, 69, 65},
	};
	struct frame f;
	struct packet p;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint32_t header = cases[i].e == &six ? 60 : 40;

		frame_tcp(&f, cases[i].e, FRAME_ACK, "hello", 5);
		frame_set16(&f, cases[i].e == &six ? 18 : 16, cases[i].said);
		f.len = 14 + cases[i].wire;
		assert_int_equal(decode_cut(&f, 14 + header + 5, &p), DECODE_OK);
		assert_int_equal(p.octets, cases[i].octets);
		assert_int_equal(p.payload_len, cases[i].octets - header);
		assert_int_equal(p.payload_captured, 5);
		assert_int_equal(p.src_port, 40000);
		assert_int_equal(p.tcp_flags, FRAME_ACK);
	}
}

/* A jumbogram, by its option (RFC 2675 section 2), and what is too short to be one. */
static void test_ip6_without_length(void **state)
{
	static const uint8_t jumbo[] = {IPPROTO_TCP, 0, 0xc2, 4, 0, 1, 0x11, 0x8c};
	struct frame f, inner;
	struct packet p;

	(void)state;
	frame_tcp(&inner, &six, FRAME_ACK, "hello", 5);
	f.len = 0;
	frame_put(&f, inner.octets, 54);
	frame_put(&f, jumbo, sizeof(jumbo));
	frame_put(&f, inner.octets + 54, inner.len - 54);
	frame_set16(&f, 18, 0);
	f.octets[20] = 0;
	f.len = 14 + 40 + 70028;
	assert_int_equal(decode_cut(&f, 14 + 40 + 8 + 25, &p), DECODE_OK);
	assert_int_equal(p.octets, 70068);
	assert_int_equal(p.payload_len, 70000);
	assert_int_equal(p.dst_port, 443);
	for (unsigned n = 40; n < 48; n++) /* cut before its end, which is not yet wrong */
		assert_int_equal(decode_cut(&f, 14 + n, &p), DECODE_TRUNCATED);
	f.octets[59] = 0; /* 4492 octets: they had fitted into the field */
	assert_int_equal(decode_cut(&f, 14 + 40 + 8 + 25, &p), DECODE_IP6_EXT);
	f.octets[59] = 1;
	f.octets[56] = 0xc1; /* another option */
	assert_int_equal(decode_cut(&f, 14 + 40 + 8 + 25, &p), DECODE_IP6_EXT);
	frame_ip(&f, &six, 59, 0, 0, 0); /* no next header, and padding */
	frame_zero(&f, 6);
	assert_int_equal(decode_whole(&f, &p), DECODE_OK);
	assert_int_equal(p.octets, 40);
	f.octets[20] = IPPROTO_TCP;
	assert_int_equal(decode_whole(&f, &p), DECODE_L4_TRUNCATED);
}

static void test_ip4_options(void **state)
{
	struct frame f;
	struct packet p;

	(void)state;
	frame_ip(&f, &four, IPPROTO_UDP, 4 + 8 + 2, 1, 0);
	f.octets[14] = 0x46;
	frame_zero(&f, 4);
	frame_u16(&f, 1);
	frame_u16(&f, 2);
	frame_zero(&f, 4);
	frame_put(&f, "ab", 2);
	assert_int_equal(decode_whole(&f, &p), DECODE_OK);
	assert_int_equal(p.src_port, 1);
	assert_int_equal(p.dst_port, 2);
	assert_int_equal(p.payload_len, 2);
}

static void test_ip4_fragments(void **state)
{
	struct frame f;
	struct packet p;

	(void)state;
	frame_udp(&f, &four, "12345678", 8);
	frame_set16(&f, 18, 0xbeef);
	frame_set16(&f, 20, 0x2000); /* more fragments */
	assert_int_equal(decode_whole(&f, &p), DECODE_OK);
	assert_true(p.fragment);
	assert_false(p.later_fragment);
	assert_int_equal(p.fragment_id, 0xbeef);
	assert_true(p.more_fragments);
	assert_int_equal(p.fragment_at, 0);
	assert_int_equal(p.fragment_len, 16);
	assert_int_equal(p.dst_port, 443);
	frame_set16(&f, 20, 0x0001);
	assert_int_equal(decode_whole(&f, &p), DECODE_OK);
	assert_true(p.fragment);
	assert_true(p.later_fragment);
	assert_int_equal(p.src_port | p.dst_port, 0);
	assert_int_equal(p.payload_len, 16);
	assert_false(p.more_fragments);
	assert_int_equal(p.fragment_at, 8);
	assert_int_equal(p.fragment_len, 16);
	frame_set16(&f, 20, 0x1fff);
	frame_set16(&f, 16, 65535);
	assert_int_equal(decode_whole(&f, &p), DECODE_OK);
	assert_int_equal(p.fragment_at, 65528);
	assert_int_equal(p.fragment_len, 65515);
	frame_set16(&f, 16, 36);
	frame_set16(&f, 20, 0x4000); /* do not fragment */
	assert_int_equal(decode_whole(&f, &p), DECODE_OK);
	assert_false(p.fragment);
	frame_tcp(&f, &four, FRAME_SYN, "", 0);
	frame_set16(&f, 16,
		    28); /* a first fragment too small for its TCP header hides the flags (RFC 1858), not the ports */
	frame_set16(&f, 20, 0x2000);
	assert_int_equal(decode_whole(&f, &p), DECODE_OK);
	assert_int_equal(p.dst_port, 443);
	assert_int_equal(p.tcp_flags, 0);
	assert_int_equal(p.payload_len, 0);
	assert_null(p.tcp);
	frame_set16(&f, 16, 24); /* smaller than the 8 octets that a fragment may have, and no more than the ports */
	assert_int_equal(decode_whole(&f, &p), DECODE_OK);
	assert_int_equal(p.dst_port, 443);
	frame_set16(&f, 16, 23);
	assert_int_equal(decode_whole(&f, &p), DECODE_L4_TRUNCATED);
}

/* A UDP packet of 1 octet behind `n` headers, each of 8 octets and of kind `kind`. */
static void frame_ip6_chain(struct frame *f, unsigned kind, unsigned n)
{
	frame_ip(f, &six, n ? kind : IPPROTO_UDP, n * 8 + 9, 0, 0);
	for (unsigned i = 0; i < n; i++) {
		frame_u8(f, i + 1 < n ? kind : IPPROTO_UDP);
		frame_zero(f, 7);
	}
	frame_u16(f, 5);
	frame_u16(f, 6);
	frame_u16(f, 9);
	frame_u16(f, 0);
	frame_u8(f, 'x');
}

static void test_ip6_extensions(void **state)
{
	static const unsigned kinds[] = {0, 43, 60, 140}, last[] = {135, 139};
	struct frame f;
	struct packet p;

	(void)state;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		frame_ip6_chain(&f, kinds[i], DECODE_IP6_EXT_MAX);
		assert_int_equal(decode_whole(&f, &p), DECODE_OK);
		assert_int_equal(p.protocol, IPPROTO_UDP);
		assert_int_equal(p.dst_port, 6);
		assert_int_equal(p.payload_len, 1);
		frame_ip6_chain(&f, kinds[i], DECODE_IP6_EXT_MAX + 1);
		assert_int_equal(decode_whole(&f, &p), DECODE_IP6_EXT);
		frame_ip6_chain(&f, kinds[i], 1);
		f.octets[14 + 40 + 1] = 1; /* 16 octets: then UDP's header starts 8 too late */
		assert_int_equal(decode_whole(&f, &p), DECODE_L4_TRUNCATED); /* 1 octet of it is left */
		f.octets[14 + 40 + 1] = 2;                                   /* 24 octets: past the end of the packet */
		assert_int_equal(decode_whole(&f, &p), DECODE_IP6_EXT);
	}
	for (size_t i = 0; i < sizeof(last) / sizeof(last[0]); i++) {
		frame_ip6_chain(&f, last[i], 1);
		assert_int_equal(decode_whole(&f, &p), DECODE_OK);
		assert_int_equal(p.protocol, last[i]);
		assert_int_equal(p.src_port | p.dst_port, 0);
	}
	frame_ip6_chain(&f, 60, 2); /* an option that ends with its header, in it, past it */
	for (unsigned n = 0; n < 8; n++) {
		f.octets[14 + 40 + 2] = 1;
		f.octets[14 + 40 + 3] = (uint8_t)n;
		assert_int_equal(decode_whole(&f, &p), n <= 4 ? DECODE_OK : DECODE_IP6_EXT);
	}
	frame_ip6_chain(&f, 60, 1);
	f.octets[14 + 40 + 7] = 1; /* its length is in what follows */
	assert_int_equal(decode_whole(&f, &p), DECODE_IP6_EXT);
	frame_ip6_chain(&f, 51, 1); /* AH counts in 4 octets past the first 8 */
	assert_int_equal(decode_whole(&f, &p), DECODE_OK);
	assert_int_equal(p.dst_port, 6);
	frame_ip6_chain(&f, 60, 2);
	for (uint32_t n = 54; n < 70; n++)
		assert_int_equal(decode_cut(&f, n, &p), DECODE_TRUNCATED);
	frame_ip6_chain(&f, 60, 3);
	f.octets[14 + 40] = IPPROTO_UDP; /* the three as one header of 24 octets */
	f.octets[14 + 40 + 1] = 2;
	assert_int_equal(decode_whole(&f, &p), DECODE_OK);
	assert_int_equal(p.dst_port, 6);
	for (uint32_t n = 54; n < 54 + 24; n++)
		assert_int_equal(decode_cut(&f, n, &p), DECODE_TRUNCATED);
	frame_ip(&f, &six, 60, 4, 0, 0); /* the packet ends within the extension header */
	frame_zero(&f, 4);
	assert_int_equal(decode_whole(&f, &p), DECODE_IP6_EXT);
	f.octets[14] = 0x45;
	assert_int_equal(decode_whole(&f, &p), DECODE_IP_HEADER);
}

static void test_ip6_fragments(void **state)
{
	const uint32_t header = 14 + 40;
	struct frame f;
	struct packet p;

	(void)state;
	frame_ip6_chain(&f, 44, 1);
	f.octets[header + 1] = 0xff; /* reserved, not a length */
	frame_set16(&f, header + 4, 0x1234);
	frame_set16(&f, header + 6, 0x5678);
	assert_int_equal(decode_whole(&f, &p), DECODE_OK);
	assert_false(p.fragment); /* atomic */
	assert_int_equal(p.dst_port, 6);
	frame_set16(&f, header + 2, 1);
	assert_int_equal(decode_whole(&f, &p), DECODE_OK);
	assert_true(p.fragment);
	assert_false(p.later_fragment);
	assert_int_equal(p.fragment_id, 0x12345678);
	assert_int_equal(p.dst_port, 6);
	frame_set16(&f, header + 2, 8);
	assert_int_equal(decode_whole(&f, &p), DECODE_OK);
	assert_true(p.later_fragment);
	assert_int_equal(p.protocol, IPPROTO_UDP);
	assert_int_equal(p.dst_port, 0);
	assert_int_equal(p.payload_len, 9);
	assert_false(p.more_fragments);
	assert_int_equal(p.fragment_at, 8);
	assert_int_equal(p.fragment_len, 9);
	f.octets[header] = 60; /* what follows is data even if it is called a header */
	assert_int_equal(decode_whole(&f, &p), DECODE_OK);
	assert_int_equal(p.protocol, 60);
	frame_ip6_chain(&f, 44, 2); /* a fragment of a fragment */
	frame_set16(&f, header + 2, 1);
	assert_int_equal(decode_whole(&f, &p), DECODE_IP6_EXT);
	frame_set16(&f, header + 2, 0);
	frame_set16(&f, header + 10, 1);
	assert_int_equal(decode_whole(&f, &p), DECODE_OK);
	assert_true(p.fragment);
}

static void test_result_names(void **state)
{
	(void)state;
	for (int a = 0; a < DECODE_KINDS; a++) {
		assert_string_not_equal(decode_result_name((enum decode_result)a), "?");
		for (int b = 0; b < a; b++)
			assert_string_not_equal(decode_result_name((enum decode_result)a),
						decode_result_name((enum decode_result)b));
	}
	assert_string_equal(decode_result_name(DECODE_KINDS), "?");
	assert_string_equal(decode_result_name(DECODE_L4_TRUNCATED), "l4_truncated");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tcp4),
		cmocka_unit_test(test_udp6_behind_two_tags),
		cmocka_unit_test(test_icmp_and_others),
		cmocka_unit_test(test_not_ip),
		cmocka_unit_test(test_snap),
		cmocka_unit_test(test_tags_are_bounded),
		cmocka_unit_test(test_every_cut),
		cmocka_unit_test(test_ip4_header),
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_ip6_without_length),
		cmocka_unit_test(test_ip4_options),
		cmocka_unit_test(test_ip4_fragments),
		cmocka_unit_test(test_ip6_extensions),
		cmocka_unit_test(test_ip6_fragments),
		cmocka_unit_test(test_result_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
