/* SPDX-License-Identifier: Apache-2.0 */
/* Why an alert is raised, in words, for every kind of verdict; and what would allow it, pasted into the rule. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "alert_rig.h"

#define RULES                                                                                                          \
	"version: 1\nlists: {dmz: [192.0.2.10, \"2001:db8::/64\"]}\nrules:\n"                                          \
	"- {id: 1001, name: Servers, type: allow, severity: critical, match: {host: \"@dmz\"},\n"                      \
	"   allow: {client: [DNS, TLS, SSH], server: [SSH]}, on_unknown: {alert_after: 3}}\n"
#define RULE(text) "version: 1\nrules:\n- {id: 7, name: Nice name, severity: high, " text "}\n"
#define DENY RULE("type: deny, match: {app: Telegram}")

/* What there is besides the flow. */
struct more {
	struct detect_finding finding;
	bool found;
	uint32_t sampling;
	uint16_t score;
	const char *risks;
	uint64_t flows;
};

/* The first verdict of the rules on a flow, with all that belongs to it. */
struct judged {
	struct rule_set *set;
	struct l7_record r;
	struct rules_input in;
	struct rules_verdict v;
	struct alert_facts f;
	size_t n;
};

static void judge(struct judged *j, const char *rules, struct flow flow, const struct more *more)
{
	struct rules_verdict verdicts[RULES_VERDICTS_MAX];

	memset(j, 0, sizeof(*j));
	j->set = rig_rules(rules);
	j->r = flow_record(flow);
	if (more->score) {
		j->r.risk_score = more->score;
		l7_mark(&j->r, L7_F_flowRiskScore);
	}
	flow_text(&j->r, L7_F_flowRiskNames, &j->r.risk_names, more->risks);
	j->in = (struct rules_input){.record = &j->r,
				     .now_ms = j->r.end_ms,
				     .answered = j->r.rev_packets > 0,
				     .start_ms = j->r.start_ms,
				     .sampling = more->sampling ? more->sampling : 1};
	j->n = rules_match(j->set, &j->in, verdicts, RULES_VERDICTS_MAX);
	j->v = verdicts[0];
	j->f = (struct alert_facts){.v = &j->v, .in = &j->in, .flows = more->flows};
	if (more->found)
		j->f.finding = &more->finding;
}

static void reason(const char *rules, struct flow flow, struct more more, const char *expected)
{
	struct judged j;
	struct buf out;

	judge(&j, rules, flow, &more);
	assert_int_equal(j.n, 1);
	buf_init(&out, 4096);
	alert_reason(&out, &j.f);
	buf_char(&out, '\0');
	assert_false(out.failed);
	assert_string_equal(out.data, expected);
	buf_deinit(&out);
	rules_free(j.set);
}

#define FLOW(...) ((struct flow){__VA_ARGS__})
#define MORE(...) ((struct more){__VA_ARGS__})
#define FOUND(...) ((struct more){.found = true, .finding = {__VA_ARGS__}})

static void test_denied(void **state)
{
	(void)state;
	reason(DENY, FLOW(.app = "TLS.Telegram", .sure = "-", .sure_master = "-"), MORE(0),
	       "192.0.2.10 speaks TLS.Telegram to 198.51.100.7:443, as the exporter says; denied by rule 7, Nice name");
	reason(RULE("type: deny, match: {master: TLS}"), FLOW(.app = "TLS.Telegram", .sure = "ip"), MORE(0),
	       "192.0.2.10 speaks TLS.Telegram to 198.51.100.7:443, TLS seen by dpi and Telegram guessed by address; "
	       "denied by rule 7, Nice name");
	reason(RULE("type: deny, match: {category: Chat}"), FLOW(.app = "Viber", .category = "Chat"), MORE(0),
	       "192.0.2.10 speaks Viber (category Chat) to 198.51.100.7:443, seen by dpi; denied by rule 7, Nice name");
	/* Whatever a name holds, a terminal does not obey it. */
	reason(DENY, FLOW(.app = "Telegram", .sni = "\033[31m\xff"), MORE(0),
	       "192.0.2.10 speaks Telegram to 198.51.100.7:443 (?[31m?), seen by dpi; denied by rule 7, Nice name");
}

