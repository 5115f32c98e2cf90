/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Events of librdkafka, in the order in which they come. A group's partitions come like this:
 *
 *     assigned by the group -> where do they begin? -> read -> about to be revoked: settled, told -> gone
 *                                ^          |
 *                                +-- later -+   the brokers did not answer in time
 */
#include "kafka/kafka_consumer.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/utf8.h"
#include "kafka/kafka_consumer_internal.h"

#define CONSUMER_MESSAGES 256      /* and other events, in one step */
#define CONSUMER_OCTETS (1u << 20) /* of messages in one step, and one more */
#define CONSUMER_CLOSE_MS 5000     /* for leaving the group */
#define CONSUMER_QUIET_MS 15000    /* without an error, until it is said that all is well again */
#define CONSUMER_RENEW_MS 5000     /* until another one is begun in place of one that cannot go on */
#define CONSUMER_WHY 512

static const struct kafka_property consumer_defaults[] = {
	{"client.id", ""}, /* the caller's */
	{"partition.assignment.strategy", "cooperative-sticky"},
	{"check.crcs", "true"},
	/* What waits for us, in octets: few messages are enough, and a large one must not stop the others. */
	{"queued.min.messages", "10000"},
	{"queued.max.messages.kbytes", "16384"},
	{"fetch.max.bytes", "8388608"},
	{"fetch.message.max.bytes", "1048576"},
	{"topic.metadata.refresh.interval.ms", "15000"}, /* partitions that are added are noticed so soon */
	{NULL, NULL},
};

static const struct kafka_property consumer_needed[] = {
	{"group.id", ""}, /* the caller's */
	{"enable.auto.commit", "false"},
	{"enable.auto.offset.store", "false"},
	{"auto.offset.reset", "earliest"}, /* of an offset that is gone; where a new group begins is our business */
	{"enable.partition.eof", "true"},
	{NULL, NULL},
};

int kafka_consumer_check(const struct uri *u, const char *const *own, char *err, size_t err_size)
{
	return kafka_conf_check(u, own, err, err_size);
}

/* ---- what goes wrong ---- */

static enum trouble consumer_trouble(rd_kafka_resp_err_t err)
{
	switch (err) {
	case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
		return TROUBLE_BROKERS;
	case RD_KAFKA_RESP_ERR__TRANSPORT:
	case RD_KAFKA_RESP_ERR__RESOLVE:
	case RD_KAFKA_RESP_ERR__TIMED_OUT:
	case RD_KAFKA_RESP_ERR__SSL:
		return TROUBLE_CONNECTION;
	case RD_KAFKA_RESP_ERR__AUTHENTICATION:
	case RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED:
		return TROUBLE_LOGIN;
	case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
	case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
	case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
	case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
		return TROUBLE_TOPIC;
	case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
		return TROUBLE_GROUP;
	default:
		return TROUBLE_OTHER;
	}
}

/* Counts it, and says it unless one of its kind was said and has not gone since. */
void kafka_consumer_fails(struct kafka_consumer *c, enum trouble what, const char *before, const char *why)
{
	char clean[CONSUMER_WHY];

	c->counters.errors++;
	c->error_ms = clock_mono_ms();
	c->well = false;
	if (c->said & 1u << what)
		return;
	c->said |= 1u << what;
	clean[utf8_clean(clean, sizeof(clean) - 1, why, strlen(why))] = '\0';
	log_warn("%s: %s%s", c->config.name, before, clean);
}

void kafka_consumer_error(struct kafka_consumer *c, rd_kafka_resp_err_t err, const char *text)
{
	const char *topic = kafka_conf_topic(c->config.uri);
	enum trouble what = consumer_trouble(err);
	char why[CONSUMER_WHY];

	switch (err) {
	case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN: /* it follows what says why */
		kafka_consumer_fails(c, what, "", "no broker can be reached; trying on");
		return;
	case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
	case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
	case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
		snprintf(why, sizeof(why), "the brokers have no topic %s (yet)", topic);
		break;
	case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
		snprintf(why, sizeof(why), "we may not read topic %s: the brokers want an ACL that allows Read", topic);
		break;
	case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
		snprintf(why, sizeof(why), "we may not be in group %s: the brokers want an ACL that allows Read",
			 c->config.group);
		break;
	default:
		snprintf(why, sizeof(why), "%s", text);
	}
	kafka_consumer_fails(c, what, "", why);
}

void kafka_consumer_works(struct kafka_consumer *c)
{
	c->well = true;
}

