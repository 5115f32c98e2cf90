/* SPDX-License-Identifier: Apache-2.0 */
/* Why a rule fires on a record or does not: the questions that matching asks, one per line, with their answers. */
#include <string.h>

#include "base/utf8.h"
#include "l7/fields.h"
#include "rules/rules_internal.h"
#include "rules/rules_time.h"

#define EXPLAIN_TEXT_MAX 120 /* octets of a text from the network */
#define EXPLAIN_NAMES_MAX 24 /* of a list */
#define EXPLAIN_COLUMN 76    /* of the answers */

/* A line is begun, filled, and ended with its answer. */
struct explain {
	const struct rules_view *v;
	const struct rule *rule;
	struct buf *out;
	size_t line; /* where it begins */
};

static void explain_begin(struct explain *x, unsigned indent)
{
	x->line = x->out->len;
	buf_printf(x->out, "%*s", (int)indent, "");
}

static void explain_end(struct explain *x, bool answer)
{
	size_t used = x->out->len - x->line;

	buf_printf(x->out, "%*s  %s\n", used < EXPLAIN_COLUMN ? (int)(EXPLAIN_COLUMN - used) : 0, "",
		   answer ? "yes" : "NO");
}

static void explain_place(struct explain *x, const struct rules_place *p)
{
	buf_printf(x->out, " (%s:%d)", p->file, p->line);
}

/* ---- what a record has ---- */

static void explain_text(struct buf *out, const struct l7_record *r, struct l7_text t)
{
	char clean[EXPLAIN_TEXT_MAX];

	if (t.len)
		buf_put(out, clean, utf8_clean(clean, sizeof(clean), r->text + t.off, t.len));
	else
		buf_str(out, "none");
}

static void explain_address(struct buf *out, const uint8_t ip[16])
{
	char text[ADDR_TEXT_MAX];

	buf_str(out, addr_format(ip, text));
}

