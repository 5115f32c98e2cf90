/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Flows that outlive their worker. A child goes through a packet instruction by instruction; after each that changed something, what
 * it would leave if it died there is taken over, and the packet read again if it was not counted. What comes out in the
 * end is always the same. And a store with anything in it is taken over without harm.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "flow_plays.h"

#define START UINT64_C(1700000000000)
#define RECORDS 64
#define FRAGMENTS 4 /* places of each ring that are looked at */
#define DAMAGES 2000

/* What two processes share here: as a worker and the one after it do. */
struct scene {
	struct shared_worker shared;
	uint64_t made;
	struct l7_record records[RECORDS];
};

struct side {
	struct scene *scene;
	bool expires; /* before each frame, as before a batch of a file */
	struct flow_tracker t;
};

static bool measured;              /* all that can be */
static struct flow_sample sampled; /* flows */
static struct dpi_module *module;
static const struct flow_tracker_config usual = {
	.max_flows = FLOWS_MAX, .idle_ms = 15000, .active_ms = 60000, .early = true, .domain = 1, .seed = 42};

static int setup(void **state)
{
	char err[200];

	(void)state;
	return dpi_module_new(&module, &(struct dpi_files){0}, err, sizeof(err));
}

static int teardown(void **state)
{
	(void)state;
	dpi_module_free(module);
	return 0;
}

static struct l7_record *side_reserve(void *arg)
{
	struct scene *s = ((struct side *)arg)->scene;

	return &s->records[s->made % RECORDS];
}

static void side_commit(void *arg)
{
	struct scene *s = ((struct side *)arg)->scene;

	flow_journal_set((_Atomic uint32_t *)&s->made, (uint32_t)s->made + 1);
}

static uint64_t side_made(void *arg)
{
	return ((struct side *)arg)->scene->made;
}

static void side_open(struct side *s, struct scene *scene, int store)
{
	struct flow_tracker_config c = usual;

	c.store = store;
	c.wanted[0] = c.wanted[1] = measured ? UINT64_MAX : 0;
	c.flows = sampled;
	s->scene = scene;
	s->expires = false;
	assert_int_equal(flow_tracker_init(&s->t, &c, module, &scene->shared,
					   (struct flow_sink){side_reserve, side_commit, side_made, s}),
			 0);
}

/* As a worker does with a frame. */
static void side_frame(struct side *s, const struct frame *f, uint64_t at_ms)
{
	struct flow_journal *j = &s->t.store.head->journal;
	enum decode_result r;
	struct packet p;

	if (s->expires)
		flow_tracker_expire(&s->t, START + at_ms, 1000);
	p.tunnels_max = DECODE_TUNNELS_MAX;
	r = decode_ethernet(f->octets, f->len, f->len, &p);
	p.time_ms = START + at_ms;
	p.interface = 1;
	flow_frame_note(&j->frame, r, f->len, 1, &s->scene->shared);
	if (r == DECODE_OK)
		flow_tracker_packet(&s->t, &p);
	else
		flow_journal_set(&j->stage, FLOW_STAGE_FRAME);
	flow_frame_do(&j->frame, &s->scene->shared);
	flow_journal_set(&j->stage, FLOW_STAGE_NONE);
}

static struct scene *scene_new(void)
{
	struct scene *s = mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(s, MAP_FAILED);
	return s;
}

/* In the child: all frames; the parent is told where the last begins and where it ends. Ends without a word to anybody. */
static _Noreturn void scene_child(struct side *s, const struct frame *f, const uint64_t *at_ms, unsigned n)
{
	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL))
		_exit(3);
	for (unsigned i = 0; i + 1 < n; i++)
		side_frame(s, &f[i], at_ms[i]);
	raise(SIGSTOP);
	side_frame(s, &f[n - 1], at_ms[n - 1]);
	_exit(0);
}

/* Without what was lost with the state of the classification, nor measures: they may be without the packet of a death. */
static struct l7_record without_verdict(const struct l7_record *from)
{
	struct l7_record r;

