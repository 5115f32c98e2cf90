/* SPDX-License-Identifier: Apache-2.0 */
/* NetFlow v9 as it is written, read by a decoder that was made from RFC 3954. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "netflow_decode.h"

#include "base/utf8.h"
#include "record/netflow9_writer.h"
#include "record/netflow_time.h"
#include "record_sample.h"

#define BOOT UINT64_C(1699000000123)
#define DAY UINT64_C(86400000)
#define WRAP (UINT64_C(1) << 32)
#define NTOP 57472

enum {
	V9_BYTES = 1,
	V9_PKTS = 2,
	V9_TCP_FLAGS = 6,
	V9_LAST = 21,
	V9_FIRST = 22,
	V9_MAX_LEN = 26,
	V9_APP_TEXT = 94,
	V9_APP_ID = 95,
	V9_APP_NAME = 96,
	V9_SNI = NTOP + 188
};

static const char *const apps[] = {"Unknown", NULL, "A_name_that_is_longer_than_24_octets", "caf\xc3\xa9"};
static const struct ipfix_interface interfaces[] = {{3, "eth0"}, {70000, "eth1"}};
static const struct ipfix_tables tables = {.apps = apps, .n_apps = 4, .interfaces = interfaces, .n_interfaces = 2};
#define OPTIONS 6 /* records: sampling, 2 interfaces, 3 applications */

/* The messages go straight into the decoder. */
struct sink {
	struct decoder d;
	size_t longest;
	unsigned messages;
	uint64_t now_ms; /* when they are sent; 0: as they are */
};

static void take(void *arg, uint8_t *data, size_t len, uint32_t records)
{
	struct sink *s = arg;

	(void)records;
	s->longest = len > s->longest ? len : s->longest;
	netflow9_message_stamp(data, s->messages, s->now_ms);
	decode_message(&s->d, data, len);
	assert_int_equal(s->d.sequence, s->messages);
	assert_int_equal(s->d.source, 7);
	s->messages++;
}

static struct netflow9_writer *writer(struct sink *s, struct profile *p, const char *spec, size_t max)
{
	struct netflow9_config c = {
		.profile = p, .source_id = 7, .message_max = max, .boot_ms = BOOT, .data = {take, s}};
	struct netflow9_writer *w;
	char err[256] = "";

	if (profile_load(p, spec, err, sizeof(err)) || netflow9_writer_new(&w, &c, err, sizeof(err)))
		fail_msg("%s", err);
	netflow9_writer_templates(w, &tables, BOOT + 5, (struct ipfix_sink){take, s});
	return w;
}

static struct sink *sink_new(void)
{
	return calloc(1, sizeof(struct sink));
}

/* ---- the table ---- */

/* What templates/fields.def says of v9: numbers as receivers know them, each once, and none that means another thing there. */
static void test_table(void **state)
{
	bool seen[65536] = {false};

	(void)state;
	for (unsigned f = 0; f < L7_FIELD_COUNT; f++) {
		const struct l7_field_info *i = &l7_fields[f];

		assert_int_equal(i->v9 == 0, i->v9len == 0);
		assert_int_equal(netflow9_has(f), i->v9 != 0);
		if (!i->v9)
			continue;
		assert_false(seen[i->v9]);
		seen[i->v9] = true;
		assert_true(i->v9len < 256);
		if (i->pen == L7_PEN_NTOP)
			assert_int_equal(i->v9, NTOP + i->ie);
		else if (i->type == L7_TYPE_MSEC)
			assert_int_equal(i->v9, f == L7_F_flowStartMilliseconds ? V9_FIRST : V9_LAST);
		else
			assert_true(i->pen == L7_PEN_IANA && i->v9 == i->ie);
		if (i->len != L7_VARLEN)
			assert_true(i->v9len <= i->len);
	}
	/* OUT_BYTES, OUT_PKTS and DST_TOS are of packets sent on; 148 is an event of a firewall to nfdump. */
	assert_false(seen[23] || seen[24] || seen[55] || seen[148]);
}

/* ---- values ---- */

