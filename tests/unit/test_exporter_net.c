/* SPDX-License-Identifier: Apache-2.0 */
/* The exporter as it runs: IPFIX over TCP and UDP, to sinks that behave well and badly. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "exporter_rig.h"

#include "base/clock.h"
#include "base/wire.h"
#include "fixbuf_oracle.h"

#define RECORDS_MAX 200000

/* What sinks have received, over all connections: how often each record sequence came. */
struct received {
	uint8_t times[RECORDS_MAX];
	uint64_t distinct, doubles;
	uint64_t messages;
};

static void received_flow(struct oracle *o, void *arg)
{
	struct received *got = arg;
	uint64_t sequence = oracle_number(o, L7_F_recordSequence);

	assert_true(sequence < RECORDS_MAX);
	assert_int_equal(oracle_number(o, L7_F_streamId), 1000);
	assert_int_equal(oracle_number(o, L7_F_flowId), sequence);
	assert_true(oracle_text_is(o, L7_F_applicationName, "TLS.Telegram"));
	if (got->times[sequence]++)
		got->doubles++;
	else
		got->distinct++;
}

static int listen_on(int type, int *port, int buffer)
{
	int fd = rig_bind(type, port, buffer);

	if (type == SOCK_STREAM)
		assert_int_equal(listen(fd, 4), 0);
	return fd;
}

/*
 * Reads one connection to its end, or at most `limit` messages: templates first, sequence numbers as RFC 7011 section 3.1
 * has them, every message readable by libfixbuf. Returns the messages read.
 */
static unsigned sink_connection(int fd, struct received *got, unsigned limit, unsigned pause_us)
{
	uint8_t message[65536];
	struct oracle o;
	unsigned n = 0;

	assert_true(oracle_init(&o, 32473));
	o.flow = received_flow;
	o.arg = got;
	for (size_t len; n < limit && (len = rig_message(fd, message));) {
		if (n == 0)
			assert_int_equal(wire_be16(message + 16), 2); /* a template set */
		assert_int_equal(wire_be32(message + 8), (uint32_t)oracle_records(&o));
		assert_true(oracle_message(&o, message, len));
		n++;
		if (pause_us)
			usleep(pause_us);
	}
	if (n > 2) {
		assert_int_equal(o.apps, 3);
		assert_int_equal(o.domains, 1);
		assert_int_equal(o.interfaces, 1);
		assert_true(o.types > 0 && o.statistics > 0);
	}
	got->messages += n;
	oracle_deinit(&o);
	return n;
}

static void test_tcp(void **state)
{
	struct received *got = calloc(1, sizeof(*got));
	int port = 0, fd, server = listen_on(SOCK_STREAM, &port, 0);
	struct rig g;
	char uri[80];

	(void)state;
	rig_init(&g, 50000);
	snprintf(uri, sizeof(uri), "ipfix+tcp://127.0.0.1:%d", port);
	rig_output(&g, uri);
	rig_start(&g);
	fd = accept(server, NULL, NULL);
	sink_connection(fd, got, UINT32_MAX, 0);
	assert_int_equal(rig_end(&g), 0);
	close(fd);
	close(server);
	assert_int_equal(got->distinct, 50000);
	assert_int_equal(got->doubles, 0);
	assert_int_equal(COUNTER(&g, 0, sent), 50000);
	assert_int_equal(COUNTER(&g, 0, dropped), 0);
	assert_int_equal(COUNTER(&g, 0, reconnects), 0);
	rig_deinit(&g);
	free(got);
}

