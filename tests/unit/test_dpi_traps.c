/* SPDX-License-Identifier: Apache-2.0 */
/* What nDPI says that is not so, or not so simple: a test for each trap that docs/ndpi.md has. Others are in test_dpi_judge.c. */
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <cmocka.h>

#include "dpi_rig.h"
#include "l7/record.h"

static uint32_t wrong_by; /* octets that the library's flow is said to be larger */

uint32_t __real_ndpi_detection_get_sizeof_ndpi_flow_struct(void);
uint32_t __wrap_ndpi_detection_get_sizeof_ndpi_flow_struct(void);
uint32_t __wrap_ndpi_detection_get_sizeof_ndpi_flow_struct(void)
{
	return __real_ndpi_detection_get_sizeof_ndpi_flow_struct() + wrong_by;
}

/* Built with the headers of one nDPI and run with another: refused before anything is written past an end. */
static void test_headers_of_another(void **state)
{
	struct dpi_module *m = rig_module;
	char err[300] = "";

	(void)state;
	wrong_by = 8;
	assert_int_equal(dpi_module_new(&m, &(struct dpi_files){.protocols = NULL}, err, sizeof(err)), -EPROTO);
	wrong_by = 0;
	assert_null(m);
	assert_non_null(strstr(err, "build again"));
}

/* "TLS.Telegram" of random octets to an address of Telegram's on 443: TLS is from the port, Telegram from the address. */
static void test_guess_is_no_sight(void **state)
{
	struct frame_ends e = {"192.0.2.1", RIG_TELEGRAM_IP, 40000, 443, 0};

	(void)state;
	rig_assert(rig_noise(rig_module, RIG_TELEGRAM_IP, 443, 0x41), "Telegram", "ip/ip");
	rig_assert(rig_noise(rig_module, RIG_OTHER_IP, 443, 0x41), "Unknown", "none/none");
	rig_assert(rig_noise(rig_module, RIG_OTHER_IP, 3389, 0x41), "Unknown", "none/none");
	/* a record's header is a sign of TLS, a hello cut off after it no more than that */
	rig_assert(rig_classify(rig_module, &e, true, "\x16\x03\x01\x02\x00\x01", 6), "TLS.Telegram", "partial/ip");
}

/*
 * Any segment to 443 that starts with 0xEF and a small number is Telegram, 4.2 says, whoever is there. Later ones know Telegram over
 * TCP by its addresses alone.
 */
static void test_first_octet_ef(void **state)
{
	const char *there = rig_is_4_2() ? "Telegram" : "Unknown",
		   *how = rig_is_4_2() ? "partial/partial" : "none/none";

	(void)state;
	rig_assert(rig_noise(rig_module, RIG_OTHER_IP, 443, 0xef), there, how);
	rig_assert(rig_noise(rig_module, RIG_TELEGRAM_IP, 443, 0xef), "Telegram", rig_is_4_2() ? "dpi/dpi" : "ip/ip");
}

/* One confidence for two names: TLS was dissected, Telegram is the address. */
static void test_two_confidences(void **state)
{
	(void)state;
	rig_assert(rig_sni(rig_module, RIG_TELEGRAM_IP, "www.example.org"), "TLS.Telegram", "dpi/ip");
	rig_assert(rig_sni(rig_module, RIG_OTHER_IP, "www.example.org"), "TLS", "dpi/dpi");
}

/* The bot API is no protocol of Telegram's and anywhere: without etc/protocols.txt it is plain TLS. */
static void test_bot_api_by_name_only(void **state)
{
	struct dpi_module *m;
	char err[300] = "";

	(void)state;
	assert_int_equal(dpi_module_new(&m, &(struct dpi_files){.protocols = NULL}, err, sizeof(err)), 0);
	rig_assert(rig_sni(m, RIG_OTHER_IP, "api.telegram.org"), "TLS", "dpi/dpi");
	dpi_module_free(m);
	rig_assert(rig_sni(rig_module, RIG_OTHER_IP, "api.telegram.org"), "TLS.Telegram", "dpi/dpi");
	/* who only asks for the name chats with nobody: DNS is what is spoken */
	rig_assert(rig_query(rig_module, "api.telegram.org"), "DNS.Telegram", "dpi/dpi");
}

/* Of a long name the last 79 characters are kept: enough for every rule. */
static void test_long_names(void **state)
{
	char name[120] = "";
	struct rig_verdict v;

	(void)state;
	while (strlen(name) < 84)
		strcat(name, "a.");
	strcat(name, "telegram.org");
	v = rig_sni(rig_module, RIG_OTHER_IP, name);
	rig_assert(v, "TLS.Telegram", "dpi/dpi");
	assert_string_equal(v.name, name + strlen(name) - 79);
	strcat(name, ".example");
	rig_assert(rig_sni(rig_module, RIG_OTHER_IP, name), "TLS", "dpi/dpi");
}

