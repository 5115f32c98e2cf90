/* SPDX-License-Identifier: Apache-2.0 */
/* What fires, and what must not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "rules/rules_internal.h"
#include "watch_flow.h"

#define HEAD "version: 1\nlists:\n  dmz: [192.0.2.10, \"2001:db8:1::/64\"]\n  chats: [Telegram, WhatsApp]\nrules:\n"
#define DENY(match) HEAD "- {id: 1, name: n, type: deny, severity: high, match: {" match "}}\n"
#define ALLOW(allow)                                                                                                   \
	HEAD "- {id: 1, name: n, type: allow, severity: high, match: {host: \"@dmz\"}, allow: {" allow "}}\n"
#define NOW UINT64_C(1700000000000)

static struct rule_set *load(const char *text)
{
	struct rule_set *set = NULL;
	char err[512];

	if (rules_parse(&set, "r.yaml", text, strlen(text), (struct rules_warnings){0}, err, sizeof(err)))
		fail_msg("%s\n%s", err, text);
	return set;
}

/* Verdicts as words: "1 client denied, 2 server not allowed". */
static const char *say(const char *rules, struct flow f, bool answered)
{
	static const char *const kinds[] = {"denied", "not allowed", "unknown"};
	static char said[512];
	struct rules_verdict v[RULES_VERDICTS_MAX];
	struct rule_set *set = load(rules);
	struct l7_record r = flow_record(f);
	struct rules_input in = {.record = &r, .now_ms = NOW, .answered = answered};
	size_t n = rules_match(set, &in, v, RULES_VERDICTS_MAX), used = 0;

	said[0] = '\0';
	for (size_t i = 0; i < n; i++)
		used += (size_t)snprintf(said + used, sizeof(said) - used, "%s%u %s %s%s", i ? ", " : "", v[i].rule->id,
					 v[i].side == RULES_CLIENT ? "client" : "server", kinds[v[i].kind],
					 v[i].master_only ? " master" : "");
	rules_free(set);
	return said;
}

#define FIRES(rules, words, ...) assert_string_equal(say(rules, (struct flow){__VA_ARGS__}, true), words)
#define SILENT(rules, ...) FIRES(rules, "", __VA_ARGS__)

static void test_names_in_deny(void **state)
{
	(void)state;
	FIRES(DENY("app: Telegram"), "1 client denied", .app = "TLS.Telegram");
	FIRES(DENY("app: Telegram"), "1 client denied", .app = "Telegram");
	FIRES(DENY("app: telegram"), "1 client denied", .app = "TLS.Telegram"); /* letter case is free */
	SILENT(DENY("app: Telegram"), .app = "TLS");
	SILENT(DENY("app: Telegram"), .app = "TLS.WhatsApp");
	SILENT(DENY("app: Telegram"), .app = "TLS.TelegramX");
	FIRES(DENY("app: TLS"), "1 client denied", .app = "TLS");
	SILENT(DENY("app: TLS"), .app = "TLS.Telegram");
	FIRES(DENY("app: TLS.*"), "1 client denied", .app = "TLS.Telegram");
	FIRES(DENY("app: TLS.*"), "1 client denied", .app = "TLS");
	SILENT(DENY("app: TLS.*"), .app = "QUIC.Telegram");
	FIRES(DENY("app: TLS.Telegram"), "1 client denied", .app = "TLS.Telegram");
	SILENT(DENY("app: TLS.Telegram"), .app = "Telegram");
	SILENT(DENY("app: TLS.Telegram"), .app = "QUIC.Telegram");
	FIRES(DENY("app: \"@chats\""), "1 client denied", .app = "TLS.WhatsApp");
	FIRES(DENY("app: [SSH, category:Chat]"), "1 client denied", .app = "TLS.Viber", .category = "Chat");
	FIRES(DENY("category: Chat"), "1 client denied", .app = "TLS.Viber", .category = "Chat");
	SILENT(DENY("category: Chat"), .app = "TLS.Viber", .category = "Web");
	SILENT(DENY("category: Chat"), .app = "TLS.Viber");
	FIRES(DENY("master: TLS"), "1 client denied", .app = "TLS.Viber");
	SILENT(DENY("master: TLS"), .app = "QUIC.Viber");
	SILENT(DENY("master: Telegram"), .app = "TLS.Telegram");
	FIRES(DENY("master: Telegram"), "1 client denied", .app = "Telegram");
}