/* What a field must say, from the record. Returns its octets. */
static size_t expected(uint8_t *to, unsigned field, const struct l7_record *r, const struct decoder *d)
{
	const struct l7_field_info *f = &l7_fields[field];
	const uint8_t *from = (const uint8_t *)r + f->offset;
	const struct l7_text *text = (const void *)from;
	uint64_t v = 0;

	memset(to, 0, f->v9len);
	switch ((enum l7_type)f->type) {
	case L7_TYPE_TEXT:
	case L7_TYPE_ALIAS_TEXT:
		memcpy(to, r->text + text->off, text->len < f->v9len ? text->len : f->v9len);
		return f->v9len;
	case L7_TYPE_IP4:
		memcpy(to, from + 12, 4);
		return 4;
	case L7_TYPE_IP6:
	case L7_TYPE_MAC:
		memcpy(to, from, f->v9len);
		return f->v9len;
	case L7_TYPE_MSEC:
		v = *(const uint64_t *)(const void *)from - d->boot_ms;
		break;
	case L7_TYPE_APPID:
		v = 0x16000000u | r->app_id;
		break;
	case L7_TYPE_ALIAS_MS:
		v = (*(const uint32_t *)(const void *)from + 500) / 1000;
		break;
	case L7_TYPE_ALIAS_HALF_MS:
		v = (*(const uint32_t *)(const void *)from + 1000) / 2000;
		break;
	default:
		for (unsigned i = f->size; i > 0; i--) /* as x86 and ARM have it */
			v = v << 8 | from[i - 1];
	}
	for (size_t i = f->v9len; i > 0; i--, v >>= 8)
		to[i - 1] = (uint8_t)v;
	return f->v9len;
}

static void sample(struct l7_record *r, unsigned n)
{
	record_sample(r, n);
	r->start_ms = BOOT + 20 * DAY + n;
	r->end_ms = r->start_ms + 1500;
	for (unsigned d = 0; d < 2; d++) {
		r->size[d] = (struct l7_spread){40 + d, 500, 1500 + n, 3};
		r->iat_us[d] = (struct l7_spread){1499, 1500, 2500 + n, 4000000};
		r->link.ttl_min[d] = (uint8_t)(60 + d);
		r->link.ttl_max[d] = (uint8_t)(64 + d);
	}
	r->tcp.rtt_client_us = 3000;
	r->tcp.rtt_server_us = 5001;
	r->tcp.counts[0].retransmits = 4 + n;
	r->tls_version = 772;
	r->dns_query_type = 28;
	memcpy(r->link.src_mac, "\x02\x01\x02\x03\x04\x05", 6);
}

/* All fields of the template, in the record's order. */
static void check_flow(struct decoder *d, void *arg)
{
	struct l7_record r;
	uint8_t want[256];
	size_t len;

	(void)arg;
	sample(&r, d->records - 1);
	assert_int_equal(d->now->id % 4, r.ip_version == 6); /* template_id.h */
	assert_true(d->now->id >= 1024);
	for (unsigned f = 0; f < L7_FIELD_COUNT; f++) {
		const uint8_t *at = netflow9_has(f) ? decode_octets(d, l7_fields[f].v9, &len) : NULL;

		if (!at)
			continue;
		assert_int_equal(len, expected(want, f, &r, d));
		assert_memory_equal(at, want, len);
	}
	assert_true(d->seconds * UINT64_C(1000) >= r.end_ms); /* no flow ends after its message */
}

static void write_samples(const char *spec, size_t max, unsigned n, size_t fields)
{
	struct sink *s = sink_new();
	struct netflow9_writer *w;
	struct profile p;

	s->d.flow = check_flow;
	w = writer(s, &p, spec, max);
	assert_int_equal(s->d.options, OPTIONS);
	assert_int_equal(s->d.templates[0].n, fields); /* it comes first */
	for (unsigned i = 0; i < n; i++) {
		struct l7_record r;

		sample(&r, i);
		netflow9_writer_add(w, &r);
	}
	netflow9_writer_flush(w);
	assert_int_equal(netflow9_writer_pending(w), 0);
	netflow9_writer_flush(w); /* nothing there: no message */
	assert_int_equal(s->d.records, n);
	assert_true(s->longest <= max);
	netflow9_writer_free(w);
	free(s);
}

/* Each field alone: sets are padded for every length of a record, also for one shorter than the padding would be. */
static void test_each_field(void **state)
{
	unsigned fields = 0;

	(void)state;
	for (unsigned f = 0; f < L7_FIELD_COUNT; f++) {
		if (!netflow9_has(f))
			continue;
		fields++;
		write_samples(l7_fields[f].name, NETFLOW9_MESSAGE_MIN, 60, 1);
	}
	assert_true(fields > 60);
}

