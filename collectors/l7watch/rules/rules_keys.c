/* SPDX-License-Identifier: Apache-2.0 */
/* The keys of match and of an exception. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "rules/rules_internal.h"
#include "rules/rules_time.h"

#define RULES_ASKS_MAX 200 /* octets of a value in an explanation */

static const char *const rules_match_keys[] = {
#define RULES_MATCH_KEY(name) #name,
	RULES_MATCH_KEYS(RULES_MATCH_KEY)
#undef RULES_MATCH_KEY
		NULL};

_Static_assert(RULES_MATCH_KEY_COUNT <= 32, "a bit of `given` for each key");

const char *rules_match_key_name(enum rules_match_key key)
{
	return rules_match_keys[key];
}

static int rules_load_side(struct rules_loader *l, const struct yaml_node *value, struct rules_match *m)
{
	static const char *const words[] = {"client", "server"};
	int i = rules_word(l, value, "side", words, 2);

	if (i >= 0)
		m->sides = i == 0 ? RULES_CLIENT : RULES_SERVER;
	return i < 0 ? i : 0;
}

static int rules_load_confidence(struct rules_loader *l, const struct yaml_node *value, struct rules_match *m)
{
	static const char *const words[] = {"none", "port", "ip", "partial", "cache", "dpi"};
	int i = rules_word(l, value, "confidence", words, sizeof(words) / sizeof(words[0]));

	if (i >= 0)
		m->confidence = (uint8_t)i;
	return i < 0 ? i : 0;
}

static int rules_load_answered(struct rules_loader *l, const struct yaml_node *value, struct rules_match *m)
{
	m->answered_given = true;
	return rules_bool(l, value, "answered", &m->answered);
}

static int rules_load_key(struct rules_loader *l, enum rules_match_key key, const struct yaml_node *value,
			  struct rules_match *m)
{
	switch (key) {
	case RULES_MATCH_host:
		return rules_load_hosts(l, value, &m->host);
	case RULES_MATCH_client:
		return rules_load_hosts(l, value, &m->client);
	case RULES_MATCH_server:
		return rules_load_hosts(l, value, &m->server);
	case RULES_MATCH_peer:
		return rules_load_hosts(l, value, &m->peer);
	case RULES_MATCH_side:
		return rules_load_side(l, value, m);
	case RULES_MATCH_mac:
		return rules_load_macs(l, value, &m->mac);
	case RULES_MATCH_app:
		return rules_load_names(l, value, RULES_NAMES_APP, &m->app);
	case RULES_MATCH_master:
		return rules_load_names(l, value, RULES_NAMES_MASTER, &m->master);
	case RULES_MATCH_category:
		return rules_load_names(l, value, RULES_NAMES_CATEGORY, &m->category);
	case RULES_MATCH_port:
		return rules_load_ports(l, value, &m->port);
	case RULES_MATCH_l4:
		return rules_load_l4(l, value, m);
	case RULES_MATCH_confidence:
		return rules_load_confidence(l, value, m);
	case RULES_MATCH_risk:
		return rules_load_risk(l, value, m);
	case RULES_MATCH_score:
		return rules_load_amount(l, value, "score", rules_load_score, &m->score);
	case RULES_MATCH_sni:
		return rules_load_sni(l, value, &m->sni);
	case RULES_MATCH_alpn:
		return rules_load_alpn(l, value, &m->alpn);
	case RULES_MATCH_tls_version:
		return rules_load_tls_version(l, value, &m->tls_version);
	case RULES_MATCH_vlan:
		return rules_load_vlans(l, value, &m->vlan);
	case RULES_MATCH_exporter:
		return rules_load_exporter(l, value, &m->exporter);
	case RULES_MATCH_bytes:
		return rules_load_amount(l, value, "bytes", rules_size, &m->bytes);
	case RULES_MATCH_packets:
		return rules_load_amount(l, value, "packets", rules_size, &m->packets);
	case RULES_MATCH_duration:
		return rules_load_amount(l, value, "duration", rules_duration, &m->duration_ms);
	case RULES_MATCH_answered:
		return rules_load_answered(l, value, m);
	case RULES_MATCH_direction:
		return rules_load_direction(l, value, m);
	case RULES_MATCH_time:
	default:
		return rules_load_time(l, value, &m->time);
	}
}

/* ---- what a key asks for, as written ---- */

static void rules_say_value(struct buf *out, const struct yaml_node *node)
{
	bool map = node->kind == YAML_MAP;

	if (node->kind == YAML_SCALAR) {
		buf_str(out, node->value);
		return;
	}
	buf_char(out, map ? '{' : '[');
	for (size_t i = 0; i < node->n && out->len < RULES_ASKS_MAX; i++) {
		buf_str(out, i ? ", " : "");
		if (map)
			buf_printf(out, "%s: ", node->keys[i]->value);
		rules_say_value(out, node->items[i]); /* not deeper than YAML_DEPTH_MAX */
	}
	buf_char(out, map ? '}' : ']');
}

static char *rules_asks(const struct yaml_node *value)
{
	struct buf words;
	size_t len;
	char *text;

	buf_init(&words, YAML_SIZE_MAX);
	rules_say_value(&words, value);
	len = words.len < RULES_ASKS_MAX ? words.len : RULES_ASKS_MAX;
	while (len < words.len && len && (words.data[len] & 0xc0) == 0x80) /* whole letters */
		len--;
	text = words.failed ? NULL : malloc(len + sizeof(" ..."));
	if (text) {
		if (len)
			memcpy(text, words.data, len);
		strcpy(text + len, len < words.len ? " ..." : "");
	}
	buf_deinit(&words);
	return text;
}

int rules_load_match(struct rules_loader *l, const struct yaml_node *map, struct rules_match *m)
{
	int rc = rules_check_keys(l, map, rules_match_keys, "match");

	m->sides = RULES_CLIENT | RULES_SERVER;
	m->confidence = NAMES_CONFIDENCE;
	for (size_t i = 0; i < map->n && !rc; i++) {
		const struct yaml_node *value = map->items[i];
		enum rules_match_key key = 0;

		while (strcmp(rules_match_keys[key], map->keys[i]->value) != 0)
			key++;
		if (value->kind == YAML_LIST && value->n == 0)
			return rules_error(l, value, "an empty list matches nothing");
		m->given |= 1u << key;
		m->place[key] = rules_place_of(l, map->keys[i]);
		m->asks[key] = rules_asks(value);
		rc = m->asks[key] ? rules_load_key(l, key, value, m) : rules_no_memory(l);
	}
	return rc;
}

void rules_match_deinit(struct rules_match *m)
{
	for (size_t i = 0; i < RULES_MATCH_KEY_COUNT; i++)
		free(m->asks[i]);
	free(m->host.sets);
	free(m->client.sets);
	free(m->server.sets);
	free(m->peer.sets);
	free(m->mac.items);
	free(m->port.ranges);
	free(m->vlan.ranges);
	rules_names_deinit(&m->app);
	rules_names_deinit(&m->master);
	rules_names_deinit(&m->category);
	rules_words_deinit(&m->sni);
	rules_words_deinit(&m->alpn);
	rules_words_deinit(&m->exporter);
	free(m->time.zone);
	rules_zone_free(m->time.rules);
}
