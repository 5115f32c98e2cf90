/* SPDX-License-Identifier: Apache-2.0 */
/* Matching, its index, and explaining say the same, whatever the rule and the record. */
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
	"version: 1\nhome_nets: [192.0.2.0/24]\n"                                                                      \
	"lists: {none: [], dmz: [192.0.2.10, \"2001:db8:1::/64\"]}\nrules:\n"
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define RULES 600
#define RECORDS 3000

static uint64_t seed = 88172645463325252;

static uint32_t chance(size_t n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)((seed >> 20) % n);
}
#define ANY(array) (array)[chance(COUNT(array))]

static const char *const conditions[] = {
	"host: \"@dmz\"",
	"host: [192.0.2.0/24, \"!192.0.2.10\"]",
	"host: \"!@dmz\"",
	"host: \"@none\"",
	"client: 192.0.2.0/24",
	"client: \"!192.0.2.10\"",
	"server: 198.51.100.7",
	"peer: \"@dmz\"",
	"side: server",
	"side: client",
	"mac: 02:00:5e",
	"mac: \"!02:00:5e:10:00:01\"",
	"app: TLS",
	"app: [\"TLS.*\", \"!TLS.Telegram\"]",
	"app: [\"!SSH\"]",
	"app: category:Chat",
	"master: [DNS, SSH]",
	"master: \"!TLS\"",
	"category: Chat",
	"port: [443, 53]",
	"port: [1-1023, \"!22\"]",
	"port: \"!0-1023\"",
	"port: 65535",
	"l4: tcp",
	"l4: [udp, icmp]",
	"confidence: ip",
	"risk: [malicious_ja3, 40]",
	"risk: [\"!28\"]",
	"score: 100",
	"score: {max: 50}",
	"sni: \"*.example.org\"",
	"sni: \"!bad.example\"",
	"alpn: h2",
	"alpn: \"!h2\"",
	"tls_version: 1.2",
	"tls_version: {max: 1.1}",
	"vlan: 10-20",
	"exporter: edge*",
	"bytes: 1000",
	"bytes: {max: 999}",
	"packets: {min: 5, max: 10}",
	"duration: 10s",
	"answered: true",
	"answered: false",
	"direction: out",
	"direction: [in, internal]",
	"time: {between: \"07:00-19:00\", days: mon-fri, tz: Europe/Rome}",
	"time: {not_between: \"22:00-06:00\"}",
};

static const char *const types[] = {
	"deny",
	"allow, allow: {client: [DNS, TLS.*], server: [SSH]}",
	"allow, allow: {client: [TLS]}, on_unknown: {alert_after: 3}",
	"allow, allow: {server: []}",
	"risk, score_min: 50",
	"first_seen",
	"first_seen, key: [server, port]",
	"threshold, group_by: [client], count: flows, over: 5, window: 1m",
	"threshold, group_by: [server], sum: bytes, over: 5, window: 1m",
	"beacon, group_by: [host], min_count: 5, interval: {min: 1s, max: 1h}, window: 1h",
	"server_list, servers: {DNS: [192.0.2.10], TLS.*: [198.51.100.0/24], DHCP: []}",
};

static const char *const exceptions[] = {"", ", except: [{port: 22}]",
					 ", except: [{host: 192.0.2.11, until: 2030-01-01}]",
					 ", except: [{port: 22, until: 2020-01-01}, {app: DNS.Telegram}]"};

static struct rule_set *make_rules(void)
{
	char *text = malloc(RULES * 512), err[512];
	size_t used = (size_t)sprintf(text, HEAD);
	struct rule_set *set = NULL;

	for (int i = 0; i < RULES; i++) {
		size_t first = chance(COUNT(conditions)), second = first + 1 + chance(4);
		int n = (int)chance(4);

		used += (size_t)sprintf(text + used, "- {id: %d, name: n, severity: low, match: {%s", i,
					n ? conditions[first] : "confidence: cache");
		/* Another key, and one of the first part, which is of addresses. */
		while (second < COUNT(conditions) &&
		       strncmp(conditions[first], conditions[second], strcspn(conditions[first], ":") + 1) == 0)
			second++;
		if (n > 1 && second < COUNT(conditions))
			used += (size_t)sprintf(text + used, ", %s", conditions[second]);
		if (n > 2 && first > 12)
			used += (size_t)sprintf(text + used, ", %s", conditions[chance(10)]);
		used += (size_t)sprintf(text + used, "}, enabled: %s, type: %s%s}\n", chance(20) ? "true" : "false",
					ANY(types), ANY(exceptions));
	}
	if (rules_parse(&set, "r.yaml", text, used, (struct rules_warnings){0}, err, sizeof(err)))
		fail_msg("%s", err);
	free(text);
	return set;
}

