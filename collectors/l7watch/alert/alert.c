/* SPDX-License-Identifier: Apache-2.0 */
#include "alert/alert.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/addr.h"
#include "base/clock.h"
#include "l7/fields.h"
#include "record/record_json.h"

#define ALERT_KEY_MAX 2048
#define ALERT_TIME_MAX 40
#define ALERT_TIME_LAST_MS UINT64_C(253402300799999) /* end of the year 9999; RFC 3339 knows no later one */

/* Of a dedup key that has raised an alert. */
struct alert_raised {
	uint64_t raised_ms;
	uint64_t suppressed; /* flows since */
	uint64_t flow_id;    /* the last one: its other records are not counted again */
};

struct alert_unknown {
	uint64_t since_ms;
	uint64_t flows;
};

/* An alert on its way out. */
struct alert {
	const struct rules_verdict *v;
	const struct l7_record *r;
	uint64_t now_ms;
	uint64_t suppressed;
	uint64_t flows; /* of unknown protocol */
	XXH128_hash_t uid;
};

int alerts_init(struct alerts *a, struct alert_outputs *outputs)
{
	memset(a, 0, sizeof(*a));
	a->outputs = outputs;
	buf_init(&a->line, ALERT_JSON_MAX);
	buf_init(&a->key, ALERT_KEY_MAX);
	if (getrandom(&a->seed, sizeof(a->seed), 0) != sizeof(a->seed))
		a->seed = clock_wall_ms();
	if (lru_init(&a->raised, ALERT_KEYS_MAX, sizeof(struct alert_raised), NULL))
		return -ENOMEM;
	if (lru_init(&a->unknown, ALERT_KEYS_MAX, sizeof(struct alert_unknown), NULL) == 0)
		return 0;
	lru_deinit(&a->raised);
	return -ENOMEM;
}

void alerts_deinit(struct alerts *a)
{
	lru_deinit(&a->raised);
	lru_deinit(&a->unknown);
	buf_deinit(&a->line);
	buf_deinit(&a->key);
}

/* ---- keys ---- */

static const uint8_t *alert_subject(const struct rules_verdict *v, const struct l7_record *r)
{
	return v->side == RULES_CLIENT ? r->src_ip : r->dst_ip;
}

static const uint8_t *alert_peer(const struct rules_verdict *v, const struct l7_record *r)
{
	return v->side == RULES_CLIENT ? r->dst_ip : r->src_ip;
}

static void key_text(struct buf *key, const struct l7_record *r, struct l7_text t)
{
	if (t.len)
		buf_put(key, r->text + t.off, t.len);
	else
		buf_str(key, "Unknown");
	buf_char(key, '\0');
}

static void key_address(struct buf *key, const uint8_t ip[16])
{
	char text[ADDR_TEXT_MAX];

	buf_str(key, addr_format(ip, text));
	buf_char(key, '\0');
}

/* The dedup key as octets: text, so that every watcher makes the same of it. */
static void alert_key(struct buf *key, const struct rules_verdict *v, const struct l7_record *r)
{
	uint32_t keys = v->rule->dedup.keys;
	struct l7_text app = alert_app(v, r);

	buf_printf(key, "%u %u", v->rule->id, keys);
	buf_char(key, '\0');
	if (keys & RULES_KEY_SUBJECT)
		key_address(key, alert_subject(v, r));
	if (keys & RULES_KEY_PEER)
		key_address(key, alert_peer(v, r));
	if (keys & RULES_KEY_SIDE)
		buf_char(key, (char)('0' + v->side));
	if (keys & RULES_KEY_APP)
		key_text(key, r, app);
	if (keys & RULES_KEY_APPLICATION)
		key_text(key, r, app.len == r->app.len ? r->application : app);
	if (keys & RULES_KEY_MASTER)
		key_text(key, r, app.len ? r->master : app);
	if (keys & RULES_KEY_CATEGORY)
		key_text(key, r, r->category);
	if (keys & RULES_KEY_PORT)
		buf_printf(key, "%u", r->dst_port);
}

static struct lru_key alert_lru_key(const struct alerts *a, const void *data, size_t len)
{
	XXH128_hash_t h = XXH3_128bits_withSeed(data, len, a->seed);

	return (struct lru_key){h.high64, h.low64};
}

/* ---- the object ---- */

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
	char text[ALERT_TIME_MAX], second[24];
	time_t s;
	struct tm tm;

	if (ms > ALERT_TIME_LAST_MS)
		ms = ALERT_TIME_LAST_MS;
	s = (time_t)(ms / 1000);
	if (!gmtime_r(&s, &tm) || strftime(second, sizeof(second), "%Y-%m-%dT%H:%M:%S", &tm) == 0)
		strcpy(second, "1970-01-01T00:00:00");
	snprintf(text, sizeof(text), "%s.%03uZ", second, (unsigned)(ms % 1000));
	json_text(out, key, text);
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

static void alert_json_rule(struct buf *out, const struct rule *rule)
{
	json_key(out, "rule");
	buf_char(out, '{');
	json_number(out, "id", rule->id);
	json_text(out, "name", rule->name);
	json_text(out, "type", rule->type == RULES_ALLOW ? "allow" : "deny");
	json_texts(out, "tags", &rule->tags);
	json_texts(out, "mitre", &rule->mitre);
	buf_char(out, '}');
	json_text(out, "severity", rules_severity_name(rule->severity));
}

