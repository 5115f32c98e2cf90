/* SPDX-License-Identifier: Apache-2.0 */
/* The exporter with a spool, killed or without a collector, started again: what a collector has in the end. */
#include <dirent.h>
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

#define RECORDS_MAX 100000
#define RUNS 2
#define WAIT_MS 30000

/* By run (its stream id is 1000 for the first, 2000 for the second) and record sequence: how often it came. */
struct received {
	uint8_t times[RUNS][RECORDS_MAX];
	uint64_t distinct[RUNS], doubles;
	uint64_t newest; /* run and sequence of the newest */
};

static void received_flow(struct oracle *o, void *arg)
{
	struct received *got = arg;
	uint64_t run = oracle_number(o, L7_F_streamId) / 1000 - 1, sequence = oracle_number(o, L7_F_recordSequence);
	uint64_t place = run * RECORDS_MAX + sequence + 1;

	assert_true(run < RUNS && sequence < RECORDS_MAX);
	if (got->times[run][sequence]++) {
		got->doubles++;
		return;
	}
	got->distinct[run]++;
	assert_true(place > got->newest); /* in order, what waited before what is new */
	got->newest = place;
}

/* Reads a connection to its end, which it asks for after `limit` messages: so all that its TCP has taken is read. */
static void sink_connection(int fd, struct received *got, unsigned limit)
{
	uint8_t message[65536];
	struct oracle o;

	assert_true(fd >= 0);
	assert_true(oracle_init(&o, 32473));
	o.flow = received_flow;
	o.arg = got;
	for (size_t len, n = 0; (len = rig_message(fd, message)); n++) {
		if (n == limit)
			shutdown(fd, SHUT_WR);
		assert_int_equal(wire_be32(message + 8), (uint32_t)oracle_records(&o));
		assert_true(oracle_message(&o, message, len));
	}
	oracle_deinit(&o);
	close(fd);
}

static void sink(int server, struct received *got, unsigned limit)
{
	sink_connection(accept(server, NULL, NULL), got, limit);
}

struct place {
	char folder[64];
	char uri[200];
	int server;
	struct received *got;
};

static void place_init(struct place *p, const char *more)
{
	int port = 0;

	strcpy(p->folder, "/tmp/l7spool-XXXXXX");
	assert_non_null(mkdtemp(p->folder));
	p->server = rig_bind(SOCK_STREAM, &port, 0); /* who wants to be connected to listens */
	snprintf(p->uri, sizeof(p->uri), "ipfix+tcp://127.0.0.1:%d?spool=%s%s", port, p->folder, more);
	p->got = calloc(1, sizeof(*p->got));
	assert_non_null(p->got);
}

static void place_deinit(struct place *p)
{
	DIR *d = opendir(p->folder);
	struct dirent *e;

	while (d && (e = readdir(d)))
		unlinkat(dirfd(d), e->d_name, 0);
	if (d)
		closedir(d);
	rmdir(p->folder);
	close(p->server);
	free(p->got);
}

/* Live: what has no room is dropped, nobody waits. */
static void live(struct rig *g, const struct place *p, unsigned run, unsigned n)
{
	rig_init(g, n);
	g->config.lossless = false;
	g->config.stream_id = 1000 * (run + 1);
	rig_output(g, p->uri);
}

static void check_sums(const struct rig *g)
{
	assert_int_equal(COUNTER(g, 0, records) + COUNTER(g, 0, recovered),
			 COUNTER(g, 0, sent) + COUNTER(g, 0, dropped) + COUNTER(g, 0, spooled));
}

#define WAIT_FOR(condition)                                                                                            \
	for (uint64_t end = clock_mono_ms() + WAIT_MS; !(condition); usleep(1000))                                     \
	assert_true(clock_mono_ms() < end)

static void produce(struct rig *g, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		struct l7_record *slot = NULL;

		WAIT_FOR((slot = ring_reserve(&g->producer)));
		rig_record(slot, i);
		ring_commit(&g->producer);
		if (i % 100 < 99)
			continue;
		ring_wake(&g->producer);
		usleep(1000);
	}
	ring_wake(&g->producer);
	WAIT_FOR(COUNTER(g, 0, records) == n);
}