static void maybe_text(struct l7_record *r, struct l7_text *t, const char *s)
{
	if (s)
		assert_true(l7_record_text(r, t, s, strlen(s), L7_TEXT_MAX));
}

static void make_record(struct l7_record *r, struct rules_input *in)
{
	static const char *const hosts[] = {"192.0.2.10", "192.0.2.11", "198.51.100.7", "2001:db8:1::5", "2001:db8::1"};
	static const char *const apps[] = {"TLS",  "TLS.Telegram", "SSH",      "DNS", "DNS.Telegram",
					   "DHCP", "Unknown",      "TLS.Mine", NULL};
	static const char *const sure[] = {"dpi", "dpi", "cache", "ip", "-"};
	static const char *const names[] = {NULL, "www.Example.org", "bad.example", "example.org"};
	static const char *const alpns[] = {NULL, "h2,http/1.1", "h3"}, *const exporters[] = {NULL, "edge-1", "core"};
	static const char *const categories[] = {NULL, "Chat", "Web"};
	static const uint16_t ports[] = {22, 53, 67, 68, 443, 1023, 1024, 65535},
			      versions[] = {0, 0x302, 0x303, 0xfefd};
	static const uint8_t l4s[] = {1, 6, 17};
	static const uint64_t risks[] = {0, UINT64_C(1) << 28, UINT64_C(1) << 40 | 2};
	static const uint16_t scores[] = {0, 50, 100, 250};

	*r = flow_record((struct flow){.src = ANY(hosts),
				       .dst = ANY(hosts),
				       .src_port = chance(4) ? 50000 : ANY(ports),
				       .port = ANY(ports),
				       .l4 = ANY(l4s),
				       .app = ANY(apps),
				       .category = ANY(categories),
				       .sure = ANY(sure),
				       .sure_master = ANY(sure),
				       .state = chance(3) ? 0 : 1 + (int)chance(15)});
	r->risks = ANY(risks);
	r->risk_score = ANY(scores);
	r->tls_version = ANY(versions);
	r->vlan_id = (uint16_t)chance(30);
	memcpy(r->link.src_mac, "\2\0\136\20\0\1", 6);
	memcpy(r->link.dst_mac, "\2\0\137\20\0\1", 6);
	if (chance(2))
		l7_mark(r, L7_F_sourceMacAddress);
	if (chance(2))
		l7_mark(r, L7_F_destinationMacAddress);
	maybe_text(r, &r->sni, ANY(names));
	maybe_text(r, &r->http_host, ANY(names));
	maybe_text(r, &r->alpn, ANY(alpns));
	maybe_text(r, &r->exporter, ANY(exporters));
	*in = (struct rules_input){.record = r,
				   .now_ms = UINT64_C(1700000000000) + chance(7 * 24) * UINT64_C(3600000),
				   .answered = chance(3),
				   .start_ms = r->end_ms - chance(20000),
				   .octets = {chance(800), chance(800)},
				   .packets = {chance(8), chance(8)}};
}

/* What the lines of an explanation come to: all of the first part, and all of one side. */
static bool lines_say(const struct buf *why)
{
	const char *line = why->data, *end = why->data + why->len;
	bool common = true, side = true, any = false, in_side = false;

	for (; line < end; line = (const char *)memchr(line, '\n', (size_t)(end - line)) + 1) {
		const char *stop = memchr(line, '\n', (size_t)(end - line));
		bool no = stop - line > 4 && memcmp(stop - 4, "  NO", 4) == 0;

		if (memcmp(line, "  as ", 5) == 0 || *line == '=') {
			any |= in_side && side;
			in_side = side = true;
		} else if (in_side) {
			side &= !no;
		} else {
			common &= !no;
		}
		if (*line == '=')
			break;
	}
	return common && any;
}

/* The index as if it knew of addresses and whether a rule is in force only. */
static void blind(struct rule_set *set)
{
	struct rules_index *x = &set->index;

	memset(x->app_app, 255, set->names.n * set->words * sizeof(uint64_t));
	memset(x->master, 255, set->names.n * set->words * sizeof(uint64_t));
	memset(x->category, 255, set->names.n * set->words * sizeof(uint64_t));
	memset(x->l4, 255, 256 * set->words * sizeof(uint64_t));
	memset(x->port, 255, x->n_ports * set->words * sizeof(uint64_t));
	memset(x->traits, 255, RULES_TRAITS * set->words * sizeof(uint64_t));
}