static size_t v9_fields(const char *spec)
{
	struct profile p;
	char err[256];
	size_t n = 0;

	assert_int_equal(profile_load(&p, spec, err, sizeof(err)), 0);
	for (size_t i = 0; i < p.n4; i++)
		n += netflow9_has(p.v4[i]);
	return n;
}

static void test_all_fields(void **state)
{
	(void)state;
	write_samples("full", 65535, 300, v9_fields("full"));
	write_samples("full", 1952, 20, v9_fields("full"));
	write_samples("standard", 1352, 300, v9_fields("standard"));
	write_samples("iana", 1352, 300, v9_fields("iana"));
	write_samples("ntop", 1352, 300, v9_fields("ntop"));
	/* Every length at which a record, or its set's header and padding, may just not fit. */
	for (size_t max = NETFLOW9_MESSAGE_MIN; max < 1100; max++)
		write_samples("standard", max, 12, v9_fields("standard"));
}

/* As many as a message has room for, padding with them. */
static void test_filled(void **state)
{
	struct sink *s = sink_new();
	struct netflow9_writer *w;
	unsigned messages;
	struct profile p;

	(void)state;
	w = writer(s, &p, "sourceIPv4Address,destinationIPv4Address,protocolIdentifier", 1353); /* 9 octets */
	messages = s->messages;
	for (unsigned i = 0; i < 1000; i++) {
		struct l7_record r;

		sample(&r, 2 * i);
		netflow9_writer_add(w, &r);
	}
	netflow9_writer_flush(w);
	assert_int_equal(s->messages - messages, (1000 + 146) / 147);
	assert_int_equal(s->longest, 20 + 4 + 147 * 9 + 1);
	netflow9_writer_free(w);
	free(s);
}

/* ---- numbers and texts that do not fit ---- */

static void check_cut(struct decoder *d, void *arg)
{
	static const char *const names[] = {"", "exactly-64-octets-of-a-name-that-fills-its-place-to-the-last.com",
					    "caf\xc3\xa9"};
	const uint8_t *at;
	size_t len;

	(void)arg;
	at = decode_octets(d, V9_SNI, &len);
	assert_int_equal(len, 64);
	if (d->records <= 3) {
		assert_memory_equal(at, names[d->records - 1], strlen(names[d->records - 1]));
		for (size_t i = strlen(names[d->records - 1]); i < 64; i++)
			assert_int_equal(at[i], 0);
	} else if (d->records == 4) { /* 63 letters and a character of two: it is left out */
		assert_int_equal(at[62], 'x');
		assert_int_equal(at[63], 0);
	} else { /* no UTF-8 */
		assert_memory_equal(at, "a?b", 4);
	}
	assert_int_equal(decode_number(d, V9_TCP_FLAGS), 0xff);
	assert_int_equal(decode_number(d, V9_MAX_LEN), 65535);
	assert_int_equal(decode_number(d, V9_BYTES), UINT64_MAX);
}

static void test_cut(void **state)
{
	char long_name[100];
	const char *const names[] = {"", "exactly-64-octets-of-a-name-that-fills-its-place-to-the-last.com",
				     "caf\xc3\xa9", long_name,
				     "a\xff"
				     "b"};
	struct sink *s = sink_new();
	struct netflow9_writer *w;
	struct profile p;

	(void)state;
	memset(long_name, 'x', sizeof(long_name));
	memcpy(long_name + 63, "\xc3\xa9yyy", 6);
	s->d.flow = check_cut;
	w = writer(s, &p, "tlsServerName,tcpControlBits,maximumIpTotalLength,octetDeltaCount", 1352);
	for (unsigned i = 0; i < 5; i++) {
		struct l7_record r;

		sample(&r, 0);
		r.text_len = 0;
		assert_true(l7_record_text(&r, &r.sni, names[i], strlen(names[i]), L7_TEXT_MAX));
		r.tcp_flags = 0x1ff;
		r.size[0].max = 70000;
		r.octets = UINT64_MAX;
		netflow9_writer_add(w, &r);
	}
	netflow9_writer_flush(w);
	assert_int_equal(s->d.records, 5);
	netflow9_writer_free(w);
	free(s);
}

