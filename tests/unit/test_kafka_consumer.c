/* SPDX-License-Identifier: Apache-2.0 */
/* Members of a group: where they begin, what they tell, what becomes of messages when partitions or brokers come and go. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h needs those above it. */
#include <cmocka.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "kafka/kafka_consumer.h"
#include "kafka_rig.h"

#define TOPIC "flows"
#define PARTITIONS 4
#define MESSAGES_MAX 4096
#define RIG_OFFSET_COMMIT 8 /* Kafka's numbers of requests */
#define RIG_OFFSET_FETCH 9
#define RIG_METADATA 3

static const char *const own[] = {"group", "start", NULL};

struct fixture {
	struct kafka_rig rig;
	rd_kafka_t *producer;
	uint8_t taken[MESSAGES_MAX]; /* by the number in the message, by whoever */
	uint64_t n;                  /* messages taken, doubles too */
};

/* One of a group. */
struct member {
	struct fixture *f;
	struct uri uri;
	struct kafka_consumer *c;
	bool latest;
	bool keeps_nothing;           /* settle says no */
	int64_t known[PARTITIONS];    /* what the owner kept; -1: nothing */
	int64_t was[PARTITIONS];      /* what brokers had then */
	int64_t first[PARTITIONS];    /* offset of the first message; -1: none */
	uint64_t n, settled, largest; /* messages; calls; messages of one step */
};

/* ---- the rig ---- */

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	char why[256];

	kafka_rig_init(&f->rig, 3);
	rd_kafka_mock_topic_create(f->rig.cluster, TOPIC, PARTITIONS, 1);
	rd_kafka_conf_set_log_cb(conf, NULL);
	rd_kafka_conf_set(conf, "bootstrap.servers", kafka_rig_brokers(&f->rig), why, sizeof(why));
	f->producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof(why));
	assert_non_null(f->producer);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	rd_kafka_destroy(f->producer);
	kafka_rig_deinit(&f->rig);
	free(f);
	return 0;
}

/* Messages with the numbers from `from` up to before `to`, to the partitions in turn. */
static void produce(struct fixture *f, unsigned from, unsigned to)
{
	for (unsigned i = from; i < to; i++) {
		char text[16];
		int len = snprintf(text, sizeof(text), "%u", i);

		assert_int_equal(rd_kafka_producev(f->producer, RD_KAFKA_V_TOPIC(TOPIC),
						   RD_KAFKA_V_PARTITION((int32_t)(i % PARTITIONS)),
						   RD_KAFKA_V_VALUE(text, (size_t)len),
						   RD_KAFKA_V_HEADER("number", text, len),
						   RD_KAFKA_V_HEADER("empty", NULL, 0),
						   RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END),
				 0);
	}
	assert_int_equal(rd_kafka_flush(f->producer, KAFKA_RIG_MS), 0);
}

/* What the group has told of a partition; -1: nothing. */
static int64_t told(struct fixture *f, int32_t partition)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	char why[256];
	rd_kafka_t *rk;
	int64_t offset;

	rd_kafka_conf_set_log_cb(conf, NULL);
	rd_kafka_conf_set(conf, "bootstrap.servers", kafka_rig_brokers(&f->rig), why, sizeof(why));
	rd_kafka_conf_set(conf, "group.id", "g", why, sizeof(why));
	rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof(why));
	rd_kafka_topic_partition_list_add(list, TOPIC, partition);
	assert_int_equal(rd_kafka_committed(rk, list, KAFKA_RIG_MS), 0);
	offset = list->elems[0].offset;
	rd_kafka_topic_partition_list_destroy(list);
	rd_kafka_destroy(rk);
	return offset < 0 ? KAFKA_NOWHERE : offset;
}

/* ---- members ---- */

static void take(void *arg, const struct kafka_taken *t)
{
	struct member *m = arg;
	const void *header;
	size_t len;
	unsigned number;

	assert_true(kafka_taken_header(t, "number", &header, &len));
	assert_int_equal(len, t->len);
	assert_memory_equal(header, t->value, len);
	assert_false(kafka_taken_header(t, "empty", &header, &len));
	assert_false(kafka_taken_header(t, "none", &header, &len));
	assert_int_equal(sscanf(t->value, "%u", &number), 1);
	assert_true(number < MESSAGES_MAX && t->partition->id == (int32_t)(number % PARTITIONS));
	assert_true(t->time_ms > UINT64_C(1700000000000));
	m->f->taken[number]++;
	m->f->n++;
	m->n++;
	if (m->first[t->partition->id] < 0)
		m->first[t->partition->id] = t->offset;
}

static bool known(void *arg, int32_t partition, int64_t *next, int64_t *committed)
{
	const struct member *m = arg;

	*next = m->known[partition];
	*committed = m->was[partition];
	return *next >= 0;
}

