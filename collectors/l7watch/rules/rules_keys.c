/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/nearest.h"
#include "rules/rules_internal.h"

static const char *const rules_match_keys[] = {"host",   "client",   "server", "peer", "side",       "app",
					       "master", "category", "port",   "l4",   "confidence", NULL};
static const char *const rules_match_later[] = {"risk",    "score",    "sni",      "vlan",      "exporter", "bytes",
						"packets", "duration", "answered", "direction", "time",     NULL};

/* Names of nDPI, to tell a slip from a name of one's own. */
static const char *const rules_protocols[] = {
#define PROTOCOL(name) name,
#define CATEGORY(name)
#include "rules/protocols.def"
#undef PROTOCOL
#undef CATEGORY
};
static const char *const rules_categories[] = {
#define PROTOCOL(name)
#define CATEGORY(name) name,
#include "rules/protocols.def"
#undef PROTOCOL
#undef CATEGORY
};
#define RULES_COUNT(array) (sizeof(array) / sizeof(array[0]))

/* Room for one more of size `size` in an array of n that grows by doubling; NULL if there is no memory. */
static void *rules_room(void *array, size_t n, size_t size)
{
	if (n & (n - 1))
		return array;
	return realloc(array, (n ? n * 2 : 1) * size);
}

/* ---- addresses ---- */

static int rules_add_prefix(struct rules_loader *l, const struct rules_item *item, void *arg)
{
	const uint32_t *set = arg;
	struct prefix_item p = {.set = *set};
	int rc = addr_prefix_parse(item->text, &p.prefix);
	void *items;

	if (rc == -ERANGE)
		return rules_item_error(l, item, "%s has bits set beyond its length: it is no network", item->text);
	if (rc)
		return rules_item_error(l, item, "%s is not an address, network or @list", item->text);
	items = rules_room(l->items, l->n_items, sizeof(p));
	if (!items)
		return rules_no_memory(l);
	l->items = items;
	l->items[l->n_items++] = p;
	return 0;
}

static int rules_add_listed(struct rules_loader *l, const struct rules_item *item, void *arg)
{
	int rc = rules_plain_item(l, item);

	return rc ? rc : rules_add_prefix(l, item, arg);
}

/* The prefix set of a named list, one for all rules that use it. */
static int rules_list_set(struct rules_loader *l, const struct yaml_node *list, uint32_t *set)
{
	void *sets;

	for (size_t i = 0; i < l->n_list_sets; i++)
		if (l->list_sets[i].list == list) {
			*set = l->list_sets[i].set;
			return 0;
		}
	sets = rules_room(l->list_sets, l->n_list_sets, sizeof(*l->list_sets));
	if (!sets)
		return rules_no_memory(l);
	l->list_sets = sets;
	*set = l->n_sets++;
	l->list_sets[l->n_list_sets++] = (struct rules_list_set){.list = list, .set = *set};
	return rules_each_plain(l, list, rules_add_listed, set);
}

static int rules_hosts_add(struct rules_loader *l, struct rules_hosts *h, uint32_t set, bool negated)
{
	void *sets = rules_room(h->sets, h->n, sizeof(h->sets[0]));

	if (!sets)
		return rules_no_memory(l);
	h->sets = sets;
	h->sets[h->n].set = set;
	h->sets[h->n++].negated = negated;
	h->positive |= !negated;
	return 0;
}

/* Sets of the addresses written out in one value. */
struct rules_inline_sets {
	struct rules_hosts *hosts;
	bool have[2]; /* by negation */
	uint32_t set[2];
};

static int rules_add_host(struct rules_loader *l, const struct rules_item *item, void *arg)
{
	struct rules_inline_sets *s = arg;
	bool no = item->negated;
	int rc = 0;

	if (*item->text == '@') {
		const struct yaml_node *list = rules_named_list(l, item);
		uint32_t set = 0;

		if (!list)
			return -EINVAL;
		rc = rules_list_set(l, list, &set);
		return rc ? rc : rules_hosts_add(l, s->hosts, set, no);
	}
	if (!s->have[no]) {
		s->have[no] = true;
		s->set[no] = l->n_sets++;
		rc = rules_hosts_add(l, s->hosts, s->set[no], no);
	}
	return rc ? rc : rules_add_prefix(l, item, &s->set[no]);
}

static int rules_load_hosts(struct rules_loader *l, const struct yaml_node *value, struct rules_hosts *h)
{
	struct rules_inline_sets s = {.hosts = h};

	h->given = true;
	return rules_each_plain(l, value, rules_add_host, &s);
}

/* ---- names ---- */

