/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of an alert: engaged by the first verdict of its dedup key, updated while it goes on, released when it is over. Each of
 * these is one JSON object, told to every output, with the reason in words.
 *
 * Whatever is told is in the store first: alerts_take() and its like put an alert and its line there, alerts_settle() commits, writes,
 * and only then forgets the line. So a kill loses no engaged alert; what was committed and perhaps not written is told at the next
 * start, but not to a file that has it.
 *
 * Kept but not told are alerts that a silence covers, and those of a rule that is muted because it raised too many. Of an alert that
 * was told its release always is, too.
 */
#ifndef WATCH_ALERT_H
#define WATCH_ALERT_H

#include <stdbool.h>
#include <stdint.h>

#include "alert/alert_output.h"
#include "base/addr.h"
#include "base/buf.h"
#include "detect/detect.h"
#include "rules/rules.h"
#include "state/exporters.h"
#include "state/lru.h"
#include "state/store.h"

#define ALERT_KEYS_MAX 100000u /* engaged at one time; the one without a flow for longest is released for a new one */
#define ALERT_FLOWS_MAX 65536u /* flows that are remembered as counted */
#define ALERT_JSON_MAX 98304u  /* the record that it is about in it */
#define ALERT_APP_MAX 128
#define ALERT_SILENCES_MAX 1000u
#define ALERT_SAVE_MAX 256u /* alerts whose counts go to the store in one tick */

enum alert_kind {
	ALERT_OF_RULE,
	ALERT_MUTED,   /* a rule raised too many */
	ALERT_BUILTIN, /* rule id 0 */
};

/* An engaged alert. */
struct alert {
	struct lru_key key; /* of rule and dedup key; the same in every process */
	char uid[STORE_UID_MAX];
	uint32_t rule; /* id */
	uint8_t kind;
	uint8_t severity;
	bool told;                  /* as engaged */
	bool kept_back;             /* not told because the rule was muted */
	bool unconfirmed;           /* built-in: of the run before, and not heard of since */
	uint64_t silence;           /* id of the silence that covers it, 0: none */
	uint64_t first_ms, seen_ms; /* as told: start of its first flow, end of its last record */
	uint64_t engaged_ms, last_ms, told_ms;
	uint64_t count;              /* flows */
	uint64_t suppressed;         /* of these, since it was last told */
	uint64_t flow_id;            /* of the last one */
	uint64_t release_ms, for_ms; /* of its rule */
	bool has_subject;
	uint8_t subject[16];
	char app[ALERT_APP_MAX];
	/* alert_table.c */
	uint64_t due_ms;                 /* it is looked at then, not before */
	uint32_t heap;                   /* its place there */
	uint32_t chain;                  /* next of the slot + 1, or the next free one */
	uint32_t newer, older;           /* by use */
	uint32_t next_dirty, prev_dirty; /* + 1 */
	bool used, dirty;
};

struct alert_table {
	uint32_t n, top; /* in use; ever used */
	uint32_t mask, free, newest, oldest;
	uint32_t first_dirty, last_dirty; /* + 1; counts that the store does not have yet */
	uint32_t *slots;                  /* owned, as all here */
	uint32_t *heap;                   /* by due_ms, the least first; n */
	struct alert *list;
	uint64_t seed; /* of slots: nobody shall know them */
};

/* A rule as alerts see it. */
struct alert_rule {
	uint32_t id;
	const struct rule *rule; /* of the set */
	bool muted;
	uint64_t since_ms;  /* window in which engagements are counted */
	uint64_t engaged;   /* in this window */
	uint64_t kept_back; /* alerts, since it is muted */
};

struct alert_silence {
	uint64_t id, until_ms;
	uint32_t rule;
	bool has_host;
	struct addr_prefix host;
	char app[ALERT_APP_MAX]; /* "": any */
};

