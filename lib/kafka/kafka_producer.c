/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every message is ours until its answer has come: librdkafka is lent it, and what it gives back as refused can be sent again.
 *
 *     put -> sent to librdkafka -> acknowledged
 *               |        ^
 *            refused     | first one message, and if that is taken all, in their order
 *               v        |
 *              waiting --+  <- put, while there is one
 */
#include "kafka/kafka_producer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "kafka/kafka_client.h"
#include "kafka/kafka_conf.h"

#define PRODUCER_MESSAGE_COST 320 /* octets of librdkafka's for a message, about */
#define PRODUCER_HEADER_COST 112  /* likewise */
#define PRODUCER_RETRY_MS 500
#define PRODUCER_RETRY_MAX_MS 15000
#define PRODUCER_FULL_MS 10 /* librdkafka has no room, which ours should not let happen */
#define PRODUCER_SAY_MS 60000
#define PRODUCER_LINGER_MS 2000 /* for what was on its way to librdkafka's threads, at the end */
#define PRODUCER_EVENTS 256     /* in one step */
#define PRODUCER_STALL_MS 10000 /* without an answer: as good as away */

/* Value, key, then the names and values of headers stand one after the other in octets[]. */
struct kept {
	struct kept *next; /* waiting, or lent */
	struct kept *prev; /* lent */
	uint64_t number;   /* order in which they were put */
	uint64_t tag;
	size_t cost;
	uint32_t len;
	uint32_t key_len; /* KEPT_NO_KEY: none */
	uint32_t n_headers;
	struct {
		uint16_t name, value;
	} headers[KAFKA_HEADERS_MAX]; /* octets of each; a name ends with a zero, which counts */
	char octets[];
};

#define KEPT_NO_KEY UINT32_MAX

struct kafka_producer {
	struct kafka_producer_config config;
	struct kafka_producer_counters counters;
	struct kafka_client client;
	struct kept *waiting; /* by number; not lent to librdkafka */
	struct kept *last;    /* of them */
	struct kept *placed;  /* of them: the one that was put among them last, NULL for none */
	struct kept *lent;    /* in no order */
	uint64_t n_waiting;
	uint64_t n_lent;
	uint64_t number;     /* of the next message */
	size_t octets;       /* of all that have no answer */
	bool blocked;        /* refused: one message at a time, until one is taken */
	bool fatal;          /* librdkafka has given this producer up */
	bool more;           /* events were left for the next step */
	bool closing;        /* nothing is tried again */
	bool said;           /* that something fails */
	bool connected;      /* to a broker, as of the last statistics */
	uint64_t acked_ms;   /* when one was last acknowledged, or the first put */
	uint64_t retry_ms;   /* nothing waiting is lent before */
	uint64_t backoff_ms; /* until the next try, if this one fails */
	uint64_t say_ms;
	rd_kafka_resp_err_t said_err;
};

static const struct kafka_property producer_defaults[] = {
	{"client.id", ""}, /* the caller's, as the next */
	{"linger.ms", "5"},
	{"acks", "all"},
	{"enable.idempotence", "true"},
	{"message.timeout.ms", "0"}, /* never given up: a queue that is full drops what is new */
	{"partitioner", "murmur2_random"},
	{"compression.codec", "lz4"},
	{"topic.metadata.propagation.max.ms", "5000"}, /* until a topic that is not there is said to be none */
	{NULL, NULL},
};

static const struct kafka_property producer_fixed[] = {
	/* Ours says what is kept, in octets. */
	{"queue.buffering.max.messages", "10000000"},
	{"queue.buffering.max.kbytes", "2147483647"},
	{NULL, NULL},
};

/* And of one that is watched. */
static const struct kafka_property producer_fixed_watched[] = {
	{"queue.buffering.max.messages", "10000000"},
	{"queue.buffering.max.kbytes", "2147483647"},
	{"statistics.interval.ms", "1000"},
	{NULL, NULL},
};

int kafka_producer_check(const struct uri *u, const char *const *own, char *err, size_t err_size)
{
	return kafka_conf_check(u, own, err, err_size);
}

/* ---- starting ---- */

