/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A BPF program in the making. While it runs, X is where the next header begins, counted from the end of the link's own header
 * (`base`), and never behind the end of the frame. Loads add the base, as libpcap wants it of cooked sockets: there the kernel's
 * program sees the packet without such a header, and libpcap takes its size off again. Of the length it cannot do that.
 */
#ifndef PROBE_SPLIT_PROGRAM_H
#define PROBE_SPLIT_PROGRAM_H

#include <pcap/pcap.h>
#include <stdbool.h>
#include <stdint.h>

#define SPLIT_PROGRAM_MAX 512 /* instructions of the split, without those of the filter after it */

/* Where jumps lead, all of them forward. Those from SPLIT_LOCAL on are given out one by one. */
enum split_label {
	SPLIT_NONE,
	SPLIT_LLC,
	SPLIT_PPPOE,
	SPLIT_PPP,
	SPLIT_MPLS,
	SPLIT_INNER,   /* A has the ethertype of a frame in a pseudowire */
	SPLIT_VERSION, /* IP of some version */
	SPLIT_IP4,
	SPLIT_IP6,
	SPLIT_MIX,
	SPLIT_OTHER, /* the share of worker 0 */
	SPLIT_DROP,
	SPLIT_AFTER,
	SPLIT_LOCAL,
	SPLIT_LABELS = SPLIT_LOCAL + 32
};

/* Scratch memory. */
enum { SPLIT_KEPT, SPLIT_AT, SPLIT_CONTROL, SPLIT_CONTROL2, SPLIT_QOS };

struct split_step {
	uint16_t code;
	uint8_t label; /* of a jump */
	bool unless;   /* it is made if the condition does not hold */
	bool far;      /* too far for a condition: it leaps over a jump that is always made, or does not */
	uint32_t k;
};

struct split_program {
	struct split_step steps[SPLIT_PROGRAM_MAX];
	uint16_t places[SPLIT_LABELS];
	unsigned n;
	unsigned locals;
	unsigned base;
	unsigned unseen; /* how much of the length is in front of X = 0 */
};

void split_put(struct split_program *p, unsigned code, uint32_t k);
unsigned split_local(struct split_program *p);
void split_place(struct split_program *p, unsigned label);

void split_go(struct split_program *p, unsigned label);
void split_if(struct split_program *p, unsigned test, uint32_t k, unsigned label);
void split_unless(struct split_program *p, unsigned test, uint32_t k, unsigned label);

/* A is what is `at` octets behind X. */
void split_load(struct split_program *p, unsigned size, uint32_t at);
/* A is how many octets there are from X on. */
void split_left(struct split_program *p);
/* Goes on only if there are n. A is lost. */
void split_need(struct split_program *p, uint32_t n);
/* X goes n octets further, which are there. A is lost. */
void split_skip(struct split_program *p, uint32_t n);
/* X goes n octets further, and A is the type which is in the two octets before `at`. */
void split_skip_type(struct split_program *p, uint32_t at, uint32_t n);

/* The program, and room for `rest` instructions more behind it, where SPLIT_AFTER leads. Returns 0 or -ENOMEM; to be freed. */
int split_finish(struct split_program *p, unsigned rest, struct bpf_program *out);

#endif