static bool settle(void *arg)
{
	struct member *m = arg;

	m->settled++;
	if (m->keeps_nothing)
		return false;
	kafka_consumer_note(m->c);
	return true;
}

static void init(struct member *m, struct fixture *f)
{
	*m = (struct member){.f = f};
	for (int i = 0; i < PARTITIONS; i++)
		m->known[i] = m->was[i] = m->first[i] = KAFKA_NOWHERE;
}

static void begin(struct member *m, const char *options)
{
	struct kafka_consumer_config c = {.uri = &m->uri,
					  .name = "in",
					  .client = "test",
					  .group = "g",
					  .latest = m->latest,
					  .take = take,
					  .known = known,
					  .settle = settle,
					  .arg = m};
	char text[512], err[512] = "";

	/*
	 * These brokers wait for a member that may still come for as long as the session may take. What librdkafka asks about the topic
	 * must not come in step with that: an answer while it is about to share partitions out makes it join anew.
	 */
	snprintf(text, sizeof(text),
		 "kafka://%s/" TOPIC "?rdkafka.topic.metadata.refresh.interval.ms=617&rdkafka.session.timeout.ms=4500"
		 "&rdkafka.heartbeat.interval.ms=200%s",
		 kafka_rig_brokers(&m->f->rig), options);
	assert_int_equal(uri_parse(&m->uri, text, err, sizeof(err)), 0);
	if (kafka_consumer_check(&m->uri, own, err, sizeof(err)) || kafka_consumer_new(&m->c, &c, err, sizeof(err)))
		fail_msg("%s", err);
}

static void end(struct member *m)
{
	kafka_consumer_free(m->c);
	uri_deinit(&m->uri);
	m->c = NULL;
}

static void step(struct member *m, int wait)
{
	uint64_t before = m->n;
	struct pollfd p;

	kafka_consumer_wait(m->c, &p);
	(void)poll(&p, 1, wait);
	while (kafka_consumer_step(m->c, clock_mono_ms())) {
		m->largest = m->n - before > m->largest ? m->n - before : m->largest;
		before = m->n;
	}
}

static size_t partitions(const struct member *m)
{
	size_t n = 0;

	while (kafka_consumer_partition(m->c, n))
		n++;
	return n;
}

#define UNTIL(condition, ...)                                                                                          \
	do {                                                                                                           \
		uint64_t until = clock_mono_ms() + KAFKA_RIG_MS;                                                       \
		struct member *all[] = {__VA_ARGS__};                                                                  \
		while (!(condition) && clock_mono_ms() < until)                                                        \
			for (size_t each = 0; each < sizeof(all) / sizeof(all[0]); each++)                             \
				step(all[each], 20);                                                                   \
		assert_true(condition);                                                                                \
	} while (0)

/* ---- where reading begins ---- */

/* A group that is new begins where it is told to, and that is kept at once, whatever becomes of it. */
static void test_latest(void **state)
{
	struct fixture *f = *state;
	struct member m, later;

	produce(f, 0, 40);
	init(&m, f);
	m.latest = true;
	begin(&m, "");
	UNTIL(partitions(&m) == PARTITIONS, &m);
	assert_int_equal(told(f, 0), 10);
	assert_int_equal(told(f, 3), 10);
	m.keeps_nothing = true;
	end(&m);
	produce(f, 40, 44);
	init(&later, f);
	later.latest = true;
	begin(&later, "");
	UNTIL(later.n == 4, &later);
	for (int i = 0; i < PARTITIONS; i++)
		assert_int_equal(later.first[i], 10);
	end(&later);
}

static void test_earliest(void **state)
{
	struct fixture *f = *state;
	struct member m;

	produce(f, 0, 2000);
	init(&m, f);
	begin(&m, "");
	UNTIL(m.n == 2000, &m);
	for (unsigned i = 0; i < 2000; i++)
		assert_int_equal(f->taken[i], 1);
	assert_true(m.largest <= 256); /* of one step: others have their turn */
	assert_int_equal(kafka_consumer_behind(m.c, kafka_consumer_partition(m.c, 1)), 0);
	assert_int_equal(kafka_consumer_counters(m.c)->messages, 2000);
	assert_int_equal(kafka_consumer_counters(m.c)->gone, 0);
	end(&m);
}

