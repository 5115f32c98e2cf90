/* SPDX-License-Identifier: Apache-2.0 */
/* The report of text:-: widths, what of the wire reaches the terminal, bounds, merging. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/utf8.h"
#include "base/quantity.h"
#include "export/report.h"
#include "export/screen_text.h"
#include "record_sample.h"

static const struct exporter_risk risks[] = {[5] = {"Known Protocol on Non Standard Port", 50},
					     [22] = {"Unsafe Protocol", 10},
					     [23] = {"Suspicious DNS Traffic", 100}};
static const struct exporter_names names = {.risks = risks, .n_risks = 24};
static const char *const files[] = {"/tmp/a/telegram.pcap"};

struct rig {
	struct exporter_config config;
	struct report_flows flows;
	struct report report;
	struct buf out;
};

static void rig_init(struct rig *g, unsigned width, size_t max)
{
	memset(g, 0, sizeof(*g));
	assert_int_equal(report_flows_init(&g->flows, max), 0);
	g->config.names = &names;
	g->config.report.files = files;
	g->config.report.n_files = 1;
	g->flows.utf8 = true;
	g->report.config = &g->config;
	g->report.flows = &g->flows;
	g->report.terminal = (struct terminal){.utf8 = true, .bars = true, .width = width};
	buf_init(&g->out, REPORT_OCTETS_MAX);
}

static void rig_deinit(struct rig *g)
{
	report_flows_deinit(&g->flows);
	buf_deinit(&g->out);
}

static const char *rig_print(struct rig *g)
{
	buf_reset(&g->out);
	assert_int_equal(report_print(&g->out, &g->report), 0);
	buf_char(&g->out, '\0');
	assert_false(g->out.failed);
	g->out.len--;
	return g->out.data;
}

/* A whole flow in one record. */
static void record(struct l7_record *r, unsigned i, const char *app, unsigned confidence, const char *host)
{
	record_sample(r, i);
	r->text_len = 0;
	r->sni = r->http_host = r->dns_query = r->category = r->interface = r->exporter = (struct l7_text){0, 0};
	l7_record_set_app(r, app, strlen(app));
	record_sample_text(r, &r->category, L7_F_applicationCategoryName, "Chat");
	if (host)
		record_sample_text(r, &r->sni, L7_F_tlsServerName, host);
	r->confidence = (uint8_t)confidence;
	r->risks = 0;
	r->octets = 1000;
	r->rev_octets = 2000;
	r->packets = r->rev_packets = 5;
}

static void add(struct rig *g, const struct l7_record *r)
{
	report_flows_add(&g->flows, r);
}

/* ---- widths ---- */

/* The widest line in columns, counted here anew: a character is one, what CJK writes two, a colour none. */
static unsigned widest(const char *text)
{
	unsigned most = 0, columns = 0;

	for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
		if (*c == 0x1b)
			while (*c != 'm')
				c++;
		else if (*c == '\n')
			columns = 0;
		else if ((*c & 0xc0) != 0x80)
			columns += *c >= 0xe4 && *c <= 0xed ? 2 : 1;
		if (columns > most)
			most = columns;
	}
	return most;
}

static void add_mixture(struct rig *g, unsigned n)
{
	static const char *const apps[] = {"TLS.Telegram", "DNS",
					   "AVeryLongMasterProtocol.AndAnApplicationAsLongAsThat", "Unknown"};
	static const char *const hosts[] = {
		NULL, "api.telegram.org", "\xe4\xb8\xad\xe6\x96\x87.example",
		"a-label-that-is-very-long.and-another-one-that-is-not-short.under.a.name.example.org"};
	struct l7_record r;

	for (unsigned i = 0; i < n; i++) {
		record(&r, i, apps[i % 4], i % 4 == 3 ? 0 : i % 6, hosts[i / 4 % 4]);
		r.risks = i % 3 ? 0 : UINT64_C(0x800020) | UINT64_C(1) << 57;
		r.octets += (uint64_t)i * i * i * 1000003;
		r.start_ms += i % 7 == 6 ? UINT64_MAX / 2 : i;
		r.end_ms = r.start_ms + (uint64_t)i * 1000 * i;
		if (i % 5 == 4)
			memcpy(r.src_ip, "\x20\x01\x0d\xb8\x11\x11\x22\x22\x33\x33\x44\x44\x55\x55\x66\x66", 16);
		add(g, &r);
	}
}

