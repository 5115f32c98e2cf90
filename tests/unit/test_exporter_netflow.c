/* SPDX-License-Identifier: Apache-2.0 */
/* The exporter as it runs: NetFlow v9 and v5 over UDP. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "exporter_rig.h"
#include "netflow_decode.h"

/* What came: halves by flow and direction, sums. */
struct received {
	struct decoder d;
	unsigned messages, templates, data; /* `templates`: messages with some; `data`: with flows */
	size_t longest;
	uint64_t octets, packets;
	unsigned names, forward;
	unsigned flows_v6;
};

static int listen_on(int *port)
{
	struct timeval patience = {60, 0};
	int fd;

	*port = 0;
	fd = rig_bind(SOCK_DGRAM, port, 4 << 20);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	return fd;
}

static void take_flow(struct decoder *d, void *arg)
{
	struct received *got = arg;
	const uint8_t *name;
	size_t len;

	got->octets += decode_number(d, 1);
	got->packets += decode_number(d, 2);
	got->flows_v6 += d->now->id % 4 == 1;
	got->forward += decode_number(d, 239) == 1;
	name = decode_octets(d, 96, &len);
	assert_int_equal(len, 32);
	assert_string_equal((const char *)name, "TLS.Telegram");
}

static void take_option(struct decoder *d, void *arg)
{
	struct received *got = arg;

	got->names += d->now->id == 258;
}

/* Reads until `flows` records have come. */
static void receive(int fd, struct received *got, unsigned flows, uint32_t domain)
{
	uint8_t message[65536];

	got->d.flow = take_flow;
	got->d.option = take_option;
	got->d.arg = got;
	while (got->d.records < flows) {
		ssize_t len = recv(fd, message, sizeof(message), 0);

		assert_true(len > 20);
		got->templates += decode_be(message + 20, 2) == 0;
		got->data += decode_be(message + 20, 2) >= 1024;
		got->longest = (size_t)len > got->longest ? (size_t)len : got->longest;
		decode_message(&got->d, message, (size_t)len);
		assert_int_equal(got->d.sequence, got->messages);
		assert_int_equal(got->d.source, domain);
		got->messages++;
	}
}

static struct received *run9(const char *options, unsigned n, uint32_t domain)
{
	struct received *got = calloc(1, sizeof(*got));
	int port, server = listen_on(&port);
	uint64_t octets = 0, packets = 0;
	char uri[160];
	struct rig g;

	rig_init(&g, n);
	snprintf(uri, sizeof(uri), "netflow9+udp://127.0.0.1:%d%s", port, options);
	rig_output(&g, uri);
	rig_start(&g);
	receive(server, got, 2 * n, domain);
	assert_int_equal(rig_end(&g), 0);
	for (unsigned i = 0; i < n; i++) {
		octets += 1000 + i + 100000 + i;
		packets += 10 + i + 90 + i;
	}
	assert_int_equal(got->octets, octets);
	assert_int_equal(got->packets, packets);
	assert_int_equal(got->flows_v6, n); /* both halves of every second one */
	assert_int_equal(got->forward, n);
	assert_int_equal(COUNTER(&g, 0, records), 2 * n);
	assert_int_equal(COUNTER(&g, 0, sent), 2 * n);
	assert_int_equal(COUNTER(&g, 0, dropped), 0);
	rig_check_identity(&g);
	close(server);
	rig_deinit(&g);
	return got;
}

/* Templates first, and again each second; no message longer than the path takes; source id and sequence. */
static void test_netflow9(void **state)
{
	struct received *got = run9("?mtu=1000&refresh=1&rate=4000&domain=9", 5000, 9);

	(void)state;
	assert_true(got->longest <= 1000 - 48 && got->longest > 500);
	assert_true(got->templates >= 3 && got->templates <= 8);
	assert_int_equal(got->names, 3 * got->templates);
	free(got);
}

/* Long before a refresh is due: a receiver that came late waits for a thousand messages at most. */
static void test_netflow9_templates_after(void **state)
{
	struct received *got = run9("?mtu=560&refresh=86400&rate=40000", 3000, 1);

	(void)state;
	assert_true(got->data > 2500);
	assert_int_equal(got->templates, 1 + (got->data - 1) / 1000);
	free(got);
}

/* Sequence counts flows; what has IPv6 is dropped, said and counted, and is no failure. */
static void test_netflow5(void **state)
{
	int port, server = listen_on(&port);
	const unsigned n = 2000;
	uint64_t octets = 0, want = 0;
	uint8_t m[65536];
	unsigned flows = 0;
	char uri[80];
	struct rig g;

	(void)state;
	rig_init(&g, n);
	snprintf(uri, sizeof(uri), "netflow5+udp://127.0.0.1:%d?domain=513", port);
	rig_output(&g, uri);
	rig_start(&g);
	while (flows < n) {
		ssize_t len = recv(server, m, sizeof(m), 0);

		assert_true(len > 24 && len <= 1352);
		assert_int_equal(decode_be(m, 2), 5);
		assert_int_equal(decode_be(m + 16, 4), flows);
		assert_int_equal(decode_be(m + 20, 2), 513);
		for (unsigned i = 0; i < decode_be(m + 2, 2); i++)
			octets += decode_be(m + 24 + 48 * i + 20, 4);
		flows += (unsigned)decode_be(m + 2, 2);
	}
	assert_int_equal(rig_end(&g), 0);
	for (unsigned i = 0; i < n; i += 2)
		want += 1000 + i + 100000 + i;
	assert_int_equal(octets, want);
	assert_int_equal(COUNTER(&g, 0, sent), n);
	assert_int_equal(COUNTER(&g, 0, dropped), n);
	assert_int_equal(COUNTER(&g, 0, dropped_ipv6), n);
	rig_check_identity(&g);
	close(server);
	rig_deinit(&g);
}

