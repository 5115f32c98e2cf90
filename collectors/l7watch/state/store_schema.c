/* SPDX-License-Identifier: Apache-2.0 */
/* The file of the store: its settings, its tables, and what to do with one that is damaged. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "state/store_internal.h"

/*
 * The tables, as people see them who open a copy with sqlite3: comments stay in the schema. Times are milliseconds since the epoch.
 * Tables without rowid lie in the order of their key, so that a host's rows are beside each other.
 */
static const char schema_1[] = "CREATE TABLE alert ( -- alerts that are engaged\n"
			       "  key BLOB NOT NULL PRIMARY KEY, -- hash of the dedup key\n"
			       "  uid TEXT NOT NULL,             -- alert_uid\n"
			       "  rule INTEGER NOT NULL,         -- id of the rule\n"
			       "  severity INTEGER NOT NULL,     -- 0 info, 1 low, 2 medium, 3 high, 4 critical\n"
			       "  engaged_ms INTEGER NOT NULL,   -- time of the record that made it\n"
			       "  last_ms INTEGER NOT NULL,      -- of the last one\n"
			       "  told_ms INTEGER NOT NULL,      -- of the one that was told last\n"
			       "  count INTEGER NOT NULL,        -- flows\n"
			       "  suppressed INTEGER NOT NULL,   -- flows since it was told\n"
			       "  flow_id TEXT NOT NULL,         -- of the last flow\n"
			       "  subject TEXT NOT NULL,         -- address of the host\n"
			       "  app TEXT NOT NULL,             -- what it spoke\n"
			       "  line TEXT NOT NULL             -- the alert as told last, JSON\n"
			       ") STRICT, WITHOUT ROWID;\n"
			       "CREATE INDEX alert_uid ON alert (uid);\n"
			       "CREATE TABLE outbox ( -- alerts that have still to be told\n"
			       "  number INTEGER PRIMARY KEY,\n"
			       "  line TEXT NOT NULL\n"
			       ") STRICT;\n"
			       "CREATE TABLE count ( -- what rules have counted\n"
			       "  rule INTEGER NOT NULL, -- id of the rule\n"
			       "  key BLOB NOT NULL,     -- hash of the group\n"
			       "  put_us INTEGER NOT NULL, -- when it was written, microseconds\n"
			       "  value BLOB NOT NULL,\n"
			       "  PRIMARY KEY (rule, key)\n"
			       ") STRICT, WITHOUT ROWID;\n"
			       "CREATE TABLE usage ( -- what hosts spoke\n"
			       "  host TEXT NOT NULL, -- address\n"
			       "  side TEXT NOT NULL CHECK (side IN ('client', 'server')),\n"
			       "  app TEXT NOT NULL,\n"
			       "  first_ms INTEGER NOT NULL,\n"
			       "  last_ms INTEGER NOT NULL,\n"
			       "  flows INTEGER NOT NULL,\n"
			       "  octets INTEGER NOT NULL, -- both ways\n"
			       "  PRIMARY KEY (host, side, app)\n"
			       ") STRICT, WITHOUT ROWID;\n"
			       "CREATE TABLE silence ( -- alerts that nobody wants to hear of\n"
			       "  id INTEGER PRIMARY KEY AUTOINCREMENT, -- never given twice\n"
			       "  created_ms INTEGER NOT NULL,\n"
			       "  until_ms INTEGER NOT NULL, -- 0: for ever\n"
			       "  rule INTEGER NOT NULL,     -- 0: any\n"
			       "  host TEXT,                 -- address or network; NULL: any\n"
			       "  app TEXT,                  -- as in rules; NULL: any\n"
			       "  comment TEXT\n"
			       ") STRICT;\n";

static const char schema_2[] = "CREATE TABLE kafka ( -- how far topics are read, with all that came of it\n"
			       "  cluster TEXT NOT NULL,\n"
			       "  consumer_group TEXT NOT NULL,\n"
			       "  topic TEXT NOT NULL,\n"
			       "  partition INTEGER NOT NULL,\n"
			       "  next INTEGER NOT NULL,      -- offset of the first message that is not in here\n"
			       "  committed INTEGER NOT NULL, -- what the brokers had been told then; -1: nothing\n"
			       "  PRIMARY KEY (cluster, consumer_group, topic, partition)\n"
			       ") STRICT, WITHOUT ROWID;\n";

