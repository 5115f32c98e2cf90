/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kafka: a message per record as JSON, or many records in one of IPFIX. What brokers have not acknowledged waits, within
 * the option queue; beyond that what is new is dropped and counted.
 *
 * A message of IPFIX says all that its records need, so that who reads it needs none before it: templates, the probe's name, the
 * types of elements, and the names of the protocols that it has.
 *
 * With a spool messages wait there, and in memory only those that are on their way.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/addr.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "export/message_make.h"
#include "export/kafka_spool.h"
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
#define KAFKA_OUT 16384 /* messages of a spool that may be on their way; the option queue bounds their octets */

struct kafka {
	struct kafka_producer *producer;
	struct output *output;
	struct output_spool store; /* with option spool */
	bool closing;
	struct buf value;
	uint64_t first; /* sequence of the first record that is in no message yet */
	char stream_id[KAFKA_NUMBER_MAX];
	/* Of IPFIX. */
	struct message_make make;
	bool made;
	uint32_t sequence;   /* of IPFIX messages: data records before */
	uint64_t flushed_ms; /* when a message was last finished because of the time */
	uint64_t beat_ms;    /* when a message is due though there is no record for it */
	uint64_t beats;      /* of these under way */
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

/* The tag is the number of records, or with a spool the batch's; 0 of a heartbeat, which is in no spool. */
static void kafka_answered(void *arg, uint64_t tag, size_t len, const char *why)
{
	struct kafka *k = arg;
	struct shared_output *c = k->output->counters;
	bool spooled = k->store.spool && tag;

	k->beats -= !tag;
	if (why && !spooled)
		shared_add(&c->dropped, tag);
	else if (why && !k->closing) /* at the end it stays in the spool */
		output_spool_refuse(&k->store, tag);
	if (why)
		return;
	if (spooled)
		(void)spool_ack(k->store.spool, tag);
	else
		shared_add(&c->sent, tag);
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

	if (k->store.spool && records)
		kafka_spool_put(&k->store, &m);
	else if (kafka_producer_put(k->producer, &m))
		shared_add(&o->counters->dropped, records);
	else
		k->beats += !records;
}

/* Records on disk that are not acknowledged. */
static uint64_t kafka_spooled(const struct kafka *k)
{
	return k->store.spool ? spool_pending(k->store.spool) : 0;
}

/* What waits in the spool is handed on, as far as there is room. */
static void kafka_send_spooled(struct kafka *k)
{
	struct output *o = k->output;
	struct kafka_message m;
	struct spool_batch b;

	while (kafka_producer_room(k->producer, KAFKA_ROOM) && spool_next(k->store.spool, &b) == 0) {
		if (kafka_spool_read(&b, &m)) {
			if (kafka_producer_put(k->producer, &m))
				output_spool_refuse(&k->store, b.seq);
			continue;
		}
		if (!k->store.refused)
			log_error("%s: %s: batch %llu is no message of Kafka; dropped, as others like it", o->name,
				  o->options.spool, (unsigned long long)b.seq);
		output_spool_refuse(&k->store, b.seq);
	}
	output_spool_count(&k->store);
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

	if (!k->store.spool && !kafka_producer_room(k->producer, 0)) { /* it would be made for nothing */
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

		k->sequence += message_make_stamp(&k->make, m, k->sequence);
		*flows += m->flows;
		buf_put(&k->value, m->data, m->len);
		message_queue_drop(q);
	}
}

/*
 * What the writer has made and has pending becomes one message of Kafka's. All of them have statistics; `beat`: that is enough to send
 * it.
 */
static void kafka_finish_message(struct kafka *k, bool beat)
{
	const char *key = kafka_key_of_all(k->output);
	uint64_t flows = 0;
	size_t len;

	message_make_templates(&k->make); /* what is pending is among the data then */
	buf_reset(&k->value);
	kafka_add_messages(k, &k->make.head, &flows);
	kafka_add_messages(k, &k->make.data, &flows);
	len = k->value.len;
	buf_u64(&k->value, k->first);
	if (k->value.failed)
		shared_add(&k->output->counters->dropped, flows);
	else if (flows || beat)
		kafka_send(k, k->value.len - len, key, key ? strlen(key) : 0, flows);
	k->beat_ms = clock_mono_ms() + k->output->options.heartbeat_ms;
}

/* While something is under way, it says that we are alive once it arrives; brokers that are away need not be told of each time. */
static bool kafka_beats(const struct kafka *k)
{
	return k->made && k->output->options.heartbeat_ms && !message_make_pending(&k->make) &&
	       !kafka_producer_pending(k->producer);
}

static void kafka_beat(struct kafka *k, uint64_t now_ms)
{
	if (!kafka_beats(k) || now_ms < k->beat_ms)
		return;
	k->first = k->output->sequence;
	message_make_name_none(&k->make);
	kafka_finish_message(k, true);
}

static void kafka_ipfix(struct output *o, const struct l7_record *r)
{
	struct kafka *k = o->state;

	if (!message_make_pending(&k->make))
		k->first = r->record_sequence;
	message_make_name_apps(&k->make, r);
	message_make_record(&k->make, r);
	if (k->make.data.head) /* a message is full */
		kafka_finish_message(k, false);
}

/* ---- as an output ---- */

static void kafka_record(struct output *o, const struct l7_record *r)
{
	if (o->format == OUTPUT_JSON)
		kafka_json(o, r);
	else
		kafka_ipfix(o, r);
}

static void kafka_free(struct kafka *k)
{
	k->closing = true;
	kafka_producer_free(k->producer);
	if (k->made)
		message_make_deinit(&k->make);
	output_spool_close(&k->store);
	buf_deinit(&k->value);
	free(k);
}

static int kafka_open(struct output *o, char *err, size_t err_size)
{
	struct kafka_producer_config c = {.uri = o->uri,
					  .name = o->name,
					  .client = "l7probe",
					  .linger_ms = o->format == OUTPUT_JSON ? KAFKA_JSON_LINGER_MS : 0,
					  .watched = uri_option(o->uri, "balance") || uri_option(o->uri, "failover"),
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
		rc = message_make_init(&k->make, o, KAFKA_IPFIX_MESSAGE, err, err_size);
		k->made = !rc;
	}
	if (!rc)
		rc = kafka_producer_new(&k->producer, &c, err, err_size);
	if (!rc && o->options.spool)
		rc = output_spool_open(&k->store, o, KAFKA_OUT, o->options.queue, err, err_size);
	if (rc)
		kafka_free(k);
	else
		o->state = k;
	return rc;
}

static void kafka_flush(struct output *o, uint64_t now_ms)
{
	struct kafka *k = o->state;

	if (!k->made || !message_make_pending(&k->make) || now_ms - k->flushed_ms < KAFKA_IPFIX_LINGER_MS)
		return;
	k->flushed_ms = now_ms;
	kafka_finish_message(k, false);
}

static void kafka_step(struct output *o, uint64_t now_ms)
{
	struct kafka *k = o->state;

	kafka_producer_step(k->producer, now_ms);
	kafka_flush(o, now_ms);
	kafka_beat(k, now_ms);
	if (k->store.spool) {
		spool_step(k->store.spool, now_ms);
		kafka_send_spooled(k);
	}
	if (!kafka_producer_pending(k->producer) && !kafka_spooled(k))
		o->progress_ms = now_ms;
}

static int kafka_wait(const struct output *o, uint64_t now_ms, struct pollfd *p)
{
	const struct kafka *k = o->state;
	int due = kafka_producer_wait(k->producer, now_ms, p);

	if (k->store.spool)
		due = clock_sooner(due, spool_wait(k->store.spool, now_ms, &p[1]));
	if (kafka_beats(k))
		return clock_sooner(due, clock_until(k->beat_ms, now_ms));
	if (k->made && message_make_pending(&k->make))
		return clock_sooner(due, clock_until(k->flushed_ms + KAFKA_IPFIX_LINGER_MS, now_ms));
	return due;
}

static bool kafka_full(const struct output *o)
{
	const struct kafka *k = o->state;

	return k->store.spool ? !spool_room(k->store.spool, KAFKA_ROOM) : !kafka_producer_room(k->producer, KAFKA_ROOM);
}

static void kafka_finish(struct output *o, uint64_t now_ms)
{
	struct kafka *k = o->state;

	if (k->made && message_make_pending(&k->make))
		kafka_finish_message(k, false);
	if (k->store.spool)
		spool_flush(k->store.spool);
	kafka_step(o, now_ms);
}

static bool kafka_idle(const struct output *o)
{
	const struct kafka *k = o->state;

	if (k->made && message_make_pending(&k->make))
		return false;
	if (!k->store.spool)
		return kafka_producer_pending(k->producer) <= k->beats; /* these are not worth waiting for */
	return !kafka_spooled(k) || (kafka_producer_away(k->producer) && spool_settled(k->store.spool));
}

static bool kafka_up(const struct output *o, uint64_t now_ms)
{
	const struct kafka *k = o->state;

	return kafka_producer_up(k->producer, now_ms);
}

static void kafka_close(struct output *o)
{
	kafka_free(o->state);
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
	.up = kafka_up,
	.close = kafka_close,
};
