/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../lib/message.h"
#include "base/addr.h"
#include "l7/fields.h"
#include "record/ipfix_reader.h"

#define PEN 32473u
#define NTOP 35632u
#define REVERSE 29305u
#define VAR 65535u

struct fixture {
	struct ipfix_counters c;
	struct ipfix_session s;
	struct message m;
	struct l7_record last; /* record got last */
	size_t n;              /* records got */
};

static void got(void *arg, const struct l7_record *r)
{
	struct fixture *f = arg;

	assert_true(l7_record_check(r, sizeof(*r)));
	l7_record_copy(&f->last, r);
	f->n++;
}

static int start(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	if (!f)
		return -1;
	ipfix_session_init(&f->s, &f->c, "192.0.2.9", PEN, false);
	*state = f;
	return 0;
}

static int stop(void **state)
{
	struct fixture *f = *state;

	ipfix_session_deinit(&f->s);
	free(f);
	return 0;
}

static int send_message(struct fixture *f)
{
	struct ipfix_reader_sink sink = {.record = got, .arg = f};
	uint8_t *exact; /* so that a sanitizer sees a read past the end */
	int rc;

	message_end(&f->m);
	exact = malloc(f->m.len);
	assert_non_null(exact);
	memcpy(exact, f->m.data, f->m.len);
	rc = ipfix_read(&f->s, exact, f->m.len, &sink);
	free(exact);
	return rc;
}

/* A template of one IPv4 address and an octet, and how to send a record of it. */
static void small_template(struct fixture *f, uint16_t id)
{
	message_set(&f->m, 2);
	message_template(&f->m, id, 2, 0);
	message_field(&f->m, 0, 8, 4);
	message_field(&f->m, 0, 4, 1);
}

static void small_record(struct fixture *f, uint8_t protocol)
{
	message_uint(&f->m, 0xc0000201, 4);
	message_uint(&f->m, protocol, 1);
}

static const char *text_of(const struct l7_record *r, struct l7_text t)
{
	static char out[256];

	memcpy(out, r->text + t.off, t.len);
	out[t.len] = '\0';
	return out;
}

static void full_template(struct message *m)
{
	message_set(m, 2);
	message_template(m, 300, 19, 0);
	message_field(m, 0, 152, 8);
	message_field(m, 0, 1, 4); /* reduced size */
	message_field(m, 0, 2, 3); /* an odd one */
	message_field(m, REVERSE, 1, 8);
	message_field(m, 0, 8, 4);
	message_field(m, 0, 12, 4);
	message_field(m, 0, 7, 2);
	message_field(m, 0, 11, 1);      /* reduced size */
	message_field(m, 0, 999, 7);     /* unknown */
	message_field(m, 12345, 1, VAR); /* unknown, variable */
	message_field(m, 0, 136, 1);
	message_field(m, 0, 95, 4);
	message_field(m, 0, 96, VAR);
	message_field(m, 0, 372, 10); /* fixed, padded */
	message_field(m, NTOP, 188, VAR);
	message_field(m, PEN, 1, 1);
	message_field(m, PEN, 2, 1);
	message_field(m, PEN, 3, 1);
	message_field(m, 0, 58, 4); /* too long for a VLAN: skipped */
}

static void full_record(struct message *m)
{
	message_uint(m, UINT64_C(1700000000123), 8);
	message_uint(m, 5000, 4);
	message_uint(m, 70000, 3);
	message_uint(m, UINT64_C(0x123456789abcdef0), 8);
	message_uint(m, 0xc0000201, 4);
	message_uint(m, 0xc6336407, 4);
	message_uint(m, 50000, 2);
	message_uint(m, 53, 1);
	message_put(m, "unknown", 7);
	message_text(m, "whatever this is", 1);
	message_uint(m, 3, 1);
	message_uint(m, 0x160000b9, 4);
	message_text(m, "TLS.Telegram", 0);
	message_put(m, "Chat\0\0\0\0\0\0", 10);
	message_text(m, "api.telegram.org", 1);
	message_uint(m, 5, 1);
	message_uint(m, 9, 1); /* no such confidence */
	message_uint(m, 5, 1);
	message_uint(m, 77, 4);
}

