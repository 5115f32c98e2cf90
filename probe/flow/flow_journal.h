/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a worker is in the middle of, so that one that takes over from a dead one can end it: each packet is counted once and each
 * record made once, wherever the worker died.
 *
 * A packet: what its flow and the counters become is noted first, then the stage is set, then the flow and the counters
 * are changed. Before the stage is set nothing has happened, and the packet may be read again; after it all is
 * known, and can be done again from the notes.
 * A fragment that comes before the first of its packet is counted when it comes, and to its flow later: the journal is gone through
 * once for each.
 * A record: what is to follow from it is noted before it is made. Whether it was made can be told by the number of all records.
 *
 * Memory of a process that dies keeps every store up to the instruction at which it died, in the order of the program. So the only
 * thing to hold back is the compiler.
 */
#ifndef PROBE_FLOW_JOURNAL_H
#define PROBE_FLOW_JOURNAL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "flow/flow.h"
#include "shared.h"

enum flow_stage {
	FLOW_STAGE_NONE,
	FLOW_STAGE_FLOW,  /* the notes on the flow and on the counters hold */
	FLOW_STAGE_FRAME, /* the flow is changed; the notes on the counters hold */
	/* Of fragments (flow_fragments.h): */
	FLOW_STAGE_WAIT,  /* the packet is to wait; the notes on the counters hold */
	FLOW_STAGE_LATE,  /* the notes on the flow hold, and it waits no longer; nothing on counters: they have it */
	FLOW_STAGE_AFTER, /* the same while the packet that it waited for is not yet done: those on the counters hold */
	FLOW_STAGE_LEFT, /* as FLOW_STAGE_LATE, but its flow is not sampled: `left_out` holds, there is nothing on a flow */
	FLOW_STAGE_LEFT_AFTER, /* the same as FLOW_STAGE_AFTER is */
};

enum flow_report {
	FLOW_REPORT_NONE,
	FLOW_REPORT_EARLY, /* the flow remembers what was said */
	FLOW_REPORT_CUT,   /* the flow counts anew */
	FLOW_REPORT_END,   /* the flow is gone */
};

/* What a packet makes of its flow. */
struct flow_change {
	uint32_t index;
	uint8_t direction;
	uint8_t tcp_flags; /* of the direction, as packets and octets */
	uint16_t flags;
	uint16_t delta; /* delta_start_ms changes */
	uint64_t packets;
	uint64_t octets;
	uint64_t last_ms;
	uint64_t start_ms;
	uint64_t delta_start_ms;
	uint64_t flows; /* counter: flows created */
};

/* What a frame makes of the worker's counters. */
struct flow_frame {
	uint64_t packets;
	uint64_t octets;
	uint64_t place;           /* shared_progress.place */
	uint64_t refused_packets; /* of its kind */
	uint64_t refused_octets;
	uint64_t not_sampled; /* with this packet; 0: it is looked at */
	uint32_t kind;        /* enum decode_result */
	uint32_t interface;   /* its place, SHARED_INTERFACES_MAX for none */
	uint64_t interface_packets;
	uint64_t interface_octets;
};

struct flow_journal {
	_Atomic uint32_t stage; /* enum flow_stage */
	struct flow_change change;
	struct flow_frame frame;
	uint64_t waits;          /* of FLOW_STAGE_WAIT: flow_fragments.waits with the packet */
	uint64_t left_out;       /* of FLOW_STAGE_LEFT and FLOW_STAGE_LEFT_AFTER: packets not sampled, with it */
	uint32_t place;          /* of the four of late fragments: where it has waited */
	uint32_t late;           /* 1: fragments that have waited for the packet before are still to be taken in */
	_Atomic uint32_t report; /* enum flow_report: under way */
	uint32_t report_flow;    /* its index */
	uint64_t report_number;  /* records made before it */
	uint64_t report_now_ms;  /* of a cut */
};