static void test_allowed(void **state)
{
	(void)state;
	reason(RULES, FLOW(.src = "198.51.100.7", .dst = "192.0.2.10", .port = 8080, .app = "HTTP"), MORE(0),
	       "192.0.2.10 serves HTTP on port 8080 to 198.51.100.7, seen by dpi; as server it may offer only SSH");
	reason(RULES, FLOW(.src = "2001:db8::5", .dst = "2001:db8:9::1", .port = 80, .app = "HTTP", .sure = "cache"),
	       MORE(0),
	       "2001:db8::5 speaks HTTP to [2001:db8:9::1]:80, known from the classifier's cache; as client it may "
	       "speak only DNS, TLS, SSH");
	/* What it carries is a guess, and is not said. */
	reason(RULE("type: allow, match: {}, allow: {client: []}"), FLOW(.app = "TLS.Telegram", .sure = "ip"), MORE(0),
	       "192.0.2.10 speaks TLS to 198.51.100.7:443, seen by dpi; as client it may speak nothing");
	reason(RULES, FLOW(.app = "Unknown"), MORE(.flows = 4311),
	       "192.0.2.10 had 4,311 flows of unknown protocol as client, the last to 198.51.100.7:443; as client it "
	       "may speak only DNS, TLS, SSH");
}

static void test_risky(void **state)
{
	(void)state;
	reason(RULE("type: risk, score_min: 100, match: {}"), FLOW(.app = "TLS", .sni = "a.example"),
	       MORE(.score = 160, .risks = "Self-signed Cert,Known Proto on Non Std Port"),
	       "192.0.2.10 speaks TLS to 198.51.100.7:443 (a.example), seen by dpi; the flow has a risk score of 160 "
	       "(Self-signed Cert, Known Proto on Non Std Port), 100 and more alert by rule 7, Nice name");
	reason(RULE("type: risk, score_min: 100, match: {}"), FLOW(.app = "TLS"), MORE(.score = 100),
	       "192.0.2.10 speaks TLS to 198.51.100.7:443, seen by dpi; the flow has a risk score of 100, 100 and more "
	       "alert by rule 7, Nice name");
}

#define SERVERS RULE("type: server_list, match: {app: [DNS, DHCP]}, servers: {DNS: [10.20.0.1], DHCP: [10.20.0.1]}")

static void test_wrong_server(void **state)
{
	(void)state;
	reason(SERVERS, FLOW(.src = "10.20.0.7", .dst = "192.0.2.66", .port = 53, .app = "DNS.Google"), MORE(0),
	       "192.0.2.66 answers DNS.Google for 10.20.0.7, seen by dpi; it is none of the servers that may, by rule "
	       "7, Nice name");
}

#define FIRST RULE("type: first_seen, match: {side: client}, key: [host, side, app], learn: {for: 7d, min_flows: 20}")

static void test_first_seen(void **state)
{
	(void)state;
	reason(FIRST, FLOW(.app = "SSH", .port = 22), FOUND(.value = 4311, .since_ms = NOW - UINT64_C(12) * 24 * HOUR),
	       "192.0.2.10 speaks SSH to 198.51.100.7:22 as client for the first time, seen by dpi; known for 12 days, "
	       "4,311 flows; rule 7, Nice name");
}

static void threshold(const char *keys, struct flow flow, struct more more, const char *expected)
{
	char rules[512];

	snprintf(rules, sizeof(rules),
		 "version: 1\nrules:\n- {id: 7, name: Nice name, severity: high, type: threshold, %s}\n", keys);
	reason(rules, flow, more, expected);
}

