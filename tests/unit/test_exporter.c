/* SPDX-License-Identifier: Apache-2.0 */
/* The exporter as it runs: a process of its own, records from a ring, sinks that behave well and badly. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/clock.h"
#include "base/wire.h"
#include "exporter.h"
#include "fixbuf_oracle.h"
#include "record_sample.h"

#define RECORDS_MAX 200000
#define SLOTS 1024
#define OUTPUTS_MAX 3

static const char *apps[186] = {[91] = "TLS", [185] = "Telegram", [5] = "DNS"};
static const char *categories[10] = {[9] = "Chat"};
static const struct exporter_names names = {apps, 186, categories, 10};

/* One exporter under test. */
struct rig {
	struct exporter_config config;
	struct uri uris[OUTPUTS_MAX];
	struct shared_exporter *shared;
	void *memory;
	struct ring consumer;
	struct ring producer;
	pid_t child;
	int ready;        /* the parent's end */
	unsigned n;       /* records to produce */
	unsigned pace_us; /* between bursts of 100 */
	void (*make)(struct l7_record *r, unsigned i);
	pthread_t thread;
	int stdout_fd; /* what the child has as standard output, -1 its own */
};

static void make_plain(struct l7_record *r, unsigned i)
{
	record_sample(r, i);
	r->text_len = 0;
	r->app = r->master = r->application = r->category = r->interface = r->exporter = (struct l7_text){0, 0};
	r->http_host = r->dns_query = (struct l7_text){0, 0};
	record_sample_text(r, &r->sni, L7_F_tlsServerName, "api.telegram.org");
	r->flow_id = i;
	r->sampling = 0;
}

static void *produce(void *arg)
{
	struct rig *g = arg;

	for (unsigned i = 0; i < g->n; i++) {
		struct l7_record *slot;

		while (!(slot = ring_reserve(&g->producer)))
			usleep(200);
		g->make(slot, i);
		ring_commit(&g->producer);
		if (i % 100 == 99) {
			ring_wake(&g->producer);
			if (g->pace_us)
				usleep(g->pace_us);
		}
	}
	ring_close(&g->producer);
	return NULL;
}