static void test_negation(void **state)
{
	const char *odd = DENY("side: client, port: 443, l4: tcp, master: [\"!TLS\", \"!HTTP\"], app: [\"!Unknown\"]");

	(void)state;
	FIRES(odd, "1 client denied", .app = "SSH");
	SILENT(odd, .app = "TLS");
	SILENT(odd, .app = "TLS.Telegram");
	SILENT(odd, .app = "HTTP");
	SILENT(odd, .app = "Unknown");
	SILENT(odd, .app = "SSH", .port = 22);
	SILENT(odd, .app = "SSH", .l4 = 17);
	/* Unknown violates nothing, also where a rule forgets to say so. */
	SILENT(DENY("master: \"!TLS\""), .app = "Unknown");
	SILENT(DENY("master: \"!TLS\""), .app = NULL);
	SILENT(DENY("master: \"!TLS\""), .app = "SSH", .sure = "ip");
	SILENT(DENY("category: \"!Web\""), .app = "SSH", .category = "RemoteAccess", .sure = "port");
	FIRES(DENY("app: Unknown"), "1 client denied", .app = "Unknown");
	FIRES(DENY("app: Unknown"), "1 client denied", .app = "SSH", .sure = "port");
	FIRES(DENY("app: [\"TLS.*\", \"!TLS.Github\"]"), "1 client denied", .app = "TLS.Viber");
	SILENT(DENY("app: [\"TLS.*\", \"!TLS.Github\"]"), .app = "TLS.Github");
	SILENT(DENY("app: [\"TLS.*\", \"!TLS.Github\"]"), .app = "TLS.Github", .sure = "ip"); /* it might be */
	FIRES(DENY("app: SSH, port: \"!22\""), "1 client denied", .app = "SSH", .port = 2222);
	SILENT(DENY("app: SSH, port: \"!22\""), .app = "SSH", .port = 22);
	FIRES(DENY("port: [1-1023, \"!22\", \"!80-90\"]"), "1 client denied", .port = 79);
	SILENT(DENY("port: [1-1023, \"!22\", \"!80-90\"]"), .port = 85);
	SILENT(DENY("port: [1-1023, \"!22\", \"!80-90\"]"), .port = 1024);
}

/* The application of a name service is the name asked for. */
static void test_name_services(void **state)
{
	(void)state;
	SILENT(DENY("app: Telegram"), .app = "DNS.Telegram");
	SILENT(DENY("category: Chat"), .app = "DNS.Telegram", .category = "Chat");
	SILENT(DENY("app: category:Chat"), .app = "DNS.Telegram", .category = "Chat");
	SILENT(DENY("app: Telegram"), .app = "MDNS.Telegram");
	SILENT(DENY("app: Telegram"), .app = "LLMNR.Telegram");
	SILENT(DENY("app: Telegram"), .app = "NetBIOS.Telegram");
	FIRES(DENY("app: DNS.Telegram"), "1 client denied", .app = "DNS.Telegram");
	FIRES(DENY("app: DNS"), "1 client denied", .app = "DNS.Telegram");
	FIRES(DENY("app: DNS"), "1 client denied", .app = "DNS");
	FIRES(DENY("app: DNS.*"), "1 client denied", .app = "DNS.Telegram");
	FIRES(DENY("category: Network"), "1 client denied", .app = "DNS", .category = "Network");
	SILENT(ALLOW("client: [DNS]"), .app = "DNS.Telegram", .category = "Chat");
	SILENT(ALLOW("client: [mdns]"), .app = "MDNS.Google");
	FIRES(ALLOW("client: [TLS]"), "1 client not allowed", .app = "DNS.Google");
	FIRES(ALLOW("client: [Google]"), "1 client not allowed", .app = "DNS.Google");
	FIRES(ALLOW("client: [DNS.Github]"), "1 client not allowed", .app = "DNS.Google");
	SILENT(ALLOW("client: [DNS]"), .app = "DNS.Google", .sure = "ip", .sure_master = "dpi");
}

