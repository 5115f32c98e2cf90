/* SPDX-License-Identifier: Apache-2.0 */
/* What the files that load, match and explain rules share. */
#ifndef WATCH_RULES_INTERNAL_H
#define WATCH_RULES_INTERNAL_H

#include <sys/types.h>
#include <time.h>

#include "base/prefix.h"
#include "base/yaml.h"
#include "rules/rules.h"

#define RULES_DAY_MS UINT64_C(86400000)

/*
 * For each class of addresses, each name, port and so on, the rules that may be broken; bit per rule, `words` words each. What is
 * not here is not broken; what is here is looked at.
 */
struct rules_index {
	uint64_t *client_src, *client_dst; /* the rule's host is the client: by the client's class, by the server's */
	uint64_t *server_src, *server_dst; /* the rule's host is the server: the same */
	uint64_t *app_app, *app_master, *app_category; /* key app: by the record's application, master, category */
	uint64_t *master;                              /* key master: by the record's master */
	uint64_t *category;                            /* key category: by the record's category */
	uint64_t *l4;                                  /* key l4: by the record's IP protocol */
	uint64_t *port;                                /* key port: by the class of the server's port */
	uint64_t *traits;                              /* by enum rules_traits, all that a record has together */
	size_t n_ports;                                /* classes of ports: those that all rules treat alike */
	uint16_t *port_class;                          /* 65536 */
};

/* A file that was read, as it was then. */
struct rules_file {
	char *path;  /* owned */
	bool list;   /* a list's items, not rules */
	bool exists; /* false for what was parsed from memory */
	dev_t device;
	ino_t inode;
	off_t size;
	struct timespec changed;
};

/* What a record has or has not, and rules ask for; bits. */
enum rules_traits {
	RULES_TRAIT_FINAL = 1,
	RULES_TRAIT_ANSWERED = 2,
	RULES_TRAIT_RISKS = 4,
	RULES_TRAIT_SCORE = 8, /* above 0 */
	RULES_TRAIT_NAME = 16, /* of a server */
	RULES_TRAIT_ALPN = 32,
	RULES_TRAIT_TLS = 64, /* a version */
	RULES_TRAITS = 128
};

struct rule_set {
	struct rule *rules; /* owned */
	size_t n;
	struct names_table names;
	struct prefix_map prefixes;
	struct rules_hosts home;
	size_t words; /* 64-bit words of a mask */
	struct rules_index index;
	struct rules_file **files; /* owned, as are the files: their paths are in places */
	size_t n_files;
};

/* A named list, or the map of them, and the file it is in. */
struct rules_list {
	const struct yaml *yaml;
	const struct yaml_node *node;
};

/* Prefix set of a named list: made when the list is first used for addresses. */
struct rules_list_set {
	const struct yaml_node *list;
	uint32_t set;
};

/* What rules have that do not say otherwise. */
struct rules_defaults {
	struct rules_dedup dedup;
	bool dedup_keys; /* its keys were given */
	uint64_t release_ms;
	uint64_t mute_after, mute_ms;
};

struct rules_loader {
	const struct yaml *yaml;      /* the file that is being read */
	const char *file;             /* its name, owned by the set */
	struct rules_list main_lists; /* map of named lists of the main file, which win; or node NULL */
	struct rules_list own_lists;  /* the same of a check */
	struct rule_set *set;
	struct rules_warnings warnings;
	struct prefix_item *items; /* owned */
	size_t n_items;
	uint32_t n_sets;
	struct rules_list_set *list_sets; /* owned */
	size_t n_list_sets;
	struct rules_defaults defaults;
	char *err;
	size_t err_size;
};

/* ---- rules_files.c: the files of a set ---- */

/* Remembers a file of rules or of a list as it is now. Its path stays valid as long as the set; NULL if there is no memory. */
const char *rules_file_add(struct rule_set *set, const char *path, bool list);
void rules_files_deinit(struct rule_set *set);

