/* SPDX-License-Identifier: Apache-2.0 */
/* A rule: what only some types have. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/nearest.h"
#include "rules/rules_internal.h"

#define RULES_GROUPS_MAX 10000000
#define RULES_DEDUP_KEYS (RULES_KEY_RULE | RULES_KEY_SUBJECT | RULES_KEY_APPLICATION)

#define ALLOW (1u << RULES_ALLOW)
#define RISK (1u << RULES_RISK)
#define FIRST_SEEN (1u << RULES_FIRST_SEEN)
#define THRESHOLD (1u << RULES_THRESHOLD)
#define BEACON (1u << RULES_BEACON)
#define SERVER_LIST (1u << RULES_SERVER_LIST)
#define EVERY ((1u << RULES_TYPES) - 1)

static const char *const rules_types[RULES_TYPES] = {"allow",     "deny",   "risk",       "first_seen",
						     "threshold", "beacon", "server_list"};

/* The keys of a rule, and which types have them. */
static const struct {
	const char *name;
	unsigned types;
} rules_keys[] = {
	{"id", EVERY},
	{"name", EVERY},
	{"type", EVERY},
	{"severity", EVERY},
	{"enabled", EVERY},
	{"match", EVERY},
	{"except", EVERY},
	{"dedup", EVERY},
	{"release_after", EVERY},
	{"mute", EVERY},
	{"actions", EVERY},
	{"tags", EVERY},
	{"mitre", EVERY},
	{"description", EVERY},
	{"allow", ALLOW},
	{"on_unknown", ALLOW},
	{"score_min", RISK},
	{"key", FIRST_SEEN},
	{"learn", FIRST_SEEN},
	{"window", ALLOW | THRESHOLD | BEACON},
	{"group_by", THRESHOLD | BEACON},
	{"sum", THRESHOLD},
	{"count", THRESHOLD},
	{"distinct", THRESHOLD},
	{"over", THRESHOLD},
	{"min_count", BEACON},
	{"interval", BEACON},
	{"max_jitter", BEACON},
	{"max_keys", FIRST_SEEN | THRESHOLD | BEACON},
	{"servers", SERVER_LIST},
};
#define RULES_KEYS (sizeof(rules_keys) / sizeof(rules_keys[0]))

const char *rules_type_name(enum rules_type type)
{
	return type < RULES_TYPES ? rules_types[type] : "?";
}

/* ---- which keys there may be ---- */

static const char *rules_key_name(const void *arg, size_t i)
{
	(void)arg;
	return rules_keys[i].name;
}

static int rules_wrong_type(struct rules_loader *l, const struct yaml_node *key, unsigned types)
{
	char words[128] = "";
	unsigned left = types;

	for (unsigned i = 0; i < RULES_TYPES; i++) {
		size_t used = strlen(words);

		if (!(left >> i & 1))
			continue;
		left &= ~(1u << i);
		snprintf(words + used, sizeof(words) - used, "%s%s", !used ? "" : left ? ", " : " or ", rules_types[i]);
	}
	return rules_error(l, key, "%s is for rules of type %s", key->value, words);
}

int rules_check_rule_keys(struct rules_loader *l, const struct yaml_node *map, struct rule *r)
{
	const struct yaml_node *type = yaml_get(map, "type");
	int i = type ? rules_word(l, type, "type", rules_types, RULES_TYPES) : 0;

	if (i < 0)
		return i;
	r->type = (enum rules_type)i;
	for (size_t k = 0; k < map->n; k++) {
		const struct yaml_node *key = map->keys[k];
		const char *near;
		size_t at = 0;

		while (at < RULES_KEYS && strcmp(rules_keys[at].name, key->value) != 0)
			at++;
		if (at < RULES_KEYS && (!type || rules_keys[at].types >> r->type & 1))
			continue;
		if (at < RULES_KEYS)
			return rules_wrong_type(l, key, rules_keys[at].types);
		near = nearest_name(key->value, rules_key_name, NULL, RULES_KEYS);
		return rules_error(l, key, "unknown key %s in a rule%s%s%s", key->value, near ? "; did you mean " : "",
				   near ? near : "", near ? "?" : "");
	}
	return 0;
}

/* A key that the rule's type needs. */
static int rules_type_needs(struct rules_loader *l, const struct yaml_node *map, const struct rule *r, const char *key,
			    const struct yaml_node **value)
{
	char of[64];

	snprintf(of, sizeof(of), "a rule of type %s", rules_types[r->type]);
	return rules_need(l, map, of, key, value);
}

