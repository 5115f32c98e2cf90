/* SPDX-License-Identifier: Apache-2.0 */
/* From messages of a topic to alerts in another, and when brokers are told that it is done. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h needs those above it. */
#include <cmocka.h>
#include <stdlib.h>
#include <unistd.h>

#include "../lib/message.h"
#include "kafka_rig.h"
#include "l7/fields.h"
#include "watch.h"

#define RULES                                                                                                          \
	"version: 1\nrules:\n- {id: 7, name: \"No chats\", type: deny, severity: high, match: {app: Telegram}, "       \
	"dedup: 1s}\n"
#define JSON                                                                                                           \
	"{\"src_ip\":\"192.0.2.%u\",\"dst_ip\":\"198.51.100.7\",\"app\":\"TLS.Telegram\",\"confidence\":\"dpi\","      \
	"\"end_ms\":%llu,\"state\":\"final,last\"}"
#define VALUE_MAX 65536u

struct fixture {
	struct kafka_rig rig;
	rd_kafka_t *producer;
	struct loop loop;
	struct watch w;
	struct message m;
	char folder[64], state[80];
	uint64_t records;
	char exporter[128]; /* of the last record */
	struct l7_record last;
};

/* ---- the rig ---- */

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	char why[256];

	kafka_rig_init(&f->rig, 1);
	rd_kafka_mock_topic_create(f->rig.cluster, "flows", 1, 1);
	rd_kafka_mock_topic_create(f->rig.cluster, "alerts", 2, 1);
	rd_kafka_conf_set_log_cb(conf, NULL);
	rd_kafka_conf_set(conf, "bootstrap.servers", kafka_rig_brokers(&f->rig), why, sizeof(why));
	f->producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof(why));
	assert_non_null(f->producer);
	strcpy(f->folder, "/tmp/l7-watch-XXXXXX");
	assert_non_null(mkdtemp(f->folder));
	snprintf(f->state, sizeof(f->state), "%s/state.db", f->folder);
	*state = f;
	return loop_init(&f->loop);
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	char command[128];

	loop_deinit(&f->loop);
	rd_kafka_destroy(f->producer);
	kafka_rig_deinit(&f->rig);
	snprintf(command, sizeof(command), "rm -rf %s", f->folder);
	assert_int_equal(system(command), 0);
	free(f);
	return 0;
}

/* time_ms 0: now. */
static void put_at(struct fixture *f, uint64_t time_ms, uint64_t end_ms)
{
	char text[512];
	int len = snprintf(text, sizeof(text), JSON, 1u, (unsigned long long)end_ms);

	assert_int_equal(rd_kafka_producev(f->producer, RD_KAFKA_V_TOPIC("flows"), RD_KAFKA_V_PARTITION(0),
					   RD_KAFKA_V_VALUE(text, (size_t)len), RD_KAFKA_V_TIMESTAMP((int64_t)time_ms),
					   RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END),
			 0);
	assert_int_equal(rd_kafka_flush(f->producer, KAFKA_RIG_MS), 0);
}

static void put(struct fixture *f, const void *value, size_t len, const char *format, const char *exporter)
{
	rd_kafka_headers_t *headers = rd_kafka_headers_new(4);

	if (format)
		rd_kafka_header_add(headers, "format", -1, format, -1);
	if (exporter)
		rd_kafka_header_add(headers, "exporter", -1, exporter, -1);
	rd_kafka_header_add(headers, "stream_id", -1, "18446744073709551615", -1);
	rd_kafka_header_add(headers, "record_sequence", -1, "x1", -1);
	assert_int_equal(rd_kafka_producev(f->producer, RD_KAFKA_V_TOPIC("flows"), RD_KAFKA_V_PARTITION(0),
					   RD_KAFKA_V_VALUE((void *)value, len), RD_KAFKA_V_HEADERS(headers),
					   RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END),
			 0);
	assert_int_equal(rd_kafka_flush(f->producer, KAFKA_RIG_MS), 0);
}

