/* SPDX-License-Identifier: Apache-2.0 */
/* Records from files and pipes: in steps, to their end, and what is said of those that are none. */
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

#include "../lib/message.h"
#include "input/input.h"
#include "l7/fields.h"
#include "record/record_json_reader.h"

struct fixture {
	struct loop loop;
	struct input in;
	struct message m;
	char folder[32];
	char path[80], uri[120];
	char said[80]; /* what the program says goes here */
	int stderr_was;
	uint64_t records;
	uint64_t lost;
	char exporter[80]; /* of the last record */
	char app[80];
};

static void got(void *arg, const struct l7_record *r)
{
	struct fixture *f = arg;

	f->records++;
	snprintf(f->exporter, sizeof(f->exporter), "%.*s", r->exporter.len, r->text + r->exporter.off);
	snprintf(f->app, sizeof(f->app), "%.*s", r->app.len, r->text + r->app.off);
}

static void missed(void *arg, const struct ipfix_missed *m)
{
	((struct fixture *)arg)->lost += m->lost;
}

static int start(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	int fd;

	if (!f || loop_init(&f->loop))
		return -1;
	strcpy(f->folder, "/tmp/l7files-XXXXXX");
	if (!mkdtemp(f->folder))
		return -1;
	snprintf(f->path, sizeof(f->path), "%s/flows.data", f->folder);
	snprintf(f->said, sizeof(f->said), "%s/said", f->folder);
	fd = open(f->said, O_RDWR | O_CREAT | O_APPEND, 0600);
	f->stderr_was = dup(STDERR_FILENO);
	if (fd < 0 || dup2(fd, STDERR_FILENO) < 0)
		return -1;
	close(fd);
	*state = f;
	return 0;
}

static int stop(void **state)
{
	struct fixture *f = *state;

	dup2(f->stderr_was, STDERR_FILENO);
	close(f->stderr_was);
	input_deinit(&f->in);
	loop_deinit(&f->loop);
	unlink(f->path);
	unlink(f->said);
	rmdir(f->folder);
	free(f);
	return 0;
}

/* Whether this was said, so many times. */
static unsigned said(const struct fixture *f, const char *what)
{
	static char text[1 << 16];
	unsigned n = 0;
	FILE *in = fopen(f->said, "r");

	assert_non_null(in);
	text[fread(text, 1, sizeof(text) - 1, in)] = '\0';
	fclose(in);
	for (const char *at = text; (at = strstr(at, what)); at += strlen(what))
		n++;
	return n;
}

static int open_uri(struct fixture *f, const char *uri, char *err, size_t err_size)
{
	const struct ipfix_reader_sink sink = {.record = got, .arg = f, .missed = missed};
	char *items[] = {(char *)uri};
	struct conf_list list = {.items = items, .n = 1};

	return input_init(&f->in, &f->loop, &list, sink, L7_PEN_OWN, err, err_size);
}

static void opens(struct fixture *f, const char *scheme)
{
	char err[256] = "";

	snprintf(f->uri, sizeof(f->uri), "%s://%s", scheme, f->path);
	assert_int_equal(open_uri(f, f->uri, err, sizeof(err)), 0);
	assert_string_equal(err, "");
}

static void put_file(const struct fixture *f, const void *data, size_t len)
{
	FILE *out = fopen(f->path, "a");

	assert_non_null(out);
	assert_int_equal(fwrite(data, 1, len, out), len);
	assert_int_equal(fclose(out), 0);
}

static void put_text(const struct fixture *f, const char *text)
{
	put_file(f, text, strlen(text));
}

/* Turns of the loop until all is read. Returns their number. */
static unsigned turns(struct fixture *f)
{
	unsigned n = 0;

	for (; !input_done(&f->in); n++) {
		bool more = input_files_step(&f->in);

		assert_true(n < 100000);
		(void)loop_run_once(&f->loop, more || input_done(&f->in) ? 0 : 20);
	}
	return n;
}