/* ---- allow ---- */

static int rules_load_unknown(struct rules_loader *l, const struct yaml_node *node, struct rule *r)
{
	static const char *const names[] = {"alert_after", NULL};
	const struct yaml_node *value = yaml_get(node, "alert_after");
	int rc = rules_check_keys(l, node, names, "on_unknown");

	if (rc)
		return rc;
	if (!value)
		return rules_error(l, node, "on_unknown needs the key alert_after");
	rc = rules_number(l, value, "alert_after", 1000000, &r->unknown_after);
	if (!rc && r->unknown_after == 0)
		return rules_error(l, value, "alert_after is 0; leave on_unknown out to never alert");
	return rc;
}

static int rules_load_allow(struct rules_loader *l, const struct yaml_node *map, struct rule *r)
{
	static const char *const names[] = {"client", "server", NULL};
	struct names_list *const lists[] = {&r->allow_client, &r->allow_server};
	const struct yaml_node *node, *value;
	int rc = rules_need(l, map, "a rule", "allow", &node);

	if (!rc)
		rc = rules_check_keys(l, node, names, "allow");
	if (rc)
		return rc;
	if (node->n == 0)
		return rules_error(l, node, "allow needs client, server or both");
	for (size_t i = 0; i < 2 && !rc; i++) {
		value = yaml_get(node, names[i]);
		if (!value)
			continue;
		r->allow_place[i] = rules_place_of(l, value);
		rc = rules_load_names(l, value, RULES_NAMES_ALLOW, lists[i]);
	}
	value = yaml_get(map, "on_unknown");
	if (!rc && value)
		rc = rules_load_unknown(l, value, r);
	value = yaml_get(map, "window");
	if (!rc && value)
		rc = rules_time_span(l, value, "window", &r->window_ms);
	return rc;
}

/* ---- risk ---- */

static int rules_load_score_min(struct rules_loader *l, const struct yaml_node *map, struct rule *r)
{
	const uint32_t keys = 1u << RULES_MATCH_risk | 1u << RULES_MATCH_score;
	const struct yaml_node *node = yaml_get(map, "score_min");
	uint64_t n = 0;
	int rc = node ? rules_number(l, node, "score_min", UINT16_MAX, &n) : 0;

	r->score_min = (uint16_t)n;
	if (!rc && n == 0 && !(r->match.given & keys))
		return rules_error(l, node ? node : map,
				   "a rule of type risk needs score_min, or risk or score in match");
	return rc;
}

/* ---- groups ---- */

static int rules_load_max_keys(struct rules_loader *l, const struct yaml_node *map, struct rule *r)
{
	const struct yaml_node *node = yaml_get(map, "max_keys");
	uint64_t n = r->max_keys;
	int rc = node ? rules_number(l, node, "max_keys", RULES_GROUPS_MAX, &n) : 0;

	r->max_keys = (uint32_t)n;
	return !rc && n == 0 ? rules_error(l, node, "max_keys is 0: nothing could be counted") : rc;
}

/* Counting by the rule itself goes without saying. */
static int rules_load_groups(struct rules_loader *l, const struct yaml_node *node, const char *what, struct rule *r)
{
	int rc = rules_load_properties(l, node, what, &r->keys);

	r->keys &= ~(uint32_t)RULES_KEY_RULE;
	return rc;
}

static int rules_load_group_by(struct rules_loader *l, const struct yaml_node *map, struct rule *r)
{
	const struct yaml_node *node;
	int rc = rules_type_needs(l, map, r, "group_by", &node);

	if (!rc)
		rc = rules_load_groups(l, node, "group_by", r);
	if (!rc)
		rc = rules_type_needs(l, map, r, "window", &node);
	if (!rc)
		rc = rules_time_span(l, node, "window", &r->window_ms);
	return rc ? rc : rules_load_max_keys(l, map, r);
}

/* ---- first_seen ---- */

static int rules_load_learn(struct rules_loader *l, const struct yaml_node *node, struct rules_learn *learn)
{
	static const char *const names[] = {"for", "min_flows", "forget_after", NULL};
	const struct yaml_node *value;
	int rc = rules_check_keys(l, node, names, "learn");

	if (!rc && (value = yaml_get(node, "for")))
		rc = rules_duration(l, value, "for", &learn->for_ms);
	if (!rc && (value = yaml_get(node, "min_flows")))
		rc = rules_number(l, value, "min_flows", UINT32_MAX, &learn->min_flows);
	if (!rc && (value = yaml_get(node, "forget_after")))
		rc = rules_duration(l, value, "forget_after", &learn->forget_ms);
	return rc;
}

