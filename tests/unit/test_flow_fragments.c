/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packets in fragments: in whatever order they come they are of one flow, which is classified by the first; nothing is counted
 * twice or lost, however many there are, and a flood does not crowd out the others.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "l7/fields.h"
#include "tracker_rig.h"
#include "wholes.h"

#define PARTS_MAX 4
#define SHUFFLES 200

static const struct frame_ends four = {"198.51.100.2", "192.0.2.1", 40000, 53, 0};
static const struct frame_ends six = {"2001:db8::2", "2001:db8::1", 40000, 53, 0};
static const struct flow_tracker_config usual = {.idle_ms = 15000, .active_ms = 60000, .domain = 1};

static void rig_part(struct rig *rig, uint64_t at_ms, const struct whole *w, unsigned n)
{
	struct frame f;

	whole_nth(w, &f, n);
	rig_frame(rig, at_ms, &f);
}

/* The next order of the numbers; false after the last. */
static bool order_next(unsigned *order, unsigned n)
{
	unsigned i = n - 1, k = n - 1, swap;

	while (i > 0 && order[i - 1] > order[i])
		i--;
	if (i == 0)
		return false;
	while (order[k] < order[i - 1])
		k--;
	swap = order[i - 1], order[i - 1] = order[k], order[k] = swap;
	for (k = n - 1; i < k; i++, k--)
		swap = order[i], order[i] = order[k], order[k] = swap;
	return true;
}

static void order_check(const struct whole *w, const struct frame_ends *e, const unsigned *order, bool all)
{
	struct flow_tracker_config c = usual;
	unsigned n = whole_parts(w);
	const struct l7_record *r;
	struct l7_record sum;
	uint8_t ip[16];
	struct rig *rig;

	c.early = all;
	c.wanted[0] = c.wanted[1] = all ? UINT64_MAX : 0;
	rig = rig_new(c);
	for (unsigned i = 0; i < n; i++)
		rig_part(rig, 10 * i, w, order[i]);
	assert_int_equal(rig->t.table.active, 1);
	rig_flush(rig);
	assert_in_range(rig->n, 1, all ? 2 : 1);
	r = &rig->records[rig->n - 1];
	memcpy(&sum, r, sizeof(sum));
	l7_record_fold(&sum);
	assert_record(&sum, 0, 10 * (n - 1), n, 0, L7_END_FORCED, sum.state);
	addr_parse(e->src, ip);
	assert_memory_equal(r->src_ip, ip, 16);
	assert_int_equal(r->src_port, 40000);
	assert_int_equal(r->dst_port, w->frame.octets[w->header + 2] << 8 | w->frame.octets[w->header + 3]);
	assert_int_equal(r->confidence, L7_CONF_DPI);
	if (r->dst_port == 443)
		assert_memory_equal(r->text + r->sni.off, "fragments.example", 17);
	else
		assert_memory_equal(r->text + r->dns_query.off, "fragments.example", 17);
	if (all)
		assert_int_equal(r->size[0].max, PART + (whole_is6(w) ? 48 : 20));
	assert_int_equal(rig_count(&rig->shared.counters.fragments), n);
	assert_int_equal(rig_count(&rig->shared.counters.fragments_unknown), 0);
	assert_int_equal(rig_count(&rig->shared.counters.fragments_duplicate), 0);
	assert_int_equal(rig_count(&rig->shared.counters.fragments_overlap), 0);
	rig_free(rig);
}

static void test_orders(void **state)
{
	void (*const makers[])(struct whole *, const struct frame_ends *) = {whole_dns, whole_tls};
	const struct frame_ends *const ends[] = {&four, &six};
	unsigned orders = 0;

	(void)state;
	for (unsigned i = 0; i < 8; i++) {
		unsigned order[PARTS_MAX] = {0, 1, 2, 3};
		struct whole w;

		makers[i & 1](&w, ends[i >> 1 & 1]);
		assert_in_range(whole_parts(&w), 3, PARTS_MAX);
		do {
			order_check(&w, ends[i >> 1 & 1], order, i & 4);
			orders++;
		} while (order_next(order, whole_parts(&w)));
	}
	assert_int_equal(orders, 4 * (24 + 6));
}

