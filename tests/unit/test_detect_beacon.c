/* SPDX-License-Identifier: Apache-2.0 */
/* Contacts at regular intervals: what is one, how regular, and what is none. */
#include "detect_rig.h"

/* As rule 1011 of docs/rules.md. */
static struct rule beacon(void)
{
	return (struct rule){.type = RULES_BEACON,
			     .keys = RULES_KEY_CLIENT | RULES_KEY_SERVER | RULES_KEY_APP,
			     .window_ms = DAY,
			     .beacon = {.min_count = 12, .min_ms = 10 * SECOND, .max_ms = 6 * HOUR, .max_jitter = 150}};
}

static struct rig *start(struct rig *rig)
{
	*rig = (struct rig){0};
	rig_rule(rig, beacon());
	rig_start(rig);
	return rig;
}

/* Contacts at these seconds; returns the number of the first that fires, 0 for none. */
static unsigned contacts(const double *at, unsigned n)
{
	struct rig rig;
	unsigned fired = 0;

	start(&rig);
	for (unsigned i = 0; i < n && !fired; i++)
		if (TAKE(&rig, .at = NOW + (uint64_t)(at[i] * 1000)))
			fired = i + 1;
	rig_stop(&rig);
	return fired;
}

/* n contacts `every` seconds from each other, each +- `jitter` of that, as a program that sleeps makes them. */
static unsigned every(double seconds, double jitter, unsigned n, double *at)
{
	uint64_t random = (uint64_t)(seconds * 1000) + n;
	double t = 0;

	for (unsigned i = 0; i < n; i++) {
		at[i] = t;
		t += seconds * (1 + jitter * (rig_random(&random) % 2001 / 1000. - 1));
	}
	return n;
}

/* The same in one: of such contacts, the number of the first that fires. */
static unsigned rhythm(double seconds, double jitter, unsigned n)
{
	double at[64] = {0};

	assert_true(n <= sizeof(at) / sizeof(at[0]));
	return contacts(at, every(seconds, jitter, n, at));
}

static void test_count(void **state)
{
	struct rig rig;

	(void)state;
	start(&rig);
	for (unsigned i = 0; i < 11; i++)
		SILENT(&rig, .at = NOW + i * MINUTE);
	FIRES(&rig, .at = NOW + 11 * MINUTE);
	assert_int_equal(rig.found.value, 12);
	assert_int_equal(rig.found.since_ms, NOW);
	assert_int_equal(rig.found.interval_ms, MINUTE);
	assert_int_equal(rig.found.jitter, 0);
	FIRES(&rig, .at = NOW + 12 * MINUTE);
	SILENT(&rig, .at = NOW + 13 * MINUTE, .flow = {.dst = "198.51.100.99"}); /* another group */
	/* Only the last 64 are kept. */
	for (unsigned i = 13; i < 200; i++)
		FIRES(&rig, .at = NOW + i * MINUTE);
	assert_int_equal(rig.found.value, 64);
	assert_int_equal(rig.found.since_ms, NOW + (199 - 63) * MINUTE);
	rig_stop(&rig);
}

static void test_window_and_interval(void **state)
{
	(void)state;
	/* The twelfth comes when the first is not a day old, and when it is. */
	assert_int_equal(rhythm(DAY / 11. / 1000 - 0.001, 0, 12), 12);
	assert_int_equal(rhythm(DAY / 11. / 1000 + 0.001, 0, 30), 0);
	assert_int_equal(rhythm(10, 0, 20), 12);
	assert_int_equal(rhythm(9.999, 0, 64), 0);
	assert_int_equal(rhythm(3600, 0, 20), 12);
	assert_int_equal(rhythm(3600, 0.1, 20), 12);
	assert_int_equal(rhythm(60, 0.1, 20), 12);
}

/* Two of eleven intervals may be anything, the third may be off by max_jitter and not more. */
static void test_jitter(void **state)
{
	double at[12], off[] = {0, 9, 9.001};

	(void)state;
	for (unsigned k = 0; k < 3; k++) {
		double t = 0;

		for (unsigned i = 0; i < 12; i++) {
			at[i] = t;
			t += i == 3 ? 500 : i == 5 ? 20 : i == 8 ? 60 + off[k] : 60;
		}
		assert_int_equal(contacts(at, 12), k == 2 ? 0 : 12);
	}
}

