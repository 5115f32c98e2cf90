/* SPDX-License-Identifier: Apache-2.0 */
/* Packets cut into fragments, for tests. */
#ifndef TESTS_WHOLES_H
#define TESTS_WHOLES_H

#include "frames.h"

#define PART 320 /* octets of a fragment: what nDPI needs is in the first */

/* A packet, as a frame that has no fragments, and what it is cut into. */
struct whole {
	struct frame frame;
	uint32_t header; /* octets before its data */
	unsigned id;
};

static inline bool whole_is6(const struct whole *w)
{
	return w->frame.octets[12] == 0x86;
}

/* Octets [at, at + len) of its data, as a fragment. */
static inline void whole_part(const struct whole *w, struct frame *f, uint32_t at, uint32_t len, bool more)
{
	f->len = 0;
	frame_put(f, w->frame.octets, w->header);
	if (whole_is6(w)) {
		frame_set16(f, 14 + 4, 8 + len);
		frame_u8(f, f->octets[14 + 6]);
		f->octets[14 + 6] = 44;
		frame_u8(f, 0);
		frame_u16(f, at | more);
		frame_u16(f, w->id >> 16);
		frame_u16(f, w->id);
	} else {
		frame_set16(f, 14 + 2, 20 + len);
		frame_set16(f, 14 + 4, w->id);
		frame_set16(f, 14 + 6, at / 8 | (more ? 0x2000u : 0));
	}
	frame_put(f, w->frame.octets + w->header + at, len);
}

static inline uint32_t whole_len(const struct whole *w)
{
	return w->frame.len - w->header;
}

/* Part n of those of PART octets. */
static inline void whole_nth(const struct whole *w, struct frame *f, unsigned n)
{
	uint32_t at = n * PART, left = whole_len(w) - at;

	whole_part(w, f, at, left > PART ? PART : left, left > PART);
}

static inline unsigned whole_parts(const struct whole *w)
{
	return (whole_len(w) + PART - 1) / PART;
}

static inline void whole_udp(struct whole *w, const struct frame_ends *e, unsigned id, size_t len)
{
	static const uint8_t octets[FRAME_MAX] = {0x3d, 0x91, 0xc7, 0x55, 0xaa, 0x1e, 0x77, 0x02};

	frame_udp(&w->frame, e, octets, len);
	w->header = whole_is6(w) ? 54 : 34;
	w->id = id;
}

/* A query whose padding (RFC 7830) fills four fragments. */
static inline void whole_dns(struct whole *w, const struct frame_ends *e)
{
	const unsigned padding = 1000;
	struct frame query;

	frame_dns_query(&query, "fragments.example");
	frame_set16(&query, 10, 1); /* one additional record: OPT (RFC 6891) */
	frame_u8(&query, 0);
	frame_u16(&query, 41);
	frame_u16(&query, 4096);
	frame_zero(&query, 4);
	frame_u16(&query, padding + 4);
	frame_u16(&query, 12);
	frame_u16(&query, padding);
	frame_zero(&query, padding);
	frame_udp(&w->frame, e, query.octets, query.len);
	w->header = whole_is6(w) ? 54 : 34;
	w->id = 0x51234;
}

/* The first segment: a ClientHello, and early data behind it (RFC 8446 section 2.3). */
static inline void whole_tls(struct whole *w, const struct frame_ends *e)
{
	struct frame_ends to = *e;
	struct frame hello;

	to.dst_port = 443;
	frame_client_hello(&hello, "fragments.example");
	frame_put(&hello, "\x17\x03\x03\x02\x00", 5);
	frame_zero(&hello, 512);
	frame_tcp(&w->frame, &to, FRAME_PSH | FRAME_ACK, hello.octets, hello.len);
	w->header = whole_is6(w) ? 54 : 34;
	w->id = 0x1ffff;
}

#endif
