/* SPDX-License-Identifier: Apache-2.0 */
/* The store when its file is not as it should be: damaged, taken, somebody else's, on a disk that is full. */
#include "store_rig.h"

#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/log.h"
#include "rules/rules.h"
#include "state/store_internal.h"

/* ---- the file ---- */

static bool exists(const struct store_rig *r, const char *end)
{
	char name[128];
	struct stat st;

	snprintf(name, sizeof(name), "%s%s", r->path, end);
	return stat(name, &st) == 0;
}

static void test_file(void **state)
{
	struct store_rig r;
	struct stat st;

	(void)state;
	store_rig_new(&r);
	store_rig_open(&r);
	assert_int_equal(stat(r.path, &st), 0);
	assert_int_equal(st.st_mode & 07, 0);
	store_rig_usage(r.s, "192.0.2.9", RULES_SERVER, "TLS", 5000);
	assert_int_equal(store_commit(r.s), 0);
	assert_true(exists(&r, "-wal"));
	assert_false(exists(&r, "-shm")); /* one connection needs none */
	assert_true(store_size(r.s) > 4096);
	store_close(r.s);
	r.s = NULL;
	assert_false(exists(&r, "-wal"));
	store_rig_remove(&r);
}

/* The log does not grow for ever, whether it is of many rows or of single alerts. */
static void test_log_size(void **state)
{
	struct store_alert a = store_rig_alert(1, "{}\n");
	struct store_rig r;

	(void)state;
	store_rig_new(&r);
	store_rig_open(&r);
	for (unsigned i = 0; i < 40; i++) {
		for (unsigned k = 0; k < 500; k++) {
			char value[2000];

			memset(value, 'x', sizeof(value));
			store_count_put(r.s, 1, (struct lru_key){k * UINT64_C(0x9e3779b97f4a7c15), k}, value,
					sizeof(value));
		}
		assert_int_equal(store_commit(r.s), 0);
		assert_true(store_size(r.s) < (STORE_LOG_PAGES + 2000) * UINT64_C(4200));
	}
	for (unsigned i = 0; i < 20000; i++) {
		a.count = i;
		store_alert_put(r.s, &a);
		assert_int_equal(store_commit(r.s), 0);
	}
	assert_true(store_size(r.s) < (STORE_LOG_PAGES_MOST + 2000) * UINT64_C(4200));
	store_rig_remove(&r);
}

