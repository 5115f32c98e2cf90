/* SPDX-License-Identifier: Apache-2.0 */
/* Measures of flows, segment by segment, with a tracker and a sink. What captures say is in tests/e2e/test_measures.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "l7/fields.h"
#include "tracker_rig.h"

#define HEADERS (14 + 20) /* Ethernet and IPv4: where TCP begins */
#define EVERYTHING                                                                                                     \
	{                                                                                                              \
		UINT64_MAX, UINT64_MAX                                                                                 \
	}

static const struct frame_ends ends = {"192.0.2.1", "198.51.100.2", 40000, 443, 0};

struct sent {
	uint64_t at_us;
	bool back; /* from the responder */
	uint32_t seq;
	uint32_t ack;
	unsigned flags;
	unsigned len;
	bool closed; /* window 0 */
};

static void put32(uint8_t *to, uint32_t v)
{
	for (unsigned i = 0; i < 4; i++)
		to[i] = (uint8_t)(v >> (24 - 8 * i));
}

static void give(struct rig *rig, uint64_t at_us, const struct frame *f)
{
	struct packet p;

	assert_int_equal(decode_ethernet(f->octets, f->len, f->len, &p), DECODE_OK);
	p.time_ms = RIG_START + at_us / 1000;
	p.us = (uint16_t)(at_us % 1000);
	p.interface = 3;
	rig->packets++;
	rig->octets += p.octets;
	flow_tracker_packet(&rig->t, &p);
}

static void segment(struct rig *rig, struct sent s)
{
	static const uint8_t payload[2000];
	struct frame_ends e = s.back ? frame_back(ends) : ends;
	struct frame f;

	frame_tcp(&f, &e, s.flags, payload, s.len);
	put32(f.octets + HEADERS + 4, s.seq);
	put32(f.octets + HEADERS + 8, s.ack);
	if (s.closed)
		frame_set16(&f, HEADERS + 14, 0);
	give(rig, s.at_us, &f);
}

static void segments(struct rig *rig, const struct sent *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		segment(rig, s[i]);
}
#define SEGMENTS(rig, ...)                                                                                             \
	do {                                                                                                           \
		const struct sent sent_[] = {__VA_ARGS__};                                                             \
		segments(rig, sent_, sizeof(sent_) / sizeof(sent_[0]));                                                \
	} while (0)

static struct rig *measuring(bool early)
{
	return rig_new((struct flow_tracker_config){
		.idle_ms = 70000, .active_ms = 60000, .early = early, .wanted = EVERYTHING});
}

#define assert_counts(r, way, again, order, closed)                                                                    \
	do {                                                                                                           \
		assert_int_equal((r)->tcp.counts[way].retransmits, again);                                             \
		assert_int_equal((r)->tcp.counts[way].out_of_order, order);                                            \
		assert_int_equal((r)->tcp.counts[way].zero_windows, closed);                                           \
	} while (0)

enum { SYN = FRAME_SYN, ACK = FRAME_ACK, FIN = FRAME_FIN, RST = FRAME_RST };

/* A handshake of 2 ms to the server and 1 ms to the client, numbers near the end of their range. */
#define ISN 0xfffffff0u
#define HANDSHAKE                                                                                                      \
	{0, false, ISN, 0, SYN, 0, false}, {2000, true, 100, ISN + 1, SYN | ACK, 0, false},                            \
	{                                                                                                              \
		3000, false, ISN + 1, 101, ACK, 0, false                                                               \
	}

