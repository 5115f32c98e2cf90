/* SPDX-License-Identifier: Apache-2.0 */
/* What probes say of themselves: from the message to the list, and from one start to the next. */
#include "store_rig.h"

#include <jansson.h>

#include "../lib/message.h"
#include "l7/fields.h"
#include "record/ipfix_reader.h"
#include "record/ipfix_writer.h"
#include "report/probes.h"
#include "state/exporters.h"

#define T0 UINT64_C(1700000000000)
#define PEN 32473u
#define SILENT_MS 90000

struct fixture {
	struct exporters e;
	struct ipfix_counters c;
	struct ipfix_session s;
	struct message m;
	struct store_rig store;
	uint64_t wall_ms, doubles;
	int64_t clock_ms;
	unsigned on[EXPORTERS_HEALTHS], off[EXPORTERS_HEALTHS];
	char sentence[400];
	size_t abouts, longest;
	uint32_t records;
	struct buf list;
};

static void tell(void *arg, enum exporters_health what, const char *exporter, bool on, const char *sentence)
{
	struct fixture *f = arg;

	(void)exporter;
	if (on)
		f->on[what]++;
	else
		f->off[what]++;
	snprintf(f->sentence, sizeof(f->sentence), "%s", sentence);
}

static void got(void *arg, const struct l7_record *r)
{
	struct fixture *f = arg;

	f->doubles += r->record_sequence == 13;
	exporters_record(&f->e, r, f->wall_ms, 0);
}

static void about(void *arg, const struct ipfix_about *a)
{
	struct fixture *f = arg;

	f->abouts++;
	f->records += a->records;
	exporters_about(&f->e, a, f->wall_ms, f->clock_ms, f->clock_ms > 300000 || f->clock_ms < -300000);
}

static void begin(struct fixture *f)
{
	assert_int_equal(exporters_init(&f->e, SILENT_MS), 0);
	f->e.tell = tell;
	f->e.arg = f;
	memset(f->on, 0, sizeof(f->on));
	memset(f->off, 0, sizeof(f->off));
}

static int start(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	if (!f)
		return -1;
	begin(f);
	f->wall_ms = T0;
	ipfix_session_init(&f->s, &f->c, "192.0.2.9", PEN, true);
	f->s.via = "udp";
	buf_init(&f->list, 1 << 20);
	store_rig_new(&f->store);
	store_rig_open(&f->store);
	*state = f;
	return 0;
}

static int stop(void **state)
{
	struct fixture *f = *state;

	exporters_deinit(&f->e);
	ipfix_session_deinit(&f->s);
	buf_deinit(&f->list);
	store_rig_remove(&f->store);
	free(f);
	return 0;
}

static void hear(void *arg, uint8_t *data, size_t len, uint32_t records)
{
	struct fixture *f = arg;
	const struct ipfix_reader_sink sink = {.record = got, .arg = f, .about = about, .doubles = &f->doubles};

	(void)records;
	f->longest = len > f->longest ? len : f->longest;
	ipfix_message_stamp(data, 0, (uint32_t)(f->wall_ms / 1000));
	assert_int_equal(ipfix_read(&f->s, data, len, &sink), 0);
}

static void send_message(struct fixture *f)
{
	message_end(&f->m);
	hear(f, f->m.data, f->m.len, 0);
}

static const char *list(struct fixture *f)
{
	buf_reset(&f->list);
	probes_print(&f->e, f->wall_ms, &f->list);
	buf_char(&f->list, '\0');
	assert_false(f->list.failed);
	return f->list.data;
}

/* One heartbeat of a probe as it makes it. */
static void beat(struct fixture *f, const char *profile, const struct ipfix_probe *p, struct ipfix_statistics s)
{
	struct profile loaded;
	struct ipfix_writer_config c = {.profile = &loaded, .domain = 7, .pen = PEN, .message_max = 512};
	struct ipfix_tables t = {.statistics = &s, .probe = p};
	struct ipfix_writer *w;
	char err[256];

	assert_int_equal(profile_load(&loaded, profile, err, sizeof(err)), 0);
	c.message_max = strcmp(profile, "full") == 0 ? 1400 : 1000;
	assert_int_equal(ipfix_writer_new(&w, &c, err, sizeof(err)), 0);
	assert_int_equal(ipfix_writer_statistics(w, &t, true, (struct ipfix_sink){hear, f}), 0);
	ipfix_writer_free(w);
}

static const struct ipfix_probe lyon = {.exporter = "branch-7",
					.version = "1.2.3",
					.site = "Lyon \xe2\x80\x93 Barre",
					.stream_id = 4711,
					.spooled = 12345,
					.recovered = 5};