static void test_every_kind_of_field(void **state)
{
	struct fixture *f = *state;
	const struct l7_record *r = &f->last;
	uint8_t ip[16];

	message_start(&f->m, 0, 7);
	full_template(&f->m);
	message_set(&f->m, 300);
	full_record(&f->m);
	full_record(&f->m);
	message_put(&f->m, "\0\0\0", 3); /* padding */
	assert_int_equal(send_message(f), 0);
	assert_int_equal(f->n, 2);
	assert_int_equal(r->ip_version, 4);
	assert_int_equal(r->start_ms, UINT64_C(1700000000123));
	assert_int_equal(r->octets, 5000);
	assert_int_equal(r->packets, 70000);
	assert_int_equal(r->rev_octets, UINT64_C(0x123456789abcdef0));
	addr_parse("192.0.2.1", ip);
	assert_memory_equal(r->src_ip, ip, 16);
	addr_parse("198.51.100.7", ip);
	assert_memory_equal(r->dst_ip, ip, 16);
	assert_int_equal(r->src_port, 50000);
	assert_int_equal(r->dst_port, 53);
	assert_int_equal(r->end_reason, L7_END_DETECTED);
	assert_int_equal(r->app_id, 0xb9);
	assert_string_equal(text_of(r, r->app), "TLS.Telegram");
	assert_string_equal(text_of(r, r->master), "TLS");
	assert_string_equal(text_of(r, r->application), "Telegram");
	assert_string_equal(text_of(r, r->category), "Chat");
	assert_string_equal(text_of(r, r->sni), "api.telegram.org");
	assert_string_equal(text_of(r, r->exporter), "192.0.2.9#7");
	assert_int_equal(r->confidence, L7_CONF_DPI);
	assert_int_equal(r->state, L7_STATE_FINAL | L7_STATE_LAST);
	assert_true(l7_has(r, L7_F_appConfidence));
	assert_false(l7_has(r, L7_F_masterConfidence));
	assert_false(l7_has(r, L7_F_vlanId));
	assert_false(l7_has(r, L7_F_sourceIPv6Address));
	assert_false(l7_has(r, L7_F_flowEndMilliseconds));
	assert_int_equal(f->c.messages, 1);
	assert_int_equal(f->c.records, 2);
	assert_int_equal(f->c.templates, 1);
	assert_int_equal(f->c.bad_record, 0);
}

/* Cut at every octet, and with every octet of the sets broken: whatever comes of it, nothing is read past the end. */
static void test_cut_and_broken(void **state)
{
	struct fixture *f = *state;
	struct message whole;

	message_start(&f->m, 0, 7);
	full_template(&f->m);
	message_set(&f->m, 300);
	full_record(&f->m);
	message_end(&f->m);
	whole = f->m;
	for (size_t len = IPFIX_READER_HEADER; len < whole.len; len++) {
		f->m = whole;
		f->m.len = len;
		assert_int_equal(send_message(f), 0);
	}
	assert_int_equal(f->n, 0);
	assert_true(f->c.bad_set >= whole.len - IPFIX_READER_HEADER - 8);
	for (size_t i = IPFIX_READER_HEADER; i < whole.len; i++)
		for (unsigned v = 0; v < 256; v += 17) {
			f->m = whole;
			f->m.data[i] = (uint8_t)v;
			assert_int_equal(send_message(f), 0);
		}
	f->n = 0;
	f->m = whole;
	assert_int_equal(send_message(f), 0);
	assert_int_equal(f->n, 1);
}

