/* SPDX-License-Identifier: Apache-2.0 */
/* Commands, from their words to the daemon's answer and back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "commands/commands.h"
#include "commands/requests.h"
#include "commands/silence_words.h"
#include "control/control.h"

#define NOW UINT64_C(1700000000000) /* 2023-11-14 22:13:20 UTC */
#define WORDS_MAX 24

/* ---- words ---- */

/* Splits at blanks; a value with a blank in it has "_" there. */
static size_t split(char *line, char *words[WORDS_MAX])
{
	size_t n = 0;

	for (char *p = strtok(line, " "); p; p = strtok(NULL, " ")) {
		assert_true(n < WORDS_MAX);
		words[n++] = p;
	}
	return n;
}

static int read_words(struct silence_words *w, char *line, char *err, size_t err_size)
{
	char *words[WORDS_MAX];
	size_t n = split(line, words);

	err[0] = '\0';
	return silence_words_read(w, words, n, NOW, err, err_size);
}

static void test_wrong_words(void **state)
{
	static const char *const cases[][2] = {
		{"silence", "silence needs add, list or del: see l7watch silence --help"},
		{"silence ad", "silence \"ad\" is not known; did you mean add?"},
		{"silence everything", "silence \"everything\" is not known: see l7watch silence --help"},
		{"silence add", "this would silence every alert: give --rule, --host or --app"},
		{"silence add --for 2h", "this would silence every alert: give --rule, --host or --app"},
		{"silence add --rul 1", "option \"--rul\" is not known; did you mean --rule?"},
		{"silence add 1001", "option \"1001\" is not known: see l7watch silence --help"},
		{"silence add --rule", "option --rule needs a value"},
		{"silence add --rule 0", "--rule is \"0\", not the id of a rule"},
		{"silence add --rule -1", "--rule is \"-1\", not the id of a rule"},
		{"silence add --rule 4294967296", "--rule is \"4294967296\", not the id of a rule"},
		{"silence add --rule 1x", "--rule is \"1x\", not the id of a rule"},
		{"silence add --rule 99999999999999999999", "--rule is \"99999999999999999999\", not the id of a rule"},
		{"silence add --rule 1 --rule 2", "option --rule is given twice"},
		{"silence add --host web1",
		 "--host web1 is no address or network, such as 192.0.2.10 or 2001:db8::/32"},
		{"silence add --host 192.0.2.1/24", "--host 192.0.2.1/24 has bits set beyond its length"},
		{"silence add --host 0.0.0.0/0", "--host 0.0.0.0/0 is every host; leave it out"},
		{"silence add --host ::/0", "--host ::/0 is every host; leave it out"},
		{"silence add --app category:Chat",
		 "--app category:Chat: a silence takes one application, such as Telegram, TLS.Telegram or TLS.*"},
		{"silence add --app !TLS",
		 "--app !TLS: lists and \"!\" are for rules; a silence takes one application"},
		{"silence add --app *", "--app * is no name, such as Telegram, TLS.Telegram or TLS.*"},
		{"silence add --app a\033[31m", "--app has characters that are in no name"},
		{"silence add --app 0123456789012345678901234567890123456789012345678901234567890123",
		 "--app has 1 to 63 characters"},
		{"silence add --app TLS --for 2", "--for is \"2\", not a time such as 30m, 2h or 7d"},
		{"silence add --app TLS --for 0h", "--for is \"0h\", not a time such as 30m, 2h or 7d"},
		{"silence add --app TLS --for 1000001d", "--for is \"1000001d\", not a time such as 30m, 2h or 7d"},
		{"silence add --app TLS --for 2y", "--for is \"2y\", not a time such as 30m, 2h or 7d"},
		{"silence add --app TLS --until tomorrow", "--until is \"tomorrow\", not a day such as 2027-01-31"},
		{"silence add --app TLS --until 2027-02-29", "--until is \"2027-02-29\", not a day such as 2027-01-31"},
		{"silence add --app TLS --until 2027-1-31", "--until is \"2027-1-31\", not a day such as 2027-01-31"},
		{"silence add --app TLS --until 2023-11-13", "--until 2023-11-13 is over"},
		{"silence add --app TLS --until 2027-01-31 --for 1h", "--for and --until exclude each other"},
		{"silence list all", "option \"all\" is not known: see l7watch silence --help"},
		{"silence list --jsn", "option \"--jsn\" is not known; did you mean --json?"},
		{"silence del", "silence del needs the number of one silence: see l7watch silence list"},
		{"silence del 1 2", "silence del needs the number of one silence: see l7watch silence list"},
		{"silence del x", "\"x\" is not the number of a silence"},
		{"silence del 9999999999999999999", "\"9999999999999999999\" is not the number of a silence"},
	};
	struct silence_words w;
	char line[512], err[512];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		snprintf(line, sizeof(line), "%s", cases[i][0]);
		assert_int_equal(read_words(&w, line, err, sizeof(err)), -EINVAL);
		assert_string_equal(err, cases[i][1]);
	}
}