static void explain_mac(struct buf *out, const struct l7_record *r, bool client)
{
	const uint8_t *m = client ? r->link.src_mac : r->link.dst_mac;

	if (l7_has(r, client ? L7_F_sourceMacAddress : L7_F_destinationMacAddress))
		buf_printf(out, "%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4], m[5]);
	else
		buf_str(out, "not stated");
}

/* A name and how sure it is. */
static void explain_name(struct buf *out, const struct l7_record *r, struct l7_text name, uint8_t confidence)
{
	explain_text(out, r, name);
	buf_printf(out, " (%s)", l7_confidence_name(confidence));
}

static void explain_risks(struct buf *out, const struct l7_record *r)
{
	bool first = true;

	if (r->risks == 0)
		buf_str(out, "none");
	for (uint64_t left = r->risks; left; left &= left - 1) {
		unsigned bit = (unsigned)__builtin_ctzll(left);
		const char *name = rules_risk_word(bit);

		buf_str(out, first ? "" : ", ");
		if (name)
			buf_str(out, name);
		else
			buf_u64(out, bit);
		first = false;
	}
}

static void explain_direction(struct buf *out, const struct rules_view *v)
{
	switch (rules_direction(v)) {
	case RULES_DIRECTION_IN:
		buf_str(out, "in");
		break;
	case RULES_DIRECTION_OUT:
		buf_str(out, "out");
		break;
	case RULES_DIRECTION_INTERNAL:
		buf_str(out, "internal");
		break;
	default:
		buf_str(out, "neither end is home");
	}
}

static void explain_tls_version(struct buf *out, const struct l7_record *r)
{
	uint16_t version = rules_tls_version(r);

	if (version == 0)
		buf_str(out, "none");
	else if (version == 0x0300)
		buf_str(out, "ssl3");
	else if (version > 0x0300 && version <= 0x0304)
		buf_printf(out, "1.%d", version - 0x0301);
	else
		buf_printf(out, "0x%04x", version);
}

static void explain_names(struct buf *out, const struct rules_view *v, enum rules_match_key key)
{
	const struct l7_record *r = v->in->record;

	switch (key) {
	case RULES_MATCH_app:
		explain_name(out, r, r->app, v->names.confidence);
		if (v->names.dotted)
			buf_printf(out, ", of it the master (%s)", l7_confidence_name(v->names.master_confidence));
		break;
	case RULES_MATCH_master:
		explain_name(out, r, r->master, v->names.master_confidence);
		break;
	case RULES_MATCH_category:
		explain_name(out, r, r->category, v->names.confidence);
		break;
	default:
		buf_printf(out, "master %s, application %s", l7_confidence_name(v->names.master_confidence),
			   l7_confidence_name(v->names.confidence));
	}
}

/* What the record has of what a key asks for. */
static void explain_has(struct buf *out, const struct rules_view *v, const struct rules_match *m,
			enum rules_match_key key, enum rules_side side)
{
	const struct rules_input *in = v->in;
	const struct l7_record *r = in->record;
	bool client = side == RULES_CLIENT;

	switch (key) {
	case RULES_MATCH_host:
		explain_address(out, client ? r->src_ip : r->dst_ip);
		break;
	case RULES_MATCH_peer:
		explain_address(out, client ? r->dst_ip : r->src_ip);
		break;
	case RULES_MATCH_client:
		explain_address(out, r->src_ip);
		break;
	case RULES_MATCH_server:
		explain_address(out, r->dst_ip);
		break;
	case RULES_MATCH_side:
		buf_str(out, client ? "client" : "server");
		break;
	case RULES_MATCH_mac:
		explain_mac(out, r, client);
		break;
	case RULES_MATCH_port:
		buf_u64(out, r->dst_port);
		break;
	case RULES_MATCH_l4:
		buf_u64(out, r->protocol);
		break;
	case RULES_MATCH_risk:
		explain_risks(out, r);
		break;
	case RULES_MATCH_score:
		buf_u64(out, r->risk_score);
		break;
	case RULES_MATCH_sni:
		explain_text(out, r, rules_server_name(r));
		break;
	case RULES_MATCH_alpn:
		explain_text(out, r, r->alpn);
		break;
	case RULES_MATCH_tls_version:
		explain_tls_version(out, r);
		break;
	case RULES_MATCH_vlan:
		buf_u64(out, r->vlan_id);
		break;
	case RULES_MATCH_exporter:
		explain_text(out, r, r->exporter);
		break;
	case RULES_MATCH_bytes:
		buf_u64(out, in->octets[0] + in->octets[1]);
		break;
	case RULES_MATCH_packets:
		buf_u64(out, in->packets[0] + in->packets[1]);
		break;
	case RULES_MATCH_duration:
		buf_printf(out, "%llu ms", (unsigned long long)rules_lasted(in));
		break;
	case RULES_MATCH_answered:
		buf_str(out, in->answered ? "true" : "false");
		break;
	case RULES_MATCH_direction:
		explain_direction(out, v);
		break;
	case RULES_MATCH_time:
		rules_time_say(out, &m->time, in->now_ms);
		break;
	default:
		explain_names(out, v, key);
	}
}

/* ---- the questions ---- */

static void explain_key(struct explain *x, enum rules_match_key key, enum rules_side side, unsigned indent)
{
	const struct rules_match *m = &x->rule->match;

	explain_begin(x, indent);
	buf_printf(x->out, "%s %s", rules_match_key_name(key), m->asks[key]);
	explain_place(x, &m->place[key]);
	buf_str(x->out, ": ");
	explain_has(x->out, x->v, m, key, side);
	explain_end(x, rules_key_matches(x->v, m, key, side));
}

static void explain_keys(struct explain *x, uint32_t keys, enum rules_side side, unsigned indent)
{
	for (uint32_t left = x->rule->match.given & keys; left; left &= left - 1)
		explain_key(x, (enum rules_match_key)__builtin_ctz(left), side, indent);
}

static void explain_exceptions(struct explain *x)
{
	const struct rules_exception *e;

	if (x->rule->n_except == 0)
		return;
	e = rules_excepted(x->v, x->rule);
	explain_begin(x, 2);
	if (e) {
		buf_str(x->out, "no exception applies: this one does");
		explain_place(x, &e->place);
	} else {
		buf_printf(x->out, "no exception applies: %zu looked at", x->rule->n_except);
	}
	explain_end(x, !e);
}

static void explain_needs(struct explain *x, enum rules_side side)
{
	static const char *const words[] = {"classification is final", "who is client and who is server is known",
					    "the server answered", "the flow's first packet was seen"};
	unsigned needs = rules_needs(x->rule, side), lacks = rules_lacks(x->v, x->rule, needs);

	for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (!(needs >> i & 1))
			continue;
		explain_begin(x, 4);
		buf_str(x->out, words[i]);
		explain_end(x, !(lacks >> i & 1));
	}
	if (needs & RULES_NEEDS_SCORE) {
		explain_begin(x, 4);
		buf_printf(x->out, "score_min %u: %u", x->rule->score_min, x->v->in->record->risk_score);
		explain_end(x, !(lacks & RULES_NEEDS_SCORE));
	}
}

