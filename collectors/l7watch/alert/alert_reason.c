/* SPDX-License-Identifier: Apache-2.0 */
/* Why an alert is raised, as one sentence. */
#include <string.h>

#include "alert/alert_internal.h"
#include "l7/fields.h"

#define REASON_LIST_MAX 12 /* names of a list */

struct l7_text alert_app(const struct rules_verdict *v, const struct l7_record *r)
{
	if (v->kind == RULES_UNKNOWN_FLOW)
		return (struct l7_text){0, 0};
	return v->master_only ? r->master : r->app;
}

static const char *reason_sight(const struct l7_record *r, enum l7_field field, uint8_t confidence)
{
	static const char *const words[L7_CONF_COUNT] = {"not sure at all",
							 "guessed by port",
							 "guessed by address",
							 "seen in part",
							 "known from the classifier's cache",
							 "seen by dpi"};

	if (!l7_has(r, field))
		return "as the exporter says";
	return words[confidence < L7_CONF_COUNT ? confidence : 0];
}

/* How sure it is; name by name where they differ. */
static void reason_how(struct buf *out, const struct rules_verdict *v, const struct l7_record *r)
{
	bool dotted = r->master.len < r->app.len;
	const char *app = reason_sight(r, L7_F_appConfidence, r->confidence);
	const char *master = reason_sight(r, L7_F_masterConfidence, r->master_confidence);

	buf_str(out, ", ");
	if (v->master_only) {
		buf_str(out, master);
	} else if (dotted && app != master) {
		words_record(out, r, r->master);
		buf_printf(out, " %s and ", master);
		words_record(out, r, r->application);
		buf_printf(out, " %s", app);
	} else {
		buf_str(out, app);
	}
}

static void reason_what(struct buf *out, const struct rules_verdict *v, const struct l7_record *r)
{
	struct l7_text hint = r->sni.len ? r->sni : r->http_host.len ? r->http_host : r->dns_query;

	words_record(out, r, alert_app(v, r));
	if ((v->rule->match.category.given || v->rule->keys & RULES_KEY_CATEGORY) && r->category.len) {
		buf_str(out, " (category ");
		words_record(out, r, r->category);
		buf_char(out, ')');
	}
	if (v->side == RULES_CLIENT) {
		buf_str(out, " to ");
		words_address(out, r->dst_ip, r->dst_port);
	} else {
		if (r->dst_port)
			buf_printf(out, " on port %u", r->dst_port);
		buf_str(out, " to ");
		words_address(out, r->src_ip, 0);
	}
	if (hint.len) {
		buf_str(out, " (");
		words_record(out, r, hint);
		buf_char(out, ')');
	}
}

static void reason_unknown(struct buf *out, const struct alert_facts *f)
{
	const struct l7_record *r = f->in->record;
	bool client = f->v->side == RULES_CLIENT;

	buf_str(out, " had ");
	words_number(out, f->flows);
	buf_printf(out, " %s of unknown protocol as %s, the last %s ", f->flows == 1 ? "flow" : "flows",
		   client ? "client" : "server", client ? "to" : "from");
	words_address(out, client ? r->dst_ip : r->src_ip, client ? r->dst_port : 0);
	if (!client && r->dst_port)
		buf_printf(out, " on port %u", r->dst_port);
}

/* "it speaks this to that, so sure" */
static void reason_speaks(struct buf *out, const struct alert_facts *f)
{
	buf_str(out, f->v->side == RULES_CLIENT ? " speaks " : " serves ");
	reason_what(out, f->v, f->in->record);
	reason_how(out, f->v, f->in->record);
}

static void reason_rule(struct buf *out, const struct rule *rule)
{
	buf_printf(out, "rule %u, ", rule->id);
	buf_str(out, rule->name);
}

static void reason_allowed(struct buf *out, const struct rules_verdict *v)
{
	const struct names_list *list = v->side == RULES_CLIENT ? &v->rule->allow_client : &v->rule->allow_server;

	buf_str(out, v->side == RULES_CLIENT ? "; as client it may speak " : "; as server it may offer ");
	buf_str(out, list->n ? "only " : "nothing");
	for (size_t i = 0; i < list->n && i < REASON_LIST_MAX; i++) {
		buf_str(out, i ? ", " : "");
		buf_str(out, list->texts[i]);
	}
	if (list->n > REASON_LIST_MAX)
		buf_printf(out, " and %zu more", list->n - REASON_LIST_MAX);
}

