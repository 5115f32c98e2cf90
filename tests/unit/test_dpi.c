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
#include "dpi_rig.h"
#include "frames.h"

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
		{"tcp:80@Unknown\n", "1: nDPI does not take this protocol"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct dpi_module *m;
		char err[300] = "";

		assert_int_equal(rig_load(&m, cases[i].rules, err), -EINVAL);
		if (strncmp(err, cases[i].want, strlen(cases[i].want)) != 0)
			fail_msg("%s: said \"%s\", not \"%s\"", cases[i].rules, err, cases[i].want);
	}
}

/* In 4.2 the first rule for a name stays, nDPI's before those of the file; later the last one. */
static void test_rule_twice(void **state)
{
	struct dpi_module *m;
	char err[300] = "";

	(void)state;
	assert_int_equal(rig_load(&m, "host:\"a.example\"@Own\n# and\nhost:\"A.example\"@Other\n", err), -EINVAL);
	assert_non_null(strcasestr(err, rig_is_4_2() ? "3: \"a.example\" is Own already"
						     : "1: \"a.example\" is Other already"));
	if (rig_is_4_2()) {
		assert_int_equal(rig_load(&m, "host:\"facebook.com\"@Own\n", err), -EINVAL);
		assert_non_null(strstr(err, "1: \"facebook.com\" is Facebook already"));
	} else {
		assert_int_equal(rig_load(&m, "host:\"facebook.com\"@Own\n", err), 0);
		rig_assert(rig_sni(m, RIG_OTHER_IP, "www.facebook.com"), "TLS.Own", "dpi/dpi");
		dpi_module_free(m);
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
	path = rig_write("host:\"a\0b\"@Own\n", 15);
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
	assert_int_equal(rig_load(&m, rules, err), -EINVAL);
	assert_non_null(strstr(err, ": nDPI does not take this protocol"));
}

/* Names are one word each, with no dot in them: the first dot of a full name splits. */
static void test_names(void **state)
{
	struct dpi_module *m;
	char err[300] = "";
	bool z39 = false, own = false, telegram = false;

	(void)state;
	assert_int_equal(rig_load(&m, "host:\"a.example\"@My.Own\n", err), 0);
	for (uint32_t i = 0; i < dpi_app_count(m); i++) {
		const char *name = dpi_app_name(m, i);

		if (!name)
			continue;
		assert_null(strchr(name, '.'));
		z39 = z39 || strcmp(name, rig_is_4_2() ? "Z39_50" : "Z3950") == 0;
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

static void test_bot_api(void **state)
{
	struct rig_verdict v = rig_sni(rig_module, RIG_OTHER_IP, "api.telegram.org");

	(void)state;
	rig_assert(v, "TLS.Telegram", "dpi/dpi");
	assert_string_equal(v.category, "Chat");
	assert_string_equal(v.name, "api.telegram.org");
	v = rig_query(rig_module, "api.telegram.org");
	rig_assert(v, "DNS.Telegram", "dpi/dpi");
	assert_string_equal(v.category, rig_is_4_2() ? "Chat" : "Network");
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
		rig_assert(rig_sni(rig_module, RIG_OTHER_IP, yes[i]), "TLS.Telegram", "dpi/dpi");
		rig_assert(rig_query(rig_module, yes[i]), "DNS.Telegram", "dpi/dpi");
	}
	for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++) {
		struct rig_verdict v = rig_sni(rig_module, RIG_OTHER_IP, no[i]);

		rig_assert(v, "TLS", "dpi/dpi");
		assert_string_equal(v.category, "Web");
		assert_string_equal(v.name, no[i]);
		rig_assert(rig_query(rig_module, no[i]), "DNS", "dpi/dpi");
	}
	rig_assert(rig_sni(rig_module, RIG_OTHER_IP, "pinterest.me"), "TLS.Pinterest", "dpi/dpi");
	rig_assert(rig_sni(rig_module, RIG_TELEGRAM_IP, "xtelegram.org"), "TLS.Telegram", "dpi/ip");
	/* nDPI's own names too */
	rig_assert(rig_sni(rig_module, RIG_OTHER_IP, "www.facebook.com"), "TLS.Facebook", "dpi/dpi");
	rig_assert(rig_sni(rig_module, RIG_OTHER_IP, "xfacebook.com"), "TLS", "dpi/dpi");
}

static void test_rules(void **state)
{
	static const char rules[] = "# some\n"
				    "\n"
				    "host:\"own.example\"@Own\n"
				    "host:Unquoted.EXAMPLE@Own\n"
				    "tcp:9999,udp:9000-9010@ByPort\n"
				    "ip:198.51.100.0/24@ByAddress\n";
	struct frame_ends e = {"192.0.2.1", RIG_OTHER_IP, 40000, 9999, 0};
	struct frame hello;
	struct dpi_module *m;
	char err[300] = "";

	(void)state;
	assert_int_equal(rig_load(&m, rules, err), 0);
	rig_assert(rig_sni(m, RIG_OTHER_IP, "own.example"), "TLS.Own", "dpi/dpi");
	rig_assert(rig_sni(m, RIG_OTHER_IP, "www.own.example"), "TLS.Own", "dpi/dpi");
	rig_assert(rig_sni(m, RIG_OTHER_IP, "my-own.example"), "TLS", "dpi/dpi");
	rig_assert(rig_sni(m, RIG_OTHER_IP, "unquoted.example"), "TLS.Own", "dpi/dpi");
	rig_assert(rig_query(m, "own.example"), "DNS.Own", "dpi/dpi");
	rig_assert(rig_query(m, "disown.example"), "DNS", "dpi/dpi");
	rig_assert(rig_classify(m, &e, true, "\x01\x02\x03\x04\x05\x06", 6), "ByPort", "dpi/dpi");
	e.dst_port = 9005;
	rig_assert(rig_classify(m, &e, false, "\x01\x02\x03\x04\x05\x06", 6), "ByPort", "dpi/dpi");
	rig_assert(rig_sni(m, "198.51.100.7", "www.example.org"), "TLS.ByAddress", "partial/dpi");
	e = (struct frame_ends){"192.0.2.1", "198.51.100.7", 40000, 443, 0};
	frame_client_hello(&hello, "www.example.org");
	rig_assert(rig_classify(m, &e, true, hello.octets + 20, 100), "ByAddress", "dpi/dpi");
	dpi_module_free(m);
}

/* What is under a name only: nDPI 4.2 does it, later ones find nothing, and say so. */
static void test_rule_for_what_is_under(void **state)
{
	struct dpi_module *m;
	char err[300] = "";

	(void)state;
	if (!rig_is_4_2()) {
		assert_int_equal(rig_load(&m, "host:\".under.example\"@Own\n", err), -EINVAL);
		assert_non_null(strstr(err, "1: this nDPI finds nothing under a name that starts with '.'"));
		return;
	}
	assert_int_equal(rig_load(&m, "host:\".under.example\"@Own\n", err), 0);
	rig_assert(rig_sni(m, RIG_OTHER_IP, "www.under.example"), "TLS.Own", "dpi/dpi");
	rig_assert(rig_sni(m, RIG_OTHER_IP, "under.example"), "TLS", "dpi/dpi");
	dpi_module_free(m);
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
	assert_int_equal(rig_load(&m, rules, err), 0);
	for (uint16_t port = 10000; port < 10200; port++)
		rig_assert(rig_noise(m, RIG_OTHER_IP, port, 0x41), "Own", "dpi/dpi");
	rig_assert(rig_sni(m, RIG_OTHER_IP, "long.example"), "TLS.Own", "dpi/dpi");
	dpi_module_free(m);
	snprintf(rules + 2016, sizeof(rules) - 2016, "tcp:12,host:\"long.example\"@Own\n");
	assert_int_equal(strlen(rules), 2046 + 1);
	assert_int_equal(rig_load(&m, rules, err), -EINVAL);
	assert_non_null(strstr(err, "1: the line is too long"));
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
	assert_string_equal(dpi_risk_name(5),
			    rig_is_4_2() ? "Known Protocol on Non Standard Port" : "Known Proto on Non Std Port");
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
		cmocka_unit_test(test_rule_twice),
		cmocka_unit_test(test_rule_file_odd),
		cmocka_unit_test(test_too_many_protocols),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_bot_api),
		cmocka_unit_test(test_lookalikes),
		cmocka_unit_test(test_rules),
		cmocka_unit_test(test_rule_for_what_is_under),
		cmocka_unit_test(test_longest_line),
		cmocka_unit_test(test_risk_names),
	};

	return cmocka_run_group_tests(tests, rig_setup, rig_teardown);
}