static void test_handshake(void **state)
{
	struct rig *rig = measuring(false);

	(void)state;
	SEGMENTS(rig, HANDSHAKE);
	rig_flush(rig);
	assert_true(l7_has(rig->records, L7_F_tcpClientRttMicroseconds));
	assert_int_equal(rig->records->tcp.rtt_server_us, 2000);
	assert_int_equal(rig->records->tcp.rtt_client_us, 1000);
	assert_counts(rig->records, 0, 0, 0, 0);
	rig_free(rig);
	/* A SYN that was lost on the way: from the one that was answered. The answer sent twice: from the last. */
	rig = measuring(false);
	SEGMENTS(rig, {0, false, ISN, 0, SYN, 0, false}, {1000000, false, ISN, 0, SYN, 0, false},
		 {1000700, true, 100, ISN + 1, SYN | ACK, 0, false}, {2000700, true, 100, ISN + 1, SYN | ACK, 0, false},
		 {2000800, false, ISN + 1, 101, ACK, 0, false}, {2009999, false, ISN + 1, 101, ACK, 0, false});
	rig_flush(rig);
	assert_int_equal(rig->records->tcp.rtt_server_us, 700);
	assert_int_equal(rig->records->tcp.rtt_client_us, 100);
	assert_counts(rig->records, 0, 1, 0, 0);
	assert_counts(rig->records, 1, 1, 0, 0);
	rig_free(rig);
	/* Not an answer to this SYN, nor an ACK of that answer. */
	rig = measuring(false);
	SEGMENTS(rig, {0, false, ISN, 0, SYN, 0, false}, {2000, true, 100, 77, SYN | ACK, 0, false},
		 {3000, false, ISN + 1, 78, ACK, 0, false});
	rig_flush(rig);
	assert_false(l7_has(rig->records, L7_F_tcpServerRttMicroseconds));
	assert_false(l7_has(rig->records, L7_F_tcpClientRttMicroseconds));
	rig_free(rig);
}

/* Over the end of the numbers: new data is new, old is old. */
static void test_wrap(void **state)
{
	struct rig *rig = measuring(false);

	(void)state;
	SEGMENTS(rig, HANDSHAKE, {10000, false, ISN + 1, 101, ACK, 1000, false},
		 {20000, false, ISN + 1001, 101, ACK, 1000, false}, {300000, false, ISN + 1, 101, ACK, 1000, false},
		 {310000, false, ISN + 2001, 101, ACK, 10, false});
	rig_flush(rig);
	assert_counts(rig->records, 0, 1, 0, 0);
	rig_free(rig);
}

/* A gap that is filled within the 3 ms of this handshake, and one that is filled later. */
static void test_gap(void **state)
{
	struct rig *rig = measuring(false);

	(void)state;
	SEGMENTS(rig, HANDSHAKE, {10000, true, 201, 0, ACK, 100, false}, {12999, true, 101, 0, ACK, 100, false},
		 {20000, true, 401, 0, ACK, 100, false}, {23000, true, 301, 0, ACK, 100, false},
		 {23001, true, 301, 0, ACK, 100, false}, {24000, true, 501, 0, ACK, 100, false});
	rig_flush(rig);
	assert_counts(rig->records, 1, 2, 1, 0);
	assert_counts(rig->records, 0, 0, 0, 0);
	rig_free(rig);
}

static void test_not_counted(void **state)
{
	struct rig *rig = measuring(false);

	(void)state;
	SEGMENTS(rig, HANDSHAKE, {10000, false, ISN + 1, 101, ACK, 100, false},
		 {5000000, false, ISN + 100, 101, ACK, 1, false},         /* keep-alive, */
		 {5100000, true, 101, ISN + 101, ACK, 0, false},          /* its answer, */
		 {5200000, false, ISN + 100, 101, ACK, 0, false},         /* another kind of it */
		 {5300000, false, ISN + 1, 101, RST, 0, true},            /* no window to speak of */
		 {5400000, false, ISN + 0x60000000, 101, ACK, 10, false}, /* further than a window can be */
		 {5500000, false, ISN + 101, 101, ACK, 10, false});
	rig_flush(rig);
	assert_counts(rig->records, 0, 0, 0, 0);
	rig_free(rig);
}

