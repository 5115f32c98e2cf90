/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Filters of outputs. What names mean is what l7watch's rules mean by them: a record is completed with its names, and those are asked,
 * too.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/addr.h"
#include "export/complete.h"
#include "export/filter.h"
#include "l7/fields.h"
#include "record/names.h"

/* Of ids there are some without a name; 7 is not there yet. */
static const char *apps[] = {"Unknown", "TLS", "DNS", "Telegram", "", "My_App", "MDNS", "Late"};
static const char *categories[] = {"Unspecified", "Chat", "Web", NULL};
static _Atomic uint32_t n_apps;
static const struct exporter_names names = {
	.apps = apps, .n_apps = &n_apps, .categories = categories, .n_categories = 4};
static const struct exporter_config config = {.names = &names};

static int setup(void **state)
{
	(void)state;
	n_apps = 7;
	return 0;
}

static struct filter *filter_of(const char *options)
{
	struct filter *f = NULL;
	char text[256], err[512];
	struct uri u;

	snprintf(text, sizeof(text), "ipfix+tcp://collector%s%s", *options ? "?" : "", options);
	if (uri_parse(&u, text, err, sizeof(err)) || filter_new(&f, &u, &names, err, sizeof(err)))
		fail_msg("%s", err);
	uri_deinit(&u);
	return f;
}

struct called {
	uint32_t master, app, category;
	uint8_t master_confidence, confidence;
};

static void called_record(struct l7_record *r, const struct called *c)
{
	memset(r, 0, sizeof(*r));
	r->master_id = c->master;
	r->app_id = c->app;
	r->category_id = c->category;
	r->master_confidence = c->master_confidence;
	r->confidence = c->confidence;
	l7_mark(r, L7_F_appConfidence);
	l7_mark(r, L7_F_masterConfidence);
}

/* ---- what rules say ---- */

static uint32_t rules_number(struct names_table *t, const char *name)
{
	return (uint32_t)names_table_add(t, name, strlen(name));
}

/* A list as rules have it, asked of the names of a record as l7watch would get it. */
struct oracle {
	struct names_table table;
	struct names_list list;
	struct names_pattern patterns[8];
	bool category;
};

static void oracle_init(struct oracle *o, const char *options)
{
	char copy[128], *next = copy;

	memset(o, 0, sizeof(*o));
	assert_int_equal(names_table_init(&o->table), 0);
	o->list.patterns = o->patterns;
	o->category = strncmp(options, "category=", 9) == 0;
	strcpy(copy, strchr(options, '=') + 1);
	while (next) {
		char *item = strsep(&next, ",");
		struct names_pattern *p = &o->patterns[o->list.n++];
		struct names_written w = {.kind = PATTERN_APP};

		p->negated = *item == '!';
		o->list.positive |= !p->negated;
		w.app = item += p->negated;
		assert_true(o->category || names_read(&w, item) == 0);
		p->kind = w.kind;
		p->master = *w.master ? rules_number(&o->table, w.master) : 0;
		p->app = w.kind == PATTERN_MASTER ? 0 : rules_number(&o->table, w.app);
	}
}

/* All but these: unlike rules, a filter then takes what is unknown. */
static bool oracle_negates_none(const struct oracle *o, const struct names_record *trusted,
				const struct names_record *guess)
{
	for (size_t i = 0; i < o->list.n; i++) {
		const struct names_pattern *p = &o->patterns[i];

		if (o->category ? p->app == names_category(trusted) || p->app == guess->category
				: names_pattern_matches(p, trusted) || names_pattern_matches(p, guess))
			return false;
	}
	return true;
}

static bool oracle_says(const struct oracle *o, struct l7_record *r)
{
	struct names_record guess, trusted;

	complete_fill(r, &config, &(struct complete){NULL, NULL, NULL});
	names_of_record(&o->table, r, &guess);
	trusted = names_trusted(&guess, L7_CONF_CACHE);
	if (!o->list.positive)
		return oracle_negates_none(o, &trusted, &guess);
	if (o->category)
		return names_match_one(&o->list, names_category(&trusted), guess.category);
	return names_match(&o->list, &trusted, &guess);
}