/* Names are joined by commas, without spaces. */
static void reason_risks(struct buf *out, const struct l7_record *r)
{
	const char *at = r->text + r->risk_names.off, *end = at + r->risk_names.len;

	for (unsigned n = 0; at < end && n < REASON_LIST_MAX; n++) {
		const char *comma = memchr(at, ',', (size_t)(end - at));
		const char *stop = comma ? comma : end;

		buf_str(out, n ? ", " : " (");
		words_text(out, at, (size_t)(stop - at));
		at = comma ? comma + 1 : end;
	}
	if (r->risk_names.len)
		buf_char(out, ')');
}

static void reason_risky(struct buf *out, const struct alert_facts *f)
{
	reason_speaks(out, f);
	buf_printf(out, "; the flow has a risk score of %u", f->in->record->risk_score);
	reason_risks(out, f->in->record);
	buf_printf(out, ", %u and more alert by ", f->v->rule->score_min);
	reason_rule(out, f->v->rule);
}

static void reason_wrong_server(struct buf *out, const struct alert_facts *f)
{
	const struct l7_record *r = f->in->record;
	struct l7_text app = alert_app(f->v, r);

	buf_str(out, " answers ");
	words_record(out, r, app);
	buf_str(out, " for ");
	words_address(out, r->src_ip, 0);
	reason_how(out, f->v, r);
	buf_str(out, "; it is none of the servers that may, by ");
	reason_rule(out, f->v->rule);
}

/* ---- rules that count ---- */

static const struct l7_text *reason_sni(const struct l7_record *r)
{
	return r->sni.len ? &r->sni : r->http_host.len ? &r->http_host : &r->dns_query;
}

/* A property that is part of what is counted together. */
static void reason_property(struct buf *out, const struct alert_facts *f, uint32_t key)
{
	const struct l7_record *r = f->in->record;

	switch (key) {
	case RULES_KEY_APP:
		words_record(out, r, alert_app(f->v, r));
		break;
	case RULES_KEY_APPLICATION:
		words_record(out, r, r->application);
		break;
	case RULES_KEY_MASTER:
		words_record(out, r, r->master);
		break;
	case RULES_KEY_CATEGORY:
		buf_str(out, "category ");
		words_record(out, r, r->category);
		break;
	case RULES_KEY_PORT:
		buf_printf(out, "port %u", r->dst_port);
		break;
	case RULES_KEY_SNI:
		words_record(out, r, *reason_sni(r));
		break;
	case RULES_KEY_VLAN:
		buf_printf(out, "VLAN %u", r->vlan_id);
		break;
	case RULES_KEY_EXPORTER:
		buf_str(out, "seen by ");
		words_record(out, r, r->exporter);
		break;
	default:
		break;
	}
}

static void reason_properties(struct buf *out, const struct alert_facts *f, uint32_t keys)
{
	bool first = true;

	keys &= RULES_KEY_ALL & ~(uint32_t)(RULES_KEY_RULE | RULES_KEY_SUBJECT | RULES_KEY_PEER | RULES_KEY_SIDE |
					    RULES_KEY_CLIENT | RULES_KEY_SERVER);
	for (uint32_t key = 1; key <= RULES_KEY_ALL; key <<= 1) {
		if (!(keys & key))
			continue;
		buf_str(out, first ? " (" : ", ");
		reason_property(out, f, key);
		first = false;
	}
	if (!first)
		buf_char(out, ')');
}

/* Which ends a group is of, RULES_KEY_CLIENT and RULES_KEY_SERVER. */
static uint32_t reason_ends(const struct alert_facts *f)
{
	uint32_t keys = f->v->rule->keys, ends = keys & (RULES_KEY_CLIENT | RULES_KEY_SERVER);
	bool client = f->v->side == RULES_CLIENT;

	if (keys & RULES_KEY_SUBJECT)
		ends |= client ? RULES_KEY_CLIENT : RULES_KEY_SERVER;
	if (keys & RULES_KEY_PEER)
		ends |= client ? RULES_KEY_SERVER : RULES_KEY_CLIENT;
	return ends;
}