static void alert_json_hosts(struct buf *out, const struct alert *al)
{
	const struct l7_record *r = al->r;
	bool client = al->v->side == RULES_CLIENT;

	json_key(out, "subject");
	buf_char(out, '{');
	json_address(out, "ip", alert_subject(al->v, r));
	json_text(out, "side", client ? "client" : "server");
	buf_char(out, '}');
	json_key(out, "peer");
	buf_char(out, '{');
	json_address(out, "ip", alert_peer(al->v, r));
	json_number(out, "port", client ? r->dst_port : r->src_port);
	buf_char(out, '}');
}

static void alert_json_names(struct buf *out, const struct alert *al)
{
	const struct l7_record *r = al->r;
	bool stated = l7_has(r, al->v->master_only ? L7_F_masterConfidence : L7_F_appConfidence);

	json_name(out, "app", r, alert_app(al->v, r));
	json_name(out, "master", r, r->master);
	if (r->category.len)
		json_name(out, "category", r, r->category);
	if (stated)
		json_text(out, "confidence",
			  l7_confidence_name(al->v->master_only ? r->master_confidence : r->confidence));
}

static void alert_json_reason(struct buf *out, const struct alert *al)
{
	struct buf reason;

	buf_init(&reason, ALERT_JSON_MAX / 8);
	alert_reason(&reason, al->v, al->r, al->flows);
	json_key(out, "reason");
	buf_json(out, reason.data ? reason.data : "", reason.len);
	out->failed |= reason.failed; /* half a reason is no alert */
	buf_deinit(&reason);
}

static void alert_json(struct buf *out, const struct alert *al)
{
	const struct l7_record *r = al->r;
	char uid[33];

	snprintf(uid, sizeof(uid), "%016llx%016llx", (unsigned long long)al->uid.high64,
		 (unsigned long long)al->uid.low64);
	buf_char(out, '{');
	json_text(out, "event_type", "alert");
	json_text(out, "alert_uid", uid);
	json_text(out, "state", "engaged");
	json_time(out, "@timestamp", clock_wall_ms());
	json_time(out, "first_seen", l7_has(r, L7_F_flowStartMilliseconds) ? r->start_ms : al->now_ms);
	json_time(out, "last_seen", l7_has(r, L7_F_flowEndMilliseconds) ? r->end_ms : al->now_ms);
	json_number(out, "count", al->flows ? al->flows : 1);
	json_number(out, "suppressed", al->suppressed);
	alert_json_rule(out, al->v->rule);
	alert_json_hosts(out, al);
	alert_json_names(out, al);
	alert_json_reason(out, al);
	json_key(out, "flow");
	record_json(out, r);
	buf_str(out, "}\n");
}

static void alert_raise(struct alerts *a, struct alert *al)
{
	uint64_t span = al->v->rule->dedup.for_ms;
	struct buf *key = &a->key;

	/* All watchers that see it within the same span give it one uid. */
	buf_printf(key, "%llu", (unsigned long long)(span ? al->now_ms / span : al->now_ms));
	al->uid = XXH3_128bits(key->data, key->len);
	buf_reset(&a->line);
	alert_json(&a->line, al);
	a->n_raised++;
	if (a->line.failed)
		a->outputs->n_lost++;
	else
		alert_outputs_write(a->outputs, a->line.data, a->line.len);
}

/* Counts a flow of unknown protocol; returns how many there were within the rule's window. */
static uint64_t alert_count_unknown(struct alerts *a, const struct rules_verdict *v, const struct l7_record *r,
				    uint64_t now_ms)
{
	struct {
		uint32_t rule, side;
		uint8_t ip[16];
	} key = {.rule = v->rule->id, .side = v->side};
	struct alert_unknown *u;
	bool fresh;

	memcpy(key.ip, alert_subject(v, r), 16);
	u = lru_get(&a->unknown, alert_lru_key(a, &key, sizeof(key)), &fresh);
	if (fresh || now_ms >= u->since_ms + v->rule->window_ms)
		*u = (struct alert_unknown){.since_ms = now_ms};
	return ++u->flows;
}

void alerts_take(struct alerts *a, const struct rules_verdict *v, const struct l7_record *r, uint64_t now_ms)
{
	struct alert al = {.v = v, .r = r, .now_ms = now_ms};
	struct alert_raised *before;
	struct buf *key = &a->key;
	bool fresh, again;

	if (v->kind == RULES_UNKNOWN_FLOW) {
		al.flows = alert_count_unknown(a, v, r, now_ms);
		if (al.flows < v->rule->unknown_after)
			return;
	}
	buf_reset(key);
	alert_key(key, v, r);
	if (key->failed) {
		a->outputs->n_lost++;
		return;
	}
	before = lru_get(&a->raised, alert_lru_key(a, key->data, key->len), &fresh);
	again = !fresh && l7_has(r, L7_F_flowId) && before->flow_id == r->flow_id;
	before->flow_id = r->flow_id;
	if (fresh || (!again && now_ms >= before->raised_ms + v->rule->dedup.for_ms)) {
		al.suppressed = before->suppressed;
		before->raised_ms = now_ms;
		before->suppressed = 0;
		alert_raise(a, &al);
	} else if (!again) {
		before->suppressed++;
		a->n_suppressed++;
	}
}
