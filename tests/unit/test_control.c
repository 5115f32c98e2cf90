/* SPDX-License-Identifier: Apache-2.0 */
/* The control socket: requests and answers, and clients that do not keep to it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "control/control.h"

#define LARGE 4000000u

static char broken[] = "broken";

struct fixture {
	char folder[64], path[96], err[256];
	struct loop loop;
	struct control c;
	struct control_handler handlers[5];
};

/* ---- what can be asked ---- */

/* Each word in brackets. */
static int echo(void *arg, char *const *words, size_t n, struct buf *answer)
{
	(void)arg;
	for (size_t i = 1; i < n; i++) {
		buf_char(answer, '[');
		buf_str(answer, words[i]);
		buf_char(answer, ']');
	}
	buf_char(answer, '\n');
	return 0;
}

static int complain(void *arg, char *const *words, size_t n, struct buf *answer)
{
	(void)words;
	if (n > 1)
		buf_printf(answer, "it is %s\nand more", (const char *)arg);
	return -ENOENT;
}

static int large(void *arg, char *const *words, size_t n, struct buf *answer)
{
	char *p = buf_reserve(answer, LARGE);

	(void)arg;
	(void)words;
	(void)n;
	assert_non_null(p);
	memset(p, 'x', LARGE);
	answer->len += LARGE;
	return 0;
}

static int too_large(void *arg, char *const *words, size_t n, struct buf *answer)
{
	(void)arg;
	(void)words;
	(void)n;
	while (!answer->failed)
		buf_str(answer, "0123456789abcdef");
	return 0;
}

static int open_control(struct fixture *f)
{
	struct control_config config = {.path = f->path, .handlers = f->handlers, .n_handlers = 4};

	return control_init(&f->c, &f->loop, &config, f->err, sizeof(f->err));
}

static void set_up(struct fixture *f)
{
	*f = (struct fixture){.folder = "/tmp/l7-control-XXXXXX",
			      .handlers = {{"echo", echo, NULL},
					   {"fail", complain, broken},
					   {"large", large, NULL},
					   {"too_large", too_large, NULL}}};
	assert_non_null(mkdtemp(f->folder));
	snprintf(f->path, sizeof(f->path), "%s/s", f->folder);
	assert_int_equal(loop_init(&f->loop), 0);
	assert_int_equal(open_control(f), 0);
}

static void tear_down(struct fixture *f)
{
	control_deinit(&f->c);
	loop_deinit(&f->loop);
	unlink(f->path);
	assert_int_equal(rmdir(f->folder), 0);
}

/* ---- a client ---- */

static int dial(const struct fixture *f)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(at.sun_path, sizeof(at.sun_path), "%s", f->path);
	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	return fd;
}

static void turn(struct fixture *f)
{
	while (loop_run_once(&f->loop, 0) > 0)
		;
}

/* All that is there until the other side closes, which it must. Returns its length. */
static size_t hear(struct fixture *f, int fd, char *to, size_t size)
{
	uint64_t until = clock_mono_ms() + 20000;
	size_t have = 0;

	for (;;) {
		ssize_t n;

		turn(f);
		n = recv(fd, to + have, size - 1 - have, MSG_DONTWAIT);
		if (n > 0)
			have += (size_t)n;
		else if (n == 0 || errno == ECONNRESET)
			break;
		assert_true(clock_mono_ms() < until);
	}
	to[have] = '\0';
	close(fd);
	return have;
}

static void say(int fd, const char *what, size_t len)
{
	assert_int_equal(send(fd, what, len, MSG_NOSIGNAL), len);
}

static void assert_answer(struct fixture *f, const char *request, size_t len, const char *expected)
{
	char got[512];
	int fd = dial(f);

	say(fd, request, len);
	hear(f, fd, got, sizeof(got));
	assert_string_equal(got, expected);
	assert_int_equal(f->c.n_clients, 0);
}
#define ASSERT_ANSWER(f, request, expected) assert_answer(f, request, sizeof(request) - 1, expected)

