/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/flow_adopt.h"

#include <errno.h>
#include <string.h>

#include "flow/flow_tracker_internal.h"

/*
 * The record that was under way: if it got out, what follows from it is done. Returns a flow whose early record, which is not
 * made again at another time, did not; or 0.
 */
static uint32_t adopt_report(struct flow_tracker *t)
{
	struct flow_journal *j = &t->store.head->journal;
	uint32_t kind = atomic_load_explicit(&j->report, memory_order_relaxed);
	uint32_t index = j->report_flow;
	uint64_t made = t->sink.made ? t->sink.made(t->sink.arg) : shared_get(&t->shared->counters.records);
	uint32_t place = index <= t->store.max ? index : 0;
	struct flow_info *i = &t->store.infos[place];
	struct flow *f = &t->store.flows[place];

	shared_set(&t->shared->counters.records, made);
	if (kind == FLOW_REPORT_EARLY && made == j->report_number)
		return index;
	if (made != j->report_number) {
		if (kind == FLOW_REPORT_EARLY) {
			flow_early_do(f, i);
			if (t->measures.groups)
				flow_measure_early(&t->measures, place, f);
		} else if (kind == FLOW_REPORT_CUT) {
			flow_cut_do(f, i, j->report_now_ms);
			if (t->measures.groups)
				flow_measure_cut(&t->measures, place, f);
		} else if (kind == FLOW_REPORT_END) {
			f->key.ip_version = 0;
		}
	}
	flow_journal_set(&j->report, FLOW_REPORT_NONE);
	return 0;
}

static bool adopt_has_change(uint32_t stage)
{
	return stage == FLOW_STAGE_FLOW || stage == FLOW_STAGE_LATE || stage == FLOW_STAGE_AFTER;
}

static bool adopt_has_frame(uint32_t stage)
{
	return stage == FLOW_STAGE_FLOW || stage == FLOW_STAGE_FRAME || stage == FLOW_STAGE_WAIT ||
	       stage == FLOW_STAGE_AFTER || stage == FLOW_STAGE_LEFT_AFTER;
}

/*
 * The packet that was under way: if it was noted it is counted, else it was never there. Returns its flow, or 0.
 */
static uint32_t adopt_packet(struct flow_tracker *t)
{
	struct flow_journal *j = &t->store.head->journal;
	uint32_t stage = atomic_load_explicit(&j->stage, memory_order_relaxed);
	struct flow_change *c = &j->change;

	if (adopt_has_change(stage) && c->index <= t->store.max && c->direction < 2)
		flow_change_do(c, &t->store.flows[c->index], &t->store.infos[c->index], &t->shared->counters);
	if (stage == FLOW_STAGE_LEFT || stage == FLOW_STAGE_LEFT_AFTER)
		flow_left_do(j, &t->shared->counters);
	if (stage >= FLOW_STAGE_LATE && stage <= FLOW_STAGE_LEFT_AFTER)
		flow_fragments_redo_free(t->store.fragments, j->place);
	if (stage == FLOW_STAGE_WAIT)
		flow_fragments_redo_keep(t->store.fragments, j->waits);
	if (adopt_has_frame(stage) && j->frame.kind < DECODE_KINDS)
		flow_frame_do(&j->frame, t->shared);
	if (stage == FLOW_STAGE_FLOW || stage == FLOW_STAGE_FRAME || stage == FLOW_STAGE_AFTER ||
	    stage == FLOW_STAGE_LEFT_AFTER)
		j->late = 1;
	flow_journal_set(&j->stage, FLOW_STAGE_NONE);
	return (adopt_has_change(stage) || stage == FLOW_STAGE_FRAME) && c->index <= t->store.max ? c->index : 0;
}

/* A flow that is whole: begun to its end, and with the key that it was hashed by. */
static bool adopt_is_flow(const struct flow_tracker *t, const struct flow *f)
{
	return f->flags & FLOW_READY && (f->key.ip_version == 4 || f->key.ip_version == 6) &&
	       flow_tunnels_whole(&t->tunnels, f->tunnel) && f->hash == (uint32_t)flow_tracker_hash(t, f);
}

static void adopt_flow(struct flow_tracker *t, struct flow_text_claims *claims, uint32_t index)
{
	struct flow *f = &t->store.flows[index];
	struct flow_info *i = &t->store.infos[index];

	f->flags &= FLOW_ALL;
	if (f->cold && !(f->flags & FLOW_FINAL)) {
		f->flags |= FLOW_DPI_LOST;
		t->adopted.dpi_lost++;
	}
	f->cold = 0;
	if (i->text && !flow_text_claim(&t->texts, claims, i->text)) {
		i->text = 0;
		shared_add(&t->shared->counters.text_cut, 1);
	}
	flow_tunnels_claim(&t->tunnels, f->tunnel);
	if (t->measures.groups)
		flow_measure_adopt(&t->measures, index, f);
	flow_table_take(&t->table, index);
	flow_tracker_schedule(t, index);
	t->adopted.flows++;
}

/* The flow with which the other died as it concluded its classification, or was about to. */
static void adopt_early(struct flow_tracker *t, uint32_t index)
{
	struct flow *f = &t->store.flows[index < t->store.head->fresh ? index : 0];

	if (!t->config.early || !f->key.ip_version || f->flags & FLOW_EARLY)
		return;
	if (!(f->flags & FLOW_FINAL)) {
		memset(&t->store.infos[index].verdict, 0, sizeof(t->store.infos[index].verdict));
		f->flags |= FLOW_FINAL;
	}
	flow_tracker_early(t, index);
}

int flow_adopt(struct flow_tracker *t)
{
	struct flow_store_head *head = t->store.head;
	struct flow_text_claims claims;
	uint32_t early, counted;

	memset(&t->adopted, 0, sizeof(t->adopted));
	if (head->fresh == 0)
		head->fresh = 1;
	if (head->fresh > t->store.max + 1)
		head->fresh = t->store.max + 1;
	early = adopt_report(t);
	counted = adopt_packet(t);
	t->clock_ms = head->clock_ms;
	flow_wheel_start(&t->table.wheel, t->clock_ms);
	if (flow_text_claim_begin(&t->texts, &claims))
		return -ENOMEM;
	flow_table_expect(&t->table, head->fresh);
	/* From the last to the first, so that the first free place is used first. */
	for (uint32_t index = head->fresh - 1; index > 0; index--) {
		const struct flow *f = &t->store.flows[index];

		if (adopt_is_flow(t, f)) {
			adopt_flow(t, &claims, index);
			continue;
		}
		if (f->flags & FLOW_READY && f->key.ip_version)
			t->adopted.damaged++;
		flow_table_give(&t->table, index);
	}
	flow_text_claim_end(&t->texts, &claims);
	flow_tunnels_claimed(&t->tunnels);
	t->adopted.damaged += flow_fragments_adopt(t->store.fragments, t->table.seed);
	if (t->measures.groups)
		flow_measures_adopted(&t->measures, t->store.flows);
	shared_add(&t->shared->counters.dpi_lost, t->adopted.dpi_lost);
	shared_add(&t->shared->counters.flows_lost, t->adopted.damaged);
	shared_set(&t->shared->counters.flows_active, t->table.active);
	if (!early && (t->store.flows[counted].flags & (FLOW_ENDED | FLOW_FINAL)) == FLOW_ENDED)
		early = counted; /* its packet ended it, and nothing after did */
	if (early)
		adopt_early(t, early);
	if (head->journal.late)
		flow_tracker_fragments_known(t);
	head->journal.late = 0;
	flow_journal_set(&head->journal.report, FLOW_REPORT_NONE);
	return 0;
}
