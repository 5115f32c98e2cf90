/* SPDX-License-Identifier: Apache-2.0 */
#include "record/names.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "l7/fields.h"

static uint32_t names_hash(const char *text, size_t len)
{
	uint32_t h = 2166136261u;

	for (size_t i = 0; i < len; i++)
		h = (h ^ (uint8_t)text[i]) * 16777619u;
	return h ^ h >> 15;
}

/* Copies to small letters; false if it is too long. */
static bool names_small(char out[NAMES_TEXT_MAX], const char *text, size_t len)
{
	if (len >= NAMES_TEXT_MAX)
		return false;
	for (size_t i = 0; i < len; i++)
		out[i] = (char)(text[i] >= 'A' && text[i] <= 'Z' ? text[i] | 32 : text[i]);
	out[len] = '\0';
	return true;
}

/* The slot of a name in small letters, or the free one where it would stand. */
static uint32_t *names_slot(const struct names_table *t, const char *small, size_t len)
{
	uint32_t at = names_hash(small, len) & t->mask;

	while (t->slots[at] && strcmp(t->texts[t->slots[at]], small) != 0)
		at = (at + 1) & t->mask;
	return &t->slots[at];
}

/* Room for twice as many names; slots are four times as many as names, so that a name that is in no rule is seen at once. */
static int names_grow(struct names_table *t)
{
	uint32_t room = t->mask ? (t->mask + 1) / 2 : 32;
	uint32_t *slots = calloc((size_t)room * 4, sizeof(*slots));
	void *texts = realloc(t->texts, (size_t)room * sizeof(*t->texts));

	if (texts)
		t->texts = texts;
	if (!slots || !texts) {
		free(slots);
		return -ENOMEM;
	}
	free(t->slots);
	t->slots = slots;
	t->mask = room * 4 - 1;
	for (uint32_t i = 1; i < t->n; i++)
		*names_slot(t, t->texts[i], strlen(t->texts[i])) = i;
	return 0;
}

int names_table_init(struct names_table *t)
{
	static const char *const fixed[NAME_FIXED] = {"", "Unknown", "DNS", "MDNS", "LLMNR", "NetBIOS"};

	*t = (struct names_table){.n = 1};
	if (names_grow(t))
		goto fail;
	for (uint32_t i = 1; i < NAME_FIXED; i++)
		if (names_table_add(t, fixed[i], strlen(fixed[i])) != i)
			goto fail;
	return 0;
fail:
	names_table_deinit(t);
	return -ENOMEM;
}

void names_table_deinit(struct names_table *t)
{
	free(t->slots);
	free(t->texts);
	*t = (struct names_table){0};
}

int64_t names_table_add(struct names_table *t, const char *text, size_t len)
{
	char small[NAMES_TEXT_MAX];
	uint32_t *slot;

	if (!names_small(small, text, len))
		return -E2BIG;
	slot = names_slot(t, small, len);
	if (*slot != 0)
		return (int64_t)*slot;
	if (t->n == (t->mask + 1) / 4) {
		if (names_grow(t))
			return -ENOMEM;
		slot = names_slot(t, small, len);
	}
	memcpy(t->texts[t->n], small, sizeof(small));
	*slot = t->n;
	return t->n++;
}

uint32_t names_table_find(const struct names_table *t, const char *text, size_t len)
{
	char small[NAMES_TEXT_MAX];

	return names_small(small, text, len) ? *names_slot(t, small, len) : NAME_OTHER;
}

static uint32_t names_of_text(const struct names_table *t, const struct l7_record *r, struct l7_text text)
{
	return text.len ? names_table_find(t, r->text + text.off, text.len) : NAME_UNKNOWN;
}

int names_read(struct names_written *w, const char *text)
{
	const char *dot = strchr(text, '.');
	size_t len = dot ? (size_t)(dot - text) : 0;

	w->kind = PATTERN_APP;
	w->app = text;
	w->master[0] = '\0';
	if (strncmp(text, "category:", 9) == 0) {
		w->kind = PATTERN_CATEGORY;
		w->app = text + 9;
		return 0;
	}
	if (!dot)
		return 0;
	if (len == 0 || len >= sizeof(w->master) || strchr(dot + 1, '.'))
		return -EINVAL;
	memcpy(w->master, text, len);
	w->master[len] = '\0';
	w->app = dot + 1;
	w->kind = strcmp(dot + 1, "*") == 0 ? PATTERN_MASTER : PATTERN_BOTH;
	return 0;
}

void names_of_record(const struct names_table *t, const struct l7_record *r, struct names_record *out)
{
	out->dotted = r->master.len < r->app.len;
	out->app = names_of_text(t, r, r->application);
	out->master = out->dotted ? names_of_text(t, r, r->master) : out->app;
	out->category = names_of_text(t, r, r->category);
	names_of_numbers(r, out);
}

void names_of_numbers(const struct l7_record *r, struct names_record *out)
{
	out->service = out->master >= NAME_DNS && out->master <= NAME_NETBIOS;
	/* An exporter that does not say how it knows is believed. */
	out->confidence = l7_has(r, L7_F_appConfidence) ? r->confidence : L7_CONF_DPI;
	out->master_confidence =
		l7_has(r, L7_F_masterConfidence) && out->dotted ? r->master_confidence : out->confidence;
}

struct names_record names_trusted(const struct names_record *n, uint8_t least)
{
	struct names_record t = *n;

	if (n->master_confidence < least)
		t.master = NAME_UNKNOWN;
	if (n->confidence < least)
		t.app = t.category = NAME_UNKNOWN;
	if (n->service) {
		/* The master says what it is, whatever the name asked for. */
		if (t.master == NAME_UNKNOWN)
			t.app = t.category = NAME_UNKNOWN;
		else if (t.app == NAME_UNKNOWN)
			t.app = NAME_OTHER;
	}
	return t;
}

