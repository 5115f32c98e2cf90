/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "record/record_json.h"
#include "record/record_json_reader.h"
#include "record_sample.h"

struct fixture {
	struct record_json_reader j;
	struct l7_record r;
	char err[RECORD_JSON_ERROR_MAX];
	char key[80], near[80]; /* of the last unknown key */
	unsigned n_unknown;
};

static void unknown(void *arg, const char *key, const char *near)
{
	struct fixture *f = arg;

	f->n_unknown++;
	snprintf(f->key, sizeof(f->key), "%s", key);
	snprintf(f->near, sizeof(f->near), "%s", near ? near : "");
}

static int start(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	if (!f)
		return -1;
	record_json_reader_init(&f->j);
	f->j.on_unknown = unknown;
	f->j.arg = f;
	*state = f;
	return 0;
}

static int stop(void **state)
{
	free(*state);
	return 0;
}

/* From a copy of its own, so that a sanitizer sees a read past the end. */
static int read_line(struct fixture *f, const char *line, size_t len)
{
	char *exact = malloc(len ? len : 1);
	int rc;

	assert_non_null(exact);
	memcpy(exact, line, len);
	f->err[0] = '\0';
	memset(&f->r, 0xa5, sizeof(f->r));
	rc = record_json_read(&f->j, exact, len, &f->r, f->err);
	free(exact);
	assert_true(rc == 0 || (rc == -EINVAL && f->err[0]));
	if (rc == 0)
		assert_true(l7_record_check(&f->r, sizeof(f->r)));
	return rc;
}

static int read_text(struct fixture *f, const char *line)
{
	return read_line(f, line, strlen(line));
}

static const char *text_of(const struct fixture *f, struct l7_text t)
{
	static char out[L7_STRING_MAX + 1];

	memcpy(out, f->r.text + t.off, t.len);
	out[t.len] = '\0';
	return out;
}

/* What was written reads back to what writes the same again: every key that there is, with its value. */
static void round_trip(struct fixture *f, const struct l7_record *r)
{
	struct buf before, after;

	buf_init(&before, RECORD_JSON_MAX);
	buf_init(&after, RECORD_JSON_MAX);
	record_json(&before, r);
	if (read_line(f, before.data, before.len))
		fail_msg("%.*s: %s", (int)before.len, before.data, f->err);
	record_json(&after, &f->r);
	assert_false(before.failed || after.failed);
	assert_int_equal(before.len, after.len);
	assert_memory_equal(before.data, after.data, before.len);
	assert_int_equal(f->r.ip_version, r->ip_version);
	assert_memory_equal(f->r.src_ip, r->src_ip, 16);
	assert_memory_equal(f->r.dst_ip, r->dst_ip, 16);
	buf_deinit(&before);
	buf_deinit(&after);
}

/* A number of any size for each field; in counters that are JSON numbers one of 63 bits at most. */
static void scramble(struct l7_record *r)
{
	for (unsigned f = 0; f < L7_FIELD_COUNT; f++) {
		const struct l7_field_info *i = &l7_fields[f];
		uint8_t *member = (uint8_t *)r + i->offset;
		unsigned kind = i->type;

		if (kind >= L7_TYPE_TEXT || kind == L7_TYPE_IP4 || kind == L7_TYPE_IP6)
			continue;
		for (unsigned octet = 0; octet < i->size; octet++)
			member[octet] = (uint8_t)(random() % 3 ? random() : random() % 2 ? 255 : 0);
		if (kind == L7_TYPE_U64 || kind == L7_TYPE_MSEC)
			member[7] &= 0x7f;
		if (kind == L7_TYPE_CONF)
			*member %= L7_CONF_COUNT;
		else if (kind == L7_TYPE_REASON)
			*member %= L7_END_COUNT;
		else if (kind == L7_TYPE_STATE)
			*member &= L7_STATE_ALL;
		else if (kind == L7_TYPE_TUNNEL)
			*member %= L7_TUNNEL_COUNT;
	}
	r->biflow = random() % 2 ? L7_BIFLOW_INITIATOR : L7_BIFLOW_PERIMETER;
}

