/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/flow_measure.h"

#include <netinet/in.h>
#include <stddef.h>
#include <string.h>

#include "l7/fields.h"

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

/* A flag of one octet may hold anything where somebody else wrote it. */
static void measure_flag(bool *flag)
{
	uint8_t octet;

	memcpy(&octet, flag, 1);
	*flag = octet == 1;
}

void flow_measure_adopt(struct flow_measure *m)
{
	measure_flag(&m->has_macs);
	measure_flag(&m->answered);
	measure_flag(&m->tcp.rtt_client);
	measure_flag(&m->tcp.rtt_server);
	for (unsigned way = 0; way < 2; way++) {
		measure_flag(&m->tcp.way[way].known);
		measure_flag(&m->tcp.way[way].synced);
	}
}

void flow_measure_begin(struct flow_measure *m, const struct packet *p, bool answer)
{
	memset(m, 0, sizeof(*m));
	m->link.inner_vlan_id = p->inner_vlan_id;
	if (!p->macs)
		return;
	m->has_macs = true;
	memcpy(answer ? m->link.src_mac : m->link.dst_mac, p->macs, 6);
	memcpy(answer ? m->link.dst_mac : m->link.src_mac, p->macs + 6, 6);
}

static void measure_link(struct flow_measure *m, const struct packet *p, unsigned d, bool first)
{
	if (first || p->ttl < m->link.ttl_min[d])
		m->link.ttl_min[d] = p->ttl;
	if (first || p->ttl > m->link.ttl_max[d])
		m->link.ttl_max[d] = p->ttl;
	if (d == FLOW_REVERSE && !m->answered) {
		m->answered = true;
		m->link.rev_tos = p->tos;
	}
}

static void measure_size_of(struct flow_measure *m, const struct packet *p, unsigned d, bool first)
{
	if (first || p->octets < m->size[d].min)
		m->size[d].min = p->octets;
	if (first || p->octets > m->size[d].max)
		m->size[d].max = p->octets;
	m->size[d].squares += (uint64_t)p->octets * p->octets;
}

/* A packet that is late for its order comes 0 after the one before it. */
static void measure_time(struct flow_measure *m, const struct packet *p, unsigned d, bool first)
{
	uint64_t now = p->time_ms * 1000 + p->us;
	uint64_t gap = now > m->time[d].last_us ? now - m->time[d].last_us : 0;
	uint32_t span = gap < UINT32_MAX ? (uint32_t)gap : UINT32_MAX;

	if (first) {
		m->time[d].last_us = now;
		m->time[d].min = UINT32_MAX;
		m->time[d].max = 0;
		return;
	}
	m->time[d].last_us += gap;
	m->time[d].sum += span;
	m->time[d].squares += (uint64_t)span * span;
	if (span < m->time[d].min)
		m->time[d].min = span;
	if (span > m->time[d].max)
		m->time[d].max = span;
}

void flow_measure_packet(struct flow_measure *m, unsigned groups, const struct packet *p, const struct flow *f,
			 unsigned direction)
{
	bool first = f->packets[direction] == 1;

	if (groups & MEASURE_LINK)
		measure_link(m, p, direction, first);
	if (groups & MEASURE_SIZES)
		measure_size_of(m, p, direction, first);
	if (groups & MEASURE_TIMES)
		measure_time(m, p, direction, first);
	if (groups & MEASURE_TCP && p->tcp)
		flow_segments_add(&m->tcp, p, direction);
}

/* Largest number whose square is not above v. */
static uint32_t measure_root(uint64_t v)
{
	uint32_t root = 0;

	for (uint32_t bit = UINT32_C(1) << 31; bit; bit >>= 1)
		if ((uint64_t)(root | bit) * (root | bit) <= v)
			root |= bit;
	return root;
}

/* Of n numbers, by their sum and the sum of their squares: in whole numbers, so that all machines agree. */
static void measure_spread(struct l7_spread *s, uint64_t n, uint64_t sum, unsigned __int128 squares)
{
	unsigned __int128 variance = (squares * n - (unsigned __int128)sum * sum) / ((unsigned __int128)n * n);

	s->mean = (uint32_t)((sum + n / 2) / n);
	s->stddev = measure_root((uint64_t)variance);
}

static void measure_marks(struct l7_record *r, const uint8_t *rows, size_t n)
{
	for (size_t i = 0; i < n; i++)
		l7_mark(r, rows[i]);
}

static void measure_record_way(struct l7_record *r, const struct flow_measure *m, unsigned groups, const struct flow *f,
			       unsigned d)
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
	uint64_t n = f->packets[d];

	if (n && groups & MEASURE_LINK)
		measure_marks(r, ttl[d], 2);
	if (n && groups & MEASURE_SIZES) {
		r->size[d].min = m->size[d].min;
		r->size[d].max = m->size[d].max;
		measure_spread(&r->size[d], n, f->octets[d], m->size[d].squares);
		measure_marks(r, sizes[d], 4);
	}
	if (n > 1 && groups & MEASURE_TIMES) {
		r->iat_us[d].min = m->time[d].min;
		r->iat_us[d].max = m->time[d].max;
		measure_spread(&r->iat_us[d], n - 1, m->time[d].sum, m->time[d].squares);
		measure_marks(r, times[d], 4);
	}
}

void flow_measure_record(struct l7_record *r, const struct flow_measure *m, unsigned groups, const struct flow *f)
{
	if (groups & MEASURE_LINK) {
		r->link = m->link;
		if (m->has_macs) {
			l7_mark(r, L7_F_sourceMacAddress);
			l7_mark(r, L7_F_destinationMacAddress);
		}
		if (m->link.inner_vlan_id)
			l7_mark(r, L7_F_dot1qCustomerVlanId);
		if (m->answered)
			l7_mark(r, L7_F_reverseIpClassOfService);
	}
	for (unsigned d = 0; d < 2; d++)
		measure_record_way(r, m, groups, f, d);
	if (groups & MEASURE_TCP && f->key.protocol == IPPROTO_TCP)
		flow_segments_record(r, &m->tcp);
}

void flow_measure_cut(struct flow_measure *m)
{
	memset(m->link.ttl_min, 0, sizeof(m->link.ttl_min));
	memset(m->link.ttl_max, 0, sizeof(m->link.ttl_max));
	memset(m->size, 0, sizeof(m->size));
	memset(m->time, 0, sizeof(m->time));
	flow_segments_cut(&m->tcp);
}
