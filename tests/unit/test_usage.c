/* SPDX-License-Identifier: Apache-2.0 */
/* What hosts spoke, gathered from records and written to the store. */
#include "store_rig.h"

#include "base/log.h"
#include "state/flows.h"
#include "state/usage.h"
#include "watch_flow.h"

#define NOW UINT64_C(1700000000000)

struct fixture {
	struct store *s;
	struct flows flows;
	struct usage u;
	struct rules_input last;
};

static void set_up(struct fixture *f, uint32_t max)
{
	char err[128];

	memset(f, 0, sizeof(*f));
	assert_int_equal(store_open(&f->s, NULL, err, sizeof(err)), 0);
	assert_int_equal(flows_init(&f->flows, 1000), 0);
	assert_int_equal(usage_init(&f->u, f->s, max), 0);
}

static void tear_down(struct fixture *f)
{
	usage_deinit(&f->u);
	flows_deinit(&f->flows);
	store_close(f->s);
}

/* Through the flows, as in the daemon. Of a flow of 5 packets of 100 octets and 4 of 10. */
static void feed(struct fixture *f, struct flow flow)
{
	struct l7_record r = flow_record(flow);

	r.octets = 500;
	r.rev_octets = r.rev_packets * 10;
	flows_take(&f->flows, &r, r.end_ms, &f->last);
	usage_take(&f->u, &f->last);
}
#define FEED(f, ...) feed(f, (struct flow){__VA_ARGS__})

static void assert_rows(struct fixture *f, const char *expected)
{
	struct store_rig_text t;

	usage_save(&f->u, SIZE_MAX);
	t = store_rig_usages(f->s);
	assert_string_equal(t.text, expected);
}

static bool in_192(void *arg, const struct rules_input *in, enum rules_side side)
{
	const uint8_t *ip = side == RULES_CLIENT ? in->record->src_ip : in->record->dst_ip;

	(void)arg;
	return addr_is4(ip) && ip[12] == 192;
}

static void test_both_sides(void **state)
{
	struct fixture f;

	(void)state;
	set_up(&f, 100);
	FEED(&f, .app = "TLS.Telegram", .flow_id = 1);
	FEED(&f, .app = "TLS.Telegram", .flow_id = 2, .src_port = 50001, .end_ms = NOW + 5000);
	FEED(&f, .app = "SSH", .flow_id = 3, .src_port = 50002, .unanswered = true); /* makes nobody a server */
	assert_rows(&f, "192.0.2.10 1 SSH 1700000000000 1700000000000 1 500\n"
			"192.0.2.10 1 TLS.Telegram 1700000000000 1700000005000 2 1080\n"
			"198.51.100.7 2 TLS.Telegram 1700000000000 1700000005000 2 1080\n");
	/* Written once: only what is new comes on top. */
	assert_int_equal(usage_save(&f.u, SIZE_MAX), 0);
	FEED(&f, .app = "TLS.Telegram", .flow_id = 4, .src_port = 50003, .end_ms = NOW - 1000);
	assert_rows(&f, "192.0.2.10 1 SSH 1700000000000 1700000000000 1 500\n"
			"192.0.2.10 1 TLS.Telegram 1699999999000 1700000005000 3 1620\n"
			"198.51.100.7 2 TLS.Telegram 1699999999000 1700000005000 3 1620\n");
	tear_down(&f);
}

static void test_home(void **state)
{
	struct fixture f;

	(void)state;
	set_up(&f, 100);
	usage_home(&f.u, in_192, NULL);
	FEED(&f, .app = "TLS", .flow_id = 1);
	FEED(&f, .app = "SSH", .flow_id = 2, .src = "203.0.113.1", .dst = "192.0.2.20");
	FEED(&f, .app = "SSH", .flow_id = 3, .src = "203.0.113.1", .dst = "198.51.100.7");
	assert_rows(&f, "192.0.2.10 1 TLS 1700000000000 1700000000000 1 540\n"
			"192.0.2.20 2 SSH 1700000000000 1700000000000 1 540\n");
	tear_down(&f);
}