static void test_round_trip(void **state)
{
	struct fixture *f = *state;
	struct l7_record r;

	srandom(7);
	for (unsigned n = 0; n < 3000; n++) {
		record_sample(&r, n);
		round_trip(f, &r);
		assert_int_equal(f->r.flow_id, r.flow_id);
		assert_int_equal(f->r.state, r.state);
		scramble(&r);
		round_trip(f, &r);
		assert_int_equal(f->r.octets, r.octets);
		assert_memory_equal(&f->r.tcp, &r.tcp, sizeof(r.tcp));
		for (unsigned bit = 0; bit < 40; bit++) /* and with fields missing */
			l7_unmark(&r, (enum l7_field)(random() % L7_FIELD_COUNT));
		l7_mark(&r, r.ip_version == 4 ? L7_F_sourceIPv4Address : L7_F_sourceIPv6Address);
		l7_mark(&r, r.ip_version == 4 ? L7_F_destinationIPv4Address : L7_F_destinationIPv6Address);
		l7_mark(&r, L7_F_applicationName);
		l7_mark(&r, L7_F_masterName);
		l7_mark(&r, L7_F_applicationPart);
		round_trip(f, &r);
	}
	assert_int_equal(f->j.unknown, 0);
	assert_int_equal(f->j.no_room, 0);
}

static void test_texts(void **state)
{
	static const char hostile[] = "a\"\\<&>\n\r\t\0\x1b/\xe2\x80\xa8\xc3\xa9\xf0\x9f\x90\x9f";
	struct fixture *f = *state;
	struct l7_record r;

	record_sample(&r, 0);
	assert_true(l7_record_text(&r, &r.sni, hostile, sizeof(hostile) - 1, L7_TEXT_MAX));
	round_trip(f, &r);
	assert_int_equal(f->r.sni.len, sizeof(hostile) - 1);
	assert_memory_equal(f->r.text + f->r.sni.off, hostile, sizeof(hostile) - 1);
}

/* Texts that fill the room do not push the application out, wherever its key stands. */
static void test_room(void **state)
{
	struct fixture *f = *state;
	char line[4000], x[400];

	memset(x, 'x', sizeof(x) - 1);
	x[sizeof(x) - 1] = '\0';
	snprintf(
		line, sizeof(line),
		"{\"src_ip\":\"192.0.2.1\",\"alpn\":\"%s\",\"category\":\"%s\",\"dns_query\":\"%s\",\"exporter\":\"%"
		"s\","
		"\"http_host\":\"%s\",\"sni\":\"%s\",\"src_city\":\"%s\",\"dst_city\":\"%s\",\"app\":\"TLS.Telegram\"}",
		x, x, x, x, x, x, x, x);
	assert_int_equal(read_text(f, line), 0);
	assert_string_equal(text_of(f, f->r.app), "TLS.Telegram");
	assert_string_equal(text_of(f, f->r.application), "Telegram");
	assert_int_equal(f->r.category.len, L7_STRING_MAX);
	assert_int_equal(f->j.no_room, 2);
}

