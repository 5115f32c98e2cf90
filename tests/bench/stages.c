/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What each stage of a packet's way costs, of the probe's own code in one process: the whole file is gone through once for each
 * stage, with all stages before it, and what one run takes longer than the one before is that stage's. Each run is a child of its
 * own, so that each finds the same memory and an nDPI that has seen nothing; the least of the rounds counts. As in the probe, flows
 * are in memory that would outlive the process, with a journal, and only what the standard template has is looked for.
 *
 *   stages FILE [PROTOCOLS_FILE [ROUNDS]]     prints one JSON object
 *
 * "table" finds and ends flows, guesses by port and address, and makes no records; "classify" gives packets to nDPI as well; "record"
 * fills records; "export" copies, checks, names and encodes them as IPFIX of the standard template. Not in it: the sample of packets
 * that come twice, the ring's way from one processor to another, writing, and two processes. `allocations` are calls of malloc() and its kin that our own code makes
 * meanwhile; those that a library makes are not counted.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "capture/capture.h"
#include "export/complete.h"
#include "flow/flow_tracker.h"
#include "record/ipfix_writer.h"

#define STAGES_BATCH 512
#define STAGES_FLOWS 3000000

enum stage { STAGE_READ, STAGE_DECODE, STAGE_TABLE, STAGE_CLASSIFY, STAGE_RECORD, STAGE_EXPORT, STAGE_COUNT };
static const char *const stage_names[STAGE_COUNT] = {"read", "decode", "table", "classify", "record", "export"};

struct run {
	double seconds;
	uint64_t packets;
	uint64_t records;
	uint64_t octets; /* of messages */
	unsigned long allocations;
};

struct stages {
	enum stage last;
	struct run run;
	struct flow_tracker tracker;
	struct shared_worker shared;
	struct l7_record slot;
	struct l7_record record;
	struct exporter_names names;
	struct exporter_config config;
	struct ipfix_writer *writer;
	struct community_ids *ids;
};

/* Calls from this program's own code while `counting`. */
extern const char __executable_start, etext;
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *p, size_t size);
static bool counting;
static unsigned long allocations;

static bool is_ours(const void *caller)
{
	return counting && (const char *)caller >= &__executable_start && (const char *)caller < &etext;
}

void *malloc(size_t size)
{
	allocations += is_ours(__builtin_return_address(0));
	return __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
	allocations += is_ours(__builtin_return_address(0));
	return __libc_calloc(n, size);
}

void *realloc(void *p, size_t size)
{
	allocations += is_ours(__builtin_return_address(0));
	return __libc_realloc(p, size);
}

static void die(const char *what)
{
	fprintf(stderr, "stages: %s\n", what);
	exit(2);
}

static double cpu_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static struct l7_record *stages_reserve(void *arg)
{
	struct stages *s = arg;

	return s->last >= STAGE_RECORD ? &s->slot : NULL;
}

static void stages_commit(void *arg)
{
	struct stages *s = arg;

	s->run.records++;
	if (s->last < STAGE_EXPORT)
		return;
	if (!complete_copy(&s->record, &s->slot))
		die("a record is refused");
	complete_fill(&s->record, &s->config, &(struct complete){s->ids, NULL, NULL});
	if (ipfix_writer_add(s->writer, &s->record))
		die("a record is not encoded");
}

static uint64_t stages_made(void *arg)
{
	const struct stages *s = arg;

	return s->run.records;
}

static void stages_message(void *arg, uint8_t *data, size_t len, uint32_t records)
{
	struct stages *s = arg;

	(void)data;
	(void)records;
	s->run.octets += len;
}

struct stages_packet {
	enum decode_result decoded;
	struct flow_lookup lookup;
	struct packet packet;
};

static void stages_decode(const struct stages *s, const struct capture_frame *f, struct stages_packet *d)
{
	d->packet.tunnels_max = 0;
	d->decoded = decode_frame(f->link, f->data, f->captured, f->wire, &d->packet);
	d->packet.time_ms = f->time_ms;
	d->packet.us = f->us;
	d->packet.interface = 0;
	if (s->last >= STAGE_TABLE && d->decoded == DECODE_OK)
		flow_tracker_expect(&s->tracker, &d->lookup, &d->packet);
}

static void stages_packet(struct stages *s, const struct capture_frame *f, struct stages_packet *d)
{
	struct flow_journal *j = &s->tracker.store.head->journal;

	flow_frame_note(&j->frame, d->decoded, f->wire, SHARED_INTERFACES_MAX, &s->shared);
	if (d->decoded == DECODE_OK)
		flow_tracker_expected(&s->tracker, &d->packet, &d->lookup);
	flow_frame_do(&j->frame, &s->shared);
	flow_journal_set(&j->stage, FLOW_STAGE_NONE);
}

/* As in worker.c. */
static void stages_frames(void *arg, const struct capture_frame *frames, unsigned n)
{
	struct stages_packet packets[CAPTURE_TOGETHER];
	struct stages *s = arg;

	s->run.packets += n;
	for (unsigned i = 0; s->last >= STAGE_DECODE && i < n; i++)
		stages_decode(s, &frames[i], &packets[i]);
	if (s->last < STAGE_TABLE)
		return;
	for (unsigned i = 0; n > 1 && i < n; i++)
		if (packets[i].decoded == DECODE_OK)
			flow_table_prefetch_flow(&s->tracker.table, packets[i].lookup.hash);
	for (unsigned i = 0; i < n; i++)
		stages_packet(s, &frames[i], &packets[i]);
}

