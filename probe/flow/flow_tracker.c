/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/flow_tracker.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "flow/flow_record.h"

enum { TCP_FIN = 0x01, TCP_SYN = 0x02, TCP_RST = 0x04, TCP_ACK = 0x10 };

int flow_tracker_init(struct flow_tracker *t, const struct flow_tracker_config *c, struct dpi_module *dpi,
		      struct shared_worker *shared, struct flow_sink sink)
{
	uint32_t states = c->max_flows / 4 < 1024 ? 1024 : c->max_flows / 4;
	int rc;

	memset(t, 0, sizeof(*t));
	t->config = *c;
	t->dpi = dpi;
	t->shared = shared;
	t->sink = sink;
	rc = flow_table_init(&t->table, c->max_flows, c->seed);
	if (!rc)
		rc = flow_cold_init(&t->cold, states, dpi_state_size());
	if (!rc)
		rc = flow_text_init(&t->texts, (size_t)c->max_flows * 128 + 4096);
	if (!rc)
		t->fragments = flow_fragments_new();
	if (!rc && !t->fragments)
		rc = -ENOMEM;
	if (rc)
		flow_tracker_deinit(t);
	return rc;
}

void flow_tracker_deinit(struct flow_tracker *t)
{
	for (uint32_t i = flow_table_next(&t->table, 0); i; i = flow_table_next(&t->table, i))
		if (t->table.flows[i].cold)
			dpi_end(flow_cold_at(&t->cold, t->table.flows[i].cold));
	flow_table_deinit(&t->table);
	flow_cold_deinit(&t->cold);
	flow_text_deinit(&t->texts);
	flow_fragments_free(t->fragments);
	t->fragments = NULL;
}

/* Hands out one record of a flow. */
static void tracker_report(struct flow_tracker *t, uint32_t index, enum l7_end_reason reason, bool early, bool last)
{
	struct flow_texts texts;
	struct flow_record_source source = {.flow = &t->table.flows[index],
					    .info = &t->table.infos[index],
					    .texts = &texts,
					    .reason = reason,
					    .early = early,
					    .last = last};
	struct l7_record *r = t->sink.reserve(t->sink.arg);
	unsigned cut;

	shared_add(&t->shared->counters.records, 1);
	if (!r)
		return;
	flow_text_get(&t->texts, source.info->text, &texts);
	cut = flow_record_fill(r, &source);
	if (cut)
		shared_add(&t->shared->counters.text_cut, cut);
	t->sink.commit(t->sink.arg);
}

/* An early record, and what it said kept in mind for the next. */
static void tracker_report_early(struct flow_tracker *t, uint32_t index)
{
	struct flow *f = &t->table.flows[index];
	struct flow_info *i = &t->table.infos[index];

	tracker_report(t, index, L7_END_ACTIVE, true, false);
	for (int d = 0; d < 2; d++) {
		i->early.packets[d] = f->packets[d];
		i->early.octets[d] = f->octets[d];
		i->early.tcp_flags[d] = f->tcp_flags[d];
		f->tcp_flags[d] = 0;
	}
	f->flags |= FLOW_EARLY | FLOW_DELTA_EMPTY;
}

/* How often a flow with this hash has ended a worker. */
static unsigned tracker_quarantined(const struct flow_tracker *t, uint64_t hash)
{
	uint32_t n = atomic_load_explicit(&t->shared->n_quarantine, memory_order_relaxed);
	unsigned times = 0;

	for (uint32_t i = 0; i < n && i < SHARED_QUARANTINE_MAX; i++)
		times += atomic_load_explicit(&t->shared->quarantine[i], memory_order_relaxed) == hash;
	return times;
}

/* Around each call of nDPI: if the worker dies or hangs in it, this says on which flow. */
static void tracker_enter(struct flow_tracker *t, const struct flow *f, uint64_t hash)
{
	struct shared_progress *p = &t->shared->progress;

	shared_add(&p->dpi_entered, 1);
	memcpy(p->dpi_key, &f->key, sizeof(f->key));
	atomic_store_explicit(&p->dpi_flow, hash, memory_order_release);
}

