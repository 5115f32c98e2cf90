/* SPDX-License-Identifier: Apache-2.0 */
/* Sampling: so many are chosen as is said, each by itself; of a flow all packets or none; each packet is counted somewhere. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "l7/fields.h"
#include "tracker_rig.h"
#include "wholes.h"

#define MANY 200000u

/* Within six standard deviations of a binomial distribution. */
static void check_share(uint64_t chosen, uint64_t of, double share)
{
	double expected = (double)of * share, off = (double)chosen - expected;

	print_message("%llu of %llu, expected %.0f\n", (unsigned long long)chosen, (unsigned long long)of, expected);
	assert_true(off * off <= 36.0 * expected * (1.0 - share));
}

/* A packet of which nothing but what is hashed is set. */
static struct packet packet(uint8_t ip[64], uint64_t us)
{
	return (struct packet){.time_ms = us / 1000, .us = (uint16_t)(us % 1000), .ip = ip, .ip_captured = 64};
}

static void test_packets(void **state)
{
	static const unsigned of[] = {2, 3, 10, 100, FLOW_SAMPLE_MAX};
	uint8_t ip[64] = {0x45};

	(void)state;
	for (size_t k = 0; k < sizeof(of) / sizeof(of[0]); k++) {
		struct flow_sample s = flow_sample_one_in(of[k]);
		uint64_t by_time = 0, by_octets = 0, both = 0;

		for (uint32_t i = 0; i < MANY; i++) {
			struct packet p = packet(ip, i);
			bool a, b;

			memset(ip + 20, 0, 4);
			a = flow_sample_packet(&s, &p);
			assert_true(a == flow_sample_packet(&s, &p));
			memcpy(ip + 20, &i, 4);
			p = packet(ip, 7);
			b = flow_sample_packet(&s, &p);
			by_time += a;
			by_octets += b;
			both += a && b;
		}
		check_share(by_time, MANY, 1.0 / of[k]);
		check_share(by_octets, MANY, 1.0 / of[k]);
		check_share(both, MANY, 1.0 / of[k] / of[k]);
	}
}

static void test_all(void **state)
{
	uint8_t ip[64] = {0x45};
	struct packet p = packet(ip, 1);
	struct flow_key k = {.ip_version = 4};

	(void)state;
	for (unsigned n = 0; n < 2; n++) {
		struct flow_sample s = flow_sample_one_in(n);

		assert_true(flow_sample_packet(&s, &p));
		assert_true(flow_sample_key(&s, &k));
	}
}

/* The parts of a packet have its identification, and nothing else that is the same. */
static void test_fragments(void **state)
{
	struct flow_sample s = flow_sample_one_in(5);
	uint64_t chosen = 0;
	uint8_t ip[64] = {0x45};

	(void)state;
	for (uint32_t id = 0; id < 65536; id++) {
		struct packet p = packet(ip, id), later = packet(ip, id + 700);
		bool first;

		p.fragment = later.fragment = later.later_fragment = true;
		p.fragment_id = later.fragment_id = id;
		first = flow_sample_packet(&s, &p);
		ip[6] ^= 0x55;
		assert_true(flow_sample_packet(&s, &later) == first);
		chosen += first;
	}
	check_share(chosen, 65536, 0.2);
}

static void test_keys(void **state)
{
	struct flow_sample s = flow_sample_one_in(10), other = flow_sample_one_in(20);
	struct flow_key k = {.protocol = IPPROTO_TCP, .ip_version = 4};
	uint64_t chosen = 0;

	(void)state;
	for (uint32_t i = 0; i < MANY; i++) {
		memcpy(k.ip[1] + 12, &i, 4);
		k.vlan = 0;
		if (!flow_sample_key(&s, &k)) {
			assert_false(flow_sample_key(&other, &k)); /* who samples less has of who samples more */
			continue;
		}
		chosen++;
		k.vlan = (uint16_t)i; /* each direction may have its own */
		assert_true(flow_sample_key(&s, &k));
	}
	check_share(chosen, MANY, 0.1);
}

/* As a worker does it, around what the tracker makes of a frame. */
static void take(struct rig *rig, uint64_t at_ms, const struct frame *f)
{
	struct flow_journal *j = &rig->t.store.head->journal;

	flow_frame_note(&j->frame, DECODE_OK, f->len, SHARED_INTERFACES_MAX, &rig->shared);
	rig_frame(rig, at_ms, f);
	assert_int_equal(j->stage, FLOW_STAGE_FRAME);
	flow_frame_do(&j->frame, &rig->shared);
	flow_journal_set(&j->stage, FLOW_STAGE_NONE);
}