static void stages_start(struct stages *s, struct dpi_module *dpi)
{
	static struct profile profile;
	struct flow_tracker_config tracker = {
		.max_flows = STAGES_FLOWS, .idle_ms = 15000, .active_ms = 60000, .seed = 1};
	struct ipfix_writer_config writer = {
		.profile = &profile, .domain = 1, .pen = L7_PEN_OWN, .message_max = 32768, .data = {stages_message, s}};
	struct uri output;
	char err[256];

	if (uri_parse(&output, "ipfix+file:///dev/null", err, sizeof(err)))
		die(err);
	exporter_wants(&output, 1, "standard", tracker.wanted);
	uri_deinit(&output);
	memcpy(s->config.wanted, tracker.wanted, sizeof(tracker.wanted));
	dpi_module_want(dpi, tracker.wanted);
	tracker.store = flow_store_new(STAGES_FLOWS);
	s->config.names = &s->names;
	s->config.exporter = "bench";
	s->shared.dpi_off = s->last < STAGE_CLASSIFY;
	if (profile_load(&profile, "standard", err, sizeof(err)) ||
	    ipfix_writer_new(&s->writer, &writer, err, sizeof(err)))
		die(err);
	s->ids = community_ids_new();
	if (!s->ids)
		die("no memory");
	if (flow_tracker_init(&s->tracker, &tracker, dpi, &s->shared,
			      (struct flow_sink){stages_reserve, stages_commit, stages_made, s}))
		die("no memory for flows");
	close(tracker.store);
}

/* As worker_files.c goes through a file. */
static void stages_run(struct stages *s, struct dpi_module *dpi, const char *path)
{
	struct capture *file;
	char err[512];
	double start;
	int n = 0;

	stages_start(s, dpi);
	if (capture_open_file(&file, path, NULL, err, sizeof(err)))
		die(err);
	start = cpu_seconds();
	counting = true;
	while (n >= 0) {
		n = capture_read(file, STAGES_BATCH, stages_frames, s);
		if (s->last >= STAGE_TABLE)
			flow_tracker_expire(&s->tracker, 0, UINT32_MAX);
	}
	if (s->last >= STAGE_TABLE)
		flow_tracker_flush(&s->tracker);
	ipfix_writer_flush(s->writer);
	counting = false;
	s->run.seconds = cpu_seconds() - start;
	s->run.allocations = allocations;
	capture_close(file);
}

/* One run in a child, which says how it went through a pipe. */
static struct run stages_child(enum stage last, struct dpi_module *dpi, const struct exporter_names *names,
			       const char *path)
{
	struct run run;
	int ends[2], status;
	pid_t pid;

	if (pipe(ends) || (pid = fork()) < 0)
		die("cannot fork");
	if (pid == 0) {
		struct stages *s = calloc(1, sizeof(*s));

		if (!s)
			die("no memory");
		s->last = last;
		s->names = *names;
		stages_run(s, dpi, path);
		_exit(write(ends[1], &s->run, sizeof(s->run)) == sizeof(s->run) ? 0 : 1);
	}
	close(ends[1]);
	if (read(ends[0], &run, sizeof(run)) != sizeof(run) || waitpid(pid, &status, 0) != pid || status)
		die("a run failed");
	close(ends[0]);
	return run;
}

static struct exporter_names stages_names(struct dpi_module *dpi)
{
	static _Atomic uint32_t n_apps;
	struct exporter_names n = {.n_apps = &n_apps, .n_categories = dpi_category_count(dpi)};

	n_apps = dpi_app_count(dpi);
	n.apps = calloc(n_apps, sizeof(*n.apps));
	n.categories = calloc(n.n_categories, sizeof(*n.categories));
	if (!n.apps || !n.categories)
		die("no memory");
	for (uint32_t i = 0; i < n_apps; i++)
		n.apps[i] = dpi_app_name(dpi, i);
	for (uint32_t i = 0; i < n.n_categories; i++)
		n.categories[i] = dpi_category_name(dpi, i);
	return n;
}

static void stages_print(const struct run *best)
{
	const struct run *all = &best[STAGE_COUNT - 1];
	double before = 0;

	printf("{\"packets\":%llu,\"records\":%llu,\"octets_out\":%llu,\"allocations\":%lu,\"ns_per_"
	       "packet\":{",
	       (unsigned long long)all->packets, (unsigned long long)all->records, (unsigned long long)all->octets,
	       all->allocations);
	for (int i = 0; i < STAGE_COUNT; i++) {
		printf("\"%s\":%.1f,", stage_names[i], (best[i].seconds - before) * 1e9 / (double)all->packets);
		before = best[i].seconds;
	}
	printf("\"all\":%.1f}}\n", all->seconds * 1e9 / (double)all->packets);
}

int main(int argc, char **argv)
{
	int rounds = argc > 3 ? atoi(argv[3]) : 5;
	struct run best[STAGE_COUNT] = {{0}};
	struct exporter_names names;
	struct dpi_module *dpi;
	char err[256];

	if (argc < 2)
		die("usage: stages FILE [PROTOCOLS_FILE [ROUNDS]]");
	if (dpi_module_new(&dpi, &(struct dpi_files){.protocols = argc > 2 ? argv[2] : NULL}, err, sizeof(err)))
		die(err);
	names = stages_names(dpi);
	for (int round = 0; round < rounds; round++)
		for (int i = 0; i < STAGE_COUNT; i++) {
			struct run run = stages_child((enum stage)i, dpi, &names, argv[1]);

			if (round == 0 || run.seconds < best[i].seconds)
				best[i] = run;
		}
	if (best[STAGE_COUNT - 1].packets == 0)
		die("no packets");
	stages_print(best);
	dpi_module_free(dpi);
	return 0;
}