static void tracker_leave(struct flow_tracker *t)
{
	atomic_store_explicit(&t->shared->progress.dpi_flow, 0, memory_order_release);
}

/* What the supervisor writes to a file if the worker dies in the call. */
static void tracker_keep(struct flow_tracker *t, const struct packet *p, uint64_t hash)
{
	struct shared_packet *k = &t->shared->packet;

	k->flow = hash;
	k->time_ms = p->time_ms;
	k->wire = p->octets;
	k->size = p->ip_captured < SHARED_PACKET_MAX ? p->ip_captured : SHARED_PACKET_MAX;
	memcpy(k->ip, p->ip, k->size);
}

static void tracker_guess(struct flow_tracker *t, uint32_t index, uint64_t hash)
{
	struct flow *f = &t->table.flows[index];
	unsigned initiator = f->flags & FLOW_INITIATOR_IS_1 ? 1 : 0;
	struct dpi_ends ends = {.src_ip = f->key.ip[initiator],
				.dst_ip = f->key.ip[!initiator],
				.src_port = f->key.port[initiator],
				.dst_port = f->key.port[!initiator],
				.protocol = f->key.protocol,
				.ip_version = f->key.ip_version};

	if (tracker_quarantined(t, hash) > 1) {
		memset(&t->table.infos[index].verdict, 0, sizeof(t->table.infos[index].verdict));
		return;
	}
	tracker_enter(t, f, hash);
	dpi_guess(t->dpi, &ends, &t->table.infos[index].verdict);
	tracker_leave(t);
}

/* Takes the verdict over, keeps the strings and gives the state back. Classification of the flow is final with this. */
static void tracker_conclude(struct flow_tracker *t, uint32_t index)
{
	struct flow *f = &t->table.flows[index];
	struct flow_info *i = &t->table.infos[index];
	struct flow_texts texts;
	uint64_t hash = flow_table_hash(&t->table, &f->key);
	struct dpi_texts seen;
	void *state;

	f->flags |= FLOW_FINAL;
	if (!f->cold) {
		tracker_guess(t, index, hash);
		return;
	}
	state = flow_cold_at(&t->cold, f->cold);
	tracker_enter(t, f, hash);
	dpi_verdict(t->dpi, state, &i->verdict, &seen);
	memset(&texts, 0, sizeof(texts));
	texts.kind[FLOW_TEXT_SNI].s = seen.sni;
	texts.kind[FLOW_TEXT_HTTP_HOST].s = seen.http_host;
	texts.kind[FLOW_TEXT_DNS_QUERY].s = seen.dns_query;
	for (int k = 0; k < FLOW_TEXT_KINDS; k++)
		texts.kind[k].len = texts.kind[k].s ? strlen(texts.kind[k].s) : 0;
	i->text = flow_text_put(&t->texts, &texts);
	if (!i->text && (texts.kind[FLOW_TEXT_SNI].len || texts.kind[FLOW_TEXT_HTTP_HOST].len ||
			 texts.kind[FLOW_TEXT_DNS_QUERY].len))
		shared_add(&t->shared->counters.text_cut, 1);
	dpi_end(state);
	tracker_leave(t);
	flow_cold_give(&t->cold, f->cold);
	f->cold = 0;
	if (i->verdict.confidence >= L7_CONF_PARTIAL)
		f->flags |= FLOW_KEEP;
}

/* The last record of a flow, and the flow is gone. */
static void tracker_end(struct flow_tracker *t, uint32_t index, enum l7_end_reason reason)
{
	if (!(t->table.flows[index].flags & FLOW_FINAL))
		tracker_conclude(t, index);
	tracker_report(t, index, reason, false, true);
	flow_text_drop(&t->texts, t->table.infos[index].text);
	flow_table_remove(&t->table, index);
	shared_set(&t->shared->counters.flows_active, t->table.active);
}

