/* SPDX-License-Identifier: Apache-2.0 */
/* Sums and distinct values over a window: where they fire, to the record and to the millisecond. */
#include "detect_rig.h"

#include "detect/detect_internal.h"

static struct rule threshold(enum rules_measure measure, uint64_t over, uint64_t window_ms)
{
	return (struct rule){.type = RULES_THRESHOLD,
			     .keys = RULES_KEY_CLIENT,
			     .measure = measure,
			     .distinct = measure == RULES_DISTINCT ? RULES_KEY_SERVER : 0,
			     .over = over,
			     .window_ms = window_ms};
}

static void test_count(void **state)
{
	struct rig rig = {0};

	(void)state;
	rig_rule(&rig, threshold(RULES_COUNT_FLOWS, 100, MINUTE));
	rig_start(&rig);
	for (unsigned i = 0; i < 100; i++)
		SILENT(&rig, .at = NOW + i);
	/* A flow is counted once, whoever tells of it and how often. */
	SILENT(&rig, .at = NOW + 101, .known = true);
	SILENT(&rig, .at = NOW + 101, .twin = true);
	SILENT(&rig, .at = NOW + 101, .flow = {.src = "192.0.2.99"});
	/* One that an exporter sees of ten stands for ten. */
	FIRES(&rig, .at = NOW + 102, .sampling = 10);
	assert_int_equal(rig.found.value, 110);
	assert_int_equal(rig.found.since_ms, NOW);
	assert_true(rig.found.sampled);
	/* As long as it is above, each record says so. */
	FIRES(&rig, .at = NOW + 103, .known = true);
	assert_int_equal(rig.found.value, 110);
	assert_false(rig.found.sampled);
	SILENT(&rig, .at = NOW + MINUTE + 103, .known = true);
	rig_stop(&rig);
}

static void test_window_edge(void **state)
{
	struct rig rig = {0};

	(void)state;
	rig_rule(&rig, threshold(RULES_COUNT_FLOWS, 1, MINUTE));
	rig_rule(&rig, threshold(RULES_DISTINCT, 1, MINUTE));
	rig_start(&rig);
	SILENT(&rig, .at = NOW);
	FIRES(&rig, .at = NOW + MINUTE - 1);
	assert_int_equal(rig.found.since_ms, NOW);
	SILENT(&rig, .at = NOW + MINUTE - 1 + MINUTE);
	SILENT(&rig, .at = NOW + 10 * MINUTE, .flow = {.src = "192.0.2.3"});
	SILENT(&rig, .at = NOW + 11 * MINUTE, .flow = {.src = "192.0.2.3"});
	/* Distinct values: at the beginning of a slice to the millisecond, too. */
	SILENT(&rig, .rule = 1, .at = NOW / MINUTE * MINUTE, .flow = {.dst = "198.51.100.1"});
	FIRES(&rig, .rule = 1, .at = NOW / MINUTE * MINUTE + MINUTE - 1, .flow = {.dst = "198.51.100.2"});
	assert_int_equal(rig.found.since_ms, NOW / MINUTE * MINUTE);
	SILENT(&rig, .rule = 1, .at = NOW / MINUTE * MINUTE + MINUTE, .flow = {.dst = "198.51.100.2"});
	rig_stop(&rig);
}

static void test_sums(void **state)
{
	static const struct {
		enum rules_measure measure;
		uint64_t value;
	} cases[] = {{RULES_SUM_BYTES, 30},  {RULES_SUM_CLIENT_BYTES, 10},  {RULES_SUM_SERVER_BYTES, 20},
		     {RULES_SUM_PACKETS, 7}, {RULES_SUM_CLIENT_PACKETS, 3}, {RULES_SUM_SERVER_PACKETS, 4}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct rig rig = {0};

		rig_rule(&rig, threshold(cases[i].measure, 2 * cases[i].value, HOUR));
		rig_start(&rig);
		SILENT(&rig, .at = NOW, .octets = {10, 20}, .packets = {3, 4});
		SILENT(&rig, .at = NOW, .octets = {10, 20}, .packets = {3, 4}, .twin = true);
		/* Later records of a flow add what is new. */
		SILENT(&rig, .at = NOW + MINUTE, .octets = {10, 20}, .packets = {3, 4}, .known = true);
		assert_int_equal(rig.found.value, 2 * cases[i].value);
		FIRES(&rig, .at = NOW + MINUTE, .octets = {1, 1}, .packets = {1, 1});
		/* What nobody can have sent does not wrap. */
		for (unsigned k = 0; k < 30; k++)
			FIRES(&rig, .at = NOW + k * 2 * MINUTE, .octets = {UINT64_MAX, UINT64_MAX},
			      .packets = {UINT64_MAX, UINT64_MAX});
		rig_stop(&rig);
	}
}

