/* SPDX-License-Identifier: Apache-2.0 */
#include "exporter.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "export/complete.h"
#include "export/filter.h"
#include "export/group.h"
#include "export/output.h"

#define EXPORTER_BATCH 512 /* records of one ring before the others have their turn */
#define EXPORTER_NAP_MS 2  /* under load: the ring collects meanwhile, and the workers need not wake us */
#define EXPORTER_SAY_MS 60000
#define EXPORTER_LINGER_MS 5 /* a record waits at most this long for others to share its message */

struct exporter {
	const struct exporter_config *config;
	struct output outputs[SHARED_OUTPUTS_MAX];
	size_t n_outputs;
	struct groups groups;
	bool broken[SHARED_WORKERS_MAX]; /* rings that are not read any more */
	bool quiet;                      /* slept until there was something to do */
	uint64_t now_ms;
	uint64_t flushed_ms;
	uint64_t closed_ms; /* when all rings were first seen closed, 0 not yet */
	uint64_t stop_ms;   /* when we were told to stop, 0 not yet */
	int geo_socket;     /* -1: no files are handed over */
	struct complete with;
	struct l7_record record;
};

/* Whether writing to one path would destroy what is at the other. */
static bool exporter_same_file(const char *a, const char *b)
{
	struct stat x, y;

	if (*a != '/')
		return false;
	if (stat(a, &x)) /* not there yet */
		return strcmp(a, b) == 0;
	return S_ISREG(x.st_mode) && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* Whether both have the same directory for what waits. */
static bool exporter_same_spool(const struct uri *a, const struct uri *b)
{
	const char *one = uri_option(a, "spool"), *other = uri_option(b, "spool");
	struct stat x, y;

	if (!one || !other)
		return false;
	if (stat(one, &x) || stat(other, &y)) /* not there yet */
		return strcmp(one, other) == 0;
	return x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

int exporter_check_file(const struct uri *outputs, size_t n, const char *path, char *err, size_t err_size)
{
	for (size_t i = 0; i < n; i++)
		if (exporter_same_file(outputs[i].path, path)) {
			snprintf(err, err_size, "%s: the file is read too, or another output writes to it",
				 outputs[i].text);
			return -EINVAL;
		}
	return 0;
}

int exporter_check(const struct uri *outputs, size_t n, const char *template_name, char *err, size_t err_size)
{
	const struct uri *last = &outputs[n - 1];
	int rc = output_check(last, template_name, err, err_size);

	if (!rc)
		rc = group_check(outputs, n, err, err_size);
	for (size_t i = 0; !rc && i < n - 1; i++) {
		if (strcmp(last->path, "-") != 0 || strcmp(outputs[i].path, "-") != 0)
			continue;
		snprintf(err, err_size, "%s: another output writes to standard output already", last->text);
		rc = -EINVAL;
	}
	for (size_t i = 0; !rc && i < n - 1; i++)
		if (exporter_same_spool(last, &outputs[i])) {
			snprintf(err, err_size, "%s: another output has this spool already", last->text);
			rc = -EINVAL;
		}
	return rc ? rc : exporter_check_file(outputs, n - 1, last->path, err, err_size);
}

void exporter_wants(const struct uri *outputs, size_t n, const char *template_name, uint64_t wanted[2])
{
	wanted[0] = wanted[1] = 0;
	for (size_t i = 0; i < n; i++)
		output_wants(&outputs[i], template_name, wanted);
}

static void exporter_look_at_clock(struct exporter *e)
{
	e->now_ms = clock_mono_ms();
	if (!e->stop_ms && shared_get(&e->config->shared->stopping))
		e->stop_ms = e->now_ms;
}

/*
 * True if the output may still hold up the end, or the rings: not once it had its time, which begins when there are no more
 * records, or when we are told to stop. Until then pacing on purpose takes the time it takes, and so does a file that is
 * read to its end: there the time begins anew with all that is sent, and who reads a pipe (`| less`) may take any.
 */
static bool exporter_has_time(const struct exporter *e, const struct output *o)
{
	bool paced = o->options.rate || e->config->lossless;
	uint64_t since = o->progress_ms;

	if (e->stop_ms)
		since = e->stop_ms;
	else if (e->config->lossless && o->patient)
		return true;
	else if (e->closed_ms && (!paced || since < e->closed_ms))
		since = e->closed_ms;
	return e->now_ms - since < e->config->drain_timeout_ms || e->now_ms < since;
}

/*
 * Reading files, and at the end: true if a record taken now would be dropped by an output that can be waited for, or it is not known
 * yet who of a group is there.
 */
static bool exporter_held(const struct exporter *e)
{
	if (!e->config->lossless && !e->stop_ms)
		return false;
	if (!e->stop_ms && groups_starting(&e->groups, e->now_ms))
		return true;
	for (size_t i = 0; i < e->n_outputs; i++) {
		const struct output *o = &e->outputs[i];

		if (!o->dead && o->ops->full(o) && group_serves(o) && exporter_has_time(e, o))
			return true;
	}
	return false;
}

static void exporter_give(struct output *o, struct l7_record *r)
{
	if (!group_gives(o))
		return;
	if (o->filter && !filter_wants(o->filter, r)) {
		shared_add(&o->counters->filtered, 1);
		return;
	}
	r->stream_id = o->stream_id;
	r->record_sequence = o->sequence++;
	o->plain = r;
	shared_add(&o->counters->records, 1);
	if (o->dead)
		shared_add(&o->counters->dropped, 1);
	else
		o->ops->record(o, o->anonymize ? anonymize_record(o->anonymize, r) : r);
}

/* Cut by the active timeout, and no packet came since its early record: that one has said it all. */
static bool exporter_says_nothing(const struct l7_record *r)
{
	return !r->packets && !r->rev_packets && !(r->state & (L7_STATE_EARLY | L7_STATE_LAST));
}

/* Those that take early records get everything as it is; for the others the later record says it all. */
static void exporter_spread(struct exporter *e)
{
	struct l7_record *r = &e->record;
	bool nothing = exporter_says_nothing(r);

	groups_choose(&e->groups, r);
	for (size_t i = 0; i < e->n_outputs; i++)
		if (e->outputs[i].early && !nothing)
			exporter_give(&e->outputs[i], r);
	if (r->state & L7_STATE_EARLY)
		return;
	l7_record_fold(r);
	for (size_t i = 0; i < e->n_outputs; i++)
		if (!e->outputs[i].early)
			exporter_give(&e->outputs[i], r);
}

/* Takes records of one ring, at most a batch. Returns how many. */
static size_t exporter_take(struct exporter *e, size_t ring)
{
	struct ring *r = &e->config->rings[ring];
	struct shared_exporter *shared = e->config->shared;
	bool broken = false;
	size_t n = 0;

	while (n < EXPORTER_BATCH && !e->broken[ring] && !exporter_held(e)) {
		const void *slot = ring_peek(r, &broken);
		bool good;

		if (!slot)
			break;
		good = complete_copy(&e->record, slot);
		ring_release(r);
		n++;
		if (!good) {
			shared_add(&shared->refused, 1);
			continue;
		}
		shared_add(&shared->records, 1);
		complete_fill(&e->record, e->config, &e->with);
		exporter_spread(e);
	}
	if (broken) {
		e->broken[ring] = true;
		shared_add(&shared->refused, 1);
		log_error("exporter: the ring of worker %zu is damaged; it is not read any more", ring);
	}
	return n;
}

static bool exporter_all_closed(const struct exporter *e)
{
	for (size_t i = 0; i < e->config->n_rings; i++)
		if (!e->broken[i] && !ring_closed(&e->config->rings[i]))
			return false;
	return true;
}

static bool exporter_all_finished(struct exporter *e)
{
	for (size_t i = 0; i < e->config->n_rings; i++)
		if (!e->broken[i] && !ring_finished(&e->config->rings[i]))
			return false;
	return true;
}

static bool exporter_all_dead(const struct exporter *e)
{
	for (size_t i = 0; i < e->n_outputs; i++)
		if (!e->outputs[i].dead)
			return false;
	return true;
}

static void exporter_flush(struct exporter *e)
{
	e->flushed_ms = e->now_ms;
	for (size_t i = 0; i < e->n_outputs; i++)
		if (!e->outputs[i].dead)
			e->outputs[i].ops->flush(&e->outputs[i], e->now_ms);
}

/* Records that are lost, which is more than that an output cannot say them. */
static uint64_t exporter_lost(const struct output *o)
{
	return shared_get(&o->counters->dropped) - shared_get(&o->counters->dropped_ipv6);
}

/* That records are being dropped is said when it begins, and then once in a while. */
static void exporter_say_dropped(struct exporter *e, struct output *o)
{
	uint64_t dropped = exporter_lost(o);

	if (dropped == o->said_dropped || e->now_ms < o->say_ms)
		return;
	log_warn("%s: it takes less than is made; %llu records dropped so far", o->name, (unsigned long long)dropped);
	o->said_dropped = dropped;
	o->say_ms = e->now_ms + EXPORTER_SAY_MS;
}

static void exporter_step(struct exporter *e)
{
	for (size_t i = 0; i < e->n_outputs; i++) {
		struct output *o = &e->outputs[i];

		if (o->dead)
			continue;
		o->ops->step(o, e->now_ms);
		if (!o->dead)
			exporter_say_dropped(e, o);
	}
	groups_step(&e->groups, e->now_ms);
}

/* Waits for the outputs and, if asked, for the rings; at most `limit` milliseconds, -1 for no limit of ours. */
static void exporter_poll(struct exporter *e, bool rings, int limit)
{
	struct pollfd p[OUTPUT_FDS * SHARED_OUTPUTS_MAX + SHARED_WORKERS_MAX];
	nfds_t n = 0, first_ring;
	uint64_t count;

	limit = clock_sooner(limit, groups_wait(&e->groups));
	for (size_t i = 0; i < e->n_outputs; i++) {
		const struct output *o = &e->outputs[i];

		if (o->dead)
			continue;
		p[n] = p[n + 1] = (struct pollfd){.fd = -1};
		limit = clock_sooner(limit, o->ops->wait(o, e->now_ms, &p[n]));
		n += OUTPUT_FDS;
	}
	first_ring = n;
	/* Of finished rings too: one may have been closed since it was put to sleep, and said so here. */
	for (size_t i = 0; rings && i < e->config->n_rings; i++)
		if (!e->broken[i])
			p[n++] = (struct pollfd){.fd = e->config->rings[i].event, .events = POLLIN};
	if (poll(p, n, limit) <= 0)
		return;
	for (nfds_t i = first_ring; i < n; i++)
		if (p[i].revents & POLLIN && read(p[i].fd, &count, sizeof(count)) < 0)
			continue; /* another wake-up will come */
}

/* Sleeps until a worker has something; not at all if one has it already, or if none is left. */
static void exporter_sleep(struct exporter *e)
{
	const struct exporter_config *c = e->config;
	size_t awaited = 0;
	bool sleep = true;

	for (size_t i = 0; i < c->n_rings; i++) {
		if (e->broken[i] || ring_finished(&c->rings[i]))
			continue;
		sleep = ring_sleep(&c->rings[i]) && sleep;
		awaited++;
	}
	if (sleep && awaited)
		exporter_poll(e, true, -1);
	for (size_t i = 0; i < c->n_rings; i++)
		if (!e->broken[i])
			ring_awake(&c->rings[i]);
	e->quiet = true;
}

/* Set by a signal: the outputs look for their files anew. */
static volatile sig_atomic_t exporter_reopen_asked;

static void exporter_on_hangup(int number)
{
	(void)number;
	exporter_reopen_asked = 1;
}

/*
 * Before records are taken: those that come after the supervisor has said that there are new files are by them. What waits in the
 * socket is not there for long: the workers of a live capture wake us each tick.
 */
static void exporter_take_geo(struct exporter *e)
{
	struct geo *next;
	int rc;

	if (e->geo_socket < 0)
		return;
	while ((rc = geo_receive(&next, e->geo_socket)) == 0) {
		geo_free(e->with.geo);
		e->with.geo = next;
	}
	if (rc == -EAGAIN)
		return;
	if (rc != -EPIPE) /* that is: the supervisor is gone */
		log_error("exporter: new files of geoip cannot be taken, those before stay: %s", strerror(-rc));
	close(e->geo_socket); /* so that nothing waits here that nobody takes */
	e->geo_socket = -1;
}

/* Before records are taken: what is made after the signal is in the new files. */
static void exporter_reopen(struct exporter *e)
{
	if (!exporter_reopen_asked)
		return;
	exporter_reopen_asked = 0;
	exporter_look_at_clock(e);
	exporter_flush(e);
	for (size_t i = 0; i < e->n_outputs; i++) {
		struct output *o = &e->outputs[i];

		if (!o->dead && o->ops->reopen)
			o->ops->reopen(o, e->now_ms);
	}
}

/*
 * One round: records, then outputs, then a wait. After silence the first records go out at once; under load messages are
 * filled for EXPORTER_LINGER_MS; a round without records flushes and sleeps.
 */
static void exporter_round(struct exporter *e)
{
	size_t most = 0;

	exporter_reopen(e);
	exporter_take_geo(e);
	for (size_t i = 0; i < e->config->n_rings; i++) {
		size_t n = exporter_take(e, i);

		most = n > most ? n : most;
	}
	exporter_look_at_clock(e);
	if (!e->closed_ms && exporter_all_closed(e))
		e->closed_ms = e->now_ms;
	if (most == 0 || e->quiet || e->now_ms - e->flushed_ms >= EXPORTER_LINGER_MS)
		exporter_flush(e);
	exporter_step(e);
	if (most == EXPORTER_BATCH || exporter_all_finished(e) || exporter_all_dead(e))
		return;
	if (most == 0 && !exporter_held(e) && !e->closed_ms) {
		exporter_sleep(e);
		return;
	}
	e->quiet = false;
	exporter_poll(e, false, EXPORTER_NAP_MS);
}

/* All records are taken: what the outputs hold goes out, as long as each has time. */
static void exporter_drain(struct exporter *e)
{
	bool waiting = true;

	exporter_look_at_clock(e);
	if (!e->closed_ms)
		e->closed_ms = e->now_ms;
	exporter_flush(e);
	for (size_t i = 0; i < e->n_outputs; i++)
		if (!e->outputs[i].dead)
			e->outputs[i].ops->finish(&e->outputs[i], e->now_ms);
	while (waiting) {
		waiting = false;
		exporter_look_at_clock(e);
		exporter_step(e);
		for (size_t i = 0; i < e->n_outputs && !waiting; i++) {
			const struct output *o = &e->outputs[i];

			waiting = !o->dead && !o->ops->idle(o) && exporter_has_time(e, o);
		}
		if (waiting)
			exporter_poll(e, false, EXPORTER_NAP_MS);
	}
}

static int exporter_open(struct exporter *e)
{
	const struct exporter_config *c = e->config;
	char err[512];

	if (c->n_outputs > SHARED_OUTPUTS_MAX || c->n_rings > SHARED_WORKERS_MAX) {
		log_error("exporter: too many outputs or workers");
		return -EINVAL;
	}
	e->with.ids = community_ids_new();
	if (!e->with.ids) {
		log_error("exporter: no memory for community ids, or the library has no SHA-1");
		return -ENOMEM;
	}
	for (; e->n_outputs < c->n_outputs; e->n_outputs++) {
		int rc = output_open(&e->outputs[e->n_outputs], c, e->n_outputs, err, sizeof(err));

		if (rc) {
			log_error("%s", err);
			return rc;
		}
	}
	groups_init(&e->groups, e->outputs, e->n_outputs, e->now_ms);
	return 0;
}

/* Closes what is open. Returns the exit status: of files nothing may be lost, live what is dropped is counted. */
static int exporter_close(struct exporter *e, int status)
{
	for (size_t i = 0; i < e->n_outputs; i++) {
		struct output *o = &e->outputs[i];
		uint64_t dropped;

		o->ops->close(o);
		anonymize_free(o->anonymize);
		filter_free(o->filter);
		dropped = o->dead ? 0 : exporter_lost(o);
		if (dropped)
			log_warn("%s: %llu records could not be sent", o->name, (unsigned long long)dropped);
		if (shared_get(&o->counters->failed) || (dropped && e->config->lossless))
			status = 2;
	}
	community_ids_free(e->with.ids);
	geo_free(e->with.geo);
	return status;
}

void exporter_signals(void)
{
	static const int ignored[] = {SIGPIPE, SIGINT, SIGTERM};
	struct sigaction hangup = {.sa_handler = exporter_on_hangup}; /* without SA_RESTART: it ends a wait */

	for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		signal(ignored[i], SIG_IGN);
	sigaction(SIGHUP, &hangup, NULL);
}

int exporter_run(const struct exporter_config *c, int ready)
{
	struct exporter e = {.config = c,
			     .now_ms = clock_mono_ms(),
			     .geo_socket = c->geo ? c->geo_socket : -1,
			     .with = {.geo = c->geo, .vendors = c->vendors}};
	int rc;

	exporter_signals();
	if (exporter_open(&e))
		return exporter_close(&e, 2);
	rc = c->confine ? c->confine() : 0;
	if (rc) {
		log_error("exporter: it cannot give up its capabilities: %s", strerror(-rc));
		return exporter_close(&e, 2);
	}
	if (ready >= 0 && write(ready, "", 1) != 1) {
		log_error("exporter: the supervisor is gone");
		return exporter_close(&e, 2);
	}
	exporter_flush(&e);
	while (!exporter_all_finished(&e) && !exporter_all_dead(&e))
		exporter_round(&e);
	exporter_drain(&e);
	return exporter_close(&e, 0);
}