static const char schema_3[] = "CREATE TABLE exporter ( -- probes that were heard\n"
			       "  name TEXT NOT NULL PRIMARY KEY,\n"
			       "  source TEXT NOT NULL,       -- how and whence it came\n"
			       "  site TEXT NOT NULL,         -- as it says\n"
			       "  version TEXT NOT NULL,      -- likewise\n"
			       "  heard_ms INTEGER NOT NULL,  -- when it was last heard, a minute or so ago\n"
			       "  silent INTEGER NOT NULL     -- 1: that nothing comes of it was told\n"
			       ") STRICT, WITHOUT ROWID;\n";

/* How to come from schema i to i + 1. */
static const char *const schema_steps[STORE_SCHEMA] = {schema_1, schema_2, schema_3};

static const char *const schema_statements[] = {
#define STORE_STATEMENT(name, sql) sql,
	STORE_STATEMENTS(STORE_STATEMENT) /* NOLINT(bugprone-suspicious-missing-comma): long ones are in pieces */
#undef STORE_STATEMENT
};

/*
 * Locks first: they are to be there from the first read on. NORMAL is safe against a kill, and against a power cut as far as the
 * last checkpoint; the database stays sound in any case.
 */
static const char schema_settings[] = "PRAGMA locking_mode = EXCLUSIVE;"
				      "PRAGMA trusted_schema = OFF;"
				      "PRAGMA cell_size_check = ON;"
				      "PRAGMA mmap_size = 0;"
				      "PRAGMA cache_size = -32768;"
				      "PRAGMA secure_delete = FAST;"
				      "PRAGMA synchronous = NORMAL;";

int store_errno(int rc)
{
	switch (rc & 0xff) {
	case SQLITE_OK:
		return 0;
	case SQLITE_NOMEM:
		return -ENOMEM;
	case SQLITE_FULL:
		return -ENOSPC;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return -EBUSY;
	case SQLITE_READONLY:
		return -EROFS;
	case SQLITE_PERM:
	case SQLITE_AUTH:
		return -EACCES;
	case SQLITE_CANTOPEN:
		return -ENOENT;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return -EBADMSG;
	default:
		return -EIO;
	}
}

/* ---- sentences ---- */

static int schema_error(const struct store *s, int rc, char *err, size_t err_size)
{
	const char *name = s->path ? s->path : "in memory";
	int error = store_errno(rc);
	int system = s->db ? sqlite3_system_errno(s->db) : 0;

	if (error == -EBUSY)
		snprintf(err, err_size, "state file %s: another l7watch has it open", name);
	else if (error == -EROFS)
		snprintf(err, err_size, "state file %s: it cannot be written", name);
	else if (error == -EBADMSG)
		snprintf(err, err_size, "state file %s is damaged: %s", name, sqlite3_errmsg(s->db));
	else if (error == -ENOENT && system)
		snprintf(err, err_size, "state file %s: %s", name, strerror(system));
	else
		snprintf(err, err_size, "state file %s: %s", name, s->db ? sqlite3_errmsg(s->db) : "no memory");
	return error == -ENOENT && system ? -system : error;
}

static int schema_damaged(const struct store *s, const char *what, char *err, size_t err_size)
{
	snprintf(err, err_size, "state file %s is damaged: %s", s->path ? s->path : "in memory", what);
	return -EBADMSG;
}

/* ---- opening ---- */

/* What the file says must not make SQLite do more than read and write tables. */
static void schema_defend(sqlite3 *db)
{
	static const struct {
		int what, on;
	} options[] = {{SQLITE_DBCONFIG_DEFENSIVE, 1},      {SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0},
		       {SQLITE_DBCONFIG_ENABLE_TRIGGER, 0}, {SQLITE_DBCONFIG_ENABLE_VIEW, 0},
		       {SQLITE_DBCONFIG_DQS_DML, 0},        {SQLITE_DBCONFIG_DQS_DDL, 0}};

	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		(void)sqlite3_db_config(db, options[i].what, options[i].on, NULL);
	(void)sqlite3_limit(db, SQLITE_LIMIT_ATTACHED, 0);
}

/*
 * A new file is nobody else's to read: it says what people do. SQLite gives its log the same mode. Returns 0 if there is a file that
 * may be written; SQLite's own words for one that may not say nothing.
 */
