/* SPDX-License-Identifier: Apache-2.0 */
/* Every link type, what may be between it and IP in every order, and what each of them refuses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "link_frames.h"

enum { PAYLOAD = 26 };

static const struct frame_ends four = {"192.0.2.1", "198.51.100.2", 40000, 443, 0};
static const struct frame_ends six = {"2001:db8::1", "2001:db8::2", 40000, 443, 0};

/* Decodes a copy that ends where the captured octets end, so that a sanitizer sees a read past them. */
static enum decode_result decode_cut(enum decode_link link, const struct frame *f, uint32_t captured, struct packet *p)
{
	uint8_t *copy = malloc(captured ? captured : 1);
	enum decode_result r;

	assert_non_null(copy);
	memcpy(copy, f->octets, captured);
	memset(p, 0xa5, sizeof(*p));
	r = decode_frame(link, copy, captured, f->len, p);
	if (r == DECODE_OK) {
		assert_true(p->ip >= copy && p->ip + p->ip_captured <= copy + captured);
		assert_true(p->payload >= p->ip && p->payload + p->payload_captured <= copy + captured);
		assert_true(!p->src_mac == !p->dst_mac);
		assert_true(!p->src_mac || (p->src_mac >= copy && p->src_mac + 6 <= p->ip));
		assert_true(!p->dst_mac || (p->dst_mac >= copy && p->dst_mac + 6 <= p->ip));
	}
	free(copy);
	return r;
}

static void make_packet(struct frame *f, bool is_six)
{
	frame_udp(f, is_six ? &six : &four, "hello, this is the payload", PAYLOAD);
}

/* All that the packet says of itself must be the same behind any link. */
static void assert_is_packet(const struct packet *p, const struct frame *packet)
{
	struct packet want;

	assert_int_equal(decode_ethernet(packet->octets, packet->len, packet->len, &want), DECODE_OK);
	assert_memory_equal(p->src_ip, want.src_ip, 16);
	assert_memory_equal(p->dst_ip, want.dst_ip, 16);
	assert_int_equal(p->src_port, want.src_port);
	assert_int_equal(p->dst_port, want.dst_port);
	assert_int_equal(p->ip_version, want.ip_version);
	assert_int_equal(p->protocol, want.protocol);
	assert_int_equal(p->octets, want.octets);
}

/* The outermost tag and the one after it. */
static void assert_tags(const struct packet *p, const enum link_shim *shims, unsigned n)
{
	unsigned tags[2] = {0, 0}, found = 0;

	for (unsigned i = 0; i < n && found < 2; i++)
		if (shims[i] == SHIM_VLAN || shims[i] == SHIM_QINQ)
			tags[found++] = shims[i] == SHIM_VLAN ? 7 : 9;
	assert_int_equal(p->vlan_id, tags[0]);
	assert_int_equal(p->inner_vlan_id, tags[1]);
}

/* Decodes it whole and cut at every length, with a frame that is longer on the wire than what was captured. */
static void check(enum link_kind kind, const enum link_shim *shims, unsigned n, const struct frame *packet)
{
	struct link_frame l;
	struct packet p;
	uint32_t ports;

	assert_true(link_frame(&l, kind, shims, n, packet));
	ports = l.f.len - PAYLOAD - 4;
	for (uint32_t captured = 0; captured < ports; captured++) {
		enum decode_result r = decode_cut(link_types[kind], &l.f, captured, &p);

		assert_true(r == DECODE_TRUNCATED || r == DECODE_L4_TRUNCATED);
	}
	for (uint32_t captured = ports; captured <= l.f.len; captured++) {
		assert_int_equal(decode_cut(link_types[kind], &l.f, captured, &p), DECODE_OK);
		assert_is_packet(&p, packet);
		assert_int_equal(p.payload_len, captured < l.f.len - PAYLOAD ? 0 : PAYLOAD);
		assert_tags(&p, shims, n);
	}
}