static void test_confidence(void **state)
{
	(void)state;
	SILENT(DENY("app: Telegram"), .app = "TLS.Telegram", .sure = "ip");
	SILENT(DENY("app: Telegram"), .app = "Telegram", .sure = "partial");
	FIRES(DENY("app: Telegram"), "1 client denied", .app = "Telegram", .sure = "cache");
	FIRES(DENY("app: Telegram, confidence: ip"), "1 client denied", .app = "TLS.Telegram", .sure = "ip");
	SILENT(DENY("app: Telegram, confidence: ip"), .app = "TLS.Telegram", .sure = "port");
	SILENT(DENY("app: Telegram, confidence: dpi"), .app = "Telegram", .sure = "cache");
	/* Each part of a name is judged by its own. */
	FIRES(DENY("app: Telegram"), "1 client denied", .app = "TLS.Telegram", .sure_master = "port");
	FIRES(DENY("master: TLS"), "1 client denied", .app = "TLS.Telegram", .sure = "ip");
	SILENT(DENY("master: TLS"), .app = "TLS.Telegram", .sure_master = "port");
	FIRES(DENY("app: TLS.*"), "1 client denied", .app = "TLS.Telegram", .sure = "ip");
	SILENT(DENY("app: TLS.Telegram"), .app = "TLS.Telegram", .sure = "ip");
	/* One name has one confidence. */
	SILENT(DENY("master: Telegram"), .app = "Telegram", .sure = "ip", .sure_master = "dpi");
	/* Who does not say how sure he is is believed. */
	FIRES(DENY("app: Telegram"), "1 client denied", .app = "TLS.Telegram", .sure = "-", .sure_master = "-");
}

static void test_allow_client(void **state)
{
	const char *rules = ALLOW("client: [DNS, TLS, TLS.Github, SSH]");

	(void)state;
	SILENT(rules, .app = "DNS.Google");
	SILENT(rules, .app = "TLS");
	SILENT(rules, .app = "TLS.Github");
	SILENT(rules, .app = "SSH", .port = 2222);
	FIRES(rules, "1 client not allowed", .app = "TLS.Telegram");
	FIRES(rules, "1 client not allowed", .app = "HTTP");
	FIRES(rules, "1 client not allowed", .app = "TLS.Telegram", .src = "2001:db8:1::5", .dst = "2001:db8::1");
	SILENT(rules, .app = "TLS.Telegram", .src = "192.0.2.11");
	SILENT(rules, .app = "TLS.Telegram", .src = "198.51.100.7", .dst = "192.0.2.10"); /* no server list */
	SILENT(ALLOW("client: [\"TLS.*\"]"), .app = "TLS.Telegram");
	SILENT(ALLOW("client: [\"TLS.*\"]"), .app = "TLS");
	SILENT(ALLOW("client: [Telegram]"), .app = "TLS.Telegram");
	SILENT(ALLOW("client: [category:Chat]"), .app = "TLS.Telegram", .category = "Chat");
	FIRES(ALLOW("client: []"), "1 client not allowed", .app = "DNS");
	/* Unknown violates nothing; what is only guessed is unknown, but for a master that is sure. */
	SILENT(rules, .app = "Unknown");
	SILENT(rules, .app = NULL);
	SILENT(rules, .app = "Telegram", .sure = "ip");
	SILENT(rules, .app = "TLS.Telegram", .sure = "ip");
	FIRES(ALLOW("client: [DNS, SSH]"), "1 client not allowed master", .app = "TLS.Telegram", .sure = "ip");
	SILENT(ALLOW("client: [DNS, Telegram]"), .app = "TLS.Telegram", .sure = "ip");
	SILENT(ALLOW("client: [DNS, TLS.Github]"), .app = "TLS.Telegram", .sure = "ip");
}