static void test_agree(void **state)
{
	static struct rules_verdict verdicts[2 * RULES], others[2 * RULES];
	struct rule_set *set, *blinded;
	uint64_t start = seed;
	size_t fired[RULES_TYPES] = {0};
	struct buf why;

	(void)state;
	set = make_rules();
	seed = start;
	blinded = make_rules();
	blind(blinded);
	buf_init(&why, 1 << 20);
	for (int i = 0; i < RECORDS; i++) {
		struct l7_record r;
		struct rules_input in;
		size_t n, rule = chance(RULES);

		make_record(&r, &in);
		n = rules_match(set, &in, verdicts, COUNT(verdicts));
		assert_int_equal(rules_match(blinded, &in, others, COUNT(others)), n);
		for (size_t k = 0; k < n; k++) {
			fired[verdicts[k].rule->type]++;
			assert_int_equal(verdicts[k].rule->id, others[k].rule->id);
		}
		/* A few rules of each record: those that fire, and one after the other. */
		for (size_t k = 0; k < 12; k++) {
			const struct rule *asked =
				k < 4 && n ? verdicts[chance(n)].rule : rules_at(set, (rule + k) % RULES);
			bool fires = false;

			for (size_t v = 0; v < n; v++)
				fires |= verdicts[v].rule == asked;
			buf_reset(&why);
			if (rules_explain(set, asked, &in, &why) != fires || lines_say(&why) != fires || why.failed)
				fail_msg("%s\n%.*s", fires ? "fires" : "does not", (int)why.len, why.data);
		}
	}
	for (int type = 0; type < RULES_TYPES; type++)
		if (fired[type] < 500)
			fail_msg("of type %s: %zu", rules_type_name((enum rules_type)type), fired[type]);
	buf_deinit(&why);
	rules_free(set);
	rules_free(blinded);
}

static void test_words(void **state)
{
	const char *rules = HEAD "- {id: 7, name: Servers, type: allow, severity: high,\n"
				 "   match: {host: \"@dmz\", answered: true, confidence: ip},\n"
				 "   allow: {client: [DNS, \"TLS.*\"], server: [SSH]},\n"
				 "   except: [{port: 22}, {sni: evil.example}]}\n";
	const char *expected = "rule 7 \"Servers\", allow (r.yaml:5)\n"
			       "  confidence ip (r.yaml:6): master dpi, application dpi                       yes\n"
			       "  answered true (r.yaml:6): true                                              yes\n"
			       "  no exception applies: 2 looked at                                           yes\n"
			       "  as client 192.0.2.10\n"
			       "    host @dmz (r.yaml:6): 192.0.2.10                                          yes\n"
			       "    classification is final                                                   yes\n"
			       "    who is client and who is server is known                                  yes\n"
			       "    speaks none of [DNS, TLS.*] (r.yaml:7): SSH (dpi), which is none of them  yes\n"
			       "  as server 198.51.100.7\n"
			       "    host @dmz (r.yaml:6): 198.51.100.7                                        NO\n"
			       "    classification is final                                                   yes\n"
			       "    who is client and who is server is known                                  yes\n"
			       "    the server answered                                                       yes\n"
			       "    the flow's first packet was seen                                          yes\n"
			       "    offers none of [SSH] (r.yaml:7): SSH (dpi), which is one of them          NO\n"
			       "=> high not allowed, as client 192.0.2.10; an alert per rule, subject, application\n";
	struct l7_record r = flow_record((struct flow){.app = "SSH", .port = 2222});
	struct rules_input in = {.record = &r, .now_ms = 1700000000000, .answered = true};
	struct rule_set *set = NULL;
	struct buf why;
	char err[256];

	(void)state;
	assert_int_equal(
		rules_parse(&set, "r.yaml", rules, strlen(rules), (struct rules_warnings){0}, err, sizeof(err)), 0);
	buf_init(&why, 1 << 16);
	assert_true(rules_explain(set, rules_at(set, 0), &in, &why));
	buf_char(&why, '\0');
	assert_string_equal(why.data, expected);
	/* A name from the network that would like to be a line of its own. */
	buf_reset(&why);
	assert_true(l7_record_set_app(&r, "SSH\n=> nothing\x1b[2J", 16));
	assert_true(rules_explain(set, rules_at(set, 0), &in, &why));
	buf_char(&why, '\0');
	assert_null(strstr(why.data, "\n=> nothing"));
	assert_null(strchr(why.data, 0x1b));
	buf_deinit(&why);
	rules_free(set);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_agree), cmocka_unit_test(test_words)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
