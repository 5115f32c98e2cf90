/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/flow_tracker.h"

#include <endian.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "flow/flow_adopt.h"
#include "flow/flow_record.h"
#include "flow/flow_tracker_internal.h"

#define FLOW_AHEAD 4 /* flows ended at once: this many are looked ahead */

enum { TCP_FIN = 0x01, TCP_SYN = 0x02, TCP_RST = 0x04, TCP_PSH = 0x08, TCP_ACK = 0x10 };

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
	t->vlan_mask = c->key_without & FLOW_KEY_VLAN ? 0 : UINT16_MAX;
	rc = flow_store_map(&t->store, c->store, c->max_flows);
	if (!rc)
		rc = flow_table_init(&t->table, &t->store, c->seed);
	if (!rc)
		rc = flow_tracker_tunnels_init(t);
	if (!rc)
		rc = flow_pool_map(&t->cold, states, dpi_state_size());
	if (!rc) {
		flow_text_init(&t->texts, t->store.texts, t->store.texts_size);
		flow_measure_init(&t->measures, &t->store, flow_measure_groups(c->wanted));
		rc = flow_adopt(t);
	}
	if (rc)
		flow_tracker_deinit(t);
	return rc;
}

void flow_tracker_deinit(struct flow_tracker *t)
{
	for (uint32_t i = t->cold.used ? flow_table_next(&t->table, 0) : 0; i; i = flow_table_next(&t->table, i))
		if (t->table.flows[i].cold)
			dpi_end(flow_pool_at(&t->cold, t->table.flows[i].cold));
	flow_table_deinit(&t->table);
	flow_tunnels_deinit(&t->tunnels);
	flow_pool_unmap(&t->cold);
	flow_store_unmap(&t->store);
}

static void tracker_will_report(struct flow_tracker *t, uint32_t index, enum flow_report kind)
{
	struct flow_journal *j = &t->store.head->journal;

	j->report_flow = index;
	j->report_number = shared_get(&t->shared->counters.records);
	flow_journal_set(&j->report, kind);
}

/* Hands out one record of a flow. What follows from it is the caller's to do, who then calls tracker_reported(). */
static void tracker_report(struct flow_tracker *t, uint32_t index, enum l7_end_reason reason, enum flow_report kind)
{
	struct dpi_texts texts;
	struct flow_record_source source = {.flow = &t->table.flows[index],
					    .info = &t->table.infos[index],
					    .texts = &texts,
					    .measures = &t->measures,
					    .index = index,
					    .reason = reason,
					    .early = kind == FLOW_REPORT_EARLY,
					    .last = kind == FLOW_REPORT_END};
	struct l7_record *r;
	unsigned cut;

	if (t->tell_tunnels && source.flow->tunnel)
		source.tunnel = flow_tunnels_at(&t->tunnels, source.flow->tunnel);
	tracker_will_report(t, index, kind);
	r = t->sink.reserve(t->sink.arg);
	if (r) {
		flow_text_get(&t->texts, source.info->text, &texts);
		cut = flow_record_fill(r, &source);
		if (cut)
			shared_add(&t->shared->counters.text_cut, cut);
		t->sink.commit(t->sink.arg);
	}
	atomic_signal_fence(memory_order_seq_cst);
	shared_add(&t->shared->counters.records, 1);
}

static void tracker_reported(struct flow_tracker *t)
{
	flow_journal_set(&t->store.head->journal.report, FLOW_REPORT_NONE);
}

