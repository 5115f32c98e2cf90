/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>

#include "rules/rules_internal.h"

static void index_class(struct rule_set *set, uint32_t class)
{
	struct rules_index *x = &set->index;

	for (size_t i = 0; i < set->n; i++) {
		const struct rules_match *m = &set->rules[i].match;
		uint64_t bit = set->rules[i].enabled ? UINT64_C(1) << (i % 64) : 0;
		size_t at = class * set->words + i / 64;
		bool host = rules_hosts_have(set, &m->host, class), peer = rules_hosts_have(set, &m->peer, class);
		bool client = rules_hosts_have(set, &m->client, class);
		bool server = rules_hosts_have(set, &m->server, class);

		if ((m->sides & RULES_CLIENT) && host && client)
			x->client_src[at] |= bit;
		if (peer && server)
			x->client_dst[at] |= bit;
		if (peer && client)
			x->server_src[at] |= bit;
		if ((m->sides & RULES_SERVER) && host && server)
			x->server_dst[at] |= bit;
	}
}

static void index_set(const struct rule_set *set, uint64_t *masks, uint32_t name, size_t rule)
{
	masks[name * set->words + rule / 64] |= UINT64_C(1) << (rule % 64);
}

static void index_set_all(const struct rule_set *set, uint64_t *masks, size_t rule)
{
	for (uint32_t name = 0; name < set->names.n; name++)
		index_set(set, masks, name, rule);
}

/* Whether a name is known or not depends on its confidence: what asks for Unknown is always looked at. */
static void index_plain(struct rule_set *set, uint64_t *masks, const struct rules_names *list, size_t rule)
{
	if (!list->positive)
		index_set_all(set, masks, rule);
	for (size_t i = 0; i < list->n; i++) {
		if (list->patterns[i].negated)
			continue;
		if (list->patterns[i].app == NAME_UNKNOWN)
			index_set_all(set, masks, rule);
		index_set(set, masks, list->patterns[i].app, rule);
	}
}

static void index_app(struct rule_set *set, const struct rules_names *list, size_t rule)
{
	struct rules_index *x = &set->index;

	if (!list->positive)
		index_set_all(set, x->app_app, rule);
	for (size_t i = 0; i < list->n; i++) {
		const struct rules_pattern *p = &list->patterns[i];

		if (p->negated)
			continue;
		if (p->kind == PATTERN_CATEGORY) {
			index_set(set, x->app_category, p->app, rule);
		} else if (p->kind == PATTERN_MASTER) {
			index_set(set, x->app_master, p->master, rule);
		} else {
			index_set(set, x->app_app, p->app, rule);
			if (p->kind == PATTERN_APP) /* of a name service the master counts */
				index_set(set, x->app_master, p->app, rule);
		}
		if ((p->kind == PATTERN_MASTER ? p->master : p->app) == NAME_UNKNOWN)
			index_set_all(set, x->app_app, rule);
	}
}

int rules_index_init(struct rule_set *set)
{
	struct rules_index *x = &set->index;
	uint64_t **by_class[] = {&x->client_src, &x->client_dst, &x->server_src, &x->server_dst};
	uint64_t **by_name[] = {&x->app_app, &x->app_master, &x->app_category, &x->master, &x->category};

	set->words = (set->n + 63) / 64 ? (set->n + 63) / 64 : 1;
	for (size_t i = 0; i < sizeof(by_class) / sizeof(by_class[0]); i++)
		if (!(*by_class[i] = calloc(set->prefixes.n_classes * set->words, sizeof(uint64_t))))
			return -ENOMEM;
	for (size_t i = 0; i < sizeof(by_name) / sizeof(by_name[0]); i++)
		if (!(*by_name[i] = calloc(set->names.n * set->words, sizeof(uint64_t))))
			return -ENOMEM;
	for (uint32_t class = 0; class < set->prefixes.n_classes; class ++)
		index_class(set, class);
	for (size_t i = 0; i < set->n; i++) {
		index_app(set, &set->rules[i].match.app, i);
		index_plain(set, x->master, &set->rules[i].match.master, i);
		index_plain(set, x->category, &set->rules[i].match.category, i);
	}
	return 0;
}

void rules_index_deinit(struct rule_set *set)
{
	struct rules_index *x = &set->index;

	free(x->client_src);
	free(x->client_dst);
	free(x->server_src);
	free(x->server_dst);
	free(x->app_app);
	free(x->app_master);
	free(x->app_category);
	free(x->master);
	free(x->category);
}
