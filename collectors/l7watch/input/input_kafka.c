/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records from Kafka: a message is one JSON object, or IPFIX messages one after another that need nothing before them. What comes may
 * be of anybody who may write to the topic: what is neither is counted, said now and then, and passed over.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/utf8.h"
#include "input/input_internal.h"
#include "kafka/kafka_consumer.h"
#include "l7/fields.h"
#include "l7/kafka.h"
#include "record/record_json_reader.h"

#define KAFKA_GROUP "l7watch"
#define KAFKA_GROUP_MAX 249
#define KAFKA_EXPORTER_MAX 64 /* octets of the name in a header */
#define KAFKA_UNNAMED "kafka" /* the exporter of a record that nobody names */
#define KAFKA_VALUE_MAX (8u << 20)
#define KAFKA_BACK_MS 300000u /* a message may be made so long before the newest of its partition */
#define KAFKA_KEYS_SAID_MAX 5 /* unknown keys of JSON that are said */

struct input_kafka {
	struct loop_handler handler; /* first: a handler is its input */
	struct input *input;
	struct uri uri;
	const char *group;
	char *name; /* owned; the URI without options */
	struct kafka_consumer *consumer;
	bool more;
	struct ipfix_session session;
	struct record_json_reader reader;
	const struct kafka_taken *taken; /* the message being read */
};

/* ---- URIs ---- */

static const char *const kafka_options[] = {"group", "start", NULL};

int input_kafka_check(const struct uri *u, char *err, size_t err_size)
{
	const char *group = uri_option(u, "group"), *start = uri_option(u, "start");
	int rc = kafka_consumer_check(u, kafka_options, err, err_size);

	if (rc)
		return rc;
	if (group && (!*group || strlen(group) > KAFKA_GROUP_MAX)) {
		snprintf(err, err_size, "%s: option group is a name of 1 to %d octets", u->text, KAFKA_GROUP_MAX);
		return -EINVAL;
	}
	if (start && strcmp(start, "earliest") != 0 && strcmp(start, "latest") != 0) {
		snprintf(err, err_size, "%s: option start is \"%s\", not earliest or latest", u->text, start);
		return -EINVAL;
	}
	return 0;
}

/* ---- a message ---- */

static void kafka_bad(struct input_kafka *k, const char *why)
{
	struct input *in = k->input;

	in->counters.kafka_bad++;
	input_say(&in->log_kafka, "%s: partition %" PRId32 ", offset %" PRId64 ": %s", k->name, k->taken->partition->id,
		  k->taken->offset, why);
}

/* A header as text, printable and cut; "" if there is none. */
static const char *kafka_header(const struct kafka_taken *m, const char *name, char *to, size_t size)
{
	const void *value;
	size_t len;

	*to = '\0';
	if (kafka_taken_header(m, name, &value, &len))
		to[utf8_clean(to, size - 1, value, len < size - 1 ? len : size - 1)] = '\0';
	return to;
}

static const char *kafka_exporter(const struct kafka_taken *m, char name[KAFKA_EXPORTER_MAX + 1])
{
	return *kafka_header(m, L7_KAFKA_EXPORTER, name, KAFKA_EXPORTER_MAX + 1) ? name : KAFKA_UNNAMED;
}

static void kafka_unknown_key(void *arg, const char *key, const char *near)
{
	struct input_kafka *k = arg;

	k->input->counters.unknown_keys++;
	if (k->reader.unknown > KAFKA_KEYS_SAID_MAX)
		return;
	log_warn("%s: partition %" PRId32 ", offset %" PRId64 ": key %s is not known and ignored%s%s", k->name,
		 k->taken->partition->id, k->taken->offset, key, near ? "; there is " : "", near ? near : "");
}

/* A number of a header that the record does not have. */
static void kafka_number(const struct kafka_taken *m, const char *header, struct l7_record *r, enum l7_field field,
			 uint64_t *to)
{
	char text[24], *end;
	unsigned long long n;

	if (l7_has(r, field) || !*kafka_header(m, header, text, sizeof(text)) || *text < '0' || *text > '9')
		return;
	errno = 0;
	n = strtoull(text, &end, 10);
	if (*end || errno)
		return;
	*to = n;
	l7_mark(r, field);
}

static void kafka_json(struct input_kafka *k, const struct kafka_taken *m)
{
	char err[RECORD_JSON_ERROR_MAX], name[KAFKA_EXPORTER_MAX + 1];
	struct l7_record r;
	const char *exporter;

	if (record_json_read(&k->reader, m->value, m->len, &r, err)) {
		kafka_bad(k, err);
		return;
	}
	if (!l7_has(&r, L7_F_exporterName)) {
		exporter = kafka_exporter(m, name);
		if (l7_record_text(&r, &r.exporter, exporter, strlen(exporter), L7_TEXT_MAX))
			l7_mark(&r, L7_F_exporterName);
	}
	kafka_number(m, L7_KAFKA_STREAM, &r, L7_F_streamId, &r.stream_id);
	kafka_number(m, L7_KAFKA_SEQUENCE, &r, L7_F_recordSequence, &r.record_sequence);
	k->input->sink.record(k->input->sink.arg, &r);
}

