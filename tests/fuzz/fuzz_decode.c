/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The input is a frame, after an octet that is its link type and one that says how many octets more than these there were on the
 * wire. What comes out must be inside the frame, agree with itself, and depend on nothing but the frame.
 */
#include <string.h>

#include "decode/decode.h"
#include "fuzz.h"
#include "l7/record.h"

static void check_inside(const struct packet *p, const uint8_t *frame, size_t size)
{
	uint32_t header = p->ip_version == 4 ? 20 : 40;

	FUZZ_CHECK(p->ip_version == 4 || p->ip_version == 6);
	FUZZ_CHECK(p->ip >= frame && p->ip + p->ip_captured <= frame + size);
	FUZZ_CHECK(p->ip_captured >= header && p->ip_captured <= p->octets);
	FUZZ_CHECK(p->payload >= p->ip + header && p->payload + p->payload_captured <= p->ip + p->ip_captured);
	FUZZ_CHECK(p->payload_captured <= p->payload_len && p->payload_len <= p->octets - header);
	FUZZ_CHECK(p->vlan_id < 4096 && p->inner_vlan_id < 4096);
	FUZZ_CHECK(!p->src_mac == !p->dst_mac);
	FUZZ_CHECK(!p->src_mac || (p->src_mac >= frame && p->src_mac + 6 <= p->ip));
	FUZZ_CHECK(!p->dst_mac || (p->dst_mac >= frame && p->dst_mac + 6 <= p->ip));
	FUZZ_CHECK(p->fragment || !p->later_fragment);
	FUZZ_CHECK(!p->later_fragment || (p->src_port == 0 && p->dst_port == 0 && p->tcp_flags == 0));
	FUZZ_CHECK(p->protocol == 6 || p->tcp_flags == 0);
	FUZZ_CHECK(p->protocol == 6 || p->protocol == 17 || p->protocol == 132 ||
		   (p->src_port == 0 && p->dst_port == 0));
	FUZZ_CHECK(p->tunnels <= DECODE_TUNNELS_MAX);
	for (unsigned i = 0; i < p->tunnels; i++) {
		FUZZ_CHECK(p->tunnel[i].kind != L7_TUNNEL_NONE && p->tunnel[i].kind < L7_TUNNEL_COUNT);
		FUZZ_CHECK(memcmp(p->tunnel[i].ip[0], p->tunnel[i].ip[1], 16) <= 0 && p->tunnel[i].vlan_id < 4096);
	}
	FUZZ_CHECK(!(p->tunnel_flags & PACKET_TUNNEL_FRAGMENT) || p->around.tunnel < p->tunnels);
}

static void check_same(const struct packet *a, const struct packet *b)
{
	FUZZ_CHECK(memcmp(a->src_ip, b->src_ip, 16) == 0 && memcmp(a->dst_ip, b->dst_ip, 16) == 0);
	FUZZ_CHECK(a->src_port == b->src_port && a->dst_port == b->dst_port && a->vlan_id == b->vlan_id);
	FUZZ_CHECK(a->ip_version == b->ip_version && a->protocol == b->protocol && a->tos == b->tos &&
		   a->ttl == b->ttl);
	FUZZ_CHECK(a->tcp_flags == b->tcp_flags && a->fragment == b->fragment &&
		   a->later_fragment == b->later_fragment);
	FUZZ_CHECK(a->icmp_type_code == b->icmp_type_code && a->fragment_id == b->fragment_id &&
		   a->octets == b->octets);
	FUZZ_CHECK(a->inner_vlan_id == b->inner_vlan_id && a->src_mac == b->src_mac && a->dst_mac == b->dst_mac);
	FUZZ_CHECK(a->ip == b->ip && a->ip_captured == b->ip_captured && a->payload == b->payload);
	FUZZ_CHECK(a->payload_captured == b->payload_captured && a->payload_len == b->payload_len);
	FUZZ_CHECK(a->tunnels == b->tunnels && a->tunnel_flags == b->tunnel_flags);
	FUZZ_CHECK(memcmp(a->tunnel, b->tunnel, a->tunnels * sizeof(a->tunnel[0])) == 0);
	FUZZ_CHECK(!a->tunnels || (a->tunnel_id == b->tunnel_id && a->outer_turned == b->outer_turned));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct packet a, b;
	enum decode_result r;
	const uint8_t *frame = data + 2;
	enum decode_link link;
	uint32_t captured, wire;

	if (size < 2 || size > 65536)
		return 0;
	link = (enum decode_link)(data[0] % DECODE_LINKS);
	captured = (uint32_t)size - 2;
	wire = captured + data[1] * 16u;
	memset(&a, 0, sizeof(a));
	memset(&b, 0xff, sizeof(b));
	a.tunnels_max = b.tunnels_max = DECODE_TUNNELS_MAX;
	r = decode_frame(link, frame, captured, wire, &a);
	FUZZ_CHECK((unsigned)r < DECODE_KINDS);
	FUZZ_CHECK(decode_frame(link, frame, captured, wire, &b) == r);
	if (r != DECODE_OK)
		return 0;
	check_inside(&a, frame, captured);
	check_same(&a, &b);
	/* With one octet less captured it is the same packet, or none, or that around it. */
	if (decode_frame(link, frame, captured - 1, wire > captured ? wire : captured, &b) == DECODE_OK) {
		check_inside(&b, frame, captured - 1);
		FUZZ_CHECK(b.tunnels <= a.tunnels);
		if (b.tunnels < a.tunnels)
			return 0;
		FUZZ_CHECK(a.src_port == b.src_port && a.dst_port == b.dst_port && a.protocol == b.protocol);
		FUZZ_CHECK(a.octets == b.octets && memcmp(a.src_ip, b.src_ip, 16) == 0);
	}
	return 0;
}