static int rules_load_first_seen(struct rules_loader *l, const struct yaml_node *map, struct rule *r)
{
	const struct yaml_node *key = yaml_get(map, "key"), *learn = yaml_get(map, "learn");
	int rc = 0;

	r->learn = (struct rules_learn){.for_ms = 7 * RULES_DAY_MS, .min_flows = 20, .forget_ms = 60 * RULES_DAY_MS};
	r->keys = key ? 0 : RULES_KEY_SUBJECT | RULES_KEY_SIDE | RULES_KEY_APP;
	if (key)
		rc = rules_load_groups(l, key, "key", r);
	if (!rc && r->keys == 0)
		return rules_error(l, key, "key names nothing that could be new");
	if (!rc && learn)
		rc = rules_load_learn(l, learn, &r->learn);
	return rc ? rc : rules_load_max_keys(l, map, r);
}

/* ---- threshold ---- */

static int rules_load_sum(struct rules_loader *l, const struct yaml_node *node, struct rule *r)
{
	static const char *const words[] = {"bytes",          "client_bytes",   "server_bytes", "packets",
					    "client_packets", "server_packets", "score"};
	int i = rules_word(l, node, "sum", words, sizeof(words) / sizeof(words[0]));

	if (i >= 0)
		r->measure = (enum rules_measure)(RULES_SUM_BYTES + i);
	return i < 0 ? i : 0;
}

static int rules_load_count(struct rules_loader *l, const struct yaml_node *node, struct rule *r)
{
	static const char *const words[] = {"flows"};
	int i = rules_word(l, node, "count", words, 1);

	r->measure = RULES_COUNT_FLOWS;
	return i < 0 ? i : 0;
}

static int rules_load_distinct(struct rules_loader *l, const struct yaml_node *node, struct rule *r)
{
	int rc = rules_load_properties(l, node, "distinct", &r->distinct);

	r->measure = RULES_DISTINCT;
	if (!rc && (r->distinct == 0 || (r->distinct & (r->distinct - 1))))
		return rules_error(l, node, "distinct counts the values of one property");
	if (!rc && (r->distinct & (r->keys | RULES_KEY_RULE)))
		return rules_error(l, node, "distinct counts what a group has one of only");
	return rc;
}

static int rules_load_threshold(struct rules_loader *l, const struct yaml_node *map, struct rule *r)
{
	static const char *const measures[] = {"sum", "count", "distinct"};
	static int (*const load[])(struct rules_loader *, const struct yaml_node *,
				   struct rule *) = {rules_load_sum, rules_load_count, rules_load_distinct};
	const struct yaml_node *node, *found = NULL;
	size_t which = 0;
	int rc = rules_load_group_by(l, map, r);

	for (size_t i = 0; i < 3 && !rc; i++) {
		node = yaml_get(map, measures[i]);
		if (node && found)
			return rules_error(l, node, "a rule has one of sum, count and distinct, not two");
		if (node)
			which = i;
		found = node ? node : found;
	}
	if (!rc && !found)
		return rules_error(l, map, "a rule of type threshold needs one of the keys sum, count and distinct");
	if (!rc)
		rc = load[which](l, found, r);
	if (!rc)
		rc = rules_type_needs(l, map, r, "over", &node);
	return rc ? rc : rules_size(l, node, "over", &r->over);
}

/* ---- beacon ---- */

/* "0.15" in thousandths. */
static int rules_load_jitter(struct rules_loader *l, const struct yaml_node *node, uint32_t *out)
{
	const char *text = rules_text(l, node, "max_jitter");
	uint32_t n = 0;
	int digits = 0;

	if (!text)
		return -EINVAL;
	if ((*text == '0' || *text == '1') && (!text[1] || (text[1] == '.' && text[2]))) {
		n = (uint32_t)(*text - '0');
		for (text += text[1] ? 2 : 1; digits < 3; digits++) {
			bool digit = *text >= '0' && *text <= '9';

			n = n * 10 + (digit ? (uint32_t)(*text - '0') : 0);
			text += digit;
		}
	}
	*out = n;
	if (digits == 3 && !*text && n <= 1000)
		return 0;
	return rules_error(l, node, "max_jitter is \"%s\", not a part of the interval such as 0.15", node->value);
}

