/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#include <arpa/inet.h>

#include "base/addr.h"
#include "base/buf.h"
#include "base/nearest.h"
#include "base/ring.h"
#include "base/uri.h"
#include "base/utc.h"
#include "base/utf8.h"
#include "base/wire.h"

/* What inet_ntop() says, of addresses with runs of zeros of all lengths. */
static void test_addr_format(void **state)
{
	char text[ADDR_TEXT_MAX], wanted[ADDR_TEXT_MAX];
	uint8_t ip[16];

	(void)state;
	srandom(7);
	for (int n = 0; n < 100000; n++) {
		long zeros = random();

		for (int i = 0; i < 8; i++) {
			long v = zeros >> i & 1 ? 0 : random() >> (random() % 16);

			ip[2 * i] = (uint8_t)(v >> 8);
			ip[2 * i + 1] = (uint8_t)v;
		}
		if (n % 2)
			addr_from4(ip, ip + 12);
		assert_non_null(inet_ntop(n % 2 ? AF_INET : AF_INET6, n % 2 ? ip + 12 : ip, wanted, sizeof(wanted)));
		assert_string_equal(addr_format(ip, text), addr_is4(ip) && n % 2 == 0 ? wanted + 7 : wanted);
	}
}

static void test_addr(void **state)
{
	struct addr_prefix p;
	uint8_t ip[16];
	char text[ADDR_TEXT_MAX];

	(void)state;
	assert_int_equal(addr_parse("192.0.2.7", ip), 0);
	assert_true(addr_is4(ip));
	assert_string_equal(addr_format(ip, text), "192.0.2.7");
	assert_int_equal(addr_parse("2001:db8::1", ip), 0);
	assert_string_equal(addr_format(ip, text), "2001:db8::1");
	assert_int_equal(addr_parse("192.0.2", ip), -EINVAL);
	assert_int_equal(addr_prefix_parse("10.0.0.0/8", &p), 0);
	assert_int_equal(p.bits, 104);
	addr_parse("10.255.0.1", ip);
	assert_true(addr_prefix_has(&p, ip));
	addr_parse("11.0.0.1", ip);
	assert_false(addr_prefix_has(&p, ip));
	assert_int_equal(addr_prefix_parse("2001:db8::/33", &p), 0);
	addr_parse("2001:db8:7fff::1", ip);
	assert_true(addr_prefix_has(&p, ip));
	addr_parse("2001:db8:8000::1", ip);
	assert_false(addr_prefix_has(&p, ip));
	assert_int_equal(addr_prefix_parse("10.0.0.1/8", &p), -ERANGE);
	assert_int_equal(addr_prefix_parse("10.0.0.0/33", &p), -EINVAL);
	assert_int_equal(addr_prefix_parse("10.0.0.0/", &p), -EINVAL);
	assert_int_equal(addr_prefix_parse("::/0", &p), 0);
	assert_true(addr_prefix_has(&p, ip));
}

static void test_buf_maximum(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 10);
	buf_str(&b, "123456789");
	buf_char(&b, 'a');
	assert_false(b.failed);
	buf_char(&b, 'b');
	assert_true(b.failed);
	assert_int_equal(b.len, 10);
	buf_drop(&b, 4);
	assert_memory_equal(b.data, "56789a", 6);
	buf_reset(&b);
	buf_u64(&b, 0);
	buf_u64(&b, 123456789);
	assert_int_equal(b.len, 10);
	assert_memory_equal(b.data, "0123456789", 10);
	buf_deinit(&b);
}