static void rules_warn_name(struct rules_loader *l, const struct rules_item *item, const char *name, bool category)
{
	const char *const *known = category ? rules_categories : rules_protocols;
	size_t n = category ? RULES_COUNT(rules_categories) : RULES_COUNT(rules_protocols);
	const char *near;

	for (size_t i = 0; i < n; i++)
		if (strcasecmp(known[i], name) == 0)
			return;
	near = nearest_string(name, known, n);
	rules_warn_item(l, item, "%s is no %s of nDPI 4.2%s%s%s", name, category ? "category" : "protocol",
			near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
}

/* The number of a name of a rule. */
static int rules_name(struct rules_loader *l, const struct rules_item *item, const char *name, bool category,
		      uint32_t *out)
{
	int64_t n = names_table_add(&l->set->names, name, strlen(name));

	if (!*name || n == -E2BIG)
		return rules_item_error(l, item, "%s is not the name of a protocol", item->text);
	if (n < 0)
		return rules_no_memory(l);
	*out = (uint32_t)n;
	rules_warn_name(l, item, name, category);
	return 0;
}

struct rules_names_into {
	struct rules_names *names;
	bool allow;    /* names that may be spoken: no negation */
	bool category; /* the key category: plain names of categories */
	bool plain;    /* the key master: plain names */
};

static int rules_pattern(struct rules_loader *l, const struct rules_item *item, const struct rules_names_into *into,
			 struct rules_pattern *p)
{
	char master[NAMES_TEXT_MAX];
	const char *dot = strchr(item->text, '.');
	size_t len = dot ? (size_t)(dot - item->text) : 0;
	int rc;

	if (!into->category && strncmp(item->text, "category:", 9) == 0 && !into->plain) {
		p->kind = PATTERN_CATEGORY;
		return rules_name(l, item, item->text + 9, true, &p->app);
	}
	if (!dot || into->category) {
		p->kind = PATTERN_APP;
		return rules_name(l, item, item->text, into->category, &p->app);
	}
	if (into->plain)
		return rules_item_error(l, item, "master takes one name, not %s; key app takes such", item->text);
	if (len == 0 || len >= sizeof(master) || strchr(dot + 1, '.'))
		return rules_item_error(l, item, "%s is not a name such as TLS, TLS.* or TLS.Telegram", item->text);
	memcpy(master, item->text, len);
	master[len] = '\0';
	rc = rules_name(l, item, master, false, &p->master);
	p->kind = strcmp(dot + 1, "*") == 0 ? PATTERN_MASTER : PATTERN_BOTH;
	return rc || p->kind == PATTERN_MASTER ? rc : rules_name(l, item, dot + 1, false, &p->app);
}

static int rules_add_name(struct rules_loader *l, const struct rules_item *item, void *arg)
{
	const struct rules_names_into *into = arg;
	struct rules_names *names = into->names;
	struct rules_pattern p = {.negated = item->negated};
	void *patterns, *texts;
	int rc;

	if (into->allow && item->negated)
		return rules_item_error(l, item, "allow lists what may be spoken: !%s has no place in it", item->text);
	rc = rules_pattern(l, item, into, &p);
	if (rc)
		return rc;
	patterns = rules_room(names->patterns, names->n, sizeof(p));
	if (patterns)
		names->patterns = patterns;
	texts = rules_room(names->texts, names->n, sizeof(char *));
	if (texts)
		names->texts = texts;
	if (!patterns || !texts)
		return rules_no_memory(l);
	names->texts[names->n] = strdup(item->text);
	if (!names->texts[names->n])
		return rules_no_memory(l);
	names->patterns[names->n++] = p;
	names->positive |= !p.negated;
	return 0;
}

int rules_load_names(struct rules_loader *l, const struct yaml_node *value, bool allow, struct rules_names *out)
{
	struct rules_names_into into = {.names = out, .allow = allow};

	out->given = true;
	return rules_each(l, value, rules_add_name, &into);
}

static int rules_load_master(struct rules_loader *l, const struct yaml_node *value, struct rules_names *out)
{
	struct rules_names_into into = {.names = out, .plain = true};

	out->given = true;
	return rules_each(l, value, rules_add_name, &into);
}

static int rules_load_category(struct rules_loader *l, const struct yaml_node *value, struct rules_names *out)
{
	struct rules_names_into into = {.names = out, .category = true};

	out->given = true;
	return rules_each(l, value, rules_add_name, &into);
}

/* ---- ports and protocols of layer 4 ---- */

/* "443" or "8000-8100". */
static bool rules_port(const char *text, struct rules_range *r)
{
	unsigned long first, last;
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	first = last = strtoul(text, &end, 10);
	if (*end == '-') {
		text = end + 1;
		if (*text < '0' || *text > '9')
			return false;
		last = strtoul(text, &end, 10);
	}
	if (*end || first > last || last > 65535)
		return false;
	r->first = (uint16_t)first;
	r->last = (uint16_t)last;
	return true;
}

static int rules_add_port(struct rules_loader *l, const struct rules_item *item, void *arg)
{
	struct rules_ports *ports = arg;
	struct rules_range r = {.negated = item->negated};
	void *ranges;

	if (!rules_port(item->text, &r))
		return rules_item_error(l, item, "%s is not a port or a range such as 8000-8100", item->text);
	ranges = rules_room(ports->ranges, ports->n, sizeof(r));
	if (!ranges)
		return rules_no_memory(l);
	ports->ranges = ranges;
	ports->ranges[ports->n++] = r;
	ports->positive |= !r.negated;
	return 0;
}

static int rules_add_l4(struct rules_loader *l, const struct rules_item *item, void *arg)
{
	static const struct {
		const char *name;
		uint8_t number;
	} names[] = {{"tcp", 6}, {"udp", 17}, {"icmp", 1}, {"icmp6", 58}, {"sctp", 132}, {"gre", 47}, {"esp", 50}};
	struct rules_match *m = arg;
	char *end;
	unsigned long n = strtoul(item->text, &end, 10);
	bool ok = *item->text >= '0' && *item->text <= '9' && !*end && n <= 255;

	for (size_t i = 0; i < RULES_COUNT(names); i++)
		if (strcmp(names[i].name, item->text) == 0) {
			n = names[i].number;
			ok = true;
		}
	if (!ok)
		return rules_item_error(
			l, item, "%s is not tcp, udp, icmp, icmp6, sctp, gre, esp or a number up to 255", item->text);
	if (item->negated)
		return rules_item_error(l, item, "l4 takes no negation");
	m->l4_given = true;
	m->l4[n / 64] |= UINT64_C(1) << (n % 64);
	return 0;
}

/* ---- all keys ---- */

static int rules_load_side(struct rules_loader *l, const struct yaml_node *value, struct rules_match *m)
{
	static const char *const words[] = {"client", "server"};
	int i = rules_word(l, value, "side", words, RULES_COUNT(words));

	if (i >= 0)
		m->sides = i == 0 ? RULES_CLIENT : RULES_SERVER;
	return i < 0 ? i : 0;
}

static int rules_load_confidence(struct rules_loader *l, const struct yaml_node *value, struct rules_match *m)
{
	static const char *const words[] = {"none", "port", "ip", "partial", "cache", "dpi"};
	int i = rules_word(l, value, "confidence", words, RULES_COUNT(words));

	if (i >= 0)
		m->confidence = (uint8_t)i;
	return i < 0 ? i : 0;
}

static int rules_load_key(struct rules_loader *l, const char *key, const struct yaml_node *value, struct rules_match *m)
{
	if (strcmp(key, "host") == 0)
		return rules_load_hosts(l, value, &m->host);
	if (strcmp(key, "client") == 0)
		return rules_load_hosts(l, value, &m->client);
	if (strcmp(key, "server") == 0)
		return rules_load_hosts(l, value, &m->server);
	if (strcmp(key, "peer") == 0)
		return rules_load_hosts(l, value, &m->peer);
	if (strcmp(key, "side") == 0)
		return rules_load_side(l, value, m);
	if (strcmp(key, "app") == 0)
		return rules_load_names(l, value, false, &m->app);
	if (strcmp(key, "master") == 0)
		return rules_load_master(l, value, &m->master);
	if (strcmp(key, "category") == 0)
		return rules_load_category(l, value, &m->category);
	if (strcmp(key, "port") == 0) {
		m->port.given = true;
		return rules_each(l, value, rules_add_port, &m->port);
	}
	if (strcmp(key, "l4") == 0)
		return rules_each(l, value, rules_add_l4, m);
	return rules_load_confidence(l, value, m);
}

int rules_load_match(struct rules_loader *l, const struct yaml_node *map, struct rules_match *m)
{
	int rc = rules_check_keys(l, map, rules_match_keys, rules_match_later, "match");

	m->sides = RULES_CLIENT | RULES_SERVER;
	m->confidence = L7_CONF_CACHE;
	for (size_t i = 0; i < map->n && !rc; i++) {
		const struct yaml_node *value = map->items[i];

		if (value->kind == YAML_LIST && value->n == 0)
			return rules_error(l, value, "an empty list matches nothing");
		rc = rules_load_key(l, map->keys[i]->value, value, m);
	}
	return rc;
}

void rules_names_deinit(struct rules_names *n)
{
	for (size_t i = 0; i < n->n; i++)
		free(n->texts[i]);
	free(n->texts);
	free(n->patterns);
}

void rules_match_deinit(struct rules_match *m)
{
	free(m->host.sets);
	free(m->client.sets);
	free(m->server.sets);
	free(m->peer.sets);
	free(m->port.ranges);
	rules_names_deinit(&m->app);
	rules_names_deinit(&m->master);
	rules_names_deinit(&m->category);
}
