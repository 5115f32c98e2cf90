/* SPDX-License-Identifier: Apache-2.0 */
/* The way of a record through the daemon's middle. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/addr.h"
#include "base/clock.h"
#include "l7/fields.h"
#include "watch.h"
#include "watch_flow.h"

#define RULES                                                                                                          \
	"version: 1\nrules:\n- {id: 1001, name: Servers, type: allow, severity: critical, match: {host: "              \
	"192.0.2.10},\n"                                                                                               \
	"   allow: {client: [DNS, TLS, SSH], server: [SSH]}}\n"
#define DENY "version: 1\nrules:\n- {id: 7, name: \"No chats\", type: deny, severity: high, match: {app: Telegram}"
#define NOW UINT64_C(1700000000000)

struct fixture {
	struct watch w;
};

/* No outputs: what was raised is counted. */
static void open_watch(struct fixture *f, const char *rules)
{
	const struct watch_options options = {.flush_ms = 5000, .max_flows = 1024, .max_hosts = 1024};
	struct rule_set *set = NULL;
	char err[512];

	memset(f, 0, sizeof(*f));
	if (rules_parse(&set, "r", rules, strlen(rules), (struct rules_warnings){0}, err, sizeof(err)))
		fail_msg("%s", err);
	assert_int_equal(watch_init(&f->w, set, &options, err, sizeof(err)), 0);
	f->w.wall_ms = NOW;
}

static void feed(struct fixture *f, struct flow flow)
{
	struct l7_record r = flow_record(flow);

	assert_true(l7_record_check(&r, l7_record_used(&r)));
	watch_record(&f->w, &r);
}

#define FEED(f, ...) feed(f, (struct flow){__VA_ARGS__})

/* An answer in an earlier record counts for a later one. */
static void test_answered_before(void **state)
{
	struct flow later = {
		.src = "198.51.100.7", .dst = "192.0.2.10", .app = "HTTP", .unanswered = true, .flow_id = 9};
	struct flow first = later;
	struct fixture f;

	(void)state;
	first.unanswered = false;
	first.state = L7_STATE_EARLY;
	open_watch(&f, RULES);
	feed(&f, later);
	assert_int_equal(f.w.alerts.n_raised, 0);
	feed(&f, first); /* not final */
	assert_int_equal(f.w.alerts.n_raised, 0);
	feed(&f, later);
	assert_int_equal(f.w.alerts.n_raised, 1);
	watch_deinit(&f.w);
}

static void test_wrong_clock(void **state)
{
	struct fixture f;

	(void)state;
	open_watch(&f, DENY ", dedup: 10m}\n");
	FEED(&f, .app = "Telegram", .flow_id = 1, .end_ms = NOW + 86400000);
	FEED(&f, .app = "Telegram", .flow_id = 2, .end_ms = NOW - 200000);
	FEED(&f, .app = "Telegram", .flow_id = 3, .end_ms = UINT64_MAX);
	assert_int_equal(f.w.n_skewed, 2); /* the end of time is not long ago */
	assert_int_equal(f.w.alerts.n_raised, 1);
	watch_deinit(&f.w);
}

/* Three flows that were ten minutes apart an hour ago, and come at once. Returns the alerts of a rule that counts in a minute. */
static uint64_t waited(struct fixture *f, int64_t clock_ms)
{
	uint64_t now = clock_wall_ms();
	const struct ipfix_about about = {.exporter = "",
					  .address = "",
					  .via = "tcp",
					  .has = IPFIX_HAS_INIT,
					  .init_ms = 1,
					  .export_ms = now - now % 1000 + (uint64_t)clock_ms};

	open_watch(f, "version: 1\nrules:\n- {id: 7, name: n, type: threshold, severity: high, match: {}, group_by: "
		      "[client], "
		      "count: flows, over: 2, window: 1m}\n");
	f->w.wall_ms = now;
	watch_about(&f->w, &about);
	for (uint64_t i = 0; i < 3; i++)
		FEED(f, .app = "TLS", .flow_id = i + 1, .end_ms = now - 3600000 + 600000 * i);
	return f->w.alerts.n_raised;
}

