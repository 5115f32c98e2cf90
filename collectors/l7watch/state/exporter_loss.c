/* SPDX-License-Identifier: Apache-2.0 */
#include "state/exporter_loss.h"

#include <string.h>

/* What an earlier run has numbered comes first, and is known by another stream. */
static uint64_t loss_exported(const struct ipfix_about *a)
{
	uint64_t all = a->counts[IPFIX_EXPORTED];
	uint64_t recovered = a->has & IPFIX_HAS_COUNT << IPFIX_RECOVERED ? a->counts[IPFIX_RECOVERED] : 0;

	return all > recovered ? all - recovered : 0;
}

static struct exporter_stream *loss_oldest(struct exporter_loss *l)
{
	struct exporter_stream *oldest = &l->streams[0];

	if (l->n < EXPORTER_STREAMS_MAX)
		return &l->streams[l->n++];
	for (uint32_t i = 1; i < l->n; i++)
		if (l->streams[i].used < oldest->used)
			oldest = &l->streams[i];
	return oldest;
}

/* The stream of a message; a new one if it states what was exported, NULL if not. */
static struct exporter_stream *loss_stream(struct exporter_loss *l, const struct ipfix_about *a, bool states)
{
	struct exporter_stream *s;

	for (uint32_t i = 0; i < l->n; i++) {
		s = &l->streams[i];
		if (s->domain == a->domain && s->init_ms == a->init_ms && s->stream_id == a->stream_id)
			return s;
	}
	if (!states)
		return NULL;
	s = loss_oldest(l);
	*s = (struct exporter_stream){.domain = a->domain,
				      .init_ms = a->init_ms,
				      .stream_id = a->stream_id,
				      .base = loss_exported(a) - a->records};
	return s;
}

/* Counts are modulo 2^64: who says that he has exported more than there can be has lost nothing. */
static uint64_t loss_state(struct exporter_stream *s, uint64_t exported)
{
	int64_t missing = (int64_t)(exported - s->base - s->came), sure;

	if (exported < s->exported)
		return 0; /* said before what was said last */
	if (s->unsure) {
		s->base += (uint64_t)missing - (uint64_t)s->lost;
		missing = s->lost;
	}
	s->unsure = false;
	s->exported = exported;
	sure = missing < s->missing ? missing : s->missing;
	s->missing = missing;
	if (sure <= s->lost)
		return 0;
	missing = sure - s->lost;
	s->lost = sure;
	return (uint64_t)missing;
}

uint64_t exporter_loss_take(struct exporter_loss *l, const struct ipfix_about *a)
{
	bool states = a->has & IPFIX_HAS_COUNT << IPFIX_EXPORTED;
	struct exporter_stream *s = a->ordered ? loss_stream(l, a, states) : NULL;

	if (!s)
		return 0;
	s->used = ++l->clock;
	s->came += a->records;
	s->unsure |= a->unsure;
	return states ? loss_state(s, loss_exported(a)) : 0;
}
