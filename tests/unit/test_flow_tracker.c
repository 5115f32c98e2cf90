/* SPDX-License-Identifier: Apache-2.0 */
/* The life of flows by their packets' times: which packets make one record, and what it says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "l7/fields.h"
#include "tracker_rig.h"

static const struct frame_ends here = {"192.0.2.1", "198.51.100.2", 40000, 443, 0};
static const struct frame_ends udp = {"192.0.2.1", "198.51.100.2", 40000, 40001, 0};
static const struct frame_ends ntp = {"192.0.2.1", "198.51.100.2", 40000, 123, 0};

enum {
	LAST = L7_STATE_FINAL | L7_STATE_LAST,
	EARLY = L7_STATE_FINAL | L7_STATE_EARLY,
};

static const struct flow_tracker_config usual = {.idle_ms = 15000, .active_ms = 60000, .domain = 1};

static void rig_handshake(struct rig *rig, uint64_t at_ms, struct frame_ends e)
{
	rig_tcp(rig, at_ms, e, FRAME_SYN);
	rig_tcp(rig, at_ms + 10, frame_back(e), FRAME_SYN | FRAME_ACK);
	rig_tcp(rig, at_ms + 20, e, FRAME_ACK);
}

static void test_idle_split(void **state)
{
	struct rig *rig = rig_new(usual);

	(void)state;
	rig_udp(rig, 0, udp, 10);
	rig_udp(rig, 15000, udp, 10); /* waited just as long as it may */
	rig_udp(rig, 30001, udp, 10);
	assert_int_equal(rig->n, 1);
	rig_flush(rig);
	assert_int_equal(rig->n, 2);
	assert_record(&rig->records[0], 0, 15000, 2, 0, L7_END_IDLE, LAST);
	assert_record(&rig->records[1], 30001, 30001, 1, 0, L7_END_FORCED, LAST);
	assert_int_equal(rig->records[0].octets, 2 * 38);
	assert_true(rig->records[0].flow_id != rig->records[1].flow_id);
	assert_int_equal(rig_count(&rig->shared.counters.flows), 2);
	rig_free(rig);
}

static void test_idle_by_clock(void **state)
{
	struct rig *rig = rig_new(usual);
	uint64_t due = RIG_START + 15000 + FLOW_SLACK_MS;

	(void)state;
	rig_udp(rig, 0, udp, 10);
	assert_false(flow_tracker_expire(&rig->t, due, 100));
	assert_int_equal(rig->n, 0);
	assert_false(flow_tracker_expire(&rig->t, due + 1024, 100)); /* two ticks of the wheel later at most */
	assert_int_equal(rig->n, 1);
	assert_record(&rig->records[0], 0, 0, 1, 0, L7_END_IDLE, LAST);
	rig_flush(rig);
	rig_free(rig);
}

/* A flow that stays busy is not ended by the clock, however often the wheel brings it up. */
static void test_busy_flow_stays(void **state)
{
	struct flow_tracker_config c = usual;
	struct rig *rig;

	(void)state;
	c.active_ms = 0;
	rig = rig_new(c);
	for (uint64_t t = 0; t <= 1000000; t += 10000) {
		rig_udp(rig, t, udp, 10);
		assert_false(flow_tracker_expire(&rig->t, RIG_START + t, 100));
	}
	rig_flush(rig);
	assert_int_equal(rig->n, 1);
	assert_record(&rig->records[0], 0, 1000000, 101, 0, L7_END_FORCED, LAST);
	rig_free(rig);
}

static void test_active_cut(void **state)
{
	struct rig *rig = rig_new(usual);

	(void)state;
	for (uint64_t t = 0; t <= 130000; t += 10000)
		rig_udp(rig, t, t % 20000 ? frame_back(udp) : udp, 10);
	rig_flush(rig);
	assert_int_equal(rig->n, 3);
	assert_record(&rig->records[0], 0, 50000, 3, 3, L7_END_ACTIVE, L7_STATE_FINAL);
	assert_record(&rig->records[1], 60000, 110000, 3, 3, L7_END_ACTIVE, L7_STATE_FINAL);
	assert_record(&rig->records[2], 120000, 130000, 1, 1, L7_END_FORCED, LAST);
	for (int i = 0; i < 3; i++) {
		assert_true(rig->records[i].flow_id == rig->records[0].flow_id);
		assert_int_equal(rig->records[i].src_port, 40000);
		assert_int_equal(rig->records[i].reported.packets, 0);
	}
	assert_int_equal(rig_count(&rig->shared.counters.flows), 1);
	rig_free(rig);
}

