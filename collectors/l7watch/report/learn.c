/* SPDX-License-Identifier: Apache-2.0 */
#include "report/learn.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/addr.h"
#include "base/buf.h"
#include "base/quantity.h"
#include "base/utc.h"
#include "record/names.h"
#include "rules/rules.h"

#define LEARN_TEXT_MAX (1u << 20)
#define LEARN_FILE_MAX (256u << 20)
#define LEARN_FIRST_ID 1

/* What a host spoke as client, or as server. */
struct learn_side {
	struct buf names; /* "DNS\nTLS.Github\n": what makes two hosts the same */
	struct buf lines; /* the items with what was seen of each */
	size_t n;
};

/* The host that is being gathered; the store gives host after host. */
struct learn_host {
	bool any;
	uint8_t ip[16];
	uint64_t first_ms, last_ms, flows, octets;
	struct learn_side sides[2];
	size_t unknown;
};

/* Hosts with the same lists. */
struct learn_rule {
	struct buf hosts; /* "192.0.2.10, 192.0.2.11" */
	size_t n_hosts;
	char first[ADDR_TEXT_MAX];
	struct learn_side sides[2];
	size_t unknown;
};

struct learn {
	struct learn_host host;
	struct learn_rule *rules; /* owned */
	size_t n;
	uint64_t first_ms, last_ms;
	struct learn_counts *counts;
	bool failed; /* no memory */
};

static void side_init(struct learn_side *s)
{
	buf_init(&s->names, LEARN_TEXT_MAX);
	buf_init(&s->lines, LEARN_TEXT_MAX);
	s->n = 0;
}

static void side_deinit(struct learn_side *s)
{
	buf_deinit(&s->names);
	buf_deinit(&s->lines);
}

static bool side_same(const struct learn_side *a, const struct learn_side *b)
{
	return a->names.len == b->names.len &&
	       (a->names.len == 0 || memcmp(a->names.data, b->names.data, a->names.len) == 0);
}

/* ---- names ---- */

/*
 * A name that means itself in a rule. "!TLS", "@servers", "TLS.*" or "category:Chat" are names too, if an exporter says so, and would
 * allow something else than what was seen.
 */
static bool learn_fits(const char *name, size_t len)
{
	const char *dot = strchr(name, '.');

	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)name[i]) && !strchr(".-_+/() ", name[i]))
			return false;
	return len < NAMES_TEXT_MAX && isalnum((unsigned char)name[0]) && (!dot || (dot[1] && !strchr(dot + 1, '.')));
}