static void reason_group(struct buf *out, const struct alert_facts *f)
{
	const struct l7_record *r = f->in->record;
	uint32_t ends = reason_ends(f);

	if (ends & RULES_KEY_CLIENT)
		words_address(out, r->src_ip, 0);
	if (ends == (RULES_KEY_CLIENT | RULES_KEY_SERVER))
		buf_str(out, " with ");
	if (ends & RULES_KEY_SERVER)
		words_address(out, r->dst_ip, 0);
	if (!ends)
		buf_str(out, "all hosts together");
	reason_properties(out, f, f->v->rule->keys);
}

/* "tried 101 servers" */
static void reason_distinct(struct buf *out, const struct alert_facts *f)
{
	static const struct {
		uint32_t key;
		const char *verb, *what;
	} words[] = {
		{RULES_KEY_SUBJECT, "had", "hosts"},
		{RULES_KEY_PEER, "had", "peers"},
		{RULES_KEY_SIDE, "was on", "sides"},
		{RULES_KEY_APP, "spoke", "protocols"},
		{RULES_KEY_APPLICATION, "spoke", "applications"},
		{RULES_KEY_MASTER, "spoke", "protocols"},
		{RULES_KEY_CATEGORY, "spoke protocols of", "categories"},
		{RULES_KEY_PORT, NULL, "ports"},
		{RULES_KEY_CLIENT, "had", "clients"},
		{RULES_KEY_SERVER, NULL, "servers"},
		{RULES_KEY_SNI, "asked for", "names"},
		{RULES_KEY_VLAN, "was in", "VLANs"},
		{RULES_KEY_EXPORTER, "was seen by", "exporters"},
	};
	const struct rules_match *m = &f->v->rule->match;
	size_t i = 0;

	while (i + 1 < sizeof(words) / sizeof(words[0]) && words[i].key != f->v->rule->distinct)
		i++;
	buf_str(out, words[i].verb ? words[i].verb : m->answered_given && !m->answered ? "tried" : "used");
	buf_char(out, ' ');
	words_number(out, f->finding->value);
	buf_printf(out, " %s", words[i].what);
}

/* "sent": who it is of, the client or the server, makes the word. */
static const char *reason_moved(const struct alert_facts *f)
{
	enum rules_measure m = f->v->rule->measure;
	uint32_t ends = reason_ends(f);
	bool by_client = m == RULES_SUM_CLIENT_BYTES || m == RULES_SUM_CLIENT_PACKETS;

	if (m == RULES_SUM_BYTES || m == RULES_SUM_PACKETS)
		return "moved";
	if (ends & RULES_KEY_CLIENT)
		return by_client ? "sent" : "received";
	if (ends & RULES_KEY_SERVER)
		return by_client ? "received" : "sent";
	return by_client ? "sent to servers" : "received from servers";
}

static bool reason_in_octets(enum rules_measure m)
{
	return m == RULES_SUM_BYTES || m == RULES_SUM_CLIENT_BYTES || m == RULES_SUM_SERVER_BYTES;
}

/* A value and what it must not pass; where rounding makes them look the same, the value in full. */
static void reason_value(struct buf *out, const struct rule *rule, uint64_t value)
{
	struct buf limit, text;

	buf_init(&limit, 64);
	buf_init(&text, 64);
	words_octets(&limit, rule->over);
	words_octets(&text, value);
	if (text.len == limit.len && limit.data && text.data && memcmp(text.data, limit.data, text.len) == 0) {
		buf_reset(&text);
		words_number(&text, value);
		buf_str(&text, " octets");
	}
	buf_put(out, text.data, text.len);
	out->failed |= text.failed || limit.failed;
	buf_deinit(&limit);
	buf_deinit(&text);
}

static void reason_threshold(struct buf *out, const struct alert_facts *f)
{
	const struct rule *rule = f->v->rule;
	uint64_t value = f->finding->value;

	buf_char(out, ' ');
	if (rule->measure == RULES_DISTINCT) {
		reason_distinct(out, f);
	} else if (rule->measure == RULES_COUNT_FLOWS) {
		buf_str(out, "had ");
		words_number(out, value);
		buf_str(out, " flows");
	} else if (rule->measure == RULES_SUM_SCORE) {
		buf_str(out, "had risk scores of ");
		words_number(out, value);
		buf_str(out, " together");
	} else {
		buf_printf(out, "%s ", reason_moved(f));
		if (reason_in_octets(rule->measure)) {
			reason_value(out, rule, value);
		} else {
			words_number(out, value);
			buf_str(out, " packets");
		}
	}
	buf_str(out, " within ");
	words_span(out, rule->window_ms);
	buf_str(out, ", more than ");
	if (reason_in_octets(rule->measure))
		words_octets(out, rule->over);
	else
		words_number(out, rule->over);
}