/* TCP flags are those of the record's own segments. */
static void test_active_cut_tcp(void **state)
{
	struct rig *rig = rig_new(usual);

	(void)state;
	rig_handshake(rig, 0, here);
	for (uint64_t t = 10000; t <= 60000; t += 10000)
		rig_tcp(rig, t, here, FRAME_ACK);
	rig_tcp(rig, 60001, frame_back(here), FRAME_PSH | FRAME_ACK);
	rig_flush(rig);
	assert_int_equal(rig->n, 2);
	/* No payload so far: that record's name is a guess, and not final. */
	assert_record(&rig->records[0], 0, 50000, 7, 1, L7_END_ACTIVE, 0);
	assert_int_equal(rig->records[0].tcp_flags, FRAME_SYN | FRAME_ACK);
	assert_int_equal(rig->records[0].rev_tcp_flags, FRAME_SYN | FRAME_ACK);
	assert_int_equal(rig->records[0].confidence, L7_CONF_PORT);
	assert_record(&rig->records[1], 60000, 60001, 1, 1, L7_END_FORCED, LAST);
	assert_int_equal(rig->records[1].tcp_flags, FRAME_ACK);
	assert_int_equal(rig->records[1].rev_tcp_flags, FRAME_PSH | FRAME_ACK);
	rig_free(rig);
}

/* A late packet may make a record longer, but opens none. */
static void test_active_cut_out_of_order(void **state)
{
	struct flow_tracker_config c = usual;
	struct rig *rig;

	(void)state;
	c.active_ms = 10000;
	rig = rig_new(c);
	rig_udp(rig, 10000, udp, 10);
	rig_udp(rig, 19000, udp, 10);
	rig_udp(rig, 5000, udp, 10);  /* the record begins here now */
	rig_udp(rig, 16000, udp, 10); /* 11 s after its beginning, but before the last one */
	rig_udp(rig, 19001, udp, 10);
	rig_udp(rig, 18000, udp, 10);
	rig_flush(rig);
	assert_int_equal(rig->n, 2);
	assert_record(&rig->records[0], 5000, 19000, 4, 0, L7_END_ACTIVE, L7_STATE_FINAL);
	assert_record(&rig->records[1], 18000, 19001, 2, 0, L7_END_FORCED, LAST);
	rig_free(rig);
}

static void test_fin_fin(void **state)
{
	struct rig *rig = rig_new(usual);

	(void)state;
	rig_handshake(rig, 0, here);
	rig_tcp(rig, 100, here, FRAME_FIN | FRAME_ACK);
	rig_tcp(rig, 4000, here, FRAME_ACK); /* half closed only */
	assert_false(flow_tracker_expire(&rig->t, RIG_START + 12000, 100));
	assert_int_equal(rig->n, 0);
	rig_tcp(rig, 12000, frame_back(here), FRAME_FIN | FRAME_ACK);
	rig_tcp(rig, 12001, here, FRAME_ACK);
	rig_tcp(rig, 12001 + FLOW_LINGER_MS, here, FRAME_ACK); /* as late as it may be */
	assert_int_equal(rig->n, 0);
	rig_tcp(rig, 12001 + 2 * FLOW_LINGER_MS + 1, here, FRAME_ACK); /* too late: another flow, in the middle */
	assert_int_equal(rig->n, 1);
	assert_record(&rig->records[0], 0, 12001 + FLOW_LINGER_MS, 6, 2, L7_END_DETECTED, LAST);
	assert_int_equal(rig->records[0].tcp_flags, FRAME_SYN | FRAME_ACK | FRAME_FIN);
	rig_flush(rig);
	assert_int_equal(rig->n, 2);
	assert_record(&rig->records[1], 22002, 22002, 1, 0, L7_END_FORCED, LAST | L7_STATE_MIDSTREAM);
	rig_free(rig);
}

