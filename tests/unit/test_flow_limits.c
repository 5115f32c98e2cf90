/* SPDX-License-Identifier: Apache-2.0 */
/* What the tracker does when something runs out, or time goes wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tracker_rig.h"

enum { LAST = L7_STATE_FINAL | L7_STATE_LAST };

static const struct flow_tracker_config usual = {.idle_ms = 15000, .active_ms = 60000, .domain = 1};

/* Client number n of a server; src is written into `text`. */
static struct frame_ends client(char text[ADDR_TEXT_MAX], uint32_t n, uint16_t port)
{
	snprintf(text, ADDR_TEXT_MAX, "10.%u.%u.%u", n >> 16 & 255, n >> 8 & 255, n & 255);
	return (struct frame_ends){text, "198.51.100.2", (uint16_t)(1024 + n % 60000), port, 0};
}

static bool rig_has_flow(const struct rig *rig, struct frame_ends e)
{
	uint8_t src[16];

	addr_parse(e.src, src);
	for (uint32_t i = flow_table_next(&rig->t.table, 0); i; i = flow_table_next(&rig->t.table, i)) {
		const struct flow_key *k = &rig->t.table.flows[i].key;

		if (memcmp(k->ip[0], src, 16) == 0 && k->port[0] == e.src_port)
			return true;
	}
	return false;
}

static void test_eviction_order(void **state)
{
	struct flow_tracker_config c = usual;
	char text[8][ADDR_TEXT_MAX];
	struct frame_ends answered, classified, silent[3], more;
	struct rig *rig;

	(void)state;
	c.max_flows = 4;
	rig = rig_new(c);
	answered = client(text[0], 1, 9999);
	classified = client(text[1], 2, 123);
	silent[0] = client(text[2], 3, 9999);
	silent[1] = client(text[3], 4, 9999);
	rig_tcp(rig, 0, answered, FRAME_SYN);
	rig_ntp(rig, 1, classified);
	rig_tcp(rig, 2, frame_back(answered), FRAME_SYN | FRAME_ACK);
	rig_tcp(rig, 2000, silent[0], FRAME_SYN);
	rig_tcp(rig, 4000, silent[1], FRAME_SYN);
	assert_int_equal(rig_count(&rig->shared.counters.evicted), 0);
	more = client(text[4], 5, 9999);
	rig_tcp(rig, 5000, more, FRAME_SYN);
	assert_int_equal(rig_count(&rig->shared.counters.evicted), 1);
	assert_int_equal(rig->n, 1);
	assert_record(&rig->records[0], 2000, 2000, 1, 0, L7_END_RESOURCES, LAST);
	assert_false(rig_has_flow(rig, silent[0])); /* the one nearest to its expiry */
	rig_tcp(rig, 5001, frame_back(more), FRAME_SYN | FRAME_ACK);
	rig_tcp(rig, 5002, client(text[5], 6, 9999), FRAME_SYN);
	assert_false(rig_has_flow(rig, silent[1]));
	rig_tcp(rig, 5003, client(text[6], 7, 9999), FRAME_SYN);
	assert_true(rig_has_flow(rig, answered) && rig_has_flow(rig, classified) && rig_has_flow(rig, more));
	rig_tcp(rig, 5004, frame_back(client(text[6], 7, 9999)), FRAME_SYN | FRAME_ACK);
	rig_tcp(rig, 5005, client(text[7], 8, 9999), FRAME_SYN); /* only answered ones are left: one of them goes */
	assert_int_equal(rig->t.table.active, 4);
	assert_int_equal(rig_count(&rig->shared.counters.evicted), 4);
	rig_flush(rig);
	rig_free(rig);
}

