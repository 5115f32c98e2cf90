/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kafka: a message per record as JSON, or many records in one of IPFIX. What brokers have not acknowledged waits, within
 * the option queue; beyond that what is new is dropped and counted.
 *
 * A message of IPFIX says all that its records need, so that who reads it needs none before it: templates, the probe's name, the
 * types of elements, and the names of the protocols that it has.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/addr.h"
#include "base/buf.h"
#include "base/clock.h"
#include "export/ipfix_make.h"
#include "export/output.h"
#include "kafka/kafka_producer.h"
#include "l7/kafka.h"
#include "record/record_json.h"

#define KAFKA_IPFIX_MESSAGE 65535
#define KAFKA_IPFIX_LINGER_MS 50 /* each has a head of a kilobyte or two: it is worth waiting for more records */
#define KAFKA_JSON_LINGER_MS 50  /* batches of a few records take half as much again when compressed */
#define KAFKA_ROOM 131072        /* octets that the next record can need: several messages of IPFIX, or one of JSON */
#define KAFKA_KEY_MAX (2 * ADDR_TEXT_MAX + 1)
#define KAFKA_NUMBER_MAX 24

struct kafka {
	struct kafka_producer *producer;
	struct output *output;
	struct buf value;
	uint64_t first; /* sequence of the first record that is in no message yet */
	char stream_id[KAFKA_NUMBER_MAX];
	/* Of IPFIX. */
	struct ipfix_make make;
	bool made;
	uint32_t sequence;   /* of IPFIX messages: data records before */
	uint64_t flushed_ms; /* when a message was last finished because of the time */
};

/* ---- keys ---- */

static bool kafka_home(const struct output *o, const uint8_t ip[16])
{
	const struct prefix_map *home = o->config->home;

	return home && prefix_map_has(home, prefix_map_class(home, ip), 0);
}

/* The addresses of a pair are in their own order, so that both directions have one key. */
static size_t kafka_key_pair(const struct l7_record *r, char *key)
{
	bool turned = memcmp(r->src_ip, r->dst_ip, 16) > 0;
	size_t len;

	len = strlen(addr_format(turned ? r->dst_ip : r->src_ip, key));
	key[len++] = '-';
	return len + strlen(addr_format(turned ? r->src_ip : r->dst_ip, key + len));
}

/* Which side is home is asked of the addresses as they are; what the key says are those that the output may tell. */
static size_t kafka_key(const struct output *o, const struct l7_record *r, char *key)
{
	const struct l7_record *plain = o->plain ? o->plain : r;
	bool src, dst;

	if (o->options.key == OUTPUT_KEY_PAIR)
		return kafka_key_pair(r, key);
	src = kafka_home(o, plain->src_ip);
	dst = kafka_home(o, plain->dst_ip);
	if (src == dst)
		return kafka_key_pair(r, key);
	return strlen(addr_format(src ? r->src_ip : r->dst_ip, key));
}

/* ---- messages ---- */

static void kafka_answered(void *arg, uint64_t records, size_t len, const char *why)
{
	struct kafka *k = arg;
	struct shared_output *c = k->output->counters;

	if (why) {
		shared_add(&c->dropped, records);
		return;
	}
	shared_add(&c->sent, records);
	shared_add(&c->messages, 1);
	shared_add(&c->octets, len);
	k->output->progress_ms = clock_mono_ms();
}

/* The value is what k->value holds, but for its last `number` octets: the sequence number of the first record. */
static void kafka_send(struct kafka *k, size_t number, const char *key, size_t key_len, uint64_t records)
{
	const struct output *o = k->output;
	const char *format = o->format == OUTPUT_JSON ? L7_KAFKA_JSON : L7_KAFKA_IPFIX, *exporter = o->config->exporter;
	struct kafka_message m = {
		.value = k->value.data,
		.len = k->value.len - number,
		.key = key,
		.key_len = key_len,
		.headers = {{L7_KAFKA_EXPORTER, exporter ? exporter : "", exporter ? strlen(exporter) : 0},
			    {L7_KAFKA_STREAM, k->stream_id, strlen(k->stream_id)},
			    {L7_KAFKA_SEQUENCE, k->value.data + k->value.len - number, number},
			    {L7_KAFKA_FORMAT, format, strlen(format)},
			    {L7_KAFKA_SCHEMA, L7_KAFKA_SCHEMA_VERSION, strlen(L7_KAFKA_SCHEMA_VERSION)}},
		.n_headers = 5,
		.tag = records,
	};

	if (kafka_producer_put(k->producer, &m))
		shared_add(&o->counters->dropped, records);
}

/* Key and length for the formats and options where all messages have the same; NULL for none. */
static const char *kafka_key_of_all(const struct output *o)
{
	return o->options.key == OUTPUT_KEY_EXPORTER ? o->config->exporter : NULL;
}

/* ---- JSON ---- */

static void kafka_json(struct output *o, const struct l7_record *r)
{
	struct kafka *k = o->state;
	const char *same = kafka_key_of_all(o);
	char key[KAFKA_KEY_MAX];
	size_t len, key_len = same ? strlen(same) : 0;

	if (!kafka_producer_room(k->producer, 0)) { /* it would be made for nothing */
		shared_add(&o->counters->dropped, 1);
		return;
	}
	buf_reset(&k->value);
	record_json(&k->value, r);
	len = k->value.len;
	buf_u64(&k->value, r->record_sequence);
	if (k->value.failed) {
		shared_add(&o->counters->dropped, 1);
		return;
	}
	if (o->options.key == OUTPUT_KEY_HOST || o->options.key == OUTPUT_KEY_PAIR) {
		key_len = kafka_key(o, r, key);
		same = key;
	}
	kafka_send(k, k->value.len - len, same, key_len, 1);
}