static void make(struct fixture *f, uint32_t sequence, unsigned n)
{
	message_start(&f->m, sequence, 5);
	message_set(&f->m, 2);
	message_template(&f->m, 256, 1, 0);
	message_field(&f->m, 0, 8, 4);
	message_set(&f->m, 256);
	for (unsigned i = 0; i < n; i++)
		message_uint(&f->m, 0xc0000201, 4);
	message_end(&f->m);
}

static void test_ipfix(void **state)
{
	struct fixture *f = *state;

	for (unsigned i = 0; i < 1000; i++) {
		make(f, i * 3, 3);
		put_file(f, f->m.data, f->m.len);
	}
	make(f, 3000, 16000); /* as long as can be */
	put_file(f, f->m.data, f->m.len);
	opens(f, "ipfix+file");
	assert_true(input_files_step(&f->in));
	assert_int_equal(f->records, INPUT_FILE_MESSAGES * 3); /* no more in one step */
	assert_true(turns(f) >= 1000 / INPUT_FILE_MESSAGES);
	assert_int_equal(f->records, 19000);
	assert_string_equal(f->exporter, "flows.data#5");
	assert_false(input_files_step(&f->in));
	assert_int_equal(f->in.counters.bad_files, 0);
	assert_int_equal(f->lost + f->in.ipfix.lost, 0);
}

static void test_ipfix_is_cut(void **state)
{
	struct fixture *f = *state;

	make(f, 0, 3);
	put_file(f, f->m.data, f->m.len);
	make(f, 10, 3);
	put_file(f, f->m.data, f->m.len);
	put_file(f, f->m.data, f->m.len - 1);
	opens(f, "ipfix+file");
	(void)turns(f);
	assert_int_equal(f->records, 6);
	assert_int_equal(f->lost, 7);
	assert_int_equal(f->in.counters.half_messages, 1);
	assert_int_equal(f->in.counters.bad_files, 1);
	assert_int_equal(said(f, "flows.data: it ends within the message that begins at octet 88"), 1);
}

static void test_ipfix_is_none(void **state)
{
	struct fixture *f = *state;

	make(f, 0, 3);
	put_file(f, f->m.data, f->m.len);
	put_text(f, "GET / HTTP/1.0\r\n\r\n");
	opens(f, "ipfix+file");
	(void)turns(f);
	assert_int_equal(f->records, 3);
	assert_int_equal(f->in.counters.garbage, 1);
	assert_int_equal(f->in.counters.bad_files, 1);
	assert_int_equal(said(f, "at octet 44 there is no IPFIX message"), 1);
	assert_int_equal(said(f, "capture"), 0);
}

static void test_capture(void **state)
{
	struct fixture *f = *state;

	put_file(f, "\xd4\xc3\xb2\xa1\2\0\4\0\0\0\0\0\0\0\0\0\0\0\4\0\1\0\0\0", 24);
	opens(f, "ipfix+file");
	(void)turns(f);
	assert_int_equal(said(f, "it is a capture, which l7probe -r reads"), 1);
}

static void test_json(void **state)
{
	struct fixture *f = *state;
	char line[200];

	for (unsigned i = 0; i < 2000; i++) {
		snprintf(line, sizeof(line), "{\"src_ip\":\"192.0.2.1\",\"app\":\"TLS\",\"n\":%u%s}\n%s", i,
			 i % 2 ? "" : ",\"exporter\":\"probe1\"", i % 100 ? "" : " \t\r\n\n");
		put_text(f, line);
	}
	put_text(f, "{\"dst_ip\":\"192.0.2.1\",\"app\":\"DNS\"}"); /* without an end */
	opens(f, "json+file");
	assert_true(input_files_step(&f->in));
	assert_true(f->records > 0 && f->records <= INPUT_FILE_LINES);
	(void)turns(f);
	assert_int_equal(f->records, 2001);
	assert_string_equal(f->app, "DNS");
	assert_string_equal(f->exporter, "flows.data");
	assert_int_equal(f->in.counters.lines, 2001);
	assert_int_equal(f->in.counters.bad_lines, 0);
	assert_int_equal(f->in.counters.unknown_keys, 1);
	assert_int_equal(said(f, "flows.data:1: key n is not known and ignored"), 1);
}