static void test_answers(void **state)
{
	struct fixture f;

	(void)state;
	set_up(&f);
	ASSERT_ANSWER(&f, "echo one two\n", "ok\n[one][two]\n");
	ASSERT_ANSWER(&f, "  echo   two%20words %25 %c3%A9 \r\n", "ok\n[two words][%][\xc3\xa9]\n");
	ASSERT_ANSWER(&f, "echo\nwhat comes after the line is not looked at", "ok\n\n");
	ASSERT_ANSWER(&f, "fail\n", "error No such file or directory\n");
	ASSERT_ANSWER(&f, "fail x\n", "error it is broken and more\n");
	ASSERT_ANSWER(&f, "too_large\n", "error the answer is too long\n");
	assert_int_equal(f.c.counters.requests, 6);
	assert_int_equal(f.c.counters.bad, 0);
	tear_down(&f);
}

static void test_garbage(void **state)
{
	char text[CONTROL_REQUEST_MAX + 100];
	struct fixture f;

	(void)state;
	set_up(&f);
	ASSERT_ANSWER(&f, "\n", "error the request is empty\n");
	ASSERT_ANSWER(&f, "  \r\n", "error the request is empty\n");
	ASSERT_ANSWER(&f, "what\n", "error this l7watch does not know the request\n");
	ASSERT_ANSWER(&f, "ech\n", "error this l7watch does not know the request\n");
	ASSERT_ANSWER(&f, "echo a\0b\n", "error the request has a NUL in it\n");
	ASSERT_ANSWER(&f, "echo a\tb\n", "error a request is printable ASCII, with %XX for anything else\n");
	ASSERT_ANSWER(&f, "echo \xff\n", "error a request is printable ASCII, with %XX for anything else\n");
#define BAD_ESCAPE "error a % in the request is not followed by two hexadecimal digits, or stands for NUL\n"
	ASSERT_ANSWER(&f, "echo %\n", BAD_ESCAPE);
	ASSERT_ANSWER(&f, "echo %4\n", BAD_ESCAPE);
	ASSERT_ANSWER(&f, "echo %4g\n", BAD_ESCAPE);
	ASSERT_ANSWER(&f, "echo a%00b\n", BAD_ESCAPE);
	/* The longest, and one octet more; without an end. */
	memset(text, 'x', sizeof(text));
	memcpy(text, "echo ", 5);
	text[CONTROL_REQUEST_MAX] = '\n';
	assert_answer(&f, text, CONTROL_REQUEST_MAX + 1, "error the request is too long\n");
	memset(text, 'a', sizeof(text));
	assert_answer(&f, text, sizeof(text), "error the request is too long\n");
	for (unsigned i = 0; i < CONTROL_WORDS_MAX + 1; i++)
		memcpy(text + 2 * i, "a ", 2);
	text[2 * CONTROL_WORDS_MAX + 1] = '\n';
	assert_answer(&f, text, 2 * CONTROL_WORDS_MAX + 2, "error the request has too many words\n");
	assert_int_equal(f.c.counters.requests, 0);
	assert_int_equal(f.c.counters.bad, 14);
	tear_down(&f);
}

/* The longest request that is one. */
static void test_longest(void **state)
{
	char text[CONTROL_REQUEST_MAX], got[CONTROL_REQUEST_MAX + 16];
	struct fixture f;
	int fd;

	(void)state;
	set_up(&f);
	memset(text, 'x', sizeof(text));
	memcpy(text, "echo ", 5);
	text[CONTROL_REQUEST_MAX - 1] = '\n';
	fd = dial(&f);
	say(fd, text, sizeof(text));
	assert_int_equal(hear(&f, fd, got, sizeof(got)), 3 + 2 + CONTROL_REQUEST_MAX - 6 + 1);
	tear_down(&f);
}

/* A request in pieces, half a one, and none. */
static void test_slow_request(void **state)
{
	char got[64];
	struct fixture f;
	int fd, half, none;

	(void)state;
	set_up(&f);
	fd = dial(&f);
	half = dial(&f);
	none = dial(&f);
	say(half, "echo", 4);
	for (const char *p = "echo hello"; *p; p++) {
		say(fd, p, 1);
		turn(&f);
	}
	assert_int_equal(f.c.n_clients, 3);
	say(fd, "\n", 1);
	hear(&f, fd, got, sizeof(got));
	assert_string_equal(got, "ok\n[hello]\n");
	assert_int_equal(f.c.n_clients, 2);
	/* One gives up, the other waits for ever. */
	close(half);
	turn(&f);
	assert_int_equal(f.c.n_clients, 1);
	assert_int_equal(f.c.counters.bad, 1);
	control_tick(&f.c, clock_mono_ms() + CONTROL_DEADLINE_MS - 1000);
	assert_int_equal(f.c.n_clients, 1);
	control_tick(&f.c, clock_mono_ms() + CONTROL_DEADLINE_MS);
	assert_int_equal(f.c.n_clients, 0);
	assert_int_equal(f.c.counters.late, 1);
	assert_int_equal(hear(&f, none, got, sizeof(got)), 0);
	tear_down(&f);
}