/* The score of a flow counts once, when it is known, and what it grows by. */
static void test_score(void **state)
{
	struct rig rig = {0};

	(void)state;
	rig_rule(&rig, threshold(RULES_SUM_SCORE, 100, HOUR));
	rig_start(&rig);
	SILENT(&rig, .at = NOW, .flow = {.flow_id = 1});
	SILENT(&rig, .at = NOW, .flow = {.flow_id = 1}, .known = true, .score = 60);
	SILENT(&rig, .at = NOW, .flow = {.flow_id = 1}, .known = true, .score = 60);
	assert_int_equal(rig.found.value, 60);
	SILENT(&rig, .at = NOW, .flow = {.flow_id = 1}, .known = true, .score = 100);
	assert_int_equal(rig.found.value, 100);
	SILENT(&rig, .at = NOW, .flow = {.flow_id = 1}, .twin = true, .score = 200);
	SILENT(&rig, .at = NOW, .flow = {.flow_id = 1}, .known = true, .score = 10);
	FIRES(&rig, .at = NOW, .flow = {.flow_id = 2}, .score = 1);
	assert_int_equal(rig.found.value, 101);
	/* Another host's view of the same flow is its own. */
	rig.rules[0].keys = RULES_KEY_SUBJECT;
	SILENT(&rig, .at = NOW, .side = RULES_SERVER, .flow = {.flow_id = 1}, .known = true, .score = 100);
	assert_int_equal(rig.found.value, 100);
	rig_stop(&rig);
}

/* What is counted is not more than the window has, and not less than 23/24 of it; in disorder 10/12. */
static void slices(bool disorder, uint64_t slack)
{
	enum { EVENTS = 20000 };
	static uint64_t times[EVENTS];
	struct rig rig = {0};
	uint64_t random = 4, time = NOW, now = 0, exact = 0;

	rig_rule(&rig, threshold(RULES_COUNT_FLOWS, UINT64_MAX, MINUTE));
	rig_start(&rig);
	for (unsigned i = 0; i < EVENTS; i++) {
		uint64_t least = 0, most = 0;

		time += rig_random(&random) % 16 ? rig_random(&random) % 40 : rig_random(&random) % 4000;
		times[i] = time - (disorder && rig_random(&random) % 8 == 0 ? rig_random(&random) % 5000 : 0);
		now = times[i] > now ? times[i] : now;
		TAKE(&rig, .at = times[i]);
		for (unsigned k = i + 1; k-- > 0 && times[k] + 2 * MINUTE > now;) {
			most += times[k] + MINUTE > now;
			least += times[k] + MINUTE - slack > now;
		}
		exact += rig.found.value == most;
		if (rig.found.value > most || rig.found.value < least)
			fail_msg("event %u: %llu, not %llu to %llu", i, (unsigned long long)rig.found.value,
				 (unsigned long long)least, (unsigned long long)most);
	}
	assert_true(exact > 100);
	rig_stop(&rig);
}

static void test_slices(void **state)
{
	(void)state;
	slices(false, MINUTE / 24);
	slices(true, MINUTE / 6);
}