/* An answer is the responder's in whatever order it comes. */
static void test_direction(void **state)
{
	struct whole w;
	struct rig *rig = rig_new(usual);
	struct frame_ends back = frame_back(four);

	(void)state;
	rig_udp(rig, 0, four, 10);
	whole_udp(&w, &back, 5, 3 * PART);
	for (unsigned i = 0; i < 4; i++)
		rig_part(rig, 10 + i, &w, 3 - i);
	rig_flush(rig);
	assert_int_equal(rig->n, 1);
	assert_record(&rig->records[0], 0, 13, 1, 4, L7_END_FORCED, L7_STATE_FINAL | L7_STATE_LAST);
	rig_free(rig);
}

/* Of IPv6 what comes behind the fragment header is known from the first fragment only. */
static void test_behind_options(void **state)
{
	for (unsigned first = 0; first < 2; first++) {
		struct rig *rig = rig_new(usual);
		struct frame f[2];
		struct whole w;

		(void)state;
		whole_udp(&w, &six, 9, 64);
		whole_part(&w, &f[0], 0, 32, true);
		whole_part(&w, &f[1], 40, 32, false);
		memmove(f[0].octets + 54 + 16, f[0].octets + 54 + 8, 32); /* destination options, 8 octets of padding */
		memcpy(f[0].octets + 54 + 8, "\x11\x00\x01\x04\x00\x00\x00\x00", 8);
		f[0].len += 8;
		frame_set16(&f[0], 18, 48);
		f[0].octets[54] = f[1].octets[54] = 60;
		rig_frame(rig, 0, &f[first]);
		rig_frame(rig, 1, &f[!first]);
		rig_flush(rig);
		assert_int_equal(rig->n, 1);
		assert_int_equal(rig->records[0].protocol, IPPROTO_UDP);
		assert_int_equal(rig->records[0].packets, 2);
		assert_int_equal(rig->records[0].dst_port, 53);
		assert_int_equal(rig_count(&rig->shared.counters.fragments_overlap), 0);
		rig_free(rig);
	}
}

/* Hosts that speak to themselves have no lower address. */
static void test_same_host(void **state)
{
	struct frame_ends e[2] = {{"127.0.0.1", "127.0.0.1", 1000, 2000, 0}, {"127.0.0.1", "127.0.0.1", 2000, 1000, 0}};
	struct rig *rig = rig_new(usual);
	struct whole w;

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		whole_udp(&w, &e[i], 5 + i, PART);
		rig_part(rig, 2 * i, &w, 1);
		rig_part(rig, 2 * i + 1, &w, 0);
	}
	rig_flush(rig);
	assert_int_equal(rig->n, 1);
	assert_record(&rig->records[0], 0, 3, 2, 2, L7_END_FORCED, L7_STATE_FINAL | L7_STATE_LAST);
	rig_free(rig);
}

static void test_first_never_comes(void **state)
{
	const uint64_t due = FRAGMENT_WAIT_MS;
	struct rig *rig = rig_new(usual);
	struct whole w;

	(void)state;
	whole_udp(&w, &four, 5, 3 * PART);
	rig_part(rig, 0, &w, 1);
	rig_part(rig, 1, &w, 2);
	flow_tracker_expire(&rig->t, RIG_START + due, 100);
	assert_int_equal(rig->t.table.active, 0);
	flow_tracker_expire(&rig->t, RIG_START + due + 1, 100);
	assert_int_equal(rig->t.table.active, 1);
	assert_int_equal(rig_count(&rig->shared.counters.fragments_unknown), 1);
	flow_tracker_expire(&rig->t, RIG_START + due + 2, 100);
	assert_int_equal(rig_count(&rig->shared.counters.fragments_unknown), 2);
	rig_part(rig, due + 3, &w, 0); /* too late */
	rig_part(rig, due + 4, &w, 3);
	assert_int_equal(rig_count(&rig->shared.counters.fragments_waited), 2);
	rig_flush(rig);
	assert_int_equal(rig->n, 2);
	for (unsigned i = 0; i < 2; i++) {
		const struct l7_record *r = &rig->records[i];

		assert_int_equal(r->packets, 2);
		assert_int_equal(r->dst_port, r->start_ms == RIG_START ? 0 : 53);
		assert_int_equal(r->protocol, IPPROTO_UDP);
	}
	rig_free(rig);
}

