/* SPDX-License-Identifier: Apache-2.0 */
/* What a template may hold: one field or all, texts of any length, records that are longer than a message, numbers of templates. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../lib/message.h"
#include "base/utf8.h"
#include "base/wire.h"
#include "fixbuf_oracle.h"
#include "record/ipfix_reader.h"
#include "record/ipfix_writer.h"
#include "record_sample.h"

#define PEN 32473u
#define NTOP 35632u
#define VAR 65535u
#define ADDRESSES "sourceIPv4Address,destinationIPv4Address,"

/* One way from records through a writer to who reads them. */
struct way {
	struct profile profile;
	struct ipfix_writer *w;
	struct oracle oracle;
	struct ipfix_counters counters;
	struct ipfix_session session;
	uint32_t sent;    /* records, options with them */
	unsigned checked; /* flow records that the oracle has read */
	unsigned got;     /* that our reader has */
	struct l7_record want[2], last;
	uint8_t data[IPFIX_MESSAGE_MAX]; /* the message with flow records that came last */
	size_t len;
};

static void read_record(void *arg, const struct l7_record *r)
{
	struct way *y = arg;

	memcpy(&y->last, r, l7_record_used(r));
	y->got++;
}

static void take(void *arg, uint8_t *data, size_t len, uint32_t records)
{
	struct ipfix_reader_sink sink = {.record = read_record, .arg = arg};
	struct way *y = arg;

	assert_true(len <= IPFIX_MESSAGE_MAX);
	ipfix_message_stamp(data, y->sent, 1700000000);
	y->sent += records;
	assert_true(oracle_message(&y->oracle, data, len));
	assert_int_equal(ipfix_read(&y->session, data, len, &sink), 0);
	memcpy(y->data, data, len);
	y->len = len;
}

static uint64_t member(const struct l7_record *r, const struct l7_field_info *f)
{
	uint64_t v = 0;

	memcpy(&v, (const uint8_t *)r + f->offset, f->size); /* little endian */
	return v;
}

static void check_text(struct oracle *o, unsigned f, const struct l7_record *r)
{
	const struct l7_text *t = (const void *)((const uint8_t *)r + l7_fields[f].offset);
	fbVarfield_t v = oracle_text(o, (enum l7_field)f);

	assert_int_equal(v.len, t->len);
	assert_memory_equal(v.buf, r->text + t->off, t->len);
}

/* What libfixbuf reads of a field is what the record says. */
static void check_field(struct oracle *o, unsigned f, const struct l7_record *r)
{
	const struct l7_field_info *i = &l7_fields[f];
	const uint8_t *from = (const uint8_t *)r + i->offset, *at = o->record + o->offset[f];
	uint8_t app[4] = {22, (uint8_t)(r->app_id >> 16), (uint8_t)(r->app_id >> 8), (uint8_t)r->app_id};

	switch ((enum l7_type)i->type) {
	case L7_TYPE_TEXT:
	case L7_TYPE_ALIAS_TEXT:
		check_text(o, f, r);
		break;
	case L7_TYPE_IP4:
		assert_int_equal(oracle_number(o, (enum l7_field)f), wire_be32(from + 12));
		break;
	case L7_TYPE_IP6:
	case L7_TYPE_IP:
	case L7_TYPE_MAC:
		assert_memory_equal(at, from, i->len);
		break;
	case L7_TYPE_APPID:
		assert_memory_equal(at, app, 4);
		break;
	case L7_TYPE_ALIAS_U16:
		assert_int_equal(oracle_number(o, (enum l7_field)f), member(r, i) & 0xffff);
		break;
	case L7_TYPE_ALIAS_MS:
		assert_int_equal(oracle_number(o, (enum l7_field)f), (member(r, i) + 500) / 1000);
		break;
	case L7_TYPE_ALIAS_HALF_MS:
		assert_int_equal(oracle_number(o, (enum l7_field)f), (member(r, i) + 1000) / 2000);
		break;
	default:
		assert_int_equal(oracle_number(o, (enum l7_field)f), member(r, i));
	}
}

static void check_flow(struct oracle *o, void *arg)
{
	struct way *y = arg;
	unsigned n = y->checked++;
	const struct profile *p = &y->profile;

	for (size_t i = 0; i < p->n4; i++)
		check_field(o, n % 2 ? p->v6[i] : p->v4[i], &y->want[n % 2]);
}