/* Each message is a session: it may be the first that we see, and the one before it was of another partition. */
static void kafka_ipfix(struct input_kafka *k, const struct kafka_taken *m)
{
	const uint8_t *at = m->value, *end = at + m->len;
	char name[KAFKA_EXPORTER_MAX + 1];
	const char *why = NULL;

	ipfix_session_init(&k->session, &k->input->ipfix, kafka_exporter(m, name), k->input->pen, false);
	k->session.unordered = true;
	k->session.via = "kafka";
	while (at < end && !why) {
		int len = end - at < (ptrdiff_t)IPFIX_READER_HEADER ? -EBADMSG : ipfix_message_length(at);

		if (len < 0 || len > end - at) {
			why = len < 0 ? "there is something that is no IPFIX message"
				      : "it ends within an IPFIX message";
			continue;
		}
		(void)ipfix_read(&k->session, at, (size_t)len, &k->input->sink);
		at += len;
	}
	ipfix_session_deinit(&k->session);
	if (why)
		kafka_bad(k, why);
}

enum kafka_format { KAFKA_JSON, KAFKA_IPFIX, KAFKA_NEITHER };

/* What the header says, or without one what the value looks like. */
static enum kafka_format kafka_format(const struct kafka_taken *m)
{
	const uint8_t *value = m->value;
	const void *says;
	size_t len;

	if (kafka_taken_header(m, L7_KAFKA_FORMAT, &says, &len)) {
		if (len == strlen(L7_KAFKA_JSON) && memcmp(says, L7_KAFKA_JSON, len) == 0)
			return KAFKA_JSON;
		if (len == strlen(L7_KAFKA_IPFIX) && memcmp(says, L7_KAFKA_IPFIX, len) == 0)
			return KAFKA_IPFIX;
		return KAFKA_NEITHER;
	}
	if (m->len >= 2 && value[0] == 0 && value[1] == 10)
		return KAFKA_IPFIX;
	for (size_t i = 0; i < m->len; i++)
		if (!memchr(" \t\r\n", value[i], 4))
			return value[i] == '{' ? KAFKA_JSON : KAFKA_NEITHER;
	return KAFKA_NEITHER;
}

/*
 * When the records were sent, as far as it may be believed: what we read late is not late. Messages of a partition are in order but
 * for clocks that differ; one that says to be much older than those before it is not believed. 0: not known.
 */
static uint64_t kafka_arrived(const struct kafka_taken *m)
{
	uint64_t newest = m->partition->newest_ms;

	return m->time_ms && m->time_ms + KAFKA_BACK_MS < newest ? newest - KAFKA_BACK_MS : m->time_ms;
}

static void kafka_take(void *arg, const struct kafka_taken *m)
{
	struct input_kafka *k = arg;

	k->taken = m;
	k->input->arrived_ms = kafka_arrived(m);
	if (!m->value || m->len == 0 || m->len > KAFKA_VALUE_MAX)
		kafka_bad(k, m->len ? "it is too large" : "it is empty");
	else if (kafka_format(m) == KAFKA_JSON)
		kafka_json(k, m);
	else if (kafka_format(m) == KAFKA_IPFIX)
		kafka_ipfix(k, m);
	else
		kafka_bad(k, "it is neither JSON nor IPFIX");
	k->input->arrived_ms = 0;
	k->taken = NULL;
}

/* ---- offsets ---- */

static struct input_offset kafka_offset(const struct input_kafka *k, int32_t partition)
{
	return (struct input_offset){.cluster = kafka_consumer_cluster(k->consumer),
				     .group = k->group,
				     .topic = k->uri.path + 1,
				     .partition = partition,
				     .next = KAFKA_NOWHERE,
				     .committed = KAFKA_NOWHERE};
}

static bool kafka_known(void *arg, int32_t partition, int64_t *next, int64_t *committed)
{
	struct input_kafka *k = arg;
	const struct input_keeper *keeper = &k->input->keeper;
	struct input_offset o = kafka_offset(k, partition);

	if (!keeper->known || !keeper->known(keeper->arg, &o))
		return false;
	*next = o.next;
	*committed = o.committed;
	return true;
}

static bool kafka_settle(void *arg)
{
	struct input_kafka *k = arg;
	const struct input_keeper *keeper = &k->input->keeper;

	if (keeper->settle)
		return keeper->settle(keeper->arg);
	kafka_consumer_note(k->consumer);
	return true;
}

void input_kafka_note(struct input *in)
{
	for (size_t i = 0; i < in->n_kafka; i++)
		kafka_consumer_note(in->kafka[i]->consumer);
}

void input_kafka_commit(struct input *in)
{
	for (size_t i = 0; i < in->n_kafka; i++)
		kafka_consumer_commit(in->kafka[i]->consumer);
}