static void test_widths(void **state)
{
	static const unsigned widths[] = {20, 33, 40, 60, 79, 80, 89, 90, 99, 100, 110, 119, 120, 200, 300};

	(void)state;
	for (size_t i = 0; i < sizeof(widths) / sizeof(widths[0]); i++) {
		struct rig g;

		rig_init(&g, widths[i], 4096);
		add_mixture(&g, 60);
		for (int how = 0; how < 8; how++) {
			unsigned w;

			g.report.terminal.color = how & 1;
			g.report.terminal.utf8 = how & 2;
			g.config.report.all = how & 4;
			w = widest(rig_print(&g));
			if (w > widths[i])
				fail_msg("%u columns of %u:\n%s", w, widths[i], g.out.data);
			assert_true(w * 10 >= widths[i] * 7 || widths[i] > 200);
		}
		rig_deinit(&g);
	}
}

/* The line that begins with, or else has, a text. */
static char *line_with(const char *text, const char *what, char line[512])
{
	const char *at = strstr(text, what), *start = at;

	if (!at)
		fail_msg("no \"%s\" in:\n%s", what, text);
	while (start > text && start[-1] != '\n')
		start--;
	snprintf(line, 512, "%.*s", (int)strcspn(start, "\n"), start);
	return line;
}

static void test_layout(void **state)
{
	char line[512];
	struct l7_record r;
	struct rig g;
	const char *text;

	(void)state;
	rig_init(&g, 120, 4096);
	record(&r, 0, "TLS", L7_CONF_PORT, NULL);
	add(&g, &r);
	record(&r, 1, "TLS.Telegram", L7_CONF_DPI, "api.telegram.org");
	r.octets = 1000000;
	r.risks = 1 << 5;
	add(&g, &r);
	record(&r, 2, "Unknown", L7_CONF_NONE, NULL);
	add(&g, &r);
	text = rig_print(&g);
	assert_int_equal(strncmp(text, "telegram.pcap   2023-", 21), 0);
	assert_non_null(strstr(line_with(text, "telegram.pcap", line), "   30 packets   1.0 MB   3 flows   0 refused"));
	assert_non_null(strstr(line_with(text, "\nTLS? (port)", line), "")); /* a row of its own */
	assert_non_null(strstr(line_with(text, "192.0.2.10:40000", line), "TLS? (port)"));
	assert_non_null(strstr(line, "guess"));
	line_with(text, "[2001:db8::77]:40001", line);
	assert_non_null(strstr(line, "> [2001:"));
	assert_non_null(strstr(line, "dpi"));
	assert_non_null(strstr(line, "! api.telegram.o"));
	assert_true(strstr(text, ":40001") < strstr(text, ":40000")); /* the largest first */
	assert_non_null(strstr(text, "\nsure of 1 flow by payload (dpi), 1 is a guess (?), 1 unknown\n"));
	assert_non_null(strstr(
		text, "\nWorth a look: Known Protocol on Non Standard Port: TLS.Telegram, 2001:db8::77 > [2001:"));
	assert_non_null(strstr(text, "\nNext: l7probe -i eth0"));
	assert_null(strchr(text, 0x1b));
	g.report.terminal.color = true;
	text = rig_print(&g);
	assert_non_null(strstr(text, "\033[31m!\033[0m"));
	assert_non_null(strstr(text, "\033[33mTLS? (port)\033[0m"));
	rig_deinit(&g);
}

/* What is below cache is a guess, by its name, wherever the name stands. */
static void test_guesses(void **state)
{
	static const char *const shown[L7_CONF_COUNT] = {"TLS  ",          "TLS? (port)", "TLS? (ip)",
							 "TLS? (partial)", "TLS  ",       "TLS  "};
	static const char *const sure[L7_CONF_COUNT] = {" - ", " guess ", " guess ", " guess ", " cache ", " dpi "};

	(void)state;
	for (unsigned c = 0; c < L7_CONF_COUNT; c++) {
		char line[512], start[32];
		struct l7_record r;
		struct rig g;

		rig_init(&g, 120, 4096);
		record(&r, 0, "TLS", c, NULL);
		add(&g, &r);
		snprintf(start, sizeof(start), "\n%s", shown[c]);
		assert_non_null(strstr(rig_print(&g), start));
		line_with(g.out.data, ":40000", line);
		assert_non_null(strstr(line, shown[c]));
		assert_non_null(strstr(line, sure[c]));
		assert_true(!strstr(g.out.data, "1 is a guess (?)") == !strchr(shown[c], '?'));
		rig_deinit(&g);
	}
}

