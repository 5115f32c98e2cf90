/* SPDX-License-Identifier: Apache-2.0 */
/* Alerts that are kept: not told because of a mute or a silence, and over restarts and kills. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "alert_rig.h"

#define DENY "version: 1\nrules:\n- {id: 7, name: \"No chats\", type: deny, severity: high, match: {app: Telegram}"

/* ---- mutes ---- */

static void flood(struct rig *g, unsigned from, unsigned n, uint64_t now)
{
	char ip[32];

	for (unsigned i = from; i < from + n; i++) {
		snprintf(ip, sizeof(ip), "10.1.%u.%u", i / 250, i % 250 + 1);
		FEED(g, .app = "Telegram", .src = ip, .flow_id = i + 1, .end_ms = now);
	}
}

static void test_mute(void **state)
{
	struct rig g;

	(void)state;
	rig_open(&g, DENY ", dedup: 1h}\n");
	use(&g, 5 * MINUTE, 100, 10 * MINUTE);
	flood(&g, 0, 300, NOW);
	assert_int_equal(rig_read(&g), 101);
	assert_string_equal(text_at(last(&g), "event_type"), "alert");
	assert_string_equal(text_at(last(&g), "state"), "engaged");
	assert_true(json_is_true(json_object_get(last(&g), "muted")));
	assert_int_equal(number_at(last(&g), "rule.id"), 7);
	assert_int_equal(number_at(last(&g), "hosts"), 101);
	assert_string_equal(text_at(last(&g), "reason"),
			    "rule 7 No chats raised 100 alerts within 10 min and is muted; 101 hosts, the last "
			    "10.1.0.101");
	assert_true(alerts_muted(&g.a, 7));
	assert_int_equal(alerts_engaged(&g.a), 301);
	/* It goes on: the mute too, and nothing is said. */
	alerts_tick(&g.a, NOW + 10 * MINUTE);
	flood(&g, 300, 101, NOW + 11 * MINUTE);
	alerts_tick(&g.a, NOW + 20 * MINUTE);
	assert_true(alerts_muted(&g.a, 7));
	assert_int_equal(rig_read(&g), 0);
	alerts_tick(&g.a, NOW + 30 * MINUTE);
	assert_int_equal(rig_read(&g), 1);
	assert_string_equal(text_at(last(&g), "state"), "released");
	assert_string_equal(text_at(last(&g), "reason"), "rule 7 No chats is no longer muted; it kept back 301 alerts");
	assert_int_equal(number_at(last(&g), "kept_back"), 301);
	assert_string_equal(text_at(last(&g), "alert_uid"), text_at(g.lines[100], "alert_uid"));
	assert_false(alerts_muted(&g.a, 7));
	/* Now it is told again; and of those that were told before, that they are over, of the others nothing. */
	flood(&g, 1000, 1, NOW + 31 * MINUTE);
	assert_int_equal(rig_read(&g), 1);
	alerts_tick(&g.a, NOW + 80 * MINUTE);
	assert_int_equal(rig_read(&g), 100);
	assert_int_equal(g.a.n_kept_back, 301);
	rig_close(&g);
}

/* What was kept back and goes on long after is told then, as engaged. */
static void test_mute_goes_on(void **state)
{
	struct rig g;

	(void)state;
	rig_open(&g, DENY ", dedup: 1h}\n");
	use(&g, 2 * HOUR, 2, MINUTE);
	flood(&g, 0, 4, NOW);
	assert_int_equal(rig_read(&g), 3);
	alerts_tick(&g.a, NOW + MINUTE); /* the third and the fourth are within the first window */
	assert_int_equal(rig_read(&g), 1);
	FEED(&g, .app = "Telegram", .src = "10.1.0.4", .flow_id = 100, .end_ms = NOW + 30 * MINUTE);
	assert_int_equal(rig_read(&g), 0);
	FEED(&g, .app = "Telegram", .src = "10.1.0.4", .flow_id = 101, .end_ms = NOW + 61 * MINUTE);
	assert_int_equal(rig_read(&g), 1);
	assert_string_equal(text_at(last(&g), "state"), "engaged");
	assert_string_equal(text_at(last(&g), "subject.ip"), "10.1.0.4");
	assert_int_equal(number_at(last(&g), "count"), 3);
	rig_close(&g);
}