static void test_clock(void **state)
{
	struct rig rig = {0};

	(void)state;
	rig_rule(&rig, threshold(RULES_COUNT_FLOWS, 2, MINUTE));
	rig_rule(&rig, threshold(RULES_DISTINCT, 0, MINUTE));
	rig_start(&rig);
	SILENT(&rig, .at = NOW);
	SILENT(&rig, .at = NOW + 5 * SECOND);
	/* Exporters are not in step: a late record counts, and goes when its own time is over. */
	FIRES(&rig, .at = NOW + 1 * SECOND);
	FIRES(&rig, .at = NOW - MINUTE + 6 * SECOND);
	assert_int_equal(rig.found.value, 4);
	SILENT(&rig, .at = NOW - 56 * SECOND);
	assert_int_equal(detect_counters(rig.d)->too_old, 1);
	FIRES(&rig, .at = NOW + 59 * SECOND);
	assert_int_equal(rig.found.value, 4); /* without that of NOW - 54 s */
	/* Ahead: all is over. */
	SILENT(&rig, .at = NOW + DAY);
	assert_int_equal(rig.found.value, 1);
	/* Set back by more than clocks differ: begun anew, not silent until that day comes. */
	SILENT(&rig, .at = NOW + HOUR);
	SILENT(&rig, .at = NOW + HOUR);
	FIRES(&rig, .at = NOW + HOUR);
	assert_int_equal(detect_counters(rig.d)->set_back, 1);
	FIRES(&rig, .rule = 1, .at = UINT64_MAX);
	FIRES(&rig, .rule = 1, .at = NOW);
	assert_int_equal(rig.found.value, 1);
	SILENT(&rig, .rule = 1, .at = NOW - MINUTE);
	FIRES(&rig, .rule = 1, .at = 0);
	assert_int_equal(rig.found.value, 1);
	rig_stop(&rig);
}

/* ---- distinct ---- */

static bool see(struct rig *rig, unsigned n, uint64_t at)
{
	struct seen s = {.at = at};
	struct l7_record r = flow_record(s.flow);

	memset(r.dst_ip, 0, sizeof(r.dst_ip));
	memcpy(r.dst_ip, &n, sizeof(n));
	return rig_take_record(rig, &s, &r);
}

static void test_distinct(void **state)
{
	static const unsigned overs[] = {1, 11, 12, 13, 100, 256, 768, 3071};

	(void)state;
	for (size_t i = 0; i < sizeof(overs) / sizeof(*overs); i++) {
		struct rig rig = {0};

		rig_rule(&rig, threshold(RULES_DISTINCT, overs[i], HOUR));
		rig_start(&rig);
		for (unsigned k = 0; k < overs[i]; k++)
			assert_false(see(&rig, k, NOW + k));
		for (unsigned k = 0; k < overs[i]; k++)
			assert_false(see(&rig, k, NOW + 4000 + k));
		assert_true(see(&rig, overs[i], NOW + 8000));
		assert_int_equal(rig.found.value, overs[i] + 1);
		rig_stop(&rig);
	}
}

#define ERROR_RUNS 16u

/* Worst and mean error of estimates, in thousandths. */
static void distinct_error(uint64_t over, unsigned values, unsigned *worst, unsigned *mean)
{
	unsigned sum = 0;

	*worst = 0;
	for (unsigned run = 0; run < ERROR_RUNS; run++) {
		struct rig rig = {0};
		unsigned error;

		rig_rule(&rig, threshold(RULES_DISTINCT, over, HOUR));
		rig_start(&rig);
		rig.d->random = run; /* hashes are the same in every run of the test */
		for (unsigned k = 0; k < values; k++)
			see(&rig, k, NOW + k % 1000);
		error = (unsigned)(labs((long)rig.found.value - (long)values) * 1000 / (long)values);
		*worst = error > *worst ? error : *worst;
		sum += error;
		rig_stop(&rig);
	}
	*mean = sum / ERROR_RUNS;
}

static void test_distinct_error(void **state)
{
	static const unsigned values[] = {3000, 5000, 50000};
	unsigned worst, mean;

	(void)state;
	for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++) {
		distinct_error(1000, values[i], &worst, &mean);
		print_message("4096 cells, %u values: error %u.%u %%, worst %u.%u %%\n", values[i], mean / 10,
			      mean % 10, worst / 10, worst % 10);
		assert_true(mean <= 30 && worst <= 80);
		distinct_error(100, values[i], &worst, &mean);
		print_message("1024 cells, %u values: error %u.%u %%, worst %u.%u %%\n", values[i], mean / 10,
			      mean % 10, worst / 10, worst % 10);
		assert_true(mean <= 50 && worst <= 150);
	}
}