/* Its first is too late for it, though nobody has looked at the clock since. The end gives up what still waits. */
static void test_first_is_late(void **state)
{
	struct rig *rig = rig_new(usual);
	struct whole w;

	(void)state;
	whole_udp(&w, &four, 5, 2 * PART);
	rig_part(rig, 0, &w, 1);
	rig_part(rig, 1, &w, 2);
	rig_part(rig, FRAGMENT_WAIT_MS + 1, &w, 0);
	assert_int_equal(rig->t.table.flows[1].packets[FLOW_FORWARD], 2);
	assert_int_equal(rig_count(&rig->shared.counters.fragments_unknown), 0);
	rig_flush(rig);
	assert_int_equal(rig->n, 2);
	assert_int_equal(rig_count(&rig->shared.counters.fragments_unknown), 1);
	rig_free(rig);
}

/* A first fragment is known for a time. */
static void test_later_is_late(void **state)
{
	struct rig *rig = rig_new(usual);
	struct whole w;

	(void)state;
	whole_udp(&w, &four, 5, 2 * PART);
	rig_part(rig, 0, &w, 0);
	rig_part(rig, FRAGMENT_LIFE_MS, &w, 1);
	assert_int_equal(rig_count(&rig->shared.counters.fragments_waited), 0);
	rig_part(rig, FRAGMENT_LIFE_MS + 1, &w, 2);
	assert_int_equal(rig_count(&rig->shared.counters.fragments_waited), 1);
	rig_flush(rig);
	rig_free(rig);
}

static struct frame_ends ends_of(unsigned host, char text[ADDR_TEXT_MAX])
{
	struct frame_ends e = four;

	snprintf(text, ADDR_TEXT_MAX, "10.%u.%u.%u", host >> 16 & 255, host >> 8 & 255, host & 255);
	e.src = text;
	return e;
}

static void rig_crowd(struct rig *rig, uint64_t at_ms, unsigned from, unsigned n, unsigned part)
{
	for (unsigned i = from; i < from + n; i++) {
		char text[ADDR_TEXT_MAX];
		struct frame_ends e = ends_of(i, text);
		struct whole w;

		whole_udp(&w, &e, i, 2 * PART);
		rig_part(rig, at_ms, &w, part);
	}
}

/* Floods of either kind: the oldest give way, and an honest packet's fragments meet as long as one turn of the ring takes. */
static void test_flood(void **state)
{
	struct flow_tracker_config c = usual;
	struct whole w;
	struct rig *rig;

	(void)state;
	c.max_flows = 100000;
	rig = rig_new(c);
	whole_udp(&w, &six, 5, 2 * PART);
	rig_part(rig, 0, &w, 1);
	rig_crowd(rig, 1, 0, FRAGMENT_WAITS - 1, 1);
	rig_crowd(rig, 2, 100000, 10000, 0);
	rig_part(rig, 3, &w, 0);
	rig_crowd(rig, 4, 200000, FRAGMENT_FIRSTS - 1, 0);
	rig_crowd(rig, 5, 300000, 3 * FRAGMENT_WAITS, 1);
	rig_part(rig, 6, &w, 2);
	assert_int_equal(rig_count(&rig->shared.counters.fragments_waited), 4 * FRAGMENT_WAITS);
	assert_int_equal(rig_count(&rig->shared.counters.fragments_crowded), 3 * FRAGMENT_WAITS - 1);
	assert_int_equal(rig_count(&rig->shared.counters.fragments_unknown), 3 * FRAGMENT_WAITS - 1);
	for (unsigned i = 1; i < *rig->t.table.fresh; i++)
		if (rig->t.table.flows[i].key.ip_version == 6)
			assert_int_equal(rig->t.table.flows[i].packets[FLOW_FORWARD], 3);
	rig->n = RIG_RECORDS; /* more than it keeps: only the sums of those in the table matter */
	flow_tracker_expire(&rig->t, 0, 0);
	assert_int_equal(rig_count(&rig->shared.counters.fragments_unknown), 3 * FRAGMENT_WAITS - 1);
	flow_tracker_flush(&rig->t);
	assert_int_equal(rig_count(&rig->shared.counters.fragments_unknown), 4 * FRAGMENT_WAITS - 1);
	rig_free(rig);
}