/* Every id, known or not, with every other, in every category, known well and less well. */
static void check_against_rules(const char *options)
{
	static const uint8_t levels[] = {L7_CONF_DPI, L7_CONF_CACHE, L7_CONF_PARTIAL, L7_CONF_NONE};
	struct filter *f = filter_of(options);
	size_t wanted = 0, all = 10 * 10 * 5 * 16;
	struct oracle o;

	oracle_init(&o, options);
	for (uint32_t i = 0; i < all; i++) {
		struct called c = {.master = i % 10,
				   .app = i / 10 % 10,
				   .category = i / 100 % 5,
				   .master_confidence = levels[i / 500 % 4],
				   .confidence = levels[i / 2000]};
		struct l7_record r;
		bool wants;

		called_record(&r, &c);
		wants = filter_wants(f, &r);
		if (c.master >= n_apps || c.app >= n_apps)
			continue; /* of no name: see test_late_protocol() */
		if (wants != oracle_says(&o, &r))
			fail_msg("%s: master %u, app %u, category %u, confidence %u and %u: %d", options, c.master,
				 c.app, c.category, c.master_confidence, c.confidence, wants);
		wanted += wants;
	}
	if (wanted == 0 || wanted == all)
		fail_msg("%s: %zu of %zu", options, wanted, all);
	names_table_deinit(&o.table);
	filter_free(f);
}