static void test_rst(void **state)
{
	struct rig *rig = rig_new(usual);

	(void)state;
	rig_tcp(rig, 0, here, FRAME_SYN);
	rig_tcp(rig, 1, frame_back(here), FRAME_RST | FRAME_ACK);
	assert_false(flow_tracker_expire(&rig->t, RIG_START + 1 + FLOW_LINGER_MS + FLOW_SLACK_MS, 100));
	assert_int_equal(rig->n, 0);
	flow_tracker_expire(&rig->t, RIG_START + 1 + FLOW_LINGER_MS + FLOW_SLACK_MS + 1024, 100);
	assert_int_equal(rig->n, 1); /* long before the idle timeout */
	assert_record(&rig->records[0], 0, 1, 1, 1, L7_END_DETECTED, LAST);
	rig_flush(rig);
	rig_free(rig);
}

static void test_syn_after_end(void **state)
{
	struct rig *rig = rig_new(usual);

	(void)state;
	rig_handshake(rig, 0, here);
	rig_tcp(rig, 30, here, FRAME_SYN); /* again, while it is open: nothing new */
	rig_tcp(rig, 100, frame_back(here), FRAME_RST);
	rig_tcp(rig, 101, here, FRAME_ACK);
	rig_tcp(rig, 102, here, FRAME_SYN);
	assert_int_equal(rig->n, 1);
	assert_record(&rig->records[0], 0, 101, 4, 2, L7_END_DETECTED, LAST);
	rig_tcp(rig, 103, frame_back(here), FRAME_SYN | FRAME_ACK);
	rig_flush(rig);
	assert_int_equal(rig->n, 2);
	assert_record(&rig->records[1], 102, 103, 1, 1, L7_END_FORCED, LAST);
	assert_true(rig->records[0].flow_id != rig->records[1].flow_id);
	assert_int_equal(rig_count(&rig->shared.counters.flows), 2);
	rig_free(rig);
}

static void test_out_of_order(void **state)
{
	struct rig *rig = rig_new(usual);

	(void)state;
	rig_udp(rig, 100, udp, 10);
	rig_udp(rig, 50, frame_back(udp), 10);
	rig_udp(rig, 200, udp, 10);
	rig_udp(rig, 150, udp, 10);
	flow_tracker_expire(&rig->t, RIG_START, 100); /* a clock does not go back */
	rig_flush(rig);
	assert_int_equal(rig->n, 1);
	assert_record(&rig->records[0], 50, 200, 3, 1, L7_END_FORCED, LAST);
	rig_free(rig);
}

static void test_timeouts_off(void **state)
{
	const uint64_t year = UINT64_C(31536000000);
	struct rig *rig = rig_new((struct flow_tracker_config){.domain = 1});

	(void)state;
	rig_udp(rig, 0, udp, 10);
	rig_udp(rig, year, udp, 10);
	rig_handshake(rig, year, here);
	rig_tcp(rig, year + 100, here, FRAME_RST); /* an ended flow goes even so */
	assert_false(flow_tracker_expire(&rig->t, RIG_START + 3 * year, 100));
	assert_int_equal(rig->n, 1);
	assert_record(&rig->records[0], year, year + 100, 3, 1, L7_END_DETECTED, LAST);
	rig_flush(rig);
	assert_int_equal(rig->n, 2);
	assert_record(&rig->records[1], 0, year, 2, 0, L7_END_FORCED, LAST);
	rig_free(rig);
}

