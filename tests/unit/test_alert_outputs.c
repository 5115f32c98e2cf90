/* SPDX-License-Identifier: Apache-2.0 */
/* Where alerts go: files, pipes, syslog; and what they make of hostile texts. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "alert_rig.h"
#include "base/utf8.h"

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
	static const char *const wrong[] = {"json+file://x",   "json:x",     "syslog:x", "json+file:///x?a=b",
					    "json+file://h/x", "json:",      "x",        "text:x",
					    "text+file://x",   "syslog://h", "http://h/"};
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

/* ---- at the start, what a file has already ---- */

static char *read_all(const char *path)
{
	char *text = calloc(1, 8 << 20);
	FILE *in = fopen(path, "r");

	assert_non_null(text);
	assert_non_null(in);
	(void)!fread(text, 1, (8 << 20) - 1, in);
	fclose(in);
	return text;
}

static void again(struct alert_outputs *o, const char *line)
{
	alert_outputs_again(o, line, strlen(line));
}

static void test_again(void **state)
{
	char folder[] = "/tmp/l7-out-XXXXXX", path[64], uri[96], line[1001], *text;
	struct alert_outputs o;

	(void)state;
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/a", folder);
	snprintf(uri, sizeof(uri), "json+file://%s", path);
	open_outputs(&o, uri, 0);
	alert_outputs_write(&o, "old\n", 4);
	memset(line, 'x', sizeof(line) - 1);
	line[1000] = '\n';
	for (unsigned i = 0; i < 5000; i++) /* `old` is out of sight then */
		alert_outputs_write(&o, line, sizeof(line));
	alert_outputs_write(&o, "a\nb\nbroken", 10);
	alert_outputs_deinit(&o);
	open_outputs(&o, uri, 0);
	again(&o, "old\n");
	again(&o, "a\n");
	again(&o, "broken\n");
	again(&o, "b\n");
	again(&o, "c\n");
	alert_outputs_again_end(&o);
	alert_outputs_write(&o, "a\n", 2);
	alert_outputs_deinit(&o);
	text = read_all(path);
	assert_string_equal(text + 4 + 5000 * sizeof(line), "a\nb\nbroken\nold\nbroken\nc\na\n");
	free(text);
	unlink(path);
	rmdir(folder);
}

/* ---- for a person ---- */

#define ALERT                                                                                                          \
	"{\"event_type\":\"alert\",\"alert_uid\":\"0\",\"state\":\"%s\",\"@timestamp\":\"2027-01-31T10:00:00.000Z\","  \
	"\"last_seen\":\"2027-01-30T09:00:00.000Z\","                                                                  \
	"\"rule\":{\"id\":1001,\"name\":\"n\",\"type\":\"deny\",\"file\":\"rules.yaml\",\"line\":14},"                 \
	"\"severity\":\"%s\",\"subject\":{\"ip\":\"192.0.2.10\",\"side\":\"client\"},\"reason\":\"%s\"}\n"

#define FORMAT(out, ...) assert_true((size_t)snprintf(out, sizeof(out), __VA_ARGS__) < sizeof(out))

/* Time is the present, of a replay the flow's. */
static void test_text(void **state)
{
	char folder[] = "/tmp/l7-out-XXXXXX", path[64], uri[96], line[1024], *text;
	struct alert_outputs o;

	(void)state;
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/a", folder);
	snprintf(uri, sizeof(uri), "text+file://%s", path);
	open_outputs(&o, uri, 0);
	FORMAT(line, ALERT, "engaged", "critical", "it speaks \\u001b[31m \\u009b1m");
	alert_outputs_write(&o, line, strlen(line));
	o.replay = true;
	FORMAT(line, ALERT, "released", "low", "it is over");
	alert_outputs_write(&o, line, strlen(line));
	again(&o, line);
	alert_outputs_write(&o, "[]\n", 3); /* none of ours */
	assert_int_equal(o.n_lost, 1);
	alert_outputs_deinit(&o);
	text = read_all(path);
	assert_string_equal(text,
			    "2027-01-31T10:00:00.000Z critical it speaks ?[31m ?1m [rule 1001, rules.yaml:14]\n"
			    "2027-01-30T09:00:00.000Z low      released: it is over [rule 1001, rules.yaml:14]\n");
	free(text);
	unlink(path);
	rmdir(folder);
}

/* ---- syslog ---- */

static int listen_at(const char *path)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	snprintf(at.sun_path, sizeof(at.sun_path), "%s", path);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	return fd;
}

/* A datagram as text; "" if there is none. */
static const char *datagram(int fd)
{
	static char text[70000];
	ssize_t n = recv(fd, text, sizeof(text) - 1, 0);

	text[n > 0 ? n : 0] = '\0';
	return text;
}

