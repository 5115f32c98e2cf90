/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packets with times go through a tracker with the installed nDPI. However they come, every packet and octet is in exactly one
 * record, both for who takes early records and for who folds them, and each flow has one last record. What
 * is measured is in order.
 *
 * The input is two octets of settings, then packets:
 *   kind 1   bit 0-1 which pair of hosts (3: the octets are a whole frame), 2 answer, 3 TCP, 4-5 scale of the time, 6 later
 *            call expire, 7 IPv6
 *   time 2   signed, added to the time of the packet before
 *   flags 1  of TCP
 *   length 1 payload in units of 4 octets, then the payload
 */
#include <string.h>

#include "base/wire.h"
#include "dpi/dpi.h"
#include "flow/flow_tracker.h"
#include "fuzz.h"

/* frames.h parses addresses; here they are made by hand, thousands of times a second. */
#define FRAME_ROOM 1200

enum { KIND_RAW = 3, KIND_BACK = 4, KIND_TCP = 8, KIND_EXPIRE = 64, KIND_SIX = 128 };

struct fuzz_sums {
	struct flow_tracker t;
	struct shared_worker shared;
	struct l7_record record;
	uint64_t packets, octets;               /* accepted */
	uint64_t sent_packets, sent_octets;     /* of all records */
	uint64_t folded_packets, folded_octets; /* of those that are not early, folded */
	uint64_t last;
};

static struct l7_record *sums_reserve(void *arg)
{
	struct fuzz_sums *s = arg;

	return &s->record;
}

static void sums_check_spread(const struct l7_spread *s)
{
	FUZZ_CHECK(s->min <= s->mean && s->mean <= s->max && s->stddev <= s->max - s->min);
}

static void sums_check_measures(const struct l7_record *r)
{
	FUZZ_CHECK(r->link.ttl_min[0] <= r->link.ttl_max[0] && r->link.ttl_min[1] <= r->link.ttl_max[1]);
	for (unsigned i = 0; i < 2; i++) {
		sums_check_spread(&r->size[i]);
		sums_check_spread(&r->iat_us[i]);
	}
}

static void sums_commit(void *arg)
{
	struct fuzz_sums *s = arg;
	struct l7_record *r = &s->record;
	bool early = r->state & L7_STATE_EARLY;

	FUZZ_CHECK(l7_record_check(r, l7_record_used(r)));
	FUZZ_CHECK(r->start_ms <= r->end_ms);
	FUZZ_CHECK(r->text_len <= L7_TEXT_WORKER);
	FUZZ_CHECK(!early || s->t.config.early);
	sums_check_measures(r);
	s->sent_packets += r->packets + r->rev_packets;
	s->sent_octets += r->octets + r->rev_octets;
	s->last += (r->state & L7_STATE_LAST) != 0;
	if (early)
		return;
	FUZZ_CHECK(s->t.config.early || r->reported.packets + r->reported.rev_packets == 0);
	l7_record_fold(r);
	FUZZ_CHECK(r->packets + r->rev_packets > 0);
	FUZZ_CHECK(r->start_ms <= r->end_ms);
	s->folded_packets += r->packets + r->rev_packets;
	s->folded_octets += r->octets + r->rev_octets;
}

static size_t put16(uint8_t *to, unsigned v)
{
	to[0] = (uint8_t)(v >> 8);
	to[1] = (uint8_t)v;
	return 2;
}

static void put_address(uint8_t *to, bool six, unsigned host)
{
	static const uint8_t ends[6][4] = {{192, 0, 2, 1},     {149, 154, 167, 220}, {192, 0, 2, 2},
					   {198, 51, 100, 53}, {192, 0, 2, 3},       {203, 0, 113, 9}};

	memset(to, 0, 16);
	memcpy(six ? to + 12 : to, ends[host % 6], 4);
	if (six)
		to[0] = 0x20;
}