static void test_early(void **state)
{
	struct flow_tracker_config c = usual;
	struct rig *rig;
	struct l7_record r;

	(void)state;
	c.early = true;
	rig = rig_new(c);
	rig_ntp(rig, 0, ntp);
	assert_int_equal(rig->n, 1); /* nDPI is sure after one packet */
	assert_record(&rig->records[0], 0, 0, 1, 0, L7_END_ACTIVE, EARLY);
	rig_ntp(rig, 7000, frame_back(ntp));
	rig_ntp(rig, 14000, ntp);
	for (uint64_t t = 20000; t <= 61000; t += 10000)
		rig_ntp(rig, t, ntp);
	rig_ntp(rig, 61000, ntp);
	assert_int_equal(rig->n, 2);
	rig_flush(rig);
	assert_int_equal(rig->n, 3);
	assert_record(&rig->records[1], 7000, 50000, 5, 1, L7_END_ACTIVE, L7_STATE_FINAL);
	assert_record(&rig->records[2], 60000, 61000, 2, 0, L7_END_FORCED, LAST);
	for (int i = 0; i < 3; i++) {
		assert_true(rig->records[i].flow_id == rig->records[0].flow_id);
		assert_int_equal(rig->records[i].confidence, L7_CONF_DPI);
	}
	r = rig->records[1];
	l7_record_fold(&r);
	assert_record(&r, 0, 50000, 6, 1, L7_END_ACTIVE, L7_STATE_FINAL);
	assert_int_equal(r.octets, 6 * 76);
	r = rig->records[2]; /* the early record was of another interval: nothing to add */
	l7_record_fold(&r);
	assert_record(&r, 60000, 61000, 2, 0, L7_END_FORCED, LAST);
	rig_free(rig);
}

/* Nothing came after the early record: the last one says only that this was the end. */
static void test_early_then_nothing(void **state)
{
	struct flow_tracker_config c = usual;
	struct rig *rig;
	struct l7_record r;

	(void)state;
	c.early = true;
	rig = rig_new(c);
	rig_ntp(rig, 5, ntp);
	rig_flush(rig);
	assert_int_equal(rig->n, 2);
	assert_record(&rig->records[0], 5, 5, 1, 0, L7_END_ACTIVE, EARLY);
	assert_record(&rig->records[1], 5, 5, 0, 0, L7_END_FORCED, LAST);
	assert_int_equal(rig->records[1].octets, 0);
	r = rig->records[1];
	l7_record_fold(&r);
	assert_record(&r, 5, 5, 1, 0, L7_END_FORCED, LAST);
	rig_free(rig);
}

/* Without early records there is no record of nothing. */
static void test_no_empty_records(void **state)
{
	struct rig *rig = rig_new(usual);

	(void)state;
	rig_ntp(rig, 0, ntp);
	rig_ntp(rig, 60000, ntp);
	rig_ntp(rig, 200000, ntp);
	rig_flush(rig);
	for (size_t i = 0; i < rig->n; i++)
		assert_int_equal(rig->records[i].packets, 1);
	assert_int_equal(rig->n, 3);
	rig_free(rig);
}

/* The TCP flags of early and later record are each those of its own segments, and together all. */
static void test_early_tcp(void **state)
{
	struct flow_tracker_config c = usual;
	struct rig *rig;
	struct l7_record r;

	(void)state;
	c.early = true;
	rig = rig_new(c);
	rig_handshake(rig, 0, here);
	rig_tcp(rig, 100, frame_back(here), FRAME_RST); /* ended without payload: that is final too */
	assert_int_equal(rig->n, 1);
	assert_record(&rig->records[0], 0, 100, 2, 2, L7_END_ACTIVE, EARLY);
	assert_int_equal(rig->records[0].rev_tcp_flags, FRAME_SYN | FRAME_ACK | FRAME_RST);
	rig_tcp(rig, 90, here, FRAME_FIN); /* late, and out of order */
	rig_tcp(rig, 80, here, FRAME_PSH);
	rig_flush(rig);
	assert_int_equal(rig->n, 2);
	assert_record(&rig->records[1], 80, 100, 2, 0, L7_END_DETECTED, LAST);
	assert_int_equal(rig->records[1].tcp_flags, FRAME_FIN | FRAME_PSH);
	assert_int_equal(rig->records[1].rev_tcp_flags, 0);
	r = rig->records[1];
	l7_record_fold(&r);
	assert_record(&r, 0, 100, 4, 2, L7_END_DETECTED, LAST);
	assert_int_equal(r.tcp_flags, FRAME_SYN | FRAME_ACK | FRAME_FIN | FRAME_PSH);
	assert_int_equal(r.rev_tcp_flags, FRAME_SYN | FRAME_ACK | FRAME_RST);
	rig_free(rig);
}

