/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A spool whose process, disk or machine dies at any call that it makes. What it has said to be durable comes out of the next one, in
 * order, as it was put. Each test is shown to find the mistakes of spool_faults.h that are of its kind.
 *
 * L7_SPOOL_SEEDS is how many power losses are tried at each call (3; ./dev soak has more).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "spool/spool_faults.h"
#include "spool_rig.h"

#define STORY_BATCHES 150

/* What was known of the spool when so many calls had been made. */
struct known {
	size_t calls;
	uint64_t synced;
	uint64_t acked; /* with all before it */
	uint64_t put;
};

struct story {
	struct rig_batch batches[RIG_BATCHES];
	struct known known[RIG_BATCHES * 8];
	size_t n_known;
	uint64_t synced, acked, put, read;
	uint64_t now;
	struct known *shared; /* of a process that will be killed, or NULL */
};

static struct story story;

static void story_know(struct story *t, const struct spool *s)
{
	struct known k = {rig_calls(), spool_synced(s), t->acked, t->put};

	if (t->n_known < sizeof(t->known) / sizeof(t->known[0]))
		t->known[t->n_known++] = k;
	if (t->shared)
		*(volatile struct known *)t->shared = k;
}

static void story_read(struct story *t, struct spool *s, int n)
{
	struct spool_batch b;

	for (int i = 0; i < n && spool_next(s, &b) == 0; i++) {
		assert_true(spool_fault_now || b.seq == t->read + 1);
		assert_true(spool_fault_now || b.seq <= spool_synced(s) || spool_counters(s)->memory);
		assert_true(spool_fault_now || rig_same(&b, t->batches));
		t->read = b.seq;
	}
}

/* Acknowledges some, the second before the first. */
static void story_ack(struct story *t, struct spool *s, uint64_t n)
{
	for (uint64_t i = 0; i < n && t->acked + 2 <= t->read; i++) {
		(void)spool_ack(s, t->acked + 2);
		(void)spool_ack(s, t->acked + 1);
		t->acked += 2;
		story_know(t, s);
	}
}

static void story_step(struct story *t, struct spool *s)
{
	t->now += 60;
	spool_step(s, t->now);
	story_know(t, s);
}

static struct spool *story_open(struct story *t, const char *path, bool thread)
{
	struct spool_config c;
	struct spool *s;
	char err[256];

	rig_config(&c, path);
	c.no_thread = !thread;
	if (spool_open(&s, &c, t->now, err, sizeof(err)))
		return NULL;
	return s;
}

/* Puts, reads, acknowledges; `from` is the number of batches put by those before. */
static void story_run(struct story *t, struct spool *s, uint32_t seed, int batches)
{
	for (int i = 0; i < batches; i++) {
		uint64_t seq;
		int rc = rig_put(s, t->batches, rig_random(&seed), 1 + rig_random(&seed) % 8000, &seq);

		if (rc == 0)
			t->put = seq;
		if (rig_random(&seed) % 3)
			story_step(t, s);
		story_read(t, s, (int)(rig_random(&seed) % 4));
		if (i % 40 > 20)
			story_ack(t, s, rig_random(&seed) % 4);
	}
	for (int i = 0; i < 5; i++)
		story_step(t, s);
}

/* All calls of a spool that is killed in the middle and opened again, so that what a dead process has left is synced or not, too. */
static void story_tell(struct story *t, uint32_t seed)
{
	const char *path = rig_disk_new();
	struct spool *s;

	memset(t, 0, sizeof(*t));
	s = story_open(t, path, false);
	assert_non_null(s);
	story_run(t, s, seed, STORY_BATCHES / 2);
	for (int i = 0; i < 3 && rig_put(s, t->batches, seed + (uint32_t)i, 3000, &t->put) == 0; i++)
		story_step(t, s); /* written, and not due to be synced */
	rig_kill(s);
	s = story_open(t, path, false);
	assert_non_null(s);
	t->put = spool_synced(s);
	t->read = t->acked;
	story_know(t, s);
	/* What was acknowledged and not noted comes again. */
	for (struct spool_batch b; spool_next(s, &b) == 0;) {
		t->read = b.seq;
		if (b.seq <= t->acked)
			(void)spool_ack(s, b.seq);
		if (b.seq >= t->acked)
			break;
	}
	story_run(t, s, seed + 1, STORY_BATCHES / 2);
	rig_kill(s);
}

