/* SPDX-License-Identifier: Apache-2.0 */
/* The life of alerts: engaged, updated, released. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "alert_rig.h"

#define RULES                                                                                                          \
	"version: 1\nlists: {dmz: [192.0.2.10, \"2001:db8::/64\"]}\nrules:\n"                                          \
	"- {id: 1001, name: Servers, type: allow, severity: critical, match: {host: \"@dmz\"}, mitre: T1071,\n"        \
	"   tags: [a, b], allow: {client: [DNS, TLS, SSH], server: [SSH]}, on_unknown: {alert_after: 3}}\n"
#define DENY "version: 1\nrules:\n- {id: 7, name: \"No chats\", type: deny, severity: high, match: {app: Telegram}"

static void test_object(void **state)
{
	struct rig g;
	const json_t *a;

	(void)state;
	rig_open(&g, RULES);
	FEED(&g, .app = "TLS.Telegram", .category = "Chat", .dst = "149.154.167.220", .sni = "api.telegram.org");
	assert_int_equal(rig_read(&g), 1);
	a = g.lines[0];
	assert_string_equal(text_at(a, "event_type"), "alert");
	assert_string_equal(text_at(a, "state"), "engaged");
	assert_int_equal(strlen(text_at(a, "alert_uid")), 32);
	assert_string_equal(text_at(a, "first_seen"), "2023-11-14T22:13:18.500Z");
	assert_string_equal(text_at(a, "last_seen"), "2023-11-14T22:13:20.000Z");
	assert_int_equal(strlen(text_at(a, "@timestamp")), 24);
	assert_int_equal(number_at(a, "count"), 1);
	assert_int_equal(number_at(a, "suppressed"), 0);
	assert_int_equal(number_at(a, "rule.id"), 1001);
	assert_string_equal(text_at(a, "rule.name"), "Servers");
	assert_string_equal(text_at(a, "rule.type"), "allow");
	assert_int_equal(json_array_size(json_object_get(json_object_get(a, "rule"), "tags")), 2);
	assert_int_equal(json_array_size(json_object_get(json_object_get(a, "rule"), "mitre")), 1);
	assert_string_equal(text_at(a, "severity"), "critical");
	assert_string_equal(text_at(a, "subject.ip"), "192.0.2.10");
	assert_string_equal(text_at(a, "subject.side"), "client");
	assert_string_equal(text_at(a, "peer.ip"), "149.154.167.220");
	assert_int_equal(number_at(a, "peer.port"), 443);
	assert_string_equal(text_at(a, "app"), "TLS.Telegram");
	assert_string_equal(text_at(a, "master"), "TLS");
	assert_string_equal(text_at(a, "category"), "Chat");
	assert_string_equal(text_at(a, "confidence"), "dpi");
	assert_string_equal(text_at(a, "flow.sni"), "api.telegram.org");
	assert_string_equal(text_at(a, "flow.flow_id"), "7");
	assert_string_equal(text_at(a, "reason"),
			    "192.0.2.10 speaks TLS.Telegram to 149.154.167.220:443 (api.telegram.org), seen by dpi; "
			    "as client it may speak only DNS, TLS, SSH");
	rig_close(&g);
}

/* ---- engaged, updated, released ---- */

static void test_once(void **state)
{
	struct rig g;

	(void)state;
	rig_open(&g, RULES);
	for (uint64_t i = 1; i <= 1000; i++)
		FEED(&g, .app = "TLS.Telegram", .flow_id = i);
	FEED(&g, .app = "Telegram", .flow_id = 2000); /* the same application */
	FEED(&g, .app = "TLS.Telegram", .flow_id = 2001, .dst = "198.51.100.99");
	assert_int_equal(g.a.n_raised, 1);
	assert_int_equal(g.a.n_suppressed, 1001);
	FEED(&g, .app = "HTTP", .flow_id = 3000);
	FEED(&g, .app = "TLS.Telegram", .flow_id = 3001, .src = "2001:db8::1", .dst = "2001:db8:1::");
	assert_int_equal(g.a.n_raised, 3);
	assert_int_equal(alerts_engaged(&g.a), 3);
	/* An early record and the last one of a flow are one flow. */
	FEED(&g, .app = "RDP", .flow_id = 4000, .state = L7_STATE_FINAL | L7_STATE_EARLY);
	FEED(&g, .app = "RDP", .flow_id = 4000);
	assert_int_equal(g.a.n_raised, 4);
	assert_int_equal(g.a.n_suppressed, 1001);
	assert_int_equal(rig_read(&g), 4);
	rig_close(&g);
}

