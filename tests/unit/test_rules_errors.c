/* SPDX-License-Identifier: Apache-2.0 */
/* Broken rule files, and the place and the sentence that each of them gets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "rules/rules.h"

#define HEAD "version: 1\nlists: {dmz: [192.0.2.10], bad: [192.0.2.0/33], nest: [\"@dmz\"]}\nrules:\n"
#define RULE(rest) HEAD "- {id: 1, name: n, " rest "}\n"
#define DENY(match) RULE("type: deny, severity: high, match: {" match "}")
#define ALLOW(rest) RULE("type: allow, severity: high, match: {host: 192.0.2.1}, " rest)

static const struct {
	const char *text;
	const char *expected;
} broken[] = {
	/* The file as a whole. */
	{"", "r:1:1: a rule file is a map of keys and values"},
	{"- a\n", "r:1:1: a rule file is a map of keys and values"},
	{"rules: []\n", "r:1:1: the key version is missing: write version: 1"},
	{"version: 2\nrules: []\n", "r:1:10: version is not 1, the only one there is"},
	{"version: 1\n", "r:1:1: the key rules is missing"},
	{"version: 1\nrules: {a: b}\n", "r:2:8: rules is a list"},
	{"version: 1\nrulez: []\n", "r:2:1: unknown key rulez in a rule file; did you mean rules?"},
	{"version: 1\nhome_nets: []\nrules: []\n", "r:2:1: key home_nets is not supported yet"},
	{"version: 1\nlists: [a]\nrules: []\n", "r:2:8: lists is a map of names and lists"},
	{"version: 1\ndefaults: {dedup: soon}\nrules: []\n",
	 "r:2:19: dedup is \"soon\", not a time such as 30s, 15m, 1h or 7d"},
	{"version: 1\ndefaults: {dedup: 1h, actions: [log]}\nrules: []\n", "r:2:23: key actions is not supported yet"},
	{"version: 1\nrules: [}\n", "r:2:9: did not find expected node content"},
	{"version: 1\nrules:\n- a\n", "r:3:3: a rule is a map of keys and values"},
	/* Parts of a rule. */
	{HEAD "- {id: 1, nme: x}\n", "r:4:11: unknown key nme in a rule; did you mean name?"},
	{HEAD "- {name: n}\n", "r:4:3: a rule needs the key id"},
	{HEAD "- {id: -1}\n", "r:4:8: id is \"-1\", not a number up to 4294967295"},
	{HEAD "- {id: 1}\n", "r:4:3: a rule needs the key name"},
	{RULE("severity: low"), "r:4:3: a rule needs the key type"},
	{RULE("type: alow"), "r:4:26: type is \"alow\"; did you mean allow?"},
	{RULE("type: risk, score_min: 100"), "r:4:26: type risk is not supported yet"},
	{RULE("type: first_seen"), "r:4:26: type first_seen is not supported yet"},
	{RULE("type: threshold"), "r:4:26: type threshold is not supported yet"},
	{RULE("type: beacon"), "r:4:26: type beacon is not supported yet"},
	{RULE("type: server_list"), "r:4:26: type server_list is not supported yet"},
	{RULE("type: deny, group_by: [client]"), "r:4:32: key group_by is not supported yet"},
	{RULE("type: deny, match: {}"), "r:4:3: a rule needs the key severity"},
	{RULE("type: deny, severity: hgh"), "r:4:42: severity is \"hgh\"; did you mean high?"},
	{RULE("type: deny, severity: 9"), "r:4:42: severity is \"9\", not one of info, low, medium, high, critical"},
	{RULE("type: deny, severity: from_score"), "r:4:42: severity from_score is for rules of type risk"},
	{RULE("type: deny, severity: low"), "r:4:3: a rule needs the key match"},
	{RULE("type: deny, severity: low, enabled: yes"), "r:4:56: enabled is \"yes\", not one of false, true"},
	{RULE("type: deny, severity: low, actions: [nft]"), "r:4:57: the only action yet is log"},
	{RULE("type: deny, severity: low, window: 5"),
	 "r:4:55: window is \"5\", not a time such as 30s, 15m, 1h or 7d"},
	{RULE("type: deny, severity: low, dedup: {key: [host], for: 1h}"),
	 "r:4:61: dedup key is \"host\"; did you mean port?"},
	{RULE("type: deny, severity: low, dedup: {key: [everything]}"),
	 "r:4:61: dedup key is \"everything\", not one of rule, subject, peer, side, app, application, master, "
	 "category, port"},
	{RULE("type: deny, severity: low, match: {}"),
	 "r:4:54: a deny rule with an empty match would alert on every flow"},
	{RULE("type: deny, severity: low, match: {app: A}, allow: {}"), "r:4:71: allow is for rules of type allow"},
	{RULE("type: allow, severity: low, match: {}"), "r:4:3: a rule needs the key allow"},
	{ALLOW("allow: {}"), "r:4:82: allow needs client, server or both"},
	{ALLOW("allow: {client: }"), "r:4:91: a value is missing here; an empty list is []"},
	{ALLOW("allow: {clients: [DNS]}"), "r:4:83: unknown key clients in allow; did you mean client?"},
	{ALLOW("allow: {client: [\"!DNS\"]}"), "r:4:92: allow lists what may be spoken: !DNS has no place in it"},
	{ALLOW("allow: {client: [DNS]}, on_unknown: {alert_after: 0}"),
	 "r:4:125: alert_after is 0; leave on_unknown out to never alert"},
	{ALLOW("allow: {client: [DNS]}, on_unknown: {}"), "r:4:111: on_unknown needs the key alert_after"},
	{HEAD "- {id: 1, name: a, type: deny, severity: low, match: {port: 1}}\n"
	      "- {id: 1, name: b, type: deny, severity: low, match: {port: 1}}\n",
	 "r:5:8: id 1 is that of \"a\" already"},
	{HEAD "- {id: 1, name: a, id: 2}\n", "r:4:20: key id is here a second time, first on line 4"},
	/* Keys of match. */
	{DENY("hosts: 192.0.2.1"), "r:4:56: unknown key hosts in match; did you mean host?"},
	{DENY("sni: x"), "r:4:56: key sni is not supported yet"},
	{DENY("direction: out"), "r:4:56: key direction is not supported yet"},
	{DENY("host: 192.0.2.256"), "r:4:62: 192.0.2.256 is not an address, network or @list"},
	{DENY("host: [192.0.2.1, fd00::/129]"), "r:4:74: fd00::/129 is not an address, network or @list"},
	{DENY("host: 192.0.2.1/24"), "r:4:62: 192.0.2.1/24 has bits set beyond its length: it is no network"},
	{DENY("host: \"@dnz\""), "r:4:62: there is no list dnz; did you mean @dmz?"},
	{DENY("host: \"@other\""), "r:4:62: there is no list other"},
	{DENY("host: \"@bad\""), "r:2:34: 192.0.2.0/33 is not an address, network or @list"},
	{DENY("host: \"@nest\""), "r:2:56: a list holds neither other lists nor negations"},
	{DENY("port: \"@nest\""), "r:2:56: a list holds neither other lists nor negations"},
	{DENY("host: []"), "r:4:62: an empty list matches nothing"},
	{DENY("app: "), "r:4:61: a value is missing here; an empty list is []"},
	{DENY("app: [[TLS]]"), "r:4:62: a list holds single words"},
	{DENY("app: .TLS"), "r:4:61: .TLS is not a name such as TLS, TLS.* or TLS.Telegram"},
	{DENY("app: a.b.c"), "r:4:61: a.b.c is not a name such as TLS, TLS.* or TLS.Telegram"},
	{DENY("master: TLS.Telegram"), "r:4:64: master takes one name, not TLS.Telegram; key app takes such"},
	{DENY("port: 70000"), "r:4:62: 70000 is not a port or a range such as 8000-8100"},
	{DENY("port: 90-80"), "r:4:62: 90-80 is not a port or a range such as 8000-8100"},
	{DENY("l4: tpc"), "r:4:60: tpc is not tcp, udp, icmp, icmp6, sctp, gre, esp or a number up to 255"},
	{DENY("side: left"), "r:4:62: side is \"left\", not one of client, server"},
	{DENY("confidence: sure"), "r:4:68: confidence is \"sure\", not one of none, port, ip, partial, cache, dpi"},
	{DENY("host: {fil: x}"), "r:4:63: unknown key fil in a list; did you mean file?"},
	{DENY("host: {file: /nonexistent/list}"), "r:4:69: /nonexistent/list: No such file or directory"},
	/* Exceptions. */
	{RULE("type: deny, severity: low, match: {app: A}, except: {host: 192.0.2.1}"),
	 "r:4:72: except is a list of maps"},
	{RULE("type: deny, severity: low, match: {app: A}, except: [{until: 2027-01-31}]"),
	 "r:4:73: an exception is a map with keys of match"},
	{RULE("type: deny, severity: low, match: {app: A}, except: [{port: 1, until: 2027-02-30}]"),
	 "r:4:90: until is \"2027-02-30\", not a day such as 2027-01-31"},
	{RULE("type: deny, severity: low, match: {app: A}, except: [{prot: 1}]"),
	 "r:4:74: unknown key prot in match; did you mean port?"},
};