static int rules_load_beacon(struct rules_loader *l, const struct yaml_node *map, struct rule *r)
{
	static const char *const names[] = {"min", "max", NULL};
	const struct yaml_node *node, *min, *max;
	int rc = rules_load_group_by(l, map, r);

	r->beacon.max_jitter = 150;
	if (!rc)
		rc = rules_type_needs(l, map, r, "min_count", &node);
	if (!rc)
		rc = rules_number(l, node, "min_count", RULES_CONTACTS_MAX, &r->beacon.min_count);
	if (!rc && r->window_ms > RULES_BEACON_WINDOW_MS)
		return rules_error(l, yaml_get(map, "window"), "the window of a beacon is 24 days at most");
	if (!rc && r->beacon.min_count < 3)
		return rules_error(l, node, "min_count is less than 3: two contacts have no rhythm");
	if (!rc)
		rc = rules_type_needs(l, map, r, "interval", &node);
	if (!rc)
		rc = rules_check_keys(l, node, names, "interval");
	if (!rc)
		rc = rules_need(l, node, "interval", "min", &min);
	if (!rc)
		rc = rules_need(l, node, "interval", "max", &max);
	if (!rc)
		rc = rules_time_span(l, min, "min", &r->beacon.min_ms);
	if (!rc)
		rc = rules_time_span(l, max, "max", &r->beacon.max_ms);
	if (!rc && r->beacon.max_ms < r->beacon.min_ms)
		return rules_error(l, max, "max is less than min");
	if (!rc && (r->beacon.min_count - 1) * r->beacon.min_ms > r->window_ms)
		return rules_error(l, min, "within the window there is no time for %llu contacts so far apart",
				   (unsigned long long)r->beacon.min_count);
	node = yaml_get(map, "max_jitter");
	/* Between two contacts there may be hours: the alert of them is not over in between. */
	if (!rc && !yaml_get(map, "release_after") && r->release_ms < r->window_ms)
		r->release_ms = r->window_ms;
	return rc || !node ? rc : rules_load_jitter(l, node, &r->beacon.max_jitter);
}

/* ---- server_list ---- */

static int rules_load_servers(struct rules_loader *l, const struct yaml_node *map, struct rule *r)
{
	const struct yaml_node *node;
	int rc = rules_type_needs(l, map, r, "servers", &node);

	if (rc)
		return rc;
	if (node->kind != YAML_MAP || node->n == 0)
		return rules_error(l, node, "servers is a map of protocols' names and addresses");
	r->servers = calloc(node->n, sizeof(*r->servers));
	if (!r->servers)
		return rules_no_memory(l);
	for (size_t i = 0; i < node->n && !rc; i++) {
		struct rules_servers *s = &r->servers[r->n_servers++];

		rc = rules_load_name(l, node->keys[i], &s->name);
		if (!rc && !(s->text = strdup(node->keys[i]->value)))
			rc = rules_no_memory(l);
		if (!rc)
			rc = rules_load_hosts(l, node->items[i], &s->hosts);
	}
	return rc;
}

/* ---- all ---- */

/* What tells alerts apart where nobody says: what the rule counts by, else the host and what it speaks. */
static void rules_default_dedup(struct rule *r)
{
	if (r->dedup.keys)
		return;
	if (r->keys)
		r->dedup.keys = RULES_KEY_RULE | r->keys;
	else if (r->type == RULES_SERVER_LIST) /* of DNS the application is the name asked for: not an alert for each */
		r->dedup.keys = RULES_KEY_RULE | RULES_KEY_SUBJECT | RULES_KEY_MASTER;
	else
		r->dedup.keys = RULES_DEDUP_KEYS;
}

int rules_load_type(struct rules_loader *l, const struct yaml_node *map, struct rule *r)
{
	static int (*const load[RULES_TYPES])(struct rules_loader *, const struct yaml_node *, struct rule *) = {
		[RULES_ALLOW] = rules_load_allow,           [RULES_RISK] = rules_load_score_min,
		[RULES_FIRST_SEEN] = rules_load_first_seen, [RULES_THRESHOLD] = rules_load_threshold,
		[RULES_BEACON] = rules_load_beacon,         [RULES_SERVER_LIST] = rules_load_servers,
	};
	const struct yaml_node *match;
	int rc = rules_need(l, map, "a rule", "match", &match);

	if (!rc)
		rc = rules_load_match(l, match, &r->match);
	if (!rc && r->type == RULES_DENY && match->n == 0)
		return rules_error(l, match, "a deny rule with an empty match would alert on every flow");
	if (!rc && load[r->type])
		rc = load[r->type](l, map, r);
	rules_default_dedup(r);
	return rc;
}