static uint64_t flow_id_of(struct frame_ends e, uint64_t seed, uint32_t domain)
{
	struct rig *rig = rig_new((struct flow_tracker_config){.domain = domain, .seed = seed});
	uint64_t id;

	rig_udp(rig, 1, e, 10);
	rig_udp(rig, 2, frame_back(e), 10);
	rig_flush(rig);
	assert_int_equal(rig->n, 1);
	id = rig->records[0].flow_id;
	rig_free(rig);
	return id;
}

static void test_flow_id(void **state)
{
	struct frame_ends tagged = udp;
	uint64_t id = flow_id_of(udp, 1, 1);

	(void)state;
	tagged.vlan = 5;
	assert_true(id == flow_id_of(frame_back(udp), 1, 1));
	assert_true(id == flow_id_of(udp, 99, 1));
	assert_true(id != flow_id_of(udp, 1, 2));
	assert_true(id != flow_id_of(ntp, 1, 1));
	assert_true(id != flow_id_of(tagged, 1, 1));
}

/* A flow for each VLAN, or one of both, which says the first one's. */
static void test_key_vlan(void **state)
{
	struct frame_ends out = udp, back = frame_back(udp);

	(void)state;
	out.vlan = 7;
	back.vlan = 8;
	for (unsigned without = 0; without < 2; without++) {
		struct flow_tracker_config c = usual;
		struct rig *rig;

		c.key_without = without ? FLOW_KEY_VLAN : FLOW_KEY_TUNNEL;
		rig = rig_new(c);
		rig_udp(rig, 0, out, 10);
		rig_udp(rig, 1, back, 10);
		rig_udp(rig, 2, udp, 10);
		rig_flush(rig);
		assert_int_equal(rig->n, without ? 1 : 3);
		assert_record(&rig->records[0], 0, without ? 2 : 0, without ? 2 : 1, without ? 1 : 0, L7_END_FORCED,
			      LAST);
		assert_int_equal(rig->records[0].vlan_id, 7);
		assert_true(l7_has(&rig->records[0], L7_F_vlanId));
		if (!without) {
			assert_int_equal(rig->records[1].vlan_id, 8);
			assert_false(l7_has(&rig->records[2], L7_F_vlanId));
		}
		rig_free(rig);
	}
}

static void test_initiator(void **state)
{
	static const struct {
		unsigned first;
		bool back;    /* sent by the server */
		bool forward; /* the client is the initiator */
		bool midstream;
	} cases[] = {
		{FRAME_SYN, false, true, false},
		{FRAME_SYN | FRAME_ACK, true, true, false}, /* the SYN was missed */
		{FRAME_ACK, false, true, true},
		{FRAME_PSH | FRAME_ACK, true, false, true}, /* nothing better to say than who was seen first */
	};
	struct frame_ends sides[2] = {here, frame_back(here)};

	(void)state;
	for (size_t i = 0; i < 2 * sizeof(cases) / sizeof(cases[0]); i++) {
		struct rig *rig = rig_new(usual);
		struct frame_ends e = sides[i % 2]; /* either end of the key */
		const struct l7_record *r = rig->records;
		uint8_t client[16];
		bool is_client;

		addr_parse(e.src, client);
		rig_tcp(rig, 0, cases[i / 2].back ? frame_back(e) : e, cases[i / 2].first);
		rig_tcp(rig, 1, cases[i / 2].back ? e : frame_back(e), FRAME_ACK);
		rig_flush(rig);
		is_client = memcmp(r->src_ip, client, 16) == 0;
		assert_int_equal(is_client, cases[i / 2].forward);
		assert_int_equal(r->src_port, is_client ? e.src_port : e.dst_port);
		assert_int_equal((r->state & L7_STATE_MIDSTREAM) != 0, cases[i / 2].midstream);
		assert_int_equal(r->biflow, cases[i / 2].midstream ? L7_BIFLOW_ARBITRARY : L7_BIFLOW_INITIATOR);
		assert_int_equal(r->packets, 1);
		assert_int_equal(r->rev_packets, 1);
		rig_free(rig);
	}
}