void input_kafka_offsets(const struct input *in, void (*each)(void *arg, const struct input_offset *o), void *arg)
{
	for (size_t i = 0; i < in->n_kafka; i++) {
		const struct input_kafka *k = in->kafka[i];
		const struct kafka_partition *p;

		for (size_t j = 0; (p = kafka_consumer_partition(k->consumer, j)); j++) {
			struct input_offset o = kafka_offset(k, p->id);

			o.next = p->noted;
			o.committed = p->committed;
			o.behind = kafka_consumer_behind(k->consumer, p);
			each(arg, &o);
		}
	}
}

static void kafka_count(const struct input_kafka *k, struct input_kafka_counters *sum)
{
	const struct kafka_consumer_counters *c = kafka_consumer_counters(k->consumer);
	const struct kafka_partition *p;

	sum->messages += c->messages;
	sum->gone += c->gone;
	sum->rebalances += c->rebalances;
	sum->errors += c->errors;
	for (size_t i = 0; (p = kafka_consumer_partition(k->consumer, i)); i++)
		sum->behind += kafka_consumer_behind(k->consumer, p);
}

struct input_kafka_counters input_kafka_counters(const struct input *in)
{
	struct input_kafka_counters sum = in->kafka_past;

	for (size_t i = 0; i < in->n_kafka; i++)
		kafka_count(in->kafka[i], &sum);
	return sum;
}

/* ---- the loop ---- */

static void kafka_step(struct input_kafka *k)
{
	k->more = kafka_consumer_step(k->consumer, clock_mono_ms());
}

static void kafka_ready(struct loop_handler *h, uint32_t events)
{
	struct input_kafka *k = (struct input_kafka *)h;

	(void)events;
	if (!k->more) /* else it has its turn anyhow */
		kafka_step(k);
}

bool input_kafka_step(struct input *in)
{
	bool more = false;

	for (size_t i = 0; i < in->n_kafka; i++) {
		if (in->kafka[i]->more)
			kafka_step(in->kafka[i]);
		more |= in->kafka[i]->more;
	}
	return more;
}

void input_kafka_tick(struct input *in)
{
	for (size_t i = 0; i < in->n_kafka; i++)
		kafka_step(in->kafka[i]);
}

/* ---- opening ---- */

static void kafka_free(struct input_kafka *k)
{
	kafka_consumer_free(k->consumer);
	uri_deinit(&k->uri);
	free(k->name);
	free(k);
}

/* The URI is k's own. */
static int kafka_init(struct input_kafka *k, char *err, size_t err_size)
{
	const char *group = uri_option(&k->uri, "group"), *start = uri_option(&k->uri, "start");
	struct kafka_consumer_config config = {
		.uri = &k->uri,
		.client = "l7watch",
		.latest = !start || strcmp(start, "latest") == 0,
		.take = kafka_take,
		.known = kafka_known,
		.settle = kafka_settle,
		.arg = k,
	};
	struct pollfd p;
	int rc;

	k->name = strndup(k->uri.text, strcspn(k->uri.text, "?"));
	if (!k->name) {
		snprintf(err, err_size, "%s: no memory", k->uri.text);
		return -ENOMEM;
	}
	k->group = group ? group : KAFKA_GROUP;
	config.name = k->name;
	config.group = k->group;
	record_json_reader_init(&k->reader);
	k->reader.on_unknown = kafka_unknown_key;
	k->reader.arg = k;
	rc = kafka_consumer_new(&k->consumer, &config, err, err_size);
	if (rc)
		return rc;
	kafka_consumer_wait(k->consumer, &p);
	k->handler = (struct loop_handler){.fd = p.fd, .ready = kafka_ready};
	rc = loop_add(k->input->loop, &k->handler, EPOLLIN);
	if (rc)
		snprintf(err, err_size, "%s: %s", k->uri.text, strerror(-rc));
	return rc;
}

int input_kafka_open(struct input *in, const char *text, char *err, size_t err_size)
{
	struct input_kafka *k = calloc(1, sizeof(*k));
	int rc = k ? uri_parse(&k->uri, text, err, err_size) : -ENOMEM;

	if (rc) {
		if (!k)
			snprintf(err, err_size, "%s: no memory", text);
		free(k);
		return rc;
	}
	k->input = in;
	rc = kafka_init(k, err, err_size);
	if (rc)
		kafka_free(k);
	else
		in->kafka[in->n_kafka++] = k;
	return rc;
}

void input_kafka_close(struct input *in)
{
	while (in->n_kafka) {
		struct input_kafka *k = in->kafka[in->n_kafka - 1];

		loop_remove(in->loop, &k->handler);
		kafka_count(k, &in->kafka_past);
		kafka_consumer_free(k->consumer); /* which asks for the others' offsets, too */
		k->consumer = NULL;
		in->n_kafka--;
		kafka_free(k);
	}
}