/* All records are made before there is a collector, and the end comes when it is connected to. */
static void late_collector(struct rig *g, struct place *p, unsigned n)
{
	int status, fd;

	live(g, p, 0, 0);
	rig_fork(g, -1);
	produce(g, n);
	assert_int_equal(listen(p->server, 4), 0);
	fd = accept(p->server, NULL, NULL);
	ring_close(&g->producer);
	sink_connection(fd, p->got, UINT32_MAX);
	assert_int_equal(waitpid(g->child, &status, 0), g->child);
	assert_int_equal(status, 0);
	check_sums(g);
	assert_int_equal(COUNTER(g, 0, spooled), 0);
}

/* The collector comes when all records are made: they are more than fit the memory of an output. */
static void test_late_collector(void **state)
{
	struct place p;
	struct rig g;

	(void)state;
	place_init(&p, "&queue=262144");
	late_collector(&g, &p, 50000);
	assert_int_equal(COUNTER(&g, 0, dropped), 0);
	assert_int_equal(COUNTER(&g, 0, sent), 50000);
	assert_int_equal(p.got->distinct[0], 50000);
	assert_int_equal(p.got->doubles, 0);
	rig_deinit(&g);
	place_deinit(&p);
}

/*
 * What has waited comes at the rate, and what is made meanwhile waits its turn behind it: no record is lost and none is early. The
 * exporter sleeps between.
 */
