/* SPDX-License-Identifier: Apache-2.0 */
/* Names of protocols: how they are written, what they match, and that a set says what its list says. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "l7/fields.h"
#include "record/names.h"

#define ITEMS_MAX 6

struct list {
	struct names_table table;
	struct names_list list;
	struct names_pattern patterns[ITEMS_MAX];
};

static uint32_t number(struct names_table *t, const char *name)
{
	int64_t n = names_table_add(t, name, strlen(name));

	assert_true(n > 0);
	return (uint32_t)n;
}

/* "TLS.*,!Telegram" */
static void list_init(struct list *l, const char *text)
{
	char copy[128], *next = copy;

	memset(l, 0, sizeof(*l));
	assert_int_equal(names_table_init(&l->table), 0);
	l->list.patterns = l->patterns;
	strcpy(copy, text);
	while (next) {
		char *item = strsep(&next, ",");
		struct names_pattern *p = &l->patterns[l->list.n++];
		struct names_written w;

		p->negated = *item == '!';
		l->list.positive |= !p->negated;
		assert_int_equal(names_read(&w, item + p->negated), 0);
		p->kind = w.kind;
		if (*w.master)
			p->master = number(&l->table, w.master);
		if (w.kind != PATTERN_MASTER)
			p->app = number(&l->table, w.app);
	}
}

