/* SPDX-License-Identifier: Apache-2.0 */
/* NetFlow v5 as it is written, read octet by octet from Cisco's description. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "record/netflow5_writer.h"
#include "record/netflow_time.h"
#include "record_sample.h"

#define BOOT UINT64_C(1699000000123)
#define DAY UINT64_C(86400000)
#define GIB (UINT64_C(1) << 30)

/* What was received. */
struct got {
	unsigned messages, records, most; /* `most`: records of a message */
	uint64_t octets, packets, first_ms, last_ms;
	uint32_t uptime;
	uint16_t sampling, engine;
	uint64_t now_ms;
	uint8_t record[48]; /* the last one */
};

static uint64_t be(const uint8_t *p, size_t n)
{
	uint64_t v = 0;

	for (size_t i = 0; i < n; i++)
		v = v << 8 | p[i];
	return v;
}

static void take(void *arg, uint8_t *data, size_t len, uint32_t records)
{
	struct got *g = arg;
	uint64_t boot;

	netflow5_message_stamp(data, g->records, g->now_ms);
	assert_int_equal(be(data, 2), 5);
	assert_int_equal(be(data + 2, 2), records);
	assert_true(records >= 1 && records <= 30);
	assert_int_equal(len, 24 + 48 * records);
	g->uptime = (uint32_t)be(data + 4, 4);
	boot = be(data + 8, 4) * 1000 - g->uptime;
	assert_int_equal(be(data + 12, 4), 0);
	assert_int_equal(be(data + 16, 4), g->records); /* flows before this */
	g->engine = (uint16_t)be(data + 20, 2);
	g->sampling = (uint16_t)be(data + 22, 2);
	for (unsigned i = 0; i < records; i++) {
		const uint8_t *r = data + 24 + 48 * i;

		g->packets += be(r + 16, 4);
		g->octets += be(r + 20, 4);
		g->first_ms = boot + be(r + 24, 4);
		g->last_ms = boot + be(r + 28, 4);
		assert_true(be(r + 24, 4) <= be(r + 28, 4) && be(r + 28, 4) <= g->uptime);
		assert_int_equal(be(r + 8, 4), 0);  /* next hop */
		assert_int_equal(be(r + 44, 4), 0); /* masks, padding */
		assert_int_equal(r[36], 0);
		memcpy(g->record, r, sizeof(g->record));
	}
	g->records += records;
	g->most = records > g->most ? records : g->most;
	g->messages++;
}

static struct netflow5_writer *writer(struct got *g, size_t max)
{
	struct netflow5_config c = {.engine = 0x0102, .message_max = max, .boot_ms = BOOT, .data = {take, g}};
	struct netflow5_writer *w;

	memset(g, 0, sizeof(*g));
	w = netflow5_writer_new(&c);
	assert_non_null(w);
	return w;
}

static void sample(struct l7_record *r, unsigned n)
{
	record_sample(r, 2 * n); /* IPv4 */
	r->start_ms = BOOT + 5000 + n;
	r->end_ms = r->start_ms + 1500;
}

/* Nothing is known of an address: 0, whatever is left in the record. */
static void test_no_as(void **state)
{
	struct netflow5_writer *w;
	struct l7_record r;
	struct got g = {0};

	(void)state;
	w = writer(&g, 1352);
	sample(&r, 0);
	l7_unmark(&r, L7_F_bgpSourceAsNumber);
	l7_unmark(&r, L7_F_bgpDestinationAsNumber);
	assert_int_equal(netflow5_writer_add(w, &r), 1);
	netflow5_writer_flush(w);
	assert_int_equal(be(g.record + 40, 4), 0);
	netflow5_writer_free(w);
}