static void test_sent_again(void **state)
{
	struct rig *rig = measuring(false);

	(void)state;
	SEGMENTS(rig, HANDSHAKE, {10000, true, 101, 0, ACK, 50, true}, {20000, true, 151, 0, FIN | ACK, 0, true},
		 {30000, true, 151, 0, FIN | ACK, 0, false}, {40000, false, 7, 0, SYN, 0, false},
		 {50000, false, 7, 0, SYN, 0, false});
	rig_flush(rig);
	assert_counts(rig->records, 1, 1, 0, 1); /* a FIN says nothing of windows */
	assert_counts(rig->records, 0, 1, 0, 0); /* a SYN with another number begins anew; then it is there twice */
	rig_free(rig);
}

/* Counts are of their record: an early one's are not said again, and folding adds them. */
static void test_early(void **state)
{
	struct rig *rig = measuring(true);
	struct l7_record r;

	(void)state;
	SEGMENTS(rig, HANDSHAKE, {5000, false, ISN, 0, SYN, 0, false}, {6000, true, 101, 0, RST, 0, false});
	assert_int_equal(rig->n, 1);
	assert_counts(rig->records, 0, 1, 0, 0);
	SEGMENTS(rig, {30000, false, ISN + 1, 0, ACK, 20, false}, {40000, false, ISN + 1, 0, ACK, 20, true});
	rig_flush(rig);
	assert_int_equal(rig->n, 2);
	r = rig->records[1];
	assert_counts(&r, 0, 1, 0, 1);
	l7_record_fold(&r);
	assert_counts(&r, 0, 2, 0, 1);
	assert_int_equal(r.size[0].max, 60);
	rig_free(rig);
}

/* A record in the middle of a flow: counts, sizes and times begin anew, the handshake stays. */
static void test_cut(void **state)
{
	struct rig *rig = measuring(false);
	const struct l7_record *r = rig->records;

	(void)state;
	SEGMENTS(rig, HANDSHAKE, {30000, false, ISN + 1, 0, ACK, 300, false},
		 {40000, false, ISN + 1, 0, ACK, 300, false}, {61000000, false, ISN + 1, 0, ACK, 20, false},
		 {61500000, false, ISN + 301, 0, ACK, 10, false});
	rig_flush(rig);
	assert_int_equal(rig->n, 2);
	assert_counts(&r[0], 0, 1, 0, 0);
	assert_counts(&r[1], 0, 1, 0, 0);
	assert_int_equal(r[1].tcp.rtt_server_us, 2000);
	assert_int_equal(r[0].size[0].max, 340);
	assert_int_equal(r[1].size[0].max, 60);
	assert_int_equal(r[1].size[0].min, 50);
	assert_int_equal(r[1].iat_us[0].min, 500000);
	assert_int_equal(r[1].iat_us[0].max, 500000);
	rig_free(rig);
}

static void datagram(struct rig *rig, uint64_t at_us, size_t len, unsigned ttl)
{
	static const uint8_t octets[64] = {0x3d, 0x91, 0xc7, 0x55};
	struct frame f;

	frame_udp(&f, &ends, octets, len);
	f.octets[14 + 8] = (uint8_t)ttl;
	give(rig, at_us, &f);
}

static void test_spread(void **state)
{
	struct rig *rig = measuring(false);
	const struct l7_record *r = rig->records;

	(void)state;
	datagram(rig, 0, 10, 64);
	rig_flush(rig);
	assert_true(l7_has(r, L7_F_packetSizeStddev));
	assert_false(l7_has(r, L7_F_interArrivalMin)); /* one packet */
	assert_false(l7_has(r, L7_F_reverseMinimumTTL));
	assert_int_equal(r->size[0].min, 38);
	assert_int_equal(r->size[0].stddev, 0);
	datagram(rig, 1000000, 10, 64);
	datagram(rig, 1001500, 13, 3);
	datagram(rig, 1001400, 20, 200); /* late: at once, */
	datagram(rig, 1002500, 11, 64);  /* and the next counts from the latest */
	rig_flush(rig);
	r++;
	/* 38 41 48 39: mean 41.5, variance 15.25; 1500 0 1000: mean 833.3, variance 388888.9 */
	assert_int_equal(r->size[0].min, 38);
	assert_int_equal(r->size[0].mean, 42);
	assert_int_equal(r->size[0].max, 48);
	assert_int_equal(r->size[0].stddev, 3);
	assert_int_equal(r->iat_us[0].min, 0);
	assert_int_equal(r->iat_us[0].mean, 833);
	assert_int_equal(r->iat_us[0].max, 1500);
	assert_int_equal(r->iat_us[0].stddev, 623);
	assert_int_equal(r->link.ttl_min[0], 3);
	assert_int_equal(r->link.ttl_max[0], 200);
	rig_free(rig);
}