static void test_bad_lines(void **state)
{
	struct fixture *f = *state;
	static char text[RECORD_JSON_LINE_MAX * 3];

	put_text(f, "{\"src_ip\":\"192.0.2.1\",\"src_prt\":1}\n\n{\"src_ip\": x}\n{\"src_port\":70000}\n");
	memset(text, 'x', sizeof(text));
	put_file(f, text, sizeof(text));
	put_text(f, "\n{\"src_ip\":\"192.0.2.1\"}\n");
	for (unsigned i = 0; i < 50; i++)
		put_text(f, "nonsense\n");
	memset(text, ' ', sizeof(text)); /* as long as can be, and one longer */
	memcpy(text, "{\"src_ip\":\"192.0.2.1\"}", 22);
	put_file(f, text, RECORD_JSON_LINE_MAX);
	put_text(f, "\n");
	put_file(f, text, RECORD_JSON_LINE_MAX + 1);
	put_text(f, "\n");
	put_file(f, text, sizeof(text)); /* without an end */
	opens(f, "json+file");
	(void)turns(f);
	assert_int_equal(f->records, 3);
	assert_int_equal(f->in.counters.bad_lines, 3 + 50 + 2);
	assert_int_equal(f->in.counters.lines, 3 + 3 + 50 + 2);
	assert_int_equal(f->in.counters.bad_files, 0);
	assert_int_equal(said(f, "flows.data:1: key src_prt is not known and ignored; there is src_port"), 1);
	assert_int_equal(said(f, "flows.data:3:12: "), 1);
	assert_int_equal(said(f, "flows.data:4: src_port is 70000; it is a whole number from 0 to 65535"), 1);
	assert_int_equal(said(f, "flows.data:5: the line is too long"), 1);
	assert_int_equal(said(f, "flows.data:7:8: "), 1);
	assert_int_equal(said(f, "flows.data:9"), 0); /* the first few are enough */
	assert_int_equal(said(f, "flows.data: 55 of 59 lines are refused"), 1);
}

static void test_no_record(void **state)
{
	struct fixture *f = *state;

	put_text(f, "<html>\n</html>\n");
	opens(f, "json+file");
	(void)turns(f);
	assert_int_equal(f->in.counters.bad_files, 1);
	assert_int_equal(said(f, "flows.data: no line is a flow record"), 1);
}

static void test_empty(void **state)
{
	struct fixture *f = *state;

	put_text(f, "");
	opens(f, "json+file");
	(void)turns(f);
	input_deinit(&f->in);
	opens(f, "ipfix+file");
	(void)turns(f);
	assert_int_equal(f->in.counters.bad_files, 0);
	assert_int_equal(f->records, 0);
}

