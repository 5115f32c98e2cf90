/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An alert as one line of JSON. What changes from one telling to the next (state, times, counts) stands first, so that a line
 * that was told can be told again with another state when its record is long gone.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "alert/alert_internal.h"
#include "base/addr.h"
#include "base/clock.h"
#include "base/utc.h"
#include "l7/fields.h"
#include "record/record_json.h"

#define JSON_REST ",\"rule\":"
#define JSON_FIRST_SEEN "\"first_seen\":\""
#define JSON_RISKS_MAX 64

static void json_key(struct buf *out, const char *key)
{
	if (out->len && out->data[out->len - 1] != '{')
		buf_char(out, ',');
	buf_char(out, '"');
	buf_str(out, key);
	buf_str(out, "\":");
}

static void json_text(struct buf *out, const char *key, const char *text)
{
	json_key(out, key);
	buf_json(out, text, strlen(text));
}

static void json_number(struct buf *out, const char *key, uint64_t n)
{
	json_key(out, key);
	buf_u64(out, n);
}

static void json_name(struct buf *out, const char *key, const struct l7_record *r, struct l7_text t)
{
	json_key(out, key);
	if (t.len)
		buf_json(out, r->text + t.off, t.len);
	else
		buf_str(out, "\"Unknown\"");
}

static void json_time(struct buf *out, const char *key, uint64_t ms)
{
	char text[UTC_TEXT_MAX];

	json_text(out, key, utc_text_ms(text, ms));
}

static void json_texts(struct buf *out, const char *key, const struct rules_texts *t)
{
	if (t->n == 0)
		return;
	json_key(out, key);
	for (size_t i = 0; i < t->n; i++) {
		buf_char(out, i ? ',' : '[');
		buf_json(out, t->items[i], strlen(t->items[i]));
	}
	buf_char(out, ']');
}

static void json_address(struct buf *out, const char *key, const uint8_t ip[16])
{
	char text[ADDR_TEXT_MAX];

	json_text(out, key, addr_format(ip, text));
}

/* A number of thousandths, as seconds or as a share. */
static void json_thousandths(struct buf *out, const char *key, uint64_t n)
{
	json_key(out, key);
	buf_printf(out, n % 1000 ? "%llu.%03u" : "%llu", (unsigned long long)(n / 1000), (unsigned)(n % 1000));
}

/* ---- what changes ---- */

void alert_json_head(struct buf *out, const struct alert *al, enum alert_state state, const char *release_reason)
{
	static const char *const states[] = {"engaged", "updated", "released"};

	buf_char(out, '{');
	json_text(out, "event_type", "alert");
	json_text(out, "alert_uid", al->uid);
	json_text(out, "state", states[state]);
	json_time(out, "@timestamp", clock_wall_ms());
	json_time(out, "first_seen", al->first_ms);
	json_time(out, "last_seen", al->seen_ms);
	json_number(out, "count", al->count);
	json_number(out, "suppressed", al->suppressed);
	if (release_reason)
		json_text(out, "release_reason", release_reason);
}

const char *alert_json_rest(const char *line, size_t len)
{
	/* Nothing before it is from the network. */
	return len ? memmem(line, len, JSON_REST, strlen(JSON_REST)) : NULL;
}

uint64_t alert_json_first_seen(const char *line, size_t len)
{
	const char *at = len ? memmem(line, len, JSON_FIRST_SEEN, strlen(JSON_FIRST_SEEN)) : NULL;
	char text[32] = "";
	struct tm tm = {0};
	unsigned ms;
	size_t left;

	if (!at)
		return 0;
	at += strlen(JSON_FIRST_SEEN);
	left = (size_t)(line + len - at);
	memcpy(text, at, left < sizeof(text) - 1 ? left : sizeof(text) - 1);
	if (sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d.%3uZ", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &tm.tm_hour, &tm.tm_min,
		   &tm.tm_sec, &ms) != 7)
		return 0;
	tm.tm_year -= 1900;
	tm.tm_mon--;
	return (uint64_t)timegm(&tm) * 1000 + ms;
}

/* ---- what stays ---- */

static void json_rule(struct buf *out, const struct rule *rule)
{
	json_key(out, "rule");
	buf_char(out, '{');
	json_number(out, "id", rule->id);
	json_text(out, "name", rule->name);
	json_text(out, "type", rules_type_name(rule->type));
	if (rule->place.file) {
		json_text(out, "file", rule->place.file);
		json_number(out, "line", (uint64_t)rule->place.line);
	}
	json_texts(out, "tags", &rule->tags);
	json_texts(out, "mitre", &rule->mitre);
	buf_char(out, '}');
}

static void json_severity(struct buf *out, const struct alert *al)
{
	json_text(out, "severity", rules_severity_name((enum rules_severity)al->severity));
}