static void test_syslog(void **state)
{
	static const struct {
		const char *severity;
		int priority;
	} severities[] = {{"info", 30}, {"low", 29}, {"medium", 28}, {"high", 27}, {"critical", 26}};
	char folder[] = "/tmp/l7-out-XXXXXX", path[64], uri[96], line[4096], expected[256], reason[2001];
	struct alert_outputs o;
	uint64_t lost;
	int fd;

	(void)state;
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/log", folder);
	snprintf(uri, sizeof(uri), "syslog://%s", path);
	open_outputs(&o, uri, 0); /* nobody is there: no reason not to start */
	FORMAT(line, ALERT, "engaged", "low", "one");
	alert_outputs_write(&o, line, strlen(line));
	assert_int_equal(o.n_lost, 1);
	fd = listen_at(path);
	for (size_t i = 0; i < 5; i++) {
		FORMAT(line, ALERT, "engaged", severities[i].severity, "it speaks \\u001b[31m\\n \\u009b");
		alert_outputs_write(&o, line, strlen(line));
		snprintf(expected, sizeof(expected),
			 "<%d>l7watch[%d]: %s 1001 192.0.2.10 it speaks \\x1B[31m\\x0A \\xC2\\x9B",
			 severities[i].priority, (int)getpid(), severities[i].severity);
		assert_string_equal(datagram(fd), expected);
	}
	assert_int_equal(o.n_lost, 1);
	assert_false(o.list[0].said);
	/* Long: cut, between characters. */
	for (size_t i = 0; i + 1 < sizeof(reason); i += 2)
		memcpy(reason + i, "\xc3\xa4", 2);
	reason[2000] = '\0';
	FORMAT(line, ALERT, "engaged", "low", reason);
	alert_outputs_write(&o, line, strlen(line));
	assert_in_range(strlen(datagram(fd)), 1023, 1024);
	/* The daemon is restarted. */
	close(fd);
	unlink(path);
	alert_outputs_write(&o, line, strlen(line));
	assert_int_equal(o.n_lost, 2);
	fd = listen_at(path);
	alert_outputs_write(&o, line, strlen(line));
	assert_true(strlen(datagram(fd)) > 0);
	assert_int_equal(o.n_lost, 2);
	/* It does not read: nobody waits for it. */
	for (lost = 0; o.n_lost == 2 && lost < 100000; lost++)
		alert_outputs_write(&o, line, strlen(line));
	assert_int_equal(o.n_lost, 3);
	assert_true(strlen(datagram(fd)) > 0);
	alert_outputs_write(&o, line, strlen(line));
	assert_int_equal(o.n_lost, 3);
	alert_outputs_deinit(&o);
	close(fd);
	unlink(path);
	rmdir(folder);
}

/* ---- hostile texts ---- */

static const char *hostile(char *out, size_t size, uint32_t *seed)
{
	static const char *const parts[] = {"\"",
					    "\\",
					    "\n",
					    "\r",
					    "\033[2J",
					    "</script>",
					    "\xe2\x80\xa8",
					    "\xff",
					    "\xc0\xaf",
					    "\xed\xa0\x80",
					    "%s%n",
					    "\xf4\x90\x80\x80",
					    "<13>",
					    "\x7f",
					    "\xc2\x9b",
					    "{{",
					    "\t",
					    "\",\"state\":\"released\"",
					    "\xf0\x9f\x92\xa9",
					    "rule",
					    ",\"rule\":{",
					    "&",
					    "'"};
	size_t len = 0, n = 1 + (*seed >> 8) % 20;

	while (n--) {
		const char *part;

		*seed = *seed * 1664525 + 1013904223;
		part = parts[(*seed >> 16) % (sizeof(parts) / sizeof(parts[0]))];
		if (len + strlen(part) >= size)
			break;
		strcpy(out + len, part);
		len += strlen(part);
	}
	out[len] = '\0';
	return out;
}

/* Texts of the network in every place: each line is JSON of the right kind, each datagram one line, each line for a person too. */
static void test_hostile(void **state)
{
	static const char rules[] = "version: 1\nrules:\n"
				    "- {id: 7, name: n, type: deny, severity: high, match: {client: 192.0.2.10},\n"
				    "   dedup: 0s, mute: {after: 0}}\n";
	char sni[200], app[100], category[100], log_path[64], text_path[64], uris[3][96], err[256];
	char *items[] = {uris[0], uris[1], uris[2]};
	struct conf_list list = {.items = items, .n = 3};
	uint32_t seed = 1;
	struct rig g;
	int fd;

	(void)state;
	rig_open(&g, rules);
	alert_outputs_deinit(&g.outputs);
	snprintf(log_path, sizeof(log_path), "%s/log", g.folder);
	snprintf(text_path, sizeof(text_path), "%s/text", g.folder);
	snprintf(uris[0], sizeof(uris[0]), "json+file://%s", g.path);
	snprintf(uris[1], sizeof(uris[1]), "text+file://%s", text_path);
	snprintf(uris[2], sizeof(uris[2]), "syslog://%s", log_path);
	fd = listen_at(log_path);
	assert_int_equal(alert_outputs_init(&g.outputs, &list, err, sizeof(err)), 0);
	for (uint64_t i = 1; i <= 10000; i++) {
		const char *text;

		FEED(&g, .app = hostile(app, sizeof(app), &seed), .sni = hostile(sni, sizeof(sni), &seed),
		     .category = hostile(category, sizeof(category), &seed), .flow_id = i, .end_ms = NOW + i);
		assert_int_equal(rig_read(&g), 1);
		assert_string_equal(text_at(g.lines[0], "event_type"), "alert");
		assert_string_not_equal(text_at(g.lines[0], "state"), "released");
		assert_int_equal(number_at(g.lines[0], "rule.id"), 7);
		json_decref(g.lines[--g.n]);
		text = datagram(fd);
		assert_true(strncmp(text, "<27>l7watch[", 12) == 0 && strlen(text) <= 1024);
		for (const char *c = text; *c; c++)
			assert_true((unsigned char)*c >= 0x20 && *c != 0x7f);
	}
	alert_outputs_deinit(&g.outputs);
	{
		char *all = read_all(text_path);
		size_t lines = 0;

		for (const char *c = all; *c; c++) {
			lines += *c == '\n';
			assert_true(*c == '\n' || (unsigned char)*c >= 0x20);
		}
		assert_int_equal(lines, 10000);
		free(all);
	}
	close(fd);
	rig_close(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_full_disk),  cmocka_unit_test(test_uris),    cmocka_unit_test(test_reopen),
		cmocka_unit_test(test_stuck_pipe), cmocka_unit_test(test_again),   cmocka_unit_test(test_text),
		cmocka_unit_test(test_syslog),     cmocka_unit_test(test_hostile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
