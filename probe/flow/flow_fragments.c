/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/flow_fragments.h"

#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

static uint32_t fragment_place(const struct packet *p)
{
	struct {
		uint8_t ip[2][16];
		uint32_t id;
		uint32_t protocol;
	} key;

	/* cppcheck-suppress uninitvar ; it takes a row of the array for a pointer */
	memcpy(key.ip[0], p->src_ip, 16);
	memcpy(key.ip[1], p->dst_ip, 16);
	key.id = p->fragment_id;
	key.protocol = p->protocol;
	return (uint32_t)(XXH3_64bits(&key, sizeof(key)) % FRAGMENT_PLACES);
}

void flow_fragments_learn(struct flow_fragments *f, const struct packet *p)
{
	struct flow_fragment *e = &f->places[fragment_place(p)];

	e->time_ms = p->time_ms;
	memcpy(e->src_ip, p->src_ip, 16);
	memcpy(e->dst_ip, p->dst_ip, 16);
	e->id = p->fragment_id;
	e->src_port = p->src_port;
	e->dst_port = p->dst_port;
	e->protocol = p->protocol;
}

bool flow_fragments_find(const struct flow_fragments *f, struct packet *p)
{
	const struct flow_fragment *e = &f->places[fragment_place(p)];

	if (!e->time_ms || p->time_ms > e->time_ms + FRAGMENT_LIFE_MS || e->id != p->fragment_id ||
	    e->protocol != p->protocol || memcmp(e->src_ip, p->src_ip, 16) != 0 ||
	    memcmp(e->dst_ip, p->dst_ip, 16) != 0)
		return false;
	p->src_port = e->src_port;
	p->dst_port = e->dst_port;
	return true;
}