/* What must be there if all ends in call k. */
static struct known story_known(const struct story *t, size_t k)
{
	struct known out = {0};

	for (size_t i = 0; i < t->n_known && t->known[i].calls <= k; i++) {
		out.acked = t->known[i].acked;
		if (t->known[i].synced > out.synced)
			out.synced = t->known[i].synced;
	}
	return out;
}

/* Reads all; the words say what is wrong, NULL nothing. */
static const char *story_recovers(const struct story *t, const char *path, struct known known)
{
	static struct rig_batch batches[RIG_BATCHES];
	struct spool_batch b;
	struct spool *s = story_open(&story, path, false);
	const char *wrong = NULL;
	uint64_t last = 0, need = known.acked + 1, seq, first_new = 0;

	if (!s)
		return "it does not open";
	memcpy(batches, t->batches, sizeof(batches));
	while (!wrong && spool_next(s, &b) == 0) {
		if (b.seq <= last)
			wrong = "one comes twice, or out of order";
		else if (!rig_same(&b, batches))
			wrong = "one is another than was put";
		else if (b.seq > need && need <= known.synced)
			wrong = "one that was durable is missing";
		last = b.seq;
		if (b.seq >= need)
			need = b.seq + 1;
		(void)spool_ack(s, b.seq);
	}
	if (!wrong && need <= known.synced)
		wrong = "the last that was durable is missing";
	if (!wrong && spool_counters(s)->lost_missing)
		wrong = "something is said to be missing";
	for (int i = 0; i < 8 && !wrong; i++) {
		if (rig_put(s, batches, (uint32_t)i + 77, 3000, &seq) || seq <= known.acked || seq <= known.synced)
			wrong = "a number is given twice";
		first_new = first_new ? first_new : seq;
	}
	for (int i = 0; i < 5 && !wrong; i++)
		spool_step(s, story.now += 100);
	for (; !wrong && spool_next(s, &b) == 0; first_new++)
		if (b.seq != first_new || !rig_same(&b, batches))
			wrong = "one put after recovery is another";
	if (!wrong && first_new != seq + 1)
		wrong = "one put after recovery does not come";
	rig_kill(s);
	return wrong;
}

static unsigned story_seeds(void)
{
	const char *n = getenv("L7_SPOOL_SEEDS");

	return n ? (unsigned)strtoul(n, NULL, 10) : 3;
}

/* ---- the power goes ---- */

/* Losses found; stops at the first if `one`. */
static unsigned power_losses(uint32_t seed, unsigned seeds, bool one)
{
	unsigned found = 0, tried = 0;
	size_t calls;

	story_tell(&story, seed);
	calls = rig_calls();
	for (size_t k = 0; k <= calls; k++) {
		struct known known = story_known(&story, k);

		for (uint32_t i = 0; i < seeds; i++, tried++) {
			const char *wrong =
				story_recovers(&story, rig_after_power_loss(k, seed + i * 1000 + (uint32_t)k), known);

			if (!wrong)
				continue;
			if (!found++ && !spool_fault_now)
				fprintf(stderr, "power loss at call %zu of %zu, seed %u: %s\n", k, calls, i, wrong);
			if (one)
				return found;
		}
	}
	print_message("%u power losses at %zu calls, %u with a loss\n", tried, calls, found);
	return found;
}

static void test_power_loss(void **state)
{
	(void)state;
	spool_fault_now = SPOOL_FAULT_NONE;
	for (uint32_t seed = 1; seed <= 1 + story_seeds() / 20; seed++)
		assert_int_equal(power_losses(seed, story_seeds(), false), 0);
}

static void test_power_loss_finds_mistakes(void **state)
{
	static const enum spool_fault faults[] = {
		SPOOL_FAULT_NO_SYNC,   SPOOL_FAULT_NO_SYNC_OLD,      SPOOL_FAULT_NO_SYNC_FOLDER, SPOOL_FAULT_EARLY,
		SPOOL_FAULT_LAST_ONLY, SPOOL_FAULT_NO_RECOVERY_SYNC, SPOOL_FAULT_NO_CRC};

	(void)state;
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
		unsigned found = 0;

		spool_fault_now = faults[i];
		for (uint32_t seed = 1; seed < 6 && !found; seed++)
			found = power_losses(seed, 3, true);
		spool_fault_now = SPOOL_FAULT_NONE;
		if (!found)
			fail_msg("mistake %d is not found", (int)faults[i]);
	}
}