static void json_risks(struct buf *out, const struct l7_record *r)
{
	const char *at = r->text + r->risk_names.off, *end = at + r->risk_names.len;

	json_number(out, "score", r->risk_score);
	if (r->risk_names.len == 0)
		return;
	json_key(out, "risk");
	for (unsigned n = 0; at < end && n < JSON_RISKS_MAX; n++) {
		const char *comma = memchr(at, ',', (size_t)(end - at));
		const char *stop = comma ? comma : end;

		buf_char(out, n ? ',' : '[');
		buf_json(out, at, (size_t)(stop - at));
		at = comma ? comma + 1 : end;
	}
	buf_char(out, ']');
}

static void json_finding(struct buf *out, const struct alert_facts *f)
{
	const struct detect_finding *d = f->finding;

	if (!d)
		return;
	json_number(out, "value", d->value);
	if (f->v->rule->type == RULES_THRESHOLD)
		json_number(out, "over", f->v->rule->over);
	json_time(out, "since", d->since_ms);
	if (f->v->rule->type == RULES_BEACON) {
		json_thousandths(out, "interval_s", d->interval_ms);
		json_thousandths(out, "jitter", d->jitter);
	}
	if (d->sampled) {
		json_key(out, "sampled");
		buf_str(out, "true");
	}
}

static void json_hosts(struct buf *out, const struct alert_facts *f)
{
	const struct l7_record *r = f->in->record;
	bool client = f->v->side == RULES_CLIENT;

	json_key(out, "subject");
	buf_char(out, '{');
	json_address(out, "ip", alert_subject(f->v, r));
	json_text(out, "side", client ? "client" : "server");
	buf_char(out, '}');
	json_key(out, "peer");
	buf_char(out, '{');
	json_address(out, "ip", alert_peer(f->v, r));
	json_number(out, "port", client ? r->dst_port : r->src_port);
	buf_char(out, '}');
}

static void json_names(struct buf *out, const struct alert_facts *f)
{
	const struct l7_record *r = f->in->record;
	bool stated = l7_has(r, f->v->master_only ? L7_F_masterConfidence : L7_F_appConfidence);

	json_name(out, "app", r, alert_app(f->v, r));
	json_name(out, "master", r, r->master);
	if (r->category.len)
		json_name(out, "category", r, r->category);
	if (stated)
		json_text(out, "confidence",
			  l7_confidence_name(f->v->master_only ? r->master_confidence : r->confidence));
}

static void json_reason(struct buf *out, const struct alert_facts *f)
{
	struct buf reason;

	buf_init(&reason, ALERT_JSON_MAX / 8);
	alert_reason(&reason, f);
	json_key(out, "reason");
	buf_json(out, reason.data ? reason.data : "", reason.len);
	out->failed |= reason.failed;
	buf_deinit(&reason);
}

static void json_allow(struct buf *out, const struct alert_facts *f)
{
	struct buf allow;

	buf_init(&allow, ALERT_JSON_MAX / 8);
	if (alert_allow(&allow, f)) {
		json_key(out, "allow");
		buf_put(out, allow.data, allow.len);
	}
	out->failed |= allow.failed;
	buf_deinit(&allow);
}

void alert_json_body(struct buf *out, const struct alert *al, const struct alert_facts *f)
{
	json_rule(out, f->v->rule);
	json_severity(out, al);
	if (l7_has(f->in->record, L7_F_flowRiskScore) || f->v->kind == RULES_RISKY)
		json_risks(out, f->in->record);
	json_finding(out, f);
	json_hosts(out, f);
	json_names(out, f);
	json_reason(out, f);
	json_allow(out, f);
	json_key(out, "flow");
	record_json(out, f->in->record);
	buf_str(out, "}\n");
}

void alert_json_muted(struct buf *out, const struct alert *al, const struct rule *rule, const char *sentence,
		      uint64_t hosts, uint64_t kept_back)
{
	json_rule(out, rule);
	json_severity(out, al);
	json_key(out, "muted");
	buf_str(out, "true");
	if (hosts)
		json_number(out, "hosts", hosts);
	json_number(out, "kept_back", kept_back);
	json_text(out, "reason", sentence);
	buf_str(out, "}\n");
}

void alert_json_builtin(struct buf *out, const struct alert *al, const char *name, const char *exporter,
			const char *sentence)
{
	json_key(out, "rule");
	buf_char(out, '{');
	json_number(out, "id", 0);
	json_text(out, "name", name);
	json_text(out, "type", "builtin");
	buf_char(out, '}');
	json_severity(out, al);
	json_text(out, "exporter", exporter);
	json_text(out, "reason", sentence);
	buf_str(out, "}\n");
}

void alert_json_little(struct buf *out, const struct alert *al)
{
	json_key(out, "rule");
	buf_printf(out, "{\"id\":%u}", al->rule);
	json_severity(out, al);
	if (al->has_subject) {
		json_key(out, "subject");
		buf_char(out, '{');
		json_address(out, "ip", al->subject);
		buf_char(out, '}');
	}
	json_text(out, "app", al->app);
	json_text(out, "reason", "what was told of it before is lost");
	buf_str(out, "}\n");
}