/* Records of flows that take turns. */
static void test_flows_once(void **state)
{
	struct rig g;

	(void)state;
	rig_open(&g, DENY "}\n");
	for (unsigned i = 0; i < 10; i++)
		for (uint64_t flow = 1; flow <= 3; flow++)
			FEED(&g, .app = "Telegram", .flow_id = flow, .state = L7_STATE_FINAL);
	assert_int_equal(g.a.n_suppressed, 2);
	FEED(&g, .app = "Telegram", .flow_id = 2);
	assert_int_equal(g.a.n_suppressed, 2);
	rig_close(&g);
}

static void test_updated(void **state)
{
	struct rig g;

	(void)state;
	rig_open(&g, DENY ", dedup: 10m}\n");
	use(&g, 15 * MINUTE, 0, 0);
	FEED(&g, .app = "Telegram", .flow_id = 1);
	FEED(&g, .app = "Telegram", .flow_id = 2, .end_ms = NOW + 599000);
	FEED(&g, .app = "Telegram", .flow_id = 3, .end_ms = NOW + 599000);
	assert_int_equal(rig_read(&g), 1);
	FEED(&g, .app = "Telegram", .flow_id = 4, .end_ms = NOW + 600000);
	assert_int_equal(rig_read(&g), 1);
	assert_string_equal(text_at(last(&g), "state"), "updated");
	assert_int_equal(number_at(last(&g), "count"), 4);
	assert_int_equal(number_at(last(&g), "suppressed"), 2);
	assert_string_equal(text_at(last(&g), "first_seen"), "2023-11-14T22:13:18.500Z");
	assert_string_equal(text_at(last(&g), "last_seen"), "2023-11-14T22:23:20.000Z");
	assert_string_equal(text_at(g.lines[0], "alert_uid"), text_at(last(&g), "alert_uid"));
	rig_close(&g);
}

static void test_released(void **state)
{
	struct rig g;

	(void)state;
	rig_open(&g, DENY ", dedup: 10m}\n");
	use(&g, 5 * MINUTE, 0, 0);
	FEED(&g, .app = "Telegram", .flow_id = 1);
	FEED(&g, .app = "Telegram", .flow_id = 2, .end_ms = NOW + 1000);
	alerts_tick(&g.a, NOW + 10 * MINUTE - 1); /* quiet for long enough, but engaged too short */
	assert_int_equal(rig_read(&g), 1);
	alerts_tick(&g.a, NOW + 10 * MINUTE);
	assert_int_equal(rig_read(&g), 1);
	assert_string_equal(text_at(last(&g), "state"), "released");
	assert_string_equal(text_at(last(&g), "release_reason"), "no flow for 5 min");
	assert_string_equal(text_at(last(&g), "alert_uid"), text_at(g.lines[0], "alert_uid"));
	assert_string_equal(text_at(last(&g), "reason"), text_at(g.lines[0], "reason"));
	assert_string_equal(text_at(last(&g), "last_seen"), "2023-11-14T22:13:21.000Z");
	assert_int_equal(number_at(last(&g), "count"), 2);
	assert_int_equal(number_at(last(&g), "suppressed"), 1);
	assert_int_equal(alerts_engaged(&g.a), 0);
	/* Again: another alert, though the record is late. */
	FEED(&g, .app = "Telegram", .flow_id = 3, .end_ms = NOW + 9 * MINUTE);
	assert_int_equal(rig_read(&g), 1);
	assert_string_equal(text_at(last(&g), "state"), "engaged");
	assert_string_not_equal(text_at(last(&g), "alert_uid"), text_at(g.lines[0], "alert_uid"));
	rig_close(&g);
}

/* Each hit puts the release off. */
static void test_goes_on(void **state)
{
	struct rig g;
	uint64_t now = NOW;

	(void)state;
	rig_open(&g, DENY ", dedup: 1m}\n");
	use(&g, 5 * MINUTE, 0, 0);
	for (uint64_t i = 1; i <= 20; i++, now += 4 * MINUTE) {
		FEED(&g, .app = "Telegram", .flow_id = i, .end_ms = now);
		alerts_tick(&g.a, now + 1000);
	}
	alerts_tick(&g.a, now - 4 * MINUTE + 5 * MINUTE - 1);
	assert_int_equal(g.a.n_released, 0);
	assert_int_equal(g.a.n_updated, 19);
	alerts_tick(&g.a, now + 2 * MINUTE);
	assert_int_equal(g.a.n_released, 1);
	rig_close(&g);
}