/* All orders of up to `most` shims. Returns how many there are. */
static unsigned check_orders(enum link_kind kind, unsigned most)
{
	unsigned done = 0;

	for (unsigned six_too = 0; six_too < 2; six_too++) {
		struct frame packet;

		make_packet(&packet, six_too);
		for (unsigned n = 0; n <= most; n++) {
			unsigned orders = 1;

			for (unsigned i = 0; i < n; i++)
				orders *= SHIM_KINDS;
			for (unsigned order = 0; order < orders; order++) {
				enum link_shim shims[8];
				struct link_frame l;

				for (unsigned i = 0, left = order; i < n; i++, left /= SHIM_KINDS)
					shims[i] = (enum link_shim)(left % SHIM_KINDS);
				if (!link_frame(&l, kind, shims, n, &packet))
					continue;
				check(kind, shims, n, &packet);
				done++;
			}
		}
	}
	return done;
}

static void test_every_order(void **state)
{
	(void)state;
	assert_in_range(check_orders(LINK_ETHERNET, 4), 1000, 3000);
	for (unsigned kind = LINK_ETHERNET + 1; kind < LINK_KINDS; kind++)
		assert_true(check_orders((enum link_kind)kind, 2) >= (kind < LINK_PPP           ? 50
								      : kind < LINK_NULL_LITTLE ? 6
												: 2));
}

static void test_numbers(void **state)
{
	static const struct {
		uint32_t number;
		enum decode_link link;
	} known[] = {{0, DECODE_LINK_NULL},   {1, DECODE_LINK_ETHERNET},   {9, DECODE_LINK_HDLC},
		     {12, DECODE_LINK_IP},    {14, DECODE_LINK_IP},        {101, DECODE_LINK_IP},
		     {50, DECODE_LINK_HDLC},  {51, DECODE_LINK_PPPOE},     {104, DECODE_LINK_HDLC},
		     {105, DECODE_LINK_WIFI}, {108, DECODE_LINK_NULL},     {113, DECODE_LINK_SLL},
		     {276, DECODE_LINK_SLL2}, {127, DECODE_LINK_RADIOTAP}, {192, DECODE_LINK_PPI},
		     {228, DECODE_LINK_IP4},  {229, DECODE_LINK_IP6}};
	enum decode_link link;
	unsigned found = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		assert_true(decode_link_of(known[i].number, &link));
		assert_int_equal(link, known[i].link);
	}
	for (uint32_t number = 0; number < 70000; number++)
		found += decode_link_of(number, &link);
	assert_int_equal(found, sizeof(known) / sizeof(known[0]));
}

static void test_ip_versions(void **state)
{
	struct frame packet;
	struct packet p;

	(void)state;
	for (unsigned is_six = 0; is_six < 2; is_six++) {
		const uint8_t *ip = packet.octets + 14;

		make_packet(&packet, is_six);
		assert_int_equal(decode_frame(DECODE_LINK_IP, ip, packet.len - 14, packet.len - 14, &p), DECODE_OK);
		assert_null(p.src_mac);
		assert_null(p.dst_mac);
		assert_int_equal(decode_frame(DECODE_LINK_IP4, ip, packet.len - 14, packet.len - 14, &p),
				 is_six ? DECODE_IP_HEADER : DECODE_OK);
		assert_int_equal(decode_frame(DECODE_LINK_IP6, ip, packet.len - 14, packet.len - 14, &p),
				 is_six ? DECODE_OK : DECODE_IP_HEADER);
	}
	packet.octets[14] = 0x50;
	assert_int_equal(decode_frame(DECODE_LINK_IP, packet.octets + 14, 60, 60, &p), DECODE_IP_HEADER);
}

/* Puts `octets` in the place of those at `at` and decodes. */
static enum decode_result changed(enum link_kind kind, enum link_shim shim, uint32_t at, const char *octets, size_t n)
{
	struct link_frame l;
	struct frame packet;
	struct packet p;

	make_packet(&packet, false);
	assert_true(link_frame(&l, kind, &shim, shim < SHIM_KINDS, &packet));
	memcpy(l.f.octets + at, octets, n);
	return decode_cut(link_types[kind], &l.f, l.f.len, &p);
}

static void test_null(void **state)
{
	(void)state;
	assert_int_equal(changed(LINK_NULL_LITTLE, SHIM_KINDS, 0, "\x07\0\0\0", 4), DECODE_NOT_IP);
	assert_int_equal(changed(LINK_NULL_LITTLE, SHIM_KINDS, 0, "\xff\xff\xff\xff", 4), DECODE_NOT_IP);
	for (unsigned family = 0; family < 40; family++) {
		char octets[4] = {(char)family, 0, 0, 0};
		bool is6 = family == 24 || family == 28 || family == 30;

		assert_int_equal(changed(LINK_NULL_LITTLE, SHIM_KINDS, 0, octets, 4), family == 2 ? DECODE_OK
										      : is6       ? DECODE_IP_HEADER
												  : DECODE_NOT_IP);
	}
}

