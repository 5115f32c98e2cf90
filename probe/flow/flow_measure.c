/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/flow_measure.h"

#include <netinet/in.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

#include "base/wire.h"
#include "flow/flow_store.h"
#include "l7/fields.h"

#define MEASURE_SIZE_MAX ((UINT32_C(1) << 24) - 1)
#define MEASURE_TIME_MAX ((UINT64_C(1) << 56) - 1)

enum { TCP_ACK = 0x10 };

/* Members of a record, and the group that fills them: so a field has its group by where it is. */
static const struct {
	size_t from;
	size_t size;
	unsigned group;
} measure_members[] = {
	{offsetof(struct l7_record, link), sizeof(struct l7_link), MEASURE_LINK},
	{offsetof(struct l7_record, tcp), sizeof(struct l7_tcp), MEASURE_TCP},
	{offsetof(struct l7_record, size), 2 * sizeof(struct l7_spread), MEASURE_SIZES},
	{offsetof(struct l7_record, iat_us), 2 * sizeof(struct l7_spread), MEASURE_TIMES},
};

unsigned flow_measure_groups(const uint64_t wanted[2])
{
	unsigned groups = 0;

	for (unsigned f = 0; f < L7_FIELD_COUNT; f++)
		for (size_t i = 0; i < sizeof(measure_members) / sizeof(measure_members[0]); i++)
			if (l7_wants(wanted, f) && l7_fields[f].offset >= measure_members[i].from &&
			    l7_fields[f].offset - measure_members[i].from < measure_members[i].size)
				groups |= measure_members[i].group;
	return groups;
}

void flow_measure_init(struct flow_measures *ms, const struct flow_store *store, unsigned groups)
{
	ms->groups = groups;
	ms->flows = store->measures;
	flow_pool_init(&ms->segments, store->segments, store->max, sizeof(struct flow_segments));
	flow_pool_init(&ms->spreads, store->spreads, store->max, sizeof(struct flow_spreads));
}

/* The block of a link, if it is this flow's. */
static void *measure_block(const struct flow_pool *p, uint32_t link, uint32_t owner)
{
	uint32_t said;
	void *block;

	if (link == 0 || link > p->max)
		return NULL;
	block = flow_pool_at(p, link);
	memcpy(&said, block, sizeof(said));
	return said == owner ? block : NULL;
}

/* A block for a flow, all else 0. It is the flow's once it is linked to. Returns 0 if there is none. */
static uint32_t measure_take(struct flow_pool *p, uint32_t owner)
{
	uint32_t link = flow_pool_take(p);

	if (link) {
		memset(flow_pool_at(p, link), 0, p->size);
		memcpy(flow_pool_at(p, link), &owner, sizeof(owner));
	}
	return link;
}

static void measure_give(struct flow_pool *p, uint32_t *link)
{
	uint32_t was = *link;

	*link = 0;
	atomic_signal_fence(memory_order_seq_cst);
	flow_pool_give(p, was);
}

static void measure_claim(struct flow_pool *p, uint32_t link)
{
	if (p->fresh <= link)
		p->fresh = link + 1;
}

static bool measure_has_tcp(const struct flow_measures *ms, const struct flow *f)
{
	return ms->groups & MEASURE_TCP && f->key.protocol == IPPROTO_TCP;
}

static struct flow_segments *measure_segments(const struct flow_measures *ms, uint32_t index)
{
	const struct flow_measure *m = &ms->flows[index];

	return m->flags & FLOW_MEASURE_SYN ? NULL : measure_block(&ms->segments, m->more, index);
}

/* Where the link to a flow's spreads is; NULL if it has no place for one yet. */
static uint32_t *measure_spreads_link(const struct flow_measures *ms, uint32_t index, const struct flow *f)
{
	struct flow_segments *s;

	if (!measure_has_tcp(ms, f))
		return &ms->flows[index].more;
	s = measure_segments(ms, index);
	return s ? &s->spreads : NULL;
}

static struct flow_spreads *measure_spreads(const struct flow_measures *ms, uint32_t index, const struct flow *f)
{
	const uint32_t *link = measure_spreads_link(ms, index, f);

	return link ? measure_block(&ms->spreads, *link, index) : NULL;
}

void flow_measure_adopt(struct flow_measures *ms, uint32_t index, const struct flow *f)
{
	struct flow_measure *m = &ms->flows[index];
	uint32_t *link = &m->more;

	if (!measure_has_tcp(ms, f)) {
		m->flags &= FLOW_MEASURE_MACS;
	} else if (m->flags & FLOW_MEASURE_SYN) {
		return;
	} else if (!measure_segments(ms, index)) {
		m->more = 0;
		return;
	} else {
		measure_claim(&ms->segments, m->more);
		link = &measure_segments(ms, index)->spreads;
	}
	if (measure_block(&ms->spreads, *link, index))
		measure_claim(&ms->spreads, *link);
	else
		*link = 0;
}

