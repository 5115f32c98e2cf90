/* SPDX-License-Identifier: Apache-2.0 */
/* What is said of a flow by what there is to show for it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "dpi/dpi_judge.h"

enum {
	NONE = 0,
	HTTP = 7,
	TLS = 91,
	TELEGRAM = 185,
	GOOGLE = 126,
	ZOOM = 189,
	STUN = 78,
	DNS = 5,
	RDP = 88,
	OWN = 300
};

struct judge_case {
	const char *what;
	struct dpi_evidence e;
	uint16_t master, app;
	uint8_t master_confidence, confidence;
};

#define SEEN .raw = L7_CONF_DPI, .tcp = true, .payload = true
#define GUESSED_PORT .raw = L7_CONF_PORT, .tcp = true, .payload = true
#define GUESSED_IP .raw = L7_CONF_IP, .tcp = true, .payload = true

static const struct judge_case cases[] = {
	{"nothing known", {.payload = true}, NONE, NONE, L7_CONF_NONE, L7_CONF_NONE},

	/* dissected */
	{"one protocol dissected", {SEEN, .app = RDP}, RDP, RDP, L7_CONF_DPI, L7_CONF_DPI},
	{"the same as master only", {SEEN, .master = TLS}, TLS, TLS, L7_CONF_DPI, L7_CONF_DPI},
	{"the same twice", {SEEN, .master = TLS, .app = TLS}, TLS, TLS, L7_CONF_DPI, L7_CONF_DPI},
	{"cached",
	 {.master = STUN, .app = ZOOM, .raw = L7_CONF_CACHE, .payload = true},
	 STUN,
	 ZOOM,
	 L7_CONF_CACHE,
	 L7_CONF_CACHE},
	{"TLS dissected, server name matches",
	 {SEEN, .master = TLS, .app = TELEGRAM, .by_name = TELEGRAM, .tls_record = true},
	 TLS,
	 TELEGRAM,
	 L7_CONF_DPI,
	 L7_CONF_DPI},
	{"the same to an address of theirs",
	 {SEEN, .master = TLS, .app = TELEGRAM, .by_name = TELEGRAM, .by_destination = TELEGRAM, .tls_record = true},
	 TLS,
	 TELEGRAM,
	 L7_CONF_DPI,
	 L7_CONF_DPI},
	{"TLS dissected, Telegram from the address",
	 {SEEN, .master = TLS, .app = TELEGRAM, .by_destination = TELEGRAM, .tls_record = true},
	 TLS,
	 TELEGRAM,
	 L7_CONF_DPI,
	 L7_CONF_IP},
	{"the same, server's end first",
	 {SEEN, .master = TLS, .app = TELEGRAM, .by_source = TELEGRAM, .tls_record = true},
	 TLS,
	 TELEGRAM,
	 L7_CONF_DPI,
	 L7_CONF_IP},
	{"TLS dissected, the name says another one than the address",
	 {SEEN, .master = TLS, .app = GOOGLE, .by_name = GOOGLE, .by_destination = TELEGRAM, .tls_record = true},
	 TLS,
	 GOOGLE,
	 L7_CONF_DPI,
	 L7_CONF_DPI},
	{"HTTP with a host name",
	 {SEEN, .master = HTTP, .app = GOOGLE, .by_name = GOOGLE},
	 HTTP,
	 GOOGLE,
	 L7_CONF_DPI,
	 L7_CONF_DPI},
	{"a name asked for",
	 {.raw = L7_CONF_DPI, .payload = true, .master = DNS, .app = TELEGRAM, .by_name = TELEGRAM},
	 DNS,
	 TELEGRAM,
	 L7_CONF_DPI,
	 L7_CONF_DPI},

	/* as newer nDPI says it */
	{"a part of it seen",
	 {.raw = L7_CONF_PARTIAL, .payload = true, .app = ZOOM},
	 ZOOM,
	 ZOOM,
	 L7_CONF_PARTIAL,
	 L7_CONF_PARTIAL},
	{"TLS dissected, Telegram from the address",
	 {.raw = L7_CONF_PARTIAL,
	  .tcp = true,
	  .payload = true,
	  .inside = true,
	  .master = TLS,
	  .app = TELEGRAM,
	  .by_destination = TELEGRAM},
	 TLS,
	 TELEGRAM,
	 L7_CONF_DPI,
	 L7_CONF_IP},
	{"TLS dissected, something in it from a cache",
	 {.raw = L7_CONF_PARTIAL, .tcp = true, .payload = true, .inside = true, .master = TLS, .app = ZOOM},
	 TLS,
	 ZOOM,
	 L7_CONF_DPI,
	 L7_CONF_PARTIAL},
	{"a part of TLS, but no record",
	 {.raw = L7_CONF_PARTIAL, .tcp = true, .payload = true, .app = TLS},
	 NONE,
	 NONE,
	 L7_CONF_NONE,
	 L7_CONF_NONE},

	/* a host name that only ends like theirs */
	{"TLS dissected, server name looks like theirs",
	 {SEEN, .master = TLS, .app = TELEGRAM, .lookalike = TELEGRAM, .tls_record = true},
	 TLS,
	 TLS,
	 L7_CONF_DPI,
	 L7_CONF_DPI},
	{"the same to an address of theirs",
	 {SEEN, .master = TLS, .app = TELEGRAM, .lookalike = TELEGRAM, .by_destination = TELEGRAM, .tls_record = true},
	 TLS,
	 TELEGRAM,
	 L7_CONF_DPI,
	 L7_CONF_IP},
	{"looks like a rule's",
	 {SEEN, .master = DNS, .app = OWN, .custom = true, .lookalike = OWN},
	 DNS,
	 DNS,
	 L7_CONF_DPI,
	 L7_CONF_DPI},
	{"only a guess, and looks like theirs",
	 {GUESSED_IP, .master = TLS, .app = GOOGLE, .lookalike = GOOGLE},
	 NONE,
	 NONE,
	 L7_CONF_NONE,
	 L7_CONF_NONE},
	{"looks like one, is dissected as another",
	 {SEEN, .master = TLS, .app = ZOOM, .lookalike = GOOGLE},
	 TLS,
	 ZOOM,
	 L7_CONF_DPI,
	 L7_CONF_DPI},

	/* Telegram's own transport */
	{"0xEF to anybody: perhaps", {SEEN, .app = TELEGRAM}, TELEGRAM, TELEGRAM, L7_CONF_PARTIAL, L7_CONF_PARTIAL},
	{"0xEF to an address of Telegram's",
	 {SEEN, .app = TELEGRAM, .by_destination = TELEGRAM},
	 TELEGRAM,
	 TELEGRAM,
	 L7_CONF_DPI,
	 L7_CONF_DPI},
	{"0xEF to somebody else's address",
	 {SEEN, .app = TELEGRAM, .by_destination = GOOGLE},
	 TELEGRAM,
	 TELEGRAM,
	 L7_CONF_PARTIAL,
	 L7_CONF_PARTIAL},
	{"calls over UDP have a mark of their own",
	 {.raw = L7_CONF_DPI, .payload = true, .app = TELEGRAM},
	 TELEGRAM,
	 TELEGRAM,
	 L7_CONF_DPI,
	 L7_CONF_DPI},

	/* guessed, although there was payload */
	{"random octets to a Telegram address on 443",
	 {GUESSED_IP, .master = TLS, .app = TELEGRAM, .by_destination = TELEGRAM, .port_refuted = true},
	 TELEGRAM,
	 TELEGRAM,
	 L7_CONF_IP,
	 L7_CONF_IP},
	{"the same, TLS not ruled out by nDPI",
	 {GUESSED_IP, .master = TLS, .app = TELEGRAM, .by_destination = TELEGRAM},
	 TELEGRAM,
	 TELEGRAM,
	 L7_CONF_IP,
	 L7_CONF_IP},
	{"a TLS record to a Telegram address, no hello",
	 {GUESSED_IP, .master = TLS, .app = TELEGRAM, .by_destination = TELEGRAM, .tls_record = true},
	 TLS,
	 TELEGRAM,
	 L7_CONF_PARTIAL,
	 L7_CONF_IP},
	{"a TLS record to nobody known",
	 {GUESSED_PORT, .master = TLS, .tls_record = true},
	 TLS,
	 TLS,
	 L7_CONF_PARTIAL,
	 L7_CONF_PARTIAL},
	{"port 443, payload that is no TLS", {GUESSED_PORT, .master = TLS}, NONE, NONE, L7_CONF_NONE, L7_CONF_NONE},
	{"port of RDP, payload refutes it",
	 {GUESSED_PORT, .master = RDP, .port_refuted = true},
	 NONE,
	 NONE,
	 L7_CONF_NONE,
	 L7_CONF_NONE},
	{"port of RDP, nothing speaks against it", {GUESSED_PORT, .master = RDP}, RDP, RDP, L7_CONF_PORT, L7_CONF_PORT},
	{"port and address name the same",
	 {GUESSED_IP, .master = TELEGRAM, .app = TELEGRAM, .by_destination = TELEGRAM},
	 TELEGRAM,
	 TELEGRAM,
	 L7_CONF_IP,
	 L7_CONF_IP},
	{"a host name, but not of what",
	 {GUESSED_IP, .master = TLS, .app = GOOGLE, .by_name = GOOGLE},
	 GOOGLE,
	 GOOGLE,
	 L7_CONF_PARTIAL,
	 L7_CONF_PARTIAL},
	{"a TLS record and a host name",
	 {GUESSED_IP, .master = TLS, .app = GOOGLE, .by_name = GOOGLE, .tls_record = true},
	 TLS,
	 GOOGLE,
	 L7_CONF_PARTIAL,
	 L7_CONF_PARTIAL},

	/* guessed, no payload */
	{"SYN to 443", {.raw = L7_CONF_PORT, .tcp = true, .master = TLS}, TLS, TLS, L7_CONF_PORT, L7_CONF_PORT},
	{"SYN to a Telegram address",
	 {.raw = L7_CONF_PORT, .tcp = true, .master = TLS, .app = TELEGRAM, .by_destination = TELEGRAM},
	 TELEGRAM,
	 TELEGRAM,
	 L7_CONF_IP,
	 L7_CONF_IP},

	/* a rule of the user's */
	{"a rule by host name",
	 {SEEN, .master = TLS, .app = OWN, .custom = true, .by_name = OWN},
	 TLS,
	 OWN,
	 L7_CONF_DPI,
	 L7_CONF_DPI},
	{"a rule by port or address: nDPI has no confidence",
	 {.tcp = true, .payload = true, .app = OWN, .custom = true},
	 OWN,
	 OWN,
	 L7_CONF_DPI,
	 L7_CONF_DPI},
	{"a rule by address on 443, no TLS there",
	 {.tcp = true, .payload = true, .master = TLS, .app = OWN, .custom = true},
	 OWN,
	 OWN,
	 L7_CONF_DPI,
	 L7_CONF_DPI},
	{"a rule by address on 443, a TLS record",
	 {.tcp = true, .payload = true, .tls_record = true, .master = TLS, .app = OWN, .custom = true},
	 TLS,
	 OWN,
	 L7_CONF_PARTIAL,
	 L7_CONF_DPI},
	{"a rule by address, SYN to 443",
	 {.raw = L7_CONF_PORT, .tcp = true, .master = TLS, .app = OWN, .custom = true},
	 TLS,
	 OWN,
	 L7_CONF_PORT,
	 L7_CONF_DPI},
	{"a rule by address, another port",
	 {.tcp = true, .payload = true, .master = RDP, .app = OWN, .custom = true},
	 RDP,
	 OWN,
	 L7_CONF_PORT,
	 L7_CONF_DPI},
};

