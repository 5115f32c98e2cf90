/* SPDX-License-Identifier: Apache-2.0 */
/* What a record is asked, question by question: matching and explaining use the same ones. */
#include <string.h>

#include "l7/fields.h"
#include "rules/rules_internal.h"
#include "rules/rules_time.h"

/* ---- the view ---- */

/* DHCP and DHCPv6: offers go to an address that asked for nothing from it, so who sends first is the server. */
static bool view_from_server(const struct l7_record *r)
{
	return r->protocol == 17 &&
	       ((r->src_port == 67 && r->dst_port == 68) || (r->src_port == 547 && r->dst_port == 546));
}

static uint8_t view_traits(const struct rules_view *v)
{
	const struct l7_record *r = v->in->record;

	return (uint8_t)((v->final ? RULES_TRAIT_FINAL : 0) | (v->in->answered ? RULES_TRAIT_ANSWERED : 0) |
			 (r->risks ? RULES_TRAIT_RISKS : 0) | (r->risk_score ? RULES_TRAIT_SCORE : 0) |
			 (rules_server_name(r).len ? RULES_TRAIT_NAME : 0) | (r->alpn.len ? RULES_TRAIT_ALPN : 0) |
			 (r->tls_version ? RULES_TRAIT_TLS : 0));
}

void rules_view_init(struct rules_view *v, const struct rule_set *set, const struct rules_input *in)
{
	const struct l7_record *r = in->record;
	bool stated = l7_has(r, L7_F_recordState);

	v->set = set;
	v->in = in;
	names_of_record(&set->names, r, &v->names);
	v->src = in->looked ? in->classes[0] : prefix_map_class(&set->prefixes, r->src_ip);
	v->dst = in->looked ? in->classes[1] : prefix_map_class(&set->prefixes, r->dst_ip);
	v->final = stated ? r->state & L7_STATE_FINAL : r->end_reason != L7_END_ACTIVE;
	v->over = stated ? r->state & L7_STATE_LAST : r->end_reason != L7_END_ACTIVE;
	v->midstream = (stated && (r->state & L7_STATE_MIDSTREAM)) ||
		       (l7_has(r, L7_F_biflowDirection) && r->biflow == L7_BIFLOW_ARBITRARY);
	/* Of a flow picked up in the middle a well-known port tells the server from the client. */
	v->sides_known = !v->midstream || (r->dst_port < 1024 && r->src_port >= 1024);
	v->from_server = view_from_server(r);
	v->traits = view_traits(v);
}

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

uint8_t rules_direction(const struct rules_view *v)
{
	bool to_home = rules_hosts_have(v->set, &v->set->home, v->dst);

	if (rules_hosts_have(v->set, &v->set->home, v->src))
		return to_home ? RULES_DIRECTION_INTERNAL : RULES_DIRECTION_OUT;
	return to_home ? RULES_DIRECTION_IN : 0;
}

/* What has no hardware address stated is nobody's. */
static bool rules_mac_matches(const struct l7_record *r, const struct rules_macs *m, enum rules_side side)
{
	bool client = side == RULES_CLIENT, found = !m->positive;
	const uint8_t *mac = client ? r->link.src_mac : r->link.dst_mac;

	if (!l7_has(r, client ? L7_F_sourceMacAddress : L7_F_destinationMacAddress))
		return false;
	for (size_t i = 0; i < m->n; i++) {
		bool is = memcmp(mac, m->items[i].mac, m->items[i].octets) == 0;

		if (is && m->items[i].negated)
			return false;
		found |= is;
	}
	return found;
}

/* ---- numbers ---- */

static bool rules_ports_have(const struct rules_ports *p, uint16_t port)
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

static bool rules_amount_has(const struct rules_amount *a, uint64_t n)
{
	return n >= a->least && n <= a->most;
}

static bool rules_risk_matches(const struct l7_record *r, const struct rules_match *m)
{
	return (!m->risk_positive || (r->risks & m->risks)) && !(r->risks & m->no_risks);
}

uint16_t rules_tls_version(const struct l7_record *r)
{
	uint16_t version = r->tls_version;

	switch (version) {
	case 0xfeff: /* DTLS 1.0 is made of TLS 1.1 */
		return 0x0302;
	case 0xfefd:
		return 0x0303;
	case 0xfefc:
		return 0x0304;
	default:
		return version;
	}
}

static bool rules_tls_version_matches(const struct l7_record *r, const struct rules_amount *a)
{
	return r->tls_version && rules_amount_has(a, rules_tls_version(r));
}

uint64_t rules_lasted(const struct rules_input *in)
{
	return in->record->end_ms > in->start_ms ? in->record->end_ms - in->start_ms : 0;
}

/* ---- names of protocols ---- */

static bool rules_names_match(const struct rules_view *v, const struct rules_match *m, enum rules_match_key key)
{
	struct names_record trusted = names_trusted(&v->names, m->confidence);

	if (key == RULES_MATCH_app)
		return names_match(&m->app, &trusted, &v->names);
	if (key == RULES_MATCH_master)
		return names_match_one(&m->master, trusted.master, v->names.master);
	return names_match_one(&m->category, names_category(&trusted), v->names.category);
}