/* Whether the flow that a block names has it. */
static bool measure_is_linked(const struct flow_measures *ms, const struct flow_pool *p, uint32_t block,
			      const struct flow *flows)
{
	const void *has;
	uint32_t owner;

	memcpy(&owner, flow_pool_at(p, block), sizeof(owner));
	if (owner == 0 || owner > p->max || !flows[owner].key.ip_version)
		return false;
	if (p == &ms->segments)
		has = measure_has_tcp(ms, &flows[owner]) ? measure_segments(ms, owner) : NULL;
	else
		has = measure_spreads(ms, owner, &flows[owner]);
	return has == flow_pool_at(p, block);
}

void flow_measures_adopted(struct flow_measures *ms, const struct flow *flows)
{
	struct flow_pool *pools[] = {&ms->segments, &ms->spreads};

	for (unsigned i = 0; i < 2; i++) {
		pools[i]->used = pools[i]->fresh - 1;
		for (uint32_t block = pools[i]->fresh - 1; block > 0; block--)
			if (!measure_is_linked(ms, pools[i], block, flows))
				flow_pool_give(pools[i], block);
	}
}

void flow_measure_begin(struct flow_measures *ms, uint32_t index, const struct packet *p, bool answer)
{
	struct flow_measure *m = &ms->flows[index];

	memset(m, 0, sizeof(*m));
	m->inner_vlan_id = p->inner_vlan_id;
	if (!p->src_mac)
		return;
	m->flags = FLOW_MEASURE_MACS;
	memcpy(answer ? m->src_mac : m->dst_mac, p->dst_mac, 6);
	memcpy(answer ? m->dst_mac : m->src_mac, p->src_mac, 6);
}

static void measure_link(struct flow_measure *m, const struct packet *p, unsigned d, bool first)
{
	if (first || p->ttl < m->way[d].ttl_min)
		m->way[d].ttl_min = p->ttl;
	if (first || p->ttl > m->ttl_max[d])
		m->ttl_max[d] = p->ttl;
}

static void measure_size(struct flow_measure *m, struct flow_spreads *s, const struct packet *p, unsigned d, bool first)
{
	uint32_t size = p->octets < MEASURE_SIZE_MAX ? p->octets : MEASURE_SIZE_MAX;

	if (first || size < m->size[d].min)
		m->size[d].min = size;
	if (first || size > m->size[d].max)
		m->size[d].max = size;
	if (s)
		flow_spreads_size(s, d, p->octets);
}

static uint64_t measure_now(const struct packet *p)
{
	uint64_t now = p->time_ms * 1000 + p->us;

	return now < MEASURE_TIME_MAX ? now : MEASURE_TIME_MAX;
}

/* A packet that is late for its order comes 0 after the one before it. */
static void measure_time(struct flow_measure *m, struct flow_spreads *s, const struct packet *p, unsigned d, bool first)
{
	uint64_t now = measure_now(p), last = m->way[d].last_us;
	uint64_t gap = now > last ? now - last : 0;
	uint32_t span = gap < UINT32_MAX ? (uint32_t)gap : UINT32_MAX;

	if (first) {
		m->way[d].last_us = now;
		m->way[d].gap_min = UINT32_MAX;
		m->way[d].gap_max = 0;
		return;
	}
	m->way[d].last_us = last + gap;
	if (span < m->way[d].gap_min)
		m->way[d].gap_min = span;
	if (span > m->way[d].gap_max)
		m->way[d].gap_max = span;
	if (s)
		flow_spreads_gap(s, d, span);
}

/* A flow's segments, from the first one on. */
static struct flow_segments *measure_segments_begin(struct flow_measures *ms, uint32_t index)
{
	struct flow_measure *m = &ms->flows[index];
	unsigned way = m->flags & FLOW_MEASURE_SYN_REVERSE ? FLOW_REVERSE : FLOW_FORWARD;
	uint32_t link = measure_take(&ms->segments, index);
	struct flow_segments *s = link ? flow_pool_at(&ms->segments, link) : NULL;

	if (!s)
		return NULL;
	if (m->flags & FLOW_MEASURE_SYN)
		flow_segments_syn(s, m->way[way].last_us, m->more, m->flags & FLOW_MEASURE_SYN_ACK, way);
	/* A number that is taken for a link leads nowhere. */
	atomic_signal_fence(memory_order_seq_cst);
	m->flags &= FLOW_MEASURE_MACS;
	atomic_signal_fence(memory_order_seq_cst);
	m->more = link;
	return s;
}

