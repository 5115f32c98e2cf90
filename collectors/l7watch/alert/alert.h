/* SPDX-License-Identifier: Apache-2.0 */
/* From a verdict to an alert: told once per dedup key, with its reason in words, to every output. */
#ifndef WATCH_ALERT_H
#define WATCH_ALERT_H

#include <stdint.h>

#include "alert/alert_output.h"
#include "base/buf.h"
#include "rules/rules.h"
#include "state/lru.h"

#define ALERT_KEYS_MAX 100000u
#define ALERT_JSON_MAX 65536u

struct alerts {
	struct lru raised;             /* dedup keys */
	struct lru unknown;            /* counts of flows of unknown protocol, by rule, host and side */
	struct buf line;               /* the alert being written */
	struct buf key;                /* and its dedup key */
	struct alert_outputs *outputs; /* not owned */
	uint64_t n_raised;
	uint64_t n_suppressed; /* flows that would have raised an alert again */
	uint64_t seed;         /* of keys that are not told to anybody */
};

/* Returns 0 or -ENOMEM. outputs is kept. */
int alerts_init(struct alerts *a, struct alert_outputs *outputs);
void alerts_deinit(struct alerts *a);

/* Takes a verdict on a record. now_ms is the record's time, by which repeated alerts are told apart. */
void alerts_take(struct alerts *a, const struct rules_verdict *v, const struct l7_record *r, uint64_t now_ms);

/*
 * Appends the reason as a sentence: who, what, to whom, how sure, and what the rule says. `flows` is the number of
 * unknown flows where that is the reason.
 */
void alert_reason(struct buf *out, const struct rules_verdict *v, const struct l7_record *r, uint64_t flows);

/* What counts as an alert's application: "TLS.Telegram", or "TLS" where only that is known. */
struct l7_text alert_app(const struct rules_verdict *v, const struct l7_record *r);

#endif