int kafka_producer_new(struct kafka_producer **out, const struct kafka_producer_config *c, char *err, size_t err_size)
{
	struct kafka_producer *p = calloc(1, sizeof(*p));
	struct kafka_property defaults[sizeof(producer_defaults) / sizeof(producer_defaults[0])];
	char why[256], linger[16];
	int rc;

	if (!p) {
		snprintf(err, err_size, "%s: no memory", c->name);
		return -ENOMEM;
	}
	p->config = *c;
	p->backoff_ms = PRODUCER_RETRY_MS;
	p->client = (struct kafka_client){
		.type = RD_KAFKA_PRODUCER, .name = c->name, .topic_name = kafka_conf_topic(c->uri), .event = -1};
	memcpy(defaults, producer_defaults, sizeof(defaults));
	defaults[0].value = c->client;
	snprintf(linger, sizeof(linger), "%u", c->linger_ms);
	if (c->linger_ms)
		defaults[1].value = linger;
	rc = kafka_conf_new(&p->client.conf, c->uri, defaults, c->watched ? producer_fixed_watched : producer_fixed,
			    err, err_size);
	if (!rc) {
		rd_kafka_conf_set_events(p->client.conf, RD_KAFKA_EVENT_DR | RD_KAFKA_EVENT_ERROR | RD_KAFKA_EVENT_LOG |
								 (c->watched ? RD_KAFKA_EVENT_STATS : 0));
		rc = kafka_client_start(&p->client, why, sizeof(why));
		if (rc)
			snprintf(err, err_size, "%s: %s", c->name, why);
	}
	if (rc)
		kafka_producer_free(p);
	else
		*out = p;
	return rc;
}

/* ---- what is kept ---- */

static size_t kept_cost(size_t octets, size_t n_headers)
{
	return sizeof(struct kept) + octets + PRODUCER_MESSAGE_COST + n_headers * PRODUCER_HEADER_COST;
}

static size_t kept_octets(const struct kafka_message *m)
{
	size_t octets = m->len + m->key_len;

	for (size_t i = 0; i < m->n_headers; i++)
		octets += strlen(m->headers[i].name) + 1 + m->headers[i].len;
	return octets;
}

static struct kept *kept_new(const struct kafka_message *m, size_t octets)
{
	struct kept *k = malloc(sizeof(*k) + octets);
	char *to;

	if (!k)
		return NULL;
	k->next = NULL;
	k->tag = m->tag;
	k->cost = kept_cost(octets, m->n_headers);
	k->len = (uint32_t)m->len;
	k->key_len = m->key ? (uint32_t)m->key_len : KEPT_NO_KEY;
	k->n_headers = (uint32_t)m->n_headers;
	to = mempcpy(k->octets, m->value, m->len);
	if (m->key)
		to = mempcpy(to, m->key, m->key_len);
	for (size_t i = 0; i < m->n_headers; i++) {
		const struct kafka_header *h = &m->headers[i];

		k->headers[i].name = (uint16_t)(strlen(h->name) + 1);
		k->headers[i].value = (uint16_t)h->len;
		to = mempcpy(to, h->name, k->headers[i].name);
		to = mempcpy(to, h->value, h->len);
	}
	return k;
}

/* The answer has come; NULL for acknowledged. */
static void kept_answer(struct kafka_producer *p, struct kept *k, const char *why)
{
	p->octets -= k->cost;
	p->counters.acknowledged += !why;
	p->counters.lost += why != NULL;
	p->config.answer(p->config.arg, k->tag, k->len, why);
	free(k);
}

/* Puts one that was refused in its place. They come back mostly in order: the search goes on from the one before. */
static void kept_wait(struct kafka_producer *p, struct kept *k)
{
	struct kept *before = NULL;

	if (p->last && p->last->number < k->number)
		before = p->last;
	else if (p->placed && p->placed->number < k->number)
		before = p->placed;
	while (before ? before->next && before->next->number < k->number : p->waiting && p->waiting->number < k->number)
		before = before ? before->next : p->waiting;
	k->next = before ? before->next : p->waiting;
	if (before)
		before->next = k;
	else
		p->waiting = k;
	if (!k->next)
		p->last = k;
	p->placed = k;
	p->n_waiting++;
}

static struct kept *kept_take(struct kafka_producer *p)
{
	struct kept *k = p->waiting;