static struct way *way_new(const char *spec, size_t message_max)
{
	struct way *y = calloc(1, sizeof(*y));
	struct ipfix_tables none = {0};
	struct ipfix_writer_config c = {
		.profile = &y->profile, .domain = 7, .pen = PEN, .message_max = message_max, .data = {take, y}};
	char err[256];

	assert_true(oracle_init(&y->oracle, PEN));
	ipfix_session_init(&y->session, &y->counters, "192.0.2.9", PEN, false);
	if (profile_load(&y->profile, spec, err, sizeof(err)) || ipfix_writer_new(&y->w, &c, err, sizeof(err)))
		fail_msg("%s", err);
	assert_int_equal(ipfix_writer_templates(y->w, &none, (struct ipfix_sink){take, y}), 0);
	return y;
}

static void way_free(struct way *y)
{
	ipfix_writer_free(y->w);
	oracle_deinit(&y->oracle);
	ipfix_session_deinit(&y->session);
	free(y);
}

/* Of measures, too, numbers that differ. */
static void sample(struct l7_record *r, unsigned n)
{
	record_sample(r, n);
	for (unsigned d = 0; d < 2; d++) {
		r->size[d] = (struct l7_spread){40 + d, 500 + d, 1500 + d, 3 + d};
		r->iat_us[d] = (struct l7_spread){1499 + d, 1600 + d, 2500 + d, 4000000 + d};
		r->tcp.counts[d] = (struct l7_tcp_counts){4 + d, 6 + d, 8 + d};
		r->link.ttl_min[d] = (uint8_t)(60 + d);
		r->link.ttl_max[d] = (uint8_t)(64 + d);
	}
	r->link.rev_tos = 0x20;
	r->link.inner_vlan_id = 200;
	r->tcp.rtt_client_us = 3000;
	r->tcp.rtt_server_us = 5001;
	r->tls_version = 772;
	r->tls_not_after = 1800000000;
	r->quic_version = 1;
	r->http_status = 200;
	r->dns_query_type = 28;
	r->dns_answers = 3;
	r->dns_answer_code = 3;
	memcpy(r->link.src_mac, "\x02\x01\x02\x03\x04\x05", 6);
	memcpy(r->link.dst_mac, "\x02\x01\x02\x03\x04\x06", 6);
}

static void write_samples(const char *spec, size_t message_max, unsigned n)
{
	struct way *y = way_new(spec, message_max);

	sample(&y->want[0], 0);
	sample(&y->want[1], 1);
	y->oracle.flow = check_flow;
	y->oracle.arg = y;
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(ipfix_writer_add(y->w, &y->want[i % 2]), 0);
	ipfix_writer_flush(y->w);
	assert_int_equal(y->checked, n);
	assert_int_equal(y->counters.records + y->counters.no_address, n);
	assert_int_equal(y->counters.bad_set + y->counters.bad_record + y->counters.no_template + y->counters.lost, 0);
	way_free(y);
}

static void test_each_field(void **state)
{
	unsigned fields = 0;

	(void)state;
	for (unsigned f = 0; f < L7_FIELD_COUNT; f++) {
		if (l7_fields[f].pen == L7_PEN_NONE)
			continue;
		fields++;
		write_samples(l7_fields[f].name, IPFIX_MESSAGE_MIN, 60);
	}
	assert_true(fields > 90);
}

static void test_all_fields(void **state)
{
	(void)state;
	write_samples("full", IPFIX_MESSAGE_MAX, 300);
	write_samples("full", 16384, 40);
}

/* ---- lengths ---- */

/* The one octet of length up to 254, three from 255 on (RFC 7011 section 7); a text of nothing is there, too. */
static void test_text_lengths(void **state)
{
	static const size_t lengths[] = {0, 1, 253, 254, 255};
	char text[L7_STRING_MAX];
	uint8_t head[3] = {0xff, 0, 0};

	(void)state;
	memset(text, 'n', sizeof(text));
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		struct way *y = way_new(ADDRESSES "tlsServerName", 1400);
		size_t len = lengths[i], at = IPFIX_HEADER + 4 + 8, form = len < 255 ? 1 : 3;

		record_sample(&y->want[0], 0);
		y->want[0].text_len = 0;
		assert_true(l7_record_text(&y->want[0], &y->want[0].sni, text, len, L7_TEXT_MAX));
		y->oracle.flow = check_flow;
		y->oracle.arg = y;
		assert_int_equal(ipfix_writer_add(y->w, &y->want[0]), 0);
		ipfix_writer_flush(y->w);
		assert_int_equal(y->checked, 1);
		head[0] = form == 1 ? (uint8_t)len : 255;
		head[2] = (uint8_t)len;
		assert_int_equal(y->len, at + form + len);
		assert_memory_equal(y->data + at, head, form);
		assert_int_equal(y->got, 1);
		assert_int_equal(y->last.sni.len, len);
		way_free(y);
	}
}

