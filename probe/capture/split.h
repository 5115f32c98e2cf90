/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which worker a packet belongs to: by its pair of hosts, because nDPI keeps caches across the flows of hosts, and so that
 * both halves of a flow meet. Two ways that agree: from a decoded packet, for files, which every worker reads whole;
 * and as a filter program on each worker's own socket, live. A filter per socket, unlike a fanout group, does not deal the
 * hosts anew when a worker dies and another takes its place.
 *
 * In tunnels the two do not agree: of a decoded packet it is the pair inside, but the filter sees the pair outside. So live all that
 * comes through a tunnel between two hosts is one worker's, which is less even; and a pair of hosts that is seen in two tunnels, or
 * in one and out of it, may be two workers'. These are other flows then, as tunnels are part of what tells flows apart; only what
 * nDPI keeps across the flows of a host is not shared.
 */
#ifndef PROBE_SPLIT_H
#define PROBE_SPLIT_H

#include <pcap/pcap.h>
#include <stddef.h>

#include "decode/decode.h"

/* One worker's share: `index` of `count`. */
struct split {
	unsigned index;
	unsigned count;
};

/* Index of the worker that a pair of hosts belongs to. */
unsigned split_pair(const uint8_t a[16], const uint8_t b[16], unsigned ip_version, unsigned count);

/* Of the worker that a packet belongs to. */
static inline unsigned split_worker(const struct packet *p, unsigned count)
{
	return split_pair(p->src_ip, p->dst_ip, p->ip_version, count);
}

/*
 * A program that passes the frames of one share on to `after` (NULL: passes them all). What is not IP, too short to tell, or under
 * more tags and labels than split.c looks behind is the share of worker 0, and so are link types that no interface has
 * (PPI). out->bf_insns is malloc'd, the caller frees it. Returns 0 or -ENOMEM.
 *
 * For cooked links (SLL) it is right where libpcap puts it on a cooked socket: the length that it sees is without their header.
 */
int split_filter(struct bpf_program *out, const struct split *s, enum decode_link link,
		 const struct bpf_program *after);

#endif