static void test_buf_json(void **state)
{
	static const struct {
		const char *in;
		const char *out;
	} cases[] = {
		{"plain", "\"plain\""},
		{"a\"b\\c", "\"a\\\"b\\\\c\""},
		{"\x01\x1f\x7f", "\"\\u0001\\u001f\\u007f\""},
		{"</script>&", "\"\\u003c/script\\u003e\\u0026\""},
		{"caf\xc3\xa9", "\"caf\xc3\xa9\""},
		{"x\xff\xc3", "\"x\\ufffd\\ufffd\""},
		{"\xe2\x80\xa8!", "\"\\u2028!\""},
		{"\xed\xa0\x80", "\"\\ufffd\\ufffd\\ufffd\""},
		{"\xf0\x9f\x98\x80", "\"\xf0\x9f\x98\x80\""},
	};
	struct buf b;

	(void)state;
	buf_init(&b, 4096);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		buf_reset(&b);
		buf_json(&b, cases[i].in, strlen(cases[i].in));
		assert_int_equal(b.len, strlen(cases[i].out));
		assert_memory_equal(b.data, cases[i].out, b.len);
	}
	buf_deinit(&b);
}

static void test_utf8_clean(void **state)
{
	char out[8];

	(void)state;
	assert_int_equal(utf8_clean(out, sizeof(out), "a\n\xff\xc3\xa9", 5), 5);
	assert_memory_equal(out, "a??\xc3\xa9", 5);
	assert_int_equal(utf8_clean(out, 2, "a\xc3\xa9", 3), 1); /* never half a sequence */
}

static void test_wire(void **state)
{
	static const uint8_t data[] = {1, 2, 3, 4, 5, 6, 7};
	struct wire w = wire_of(data, sizeof(data)), sub;

	(void)state;
	assert_int_equal(wire_u8(&w), 1);
	assert_int_equal(wire_u16(&w), 0x0203);
	sub = wire_sub(&w, 2);
	assert_int_equal(wire_u16(&sub), 0x0405);
	assert_true(wire_ok(&sub));
	assert_int_equal(wire_u8(&sub), 0);
	assert_false(wire_ok(&sub));
	assert_int_equal(wire_left(&w), 2);
	assert_int_equal(wire_u32(&w), 0);
	assert_false(wire_ok(&w));
	assert_int_equal(wire_u8(&w), 0); /* latched, though an octet is left */
}

static void test_uri(void **state)
{
	static const char *const wrong[] = {"",
					    "json",
					    "?:-",
					    "JSON:-",
					    "ipfix+tcp://host:0",
					    "ipfix+tcp://host:70000",
					    "ipfix+tcp://host:004739",
					    "ipfix+tcp://::1:4739",
					    "ipfix+tcp://[::1:4739",
					    "ipfix+tcp://[::1]x",
					    "kafka://b1:9092,b2:70000/topic",
					    "kafka://b1,,b2/topic",
					    "kafka://,b2/topic",
					    "kafka://b1,/topic",
					    "json:-?early",
					    "json:-?a=1&&b=2",
					    "json:-?a=1&",
					    "json:-?a=1&a=2",
					    "json:-?a=%zz",
					    "json:-?a=%00"};
	static const char *const known[] = {"early", "template", NULL};
	struct uri_range range = {0, 9, 7};
	struct uri u;
	uint64_t n;
	char err[256];

	(void)state;
	assert_int_equal(uri_parse(&u, "ipfix+tcp://[2001:db8::1]:4739?early=1&template=a%26b", err, sizeof(err)), 0);
	assert_string_equal(u.scheme, "ipfix+tcp");
	assert_string_equal(u.host, "2001:db8::1");
	assert_string_equal(u.port, "4739");
	assert_string_equal(uri_option(&u, "template"), "a&b");
	assert_null(uri_option(&u, "mtu"));
	assert_int_equal(uri_check_options(&u, known, err, sizeof(err)), 0);
	assert_int_equal(uri_number(&u, "early", range, &n, err, sizeof(err)), 0);
	assert_int_equal(n, 1);
	assert_int_equal(uri_number(&u, "mtu", range, &n, err, sizeof(err)), 0);
	assert_int_equal(n, 7);
	assert_int_equal(uri_number(&u, "template", range, &n, err, sizeof(err)), -EINVAL);
	uri_deinit(&u);
	assert_int_equal(uri_parse(&u, "json+file:///tmp/a%20b?erly=1", err, sizeof(err)), 0);
	assert_string_equal(u.path, "/tmp/a b");
	assert_string_equal(u.host, "");
	assert_int_equal(uri_check_options(&u, known, err, sizeof(err)), -EINVAL);
	assert_non_null(strstr(err, "did you mean early?"));
	uri_deinit(&u);
	assert_int_equal(uri_parse(&u, "kafka://b1:9092/topic", err, sizeof(err)), 0);
	assert_string_equal(u.host, "b1");
	assert_string_equal(u.hosts, "b1:9092");
	assert_int_equal(u.n_hosts, 1);
	assert_string_equal(u.path, "/topic");
	uri_deinit(&u);
	assert_int_equal(uri_parse(&u, "kafka://b1:9092,[2001:db8::1]:9093,b3/topic?early=1", err, sizeof(err)), 0);
	assert_string_equal(u.hosts, "b1:9092,[2001:db8::1]:9093,b3");
	assert_int_equal(u.n_hosts, 3);
	assert_string_equal(u.host, "b1");
	assert_string_equal(u.port, "9092");
	assert_string_equal(u.path, "/topic");
	assert_string_equal(uri_option(&u, "early"), "1");
	uri_deinit(&u);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		assert_int_equal(uri_parse(&u, wrong[i], err, sizeof(err)), -EINVAL);
		assert_non_null(strstr(err, wrong[i]));
	}
}