static void reason_beacon(struct buf *out, const struct alert_facts *f)
{
	const struct l7_record *r = f->in->record;
	const struct detect_finding *d = f->finding;
	uint32_t ends = reason_ends(f);
	uint64_t span = f->in->now_ms > d->since_ms ? f->in->now_ms - d->since_ms : 0;

	if (ends & RULES_KEY_CLIENT || !ends) {
		buf_str(out, " contacts ");
		words_address(out, r->dst_ip, r->dst_port);
	} else {
		buf_str(out, " is contacted by ");
		words_address(out, r->src_ip, 0);
	}
	buf_str(out, " (");
	words_record(out, r, alert_app(f->v, r));
	reason_how(out, f->v, r);
	buf_str(out, ") every ");
	words_about(out, d->interval_ms);
	buf_printf(out, " (jitter %u %%), ", (d->jitter + 5) / 10);
	words_number(out, d->value);
	buf_str(out, " times in ");
	words_about(out, span);
}

static void reason_first_seen(struct buf *out, const struct alert_facts *f)
{
	const struct detect_finding *d = f->finding;
	uint64_t span = f->in->now_ms > d->since_ms ? f->in->now_ms - d->since_ms : 0;

	buf_str(out, f->v->side == RULES_CLIENT ? " speaks " : " serves ");
	reason_what(out, f->v, f->in->record);
	buf_str(out, f->v->side == RULES_CLIENT ? " as client" : " as server");
	buf_str(out, " for the first time");
	reason_how(out, f->v, f->in->record);
	buf_str(out, "; known for ");
	words_about(out, span);
	buf_str(out, ", ");
	words_number(out, d->value);
	buf_str(out, d->value == 1 ? " flow" : " flows");
}

/* What a rule that counts has found. Without it there is nothing but the flow. */
static void reason_found(struct buf *out, const struct alert_facts *f)
{
	uint32_t sampling = f->in->sampling;

	if (!f->finding)
		reason_speaks(out, f);
	else if (f->v->rule->type == RULES_THRESHOLD)
		reason_threshold(out, f);
	else if (f->v->rule->type == RULES_BEACON)
		reason_beacon(out, f);
	else
		reason_first_seen(out, f);
	if (f->finding && f->finding->sampled && sampling > 1)
		buf_printf(out, " (sampled 1:%u, estimate)", sampling);
	else if (f->finding && f->finding->sampled)
		buf_str(out, " (sampled, estimate)");
	buf_str(out, "; ");
	reason_rule(out, f->v->rule);
}

static void reason_who(struct buf *out, const struct alert_facts *f)
{
	const struct l7_record *r = f->in->record;
	bool counted = f->v->kind == RULES_CANDIDATE && f->finding;

	if (counted && f->v->rule->type == RULES_THRESHOLD)
		reason_group(out, f);
	else if (counted && f->v->rule->type == RULES_BEACON)
		words_address(out, reason_ends(f) == RULES_KEY_SERVER ? r->dst_ip : r->src_ip, 0);
	else
		words_address(out, alert_subject(f->v, r), 0);
}

void alert_reason(struct buf *out, const struct alert_facts *f)
{
	const struct rules_verdict *v = f->v;

	reason_who(out, f);
	switch (v->kind) {
	case RULES_UNKNOWN_FLOW:
		reason_unknown(out, f);
		reason_allowed(out, v);
		break;
	case RULES_NOT_ALLOWED:
		reason_speaks(out, f);
		reason_allowed(out, v);
		break;
	case RULES_RISKY:
		reason_risky(out, f);
		break;
	case RULES_WRONG_SERVER:
		reason_wrong_server(out, f);
		break;
	case RULES_CANDIDATE:
		reason_found(out, f);
		break;
	default:
		reason_speaks(out, f);
		buf_str(out, "; denied by ");
		reason_rule(out, v->rule);
	}
}
