/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "watch.h"
#include "watch_flow.h"

#define RULES                                                                                                          \
	"version: 1\nlists: {dmz: [192.0.2.10, \"2001:db8::/64\"]}\nrules:\n"                                          \
	"- {id: 1001, name: Servers, type: allow, severity: critical, match: {host: \"@dmz\"}, mitre: T1071,\n"        \
	"   tags: [a, b], allow: {client: [DNS, TLS, SSH], server: [SSH]}, on_unknown: {alert_after: 3}}\n"
#define DENY "version: 1\nrules:\n- {id: 7, name: \"No chats\", type: deny, severity: high, match: {app: Telegram}"
#define NOW UINT64_C(1700000000000)

struct fixture {
	struct watch w;
	char folder[32], path[64];
	json_t *lines[16];
	size_t n;
};

static void open_watch(struct fixture *f, const char *rules)
{
	struct rule_set *set = NULL;
	char uri[96], err[512], *items[] = {uri};
	struct conf_list list = {.items = items, .n = 1};

	memset(f, 0, sizeof(*f));
	strcpy(f->folder, "/tmp/l7-alerts-XXXXXX");
	assert_non_null(mkdtemp(f->folder));
	snprintf(f->path, sizeof(f->path), "%s/alerts", f->folder);
	snprintf(uri, sizeof(uri), "json+file://%s", f->path);
	if (rules_parse(&set, "r", rules, strlen(rules), (struct rules_warnings){0}, err, sizeof(err)))
		fail_msg("%s", err);
	assert_int_equal(alert_outputs_init(&f->w.outputs, &list, err, sizeof(err)), 0);
	assert_int_equal(watch_init(&f->w, set), 0);
	f->w.wall_ms = NOW;
}

static void read_lines(struct fixture *f)
{
	char line[ALERT_JSON_MAX];
	FILE *in = fopen(f->path, "r");
	json_error_t error;

	assert_non_null(in);
	while (fgets(line, sizeof(line), in)) {
		assert_int_equal(line[strlen(line) - 1], '\n');
		f->lines[f->n] = json_loads(line, JSON_REJECT_DUPLICATES, &error);
		if (!f->lines[f->n++])
			fail_msg("%s: %s", error.text, line);
	}
	fclose(in);
}

static void close_watch(struct fixture *f)
{
	for (size_t i = 0; i < f->n; i++)
		json_decref(f->lines[i]);
	alert_outputs_deinit(&f->w.outputs);
	watch_deinit(&f->w);
	unlink(f->path);
	rmdir(f->folder);
}

static void feed(struct fixture *f, struct flow flow)
{
	struct l7_record r = flow_record(flow);

	assert_true(l7_record_check(&r, l7_record_used(&r)));
	watch_record(&f->w, &r);
}

#define FEED(f, ...) feed(f, (struct flow){__VA_ARGS__})

/* A text of an alert, by a path such as "rule.name". */
static const char *text_at(const json_t *alert, const char *path)
{
	char copy[64], *key, *rest = copy;

	strcpy(copy, path);
	while ((key = strsep(&rest, ".")) && alert)
		alert = json_object_get(alert, key);
	return alert && json_is_string(alert) ? json_string_value(alert) : "(none)";
}

static long long number_at(const json_t *alert, const char *key)
{
	return json_integer_value(json_object_get(alert, key));
}