/* The same in the order in which the flood came, in every record; nothing is lost from the sums. */
static void test_syn_flood(void **state)
{
	enum { FLOOD = 100000, ESTABLISHED = 500 };
	struct flow_tracker_config c = usual;
	char text[ADDR_TEXT_MAX];
	struct rig *rig;
	unsigned kept = 0;

	(void)state;
	c.max_flows = 1000;
	rig = rig_new(c);
	for (uint32_t n = 0; n < ESTABLISHED; n++) {
		struct frame_ends e = client(text, n, 443);

		rig_tcp(rig, n, e, FRAME_SYN);
		rig_tcp(rig, n + 1, frame_back(e), FRAME_SYN | FRAME_ACK);
		rig_tcp(rig, n + 2, e, FRAME_ACK);
	}
	for (uint32_t n = 0; n < FLOOD; n++) {
		rig_tcp(rig, 1000 + n / 100, client(text, 100000 + n, 443), FRAME_SYN);
		if (n % 1000 == 0)
			assert_false(flow_tracker_expire(&rig->t, RIG_START, 100000));
	}
	for (uint32_t n = 0; n < ESTABLISHED; n++)
		kept += rig_has_flow(rig, client(text, n, 443));
	assert_int_equal(kept, ESTABLISHED);
	assert_int_equal(rig->t.table.active, 1000);
	assert_int_equal(rig_count(&rig->shared.counters.flows), FLOOD + ESTABLISHED);
	assert_int_equal(rig_count(&rig->shared.counters.evicted), FLOOD - 500);
	assert_int_equal(rig->n, FLOOD - 500);
	for (size_t i = 0; i < RIG_RECORDS; i++)
		assert_int_equal(rig->records[i].end_reason, L7_END_RESOURCES);
	flow_tracker_flush(&rig->t);
	assert_int_equal(rig->n, FLOOD + ESTABLISHED);
	rig_free(rig);
}

static void test_one_flow(void **state)
{
	struct flow_tracker_config c = usual;
	char text[ADDR_TEXT_MAX];
	struct rig *rig;

	(void)state;
	c.max_flows = 1;
	rig = rig_new(c);
	for (uint32_t n = 0; n < 10; n++)
		rig_udp(rig, n, client(text, n, 9999), 10);
	assert_int_equal(rig->t.table.active, 1);
	rig_flush(rig);
	assert_int_equal(rig->n, 10);
	assert_int_equal(rig_count(&rig->shared.counters.evicted), 9);
	rig_free(rig);
}

static void test_quarantine(void **state)
{
	struct rig *rig = rig_new(usual);
	char text[2][ADDR_TEXT_MAX];
	struct frame_ends bad = client(text[0], 1, 123), good = client(text[1], 2, 123);
	struct flow_key k;

	(void)state;
	memset(&k, 0, sizeof(k));
	addr_parse(bad.src, k.ip[0]);
	addr_parse(bad.dst, k.ip[1]);
	k.port[0] = bad.src_port;
	k.port[1] = bad.dst_port;
	k.protocol = IPPROTO_UDP;
	k.ip_version = 4;
	atomic_store(&rig->shared.quarantine[1], flow_table_hash(&rig->t.table, &k, 0));
	atomic_store(&rig->shared.n_quarantine, 1);
	rig_ntp(rig, 0, bad); /* its place is not in force yet */
	assert_int_equal(rig_count(&rig->shared.counters.dpi_quarantined), 0);
	assert_int_equal(rig_count(&rig->shared.counters.dpi_calls), 1);
	atomic_store(&rig->shared.n_quarantine, 2);
	rig_ntp(rig, 20000, bad);
	rig_ntp(rig, 20001, bad);
	rig_ntp(rig, 20001, good);
	assert_int_equal(rig_count(&rig->shared.counters.dpi_quarantined), 1);
	assert_int_equal(rig_count(&rig->shared.counters.dpi_calls), 2);
	assert_int_equal(atomic_load(&rig->shared.progress.dpi_flow), 0);
	rig_flush(rig);
	assert_int_equal(rig->n, 3);
	assert_int_equal(rig->records[0].confidence, L7_CONF_DPI);
	for (int i = 1; i < 3; i++) {
		bool is_bad = memcmp(rig->records[i].src_ip, k.ip[0], 16) == 0;

		assert_int_equal(rig->records[i].confidence, is_bad ? L7_CONF_PORT : L7_CONF_DPI);
		assert_int_equal(rig->records[i].packets, is_bad ? 2 : 1);
	}
	rig_free(rig);
}