static void distinct_check(const uint64_t *last, unsigned n, uint64_t now, uint64_t value, bool exact)
{
	uint64_t most = 0, least = 0, slack;

	for (unsigned k = 0; k < n; k++) {
		most += last[k] + MINUTE > now;
		least += last[k] + MINUTE - MINUTE / 60 > now;
	}
	slack = exact ? 0 : 60 + most / 4;
	if (value > most + slack || value + slack < least)
		fail_msg("%llu, not %llu to %llu", (unsigned long long)value, (unsigned long long)least,
			 (unsigned long long)most);
}

/* Against what a table of all times says: never more than the window, never less than 59/60 of it; near that in a peak, exact again after it. */
static void test_distinct_window(void **state)
{
	enum { VALUES = 20000 };
	static uint64_t last[VALUES];
	struct rig rig = {0};
	uint64_t random = 9, time = NOW, now = 0, calm = 0;

	(void)state;
	rig_rule(&rig, threshold(RULES_DISTINCT, 100, MINUTE));
	rig_start(&rig);
	for (unsigned i = 0; i < 30000; i++) {
		bool peak = i >= 10000 && i < 16000;
		unsigned value = rig_random(&random) % (peak ? VALUES : 700);
		uint64_t late = rig_random(&random) % 8 ? 0 : rig_random(&random) % 5000;

		time += rig_random(&random) % (peak ? 20 : 400);
		late = time - late;
		now = late > now ? late : now;
		last[value] = late > last[value] ? late : last[value];
		see(&rig, value, late);
		/* After the peak it takes a window until there are few, and one until all of the few are known. */
		if (peak)
			calm = now + 3 * MINUTE;
		if (i % 16 == 0)
			distinct_check(last, VALUES, now, rig.found.value, now >= calm);
	}
	assert_true(detect_memory(rig.d) < 1000000);
	rig_stop(&rig);
}

/* ---- tables ---- */

static void test_eviction(void **state)
{
	struct rig rig = {0};
	char ip[20];

	(void)state;
	rig_rule(&rig, threshold(RULES_COUNT_FLOWS, 1, HOUR))->max_keys = 10;
	rig_rule(&rig, threshold(RULES_COUNT_FLOWS, 1, HOUR));
	rig_start(&rig);
	for (unsigned i = 0; i < 10; i++)
		SILENT(&rig, .at = NOW, .flow = {.src = rig_address(ip, 1, i)});
	FIRES(&rig, .at = NOW, .flow = {.src = rig_address(ip, 1, 0)});
	assert_int_equal(rig_save(&rig), 10);
	SILENT(&rig, .at = NOW, .flow = {.src = rig_address(ip, 1, 10)}); /* 1 goes: 0 was used later */
	assert_int_equal(detect_evicted(rig.d), 1);
	FIRES(&rig, .at = NOW, .flow = {.src = rig_address(ip, 1, 0)});
	SILENT(&rig, .at = NOW, .flow = {.src = rig_address(ip, 1, 1)});
	SILENT(&rig, .rule = 1, .at = NOW, .flow = {.src = rig_address(ip, 1, 1)});
	assert_int_equal(detect_rule_evicted(rig.d, 1001), 2);
	assert_int_equal(detect_rule_evicted(rig.d, 1002), 0);
	assert_int_equal(detect_groups(rig.d), 11);
	/* The store forgets them, too; three are new, 0 has changed. */
	assert_int_equal(rig_save(&rig), 2 + 4);
	assert_int_equal(rig.store.n, 11);
	for (unsigned i = 100; i < 5000; i++)
		SILENT(&rig, .at = NOW, .flow = {.src = rig_address(ip, 1, i)});
	rig_save(&rig);
	assert_int_equal(rig.store.n, 11);
	rig_stop(&rig);
}

