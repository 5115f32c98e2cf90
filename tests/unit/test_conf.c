/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/conf.h"

struct target {
	bool stats;
	bool help;
	uint64_t idle;
	char *rules;
	char *filter;
	char *config;
	struct conf_list listen;
	struct conf_list interface;
	struct conf_place places[CONF_ROWS_MAX];
};

#define AT(member) .offset = offsetof(struct target, member)

static const struct conf_row rows[] = {
	{.name = "listen",
	 .letter = 'l',
	 .type = CONF_LIST,
	 AT(listen),
	 .otherwise = "one\ntwo",
	 .argument = "INPUT",
	 .help = "where"},
	{.name = "interface",
	 .letter = 'i',
	 .type = CONF_LIST,
	 AT(interface),
	 .argument = "IFACE",
	 .help = "which",
	 .live = true,
	 .split = ','},
	{.name = "idle-timeout",
	 .type = CONF_NUMBER,
	 AT(idle),
	 .max = 3600,
	 .otherwise = "15",
	 .argument = "S",
	 .live = true,
	 .help = "idle"},
	{.name = "rules",
	 .letter = 'R',
	 .type = CONF_STRING,
	 AT(rules),
	 .otherwise = "/etc/r",
	 .argument = "FILE",
	 .help = "rules"},
	{.name = "filter",
	 .letter = 'f',
	 .type = CONF_STRING,
	 AT(filter),
	 .argument = "BPF",
	 .help = "filter",
	 .live = true},
	{.name = "config",
	 .letter = 'c',
	 .type = CONF_STRING,
	 AT(config),
	 .argument = "FILE",
	 .help = "file",
	 .only_option = true},
	{.name = "stats", .type = CONF_FLAG, AT(stats), .help = "statistics"},
	{.name = "help", .letter = 'h', .type = CONF_FLAG, AT(help), .help = "this", .only_option = true},
};

struct fixture {
	struct target t;
	struct conf c;
	char err[256];
	char path[32]; /* a configuration file, "" if none */
};

static void start(struct fixture *f)
{
	memset(f, 0, sizeof(*f));
	f->c = (struct conf){.program = "x",
			     .usage = "x [options]",
			     .rows = rows,
			     .n_rows = sizeof(rows) / sizeof(rows[0]),
			     .target = &f->t,
			     .places = f->t.places};
}

