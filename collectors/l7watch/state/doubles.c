/* SPDX-License-Identifier: Apache-2.0 */
#include "state/doubles.h"

#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "l7/fields.h"

#define DOUBLES_HALVES 2u /* bits of a number */
#define DOUBLES_WORD 64u  /* bits of a word */
#define DOUBLES_WORDS (DOUBLES_WINDOW * DOUBLES_HALVES / DOUBLES_WORD)
#define DOUBLES_PER_WORD (DOUBLES_WORD / DOUBLES_HALVES) /* numbers of a word */
#define DOUBLES_EXPORTER_MAX 64u                         /* octets that tell exporters apart */

/* A ring of bits: those of number n are at n modulo the window. */
struct doubles_stream {
	bool begun;
	uint64_t last; /* the highest number */
	uint64_t words[DOUBLES_WORDS];
};

int doubles_init(struct doubles *d)
{
	*d = (struct doubles){0};
	if (getrandom(&d->seed, sizeof(d->seed), 0) != sizeof(d->seed))
		d->seed = clock_wall_ms();
	return lru_init(&d->streams, DOUBLES_STREAMS, sizeof(struct doubles_stream), NULL);
}

void doubles_deinit(struct doubles *d)
{
	lru_deinit(&d->streams);
}

static struct lru_key doubles_key(const struct doubles *d, const struct l7_record *r)
{
	uint8_t octets[sizeof(r->stream_id) + DOUBLES_EXPORTER_MAX];
	size_t len = r->exporter.len < DOUBLES_EXPORTER_MAX ? r->exporter.len : DOUBLES_EXPORTER_MAX;

	memcpy(octets, &r->stream_id, sizeof(r->stream_id));
	memcpy(octets + sizeof(r->stream_id), r->text + r->exporter.off, len);
	return lru_hash(octets, sizeof(r->stream_id) + len, d->seed);
}

/*
 * Which half of a flow a record is, if it is half of one. The responder's is turned round by the reader, so it has counts in the other
 * direction alone; one that does not say so is not turned, so it has the addresses the other way round.
 */
static unsigned doubles_half(const struct l7_record *r)
{
	bool forth = l7_has(r, L7_F_packetDeltaCount) || l7_has(r, L7_F_octetDeltaCount);
	bool back = l7_has(r, L7_F_reversePacketDeltaCount) || l7_has(r, L7_F_reverseOctetDeltaCount);
	int order = memcmp(r->src_ip, r->dst_ip, sizeof(r->src_ip));

	if (order == 0)
		order = (int)r->src_port - (int)r->dst_port;
	return (unsigned)(order > 0) ^ (unsigned)(back && !forth);
}

/* The window moves on to n: what comes into it is new. */
static void doubles_advance(struct doubles_stream *s, uint64_t n)
{
	uint64_t first = s->last / DOUBLES_PER_WORD + 1, last = n / DOUBLES_PER_WORD;

	if (last - first >= DOUBLES_WORDS && last >= first)
		first = last - DOUBLES_WORDS + 1;
	for (uint64_t w = first; w <= last; w++)
		s->words[w % DOUBLES_WORDS] = 0;
	s->last = n;
}

bool doubles_seen(struct doubles *d, const struct l7_record *r)
{
	uint64_t n = r->record_sequence, bit, *word;
	struct doubles_stream *s;
	bool fresh;

	if (!l7_has(r, L7_F_streamId) || !l7_has(r, L7_F_recordSequence))
		return false;
	s = lru_get(&d->streams, doubles_key(d, r), &fresh);
	if (!s->begun) {
		s->begun = true;
		s->last = n;
	}
	if (n > s->last)
		doubles_advance(s, n);
	/* A word at the window's far end may be half overwritten: it is left out. */
	else if (s->last / DOUBLES_PER_WORD - n / DOUBLES_PER_WORD >= DOUBLES_WORDS)
		return false;
	word = &s->words[n / DOUBLES_PER_WORD % DOUBLES_WORDS];
	bit = UINT64_C(1) << (n % DOUBLES_PER_WORD * DOUBLES_HALVES + doubles_half(r));
	if (*word & bit) {
		d->n++;
		return true;
	}
	*word |= bit;
	return false;
}