static void test_record_fields(void **state)
{
	struct frame_ends e = here;
	struct rig *rig = rig_new(usual);
	const struct l7_record *r = rig->records;

	(void)state;
	e.vlan = 7;
	rig_handshake(rig, 0, e);
	rig_hello(rig, 30, e, "www.example.org");
	rig_flush(rig);
	assert_int_equal(r->ingress_if, 3);
	assert_int_equal(r->vlan_id, 7);
	assert_int_equal(r->sni.len, strlen("www.example.org"));
	assert_memory_equal(r->text + r->sni.off, "www.example.org", r->sni.len);
	assert_true(l7_has(r, L7_F_tlsServerName));
	assert_false(l7_has(r, L7_F_httpHost));
	assert_true(l7_has(r, L7_F_tcpControlBits));
	assert_true(l7_has(r, L7_F_sourceIPv4Address));
	assert_false(l7_has(r, L7_F_sourceIPv6Address));
	assert_true(l7_has(r, L7_F_vlanId));
	assert_int_equal(r->confidence, L7_CONF_DPI);
	rig_free(rig);
}

/* Octets of a packet from `from` on, as fragment; `more` follow. */
static struct frame fragment(unsigned id, unsigned from, bool more)
{
	struct frame f;

	frame_ip(&f, &udp, IPPROTO_UDP, 16, id, from / 8 | (more ? 0x2000u : 0));
	frame_u16(&f, from ? 0x1111 : udp.src_port);
	frame_u16(&f, from ? 0x2222 : udp.dst_port);
	frame_zero(&f, 12);
	return f;
}

/* Looked up before those before them were taken in: what becomes of them is as if they came one by one. */
static void test_expected(void **state)
{
	enum { N = 4 };
	static const unsigned from[N] = {0, 16, 0, 32};
	struct rig *rig = rig_new(usual);
	struct flow_lookup lookups[N];
	struct packet packets[N];
	struct frame frames[N];

	(void)state;
	for (unsigned i = 0; i < N; i++) {
		frames[i] = fragment(1, from[i], from[i] < 32);
		assert_int_equal(decode_ethernet(frames[i].octets, frames[i].len, frames[i].len, &packets[i]),
				 DECODE_OK);
		packets[i].time_ms =
			RIG_START + (i < 2 ? i : i + usual.idle_ms + 5); /* the last two after the flow's end */
		flow_tracker_expect(&rig->t, &lookups[i], &packets[i]);
	}
	for (unsigned i = 0; i < N; i++)
		flow_tracker_expected(&rig->t, &packets[i], &lookups[i]);
	assert_int_equal(rig_count(&rig->shared.counters.fragments_unknown), 0);
	flow_tracker_flush(&rig->t);
	assert_int_equal(rig->n, 2);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(rig->records[i].packets, 2);
		assert_int_equal(rig->records[i].dst_port, udp.dst_port);
	}
	rig_free(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_idle_split),
		cmocka_unit_test(test_idle_by_clock),
		cmocka_unit_test(test_busy_flow_stays),
		cmocka_unit_test(test_active_cut),
		cmocka_unit_test(test_active_cut_tcp),
		cmocka_unit_test(test_active_cut_out_of_order),
		cmocka_unit_test(test_fin_fin),
		cmocka_unit_test(test_rst),
		cmocka_unit_test(test_syn_after_end),
		cmocka_unit_test(test_out_of_order),
		cmocka_unit_test(test_timeouts_off),
		cmocka_unit_test(test_early),
		cmocka_unit_test(test_early_then_nothing),
		cmocka_unit_test(test_no_empty_records),
		cmocka_unit_test(test_early_tcp),
		cmocka_unit_test(test_flow_id),
		cmocka_unit_test(test_key_vlan),
		cmocka_unit_test(test_initiator),
		cmocka_unit_test(test_record_fields),
		cmocka_unit_test(test_expected),
	};

	return cmocka_run_group_tests(tests, rig_setup, rig_teardown);
}