static void test_cooked(void **state)
{
	struct link_frame l;
	struct frame packet;

	(void)state;
	assert_int_equal(changed(LINK_SLL, SHIM_KINDS, 14, "\x08\x06", 2), DECODE_NOT_IP);
	assert_int_equal(changed(LINK_SLL, SHIM_KINDS, 14, "\x00\x01", 2), DECODE_NOT_IP);
	assert_int_equal(changed(LINK_SLL, SHIM_KINDS, 14, "\x00\x04", 2), DECODE_NOT_IP); /* LLC, but no SNAP */
	assert_int_equal(changed(LINK_SLL, SHIM_KINDS, 2, "\x03\x38", 2), DECODE_NOT_IP);  /* netlink */
	assert_int_equal(changed(LINK_SLL2, SHIM_KINDS, 0, "\x08\x06", 2), DECODE_NOT_IP);
	assert_int_equal(changed(LINK_SLL2, SHIM_KINDS, 8, "\x03\x38", 2), DECODE_NOT_IP);
	make_packet(&packet, false);
	assert_true(link_frame(&l, LINK_SLL2, NULL, 0, &packet));
	assert_int_equal(decode_interface(DECODE_LINK_SLL2, l.f.octets, l.f.len), 42);
	assert_int_equal(decode_interface(DECODE_LINK_SLL2, l.f.octets, 7), 0);
	assert_int_equal(decode_interface(DECODE_LINK_SLL, l.f.octets, l.f.len), 0);
}

/* What says that LLC follows is no length. */
static void test_cooked_llc(void **state)
{
	struct frame packet, f = {.len = 0};
	struct packet p;

	(void)state;
	make_packet(&packet, false);
	frame_put(&f, "\x00\x00\x00\x01\x00\x06\x00\x00\x00\x00\x00\x00\x00\x00\x00\x04", 16);
	frame_put(&f, "\xaa\xaa\x03\x00\x00\x00\x08\x00", 8);
	frame_put(&f, packet.octets + 14, packet.len - 14);
	assert_int_equal(decode_cut(DECODE_LINK_SLL, &f, f.len, &p), DECODE_OK);
	assert_is_packet(&p, &packet);
}

/* Frames of monitor mode come on the link "any", too. */
static void test_cooked_radiotap(void **state)
{
	struct link_frame l;
	struct frame packet, f = {.len = 0};
	struct packet p;

	(void)state;
	make_packet(&packet, false);
	assert_true(link_frame(&l, LINK_RADIOTAP, NULL, 0, &packet));
	frame_put(&f, "\x00\x00\x03\x23\x00\x06\x00\x00\x00\x00\x00\x00\x00\x00\x00\x04", 16);
	frame_put(&f, l.f.octets, l.f.len);
	assert_int_equal(decode_cut(DECODE_LINK_SLL, &f, f.len, &p), DECODE_OK);
	assert_is_packet(&p, &packet);
}

static void test_ppp(void **state)
{
	(void)state;
	assert_int_equal(changed(LINK_PPP, SHIM_KINDS, 2, "\xc0\x21", 2), DECODE_NOT_IP); /* LCP */
	assert_int_equal(changed(LINK_PPP, SHIM_KINDS, 2, "\x00\xfd", 2), DECODE_NOT_IP); /* compressed */
	assert_int_equal(changed(LINK_PPP, SHIM_KINDS, 2, "\x00\x53", 2), DECODE_ENCRYPTED);
	assert_int_equal(changed(LINK_PPP, SHIM_KINDS, 1, "\x03\x21", 2),
			 DECODE_IP_HEADER); /* in one octet: IP is behind it */
	assert_int_equal(changed(LINK_CISCO, SHIM_KINDS, 2, "\x80\x35", 2), DECODE_NOT_IP); /* SLARP */
	assert_int_equal(changed(LINK_CISCO, SHIM_KINDS, 2, "\x00\x21", 2), DECODE_NOT_IP);
	assert_int_equal(changed(LINK_CISCO, SHIM_KINDS, 0, "\x8f", 1), DECODE_OK);
}