/* Who does not read his answer holds nobody up; who reads it slowly gets all of it. */
static void test_slow_reader(void **state)
{
	char *got = malloc(LARGE + 100);
	struct fixture f;
	int slow, never;

	(void)state;
	assert_non_null(got);
	set_up(&f);
	slow = dial(&f);
	never = dial(&f);
	say(slow, "large\n", 6);
	say(never, "large\n", 6);
	turn(&f);
	assert_int_equal(f.c.n_clients, 2);
	assert_int_equal(loop_run_once(&f.loop, 0), 0); /* and costs nothing */
	assert_int_equal(hear(&f, slow, got, LARGE + 100), LARGE + 3);
	assert_int_equal(f.c.n_clients, 1);
	control_tick(&f.c, clock_mono_ms() + CONTROL_DEADLINE_MS);
	assert_int_equal(f.c.n_clients, 0);
	close(never);
	/* One that is gone before its answer. */
	never = dial(&f);
	say(never, "large\n", 6);
	close(never);
	turn(&f);
	assert_int_equal(f.c.n_clients, 0);
	free(got);
	tear_down(&f);
}

static void test_too_many(void **state)
{
	int fds[CONTROL_CLIENTS_MAX];
	char got[64];
	struct fixture f;

	(void)state;
	set_up(&f);
	for (unsigned i = 0; i < CONTROL_CLIENTS_MAX; i++) {
		fds[i] = dial(&f);
		turn(&f);
	}
	assert_int_equal(f.c.n_clients, CONTROL_CLIENTS_MAX);
	for (unsigned i = 0; i < 3; i++) {
		hear(&f, dial(&f), got, sizeof(got));
		assert_string_equal(got, "error too many requests at a time\n");
	}
	assert_int_equal(f.c.counters.refused, 3);
	close(fds[3]);
	turn(&f);
	fds[3] = dial(&f);
	say(fds[3], "echo a\n", 7);
	hear(&f, fds[3], got, sizeof(got));
	assert_string_equal(got, "ok\n[a]\n");
	for (unsigned i = 0; i < CONTROL_CLIENTS_MAX; i++)
		if (i != 3)
			close(fds[i]);
	tear_down(&f); /* with clients that it has not noticed to be gone */
}

/* Out of descriptors it does not spin, and comes back. */
static void test_descriptors(void **state)
{
	struct rlimit before, limit;
	char got[64];
	struct fixture f;
	int fd;

	(void)state;
	set_up(&f);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	fd = dial(&f);
	limit = before;
	limit.rlim_cur = (rlim_t)fd + 1;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_int_equal(loop_run_once(&f.loop, 0), 1);
	assert_int_equal(loop_run_once(&f.loop, 0), 0);
	assert_true(f.c.paused);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	control_tick(&f.c, clock_mono_ms());
	say(fd, "echo a\n", 7);
	hear(&f, fd, got, sizeof(got));
	assert_string_equal(got, "ok\n[a]\n");
	tear_down(&f);
}

/* ---- the socket ---- */

