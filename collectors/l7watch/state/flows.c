/* SPDX-License-Identifier: Apache-2.0 */
#include "state/flows.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/clock.h"
#include "l7/fields.h"

#define FLOWS_WELL_KNOWN 1024u
#define FLOWS_WAYS 8u /* flows of a bucket */

/* An exporter's own idea of the flow. */
struct flows_view {
	uint64_t exporter; /* hash of its name */
	uint64_t flow_id;  /* 0: it gives none */
};

struct flows_entry {
	uint64_t start_ms, last_ms;
	uint64_t octets[2], packets[2];
	struct flows_view views[FLOWS_TWINS_MAX]; /* the first one counts */
	uint8_t n_views;                          /* 0: the entry is new */
	bool answered;
	bool low_client; /* the client is the end that sorts first */
};

/*
 * A hash leads to a bucket, and there is no list to keep in order: to look a flow up touches the line of tags and the flow, little
 * else. Of a full bucket the flow goes that ended first.
 */
struct flows_bucket {
	uint64_t tags[FLOWS_WAYS]; /* 0: free */
	struct flows_entry entries[FLOWS_WAYS];
};

/* A record on its way to its flow. */
struct flows_record {
	const struct l7_record *r;
	struct flows_view view;
	uint64_t start_ms, end_ms;
	bool low_source; /* the source is the end that sorts first */
};

enum flows_match { FLOWS_NEW, FLOWS_SAME, FLOWS_TWIN, FLOWS_OLD, FLOWS_OLD_TWIN };

int flows_init(struct flows *f, uint32_t max)
{
	uint32_t buckets = 1;

	memset(f, 0, sizeof(*f));
	/* Who may send packets chooses addresses and ports; the seed keeps him from choosing a bucket. */
	if (getrandom(&f->seed, sizeof(f->seed), 0) != sizeof(f->seed))
		f->seed = clock_wall_ms();
	while (buckets < max / FLOWS_WAYS)
		buckets *= 2;
	f->mask = buckets - 1;
	f->buckets = calloc(buckets, sizeof(*f->buckets));
	return f->buckets ? 0 : -ENOMEM;
}

void flows_deinit(struct flows *f)
{
	free(f->buckets);
	f->buckets = NULL;
}

/* ---- which flow ---- */

static bool flows_low_source(const struct l7_record *r)
{
	int order = memcmp(r->src_ip, r->dst_ip, 16);

	return order ? order < 0 : r->src_port <= r->dst_port;
}

static XXH128_hash_t flows_hash(const struct flows *f, const struct l7_record *r, bool low_source)
{
	struct {
		uint8_t low_ip[16], high_ip[16];
		uint16_t low_port, high_port;
		uint8_t protocol;
	} key;

	memcpy(key.low_ip, low_source ? r->src_ip : r->dst_ip, 16);
	memcpy(key.high_ip, low_source ? r->dst_ip : r->src_ip, 16);
	key.low_port = low_source ? r->src_port : r->dst_port;
	key.high_port = low_source ? r->dst_port : r->src_port;
	key.protocol = r->protocol;
	return XXH3_128bits_withSeed(&key, offsetof(__typeof__(key), protocol) + 1, f->seed);
}

void flows_ask(struct flows *f, const struct l7_record *r)
{
	const struct flows_bucket *b = &f->buckets[flows_hash(f, r, flows_low_source(r)).low64 & f->mask];

	for (size_t at = 0; at < sizeof(*b); at += 64)
		__builtin_prefetch((const uint8_t *)b + at, 1);
}

/* The place of a flow: its own, a free one, or that of another which goes. */
static struct flows_entry *flows_place(struct flows *f, XXH128_hash_t h)
{
	struct flows_bucket *b = &f->buckets[h.low64 & f->mask];
	uint64_t tag = h.high64 | 1;
	unsigned at = FLOWS_WAYS;

	for (unsigned i = 0; i < FLOWS_WAYS; i++) {
		if (b->tags[i] == tag)
			return &b->entries[i];
		if (b->tags[i] == 0 && at == FLOWS_WAYS)
			at = i;
	}
	if (at < FLOWS_WAYS) {
		f->n++;
	} else {
		at = 0;
		for (unsigned i = 1; i < FLOWS_WAYS; i++)
			if (b->entries[i].last_ms < b->entries[at].last_ms)
				at = i;
		f->evicted++;
	}
	b->tags[at] = tag;
	b->entries[at].n_views = 0;
	return &b->entries[at];
}

static struct flows_record flows_record(const struct flows *f, const struct l7_record *r, uint64_t now_ms)
{
	struct flows_record x = {.r = r, .low_source = flows_low_source(r)};
	uint64_t end = l7_has(r, L7_F_flowEndMilliseconds) ? r->end_ms : now_ms, length = 0;

	x.view.exporter = XXH3_64bits_withSeed(r->text + r->exporter.off, r->exporter.len, f->seed);
	x.view.flow_id = l7_has(r, L7_F_flowId) ? r->flow_id : 0;
	/* Its end is what it is believed to be: a clock far ahead would keep the flow its place for ever. */
	if (l7_has(r, L7_F_flowStartMilliseconds) && r->start_ms < end)
		length = end - r->start_ms;
	x.end_ms = now_ms;
	x.start_ms = length < now_ms ? now_ms - length : 0;
	return x;
}