/* Early and later records of a flow are one flow; an answer that comes late counts the server once. */
static void test_flows_once(void **state)
{
	struct fixture f;

	(void)state;
	set_up(&f, 100);
	FEED(&f, .app = "TLS", .flow_id = 1, .state = L7_STATE_FINAL | L7_STATE_EARLY, .unanswered = true);
	FEED(&f, .app = "TLS", .flow_id = 1, .state = L7_STATE_FINAL, .end_ms = NOW + 1000);
	FEED(&f, .app = "TLS", .flow_id = 1, .end_ms = NOW + 2000);
	FEED(&f, .app = "TLS", .flow_id = 1, .end_ms = NOW + 3000, .unanswered = true);
	assert_rows(&f, "192.0.2.10 1 TLS 1700000000000 1700000003000 1 2080\n"
			"198.51.100.7 2 TLS 1700000001000 1700000003000 1 1580\n");
	tear_down(&f);
}

/* A second exporter that sees a flow adds neither flows nor octets; what it knows that the first did not is taken. */
static void test_twins(void **state)
{
	struct l7_record r = flow_record((struct flow){.app = "TLS", .flow_id = 1});
	struct fixture f;
	struct rules_input in = {.record = &r, .now_ms = NOW, .answered = true, .known = true, .twin = true};

	(void)state;
	set_up(&f, 100);
	FEED(&f, .app = "TLS", .flow_id = 1);
	usage_take(&f.u, &in);
	in.packets[1] = 4;
	in.new_octets[0] = 77; /* not looked at */
	usage_take(&f.u, &in);
	r = flow_record((struct flow){.flow_id = 1});
	usage_take(&f.u, &in); /* without a name: no row of Unknown */
	assert_rows(&f, "192.0.2.10 1 TLS 1700000000000 1700000000000 1 540\n"
			"198.51.100.7 2 TLS 1700000000000 1700000000000 1 540\n");
	tear_down(&f);
}

static void test_names(void **state)
{
	static const struct {
		struct flow flow;
		const char *name;
	} cases[] = {
		{{.app = "TLS.Telegram"}, "TLS.Telegram"},
		{{.app = "TLS.Telegram", .sure = "cache"}, "TLS.Telegram"},
		{{.app = "TLS.Telegram", .sure = "ip"}, "TLS"},
		{{.app = "TLS.Telegram", .sure = "ip", .sure_master = "port"}, "Unknown"},
		{{.app = "TLS.Telegram", .sure = "-", .sure_master = "-"}, "TLS.Telegram"},
		{{.app = "SSH", .sure = "port"}, "Unknown"},
		{{.app = "Unknown", .sure = "none"}, "Unknown"},
		{{.app = NULL}, "Unknown"},
		{{.app = "DNS.Telegram"}, "DNS"},
		{{.app = "MDNS.example"}, "MDNS"},
		{{.app = "DNS.Telegram", .sure_master = "port"}, "Unknown"},
		{{.app = "DNS"}, "DNS"},
		{{.app = "X\033[31m\xffY"}, "X?[31m?Y"},
		{{.app = "0123456789012345678901234567890123456789012345678901234567890123456789"},
		 "0123456789012345678901234567890123456789012345678901234567890123"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char expected[256];
		struct fixture f;
		struct flow flow = cases[i].flow;

		set_up(&f, 100);
		flow.unanswered = true;
		feed(&f, flow);
		snprintf(expected, sizeof(expected), "192.0.2.10 1 %s 1700000000000 1700000000000 1 500\n",
			 cases[i].name);
		assert_rows(&f, expected);
		tear_down(&f);
	}
}

/* Far more hosts than there is room for, with some that come again and again: sums are right, and memory is bounded. */
static void test_bounded(void **state)
{
	char ip[32];
	struct fixture f;
	struct store_rig_text t;

	(void)state;
	set_up(&f, 16);
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < 60; i++) {
			snprintf(ip, sizeof(ip), "192.0.2.%u", i);
			FEED(&f, .app = "SSH", .src = ip, .flow_id = 1000 * round + i + 1, .unanswered = true);
			FEED(&f, .app = "SSH", .src = "192.0.2.200", .flow_id = 5000 + 100 * round + i,
			     .unanswered = true);
			if (i % 25 == 24)
				usage_save(&f.u, 3);
		}
	}
	assert_int_equal(f.u.table.n, 16);
	assert_true(f.u.n_early > 100);
	usage_save(&f.u, SIZE_MAX);
	t = store_rig_usages(f.s);
	assert_int_equal(t.n, 61);
	assert_non_null(strstr(t.text, "192.0.2.200 1 SSH 1700000000000 1700000000000 180 90000\n"));
	for (unsigned i = 0; i < 60; i++) {
		char line[96];

		snprintf(line, sizeof(line), "192.0.2.%u 1 SSH 1700000000000 1700000000000 3 1500\n", i);
		assert_non_null(strstr(t.text, line));
	}
	tear_down(&f);
}