static void test_read(void **state)
{
	static const struct {
		const char *text;
		int rc;
		enum names_pattern_kind kind;
		const char *master, *app;
	} cases[] = {
		{"TLS", 0, PATTERN_APP, "", "TLS"},
		{"TLS.*", 0, PATTERN_MASTER, "TLS", "*"},
		{"TLS.Telegram", 0, PATTERN_BOTH, "TLS", "Telegram"},
		{"category:Chat", 0, PATTERN_CATEGORY, "", "Chat"},
		{"category:A.B", 0, PATTERN_CATEGORY, "", "A.B"},
		{".TLS", -EINVAL, 0, NULL, NULL},
		{"TLS.*.x", -EINVAL, 0, NULL, NULL},
		{"0123456789012345678901234567890123456789012345678901234567890123.x", -EINVAL, 0, NULL, NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct names_written w;

		assert_int_equal(names_read(&w, cases[i].text), cases[i].rc);
		if (cases[i].rc)
			continue;
		assert_int_equal(w.kind, cases[i].kind);
		assert_string_equal(w.master, cases[i].master);
		assert_string_equal(w.app, cases[i].app);
	}
}

static void record_called(struct l7_record *r, const char *app, const char *category, uint8_t confidence)
{
	memset(r, 0, sizeof(*r));
	assert_true(l7_record_set_app(r, app, strlen(app)));
	assert_true(l7_record_text(r, &r->category, category, strlen(category), L7_TEXT_MAX));
	r->confidence = r->master_confidence = confidence;
	l7_mark(r, L7_F_appConfidence);
	l7_mark(r, L7_F_masterConfidence);
}

/* The table of docs/rules.md, and what is said below it. */
static void test_table(void **state)
{
	static const struct {
		const char *list, *app, *category;
		uint8_t confidence;
		bool matches;
	} cases[] = {
		{"TLS", "TLS", "Web", L7_CONF_DPI, true},
		{"TLS", "TLS.Telegram", "Chat", L7_CONF_DPI, false},
		{"tls", "TLS", "Web", L7_CONF_DPI, true},
		{"TLS.*", "TLS", "Web", L7_CONF_DPI, true},
		{"TLS.*", "TLS.Telegram", "Chat", L7_CONF_DPI, true},
		{"TLS.*", "QUIC.Telegram", "Chat", L7_CONF_DPI, false},
		{"Telegram", "Telegram", "Chat", L7_CONF_DPI, true},
		{"Telegram", "QUIC.Telegram", "Chat", L7_CONF_DPI, true},
		{"Telegram", "DNS.Telegram", "Chat", L7_CONF_DPI, false},
		{"TLS.Telegram", "TLS.Telegram", "Chat", L7_CONF_DPI, true},
		{"TLS.Telegram", "QUIC.Telegram", "Chat", L7_CONF_DPI, false},
		{"TLS.Telegram", "Telegram", "Chat", L7_CONF_DPI, false},
		{"DNS", "DNS.Telegram", "Chat", L7_CONF_DPI, true},
		{"DNS.*", "DNS", "Network", L7_CONF_DPI, true},
		{"DNS.Telegram", "DNS.Telegram", "Chat", L7_CONF_DPI, true},
		{"category:Chat", "QUIC.Telegram", "Chat", L7_CONF_DPI, true},
		{"category:Chat", "DNS.Telegram", "Chat", L7_CONF_DPI, false},
		{"Telegram", "Telegram", "Chat", L7_CONF_IP, false},
		{"Unknown", "Telegram", "Chat", L7_CONF_IP, true},
		{"!Telegram", "Telegram", "Chat", L7_CONF_IP, false},
		{"!Telegram", "TLS", "Web", L7_CONF_DPI, true},
		{"!Telegram", "Unknown", "Unspecified", L7_CONF_NONE, false},
		{"!Telegram,Unknown", "Unknown", "Unspecified", L7_CONF_NONE, true},
		{"TLS.*,!TLS.Telegram", "TLS.Telegram", "Chat", L7_CONF_DPI, false},
		{"TLS.*,!TLS.Telegram", "TLS.Viber", "Chat", L7_CONF_DPI, true},
		{"!category:Chat", "TLS.Viber", "Chat", L7_CONF_DPI, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct names_record guess, trusted;
		struct l7_record r;
		struct list l;

		list_init(&l, cases[i].list);
		record_called(&r, cases[i].app, cases[i].category, cases[i].confidence);
		names_of_record(&l.table, &r, &guess);
		trusted = names_trusted(&guess, NAMES_CONFIDENCE);
		if (names_match(&l.list, &trusted, &guess) != cases[i].matches)
			fail_msg("case %zu: %s and %s", i, cases[i].list, cases[i].app);
		names_table_deinit(&l.table);
	}
}

/* Every list of up to three items of one name or another against every record that such names can make. */
static void check_set(struct list *l)
{
	struct names_set set;

	assert_int_equal(names_set_init(&set, &l->list, l->table.n), 0);
	for (uint32_t i = 0; i < l->table.n * l->table.n * 4; i++) {
		static const uint8_t levels[] = {L7_CONF_DPI, L7_CONF_IP};
		struct names_record guess = {.master = i % l->table.n,
					     .app = i / l->table.n % l->table.n,
					     .confidence = levels[i & 1],
					     .master_confidence = levels[i >> 1 & 1]};
		struct names_record trusted;

		guess.dotted = guess.master != guess.app;
		guess.service = guess.master >= NAME_DNS && guess.master <= NAME_NETBIOS;
		for (guess.category = 0; guess.category < l->table.n; guess.category++) {
			trusted = names_trusted(&guess, NAMES_CONFIDENCE);
			assert_int_equal(names_set_match(&set, &trusted, &guess),
					 names_match(&l->list, &trusted, &guess));
		}
	}
	names_set_deinit(&set);
}

static void test_set(void **state)
{
	static const char *const items[] = {"TLS",           "TLS.*", "Telegram",       "TLS.Telegram",
					    "DNS",           "DNS.*", "Unknown",        "DNS.Telegram",
					    "category:Chat", "!TLS",  "!Telegram",      "!TLS.*",
					    "!TLS.Telegram", "!DNS",  "!category:Chat", "TLS.Unknown"};
	enum { N = sizeof(items) / sizeof(items[0]) };

	(void)state;
	for (size_t i = 0; i < N * N * N; i++) {
		char text[64];
		struct list l;

		snprintf(text, sizeof(text), "%s,%s,%s", items[i % N], items[i / N % N], items[i / N / N]);
		list_init(&l, text);
		check_set(&l);
		names_table_deinit(&l.table);
	}
}

/* Keys that take plain names. */
static void test_set_one(void **state)
{
	static const char *const lists[] = {"Web",        "!Web",    "Web,Chat", "Web,!Chat",
					    "!Web,!Chat", "Unknown", "!Unknown"};

	(void)state;
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		struct names_set set;
		struct list l;

		list_init(&l, lists[i]);
		assert_int_equal(names_set_init(&set, &l.list, l.table.n), 0);
		for (uint32_t trusted = 0; trusted < l.table.n; trusted++)
			for (uint32_t guess = 0; guess < l.table.n; guess++)
				assert_int_equal(names_set_match_one(&set, trusted, guess),
						 names_match_one(&l.list, trusted, guess));
		names_set_deinit(&set);
		names_table_deinit(&l.table);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read),
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_set),
		cmocka_unit_test(test_set_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