/* One packet whose time is far ahead: flows end as idle, and life goes on at the time that the others have. */
static void test_clock_ahead(void **state)
{
	const uint64_t year = UINT64_C(31536000000);
	struct rig *rig = rig_new(usual);
	char text[3][ADDR_TEXT_MAX];
	struct frame_ends a = client(text[0], 1, 9999), b = client(text[1], 2, 9999), c = client(text[2], 3, 9999);

	(void)state;
	rig_udp(rig, 0, a, 10);
	rig_udp(rig, 100, b, 10);
	rig_udp(rig, year, c, 10);
	assert_false(flow_tracker_expire(&rig->t, 0, 100));
	assert_int_equal(rig->n, 2);
	assert_int_equal(rig->records[0].end_reason, L7_END_IDLE);
	for (uint64_t t = 200; t < 10000; t += 100) {
		rig_udp(rig, t, a, 10);
		rig_udp(rig, t + 1, b, 10);
		flow_tracker_expire(&rig->t, 0, 100);
	}
	assert_int_equal(rig->n, 2);
	rig_udp(rig, 30000, b, 10);
	flow_tracker_expire(&rig->t, 0, 100);
	assert_int_equal(rig->n, 4);
	rig_flush(rig);
	assert_int_equal(rig->n, 6);
	rig_free(rig);
}

/* The clock is set back by an hour: every flow is cut once, not for an hour to single packets. */
static void test_clock_back(void **state)
{
	const uint64_t hour = 3600000;
	struct rig *rig = rig_new(usual);
	char text[2][ADDR_TEXT_MAX];
	struct frame_ends a = client(text[0], 1, 9999), b = client(text[1], 2, 9999);

	(void)state;
	rig_udp(rig, hour, a, 10);
	for (uint64_t t = 1; t < 50000; t += 1000) {
		rig_udp(rig, t, a, 10);
		rig_udp(rig, t, b, 10);
		flow_tracker_expire(&rig->t, 0, 100);
	}
	assert_int_equal(rig->n, 1);
	assert_record(&rig->records[0], hour, hour, 1, 0, L7_END_IDLE, LAST);
	flow_tracker_expire(&rig->t, RIG_START + 49001 + 15000 + FLOW_SLACK_MS + 1024, 100);
	assert_int_equal(rig->n, 3);
	assert_record(&rig->records[1], 1, 49001, 50, 0, L7_END_IDLE, LAST);
	assert_record(&rig->records[2], 1, 49001, 50, 0, L7_END_IDLE, LAST);
	rig_flush(rig);
	rig_free(rig);
}

/* Times at the ends of what a number holds. */
static void test_absurd_times(void **state)
{
	static const uint64_t times[] = {0, UINT64_MAX, 0, 1, UINT64_MAX - 1, UINT64_MAX, UINT64_MAX / 2, 7, 0};
	struct flow_tracker_config c = usual;
	struct rig *rig;
	char text[ADDR_TEXT_MAX];

	(void)state;
	c.early = true;
	rig = rig_new(c);
	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		rig_ntp(rig, times[i] - RIG_START, client(text, i % 2, 123));
		for (int n = 0; n < 100 && flow_tracker_expire(&rig->t, 0, 10); n++)
			assert_in_range(n, 0, 50);
	}
	rig_flush(rig);
	rig_free(rig);
}

static void test_idle_longer_than_a_turn(void **state)
{
	const uint64_t idle = 600000; /* the wheel turns in 131 s */
	struct rig *rig = rig_new((struct flow_tracker_config){.idle_ms = idle, .domain = 1});
	char text[ADDR_TEXT_MAX];
	uint64_t t;

	(void)state;
	rig_udp(rig, 0, client(text, 1, 9999), 10);
	for (t = 0; rig->n == 0 && t < 2 * idle; t += 500)
		assert_false(flow_tracker_expire(&rig->t, RIG_START + t, 100));
	assert_in_range(t, idle + FLOW_SLACK_MS, idle + FLOW_SLACK_MS + 2000);
	rig_flush(rig);
	rig_free(rig);
}

static void test_expire_is_bounded(void **state)
{
	enum { FLOWS = 1000 };
	struct rig *rig = rig_new(usual);
	char text[ADDR_TEXT_MAX];
	size_t before = 0;
	unsigned rounds = 0;

	(void)state;
	for (uint32_t n = 0; n < FLOWS; n++)
		rig_udp(rig, n, client(text, n, 9999), 10);
	while (flow_tracker_expire(&rig->t, RIG_START + 100000, 16)) {
		assert_in_range(rig->n - before, 1, 16);
		before = rig->n;
		assert_in_range(rounds++, 0, FLOWS);
	}
	assert_int_equal(rig->n, FLOWS);
	assert_int_equal(rig->t.table.active, 0);
	for (uint32_t n = 512 * 2; n < FLOWS; n++) /* earlier ticks first */
		assert_true(rig->records[n].end_ms + 1024 > rig->records[n - 1].end_ms);
	rig_flush(rig);
	rig_free(rig);
}