static void test_as_rules(void **state)
{
	static const char *const options[] = {
		"app=TLS",
		"app=TLS.*",
		"app=Telegram",
		"app=telegram",
		"app=TLS.Telegram",
		"app=DNS",
		"app=DNS.*",
		"app=DNS.Telegram",
		"app=My_App",
		"app=Unknown",
		"app=category:Chat",
		"app=!Telegram",
		"app=!DNS",
		"app=!TLS.*",
		"app=!TLS.Telegram",
		"app=!category:Chat",
		"app=!Unknown",
		"app=TLS.*,DNS,!Telegram",
		"app=TLS,TLS.Telegram,MDNS.*",
		"app=!Telegram,Unknown",
		"category=Chat",
		"category=chat,Web",
		"category=!Chat",
		"category=Web,!Chat",
		"category=Unspecified",
		"category=Unknown",
		"category=!Chat,!Unknown",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		check_against_rules(options[i]);
}

/* Added after the start, by a reload: nobody has asked for it, and nobody but an all-but list wants it. */
static void test_late_protocol(void **state)
{
	const struct called late = {7, 7, 2, L7_CONF_DPI, L7_CONF_DPI}, over = {1, 7, 1, L7_CONF_DPI, L7_CONF_DPI};
	static const struct {
		const char *options;
		bool late, over;
	} cases[] = {{"app=TLS", false, false},   {"app=!TLS", true, true},      {"app=TLS.*", false, true},
		     {"app=!TLS.*", true, false}, {"app=Unknown", false, false}, {"category=Web", true, false}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct filter *f = filter_of(cases[i].options);
		struct l7_record r;

		n_apps = 8;
		called_record(&r, &late);
		assert_int_equal(filter_wants(f, &r), cases[i].late);
		called_record(&r, &over);
		assert_int_equal(filter_wants(f, &r), cases[i].over);
		n_apps = 7;
		filter_free(f);
	}
}

static void test_hosts(void **state)
{
	static const struct {
		const char *list, *src, *dst;
		bool wanted;
	} cases[] = {
		{"10.0.0.0/8", "10.1.2.3", "192.0.2.1", true},
		{"10.0.0.0/8", "192.0.2.1", "10.1.2.3", true},
		{"10.0.0.0/8", "192.0.2.1", "192.0.2.2", false},
		{"192.0.2.1", "192.0.2.1", "8.8.8.8", true},
		{"192.0.2.1", "192.0.2.2", "8.8.8.8", false},
		{"2001:db8::/32", "2001:db8::1", "2001:db9::1", true},
		{"2001:db8::/32", "2001:db9::2", "2001:db9::1", false},
		{"!10.0.0.0/8", "10.1.2.3", "192.0.2.1", false},
		{"!10.0.0.0/8", "192.0.2.1", "10.1.2.3", false},
		{"!10.0.0.0/8", "192.0.2.1", "192.0.2.2", true},
		{"10.0.0.0/8,!10.9.0.0/16", "10.1.2.3", "192.0.2.1", true},
		{"10.0.0.0/8,!10.9.0.0/16", "10.9.2.3", "192.0.2.1", false},
		{"10.0.0.0/8,!10.9.0.0/16", "10.1.2.3", "10.9.0.1", false},
		{"10.0.0.0/8,!10.9.0.0/16", "192.0.2.2", "192.0.2.1", false},
		{"192.0.2.1,2001:db8::/32,10.0.0.0/8", "8.8.8.8", "10.0.0.1", true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char options[128];
		struct l7_record r = {0};
		struct filter *f;

		snprintf(options, sizeof(options), "hosts=%s", cases[i].list);
		f = filter_of(options);
		assert_int_equal(addr_parse(cases[i].src, r.src_ip), 0);
		assert_int_equal(addr_parse(cases[i].dst, r.dst_ip), 0);
		if (filter_wants(f, &r) != cases[i].wanted)
			fail_msg("%s: %s to %s", cases[i].list, cases[i].src, cases[i].dst);
		filter_free(f);
	}
}

/* All options that are given must agree. */
static void test_together(void **state)
{
	struct filter *f = filter_of("app=TLS.*&category=Chat&hosts=192.0.2.0/24");
	const struct called good = {1, 3, 1, L7_CONF_DPI, L7_CONF_DPI};

	(void)state;
	for (int wrong = 0; wrong < 4; wrong++) {
		struct called c = good;
		struct l7_record r;

		if (wrong == 1)
			c.master = 2;
		if (wrong == 2)
			c.category = 2;
		called_record(&r, &c);
		assert_int_equal(addr_parse(wrong == 3 ? "192.0.3.1" : "192.0.2.1", r.src_ip), 0);
		assert_int_equal(addr_parse("8.8.8.8", r.dst_ip), 0);
		assert_int_equal(filter_wants(f, &r), wrong == 0);
	}
	filter_free(f);
}

static void test_errors(void **state)
{
	static const struct {
		const char *options, *said;
		bool before; /* wrong whatever names there are */
	} cases[] = {
		{"app=Telegramm", "option app: there is no protocol Telegramm; did you mean Telegram?", false},
		{"app=TLS.Telegran", "there is no protocol Telegran; did you mean Telegram?", false},
		{"app=Tls2.*", "there is no protocol Tls2; did you mean TLS?", false},
		{"app=category:Chap", "there is no category Chap; did you mean Chat?", false},
		{"app=Chat", "there is no protocol Chat", false},
		{"app=Late", "there is no protocol Late", false},
		{"category=Telegram", "option category: there is no category Telegram", false},
		{"category=TLS.*", "there is no category TLS.*", false},
		{"app=", "option app: an item of its list is empty", true},
		{"app=TLS,,DNS", "an item of its list is empty", true},
		{"app=!", "an item of its list is empty", true},
		{"app=TLS.*.x", "TLS.*.x is not a name such as", true},
		{"app=category:", "", true},
		{"hosts=here", "option hosts: here is no address and no network", true},
		{"hosts=10.0.0.1/8", "host bits are set", true},
		{"hosts=!10.0.0.0/33", "10.0.0.0/33 is no address", true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct filter *f;
		char text[128], err[512] = "";
		struct uri u;

		snprintf(text, sizeof(text), "json:-?%s", cases[i].options);
		assert_int_equal(uri_parse(&u, text, err, sizeof(err)), 0);
		if (!filter_new(&f, &u, &names, err, sizeof(err)) || !strstr(err, cases[i].said))
			fail_msg("%s: \"%s\"", cases[i].options, err);
		assert_null(f);
		assert_int_equal(filter_new(&f, &u, NULL, err, sizeof(err)) != 0, cases[i].before);
		assert_null(f);
		uri_deinit(&u);
	}
}

/* However long a list is, what is wrong with it is said. */
static void test_long_list(void **state)
{
	char text[2048] = "ipfix+tcp://collector?app=TLS", err[256] = "";
	struct filter *f;
	struct uri u;

	(void)state;
	while (strlen(text) < sizeof(text) - 32)
		strcat(text, ",DNS");
	strcat(text, ",Telegramm");
	assert_int_equal(uri_parse(&u, text, err, sizeof(err)), 0);
	assert_int_equal(filter_new(&f, &u, &names, err, sizeof(err)), -EINVAL);
	assert_non_null(strstr(err, "...: option app: there is no protocol Telegramm; did you mean Telegram?"));
	uri_deinit(&u);
}

static void test_none(void **state)
{
	(void)state;
	assert_null(filter_of(""));
	assert_null(filter_of("early=1"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_as_rules), cmocka_unit_test(test_late_protocol), cmocka_unit_test(test_hosts),
		cmocka_unit_test(test_together), cmocka_unit_test(test_errors),        cmocka_unit_test(test_long_list),
		cmocka_unit_test(test_none),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