/* ---- a process is killed ---- */

static unsigned kills(uint32_t seed)
{
	unsigned found = 0;
	size_t calls;

	story_tell(&story, seed);
	calls = rig_calls();
	for (size_t k = 0; k <= calls; k++) {
		struct known known = story_known(&story, k);
		const char *wrong = story_recovers(&story, rig_after_kill(k), known);

		if (!wrong)
			continue;
		if (!found++ && !spool_fault_now)
			fprintf(stderr, "killed at call %zu of %zu: %s\n", k, calls, wrong);
	}
	return found;
}

static void test_kill(void **state)
{
	(void)state;
	assert_int_equal(kills(11), 0);
	for (int fault = SPOOL_FAULT_NONE + 1; fault < SPOOL_FAULTS; fault++) {
		unsigned found;

		if (fault != SPOOL_FAULT_EARLY && fault != SPOOL_FAULT_LAST_ONLY)
			continue; /* a kernel that lives on needs no sync */
		spool_fault_now = (enum spool_fault)fault;
		found = kills(11);
		spool_fault_now = SPOOL_FAULT_NONE;
		if (!found)
			fail_msg("mistake %d is not found", fault);
	}
}

_Noreturn static void child(struct story *t, const char *path, size_t n, bool thread)
{
	struct spool *s;

	rig_die(n);
	s = story_open(t, path, thread);
	if (!s)
		_exit(1);
	story_run(t, s, 21, STORY_BATCHES);
	if (thread) /* else nothing waits for the disk here */
		spool_close(s);
	_exit(0);
}

/* A process of its own that gets SIGKILL in its n-th call. Returns whether it came so far. */
static bool kill_for_real(struct story *t, size_t n, bool thread)
{
	const char *path = rig_disk_new(), *wrong;
	struct known known;
	int status;
	pid_t pid;

	memset(t->shared, 0, sizeof(*t->shared));
	t->acked = t->put = t->read = t->n_known = 0;
	pid = fork();
	assert_true(pid >= 0);
	if (!pid)
		child(t, path, n, thread);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	known = *t->shared;
	if (!WIFSIGNALED(status)) {
		assert_int_equal(status, 0);
		return false;
	}
	/* What the child put is a function of the seed alone. */
	wrong = story_recovers(t, path, known);
	if (wrong)
		fail_msg("killed in call %zu%s: %s", n, thread ? " of a thread" : "", wrong);
	return true;
}