/* A record in the middle of a flow; counting starts anew with the packet at now_ms. */
static void tracker_cut(struct flow_tracker *t, uint32_t index, uint64_t now_ms)
{
	struct flow *f = &t->table.flows[index];
	struct flow_info *i = &t->table.infos[index];

	if (f->cold)
		tracker_conclude(t, index);
	else if (!(f->flags & FLOW_FINAL))
		tracker_guess(t, index, flow_table_hash(&t->table, &f->key));
	tracker_report(t, index, L7_END_ACTIVE, false, false);
	memset(f->packets, 0, sizeof(f->packets));
	memset(f->octets, 0, sizeof(f->octets));
	memset(f->tcp_flags, 0, sizeof(f->tcp_flags));
	memset(&i->early, 0, sizeof(i->early));
	f->flags &= (uint16_t) ~(FLOW_EARLY | FLOW_DELTA_EMPTY);
	f->start_ms = now_ms;
}

/* When a flow expires if nothing more of it comes. */
static uint64_t tracker_expiry(const struct flow_tracker *t, const struct flow *f)
{
	uint64_t wait = t->config.idle_ms;

	if (f->flags & FLOW_ENDED && (wait == 0 || wait > FLOW_LINGER_MS))
		wait = FLOW_LINGER_MS;
	return wait ? f->last_ms + wait : WHEEL_NO_TIME;
}

static void tracker_schedule(struct flow_tracker *t, uint32_t index)
{
	const struct flow *f = &t->table.flows[index];
	uint64_t expiry = tracker_expiry(t, f);

	flow_wheel_insert(&t->table.wheel, index, f->flags & FLOW_KEEP ? WHEEL_ROW_KEEP : WHEEL_ROW_EVICT,
			  expiry == WHEEL_NO_TIME ? expiry : expiry + FLOW_SLACK_MS);
}

static enum l7_end_reason tracker_reason(const struct flow *f)
{
	return f->flags & FLOW_ENDED ? L7_END_DETECTED : L7_END_IDLE;
}

/* One key for both directions; returns which end sent the packet. */
static unsigned tracker_key(struct flow_key *k, const struct packet *p)
{
	int order = memcmp(p->src_ip, p->dst_ip, 16);
	unsigned src = order > 0 || (order == 0 && p->src_port > p->dst_port) ? 1 : 0;

	memcpy(k->ip[src], p->src_ip, 16);
	memcpy(k->ip[!src], p->dst_ip, 16);
	k->port[src] = p->src_port;
	k->port[!src] = p->dst_port;
	k->vlan = p->vlan_id;
	k->protocol = p->protocol;
	k->ip_version = p->ip_version;
	return src;
}

static uint32_t tracker_new(struct flow_tracker *t, const struct flow_key *k, uint64_t hash, const struct packet *p,
			    unsigned src)
{
	uint32_t index = flow_table_add(&t->table, k, hash);
	struct flow *f;

	if (!index) {
		shared_add(&t->shared->counters.evicted, 1);
		tracker_end(t, flow_table_victim(&t->table), L7_END_RESOURCES);
		index = flow_table_add(&t->table, k, hash);
	}
	f = &t->table.flows[index];
	f->start_ms = f->last_ms = p->time_ms;
	f->flow_id = flow_table_id(k, p->time_ms, t->config.domain);
	f->tos = p->tos;
	f->interface = p->interface;
	t->table.infos[index].icmp_type_code = p->icmp_type_code;
	if (p->protocol == IPPROTO_TCP && !(p->tcp_flags & TCP_SYN))
		f->flags |= FLOW_MIDSTREAM;
	if ((p->tcp_flags & (TCP_SYN | TCP_ACK)) == (TCP_SYN | TCP_ACK))
		src = !src; /* the SYN itself was missed: this is its answer */
	if (src)
		f->flags |= FLOW_INITIATOR_IS_1;
	tracker_schedule(t, index);
	shared_add(&t->shared->counters.flows, 1);
	shared_set(&t->shared->counters.flows_active, t->table.active);
	return index;
}