static void file(struct fixture *f, const char *text)
{
	int fd;

	strcpy(f->path, "/tmp/l7-conf-XXXXXX");
	fd = mkstemp(f->path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static void end(struct fixture *f)
{
	if (*f->path)
		unlink(f->path);
	conf_deinit(&f->c);
}

/* Arguments after the program's name, up to NULL. */
static int load(struct fixture *f, const char *const *args)
{
	char *argv[16] = {(char *)"x"};
	int argc = 1;

	for (; *args && argc < 15; args++)
		argv[argc++] = (char *)*args;
	return conf_load(&f->c, argc, argv, *f->path ? f->path : "/nonexistent/conf", f->err, sizeof(f->err));
}

#define LOAD(f, ...) load(f, (const char *[]){__VA_ARGS__ __VA_OPT__(, ) NULL})

static void test_defaults(void **state)
{
	struct fixture f;

	(void)state;
	start(&f);
	assert_int_equal(LOAD(&f), 0);
	assert_int_equal(f.t.idle, 15);
	assert_string_equal(f.t.rules, "/etc/r");
	assert_null(f.t.filter);
	assert_null(f.t.config);
	assert_false(f.t.stats);
	assert_int_equal(f.t.listen.n, 2);
	assert_string_equal(f.t.listen.items[1], "two");
	assert_int_equal(f.t.interface.n, 0);
	end(&f);
}

static void test_command_line_wins(void **state)
{
	struct fixture f;

	(void)state;
	start(&f);
	file(&f, "idle_timeout: 20\nrules: /a\nlisten: [three, four]\nstats: true\ninterface: a,b\n");
	assert_int_equal(LOAD(&f, "--rules=/b", "-l", "five", "--listen", "six"), 0);
	assert_int_equal(f.t.idle, 20);
	assert_string_equal(f.t.rules, "/b");
	assert_string_equal(f.t.config, f.path);
	assert_true(f.t.stats);
	assert_int_equal(f.t.listen.n, 2);
	assert_string_equal(f.t.listen.items[0], "five");
	assert_string_equal(f.t.listen.items[1], "six");
	assert_int_equal(f.t.interface.n, 1); /* only the command line splits */
	conf_deinit(&f.c);
	memset(&f.t, 0, sizeof(f.t));
	assert_int_equal(LOAD(&f, "-i", "a,b", "-ic"), 0);
	assert_int_equal(f.t.interface.n, 3);
	assert_int_equal(f.t.listen.n, 2);
	assert_string_equal(f.t.listen.items[0], "three");
	end(&f);
}

static void bad_option(const char *const *args, const char *expected)
{
	struct fixture f;

	start(&f);
	assert_int_equal(load(&f, args), -EINVAL);
	assert_string_equal(f.err, expected);
	end(&f);
}

#define BAD_OPTION(expected, ...) bad_option((const char *[]){__VA_ARGS__, NULL}, expected)

static void test_bad_options(void **state)
{
	(void)state;
	BAD_OPTION("unknown or ambiguous option --idletimeout; did you mean --idle-timeout?", "--idletimeout", "3");
	BAD_OPTION("unknown or ambiguous option --zzz", "--zzz=3");
	BAD_OPTION("unknown option -z", "-z");
	BAD_OPTION("option --rules needs an argument: FILE", "-R");
	BAD_OPTION("option --idle-timeout needs an argument: S", "--idle-timeout");
	BAD_OPTION("option --stats takes no argument", "--stats=1");
	BAD_OPTION("unexpected argument y", "--stats", "y");
	BAD_OPTION("option --idle-timeout is \"3601\", not a number from 0 to 3600", "--idle-timeout", "3601");
	BAD_OPTION("option --idle-timeout is \"-1\", not a number from 0 to 3600", "--idle-timeout", "-1");
	BAD_OPTION("option --idle-timeout is \"3s\", not a number from 0 to 3600", "--idle-timeout", "3s");
	BAD_OPTION("option --interface has an empty item", "-i", "a,,b");
	BAD_OPTION("/nonexistent/file: No such file or directory", "-c", "/nonexistent/file");
}

static void bad_file(const char *text, const char *expected)
{
	struct fixture f;
	char whole[300];

	start(&f);
	file(&f, text);
	assert_int_equal(LOAD(&f), -EINVAL);
	snprintf(whole, sizeof(whole), "%s:%s", f.path, expected);
	assert_string_equal(f.err, whole);
	end(&f);
}

static void test_bad_files(void **state)
{
	(void)state;
	bad_file("stats: true\nlissten: x\n", "2:1: unknown key lissten; did you mean listen?");
	bad_file("config: x\n", "1:1: unknown key config");
	bad_file("idle-timeout: 3\n", "1:1: unknown key idle-timeout; did you mean idle_timeout?");
	bad_file("idle_timeout: many\n", "1:15: idle_timeout is \"many\", not a number from 0 to 3600");
	bad_file("stats: yes\n", "1:8: stats is \"yes\", not true or false");
	bad_file("rules: [a]\n", "1:8: rules takes one value");
	bad_file("listen: [a, {b: c}]\n", "1:13: listen is a list of texts");
	bad_file("listen: [a, \"\"]\n", "1:13: listen has an empty item");
	bad_file("- a\n", "1:1: a configuration file is a map of keys and values");
	bad_file("rules: a\nrules: b\n", "2:1: key rules is here a second time, first on line 1");
}

static void wrong(struct fixture *f, const char *name, size_t item, const char *expected)
{
	strcpy(f->err, "it is wrong");
	assert_int_equal(conf_error(&f->c, name, item, f->err, sizeof(f->err)), -EINVAL);
	assert_string_equal(f->err, expected);
}

static void test_places(void **state)
{
	struct fixture f;
	char expected[128];

	(void)state;
	start(&f);
	file(&f, "rules: /a\nidle_timeout:  20\nlisten:\n- three\n-  four\n");
	assert_int_equal(LOAD(&f, "-i", "a,b", "--filter", "x"), 0);
	wrong(&f, "interface", 1, "option --interface: it is wrong");
	wrong(&f, "filter", 0, "option --filter: it is wrong");
	snprintf(expected, sizeof(expected), "%s:1:8: it is wrong", f.path);
	wrong(&f, "rules", 0, expected);
	snprintf(expected, sizeof(expected), "%s:2:16: it is wrong", f.path);
	wrong(&f, "idle-timeout", 0, expected);
	snprintf(expected, sizeof(expected), "%s:5:4: it is wrong", f.path);
	wrong(&f, "listen", 1, expected);
	snprintf(expected, sizeof(expected), "%s:4:1: it is wrong", f.path);
	wrong(&f, "listen", 2, expected); /* the list as a whole */
	conf_deinit(&f.c);
	memset(&f.t, 0, sizeof(f.t));
	assert_int_equal(LOAD(&f, "--rules=/b", "-l", "five"), 0); /* the command line wins */
	wrong(&f, "rules", 0, "option --rules: it is wrong");
	wrong(&f, "listen", 0, "option --listen: it is wrong");
	wrong(&f, "interface", 0, "it is wrong"); /* a default */
	end(&f);
}

static char *printed(const struct conf *c)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	conf_print(c, out);
	fclose(out);
	return text;
}

static void test_round_trip(void **state)
{
	struct fixture f, again;
	char *first, *second;

	(void)state;
	start(&f);
	file(&f,
	     "rules:\nlisten: []\ninterface: [\"a\\\"b\\\\c\\n\\t d \\u2028\\x85\xc3\xa9\", '#x: y', '- z', ' ']\n");
	assert_int_equal(LOAD(&f, "--idle-timeout", "0"), 0);
	assert_null(f.t.rules);
	first = printed(&f.c);
	start(&again);
	file(&again, first);
	if (LOAD(&again))
		fail_msg("%s\n%s", again.err, first);
	assert_null(again.t.rules);
	assert_int_equal(again.t.listen.n, 0);
	assert_int_equal(again.t.interface.n, 4);
	assert_string_equal(again.t.interface.items[0], f.t.interface.items[0]);
	assert_string_equal(again.t.interface.items[0], "a\"b\\c\n\t d \xe2\x80\xa8\xc2\x85\xc3\xa9");
	second = printed(&again.c);
	assert_string_equal(first, second);
	free(first);
	free(second);
	end(&f);
	end(&again);
}

static void test_help(void **state)
{
	struct fixture f;
	char *text = NULL;
	size_t len;
	FILE *out;

	(void)state;
	start(&f);
	file(&f, "broken: [\n");
	assert_int_equal(LOAD(&f, "-h"), 0); /* help is given whatever the file is */
	assert_true(f.t.help);
	out = open_memstream(&text, &len);
	conf_help(&f.c, out);
	fclose(out);
	assert_non_null(strstr(text, "Usage: x [options]\n\n"));
	assert_non_null(strstr(text, "\n      --idle-timeout S           idle (default: 15)\n"));
	assert_non_null(strstr(text, "\n  -l, --listen INPUT             where (default: one two)\n"));
	free(text);
	end(&f);
}

static char fixed_names[64];

static void fixed(const char *name)
{
	strcat(strcat(fixed_names, name), " ");
}

/* Read again: what may change does, what may not is told, and all memory is somebody's. */
static void test_take(void **state)
{
	struct fixture now, next;

	(void)state;
	start(&now);
	assert_int_equal(LOAD(&now, "-i", "a,b", "-f", "udp", "-R", "/r"), 0);
	start(&next);
	assert_int_equal(LOAD(&next, "-i", "a,b", "-f", "udp", "-R", "/r"), 0);
	assert_false(conf_take(&now.c, &next.c, fixed));
	assert_string_equal(fixed_names, "");
	end(&next);
	start(&next);
	assert_int_equal(LOAD(&next, "-i", "a,c", "--idle-timeout", "7", "-R", "/s", "--stats", "-l", "one"), 0);
	assert_true(conf_take(&now.c, &next.c, fixed));
	assert_string_equal(fixed_names, "listen rules stats ");
	end(&next);
	assert_int_equal(now.t.interface.n, 2);
	assert_string_equal(now.t.interface.items[1], "c");
	assert_int_equal(now.t.idle, 7);
	assert_null(now.t.filter);
	assert_string_equal(now.t.rules, "/r");
	assert_int_equal(now.t.listen.n, 2);
	assert_false(now.t.stats);
	for (unsigned change = 0; change < 3; change++) { /* one is enough */
		start(&next);
		assert_int_equal(change == 0   ? LOAD(&next, "-i", "a", "--idle-timeout", "7")
				 : change == 1 ? LOAD(&next, "-i", "a", "--idle-timeout", "8")
					       : LOAD(&next, "-i", "a", "--idle-timeout", "8", "-f", "x"),
				 0);
		assert_true(conf_take(&now.c, &next.c, fixed));
		end(&next);
	}
	end(&now);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),    cmocka_unit_test(test_command_line_wins),
		cmocka_unit_test(test_bad_options), cmocka_unit_test(test_bad_files),
		cmocka_unit_test(test_round_trip),  cmocka_unit_test(test_help),
		cmocka_unit_test(test_places),      cmocka_unit_test(test_take),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