static void test_object(void **state)
{
	struct fixture f;
	const json_t *a;

	(void)state;
	open_watch(&f, RULES);
	FEED(&f, .app = "TLS.Telegram", .category = "Chat", .dst = "149.154.167.220", .sni = "api.telegram.org");
	read_lines(&f); /* written at once */
	assert_int_equal(f.n, 1);
	a = f.lines[0];
	assert_string_equal(text_at(a, "event_type"), "alert");
	assert_string_equal(text_at(a, "state"), "engaged");
	assert_int_equal(strlen(text_at(a, "alert_uid")), 32);
	assert_string_equal(text_at(a, "first_seen"), "2023-11-14T22:13:18.500Z");
	assert_string_equal(text_at(a, "last_seen"), "2023-11-14T22:13:20.000Z");
	assert_int_equal(strlen(text_at(a, "@timestamp")), 24);
	assert_int_equal(number_at(a, "count"), 1);
	assert_int_equal(number_at(a, "suppressed"), 0);
	assert_int_equal(number_at(json_object_get(a, "rule"), "id"), 1001);
	assert_string_equal(text_at(a, "rule.name"), "Servers");
	assert_string_equal(text_at(a, "rule.type"), "allow");
	assert_int_equal(json_array_size(json_object_get(json_object_get(a, "rule"), "tags")), 2);
	assert_int_equal(json_array_size(json_object_get(json_object_get(a, "rule"), "mitre")), 1);
	assert_string_equal(text_at(a, "severity"), "critical");
	assert_string_equal(text_at(a, "subject.ip"), "192.0.2.10");
	assert_string_equal(text_at(a, "subject.side"), "client");
	assert_string_equal(text_at(a, "peer.ip"), "149.154.167.220");
	assert_int_equal(number_at(json_object_get(a, "peer"), "port"), 443);
	assert_string_equal(text_at(a, "app"), "TLS.Telegram");
	assert_string_equal(text_at(a, "master"), "TLS");
	assert_string_equal(text_at(a, "category"), "Chat");
	assert_string_equal(text_at(a, "confidence"), "dpi");
	assert_string_equal(text_at(a, "flow.sni"), "api.telegram.org");
	assert_string_equal(text_at(a, "flow.flow_id"), "7");
	assert_string_equal(text_at(a, "reason"),
			    "192.0.2.10 speaks TLS.Telegram to 149.154.167.220:443 (api.telegram.org), seen by dpi; "
			    "as client it may speak only DNS, TLS, SSH");
	close_watch(&f);
}

static void reason(const char *rules, struct flow flow, const char *expected)
{
	struct fixture f;

	open_watch(&f, rules);
	feed(&f, flow);
	read_lines(&f);
	assert_int_equal(f.n, 1);
	assert_string_equal(text_at(f.lines[0], "reason"), expected);
	close_watch(&f);
}

#define REASON(rules, expected, ...) reason(rules, (struct flow){__VA_ARGS__}, expected)

static void test_reasons(void **state)
{
	(void)state;
	REASON(RULES,
	       "192.0.2.10 serves HTTP on port 8080 to 198.51.100.7, seen by dpi; as server it may offer only SSH",
	       .src = "198.51.100.7", .dst = "192.0.2.10", .port = 8080, .app = "HTTP");
	REASON(RULES,
	       "2001:db8::5 speaks HTTP to [2001:db8:9::1]:80, known from the classifier's cache; as client it may "
	       "speak only DNS, TLS, SSH",
	       .src = "2001:db8::5", .dst = "2001:db8:9::1", .port = 80, .app = "HTTP", .sure = "cache");
	/* What it carries is a guess, and is not said. */
	REASON("version: 1\nrules:\n- {id: 1, name: n, type: allow, severity: low, match: {}, allow: {client: []}}\n",
	       "192.0.2.10 speaks TLS to 198.51.100.7:443, seen by dpi; as client it may speak nothing",
	       .app = "TLS.Telegram", .sure = "ip");
	REASON(DENY "}\n",
	       "192.0.2.10 speaks TLS.Telegram to 198.51.100.7:443, as the exporter says; denied by rule 7, "
	       "No chats",
	       .app = "TLS.Telegram", .sure = "-", .sure_master = "-");
	REASON("version: 1\nrules:\n- {id: 8, name: No TLS, type: deny, severity: low, match: {master: TLS}}\n",
	       "192.0.2.10 speaks TLS.Telegram to 198.51.100.7:443, TLS seen by dpi and Telegram guessed by address; "
	       "denied "
	       "by rule 8, No TLS",
	       .app = "TLS.Telegram", .sure = "ip");
	REASON("version: 1\nrules:\n- {id: 8, name: Chats, type: deny, severity: low, match: {category: Chat}}\n",
	       "192.0.2.10 speaks Viber (category Chat) to 198.51.100.7:443, seen by dpi; denied by rule 8, Chats",
	       .app = "Viber", .category = "Chat");
	/* Whatever a name holds, a terminal does not obey it. */
	REASON(DENY "}\n",
	       "192.0.2.10 speaks Telegram to 198.51.100.7:443 (?[31m?), seen by dpi; denied by rule 7, No chats",
	       .app = "Telegram", .sni = "\033[31m\xff");
}