/* What was noted and told is not read again; what was taken since is. */
static void test_commit(void **state)
{
	struct fixture *f = *state;
	struct member m, next;

	produce(f, 0, 40);
	init(&m, f);
	begin(&m, "");
	UNTIL(m.n == 40, &m);
	kafka_consumer_note(m.c);
	produce(f, 40, 80);
	UNTIL(m.n == 80, &m);
	assert_int_equal(told(f, 1), KAFKA_NOWHERE); /* noted is not told */
	kafka_consumer_commit(m.c);
	UNTIL(kafka_consumer_partition(m.c, 1)->committed == 10 && kafka_consumer_partition(m.c, 3)->committed == 10,
	      &m);
	assert_int_equal(told(f, 1), 10);
	m.keeps_nothing = true;
	end(&m);
	assert_int_equal(m.settled, 1);
	assert_int_equal(told(f, 1), 10);
	init(&next, f);
	begin(&next, "");
	UNTIL(next.n == 40, &next);
	assert_int_equal(next.first[1], 10);
	end(&next);
	assert_int_equal(told(f, 1), 20); /* it kept all */
	for (unsigned i = 0; i < 80; i++)
		assert_int_equal(f->taken[i], i < 40 ? 1 : 2);
}

/* The owner knows of more than the brokers; but what somebody has set back counts. */
static void test_known(void **state)
{
	struct fixture *f = *state;
	struct member m;

	produce(f, 0, 40);
	init(&m, f);
	begin(&m, "");
	UNTIL(m.n == 40, &m);
	end(&m);
	produce(f, 40, 80);
	init(&m, f);
	m.known[0] = 15; /* kept after the brokers were last told */
	m.was[0] = 10;
	m.known[1] = 5; /* of long ago */
	m.was[1] = 3;
	m.known[2] = 18; /* somebody has set the group back since */
	m.was[2] = 16;
	m.known[3] = 12; /* nobody was told */
	begin(&m, "");
	UNTIL(m.n == 5 + 10 + 10 + 8, &m);
	assert_int_equal(m.first[0], 15);
	assert_int_equal(m.first[1], 10);
	assert_int_equal(m.first[2], 10);
	assert_int_equal(m.first[3], 12);
	end(&m);
}

/* A new group whose owner has kept something of an earlier one: those goes on, others are read from their beginning. */
static void test_known_alone(void **state)
{
	struct fixture *f = *state;
	struct member m;

	produce(f, 0, 40);
	init(&m, f);
	m.latest = true;
	m.known[0] = 7;
	m.was[0] = 5;
	begin(&m, "");
	UNTIL(m.n == 3 + 30, &m);
	assert_int_equal(m.first[0], 7);
	assert_int_equal(m.first[1], 0);
	end(&m);
}

/* An offset that is beyond the end goes on at the earliest there is. */
static void test_beyond(void **state)
{
	struct fixture *f = *state;
	struct member m;

	produce(f, 0, 4);
	init(&m, f);
	m.known[2] = 1000;
	begin(&m, "");
	UNTIL(m.n == 4, &m);
	assert_int_equal(m.first[2], 0);
	assert_int_equal(kafka_consumer_partition(m.c, 2)->next, 1);
	end(&m);
}

/* ---- partitions come and go ---- */

/* Another one joins: it gets half, what the first has read of that is kept and not read again. */
static void test_share(void **state)
{
	struct fixture *f = *state;
	struct member a, b;

	produce(f, 0, 40);
	init(&a, f);
	init(&b, f);
	begin(&a, "");
	UNTIL(a.n == 40, &a);
	begin(&b, "");
	UNTIL(partitions(&b) == 2 && partitions(&a) == 2, &a, &b);
	assert_int_equal(a.settled, 1);
	produce(f, 40, 80);
	UNTIL(f->n == 80, &a, &b);
	assert_int_equal(b.n, 20);
	end(&b);
	produce(f, 80, 120);
	UNTIL(f->n == 120, &a);
	end(&a);
	for (unsigned i = 0; i < 120; i++)
		assert_int_equal(f->taken[i], 1);
	assert_true(kafka_rig_brokers(&f->rig) != NULL);
}

/* The first cannot keep what it has read: the other one reads it again, none is lost. */
static void test_share_unkept(void **state)
{
	struct fixture *f = *state;
	struct member a, b;

	produce(f, 0, 40);
	init(&a, f);
	init(&b, f);
	a.keeps_nothing = true;
	begin(&a, "");
	UNTIL(a.n == 40, &a);
	begin(&b, "");
	UNTIL(partitions(&b) == 2 && partitions(&a) == 2 && b.n == 20, &a, &b);
	end(&b);
	end(&a);
}

/* The old way: all give up all, and get their share. */
static void test_eager(void **state)
{
	struct fixture *f = *state;
	struct member a, b;

	produce(f, 0, 40);
	init(&a, f);
	init(&b, f);
	begin(&a, "&rdkafka.partition.assignment.strategy=range");
	UNTIL(a.n == 40, &a);
	begin(&b, "&rdkafka.partition.assignment.strategy=range");
	UNTIL(partitions(&b) == 2 && partitions(&a) == 2, &a, &b);
	produce(f, 40, 80);
	/* These brokers take no offsets while a group changes, so some is read again; real ones do. */
	for (unsigned i = 40; i < 80; i++)
		UNTIL(f->taken[i] > 0, &a, &b);
	assert_int_equal(a.settled > 0, 1);
	end(&a);
	end(&b);
}