static void test_comment_length(void **state)
{
	char line[] = "silence add --rule 1 --comment x", text[300], *words[WORDS_MAX];
	struct silence_words w;
	char err[512];

	(void)state;
	assert_int_equal(split(line, words), 6);
	words[5] = text;
	memset(text, 'x', sizeof(text));
	text[SILENCE_COMMENT_MAX + 1] = '\0';
	assert_int_equal(silence_words_read(&w, words, 6, NOW, err, sizeof(err)), -EINVAL);
	text[SILENCE_COMMENT_MAX] = '\0';
	assert_int_equal(silence_words_read(&w, words, 6, NOW, err, sizeof(err)), 0);
	assert_string_equal(w.silence.comment, text);
	text[0] = '\0';
	assert_int_equal(silence_words_read(&w, words, 6, NOW, err, sizeof(err)), -EINVAL);
}

static void test_words(void **state)
{
	char line[] = "silence add --rule 4294967295 --host 192.0.2.0/24 --app TLS.Telegram --for 2h --comment a\x01z";
	char until[] = "silence add --host 2001:DB8::5 --until 2023-11-14", v6[] = "silence add --host 2001:db8::/32";
	char one[] = "silence add --host 192.0.2.7/32", list[] = "silence list --json", del[] = "silence del 17";
	struct silence_words w;
	char err[512];

	(void)state;
	assert_int_equal(read_words(&w, line, err, sizeof(err)), 0);
	assert_int_equal(w.verb, SILENCE_ADD);
	assert_int_equal(w.silence.rule, UINT32_MAX);
	assert_string_equal(w.silence.host, "192.0.2.0/24");
	assert_string_equal(w.silence.app, "TLS.Telegram");
	assert_string_equal(w.silence.comment, "a?z");
	assert_int_equal(w.silence.until_ms, NOW + 7200000);
	assert_int_equal(w.silence.created_ms, NOW);
	assert_int_equal(read_words(&w, until, err, sizeof(err)), 0);
	assert_string_equal(w.silence.host, "2001:db8::5");
	assert_int_equal(w.silence.until_ms, UINT64_C(1700006400000)); /* the end of that day */
	assert_null(w.silence.app);
	assert_int_equal(read_words(&w, v6, err, sizeof(err)), 0);
	assert_string_equal(w.silence.host, "2001:db8::/32");
	assert_int_equal(w.silence.until_ms, 0);
	assert_int_equal(read_words(&w, one, err, sizeof(err)), 0);
	assert_string_equal(w.silence.host, "192.0.2.7");
	assert_int_equal(read_words(&w, list, err, sizeof(err)), 0);
	assert_true(w.verb == SILENCE_LIST && w.json);
	assert_int_equal(read_words(&w, del, err, sizeof(err)), 0);
	assert_true(w.verb == SILENCE_DEL && w.id == 17);
}