static void test_once(void **state)
{
	struct fixture f;

	(void)state;
	open_watch(&f, RULES);
	for (uint64_t i = 1; i <= 1000; i++)
		FEED(&f, .app = "TLS.Telegram", .flow_id = i);
	FEED(&f, .app = "Telegram", .flow_id = 2000); /* the same application */
	FEED(&f, .app = "TLS.Telegram", .flow_id = 2001, .dst = "198.51.100.99");
	assert_int_equal(f.w.alerts.n_raised, 1);
	assert_int_equal(f.w.alerts.n_suppressed, 1001);
	FEED(&f, .app = "HTTP", .flow_id = 3000);
	FEED(&f, .app = "TLS.Telegram", .flow_id = 3001, .src = "2001:db8::1", .dst = "2001:db8:1::");
	assert_int_equal(f.w.alerts.n_raised, 3);
	/* An early record and the last one of a flow are one flow. */
	FEED(&f, .app = "RDP", .flow_id = 4000, .state = L7_STATE_FINAL | L7_STATE_EARLY);
	FEED(&f, .app = "RDP", .flow_id = 4000);
	assert_int_equal(f.w.alerts.n_raised, 4);
	assert_int_equal(f.w.alerts.n_suppressed, 1001);
	read_lines(&f);
	assert_int_equal(f.n, 4);
	close_watch(&f);
}

static void test_again_after_a_while(void **state)
{
	struct fixture f;

	(void)state;
	open_watch(&f, DENY ", dedup: 10m}\n");
	FEED(&f, .app = "Telegram", .flow_id = 1);
	f.w.wall_ms = NOW + 599000;
	FEED(&f, .app = "Telegram", .flow_id = 2, .end_ms = NOW + 599000);
	FEED(&f, .app = "Telegram", .flow_id = 3, .end_ms = NOW + 599000);
	f.w.wall_ms = NOW + 600000;
	FEED(&f, .app = "Telegram", .flow_id = 4, .end_ms = NOW + 600000);
	read_lines(&f);
	assert_int_equal(f.n, 2);
	assert_int_equal(number_at(f.lines[1], "suppressed"), 2);
	assert_string_not_equal(text_at(f.lines[0], "alert_uid"), text_at(f.lines[1], "alert_uid"));
	close_watch(&f);
}

static void test_dedup_keys(void **state)
{
	struct fixture f;

	(void)state;
	open_watch(&f, DENY ", dedup: {key: [subject, peer, port], for: 1h}}\n");
	FEED(&f, .app = "Telegram", .flow_id = 1);
	FEED(&f, .app = "TLS.Telegram", .flow_id = 2);
	FEED(&f, .app = "Telegram", .flow_id = 3, .port = 80);
	FEED(&f, .app = "Telegram", .flow_id = 4, .dst = "198.51.100.8");
	assert_int_equal(f.w.alerts.n_raised, 3);
	close_watch(&f);
}

/* Two watchers that see one thing give it one name. */
static void test_uid(void **state)
{
	struct fixture a, b;

	(void)state;
	open_watch(&a, RULES);
	open_watch(&b, RULES);
	FEED(&a, .app = "TLS.Telegram", .flow_id = 1);
	FEED(&b, .app = "TLS.Telegram", .flow_id = 2, .end_ms = NOW + 20000);
	FEED(&b, .app = "HTTP", .flow_id = 3);
	read_lines(&a);
	read_lines(&b);
	assert_string_equal(text_at(a.lines[0], "alert_uid"), text_at(b.lines[0], "alert_uid"));
	assert_string_not_equal(text_at(a.lines[0], "alert_uid"), text_at(b.lines[1], "alert_uid"));
	close_watch(&a);
	close_watch(&b);
}