static void test_record(void **state)
{
	struct netflow5_writer *w;
	struct l7_record r;
	struct got g = {0};

	(void)state;
	w = writer(&g, 1352);
	sample(&r, 0);
	assert_int_equal(netflow5_writer_add(w, &r), 1);
	assert_int_equal(netflow5_writer_pending(w), 1);
	assert_int_equal(g.messages, 0);
	netflow5_writer_flush(w);
	netflow5_writer_flush(w); /* nothing there: no message */
	assert_int_equal(g.messages, 1);
	assert_memory_equal(g.record, "\xc0\0\x02\x0a\x95\x9a\xa7\xdc", 8);
	assert_int_equal(be(g.record + 12, 2), 3);
	assert_int_equal(be(g.record + 14, 2), 4);
	assert_int_equal(be(g.record + 40, 2), 64500);
	assert_int_equal(be(g.record + 42, 2), 23456); /* 4200000000 has no place in it (RFC 6793) */
	assert_int_equal(g.packets, r.packets);
	assert_int_equal(g.octets, r.octets);
	assert_int_equal(g.first_ms, r.start_ms);
	assert_int_equal(g.last_ms, r.end_ms);
	assert_int_equal(be(g.record + 32, 2), 40000);
	assert_int_equal(be(g.record + 34, 2), 443);
	assert_int_equal(g.record[37], 0x1b);
	assert_int_equal(g.record[38], 6);
	assert_int_equal(g.record[39], 0x10);
	assert_int_equal(g.engine, 0x0102);
	assert_int_equal(g.sampling, 0);
	netflow5_writer_free(w);
}

static void test_odd_values(void **state)
{
	struct netflow5_writer *w;
	struct l7_record r;
	struct got g = {0};

	(void)state;
	w = writer(&g, 1352);
	sample(&r, 0);
	r.protocol = 1; /* type and code in place of the port */
	r.icmp_type_code = 0x0301;
	r.dst_port = 0;
	r.ingress_if = 65535;
	r.egress_if = 65536;
	r.tcp_flags = 0x112;
	r.sampling = 100;
	netflow5_writer_add(w, &r);
	netflow5_writer_flush(w);
	assert_int_equal(be(g.record + 34, 2), 0x0301);
	assert_int_equal(be(g.record + 12, 2), 65535);
	assert_int_equal(be(g.record + 14, 2), 0);
	assert_int_equal(g.record[37], 0x12);
	assert_int_equal(g.sampling, 0x8000 | 100);
	r.sampling = 20000;
	netflow5_writer_add(w, &r);
	r.sampling = 1; /* another header: the message ends here */
	netflow5_writer_add(w, &r);
	assert_int_equal(g.messages, 2);
	assert_int_equal(g.sampling, 0xbfff);
	netflow5_writer_free(w);
}

static void test_ipv6(void **state)
{
	struct netflow5_writer *w;
	struct l7_record r;
	struct got g = {0};

	(void)state;
	w = writer(&g, 1352);
	record_sample(&r, 1);
	assert_int_equal(netflow5_writer_add(w, &r), -EAFNOSUPPORT);
	assert_int_equal(netflow5_writer_pending(w), 0);
	netflow5_writer_free(w);
}

/* As many as fit the message, 30 at most; the sequence is checked with each. */
static void test_many(void **state)
{
	static const struct {
		size_t max;
		unsigned most;
	} cases[] = {{72, 1}, {119, 1}, {120, 2}, {512, 10}, {1352, 27}, {1463, 29}, {1464, 30}, {65535, 30}};

	(void)state;
	for (size_t c = 0; c < sizeof(cases) / sizeof(cases[0]); c++) {
		struct netflow5_writer *w;
		uint64_t octets = 0;
		struct got g = {0};

		w = writer(&g, cases[c].max);
		for (unsigned i = 0; i < 1000; i++) {
			struct l7_record r;

			sample(&r, i);
			octets += r.octets;
			assert_int_equal(netflow5_writer_add(w, &r), 1);
		}
		netflow5_writer_flush(w);
		assert_int_equal(g.records, 1000);
		assert_int_equal(g.octets, octets);
		assert_int_equal(g.most, cases[c].most);
		assert_int_equal(g.messages, (1000 + cases[c].most - 1) / cases[c].most);
		netflow5_writer_free(w);
	}
}