/* ---- rules_values.c: values of any kind ---- */

/* One item of a value, wherever it was written. */
struct rules_item {
	const char *text;
	bool negated;
	const struct yaml *where; /* the file, for messages */
	struct yaml_node at;      /* the place; line 0: the file as a whole */
};

/* Room for one more of size `size` in an array of n that grows by doubling; NULL if there is no memory. */
void *rules_room(void *array, size_t n, size_t size);

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

/*
 * Items of a scalar, a list, {file: PATH} or "@list" within them. *positive is set (it may be NULL) if the value asks for something: an
 * item that is not negated, be it a list without items, which nothing is in.
 */
int rules_each(struct rules_loader *l, const struct yaml_node *value, bool *positive, rules_each_fn *fn, void *arg);
/* Items of a list or {file: PATH}, without "@list". */
int rules_each_plain(struct rules_loader *l, const struct yaml_node *value, rules_each_fn *fn, void *arg);
/* The same of a named list, which may be in another file. */
int rules_each_listed(struct rules_loader *l, const struct rules_list *list, rules_each_fn *fn, void *arg);
/* An error if an item of a named list is a list or negated. */
int rules_plain_item(struct rules_loader *l, const struct rules_item *item);
/* The named list that an item "@name" or "!@name" means. Returns 0 or -EINVAL with an error. */
int rules_named_list(struct rules_loader *l, const struct rules_item *i, struct rules_list *out);

/* Keys of a map must be among names, which ends with NULL. */
int rules_check_keys(struct rules_loader *l, const struct yaml_node *map, const char *const *names, const char *what);
/* A scalar's text, or NULL with an error. */
const char *rules_text(struct rules_loader *l, const struct yaml_node *node, const char *what);
/* Digits alone, at most max. */
bool rules_digits(const char *text, uint64_t max, uint64_t *out);
int rules_number(struct rules_loader *l, const struct yaml_node *node, const char *what, uint64_t max, uint64_t *out);
int rules_duration(struct rules_loader *l, const struct yaml_node *node, const char *what, uint64_t *ms);
/* The same, but not 0. */
int rules_time_span(struct rules_loader *l, const struct yaml_node *node, const char *what, uint64_t *ms);
/* "500", "10k", "2GiB". */
int rules_size(struct rules_loader *l, const struct yaml_node *node, const char *what, uint64_t *out);
/* "2027-01-31": the end of that day, UTC. */
int rules_date(struct rules_loader *l, const struct yaml_node *node, uint64_t *end_ms);
/* Index of a word among n, or a negative errno with an error that names the nearest. */
int rules_word(struct rules_loader *l, const struct yaml_node *node, const char *what, const char *const *words,
	       size_t n);
int rules_bool(struct rules_loader *l, const struct yaml_node *node, const char *what, bool *out);
/* The same for an item. */
int rules_item_word(struct rules_loader *l, const struct rules_item *item, const char *what, const char *const *words,
		    size_t n);
struct rules_place rules_place_of(const struct rules_loader *l, const struct yaml_node *at);

/* ---- values of keys, by kind ---- */

/* rules_load_hosts.c */
int rules_load_hosts(struct rules_loader *l, const struct yaml_node *value, struct rules_hosts *h);
int rules_load_home(struct rules_loader *l, const struct conf_list *list);

/* rules_load_names.c. Names that may be spoken take no negation. */
enum rules_names_key { RULES_NAMES_APP, RULES_NAMES_ALLOW, RULES_NAMES_MASTER, RULES_NAMES_CATEGORY };
int rules_load_names(struct rules_loader *l, const struct yaml_node *value, enum rules_names_key key,
		     struct names_list *out);
/* One name such as TLS, TLS.* or TLS.Telegram. */
int rules_load_name(struct rules_loader *l, const struct yaml_node *key, struct names_pattern *out);
void rules_names_deinit(struct names_list *n);