/* Many alerts with different times are released in the order of these, each once. */
static void test_many(void **state)
{
	struct rig g;
	char ip[32];

	(void)state;
	rig_open(&g, DENY ", dedup: 1m}\n");
	use(&g, 2 * MINUTE, 0, 0);
	for (unsigned i = 0; i < 1000; i++) {
		snprintf(ip, sizeof(ip), "10.0.%u.%u", i / 250, i % 250 + 1);
		FEED(&g, .app = "Telegram", .src = ip, .flow_id = i + 1, .end_ms = NOW + (i * 7919 % 1000) * 1000);
	}
	assert_int_equal(alerts_engaged(&g.a), 1000);
	for (unsigned i = 0; i < 1000; i++) {
		alerts_tick(&g.a, NOW + 2 * MINUTE + i * 1000);
		assert_int_equal(g.a.n_released, i + 1);
	}
	assert_int_equal(rig_read(&g), 2000);
	for (size_t i = 0; i < 999; i++)
		assert_true(strcmp(text_at(g.lines[1000 + i], "last_seen"), text_at(g.lines[1001 + i], "last_seen")) <
			    0);
	rig_close(&g);
}

static void test_dedup_keys(void **state)
{
	struct rig g;

	(void)state;
	rig_open(&g, DENY ", dedup: {key: [subject, peer, port], for: 1h}}\n");
	FEED(&g, .app = "Telegram", .flow_id = 1);
	FEED(&g, .app = "TLS.Telegram", .flow_id = 2);
	FEED(&g, .app = "Telegram", .flow_id = 3, .port = 80);
	FEED(&g, .app = "Telegram", .flow_id = 4, .dst = "198.51.100.8");
	assert_int_equal(g.a.n_raised, 3);
	rig_close(&g);
}

/* Two watchers that see one thing give it one name. */
static void test_uid(void **state)
{
	struct rig a, b;

	(void)state;
	rig_open(&a, RULES);
	rig_open(&b, RULES);
	FEED(&a, .app = "TLS.Telegram", .flow_id = 1);
	FEED(&b, .app = "TLS.Telegram", .flow_id = 2, .end_ms = NOW + 20000);
	FEED(&b, .app = "HTTP", .flow_id = 3);
	rig_read(&a);
	rig_read(&b);
	assert_string_equal(text_at(a.lines[0], "alert_uid"), text_at(b.lines[0], "alert_uid"));
	assert_string_not_equal(text_at(a.lines[0], "alert_uid"), text_at(b.lines[1], "alert_uid"));
	rig_close(&a);
	rig_close(&b);
}

static void test_unknown(void **state)
{
	struct rig g;

	(void)state;
	rig_open(&g, RULES);
	FEED(&g, .app = "Unknown", .flow_id = 1);
	FEED(&g, .app = "Telegram", .sure = "ip", .flow_id = 2);
	FEED(&g, .app = "Unknown", .flow_id = 3, .unanswered = true);
	FEED(&g, .app = "Unknown", .flow_id = 4, .state = L7_STATE_FINAL);
	assert_int_equal(g.a.n_raised, 0);
	FEED(&g, .app = "Unknown", .flow_id = 5);
	FEED(&g, .app = "Unknown", .flow_id = 6);
	assert_int_equal(rig_read(&g), 1);
	assert_int_equal(number_at(g.lines[0], "count"), 3);
	assert_string_equal(text_at(g.lines[0], "app"), "Unknown");
	assert_string_equal(
		text_at(g.lines[0], "reason"),
		"192.0.2.10 had 3 flows of unknown protocol as client, the last to 198.51.100.7:443; as client it "
		"may speak only DNS, TLS, SSH");
	rig_close(&g);
}

/* The table is full: the one that was quiet for longest goes, and is said to. */
static void test_full(void **state)
{
	struct rig g;
	char ip[32];

	(void)state;
	rig_open(&g, DENY ", dedup: 1h}\n");
	use(&g, 0, 0, 0);
	for (unsigned i = 0; i < ALERT_KEYS_MAX + 10; i++) {
		snprintf(ip, sizeof(ip), "10.%u.%u.%u", i >> 16, i >> 8 & 255, i & 255);
		FEED(&g, .app = "Telegram", .src = ip, .flow_id = i + 1);
		if (i == 50) /* used again */
			FEED(&g, .app = "Telegram", .src = "10.0.0.0", .flow_id = 1000000);
	}
	alerts_settle(&g.a);
	assert_int_equal(alerts_engaged(&g.a), ALERT_KEYS_MAX);
	assert_int_equal(g.a.n_evicted, 10);
	assert_int_equal(g.a.n_released, 10);
	FEED(&g, .app = "Telegram", .src = "10.0.0.0", .flow_id = 1000001);
	assert_int_equal(g.a.n_raised, ALERT_KEYS_MAX + 10);
	FEED(&g, .app = "Telegram", .src = "10.0.0.1", .flow_id = 1000002);
	assert_int_equal(g.a.n_raised, ALERT_KEYS_MAX + 11);
	rig_close(&g);
}