/* Days between packets, and times that no clock has: numbers stay in their range. */
static void test_long_times(void **state)
{
	struct rig *rig = rig_new((struct flow_tracker_config){.wanted = EVERYTHING});

	(void)state;
	for (uint64_t day = 0; day < 6; day++)
		datagram(rig, day * UINT64_C(86400000000), 10, 64);
	datagram(rig, 5 * UINT64_C(86400000000), 10, 64);
	datagram(rig, UINT64_C(1) << 59, 10, 64);
	rig_flush(rig);
	assert_int_equal(rig->n, 1);
	assert_int_equal(rig->records->iat_us[0].min, 0);
	assert_int_equal(rig->records->iat_us[0].max, UINT32_MAX);
	assert_int_equal(rig->records->iat_us[0].mean, 3681400539u); /* of six of these and a 0 */
	assert_int_equal(rig->records->iat_us[0].stddev, 1502925476);
	rig_free(rig);
}

/* A flow of which the SYN was missed: its answer's addresses are turned round. */
static void test_answer_first(void **state)
{
	struct rig *rig = measuring(false);

	(void)state;
	SEGMENTS(rig, {0, true, 100, ISN + 1, SYN | ACK, 0, false}, {900, false, ISN + 1, 101, ACK, 0, false});
	rig_flush(rig);
	assert_int_equal(rig->records->src_port, 40000);
	assert_int_equal(rig->records->link.src_mac[5], 2); /* destination of the frame that came first */
	assert_int_equal(rig->records->link.dst_mac[5], 1);
	assert_int_equal(rig->records->tcp.rtt_client_us, 900);
	assert_false(l7_has(rig->records, L7_F_tcpServerRttMicroseconds));
	rig_free(rig);
}

/* A flow of a scan has a SYN and perhaps a reset: nothing is kept for it but what every flow has. */
static void test_scan(void **state)
{
	struct rig *rig = measuring(false);

	(void)state;
	SEGMENTS(rig, {0, false, ISN, 0, SYN, 0, false}, {400, true, 0, ISN + 1, RST | ACK, 0, false});
	assert_int_equal(rig->t.measures.segments.used, 0);
	rig_flush(rig);
	assert_counts(rig->records, 0, 0, 0, 0);
	assert_true(l7_has(rig->records, L7_F_reverseRetransmittedPackets));
	assert_false(l7_has(rig->records, L7_F_tcpServerRttMicroseconds));
	rig_free(rig);
	/* It is remembered, whatever comes before its answer: a reset of its sender's, */
	rig = measuring(false);
	SEGMENTS(rig, {0, false, ISN, 0, SYN, 0, false}, {400, false, ISN + 1, 0, RST, 0, false},
		 {500, true, 100, ISN + 1, SYN | ACK, 0, false}, {800, false, ISN + 1, 101, ACK, 0, false});
	assert_int_equal(rig->t.measures.segments.used, 1);
	rig_flush(rig);
	assert_int_equal(rig->records->tcp.rtt_server_us, 500);
	assert_int_equal(rig->records->tcp.rtt_client_us, 300);
	rig_free(rig);
	/* or a record in the middle. */
	rig = measuring(false);
	SEGMENTS(rig, {0, false, ISN, 0, SYN, 0, false}, {61000000, true, 100, ISN + 1, SYN | ACK, 0, false},
		 {61000100, false, ISN, 0, SYN, 0, false});
	rig_flush(rig);
	assert_int_equal(rig->n, 2);
	assert_int_equal(rig->records[1].tcp.rtt_server_us, 61000000);
	assert_counts(&rig->records[1], 0, 1, 0, 0);
	rig_free(rig);
	/* Resets tell nothing, but have a size and a time. */
	rig = measuring(false);
	SEGMENTS(rig, {0, false, 0, 0, RST, 0, false}, {100, false, 0, 0, RST, 0, false},
		 {300, false, 0, 0, RST, 0, false}, {500, false, 0, 0, RST, 0, false},
		 {900, false, 0, 0, RST, 0, false});
	rig_flush(rig);
	assert_int_equal(rig->records->iat_us[0].mean, 225);
	assert_int_equal(rig->records->iat_us[0].stddev, 108);
	assert_counts(rig->records, 0, 0, 0, 0);
	rig_free(rig);
}

