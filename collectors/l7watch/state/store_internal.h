/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the store share. SQLite is known to them alone. */
#ifndef WATCH_STORE_INTERNAL_H
#define WATCH_STORE_INTERNAL_H

#include <sqlite3.h>

#include "state/store.h"

#define STORE_SCHEMA 3                  /* PRAGMA user_version */
#define STORE_APPLICATION_ID 0x6c377761 /* "l7wa": a file of ours, for file(1) and for us */
#define STORE_BAD_MAX 4                 /* damaged files that are kept */
#define STORE_OUTBOX_MAX 100000u        /* lines that wait */
#define STORE_OFFSETS_MAX 65536u        /* partitions of topics, those of long ago too */
#define STORE_PATH_MAX 4096

/*
 * Pages of the log (4 KiB each) from which on a commit copies it into the database, with two fsync(): one that had many rows anyhow, or
 * one that only had an alert, which should not have to wait for the disk.
 */
#define STORE_LOG_PAGES 4000
#define STORE_LOG_PAGES_MOST 16000
#define STORE_LOG_KEPT 33554432 /* octets of the log's file that are kept for the next time */

/* Statements, prepared once. */
#define STORE_STATEMENTS(X)                                                                                            \
	X(BEGIN, "BEGIN IMMEDIATE")                                                                                    \
	X(COMMIT, "COMMIT")                                                                                            \
	X(ROLLBACK, "ROLLBACK")                                                                                        \
	X(PAGES, "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size")                             \
	X(ALERT_PUT, "INSERT OR REPLACE INTO alert VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13)")               \
	X(ALERT_DROP, "DELETE FROM alert WHERE key = ?1")                                                              \
	X(ALERTS, "SELECT * FROM alert ORDER BY key")                                                                  \
	X(ALERT_FIND, "SELECT * FROM alert WHERE uid = ?1")                                                            \
	X(OUTBOX_PUT, "INSERT INTO outbox VALUES (?1,?2)")                                                             \
	X(OUTBOX_DROP, "DELETE FROM outbox WHERE number <= ?1")                                                        \
	X(OUTBOX, "SELECT * FROM outbox ORDER BY number")                                                              \
	X(OUTBOX_STATE, "SELECT count(*), max(number) FROM outbox")                                                    \
	X(COUNT_PUT, "INSERT INTO count VALUES (?1,?2,?3,?4)"                                                          \
		     " ON CONFLICT (rule, key) DO UPDATE SET put_us = excluded.put_us, value = excluded.value")        \
	X(COUNT_DROP, "DELETE FROM count WHERE rule = ?1 AND key = ?2")                                                \
	X(COUNT_KEYS, "SELECT key FROM count WHERE rule = ?1 ORDER BY put_us")                                         \
	X(COUNT_VALUE, "SELECT value FROM count WHERE rule = ?1 AND key = ?2")                                         \
	X(COUNT_NEXT_RULE, "SELECT min(rule) FROM count WHERE rule > ?1")                                              \
	X(COUNT_DROP_RULE, "DELETE FROM count WHERE rule = ?1")                                                        \
	X(USAGE_UPDATE,                                                                                                \
	  "UPDATE usage SET first_ms = min(first_ms, ?4), last_ms = max(last_ms, ?5),"                                 \
	  " flows = min(flows + ?6, 9223372036854775807), octets = min(octets + ?7, 9223372036854775807)"              \
	  " WHERE host = ?1 AND side = ?2 AND app = ?3")                                                               \
	X(USAGE_INSERT, "INSERT INTO usage VALUES (?1,?2,?3,?4,?5,?6,?7)")                                             \
	X(USAGES, "SELECT * FROM usage ORDER BY host, side, app")                                                      \
	X(USAGE_ROWS, "SELECT count(*) FROM usage")                                                                    \
	X(USAGE_TRIM_AGE, "DELETE FROM usage WHERE last_ms < ?1")                                                      \
	X(USAGE_TRIM_ROWS, "DELETE FROM usage WHERE (host, side, app) IN"                                              \
			   " (SELECT host, side, app FROM usage ORDER BY last_ms LIMIT ?1)")                           \
	X(SILENCE_ADD, "INSERT INTO silence VALUES (?1,?2,?3,?4,?5,?6,?7)")                                            \
	X(SILENCE_DROP, "DELETE FROM silence WHERE id = ?1")                                                           \
	X(SILENCES, "SELECT * FROM silence ORDER BY id")                                                               \
	X(SILENCE_ROWS, "SELECT count(*) FROM silence")                                                                \
	X(OFFSET_GET, "SELECT next, committed FROM kafka"                                                              \
		      " WHERE cluster = ?1 AND consumer_group = ?2 AND topic = ?3 AND partition = ?4")                 \
	X(OFFSET_UPDATE, "UPDATE kafka SET next = ?5, committed = ?6"                                                  \
			 " WHERE cluster = ?1 AND consumer_group = ?2 AND topic = ?3 AND partition = ?4")              \
	X(OFFSET_INSERT, "INSERT INTO kafka VALUES (?1,?2,?3,?4,?5,?6)")                                               \
	X(OFFSET_ROWS, "SELECT count(*) FROM kafka")                                                                   \
	X(EXPORTER_PUT, "INSERT OR REPLACE INTO exporter VALUES (?1,?2,?3,?4,?5,?6)")                                  \
	X(EXPORTER_DROP, "DELETE FROM exporter WHERE name = ?1")                                                       \
	X(EXPORTERS, "SELECT * FROM (SELECT * FROM exporter ORDER BY heard_ms DESC LIMIT ?1) ORDER BY heard_ms")

