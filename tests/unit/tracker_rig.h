/* SPDX-License-Identifier: Apache-2.0 */
/* A tracker with a real nDPI behind a sink that keeps every record, for tests. Sends frames, counts what was accepted. */
#ifndef TESTS_TRACKER_RIG_H
#define TESTS_TRACKER_RIG_H

#include <stdlib.h>

#include "flow/flow_tracker.h"
#include "frames.h"

#define RIG_START UINT64_C(1700000000000) /* times of tests are relative to this */
#define RIG_RECORDS 4096

struct rig {
	struct flow_tracker t;
	struct shared_worker shared;
	struct l7_record *records; /* the first RIG_RECORDS of them */
	size_t n;
	bool refuse;      /* the sink has no room */
	uint64_t refused; /* records that it had none for */
	uint64_t packets; /* accepted */
	uint64_t octets;
	struct l7_record scratch;
};

struct rig_sums {
	uint64_t packets;
	uint64_t octets;
};

static struct dpi_module *rig_module; /* one for all tests of a program: it takes a while to make */

static inline int rig_setup(void **state)
{
	char err[200];

	(void)state;
	return dpi_module_new(&rig_module, &(struct dpi_files){0}, err, sizeof(err));
}

static inline int rig_teardown(void **state)
{
	(void)state;
	dpi_module_free(rig_module);
	return 0;
}

static inline struct l7_record *rig_reserve(void *arg)
{
	struct rig *rig = arg;

	if (rig->refuse) {
		rig->refused++;
		return NULL;
	}
	return rig->n < RIG_RECORDS ? &rig->records[rig->n] : &rig->scratch;
}

static inline void rig_commit(void *arg)
{
	struct rig *rig = arg;
	const struct l7_record *r = rig->n < RIG_RECORDS ? &rig->records[rig->n] : &rig->scratch;

	assert_true(l7_record_check(r, l7_record_used(r)));
	assert_true(r->start_ms <= r->end_ms);
	rig->n++;
}

static inline uint64_t rig_made(void *arg)
{
	const struct rig *rig = arg;

	return rig->n + rig->refused;
}

static inline struct rig *rig_new(struct flow_tracker_config c)
{
	struct rig *rig = aligned_alloc(_Alignof(struct rig), sizeof(*rig));

	assert_non_null(rig);
	memset(rig, 0, sizeof(*rig));
	rig->records = calloc(RIG_RECORDS, sizeof(*rig->records));
	assert_non_null(rig->records);
	if (!c.max_flows)
		c.max_flows = 2000;
	if (!c.seed)
		c.seed = 42;
	if (!c.store)
		c.store = -1;
	assert_int_equal(flow_tracker_init(&rig->t, &c, rig_module, &rig->shared,
					   (struct flow_sink){rig_reserve, rig_commit, rig_made, rig}),
			 0);
	return rig;
}

/* Ends a rig; flows still open are not reported. */
static inline void rig_free(struct rig *rig)
{
	flow_tracker_deinit(&rig->t);
	free(rig->records);
	free(rig);
}

static inline void rig_frame(struct rig *rig, uint64_t at_ms, const struct frame *f)
{
	struct packet p;

	p.tunnels_max = DECODE_TUNNELS_MAX;
	assert_int_equal(decode_ethernet(f->octets, f->len, f->len, &p), DECODE_OK);
	p.time_ms = RIG_START + at_ms;
	p.interface = 3;
	rig->packets++;
	rig->octets += p.octets;
	flow_tracker_packet(&rig->t, &p);
}

static inline void rig_tcp(struct rig *rig, uint64_t at_ms, struct frame_ends e, unsigned flags)
{
	struct frame f;

	frame_tcp(&f, &e, flags, "", 0);
	rig_frame(rig, at_ms, &f);
}

/* A datagram of `len` octets that nothing is known of. */
static inline void rig_udp(struct rig *rig, uint64_t at_ms, struct frame_ends e, size_t len)
{
	static const uint8_t octets[64] = {0x3d, 0x91, 0xc7, 0x55, 0xaa, 0x1e, 0x77, 0x02};
	struct frame f;

	frame_udp(&f, &e, octets, len < sizeof(octets) ? len : sizeof(octets));
	rig_frame(rig, at_ms, &f);
}

/* A request for the time (NTP, RFC 5905 section 7.3): one packet, and nDPI is sure. */
static inline void rig_ntp(struct rig *rig, uint64_t at_ms, struct frame_ends e)
{
	static const uint8_t request[48] = {0x23, 0, 6, 0xec};
	struct frame f;

	frame_udp(&f, &e, request, sizeof(request));
	rig_frame(rig, at_ms, &f);
}

/* A TCP segment with a ClientHello. */
static inline void rig_hello(struct rig *rig, uint64_t at_ms, struct frame_ends e, const char *sni)
{
	struct frame hello, f;

	frame_client_hello(&hello, sni);
	frame_tcp(&f, &e, FRAME_PSH | FRAME_ACK, hello.octets, hello.len);
	rig_frame(rig, at_ms, &f);
}

static inline uint64_t rig_count(const shared_counter *c)
{
	return shared_get(c);
}

/* Sums over all records as they are, or over the ones that are not early, folded. */
static inline struct rig_sums rig_sum(const struct rig *rig, bool fold)
{
	struct rig_sums s = {0, 0};

	assert_in_range(rig->n, 0, RIG_RECORDS);
	for (size_t i = 0; i < rig->n; i++) {
		struct l7_record r = rig->records[i];

		if (fold && r.state & L7_STATE_EARLY)
			continue;
		if (fold)
			l7_record_fold(&r);
		s.packets += r.packets + r.rev_packets;
		s.octets += r.octets + r.rev_octets;
	}
	return s;
}

/* Flushes, and checks that the records hold exactly what was sent, both ways of adding. */
static inline void rig_flush(struct rig *rig)
{
	struct rig_sums s;

	flow_tracker_flush(&rig->t);
	assert_int_equal(rig->t.table.active, 0);
	assert_int_equal(rig->t.cold.used, 0);
	assert_int_equal(rig->t.measures.segments.used + rig->t.measures.spreads.used, 0);
	assert_int_equal(rig_count(&rig->shared.counters.records), rig->n);
	s = rig_sum(rig, false);
	assert_int_equal(s.packets, rig->packets);
	assert_int_equal(s.octets, rig->octets);
	s = rig_sum(rig, true);
	assert_int_equal(s.packets, rig->packets);
	assert_int_equal(s.octets, rig->octets);
}

/* What a record says of its time, relative to RIG_START, its packets and its end. */
#define assert_record(r, start, end, forward, reverse, reason, flags)                                                  \
	do {                                                                                                           \
		assert_int_equal((r)->start_ms - RIG_START, start);                                                    \
		assert_int_equal((r)->end_ms - RIG_START, end);                                                        \
		assert_int_equal((r)->packets, forward);                                                               \
		assert_int_equal((r)->rev_packets, reverse);                                                           \
		assert_string_equal(l7_end_reason_name((r)->end_reason), l7_end_reason_name(reason));                  \
		assert_int_equal((r)->state, flags);                                                                   \
	} while (0)

#endif
