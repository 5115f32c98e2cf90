/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/flow_segments.h"

#include <string.h>

#include "base/wire.h"
#include "l7/fields.h"

enum { TCP_FIN = 0x01, TCP_SYN = 0x02, TCP_RST = 0x04, TCP_ACK = 0x10 };

#define SEGMENTS_WINDOW_MAX (1 << 30)

/* One segment, read from its header. */
struct segment {
	uint64_t time_us;
	uint32_t seq;
	uint32_t ack;
	uint32_t len; /* in sequence numbers: SYN and FIN have one */
	uint8_t flags;
};

static bool segments_after(uint64_t from_us, uint64_t to_us, uint32_t *span)
{
	if (!from_us || to_us < from_us || to_us - from_us > UINT32_MAX)
		return false;
	*span = (uint32_t)(to_us - from_us);
	return true;
}

static void segments_handshake(struct flow_segments *s, const struct segment *g, unsigned way)
{
	uint32_t span;

	switch (g->flags & (TCP_SYN | TCP_ACK | TCP_RST)) {
	case TCP_SYN:
		if (way == 0 && !s->has_server)
			s->server_us = g->time_us;
		break;
	case TCP_SYN | TCP_ACK:
		if (way != 1 || (s->synced[0] && g->ack != s->way[0].first + 1))
			break;
		s->client_us = g->time_us;
		if (!s->has_server && s->synced[0] && segments_after(s->server_us, g->time_us, &span)) {
			s->server_us = span;
			s->has_server = 1;
		}
		break;
	case TCP_ACK:
		if (way == 0 && s->synced[1] && g->ack == s->way[1].first + 1 &&
		    segments_after(s->client_us, g->time_us, &span)) {
			s->client_us = span;
			s->has_client = 1;
		}
		break;
	}
}

static void segments_begin(struct flow_segments *s, unsigned way, const struct segment *g)
{
	struct flow_segments_way *w = &s->way[way];

	s->known[way] = 1;
	s->synced[way] = (g->flags & TCP_SYN) != 0;
	w->first = g->seq;
	w->next = g->seq + g->len;
	w->gap = w->gap_end = w->next;
}

/* True if the octets of a segment were missing until now: they are not missing any more. */
static bool segments_fill(struct flow_segments_way *w, const struct segment *g)
{
	uint32_t gap = w->gap_end - w->gap, from = g->seq - w->gap;

	if (from >= gap || g->len > gap - from)
		return false;
	if (from == 0)
		w->gap += g->len;
	else
		w->gap_end = g->seq;
	return true;
}

/* A segment that begins before the highest end of its direction. */
static void segments_behind(const struct flow_segments *s, struct flow_segments_way *w, const struct segment *g)
{
	uint64_t limit = SEGMENTS_REORDER_US;

	if (g->len == 1 && g->seq == w->next - 1 && !(g->flags & (TCP_SYN | TCP_FIN)))
		return;
	if (s->has_client && s->has_server)
		limit = s->client_us + s->server_us;
	if (segments_fill(w, g) && g->time_us < w->gap_us + limit)
		w->counts.out_of_order++;
	else
		w->counts.retransmits++;
	if ((int32_t)(g->seq + g->len - w->next) > 0)
		w->next = g->seq + g->len;
}

static void segments_number(struct flow_segments *s, unsigned way, const struct segment *g)
{
	struct flow_segments_way *w = &s->way[way];
	int32_t ahead = (int32_t)(g->seq - w->next);

	if (!s->known[way] || ahead > SEGMENTS_WINDOW_MAX || ahead < -SEGMENTS_WINDOW_MAX ||
	    (g->flags & TCP_SYN && (!s->synced[way] || g->seq != w->first))) {
		segments_begin(s, way, g);
	} else if (ahead < 0) {
		if (g->len)
			segments_behind(s, w, g);
	} else {
		if (ahead > 0) {
			w->gap = w->next;
			w->gap_end = g->seq;
			w->gap_us = g->time_us;
		}
		w->next = g->seq + g->len;
	}
}

static void segments_take(struct flow_segments *s, const struct segment *g, unsigned way)
{
	segments_number(s, way, g);
	if (!s->has_client)
		segments_handshake(s, g, way);
}

bool flow_segments_tells(const struct packet *p)
{
	return p->tcp && !(p->tcp_flags & TCP_RST);
}

bool flow_segments_is_syn(const struct packet *p)
{
	return (p->tcp_flags & (TCP_SYN | TCP_FIN)) == TCP_SYN && p->payload_len == 0;
}

void flow_segments_syn(struct flow_segments *s, uint64_t time_us, uint32_t seq, bool ack, unsigned way)
{
	struct segment g = {.time_us = time_us, .seq = seq, .len = 1, .flags = TCP_SYN | (ack ? TCP_ACK : 0)};

	segments_take(s, &g, way);
}

void flow_segments_add(struct flow_segments *s, const struct packet *p, unsigned way)
{
	struct segment g = {.time_us = p->time_ms * 1000 + p->us,
			    .seq = wire_be32(p->tcp + 4),
			    .ack = wire_be32(p->tcp + 8),
			    .flags = p->tcp_flags};

	g.len = p->payload_len + ((g.flags & TCP_SYN) != 0) + (g.flags & TCP_FIN);
	if (!(g.flags & (TCP_SYN | TCP_FIN)) && p->tcp[14] == 0 && p->tcp[15] == 0)
		s->way[way].counts.zero_windows++;
	segments_take(s, &g, way);
}

void flow_segments_record(struct l7_record *r, const struct flow_segments *s)
{
	static const uint8_t rows[] = {L7_F_retransmittedPackets, L7_F_reverseRetransmittedPackets,
				       L7_F_outOfOrderPackets,    L7_F_reverseOutOfOrderPackets,
				       L7_F_tcpZeroWindowCount,   L7_F_reverseTcpZeroWindowCount};

	for (size_t i = 0; i < sizeof(rows); i++)
		l7_mark(r, rows[i]);
	if (!s)
		return;
	for (unsigned way = 0; way < 2; way++) {
		const struct l7_tcp_counts *all = &s->way[way].counts, *early = &s->way[way].early;

		r->tcp.counts[way].retransmits = all->retransmits - early->retransmits;
		r->tcp.counts[way].out_of_order = all->out_of_order - early->out_of_order;
		r->tcp.counts[way].zero_windows = all->zero_windows - early->zero_windows;
		r->reported.tcp_counts[way] = *early;
	}
	if (s->has_client) {
		r->tcp.rtt_client_us = (uint32_t)s->client_us;
		l7_mark(r, L7_F_tcpClientRttMicroseconds);
	}
	if (s->has_server) {
		r->tcp.rtt_server_us = (uint32_t)s->server_us;
		l7_mark(r, L7_F_tcpServerRttMicroseconds);
	}
}

void flow_segments_early(struct flow_segments *s)
{
	for (unsigned way = 0; way < 2; way++)
		s->way[way].early = s->way[way].counts;
}

void flow_segments_cut(struct flow_segments *s)
{
	for (unsigned way = 0; way < 2; way++) {
		memset(&s->way[way].counts, 0, sizeof(s->way[way].counts));
		memset(&s->way[way].early, 0, sizeof(s->way[way].early));
	}
}