static void test_mute_over_restart(void **state)
{
	struct rig g;

	(void)state;
	rig_open_disk(&g, DENY ", dedup: 1h}\n");
	use(&g, 5 * MINUTE, 10, 10 * MINUTE);
	flood(&g, 0, 30, NOW);
	assert_int_equal(rig_read(&g), 11);
	rig_stop(&g);
	rig_start(&g, DENY ", dedup: 1h}\n");
	use(&g, 5 * MINUTE, 10, 10 * MINUTE);
	alerts_use_rules(&g.a, g.set);
	assert_true(alerts_muted(&g.a, 7));
	flood(&g, 40, 5, NOW);
	assert_int_equal(rig_read(&g), 0);
	alerts_tick(&g.a, NOW + 11 * MINUTE);
	assert_int_equal(rig_read(&g), 1);
	assert_int_equal(number_at(last(&g), "kept_back"), 25);
	rig_close(&g);
}

/* ---- silences ---- */

static void silence(struct rig *g, uint32_t rule, const char *host, const char *app, uint64_t until)
{
	struct store_silence l = {.rule = rule, .host = host, .app = app, .until_ms = until, .created_ms = NOW};

	assert_true(store_silence_add(g->store, &l) != 0);
	alerts_silences_changed(&g->a);
}

static void test_silence(void **state)
{
	struct rig g;

	(void)state;
	rig_open(&g, DENY ", dedup: 10m}\n");
	use(&g, 2 * HOUR, 0, 0);
	alerts_tick(&g.a, NOW);
	silence(&g, 7, "10.1.0.0/24", "Telegram", NOW + HOUR);
	FEED(&g, .app = "TLS.Telegram", .src = "10.1.0.1", .flow_id = 1);
	FEED(&g, .app = "TLS.Telegram", .src = "10.1.0.1", .flow_id = 2, .end_ms = NOW + 11 * MINUTE);
	FEED(&g, .app = "TLS.Telegram", .src = "10.1.1.1", .flow_id = 3);
	assert_int_equal(rig_read(&g), 1);
	assert_string_equal(text_at(last(&g), "subject.ip"), "10.1.1.1");
	assert_int_equal(alerts_engaged(&g.a), 2);
	assert_int_equal(g.a.n_silenced, 1);
	alerts_tick(&g.a, NOW + HOUR - 1);
	assert_int_equal(rig_read(&g), 0);
	alerts_tick(&g.a, NOW + HOUR);
	assert_int_equal(rig_read(&g), 1);
	assert_string_equal(text_at(last(&g), "state"), "engaged");
	assert_string_equal(text_at(last(&g), "subject.ip"), "10.1.0.1");
	assert_int_equal(number_at(last(&g), "count"), 2);
	assert_int_equal(number_at(last(&g), "suppressed"), 1);
	rig_close(&g);
}

static void silence_all(void *arg, const struct store_silence *l)
{
	*(uint64_t *)arg = l->id;
}

/* Taken away by hand, over a restart; what is over by then is not told. */
static void test_silence_dropped(void **state)
{
	struct rig g;
	uint64_t id = 0;

	(void)state;
	rig_open_disk(&g, DENY ", dedup: 10m}\n");
	use(&g, 20 * MINUTE, 0, 0);
	silence(&g, 0, NULL, NULL, 0);
	FEED(&g, .app = "TLS.Telegram", .src = "10.1.0.1", .flow_id = 1);
	FEED(&g, .app = "TLS.Telegram", .src = "10.1.0.2", .flow_id = 2, .end_ms = NOW + 19 * MINUTE);
	alerts_tick(&g.a, NOW + 21 * MINUTE);
	assert_int_equal(alerts_engaged(&g.a), 1);
	rig_stop(&g);
	rig_start(&g, DENY ", dedup: 10m}\n");
	use(&g, 20 * MINUTE, 0, 0);
	alerts_use_rules(&g.a, g.set);
	alerts_tick(&g.a, NOW + 22 * MINUTE);
	assert_int_equal(rig_read(&g), 0);
	store_silences(g.store, silence_all, &id);
	assert_true(store_silence_drop(g.store, id));
	alerts_silences_changed(&g.a);
	assert_int_equal(rig_read(&g), 1);
	assert_string_equal(text_at(last(&g), "state"), "engaged");
	assert_string_equal(text_at(last(&g), "subject.ip"), "10.1.0.2");
	rig_close(&g);
}