/* All stores before are done before, all after it after. */
static inline void flow_journal_set(_Atomic uint32_t *what, uint32_t value)
{
	atomic_signal_fence(memory_order_seq_cst);
	atomic_store_explicit(what, value, memory_order_relaxed);
	atomic_signal_fence(memory_order_seq_cst);
}

/* The rest can be done twice. */

static inline void flow_change_do(const struct flow_change *c, struct flow *f, struct flow_info *i,
				  struct shared_worker_counters *counters)
{
	unsigned d = c->direction;

	f->packets[d] = c->packets;
	f->octets[d] = c->octets;
	f->tcp_flags[d] = c->tcp_flags;
	f->last_ms = c->last_ms;
	f->start_ms = c->start_ms;
	f->flags = c->flags;
	if (c->delta)
		i->delta_start_ms = c->delta_start_ms;
	shared_set(&counters->flows, c->flows);
}

static inline void flow_frame_note(struct flow_frame *n, enum decode_result r, uint32_t wire, uint32_t interface,
				   struct shared_worker *w)
{
	n->packets = shared_get(&w->counters.packets) + 1;
	n->octets = shared_get(&w->counters.octets) + wire;
	n->place = shared_get(&w->progress.place) + 1;
	n->kind = r;
	n->not_sampled = 0;
	n->interface = interface;
	if (interface < SHARED_INTERFACES_MAX) {
		n->interface_packets = shared_get(&w->counters.interfaces[interface].packets) + 1;
		n->interface_octets = shared_get(&w->counters.interfaces[interface].octets) + wire;
	}
	if (r != DECODE_OK) {
		n->refused_packets = shared_get(&w->counters.refused_packets[r]) + 1;
		n->refused_octets = shared_get(&w->counters.refused_octets[r]) + wire;
	}
}

static inline void flow_frame_do(const struct flow_frame *n, struct shared_worker *w)
{
	if (n->kind != DECODE_OK) {
		shared_set(&w->counters.refused_packets[n->kind], n->refused_packets);
		shared_set(&w->counters.refused_octets[n->kind], n->refused_octets);
	}
	if (n->interface < SHARED_INTERFACES_MAX) {
		shared_set(&w->counters.interfaces[n->interface].packets, n->interface_packets);
		shared_set(&w->counters.interfaces[n->interface].octets, n->interface_octets);
	}
	if (n->not_sampled)
		shared_set(&w->counters.packets_not_sampled, n->not_sampled);
	shared_set(&w->counters.packets, n->packets);
	shared_set(&w->counters.octets, n->octets);
	shared_set(&w->progress.place, n->place);
}

/* A late fragment is left out; its frame was counted before. If the frame under way is left out, too, that comes on top. */
static inline void flow_left_do(struct flow_journal *j, struct shared_worker_counters *counters)
{
	shared_set(&counters->packets_not_sampled, j->left_out);
	if (j->frame.not_sampled)
		j->frame.not_sampled = j->left_out + 1;
}

/* After an early record: what it said is kept in mind for the next. There is one in the life of a flow. */
static inline void flow_early_do(struct flow *f, struct flow_info *i)
{
	for (int d = 0; d < 2; d++) {
		i->early.packets[d] = f->packets[d];
		i->early.octets[d] = f->octets[d];
		i->early.tcp_flags[d] |= f->tcp_flags[d];
		atomic_signal_fence(memory_order_seq_cst);
		f->tcp_flags[d] = 0;
	}
	f->flags |= FLOW_EARLY | FLOW_DELTA_EMPTY;
}

/* After a record in the middle of a flow: counting starts anew with the packet at now_ms. */
static inline void flow_cut_do(struct flow *f, struct flow_info *i, uint64_t now_ms)
{
	memset(f->packets, 0, sizeof(f->packets));
	memset(f->octets, 0, sizeof(f->octets));
	memset(f->tcp_flags, 0, sizeof(f->tcp_flags));
	memset(&i->early, 0, sizeof(i->early));
	f->flags &= (uint16_t) ~(FLOW_EARLY | FLOW_DELTA_EMPTY);
	f->start_ms = now_ms;
}

#endif
