/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of detect/ share. */
#ifndef WATCH_DETECT_INTERNAL_H
#define WATCH_DETECT_INTERNAL_H

#include "base/wire.h"
#include "detect/detect.h"
#include "detect/detect_table.h"

#define DETECT_MEMORY_MAX ((size_t)512 << 20) /* groups of all rules together */
#define DETECT_KEY_MAX 4096u                  /* octets that a key is made of */
#define DETECT_DROPS_MAX 65536u               /* groups that the store has still to forget */
#define DETECT_FLOWS_MAX 65536u               /* flows of a rule that adds up scores */
#define DETECT_LATE_MS UINT64_C(600000)       /* older by more than this (and the window): the clock was set back */
#define DETECT_TIME_MAX (UINT64_C(1) << 48)   /* ms; what is saved is not of the year 10889 */

/* What a key is of: part of it. */
enum detect_what { DETECT_GROUP, DETECT_HOST, DETECT_FLOW };

struct detect_type;

struct detect_rule {
	struct detect *of;
	const struct detect_type *type;
	const struct rule *rule;
	uint32_t id;
	uint32_t fingerprint; /* of what must be the same for its groups to stay */
	bool gone;            /* its groups are not forgotten one by one */
	bool recheck;         /* the store may have groups that are not here */
	struct detect_table groups;
	struct detect_table hosts; /* first_seen: learners; threshold of scores: flows; else not used */
};

struct detect_drop {
	struct lru_key key;
	uint32_t rule; /* id */
};

struct detect {
	struct detect_rule **rules; /* owned, by the rule's place in the set; NULL for what does not count */
	size_t n;
	const struct rule *first; /* of the set */
	struct detect_memory memory;
	struct buf octets; /* of a key */
	struct buf value;  /* to be saved */
	uint64_t secret[2];
	uint64_t random;
	struct detect_drop *drops; /* owned; a ring */
	uint32_t drops_at, n_drops;
	size_t save_next;   /* rule whose turn it is */
	bool rules_changed; /* the store may have groups of rules that are gone */
	struct detect_counters counters;
};

/* ---- detect.c ---- */

/* False, and counted: there is no memory. */
bool detect_key(struct detect *d, const struct detect_rule *r, enum detect_what what, uint32_t keys,
		const struct rules_verdict *v, const struct l7_record *record, struct lru_key *out);
/* A number that nobody outside knows. */
uint64_t detect_random(struct detect *d);

enum detect_when { DETECT_NOW, DETECT_TOO_OLD, DETECT_SET_BACK };

/*
 * Moves a group's clock, which does not go back: records of several exporters are not in order. SET_BACK: the clock itself
 * was; what was counted is of no use. Either is counted.
 */
static inline enum detect_when detect_clock(struct detect *d, uint64_t *last_ms, uint64_t now_ms, uint64_t window_ms)
{
	uint64_t back = now_ms < *last_ms ? *last_ms - now_ms : 0;

	if (back && back >= window_ms && back <= DETECT_LATE_MS) {
		d->counters.too_old++;
		return DETECT_TOO_OLD;
	}
	if (back && back < window_ms)
		return DETECT_NOW;
	*last_ms = now_ms;
	if (!back)
		return DETECT_NOW;
	d->counters.set_back++;
	return DETECT_SET_BACK;
}

/* ---- one file per type ---- */

/*
 * What a type of rule does. `save` appends a group's value to d->value; `load` takes it back and returns false for what it cannot
 * have written, the group then goes; `drop` frees what a group owns.
 */
struct detect_type {
	size_t group_size, host_size; /* 0: no hosts */
	uint32_t hosts_max;           /* 0: as many as groups */
	bool hosts_saved;
	bool (*take)(struct detect *d, struct detect_rule *r, const struct rules_verdict *v,
		     const struct rules_input *in, struct detect_finding *out);
	void (*save)(struct detect *d, const struct detect_rule *r, enum detect_what what, void *value);
	bool (*load)(struct detect *d, struct detect_rule *r, enum detect_what what, void *value, struct wire *w);
	void (*drop)(struct detect *d, void *group);
};

extern const struct detect_type detect_sum, detect_distinct, detect_beacon, detect_first_seen;

/* ---- detect_store.c ---- */

/* The group is no more; if the store has it, it is to forget it. */
void detect_forget(struct detect_rule *r, const struct detect_group *g);

/* Numbers in network order, `octets` of them. */
static inline void detect_put(struct buf *b, uint64_t v, unsigned octets)
{
	while (octets--)
		buf_char(b, (char)(v >> 8 * octets));
}

#endif