static const struct flows_view *flows_view(const struct flows_entry *e, uint64_t exporter)
{
	for (unsigned i = 0; i < e->n_views; i++)
		if (e->views[i].exporter == exporter)
			return &e->views[i];
	return NULL;
}

/* What the record is to the flow that its addresses and ports lead to. */
static enum flows_match flows_match(const struct flows_entry *e, const struct flows_record *x)
{
	const struct flows_view *mine = flows_view(e, x->view.exporter);
	bool before = x->end_ms + FLOWS_SKEW_MS < e->start_ms, same;

	if (e->n_views == 0)
		return FLOWS_NEW;
	if (mine) {
		same = x->view.flow_id ? mine->flow_id == x->view.flow_id
				       : !before && x->start_ms <= e->last_ms + FLOWS_GAP_MS;
		if (same)
			return mine == e->views ? FLOWS_SAME : FLOWS_TWIN;
		return before ? FLOWS_OLD : FLOWS_NEW;
	}
	if (before)
		return FLOWS_OLD_TWIN;
	return x->start_ms <= e->last_ms + FLOWS_SKEW_MS ? FLOWS_TWIN : FLOWS_NEW;
}

/* ---- which end is the client ---- */

/*
 * Exporters that report each direction by itself do not say who began. The other half tells, if it was here; else a well-known
 * port; else the half that came first is the client's.
 */
static bool flows_reversed(const struct flows_entry *e, const struct flows_record *x, enum flows_match m)
{
	const struct l7_record *r = x->r;

	if (l7_has(r, L7_F_biflowDirection) || r->rev_packets)
		return false;
	if (m == FLOWS_SAME || m == FLOWS_TWIN)
		return e->low_client != x->low_source;
	return r->src_port < FLOWS_WELL_KNOWN && r->dst_port >= FLOWS_WELL_KNOWN && r->src_port != 0;
}

/* ---- sums ---- */

static void flows_new(struct flows_entry *e, const struct flows_record *x, bool reversed)
{
	*e = (struct flows_entry){.start_ms = x->start_ms,
				  .last_ms = x->end_ms,
				  .views = {x->view},
				  .n_views = 1,
				  .low_client = x->low_source != reversed};
}

static void flows_add_view(struct flows_entry *e, const struct flows_view *v)
{
	if (!flows_view(e, v->exporter) && e->n_views < FLOWS_TWINS_MAX)
		e->views[e->n_views++] = *v;
}

/* Of a sampled exporter a packet stands for many. */
static void flows_measure(struct flows *f, const struct l7_record *r, struct rules_input *in)
{
	in->sampling = l7_has(r, L7_F_samplingInterval) && r->sampling > 1 ? r->sampling : 1;
	f->n_sampled += in->sampling > 1;
	in->new_octets[0] = r->octets * in->sampling;
	in->new_octets[1] = r->rev_octets * in->sampling;
	in->new_packets[0] = r->packets * in->sampling;
	in->new_packets[1] = r->rev_packets * in->sampling;
}

static void flows_sum(struct flows_entry *e, const struct flows_record *x, struct rules_input *in)
{
	for (int i = 0; i < 2; i++) {
		if (in->twin)
			in->new_octets[i] = in->new_packets[i] = 0;
		in->octets[i] = e->octets[i] += in->new_octets[i];
		in->packets[i] = e->packets[i] += in->new_packets[i];
	}
	if (x->start_ms < e->start_ms)
		e->start_ms = x->start_ms;
	if (x->end_ms > e->last_ms)
		e->last_ms = x->end_ms;
	in->answered = e->answered |= in->record->rev_packets > 0;
	in->start_ms = e->start_ms;
}

void flows_take(struct flows *f, const struct l7_record *r, uint64_t now_ms, struct rules_input *in)
{
	struct flows_record x = flows_record(f, r, now_ms);
	struct flows_entry *e, alone = {0};
	enum flows_match m;
	bool reversed;

	e = flows_place(f, flows_hash(f, r, x.low_source));
	m = flows_match(e, &x);
	reversed = flows_reversed(e, &x, m);
	*in = (struct rules_input){.record = r, .now_ms = now_ms};
	if (reversed) {
		l7_record_copy(&f->turned, r);
		l7_record_reverse(&f->turned);
		in->record = &f->turned;
		f->n_turned++;
	}
	flows_measure(f, in->record, in);
	in->known = m == FLOWS_SAME || m == FLOWS_TWIN || m == FLOWS_OLD_TWIN;
	in->twin = m == FLOWS_TWIN || m == FLOWS_OLD_TWIN;
	f->n_twins += in->twin;
	if (m == FLOWS_OLD || m == FLOWS_OLD_TWIN)
		e = &alone; /* the newer flow keeps the place */
	if (m == FLOWS_TWIN)
		flows_add_view(e, &x.view);
	else if (m != FLOWS_SAME)
		flows_new(e, &x, reversed);
	flows_sum(e, &x, in);
}
