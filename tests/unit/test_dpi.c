/* SPDX-License-Identifier: Apache-2.0 */
/* The whole of classification with the nDPI that is installed: rules, names, and what is said of known octets. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "dpi/dpi.h"
#include "dpi/protocols_file.h"
#include "frames.h"

#define TELEGRAM_IP "149.154.167.220"

static struct dpi_module *module;

static int setup(void **state)
{
	char err[300] = "";

	(void)state;
	if (dpi_module_new(&module, &(struct dpi_files){.protocols = L7_SOURCE "/etc/protocols.txt"}, err,
			   sizeof(err)) == 0)
		return 0;
	print_error("%s\n", err);
	return -1;
}

static int teardown(void **state)
{
	(void)state;
	dpi_module_free(module);
	return 0;
}

static const char *write_rules(const char *rules, size_t len)
{
	static char path[64];
	int fd;

	snprintf(path, sizeof(path), "/tmp/l7probe-rules-XXXXXX");
	fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, rules, len), len);
	close(fd);
	return path;
}

/* Makes a module of rules; the error, without "path:", is in err. */
static int load(struct dpi_module **m, const char *rules, char err[300])
{
	const char *path = write_rules(rules, strlen(rules));
	size_t len = strlen(path);
	int rc = dpi_module_new(m, &(struct dpi_files){.protocols = path}, err, 300);

	if (rc) {
		assert_null(*m);
		assert_memory_equal(err, path, len);
		assert_int_equal(err[len], ':');
		memmove(err, err + len + 1, strlen(err + len));
	}
	unlink(path);
	return rc;
}