static void explain_list(struct buf *out, const struct names_list *list)
{
	buf_char(out, '[');
	for (size_t i = 0; i < list->n && i < EXPLAIN_NAMES_MAX; i++)
		buf_printf(out, "%s%s", i ? ", " : "", list->texts[i]);
	buf_str(out, list->n > EXPLAIN_NAMES_MAX ? ", ...]" : "]");
}

/* Names that may be spoken: it fires if the record's is none of them. */
static void explain_allow(struct explain *x, enum rules_side side)
{
	static const char *const answers[] = {
		[NAMES_ALLOWED] = "which is one of them",
		[NAMES_FORBIDDEN] = "which is none of them",
		[NAMES_MASTER_FORBIDDEN] = "of which the master is none of them",
		[NAMES_NOT_KNOWN] = "which is not known well enough",
	};
	const struct rule *r = x->rule;
	enum names_answer answer = rules_allows(x->v, r, side);
	bool client = side == RULES_CLIENT;

	buf_str(x->out, client ? "speaks none of " : "offers none of ");
	explain_list(x->out, client ? &r->allow_client : &r->allow_server);
	explain_place(x, &r->allow_place[client ? 0 : 1]);
	buf_str(x->out, ": ");
	explain_names(x->out, x->v, RULES_MATCH_app);
	buf_printf(x->out, ", %s", answers[answer]);
	if (answer != NAMES_NOT_KNOWN)
		return;
	if (r->unknown_after == 0)
		buf_str(x->out, ", and the rule has no on_unknown");
	else if (!x->v->over)
		buf_str(x->out, ", and the flow goes on");
	else if (!x->v->in->answered)
		buf_str(x->out, ", and nobody answered");
}

static void explain_servers(struct explain *x, enum rules_side side)
{
	static const char *const answers[] = {
		[RULES_SERVER_OTHER] = "nothing of that",
		[RULES_SERVER_LISTED] = "it may",
		[RULES_SERVER_WRONG] = "it may not",
	};
	const struct rule *r = x->rule;

	buf_str(x->out, "serves what others do: ");
	for (size_t i = 0; i < r->n_servers && i < EXPLAIN_NAMES_MAX; i++)
		buf_printf(x->out, "%s%s", i ? ", " : "", r->servers[i].text);
	buf_str(x->out, "; ");
	explain_names(x->out, x->v, RULES_MATCH_app);
	buf_printf(x->out, ", %s", answers[rules_server_listed(x->v, r, side)]);
}