static void put_json(struct fixture *f, unsigned host)
{
	char text[512];
	int len = snprintf(text, sizeof(text), JSON, host, (unsigned long long)clock_wall_ms());

	put(f, text, (size_t)len, "json", "p");
}

static void list_of(struct conf_list *list, char **item, char *text, const char *uri)
{
	strcpy(text, uri);
	*item = text;
	*list = (struct conf_list){.items = item, .n = 1};
}

#define UNTIL(f, condition)                                                                                            \
	do {                                                                                                           \
		uint64_t until = clock_mono_ms() + KAFKA_RIG_MS;                                                       \
		while (!(condition) && clock_mono_ms() < until)                                                        \
			turn(f);                                                                                       \
		assert_true(condition);                                                                                \
	} while (0)

static void turn(struct fixture *f)
{
	bool more = input_kafka_step(&f->w.input);

	(void)loop_run_once(&f->loop, more ? 0 : 20);
	f->w.wall_ms = clock_wall_ms();
	input_tick(&f->w.input, clock_mono_ms());
	if (f->w.store)
		watch_settle(&f->w);
	alert_outputs_flush(&f->w.outputs);
}

static int64_t told(struct fixture *f)
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
	rd_kafka_topic_partition_list_add(list, "flows", 0);
	assert_int_equal(rd_kafka_committed(rk, list, KAFKA_RIG_MS), 0);
	offset = list->elems[0].offset;
	rd_kafka_topic_partition_list_destroy(list);
	rd_kafka_destroy(rk);
	return offset < 0 ? -1 : offset;
}

/* ---- messages ---- */

static void got(void *arg, const struct l7_record *r)
{
	struct fixture *f = arg;

	f->records++;
	f->last = *r;
	memcpy(f->exporter, r->text + r->exporter.off, r->exporter.len);
	f->exporter[r->exporter.len] = '\0';
}

static void open_input(struct fixture *f, struct ipfix_reader_sink sink)
{
	char text[256], uri[256], err[512], *item;
	struct conf_list list;

	snprintf(uri, sizeof(uri),
		 "kafka://%s/"
		 "flows?group=g&start=earliest&rdkafka.session.timeout.ms=4500&rdkafka.heartbeat.interval.ms=200",
		 kafka_rig_brokers(&f->rig));
	list_of(&list, &item, text, uri);
	assert_false(input_is_replay(&list));
	if (input_init(&f->w.input, &f->loop, &list, sink, L7_PEN_OWN, err, sizeof(err)))
		fail_msg("%s", err);
}

/* An IPFIX message of n records. */
static void make(struct fixture *f, unsigned n)
{
	message_start(&f->m, 12345, 5);
	message_set(&f->m, 2);
	message_template(&f->m, 256, 1, 0);
	message_field(&f->m, 0, 8, 4);
	message_set(&f->m, 256);
	for (unsigned i = 0; i < n; i++)
		message_uint(&f->m, 0xc0000201, 4);
	message_end(&f->m);
}

static void good(struct fixture *f, const void *value, size_t len, const char *format, const char *exporter)
{
	uint64_t before = f->records, bad = f->w.input.counters.kafka_bad;

	put(f, value, len, format, exporter);
	UNTIL(f, f->records > before);
	assert_int_equal(f->w.input.counters.kafka_bad, bad);
}

static void bad(struct fixture *f, const void *value, size_t len, const char *format)
{
	uint64_t before = f->w.input.counters.kafka_bad;

	put(f, value, len, format, NULL);
	UNTIL(f, f->w.input.counters.kafka_bad == before + 1);
}

