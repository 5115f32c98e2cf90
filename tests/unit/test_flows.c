/* SPDX-License-Identifier: Apache-2.0 */
/* Records become flows: cut ones, halves, those that two exporters see. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "state/flows.h"
#include "watch_flow.h"

#define NOW UINT64_C(1700000000000)

static struct flows flows;
static struct rules_input in;

static int setup(void **state)
{
	(void)state;
	return flows_init(&flows, 64);
}

static int teardown(void **state)
{
	(void)state;
	flows_deinit(&flows);
	return 0;
}

static struct l7_record last; /* the input points to it */

static const struct rules_input *take(struct l7_record r)
{
	last = r;
	flows_take(&flows, &last, r.end_ms, &in);
	return &in;
}

/* A record of 5 packets there and 4 back; 1000 and 2000 octets. */
static struct l7_record record(struct flow f, const char *exporter)
{
	struct l7_record r = flow_record(f);

	r.octets = 1000;
	r.rev_octets = r.rev_packets ? 2000 : 0;
	if (exporter)
		flow_text(&r, L7_F_exporterName, &r.exporter, exporter);
	return r;
}

/* As an exporter sends that reports each direction by itself and knows no flows. */
static struct l7_record half(struct flow f, bool server)
{
	struct l7_record r = record(f, "router");

	r.rev_packets = r.rev_octets = 0;
	r.flow_id = 0;
	l7_unmark(&r, L7_F_flowId);
	l7_unmark(&r, L7_F_biflowDirection);
	l7_unmark(&r, L7_F_recordState);
	if (server) {
		uint8_t ip[16];
		uint16_t port = r.src_port;

		memcpy(ip, r.src_ip, 16);
		memcpy(r.src_ip, r.dst_ip, 16);
		memcpy(r.dst_ip, ip, 16);
		r.src_port = r.dst_port;
		r.dst_port = port;
	}
	return r;
}

static void test_cut_flow(void **state)
{
	(void)state;
	for (uint64_t i = 0; i < 10; i++) {
		struct l7_record r = record((struct flow){.end_ms = NOW + i * 60000, .flow_id = 9}, "p");

		take(r);
		assert_int_equal(in.known, i > 0);
		assert_false(in.twin);
		assert_int_equal(in.octets[0], (i + 1) * 1000);
		assert_int_equal(in.octets[1], (i + 1) * 2000);
		assert_int_equal(in.new_octets[1], 2000);
		assert_int_equal(in.packets[0], (i + 1) * 5);
		assert_int_equal(in.start_ms, NOW - 1500);
	}
	/* The same five, another flow: at once, and after a day. */
	take(record((struct flow){.end_ms = NOW + 600001, .flow_id = 10}, "p"));
	assert_false(in.known);
	assert_int_equal(in.octets[0], 1000);
	take(record((struct flow){.end_ms = NOW + 86400000, .flow_id = 11}, "p"));
	assert_false(in.known);
	/* A record of the first that comes late takes the place from nobody. */
	take(record((struct flow){.end_ms = NOW + 86400000, .flow_id = 11}, "p"));
	assert_true(in.known);
	take(record((struct flow){.end_ms = NOW, .flow_id = 9}, "p"));
	assert_false(in.known);
	take(record((struct flow){.end_ms = NOW + 86400000, .flow_id = 11}, "p"));
	assert_int_equal(in.octets[0], 3000);
}

static void test_late_answer(void **state)
{
	struct flow f = {.unanswered = true, .flow_id = 3};

	(void)state;
	assert_false(take(record(f, "p"))->answered);
	f.unanswered = false;
	f.end_ms = NOW + 1000;
	assert_true(take(record(f, "p"))->answered);
	f.unanswered = true;
	f.end_ms = NOW + 2000;
	assert_true(take(record(f, "p"))->answered);
	f.flow_id = 4;
	assert_false(take(record(f, "p"))->answered);
}