/* As many rows as there is room for, the longest waiting first; nothing twice. */
static void test_room(void **state)
{
	struct fixture f;

	(void)state;
	set_up(&f, 100);
	FEED(&f, .app = "A", .src = "192.0.2.1", .unanswered = true, .flow_id = 1);
	FEED(&f, .app = "B", .src = "192.0.2.2", .unanswered = true, .flow_id = 2);
	FEED(&f, .app = "C", .src = "192.0.2.3", .unanswered = true, .flow_id = 3);
	assert_int_equal(usage_save(&f.u, 2), 2);
	assert_int_equal(f.u.n_dirty, 1);
	assert_string_equal(store_rig_usages(f.s).text, "192.0.2.1 1 A 1700000000000 1700000000000 1 500\n"
							"192.0.2.2 1 B 1700000000000 1700000000000 1 500\n");
	FEED(&f, .app = "A", .src = "192.0.2.1", .unanswered = true, .flow_id = 4);
	assert_int_equal(usage_save(&f.u, 1), 1);
	assert_non_null(strstr(store_rig_usages(f.s).text, "192.0.2.3 1 C"));
	assert_int_equal(usage_save(&f.u, 9), 1);
	assert_int_equal(usage_save(&f.u, 9), 0);
	assert_non_null(strstr(store_rig_usages(f.s).text, "192.0.2.1 1 A 1700000000000 1700000000000 2 1000\n"));
	tear_down(&f);
}

static void test_trim(void **state)
{
	struct fixture f;
	char ip[32];

	(void)state;
	set_up(&f, 300);
	for (unsigned i = 0; i < 256; i++) {
		snprintf(ip, sizeof(ip), "192.0.2.%u", i);
		FEED(&f, .app = "SSH", .src = ip, .flow_id = i + 1, .unanswered = true, .end_ms = NOW + i);
	}
	usage_save(&f.u, SIZE_MAX);
	assert_int_equal(usage_trim(&f.u, NOW + 300, 1000, 256), 0);
	/* One too many: some more go, so that it is quiet for a while. */
	FEED(&f, .app = "SSH", .src = "192.0.3.0", .flow_id = 300, .unanswered = true, .end_ms = NOW + 256);
	usage_save(&f.u, SIZE_MAX);
	assert_int_equal(usage_trim(&f.u, NOW + 300, 1000, 256), 3);
	assert_int_equal(store_usage_rows(f.s), 254);
	/* Too old, but that is looked at once in an hour. */
	assert_int_equal(usage_trim(&f.u, NOW + 1010, 1000, 256), 0);
	assert_int_equal(usage_trim(&f.u, NOW + 300 + 3600000, 3600290, 256), 7); /* seen at + 3 ... + 9 */
	assert_int_equal(usage_trim(&f.u, NOW + 9 * UINT64_C(3600000), 0, 256), 0);
	tear_down(&f);
}

/* What lies in memory is gone with a kill, what was saved and committed is not. */
static void test_restart(void **state)
{
	struct store_rig r;
	struct fixture f;

	(void)state;
	set_up(&f, 100);
	store_rig_new(&r);
	store_rig_open(&r);
	f.u.store = r.s;
	FEED(&f, .app = "SSH", .flow_id = 1, .unanswered = true);
	usage_save(&f.u, SIZE_MAX);
	FEED(&f, .app = "RDP", .flow_id = 2, .unanswered = true, .src_port = 50001);
	store_rig_reopen(&r);
	assert_string_equal(store_rig_usages(r.s).text, "192.0.2.10 1 SSH 1700000000000 1700000000000 1 500\n");
	store_rig_remove(&r);
	tear_down(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_both_sides), cmocka_unit_test(test_home),  cmocka_unit_test(test_flows_once),
		cmocka_unit_test(test_twins),      cmocka_unit_test(test_names), cmocka_unit_test(test_bounded),
		cmocka_unit_test(test_room),       cmocka_unit_test(test_trim),  cmocka_unit_test(test_restart),
	};

	log_init("test_usage", LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