static void test_uri_secrets(void **state)
{
	static const struct {
		const char *text, *shown;
	} secrets[] = {
		{"kafka://b:9092/t?rdkafka.sasl.password=geheim",
		 "kafka://b:9092/t?rdkafka.sasl.password=***: no secret"},
		{"a://h?x=1&PASSWORD=geheim&y=2", "a://h?x=1&PASSWORD=***&y=2: no secret"},
		{"a:-?token=geheim&api_key=geheim", "a:-?token=***&api_key=***: no secret"},
		{"a:-?x=1&&token=geheim", "a:-?x=1&&token=***: an option is not"},
		{"a:-?x&token=geheim", "a:-?x&token=***: an option is not"},
		{"a://user:geheim@host:1/p", "a://***@host:1/p: no user or password"},
		{"a://user:geheim@x@host", "a://***@host: no user or password"},
		{"a://u:geheim@h?client_secret=geheim", "a://***@h?client_secret=***: no user or password"},
	};
	static const char *const fine[] = {"a:///p@q", "a://h/p?key=host", "a:-?password_file=/run/secret",
					   "a:-?mail=a@b"};
	struct uri u;
	char err[256];

	(void)state;
	for (size_t i = 0; i < sizeof(secrets) / sizeof(secrets[0]); i++) {
		assert_int_equal(uri_parse(&u, secrets[i].text, err, sizeof(err)), -EINVAL);
		assert_memory_equal(err, secrets[i].shown, strlen(secrets[i].shown));
		assert_null(strstr(err, "geheim"));
	}
	for (size_t i = 0; i < sizeof(fine) / sizeof(fine[0]); i++) {
		assert_int_equal(uri_parse(&u, fine[i], err, sizeof(err)), 0);
		uri_deinit(&u);
	}
}

static void test_nearest(void **state)
{
	static const char *const names[] = {"Telegram", "TLS", "DNS"};

	(void)state;
	assert_string_equal(nearest_string("telegramm", names, 3), "Telegram");
	assert_string_equal(nearest_string("TSL", names, 3), "TLS");
	assert_null(nearest_string("BitTorrent", names, 3));
}