/* What is in records, and what was left out, is all there was. */
static uint64_t check_sum(struct rig *rig)
{
	uint64_t packets = 0, left_out;

	flow_tracker_flush(&rig->t);
	for (size_t i = 0; i < rig->n; i++)
		packets += rig->records[i].packets + rig->records[i].rev_packets;
	left_out = shared_get(&rig->shared.counters.packets_not_sampled);
	assert_int_equal(packets + left_out, rig->packets);
	assert_int_equal(shared_get(&rig->shared.counters.packets), rig->packets);
	return left_out;
}

/* Question and answer, of many hosts: a flow has both or is not there at all, and is no entry of the table. */
static void test_flows(void **state)
{
	struct rig *rig = rig_new((struct flow_tracker_config){.idle_ms = 15000, .flows = flow_sample_one_in(4)});
	struct frame f;

	(void)state;
	for (unsigned i = 0; i < 1500; i++) {
		char host[32];

		sprintf(host, "10.0.%u.%u", i >> 8, i & 255);
		frame_udp(&f, &(struct frame_ends){host, "192.0.2.1", 4000, 9999, 0}, "hello", 5);
		take(rig, i, &f);
		frame_udp(&f, &(struct frame_ends){"192.0.2.1", host, 9999, 4000, 0}, "hello", 5);
		take(rig, i, &f);
	}
	check_share(rig->t.table.active, 1500, 0.25);
	assert_int_equal(shared_get(&rig->shared.counters.flows), rig->t.table.active);
	check_sum(rig);
	for (size_t i = 0; i < rig->n; i++)
		assert_true(rig->records[i].packets == 1 && rig->records[i].rev_packets == 1);
	rig_free(rig);
}

/* Fragments find their ports first, in whatever order they come: a flow is chosen by them. Those of the others wait no longer than usual. */
static void test_fragments_of_flows(void **state)
{
	struct rig *rig = rig_new((struct flow_tracker_config){.idle_ms = 15000, .flows = flow_sample_one_in(3)});
	struct frame f;
	uint64_t parts = 0;

	(void)state;
	for (unsigned i = 0; i < 300; i++) {
		struct frame_ends e = {"198.51.100.2", "192.0.2.1", (uint16_t)(1000 + i), 53, 0};
		struct whole w;
		unsigned n;

		whole_udp(&w, &e, i + 1, 1200);
		n = whole_parts(&w);
		parts += n;
		for (unsigned k = 0; k < n; k++) {
			whole_nth(&w, &f, i % 2 ? n - 1 - k : k);
			take(rig, 10 * i, &f);
		}
	}
	check_share(rig->t.table.active, 300, 1.0 / 3);
	assert_int_equal(rig->packets, parts);
	assert_int_equal(shared_get(&rig->shared.counters.fragments_unknown), 0);
	assert_true(check_sum(rig) > 0);
	for (size_t i = 0; i < rig->n; i++)
		assert_int_equal(rig->records[i].packets, parts / 300);
	rig_free(rig);
}

/* What was left out moves the clock: flows expire as if it had been looked at. */
static void test_clock(void **state)
{
	struct rig *rig = rig_new((struct flow_tracker_config){.idle_ms = 15000, .flows = flow_sample_one_in(2)});
	const shared_counter *n = &rig->shared.counters.packets_not_sampled;
	struct frame f;
	unsigned port = 1000;

	(void)state;
	for (; rig->t.table.active == 0; port++) {
		frame_udp(&f, &(struct frame_ends){"198.51.100.2", "192.0.2.1", (uint16_t)port, 9, 0}, "hello", 5);
		take(rig, 0, &f);
	}
	for (uint64_t left_out = shared_get(n); shared_get(n) == left_out; port++) {
		rig->t.config.flows.below = 1; /* nothing else is chosen */
		frame_udp(&f, &(struct frame_ends){"198.51.100.2", "192.0.2.1", (uint16_t)port, 9, 0}, "hello", 5);
		take(rig, 20000, &f);
	}
	flow_tracker_expire(&rig->t, 0, 100);
	assert_int_equal(rig->n, 1);
	rig_free(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_packets), cmocka_unit_test(test_all),   cmocka_unit_test(test_fragments),
		cmocka_unit_test(test_keys),    cmocka_unit_test(test_flows), cmocka_unit_test(test_fragments_of_flows),
		cmocka_unit_test(test_clock),
	};

	return cmocka_run_group_tests(tests, rig_setup, rig_teardown);
}