static void test_allow_waits_for_final(void **state)
{
	const char *rules = ALLOW("client: [DNS]");

	(void)state;
	SILENT(rules, .app = "TLS", .state = L7_STATE_LAST);
	FIRES(rules, "1 client not allowed", .app = "TLS", .state = L7_STATE_FINAL | L7_STATE_EARLY);
	FIRES(rules, "1 client not allowed", .app = "TLS", .state = -1);
	SILENT(rules, .app = "TLS", .state = -1, .end_reason = L7_END_ACTIVE);
	/* A deny rule does not wait. */
	FIRES(DENY("app: TLS"), "1 client denied", .app = "TLS", .state = L7_STATE_LAST);
}

static void test_allow_server(void **state)
{
	const char *rules = ALLOW("client: [DNS], server: [SSH]");
	struct flow scan = {
		.src = "198.51.100.7", .dst = "192.0.2.10", .port = 8080, .app = "HTTP", .unanswered = true};

	(void)state;
	FIRES(rules, "1 server not allowed", .src = "198.51.100.7", .dst = "192.0.2.10", .port = 80, .app = "HTTP");
	SILENT(rules, .src = "198.51.100.7", .dst = "192.0.2.10", .port = 22, .app = "SSH");
	assert_string_equal(say(rules, scan, false), "");                    /* nobody answered */
	assert_string_equal(say(rules, scan, true), "1 server not allowed"); /* somebody had, in an earlier record */
	/* Both ends are hosts of the rule. */
	FIRES(rules, "1 client not allowed, 1 server not allowed", .src = "2001:db8:1::1", .dst = "2001:db8:1::2",
	      .app = "HTTP");
	FIRES(ALLOW("server: []"), "1 server not allowed", .src = "198.51.100.7", .dst = "192.0.2.10", .app = "SSH");
}

static void test_midstream(void **state)
{
	const char *rules = ALLOW("client: [DNS], server: [SSH]");
	int state_bits = L7_STATE_FINAL | L7_STATE_LAST | L7_STATE_MIDSTREAM;

	(void)state;
	/* A well-known port says who is the client; the other way round nobody knows. */
	FIRES(rules, "1 client not allowed", .app = "HTTP", .port = 80, .state = state_bits);
	SILENT(rules, .app = "HTTP", .port = 50001, .state = state_bits);
	SILENT(rules, .app = "HTTP", .src_port = 80, .port = 50001, .state = state_bits);
	SILENT(rules, .src = "198.51.100.7", .dst = "192.0.2.10", .app = "HTTP", .port = 80, .state = state_bits);
	SILENT(rules, .app = "HTTP", .port = 50001, .no_direction = true, .state = -1);
	FIRES(DENY("host: \"@dmz\", app: HTTP"), "1 client denied", .app = "HTTP", .port = 50001, .state = state_bits);
}

static void test_unknown(void **state)
{
	const char *rules = HEAD "- {id: 1, name: n, type: allow, severity: low, match: {host: \"@dmz\"},\n"
				 "   allow: {client: [DNS]}, on_unknown: {alert_after: 3}}\n";

	(void)state;
	FIRES(rules, "1 client unknown", .app = "Unknown");
	FIRES(rules, "1 client unknown", .app = "Telegram", .sure = "ip");
	SILENT(rules, .app = "Unknown", .state = L7_STATE_FINAL); /* counted when it is over */
	SILENT(rules, .app = "DNS", .sure = "ip");                /* the guess is allowed */
	assert_string_equal(say(rules, (struct flow){.app = "Unknown", .unanswered = true}, false), "");
}