/* Many rules with many groups: memory has an end, and each rule goes on. */
static void test_memory(void **state)
{
	struct rig rig = {0};
	char ip[20];

	(void)state;
	rig_rule(&rig, threshold(RULES_DISTINCT, 10000, HOUR));
	rig_rule(&rig, threshold(RULES_COUNT_FLOWS, 1, HOUR));
	rig_start(&rig);
	rig.d->memory.max = 1000000;
	for (unsigned i = 0; i < 20000; i++)
		TAKE(&rig, .at = NOW, .flow = {.src = rig_address(ip, 1, i % 400), .dst = "192.0.2.1"});
	for (unsigned i = 0; i < 20000; i++)
		see(&rig, i, NOW); /* no more cells: a coarser estimate */
	assert_in_range(rig.found.value, 10000, 40000);
	for (unsigned i = 0; i < 20000; i++)
		TAKE(&rig, .rule = 1, .at = NOW, .flow = {.src = rig_address(ip, 2, i)});
	assert_in_range(detect_memory(rig.d), 500000, 1300000);
	assert_true(detect_rule_evicted(rig.d, 1002) > 10000);
	FIRES(&rig, .rule = 1, .at = NOW, .flow = {.src = rig_address(ip, 2, 19999)});
	rig_stop(&rig);
}

/* ---- the store ---- */

static void test_restart(void **state)
{
	struct rig rig = {0};

	(void)state;
	rig_rule(&rig, threshold(RULES_COUNT_FLOWS, 3, MINUTE));
	rig_rule(&rig, threshold(RULES_DISTINCT, 900, MINUTE));
	rig_start(&rig);
	SILENT(&rig, .at = NOW);
	SILENT(&rig, .at = NOW + 10 * SECOND);
	assert_int_equal(rig_save(&rig), 1);
	assert_int_equal(rig_save(&rig), 0);
	SILENT(&rig, .at = NOW + 11 * SECOND); /* lost */
	rig_restart(&rig);
	SILENT(&rig, .at = NOW + 20 * SECOND);
	FIRES(&rig, .at = NOW + 30 * SECOND);
	assert_int_equal(rig.found.since_ms, NOW);
	FIRES(&rig, .at = NOW + 60 * SECOND);
	assert_int_equal(rig.found.value, 4); /* NOW is over */
	assert_int_equal(rig.found.since_ms, NOW + 10 * SECOND);
	rig_save(&rig);
	rig.rules[0].keys = RULES_KEY_SERVER; /* another rule of that number */
	rig_restart(&rig);
	assert_int_equal(detect_groups(rig.d), 0);
	assert_int_equal(detect_counters(rig.d)->stale, 1);
	rig_save(&rig);
	assert_int_equal(rig.store.n, 0);
	rig_stop(&rig);
}

static void test_restart_distinct(void **state)
{
	struct rig rig = {0};
	uint64_t before;

	(void)state;
	rig_rule(&rig, threshold(RULES_DISTINCT, 900, MINUTE));
	rig_start(&rig);
	for (unsigned i = 0; i < 900; i++)
		see(&rig, i, NOW + 10 * i);
	rig_save(&rig);
	rig_restart(&rig);
	assert_false(see(&rig, 899, NOW + 9000));
	assert_true(see(&rig, 900, NOW + 9000));
	assert_int_equal(rig.found.value, 901);
	assert_false(see(&rig, 901, NOW + MINUTE + 1000));
	for (unsigned i = 0; i < 50000; i++)
		see(&rig, i, NOW + 2 * MINUTE);
	before = rig.found.value;
	rig_save(&rig);
	assert_in_range(rig.store.rows[0].len, 5000, 15403);
	rig_restart(&rig);
	see(&rig, 0, NOW + 2 * MINUTE);
	assert_int_equal(rig.found.value, before);
	rig_stop(&rig);
}

static void test_damage(void **state)
{
	struct rig rig = {0};
	struct seen then = {.at = NOW + 5 * SECOND};

	(void)state;
	rig_rule(&rig, threshold(RULES_COUNT_FLOWS, 3, MINUTE));
	rig_rule(&rig, threshold(RULES_DISTINCT, 3, MINUTE));
	rig_start(&rig);
	SILENT(&rig, .at = NOW);
	SILENT(&rig, .at = NOW + 3 * SECOND);
	rig_save(&rig);
	rig_damage(&rig, &then);
	store_count_put(&rig.store, 1001, rig.store.rows[0].key, NULL, 0);
	rig_restart(&rig);
	for (unsigned i = 0; i < 40; i++) {
		char ip[20];

		TAKE(&rig, .rule = 1, .at = NOW + i * 2000, .flow = {.dst = rig_address(ip, 9, i)});
	}
	rig_save(&rig);
	then.rule = 1;
	rig_damage(&rig, &then);
	rig_stop(&rig);
}