static void test_header(void **state)
{
	struct fixture *f = *state;
	struct ipfix_reader_sink sink = {.record = got, .arg = f};
	uint8_t head[IPFIX_READER_HEADER] = {0, 10, 0, 16};

	assert_int_equal(ipfix_message_length(head), 16);
	assert_int_equal(ipfix_read(&f->s, head, 16, &sink), 0);
	assert_int_equal(ipfix_read(&f->s, head, 15, &sink), -EBADMSG);
	head[3] = 15;
	assert_int_equal(ipfix_message_length(head), -EBADMSG);
	head[3] = 17; /* longer than what came */
	assert_int_equal(ipfix_read(&f->s, head, 16, &sink), -EBADMSG);
	head[3] = 16;
	head[1] = 9; /* NetFlow v9 */
	assert_int_equal(ipfix_read(&f->s, head, 16, &sink), -EBADMSG);
	assert_int_equal(f->c.bad_header, 3);
	assert_int_equal(f->c.messages, 1);
}

static void test_pen_is_settable(void **state)
{
	struct fixture *f = *state;

	f->s.pen = 4711;
	message_start(&f->m, 0, 0);
	message_set(&f->m, 2);
	message_template(&f->m, 256, 3, 0);
	message_field(&f->m, 0, 8, 4);
	message_field(&f->m, 4711, 1, 1);
	message_field(&f->m, PEN, 2, 1);
	message_set(&f->m, 256);
	message_uint(&f->m, 0xc0000201, 4);
	message_uint(&f->m, 4, 1);
	message_uint(&f->m, 5, 1);
	assert_int_equal(send_message(f), 0);
	assert_int_equal(f->last.confidence, 4);
	assert_false(l7_has(&f->last, L7_F_masterConfidence));
}

static void test_ipv6_and_both_families(void **state)
{
	struct fixture *f = *state;
	uint8_t ip[16], zero[16] = {0};

	message_start(&f->m, 0, 0);
	message_set(&f->m, 2);
	message_template(&f->m, 256, 4, 0);
	message_field(&f->m, 0, 8, 4);
	message_field(&f->m, 0, 12, 4);
	message_field(&f->m, 0, 27, 16);
	message_field(&f->m, 0, 28, 16);
	message_set(&f->m, 256);
	message_uint(&f->m, 0, 8);
	addr_parse("2001:db8::1", ip);
	message_put(&f->m, ip, 16);
	message_put(&f->m, ip, 16);
	assert_int_equal(send_message(f), 0);
	assert_int_equal(f->last.ip_version, 6);
	assert_memory_equal(f->last.src_ip, ip, 16);
	assert_false(l7_has(&f->last, L7_F_sourceIPv4Address));
	message_start(&f->m, 1, 0);
	message_set(&f->m, 256);
	message_uint(&f->m, UINT64_C(0xc0000201c0000202), 8);
	message_put(&f->m, zero, 16);
	message_put(&f->m, zero, 16);
	assert_int_equal(send_message(f), 0);
	assert_int_equal(f->last.ip_version, 4);
	assert_true(addr_is4(f->last.dst_ip));
	assert_false(l7_has(&f->last, L7_F_destinationIPv6Address));
}