/* A first fragment is forgotten only for FRAGMENT_FIRSTS newer ones. */
static void test_flood_of_firsts(void **state)
{
	for (unsigned more = 0; more < 2; more++) {
		struct flow_tracker_config c = usual;
		struct whole w;
		struct rig *rig;

		(void)state;
		c.max_flows = 100000;
		rig = rig_new(c);
		whole_udp(&w, &six, 5, 2 * PART);
		rig_part(rig, 0, &w, 0);
		rig_crowd(rig, 1, 0, FRAGMENT_FIRSTS - 1 + more, 0);
		rig_part(rig, 2, &w, 1);
		assert_int_equal(rig_count(&rig->shared.counters.fragments_waited), more);
		rig_free(rig);
	}
}

/* Of one packet not more wait than it can have meant. */
static void test_flood_of_one(void **state)
{
	struct rig *rig = rig_new(usual);
	struct whole w;

	(void)state;
	whole_udp(&w, &four, 5, 2 * PART);
	for (unsigned i = 0; i < FRAGMENT_WAITS_EACH + 10; i++)
		rig_part(rig, i, &w, 1 + i % 2);
	assert_int_equal(rig_count(&rig->shared.counters.fragments_waited), FRAGMENT_WAITS_EACH);
	assert_int_equal(rig_count(&rig->shared.counters.fragments_crowded), 10);
	assert_int_equal(rig_count(&rig->shared.counters.fragments_unknown), 10);
	rig_part(rig, 500, &w, 0);
	assert_int_equal(rig_count(&rig->shared.counters.fragments_duplicate), FRAGMENT_WAITS_EACH - 2);
	rig_flush(rig);
	assert_int_equal(rig->n, 2);
	rig_free(rig);
}

/* A mirror port's copies, each behind the other, and behind the whole. */
static void test_duplicates(void **state)
{
	static const unsigned orders[][6] = {
		{0, 0, 1, 1, 2, 2}, {0, 1, 2, 0, 1, 2}, {2, 2, 1, 1, 0, 0}, {2, 1, 0, 2, 1, 0}};

	(void)state;
	for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
		struct rig *rig = rig_new(usual);
		struct whole w;

		whole_udp(&w, i % 2 ? &four : &six, 5, 2 * PART);
		for (unsigned k = 0; k < 6; k++)
			rig_part(rig, k, &w, orders[i][k]);
		assert_int_equal(rig_count(&rig->shared.counters.fragments_duplicate), 3);
		assert_int_equal(rig_count(&rig->shared.counters.fragments_overlap), 0);
		rig_flush(rig);
		assert_int_equal(rig->n, 1);
		assert_int_equal(rig->records[0].packets, 6);
		rig_free(rig);
	}
}

static void test_overlaps(void **state)
{
	static const struct {
		uint32_t at, len;
		bool more;
		unsigned overlaps;
	} cases[] = {
		{64, 32, false, 1}, /* teardrop: it ends before the first does */
		{96, 32, false, 1}, {120, 32, false, 1}, {128, 32, false, 0}, {0, 64, true, 1}, {0, 136, true, 1},
	};

	(void)state;
	for (size_t i = 0; i < 4 * sizeof(cases) / sizeof(cases[0]); i++) {
		struct rig *rig = rig_new(usual);
		struct frame f[2];
		struct whole w;

		whole_udp(&w, i % 2 ? &six : &four, 5, 2 * PART);
		whole_part(&w, &f[0], 0, 128, true);
		whole_part(&w, &f[1], cases[i / 4].at, cases[i / 4].len, cases[i / 4].more);
		rig_frame(rig, 0, &f[i / 2 % 2]);
		rig_frame(rig, 1, &f[!(i / 2 % 2)]);
		assert_int_equal(rig_count(&rig->shared.counters.fragments_overlap), cases[i / 4].overlaps);
		assert_int_equal(rig_count(&rig->shared.counters.fragments_duplicate), 0);
		rig_flush(rig);
		assert_int_equal(rig->n, 1);
		rig_free(rig);
	}
}

