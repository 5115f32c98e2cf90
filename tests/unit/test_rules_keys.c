/* SPDX-License-Identifier: Apache-2.0 */
/* Each key and type of rules at its borders. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "rules/rules_internal.h"
#include "watch_flow.h"

#define HEAD                                                                                                           \
	"version: 1\nhome_nets: [192.0.2.0/24, \"2001:db8:1::/48\", \"!192.0.2.128/25\"]\n"                            \
	"lists: {none: [], old: [malformed_packet], bad: [evil.example, \"*.bad.example\"]}\nrules:\n"
#define RULE(rest) HEAD "- {id: 1, name: n, severity: high, " rest "}\n"
#define DENY(match) RULE("type: deny, match: {" match "}")
#define NOW UINT64_C(1700000000000) /* Tuesday, 14 November 2023, 22:13:20 UTC */

/* What a test asks about; begin() makes a flow of TLS from 192.0.2.10 to 198.51.100.7:443 of it. */
static struct l7_record r;
static struct rules_input in;

static void begin_with(struct flow f)
{
	r = flow_record(f);
	in = (struct rules_input){.record = &r,
				  .now_ms = NOW,
				  .answered = true,
				  .start_ms = r.start_ms,
				  .octets = {600, 400},
				  .packets = {5, 4},
				  .sampling = 1};
}

static void begin(void)
{
	begin_with((struct flow){.app = "TLS"});
}

static void text(struct l7_text *t, const char *s)
{
	assert_true(l7_record_text(&r, t, s, strlen(s), L7_TEXT_MAX));
}

static struct rule_set *load(const char *rules)
{
	struct rule_set *set = NULL;
	char err[512];

	if (rules_parse(&set, "r.yaml", rules, strlen(rules), (struct rules_warnings){0}, err, sizeof(err)))
		fail_msg("%s\n%s", err, rules);
	return set;
}

/* Verdicts as words; what rules_explain() says agrees. */
static const char *say(const char *rules)
{
	static const char *const kinds[] = {"denied", "not allowed", "unknown", "risky", "wrong server", "candidate"};
	static char said[256];
	struct rules_verdict v[RULES_VERDICTS_MAX];
	struct rule_set *set = load(rules);
	size_t n = rules_match(set, &in, v, RULES_VERDICTS_MAX), used = 0;
	struct buf why;

	said[0] = '\0';
	for (size_t i = 0; i < n; i++)
		used += (size_t)snprintf(said + used, sizeof(said) - used, "%s%s %s", i ? ", " : "",
					 v[i].side == RULES_CLIENT ? "client" : "server", kinds[v[i].kind]);
	buf_init(&why, 1 << 16);
	assert_int_equal(rules_explain(set, rules_at(set, 0), &in, &why), n > 0);
	assert_false(why.failed);
	buf_deinit(&why);
	rules_free(set);
	return said;
}

#define FIRES(rules, words) assert_string_equal(say(rules), words)
#define SILENT(rules) FIRES(rules, "")
#define HITS(match) FIRES(DENY(match), "client denied")
#define MISSES(match) SILENT(DENY(match))

static void test_risk(void **state)
{
	(void)state;
	begin();
	r.risks = UINT64_C(1) << 28 | UINT64_C(1) << 17;
	HITS("risk: malicious_ja3");
	HITS("risk: Malicious-JA3");
	HITS("risk: possibly malicious JA3 fingerprint");
	HITS("risk: 28");
	HITS("risk: [tls_weak_cipher, 17]");
	MISSES("risk: tls_weak_cipher");
	MISSES("risk: 63");
	MISSES("risk: \"!28\"");
	HITS("risk: \"!27\"");
	MISSES("risk: [malicious_ja3, \"!malformed_packet\"]");
	HITS("risk: \"@old\"");
	MISSES("risk: \"!@old\"");
	MISSES("risk: \"@none\"");
	HITS("risk: [\"@none\", 28]");
	r.risks = 0;
	MISSES("risk: malicious_ja3");
	HITS("risk: \"!malicious_ja3\"");
	r.risks = UINT64_C(1) << 63; /* of a later nDPI */
	HITS("risk: 63");
}