/* What the type asks last; only two types ask something. */
static void explain_decision(struct explain *x, enum rules_side side)
{
	struct rules_verdict verdict = {.rule = x->rule, .side = side};
	bool fires = rules_decide(x->v, &verdict);

	if (x->rule->type != RULES_ALLOW && x->rule->type != RULES_SERVER_LIST)
		return;
	explain_begin(x, 4);
	if (x->rule->type == RULES_ALLOW)
		explain_allow(x, side);
	else
		explain_servers(x, side);
	explain_end(x, fires);
}

/* All that is asked of one side. */
static void explain_side(struct explain *x, enum rules_side side)
{
	const struct l7_record *r = x->v->in->record;

	buf_printf(x->out, "  as %s ", side == RULES_CLIENT ? "client" : "server");
	explain_address(x->out, side == RULES_CLIENT ? r->src_ip : r->dst_ip);
	buf_char(x->out, '\n');
	explain_keys(x, RULES_KEYS_OF_A_SIDE, side, 4);
	explain_needs(x, side);
	explain_decision(x, side);
}

/* What comes of it. */
static void explain_outcome(struct explain *x, const struct rules_verdict *v, size_t n)
{
	static const char *const kinds[] = {
		[RULES_DENIED] = "denied",
		[RULES_NOT_ALLOWED] = "not allowed",
		[RULES_UNKNOWN_FLOW] = "counted as unknown",
		[RULES_RISKY] = "risky",
		[RULES_WRONG_SERVER] = "a server that should be none",
		[RULES_CANDIDATE] = "counted",
	};
	const struct l7_record *r = x->v->in->record;

	if (n == 0)
		buf_str(x->out, "=> nothing\n");
	for (size_t i = 0; i < n; i++) {
		buf_printf(x->out, "=> %s %s, as %s ", rules_severity_name(rules_severity_of(x->rule, r)),
			   kinds[v[i].kind], v[i].side == RULES_CLIENT ? "client" : "server");
		explain_address(x->out, v[i].side == RULES_CLIENT ? r->src_ip : r->dst_ip);
		buf_str(x->out, "; an alert per ");
		rules_properties_say(x->out, x->rule->dedup.keys);
		buf_char(x->out, '\n');
	}
}

/* What the index says of the addresses. */
static bool explain_could(const struct rules_view *v, const struct rules_match *m, enum rules_side side)
{
	for (uint32_t left = m->given & RULES_KEYS_OF_SIDES; left; left &= left - 1)
		if (!rules_key_matches(v, m, (enum rules_match_key)__builtin_ctz(left), side))
			return false;
	return true;
}

bool rules_explain(const struct rule_set *set, const struct rule *rule, const struct rules_input *in, struct buf *out)
{
	struct rules_verdict verdicts[2];
	struct rules_view v;
	struct explain x = {.v = &v, .rule = rule, .out = out};
	unsigned asked, sides = 0;
	size_t n = 0;

	rules_view_init(&v, set, in);
	buf_printf(out, "rule %u \"%s\", %s", rule->id, rule->name, rules_type_name(rule->type));
	explain_place(&x, &rule->place);
	buf_char(out, '\n');
	if (!rule->enabled) {
		explain_begin(&x, 2);
		buf_str(out, "enabled");
		explain_end(&x, false);
	}
	explain_keys(&x, ~RULES_KEYS_OF_A_SIDE, RULES_CLIENT, 2);
	explain_exceptions(&x);
	asked = rules_sides_asked(&v, rule);
	if (asked == 0) {
		explain_begin(&x, 2);
		buf_str(out, "a side of it is judged");
		explain_end(&x, false);
	}
	for (enum rules_side side = RULES_CLIENT; side <= RULES_SERVER; side++)
		if (asked & side)
			explain_side(&x, side);
	for (enum rules_side side = RULES_CLIENT; side <= RULES_SERVER; side++)
		sides |= explain_could(&v, &rule->match, side) ? side : 0;
	if (rule->enabled)
		n = rules_judge_sides(&v, rule, sides, verdicts, 2);
	explain_outcome(&x, verdicts, n);
	return n > 0;
}
