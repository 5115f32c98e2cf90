/* SPDX-License-Identifier: Apache-2.0 */
/* Who is a client, and what would give one away. Octets of whole outputs are looked at by tests/e2e/test_privacy.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "export/anonymize.h"
#include "record_sample.h"

static char key_path[] = "/tmp/l7key-XXXXXX";
static struct prefix_map home;

static int setup(void **state)
{
	struct prefix_item net = {.set = 0};
	int fd = mkstemp(key_path); /* mode 600 */

	(void)state;
	if (fd < 0 || write(fd, "0123456789abcdef", 16) != 16)
		return -1;
	close(fd);
	return addr_prefix_parse("192.0.2.0/24", &net.prefix) || prefix_map_init(&home, &net, 1, 1);
}

static int teardown(void **state)
{
	(void)state;
	prefix_map_deinit(&home);
	return unlink(key_path);
}

/* What becomes of a record; *out is checked as what comes from a worker is. */
static void apply(const char *rules, const struct prefix_map *nets, const struct l7_record *r, struct l7_record *out)
{
	struct anonymize_rules parsed;
	struct anonymize *a;
	char err[300] = "";
	int rc = anonymize_parse(&parsed, rules, key_path, err, sizeof(err));

	if (rc)
		fail_msg("%s: %s", rules, err);
	assert_int_equal(anonymize_new(&a, &parsed, nets, err, sizeof(err)), 0);
	*out = *anonymize_record(a, r);
	anonymize_free(a);
	assert_true(l7_record_check(out, sizeof(*out)));
}

static void sample(struct l7_record *r, const char *source, const char *target)
{
	record_sample(r, 0);
	memcpy(r->link.src_mac, "\0\1\2\3\4\5", 6);
	memcpy(r->link.dst_mac, "\0\1\2\3\4\6", 6);
	addr_parse(source, r->src_ip);
	addr_parse(target, r->dst_ip);
	r->ip_version = addr_is4(r->src_ip) ? 4 : 6;
}