static const struct ipfix_statistics counts = {
	.start_ms = T0 - 1000, .exported = 900, .not_sent = 31, .packets = 1234567, .dropped = 42, .ignored = 6};

/* A datagram by itself says it all, and is short. */
static void test_heartbeat(void **state)
{
	struct fixture *f = *state;
	const struct exporters_entry *x;

	beat(f, "standard", &lyon, counts);
	assert_int_equal(f->c.messages, 1);
	assert_true(f->longest < 320);
	assert_int_equal(f->abouts, 1);
	assert_int_equal(f->e.table.n, 1);
	x = lru_at(&f->e.table, 0);
	assert_string_equal(x->name, "branch-7");
	assert_string_equal(x->site, "Lyon \xe2\x80\x93 Barre");
	assert_string_equal(x->version, "1.2.3");
	assert_string_equal(x->from, "udp 192.0.2.9");
	assert_int_equal(x->init_ms, T0 - 1000);
	assert_int_equal(x->packets, 1234567);
	assert_int_equal(x->counts[IPFIX_EXPORTED], 900);
	assert_int_equal(x->counts[IPFIX_NOT_SENT], 31);
	assert_int_equal(x->counts[IPFIX_DROPPED], 42);
	assert_int_equal(x->counts[IPFIX_IGNORED], 6);
	assert_int_equal(x->counts[IPFIX_SPOOLED], 12345);
	assert_int_equal(x->counts[IPFIX_RECOVERED], 5);
	assert_int_equal(f->s.domains[0].stream_id, 4711);
	f->wall_ms += 5000;
	assert_string_equal(
		list(f),
		"  NAME     FROM          SITE         VERSION   SEEN  RECORDS  LOST  CLOCK    PACKETS"
		"  DROPPED  UNSENT   SPOOL\n"
		"  branch-7 udp 192.0.2.9 Lyon \xe2\x80\x93 Barre 1.2.3    5.0 s        0     0     ok  1,234,567"
		"       42      31  12,345\n");
}

/* Who wants no element of an enterprise is known by address and domain, and has no site. */
static void test_strict(void **state)
{
	struct fixture *f = *state;
	const struct exporters_entry *x;

	beat(f, "iana", &lyon, counts);
	x = lru_at(&f->e.table, 0);
	assert_int_equal(f->c.no_template, 0);
	assert_string_equal(x->name, "192.0.2.9#7");
	assert_string_equal(x->site, "");
	assert_int_equal(x->packets, 1234567);
	assert_false(x->has & IPFIX_HAS_COUNT << IPFIX_SPOOLED);
	assert_non_null(strstr(list(f), "     31      -\n"));
}

static void test_alive(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 30; i++) {
		beat(f, "standard", &lyon, counts);
		f->wall_ms += 10000;
		exporters_tick(&f->e, f->wall_ms);
	}
	assert_int_equal(f->on[EXPORTERS_SILENT], 0);
	f->wall_ms += SILENT_MS - 10001;
	exporters_tick(&f->e, f->wall_ms);
	assert_int_equal(f->on[EXPORTERS_SILENT], 0);
	exporters_tick(&f->e, ++f->wall_ms);
	assert_int_equal(f->on[EXPORTERS_SILENT], 1);
	assert_int_equal(list(f)[strcspn(list(f), "\n") + 1], '!');
	beat(f, "standard", &lyon, counts);
	assert_int_equal(f->off[EXPORTERS_SILENT], 1);
	assert_string_equal(f->sentence, "exporter branch-7 is heard again");
	assert_int_equal(list(f)[strcspn(list(f), "\n") + 1], ' ');
}

/* Its messages say what time it has; a backlog has old records, which are no wrong clock. */
static void test_clock(void **state)
{
	struct fixture *f = *state;
	struct l7_record r = {.ip_version = 4};

	assert_true(l7_record_text(&r, &r.exporter, "branch-7", 8, L7_TEXT_MAX));
	beat(f, "standard", &lyon, counts);
	for (int i = 0; i < 100; i++)
		exporters_record(&f->e, &r, f->wall_ms, -3600000);
	assert_int_equal(f->on[EXPORTERS_SKEW], 0);
	f->clock_ms = -7200000;
	beat(f, "standard", &lyon, counts);
	beat(f, "standard", &lyon, counts);
	assert_int_equal(f->on[EXPORTERS_SKEW], 0);
	beat(f, "standard", &lyon, counts);
	assert_int_equal(f->on[EXPORTERS_SKEW], 1);
	assert_non_null(strstr(list(f), "-2.0 h"));
	f->clock_ms = 2500;
	for (int i = 0; i < 3; i++)
		beat(f, "standard", &lyon, counts);
	assert_int_equal(f->off[EXPORTERS_SKEW], 1);
	assert_non_null(strstr(list(f), "+2.5 s"));
}