/* ---- a record that is longer than a message ---- */

#define CUT_PROFILE                                                                                                    \
	ADDRESSES "applicationName,l7ProtocolName,applicationCategoryName,tlsServerName,httpHost,httpUrl,communityId," \
		  "tlsJa3Client"

static const char ja3[] = "0123456789abcdef0123456789abcdef";

/* 250 octets of characters of two, 255 of one, 100 of one; names, a Community ID and a JA3. */
static void long_texts(struct l7_record *r)
{
	static const char community[] = "1:wCb3OG7yAFWelaUydu0D+125CLM=";
	char two[250], one[255];

	record_sample(r, 0);
	r->text_len = 0;
	for (size_t i = 0; i < sizeof(two); i++)
		two[i] = i % 2 ? '\xa9' : '\xc3';
	memset(one, 'o', sizeof(one));
	assert_true(l7_record_set_app(r, "TLS.Telegram", strlen("TLS.Telegram")));
	assert_true(l7_record_text(r, &r->category, "Chat", 4, L7_TEXT_MAX));
	assert_true(l7_record_text(r, &r->sni, two, sizeof(two), L7_TEXT_MAX));
	assert_true(l7_record_text(r, &r->http_url, one, sizeof(one), L7_TEXT_MAX));
	assert_true(l7_record_text(r, &r->http_host, one, 100, L7_TEXT_MAX));
	assert_true(l7_record_text(r, &r->community_id, community, sizeof(community) - 1, L7_TEXT_MAX));
	assert_true(l7_record_text(r, &r->ja3c, ja3, sizeof(ja3) - 1, L7_TEXT_MAX));
}

struct cut {
	struct way *y;
	size_t sni, url, host, community, ja3c; /* octets that came */
};

static void keep_cut(struct oracle *o, void *arg)
{
	struct cut *c = arg;

	assert_true(oracle_text_is(o, L7_F_applicationName, "TLS.Telegram"));
	assert_true(oracle_text_is(o, L7_F_l7ProtocolName, "TLS.Telegram"));
	assert_true(oracle_text_is(o, L7_F_applicationCategoryName, "Chat"));
	c->sni = oracle_text(o, L7_F_tlsServerName).len;
	c->url = oracle_text(o, L7_F_httpUrl).len;
	c->host = oracle_text(o, L7_F_httpHost).len;
	c->community = oracle_text(o, L7_F_communityId).len;
	c->ja3c = oracle_text(o, L7_F_tlsJa3Client).len;
	for (const uint8_t *s = oracle_text(o, L7_F_tlsServerName).buf, *end = s + c->sni; s < end;)
		s += utf8_sequence(s, (size_t)(end - s)) ? utf8_sequence(s, (size_t)(end - s)) : (fail(), 1);
}

/* One record in messages of this length. Returns what the writer said. */
static int cut_at(struct cut *c, size_t message_max)
{
	struct way *y = way_new(CUT_PROFILE, message_max);
	int rc;

	*c = (struct cut){.y = y};
	long_texts(&y->want[0]);
	y->oracle.flow = keep_cut;
	y->oracle.arg = c;
	rc = ipfix_writer_add(y->w, &y->want[0]);
	ipfix_writer_flush(y->w);
	assert_true(y->len <= message_max);
	assert_int_equal(y->oracle.flows, 1);
	assert_int_equal(y->got, 1);
	way_free(y);
	return rc;
}

/*
 * The longest go down to one length, the greatest with which the record fills the message; what is shorter stays; hashes are whole or
 * not there; names are whole.
 */
