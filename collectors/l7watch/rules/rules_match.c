/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which rules does a record break? The index leaves those whose hosts and names the record may concern; only they are
 * looked at one by one.
 */
#include <stdlib.h>
#include <string.h>

#include "l7/fields.h"
#include "rules/rules_internal.h"

/* A record, seen by the rules. */
struct rules_view {
	const struct rule_set *set;
	const struct rules_input *in;
	struct names_record names;
	uint32_t src, dst; /* classes of the addresses */
	bool final;
	bool over;        /* last record of the flow */
	bool sides_known; /* who is client and who is server */
	bool midstream;
};

/* ---- addresses ---- */

bool rules_hosts_have(const struct rule_set *set, const struct rules_hosts *h, uint32_t class)
{
	bool found = !h->positive;

	if (!h->given)
		return true;
	for (size_t i = 0; i < h->n; i++) {
		bool in = prefix_map_has(&set->prefixes, class, h->sets[i].set);

		if (in && h->sets[i].negated)
			return false;
		found |= in;
	}
	return found;
}

/* ---- the other keys ---- */

static bool rules_port_matches(const struct rules_ports *p, uint16_t port)
{
	bool found = !p->positive;

	for (size_t i = 0; i < p->n; i++) {
		bool in = port >= p->ranges[i].first && port <= p->ranges[i].last;

		if (in && p->ranges[i].negated)
			return false;
		found |= in;
	}
	return found;
}

static bool rules_names_match(const struct rules_view *v, const struct rules_match *m)
{
	struct names_record trusted;

	if (!m->app.given && !m->master.given && !m->category.given)
		return true;
	trusted = names_trusted(&v->names, m->confidence);
	if (m->app.given && !names_match(&m->app, &trusted, &v->names))
		return false;
	if (m->master.given && !names_match_one(&m->master, trusted.master, v->names.master))
		return false;
	if (!m->category.given)
		return true;
	if (trusted.service && trusted.dotted) /* the category of the name asked for */
		trusted.category = NAME_UNKNOWN;
	return names_match_one(&m->category, trusted.category, v->names.category);
}

/* All keys but the addresses. */
static bool rules_rest_matches(const struct rules_view *v, const struct rules_match *m)
{
	const struct l7_record *r = v->in->record;

	if (m->l4_given && !(m->l4[r->protocol / 64] >> (r->protocol % 64) & 1))
		return false;
	if (m->port.given && !rules_port_matches(&m->port, r->dst_port))
		return false;
	return rules_names_match(v, m);
}

static bool rules_addresses_match(const struct rules_view *v, const struct rules_match *m, enum rules_side side)
{
	uint32_t host = side == RULES_CLIENT ? v->src : v->dst, peer = side == RULES_CLIENT ? v->dst : v->src;

	return (m->sides & side) && rules_hosts_have(v->set, &m->host, host) &&
	       rules_hosts_have(v->set, &m->peer, peer) && rules_hosts_have(v->set, &m->client, v->src) &&
	       rules_hosts_have(v->set, &m->server, v->dst);
}

/* In an exception `host` is either side. */
static bool rules_excepted(const struct rules_view *v, const struct rule *r)
{
	for (size_t i = 0; i < r->n_except; i++) {
		const struct rules_exception *e = &r->except[i];

		if (e->until_ms && v->in->now_ms >= e->until_ms)
			continue;
		if ((rules_addresses_match(v, &e->match, RULES_CLIENT) ||
		     rules_addresses_match(v, &e->match, RULES_SERVER)) &&
		    rules_rest_matches(v, &e->match))
			return true;
	}
	return false;
}

/* ---- verdicts ---- */

/* Returns false if the allow rule has nothing to say of the record. */
static bool rules_judge_allow(const struct rules_view *v, const struct rule *r, struct rules_verdict *out)
{
	const struct rules_names *list = out->side == RULES_CLIENT ? &r->allow_client : &r->allow_server;
	struct names_record trusted;
	enum names_answer answer;

	if (!v->final || !list->given || !v->sides_known)
		return false;
	if (out->side == RULES_SERVER && (!v->in->answered || v->midstream))
		return false;
	trusted = names_trusted(&v->names, r->match.confidence);
	answer = names_allow(list, &trusted, &v->names);
	if (answer == NAMES_ALLOWED)
		return false;
	if (answer == NAMES_NOT_KNOWN) {
		out->kind = RULES_UNKNOWN_FLOW;
		return r->unknown_after && v->over && v->in->answered;
	}
	out->kind = RULES_NOT_ALLOWED;
	out->master_only = answer == NAMES_MASTER_FORBIDDEN;
	return true;
}

static bool rules_judge(const struct rules_view *v, const struct rule *r, enum rules_side side,
			struct rules_verdict *out)
{
	*out = (struct rules_verdict){.rule = r, .kind = RULES_DENIED, .side = side};
	if (!rules_rest_matches(v, &r->match) || (r->n_except && rules_excepted(v, r)))
		return false;
	return r->type == RULES_DENY || rules_judge_allow(v, r, out);
}

static void rules_view_init(struct rules_view *v, const struct rule_set *set, const struct rules_input *in)
{
	const struct l7_record *r = in->record;
	bool stated = l7_has(r, L7_F_recordState);

	v->set = set;
	v->in = in;
	names_of_record(&set->names, r, &v->names);
	v->src = prefix_map_class(&set->prefixes, r->src_ip);
	v->dst = prefix_map_class(&set->prefixes, r->dst_ip);
	v->final = stated ? r->state & L7_STATE_FINAL : r->end_reason != L7_END_ACTIVE;
	v->over = stated ? r->state & L7_STATE_LAST : r->end_reason != L7_END_ACTIVE;
	v->midstream = (stated && (r->state & L7_STATE_MIDSTREAM)) ||
		       (l7_has(r, L7_F_biflowDirection) && r->biflow == L7_BIFLOW_ARBITRARY);
	/* Of a flow picked up in the middle a well-known port tells the server from the client. */
	v->sides_known = !v->midstream || (r->dst_port < 1024 && r->src_port >= 1024);
}

/* A rule that names a server and no host is about the server. */
static bool rules_server_first(const struct rules_match *m)
{
	return m->server.given && !m->host.given && !m->client.given;
}

size_t rules_match(const struct rule_set *set, const struct rules_input *in, struct rules_verdict *out, size_t room)
{
	struct rules_view v;
	size_t n = 0;

	rules_view_init(&v, set, in);
	for (size_t w = 0; w < set->words; w++) {
		uint64_t names = rules_index_names(set, &v.names, w), client, server;

		rules_index_hosts(set, v.src, v.dst, w, &client, &server);
		client &= names;
		server &= names;
		for (uint64_t left = client | server; left; left &= left - 1) {
			unsigned bit = (unsigned)__builtin_ctzll(left);
			const struct rule *r = &set->rules[w * 64 + bit];
			bool is_client = client >> bit & 1, is_server = server >> bit & 1;

			if (r->type == RULES_DENY && is_client && is_server) { /* one alert, not one per side */
				is_client = !rules_server_first(&r->match);
				is_server = !is_client;
			}
			if (n < room && is_client && rules_judge(&v, r, RULES_CLIENT, &out[n]))
				n++;
			if (n < room && is_server && rules_judge(&v, r, RULES_SERVER, &out[n]))
				n++;
		}
	}
	return n;
}
