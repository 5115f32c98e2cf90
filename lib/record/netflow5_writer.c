/* SPDX-License-Identifier: Apache-2.0 */
#include "record/netflow5_writer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "l7/fields.h"
#include "record/netflow_header.h"

#define NETFLOW5_SAMPLING_MAX 0x3fff
#define NETFLOW5_SAMPLING_MODE 0x8000 /* at random, as v9's SAMPLING_ALGORITHM has it */
#define NETFLOW5_ICMP 1
#define NETFLOW5_AS_TRANS 23456 /* stands for numbers of more than 16 bits (RFC 6793 section 2) */

struct netflow5_writer {
	struct netflow5_config config;
	uint64_t base;
	uint64_t newest_ms; /* the latest end of the records in the message */
	uint32_t sampling;  /* of all of them */
	uint16_t count;
	uint8_t out[NETFLOW5_MESSAGE_MAX];
};

struct netflow5_writer *netflow5_writer_new(const struct netflow5_config *c)
{
	struct netflow5_writer *w = calloc(1, sizeof(*w));

	if (w)
		w->config = *c;
	return w;
}

void netflow5_writer_free(struct netflow5_writer *w)
{
	free(w);
}

/*
 * version 5, count, sysUptime, unix_secs, unix_nsecs, flow_sequence, engine_type, engine_id, sampling_interval. The nanoseconds are 0:
 * not every receiver looks at them.
 */
static void netflow5_head(struct netflow5_writer *w)
{
	uint16_t sampling = (uint16_t)(w->sampling > NETFLOW5_SAMPLING_MAX ? NETFLOW5_SAMPLING_MAX : w->sampling);

	memset(w->out, 0, NETFLOW5_HEADER);
	netflow_header(w->out, 5, w->count, w->base, w->newest_ms);
	netflow_put16(w->out + 20, w->config.engine);
	if (sampling > 1)
		netflow_put16(w->out + 22, NETFLOW5_SAMPLING_MODE | sampling);
}

void netflow5_writer_flush(struct netflow5_writer *w)
{
	uint32_t n = w->count;

	if (n == 0)
		return;
	netflow5_head(w);
	w->count = 0;
	w->config.data.message(w->config.data.arg, w->out, NETFLOW5_HEADER + n * NETFLOW5_RECORD, n);
}

uint32_t netflow5_writer_pending(const struct netflow5_writer *w)
{
	return w->count;
}

static bool netflow5_full(const struct netflow5_writer *w)
{
	return w->count == NETFLOW5_RECORDS_MAX ||
	       NETFLOW5_HEADER + (w->count + 1u) * NETFLOW5_RECORD > w->config.message_max;
}

/* Share number `part` of a counter in n shares that differ by one at most. */
static uint32_t netflow5_share(uint64_t counter, uint64_t n, uint64_t part)
{
	uint64_t share = counter / n + (part < counter % n);

	return share > UINT32_MAX ? UINT32_MAX : (uint32_t)share;
}

static uint16_t netflow5_interface(uint32_t index)
{
	return index > UINT16_MAX ? 0 : (uint16_t)index;
}

static uint16_t netflow5_as(const struct l7_record *r, enum l7_field f, uint32_t as)
{
	if (!l7_has(r, f))
		return 0;
	return as > UINT16_MAX ? NETFLOW5_AS_TRANS : (uint16_t)as;
}

/*
 *   0 srcaddr   4 dstaddr   8 nexthop   12 input   14 output   16 dPkts   20 dOctets   24 First   28 Last
 *   32 srcport   34 dstport   36 pad   37 tcp_flags   38 prot   39 tos   40 src_as   42 dst_as   44 masks   46 pad
 * Next hop and masks are a router's to know: 0. Of ICMP the port is type and code, as Cisco has it.
 */
static void netflow5_record(const struct netflow5_writer *w, uint8_t *to, const struct l7_record *r)
{
	bool icmp = r->protocol == NETFLOW5_ICMP;

	memset(to, 0, NETFLOW5_RECORD);
	memcpy(to, r->src_ip + 12, 4);
	memcpy(to + 4, r->dst_ip + 12, 4);
	netflow_put16(to + 12, netflow5_interface(r->ingress_if));
	netflow_put16(to + 14, netflow5_interface(r->egress_if));
	netflow_put32(to + 24, netflow_uptime(w->base, r->start_ms));
	netflow_put32(to + 28, netflow_uptime(w->base, r->end_ms));
	netflow_put16(to + 32, r->src_port);
	netflow_put16(to + 34, icmp ? r->icmp_type_code : r->dst_port);
	to[37] = (uint8_t)r->tcp_flags;
	to[38] = r->protocol;
	to[39] = r->tos;
	netflow_put16(to + 40, netflow5_as(r, L7_F_bgpSourceAsNumber, r->place.src_as));
	netflow_put16(to + 42, netflow5_as(r, L7_F_bgpDestinationAsNumber, r->place.dst_as));
}

/* The message has room for one more record, and what its header says is true of this one too. */
static void netflow5_prepare(struct netflow5_writer *w, const struct l7_record *r)
{
	uint64_t end = r->end_ms > r->start_ms ? r->end_ms : r->start_ms;

	if (w->count &&
	    (netflow5_full(w) || r->sampling != w->sampling || !netflow_base_fits(w->base, r->start_ms, end)))
		netflow5_writer_flush(w);
	if (!w->count) {
		w->base = netflow_base(w->config.boot_ms, r->start_ms, end);
		w->newest_ms = 0;
		w->sampling = r->sampling;
	}
	if (end > w->newest_ms)
		w->newest_ms = end;
}

int netflow5_writer_add(struct netflow5_writer *w, const struct l7_record *r)
{
	uint64_t most = r->octets > r->packets ? r->octets : r->packets;
	uint64_t n = most / UINT32_MAX + (most % UINT32_MAX != 0);

	if (r->ip_version != 4)
		return -EAFNOSUPPORT;
	n = n == 0 ? 1 : n > NETFLOW5_PARTS_MAX ? NETFLOW5_PARTS_MAX : n;
	for (uint64_t part = 0; part < n; part++) {
		uint8_t *to;

		netflow5_prepare(w, r);
		to = w->out + NETFLOW5_HEADER + w->count++ * NETFLOW5_RECORD;
		netflow5_record(w, to, r);
		netflow_put32(to + 16, netflow5_share(r->packets, n, part));
		netflow_put32(to + 20, netflow5_share(r->octets, n, part));
	}
	if (netflow5_full(w))
		netflow5_writer_flush(w);
	return (int)n;
}

void netflow5_message_stamp(uint8_t *message, uint32_t sequence, uint64_t now_ms)
{
	netflow_header_move(message, now_ms);
	netflow_put32(message + 16, sequence);
}
