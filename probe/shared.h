/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The memory that the processes of l7probe share: a ring and counters per worker, counters per output. Made by the supervisor
 * before it forks, zeroed, never resized. Each counter has one writer; the others only read.
 */
#ifndef PROBE_SHARED_H
#define PROBE_SHARED_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ring.h"
#include "decode/decode.h"
#include "l7/record.h"

#define SHARED_WORKERS_MAX 64
#define SHARED_PAGE 65536 /* the largest of a kernel for arm64: no part of a page can be given up or made read only */
#define SHARED_OUTPUTS_MAX 16
#define SHARED_INTERFACES_MAX 16
#define SHARED_RING_SLOTS 4096 /* of L7_RECORD_SLOT octets each */
#define SHARED_QUARANTINE_MAX 64
#define SHARED_PACKET_MAX 2048
#define SHARED_NAMES_MAX 4096 /* of protocols, from the start of the probe on */
#define SHARED_NAME_MAX 40    /* octets of one, with its end */
#define SHARED_PLACE_FILE 48  /* bit of a place from which on it is the file's index */

typedef _Atomic uint64_t shared_counter; /* the one typedef: an atomic counter with one writer */

/* Of one interface, by its place in the list of them. */
struct shared_interface_counters {
	shared_counter packets;
	shared_counter octets; /* on the wire, link layer with it */
	shared_counter kernel_drops;
	shared_counter interface_drops; /* an interface's own: worker 0 alone counts them */
	shared_counter merged_packets;  /* longer than the MTU: several of the wire */
};

/* Written by a worker only; survives it. */
struct shared_worker_counters {
	shared_counter packets; /* seen, refused ones with them */
	shared_counter octets;  /* on the wire, link layer with it */
	shared_counter kernel_drops;
	shared_counter interface_drops;
	shared_counter packets_not_sampled; /* among `packets`: left out by --sample-packets or --sample-flows */
	shared_counter refused_packets[DECODE_KINDS];
	shared_counter refused_octets[DECODE_KINDS]; /* on the wire, link layer with it */
	shared_counter flows;                        /* created */
	shared_counter flows_active;
	shared_counter evicted;          /* ended because the table was full */
	shared_counter records;          /* made */
	shared_counter ring_dropped;     /* made, but the ring was full */
	shared_counter dpi_packets;      /* packets offered to classification */
	shared_counter dpi_calls;        /* calls of nDPI that look at a packet */
	shared_counter dpi_no_state;     /* flows without classification: no state was free */
	shared_counter dpi_quarantined;  /* flows not classified because one of that key ended a worker */
	shared_counter dpi_switched_off; /* flows not classified because workers died too often */
	shared_counter dpi_lost;         /* flows not classified further because their worker died */
	shared_counter flows_lost; /* flows without a last record: damaged by a worker that died, or left by the last */
	shared_counter text_cut;   /* strings that did not fit a record, flows whose strings found no room */
	shared_counter fragments;  /* among `packets` */
	shared_counter fragments_waited;    /* that came before the first of their packet */
	shared_counter fragments_unknown;   /* whose first was not seen in time: counted without ports */
	shared_counter fragments_crowded;   /* of them, those that did not wait to the end: too many did */
	shared_counter fragments_duplicate; /* that were there before */
	shared_counter fragments_overlap;   /* of which some octets were there before */
	shared_counter fragments_tiny;      /* that divide a TCP header */
	shared_counter tunnel_packets;      /* reported as those inside of a tunnel */
	shared_counter tunnel_opaque;       /* in one whose inside cannot be decoded: reported as those around it */
	shared_counter tunnel_deep;         /* in one more than are looked into */
	shared_counter duplicate_packets;   /* copies left out, among `packets` */
	shared_counter duplicate_sample;    /* packets looked at to learn whether there are copies */
	shared_counter duplicate_found;     /* copies among them */
	shared_counter tcp_one_way; /* flows that ended after some data, of which one end was never seen to speak */
	shared_counter tcp_two_way; /* and of which both were */
	struct shared_interface_counters interfaces[SHARED_INTERFACES_MAX];
};

/*
 * What a worker says once its captures are open, before it is confined: while it waits, the one that it follows still has all the
 * rest of its place here.
 */
struct shared_opened {
	_Atomic uint32_t serial;  /* of the worker that said so last; 0 none */
	_Atomic uint32_t settled; /* the same, once nobody is before it any more, and another may follow it */
	_Atomic uint32_t groups[SHARED_INTERFACES_MAX]; /* capture_group() by place */
};

/* Where a worker stands, for the supervisor after a crash. Written by the worker. */
/* Where a packet of a file begins. */
struct shared_mark {
	uint64_t place; /* as that of the progress */
	uint64_t octets;
};