static void test_hosts(void **state)
{
	(void)state;
	FIRES(DENY("host: \"@dmz\""), "1 client denied", .app = "SSH");
	FIRES(DENY("host: \"@dmz\""), "1 server denied", .src = "198.51.100.7", .dst = "192.0.2.10");
	SILENT(DENY("host: \"@dmz\""), .src = "198.51.100.7", .dst = "192.0.2.11");
	FIRES(DENY("host: [192.0.2.0/24, \"!192.0.2.11\"]"), "1 client denied", .src = "192.0.2.10");
	SILENT(DENY("host: [192.0.2.0/24, \"!192.0.2.11\"]"), .src = "192.0.2.11");
	FIRES(DENY("host: \"!@dmz\""), "1 server denied", .app = "SSH"); /* the other one is not of the list */
	FIRES(DENY("client: 192.0.2.0/24"), "1 client denied", .app = "SSH");
	SILENT(DENY("client: 198.51.100.0/24"), .app = "SSH");
	FIRES(DENY("server: 198.51.100.0/24"), "1 server denied", .app = "SSH");
	FIRES(DENY("client: \"@dmz\", server: 198.51.100.7"), "1 client denied", .app = "SSH");
	SILENT(DENY("client: \"@dmz\", server: 198.51.100.8"), .app = "SSH");
	FIRES(DENY("host: \"@dmz\", peer: 198.51.100.7"), "1 client denied", .app = "SSH");
	FIRES(DENY("host: 198.51.100.7, peer: \"@dmz\""), "1 server denied", .app = "SSH");
	SILENT(DENY("host: \"@dmz\", peer: \"@dmz\""), .app = "SSH");
	FIRES(DENY("host: \"@dmz\", side: client"), "1 client denied", .app = "SSH");
	SILENT(DENY("host: \"@dmz\", side: server"), .app = "SSH");
	FIRES(DENY("host: \"::/0\", app: SSH"), "1 client denied", .app = "SSH");
	FIRES(DENY("l4: [udp, 6]"), "1 client denied", .l4 = 17);
	SILENT(DENY("l4: [udp, 6]"), .l4 = 1);
}

#define EXCEPT(entries)                                                                                                \
	HEAD "- {id: 1, name: n, type: deny, severity: low, match: {host: 192.0.2.0/24, app: Telegram},\n"             \
	     "   except: [" entries "]}\n"

static void test_exceptions(void **state)
{
	(void)state;
	SILENT(EXCEPT("{host: 192.0.2.10}"), .app = "Telegram");
	FIRES(EXCEPT("{host: 192.0.2.10}"), "1 client denied", .app = "Telegram", .src = "192.0.2.11");
	SILENT(EXCEPT("{host: 198.51.100.7}"), .app = "Telegram"); /* either side */
	FIRES(EXCEPT("{client: 198.51.100.7}"), "1 client denied", .app = "Telegram");
	FIRES(EXCEPT("{host: 192.0.2.10, port: 80}"), "1 client denied", .app = "Telegram");
	SILENT(EXCEPT("{port: 80}, {port: 443}"), .app = "Telegram");
	SILENT(EXCEPT("{app: TLS.Telegram}"), .app = "TLS.Telegram");
	FIRES(EXCEPT("{app: TLS.Telegram}"), "1 client denied", .app = "Telegram");
	/* NOW is 14 November 2023. */
	SILENT(EXCEPT("{host: 192.0.2.10, until: 2023-11-14}"), .app = "Telegram");
	FIRES(EXCEPT("{host: 192.0.2.10, until: 2023-11-13}"), "1 client denied", .app = "Telegram");
	SILENT(EXCEPT("{host: 192.0.2.10, until: 2030-01-01}"), .app = "Telegram");
}

