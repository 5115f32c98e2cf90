/* SPDX-License-Identifier: Apache-2.0 */
/* The exporter as it runs: options, names, files, pipes, and workers that write nonsense. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/leaks.h"
#include "exporter_rig.h"

#include <jansson.h>

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
		{"ipfix+udp://h:1?source=192.0.2.1", NULL},
		{"ipfix+tcp://h:1?source=2001:db8::1&rate=1000", NULL},
		{"ipfix+tcp://h:1?source=eth0", "\"eth0\", not an address"},
		{"json:-?source=192.0.2.1", "unknown option source"},
		{"ipfix+tls://h", "ca=FILE"},
		{"ipfix+tls://h?ca=x", "whole path"},
		{"ipfix+tls://h?ca=/nonexistent/x", "/nonexistent/x: No such file"},
		{"ipfix+tls://h?ca=/nonexistent/x&nmae=y", "did you mean name?"},
		{"ipfix+tls://h?ca=/x&name=", "name= is empty"},
		{"ipfix+tcp://h?ca=/x", "unknown option ca"},
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
		rc = exporter_check(&u, 1, "standard", err, sizeof(err));
		if ((rc == 0) != (cases[i].says == NULL) || (rc && !strstr(err, cases[i].says)))
			fail_msg("%s: %d, %s", cases[i].uri, rc, err);
		uri_deinit(&u);
	}
}

static void test_default_template(void **state)
{
	struct uri u;
	char err[512] = "";

	(void)state;
	assert_int_equal(uri_parse(&u, "ipfix+tcp://h", err, sizeof(err)), 0);
	assert_int_equal(exporter_check(&u, 1, "standart", err, sizeof(err)), -EINVAL);
	assert_non_null(strstr(err, "standart"));
	uri_deinit(&u);
}

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
	rig_record(r, i);
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

/* Records to who takes no early ones and to who does: what either has got, in order. */
static void json_both(struct rig *g, unsigned n, void (*make)(struct l7_record *, unsigned), struct sums *plain,
		      struct sums *early)
{
	char one[] = "/tmp/l7export-XXXXXX", two[] = "/tmp/l7export-XXXXXX", uri[80];

	close(mkstemp(one));
	close(mkstemp(two));
	rig_init(g, n);
	g->make = make;
	snprintf(uri, sizeof(uri), "json+file://%s", one);
	rig_output(g, uri);
	snprintf(uri, sizeof(uri), "json+file://%s?early=1", two);
	rig_output(g, uri);
	rig_start(g);
	assert_int_equal(rig_end(g), 0);
	rig_check_identity(g);
	*plain = json_file(one);
	*early = json_file(two);
	unlink(one);
	unlink(two);
}

static void test_json_early(void **state)
{
	struct sums plain, early;
	struct rig g;

	(void)state;
	json_both(&g, 5000, make_early, &plain, &early);
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
}