/* ---- what goes wrong ---- */

static void test_topic_errors(void **state)
{
	static const rd_kafka_resp_err_t errors[] = {RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART,
						     RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED};
	struct fixture *f = *state;
	struct member m;

	produce(f, 0, 40);
	for (size_t i = 0; i < 2; i++) {
		uint64_t before = f->n;

		init(&m, f);
		m.keeps_nothing = true;
		rd_kafka_mock_topic_set_error(f->rig.cluster, TOPIC, errors[i]);
		begin(&m, "");
		UNTIL(kafka_consumer_counters(m.c)->errors > 0, &m);
		assert_int_equal(f->n, before);
		rd_kafka_mock_topic_set_error(f->rig.cluster, TOPIC, RD_KAFKA_RESP_ERR_NO_ERROR);
		UNTIL(m.n == 40, &m);
		end(&m);
	}
}

/* No broker answers at first, and later they go away in the middle. */
static void test_brokers_away(void **state)
{
	struct fixture *f = *state;
	struct member m;

	produce(f, 0, 40);
	for (int i = 1; i <= 3; i++)
		rd_kafka_mock_broker_set_down(f->rig.cluster, i);
	init(&m, f);
	begin(&m, "&rdkafka.reconnect.backoff.max.ms=200");
	UNTIL(kafka_consumer_counters(m.c)->errors > 0, &m);
	for (int i = 1; i <= 3; i++)
		rd_kafka_mock_broker_set_up(f->rig.cluster, i);
	UNTIL(m.n == 40, &m);
	for (int i = 1; i <= 3; i++)
		rd_kafka_mock_broker_set_down(f->rig.cluster, i);
	for (int i = 0; i < 20; i++)
		step(&m, 20);
	for (int i = 1; i <= 3; i++)
		rd_kafka_mock_broker_set_up(f->rig.cluster, i);
	produce(f, 40, 80);
	UNTIL(m.n == 80, &m);
	end(&m);
	for (unsigned i = 0; i < 80; i++)
		assert_int_equal(f->taken[i], 1);
}

/* The brokers do not say at first where to begin, and do not take what is told at first. */
static void test_offset_errors(void **state)
{
	struct fixture *f = *state;
	struct member m;

	produce(f, 0, 40);
	rd_kafka_mock_push_request_errors(f->rig.cluster, RIG_OFFSET_FETCH, 2, RD_KAFKA_RESP_ERR_UNKNOWN,
					  RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED);
	init(&m, f);
	begin(&m, "");
	UNTIL(m.n == 40, &m);
	assert_true(kafka_consumer_counters(m.c)->errors >= 2);
	rd_kafka_mock_push_request_errors(f->rig.cluster, RIG_OFFSET_COMMIT, 1,
					  RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED);
	kafka_consumer_note(m.c);
	kafka_consumer_commit(m.c);
	UNTIL(kafka_consumer_counters(m.c)->errors >= 3, &m);
	assert_int_equal(kafka_consumer_partition(m.c, 0)->committed, KAFKA_NOWHERE);
	kafka_consumer_commit(m.c);
	UNTIL(kafka_consumer_partition(m.c, 0)->committed == 10, &m);
	end(&m);
	assert_int_equal(told(f, 0), 10);
}

/* It ends before it has begun: neither waits for long. */
static void test_early_end(void **state)
{
	struct fixture *f = *state;
	struct member m;
	uint64_t began = clock_mono_ms();

	init(&m, f);
	begin(&m, "");
	end(&m);
	init(&m, f);
	begin(&m, "");
	rd_kafka_mock_push_request_errors(f->rig.cluster, RIG_OFFSET_FETCH, 3, RD_KAFKA_RESP_ERR_UNKNOWN,
					  RD_KAFKA_RESP_ERR_UNKNOWN, RD_KAFKA_RESP_ERR_UNKNOWN);
	UNTIL(kafka_consumer_counters(m.c)->rebalances == 1, &m);
	end(&m);
	assert_true(clock_mono_ms() - began < KAFKA_RIG_MS);
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_latest),       T(test_earliest),      T(test_commit),       T(test_known), T(test_known_alone),
		T(test_beyond),       T(test_share),         T(test_share_unkept), T(test_eager), T(test_topic_errors),
		T(test_brokers_away), T(test_offset_errors), T(test_early_end)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