/* More than 32 bits can count: several records, and their sums are right. */
static void test_split(void **state)
{
	static const struct {
		uint64_t octets, packets;
		int n;
	} cases[] = {{UINT32_MAX, 3, 1},
		     {UINT64_C(1) << 32, 3000001, 2},
		     {100 * GIB + 7, 90000001, 26},
		     {1000, UINT64_C(1) << 33, 3},
		     {0, 0, 1}};

	(void)state;
	for (size_t c = 0; c < sizeof(cases) / sizeof(cases[0]); c++) {
		struct netflow5_writer *w;
		struct l7_record r;
		struct got g = {0};

		w = writer(&g, 1352);
		sample(&r, 0);
		r.octets = cases[c].octets;
		r.packets = cases[c].packets;
		assert_int_equal(netflow5_writer_add(w, &r), cases[c].n);
		netflow5_writer_flush(w);
		assert_int_equal(g.records, cases[c].n);
		assert_int_equal(g.octets, cases[c].octets);
		assert_int_equal(g.packets, cases[c].packets);
		assert_int_equal(g.first_ms, r.start_ms);
		netflow5_writer_free(w);
	}
}

/* What no link carries in a record is cut, in bounded time. */
static void test_split_ends(void **state)
{
	struct netflow5_writer *w;
	struct l7_record r;
	struct got g = {0};

	(void)state;
	w = writer(&g, 1352);
	sample(&r, 0);
	r.octets = r.packets = UINT64_MAX;
	assert_int_equal(netflow5_writer_add(w, &r), NETFLOW5_PARTS_MAX);
	netflow5_writer_flush(w);
	assert_int_equal(g.octets, (uint64_t)NETFLOW5_PARTS_MAX * UINT32_MAX);
	netflow5_writer_free(w);
}

/* Across the end of 32 bits of milliseconds, as in v9 (test_netflow9.c): what has no base in common, in two messages. */
static void test_uptime(void **state)
{
	const uint64_t after[] = {0, 10 * DAY, 49 * DAY, 50 * DAY, 51 * DAY, 500 * DAY};
	struct netflow5_writer *w;
	struct got g = {0};

	(void)state;
	w = writer(&g, 1352);
	for (unsigned i = 0; i < 6; i++) {
		struct l7_record r;

		sample(&r, 0);
		r.start_ms = BOOT + after[i];
		r.end_ms = r.start_ms + 60000;
		g.now_ms = r.end_ms + 2000;
		netflow5_writer_add(w, &r);
		netflow5_writer_flush(w);
		assert_int_equal(g.first_ms, r.start_ms);
		assert_int_equal(g.last_ms, r.end_ms);
		assert_true(g.uptime < UINT32_MAX - DAY);
		assert_true(i > 1 || g.uptime >= after[i] + 60000);
	}
	for (unsigned i = 0; i < 4; i++) { /* too far apart; and one that began before the base of the other */
		static const uint64_t start[] = {0, 500 * DAY, 50 * DAY, 37 * DAY};
		struct l7_record r;

		sample(&r, 0);
		r.start_ms = BOOT + start[i];
		r.end_ms = i < 3 ? r.start_ms : BOOT + 50 * DAY;
		netflow5_writer_add(w, &r);
	}
	assert_int_equal(g.messages, 9);
	netflow5_writer_flush(w);
	assert_int_equal(g.first_ms, BOOT + 37 * DAY);
	netflow5_writer_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_record),     cmocka_unit_test(test_no_as),  cmocka_unit_test(test_odd_values),
		cmocka_unit_test(test_ipv6),       cmocka_unit_test(test_many),   cmocka_unit_test(test_split),
		cmocka_unit_test(test_split_ends), cmocka_unit_test(test_uptime),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