/* What a name alone is compared with. */
static uint32_t names_alone(const struct names_record *n)
{
	return n->service && n->app != NAME_UNKNOWN ? n->master : n->app;
}

bool names_pattern_matches(const struct names_pattern *p, const struct names_record *n)
{
	switch (p->kind) {
	case PATTERN_APP:
		return names_alone(n) == p->app;
	case PATTERN_MASTER:
		return n->master == p->master;
	case PATTERN_BOTH:
		return n->dotted && n->master == p->master && n->app == p->app;
	case PATTERN_CATEGORY:
		return names_categorized(n) && n->category == p->app;
	default:
		return false;
	}
}

bool names_match(const struct names_list *list, const struct names_record *trusted, const struct names_record *guess)
{
	bool found = !list->positive && !names_unknown(trusted);

	for (size_t i = 0; i < list->n; i++) {
		const struct names_pattern *p = &list->patterns[i];

		if (!p->negated)
			found |= names_pattern_matches(p, trusted);
		else if (names_pattern_matches(p, trusted) || names_pattern_matches(p, guess))
			return false;
	}
	return found;
}

bool names_match_one(const struct names_list *list, uint32_t trusted, uint32_t guess)
{
	bool found = !list->positive && trusted != NAME_UNKNOWN;

	for (size_t i = 0; i < list->n; i++) {
		const struct names_pattern *p = &list->patterns[i];

		if (!p->negated)
			found |= p->app == trusted;
		else if (p->app == trusted || p->app == guess)
			return false;
	}
	return found;
}

/* What a name is in a list: a bit, and the next for the same negated. */
enum {
	SET_APP = 1,
	SET_MASTER = 4,
	SET_CATEGORY = 16,
	SET_PAIR = 64, /* master of a PATTERN_BOTH */
	SET_WANTED = SET_APP | SET_MASTER | SET_CATEGORY,
	SET_NEGATED = SET_WANTED << 1,
};

int names_set_init(struct names_set *s, const struct names_list *list, uint32_t names)
{
	static const uint8_t flags[] = {[PATTERN_APP] = SET_APP,
					[PATTERN_MASTER] = SET_MASTER,
					[PATTERN_BOTH] = SET_PAIR,
					[PATTERN_CATEGORY] = SET_CATEGORY};

	*s = (struct names_set){.positive = list->positive, .n = names};
	s->flags = calloc(names, sizeof(*s->flags));
	s->pairs = calloc(list->n + 1, sizeof(*s->pairs));
	if (!s->flags || !s->pairs) {
		names_set_deinit(s);
		return -ENOMEM;
	}
	for (size_t i = 0; i < list->n; i++) {
		const struct names_pattern *p = &list->patterns[i];
		bool by_master = p->kind == PATTERN_MASTER || p->kind == PATTERN_BOTH;

		if (p->kind == PATTERN_BOTH)
			s->pairs[s->n_pairs++] = *p;
		s->flags[by_master ? p->master : p->app] |=
			(uint8_t)(flags[p->kind] << (p->negated && p->kind != PATTERN_BOTH));
	}
	return 0;
}

void names_set_deinit(struct names_set *s)
{
	free(s->flags);
	free(s->pairs);
	*s = (struct names_set){0};
}

/* SET_WANTED and SET_NEGATED, of a pattern each that matches. */
static unsigned names_set_look(const struct names_set *s, const struct names_record *n)
{
	unsigned master = s->flags[n->master];
	unsigned found =
		(s->flags[names_alone(n)] & (SET_APP | SET_APP << 1)) | (master & (SET_MASTER | SET_MASTER << 1));

	if (names_categorized(n))
		found |= s->flags[n->category] & (SET_CATEGORY | SET_CATEGORY << 1);
	for (size_t i = 0; (master & SET_PAIR) && i < s->n_pairs; i++)
		if (names_pattern_matches(&s->pairs[i], n))
			found |= s->pairs[i].negated ? SET_APP << 1 : SET_APP;
	return found;
}

/* What is wanted of the trusted names, and negated of either. */
static bool names_set_answer(const struct names_set *s, unsigned trusted, unsigned guess, bool unknown)
{
	if ((trusted | guess) & SET_NEGATED)
		return false;
	return (trusted & SET_WANTED) || (!s->positive && !unknown);
}

bool names_set_match(const struct names_set *s, const struct names_record *trusted, const struct names_record *guess)
{
	return names_set_answer(s, names_set_look(s, trusted), names_set_look(s, guess), names_unknown(trusted));
}

bool names_set_match_one(const struct names_set *s, uint32_t trusted, uint32_t guess)
{
	const unsigned plain = SET_APP | SET_APP << 1;

	return names_set_answer(s, s->flags[trusted] & plain, s->flags[guess] & plain, trusted == NAME_UNKNOWN);
}

static bool names_mentions(const struct names_pattern *p, uint32_t master)
{
	return p->kind == PATTERN_APP ? p->app == master : p->kind != PATTERN_CATEGORY && p->master == master;
}

enum names_answer names_allow(const struct names_list *list, const struct names_record *trusted,
			      const struct names_record *guess)
{
	bool mentioned = false;

	for (size_t i = 0; i < list->n; i++) {
		const struct names_pattern *p = &list->patterns[i];

		if (names_pattern_matches(p, trusted) || names_pattern_matches(p, guess))
			return NAMES_ALLOWED;
		mentioned |= names_mentions(p, trusted->master);
	}
	if (!names_unknown(trusted))
		return NAMES_FORBIDDEN;
	return trusted->master == NAME_UNKNOWN || mentioned ? NAMES_NOT_KNOWN : NAMES_MASTER_FORBIDDEN;
}