/* Phases that move, contacts that fail or come on top, nights without. */
static void test_robust(void **state)
{
	double at[64];
	uint64_t random = 5;

	(void)state;
	for (unsigned i = 0; i < 20; i++)
		at[i] = i * 60 + 6 * (rig_random(&random) % 2001 / 1000. - 1);
	assert_in_range(contacts(at, 20), 12, 20);
	for (unsigned i = 0; i < 40; i++) /* each tenth is missing */
		at[i] = (i + i / 9) * 300 + rig_random(&random) % 20;
	assert_in_range(contacts(at, 40), 12, 20);
	for (unsigned i = 0; i < 44; i++) /* one more after each tenth */
		at[i] = i % 11 == 10 ? (i / 11 * 10 + 9) * 300 + 107 : (i - i / 11) * 300. + rig_random(&random) % 20;
	assert_in_range(contacts(at, 44), 12, 20);
	for (unsigned i = 0; i < 24; i++) /* off for ten hours */
		at[i] = i * 1800 + (i >= 10 ? 36000 : 0);
	assert_in_range(contacts(at, 24), 12, 12);
}

/* Several connections for one contact: at once, or in the seconds after it. */
static void test_bursts(void **state)
{
	double at[400];
	unsigned n = 0;

	(void)state;
	for (unsigned i = 0; i < 20; i++)
		for (unsigned k = 0; k < 4; k++)
			at[n++] = i * 60 + k * 0.6;
	assert_in_range(contacts(at, n), 45, 48);
	n = 0;
	for (unsigned i = 0; i < 20; i++)
		for (unsigned k = 0; k < 1 + i % 4; k++)
			at[n++] = i * 600 + k * 7;
	assert_in_range(contacts(at, n), 12, 40);
	/* Gaps of all lengths are no bursts. */
	n = 0;
	for (unsigned i = 0; i < 64; i++)
		at[n++] = 12. * i * i;
	assert_int_equal(contacts(at, n), 0);
}

/* Records that tell of nothing new: each of these would be a beacon otherwise. */
static void test_not_contacts(void **state)
{
	struct rig rig;

	(void)state;
	start(&rig);
	for (unsigned i = 0; i < 100; i++) {
		/* Active timeout, second exporter, idle timeout in a connection that is kept alive. */
		SILENT(&rig, .at = NOW + i * MINUTE, .known = i > 0, .start_ms = NOW - 30);
		SILENT(&rig, .at = NOW + i * MINUTE, .known = true); /* and nobody knows since when */
		SILENT(&rig, .at = NOW + i * MINUTE, .twin = true);
		SILENT(&rig, .at = NOW + i * MINUTE, .mid = true);
		SILENT(&rig, .at = NOW + i * MINUTE, .tcp_flags = 0x10);
	}
	rig_stop(&rig);
	start(&rig); /* who does not state flags is believed, UDP has none */
	for (unsigned i = 0; i < 11; i++)
		SILENT(&rig, .at = NOW + i * MINUTE, .tcp_flags = 0xff);
	FIRES(&rig, .at = NOW + 11 * MINUTE, .tcp_flags = 0xff);
	for (unsigned i = 0; i < 11; i++)
		SILENT(&rig, .at = NOW + i * MINUTE, .tcp_flags = 0x10, .flow = {.l4 = 17, .app = "QUIC"});
	FIRES(&rig, .at = NOW + 11 * MINUTE, .tcp_flags = 0x10, .flow = {.l4 = 17, .app = "QUIC"});
	rig_stop(&rig);
}