static void test_json(void **state)
{
	struct fixture *f = *state;
	static const char one[] = "{\"src_ip\":\"192.0.2.1\",\"dst_ip\":\"198.51.100.7\"}";
	static const char named[] = " \n{\"src_ip\":\"192.0.2.1\",\"exporter\":\"own\",\"stream_id\":\"5\"}\n";
	char *large = malloc(VALUE_MAX + 1);

	open_input(f, (struct ipfix_reader_sink){.record = got, .arg = f});
	good(f, one, strlen(one), "json", "probe 1");
	assert_string_equal(f->exporter, "probe 1");
	assert_true(l7_has(&f->last, L7_F_streamId) && f->last.stream_id == UINT64_MAX);
	assert_false(l7_has(&f->last, L7_F_recordSequence)); /* what is no number is none */
	good(f, one, strlen(one), NULL, "a\nb\377");
	assert_string_equal(f->exporter, "a?b?");
	good(f, named, strlen(named), NULL, "header");
	assert_string_equal(f->exporter, "own");
	assert_int_equal(f->last.stream_id, 5);
	good(f, one, strlen(one), NULL, NULL);
	assert_string_equal(f->exporter, "kafka");
	bad(f, one, strlen(one) - 1, NULL);
	bad(f, one, strlen(one), "xml");
	bad(f, one, strlen(one), "ipfix");
	bad(f, one, strlen(one), "");
	bad(f, NULL, 0, NULL);
	bad(f, "", 0, "json");
	bad(f, "   ", 3, NULL);
	bad(f, "[1]", 3, NULL);
	bad(f, "\0", 1, NULL);
	memset(large, ' ', VALUE_MAX + 1);
	memcpy(large, one, strlen(one));
	bad(f, large, VALUE_MAX + 1, "json");
	free(large);
	assert_int_equal(f->records, 4);
	input_deinit(&f->w.input);
}

static void test_ipfix(void **state)
{
	struct fixture *f = *state;
	uint8_t three[3 * 256];
	size_t len;

	open_input(f, (struct ipfix_reader_sink){.record = got, .arg = f});
	make(f, 2);
	len = f->m.len;
	for (int i = 0; i < 3; i++) /* with sequence numbers that say nothing */
		memcpy(three + i * len, f->m.data, len);
	good(f, three, 3 * len, "ipfix", "probe 1");
	assert_int_equal(f->records, 6);
	assert_string_equal(f->exporter, "probe 1#5");
	good(f, three, len, NULL, NULL);
	assert_string_equal(f->exporter, "kafka#5");
	assert_int_equal(f->records, 8);
	assert_int_equal(f->w.input.ipfix.lost + f->w.input.ipfix.late + f->w.input.ipfix.restarts, 0);
	bad(f, three, 3 * len - 1, "ipfix"); /* the two whole ones are read */
	assert_int_equal(f->records, 12);
	bad(f, three, len + 2, "ipfix");
	bad(f, three, len - 1, NULL);
	bad(f, three, 15, "ipfix");
	three[len + 1] = 9;
	bad(f, three, 2 * len, "ipfix");
	make(f, 16000); /* as long as a message can be */
	good(f, f->m.data, f->m.len, NULL, NULL);
	UNTIL(f, f->records == 12 + 2 + 2 + 16000);
	input_deinit(&f->w.input);
}

/* ---- alerts and offsets ---- */

static void open_watch(struct fixture *f, bool file)
{
	struct watch_options options = {
		.flush_ms = 1, .max_flows = 1024, .max_hosts = 1024, .state = file ? f->state : NULL};
	char text[256], uri[256], err[512], *item;
	struct rule_set *set = NULL;
	struct conf_list list;

	memset(&f->w, 0, sizeof(f->w));
	snprintf(uri, sizeof(uri), "kafka://%s/alerts?rdkafka.linger.ms=0", kafka_rig_brokers(&f->rig));
	list_of(&list, &item, text, uri);
	if (rules_parse(&set, "r", RULES, strlen(RULES), (struct rules_warnings){0}, err, sizeof(err)) ||
	    alert_outputs_init(&f->w.outputs, &list, err, sizeof(err)))
		fail_msg("%s", err);
	f->w.outputs.kept = file;
	assert_int_equal(alert_outputs_attach(&f->w.outputs, &f->loop), 0);
	if (watch_init(&f->w, set, &options, err, sizeof(err)))
		fail_msg("%s", err);
	open_input(f, (struct ipfix_reader_sink){.record = watch_record, .arg = &f->w, .missed = watch_missed});
	watch_keep(&f->w);
}