static void test_amounts(void **state)
{
	(void)state;
	begin();
	r.risk_score = 100;
	HITS("score: 100");
	MISSES("score: 101");
	HITS("score: {max: 100}");
	MISSES("score: {max: 99}");
	HITS("score: {min: 100, max: 100}");
	HITS("bytes: 1000"); /* both ways, of the flow so far */
	HITS("bytes: 1k");
	MISSES("bytes: 1KiB");
	MISSES("bytes: 1001");
	HITS("bytes: {min: 999, max: 1000B}");
	HITS("packets: 9");
	MISSES("packets: 10");
	HITS("packets: {max: 9}");
	MISSES("packets: {max: 8}");
	in.start_ms = r.end_ms - 60000; /* the record itself is shorter */
	HITS("duration: 1m");
	in.start_ms++;
	MISSES("duration: 60s");
	HITS("duration: {max: 1m}");
	in.start_ms = r.end_ms + 5; /* clocks of two exporters */
	MISSES("duration: 1s");
	r.risk_score = 0;
	MISSES("score: 1");
	HITS("score: {max: 50}");
	in.octets[0] = UINT64_C(18000) << 50;
	HITS("bytes: 16TiB");
}

static void test_server_names(void **state)
{
	(void)state;
	begin();
	MISSES("sni: \"*.org\"");
	MISSES("sni: \"!*.org\""); /* there is no name */
	text(&r.sni, "API.Example.org");
	HITS("sni: api.example.org");
	HITS("sni: API.EXAMPLE.ORG");
	MISSES("sni: example.org");
	HITS("sni: \"*.example.org\"");
	HITS("sni: \"*.org\"");
	HITS("sni: \"*.api.example.org\""); /* that name and what is below it */
	MISSES("sni: \"*.ple.org\"");
	MISSES("sni: \"*.v1.api.example.org\"");
	MISSES("sni: [\"*.org\", \"!*.example.org\"]");
	HITS("sni: [\"*.org\", \"!example.org\"]");
	MISSES("sni: \"!api.example.org\"");
	HITS("sni: \"!example.org\"");
	MISSES("sni: \"@bad\"");
	HITS("sni: \"!@bad\"");
	MISSES("sni: \"@none\"");
	HITS("sni: \"!@none\"");
	begin();
	text(&r.http_host, "www.bad.example:8080");
	HITS("sni: \"@bad\"");
	text(&r.http_host, "[2001:db8::1]:80");
	HITS("sni: \"!@bad\"");
	begin();
	text(&r.dns_query, "evil.example.");
	HITS("sni: \"@bad\"");
	text(&r.http_host, "good.example"); /* goes before what was asked for */
	MISSES("sni: \"@bad\"");
	/* Names that end before they end. */
	for (int i = 0; i < 256; i++) {
		char name[14] = "evil.example";

		name[sizeof(name) - 1] = (char)i;
		begin();
		assert_true(l7_record_text(&r, &r.sni, name, sizeof(name), L7_TEXT_MAX));
		MISSES("sni: evil.example");
	}
	begin();
	text(&r.sni, "..");
	MISSES("sni: \"@bad\"");
	text(&r.sni, ".bad.example");
	HITS("sni: \"@bad\"");
	text(&r.sni, ".");
	MISSES("sni: \"@bad\"");
}

static void test_tls(void **state)
{
	(void)state;
	begin();
	MISSES("alpn: h2");
	MISSES("alpn: \"!h2\"");
	text(&r.alpn, "h2,HTTP/1.1");
	HITS("alpn: h2");
	HITS("alpn: http/1.1");
	MISSES("alpn: http");
	MISSES("alpn: [\"!h2\"]");
	HITS("alpn: [\"!h3\"]");
	MISSES("alpn: \"@none\"");
	MISSES("tls_version: \"1.2\""); /* not stated */
	MISSES("tls_version: {max: \"1.3\"}");
	r.tls_version = 0x0303;
	HITS("tls_version: 1.2");
	MISSES("tls_version: 1.1");
	MISSES("tls_version: 1.3");
	HITS("tls_version: {max: 1.2}");
	MISSES("tls_version: {max: 1.1}");
	HITS("tls_version: {min: 1.2}");
	r.tls_version = 0xfefd; /* DTLS 1.2 */
	HITS("tls_version: 1.2");
	r.tls_version = 0xfeff; /* DTLS 1.0, which is TLS 1.1 */
	HITS("tls_version: 1.1");
	r.tls_version = 0xfefc;
	HITS("tls_version: 1.3");
	r.tls_version = 0x0300;
	HITS("tls_version: ssl3");
	HITS("tls_version: {max: 1.0}");
}