/* The collector dies three times in the middle, its port closed for a while: nothing is lost but what its own TCP had taken. */
static void test_tcp_restarts(void **state)
{
	struct received *got = calloc(1, sizeof(*got));
	int port = 0, fd = -1, server = listen_on(SOCK_STREAM, &port, 8192);
	struct linger reset = {1, 0};
	const unsigned n = 60000;
	struct rig g;
	char uri[80];

	(void)state;
	rig_init(&g, n);
	snprintf(uri, sizeof(uri), "ipfix+tcp://127.0.0.1:%d?queue=1000000", port);
	rig_output(&g, uri);
	rig_start(&g);
	for (int times = 0; times < 3; times++) {
		fd = accept(server, NULL, NULL);
		assert_int_equal(sink_connection(fd, got, 60, 0), 60);
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
		close(server);
		close(fd);
		usleep(200000);
		server = listen_on(SOCK_STREAM, &port, 8192);
	}
	fd = accept(server, NULL, NULL);
	sink_connection(fd, got, UINT32_MAX, 0);
	assert_int_equal(rig_end(&g), 0);
	close(fd);
	close(server);
	assert_int_equal(COUNTER(&g, 0, reconnects), 3);
	assert_int_equal(COUNTER(&g, 0, dropped), 0);
	rig_check_identity(&g);
	print_message("lost %llu, doubles %llu of %u\n", (unsigned long long)(n - got->distinct),
		      (unsigned long long)got->doubles, n);
	/* Acknowledged but never read: at most three socket buffers (the kernel doubles what is asked for). */
	assert_true((n - got->distinct) * 150 <= 3 * 2 * 65536);
	rig_deinit(&g);
	free(got);
}

/* Slower than the workers: on files everybody waits and nothing is lost, though the queue holds a part only. */
static void test_tcp_slow(void **state)
{
	struct received *got = calloc(1, sizeof(*got));
	int port = 0, fd, server = listen_on(SOCK_STREAM, &port, 8192);
	struct rig g;
	char uri[80];

	(void)state;
	rig_init(&g, 20000);
	snprintf(uri, sizeof(uri), "ipfix+tcp://127.0.0.1:%d?queue=262144", port);
	rig_output(&g, uri);
	rig_start(&g);
	fd = accept(server, NULL, NULL);
	sink_connection(fd, got, UINT32_MAX, 2000);
	assert_int_equal(rig_end(&g), 0);
	close(fd);
	close(server);
	assert_int_equal(got->distinct, 20000);
	assert_int_equal(got->doubles, 0);
	assert_int_equal(COUNTER(&g, 0, dropped), 0);
	rig_deinit(&g);
	free(got);
}

/* Live, towards a peer that never reads: what it did not take is dropped, exactly counted, and the end is bounded. */
static void test_tcp_never_reads(void **state)
{
	int port = 0, server = listen_on(SOCK_STREAM, &port, 8192);
	uint64_t started = clock_mono_ms();
	struct rig g;
	char uri[80];

	(void)state;
	rig_init(&g, 100000);
	snprintf(uri, sizeof(uri), "ipfix+tcp://127.0.0.1:%d?queue=262144", port);
	rig_output(&g, uri);
	rig_output(&g, "json+file:///dev/null");
	g.config.lossless = false;
	g.config.drain_timeout_ms = 500;
	rig_start(&g);
	assert_int_equal(rig_end(&g), 0);
	assert_true(clock_mono_ms() - started < 30000);
	rig_check_identity(&g);
	assert_true(COUNTER(&g, 0, dropped) > 50000);
	assert_int_equal(COUNTER(&g, 1, sent), 100000);
	close(server);
	rig_deinit(&g);
}

/* Nobody there at all, reading a file: it does not hold up the end for ever. */
static void test_tcp_nobody(void **state)
{
	int port = 0, nobody = rig_bind(SOCK_STREAM, &port, 0);
	struct rig g;
	char uri[80];

	(void)state;
	rig_init(&g, 20000);
	snprintf(uri, sizeof(uri), "ipfix+tcp://127.0.0.1:%d?queue=262144", port);
	rig_output(&g, uri);
	g.config.drain_timeout_ms = 300;
	rig_start(&g);
	assert_int_equal(rig_end(&g), 2);
	close(nobody);
	assert_int_equal(COUNTER(&g, 0, dropped), 20000);
	rig_check_identity(&g);
	rig_deinit(&g);
}