/* ---- other rules ---- */

static void test_reload(void **state)
{
	struct rig rig = {0}, other = {0};
	char ip[20];

	(void)state;
	rig_rule(&rig, threshold(RULES_COUNT_FLOWS, 1, HOUR));
	rig_rule(&rig, threshold(RULES_COUNT_FLOWS, 1, HOUR));
	rig_rule(&rig, threshold(RULES_DISTINCT, 1, HOUR));
	rig_rule(&rig, threshold(RULES_COUNT_FLOWS, 1, HOUR));
	rig_start(&rig);
	for (unsigned i = 0; i < 4; i++)
		SILENT(&rig, .rule = i, .at = NOW);
	for (unsigned i = 1; i < 8; i++)
		SILENT(&rig, .rule = 3, .at = NOW + i, .flow = {.src = rig_address(ip, 1, i)});
	rig_save(&rig);
	assert_int_equal(rig.store.n, 11);
	/* The third with another window is first now, the second groups by something else, the first is gone, the fourth is small. */
	other.rules[0] = rig.rules[2];
	other.rules[0].window_ms = MINUTE;
	other.rules[1] = rig.rules[1];
	other.rules[1].keys = RULES_KEY_SERVER;
	other.rules[2] = rig.rules[3];
	other.rules[2].max_keys = 3;
	other.set = (struct rule_set){.rules = other.rules, .n = 3};
	assert_int_equal(detect_use_rules(rig.d, &other.set), 0);
	memset(rig.rules, 0xff, sizeof(rig.rules));
	other.d = rig.d;
	FIRES(&other, .rule = 0, .at = NOW + 30 * SECOND, .flow = {.dst = "198.51.100.99"});
	SILENT(&other, .rule = 0, .at = NOW + 62 * SECOND, .flow = {.dst = "198.51.100.99"});
	SILENT(&other, .rule = 1, .at = NOW);
	FIRES(&other, .rule = 2, .at = NOW + 9, .flow = {.src = rig_address(ip, 1, 7)});
	SILENT(&other, .rule = 2, .at = NOW + 9, .flow = {.src = rig_address(ip, 1, 1)});
	other.store = rig.store;
	rig_save(&other);
	rig_save(&other);
	assert_int_equal(other.store.n, 1 + 1 + 3);
	rig_stop(&other);
}

/* A little at a time, and no rule waits for another. */
static void test_save_in_parts(void **state)
{
	struct rig rig = {0};
	char ip[20];
	unsigned second = 0;

	(void)state;
	rig_rule(&rig, threshold(RULES_COUNT_FLOWS, 1, HOUR));
	rig_rule(&rig, threshold(RULES_COUNT_FLOWS, 1, HOUR));
	rig_start(&rig);
	for (unsigned i = 0; i < 1000; i++)
		SILENT(&rig, .at = NOW, .flow = {.src = rig_address(ip, 1, i)});
	for (unsigned i = 0; i < 10; i++)
		SILENT(&rig, .rule = 1, .at = NOW, .flow = {.src = rig_address(ip, 1, i)});
	assert_int_equal(detect_save(rig.d, &rig.store, 20), 20);
	for (size_t i = 0; i < rig.store.n; i++)
		second += rig.store.rows[i].rule == 1002;
	assert_int_equal(second, 10);
	assert_int_equal(rig_save(&rig), 990);
	assert_int_equal(rig_save(&rig), 0);
	rig_stop(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_count),
		cmocka_unit_test(test_window_edge),
		cmocka_unit_test(test_sums),
		cmocka_unit_test(test_score),
		cmocka_unit_test(test_slices),
		cmocka_unit_test(test_clock),
		cmocka_unit_test(test_distinct),
		cmocka_unit_test(test_distinct_error),
		cmocka_unit_test(test_distinct_window),
		cmocka_unit_test(test_eviction),
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_restart),
		cmocka_unit_test(test_restart_distinct),
		cmocka_unit_test(test_damage),
		cmocka_unit_test(test_reload),
		cmocka_unit_test(test_save_in_parts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