static void test_nearest(void **state)
{
	(void)state;
	assert_string_equal(silence_words_nearest("Telegramm"), "Telegram");
	assert_string_equal(silence_words_nearest("TLS.Telegramm"), "Telegram");
	assert_null(silence_words_nearest("Telegram"));
	assert_null(silence_words_nearest("tls.*"));
	assert_null(silence_words_nearest("TLS.Telegram"));
	assert_null(silence_words_nearest("SomethingOfOurOwnHere"));
}

/* ---- from the command to the store ---- */

struct fixture {
	char folder[64], path[96];
	struct loop loop;
	struct control c;
	struct silence_request silence;
	struct status_source status;
	struct control_handler handlers[2];
	unsigned n_changed;
	char out[262144]; /* of the last command, both outputs */
};

static void changed(void *arg)
{
	((struct fixture *)arg)->n_changed++;
}

static bool has_rule(void *arg, uint32_t id)
{
	(void)arg;
	return id == 1001;
}

static void print_status(void *arg, bool json, struct buf *out)
{
	(void)arg;
	buf_str(out, json ? "{\"fine\":true}\n" : "all is fine\n");
}

static bool forget(void *arg, const char *name)
{
	(void)arg;
	return strcmp(name, "gone") == 0;
}

static void set_up(struct fixture *f)
{
	struct control_config config = {.n_handlers = 2};
	char err[256];

	*f = (struct fixture){.folder = "/tmp/l7-commands-XXXXXX", .status = {.print = print_status, .forget = forget}};
	assert_non_null(mkdtemp(f->folder));
	snprintf(f->path, sizeof(f->path), "%s/s", f->folder);
	f->silence = (struct silence_request){.changed = changed, .has_rule = has_rule, .arg = f};
	assert_int_equal(store_open(&f->silence.store, NULL, err, sizeof(err)), 0);
	f->handlers[0] = (struct control_handler){"silence", silence_request, &f->silence};
	f->handlers[1] = (struct control_handler){"status", status_request, &f->status};
	config.path = f->path;
	config.handlers = f->handlers;
	assert_int_equal(loop_init(&f->loop), 0);
	assert_int_equal(control_init(&f->c, &f->loop, &config, err, sizeof(err)), 0);
}

static void tear_down(struct fixture *f)
{
	control_deinit(&f->c);
	loop_deinit(&f->loop);
	store_close(f->silence.store);
	assert_int_equal(rmdir(f->folder), 0);
}

/* What main() does with a command, in a process of its own. "$" stands for the socket, "_" for a blank. */
_Noreturn static void child(const struct fixture *f, const char *command, int out)
{
	char line[1024], program[] = "l7watch", *argv[WORDS_MAX + 1] = {program};
	size_t n = 0, argc;
	int status;

	for (const char *p = command; *p; p++)
		n += (size_t)snprintf(line + n, sizeof(line) - n, *p == '$' ? "%s" : "%.1s", *p == '$' ? f->path : p);
	argc = 1 + split(line, argv + 1);
	for (size_t i = 1; i < argc; i++)
		for (char *p = argv[i]; (p = strchr(p, '_'));)
			*p = ' ';
	log_init("l7watch", LOG_LEVEL_INFO);
	dup2(out, 1);
	dup2(out, 2);
	status = command_run((int)argc, argv);
	fflush(stdout);
	_exit(status);
}