	memcpy(&r, from, sizeof(r));
	r.app_id = r.master_id = r.category_id = 0;
	r.confidence = r.master_confidence = 0;
	memset(&r.link, 0, offsetof(struct l7_record, reported) - offsetof(struct l7_record, link));
	memset(r.reported.tcp_counts, 0, sizeof(r.reported.tcp_counts));
	r.has[0] = r.has[1] = 0;
	return r;
}

static void scene_check(const struct scene *s, const struct scene *clean)
{
	const struct shared_worker_counters *a = &s->shared.counters, *b = &clean->shared.counters;

	assert_int_equal(s->made, clean->made);
	assert_int_equal(shared_get(&a->records), s->made);
	assert_int_equal(shared_get(&a->packets), shared_get(&b->packets));
	assert_int_equal(shared_get(&a->octets), shared_get(&b->octets));
	assert_int_equal(shared_get(&a->packets_not_sampled), shared_get(&b->packets_not_sampled));
	assert_int_equal(shared_get(&a->flows), shared_get(&b->flows));
	assert_int_equal(shared_get(&a->flows_active), 0);
	assert_int_equal(shared_get(&a->flows_lost), 0);
	assert_int_equal(shared_get(&a->interfaces[1].packets), shared_get(&b->interfaces[1].packets));
	assert_int_equal(shared_get(&a->refused_packets[DECODE_TRUNCATED]),
			 shared_get(&b->refused_packets[DECODE_TRUNCATED]));
	for (uint64_t i = 0; i < s->made; i++) {
		struct l7_record mine = without_verdict(&s->records[i]), other;
		const struct l7_record *r = NULL;

		for (uint64_t k = 0; k < clean->made; k++)
			if (clean->records[k].flow_id == s->records[i].flow_id &&
			    clean->records[k].end_ms == s->records[i].end_ms &&
			    clean->records[k].state == s->records[i].state)
				r = &clean->records[k];
		assert_non_null(r);
		other = without_verdict(r);
		assert_memory_equal(&mine, &other, offsetof(struct l7_record, text));
	}
}

static void play_frames(const struct play *play, struct frame *f, uint64_t *at_ms, unsigned *n)
{
	*n = 0;
	play->frames(f, at_ms, n);
	assert_in_range(*n, 1, FRAMES);
}

/* What a worker does that finds flows: the rest of the frames, and the end of all flows. */
static void scene_finish(struct scene *scene, int store, const struct play *play)
{
	uint64_t at_ms[FRAMES];
	struct frame f[FRAMES];
	struct side s;
	unsigned n;

	play_frames(play, f, at_ms, &n);
	side_open(&s, scene, store);
	s.expires = play->expires;
	for (uint64_t i = shared_get(&scene->shared.progress.place); i < n; i++)
		side_frame(&s, &f[i], at_ms[i]);
	flow_tracker_flush(&s.t);
	assert_int_equal(s.t.measures.segments.used + s.t.measures.spreads.used, 0);
	assert_int_equal(s.t.tunnels.pool.used, 0);
	flow_tracker_deinit(&s.t);
}

/* All that may change in a frame, but for the record that is being written. */
struct snapshot {
	struct flow_store_head head;
	struct flow flows[FLOWS_MAX + 1];
	struct flow_info infos[FLOWS_MAX + 1];
	struct flow_measure measures[FLOWS_MAX + 1];
	struct flow_segments segments[FLOWS_MAX + 1];
	struct flow_spreads spreads[FLOWS_MAX + 1];
	struct flow_tunnel tunnels[FLOWS_MAX + 2];
	uint64_t learned, waits;
	struct flow_fragment_first first[FRAGMENTS];
	struct flow_fragment_wait wait[FRAGMENTS];
	struct shared_worker_counters counters;
	struct shared_progress progress;
	uint64_t made;
};