static void test_cut(void **state)
{
	const size_t fixed = IPFIX_HEADER + 4 + 8 + 13 + 13 + 5; /* addresses and names */
	const size_t whole = fixed + 251 + 258 + 101 + 31 + 33;
	struct cut c;

	(void)state;
	assert_int_equal(cut_at(&c, whole), 0);
	assert_true(c.sni == 250 && c.url == 255 && c.host == 100 && c.community == 30 && c.ja3c == 32);
	assert_int_equal(cut_at(&c, whole - 1), 1);
	assert_true(c.sni == 250 && c.url == 254 && c.host == 100); /* and two octets less of its length */
	assert_int_equal(cut_at(&c, whole - 10), 1);
	assert_true(c.sni == 248 && c.url == 249 && c.host == 100 && c.community == 30 && c.ja3c == 32);
	assert_int_equal(cut_at(&c, IPFIX_MESSAGE_MIN), 1);
	/* What is left for the two longest: an octet for either's length. */
	assert_int_equal((IPFIX_MESSAGE_MIN - fixed - 101 - 31 - 33 - 2) / 2, 119);
	assert_true(c.sni == 118 && c.url == 119 && c.host == 100 && c.community == 30 && c.ja3c == 32);
	for (size_t max = IPFIX_MESSAGE_MIN; max < whole; max++) {
		size_t least = 0;

		assert_int_equal(cut_at(&c, max), 1);
		least = fixed + c.sni + c.url + c.host + c.community + c.ja3c + 5;
		assert_true(least <= max && least + 4 >= max); /* an octet more of each would not have fitted */
	}
}

/* With hashes alone: those that are longer than the length go, the others stay whole. */
static void test_cut_hashes(void **state)
{
	char spec[1200] = ADDRESSES;
	struct way *y;
	unsigned whole = 0, away = 0;
	size_t octets = 0;

	(void)state;
	/* Elements of fixed length fill the message up. */
	for (unsigned f = 0; f < L7_FIELD_COUNT && octets < 80; f++) {
		if (l7_fields[f].pen == L7_PEN_NONE || l7_fields[f].len != 8)
			continue;
		octets += 8;
		snprintf(spec + strlen(spec), sizeof(spec) - strlen(spec), "%s,", l7_fields[f].name);
	}
	for (unsigned f = 0; f < L7_FIELD_COUNT && octets < 80; f++) {
		if (l7_fields[f].type != L7_TYPE_U32)
			continue;
		octets += 4;
		snprintf(spec + strlen(spec), sizeof(spec) - strlen(spec), "%s,", l7_fields[f].name);
	}
	snprintf(spec + strlen(spec), sizeof(spec) - strlen(spec),
		 "tlsJa3Client,tlsJa3Server,tlsJa4Client,sshHasshClient,sshHasshServer,communityId,sourceIPv6Address,"
		 "destinationIPv6Address,outerSourceAddress,outerDestinationAddress,tlsServerName,dnsQuery,"
		 "applicationName,l7ProtocolName,"
		 "applicationCategoryName,l7ProtocolCategory");
	y = way_new(spec, 500);
	record_sample(&y->want[0], 0);
	y->want[0].text_len = 0;
	for (unsigned f = 0; f < L7_FIELD_COUNT; f++) {
		struct l7_text *t = (void *)((char *)&y->want[0] + l7_fields[f].offset);

		if (l7_fields[f].type == L7_TYPE_TEXT)
			assert_true(l7_record_text(&y->want[0], t, ja3, f == L7_F_tlsJa3Server ? 8 : 32, L7_TEXT_MAX));
	}
	assert_int_equal(ipfix_writer_add(y->w, &y->want[0]), 1);
	ipfix_writer_flush(y->w);
	for (unsigned f = 0; f < 6; f++) {
		static const uint8_t hashes[] = {L7_F_tlsJa3Client,   L7_F_tlsJa3Server,   L7_F_tlsJa4Client,
						 L7_F_sshHasshClient, L7_F_sshHasshServer, L7_F_communityId};
		size_t len = oracle_text(&y->oracle, hashes[f]).len;

		assert_true(len == 0 || len == 8 || len == 32);
		whole += len > 0;
		away += len == 0;
	}
	assert_true(oracle_text(&y->oracle, L7_F_tlsServerName).len < 32);
	for (unsigned f = 0; f < 4; f++) {
		static const uint8_t names[] = {L7_F_applicationName, L7_F_l7ProtocolName, L7_F_applicationCategoryName,
						L7_F_l7ProtocolCategory};

		assert_int_equal(oracle_text(&y->oracle, names[f]).len, 32);
	}
	assert_int_equal(whole, 1); /* the short one */
	assert_int_equal(away, 5);
	way_free(y);
}

