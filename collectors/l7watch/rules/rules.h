/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What hosts may speak: rules from YAML files (docs/rules.md), made into one immutable set, and the question which of
 * them a record breaks, whose answer depends on nothing but record, what its flow was before, and set. Rules that count over time
 * (first_seen, threshold, beacon) only pick their records here; detect/ counts.
 */
#ifndef WATCH_RULES_H
#define WATCH_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/conf.h"
#include "l7/record.h"
#include "record/names.h"

#define RULES_MAX 1024 /* rules of all files together */
#define RULES_VERDICTS_MAX 64

enum rules_type {
	RULES_ALLOW,
	RULES_DENY,
	RULES_RISK,
	RULES_FIRST_SEEN,
	RULES_THRESHOLD,
	RULES_BEACON,
	RULES_SERVER_LIST,
	RULES_TYPES
};
/* FROM_SCORE is of a rule only: of an alert it is what the record's risk score makes of it. */
enum rules_severity {
	RULES_INFO,
	RULES_LOW,
	RULES_MEDIUM,
	RULES_HIGH,
	RULES_CRITICAL,
	RULES_SEVERITIES,
	RULES_FROM_SCORE = RULES_SEVERITIES
};
enum rules_side { RULES_CLIENT = 1, RULES_SERVER = 2 }; /* a bitmap in `sides` */

/*
 * Properties of a record: what makes two alerts the same one (dedup), what is counted together (group_by), counted as different
 * (distinct), or new (key of first_seen); bits.
 */
enum {
	RULES_KEY_RULE = 1,
	RULES_KEY_SUBJECT = 2,
	RULES_KEY_PEER = 4,
	RULES_KEY_SIDE = 8,
	RULES_KEY_APP = 16,         /* full name */
	RULES_KEY_APPLICATION = 32, /* its second part */
	RULES_KEY_MASTER = 64,
	RULES_KEY_CATEGORY = 128,
	RULES_KEY_PORT = 256, /* the server's */
	RULES_KEY_CLIENT = 512,
	RULES_KEY_SERVER = 1024,
	RULES_KEY_SNI = 2048, /* server name: TLS, else HTTP, else the name asked for */
	RULES_KEY_VLAN = 4096,
	RULES_KEY_EXPORTER = 8192,
	RULES_KEY_ALL = 16383
};

/* What a rule of type threshold adds up over its window. */
enum rules_measure {
	RULES_COUNT_FLOWS,
	RULES_DISTINCT,         /* values of the property `distinct` */
	RULES_SUM_BYTES,        /* both ways */
	RULES_SUM_CLIENT_BYTES, /* sent by the client */
	RULES_SUM_SERVER_BYTES,
	RULES_SUM_PACKETS,
	RULES_SUM_CLIENT_PACKETS,
	RULES_SUM_SERVER_PACKETS,
	RULES_SUM_SCORE, /* risk scores of flows */
	RULES_MEASURES
};

struct rules_dedup {
	uint32_t keys;
	uint64_t for_ms;
};

struct rules_texts {
	char **items; /* owned */
	size_t n;
};

/* Addresses: in any of the sets that are not negated (if there are such), and in none of those that are. */
struct rules_hosts {
	bool given;
	bool positive; /* some set is not negated */
	size_t n;
	struct {
		uint32_t set; /* of the prefix map */
		bool negated;
	} * sets; /* owned */
};

struct rules_range {
	uint16_t first, last;
	bool negated;
};

struct rules_ports {
	bool given;
	bool positive;
	size_t n;
	struct rules_range *ranges; /* owned */
};

/*
 * Texts from the network, letter case free. Server names: "example.org" is that name, "*.example.org" whatever is below it too.
 * Exporters: "probe-*" is what begins so. Lists may be long: names are found by hash.
 */
struct rules_words {
	bool given;
	bool positive;
	size_t n;
	struct rules_word_item {
		char *text; /* owned, small letters */
		bool negated;
	} * items;       /* owned */
	uint32_t *slots; /* owned; item + 1, 0 free; made when all items are there */
	uint32_t mask;   /* slots - 1 */
};

struct rules_macs {
	bool given;
	bool positive;
	size_t n;
	struct {
		uint8_t mac[6];
		uint8_t octets; /* 6, or 3: the maker */
		bool negated;
	} * items; /* owned */
};

/* ">= least and <= most" */
struct rules_amount {
	bool given;
	uint64_t least, most;
};

enum rules_direction { RULES_DIRECTION_IN = 1, RULES_DIRECTION_OUT = 2, RULES_DIRECTION_INTERNAL = 4 }; /* bits */

/* Time of day in a time zone; see rules_time.h for how zones are read. */
struct rules_time {
	bool given;
	bool inverted;            /* not_between */
	uint16_t from, until;     /* minutes since midnight; from > until goes over midnight; the same: the whole day */
	uint8_t days;             /* bit 0 is Monday; of the day on which the span began */
	char *zone;               /* owned; "Europe/Rome", NULL is UTC */
	struct rules_zone *rules; /* owned; NULL is UTC */
};