static void make_names(struct l7_record *r, unsigned i)
{
	static const struct {
		uint32_t master, app;
	} ids[] = {{91, 185}, {5, 5}, {91, 0}, {0, 185}, {0, 0}, {999999, 185}, {91, 999999}, {7, 8}};

	rig_record(r, i);
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

static void make_risks(struct l7_record *r, unsigned i)
{
	rig_record(r, i);
	r->risks = i ? UINT64_C(1) << 40 | 2 | 4 : 0; /* 2 has no name */
	r->risk_names = (struct l7_text){0, 5};
}

/* Names of risks where they are wanted, and none that a worker makes up. */
static void test_risk_names(void **state)
{
	for (int wanted = 0; wanted < 2; wanted++) {
		char path[] = "/tmp/l7export-XXXXXX", uri[80], line[8192];
		struct rig g;
		FILE *f;

		(void)state;
		close(mkstemp(path));
		rig_init(&g, 2);
		g.make = make_risks;
		snprintf(uri, sizeof(uri), "json+file://%s", path);
		rig_output(&g, uri);
		g.config.wanted[0] = g.config.wanted[1] = wanted ? UINT64_MAX : 0;
		rig_start(&g);
		assert_int_equal(rig_end(&g), 0);
		f = fopen(path, "r");
		assert_non_null(fgets(line, sizeof(line), f));
		assert_null(strstr(line, "risk_names"));
		assert_non_null(fgets(line, sizeof(line), f));
		assert_int_equal(strstr(line, "\"risk_names\":\"Risk One,Risk Forty\"") != NULL, wanted);
		assert_int_equal(strstr(line, "risk_names") != NULL, wanted);
		fclose(f);
		unlink(path);
		rig_deinit(&g);
	}
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
	rig_check_identity(&g);
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

/* A process of a sanitizer build takes 0.2 s to start and to check for leaks. */
#ifdef LEAKS_CHECKED
#define ENDS_ROUNDS 50
#else
#define ENDS_ROUNDS 500
#endif

/* The end of the ring comes at any moment of the exporter's first rounds: it is never slept through. */
static void test_ends_at_once(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ENDS_ROUNDS; i++) {
		struct rig g;

		rig_init(&g, i % 2);
		g.close_us = i * 1500 / ENDS_ROUNDS;
		rig_output(&g, "json+file:///dev/null");
		rig_start(&g);
		alarm(60); /* it would sleep for ever */
		assert_int_equal(rig_end(&g), 0);
		alarm(0);
		rig_deinit(&g);
	}
}

/* Four records of a flow: early, a cut with nothing since, a cut with something, the last with nothing. */
static void make_cut(struct l7_record *r, unsigned i)
{
	static const uint8_t states[] = {L7_STATE_FINAL | L7_STATE_EARLY, L7_STATE_FINAL, L7_STATE_FINAL,
					 L7_STATE_FINAL | L7_STATE_LAST};

	rig_record(r, i);
	r->state = states[i % 4];
	r->octets = r->packets = r->rev_octets = r->rev_packets = 0;
	r->octets = i % 4 == 0 ? 1000 : i % 4 == 2 ? 500 : 0;
	r->packets = r->octets / 100;
	if (i % 4 == 1)
		r->reported = (struct l7_reported){.start_ms = 1, .octets = 1000, .packets = 10};
}

/* Who takes early records gets none that says nothing, and no gap in the sequence in its place. */
static void test_json_empty_cut(void **state)
{
	struct sums plain, early;
	struct rig g;

	(void)state;
	json_both(&g, 400, make_cut, &plain, &early);
	assert_int_equal(plain.lines, 300);
	assert_int_equal(early.lines, 300);
	assert_int_equal(early.early, 100);
	assert_int_equal(plain.octets, 100 * 1500);
	assert_int_equal(early.octets, plain.octets);
	assert_int_equal(early.packets, plain.packets);
	assert_int_equal(COUNTER(&g, 1, records), 300);
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
	rig_check_identity(&g);
	rig_deinit(&g);
}

/* Live, towards a pipe that nobody reads: what it does not take is dropped and counted, the other output gets everything. */
static void test_pipe_never_read(void **state)
{
	struct rig g;
	int fd[2];

	(void)state;
	assert_int_equal(pipe2(fd, O_CLOEXEC), 0);
	rig_init(&g, 100000);
	rig_output(&g, "json:-");
	rig_output(&g, "json+file:///dev/null");
	g.config.lossless = false;
	g.config.drain_timeout_ms = 300;
	g.stdout_fd = fd[1];
	g.pace_us = 500; /* so that the ring is never full for long */
	rig_start(&g);
	assert_int_equal(rig_end(&g), 0);
	close(fd[0]);
	close(fd[1]);
	rig_check_identity(&g);
	assert_true(COUNTER(&g, 0, dropped) > 50000);
	assert_true(COUNTER(&g, 0, sent) > 10);
	assert_int_equal(COUNTER(&g, 1, sent), 100000);
	rig_deinit(&g);
}

/*
 * From a file into a pipe that is read slowly: whole lines, all of them, though the last ones take longer than the drain timeout.
 */
static void test_pipe_slow(void **state)
{
	struct sums s = {0};
	struct rig g;
	char line[8192];
	int fd[2];
	FILE *f;

	(void)state;
	assert_int_equal(pipe2(fd, O_CLOEXEC), 0);
	rig_init(&g, 20000);
	rig_output(&g, "json:-");
	g.config.drain_timeout_ms = 500;
	g.stdout_fd = fd[1];
	rig_start(&g);
	close(fd[1]);
	f = fdopen(fd[0], "r");
	while (fgets(line, sizeof(line), f)) {
		json_line(line, &s);
		if (s.lines % 1000 == 0)
			usleep(150000);
	}
	fclose(f);
	assert_int_equal(rig_end(&g), 0);
	assert_int_equal(s.lines, 20000);
	assert_int_equal(COUNTER(&g, 0, sent), 20000);
	rig_deinit(&g);
}

/* From a file into a pipe that is not read for longer than drain_timeout, as by `| less`: nothing is lost. */
static void test_pipe_paused(void **state)
{
	struct rig g;
	char octets[65536];
	unsigned lines = 0;
	ssize_t n;
	int fd[2];

	(void)state;
	assert_int_equal(pipe2(fd, O_CLOEXEC), 0);
	rig_init(&g, 900);
	rig_output(&g, "json:-");
	g.config.drain_timeout_ms = 100;
	g.stdout_fd = fd[1];
	rig_start(&g);
	close(fd[1]);
	usleep(500000);
	while ((n = read(fd[0], octets, sizeof(octets))) > 0)
		for (ssize_t i = 0; i < n; i++)
			lines += octets[i] == '\n';
	close(fd[0]);
	assert_int_equal(rig_end(&g), 0);
	assert_int_equal(lines, 900);
	assert_int_equal(COUNTER(&g, 0, sent), 900);
	rig_deinit(&g);
}

/* The same, but told to stop: it has drain_timeout then. */
static void test_pipe_stopped(void **state)
{
	struct rig g;
	int fd[2];

	(void)state;
	assert_int_equal(pipe2(fd, O_CLOEXEC), 0);
	rig_init(&g, 900);
	rig_output(&g, "json:-");
	g.config.drain_timeout_ms = 100;
	g.stdout_fd = fd[1];
	rig_start(&g);
	usleep(300000);
	assert_int_equal(waitpid(g.child, NULL, WNOHANG), 0);
	alarm(60); /* it would wait for ever */
	shared_set(&g.shared->stopping, 1);
	assert_int_equal(rig_end(&g), 2);
	alarm(0);
	close(fd[0]);
	close(fd[1]);
	rig_check_identity(&g);
	assert_true(COUNTER(&g, 0, dropped) > 0);
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

/* ---- what is found out only if somebody takes it ---- */

static bool wants(const char *output, const char *template_name, enum l7_field f)
{
	char err[512];
	uint64_t wanted[2] = {UINT64_MAX, UINT64_MAX};
	struct uri u;

	assert_int_equal(uri_parse(&u, output, err, sizeof(err)), 0);
	assert_int_equal(exporter_check(&u, 1, template_name, err, sizeof(err)), 0);
	exporter_wants(&u, 1, template_name, wanted);
	uri_deinit(&u);
	return l7_wants(wanted, f);
}

static void test_wanted(void **state)
{
	(void)state;
	assert_true(wants("text:-", "vlanId", L7_F_dnsQuery));
	assert_true(wants("text:-", "vlanId", L7_F_flowRisk));
	assert_false(wants("text:-", "full", L7_F_interfaceName));
	assert_true(wants("json:-", "vlanId", L7_F_interfaceName));
	assert_true(wants("json:-", "vlanId", L7_F_masterName)); /* not in IPFIX */
	assert_true(wants("ipfix+file:///tmp/x", "standard", L7_F_sourceIPv6Address));
	assert_true(wants("ipfix+file:///tmp/x", "standard", L7_F_tlsServerName));
	assert_false(wants("ipfix+file:///tmp/x", "standard", L7_F_dnsQuery));
	assert_true(wants("ipfix+file:///tmp/x", "full", L7_F_dnsQuery));
	assert_true(wants("ipfix+file:///tmp/x?template=httpHost", "standard", L7_F_httpHost));
	assert_false(wants("ipfix+file:///tmp/x?template=httpHost", "standard", L7_F_tlsServerName));
	/* A record per direction: what is listed is sent of the other one too. */
	assert_false(wants("ipfix+file:///tmp/x?template=octetDeltaCount", "standard", L7_F_reverseIpClassOfService));
	assert_true(wants("ipfix+file:///tmp/x?template=octetDeltaCount,ipClassOfService", "standard",
			  L7_F_reverseIpClassOfService));
	assert_false(wants("ipfix+file:///tmp/x?template=ipClassOfService", "standard", L7_F_reverseIpClassOfService));
}

/* ---- a hostile worker ---- */

static void make_hostile(struct l7_record *r, unsigned i)
{
	rig_record(r, i);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_options),         cmocka_unit_test(test_json_early),
		cmocka_unit_test(test_names),           cmocka_unit_test(test_full_disk),
		cmocka_unit_test(test_no_file),         cmocka_unit_test(test_reader_leaves),
		cmocka_unit_test(test_pipe_never_read), cmocka_unit_test(test_pipe_slow),
		cmocka_unit_test(test_ends_at_once),    cmocka_unit_test(test_text),
		cmocka_unit_test(test_hostile_worker),  cmocka_unit_test(test_default_template),
		cmocka_unit_test(test_json_empty_cut),  cmocka_unit_test(test_pipe_paused),
		cmocka_unit_test(test_pipe_stopped),    cmocka_unit_test(test_wanted),
		cmocka_unit_test(test_risk_names),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
