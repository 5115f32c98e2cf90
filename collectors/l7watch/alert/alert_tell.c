/* SPDX-License-Identifier: Apache-2.0 */
/* The way of an alert into the store and to the outputs. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "alert/alert_internal.h"
#include "base/addr.h"

#define TELL_GATHER_MAX (4u << 20)  /* octets of lines after which it is time to settle */
#define TELL_OUTBOX_MAX (64u << 20) /* octets that the store keeps for an output that does not take them */
#define TELL_NEVER 0
#define TELL_KEPT_BACK 1 /* as told_ms in the store: never told, because the rule was muted */

/* ---- into the store ---- */

static void tell_put(struct alerts *a, const struct alert *al, const char *line, size_t len)
{
	char subject[ADDR_TEXT_MAX] = "";
	struct store_alert row = {
		.key = al->key,
		.rule = al->rule,
		.severity = al->severity,
		.engaged_ms = al->engaged_ms,
		.last_ms = al->last_ms,
		.told_ms = al->told        ? al->told_ms
			   : al->kept_back ? TELL_KEPT_BACK
					   : TELL_NEVER,
		.count = al->count,
		.suppressed = al->suppressed,
		.flow_id = al->flow_id,
		.subject = al->has_subject ? addr_format(al->subject, subject) : subject,
		.app = al->app,
		.line = line,
		.line_len = len,
	};

	memcpy(row.uid, al->uid, sizeof(row.uid));
	store_alert_put(a->store, &row);
}

struct tell_into {
	struct buf *out;
	struct lru_key key;
};

static void tell_copy(void *arg, const struct store_alert *row)
{
	struct tell_into *into = arg;

	if (row->key.high == into->key.high && row->key.low == into->key.low)
		buf_put(into->out, row->line, row->line_len);
}

/* The line that the store has of an alert, in a->tail; false if there is none. */
static bool tell_last_line(struct alerts *a, const struct alert *al)
{
	struct tell_into into = {.out = &a->tail, .key = al->key};

	buf_reset(&a->tail);
	return store_alert_find(a->store, al->uid, tell_copy, &into) && !a->tail.failed && a->tail.len;
}

void alert_save(struct alerts *a, size_t room)
{
	struct alert *al;

	while (room-- && (al = alert_table_dirty(&a->table)))
		if (tell_last_line(a, al))
			tell_put(a, al, a->tail.data, a->tail.len);
}

void alert_keep(struct alerts *a, struct alert *al)
{
	if (a->line.failed)
		a->n_lost++;
	else
		tell_put(a, al, a->line.data, a->line.len);
}

/* ---- to the outputs ---- */

static void tell_gather(struct alerts *a)
{
	uint64_t number = store_outbox_put(a->store, a->line.data, a->line.len);

	if (number)
		a->outbox = number;
	a->outbox_octets += a->line.len;
	buf_put(&a->gathered, a->line.data, a->line.len);
	if (a->gathered.failed) { /* no memory: what is there goes first */
		alerts_settle(a);
		buf_put(&a->gathered, a->line.data, a->line.len);
		a->n_lost += a->gathered.failed;
	}
	if (a->gathered.len > TELL_GATHER_MAX)
		alerts_settle(a);
}

void alert_tell(struct alerts *a, struct alert *al, enum alert_state state)
{
	if (state == ALERT_RELEASED) {
		a->n_released++;
		store_alert_drop(a->store, al->key);
		alert_table_drop(&a->table, al);
	} else {
		a->n_raised += state == ALERT_ENGAGED;
		a->n_updated += state == ALERT_UPDATED;
		al->told = true;
		al->kept_back = false;
		al->suppressed = 0;
		if (!a->line.failed)
			tell_put(a, al, a->line.data, a->line.len);
	}
	if (a->line.failed)
		a->n_lost++;
	else
		tell_gather(a);
}

static void tell_lines(struct alerts *a)
{
	const char *at = a->gathered.data, *end = at + a->gathered.len;

	while (at < end) {
		const char *stop = memchr(at, '\n', (size_t)(end - at));
		size_t len = stop ? (size_t)(stop + 1 - at) : (size_t)(end - at);

		alert_outputs_write(a->outputs, at, len);
		at += len;
	}
}

/* Lines that all outputs have taken are forgotten: those up to the mark, once that is reached. */
static void tell_forget(struct alerts *a)
{
	if (a->taken == a->outbox)
		return;
	if (a->mark == a->taken) {
		a->mark = a->outbox;
		a->mark_octets = a->outbox_octets;
		alert_outputs_mark(a->outputs);
	}
	if (!alert_outputs_reached(a->outputs) && a->outbox_octets <= TELL_OUTBOX_MAX)
		return;
	store_outbox_drop(a->store, a->mark); /* committed with what comes next */
	a->taken = a->mark;
	a->outbox_octets -= a->mark_octets;
}