/* Numbers of one direction of one record, as they come. */
#define NUMBERS_MAX 64
struct numbers {
	unsigned n;
	uint64_t size[NUMBERS_MAX];
	uint64_t gap[NUMBERS_MAX]; /* [n - 1] of them */
	uint64_t last_us;
};

static void assert_spread(const struct l7_spread *s, const uint64_t *numbers, unsigned n)
{
	uint64_t least = UINT64_MAX, most = 0, sum = 0, root = s->stddev;
	unsigned __int128 squares = 0, variance;

	for (unsigned i = 0; i < n; i++) {
		least = numbers[i] < least ? numbers[i] : least;
		most = numbers[i] > most ? numbers[i] : most;
		sum += numbers[i];
		squares += (unsigned __int128)numbers[i] * numbers[i];
	}
	variance = (squares * n - (unsigned __int128)sum * sum) / (n * n);
	assert_int_equal(s->min, least);
	assert_int_equal(s->max, most);
	assert_int_equal(s->mean, (sum + n / 2) / n);
	assert_true(root * root <= variance && (root + 1) * (root + 1) > variance);
}

static void assert_numbers(const struct l7_record *r, unsigned way, const struct numbers *w)
{
	assert_int_equal(way ? r->rev_packets : r->packets, w->n);
	assert_int_equal(l7_has(r, way ? L7_F_reversePacketSizeMean : L7_F_packetSizeMean), w->n > 0);
	assert_int_equal(l7_has(r, way ? L7_F_reverseInterArrivalMean : L7_F_interArrivalMean), w->n > 1);
	if (w->n)
		assert_spread(&r->size[way], w->size, w->n);
	if (w->n > 1)
		assert_spread(&r->iat_us[way], w->gap, w->n - 1);
}

static uint64_t chance(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005u + 1442695040888963407u;
	return *seed >> 33;
}

/* One packet more: its size and its time are any. A record that it begins has others' numbers. */
static void numbers_packet(struct rig *rig, struct numbers *w, uint64_t *seed, bool tcp, uint64_t at_us)
{
	unsigned way = rig->packets ? chance(seed) % 2 : 0;
	const struct frame_ends e = way ? frame_back(ends) : ends;
	struct numbers *mine = &w[way];
	size_t records = rig->n;
	struct packet p;
	struct frame f;

	if (tcp)
		frame_tcp(&f, &e, ACK, "", 0);
	else
		frame_udp(&f, &e, "", 0);
	assert_int_equal(decode_ethernet(f.octets, f.len, f.len, &p), DECODE_OK);
	p.octets = 1 + (uint32_t)(chance(seed) & ((UINT32_C(1) << (1 + chance(seed) % 24)) - 1) % ((1 << 24) - 1));
	p.time_ms = RIG_START + at_us / 1000;
	p.us = (uint16_t)(at_us % 1000);
	rig->packets++;
	rig->octets += p.octets;
	flow_tracker_packet(&rig->t, &p);
	if (rig->n != records) {
		assert_numbers(&rig->records[records], 0, &w[0]);
		assert_numbers(&rig->records[records], 1, &w[1]);
		memset(w, 0, 2 * sizeof(*w));
	}
	assert_in_range(mine->n, 0, NUMBERS_MAX - 1);
	mine->size[mine->n] = p.octets;
	if (mine->n)
		mine->gap[mine->n - 1] = at_us > mine->last_us ? at_us - mine->last_us : 0;
	mine->last_us = at_us > mine->last_us ? at_us : mine->last_us;
	mine->n++;
}