/* Before the packet's time is taken in: that of a SYN is still the latest of its direction. */
static void measure_tcp(struct flow_measures *ms, uint32_t index, const struct packet *p, unsigned d, bool first)
{
	struct flow_measure *m = &ms->flows[index];
	struct flow_segments *s = measure_segments(ms, index);
	bool tells = flow_segments_tells(p);

	if (m->flags & FLOW_MEASURE_SYN) {
		if (tells || d == (m->flags & FLOW_MEASURE_SYN_REVERSE ? FLOW_REVERSE : FLOW_FORWARD))
			s = measure_segments_begin(ms, index);
	} else if (!s && tells && first && flow_segments_is_syn(p)) {
		m->more = wire_be32(p->tcp + 4);
		atomic_signal_fence(memory_order_seq_cst);
		m->flags = (m->flags & FLOW_MEASURE_MACS) | FLOW_MEASURE_SYN |
			   (p->tcp_flags & TCP_ACK ? FLOW_MEASURE_SYN_ACK : 0) |
			   (d == FLOW_REVERSE ? FLOW_MEASURE_SYN_REVERSE : 0);
	} else if (!s && tells) {
		s = measure_segments_begin(ms, index);
	}
	if (s && tells)
		flow_segments_add(s, p, d);
}

/* Of n packets of a direction, few enough for that. */
static struct flow_sums measure_few(const struct flow_measure *m, unsigned d, uint64_t n, uint64_t octets)
{
	uint64_t size[SPREADS_FEW] = {m->size[d].min, m->size[d].max}, gap[] = {m->way[d].gap_min, m->way[d].gap_max};
	struct flow_sums s = {0, 0, 0};

	size[2] = octets > size[0] + size[1] ? octets - size[0] - size[1] : 0;
	for (unsigned i = 0; i < SPREADS_FEW && i < n; i++)
		s.square_sizes += size[i] * size[i];
	for (unsigned i = 0; i < 2 && i + 1 < n; i++) {
		s.gaps += gap[i];
		s.square_gaps += (unsigned __int128)(gap[i] * gap[i]);
	}
	return s;
}

/* The packet is one more than few: what was told of those before it becomes sums. */
static struct flow_spreads *measure_spreads_begin(struct flow_measures *ms, uint32_t index, const struct packet *p,
						  const struct flow *f, unsigned d)
{
	uint32_t *link, block;
	struct flow_spreads *s;

	if (measure_has_tcp(ms, f) && !measure_segments(ms, index))
		measure_segments_begin(ms, index);
	link = measure_spreads_link(ms, index, f);
	block = link ? measure_take(&ms->spreads, index) : 0;
	if (!block)
		return NULL;
	s = flow_pool_at(&ms->spreads, block);
	for (unsigned way = 0; way < 2; way++) {
		struct flow_sums few = measure_few(&ms->flows[index], way, f->packets[way] - (way == d),
						   f->octets[way] - (way == d ? p->octets : 0));

		flow_spreads_set(s, way, &few);
	}
	atomic_signal_fence(memory_order_seq_cst);
	*link = block;
	return s;
}

void flow_measure_packet(struct flow_measures *ms, uint32_t index, const struct packet *p, const struct flow *f,
			 unsigned direction)
{
	struct flow_measure *m = &ms->flows[index];
	bool first = f->packets[direction] == 1;
	struct flow_spreads *s = NULL;

	if (measure_has_tcp(ms, f))
		measure_tcp(ms, index, p, direction, first);
	if (ms->groups & (MEASURE_SIZES | MEASURE_TIMES)) {
		s = measure_spreads(ms, index, f);
		if (!s && f->packets[direction] > SPREADS_FEW)
			s = measure_spreads_begin(ms, index, p, f, direction);
	}
	if (ms->groups & MEASURE_LINK)
		measure_link(m, p, direction, first);
	if (ms->groups & MEASURE_SIZES)
		measure_size(m, s, p, direction, first);
	if (ms->groups & (MEASURE_TIMES | MEASURE_TCP))
		measure_time(m, s, p, direction, first);
}

static void measure_marks(struct l7_record *r, const uint8_t *rows, size_t n)
{
	for (size_t i = 0; i < n; i++)
		l7_mark(r, rows[i]);
}