/* ---- numbers of templates ---- */

static void count_set(uint8_t *seen, const uint8_t *set, size_t len)
{
	for (size_t at = 0; at + 4 < len;) {
		unsigned fields = wire_be16(set + at + 2);

		seen[wire_be16(set + at)]++;
		for (at += 4; fields > 0; fields--)
			at += set[at] & 0x80 ? 8 : 4;
	}
}

static void count_ids(void *arg, uint8_t *data, size_t len, uint32_t records)
{
	(void)records;
	for (size_t at = IPFIX_HEADER; at + 4 < len; at += wire_be16(data + at + 2))
		if (wire_be16(data + at) == 2)
			count_set(arg, data + at + 4, wire_be16(data + at + 2) - 4u);
}

static unsigned ids_of(const char *spec, uint32_t pen, bool fixed, uint8_t seen[65536])
{
	struct profile p;
	struct ipfix_writer_config c = {
		.profile = &p, .pen = pen, .message_max = 65535, .fixed_names = fixed, .data = {count_ids, seen}};
	struct ipfix_tables none = {0};
	struct ipfix_writer *w;
	unsigned n = 0;
	char err[256];

	assert_int_equal(profile_load(&p, spec, err, sizeof(err)), 0);
	assert_int_equal(ipfix_writer_new(&w, &c, err, sizeof(err)), 0);
	memset(seen, 0, 65536);
	assert_int_equal(ipfix_writer_templates(w, &none, (struct ipfix_sink){count_ids, seen}), 0);
	ipfix_writer_free(w);
	for (unsigned id = 0; id < 65536; id++) {
		assert_true(!seen[id] || id >= 1024);
		n += seen[id];
	}
	return n;
}

/* The same content has the same number, other content another: another profile, order, enterprise or length. */
static void test_template_ids(void **state)
{
	static const struct {
		const char *spec;
		uint32_t pen;
		bool fixed;
		unsigned n;
	} cases[] = {{"standard", PEN, false, 4},
		     {"standard", PEN, true, 4},
		     {"standard", 4711, false, 4},
		     {"full", PEN, false, 4},
		     {"iana", PEN, false, 2},
		     {"ntop", PEN, false, 2},
		     {"security", PEN, false, 4},
		     {"flowId", PEN, false, 2},
		     {"flowId,sourceIPv4Address", PEN, false, 2},
		     {"sourceIPv4Address,flowId", PEN, false, 2}};
	static uint8_t seen[65536], all[65536], again[65536];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(ids_of(cases[i].spec, cases[i].pen, cases[i].fixed, seen), cases[i].n);
		ids_of(cases[i].spec, cases[i].pen, cases[i].fixed, again);
		assert_memory_equal(seen, again, sizeof(seen));
		for (unsigned id = 0; id < 65536; id++) {
			all[id] += seen[id];
			assert_true(all[id] <= 1);
		}
	}
}

/* ---- what others send ---- */

struct others {
	struct ipfix_counters c;
	struct ipfix_session s;
	struct message m;
	struct l7_record last;
	unsigned n;
};

static void others_got(void *arg, const struct l7_record *r)
{
	struct others *o = arg;

	assert_true(l7_record_check(r, l7_record_used(r)));
	memcpy(&o->last, r, l7_record_used(r));
	o->n++;
}

static void others_send(struct others *o)
{
	struct ipfix_reader_sink sink = {.record = others_got, .arg = o};
	uint8_t *exact;

	message_end(&o->m);
	exact = malloc(o->m.len); /* so that a sanitizer sees a read past the end */
	assert_non_null(exact);
	memcpy(exact, o->m.data, o->m.len);
	assert_int_equal(ipfix_read(&o->s, exact, o->m.len, &sink), 0);
	free(exact);
}

static struct others *others_new(void)
{
	struct others *o = calloc(1, sizeof(*o));

	ipfix_session_init(&o->s, &o->c, "192.0.2.9", PEN, false);
	return o;
}

static void others_free(struct others *o)
{
	ipfix_session_deinit(&o->s);
	free(o);
}