void alerts_settle(struct alerts *a)
{
	(void)store_commit(a->store); /* it says itself what fails; alerts go out all the same */
	if (a->gathered.len)
		tell_lines(a);
	buf_reset(&a->gathered);
	tell_forget(a);
}

bool alerts_taken(const struct alerts *a, uint64_t number)
{
	return a->gathered.len == 0 && a->taken >= number;
}

uint64_t alerts_number(const struct alerts *a)
{
	return a->outbox;
}

/* ---- once more ---- */

/* The last line of an alert with another state, in a->line. If the store has lost it, the little that is known. */
static void tell_line_again(struct alerts *a, const struct alert *al, enum alert_state state, const char *reason)
{
	const char *rest = tell_last_line(a, al) ? alert_json_rest(a->tail.data, a->tail.len) : NULL;

	buf_reset(&a->line);
	alert_json_head(&a->line, al, state, reason);
	if (rest)
		buf_put(&a->line, rest, (size_t)(a->tail.data + a->tail.len - rest));
	else
		alert_json_little(&a->line, al);
}

void alert_release(struct alerts *a, struct alert *al, const char *reason)
{
	if (al->told) {
		tell_line_again(a, al, ALERT_RELEASED, reason);
		alert_tell(a, al, ALERT_RELEASED);
	} else {
		store_alert_drop(a->store, al->key);
		alert_table_drop(&a->table, al);
	}
}

void alert_tell_late(struct alerts *a, struct alert *al)
{
	if (al->kind == ALERT_OF_RULE && alert_rules_mute(a, al, a->now_ms)) {
		al->kept_back = true;
		alert_table_soil(&a->table, al);
		return;
	}
	tell_line_again(a, al, ALERT_ENGAGED, NULL);
	al->told_ms = a->now_ms > al->last_ms ? a->now_ms : al->last_ms;
	alert_tell(a, al, ALERT_ENGAGED);
}

/* ---- at the start ---- */

static void load_alert(void *arg, const struct store_alert *row)
{
	struct alerts *a = arg;
	struct alert *al;

	if (strlen(row->uid) != STORE_UID_MAX - 1 || row->severity >= RULES_SEVERITIES ||
	    alert_table_find(&a->table, row->key))
		return;
	if (a->table.n == ALERT_KEYS_MAX) {
		a->n_evicted++;
		return;
	}
	al = alert_table_add(&a->table, row->key);
	memcpy(al->uid, row->uid, sizeof(al->uid));
	al->rule = row->rule;
	al->severity = row->severity;
	al->engaged_ms = row->engaged_ms;
	al->last_ms = al->seen_ms = row->last_ms;
	al->kept_back = row->told_ms == TELL_KEPT_BACK;
	al->told = row->told_ms > TELL_KEPT_BACK;
	al->told_ms = al->told ? row->told_ms : row->engaged_ms;
	al->count = row->count;
	al->suppressed = row->suppressed;
	al->silence = !al->told && !al->kept_back; /* whichever it was: if none does now, it is told */
	al->flow_id = row->flow_id;
	al->has_subject = row->subject && *row->subject && addr_parse(row->subject, al->subject) == 0;
	snprintf(al->app, sizeof(al->app), "%s", row->app ? row->app : "");
	al->first_ms = alert_json_first_seen(row->line, row->line_len);
	if (!al->first_ms)
		al->first_ms = al->engaged_ms;
	if (al->rule == 0) {
		al->kind = ALERT_BUILTIN;
		al->unconfirmed = true;
	} else {
		struct lru_key mute = alert_rules_mute_key(al->rule);

		al->kind = mute.high == al->key.high && mute.low == al->key.low ? ALERT_MUTED : ALERT_OF_RULE;
	}
}

static void load_line(void *arg, uint64_t number, const char *line, size_t len)
{
	struct alerts *a = arg;

	a->outbox = number;
	a->outbox_octets += len;
	if (len && line[len - 1] == '\n')
		alert_outputs_again(a->outputs, line, len);
}

int alerts_load(struct alerts *a, const struct rule_set *set)
{
	store_alerts(a->store, load_alert, a);
	store_outbox(a->store, load_line, a);
	alert_outputs_again_end(a->outputs);
	tell_forget(a);
	if (alert_rules_use(a, set))
		return -ENOMEM;
	for (uint32_t i = 0; i < a->table.top; i++)
		if (a->table.list[i].kind == ALERT_MUTED)
			alert_rules_resume(a, &a->table.list[i]);
	alert_silences_load(a);
	alert_unknown_load(a, set);
	alerts_use_rules(a, set);
	alert_silences_review(a);
	return 0;
}