static void test_what_others_write(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(read_text(f, " { \"src_ip\" : \"2001:db8::1\", \"dst_ip\":\"::ffff:192.0.2.1\", \"sni\":null,"
				      "\"master\":\"TLS\",\"application\":\"Viber\",\"flow_id\":77,\"octets\":1e3,"
				      "\"risks\":\"18446744073709551615\",\"end_reason\":\"idle\",\"state\":\"\","
				      "\"src_mac\":\"00:aB:22:33:44:ff\",\"extra\":{\"a\":[1,2,{}]}}\r"),
			 0);
	assert_int_equal(f->r.ip_version, 6);
	assert_string_equal(text_of(f, f->r.app), "TLS.Viber");
	assert_int_equal(f->r.flow_id, 77);
	assert_int_equal(f->r.octets, 1000);
	assert_int_equal(f->r.risks, UINT64_MAX);
	assert_int_equal(f->r.end_reason, L7_END_IDLE);
	assert_int_equal(f->r.link.src_mac[1], 0xab);
	assert_false(l7_has(&f->r, L7_F_tlsServerName));
	assert_int_equal(f->n_unknown, 1);
	assert_int_equal(read_text(f, "{\"dst_ip\":\"192.0.2.1\",\"master\":\"DNS\",\"application\":\"DNS\"}"), 0);
	assert_string_equal(text_of(f, f->r.app), "DNS");
	/* Beyond 63 bits, ours or not: no reason to refuse the line. */
	assert_int_equal(read_text(f, "{\"src_ip\":\"192.0.2.1\",\"octets\":1500,\"hash\":18446744073709551615,"
				      "\"flow_id\":9223372036854775808}"),
			 0);
	assert_int_equal(f->r.octets, 1500);
	assert_int_equal(f->r.flow_id, UINT64_C(1) << 63);
	/* From responder to initiator: turned round. */
	assert_int_equal(read_text(f, "{\"src_ip\":\"192.0.2.1\",\"dst_ip\":\"192.0.2.2\",\"src_port\":53,"
				      "\"biflow_direction\":2,\"packets\":7}"),
			 0);
	assert_int_equal(f->r.src_ip[15], 2);
	assert_int_equal(f->r.dst_port, 53);
	assert_int_equal(f->r.rev_packets, 7);
	assert_int_equal(f->r.biflow, L7_BIFLOW_INITIATOR);
}

static void test_unknown_keys(void **state)
{
	struct fixture *f = *state;
	char line[128];

	for (int round = 0; round < 3; round++)
		assert_int_equal(read_text(f, "{\"src_ip\":\"192.0.2.1\",\"src_prt\":1,\"zz\\u001bzz\":2}"), 0);
	assert_int_equal(f->j.unknown, 2);
	assert_int_equal(f->n_unknown, 2);
	assert_int_equal(read_text(f, "{\"src_ip\":\"192.0.2.1\",\"dst_prt\":1}"), 0);
	assert_string_equal(f->key, "dst_prt");
	assert_string_equal(f->near, "dst_port");
	for (int i = 0; i < 500; i++) {
		snprintf(line, sizeof(line), "{\"src_ip\":\"192.0.2.1\",\"key%d\":1}", i);
		assert_int_equal(read_text(f, line), 0);
	}
	assert_int_equal(f->j.unknown, RECORD_JSON_UNKNOWN_MAX);
	assert_int_equal(f->n_unknown, RECORD_JSON_UNKNOWN_MAX);
}