static void test_unknown(void **state)
{
	struct fixture f;

	(void)state;
	open_watch(&f, RULES);
	FEED(&f, .app = "Unknown", .flow_id = 1);
	FEED(&f, .app = "Telegram", .sure = "ip", .flow_id = 2);
	FEED(&f, .app = "Unknown", .flow_id = 3, .unanswered = true);
	FEED(&f, .app = "Unknown", .flow_id = 4, .state = L7_STATE_FINAL);
	assert_int_equal(f.w.alerts.n_raised, 0);
	FEED(&f, .app = "Unknown", .flow_id = 5);
	FEED(&f, .app = "Unknown", .flow_id = 6);
	read_lines(&f);
	assert_int_equal(f.n, 1);
	assert_int_equal(number_at(f.lines[0], "count"), 3);
	assert_string_equal(text_at(f.lines[0], "app"), "Unknown");
	assert_string_equal(
		text_at(f.lines[0], "reason"),
		"192.0.2.10 had 3 flows of unknown protocol as client, the last to 198.51.100.7:443; as client it "
		"may speak only DNS, TLS, SSH");
	close_watch(&f);
}

/* An answer in an earlier record counts for a later one. */
static void test_answered_before(void **state)
{
	struct flow later = {
		.src = "198.51.100.7", .dst = "192.0.2.10", .app = "HTTP", .unanswered = true, .flow_id = 9};
	struct flow first = later;
	struct fixture f;

	(void)state;
	first.unanswered = false;
	first.state = L7_STATE_EARLY;
	open_watch(&f, RULES);
	feed(&f, later);
	assert_int_equal(f.w.alerts.n_raised, 0);
	feed(&f, first); /* not final */
	assert_int_equal(f.w.alerts.n_raised, 0);
	feed(&f, later);
	assert_int_equal(f.w.alerts.n_raised, 1);
	close_watch(&f);
}

static void test_wrong_clock(void **state)
{
	struct fixture f;

	(void)state;
	open_watch(&f, DENY ", dedup: 10m}\n");
	FEED(&f, .app = "Telegram", .flow_id = 1, .end_ms = NOW + 86400000);
	FEED(&f, .app = "Telegram", .flow_id = 2, .end_ms = NOW - 200000);
	FEED(&f, .app = "Telegram", .flow_id = 3, .end_ms = UINT64_MAX);
	assert_int_equal(f.w.n_skewed, 2);
	assert_int_equal(f.w.alerts.n_raised, 1);
	close_watch(&f);
}

/* ---- outputs ---- */

static void open_outputs(struct alert_outputs *o, const char *uri, int expected)
{
	char err[256] = "", copy[128], *items[] = {copy};
	struct conf_list list = {.items = items, .n = 1};

	strcpy(copy, uri);
	assert_int_equal(alert_outputs_init(o, &list, err, sizeof(err)), expected);
}

static void test_full_disk(void **state)
{
	struct alert_outputs o;

	(void)state;
	open_outputs(&o, "json+file:///dev/full", 0);
	alert_outputs_write(&o, "x\n", 2);
	alert_outputs_write(&o, "y\n", 2);
	assert_int_equal(o.n_lost, 2);
	assert_true(o.list[0].said);
	alert_outputs_deinit(&o);
	open_outputs(&o, "json+file:///nonexistent/x", -ENOENT);
}

static void test_uris(void **state)
{
	static const char *const wrong[] = {"json+file://x",   "json:x", "syslog:", "json+file:///x?a=b",
					    "json+file://h/x", "json:",  "x"};
	struct alert_outputs o;
	char err[256];

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		char copy[64], *items[] = {copy};
		struct conf_list list = {.items = items, .n = 1};
		size_t which = 9;

		strcpy(copy, wrong[i]);
		assert_int_equal(alert_outputs_check(&list, &which, err, sizeof(err)), -EINVAL);
		assert_non_null(strstr(err, copy));
	}
	open_outputs(&o, "json+file:///", -EISDIR); /* a folder: found out when it is opened */
}