/* Application table (RFC 6759): names for records that carry only the id. */
static void test_names_from_options(void **state)
{
	struct fixture *f = *state;

	message_start(&f->m, 0, 1);
	message_set(&f->m, 3);
	message_template(&f->m, 257, 2, 1);
	message_field(&f->m, 0, 95, 4);
	message_field(&f->m, 0, 96, 24);
	message_template(&f->m, 259, 2, 1); /* name of the exporter */
	message_field(&f->m, 0, 149, 4);
	message_field(&f->m, 0, 300, VAR);
	message_set(&f->m, 2);
	message_template(&f->m, 258, 2, 0);
	message_field(&f->m, 0, 8, 4);
	message_field(&f->m, 0, 95, 4);
	message_set(&f->m, 257);
	message_uint(&f->m, 0x160000b9, 4);
	message_put(&f->m, "Telegram\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 24);
	message_uint(&f->m, 0x16000005, 4);
	message_put(&f->m, "DNS\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 24);
	message_set(&f->m, 259);
	message_uint(&f->m, 1, 4);
	message_text(&f->m, "branch-7", 0);
	message_set(&f->m, 258);
	message_uint(&f->m, 0xc0000201, 4);
	message_uint(&f->m, 0x160000b9, 4);
	assert_int_equal(send_message(f), 0);
	assert_int_equal(f->n, 1);
	assert_int_equal(f->c.options, 3);
	assert_string_equal(text_of(&f->last, f->last.app), "Telegram");
	assert_string_equal(text_of(&f->last, f->last.master), "Telegram");
	assert_string_equal(text_of(&f->last, f->last.exporter), "branch-7");
	message_start(&f->m, 4, 2); /* another domain knows neither */
	message_set(&f->m, 2);
	message_template(&f->m, 258, 2, 0);
	message_field(&f->m, 0, 8, 4);
	message_field(&f->m, 0, 95, 4);
	message_set(&f->m, 258);
	message_uint(&f->m, 0xc0000201, 4);
	message_uint(&f->m, 0x160000b9, 4);
	assert_int_equal(send_message(f), 0);
	assert_int_equal(f->n, 2);
	assert_false(l7_has(&f->last, L7_F_applicationName));
	assert_string_equal(text_of(&f->last, f->last.exporter), "192.0.2.9#2");
	assert_int_equal(f->last.app_id, 0xb9);
}

static void test_names_are_bounded(void **state)
{
	struct fixture *f = *state;

	message_start(&f->m, 0, 1);
	message_set(&f->m, 3);
	message_template(&f->m, 257, 2, 1);
	message_field(&f->m, 0, 95, 4);
	message_field(&f->m, 0, 96, VAR);
	message_set(&f->m, 257);
	for (unsigned round = 0; round < 2; round++)
		for (unsigned i = 0; i < IPFIX_NAMES_MAX + 50; i++) {
			message_uint(&f->m, 0x16000000 | (i * 7 + 1), 4);
			message_text(&f->m, "name", 0);
		}
	assert_int_equal(send_message(f), 0);
	assert_int_equal(f->s.n_names, IPFIX_NAMES_MAX);
	assert_int_equal(f->c.names_refused, 100);
}

static void test_withdrawn_and_replaced(void **state)
{
	struct fixture *f = *state;

	message_start(&f->m, 0, 0);
	small_template(f, 256);
	message_set(&f->m, 256);
	small_record(f, 6);
	assert_int_equal(send_message(f), 0);
	assert_int_equal(f->last.protocol, 6);
	message_start(&f->m, 1, 0); /* the same id with the fields the other way round */
	message_set(&f->m, 2);
	message_template(&f->m, 256, 2, 0);
	message_field(&f->m, 0, 4, 1);
	message_field(&f->m, 0, 8, 4);
	message_set(&f->m, 256);
	message_uint(&f->m, 17, 1);
	message_uint(&f->m, 0xc0000201, 4);
	assert_int_equal(send_message(f), 0);
	assert_int_equal(f->last.protocol, 17);
	assert_int_equal(f->s.n_templates, 1);
	message_start(&f->m, 2, 0);
	message_set(&f->m, 2);
	message_template(&f->m, 256, 0, 0);
	message_set(&f->m, 256);
	small_record(f, 6);
	assert_int_equal(send_message(f), 0);
	assert_int_equal(f->n, 2);
	assert_int_equal(f->c.withdrawals, 1);
	assert_int_equal(f->c.no_template, 1);
	assert_int_equal(f->s.n_steps, 0);
}

static void test_withdraw_all(void **state)
{
	struct fixture *f = *state;

	message_start(&f->m, 0, 0);
	small_template(f, 256);
	small_template(f, 300);
	message_set(&f->m, 3);
	message_template(&f->m, 301, 1, 1);
	message_field(&f->m, 0, 149, 4);
	assert_int_equal(send_message(f), 0);
	message_start(&f->m, 0, 5);
	small_template(f, 256);
	assert_int_equal(send_message(f), 0);
	assert_int_equal(f->s.n_templates, 4);
	f->s.datagrams = true; /* over UDP nothing is withdrawn */
	message_start(&f->m, 0, 0);
	message_set(&f->m, 2);
	message_template(&f->m, 2, 0, 0);
	assert_int_equal(send_message(f), 0);
	assert_int_equal(f->s.n_templates, 4);
	f->s.datagrams = false;
	assert_int_equal(send_message(f), 0);
	assert_int_equal(f->s.n_templates, 2); /* the options template and the other domain's */
	message_start(&f->m, 0, 0);
	message_set(&f->m, 3);
	message_template(&f->m, 3, 0, 0);
	assert_int_equal(send_message(f), 0);
	assert_int_equal(f->s.n_templates, 1);
}

/* A template that is refused takes with it what its id meant before. */
static void test_refused_templates(void **state)
{
	struct fixture *f = *state;

	message_start(&f->m, 0, 0);
	small_template(f, 256);
	assert_int_equal(send_message(f), 0);
	message_start(&f->m, 0, 0);
	message_set(&f->m, 2);
	message_template(&f->m, 256, IPFIX_FIELDS_MAX + 1, 0);
	for (unsigned i = 0; i <= IPFIX_FIELDS_MAX; i++)
		message_field(&f->m, 0, 8, 4);
	message_template(&f->m, 257, 1, 0); /* what stands behind it is read */
	message_field(&f->m, 0, 8, 4);
	message_set(&f->m, 256);
	small_record(f, 6);
	message_set(&f->m, 257);
	message_uint(&f->m, 1, 4);
	assert_int_equal(send_message(f), 0);
	assert_int_equal(f->c.large_template, 1);
	assert_int_equal(f->c.no_template, 1);
	assert_int_equal(f->n, 1);
	message_start(&f->m, 0, 0);
	message_set(&f->m, 2);
	message_template(&f->m, 258, 2, 0); /* records of no octets */
	message_field(&f->m, 0, 8, 0);
	message_field(&f->m, 0, 9, 0);
	message_template(&f->m, 259, 2, 0); /* records of more than a message */
	message_field(&f->m, 0, 8, 65534);
	message_field(&f->m, 0, 9, 65534);
	message_template(&f->m, 4, 1, 0); /* an id that is none */
	message_field(&f->m, 0, 8, 4);
	message_set(&f->m, 3);
	message_uint(&f->m, 260, 2); /* more scope fields than fields, and none */
	message_uint(&f->m, 1, 2);
	message_uint(&f->m, 2, 2);
	message_field(&f->m, 0, 149, 4);
	message_uint(&f->m, 261, 2);
	message_uint(&f->m, 1, 2);
	message_uint(&f->m, 0, 2);
	message_field(&f->m, 0, 149, 4);
	message_set(&f->m, 100); /* a reserved set */
	message_set(&f->m, 258);
	message_uint(&f->m, 0, 8);
	assert_int_equal(send_message(f), 0);
	assert_int_equal(f->c.bad_template, 5);
	assert_int_equal(f->c.bad_set, 1);
	assert_int_equal(f->c.no_template, 2);
	assert_int_equal(f->s.n_templates, 1);
}

static void test_template_flood(void **state)
{
	struct fixture *f = *state;

	message_start(&f->m, 0, 0);
	small_template(f, 256);
	assert_int_equal(send_message(f), 0);
	for (unsigned round = 0; round < 200; round++) {
		message_start(&f->m, 0, 0);
		for (unsigned i = 0; i < 100; i++)
			small_template(f, (uint16_t)(300 + round * 100 + i));
		message_set(&f->m, 256); /* in use: it stays */
		small_record(f, 6);
		assert_int_equal(send_message(f), 0);
	}
	assert_int_equal(f->s.n_templates, IPFIX_TEMPLATES_MAX);
	assert_int_equal(f->n, 200);
	assert_int_equal(f->c.templates, 1 + 200 * 100);
	assert_int_equal(f->c.evicted_templates, f->c.templates - IPFIX_TEMPLATES_MAX);
	/* 60 templates of 511 steps each are more than a session may have. */
	for (unsigned i = 0; i < 60; i++) {
		message_start(&f->m, 0, 9);
		message_set(&f->m, 2);
		message_template(&f->m, (uint16_t)(256 + i), 511, 0);
		for (unsigned j = 0; j < 511; j++)
			message_field(&f->m, 0, (uint16_t)(1000 + j), VAR);
		assert_int_equal(send_message(f), 0);
		assert_true(f->s.n_steps <= IPFIX_STEPS_MAX);
	}
	assert_int_equal(f->s.n_templates, IPFIX_STEPS_MAX / 511);
}

static void test_domains_are_bounded(void **state)
{
	struct fixture *f = *state;

	for (unsigned i = 0; i < 100; i++) {
		message_start(&f->m, 0, i);
		assert_int_equal(send_message(f), 0);
	}
	assert_int_equal(f->s.n_domains, IPFIX_DOMAINS_MAX);
	assert_int_equal(f->c.evicted_domains, 100 - IPFIX_DOMAINS_MAX);
}

static void test_no_address(void **state)
{
	struct fixture *f = *state;

	message_start(&f->m, 0, 0);
	message_set(&f->m, 2);
	message_template(&f->m, 256, 1, 0);
	message_field(&f->m, 0, 4, 1);
	message_set(&f->m, 256);
	message_put(&f->m, "\6\6\6", 3);
	assert_int_equal(send_message(f), 0);
	assert_int_equal(f->n, 0);
	assert_int_equal(f->c.no_address, 3);
}

/* A text that fills the room does not push the application's name out. */
static void test_long_texts(void **state)
{
	struct fixture *f = *state;
	char text[300];

	memset(text, 'x', sizeof(text));
	text[299] = '\0';
	message_start(&f->m, 0, 0);
	message_set(&f->m, 2);
	message_template(&f->m, 256, 9, 0);
	message_field(&f->m, 0, 8, 4);
	message_field(&f->m, NTOP, 188, VAR);
	message_field(&f->m, NTOP, 187, VAR);
	message_field(&f->m, NTOP, 180, VAR);
	message_field(&f->m, NTOP, 183, VAR);
	message_field(&f->m, NTOP, 184, VAR);
	message_field(&f->m, NTOP, 205, VAR);
	message_field(&f->m, 0, 372, VAR);
	message_field(&f->m, 0, 96, VAR);
	message_set(&f->m, 256);
	message_uint(&f->m, 0xc0000201, 4);
	for (unsigned i = 0; i < 7; i++)
		message_text(&f->m, text, 0);
	message_text(&f->m, "TLS.Telegram", 0);
	assert_int_equal(send_message(f), 0);
	assert_int_equal(f->n, 1);
	assert_int_equal(f->last.sni.len, 255);
	assert_string_equal(text_of(&f->last, f->last.app), "TLS.Telegram");
	assert_false(l7_has(&f->last, L7_F_dnsQuery));
}

static void send_records(struct fixture *f, uint32_t sequence, unsigned n)
{
	message_start(&f->m, sequence, 3);
	small_template(f, 256);
	message_set(&f->m, 256);
	for (unsigned i = 0; i < n; i++)
		small_record(f, 6);
	assert_int_equal(send_message(f), 0);
}

static void test_sequence(void **state)
{
	struct fixture *f = *state;

	send_records(f, UINT32_C(0xfffffffe), 3); /* the first one is right whatever it is */
	send_records(f, 1, 2);                    /* wrapped round */
	assert_int_equal(f->c.lost, 0);
	send_records(f, 10, 2); /* 3 to 9 are missing */
	assert_int_equal(f->c.lost, 7);
	send_records(f, 3, 2); /* late */
	assert_int_equal(f->c.late, 1);
	send_records(f, 12, 5); /* and on where it was */
	assert_int_equal(f->c.lost, 7);
	send_records(f, 0, 1); /* a new start */
	send_records(f, 1, 1);
	assert_int_equal(f->c.restarts, 1);
	assert_int_equal(f->c.lost, 7);
	send_records(f, 1000, 1);
	assert_int_equal(f->c.lost, 7 + 998);
	for (unsigned i = 0; i < 30; i++) /* a new start whose first message did not come */
		send_records(f, 5 + i, 1);
	assert_int_equal(f->c.restarts, 2);
	assert_int_equal(f->c.late, 1 + 16);
	assert_int_equal(f->c.lost, 7 + 998);
}

/* Records that could not be counted are not taken for lost ones. */
static void test_sequence_after_unknown_set(void **state)
{
	struct fixture *f = *state;

	send_records(f, 0, 1);
	message_start(&f->m, 1, 3);
	message_set(&f->m, 999);
	small_record(f, 6);
	assert_int_equal(send_message(f), 0);
	send_records(f, 2, 1);
	assert_int_equal(f->c.lost, 0);
	send_records(f, 5, 1);
	assert_int_equal(f->c.lost, 2);
}

/* Half of a flow, from responder to initiator. */
static void test_uniflow_is_turned(void **state)
{
	struct fixture *f = *state;
	uint8_t ip[16];

	message_start(&f->m, 0, 0);
	message_set(&f->m, 2);
	message_template(&f->m, 256, 9, 0);
	message_field(&f->m, 0, 8, 4);
	message_field(&f->m, 0, 12, 4);
	message_field(&f->m, 0, 7, 2);
	message_field(&f->m, 0, 11, 2);
	message_field(&f->m, 0, 1, 8);
	message_field(&f->m, 0, 2, 8);
	message_field(&f->m, 0, 239, 1);
	message_field(&f->m, 0, 10, 4);
	message_field(&f->m, 0, 14, 4);
	message_set(&f->m, 256);
	message_uint(&f->m, 0xc0000201, 4);
	message_uint(&f->m, 0xc0000202, 4);
	message_uint(&f->m, 443, 2);
	message_uint(&f->m, 50000, 2);
	message_uint(&f->m, 1500, 8);
	message_uint(&f->m, 3, 8);
	message_uint(&f->m, 2, 1);
	message_uint(&f->m, 5, 4);
	message_uint(&f->m, 6, 4);
	assert_int_equal(send_message(f), 0);
	addr_parse("192.0.2.2", ip);
	assert_memory_equal(f->last.src_ip, ip, 16);
	assert_int_equal(f->last.src_port, 50000);
	assert_int_equal(f->last.dst_port, 443);
	assert_int_equal(f->last.rev_octets, 1500);
	assert_int_equal(f->last.rev_packets, 3);
	assert_int_equal(f->last.octets, 0);
	assert_true(l7_has(&f->last, L7_F_reverseOctetDeltaCount));
	assert_false(l7_has(&f->last, L7_F_octetDeltaCount));
	assert_true(l7_has(&f->last, L7_F_sourceIPv4Address));
	assert_int_equal(f->last.biflow, L7_BIFLOW_INITIATOR);
	/* The answers came in by 5, so what they answer goes out by it. */
	assert_int_equal(f->last.ingress_if, 6);
	assert_int_equal(f->last.egress_if, 5);
}

#define T(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_every_kind_of_field),
		T(test_cut_and_broken),
		T(test_header),
		T(test_pen_is_settable),
		T(test_ipv6_and_both_families),
		T(test_names_from_options),
		T(test_names_are_bounded),
		T(test_withdrawn_and_replaced),
		T(test_withdraw_all),
		T(test_refused_templates),
		T(test_template_flood),
		T(test_domains_are_bounded),
		T(test_no_address),
		T(test_long_texts),
		T(test_sequence),
		T(test_sequence_after_unknown_set),
		T(test_uniflow_is_turned),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