static void test_rule_errors(void **state)
{
	static const struct {
		const char *rules;
		const char *want; /* how the error starts */
	} cases[] = {
		{"# fine\n\nhost:\"a.example\"@Own\nhost:b.example\n", "4: it has no @Protocol"},
		{"host:\"a.example\"@\n", "1: the protocol's name after @"},
		{"host:\"a.example\"@aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n", "1: the protocol's name after @"},
		{"host:\"a.example\"@My Own\n", "1: the protocol's name has a blank"},
		{"host:\"a.example\"@My:Own\n", "1: the protocol's name has a blank"},
		{"@Own\n", "1: nothing stands before the @"},
		{"\nhost:@Own\n", "2: host: wants a name"},
		{"host:\"\"@Own\n", "1: host: wants a name"},
		{"host:\"a.example@Own\n", "1: host: wants a name"},
		{"host:a.example\"@Own\n", "1: host: wants a name"},
		{"host:\"a example\"@Own\n", "1: host: wants a name"},
		{"tcp:0@Own\n", "1: a port is"},
		{"tcp:65536@Own\n", "1: a port is"},
		{"udp:9-8@Own\n", "1: a port is"},
		{"udp:-8@Own\n", "1: a port is"},
		{"tcp:99999999999999999999@Own\n", "1: a port is"},
		{"ip:192.0.2.0/33@Own\n", "1: ip: wants"},
		{"ip:192.0.2.0/@Own\n", "1: ip: wants"},
		{"ip:2001:db8::/32@Own\n", "1: ip: wants"},
		{"ip:192.0.2@Own\n", "1: ip: wants"},
		{"tcp:80,@Own\n", "1: an item starts with"},
		{"sni:\"a.example\"@Own\n", "1: an item starts with"},
		{"tcp:80@Own\r\n", "1: the protocol's name has a blank"},
		{"tcp:80@Own\ntcp:81@Own", "2: the last line does not end"},
		{"host:\"facebook.com\"@Own\n", "1: \"facebook.com\" is Facebook already"},
		{"host:\"a.example\"@Own\n# and\nhost:\"A.example\"@Other\n", "3: \"A.example\" is Own already"},
		{"tcp:80@Unknown\n", "1: nDPI does not take this protocol"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct dpi_module *m;
		char err[300] = "";

		assert_int_equal(load(&m, cases[i].rules, err), -EINVAL);
		if (strncmp(err, cases[i].want, strlen(cases[i].want)) != 0)
			fail_msg("%s: said \"%s\", not \"%s\"", cases[i].rules, err, cases[i].want);
	}
}

static void test_rule_file_odd(void **state)
{
	struct dpi_module *m;
	char err[300] = "";
	const char *path;

	(void)state;
	assert_int_equal(dpi_module_new(&m, &(struct dpi_files){.protocols = "/nonexistent/rules"}, err, sizeof(err)),
			 -ENOENT);
	assert_non_null(strstr(err, "/nonexistent/rules"));
	path = write_rules("host:\"a\0b\"@Own\n", 15);
	assert_int_equal(dpi_module_new(&m, &(struct dpi_files){.protocols = path}, err, sizeof(err)), -EINVAL);
	assert_non_null(strstr(err, ":1: the line is too long or has an octet 0"));
	unlink(path);
}

static void test_too_many_protocols(void **state)
{
	struct dpi_module *m;
	char err[300] = "";
	static char rules[40000];
	size_t len = 0;

	(void)state;
	for (unsigned i = 0; i < 235; i++)
		len += (size_t)snprintf(rules + len, sizeof(rules) - len, "host:\"h%u.example\"@Own%u\n", i, i);
	assert_int_equal(load(&m, rules, err), -EINVAL);
	assert_non_null(strstr(err, ": nDPI does not take this protocol"));
}

/* Names are one word each, with no dot in them: the first dot of a full name splits. */
static void test_names(void **state)
{
	struct dpi_module *m;
	char err[300] = "";
	bool z39 = false, own = false, telegram = false;

	(void)state;
	assert_int_equal(load(&m, "host:\"a.example\"@My.Own\n", err), 0);
	for (uint32_t i = 0; i < dpi_app_count(m); i++) {
		const char *name = dpi_app_name(m, i);

		if (!name)
			continue;
		assert_null(strchr(name, '.'));
		z39 = z39 || strcmp(name, "Z39_50") == 0;
		own = own || strcmp(name, "My_Own") == 0;
		telegram = telegram || strcmp(name, "Telegram") == 0;
	}
	assert_true(z39 && own && telegram);
	assert_string_equal(dpi_app_name(m, 0), "Unknown");
	assert_null(dpi_app_name(m, dpi_app_count(m)));
	assert_null(dpi_category_name(m, dpi_category_count(m)));
	assert_string_not_equal(dpi_version(), "");
	dpi_module_free(m);
}

struct verdict {
	char app[90]; /* "Master.App", as in a record */
	char confidence[20];
	char category[40];
	char name[100]; /* SNI, HTTP host or DNS query */
};

static void name_verdict(struct dpi_module *m, const struct dpi_verdict *v, struct verdict *out)
{
	const char *master = dpi_app_name(m, v->master), *app = dpi_app_name(m, v->app);

	assert_true(master && app);
	if (v->master == v->app)
		snprintf(out->app, sizeof(out->app), "%s", app);
	else
		snprintf(out->app, sizeof(out->app), "%s.%s", master, app);
	snprintf(out->confidence, sizeof(out->confidence), "%s/%s", l7_confidence_name(v->master_confidence),
		 l7_confidence_name(v->confidence));
	snprintf(out->category, sizeof(out->category), "%s", v->category ? dpi_category_name(m, v->category) : "");
}

/* One flow of the same packet, sent until nDPI is done. */
static struct verdict classify(struct dpi_module *m, const struct frame_ends *e, bool tcp, const void *payload,
			       size_t len)
{
	void *flow = aligned_alloc(64, (dpi_state_size() + 63) & ~(size_t)63);
	uint8_t src[16] = {0}, dst[16] = {0};
	struct dpi_ends ends = {.src_ip = src, .dst_ip = dst};
	struct verdict out = {.app = ""};
	struct dpi_texts texts;
	struct dpi_verdict v;
	struct packet p;
	struct frame f;

	assert_non_null(flow);
	dpi_begin(flow);
	for (unsigned i = 0; i < DPI_BUDGET_TCP; i++) {
		if (tcp)
			frame_tcp(&f, e, FRAME_PSH | FRAME_ACK, payload, len);
		else
			frame_udp(&f, e, payload, len);
		if (tcp)
			frame_set16(&f, 14 + 20 + 6, (unsigned)(i * len)); /* a sequence number of its own */
		assert_int_equal(decode_ethernet(f.octets, f.len, f.len, &p), DECODE_OK);
		p.time_ms = UINT64_C(1700000000000) + i;
		p.reverse = false;
		if (dpi_packet(m, flow, &p))
			break;
		assert_true(i + 1 < (tcp ? DPI_BUDGET_TCP : DPI_BUDGET_OTHER));
	}
	dpi_verdict(m, flow, &ends, &v, &texts);
	name_verdict(m, &v, &out);
	for (int k = DPI_SNI; k <= DPI_DNS_QUERY; k++)
		if (texts.kind[k].len)
			snprintf(out.name, sizeof(out.name), "%.*s", (int)texts.kind[k].len, texts.kind[k].s);
	dpi_end(flow);
	free(flow);
	return out;
}

static struct verdict classify_sni(struct dpi_module *m, const char *dst, const char *sni)
{
	struct frame_ends e = {"192.0.2.1", dst, 40000, 443, 0};
	struct frame hello;

	frame_client_hello(&hello, sni);
	return classify(m, &e, true, hello.octets, hello.len);
}

static struct verdict classify_query(struct dpi_module *m, const char *name)
{
	struct frame_ends e = {"192.0.2.1", "203.0.113.5", 40000, 53, 0};
	struct frame query;

	frame_dns_query(&query, name);
	return classify(m, &e, false, query.octets, query.len);
}

static void assert_verdict(struct verdict v, const char *app, const char *confidence)
{
	if (strcmp(v.app, app) != 0 || strcmp(v.confidence, confidence) != 0)
		fail_msg("%s: %s %s, not %s %s", v.name, v.app, v.confidence, app, confidence);
}

static void test_bot_api(void **state)
{
	struct verdict v = classify_sni(module, "203.0.113.5", "api.telegram.org");

	(void)state;
	assert_verdict(v, "TLS.Telegram", "dpi/dpi");
	assert_string_equal(v.category, "Chat");
	assert_string_equal(v.name, "api.telegram.org");
	v = classify_query(module, "api.telegram.org");
	assert_verdict(v, "DNS.Telegram", "dpi/dpi");
	assert_string_equal(v.category, "Chat");
	assert_string_equal(v.name, "api.telegram.org");
}

/* The shipped rules match their names and what is under them, and nothing that only looks like them. */
static void test_lookalikes(void **state)
{
	static const char *const yes[] = {
		"telegram.org",
		"api.telegram.org",
		"API.Telegram.ORG",
		"a.b.telegram.org",
		"web.telegram.org",
		"web-telegram.telegram.org",
		"t.me",
		"durov.t.me",
		"x-y.t.me",
		"telegram.me",
		"telegra.ph",
		"telegram.dog",
	};
	static const char *const no[] = {
		"nottelegram.org",
		"xtelegram.org",
		"xxtelegram.org",
		"not-telegram.org",
		"x.not-telegram.org",
		"telegram.org.evil.example",
		"telegram.orgs.example",
		"api-telegram.org",
		"at.me",
		"xt.me",
		"x.at.me",
		"my-t.me",
		"at.meteo.example",
		"t.me.example",
		"t.men",
		"telegram.example",
		"tele.gra.ph",
		"xtelegra.ph",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++) {
		assert_verdict(classify_sni(module, "203.0.113.5", yes[i]), "TLS.Telegram", "dpi/dpi");
		assert_verdict(classify_query(module, yes[i]), "DNS.Telegram", "dpi/dpi");
	}
	for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++) {
		struct verdict v = classify_sni(module, "203.0.113.5", no[i]);

		assert_verdict(v, "TLS", "dpi/dpi");
		assert_string_equal(v.category, "Web");
		assert_string_equal(v.name, no[i]);
		assert_verdict(classify_query(module, no[i]), "DNS", "dpi/dpi");
	}
	assert_verdict(classify_sni(module, "203.0.113.5", "pinterest.me"), "TLS.Pinterest", "dpi/dpi");
	assert_verdict(classify_sni(module, TELEGRAM_IP, "xtelegram.org"), "TLS.Telegram", "dpi/ip");
	/* nDPI's own names too */
	assert_verdict(classify_sni(module, "203.0.113.5", "www.facebook.com"), "TLS.Facebook", "dpi/dpi");
	assert_verdict(classify_sni(module, "203.0.113.5", "xfacebook.com"), "TLS", "dpi/dpi");
}

