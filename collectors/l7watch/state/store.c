/* SPDX-License-Identifier: Apache-2.0 */
/* Opening, transactions, and what happens when writing fails. */
#include "state/store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/log.h"
#include "state/store_internal.h"

/* ---- opening ---- */

/*
 * SQLite reads "file:" and ":memory:" as something else than a path; with a folder before it a name is a name. The path is kept
 * as given otherwise: it is what messages name.
 */
static char *store_path(const char *path)
{
	size_t len = strlen(path);
	bool plain = path[0] != '/' && path[0] != '.';
	char *copy;

	if (len == 0 || len > STORE_PATH_MAX)
		return NULL;
	copy = malloc(len + 3);
	if (copy)
		snprintf(copy, len + 3, "%s%s", plain ? "./" : "", path);
	return copy;
}

/* How much there is already. */
static void store_count_rows(struct store *s)
{
	sqlite3_stmt *st = s->statements[STORE_OUTBOX_STATE];

	if (store_row(s, st)) {
		s->rows.outbox = store_column(st, 0);
		s->outbox_number = store_column(st, 1);
	}
	store_rewind(st);
	s->rows.usage = store_number(s, STORE_USAGE_ROWS);
	s->committed = s->rows;
}

/* Once more, with an empty file, if what is there is damaged. */
static int store_open_file(struct store *s, char *err, size_t err_size)
{
	char why[256], aside[STORE_PATH_MAX + 16];
	int rc = store_schema_open(s, err, err_size);

	if (rc != -EBADMSG || !s->path)
		return rc;
	snprintf(why, sizeof(why), "%s", err);
	store_schema_close(s, true);
	rc = store_schema_set_aside(s->path, aside, sizeof(aside));
	if (rc) {
		snprintf(err, err_size, "%s, and it cannot be moved to %s: %s", why, aside, strerror(-rc));
		return rc;
	}
	log_error("%s; it is kept as %s, and a new one is begun", why, aside);
	err[0] = '\0';
	rc = store_schema_open(s, err, err_size);
	return rc == -EBADMSG ? -EIO : rc;
}

int store_open(struct store **out, const char *path, char *err, size_t err_size)
{
	struct store *s = calloc(1, sizeof(*s));
	int rc = -ENOMEM;

	*out = NULL;
	if (path && (path[0] == '\0' || strlen(path) > STORE_PATH_MAX)) {
		snprintf(err, err_size, "the state file's path is %s", path[0] ? "too long" : "empty");
		free(s);
		return -EINVAL;
	}
	if (s && path)
		s->path = store_path(path);
	if (!s || (path && !s->path)) {
		snprintf(err, err_size, "state file %s: no memory", path ? path : "in memory");
		free(s);
		return rc;
	}
	rc = store_open_file(s, err, err_size);
	if (rc) {
		store_schema_close(s, true);
		free(s->path);
		free(s);
		return rc;
	}
	store_count_rows(s);
	*out = s;
	return 0;
}

void store_close(struct store *s)
{
	if (!s)
		return;
	(void)store_commit(s);
	store_schema_close(s, false);
	free(s->path);
	free(s);
}

/* ---- transactions ---- */

static const char *store_name(const struct store *s)
{
	return s->path ? s->path : "in memory";
}

/* All that is to be said of a disk that stays full is said once, and that it is over. */
static void store_say(struct store *s)
{
	s->failures++;
	if (s->said)
		return;
	s->said = true;
	s->said_failures = s->failures;
	log_error("state file %s: %s; what should have been kept is lost until that is over", store_name(s),
		  sqlite3_errmsg(s->db));
}

/* The transaction is lost as a whole: half of it would be worse than nothing. */
static void store_fail(struct store *s, int rc)
{
	store_say(s);
	s->lost = store_errno(rc);
	s->begun = false;
	s->bulk = false;
	s->rows = s->committed;
	if (!sqlite3_get_autocommit(s->db)) {
		(void)sqlite3_step(s->statements[STORE_ROLLBACK]);
		store_rewind(s->statements[STORE_ROLLBACK]);
	}
}