static void test_ports(void **state)
{
	(void)state;
	begin_with((struct flow){.app = "TLS", .port = 65535});
	HITS("port: 65535");
	HITS("port: 1024-65535");
	MISSES("port: 0-65534");
	HITS("port: \"!0-65534\"");
	MISSES("port: [1-65535, \"!65535\"]");
	HITS("port: [65535, \"!0-65534\", \"!1-2\"]");
	r.dst_port = 0; /* of a protocol without ports */
	HITS("port: 0");
	MISSES("port: 1-65535");
	HITS("port: \"!1-65535\"");
	MISSES("port: \"!0\"");
	r.dst_port = 80;
	HITS("port: [1-100, 50-90, \"!70-79\", \"!60-79\"]");
	r.dst_port = 79;
	MISSES("port: [1-100, 50-90, \"!70-79\", \"!60-79\"]");
}

static void test_places(void **state)
{
	(void)state;
	begin();
	HITS("vlan: 0");
	HITS("vlan: \"!20\"");
	r.vlan_id = 20;
	HITS("vlan: [10-20, 30]");
	HITS("vlan: 20-30");
	MISSES("vlan: 21-4095");
	MISSES("vlan: [10-30, \"!20\"]");
	MISSES("exporter: edge-1");
	MISSES("exporter: \"!edge-1\"");
	text(&r.exporter, "Edge-1");
	HITS("exporter: edge-1");
	MISSES("exporter: edge");
	HITS("exporter: edge*");
	HITS("exporter: \"edge-1*\"");
	HITS("exporter: \"*\"");
	MISSES("exporter: [edge*, \"!edge-1\"]");
	MISSES("exporter: edge-11");
}

static void test_mac(void **state)
{
	static const uint8_t client[6] = {2, 0, 0x5e, 0x10, 0, 1}, server[6] = {2, 0, 0x5f, 0x10, 0, 2};

	(void)state;
	begin();
	MISSES("mac: 02:00:5e:10:00:01"); /* not stated */
	MISSES("mac: \"!02:00:5e:10:00:01\"");
	memcpy(r.link.src_mac, client, 6);
	memcpy(r.link.dst_mac, server, 6);
	l7_mark(&r, L7_F_sourceMacAddress);
	HITS("mac: 02:00:5E:10:00:01");
	HITS("mac: 02-00-5e");
	MISSES("mac: 02:00:5f"); /* of the server nothing is stated */
	l7_mark(&r, L7_F_destinationMacAddress);
	FIRES(DENY("mac: 02:00:5f:10:00:02"), "server denied");
	MISSES("mac: 02:00:5f, side: client");
	MISSES("mac: 02:00:5f, host: 192.0.2.10");
	FIRES(DENY("mac: 02:00:5f, peer: 192.0.2.10"), "server denied");
	FIRES(DENY("mac: [\"!02:00:5e\"]"), "server denied");
	MISSES("mac: \"@none\"");
}

static void test_direction(void **state)
{
	(void)state;
	begin();
	HITS("direction: out");
	MISSES("direction: [in, internal]");
	HITS("direction: [in, out]");
	begin_with((struct flow){.src = "198.51.100.7", .dst = "192.0.2.10"});
	HITS("direction: in");
	MISSES("direction: out");
	begin_with((struct flow){.src = "192.0.2.127", .dst = "192.0.2.10"});
	HITS("direction: internal");
	MISSES("direction: [in, out]");
	begin_with((struct flow){.src = "192.0.2.128", .dst = "192.0.2.10"}); /* !192.0.2.128/25 */
	HITS("direction: in");
	begin_with((struct flow){.src = "192.0.2.128", .dst = "198.51.100.7"}); /* neither */
	MISSES("direction: [in, out, internal]");
	begin_with((struct flow){.src = "2001:db8:1:ffff::1", .dst = "2001:db8:2::1"});
	HITS("direction: out");
}

static void test_answered(void **state)
{
	(void)state;
	begin();
	HITS("answered: true");
	MISSES("answered: false");
	in.answered = false;
	MISSES("answered: true");
	HITS("answered: false");
}