static void test_rules(void **state)
{
	static const char rules[] = "# some\n"
				    "\n"
				    "host:\"own.example\",host:\".under.example\"@Own\n"
				    "host:Unquoted.EXAMPLE@Own\n"
				    "tcp:9999,udp:9000-9010@ByPort\n"
				    "ip:198.51.100.0/24@ByAddress\n";
	struct frame_ends e = {"192.0.2.1", "203.0.113.5", 40000, 9999, 0};
	struct frame hello;
	struct dpi_module *m;
	char err[300] = "";

	(void)state;
	assert_int_equal(load(&m, rules, err), 0);
	assert_verdict(classify_sni(m, "203.0.113.5", "own.example"), "TLS.Own", "dpi/dpi");
	assert_verdict(classify_sni(m, "203.0.113.5", "www.own.example"), "TLS.Own", "dpi/dpi");
	assert_verdict(classify_sni(m, "203.0.113.5", "my-own.example"), "TLS", "dpi/dpi");
	assert_verdict(classify_sni(m, "203.0.113.5", "www.under.example"), "TLS.Own", "dpi/dpi");
	assert_verdict(classify_sni(m, "203.0.113.5", "under.example"), "TLS", "dpi/dpi");
	assert_verdict(classify_sni(m, "203.0.113.5", "unquoted.example"), "TLS.Own", "dpi/dpi");
	assert_verdict(classify_query(m, "own.example"), "DNS.Own", "dpi/dpi");
	assert_verdict(classify_query(m, "disown.example"), "DNS", "dpi/dpi");
	assert_verdict(classify(m, &e, true, "\x01\x02\x03\x04\x05\x06", 6), "ByPort", "dpi/dpi");
	e.dst_port = 9005;
	assert_verdict(classify(m, &e, false, "\x01\x02\x03\x04\x05\x06", 6), "ByPort", "dpi/dpi");
	assert_verdict(classify_sni(m, "198.51.100.7", "www.example.org"), "TLS.ByAddress", "partial/dpi");
	e = (struct frame_ends){"192.0.2.1", "198.51.100.7", 40000, 443, 0};
	frame_client_hello(&hello, "www.example.org");
	assert_verdict(classify(m, &e, true, hello.octets + 20, 100), "ByAddress", "dpi/dpi");
	dpi_module_free(m);
}