/* Where a key stands, for explanations. */
struct rules_place {
	const char *file; /* owned by the set */
	int line;
};

/* Keys of `match`, by name. */
#define RULES_MATCH_KEYS(X)                                                                                            \
	X(host)                                                                                                        \
	X(client)                                                                                                      \
	X(server)                                                                                                      \
	X(peer)                                                                                                        \
	X(side)                                                                                                        \
	X(mac)                                                                                                         \
	X(app)                                                                                                         \
	X(master)                                                                                                      \
	X(category)                                                                                                    \
	X(port)                                                                                                        \
	X(l4)                                                                                                          \
	X(confidence)                                                                                                  \
	X(risk)                                                                                                        \
	X(score)                                                                                                       \
	X(sni)                                                                                                         \
	X(alpn)                                                                                                        \
	X(tls_version)                                                                                                 \
	X(vlan)                                                                                                        \
	X(exporter)                                                                                                    \
	X(bytes)                                                                                                       \
	X(packets)                                                                                                     \
	X(duration)                                                                                                    \
	X(answered)                                                                                                    \
	X(direction)                                                                                                   \
	X(time)

enum rules_match_key {
#define RULES_MATCH_KEY(name) RULES_MATCH_##name,
	RULES_MATCH_KEYS(RULES_MATCH_KEY)
#undef RULES_MATCH_KEY
		RULES_MATCH_KEY_COUNT
};

/* Keys of `match` and of an entry of `except`; a record matches if all that are given do. */
struct rules_match {
	uint32_t given;                                  /* bit per key */
	struct rules_place place[RULES_MATCH_KEY_COUNT]; /* of the keys given */
	char *asks[RULES_MATCH_KEY_COUNT]; /* owned; their values as written, for explanations; else NULL */
	struct rules_hosts host, client, server, peer;
	struct rules_macs mac; /* of the host */
	uint8_t sides;         /* enum rules_side */
	struct names_list app, master, category;
	struct rules_ports port, vlan; /* ranges of numbers */
	bool l4_given;
	uint64_t l4[4];           /* bit per IP protocol */
	uint8_t confidence;       /* names need this much, enum l7_confidence */
	bool risk_positive;       /* some risk is not negated */
	uint64_t risks, no_risks; /* nDPI's bits: one of these if risk_positive, and none of those */
	struct rules_amount score, bytes, packets, duration_ms; /* bytes, packets, duration: of the flow so far */
	struct rules_words sni, alpn, exporter;
	struct rules_amount tls_version; /* as on the wire in TLS; DTLS counts as the TLS that it is made of */
	bool answered_given, answered;
	uint8_t directions; /* enum rules_direction; 0: not given */
	struct rules_time time;
};

struct rules_exception {
	struct rules_match match;
	uint64_t until_ms; /* 0: for ever */
	struct rules_place place;
};

/* Type first_seen: how long a host is only learned. */
struct rules_learn {
	uint64_t for_ms;    /* since its first flow */
	uint64_t min_flows; /* and as many flows */
	uint64_t forget_ms; /* what was not seen for so long is new again; 0: never */
};

#define RULES_CONTACTS_MAX 64u /* that are remembered */
#define RULES_BEACON_WINDOW_MS UINT64_C(2073600000)

struct rules_beacon {
	uint64_t min_count;      /* contacts */
	uint64_t min_ms, max_ms; /* between contacts */
	uint32_t max_jitter;     /* in thousandths of the interval */
};

/* Type server_list: who may serve a protocol. */
struct rules_servers {
	struct names_pattern name;
	char *text; /* owned; the name as written */
	struct rules_hosts hosts;
};

struct rule {
	uint32_t id;
	enum rules_type type;
	enum rules_severity severity;
	bool enabled;
	struct rules_place place;
	char *name; /* owned, as all below */
	char *description;
	struct rules_texts tags;
	struct rules_texts mitre;
	struct rules_match match;
	struct rules_exception *except;
	size_t n_except;
	struct names_list allow_client, allow_server; /* type allow; not given: that side is not judged */
	uint64_t unknown_after;                       /* flows of unknown protocol that make an alert, 0: never */
	struct rules_place allow_place[2];            /* of client and server */
	uint64_t window_ms;                           /* for unknown_after, threshold, beacon */
	uint16_t score_min;                           /* type risk */
	uint32_t keys;                                /* group_by; first_seen: key; RULES_KEY_ */
	enum rules_measure measure;                   /* type threshold, as are the next two */
	uint32_t distinct;                            /* one bit of RULES_KEY_ */
	uint64_t over;                                /* more than this is an alert */
	uint32_t max_keys;                            /* groups at one time, the least recently used goes */
	struct rules_learn learn;
	struct rules_beacon beacon;
	struct rules_servers *servers;
	size_t n_servers;
	struct rules_dedup dedup;
	uint64_t release_ms; /* an alert without a flow for so long is over */
	uint64_t mute_after; /* alerts within mute_ms that make the rule mute, 0: never */
	uint64_t mute_ms;
};