static int run(struct fixture *f, const char *command)
{
	size_t have = 0;
	int ends[2], status;
	pid_t pid;

	assert_int_equal(pipe(ends), 0);
	pid = fork();
	if (pid == 0)
		child(f, command, ends[1]);
	close(ends[1]);
	assert_int_equal(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
	for (;;) {
		ssize_t n = read(ends[0], f->out + have, sizeof(f->out) - 1 - have);

		if (n == 0)
			break;
		if (n > 0)
			have += (size_t)n;
		else
			(void)loop_run_once(&f->loop, 10);
	}
	f->out[have] = '\0';
	assert_int_equal(waitpid(pid, &status, 0), pid);
	close(ends[0]);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void test_silence(void **state)
{
	struct fixture f;
	json_t *list;

	(void)state;
	set_up(&f);
	assert_int_equal(run(&f, "silence list --control $"), 0);
	assert_string_equal(f.out, "no silences\n");
	assert_int_equal(run(&f, "silence --control $ add --rule 1001 --until 2999-01-31 --comment=a=_\"b\""), 0);
	assert_string_equal(f.out, "silence 1: rule 1001, until 2999-02-01T00:00:00Z\n");
	assert_int_equal(run(&f, "silence add --control=$ --host 192.0.2.0/24 --app Telegramm"), 0);
	assert_string_equal(f.out, "silence 2: host 192.0.2.0/24, app Telegramm, for ever\n"
				   "no protocol of nDPI is called Telegramm; did you mean Telegram?\n");
	assert_int_equal(run(&f, "silence add --control $ --rule 7 --for 1d"), 0);
	assert_non_null(strstr(f.out, "no rule 7 is in force\n"));
	assert_int_equal(f.n_changed, 3);
	assert_int_equal(run(&f, "silence del 3 --control $"), 0);
	assert_string_equal(f.out, "silence 3 is over\n");
	assert_int_equal(f.n_changed, 4);
	assert_int_equal(run(&f, "silence del 3 --control $"), 1);
	assert_string_equal(f.out, "l7watch: error: there is no silence 3\n");
	assert_int_equal(f.n_changed, 4);
	assert_int_equal(run(&f, "silence list --control $"), 0);
	assert_string_equal(
		f.out, "  ID  UNTIL                 RULE      HOST                      APP               COMMENT\n"
		       "   1  2999-02-01T00:00:00Z  1001      any                       any               a= \"b\"\n"
		       "   2  for ever              any       192.0.2.0/24              Telegramm         \n");
	assert_int_equal(run(&f, "silence list --json --control $"), 0);
	list = json_loads(f.out, 0, NULL);
	assert_int_equal(json_array_size(list), 2);
	assert_string_equal(json_string_value(json_object_get(json_array_get(list, 0), "until")),
			    "2999-02-01T00:00:00Z");
	assert_string_equal(json_string_value(json_object_get(json_array_get(list, 0), "comment")), "a= \"b\"");
	assert_int_equal(json_integer_value(json_object_get(json_array_get(list, 0), "rule")), 1001);
	assert_true(json_is_null(json_object_get(json_array_get(list, 0), "host")));
	assert_true(json_is_null(json_object_get(json_array_get(list, 1), "until")));
	assert_string_equal(json_string_value(json_object_get(json_array_get(list, 1), "host")), "192.0.2.0/24");
	json_decref(list);
	tear_down(&f);
}

/* What is over makes room; when there is none, it is said. */
static void test_many_silences(void **state)
{
	struct store_silence over = {.created_ms = 1, .until_ms = 2, .rule = 5}, lasting = {.rule = 6};
	struct fixture f;

	(void)state;
	set_up(&f);
	for (unsigned i = 0; i < STORE_SILENCES_MAX; i++)
		assert_true(store_silence_add(f.silence.store, i == 0 ? &over : &lasting) > 0);
	assert_int_equal(run(&f, "silence list --control $"), 0);
	assert_non_null(strstr(f.out, "   1  over                  5 "));
	assert_int_equal(run(&f, "silence add --rule 1 --control $"), 0);
	assert_int_equal(run(&f, "silence add --rule 1 --control $"), 1);
	assert_string_equal(f.out, "l7watch: error: there are 1000 silences, and no more are kept\n");
	tear_down(&f);
}

static void test_status(void **state)
{
	struct fixture f;

	(void)state;
	set_up(&f);
	assert_int_equal(run(&f, "status --control $"), 0);
	assert_string_equal(f.out, "all is fine\n");
	assert_int_equal(run(&f, "status --json --control $"), 0);
	assert_string_equal(f.out, "{\"fine\":true}\n");
	assert_int_equal(run(&f, "status --jason --control $"), 1);
	assert_string_equal(f.out, "l7watch: error: status knows --json and --forget, not \"--jason\"\n");
	assert_int_equal(run(&f, "status --forget --control $"), 1);
	assert_string_equal(f.out, "l7watch: error: --forget needs the name of one probe, and nothing else\n");
	assert_int_equal(run(&f, "status --forget=gone --control $"), 0);
	assert_string_equal(f.out, "");
	assert_int_equal(run(&f, "status --forget here --control $"), 1);
	assert_string_equal(f.out, "l7watch: error: no probe here is in the list\n");
	tear_down(&f);
}

/* Whoever speaks to the socket by himself gets the same sentences. */
static void test_by_hand(void **state)
{
	char silence[] = "silence add", status[] = "status x", *words[WORDS_MAX];
	struct fixture f;
	struct buf b;

	(void)state;
	set_up(&f);
	buf_init(&b, 1000);
	assert_int_equal(silence_request(&f.silence, words, split(silence, words), &b), -EINVAL);
	assert_int_equal(b.len, strlen("this would silence every alert: give --rule, --host or --app"));
	assert_int_equal(f.n_changed, 0);
	buf_reset(&b);
	assert_int_equal(status_request(&f.status, words, split(status, words), &b), -EINVAL);
	assert_true(b.len > 0);
	buf_deinit(&b);
	tear_down(&f);
}

static void test_usage(void **state)
{
	char path[128], command[256];
	struct fixture f;
	FILE *file;

	(void)state;
	set_up(&f);
	assert_int_equal(run(&f, "silence --help"), 0);
	assert_non_null(strstr(f.out, "--until DAY"));
	assert_int_equal(run(&f, "status -h"), 0);
	assert_int_equal(run(&f, "silence add --control $"), 1);
	assert_string_equal(f.out, "l7watch: error: this would silence every alert: give --rule, --host or --app\n");
	assert_int_equal(run(&f, "silence list --control"), 1);
	assert_string_equal(f.out, "l7watch: error: option --control needs a value\n");
	assert_int_equal(run(&f, "silense list"), 1);
	assert_string_equal(f.out, "l7watch: error: \"silense\" is no command; did you mean silence?\n");
	assert_int_equal(run(&f, "silence list --control /nonexistent/s"), 2);
	assert_string_equal(f.out, "l7watch: error: no l7watch answers at /nonexistent/s: No such file or directory\n");
	assert_int_equal(run(&f, "silence list a a a a a a a a a a a a a a a a a a --control $"), 1);
	/* The socket as the configuration has it. */
	snprintf(path, sizeof(path), "%s/c.yaml", f.folder);
	file = fopen(path, "w");
	assert_non_null(file);
	fprintf(file, "control: %s\nlisten: []\n", f.path);
	fclose(file);
	snprintf(command, sizeof(command), "status -c %s", path);
	assert_int_equal(run(&f, command), 0);
	assert_string_equal(f.out, "all is fine\n");
	unlink(path);
	assert_int_equal(run(&f, command), 1);
	assert_non_null(strstr(f.out, path));
	tear_down(&f);
}

static void test_table(void **state)
{
	(void)state;
	assert_non_null(command_find("silence"));
	assert_null(command_find("--silence"));
	assert_null(command_find(""));
	for (size_t i = 0; command_at(i); i++)
		assert_ptr_equal(command_find(command_at(i)->name), command_at(i));
	assert_null(command_at(1000));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wrong_words), cmocka_unit_test(test_comment_length),
		cmocka_unit_test(test_words),       cmocka_unit_test(test_nearest),
		cmocka_unit_test(test_silence),     cmocka_unit_test(test_many_silences),
		cmocka_unit_test(test_status),      cmocka_unit_test(test_by_hand),
		cmocka_unit_test(test_usage),       cmocka_unit_test(test_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