static void snapshot_take(struct snapshot *n, const struct flow_store *store, const struct scene *scene)
{
	memset(n, 0, sizeof(*n)); /* with its padding: it is compared */
	memcpy(&n->head, store->head, sizeof(n->head));
	memcpy(n->flows, store->flows, sizeof(n->flows));
	memcpy(n->infos, store->infos, sizeof(n->infos));
	memcpy(n->measures, store->measures, sizeof(n->measures));
	memcpy(n->segments, store->segments, sizeof(n->segments));
	memcpy(n->spreads, store->spreads, sizeof(n->spreads));
	memcpy(n->tunnels, store->tunnels, sizeof(n->tunnels));
	n->learned = store->fragments->learned;
	n->waits = store->fragments->waits;
	memcpy(n->first, store->fragments->first, sizeof(n->first));
	memcpy(n->wait, store->fragments->wait, sizeof(n->wait));
	memcpy(&n->counters, &scene->shared.counters, sizeof(n->counters));
	memcpy(&n->progress, &scene->shared.progress, sizeof(n->progress));
	n->made = scene->made;
}

/* The child has died, and this is what it left. */
static void snapshot_play(const struct snapshot *n, const struct scene *scene, const struct play *play,
			  const struct scene *clean, struct scene *again)
{
	int fd = flow_store_new(FLOWS_MAX);
	struct flow_store store;

	assert_true(fd >= 0);
	assert_int_equal(flow_store_map(&store, fd, FLOWS_MAX), 0);
	memcpy(store.head, &n->head, sizeof(n->head));
	memcpy(store.flows, n->flows, sizeof(n->flows));
	memcpy(store.infos, n->infos, sizeof(n->infos));
	memcpy(store.measures, n->measures, sizeof(n->measures));
	memcpy(store.segments, n->segments, sizeof(n->segments));
	memcpy(store.spreads, n->spreads, sizeof(n->spreads));
	memcpy(store.tunnels, n->tunnels, sizeof(n->tunnels));
	store.fragments->learned = n->learned;
	store.fragments->waits = n->waits;
	memcpy(store.fragments->first, n->first, sizeof(n->first));
	memcpy(store.fragments->wait, n->wait, sizeof(n->wait));
	flow_store_unmap(&store);
	memcpy(again, scene, sizeof(*again));
	scene_finish(again, fd, play);
	close(fd);
	scene_check(again, clean);
}

static pid_t scene_fork(struct scene *scene, int store, const struct play *play)
{
	uint64_t at_ms[FRAMES];
	struct frame f[FRAMES];
	struct side s;
	unsigned n;
	pid_t pid;

	play_frames(play, f, at_ms, &n);
	side_open(&s, scene, store);
	s.expires = play->expires;
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		scene_child(&s, f, at_ms, n);
	flow_tracker_deinit(&s.t);
	return pid;
}

/* Returns in how many places of its last frame a play was cut short. */
static unsigned scene_deaths(const struct play *play, const struct scene *clean, struct scene *scene,
			     struct scene *again)
{
	int fd = flow_store_new(FLOWS_MAX), status;
	struct snapshot before, now;
	struct flow_store store;
	unsigned deaths = 0;
	pid_t pid;

	assert_true(fd >= 0);
	assert_int_equal(flow_store_map(&store, fd, FLOWS_MAX), 0);
	memset(scene, 0, sizeof(*scene));
	pid = scene_fork(scene, fd, play);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	snapshot_take(&before, &store, scene);
	while (WIFSTOPPED(status)) {
		assert_int_equal(ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL), 0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		snapshot_take(&now, &store, scene);
		if (memcmp(&now, &before, sizeof(now)) == 0)
			continue;
		before = now;
		deaths++;
		snapshot_play(&now, scene, play, clean, again);
	}
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	flow_store_unmap(&store);
	close(fd);
	return deaths;
}