/* rules_load_numbers.c */
int rules_load_ports(struct rules_loader *l, const struct yaml_node *value, struct rules_ports *out);
int rules_load_vlans(struct rules_loader *l, const struct yaml_node *value, struct rules_ports *out);
int rules_load_l4(struct rules_loader *l, const struct yaml_node *value, struct rules_match *m);
int rules_load_risk(struct rules_loader *l, const struct yaml_node *value, struct rules_match *m);
/* Short name of a risk by its bit, or NULL. */
const char *rules_risk_word(unsigned bit);
int rules_load_direction(struct rules_loader *l, const struct yaml_node *value, struct rules_match *m);
/* A number, or {min: A, max: B}; read(l, node, what, out) reads one. */
typedef int rules_read_fn(struct rules_loader *l, const struct yaml_node *node, const char *what, uint64_t *out);
int rules_load_amount(struct rules_loader *l, const struct yaml_node *value, const char *what, rules_read_fn *read,
		      struct rules_amount *out);
int rules_load_score(struct rules_loader *l, const struct yaml_node *node, const char *what, uint64_t *out);
int rules_load_tls_version(struct rules_loader *l, const struct yaml_node *value, struct rules_amount *out);

/* rules_load_texts.c */
int rules_load_sni(struct rules_loader *l, const struct yaml_node *value, struct rules_words *out);
int rules_load_alpn(struct rules_loader *l, const struct yaml_node *value, struct rules_words *out);
int rules_load_exporter(struct rules_loader *l, const struct yaml_node *value, struct rules_words *out);
int rules_load_macs(struct rules_loader *l, const struct yaml_node *value, struct rules_macs *out);
void rules_words_deinit(struct rules_words *w);
/* Item of a text in small letters, or -1. */
int64_t rules_words_find(const struct rules_words *w, const char *text, size_t len);

/* rules_load_time.c */
int rules_load_time(struct rules_loader *l, const struct yaml_node *value, struct rules_time *out);

/* ---- rules_keys.c: keys of match and except ---- */

int rules_load_match(struct rules_loader *l, const struct yaml_node *map, struct rules_match *m);
void rules_match_deinit(struct rules_match *m);
const char *rules_match_key_name(enum rules_match_key key);

static inline bool rules_match_gives(const struct rules_match *m, enum rules_match_key key)
{
	return m->given >> key & 1;
}

/* ---- rules_property.c: words such as subject and app ---- */

/* A word or a list of them; bits are added to *keys. `what` is the key they are of. */
int rules_load_properties(struct rules_loader *l, const struct yaml_node *value, const char *what, uint32_t *keys);
/* Names of the properties, joined by commas. */
void rules_properties_say(struct buf *out, uint32_t keys);

/* ---- rules_rule.c: one rule; rules_types.c: what only some types have ---- */

int rules_load_rule(struct rules_loader *l, const struct yaml_node *map, struct rule *r);
int rules_load_defaults(struct rules_loader *l, const struct yaml_node *node);
void rules_rule_deinit(struct rule *r);
/* A key that a rule needs; `of` is what it is needed for, "a rule" or "a rule of type beacon". */
int rules_need(struct rules_loader *l, const struct yaml_node *map, const char *of, const char *key,
	       const struct yaml_node **value);
/* Sets the type, and refuses a key that no rule has or only rules of another type. */
int rules_check_rule_keys(struct rules_loader *l, const struct yaml_node *map, struct rule *r);
/* All but what every type has. */
int rules_load_type(struct rules_loader *l, const struct yaml_node *map, struct rule *r);

/* ---- rules_conditions.c: what a record is asked, for matching and for explaining alike ---- */

/* A record, seen by the rules. */
struct rules_view {
	const struct rule_set *set;
	const struct rules_input *in;
	struct names_record names;
	uint32_t src, dst; /* classes of the addresses */
	bool final;
	bool over;        /* last record of the flow */
	bool sides_known; /* who is client and who is server */
	bool midstream;
	bool from_server; /* what servers alone send, from their port: the source is the server */
	uint8_t traits;   /* enum rules_traits */
};