void flow_tracker_early(struct flow_tracker *t, uint32_t index)
{
	tracker_report(t, index, L7_END_ACTIVE, FLOW_REPORT_EARLY);
	flow_early_do(&t->table.flows[index], &t->table.infos[index]);
	if (t->measures.groups)
		flow_measure_early(&t->measures, index, &t->table.flows[index]);
	tracker_reported(t);
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

static struct dpi_ends tracker_ends(const struct flow *f)
{
	unsigned initiator = f->flags & FLOW_INITIATOR_IS_1 ? 1 : 0;

	return (struct dpi_ends){.src_ip = f->key.ip[initiator],
				 .dst_ip = f->key.ip[!initiator],
				 .src_port = f->key.port[initiator],
				 .dst_port = f->key.port[!initiator],
				 .protocol = f->key.protocol,
				 .ip_version = f->key.ip_version};
}

static void tracker_guess(struct flow_tracker *t, uint32_t index, uint64_t hash)
{
	struct flow *f = &t->table.flows[index];
	struct dpi_ends ends = tracker_ends(f);

	if (!t->dpi || tracker_quarantined(t, hash) > 1) {
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
	struct dpi_ends ends = tracker_ends(f);
	struct dpi_texts texts;
	uint64_t hash = flow_tracker_hash(t, f);
	void *state;

	if (!f->cold) {
		tracker_guess(t, index, hash);
		f->flags |= FLOW_FINAL;
		return;
	}
	state = flow_pool_at(&t->cold, f->cold);
	tracker_enter(t, f, hash);
	dpi_verdict(t->dpi, state, &ends, &i->verdict, &texts);
	i->text = flow_text_put(&t->texts, &texts);
	if (!i->text && !flow_text_none(&texts))
		shared_add(&t->shared->counters.text_cut, 1);
	dpi_end(state);
	tracker_leave(t);
	flow_pool_give(&t->cold, f->cold);
	f->cold = 0;
	if (i->verdict.confidence >= L7_CONF_PARTIAL)
		f->flags |= FLOW_KEEP;
	f->flags |= FLOW_FINAL;
}

/* Of connections only: a scan has no answer either, and what is reset says nothing. */
static void tracker_count_halves(struct flow_tracker *t, const struct flow *f)
{
	uint8_t flags = f->tcp_flags[FLOW_FORWARD] | f->tcp_flags[FLOW_REVERSE];

	if (!(flags & TCP_ACK) || !(flags & (TCP_FIN | TCP_PSH)) || flags & TCP_RST)
		return;
	if (f->flags & FLOW_SEEN && f->flags & FLOW_SEEN_REVERSE)
		shared_add(&t->shared->counters.tcp_two_way, 1);
	else
		shared_add(&t->shared->counters.tcp_one_way, 1);
}

/* Says so at once, to who wants to know. */
static void tracker_conclude_early(struct flow_tracker *t, uint32_t index)
{
	if (t->config.early)
		tracker_will_report(t, index, FLOW_REPORT_EARLY);
	tracker_conclude(t, index);
	if (t->config.early)
		flow_tracker_early(t, index);
}

/* The last record of a flow, and the flow is gone. */
static void tracker_end(struct flow_tracker *t, uint32_t index, enum l7_end_reason reason)
{
	if (!(t->table.flows[index].flags & FLOW_FINAL))
		tracker_conclude(t, index);
	tracker_report(t, index, reason, FLOW_REPORT_END);
	tracker_count_halves(t, &t->table.flows[index]);
	flow_text_drop(&t->texts, t->table.infos[index].text);
	if (t->measures.groups)
		flow_measure_end(&t->measures, index, &t->table.flows[index]);
	flow_tunnels_give(&t->tunnels, t->table.flows[index].tunnel);
	flow_table_remove(&t->table, index);
	tracker_reported(t);
	shared_set(&t->shared->counters.flows_active, t->table.active);
}

/* A record in the middle of a flow; counting starts anew with the packet at now_ms. */
static void tracker_cut(struct flow_tracker *t, uint32_t index, uint64_t now_ms)
{
	struct flow *f = &t->table.flows[index];

	if (f->cold)
		tracker_conclude(t, index);
	else if (!(f->flags & FLOW_FINAL))
		tracker_guess(t, index, flow_tracker_hash(t, f));
	t->store.head->journal.report_now_ms = now_ms;
	tracker_report(t, index, L7_END_ACTIVE, FLOW_REPORT_CUT);
	flow_cut_do(f, &t->table.infos[index], now_ms);
	if (t->measures.groups)
		flow_measure_cut(&t->measures, index, f);
	tracker_reported(t);
}

/* When a flow expires if nothing more of it comes. */
static uint64_t tracker_expiry(const struct flow_tracker *t, const struct flow *f)
{
	uint64_t wait = t->config.idle_ms;

	if (f->flags & FLOW_ENDED && (wait == 0 || wait > FLOW_LINGER_MS))
		wait = FLOW_LINGER_MS;
	return wait ? f->last_ms + wait : WHEEL_NO_TIME;
}

void flow_tracker_schedule(struct flow_tracker *t, uint32_t index)
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

/* Below 0, 0 or above: as memcmp() of two addresses, but it is asked for each packet. */
static int tracker_order(const uint8_t a[16], const uint8_t b[16])
{
	uint64_t x[2], y[2];

	memcpy(x, a, 16);
	memcpy(y, b, 16);
	if (x[0] == y[0]) {
		x[0] = x[1];
		y[0] = y[1];
	}
	x[0] = be64toh(x[0]);
	y[0] = be64toh(y[0]);
	return (x[0] > y[0]) - (x[0] < y[0]);
}

/* One key for both directions; returns which end sent the packet. */
static unsigned tracker_key(const struct flow_tracker *t, struct flow_key *k, const struct packet *p)
{
	int order = tracker_order(p->src_ip, p->dst_ip);
	unsigned src = order > 0 || (order == 0 && p->src_port > p->dst_port) ? 1 : 0;

	memcpy(k->ip[src], p->src_ip, 16);
	memcpy(k->ip[!src], p->dst_ip, 16);
	k->port[src] = p->src_port;
	k->port[!src] = p->dst_port;
	k->vlan = p->vlan_id & t->vlan_mask;
	k->protocol = p->protocol;
	k->ip_version = p->ip_version;
	return src;
}

static uint32_t tracker_new(struct flow_tracker *t, const struct flow_lookup *l, uint32_t tunnel,
			    const struct packet *p)
{
	uint32_t index = flow_table_add(&t->table, &l->key, l->hash);
	unsigned src = l->end;
	/* The SYN itself was missed. */
	bool answer = (p->tcp_flags & (TCP_SYN | TCP_ACK)) == (TCP_SYN | TCP_ACK);
	struct flow *f;

	if (!index) {
		shared_add(&t->shared->counters.evicted, 1);
		tracker_end(t, flow_table_victim(&t->table), L7_END_RESOURCES);
		index = flow_table_add(&t->table, &l->key, l->hash);
	}
	f = &t->table.flows[index];
	f->start_ms = f->last_ms = p->time_ms;
	if (tunnel)
		flow_tracker_tunnel_begin(t, index, tunnel, p, answer);
	f->flow_id = flow_table_id(&l->key, p->time_ms,
				   t->config.domain ^ flow_tunnels_name(&t->tunnels, tunnel & t->table.tunnel_mask));
	f->tos = p->tos;
	t->table.infos[index].interface = p->interface;
	t->table.infos[index].icmp_type_code = p->icmp_type_code;
	t->table.infos[index].vlan_id = p->vlan_id;
	if (p->protocol == IPPROTO_TCP && !(p->tcp_flags & TCP_SYN))
		f->flags |= FLOW_MIDSTREAM;
	if (answer)
		src = !src;
	if (t->measures.groups)
		flow_measure_begin(&t->measures, index, p, answer);
	if (src)
		f->flags |= FLOW_INITIATOR_IS_1;
	flow_tracker_schedule(t, index);
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

static uint32_t tracker_find(struct flow_tracker *t, const struct packet *p, const struct flow_lookup *l)
{
	uint32_t tunnel = p->tunnels ? flow_tracker_tunnel(t, p, l->in) : 0;
	uint32_t index = flow_table_find(&t->table, &l->key, tunnel, l->hash);

	if (index && tracker_is_over(t, &t->table.flows[index], p)) {
		tracker_end(t, index, tracker_reason(&t->table.flows[index]));
		index = 0;
	}
	if (!index)
		index = tracker_new(t, l, tunnel, p);
	else if (tracker_is_long(t, &t->table.flows[index], p))
		tracker_cut(t, index, p->time_ms);
	flow_tunnels_give(&t->tunnels, tunnel);
	return index;
}

static bool tracker_begin_dpi(struct flow_tracker *t, struct flow *f, uint64_t hash)
{
	if (!t->dpi || f->flags & FLOW_DPI_LOST)
		return false;
	if (tracker_quarantined(t, hash)) {
		shared_add(&t->shared->counters.dpi_quarantined, 1);
		return false;
	}
	if (atomic_load_explicit(&t->shared->dpi_off, memory_order_relaxed)) {
		shared_add(&t->shared->counters.dpi_switched_off, 1);
		return false;
	}
	f->cold = flow_pool_take(&t->cold);
	if (!f->cold) {
		shared_add(&t->shared->counters.dpi_no_state, 1);
		return false;
	}
	dpi_begin(flow_pool_at(&t->cold, f->cold), f->flags & FLOW_MIDSTREAM);
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
		done = dpi_packet(t->dpi, flow_pool_at(&t->cold, f->cold), p);
		tracker_leave(t);
		shared_add(&t->shared->counters.dpi_calls, 1);
	}
	if (!done)
		return;
	tracker_conclude_early(t, index);
}

/* The flow has just ended: nothing more will be learned, and it waits a shorter time now. */
static void tracker_ended(struct flow_tracker *t, uint32_t index)
{
	struct flow *f = &t->table.flows[index];

	if (!(f->flags & FLOW_FINAL))
		tracker_conclude_early(t, index);
	flow_wheel_remove(&t->table.wheel, index);
	flow_tracker_schedule(t, index);
}

/* The flags of a flow after a segment. */
static uint16_t tracker_tcp(uint16_t flags, const struct packet *p, unsigned direction)
{
	if (p->tcp_flags & TCP_FIN)
		flags |= direction == FLOW_FORWARD ? FLOW_FIN_FORWARD : FLOW_FIN_REVERSE;
	if (p->tcp_flags & TCP_RST || (flags & FLOW_FIN_FORWARD && flags & FLOW_FIN_REVERSE))
		flags |= FLOW_ENDED;
	return flags;
}

/* Of a fragment that has waited: its frame is counted already. The notes on its flow are made. */
static __attribute__((cold, noinline)) void tracker_count_late(struct flow_tracker *t, uint32_t index)
{
	struct flow_journal *j = &t->store.head->journal;
	bool alone = atomic_load_explicit(&j->stage, memory_order_relaxed) == FLOW_STAGE_NONE;

	j->place = t->late - 1;
	flow_journal_set(&j->stage, alone ? FLOW_STAGE_LATE : FLOW_STAGE_AFTER);
	flow_change_do(&j->change, &t->table.flows[index], &t->table.infos[index], &t->shared->counters);
	flow_fragments_free(t->store.fragments, j->place);
	flow_journal_set(&j->stage, alone ? FLOW_STAGE_NONE : FLOW_STAGE_FRAME);
}

/* Counts a packet: with this a new flow is there, and the packet is not read again, whatever happens. */
static void tracker_count(struct flow_tracker *t, uint32_t index, const struct packet *p, unsigned direction)
{
	struct shared_worker_counters *counters = &t->shared->counters;
	struct flow_journal *j = &t->store.head->journal;
	struct flow *f = &t->table.flows[index];
	struct flow_change *c = &j->change;
	bool late = p->time_ms < f->last_ms;
	uint16_t flags = f->flags;

	c->index = index;
	c->direction = (uint8_t)direction;
	c->packets = f->packets[direction] + 1;
	c->octets = f->octets[direction] + p->octets;
	c->last_ms = late ? f->last_ms : p->time_ms;
	c->start_ms = p->time_ms < f->start_ms ? p->time_ms : f->start_ms;
	c->tcp_flags = f->tcp_flags[direction];
	c->flows = shared_get(&counters->flows) + !(flags & FLOW_READY);
	c->delta = flags & FLOW_DELTA_EMPTY || (late && flags & FLOW_EARLY);
	if (c->delta) {
		c->delta_start_ms = t->table.infos[index].delta_start_ms;
		if (flags & FLOW_DELTA_EMPTY || p->time_ms < c->delta_start_ms)
			c->delta_start_ms = p->time_ms;
		flags &= (uint16_t)~FLOW_DELTA_EMPTY;
	}
	if (direction == FLOW_REVERSE) {
		if (!(flags & FLOW_SEEN_REVERSE))
			f->rev_tos = p->tos; /* says nothing before the flag is set */
		flags |= FLOW_KEEP;
	}
	flags |= (uint16_t)(FLOW_SEEN << direction);
	if (p->protocol == IPPROTO_TCP) {
		c->tcp_flags |= p->tcp_flags;
		flags = tracker_tcp(flags, p, direction);
	}
	c->flags = flags | FLOW_READY;
	if (t->late) {
		tracker_count_late(t, index);
		return;
	}
	flow_journal_set(&j->stage, FLOW_STAGE_FLOW);
	flow_change_do(c, f, &t->table.infos[index], counters);
	flow_journal_set(&j->stage, FLOW_STAGE_FRAME);
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
		t->store.head->clock_ms = t->clock_ms = time_ms;
}

static void tracker_look(const struct flow_tracker *t, struct flow_lookup *l, const struct packet *p)
{
	l->end = tracker_key(t, &l->key, p);
	l->in = p->tunnels ? flow_tracker_in(t, p) : 0;
	l->hash = flow_table_hash(&t->table, &l->key, l->in);
}

void flow_tracker_expect(const struct flow_tracker *t, struct flow_lookup *l, const struct packet *p)
{
	tracker_look(t, l, p);
	flow_table_prefetch(&t->table, l->hash);
}

void flow_tracker_leave_out(struct flow_tracker *t, const struct packet *p)
{
	struct flow_journal *j = &t->store.head->journal;
	uint64_t n = shared_get(&t->shared->counters.packets_not_sampled) + 1;

	if (t->late) {
		bool alone = atomic_load_explicit(&j->stage, memory_order_relaxed) == FLOW_STAGE_NONE;

		j->place = t->late - 1;
		j->left_out = n;
		flow_journal_set(&j->stage, alone ? FLOW_STAGE_LEFT : FLOW_STAGE_LEFT_AFTER);
		flow_left_do(j, &t->shared->counters);
		flow_fragments_free(t->store.fragments, j->place);
		flow_journal_set(&j->stage, alone ? FLOW_STAGE_NONE : FLOW_STAGE_FRAME);
		return;
	}
	flow_tracker_clock(t, p->time_ms);
	j->frame.not_sampled = n;
	flow_journal_set(&j->stage, FLOW_STAGE_FRAME);
}

static void tracker_take(struct flow_tracker *t, struct packet *p, const struct flow_lookup *l)
{
	uint32_t index;
	unsigned direction;
	bool was_ended;
	struct flow *f;

	if (!flow_sample_key(&t->config.flows, &l->key)) {
		flow_tracker_leave_out(t, p);
		return;
	}
	if (!t->late) /* else it was there at its time */
		flow_tracker_clock(t, p->time_ms);
	if (t->measures.groups) /* most likely of the flow; on its way while that is looked for */
		__builtin_prefetch(&t->measures.flows[flow_table_first(&t->table, l->hash)], 1);
	index = tracker_find(t, p, l);
	f = &t->table.flows[index];
	direction = l->end == (f->flags & FLOW_INITIATOR_IS_1 ? 1u : 0u) ? FLOW_FORWARD : FLOW_REVERSE;
	p->reverse = direction == FLOW_REVERSE;
	was_ended = f->flags & FLOW_ENDED;
	tracker_count(t, index, p, direction);
	if (t->measures.groups) /* A worker that dies between the two leaves one packet out of the measures. */
		flow_measure_packet(&t->measures, index, p, f, direction);
	if (!(f->flags & FLOW_FINAL) && p->payload_len > 0 && !p->later_fragment)
		tracker_classify(t, index, p, l->hash);
	if (f->flags & FLOW_ENDED && !was_ended)
		tracker_ended(t, index);
}

void flow_tracker_expected(struct flow_tracker *t, struct packet *p, const struct flow_lookup *l)
{
	if (p->fragment)
		flow_tracker_fragment(t, p, l); /* its ports may not be known before */
	else
		tracker_take(t, p, l);
}

void flow_tracker_packet(struct flow_tracker *t, struct packet *p)
{
	struct flow_lookup l;

	tracker_look(t, &l, p);
	flow_tracker_expected(t, p, &l);
}

void flow_tracker_known(struct flow_tracker *t, struct packet *p)
{
	struct flow_lookup l;

	flow_tracker_expect(t, &l, p);
	tracker_take(t, p, &l);
}

void flow_tracker_late(struct flow_tracker *t, struct packet *p, uint32_t place)
{
	t->late = place + 1;
	flow_tracker_known(t, p);
	t->late = 0;
}

/*
 * Flows that end together were last touched long ago, and each is in other lines of memory. Those of the next but one are asked for
 * here, and those which only the next flow itself can tell.
 */
static void tracker_look_ahead(const struct flow_tracker *t, uint32_t next)
{
	const struct flow *f = &t->table.flows[next];
	const struct flow *after = &t->table.flows[f->wheel_next];
	const struct flow_info *info = &t->table.infos[f->wheel_next];

	flow_table_prefetch(&t->table, f->hash);
	flow_text_prefetch(&t->texts, t->table.infos[next].text);
	__builtin_prefetch(after, 1);
	__builtin_prefetch(&after->packets, 1);
	__builtin_prefetch(info);
	__builtin_prefetch((const char *)(info + 1) - 1);
}

bool flow_tracker_expire(struct flow_tracker *t, uint64_t now_ms, unsigned most)
{
	if (now_ms > t->clock_ms)
		t->store.head->clock_ms = t->clock_ms = now_ms;
	flow_tracker_fragments_expire(t, false);
	for (; most > 0; most--) {
		uint32_t index = flow_wheel_due(&t->table.wheel, t->clock_ms);
		const struct flow *f = &t->table.flows[index];
		uint64_t expiry;

		if (!index)
			return false;
		tracker_look_ahead(t, flow_wheel_ahead(&t->table.wheel));
		expiry = tracker_expiry(t, f);
		if (expiry != WHEEL_NO_TIME && t->clock_ms > expiry + FLOW_SLACK_MS)
			tracker_end(t, index, tracker_reason(f));
		else
			flow_tracker_schedule(t, index);
	}
	return true;
}

void flow_tracker_flush(struct flow_tracker *t)
{
	flow_tracker_fragments_expire(t, true);
	for (uint32_t i = flow_table_next(&t->table, 0); i; i = flow_table_next(&t->table, i)) {
		const struct flow *f = &t->table.flows[i];
		bool over = f->flags & FLOW_ENDED || t->clock_ms > tracker_expiry(t, f);

		/* The flows lie side by side; what they refer to does not. */
		if (i + FLOW_AHEAD < *t->table.fresh) {
			flow_table_prefetch(&t->table, t->table.flows[i + FLOW_AHEAD].hash);
			flow_text_prefetch(&t->texts, t->table.infos[i + FLOW_AHEAD].text);
		}
		tracker_end(t, i, over ? tracker_reason(f) : L7_END_FORCED);
	}
}
