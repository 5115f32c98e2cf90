/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What outlives the process, in SQLite (WAL): alerts, what has still to be told of them, what rules have counted, which protocols
 * hosts spoke, how far topics are read, who was heard, silences. One connection, held exclusively, by the daemon alone: others ask it (control/). Writes gather in one transaction until
 * store_commit(): a kill loses what came after the last one, and nothing else. A store without a path is in memory.
 *
 * A write that fails (disk full) is said once, counted, and the store goes on; what was written in that transaction is then lost, and
 * what is written after it until store_commit(), which returns the error.
 *
 * A function that is called back may write to the store, but not call what calls it.
 */
#ifndef WATCH_STORE_H
#define WATCH_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "state/lru.h"

#define STORE_UID_MAX 33 /* 32 hexadecimal digits and a NUL */
#define STORE_SILENCES_MAX 1000u

struct store;

/*
 * Returns 0, or a negative errno with a sentence: -EBUSY if another l7watch has it open. A file that is no sound database is moved to
 * PATH.bad and begun anew, which is logged. A newer schema is an error.
 */
int store_open(struct store **out, const char *path, char *err, size_t err_size);
void store_close(struct store *s); /* commits */
/* Returns 0 or a negative errno. Nothing written: returns 0 at once. */
int store_commit(struct store *s);
uint64_t store_failures(const struct store *s);
/* Octets of the database and its log on disk. */
uint64_t store_size(const struct store *s);

/* ---- alerts ---- */

/* Text members are the caller's on the way in, and valid during the callback on the way out. */
struct store_alert {
	struct lru_key key; /* of its dedup key */
	char uid[STORE_UID_MAX];
	uint32_t rule; /* id */
	uint8_t severity;
	uint64_t engaged_ms, last_ms, told_ms; /* records' time */
	uint64_t count, suppressed;
	uint64_t flow_id;    /* of the last one */
	const char *subject; /* address of the host as text */
	const char *app;
	const char *line; /* the JSON object last told, with its newline */
	size_t line_len;
};

/* Makes or replaces the alert of a key. */
void store_alert_put(struct store *s, const struct store_alert *a);
void store_alert_drop(struct store *s, struct lru_key key);
void store_alerts(struct store *s, void (*each)(void *arg, const struct store_alert *a), void *arg);
/* Alert by uid; true if there is one. */
bool store_alert_find(struct store *s, const char *uid, void (*each)(void *arg, const struct store_alert *a),
		      void *arg);

/* Lines that are to be told and may not have been: put there in the transaction that makes the alert, dropped when every output has them. */
uint64_t store_outbox_put(struct store *s, const char *line,
			  size_t len); /* returns its number, in growing order; 0: it failed */
void store_outbox_drop(struct store *s, uint64_t up_to);
void store_outbox(struct store *s, void (*each)(void *arg, uint64_t number, const char *line, size_t len), void *arg);

/* ---- what rules have counted ---- */

/* Value of a group of a rule, any octets. len 0: drops it. */
void store_count_put(struct store *s, uint32_t rule, struct lru_key key, const void *value, size_t len);
/* All groups of a rule, the least recently put first. */
void store_counts(struct store *s, uint32_t rule,
		  void (*each)(void *arg, struct lru_key key, const void *value, size_t len), void *arg);
/* Drops the groups of rules that are not among ids. */
void store_counts_keep(struct store *s, const uint32_t *ids, size_t n);

/* ---- what hosts spoke ---- */

struct store_usage {
	uint8_t ip[16];
	uint8_t side;    /* enum rules_side */
	const char *app; /* full name */
	uint64_t first_ms, last_ms;
	uint64_t flows, octets; /* octets both ways */
};

/* Adds flows and octets, and widens first and last. */
void store_usage_add(struct store *s, const struct store_usage *u);
void store_usages(struct store *s, void (*each)(void *arg, const struct store_usage *u),
		  void *arg); /* by host, side, app */
uint64_t store_usage_rows(const struct store *s);
/* Drops the rows seen last before that, and of more than `max` rows those seen least recently; returns how many. */
uint64_t store_usage_trim(struct store *s, uint64_t before_ms, uint64_t max);

/* ---- how far topics are read ---- */

struct store_offset {
	const char *cluster, *group, *topic;
	int32_t partition;
	int64_t next;      /* of the first message of which nothing is in the store */
	int64_t committed; /* what the brokers had been told when that was put; -1: nothing */
};

/* To be put in the transaction that has what came of the messages. */
void store_offset_put(struct store *s, const struct store_offset *o);
/* Fills next and committed. False: nothing is known of that partition. */
bool store_offset_get(struct store *s, struct store_offset *o);

/* ---- exporters that were heard ---- */

#define STORE_EXPORTERS_MAX 1024u /* that are read */

struct store_exporter {
	const char *name, *from, *site, *version; /* from: how and whence it came */
	uint64_t heard_ms;
	bool silent; /* that was told */
};

/* Makes or replaces the exporter of a name. */
void store_exporter_put(struct store *s, const struct store_exporter *e);
void store_exporter_drop(struct store *s, const char *name);
/* Those heard last, the one heard longest ago first. */
void store_exporters(struct store *s, void (*each)(void *arg, const struct store_exporter *e), void *arg);

/* ---- silences ---- */

struct store_silence {
	uint64_t id;                   /* 0: to be given */
	uint64_t created_ms, until_ms; /* until 0: for ever */
	uint32_t rule;                 /* 0: any */
	const char *host;              /* address or network, NULL: any */
	const char *app;               /* as in rules, NULL: any */
	const char *comment;           /* NULL: none */
};

uint64_t store_silence_add(struct store *s,
			   const struct store_silence *l); /* committed; returns its id, 0: it failed */
bool store_silence_drop(struct store *s, uint64_t id);     /* committed; false: there is none */
void store_silences(struct store *s, void (*each)(void *arg, const struct store_silence *l), void *arg);

#endif