/* True if this packet cannot belong to the flow: its time is too far off, or it starts a new one. */
static bool tracker_is_over(const struct flow_tracker *t, const struct flow *f, const struct packet *p)
{
	if (p->time_ms > tracker_expiry(t, f))
		return true;
	if (p->time_ms < f->last_ms && f->last_ms - p->time_ms > FLOW_BACK_MS)
		return true;
	return f->flags & FLOW_ENDED && (p->tcp_flags & (TCP_SYN | TCP_ACK)) == TCP_SYN;
}

/* True if this packet opens a new record of its flow. A late one does not: it belongs to the record that it is late for. */
static bool tracker_is_long(const struct flow_tracker *t, const struct flow *f, const struct packet *p)
{
	return t->config.active_ms && p->time_ms > f->last_ms && p->time_ms >= f->start_ms + t->config.active_ms;
}

static uint32_t tracker_find(struct flow_tracker *t, const struct flow_key *k, const struct packet *p, unsigned src,
			     uint64_t hash)
{
	uint32_t index = flow_table_find(&t->table, k, hash);

	if (index && tracker_is_over(t, &t->table.flows[index], p)) {
		tracker_end(t, index, tracker_reason(&t->table.flows[index]));
		index = 0;
	}
	if (!index)
		return tracker_new(t, k, hash, p, src);
	if (tracker_is_long(t, &t->table.flows[index], p))
		tracker_cut(t, index, p->time_ms);
	return index;
}

static bool tracker_begin_dpi(struct flow_tracker *t, struct flow *f, uint64_t hash)
{
	if (tracker_quarantined(t, hash)) {
		shared_add(&t->shared->counters.dpi_quarantined, 1);
		return false;
	}
	if (atomic_load_explicit(&t->shared->dpi_off, memory_order_relaxed)) {
		shared_add(&t->shared->counters.dpi_switched_off, 1);
		return false;
	}
	f->cold = flow_cold_take(&t->cold);
	if (!f->cold) {
		shared_add(&t->shared->counters.dpi_no_state, 1);
		return false;
	}
	dpi_begin(flow_cold_at(&t->cold, f->cold));
	return true;
}

/* One packet with payload of a flow whose classification is not final. */
static void tracker_classify(struct flow_tracker *t, uint32_t index, const struct packet *p, uint64_t hash)
{
	struct flow *f = &t->table.flows[index];
	bool done = true;

	shared_add(&t->shared->counters.dpi_packets, 1);
	if (f->cold || tracker_begin_dpi(t, f, hash)) {
		tracker_enter(t, f, hash);
		if (t->config.keep_packets)
			tracker_keep(t, p, hash);
		done = dpi_packet(t->dpi, flow_cold_at(&t->cold, f->cold), p);
		tracker_leave(t);
		shared_add(&t->shared->counters.dpi_calls, 1);
	}
	if (!done)
		return;
	tracker_conclude(t, index);
	if (t->config.early)
		tracker_report_early(t, index);
}

static void tracker_tcp(struct flow_tracker *t, uint32_t index, const struct packet *p, unsigned direction)
{
	struct flow *f = &t->table.flows[index];

	f->tcp_flags[direction] |= p->tcp_flags;
	if (p->tcp_flags & TCP_FIN)
		f->flags |= direction == FLOW_FORWARD ? FLOW_FIN_FORWARD : FLOW_FIN_REVERSE;
	if (f->flags & FLOW_ENDED)
		return;
	if (p->tcp_flags & TCP_RST || (f->flags & FLOW_FIN_FORWARD && f->flags & FLOW_FIN_REVERSE))
		f->flags |= FLOW_ENDED;
}

/* The flow has just ended: nothing more will be learned, and it waits a shorter time now. */
static void tracker_ended(struct flow_tracker *t, uint32_t index)
{
	struct flow *f = &t->table.flows[index];

	if (!(f->flags & FLOW_FINAL)) {
		tracker_conclude(t, index);
		if (t->config.early)
			tracker_report_early(t, index);
	}
	flow_wheel_remove(&t->table.wheel, index);
	tracker_schedule(t, index);
}

