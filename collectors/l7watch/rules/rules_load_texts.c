/* SPDX-License-Identifier: Apache-2.0 */
/* Values of rules that are texts or hardware addresses. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "rules/rules_internal.h"

#define RULES_TEXT_MAX L7_STRING_MAX

static uint32_t rules_words_hash(const char *text, size_t len)
{
	uint32_t h = 2166136261u;

	for (size_t i = 0; i < len; i++)
		h = (h ^ (uint8_t)text[i]) * 16777619u;
	return h ^ h >> 15;
}

int64_t rules_words_find(const struct rules_words *w, const char *text, size_t len)
{
	if (!w->slots)
		return -1;
	for (uint32_t at = rules_words_hash(text, len) & w->mask; w->slots[at]; at = (at + 1) & w->mask) {
		const char *item = w->items[w->slots[at] - 1].text;

		if (strlen(item) == len && memcmp(item, text, len) == 0) /* which may hold a NUL */
			return w->slots[at] - 1;
	}
	return -1;
}

/* Makes the hash table. What is there twice is found once, as negated if it is that anywhere. */
static int rules_words_seal(struct rules_loader *l, struct rules_words *w)
{
	size_t room = 4;

	while (room < w->n * 2)
		room *= 2;
	w->slots = calloc(room, sizeof(*w->slots));
	if (!w->slots)
		return rules_no_memory(l);
	w->mask = (uint32_t)(room - 1);
	for (size_t i = 0; i < w->n; i++) {
		const char *text = w->items[i].text;
		int64_t same = rules_words_find(w, text, strlen(text));
		uint32_t at = rules_words_hash(text, strlen(text)) & w->mask;

		if (same >= 0) {
			w->items[same].negated |= w->items[i].negated;
			continue;
		}
		while (w->slots[at])
			at = (at + 1) & w->mask;
		w->slots[at] = (uint32_t)i + 1;
	}
	return 0;
}

static int rules_add_word(struct rules_loader *l, const struct rules_item *item, void *arg)
{
	struct rules_words *w = arg;
	void *items = rules_room(w->items, w->n, sizeof(*w->items));
	char *text = strdup(item->text);

	if (items)
		w->items = items;
	if (!items || !text) {
		free(text);
		return rules_no_memory(l);
	}
	for (char *c = text; *c; c++)
		*c = (char)(*c >= 'A' && *c <= 'Z' ? *c | 32 : *c);
	w->items[w->n++] = (struct rules_word_item){.text = text, .negated = item->negated};
	return 0;
}

static int rules_add_sni(struct rules_loader *l, const struct rules_item *item, void *arg)
{
	const char *text = item->text;
	size_t len = strlen(text);

	if (strncmp(text, "*.", 2) == 0)
		text += 2;
	if (!*text || *text == '.' || len > RULES_TEXT_MAX || strpbrk(text, "*/: "))
		return rules_item_error(l, item, "%s is not a name such as example.org or *.example.org", item->text);
	return rules_add_word(l, item, arg);
}

static int rules_add_alpn(struct rules_loader *l, const struct rules_item *item, void *arg)
{
	if (strlen(item->text) > RULES_TEXT_MAX || strpbrk(item->text, ", "))
		return rules_item_error(l, item, "%s is not a name of ALPN such as h2 or http/1.1", item->text);
	return rules_add_word(l, item, arg);
}

static int rules_add_exporter(struct rules_loader *l, const struct rules_item *item, void *arg)
{
	const char *star = strchr(item->text, '*');

	if (strlen(item->text) > RULES_TEXT_MAX || (star && star[1]))
		return rules_item_error(l, item, "%s is not a name of an exporter; * may stand at its end", item->text);
	return rules_add_word(l, item, arg);
}

static int rules_load_words(struct rules_loader *l, const struct yaml_node *value, rules_each_fn *add,
			    struct rules_words *out)
{
	int rc;

	out->given = true;
	rc = rules_each(l, value, &out->positive, add, out);
	return rc ? rc : rules_words_seal(l, out);
}

int rules_load_sni(struct rules_loader *l, const struct yaml_node *value, struct rules_words *out)
{
	return rules_load_words(l, value, rules_add_sni, out);
}

int rules_load_alpn(struct rules_loader *l, const struct yaml_node *value, struct rules_words *out)
{
	return rules_load_words(l, value, rules_add_alpn, out);
}

int rules_load_exporter(struct rules_loader *l, const struct yaml_node *value, struct rules_words *out)
{
	return rules_load_words(l, value, rules_add_exporter, out);
}

void rules_words_deinit(struct rules_words *w)
{
	for (size_t i = 0; i < w->n; i++)
		free(w->items[i].text);
	free(w->items);
	free(w->slots);
}

/* ---- hardware addresses ---- */

static int rules_hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 32;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* "aa:bb:cc:dd:ee:ff" or "aa:bb:cc"; number of octets, or 0. */
static uint8_t rules_mac(const char *text, uint8_t mac[6])
{
	uint8_t n = 0;

	for (;; text++) {
		int high = rules_hex(text[0]), low = high < 0 ? -1 : rules_hex(text[1]);

		if (low < 0 || n == 6)
			return 0;
		mac[n++] = (uint8_t)(high << 4 | low);
		text += 2;
		if (!*text)
			return n == 3 || n == 6 ? n : 0;
		if (*text != ':' && *text != '-')
			return 0;
	}
}

static int rules_add_mac(struct rules_loader *l, const struct rules_item *item, void *arg)
{
	struct rules_macs *m = arg;
	void *items = rules_room(m->items, m->n, sizeof(*m->items));

	if (!items)
		return rules_no_memory(l);
	m->items = items;
	memset(&m->items[m->n], 0, sizeof(*m->items));
	m->items[m->n].negated = item->negated;
	m->items[m->n].octets = rules_mac(item->text, m->items[m->n].mac);
	if (!m->items[m->n].octets)
		return rules_item_error(l, item, "%s is not like 02:00:5e:10:00:01, or 02:00:5e for all of a maker",
					item->text);
	m->n++;
	return 0;
}

int rules_load_macs(struct rules_loader *l, const struct yaml_node *value, struct rules_macs *out)
{
	out->given = true;
	return rules_each(l, value, &out->positive, rules_add_mac, out);
}