	p->waiting = k->next;
	if (!p->waiting)
		p->last = NULL;
	if (p->placed == k)
		p->placed = NULL;
	k->next = NULL;
	p->n_waiting--;
	return k;
}

/* ---- to librdkafka ---- */

static rd_kafka_headers_t *producer_headers(const struct kept *k)
{
	const char *at = k->octets + k->len + (k->key_len == KEPT_NO_KEY ? 0 : k->key_len);
	rd_kafka_headers_t *h = k->n_headers ? rd_kafka_headers_new(k->n_headers) : NULL;

	for (uint32_t i = 0; i < k->n_headers; i++) {
		const char *value = at + k->headers[i].name;

		(void)rd_kafka_header_add(h, at, k->headers[i].name - 1, value, k->headers[i].value);
		at = value + k->headers[i].value;
	}
	return h;
}

/* Lends it a message. On failure the message is still the caller's. */
static rd_kafka_resp_err_t producer_lend(struct kafka_producer *p, struct kept *k)
{
	bool keyed = k->key_len != KEPT_NO_KEY;
	rd_kafka_vu_t with[] = {
		{.vtype = RD_KAFKA_VTYPE_RKT, .u.rkt = p->client.topic},
		{.vtype = RD_KAFKA_VTYPE_VALUE, .u.mem = {.ptr = k->octets, .size = k->len}},
		{.vtype = RD_KAFKA_VTYPE_KEY,
		 .u.mem = {.ptr = keyed ? k->octets + k->len : NULL, .size = keyed ? k->key_len : 0}},
		{.vtype = RD_KAFKA_VTYPE_OPAQUE, .u.ptr = k},
		{.vtype = RD_KAFKA_VTYPE_HEADERS, .u.headers = producer_headers(k)},
	};
	size_t n = sizeof(with) / sizeof(with[0]) - (k->n_headers == 0);
	rd_kafka_error_t *error = rd_kafka_produceva(p->client.rk, with, n);
	rd_kafka_resp_err_t err = RD_KAFKA_RESP_ERR_NO_ERROR;

	if (error) {
		err = rd_kafka_error_code(error);
		rd_kafka_error_destroy(error);
		if (k->n_headers)
			rd_kafka_headers_destroy(with[4].u.headers);
		return err;
	}
	p->n_lent++;
	k->prev = NULL;
	k->next = p->lent;
	if (p->lent)
		p->lent->prev = k;
	p->lent = k;
	return err;
}

static void producer_returned(struct kafka_producer *p, struct kept *k)
{
	p->n_lent--;
	if (k->next)
		k->next->prev = k->prev;
	if (k->prev)
		k->prev->next = k->next;
	else
		p->lent = k->next;
}

/* True if no broker will ever take this message. */
static bool producer_hopeless(rd_kafka_resp_err_t err)
{
	switch (err) {
	case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
	case RD_KAFKA_RESP_ERR_INVALID_MSG:
	case RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE:
	case RD_KAFKA_RESP_ERR_INVALID_RECORD:
	case RD_KAFKA_RESP_ERR__MSG_TIMED_OUT: /* the user has set a time */
		return true;
	default:
		return false;
	}
}

/* Said when it begins, when the reason is another, and then once in a while. */
static void producer_say(struct kafka_producer *p, rd_kafka_resp_err_t err, const char *why)
{
	const char *topic = kafka_conf_topic(p->config.uri);
	uint64_t now = clock_mono_ms();

	p->counters.errors++;
	if (p->closing || (p->said && p->said_err == err && now < p->say_ms))
		return;
	if (err == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC || err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART)
		log_warn("%s: the brokers have no topic %s; trying on", p->config.name, topic);
	else if (err == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED)
		log_warn("%s: this user may not write to topic %s; trying on", p->config.name, topic);
	else
		log_warn("%s: %s%s", p->config.name, why, producer_hopeless(err) ? ": it is left out" : "; trying on");
	p->said = true;
	p->said_err = err;
	p->say_ms = now + PRODUCER_SAY_MS;
}

static uint64_t producer_back_off(struct kafka_producer *p, uint64_t now_ms)
{
	uint64_t at = now_ms + p->backoff_ms;

	p->backoff_ms = 2 * p->backoff_ms < PRODUCER_RETRY_MAX_MS ? 2 * p->backoff_ms : PRODUCER_RETRY_MAX_MS;
	return at;
}