/* A statement without parameters or rows. */
static int store_plain(struct store *s, enum store_statement which)
{
	int rc = sqlite3_step(s->statements[which]);

	store_rewind(s->statements[which]);
	return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

sqlite3_stmt *store_write(struct store *s, enum store_statement which)
{
	int rc;

	if (s->lost)
		return NULL;
	if (s->begun)
		return s->statements[which];
	rc = store_plain(s, STORE_BEGIN);
	if (rc != SQLITE_OK) {
		store_fail(s, rc);
		return NULL;
	}
	s->begun = true;
	return s->statements[which];
}

bool store_run(struct store *s, sqlite3_stmt *st)
{
	int rc = sqlite3_step(st);

	store_rewind(st);
	if (rc != SQLITE_DONE)
		store_fail(s, rc);
	return rc == SQLITE_DONE;
}

/* Copies the log into the database now and then. What goes wrong there is no loss: the log has it still, and grows. */
static void store_checkpoint(struct store *s, bool bulk)
{
	if (s->log_pages < (bulk ? STORE_LOG_PAGES : STORE_LOG_PAGES_MOST))
		return;
	s->log_pages = 0;
	(void)sqlite3_wal_checkpoint_v2(s->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
}

bool store_end(struct store *s)
{
	bool bulk = s->bulk;
	uint64_t since;
	int rc;

	if (s->lost)
		return false;
	if (!s->begun)
		return true;
	rc = store_plain(s, STORE_COMMIT);
	if (rc != SQLITE_OK) {
		store_fail(s, rc);
		return false;
	}
	s->begun = false;
	s->bulk = false;
	s->committed = s->rows;
	since = s->failures - s->said_failures + 1;
	if (s->said)
		log_info("state file %s: can be written again, %llu failures until then", store_name(s),
			 (unsigned long long)since);
	s->said = false;
	store_checkpoint(s, bulk);
	return true;
}

int store_commit(struct store *s)
{
	int rc;

	(void)store_end(s);
	rc = s->lost;
	s->lost = 0;
	return rc;
}

uint64_t store_failures(const struct store *s)
{
	return s->failures;
}

static uint64_t store_file_size(const char *path, const char *end)
{
	char name[STORE_PATH_MAX + 16];
	struct stat st;

	snprintf(name, sizeof(name), "%s%s", path, end);
	return stat(name, &st) == 0 ? (uint64_t)st.st_size : 0;
}

uint64_t store_size(const struct store *s)
{
	sqlite3_stmt *st = s->statements[STORE_PAGES];
	uint64_t n;

	if (s->path)
		return store_file_size(s->path, "") + store_file_size(s->path, "-wal");
	n = sqlite3_step(st) == SQLITE_ROW ? store_column(st, 0) : 0;
	store_rewind(st);
	return n;
}

/* ---- reading, and values ---- */

bool store_row(struct store *s, sqlite3_stmt *st)
{
	int rc = sqlite3_step(st);

	if (rc != SQLITE_ROW && rc != SQLITE_DONE)
		store_say(s);
	return rc == SQLITE_ROW;
}

void store_rewind(sqlite3_stmt *st)
{
	(void)sqlite3_reset(st);
	(void)sqlite3_clear_bindings(st);
}

uint64_t store_number(struct store *s, enum store_statement which)
{
	sqlite3_stmt *st = s->statements[which];
	uint64_t n = store_row(s, st) ? store_column(st, 0) : 0;

	store_rewind(st);
	return n;
}

/* A bind that fails leaves NULL, which no column takes: the statement fails. */
void store_bind(sqlite3_stmt *st, int at, uint64_t v)
{
	(void)sqlite3_bind_int64(st, at, v > INT64_MAX ? INT64_MAX : (int64_t)v);
}

uint64_t store_column(sqlite3_stmt *st, int at)
{
	int64_t v = sqlite3_column_int64(st, at);

	return v < 0 ? 0 : (uint64_t)v;
}

void store_bind_text(sqlite3_stmt *st, int at, const char *text)
{
	(void)sqlite3_bind_text(st, at, text ? text : "", -1, SQLITE_STATIC);
}

const char *store_column_text(sqlite3_stmt *st, int at)
{
	const unsigned char *text = sqlite3_column_text(st, at);

	return text ? (const char *)text : "";
}

void store_bind_key(sqlite3_stmt *st, int at, struct lru_key key, uint8_t out[16])
{
	for (int i = 0; i < 8; i++) {
		out[i] = (uint8_t)(key.high >> (56 - 8 * i));
		out[8 + i] = (uint8_t)(key.low >> (56 - 8 * i));
	}
	(void)sqlite3_bind_blob(st, at, out, 16, SQLITE_STATIC);
}

bool store_column_key(sqlite3_stmt *st, int at, struct lru_key *out)
{
	const uint8_t *p = sqlite3_column_blob(st, at);

	*out = (struct lru_key){0};
	if (!p || sqlite3_column_bytes(st, at) != 16)
		return false;
	for (int i = 0; i < 8; i++) {
		out->high = out->high << 8 | p[i];
		out->low = out->low << 8 | p[8 + i];
	}
	return true;
}