static void test_busy(void **state)
{
	struct store_rig r;
	struct store *second;
	int status;
	pid_t child;
	char err[256] = "", expected[192];

	(void)state;
	store_rig_new(&r);
	store_rig_open(&r);
	snprintf(expected, sizeof(expected), "state file %s: another l7watch has it open", r.path);
	assert_int_equal(store_open(&second, r.path, err, sizeof(err)), -EBUSY);
	assert_null(second);
	assert_string_equal(err, expected);
	/* And from another process. */
	child = fork();
	if (child == 0) {
		int rc = store_open(&second, r.path, err, sizeof(err));

		_exit(rc == -EBUSY && strcmp(err, expected) == 0 ? 0 : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	/* Neither has done it any harm. */
	store_rig_usage(r.s, "192.0.2.9", RULES_SERVER, "TLS", 5000);
	store_rig_reopen(&r);
	assert_int_equal(store_rig_usages(r.s).n, 1);
	assert_false(exists(&r, ".bad"));
	store_rig_remove(&r);
}

static void write_file(const char *path, const char *text, size_t len, long at)
{
	FILE *f = fopen(path, at < 0 ? "w" : "r+");

	assert_non_null(f);
	assert_int_equal(fseek(f, at < 0 ? 0 : at, SEEK_SET), 0);
	assert_int_equal(fwrite(text, 1, len, f), len);
	fclose(f);
}

static void test_no_database(void **state)
{
	struct store_rig r;
	char name[128], got[64] = "";
	FILE *f;

	(void)state;
	store_rig_new(&r);
	for (unsigned i = 0; i < STORE_BAD_MAX + 2; i++) {
		write_file(r.path, "These are somebody's notes, and no database at all.\n", 52, -1);
		store_rig_open(&r);
		assert_int_equal(store_rig_usages(r.s).n, 0);
		store_rig_usage(r.s, "192.0.2.9", RULES_SERVER, "TLS", 5000);
		store_rig_reopen(&r);
		assert_int_equal(store_rig_usages(r.s).n, 1);
		store_close(r.s);
		r.s = NULL;
	}
	assert_true(exists(&r, ".bad") && exists(&r, ".bad.1") && exists(&r, ".bad.3"));
	assert_false(exists(&r, ".bad.4"));
	snprintf(name, sizeof(name), "%s.bad", r.path);
	f = fopen(name, "r");
	assert_non_null(f);
	assert_non_null(fgets(got, sizeof(got), f));
	fclose(f);
	assert_string_equal(got, "These are somebody's notes, and no database at all.\n");
	store_rig_remove(&r);
}

/* Each page of a database in turn is overwritten: it opens, with what is there or begun anew, and takes what is put in. */
static void test_damaged(void **state)
{
	char junk[512];
	struct store_rig r;
	unsigned anew = 0;

	(void)state;
	memset(junk, 0xa5, sizeof(junk));
	for (long page = 0; page < 12; page++) {
		store_rig_new(&r);
		store_rig_open(&r);
		for (unsigned i = 0; i < 300; i++) {
			char ip[32];

			snprintf(ip, sizeof(ip), "10.0.%u.%u", i / 100, i % 100);
			store_rig_usage(r.s, ip, RULES_CLIENT, "TLS.Telegram", 5000);
		}
		store_close(r.s);
		r.s = NULL;
		write_file(r.path, junk, sizeof(junk), page * 4096);
		store_rig_open(&r);
		assert_true(exists(&r, ".bad") || store_rig_usages(r.s).n == 300);
		anew += exists(&r, ".bad");
		store_rig_usage(r.s, "192.0.2.9", RULES_SERVER, "TLS", 5000);
		assert_int_equal(store_commit(r.s), 0);
		store_rig_remove(&r);
	}
	assert_true(anew >= 10);
}

static void exec_file(const char *path, const char *sql)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

/* Sound, but not ours to change or to throw away. */
static void test_not_ours(void **state)
{
	struct store_rig r;

	(void)state;
	store_rig_new(&r);
	exec_file(r.path, "CREATE TABLE notes (x)");
	assert_int_equal(store_open(&r.s, r.path, r.err, sizeof(r.err)), -EEXIST);
	assert_non_null(strstr(r.err, r.path));
	assert_non_null(strstr(r.err, "another program"));
	unlink(r.path);
	store_rig_open(&r);
	store_close(r.s);
	exec_file(r.path, "PRAGMA user_version = 1000");
	assert_int_equal(store_open(&r.s, r.path, r.err, sizeof(r.err)), -EPROTO);
	assert_non_null(strstr(r.err, "newer l7watch (schema 1000, this one knows 3)"));
	assert_false(exists(&r, ".bad"));
	/* Ours, but somebody has been at it. */
	exec_file(r.path, "PRAGMA user_version = 3; DROP TABLE alert");
	store_rig_open(&r);
	assert_true(exists(&r, ".bad"));
	store_rig_remove(&r);
}

/* One of before there was Kafka: what it has stays, and there is room for more. */
static void test_older(void **state)
{
	struct store_offset o = {
		.cluster = "c", .group = "g", .topic = "t", .partition = 3, .next = 7, .committed = -1};
	struct store_silence silence = {.rule = 7};
	struct store_rig r;

	(void)state;
	store_rig_new(&r);
	store_rig_open(&r);
	assert_int_equal(store_silence_add(r.s, &silence), 1);
	store_close(r.s);
	exec_file(r.path, "DROP TABLE kafka; DROP TABLE exporter; PRAGMA user_version = 1");
	store_rig_open(&r);
	store_offset_put(r.s, &o);
	store_rig_reopen(&r);
	o.next = 0;
	assert_true(store_offset_get(r.s, &o));
	assert_int_equal(o.next, 7);
	assert_true(store_silence_drop(r.s, 1));
	store_rig_remove(&r);
}

static void test_places(void **state)
{
	char err[8192], *big = malloc(STORE_PATH_MAX + 2);
	struct store_rig r;
	struct store *s;

	(void)state;
	assert_int_equal(store_open(&s, "/nonexistent/state.db", err, sizeof(err)), -ENOENT);
	assert_string_equal(err, "state file /nonexistent/state.db: No such file or directory");
	assert_int_equal(store_open(&s, "/tmp", err, sizeof(err)), -EISDIR);
	assert_int_equal(store_open(&s, "", err, sizeof(err)), -EINVAL);
	assert_non_null(big);
	memset(big, 'x', STORE_PATH_MAX + 1);
	big[STORE_PATH_MAX + 1] = '\0';
	assert_int_equal(store_open(&s, big, err, sizeof(err)), -EINVAL);
	free(big);
	/* A name is a name, whatever SQLite makes of such. */
	store_rig_new(&r);
	assert_int_equal(chdir(r.folder), 0);
	snprintf(r.path, sizeof(r.path), ":memory:");
	store_rig_open(&r);
	assert_int_equal(access("./:memory:", F_OK), 0);
	store_rig_remove(&r);
	assert_int_equal(chdir("/"), 0);
}

/* ---- writing fails ---- */

static void test_too_full(void **state)
{
	struct store_alert a = store_rig_alert(1, "{}\n");
	size_t seen = 0;
	struct store_rig r;
	char value[4000] = {1};

	(void)state;
	store_rig_new(&r);
	store_rig_open(&r);
	store_alert_put(r.s, &a);
	assert_int_equal(store_commit(r.s), 0);
	assert_int_equal(sqlite3_exec(r.s->db, "PRAGMA max_page_count = 30", NULL, NULL, NULL), SQLITE_OK);
	store_alert_drop(r.s, a.key);
	store_rig_usage(r.s, "192.0.2.9", RULES_SERVER, "TLS", 5000);
	for (uint64_t i = 0; i < 100; i++)
		store_count_put(r.s, 1, (struct lru_key){i, i}, value, sizeof(value));
	/* What comes after is of the same transaction, and lost with it. */
	assert_int_equal(store_outbox_put(r.s, "x\n", 2), 0);
	assert_int_equal(store_silence_add(r.s, &(struct store_silence){.rule = 1}), 0);
	assert_int_equal(store_commit(r.s), -ENOSPC);
	assert_int_equal(store_failures(r.s), 1);
	store_alerts(r.s, store_rig_count_alert, &seen);
	assert_int_equal(seen, 1);
	assert_int_equal(store_rig_usages(r.s).n, 0);
	assert_int_equal(store_usage_rows(r.s), 0); /* counted right, too */
	/* And it goes on. */
	assert_true(store_outbox_put(r.s, "x\n", 2) > 0);
	assert_int_equal(store_commit(r.s), 0);
	assert_int_equal(store_failures(r.s), 1);
	store_rig_remove(&r);
}

/* A silence that cannot be kept takes nothing of others with it. */
static void test_silence_alone(void **state)
{
	struct store_silence l = {.rule = 1};
	struct store_rig r;
	char comment[60000];
	uint64_t id;

	(void)state;
	memset(comment, 'x', sizeof(comment));
	comment[sizeof(comment) - 1] = '\0';
	store_rig_new(&r);
	store_rig_open(&r);
	id = store_silence_add(r.s, &l);
	assert_true(id > 0);
	l.comment = comment;
	assert_int_equal(sqlite3_exec(r.s->db, "PRAGMA max_page_count = 20", NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(store_silence_add(r.s, &l), 0);
	assert_int_equal(store_failures(r.s), 1);
	store_rig_usage(r.s, "192.0.2.9", RULES_SERVER, "TLS", 5000);
	assert_int_equal(store_commit(r.s), 0);
	assert_int_equal(store_rig_usages(r.s).n, 1);
	/* With others in it, they are told. */
	store_rig_usage(r.s, "192.0.2.10", RULES_SERVER, "TLS", 5000);
	assert_int_equal(store_silence_add(r.s, &l), 0);
	assert_false(store_silence_drop(r.s, id));
	assert_int_equal(store_commit(r.s), -ENOSPC);
	assert_int_equal(store_rig_usages(r.s).n, 1);
	assert_true(store_silence_drop(r.s, id));
	store_rig_remove(&r);
}

/* The disk is full in the middle of a commit: here, no file may grow beyond a limit. */
static void test_full_disk(void **state)
{
	struct rlimit before, limit;
	struct store_rig r;
	unsigned lost = 0;

	(void)state;
	store_rig_new(&r);
	store_rig_open(&r);
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	limit = before;
	limit.rlim_cur = 300000;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	for (unsigned i = 0; i < 200; i++) {
		char ip[32];

		snprintf(ip, sizeof(ip), "192.0.2.%u", i);
		store_rig_usage(r.s, ip, RULES_SERVER, "TLS", 5000);
		lost += store_commit(r.s) != 0;
	}
	assert_true(lost > 0 && lost < 200);
	assert_int_equal(store_failures(r.s), lost);
	assert_int_equal(store_rig_usages(r.s).n, 200 - lost);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	store_rig_usage(r.s, "192.0.2.250", RULES_SERVER, "TLS", 5000);
	assert_int_equal(store_commit(r.s), 0);
	store_rig_reopen(&r);
	assert_int_equal(store_rig_usages(r.s).n, 201 - lost);
	assert_false(exists(&r, ".bad"));
	store_rig_remove(&r);
}

/* ---- many rows ---- */

/* A flush of ten thousand rows into a table of a hundred thousand; a bound that only a mistake passes. */
static void test_many(void **state)
{
	struct store_usage u = {.side = RULES_CLIENT, .app = "TLS.Telegram", .flows = 1, .octets = 1};
	struct store_rig r;
	uint64_t took = 0;

	(void)state;
	store_rig_new(&r);
	store_rig_open(&r);
	for (uint32_t i = 0; i < 110000; i++) {
		uint32_t host = (i % 100000) * 2654435761u;
		uint64_t begun = clock_mono_ms();

		addr_from4(u.ip, (uint8_t[4]){10, (uint8_t)(host >> 24), (uint8_t)(host >> 16), (uint8_t)(host >> 8)});
		u.last_ms = i;
		store_usage_add(r.s, &u);
		if (i % 10000 == 9999)
			assert_int_equal(store_commit(r.s), 0);
		if (i >= 100000)
			took += clock_mono_ms() - begun;
	}
	assert_true(took < 5000);
	assert_true(store_rig_usages(r.s).n > 90000);
	store_rig_remove(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_file),          cmocka_unit_test(test_log_size),  cmocka_unit_test(test_busy),
		cmocka_unit_test(test_no_database),   cmocka_unit_test(test_damaged),   cmocka_unit_test(test_not_ours),
		cmocka_unit_test(test_older),         cmocka_unit_test(test_places),    cmocka_unit_test(test_too_full),
		cmocka_unit_test(test_silence_alone), cmocka_unit_test(test_full_disk), cmocka_unit_test(test_many),
	};

	log_init("test_store_file", LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
