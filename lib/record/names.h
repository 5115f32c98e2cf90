/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of protocols in rules and filters, and in records. A record's names become numbers once; what is asked of them compares
 * numbers.
 *
 *   TLS           the application is TLS: bare TLS
 *   TLS.*         TLS, whatever it carries
 *   Telegram      the application is Telegram, whatever carries it
 *   TLS.Telegram  both
 *   category:Chat
 *
 * For name services (DNS, mDNS, LLMNR, NetBIOS) the application is only the name asked for: DNS means DNS.*, and neither Telegram
 * nor a category matches DNS.Telegram.
 */
#ifndef L7_RECORD_NAMES_H
#define L7_RECORD_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "l7/record.h"

#define NAMES_TEXT_MAX 64              /* octets of a name */
#define NAMES_CONFIDENCE L7_CONF_CACHE /* that a name needs to be believed, unless who asks says otherwise */

/* Numbers of names. Letter case does not matter. */
enum {
	NAME_OTHER = 0, /* asked for by nobody */
	NAME_UNKNOWN,
	NAME_DNS,
	NAME_MDNS,
	NAME_LLMNR,
	NAME_NETBIOS,
	NAME_FIXED
};

struct names_table {
	uint32_t n;                    /* names, the fixed ones included */
	uint32_t mask;                 /* slots - 1 */
	uint32_t *slots;               /* owned; number of a name, 0 free */
	char (*texts)[NAMES_TEXT_MAX]; /* owned, by number; small letters, terminated */
};

int names_table_init(struct names_table *t);
void names_table_deinit(struct names_table *t);
/* The number of a name, which is added if it is new. Negative errno: no memory, or -E2BIG for a name that is too long. */
int64_t names_table_add(struct names_table *t, const char *text, size_t len);
/* The number of a name, NAME_OTHER if it was not added. */
uint32_t names_table_find(const struct names_table *t, const char *text, size_t len);

enum names_pattern_kind { PATTERN_APP, PATTERN_MASTER, PATTERN_BOTH, PATTERN_CATEGORY };

/* A name as it is written, in its parts. */
struct names_written {
	uint8_t kind; /* enum names_pattern_kind */
	char master[NAMES_TEXT_MAX];
	const char *app; /* in the text; the category of PATTERN_CATEGORY; that of PATTERN_MASTER means nothing */
};

/* Returns 0, or -EINVAL for what is not such as the above. Whether the parts are names of anything is not asked. */
int names_read(struct names_written *w, const char *text);

struct names_pattern {
	uint8_t kind;
	bool negated;
	uint32_t master; /* PATTERN_MASTER, PATTERN_BOTH */
	uint32_t app;    /* the others; a category for PATTERN_CATEGORY */
};

struct names_list {
	bool given;
	bool positive; /* some pattern is not negated */
	size_t n;
	struct names_pattern *patterns; /* owned */
	char **texts;                   /* owned; as written, n */
};

/* What a record is called. */
struct names_record {
	uint32_t master, app, category;
	bool dotted;  /* two names */
	bool service; /* the master is a name service */
	uint8_t master_confidence, confidence;
};

void names_of_record(const struct names_table *t, const struct l7_record *r, struct names_record *out);

/* The same where master, app and category are set already, app and master the same if there is one name only. */
void names_of_numbers(const struct l7_record *r, struct names_record *out);

/* The same with the names that are known less well than `least` (enum l7_confidence) unknown. */
struct names_record names_trusted(const struct names_record *n, uint8_t least);

/* True if it is not known what the flow is, or not what it carries. */
static inline bool names_unknown(const struct names_record *n)
{
	return n->app == NAME_UNKNOWN;
}

/* Not of a name that was only asked for. */
static inline bool names_categorized(const struct names_record *n)
{
	return !(n->service && n->dotted);
}

/* What the key category looks at. */
static inline uint32_t names_category(const struct names_record *n)
{
	return names_categorized(n) ? n->category : NAME_UNKNOWN;
}

bool names_pattern_matches(const struct names_pattern *p, const struct names_record *n);

/*
 * Some pattern that is not negated matches what is trusted (or there is none such), and none that is negated matches what is
 * trusted or only guessed. What is unknown is matched by nothing but Unknown, or by what is known of its master.
 */
bool names_match(const struct names_list *list, const struct names_record *trusted, const struct names_record *guess);

/* For the keys master and category, whose patterns are all PATTERN_APP. */
bool names_match_one(const struct names_list *list, uint32_t trusted, uint32_t guess);

/*
 * A list by the numbers of names: says what names_match() and names_match_one() say in a few loads, however long it is. Takes an octet
 * for each name of the table.
 */
struct names_set {
	bool positive;
	uint32_t n; /* names */
	size_t n_pairs;
	uint8_t *flags;              /* owned; by number of a name */
	struct names_pattern *pairs; /* owned; those of PATTERN_BOTH, looked at only for a master that is in one */
};

/* names: how many the table has. Returns 0 or -ENOMEM; names_set_deinit() after success. */
int names_set_init(struct names_set *s, const struct names_list *list, uint32_t names);
void names_set_deinit(struct names_set *s);
bool names_set_match(const struct names_set *s, const struct names_record *trusted, const struct names_record *guess);
bool names_set_match_one(const struct names_set *s, uint32_t trusted, uint32_t guess);

enum names_answer { NAMES_ALLOWED, NAMES_FORBIDDEN, NAMES_MASTER_FORBIDDEN, NAMES_NOT_KNOWN };

/*
 * What a list of allowed names says. A guess counts for the host: what would be allowed if the guess were right is. Of a
 * flow whose master is known and whose application is not, only a master that the list never names is forbidden.
 */
enum names_answer names_allow(const struct names_list *list, const struct names_record *trusted,
			      const struct names_record *guess);

#endif
