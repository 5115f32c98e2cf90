/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What would have to stand in the rule file for an alert not to be raised: for people to read, change and paste. It is as narrow
 * as the alert: this host, this protocol, for three months. A text from the network gets into it only if it is a plain name.
 */
#include <stdio.h>
#include <string.h>

#include "alert/alert_internal.h"
#include "base/utc.h"
#include "l7/fields.h"

#define ALLOW_MS (UINT64_C(90) * 86400 * 1000)
#define ALLOW_YAML_MAX 1024

struct allow {
	const struct alert_facts *f;
	const struct l7_record *r;
	struct buf yaml;
	bool unfit; /* something cannot be written in a rule */
};

static bool allow_plain(const char *text, size_t len, const char *more)
{
	for (size_t i = 0; i < len; i++) {
		char c = text[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || strchr(more, c)) ||
		    !c)
			return false;
	}
	return len > 0;
}

/* One key with its value, in quotes where YAML might take it for something else. */
static void allow_key(struct allow *a, const char *key, const char *text, size_t len)
{
	bool quoted = !allow_plain(text, len, ".");

	buf_str(&a->yaml, a->yaml.len ? ", " : "- {");
	buf_printf(&a->yaml, quoted ? "%s: \"" : "%s: ", key);
	buf_put(&a->yaml, text, len);
	if (quoted)
		buf_char(&a->yaml, '"');
}

static void allow_host(struct allow *a, const char *key, const uint8_t ip[16])
{
	char text[ADDR_TEXT_MAX];

	addr_format(ip, text);
	allow_key(a, key, text, strlen(text));
}

/* A name of a protocol: letters, digits and a few marks, one dot at most, which is not at an end. */
static bool allow_name_fits(const char *text, size_t len)
{
	const char *dot = len ? memchr(text, '.', len) : NULL;

	if (!allow_plain(text, len, ".-_+/() ") || len >= NAMES_TEXT_MAX || !allow_plain(text, 1, ""))
		return false;
	return !dot || (dot > text && dot + 1 < text + len && !memchr(dot + 1, '.', (size_t)(text + len - dot - 1)));
}

static void allow_name(struct allow *a, const char *key, struct l7_text t)
{
	const char *text = t.len ? a->r->text + t.off : "Unknown";
	size_t len = t.len ? t.len : strlen("Unknown");

	if (allow_name_fits(text, len))
		allow_key(a, key, text, len);
	else
		a->unfit = true;
}