/* Flows of different length end out of order; what counts is when they begin. */
static void test_order(void **state)
{
	struct rig rig;
	uint64_t starts[] = {0, 2, 1, 3, 5, 4, 6, 9, 8, 7, 10};

	(void)state;
	start(&rig);
	for (unsigned i = 0; i < 11; i++)
		SILENT(&rig, .at = NOW + 20 * MINUTE + i * SECOND, .start_ms = NOW + starts[i] * MINUTE);
	FIRES(&rig, .at = NOW + 20 * MINUTE, .start_ms = NOW + 11 * MINUTE);
	assert_int_equal(rig.found.value, 12);
	assert_int_equal(rig.found.since_ms, NOW);
	assert_int_equal(rig.found.jitter, 0);
	/* One before all others. */
	FIRES(&rig, .at = NOW + 20 * MINUTE, .start_ms = NOW - MINUTE);
	assert_int_equal(rig.found.since_ms, NOW - MINUTE);
	assert_int_equal(rig.found.value, 13);
	/* A beginning that cannot be true is not believed, and breaks nothing. */
	FIRES(&rig, .at = NOW + 12 * MINUTE, .start_ms = 1);
	assert_int_equal(rig.found.value, 14);
	rig_stop(&rig);
}

static void test_clock(void **state)
{
	struct rig rig;

	(void)state;
	start(&rig);
	for (unsigned i = 0; i < 20; i++) /* another exporter's clock is behind */
		TAKE(&rig, .at = NOW + i * MINUTE - i % 2 * 4 * SECOND);
	assert_int_equal(rig.found.value, 20);
	SILENT(&rig, .at = NOW + 40 * DAY);
	for (unsigned i = 0; i < 11; i++)
		SILENT(&rig, .at = NOW + DAY + i * MINUTE);
	assert_int_equal(detect_counters(rig.d)->set_back, 1);
	FIRES(&rig, .at = NOW + DAY + 11 * MINUTE);
	SILENT(&rig, .at = UINT64_MAX, .start_ms = 1);
	SILENT(&rig, .at = 0, .start_ms = 1);
	rig_stop(&rig);
}

static void test_restart(void **state)
{
	struct rig rig;

	(void)state;
	start(&rig);
	for (unsigned i = 0; i < 6; i++)
		SILENT(&rig, .at = NOW + i * HOUR);
	rig_save(&rig);
	rig_restart(&rig);
	for (unsigned i = 6; i < 11; i++)
		SILENT(&rig, .at = NOW + i * HOUR);
	FIRES(&rig, .at = NOW + 11 * HOUR);
	assert_int_equal(rig.found.since_ms, NOW);
	rig_save(&rig);
	rig_restart(&rig);
	FIRES(&rig, .at = NOW + 11 * HOUR + 1); /* still the same contact, and regular */
	assert_int_equal(rig.found.value, 12);
	rig_stop(&rig);
}

static void test_damage(void **state)
{
	struct rig rig;
	struct seen then = {.at = NOW + HOUR};

	(void)state;
	start(&rig);
	for (unsigned i = 0; i < 13; i++)
		TAKE(&rig, .at = NOW + i * MINUTE);
	rig_save(&rig);
	rig_damage(&rig, &then);
	rig_stop(&rig);
}

static void test_reload(void **state)
{
	struct rig rig;
	struct rule_set set;
	struct rule other;

	(void)state;
	start(&rig);
	for (unsigned i = 0; i < 9; i++)
		SILENT(&rig, .at = NOW + i * MINUTE);
	other = rig.rules[0];
	other.beacon.min_count = 10;
	set = (struct rule_set){.rules = &other, .n = 1};
	assert_int_equal(detect_use_rules(rig.d, &set), 0);
	rig.rules[0] = other;
	assert_int_equal(detect_use_rules(rig.d, &rig.set), 0);
	FIRES(&rig, .at = NOW + 9 * MINUTE);
	rig_stop(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_count),   cmocka_unit_test(test_window_and_interval),
		cmocka_unit_test(test_jitter),  cmocka_unit_test(test_robust),
		cmocka_unit_test(test_bursts),  cmocka_unit_test(test_not_contacts),
		cmocka_unit_test(test_order),   cmocka_unit_test(test_clock),
		cmocka_unit_test(test_restart), cmocka_unit_test(test_damage),
		cmocka_unit_test(test_reload),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