static void tracker_count(struct flow_tracker *t, uint32_t index, const struct packet *p, unsigned direction)
{
	struct flow *f = &t->table.flows[index];
	bool late = p->time_ms < f->last_ms;

	f->packets[direction]++;
	f->octets[direction] += p->octets;
	if (!late)
		f->last_ms = p->time_ms;
	else if (p->time_ms < f->start_ms)
		f->start_ms = p->time_ms;
	if (direction == FLOW_REVERSE)
		f->flags |= FLOW_KEEP;
	if (f->flags & FLOW_DELTA_EMPTY || (late && f->flags & FLOW_EARLY)) {
		uint64_t *start = &t->table.infos[index].delta_start_ms;

		if (f->flags & FLOW_DELTA_EMPTY || p->time_ms < *start)
			*start = p->time_ms;
		f->flags &= (uint16_t)~FLOW_DELTA_EMPTY;
	}
}

/* Fragments after the first carry no ports: they are looked up where the first one left them. */
static void tracker_fragment(struct flow_tracker *t, struct packet *p)
{
	if (!p->later_fragment)
		flow_fragments_learn(t->fragments, p);
	else if (!flow_fragments_find(t->fragments, p))
		shared_add(&t->shared->counters.fragments_unknown, 1);
}

/*
 * The clock is the latest packet's. It goes back too: were it to stay ahead, every flow that begins would have expired by
 * then, and one wrong time in a file or a clock set right would cut all flows to single packets.
 */
void flow_tracker_clock(struct flow_tracker *t, uint64_t time_ms)
{
	bool first = t->clock_ms == 0 && t->table.active == 0;
	bool back = t->clock_ms > time_ms && t->clock_ms - time_ms > FLOW_CLOCK_BACK_MS;

	if (first || back)
		flow_wheel_start(&t->table.wheel, time_ms);
	if (back || time_ms > t->clock_ms)
		t->clock_ms = time_ms;
}

void flow_tracker_packet(struct flow_tracker *t, struct packet *p)
{
	struct flow_key key;
	unsigned src, direction;
	bool was_ended;
	struct flow *f;
	uint64_t hash;
	uint32_t index;

	if (p->fragment)
		tracker_fragment(t, p);
	flow_tracker_clock(t, p->time_ms);
	src = tracker_key(&key, p);
	hash = flow_table_hash(&t->table, &key);
	index = tracker_find(t, &key, p, src, hash);
	f = &t->table.flows[index];
	direction = src == (f->flags & FLOW_INITIATOR_IS_1 ? 1u : 0u) ? FLOW_FORWARD : FLOW_REVERSE;
	tracker_count(t, index, p, direction);
	was_ended = f->flags & FLOW_ENDED;
	if (p->protocol == IPPROTO_TCP)
		tracker_tcp(t, index, p, direction);
	if (!(f->flags & FLOW_FINAL) && p->payload_len > 0 && !p->later_fragment)
		tracker_classify(t, index, p, hash);
	if (f->flags & FLOW_ENDED && !was_ended)
		tracker_ended(t, index);
}

bool flow_tracker_expire(struct flow_tracker *t, uint64_t now_ms, unsigned most)
{
	if (now_ms > t->clock_ms)
		t->clock_ms = now_ms;
	for (; most > 0; most--) {
		uint32_t index = flow_wheel_due(&t->table.wheel, t->clock_ms);
		const struct flow *f = &t->table.flows[index];
		uint64_t expiry;

		if (!index)
			return false;
		expiry = tracker_expiry(t, f);
		tracker_schedule(t, index);
		if (expiry != WHEEL_NO_TIME && t->clock_ms > expiry + FLOW_SLACK_MS)
			tracker_end(t, index, tracker_reason(f));
	}
	return true;
}

void flow_tracker_flush(struct flow_tracker *t)
{
	for (uint32_t i = flow_table_next(&t->table, 0); i; i = flow_table_next(&t->table, i)) {
		const struct flow *f = &t->table.flows[i];
		bool over = f->flags & FLOW_ENDED || t->clock_ms > tracker_expiry(t, f);

		tracker_end(t, i, over ? tracker_reason(f) : L7_END_FORCED);
	}
}