/* An options template and one record: domain, name, site and version of any length, a counter of any. */
static void hostile(struct fixture *f, const char *text, size_t len, uint64_t counter)
{
	message_start(&f->m, 0, 1);
	message_set(&f->m, 3);
	message_template(&f->m, 300, 6, 1);
	message_field(&f->m, 0, 149, 4);
	message_field(&f->m, 0, 300, 65535);
	message_field(&f->m, PEN, L7_IE_PROBE_SITE, 65535);
	message_field(&f->m, PEN, L7_IE_PROBE_VERSION, (uint16_t)len);
	message_field(&f->m, 0, 42, 8);
	message_field(&f->m, 0, 135, 3);
	message_set(&f->m, 300);
	message_uint(&f->m, 1, 4);
	message_uint(&f->m, 3, 1);
	message_put(&f->m, "bad", 3);
	message_uint(&f->m, 255, 1);
	message_uint(&f->m, len, 2);
	message_put(&f->m, text, len);
	message_put(&f->m, text, len);
	message_uint(&f->m, counter, 8);
	message_uint(&f->m, counter, 3);
	send_message(f);
}

static void test_hostile(void **state)
{
	static const char nasty[] = "\x1b[2J\x07\xff\xfe\xc2\x9b\n\xe2\x80\xae\xef\xbb\xbf%s<script>\"";
	struct fixture *f = *state;
	char text[3000];
	json_t *j;

	hostile(f, nasty, sizeof(nasty) - 1, UINT64_MAX);
	assert_int_equal(f->abouts, 1);
	for (const unsigned char *p = (const unsigned char *)list(f); *p; p++)
		assert_true((*p >= 0x20 && *p < 0x7f) || *p == '\n');
	assert_non_null(strstr(list(f), "?[2J???????%s<script>\""));
	memset(text, 'x', sizeof(text));
	hostile(f, text, sizeof(text), 1);
	assert_non_null(strstr(list(f), "xxxx~ "));
	for (size_t i = 0; i + 3 <= sizeof(text); i += 3)
		memcpy(text + i, "\xe2\x82\xac", 3);
	hostile(f, text, sizeof(text), 0);
	assert_int_equal(f->c.bad_record + f->c.bad_template, 0);
	assert_true(strlen(list(f)) < 600);
	buf_reset(&f->list);
	probes_json(&f->e, &f->list);
	j = json_loadb(f->list.data, f->list.len, 0, NULL);
	assert_int_equal(json_array_size(j), 1);
	assert_int_equal(strlen(json_string_value(json_object_get(json_array_get(j, 0), "site"))), 63);
	json_decref(j);
}

static void flows(struct fixture *f, uint64_t stream, uint64_t first, unsigned n)
{
	message_start(&f->m, 0, 7);
	message_set(&f->m, 2);
	message_template(&f->m, 256, 3, 0);
	message_field(&f->m, 0, 8, 4);
	message_field(&f->m, PEN, 5, 8);
	message_field(&f->m, PEN, 6, 8);
	message_set(&f->m, 256);
	for (uint64_t i = first; i < first + n; i++) {
		message_uint(&f->m, 0xc0000201, 4);
		message_uint(&f->m, stream, 8);
		message_uint(&f->m, i, 8);
	}
	send_message(f);
}

static void state_exported(struct fixture *f, uint64_t n)
{
	struct ipfix_statistics s = counts;

	s.exported = n + lyon.recovered;
	beat(f, "standard", &lyon, s);
}

/* Doubles, and what an earlier run has numbered, are not among what this run has exported. */
static void test_missing(void **state)
{
	struct fixture *f = *state;

	f->s.datagrams = false;
	flows(f, 4710, 0, 4); /* before it is known who that is */
	state_exported(f, 0);
	flows(f, 4710, 900, 50);
	flows(f, 4711, 0, 20); /* 13 is a double */
	assert_int_equal(f->records, 4 + 19);
	state_exported(f, 19);
	state_exported(f, 19);
	assert_int_equal(f->on[EXPORTERS_LOST], 0);
	flows(f, 4711, 100, 20);
	state_exported(f, 45);
	assert_int_equal(f->on[EXPORTERS_LOST], 0);
	state_exported(f, 45);
	assert_int_equal(f->on[EXPORTERS_LOST], 1);
	assert_string_equal(f->sentence, "exporter branch-7 has sent 6 records that did not arrive, by its own count");
	assert_non_null(strstr(list(f), "     6     ok"));
	exporters_tick(&f->e, f->wall_ms + 300000);
	assert_int_equal(f->off[EXPORTERS_LOST], 1);
}