static void rig_init(struct rig *g, unsigned n)
{
	size_t size = ring_size(SLOTS, sizeof(struct l7_record));
	int event = eventfd(0, EFD_NONBLOCK);

	memset(g, 0, sizeof(*g));
	g->memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	g->shared = mmap(NULL, sizeof(*g->shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(g->memory != MAP_FAILED && (void *)g->shared != MAP_FAILED);
	ring_init(&g->consumer, g->memory, SLOTS, sizeof(struct l7_record), event);
	ring_init(&g->producer, g->memory, SLOTS, sizeof(struct l7_record), event);
	g->config = (struct exporter_config){
		.outputs = g->uris,
		.template_name = "standard",
		.names = &names,
		.rings = &g->consumer,
		.n_rings = 1,
		.shared = g->shared,
		.exporter = "probe1",
		.interface = "eth7",
		.interface_id = 3,
		.stream_id = 1000,
		.domain = 1,
		.pen = 32473,
		.drain_timeout_ms = 3000,
		.lossless = true,
	};
	g->n = n;
	g->make = make_plain;
	g->stdout_fd = -1;
}

static void rig_output(struct rig *g, const char *text)
{
	char err[256];

	if (uri_parse(&g->uris[g->config.n_outputs], text, err, sizeof(err)))
		fail_msg("%s", err);
	if (exporter_check(&g->uris[g->config.n_outputs++], 1, err, sizeof(err)))
		fail_msg("%s", err);
}

/* The exporter in a process of its own, without the test's sockets and pipes: they would stay open in it. */
static pid_t rig_fork(struct rig *g, int ready)
{
	pid_t child;

	fflush(NULL);
	child = fork();
	if (child)
		return child;
	if (g->stdout_fd >= 0)
		dup2(g->stdout_fd, STDOUT_FILENO);
	for (int fd = 3; fd < 64; fd++)
		if (fd != ready && fd != g->consumer.event)
			close(fd);
	exit(exporter_run(&g->config, ready)); /* not _exit(): the leak check runs then */
}

static void rig_start(struct rig *g)
{
	int ready[2];

	assert_int_equal(pipe(ready), 0);
	g->child = rig_fork(g, ready[1]);
	close(ready[1]);
	g->ready = ready[0];
	assert_int_equal(pthread_create(&g->thread, NULL, produce, g), 0);
}

/* The exit status. */
static int rig_end(struct rig *g)
{
	int status;

	assert_int_equal(waitpid(g->child, &status, 0), g->child);
	pthread_join(g->thread, NULL);
	assert_true(WIFEXITED(status));
	close(g->ready);
	return WEXITSTATUS(status);
}

static void rig_deinit(struct rig *g)
{
	for (size_t i = 0; i < g->config.n_outputs; i++)
		uri_deinit(&g->uris[i]);
	close(g->consumer.event);
	munmap(g->memory, ring_size(SLOTS, sizeof(struct l7_record)));
	munmap(g->shared, sizeof(*g->shared));
}

static uint64_t counter(const struct rig *g, size_t output, size_t offset)
{
	return shared_get((const shared_counter *)((const char *)&g->shared->outputs[output] + offset));
}
#define COUNTER(g, output, name) counter(g, output, offsetof(struct shared_output, name))

/* Every output: what was given is sent or dropped, nothing else. */
static void check_identity(const struct rig *g)
{
	for (size_t i = 0; i < g->config.n_outputs; i++)
		assert_int_equal(COUNTER(g, i, records), COUNTER(g, i, sent) + COUNTER(g, i, dropped));
}

/* ---- JSON ---- */

struct sums {
	unsigned lines;
	uint64_t octets, packets, first_start, early;
};

static void json_line(const char *line, struct sums *s)
{
	json_error_t error;
	json_t *j = json_loads(line, 0, &error);
	char sequence[24];

	if (!j)
		fail_msg("%s: %s", line, error.text);
	snprintf(sequence, sizeof(sequence), "%u", s->lines);
	assert_string_equal(json_string_value(json_object_get(j, "record_sequence")), sequence);
	assert_string_equal(json_string_value(json_object_get(j, "exporter")), "probe1");
	assert_string_equal(json_string_value(json_object_get(j, "interface")), "eth7");
	assert_int_equal(json_integer_value(json_object_get(j, "sampling")), 1);
	s->octets += (uint64_t)json_integer_value(json_object_get(j, "octets"));
	s->packets += (uint64_t)json_integer_value(json_object_get(j, "packets"));
	s->early += strstr(json_string_value(json_object_get(j, "state")), "early") != NULL;
	s->lines++;
	json_decref(j);
}

static struct sums json_file(const char *path)
{
	struct sums s = {0};
	FILE *f = fopen(path, "r");
	char line[8192];

	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		json_line(line, &s);
	fclose(f);
	return s;
}

/* Pairs: an early record of a flow, then the last one, which carries what came after. */
static void make_early(struct l7_record *r, unsigned i)
{
	make_plain(r, i);
	r->octets = 1000;
	r->packets = 10;
	if (i % 2 == 0) {
		r->state = L7_STATE_FINAL | L7_STATE_EARLY;
		return;
	}
	r->octets = 500;
	r->packets = 5;
	r->reported = (struct l7_reported){.start_ms = 1, .octets = 1000, .packets = 10, .rev_packets = 1};
}

static void test_json_early(void **state)
{
	char one[] = "/tmp/l7export-XXXXXX", two[] = "/tmp/l7export-XXXXXX", uri[80];
	struct sums plain, early;
	struct rig g;

	(void)state;
	close(mkstemp(one));
	close(mkstemp(two));
	rig_init(&g, 5000);
	g.make = make_early;
	snprintf(uri, sizeof(uri), "json+file://%s", one);
	rig_output(&g, uri);
	snprintf(uri, sizeof(uri), "json+file://%s?early=1", two);
	rig_output(&g, uri);
	rig_start(&g);
	assert_int_equal(rig_end(&g), 0);
	check_identity(&g);
	plain = json_file(one);
	early = json_file(two);
	assert_int_equal(plain.lines, 2500);
	assert_int_equal(plain.early, 0);
	assert_int_equal(early.lines, 5000);
	assert_int_equal(early.early, 2500);
	assert_int_equal(plain.octets, 2500 * 1500);
	assert_int_equal(plain.octets, early.octets);
	assert_int_equal(plain.packets, early.packets);
	assert_int_equal(COUNTER(&g, 0, sent), 2500);
	assert_int_equal(COUNTER(&g, 1, sent), 5000);
	rig_deinit(&g);
	unlink(one);
	unlink(two);
}

static void make_names(struct l7_record *r, unsigned i)
{
	static const struct {
		uint32_t master, app;
	} ids[] = {{91, 185}, {5, 5}, {91, 0}, {0, 185}, {0, 0}, {999999, 185}, {91, 999999}, {7, 8}};

	make_plain(r, i);
	r->master_id = ids[i].master;
	r->app_id = ids[i].app;
}

static void test_names(void **state)
{
	static const char *const want[] = {"TLS.Telegram", "DNS",      "TLS", "Telegram",
					   "Unknown",      "Telegram", "TLS", "Unknown"};
	char path[] = "/tmp/l7export-XXXXXX", uri[80], line[8192], key[64];
	struct rig g;
	FILE *f;

	(void)state;
	close(mkstemp(path));
	rig_init(&g, 8);
	g.make = make_names;
	snprintf(uri, sizeof(uri), "json+file://%s", path);
	rig_output(&g, uri);
	rig_start(&g);
	assert_int_equal(rig_end(&g), 0);
	f = fopen(path, "r");
	for (int i = 0; i < 8; i++) {
		assert_non_null(fgets(line, sizeof(line), f));
		snprintf(key, sizeof(key), "\"app\":\"%s\",", want[i]);
		assert_non_null(strstr(line, key));
	}
	fclose(f);
	unlink(path);
	rig_deinit(&g);
}

static void test_full_disk(void **state)
{
	char path[] = "/tmp/l7export-XXXXXX", uri[80];
	struct rig g;

	(void)state;
	close(mkstemp(path));
	rig_init(&g, 5000);
	rig_output(&g, "json+file:///dev/full");
	snprintf(uri, sizeof(uri), "json+file://%s", path);
	rig_output(&g, uri);
	rig_start(&g);
	assert_int_equal(rig_end(&g), 2);
	check_identity(&g);
	assert_int_equal(COUNTER(&g, 0, sent), 0);
	assert_int_equal(COUNTER(&g, 0, failed), 1);
	assert_int_equal(COUNTER(&g, 1, sent), 5000); /* the other one has nothing to do with it */
	assert_int_equal(json_file(path).lines, 5000);
	unlink(path);
	rig_deinit(&g);
}

static void test_no_file(void **state)
{
	struct rig g;
	char octet;

	(void)state;
	rig_init(&g, 10);
	rig_output(&g, "json+file:///nonexistent/folder/file");
	rig_start(&g);
	assert_int_equal(read(g.ready, &octet, 1), 0); /* never ready */
	assert_int_equal(rig_end(&g), 2);
	rig_deinit(&g);
}

/* A reader that takes some and leaves, as `| head` does; nobody else is there, so the exporter ends early and well. */
static void test_reader_leaves(void **state)
{
	struct rig g;
	char octets[4096];
	int fd[2];

	(void)state;
	assert_int_equal(pipe2(fd, O_CLOEXEC), 0);
	rig_init(&g, 900); /* fits the ring: the producer ends without a consumer */
	rig_output(&g, "json:-");
	g.stdout_fd = fd[1];
	g.pace_us = 20000;
	rig_start(&g);
	close(fd[1]);
	assert_true(read(fd[0], octets, sizeof(octets)) > 0);
	close(fd[0]);
	assert_int_equal(rig_end(&g), 0);
	assert_int_equal(COUNTER(&g, 0, failed), 0);
	check_identity(&g);
	rig_deinit(&g);
}

static void test_text(void **state)
{
	struct rig g;
	char text[65536];
	size_t len = 0;
	ssize_t n;
	int fd[2];

	(void)state;
	assert_int_equal(pipe2(fd, O_CLOEXEC), 0);
	rig_init(&g, 100);
	rig_output(&g, "text:-");
	g.stdout_fd = fd[1];
	rig_start(&g);
	close(fd[1]);
	while ((n = read(fd[0], text + len, sizeof(text) - 1 - len)) > 0)
		len += (size_t)n;
	text[len] = '\0';
	close(fd[0]);
	assert_int_equal(rig_end(&g), 0);
	assert_int_equal(COUNTER(&g, 0, sent), 100); /* the header is no record */
	assert_true(strncmp(text, "TIME ", 5) == 0);
	assert_non_null(strstr(text, "TLS.Telegram"));
	assert_non_null(strstr(text, "192.0.2.10:40000 "));
	assert_non_null(strstr(text, "[2001:db8::77]:40001"));
	assert_non_null(strstr(text, "api.telegram.org\n"));
	rig_deinit(&g);
}

/* ---- a hostile worker ---- */

static void make_hostile(struct l7_record *r, unsigned i)
{
	make_plain(r, i);
	if (i == 3)
		r->text_len = 60000;
	if (i == 4)
		r->sni = (struct l7_text){60000, 10};
	if (i == 5)
		r->confidence = 77;
	if (i == 6)
		r->has[0] = r->has[1] = UINT64_MAX;
}

static void test_hostile_worker(void **state)
{
	struct rig g;

	(void)state;
	rig_init(&g, 10);
	rig_output(&g, "json+file:///dev/null");
	g.make = make_hostile;
	rig_start(&g);
	assert_int_equal(rig_end(&g), 0);
	assert_int_equal(shared_get(&g.shared->refused), 3);
	assert_int_equal(shared_get(&g.shared->records), 7);
	assert_int_equal(COUNTER(&g, 0, sent), 7);
	rig_deinit(&g);
	rig_init(&g, 0);
	rig_output(&g, "json+file:///dev/null");
	atomic_store(&g.consumer.shared->head, UINT64_C(1) << 40); /* a position that cannot be */
	rig_start(&g);
	assert_int_equal(rig_end(&g), 0);
	assert_int_equal(shared_get(&g.shared->refused), 1);
	rig_deinit(&g);
}

/* ---- IPFIX over TCP ---- */

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
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)*port)};
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0), on = 1;

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (buffer)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof(buffer));
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	if (type == SOCK_STREAM)
		assert_int_equal(listen(fd, 4), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	*port = ntohs(a.sin_port);
	return fd;
}