/* ---- options ---- */

struct names {
	unsigned apps, interfaces, sampling;
	uint32_t interval;
};

static void check_option(struct decoder *d, void *arg)
{
	struct names *n = arg;
	size_t len;
	const uint8_t *at;

	assert_int_equal(d->now->scopes, 1);
	assert_int_equal(d->now->type[0], 1); /* System */
	if (d->now->id == 258) {
		assert_int_equal(decode_number(d, V9_APP_ID) >> 24, 22);
		at = decode_octets(d, V9_APP_NAME, &len);
		assert_int_equal(len, 24);
		if (decode_number(d, V9_APP_ID) == 0x16000002)
			assert_memory_equal(at, "A_name_that_is_longer_th", 24);
		else if (decode_number(d, V9_APP_ID) == 0x16000003)
			assert_memory_equal(at, "caf\xc3\xa9\0\0", 7);
		at = decode_octets(d, V9_APP_TEXT, &len);
		assert_int_equal(len, 55);
		if (decode_number(d, V9_APP_ID) == 0x16000002)
			assert_string_equal((const char *)at, apps[2]);
		n->apps++;
	} else if (d->now->id == 259) {
		assert_int_equal(decode_number(d, 10), interfaces[n->interfaces].id);
		at = decode_octets(d, 82, &len);
		assert_int_equal(len, 32);
		assert_string_equal((const char *)at, interfaces[n->interfaces].name);
		at = decode_octets(d, 83, &len);
		assert_int_equal(len, 64);
		n->interfaces++;
	} else {
		assert_int_equal(decode_number(d, 34), n->interval);
		assert_int_equal(decode_number(d, 35), n->interval > 1 ? 2 : 1);
		n->sampling++;
	}
}

static void test_options(void **state)
{
	struct sink *s = sink_new();
	struct names n = {.interval = 1};
	struct ipfix_tables sampled = {.sample_packets = 10, .sample_flows = 4};
	struct netflow9_writer *w;
	struct profile p;

	(void)state;
	s->d.option = check_option;
	s->d.arg = &n;
	w = writer(s, &p, "standard", 512);
	assert_int_equal(n.apps, 3);
	assert_int_equal(n.interfaces, 2);
	assert_int_equal(n.sampling, 1);
	assert_int_equal(s->d.boot_ms, BOOT);
	n.interfaces = 0;
	netflow9_writer_interfaces(w, interfaces, 2, BOOT + DAY, (struct ipfix_sink){take, s});
	netflow9_writer_apps(w, apps, 3, 4, BOOT + DAY, (struct ipfix_sink){take, s});
	assert_int_equal(n.interfaces, 2);
	assert_int_equal(n.apps, 4);
	n.interval = 40;
	netflow9_writer_templates(w, &sampled, BOOT + DAY, (struct ipfix_sink){take, s});
	n.interval = UINT32_MAX;
	sampled.sample_packets = UINT32_MAX;
	netflow9_writer_templates(w, &sampled, BOOT + DAY, (struct ipfix_sink){take, s});
	assert_int_equal(n.sampling, 3);
	netflow9_writer_free(w);
	free(s);
}

/* Made later, after data: pending data goes first, and ids keep their meaning, which the decoder sees to. */
static void test_templates_again(void **state)
{
	struct sink *s = sink_new();
	struct netflow9_writer *w;
	struct l7_record r;
	struct profile p;
	size_t n;

	(void)state;
	w = writer(s, &p, "standard", 1352);
	n = s->d.n_templates;
	sample(&r, 0);
	netflow9_writer_add(w, &r);
	assert_int_equal(netflow9_writer_pending(w), 1);
	netflow9_writer_templates(w, &tables, BOOT + DAY, (struct ipfix_sink){take, s});
	assert_int_equal(netflow9_writer_pending(w), 0);
	assert_int_equal(s->d.records, 1);
	assert_int_equal(s->d.options, 2 * OPTIONS);
	assert_int_equal(s->d.n_templates, n);
	netflow9_writer_free(w);
	free(s);
}

/* ---- times ---- */

struct times {
	uint64_t start[16], end[16];
	uint32_t uptime[16];
};