/* A file of rules, files of checks that are switched on by name, and what is home unless the file says it. */
struct rules_sources {
	const char *file;                           /* or NULL */
	const char *folder;                         /* of checks; "NAME.yaml" each */
	const struct conf_list *checks, *home_nets; /* or NULL */
};

struct rule_set;

/* Gets each warning, "file:line:column: ...". */
struct rules_warnings {
	void (*warn)(void *arg, const char *sentence);
	void *arg;
};

/* Returns 0 with a set, or a negative errno with "file:line:column: what is wrong". */
int rules_load(struct rule_set **out, const struct rules_sources *sources, struct rules_warnings warnings, char *err,
	       size_t err_size);
/* One file from memory; files that it names are looked for beside `name`. */
int rules_parse(struct rule_set **out, const char *name, const char *text, size_t len, struct rules_warnings warnings,
		char *err, size_t err_size);
void rules_free(struct rule_set *set);
size_t rules_count(const struct rule_set *set);
const struct rule *rules_at(const struct rule_set *set, size_t i);
const struct rule *rules_find(const struct rule_set *set, uint32_t id); /* or NULL */
/* Newest change (mtime, ms) of a file that the set was made from, lists' files among them. */
uint64_t rules_changed_ms(const struct rule_set *set);
/* True if a list's file is not as it was when the set was made. Files of rules are not looked at: editors save half-finished ones. */
bool rules_outdated(const struct rule_set *set);
bool rules_has_home(const struct rule_set *set); /* home networks are known */
bool rules_is_home(const struct rule_set *set, const uint8_t ip[16]);
const char *rules_severity_name(enum rules_severity severity);
const char *rules_type_name(enum rules_type type);
/* What a rule says of a record: its own severity, or what the risk score makes of it. */
enum rules_severity rules_severity_of(const struct rule *rule, const struct l7_record *r);

/*
 * A record and its flow so far; state/flows.c makes it. [0] is from the client, [1] from the server. Of a sampled exporter the numbers
 * are multiplied already.
 */
struct rules_input {
	const struct l7_record *record; /* client first; ip_version is 4 or 6 */
	uint64_t now_ms;                /* record's time, for `until` and `time` */
	uint64_t arrived_ms;            /* when it came to those who kept it for us; 0: it comes now */
	bool answered;                  /* the responder sent something, in this record of the flow or an earlier one */
	bool known;                     /* the flow had a record before this one */
	bool twin;                      /* another exporter counts this flow: this record adds nothing to sums */
	uint64_t start_ms;              /* of the flow */
	uint64_t octets[2], packets[2]; /* of the flow so far, this record included */
	uint64_t new_octets[2], new_packets[2]; /* what this record adds */
	uint32_t sampling;                      /* one packet of this many is seen */
	bool looked;                            /* rules_look() has set the next two */
	uint32_t classes[2];                    /* of the addresses */
};

enum rules_kind {
	RULES_DENIED,       /* a deny rule matches */
	RULES_NOT_ALLOWED,  /* an allow rule does not have it */
	RULES_UNKNOWN_FLOW, /* an allow rule counts it: nobody knows what it is, and the flow is over */
	RULES_RISKY,        /* a risk rule: the score is reached */
	RULES_WRONG_SERVER, /* a server_list rule does not have the server */
	RULES_CANDIDATE,    /* first_seen, threshold, beacon: the rule counts it */
};

/* Looks the addresses up, once for all questions about them with this set. */
void rules_look(const struct rule_set *set, struct rules_input *in);
/* True if the host of that side is ours, of an input that was looked up. */
bool rules_home_side(const struct rule_set *set, const struct rules_input *in, enum rules_side side);

struct rules_verdict {
	const struct rule *rule;
	enum rules_kind kind;
	enum rules_side side; /* of the rule's host */
	bool master_only;     /* what it carries is not known well enough to count */
};

/* Verdicts of all rules on a record, at most `room`; returns their number. */
size_t rules_match(const struct rule_set *set, const struct rules_input *in, struct rules_verdict *out, size_t room);

/*
 * Why a rule fires on a record or does not: a line per condition, with its place, what it asks for, what the record has, and
 * yes or NO; all conditions, also after the first that fails. Returns true if the rule picks the record.
 */
bool rules_explain(const struct rule_set *set, const struct rule *rule, const struct rules_input *in, struct buf *out);

/* The properties `keys` (RULES_KEY_) of a record as octets, the same in every process. */
void rules_key_octets(struct buf *out, uint32_t keys, const struct rules_verdict *v, const struct l7_record *r);

#endif