/* What was said is over when it has not come again for a while, and something else came. */
static void consumer_quiet(struct kafka_consumer *c, uint64_t now_ms)
{
	if (!c->said || !c->well || now_ms < c->error_ms + CONSUMER_QUIET_MS)
		return;
	c->said = 0;
	log_info("%s: all is well again", c->config.name);
}

/* ---- coming and going ---- */

static bool consumer_cooperative(const struct kafka_consumer *c)
{
	const char *protocol = rd_kafka_rebalance_protocol(c->client.rk);

	return protocol && strcmp(protocol, "COOPERATIVE") == 0;
}

bool kafka_consumer_assign(struct kafka_consumer *c, const rd_kafka_topic_partition_list_t *list, bool more)
{
	rd_kafka_error_t *error = NULL;
	rd_kafka_resp_err_t err = RD_KAFKA_RESP_ERR_NO_ERROR;

	if (consumer_cooperative(c))
		error = more ? rd_kafka_incremental_assign(c->client.rk, list)
			     : rd_kafka_incremental_unassign(c->client.rk, list);
	else
		err = rd_kafka_assign(c->client.rk, more ? list : NULL);
	if (error) {
		kafka_consumer_fails(c, TROUBLE_OTHER, "", rd_kafka_error_string(error));
		rd_kafka_error_destroy(error);
		return false;
	}
	if (err)
		kafka_consumer_fails(c, TROUBLE_OTHER, "", rd_kafka_err2str(err));
	return !err;
}

/* The group waits for a word on what it has given us: nothing of it is taken. */
static void consumer_decline(struct kafka_consumer *c)
{
	rd_kafka_topic_partition_list_t *none = rd_kafka_topic_partition_list_new(0);

	(void)kafka_consumer_assign(c, none, true);
	rd_kafka_topic_partition_list_destroy(none);
}

static void consumer_forget(struct kafka_consumer *c)
{
	if (c->assigned)
		rd_kafka_topic_partition_list_destroy(c->assigned);
	c->assigned = NULL;
}

/*
 * They go, and what was read of them is told before, unless it is too late for that: then it is read again by whoever gets them, but not
 * by us, who know of it.
 */
static void consumer_revoked(struct kafka_consumer *c, const rd_kafka_topic_partition_list_t *list)
{
	bool settled;

	consumer_forget(c);
	settled = c->n && c->config.settle(c->config.arg);
	if (rd_kafka_assignment_lost(c->client.rk))
		log_warn("%s: out of touch with the group for too long: what was read since it was last told may be "
			 "read again by others",
			 c->config.name);
	else if (settled)
		kafka_offsets_commit(c, list);
	for (int i = 0; i < list->cnt; i++)
		kafka_offsets_drop(c, list->elems[i].partition);
	(void)kafka_consumer_assign(c, list, false);
	log_info("%s: gives up %d partitions, reads %zu", c->config.name, list->cnt, c->n);
}

static void consumer_rebalance(struct kafka_consumer *c, rd_kafka_event_t *event)
{
	const rd_kafka_topic_partition_list_t *list = rd_kafka_event_topic_partition_list(event);
	rd_kafka_resp_err_t err = rd_kafka_event_error(event);

	c->counters.rebalances++;
	if (err == RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS) {
		consumer_revoked(c, list);
		return;
	}
	if (err != RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS || c->closing || list->cnt == 0) {
		consumer_decline(c);
		return;
	}
	consumer_forget(c);
	c->assigned = rd_kafka_topic_partition_list_copy(list);
	c->begin_ms = 0;
}

/* ---- messages ---- */

bool kafka_taken_header(const struct kafka_taken *m, const char *name, const void **value, size_t *len)
{
	rd_kafka_headers_t *headers = NULL;

	return !rd_kafka_message_headers(m->message, &headers) &&
	       !rd_kafka_header_get_last(headers, name, value, len) && *value;
}

/* Offsets are missing. Where the brokers have dropped them they are lost; else they never were a message's. */
static void consumer_gap(struct kafka_consumer *c, const struct kafka_partition *p)
{
	int64_t low = 0, high = 0;
	char why[128];

	if (rd_kafka_get_watermark_offsets(c->client.rk, c->client.topic_name, p->id, &low, &high) || low <= p->next)
		return;
	c->counters.gone += (uint64_t)(low - p->next);
	snprintf(why, sizeof(why),
		 "%" PRId64 " messages of partition %" PRId32 " were dropped there before they were read",
		 low - p->next, p->id);
	log_warn("%s: %s", c->config.name, why);
}