/* What has waited in a probe's spool is of the time that it says, if the probe's clock is right. */
static void test_waited(void **state)
{
	struct fixture f;

	(void)state;
	assert_int_equal(waited(&f, 0), 0);
	assert_int_equal(f.w.n_skewed, 0);
	FEED(&f, .app = "TLS", .flow_id = 9, .end_ms = clock_wall_ms() + 3600000); /* of the future is nothing */
	FEED(&f, .app = "TLS", .flow_id = 10, .end_ms = 1000);                     /* nor has any waited since 1970 */
	assert_int_equal(f.w.n_skewed, 2);
	watch_deinit(&f.w);
	assert_int_equal(waited(&f, -3600000), 1);
	assert_int_equal(f.w.n_skewed, 3);
	watch_deinit(&f.w);
}

static void feed_tunnelled(struct fixture *f, uint8_t kind, uint64_t sequence)
{
	struct l7_record r = flow_record((struct flow){.src = "2001:db8::77", .dst = "2001:db8:1::1", .app = "TLS"});

	r.tunnel = kind;
	r.stream_id = 5;
	r.record_sequence = sequence;
	addr_parse("192.0.2.10", r.outer_src_ip);
	addr_parse("203.0.113.1", r.outer_dst_ip);
	for (unsigned field = 0; field < L7_FIELD_COUNT; field++)
		if (l7_field_of_tunnel(field))
			l7_mark(&r, (enum l7_field)field);
	l7_mark(&r, L7_F_streamId);
	l7_mark(&r, L7_F_recordSequence);
	assert_true(l7_record_check(&r, l7_record_used(&r)));
	watch_record(&f->w, &r);
}

/* What is inside is allowed; the tunnel is not. A mirror is no tunnel of its ends. */
static void test_tunnel(void **state)
{
	struct fixture f;

	(void)state;
	open_watch(&f, RULES);
	feed_tunnelled(&f, L7_TUNNEL_ERSPAN, 1);
	feed_tunnelled(&f, L7_TUNNEL_TZSP, 2);
	feed_tunnelled(&f, L7_TUNNEL_NONE, 3);
	assert_int_equal(f.w.alerts.n_raised, 0);
	feed_tunnelled(&f, L7_TUNNEL_6IN4, 4);
	assert_int_equal(f.w.alerts.n_raised, 1);
	feed_tunnelled(&f, L7_TUNNEL_6IN4, 5);
	assert_int_equal(f.w.alerts.n_raised, 1);
	feed_tunnelled(&f, L7_TUNNEL_GRE, 6);
	assert_int_equal(f.w.alerts.n_raised, 2);
	assert_int_equal(f.w.n_records, 6);
	watch_deinit(&f.w);
}

/* Each kind has a name, but those that mirror; the record is one that passes for a flow's. */
static void test_tunnel_record(void **state)
{
	struct l7_record r = flow_record((struct flow){.src = "192.0.2.7", .dst = "192.0.2.8", .app = "TLS"}), out;

	(void)state;
	addr_parse("2001:db8::1", r.outer_src_ip);
	addr_parse("2001:db8::2", r.outer_dst_ip);
	l7_mark(&r, L7_F_outerSourceAddress);
	l7_mark(&r, L7_F_outerDestinationAddress);
	r.tunnel = L7_TUNNEL_GRE;
	assert_false(tunnel_record(&r, &out)); /* not said */
	l7_mark(&r, L7_F_tunnelKind);
	for (unsigned kind = 0; kind < L7_TUNNEL_COUNT; kind++) {
		r.tunnel = (uint8_t)kind;
		assert_int_equal(tunnel_record(&r, &out), kind != L7_TUNNEL_NONE && !l7_tunnel_mirrors(kind));
		if (kind == L7_TUNNEL_NONE || l7_tunnel_mirrors(kind))
			continue;
		assert_true(l7_record_check(&out, l7_record_used(&out)));
		assert_int_equal(out.ip_version, 6);
		assert_memory_equal(out.src_ip, r.outer_src_ip, 16);
		assert_memory_equal(out.dst_ip, r.outer_dst_ip, 16);
		assert_true(out.app.len > 0 && out.protocol > 0);
		assert_int_equal(out.octets, r.octets);
		assert_false(l7_has(&out, L7_F_flowId));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answered_before), cmocka_unit_test(test_wrong_clock),
		cmocka_unit_test(test_waited),          cmocka_unit_test(test_tunnel),
		cmocka_unit_test(test_tunnel_record),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