struct shared_progress {
	shared_counter place;         /* packets done in the file being read, and above SHARED_PLACE_FILE its index */
	shared_counter file_octets;   /* of it read */
	struct shared_mark marks[2];  /* places passed, at most a batch ago */
	_Atomic uint32_t mark;        /* which of them is whole, whenever the worker died */
	_Atomic uint64_t dpi_flow;    /* hash of the flow that nDPI is looking at, 0 none */
	_Atomic uint64_t dpi_entered; /* times that it was called: as long as this stays, it is the same call */
	_Atomic uint32_t captures[SHARED_INTERFACES_MAX]; /* ifIndex captured from, by place; 0 none */
	_Atomic uint32_t blocked_call; /* number + 1 of the system call that ended the worker, 0 none */
	uint8_t dpi_key[40];           /* its key, for the message */
};

/* The packet that nDPI was last given, from its IP header on; kept for a crash only if somebody asked for it. */
struct shared_packet {
	uint64_t flow; /* hash; the packet is of the call that is under way if it is that of dpi_flow */
	uint64_t time_ms;
	uint32_t size; /* octets here */
	uint32_t wire; /* octets of the IP packet */
	uint8_t ip[SHARED_PACKET_MAX];
};

/* On pages of its own: who must not see it does not map it. */
struct shared_worker {
	union {
		struct {
			struct shared_worker_counters counters;
			struct shared_progress progress;
			struct shared_opened opened;
			struct shared_packet packet;
			/* Written by the supervisor: not 0, and no flow is given to nDPI. */
			_Atomic uint32_t dpi_off;
			/*
			 * Written by the supervisor: flows (by hash) which ended a worker and are not classified again. One
			 * that did so twice is not even guessed.
			 */
			_Atomic uint32_t n_quarantine;
			_Atomic uint64_t quarantine[SHARED_QUARANTINE_MAX];
		};
		uint8_t pages[SHARED_PAGE];
	};
};

_Static_assert(sizeof(struct shared_worker) % SHARED_PAGE == 0, "two workers on one page");

/* Written by the exporter only. */
struct shared_output {
	shared_counter records;      /* given to this output */
	shared_counter sent;         /* given to the kernel (UDP), acknowledged (TCP), written (file) */
	shared_counter dropped;      /* given, never sent */
	shared_counter dropped_ipv6; /* of them, what the protocol has no place for: NetFlow v5 */
	shared_counter cut;          /* sent with shorter texts: longer than a message otherwise */
	shared_counter filtered;     /* not wanted by its filter: not given */
	shared_counter messages;
	shared_counter octets;
	shared_counter reconnects;
	shared_counter spooled;   /* with a spool: on disk, to be sent */
	shared_counter recovered; /* likewise: found there at the start, beside `records` */
	shared_counter failed;    /* the output has failed for good (a file that cannot be written) */
};

/* An interface that is captured from. Written by the supervisor only. */
struct shared_interface {
	char name[16];
	_Atomic uint32_t index;  /* ifIndex */
	_Atomic uint32_t before; /* the one it had when it was away last: of flows that are older; 0 none */
};

/*
 * Names of protocols by the number that they have in records. Written by the supervisor only, and only added to: a flow keeps its
 * number however often the rules are read again. The exporter reads it, no worker has it.
 */
struct shared_names {
	_Atomic uint32_t n;                           /* those before it are whole, and never change */
	char apps[SHARED_NAMES_MAX][SHARED_NAME_MAX]; /* "": there is none of this number */
};

struct shared_exporter {
	shared_counter stopping; /* 1: told to stop, time is short now; the supervisor writes this and the interfaces */
	struct shared_interface interfaces[SHARED_INTERFACES_MAX];
	shared_counter records; /* taken from the rings */
	shared_counter refused; /* failed l7_record_check */
	struct shared_output outputs[SHARED_OUTPUTS_MAX];
};

/* The whole of it. */
struct shared {
	void *memory;
	size_t size;
	unsigned n_workers;
	struct shared_names *names;
	struct shared_exporter *exporter;
	struct shared_worker *workers; /* [n_workers] */
	uint8_t *rings;
	int events[SHARED_WORKERS_MAX]; /* wake the exporter, one per ring */
};

/* Returns 0 or a negative errno. */
int shared_init(struct shared *s, unsigned n_workers);
void shared_deinit(struct shared *s);
/*
 * After a fork: a worker keeps its own counters, ring and event; the exporter keeps all, the names and the workers' counters
 * to read only. Returns 0 or a negative errno.
 */
int shared_keep_worker(struct shared *s, unsigned worker);
int shared_keep_exporter(const struct shared *s);
/* A view of a worker's ring, for either side. */
void shared_ring(const struct shared *s, unsigned worker, struct ring *r);

/* Adds to a counter of which the caller is the only writer: a plain load and store, no locked instruction. */
static inline void shared_add(shared_counter *c, uint64_t n)
{
	atomic_store_explicit(c, atomic_load_explicit(c, memory_order_relaxed) + n, memory_order_relaxed);
}

static inline void shared_set(shared_counter *c, uint64_t n)
{
	atomic_store_explicit(c, n, memory_order_relaxed);
}

static inline uint64_t shared_get(const shared_counter *c)
{
	return atomic_load_explicit(c, memory_order_relaxed);
}

#endif