/* Returns its octets. */
static size_t consumer_message(struct kafka_consumer *c, const rd_kafka_message_t *m)
{
	struct kafka_partition *p = kafka_offsets_find(c, m->partition);
	rd_kafka_timestamp_type_t kind;
	struct kafka_taken taken = {
		.value = m->payload, .len = m->len, .offset = m->offset, .partition = p, .message = m};
	int64_t time_ms = rd_kafka_message_timestamp(m, &kind);

	if (m->err) {
		kafka_consumer_error(c, m->err, rd_kafka_message_errstr(m));
		return 0;
	}
	if (!p || c->closing) /* not ours any more */
		return 0;
	if (p->next != KAFKA_NOWHERE && m->offset > p->next)
		consumer_gap(c, p);
	taken.time_ms = kind == RD_KAFKA_TIMESTAMP_NOT_AVAILABLE || time_ms < 0 ? 0 : (uint64_t)time_ms;
	c->config.take(c->config.arg, &taken);
	p->next = m->offset + 1;
	if (taken.time_ms > p->newest_ms)
		p->newest_ms = taken.time_ms;
	c->counters.messages++;
	kafka_consumer_works(c);
	return m->len;
}

/* ---- events ---- */

static void consumer_event_error(struct kafka_consumer *c, rd_kafka_event_t *event)
{
	rd_kafka_resp_err_t err = rd_kafka_event_error(event);
	rd_kafka_topic_partition_t *at;
	struct kafka_partition *p;
	char why[CONSUMER_WHY];

	if (err == RD_KAFKA_RESP_ERR__FATAL) {
		err = rd_kafka_fatal_error(c->client.rk, why, sizeof(why));
		kafka_consumer_error(c, err, why);
		c->renew_ms = clock_mono_ms() + CONSUMER_RENEW_MS;
	} else if (err != RD_KAFKA_RESP_ERR__PARTITION_EOF) {
		kafka_consumer_error(c, err, rd_kafka_event_error_string(event));
	} else if ((at = rd_kafka_event_topic_partition(event))) {
		/* Nothing was there to be read: its end is where the next one will be. */
		p = kafka_offsets_find(c, at->partition);
		if (p && p->next == KAFKA_NOWHERE)
			p->next = at->offset;
		rd_kafka_topic_partition_destroy(at);
		kafka_consumer_works(c);
	}
}

/* Returns the octets of its messages. */
static size_t consumer_event(struct kafka_consumer *c, rd_kafka_event_t *event)
{
	const rd_kafka_message_t *m;
	size_t octets = 0;

	switch (rd_kafka_event_type(event)) {
	case RD_KAFKA_EVENT_FETCH:
		while ((m = rd_kafka_event_message_next(event)))
			octets += consumer_message(c, m);
		break;
	case RD_KAFKA_EVENT_REBALANCE:
		consumer_rebalance(c, event);
		break;
	case RD_KAFKA_EVENT_OFFSET_COMMIT:
		kafka_offsets_answer(c, event);
		break;
	case RD_KAFKA_EVENT_ERROR:
		consumer_event_error(c, event);
		break;
	case RD_KAFKA_EVENT_LOG:
		kafka_client_log(&c->client, event);
		break;
	default:
		break;
	}
	rd_kafka_event_destroy(event);
	return octets;
}

/* ---- starting and stopping ---- */

static int consumer_start(struct kafka_consumer *c, char *why, size_t why_size)
{
	rd_kafka_topic_partition_list_t *topics;
	rd_kafka_resp_err_t err;
	int rc = kafka_client_start(&c->client, why, why_size);

	if (rc)
		return rc;
	topics = rd_kafka_topic_partition_list_new(1);
	rd_kafka_topic_partition_list_add(topics, c->client.topic_name, RD_KAFKA_PARTITION_UA);
	err = rd_kafka_subscribe(c->client.rk, topics);
	rd_kafka_topic_partition_list_destroy(topics);
	if (!err)
		return 0;
	snprintf(why, why_size, "%s", rd_kafka_err2str(err));
	return -EINVAL;
}

/* Leaves the group: what is ours is revoked, which comes as an event. */
static void consumer_leave(struct kafka_consumer *c)
{
	uint64_t until = clock_mono_ms() + CONSUMER_CLOSE_MS, now;
	rd_kafka_queue_t *last = rd_kafka_queue_new(c->client.rk);
	rd_kafka_error_t *error = rd_kafka_consumer_close_queue(c->client.rk, last);

	while (!error && !rd_kafka_consumer_closed(c->client.rk) && (now = clock_mono_ms()) < until) {
		rd_kafka_event_t *event = rd_kafka_queue_poll(last, (int)(until - now < 100 ? until - now : 100));

		if (event)
			(void)consumer_event(c, event);
	}
	if (error)
		rd_kafka_error_destroy(error);
	rd_kafka_queue_destroy(last);
}