static void test_rate(void **state)
{
	uint64_t started, waited;
	struct rusage usage;
	struct place p;
	struct rig g;
	int status, fd;

	(void)state;
	place_init(&p, "&rate=4000");
	live(&g, &p, 0, 0);
	rig_fork(&g, -1);
	produce(&g, 10000);
	assert_int_equal(listen(p.server, 4), 0);
	fd = accept(p.server, NULL, NULL);
	started = clock_mono_ms();
	ring_close(&g.producer);
	sink_connection(fd, p.got, UINT32_MAX);
	waited = clock_mono_ms() - started;
	assert_int_equal(wait4(g.child, &status, 0, &usage), g.child);
	assert_int_equal(status, 0);
	check_sums(&g);
	assert_int_equal(COUNTER(&g, 0, spooled), 0);
	assert_int_equal(p.got->distinct[0], 10000);
	assert_int_equal(p.got->doubles, 0);
	print_message("%llu ms, of the processor %ld\n", (unsigned long long)waited,
		      (long)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000 +
			      (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1000);
	assert_true(waited >= 2350 && waited < 20000);
	assert_true(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec < 1);
	rig_deinit(&g);
	place_deinit(&p);
}

/* It goes away again and again: what it had not acknowledged comes again, nothing is missing. */
static void test_cut_connections(void **state)
{
	struct place p;
	struct rig g;

	(void)state;
	place_init(&p, "");
	assert_int_equal(listen(p.server, 4), 0);
	live(&g, &p, 0, 50000);
	g.pace_us = 500;
	g.config.drain_timeout_ms = WAIT_MS;
	rig_start(&g);
	for (unsigned i = 0; i < 4; i++)
		sink(p.server, p.got, 20 + 10 * i);
	sink(p.server, p.got, UINT32_MAX);
	assert_int_equal(rig_end(&g), 0);
	check_sums(&g);
	assert_int_equal(COUNTER(&g, 0, dropped), 0);
	assert_int_equal(COUNTER(&g, 0, spooled), 0);
	assert_int_equal(COUNTER(&g, 0, reconnects), 4);
	assert_int_equal(p.got->distinct[0], 50000);
	rig_deinit(&g);
	place_deinit(&p);
}

/* The collector reads nothing and resets the connection: gone is what its own TCP had taken, not what was on the way. */
static void test_reset(void **state)
{
	struct linger reset = {1, 0};
	int status, fd, small = 32768;
	struct place p;
	struct rig g;

	(void)state;
	place_init(&p, "");
	setsockopt(p.server, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	assert_int_equal(listen(p.server, 4), 0);
	live(&g, &p, 0, 0);
	rig_fork(&g, -1);
	fd = accept(p.server, NULL, NULL);
	produce(&g, 50000);
	WAIT_FOR(COUNTER(&g, 0, sent) > 0);
	usleep(300000); /* all is durable, and the socket full */
	assert_true(COUNTER(&g, 0, sent) > 0 && COUNTER(&g, 0, sent) < 1500);
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	close(fd);
	fd = accept(p.server, NULL, NULL);
	ring_close(&g.producer);
	sink_connection(fd, p.got, UINT32_MAX);
	assert_int_equal(waitpid(g.child, &status, 0), g.child);
	check_sums(&g);
	assert_int_equal(COUNTER(&g, 0, sent), 50000);
	assert_true(p.got->distinct[0] > 48500);
	rig_deinit(&g);
	place_deinit(&p);
}

/* kill -9 without a collector; the next one sends what was left, then its own. */
static void test_killed(void **state)
{
	struct place p;
	struct rig g;
	uint64_t kept;
	int status;

	(void)state;
	place_init(&p, "");
	live(&g, &p, 0, 0);
	rig_fork(&g, -1);
	produce(&g, 20000);
	WAIT_FOR(COUNTER(&g, 0, spooled) == 20000);
	usleep(600000); /* three times as long as what may be lost waits */
	assert_int_equal(kill(g.child, SIGKILL), 0);
	assert_int_equal(waitpid(g.child, &status, 0), g.child);
	rig_deinit(&g);

	assert_int_equal(listen(p.server, 4), 0);
	live(&g, &p, 1, 5000);
	rig_start(&g);
	sink(p.server, p.got, UINT32_MAX);
	assert_int_equal(rig_end(&g), 0);
	check_sums(&g);
	kept = COUNTER(&g, 0, recovered);
	assert_int_equal(kept, 20000);
	assert_int_equal(COUNTER(&g, 0, sent), 25000);
	assert_int_equal(p.got->distinct[0], 20000);
	assert_int_equal(p.got->distinct[1], 5000);
	rig_deinit(&g);
	place_deinit(&p);
}

/* Full: the oldest goes, and what is said to be dropped is what does not come. */
static void test_full(void **state)
{
	struct place p;
	struct rig g;

	(void)state;
	place_init(&p, "&spool_size=1048576");
	late_collector(&g, &p, 50000);
	assert_true(COUNTER(&g, 0, dropped) > 10000);
	assert_true(COUNTER(&g, 0, sent) > 1000);
	assert_int_equal(p.got->distinct[0], COUNTER(&g, 0, sent));
	assert_int_equal(p.got->times[0][49999], 1);
	rig_deinit(&g);
	place_deinit(&p);
}

/* Reading files a full spool is waited for. */
static void test_full_of_a_file(void **state)
{
	struct place p;
	struct rig g;

	(void)state;
	place_init(&p, "&spool_size=1048576");
	assert_int_equal(listen(p.server, 4), 0);
	live(&g, &p, 0, 50000);
	g.config.lossless = true;
	rig_start(&g);
	sink(p.server, p.got, UINT32_MAX);
	assert_int_equal(rig_end(&g), 0);
	check_sums(&g);
	assert_int_equal(COUNTER(&g, 0, dropped), 0);
	assert_int_equal(p.got->distinct[0], 50000);
	rig_deinit(&g);
	place_deinit(&p);
}

/* A backlog and no collector: the end is quick, and nothing is lost. */
static void test_ends_without_collector(void **state)
{
	uint64_t began = clock_mono_ms();
	struct place p;
	struct rig g;

	(void)state;
	place_init(&p, "");
	live(&g, &p, 0, 5000);
	g.config.drain_timeout_ms = WAIT_MS;
	rig_start(&g);
	assert_int_equal(rig_end(&g), 0);
	assert_true(clock_mono_ms() - began < WAIT_MS / 2);
	check_sums(&g);
	assert_int_equal(COUNTER(&g, 0, spooled), 5000);
	rig_deinit(&g);
	place_deinit(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_late_collector), cmocka_unit_test(test_cut_connections),
		cmocka_unit_test(test_rate),           cmocka_unit_test(test_reset),
		cmocka_unit_test(test_killed),         cmocka_unit_test(test_full),
		cmocka_unit_test(test_full_of_a_file), cmocka_unit_test(test_ends_without_collector),
	};

	alarm(300); /* a collector that nobody connects to */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