/* A name from the network as a YAML scalar; JSON's quotes are YAML's too. */
static void learn_scalar(struct buf *out, const char *name, size_t len)
{
	bool plain = len > 0 && ((name[0] | 32) >= 'a' && (name[0] | 32) <= 'z');

	for (size_t i = 0; i < len; i++) {
		char c = name[i];

		plain &= (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') || c == '.' || c == '_' ||
			 c == '-';
	}
	if (plain)
		buf_put(out, name, len);
	else
		buf_json(out, name, len);
}

static void learn_name(struct learn *l, struct learn_side *s, const struct store_usage *u)
{
	size_t len = strlen(u->app);
	char octets[QUANTITY_MAX], flows[QUANTITY_MAX];

	if (len == 0 || strcmp(u->app, "Unknown") == 0) {
		l->host.unknown++;
		return;
	}
	if (!learn_fits(u->app, len) || s->n == LEARN_NAMES_MAX) {
		l->counts->names_left++;
		return;
	}
	s->n++;
	buf_put(&s->names, u->app, len);
	buf_char(&s->names, '\n');
	buf_str(&s->lines, "    - ");
	learn_scalar(&s->lines, u->app, len);
	quantity_count(flows, u->flows);
	quantity_octets(octets, u->octets);
	buf_printf(&s->lines, "  # %s flow%s, %s\n", flows, u->flows == 1 ? "" : "s", octets);
}

/* ---- hosts ---- */

static struct learn_rule *learn_rule(struct learn *l)
{
	struct learn_host *h = &l->host;
	struct learn_rule *rules;

	for (size_t i = 0; i < l->n; i++)
		if (side_same(&l->rules[i].sides[0], &h->sides[0]) && side_same(&l->rules[i].sides[1], &h->sides[1]))
			return &l->rules[i];
	if (l->n == LEARN_HOSTS_MAX)
		return NULL;
	rules = realloc(l->rules, (l->n + 1) * sizeof(*rules));
	if (!rules) {
		l->failed = true;
		return NULL;
	}
	l->rules = rules;
	rules = &rules[l->n++];
	memset(rules, 0, sizeof(*rules));
	buf_init(&rules->hosts, LEARN_TEXT_MAX);
	addr_format(h->ip, rules->first);
	memcpy(rules->sides, h->sides, sizeof(h->sides)); /* they are the rule's now */
	side_init(&h->sides[0]);
	side_init(&h->sides[1]);
	return rules;
}

/* A host is whole: it gets a rule, or joins one. */
static void learn_host_done(struct learn *l)
{
	struct learn_host *h = &l->host;
	char text[ADDR_TEXT_MAX];
	struct learn_rule *r;

	if (!h->any)
		return;
	h->any = false;
	if (h->sides[0].n + h->sides[1].n == 0) { /* nothing of it has a name */
		l->counts->hosts_left++;
		return;
	}
	r = learn_rule(l);
	if (!r) {
		l->counts->hosts_left++;
		return;
	}
	l->counts->hosts++;
	r->unknown += h->unknown;
	l->counts->unknown += h->unknown;
	buf_str(&r->hosts, r->n_hosts++ ? ", " : "");
	buf_printf(&r->hosts, addr_is4(h->ip) ? "%s" : "\"%s\"", addr_format(h->ip, text));
	l->failed |= r->hosts.failed;
}

static void learn_usage(void *arg, const struct store_usage *u)
{
	struct learn *l = arg;
	struct learn_host *h = &l->host;
	struct learn_side *side = &h->sides[u->side == RULES_SERVER];

	if (!h->any || memcmp(h->ip, u->ip, 16) != 0) {
		learn_host_done(l);
		for (int i = 0; i < 2; i++) {
			buf_reset(&h->sides[i].names);
			buf_reset(&h->sides[i].lines);
			h->sides[i].n = 0;
		}
		h->any = true;
		h->unknown = 0;
		memcpy(h->ip, u->ip, 16);
	}
	if (!l->first_ms || u->first_ms < l->first_ms)
		l->first_ms = u->first_ms;
	if (u->last_ms > l->last_ms)
		l->last_ms = u->last_ms;
	learn_name(l, side, u);
	l->failed |= side->names.failed || side->lines.failed;
}

/* ---- the file ---- */

static void learn_side_text(struct buf *out, const char *name, const struct learn_side *s)
{
	if (s->n == 0) {
		buf_printf(out, "    %s: []\n", name);
		return;
	}
	buf_printf(out, "    %s:\n", name);
	buf_put(out, s->lines.data, s->lines.len);
}

static void learn_rule_text(struct buf *out, const struct learn_rule *r, size_t id)
{
	buf_printf(out, "\n- id: %zu\n  name: ", id);
	if (r->n_hosts > 1)
		buf_printf(out, "\"%s and %zu like it speak what they spoke\"\n", r->first, r->n_hosts - 1);
	else
		buf_printf(out, "\"%s speaks what it spoke\"\n", r->first);
	buf_str(out, "  type: allow\n  severity: medium\n");
	buf_printf(out, "  match: {host: [%.*s]}\n", (int)r->hosts.len, r->hosts.data);
	if (r->unknown)
		buf_str(out, "  # it also had flows that nobody can name; on_unknown says what to do about such\n");
	if (r->n_hosts > 1)
		buf_printf(out, "  # numbers are those of %s\n", r->first);
	buf_str(out, "  allow:\n");
	learn_side_text(out, "client", &r->sides[0]);
	learn_side_text(out, "server", &r->sides[1]);
}

static void learn_text(struct buf *out, const struct learn *l)
{
	char from[UTC_TEXT_MAX], to[UTC_TEXT_MAX];

	buf_printf(out, "# What %zu host%s spoke from %s UTC to %s UTC.\n", l->counts->hosts,
		   l->counts->hosts == 1 ? "" : "s", utc_text(from, UTC_READABLE, l->first_ms),
		   utc_text(to, UTC_READABLE, l->last_ms));
	buf_str(out, "# What is listed is not thereby right: strike out what a host should not speak.\n");
	if (l->counts->hosts_left)
		buf_printf(out,
			   "# %zu hosts are left out: nothing they spoke has a name for a rule, or a file has %u rules "
			   "at most.\n",
			   l->counts->hosts_left, LEARN_HOSTS_MAX);
	if (l->counts->names_left)
		buf_printf(out,
			   "# Names left out: %zu. They are none that a rule could have, or a side of a host has more "
			   "than %u.\n",
			   l->counts->names_left, LEARN_NAMES_MAX);
	buf_str(out, "version: 1\nrules:\n");
	if (l->n == 0)
		buf_str(out, "  []\n");
	for (size_t i = 0; i < l->n; i++)
		learn_rule_text(out, &l->rules[i], LEARN_FIRST_ID + i);
}

static int learn_put(const struct buf *text, const char *path, char *err, size_t err_size)
{
	char beside[4096];
	FILE *out;
	int rc = 0;

	if (snprintf(beside, sizeof(beside), "%s.new", path) >= (int)sizeof(beside)) {
		snprintf(err, err_size, "%s: the name is too long", path);
		return -ENAMETOOLONG;
	}
	out = fopen(beside, "we");
	if (!out || fwrite(text->data, 1, text->len, out) != text->len)
		rc = -errno;
	if (out && fclose(out) && !rc)
		rc = -errno;
	if (!rc && rename(beside, path))
		rc = -errno;
	if (rc) {
		snprintf(err, err_size, "%s: %s", out ? path : beside, strerror(-rc));
		if (out)
			unlink(beside);
	}
	return rc;
}

int learn_check(const char *path, char *err, size_t err_size)
{
	char beside[4096];
	FILE *out;

	if (!*path || snprintf(beside, sizeof(beside), "%s.new", path) >= (int)sizeof(beside)) {
		snprintf(err, err_size, "option --learn: the name of the file is %s", *path ? "too long" : "empty");
		return -EINVAL;
	}
	out = fopen(beside, "we");
	if (!out) {
		int rc = -errno;

		snprintf(err, err_size, "option --learn: cannot write %s: %s", beside, strerror(errno));
		return rc;
	}
	fclose(out);
	unlink(beside);
	return 0;
}

int learn_write(struct store *store, const char *path, struct learn_counts *counts, char *err, size_t err_size)
{
	struct learn l = {.counts = counts};
	struct buf text;
	int rc = -ENOMEM;

	*counts = (struct learn_counts){0};
	side_init(&l.host.sides[0]);
	side_init(&l.host.sides[1]);
	buf_init(&text, LEARN_FILE_MAX);
	store_usages(store, learn_usage, &l);
	learn_host_done(&l);
	counts->rules = l.n;
	learn_text(&text, &l);
	if (!l.failed && !text.failed)
		rc = learn_put(&text, path, err, err_size);
	else
		snprintf(err, err_size, "%s: no memory", path);
	for (size_t i = 0; i < l.n; i++) {
		buf_deinit(&l.rules[i].hosts);
		side_deinit(&l.rules[i].sides[0]);
		side_deinit(&l.rules[i].sides[1]);
	}
	free(l.rules);
	side_deinit(&l.host.sides[0]);
	side_deinit(&l.host.sides[1]);
	buf_deinit(&text);
	return rc;
}