static void test_threshold(void **state)
{
	struct more sampled = FOUND(.value = 101, .since_ms = NOW, .sampled = true);

	(void)state;
	threshold("match: {}, group_by: [client], sum: client_bytes, over: 2GiB, window: 1h", FLOW(.src = "10.20.5.7"),
		  FOUND(.value = UINT64_C(2470000000), .since_ms = NOW),
		  "10.20.5.7 sent 2.3 GiB within 1 h, more than 2 GiB; rule 7, Nice name");
	threshold("match: {}, group_by: [client], sum: client_bytes, over: 2GiB, window: 1h", FLOW(.src = "10.20.5.7"),
		  FOUND(.value = UINT64_C(2147483649), .since_ms = NOW),
		  "10.20.5.7 sent 2,147,483,649 octets within 1 h, more than 2 GiB; rule 7, Nice name");
	threshold("match: {}, group_by: [server], sum: client_bytes, over: 2GiB, window: 1h", FLOW(.dst = "10.20.5.7"),
		  FOUND(.value = UINT64_C(3) << 30, .since_ms = NOW),
		  "10.20.5.7 received 3 GiB within 1 h, more than 2 GiB; rule 7, Nice name");
	threshold(
		"match: {}, group_by: [client, server, app], sum: bytes, over: 1KiB, window: 90s",
		FLOW(.app = "TLS.Telegram"), FOUND(.value = 1536, .since_ms = NOW),
		"192.0.2.10 with 198.51.100.7 (TLS.Telegram) moved 1.5 KiB within 90 s, more than 1 KiB; rule 7, Nice "
		"name");
	threshold("match: {answered: false}, group_by: [client], distinct: server, over: 100, window: 1m",
		  FLOW(.unanswered = true), FOUND(.value = 101, .since_ms = NOW),
		  "192.0.2.10 tried 101 servers within 1 min, more than 100; rule 7, Nice name");
	sampled.sampling = 100;
	threshold("match: {}, group_by: [client], distinct: port, over: 100, window: 1m", FLOW(0), sampled,
		  "192.0.2.10 used 101 ports within 1 min, more than 100 (sampled 1:100, estimate); rule 7, Nice name");
	threshold("match: {}, group_by: [server], distinct: client, over: 100, window: 1m", FLOW(0),
		  FOUND(.value = 101, .since_ms = NOW),
		  "198.51.100.7 had 101 clients within 1 min, more than 100; rule 7, Nice name");
	threshold("match: {}, group_by: [app], count: flows, over: 1000, window: 1d", FLOW(.app = "TLS"),
		  FOUND(.value = 1001, .since_ms = NOW),
		  "all hosts together (TLS) had 1,001 flows within 1 day, more than 1,000; rule 7, Nice name");
	threshold("match: {}, group_by: [client], sum: score, over: 1000, window: 7d", FLOW(0),
		  FOUND(.value = 1001, .since_ms = NOW),
		  "192.0.2.10 had risk scores of 1,001 together within 7 days, more than 1,000; rule 7, Nice name");
	threshold("match: {}, group_by: [client], sum: server_packets, over: 10, window: 1m", FLOW(0),
		  FOUND(.value = 11, .since_ms = NOW),
		  "192.0.2.10 received 11 packets within 1 min, more than 10; rule 7, Nice name");
}

#define BEACON                                                                                                         \
	RULE("type: beacon, match: {}, group_by: [client, server, app], min_count: 12, interval: {min: 10s, max: "     \
	     "6h}, "                                                                                                   \
	     "max_jitter: 0.15, window: 24h")

static void test_beacon(void **state)
{
	(void)state;
	reason(BEACON, FLOW(.app = "TLS"),
	       FOUND(.value = 24, .since_ms = NOW - 25 * MINUTE, .interval_ms = 60000, .jitter = 40),
	       "192.0.2.10 contacts 198.51.100.7:443 (TLS, seen by dpi) every 60 s (jitter 4 %), 24 times in 25 min; "
	       "rule 7, Nice name");
}

/* ---- what would allow it ---- */

/* The object, NULL if there is none. */
static json_t *allow(const struct judged *j)
{
	json_t *object = NULL;
	struct buf out;

	buf_init(&out, 4096);
	if (alert_allow(&out, &j->f)) {
		object = json_loadb(out.data, out.len, JSON_REJECT_DUPLICATES, NULL);
		assert_non_null(object);
	} else {
		assert_int_equal(out.len, 0);
	}
	buf_deinit(&out);
	return object;
}

#define BLOCK(text) "version: 1\nrules:\n- id: 7\n  name: n\n  severity: high\n" text