static void test_time(void **state)
{
	(void)state;
	begin(); /* Tuesday 22:13:20 UTC, 23:13:20 in Rome */
	HITS("time: {between: \"22:00-23:00\"}");
	MISSES("time: {between: \"22:00-23:00\", tz: Europe/Rome}");
	HITS("time: {between: \"23:00-24:00\", days: tue, tz: Europe/Rome}");
	HITS("time: {between: \"22:13-22:14\"}");
	MISSES("time: {between: \"22:14-22:15\"}");
	MISSES("time: {between: \"22:12-22:13\"}");
	HITS("time: {between: \"22:00-06:00\", days: [tue]}");
	MISSES("time: {between: \"22:00-06:00\", days: [mon, wed-sun]}");
	HITS("time: {days: mon-fri}");
	MISSES("time: {days: [sat, sun]}");
	HITS("time: {days: sun-tue}");
	HITS("time: {not_between: \"07:00-19:00\", days: mon-fri, tz: Europe/Rome}");
	MISSES("time: {not_between: \"07:00-23:14\", days: mon-fri, tz: Europe/Rome}");
	HITS("time: {not_between: \"07:00-23:14\", days: sat, tz: Europe/Rome}");
	in.now_ms = NOW + 8 * 3600000; /* Wednesday, 06:13:20 */
	MISSES("time: {between: \"22:00-06:00\"}");
	HITS("time: {between: \"22:00-06:14\", days: tue}");
	MISSES("time: {between: \"22:00-06:14\", days: wed}");
	HITS("time: {between: \"07:00-07:00\", days: tue}");
	MISSES("time: {between: \"06:00-06:00\", days: tue}");
}

/* What asks for something of a list without items is asked for nothing, what excludes it excludes nothing. */
static void test_empty_lists(void **state)
{
	(void)state;
	begin();
	text(&r.exporter, "edge");
	MISSES("host: \"@none\"");
	HITS("host: [\"@none\", 192.0.2.10]");
	HITS("client: [\"!@none\"]");
	MISSES("client: [\"@none\", \"!192.0.2.11\"]");
	MISSES("app: \"@none\"");
	HITS("app: \"!@none\"");
	MISSES("app: [\"@none\", \"!SSH\"]");
	MISSES("master: \"@none\"");
	MISSES("category: \"@none\"");
	MISSES("port: \"@none\"");
	HITS("port: \"!@none\"");
	MISSES("l4: \"@none\"");
	MISSES("vlan: \"@none\"");
	MISSES("exporter: \"@none\"");
	SILENT(RULE("type: allow, match: {host: \"@none\"}, allow: {client: []}"));
	FIRES(RULE("type: allow, match: {client: 192.0.2.0/24}, allow: {client: \"@none\"}"), "client not allowed");
}

static void test_ipv6(void **state)
{
	(void)state;
	begin_with((struct flow){.src = "2001:db8:1:2::ffff", .dst = "2001:db8::1", .app = "TLS"});
	HITS("client: \"2001:db8:1:2::/64\"");
	MISSES("client: \"2001:db8:1:3::/64\"");
	HITS("client: \"2001:db8:1:2::8000/113\"");
	MISSES("client: \"2001:db8:1:2::/113\"");
	MISSES("client: 0.0.0.0/0");
	HITS("client: \"2001:db8:1:2::ffff\"");
	MISSES("client: [\"2001:db8::/32\", \"!2001:db8:1:2::ffff\"]");
}

/* ---- types ---- */

static void test_risk_rule(void **state)
{
	const char *rules = RULE("type: risk, match: {client: 192.0.2.0/24}, score_min: 100");
	struct rule_set *set;
	static const struct {
		uint16_t score;
		enum rules_severity severity;
	} bands[] = {{0, RULES_LOW},    {49, RULES_LOW},   {50, RULES_MEDIUM},    {99, RULES_MEDIUM},
		     {100, RULES_HIGH}, {199, RULES_HIGH}, {200, RULES_CRITICAL}, {65535, RULES_CRITICAL}};

	(void)state;
	begin();
	r.risk_score = 100;
	FIRES(rules, "client risky");
	r.risk_score = 99;
	SILENT(rules);
	r.risks = 1 << 4;
	FIRES(RULE("type: risk, match: {risk: binary_application_transfer}"), "client risky");
	FIRES(RULE("type: risk, match: {server: 198.51.100.7, score: 50}"), "server risky");
	/* It does not wait for the name. */
	begin_with((struct flow){.app = "TLS", .state = L7_STATE_EARLY});
	r.risk_score = 200;
	FIRES(rules, "client risky");
	set = load("version: 1\nrules:\n- {id: 1, name: n, type: risk, severity: from_score, match: {}, score_min: 1}\n"
		   "- {id: 2, name: n, type: risk, severity: info, match: {}, score_min: 1}\n");
	for (size_t i = 0; i < sizeof(bands) / sizeof(bands[0]); i++) {
		r.risk_score = bands[i].score;
		assert_int_equal(rules_severity_of(rules_at(set, 0), &r), bands[i].severity);
		assert_int_equal(rules_severity_of(rules_at(set, 1), &r), RULES_INFO);
	}
	rules_free(set);
}