/* Of an alert that was told, its end is told under a silence too. */
static void test_silence_release(void **state)
{
	struct rig g;

	(void)state;
	rig_open(&g, DENY ", dedup: 10m}\n");
	use(&g, 5 * MINUTE, 0, 0);
	FEED(&g, .app = "Telegram", .flow_id = 1);
	silence(&g, 7, "192.0.2.10", NULL, 0);
	FEED(&g, .app = "Telegram", .flow_id = 2, .end_ms = NOW + 11 * MINUTE);
	assert_int_equal(rig_read(&g), 1);
	alerts_tick(&g.a, NOW + 16 * MINUTE);
	assert_int_equal(rig_read(&g), 1);
	assert_string_equal(text_at(last(&g), "state"), "released");
	rig_close(&g);
}

/* It ends while nobody is there. */
static void test_silence_ends_unseen(void **state)
{
	struct rig g;
	uint64_t id = 0;

	(void)state;
	rig_open_disk(&g, DENY ", dedup: 10m}\n");
	alerts_tick(&g.a, NOW);
	silence(&g, 7, NULL, NULL, NOW + MINUTE);
	FEED(&g, .app = "Telegram", .flow_id = 1);
	assert_int_equal(rig_read(&g), 0);
	store_silences(g.store, silence_all, &id);
	assert_true(store_silence_drop(g.store, id)); /* and the alerts have not heard of it */
	rig_stop(&g);
	rig_start(&g, DENY ", dedup: 10m}\n");
	assert_int_equal(rig_read(&g), 1);
	assert_string_equal(text_at(last(&g), "state"), "engaged");
	rig_close(&g);
}

static void test_silence_names(void **state)
{
	static const struct {
		const char *pattern, *app;
		bool matches;
	} cases[] = {
		{"Telegram", "Telegram", true},
		{"telegram", "TLS.Telegram", true},
		{"TLS", "TLS", true},
		{"TLS", "TLS.Telegram", false},
		{"TLS.*", "TLS.Telegram", true},
		{"TLS.*", "TLS", true},
		{"TLS.*", "TLSX", false},
		{"TLS.Telegram", "Telegram", false},
		{"QUIC.Telegram", "TLS.Telegram", false},
		{"DNS", "DNS.Telegram", true},
		{"Telegram", "DNS.Telegram", false},
		{"DNS.Telegram", "dns.telegram", true},
		{"Unknown", "Unknown", true},
		{"Unknown", "TLS", false},
		{"*", "TLS", false},
	};
	struct rig g;

	(void)state;
	/* As alerts see it: one per name, none of them told if it matches. */
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		rig_open(&g, "version: 1\nrules:\n- {id: 7, name: n, type: deny, severity: low, match: {host: "
			     "192.0.2.10}}\n");
		silence(&g, 0, NULL, cases[i].pattern, 0);
		FEED(&g, .app = cases[i].app);
		if (rig_read(&g) != !cases[i].matches)
			fail_msg("%s of %s", cases[i].pattern, cases[i].app);
		rig_close(&g);
	}
}

/* ---- restarts ---- */

static void test_restart(void **state)
{
	struct rig g;
	char uid[40];
	size_t n;

	(void)state;
	rig_open_disk(&g, DENY ", dedup: 10m}\n");
	FEED(&g, .app = "TLS.Telegram", .flow_id = 1);
	FEED(&g, .app = "TLS.Telegram", .flow_id = 2);
	assert_int_equal(rig_read(&g), 1);
	strcpy(uid, text_at(last(&g), "alert_uid"));
	rig_stop(&g);
	rig_start(&g, DENY ", dedup: 10m}\n");
	assert_int_equal(alerts_engaged(&g.a), 1);
	assert_non_null(alerts_find(&g.a, "", &n));
	uid[8] = '\0';
	assert_non_null(alerts_find(&g.a, uid, &n));
	assert_null(alerts_find(&g.a, "x", &n));
	FEED(&g, .app = "TLS.Telegram", .flow_id = 3);
	assert_int_equal(rig_read(&g), 0);
	FEED(&g, .app = "TLS.Telegram", .flow_id = 4, .end_ms = NOW + 10 * MINUTE);
	assert_int_equal(rig_read(&g), 1);
	assert_string_equal(text_at(last(&g), "state"), "updated");
	assert_int_equal(number_at(last(&g), "count"), 4);
	assert_int_equal(number_at(last(&g), "suppressed"), 2);
	assert_string_equal(text_at(last(&g), "first_seen"), "2023-11-14T22:13:18.500Z");
	rig_stop(&g);
	/* Its rule is gone. */
	rig_start(&g, "version: 1\nrules:\n- {id: 9, name: n, type: deny, severity: low, match: {app: HTTP}}\n");
	assert_int_equal(rig_read(&g), 1);
	assert_string_equal(text_at(last(&g), "release_reason"), "rule removed");
	rig_close(&g);
}