static void test_kill_for_real(void **state)
{
	static struct story t;
	size_t n = 1, reached = 0;
	struct spool *s;

	(void)state;
	/* Once without a kill: what is put. */
	s = story_open(&t, rig_disk_new(), false);
	story_run(&t, s, 21, STORY_BATCHES);
	spool_close(s);
	t.shared = mmap(NULL, sizeof(*t.shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(t.shared, MAP_FAILED);
	for (; kill_for_real(&t, n, false); n++)
		reached++;
	assert_true(reached > 200);
	for (n = 1; n < 300 && kill_for_real(&t, n, true); n += 7)
		;
	munmap(t.shared, sizeof(*t.shared));
}

/* ---- calls fail ---- */

struct errors {
	struct rig_batch batches[RIG_BATCHES];
	uint64_t now, last, records, got;
	const char *wrong;
};

static void errors_put(struct errors *t, struct spool *s, uint32_t seed)
{
	uint64_t seq;

	if (rig_put(s, t->batches, seed, 1 + seed % 9000, &seq) == 0)
		t->records += t->batches[seq].records;
}

static void errors_read(struct errors *t, struct spool *s, int n)
{
	struct spool_batch b;

	while (n-- && !t->wrong && spool_next(s, &b) == 0) {
		if (b.seq <= t->last)
			t->wrong = "one comes twice, or out of order";
		else if (!rig_same(&b, t->batches))
			t->wrong = "one is another than was put";
		t->last = b.seq;
		t->got += b.records;
		(void)spool_ack(s, b.seq);
	}
}

static void errors_settle(struct errors *t, struct spool *s, int steps)
{
	while (steps-- && !t->wrong && (!spool_settled(s) || spool_pending(s))) {
		spool_step(s, t->now += 300);
		errors_read(t, s, -1);
	}
}

static void errors_check(struct errors *t, struct spool *s, size_t times, int error)
{
	const struct spool_counters *k = spool_counters(s);
	uint64_t lost = k->lost_damaged + k->lost_missing + k->dropped_disk;

	if (t->wrong)
		return;
	if (t->got + lost != t->records)
		t->wrong = "records are neither there nor counted";
	/* What cannot be read for ten seconds is passed over; what is short is waited for. */
	else if (lost && error != ENOSPC && (times < 60 || error == EMFILE || error == EINTR))
		t->wrong = "records are lost";
	else if (k->damaged && times < 60)
		t->wrong = "a file is damaged";
	else if (!spool_settled(s) || k->memory)
		t->wrong = "it has not come back";
}

/* All that is put comes out once and in order, or is counted as lost, whatever fails. */
static const char *errors_run(uint32_t seed, size_t n, size_t times, int error)
{
	static struct errors t;
	struct spool_config c;
	struct spool *s;
	char err[256];
	int tries = 0;

	memset(&t, 0, sizeof(t));
	rig_config(&c, rig_disk_new());
	rig_fail(n, times, error);
	while (spool_open(&s, &c, 0, err, sizeof(err)))
		if (++tries > 100)
			return "it does not open";
	for (uint32_t i = 0; i < 60; i++) {
		errors_put(&t, s, seed + i * 7);
		spool_step(s, t.now += 60);
		if (i % 20 > 10)
			errors_read(&t, s, 3);
	}
	errors_settle(&t, s, 400);
	rig_fail(0, 0, 0);
	errors_put(&t, s, 3);
	errors_settle(&t, s, 50);
	errors_check(&t, s, times, error);
	spool_close(s);
	return t.wrong;
}

static void test_errors(void **state)
{
	static const int errors[] = {ENOSPC, EIO, EINTR, EMFILE, EROFS, EACCES, 0};
	static const size_t times[] = {1, 2, 9, 60};
	unsigned tried = 0;

	(void)state;
	assert_null(errors_run(5, 0, 0, 0));
	for (size_t n = 1, calls = rig_reached(); n <= calls; n++)
		for (size_t e = 0; e < sizeof(errors) / sizeof(errors[0]); e++, tried++) {
			size_t many = times[(n + e) % 4];
			const char *wrong = errors_run(5, n, errors[e] == 0 ? 1 : many, errors[e]);

			if (wrong)
				fail_msg("%zu calls from %zu on: %s: %s", many, n, strerror(errors[e]), wrong);
		}
	print_message("%u errors\n", tried);
}

/* A failed sync leaves nothing of what it was to save. */
static unsigned failed_syncs(void)
{
	unsigned found = 0;

	for (unsigned at = 1; at < 12; at++) {
		struct story *t = &story;
		struct known known;
		struct spool *s;

		memset(t, 0, sizeof(*t));
		s = story_open(t, rig_disk_new(), false);
		assert_non_null(s);
		story_run(t, s, at * 17, 8 + (int)at);
		rig_fail_syncs(1 + at % 2);
		story_run(t, s, at * 19, 15);
		known = (struct known){.synced = spool_synced(s), .acked = t->acked};
		spool_close(s);
		for (uint32_t seed = 0; seed < 5; seed++)
			found += story_recovers(t, rig_after_power_loss(rig_calls(), seed), known) != NULL;
	}
	return found;
}

static void test_failed_sync(void **state)
{
	(void)state;
	assert_int_equal(failed_syncs(), 0);
	spool_fault_now = SPOOL_FAULT_RETRY_SYNC;
	assert_true(failed_syncs() > 0);
	spool_fault_now = SPOOL_FAULT_NONE;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_power_loss), cmocka_unit_test(test_power_loss_finds_mistakes),
		cmocka_unit_test(test_kill),       cmocka_unit_test(test_kill_for_real),
		cmocka_unit_test(test_errors),     cmocka_unit_test(test_failed_sync),
	};

	return cmocka_run_group_tests(tests, rig_setup, rig_teardown);
}