/* A rule for an address ends dissection with the first packet: nothing is known of the protocol or the name but what was in it. */
static void test_address_rule(void **state)
{
	struct rig_verdict v;
	struct dpi_module *m;
	char err[300] = "";

	(void)state;
	assert_int_equal(rig_load(&m, "ip:198.51.100.0/24@ByAddress\n", err), 0);
	v = rig_sni(m, "198.51.100.7", "www.example.org");
	rig_assert(v, "TLS.ByAddress", "partial/dpi"); /* a record's header was seen, its hello was not read */
	assert_int_equal(v.packets, 1);
	assert_string_equal(v.name, "");
	rig_assert(rig_noise(m, "198.51.100.7", 443, 0x41), "ByAddress", "dpi/dpi");
	dpi_module_free(m);
}

#define KIND(k) (UINT64_C(1) << (k))
#define TLS_KINDS                                                                                                      \
	(KIND(DPI_SNI) | KIND(DPI_JA3C) | KIND(DPI_JA3S) | KIND(DPI_JA4C) | KIND(DPI_ALPN) | KIND(DPI_TLS_ISSUER) |    \
	 KIND(DPI_TLS_SUBJECT))
#define SSH_KINDS (KIND(DPI_HASSH_CLIENT) | KIND(DPI_HASSH_SERVER) | KIND(DPI_SSH_CLIENT) | KIND(DPI_SSH_SERVER))

/* What nDPI keeps of a protocol lies over what it keeps of another one. */
static void test_union(void **state)
{
	static const char banner[] = "SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n";
	struct frame_ends ssh = {"192.0.2.1", RIG_OTHER_IP, 40000, 22, 0};
	struct rig_verdict v = rig_classify(rig_module, &ssh, true, banner, sizeof(banner) - 1);

	(void)state;
	rig_assert(v, "SSH", "dpi/dpi");
	assert_true(v.kinds & KIND(DPI_SSH_CLIENT));
	assert_int_equal(v.kinds & ~(SSH_KINDS | KIND(DPI_NUMBERS)), 0);
	v = rig_query(rig_module, "www.example.org");
	assert_int_equal(v.kinds & ~KIND(DPI_NUMBERS), KIND(DPI_DNS_QUERY));
	v = rig_sni(rig_module, RIG_OTHER_IP, "www.example.org");
	assert_true(v.kinds & KIND(DPI_SNI));
	assert_int_equal((v.kinds & KIND(DPI_JA4C)) != 0, !rig_is_4_2());
	assert_int_equal(v.kinds & ~(TLS_KINDS | KIND(DPI_NUMBERS)), 0);
	v = rig_noise(rig_module, RIG_OTHER_IP, 5000, 0x41);
	assert_int_equal(v.kinds, 0);
}

/* nDPI would go on and on: HTTP without a host, DNS without an answer, one end of SSH. rig_classify() fails past the budget. */
static void test_extra_dissection_ends(void **state)
{
	static const char get[] = "GET / HTTP/1.0\r\n\r\n", banner[] = "SSH-2.0-OpenSSH_9.2p1\r\n";
	struct frame_ends http = {"192.0.2.1", RIG_OTHER_IP, 40000, 80, 0},
			  ssh = {"192.0.2.1", RIG_OTHER_IP, 40000, 22, 0};
	struct rig_verdict v = rig_classify(rig_module, &http, true, get, sizeof(get) - 1);

	(void)state;
	rig_assert(v, "HTTP", "dpi/dpi");
	assert_true(v.packets > 1);
	rig_assert(rig_classify(rig_module, &ssh, true, banner, sizeof(banner) - 1), "SSH", "dpi/dpi");
	v = rig_query(rig_module, "www.example.org");
	rig_assert(v, "DNS", "dpi/dpi");
}

/* From the middle of a flow no dissector knows where it is: that it finds nothing is no sign against the port, but for TLS. */
static void test_midstream(void **state)
{
	static const char middle[] = "\x9c\x01\x33\x78\x02\x64\x11\x5f\x20\x6e\x6f\x20\x73\x74\x61\x72\x74";
	struct frame_ends e = {"192.0.2.1", RIG_OTHER_IP, 40000, 389, 0};

	(void)state;
	rig_assert(rig_classify(rig_module, &e, true, middle, sizeof(middle) - 1), "Unknown", "none/none");
	rig_assert(rig_midstream(rig_module, &e, middle, sizeof(middle) - 1), "LDAP", "port/port");
	e.dst_port = 443;
	rig_assert(rig_midstream(rig_module, &e, middle, sizeof(middle) - 1), "Unknown", "none/none");
}

