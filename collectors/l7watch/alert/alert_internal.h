/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the life cycle share. */
#ifndef WATCH_ALERT_INTERNAL_H
#define WATCH_ALERT_INTERNAL_H

#include "alert/alert.h"

#define ALERT_NEVER UINT64_MAX

/* ---- alert_table.c ---- */

int alert_table_init(struct alert_table *t);
void alert_table_deinit(struct alert_table *t);
struct alert *alert_table_find(struct alert_table *t, struct lru_key key);
/* The key is not there, and the table is not full. The alert is zeroed but for its key, and due never. */
struct alert *alert_table_add(struct alert_table *t, struct lru_key key);
void alert_table_drop(struct alert_table *t, struct alert *al);
void alert_table_touch(struct alert_table *t, struct alert *al);
/* The least recently touched alert of a rule, NULL if there is none. */
struct alert *alert_table_oldest(struct alert_table *t);
void alert_table_due(struct alert_table *t, struct alert *al, uint64_t due_ms);
/* The alert that is due first, NULL if there is none. */
struct alert *alert_table_next(struct alert_table *t);
/* The store is to get its counts. */
void alert_table_soil(struct alert_table *t, struct alert *al);
struct alert *alert_table_dirty(struct alert_table *t); /* the first of them, clean now; NULL */

/* ---- alert_json.c ---- */

enum alert_state { ALERT_ENGAGED, ALERT_UPDATED, ALERT_RELEASED };

/* What begins the object and differs from one telling to the next; what follows begins with `,"rule":`. */
void alert_json_head(struct buf *out, const struct alert *al, enum alert_state state, const char *release_reason);
/* The rest, with the newline. */
void alert_json_body(struct buf *out, const struct alert *al, const struct alert_facts *f);
/* The same of alerts that are not of a record. hosts 0: not said. */
void alert_json_muted(struct buf *out, const struct alert *al, const struct rule *rule, const char *sentence,
		      uint64_t hosts, uint64_t kept_back);
void alert_json_builtin(struct buf *out, const struct alert *al, const char *name, const char *exporter,
			const char *sentence);
/* The rest where nothing else is known any more. */
void alert_json_little(struct buf *out, const struct alert *al);
/* Where the rest of a line begins; NULL if it is none of ours. */
const char *alert_json_rest(const char *line, size_t len);
/* The time of first_seen in a line, 0 if there is none. */
uint64_t alert_json_first_seen(const char *line, size_t len);

/* ---- alert_words.c ---- */

/* A text of the network, cut, without what a terminal would obey; "Unknown" if it is empty. */
void words_text(struct buf *out, const char *text, size_t len);
void words_record(struct buf *out, const struct l7_record *r, struct l7_text t);
void words_address(struct buf *out, const uint8_t ip[16], uint16_t port); /* port 0: none */
void words_number(struct buf *out, uint64_t n);                           /* "4,311" */
void words_octets(struct buf *out, uint64_t n);                           /* "2.3 GiB" */
void words_span(struct buf *out, uint64_t ms);                            /* as a rule has it: "10 min" */
void words_about(struct buf *out, uint64_t ms);                           /* to the nearest: "25 min" */

/* Of a verdict. */
static inline const uint8_t *alert_subject(const struct rules_verdict *v, const struct l7_record *r)
{
	return v->side == RULES_CLIENT ? r->src_ip : r->dst_ip;
}

static inline const uint8_t *alert_peer(const struct rules_verdict *v, const struct l7_record *r)
{
	return v->side == RULES_CLIENT ? r->dst_ip : r->src_ip;
}

/* ---- alert_silence.c ---- */

void alert_silences_load(struct alerts *a);
/* Looks at all alerts anew: tells those that no silence covers any longer. */
void alert_silences_review(struct alerts *a);
/* Id of a silence that covers the alert now, 0: none. */
uint64_t alert_silence_of(const struct alerts *a, const struct alert *al);
/* True if an application's name is what a rule would call so; both terminated. */
bool alert_app_matches(const char *pattern, const char *app);

/* ---- alert_rules.c ---- */

/* Takes the rules of the set, with what is known of those that stay. Returns 0, or -ENOMEM: new rules are then not muted. */
int alert_rules_use(struct alerts *a, const struct rule_set *set);
struct alert_rule *alert_rules_find(const struct alerts *a, uint32_t id); /* or NULL */
/* Counts an engagement that is to be told; true if its rule is muted by it, or was. */
bool alert_rules_mute(struct alerts *a, const struct alert *al, uint64_t now_ms);
/* Ends mutes. */
void alert_rules_tick(struct alerts *a);
/* A mute that was in force when the store was last written. */
void alert_rules_resume(struct alerts *a, const struct alert *al);
struct lru_key alert_rules_mute_key(uint32_t rule);

/* ---- alert_tell.c ---- */

/* Tells an alert in a->line, which is in the store before; a released one is gone after. */
void alert_tell(struct alerts *a, struct alert *al, enum alert_state state);
/* Puts an engaged alert into the store with a->line, which is not told. */
void alert_keep(struct alerts *a, struct alert *al);
/* Ends an alert; that is told if the alert was. */
void alert_release(struct alerts *a, struct alert *al, const char *reason);
/* Tells an engaged alert that was not told, unless its rule is muted. */
void alert_tell_late(struct alerts *a, struct alert *al);
/* Puts the counts of at most `room` alerts into the store. */
void alert_save(struct alerts *a, size_t room);

/* ---- alert.c ---- */

/* Makes an alert; the least recently used goes if there is no room. */
struct alert *alert_engage(struct alerts *a, struct lru_key key, uint64_t now_ms);
/* Hash of octets and time, as 32 digits. */
void alert_uid(char out[STORE_UID_MAX], struct buf *key, uint64_t epoch);
/* Takes what a new set of rules says of an alert; false if the rule is gone. */
bool alert_use_rule(struct alerts *a, struct alert *al);

/* ---- alert_unknown.c ---- */

int alert_unknown_init(struct alerts *a);
/* Takes back what the store has of the rules of a set. */
void alert_unknown_load(struct alerts *a, const struct rule_set *set);
/* Counts a flow of unknown protocol; returns how many there were within the rule's window. */
uint64_t alert_unknown_count(struct alerts *a, const struct alert_facts *f);

#endif
