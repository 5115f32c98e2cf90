/* SPDX-License-Identifier: Apache-2.0 */
/* The partitions that are ours: where each begins, how far it was read, and what the brokers are told of that. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "kafka/kafka_consumer_internal.h"

#define OFFSETS_PATIENCE_MAX_MS 4000 /* for an answer, after several did not come */
#define OFFSETS_SLOW_MS 2000         /* what does not come in that time is an error */
#define OFFSETS_AGAIN_MS 1000        /* until the next try */
#define OFFSETS_COMMIT_MS 3000       /* for the answer to the offsets of what is given up */
#define OFFSETS_OF "partitions="     /* what stands beside an offset that was told: how many there were at first */

/* ---- partitions ---- */

static size_t partition_place(const struct kafka_consumer *c, int32_t id)
{
	size_t low = 0, high = c->n;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (c->partitions[middle].id < id)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct kafka_partition *kafka_offsets_find(const struct kafka_consumer *c, int32_t id)
{
	size_t at = partition_place(c, id);

	return at < c->n && c->partitions[at].id == id ? &c->partitions[at] : NULL;
}

/* Room for so many more. */
static bool partition_room(struct kafka_consumer *c, size_t more)
{
	struct kafka_partition *p;

	if (c->n + more <= c->room)
		return true;
	p = realloc(c->partitions, (c->n + more) * sizeof(*p));
	if (!p)
		return false;
	c->partitions = p;
	c->room = c->n + more;
	return true;
}

/* There is room. */
static struct kafka_partition *partition_add(struct kafka_consumer *c, int32_t id)
{
	size_t at = partition_place(c, id);

	if (at < c->n && c->partitions[at].id == id)
		return &c->partitions[at];
	memmove(&c->partitions[at + 1], &c->partitions[at], (c->n - at) * sizeof(*c->partitions));
	c->n++;
	c->partitions[at] = (struct kafka_partition){
		.id = id, .next = KAFKA_NOWHERE, .noted = KAFKA_NOWHERE, .committed = KAFKA_NOWHERE};
	return &c->partitions[at];
}

void kafka_offsets_drop(struct kafka_consumer *c, int32_t id)
{
	size_t at = partition_place(c, id);

	if (at == c->n || c->partitions[at].id != id)
		return;
	c->n--;
	memmove(&c->partitions[at], &c->partitions[at + 1], (c->n - at) * sizeof(*c->partitions));
}

struct kafka_partition *kafka_consumer_partition(const struct kafka_consumer *c, size_t i)
{
	return i < c->n ? &c->partitions[i] : NULL;
}

uint64_t kafka_consumer_behind(const struct kafka_consumer *c, const struct kafka_partition *p)
{
	int64_t low, high;

	if (!c->client.rk || p->next == KAFKA_NOWHERE ||
	    rd_kafka_get_watermark_offsets(c->client.rk, c->client.topic_name, p->id, &low, &high) || high <= p->next)
		return 0;
	return (uint64_t)(high - p->next);
}

/* ---- telling the brokers ---- */

void kafka_consumer_note(struct kafka_consumer *c)
{
	for (size_t i = 0; i < c->n; i++)
		c->partitions[i].noted = c->partitions[i].next;
}

/* What was noted and is not told; of those of `only`, if it is not NULL. NULL if there is nothing. */
static rd_kafka_topic_partition_list_t *commit_list(const struct kafka_consumer *c,
						    const rd_kafka_topic_partition_list_t *only)
{
	const char *topic = c->client.topic_name;
	rd_kafka_topic_partition_list_t *list = NULL;

	for (size_t i = 0; i < c->n; i++) {
		const struct kafka_partition *p = &c->partitions[i];
		rd_kafka_topic_partition_t *one;
		char text[32];

		if (p->noted == KAFKA_NOWHERE || p->noted == p->committed ||
		    (only &&
		     !rd_kafka_topic_partition_list_find((rd_kafka_topic_partition_list_t *)only, topic, p->id)))
			continue;
		if (!list)
			list = rd_kafka_topic_partition_list_new((int)c->n);
		one = rd_kafka_topic_partition_list_add(list, topic, p->id);
		one->offset = p->noted;
		snprintf(text, sizeof(text), OFFSETS_OF "%" PRId32, c->n_born);
		one->metadata = strdup(text);
		one->metadata_size = one->metadata ? strlen(text) : 0;
	}
	return list;
}

void kafka_offsets_answer(struct kafka_consumer *c, rd_kafka_event_t *event)
{
	const rd_kafka_topic_partition_list_t *list = rd_kafka_event_topic_partition_list(event);
	rd_kafka_resp_err_t err = rd_kafka_event_error(event);

	for (int i = 0; list && i < list->cnt; i++) {
		const rd_kafka_topic_partition_t *one = &list->elems[i];
		struct kafka_partition *p = kafka_offsets_find(c, one->partition);

		if (!err && !one->err && p && one->offset >= 0) {
			p->committed = one->offset;
			kafka_consumer_works(c);
		} else if (!err) {
			err = one->err;
		}
	}
	switch (err) {
	case RD_KAFKA_RESP_ERR_NO_ERROR:
	case RD_KAFKA_RESP_ERR__NO_OFFSET:
		break;
	case RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION: /* partitions are on the move: the next one has them, or we again */
	case RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS:
	case RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID:
		c->counters.errors++;
		break;
	case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
	case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
		kafka_consumer_error(c, err, "");
		break;
	default:
		kafka_consumer_fails(c, TROUBLE_COMMIT,
				     "the brokers do not take what has been read: ", rd_kafka_err2str(err));
	}
}

void kafka_consumer_commit(struct kafka_consumer *c)
{
	/* While it leaves the group there is no queue: what is noted then is told as partitions go. */
	rd_kafka_topic_partition_list_t *list = c->client.queue ? commit_list(c, NULL) : NULL;

	if (!list)
		return;
	(void)rd_kafka_commit_queue(c->client.rk, list, c->client.queue, NULL, NULL);
	rd_kafka_topic_partition_list_destroy(list);
}

void kafka_offsets_commit(struct kafka_consumer *c, const rd_kafka_topic_partition_list_t *only)
{
	rd_kafka_topic_partition_list_t *list = commit_list(c, only);
	rd_kafka_queue_t *answers;
	rd_kafka_event_t *event = NULL;

	if (!list)
		return;
	answers = rd_kafka_queue_new(c->client.rk);
	if (!rd_kafka_commit_queue(c->client.rk, list, answers, NULL, NULL))
		event = rd_kafka_queue_poll(answers, OFFSETS_COMMIT_MS);
	if (event)
		kafka_offsets_answer(c, event);
	else
		kafka_consumer_fails(c, TROUBLE_COMMIT, "",
				     "the brokers do not answer on what has been read: some is read again");
	if (event)
		rd_kafka_event_destroy(event);
	rd_kafka_queue_destroy(answers);
	rd_kafka_topic_partition_list_destroy(list);
}

/* ---- where partitions begin ---- */

/* The name came with the answer on partitions: nobody is asked. */
static void begin_cluster(struct kafka_consumer *c)
{
	char *name = rd_kafka_clusterid(c->client.rk, 0);

	snprintf(c->cluster, sizeof(c->cluster), "%s", name ? name : "");
	if (name)
		rd_kafka_mem_free(c->client.rk, name);
}

/* How many partitions the topic has. */
static rd_kafka_resp_err_t begin_count(struct kafka_consumer *c)
{
	const struct rd_kafka_metadata *m = NULL;
	rd_kafka_resp_err_t err = rd_kafka_metadata(c->client.rk, 0, c->client.topic, &m, c->patience_ms);

	if (err)
		return err;
	if (m->topic_cnt == 1)
		err = m->topics[0].err;
	if (m->topic_cnt == 1 && !err)
		c->n_topic = m->topics[0].partition_cnt;
	rd_kafka_metadata_destroy(m);
	if (!err)
		begin_cluster(c);
	return err;
}

/* What the group has told of all partitions of the topic. Fills *list, to be destroyed, also on failure. */
static rd_kafka_resp_err_t begin_committed(struct kafka_consumer *c, rd_kafka_topic_partition_list_t **list)
{
	const char *topic = c->client.topic_name;
	rd_kafka_resp_err_t err;

	for (int i = 0; i < c->assigned->cnt; i++)
		if (c->n_topic <= c->assigned->elems[i].partition)
			c->n_topic = c->assigned->elems[i].partition + 1;
	*list = rd_kafka_topic_partition_list_new(c->n_topic);
	for (int32_t i = 0; i < c->n_topic; i++)
		rd_kafka_topic_partition_list_add(*list, topic, i);
	err = rd_kafka_committed(c->client.rk, *list, c->patience_ms);
	for (int i = 0; !err && i < (*list)->cnt; i++)
		err = (*list)->elems[i].err;
	return err;
}

/*
 * How many partitions the topic had when the group was new: those beyond have been added since, and are read from their beginning.
 * It stands beside each offset that we tell. 0: it is not known, another program has told. -1: nobody has, the group is new.
 */
static int32_t begin_known(const struct kafka_consumer *c, const rd_kafka_topic_partition_list_t *told)
{
	int32_t known = -1;

	for (int i = 0; i < told->cnt; i++) {
		const rd_kafka_topic_partition_t *one = &told->elems[i];
		int64_t next, committed;
		char text[32] = "";
		int32_t n = 0;

		if (one->offset < 0) {
			if (known < 0 && c->config.known(c->config.arg, one->partition, &next, &committed))
				known = 0;
			continue;
		}
		if (one->metadata && one->metadata_size < sizeof(text))
			memcpy(text, one->metadata, one->metadata_size);
		if (sscanf(text, OFFSETS_OF "%" SCNd32, &n) != 1 || n < 0)
			n = 0;
		known = n > known ? n : known;
	}
	return known;
}

/* Where one goes on or begins, as librdkafka has it. */
static int64_t begin_at(const struct kafka_consumer *c, const rd_kafka_topic_partition_t *told, int32_t known)
{
	int64_t next, committed;

	if (c->config.known(c->config.arg, told->partition, &next, &committed) &&
	    (told->offset < 0 || (told->offset < next && told->offset >= committed)))
		return next;
	if (told->offset >= 0)
		return told->offset;
	if (c->config.latest && (known < 0 || told->partition < known))
		return RD_KAFKA_OFFSET_END;
	return RD_KAFKA_OFFSET_BEGINNING;
}

/* Numbers for those that begin at their end: what is written from now on is not to be missed, whatever becomes of us. */
static rd_kafka_resp_err_t begin_ends(struct kafka_consumer *c)
{
	rd_kafka_topic_partition_list_t *ends = rd_kafka_topic_partition_list_new(c->assigned->cnt);
	rd_kafka_resp_err_t err = RD_KAFKA_RESP_ERR_NO_ERROR;

	for (int i = 0; i < c->assigned->cnt; i++) {
		const rd_kafka_topic_partition_t *one = &c->assigned->elems[i];

		if (one->offset == RD_KAFKA_OFFSET_END)
			rd_kafka_topic_partition_list_add(ends, one->topic, one->partition)->offset =
				RD_KAFKA_OFFSET_END;
	}
	if (ends->cnt)
		err = rd_kafka_offsets_for_times(c->client.rk, ends, c->patience_ms);
	for (int i = 0; i < ends->cnt && !err; i++) {
		err = ends->elems[i].err;
		if (!err && ends->elems[i].offset < 0)
			err = RD_KAFKA_RESP_ERR__NO_OFFSET;
	}
	for (int i = 0; i < ends->cnt && !err; i++)
		rd_kafka_topic_partition_list_find(c->assigned, ends->elems[i].topic, ends->elems[i].partition)
			->offset = ends->elems[i].offset;
	rd_kafka_topic_partition_list_destroy(ends);
	return err;
}

/* Fills the offsets of what is assigned. */
static rd_kafka_resp_err_t begin_offsets(struct kafka_consumer *c, rd_kafka_topic_partition_list_t *told)
{
	int32_t known = begin_known(c, told);

	c->n_born = known < 0 ? c->n_topic : known;
	for (int i = 0; i < c->assigned->cnt; i++) {
		rd_kafka_topic_partition_t *one = &c->assigned->elems[i];

		one->offset = begin_at(c, rd_kafka_topic_partition_list_find(told, one->topic, one->partition), known);
	}
	return begin_ends(c);
}

/* The places are known: they are ours. */
static void begin_read(struct kafka_consumer *c, const rd_kafka_topic_partition_list_t *told)
{
	bool fresh = false;

	if (!kafka_consumer_assign(c, c->assigned, true))
		return;
	for (int i = 0; i < c->assigned->cnt; i++) {
		const rd_kafka_topic_partition_t *one = &c->assigned->elems[i];
		struct kafka_partition *p = partition_add(c, one->partition);
		int64_t was = told->elems[one->partition].offset;

		p->committed = was >= 0 ? was : KAFKA_NOWHERE;
		p->next = p->noted = one->offset >= 0 ? one->offset : KAFKA_NOWHERE;
		fresh |= was < 0 && one->offset >= 0;
	}
	if (fresh)
		kafka_offsets_commit(c, c->assigned);
	log_info("%s: reads %zu of %" PRId32 " partitions", c->config.name, c->n, c->n_topic);
}

void kafka_offsets_begin(struct kafka_consumer *c, uint64_t now_ms)
{
	rd_kafka_topic_partition_list_t *told = NULL;
	rd_kafka_resp_err_t err;

	if (!partition_room(c, (size_t)c->assigned->cnt)) {
		c->begin_ms = now_ms + OFFSETS_AGAIN_MS;
		kafka_consumer_fails(c, TROUBLE_BEGIN, "", "no memory for partitions");
		return;
	}
	err = begin_count(c);
	if (!err)
		err = begin_committed(c, &told);
	if (!err)
		err = begin_offsets(c, told);
	if (err) {
		c->begin_ms = clock_mono_ms() + OFFSETS_AGAIN_MS;
		c->patience_ms =
			c->patience_ms * 2 < OFFSETS_PATIENCE_MAX_MS ? c->patience_ms * 2 : OFFSETS_PATIENCE_MAX_MS;
		if (err != RD_KAFKA_RESP_ERR__TIMED_OUT || c->patience_ms >= OFFSETS_SLOW_MS)
			kafka_consumer_fails(c, TROUBLE_BEGIN,
					     "the brokers do not say where reading begins: ", rd_kafka_err2str(err));
	} else {
		c->patience_ms = CONSUMER_PATIENCE_MS;
		begin_read(c, told);
		rd_kafka_topic_partition_list_destroy(c->assigned);
		c->assigned = NULL;
		kafka_consumer_works(c);
	}
	if (told)
		rd_kafka_topic_partition_list_destroy(told);
}