static void keep_times(struct decoder *d, void *arg)
{
	struct times *t = arg;
	unsigned i = d->records - 1;

	t->start[i] = d->boot_ms + decode_number(d, V9_FIRST);
	t->end[i] = d->boot_ms + decode_number(d, V9_LAST);
	t->uptime[i] = d->uptime;
	assert_true(decode_number(d, V9_FIRST) <= decode_number(d, V9_LAST));
	assert_true(decode_number(d, V9_LAST) <= d->uptime); /* or a receiver takes it for a wrap */
}

/* Writes records of these times, each sent at once if `each`, and checks that they come out as they were. */
static unsigned check_times(const uint64_t (*times)[2], unsigned n, bool each, uint32_t uptime[16])
{
	struct sink *s = sink_new();
	struct times t = {0};
	struct netflow9_writer *w;
	unsigned messages;
	struct profile p;

	w = writer(s, &p, "flowStartMilliseconds,flowEndMilliseconds,packetDeltaCount", 1352);
	s->messages = 0;
	s->d.flow = keep_times;
	s->d.arg = &t;
	for (unsigned i = 0; i < n; i++) {
		struct l7_record r;

		sample(&r, 0);
		r.start_ms = times[i][0];
		r.end_ms = times[i][1];
		if (each)
			s->now_ms = r.end_ms + 700;
		netflow9_writer_add(w, &r);
		if (each)
			netflow9_writer_flush(w);
	}
	netflow9_writer_flush(w);
	assert_int_equal(s->d.records, n);
	for (unsigned i = 0; i < n; i++) {
		assert_int_equal(t.start[i], times[i][0]);
		assert_int_equal(t.end[i], times[i][1]);
	}
	memcpy(uptime, t.uptime, sizeof(t.uptime));
	messages = s->messages;
	netflow9_writer_free(w);
	free(s);
	return messages;
}

/* Around the end of 32 bits, 49.7 days after the start, and long after: to the millisecond, and the clock never wraps. */
static void test_uptime_wrap(void **state)
{
	uint64_t times[13][2] = {{BOOT, BOOT + 1}, {BOOT + 10 * DAY, BOOT + 10 * DAY + 999}};
	const uint64_t places[] = {WRAP - 5000, WRAP - 1,     WRAP,     WRAP + 1,
				   WRAP + DAY,  2 * WRAP - 2, 2 * WRAP, 1000 * DAY};
	uint32_t uptime[16];

	(void)state;
	for (unsigned i = 0; i < 8; i++) {
		times[2 + i][0] = BOOT + places[i] - 1234;
		times[2 + i][1] = BOOT + places[i];
	}
	times[10][0] = BOOT + WRAP - 5 * DAY; /* a long one across it */
	times[10][1] = BOOT + WRAP + 5 * DAY;
	times[11][0] = BOOT + 100 * DAY; /* longer than from one base to the next */
	times[11][1] = BOOT + 145 * DAY;
	times[12][0] = BOOT - 3 * DAY; /* before the start: the clock was set */
	times[12][1] = BOOT - 2 * DAY;
	assert_int_equal(check_times((const uint64_t(*)[2])times, 13, true, uptime), 13);
	assert_true(uptime[0] < 2000);
	assert_true(uptime[1] >= 10 * DAY && uptime[1] < 10 * DAY + 3000);
	for (unsigned i = 2; i < 13; i++)
		assert_true(uptime[i] < UINT32_MAX - DAY);
	/* The same without a pause between: what has no base in common goes in messages of its own. */
	assert_true(check_times((const uint64_t(*)[2])times, 13, false, uptime) >= 5);
}

/* Within a message: an earlier start, an end between two seconds. */
static void test_times_together(void **state)
{
	const uint64_t times[][2] = {{BOOT + 1000, BOOT + 1500}, {BOOT + 2, BOOT + 1999}, {BOOT, BOOT + 90001}};
	uint32_t uptime[16];

	(void)state;
	assert_int_equal(check_times(times, 3, false, uptime), 1);
	assert_true(uptime[0] >= 90001 && uptime[0] < 91001);
}