/* An address gives way in its middle: what it begins with and the port stay. */
static void test_addresses(void **state)
{
	char line[512];
	struct l7_record r;
	struct rig g;

	(void)state;
	rig_init(&g, 60, 4096);
	record(&r, 1, "TLS", L7_CONF_DPI, "www.example.org");
	memcpy(r.src_ip, "\x20\x01\x0d\xb8\x11\x11\x22\x22\x33\x33\x44\x44\x55\x55\x66\x66", 16);
	add(&g, &r);
	line_with(rig_print(&g), "[2001", line);
	assert_non_null(strstr(line, "]:40001 "));
	assert_non_null(strstr(line, "\xe2\x80\xa6"));
	assert_non_null(strstr(line, "]:443"));
	rig_deinit(&g);
}

/* ---- what comes from the wire ---- */

static void test_clean(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{"www.example.org", "www.example.org"},
		{"a\033[2Jb", "a?[2Jb"}, /* clears the screen */
		{"a\nb\tc\rd\177", "a?b?c?d?"},
		{"a\xc2\x9b"
		 "2J",
		 "a?2J"}, /* CSI as one character */
		{"a\xe2\x80\xae"
		 "b",
		 "a?b"}, /* U+202E, right to left from here */
		{"a\xe2\x81\xa6"
		 "b\xe2\x81\xa9",
		 "a?b?"}, /* U+2066, U+2069 */
		{"a\xe2\x80\x8b"
		 "b\xef\xbb\xbf",
		 "a?b?"},                /* no width */
		{"e\xcc\x81", "e?"},     /* combining */
		{"a\xff\xc3", "a??"},    /* no UTF-8 */
		{"\xed\xa0\x80", "???"}, /* a surrogate */
		{"m\xc3\xbcnchen.de", "m\xc3\xbcnchen.de"},
		{"\xe4\xb8\xad", "\xe4\xb8\xad"},
		{"\xd7\xa9", "?"}, /* Hebrew: it is written from the right */
	};
	char out[64];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t n = screen_clean(out, sizeof(out), cases[i].in, strlen(cases[i].in), true);

		assert_string_equal(out, cases[i].out);
		assert_int_equal(n, strlen(out));
		screen_clean(out, sizeof(out), cases[i].in, strlen(cases[i].in), false);
		for (const char *c = out; *c; c++)
			assert_true(*c >= 0x20 && *c < 0x7f);
	}
	assert_int_equal(screen_clean(out, 4, "ab\xe4\xb8\xad", 5, true), 2); /* never half a character */
	assert_string_equal(out, "ab");
	assert_int_equal(screen_columns("\xe4\xb8\xad.x"), 4);
	screen_cut(out, sizeof(out), "\xe4\xb8\xad\xe4\xb8\xad\xe4\xb8\xad", 4, SCREEN_CUT_END, true);
	assert_string_equal(out, "\xe4\xb8\xad\xe2\x80\xa6");
	screen_cut(out, sizeof(out), "0123456789", 6, SCREEN_CUT_MIDDLE, false);
	assert_string_equal(out, "01..89");
}

/* No octet of a name can do anything: every line is what it was meant to be. */
static void test_hostile_names(void **state)
{
	static const char evil[] = "\033]0;x\007\xe2\x80\xae\n\r\033[1A";
	struct l7_record r;
	struct rig g;
	const char *text;
	size_t lines = 0, n;

	(void)state;
	rig_init(&g, 120, 4096);
	for (unsigned i = 0; i < 3; i++) {
		record(&r, i, "DNS", L7_CONF_DPI, NULL);
		if (i == 1)
			l7_record_set_app(&r, evil, strlen(evil));
		if (i != 1)
			record_sample_text(&r, i ? &r.http_host : &r.dns_query, i ? L7_F_httpHost : L7_F_dnsQuery,
					   evil);
		add(&g, &r);
	}
	text = rig_print(&g);
	n = strlen(text);
	for (size_t i = 0, len; i < n; i += len) {
		len = utf8_sequence((const unsigned char *)text + i, n - i);
		assert_true(len > 0);
		assert_true(len > 1 || text[i] == '\n' || ((unsigned char)text[i] >= 0x20 && text[i] != 0x7f));
		assert_true(len != 3 || memcmp(text + i, "\xe2\x80\xae", 3) != 0);
		lines += text[i] == '\n';
	}
	assert_int_equal(lines, 1 + 1 + 1 + 2 + 1 + 1 + 2 + 3 + 1 + 2);
	rig_deinit(&g);
}

