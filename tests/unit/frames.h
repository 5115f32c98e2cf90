/* SPDX-License-Identifier: Apache-2.0 */
/* Frames for tests, built octet by octet: what a test sends is known to the last one. */
#ifndef TESTS_FRAMES_H
#define TESTS_FRAMES_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/addr.h"

enum { FRAME_FIN = 0x01, FRAME_SYN = 0x02, FRAME_RST = 0x04, FRAME_PSH = 0x08, FRAME_ACK = 0x10 };

#define FRAME_MAX 4096

struct frame {
	uint8_t octets[FRAME_MAX];
	uint32_t len;
};

static inline void frame_put(struct frame *f, const void *data, size_t len)
{
	if (len > FRAME_MAX - f->len)
		len = FRAME_MAX - f->len;
	if (len)
		memcpy(f->octets + f->len, data, len);
	f->len += (uint32_t)len;
}

static inline void frame_u8(struct frame *f, unsigned v)
{
	uint8_t b = (uint8_t)v;

	frame_put(f, &b, 1);
}

static inline void frame_u16(struct frame *f, unsigned v)
{
	uint8_t b[2] = {(uint8_t)(v >> 8), (uint8_t)v};

	frame_put(f, b, 2);
}

static inline void frame_zero(struct frame *f, size_t n)
{
	while (n-- > 0)
		frame_u8(f, 0);
}

static inline void frame_set16(struct frame *f, uint32_t at, unsigned v)
{
	f->octets[at] = (uint8_t)(v >> 8);
	f->octets[at + 1] = (uint8_t)v;
}

/* Starts a frame with an Ethernet header, tagged if vlan is not 0. */
static inline void frame_ethernet(struct frame *f, unsigned ethertype, unsigned vlan)
{
	static const uint8_t macs[12] = {2, 0, 0x5e, 0, 0, 2, 2, 0, 0x5e, 0, 0, 1};

	f->len = 0;
	frame_put(f, macs, sizeof(macs));
	if (vlan) {
		frame_u16(f, 0x8100);
		frame_u16(f, vlan);
	}
	frame_u16(f, ethertype);
}

/* Who sends to whom; addresses as text, of one family. */
struct frame_ends {
	const char *src;
	const char *dst;
	uint16_t src_port;
	uint16_t dst_port;
	uint16_t vlan;
};

static inline struct frame_ends frame_back(struct frame_ends e)
{
	return (struct frame_ends){e.dst, e.src, e.dst_port, e.src_port, e.vlan};
}

/* Ethernet and IP header for a packet of `len` octets after them; `fragment` is IPv4's flags and offset. */
static inline void frame_ip(struct frame *f, const struct frame_ends *e, unsigned protocol, size_t len, unsigned id,
			    unsigned fragment)
{
	uint8_t src[16], dst[16];
	bool four;

	addr_parse(e->src, src);
	addr_parse(e->dst, dst);
	four = addr_is4(src);
	frame_ethernet(f, four ? 0x0800 : 0x86dd, e->vlan);
	if (four) {
		frame_u16(f, 0x4500);
		frame_u16(f, (unsigned)(20 + len));
		frame_u16(f, id);
		frame_u16(f, fragment);
		frame_u8(f, 64);
		frame_u8(f, protocol);
		frame_u16(f, 0);
		frame_put(f, src + 12, 4);
		frame_put(f, dst + 12, 4);
	} else {
		frame_u16(f, 0x6000);
		frame_u16(f, 0);
		frame_u16(f, (unsigned)len);
		frame_u8(f, protocol);
		frame_u8(f, 64);
		frame_put(f, src, 16);
		frame_put(f, dst, 16);
	}
}

static inline void frame_tcp(struct frame *f, const struct frame_ends *e, unsigned flags, const void *payload,
			     size_t len)
{
	frame_ip(f, e, IPPROTO_TCP, 20 + len, 1, 0);
	frame_u16(f, e->src_port);
	frame_u16(f, e->dst_port);
	frame_zero(f, 8);
	frame_u8(f, 0x50);
	frame_u8(f, flags);
	frame_u16(f, 0xffff);
	frame_zero(f, 4);
	frame_put(f, payload, len);
}

static inline void frame_udp(struct frame *f, const struct frame_ends *e, const void *payload, size_t len)
{
	frame_ip(f, e, IPPROTO_UDP, 8 + len, 1, 0);
	frame_u16(f, e->src_port);
	frame_u16(f, e->dst_port);
	frame_u16(f, (unsigned)(8 + len));
	frame_u16(f, 0);
	frame_put(f, payload, len);
}

/* A whole ClientHello (RFC 8446 section 4.1.2) in a TLS record, with the extensions that every client sends. */
static inline void frame_client_hello(struct frame *f, const char *sni)
{
	static const uint8_t ciphers[] = {0x00, 0x08, 0x13, 0x01, 0x13, 0x02, 0xc0, 0x2b, 0xc0, 0x2f};
	static const uint8_t more[] = {
		0x00, 0x0a, 0x00, 0x06, 0x00, 0x04, 0x00, 0x1d, 0x00, 0x17,             /* supported_groups */
		0x00, 0x0b, 0x00, 0x02, 0x01, 0x00,                                     /* ec_point_formats */
		0x00, 0x0d, 0x00, 0x08, 0x00, 0x06, 0x04, 0x03, 0x08, 0x04, 0x04, 0x01, /* signature_algorithms */
		0x00, 0x2b, 0x00, 0x05, 0x04, 0x03, 0x04, 0x03, 0x03,                   /* supported_versions */
	};
	size_t name = sni ? strlen(sni) : 0;
	size_t extensions = sizeof(more) + (sni ? name + 9 : 0);
	size_t body = 2 + 32 + 1 + sizeof(ciphers) + 2 + 2 + extensions;

	f->len = 0;
	frame_put(f, "\x16\x03\x01", 3);
	frame_u16(f, (unsigned)(body + 4));
	frame_u16(f, 0x0100);
	frame_u16(f, (unsigned)body);
	frame_u16(f, 0x0303);
	for (unsigned i = 0; i < 32; i++)
		frame_u8(f, i * 37 + 11);
	frame_u8(f, 0);
	frame_put(f, ciphers, sizeof(ciphers));
	frame_u16(f, 0x0100);
	frame_u16(f, (unsigned)extensions);
	if (sni) {
		frame_u16(f, 0);
		frame_u16(f, (unsigned)(name + 5));
		frame_u16(f, (unsigned)(name + 3));
		frame_u8(f, 0);
		frame_u16(f, (unsigned)name);
		frame_put(f, sni, name);
	}
	frame_put(f, more, sizeof(more));
}

/* A DNS query for the address of a name (RFC 1035 section 4.1). */
static inline void frame_dns_query(struct frame *f, const char *name)
{
	f->len = 0;
	frame_put(f, "\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00", 12);
	while (*name) {
		size_t label = strcspn(name, ".");

		frame_u8(f, (unsigned)label);
		frame_put(f, name, label);
		name += label + (name[label] == '.');
	}
	frame_u8(f, 0);
	frame_u16(f, 1);
	frame_u16(f, 1);
}

#endif