static void test_refused(void **state)
{
	static const struct {
		const char *line, *sentence;
	} cases[] = {
		{"", "expected"},
		{"src_ip=192.0.2.1", "'[' or '{' expected near 'src'"},
		{"[1]", "the line is an array, not an object"},
		{"{}", "there is no src_ip and no dst_ip"},
		{"{\"src_ip\":null}", "there is no src_ip and no dst_ip"},
		{"{\"src_ip\":\"192.0.2.1\"", "near end of file"},
		{"{\"src_ip\":\"192.0.2.1\"} {}", "end of file expected"},
		{"{\"src_ip\":\"192.0.2.1\",\"src_ip\":\"192.0.2.2\"}", "duplicate object key"},
		{"{\"src_ip\":\"192.0.2\"}", "src_ip is \"192.0.2\", which is no address"},
		{"{\"src_ip\":\"192.0.2.1\\u0000\"}", "which is no address"},
		{"{\"src_ip\":3232235521}", "src_ip is a number; it has to be an address"},
		{"{\"src_ip\":\"192.0.2.1\",\"dst_ip\":\"::1\"}", "src_ip and dst_ip are of different IP versions"},
		{"{\"src_port\":65536}", "src_port is 65536; it is a whole number from 0 to 65535"},
		{"{\"src_port\":-1}", "src_port is -1; it is"},
		{"{\"src_port\":1.5}", "src_port is 1.5; it is"},
		{"{\"octets\":1e30}", "octets is 1"},
		{"{\"src_port\":\"80\"}", "src_port is a string; it has to be a number"},
		{"{\"protocol\":256}", "protocol is 256; it is a whole number from 0 to 255"},
		{"{\"app_id\":4294967296}", "from 0 to 4294967295"},
		{"{\"biflow_direction\":4}", "from 0 to 3"},
		{"{\"flow_id\":\"18446744073709551616\"}",
		 "flow_id is \"18446744073709551616\"; it is a number from 0"},
		{"{\"flow_id\":\"-1\"}", "as a string"},
		{"{\"flow_id\":\"1x\"}", "as a string"},
		{"{\"flow_id\":\"\"}", "as a string"},
		{"{\"flow_id\":true}", "flow_id is a truth value; it has to be a string of digits"},
		{"{\"confidence\":\"sure\"}", "confidence is \"sure\"; it is one of none port ip partial cache dpi"},
		{"{\"confidence\":5}", "confidence is a number; it has to be a word"},
		{"{\"end_reason\":\"dpi\"}", "one of none idle active end forced resources"},
		{"{\"state\":\"final,late\"}", "state is \"late\"; it is one of final early last midstream"},
		{"{\"state\":\"final,,last\"}", "state is \"\"; it is"},
		{"{\"state\":3}", "state is a number; it has to be words joined by commas"},
		{"{\"app\":[\"TLS\"]}", "app is an array; it has to be a string"},
		{"{\"src_mac\":\"00:11:22:33:44\"}", "src_mac is \"00:11:22:33:44\"; a MAC address is like"},
		{"{\"src_mac\":\"00:11:22:33:44:5\"}", "a MAC address is like"},
		{"{\"src_mac\":\"00:11:22:33:445:5\"}", "a MAC address is like"},
		{"{\"sni\":\"\xff\"}", "unable to decode byte 0xff"},
		{"{\"app\":\"\\ud800\"}", "invalid Unicode"},
		{"{\"end_reason\":\"\\u001b[31m\"}", "end_reason is \"?[31m\"; it is"},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(read_text(f, cases[i].line), -EINVAL);
		if (!strstr(f->err, cases[i].sentence))
			fail_msg("%s: %s", cases[i].line, f->err);
	}
	assert_int_equal(read_text(f, "{\"src_ip\": x}"), -EINVAL);
	assert_int_equal(f->j.column, 12);
	assert_int_equal(read_text(f, "{\"src_port\": 65536}"), -EINVAL);
	assert_int_equal(f->j.column, 0);
}

static void test_depth_and_length(void **state)
{
	static const char text[] = "{\"src_ip\":\"192.0.2.1\",\"x\":\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\\\"[[\"}";
	static char line[RECORD_JSON_LINE_MAX + 100];
	struct fixture *f = *state;

	memset(line, '[', RECORD_JSON_LINE_MAX);
	assert_int_equal(read_line(f, line, RECORD_JSON_LINE_MAX), -EINVAL);
	assert_non_null(strstr(f->err, "nested deeper than 32"));
	memset(line, ' ', sizeof(line));
	memcpy(line, text, sizeof(text) - 1);
	assert_int_equal(read_line(f, line, RECORD_JSON_LINE_MAX), 0);
	assert_int_equal(read_line(f, line, RECORD_JSON_LINE_MAX + 1), -EINVAL);
	assert_non_null(strstr(f->err, "longer than 65536 octets"));
}

/* Cut at every octet, and with every octet another: no crash, and a record or a sentence. */
static void test_cut_and_broken(void **state)
{
	struct fixture *f = *state;
	struct l7_record r;
	struct buf b;

	record_sample(&r, 1);
	buf_init(&b, RECORD_JSON_MAX);
	record_json(&b, &r);
	for (size_t len = 0; len < b.len; len++)
		assert_int_equal(read_line(f, b.data, len), -EINVAL);
	for (size_t i = 0; i < b.len; i++) {
		char keep = b.data[i];

		for (int v = 0; v < 256; v += 31) {
			b.data[i] = (char)v;
			(void)read_line(f, b.data, b.len);
		}
		b.data[i] = keep;
	}
	assert_int_equal(read_line(f, b.data, b.len), 0);
	buf_deinit(&b);
}

#define T(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_round_trip),        T(test_texts),          T(test_room),
		T(test_what_others_write), T(test_unknown_keys),   T(test_refused),
		T(test_depth_and_length),  T(test_cut_and_broken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