static bool read_exactly(int fd, uint8_t *to, size_t n)
{
	while (n) {
		ssize_t got = read(fd, to, n);

		if (got <= 0)
			return false;
		to += got;
		n -= (size_t)got;
	}
	return true;
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
	while (n < limit && read_exactly(fd, message, 4)) {
		size_t len = wire_be16(message + 2);

		assert_true(len > 16);
		if (!read_exactly(fd, message + 4, len - 4))
			break; /* the connection was cut inside it: it will come whole on the next */
		if (n == 0)
			assert_int_equal(wire_be16(message + 16), 2); /* a template set */
		assert_int_equal(wire_be32(message + 8), (uint32_t)(o.flows + o.apps + o.domains));
		assert_true(oracle_message(&o, message, len));
		n++;
		if (pause_us)
			usleep(pause_us);
	}
	if (n > 2) {
		assert_int_equal(o.apps, 3);
		assert_int_equal(o.domains, 1);
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
	check_identity(&g);
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
	snprintf(uri, sizeof(uri), "ipfix+tcp://127.0.0.1:%d?queue=131072", port);
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
	snprintf(uri, sizeof(uri), "ipfix+tcp://127.0.0.1:%d?queue=131072", port);
	rig_output(&g, uri);
	rig_output(&g, "json+file:///dev/null");
	g.config.lossless = false;
	g.config.drain_timeout_ms = 500;
	rig_start(&g);
	assert_int_equal(rig_end(&g), 0);
	assert_true(clock_mono_ms() - started < 15000);
	check_identity(&g);
	assert_true(COUNTER(&g, 0, dropped) > 50000);
	assert_int_equal(COUNTER(&g, 1, sent), 100000);
	close(server);
	rig_deinit(&g);
}

/* Nobody there at all, reading a file: it does not hold up the end for ever. */
static void test_tcp_nobody(void **state)
{
	int port = 0, server = listen_on(SOCK_STREAM, &port, 0);
	struct rig g;
	char uri[80];

	(void)state;
	close(server);
	rig_init(&g, 20000);
	snprintf(uri, sizeof(uri), "ipfix+tcp://127.0.0.1:%d?queue=131072", port);
	rig_output(&g, uri);
	g.config.drain_timeout_ms = 300;
	rig_start(&g);
	assert_int_equal(rig_end(&g), 0);
	assert_int_equal(COUNTER(&g, 0, dropped), 20000);
	check_identity(&g);
	rig_deinit(&g);
}

/* A record on a quiet line: from the ring to the collector without waiting for others. */
static void test_tcp_prompt(void **state)
{
	struct received *got = calloc(1, sizeof(*got));
	int port = 0, fd, server = listen_on(SOCK_STREAM, &port, 0);
	uint64_t took = 0;
	struct rig g;
	char uri[80], octet;

	(void)state;
	rig_init(&g, 0);
	snprintf(uri, sizeof(uri), "ipfix+tcp://127.0.0.1:%d", port);
	rig_output(&g, uri);
	g.child = rig_fork(&g, -1);
	fd = accept(server, NULL, NULL);
	for (int i = 0; i < 10; i++) {
		uint64_t from;
		uint8_t message[65536];

		usleep(100000);
		while (recv(fd, message, sizeof(message), MSG_DONTWAIT) > 0)
			;
		make_plain(ring_reserve(&g.producer), (unsigned)i);
		from = clock_mono_ms();
		ring_commit(&g.producer);
		ring_wake(&g.producer);
		assert_int_equal(recv(fd, &octet, 1, MSG_PEEK), 1);
		took += clock_mono_ms() - from;
	}
	print_message("%llu ms on average\n", (unsigned long long)took / 10);
	assert_true(took / 10 <= 20);
	ring_close(&g.producer);
	while (read(fd, &octet, 1) > 0)
		;
	close(fd);
	close(server);
	assert_int_equal(waitpid(g.child, NULL, 0), g.child);
	assert_int_equal(COUNTER(&g, 0, sent), 10);
	rig_deinit(&g);
	free(got);
}

/* ---- IPFIX over UDP ---- */

/* Paced: as long as the rate asks for, past drain_timeout; templates first and again; no message longer than the path takes. */
static void test_udp(void **state)
{
	struct received *got = calloc(1, sizeof(*got));
	int port = 0, server = listen_on(SOCK_DGRAM, &port, 1 << 20);
	struct timeval second = {1, 0};
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
	setsockopt(server, SOL_SOCKET, SO_RCVTIMEO, &second, sizeof(second));
	assert_true(oracle_init(&o, 32473));
	o.flow = received_flow;
	o.arg = got;
	while ((len = recv(server, message, sizeof(message), 0)) > 0) {
		assert_true(len <= 1000 - 48);
		assert_int_equal(wire_be16(message + 2), len);
		assert_int_equal(wire_be32(message + 12), 9);
		assert_int_equal(wire_be32(message + 8), (uint32_t)(o.flows + o.apps + o.domains));
		if (got->messages++ == 0)
			assert_int_equal(wire_be16(message + 16), 2);
		templates += wire_be16(message + 16) == 2;
		assert_true(oracle_message(&o, message, (size_t)len));
	}
	assert_int_equal(rig_end(&g), 0);
	started = clock_mono_ms() - started;
	assert_int_equal(got->distinct, 5000);
	assert_int_equal(COUNTER(&g, 0, sent), 5000);
	assert_int_equal(COUNTER(&g, 0, dropped), 0);
	assert_true(started >= 2400 && started < 8000);
	assert_true(templates >= 3);
	assert_int_equal(o.apps, 3 * templates);
	oracle_deinit(&o);
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
	check_identity(&g);
	rig_deinit(&g);
}

/* ---- options ---- */

static void test_options(void **state)
{
	static const struct {
		const char *uri;
		const char *says; /* NULL: right */
	} cases[] = {
		{"text:-", NULL},
		{"json:-?early=1", NULL},
		{"json+file:///tmp/x", NULL},
		{"ipfix+tcp://collector", NULL},
		{"ipfix+tcp://[::1]:4739?early=1&template=standard&domain=7&app_name=fixed32&queue=1000000", NULL},
		{"ipfix+udp://h:1?mtu=1500&refresh=10&rate=1000", NULL},
		{"ipfx+tcp://h", "did you mean ipfix+tcp?"},
		{"ipfix+tcp://h?erly=1", "did you mean early?"},
		{"ipfix+tcp://h?mtu=1400", "unknown option mtu"},
		{"ipfix+tcp://h?early=2", "early"},
		{"ipfix+udp://h?mtu=100", "mtu"},
		{"ipfix+udp://h?template=standart", "did you mean standard"},
		{"ipfix+tcp://h?app_name=short", "app_name"},
		{"ipfix+tcp://", "host"},
		{"ipfix+tcp://h/path", "path"},
		{"json:/tmp/x", "standard output"},
		{"json+file:-", "whole path"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct uri u;
		char err[512] = "";
		int rc;

		assert_int_equal(uri_parse(&u, cases[i].uri, err, sizeof(err)), 0);
		rc = exporter_check(&u, 1, err, sizeof(err));
		if ((rc == 0) != (cases[i].says == NULL) || (rc && !strstr(err, cases[i].says)))
			fail_msg("%s: %d, %s", cases[i].uri, rc, err);
		uri_deinit(&u);
	}
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
		cmocka_unit_test(test_options),    cmocka_unit_test(test_json_early),
		cmocka_unit_test(test_names),      cmocka_unit_test(test_full_disk),
		cmocka_unit_test(test_no_file),    cmocka_unit_test(test_reader_leaves),
		cmocka_unit_test(test_text),       cmocka_unit_test(test_hostile_worker),
		cmocka_unit_test(test_tcp),        cmocka_unit_test(test_tcp_restarts),
		cmocka_unit_test(test_tcp_slow),   cmocka_unit_test(test_tcp_never_reads),
		cmocka_unit_test(test_tcp_nobody), cmocka_unit_test(test_tcp_prompt),
		cmocka_unit_test(test_udp),        cmocka_unit_test(test_udp_nobody),
		cmocka_unit_test(test_cost),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
