/* SPDX-License-Identifier: Apache-2.0 */
#include "spool/spool_buffer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int spool_buffer_init(struct spool_buffer *b, size_t size, uint64_t seq)
{
	*b = (struct spool_buffer){.data = malloc(size), .size = size, .end = size, .tail_seq = seq, .head_seq = seq};
	return b->data ? 0 : -ENOMEM;
}

void spool_buffer_deinit(struct spool_buffer *b)
{
	free(b->data);
	b->data = NULL;
}

/* Where n octets would go, or SIZE_MAX. */
static size_t buffer_place(const struct spool_buffer *b, size_t n)
{
	if (b->tail_seq == b->head_seq)
		return n <= b->size ? 0 : SIZE_MAX;
	if (b->head <= b->tail) /* it goes round already, or is full */
		return n <= b->tail - b->head ? b->head : SIZE_MAX;
	if (n <= b->size - b->head)
		return b->head;
	return n <= b->tail ? 0 : SIZE_MAX;
}

bool spool_buffer_room(const struct spool_buffer *b, size_t len)
{
	return buffer_place(b, SPOOL_RECORD + len) != SIZE_MAX;
}

size_t spool_buffer_put(struct spool_buffer *b, struct spool_record *r, const uint8_t *own, const uint8_t *data)
{
	size_t n = SPOOL_RECORD + r->len, at = buffer_place(b, n);

	if (at == SIZE_MAX)
		return SIZE_MAX;
	if (b->tail_seq == b->head_seq) {
		b->tail = b->head = 0;
		b->end = b->size;
	} else if (at != b->head) {
		b->end = b->head;
	}
	r->seq = b->head_seq++;
	if (r->own)
		memcpy(b->data + at + SPOOL_RECORD, own, r->own);
	memcpy(b->data + at + SPOOL_RECORD + r->own, data, r->len - r->own);
	spool_record_put(b->data + at, r, b->data + at + SPOOL_RECORD);
	b->head = at + n;
	b->octets += n;
	return at;
}

size_t spool_buffer_get(const struct spool_buffer *b, size_t at, struct spool_record *r, const uint8_t **payload)
{
	(void)spool_record_get(r, b->data + at); /* it is ours */
	*payload = b->data + at + SPOOL_RECORD;
	at += SPOOL_RECORD + r->len;
	return at == b->end && b->head <= b->tail ? 0 : at;
}

size_t spool_buffer_find(const struct spool_buffer *b, uint64_t seq)
{
	struct spool_record r;
	const uint8_t *payload;
	size_t at = b->tail;

	for (uint64_t i = b->tail_seq; i < seq; i++)
		at = spool_buffer_get(b, at, &r, &payload);
	return at;
}

void spool_buffer_run(const struct spool_buffer *b, size_t at, uint64_t seq, size_t max, struct spool_run *run)
{
	struct spool_record r;
	const uint8_t *payload;
	size_t after = SIZE_MAX; /* of the batch before */

	*run = (struct spool_run){.seq = seq, .at = at};
	while (run->seq < b->head_seq) {
		size_t next = spool_buffer_get(b, run->at, &r, &payload), n = SPOOL_RECORD + r.len;

		if (run->octets && run->octets + n > max)
			return;
		if (run->at != after)
			run->pieces[run->n++] = (struct iovec){.iov_base = b->data + run->at};
		run->pieces[run->n - 1].iov_len += n;
		run->octets += n;
		after = run->at + n;
		run->at = next;
		run->seq++;
	}
}

void spool_buffer_release(struct spool_buffer *b, uint64_t seq)
{
	struct spool_record r;
	const uint8_t *payload;

	while (b->tail_seq < seq && b->tail_seq < b->head_seq) {
		size_t next = spool_buffer_get(b, b->tail, &r, &payload);

		b->octets -= SPOOL_RECORD + r.len;
		b->tail_seq++;
		b->tail = next;
	}
}