static void test_several_rules(void **state)
{
	const char *rules = "version: 1\nrules:\n"
			    "- {id: 10, name: a, type: deny, severity: low, match: {app: Telegram}}\n"
			    "- {id: 11, name: b, type: deny, severity: low, enabled: false, match: {app: Telegram}}\n"
			    "- {id: 12, name: c, type: deny, severity: low, match: {host: 192.0.2.10}}\n"
			    "- {id: 13, name: d, type: deny, severity: low, match: {host: 192.0.2.11}}\n"
			    "- {id: 14, name: e, type: allow, severity: low, match: {}, allow: {client: [TLS]}}\n";

	(void)state;
	FIRES(rules, "10 client denied, 12 client denied, 14 client not allowed", .app = "Telegram");
}

/* More rules than one word of a mask has bits. */
static void test_many_rules(void **state)
{
	char *text = malloc(200 * 120), *at = text;
	char expected[64];

	(void)state;
	assert_non_null(text);
	at += sprintf(at, "version: 1\nrules:\n");
	for (int i = 0; i < 200; i++)
		at += sprintf(at, "- {id: %d, name: n, type: deny, severity: low, match: {host: 10.0.%d.0/24}}\n", i,
			      i);
	for (int i = 0; i < 200; i += 33) {
		char src[32];

		snprintf(src, sizeof(src), "10.0.%d.9", i);
		snprintf(expected, sizeof(expected), "%d client denied", i);
		FIRES(text, expected, .src = src);
	}
	free(text);
}

/* Every word of the index as if it knew nothing of names. */
static void blind(struct rule_set *set)
{
	struct rules_index *x = &set->index;
	uint64_t *masks[] = {x->app_app, x->app_master, x->app_category, x->master, x->category};

	for (size_t m = 0; m < sizeof(masks) / sizeof(masks[0]); m++)
		for (size_t i = 0; i < set->names.n * set->words; i++)
			masks[m][i] = UINT64_MAX;
}

/* The index leaves out no rule that would fire. */
/* More names than the table has room for at first: each is found again, and no other. */
static void test_many_names(void **state)
{
	char *text = malloc(1000 * 10 + 400), *at = text;
	char name[16];

	(void)state;
	assert_non_null(text);
	at += sprintf(at, HEAD "- {id: 1, name: n, type: deny, severity: low, match: {app: [");
	for (int i = 0; i < 1000; i++)
		at += sprintf(at, "%sOwn%d", i ? ", " : "", i);
	sprintf(at, "]}}\n");
	for (int i = 0; i < 1000; i += 37) {
		snprintf(name, sizeof(name), "TLS.oWN%d", i);
		assert_string_equal(say(text, (struct flow){.app = name}, true), "1 client denied");
	}
	SILENT(text, .app = "TLS.Own1000");
	SILENT(text, .app = "TLS.Own");
	free(text);
}

