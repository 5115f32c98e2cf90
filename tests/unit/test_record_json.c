/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>
#include <jansson.h>

#include "record/record_json.h"
#include "record_sample.h"

static json_t *parse(const struct l7_record *r)
{
	struct buf b;
	json_error_t error;
	json_t *j;

	buf_init(&b, 1 << 16);
	record_json(&b, r);
	assert_false(b.failed);
	j = json_loadb(b.data, b.len, JSON_REJECT_DUPLICATES, &error);
	if (!j)
		fail_msg("%.*s: %s", (int)b.len, b.data, error.text);
	buf_deinit(&b);
	return j;
}

static const char *text_of(json_t *j, const char *key)
{
	const char *s = json_string_value(json_object_get(j, key));

	return s ? s : "(absent)";
}

static json_int_t number_of(json_t *j, const char *key)
{
	json_t *v = json_object_get(j, key);

	assert_true(json_is_integer(v));
	return json_integer_value(v);
}

static void test_whole_record(void **state)
{
	struct l7_record r;
	json_t *j;
	size_t keys = 0;

	(void)state;
	record_sample(&r, 0);
	j = parse(&r);
	assert_string_equal(text_of(j, "flow_id"), "18364758544493064720");
	assert_string_equal(text_of(j, "stream_id"), "9007199254740993");
	assert_string_equal(text_of(j, "record_sequence"), "0");
	assert_string_equal(text_of(j, "risks"), "1099511627776");
	assert_string_equal(text_of(j, "src_ip"), "192.0.2.10");
	assert_string_equal(text_of(j, "dst_ip"), "149.154.167.220");
	assert_string_equal(text_of(j, "app"), "TLS.Telegram");
	assert_string_equal(text_of(j, "master"), "TLS");
	assert_string_equal(text_of(j, "application"), "Telegram");
	assert_string_equal(text_of(j, "category"), "Chat");
	assert_string_equal(text_of(j, "confidence"), "dpi");
	assert_string_equal(text_of(j, "master_confidence"), "partial");
	assert_string_equal(text_of(j, "end_reason"), "end");
	assert_string_equal(text_of(j, "state"), "final,last");
	assert_string_equal(text_of(j, "sni"), "api.telegram.org");
	assert_string_equal(text_of(j, "exporter"), "probe1");
	assert_string_equal(text_of(j, "interface"), "eth0");
	assert_int_equal(number_of(j, "app_id"), 185);
	assert_int_equal(number_of(j, "start_ms"), 1700000000000);
	assert_int_equal(number_of(j, "rev_octets"), 100000);
	assert_int_equal(number_of(j, "src_port"), 40000);
	assert_int_equal(number_of(j, "tcp_flags"), 0x1b);
	/* Every row with a key, each once: the two address rows of the other IP version have none, nor have aliases. */
	for (unsigned f = 0; f < L7_FIELD_COUNT; f++)
		keys += l7_fields[f].json != NULL;
	assert_int_equal(json_object_size(j), keys);
	json_decref(j);
}

static void test_addresses(void **state)
{
	static const char *const addresses[] = {
		"2001:db8::77",
		"2001:db8:0:1:0:2:3:4",
		"::",
		"::1",
		"::ffff:1.2.3.4",
		"fe80::",
		"1::",
		"1:2:3:4:5:6:7:8",
		"1:0:0:2::3",
		"1::2:0:0:3:4",
		"0:1:0:1:0:1:0:1",
		"a:b::",
		"64:ff9b::1",
		"1:2:3:4:5:6:7:0",
		"0:0:1::",
		"ff02::1:ff00:42",
	};
	struct l7_record r;
	char text[64];

	(void)state;
	record_sample(&r, 1);
	for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
		json_t *j;

		assert_int_equal(inet_pton(AF_INET6, addresses[i], r.src_ip), 1);
		j = parse(&r);
		assert_string_equal(text_of(j, "src_ip"), inet_ntop(AF_INET6, r.src_ip, text, sizeof(text)));
		json_decref(j);
	}
}

static void test_left_out(void **state)
{
	struct l7_record r;
	json_t *j;

	(void)state;
	memset(&r, 0, sizeof(r));
	r.ip_version = 4;
	j = parse(&r);
	assert_int_equal(json_object_size(j), 0);
	json_decref(j);
	l7_mark(&r, L7_F_tlsServerName); /* marked but empty */
	l7_mark(&r, L7_F_recordState);
	l7_mark(&r, L7_F_sourceIPv6Address);
	l7_mark(&r, L7_F_protocolIdentifier);
	r.has[1] |= UINT64_C(1) << 63; /* not a field */
	j = parse(&r);
	assert_int_equal(json_object_size(j), 1);
	assert_int_equal(number_of(j, "protocol"), 0);
	json_decref(j);
}

/* Numbers of every length, and those next to the powers of ten. */
static void test_numbers(void **state)
{
	struct l7_record r;
	uint64_t ten = 1;

	(void)state;
	memset(&r, 0, sizeof(r));
	r.ip_version = 4;
	l7_mark(&r, L7_F_flowId);
	for (int i = 0; i < 20 * 5; i++) {
		char want[24];
		json_t *j;

		r.flow_id = (uint64_t[]){ten - 1, ten, ten + 1, ten * 9, UINT64_MAX / ten}[i % 5];
		snprintf(want, sizeof(want), "%llu", (unsigned long long)r.flow_id);
		j = parse(&r);
		assert_string_equal(text_of(j, "flow_id"), want);
		json_decref(j);
		if (i % 5 == 4)
			ten *= 10;
	}
}