/* Of few packets and of many, of each direction: what their numbers say, whatever is kept of them. */
static void test_numbers(void **state)
{
	uint64_t seed = 1;
	unsigned cut = 0;

	(void)state;
	for (unsigned round = 0; round < 3000; round++) {
		struct rig *rig = rig_new((struct flow_tracker_config){.active_ms = 60000, .wanted = EVERYTHING});
		struct numbers w[2] = {{0}};
		uint64_t at_us = 1000000;

		for (unsigned n = 1 + chance(&seed) % 20; n > 0; n--) {
			numbers_packet(rig, w, &seed, round % 2, at_us);
			at_us += chance(&seed) & ((UINT64_C(1) << chance(&seed) % 28) - 1);
			if (chance(&seed) % 8 == 0)
				at_us -= chance(&seed) % 1000;
		}
		rig_flush(rig);
		assert_numbers(&rig->records[rig->n - 1], 0, &w[0]);
		assert_numbers(&rig->records[rig->n - 1], 1, &w[1]);
		cut += rig->n > 1;
		rig_free(rig);
	}
	assert_in_range(cut, 50, 2900);
}

/* What nobody takes is not measured, and not said. */
static void test_groups(void **state)
{
	static const struct {
		enum l7_field field;
		unsigned group;
	} of[] = {
		{L7_F_sourceMacAddress, MEASURE_LINK},
		{L7_F_dot1qCustomerVlanId, MEASURE_LINK},
		{L7_F_reverseMaximumTTL, MEASURE_LINK},
		{L7_F_tcpServerRttMicroseconds, MEASURE_TCP},
		{L7_F_clientNetworkLatency, MEASURE_TCP},
		{L7_F_reverseTcpZeroWindowCount, MEASURE_TCP},
		{L7_F_minimumIpTotalLength, MEASURE_SIZES},
		{L7_F_reversePacketSizeStddev, MEASURE_SIZES},
		{L7_F_interArrivalMin, MEASURE_TIMES},
		{L7_F_dstToSrcInterArrivalStddev, MEASURE_TIMES},
		{L7_F_reverseTcpControlBits, 0},
		{L7_F_recordSequence, 0},
	};
	struct rig *rig = rig_new((struct flow_tracker_config){.idle_ms = 15000});

	(void)state;
	for (size_t i = 0; i < sizeof(of) / sizeof(of[0]); i++) {
		uint64_t wanted[2] = {0};

		wanted[of[i].field >> 6] = UINT64_C(1) << (of[i].field & 63);
		assert_int_equal(flow_measure_groups(wanted), of[i].group);
	}
	SEGMENTS(rig, HANDSHAKE);
	rig_flush(rig);
	assert_int_equal(rig->t.measures.groups, 0);
	assert_int_equal(rig->t.store.measures[1].size[0].max, 0);
	for (size_t i = 0; i < 10; i++)
		assert_false(l7_has(rig->records, of[i].field));
	rig_free(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_handshake),  cmocka_unit_test(test_wrap),
		cmocka_unit_test(test_gap),        cmocka_unit_test(test_not_counted),
		cmocka_unit_test(test_sent_again), cmocka_unit_test(test_early),
		cmocka_unit_test(test_cut),        cmocka_unit_test(test_spread),
		cmocka_unit_test(test_long_times), cmocka_unit_test(test_answer_first),
		cmocka_unit_test(test_groups),     cmocka_unit_test(test_scan),
		cmocka_unit_test(test_numbers),
	};

	return cmocka_run_group_tests(tests, rig_setup, rig_teardown);
}