static void test_index(void **state)
{
	static const char *const patterns[] = {
		"app: TLS",
		"app: TLS.*",
		"app: Telegram",
		"app: TLS.Telegram",
		"app: category:Chat",
		"app: Unknown",
		"app: \"!TLS\"",
		"app: [\"TLS.*\", \"!Telegram\"]",
		"app: [SSH, \"DNS.*\", Unknown]",
		"app: DNS",
		"app: DNS.Telegram",
		"app: Unknown.*",
		"app: TLS.Unknown",
		"master: TLS",
		"master: Unknown",
		"master: [\"!TLS\", \"!DNS\"]",
		"category: Chat",
		"category: \"!Chat\"",
		"category: Unknown",
		"app: Telegram, category: Chat",
		"app: Telegram, master: TLS",
		"app: \"!SSH\", master: [TLS, DNS]",
	};
	static const char *const names[] = {"TLS",          "TLS.Telegram", "Telegram", "DNS",
					    "DNS.Telegram", "SSH",          "Other",    "TLS.Other",
					    "Unknown",      "DNS.Other",    NULL};
	static const char *const sure[] = {"dpi", "partial", "port", "-"};
	static const char *const categories[] = {"Chat", "Web", NULL};
	struct rules_verdict with[RULES_VERDICTS_MAX], without[RULES_VERDICTS_MAX];
	size_t n_patterns = sizeof(patterns) / sizeof(patterns[0]), used, fired = 0;
	struct rule_set *set, *seeing;
	char text[8192];

	(void)state;
	used = (size_t)sprintf(text, "version: 1\nrules:\n");
	for (size_t i = 0; i < n_patterns * 2; i++)
		used += (size_t)sprintf(text + used, "- {id: %zu, name: n, type: deny, severity: low, match: {%s%s}}\n",
					i, patterns[i / 2], i % 2 ? ", confidence: ip" : "");
	set = load(text);
	seeing = load(text);
	blind(set);
	for (size_t i = 0; i < 11 * 4 * 4 * 3; i++) {
		struct l7_record r = flow_record((struct flow){.app = names[i % 11],
							       .sure = sure[i / 11 % 4],
							       .sure_master = sure[i / 44 % 4],
							       .category = categories[i / 176]});
		struct rules_input in = {.record = &r, .now_ms = NOW, .answered = true};
		size_t n = rules_match(set, &in, without, RULES_VERDICTS_MAX);

		assert_int_equal(rules_match(seeing, &in, with, RULES_VERDICTS_MAX), n);
		for (size_t j = 0; j < n; j++)
			assert_int_equal(with[j].rule->id, without[j].rule->id);
		fired += n;
	}
	assert_true(fired > 1000);
	rules_free(set);
	rules_free(seeing);
}

static void test_files_of_lists(void **state)
{
	char folder[] = "/tmp/l7-rules-XXXXXX", path[64], rules[64], err[256];
	const char *text = "version: 1\nlists: {a: {file: list.txt}}\nrules:\n"
			   "- {id: 1, name: n, type: deny, severity: low, match: {host: \"@a\"}}\n";
	struct rule_set *set = NULL;
	FILE *out;

	(void)state;
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/list.txt", folder);
	snprintf(rules, sizeof(rules), "%s/r.yaml", folder);
	out = fopen(path, "w");
	assert_non_null(out);
	fputs("# servers\n192.0.2.10\n\n  2001:db8::/32  # all of them\r\n192.0.2.0/33", out);
	fclose(out);
	assert_int_not_equal(rules_parse(&set, rules, text, strlen(text), (struct rules_warnings){0}, err, sizeof(err)),
			     0);
	assert_non_null(strstr(err, "/list.txt:5:1: 192.0.2.0/33 is not an address"));
	out = fopen(path, "w");
	assert_non_null(out);
	fputs("192.0.2.10\n2001:db8::/32", out);
	fclose(out);
	assert_int_equal(rules_parse(&set, rules, text, strlen(text), (struct rules_warnings){0}, err, sizeof(err)), 0);
	rules_free(set);
	unlink(path);
	assert_int_not_equal(rules_parse(&set, rules, text, strlen(text), (struct rules_warnings){0}, err, sizeof(err)),
			     0);
	assert_non_null(strstr(err, "r.yaml:2:19: "));
	assert_non_null(strstr(err, "list.txt: No such file or directory"));
	rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names_in_deny),  cmocka_unit_test(test_negation),
		cmocka_unit_test(test_name_services),  cmocka_unit_test(test_confidence),
		cmocka_unit_test(test_allow_client),   cmocka_unit_test(test_allow_waits_for_final),
		cmocka_unit_test(test_allow_server),   cmocka_unit_test(test_midstream),
		cmocka_unit_test(test_unknown),        cmocka_unit_test(test_hosts),
		cmocka_unit_test(test_exceptions),     cmocka_unit_test(test_several_rules),
		cmocka_unit_test(test_many_rules),     cmocka_unit_test(test_index),
		cmocka_unit_test(test_files_of_lists), cmocka_unit_test(test_many_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