static void test_no_classification_state(void **state)
{
	enum { STATES = 1024, FLOWS = 1100 };
	struct rig *rig = rig_new(usual); /* 2,000 flows: 1,024 states */
	char text[ADDR_TEXT_MAX];
	unsigned guessed = 0;

	(void)state;
	for (uint32_t n = 0; n < FLOWS; n++)
		rig_hello(rig, 0, client(text, n, 443), "www.example.org");
	assert_int_equal(rig_count(&rig->shared.counters.dpi_no_state), FLOWS - STATES);
	assert_int_equal(rig_count(&rig->shared.counters.dpi_calls), STATES);
	assert_int_equal(rig_count(&rig->shared.counters.dpi_packets), FLOWS);
	rig_flush(rig);
	assert_int_equal(rig->n, FLOWS);
	for (size_t i = 0; i < rig->n; i++)
		guessed += rig->records[i].confidence == L7_CONF_PORT;
	assert_int_equal(guessed, FLOWS - STATES);
	rig_hello(rig, 100000, client(text, 1, 443), "www.example.org"); /* states came back */
	assert_int_equal(rig_count(&rig->shared.counters.dpi_no_state), FLOWS - STATES);
	rig_free(rig);
}

/* Flows whose strings find no room are counted, and reported without them. */
static void test_no_text_room(void **state)
{
	enum { FLOWS = 100, ROOM = 30 };
	struct rig *rig = rig_new(usual);
	size_t max = rig->t.texts.max;
	char text[ADDR_TEXT_MAX];
	unsigned without = 0;

	(void)state;
	rig->t.texts.max = rig->t.texts.used + ROOM * 64; /* name and JA3 of each */
	for (uint32_t n = 0; n < FLOWS; n++) {
		struct frame_ends e = client(text, n, 443);

		rig_hello(rig, 0, e, "www.example.org");
		rig_tcp(rig, 1, frame_back(e), FRAME_RST); /* final now, and reported later */
	}
	rig_flush(rig);
	rig->t.texts.max = max;
	assert_int_equal(rig->n, FLOWS);
	for (size_t i = 0; i < rig->n; i++)
		without += rig->records[i].sni.len == 0;
	assert_int_equal(without, FLOWS - ROOM);
	assert_int_equal(rig_count(&rig->shared.counters.text_cut), FLOWS - ROOM);
	rig_free(rig);
}

static void test_no_room_in_the_sink(void **state)
{
	struct rig *rig = rig_new(usual);
	char text[ADDR_TEXT_MAX];

	(void)state;
	rig->refuse = true;
	for (uint32_t n = 0; n < 10; n++)
		rig_ntp(rig, n, client(text, n, 123));
	flow_tracker_flush(&rig->t);
	assert_int_equal(rig->n, 0);
	assert_int_equal(rig_count(&rig->shared.counters.records), 10);
	assert_int_equal(rig->t.table.active, 0);
	rig_free(rig);
}

/* Flows that are being classified when the tracker goes away leave nothing behind (a sanitizer would tell). */
static void test_deinit_in_the_middle(void **state)
{
	struct rig *rig = rig_new(usual);
	char text[ADDR_TEXT_MAX];

	(void)state;
	for (uint32_t n = 0; n < 100; n++)
		rig_hello(rig, 0, client(text, n, 443), "www.example.org");
	assert_int_not_equal(rig->t.cold.used, 0);
	rig_free(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_eviction_order),
		cmocka_unit_test(test_syn_flood),
		cmocka_unit_test(test_one_flow),
		cmocka_unit_test(test_quarantine),
		cmocka_unit_test(test_clock_ahead),
		cmocka_unit_test(test_clock_back),
		cmocka_unit_test(test_absurd_times),
		cmocka_unit_test(test_idle_longer_than_a_turn),
		cmocka_unit_test(test_expire_is_bounded),
		cmocka_unit_test(test_no_classification_state),
		cmocka_unit_test(test_no_text_room),
		cmocka_unit_test(test_no_room_in_the_sink),
		cmocka_unit_test(test_deinit_in_the_middle),
	};

	return cmocka_run_group_tests(tests, rig_setup, rig_teardown);
}
