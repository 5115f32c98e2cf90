/* SPDX-License-Identifier: Apache-2.0 */
/* What the files that load rules share. */
#ifndef WATCH_RULES_INTERNAL_H
#define WATCH_RULES_INTERNAL_H

#include "base/prefix.h"
#include "base/yaml.h"
#include "rules/rules.h"

/*
 * For each class of addresses and each name, the rules that may be broken; bit per rule, `words` words each. What is
 * not here is not broken; what is here is looked at.
 */
struct rules_index {
	uint64_t *client_src, *client_dst; /* the rule's host is the client: by the client's class, by the server's */
	uint64_t *server_src, *server_dst; /* the rule's host is the server: the same */
	uint64_t *app_app, *app_master, *app_category; /* key app: by the record's application, master, category */
	uint64_t *master;                              /* key master: by the record's master */
	uint64_t *category;                            /* key category: by the record's category */
};

struct rule_set {
	struct rule *rules; /* owned */
	size_t n;
	struct names_table names;
	struct prefix_map prefixes;
	size_t words; /* 64-bit words of a mask */
	struct rules_index index;
};

/* Prefix set of a named list: made when the list is first used for addresses. */
struct rules_list_set {
	const struct yaml_node *list;
	uint32_t set;
};

struct rules_loader {
	const struct yaml *yaml;
	const struct yaml_node *lists; /* map of named lists, or NULL */
	struct rule_set *set;
	struct rules_warnings warnings;
	struct prefix_item *items; /* owned */
	size_t n_items, items_cap;
	uint32_t n_sets;
	struct rules_list_set *list_sets; /* owned */
	size_t n_list_sets;
	uint64_t dedup_ms; /* defaults */
	uint32_t dedup_keys;
	char *err;
	size_t err_size;
};

/* ---- rules_values.c: values of any kind ---- */

/* One item of a value, wherever it was written. */
struct rules_item {
	const char *text;
	bool negated;
	const struct yaml *where; /* the file, for messages */
	struct yaml_node at;      /* the place */
};

/* Says what is wrong with an item. Always returns -EINVAL. */
__attribute__((format(printf, 3, 4))) int rules_item_error(struct rules_loader *l, const struct rules_item *i,
							   const char *fmt, ...);
__attribute__((format(printf, 3, 4))) int rules_error(struct rules_loader *l, const struct yaml_node *at,
						      const char *fmt, ...);
int rules_no_memory(struct rules_loader *l);
__attribute__((format(printf, 3, 4))) void rules_warn_item(struct rules_loader *l, const struct rules_item *i,
							   const char *fmt, ...);

/* A function that takes the items of a value one by one; 0 or a negative errno, which ends it. */
typedef int rules_each_fn(struct rules_loader *l, const struct rules_item *item, void *arg);

/* Items of a scalar, a list, {file: PATH} or "@list" within them. */
int rules_each(struct rules_loader *l, const struct yaml_node *value, rules_each_fn *fn, void *arg);
/* Items of a list or {file: PATH}, without "@list". */
int rules_each_plain(struct rules_loader *l, const struct yaml_node *value, rules_each_fn *fn, void *arg);
/* An error if an item of a named list is a list or negated. */
int rules_plain_item(struct rules_loader *l, const struct rules_item *item);
/* The named list that an item "@name" or "!@name" means, or NULL with an error. */
const struct yaml_node *rules_named_list(struct rules_loader *l, const struct rules_item *i);

/* Keys of a map must be among names; `later` names what is to come. Both end with NULL. */
int rules_check_keys(struct rules_loader *l, const struct yaml_node *map, const char *const *names,
		     const char *const *later, const char *what);
/* A scalar's text, or NULL with an error. */
const char *rules_text(struct rules_loader *l, const struct yaml_node *node, const char *what);
int rules_number(struct rules_loader *l, const struct yaml_node *node, const char *what, uint64_t max, uint64_t *out);
int rules_duration(struct rules_loader *l, const struct yaml_node *node, const char *what, uint64_t *ms);
/* "2027-01-31": the end of that day, UTC. */
int rules_date(struct rules_loader *l, const struct yaml_node *node, uint64_t *end_ms);
/* Index of a word among n, or a negative errno with an error that names the nearest. */
int rules_word(struct rules_loader *l, const struct yaml_node *node, const char *what, const char *const *words,
	       size_t n);

/* ---- rules_keys.c: keys of match and except, and lists of names ---- */

int rules_load_match(struct rules_loader *l, const struct yaml_node *map, struct rules_match *m);
/* `allow`: names that may be spoken; no negation. */
int rules_load_names(struct rules_loader *l, const struct yaml_node *value, bool allow, struct rules_names *out);
void rules_match_deinit(struct rules_match *m);
void rules_names_deinit(struct rules_names *n);

/* ---- rules_rule.c: one rule ---- */

int rules_load_rule(struct rules_loader *l, const struct yaml_node *map, struct rule *r);
int rules_load_dedup(struct rules_loader *l, const struct yaml_node *node, uint32_t *keys, uint64_t *for_ms);
void rules_rule_deinit(struct rule *r);

/* ---- rules_match.c ---- */

bool rules_hosts_have(const struct rule_set *set, const struct rules_hosts *h, uint32_t class);

/* ---- rules_index.c ---- */

/* Prefixes, names and rules are complete. Returns 0 or -ENOMEM. */
int rules_index_init(struct rule_set *set);
void rules_index_deinit(struct rule_set *set);

/* Rules of word w whose host may be the client, and the server, of a record with addresses of these classes. */
static inline void rules_index_hosts(const struct rule_set *set, uint32_t src, uint32_t dst, size_t w, uint64_t *client,
				     uint64_t *server)
{
	const struct rules_index *x = &set->index;

	*client = x->client_src[src * set->words + w] & x->client_dst[dst * set->words + w];
	*server = x->server_src[src * set->words + w] & x->server_dst[dst * set->words + w];
}

/* Rules of word w whose names may be the record's, however sure they are. */
static inline uint64_t rules_index_names(const struct rule_set *set, const struct names_record *n, size_t w)
{
	const struct rules_index *x = &set->index;
	size_t app = n->app * set->words + w, master = n->master * set->words + w;
	size_t category = n->category * set->words + w;

	return (x->app_app[app] | x->app_master[master] | x->app_category[category]) & x->master[master] &
	       x->category[category];
}

#endif