/* Templates of 200 fields and of as many as are taken, ours among many that nobody knows, of every kind of length. */
static void test_many_fields(void **state)
{
	static const unsigned counts[] = {200, IPFIX_FIELDS_MAX};

	(void)state;
	for (unsigned c = 0; c < 2; c++) {
		struct others *o = others_new();

		message_start(&o->m, 0, 0);
		message_set(&o->m, 2);
		message_template(&o->m, 300, (uint16_t)counts[c], 0);
		for (unsigned i = 0; i < counts[c] - 3; i++) /* elements may come twice, too */
			message_field(&o->m, i % 3 ? 12345 : 0, (uint16_t)(600 + i % 150),
				      (uint16_t)(i % 5 == 4 ? VAR : 1 + i % 5));
		message_field(&o->m, 0, 8, 4);
		message_field(&o->m, 0, 96, VAR);
		message_field(&o->m, 0, 1, 8);
		message_set(&o->m, 300);
		for (unsigned n = 0; n < 2; n++) {
			for (unsigned i = 0; i < counts[c] - 3; i++) {
				if (i % 5 == 4)
					message_text(&o->m, i % 2 ? "" : "abc", i % 7 == 0);
				else
					message_put(&o->m, "xxxx", 1 + i % 5);
			}
			message_uint(&o->m, 0xc0000201, 4);
			message_text(&o->m, "TLS.Telegram", 0);
			message_uint(&o->m, 1000 + n, 8);
		}
		others_send(o);
		assert_int_equal(o->c.large_template + o->c.bad_template + o->c.bad_record, 0);
		assert_int_equal(o->n, 2);
		assert_int_equal(o->last.octets, 1001);
		assert_int_equal(o->last.app.len, 12);
		others_free(o);
	}
}

/*
 * A value of 0, 254, 255 or 65,000 octets, in an element of ours and in one that nobody knows: of a text 255 octets are kept, and what
 * is behind it in the record, and behind the record, is read as ever.
 */
static void test_long_values(void **state)
{
	static const size_t lengths[] = {0, 254, 255, 256, 65000};
	static char text[65001];

	(void)state;
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		for (unsigned ours = 0; ours < 2; ours++) {
			struct others *o = others_new();
			size_t kept = lengths[i] < L7_STRING_MAX ? lengths[i] : L7_STRING_MAX;

			memset(text, 'v', lengths[i]);
			text[lengths[i]] = '\0';
			message_start(&o->m, 0, 0);
			message_set(&o->m, 2);
			message_template(&o->m, 300, 4, 0);
			message_field(&o->m, 0, 8, 4);
			message_field(&o->m, ours ? NTOP : 12345, 188, VAR);
			message_field(&o->m, 0, 96, VAR);
			message_field(&o->m, 0, 1, 8);
			message_set(&o->m, 300);
			for (unsigned n = 0; n < 2; n++) {
				message_uint(&o->m, 0xc0000201, 4);
				message_text(&o->m, n ? "" : text, 0);
				message_text(&o->m, "TLS.Telegram", 0);
				message_uint(&o->m, 70 + n, 8);
				if (n == 0)
					assert_true(o->m.len <= 65535 - 40);
			}
			others_send(o);
			assert_int_equal(o->n, 2);
			assert_int_equal(o->last.octets, 71);
			assert_int_equal(o->last.sni.len, 0);
			/* And the first of the two, alone. */
			message_start(&o->m, 2, 0);
			message_set(&o->m, 300);
			message_uint(&o->m, 0xc0000201, 4);
			message_text(&o->m, text, 0);
			message_text(&o->m, "TLS.Telegram", 0);
			message_uint(&o->m, 72, 8);
			others_send(o);
			assert_int_equal(o->n, 3);
			assert_int_equal(o->last.octets, 72);
			assert_int_equal(o->last.app.len, 12);
			assert_int_equal(o->last.sni.len, ours ? kept : 0);
			assert_int_equal(o->c.bad_record + o->c.bad_set + o->c.lost + o->c.late, 0);
			others_free(o);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_field),   cmocka_unit_test(test_all_fields),
		cmocka_unit_test(test_text_lengths), cmocka_unit_test(test_cut),
		cmocka_unit_test(test_cut_hashes),   cmocka_unit_test(test_template_ids),
		cmocka_unit_test(test_many_fields),  cmocka_unit_test(test_long_values),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