/* A protocol in one octet, with HDLC's address before it and without. */
static void test_ppp_short(void **state)
{
	struct frame packet, f;
	struct packet p;

	(void)state;
	for (unsigned framed = 0; framed < 2; framed++) {
		make_packet(&packet, false);
		f.len = 0;
		frame_put(&f, "\xff\x03", framed * 2);
		frame_u8(&f, 0x21);
		frame_put(&f, packet.octets + 14, packet.len - 14);
		assert_int_equal(decode_cut(DECODE_LINK_HDLC, &f, f.len, &p), DECODE_OK);
		assert_is_packet(&p, &packet);
	}
}

static void test_pppoe(void **state)
{
	(void)state;
	assert_int_equal(changed(LINK_ETHERNET, SHIM_PPPOE, 14, "\x12", 1), DECODE_PPPOE);
	assert_int_equal(changed(LINK_ETHERNET, SHIM_PPPOE, 15, "\x09", 1), DECODE_NOT_IP); /* discovery */
	assert_int_equal(changed(LINK_PPPOE, SHIM_KINDS, 0, "\x00", 1), DECODE_PPPOE);
	assert_int_equal(changed(LINK_ETHERNET, SHIM_PPPOE, 20, "\x80\x21", 2), DECODE_NOT_IP); /* IPCP */
	assert_int_equal(changed(LINK_ETHERNET, SHIM_KINDS, 12, "\x88\x63", 2), DECODE_NOT_IP);
}

static void test_llc(void **state)
{
	(void)state;
	assert_int_equal(changed(LINK_WIFI, SHIM_KINDS, 24, "\x42\x42", 2), DECODE_NOT_IP);
	assert_int_equal(changed(LINK_WIFI, SHIM_KINDS, 29, "\xf8", 1), DECODE_OK);     /* by a bridge */
	assert_int_equal(changed(LINK_WIFI, SHIM_KINDS, 29, "\x0c", 1), DECODE_NOT_IP); /* Cisco's */
	assert_int_equal(changed(LINK_WIFI, SHIM_KINDS, 26, "\x13", 1), DECODE_NOT_IP);
	assert_int_equal(changed(LINK_WIFI, SHIM_KINDS, 30, "\x01\x00", 2), DECODE_NOT_IP); /* a length again */
}

/* What is behind the end of a shim by its own length is padding, in which there are no ports. */
static void test_shim_lengths(void **state)
{
	static const struct {
		enum link_kind kind;
		enum link_shim shim;
		uint32_t at;     /* of the length */
		uint32_t before; /* octets that it counts up to the IP header */
	} cases[] = {
		{LINK_ETHERNET, SHIM_PPPOE, 18, 2},
		{LINK_PPPOE, SHIM_KINDS, 4, 2},
		{LINK_ETHERNET, SHIM_SNAP, 12, 8},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (uint32_t n = 0; n <= cases[i].before + 28 + PAYLOAD; n++) {
			const char length[2] = {0, (char)n};
			uint32_t whole = cases[i].before + 20;

			enum decode_result none = cases[i].before == 8 && n < 8 ? DECODE_NOT_IP : DECODE_TRUNCATED;

			assert_int_equal(changed(cases[i].kind, cases[i].shim, cases[i].at, length, 2),
					 n < whole       ? none
					 : n < whole + 4 ? DECODE_L4_TRUNCATED
							 : DECODE_OK);
		}
	}
}

static void test_labels(void **state)
{
	struct frame packet;
	struct packet p;

	(void)state;
	make_packet(&packet, false);
	for (unsigned labels = 1; labels <= DECODE_LABELS_MAX + 1; labels++) {
		struct frame f;

		frame_ethernet(&f, 0x8848, 0);
		for (unsigned i = 1; i <= labels; i++) {
			frame_u16(&f, i);
			frame_u16(&f, i == labels ? 0x0140 : 0x0040);
		}
		frame_put(&f, packet.octets + 14, packet.len - 14);
		assert_int_equal(decode_cut(DECODE_LINK_ETHERNET, &f, f.len, &p),
				 labels <= DECODE_LABELS_MAX ? DECODE_OK : DECODE_MPLS);
	}
	assert_int_equal(changed(LINK_ETHERNET, SHIM_MPLS, 22, "\x10", 1), DECODE_NOT_IP); /* a channel beside */
	assert_int_equal(changed(LINK_ETHERNET, SHIM_MPLS, 22, "\x00", 1), DECODE_MPLS);
	assert_int_equal(changed(LINK_ETHERNET, SHIM_MPLS, 22, "\xa5", 1), DECODE_MPLS);
}