/* A record of more than 32 bits goes out as several, and the counters are of what was sent. */
static void make_big(struct l7_record *r, unsigned i)
{
	rig_record(r, i);
	r->octets = UINT64_C(10) << 32;
	r->rev_packets = 0;
}

static void test_netflow5_split(void **state)
{
	int port, server = listen_on(&port);
	uint8_t m[65536];
	char uri[80];
	struct rig g;

	(void)state;
	rig_init(&g, 1);
	g.make = make_big;
	snprintf(uri, sizeof(uri), "netflow5+udp://127.0.0.1:%d", port);
	rig_output(&g, uri);
	rig_start(&g);
	assert_int_equal(recv(server, m, sizeof(m), 0), 24 + 11 * 48);
	assert_int_equal(rig_end(&g), 0);
	assert_int_equal(COUNTER(&g, 0, records), 11);
	assert_int_equal(COUNTER(&g, 0, sent), 11);
	close(server);
	rig_deinit(&g);
}

/* Live the header's time is now and sysUptime this machine's, whatever its flows are of. */
static void make_now(struct l7_record *r, unsigned i)
{
	struct timespec ts;

	rig_record(r, i);
	clock_gettime(CLOCK_REALTIME, &ts);
	r->end_ms = (uint64_t)ts.tv_sec * 1000 - 5000;
	r->start_ms = r->end_ms - 100;
}

static void test_live_time(void **state)
{
	struct received *got = calloc(1, sizeof(*got));
	int port, server = listen_on(&port);
	struct timespec now, up;
	char uri[80];
	struct rig g;

	(void)state;
	rig_init(&g, 1);
	g.config.lossless = false;
	g.make = make_now;
	snprintf(uri, sizeof(uri), "netflow9+udp://127.0.0.1:%d", port);
	rig_output(&g, uri);
	rig_start(&g);
	receive(server, got, 2, 1);
	assert_int_equal(rig_end(&g), 0);
	clock_gettime(CLOCK_REALTIME, &now);
	clock_gettime(CLOCK_BOOTTIME, &up);
	assert_true(got->d.seconds <= (uint64_t)now.tv_sec && got->d.seconds + 4 >= (uint64_t)now.tv_sec);
	if (up.tv_sec > 10 && up.tv_sec < 40 * 86400)
		assert_true(got->d.uptime / 1000 <= (uint64_t)up.tv_sec &&
			    got->d.uptime / 1000 + 5 >= (uint64_t)up.tv_sec);
	close(server);
	rig_deinit(&g);
	free(got);
}

static void test_options(void **state)
{
	static const char *const wrong[][2] = {
		{"netflow5+udp://h?template=iana", "template"},
		{"netflow5+udp://h?refresh=5", "refresh"},
		{"netflow5+udp://h?domain=65536", "65535"},
		{"netflow9+udp://h?app_name=varlen", "app_name"},
		{"netflow9+udp://h?times=now", "uptime or epoch"},
		{"netflow5+udp://h?times=epoch", "times"},
		{"netflow9+udp:-", "host"},
		{"netflow9+tcp://h", "did you mean"},
	};
	static const char *const right[] = {
		"netflow9+udp://"
		"h?template=iana&mtu=1400&refresh=5&rate=7&domain=4000000000&queue=1000000&early=1&times=epoch",
		"netflow5+udp://[2001:db8::1]:9995?mtu=1400&rate=7&domain=65535&queue=1000000&early=1",
	};
	struct uri u;
	char err[256];

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		assert_int_equal(uri_parse(&u, wrong[i][0], err, sizeof(err)), 0);
		assert_true(exporter_check(&u, 1, "standard", err, sizeof(err)) < 0);
		if (!strstr(err, wrong[i][1]))
			fail_msg("%s", err);
		uri_deinit(&u);
	}
	for (size_t i = 0; i < sizeof(right) / sizeof(right[0]); i++) {
		assert_int_equal(uri_parse(&u, right[i], err, sizeof(err)), 0);
		if (exporter_check(&u, 1, "standard", err, sizeof(err)))
			fail_msg("%s", err);
		uri_deinit(&u);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_netflow9),  cmocka_unit_test(test_netflow9_templates_after),
		cmocka_unit_test(test_netflow5),  cmocka_unit_test(test_netflow5_split),
		cmocka_unit_test(test_live_time), cmocka_unit_test(test_options),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