enum store_statement {
#define STORE_STATEMENT(name, sql) STORE_##name,
	STORE_STATEMENTS(STORE_STATEMENT)
#undef STORE_STATEMENT
		STORE_STATEMENT_COUNT
};

/* How many rows there are, as committed and as the transaction under way has it. */
struct store_rows {
	uint64_t outbox, usage;
};

struct store {
	sqlite3 *db;
	char *path; /* owned; NULL: in memory */
	sqlite3_stmt *statements[STORE_STATEMENT_COUNT];
	bool begun;    /* a transaction is under way */
	bool bulk;     /* with many rows */
	int lost;      /* negative errno: the transaction is lost; what else belongs to it is not taken */
	bool said;     /* that writing fails */
	int log_pages; /* of the log after the last commit */
	uint64_t failures;
	uint64_t said_failures; /* when it was said */
	struct store_rows rows, committed;
	uint64_t outbox_number; /* the last one given */
	uint64_t put_us;        /* time of the last count put, made to grow */
};

/* ---- store_schema.c: the file ---- */

/*
 * Opens s->path (NULL: memory), brings its schema up to date and prepares the statements. Returns 0, or a negative errno with a
 * sentence; -EBADMSG if it is no sound database of ours and nothing else is wrong. s->db is to be closed in any case.
 */
int store_schema_open(struct store *s, char *err, size_t err_size);
/* Finalizes and closes. keep_log: a log beside the file stays as it is. */
void store_schema_close(struct store *s, bool keep_log);
/* Moves a damaged file and its log aside; writes where to. Returns 0 or a negative errno. */
int store_schema_set_aside(const char *path, char *to, size_t to_size);
/* A negative errno for what SQLite says. */
int store_errno(int rc);

/* ---- store.c: transactions ---- */

/* A statement that writes, within the transaction, which is begun if there is none; NULL if it is lost already. */
sqlite3_stmt *store_write(struct store *s, enum store_statement which);
/* Runs it to its end and makes it ready for the next time. False: the transaction is lost now, which is counted and said. */
bool store_run(struct store *s, sqlite3_stmt *st);
/* Commits; what goes wrong stays in s->lost for store_commit(). */
bool store_end(struct store *s);
/* Next row of a statement that reads. False at the end, or on an error, which is counted and said. */
bool store_row(struct store *s, sqlite3_stmt *st);
void store_rewind(sqlite3_stmt *st);
/* The one number that a statement without parameters gives. */
uint64_t store_number(struct store *s, enum store_statement which);

/* Numbers are 0 to 2^63 - 1 in the database: larger ones are cut to that, negative ones read as 0. */
void store_bind(sqlite3_stmt *st, int at, uint64_t v);
uint64_t store_column(sqlite3_stmt *st, int at);
/* Texts are the caller's until store_run(); NULL is "". */
void store_bind_text(sqlite3_stmt *st, int at, const char *text);
const char *store_column_text(sqlite3_stmt *st, int at); /* never NULL; valid until the next row */
/* Keys are 16 octets, the high half first. out is the caller's until store_run(). */
void store_bind_key(sqlite3_stmt *st, int at, struct lru_key key, uint8_t out[16]);
bool store_column_key(sqlite3_stmt *st, int at, struct lru_key *out);

#endif
