/* SPDX-License-Identifier: Apache-2.0 */
/* What a host has not done before: when it is learned, when it is said, when it is forgotten. */
#include "detect_rig.h"

static struct rule first_seen(uint64_t for_ms, uint64_t min_flows, uint64_t forget_ms)
{
	return (struct rule){.type = RULES_FIRST_SEEN,
			     .keys = RULES_KEY_SUBJECT | RULES_KEY_SIDE | RULES_KEY_APP,
			     .learn = {.for_ms = for_ms, .min_flows = min_flows, .forget_ms = forget_ms}};
}

#define APP(name) .flow = {.app = name}
#define OF(ip, name) .flow = {.src = ip, .app = name}

static void learn(struct rig *rig, unsigned flows)
{
	for (unsigned i = 0; i < flows; i++)
		SILENT(rig, .at = NOW + i, APP("TLS"));
}

/* Both: the time and the flows, to the millisecond and to the flow. */
static void test_learning(void **state)
{
	struct rig rig = {0};

	(void)state;
	rig_rule(&rig, first_seen(7 * DAY, 20, 0));
	rig_start(&rig);
	learn(&rig, 100);
	SILENT(&rig, .at = NOW + 7 * DAY - 1, APP("SSH")); /* many flows, not the time */
	SILENT(&rig, .at = NOW + 7 * DAY, APP("SSH"));
	FIRES(&rig, .at = NOW + 7 * DAY, APP("Telnet"));
	assert_int_equal(rig.found.value, 102);
	assert_int_equal(rig.found.since_ms, NOW);
	SILENT(&rig, .at = NOW + 7 * DAY, APP("Telnet")); /* said once */
	FIRES(&rig, .at = NOW + 7 * DAY, APP("TLS"), .side = RULES_SERVER, .flow.dst = "192.0.2.10",
	      .flow.src = "203.0.113.9");
	/* A host that nobody has seen is learned, not told of. */
	SILENT(&rig, .at = NOW + 7 * DAY, OF("192.0.2.77", "Telnet"));
	rig_stop(&rig);

	rig = (struct rig){0};
	rig_rule(&rig, first_seen(7 * DAY, 20, 0));
	rig_start(&rig);
	learn(&rig, 18);
	SILENT(&rig, .at = NOW + DAY, APP("TLS"), .known = true); /* the same flow, another exporter: no flows */
	SILENT(&rig, .at = NOW + DAY, APP("TLS"), .twin = true);
	SILENT(&rig, .at = NOW + 8 * DAY, APP("DNS")); /* the time, but only the 19th flow */
	SILENT(&rig, .at = NOW + 8 * DAY, APP("NTP")); /* the 20th is the last that is learned */
	FIRES(&rig, .at = NOW + 8 * DAY, APP("SSH"));
	assert_int_equal(rig.found.value, 20);
	/* A flow that changes its name later is judged by that. */
	FIRES(&rig, .at = NOW + 8 * DAY, APP("SSH.Odd"), .known = true);
	rig_stop(&rig);
}

static void test_no_learning(void **state)
{
	struct rig rig = {0};

	(void)state;
	rig_rule(&rig, first_seen(0, 0, 0));
	rig_rule(&rig, first_seen(0, 1, 0));
	rig_start(&rig);
	FIRES(&rig, .at = NOW, APP("TLS"));
	assert_int_equal(rig.found.value, 0);
	SILENT(&rig, .rule = 1, .at = NOW, APP("TLS"));
	FIRES(&rig, .rule = 1, .at = NOW, APP("DNS"));
	rig_stop(&rig);
}

static void test_forgetting(void **state)
{
	struct rig rig = {0};

	(void)state;
	rig_rule(&rig, first_seen(DAY, 2, 60 * DAY));
	rig_start(&rig);
	learn(&rig, 2);
	FIRES(&rig, .at = NOW + 2 * DAY, APP("SSH"));
	SILENT(&rig, .at = NOW + 50 * DAY, APP("TLS"));
	SILENT(&rig, .at = NOW + 62 * DAY - 1, APP("SSH")); /* not yet, and seen again by that */
	SILENT(&rig, .at = NOW + 100 * DAY, APP("TLS"));
	FIRES(&rig, .at = NOW + 122 * DAY - 1, APP("SSH"));
	SILENT(&rig, .at = NOW + 123 * DAY, APP("SSH"));
	/* A host that was away for so long is learned anew. */
	SILENT(&rig, .at = NOW + 300 * DAY, APP("Telnet"));
	SILENT(&rig, .at = NOW + 300 * DAY, APP("RDP"));
	SILENT(&rig, .at = NOW + 301 * DAY - 1, APP("VNC"));
	FIRES(&rig, .at = NOW + 301 * DAY, APP("FTP"));
	rig_stop(&rig);
}