#define SERVERS(map) RULE("type: server_list, match: {}, servers: {" map "}")

static void test_server_list(void **state)
{
	const char *rules = SERVERS("DNS: [192.0.2.53, \"2001:db8::53\"], \"TLS.*\": [198.51.100.0/24]");

	(void)state;
	begin_with((struct flow){.app = "DNS.Google", .port = 53, .l4 = 17});
	FIRES(rules, "server wrong server");
	in.answered = false;
	SILENT(rules);
	begin_with((struct flow){.app = "DNS", .dst = "192.0.2.53", .port = 53, .l4 = 17});
	SILENT(rules);
	begin_with((struct flow){.app = "TLS.Telegram"});
	SILENT(rules);
	begin_with((struct flow){.app = "TLS.Telegram", .dst = "203.0.113.9"});
	FIRES(rules, "server wrong server");
	r.state = L7_STATE_LAST; /* not final */
	SILENT(rules);
	r.state = L7_STATE_FINAL | L7_STATE_MIDSTREAM;
	SILENT(rules);
	begin_with((struct flow){.app = "SSH", .dst = "203.0.113.9"}); /* not of the list */
	SILENT(rules);
	begin_with((struct flow){.app = "DNS", .sure = "port"}); /* not sure */
	SILENT(rules);
	begin_with((struct flow){.app = "DNS"});
	SILENT(RULE("type: server_list, match: {host: 192.0.2.0/24}, servers: {DNS: []}")); /* another's server */
	FIRES(RULE("type: server_list, match: {host: 198.51.100.0/24}, servers: {DNS: []}"), "server wrong server");
	FIRES(SERVERS("DNS: \"@none\""), "server wrong server");
	/* Two entries for a name: one that has the server is enough. */
	SILENT(SERVERS("DNS: [192.0.2.53], \"DNS.*\": [198.51.100.7]"));
	SILENT(SERVERS("DNS: [\"!192.0.2.53\"]"));
}

/* Who offers addresses sends first, to an address that has never sent. */
static void test_dhcp_server(void **state)
{
	const char *rules = SERVERS("DHCP: [192.0.2.1]");

	(void)state;
	begin_with((struct flow){
		.app = "DHCP", .dst = "255.255.255.255", .src_port = 67, .port = 68, .l4 = 17, .unanswered = true});
	in.answered = false;
	FIRES(rules, "client wrong server");
	SILENT(SERVERS("DHCP: [192.0.2.10]"));
	begin_with((struct flow){.app = "DHCP", .src_port = 68, .port = 67, .l4 = 17}); /* a renewal */
	FIRES(rules, "server wrong server");
	begin_with((struct flow){.app = "DHCP", .dst = "255.255.255.255", .src_port = 68, .port = 67, .l4 = 17});
	in.answered = false; /* a question */
	SILENT(rules);
}

static void test_first_seen(void **state)
{
	const char *rules = RULE("type: first_seen, match: {host: 192.0.2.0/24}");

	(void)state;
	begin();
	FIRES(rules, "client candidate");
	in.twin = true; /* detect/ tells them apart */
	FIRES(rules, "client candidate");
	r.state = L7_STATE_LAST;
	SILENT(rules);
	begin_with((struct flow){.app = "SSH", .src = "192.0.2.10", .dst = "192.0.2.11"});
	FIRES(rules, "client candidate, server candidate");
	in.answered = false;
	FIRES(rules, "client candidate");
	FIRES(RULE("type: first_seen, match: {}, key: [client, app]"), "client candidate");
	SILENT(RULE("type: first_seen, match: {}, key: [server, port]")); /* a scan makes no server */
	in.answered = true;
	FIRES(RULE("type: first_seen, match: {}, key: [server, port]"), "server candidate");
	r.state |= L7_STATE_MIDSTREAM;
	r.dst_port = 50001;
	SILENT(rules);
}