/* A frame of known shape; returns its length. */
static size_t make_frame(uint8_t *f, unsigned kind, unsigned flags, const uint8_t *payload, size_t len)
{
	static const unsigned ports[3] = {443, 53, 8080};
	bool six = kind & KIND_SIX, tcp = kind & KIND_TCP, back = kind & KIND_BACK;
	unsigned pair = kind & 3, total = (unsigned)((tcp ? 20 : 8) + len);
	uint8_t *at = f + 14;

	memset(f, 0, 14 + 40 + 20);
	put16(f + 12, six ? 0x86dd : 0x0800);
	if (six) {
		at[0] = 0x60;
		put16(at + 4, total);
		at[6] = tcp ? 6 : 17;
		put_address(at + 8, true, 2 * pair + back);
		put_address(at + 24, true, 2 * pair + !back);
		at += 40;
	} else {
		at[0] = 0x45;
		put16(at + 2, total + 20);
		at[9] = tcp ? 6 : 17;
		put_address(at + 12, false, 2 * pair + back);
		put_address(at + 16, false, 2 * pair + !back);
		at += 20;
	}
	memset(at, 0, 20);
	put16(at, back ? ports[pair] : 40000);
	put16(at + 2, back ? 40000 : ports[pair]);
	if (tcp) {
		at[12] = 0x50;
		at[13] = (uint8_t)flags;
	} else {
		put16(at + 4, total);
	}
	at += tcp ? 20 : 8;
	if (len)
		memcpy(at, payload, len);
	return (size_t)(at - f) + len;
}

static void send_frame(struct fuzz_sums *s, const uint8_t *frame, size_t len, uint64_t time_ms)
{
	uint8_t *copy = malloc(len ? len : 1); /* its own, so that a read past its end is seen */
	struct packet p;

	FUZZ_CHECK(copy);
	if (len)
		memcpy(copy, frame, len);
	p.tunnels_max = DECODE_TUNNELS_MAX;
	if (decode_ethernet(copy, (uint32_t)len, (uint32_t)len, &p) == DECODE_OK) {
		p.time_ms = time_ms;
		p.interface = 1;
		s->packets++;
		s->octets += p.octets;
		flow_tracker_packet(&s->t, &p);
	}
	free(copy);
}

static void one_packet(struct fuzz_sums *s, struct wire *w, uint64_t *time_ms)
{
	uint8_t frame[FRAME_ROOM];
	unsigned kind = wire_u8(w);
	int64_t step = (int16_t)wire_u16(w);
	unsigned flags = wire_u8(w);
	size_t len = (size_t)wire_u8(w) * 4;
	const uint8_t *payload;

	if (!wire_ok(w))
		return;
	if (len > wire_left(w))
		len = wire_left(w);
	payload = wire_take(w, len);
	*time_ms += (uint64_t)(step * ((int64_t)1 << (kind >> 4 & 3) * 12)); /* up to 71,000 years */
	if ((kind & 3) == KIND_RAW) {
		send_frame(s, payload, len, *time_ms);
	} else {
		len = make_frame(frame, kind, flags, payload, len);
		send_frame(s, frame, len, *time_ms);
	}
	if (kind & KIND_EXPIRE)
		flow_tracker_expire(&s->t, flags & 1 ? *time_ms : 0, 2);
}

static struct dpi_module *fuzz_module(void)
{
	static struct dpi_module *module;
	char err[200];

	if (!module)
		FUZZ_CHECK(dpi_module_new(&module, &(struct dpi_files){0}, err, sizeof(err)) == 0);
	return module;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct fuzz_sums s;
	struct wire w = wire_of(data, size);
	unsigned settings = wire_u8(&w), more = wire_u8(&w);
	uint64_t wanted = settings & 32 ? UINT64_MAX : 0;
	struct flow_tracker_config c = {.max_flows = settings & 1 ? 2 : 100,
					.idle_ms = settings & 2 ? 15000 : 0,
					.active_ms = settings & 4 ? 60000 : 0,
					.early = settings & 8,
					.domain = 1,
					.seed = more,
					.wanted = {wanted, wanted},
					.store = -1};
	uint64_t time_ms = settings & 16 ? more : UINT64_C(1700000000000);

	memset(&s, 0, sizeof(s));
	FUZZ_CHECK(flow_tracker_init(&s.t, &c, fuzz_module(), &s.shared,
				     (struct flow_sink){.reserve = sums_reserve, .commit = sums_commit, .arg = &s}) ==
		   0);
	while (wire_ok(&w) && wire_left(&w) > 0)
		one_packet(&s, &w, &time_ms);
	flow_tracker_flush(&s.t);
	FUZZ_CHECK(s.t.table.active == 0 && s.t.cold.used == 0);
	FUZZ_CHECK(s.sent_packets == s.packets && s.sent_octets == s.octets);
	FUZZ_CHECK(s.folded_packets == s.packets && s.folded_octets == s.octets);
	FUZZ_CHECK(s.last == shared_get(&s.shared.counters.flows));
	FUZZ_CHECK(shared_get(&s.shared.progress.dpi_flow) == 0);
	flow_tracker_deinit(&s.t);
	return 0;
}