/* ---- IPFIX ---- */

static void kafka_add_messages(struct kafka *k, struct message_queue *q, uint64_t *flows)
{
	while (q->head) {
		struct message *m = q->head;

		ipfix_message_stamp(m->data, k->sequence, (uint32_t)(clock_wall_ms() / 1000));
		k->sequence += m->records;
		*flows += m->flows;
		buf_put(&k->value, m->data, m->len);
		message_queue_drop(q);
	}
}

/* What the writer has made and has pending becomes one message of Kafka's. */
static void kafka_finish_message(struct kafka *k)
{
	const char *key = kafka_key_of_all(k->output);
	uint64_t flows = 0;
	size_t len;

	ipfix_make_templates(&k->make); /* what is pending is among the data then */
	buf_reset(&k->value);
	kafka_add_messages(k, &k->make.head, &flows);
	kafka_add_messages(k, &k->make.data, &flows);
	len = k->value.len;
	buf_u64(&k->value, k->first);
	if (k->value.failed)
		shared_add(&k->output->counters->dropped, flows);
	else if (flows)
		kafka_send(k, k->value.len - len, key, key ? strlen(key) : 0, flows);
}

static void kafka_ipfix(struct output *o, const struct l7_record *r)
{
	struct kafka *k = o->state;

	if (!ipfix_writer_pending(k->make.writer))
		k->first = r->record_sequence;
	ipfix_make_name_apps(&k->make, r);
	ipfix_make_record(&k->make, r);
	if (k->make.data.head) /* a message is full */
		kafka_finish_message(k);
}

/* ---- as an output ---- */

static void kafka_record(struct output *o, const struct l7_record *r)
{
	if (o->format == OUTPUT_JSON)
		kafka_json(o, r);
	else
		kafka_ipfix(o, r);
}

static int kafka_open(struct output *o, char *err, size_t err_size)
{
	struct kafka_producer_config c = {.uri = o->uri,
					  .name = o->name,
					  .client = "l7probe",
					  .linger_ms = o->format == OUTPUT_JSON ? KAFKA_JSON_LINGER_MS : 0,
					  .queue = o->options.queue,
					  .answer = kafka_answered};
	struct kafka *k = calloc(1, sizeof(*k));
	int rc = 0;

	if (!k) {
		snprintf(err, err_size, "%s: no memory", o->name);
		return -ENOMEM;
	}
	c.arg = k;
	k->output = o;
	buf_init(&k->value, KAFKA_MESSAGE_MAX);
	snprintf(k->stream_id, sizeof(k->stream_id), "%llu", (unsigned long long)o->stream_id);
	if (o->format == OUTPUT_IPFIX) {
		rc = ipfix_make_init(&k->make, o, KAFKA_IPFIX_MESSAGE, err, err_size);
		k->made = !rc;
	}
	if (!rc)
		rc = kafka_producer_new(&k->producer, &c, err, err_size);
	if (rc && k->made)
		ipfix_make_deinit(&k->make);
	if (rc) {
		buf_deinit(&k->value);
		free(k);
		return rc;
	}
	o->state = k;
	return 0;
}

static void kafka_flush(struct output *o, uint64_t now_ms)
{
	struct kafka *k = o->state;

	if (!k->made || !ipfix_writer_pending(k->make.writer) || now_ms - k->flushed_ms < KAFKA_IPFIX_LINGER_MS)
		return;
	k->flushed_ms = now_ms;
	kafka_finish_message(k);
}

static void kafka_step(struct output *o, uint64_t now_ms)
{
	struct kafka *k = o->state;

	kafka_producer_step(k->producer, now_ms);
	kafka_flush(o, now_ms);
	if (!kafka_producer_pending(k->producer))
		o->progress_ms = now_ms;
}

static int kafka_wait(const struct output *o, uint64_t now_ms, struct pollfd *p)
{
	const struct kafka *k = o->state;
	int due = kafka_producer_wait(k->producer, now_ms, p);
	uint64_t flush = k->flushed_ms + KAFKA_IPFIX_LINGER_MS;

	if (!k->made || !ipfix_writer_pending(k->make.writer))
		return due;
	if (flush <= now_ms)
		return 0;
	return due < 0 || flush - now_ms < (uint64_t)due ? (int)(flush - now_ms) : due;
}

static bool kafka_full(const struct output *o)
{
	const struct kafka *k = o->state;

	return !kafka_producer_room(k->producer, KAFKA_ROOM);
}

static void kafka_finish(struct output *o, uint64_t now_ms)
{
	struct kafka *k = o->state;

	if (k->made && ipfix_writer_pending(k->make.writer))
		kafka_finish_message(k);
	kafka_producer_step(k->producer, now_ms);
}

static bool kafka_idle(const struct output *o)
{
	const struct kafka *k = o->state;

	return !kafka_producer_pending(k->producer) && !(k->made && ipfix_writer_pending(k->make.writer));
}

static void kafka_close(struct output *o)
{
	struct kafka *k = o->state;

	kafka_producer_free(k->producer);
	if (k->made)
		ipfix_make_deinit(&k->make);
	buf_deinit(&k->value);
	free(k);
}

const struct output_ops output_kafka_ops = {
	.open = kafka_open,
	.record = kafka_record,
	.flush = kafka_flush,
	.step = kafka_step,
	.wait = kafka_wait,
	.full = kafka_full,
	.finish = kafka_finish,
	.idle = kafka_idle,
	.close = kafka_close,
};