static void test_counting(void **state)
{
#define COUNT(match, by)                                                                                               \
	RULE("type: threshold, match: {" match "}, group_by: [" by "], count: flows, over: 5, window: 1m")
	(void)state;
	begin_with((struct flow){.app = "TLS", .state = L7_STATE_EARLY});
	FIRES(COUNT("", "client"), "client candidate");
	FIRES(COUNT("", "server"), "server candidate");
	FIRES(COUNT("", "server, client"), "client candidate");
	FIRES(COUNT("", "host"), "client candidate");
	FIRES(COUNT("host: 198.51.100.7", "host"), "server candidate");
	FIRES(COUNT("server: 198.51.100.7", "host"), "server candidate");
	FIRES(COUNT("app: TLS", "client"), "client candidate");
	/* Not this or that: known only of a final name. */
	SILENT(COUNT("app: \"!SSH\"", "client"));
	SILENT(COUNT("master: \"!SSH\"", "client"));
	r.state = L7_STATE_FINAL;
	FIRES(COUNT("app: \"!SSH\"", "client"), "client candidate");
	in.answered = false;
	FIRES(COUNT("answered: false", "client"), "client candidate");
	FIRES(RULE("type: beacon, match: {app: [\"!NTP\"]}, group_by: [client, server], min_count: 5, window: 1h,\n"
		   "  interval: {min: 10s, max: 1h}"),
	      "client candidate");
	in.twin = true;
	HITS("app: TLS");
}

static void test_values(void **state)
{
	struct rule_set *set = load(
		"version: 1\nlists: {x: [a]}\ndefaults: {dedup: {key: [peer], for: 2h}, release_after: 5m, mute: "
		"{after: 7}}\n"
		"rules:\n"
		"- {id: 1, name: a, type: threshold, severity: low, match: {}, group_by: [client, app], sum: "
		"client_bytes,\n"
		"   over: 2GiB, window: 90s, max_keys: 5, mute: {within: 1h}, dedup: 5m}\n"
		"- {id: 2, name: b, type: beacon, severity: low, match: {}, group_by: [client], min_count: 12,\n"
		"   interval: {min: 10s, max: 6h}, max_jitter: 0.155, window: 24h, release_after: 1h}\n"
		"- {id: 3, name: c, type: first_seen, severity: low, match: {}, learn: {for: 0s, forget_after: 0d},\n"
		"   dedup: {key: [host]}}\n");
	const struct rule *sum = rules_at(set, 0), *beat = rules_at(set, 1), *first = rules_at(set, 2);

	(void)state;
	assert_int_equal(sum->measure, RULES_SUM_CLIENT_BYTES);
	assert_true(sum->over == UINT64_C(2) << 30);
	assert_int_equal(sum->window_ms, 90000);
	assert_int_equal(sum->keys, RULES_KEY_CLIENT | RULES_KEY_APP);
	assert_int_equal(sum->max_keys, 5);
	assert_int_equal(sum->mute_after, 7);
	assert_int_equal(sum->mute_ms, 3600000);
	assert_int_equal(sum->release_ms, 300000);
	assert_int_equal(sum->dedup.for_ms, 300000);
	assert_int_equal(sum->dedup.keys, RULES_KEY_RULE | RULES_KEY_PEER);
	assert_int_equal(beat->beacon.min_count, 12);
	assert_int_equal(beat->beacon.min_ms, 10000);
	assert_int_equal(beat->beacon.max_ms, 21600000);
	assert_int_equal(beat->beacon.max_jitter, 155);
	assert_int_equal(beat->release_ms, 3600000);
	assert_int_equal(beat->max_keys, 100000);
	assert_int_equal(first->learn.for_ms, 0);
	assert_int_equal(first->learn.min_flows, 20);
	assert_int_equal(first->learn.forget_ms, 0);
	assert_int_equal(first->dedup.keys, RULES_KEY_RULE | RULES_KEY_SUBJECT);
	assert_ptr_equal(rules_find(set, 2), beat);
	assert_null(rules_find(set, 4));
	rules_free(set);
}

