/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/flow_fragments.h"

#include <stdatomic.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "flow/flow_tunnels.h"

#define FRAGMENT_END_MAX 0x20000u /* of octets in a packet: none has more, whatever its fragments say */

static bool fragment_same(const struct flow_fragment_name *a, const struct flow_fragment_name *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

static uint64_t fragment_hash(const struct flow_fragments *f, const struct flow_fragment_name *name)
{
	return XXH3_64bits_withSeed(name, sizeof(*name), f->seed);
}

static uint32_t *fragment_first_bucket(struct flow_fragments *f, const struct flow_fragment_name *name)
{
	return &f->firsts[fragment_hash(f, name) % FRAGMENT_FIRSTS];
}

static uint32_t *fragment_wait_bucket(struct flow_fragments *f, const struct flow_fragment_name *name)
{
	return &f->waiting[fragment_hash(f, name) % FRAGMENT_WAITS];
}

static uint64_t fragment_apart(uint64_t a, uint64_t b)
{
	return a > b ? a - b : b - a;
}

/* ---- first fragments ---- */

static struct flow_fragment_first *first_find(struct flow_fragments *f, const struct flow_fragment_name *name)
{
	for (uint32_t i = *fragment_first_bucket(f, name); i; i = f->first[i - 1].next)
		if (fragment_same(&f->first[i - 1].name, name))
			return &f->first[i - 1];
	return NULL;
}

static void first_link(struct flow_fragments *f, struct flow_fragment_first *e)
{
	uint32_t *bucket = fragment_first_bucket(f, &e->name);

	e->next = *bucket;
	*bucket = (uint32_t)(e - f->first) + 1;
}

static void first_forget(struct flow_fragments *f, struct flow_fragment_first *e)
{
	uint32_t *link = fragment_first_bucket(f, &e->name);

	while (*link && &f->first[*link - 1] != e)
		link = &f->first[*link - 1].next;
	if (*link)
		*link = e->next;
	e->first_ms = 0;
	atomic_signal_fence(memory_order_seq_cst); /* not half of one and half of another, for who adopts it */
}

static bool first_is_whole(const struct flow_fragment_first *e)
{
	return e->end && e->covered >= e->end;
}

/* Whether a later fragment of this time is one of its packet, and not of another with the same name. */
static bool first_has(const struct flow_fragment_first *e, uint64_t time_ms)
{
	if (time_ms < e->first_ms)
		return e->first_ms - time_ms <= FRAGMENT_WAIT_MS;
	if (first_is_whole(e) && time_ms > e->last_ms && time_ms - e->last_ms > FRAGMENT_SAME_MS)
		return false;
	return time_ms - e->first_ms <= FRAGMENT_LIFE_MS;
}

/* Octets that were not there before. Of a packet in very many fragments some are left out once there is no room. */
static void first_cover(struct flow_fragment_first *e, uint32_t at, uint32_t len)
{
	e->covered += len;
	if (e->n_pieces < FRAGMENT_PIECES) {
		e->pieces[e->n_pieces].at = (uint16_t)at;
		e->pieces[e->n_pieces++].len = (uint16_t)len;
		return;
	}
	for (unsigned i = 0; i < FRAGMENT_PIECES; i++) {
		uint32_t from = e->pieces[i].at, has = e->pieces[i].len;

		if ((from + has != at && at + len != from) || has + len > UINT16_MAX)
			continue;
		if (at < from)
			e->pieces[i].at = (uint16_t)at;
		e->pieces[i].len = (uint16_t)(has + len);
		e->joined |= (uint16_t)(1u << i);
		return;
	}
}

/* What a fragment is beside those that were there before, with which it is now. */
static enum flow_fragment_kind first_add(struct flow_fragment_first *e, const struct packet *p)
{
	uint32_t at = p->fragment_at, len = p->fragment_len < UINT16_MAX ? p->fragment_len : UINT16_MAX;

	if (p->time_ms > e->last_ms)
		e->last_ms = p->time_ms;
	if (!p->more_fragments && !e->end)
		e->end = at + len;
	if (!len)
		return FRAGMENT_NEW;
	for (unsigned i = 0; i < e->n_pieces && i < FRAGMENT_PIECES; i++) {
		uint32_t from = e->pieces[i].at, to = from + e->pieces[i].len;

		if ((from == at && to == at + len) || (e->joined >> i & 1 && from <= at && at + len <= to))
			return FRAGMENT_DUPLICATE;
		if (at < to && from < at + len)
			return FRAGMENT_OVERLAP;
	}
	if (e->covered < FRAGMENT_END_MAX)
		first_cover(e, at, len);
	return FRAGMENT_NEW;
}

enum flow_fragment_kind flow_fragments_first(struct flow_fragments *f, const struct flow_fragment_name *name,
					     struct packet *p)
{
	struct flow_fragment_first *e = first_find(f, name);

	if (e && fragment_apart(p->time_ms, e->last_ms) <= FRAGMENT_SAME_MS) {
		bool same = e->src_port == p->src_port && e->dst_port == p->dst_port && e->protocol == p->protocol;

		if (same)
			return first_add(e, p);
		if (!first_is_whole(e)) {
			p->src_port = e->src_port;
			p->dst_port = e->dst_port;
			p->protocol = e->protocol;
			return FRAGMENT_OVERLAP;
		}
	}
	if (e)
		first_forget(f, e);
	e = &f->first[f->learned % FRAGMENT_FIRSTS];
	if (e->first_ms)
		first_forget(f, e);
	e->name = *name;
	e->last_ms = p->time_ms;
	e->src_port = p->src_port;
	e->dst_port = p->dst_port;
	e->protocol = p->protocol;
	e->end = e->covered = 0;
	e->n_pieces = 0;
	e->joined = 0;
	first_add(e, p);
	first_link(f, e);
	atomic_signal_fence(memory_order_seq_cst);
	e->first_ms = p->time_ms ? p->time_ms : 1;
	f->learned++;
	return FRAGMENT_NEW;
}

enum flow_fragment_kind flow_fragments_later(struct flow_fragments *f, const struct flow_fragment_name *name,
					     struct packet *p)
{
	struct flow_fragment_first *e = first_find(f, name);

	if (!e || !first_has(e, p->time_ms))
		return FRAGMENT_UNKNOWN;
	p->src_port = e->src_port;
	p->dst_port = e->dst_port;
	p->protocol = e->protocol;
	return first_add(e, p);
}

/* ---- those that wait ---- */

/* At the end of its bucket: they are taken in in the order in which they came. */
static void wait_link(struct flow_fragments *f, uint32_t place)
{
	uint32_t *link = fragment_wait_bucket(f, &f->wait[place].name);

	while (*link)
		link = &f->wait[*link - 1].next;
	f->wait[place].next = 0;
	*link = place + 1;
}

bool flow_fragments_may_wait(const struct flow_fragments *f, const struct flow_fragment_name *name)
{
	unsigned n = 0;

	for (uint32_t i = flow_fragments_next(f, name, FRAGMENT_WAITS); i < FRAGMENT_WAITS;
	     i = flow_fragments_next(f, name, i))
		n++;
	return n < FRAGMENT_WAITS_EACH;
}

uint32_t flow_fragments_place(const struct flow_fragments *f)
{
	return (uint32_t)(f->waits % FRAGMENT_WAITS);
}

bool flow_fragments_waits(const struct flow_fragments *f, uint32_t place)
{
	return f->wait[place].used;
}

void flow_fragments_put(struct flow_fragments *f, const struct flow_fragment_name *name, const struct packet *p)
{
	struct flow_fragment_wait *w = &f->wait[flow_fragments_place(f)];

	w->name = *name;
	w->packet = *p;
	w->packet.ip = w->packet.tcp = w->packet.payload = w->packet.dst_mac = w->packet.src_mac = NULL;
	w->packet.ip_captured = w->packet.payload_captured = 0;
	w->has_macs = p->dst_mac != NULL;
	if (p->dst_mac) {
		memcpy(w->macs, p->dst_mac, 6);
		memcpy(w->macs + 6, p->src_mac, 6);
	}
}

void flow_fragments_redo_keep(struct flow_fragments *f, uint64_t waits)
{
	f->waits = waits;
	f->wait[(waits - 1) % FRAGMENT_WAITS].used = 1;
}

void flow_fragments_keep(struct flow_fragments *f, uint64_t waits)
{
	flow_fragments_redo_keep(f, waits);
	if (f->waits - f->oldest > FRAGMENT_WAITS)
		f->oldest = f->waits - FRAGMENT_WAITS;
	wait_link(f, (uint32_t)((waits - 1) % FRAGMENT_WAITS));
}

void flow_fragments_redo_free(struct flow_fragments *f, uint32_t place)
{
	if (place < FRAGMENT_WAITS)
		f->wait[place].used = 0;
}

void flow_fragments_free(struct flow_fragments *f, uint32_t place)
{
	uint32_t *link = fragment_wait_bucket(f, &f->wait[place].name);

	while (*link && *link != place + 1)
		link = &f->wait[*link - 1].next;
	if (*link)
		*link = f->wait[place].next;
	f->wait[place].used = 0;
}

void flow_fragments_packet(struct flow_fragments *f, uint32_t place, struct packet *p)
{
	struct flow_fragment_wait *w = &f->wait[place];
	uint8_t more, turned;

	memcpy(p, &w->packet, sizeof(*p));
	memcpy(&more, &w->packet.more_fragments, sizeof(more)); /* as octets: they may be damaged */
	memcpy(&turned, &w->packet.outer_turned, sizeof(turned));
	p->more_fragments = more != 0;
	p->outer_turned = turned != 0;
	p->ip = p->tcp = p->payload = NULL;
	p->ip_captured = p->payload_captured = 0;
	p->dst_mac = w->has_macs ? w->macs : NULL;
	p->src_mac = w->has_macs ? w->macs + 6 : NULL;
	if (!flow_tunnels_known(p->tunnel, p->tunnels))
		p->tunnels = 0;
	p->fragment = p->later_fragment = true;
	p->tcp_flags = 0;
}

uint32_t flow_fragments_next(const struct flow_fragments *f, const struct flow_fragment_name *name, uint32_t place)
{
	uint32_t i = place < FRAGMENT_WAITS ? f->wait[place].next : f->waiting[fragment_hash(f, name) % FRAGMENT_WAITS];

	while (i && !fragment_same(&f->wait[i - 1].name, name))
		i = f->wait[i - 1].next;
	return i ? i - 1 : FRAGMENT_WAITS;
}

uint32_t flow_fragments_oldest(struct flow_fragments *f)
{
	for (; f->oldest != f->waits; f->oldest++)
		if (f->wait[f->oldest % FRAGMENT_WAITS].used)
			return (uint32_t)(f->oldest % FRAGMENT_WAITS);
	return FRAGMENT_WAITS;
}

bool flow_fragments_due(const struct flow_fragments *f, uint32_t place, uint64_t wait_ms, uint64_t now_ms)
{
	return fragment_apart(now_ms, f->wait[place].packet.time_ms) > wait_ms;
}

/* ---- what another has left ---- */

unsigned flow_fragments_adopt(struct flow_fragments *f, uint64_t seed)
{
	uint64_t firsts = f->learned < FRAGMENT_FIRSTS ? f->learned : FRAGMENT_FIRSTS;
	uint64_t waits = f->waits < FRAGMENT_WAITS ? f->waits : FRAGMENT_WAITS;
	unsigned damaged = 0;

	f->seed = seed;
	f->oldest = f->waits - waits;
	memset(f->firsts, 0, sizeof(f->firsts));
	memset(f->waiting, 0, sizeof(f->waiting));
	for (uint64_t n = f->learned - firsts; n != f->learned; n++) {
		struct flow_fragment_first *e = &f->first[n % FRAGMENT_FIRSTS];

		if (e->first_ms && !first_find(f, &e->name))
			first_link(f, e);
		else
			e->first_ms = 0;
	}
	for (uint64_t n = f->oldest; n != f->waits; n++) {
		struct flow_fragment_wait *w = &f->wait[n % FRAGMENT_WAITS];
		bool good = w->packet.ip_version == 4 || w->packet.ip_version == 6;

		if (!w->used)
			continue;
		w->used = good;
		damaged += !good;
		if (good)
			wait_link(f, (uint32_t)(n % FRAGMENT_WAITS));
	}
	return damaged;
}
