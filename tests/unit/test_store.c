/* SPDX-License-Identifier: Apache-2.0 */
/* The store: what is put in comes out again, also after a restart. */
#include "store_rig.h"

#include "base/log.h"
#include "rules/rules.h"
#include "state/store_internal.h"

/* ---- alerts ---- */

struct seen_alerts {
	size_t n;
	struct store_alert last;
	char line[64], subject[64], app[64];
};

static void see_alert(void *arg, const struct store_alert *a)
{
	struct seen_alerts *seen = arg;

	seen->n++;
	seen->last = *a;
	assert_true(a->line_len < sizeof(seen->line));
	memcpy(seen->line, a->line, a->line_len);
	seen->line[a->line_len] = '\0';
	snprintf(seen->subject, sizeof(seen->subject), "%s", a->subject);
	snprintf(seen->app, sizeof(seen->app), "%s", a->app);
}

static void assert_alert(const struct seen_alerts *seen, const struct store_alert *a)
{
	assert_int_equal(seen->last.key.high, a->key.high);
	assert_int_equal(seen->last.key.low, a->key.low);
	assert_string_equal(seen->last.uid, a->uid);
	assert_int_equal(seen->last.rule, a->rule);
	assert_int_equal(seen->last.severity, a->severity);
	assert_int_equal(seen->last.engaged_ms, a->engaged_ms);
	assert_int_equal(seen->last.last_ms, a->last_ms);
	assert_int_equal(seen->last.told_ms, a->told_ms);
	assert_int_equal(seen->last.count, a->count);
	assert_int_equal(seen->last.suppressed, a->suppressed);
	assert_true(seen->last.flow_id == a->flow_id);
	assert_string_equal(seen->line, a->line);
	assert_string_equal(seen->subject, a->subject);
	assert_string_equal(seen->app, a->app);
}

static void test_alerts(void **state)
{
	struct store_alert a = store_rig_alert(5, "{\"first\"}\n"), b = store_rig_alert(6, "{}\n");
	struct seen_alerts seen = {0};
	struct store_rig r;

	(void)state;
	store_rig_new(&r);
	store_rig_open(&r);
	store_alert_put(r.s, &a);
	a.count = 8;
	a.line = "{\"second\"}\n";
	a.line_len = strlen(a.line);
	store_alert_put(r.s, &a);
	store_alert_put(r.s, &b);
	store_alerts(r.s, see_alert, &seen); /* also before it is committed */
	assert_int_equal(seen.n, 2);
	store_rig_reopen(&r);
	seen.n = 0;
	assert_true(store_alert_find(r.s, a.uid, see_alert, &seen));
	assert_int_equal(seen.n, 1);
	assert_alert(&seen, &a);
	assert_false(store_alert_find(r.s, "0", see_alert, &seen));
	store_alert_drop(r.s, a.key);
	store_alert_drop(r.s, a.key); /* there is none: no harm */
	store_rig_reopen(&r);
	seen.n = 0;
	store_alerts(r.s, see_alert, &seen);
	assert_int_equal(seen.n, 1);
	assert_alert(&seen, &b);
	assert_int_equal(store_failures(r.s), 0);
	store_rig_remove(&r);
}

/* ---- outbox ---- */

struct seen_lines {
	size_t n;
	uint64_t numbers[8];
	char text[256];
};

static void see_line(void *arg, uint64_t number, const char *line, size_t len)
{
	struct seen_lines *seen = arg;

	assert_true(seen->n < 8);
	seen->numbers[seen->n++] = number;
	strncat(seen->text, line, len);
}