static int schema_create(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0640);

	/* Of a file that SQLite has open close() would drop the locks; this one is new. */
	if (fd >= 0)
		return close(fd);
	return errno != EEXIST || faccessat(AT_FDCWD, path, R_OK | W_OK, AT_EACCESS) < 0 ? -errno : 0;
}

/* Where the log comes to be, beside the file. */
static int schema_folder(const char *path)
{
	char folder[STORE_PATH_MAX + 16];
	char *slash;

	snprintf(folder, sizeof(folder), "%s", path);
	slash = strrchr(folder, '/');
	if (slash)
		slash[slash == folder] = '\0';
	return faccessat(AT_FDCWD, slash ? folder : ".", W_OK | X_OK, AT_EACCESS) < 0 ? -errno : 0;
}

static int schema_may(const char *path, char *err, size_t err_size)
{
	int rc = schema_create(path);

	if (rc) {
		snprintf(err, err_size, "state file %s: %s", path, strerror(-rc));
		return rc;
	}
	rc = schema_folder(path);
	if (rc)
		snprintf(err, err_size, "state file %s: its folder cannot be written: %s", path, strerror(-rc));
	return rc;
}

static int schema_log(void *arg, sqlite3 *db, const char *name, int pages)
{
	struct store *s = arg;

	(void)db;
	(void)name;
	s->log_pages = pages;
	return SQLITE_OK;
}