static void play_all(void)
{
	struct scene *clean = scene_new(), *scene = scene_new(), *again = scene_new();

	for (size_t i = 0; i < sizeof(plays) / sizeof(plays[0]); i++) {
		int fd = flow_store_new(FLOWS_MAX);
		unsigned deaths;

		memset(clean, 0, sizeof(*clean));
		scene_finish(clean, fd, &plays[i]);
		close(fd);
		assert_true(clean->made || sampled.below);
		deaths = scene_deaths(&plays[i], clean, scene, again);
		print_message("%s: %u deaths\n", plays[i].name, deaths);
		assert_true(deaths > 10);
	}
	munmap(clean, sizeof(*clean));
	munmap(scene, sizeof(*scene));
	munmap(again, sizeof(*again));
}

static void test_every_instruction(void **state)
{
	(void)state;
	measured = false;
	play_all();
}

static void test_every_instruction_measured(void **state)
{
	(void)state;
	measured = true;
	play_all();
}

/* The same where flows are left out: of some plays all, of some a part. */
static void test_every_instruction_sampled(void **state)
{
	(void)state;
	measured = false;
	for (unsigned n = 2; n < 1000; n *= 30) {
		sampled = flow_sample_one_in(n);
		play_all();
	}
	sampled = flow_sample_one_in(1);
}

/* Strings, too. */
static void store_fill(struct side *s)
{
	struct frame hello, f;

	for (unsigned i = 0; i < 3; i++) {
		struct frame_ends e = {"192.0.2.9", "198.51.100.1", (uint16_t)(1000 + i), 443, 0};

		frame_client_hello(&hello, i ? "a.example" : "a-name-that-needs-a-longer-block.of-strings.example");
		frame_tcp(&f, &e, FRAME_PSH | FRAME_ACK, hello.octets, hello.len);
		side_frame(s, &f, i);
		frame_tcp(&f, &e, FRAME_RST, "", 0); /* classified as far as it goes */
		side_frame(s, &f, i);
	}
}

/* Flows of many packets. */
static void store_crowd(struct side *s)
{
	uint64_t at_ms[FRAMES];
	struct frame f[FRAMES];
	unsigned n = 0;

	for (unsigned i = 3; i > 0; i--)
		add_fragment(f, at_ms, &n, i, 3 - i);
	add_tunnel(f, at_ms, &n, 0, 0, 3);
	for (unsigned i = 0; i < 5; i++) {
		add_udp(f, at_ms, &n, 0, i % 2, i);
		add_tcp(f, at_ms, &n, i ? FRAME_ACK : FRAME_SYN, i);
	}
	for (unsigned i = 0; i < n; i++)
		side_frame(s, &f[i], at_ms[i]);
}

static void store_first(struct side *s, uint64_t at)
{
	uint64_t at_ms[1];
	struct frame f[1];
	unsigned n = 0;

	add_fragment(f, at_ms, &n, 0, at);
	side_frame(s, f, at_ms[0]);
}

/* Taking over keeps what was learned of the flows, and gives their room back as they end. */
static void test_strings(void **state)
{
	struct scene *scene = scene_new();
	int fd = flow_store_new(FLOWS_MAX);
	struct side s;
	size_t used;

	(void)state;
	measured = false;
	side_open(&s, scene, fd);
	store_fill(&s);
	used = s.t.texts.used;
	flow_tracker_deinit(&s.t);
	side_open(&s, scene, fd);
	assert_int_equal(s.t.adopted.flows, 3);
	assert_int_equal(s.t.adopted.dpi_lost + s.t.adopted.damaged, 0);
	assert_int_equal(s.t.texts.used, used);
	scene->made = 0;
	flow_tracker_flush(&s.t);
	assert_int_equal(scene->made, 3);
	for (unsigned i = 0; i < 3; i++)
		assert_true(scene->records[i].sni.len == (i ? 9 : 51) && scene->records[i].confidence == L7_CONF_DPI);
	store_fill(&s);
	assert_int_equal(s.t.texts.used, used);
	flow_tracker_deinit(&s.t);
	close(fd);
	munmap(scene, sizeof(*scene));
}