/* What fits no base is cut, and nothing else suffers: an end before the start, times that no clock has. */
static void test_times_cut(void **state)
{
	const uint64_t start[] = {BOOT, BOOT + DAY, 0, UINT64_MAX, 0},
		       end[] = {BOOT + 60 * DAY, BOOT, 0, UINT64_MAX, UINT64_MAX};
	struct sink *s = sink_new();
	struct netflow9_writer *w;
	struct profile p;

	(void)state;
	w = writer(s, &p, "flowStartMilliseconds,flowEndMilliseconds,packetDeltaCount", 1352);
	for (unsigned i = 0; i < 5; i++) {
		struct l7_record r;

		sample(&r, 0);
		r.start_ms = start[i];
		r.end_ms = end[i];
		netflow9_writer_add(w, &r);
	}
	netflow9_writer_flush(w);
	assert_int_equal(s->d.records, 5);
	netflow9_writer_free(w);
	free(s);
	assert_int_equal(netflow_base(BOOT, BOOT, BOOT + 60 * DAY), BOOT + 60 * DAY - NETFLOW_UPTIME_MAX);
	assert_int_equal(netflow_base(0, 5, 7), 0);
}

/* Sent later than made: header and base move together; not back, and not past 32 bits. */
static void test_stamp(void **state)
{
	uint8_t m[20] = {0, 9, 0, 1, 0, 0, 0x27, 0x10, 0, 0, 0, 100}; /* 10 s up at second 100 */

	(void)state;
	netflow9_message_stamp(m, 0xfffffffe, 0);
	assert_int_equal(decode_be(m + 4, 4), 10000);
	assert_int_equal(decode_be(m + 8, 4), 100);
	assert_int_equal(decode_be(m + 12, 4), 0xfffffffe);
	netflow9_message_stamp(m, 0, 103999);
	assert_int_equal(decode_be(m + 4, 4), 13000);
	assert_int_equal(decode_be(m + 8, 4), 103);
	netflow9_message_stamp(m, 0, 99000);
	assert_int_equal(decode_be(m + 8, 4), 103);
	netflow9_message_stamp(m, 0, 103000 + WRAP);
	assert_int_equal(decode_be(m + 4, 4), 13000);
}

static void keep_epoch(struct decoder *d, void *arg)
{
	uint64_t *times = arg;

	times[0] = decode_number(d, 152);
	times[1] = decode_number(d, 153);
}

static void test_epoch_times(void **state)
{
	struct sink *s = sink_new();
	struct netflow9_config c = {.source_id = 7, .epoch_times = true, .message_max = 1352, .data = {take, s}};
	struct netflow9_writer *w;
	uint64_t times[2] = {0, 0};
	struct l7_record r;
	struct profile p;
	char err[256];

	(void)state;
	s->d.flow = keep_epoch;
	s->d.arg = times;
	c.profile = &p;
	assert_int_equal(profile_load(&p, "iana", err, sizeof(err)), 0);
	assert_int_equal(netflow9_writer_new(&w, &c, err, sizeof(err)), 0);
	netflow9_writer_templates(w, &tables, BOOT, (struct ipfix_sink){take, s});
	sample(&r, 0);
	netflow9_writer_add(w, &r);
	netflow9_writer_flush(w);
	assert_int_equal(times[0], r.start_ms);
	assert_int_equal(times[1], r.end_ms);
	netflow9_writer_free(w);
	free(s);
}

/* ---- what is refused ---- */

static void test_refused(void **state)
{
	static const struct {
		const char *spec;
		size_t max;
		const char *why;
	} cases[] = {
		{"recordState,reverseOctetDeltaCount", 1352, "NetFlow v9 has none of its fields"},
		{"full", 1000, "needs messages of 1260 octets, not 1000"},
		{"full", 512, ", not 512"},
		{"iana", 463, "is not from 464"},
		{"iana", 65536, "is not from 464"},
	};
	struct netflow9_writer *w;
	struct profile p;
	char err[256];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct netflow9_config c = {.profile = &p, .message_max = cases[i].max};

		assert_int_equal(profile_load(&p, cases[i].spec, err, sizeof(err)), 0);
		assert_int_equal(netflow9_writer_new(&w, &c, err, sizeof(err)), -EINVAL);
		assert_non_null(strstr(err, cases[i].why));
		assert_null(w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_each_field),
		cmocka_unit_test(test_all_fields),
		cmocka_unit_test(test_filled),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_options),
		cmocka_unit_test(test_templates_again),
		cmocka_unit_test(test_uptime_wrap),
		cmocka_unit_test(test_times_together),
		cmocka_unit_test(test_times_cut),
		cmocka_unit_test(test_stamp),
		cmocka_unit_test(test_epoch_times),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