static void close_watch(struct fixture *f)
{
	input_kafka_close(&f->w.input);
	alert_outputs_deinit(&f->w.outputs);
	watch_deinit(&f->w);
	input_deinit(&f->w.input);
}

static void refuse_alerts(struct fixture *f)
{
	rd_kafka_resp_err_t errors[64];

	for (int i = 0; i < 64; i++)
		errors[i] = RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
	rd_kafka_mock_push_request_errors_array(f->rig.cluster, KAFKA_RIG_PRODUCE, 64, errors);
}

static void take_alerts(struct fixture *f)
{
	rd_kafka_mock_clear_request_errors(f->rig.cluster, KAFKA_RIG_PRODUCE);
}

static void outbox_line(void *arg, uint64_t number, const char *line, size_t len)
{
	(void)number;
	(void)line;
	(void)len;
	++*(unsigned *)arg;
}

static unsigned outbox(struct fixture *f)
{
	unsigned n = 0;

	store_outbox(f->w.store, outbox_line, &n);
	return n;
}

static void round_of_saving(struct fixture *f)
{
	watch_tick(&f->w, clock_wall_ms() + 1000);
}

static void one_alert(void *arg, const rd_kafka_message_t *m)
{
	struct fixture *f = arg;
	rd_kafka_headers_t *headers;
	const void *value;
	size_t len;
	char needle[64];

	assert_memory_equal(m->payload, "{\"event_type\":\"alert\"", 21);
	assert_true(((const char *)m->payload)[m->len - 1] == '}'); /* no newline */
	assert_int_equal(m->key_len, strlen("192.0.2.1"));
	assert_memory_equal(m->key, "192.0.2.", 8);
	assert_int_equal(rd_kafka_message_headers(m, &headers), 0);
	assert_int_equal(rd_kafka_header_get_last(headers, "format", &value, &len), 0);
	assert_string_equal(value, "json");
	assert_int_equal(rd_kafka_header_get_last(headers, "schema", &value, &len), 0);
	assert_int_equal(rd_kafka_header_get_last(headers, "alert_uid", &value, &len), 0);
	assert_int_equal(len, 32);
	snprintf(needle, sizeof(needle), "\"alert_uid\":\"%s\"", (const char *)value);
	assert_non_null(memmem(m->payload, m->len, needle, strlen(needle)));
	f->records++;
}

/* Without a file, what brokers do not acknowledge keeps the records it came from from being told as read. */
static void test_told_when_taken(void **state)
{
	struct fixture *f = *state;

	open_watch(f, false);
	put_json(f, 1);
	UNTIL(f, f->w.alerts.n_raised == 1 && !alert_outputs_waiting(&f->w.outputs));
	assert_int_equal(told(f), -1); /* nothing is saved yet */
	round_of_saving(f);
	UNTIL(f, told(f) == 1);
	put_json(f, 2);
	refuse_alerts(f);
	UNTIL(f, f->w.alerts.n_raised == 2);
	round_of_saving(f);
	for (int i = 0; i < 20; i++)
		turn(f);
	assert_true(alert_outputs_waiting(&f->w.outputs));
	assert_int_equal(told(f), 1);
	assert_int_equal(outbox(f), 1);
	take_alerts(f);
	UNTIL(f, !alert_outputs_waiting(&f->w.outputs));
	UNTIL(f, told(f) == 2);
	assert_int_equal(outbox(f), 0);
	close_watch(f);
	assert_int_equal(f->w.outputs.n_lost, 0);
	assert_int_equal(kafka_rig_read(&f->rig, "alerts", 2, one_alert, f), 2);
}