static void test_outbox(void **state)
{
	struct seen_lines seen = {0};
	struct store_rig r;
	uint64_t n[3];

	(void)state;
	store_rig_new(&r);
	store_rig_open(&r);
	n[0] = store_outbox_put(r.s, "a\n", 2);
	n[1] = store_outbox_put(r.s, "bb\n", 3);
	assert_true(n[0] > 0 && n[1] > n[0]);
	store_rig_reopen(&r);
	n[2] = store_outbox_put(r.s, "c\n", 2);
	assert_true(n[2] > n[1]);
	store_outbox(r.s, see_line, &seen);
	assert_int_equal(seen.n, 3);
	assert_string_equal(seen.text, "a\nbb\nc\n");
	assert_memory_equal(seen.numbers, n, sizeof(n));
	store_outbox_drop(r.s, n[1]);
	store_rig_reopen(&r);
	seen = (struct seen_lines){0};
	store_outbox(r.s, see_line, &seen);
	assert_string_equal(seen.text, "c\n");
	store_rig_remove(&r);
}

/* Nobody takes the lines: there is an end to it, and room again later. */
static void test_outbox_full(void **state)
{
	struct store *s;
	uint64_t n = 0;
	char err[128];

	(void)state;
	assert_int_equal(store_open(&s, NULL, err, sizeof(err)), 0);
	for (unsigned i = 0; i < STORE_OUTBOX_MAX; i++) {
		n = store_outbox_put(s, "x\n", 2);
		assert_true(n > 0);
	}
	assert_int_equal(store_outbox_put(s, "x\n", 2), 0);
	assert_int_equal(store_failures(s), 1);
	assert_int_equal(store_commit(s), 0);
	store_outbox_drop(s, n - 10);
	assert_true(store_outbox_put(s, "x\n", 2) > n);
	store_close(s);
}

/* ---- counts ---- */

struct seen_counts {
	size_t n;
	struct lru_key keys[64];
	char values[64][16];
	size_t lens[64];
};

static void see_count(void *arg, struct lru_key key, const void *value, size_t len)
{
	struct seen_counts *seen = arg;

	assert_true(seen->n < 64 && len <= 16);
	seen->keys[seen->n] = key;
	seen->lens[seen->n] = len;
	memcpy(seen->values[seen->n++], value, len);
}

static void put_count(struct store *s, uint32_t rule, uint64_t key, const char *value)
{
	store_count_put(s, rule, (struct lru_key){key << 60, key}, value, strlen(value));
}

static size_t counts_of(struct store *s, uint32_t rule)
{
	struct seen_counts seen = {0};

	store_counts(s, rule, see_count, &seen);
	return seen.n;
}

static void test_counts(void **state)
{
	struct seen_counts seen = {0};
	uint32_t kept[] = {UINT32_MAX, 7};
	struct store_rig r;

	(void)state;
	store_rig_new(&r);
	store_rig_open(&r);
	put_count(r.s, 7, 3, "three");
	put_count(r.s, 7, 2, "two");
	put_count(r.s, 7, 1, "one");
	put_count(r.s, 7, 9, "gone");
	put_count(r.s, 8, 1, "other");
	put_count(r.s, UINT32_MAX, 1, "last");
	store_count_put(r.s, 7, (struct lru_key){UINT64_C(9) << 60, 9}, NULL, 0);
	store_rig_reopen(&r);
	store_count_put(r.s, 7, (struct lru_key){UINT64_C(3) << 60, 3}, "\0\xff", 2); /* newest again */
	store_rig_reopen(&r);
	store_counts(r.s, 7, see_count, &seen);
	assert_int_equal(seen.n, 3);
	assert_int_equal(seen.keys[0].low, 2);
	assert_true(seen.keys[0].high == UINT64_C(2) << 60);
	assert_int_equal(seen.keys[1].low, 1);
	assert_int_equal(seen.keys[2].low, 3);
	assert_int_equal(seen.lens[2], 2);
	assert_memory_equal(seen.values[2], "\0\xff", 2);
	assert_memory_equal(seen.values[0], "two", 3);
	store_counts_keep(r.s, kept, 2);
	store_rig_reopen(&r);
	assert_int_equal(counts_of(r.s, 7), 3);
	assert_int_equal(counts_of(r.s, 8), 0);
	assert_int_equal(counts_of(r.s, UINT32_MAX), 1);
	store_counts_keep(r.s, NULL, 0);
	assert_int_equal(counts_of(r.s, 7) + counts_of(r.s, UINT32_MAX), 0);
	assert_int_equal(store_failures(r.s), 0);
	store_rig_remove(&r);
}

