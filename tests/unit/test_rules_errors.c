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
#define FIRST(rest) RULE("type: first_seen, severity: low, match: {}, " rest)
#define SUMS(rest) RULE("type: threshold, severity: low, match: {}, " rest)
#define BEATS(rest) RULE("type: beacon, severity: low, match: {}, group_by: [client], window: 5h, " rest)
#define SERVES(rest) RULE("type: server_list, match: {}, " rest)
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
	{"version: 1\nhome_nets: [10.0.0.1/8]\nrules: []\n",
	 "r:2:13: 10.0.0.1/8 has bits set beyond its length: it is no network"},
	{"version: 1\nhome_net: []\nrules: []\n",
	 "r:2:1: unknown key home_net in a rule file; did you mean home_nets?"},
	{"version: 1\nlists: [a]\nrules: []\n", "r:2:8: lists is a map of names and lists"},
	{"version: 1\ndefaults: {dedup: soon}\nrules: []\n",
	 "r:2:19: dedup is \"soon\", not a time such as 30s, 15m, 1h or 7d"},
	{"version: 1\ndefaults: {dedup: 1h, actions: [mail]}\nrules: []\n", "r:2:33: the only action yet is log"},
	{"version: 1\ndefaults: {severity: low}\nrules: []\n", "r:2:12: unknown key severity in defaults"},
	{"version: 1\ndefaults: {release_after: 0s}\nrules: []\n", "r:2:27: release_after is no time at all"},
	{"version: 1\ndefaults: {mute: 5}\nrules: []\n", "r:2:18: mute is a map of keys and values"},
	{"version: 1\ndefaults: {mute: {}}\nrules: []\n", "r:2:18: mute needs after, within or both"},
	{"version: 1\ndefaults: {mute: {after: many}}\nrules: []\n",
	 "r:2:26: after is \"many\", not a number up to 1000000"},
	{"version: 1\ndefaults: {mute: {within: 0m}}\nrules: []\n", "r:2:27: within is no time at all"},
	{"version: 1\nrules: [}\n", "r:2:9: did not find expected node content"},
	{"version: 1\nrules:\n- a\n", "r:3:3: a rule is a map of keys and values"},
	/* Parts of a rule. */
	{HEAD "- {id: 1, nme: x}\n", "r:4:11: unknown key nme in a rule; did you mean name?"},
	{HEAD "- {name: n}\n", "r:4:3: a rule needs the key id"},
	{HEAD "- {id: -1}\n", "r:4:8: id is \"-1\", not a number up to 4294967295"},
	{HEAD "- {id: 1}\n", "r:4:3: a rule needs the key name"},
	{RULE("severity: low"), "r:4:3: a rule needs the key type"},
	{RULE("type: alow"), "r:4:26: type is \"alow\"; did you mean allow?"},
	/* Keys of other types. */
	{RULE("type: deny, group_by: [client]"), "r:4:32: group_by is for rules of type threshold or beacon"},
	{RULE("type: deny, over: 5"), "r:4:32: over is for rules of type threshold"},
	{RULE("type: deny, max_keys: 5"), "r:4:32: max_keys is for rules of type first_seen, threshold or beacon"},
	{RULE("type: risk, window: 5m"), "r:4:32: window is for rules of type allow, threshold or beacon"},
	{RULE("type: threshold, min_count: 5"), "r:4:37: min_count is for rules of type beacon"},
	{RULE("type: threshold, key: [host]"), "r:4:37: key is for rules of type first_seen"},
	{RULE("type: beacon, score_min: 5"), "r:4:34: score_min is for rules of type risk"},
	{RULE("type: allow, servers: {}"), "r:4:33: servers is for rules of type server_list"},
	{RULE("type: deny, match: {}"), "r:4:3: a rule needs the key severity"},
	{RULE("type: deny, severity: hgh"), "r:4:42: severity is \"hgh\"; did you mean high?"},
	{RULE("type: deny, severity: 9"), "r:4:42: severity is \"9\", not one of info, low, medium, high, critical"},
	{RULE("type: deny, severity: from_score"), "r:4:42: severity from_score is for rules of type risk"},
	{RULE("type: deny, severity: low"), "r:4:3: a rule needs the key match"},
	{RULE("type: deny, severity: low, enabled: yes"), "r:4:56: enabled is \"yes\", not one of false, true"},
	{RULE("type: deny, severity: low, actions: [nft]"), "r:4:57: the only action yet is log"},
	{ALLOW("allow: {client: [DNS]}, window: 5"), "r:4:107: window is \"5\", not a time such as 30s, 15m, 1h or 7d"},
	{RULE("type: deny, severity: low, dedup: {key: [sbject], for: 1h}"),
	 "r:4:61: dedup key is \"sbject\"; did you mean subject?"},
	{RULE("type: deny, severity: low, dedup: {key: [\"!app\"]}"), "r:4:61: dedup key takes no negation"},
	{RULE("type: deny, severity: low, dedup: {key: [everything]}"),
	 "r:4:61: dedup key is \"everything\", not one of rule, subject, peer, side, app, application, master, "
	 "category, port, client, server, sni, vlan, exporter, host"},
	{RULE("type: deny, severity: low, match: {}"),
	 "r:4:54: a deny rule with an empty match would alert on every flow"},
	{RULE("type: deny, severity: low, match: {app: A}, allow: {}"), "r:4:64: allow is for rules of type allow"},
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
	{DENY("direction: out"), "r:4:67: direction needs home_nets, and there are none"},
	{DENY("sni: \"*\""), "r:4:61: * is not a name such as example.org or *.example.org"},
	{DENY("sni: a.*.b"), "r:4:61: a.*.b is not a name such as example.org or *.example.org"},
	{DENY("sni: [https://x/]"), "r:4:62: https://x/ is not a name such as example.org or *.example.org"},
	{DENY("alpn: \"h2,h3\""), "r:4:62: h2,h3 is not a name of ALPN such as h2 or http/1.1"},
	{DENY("exporter: \"*.example\""), "r:4:66: *.example is not a name of an exporter; * may stand at its end"},
	{DENY("mac: 02:00:5e:10"), "r:4:61: 02:00:5e:10 is not like 02:00:5e:10:00:01, or 02:00:5e for all of a maker"},
	{DENY("mac: [02:00:5e:10:00:zz]"),
	 "r:4:62: 02:00:5e:10:00:zz is not like 02:00:5e:10:00:01, or 02:00:5e for all of a maker"},
	{DENY("vlan: 4096"), "r:4:62: 4096 is not a VLAN, 0 to 4095, or a range such as 100-199"},
	{DENY("risk: malicous_ja3"), "r:4:62: malicous_ja3 is no risk of nDPI 4.2; did you mean malicious_ja3?"},
	{DENY("risk: [Malformed Paket]"),
	 "r:4:63: Malformed Paket is no risk of nDPI 4.2; did you mean Malformed Packet?"},
	{DENY("risk: 64"), "r:4:62: 64 is not a risk's bit, 0 to 63"},
	{DENY("risk: [5x]"), "r:4:63: 5x is not a risk's bit, 0 to 63"},
	{DENY("risk: everything"), "r:4:62: everything is no risk of nDPI 4.2"},
	{DENY("score: high"), "r:4:63: score is \"high\", not a number up to 65535"},
	{DENY("score: [100]"), "r:4:63: score is a number, the least, or {min: A, max: B}"},
	{DENY("score: {}"), "r:4:63: score needs min, max or both"},
	{DENY("score: {min: 5, max: 4}"), "r:4:77: max is less than min"},
	{DENY("score: {mn: 5}"), "r:4:64: unknown key mn in score; did you mean min?"},
	{DENY("bytes: 2Gb"), "r:4:63: bytes is \"2Gb\", not a number such as 500, 10k, 500MB or 2GiB"},
	{DENY("bytes: 20000000TB"), "r:4:63: bytes is \"20000000TB\", not a number such as 500, 10k, 500MB or 2GiB"},
	{DENY("packets: -1"), "r:4:65: packets is \"-1\", not a number such as 500, 10k, 500MB or 2GiB"},
	{DENY("duration: {max: 5}"), "r:4:72: max is \"5\", not a time such as 30s, 15m, 1h or 7d"},
	{DENY("tls_version: 1.4"), "r:4:69: tls_version is \"1.4\"; did you mean 1.0?"},
	{DENY("tls_version: {max: old}"), "r:4:75: max is \"old\", not one of ssl3, 1.0, 1.1, 1.2, 1.3"},
	{DENY("answered: maybe"), "r:4:66: answered is \"maybe\", not one of false, true"},
	{DENY("time: night"), "r:4:62: time is a map of keys and values"},
	{DENY("time: {tz: Europe/Rome}"), "r:4:62: time needs between, not_between or days"},
	{DENY("time: {between: 7-19}"), "r:4:72: between is \"7-19\", not a time of day such as \"07:00-19:00\""},
	{DENY("time: {between: \"07:60-19:00\"}"),
	 "r:4:72: between is \"07:60-19:00\", not a time of day such as \"07:00-19:00\""},
	{DENY("time: {not_between: \"24:00-19:00\"}"),
	 "r:4:76: not_between is \"24:00-19:00\", not a time of day such as \"07:00-19:00\""},
	{DENY("time: {between: \"07:00-19:00\", not_between: \"07:00-19:00\"}"),
	 "r:4:100: time has between or not_between, not both"},
	{DENY("time: {days: mon-son}"), "r:4:69: mon-son is not a day such as mon, or days such as mon-fri"},
	{DENY("time: {days: [Monday]}"), "r:4:70: Monday is not a day such as mon, or days such as mon-fri"},
	{DENY("time: {days: []}"), "r:4:69: days names no day"},
	{DENY("time: {days: mon, tz: Europe/Roma}"),
	 "r:4:78: tz is \"Europe/Roma\", not a time zone such as Europe/Rome that is in /usr/share/zoneinfo"},
	{DENY("time: {days: mon, tz: ../../etc/passwd}"),
	 "r:4:78: tz is \"../../etc/passwd\", not a time zone such as Europe/Rome"},
	{DENY("time: {days: mon, tz: Europe}"),
	 "r:4:78: tz is \"Europe\", not a time zone such as Europe/Rome that is in /usr/share/zoneinfo"},
	{DENY("time: {days: mon, tz: tzdata.zi}"), "r:4:78: tz is \"tzdata.zi\", not a time zone such as Europe/Rome"},
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
	/* Types. */
	{RULE("type: risk, severity: low, match: {}"),
	 "r:4:3: a rule of type risk needs score_min, or risk or score in match"},
	{RULE("type: risk, severity: low, match: {}, score_min: 0"),
	 "r:4:69: a rule of type risk needs score_min, or risk or score in match"},
	{RULE("type: risk, severity: low, match: {}, score_min: 65536"),
	 "r:4:69: score_min is \"65536\", not a number up to 65535"},
	{FIRST("key: [hst]"), "r:4:70: key is \"hst\"; did you mean host?"},
	{FIRST("key: []"), "r:4:69: key names nothing that could be new"},
	{FIRST("learn: 7d"), "r:4:71: learn is a map of keys and values"},
	{FIRST("learn: {min_flow: 5}"), "r:4:72: unknown key min_flow in learn; did you mean min_flows?"},
	{FIRST("learn: {for: 7}"), "r:4:77: for is \"7\", not a time such as 30s, 15m, 1h or 7d"},
	{FIRST("max_keys: 0"), "r:4:74: max_keys is 0: nothing could be counted"},
	{SUMS("over: 5, window: 1h, count: flows"), "r:4:3: a rule of type threshold needs the key group_by"},
	{SUMS("group_by: [client], over: 5, count: flows"), "r:4:3: a rule of type threshold needs the key window"},
	{SUMS("group_by: [client], over: 5, window: 1h"),
	 "r:4:3: a rule of type threshold needs one of the keys sum, count and distinct"},
	{SUMS("group_by: [client], window: 1h, count: flows"), "r:4:3: a rule of type threshold needs the key over"},
	{SUMS("group_by: [client], window: 1h, count: flows, sum: bytes, over: 1"),
	 "r:4:102: a rule has one of sum, count and distinct, not two"},
	{SUMS("group_by: [client], window: 1h, sum: octets, over: 1"),
	 "r:4:100: sum is \"octets\"; did you mean bytes?"},
	{SUMS("group_by: [client], window: 1h, count: flow, over: 1"),
	 "r:4:102: count is \"flow\"; did you mean flows?"},
	{SUMS("group_by: [client], window: 1h, distinct: [server, port], over: 1"),
	 "r:4:105: distinct counts the values of one property"},
	{SUMS("group_by: [client], window: 1h, distinct: client, over: 1"),
	 "r:4:105: distinct counts what a group has one of only"},
	{SUMS("group_by: [client], window: 1h, count: flows, over: lots"),
	 "r:4:115: over is \"lots\", not a number such as 500, 10k, 500MB or 2GiB"},
	{SUMS("group_by: [client], window: 0s, count: flows, over: 1"), "r:4:91: window is no time at all"},
	{BEATS("min_count: 5"), "r:4:3: a rule of type beacon needs the key interval"},
	{BEATS("min_count: 65, interval: {min: 1s, max: 1h}"), "r:4:103: min_count is \"65\", not a number up to 64"},
	{RULE("type: beacon, severity: low, match: {}, group_by: [client], window: 25d, min_count: 5"),
	 "r:4:88: the window of a beacon is 24 days at most"},
	{BEATS("interval: {min: 1s, max: 1h}"), "r:4:3: a rule of type beacon needs the key min_count"},
	{BEATS("min_count: 2, interval: {min: 1s, max: 1h}"),
	 "r:4:103: min_count is less than 3: two contacts have no rhythm"},
	{BEATS("min_count: 5, interval: {min: 1s}"), "r:4:116: interval needs the key max"},
	{BEATS("min_count: 5, interval: {min: 1h, max: 1m}"), "r:4:131: max is less than min"},
	{BEATS("min_count: 30, interval: {min: 1h, max: 2h}"),
	 "r:4:123: within the window there is no time for 30 contacts so far apart"},
	{BEATS("min_count: 5, interval: {min: 1m, max: 1h}, max_jitter: 15"),
	 "r:4:148: max_jitter is \"15\", not a part of the interval such as 0.15"},
	{BEATS("min_count: 5, interval: {min: 1m, max: 1h}, max_jitter: 1.5"),
	 "r:4:148: max_jitter is \"1.5\", not a part of the interval such as 0.15"},
	{SERVES("severity: low"), "r:4:3: a rule of type server_list needs the key servers"},
	{SERVES("severity: low, servers: [192.0.2.1]"), "r:4:74: servers is a map of protocols' names and addresses"},
	{SERVES("severity: low, servers: {}"), "r:4:74: servers is a map of protocols' names and addresses"},
	{SERVES("severity: low, servers: {DNS: \"@dnz\"}"), "r:4:80: there is no list dnz; did you mean @dmz?"},
	{SERVES("severity: low, servers: {a.b.c: []}"),
	 "r:4:75: a.b.c is not a name such as TLS, TLS.* or TLS.Telegram"},
	{SERVES("severity: from_score, servers: {DNS: []}"), "r:4:60: severity from_score is for rules of type risk"},
	{RULE("type: deny, severity: low, match: {port: 1}, mute: {afer: 1}"),
	 "r:4:72: unknown key afer in mute; did you mean after?"},
	{RULE("type: deny, severity: low, match: {port: 1}, release_after: 15"),
	 "r:4:80: release_after is \"15\", not a time such as 30s, 15m, 1h or 7d"},
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
	assert_string_equal(err, "r:1027:3: there are at most 1024 rules");
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