static uint64_t damage_random(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

/* Some octets, or many; flows that are others' copies; anything in the journal. */
static void store_damage(struct flow_store *store, uint64_t *seed)
{
	uint8_t *parts[] = {(uint8_t *)store->head,
			    (uint8_t *)store->flows,
			    (uint8_t *)store->infos,
			    (uint8_t *)store->measures,
			    store->segments,
			    store->spreads,
			    store->tunnels,
			    store->texts,
			    (uint8_t *)store->fragments,
			    (uint8_t *)store->fragments->first,
			    (uint8_t *)store->fragments->wait};
	size_t sizes[] = {sizeof(*store->head),
			  (FLOWS_MAX + 1) * sizeof(struct flow),
			  (FLOWS_MAX + 1) * sizeof(struct flow_info),
			  (FLOWS_MAX + 1) * sizeof(struct flow_measure),
			  (FLOWS_MAX + 1) * sizeof(struct flow_segments),
			  (FLOWS_MAX + 1) * sizeof(struct flow_spreads),
			  (FLOWS_MAX + 2) * sizeof(struct flow_tunnel),
			  store->texts_size,
			  2 * sizeof(uint64_t),
			  FRAGMENTS * sizeof(struct flow_fragment_first),
			  FRAGMENTS * sizeof(struct flow_fragment_wait)};
	unsigned many = 1u << damage_random(seed) % 10;

	if (damage_random(seed) % 4 == 0)
		store->flows[1 + damage_random(seed) % FLOWS_MAX] = store->flows[1 + damage_random(seed) % FLOWS_MAX];
	for (unsigned i = 0; i < many; i++) {
		unsigned part = (unsigned)(damage_random(seed) % 11);

		parts[part][damage_random(seed) % sizes[part]] = (uint8_t)damage_random(seed);
	}
	store->head->fresh = damage_random(seed) % 4 ? FLOWS_MAX + 1 : (uint32_t)damage_random(seed);
	atomic_store(&store->head->journal.stage, (uint32_t)(damage_random(seed) % 7));
	atomic_store(&store->head->journal.report, (uint32_t)(damage_random(seed) % 5));
}

/* A worker has written anywhere before it died: the next one works, whatever it finds. */
static void test_damaged(void **state)
{
	struct scene *scene = scene_new();
	uint64_t seed = 88172645463325252;
	unsigned flows = 0, damaged = 0;

	(void)state;
	measured = true;
	for (unsigned i = 0; i < DAMAGES; i++) {
		int fd = flow_store_new(FLOWS_MAX);
		struct flow_store store;
		struct side s;

		memset(scene, 0, sizeof(*scene));
		side_open(&s, scene, fd);
		store_crowd(&s);
		store_first(&s, 40);
		store_crowd(&s);
		store_fill(&s);
		flow_tracker_deinit(&s.t);
		assert_int_equal(flow_store_map(&store, fd, FLOWS_MAX), 0);
		store_damage(&store, &seed);
		flow_store_unmap(&store);
		side_open(&s, scene, fd);
		flows += s.t.adopted.flows;
		damaged += s.t.adopted.damaged;
		assert_in_range(s.t.adopted.flows, 0, FLOWS_MAX);
		store_crowd(&s);
		store_fill(&s);
		store_first(&s, 50);
		flow_tracker_expire(&s.t, START + 30000, 1000);
		store_crowd(&s);
		store_fill(&s);
		flow_tracker_flush(&s.t);
		assert_int_equal(s.t.table.active, 0);
		assert_int_equal(s.t.measures.segments.used + s.t.measures.spreads.used, 0);
		flow_tracker_deinit(&s.t);
		close(fd);
	}
	assert_true(flows > DAMAGES && damaged > DAMAGES / 4);
	munmap(scene, sizeof(*scene));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_instruction),
		cmocka_unit_test(test_every_instruction_measured),
		cmocka_unit_test(test_every_instruction_sampled),
		cmocka_unit_test(test_strings),
		cmocka_unit_test(test_damaged),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