static void test_quantities(void **state)
{
	static const uint64_t values[] = {0, 1, 999, 1000, 999949, 999950, 9999999, 10000000, UINT32_MAX, UINT64_MAX};
	char to[QUANTITY_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		quantity_octets(to, values[i]);
		assert_true(strlen(to) <= 8);
		quantity_count(to, values[i]);
		assert_true(strlen(to) <= 9);
		quantity_duration(to, values[i]);
		assert_true(strlen(to) <= 8);
		quantity_share(to, values[i], values[i] / 2);
		assert_true(strlen(to) <= 7);
	}
	quantity_octets(to, 999950);
	assert_string_equal(to, "1.0 MB");
	quantity_count(to, 1566);
	assert_string_equal(to, "1,566");
	quantity_duration(to, 58804);
	assert_string_equal(to, "58.8 s");
}

/* ---- merging and bounds ---- */

static const struct report_protocol *find(const struct report_sums *s, const char *name)
{
	for (size_t i = 0; i < s->n_protocols; i++)
		if (strcmp(s->protocols[i].name, name) == 0)
			return &s->protocols[i];
	fail_msg("no protocol %s", name);
	return NULL;
}

/* Unknown at first, then early, then the rest, then an end without packets: one flow, under its last name. */
static void test_merge(void **state)
{
	struct report_sums *s = malloc(sizeof(*s));
	struct l7_record r;
	struct rig g;

	(void)state;
	rig_init(&g, 120, 4096);
	record(&r, 0, "Unknown", L7_CONF_NONE, NULL);
	r.state = 0;
	add(&g, &r);
	record(&r, 0, "TLS.Telegram", L7_CONF_DPI, "api.telegram.org");
	r.state = L7_STATE_FINAL | L7_STATE_EARLY;
	r.start_ms += 5000;
	r.end_ms += 5000;
	add(&g, &r);
	record(&r, 0, "TLS.Telegram", L7_CONF_DPI, NULL);
	r.state = L7_STATE_FINAL | L7_STATE_LAST;
	r.packets = r.rev_packets = r.octets = r.rev_octets = r.start_ms = r.end_ms = 0;
	add(&g, &r);
	report_flows_sum(&g.flows, s);
	assert_int_equal(s->flows, 1);
	assert_int_equal(s->packets, 20);
	assert_int_equal(s->octets, 6000);
	assert_int_equal(s->by_confidence[L7_CONF_DPI], 1);
	assert_int_equal(find(s, "TLS.Telegram")->octets, 6000);
	assert_int_equal(find(s, "Unknown")->flows, 0);
	assert_string_equal(g.flows.flows[0].what, "api.telegram.org");
	assert_int_equal(g.flows.flows[0].end_ms - g.flows.flows[0].start_ms, 6500);
	assert_true(g.flows.flows[0].ended);
	assert_null(strstr(rig_print(&g), "Unknown"));
	rig_deinit(&g);
	free(s);
}

/* Far more flows than are kept: sums are right, the largest and those that go on are still there. */
static void test_flow_bound(void **state)
{
	enum { MAX = 2048, FLOWS = 50000 };
	struct report_sums *s = malloc(sizeof(*s));
	struct l7_record r;
	uint32_t *order;
	struct rig g;

	(void)state;
	rig_init(&g, 120, MAX);
	for (unsigned i = 0; i < FLOWS; i++) {
		record(&r, 2 * i, i % 2 ? "DNS" : "TLS", L7_CONF_DPI, NULL);
		r.octets = i % 1000 == 7 ? 1000000 + i : i < 5 ? 50 : 100;
		r.rev_octets = 0;
		r.packets = 1;
		r.rev_packets = 0;
		r.risks = i == 12 ? 1 << 23 : 0;
		r.state = i < 5 ? L7_STATE_FINAL : L7_STATE_FINAL | L7_STATE_LAST;
		add(&g, &r);
		assert_true(g.flows.n <= MAX && g.flows.cap <= MAX);
	}
	for (unsigned i = 0; i < 5; i++) { /* they go on */
		record(&r, 2 * i, i % 2 ? "DNS" : "TLS", L7_CONF_DPI, NULL);
		r.octets = r.rev_octets = r.packets = 0;
		r.rev_packets = 1;
		add(&g, &r);
	}
	report_flows_sum(&g.flows, s);
	assert_int_equal(s->flows, FLOWS);
	assert_int_equal(s->packets, FLOWS + 5);
	assert_int_equal(find(s, "DNS")->flows, FLOWS / 2);
	assert_int_equal(s->by_risk[23], 1);
	assert_int_equal(s->example[23].flow_id, UINT64_C(0xfedcba9876543210) + 24);
	assert_int_equal(g.flows.forgotten + g.flows.n, FLOWS);
	order = report_flows_sorted(&g.flows);
	for (unsigned i = 0; i < FLOWS / 1000; i++)
		assert_int_equal(g.flows.flows[order[i]].octets, 1000000 + FLOWS - 1000 * (i + 1) + 7);
	free(order);
	assert_non_null(strstr(rig_print(&g), " 49,980 more: --all, or"));
	assert_non_null(strstr(g.out.data, "Suspicious DNS Traffic: TLS, 192.0.2.10 > "));
	g.config.report.all = true;
	assert_true(widest(rig_print(&g)) <= 120);
	assert_non_null(strstr(g.out.data, " more: or -o json:- for programs"));
	rig_deinit(&g);
	free(s);
}

