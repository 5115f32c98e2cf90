/* SPDX-License-Identifier: Apache-2.0 */
/* Time zones and times of day. The C library, asked for the same zone, is who is right. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "rules/rules_time.h"

static struct rules_zone *zone(const char *name)
{
	struct rules_zone *z = NULL;

	if (rules_zone_load(&z, name))
		fail_msg("%s", name);
	return z;
}

static void test_against_libc(void **state)
{
	static const char *const names[] = {"Europe/Rome",    "America/New_York",
					    "Asia/Kathmandu", "Australia/Lord_Howe",
					    "Europe/Dublin",  "Africa/Casablanca",
					    "America/Nuuk",   "Asia/Tokyo",
					    "Pacific/Apia",   "America/Santiago",
					    "Asia/Gaza",      "Antarctica/Troll",
					    "Etc/GMT+5",      "UTC",
					    "Asia/Tehran",    "Pacific/Chatham"};
	unsigned savings = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct rules_zone *z = zone(names[i]);
		int32_t was = 0;

		setenv("TZ", names[i], 1);
		tzset();
		/* From 1965 to 2500, in steps that meet each hour of the day. */
		for (time_t t = -157766400; t < 16725225600; t += 29 * 3600 + 1801) {
			int32_t offset = rules_zone_offset(z, t);
			struct tm tm;

			assert_non_null(localtime_r(&t, &tm));
			if (offset != tm.tm_gmtoff)
				fail_msg("%s at %lld: %d, not %ld", names[i], (long long)t, offset, tm.tm_gmtoff);
			savings += offset != was;
			was = offset;
		}
		rules_zone_free(z);
	}
	unsetenv("TZ");
	tzset();
	assert_true(savings > 1000);
}

static void test_last_second(void **state)
{
	struct rules_zone *z = zone("Europe/Rome");
	/* Of the file's list, and of the rule that goes on for ever: 2024 and 2091. */
	static const int64_t begins[] = {1711846800, 3825622800}, ends[] = {1729990800, 3844371600};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(rules_zone_offset(z, begins[i] - 1), 3600);
		assert_int_equal(rules_zone_offset(z, begins[i]), 7200);
		assert_int_equal(rules_zone_offset(z, ends[i] - 1), 7200);
		assert_int_equal(rules_zone_offset(z, ends[i]), 3600);
	}
	rules_zone_free(z);
	assert_int_equal(rules_zone_offset(NULL, 1711846800), 0);
}

static struct rules_time span(int from, int until, uint8_t days, struct rules_zone *z)
{
	return (struct rules_time){.given = true,
				   .from = (uint16_t)(from * 60),
				   .until = (uint16_t)(until * 60),
				   .days = days,
				   .rules = z};
}

#define EVERY_DAY 127
#define HOUR INT64_C(3600)

static bool at(const struct rules_time *t, int64_t seconds)
{
	return rules_time_holds(t, (uint64_t)seconds * 1000);
}

/* The hour that is left out in spring, and the one that is there twice in autumn. */
static void test_saving(void **state)
{
	struct rules_zone *z = zone("Europe/Rome");
	struct rules_time left_out = span(2, 3, EVERY_DAY, z), twice = left_out;
	struct rules_time night = span(22, 6, EVERY_DAY, z);
	const int64_t spring = 1711846800, autumn = 1729990800; /* Sundays */

	(void)state;
	for (int64_t t = spring - 12 * HOUR; t < spring + 12 * HOUR; t += 60)
		assert_false(at(&left_out, t));
	assert_false(at(&twice, autumn - HOUR - 1));
	assert_true(at(&twice, autumn - HOUR));
	assert_true(at(&twice, autumn - 1));
	assert_true(at(&twice, autumn));
	assert_true(at(&twice, autumn + HOUR - 1));
	assert_false(at(&twice, autumn + HOUR));
	/* 22 to 6 is seven hours of one night, and nine of the other. */
	assert_false(at(&night, spring - 4 * HOUR - 1));
	assert_true(at(&night, spring - 4 * HOUR));
	assert_true(at(&night, spring + 3 * HOUR - 1));
	assert_false(at(&night, spring + 3 * HOUR));
	assert_true(at(&night, autumn - 5 * HOUR));
	assert_false(at(&night, autumn - 5 * HOUR - 1));
	assert_true(at(&night, autumn + 4 * HOUR - 1));
	assert_false(at(&night, autumn + 4 * HOUR));
	rules_zone_free(z);
}

/* A span is of the day on which it begins. */
static void test_over_midnight(void **state)
{
	const int64_t monday = 1699833600; /* 13 November 2023, 00:00 UTC */
	struct rules_time t = span(22, 6, 1, NULL), whole = span(6, 6, 1, NULL), day = span(0, 24, 1 << 6, NULL);

	(void)state;
	assert_false(at(&t, monday + 5 * HOUR)); /* of Sunday's night */
	assert_false(at(&t, monday + 22 * HOUR - 1));
	assert_true(at(&t, monday + 22 * HOUR));
	assert_true(at(&t, monday + 24 * HOUR));
	assert_true(at(&t, monday + 30 * HOUR - 1));
	assert_false(at(&t, monday + 30 * HOUR));
	assert_false(at(&t, monday + 46 * HOUR));
	t.inverted = true;
	assert_true(at(&t, monday + 5 * HOUR));
	assert_false(at(&t, monday + 22 * HOUR));
	assert_false(at(&whole, monday + 6 * HOUR - 1));
	assert_true(at(&whole, monday + 6 * HOUR));
	assert_true(at(&whole, monday + 30 * HOUR - 1));
	assert_false(at(&whole, monday + 30 * HOUR));
	assert_true(at(&day, monday - 1));
	assert_true(at(&day, monday - 24 * HOUR));
	assert_false(at(&day, monday));
	assert_false(at(&day, monday - 24 * HOUR - 1));
}

