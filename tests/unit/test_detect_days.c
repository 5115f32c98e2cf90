/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rule 1011 of docs/rules.md on days of ordinary hosts: how often it is wrong, and whether it finds a program that calls home among
 * all that. With a number it tells of so many days of each profile, as JSON.
 */
#include "beacon_days.h"
#include "detect_rig.h"

#define C2 9999u
#define DAYS_EACH 42u /* of each of five profiles */

/* One host's day through the rule. */
struct watched {
	unsigned records, contacted; /* servers */
	unsigned alarms;             /* servers that were taken for one, C2 apart */
	unsigned first;              /* which contact of C2's was the first that fired; 0: none */
	uint64_t interval_ms;        /* as found */
	unsigned names;              /* alarms if names and times of day were not left out */
};

static struct watched watch_day(const struct days *d, bool all, bool restart)
{
	static uint8_t fired[10000];
	struct watched w = {.records = (unsigned)d->n};
	struct rig rig = {0};
	struct l7_record r[DAYS_APPS];
	unsigned calls = 0;

	memset(fired, 0, sizeof(fired));
	for (unsigned a = 0; a < DAYS_APPS; a++)
		r[a] = flow_record((struct flow){.src = "192.0.2.10", .app = days_app_name(a)});
	rig_rule(&rig,
		 (struct rule){
			 .type = RULES_BEACON,
			 .keys = RULES_KEY_CLIENT | RULES_KEY_SERVER | RULES_KEY_APP,
			 .window_ms = DAY,
			 .beacon = {.min_count = 12, .min_ms = 10 * SECOND, .max_ms = 6 * HOUR, .max_jitter = 150}});
	rig_start(&rig);
	for (size_t i = 0; i < d->n; i++) {
		const struct days_record *f = &d->records[i];
		struct seen s = {.at = f->end_ms, .start_ms = f->start_ms, .known = f->known, .mid = f->mid};
		struct l7_record record = r[f->app];

		/* The rule's match: app ["!NTP", "!DNS"]. */
		if (!all && (f->app == DAYS_DNS || f->app == DAYS_NTP))
			continue;
		memcpy(record.dst_ip + 12, &f->server, sizeof(f->server));
		calls += f->server == C2;
		if (restart && i % (d->n / 8 + 1) == 0) {
			rig_save(&rig);
			rig_restart(&rig);
		}
		if (!rig_take_record(&rig, &s, &record) || fired[f->server])
			continue;
		fired[f->server] = 1;
		if (f->server == C2) {
			w.first = calls;
			w.interval_ms = rig.found.interval_ms;
		} else {
			w.alarms++;
		}
	}
	rig_stop(&rig);
	return w;
}

struct result {
	unsigned days, wrong_days, alarms, found, first;
	uint64_t records;
};

/* seconds 0: no beacon. */
static struct result watch_days(enum days_profile p, unsigned n, double seconds, double jitter, double missing)
{
	struct result sum = {.days = n};

	for (unsigned i = 0; i < n; i++) {
		struct days d;
		struct watched w;

		days_make(&d, p, i, NOW / DAY * DAY);
		if (seconds > 0) {
			days_add_beacon(&d, C2, seconds, jitter, missing);
			days_sort(&d);
		}
		w = watch_day(&d, false, i % 4 == 3);
		sum.records += w.records;
		sum.alarms += w.alarms;
		sum.wrong_days += w.alarms > 0;
		if (w.first && (double)w.interval_ms > seconds * 850 && (double)w.interval_ms < seconds * 1150) {
			sum.found++;
			sum.first = w.first > sum.first ? w.first : sum.first;
		}
		days_deinit(&d);
	}
	return sum;
}

static void test_ordinary_days(void **state)
{
	unsigned wrong = 0, days = 0;
	uint64_t records = 0;

	(void)state;
	for (unsigned p = 0; p < DAYS_PROFILES; p++) {
		struct result r = watch_days(p, DAYS_EACH, 0, 0, 0);

		print_message("%s: %u of %u days with a wrong alert, %llu records a day\n", days_profile_name(p),
			      r.wrong_days, r.days, (unsigned long long)(r.records / r.days));
		wrong += r.wrong_days;
		days += r.days;
		records += r.records;
	}
	assert_true(days >= 200 && records > 1000000);
	assert_true(wrong <= 2); /* one in a hundred */
}

static void found_in_days(double seconds, double jitter, double missing)
{
	for (unsigned p = 0; p < DAYS_PROFILES; p++) {
		struct result r = watch_days(p, 6, seconds, jitter, missing);

		print_message("%s: every %.0f s: %u of %u found, the last at contact %u\n", days_profile_name(p),
			      seconds, r.found, r.days, r.first);
		assert_int_equal(r.found, r.days);
	}
}

static void test_every_minute(void **state)
{
	(void)state;
	found_in_days(60, 0.1, 0);
	found_in_days(60, 0.1, 0.1);
}

static void test_every_hour(void **state)
{
	(void)state;
	found_in_days(3600, 0, 0);
	found_in_days(3600, 0.1, 0);
}

/* Why the rule leaves them out: regular they are. And the test can fail. */
static void test_names_and_times(void **state)
{
	struct days d;

	(void)state;
	days_make(&d, DAYS_SERVER, 1, NOW / DAY * DAY);
	assert_int_equal(watch_day(&d, false, false).alarms, 0);
	assert_int_equal(watch_day(&d, true, false).alarms, 1);
	for (size_t i = 0; i < d.n; i++)
		d.records[i].known = d.records[i].mid = false; /* records for flows */
	assert_true(watch_day(&d, false, false).alarms > 0);
	days_deinit(&d);
}

static void json(unsigned n)
{
	static const double beacons[][3] = {{60, 0.1, 0}, {60, 0.1, 0.1}, {3600, 0, 0}, {3600, 0.1, 0}};
	unsigned days = 0, wrong = 0;

	printf("{\"ordinary\":[");
	for (unsigned p = 0; p < DAYS_PROFILES; p++) {
		struct result r = watch_days(p, n, 0, 0, 0);

		printf("%s{\"profile\":\"%s\",\"host_days\":%u,\"records\":%llu,\"wrong_days\":%u,\"wrong_alerts\":%u}",
		       p ? "," : "", days_profile_name(p), r.days, (unsigned long long)r.records, r.wrong_days,
		       r.alarms);
		days += r.days;
		wrong += r.wrong_days;
	}
	printf("],\"host_days\":%u,\"wrong_days\":%u,\"beacons\":[", days, wrong);
	for (size_t b = 0; b < sizeof(beacons) / sizeof(*beacons); b++) {
		struct result sum = {0};

		for (unsigned p = 0; p < DAYS_PROFILES; p++) {
			struct result r = watch_days(p, n, beacons[b][0], beacons[b][1], beacons[b][2]);

			sum.days += r.days;
			sum.found += r.found;
			sum.first = r.first > sum.first ? r.first : sum.first;
		}
		printf("%s{\"seconds\":%.0f,\"jitter\":%.2f,\"missing\":%.2f,\"days\":%u,\"found\":%u,\"latest_"
		       "contact\":%u}",
		       b ? "," : "", beacons[b][0], beacons[b][1], beacons[b][2], sum.days, sum.found, sum.first);
	}
	printf("]}\n");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ordinary_days),
		cmocka_unit_test(test_every_minute),
		cmocka_unit_test(test_every_hour),
		cmocka_unit_test(test_names_and_times),
	};

	if (argc == 2 && strtoul(argv[1], NULL, 10)) {
		json((unsigned)strtoul(argv[1], NULL, 10));
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