static void test_places(void **state)
{
	unsigned wrong = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
		struct rule_set *set = NULL;
		char err[512] = "taken";

		if (rules_parse(&set, "r", broken[i].text, strlen(broken[i].text), (struct rules_warnings){0}, err,
				sizeof(err)) == 0)
			rules_free(set);
		if (strcmp(err, broken[i].expected) == 0)
			continue;
		print_error("%s\n  says:     %s\n  expected: %s\n", broken[i].text, err, broken[i].expected);
		wrong++;
	}
	assert_int_equal(wrong, 0);
}

static void remember(void *arg, const char *sentence)
{
	char *all = arg;

	strcat(all, sentence);
	strcat(all, "\n");
}

static void test_warnings(void **state)
{
	const char *text = HEAD "- {id: 1, name: n, type: deny, severity: low,\n"
				"   match: {app: [Telegramm, \"tls.*\", MyOwn, category:Chatt], category: mining}}\n";
	char all[1024] = "", err[256];
	struct rule_set *set = NULL;

	(void)state;
	assert_int_equal(
		rules_parse(&set, "r", text, strlen(text), (struct rules_warnings){remember, all}, err, sizeof(err)),
		0);
	assert_string_equal(all, "r:5:18: Telegramm is no protocol of nDPI 4.2; did you mean Telegram?\n"
				 "r:5:38: MyOwn is no protocol of nDPI 4.2\n"
				 "r:5:45: Chatt is no category of nDPI 4.2; did you mean Chat?\n");
	rules_free(set);
}

static void test_too_many(void **state)
{
	size_t room = (RULES_MAX + 1) * 16 + 64, used;
	char *text = malloc(room), err[256] = "";
	struct rule_set *set = NULL;

	(void)state;
	assert_non_null(text);
	used = (size_t)snprintf(text, room, "version: 1\nrules:\n");
	for (int i = 0; i <= RULES_MAX; i++)
		used += (size_t)snprintf(text + used, room - used, "- {id: %d}\n", i);
	assert_int_not_equal(rules_parse(&set, "r", text, used, (struct rules_warnings){0}, err, sizeof(err)), 0);
	assert_string_equal(err, "r:1027:3: a file has at most 1024 rules");
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_warnings),
		cmocka_unit_test(test_too_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
