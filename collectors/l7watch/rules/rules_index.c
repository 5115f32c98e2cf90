/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

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
static void index_plain(struct rule_set *set, uint64_t *masks, const struct names_list *list, size_t rule)
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

static void index_app(struct rule_set *set, const struct names_list *list, size_t rule)
{
	struct rules_index *x = &set->index;

	if (!list->positive)
		index_set_all(set, x->app_app, rule);
	for (size_t i = 0; i < list->n; i++) {
		const struct names_pattern *p = &list->patterns[i];

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

/* ---- layer 4, ports, traits ---- */

static void index_l4(struct rule_set *set, size_t rule)
{
	const struct rules_match *m = &set->rules[rule].match;

	for (uint32_t l4 = 0; l4 < 256; l4++)
		if (!m->l4_given || (m->l4[l4 / 64] >> (l4 % 64) & 1))
			index_set(set, set->index.l4, l4, rule);
}

/* A port begins a class if some range begins there, or ended before it. */
static int index_port_classes(struct rule_set *set)
{
	struct rules_index *x = &set->index;
	bool *begins = calloc(65537, sizeof(*begins));

	x->port_class = calloc(65536, sizeof(*x->port_class));
	if (!begins || !x->port_class) {
		free(begins);
		return -ENOMEM;
	}
	for (size_t i = 0; i < set->n; i++) {
		const struct rules_ports *p = &set->rules[i].match.port;

		for (size_t k = 0; k < p->n; k++) {
			begins[p->ranges[k].first] = true;
			begins[p->ranges[k].last + 1] = true;
		}
	}
	x->n_ports = 1;
	for (size_t port = 1; port < 65536; port++) {
		x->n_ports += begins[port];
		x->port_class[port] = (uint16_t)(x->n_ports - 1);
	}
	free(begins);
	return 0;
}

/* Ranges that begin and end at a class. */
struct index_edge {
	int32_t positive, negated;
};

/* One pass over the classes per rule, however many ranges it has. `edges` has a place for each class. */
static void index_port(struct rule_set *set, size_t rule, struct index_edge *edges)
{
	const struct rules_ports *p = &set->rules[rule].match.port;
	struct rules_index *x = &set->index;
	struct index_edge depth = {0, 0};

	memset(edges, 0, x->n_ports * sizeof(*edges));
	for (size_t k = 0; k < p->n; k++) {
		const struct rules_range *r = &p->ranges[k];
		struct index_edge *from = &edges[x->port_class[r->first]];
		struct index_edge *behind = r->last < 65535 ? &edges[x->port_class[r->last + 1]] : NULL;

		*(r->negated ? &from->negated : &from->positive) += 1;
		if (behind)
			*(r->negated ? &behind->negated : &behind->positive) -= 1;
	}
	for (uint32_t class = 0; class < x->n_ports; class ++) {
		depth.positive += edges[class].positive;
		depth.negated += edges[class].negated;
		if ((!p->positive || depth.positive) && !depth.negated)
			index_set(set, x->port, class, rule);
	}
}

/* Traits that a record of the rule has, and those that it has not. */
static void index_traits_of(const struct rule *r, unsigned *has, unsigned *lacks)
{
	const struct rules_match *m = &r->match;
	unsigned needs = rules_needs(r, RULES_CLIENT) & rules_needs(r, RULES_SERVER);

	*has = *lacks = 0;
	if (needs & RULES_NEEDS_FINAL)
		*has |= RULES_TRAIT_FINAL;
	if (m->answered_given)
		*(m->answered ? has : lacks) |= RULES_TRAIT_ANSWERED;
	if (m->risk_positive)
		*has |= RULES_TRAIT_RISKS;
	if (m->score.least || r->score_min)
		*has |= RULES_TRAIT_SCORE;
	if (m->sni.given)
		*has |= RULES_TRAIT_NAME;
	if (m->alpn.given)
		*has |= RULES_TRAIT_ALPN;
	if (m->tls_version.given)
		*has |= RULES_TRAIT_TLS;
}

static void index_traits(struct rule_set *set, size_t rule)
{
	unsigned has, lacks;

	index_traits_of(&set->rules[rule], &has, &lacks);
	for (uint32_t traits = 0; traits < RULES_TRAITS; traits++)
		if ((traits & has) == has && !(traits & lacks))
			index_set(set, set->index.traits, traits, rule);
}

/* ---- all ---- */

static bool index_room(const struct rule_set *set, uint64_t **masks, size_t n)
{
	*masks = calloc(n * set->words, sizeof(uint64_t));
	return *masks;
}

static bool index_alloc(struct rule_set *set)
{
	struct rules_index *x = &set->index;
	uint64_t **by_class[] = {&x->client_src, &x->client_dst, &x->server_src, &x->server_dst};
	uint64_t **by_name[] = {&x->app_app, &x->app_master, &x->app_category, &x->master, &x->category};
	bool ok = true;

	for (size_t i = 0; i < sizeof(by_class) / sizeof(by_class[0]); i++)
		ok = ok && index_room(set, by_class[i], set->prefixes.n_classes);
	for (size_t i = 0; i < sizeof(by_name) / sizeof(by_name[0]); i++)
		ok = ok && index_room(set, by_name[i], set->names.n);
	return ok && index_room(set, &x->l4, 256) && index_room(set, &x->port, x->n_ports) &&
	       index_room(set, &x->traits, RULES_TRAITS);
}

int rules_index_init(struct rule_set *set)
{
	struct rules_index *x = &set->index;
	struct index_edge *edges;

	set->words = (set->n + 63) / 64 ? (set->n + 63) / 64 : 1;
	if (index_port_classes(set) || !index_alloc(set))
		return -ENOMEM;
	edges = calloc(x->n_ports, sizeof(*edges));
	if (!edges)
		return -ENOMEM;
	for (uint32_t class = 0; class < set->prefixes.n_classes; class ++)
		index_class(set, class);
	for (size_t i = 0; i < set->n; i++) {
		index_app(set, &set->rules[i].match.app, i);
		index_plain(set, x->master, &set->rules[i].match.master, i);
		index_plain(set, x->category, &set->rules[i].match.category, i);
		index_l4(set, i);
		index_port(set, i, edges);
		index_traits(set, i);
	}
	free(edges);
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
	free(x->l4);
	free(x->port);
	free(x->traits);
	free(x->port_class);
}