/* ---- usage ---- */

static void test_usage(void **state)
{
	struct store_rig_text t;
	struct store_rig r;
	struct store_usage huge = {
		.side = RULES_CLIENT, .app = "SSH", .first_ms = 1, .last_ms = 1, .flows = UINT64_MAX};

	(void)state;
	store_rig_new(&r);
	store_rig_open(&r);
	store_rig_usage(r.s, "192.0.2.9", RULES_SERVER, "TLS", 5000);
	store_rig_usage(r.s, "192.0.2.9", RULES_SERVER, "TLS", 4000);
	store_rig_usage(r.s, "192.0.2.9", RULES_CLIENT, "TLS", 3000);
	store_rig_usage(r.s, "2001:db8::1", RULES_CLIENT, "it's \"x\" -- ; \xff", 2000); /* only data */
	store_rig_reopen(&r);
	store_rig_usage(r.s, "192.0.2.9", RULES_SERVER, "TLS", 6000);
	t = store_rig_usages(r.s);
	assert_string_equal(t.text, "192.0.2.9 1 TLS 3000 3000 1 100\n"
				    "192.0.2.9 2 TLS 4000 6000 3 300\n"
				    "2001:db8::1 1 it's \"x\" -- ; \xff 2000 2000 1 100\n");
	/* Sums stop at the largest number. */
	assert_int_equal(addr_parse("192.0.2.1", huge.ip), 0);
	huge.octets = UINT64_MAX;
	store_usage_add(r.s, &huge);
	store_usage_add(r.s, &huge);
	t = store_rig_usages(r.s);
	assert_non_null(strstr(t.text, "192.0.2.1 1 SSH 1 1 9223372036854775807 9223372036854775807\n"));
	assert_int_equal(store_commit(r.s), 0);
	assert_int_equal(store_failures(r.s), 0);
	store_rig_remove(&r);
}

static void test_usage_trim(void **state)
{
	struct store_rig_text t;
	struct store_rig r;
	char ip[32];

	(void)state;
	store_rig_new(&r);
	store_rig_open(&r);
	for (unsigned i = 1; i <= 100; i++) {
		snprintf(ip, sizeof(ip), "192.0.2.%u", i);
		store_rig_usage(r.s, ip, RULES_CLIENT, "TLS", 1000 * ((i * 37) % 101)); /* 1000 to 100000, mixed */
	}
	assert_int_equal(store_usage_trim(r.s, 0, 100), 0);
	assert_int_equal(store_usage_trim(r.s, 11000, 1000), 10);
	store_rig_reopen(&r);
	assert_int_equal(store_rig_usages(r.s).n, 90);
	assert_int_equal(store_usage_trim(r.s, 0, 3), 87);
	t = store_rig_usages(r.s);
	assert_int_equal(t.n, 3);
	assert_non_null(strstr(t.text, " 98000 98000 "));
	assert_non_null(strstr(t.text, " 99000 99000 "));
	assert_non_null(strstr(t.text, " 100000 100000 "));
	assert_int_equal(store_usage_trim(r.s, 0, 0), 3);
	assert_int_equal(store_failures(r.s), 0);
	store_rig_remove(&r);
}

/* ---- silences ---- */

struct seen_silences {
	size_t n;
	struct store_silence last;
	char text[128];
};

static void see_silence(void *arg, const struct store_silence *l)
{
	struct seen_silences *seen = arg;

	seen->n++;
	seen->last = *l;
	snprintf(seen->text, sizeof(seen->text), "%s|%s|%s", l->host ? l->host : "-", l->app ? l->app : "-",
		 l->comment ? l->comment : "-");
}