/* A pipe: octet by octet, then more at once than one step takes; it ends with its writer. */
static void test_pipe(void **state)
{
	static const char line[] = "{\"src_ip\":\"192.0.2.1\"}\n";
	struct fixture *f = *state;
	int fd;

	assert_int_equal(mkfifo(f->path, 0600), 0);
	opens(f, "json+file");
	for (int i = 0; i < 5; i++) { /* nobody writes yet */
		assert_false(input_files_step(&f->in));
		(void)loop_run_once(&f->loop, 0);
	}
	assert_false(input_done(&f->in));
	fd = open(f->path, O_WRONLY | O_NONBLOCK);
	assert_true(fd >= 0);
	for (size_t i = 0; i < sizeof(line) - 1; i++) {
		assert_int_equal(f->records, 0);
		assert_int_equal(write(fd, line + i, 1), 1);
		(void)loop_run_once(&f->loop, 100);
		assert_false(input_files_step(&f->in));
	}
	assert_int_equal(f->records, 1);
	for (unsigned i = 0; i < 2500; i++)
		assert_int_equal(write(fd, line, sizeof(line) - 1), sizeof(line) - 1);
	(void)loop_run_once(&f->loop, 100);
	assert_int_equal(f->records, 1 + INPUT_FILE_LINES);
	assert_true(input_files_step(&f->in)); /* what was read does not wait for what is written next */
	assert_int_equal(f->records, 1 + 2 * INPUT_FILE_LINES);
	while (input_files_step(&f->in))
		(void)loop_run_once(&f->loop, 0);
	assert_int_equal(f->records, 2501);
	assert_false(input_done(&f->in));
	close(fd);
	(void)turns(f);
	assert_int_equal(f->records, 2501);
}

static void test_ipfix_pipe(void **state)
{
	struct fixture *f = *state;
	int fd;

	assert_int_equal(mkfifo(f->path, 0600), 0);
	opens(f, "ipfix+file");
	fd = open(f->path, O_WRONLY | O_NONBLOCK);
	make(f, 0, 3);
	for (size_t i = 0; i < f->m.len; i++) {
		assert_int_equal(write(fd, f->m.data + i, 1), 1);
		(void)loop_run_once(&f->loop, 100);
	}
	assert_int_equal(f->records, 3);
	make(f, 3, 10000);
	assert_int_equal(write(fd, f->m.data, f->m.len), f->m.len);
	close(fd);
	(void)turns(f);
	assert_int_equal(f->records, 10003);
	assert_int_equal(f->in.counters.bad_files, 0);
}

/* Several inputs: the daemon is done when the last file is, and not with a listener beside them. */
static void test_replay(void **state)
{
	char tcp[] = "ipfix+tcp://127.0.0.1:1", file[] = "ipfix+file:///x", json[] = "json:-",
	     pipe[] = "json+file:///y";
	char *items[] = {file, json, pipe, tcp}, err[200];
	struct conf_list files = {.items = items, .n = 3}, all = {.items = items, .n = 4}, none = {0};
	size_t which;

	(void)state;
	assert_true(input_is_replay(&files));
	assert_false(input_is_replay(&all));
	assert_false(input_is_replay(&none));
	assert_int_equal(input_check(&all, &which, err, sizeof(err)), 0);
	items[0] = json;
	assert_int_equal(input_check(&files, &which, err, sizeof(err)), -EINVAL);
	assert_int_equal(which, 1);
	assert_string_equal(err, "json:-: standard input can be read once");
}

static void test_cannot_open(void **state)
{
	struct fixture *f = *state;
	char err[256];

	assert_int_equal(open_uri(f, "json+file:///no/such/file", err, sizeof(err)), -ENOENT);
	assert_string_equal(err, "cannot read /no/such/file: No such file or directory");
	assert_int_equal(open_uri(f, "ipfix+file:///tmp", err, sizeof(err)), -EISDIR);
	assert_int_equal(open_uri(f, "json+file://tmp/x", err, sizeof(err)), -EINVAL);
	assert_string_equal(err, "json+file://tmp/x: this input is written json+file:///path");
	assert_int_equal(open_uri(f, "json:x", err, sizeof(err)), -EINVAL);
	assert_int_equal(open_uri(f, "ipfix+file:-", err, sizeof(err)), -EINVAL);
	assert_int_equal(open_uri(f, "json+file:///x?a=1", err, sizeof(err)), -EINVAL);
}

#define T(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_ipfix), T(test_ipfix_is_cut), T(test_ipfix_is_none), T(test_capture),
		T(test_json),  T(test_bad_lines),    T(test_no_record),     T(test_empty),
		T(test_pipe),  T(test_ipfix_pipe),   T(test_replay),        T(test_cannot_open),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