/* An IP header that is wrong, or longer than the frame, is still one if Ethernet is it even less. */
static void test_labels_broken_ip(void **state)
{
	(void)state;
	assert_int_equal(changed(LINK_ETHERNET, SHIM_MPLS, 22, "\x41", 1), DECODE_IP_HEADER);
	assert_int_equal(changed(LINK_ETHERNET, SHIM_MPLS, 24, "\x40\x00", 2), DECODE_OK);
	assert_int_equal(changed(LINK_ETHERNET, SHIM_MPLS, 24, "\x00\x00", 2), DECODE_OK); /* offload */
}

static void test_pseudowire(void **state)
{
	(void)state;
	assert_int_equal(changed(LINK_ETHERNET, SHIM_PSEUDOWIRE, 34, "\x08\x06", 2), DECODE_NOT_IP);
	assert_int_equal(changed(LINK_ETHERNET, SHIM_PSEUDOWIRE, 34, "\x86\xdd", 2),
			 DECODE_MPLS); /* but it is version 4 */
	assert_int_equal(changed(LINK_ETHERNET, SHIM_PSEUDOWIRE, 18, "\x10", 1), DECODE_NOT_IP);
	assert_int_equal(changed(LINK_ETHERNET, SHIM_PSEUDOWIRE, 34, "\x00\x26\x42\x42\x03", 5), DECODE_NOT_IP);
	assert_int_equal(changed(LINK_ETHERNET, SHIM_PSEUDOWIRE, 34, "\x01\x26\x42\x42\x03", 5), DECODE_MPLS);
	assert_int_equal(changed(LINK_ETHERNET, SHIM_PSEUDOWIRE_46, 18, "\x60", 1), DECODE_OK);
	assert_int_equal(changed(LINK_ETHERNET, SHIM_PSEUDOWIRE_46, 18, "\x00", 1), DECODE_OK);
	assert_int_equal(changed(LINK_ETHERNET, SHIM_PSEUDOWIRE_46, 18, "\xfe", 1), DECODE_OK);
}

/* A pseudowire in a pseudowire and so on. */
static void test_shims_are_bounded(void **state)
{
	enum link_shim shims[DECODE_SHIMS_MAX + 1];
	struct link_frame l;
	struct frame packet;
	struct packet p;

	(void)state;
	make_packet(&packet, false);
	for (unsigned n = 1; n <= DECODE_SHIMS_MAX + 1; n++) {
		shims[n - 1] = SHIM_PSEUDOWIRE;
		assert_true(link_frame(&l, LINK_ETHERNET, shims, n, &packet));
		assert_int_equal(decode_cut(DECODE_LINK_ETHERNET, &l.f, l.f.len, &p),
				 n <= DECODE_SHIMS_MAX ? DECODE_OK : DECODE_SHIM_DEPTH);
	}
	for (unsigned i = 0; i < DECODE_SHIMS_MAX; i++)
		shims[i] = i & 1 ? SHIM_PSEUDOWIRE : SHIM_PPPOE;
	shims[DECODE_SHIMS_MAX] = SHIM_PPPOE;
	assert_true(link_frame(&l, LINK_ETHERNET, shims, DECODE_SHIMS_MAX + 1, &packet));
	assert_int_equal(decode_cut(DECODE_LINK_ETHERNET, &l.f, l.f.len, &p), DECODE_SHIM_DEPTH);
}

/* Tags count wherever they are. */
static void test_tags_are_bounded(void **state)
{
	enum link_shim shims[DECODE_VLANS_MAX + 2];
	struct link_frame l;
	struct frame packet;
	struct packet p;

	(void)state;
	make_packet(&packet, false);
	for (unsigned i = 0; i < DECODE_VLANS_MAX + 2; i++)
		shims[i] = i == 3 ? SHIM_PSEUDOWIRE : i == 0 ? SHIM_QINQ : SHIM_VLAN;
	assert_true(link_frame(&l, LINK_ETHERNET, shims, DECODE_VLANS_MAX + 1, &packet));
	assert_int_equal(decode_cut(DECODE_LINK_ETHERNET, &l.f, l.f.len, &p), DECODE_OK);
	assert_int_equal(p.vlan_id, 9);
	assert_true(link_frame(&l, LINK_ETHERNET, shims, DECODE_VLANS_MAX + 2, &packet));
	assert_int_equal(decode_cut(DECODE_LINK_ETHERNET, &l.f, l.f.len, &p), DECODE_VLAN_DEPTH);
}