/* What a rule asks besides its keys; bits. */
enum {
	RULES_NEEDS_FINAL = 1,
	RULES_NEEDS_SIDES = 2,     /* who is client and who is server */
	RULES_NEEDS_ANSWER = 4,    /* the server answered */
	RULES_NEEDS_BEGINNING = 8, /* the flow's first packet was seen */
	RULES_NEEDS_SCORE = 16,    /* type risk: score_min is reached */
	RULES_NEEDS_ALL = 31
};

bool rules_hosts_have(const struct rule_set *set, const struct rules_hosts *h, uint32_t class);
void rules_view_init(struct rules_view *v, const struct rule_set *set, const struct rules_input *in);
bool rules_key_matches(const struct rules_view *v, const struct rules_match *m, enum rules_match_key key,
		       enum rules_side side);
/* The exception that applies, or NULL. In an exception `host` is either side. */
const struct rules_exception *rules_excepted(const struct rules_view *v, const struct rule *r);
/* A rule that names a server and no host is about the server, as is one that counts by server. */
bool rules_of_server(const struct rule *r);
unsigned rules_needs(const struct rule *r, enum rules_side side);
/* Those of `needs` that the record does not meet. */
unsigned rules_lacks(const struct rules_view *v, const struct rule *r, unsigned needs);
uint8_t rules_direction(const struct rules_view *v); /* one bit, or 0: neither end is home */
/* 0: none; of DTLS the TLS that it is made of. */
uint16_t rules_tls_version(const struct l7_record *r);
uint64_t rules_lasted(const struct rules_input *in); /* the flow so far, ms */
/* Name asked for: TLS, else HTTP, else DNS. */
struct l7_text rules_server_name(const struct l7_record *r);
/* What a list of servers says of the one at `side`. */
enum rules_server { RULES_SERVER_OTHER /* serves nothing of the list */, RULES_SERVER_LISTED, RULES_SERVER_WRONG };
enum rules_server rules_server_listed(const struct rules_view *v, const struct rule *r, enum rules_side side);

/* ---- rules_match.c ---- */

/* Keys that ask for addresses and sides. */
#define RULES_KEYS_OF_SIDES                                                                                            \
	(1u << RULES_MATCH_host | 1u << RULES_MATCH_client | 1u << RULES_MATCH_server | 1u << RULES_MATCH_peer |       \
	 1u << RULES_MATCH_side)
/* Keys whose answer depends on which side the rule's host is. */
#define RULES_KEYS_OF_A_SIDE                                                                                           \
	(1u << RULES_MATCH_host | 1u << RULES_MATCH_peer | 1u << RULES_MATCH_side | 1u << RULES_MATCH_mac)

/* Verdicts of one rule, whose host may be on `sides` as far as RULES_KEYS_OF_SIDES say; at most 2. */
size_t rules_judge_sides(const struct rules_view *v, const struct rule *r, unsigned sides, struct rules_verdict *out,
			 size_t room);
/* Sides that are worth a word about a record, whatever the addresses. */
unsigned rules_sides_asked(const struct rules_view *v, const struct rule *r);
/* What a rule of type allow says of a name on out->side, as names_allow(). */
enum names_answer rules_allows(const struct rules_view *v, const struct rule *r, enum rules_side side);
/* Kind of the verdict on out->side when keys, needs and exceptions are met. False: nothing to say. */
bool rules_decide(const struct rules_view *v, struct rules_verdict *out);

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

/* Rules of word w whose protocol of layer 4, port and traits may be the record's. */
static inline uint64_t rules_index_rest(const struct rules_view *v, size_t w)
{
	const struct rules_index *x = &v->set->index;
	const struct l7_record *r = v->in->record;
	size_t words = v->set->words;

	return x->l4[r->protocol * words + w] & x->port[x->port_class[r->dst_port] * words + w] &
	       x->traits[v->traits * words + w];
}

#endif