/* A second first fragment with other ports, flags and payload: it decides nothing, and nothing is read in it. */
static void test_ports_once(void **state)
{
	for (unsigned i = 0; i < 2; i++) {
		const struct frame_ends *e = i ? &six : &four;
		struct frame_ends other = *e;
		struct rig *rig = rig_new(usual);
		struct whole w, lie;

		(void)state;
		other.src_port = 41000;
		whole_tls(&w, e);
		whole_tls(&lie, &other);
		w.frame.octets[w.header + 13] = FRAME_ACK;
		memset(w.frame.octets + w.header + 20, 'x', 200);
		lie.frame.octets[lie.header + 13] = FRAME_RST;
		rig_part(rig, 0, &w, 0);
		rig_part(rig, 1, &lie, 0);
		rig_part(rig, 2, &w, 1);
		rig_part(rig, 3, &w, 2);
		assert_int_equal(rig_count(&rig->shared.counters.fragments_overlap), 1);
		assert_int_equal(rig_count(&rig->shared.counters.dpi_packets), 1);
		rig_flush(rig);
		assert_int_equal(rig->n, 1);
		assert_int_equal(rig->records[0].packets, 4);
		assert_int_equal(rig->records[0].src_port, 40000);
		assert_int_equal(rig->records[0].tcp_flags, FRAME_ACK);
		rig_free(rig);
	}
}

/* The same identification again: another packet, once the one before is whole, or long enough ago. */
static void test_identification_again(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		bool whole = i & 1, reversed = i & 2;
		uint64_t at_ms = whole ? 10 : FRAGMENT_SAME_MS + 1;
		struct frame_ends other = four;
		struct rig *rig = rig_new(usual);
		struct whole w;

		other.src_port = 41000;
		whole_udp(&w, &four, 5, PART);
		rig_part(rig, 0, &w, 0);
		if (whole)
			rig_part(rig, 0, &w, 1);
		if (whole && reversed) /* else its later one would be a copy of the other's */
			at_ms = FRAGMENT_SAME_MS + 1;
		whole_udp(&w, &other, 5, PART);
		rig_part(rig, at_ms, &w, whole && reversed);
		rig_part(rig, at_ms, &w, !(whole && reversed));
		assert_int_equal(rig_count(&rig->shared.counters.fragments_overlap), 0);
		rig_flush(rig);
		assert_int_equal(rig->n, 2);
		for (unsigned k = 0; k < 2; k++)
			assert_int_equal(rig->records[k].packets, rig->records[k].src_port == 41000 || whole ? 2 : 1);
		rig_free(rig);
	}
}

static void test_tiny(void **state)
{
	static const struct {
		uint32_t at, len;
		unsigned tiny;
	} cases[] = {{0, 8, 1}, {0, 16, 1}, {0, 24, 0}, {8, 24, 1}, {16, 8, 1}, {24, 8, 0}};
	struct whole w;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct rig *rig = rig_new(usual);
		struct frame f;

		whole_tls(&w, &four);
		whole_part(&w, &f, cases[i].at, cases[i].len, true);
		rig_frame(rig, 0, &f);
		assert_int_equal(rig_count(&rig->shared.counters.fragments_tiny), cases[i].tiny);
		rig_flush(rig);
		assert_int_equal(rig->n, 1);
		assert_int_equal(rig->records[0].src_port, cases[i].at ? 0 : 40000);
		rig_free(rig);
	}
}

