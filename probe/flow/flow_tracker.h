/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of flows: a packet finds or makes its flow, is counted, perhaps classified; flows end or are cut, and every
 * end and cut makes a record. Time is the packets' time: whether a packet belongs to an old flow or opens a new one or a new
 * record is decided by its own time and its flow's, so that the same packets give the same records on every run.
 */
#ifndef PROBE_FLOW_TRACKER_H
#define PROBE_FLOW_TRACKER_H

#include <stdbool.h>
#include <stdint.h>

#include "decode/decode.h"
#include "dpi/dpi.h"
#include "flow/flow_measure.h"
#include "flow/flow_pool.h"
#include "flow/flow_sample.h"
#include "flow/flow_store.h"
#include "flow/flow_table.h"
#include "flow/flow_text.h"
#include "flow/flow_tunnels.h"
#include "l7/record.h"
#include "shared.h"

/* Late segments of an ended TCP flow belong to it, as long as none is later than this after the one before. */
#define FLOW_LINGER_MS 5000
/* Flows expire by the clock this much later than by their packets: captures are not always in order. */
#define FLOW_SLACK_MS 1000
/* A packet this much older than the latest means that the clock was set back, or that one time was wrong: the tracker's clock follows. */
#define FLOW_CLOCK_BACK_MS 5000
/* A packet this much older than the last of its flow opens a new one. */
#define FLOW_BACK_MS 60000

struct flow_tracker_config {
	uint32_t max_flows;
	uint64_t idle_ms;         /* 0: flows do not expire */
	uint64_t active_ms;       /* 0: flows are not cut */
	bool early;               /* make early records */
	bool keep_packets;        /* leave each packet in shared memory while nDPI looks at it */
	unsigned key_without;     /* FLOW_KEY_* that are no part of flows' keys */
	uint32_t domain;          /* part of flow ids */
	uint64_t seed;            /* of hashes */
	struct flow_sample flows; /* that are looked at */
	uint64_t wanted
		[2]; /* fields that somebody takes (l7_wants()): those that cost something are left out of the others */
	int store;   /* of flow_store_new(): what is in it is taken over; -1 for none that outlives the tracker */
};

/* Where records go: room for one, or NULL if it must be dropped (the sink counts that); then it is complete. */
struct flow_sink {
	struct l7_record *(*reserve)(void *arg);
	void (*commit)(void *arg);
	uint64_t (*made)(void *arg); /* records complete or dropped, from the first worker of this store on */
	void *arg;
};

/* What was found in the store. */
struct flow_adopted {
	uint32_t flows;
	uint32_t dpi_lost; /* of them: classification was under way */
	uint32_t damaged;  /* were flows, and are none any more */
};

struct flow_tracker {
	struct flow_tracker_config config;
	struct flow_store store;
	struct flow_table table;
	struct flow_measures measures; /* what somebody takes */
	struct flow_pool cold;         /* classification states */
	struct flow_tunnels tunnels;
	struct flow_text_pool texts;
	struct dpi_module *dpi;       /* not owned; NULL: nothing is classified, nor guessed */
	struct shared_worker *shared; /* counters; not owned */
	struct flow_adopted adopted;
	struct flow_sink sink;
	bool tell_tunnels;  /* somebody takes a field of them */
	uint16_t vlan_mask; /* of VLAN ids in keys */
	uint32_t late;      /* the packet is a fragment that has waited in this place less 1; 0: it is not */
	uint64_t clock_ms;  /* latest packet time since it was last set back, or later where the wire is silent */
};

/* What a packet's flow is found by. */
struct flow_lookup {
	struct flow_key key;
	uint64_t in; /* hash of the tunnel that it is in, 0 if it is in none or that tells nothing apart */
	uint64_t hash;
	unsigned end; /* of the key, which sent the packet */
};

/* Goes on with the flows of config's store, if there are some. Returns 0 or a negative errno. */
int flow_tracker_init(struct flow_tracker *t, const struct flow_tracker_config *c, struct dpi_module *dpi,
		      struct shared_worker *shared, struct flow_sink sink);
/* Frees memory; flows still open are not reported. They stay in the store. */
void flow_tracker_deinit(struct flow_tracker *t);

/*
 * Takes in one packet. Later fragments get their ports here, or wait for them: p is changed. With it the journal's stage is FLOW_STAGE_FRAME:
 * who has noted a frame there (flow_frame_note()) ends that.
 */
void flow_tracker_packet(struct flow_tracker *t, struct packet *p);
/*
 * The same in two steps, for a packet that is at hand before its turn: its bucket is asked for, and on its way from memory while other
 * packets are taken in.
 */
void flow_tracker_expect(const struct flow_tracker *t, struct flow_lookup *l, const struct packet *p);
void flow_tracker_expected(struct flow_tracker *t, struct packet *p, const struct flow_lookup *l);
/* In place of flow_tracker_packet(): p is left out, and counted as not sampled. */
void flow_tracker_leave_out(struct flow_tracker *t, const struct packet *p);
/*
 * The packet that p is in was a first fragment (PACKET_TUNNEL_FRAGMENT): those that come after it are of its flow, as are those that have
 * waited for it. Called between packets, also if p itself is another worker's.
 */
void flow_tracker_around(struct flow_tracker *t, const struct packet *p);
/*
 * Moves the clock by a packet's time. flow_tracker_packet() does it; for packets of other workers' shares it is called alone, so
 * that flows expire alike however many workers there are.
 */
void flow_tracker_clock(struct flow_tracker *t, uint64_t time_ms);
/* Moves the clock to now_ms if that is later, and ends at most `most` flows that have expired by then. True: more are due. */
bool flow_tracker_expire(struct flow_tracker *t, uint64_t now_ms, unsigned most);
/* Ends all flows. */
void flow_tracker_flush(struct flow_tracker *t);

#endif