/* Octets that are no protocol, the first one given. */
static struct verdict classify_noise(struct dpi_module *m, const char *dst, uint16_t port, uint8_t first)
{
	struct frame_ends e = {"192.0.2.1", dst, 40000, port, 0};
	uint8_t noise[200];
	uint32_t x = 12345;

	for (size_t i = 0; i < sizeof(noise); i++) {
		x = x * 1664525 + 1013904223;
		noise[i] = (uint8_t)(x >> 24);
	}
	noise[0] = first;
	noise[1] = 0x0a;
	return classify(m, &e, true, noise, sizeof(noise));
}

/* The longest line that nDPI reads whole is taken whole, and one more octet is an error. */
static void test_longest_line(void **state)
{
	static char rules[2100];
	struct dpi_module *m;
	char err[300] = "";
	size_t len = 0;

	(void)state;
	for (unsigned i = 0; i < 200; i++)
		len += (size_t)snprintf(rules + len, sizeof(rules) - len, "tcp:%u,", 10000 + i);
	len += (size_t)snprintf(rules + len, sizeof(rules) - len, "udp:10000-20000,tcp:1,host:\"long.example\"@Own\n");
	assert_int_equal(len, 2046);
	assert_int_equal(load(&m, rules, err), 0);
	for (uint16_t port = 10000; port < 10200; port++)
		assert_verdict(classify_noise(m, "203.0.113.5", port, 0x41), "Own", "dpi/dpi");
	assert_verdict(classify_sni(m, "203.0.113.5", "long.example"), "TLS.Own", "dpi/dpi");
	dpi_module_free(m);
	snprintf(rules + 2016, sizeof(rules) - 2016, "tcp:12,host:\"long.example\"@Own\n");
	assert_int_equal(strlen(rules), 2046 + 1);
	assert_int_equal(load(&m, rules, err), -EINVAL);
	assert_non_null(strstr(err, "1: the line is too long"));
}