static void test_two_exporters(void **state)
{
	struct flow f = {.flow_id = 100}, g = {.flow_id = 200, .end_ms = NOW + 3000};

	(void)state;
	take(record(f, "a"));
	assert_false(in.known || in.twin);
	take(record(g, "b"));
	assert_true(in.known && in.twin);
	assert_int_equal(in.new_octets[0], 0);
	assert_int_equal(in.octets[0], 1000);
	/* Each goes on with its own; one counts. */
	f.end_ms = g.end_ms = NOW + 60000;
	take(record(g, "b"));
	assert_true(in.twin);
	take(record(f, "a"));
	assert_true(in.known && !in.twin);
	assert_int_equal(in.octets[0], 2000);
	assert_int_equal(flows.n_twins, 2);
	/* A third and a fourth do too, and more than are told apart. */
	take(record((struct flow){.flow_id = 300}, "c"));
	assert_true(in.twin);
	take(record((struct flow){.flow_id = 400}, "d"));
	assert_true(in.twin);
	/* What b sees first an hour later is b's, and a's view is the twin. */
	take(record((struct flow){.flow_id = 201, .end_ms = NOW + 3600000}, "b"));
	assert_false(in.known || in.twin);
	take(record((struct flow){.flow_id = 101, .end_ms = NOW + 3600900}, "a"));
	assert_true(in.known && in.twin);
	/* A late view of the flow before counts nothing. */
	take(record((struct flow){.flow_id = 102, .end_ms = NOW}, "e"));
	assert_true(in.twin);
}

static void test_halves(void **state)
{
	struct flow f = {.end_ms = NOW};

	(void)state;
	take(half(f, false));
	assert_false(in.known || in.answered);
	take(half(f, true));
	assert_true(in.known && in.answered);
	assert_int_equal(in.record->dst_port, 443);
	assert_int_equal(in.octets[0], 1000);
	assert_int_equal(in.octets[1], 1000);
	/* The server's half first: the port tells. */
	f.src_port = 50001;
	take(half(f, true));
	assert_false(in.known);
	assert_true(in.answered);
	assert_int_equal(in.record->dst_port, 443);
	assert_memory_equal(in.record->src_ip, half(f, false).src_ip, 16);
	take(half(f, false));
	assert_true(in.known);
	assert_int_equal(in.record->dst_port, 443);
	/* No well-known port: who came first is the client. */
	f.port = 8443;
	take(half(f, false));
	take(half(f, true));
	assert_true(in.known && in.answered);
	assert_int_equal(in.record->dst_port, 8443);
	/* The same five after the gap are another flow. */
	f.end_ms = NOW + FLOWS_GAP_MS + 1500;
	take(half(f, false));
	assert_true(in.known);
	f.end_ms += FLOWS_GAP_MS + 1501;
	take(half(f, false));
	assert_false(in.known);
}

static void test_sampled(void **state)
{
	struct l7_record r = record((struct flow){.flow_id = 1}, "p");

	(void)state;
	r.sampling = 100;
	l7_mark(&r, L7_F_samplingInterval);
	take(r);
	assert_int_equal(in.sampling, 100);
	assert_int_equal(in.octets[0], 100000);
	assert_int_equal(in.new_packets[1], 400);
	assert_int_equal(flows.n_sampled, 1);
}

static void test_bounded(void **state)
{
	(void)state;
	for (uint16_t i = 0; i < 200; i++)
		take(record((struct flow){.src_port = (uint16_t)(1000 + i), .flow_id = i + 1u, .end_ms = NOW + i},
			    "p"));
	assert_true(flows.n <= 64);
	assert_int_equal(flows.n + flows.evicted, 200);
	take(record((struct flow){.src_port = 1199, .flow_id = 200}, "p"));
	assert_true(in.known);
	take(record((struct flow){.src_port = 1000, .flow_id = 1}, "p"));
	assert_false(in.known);
}

/* An exporter whose clock is at the end of time keeps no place from others: what counts is when the record is believed to be. */
static void test_wrong_clock(void **state)
{
	struct l7_record r;

	(void)state;
	for (uint16_t i = 0; i < 400; i++) {
		r = record((struct flow){.src_port = (uint16_t)(1000 + i), .flow_id = i + 1u}, "p");
		r.end_ms = UINT64_MAX;
		r.start_ms = UINT64_MAX - 1500;
		flows_take(&flows, &r, NOW, &in);
		assert_int_equal(in.start_ms, NOW - 1500);
	}
	for (uint16_t i = 0; i < 4; i++) {
		r = record((struct flow){.src_port = (uint16_t)(5000 + i), .flow_id = 5000u + i, .end_ms = NOW + 1000},
			   "p");
		flows_take(&flows, &r, NOW + 1000, &in);
	}
	for (uint16_t i = 0; i < 4; i++) {
		r = record((struct flow){.src_port = (uint16_t)(5000 + i), .flow_id = 5000u + i, .end_ms = NOW + 2000},
			   "p");
		flows_take(&flows, &r, NOW + 2000, &in);
		assert_true(in.known);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_cut_flow, setup, teardown),
		cmocka_unit_test_setup_teardown(test_late_answer, setup, teardown),
		cmocka_unit_test_setup_teardown(test_two_exporters, setup, teardown),
		cmocka_unit_test_setup_teardown(test_halves, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sampled, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(test_wrong_clock, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
