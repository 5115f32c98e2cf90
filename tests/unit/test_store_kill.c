/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A process that writes to a store is killed at any moment, 200 times: what it has reported as committed is there, and no transaction by
 * half. Two writers with a mistake in them show that this would be found.
 */
#include "store_rig.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include "base/log.h"
#include "state/store_internal.h"

#define KILLS 200
#define KEPT 50u          /* transactions whose alert, line and count are there; older ones are dropped */
#define REPORTS_MAX 12u   /* that are read before it is killed */
#define SPIN_MAX 400000u  /* nanoseconds from then on */
#define COUNT_RULE 7u     /* a count per transaction */
#define COUNT_LAST_RULE 8 /* one count, with the number of the last transaction */

enum writer { WRITER_RIGHT, WRITER_REPORTS_EARLY, WRITER_COMMITS_TWICE };

static struct lru_key key_of(uint64_t n)
{
	return (struct lru_key){.high = n * UINT64_C(0x9e3779b97f4a7c15), .low = n};
}

/* Transaction n: it makes an alert, its line and a count, and drops those of n - KEPT. */
static void write_one(struct store *s, uint64_t n, enum writer writer)
{
	static char line[3000];
	struct store_alert a = store_rig_alert(n, line);

	memset(line, 'x', sizeof(line) - 2);
	line[sizeof(line) - 2] = '\n';
	a.line_len = sizeof(line) - 1;
	a.key = key_of(n);
	store_alert_put(s, &a);
	store_count_put(s, COUNT_LAST_RULE, key_of(0), &n, sizeof(n));
	if (writer == WRITER_COMMITS_TWICE)
		(void)store_commit(s);
	(void)store_outbox_put(s, line, a.line_len);
	store_count_put(s, COUNT_RULE, key_of(n), &n, sizeof(n));
	if (n > KEPT) {
		store_alert_drop(s, key_of(n - KEPT));
		store_count_put(s, COUNT_RULE, key_of(n - KEPT), NULL, 0);
		store_outbox_drop(s, s->outbox_number - KEPT);
	}
}

/* In every other round the log is copied at each commit, so that the kill also falls into that. */
_Noreturn static void child(const char *path, uint64_t n, int reports, bool copy, enum writer writer)
{
	struct store *s;
	char err[256];

	if (store_open(&s, path, err, sizeof(err)))
		_exit(1);
	while (n++ < UINT64_MAX) {
		write_one(s, n, writer);
		if (writer == WRITER_REPORTS_EARLY && write(reports, &n, sizeof(n)) != sizeof(n))
			_exit(2);
		if (store_commit(s))
			_exit(3);
		if (writer != WRITER_REPORTS_EARLY && write(reports, &n, sizeof(n)) != sizeof(n))
			_exit(4);
		if (copy)
			(void)sqlite3_wal_checkpoint_v2(s->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
	}
	_exit(0);
}

static void spin(long ns)
{
	struct timespec from, now;

	clock_gettime(CLOCK_MONOTONIC, &from);
	do
		clock_gettime(CLOCK_MONOTONIC, &now);
	while ((now.tv_sec - from.tv_sec) * 1000000000L + now.tv_nsec - from.tv_nsec < ns);
}

/* Lets a child write from transaction n + 1 on, kills it, and returns the last transaction that it has reported. */
static uint64_t kill_one(const char *path, uint64_t n, bool copy, enum writer writer)
{
	unsigned wanted = 1 + (unsigned)random() % REPORTS_MAX;
	int ends[2], status;
	uint64_t got;
	pid_t pid;

	assert_int_equal(pipe(ends), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		close(ends[0]);
		child(path, n, ends[1], copy, writer);
	}
	close(ends[1]);
	while (wanted-- > 0 && read(ends[0], &got, sizeof(got)) == sizeof(got))
		n = got;
	spin(random() % SPIN_MAX);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	while (read(ends[0], &got, sizeof(got)) == sizeof(got))
		n = got;
	close(ends[0]);
	return n;
}

/* ---- what is there ---- */

struct found {
	uint64_t last; /* of COUNT_LAST_RULE */
	uint64_t alerts, alert_sum, lines, counts, count_sum;
};

static void find_alert(void *arg, const struct store_alert *a)
{
	struct found *f = arg;

	f->alerts++;
	f->alert_sum += a->key.low;
}

static void find_line(void *arg, uint64_t number, const char *line, size_t len)
{
	(void)number;
	((struct found *)arg)->lines += len > 0 && line[len - 1] == '\n';
}

static void find_count(void *arg, struct lru_key key, const void *value, size_t len)
{
	struct found *f = arg;
	uint64_t n = 0;

	if (len == sizeof(n))
		memcpy(&n, value, sizeof(n));
	f->counts += n == key.low;
	f->count_sum += n;
}

static void find_last(void *arg, struct lru_key key, const void *value, size_t len)
{
	(void)key;
	if (len == sizeof(uint64_t))
		memcpy(&((struct found *)arg)->last, value, sizeof(uint64_t));
}

/* Everything up to a transaction that is not before `reported`, and nothing else. */
static bool as_it_should_be(struct store *s, uint64_t reported, uint64_t *last)
{
	struct found f = {0};
	uint64_t n, sum;

	store_alerts(s, find_alert, &f);
	store_outbox(s, find_line, &f);
	store_counts(s, COUNT_RULE, find_count, &f);
	store_counts(s, COUNT_LAST_RULE, find_last, &f);
	*last = f.last;
	n = f.last < KEPT ? f.last : KEPT;
	sum = n * f.last - n * (n - 1) / 2 * (n > 0);
	return f.last >= reported && f.alerts == n && f.lines == n && f.counts == n && f.alert_sum == sum &&
	       f.count_sum == sum && store_failures(s) == 0;
}

/* Rounds until something is wrong; KILLS: nothing ever was. store_open() checks the database, and sets a damaged one aside. */
static unsigned rounds(enum writer writer)
{
	struct store_rig r;
	char bad[128];
	uint64_t last = 0;
	unsigned i;
	bool right = true;

	/* A kill leaves the kernel's memory as it is, so that of a disk need not be waited for. */
	store_rig_new_in(&r, access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	snprintf(bad, sizeof(bad), "%s.bad", r.path);
	for (i = 0; i < KILLS; i++) {
		uint64_t reported = kill_one(r.path, last, i % 2, writer);

		store_rig_open(&r);
		right = as_it_should_be(r.s, reported, &last) && access(bad, F_OK) < 0;
		if (!right)
			break;
		/* Of half the rounds the next one finds the log as the kill left it, read through but not copied. */
		store_schema_close(r.s, i & 2);
		free(r.s->path);
		free(r.s);
		r.s = NULL;
	}
	assert_true(last > 0);
	store_rig_remove(&r);
	return i;
}

static void test_killed(void **state)
{
	(void)state;
	assert_int_equal(rounds(WRITER_RIGHT), KILLS);
}

static void test_finds_a_lost_commit(void **state)
{
	(void)state;
	assert_true(rounds(WRITER_REPORTS_EARLY) < KILLS);
}

static void test_finds_a_half(void **state)
{
	(void)state;
	assert_true(rounds(WRITER_COMMITS_TWICE) < KILLS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_killed),
		cmocka_unit_test(test_finds_a_lost_commit),
		cmocka_unit_test(test_finds_a_half),
	};

	log_init("test_store_kill", LOG_LEVEL_ERROR);
	srandom(4711);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