static bool allow_name_service(const struct l7_record *r)
{
	static const char *const names[] = {"DNS", "MDNS", "LLMNR", "NetBIOS"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (r->master.len == strlen(names[i]) &&
		    strncasecmp(r->text + r->master.off, names[i], r->master.len) == 0)
			return true;
	return false;
}

/* An exception believes names as well as a rule without `confidence`: where the alert did with less, or asked for more, it says so. */
static void allow_confidence(struct allow *a)
{
	const struct rule *rule = a->f->v->rule;
	const struct l7_record *r = a->r;
	uint8_t need = L7_CONF_CACHE;

	if (a->f->v->kind == RULES_UNKNOWN_FLOW)
		need = rule->match.confidence > need ? rule->match.confidence : need;
	else if (a->f->v->master_only ? l7_has(r, L7_F_masterConfidence) : l7_has(r, L7_F_appConfidence)) {
		uint8_t has = a->f->v->master_only ? r->master_confidence : r->confidence;

		need = has < need ? has : need;
	}
	if (need != L7_CONF_CACHE) {
		const char *word = l7_confidence_name(need);

		allow_key(a, "confidence", word, strlen(word));
	}
}

static void allow_app(struct allow *a)
{
	const struct rules_verdict *v = a->f->v;

	if (v->master_only)
		allow_name(a, "master", a->r->master);
	else if (v->kind == RULES_WRONG_SERVER && allow_name_service(a->r))
		allow_name(a, "app", a->r->master);
	else
		allow_name(a, "app", alert_app(v, a->r));
	allow_confidence(a);
}

/* The host, and what it was found by. */
static void allow_by_keys(struct allow *a)
{
	const struct rules_verdict *v = a->f->v;
	uint32_t keys = v->rule->keys, mine = v->side == RULES_CLIENT ? RULES_KEY_CLIENT : RULES_KEY_SERVER;

	if (keys & RULES_KEY_SUBJECT)
		keys |= mine;
	if (keys & RULES_KEY_PEER)
		keys |= mine ^ (RULES_KEY_CLIENT | RULES_KEY_SERVER);
	if (keys & RULES_KEY_CLIENT)
		allow_host(a, "client", a->r->src_ip);
	if (keys & RULES_KEY_SERVER)
		allow_host(a, "server", a->r->dst_ip);
	if (keys & (RULES_KEY_APP | RULES_KEY_APPLICATION | RULES_KEY_MASTER))
		allow_app(a);
	if (keys & RULES_KEY_CATEGORY && a->r->category.len)
		allow_name(a, "category", a->r->category);
	if (keys & RULES_KEY_PORT) {
		char port[8];

		snprintf(port, sizeof(port), "%u", a->r->dst_port);
		allow_key(a, "port", port, strlen(port));
	}
	a->unfit |= a->yaml.len == 0;
}

static void allow_entry(struct allow *a)
{
	const struct rules_verdict *v = a->f->v;
	char date[UTC_TEXT_MAX];

	if (v->kind == RULES_CANDIDATE) {
		allow_by_keys(a);
	} else {
		allow_host(a, v->side == RULES_CLIENT ? "client" : "server", alert_subject(v, a->r));
		allow_app(a);
	}
	if (a->f->in->now_ms < UINT64_C(4000000000000))
		buf_printf(&a->yaml, ", until: %s", utc_text(date, UTC_DAY, a->f->in->now_ms + ALLOW_MS));
	buf_char(&a->yaml, '}');
	a->unfit |= a->yaml.failed;
}

static void allow_place(struct buf *out, const struct rules_place *place)
{
	if (!place->file)
		return;
	buf_str(out, ",\"file\":");
	buf_json(out, place->file, strlen(place->file));
	buf_printf(out, ",\"line\":%d", place->line);
}

/* A number above the value that is easy on the eye, in the unit that a rule has: 110 for 101, 3GiB for 2.3 GiB. */
static void allow_raise(struct buf *out, const struct rule *rule, uint64_t value)
{
	static const char *const units[] = {"", "KiB", "MiB", "GiB", "TiB"};
	bool octets = rule->measure == RULES_SUM_BYTES || rule->measure == RULES_SUM_CLIENT_BYTES ||
		      rule->measure == RULES_SUM_SERVER_BYTES;
	uint64_t step = 1;
	size_t i = 0;

	if (octets) {
		while (i + 1 < sizeof(units) / sizeof(units[0]) && value / step >= 1024) {
			step *= 1024;
			i++;
		}
	} else {
		while (value / step >= 100)
			step *= 10;
	}
	value = value / step + 1;
	buf_printf(out, ",\"raise\":{\"key\":\"over\",\"to\":\"%llu%s\"}",
		   (unsigned long long)(octets ? value : value * step), units[i]);
}

/* Where there is a better place than an exception. */
static void allow_other(struct buf *out, const struct allow *a)
{
	const struct rules_verdict *v = a->f->v;
	const struct rule *rule = v->rule;
	struct l7_text app = alert_app(v, a->r);
	char ip[ADDR_TEXT_MAX];

	if (rule->type == RULES_ALLOW) {
		buf_printf(out, ",\"add\":{\"key\":\"allow.%s\"", v->side == RULES_CLIENT ? "client" : "server");
		allow_place(out, &rule->allow_place[v->side == RULES_SERVER]);
		buf_str(out, ",\"item\":");
		if (app.len)
			buf_json(out, a->r->text + app.off, app.len);
		else
			buf_str(out, "\"Unknown\"");
		buf_char(out, '}');
	} else if (rule->type == RULES_SERVER_LIST) {
		buf_printf(out, ",\"add\":{\"key\":\"servers\",\"item\":\"%s\"}", addr_format(a->r->dst_ip, ip));
	} else if (rule->type == RULES_RISK) {
		buf_printf(out, ",\"raise\":{\"key\":\"score_min\",\"to\":\"%u\"}", a->r->risk_score + 1u);
	} else if (rule->type == RULES_THRESHOLD && a->f->finding) {
		allow_raise(out, rule, a->f->finding->value);
	}
}

bool alert_allow(struct buf *out, const struct alert_facts *f)
{
	struct allow a = {.f = f, .r = f->in->record};
	size_t before = out->len;

	buf_init(&a.yaml, ALLOW_YAML_MAX);
	allow_entry(&a);
	if (!a.unfit) {
		buf_str(out, "{\"key\":\"except\"");
		allow_place(out, &f->v->rule->place);
		buf_str(out, ",\"yaml\":");
		buf_json(out, a.yaml.data, a.yaml.len);
		allow_other(out, &a);
		buf_char(out, '}');
	}
	out->failed |= a.yaml.failed;
	buf_deinit(&a.yaml);
	if (out->failed)
		out->len = before;
	return !a.unfit && !out->failed;
}