static void test_place(void **state)
{
	struct fixture f, second;
	struct stat st;
	mode_t mask;
	FILE *file;

	(void)state;
	set_up(&f);
	second = f;
	/* Somebody is there already: nothing is taken from him. */
	assert_int_equal(open_control(&second), -EBUSY);
	assert_non_null(strstr(second.err, f.path));
	assert_non_null(strstr(second.err, "another l7watch answers there"));
	ASSERT_ANSWER(&f, "echo a\n", "ok\n[a]\n");
	/* Somebody was. */
	f.c.inode = 0;
	control_deinit(&f.c);
	assert_int_equal(access(f.path, F_OK), 0);
	mask = umask(077);
	assert_int_equal(open_control(&f), 0);
	umask(mask);
	assert_int_equal(stat(f.path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0660);
	ASSERT_ANSWER(&f, "echo a\n", "ok\n[a]\n");
	/* What has taken its place is not removed with it, nor replaced. */
	unlink(f.path);
	file = fopen(f.path, "w");
	assert_non_null(file);
	fclose(file);
	control_deinit(&f.c);
	control_deinit(&f.c);
	control_tick(&f.c, 0);
	assert_int_equal(open_control(&f), -EEXIST);
	assert_int_equal(access(f.path, F_OK), 0);
	unlink(f.path);
	assert_int_equal(open_control(&f), 0);
	control_deinit(&f.c);
	assert_int_equal(access(f.path, F_OK), -1);
	strcpy(f.path, "/nonexistent/s");
	assert_int_equal(open_control(&f), -ENOENT);
	assert_string_equal(f.err, "control socket /nonexistent/s: No such file or directory");
	strcpy(f.path, "");
	assert_int_equal(open_control(&f), -EINVAL);
	assert_int_equal(rmdir(f.folder), 0);
	loop_deinit(&f.loop);
}

static void test_long_path(void **state)
{
	char path[200], err[512];
	struct loop loop;
	struct control c;
	struct control_config config = {.path = path};

	(void)state;
	memset(path, 'x', sizeof(path));
	path[0] = '/';
	path[108] = '\0';
	assert_int_equal(loop_init(&loop), 0);
	assert_int_equal(control_init(&c, &loop, &config, err, sizeof(err)), -EINVAL);
	assert_non_null(strstr(err, "a path has 1 to 107 octets"));
	control_deinit(&c);
	loop_deinit(&loop);
}

/* ---- the other end ---- */

/* Asks in a process of its own, while this one answers. Returns the exit status. */
static int ask(struct fixture *f, const char *const *words, size_t n, char *got, size_t size)
{
	int ends[2], status;
	ssize_t len;
	pid_t pid;

	assert_int_equal(pipe(ends), 0);
	pid = fork();
	if (pid == 0) {
		FILE *out = fdopen(ends[1], "w");
		int rc;

		log_init("l7watch", LOG_LEVEL_ERROR);
		dup2(ends[1], 2);
		rc = control_ask(f->path, words, n, out);
		fclose(out);
		_exit(rc);
	}
	close(ends[1]);
	while (waitpid(pid, &status, WNOHANG) == 0)
		(void)loop_run_once(&f->loop, 10);
	len = read(ends[0], got, size - 1);
	assert_true(len >= 0);
	got[len] = '\0';
	close(ends[0]);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void test_ask(void **state)
{
	const char *words[] = {"echo", "a b", "100%", "\xc3\xa9\n"}, *fails[] = {"fail", "x"}, *empty[] = {"echo", ""};
	char got[512], big[CONTROL_REQUEST_MAX], expected[256];
	const char *long_words[] = {"echo", big};
	struct fixture f;

	(void)state;
	set_up(&f);
	assert_int_equal(ask(&f, words, 4, got, sizeof(got)), 0);
	assert_string_equal(got, "[a b][100%][\xc3\xa9\n]\n");
	assert_int_equal(ask(&f, fails, 2, got, sizeof(got)), 1);
	assert_non_null(strstr(got, "it is broken and more\n"));
	assert_int_equal(ask(&f, empty, 2, got, sizeof(got)), 1);
	memset(big, 'x', sizeof(big));
	big[sizeof(big) - 1] = '\0';
	assert_int_equal(ask(&f, long_words, 2, got, sizeof(got)), 1);
	assert_non_null(strstr(got, "longer than 4096 octets"));
	f.c.inode = 0; /* left behind */
	control_deinit(&f.c);
	snprintf(expected, sizeof(expected), "no l7watch answers at %s: Connection refused\n", f.path);
	assert_int_equal(ask(&f, words, 4, got, sizeof(got)), 2);
	assert_non_null(strstr(got, expected));
	unlink(f.path);
	assert_int_equal(ask(&f, words, 4, got, sizeof(got)), 2);
	assert_non_null(strstr(got, ": No such file or directory\n"));
	tear_down(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers),     cmocka_unit_test(test_garbage),
		cmocka_unit_test(test_longest),     cmocka_unit_test(test_slow_request),
		cmocka_unit_test(test_slow_reader), cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_descriptors), cmocka_unit_test(test_place),
		cmocka_unit_test(test_long_path),   cmocka_unit_test(test_ask),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