/* A guess is not dressed as a sight. */
static void test_honest_names(void **state)
{
	struct frame_ends tls = {"192.0.2.1", TELEGRAM_IP, 40000, 443, 0};
	struct dpi_ends ends = {.src_port = 40000, .dst_port = 443, .protocol = IPPROTO_TCP, .ip_version = 4};
	uint8_t src[16], dst[16];
	struct dpi_verdict v;
	struct verdict out;

	(void)state;
	assert_verdict(classify_noise(module, TELEGRAM_IP, 443, 0x41), "Telegram", "ip/ip");
	assert_verdict(classify_noise(module, "203.0.113.5", 443, 0x41), "Unknown", "none/none");
	assert_verdict(classify_noise(module, "203.0.113.5", 443, 0xef), "Telegram", "partial/partial");
	assert_verdict(classify_noise(module, TELEGRAM_IP, 443, 0xef), "Telegram", "dpi/dpi");
	assert_verdict(classify_noise(module, "203.0.113.5", 3389, 0x41), "Unknown", "none/none");
	assert_verdict(classify_sni(module, TELEGRAM_IP, "www.example.org"), "TLS.Telegram", "dpi/ip");
	assert_verdict(classify_sni(module, "203.0.113.5", "www.example.org"), "TLS", "dpi/dpi");
	assert_verdict(classify(module, &tls, true, "\x16\x03\x01\x02\x00\x01", 6), "TLS.Telegram", "partial/ip");

	addr_parse("192.0.2.1", src);
	addr_parse("203.0.113.5", dst);
	ends.src_ip = src;
	ends.dst_ip = dst;
	dpi_guess(module, &ends, &v);
	name_verdict(module, &v, &out);
	assert_verdict(out, "TLS", "port/port");
	addr_parse(TELEGRAM_IP, dst);
	dpi_guess(module, &ends, &v);
	name_verdict(module, &v, &out);
	assert_verdict(out, "Telegram", "ip/ip");
	assert_string_equal(out.category, "Chat");
	ends.protocol = IPPROTO_ICMP;
	ends.src_port = ends.dst_port = 0;
	addr_parse("203.0.113.5", dst);
	dpi_guess(module, &ends, &v);
	name_verdict(module, &v, &out);
	assert_verdict(out, "ICMP", "dpi/dpi");
}

/* Every risk has a name that is text and not its number; what is no risk has none. */
static void test_risk_names(void **state)
{
	uint32_t n = dpi_risk_count();

	(void)state;
	assert_true(n > 40 && n <= 64);
	for (uint32_t bit = 1; bit < n; bit++) {
		const char *name = dpi_risk_name(bit);

		assert_non_null(name);
		assert_true(strlen(name) > 5 && strspn(name, "0123456789") < strlen(name));
		assert_true(dpi_risk_score(bit) >= 10 && dpi_risk_score(bit) <= 1000);
	}
	assert_string_equal(dpi_risk_name(5), "Known Protocol on Non Standard Port");
	assert_null(dpi_risk_name(0));
	assert_null(dpi_risk_name(n));
	assert_null(dpi_risk_name(UINT32_MAX));
	assert_int_equal(dpi_risk_score(n), 0);
	assert_int_equal(dpi_risk_score(64), 0);
	assert_true(dpi_risk_score(5) > dpi_risk_score(22)); /* that, and "Unsafe Protocol" */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rule_errors),
		cmocka_unit_test(test_rule_file_odd),
		cmocka_unit_test(test_too_many_protocols),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_bot_api),
		cmocka_unit_test(test_lookalikes),
		cmocka_unit_test(test_rules),
		cmocka_unit_test(test_longest_line),
		cmocka_unit_test(test_honest_names),
		cmocka_unit_test(test_risk_names),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