/* ---- texts ---- */

struct l7_text rules_server_name(const struct l7_record *r)
{
	if (r->sni.len)
		return r->sni;
	return r->http_host.len ? r->http_host : r->dns_query;
}

/* Small letters after two octets of room; without the dot and, of an HTTP host, the port at the end. */
static size_t rules_small(char out[L7_STRING_MAX + 2], const struct l7_record *r, struct l7_text t)
{
	size_t len = t.len <= L7_STRING_MAX ? t.len : L7_STRING_MAX;

	for (size_t i = 0; i < len; i++) {
		char c = r->text[t.off + i];

		out[i + 2] = (char)(c >= 'A' && c <= 'Z' ? c | 32 : c);
	}
	return len;
}

/* What of a list a text is found as. */
struct rules_finding {
	bool found, excluded;
};

static void rules_words_look(const struct rules_words *w, const char *text, size_t len, struct rules_finding *f)
{
	int64_t i = rules_words_find(w, text, len);

	if (i >= 0 && w->items[i].negated)
		f->excluded = true;
	else if (i >= 0)
		f->found = true;
}

/* The name itself, and *. before it and before each of its ends. */
static bool rules_sni_matches(const struct l7_record *r, const struct rules_words *w)
{
	struct rules_finding f = {.found = !w->positive};
	char name[L7_STRING_MAX + 2];
	struct l7_text t = rules_server_name(r);
	size_t len = rules_small(name, r, t);

	if (len == 0)
		return false;
	if (t.off == r->http_host.off && t.len == r->http_host.len && memchr(name + 2, ':', len) && name[2] != '[')
		len = (size_t)((const char *)memchr(name + 2, ':', len) - name) - 2;
	if (len && name[len + 1] == '.')
		len--;
	rules_words_look(w, name + 2, len, &f);
	for (size_t at = 0; at < len; at++) { /* name + 2 + at is what is left of the name */
		if (at && name[at + 1] != '.')
			continue;
		name[at] = '*';
		name[at + 1] = '.';
		rules_words_look(w, name + at, len - at + 2, &f);
	}
	return f.found && !f.excluded;
}

/* Any of the names that are joined by commas. */
static bool rules_alpn_matches(const struct l7_record *r, const struct rules_words *w)
{
	struct rules_finding f = {.found = !w->positive};
	char small[L7_STRING_MAX + 2];
	size_t len = rules_small(small, r, r->alpn), at = 0;

	if (len == 0)
		return false;
	while (at <= len) {
		const char *from = small + 2 + at;
		const char *comma = memchr(from, ',', len - at);
		size_t n = comma ? (size_t)(comma - from) : len - at;

		rules_words_look(w, from, n, &f);
		at += n + 1;
	}
	return f.found && !f.excluded;
}

static bool rules_exporter_matches(const struct l7_record *r, const struct rules_words *w)
{
	bool found = !w->positive;
	char name[L7_STRING_MAX + 2];
	size_t len = rules_small(name, r, r->exporter);

	if (len == 0)
		return false;
	for (size_t i = 0; i < w->n; i++) {
		const char *item = w->items[i].text;
		size_t n = strlen(item);
		bool open = n && item[n - 1] == '*';
		bool is = open ? len >= n - 1 && memcmp(name + 2, item, n - 1) == 0
			       : len == n && memcmp(name + 2, item, n) == 0;

		if (is && w->items[i].negated)
			return false;
		found |= is;
	}
	return found;
}

/* ---- keys ---- */

bool rules_key_matches(const struct rules_view *v, const struct rules_match *m, enum rules_match_key key,
		       enum rules_side side)
{
	const struct l7_record *r = v->in->record;
	const struct rules_input *in = v->in;
	bool client = side == RULES_CLIENT;

	switch (key) {
	case RULES_MATCH_host:
		return rules_hosts_have(v->set, &m->host, client ? v->src : v->dst);
	case RULES_MATCH_client:
		return rules_hosts_have(v->set, &m->client, v->src);
	case RULES_MATCH_server:
		return rules_hosts_have(v->set, &m->server, v->dst);
	case RULES_MATCH_peer:
		return rules_hosts_have(v->set, &m->peer, client ? v->dst : v->src);
	case RULES_MATCH_side:
		return m->sides & side;
	case RULES_MATCH_mac:
		return rules_mac_matches(r, &m->mac, side);
	case RULES_MATCH_app:
	case RULES_MATCH_master:
	case RULES_MATCH_category:
		return rules_names_match(v, m, key);
	case RULES_MATCH_port:
		return rules_ports_have(&m->port, r->dst_port);
	case RULES_MATCH_l4:
		return m->l4[r->protocol / 64] >> (r->protocol % 64) & 1;
	case RULES_MATCH_risk:
		return rules_risk_matches(r, m);
	case RULES_MATCH_score:
		return rules_amount_has(&m->score, r->risk_score);
	case RULES_MATCH_sni:
		return rules_sni_matches(r, &m->sni);
	case RULES_MATCH_alpn:
		return rules_alpn_matches(r, &m->alpn);
	case RULES_MATCH_tls_version:
		return rules_tls_version_matches(r, &m->tls_version);
	case RULES_MATCH_vlan:
		return rules_ports_have(&m->vlan, r->vlan_id);
	case RULES_MATCH_exporter:
		return rules_exporter_matches(r, &m->exporter);
	case RULES_MATCH_bytes:
		return rules_amount_has(&m->bytes, in->octets[0] + in->octets[1]);
	case RULES_MATCH_packets:
		return rules_amount_has(&m->packets, in->packets[0] + in->packets[1]);
	case RULES_MATCH_duration:
		return rules_amount_has(&m->duration_ms, rules_lasted(in));
	case RULES_MATCH_answered:
		return in->answered == m->answered;
	case RULES_MATCH_direction:
		return m->directions & rules_direction(v);
	case RULES_MATCH_time:
		return rules_time_holds(&m->time, in->now_ms);
	case RULES_MATCH_confidence: /* says how sure the names have to be */
	case RULES_MATCH_KEY_COUNT:
	default:
		return true;
	}
}