/* The exception as it stands, pasted below the rule: the flow is allowed, and another host is not. */
static void excepted(const char *rules, struct flow flow, struct more more, const char *yaml)
{
	char text[2048], kept[128];
	struct judged j;
	json_t *object;
	bool server;

	judge(&j, rules, flow, &more);
	assert_int_equal(j.n, 1);
	server = j.v.side == RULES_SERVER;
	object = allow(&j);
	assert_non_null(object);
	assert_string_equal(text_at(object, "key"), "except");
	assert_string_equal(text_at(object, "file"), "r.yaml");
	assert_int_equal(number_at(object, "line"), 3);
	assert_string_equal(text_at(object, "yaml"), yaml);
	snprintf(kept, sizeof(kept), "%s", text_at(object, "yaml"));
	json_decref(object);
	rules_free(j.set);
	snprintf(text, sizeof(text), "%s  except:\n  %s\n", rules, kept);
	judge(&j, text, flow, &more);
	assert_int_equal(j.n, 0);
	rules_free(j.set);
	if (server || strstr(kept, "{server"))
		flow.dst = strchr(kept, '"') ? "2001:db8:99::1" : "203.0.113.99";
	else
		flow.src = strchr(kept, '"') ? "2001:db8::99" : "203.0.113.99";
	judge(&j, text, flow, &more);
	assert_int_equal(j.n, 1);
	rules_free(j.set);
}

static void test_exceptions(void **state)
{
	(void)state;
	excepted(BLOCK("  type: deny\n  match: {app: Telegram}\n"), FLOW(.app = "TLS.Telegram"), MORE(0),
		 "- {client: 192.0.2.10, app: TLS.Telegram, until: 2024-02-12}");
	excepted(BLOCK("  type: deny\n  match: {app: Telegram}\n"),
		 FLOW(.app = "TLS.Telegram", .src = "2001:db8::5", .dst = "2001:db8::6"), MORE(0),
		 "- {client: \"2001:db8::5\", app: TLS.Telegram, until: 2024-02-12}");
	excepted(BLOCK("  type: deny\n  match: {master: TLS}\n"), FLOW(.app = "TLS.Telegram", .sure = "ip"), MORE(0),
		 "- {client: 192.0.2.10, app: TLS.Telegram, confidence: ip, until: 2024-02-12}");
	excepted(BLOCK("  type: deny\n  match: {category: Chat, confidence: port}\n"),
		 FLOW(.app = "Viber", .category = "Chat", .sure = "port"), MORE(0),
		 "- {client: 192.0.2.10, app: Viber, confidence: port, until: 2024-02-12}");
	excepted(BLOCK("  type: deny\n  match: {app: DNS.Telegram}\n"), FLOW(.app = "DNS.Telegram"), MORE(0),
		 "- {client: 192.0.2.10, app: DNS.Telegram, until: 2024-02-12}");
	excepted(BLOCK("  type: allow\n  match: {}\n  allow: {client: [DNS]}\n"), FLOW(.app = "TLS.Telegram"), MORE(0),
		 "- {client: 192.0.2.10, app: TLS.Telegram, until: 2024-02-12}");
	excepted(BLOCK("  type: allow\n  match: {}\n  allow: {client: [DNS]}\n"),
		 FLOW(.app = "TLS.Telegram", .sure = "ip"), MORE(0),
		 "- {client: 192.0.2.10, master: TLS, until: 2024-02-12}");
	excepted(BLOCK("  type: allow\n  match: {}\n  allow: {server: [SSH]}\n"), FLOW(.app = "HTTP"), MORE(0),
		 "- {server: 198.51.100.7, app: HTTP, until: 2024-02-12}");
	excepted(BLOCK("  type: allow\n  match: {}\n  allow: {client: [DNS]}\n  on_unknown: {alert_after: 3}\n"),
		 FLOW(.app = "Unknown"), MORE(.flows = 3), "- {client: 192.0.2.10, app: Unknown, until: 2024-02-12}");
	excepted(BLOCK("  type: risk\n  score_min: 100\n  match: {}\n"), FLOW(.app = "TLS"), MORE(.score = 160),
		 "- {client: 192.0.2.10, app: TLS, until: 2024-02-12}");
	excepted(BLOCK("  type: server_list\n  match: {app: DNS}\n  servers: {DNS: [10.20.0.1]}\n"),
		 FLOW(.app = "DNS.Google", .port = 53), MORE(0),
		 "- {server: 198.51.100.7, app: DNS, until: 2024-02-12}");
}