static void test_silences(void **state)
{
	struct store_silence a = {
		.created_ms = 1, .until_ms = 2, .rule = 1001, .host = "192.0.2.0/24", .comment = "me"};
	struct store_silence b = {.created_ms = 3, .app = "Telegram"};
	struct seen_silences seen = {0};
	struct store_rig r;
	uint64_t first, second;

	(void)state;
	store_rig_new(&r);
	store_rig_open(&r);
	first = store_silence_add(r.s, &a);
	assert_true(first > 0);
	assert_false(r.s->begun); /* it is on disk */
	store_silences(r.s, see_silence, &seen);
	assert_int_equal(seen.n, 1);
	assert_int_equal(seen.last.id, first);
	assert_int_equal(seen.last.created_ms, 1);
	assert_int_equal(seen.last.until_ms, 2);
	assert_int_equal(seen.last.rule, 1001);
	assert_string_equal(seen.text, "192.0.2.0/24|-|me");
	second = store_silence_add(r.s, &b);
	assert_true(second > first);
	store_rig_reopen(&r);
	assert_true(store_silence_drop(r.s, second));
	assert_false(store_silence_drop(r.s, second));
	assert_true(store_silence_add(r.s, &b) > second); /* a number is never given twice */
	assert_true(store_silence_drop(r.s, first));
	seen.n = 0;
	store_silences(r.s, see_silence, &seen);
	assert_int_equal(seen.n, 1);
	assert_string_equal(seen.text, "-|Telegram|-");
	while (store_silence_add(r.s, &b))
		assert_true(++seen.n <= STORE_SILENCES_MAX);
	assert_int_equal(seen.n, STORE_SILENCES_MAX);
	store_rig_remove(&r);
}

/* ---- memory ---- */

/* Cluster, group, topic and partition together are the key. */
static void test_offsets(void **state)
{
	struct store_offset o = {
		.cluster = "c", .group = "g", .topic = "t", .partition = 3, .next = 7, .committed = -1};
	struct store_offset others[] = {o, o, o, o}, have = o;
	struct store_rig r;

	(void)state;
	others[0].cluster = "d";
	others[1].group = "h";
	others[2].topic = "u";
	others[3].partition = 4;
	store_rig_new(&r);
	store_rig_open(&r);
	assert_false(store_offset_get(r.s, &have));
	store_offset_put(r.s, &o);
	assert_true(store_offset_get(r.s, &have));
	for (size_t i = 0; i < 4; i++) {
		assert_false(store_offset_get(r.s, &others[i]));
		others[i].next = INT64_MAX - (int64_t)i;
		store_offset_put(r.s, &others[i]);
	}
	o.next = 9;
	o.committed = 8;
	store_offset_put(r.s, &o);
	store_rig_reopen(&r);
	have.next = have.committed = 0;
	assert_true(store_offset_get(r.s, &have));
	assert_int_equal(have.next, 9);
	assert_int_equal(have.committed, 8);
	for (size_t i = 0; i < 4; i++) {
		others[i].next = 0;
		assert_true(store_offset_get(r.s, &others[i]));
		assert_true(others[i].next == INT64_MAX - (int64_t)i);
	}
	store_rig_remove(&r);
}

static void test_memory(void **state)
{
	struct store_alert a = store_rig_alert(1, "{}\n");
	struct seen_alerts seen = {0};
	struct store *s;
	char err[128];

	(void)state;
	assert_int_equal(store_open(&s, NULL, err, sizeof(err)), 0);
	store_alert_put(s, &a);
	assert_int_equal(store_commit(s), 0);
	assert_int_equal(store_commit(s), 0);
	store_alerts(s, see_alert, &seen);
	assert_int_equal(seen.n, 1);
	assert_true(store_size(s) > 0);
	store_close(s);
	store_close(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_alerts),   cmocka_unit_test(test_outbox),  cmocka_unit_test(test_outbox_full),
		cmocka_unit_test(test_counts),   cmocka_unit_test(test_usage),   cmocka_unit_test(test_usage_trim),
		cmocka_unit_test(test_silences), cmocka_unit_test(test_offsets), cmocka_unit_test(test_memory),
	};

	log_init("test_store", LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
