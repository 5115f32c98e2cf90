/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/flow_sample.h"

#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define SAMPLE_OCTETS 64 /* of a packet, from its IP header on: with the time that tells it from others */
/* Two choices of one thing must not be one: they would not multiply. */
#define SAMPLE_OF_PACKETS UINT64_C(0x7061636b657473)
#define SAMPLE_OF_FLOWS UINT64_C(0x666c6f7773)

struct flow_sample flow_sample_one_in(uint64_t n)
{
	return (struct flow_sample){.below = n > 1 ? UINT64_MAX / n : 0};
}

/* What the fragments of a packet have in common. */
struct sample_fragments {
	uint8_t ip[2][16];
	uint64_t id;
};

static uint64_t sample_fragment(const struct packet *p)
{
	struct sample_fragments f = {.id = p->fragment_id};

	memcpy(f.ip[0], p->src_ip, 16);
	memcpy(f.ip[1], p->dst_ip, 16);
	return XXH3_64bits_withSeed(&f, sizeof(f), SAMPLE_OF_PACKETS);
}

bool flow_sample_hashed_packet(const struct flow_sample *s, const struct packet *p)
{
	size_t len = p->ip_captured < SAMPLE_OCTETS ? p->ip_captured : SAMPLE_OCTETS;
	uint64_t us = p->time_ms * 1000 + p->us;

	if (p->fragment)
		return sample_fragment(p) < s->below;
	return XXH3_64bits_withSeed(p->ip, len, us ^ SAMPLE_OF_PACKETS << 8) < s->below;
}

bool flow_sample_hashed_key(const struct flow_sample *s, const struct flow_key *k)
{
	struct flow_key key = *k;

	key.vlan = 0;
	return XXH3_64bits_withSeed(&key, sizeof(key), SAMPLE_OF_FLOWS) < s->below;
}
