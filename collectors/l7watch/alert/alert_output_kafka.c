/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A topic of Kafka: a message per alert, its line of JSON without the newline. The key is the host, so that what is told of one stays
 * in order. An alert is taken when the brokers have acknowledged it; until then it waits here, and in the store's outbox.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alert/alert_output_kind.h"
#include "base/clock.h"
#include "kafka/kafka_producer.h"
#include "l7/kafka.h"

#define KAFKA_QUEUE (96u << 20) /* octets that wait, with what is kept beside them */
#define KAFKA_UID "alert_uid"

struct alert_kafka {
	struct loop_handler handler; /* first: a handler is its output */
	struct alert_output *output;
	struct uri uri;
	char *name; /* owned; the URI without options */
	struct kafka_producer *producer;
	uint64_t put;    /* messages so far */
	uint64_t mark;   /* what `put` was at the last mark */
	uint64_t before; /* messages up to the mark that have no answer */
};

static const char *const kafka_options[] = {NULL};

static int kafka_check(const struct uri *u, char *err, size_t err_size)
{
	return kafka_producer_check(u, kafka_options, err, err_size);
}

/* ---- answers ---- */

static void kafka_answered(void *arg, uint64_t tag, size_t len, const char *why)
{
	struct alert_kafka *k = arg;
	struct alert_output *o = k->output;

	(void)len;
	k->before -= tag <= k->mark && k->before;
	if (!why)
		return;
	o->failed++;
	snprintf(o->why, sizeof(o->why), "%s", why);
}

static void kafka_step(struct alert_output *o)
{
	struct alert_kafka *k = o->state;

	kafka_producer_step(k->producer, clock_mono_ms());
}

static void kafka_ready(struct loop_handler *h, uint32_t events)
{
	struct alert_kafka *k = (struct alert_kafka *)h;

	(void)events;
	kafka_step(k->output);
}

static int kafka_poll(const struct alert_output *o, struct pollfd *p)
{
	const struct alert_kafka *k = o->state;

	return kafka_producer_wait(k->producer, clock_mono_ms(), p);
}

static uint64_t kafka_waiting(const struct alert_output *o)
{
	const struct alert_kafka *k = o->state;

	return kafka_producer_pending(k->producer);
}

static void kafka_mark(struct alert_output *o)
{
	struct alert_kafka *k = o->state;

	k->mark = k->put;
	k->before = kafka_producer_pending(k->producer);
}

static bool kafka_reached(const struct alert_output *o)
{
	const struct alert_kafka *k = o->state;

	return k->before == 0;
}

/* ---- alerts ---- */

static bool kafka_render(struct buf *out, const char *line, size_t len, bool replay)
{
	(void)replay;
	buf_put(out, line, len && line[len - 1] == '\n' ? len - 1 : len);
	return true;
}

static const char *kafka_write(struct alert_output *o, const char *text, size_t len)
{
	struct alert_kafka *k = o->state;
	struct alert_view v;
	struct kafka_message m = {
		.value = text,
		.len = len,
		.headers = {{L7_KAFKA_FORMAT, L7_KAFKA_JSON, strlen(L7_KAFKA_JSON)},
			    {L7_KAFKA_SCHEMA, L7_KAFKA_SCHEMA_VERSION, strlen(L7_KAFKA_SCHEMA_VERSION)}},
		.n_headers = 2,
		.tag = k->put + 1,
	};
	char rule[32];

	if (!alert_view_parse(&v, text, len))
		return "no memory";
	snprintf(rule, sizeof(rule), "rule %s", v.rule);
	m.key = *v.host ? v.host : rule;
	m.key_len = strlen(m.key);
	m.headers[m.n_headers++] = (struct kafka_header){KAFKA_UID, v.uid, strlen(v.uid)};
	switch (kafka_producer_put(k->producer, &m)) {
	case 0:
		k->put++;
		return NULL;
	case -EMSGSIZE:
		return "it is larger than a message may be";
	default:
		return "too many wait for the brokers";
	}
}

/* ---- opening ---- */

static void kafka_close(struct alert_output *o)
{
	struct alert_kafka *k = o->state;

	if (!k)
		return;
	kafka_producer_free(k->producer);
	uri_deinit(&k->uri);
	free(k->name);
	free(k);
	o->state = NULL;
}

static int kafka_open(struct alert_output *o, char *err, size_t err_size)
{
	struct alert_kafka *k = calloc(1, sizeof(*k));
	struct kafka_producer_config config = {
		.client = "l7watch", .queue = KAFKA_QUEUE, .answer = kafka_answered, .arg = k};
	struct pollfd p;
	int rc = k ? uri_parse(&k->uri, o->uri, err, err_size) : -ENOMEM;

	if (rc) {
		if (!k)
			snprintf(err, err_size, "%s: no memory", o->uri);
		free(k);
		return rc;
	}
	k->output = o;
	o->state = k;
	k->name = strndup(o->uri, strcspn(o->uri, "?"));
	config.uri = &k->uri;
	config.name = k->name;
	rc = -ENOMEM;
	if (k->name)
		rc = kafka_producer_new(&k->producer, &config, err, err_size);
	else
		snprintf(err, err_size, "%s: no memory", o->uri);
	if (rc) {
		kafka_close(o);
		return rc;
	}
	(void)kafka_producer_wait(k->producer, clock_mono_ms(), &p);
	k->handler = (struct loop_handler){.fd = p.fd, .ready = kafka_ready};
	o->handler = &k->handler;
	return 0;
}

const struct alert_output_kind alert_output_kafka = {.scheme = "kafka",
						     .example = "kafka://broker:port,broker:port/topic",
						     .check = kafka_check,
						     .start = kafka_open,
						     .render = kafka_render,
						     .write = kafka_write,
						     .step = kafka_step,
						     .poll = kafka_poll,
						     .waiting = kafka_waiting,
						     .mark = kafka_mark,
						     .reached = kafka_reached,
						     .stop = kafka_close};