static int compare_ms(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* A record on a quiet line: from the ring to the collector without waiting for others, most times at least. */
static void test_tcp_prompt(void **state)
{
	struct received *got = calloc(1, sizeof(*got));
	int port = 0, fd, server = listen_on(SOCK_STREAM, &port, 0);
	uint64_t took[11];
	struct rig g;
	char uri[80], octet;

	(void)state;
	rig_init(&g, 0);
	snprintf(uri, sizeof(uri), "ipfix+tcp://127.0.0.1:%d", port);
	rig_output(&g, uri);
	rig_fork(&g, -1);
	fd = accept(server, NULL, NULL);
	for (int i = 0; i < 11; i++) {
		uint64_t from;
		uint8_t message[65536];

		usleep(100000);
		while (recv(fd, message, sizeof(message), MSG_DONTWAIT) > 0)
			;
		rig_record(ring_reserve(&g.producer), (unsigned)i);
		from = clock_mono_ms();
		ring_commit(&g.producer);
		ring_wake(&g.producer);
		assert_int_equal(recv(fd, &octet, 1, MSG_PEEK), 1);
		took[i] = clock_mono_ms() - from;
	}
	qsort(took, 11, sizeof(took[0]), compare_ms);
	print_message("%llu ms, the median\n", (unsigned long long)took[5]);
	assert_true(took[5] <= 20);
	ring_close(&g.producer);
	while (read(fd, &octet, 1) > 0)
		;
	close(fd);
	close(server);
	assert_int_equal(waitpid(g.child, NULL, 0), g.child);
	assert_int_equal(COUNTER(&g, 0, sent), 11);
	rig_deinit(&g);
	free(got);
}

/* ---- IPFIX over UDP ---- */

/* Paced: as long as the rate asks for, past drain_timeout; templates first and again; no message longer than the path takes. */
static void test_udp(void **state)
{
	struct received *got = calloc(1, sizeof(*got));
	int port = 0, server = listen_on(SOCK_DGRAM, &port, 1 << 20);
	struct timeval patience = {60, 0}, soon = {1, 0};
	unsigned templates = 0;
	uint64_t started = clock_mono_ms();
	uint8_t message[65536];
	struct oracle o;
	struct rig g;
	char uri[120];
	ssize_t len;

	(void)state;
	rig_init(&g, 5000);
	snprintf(uri, sizeof(uri), "ipfix+udp://127.0.0.1:%d?mtu=1000&refresh=1&rate=2000&domain=9", port);
	rig_output(&g, uri);
	g.config.drain_timeout_ms = 300;
	rig_start(&g);
	setsockopt(server, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	assert_true(oracle_init(&o, 32473));
	o.flow = received_flow;
	o.arg = got;
	while ((len = recv(server, message, sizeof(message), 0)) > 0) {
		assert_true(len <= 1000 - 48);
		assert_int_equal(wire_be16(message + 2), len);
		assert_int_equal(wire_be32(message + 12), 9);
		assert_int_equal(wire_be32(message + 8), (uint32_t)oracle_records(&o));
		if (got->messages++ == 0)
			assert_int_equal(wire_be16(message + 16), 2);
		templates += wire_be16(message + 16) == 2;
		assert_true(oracle_message(&o, message, (size_t)len));
		if (got->distinct == 5000)
			setsockopt(server, SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof(soon));
	}
	assert_int_equal(rig_end(&g), 0);
	started = clock_mono_ms() - started;
	assert_int_equal(got->distinct, 5000);
	assert_int_equal(COUNTER(&g, 0, sent), 5000);
	assert_int_equal(COUNTER(&g, 0, dropped), 0);
	assert_true(started >= 2400 && started < 20000);
	assert_true(templates >= 3);
	assert_int_equal(o.apps, 3 * templates);
	oracle_deinit(&o);
	close(server);
	rig_deinit(&g);
	free(got);
}

/* The same over TCP: many short messages, evenly; who waits for their time needs no processor. */
static void test_tcp_rate(void **state)
{
	struct received *got = calloc(1, sizeof(*got));
	int port = 0, fd, status, server = listen_on(SOCK_STREAM, &port, 0);
	uint64_t started = clock_mono_ms();
	struct rusage usage;
	struct rig g;
	char uri[80];

	(void)state;
	rig_init(&g, 3000);
	snprintf(uri, sizeof(uri), "ipfix+tcp://127.0.0.1:%d?rate=1000", port);
	rig_output(&g, uri);
	g.config.drain_timeout_ms = 300;
	g.config.lossless = false;
	rig_start(&g);
	fd = accept(server, NULL, NULL);
	sink_connection(fd, got, UINT32_MAX, 0);
	assert_int_equal(wait4(g.child, &status, 0, &usage), g.child);
	pthread_join(g.thread, NULL);
	close(g.ready);
	started = clock_mono_ms() - started;
	assert_int_equal(status, 0);
	assert_int_equal(got->distinct, 3000);
	assert_int_equal(COUNTER(&g, 0, sent), 3000);
	assert_int_equal(COUNTER(&g, 0, dropped), 0);
	assert_true(COUNTER(&g, 0, messages) >= 30);
	print_message("%llu ms, of the processor %ld\n", (unsigned long long)started,
		      (long)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000 +
			      (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1000);
	assert_true(started >= 2850 && started < 20000);
	assert_true(usage.ru_nvcsw < 20000 && usage.ru_utime.tv_sec + usage.ru_stime.tv_sec < 1);
	close(fd);
	close(server);
	rig_deinit(&g);
	free(got);
}

/* Nobody listens: datagrams are sent all the same, and it is no failure. */
static void test_udp_nobody(void **state)
{
	int port = 0, server = listen_on(SOCK_DGRAM, &port, 0);
	struct rig g;
	char uri[80];

	(void)state;
	close(server);
	rig_init(&g, 1000);
	snprintf(uri, sizeof(uri), "ipfix+udp://127.0.0.1:%d", port);
	rig_output(&g, uri);
	rig_start(&g);
	assert_int_equal(rig_end(&g), 0);
	rig_check_identity(&g);
	rig_deinit(&g);
}

/* Said, not judged: the processor time of the exporter's process for a record, all in. */
static void cost(const char *text)
{
	struct rusage usage;
	struct rig g;
	unsigned n = 200000;
	int status;

	rig_init(&g, n);
	rig_output(&g, text);
	rig_start(&g);
	assert_int_equal(wait4(g.child, &status, 0, &usage), g.child);
	pthread_join(g.thread, NULL);
	print_message("%s: %.0f ns per record\n", g.uris[0].scheme,
		      ((double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e9 +
		       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e3) /
			      n);
	assert_int_equal(COUNTER(&g, 0, sent), n);
	close(g.ready);
	rig_deinit(&g);
}

static void *drain_thread(void *arg)
{
	static char octets[1 << 20];
	int fd = accept(*(int *)arg, NULL, NULL);

	while (read(fd, octets, sizeof(octets)) > 0)
		;
	close(fd);
	return NULL;
}

static void test_cost(void **state)
{
	int port = 0, server = listen_on(SOCK_STREAM, &port, 0);
	pthread_t thread;
	char uri[80];

	(void)state;
	cost("json+file:///dev/null");
	snprintf(uri, sizeof(uri), "ipfix+tcp://127.0.0.1:%d", port);
	assert_int_equal(pthread_create(&thread, NULL, drain_thread, &server), 0);
	cost(uri);
	pthread_join(thread, NULL);
	close(server);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tcp),        cmocka_unit_test(test_tcp_restarts),
		cmocka_unit_test(test_tcp_slow),   cmocka_unit_test(test_tcp_never_reads),
		cmocka_unit_test(test_tcp_nobody), cmocka_unit_test(test_tcp_prompt),
		cmocka_unit_test(test_tcp_rate),   cmocka_unit_test(test_udp),
		cmocka_unit_test(test_udp_nobody), cmocka_unit_test(test_cost),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