static void measure_record_way(struct l7_record *r, const struct flow_measures *ms, uint32_t index,
			       const struct flow *f, unsigned d)
{
	static const uint8_t ttl[2][2] = {{L7_F_minimumTTL, L7_F_maximumTTL},
					  {L7_F_reverseMinimumTTL, L7_F_reverseMaximumTTL}};
	static const uint8_t sizes[2][4] = {
		{L7_F_minimumIpTotalLength, L7_F_packetSizeMean, L7_F_maximumIpTotalLength, L7_F_packetSizeStddev},
		{L7_F_reverseMinimumIpTotalLength, L7_F_reversePacketSizeMean, L7_F_reverseMaximumIpTotalLength,
		 L7_F_reversePacketSizeStddev}};
	static const uint8_t times[2][4] = {
		{L7_F_interArrivalMin, L7_F_interArrivalMean, L7_F_interArrivalMax, L7_F_interArrivalStddev},
		{L7_F_reverseInterArrivalMin, L7_F_reverseInterArrivalMean, L7_F_reverseInterArrivalMax,
		 L7_F_reverseInterArrivalStddev}};
	const struct flow_spreads *s = measure_spreads(ms, index, f);
	const struct flow_measure *m = &ms->flows[index];
	uint64_t n = f->packets[d];
	struct flow_sums sums;

	if (!n)
		return;
	sums = s ? flow_spreads_get(s, d) : measure_few(m, d, n, f->octets[d]);
	if (ms->groups & MEASURE_LINK) {
		r->link.ttl_min[d] = m->way[d].ttl_min;
		r->link.ttl_max[d] = m->ttl_max[d];
		measure_marks(r, ttl[d], 2);
	}
	if (ms->groups & MEASURE_SIZES) {
		r->size[d].min = m->size[d].min;
		r->size[d].max = m->size[d].max;
		flow_spreads_tell(&r->size[d], n, f->octets[d], sums.square_sizes);
		measure_marks(r, sizes[d], 4);
	}
	if (n > 1 && ms->groups & MEASURE_TIMES) {
		r->iat_us[d].min = m->way[d].gap_min;
		r->iat_us[d].max = m->way[d].gap_max;
		flow_spreads_tell(&r->iat_us[d], n - 1, sums.gaps, sums.square_gaps);
		measure_marks(r, times[d], 4);
	}
}

static void measure_record_link(struct l7_record *r, const struct flow_measure *m, const struct flow *f)
{
	r->link.inner_vlan_id = m->inner_vlan_id;
	if (m->inner_vlan_id)
		l7_mark(r, L7_F_dot1qCustomerVlanId);
	if (f->flags & FLOW_SEEN_REVERSE) {
		r->link.rev_tos = f->rev_tos;
		l7_mark(r, L7_F_reverseIpClassOfService);
	}
	if (!(m->flags & FLOW_MEASURE_MACS))
		return;
	memcpy(r->link.src_mac, m->src_mac, sizeof(m->src_mac));
	memcpy(r->link.dst_mac, m->dst_mac, sizeof(m->dst_mac));
	l7_mark(r, L7_F_sourceMacAddress);
	l7_mark(r, L7_F_destinationMacAddress);
}

void flow_measure_record(struct l7_record *r, const struct flow_measures *ms, uint32_t index, const struct flow *f)
{
	if (ms->groups & MEASURE_LINK)
		measure_record_link(r, &ms->flows[index], f);
	for (unsigned d = 0; d < 2; d++)
		measure_record_way(r, ms, index, f, d);
	if (measure_has_tcp(ms, f))
		flow_segments_record(r, measure_segments(ms, index));
}

void flow_measure_early(struct flow_measures *ms, uint32_t index, const struct flow *f)
{
	struct flow_segments *s = measure_has_tcp(ms, f) ? measure_segments(ms, index) : NULL;

	if (s)
		flow_segments_early(s);
}

void flow_measure_cut(struct flow_measures *ms, uint32_t index, const struct flow *f)
{
	static const struct flow_sums none;
	struct flow_segments *s = measure_has_tcp(ms, f) ? measure_segments(ms, index) : NULL;
	struct flow_spreads *spreads = measure_spreads(ms, index, f);

	if (s)
		flow_segments_cut(s);
	for (unsigned way = 0; spreads && way < 2; way++)
		flow_spreads_set(spreads, way, &none);
}

void flow_measure_end(struct flow_measures *ms, uint32_t index, const struct flow *f)
{
	uint32_t *link = measure_spreads_link(ms, index, f);

	if (link && measure_block(&ms->spreads, *link, index))
		measure_give(&ms->spreads, link);
	if (measure_has_tcp(ms, f) && measure_segments(ms, index))
		measure_give(&ms->segments, &ms->flows[index].more);
}