static void test_name_bound(void **state)
{
	struct report_sums *s = malloc(sizeof(*s));
	struct l7_record r;
	struct rig g;

	(void)state;
	rig_init(&g, 120, 4096);
	for (unsigned i = 0; i < 1500; i++) {
		char name[16];

		snprintf(name, sizeof(name), "P%u", i);
		record(&r, i, name, L7_CONF_DPI, NULL);
		add(&g, &r);
	}
	report_flows_sum(&g.flows, s);
	assert_int_equal(s->n_protocols, REPORT_PROTOCOLS_MAX);
	assert_int_equal(s->flows, 1500);
	assert_int_equal(s->protocols[REPORT_OTHERS].flows, 1500 - REPORT_PROTOCOLS_MAX + 1);
	assert_non_null(strstr(rig_print(&g), "(other names)"));
	rig_deinit(&g);
	free(s);
}

/* A screen of any height holds it, the cursor below. */
static void test_screen(void **state)
{
	struct rig g;

	(void)state;
	rig_init(&g, 100, 4096);
	add_mixture(&g, 200);
	g.report.screen = true;
	for (unsigned rows = 2; rows < 60; rows++) {
		unsigned lines = 0;

		g.report.terminal.rows = rows;
		for (const char *c = rig_print(&g); *c; c++)
			lines += *c == '\n';
		assert_true(lines < rows);
		assert_true(rows > 30 || lines == rows - 1);
		assert_true(widest(g.out.data) <= 100);
		if (rows >= 18)
			assert_non_null(strstr(g.out.data, "Ctrl-C"));
	}
	rig_deinit(&g);
}

static void test_empty(void **state)
{
	struct rig g;

	(void)state;
	rig_init(&g, 80, 4096);
	assert_string_equal(rig_print(&g),
			    "telegram.pcap   0 packets   0 B   0 flows   0 refused\n\n"
			    "Worth a look: no flow was seen\n"
			    "Next: l7probe -i eth0 (live) \xc2\xb7 -o ipfix+udp://collector:4739 \xc2\xb7 --help\n");
	rig_deinit(&g);
}

/* Of the same flows, in whatever order they come. */
static void test_order(void **state)
{
	struct rig a, b;
	struct l7_record r;

	(void)state;
	rig_init(&a, 120, 4096);
	rig_init(&b, 120, 4096);
	for (unsigned i = 0; i < 100; i++) {
		record(&r, i, i % 3 ? "DNS" : "TLS", L7_CONF_DPI, NULL);
		add(&a, &r);
		record(&r, 99 - i, (99 - i) % 3 ? "DNS" : "TLS", L7_CONF_DPI, NULL);
		add(&b, &r);
	}
	assert_string_equal(rig_print(&a), rig_print(&b));
	rig_deinit(&a);
	rig_deinit(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_widths),     cmocka_unit_test(test_layout), cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_guesses),    cmocka_unit_test(test_clean),  cmocka_unit_test(test_hostile_names),
		cmocka_unit_test(test_quantities), cmocka_unit_test(test_merge),  cmocka_unit_test(test_flow_bound),
		cmocka_unit_test(test_name_bound), cmocka_unit_test(test_screen), cmocka_unit_test(test_empty),
		cmocka_unit_test(test_order),
	};

	setenv("TZ", "UTC", 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