/* Librdkafka or a broker did not take it: it waits, or is lost. */
static void producer_refused(struct kafka_producer *p, struct kept *k, rd_kafka_resp_err_t err)
{
	uint64_t now = clock_mono_ms();

	if (p->closing || producer_hopeless(err)) {
		if (!p->closing)
			producer_say(p, err, rd_kafka_err2str(err));
		kept_answer(p, k, rd_kafka_err2str(err));
		return;
	}
	kept_wait(p, k);
	p->counters.again++;
	if (rd_kafka_fatal_error(p->client.rk, NULL, 0)) /* it is told as what it comes from, too */
		p->fatal = true;
	else if (err == RD_KAFKA_RESP_ERR__QUEUE_FULL)
		p->retry_ms = now + PRODUCER_FULL_MS;
	if (p->fatal || err == RD_KAFKA_RESP_ERR__QUEUE_FULL)
		return;
	producer_say(p, err, rd_kafka_err2str(err));
	if (p->blocked && now < p->retry_ms) /* others of the same try */
		return;
	p->blocked = true;
	p->retry_ms = producer_back_off(p, now);
}

/* What waits is lent, in its order: all, or while we are refused one. */
static void producer_lend_waiting(struct kafka_producer *p, uint64_t now_ms)
{
	while (p->waiting && !p->fatal && now_ms >= p->retry_ms && !(p->blocked && p->n_lent)) {
		struct kept *k = kept_take(p);
		rd_kafka_resp_err_t err = producer_lend(p, k);

		if (err)
			producer_refused(p, k, err);
		if (err && !producer_hopeless(err))
			return;
	}
}

/* ---- from librdkafka ---- */

static void producer_acknowledged(struct kafka_producer *p, struct kept *k)
{
	if (p->said)
		log_info("%s: messages are taken again", p->config.name);
	p->said = p->blocked = false;
	p->acked_ms = clock_mono_ms();
	p->backoff_ms = PRODUCER_RETRY_MS;
	kept_answer(p, k, NULL);
}

static void producer_reports(struct kafka_producer *p, rd_kafka_event_t *event)
{
	const rd_kafka_message_t *m;

	while ((m = rd_kafka_event_message_next(event))) {
		struct kept *k = m->_private;

		producer_returned(p, k);
		if (m->err)
			producer_refused(p, k, m->err);
		else
			producer_acknowledged(p, k);
	}
}

static void producer_error(struct kafka_producer *p, rd_kafka_event_t *event)
{
	rd_kafka_resp_err_t err = rd_kafka_event_error(event);
	char why[512];

	if (err == RD_KAFKA_RESP_ERR__FATAL) {
		p->fatal = true;
		err = rd_kafka_fatal_error(p->client.rk, why, sizeof(why));
		producer_say(p, err, why);
	} else if (err != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN || !p->said) { /* it follows what says why */
		producer_say(p, err, rd_kafka_event_error_string(event));
	}
}

/* Of its statistics, which are JSON, the state of each broker. */
static void producer_statistics(struct kafka_producer *p, rd_kafka_event_t *event)
{
	const char *text = rd_kafka_event_stats(event);

	p->connected = text && strstr(text, "\"state\":\"UP\"");
}

static void producer_event(struct kafka_producer *p, rd_kafka_event_t *event)
{
	switch (rd_kafka_event_type(event)) {
	case RD_KAFKA_EVENT_DR:
		producer_reports(p, event);
		break;
	case RD_KAFKA_EVENT_ERROR:
		producer_error(p, event);
		break;
	case RD_KAFKA_EVENT_LOG:
		kafka_client_log(&p->client, event);
		break;
	case RD_KAFKA_EVENT_STATS:
		producer_statistics(p, event);
		break;
	default:
		break;
	}
	rd_kafka_event_destroy(event);
}