/* nDPI is not asked for flows that never carry payload; their names are guesses, and of what has no ports the IP header's. */
static void test_without_payload(void **state)
{
	struct rig_verdict v = rig_guess(rig_module, RIG_TELEGRAM_IP, 443, IPPROTO_TCP);

	(void)state;
	rig_assert(v, "Telegram", "ip/ip");
	assert_string_equal(v.category, "Chat");
	rig_assert(rig_guess(rig_module, RIG_OTHER_IP, 443, IPPROTO_TCP), "TLS", "port/port");
	rig_assert(rig_guess(rig_module, RIG_OTHER_IP, 0, IPPROTO_ICMP), "ICMP", "dpi/dpi");
}

/* Numbers of protocols mean others in another nDPI: names are what is matched, so each is there once. */
static void test_names_tell_protocols_apart(void **state)
{
	uint32_t n = dpi_app_count(rig_module);

	(void)state;
	assert_true(n > 200);
	for (uint32_t i = 0; i < n; i++)
		for (uint32_t j = 0; j < i && dpi_app_name(rig_module, i); j++)
			if (dpi_app_name(rig_module, j) &&
			    strcasecmp(dpi_app_name(rig_module, i), dpi_app_name(rig_module, j)) == 0)
				fail_msg("%u and %u are %s", j, i, dpi_app_name(rig_module, i));
}

/* A query for a name behind one header of IPv6, its first 8 octets; true if nDPI knows it. */
static bool behind_header(unsigned kind, unsigned protocol, const char octets[8])
{
	static const struct frame_ends six = {"2001:db8::1", "2001:db8::53", 40000, 53, 0};
	static const uint8_t nobody[16];
	struct dpi_ends ends = {.src_ip = nobody, .dst_ip = nobody, .protocol = (uint8_t)protocol};
	void *flow = aligned_alloc(64, (dpi_state_size() + 63) & ~(size_t)63);
	struct frame query, f;
	struct dpi_verdict v;
	struct packet p = {.tunnels_max = 0};

	assert_non_null(flow);
	frame_dns_query(&query, "example.org");
	frame_ip(&f, &six, kind, 8 + 8 + query.len, 1, 0);
	frame_put(&f, octets, 8);
	frame_u16(&f, six.src_port);
	frame_u16(&f, six.dst_port);
	frame_u16(&f, 8 + query.len);
	frame_u16(&f, 0);
	frame_put(&f, query.octets, query.len);
	assert_int_equal(decode_ethernet(f.octets, f.len, f.len, &p), DECODE_OK);
	assert_int_equal(p.protocol, protocol);
	p.time_ms = UINT64_C(1700000000000);
	dpi_begin(flow, false);
	(void)dpi_packet(rig_module, flow, &p);
	dpi_verdict(rig_module, flow, &ends, &v, NULL);
	dpi_end(flow);
	free(flow);
	return v.confidence == L7_CONF_DPI;
}

/*
 * nDPI walks over headers of IPv6 by itself, over others than the decoder: where it would come to another protocol it is not asked, as
 * what it keeps of TCP is where it keeps what it knows of UDP.
 */
static void test_headers_of_ip6(void **state)
{
	(void)state;
	assert_true(behind_header(60, IPPROTO_UDP, "\x11\0\1\4\0\0\0\0"));   /* destination options: a padding */
	assert_false(behind_header(135, 135, "\x11\0\0\0\0\0\0\0"));         /* mobility: nothing is behind it */
	assert_false(behind_header(140, IPPROTO_UDP, "\x11\0\0\0\0\0\0\0")); /* Shim6, which it does not know */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_headers_of_ip6),
		cmocka_unit_test(test_headers_of_another),
		cmocka_unit_test(test_guess_is_no_sight),
		cmocka_unit_test(test_first_octet_ef),
		cmocka_unit_test(test_two_confidences),
		cmocka_unit_test(test_bot_api_by_name_only),
		cmocka_unit_test(test_long_names),
		cmocka_unit_test(test_address_rule),
		cmocka_unit_test(test_union),
		cmocka_unit_test(test_extra_dissection_ends),
		cmocka_unit_test(test_midstream),
		cmocka_unit_test(test_without_payload),
		cmocka_unit_test(test_names_tell_protocols_apart),
	};

	return cmocka_run_group_tests(tests, rig_setup, rig_teardown);
}