static void consumer_stop(struct kafka_consumer *c)
{
	kafka_client_mute(&c->client);
	if (c->assigned)
		consumer_decline(c);
	consumer_forget(c);
	if (c->client.rk) {
		c->closing = true;
		consumer_leave(c);
	}
	kafka_client_stop(&c->client);
	c->closing = false;
	c->n = 0;
}

/* librdkafka has given this one up: another one goes on. */
static void consumer_renew(struct kafka_consumer *c, uint64_t now_ms)
{
	char why[CONSUMER_WHY];

	if (c->n)
		(void)c->config.settle(c->config.arg);
	consumer_stop(c);
	c->renew_ms = 0;
	if (!consumer_start(c, why, sizeof(why)))
		return;
	kafka_consumer_fails(c, TROUBLE_OTHER, "", why);
	c->renew_ms = now_ms + CONSUMER_RENEW_MS;
}

/* ---- the interface ---- */

int kafka_consumer_new(struct kafka_consumer **out, const struct kafka_consumer_config *config, char *err,
		       size_t err_size)
{
	struct kafka_property defaults[sizeof(consumer_defaults) / sizeof(consumer_defaults[0])];
	struct kafka_property needed[sizeof(consumer_needed) / sizeof(consumer_needed[0])];
	struct kafka_consumer *c = calloc(1, sizeof(*c));
	char why[CONSUMER_WHY];
	int rc;

	if (!c) {
		snprintf(err, err_size, "%s: no memory", config->name);
		return -ENOMEM;
	}
	c->config = *config;
	c->patience_ms = CONSUMER_PATIENCE_MS;
	c->client = (struct kafka_client){.type = RD_KAFKA_CONSUMER,
					  .name = config->name,
					  .topic_name = kafka_conf_topic(config->uri),
					  .event = -1};
	memcpy(defaults, consumer_defaults, sizeof(defaults));
	memcpy(needed, consumer_needed, sizeof(needed));
	defaults[0].value = config->client;
	needed[0].value = config->group;
	rc = kafka_conf_new(&c->client.conf, config->uri, defaults, needed, err, err_size);
	if (!rc) {
		rd_kafka_conf_set_events(c->client.conf, RD_KAFKA_EVENT_FETCH | RD_KAFKA_EVENT_REBALANCE |
								 RD_KAFKA_EVENT_OFFSET_COMMIT | RD_KAFKA_EVENT_ERROR |
								 RD_KAFKA_EVENT_LOG);
		rc = consumer_start(c, why, sizeof(why));
		if (rc)
			snprintf(err, err_size, "%s: %s", config->name, why);
	}
	if (rc)
		kafka_consumer_free(c);
	else
		*out = c;
	return rc;
}

bool kafka_consumer_step(struct kafka_consumer *c, uint64_t now_ms)
{
	rd_kafka_event_t *event;
	size_t octets = 0;
	unsigned left = CONSUMER_MESSAGES;
	bool more = true;

	kafka_client_wake(&c->client);
	if (c->renew_ms && now_ms >= c->renew_ms)
		consumer_renew(c, now_ms);
	if (c->assigned && now_ms >= c->begin_ms)
		kafka_offsets_begin(c, now_ms);
	for (; c->client.queue && more && left && octets < CONSUMER_OCTETS; left--) {
		event = rd_kafka_queue_poll(c->client.queue, 0);
		more = event != NULL;
		if (event)
			octets += consumer_event(c, event);
	}
	consumer_quiet(c, now_ms);
	return c->client.queue && (more || (c->assigned && c->begin_ms == 0));
}

void kafka_consumer_wait(const struct kafka_consumer *c, struct pollfd *fd)
{
	kafka_client_wait(&c->client, fd);
}

const char *kafka_consumer_cluster(const struct kafka_consumer *c)
{
	return c->cluster;
}

const struct kafka_consumer_counters *kafka_consumer_counters(const struct kafka_consumer *c)
{
	return &c->counters;
}

void kafka_consumer_free(struct kafka_consumer *c)
{
	if (!c)
		return;
	consumer_stop(c);
	kafka_client_deinit(&c->client);
	free(c->partitions);
	free(c);
}