/* ---- files ---- */

/* A zone without changes and with a footer: both headers, one type each. */
static size_t make(uint8_t *out, const char *footer)
{
	size_t len = 0;

	for (int i = 0; i < 2; i++) {
		memset(out + len, 0, 44);
		memcpy(out + len, "TZif2", 5);
		out[len + 39] = 1; /* types */
		out[len + 43] = 4; /* characters */
		len += 44;
		memcpy(out + len, "\0\0\x0e\x10\0\0CET", 10);
		len += 10;
	}
	return len + (size_t)sprintf((char *)out + len, "\n%s\n", footer);
}

static int parse(const char *footer, int32_t *offset)
{
	uint8_t data[256];
	struct rules_zone *z = NULL;
	int rc = rules_zone_parse(&z, data, make(data, footer));

	if (!rc)
		*offset = rules_zone_offset(z, 1700000000);
	rules_zone_free(z);
	return rc;
}

static void test_footers(void **state)
{
	static const struct {
		const char *footer;
		int32_t offset; /* on 14 November 2023 */
	} good[] = {
		{"", 3600},
		{"CET-1CEST,M3.5.0,M10.5.0/3", 3600},
		{"<-03>3", -10800},
		{"<+1245>-12:45<+1345>,M9.5.0/2:45,M4.1.0/3:45", 13 * 3600 + 45 * 60},
		{"IST-1GMT0,M10.5.0,M3.5.0/1", 0}, /* winter is what is "saved" */
		{"AAA0BBB,J1/0,J365/25", 3600},    /* all of the year */
		{"AAA0BBB,317,318", 3600},         /* from 14 November, day 317 from 0, at 2:00 */
		{"AAA0BBB,J318/0,J319/0", 3600},
		{"AAA-24BBB,M1.1.0,M1.1.1", 86400},
	};
	static const char *const bad[] = {"CE-1",
					  "CET",
					  "CET-1CEST",
					  "CET-1CEST,M3.5.0",
					  "CET-25:00",
					  "CET-1CEST,M13.5.0,M10.5.0",
					  "CET-1CEST,M3.6.0,M10.5.0",
					  "CET-1CEST,M3.5.7,M10.5.0",
					  "CET-1CEST,M0.5.0,M10.5.0",
					  "CET-1CEST,J0,J5",
					  "CET-1CEST,366,5",
					  "<CET-1",
					  "CET-1CEST,M3.5.0,M10.5.0x",
					  "CET-1CEST,M3.5.0/168,M10.5.0",
					  "CET-1:60",
					  "CET-99999999999999999999"};
	int32_t offset = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		if (parse(good[i].footer, &offset))
			fail_msg("%s", good[i].footer);
		if (offset != good[i].offset)
			fail_msg("%s: %d", good[i].footer, offset);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (parse(bad[i], &offset) != -EINVAL)
			fail_msg("%s is taken", bad[i]);
}

/* Cut anywhere it is refused; with any octet changed it is refused or taken. */
static void test_damaged(void **state)
{
	uint8_t whole[8192], *copy;
	FILE *f = fopen(RULES_ZONE_FOLDER "/Europe/Rome", "r");
	struct rules_zone *z;
	size_t len;

	(void)state;
	assert_non_null(f);
	len = fread(whole, 1, sizeof(whole), f);
	fclose(f);
	assert_true(len > 500 && len < sizeof(whole));
	for (size_t n = 0; n <= len; n++) {
		copy = malloc(n + 1); /* so that a sanitizer sees a step beyond */
		assert_non_null(copy);
		memcpy(copy, whole, n);
		z = NULL;
		assert_int_equal(rules_zone_parse(&z, copy, n), n == len ? 0 : -EINVAL);
		rules_zone_free(z);
		free(copy);
	}
	for (size_t n = 0; n < len; n++) {
		static const uint8_t to[] = {0, 1, 0x7f, 0x80, 0xff};
		uint8_t was = whole[n];

		for (size_t k = 0; k < sizeof(to); k++) {
			whole[n] = to[k];
			z = NULL;
			if (rules_zone_parse(&z, whole, len) == 0)
				(void)rules_zone_offset(z, 1700000000);
			rules_zone_free(z);
		}
		whole[n] = was;
	}
}

static void test_names(void **state)
{
	static const struct {
		const char *name;
		int rc;
	} names[] = {{"", -EINVAL},
		     {"/etc/localtime", -EINVAL},
		     {"../zoneinfo/UTC", -EINVAL},
		     {"Europe/../UTC", -EINVAL},
		     {"Europe//Rome", -EINVAL},
		     {"Europe/", -EINVAL},
		     {"Europe", -ENOENT},
		     {"Europe/Nowhere", -ENOENT},
		     {"Europe/Rome ", -EINVAL}};
	struct rules_zone *z = NULL;

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		assert_int_equal(rules_zone_load(&z, names[i].name), names[i].rc);
	assert_null(z);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_against_libc), cmocka_unit_test(test_last_second),
		cmocka_unit_test(test_saving),       cmocka_unit_test(test_over_midnight),
		cmocka_unit_test(test_footers),      cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