static void test_judge(void **state)
{
	unsigned wrong = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct judge_case *c = &cases[i];
		struct dpi_evidence e = c->e;
		struct dpi_verdict v = {.risks = 5, .category = 6, .risk_score = 7};

		e.tls = TLS;
		e.telegram = TELEGRAM;
		dpi_judge(&e, &v);
		if (v.master != c->master || v.app != c->app || v.master_confidence != c->master_confidence ||
		    v.confidence != c->confidence) {
			wrong++;
			print_error("%s: %u/%s.%u/%s, not %u/%s.%u/%s\n", c->what, v.master,
				    l7_confidence_name(v.master_confidence), v.app, l7_confidence_name(v.confidence),
				    c->master, l7_confidence_name(c->master_confidence), c->app,
				    l7_confidence_name(c->confidence));
		}
		assert_int_equal(v.risks, 5);
		assert_int_equal(v.category, 6);
		assert_int_equal(v.risk_score, 7);
	}
	assert_int_equal(wrong, 0);
}

/* Over every small evidence there is: names come with a confidence, and no name without one. */
static void test_judge_everything(void **state)
{
	static const uint16_t ids[] = {NONE, TLS, TELEGRAM, GOOGLE};
	unsigned n = 0;

	(void)state;
	for (unsigned bits = 0; bits < 4 * 4 * 4 * 4 * 4 * 32 * 6; bits++) {
		unsigned b = bits / 6;
		struct dpi_evidence e = {.raw = (uint8_t)(bits % 6), .tls = TLS, .telegram = TELEGRAM};
		struct dpi_verdict v = {.risks = 0};

		e.master = ids[b & 3];
		e.app = ids[b >> 2 & 3];
		e.by_name = ids[b >> 4 & 3];
		e.by_source = ids[b >> 6 & 3];
		e.by_destination = ids[b >> 8 & 3];
		e.custom = e.app && b >> 10 & 1;
		e.tcp = b >> 11 & 1;
		e.payload = b >> 12 & 1;
		e.tls_record = b >> 13 & 1;
		e.port_refuted = b >> 14 & 1;
		dpi_judge(&e, &v);
		assert_int_equal(v.app == NONE, v.confidence == L7_CONF_NONE);
		assert_int_equal(v.master == NONE, v.master_confidence == L7_CONF_NONE);
		assert_true(v.confidence < L7_CONF_COUNT && v.master_confidence < L7_CONF_COUNT);
		if (!e.custom && e.raw < L7_CONF_CACHE)
			assert_true(v.confidence < L7_CONF_CACHE && v.master_confidence < L7_CONF_CACHE);
		if (e.by_name == TLS || e.by_source == TLS || e.by_destination == TLS || (e.custom && e.app == TLS))
			continue; /* then it is not from its port */
		if (v.master == TLS && e.payload && !e.tls_record && e.raw < L7_CONF_CACHE)
			fail_msg("TLS from its port, against payload: case %u", bits);
		n++;
	}
	assert_in_range(n, 50000, 196608);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_judge),
		cmocka_unit_test(test_judge_everything),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