/* Takes back all that is lent: an answer comes for each. */
static void producer_take_back(struct kafka_producer *p)
{
	uint64_t until = clock_mono_ms() + PRODUCER_LINGER_MS, now;

	(void)rd_kafka_purge(p->client.rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
	while (p->n_lent && (now = clock_mono_ms()) < until) {
		rd_kafka_event_t *event = rd_kafka_queue_poll(p->client.queue, (int)(until - now));

		if (event)
			producer_event(p, event);
	}
}

/* Brokers and this producer do not agree any more on what was sent: another one sends what has no answer. */
static void producer_renew(struct kafka_producer *p, uint64_t now_ms)
{
	char why[256];

	if (p->client.rk) {
		producer_take_back(p);
		kafka_client_stop(&p->client);
	}
	p->retry_ms = producer_back_off(p, now_ms);
	if (kafka_client_start(&p->client, why, sizeof(why))) {
		producer_say(p, RD_KAFKA_RESP_ERR__FAIL, why);
		kafka_client_stop(&p->client);
		return;
	}
	p->fatal = false;
}

/* ---- the interface ---- */

bool kafka_producer_room(const struct kafka_producer *p, size_t octets)
{
	return p->octets + kept_cost(octets, KAFKA_HEADERS_MAX) <= p->config.queue;
}

int kafka_producer_put(struct kafka_producer *p, const struct kafka_message *m)
{
	size_t octets = kept_octets(m);
	rd_kafka_resp_err_t err;
	struct kept *k;

	if (m->len >= UINT32_MAX || m->key_len > UINT16_MAX || m->n_headers > KAFKA_HEADERS_MAX)
		return -EMSGSIZE;
	if (p->octets + kept_cost(octets, m->n_headers) > p->config.queue)
		return -ENOBUFS;
	k = kept_new(m, octets);
	if (!k)
		return -ENOBUFS;
	if (!kafka_producer_pending(p))
		p->acked_ms = clock_mono_ms();
	k->number = p->number++;
	p->octets += k->cost;
	if (p->waiting || p->blocked || p->fatal) {
		kept_wait(p, k);
		return 0;
	}
	err = producer_lend(p, k);
	if (err == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE) {
		p->octets -= k->cost;
		p->counters.lost++;
		free(k);
		producer_say(p, err, rd_kafka_err2str(err));
		return -EMSGSIZE;
	}
	if (err)
		producer_refused(p, k, err);
	return 0;
}

void kafka_producer_step(struct kafka_producer *p, uint64_t now_ms)
{
	rd_kafka_event_t *event;

	kafka_client_wake(&p->client);
	p->more = false;
	for (int i = 0; p->client.queue && !p->more && (event = rd_kafka_queue_poll(p->client.queue, 0)); i++) {
		producer_event(p, event);
		p->more = i == PRODUCER_EVENTS;
	}
	if (p->fatal && now_ms >= p->retry_ms)
		producer_renew(p, now_ms);
	producer_lend_waiting(p, now_ms);
}

int kafka_producer_wait(const struct kafka_producer *p, uint64_t now_ms, struct pollfd *fd)
{
	kafka_client_wait(&p->client, fd);
	if (p->more)
		return 0;
	if (!p->fatal && (!p->waiting || (p->blocked && p->n_lent)))
		return -1;
	return clock_until(p->retry_ms, now_ms);
}

bool kafka_producer_away(const struct kafka_producer *p)
{
	return p->said && !producer_hopeless(p->said_err);
}

bool kafka_producer_up(const struct kafka_producer *p, uint64_t now_ms)
{
	bool stalled = kafka_producer_pending(p) && now_ms >= p->acked_ms + PRODUCER_STALL_MS;

	return p->connected && !p->fatal && !p->blocked && !stalled;
}

uint64_t kafka_producer_pending(const struct kafka_producer *p)
{
	return p->n_waiting + p->n_lent;
}

const struct kafka_producer_counters *kafka_producer_counters(const struct kafka_producer *p)
{
	return &p->counters;
}

void kafka_producer_free(struct kafka_producer *p)
{
	if (!p)
		return;
	p->closing = true;
	if (p->client.rk && p->client.queue)
		producer_take_back(p);
	while (p->waiting)
		kept_answer(p, kept_take(p), "there was no time left to send it");
	for (const struct kept *k = p->lent; k; k = k->next)
		p->config.answer(p->config.arg, k->tag, k->len, "the library did not give it back");
	/* A thread that looks up a name cannot be stopped, nor what it may use be freed: we do not wait for it, as the process ends. */
	if (!p->lent)
		kafka_client_stop(&p->client);
	kafka_client_deinit(&p->client);
	free(p);
}