/* With a file it is out of danger there: records are told as read, and the alert is told by the next one. */
static void test_kept(void **state)
{
	struct fixture *f = *state;

	put_json(f, 1);
	refuse_alerts(f);
	open_watch(f, true);
	UNTIL(f, f->w.alerts.n_raised == 1);
	round_of_saving(f);
	UNTIL(f, told(f) == 1);
	assert_int_equal(outbox(f), 1);
	close_watch(f);
	assert_int_equal(f->w.outputs.n_lost, 0);
	assert_int_equal(kafka_rig_read(&f->rig, "alerts", 2, NULL, NULL), 0);
	open_watch(f, true);
	assert_int_equal(outbox(f), 1);
	take_alerts(f);
	UNTIL(f, !alert_outputs_waiting(&f->w.outputs));
	turn(f);
	assert_int_equal(outbox(f), 0);
	close_watch(f);
	assert_int_equal(kafka_rig_read(&f->rig, "alerts", 2, one_alert, f), 1);
}

/* A double of what came before is counted, and judged no more. */
static void test_doubles(void **state)
{
	struct fixture *f = *state;
	static const char one[] = "{\"src_ip\":\"192.0.2.1\",\"dst_ip\":\"198.51.100.7\",\"app\":\"TLS.Telegram\","
				  "\"confidence\":\"dpi\",\"stream_id\":\"9\",\"record_sequence\":\"4\"}";

	open_watch(f, false);
	for (int i = 0; i < 3; i++)
		put(f, one, strlen(one), "json", "p");
	UNTIL(f, f->w.n_records == 3);
	assert_int_equal(f->w.doubles.n, 2);
	assert_int_equal(f->w.alerts.n_raised, 1);
	assert_int_equal(f->w.alerts.n_suppressed, 0);
	close_watch(f);
}

/* What waited in the topic is judged by when it came there: no clock is wrong for it. */
static void test_late(void **state)
{
	struct fixture *f = *state;
	uint64_t now = clock_wall_ms(), before = now - 3600000;
	const struct {
		uint64_t time_ms, end_ms;
		bool skewed;
	} cases[] = {
		{before, before - 1000, false},    /* an hour ago, and it says so */
		{before, before - 400000, true},   /* its clock was behind then */
		{before, before + 400000, true},   /* or ahead */
		{before - 7200000, before, false}, /* nobody was that late: the one before it came later */
		{before - 7200000, before - 7200000, true},
		{now, before, true},
		{now, now, false},
		{now + 7200000, now + 7200000, true}, /* what has not been yet is not believed */
		{now + 7200000, now, false},
	};
	uint64_t skewed = 0;

	open_watch(f, false);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		put_at(f, cases[i].time_ms, cases[i].end_ms);
		UNTIL(f, f->w.n_records == i + 1);
		skewed += cases[i].skewed;
		assert_int_equal(f->w.n_skewed, skewed);
	}
	close_watch(f);
}

static bool never(void *arg)
{
	(void)arg;
	return false;
}

/* Read again by another one, later, an alert has the uid that it had. */
static void test_same_uid(void **state)
{
	struct fixture *f = *state;
	uint64_t now = clock_wall_ms(), raised;
	char uid[STORE_UID_MAX], other[STORE_UID_MAX];

	put_at(f, now - 60000, now - 60000);
	open_watch(f, false);
	UNTIL(f, f->w.alerts.n_raised == 1);
	raised = clock_wall_ms();
	memcpy(uid, f->w.alerts.table.list[0].uid, sizeof(uid));
	f->w.input.keeper = (struct input_keeper){.settle = never, .arg = f}; /* as if it were killed */
	close_watch(f);
	assert_int_equal(told(f), -1);
	while (clock_wall_ms() < raised + 1100) /* `for` is a second: by its own clock the next one is in another */
		(void)usleep(10000);
	open_watch(f, false);
	UNTIL(f, f->w.alerts.n_raised == 1);
	memcpy(other, f->w.alerts.table.list[0].uid, sizeof(other));
	assert_string_equal(other, uid);
	close_watch(f);
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {T(test_json),    T(test_ipfix), T(test_told_when_taken), T(test_kept),
					   T(test_doubles), T(test_late),  T(test_same_uid)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
