/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of messages: against brokers that work, refuse, go away and come back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h needs those above it. */
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "kafka/kafka_producer.h"
#include "kafka_rig.h"

static const char *const own[] = {"queue", "format", NULL};

/* ---- URIs ---- */

static void test_check(void **state)
{
	static const struct {
		const char *text, *says; /* NULL: it is fine */
	} cases[] = {
		{"kafka://b1/t", NULL},
		{"kafka://b1:9092,b2:9093,[2001:db8::1]:9092/flows.l7_x-1?format=json", NULL},
		{"kafka://b1/t?rdkafka.security.protocol=SASL_SSL&rdkafka.sasl.password_file=/etc/secret", NULL},
		{"kafka://b1/t?rdkafka.sasl.password_env=SECRET&rdkafka.acks=1", NULL},
		{"kafka://b1/t?rdkafka.linger.ms=50&rdkafka.compression.codec=zstd", NULL},
		{"kafka:///t", "brokers follow the two slashes"},
		{"kafka://b1", "a topic follows the brokers"},
		{"kafka://b1/", "a topic follows the brokers"},
		{"kafka://b1/a/b", "a topic has letters"},
		{"kafka://b1/..", "a topic has letters"},
		{"kafka://b1/t?formt=json", "did you mean format?"},
		{"kafka://b1/t?wrong=1", "those of librdkafka are written rdkafka.NAME=VALUE"},
		{"kafka://b1/t?rdkafka.lingr.ms=1", "did you mean rdkafka.linger.ms?"},
		{"kafka://b1/t?rdkafka.ack=1", "did you mean rdkafka.acks?"},
		{"kafka://b1/t?rdkafka.linger.ms=soon", "linger.ms"},
		{"kafka://b1/t?rdkafka.bootstrap.servers=b", "not for you to set"},
		{"kafka://b1/t?rdkafka.queue.buffering.max.kbytes=9", "the option queue"},
		{"kafka://b1/t?rdkafka.sasl.password_file=secret", "the whole path"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char err[512] = "";
		struct uri u;
		int rc;

		assert_int_equal(uri_parse(&u, cases[i].text, err, sizeof(err)), 0);
		rc = kafka_producer_check(&u, own, err, sizeof(err));
		if (!!rc != !!cases[i].says || (rc && !strstr(err, cases[i].says)))
			fail_msg("%s: %d %s", cases[i].text, rc, err);
		uri_deinit(&u);
	}
}

/* ---- a producer and what it was told ---- */

#define ANSWERS_MAX 100000

struct fixture {
	struct kafka_rig rig;
	struct uri uri;
	struct kafka_producer *p;
	uint64_t acknowledged, lost;
	uint8_t seen[ANSWERS_MAX]; /* by tag */
	bool watched;
	char why[128]; /* of the last one that was lost */
};

static void answered(void *arg, uint64_t tag, size_t len, const char *why)
{
	struct fixture *f = arg;

	assert_true(tag < ANSWERS_MAX && len > 0);
	assert_int_equal(f->seen[tag], 0); /* one answer for each */
	f->seen[tag] = 1;
	f->acknowledged += !why;
	f->lost += why != NULL;
	if (why)
		snprintf(f->why, sizeof(f->why), "%s", why);
}

static void producer(struct fixture *f, const char *brokers, const char *options, size_t queue)
{
	struct kafka_producer_config c = {
		.uri = &f->uri, .name = "out", .client = "test", .queue = queue, .answer = answered};
	char text[512], err[512] = "";

	c.arg = f;
	c.watched = f->watched;
	snprintf(text, sizeof(text), "kafka://%s/flows%s", brokers, options);
	assert_int_equal(uri_parse(&f->uri, text, err, sizeof(err)), 0);
	if (kafka_producer_check(&f->uri, own, err, sizeof(err)) || kafka_producer_new(&f->p, &c, err, sizeof(err)))
		fail_msg("%s", err);
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	*state = f;
	kafka_rig_init(&f->rig, 3);
	rd_kafka_mock_topic_create(f->rig.cluster, "flows", 4, 3);
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	kafka_producer_free(f->p);
	uri_deinit(&f->uri);
	kafka_rig_deinit(&f->rig);
	free(f);
	return 0;
}

/* Message `tag`: its key is one of ten, and its number among those of the key is in it. */
static int put(struct fixture *f, uint64_t tag)
{
	char value[64], key[16];
	struct kafka_message m = {.value = value, .key = key, .tag = tag, .n_headers = 2};

	m.len = (size_t)snprintf(value, sizeof(value), "%llu", (unsigned long long)tag);
	m.key_len = (size_t)snprintf(key, sizeof(key), "k%llu", (unsigned long long)tag % 10);
	m.headers[0] = (struct kafka_header){"format", "json", 4};
	m.headers[1] = (struct kafka_header){"n", value, m.len};
	return kafka_producer_put(f->p, &m);
}

static void run_until(struct fixture *f, uint64_t answers)
{
	uint64_t until = clock_mono_ms() + KAFKA_RIG_MS;

	while (f->acknowledged + f->lost < answers && clock_mono_ms() < until) {
		struct pollfd p;
		int wait = kafka_producer_wait(f->p, clock_mono_ms(), &p);

		(void)poll(&p, 1, wait < 0 || wait > 1000 ? 1000 : wait);
		kafka_producer_step(f->p, clock_mono_ms());
	}
	assert_int_equal(f->acknowledged + f->lost, answers);
}

/* What is in the topic: of each key in order, and how often in all. */
struct content {
	size_t n;
	uint64_t next[10]; /* by key: no tag below has been seen after it */
	bool disorder;
	bool partition_of_key[10][4];
	uint8_t times[ANSWERS_MAX];
};

static void content_message(void *arg, const rd_kafka_message_t *m)
{
	struct content *c = arg;
	char text[64];
	uint64_t tag;
	rd_kafka_headers_t *headers;
	const void *value;
	size_t len;

	snprintf(text, sizeof(text), "%.*s", (int)m->len, (const char *)m->payload);
	tag = strtoull(text, NULL, 10);
	assert_true(tag < ANSWERS_MAX);
	c->n++;
	c->times[tag]++;
	c->disorder |= tag < c->next[tag % 10];
	c->next[tag % 10] = tag + 1;
	c->partition_of_key[tag % 10][m->partition] = true;
	snprintf(text, sizeof(text), "k%llu", (unsigned long long)tag % 10);
	assert_int_equal(m->key_len, strlen(text));
	assert_memory_equal(m->key, text, m->key_len);
	assert_int_equal(rd_kafka_message_headers(m, &headers), 0);
	assert_int_equal(rd_kafka_header_get_last(headers, "format", &value, &len), 0);
	assert_int_equal(len, 4);
	assert_int_equal(rd_kafka_header_get_last(headers, "n", &value, &len), 0);
	assert_int_equal(len, m->len);
}

static struct content *content(struct fixture *f)
{
	struct content *c = calloc(1, sizeof(*c));

	assert_non_null(c);
	(void)kafka_rig_read(&f->rig, "flows", 4, content_message, c);
	return c;
}

static void test_once_in_order(void **state)
{
	struct fixture *f = *state;
	struct content *c;

	producer(f, kafka_rig_brokers(&f->rig), "", 64u << 20);
	for (uint64_t i = 0; i < 20000; i++)
		assert_int_equal(put(f, i), 0);
	run_until(f, 20000);
	assert_int_equal(f->lost, 0);
	assert_int_equal(kafka_producer_pending(f->p), 0);
	assert_true(kafka_producer_room(f->p, (64u << 20) - 4096)); /* all of it is free again */
	c = content(f);
	assert_int_equal(c->n, 20000);
	assert_false(c->disorder);
	for (size_t k = 0; k < 10; k++) /* a key has one partition */
		assert_int_equal(c->partition_of_key[k][0] + c->partition_of_key[k][1] + c->partition_of_key[k][2] +
					 c->partition_of_key[k][3],
				 1);
	free(c);
}

/* Nobody is there: the queue takes what it says, and all is told as lost at the end. */
static void test_full(void **state)
{
	struct fixture *f = *state;
	uint64_t n = 0, refused = 0;

	producer(f, "127.0.0.1:1", "", 1u << 20);
	for (uint64_t i = 0; i < 10000; i++)
		if (put(f, i) == 0)
			n++;
		else
			refused++;
	assert_true(n > 1000 && n < 4000);
	assert_int_equal(n + refused, 10000);
	assert_false(kafka_producer_room(f->p, 1000));
	assert_int_equal(kafka_producer_pending(f->p), n);
	kafka_producer_free(f->p);
	f->p = NULL;
	assert_int_equal(f->lost, n);
	assert_int_equal(f->acknowledged, 0);
}

/* They go away with half of it, and come back. */
static void test_away(void **state)
{
	struct fixture *f = *state;
	struct content *c;

	producer(f, kafka_rig_brokers(&f->rig), "?rdkafka.reconnect.backoff.max.ms=500", 64u << 20);
	for (uint64_t i = 0; i < 10000; i++) {
		assert_int_equal(put(f, i), 0);
		if (i == 5000)
			for (int b = 1; b <= 3; b++)
				rd_kafka_mock_broker_set_down(f->rig.cluster, b);
		if (i == 9000)
			for (int b = 1; b <= 3; b++)
				rd_kafka_mock_broker_set_up(f->rig.cluster, b);
		if (i % 100 == 0)
			kafka_producer_step(f->p, clock_mono_ms());
	}
	run_until(f, 10000);
	assert_int_equal(f->acknowledged, 10000);
	c = content(f);
	for (size_t i = 0; i < 10000; i++)
		assert_true(c->times[i] >= 1); /* these brokers know no doubles; real ones do */
	free(c);
}

static void run_until_up(struct fixture *f, bool up)
{
	uint64_t until = clock_mono_ms() + KAFKA_RIG_MS;

	while (kafka_producer_up(f->p, clock_mono_ms()) != up && clock_mono_ms() < until) {
		struct pollfd p;

		(void)kafka_producer_wait(f->p, clock_mono_ms(), &p);
		(void)poll(&p, 1, 100);
		kafka_producer_step(f->p, clock_mono_ms());
	}
	assert_int_equal(kafka_producer_up(f->p, clock_mono_ms()), up);
}

/* Brokers come and go, without and with messages that wait. */
static void test_up(void **state)
{
	struct fixture *f = *state;

	f->watched = true;
	producer(f, kafka_rig_brokers(&f->rig), "?rdkafka.reconnect.backoff.max.ms=500", 64u << 20);
	assert_false(kafka_producer_up(f->p, clock_mono_ms()));
	for (uint64_t round = 0; round < 2; round++) {
		run_until_up(f, true);
		assert_int_equal(put(f, 2 * round), 0);
		run_until(f, 2 * round + 1);
		for (int b = 1; b <= 3; b++)
			rd_kafka_mock_broker_set_down(f->rig.cluster, b);
		run_until_up(f, false);
		if (round == 1)
			assert_int_equal(put(f, 2 * round + 1), 0);
		for (int b = 1; b <= 3; b++)
			rd_kafka_mock_broker_set_up(f->rig.cluster, b);
		run_until_up(f, true);
		if (round == 0)
			assert_int_equal(put(f, 2 * round + 1), 0);
		run_until(f, 2 * round + 2);
	}
}

/* A message without an answer for long, whatever connections there are. */
static void test_up_stalled(void **state)
{
	struct fixture *f = *state;

	f->watched = true;
	producer(f, kafka_rig_brokers(&f->rig), "", 64u << 20);
	run_until_up(f, true);
	for (int b = 1; b <= 3; b++)
		rd_kafka_mock_broker_set_rtt(f->rig.cluster, b, 500);
	assert_int_equal(put(f, 0), 0);
	assert_true(kafka_producer_up(f->p, clock_mono_ms() + 9000));
	assert_false(kafka_producer_up(f->p, clock_mono_ms() + 10000));
	run_until(f, 1);
	assert_true(kafka_producer_up(f->p, clock_mono_ms() + 10000));
}

/* The right to write is taken away for some requests: what was refused is in the topic all the same. */
static void test_refused_for_now(void **state)
{
	struct fixture *f = *state;
	struct content *c;

	producer(f, kafka_rig_brokers(&f->rig), "", 64u << 20);
	rd_kafka_mock_push_request_errors(
		f->rig.cluster, KAFKA_RIG_PRODUCE, 4, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
		RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
		RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
	for (uint64_t i = 0; i < 2000; i++)
		assert_int_equal(put(f, i), 0);
	run_until(f, 2000);
	assert_int_equal(f->acknowledged, 2000);
	assert_true(kafka_producer_counters(f->p)->again > 0);
	assert_true(kafka_producer_counters(f->p)->errors > 0);
	/* It is over: not one at a time any more, which would take longer than there is. */
	for (uint64_t i = 2000; i < 22000; i++)
		assert_int_equal(put(f, i), 0);
	run_until(f, 22000);
	c = content(f);
	for (size_t i = 0; i < 22000; i++)
		assert_true(c->times[i] >= 1);
	free(c);
}

/* The end comes while all is refused: each has its answer, those that wait too. */
static void test_refused_to_the_end(void **state)
{
	rd_kafka_resp_err_t errors[100];
	struct fixture *f = *state;
	uint64_t until = clock_mono_ms() + KAFKA_RIG_MS;

	for (size_t i = 0; i < 100; i++)
		errors[i] = RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
	rd_kafka_mock_push_request_errors_array(f->rig.cluster, KAFKA_RIG_PRODUCE, 100, errors);
	producer(f, kafka_rig_brokers(&f->rig), "", 64u << 20);
	for (uint64_t i = 0; i < 500; i++)
		assert_int_equal(put(f, i), 0);
	while (!kafka_producer_counters(f->p)->again && clock_mono_ms() < until)
		kafka_producer_step(f->p, clock_mono_ms());
	assert_int_equal(kafka_producer_pending(f->p), 500 - f->acknowledged);
	kafka_producer_free(f->p);
	f->p = NULL;
	assert_int_equal(f->acknowledged + f->lost, 500);
	assert_true(f->lost > 0);
}

/* Brokers and producer disagree for good: another one takes its place. */
static void test_fatal(void **state)
{
	struct fixture *f = *state;
	struct content *c;

	producer(f, kafka_rig_brokers(&f->rig), "", 64u << 20);
	rd_kafka_mock_push_request_errors(f->rig.cluster, KAFKA_RIG_INIT_PRODUCER, 1,
					  RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED);
	for (uint64_t i = 0; i < 2000; i++)
		assert_int_equal(put(f, i), 0);
	run_until(f, 2000);
	assert_int_equal(f->acknowledged, 2000);
	assert_true(kafka_producer_counters(f->p)->again > 0);
	c = content(f);
	assert_int_equal(c->n, 2000);
	assert_false(c->disorder);
	free(c);
}

/* What can never be taken is lost alone. */
static void test_too_large(void **state)
{
	struct fixture *f = *state;
	char *value = calloc(1, 2000);
	struct kafka_message m = {.value = value, .len = 2000};

	producer(f, kafka_rig_brokers(&f->rig), "?rdkafka.message.max.bytes=1500", 64u << 20);
	assert_int_equal(put(f, 1), 0);
	assert_int_equal(kafka_producer_put(f->p, &m), -EMSGSIZE);
	assert_int_equal(put(f, 2), 0);
	run_until(f, 2);
	assert_int_equal(f->acknowledged, 2);
	rd_kafka_mock_push_request_errors(f->rig.cluster, KAFKA_RIG_PRODUCE, 1, RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
	assert_int_equal(put(f, 3), 0);
	run_until(f, 3);
	assert_int_equal(f->lost, 1);
	assert_int_equal(put(f, 4), 0);
	run_until(f, 4);
	assert_int_equal(f->acknowledged, 3);
	assert_int_equal(kafka_producer_counters(f->p)->lost, 2);
	free(value);
}

/* ---- secrets ---- */

static void test_secrets(void **state)
{
	static const char secret[] = "swordfish-7";
	struct fixture *f = *state;
	struct kafka_producer_config c = {
		.uri = &f->uri, .name = "out", .client = "test", .queue = 1u << 20, .answer = answered};
	char path[] = "/tmp/kafka_secretXXXXXX", text[512], err[512] = "";
	int fd = mkstemp(path);

	assert_true(fd >= 0 && write(fd, secret, strlen(secret)) > 0 && write(fd, "\n", 1) == 1);
	close(fd);
	/* What the library refuses is not told: the secret stands in its sentence. */
	snprintf(text, sizeof(text), "kafka://b1/t?rdkafka.security.protocol_file=%s", path);
	assert_int_equal(uri_parse(&f->uri, text, err, sizeof(err)), 0);
	assert_int_equal(kafka_producer_check(&f->uri, own, err, sizeof(err)), 0);
	assert_int_equal(kafka_producer_new(&f->p, &c, err, sizeof(err)), -EINVAL);
	assert_null(strstr(err, secret));
	assert_non_null(strstr(err, path));
	uri_deinit(&f->uri);
	unlink(path);
	snprintf(text, sizeof(text), "kafka://b1/t?rdkafka.sasl.password_file=%s", path);
	assert_int_equal(uri_parse(&f->uri, text, err, sizeof(err)), 0);
	assert_int_equal(kafka_producer_new(&f->p, &c, err, sizeof(err)), -ENOENT);
	uri_deinit(&f->uri);
	unsetenv("KAFKA_NO_SUCH");
	assert_int_equal(uri_parse(&f->uri, "kafka://b1/t?rdkafka.sasl.password_env=KAFKA_NO_SUCH", err, sizeof(err)),
			 0);
	assert_int_equal(kafka_producer_new(&f->p, &c, err, sizeof(err)), -EINVAL);
	assert_non_null(strstr(err, "KAFKA_NO_SUCH"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_check),
		cmocka_unit_test_setup_teardown(test_once_in_order, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_full, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_away, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_up, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_up_stalled, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_refused_for_now, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_refused_to_the_end, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_fatal, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_too_large, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_secrets, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
