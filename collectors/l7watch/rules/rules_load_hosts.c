/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses of rules become sets of one map of prefixes. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "rules/rules_internal.h"

static int rules_add_prefix(struct rules_loader *l, const struct rules_item *item, void *arg)
{
	const uint32_t *set = arg;
	struct prefix_item p = {.set = *set};
	int rc = addr_prefix_parse(item->text, &p.prefix);
	void *items;

	if (rc == -ERANGE)
		return rules_item_error(l, item, "%s has bits set beyond its length: it is no network", item->text);
	if (rc)
		return rules_item_error(l, item, "%s is not an address, network or @list", item->text);
	items = rules_room(l->items, l->n_items, sizeof(p));
	if (!items)
		return rules_no_memory(l);
	l->items = items;
	l->items[l->n_items++] = p;
	return 0;
}

static int rules_add_listed(struct rules_loader *l, const struct rules_item *item, void *arg)
{
	int rc = rules_plain_item(l, item);

	return rc ? rc : rules_add_prefix(l, item, arg);
}

/* The prefix set of a named list, one for all rules that use it. */
static int rules_list_set(struct rules_loader *l, const struct rules_list *list, uint32_t *set)
{
	void *sets;

	for (size_t i = 0; i < l->n_list_sets; i++)
		if (l->list_sets[i].list == list->node) {
			*set = l->list_sets[i].set;
			return 0;
		}
	sets = rules_room(l->list_sets, l->n_list_sets, sizeof(*l->list_sets));
	if (!sets)
		return rules_no_memory(l);
	l->list_sets = sets;
	*set = l->n_sets++;
	l->list_sets[l->n_list_sets++] = (struct rules_list_set){.list = list->node, .set = *set};
	return rules_each_listed(l, list, rules_add_listed, set);
}

static int rules_hosts_add(struct rules_loader *l, struct rules_hosts *h, uint32_t set, bool negated)
{
	void *sets = rules_room(h->sets, h->n, sizeof(h->sets[0]));

	if (!sets)
		return rules_no_memory(l);
	h->sets = sets;
	h->sets[h->n].set = set;
	h->sets[h->n++].negated = negated;
	h->positive |= !negated;
	return 0;
}

/* Sets of the addresses written out in one value. */
struct rules_inline_sets {
	struct rules_hosts *hosts;
	bool have[2]; /* by negation */
	uint32_t set[2];
};

static int rules_add_host(struct rules_loader *l, const struct rules_item *item, void *arg)
{
	struct rules_inline_sets *s = arg;
	bool no = item->negated;
	int rc = 0;

	if (*item->text == '@') {
		struct rules_list list;
		uint32_t set = 0;

		if (rules_named_list(l, item, &list))
			return -EINVAL;
		rc = rules_list_set(l, &list, &set);
		return rc ? rc : rules_hosts_add(l, s->hosts, set, no);
	}
	if (!s->have[no]) {
		s->have[no] = true;
		s->set[no] = l->n_sets++;
		rc = rules_hosts_add(l, s->hosts, s->set[no], no);
	}
	return rc ? rc : rules_add_prefix(l, item, &s->set[no]);
}

int rules_load_hosts(struct rules_loader *l, const struct yaml_node *value, struct rules_hosts *h)
{
	struct rules_inline_sets s = {.hosts = h};

	h->given = true;
	/* A file without a line, or no item at all: nobody. */
	h->positive = value->kind == YAML_MAP || (value->kind == YAML_LIST && value->n == 0);
	return rules_each_plain(l, value, rules_add_host, &s);
}

int rules_load_home(struct rules_loader *l, const struct conf_list *list)
{
	struct rules_inline_sets s = {.hosts = &l->set->home};
	char name[] = "home_nets";
	const struct yaml where = {.file = name};
	int rc = 0;

	l->set->home.given = list->n > 0;
	for (size_t i = 0; i < list->n && !rc; i++) {
		struct rules_item item = {.text = list->items[i], .where = &where};

		item.negated = *item.text == '!';
		item.text += item.negated;
		if (*item.text == '@')
			return rules_item_error(l, &item, "%s: lists are for rule files", item.text);
		rc = rules_add_host(l, &item, &s);
	}
	return rc;
}