/* Other exporters say nothing of themselves: their address is known all the same. */
static void test_others(void **state)
{
	struct fixture *f = *state;

	flows(f, 1, 0, 3);
	flows(f, 1, 3, 3);
	assert_int_equal(f->abouts, 1);
	assert_non_null(strstr(list(f), "192.0.2.9#7 udp 192.0.2.9 -    -        0 ms        6     0      -        -"));
	exporters_no_template(&f->e, "stray", 1, f->wall_ms); /* what nobody can read makes no probe, */
	assert_null(strstr(list(f), "stray"));
	exporters_no_template(&f->e, "stray", 1, f->wall_ms + 60000); /* but that is told */
	assert_non_null(strstr(list(f), "stray"));
}

/* The next start knows them: who fell silent meanwhile is missed, who was silent still is. */
static void test_kept(void **state)
{
	struct fixture *f = *state;
	struct ipfix_probe graz = lyon;

	graz.exporter = "graz";
	exporters_load(&f->e, f->store.s, f->wall_ms);
	beat(f, "standard", &graz, counts);
	f->wall_ms += SILENT_MS;
	exporters_tick(&f->e, f->wall_ms);
	assert_int_equal(f->on[EXPORTERS_SILENT], 1);
	beat(f, "standard", &lyon, counts);
	exporters_save(&f->e, f->wall_ms, 86400000);
	assert_int_equal(store_commit(f->store.s), 0);
	exporters_deinit(&f->e);

	begin(f);
	f->wall_ms += 3600000;
	exporters_load(&f->e, f->store.s, f->wall_ms);
	assert_int_equal(f->e.table.n, 2);
	assert_int_equal(f->on[EXPORTERS_SILENT], 1);
	assert_non_null(strstr(f->sentence, "graz was silent before"));
	assert_non_null(strstr(list(f), "! graz     udp 192.0.2.9 Lyon"));
	exporters_tick(&f->e, f->wall_ms + SILENT_MS - 1); /* the other has its time to be heard */
	assert_int_equal(f->on[EXPORTERS_SILENT], 1);
	exporters_tick(&f->e, f->wall_ms + SILENT_MS);
	assert_int_equal(f->on[EXPORTERS_SILENT], 2);
	assert_string_equal(f->sentence, "exporter branch-7 has sent nothing for 62 min");
	exporters_save(&f->e, f->wall_ms + 2 * 86400000, 86400000); /* and for ever? */
	assert_int_equal(f->off[EXPORTERS_SILENT], 2);
	assert_string_equal(list(f), "");
	exporters_deinit(&f->e);

	begin(f);
	exporters_load(&f->e, f->store.s, f->wall_ms);
	assert_int_equal(f->e.table.n, 0);
}

static void count_row(void *arg, const struct store_exporter *k)
{
	++*(unsigned *)arg;
	assert_string_not_equal(k->name, "x?");
}

static unsigned rows(struct fixture *f)
{
	unsigned n = 0;

	store_exporters(f->store.s, count_row, &n);
	return n;
}

/* A name that is not what was sent could not be known again. */
static void test_kept_strange(void **state)
{
	struct fixture *f = *state;
	struct ipfix_about a = {.exporter = "x\x1b", .address = "", .via = "tcp", .heard = true};

	exporters_load(&f->e, f->store.s, f->wall_ms);
	exporters_about(&f->e, &a, f->wall_ms, 0, false);
	exporters_save(&f->e, f->wall_ms, 86400000);
	assert_int_equal(rows(f), 0);
	for (unsigned i = 0; i < EXPORTERS_MAX + 10; i++) { /* those that go for others are not kept either */
		char name[20];

		snprintf(name, sizeof(name), "n%u", i);
		a.exporter = name;
		exporters_about(&f->e, &a, f->wall_ms + i, 0, false);
		if (i == 20)
			exporters_save(&f->e, f->wall_ms, 86400000);
	}
	assert_int_equal(rows(f), 21 - 10);
	exporters_save(&f->e, f->wall_ms, 86400000);
	exporters_deinit(&f->e);
	begin(f);
	exporters_load(&f->e, f->store.s, f->wall_ms);
	assert_int_equal(f->e.table.n, EXPORTERS_MAX);
	assert_int_equal(f->e.table.evicted, 0);
	assert_null(strstr(list(f), " x?"));
	assert_null(strstr(list(f), " n0 "));
	assert_non_null(strstr(list(f), " n1033 "));
}

#define T(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_heartbeat), T(test_strict), T(test_alive), T(test_clock),        T(test_hostile),
		T(test_missing),   T(test_others), T(test_kept),  T(test_kept_strange),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