/* ---- rules come and go ---- */

static void test_rule_removed(void **state)
{
	struct rule_set *other;
	struct rig g;

	(void)state;
	rig_open(&g, DENY "}\n- {id: 8, name: n, type: deny, severity: low, match: {app: HTTP}}\n");
	FEED(&g, .app = "Telegram", .flow_id = 1);
	FEED(&g, .app = "HTTP", .flow_id = 2);
	assert_int_equal(rig_read(&g), 2);
	other = rig_rules(DENY
			  "}\n- {id: 8, name: n, type: deny, severity: low, enabled: false, match: {app: HTTP}}\n");
	alerts_use_rules(&g.a, other);
	rules_free(g.set);
	g.set = other;
	assert_int_equal(rig_read(&g), 1);
	assert_string_equal(text_at(last(&g), "state"), "released");
	assert_string_equal(text_at(last(&g), "release_reason"), "rule removed");
	assert_int_equal(number_at(last(&g), "rule.id"), 8);
	FEED(&g, .app = "Telegram", .flow_id = 3);
	assert_int_equal(rig_read(&g), 0);
	assert_int_equal(alerts_engaged(&g.a), 1);
	rig_close(&g);
}

/* ---- built-in alerts ---- */

static void test_health(void **state)
{
	struct rig g;

	(void)state;
	rig_open(&g, DENY "}\n");
	alerts_health(&g.a, EXPORTERS_SILENT, "edge-1", true, "edge-1 has sent nothing for 5 min", NOW);
	alerts_health(&g.a, EXPORTERS_SILENT, "edge-1", true, "edge-1 has sent nothing for 6 min", NOW + 1000);
	alerts_health(&g.a, EXPORTERS_SILENT, "edge-2", false, "edge-2 is fine", NOW + 1000);
	assert_int_equal(rig_read(&g), 1);
	assert_int_equal(number_at(last(&g), "rule.id"), 0);
	assert_string_equal(text_at(last(&g), "rule.type"), "builtin");
	assert_string_equal(text_at(last(&g), "rule.name"), exporters_health_name(EXPORTERS_SILENT));
	assert_string_equal(text_at(last(&g), "exporter"), "edge-1");
	assert_string_equal(text_at(last(&g), "reason"), "edge-1 has sent nothing for 5 min");
	alerts_tick(&g.a, NOW + 24 * HOUR);
	alerts_use_rules(&g.a, g.set);
	assert_int_equal(rig_read(&g), 0);
	alerts_health(&g.a, EXPORTERS_SILENT, "edge-1", false, "edge-1 is heard again", NOW + 25 * HOUR);
	assert_int_equal(rig_read(&g), 1);
	assert_string_equal(text_at(last(&g), "state"), "released");
	assert_string_equal(text_at(last(&g), "release_reason"), "edge-1 is heard again");
	rig_close(&g);
}

/* Whose cause nobody has seen since the restart is over; the other goes on. */
static void test_health_over_restart(void **state)
{
	struct rig g;

	(void)state;
	rig_open_disk(&g, DENY "}\n");
	alerts_health(&g.a, EXPORTERS_LOST, "edge-1", true, "s", NOW);
	alerts_health(&g.a, EXPORTERS_LOST, "edge-2", true, "s", NOW);
	assert_int_equal(rig_read(&g), 2);
	rig_stop(&g);
	rig_start(&g, DENY "}\n");
	alerts_tick(&g.a, NOW + HOUR);
	alerts_health(&g.a, EXPORTERS_LOST, "edge-2", true, "s", NOW + HOUR);
	alerts_tick(&g.a, NOW + HOUR + 14 * MINUTE);
	assert_int_equal(rig_read(&g), 0);
	alerts_tick(&g.a, NOW + HOUR + 16 * MINUTE);
	assert_int_equal(rig_read(&g), 1);
	assert_string_equal(text_at(last(&g), "exporter"), "edge-1");
	rig_close(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_object),     cmocka_unit_test(test_once),
		cmocka_unit_test(test_flows_once), cmocka_unit_test(test_updated),
		cmocka_unit_test(test_released),   cmocka_unit_test(test_goes_on),
		cmocka_unit_test(test_many),       cmocka_unit_test(test_dedup_keys),
		cmocka_unit_test(test_uid),        cmocka_unit_test(test_unknown),
		cmocka_unit_test(test_full),       cmocka_unit_test(test_rule_removed),
		cmocka_unit_test(test_health),     cmocka_unit_test(test_health_over_restart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