static uint64_t order_random(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

/* More fragments than are known one by one, in any order: one flow, nothing is taken for an overlap. */
static void test_many(void **state)
{
	uint64_t seed = 88172645463325252;
	struct whole w;

	(void)state;
	whole_udp(&w, &four, 5, 3600);
	for (unsigned n = 0; n < SHUFFLES; n++) {
		struct rig *rig = rig_new(usual);
		unsigned order[46] = {0};

		for (unsigned i = 0; i < 46; i++) {
			unsigned k = (unsigned)(order_random(&seed) % (i + 1));

			order[i] = order[k];
			order[k] = i;
		}
		for (unsigned i = 0; i < 46; i++) {
			uint32_t at = order[i] * 80, left = whole_len(&w) - at;
			struct frame f;

			whole_part(&w, &f, at, left > 80 ? 80 : left, left > 80);
			rig_frame(rig, i, &f);
		}
		assert_int_equal(rig_count(&rig->shared.counters.fragments_overlap), 0);
		assert_int_equal(rig_count(&rig->shared.counters.fragments_duplicate), 0);
		rig_flush(rig);
		assert_int_equal(rig->n, 1);
		rig_free(rig);
	}
}

/* One VLAN's fragments are not another's. */
static void test_vlans(void **state)
{
	struct frame_ends e[2] = {four, four};
	struct rig *rig = rig_new(usual);
	struct whole w[2];

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		e[i].vlan = (uint16_t)(7 + i);
		e[i].src_port = (uint16_t)(1000 + i);
		whole_udp(&w[i], &e[i], 5, PART);
		w[i].header = 38;
	}
	for (unsigned n = 0; n < 4; n++) {
		const struct whole *v = &w[n % 2];
		struct frame f = {.len = 0};
		bool later = n < 2;

		frame_put(&f, v->frame.octets, 38);
		frame_set16(&f, 18 + 2, 20 + 64);
		frame_set16(&f, 18 + 4, 5);
		frame_set16(&f, 18 + 6, later ? 8 : 0x2000);
		frame_put(&f, v->frame.octets + 38 + (later ? 64 : 0), 64);
		rig_frame(rig, n, &f);
	}
	rig_flush(rig);
	assert_int_equal(rig->n, 2);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(rig->records[i].packets, 2);
		assert_int_equal(rig->records[i].src_port - 1000, rig->records[i].vlan_id - 7);
	}
	rig_free(rig);
}

/* What waits outlives the worker, and what is known too. */
static void test_another_worker(void **state)
{
	struct flow_tracker_config c = usual;
	struct rig *one, *two;
	struct whole w[2];

	(void)state;
	c.store = flow_store_new(2000);
	assert_true(c.store > 0);
	c.wanted[0] = c.wanted[1] = UINT64_MAX;
	one = rig_new(c);
	whole_udp(&w[0], &four, 5, 2 * PART);
	whole_udp(&w[1], &six, 6, 2 * PART);
	rig_part(one, 0, &w[0], 2);
	rig_part(one, 1, &w[0], 1);
	rig_part(one, 2, &w[1], 0);
	two = rig_new(c);
	rig_part(two, 3, &w[0], 0);
	rig_part(two, 4, &w[1], 1);
	two->packets += one->packets;
	two->octets += one->octets;
	assert_int_equal(two->t.table.active, 2);
	rig_flush(two);
	assert_int_equal(rig_count(&two->shared.counters.fragments_unknown), 0);
	for (unsigned i = 0; i < 2; i++)
		if (two->records[i].ip_version == 4)
			assert_record(&two->records[i], 0, 3, 3, 0, L7_END_FORCED, L7_STATE_FINAL | L7_STATE_LAST);
		else
			assert_record(&two->records[i], 2, 4, 2, 0, L7_END_FORCED, L7_STATE_FINAL | L7_STATE_LAST);
	rig_free(one);
	rig_free(two);
	close(c.store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_orders),
		cmocka_unit_test(test_direction),
		cmocka_unit_test(test_behind_options),
		cmocka_unit_test(test_same_host),
		cmocka_unit_test(test_first_never_comes),
		cmocka_unit_test(test_first_is_late),
		cmocka_unit_test(test_later_is_late),
		cmocka_unit_test(test_flood),
		cmocka_unit_test(test_flood_of_firsts),
		cmocka_unit_test(test_flood_of_one),
		cmocka_unit_test(test_duplicates),
		cmocka_unit_test(test_overlaps),
		cmocka_unit_test(test_ports_once),
		cmocka_unit_test(test_identification_again),
		cmocka_unit_test(test_tiny),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_vlans),
		cmocka_unit_test(test_another_worker),
	};

	return cmocka_run_group_tests(tests, rig_setup, rig_teardown);
}
