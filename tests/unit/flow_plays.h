/* SPDX-License-Identifier: Apache-2.0 */
/* Frames after which something becomes of a flow with the last one; for tests that end a worker in the middle of that. */
#ifndef TESTS_FLOW_PLAYS_H
#define TESTS_FLOW_PLAYS_H

#include "flow/flow_tracker.h"
#include "frames.h"

#define FLOWS_MAX 4
#define FRAMES 16

/* A play: frames, the last of which is the one to die in. */
struct play {
	const char *name;
	void (*frames)(struct frame *f, uint64_t *at_ms, unsigned *n);
	bool expires;
};

static void add_udp(struct frame *f, uint64_t *at_ms, unsigned *n, unsigned host, bool back, uint64_t at)
{
	static const char *const hosts[] = {"192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4", "192.0.2.5"};
	struct frame_ends e = {hosts[host], "198.51.100.1", 1000, 2000, 0};
	struct frame_ends b = {"198.51.100.1", hosts[host], 2000, 1000, 0};

	frame_udp(&f[*n], back ? &b : &e, "", 0);
	at_ms[(*n)++] = at;
}

static void add_tcp(struct frame *f, uint64_t *at_ms, unsigned *n, unsigned flags, uint64_t at)
{
	struct frame_ends e = {"192.0.2.9", "198.51.100.1", 1000, 443, 0};

	frame_tcp(&f[*n], &e, flags, "", 0);
	at_ms[(*n)++] = at;
}

static void play_new(struct frame *f, uint64_t *at_ms, unsigned *n)
{
	add_udp(f, at_ms, n, 0, false, 0);
	add_udp(f, at_ms, n, 1, false, 10);
}

static void play_more(struct frame *f, uint64_t *at_ms, unsigned *n)
{
	add_udp(f, at_ms, n, 0, false, 0);
	add_udp(f, at_ms, n, 0, true, 10);
	add_udp(f, at_ms, n, 0, true, 5);
}

static void play_over(struct frame *f, uint64_t *at_ms, unsigned *n)
{
	add_udp(f, at_ms, n, 0, false, 0);
	add_udp(f, at_ms, n, 0, false, 15001);
}

static void play_cut(struct frame *f, uint64_t *at_ms, unsigned *n)
{
	for (unsigned i = 0; i <= 6; i++)
		add_udp(f, at_ms, n, 0, i % 2, i * 10000);
}

static void play_evicted(struct frame *f, uint64_t *at_ms, unsigned *n)
{
	for (unsigned i = 0; i <= FLOWS_MAX; i++)
		add_udp(f, at_ms, n, i, false, i * 600);
}

/* The end of a flow that was not classified yet: an early record, then it lingers. */
static void play_reset(struct frame *f, uint64_t *at_ms, unsigned *n)
{
	add_tcp(f, at_ms, n, FRAME_SYN, 0);
	add_tcp(f, at_ms, n, FRAME_RST, 10);
}

/* Of a connection: a second segment, a fourth packet in a direction, an end that gives all that back. */
static void play_answered(struct frame *f, uint64_t *at_ms, unsigned *n)
{
	add_tcp(f, at_ms, n, FRAME_SYN, 0);
	add_tcp(f, at_ms, n, FRAME_SYN, 10);
}

static void play_many(struct frame *f, uint64_t *at_ms, unsigned *n)
{
	for (unsigned i = 0; i < 4; i++)
		add_tcp(f, at_ms, n, i ? FRAME_ACK : FRAME_SYN, i * 10);
}

static void play_ended(struct frame *f, uint64_t *at_ms, unsigned *n)
{
	play_many(f, at_ms, n);
	add_tcp(f, at_ms, n, FRAME_RST, 50);
	add_tcp(f, at_ms, n, FRAME_SYN, 60);
}

static void play_refused(struct frame *f, uint64_t *at_ms, unsigned *n)
{
	add_udp(f, at_ms, n, 0, false, 0);
	f[*n] = (struct frame){.len = 14};
	at_ms[(*n)++] = 10;
}