static void test_wifi_refused(void **state)
{
	(void)state;
	assert_int_equal(changed(LINK_WIFI, SHIM_KINDS, 0, "\x80", 1), DECODE_NOT_IP); /* beacon */
	assert_int_equal(changed(LINK_WIFI, SHIM_KINDS, 0, "\xd4", 1), DECODE_NOT_IP); /* acknowledgement */
	assert_int_equal(changed(LINK_WIFI, SHIM_KINDS, 0, "\x48", 1), DECODE_NOT_IP); /* no data */
	assert_int_equal(changed(LINK_WIFI_QOS, SHIM_KINDS, 0, "\xc8", 1), DECODE_NOT_IP);
	assert_int_equal(changed(LINK_WIFI, SHIM_KINDS, 0, "\x09", 1), DECODE_NOT_IP); /* version 1 */
	assert_int_equal(changed(LINK_WIFI, SHIM_KINDS, 1, "\x41", 1), DECODE_ENCRYPTED);
	assert_int_equal(changed(LINK_RADIOTAP, SHIM_KINDS, 27, "\x41", 1), DECODE_ENCRYPTED);
	assert_int_equal(changed(LINK_WIFI, SHIM_KINDS, 22, "\x01", 1), DECODE_WIFI); /* a later fragment */
	assert_int_equal(changed(LINK_WIFI_AMSDU, SHIM_KINDS, LINK_AMSDU_LENGTH, "\x00\x10", 2), DECODE_WIFI);
}

/* To the access point, from it, between two of them, and without one. */
static void test_wifi_addresses(void **state)
{
	static const struct {
		enum link_kind kind;
		const char *control;
		uint32_t dst, src;
	} cases[] = {{LINK_WIFI, "\x00", 4, 10},
		     {LINK_WIFI, "\x01", 16, 10},
		     {LINK_WIFI, "\x02", 4, 16},
		     {LINK_WIFI_BRIDGE, "\x83", 16, 24}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct link_frame l;
		struct frame packet;
		struct packet p;

		make_packet(&packet, false);
		assert_true(link_frame(&l, cases[i].kind, NULL, 0, &packet));
		l.f.octets[1] = (uint8_t)cases[i].control[0];
		assert_int_equal(decode_frame(DECODE_LINK_WIFI, l.f.octets, l.f.len, l.f.len, &p), DECODE_OK);
		assert_ptr_equal(p.dst_mac, l.f.octets + cases[i].dst);
		assert_ptr_equal(p.src_mac, l.f.octets + cases[i].src);
	}
}

/* Radiotap: flags where the fields before them put them, a check sequence, a header filled up. */
static void test_radiotap(void **state)
{
	static const struct {
		const char *header;
		unsigned size;
		bool check, padded;
	} cases[] = {
		{"\0\0\x08\0\0\0\0\0", 8, false, false},
		{"\0\0\x09\0\x02\0\0\0\x10", 9, true, false},
		{"\0\0\x09\0\x02\0\0\0\x20", 9, false, true},
		{"\0\0\x09\0\x02\0\0\0\x30", 9, true, true},
		{"\0\0\x11\0\x03\0\0\0........\x30", 17, true, true},
		{"\0\0\x19\0\x03\0\0\x80\0\0\0\0....\x30\x30\x30\x30\x30\x30\x30\x30\x20", 25, false, true},
		{"\0\0\x08\0\x02\0\0\0", 8, false, false},              /* flags that are not there */
		{"\0\0\x0c\0\x02\0\0\x80\0\0\0\x80", 12, false, false}, /* `present` has no end */
		{"\0\0\x09\0\x04\0\0\0\x30", 9, false, false},          /* not flags */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct frame f = {.len = 0}, packet;
		struct link_frame l;
		struct packet p;

		make_packet(&packet, false);
		frame_set16(&packet, 16, 0); /* the length is that of the frame */
		assert_true(link_frame(&l, LINK_WIFI_QOS, NULL, 0, &packet));
		frame_put(&f, cases[i].header, cases[i].size);
		frame_put(&f, l.f.octets, 26);
		frame_zero(&f, cases[i].padded ? 2 : 0);
		frame_put(&f, l.f.octets + 26, l.f.len - 26);
		frame_zero(&f, cases[i].check ? 4 : 0);
		assert_int_equal(decode_cut(DECODE_LINK_RADIOTAP, &f, f.len, &p), DECODE_OK);
		assert_int_equal(p.octets, packet.len - 14);
		f.octets[7] ^= 0x04; /* no frame: what is behind is none */
		assert_int_equal(decode_cut(DECODE_LINK_RADIOTAP, &f, f.len, &p), DECODE_NOT_IP);
		f.octets[7] ^= 0x04;
		f.octets[2] = 7; /* shorter than it is at least */
		assert_int_equal(decode_cut(DECODE_LINK_RADIOTAP, &f, f.len, &p), DECODE_NOT_IP);
		f.octets[2] = 8;
		f.octets[0] = 1;
		assert_int_equal(decode_cut(DECODE_LINK_RADIOTAP, &f, f.len, &p), DECODE_NOT_IP);
	}
}