/* The number, or the text, that a PRAGMA gives. */
static int schema_pragma(struct store *s, const char *sql, int64_t *number, char *text, size_t size)
{
	sqlite3_stmt *st = NULL;
	int rc = sqlite3_prepare_v2(s->db, sql, -1, &st, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_step(st);
	if (rc == SQLITE_ROW) {
		if (number)
			*number = sqlite3_column_int64(st, 0);
		if (text)
			snprintf(text, size, "%s", store_column_text(st, 0));
		rc = SQLITE_OK;
	}
	if (sqlite3_finalize(st) != SQLITE_OK && rc == SQLITE_OK)
		rc = sqlite3_errcode(s->db);
	return rc;
}

/* The log beside the file, held by us alone from here on. */
static int schema_lock(struct store *s, char *err, size_t err_size)
{
	char mode[16] = "";
	int rc = sqlite3_exec(s->db, schema_settings, NULL, NULL, NULL);

	if (rc == SQLITE_OK)
		rc = schema_pragma(s, s->path ? "PRAGMA journal_mode = WAL" : "PRAGMA journal_mode = MEMORY", NULL,
				   mode, sizeof(mode));
	/* A file that nobody may write to is opened for reading, without a word. */
	if (rc == SQLITE_OK && sqlite3_db_readonly(s->db, "main") == 1)
		rc = SQLITE_READONLY;
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(s->db, "BEGIN EXCLUSIVE; COMMIT", NULL, NULL, NULL);
	if (rc != SQLITE_OK)
		return schema_error(s, rc, err, err_size);
	if (strcmp(mode, s->path ? "wal" : "memory") != 0) {
		snprintf(err, err_size, "state file %s: its file system cannot hold it (journal mode %s)", s->path,
			 mode);
		return -ENOTSUP;
	}
	(void)sqlite3_wal_hook(s->db, schema_log, s);
	return 0;
}

static int schema_step(struct store *s, int64_t version, char *err, size_t err_size)
{
	char end[96];
	int rc = sqlite3_exec(s->db, "BEGIN IMMEDIATE", NULL, NULL, NULL);

	snprintf(end, sizeof(end), "PRAGMA user_version = %d; PRAGMA application_id = %d; COMMIT", (int)version + 1,
		 STORE_APPLICATION_ID);
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(s->db, schema_steps[version], NULL, NULL, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(s->db, end, NULL, NULL, NULL);
	if (rc == SQLITE_OK)
		return 0;
	rc = schema_error(s, rc, err, err_size);
	(void)sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
	return rc;
}

/* A sound database that is not ours is left alone. */
static int schema_migrate(struct store *s, char *err, size_t err_size)
{
	int64_t version = 0, application = 0, tables = 0;
	int rc = schema_pragma(s, "PRAGMA user_version", &version, NULL, 0);

	if (rc == SQLITE_OK)
		rc = schema_pragma(s, "PRAGMA application_id", &application, NULL, 0);
	if (rc == SQLITE_OK)
		rc = schema_pragma(s, "SELECT count(*) FROM sqlite_schema", &tables, NULL, 0);
	if (rc != SQLITE_OK)
		return schema_error(s, rc, err, err_size);
	if (application != STORE_APPLICATION_ID && (application || version || tables)) {
		snprintf(err, err_size, "state file %s is a database of another program", s->path);
		return -EEXIST;
	}
	if (version > STORE_SCHEMA) {
		snprintf(err, err_size, "state file %s is of a newer l7watch (schema %lld, this one knows %d)", s->path,
			 (long long)version, STORE_SCHEMA);
		return -EPROTO;
	}
	if (version < 0)
		return schema_damaged(s, "its version is negative", err, err_size);
	for (rc = 0; rc == 0 && version < STORE_SCHEMA; version++)
		rc = schema_step(s, version, err, err_size);
	return rc;
}

static int schema_prepare(struct store *s, char *err, size_t err_size)
{
	for (size_t i = 0; i < STORE_STATEMENT_COUNT; i++) {
		int rc = sqlite3_prepare_v3(s->db, schema_statements[i], -1, SQLITE_PREPARE_PERSISTENT,
					    &s->statements[i], NULL);

		/* Tables that are not as we made them. */
		if ((rc & 0xff) == SQLITE_ERROR)
			return schema_damaged(s, sqlite3_errmsg(s->db), err, err_size);
		if (rc != SQLITE_OK)
			return schema_error(s, rc, err, err_size);
	}
	return 0;
}

int store_schema_open(struct store *s, char *err, size_t err_size)
{
	char answer[160] = "", limit[64];
	int rc = s->path ? schema_may(s->path, err, err_size) : 0;

	if (rc)
		return rc;
	rc = sqlite3_open_v2(s->path ? s->path : ":memory:", &s->db,
			     SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE,
			     NULL);
	if (rc != SQLITE_OK)
		return schema_error(s, rc, err, err_size);
	schema_defend(s->db);
	(void)sqlite3_busy_timeout(s->db, 0);
	rc = schema_lock(s, err, err_size);
	if (rc)
		return rc;
	snprintf(limit, sizeof(limit), "PRAGMA journal_size_limit = %d", STORE_LOG_KEPT);
	(void)sqlite3_exec(s->db, limit, NULL, NULL, NULL);
	rc = schema_pragma(s, "PRAGMA quick_check(1)", NULL, answer, sizeof(answer));
	if (rc != SQLITE_OK)
		return schema_error(s, rc, err, err_size);
	/* Its first line is a heading. */
	if (strcmp(answer, "ok") != 0)
		return schema_damaged(s, strchr(answer, '\n') ? strchr(answer, '\n') + 1 : answer, err, err_size);
	rc = schema_migrate(s, err, err_size);
	return rc ? rc : schema_prepare(s, err, err_size);
}

void store_schema_close(struct store *s, bool keep_log)
{
	for (size_t i = 0; i < STORE_STATEMENT_COUNT; i++) {
		(void)sqlite3_finalize(s->statements[i]);
		s->statements[i] = NULL;
	}
	if (s->db && keep_log)
		(void)sqlite3_db_config(s->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	(void)sqlite3_close(s->db);
	s->db = NULL;
}

/* ---- damaged files ---- */

/* The log goes first: a new database must not find it. */
static int schema_move(const char *path, const char *to)
{
	char from[STORE_PATH_MAX + 16], wal[STORE_PATH_MAX + 32];

	snprintf(from, sizeof(from), "%s-wal", path);
	snprintf(wal, sizeof(wal), "%s-wal", to);
	(void)unlink(wal);
	if (rename(from, wal) < 0 && errno != ENOENT)
		return -errno;
	return rename(path, to) < 0 ? -errno : 0;
}

int store_schema_set_aside(const char *path, char *to, size_t to_size)
{
	struct stat st;

	snprintf(to, to_size, "%s.bad", path);
	for (unsigned i = 1; i < STORE_BAD_MAX && lstat(to, &st) == 0; i++)
		snprintf(to, to_size, "%s.bad.%u", path, i);
	return schema_move(path, to);
}