static void test_ring_order_and_full(void **state)
{
	void *memory = calloc(1, ring_size(4, 8));
	struct ring p, c;
	bool broken;

	(void)state;
	ring_init(&p, memory, 4, 8, -1);
	ring_init(&c, memory, 4, 8, -1);
	assert_null(ring_peek(&c, &broken));
	for (uint64_t round = 0; round < 100; round++) {
		for (uint64_t i = 0; i < 4; i++) {
			uint64_t value = round * 4 + i;
			void *slot = ring_reserve(&p);

			assert_non_null(slot);
			memcpy(slot, &value, 8);
			ring_commit(&p);
		}
		assert_null(ring_reserve(&p));
		assert_int_equal(ring_fill(&p), 100);
		for (uint64_t i = 0; i < 4; i++) {
			const void *slot = ring_peek(&c, &broken);
			uint64_t value;

			assert_non_null(slot);
			memcpy(&value, slot, 8);
			assert_int_equal(value, round * 4 + i);
			ring_release(&c);
		}
	}
	free(memory);
}

static void test_ring_hostile_head(void **state)
{
	void *memory = calloc(1, ring_size(4, 8));
	struct ring_shared *shared = memory;
	struct ring c;
	bool broken;

	(void)state;
	ring_init(&c, memory, 4, 8, -1);
	atomic_store(&shared->head, 5);
	assert_null(ring_peek(&c, &broken));
	assert_true(broken);
	atomic_store(&shared->head, UINT64_MAX);
	assert_null(ring_peek(&c, &broken));
	assert_true(broken);
	free(memory);
}

static void test_ring_sleep(void **state)
{
	void *memory = calloc(1, ring_size(4, 8));
	int event = eventfd(0, EFD_NONBLOCK);
	struct ring p, c;
	uint64_t woken;

	(void)state;
	ring_init(&p, memory, 4, 8, event);
	ring_init(&c, memory, 4, 8, event);
	ring_wake(&p);
	assert_int_equal(read(event, &woken, 8), -1); /* nobody asleep: no call */
	assert_true(ring_sleep(&c));
	ring_reserve(&p);
	ring_commit(&p);
	ring_wake(&p);
	assert_int_equal(read(event, &woken, 8), 8);
	assert_false(ring_sleep(&c)); /* something is there */
	assert_false(ring_finished(&c));
	ring_release(&c);
	ring_close(&p);
	assert_true(ring_finished(&c));
	assert_false(ring_sleep(&c));
	close(event);
	free(memory);
}

static void test_utc(void **state)
{
	char text[UTC_TEXT_MAX];

	(void)state;
	assert_string_equal(utc_text(text, UTC_DAY, 1801389600123), "2027-01-31");
	assert_string_equal(utc_text(text, UTC_RFC3339, 1801389600123), "2027-01-31T10:00:00Z");
	assert_string_equal(utc_text(text, UTC_READABLE, 1801389600123), "2027-01-31 10:00:00");
	assert_string_equal(utc_text_ms(text, 1801389600123), "2027-01-31T10:00:00.123Z");
	assert_string_equal(utc_text_ms(text, 0), "1970-01-01T00:00:00.000Z");
	assert_string_equal(utc_text(text, UTC_DAY, UINT64_MAX), "9999-12-31");
	assert_string_equal(utc_text_ms(text, UTC_LAST_MS + 1), "9999-12-31T23:59:59.999Z");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_addr),
		cmocka_unit_test(test_addr_format),
		cmocka_unit_test(test_buf_maximum),
		cmocka_unit_test(test_buf_json),
		cmocka_unit_test(test_utf8_clean),
		cmocka_unit_test(test_wire),
		cmocka_unit_test(test_uri),
		cmocka_unit_test(test_utc),
		cmocka_unit_test(test_uri_secrets),
		cmocka_unit_test(test_nearest),
		cmocka_unit_test(test_ring_order_and_full),
		cmocka_unit_test(test_ring_hostile_head),
		cmocka_unit_test(test_ring_sleep),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