static bool rules_exception_matches(const struct rules_view *v, const struct rules_match *m, enum rules_side side)
{
	for (uint32_t left = m->given; left; left &= left - 1)
		if (!rules_key_matches(v, m, (enum rules_match_key)__builtin_ctz(left), side))
			return false;
	return true;
}

const struct rules_exception *rules_excepted(const struct rules_view *v, const struct rule *r)
{
	for (size_t i = 0; i < r->n_except; i++) {
		const struct rules_exception *e = &r->except[i];

		if (e->until_ms && v->in->now_ms >= e->until_ms)
			continue;
		if (rules_exception_matches(v, &e->match, RULES_CLIENT) ||
		    rules_exception_matches(v, &e->match, RULES_SERVER))
			return e;
	}
	return NULL;
}

/* ---- what the type asks ---- */

bool rules_of_server(const struct rule *r)
{
	const struct rules_match *m = &r->match;

	if (r->keys & (RULES_KEY_SUBJECT | RULES_KEY_CLIENT))
		return m->server.given && !m->host.given && !m->client.given && !(r->keys & RULES_KEY_CLIENT);
	return (r->keys & RULES_KEY_SERVER) || (m->server.given && !m->host.given && !m->client.given);
}

/* Some name that is asked for is one that it must not be. */
static bool rules_negates(const struct names_list *names)
{
	for (size_t i = 0; i < names->n; i++)
		if (names->patterns[i].negated)
			return true;
	return false;
}

/*
 * A deny or risk rule fires on the first record that matches. What a list lacks is known only of a final name, since TLS may yet
 * become TLS.Telegram; the same goes for what is new, and for what is counted because it is not this or that. Of a
 * server nobody speaks before it has answered, and seen from the middle it may be the client.
 */
unsigned rules_needs(const struct rule *r, enum rules_side side)
{
	const unsigned server = RULES_NEEDS_ANSWER | RULES_NEEDS_BEGINNING;
	const struct rules_match *m = &r->match;

	switch (r->type) {
	case RULES_FIRST_SEEN:
		if (rules_of_server(r))
			return RULES_NEEDS_FINAL | RULES_NEEDS_SIDES | server;
		/* fall through */
	case RULES_ALLOW:
		return RULES_NEEDS_FINAL | RULES_NEEDS_SIDES | (side == RULES_SERVER ? server : 0);
	case RULES_SERVER_LIST:
		return RULES_NEEDS_FINAL | (side == RULES_SERVER ? server : 0);
	case RULES_RISK:
		return RULES_NEEDS_SCORE;
	case RULES_THRESHOLD:
	case RULES_BEACON:
		return rules_negates(&m->app) || rules_negates(&m->master) || rules_negates(&m->category)
			       ? RULES_NEEDS_FINAL
			       : 0;
	case RULES_DENY:
	case RULES_TYPES:
	default:
		return 0;
	}
}

unsigned rules_lacks(const struct rules_view *v, const struct rule *r, unsigned needs)
{
	unsigned has = 0;

	has |= v->final ? RULES_NEEDS_FINAL : 0;
	has |= v->sides_known ? RULES_NEEDS_SIDES : 0;
	has |= v->in->answered ? RULES_NEEDS_ANSWER : 0;
	has |= !v->midstream ? RULES_NEEDS_BEGINNING : 0;
	has |= v->in->record->risk_score >= r->score_min ? RULES_NEEDS_SCORE : 0;
	return needs & ~has;
}

enum rules_server rules_server_listed(const struct rules_view *v, const struct rule *r, enum rules_side side)
{
	struct names_record trusted = names_trusted(&v->names, r->match.confidence);
	enum rules_server answer = RULES_SERVER_OTHER;

	for (size_t i = 0; i < r->n_servers; i++) {
		const struct rules_servers *s = &r->servers[i];

		if (!names_pattern_matches(&s->name, &trusted))
			continue;
		if (rules_hosts_have(v->set, &s->hosts, side == RULES_CLIENT ? v->src : v->dst))
			return RULES_SERVER_LISTED;
		answer = RULES_SERVER_WRONG;
	}
	return answer;
}
