/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/utc.h"
#include "commands/requests.h"
#include "commands/silence_words.h"

/* ---- add ---- */

/* Silences that are over, some at a time. */
struct silence_old {
	uint64_t now_ms;
	size_t n;
	uint64_t ids[64];
	uint64_t all;
};

static void silence_find_old(void *arg, const struct store_silence *l)
{
	struct silence_old *old = arg;

	old->all++;
	if (l->until_ms && l->until_ms <= old->now_ms && old->n < sizeof(old->ids) / sizeof(old->ids[0]))
		old->ids[old->n++] = l->id;
}

/* Drops those that are over, and says how many are left. */
static uint64_t silence_make_room(struct store *s, uint64_t now_ms)
{
	struct silence_old old = {.now_ms = now_ms};

	store_silences(s, silence_find_old, &old);
	for (size_t i = 0; i < old.n; i++)
		old.all -= store_silence_drop(s, old.ids[i]);
	return old.all;
}

/* "rule 1001, host 192.0.2.0/24, app Telegram, until ..." */
static void silence_describe(struct buf *out, const struct store_silence *l)
{
	char time[UTC_TEXT_MAX];

	if (l->rule)
		buf_printf(out, "rule %u, ", l->rule);
	if (l->host)
		buf_printf(out, "host %s, ", l->host);
	if (l->app)
		buf_printf(out, "app %s, ", l->app);
	if (l->until_ms)
		buf_printf(out, "until %s", utc_text(time, UTC_RFC3339, l->until_ms));
	else
		buf_str(out, "for ever");
}

static void silence_notes(const struct silence_request *q, const struct store_silence *l, struct buf *answer)
{
	const char *near = l->app ? silence_words_nearest(l->app) : NULL;

	if (near)
		buf_printf(answer, "no protocol of nDPI is called %s; did you mean %s?\n", l->app, near);
	if (l->rule && q->has_rule && !q->has_rule(q->arg, l->rule))
		buf_printf(answer, "no rule %u is in force\n", l->rule);
}

static int silence_add(const struct silence_request *q, const struct store_silence *l, struct buf *answer)
{
	uint64_t n = silence_make_room(q->store, l->created_ms);
	uint64_t id = n < STORE_SILENCES_MAX ? store_silence_add(q->store, l) : 0;

	if (n >= STORE_SILENCES_MAX) {
		buf_printf(answer, "there are %llu silences, and no more are kept", (unsigned long long)n);
		return -ENOSPC;
	}
	if (id == 0) {
		buf_str(answer, "the silence cannot be kept: the state file cannot be written");
		return -EIO;
	}
	q->changed(q->arg);
	buf_printf(answer, "silence %llu: ", (unsigned long long)id);
	silence_describe(answer, l);
	buf_char(answer, '\n');
	silence_notes(q, l, answer);
	return 0;
}

/* ---- list ---- */

struct silence_list {
	struct buf *out;
	uint64_t now_ms;
	size_t n;
};

static const char *silence_or(const char *text)
{
	return text ? text : "any";
}

static void silence_line(void *arg, const struct store_silence *l)
{
	struct silence_list *list = arg;
	char until[UTC_TEXT_MAX], rule[16] = "any";

	if (list->n++ == 0)
		buf_printf(list->out, "%4s  %-20s  %-8s  %-24s  %-16s  %s\n", "ID", "UNTIL", "RULE", "HOST", "APP",
			   "COMMENT");
	if (l->rule)
		snprintf(rule, sizeof(rule), "%u", l->rule);
	if (!l->until_ms)
		strcpy(until, "for ever");
	else if (l->until_ms <= list->now_ms)
		strcpy(until, "over");
	else
		utc_text(until, UTC_RFC3339, l->until_ms);
	buf_printf(list->out, "%4llu  %-20s  %-8s  %-24s  %-16s  %s\n", (unsigned long long)l->id, until, rule,
		   silence_or(l->host), silence_or(l->app), l->comment ? l->comment : "");
}

static void silence_json_text(struct buf *out, const char *key, const char *text)
{
	buf_printf(out, ",\"%s\":", key);
	if (text)
		buf_json(out, text, strlen(text));
	else
		buf_str(out, "null");
}

static void silence_json(void *arg, const struct store_silence *l)
{
	struct silence_list *list = arg;
	struct buf *out = list->out;
	char time[UTC_TEXT_MAX];

	buf_printf(out, "%s{\"id\":%llu", list->n++ ? ",\n " : "", (unsigned long long)l->id);
	silence_json_text(out, "created", utc_text(time, UTC_RFC3339, l->created_ms));
	silence_json_text(out, "until", l->until_ms ? utc_text(time, UTC_RFC3339, l->until_ms) : NULL);
	buf_printf(out, ",\"over\":%s", l->until_ms && l->until_ms <= list->now_ms ? "true" : "false");
	if (l->rule)
		buf_printf(out, ",\"rule\":%u", l->rule);
	else
		buf_str(out, ",\"rule\":null");
	silence_json_text(out, "host", l->host);
	silence_json_text(out, "app", l->app);
	silence_json_text(out, "comment", l->comment);
	buf_char(out, '}');
}

static int silence_list(const struct silence_request *q, bool json, struct buf *answer)
{
	struct silence_list list = {.out = answer, .now_ms = clock_wall_ms()};

	if (json)
		buf_char(answer, '[');
	store_silences(q->store, json ? silence_json : silence_line, &list);
	if (json)
		buf_str(answer, "]\n");
	else if (list.n == 0)
		buf_str(answer, "no silences\n");
	return 0;
}

/* ---- requests ---- */

static int silence_del(const struct silence_request *q, uint64_t id, struct buf *answer)
{
	uint64_t failures = store_failures(q->store);

	if (store_silence_drop(q->store, id)) {
		q->changed(q->arg);
		buf_printf(answer, "silence %llu is over\n", (unsigned long long)id);
		return 0;
	}
	if (store_failures(q->store) != failures)
		buf_str(answer, "the silence stays: the state file cannot be written");
	else
		buf_printf(answer, "there is no silence %llu", (unsigned long long)id);
	return -ENOENT;
}

int silence_request(void *request, char *const *words, size_t n, struct buf *answer)
{
	const struct silence_request *q = request;
	struct silence_words w;
	char err[512];
	int rc = silence_words_read(&w, words, n, clock_wall_ms(), err, sizeof(err));

	if (rc) {
		buf_str(answer, err);
		return rc;
	}
	switch (w.verb) {
	case SILENCE_ADD:
		return silence_add(q, &w.silence, answer);
	case SILENCE_DEL:
		return silence_del(q, w.id, answer);
	default:
		return silence_list(q, w.json, answer);
	}
}
