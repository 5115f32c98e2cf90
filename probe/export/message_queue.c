/* SPDX-License-Identifier: Apache-2.0 */
#include "export/message_queue.h"

#include <stdlib.h>
#include <string.h>

void message_queue_init(struct message_queue *q, size_t max)
{
	memset(q, 0, sizeof(*q));
	q->max = max;
}

size_t message_queue_cost(size_t len)
{
	return sizeof(struct message) + len;
}

struct message *message_queue_put(struct message_queue *q, const void *data, size_t len, uint32_t records,
				  uint32_t flows)
{
	size_t cost = message_queue_cost(len);
	struct message *m;

	if (cost > q->max || q->octets > q->max - cost)
		return NULL;
	m = malloc(cost);
	if (!m)
		return NULL;
	m->next = NULL;
	m->end = 0;
	m->len = (uint32_t)len;
	m->records = records;
	m->flows = flows;
	memcpy(m->data, data, len);
	if (q->tail)
		q->tail->next = m;
	else
		q->head = m;
	q->tail = m;
	q->octets += cost;
	q->flows += flows;
	return m;
}

void message_queue_drop(struct message_queue *q)
{
	struct message *m = q->head;

	q->head = m->next;
	if (!q->head)
		q->tail = NULL;
	q->octets -= message_queue_cost(m->len);
	q->flows -= m->flows;
	free(m);
}

void message_queue_clear(struct message_queue *q)
{
	while (q->head)
		message_queue_drop(q);
}