static void test_who(void **state)
{
	static const struct {
		const char *source, *target;
		bool nets, midstream, source_hidden, target_hidden;
	} cases[] = {
		{"192.0.2.1", "198.51.100.1", true, false, true, false},
		{"198.51.100.1", "192.0.2.1", true, false, false, true},
		{"198.51.100.1", "192.0.2.1", true, true, false, true},
		{"192.0.2.1", "192.0.2.2", true, false, true, true},
		{"198.51.100.1", "203.0.113.1", true, false, true, false},
		{"198.51.100.1", "192.0.2.1", false, false, true, false},
		{"198.51.100.1", "192.0.2.1", false, true, true, true},
		{"2001:db8::1", "2001:db8::2", false, false, true, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct l7_record r, out;

		sample(&r, cases[i].source, cases[i].target);
		if (cases[i].midstream) {
			r.state |= L7_STATE_MIDSTREAM;
			r.biflow = L7_BIFLOW_ARBITRARY;
		}
		apply("clients:hash", cases[i].nets ? &home : NULL, &r, &out);
		assert_int_equal(memcmp(r.src_ip, out.src_ip, 16) != 0, cases[i].source_hidden);
		assert_int_equal(memcmp(r.dst_ip, out.dst_ip, 16) != 0, cases[i].target_hidden);
		assert_int_equal(addr_is4(out.src_ip), r.ip_version == 4);
		assert_int_equal(memcmp(r.outer_src_ip, out.outer_src_ip, 16) != 0, cases[i].source_hidden);
		assert_int_equal(memcmp(r.outer_dst_ip, out.outer_dst_ip, 16) != 0, cases[i].target_hidden);
		assert_int_equal(addr_is4(out.outer_src_ip), addr_is4(r.outer_src_ip));
		assert_int_equal(memcmp(r.link.src_mac, out.link.src_mac, 6) != 0, cases[i].source_hidden);
		assert_int_equal(memcmp(r.link.dst_mac, out.link.dst_mac, 6) != 0, cases[i].target_hidden);
		assert_int_not_equal(out.flow_id, r.flow_id);
		assert_int_equal(out.sni.len, r.sni.len);
	}
}

/* Where a client's tunnel begins may be the client. Nobody is hidden where there is no tunnel. */
static void test_tunnel(void **state)
{
	static const uint8_t none[16];
	struct l7_record r, out;

	(void)state;
	sample(&r, "192.0.2.1", "198.51.100.1");
	apply("clients:drop", NULL, &r, &out);
	assert_false(l7_has(&out, L7_F_outerSourceAddress));
	assert_memory_equal(out.outer_src_ip, none, 16);
	assert_true(l7_has(&out, L7_F_outerDestinationAddress));
	assert_memory_equal(out.outer_dst_ip, r.outer_dst_ip, 16);
	r.tunnel = L7_TUNNEL_NONE;
	memset(r.outer_src_ip, 0, 16);
	apply("clients:hash", NULL, &r, &out);
	assert_memory_equal(out.outer_src_ip, none, 16);
}

/* Names that are addresses, and texts that hold the client's. */
static void test_leaks(void **state)
{
	static const struct {
		const char *name;
		bool stays;
	} cases[] = {
		{"www.example.org", true},
		{"192.0.2.1", false},
		{"192.0.2.99:8080", false}, /* another client */
		{"[2001:db8::5]:80", false},
		{"2001:db8::5", false},
		{"http://198.51.100.9/x", false},
		{"1.2.0.192.IN-ADDR.ARPA", false},
		{"8.b.d.0.1.0.0.2.ip6.arpa.", false},
		{"host-192.0.2.1.example.org", false},
		{"www.example.org/?from=192.0.2.1&x", false},
		{"www.example.org/1.2", true},
		{"arpa.example.org", true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct l7_record r, out;

		sample(&r, "192.0.2.1", "198.51.100.1");
		record_sample_text(&r, &r.http_url, L7_F_httpUrl, cases[i].name);
		apply("clients:hash", NULL, &r, &out);
		if (l7_has(&out, L7_F_httpUrl) != cases[i].stays)
			fail_msg("%s", cases[i].name);
		assert_int_equal(out.http_url.len != 0, cases[i].stays);
	}
}

/* Everything on: of the texts from the wire only these are left; a new one has to be put somewhere. */
static void test_every_text(void **state)
{
	static const uint8_t ours[] = {
		L7_F_exporterName,    L7_F_interfaceName, L7_F_applicationName,        L7_F_masterName,
		L7_F_applicationPart, L7_F_flowRiskNames, L7_F_applicationCategoryName};
	static const uint8_t harmless[] = {L7_F_tlsIssuer,      L7_F_tlsAlpn,       L7_F_httpMethod,
					   L7_F_httpMime,       L7_F_sshClient,     L7_F_sshServer,
					   L7_F_tlsJa3Client,   L7_F_tlsJa3Server,  L7_F_tlsJa4Client,
					   L7_F_sshHasshClient, L7_F_sshHasshServer};
	/* Of the other end, in this test, and never from the wire. */
	static const uint8_t places[] = {L7_F_destinationMacVendor, L7_F_destinationAsName, L7_F_destinationCountry,
					 L7_F_destinationCity};

	(void)state;
	for (unsigned f = 0; f < L7_FIELD_COUNT; f++) {
		struct l7_text *t;
		struct l7_record r, out;

		if (l7_fields[f].type != L7_TYPE_TEXT || memchr(ours, (int)f, sizeof(ours)) ||
		    memchr(places, (int)f, sizeof(places)))
			continue;
		sample(&r, "192.0.2.1", "198.51.100.1");
		t = (struct l7_text *)(void *)((char *)&r + l7_fields[f].offset);
		record_sample_text(&r, t, (enum l7_field)f, "some text");
		apply("clients:drop,sni:drop,url:drop,agent:drop", NULL, &r, &out);
		if (l7_has(&out, (enum l7_field)f) != (memchr(harmless, (int)f, sizeof(harmless)) != NULL))
			fail_msg("%s: %d", l7_fields[f].name, l7_has(&out, (enum l7_field)f));
		record_sample_text(&r, t, (enum l7_field)f, "x 192.0.2.1 y");
		apply("clients:drop", NULL, &r, &out);
		if (l7_has(&out, (enum l7_field)f))
			fail_msg("%s holds the client's address", l7_fields[f].name);
	}
}

/* What files say of a client: a pseudonym keeps country and autonomous system, who is dropped keeps nothing. */
static void test_places(void **state)
{
	static const uint8_t gone[] = {L7_F_sourceCity, L7_F_sourceMacVendor};
	static const uint8_t wide[] = {L7_F_sourceCountry, L7_F_sourceAsName, L7_F_bgpSourceAsNumber};
	struct l7_record r, out;

	(void)state;
	for (unsigned turned = 0; turned < 2; turned++) {
		for (unsigned drop = 0; drop < 2; drop++) {
			sample(&r, "192.0.2.1", "198.51.100.1");
			if (turned)
				l7_record_reverse(&r);
			apply(drop ? "clients:drop" : "clients:hash", &home, &r, &out);
			for (size_t i = 0; i < sizeof(gone); i++) {
				int other = l7_record_pair(gone[i]);

				assert_false(l7_has(&out, turned ? (enum l7_field)other : gone[i]));
				assert_true(l7_has(&out, turned ? gone[i] : (enum l7_field)other));
			}
			for (size_t i = 0; i < sizeof(wide); i++) {
				int other = l7_record_pair(wide[i]);

				assert_int_equal(l7_has(&out, turned ? (enum l7_field)other : wide[i]), !drop);
				assert_true(l7_has(&out, turned ? wide[i] : (enum l7_field)other));
			}
			assert_int_equal(turned ? out.place.dst_as : out.place.src_as, drop ? 0 : 64500);
			assert_int_equal(turned ? out.place.src_as : out.place.dst_as, 4200000000);
		}
	}
}

/* What says a server's name again goes with it. */
static void test_names(void **state)
{
	struct l7_record r, out;

	(void)state;
	sample(&r, "192.0.2.1", "198.51.100.1");
	r.tls_issuer = r.tls_subject;
	apply("sni:drop", NULL, &r, &out);
	assert_false(l7_has(&out, L7_F_tlsIssuer) || l7_has(&out, L7_F_tlsSubject) || l7_has(&out, L7_F_httpUrl));
	assert_true(l7_has(&out, L7_F_httpAgent) && l7_has(&out, L7_F_sourceIPv4Address));
	assert_int_equal(out.flow_id, r.flow_id);
	apply("sni:hash,url:drop", NULL, &r, &out);
	assert_true(l7_has(&out, L7_F_tlsServerName) && !l7_has(&out, L7_F_httpUrl));
	assert_int_equal(out.sni.len, 16);
	assert_memory_equal(out.text + out.tls_issuer.off, out.text + out.tls_subject.off, 16);
	apply("url:hash", NULL, &r, &out);
	assert_int_equal(out.http_url.len, 16);
	assert_int_equal(out.sni.len, r.sni.len);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_who),        cmocka_unit_test(test_tunnel), cmocka_unit_test(test_leaks),
		cmocka_unit_test(test_every_text), cmocka_unit_test(test_places), cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