static void test_exceptions_of_counts(void **state)
{
	struct more found = FOUND(.value = 101, .since_ms = NOW, .interval_ms = 60000);

	(void)state;
	excepted(BLOCK("  type: first_seen\n  match: {side: client}\n  key: [host, side, app]\n  learn: {for: 7d, "
		       "min_flows: 20}\n"),
		 FLOW(.app = "SSH"), found, "- {client: 192.0.2.10, app: SSH, until: 2024-02-12}");
	excepted(BLOCK("  type: threshold\n  match: {}\n  group_by: [client]\n  sum: client_bytes\n  over: 1KiB\n  "
		       "window: 1h\n"),
		 FLOW(.app = "SSH"), found, "- {client: 192.0.2.10, until: 2024-02-12}");
	excepted(BLOCK("  type: threshold\n  match: {}\n  group_by: [server, port]\n  distinct: client\n  over: 10\n  "
		       "window: 1h\n"),
		 FLOW(.app = "SSH"), found, "- {server: 198.51.100.7, port: 443, until: 2024-02-12}");
	excepted(BLOCK("  type: beacon\n  match: {}\n  group_by: [client, server, app]\n  min_count: 12\n"
		       "  interval: {min: 10s, max: 6h}\n  max_jitter: 0.15\n  window: 24h\n"),
		 FLOW(.app = "TLS.Telegram", .sure = "partial"), found,
		 "- {client: 192.0.2.10, server: 198.51.100.7, app: TLS.Telegram, confidence: partial, until: "
		 "2024-02-12}");
}

/* The item added to the list, the number raised. */
static void test_other_places(void **state)
{
	static const char *const names[] = {"TLS.Telegram", "SSH", "Unknown"};
	struct more found = FOUND(.value = UINT64_C(2470000000), .since_ms = NOW);
	struct more none = MORE(0);
	char text[512];
	struct judged j;
	json_t *object;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		static const char rules[] =
			RULE("type: allow, match: {},\n   allow: {client: [DNS%s%s]}, on_unknown: {alert_after: 1}");

		snprintf(text, sizeof(text), rules, "", "");
		judge(&j, text, FLOW(.app = names[i]), &none);
		assert_int_equal(j.n, 1);
		object = allow(&j);
		assert_string_equal(text_at(object, "add.key"), "allow.client");
		assert_string_equal(text_at(object, "add.item"), names[i]);
		assert_string_equal(text_at(object, "add.file"), "r.yaml");
		assert_int_equal(number_at(object, "add.line"), 4);
		snprintf(text, sizeof(text), rules, ", ", text_at(object, "add.item"));
		json_decref(object);
		rules_free(j.set);
		judge(&j, text, FLOW(.app = names[i]), &none);
		assert_int_equal(j.n, 0);
		rules_free(j.set);
	}
	judge(&j, RULE("type: threshold, match: {}, group_by: [client], sum: bytes, over: 2GiB, window: 1h"), FLOW(0),
	      &found);
	object = allow(&j);
	assert_string_equal(text_at(object, "raise.key"), "over");
	assert_string_equal(text_at(object, "raise.to"), "3GiB");
	json_decref(object);
	rules_free(j.set);
	found.finding.value = 101;
	judge(&j, RULE("type: threshold, match: {}, group_by: [app], distinct: client, over: 99, window: 1h"),
	      FLOW(.app = "TLS"), &found);
	object = allow(&j);
	assert_string_equal(text_at(object, "raise.to"), "110");
	assert_string_equal(text_at(object, "yaml"), "- {app: TLS, until: 2024-02-12}");
	json_decref(object);
	rules_free(j.set);
}

/* A name that is no name is not put into a rule. */
static void test_unfit(void **state)
{
	static const char *const names[] = {"a\"}, evil: {\"", "a.b.c", ".a", "a.", "\n- x", "*", "!TLS", "@dmz", " ",
					    "category:Chat"};
	struct more none = MORE(0);
	struct judged j;

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		judge(&j, RULE("type: deny, match: {client: 192.0.2.10}"), FLOW(.app = names[i]), &none);
		assert_int_equal(j.n, 1);
		assert_null(allow(&j));
		rules_free(j.set);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_denied),
		cmocka_unit_test(test_allowed),
		cmocka_unit_test(test_risky),
		cmocka_unit_test(test_wrong_server),
		cmocka_unit_test(test_first_seen),
		cmocka_unit_test(test_threshold),
		cmocka_unit_test(test_beacon),
		cmocka_unit_test(test_exceptions),
		cmocka_unit_test(test_exceptions_of_counts),
		cmocka_unit_test(test_other_places),
		cmocka_unit_test(test_unfit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