static void test_ppi(void **state)
{
	(void)state;
	assert_int_equal(changed(LINK_PPI_WIFI, SHIM_KINDS, 4, "\xc0\0\0\0", 4), DECODE_NOT_IP); /* PPI in PPI */
	assert_int_equal(changed(LINK_PPI_WIFI, SHIM_KINDS, 4, "\x93\0\0\0", 4), DECODE_NOT_IP);
	assert_int_equal(changed(LINK_PPI_WIFI, SHIM_KINDS, 4, "\x69\0\0\x01", 4), DECODE_NOT_IP);
	assert_int_equal(changed(LINK_PPI_WIFI, SHIM_KINDS, 0, "\x01", 1), DECODE_NOT_IP);
	assert_int_equal(changed(LINK_PPI_WIFI, SHIM_KINDS, 2, "\x07", 1), DECODE_NOT_IP);
	assert_int_equal(changed(LINK_PPI_WIFI, SHIM_KINDS, 2, "\xff\xff", 2), DECODE_TRUNCATED);
}

/* Whatever is in a frame, nothing is read that was not captured. */
static void test_noise(void **state)
{
	struct link_frame l;
	struct frame packet;
	struct packet p;

	(void)state;
	srand(11);
	for (unsigned i = 0; i < 200000; i++) {
		enum link_shim shims[2] = {(enum link_shim)(i % SHIM_KINDS), (enum link_shim)(i / 8 % SHIM_KINDS)};
		enum link_kind kind = (enum link_kind)(i % LINK_KINDS);

		make_packet(&packet, i & 1);
		if (!link_frame(&l, kind, shims, i % 3, &packet) && !link_frame(&l, kind, NULL, 0, &packet))
			fail();
		for (unsigned n = 1 + i % 4; n > 0; n--)
			l.f.octets[(unsigned)rand() % l.f.len] ^= (uint8_t)(1u << (unsigned)rand() % 8);
		assert_true((unsigned)decode_cut(link_types[kind], &l.f, (unsigned)rand() % (l.f.len + 1), &p) <
			    DECODE_KINDS);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_order),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_ip_versions),
		cmocka_unit_test(test_null),
		cmocka_unit_test(test_cooked),
		cmocka_unit_test(test_cooked_llc),
		cmocka_unit_test(test_cooked_radiotap),
		cmocka_unit_test(test_ppp),
		cmocka_unit_test(test_ppp_short),
		cmocka_unit_test(test_pppoe),
		cmocka_unit_test(test_llc),
		cmocka_unit_test(test_shim_lengths),
		cmocka_unit_test(test_labels),
		cmocka_unit_test(test_labels_broken_ip),
		cmocka_unit_test(test_pseudowire),
		cmocka_unit_test(test_shims_are_bounded),
		cmocka_unit_test(test_tags_are_bounded),
		cmocka_unit_test(test_wifi_refused),
		cmocka_unit_test(test_wifi_addresses),
		cmocka_unit_test(test_radiotap),
		cmocka_unit_test(test_ppi),
		cmocka_unit_test(test_noise),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