static void test_reopen(void **state)
{
	char folder[] = "/tmp/l7-out-XXXXXX", path[64], moved[64], uri[96];
	struct alert_outputs o;
	struct stat st;

	(void)state;
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/a", folder);
	snprintf(moved, sizeof(moved), "%s/a.1", folder);
	snprintf(uri, sizeof(uri), "json+file://%s", path);
	open_outputs(&o, uri, 0);
	alert_outputs_write(&o, "1\n", 2);
	rename(path, moved);
	alert_outputs_write(&o, "2\n", 2);
	alert_outputs_reopen(&o);
	alert_outputs_write(&o, "3\n", 2);
	assert_int_equal(stat(moved, &st), 0);
	assert_int_equal(st.st_size, 4);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, 2);
	assert_int_equal(st.st_mode & 07, 0);
	alert_outputs_deinit(&o);
	unlink(path);
	unlink(moved);
	rmdir(folder);
}

/* Nobody reads the pipe: we do not wait, nothing is lost until too much waits, and lines stay whole. */
static void test_stuck_pipe(void **state)
{
	char folder[] = "/tmp/l7-out-XXXXXX", path[64], uri[96], line[1001], *got = malloc(6 << 20);
	struct alert_outputs o;
	size_t have = 0, lines;
	ssize_t n;
	int reader;

	(void)state;
	assert_non_null(got);
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/p", folder);
	snprintf(uri, sizeof(uri), "json+file://%s", path);
	assert_int_equal(mkfifo(path, 0600), 0);
	reader = open(path, O_RDONLY | O_NONBLOCK);
	assert_true(reader >= 0);
	open_outputs(&o, uri, 0);
	memset(line, 'x', sizeof(line));
	line[1000] = '\n';
	for (lines = 0; o.n_lost == 0 && lines < 10000; lines++)
		alert_outputs_write(&o, line, sizeof(line));
	assert_true(lines * sizeof(line) > ALERT_PENDING_MAX);
	assert_true(lines < 10000);
	while ((n = read(reader, got + have, 65536)) > 0) {
		have += (size_t)n;
		alert_outputs_flush(&o);
	}
	assert_int_equal(have, (lines - 1) * sizeof(line));
	for (size_t i = 1000; i < have; i += sizeof(line))
		assert_int_equal(got[i], '\n');
	alert_outputs_deinit(&o);
	close(reader);
	unlink(path);
	rmdir(folder);
	free(got);
}

/* ---- the table behind ---- */

static unsigned dropped;

static void count_drop(void *value)
{
	(void)value;
	dropped++;
}

static void test_lru(void **state)
{
	struct lru l;
	uint64_t *v;
	bool fresh;

	(void)state;
	dropped = 0;
	assert_int_equal(lru_init(&l, 100, sizeof(*v), count_drop), 0);
	for (uint64_t i = 0; i < 1000; i++) {
		v = lru_get(&l, (struct lru_key){i, i % 7}, &fresh); /* long chains */
		assert_true(fresh);
		assert_int_equal(*v, 0);
		*v = i;
		v = lru_find(&l, (struct lru_key){0, 0}); /* in use: it stays */
		assert_non_null(v);
		assert_int_equal(*v, 0);
	}
	assert_int_equal(l.n, 100);
	assert_int_equal(l.evicted, 900);
	assert_int_equal(dropped, 900);
	for (uint64_t i = 901; i < 1000; i++) {
		v = lru_find(&l, (struct lru_key){i, i % 7});
		assert_non_null(v);
		assert_int_equal(*v, i);
	}
	assert_null(lru_find(&l, (struct lru_key){900, 900 % 7}));
	lru_deinit(&l);
	assert_int_equal(dropped, 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_object),      cmocka_unit_test(test_reasons),
		cmocka_unit_test(test_once),        cmocka_unit_test(test_again_after_a_while),
		cmocka_unit_test(test_dedup_keys),  cmocka_unit_test(test_uid),
		cmocka_unit_test(test_unknown),     cmocka_unit_test(test_answered_before),
		cmocka_unit_test(test_wrong_clock), cmocka_unit_test(test_full_disk),
		cmocka_unit_test(test_uris),        cmocka_unit_test(test_reopen),
		cmocka_unit_test(test_stuck_pipe),  cmocka_unit_test(test_lru),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