/* A datagram's fragment of 16 octets, the first of them (0), or one after it. */
static void add_fragment(struct frame *f, uint64_t *at_ms, unsigned *n, unsigned part, uint64_t at)
{
	struct frame_ends e = {"192.0.2.1", "198.51.100.1", 1000, 2000, 0};

	frame_ip(&f[*n], &e, IPPROTO_UDP, 16, 77, part * 2 | (part < 3 ? 0x2000u : 0));
	frame_u16(&f[*n], e.src_port);
	frame_u16(&f[*n], e.dst_port);
	frame_zero(&f[*n], 12);
	at_ms[(*n)++] = at;
}

static void play_fragment(struct frame *f, uint64_t *at_ms, unsigned *n)
{
	add_udp(f, at_ms, n, 0, false, 0);
	add_fragment(f, at_ms, n, 1, 10);
}

/* Two have waited, and all three are copied to the flow. */
static void play_first(struct frame *f, uint64_t *at_ms, unsigned *n)
{
	add_fragment(f, at_ms, n, 3, 10);
	add_fragment(f, at_ms, n, 1, 20);
	add_fragment(f, at_ms, n, 0, 30);
}

static void play_known(struct frame *f, uint64_t *at_ms, unsigned *n)
{
	add_fragment(f, at_ms, n, 0, 10);
	add_fragment(f, at_ms, n, 3, 20);
}

/* Two have waited for too long: they are given up before the frame. */
static void play_given_up(struct frame *f, uint64_t *at_ms, unsigned *n)
{
	add_fragment(f, at_ms, n, 2, 0);
	add_fragment(f, at_ms, n, 1, 10);
	add_udp(f, at_ms, n, 1, false, FRAGMENT_WAIT_MS + 20);
}

/* A datagram of a flow in IP in IP, one tunnel in the other, the outer between ends of their own. */
static void add_tunnel(struct frame *f, uint64_t *at_ms, unsigned *n, unsigned tunnel, unsigned host, uint64_t at)
{
	static const char *const ends[] = {"203.0.113.1", "203.0.113.2", "203.0.113.3", "203.0.113.4", "203.0.113.5"};
	struct frame_ends around = {ends[tunnel], "203.0.113.99", 0, 0, 0};
	unsigned last = *n;
	struct frame inner;

	add_udp(f, at_ms, n, host, false, at);
	inner = f[last];
	frame_ip(&f[last], &around, IPPROTO_IPIP, inner.len - 14 + 20, 1, 0);
	frame_put(&f[last], inner.octets + 14, 20);
	f[last].octets[14 + 20 + 9] = IPPROTO_IPIP;
	frame_set16(&f[last], 14 + 20 + 2, inner.len - 14 + 20);
	frame_put(&f[last], inner.octets + 14, inner.len - 14);
}

static void play_tunnel(struct frame *f, uint64_t *at_ms, unsigned *n)
{
	add_udp(f, at_ms, n, 0, false, 0);
	add_tunnel(f, at_ms, n, 0, 0, 10);
	add_tunnel(f, at_ms, n, 1, 0, 20);
}

/* The flow was the last in its tunnel, and another one is in it. */
static void play_tunnel_over(struct frame *f, uint64_t *at_ms, unsigned *n)
{
	add_tunnel(f, at_ms, n, 0, 0, 0);
	add_tunnel(f, at_ms, n, 0, 0, 15001);
}

static void play_tunnel_evicted(struct frame *f, uint64_t *at_ms, unsigned *n)
{
	for (unsigned i = 0; i <= FLOWS_MAX; i++)
		add_tunnel(f, at_ms, n, i, 0, i * 600);
}

static const struct play plays[] = {{"new flow", play_new, false},
				    {"more of a flow", play_more, false},
				    {"flow is over", play_over, false},
				    {"flow is cut", play_cut, false},
				    {"flow is evicted", play_evicted, false},
				    {"flow is reset", play_reset, false},
				    {"segments begin", play_answered, false},
				    {"packets are many", play_many, false},
				    {"connection is over", play_ended, false},
				    {"frame is refused", play_refused, false},
				    {"fragment waits", play_fragment, false},
				    {"first fragment comes", play_first, false},
				    {"first fragment was there", play_known, false},
				    {"fragments are given up", play_given_up, true},
				    {"new flow in a tunnel", play_tunnel, false},
				    {"flow in a tunnel is over", play_tunnel_over, false},
				    {"flow in a tunnel is evicted", play_tunnel_evicted, false}};

#endif
