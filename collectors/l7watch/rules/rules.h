/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What hosts may speak: rules from a YAML file (docs/rules.md), made into one immutable set, and the question which of
 * them a record breaks, whose answer depends on nothing but record and set.
 */
#ifndef WATCH_RULES_H
#define WATCH_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "l7/record.h"
#include "rules/names.h"

#define RULES_MAX 1024 /* rules of a file */
#define RULES_VERDICTS_MAX 64

enum rules_type { RULES_ALLOW, RULES_DENY };
enum rules_severity { RULES_INFO, RULES_LOW, RULES_MEDIUM, RULES_HIGH, RULES_CRITICAL, RULES_SEVERITIES };
enum rules_side { RULES_CLIENT = 1, RULES_SERVER = 2 }; /* a bitmap in `sides` */

/* What makes two alerts the same one; bits. */
enum {
	RULES_KEY_RULE = 1,
	RULES_KEY_SUBJECT = 2,
	RULES_KEY_PEER = 4,
	RULES_KEY_SIDE = 8,
	RULES_KEY_APP = 16,         /* full name */
	RULES_KEY_APPLICATION = 32, /* its second part */
	RULES_KEY_MASTER = 64,
	RULES_KEY_CATEGORY = 128,
	RULES_KEY_PORT = 256,
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

/* Keys of `match` and of an entry of `except`; a record matches if all that are given do. */
struct rules_match {
	struct rules_hosts host, client, server, peer;
	uint8_t sides; /* enum rules_side */
	struct rules_names app, master, category;
	struct rules_ports port;
	bool l4_given;
	uint64_t l4[4];     /* bit per IP protocol */
	uint8_t confidence; /* names need this much, enum l7_confidence */
};

struct rules_exception {
	struct rules_match match;
	uint64_t until_ms; /* 0: for ever */
};

struct rule {
	uint32_t id;
	enum rules_type type;
	enum rules_severity severity;
	bool enabled;
	char *name; /* owned, as all below */
	char *description;
	struct rules_texts tags;
	struct rules_texts mitre;
	struct rules_match match;
	struct rules_exception *except;
	size_t n_except;
	struct rules_names allow_client, allow_server; /* type allow; not given: that side is not judged */
	uint64_t unknown_after;                        /* flows of unknown protocol that make an alert, 0: never */
	uint64_t window_ms;                            /* for unknown_after */
	struct rules_dedup dedup;
};

struct rule_set;

/* Gets each warning, "file:line:column: ...". */
struct rules_warnings {
	void (*warn)(void *arg, const char *sentence);
	void *arg;
};

/* Returns 0 with a set, or a negative errno with "file:line:column: what is wrong". */
int rules_load(struct rule_set **out, const char *path, struct rules_warnings warnings, char *err, size_t err_size);
/* The same from memory; files that it names are looked for beside `name`. */
int rules_parse(struct rule_set **out, const char *name, const char *text, size_t len, struct rules_warnings warnings,
		char *err, size_t err_size);
void rules_free(struct rule_set *set);
size_t rules_count(const struct rule_set *set);
const char *rules_severity_name(enum rules_severity severity);

struct rules_input {
	const struct l7_record *record; /* ip_version is 4 or 6 */
	uint64_t now_ms;                /* record's time, for `until` */
	bool answered;                  /* the responder sent something, in this record of the flow or an earlier one */
};

enum rules_kind {
	RULES_DENIED,       /* a deny rule matches */
	RULES_NOT_ALLOWED,  /* an allow rule does not have it */
	RULES_UNKNOWN_FLOW, /* an allow rule counts it: nobody knows what it is, and the flow is over */
};

struct rules_verdict {
	const struct rule *rule;
	enum rules_kind kind;
	enum rules_side side; /* of the rule's host */
	bool master_only;     /* what it carries is not known well enough to count */
};

/* Verdicts of all rules on a record, at most `room`; returns their number. */
size_t rules_match(const struct rule_set *set, const struct rules_input *in, struct rules_verdict *out, size_t room);

#endif
