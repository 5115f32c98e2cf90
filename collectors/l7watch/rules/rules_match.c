/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which rules does a record break? The index leaves those whose hosts, names and so on the record may concern; only they are
 * looked at one by one.
 */
#include "rules/rules_internal.h"

/* Either side of a record is judged for itself. */
static bool rules_per_side(const struct rule *r)
{
	const uint32_t of_host = RULES_KEY_SUBJECT | RULES_KEY_PEER | RULES_KEY_SIDE;

	return r->type == RULES_ALLOW || (r->type == RULES_FIRST_SEEN && (r->keys & of_host));
}

enum names_answer rules_allows(const struct rules_view *v, const struct rule *r, enum rules_side side)
{
	struct names_record trusted = names_trusted(&v->names, r->match.confidence);

	return names_allow(side == RULES_CLIENT ? &r->allow_client : &r->allow_server, &trusted, &v->names);
}

static bool rules_decide_allow(const struct rules_view *v, struct rules_verdict *out)
{
	const struct rule *r = out->rule;
	enum names_answer answer;

	if (!(out->side == RULES_CLIENT ? &r->allow_client : &r->allow_server)->given)
		return false;
	answer = rules_allows(v, r, out->side);
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

bool rules_decide(const struct rules_view *v, struct rules_verdict *out)
{
	switch (out->rule->type) {
	case RULES_ALLOW:
		return rules_decide_allow(v, out);
	case RULES_RISK:
		out->kind = RULES_RISKY;
		return true;
	case RULES_SERVER_LIST:
		out->kind = RULES_WRONG_SERVER;
		return rules_server_listed(v, out->rule, out->side) == RULES_SERVER_WRONG;
	case RULES_FIRST_SEEN:
	case RULES_THRESHOLD:
	case RULES_BEACON:
		out->kind = RULES_CANDIDATE;
		return true;
	case RULES_DENY:
	case RULES_TYPES:
	default:
		out->kind = RULES_DENIED;
		return true;
	}
}

static bool rules_judge(const struct rules_view *v, const struct rule *r, enum rules_side side,
			struct rules_verdict *out)
{
	*out = (struct rules_verdict){.rule = r, .side = side};
	for (uint32_t left = r->match.given & ~RULES_KEYS_OF_SIDES; left; left &= left - 1)
		if (!rules_key_matches(v, &r->match, (enum rules_match_key)__builtin_ctz(left), side))
			return false;
	return !rules_lacks(v, r, rules_needs(r, side)) && rules_decide(v, out) &&
	       !(r->n_except && rules_excepted(v, r));
}

static enum rules_side rules_first_side(const struct rule *r)
{
	return rules_of_server(r) && !rules_per_side(r) ? RULES_SERVER : RULES_CLIENT;
}

size_t rules_judge_sides(const struct rules_view *v, const struct rule *r, unsigned sides, struct rules_verdict *out,
			 size_t room)
{
	enum rules_side first = rules_first_side(r), second = first == RULES_CLIENT ? RULES_SERVER : RULES_CLIENT;
	size_t n = 0;

	if (r->type == RULES_SERVER_LIST)
		sides &= v->from_server ? RULES_CLIENT : RULES_SERVER;
	if ((sides & first) && n < room && rules_judge(v, r, first, &out[n]))
		n++;
	/* One verdict, not one per side; and what the first side fails for, the second does too, but for these. */
	if ((sides & first) && !rules_per_side(r) && (n || !r->match.mac.given))
		return n;
	if ((sides & second) && n < room && rules_judge(v, r, second, &out[n]))
		n++;
	return n;
}

unsigned rules_sides_asked(const struct rules_view *v, const struct rule *r)
{
	unsigned sides = r->match.sides;

	if (r->type == RULES_SERVER_LIST)
		return sides & (v->from_server ? RULES_CLIENT : RULES_SERVER);
	if (r->type == RULES_ALLOW)
		return sides &
		       ((r->allow_client.given ? RULES_CLIENT : 0) | (r->allow_server.given ? RULES_SERVER : 0));
	if (!rules_per_side(r) && !(r->match.given & RULES_KEYS_OF_A_SIDE))
		return rules_first_side(r);
	return sides;
}

size_t rules_match(const struct rule_set *set, const struct rules_input *in, struct rules_verdict *out, size_t room)
{
	struct rules_view v;
	size_t n = 0;

	rules_view_init(&v, set, in);
	for (size_t w = 0; w < set->words; w++) {
		uint64_t names = rules_index_names(set, &v.names, w), client, server;

		names &= rules_index_rest(&v, w);
		rules_index_hosts(set, v.src, v.dst, w, &client, &server);
		client &= names;
		server &= names;
		for (uint64_t left = client | server; left; left &= left - 1) {
			unsigned bit = (unsigned)__builtin_ctzll(left);
			unsigned sides =
				(client >> bit & 1 ? RULES_CLIENT : 0) | (server >> bit & 1 ? RULES_SERVER : 0);

			n += rules_judge_sides(&v, &set->rules[w * 64 + bit], sides, out + n, room - n);
		}
	}
	return n;
}