struct alerts {
	struct alert_table table;
	struct lru unknown;       /* counts of flows of unknown protocol, by rule, host and side */
	struct lru flows;         /* flows that have been counted, by alert and flow */
	struct alert_rule *rules; /* owned, by id */
	size_t n_rules;
	struct alert_silence *silences; /* owned */
	size_t n_silences, n_silences_left_out;
	uint64_t silence_next_ms;   /* when one ends */
	const struct rule_set *set; /* not owned, as the next two */
	struct alert_outputs *outputs;
	struct store *store;
	struct buf line, tail, key; /* the alert being written, what is kept of its last line, its dedup key */
	struct buf gathered;        /* lines since the last settle */
	uint64_t outbox;            /* number of the last one in the store */
	uint64_t taken;             /* number of the last one that is taken by all outputs, as are those before */
	uint64_t mark; /* number of the last one that was written when outputs were marked; `taken`: they are not */
	uint64_t outbox_octets; /* that wait there for an output */
	uint64_t mark_octets;   /* of these, up to the mark */
	bool unsettled;
	uint64_t now_ms;    /* of the last tick */
	uint64_t loaded_ms; /* of the first one */
	uint64_t n_raised;  /* told as engaged */
	uint64_t n_updated, n_released;
	uint64_t n_suppressed; /* flows of an engaged alert that were not told one by one */
	uint64_t n_silenced;   /* alerts not told because of a silence */
	uint64_t n_kept_back;  /* or because the rule was muted */
	uint64_t n_mutes;
	uint64_t n_evicted; /* released to make room */
	uint64_t n_lost;    /* that could not be put into words */
	uint64_t n_short;   /* told without all there was to say, for want of memory */
};

/* Outputs and store are kept, and closed by the caller, after alerts_deinit(). Returns 0 or -ENOMEM. */
int alerts_init(struct alerts *a, struct alert_outputs *outputs, struct store *store);
/* Puts the counts that have changed into the store (store_close() commits them). Settle before. */
void alerts_deinit(struct alerts *a);

/*
 * To be called once, before the first record: takes engaged alerts and silences back from the store, and tells what its outbox
 * has, as far as an output does not have it. Alerts of rules that are not in the set are released. Returns 0 or -ENOMEM. The set is
 * kept until alerts_use_rules().
 */
int alerts_load(struct alerts *a, const struct rule_set *set);
/* Other rules, found by id. Alerts of rules that are gone or disabled are released. */
void alerts_use_rules(struct alerts *a, const struct rule_set *set);
/* Reads silences again from the store. An engaged alert that none covers any longer is told. */
void alerts_silences_changed(struct alerts *a);

/* Takes a verdict on a record; finding is NULL for rules that do not count. */
void alerts_take(struct alerts *a, const struct rules_verdict *v, const struct rules_input *in,
		 const struct detect_finding *finding);
/* A built-in alert begins (on) or ends. What is on already, or off, is no news. */
void alerts_health(struct alerts *a, enum exporters_health what, const char *exporter, bool on, const char *sentence,
		   uint64_t now_ms);
/* Releases what is over, ends mutes and silences. About once in a second; the time of records in a replay. */
void alerts_tick(struct alerts *a, uint64_t now_ms);
/* Commits, writes the lines gathered since the last time, and drops them from the outbox. Nothing to do costs nothing. */
void alerts_settle(struct alerts *a);

/* The number of the last line told, and whether all outputs have taken those up to a number. */
uint64_t alerts_number(const struct alerts *a);
bool alerts_taken(const struct alerts *a, uint64_t number);

/* Engaged alerts, told or not, in no order. */
void alerts_each(const struct alerts *a, void (*each)(void *arg, const struct alert *al), void *arg);
/* The one whose uid begins so; NULL if there is none or more than one, *n says how many. */
const struct alert *alerts_find(const struct alerts *a, const char *uid, size_t *n);
uint32_t alerts_engaged(const struct alerts *a);
bool alerts_muted(const struct alerts *a, uint32_t rule);

/* ---- words ---- */

/* A verdict with all there is to say of it. */
struct alert_facts {
	const struct rules_verdict *v;
	const struct rules_input *in;
	const struct detect_finding *finding; /* or NULL */
	uint64_t flows;                       /* of unknown protocol, where that is the reason */
};

/* Appends the reason as a sentence: who, what, to whom, how sure, and what the rule says. */
void alert_reason(struct buf *out, const struct alert_facts *f);

/*
 * Appends a JSON object that says what would allow it: an entry of the rule's `except` as YAML, and for some types the item to
 * add to a list or the number to raise. Returns false, and appends nothing, where a name is not fit for a rule.
 */
bool alert_allow(struct buf *out, const struct alert_facts *f);

/* What counts as an alert's application: "TLS.Telegram", or "TLS" where only that is known. */
struct l7_text alert_app(const struct rules_verdict *v, const struct l7_record *r);

#endif