/* A process that takes alerts and is killed: at once, or after it has told. */
static void killed(struct rig *g, unsigned n, bool commit, bool write)
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		rig_start(g, DENY ", dedup: 10m}\n");
		flood(g, 0, n, NOW);
		if (commit)
			store_commit(g->store);
		if (write)
			alert_outputs_write(&g->outputs, g->a.gathered.data,
					    (size_t)((char *)memchr(g->a.gathered.data, '\n', g->a.gathered.len) -
						     g->a.gathered.data) +
						    1);
		raise(SIGKILL);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
}

/* Two flows that nobody can name before the end, one after it: three. */
static void test_unknown_over_restart(void **state)
{
	static const char rules[] =
		"version: 1\nrules:\n- {id: 5, name: n, type: allow, severity: low, match: {host: 192.0.2.10},\n"
		"   allow: {client: [TLS]}, on_unknown: {alert_after: 3}, window: 1h}\n";
	struct rig g;

	(void)state;
	rig_open_disk(&g, rules);
	FEED(&g, .app = "Unknown", .sure = "none", .flow_id = 1);
	FEED(&g, .app = "Unknown", .sure = "none", .flow_id = 2, .end_ms = NOW + 10000);
	assert_int_equal(rig_read(&g), 0);
	rig_stop(&g);
	rig_start(&g, rules);
	FEED(&g, .app = "Unknown", .sure = "none", .flow_id = 3, .end_ms = NOW + 20000);
	assert_int_equal(rig_read(&g), 1);
	assert_int_equal(number_at(last(&g), "count"), 3);
	rig_close(&g);
}

static void test_kill(void **state)
{
	static const struct {
		bool commit, write;
		size_t in_file, engaged;
	} cases[] = {
		{false, false, 0, 0}, /* not committed: it never was */
		{true, false, 5, 5},  /* committed, not written: told now */
		{true, true, 5, 5},   /* one of them was written: not again */
	};
	struct rig g;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		rig_open_disk(&g, DENY ", dedup: 10m}\n");
		rig_stop(&g);
		killed(&g, 5, cases[i].commit, cases[i].write);
		rig_start(&g, DENY ", dedup: 10m}\n");
		assert_int_equal(rig_read(&g), cases[i].in_file);
		assert_int_equal(alerts_engaged(&g.a), cases[i].engaged);
		for (size_t j = 0; j < g.n; j++)
			for (size_t k = 0; k < j; k++)
				assert_string_not_equal(text_at(g.lines[j], "alert_uid"),
							text_at(g.lines[k], "alert_uid"));
		rig_stop(&g);
		rig_start(&g, DENY ", dedup: 10m}\n"); /* and that is that */
		flood(&g, 0, (unsigned)cases[i].engaged, NOW);
		assert_int_equal(rig_read(&g), 0);
		rig_close(&g);
	}
}

/* Killed within a line: what is broken stays so, the whole line follows on one of its own. */
static void test_torn(void **state)
{
	struct rig g;
	FILE *out;

	(void)state;
	rig_open_disk(&g, DENY ", dedup: 10m}\n");
	rig_stop(&g);
	killed(&g, 1, true, false);
	out = fopen(g.path, "w");
	assert_non_null(out);
	fputs("{\"event_type\":\"alert\",\"alert_u", out);
	fclose(out);
	rig_start(&g, DENY ", dedup: 10m}\n");
	g.read = strlen("{\"event_type\":\"alert\",\"alert_u\n");
	assert_int_equal(rig_read(&g), 1);
	assert_string_equal(text_at(last(&g), "state"), "engaged");
	rig_close(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mute),
		cmocka_unit_test(test_mute_goes_on),
		cmocka_unit_test(test_mute_over_restart),
		cmocka_unit_test(test_silence),
		cmocka_unit_test(test_silence_dropped),
		cmocka_unit_test(test_silence_release),
		cmocka_unit_test(test_silence_ends_unseen),
		cmocka_unit_test(test_silence_names),
		cmocka_unit_test(test_restart),
		cmocka_unit_test(test_unknown_over_restart),
		cmocka_unit_test(test_kill),
		cmocka_unit_test(test_torn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
