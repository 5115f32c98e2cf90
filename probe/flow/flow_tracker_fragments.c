/* SPDX-License-Identifier: Apache-2.0 */
/* The life of flows, as far as it comes in fragments: what is known of them is in flow_fragments.c. */
#include <netinet/in.h>
#include <string.h>

#include "flow/flow_tracker_internal.h"

enum { TCP_HEADER = 20 };

_Static_assert(FRAGMENT_WAIT_MS <= FLOW_SLACK_MS, "fragments are given up before the flow of those before them ends");

static void fragment_name(struct flow_fragment_name *name, const struct packet *p, const struct flow_lookup *l)
{
	name->key = l->key;
	name->end = l->end;
	if (memcmp(p->src_ip, p->dst_ip, sizeof(p->src_ip)) == 0)
		name->end = 0; /* it was told by the ports */
	name->key.port[0] = name->key.port[1] = 0;
	if (p->ip_version == 6)
		name->key.protocol = 0;
	name->id = p->fragment_id;
	name->in = l->in;
}

static void fragment_count(struct flow_tracker *t, enum flow_fragment_kind kind)
{
	if (kind == FRAGMENT_DUPLICATE)
		shared_add(&t->shared->counters.fragments_duplicate, 1);
	else if (kind == FRAGMENT_OVERLAP)
		shared_add(&t->shared->counters.fragments_overlap, 1);
}

/* RFC 1858 and RFC 3128: flags that a filter does not see, or sees another's in place of. */
static bool fragment_is_tiny(const struct packet *p)
{
	if (p->protocol != IPPROTO_TCP)
		return false;
	return p->later_fragment ? p->fragment_at < TCP_HEADER : p->fragment_len < TCP_HEADER;
}

/* It waits no longer, and has no ports. */
static void fragment_give_up(struct flow_tracker *t, uint32_t place)
{
	struct packet p;

	flow_fragments_packet(t->store.fragments, place, &p);
	shared_add(&t->shared->counters.fragments_unknown, 1);
	flow_tracker_late(t, &p, place);
}

/* Returns false if it must not: too many do. */
static bool fragment_wait(struct flow_tracker *t, const struct flow_fragment_name *name, const struct packet *p)
{
	struct flow_fragments *f = t->store.fragments;
	struct flow_journal *j = &t->store.head->journal;

	if (!flow_fragments_may_wait(f, name))
		return false;
	flow_tracker_clock(t, p->time_ms);
	if (flow_fragments_waits(f, flow_fragments_place(f))) {
		shared_add(&t->shared->counters.fragments_crowded, 1);
		fragment_give_up(t, flow_fragments_place(f));
	}
	flow_fragments_put(f, name, p);
	j->waits = f->waits + 1;
	flow_journal_set(&j->stage, FLOW_STAGE_WAIT);
	flow_fragments_keep(f, j->waits);
	flow_journal_set(&j->stage, FLOW_STAGE_FRAME);
	shared_add(&t->shared->counters.fragments_waited, 1);
	return true;
}

/* The one in a place if its first is known by now. */
static void fragment_try(struct flow_tracker *t, const struct flow_fragment_name *name, uint32_t place)
{
	enum flow_fragment_kind kind;
	struct packet p;

	flow_fragments_packet(t->store.fragments, place, &p);
	kind = flow_fragments_later(t->store.fragments, name, &p);
	if (kind == FRAGMENT_UNKNOWN)
		return;
	fragment_count(t, kind);
	flow_tracker_late(t, &p, place);
}

/* Those of a packet whose first is known by now. */
static void fragment_try_all(struct flow_tracker *t, const struct flow_fragment_name *name)
{
	struct flow_fragments *f = t->store.fragments;
	uint32_t next;

	for (uint32_t i = flow_fragments_next(f, name, FRAGMENT_WAITS); i < FRAGMENT_WAITS; i = next) {
		next = flow_fragments_next(f, name, i);
		fragment_try(t, name, i);
	}
}

static void fragment_first(struct flow_tracker *t, const struct flow_fragment_name *name, struct packet *p)
{
	struct flow_fragments *f = t->store.fragments;
	enum flow_fragment_kind kind = flow_fragments_first(f, name, p);

	fragment_count(t, kind);
	if (kind == FRAGMENT_OVERLAP) { /* what it says is not what its receiver reads */
		p->later_fragment = true;
		p->tcp_flags = 0;
		p->tcp = NULL;
	}
	flow_tracker_known(t, p);
	if (kind == FRAGMENT_OVERLAP)
		return;
	/* For a copy there are some only if a worker has died with the first one. */
	fragment_try_all(t, name);
}

void flow_tracker_around(struct flow_tracker *t, const struct packet *p)
{
	const struct packet_around *a = &p->around;
	const struct packet_tunnel *in = &p->tunnel[a->tunnel];
	struct packet outer = {.time_ms = p->time_ms,
			       .us = p->us,
			       .src_port = a->src_port,
			       .dst_port = a->dst_port,
			       .vlan_id = in->vlan_id,
			       .ip_version = a->ip_version,
			       .protocol = a->protocol,
			       .fragment = true,
			       .more_fragments = true,
			       .fragment_id = a->id,
			       .fragment_len = a->len,
			       .tunnels = a->tunnel};
	struct flow_fragment_name name;
	struct flow_lookup l;

	memcpy(outer.src_ip, in->ip[a->turned], 16);
	memcpy(outer.dst_ip, in->ip[!a->turned], 16);
	memcpy(outer.tunnel, p->tunnel, sizeof(outer.tunnel));
	flow_tracker_expect(t, &l, &outer);
	fragment_name(&name, &outer, &l);
	shared_add(&t->shared->counters.fragments, 1);
	fragment_count(t, flow_fragments_first(t->store.fragments, &name, &outer));
	fragment_try_all(t, &name);
}

void flow_tracker_fragment(struct flow_tracker *t, struct packet *p, const struct flow_lookup *l)
{
	struct flow_fragment_name name;
	enum flow_fragment_kind kind;

	fragment_name(&name, p, l);
	shared_add(&t->shared->counters.fragments, 1);
	if (fragment_is_tiny(p))
		shared_add(&t->shared->counters.fragments_tiny, 1);
	if (!p->later_fragment) {
		fragment_first(t, &name, p);
		return;
	}
	kind = flow_fragments_later(t->store.fragments, &name, p);
	fragment_count(t, kind);
	if (kind == FRAGMENT_UNKNOWN) {
		if (fragment_wait(t, &name, p))
			return;
		shared_add(&t->shared->counters.fragments_crowded, 1);
		shared_add(&t->shared->counters.fragments_unknown, 1);
	}
	flow_tracker_known(t, p);
}

void flow_tracker_fragments_expire(struct flow_tracker *t, bool all)
{
	struct flow_fragments *f = t->store.fragments;
	uint32_t place;

	while ((place = flow_fragments_oldest(f)) < FRAGMENT_WAITS &&
	       (all || flow_fragments_due(f, place, FRAGMENT_WAIT_MS, t->clock_ms)))
		fragment_give_up(t, place);
}

void flow_tracker_fragments_known(struct flow_tracker *t)
{
	struct flow_fragments *f = t->store.fragments;

	for (uint64_t n = f->oldest; n != f->waits; n++) {
		uint32_t place = (uint32_t)(n % FRAGMENT_WAITS);

		if (flow_fragments_waits(f, place))
			fragment_try(t, &f->wait[place].name, place);
	}
}