/* Where nobody says what tells alerts apart, it is what the rule counts by. */
static void test_default_keys(void **state)
{
	struct rule_set *set =
		load("version: 1\nrules:\n"
		     "- {id: 1, name: a, type: deny, severity: low, match: {port: 1}}\n"
		     "- {id: 2, name: b, type: threshold, severity: low, match: {}, group_by: [client, vlan], "
		     "distinct: server,\n"
		     "   over: 10k, window: 1m}\n"
		     "- {id: 3, name: c, type: first_seen, severity: low, match: {}}\n"
		     "- {id: 4, name: d, type: server_list, severity: low, match: {}, servers: {DNS: []}}\n");
	static const uint32_t keys[] = {RULES_KEY_SUBJECT | RULES_KEY_APPLICATION, RULES_KEY_CLIENT | RULES_KEY_VLAN,
					RULES_KEY_SUBJECT | RULES_KEY_SIDE | RULES_KEY_APP,
					RULES_KEY_SUBJECT | RULES_KEY_MASTER};

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		const struct rule *rule = rules_at(set, i);

		assert_int_equal(rule->dedup.keys, RULES_KEY_RULE | keys[i]);
		assert_int_equal(rule->dedup.for_ms, 3600000);
		assert_int_equal(rule->release_ms, 900000);
		assert_int_equal(rule->mute_after, 100);
		assert_int_equal(rule->mute_ms, 600000);
	}
	assert_int_equal(rules_at(set, 1)->distinct, RULES_KEY_SERVER);
	assert_int_equal(rules_at(set, 1)->over, 10000);
	rules_free(set);
}

static void test_key_octets(void **state)
{
	struct rule_set *set = load(DENY("port: 443"));
	struct rules_verdict v = {.rule = rules_at(set, 0), .kind = RULES_DENIED, .side = RULES_SERVER};
	struct buf one, other;

	(void)state;
	begin_with((struct flow){.app = "TLS.Telegram", .sni = "a"});
	buf_init(&one, 4096);
	buf_init(&other, 4096);
	rules_key_octets(&one, RULES_KEY_ALL, &v, &r);
	assert_memory_equal(one.data, "1\000198.51.100.7\000192.0.2.10\0002\00012:TLS.Telegram\0", 44);
	/* Each property counts, and only what was asked for. */
	for (uint32_t key = 1; key < RULES_KEY_ALL; key <<= 1) {
		buf_reset(&other);
		rules_key_octets(&other, RULES_KEY_ALL & ~key, &v, &r);
		assert_true(other.len > 0 && other.len < one.len);
		buf_reset(&other);
		rules_key_octets(&other, key, &v, &r);
		assert_true(other.len > 0 && other.data[other.len - 1] == '\0');
	}
	/* A name that looks like the end of one and the beginning of the next. */
	buf_reset(&one);
	buf_reset(&other);
	rules_key_octets(&one, RULES_KEY_SNI | RULES_KEY_VLAN, &v, &r);
	assert_true(l7_record_text(&r, &r.sni, "a\0000", 3, L7_TEXT_MAX));
	rules_key_octets(&other, RULES_KEY_SNI | RULES_KEY_VLAN, &v, &r);
	assert_true(one.len < other.len && memcmp(one.data, other.data, one.len) != 0);
	/* What nobody knows is not what it was guessed to be. */
	buf_reset(&one);
	v.kind = RULES_UNKNOWN_FLOW;
	rules_key_octets(&one, RULES_KEY_APPLICATION, &v, &r);
	assert_memory_equal(one.data, "7:Unknown", 10);
	buf_deinit(&one);
	buf_deinit(&other);
	rules_free(set);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_risk),         cmocka_unit_test(test_amounts),
		cmocka_unit_test(test_server_names), cmocka_unit_test(test_tls),
		cmocka_unit_test(test_ports),        cmocka_unit_test(test_places),
		cmocka_unit_test(test_mac),          cmocka_unit_test(test_direction),
		cmocka_unit_test(test_answered),     cmocka_unit_test(test_time),
		cmocka_unit_test(test_empty_lists),  cmocka_unit_test(test_ipv6),
		cmocka_unit_test(test_risk_rule),    cmocka_unit_test(test_server_list),
		cmocka_unit_test(test_dhcp_server),  cmocka_unit_test(test_first_seen),
		cmocka_unit_test(test_counting),     cmocka_unit_test(test_values),
		cmocka_unit_test(test_default_keys), cmocka_unit_test(test_key_octets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