static void test_clock(void **state)
{
	struct rig rig = {0};

	(void)state;
	rig_rule(&rig, first_seen(DAY, 2, 60 * DAY));
	rig_start(&rig);
	learn(&rig, 2);
	SILENT(&rig, .at = NOW - 5 * SECOND, APP("DNS"));
	SILENT(&rig, .at = NOW + DAY - 5 * SECOND - 1, APP("NTP"));
	FIRES(&rig, .at = NOW + DAY - 5 * SECOND, APP("SSH"));
	/* A late record does not make it older. */
	SILENT(&rig, .at = NOW + DAY - 10 * SECOND, APP("SSH"));
	/* A host whose first record was of a far future is learned from when time is right. */
	SILENT(&rig, .at = NOW + 9000 * DAY, OF("192.0.2.3", "TLS"));
	SILENT(&rig, .at = NOW, OF("192.0.2.3", "TLS"));
	SILENT(&rig, .at = NOW + DAY - 1, OF("192.0.2.3", "DNS"));
	FIRES(&rig, .at = NOW + DAY, OF("192.0.2.3", "SSH"));
	rig_stop(&rig);
}

static void test_restart(void **state)
{
	struct rig rig = {0};

	(void)state;
	rig_rule(&rig, first_seen(DAY, 3, 64 * DAY));
	rig_start(&rig);
	learn(&rig, 3);
	SILENT(&rig, .at = NOW + HOUR, APP("DNS"));
	assert_int_equal(rig_save(&rig), 3); /* two keys and the host */
	rig_restart(&rig);
	assert_int_equal(detect_groups(rig.d), 3);
	SILENT(&rig, .at = NOW + DAY, APP("DNS"));
	FIRES(&rig, .at = NOW + DAY, APP("SSH"));
	assert_int_equal(rig.found.value, 5);
	assert_int_equal(rig.found.since_ms, NOW);
	rig_save(&rig);
	/* What only moves times is written once in an hour; what is new, at once. */
	SILENT(&rig, .at = NOW + DAY + HOUR - 1, APP("SSH"));
	assert_int_equal(rig_save(&rig), 0);
	SILENT(&rig, .at = NOW + DAY + HOUR, APP("SSH"));
	assert_int_equal(rig_save(&rig), 2);
	FIRES(&rig, .at = NOW + DAY + HOUR, APP("RDP"));
	assert_int_equal(rig_save(&rig), 1);
	rig_restart(&rig);
	SILENT(&rig, .at = NOW + DAY + HOUR, APP("RDP"));
	FIRES(&rig, .at = NOW + 65 * DAY, APP("TLS"), .twin = true); /* a key has its own time */
	rig_stop(&rig);
}

static void test_eviction(void **state)
{
	struct rig rig = {0};
	char app[16];

	(void)state;
	rig_rule(&rig, first_seen(DAY, 2, 0))->max_keys = 8;
	rig_start(&rig);
	learn(&rig, 2);
	for (unsigned i = 0; i < 7; i++) {
		snprintf(app, sizeof(app), "A%u", i);
		FIRES(&rig, .at = NOW + DAY, APP(app));
	}
	SILENT(&rig, .at = NOW + DAY, APP("TLS"));
	assert_int_equal(detect_evicted(rig.d), 0);
	rig_save(&rig);
	FIRES(&rig, .at = NOW + DAY, APP("A7"));
	SILENT(&rig, .at = NOW + DAY, APP("TLS"));
	FIRES(&rig, .at = NOW + DAY, APP("A0")); /* had to go */
	assert_int_equal(detect_evicted(rig.d), 2);
	/* Hosts, too: one that had to go is learned again. */
	for (unsigned i = 0; i < 8; i++) {
		char ip[20];

		SILENT(&rig, .at = NOW + DAY, OF(rig_address(ip, 1, i), "TLS"));
	}
	SILENT(&rig, .at = NOW + DAY, APP("Telnet"));
	rig_save(&rig);
	assert_int_equal(rig.store.n, 16);
	rig_stop(&rig);
}

static void test_damage(void **state)
{
	struct rig rig = {0};
	struct seen then = {.at = NOW + DAY, .flow = {.app = "SSH"}};

	(void)state;
	rig_rule(&rig, first_seen(DAY, 1, DAY));
	rig_start(&rig);
	learn(&rig, 2);
	rig_save(&rig);
	assert_int_equal(rig.store.n, 2);
	rig_damage(&rig, &then);
	store_count_put(&rig.store, 1001, rig.store.rows[0].key, NULL, 0);
	rig_damage(&rig, &then); /* the other kind */
	rig_stop(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_learning), cmocka_unit_test(test_no_learning), cmocka_unit_test(test_forgetting),
		cmocka_unit_test(test_clock),    cmocka_unit_test(test_restart),     cmocka_unit_test(test_eviction),
		cmocka_unit_test(test_damage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