/* The longest strings, each octet of which needs six: they fit, and come back as what they were. */
static void test_hostile_text(void **state)
{
	struct l7_record r;
	struct l7_text all = {0, L7_STRING_MAX};
	char hostile[L7_STRING_MAX] = "";
	struct buf b;
	json_t *j;

	(void)state;
	record_sample(&r, 0);
	r.text_len = L7_TEXT_MAX;
	r.app = r.master = r.application = r.category = r.sni = all;
	r.http_host = r.dns_query = r.interface = r.exporter = all;
	memset(r.text, 0x01, L7_TEXT_MAX);
	assert_true(l7_record_check(&r, sizeof(r)));
	buf_init(&b, RECORD_JSON_MAX);
	record_json(&b, &r);
	assert_false(b.failed);
	assert_true(b.len > 9 * 6 * L7_STRING_MAX);
	record_json(&b, &r); /* no room for a second: it stays as it was */
	assert_true(b.failed);
	buf_deinit(&b);
	for (unsigned i = 0; i < sizeof(hostile); i++)
		hostile[i] = (char)(i % 127 + 1);
	memcpy(r.text, hostile, sizeof(hostile));
	j = parse(&r);
	assert_int_equal(json_string_length(json_object_get(j, "sni")), L7_STRING_MAX);
	assert_memory_equal(text_of(j, "sni"), hostile, L7_STRING_MAX);
	json_decref(j);
	memset(r.text, 0xff, L7_STRING_MAX); /* not UTF-8: U+FFFD each */
	j = parse(&r);
	assert_int_equal(json_string_length(json_object_get(j, "sni")), 3 * L7_STRING_MAX);
	json_decref(j);
}

/* What the key table relies on. */
static void test_rows(void **state)
{
	(void)state;
	for (unsigned f = 0; f < L7_FIELD_COUNT; f++) {
		if (l7_fields[f].type > L7_TYPE_TEXT) {
			assert_null(l7_fields[f].json);
			continue;
		}
		if (l7_fields[f].type != L7_TYPE_IP6) {
			assert_non_null(l7_fields[f].json);
			assert_true(strlen(l7_fields[f].json) + 4 < 32);
			continue;
		}
		assert_null(l7_fields[f].json);
		assert_int_equal(l7_fields[f - 1].type, L7_TYPE_IP4);
		assert_int_equal(l7_fields[f - 1].offset, l7_fields[f].offset);
	}
}

/* Said, not judged: the machine decides. */
static void test_cost(void **state)
{
	struct timespec from, to;
	struct l7_record r;
	struct buf b;
	const unsigned n = 100000;

	(void)state;
	record_sample(&r, 0);
	r.http_host.len = r.dns_query.len = 0;
	buf_init(&b, 1 << 20);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
	for (unsigned i = 0; i < n; i++) {
		r.flow_id += i;
		record_json(&b, &r);
		if (b.len > 1 << 18)
			buf_reset(&b);
	}
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &to);
	assert_false(b.failed);
	print_message("%.0f ns per record\n",
		      ((double)(to.tv_sec - from.tv_sec) * 1e9 + (double)(to.tv_nsec - from.tv_nsec)) / n);
	buf_deinit(&b);
}

/* Once: every pair has changed places, its marks too. Twice: as it was. */
static void test_turned_round(void **state)
{
	struct l7_record r, turned;

	(void)state;
	record_sample(&r, 0);
	turned = r;
	turned.has[L7_F_ingressInterface >> 6] &= ~(UINT64_C(1) << (L7_F_ingressInterface & 63));
	l7_record_reverse(&turned);
	assert_memory_equal(turned.src_ip, r.dst_ip, 16);
	assert_int_equal(turned.dst_port, r.src_port);
	assert_int_equal(turned.octets, r.rev_octets);
	assert_int_equal(turned.rev_packets, r.packets);
	assert_int_equal(turned.rev_tcp_flags, r.tcp_flags);
	assert_int_equal(turned.ingress_if, r.egress_if);
	assert_memory_equal(turned.outer_src_ip, r.outer_dst_ip, 16);
	assert_memory_equal(turned.outer_dst_ip, r.outer_src_ip, 16);
	assert_int_equal(turned.biflow, L7_BIFLOW_REVERSE);
	assert_true(l7_has(&turned, L7_F_ingressInterface));
	assert_false(l7_has(&turned, L7_F_egressInterface));
	l7_mark(&turned, L7_F_egressInterface);
	l7_record_reverse(&turned);
	assert_memory_equal(&turned, &r, sizeof(r));
	r.tunnel = L7_TUNNEL_ERSPAN; /* a switch sends both directions */
	turned = r;
	l7_record_reverse(&turned);
	assert_memory_equal(turned.src_ip, r.dst_ip, 16);
	assert_memory_equal(turned.outer_src_ip, r.outer_src_ip, 16);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole_record), cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_left_out),     cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_hostile_text), cmocka_unit_test(test_rows),
		cmocka_unit_test(test_cost),         cmocka_unit_test(test_turned_round),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
